"""Connections, named SQL and migrations."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import asyncpg

from prep.errors import Unavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

log: Final = logging.getLogger(__name__)
HERE: Final = Path(__file__).parent
MIGRATIONS: Final = HERE / "migrations"
_MIGRATING: Final = 0x50524550
"""Advisory lock: one migration at a time."""

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

GONE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)
"""What a database that is away looks like: never the fault of the work, so the work is done again later."""


@cache
def sql(name: str) -> Mapping[str, str]:
    """The named blocks of `name`.sql."""
    blocks: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in (HERE / f"{name}.sql").read_text(encoding="utf-8").splitlines():
        if line.startswith("-- name:"):
            block = line.removeprefix("-- name:").strip()
            if block in blocks:
                raise ValueError(f"{name}.sql has two blocks named {block}")
            current = blocks.setdefault(block, [])
        elif current is not None:
            current.append(line)
    return MappingProxyType({block: "\n".join(lines).strip() for block, lines in blocks.items()})


async def open_pool(url: str, *, connections: int = 8, wait: bool = True) -> Pool:
    """A pool on that database; each connection refuses statements over a minute.

    Waits until the database answers; without `wait` nothing is connected before it is used.
    """
    while True:
        try:
            return await asyncpg.create_pool(
                url,
                min_size=1 if wait else 0,
                max_size=connections,
                timeout=5,
                command_timeout=60,
                server_settings={"application_name": "prep"},
            )
        except GONE as error:
            log.warning("database away, waiting", extra={"data": {"error": str(error)}})
            await asyncio.sleep(1)


@asynccontextmanager
async def borrow(pool: Pool) -> AsyncIterator[Connection]:
    """A connection for statements that each stand alone. A database that is away becomes `Unavailable`."""
    try:
        async with pool.acquire() as connection:
            yield connection
    except GONE as error:
        raise Unavailable("la base de datos no responde; intente de nuevo") from error


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """One transaction on one connection. A database that is away becomes `Unavailable`; nothing was kept then."""
    async with borrow(pool) as connection, connection.transaction():
        yield connection


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Connection]:
    """One connection, for a command. Raises `Unavailable` where the database does not answer."""
    try:
        connection = await asyncpg.connect(url)
    except GONE as error:
        raise Unavailable("la base de datos no responde; intente de nuevo") from error
    try:
        yield connection
    finally:
        await connection.close()


async def migrate(url: str) -> list[str]:
    """Bring the schema of `url` (the owner's) up to date, each migration in a transaction; returns their names."""
    connection = await asyncpg.connect(url)
    applied = []
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATING)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
        )
        have = {row["name"] for row in await connection.fetch("SELECT name FROM migration")}
        for path in sorted(MIGRATIONS.glob("*.sql")):
            if path.stem in have:
                continue
            async with connection.transaction():
                await connection.execute(path.read_text(encoding="utf-8"))
                await connection.execute("INSERT INTO migration (name) VALUES ($1)", path.stem)
            applied.append(path.stem)
    finally:
        await connection.close()
    return applied
