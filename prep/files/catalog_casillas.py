"""The casillas of a catalogue, as columns, and the contests in which they vote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import compress
from typing import Final

from prep.domain.catalog import SIN_SECCION, Casilla, CasillaId, ContestId, Nivel, TerritoryKind, TipoCasilla
from prep.files import csv_tables as cell
from prep.files.catalog_columns import (
    CASILLA_KINDS,
    DIGITOS,
    MAX_ENTIDAD,
    Tables,
    all_sound,
    casilla_kinds,
    contests_known,
    digit_boxes,
    maybe_people,
    maybe_territory,
    people,
)
from prep.files.catalog_contests import ENTIDAD, Contests, Territories, unknown_territory
from prep.files.catalog_elections import Drafts, ElectionDraft, judge_election
from prep.files.csv_tables import CsvTable

_MAX_SECCION: Final = 9999
_MAX_NUMERO: Final = 99
_BY_LISTA: Final = frozenset({TipoCasilla.BASICA, TipoCasilla.CONTIGUA, TipoCasilla.EXTRAORDINARIA})
"""Types whose voters are all in their lista nominal."""
_tipo: Final = cell.one_of(TipoCasilla, TipoCasilla)


@dataclass
class CasillaColumns:
    """The file casillas.csv, as columns."""

    table: CsvTable
    entidad: list[int]
    territory: Mapping[TerritoryKind, list[int]]
    seccion: list[int]
    tipo: list[TipoCasilla]
    numero: list[int]
    ext_contigua: list[int]
    ubicacion: list[int]
    lista_nominal: list[int]
    representantes: list[int]
    boletas_maximas: list[int | None]
    digitos: list[int]
    elections: list[frozenset[str]]
    """For each casilla, the codes of its elections. An empty set means all elections."""
    lugar: list[str]
    direccion: list[str]

    def __len__(self) -> int:
        return len(self.entidad)

    @cached_property
    def claves(self) -> list[str]:
        """CLAVE_CASILLA of each casilla, the same text as `Casilla.clave`."""
        own = zip(self.entidad, self.seccion, self.tipo, self.numero, self.ext_contigua, strict=True)
        return [f"{entidad:02}{seccion:04}{tipo}{numero:02}{ext:02}" for entidad, seccion, tipo, numero, ext in own]

    def build(self) -> list[Casilla]:
        ids = map(CasillaId, range(1, len(self) + 1))
        territories = (self.territory[kind] for kind in CASILLA_KINDS)
        own = (self.seccion, self.tipo, self.numero, self.ext_contigua, self.ubicacion, self.lugar, self.direccion)
        return list(map(Casilla, ids, self.entidad, *territories, *own))

    def order(self, kind: TerritoryKind) -> list[int]:
        """Row numbers in the order of the official file (`docs/rules.md` §6), foreign vote first.

        Each row becomes one number, because sorting numbers is faster than sorting tuples. Each part has its own
        digits.
        """
        own = zip(
            self.entidad, self.territory[kind], self.seccion, self.tipo, self.numero, self.ext_contigua, strict=True
        )
        # Entidad has 2 digits, territory 4, sección 4, the letter of the type below 128, number 2, ext 2.
        ranks = [
            ((((((tipo != "M") * 100 + entidad) * 10_000 + of) * 10_000 + seccion) * 128 + ord(tipo)) * 100 + numero)
            * 100
            + ext
            for entidad, of, seccion, tipo, numero, ext in own
        ]
        return sorted(range(len(ranks)), key=ranks.__getitem__)

    def votes(self, draft: ElectionDraft) -> list[bool]:
        """For each casilla, whether it takes part in the election."""
        return [not codes or draft.code in codes for codes in self.elections]

    def contests(self, draft: ElectionDraft) -> tuple[Sequence[int], Sequence[int]]:
        """For each casilla, entidad and territory of its contest, as in `ContestKey`."""
        nowhere = [0] * len(self)
        entidades = nowhere if draft.nivel == Nivel.PAIS else self.entidad
        return entidades, self.territory[draft.territory] if draft.territory else nowhere


def read_casillas(tables: Tables, drafts: Drafts, territories: Territories) -> CasillaColumns | None:
    table = tables.get("casillas.csv")
    if table is None:
        return None
    if not len(table):
        table.blame_whole("", "no hay ninguna casilla")
    everywhere: frozenset[str] = frozenset()
    casillas = CasillaColumns(
        table=table,
        entidad=table.read("entidad", cell.integer(1, MAX_ENTIDAD), 0),
        territory={kind: table.read(kind, maybe_territory, 0) for kind in casilla_kinds(tables)},
        seccion=table.read("seccion", cell.integer(0, _MAX_SECCION, blank=0), 0),
        tipo=table.read("tipo", _tipo, TipoCasilla.BASICA),
        numero=table.read("numero", cell.integer(0, _MAX_NUMERO), 0),
        ext_contigua=table.read("ext_contigua", cell.integer(0, _MAX_NUMERO), 0),
        ubicacion=table.read("ubicacion", cell.integer(1, 2), 1),
        lista_nominal=table.read("lista_nominal", people, 0),
        representantes=table.read("representantes", people, 0),
        boletas_maximas=table.read("boletas_maximas", maybe_people, None),
        digitos=table.read("digitos", digit_boxes, DIGITOS),
        elections=table.read("elecciones", lambda codes: frozenset(cell.codes(codes)), everywhere),
        lugar=table.read("lugar", cell.name, ""),
        direccion=table.read("direccion", cell.name, ""),
    )
    _judge_casillas(casillas, tables, drafts, territories)
    return casillas


def _judge_casillas(casillas: CasillaColumns, tables: Tables, drafts: Drafts, territories: Territories) -> None:
    table = casillas.table
    # A wrong line of another file is one error; the casillas that name it are not wrong because of it.
    if all_sound(tables, "territorios.csv"):
        table.expect("entidad", lambda own: unknown_territory(ENTIDAD, own, own, territories), casillas.entidad)
        for kind, owns in casillas.territory.items():
            judge = partial(_judge_own_territory, territories, kind)
            table.expect(kind, judge, casillas.entidad, owns)
    if all_sound(tables, "elecciones.csv"):
        unknown = partial(_judge_elections, drafts)
        table.expect("elecciones", unknown, casillas.elections)
    table.expect("seccion", _judge_seccion, casillas.tipo, casillas.seccion)
    table.expect("lista_nominal", judge_limit, casillas.tipo, casillas.lista_nominal, casillas.boletas_maximas)
    table.expect_once("numero", "la casilla está repetida", casillas.claves)


def _judge_own_territory(territories: Territories, kind: TerritoryKind, entidad: int, own: int) -> str:
    return unknown_territory(kind, entidad, own, territories) if own else ""


def _judge_elections(drafts: Drafts, codes: frozenset[str]) -> str:
    return next((judge_election(code, drafts) for code in sorted(codes - drafts.keys())), "")


def _judge_seccion(tipo: TipoCasilla, seccion: int) -> str:
    return f"una casilla de tipo {tipo} pertenece a una sección" if seccion == 0 and tipo not in SIN_SECCION else ""


def judge_limit(tipo: TipoCasilla, lista: int, maximum: int | None) -> str:
    # Its lista nominal is the limit of its votes, in every public check: with 0, nobody votes there.
    if lista == 0 and maximum != 0 and tipo in _BY_LISTA:
        sentence = f"una casilla de tipo {tipo} con lista nominal 0 no tiene quién vote"
        return f"{sentence}: ponga su lista, o boletas_maximas 0"
    return ""


def place_in_contests(casillas: CasillaColumns, drafts: Drafts, contests: Contests, tables: Tables) -> None:
    """Find the contest of every casilla in each of its elections, and number the contests.

    A contest of contiendas.csv without casillas is an error. One that only a territory implies is removed.
    """
    for code, draft in drafts.items():
        entidades, owns = casillas.contests(draft)
        votes = casillas.votes(draft)
        if not any(votes) and votes and casillas.table.sound:
            casillas.table.blame_whole("elecciones", f"ninguna casilla vota en {code}")
        column = draft.territory or "entidad"
        if contests_known(tables):
            casillas.table.expect(column, partial(_judge_place, contests, draft), votes, entidades, owns)
        for entidad, own in set(compress(zip(entidades, owns, strict=True), votes)):
            if (code, entidad, own) in contests:
                contests[code, entidad, own].used = True
    # A wrong casilla may be the one that votes here, so wait until these files have no errors.
    known = casillas.table.sound and contests_known(tables)
    for key, place in [*contests.items()]:
        if place.stated and not place.used and known:
            sentence = f"ninguna casilla vota en {key[0]}, {place.contest.name}"
            tables["contiendas.csv"].blame_whole("territorio", sentence)
        if not place.stated and not place.used:
            del contests[key]
    for number, place in enumerate(contests.values(), start=1):
        place.contest = replace(place.contest, id=ContestId(number))


def _judge_place(contests: Contests, draft: ElectionDraft, votes: bool, entidad: int, own: int) -> str:  # noqa: FBT001
    code = draft.code
    if not votes or (code, entidad, own) in contests:
        return ""
    if draft.territory is not None and own == 0:
        return f"sin {draft.territory.words} no vota en {code}; quite esa elección de la casilla"
    where = f"{draft.territory.words} {own} de la " if draft.territory else ""
    return f"{code} no tiene contienda (ni boleta) en {where}entidad {entidad}"
