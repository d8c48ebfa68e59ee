"""The captures that an official file states, the ones that it has lost, and the comparison of its numbers with ours.

A replay invents nothing. Each row gives the sheet that is drawn and typed (`sheets`), never from the columns that the
institute derived. If the file has lost the typed values of a row, or if the verdict of a row breaks the file's own
rules, `Caveats` names the row by key, and it is left out on both sides of the comparison (`docs/rules.md` §5).
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from prep.domain.catalog import Ambito, read_identity
from prep.domain.entry import HEADER, TOTAL, Field, Mark
from prep.domain.rules import INCONSISTENT, SIN_ACTA, Observation, RuleSet
from prep.errors import Rejected
from prep.files.official import OfficialFile, OfficialRow, Status

NO_BLANKS: Final[Mapping[str, str]] = MappingProxyType({})
WORDS: Final[Mapping[Mark, str]] = {Mark.ILEGIBLE: "ilegible", Mark.SIN_DATO: "sin dato"}


@dataclass(frozen=True, slots=True)
class Sheet:
    """One acta of the night: its identity, the way in which it arrives, and the values written on it."""

    key: str
    """Of the official row; unique in the night."""
    clave: str
    """CLAVE_CASILLA, by which it is found in what we publish; "" fuera de catálogo."""
    qr: str
    values: Mapping[str, Field] | None
    """By field code, only those on its ballot; None if there is nothing to type."""
    sin_acta: int | None
    """The reason, 1 to 4, if there is no acta at all."""
    acopio: datetime
    origen: str
    kind: str
    """movil, escaner or urna."""
    traslado: str
    documento: str

    def capture(self) -> dict[str, int | str]:
        """The values as a capturista submits them."""
        assert self.values is not None
        return {code: WORDS[said] if isinstance(said, Mark) else said for code, said in self.values.items()}


@dataclass(frozen=True, slots=True)
class Caveats:
    """The rows and values that the official file lost, broke or does not say, by key, each with its reason."""

    lost: Mapping[str, str] = field(default_factory=dict)
    """Not replayable: left out."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Replayed; the file's verdict contradicts its own rules."""
    reprinted: Mapping[str, Mark] = field(default_factory=dict)
    """Rows printed with zeros, though the observation says that all of their fields had this mark."""
    summary: Mapping[str, str] = field(default_factory=dict)
    """Summary values that the file's own rows contradict."""
    unstated: tuple[str, ...] = ()
    """Summary values that the file leaves blank: not compared."""
    notes: tuple[str, ...] = ()
    """Choices of the reader, if the file could be read in more than one way."""

    @property
    def excluded(self) -> frozenset[str]:
        return frozenset(self.lost) | frozenset(self.broken)


LISTA_TYPES: Final = frozenset("BCE")
"""Types of casilla that have a lista nominal."""


def limit(row: OfficialRow) -> int | None:
    """Most votes that the row can hold; None if the file states no limit (no lista, or 0 if its type has none)."""
    if row.lista_nominal is None or (row.lista_nominal == 0 and row.tipo not in LISTA_TYPES):
        return None
    return row.lista_nominal + (row.representantes or 0)


def examine(official: OfficialFile, rules: RuleSet, *, blanks: Mapping[str, str] = NO_BLANKS) -> Caveats:
    """Find the defects of the file by its own arithmetic. `blanks` names rows with blanks of unknown meaning."""
    lost: dict[str, str] = {}
    broken: dict[str, str] = {}
    reprinted: dict[str, Mark] = {}
    stickers = {_identity(official, row) for row in official.catalogued}
    for row in official.rows:
        reason = _not_replayable(official, row, rules, stickers) or blanks.get(row.key, "")
        if reason:
            lost[row.key] = reason
            continue
        if row.status is not Status.CAPTURADA:
            continue
        votes = sum(cell for cell in row.cells if isinstance(cell, int))
        most = limit(row)
        if not row.observed.isdisjoint(TODOS) and _all_read(row) and not votes:
            only_blank = row.observed.isdisjoint({Observation.TODOS_ILEGIBLES, Observation.TODOS_SIN_NUMERO})
            reprinted[row.key] = Mark.SIN_DATO if only_blank else Mark.ILEGIBLE
        elif row.total_calculado is not None and votes != row.total_calculado:
            lost[row.key] = f"sus votos suman {votes} y su total calculado dice {row.total_calculado}"
        elif Observation.EXCEDE in row.observed and most is not None and votes <= most:
            lost[row.key] = f"excede lista nominal con {votes} votos impresos: los votos capturados no están"
        elif row.lista_nominal is None and row.tipo in LISTA_TYPES:
            lost[row.key] = "no dice su lista nominal: nadie sabe cuántos votos caben"
        elif _unseen(row):
            lost[row.key] = f"su observación dice «{_unseen(row)}» y ninguna celda lo muestra: lo tecleado no está"
        elif rules.excede_applies and most is not None and votes > most and row.contabilizada == "1":
            broken[row.key] = f"contabilizada con {votes} votos; su límite es {most}"
        elif row.contabilizada == "0" and not row.observations:
            broken[row.key] = f"no contabilizada con {votes} votos, y ninguna observación dice por qué"
    unstated = tuple(name for name, said in official.summary.items() if not said)
    return Caveats(lost, broken, reprinted, _contradicted(official, rules), unstated, official.notes)


def _not_replayable(official: OfficialFile, row: OfficialRow, rules: RuleSet, stickers: AbstractSet[str]) -> str:
    """The reason why nobody can play this row, with any votes; "" if somebody can."""
    if row.unknown:
        return row.unknown
    if row.status is Status.SIN_ACTA and not _reasons(row, rules):
        said = ", ".join(row.observations) or "Sin acta"
        return f"las reglas {rules.name} no tienen el motivo de «{said}»"
    if row.status is Status.FUERA_DE_CATALOGO:
        if read_identity(_qr(official, row, "1")) is None:
            return "fuera de catálogo sin una identidad que quepa en un QR: dos personas dirían que no se identifica"
        if _identity(official, row) in stickers:
            return "fuera de catálogo con la identidad de una casilla aprobada: su imagen sería la de esa acta"
    return ""


def _unseen(row: OfficialRow) -> str:
    """The text of an observation that no cell of the row shows; "" if there is none."""
    there = {_OF_MARK[cell] for cell in row.cells if isinstance(cell, Mark)}
    for text, codes in zip(row.observations, row.meanings, strict=True):
        if codes and codes <= _PARTIAL and codes.isdisjoint(there):
            return text
        if codes and codes <= TODOS and any(isinstance(cell, int) for cell in row.cells):
            return text
    return ""


_OF_MARK: Final[Mapping[Mark, Observation]] = {
    Mark.ILEGIBLE: Observation.ILEGIBLE,
    Mark.SIN_DATO: Observation.SIN_DATO,
    Mark.NO_EN_BOLETA: Observation.FUERA_DE_CATALOGO,
}
_PARTIAL: Final = frozenset({Observation.ILEGIBLE, Observation.SIN_DATO})
TODOS: Final = frozenset({Observation.TODOS_ILEGIBLES, Observation.TODOS_VACIOS, Observation.TODOS_SIN_NUMERO})


def sheets(
    official: OfficialFile,
    rules: RuleSet,
    caveats: Caveats,
    *,
    candidatura: str,
    stickers: Mapping[str, str] | None = None,
) -> list[Sheet]:
    """Every sheet that can be replayed, in the order of its acopio. An acta that was not captured has none.

    `stickers` are the QR texts of the catalogue's actas by CLAVE_CASILLA. Without them, they are built from the file.
    """
    made = [
        _sheet(official, row, rules, caveats, (stickers or {}).get(row.clave) or _qr(official, row, candidatura))
        for row in official.rows
        if row.status is not Status.ESPERADA and row.key not in caveats.lost
    ]
    return sorted(made, key=lambda sheet: (sheet.acopio, sheet.key))


def _sheet(official: OfficialFile, row: OfficialRow, rules: RuleSet, caveats: Caveats, sticker: str) -> Sheet:
    catalogued = row.status is not Status.FUERA_DE_CATALOGO
    return Sheet(
        key=row.key,
        clave=row.clave if catalogued else "",
        qr=sticker if catalogued else _qr(official, row, sticker.rpartition("|")[2]),
        values=_capture(official, row, caveats.reprinted.get(row.key)) if row.status is Status.CAPTURADA else None,
        sin_acta=_reasons(row, rules)[0] if row.status is Status.SIN_ACTA else None,
        acopio=_acopio(official, row),
        origen=row.origen if row.origen in {"CASILLA", "CATD"} else "CATD",
        kind={"Móvil": "movil", "Urna": "urna"}.get(row.digitalizacion, "escaner"),
        traslado="".join(letter for letter in "DFI" if letter in row.traslado),
        documento=row.tipo_documento if row.tipo_documento.startswith(("Acta ", "Copia ")) else "Acta PREP",
    )


def _acopio(official: OfficialFile, row: OfficialRow) -> datetime:
    """The moment of its arrival. If the file states none, or a moment far from the night, the hour of the corte."""
    if official.at is None:
        raise Rejected("el archivo no dice de qué fecha y hora es su corte")
    near = row.acopio is not None and abs(row.acopio - official.at) < _NIGHT
    return row.acopio if near and row.acopio is not None else official.at


_NIGHT: Final = timedelta(days=30)


def _qr(official: OfficialFile, row: OfficialRow, candidatura: str) -> str:
    territory = row.distrito if row.distrito is not None else row.municipio if official.ambito is Ambito.LOCAL else None
    parts = (row.entidad, territory, row.tipo_acta, row.seccion, row.numero, row.tipo, row.ext_contigua, candidatura)
    texts = ("0" if part is None else str(part) for part in parts)
    return "|".join(str(int(text)) if text.isdigit() else text.upper() for text in texts)


def _identity(official: OfficialFile, row: OfficialRow) -> str:
    """The identity of an acta in the catalogue, without the printed type of acta."""
    return "|".join(part for place, part in enumerate(_qr(official, row, "").split("|")) if place != _TIPO_ACTA)


_TIPO_ACTA: Final = 2


def _capture(official: OfficialFile, row: OfficialRow, reprinted: Mark | None) -> dict[str, Field]:
    capture: dict[str, Field] = {
        code: Mark.SIN_DATO if cell is None else cell for code, cell in zip(HEADER, row.header, strict=True)
    }
    for code, cell in zip(official.vote_columns, row.cells, strict=True):
        if cell is not None:
            capture[code] = cell if reprinted is None else reprinted
    capture[TOTAL] = Mark.SIN_DATO if row.total_asentado is None else row.total_asentado
    return capture


def _all_read(row: OfficialRow) -> bool:
    return all(isinstance(cell, int) for cell in row.cells if cell is not None)


def _reasons(row: OfficialRow, rules: RuleSet) -> list[int]:
    """The numbers of the reasons that the row may mean and the rules know. A reason with the same text comes first."""
    meant = row.observed & frozenset(SIN_ACTA) or frozenset(SIN_ACTA)
    for codes in row.meanings:
        meant = meant & codes or meant
    known = [place for place, kind in enumerate(SIN_ACTA, 1) if kind in meant and rules.texts.get(kind)]
    return sorted(known, key=lambda place: rules.texts[SIN_ACTA[place - 1]] not in row.observations)


# The file's summary, from its rows, with plain arithmetic of this module's own.

INTEGERS: Final = (
    "ACTAS_ESPERADAS",
    "ACTAS_REGISTRADAS",
    "ACTAS_FUERA_CATALOGO",
    "ACTAS_CAPTURADAS",
    "ACTAS_CONTABILIZADAS",
    "ACTAS_NO_CONTABILIZADAS",
    "LISTA_NOMINAL_ACTAS_CONTABILIZADAS",
    "TOTAL_VOTOS_C_CS",
    "TOTAL_VOTOS_S_CS",
)
_INCONSISTENT: Final = "inconsistentes"


def count(rows: Iterable[OfficialRow], rules: RuleSet) -> dict[str, int]:
    """The integers of the summary, and the inconsistent actas, of these rows as their file publishes them."""
    totals = dict.fromkeys((*INTEGERS, _INCONSISTENT), 0)
    for row in rows:
        if row.status is Status.FUERA_DE_CATALOGO:
            totals["ACTAS_FUERA_CATALOGO"] += 1
            totals["ACTAS_REGISTRADAS"] += 1
            continue
        totals["ACTAS_ESPERADAS"] += 1
        if row.status is Status.ESPERADA:
            continue
        totals["ACTAS_REGISTRADAS"] += 1
        totals["ACTAS_CAPTURADAS"] += 1
        if not INCONSISTENT.isdisjoint(row.observed) and row.status is Status.CAPTURADA:
            totals[_INCONSISTENT] += 1
        if row.contabilizada != "1":
            totals["ACTAS_NO_CONTABILIZADAS"] += row.status is not Status.SIN_ACTA or rules.sin_acta_not_counted
            continue
        votes = row.total_calculado or 0
        totals["ACTAS_CONTABILIZADAS"] += 1
        totals["LISTA_NOMINAL_ACTAS_CONTABILIZADAS"] += row.lista_nominal or 0
        totals["TOTAL_VOTOS_C_CS"] += votes
        totals["TOTAL_VOTOS_S_CS"] += 0 if row.tipo == "S" else votes
    return totals


def _percent(part: int, whole: int) -> str:
    digits = str(part * 10**6 // whole if whole else 0).rjust(5, "0")
    return f"{digits[:-4]}.{digits[-4:]}"


def _values(totals: Mapping[str, int], rules: RuleSet) -> dict[str, str]:
    votes = totals["TOTAL_VOTOS_C_CS" if rules.last_corte_with_especiales else "TOTAL_VOTOS_S_CS"]
    expected = totals["ACTAS_ESPERADAS"]
    return {name: str(totals[name]) for name in INTEGERS} | {
        "PORCENTAJE_ACTAS_CAPTURADAS": _percent(totals["ACTAS_CAPTURADAS"], expected),
        "PORCENTAJE_ACTAS_CONTABILIZADAS": _percent(totals["ACTAS_CONTABILIZADAS"], expected),
        "PORCENTAJE_ACTAS_INCONSISTENCIAS": _percent(totals[_INCONSISTENT], expected),
        "PORCENTAJE_PARTICIPACION_CIUDADANA": _percent(votes, totals["LISTA_NOMINAL_ACTAS_CONTABILIZADAS"]),
    }


def recomputed(official: OfficialFile, rules: RuleSet) -> dict[str, str]:
    """The thirteen values of the file's own rows."""
    return _values(count(official.rows, rules), rules)


def _contradicted(official: OfficialFile, rules: RuleSet) -> dict[str, str]:
    ours = recomputed(official, rules)
    return {
        name: f"el resumen dice {said}; sus filas, {ours[name]}"
        for name, said in official.summary.items()
        if said and name in ours and ours[name] != _spelt(name, said)
    }


def _spelt(name: str, said: str) -> str:
    """A percentage with its four decimals: files print 0 and 100 as well."""
    whole, _, decimals = said.partition(".")
    return f"{whole}.{decimals.ljust(4, '0')}" if name.startswith("PORCENTAJE") and said else said


# Official against ours.


@dataclass(frozen=True, slots=True)
class Compared:
    """One value on both sides."""

    what: str
    official: str
    ours: str
    alike: bool = False
    """Other words for the same."""

    @property
    def equal(self) -> bool:
        return self.official == self.ours or self.alike


def compare(official: OfficialFile, ours: OfficialFile, rules: RuleSet, caveats: Caveats) -> list[Compared]:
    """Every value that must be equal: the thirteen of the summary, then each row's votes, total and verdict.

    If rows are excluded, the summary of both sides is computed from the remaining rows; otherwise the published values
    are compared. Rows are matched by CLAVE_CASILLA, those fuera de catálogo by the identity as read.
    """
    return [*_compare_summary(official, ours, rules, caveats), *_compare_rows(official, ours, caveats)]


def _compare_summary(official: OfficialFile, ours: OfficialFile, rules: RuleSet, caveats: Caveats) -> list[Compared]:
    """Compare the values that the file states. If its own rows contradict a value, the value of the rows is taken."""
    names = [name for name, said in official.summary.items() if said]
    if not caveats.excluded:
        rows = recomputed(official, rules)
        stated = {
            name: rows[name] if name in caveats.summary else _spelt(name, official.summary[name]) for name in names
        }
        return [Compared(name, stated[name], ours.summary.get(name, "")) for name in names]
    keys = {_match(row) for row in official.catalogued if row.key in caveats.excluded}
    left = (row for row in official.rows if row.key not in caveats.excluded)
    theirs = _values(count(left, rules), rules)
    mine = _values(count((row for row in ours.rows if _match(row) not in keys), rules), rules)
    published = _values(count(ours.rows, rules), rules)
    return [
        *(Compared(name, theirs[name], mine[name]) for name in names if name in theirs),
        *(
            Compared(f"{name}, resumen propio", published[name], ours.summary[name])
            for name in names
            if name in published
        ),
    ]


def _compare_rows(official: OfficialFile, ours: OfficialFile, caveats: Caveats) -> list[Compared]:
    mine: dict[str, list[OfficialRow]] = {}
    for row in ours.rows:
        mine.setdefault(_match(row), []).append(row)
    compared: list[Compared] = []
    excluded = set()
    for row in official.rows:
        if row.key in caveats.excluded:
            excluded |= {_match(row)} if row.status is not Status.FUERA_DE_CATALOGO else set()
            continue
        same = mine.get(_match(row), [])
        if not same:
            compared.append(Compared(f"{row.key} fila", "está", "no está"))
            continue
        compared += _compare_row(official, ours, row, same.pop(0), caveats.reprinted.get(row.key))
    left = [row for rows in mine.values() for row in rows if _match(row) not in excluded]
    return compared + [Compared(f"{row.key} fila", "no está", "está") for row in left]


def _match(row: OfficialRow) -> str:
    if row.status is not Status.FUERA_DE_CATALOGO:
        return row.clave
    return f"fuera {row.clave}"


def _compare_row(
    official: OfficialFile, ours: OfficialFile, row: OfficialRow, other: OfficialRow, reprinted: Mark | None
) -> list[Compared]:
    said, done = _said(official, row, reprinted), _said(ours, other)
    names = dict.fromkeys((*said, *done))
    compared = [Compared(f"{row.key} {name}", said.get(name, "-"), done.get(name, "-")) for name in names]
    if row.status is Status.FUERA_DE_CATALOGO:
        return compared
    theirs, mine = (", ".join(sorted(each.observations)) for each in (row, other))
    return [Compared(f"{row.key} OBSERVACIONES", theirs, mine, alike=_same_meaning(row, other)), *compared]


def _same_meaning(row: OfficialRow, other: OfficialRow) -> bool:
    """Each text of one row may mean a criterion that a text of the other may mean.

    Some institutes print *Excede* alone, even if other criteria fit the acta.
    """
    alone = frozenset({Observation.EXCEDE})
    if row.observed == alone and alone <= other.observed <= alone | _PARTIAL:
        return True
    pairs = ((row.meanings, other.observed), (other.meanings, row.observed))
    return all(not codes.isdisjoint(observed) for meanings, observed in pairs for codes in meanings)


def _said(file: OfficialFile, row: OfficialRow, reprinted: Mark | None = None) -> dict[str, str]:
    """The published values of a row, in words that do not depend on the dialect."""
    verdict = {Status.ESPERADA: "-", Status.SIN_ACTA: "0", Status.FUERA_DE_CATALOGO: "2"}
    said = {
        "CONTABILIZADA": verdict.get(row.status, row.contabilizada),
        "TOTAL_VOTOS_CALCULADO": str(row.total_calculado or 0),
    }
    if row.status is Status.CAPTURADA:
        cells: Sequence[Field | None] = row.cells
        if reprinted is not None:
            cells = [None if cell is None else reprinted for cell in cells]
        said |= {
            code: cell.name if isinstance(cell, Mark) else str(cell)
            for code, cell in zip(file.vote_columns, cells, strict=True)
            if cell is not None
        }
    return said
