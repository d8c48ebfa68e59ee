"""The fixtures that every test may use: the official files and, below, servers that start for a test."""

import asyncio
import gc
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg
import psutil
import pytest
from hypothesis import HealthCheck, settings

from prep import observe
from prep.bus.contract import Bus
from prep.bus.kafka_dev import DevKafka, free_ports, jars
from prep.bus.table import EmbeddedBus
from prep.errors import Rejected
from prep.settings import Part
from prep.store import embedded
from prep.store.database import Pool, migrate, open_pool
from tests.makers.official_files import Official, official_files
from tests.makers.programs import missing, program
from tests.makers.s3_server import S3Server

# No test depends on the speed of its machine: a busy one is slow to make examples, and to try them.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_MEMORY: Final = Path("/dev/shm")
_ROOM: Final = 12 << 30
"""Bytes of memory that must be free. The files of a whole run need less than half."""


def _has_room(folder: Path) -> bool:
    """Whether programs may run from files in that folder of memory, and the files of a run have room there."""
    if not folder.is_dir() or psutil.virtual_memory().available < _ROOM:
        return False
    told = os.statvfs(folder)
    return told.f_bavail * told.f_frsize >= _ROOM and not told.f_flag & os.ST_NOEXEC


# Tests copy and remove whole trees and clone databases some thousand times. In memory no test waits for the disk.
# What an fsync must protect is tested with `tests.makers.disk`, which trusts no disk.
if _has_room(_MEMORY):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def pytest_collection_finish() -> None:
    """Imported modules and collected tests stay to the end: the search for garbage need not pass over them each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def official(tmp_path_factory: pytest.TempPathFactory) -> Official:
    """A function that finds files of real elections: `official("tamaulipas-2023/LEEME.txt")`."""
    return official_files(tmp_path_factory.mktemp("official"))


@pytest.fixture(scope="session")
def openssl() -> None:
    """openssl is on the PATH. If not, the test is skipped with the reason; in CI it fails."""
    program("openssl", "openssl")


@dataclass(frozen=True, slots=True)
class Night:
    """A migrated database for one test. The role `owner` may do everything; the others cannot rewrite facts."""

    owner: str
    app: str
    """With the rights of all parts."""
    parts: Mapping[Part, str] = field(default_factory=dict)
    """Each with the rights of its part."""

    @classmethod
    def of(cls, postgres: embedded.Embedded, name: str) -> "Night":
        return cls(postgres.owner(name), postgres.app(name), {part: postgres.part(part, name) for part in Part})


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Embedded]:
    """One real PostgreSQL for the session, with a migrated template to clone. Its data need not survive a crash."""
    folder = tmp_path_factory.mktemp("postgres") / "pg"

    async def prepare() -> embedded.Embedded:
        server = await embedded.start(folder)
        await migrate(server.owner())
        connection = await asyncpg.connect(server.owner())
        await connection.execute("ALTER SYSTEM SET fsync = off")
        await connection.execute("ALTER SYSTEM SET full_page_writes = off")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()
        return server

    yield asyncio.run(prepare())
    # Stop it without a checkpoint: with some hundred databases a checkpoint can take minutes.
    os.kill(int((folder / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
    while embedded.is_running(folder):  # its parent may be gone, so no process waits for it
        time.sleep(0.05)


@asynccontextmanager
async def cloned(postgres: embedded.Embedded) -> AsyncIterator[Night]:
    """A night of its own on a copy of the migrated database, which is dropped at the end."""
    name = f"t_{uuid.uuid4().hex}"

    async def order(statement: str) -> None:
        connection = await asyncpg.connect(postgres.owner("postgres"))
        await connection.execute(statement)
        await connection.close()

    # To copy the files costs a fourth of writing them to the log.
    await order(f"CREATE DATABASE {name} TEMPLATE prep STRATEGY FILE_COPY")
    try:
        yield Night.of(postgres, name)
    finally:
        await order(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def night(postgres: embedded.Embedded) -> Iterator[Night]:
    """A fresh clone of the migrated database."""
    with asyncio.Runner() as runner:
        clone = cloned(postgres)
        yield runner.run(clone.__aenter__())
        runner.run(clone.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def s3_process() -> Iterator[S3Server]:
    server = S3Server()
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def s3(s3_process: S3Server) -> S3Server:
    """A real S3-protocol server with an empty bucket."""
    s3_process.forget()
    return s3_process


@pytest.fixture(scope="session")
def kafka_jars() -> None:
    """Kafka can start here. Without Java or Maven, the test is skipped with the reason; in CI it fails."""
    try:
        jars()
    except Rejected as why:
        missing(why.sentence)


def _kafka_nodes(folder: Path, nodes: int) -> Iterator[DevKafka]:
    """Brokers that send clients to other ports.

    A test puts a cord between these ports and the brokers, and may cut it.
    """
    kafka = DevKafka(folder, nodes, advertised=free_ports(nodes))
    try:
        kafka.up()
        yield kafka
    finally:
        for number in kafka.numbers:
            kafka.kill(number)


# Only for the module that asks for them: an idle broker takes some per cent of a processor.
@pytest.fixture(scope="module")
def kafka_one(kafka_jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevKafka]:
    """One real broker for the tests of a module."""
    yield from _kafka_nodes(tmp_path_factory.mktemp("kafka"), 1)


@pytest.fixture(scope="module")
def kafka_three(kafka_jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevKafka]:
    """A real cluster of three for the tests of a module: a test that kills a node starts it again."""
    yield from _kafka_nodes(tmp_path_factory.mktemp("kafka"), 3)


@pytest.fixture
async def pool(night: Night) -> AsyncIterator[Pool]:
    """The application's connections to a database that is only for this test."""
    async with await open_pool(night.app) as opened:
        yield opened


@pytest.fixture
async def bus(night: Night) -> AsyncIterator[Bus]:
    """The embedded bus, on a database that is only for this test."""
    opened = EmbeddedBus(night.app)
    yield opened
    await opened.close()


def pytest_runtest_teardown() -> None:
    """A test that sets a clock leaves no alarm in the process."""
    observe.forget_clocks()
