"""The cells of a sheet as texts in their places, and the sheet that a text in columns is.

A row and a column are those that the person sees: rows from 1, columns from A. `prep/scan/books.py` reads the sheets of
a book.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from prep.errors import Rejected
from prep.files.csv_tables import broken_row, plain_lines, without_bom

MOST_ROWS: Final = 20_000
_DELIMITERS: Final = ",;|\t"
_SAID_DELIMITER: Final = re.compile(r"sep=([,;|\t])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TableSheet:
    """One sheet: its rows that hold anything, each with its number. A text in columns is a sheet without a name."""

    name: str
    rows: Sequence[tuple[int, Sequence[str]]]
    hidden: bool = False
    merged: str = ""
    """The first range of merged cells; empty if there is none, or if the format does not tell."""


def read_text(content: bytes) -> TableSheet:
    """The cells of a text in columns. Raises Rejected with one sentence if it is no text, or is too long."""
    return _sheet_of_text(_text_of(content))


def letter(column: int) -> str:
    """The name of a column, from 0: A, B, …, Z, AA, …"""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def _text_of(content: bytes) -> str:
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            text = content.decode("utf-16")
        else:
            text = without_bom(content.decode())
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    except ValueError as error:
        raise Rejected(str(error)) from None
    if "\0" in text:
        raise Rejected("el archivo no es de texto")
    return plain_lines(text)


def _sheet_of_text(text: str) -> TableSheet:
    lines = text.split("\n")
    if len(lines) > MOST_ROWS:
        raise _too_long()
    said = _SAID_DELIMITER.fullmatch(lines[0].strip(" "))
    if said:
        lines[0] = ""  # its rows keep their numbers
    first = next((line for line in lines if line.strip()), "")
    delimiter = said[1] if said else max(_DELIMITERS, key=first.count)
    rows: list[list[str]] = []
    try:
        rows.extend(csv.reader(io.StringIO("\n".join(lines), newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        where = f"renglón {len(rows) + 1}"
        raise Rejected(f"{where}: no se puede separar en columnas: {broken_row(error)}") from None
    return TableSheet("", numbered(rows))


def numbered(rows: Sequence[Sequence[str]]) -> list[tuple[int, Sequence[str]]]:
    """The rows that hold anything, each with its number. Raises Rejected if there are too many."""
    if len(rows) > MOST_ROWS:
        raise _too_long()
    return [(number, cells) for number, cells in enumerate(rows, 1) if any(cell.strip() for cell in cells)]


def _too_long() -> Rejected:
    return Rejected(f"el archivo pasa de {MOST_ROWS} renglones")
