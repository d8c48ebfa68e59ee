"""DER, as much as signed messages need (X.690): a strict reader of bytes from others, and a writer.

Each value has one encoding: definite shortest lengths, shortest integers, whole bytes, no byte after the end. Otherwise
a signer could show two readings of the same signed bytes. Every reader raises Malformed.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from integrity.sums import Malformed

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
OCTETS: Final = 0x04
NULL: Final = 0x05
OID: Final = 0x06
UTF8: Final = 0x0C
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31

_LONG_TAG: Final = 0x1F
_SHORT: Final = 0x80
_LONGEST_LENGTH: Final = 4
_MOST_PARTS: Final = 4096
_LONGEST_OID: Final = 64
_LONGEST_INTEGER: Final = 64
_LAST_UTC_YEAR: Final = 2049
_UTC: Final = re.compile(rb"\d{12}Z", re.ASCII)
_GENERALIZED: Final = re.compile(rb"(\d{14})(?:\.(\d{0,8}[1-9]))?Z", re.ASCII)


def context(number: int, *, constructed: bool = True) -> int:
    """The tag [number]."""
    return (0xA0 if constructed else 0x80) | number


class Element(NamedTuple):
    """One element: its tag, its content, and all of its bytes."""

    tag: int
    content: bytes
    raw: bytes


# --- reading ----------------------------------------------------------------------------------------------------------


def read(data: bytes, what: str) -> Element:
    """The one element that `data` holds. `what` is its Spanish name in the errors."""
    element, end = _read_element_at(data, 0, what)
    if end != len(data):
        raise Malformed(f"{what} y nada después", f"{len(data) - end} bytes de más")
    return element


def _read_element_at(data: bytes, start: int, what: str) -> tuple[Element, int]:
    if len(data) < start + 2 or data[start] & _LONG_TAG == _LONG_TAG:
        raise Malformed(f"{what} en DER", "otra cosa, o algo cortado")
    length, body = data[start + 1], start + 2
    # The long form: the byte tells how many bytes of length follow. It must be needed, and may have no zero in front.
    if length >= _SHORT:
        size = length - _SHORT
        length = int.from_bytes(data[body : body + size], "big")
        body += size
        if not 1 <= size <= _LONGEST_LENGTH or length < _SHORT or length >> (8 * (size - 1)) == 0:
            raise Malformed(f"{what} con su largo en la forma más corta (DER)", "otra forma de largo")
    end = body + length
    if end > len(data):
        raise Malformed(f"{what} completo", "algo cortado")
    return Element(data[start], data[body:end], data[start:end]), end


def parts(element: Element, what: str) -> list[Element]:
    """The elements inside a constructed one."""
    found: list[Element] = []
    at = 0
    while at < len(element.content):
        part, at = _read_element_at(element.content, at, what)
        found.append(part)
        if len(found) > _MOST_PARTS:
            raise Malformed(f"{what} con hasta {_MOST_PARTS} partes", "más")
    return found


class Fields:
    """The elements of a sequence, taken one by one in their order."""

    def __init__(self, element: Element, what: str, *, tag: int = SEQUENCE) -> None:
        if element.tag != tag:
            raise Malformed(f"{what} en DER", "un elemento de otro tipo")
        self._what = what
        self._left = parts(element, what)

    def take(self, *tags: int) -> Element:
        """The next element, which must have one of these tags; without tags, any."""
        if not self._left or (tags and self._left[0].tag not in tags):
            raise Malformed(f"{self._what} con todos sus campos", "uno que falta o es de otro tipo")
        return self._left.pop(0)

    def maybe(self, tag: int) -> Element | None:
        """The next element if it has that tag; else None, and it stays the next."""
        return self._left.pop(0) if self._left and self._left[0].tag == tag else None

    def end(self) -> None:
        """Raises Malformed if an element is left: it would be signed, and nobody would have read it."""
        if self._left:
            raise Malformed(f"{self._what} sin nada más", "campos de más")


def read_integer(element: Element) -> int:
    """A whole number in its shortest form. Raises Malformed."""
    content = element.content
    sign = b"\xff" if content[1:2] >= b"\x80" else b"\0"  # what the second byte says by itself
    longer = len(content) > 1 and content[:1] == sign
    if element.tag != INTEGER or not 1 <= len(content) <= _LONGEST_INTEGER or longer:
        raise Malformed("un entero en DER", "otra cosa")
    return int.from_bytes(content, "big", signed=True)


def read_oid(element: Element) -> str:
    """An object identifier in dotted form. Raises Malformed."""
    content = element.content
    if element.tag != OID or not 1 <= len(content) <= _LONGEST_OID or content[-1] >= _SHORT:
        raise Malformed("un identificador de objeto", "otra cosa")
    arcs: list[int] = []
    value = 0
    # Seven bits for each byte; the high bit says that the number goes on. A first byte of 0x80 would be a leading zero.
    for place, byte in enumerate(content):
        if byte == _SHORT and (place == 0 or content[place - 1] < _SHORT):
            raise Malformed("un identificador de objeto en su forma más corta", "otra forma")
        value = value << 7 | byte & 0x7F
        if byte < _SHORT:
            arcs.append(value)
            value = 0
    # X.690 §8.19.4: the first number holds two arcs, as 40 times the first arc plus the second.
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))


def read_time(element: Element) -> datetime:
    """The moment of a UTCTime or a GeneralizedTime, in UTC."""
    try:
        if element.tag == UTC_TIME and _UTC.fullmatch(element.content):
            digits = element.content[:12].decode()
            # RFC 5280 §4.1.2.5.1: two digits from 50 on are of the last century.
            century = "20" if digits < "50" else "19"
            return _utc_of_digits(century + digits)
        if element.tag == GENERALIZED_TIME and (match := _GENERALIZED.fullmatch(element.content)):
            micros = int((match[2] or b"0").ljust(6, b"0")[:6])
            return _utc_of_digits(match[1].decode()).replace(microsecond=micros)
    except ValueError:
        pass
    raise Malformed("una fecha y hora UTC en DER", "otra cosa")


def _utc_of_digits(digits: str) -> datetime:
    return datetime.strptime(digits + "+0000", "%Y%m%d%H%M%S%z").astimezone(UTC)


# --- writing ----------------------------------------------------------------------------------------------------------


def element(tag: int, *contents: bytes) -> bytes:
    """One element: tag, shortest length, contents one after the other."""
    content = b"".join(contents)
    if len(content) < _SHORT:
        return bytes([tag, len(content)]) + content
    size = (len(content).bit_length() + 7) // 8
    return bytes([tag, _SHORT | size]) + len(content).to_bytes(size, "big") + content


def sequence(*contents: bytes) -> bytes:
    """A SEQUENCE of these elements."""
    return element(SEQUENCE, *contents)


def set_of(contents: Sequence[bytes]) -> bytes:
    """A set. DER orders its elements by their bytes."""
    return element(SET, *sorted(contents))


def integer(value: int) -> bytes:
    """An INTEGER in its shortest form; negative numbers in two's complement."""
    magnitude = value if value >= 0 else ~value
    return element(INTEGER, value.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True))


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER from its dotted form."""
    first, second, *arcs = map(int, dotted.split("."))
    return element(OID, *map(_base128, [40 * first + second, *arcs]))


def _base128(value: int) -> bytes:
    # The lowest seven bits come last; all but the last byte have the high bit.
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | _SHORT)
    return bytes(reversed(digits))


def time(at: datetime) -> bytes:
    """The moment in whole seconds: UTCTime up to 2049, then GeneralizedTime, as CMS asks (RFC 5652 §11.3)."""
    utc = at.astimezone(UTC)
    if utc.year <= _LAST_UTC_YEAR:
        return element(UTC_TIME, f"{utc:%y%m%d%H%M%S}Z".encode())
    return generalized_time(utc)


def generalized_time(at: datetime) -> bytes:
    """A GeneralizedTime in UTC, in whole seconds."""
    return element(GENERALIZED_TIME, f"{at.astimezone(UTC):%Y%m%d%H%M%S}Z".encode())
