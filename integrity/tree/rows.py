"""The official CSV of a corte, row by row: is each what the rules make of its own votes, and what do they add up to.

Nothing is taken from the derived columns: votes are summed again, observations and CONTABILIZADA derived again from the
rule set in the manifest (`domain.md` §4-6). A file is read line by line, so that a national one needs no more memory
than a small one; and from one corte to the next only the lines that changed are read again, because on a long night
almost none do.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Final, NamedTuple

from integrity.report import Ledger
from integrity.sums import HEX
from integrity.tree.documents import SUMMARY_NAMES, Election, Rules

_LONGEST_LINE: Final = 1 << 16
_BOM: Final = b"\xef\xbb\xbf"
_NOTHING: Final = "-"
_SIN_ACTA: Final = "Sin acta"
_ILEGIBLE: Final = "Ilegible"
_SIN_DATO: Final = "Sin dato"
_NO_TERRITORY: Final = frozenset({"", "-", "N/A"})
_PREAMBLE: Final = 7
_MOMENT: Final = re.compile(r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d|-", re.ASCII)

_IDENTIFICATION: Final = ("SECCION", "ID_CASILLA", "TIPO_CASILLA", "EXT_CONTIGUA", "UBICACION_CASILLA", "TIPO_ACTA")
_QUANTITIES: Final = (
    "TOTAL_BOLETAS_SOBRANTES",
    "TOTAL_PERSONAS_VOTARON",
    "TOTAL_REP_PARTIDO_CI_VOTARON",
    "TOTAL_VOTOS_SACADOS",
)
_TAIL: Final = (
    "TOTAL_VOTOS_ASENTADO",
    "TOTAL_VOTOS_CALCULADO",
    "LISTA_NOMINAL",
    "REPRESENTANTES_PP_CI",
    "OBSERVACIONES",
    "CONTABILIZADA",
    "MECANISMOS_TRASLADO",
    "CODIGO_INTEGRIDAD",
    "FECHA_HORA_ACOPIO",
    "FECHA_HORA_CAPTURA",
    "FECHA_HORA_VERIFICACION",
    "ORIGEN",
    "DIGITALIZACION",
    "TIPO_DOCUMENTO",
    "COTEJADA",
)

OBSERVATIONS: Final = (
    "excede_lista_nominal",
    "todos_ilegibles",
    "todos_vacios",
    "todos_sin_numero",
    "ilegible",
    "sin_dato",
    "sin_acta_1",
    "sin_acta_2",
    "sin_acta_3",
    "sin_acta_4",
    "proceso_tecnico_operativo",
    "fuera_de_catalogo",
)
"""Codes of the criteria, in the order in which their texts are printed."""
_EXCEDE: Final = frozenset({"excede_lista_nominal"})
_PROCESO: Final = frozenset({"proceso_tecnico_operativo"})
"""Whether an acta was identified by another procedure is nowhere else in its row: either text is right."""


class Place(NamedTuple):
    """Where a row's casilla votes: entidad, and the territory of the file's own column (0 for none)."""

    entidad: int
    territory: int


ESPERADAS, CONTABILIZADAS, NO_CONTABILIZADAS, INCONSISTENTES, SIN_ACTA, LISTA, CON, SIN = range(8)
VOTES: Final = 8
"""A sum is one list of integers: the eight counts named above, then the votes of every option by position."""

Sum = list[int]


def add(target: Sum, other: Sum, sign: int = 1) -> None:
    for place, amount in enumerate(other):
        if amount:
            target[place] += sign * amount


class Columns:
    """Where every column of one election's file stands."""

    def __init__(self, election: Election) -> None:
        own = {"municipio": ("ID_MUNICIPIO", "MUNICIPIO")}.get(
            election.territory, (f"ID_{election.territory.upper()}", election.territory.upper())
        )
        codes = tuple(option.code for option in election.options)
        before = ("CLAVE_CASILLA", "CLAVE_ACTA", "ID_ENTIDAD", "ENTIDAD", *own, *_IDENTIFICATION)
        self.names = (*before, *_QUANTITIES, *codes, *_TAIL)
        self.votes = slice(len(before) + len(_QUANTITIES), len(before) + len(_QUANTITIES) + len(codes))
        self.quantities = slice(len(before), self.votes.start)
        self.identity = slice(0, len(before))
        self.tail = {name: self.votes.stop + place for place, name in enumerate(_TAIL)}
        self.filled = slice(len(before), self.tail["TOTAL_VOTOS_CALCULADO"] + 1)
        self.after = slice(self.tail["OBSERVACIONES"], len(self.names))


@dataclass
class Table:
    """What one election's file says in one corte."""

    file: Path
    sums: dict[Place, Sum]
    fuera: int
    rows: int
    sound: bool
    """Nothing was wrong with any row: the next corte need only look at what changed."""
    published: dict[str, str] = field(default_factory=dict)
    """CODIGO_INTEGRIDAD (or "-") by CLAVE_ACTA of the actas that have been captured; only where it was asked for."""


# --- rules ------------------------------------------------------------------------------------------------------------


def unread(rules: Rules, *, ilegible: bool, sin_dato: bool, number: bool) -> frozenset[str]:
    """What is observed of vote fields that hold no number (§5)."""
    partial_codes = {code for code, holds in (("ilegible", ilegible), ("sin_dato", sin_dato)) if holds}
    if number or not partial_codes or (ilegible and sin_dato and rules.mixed_without_number_counts):
        return frozenset(partial_codes)
    every = "todos_sin_numero" if ilegible and sin_dato else "todos_ilegibles" if ilegible else "todos_vacios"
    if rules.partial_beside_all or every not in rules.texts:
        return frozenset({every, *partial_codes})
    return frozenset({every})


# --- one row ----------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """What a row adds: `amounts` to the sums of `place`; both None for a row fuera de catálogo."""

    clave: str
    place: Place | None
    amounts: Sum | None
    captured: bool
    codigo: str


Wrong = Callable[..., None]


def _silent(*_: object, **__: object) -> None:
    """For a line that was judged in the corte before."""


def natural(cell: str) -> int | None:
    """The whole number in a cell, written without leading zeros; None where there is none."""
    if cell.isdigit() and cell.isascii() and (cell[0] != "0" or cell == "0") and len(cell) < 10:
        return int(cell)
    return None


def _padded(cell: str) -> int | None:
    return int(cell) if cell.isdigit() and cell.isascii() and len(cell) < 10 else None


class Judge:
    """Judges the rows of one election's file. `wrong(check, column, expected=…, found=…)` takes what differs."""

    def __init__(self, election: Election) -> None:
        self.election = election
        self.columns = Columns(election)
        self._rules = election.rules
        self._printed: dict[frozenset[str], str] = {}
        self._width = VOTES + len(election.options)
        self._off = {
            place: tuple(option.position for option in election.options if option.position not in contest.ballot)
            for place, contest in election.contests.items()
        }

    def contest(self, place: Place) -> tuple[int, int]:
        """The key, in `Election.contests`, of the contest in which a casilla there votes."""
        match self.election.nivel:
            case "pais":
                return (0, 0)
            case "entidad":
                return (place.entidad, 0)
            case _:
                return place

    def row(self, cells: list[str], wrong: Wrong) -> Row:
        tail = self.columns.tail
        contabilizada = cells[tail["CONTABILIZADA"]]
        if contabilizada == "2":
            return self._fuera(cells, wrong)
        place = self._identify(cells, wrong)
        amounts = [0] * self._width
        amounts[ESPERADAS] = 1
        people = self._people(cells, wrong)
        clave = cells[1].strip("'")
        if contabilizada == _NOTHING:
            self._expect_nothing(cells, wrong)
            return Row(clave, place, amounts, captured=False, codigo=_NOTHING)
        if contabilizada not in {"0", "1"}:
            wrong("CON-10", "CONTABILIZADA", expected="0, 1, 2 o -", found=f"«{contabilizada}»")
        votes = cells[self.columns.votes]
        if _SIN_ACTA in votes:
            self._sin_acta(cells, amounts, wrong)
        else:
            self._captured(cells, place, people, amounts, wrong)
        return Row(clave, place, amounts, captured=True, codigo=cells[tail["CODIGO_INTEGRIDAD"]])

    def _identify(self, cells: list[str], wrong: Wrong) -> Place:
        """CLAVE_CASILLA says again what the identification columns say; CLAVE_ACTA begins with it."""
        entidad, number, ext = _padded(cells[2]), _padded(cells[7]), _padded(cells[9])
        territory = 0 if cells[4] in _NO_TERRITORY else _padded(cells[4])
        seccion = 0 if cells[6] in _NO_TERRITORY else _padded(cells[6])
        tipo = cells[8]
        place = Place(entidad or 0, territory or 0)
        if None in {entidad, territory, seccion, number, ext} or not ("A" <= tipo <= "Z" and len(tipo) == 1):
            wrong("CON-08", "", expected="números y un tipo de casilla en la identificación", found=cells[2:10])
            return place
        clave = f"'{entidad:02}{seccion:04}{tipo}{number:02}{ext:02}'"
        if cells[0] != clave:
            wrong("CON-08", "CLAVE_CASILLA", expected=clave, found=cells[0])
        if not (cells[1].startswith(clave[:-1]) and cells[1].endswith("'") and cells[1][1:-1].isalnum()):
            wrong("CON-08", "CLAVE_ACTA", expected=f"{clave[:-1]}…'", found=cells[1])
        if cells[10] not in {"1", "2", "-"}:
            wrong("CON-08", "UBICACION_CASILLA", expected="1, 2 o -", found=cells[10])
        if self.contest(place) not in self.election.contests:
            wrong(
                "CON-08", self.columns.names[4], expected="el territorio de una contienda del manifiesto", found=place
            )
        return place

    def _people(self, cells: list[str], wrong: Wrong) -> tuple[int, int]:
        """Lista nominal and representatives, which stand in every row of the catalogue."""
        found: list[int] = []
        for name in ("LISTA_NOMINAL", "REPRESENTANTES_PP_CI"):
            number = natural(cells[self.columns.tail[name]])
            if number is None:
                wrong("CON-09", name, expected="un número", found=f"«{cells[self.columns.tail[name]]}»")
            found.append(number or 0)
        return found[0], found[1]

    def _expect_nothing(self, cells: list[str], wrong: Wrong) -> None:
        """An acta that has not been captured shows nothing but what the catalogue knows of it."""
        for part in (self.columns.filled, self.columns.after):
            for place in range(part.start, part.stop):
                if cells[place] != _NOTHING:
                    name = self.columns.names[place]
                    wrong("CON-10", name, expected="«-» en un acta sin capturar", found=f"«{cells[place]}»")

    def _fuera(self, cells: list[str], wrong: Wrong) -> Row:
        """Not in the catalogue: identification as read, counted as registered and nothing else."""
        names = self.columns.names
        tail = self.columns.tail
        shown = {tail[name] for name in ("OBSERVACIONES", "CONTABILIZADA", "ORIGEN", "DIGITALIZACION")}
        for place, cell in enumerate(cells):
            must = place in {0, 1} or (place >= self.columns.filled.start and place not in shown)
            if must and cell != _NOTHING:
                wrong("CON-10", names[place], expected="«-» en un acta fuera de catálogo", found=f"«{cell}»")
        if cells[10] != "3":
            wrong("CON-10", "UBICACION_CASILLA", expected="3 en un acta fuera de catálogo", found=cells[10])
        self._observed(cells, (frozenset({"fuera_de_catalogo"}),), wrong)
        return Row(_NOTHING, None, None, captured=False, codigo=_NOTHING)

    def _sin_acta(self, cells: list[str], amounts: Sum, wrong: Wrong) -> None:
        """Captured, not counted, no inconsistency: there is nothing to read."""
        columns = self.columns
        amounts[NO_CONTABILIZADAS] = amounts[SIN_ACTA] = 1
        for place in range(columns.filled.start, columns.filled.stop - 1):
            off_ballot = columns.votes.start <= place < columns.votes.stop and cells[place] == _NOTHING
            if cells[place] != _SIN_ACTA and not off_ballot:
                wrong("CON-09", columns.names[place], expected=f"«{_SIN_ACTA}»", found=f"«{cells[place]}»")
        expected = {"TOTAL_VOTOS_CALCULADO": "0", "CODIGO_INTEGRIDAD": _NOTHING, "FECHA_HORA_ACOPIO": _NOTHING}
        expected |= {"FECHA_HORA_CAPTURA": _NOTHING, "FECHA_HORA_VERIFICACION": _NOTHING}
        for name, text in expected.items():
            if cells[columns.tail[name]] != text:
                check = "CON-09" if name == "TOTAL_VOTOS_CALCULADO" else "CON-10"
                wrong(check, name, expected=f"«{text}» en un acta que no llegó", found=cells[columns.tail[name]])
        if cells[columns.tail["CONTABILIZADA"]] != "0":
            wrong("CON-10", "CONTABILIZADA", expected="0 en un acta que no llegó", found="1")
        kinds = [code for code in OBSERVATIONS if code.startswith("sin_acta") and code in self._rules.texts]
        self._observed(cells, tuple(frozenset({code}) for code in kinds), wrong)

    def _captured(self, cells: list[str], place: Place, people: tuple[int, int], amounts: Sum, wrong: Wrong) -> None:
        columns = self.columns
        off = self._off.get(self.contest(place), ())
        total, ilegible, sin_dato, number = self._votes(cells[columns.votes], off, amounts, wrong)
        calculado = cells[columns.tail["TOTAL_VOTOS_CALCULADO"]]
        if calculado != str(total):
            wrong("CON-09", "TOTAL_VOTOS_CALCULADO", expected=total, found=f"«{calculado}»")
        self._shown(cells, wrong)

        lista, representantes = people
        observed = unread(self._rules, ilegible=ilegible, sin_dato=sin_dato, number=number)
        contest = self.election.contests.get(self.contest(place))
        most = (lista + representantes) * (contest.votes_per_ballot if contest else 1)
        excede = self._rules.excede_applies and lista > 0 and total > most
        beside = frozenset[str]() if self._rules.excede_alone else observed
        if lista == 0 and self._rules.excede_applies:
            # The limit of an especial casilla is its maximum of ballots, which the file does not hold: what the row
            # says of it is believed, and the rest of the row must agree with that.
            excede = self._says(cells, beside | _EXCEDE)
        codes = beside | _EXCEDE if excede else observed
        self._observed(cells, (codes, codes | _PROCESO), wrong)

        holds = number or (self._rules.mixed_without_number_counts and ilegible and sin_dato)
        counts = "1" if holds and not excede else "0"
        printed = cells[columns.tail["CONTABILIZADA"]]
        if printed != counts:
            wrong("CON-10", "CONTABILIZADA", expected=counts, found=printed)
        amounts[INCONSISTENTES] = int(excede or ilegible or sin_dato)
        if printed != "1":
            amounts[NO_CONTABILIZADAS] = 1
            amounts[VOTES:] = [0] * (self._width - VOTES)
            return
        amounts[CONTABILIZADAS] = 1
        amounts[LISTA] = lista
        amounts[CON] = total
        amounts[SIN] = 0 if cells[8] == "S" else total

    def _votes(
        self, votes: list[str], off: tuple[int, ...], amounts: Sum, wrong: Wrong
    ) -> tuple[int, bool, bool, bool]:
        """Sum of the vote fields, and whether any is illegible, blank, a number. Blank is not zero."""
        ilegible = sin_dato = number = False
        total = 0
        for position, cell in enumerate(votes):
            amount = natural(cell)
            if off and position in off:
                if cell != _NOTHING:
                    name = self.election.options[position].code
                    wrong("CON-09", name, expected="«-»: no está en la boleta de esa contienda", found=f"«{cell}»")
            elif amount is not None:
                number = True
                total += amount
                amounts[VOTES + position] = amount
            elif cell == _ILEGIBLE:
                ilegible = True
            elif cell == _SIN_DATO:
                sin_dato = True
            else:
                name = self.election.options[position].code
                wrong("CON-09", name, expected="un número, «Ilegible» o «Sin dato»", found=f"«{cell}»")
        return total, ilegible, sin_dato, number

    def _shown(self, cells: list[str], wrong: Wrong) -> None:
        """The columns that decide nothing still hold only what they may."""
        tail = self.columns.tail
        for place in (
            *range(self.columns.quantities.start, self.columns.quantities.stop),
            tail["TOTAL_VOTOS_ASENTADO"],
        ):
            cell = cells[place]
            if natural(cell) is None and cell not in {_ILEGIBLE, _SIN_DATO, _NOTHING}:
                name = self.columns.names[place]
                wrong("CON-09", name, expected="un número, «Ilegible», «Sin dato» o «-»", found=f"«{cell}»")
        if HEX.fullmatch(cells[tail["CODIGO_INTEGRIDAD"]]) is None:
            found = cells[tail["CODIGO_INTEGRIDAD"]]
            wrong("CON-10", "CODIGO_INTEGRIDAD", expected="64 hexadecimales en minúsculas", found=f"«{found}»")
        for name in ("FECHA_HORA_ACOPIO", "FECHA_HORA_CAPTURA", "FECHA_HORA_VERIFICACION"):
            if _MOMENT.fullmatch(cells[tail[name]]) is None:
                wrong("CON-10", name, expected="dd/mm/aaaa HH:MM:SS", found=f"«{cells[tail[name]]}»")
        for name, legal in _LEGAL.items():
            if cells[tail[name]] not in legal:
                wrong("CON-10", name, expected=" o ".join(sorted(legal)), found=f"«{cells[tail[name]]}»")

    def _text(self, codes: frozenset[str]) -> str:
        """OBSERVACIONES as printed: the texts in their order, equal ones once."""
        if codes not in self._printed:
            texts = [self._rules.texts.get(code, "") for code in OBSERVATIONS if code in codes]
            self._printed[codes] = ", ".join(dict.fromkeys(text for text in texts if text))
        return self._printed[codes]

    def _says(self, cells: list[str], codes: frozenset[str]) -> bool:
        printed = cells[self.columns.tail["OBSERVACIONES"]]
        return bool(printed) and printed in {self._text(codes), self._text(codes | _PROCESO)}

    def _observed(self, cells: list[str], allowed: tuple[frozenset[str], ...], wrong: Wrong) -> None:
        """OBSERVACIONES is one of the texts that the rules allow."""
        printed = cells[self.columns.tail["OBSERVACIONES"]]
        texts = [self._text(codes) for codes in allowed]
        if printed not in texts:
            expected = f"«{texts[0]}»" if texts else "ninguna: esta elección no usa ese motivo"
            wrong("CON-10", "OBSERVACIONES", expected=expected, found=f"«{printed}»")


_LEGAL: Final[Mapping[str, frozenset[str]]] = {
    "ORIGEN": frozenset({"CASILLA", "CATD", "CCV", "-"}),
    "DIGITALIZACION": frozenset({"Móvil", "Escáner", "Urna", "-"}),
    "COTEJADA": frozenset({"0", "1", "2", "3"}),
}


# --- one file ---------------------------------------------------------------------------------------------------------


class Preamble(NamedTuple):
    """The lines above the rows; `summary` is empty where they are not what they should be."""

    summary: Mapping[str, str]
    sound: bool


class Sheet(NamedTuple):
    """One election's file in one corte, and where to write what is wrong with it."""

    file: Path
    name: str
    """Its path in the tree."""
    judge: Judge
    ledger: Ledger
    note: Callable[[str, list[str]], None] | None = None
    """Told of each captured row that is new or changed: its clave, and its cells from the quantities on."""


def _lines(handle: IO[bytes]) -> Iterator[bytes]:
    """Lines with their ends; a longer one than any row comes in pieces, which then have no right end."""
    return iter(partial(handle.readline, _LONGEST_LINE), b"")


def split_line(line: bytes) -> list[str] | None:
    """The cells of one line, CRLF at its end and nowhere else; None where it is anything else."""
    if not line.endswith(b"\r\n") or line.count(b"\r") > 1 or b"\0" in line:
        return None
    try:
        text = line[:-2].decode()
        return next(csv.reader([text], strict=True), []) if '"' in text else text.split(",")
    except (UnicodeDecodeError, csv.Error):
        return None


def read_preamble(sheet: Sheet, election: Election, at: datetime) -> Preamble:
    """BOM, title, hour, summary and header, each where and as it must be (§6)."""

    def wrong(line: int, expected: object, found: object) -> None:
        problems.append(line)
        ledger.wrong("CON-07", name, expected=expected, found=found, position=f"línea {line}")

    problems: list[int] = []
    name, judge, ledger = sheet.name, sheet.judge, sheet.ledger
    ledger.did("CON-07")
    with sheet.file.open("rb") as handle:
        lines = [line for line, _ in zip(_lines(handle), range(_PREAMBLE), strict=False)]
    if not lines or not lines[0].startswith(_BOM) or lines[0].startswith(_BOM * 2):
        wrong(1, "la marca UTF-8 (BOM) una vez", "otro principio")
    cells = [split_line(line.removeprefix(_BOM) if not number else line) for number, line in enumerate(lines)]
    cells += [None] * (_PREAMBLE - len(cells))
    expected: tuple[list[str] | None, ...] = (
        [election.title],
        [f"{at:%d/%m/%Y %H:%M} (UTC-6)"],
        [""],
        [*SUMMARY_NAMES],
        None,
        [""],
        [*judge.columns.names],
    )
    for number, (want, have) in enumerate(zip(expected, cells, strict=True), start=1):
        if have is None:
            wrong(number, "una línea UTF-8 terminada en CRLF", "otra cosa")
        elif want is not None and have != want:
            wrong(number, ",".join(want) or "una línea vacía", ",".join(have))
    values = cells[4] or []
    if len(values) != len(SUMMARY_NAMES):
        wrong(5, f"{len(SUMMARY_NAMES)} valores", len(values))
        return Preamble({}, sound=False)
    return Preamble(dict(zip(SUMMARY_NAMES, values, strict=True)), sound=not {1, 7} & {*problems})


def read_table(sheet: Sheet, *, keep: bool) -> Table:
    """Every row judged and summed. `keep` fills `Table.published`."""
    table = Table(sheet.file, defaultdict(lambda: [0] * (VOTES + len(sheet.judge.election.options))), 0, 0, sound=True)
    seen: set[str] = set()
    with sheet.file.open("rb") as handle:
        for number, line in enumerate(_lines(handle), start=1):
            if number <= _PREAMBLE:
                continue
            row = _judge_line(sheet, number, line, table)
            table.rows += 1
            if row is None:
                continue
            if row.amounts is None or row.place is None:
                table.fuera += 1
                continue
            add(table.sums[row.place], row.amounts)
            if table.fuera:
                _blame(sheet, table, number, expected="las actas fuera de catálogo al final", found=row.clave)
            if row.clave in seen:
                _blame(sheet, table, number, expected="cada CLAVE_ACTA una sola vez", found=f"otra vez {row.clave}")
            seen.add(row.clave)
            if keep and row.captured and row.clave.isalnum():
                table.published[row.clave] = row.codigo
    _did_rows(sheet, table.rows)
    return table


def follow_table(sheet: Sheet, before: Table) -> Table | None:
    """The same from the corte before and the lines that changed; None where the two do not hold the same actas."""
    width = VOTES + len(sheet.judge.election.options)
    sums: dict[Place, Sum] = defaultdict(lambda: [0] * width)
    sums.update({place: [*amounts] for place, amounts in before.sums.items()})
    table = Table(sheet.file, sums, before.fuera, before.rows, sound=True)
    for change in changes(before.file, sheet.file):
        if not change.aligned:
            return None
        for line, sign in ((change.old, -1), (change.new, 1)):
            if line is None:
                continue
            table.rows += sign
            row = _judge_line(sheet, change.number, line, table if sign > 0 else None)
            if row is not None and row.amounts is not None and row.place is not None:
                add(sums[row.place], row.amounts, sign)
            elif row is not None:
                table.fuera += sign
    _did_rows(sheet, table.rows)
    return table


class Change(NamedTuple):
    """A line that differs between two cortes; None where one of them is shorter."""

    number: int
    old: bytes | None
    new: bytes | None

    @property
    def aligned(self) -> bool:
        """Both are the same acta of the catalogue, or neither is one."""
        return _key(self.old) == _key(self.new)


def _key(line: bytes | None) -> bytes:
    """The two keys that begin a row; empty for no row and for one fuera de catálogo."""
    key = b"" if line is None else b",".join(line.split(b",", 2)[:2])
    return b"" if key == b"-,-" else key


def changes(old: Path, new: Path) -> Iterator[Change]:
    """Rows that differ from one corte to the next, line by line."""
    with old.open("rb") as old_handle, new.open("rb") as new_handle:
        before, after = _lines(old_handle), _lines(new_handle)
        number = 0
        while True:
            number += 1
            first, second = next(before, None), next(after, None)
            if first is None and second is None:
                return
            if first != second and number > _PREAMBLE:
                yield Change(number, first, second)


def judge_changes(sheet: Sheet, before: Path, corrected: frozenset[str]) -> None:
    """What one corte may change in another: fields of the catalogue never, a published acta only with a correction."""
    ledger, columns = sheet.ledger, sheet.judge.columns
    fixed = [*range(columns.identity.start, columns.identity.stop)]
    fixed += [columns.tail["LISTA_NOMINAL"], columns.tail["REPRESENTANTES_PP_CI"]]
    ledger.did("COM-04")
    ledger.did("CON-15")
    for number, old, new in changes(before, sheet.file):
        where = f"línea {number}"
        if _key(old) != _key(new):
            expected = _shown_key(old) or "ninguna otra acta del catálogo"
            ledger.wrong("COM-04", sheet.name, expected=expected, found=_shown_key(new) or "ninguna", position=where)
            return
        was = split_line(old) if old is not None and _key(old) else None
        now = split_line(new) if new is not None else None
        if was is None or now is None or len(was) != len(now) or len(was) != len(columns.names):
            continue
        for place in fixed:
            if was[place] != now[place]:
                position = f"{where}, {columns.names[place]}"
                expected = f"«{was[place]}», como en el corte anterior"
                ledger.wrong("COM-04", sheet.name, expected=expected, found=f"«{now[place]}»", position=position)
        clave = was[1].strip("'")
        if was[columns.tail["CONTABILIZADA"]] in {"0", "1"} and clave not in corrected:
            found = f"un cambio en {_differing(was, now, columns)} sin motivo publicado"
            expected = f"{clave} como en el corte anterior, o entre las correcciones del manifiesto"
            ledger.wrong("CON-15", sheet.name, expected=expected, found=found, position=where)


def _shown_key(line: bytes | None) -> str:
    return _key(line).decode(errors="replace")


def _differing(was: list[str], now: list[str], columns: Columns) -> str:
    return ", ".join(name for name, one, other in zip(columns.names, was, now, strict=True) if one != other)


def _judge_line(sheet: Sheet, number: int, line: bytes, table: Table | None) -> Row | None:
    """The row in a line, what is wrong written down; without a table, the row alone. None where it is no row."""

    def wrong(check: str, column: str, *, expected: object, found: object) -> None:
        if table is not None:
            table.sound = False
            where = f"línea {number}, {column}" if column else f"línea {number}"
            sheet.ledger.wrong(check, sheet.name, expected=expected, found=found, position=where)

    cells = split_line(line)
    if cells is None:
        wrong("CON-07", "", expected="una línea UTF-8 terminada en CRLF", found="otra cosa")
        return None
    if len(cells) != len(sheet.judge.columns.names):
        wrong("CON-07", "", expected=f"{len(sheet.judge.columns.names)} columnas", found=len(cells))
        return None
    row = sheet.judge.row(cells, wrong)
    if sheet.note is not None and table is not None and row.captured:
        sheet.note(row.clave, cells[sheet.judge.columns.filled.start :])
    return row


def _blame(sheet: Sheet, table: Table, number: int, *, expected: str, found: str) -> None:
    table.sound = False
    sheet.ledger.wrong("CON-08", sheet.name, expected=expected, found=found, position=f"línea {number}")


def _did_rows(sheet: Sheet, rows: int) -> None:
    for check in ("CON-08", "CON-09", "CON-10"):
        sheet.ledger.did(check, rows)
