"""A corte is read from a replica that has everything of the primary, and otherwise from the primary."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import REGISTRY

from prep.errors import Unavailable
from prep.store.database import Pool, migrate, open_pool
from prep.store.leading import Replica
from publisher.cut import CorteOffice
from tests.conftest import Night
from tests.makers.postgres_server import Server
from tests.makers.small_night import SmallNight, small_night
from tests.makers.waiting import PATIENCE, until
from tests.publisher.test_cut import tree


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """A primary with a migrated database that tests clone, and a streaming replica of it."""
    where = tmp_path_factory.mktemp("pareja")
    primary = Server(where / "primaria")
    primary.init()
    primary.start()
    try:
        asyncio.run(primary.execute("CREATE DATABASE prep"))
        asyncio.run(migrate(primary.superuser("prep")))
        replica = primary.replica(where / "replica")
        replica.start()
        try:
            yield primary, replica
        finally:
            replica.stop()
    finally:
        primary.stop()


@dataclass
class Pair:
    """A small night on the primary, and the address of the same night on the replica."""

    night: SmallNight
    replica: Server
    url: str

    def office(self, reading: Pool, *, patience: float = PATIENCE) -> CorteOffice:
        return replace(self.night.office, replica=Replica(reading, patience=patience))


@pytest.fixture
async def pair(servers: tuple[Server, Server], tmp_path: Path) -> AsyncIterator[Pair]:
    primary, replica = servers
    name = f"t_{uuid.uuid4().hex}"
    await primary.execute(f"CREATE DATABASE {name} TEMPLATE prep")
    night = Night(primary.superuser(name), primary.url("prep_app", name))
    async with small_night(night, tmp_path, casillas=20) as made:
        await until(lambda: is_there(replica, name))
        yield Pair(made, replica, replica.url("prep_app", name))


async def is_there(server: Server, database: str) -> bool:
    """Whether a replica has reached the creation of that database."""
    try:
        await server.execute("SELECT", database=database)
    except asyncpg.InvalidCatalogNameError:
        return False
    return True


def skipped(cause: str) -> float:
    return REGISTRY.get_sample_value("prep_replica_skipped_total", {"cause": cause}) or 0.0


async def test_a_corte_read_from_the_replica_has_the_bytes_of_the_primary(pair: Pair, tmp_path: Path) -> None:
    """The office's own database cannot be reached: only the record and the lock need the primary."""
    async with (
        await open_pool(pair.url) as reading,
        await open_pool("postgresql://nadie@127.0.0.1:9/nada", wait=False) as nowhere,
    ):
        office = replace(pair.office(reading), pool=nowhere)
        await pair.night.cut(office=office)
        await pair.night.count(pair.night.sheets[:20])
        await pair.night.cut(office=office)
        await pair.night.count(pair.night.sheets[20:])
        await pair.night.cut(office=office)
    clean = pair.night.at(tmp_path / "primaria")
    for number in range(3):
        assert (await pair.night.cut(office=clean)).number == number
    assert tree(clean.public) == tree(office.public)


async def test_a_corte_waits_for_a_replica_that_lags_and_shows_everything_committed_before_it(pair: Pair) -> None:
    await pair.replica.execute("ALTER SYSTEM SET recovery_min_apply_delay = '700ms'", "SELECT pg_reload_conf()")
    before = skipped("behind")
    try:
        async with await open_pool(pair.url) as reading:
            await pair.night.cut(office=pair.office(reading))
            await pair.night.count(pair.night.sheets[:30])
            await pair.night.cut(office=pair.office(reading))
    finally:
        await pair.replica.execute("ALTER SYSTEM RESET recovery_min_apply_delay", "SELECT pg_reload_conf()")
    assert await everything_is_out(pair)
    assert skipped("behind") == before


async def everything_is_out(pair: Pair) -> bool:
    return not await pair.night.pool.fetchval("SELECT count(*) FROM acta_current WHERE estado = 'Verificada'")


async def test_a_replica_that_stands_still_does_not_hold_up_a_corte(pair: Pair) -> None:
    async with await open_pool(pair.url) as reading:
        office = pair.office(reading, patience=0.3)
        await pair.night.cut(office=office)
        await pair.replica.execute("SELECT pg_wal_replay_pause()")
        try:
            before = skipped("behind")
            await pair.night.count(pair.night.sheets)
            await pair.night.cut(office=office)
            assert skipped("behind") > before
            assert await everything_is_out(pair)
        finally:
            await pair.replica.execute("SELECT pg_wal_replay_resume()")


async def test_a_replica_that_is_away_or_follows_no_primary_is_not_read(pair: Pair) -> None:
    for url, cause in (
        ("postgresql://nadie@127.0.0.1:9/nada", "away"),
        (pair.night.url, "other"),  # the primary itself
        (pair.replica.url("prep_app", "prep"), "other"),  # another night on the same replica
    ):
        before = skipped(cause)
        async with await open_pool(url, wait=False) as reading:
            await pair.night.cut(office=pair.office(reading))
        assert skipped(cause) > before


async def test_a_reading_that_breaks_off_begins_again_on_the_primary(pair: Pair) -> None:
    """This happens if the primary has removed rows that the reading still needs, and the replica must follow."""
    await pair.night.cut()
    await pair.night.count(pair.night.sheets)

    @contextmanager
    def break_off(step: str) -> Iterator[None]:
        if step == "render" and not broken:
            broken.append(step)
            with ThreadPoolExecutor(1) as elsewhere:
                elsewhere.submit(asyncio.run, pair.replica.execute(end_all)).result()
        yield

    broken: list[str] = []
    end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'prep_app'"
    async with await open_pool(pair.url) as reading:
        office = replace(pair.office(reading), step=break_off)
        with pytest.raises(Unavailable):
            await pair.night.cut(office=office)
        before = skipped("failed")
        assert (await pair.night.cut(office=office)).number == 1
        assert skipped("failed") > before
    assert await everything_is_out(pair)
