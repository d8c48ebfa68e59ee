"""The summary of a catalogue that a person compares with the institute's papers before the catalogue is loaded."""

from collections import Counter
from collections.abc import Iterator, Sequence

from prep.domain.catalog import (
    Acta,
    Catalog,
    Contest,
    Election,
    TipoCasilla,
)
from prep.domain.row import territory


def catalog_summary(catalog: Catalog) -> list[str]:
    """The lines of the summary: casillas by type, each election with its territories and ballots, then the totals."""
    types = Counter(casilla.tipo for casilla in catalog.casillas)
    lines = ["casillas por tipo", *(f"  {tipo}: {types[tipo]}" for tipo in TipoCasilla if types[tipo])]
    for election in catalog.elections:
        contests = [contest for contest in catalog.contests if contest.election == election.id]
        actas = [acta for acta in catalog.actas if acta.election == election.id]
        kind, _, _ = territory(election)
        lines += [f"{election.code}: {election.title}", f"  por {kind.words}"]
        lines += _territory_lines(catalog, election, actas)
        lines += [f"    total: {_people(actas)}", "  boletas, con sus opciones en orden", *_ballots(election, contests)]
    return [*lines, "totales", *(f"  {line}" for line in catalog_totals(catalog))]


def catalog_totals(catalog: Catalog) -> list[str]:
    casillas, elections, actas = len(catalog.casillas), len(catalog.elections), len(catalog.actas)
    return [
        f"{casillas} casillas, {elections} elecciones, {actas} actas esperadas",
        f"{len(catalog.contests)} contiendas, {len(catalog.candidacies)} candidaturas",
        f"huella del catálogo: {catalog.digest}",
    ]


def _territory_lines(catalog: Catalog, election: Election, actas: Sequence[Acta]) -> Iterator[str]:
    kind, _, _ = territory(election)
    names = {(each.entidad, each.id): each.name for each in catalog.territories if each.kind == kind}
    contests = {contest.id: contest.territory for contest in catalog.contests}
    places: dict[tuple[int, int], list[Acta]] = {}
    for acta in actas:
        casilla = catalog.casillas[acta.casilla - 1]
        own = contests[acta.contest] if election.territory else casilla.distrito(election.ambito)
        places.setdefault((casilla.entidad, own), []).append(acta)
    several = len({entidad for entidad, _ in places}) > 1
    for (entidad, own), held in sorted(places.items()):
        where = f"entidad {entidad}, " if several else ""
        name = f"{own} {names[entidad, own]}" if own else "ninguno"
        yield f"    {where}{name}: {_people(held)}"


def _people(actas: Sequence[Acta]) -> str:
    lista, people = sum(acta.lista_nominal for acta in actas), sum(acta.representantes for acta in actas)
    casillas = f"{len(actas)} {'casilla' if len(actas) == 1 else 'casillas'}"
    return f"{casillas}, lista nominal {lista}, {people} representantes"


def _ballots(election: Election, contests: Sequence[Contest]) -> Iterator[str]:
    """Each ballot once, with the contests that print it."""
    ballots: dict[tuple[int, ...], list[str]] = {}
    for contest in contests:
        ballots.setdefault(contest.ballot, []).append(contest.name)
    for ballot, names in ballots.items():
        yield f"    {', '.join(names)}: {' '.join(election.codes[place] for place in ballot)}"
