"""Read the CANDIDATURAS files that institutes have really published: the people of each column and territory."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prep.errors import Rejected
from prep.files.csv_tables import bare, shown
from prep.files.official_text import DELIMITERS, PREAMBLE_LINES, read_lines, read_rows, refuse
from prep.files.official_words import SYNONYMS, canonical_column, column_name, nothing, office_column

_SUM: Final = re.compile(r"SUM(?:A)?[-_]", re.IGNORECASE)
_DIGITS: Final = re.compile(r"\d{1,9}", re.ASCII)
_COLUMNS: Final[Mapping[str, str]] = {
    "ID_DISTRITO_FEDERAL": "ID_DISTRITO_LOCAL",
    "DISTRITO_FEDERAL": "DISTRITO_LOCAL",
    "PARTIDO": "PARTIDO_CI",
    "SIGLAS": "PARTIDO_CI",
    "CANDIDATURA": "CANDIDATURA_PROPIETARIA",
    "PROPIETARIO": "CANDIDATURA_PROPIETARIA",
    "PROPIETARIA": "CANDIDATURA_PROPIETARIA",
    "CANDIDATO_PROPIETARIO": "CANDIDATURA_PROPIETARIA",
    "SUPLENTE": "CANDIDATURA_SUPLENTE",
    "CANDIDATO_SUPLENTE": "CANDIDATURA_SUPLENTE",
}


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """One line of a CANDIDATURAS file."""

    line: int
    entidad: int | None
    distrito: int | None
    """Set if the file has a column for a district, or for a junta, comunidad, comisaría or demarcación."""
    municipio: int | None
    code: str
    """The party, combination or independent, as printed, without the mark of a sum."""
    suma: bool
    """The line stands for a coalition as a whole (SUM-A-B), not for a vote column."""
    propietaria: str
    suplente: str
    lugar: str = ""
    """The name of the territory, if the file names it."""


def read_candidates(data: bytes) -> list[CandidateRow]:
    """A CANDIDATURAS file in any encoding and delimiter, with or without suplentes.

    Raises Rejected, with line and column, if it is a file of another kind.
    """
    lines = read_lines(data)
    delimiter, start = find_candidates_header(lines)
    (_, header), *body = read_rows(lines[start:], delimiter, start)
    names = [_name(name) for name in header]
    # Our own files name the territory that elects between the entidad and the party: ID_<kind>, of any kind.
    if "PARTIDO_CI" in names and "ID_DISTRITO_LOCAL" not in names:
        own = [name for name in names[: names.index("PARTIDO_CI")] if name.startswith("ID_") and name not in SYNONYMS]
        names = ["ID_DISTRITO_LOCAL" if own == [name] else name for name in names]
    place = {name: index for index, name in reversed([*enumerate(names)])}
    return [_candidate(line, cells, place) for line, cells in body]


def _name(cell: str) -> str:
    folded = column_name(cell)
    known = canonical_column(folded)
    known = office_column(folded) or known
    return _COLUMNS.get(known, known)


def find_candidates_header(lines: Sequence[str]) -> tuple[str, int]:
    """The delimiter, and the index of the line with the names of the columns. Raises Rejected if there is none."""
    for index, line in enumerate(lines[:PREAMBLE_LINES]):
        for delimiter in DELIMITERS:
            if {"PARTIDO_CI", "CANDIDATURA_PROPIETARIA"} <= {_name(name) for name in line.split(delimiter)}:
                return delimiter, index
    raise Rejected(
        "no es un archivo de candidaturas: ninguna línea nombra las columnas PARTIDO_CI y CANDIDATURA_PROPIETARIA"
    )


def _candidate(line: int, cells: Sequence[str], place: Mapping[str, int]) -> CandidateRow:
    def text(column: str) -> str:
        found = bare(cells[place[column]]) if column in place else ""
        return "" if nothing(found) else " ".join(found.split())

    def number(column: str) -> int | None:
        said = text(column)
        if not said:
            return None
        if not _DIGITS.fullmatch(said):
            refuse(line, column, f"«{shown(said)}» no es un número")
        return int(said)

    def territory(column: str) -> int | None:
        """By its ID, or by a number that stands in the column of the name."""
        named = text(column)
        return number(f"ID_{column}") if f"ID_{column}" in place else int(named) if _DIGITS.fullmatch(named) else None

    code = text("PARTIDO_CI")
    if not code:
        refuse(line, "PARTIDO_CI", "falta el partido o la combinación")
    names = [name for name in (text("DISTRITO_LOCAL"), text("MUNICIPIO")) if name and not _DIGITS.fullmatch(name)]
    return CandidateRow(
        line=line,
        entidad=number("ID_ENTIDAD"),
        distrito=territory("DISTRITO_LOCAL"),
        municipio=territory("MUNICIPIO"),
        code=_SUM.sub("", code, count=1) if _SUM.match(code) else code,
        suma=_SUM.match(code) is not None,
        propietaria=text("CANDIDATURA_PROPIETARIA"),
        suplente=text("CANDIDATURA_SUPLENTE"),
        lugar=names[0] if names else "",
    )
