"""Captures of actas in a file of columns, as a spreadsheet saves it: one acta in each line.

The columns ELECCION and CLAVE_ACTA name the acta; each other column is a field, by its code. A cell holds a number,
ILEGIBLE or SIN DATO; `-` is a field that is not on that acta. An empty cell is an error: nobody can tell whether the
paper was blank or the file was not filled in.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prep.errors import Rejected
from prep.files.csv_tables import DASHES, bare, broken_row, plain_lines, whole, without_bom

ELECTION: Final = "ELECCION"
ACTA: Final = "CLAVE_ACTA"
WORDS: Final[Mapping[str, str]] = {"ILEGIBLE": "ilegible", "SIN DATO": "sin dato"}
ABSENT: Final = "-"
MOST_LINES: Final = 20_000
_DELIMITERS: Final = ",;|\t"
_MOST_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class CaptureLine:
    """One acta of the file: its line, its names and its values; or the reason why it cannot be read."""

    line: int
    election: str
    clave: str
    values: Mapping[str, int | str]
    wrong: str = ""
    """One sentence; empty if the line can be read."""


def read_capture_table(content: bytes) -> list[CaptureLine]:
    """The lines of the file, with an error in each that cannot be read. Raises Rejected if it is no such file."""
    if content.startswith(b"PK"):
        raise Rejected("es un libro de hoja de cálculo: guárdelo como CSV, y dé ese archivo")
    text = _text(content)
    lines = plain_lines(text).split("\n")
    if len(lines) > MOST_LINES:
        raise Rejected(f"el archivo pasa de {MOST_LINES} líneas")
    delimiter = max(_DELIMITERS, key=lines[0].count)
    (_, header), *rows = _rows("\n".join(lines), delimiter) or [(1, [])]
    columns = [bare(each).upper() for each in header]
    # Spreadsheets leave empty columns at the end.
    while columns and not columns[-1]:
        columns.pop()
    for name in (ELECTION, ACTA):
        if columns.count(name) != 1:
            raise Rejected(f"en la primera línea debe estar la columna {name}, una vez")
    if len(set(columns)) != len(columns) or "" in columns:
        raise Rejected("en la primera línea hay una columna repetida o sin nombre")
    found: list[CaptureLine] = []
    seen: dict[tuple[str, str], int] = {}
    for number, row in rows:
        cells = row[: len(columns)] if not any(each.strip() for each in row[len(columns) :]) else row
        if not any(each.strip() for each in cells):
            continue
        read = _read_line(number, columns, cells)
        before = seen.setdefault((read.election, read.clave), number)
        if before != number and not read.wrong:
            read = CaptureLine(number, read.election, read.clave, {}, f"la misma acta está en la línea {before}")
        found.append(read)
    return found


def _rows(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Each row with the line on which it begins: a quoted cell may hold line breaks."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for cells in reader:
            rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise Rejected(f"línea {line}: no se puede separar en columnas: {broken_row(error)}") from None
    return rows


def _text(content: bytes) -> str:
    try:
        text = without_bom(content.decode())
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    except ValueError as error:
        raise Rejected(str(error)) from None
    if "\0" in text:
        raise Rejected("el archivo no es de texto")
    return text


def _read_line(number: int, columns: list[str], cells: list[str]) -> CaptureLine:
    if len(cells) != len(columns):
        return CaptureLine(number, "", "", {}, f"tiene {len(cells)} columnas y la primera línea, {len(columns)}")
    said = {name: bare(cell) for name, cell in zip(columns, cells, strict=True)}
    election, clave = said.pop(ELECTION), said.pop(ACTA)
    values: dict[str, int | str] = {}
    for name, cell in said.items():
        word = WORDS.get(" ".join(cell.upper().split()))
        plain = whole(cell)
        if word is not None:
            values[name] = word
        elif plain.isascii() and plain.isdigit() and len(plain) <= _MOST_DIGITS:
            values[name] = int(plain)
        elif cell.translate(DASHES) != ABSENT:
            sentence = f"columna {name}: se espera un número, ILEGIBLE, SIN DATO o «-», y dice «{cell[:40]}»"
            return CaptureLine(number, election, clave, {}, sentence)
    return CaptureLine(number, election, clave, values)
