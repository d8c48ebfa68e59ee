"""A table as Apache Parquet, in one form alone: the same rows give the same bytes on every machine, for ever.

The libraries that write Parquet choose encodings, page sizes and statistics by their version. A file of theirs could
not be made again after a loss, nor by a person who checks it. This one uses as little of the format as readers need
(parquet-format 2.x: `parquet.thrift`, `Encodings.md`):

- three kinds of column, each of which may lack a value: INT64; UTF-8 text; a moment (TIMESTAMP_MILLIS, UTC);
- row groups of `GROUP` rows; in each, a column is a dictionary page (PLAIN, in the order of first appearance) and one
  data page (version 1, RLE_DICTIONARY, indexes of 8 or 16 bits in one bit-packed run); no compression, no statistics.

A dictionary of at most `GROUP` values keeps an index in 16 bits, and makes votes and names small.
"""

import struct
from array import array
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from sys import byteorder
from typing import Final

GROUP: Final = 16_384
"""Rows of a group. All of one group are in memory at the same time, and no more."""
_MAGIC: Final = b"PAR1"
_MAKER: Final = "prep-abierto"
_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12
"""Types of the compact Thrift protocol."""
_PLAIN, _RLE, _RLE_DICTIONARY = 0, 3, 8
_OPTIONAL: Final = 1


class Kind(StrEnum):
    """What the cells of a column are."""

    NUMBER = "entero"
    TEXT = "texto"
    MOMENT = "fecha y hora"


_TYPES: Final = {Kind.NUMBER: (2, None), Kind.TEXT: (6, 0), Kind.MOMENT: (2, 9)}
"""Physical type (INT64, BYTE_ARRAY) and converted type (UTF8, TIMESTAMP_MILLIS)."""
_IN_UTC: Final = bytes.fromhex("8c111c1c00000000")
"""The logical type TIMESTAMP of a moment: isAdjustedToUTC, and the unit MILLIS."""

Field = tuple[int, int, object]
"""Of a Thrift struct: number, type and value."""


class ParquetWriter:
    """Writes to `sink`, piece by piece. Cells are texts as in a CSV; an empty one is a value that lacks."""

    def __init__(self, sink: Callable[[bytes], object], columns: Sequence[tuple[str, Kind]]) -> None:
        self._sink = sink
        self._columns = columns
        self._at = 0
        self._rows = 0
        self._groups: list[bytes] = []
        self._write(_MAGIC)

    def add(self, cells: Sequence[Sequence[str]]) -> None:
        """One row group of at most `GROUP` rows: the cells of each column."""
        began, rows = self._at, len(cells[0])
        chunks = [self._chunk(name, kind, column) for (name, kind), column in zip(self._columns, cells, strict=True)]
        size = self._at - began
        self._groups.append(_struct((1, _LIST, (_STRUCT, chunks)), (2, _I64, size), (3, _I64, rows)))
        self._rows += rows

    def close(self) -> None:
        """The footer: the columns, and where each of their parts stands."""
        root = _struct((4, _BINARY, "acta"), (5, _I32, len(self._columns)))
        schema = [root, *(_column(name, kind) for name, kind in self._columns)]
        footer = _struct(
            (1, _I32, 1),
            (2, _LIST, (_STRUCT, schema)),
            (3, _I64, self._rows),
            (4, _LIST, (_STRUCT, self._groups)),
            (6, _BINARY, _MAKER),
        )
        self._write(footer + struct.pack("<I", len(footer)) + _MAGIC)

    def _chunk(self, name: str, kind: Kind, cells: Sequence[str]) -> bytes:
        """Write one column of a row group; returns its ColumnChunk."""
        values = [each for each in dict.fromkeys(cells) if each]
        index = {value: place for place, value in enumerate(values)}
        began = self._at
        plain = _plain(kind, values)
        self._write(_dictionary_page(len(plain), len(values)) + plain)
        data_at = self._at
        data = _levels(cells) + _indexes([index[cell] for cell in cells if cell], len(values))
        self._write(_data_page(len(data), len(cells)) + data)
        size = self._at - began
        told = _struct(
            (1, _I32, _TYPES[kind][0]),
            (2, _LIST, (_I32, [_signed(each) for each in (_PLAIN, _RLE, _RLE_DICTIONARY)])),
            (3, _LIST, (_BINARY, [_text(name)])),
            (4, _I32, 0),
            (5, _I64, len(cells)),
            (6, _I64, size),
            (7, _I64, size),
            (9, _I64, data_at),
            (11, _I64, began),
        )
        return _struct((2, _I64, began), (3, _STRUCT, told))

    def _write(self, piece: bytes) -> None:
        self._sink(piece)
        self._at += len(piece)


# --- pages ------------------------------------------------------------------------------------------------------------


def _plain(kind: Kind, values: Sequence[str]) -> bytes:
    match kind:
        case Kind.TEXT:
            return b"".join([struct.pack("<I", len(held)) + held for held in map(str.encode, values)])
        case Kind.NUMBER:
            return b"".join([struct.pack("<q", int(value)) for value in values])
        case Kind.MOMENT:
            return b"".join(
                [struct.pack("<q", int(datetime.fromisoformat(value).timestamp()) * 1000) for value in values]
            )


def _levels(cells: Sequence[str]) -> bytes:
    """For each cell, one bit: whether it has a value. In one bit-packed run, after its length."""
    bits = "".join(["1" if cell else "0" for cell in reversed(cells)])
    groups = -(-len(cells) // 8)
    run = _varint(groups << 1 | 1) + int(bits or "0", 2).to_bytes(groups, "little")
    return struct.pack("<I", len(run)) + run


def _indexes(places: Sequence[int], distinct: int) -> bytes:
    """The places of the values in the dictionary, in one bit-packed run of 8 or 16 bits each, filled up to eights."""
    width = 8 if distinct <= 1 << 8 else 16
    groups = -(-len(places) // 8)
    packed = array("B" if width == 8 else "H", [*places, *[0] * (groups * 8 - len(places))])
    if byteorder == "big":
        packed.byteswap()
    return bytes([width]) + (_varint(groups << 1 | 1) + packed.tobytes() if places else b"")


# Heads of pages are alike in many small files.


@lru_cache(1 << 12)
def _dictionary_page(size: int, values: int) -> bytes:
    held = _struct((1, _I32, values), (2, _I32, _PLAIN))
    return _struct((1, _I32, 2), (2, _I32, size), (3, _I32, size), (7, _STRUCT, held))


@lru_cache(1 << 12)
def _data_page(size: int, cells: int) -> bytes:
    held = _struct((1, _I32, cells), (2, _I32, _RLE_DICTIONARY), (3, _I32, _RLE), (4, _I32, _RLE))
    return _struct((1, _I32, 0), (2, _I32, size), (3, _I32, size), (5, _STRUCT, held))


def _column(name: str, kind: Kind) -> bytes:
    physical, converted = _TYPES[kind]
    told: list[Field] = [(1, _I32, physical), (3, _I32, _OPTIONAL), (4, _BINARY, name)]
    told += [] if converted is None else [(6, _I32, converted)]
    return _struct(*told, *([(10, _STRUCT, _IN_UTC)] if kind is Kind.MOMENT else []))


# --- the compact Thrift protocol --------------------------------------------------------------------------------------


def _struct(*fields: Field) -> bytes:
    """Fields in the order of their numbers; a nested struct is given as its bytes."""
    out, last = [], 0
    for number, kind, value in fields:
        out.append(bytes([(number - last) << 4 | kind]))  # numbers are at most 15 apart
        last = number
        match value:
            case bytes():
                out.append(value)
            case str():
                out.append(_text(value))
            case int():
                out.append(_signed(value))
            case (int() as inner, list() as items):
                head = (
                    bytes([len(items) << 4 | inner]) if len(items) < 15 else bytes([0xF0 | inner]) + _varint(len(items))
                )
                out.append(head + b"".join(items))
    return b"".join([*out, b"\0"])


@lru_cache(1 << 12)
def _text(value: str) -> bytes:
    held = value.encode()
    return _varint(len(held)) + held


@lru_cache(1 << 12)
def _signed(value: int) -> bytes:
    """Zigzag; no number here is negative."""
    return _varint(value << 1)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
