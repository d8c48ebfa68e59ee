"""The official CSV of a corte, row by row: each row must follow from its own votes by the rules; and the sums.

No derived column is believed: votes are summed again, OBSERVACIONES and CONTABILIZADA are derived again from the rule
set in the manifest (`docs/rules.md` §4-6). A file is read line by line, so a national file needs no more memory than a
small one. From one corte to the next, only the lines that changed are read again, because on a long night almost none
change.
"""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import IO, Final, NamedTuple

from integrity.report import Ledger
from integrity.sums import HEX
from integrity.support import ShownRow, values_key
from integrity.tree import forms
from integrity.tree.documents import QUANTITIES, SUMMARY_NAMES, TAIL, PublishedElection, Rules, in_words

_LONGEST_LINE: Final = 1 << 16
_BOM: Final = b"\xef\xbb\xbf"
_NOTHING: Final = "-"
_SIN_ACTA: Final = "Sin acta"
_ILEGIBLE: Final = "Ilegible"
_SIN_DATO: Final = "Sin dato"
_NO_TERRITORY: Final = frozenset({"", "-", "N/A"})
_PREAMBLE: Final = 7

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
"""Codes of the criteria of domain.md §5, in the order in which their texts are printed."""
_EXCEDE: Final = frozenset({"excede_lista_nominal"})
_PROCESO: Final = frozenset({"proceso_tecnico_operativo"})
"""The row does not tell elsewhere that its acta was identified by another procedure: both texts are right."""


class VotingPlace(NamedTuple):
    """The place where a row's casilla votes: entidad, and the territory of the file's own column (0 if it has none)."""

    entidad: int
    territory: int


ESPERADAS, CONTABILIZADAS, NO_CONTABILIZADAS, INCONSISTENTES, SIN_ACTA, LISTA, CON, SIN, FALTA = range(9)
VOTES: Final = 9
"""A sum is one list of integers: the nine counts named above, then the votes of every option by position. FALTA is the
lista nominal of the actas that are not captured."""

Sum = list[int]


def add(target: Sum, other: Sum, sign: int = 1) -> None:
    """Add `other` to `target`, place by place; `sign` -1 takes it away. Most places of a row are zero."""
    for place, amount in enumerate(other):
        if amount:
            target[place] += sign * amount


class Columns:
    """The place of every column in one election's file (domain.md §6). The vote columns are in ballot order."""

    def __init__(self, election: PublishedElection) -> None:
        before = election.columns[: -len(election.options) - len(QUANTITIES) - len(TAIL)]
        self.names = election.columns
        codes = election.options
        self.votes = slice(len(before) + len(QUANTITIES), len(before) + len(QUANTITIES) + len(codes))
        self.quantities = slice(len(before), self.votes.start)
        self.identity = slice(0, len(before))
        self.tail = {name: self.votes.stop + place for place, name in enumerate(TAIL)}
        self.filled = slice(len(before), self.tail["TOTAL_VOTOS_CALCULADO"] + 1)
        self.provenance = itemgetter(*(self.tail[name] for name in forms.PROVENANCE))
        self.moments = itemgetter(*(self.tail[name] for name in forms.MOMENTS))
        self.after = slice(self.tail["OBSERVACIONES"], len(self.names))


@dataclass
class PublishedTable:
    """The content of one election's file in one corte."""

    file: Path
    sums: dict[VotingPlace, Sum]
    fuera: int
    rows: int
    sound: bool
    """No row had a fault: of the next corte only the changes need to be read."""
    published: dict[str, str] = field(default_factory=dict)
    """CODIGO_INTEGRIDAD (or "-") by CLAVE_ACTA of the captured actas; filled only if the caller asked for it."""
    names: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    """The name of each place that the rows number."""


# --- rules ------------------------------------------------------------------------------------------------------------


def unread(rules: Rules, *, ilegible: bool, sin_dato: bool, number: bool) -> frozenset[str]:
    """The observations for vote fields that hold no number (domain.md §5)."""
    # A number beside them, or a rule set in which mixed fields count, leaves the partial observations alone.
    partial_codes = {code for code, holds in (("ilegible", ilegible), ("sin_dato", sin_dato)) if holds}
    if number or not partial_codes or (ilegible and sin_dato and rules.mixed_without_number_counts):
        return frozenset(partial_codes)
    every = "todos_sin_numero" if ilegible and sin_dato else "todos_ilegibles" if ilegible else "todos_vacios"
    # Some rule sets print *Ilegible* or *Sin dato* also beside *Todos los campos …*; some have no text for a mixed row.
    if rules.partial_beside_all or every not in rules.texts:
        return frozenset({every, *partial_codes})
    return frozenset({every})


def shown_row(election: PublishedElection, cells: list[str]) -> ShownRow:
    """The part of a captured row that must stand on statements; `cells` are those after its identification."""
    tail = dict(zip(TAIL, cells[-len(TAIL) :], strict=True))
    if _SIN_ACTA in cells[len(QUANTITIES) : -len(TAIL)]:
        said = tail["OBSERVACIONES"]
        codes = [code for code, text in election.rules.texts.items() if code.startswith("sin_acta") and text == said]
        return ShownRow(b"", frozenset(codes), tail["COTEJADA"], "")
    return ShownRow(values_key(cells[: 1 - len(TAIL)]), frozenset(), tail["COTEJADA"], tail["CODIGO_INTEGRIDAD"])


# --- one row ----------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """The share of one row: `amounts` for the sums of `place`; both None for a row fuera de catálogo."""

    clave: str
    place: VotingPlace | None
    amounts: Sum | None
    captured: bool
    codigo: str


Wrong = Callable[..., None]


def natural(cell: str) -> int | None:
    """The whole number in a cell, of at most seven digits and without leading zeros; None for anything else."""
    if cell.isdigit() and cell.isascii() and (cell[0] != "0" or cell == "0") and len(cell) < 8:
        return int(cell)
    return None


def _padded_number(cell: str) -> int | None:
    return int(cell) if cell.isdigit() and cell.isascii() and len(cell) < 10 else None


class Judge:
    """Judges the rows of one election's file. `wrong(check, column, expected=…, found=…)` takes each difference."""

    def __init__(self, election: PublishedElection) -> None:
        self.election = election
        self.columns = Columns(election)
        self._rules = election.rules
        self._printed: dict[frozenset[str], str] = {}
        self._width = VOTES + len(election.options)
        self.names = forms.Names()
        # By contest: the options that are not on its ballot. Their cells hold `-` (domain.md §11, blank has two
        # meanings).
        self._off = {
            place: tuple(option.position for option in election.options if option.position not in contest.ballot)
            for place, contest in election.contests.items()
        }

    def contest(self, place: VotingPlace) -> tuple[int, int]:
        """The contest, as a key of `PublishedElection.contests`, in which a casilla of that place votes."""
        match self.election.nivel:
            case "pais":
                return (0, 0)
            case "entidad":
                return (place.entidad, 0)
            case _:
                return place

    @staticmethod
    def place(cells: list[str]) -> VotingPlace:
        """The place that a row names; 0 for a number that cannot be read."""
        territory = 0 if cells[4] in _NO_TERRITORY else _padded_number(cells[4])
        return VotingPlace(_padded_number(cells[2]) or 0, territory or 0)

    def row(self, cells: list[str], wrong: Wrong) -> Row:
        """Judge one row by the rules, and return its share of the sums."""
        # CONTABILIZADA tells which of four kinds a row is: fuera de catálogo (2), not captured (-), sin acta, captured.
        tail = self.columns.tail
        contabilizada = cells[tail["CONTABILIZADA"]]
        if contabilizada == "2":
            return self._judge_fuera(cells, wrong)
        place = self._judge_identification(cells, wrong)
        amounts = [0] * self._width
        amounts[ESPERADAS] = 1
        people = self._read_people(cells, wrong)
        clave = cells[1].strip("'")
        if contabilizada == _NOTHING:
            self._expect_nothing(cells, wrong)
            amounts[FALTA] = people[0]
            return Row(clave, place, amounts, captured=False, codigo=_NOTHING)
        if contabilizada not in {"0", "1"}:
            wrong("CON-10", "CONTABILIZADA", expected="0, 1, 2 o -", found=f"«{contabilizada}»")
        votes = cells[self.columns.votes]
        if _SIN_ACTA in votes:
            self._sin_acta(cells, place, amounts, wrong)
        else:
            self._judge_captured(cells, place, people, amounts, wrong)
        return Row(clave, place, amounts, captured=True, codigo=cells[tail["CODIGO_INTEGRIDAD"]])

    def _judge_identification(self, cells: list[str], wrong: Wrong) -> VotingPlace:
        """CLAVE_CASILLA repeats the identification columns; CLAVE_ACTA begins with it (domain.md §6)."""
        entidad, number, ext = _padded_number(cells[2]), _padded_number(cells[7]), _padded_number(cells[9])
        territory = 0 if cells[4] in _NO_TERRITORY else _padded_number(cells[4])
        seccion = 0 if cells[6] in _NO_TERRITORY else _padded_number(cells[6])
        tipo = cells[8]
        place = VotingPlace(entidad or 0, territory or 0)
        if None in {entidad, territory, seccion, number, ext} or tipo not in forms.TIPOS:
            wrong("CON-08", "", expected="números y un tipo de casilla en la identificación", found=cells[2:10])
            return place
        clave = f"'{entidad:02}{seccion:04}{tipo}{number:02}{ext:02}'"
        if cells[0] != clave:
            wrong("CON-08", "CLAVE_CASILLA", expected=clave, found=cells[0])
        if not (cells[1].startswith(clave[:-1]) and cells[1].endswith("'") and cells[1][1:-1].isalnum()):
            wrong("CON-08", "CLAVE_ACTA", expected=f"{clave[:-1]}…'", found=cells[1])
        if cells[10] not in {"1", "2", "-"}:
            wrong("CON-08", "UBICACION_CASILLA", expected="1, 2 o -", found=cells[10])
        if not forms.right_identity(tipo, cells[6], cells[11]):
            wrong("CON-16", "TIPO_ACTA", expected="una palabra, y una sección si su tipo la tiene", found=cells[6:12])
        if not self.names.right(cells[2], cells[3]) or not self.names.right(cells[2], cells[4], cells[5]):
            wrong("CON-16", self.columns.names[5], expected="un solo nombre para cada lugar", found=cells[2:6])
        if self.contest(place) not in self.election.contests:
            wrong(
                "CON-08", self.columns.names[4], expected="el territorio de una contienda del manifiesto", found=place
            )
        return place

    def _read_people(self, cells: list[str], wrong: Wrong) -> tuple[int, int]:
        """Lista nominal and representatives: every row of the catalogue has both, captured or not."""
        found: list[int] = []
        for name in ("LISTA_NOMINAL", "REPRESENTANTES_PP_CI"):
            number = natural(cells[self.columns.tail[name]])
            if number is None:
                wrong("CON-09", name, expected="un número", found=f"«{cells[self.columns.tail[name]]}»")
            found.append(number or 0)
        return found[0], found[1]

    def _expect_nothing(self, cells: list[str], wrong: Wrong) -> None:
        """An acta that is not captured yet shows only the values of the catalogue; all other cells hold `-`."""
        for part in (self.columns.filled, self.columns.after):
            for place in range(part.start, part.stop):
                if cells[place] != _NOTHING:
                    name = self.columns.names[place]
                    wrong("CON-10", name, expected="«-» en un acta sin capturar", found=f"«{cells[place]}»")

    def _judge_fuera(self, cells: list[str], wrong: Wrong) -> Row:
        """Fuera de catálogo: identification as read, the rest `-`; it counts as registered only (domain.md §4)."""
        names = self.columns.names
        tail = self.columns.tail
        shown = {tail[name] for name in ("OBSERVACIONES", "CONTABILIZADA", "ORIGEN", "DIGITALIZACION")}
        for place, cell in enumerate(cells):
            must = place in {0, 1} or (place >= self.columns.filled.start and place not in shown)
            if must and cell != _NOTHING:
                wrong("CON-10", names[place], expected="«-» en un acta fuera de catálogo", found=f"«{cell}»")
        if cells[10] != "3":
            wrong("CON-10", "UBICACION_CASILLA", expected="3 en un acta fuera de catálogo", found=cells[10])
        if not forms.right_fuera(cells[2:12]):
            wrong("CON-16", "", expected="una identificación como se lee de un acta", found=cells[2:12])
        if not forms.right_came(cells[tail["ORIGEN"]], cells[tail["DIGITALIZACION"]]):
            wrong("CON-10", "ORIGEN", expected="dónde y con qué se tomó su imagen", found=cells[tail["ORIGEN"]])
        self._judge_observations(cells, (frozenset({"fuera_de_catalogo"}),), wrong)
        return Row(_NOTHING, None, None, captured=False, codigo=_NOTHING)

    def _sin_acta(self, cells: list[str], place: VotingPlace, amounts: Sum, wrong: Wrong) -> None:
        """Sin acta: captured, not counted, and no inconsistency, as no paper could be read (domain.md §4 and §5)."""
        columns = self.columns
        amounts[NO_CONTABILIZADAS] = amounts[SIN_ACTA] = 1
        # Vote cells say `Sin acta`; those of options that are not on this ballot hold `-`.
        off = {columns.votes.start + position for position in self._off.get(self.contest(place), ())}
        for at in range(columns.filled.start, columns.filled.stop - 1):
            text = _NOTHING if at in off else _SIN_ACTA
            if cells[at] != text:
                wrong("CON-09", columns.names[at], expected=f"«{text}»", found=f"«{cells[at]}»")
        expected = {"TOTAL_VOTOS_CALCULADO": "0", "CODIGO_INTEGRIDAD": _NOTHING, "FECHA_HORA_ACOPIO": _NOTHING}
        expected |= {"FECHA_HORA_CAPTURA": _NOTHING, "FECHA_HORA_VERIFICACION": _NOTHING}
        for name, text in expected.items():
            if cells[columns.tail[name]] != text:
                check = "CON-09" if name == "TOTAL_VOTOS_CALCULADO" else "CON-10"
                wrong(check, name, expected=f"«{text}» en un acta que no llegó", found=cells[columns.tail[name]])
        if cells[columns.tail["CONTABILIZADA"]] != "0":
            wrong("CON-10", "CONTABILIZADA", expected="0 en un acta que no llegó", found="1")
        for column, legal in forms.wrong_provenance(columns.provenance(cells), arrived=False):
            wrong("CON-10", column, expected=legal, found=f"«{cells[columns.tail[column]]}»")
        kinds = [code for code in OBSERVATIONS if code.startswith("sin_acta") and code in self._rules.texts]
        self._judge_observations(cells, tuple(frozenset({code}) for code in kinds), wrong)

    def _judge_captured(
        self, cells: list[str], place: VotingPlace, people: tuple[int, int], amounts: Sum, wrong: Wrong
    ) -> None:
        columns = self.columns
        off = self._off.get(self.contest(place), ())
        # domain.md §4: the calculated total is the sum of the vote fields; the total on the paper decides nothing.
        total, ilegible, sin_dato, number = self._read_votes(cells[columns.votes], off, amounts, wrong)
        calculado = cells[columns.tail["TOTAL_VOTOS_CALCULADO"]]
        if calculado != str(total):
            wrong("CON-09", "TOTAL_VOTOS_CALCULADO", expected=total, found=f"«{calculado}»")
        self._judge_shown_columns(cells, wrong)

        lista, representantes = people
        observed = unread(self._rules, ilegible=ilegible, sin_dato=sin_dato, number=number)
        contest = self.election.contests.get(self.contest(place))
        most = (lista + representantes) * (contest.votes_per_ballot if contest else 1)
        limited = lista > 0 or cells[8] in forms.BY_LISTA
        excede = self._rules.excede_applies and limited and total > most
        beside = frozenset[str]() if self._rules.excede_alone else observed
        if not limited and self._rules.excede_applies:
            # The limit of an especial casilla is its maximum of ballots, which this file does not hold. So its
            # observation is believed here, and the rest of the row must agree with it.
            excede = self._prints_observations(cells, beside | _EXCEDE)
        codes = beside | _EXCEDE if excede else observed
        self._judge_observations(cells, (codes, codes | _PROCESO), wrong)

        # Counted: at least one number, or mixed blanks if the rule set counts them; and not over the limit (domain.md
        # §4).
        holds = number or (self._rules.mixed_without_number_counts and ilegible and sin_dato)
        counts = "1" if holds and not excede else "0"
        printed = cells[columns.tail["CONTABILIZADA"]]
        if printed != counts:
            wrong("CON-10", "CONTABILIZADA", expected=counts, found=printed)
        # domain.md §4: excede, illegible and blank are inconsistencies, whether the acta counts or not.
        amounts[INCONSISTENTES] = int(excede or ilegible or sin_dato)
        if printed != "1":
            amounts[NO_CONTABILIZADAS] = 1
            amounts[VOTES:] = [0] * (self._width - VOTES)
            return
        amounts[CONTABILIZADAS] = 1
        amounts[LISTA] = lista
        amounts[CON] = total
        # Participation without especial casillas: their voters are in no lista nominal (domain.md §4).
        amounts[SIN] = 0 if cells[8] == "S" else total

    def _read_votes(
        self, votes: list[str], off: tuple[int, ...], amounts: Sum, wrong: Wrong
    ) -> tuple[int, bool, bool, bool]:
        """Sum of the vote fields; whether any is illegible, any is blank, any holds a number. A blank is not a zero."""
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

    def _judge_shown_columns(self, cells: list[str], wrong: Wrong) -> None:
        """Check the columns that decide nothing: each may hold only its legal values (domain.md §6)."""
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
        for check, name, expected in forms.wrong_moments(*self.columns.moments(cells)):
            wrong(check, name, expected=expected, found=f"«{cells[tail[name]]}»")
        for name, legal in forms.wrong_provenance(self.columns.provenance(cells), arrived=True):
            wrong("CON-10", name, expected=legal, found=f"«{cells[tail[name]]}»")

    def _observations_text(self, codes: frozenset[str]) -> str:
        """OBSERVACIONES as it is printed: the texts in their order, each once."""
        if codes not in self._printed:
            texts = [self._rules.texts.get(code, "") for code in OBSERVATIONS if code in codes]
            self._printed[codes] = ", ".join(dict.fromkeys(text for text in texts if text))
        return self._printed[codes]

    def _prints_observations(self, cells: list[str], codes: frozenset[str]) -> bool:
        printed = cells[self.columns.tail["OBSERVACIONES"]]
        return bool(printed) and printed in {self._observations_text(codes), self._observations_text(codes | _PROCESO)}

    def _judge_observations(self, cells: list[str], allowed: tuple[frozenset[str], ...], wrong: Wrong) -> None:
        """OBSERVACIONES must be one of the texts that the rules allow for this row."""
        printed = cells[self.columns.tail["OBSERVACIONES"]]
        texts = [self._observations_text(codes) for codes in allowed]
        if printed not in texts:
            expected = f"«{texts[0]}»" if texts else "ninguna: esta elección no usa ese motivo"
            wrong("CON-10", "OBSERVACIONES", expected=expected, found=f"«{printed}»")


# --- one file ---------------------------------------------------------------------------------------------------------


class Preamble(NamedTuple):
    """The lines above the rows. `summary` is empty if the file does not hold thirteen values."""

    summary: Mapping[str, str]
    sound: bool


class FileInCorte(NamedTuple):
    """One election's file in one corte, and the ledger for its differences."""

    file: Path
    name: str
    """Its path in the tree."""
    judge: Judge
    ledger: Ledger
    note: Callable[[str, list[str]], None] | None = None
    """Called for each captured row that is new or changed: its clave, and its cells from the quantities on."""


def _bounded_lines(handle: IO[bytes]) -> Iterator[bytes]:
    """Lines with their ends. A line longer than any row comes in pieces, and a piece has no right end."""
    return iter(partial(handle.readline, _LONGEST_LINE), b"")


def split_line(line: bytes) -> list[str] | None:
    """The cells of one line that ends in CRLF and has no other line end; None for any other bytes."""
    if not line.endswith(b"\r\n") or line.count(b"\r") > 1 or b"\0" in line:
        return None
    try:
        text = line[:-2].decode()
        return next(csv.reader([text], strict=True), []) if '"' in text else text.split(",")
    except (UnicodeDecodeError, csv.Error):
        return None


def read_preamble(sheet: FileInCorte, election: PublishedElection, at: datetime) -> Preamble:
    """Check the lines above the rows: BOM, title, hour, summary and header, each in its line (domain.md §6)."""

    def wrong(line: int, expected: object, found: object) -> None:
        problems.append(line)
        ledger.wrong("CON-07", name, expected=expected, found=found, position=f"línea {line}")

    problems: list[int] = []
    name, judge, ledger = sheet.name, sheet.judge, sheet.ledger
    ledger.did("CON-07")
    with sheet.file.open("rb") as handle:
        lines = [line for line, _ in zip(_bounded_lines(handle), range(_PREAMBLE), strict=False)]
    if not lines or not lines[0].startswith(_BOM) or lines[0].startswith(_BOM * 2):
        wrong(1, "la marca UTF-8 (BOM) una vez", "otro principio")
    cells = [split_line(line.removeprefix(_BOM) if not number else line) for number, line in enumerate(lines)]
    cells += [None] * (_PREAMBLE - len(cells))
    expected: tuple[list[str] | None, ...] = (
        [election.title],
        [in_words(at)],
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
    # Another title or header means other columns: the rows must not be read with ours.
    return Preamble(dict(zip(SUMMARY_NAMES, values, strict=True)), sound=not {1, 7} & {*problems})


def read_table(sheet: FileInCorte, *, keep: bool) -> PublishedTable:
    """Judge and sum every row. With `keep`, `PublishedTable.published` is filled."""
    table = PublishedTable(
        sheet.file, defaultdict(lambda: [0] * (VOTES + len(sheet.judge.election.options))), 0, 0, sound=True
    )
    seen: set[str] = set()
    with sheet.file.open("rb") as handle:
        for number, line in enumerate(_bounded_lines(handle), start=1):
            if number <= _PREAMBLE:
                continue
            row = judge_line(sheet, number, line, table)
            table.rows += 1
            if row is None:
                continue
            if row.amounts is None or row.place is None:
                # A row without a place is fuera de catálogo; such rows stand at the end of the file (domain.md §6).
                table.fuera += 1
                continue
            add(table.sums[row.place], row.amounts)
            if table.fuera:
                _blame_row(sheet, table, number, expected="las actas fuera de catálogo al final", found=row.clave)
            if row.clave in seen:
                _blame_row(sheet, table, number, expected="cada CLAVE_ACTA una sola vez", found=f"otra vez {row.clave}")
            seen.add(row.clave)
            if keep and row.captured and row.clave.isalnum():
                table.published[row.clave] = row.codigo
    table.names = sheet.judge.names.of
    _did_rows(sheet, table.rows)
    return table


def follow_table(sheet: FileInCorte, before: PublishedTable) -> PublishedTable | None:
    """The table from the one of the corte before and the lines that changed.

    None if a line belongs to another acta than before: then the file must be read whole.
    """
    width = VOTES + len(sheet.judge.election.options)
    sums: dict[VotingPlace, Sum] = defaultdict(lambda: [0] * width)
    sums.update({place: [*amounts] for place, amounts in before.sums.items()})
    table = PublishedTable(sheet.file, sums, before.fuera, before.rows, sound=True)
    sheet.judge.names.of.update(before.names)
    table.names = sheet.judge.names.of
    for change in changes(before.file, sheet.file):
        if not change.aligned:
            return None
        # Take away the old line and add the new one. The old one was judged in its own corte, so only the new one is
        # here.
        for line, sign in ((change.old, -1), (change.new, 1)):
            if line is None:
                continue
            table.rows += sign
            row = judge_line(sheet, change.number, line, table, told=sign < 0)
            if row is not None and row.amounts is not None and row.place is not None:
                add(sums[row.place], row.amounts, sign)
            elif row is not None:
                table.fuera += sign
    _did_rows(sheet, table.rows)
    return table


class Change(NamedTuple):
    """A line that differs between two cortes; None on the side of a file that is shorter."""

    number: int
    old: bytes | None
    new: bytes | None

    @property
    def aligned(self) -> bool:
        """Both lines are of the same acta of the catalogue, or both of none."""
        return _row_key(self.old) == _row_key(self.new)


def _row_key(line: bytes | None) -> bytes:
    """The two keys with which a row begins; empty for no row and for a row fuera de catálogo."""
    key = b"" if line is None else b",".join(line.split(b",", 2)[:2])
    return b"" if key == b"-,-" else key


def changes(old: Path, new: Path) -> Iterator[Change]:
    """The rows that differ from one corte to the next, line by line."""
    with old.open("rb") as old_handle, new.open("rb") as new_handle:
        before, after = _bounded_lines(old_handle), _bounded_lines(new_handle)
        number = 0
        while True:
            number += 1
            first, second = next(before, None), next(after, None)
            if first is None and second is None:
                return
            if first != second and number > _PREAMBLE:
                yield Change(number, first, second)


def judge_changes(sheet: FileInCorte, before: Path, corrected: frozenset[str]) -> None:
    """The changes that a corte may make: none in fields of the catalogue; in a published acta with a correction."""
    ledger, columns = sheet.ledger, sheet.judge.columns
    fixed = [*range(columns.identity.start, columns.identity.stop)]
    fixed += [columns.tail["LISTA_NOMINAL"], columns.tail["REPRESENTANTES_PP_CI"]]
    ledger.did("COM-04")
    ledger.did("CON-15")
    for number, old, new in changes(before, sheet.file):
        where = f"línea {number}"
        # Rows are in the order of the catalogue, so that line N is the same acta in each corte; a shift means a lost
        # acta.
        if _row_key(old) != _row_key(new):
            expected = _shown_key(old) or "ninguna otra acta del catálogo"
            ledger.wrong("COM-04", sheet.name, expected=expected, found=_shown_key(new) or "ninguna", position=where)
            return
        was = split_line(old) if old is not None and _row_key(old) else None
        now = split_line(new) if new is not None else None
        if was is None or now is None or len(was) != len(now) or len(was) != len(columns.names):
            continue
        for place in fixed:
            if was[place] != now[place]:
                position = f"{where}, {columns.names[place]}"
                expected = f"«{was[place]}», como en el corte anterior"
                ledger.wrong("COM-04", sheet.name, expected=expected, found=f"«{now[place]}»", position=position)
        clave = was[1].strip("'")
        # A published acta may change (domain.md §2), but the manifest must name it and tell why.
        if was[columns.tail["CONTABILIZADA"]] in {"0", "1"} and clave not in corrected:
            found = f"un cambio en {_differing_columns(was, now, columns)} sin motivo publicado"
            expected = f"{clave} como en el corte anterior, o entre las correcciones del manifiesto"
            ledger.wrong("CON-15", sheet.name, expected=expected, found=found, position=where)


def judge_corrected(sheet: FileInCorte, corrected: frozenset[str], corte: int) -> None:
    """Every acta that the manifest corrects is in the file; corte 0 corrects none."""
    missing = {*corrected}
    with sheet.file.open("rb") as handle:
        for line in _bounded_lines(handle) if corrected and corte else ():
            missing.discard(_shown_key(line).rpartition(",")[2].strip("'"))
    for clave in sorted(missing):
        sheet.ledger.wrong(
            "CON-16", sheet.name, expected="correcciones de actas que están, después del corte 0", found=clave
        )


def _shown_key(line: bytes | None) -> str:
    return _row_key(line).decode(errors="replace")


def _differing_columns(was: list[str], now: list[str], columns: Columns) -> str:
    return ", ".join(name for name, one, other in zip(columns.names, was, now, strict=True) if one != other)


def judge_line(
    sheet: FileInCorte, number: int, line: bytes, table: PublishedTable | None = None, *, told: bool = False
) -> Row | None:
    """The row in a line; its faults go into the ledger, unless they were `told` before. None if the line is no row.

    A fault makes `table` unsound.
    """

    def wrong(check: str, column: str, *, expected: object, found: object) -> None:
        if not told:
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
    if sheet.note is not None and not told and row.captured:
        sheet.note(row.clave, cells[sheet.judge.columns.filled.start :])
    return row


def _blame_row(sheet: FileInCorte, table: PublishedTable, number: int, *, expected: str, found: str) -> None:
    table.sound = False
    sheet.ledger.wrong("CON-08", sheet.name, expected=expected, found=found, position=f"línea {number}")


def _did_rows(sheet: FileInCorte, rows: int) -> None:
    for check in ("CON-08", "CON-09", "CON-10", "CON-16"):
        sheet.ledger.did(check, rows)
