"""The catalogue in the database: loaded whole or not at all, and read back as the values it was made of.

The half million actas of a national night are never read back as values; each reader asks for the ones it needs.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from prep.domain.catalog import (
    Acta,
    Ambito,
    Candidacy,
    Casilla,
    Catalog,
    CatalogSite,
    Clase,
    Contest,
    ContestId,
    Election,
    ElectionId,
    Nivel,
    Option,
    Territory,
    TerritoryKind,
)
from prep.domain.territory_map import TerritoryMap
from prep.errors import Rejected
from prep.store import night as night_store
from prep.store.database import Connection, sql
from prep.store.night import Declared

log: Final = logging.getLogger(__name__)
SQL: Final = sql("catalog")

# The column of the casilla that is not text.
_TIPO: Final = Casilla._fields.index("tipo")


async def load(
    owner_url: str,
    catalog: Catalog,
    *,
    at: datetime,
    warnings: Sequence[str] = (),
    replacing: tuple[int, int] | None = None,
    night: Declared | None = None,
) -> bool:
    """Load the whole catalogue in one transaction; False if this very catalogue is loaded already.

    `night`, if there is one, is declared in the same transaction. `warnings` are those that a person accepted; they are
    recorded. `replacing` are the two people (ids) who replace the catalogue that is loaded. Raises Rejected if another
    one is loaded and nobody replaces it, or if it is too late.
    """
    connection = await asyncpg.connect(owner_url, server_settings={"application_name": "prep-catalog"})
    try:
        async with connection.transaction():
            # Two commands at once: the second waits, and then finds the catalogue of the first.
            await connection.execute(SQL["lock_from_readers" if replacing else "lock"])
            loaded = await digest(connection)
            if night is not None:
                await night_store.declare(connection, night.night, night.logo, at)
            if loaded == catalog.digest:
                return False
            if loaded is not None:
                await _remove_loaded(connection, loaded, replacing)
            await connection.execute(SQL["add"], catalog.digest, at)
            await _copy_catalog(connection, catalog)
            await _close_sites(connection, catalog.sites)
            people = replacing if loaded is not None and replacing else (None, None)
            await connection.execute(SQL["record_load"], catalog.digest, loaded, list(warnings), *people, at)
        # The planner counts the new rows now, and not in the first minutes of the night.
        await connection.execute(SQL["count"])
    except asyncpg.IntegrityConstraintViolationError as error:
        raise Rejected(f"el catálogo se contradice ({error.constraint_name}): no se cargó nada") from error
    finally:
        await connection.close()
    return True


async def _remove_loaded(connection: Connection, loaded: str, replacing: tuple[int, int] | None) -> None:
    """Remove the loaded catalogue. If the new one then fails, the transaction keeps this one. Raises Rejected."""
    # Its digest is in the log's first leaf and in every manifest: from then on another one would be another night.
    if await connection.fetchval(SQL["corte_is_out"]):
        raise Rejected(f"el corte 0 ya salió con el catálogo de huella {loaded}: ya no se sustituye", status=409)
    if replacing is None:
        sentence = f"ya está cargado otro catálogo, de huella {loaded}: una noche tiene uno solo"
        raise Rejected(f"{sentence}; antes del corte 0 lo sustituyen dos personas, con --replace", status=409)
    if await connection.fetchval(SQL["night_began"]):
        raise Rejected(f"la bitácora ya comenzó con el catálogo de huella {loaded}: ya no se sustituye", status=409)
    await connection.execute(SQL["remove"])


async def _close_sites(connection: Connection, sites: Sequence[CatalogSite]) -> None:
    """Make the list of sites that of the catalogue; one that states none leaves the list as it is.

    Raises Rejected if people or devices are at a site that the catalogue does not state.
    """
    if not sites:
        return
    codes = [site.code for site in sites]
    used = [row["code"] for row in await connection.fetch(SQL["sites_in_use"], codes)]
    if used:
        raise Rejected(f"hay personas o dispositivos en sitios que no están en sitios.csv: {', '.join(used)}")
    await connection.execute(SQL["remove_sites"], codes)
    await connection.execute(SQL["put_sites"], codes, [site.name for site in sites])


async def _copy_catalog(connection: Connection, catalog: Catalog) -> None:
    # The checks of the tables are removed and restored around the copy: restored, they look at all rows in one pass.
    # If we stop in between, the transaction never was.
    elections, checks = catalog.elections, await connection.fetch(SQL["checks"])

    async def copy(
        table: str, columns: Sequence[str], records: Iterator[Sequence[Any]] | Sequence[Sequence[Any]]
    ) -> None:
        await connection.copy_records_to_table(table, columns=columns, records=records)

    for check in checks:
        await connection.execute(check["remove"])
    await copy(
        "election",
        ("id", "code", "title", "year", "ambito", "nivel", "rules", "candidatura"),
        [(e.id, e.code, e.title, e.year, e.ambito, e.nivel, e.rules, e.candidatura) for e in elections],
    )
    await copy(
        "ballot_option",
        ("election", "position", "code", "clase", "parties", "name", "colour", "emblem"),
        [
            (e.id, o.position, o.code, o.clase, o.parties, o.name, o.colour, o.emblem)
            for e in elections
            for o in e.options
        ],
    )
    await copy(
        "territory", ("kind", "entidad", "id", "name"), [(t.kind, t.entidad, t.id, t.name) for t in catalog.territories]
    )
    await copy(
        "contest",
        ("id", "election", "entidad", "territory", "name", "ballot", "votes_per_ballot"),
        [(c.id, c.election, c.entidad, c.territory, c.name, c.ballot, c.votes_per_ballot) for c in catalog.contests],
    )
    await copy(
        "candidacy",
        ("id", "contest", "options", "propietario", "suplente"),
        [(n, c.contest, c.options, c.propietario, c.suplente) for n, c in enumerate(catalog.candidacies, 1)],
    )
    # PostgreSQL's "char" is one byte: COPY takes it as bytes.
    casillas = ((*c[:_TIPO], c.tipo.encode(), *c[_TIPO + 1 :]) for c in catalog.casillas)
    await copy("casilla", Casilla._fields, casillas)
    await copy("acta", Acta._fields, catalog.actas)
    layouts = ((contest, json.dumps(layout.as_json())) for contest, layout in catalog.layouts.items())
    await copy("form_layout", ("contest", "layout"), [*layouts])
    maps = [(kind, json.dumps(drawn.as_json())) for kind, drawn in catalog.maps.items()]
    await copy("territory_map", ("kind", "drawing"), maps)
    await copy("catalog_file", ("name", "content"), [*catalog.published.items()])
    for check in checks:
        await connection.execute(check["restore"])


async def digest(connection: Connection) -> str | None:
    """Of the catalogue that is loaded; None if there is none."""
    found: str | None = await connection.fetchval(SQL["digest"])
    return found


async def published(connection: Connection) -> dict[str, bytes]:
    """The files that the published tree brings, by name; none if an older release loaded the catalogue."""
    return {row["name"]: row["content"] for row in await connection.fetch(SQL["published"])}


async def maps(connection: Connection) -> dict[TerritoryKind, TerritoryMap]:
    """The drawn maps, by kind of territory."""
    rows = await connection.fetch(SQL["maps"])
    return {TerritoryKind(row["kind"]): TerritoryMap.from_json(json.loads(row["drawing"])) for row in rows}


async def elections(connection: Connection) -> tuple[Election, ...]:
    # Options come in the order of the ballot: their place is their column.
    options = defaultdict(list)
    for row in await connection.fetch(SQL["options"]):
        options[row["election"]].append(
            Option(
                row["position"],
                row["code"],
                Clase(row["clase"]),
                tuple(row["parties"]),
                row["name"],
                row["colour"],
                row["emblem"],
            )
        )
    return tuple(
        Election(
            id=ElectionId(row["id"]),
            code=row["code"],
            title=row["title"],
            year=row["year"],
            ambito=Ambito(row["ambito"]),
            nivel=Nivel(row["nivel"]),
            rules=row["rules"],
            candidatura=row["candidatura"],
            options=tuple(options[row["id"]]),
        )
        for row in await connection.fetch(SQL["elections"])
    )


# These are small, unlike the actas: they are read whole, as values.
async def contests(connection: Connection) -> tuple[Contest, ...]:
    return tuple(
        Contest(
            ContestId(row["id"]),
            ElectionId(row["election"]),
            row["entidad"],
            row["territory"],
            row["name"],
            tuple(row["ballot"]),
            row["votes_per_ballot"],
        )
        for row in await connection.fetch(SQL["contests"])
    )


async def territories(connection: Connection) -> tuple[Territory, ...]:
    return tuple(
        Territory(TerritoryKind(row["kind"]), row["entidad"], row["id"], row["name"])
        for row in await connection.fetch(SQL["territories"])
    )


async def candidacies(connection: Connection) -> tuple[Candidacy, ...]:
    """In the order of the catalogue, whose place tells namesakes apart."""
    return tuple(
        Candidacy(ContestId(row["contest"]), tuple(row["options"]), row["propietario"], row["suplente"])
        for row in await connection.fetch(SQL["candidacies"])
    )
