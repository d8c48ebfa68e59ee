"""The catalogue as the published tree brings it: the expected actas and their ballots, in the words of its cortes.

    catalogo.json       elections, options, contests and candidacies, as manifest and totals tell them; and `fuente`:
                        the SHA-256 of each file that the institute delivered
    actas_ELECCION.csv  the expected actas of an election, in the order of its official file: the columns that the
                        catalogue fills, and the maximum of ballots
    SHA256SUMS          the digests of these files; its own SHA-256 is the digest of the catalogue

The institute's own files are not published: `sitios.csv` says where people and machines work, and the addresses of
casillas, which stand on the pages, are not needed to check a number. Their digests are, so that a file can be compared
with the one that was loaded. A reader needs no knowledge of spreadsheets, which those files may have passed through.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from prep.domain import row
from prep.domain.catalog import (
    PUBLISHED_LIST,
    Acta,
    Candidacy,
    Casilla,
    Catalog,
    Contest,
    ContestId,
    Election,
    Option,
    TerritoryKind,
)
from prep.domain.rules import rule_set

FORMAT: Final = 1
CATALOG_JSON: Final = "catalogo.json"
_BOM: Final = "\ufeff"
MAXIMUM: Final = "BOLETAS_MAXIMAS"
"""The one column of the expected actas that the official file does not have; blank if there is no maximum."""


def published_files(catalog: Catalog, sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files by name. `sources` are those that the institute delivered."""
    people: dict[ContestId, list[tuple[int, Candidacy]]] = {}
    for number, candidacy in enumerate(catalog.candidacies, 1):
        people.setdefault(candidacy.contest, []).append((number, candidacy))
    told = {
        "formato": FORMAT,
        "fuente": {name: hashlib.sha256(content).hexdigest() for name, content in sources.items()},
        "elecciones": [
            {
                **election_entry(election),
                "reglas": rule_set(election.rules).digest,
                "opciones": [option_entry(option) for option in election.options],
                "contiendas": [
                    {
                        **contest_entry(contest),
                        "candidaturas": [
                            candidacy_entry(number, held, election) for number, held in people.get(contest.id, ())
                        ],
                    }
                    for contest in catalog.contests
                    if contest.election == election.id
                ],
            }
            for election in catalog.elections
        ],
    }
    # The form of every published JSON: sorted keys, no spaces, one line.
    files = {CATALOG_JSON: json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"}
    of = {election.id: election for election in catalog.elections}
    names = {(each.kind, each.entidad, each.id): each.name for each in catalog.territories}
    places = {contest.id: contest.territory for contest in catalog.contests}
    for election_id, mine in groupby(catalog.actas, key=lambda acta: acta.election):
        election = of[election_id]
        lines = _acta_lines(election, mine, catalog.casillas, names, places)
        files[f"actas_{election.code}.csv"] = f"{_BOM}{''.join(lines)}".encode()
    listed = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())]
    return {**files, PUBLISHED_LIST: "".join(listed).encode()}


def _acta_lines(
    election: Election,
    actas: Iterator[Acta],
    casillas: Sequence[Casilla],
    names: Mapping[tuple[TerritoryKind, int, int], str],
    places: Mapping[ContestId, int],
) -> Iterator[str]:
    yield f"{row.line((*row.identity_columns(election), *row.LIMIT, MAXIMUM))}\r\n"
    kind = row.territory(election)[0]
    # A territory that is no distrito is that of the contest.
    federal, local = kind == TerritoryKind.DISTRITO_FEDERAL, kind == TerritoryKind.DISTRITO_LOCAL
    known: dict[tuple[int, int], str] = {}
    # These lines decide how long the load of a national catalogue takes: 170,000 casillas × 3 elections pass here. So
    # the tuples are taken apart by place.
    for _, _, contest, number, clave, tipo, _, lista, people, maximum, _, _ in actas:
        casilla = casillas[number - 1]
        place = casilla[1], casilla[2] if federal else casilla[3] if local else places[contest]
        if place not in known:
            known[place] = _place_cells(kind, place, names)
        seccion = clave[2:6] if casilla[5] else row.NOWHERE
        yield (
            f"'{clave[:11]}','{clave}',{known[place]},{seccion},{clave[7:9]},{clave[6]},{clave[9:11]},"
            f"{casilla[9]},{tipo},{lista},{people},{'' if maximum is None else maximum}\r\n"
        )


def _place_cells(
    kind: TerritoryKind, place: tuple[int, int], names: Mapping[tuple[TerritoryKind, int, int], str]
) -> str:
    entidad, territory = place
    name = names.get((TerritoryKind.ENTIDAD, entidad, entidad), row.NOTHING)
    return row.place(entidad, name, territory, names.get((kind, entidad, territory), row.NOTHING))


def election_entry(election: Election) -> dict[str, Any]:
    """An election without its parts, as manifests have it."""
    return {
        "codigo": election.code,
        "titulo": election.title,
        "anio": election.year,
        "ambito": election.ambito.value,
        "nivel": election.nivel,
    }


def option_entry(option: Option) -> dict[str, Any]:
    """A row of the ballot, as manifests have it."""
    return {
        "posicion": option.position,
        "codigo": option.code,
        "clase": option.clase.value,
        "partidos": list(option.parties),
        "nombre": option.name,
    }


def contest_entry(contest: Contest) -> dict[str, Any]:
    """A contest, as manifests have it."""
    return {
        "id": contest.id,
        "entidad": contest.entidad,
        "territorio": contest.territory,
        "nombre": contest.name,
        "boleta": list(contest.ballot),
        # Left out if it is the usual one vote, so that the manifests of before stay the same.
        **({"votos_por_boleta": contest.votes_per_ballot} if contest.votes_per_ballot > 1 else {}),
    }


def candidacy_entry(number: int, candidacy: Candidacy, election: Election) -> dict[str, Any]:
    """A candidacy without its votes, as totals have it. `number` tells people of one name apart."""
    return {
        "id": number,
        "propietaria": candidacy.propietario,
        "suplente": candidacy.suplente,
        "opciones": [election.options[option].code for option in candidacy.options],
    }
