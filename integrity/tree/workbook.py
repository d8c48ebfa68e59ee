"""A workbook (.xlsx), in one form alone: the same sheets give the same bytes on every machine, for ever.

It uses as little of the format as readers need (ECMA-376: `sml.xsd`, and a ZIP):

- no compression: the bytes of deflate change with the version of zlib. No hour of the clock, no rights of a file;
- a text stands in its cell (`inlineStr`). No cell is a formula, so a text that begins with `=` is that text;
- no styles, and no names of cells: readers count them.

The directory of a ZIP tells the size and the CRC of its files, and they stand before each file too. So the rows of a
sheet are in memory until its end: a sheet of many rows needs a bound.
"""

import re
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from integrity.tree.parquet import Kind

MOST_ROWS: Final = 20_000
"""Rows of a table that becomes a sheet. Without compression, that of a national election would be 230 MB a corte."""
_NUMBER: Final = re.compile(r"[0-9]{1,15}|[0-9]{1,10}\.[0-9]{4}")
"""A spreadsheet keeps 15 digits of a number. A longer one is a text."""
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML 1.0 cannot hold, and CR, of which its readers make LF."""
_CODED: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
"""Readers take `_x0041_` for an A, unless its first letter is written in that way itself."""
_SPACES: Final = " \t\n"
"""Readers drop them at both ends of a text, unless it says that they stay."""
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_FORMATS: Final = "http://schemas.openxmlformats.org"
_MAIN: Final = f'xmlns="{_FORMATS}/spreadsheetml/2006/main"'
_LINKS: Final = f"{_FORMATS}/officeDocument/2006/relationships"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"


class BookSheet:
    """Takes the rows of one sheet, group by group. Of more than `most` rows it keeps none."""

    def __init__(self, name: str, columns: Sequence[tuple[str, Kind]], most: int = sys.maxsize) -> None:
        self.name = name
        self._shown = [_Shown(kind) for _, kind in columns]
        above = _Shown(Kind.TEXT)
        self._parts = [_rows([[above[name]] for name, _ in columns])]
        self._most, self._count = most, 0

    @property
    def whole(self) -> bool:
        """Whether all rows are kept."""
        return self._count <= self._most

    def add(self, cells: Sequence[Sequence[str]]) -> None:
        """The cells of each column, as texts; an empty one has no value."""
        self._count += len(cells[0])
        if self.whole:
            shown = [map(seen.__getitem__, column) for seen, column in zip(self._shown, cells, strict=True)]
            self._parts.append(_rows(shown))
        else:
            self._parts.clear()

    def content(self) -> bytes:
        head = f"{_HEAD}<worksheet {_MAIN}><sheetData>".encode()
        return b"".join([head, *self._parts, b"</sheetData></worksheet>"])


def workbook(sheets: Sequence[BookSheet]) -> Iterator[bytes]:
    """The bytes of the book, piece by piece, one sheet in memory twice."""
    entries, at = [], 0
    for name, content in _files(sheets):
        named = name.encode()
        about = (20, 0, 0, 0, _DAY, zlib.crc32(content), len(content), len(content), len(named), 0)
        entries.append(struct.pack(_ENTRY, b"PK\1\2", _MADE, *about, 0, 0, 0, _RIGHTS, at) + named)
        head = struct.pack(_LOCAL, b"PK\3\4", *about) + named
        yield head
        yield content
        at += len(head) + len(content)
    directory = b"".join(entries)
    yield directory
    yield struct.pack(_END, b"PK\5\6", 0, 0, len(entries), len(entries), len(directory), at, 0)


_LOCAL, _ENTRY, _END = "<4s5H3L2H", "<4s6H3L5H2L", "<4s4H2LH"
_DAY: Final = 1 << 5 | 1
"""1980-01-01, the first day that a ZIP can tell."""
_MADE: Final = 3 << 8 | 20
"""Version 2.0 of the format, with the rights of Unix."""
_RIGHTS: Final = 0o644 << 16


def _files(sheets: Sequence[BookSheet]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, in order."""
    numbers = range(1, len(sheets) + 1)
    parts = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_TYPE}.worksheet+xml"/>' for n in numbers
    )
    types = (
        f'<Types xmlns="{_FORMATS}/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>{parts}</Types>'
    )
    named = "".join(
        f'<sheet name="{sheet.name}" sheetId="{n}" r:id="rId{n}"/>' for n, sheet in zip(numbers, sheets, strict=True)
    )
    book = f'<workbook {_MAIN} xmlns:r="{_LINKS}"><sheets>{named}</sheets></workbook>'
    yield "[Content_Types].xml", (_HEAD + types).encode()
    yield "_rels/.rels", _links([("officeDocument", "xl/workbook.xml")])
    yield "xl/workbook.xml", (_HEAD + book).encode()
    yield "xl/_rels/workbook.xml.rels", _links([("worksheet", f"worksheets/sheet{n}.xml") for n in numbers])
    for n, sheet in zip(numbers, sheets, strict=True):
        yield f"xl/worksheets/sheet{n}.xml", sheet.content()


def _links(targets: Sequence[tuple[str, str]]) -> bytes:
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{_LINKS}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets, 1)
    )
    return f'{_HEAD}<Relationships xmlns="{_FORMATS}/package/2006/relationships">{links}</Relationships>'.encode()


# --- cells ------------------------------------------------------------------------------------------------------------


class _Shown(dict[str, str]):
    """The XML of a cell, made once for each text of its column."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self._kind = kind

    def __missing__(self, cell: str) -> str:
        self[cell] = made = self._made(cell)
        return made

    def _made(self, cell: str) -> str:
        if not cell:
            return "<c/>"
        number = self._kind is Kind.NUMBER and _NUMBER.fullmatch(cell)
        return f"<c><v>{cell}</v></c>" if number else _text(cell)


def _text(cell: str) -> str:
    held = escape(_CODED.sub("_x005F_", _FORBIDDEN.sub("\ufffd", cell)), quote=False)
    space = "" if held == held.strip(_SPACES) else ' xml:space="preserve"'
    return f'<c t="inlineStr"><is><t{space}>{held}</t></is></c>'


def _rows(columns: Sequence[Iterator[str] | Sequence[str]]) -> bytes:
    return "".join([f"<row>{''.join(cells)}</row>" for cells in zip(*columns, strict=True)]).encode()
