"""What an official file says was typed, what it no longer holds, and the comparison of its numbers with ours.

A replay invents nothing. Each row gives the sheet that is drawn and typed (`sheets`), never from the columns that the
institute derived. Rows whose typed values the file has lost, or whose verdict breaks the file's own rules, are named
by key in `Caveats` and left out on both sides of the comparison (`domain.md` §5).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from prep.domain.catalog import Ambito
from prep.domain.entry import HEADER, TOTAL, Field, Mark
from prep.domain.rules import INCONSISTENT, SIN_ACTA, Observation, RuleSet
from prep.files.official import OfficialFile, OfficialRow, Status

WORDS: Final[Mapping[Mark, str]] = {Mark.ILEGIBLE: "ilegible", Mark.SIN_DATO: "sin dato"}


@dataclass(frozen=True, slots=True)
class Sheet:
    """One acta of the night: how it is identified, how it arrives, and what is written on it."""

    key: str
    """Of the official row; unique in the night."""
    clave: str
    """CLAVE_CASILLA, by which it is found in what we publish; "" fuera de catálogo."""
    qr: str
    values: Mapping[str, Field] | None
    """By field code, only those on its ballot; None where there is nothing to type."""
    sin_acta: int | None
    """The reason, 1 to 4, where there is no acta at all."""
    acopio: datetime
    origen: str
    kind: str
    """movil, escaner or urna."""
    traslado: str
    documento: str

    def typed(self) -> dict[str, int | str]:
        """The values as a capturista submits them."""
        assert self.values is not None
        return {code: WORDS[said] if isinstance(said, Mark) else said for code, said in self.values.items()}


@dataclass(frozen=True, slots=True)
class Caveats:
    """What the official file lost or broke, by key, each with its reason."""

    lost: Mapping[str, str] = field(default_factory=dict)
    """Not replayable: left out."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Replayed; the file's verdict contradicts its own rules."""
    reprinted: Mapping[str, str] = field(default_factory=dict)
    """Cells printed as something else than what was typed; the observation tells which."""
    summary: Mapping[str, str] = field(default_factory=dict)
    """Summary values that the file's own rows contradict."""

    @property
    def excluded(self) -> frozenset[str]:
        return frozenset(self.lost) | frozenset(self.broken)


def limit(row: OfficialRow) -> int | None:
    """Most votes the row can hold; None where the file states no limit (lista nominal 0)."""
    return row.lista_nominal + (row.representantes or 0) if row.lista_nominal else None


def examine(official: OfficialFile, rules: RuleSet) -> Caveats:
    """Find what the file lost or broke, from its own arithmetic alone."""
    lost: dict[str, str] = {}
    broken: dict[str, str] = {}
    reprinted: dict[str, str] = {}
    for row in official.rows:
        if row.status is not Status.CAPTURADA:
            continue
        said = _observed(row)
        votes = sum(cell for cell in row.cells if isinstance(cell, int))
        most = limit(row)
        over = rules.excede_applies and most is not None and votes > most
        if Observation.TODOS_ILEGIBLES in said and _all_read(row):
            reprinted[row.key] = "impresa con ceros; su observación dice que todo era ilegible"
        elif row.total_calculado is not None and votes != row.total_calculado:
            lost[row.key] = f"sus votos suman {votes} y su total calculado dice {row.total_calculado}"
        elif Observation.EXCEDE in said and not over:
            lost[row.key] = f"excede lista nominal con {votes} votos impresos: los votos capturados no están"
        elif over and row.contabilizada == "1":
            broken[row.key] = f"contabilizada con {votes} votos; su límite es {most}"
    return Caveats(lost, broken, reprinted, _contradicted(official, rules))


def sheets(official: OfficialFile, rules: RuleSet, caveats: Caveats, *, candidatura: str) -> list[Sheet]:
    """Every sheet that can be replayed, in the order of its acopio; what was not captured has none."""
    made = [
        _sheet(official, row, rules, caveats, candidatura)
        for row in official.rows
        if row.status is not Status.ESPERADA and row.key not in caveats.lost
    ]
    return sorted(made, key=lambda sheet: (sheet.acopio, sheet.key))


def _sheet(official: OfficialFile, row: OfficialRow, rules: RuleSet, caveats: Caveats, candidatura: str) -> Sheet:
    at = row.acopio or official.at
    assert at is not None, "an official file states its corte"
    return Sheet(
        key=row.key,
        clave=row.clave_casilla if row.status is not Status.FUERA_DE_CATALOGO else "",
        qr=_qr(official, row, candidatura),
        values=_typed(official, row, reprinted=row.key in caveats.reprinted)
        if row.status is Status.CAPTURADA
        else None,
        sin_acta=_reason(row, rules) if row.status is Status.SIN_ACTA else None,
        acopio=at,
        origen=row.origen if row.origen in {"CASILLA", "CATD"} else "CATD",
        kind={"Móvil": "movil", "Urna": "urna"}.get(row.digitalizacion, "escaner"),
        traslado="".join(letter for letter in "DFI" if letter in row.traslado),
        documento=row.tipo_documento if row.tipo_documento.startswith(("Acta ", "Copia ")) else "Acta PREP",
    )


def _qr(official: OfficialFile, row: OfficialRow, candidatura: str) -> str:
    territory = row.distrito if row.distrito is not None else row.municipio if official.ambito is Ambito.LOCAL else None
    parts = (row.entidad, territory, row.tipo_acta, row.seccion, row.numero, row.tipo, row.ext_contigua, candidatura)
    texts = ("0" if part is None else str(part) for part in parts)
    return "|".join(str(int(text)) if text.isdigit() else text.upper() for text in texts)


def _typed(official: OfficialFile, row: OfficialRow, *, reprinted: bool) -> dict[str, Field]:
    typed: dict[str, Field] = {
        code: Mark.SIN_DATO if cell is None else cell for code, cell in zip(HEADER, row.header, strict=True)
    }
    for code, cell in zip(official.vote_columns, row.cells, strict=True):
        if cell is not None:
            typed[code] = Mark.ILEGIBLE if reprinted else cell
    typed[TOTAL] = Mark.SIN_DATO if row.total_asentado is None else row.total_asentado
    return typed


def _observed(row: OfficialRow) -> frozenset[Observation]:
    return row.observed


def _all_read(row: OfficialRow) -> bool:
    return all(isinstance(cell, int) for cell in row.cells if cell is not None)


def _reason(row: OfficialRow, rules: RuleSet) -> int:
    return next(place for place, kind in enumerate(SIN_ACTA, 1) if rules.texts.get(kind) in row.observations)


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


def count(rows: Iterable[OfficialRow]) -> dict[str, int]:
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
        if not INCONSISTENT.isdisjoint(_observed(row)) and row.status is Status.CAPTURADA:
            totals[_INCONSISTENT] += 1
        if row.contabilizada != "1":
            totals["ACTAS_NO_CONTABILIZADAS"] += 1
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


def _contradicted(official: OfficialFile, rules: RuleSet) -> dict[str, str]:
    ours = _values(count(official.rows), rules)
    return {
        name: f"el resumen dice {said}; sus filas, {ours[name]}"
        for name, said in official.summary.items()
        if name in ours and ours[name] != said
    }


# Official against ours.


@dataclass(frozen=True, slots=True)
class Compared:
    """One value on both sides."""

    what: str
    official: str
    ours: str

    @property
    def equal(self) -> bool:
        return self.official == self.ours


def compare(official: OfficialFile, ours: OfficialFile, rules: RuleSet, caveats: Caveats) -> list[Compared]:
    """Every value that must be equal: the thirteen of the summary, then each row's votes, total and verdict.

    Where rows are excluded, the summary is that of the remaining rows on both sides; where none is, the published
    values themselves are compared. Rows are matched by CLAVE_CASILLA, those fuera de catálogo by the identity as read.
    """
    return [*_compare_summary(official, ours, rules, caveats), *_compare_rows(official, ours, caveats)]


def _compare_summary(official: OfficialFile, ours: OfficialFile, rules: RuleSet, caveats: Caveats) -> list[Compared]:
    if not caveats.excluded:
        return [Compared(name, said, ours.summary.get(name, "")) for name, said in official.summary.items()]
    keys = {row.clave_casilla for row in official.rows if row.key in caveats.excluded}
    theirs = _values(count(row for row in official.rows if row.clave_casilla not in keys), rules)
    mine = _values(count(row for row in ours.rows if row.clave_casilla not in keys), rules)
    published = _values(count(ours.rows), rules)
    return [
        *(Compared(name, theirs[name], mine[name]) for name in official.summary),
        *(Compared(f"{name}, resumen propio", published[name], ours.summary[name]) for name in official.summary),
    ]


def _compare_rows(official: OfficialFile, ours: OfficialFile, caveats: Caveats) -> list[Compared]:
    mine: dict[str, list[OfficialRow]] = {}
    for row in ours.rows:
        mine.setdefault(_match(row), []).append(row)
    compared: list[Compared] = []
    for row in official.rows:
        if row.key in caveats.excluded:
            continue
        same = mine.get(_match(row), [])
        if not same:
            compared.append(Compared(f"{row.key} fila", "está", "no está"))
            continue
        other = same.pop(0)
        said, done = _said(official, row, reprinted=row.key in caveats.reprinted), _said(ours, other)
        names = dict.fromkeys((*said, *done))
        compared += [Compared(f"{row.key} {name}", said.get(name, "-"), done.get(name, "-")) for name in names]
    excluded = {row.clave_casilla for row in official.rows if row.key in caveats.excluded}
    left = [row for rows in mine.values() for row in rows if row.clave_casilla not in excluded]
    return compared + [Compared(f"{row.key} fila", "no está", "está") for row in left]


def _match(row: OfficialRow) -> str:
    if row.status is not Status.FUERA_DE_CATALOGO:
        return row.clave_casilla
    return f"fuera {row.entidad} {row.distrito} {row.seccion} {row.tipo} {row.numero} {row.ext_contigua}"


def _said(file: OfficialFile, row: OfficialRow, *, reprinted: bool = False) -> dict[str, str]:
    """What a row publishes, in words that do not depend on the dialect."""
    said = {
        "OBSERVACIONES": ", ".join(sorted(row.observations)),
        "CONTABILIZADA": "-" if row.status is Status.ESPERADA else row.contabilizada,
        "TOTAL_VOTOS_CALCULADO": str(row.total_calculado or 0),
    }
    if row.status is Status.CAPTURADA:
        cells: Sequence[Field | None] = row.cells
        if reprinted:
            cells = [None if cell is None else Mark.ILEGIBLE for cell in cells]
        said |= {
            code: cell.name if isinstance(cell, Mark) else str(cell)
            for code, cell in zip(file.vote_columns, cells, strict=True)
            if cell is not None
        }
    return said
