"""The catalogue goes into the database whole or not at all, and is read back as it was."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from capture.auth import Cost, add_user, confirm
from prep.domain.catalog import (
    Acta,
    ActaId,
    Ambito,
    Candidacy,
    Casilla,
    CasillaId,
    Catalog,
    Clase,
    Contest,
    ContestId,
    Election,
    ElectionId,
    Nivel,
    Option,
    Territory,
    TerritoryKind,
    TipoCasilla,
)
from prep.domain.layout import FormLayout
from prep.domain.territory_map import draw
from prep.errors import Rejected
from prep.operations.catalog_commands import REPLACES
from prep.store import catalog as store
from prep.store import cortes, desk
from prep.store.database import Connection, open_pool
from prep.store.night import Declared
from prep.store.people import Role
from prep.store.tonight import Tonight
from tests.conftest import Night
from tests.makers.declared import TONIGHT

CHEAP = Cost(memory_kib=64, passes=1)
AT = datetime(2024, 6, 2, 18, 0, tzinfo=UTC)

OPTIONS = (
    Option(0, "PAN", Clase.PARTIDO, name="Acción"),
    Option(1, "PRI", Clase.PARTIDO),
    Option(2, "PAN-PRI", Clase.COALICION, (0, 1)),
    Option(3, "NO_REGISTRADAS", Clase.NO_REGISTRADAS),
    Option(4, "NULOS", Clase.NULOS),
)
ELECTION = Election(ElectionId(1), "GOB", "Gubernatura", 2024, Ambito.LOCAL, Nivel.ENTIDAD, "ine-2023", "1", OPTIONS)


def casilla(number: int, tipo: TipoCasilla = TipoCasilla.BASICA) -> Casilla:
    return Casilla(CasillaId(number), 9, 1, 2, 3, number, tipo, 1, 0, 1)


def acta(place: Casilla, **changed: Any) -> Acta:
    made = Acta(
        ActaId(place.id), ElectionId(1), ContestId(1), place.id, place.clave, "1", f"9|2|1|{place.seccion}|1|B|0|1",
        500, 8, None, 3, place.id - 1,
    )  # fmt: skip
    return made._replace(**changed)


PLACES = [casilla(number) for number in range(1, 41)] + [casilla(41, TipoCasilla.ESPECIAL)]
CATALOG = Catalog(
    elections=(ELECTION,),
    contests=(Contest(ContestId(1), ElectionId(1), 9, 0, "CDMX", (0, 1, 2, 3, 4)),),
    territories=(Territory(TerritoryKind.ENTIDAD, 9, 9, "Ciudad de México"),),
    candidacies=(Candidacy(ContestId(1), (0, 2), "Ana Ruiz"), Candidacy(ContestId(1), (1, 2), "Ana Ruiz", "Luz Paz")),
    casillas=PLACES,
    actas=[acta(place) for place in PLACES],
    published={"SHA256SUMS": b"uno", "catalogo.json": b"{}"},
)


@pytest.fixture
async def connection(night: Night) -> AsyncIterator[Connection]:
    opened = await asyncpg.connect(night.app)
    yield opened
    await opened.close()


async def test_a_loaded_catalogue_is_read_back_equal(night: Night, connection: Connection) -> None:
    """By the role of the application, namesakes told apart by their place."""
    assert await store.digest(connection) is None
    assert await store.load(night.owner, CATALOG, at=AT)
    assert await store.digest(connection) == CATALOG.digest
    assert await store.elections(connection) == CATALOG.elections
    assert await store.contests(connection) == CATALOG.contests
    assert await store.territories(connection) == CATALOG.territories
    assert await store.candidacies(connection) == CATALOG.candidacies
    assert await store.published(connection) == CATALOG.published
    rows = await connection.fetch("SELECT * FROM acta ORDER BY id")
    assert [Acta(**row) for row in rows] == CATALOG.actas
    tipos = await connection.fetch("SELECT tipo::text AS tipo FROM casilla ORDER BY id")
    assert [row["tipo"] for row in tipos] == [place.tipo for place in PLACES]


async def test_the_layouts_of_forms_are_loaded_and_go_with_their_catalogue(
    night: Night, connection: Connection
) -> None:
    people = await two_people(night)
    square = (5.0, 5.0, 15.0, 15.0)
    layout = FormLayout((square,) * 4, ((40.5, 30.0),), {"PAN": (40.0, 30.0, 200.0, 40.0)})
    described = replace(CATALOG, layouts={ContestId(1): layout})
    assert await store.load(night.owner, described, at=AT, night=Declared(TONIGHT))
    pool = await open_pool(night.app, connections=1)
    tonight = Tonight(pool)
    await tonight.look()
    assert tonight.layouts, "so the worker looks for marks"
    read = (await desk.forms(connection)).of[ContestId(1)].layout
    assert read is not None
    assert read.as_json() == layout.as_json()
    assert await store.load(night.owner, OTHER, at=AT, replacing=people)
    assert await connection.fetchval("SELECT count(*) FROM form_layout") == 0
    await tonight.look()
    assert not tonight.layouts
    await pool.close()


async def test_the_maps_are_loaded_and_go_with_their_catalogue(night: Night, connection: Connection) -> None:
    people = await two_people(night)
    drawn = draw({(9, 1): [((0, 0), (500, 0), (500, 400)), ((9, 1), (20, 1), (20, 9))]}, 1000, 800)
    with_map = replace(CATALOG, maps={TerritoryKind.MUNICIPIO: drawn})
    assert await store.load(night.owner, with_map, at=AT)
    assert await store.maps(connection) == with_map.maps
    assert await store.load(night.owner, OTHER, at=AT, replacing=people)
    assert await store.maps(connection) == {}


async def test_an_institute_names_the_kinds_of_territory_that_elect(night: Night, connection: Connection) -> None:
    """A junta municipal is data of the catalogue; a word that could not be a column is refused here too."""
    elections = (replace(ELECTION, nivel=Nivel("junta_municipal")),)
    territories = (*CATALOG.territories, Territory(TerritoryKind("junta_municipal"), 9, 1701, "Villa"))
    contests = (replace(CATALOG.contests[0], territory=1701),)
    catalog = replace(CATALOG, elections=elections, territories=territories, contests=contests)
    assert await store.load(night.owner, catalog, at=AT)
    assert await store.elections(connection) == elections
    assert await store.territories(connection) == territories
    pool = await open_pool(night.app, connections=2)
    async with cortes.snapshot(pool, 0, then=False) as shown:
        assert {(each.entidad, each.territory) for each in await shown.groups(elections[0])} == {(9, 1701)}
    await pool.close()


@pytest.mark.parametrize(
    ("table", "column", "word"),
    [
        *(("territory", "kind", word) for word in ("Junta", "junta municipal", "pais", "distrito", "", "j" * 41)),
        *(("election", "nivel", word) for word in ("Junta", "distrito_local", "distrito_federal", "j" * 41)),
    ],
)
async def test_postgres_refuses_a_kind_that_is_no_word(night: Night, table: str, column: str, word: str) -> None:
    await store.load(night.owner, CATALOG, at=AT)
    owner = await asyncpg.connect(night.owner)
    try:
        with pytest.raises(asyncpg.CheckViolationError):
            await owner.execute(f"UPDATE {table} SET {column} = $1", word)
    finally:
        await owner.close()


async def test_the_same_catalogue_again_changes_nothing(night: Night, connection: Connection) -> None:
    assert await store.load(night.owner, CATALOG, at=AT)
    assert not await store.load(night.owner, CATALOG, at=AT)
    assert await connection.fetchval("SELECT count(*) FROM acta") == len(CATALOG.actas)


async def test_another_catalogue_is_refused_by_the_name_of_the_first(night: Night, connection: Connection) -> None:
    await store.load(night.owner, CATALOG, at=AT)
    with pytest.raises(Rejected, match=CATALOG.digest):
        await store.load(night.owner, replace(CATALOG, published={"SHA256SUMS": b"otro"}), at=AT)
    assert await store.digest(connection) == CATALOG.digest


# --- the replacement of a catalogue -------------------------------------------------------------------------------------

OTHER = replace(
    CATALOG,
    published={"SHA256SUMS": b"otro"},
    casillas=[*PLACES[:3], PLACES[3]._replace(lugar="Escuela Uno", direccion="Calle 1")],
    actas=CATALOG.actas[:4],
)


async def two_people(night: Night) -> tuple[int, int]:
    """An administrador and a supervisor, who confirm with their passwords."""
    connection = await asyncpg.connect(night.owner)
    try:
        for login, role in (("ana", Role.ADMINISTRADOR), ("bea", Role.SUPERVISOR), ("caro", Role.CAPTURISTA)):
            await add_user(connection, login=login, password=f"clave de {login}", role=role, site="CCV-1", cost=CHEAP)
        people = [
            await confirm(connection, login=login, password=f"clave de {login}", roles=REPLACES)
            for login in ("ana", "bea")
        ]
        with pytest.raises(Rejected, match="incorrectos: ana"):
            await confirm(connection, login="ana", password="clave de bea", roles=REPLACES)
        with pytest.raises(Rejected, match="incorrectos: nadie"):
            await confirm(connection, login="nadie", password="clave de bea", roles=REPLACES)
        with pytest.raises(Rejected, match="su rol"):
            await confirm(connection, login="caro", password="clave de caro", roles=REPLACES)
    finally:
        await connection.close()
    return people[0].id, people[1].id


async def loads(connection: Connection) -> list[tuple[Any, ...]]:
    found = await connection.fetch(
        "SELECT digest, replaced, warnings, by_person, with_person FROM catalog_load ORDER BY id"
    )
    return [tuple(row) for row in found]


async def test_two_people_replace_a_catalogue_and_the_record_tells_who_and_which(
    night: Night, connection: Connection
) -> None:
    people = await two_people(night)
    assert await store.load(night.owner, CATALOG, at=AT, warnings=["W201 casillas.csv:2: lista_nominal: muchas"])
    assert await store.load(night.owner, OTHER, at=AT, replacing=people)
    assert await store.digest(connection) == OTHER.digest
    assert await connection.fetchval("SELECT count(*) FROM acta") == 4
    assert await connection.fetchval("SELECT direccion FROM casilla WHERE lugar = 'Escuela Uno'") == "Calle 1"
    assert await loads(connection) == [
        (CATALOG.digest, None, ["W201 casillas.csv:2: lista_nominal: muchas"], None, None),
        (OTHER.digest, CATALOG.digest, [], *people),
    ]


async def test_one_person_alone_replaces_nothing(night: Night, connection: Connection) -> None:
    ana, _ = await two_people(night)
    await store.load(night.owner, CATALOG, at=AT)
    with pytest.raises(Rejected):
        await store.load(night.owner, OTHER, at=AT, replacing=(ana, ana))
    assert await store.digest(connection) == CATALOG.digest
    assert len(await loads(connection)) == 1


async def test_a_wrong_replacement_keeps_the_catalogue_that_was_there(night: Night, connection: Connection) -> None:
    people = await two_people(night)
    await store.load(night.owner, CATALOG, at=AT)
    wrong = replace(OTHER, actas=[*OTHER.actas, acta(casilla(99))])
    with pytest.raises(Rejected, match="se contradice"):
        await store.load(night.owner, wrong, at=AT, replacing=people)
    assert await store.digest(connection) == CATALOG.digest
    assert await connection.fetchval("SELECT count(*) FROM acta") == len(CATALOG.actas)


CORTE = (
    "INSERT INTO corte (number, at, phase, sums, counts, due, simulacro, declaracion) "
    f"VALUES (0, now(), 'cero', repeat('0', 64), '{{}}', now(), true, '{TONIGHT.digest}')"
)
EVENT = "INSERT INTO event (kind, subject, detail, at) VALUES ('compuerta', 'x', '{}', now())"


@pytest.mark.parametrize(("fact", "said"), [(CORTE, "el corte 0 ya salió"), (EVENT, "la bitácora ya comenzó")])
async def test_after_corte_0_or_the_first_fact_no_catalogue_is_replaced(
    night: Night, connection: Connection, fact: str, said: str
) -> None:
    people = await two_people(night)
    await store.load(night.owner, CATALOG, at=AT, night=Declared(TONIGHT))
    await connection.execute(fact)
    with pytest.raises(Rejected, match=said):
        await store.load(night.owner, OTHER, at=AT, replacing=people)
    assert await store.digest(connection) == CATALOG.digest


WRONG = {
    "two actas with one QR": [*CATALOG.actas[:-1], acta(PLACES[-1], qr=CATALOG.actas[0].qr)],
    "an acta of no casilla": [*CATALOG.actas, acta(casilla(99))],
    "an acta of no contest": [*CATALOG.actas[:-1], acta(PLACES[-1], contest=ContestId(7))],
    "a negative lista nominal": [*CATALOG.actas[:-1], acta(PLACES[-1], lista_nominal=-1)],
    "two actas in one row of the official file": [*CATALOG.actas[:-1], acta(PLACES[-1], orden=0)],
}


@pytest.mark.parametrize("actas", WRONG.values(), ids=WRONG)
async def test_a_catalogue_that_contradicts_itself_leaves_nothing_behind(
    night: Night, connection: Connection, actas: list[Acta]
) -> None:
    """Though its checks are put aside while half a million rows go in: they are made before the load commits."""
    with pytest.raises(Rejected, match="se contradice"):
        await store.load(night.owner, replace(CATALOG, actas=actas), at=AT)
    assert await store.digest(connection) is None
    assert await connection.fetchval("SELECT count(*) FROM casilla") == 0
    assert await store.load(night.owner, CATALOG, at=AT)


async def test_every_check_is_back_after_a_load(night: Night, connection: Connection) -> None:
    checks = (
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid IN ('acta'::regclass, 'casilla'::regclass)"
        " UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('acta', 'casilla') ORDER BY 1, 2"
    )
    before = await connection.fetch(checks)
    await store.load(night.owner, CATALOG, at=AT)
    assert await connection.fetch(checks) == before
    assert len(before) > 10


async def test_two_loads_at_once_are_one(night: Night) -> None:
    loads = [store.load(night.owner, CATALOG, at=AT) for _ in range(3)]
    assert sorted(await asyncio.gather(*loads)) == [False, False, True]
