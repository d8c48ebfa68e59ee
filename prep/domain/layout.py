"""The layout of a printed form: the places of its corner squares, marks and quantities; and the marks of a picture.

An institute describes its form in `formatos/NAME.json` of the catalogue, in mm from the upper left corner of the sheet.
Every error of a file is told at once, each in one sentence that names its place.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from prep.domain.entry import HEADER, TOTAL

LAYOUTS: Final = "formatos/"
"""Folder of the layouts among the files of a catalogue."""
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

LARGEST_SHEET: Final = 1500.0
"""mm."""
SQUARE_SIDE: Final = (3.0, 30.0)
LEAST_MARKS: Final = 12
MOST_MARKS: Final = 200
"""Laying a form with so many on a picture takes a tenth of a second at most."""
MARKS_APART: Final = 4.0
"""mm between two marks: two that are nearer are one spot in a photograph."""
SAME_PLACE: Final = 3.0
"""mm."""
TURNED_ALIKE: Final = 0.5
"""If more of the marks than this share stand on marks of the form turned around, up and down cannot be told apart."""
_KNOWN: Final = ("eleccion", "entidad", "territorio", "cuadros", "marcas", "campos")


@dataclass(frozen=True, slots=True, eq=False)
class FormLayout:
    """The places of a printed form, in mm. Two of them are equal only if they are one, so that one can be a key."""

    squares: tuple[Box, ...]
    """The four corner squares, clockwise from the upper left one."""
    marks: tuple[Point, ...]
    """The middles of dark round marks, 2 to 4 mm large."""
    strips: Mapping[str, Box]
    """Of each field by code: the strip of its row, with letters and digit boxes."""

    def as_json(self) -> dict[str, Any]:
        return {"cuadros": self.squares, "marcas": self.marks, "campos": dict(self.strips)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "FormLayout":
        """The layout that `as_json` told."""
        return cls(
            tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in told["cuadros"]),
            tuple((x, y) for x, y in told["marcas"]),
            {code: (x0, y0, x1, y1) for code, (x0, y0, x1, y1) in told["campos"].items()},
        )


@dataclass(frozen=True, slots=True)
class StatedLayout:
    """A layout, and the contests whose actas are printed so: all of the election, or one territory's."""

    layout: FormLayout
    election: str
    place: tuple[int, int] | None
    """Entidad and territory of the one contest; None if it is all of them."""


PER: Final = 10_000
"""Places in a picture are in so many parts of its width and height."""


@dataclass(frozen=True, slots=True)
class FoundMarks:
    """The marks that were found in a picture as a browser shows it. Places are in 1/`PER` of its width and height."""

    squares: tuple[tuple[int, int], ...]
    """The middles of the four corner squares, clockwise from the upper left one in the picture."""
    areas: tuple[int, ...]
    """The area of each square, in 1/`PER` of that of the shape between the four."""
    marks: tuple[tuple[int, int], ...]
    """The middles of spots that may be marks of the form."""

    def as_json(self) -> dict[str, Any]:
        return {"cuadros": self.squares, "areas": self.areas, "marcas": self.marks}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "FoundMarks":
        """The marks that `as_json` told."""
        return cls(
            tuple((x, y) for x, y in told["cuadros"]), tuple(told["areas"]), tuple((x, y) for x, y in told["marcas"])
        )


def read_layout(data: bytes) -> tuple[StatedLayout | None, list[str]]:
    """The layout in a file, and all its errors; no layout if there is one."""
    try:
        content = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_number)
    except UnicodeDecodeError:
        return None, ["no está en UTF-8"]
    except json.JSONDecodeError as error:
        return None, [f"línea {error.lineno}: no es JSON"]
    except _Odd as odd:
        return None, [f"no se puede leer: {odd}"]
    except (ValueError, RecursionError):
        # The library itself gives up: too many digits, or too many brackets.
        return None, ["no se puede leer: tiene un número o una lista que ningún formato necesita"]
    if not isinstance(content, dict):
        return None, ["no es un formato: se espera un objeto con eleccion, cuadros, marcas y campos"]
    errors = [f"«{key[:40]}» no se conoce; se conocen: {', '.join(_KNOWN)}" for key in content if key not in _KNOWN]
    errors += _place_errors(content)
    squares = _boxes(content.get("cuadros"), "cuadros", errors)
    marks = _points(content.get("marcas"), errors)
    stated = content.get("campos")
    if not isinstance(stated, dict) or not stated:
        errors.append("campos: falta el lugar de cada cantidad, por su código")
        stated = {}
    strips = dict(zip(stated, _boxes([*stated.values()], "campos", errors, [*stated]), strict=False))
    if errors:
        return None, errors
    errors = [*_square_errors(squares), *_mark_errors(marks, squares), *_strip_errors(strips, squares)]
    if errors:
        return None, errors
    place = (content.get("entidad", 0), content["territorio"]) if "territorio" in content else None
    if place is None and "entidad" in content:
        place = (content["entidad"], 0)
    return StatedLayout(FormLayout(tuple(squares), tuple(marks), strips), content["eleccion"], place), []


def unknown_fields(layout: FormLayout, options: Sequence[str]) -> list[str]:
    """The codes of the layout that are no field of an election with these options."""
    return [code for code in layout.strips if code not in {*HEADER, *options, TOTAL}]


class _Odd(Exception):
    """What JSON allows and no layout needs, in one Spanish sentence."""


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    held = dict(pairs)
    if len(held) < len(pairs):
        raise _Odd("una clave está dos veces")
    return held


def _no_number(word: str) -> float:
    raise _Odd(f"«{word}» no es un número")


def _place_errors(content: Mapping[str, object]) -> Iterator[str]:
    if not isinstance(content.get("eleccion"), str):
        yield "eleccion: falta el código de la elección"
    for key, most in (("entidad", 99), ("territorio", 9999)):
        value = content.get(key, 0)
        if type(value) is not int or not 0 <= value <= most:
            yield f"{key}: no es un entero de 0 a {most}"


def _boxes(value: object, key: str, errors: list[str], names: Sequence[str] = ()) -> list[Box]:
    found: list[Box] = []
    for place, box in enumerate(value if isinstance(value, list) else []):
        name = f"{key}.{names[place][:40]}" if names else f"{key}, el {place + 1}.º"
        numbers = _numbers(box, 4)
        if numbers is None or not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):
            sentence = f"se esperan izquierda, arriba, derecha y abajo, en mm, de 0 a {LARGEST_SHEET:.0f}"
            errors.append(f"{name}: {sentence}")
        else:
            found.append((numbers[0], numbers[1], numbers[2], numbers[3]))
    if not isinstance(value, list):
        errors.append(f"{key}: falta la lista")
    return found


def _points(value: object, errors: list[str]) -> list[Point]:
    found: list[Point] = []
    for place, point in enumerate(value if isinstance(value, list) else []):
        numbers = _numbers(point, 2)
        if numbers is None:
            errors.append(f"marcas, la {place + 1}.ª: se esperan dos números, en mm, de 0 a {LARGEST_SHEET:.0f}")
        else:
            found.append((numbers[0], numbers[1]))
    if not isinstance(value, list):
        errors.append("marcas: falta la lista")
    return found


def _numbers(value: object, count: int) -> list[float] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    if not all(type(each) in {int, float} and 0 <= each <= LARGEST_SHEET for each in value):
        return None
    return [float(each) for each in value]


def middle(box: Box) -> Point:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _square_errors(squares: Sequence[Box]) -> Iterator[str]:
    if len(squares) != 4:
        yield f"cuadros: son {len(squares)} y deben ser 4, uno por esquina"
        return
    sides = [side for x0, y0, x1, y1 in squares for side in (x1 - x0, y1 - y0)]
    if min(sides) < SQUARE_SIDE[0] or max(sides) > SQUARE_SIDE[1] or max(sides) > 1.2 * min(sides):
        yield "cuadros: no son cuatro cuadrados del mismo tamaño, de 3 a 30 mm de lado"
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = (middle(square) for square in squares)
    apart = 4 * max(sides)
    if min(bx - ax, cx - dx) < apart or min(dy - ay, cy - by) < apart:
        yield "cuadros: van en el orden arriba izquierda, arriba derecha, abajo derecha, abajo izquierda"


def _mark_errors(marks: Sequence[Point], squares: Sequence[Box]) -> Iterator[str]:
    if not LEAST_MARKS <= len(marks) <= MOST_MARKS:
        few = f"deben ser de {LEAST_MARKS} a {MOST_MARKS}, porque con ellas se comprueba cada recorte"
        yield f"marcas: son {len(marks)} y {few}"
        return
    if len(squares) != 4:
        return
    for one, other in combinations(range(len(marks)), 2):
        if math.dist(marks[one], marks[other]) < MARKS_APART:
            yield f"marcas: la {one + 1}.ª y la {other + 1}.ª están a menos de {MARKS_APART:.0f} mm"
            return
    left, top, right, bottom = _frame(squares)
    for place, (x, y) in enumerate(marks):
        if not (left <= x <= right and top <= y <= bottom):
            yield f"marcas: la {place + 1}.ª está fuera de los cuadros"
            return
    if _turned_alike(marks, (left, top, right, bottom)) > TURNED_ALIKE:
        yield "marcas: son casi las mismas con la hoja de cabeza; agregue otras, o no se sabría dónde es arriba"


def _frame(squares: Sequence[Box]) -> Box:
    return (
        min(square[0] for square in squares),
        min(square[1] for square in squares),
        max(square[2] for square in squares),
        max(square[3] for square in squares),
    )


def _turned_alike(marks: Sequence[Point], frame: Box) -> float:
    """The share of marks that stand on a mark of the same form turned upside down."""
    left, top, right, bottom = frame
    alike = sum(
        any(math.dist((left + right - x, top + bottom - y), other) < SAME_PLACE for other in marks) for x, y in marks
    )
    return alike / len(marks)


def _strip_errors(strips: Mapping[str, Box], squares: Sequence[Box]) -> Iterator[str]:
    if len(squares) != 4:
        return
    left, top, right, bottom = _frame(squares)
    for code, (x0, y0, x1, y1) in strips.items():
        if x1 - x0 < 5 or y1 - y0 < 2:
            yield f"campos.{code}: mide menos de 5 × 2 mm"
        if not (left <= x0 and x1 <= right and top <= y0 and y1 <= bottom):
            yield f"campos.{code}: está fuera de los cuadros"
    for (one, first), (other, second) in combinations(strips.items(), 2):
        x, y = middle(second)
        if first[0] < x < first[2] and first[1] < y < first[3]:
            yield f"campos.{other}: está en el lugar de {one}"
