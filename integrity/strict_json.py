"""JSON read strictly: canonical bytes, no floats, no duplicate keys, and exactly the fields that a shape names.

A shape is written as the value that it describes: a type, a pattern, `[shape]` for a list of any length, an object of
shapes; `Maybe`, `Each` and `Text` say the rest.
"""

import json
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple, NoReturn

from integrity.sums import HEX, Malformed

_LONGEST_INTEGER: Final = 18

Json = dict[str, Any]


def read_json(data: bytes) -> Any:  # noqa: ANN401 - what it is, is for `conform` to say
    """The value in canonical JSON: sorted keys, no spaces, one line, integers but no floats, one newline at the end.

    Two programs could read different values from other JSON (a key twice, a float). Raises Malformed.
    """
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_object_of_pairs,
            parse_int=_short_integer,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
        # Writing the value again must give the same bytes: this finds every form that is not canonical.
        canonical = canonical_json(value) + b"\n"
    except UnicodeError:
        raise Malformed("texto UTF-8", "otros bytes") from None
    except json.JSONDecodeError as error:
        raise Malformed("JSON", f"algo que no lo es en el carácter {error.pos}", error.lineno) from None
    except RecursionError:
        raise Malformed("JSON de poca profundidad", "listas dentro de listas sin fin") from None
    if canonical != data:
        place = next(
            (i for i, (ours, theirs) in enumerate(zip(canonical, data, strict=False)) if ours != theirs),
            min(len(canonical), len(data)),
        )
        raise Malformed(
            "JSON canónico (claves en orden, sin espacios, un salto al final)", f"otra cosa en el byte {place}"
        )
    return value


def canonical_json(value: object) -> bytes:
    """Sorted keys, no spaces, UTF-8, no newline: the only bytes for this value (RFC 8785 for our values)."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _object_of_pairs(pairs: list[tuple[str, Any]]) -> Json:
    held = dict(pairs)
    if len(held) < len(pairs):
        # Python keeps the last of two equal keys, other programs the first.
        names = sorted(name for name, _ in pairs)
        twice = next(name for name, following in pairwise(names) if name == following)
        raise Malformed("claves sin repetir", f"dos veces «{twice}»")
    return held


def _short_integer(digits: str) -> int:
    # Longer numbers would be floats in JavaScript, and so differ between programs.
    if len(digits) > _LONGEST_INTEGER:
        raise Malformed(f"enteros de hasta {_LONGEST_INTEGER} cifras", f"uno de {len(digits)}")
    return int(digits)


def _no_float(text: str) -> NoReturn:
    raise Malformed("enteros, textos, booleanos y null", f"«{text}»")


# --- shapes -----------------------------------------------------------------------------------------------------------


class Each(NamedTuple):
    """An object with any keys; each value has this shape."""

    shape: object


class Maybe(NamedTuple):
    """Null, or a value of this shape."""

    shape: object


class Later(NamedTuple):
    """A field that is younger than the first published trees. It may be absent; then its usual value holds."""

    shape: object


class Text(NamedTuple):
    """A text that matches this pattern; `words` is its Spanish name in errors."""

    pattern: re.Pattern[str]
    words: str


DIGEST: Final = Text(HEX, "64 hexadecimales en minúsculas")


def conform(value: object, shape: object, where: str = "") -> None:
    """Raise Malformed at the first place of `value` without its `shape`: a type, a pattern, a list, an object."""
    match shape:
        case Maybe(inner):
            if value is not None:
                conform(value, inner, where)
        case Each(inner):
            for key, held in _expect_type(value, dict, where).items():
                conform(held, inner, f"{where}.{key}")
        case dict():
            _conform_fields(value, shape, where)
        case list():
            for number, item in enumerate(_expect_type(value, list, where)):
                conform(item, shape[0], f"{where}[{number}]")
        case re.Pattern():
            _expect_match(value, shape, f"un texto como {shape.pattern}", where)
        case Text(pattern, words):
            _expect_match(value, pattern, words, where)
        case type():
            # An exact comparison: in Python a bool is an int too. Negative numbers have no meaning in these files.
            _expect_type(value, shape, where)
            if shape is int and isinstance(value, int) and value < 0:
                refuse(where, "un entero de cero en adelante", value)


def _conform_fields(value: object, shape: Json, where: str) -> None:
    held = _expect_type(value, dict, where)
    later = {key for key, inner in shape.items() if isinstance(inner, Later) and key not in held}
    # An unknown field could carry a second meaning past every check.
    if held.keys() != shape.keys() - later:
        missing, strange = sorted(shape.keys() - later - held.keys()), sorted(held.keys() - shape.keys())
        expected = f"el campo {missing[0]}" if missing else f"solo los campos {', '.join(sorted(shape))}"
        refuse(where, expected, "su falta" if missing else f"{strange[0]}")
    for key, inner in shape.items():
        if key not in later:
            conform(held[key], inner.shape if isinstance(inner, Later) else inner, f"{where}.{key}")


_WORDS: Final[Mapping[type, str]] = {
    dict: "un objeto",
    list: "una lista",
    str: "un texto",
    int: "un entero",
    bool: "true o false",
}


def _expect_match(value: object, pattern: re.Pattern[str], words: str, where: str) -> None:
    if pattern.fullmatch(_expect_type(value, str, where)) is None:
        refuse(where, words, f"«{value}»")


def _expect_type(value: object, kind: type, where: str) -> Any:  # noqa: ANN401 - it is what `kind` says
    if type(value) is not kind:
        refuse(where, _WORDS[kind], _WORDS.get(type(value), "null"))
    return value


def refuse(where: str, expected: str, found: object) -> NoReturn:
    """Raise Malformed for the value at this place."""
    raise Malformed(expected, f"{found} en {where.lstrip('.') or 'la raíz'}")
