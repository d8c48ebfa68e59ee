"""The territories of a catalogue, and the contests: one place that elects one office."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from prep.domain.catalog import Clase, Contest, ContestId, Nivel, Territory, TerritoryKind
from prep.files import csv_tables as cell
from prep.files.catalog_columns import (
    MAX_ENTIDAD,
    MAX_TERRITORY,
    Tables,
    all_sound,
    casilla_kinds,
    maybe_entidad,
    maybe_territory,
    territory_kind,
    votes_per_ballot,
)
from prep.files.catalog_elections import FOR_SOMEBODY, Drafts, ElectionDraft, expect_election

ENTIDAD: Final = TerritoryKind.ENTIDAD


Territories = dict[tuple[TerritoryKind, int, int], Territory]
ContestKey = tuple[str, int, int]
"""Election code, entidad, territory. If a whole entidad is one contest, territory is 0; for the country, both are 0."""


@dataclass
class ContestPlace:
    """A contest, and whether any casilla votes in it.

    `stated`: contiendas.csv names it; if not, a territory implies it.
    """

    contest: Contest
    stated: bool
    used: bool = False


Contests = dict[ContestKey, ContestPlace]


def read_territories(tables: Tables) -> Territories:
    table = tables.get("territorios.csv")
    if table is None:
        return {}
    # The column of casillas.csv declares a kind: so a slip of the pen is an error here, and no new kind.
    known = casilla_kinds(tables)
    kinds = table.read("tipo", partial(_known_kind, known), ENTIDAD)
    entidades = table.read("entidad", cell.integer(1, MAX_ENTIDAD), 0)
    ids = table.read("id", cell.integer(1, MAX_TERRITORY), 0)
    names = table.read("nombre", cell.needed_name, "")
    found = {held[:3]: Territory(*held) for held in zip(kinds, entidades, ids, names, strict=True)}
    table.expect("id", _judge_territory, kinds, entidades, ids)
    table.expect_once("id", "el territorio está repetido", kinds, entidades, ids)
    # If the line of an entidad is wrong, its distritos and municipios are not wrong because of it.
    if table.sound:
        table.expect("entidad", lambda own: unknown_territory(ENTIDAD, own, own, found), entidades)
    return found


def _known_kind(known: Sequence[TerritoryKind], text: str) -> TerritoryKind:
    kind = territory_kind(text)
    if kind != ENTIDAD and kind not in known:
        raise ValueError(
            f"«{kind}» no es ninguno de: entidad, {', '.join(known)}. Otro tipo necesita su columna en casillas.csv"
        )
    return kind


def _judge_territory(kind: TerritoryKind, entidad: int, own: int) -> str:
    return "el id de una entidad es el de la columna entidad" if kind == ENTIDAD and own != entidad else ""


def unknown_territory(kind: TerritoryKind, entidad: int, own: int, territories: Territories) -> str:
    """The sentence about a territory that is missing in territorios.csv; "" if it is there."""
    if (kind, entidad, own) in territories:
        return ""
    where = "" if kind == ENTIDAD else f" de la entidad {entidad}"
    return f"{kind.words} {own}{where} no está en territorios.csv"


def read_contests(tables: Tables, drafts: Drafts, territories: Territories) -> Contests:
    """The contests in contiendas.csv. An election that the file does not name has one contest for each territory.

    They are in the order of election, entidad and territory. `place_in_contests` gives them their ids.
    """
    contests: Contests = {}
    table = tables.get("contiendas.csv")
    if table is not None:
        none: tuple[str, ...] = ()
        elections = table.read("eleccion", cell.code, "")
        entidades = table.read("entidad", maybe_entidad, 0)
        ids = table.read("territorio", maybe_territory, 0)
        names = table.read("nombre", cell.name, "")
        ballots = table.read("opciones", cell.codes, none)
        votes = table.read("votos_por_boleta", votes_per_ballot, 1)
        keys = list(zip(elections, entidades, ids, strict=True))
        expect_election(table, elections, tables, drafts)
        if all_sound(tables, "elecciones.csv", "territorios.csv"):
            table.expect("territorio", lambda key: _judge_contest(key, drafts, territories), keys)
        if all_sound(tables, "elecciones.csv", "opciones.csv"):
            table.expect("opciones", lambda *held: _judge_stated(drafts, *held), elections, ballots)
        table.expect_once("territorio", "la contienda está repetida", keys)
        for key, ballot, name, most in zip(keys, ballots, names, votes, strict=True):
            if key[0] in drafts:
                contest = _contest_of(key, drafts[key[0]], territories, ballot, name)
                contests[key] = ContestPlace(replace(contest, votes_per_ballot=most), stated=True)
    stated = {key[0] for key in contests}
    for code, draft in drafts.items():
        # An election is either wholly in contiendas.csv or not at all: a forgotten line must not become a contest.
        for key in () if code in stated else _contests_by_territory(draft, territories):
            contests[key] = ContestPlace(_contest_of(key, draft, territories, (), ""), stated=False)
    return {key: contests[key] for key in sorted(contests, key=lambda key: (drafts[key[0]].id, key))}


def _contests_by_territory(draft: ElectionDraft, territories: Territories) -> Iterable[ContestKey]:
    if draft.nivel == Nivel.PAIS:
        return [(draft.code, 0, 0)]
    kind = draft.territory or ENTIDAD
    return [(draft.code, held, own if draft.territory else 0) for (of, held, own) in territories if of == kind]


def _contest_of(
    key: ContestKey, draft: ElectionDraft, territories: Territories, ballot: Sequence[str], name: str
) -> Contest:
    _, entidad, own = key
    territory = territories.get((draft.territory or ENTIDAD, entidad, own if draft.territory else entidad))
    places = sorted(draft.places[code] for code in ballot if code in draft.places) or range(len(draft.options))
    told = name or (territory.name if territory else draft.title)
    return Contest(ContestId(0), draft.id, entidad, own, told, tuple(places))


def _judge_contest(key: ContestKey, drafts: Drafts, territories: Territories) -> str:
    draft, entidad, own = drafts.get(key[0]), key[1], key[2]
    if draft is None:
        return ""
    if draft.nivel == Nivel.PAIS:
        return "" if entidad == own == 0 else "una contienda de todo el país lleva entidad 0 y territorio 0"
    if draft.territory is not None:
        return unknown_territory(draft.territory, entidad, own, territories)
    return (
        "una contienda de toda la entidad lleva territorio 0"
        if own
        else unknown_territory(ENTIDAD, entidad, entidad, territories)
    )


def _judge_stated(drafts: Drafts, code: str, ballot: tuple[str, ...]) -> str:
    """The sentence about an impossible ballot in contiendas.csv; "" if the ballot is possible."""
    draft = drafts.get(code)
    if draft is None or not ballot:
        return ""
    unknown = [one for one in ballot if one not in draft.places]
    if unknown:
        return f"«{unknown[0]}» no es una opción de {code}"
    if len(set(ballot)) < len(ballot):
        return "una opción está repetida"
    options = [draft.options[draft.places[one]] for one in ballot]
    clases = {option.clase for option in options}
    if Clase.NULOS not in clases:
        return "la boleta no incluye los votos nulos"
    if FOR_SOMEBODY.isdisjoint(clases):
        return "la boleta no tiene ninguna opción por la que se pueda votar"
    # A coalition's combination gives votes to its parties (rules.md §4), so each of them must be on the ballot too.
    printed = {option.position for option in options}
    for option in options:
        absent = [party for party in option.parties if party not in printed]
        if absent and option.clase is Clase.COALICION:
            return f"la boleta incluye {option.code} sin {draft.options[absent[0]].code}"
    return ""
