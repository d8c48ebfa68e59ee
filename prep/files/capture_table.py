"""Captures of actas in a file of columns, as a spreadsheet saves it: one acta in each row.

The columns ELECCION and CLAVE_ACTA name the acta; each other column is a field, by its code. A cell holds a number,
ILEGIBLE or SIN DATO; `-` is a field that is not on that acta. An empty cell is an error: nobody can tell whether the
paper was blank or the file was not filled in. An acta that stands twice is an error in both rows: nobody can tell which
of them is right.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from prep.errors import Rejected
from prep.files.csv_tables import DASHES, bare, shown, without_thousands
from prep.files.sheets import TableSheet, letter

ELECTION: Final = "ELECCION"
ACTA: Final = "CLAVE_ACTA"
WORDS: Final[Mapping[str, str]] = {"ILEGIBLE": "ilegible", "SIN DATO": "sin dato"}
ABSENT: Final = "-"
MOST_ACTAS: Final = 2_000
_MOST_DIGITS: Final = 9
_MOST_NAME: Final = 40
_WHOLE: Final = re.compile(r"(\d+)[.,]0{1,2}", re.ASCII)
"""12.0, as programs write a whole number. 1.000 may be a thousand, or one: it is not read."""


@dataclass(frozen=True, slots=True)
class CellProblem:
    """One sentence about one cell; `column` is the name of its column, or "" if the whole row is meant."""

    column: str
    sentence: str


@dataclass(frozen=True, slots=True)
class CaptureRow:
    """One acta of the file: its row, its names and its values; and the problems of its cells."""

    row: int
    election: str
    clave: str
    values: Mapping[str, int | str]
    problems: tuple[CellProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class CaptureTable:
    """The actas of a file."""

    sheet: str
    """The sheet of the book; empty for text."""
    rows: Sequence[CaptureRow]
    places: Mapping[str, str]
    """The name of a column → the name with its letter, as the person sees both: `D (PAN)`."""
    notes: tuple[str, ...] = ()
    """Sentences about parts of the file that were not read."""


def table_of(sheets: Sequence[TableSheet]) -> CaptureTable:
    """The actas of the sheets of a file, with the problems of each. Raises Rejected if it is no file of captures."""
    sheet, notes = _sheet_of_actas(sheets)
    (_, head), *rows = sheet.rows
    if len(rows) > MOST_ACTAS:
        raise Rejected(f"el archivo trae {len(rows)} actas; a lo más {MOST_ACTAS}: divídalo")
    names = [_name_of(cell) for cell in head]
    while names and not names[-1]:
        names.pop()
    for at, name in enumerate(names):
        if name and names.index(name) != at:
            twice = f"{letter(names.index(name))} y {letter(at)}"
            raise Rejected(f"la columna {name} está dos veces en el encabezado ({twice})")
    read = [_read_row(number, names, cells) for number, cells in rows]
    places = {name: f"{letter(at)} ({name})" for at, name in enumerate(names) if name}
    return CaptureTable(sheet.name, _without_twins(read), places, notes)


def _sheet_of_actas(sheets: Sequence[TableSheet]) -> tuple[TableSheet, tuple[str, ...]]:
    """The one sheet whose first row names actas, and sentences about the others."""
    of_actas = [each for each in sheets if each.rows and {ELECTION, ACTA} <= set(map(_name_of, each.rows[0][1]))]
    if len(of_actas) > 1:
        names = ", ".join(f"«{shown(each.name)}»" for each in of_actas)
        raise Rejected(f"hay actas en varias hojas ({names}): deje una en el libro")
    if not of_actas:
        where = "en el primer renglón con datos" if len(sheets) == 1 else "en el primer renglón de alguna hoja visible"
        raise Rejected(f"{where} deben estar las columnas {ELECTION} y {ACTA}")
    [found] = of_actas
    notes = [
        f"La hoja oculta «{shown(each.name)}» no se lee." if each.hidden else f"La hoja «{shown(each.name)}» no se lee."
        for each in sheets
        if each is not found and (each.hidden or each.rows)
    ]
    if found.merged:
        notes.append(f"Hay celdas combinadas ({found.merged}): solo la primera de ellas tiene el dato.")
    return found, tuple(notes)


def _name_of(cell: str) -> str:
    return bare(cell).upper()


def _read_row(number: int, names: Sequence[str], cells: Sequence[str]) -> CaptureRow:
    said = {ELECTION: "", ACTA: ""}
    values: dict[str, int | str] = {}
    problems = []
    for at in range(max(len(names), len(cells))):
        name, cell = names[at] if at < len(names) else "", bare(cells[at]) if at < len(cells) else ""
        if not name and cell:
            sentence = f"la columna {letter(at)} no tiene nombre en el encabezado, y dice «{shown(cell)}»"
            problems.append(CellProblem("", sentence))
        if not name:
            continue
        try:
            if name in said:
                said[name] = _read_name(cell)
            elif (value := _read_value(cell)) is not None:
                values[name] = value
        except ValueError as wrong:
            problems.append(CellProblem(name, str(wrong)))
    return CaptureRow(number, said[ELECTION], said[ACTA], values, tuple(problems))


def _read_name(cell: str) -> str:
    if not cell:
        raise ValueError("la celda está vacía")
    if len(cell) > _MOST_NAME or not cell.isprintable():
        raise ValueError(f"no es el nombre de una elección ni la clave de un acta: «{shown(cell)}»")
    return cell


def _read_value(cell: str) -> int | str | None:
    """A number or a word; None for a field that is not on the acta. Raises ValueError with a sentence."""
    word = WORDS.get(" ".join(cell.upper().split()))
    if word is not None:
        return word
    whole = _WHOLE.fullmatch(cell)
    plain = whole[1] if whole else without_thousands(cell)
    if plain.isascii() and plain.isdigit() and len(plain) <= _MOST_DIGITS:
        return int(plain)
    if cell.translate(DASHES) == ABSENT:
        return None
    said = f"dice «{shown(cell)}»" if cell else "está vacía"
    raise ValueError(f"se espera un número, ILEGIBLE, SIN DATO o «-», y la celda {said}")


def _without_twins(rows: Sequence[CaptureRow]) -> list[CaptureRow]:
    """The rows; those of an acta that stands in several of them say so."""
    of: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for each in rows:
        if each.election and each.clave:
            of[each.election, each.clave].append(each.row)
    return [
        each
        if len(same := of[each.election, each.clave]) < 2
        else replace(
            each, problems=(*each.problems, CellProblem(ACTA, f"la misma acta está en los renglones {_told(same)}"))
        )
        for each in rows
    ]


def _told(rows: Sequence[int]) -> str:
    few = ", ".join(map(str, rows[:5]))
    return f"{few} y {len(rows) - 5} más" if len(rows) > 5 else few
