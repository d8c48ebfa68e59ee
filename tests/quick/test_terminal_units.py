"""The terminal's keys, figures and places, in Node: each key says one thing, and each strip lies where its corners say."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.makers.node_units import answers

CODES = ("SOBRANTES", "PERSONAS", "REPRESENTANTES", "SACADOS", "PAN", "PRI", "TOTAL")
FULL = dict(zip(CODES, ("100", "20", "2", "22", "15", "7", "22"), strict=True))
DOES = {
    "enter": ("Enter",),
    "next": ("+", "ArrowDown"),
    "back": ("-", "ArrowUp"),
    "ilegible": ("*", "i", "I"),
    "sin dato": ("/", "s", "S"),
    "letters": ("c", "C"),
    "erase": ("Backspace", "Delete"),
    "image": (".", ","),
}
NOTHING = ("٣", "²", "½", "x", "Tab", "F5", "Escape", "12", "")
"""No other sign becomes a value: figures of other scripts, signs, letters, and the keys of the browser."""
KEYS: dict[str, dict[str, str] | None] = {
    **{digit: {"do": "digit", "digit": digit} for digit in "0123456789"},
    **{key: {"do": does} for does, keys in DOES.items() for key in keys},
    **dict.fromkeys(NOTHING),
}
MOVES = {"4": True, "+": True, "5": True, "7": True, "x": True, "9": False, ".": False, "Enter": False, "Tab": None}
SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]
CORNERS = [[110, 95], [900, 130], [880, 210], [90, 160]]
STRIP = [[x * 10, y * 10_000 / 600] for x, y in CORNERS]
"""The same corners in ten-thousandths of an image of 1000 by 600."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    given = {
        "keys": list(KEYS),
        "moves": list(MOVES),
        "typed": [["", "1", False, 3], ["12", "3", False, 3], ["123", "4", False, 3], ["123", "4", True, 3], ["ilegible", "4", False, 3]],
        "erased": ["123", "1", "", "ilegible", "sin dato"],
        "fields": [{"codigo": code, "nombre": code, "digitos": 3, "recorte": None} for code in CODES],
        "filled": [FULL, FULL | {"PAN": "0", "PRI": "ilegible", "TOTAL": "sin dato"}, FULL | {"PRI": ""}, {}],
        "warned": [
            [FULL, 22], [FULL | {"TOTAL": "23"}, 22], [FULL, 21], [FULL | {"SACADOS": "21"}, None],
            [FULL | {"TOTAL": "sin dato", "SACADOS": "ilegible"}, None],
            [FULL | {"TOTAL": "23", "SACADOS": "21"}, 21],
        ],
        "square": SQUARE,
        "corners": CORNERS,
        "strip": STRIP,
    }  # fmt: skip
    return answers(Path(__file__).with_name("terminal_units.ts"), tmp_path_factory.mktemp("terminal"), given)


def test_each_key_says_one_thing_and_the_browsers_own_keys_stay_its_own(told: dict[str, Any]) -> None:
    assert dict(zip(KEYS, told["keys"], strict=True)) == KEYS
    assert told["held"] == [None] * 3
    assert dict(zip(MOVES, told["moves"], strict=True)) == MOVES


def test_a_field_holds_as_many_digits_as_its_form_or_one_word(told: dict[str, Any]) -> None:
    assert told["typed"] == ["1", "123", "123", "4", "4"]
    assert told["erased"] == ["12", "", "", "", ""]


def test_zero_is_a_value_and_an_empty_field_is_not(told: dict[str, Any]) -> None:
    assert told["empty"] == [-1, -1, 5, 0]
    numbers = {code: int(said) for code, said in FULL.items()}
    assert told["sent"] == [numbers, numbers | {"PAN": 0, "PRI": "ilegible", "TOTAL": "sin dato"}, None, None]


def test_sums_warn_of_the_typed_values_alone(told: dict[str, Any]) -> None:
    assert told["warned"] == [0, 1, 1, 1, 0, 3]


def projected(numbers: Sequence[float], point: Sequence[float]) -> list[float]:
    p, q, r, s, u, v, g, h = numbers
    x, y = point
    under = g * x + h * y + 1
    return [(p * x + q * y + r) / under, (s * x + u * y + v) / under]


def test_a_strip_lies_level_in_its_window(told: dict[str, Any]) -> None:
    for point, corner in zip(SQUARE, CORNERS, strict=True):
        assert projected(told["map"], point) == pytest.approx(corner)
    assert told["none"] is None
    strip = told["strip"]
    assert (strip["left"] * 2 + strip["width"], strip["top"] * 2 + strip["height"]) == pytest.approx((500, 300))
    assert strip["width"] <= 500 * 0.94 + 1e-6
    assert strip["height"] <= 150 + 1e-6
    m = [float(each) for each in strip["transform"].removeprefix("matrix3d(").removesuffix(")").split(",")]
    numbers = (m[0], m[4], m[12], m[1], m[5], m[13], m[3], m[7])
    left, top = strip["left"], strip["top"]
    right, bottom = left + strip["width"], top + strip["height"]
    level = [[left, top], [right, top], [right, bottom], [left, bottom]]
    for corner, place in zip(CORNERS, level, strict=True):
        assert projected(numbers, corner) == pytest.approx(place, abs=0.01)
    assert told["noStrip"] == [None, None, None], "no corners, too few of them, or corners that span nothing"


def test_a_place_never_leaves_the_image(told: dict[str, Any]) -> None:
    moved, near, far, turned, of_strip = told["places"]
    assert (moved["x"], moved["y"]) == (1, 0)
    assert (near["zoom"], far["zoom"], turned["turn"]) == (8, 0.5, 0)
    assert (of_strip["x"], of_strip["y"], of_strip["zoom"]) == pytest.approx((0.495, 595 / 4 / 600, 2))
    assert told["plain"] == "translate(250px, 150px) rotate(0deg) scale(0.5) translate(-500px, -300px)"
