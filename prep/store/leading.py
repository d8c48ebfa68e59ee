"""Of several publishers one leads, and one at a time cuts; and with a read replica, the rows that they read from it.

Both rights are advisory locks of one session, and cortes are recorded on that very session: without it
nothing can be recorded. A publisher that is killed loses it at once. One that is stopped, or hangs, or whose machine
or network is gone, loses it within the session's `lease`, because PostgreSQL then ends the session by itself:

    idle_session_timeout, idle_in_transaction_session_timeout   it has not said for that long that it is alive
    tcp_keepalives_*, tcp_user_timeout                          its machine does not answer
    client_connection_check_interval                            nor while one of its statements runs

(PgBouncer may stand between only in session mode: the locks are the session's.)
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Final

import asyncpg

from prep.errors import Unavailable
from prep.store.database import GONE, Connection, Pool, sql

SQL: Final = sql("leading")
_CUTTING: Final = 0x434F5254
"""Advisory lock: one publisher cuts at a time, also one that a person started."""
PUBLISHING: Final = 0x434F5255
"""Advisory lock: the publisher that cuts by the clock."""
SEQUENCING: Final = 0x424954A0
"""Advisory lock: the one sequencer of the log."""
_LOOK: Final = 0.2
"""Seconds between looks at a lock."""
_LOOK_AT_REPLICA: Final = 0.05
LEASE: Final = 60.0
LOST: Final = (*GONE, asyncpg.IdleSessionTimeoutError, asyncpg.IdleInTransactionSessionTimeoutError)


class PublisherBusy(Unavailable):
    """Another publisher is cutting. No alarm: it is at work."""


class Leader:
    """A publisher's session, one statement at a time. It says that it is alive for as long as its program runs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._using = asyncio.Lock()
        self._leads = False

    @asynccontextmanager
    async def using(self) -> AsyncIterator[Connection]:
        """The connection, for statements alone. A session that is lost becomes `Unavailable`."""
        async with self._using:
            try:
                yield self._connection
            except LOST as error:
                raise Unavailable("se perdió la conexión con la base de datos; se intentará de nuevo") from error

    async def check(self) -> None:
        """Raises Unavailable if the session is lost, and its locks with it."""
        async with self.using() as connection:
            await connection.execute(SQL["alive"])

    async def lead(self, role: int = PUBLISHING) -> bool:
        """Whether this session leads in the one role it asks for; it takes a lead that is free."""
        if not self._leads:
            async with self.using() as connection:
                # Asked until it is granted, then remembered: the lock is ours for as long as the session lives.
                self._leads = await connection.fetchval(SQL["try_lock"], role)
        return self._leads

    @asynccontextmanager
    async def cutting(self, *, patience: float = 0.0) -> AsyncIterator[None]:
        """Be the one who cuts. Raises PublisherBusy if another does for longer than `patience` seconds."""
        clock = asyncio.get_running_loop().time
        # Looked at in turns and not waited for in PostgreSQL: a lost session must be noticed here.
        deadline = clock() + patience
        while not await self._try_cutting():
            if clock() >= deadline:
                raise PublisherBusy("otro publicador está cortando")
            await asyncio.sleep(_LOOK)
        try:
            yield
        finally:
            with contextlib.suppress(Unavailable):  # the lock went with the session
                async with self.using() as connection:
                    await connection.execute(SQL["unlock"], _CUTTING)

    async def _try_cutting(self) -> bool:
        async with self.using() as connection:
            mine: bool = await connection.fetchval(SQL["try_lock"], _CUTTING)
            return mine

    async def beat(self, every: float) -> None:
        """Say that we are alive, until the session is lost: its next user finds out."""
        with contextlib.suppress(Unavailable):
            while True:
                await asyncio.sleep(every)
                await self.check()


@asynccontextmanager
async def session(url: str, *, lease: float = LEASE, name: str = "prep-publisher") -> AsyncIterator[Leader]:
    """A session with no right yet. `lease`: seconds after which one that is silent has ended, and its locks are free.

    Raises Unavailable if the database does not answer.
    """
    try:
        connection = await asyncpg.connect(
            url, timeout=5, command_timeout=60, server_settings=_lease_settings(lease, name)
        )
    except GONE as error:
        raise Unavailable("la base de datos no responde; se intentará de nuevo") from error
    leader = Leader(connection)
    # A quarter of the lease: three beats may be lost before PostgreSQL ends the session.
    beating = asyncio.create_task(leader.beat(lease / 4))
    try:
        yield leader
    finally:
        beating.cancel()
        await asyncio.wait({beating})
        connection.terminate()


def _lease_settings(lease: float, name: str) -> dict[str, str]:
    # Each of the three ways to be silent ends within the lease: an idle session, a dead machine, a hung statement.
    seconds, milliseconds = max(1, round(lease / 6)), str(round(lease * 1000))
    return {
        "application_name": name,
        "idle_session_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
        "tcp_keepalives_idle": str(3 * seconds),
        "tcp_keepalives_interval": str(seconds),
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": milliseconds,
        "client_connection_check_interval": str(round(lease * 500)),
    }


@asynccontextmanager
async def cutting(url: str, *, patience: float = 0.0) -> AsyncIterator[Leader]:
    """Be the one who cuts for as long as this lasts, also while another leads. Raises PublisherBusy, or Unavailable."""
    async with session(url) as leader, leader.cutting(patience=patience):
        yield leader


class Unfit(StrEnum):
    """Why a corte is not read from the replica; a label of the metric."""

    AWAY = "away"
    BEHIND = "behind"
    OTHER = "other"  # it follows no primary, or another one
    FAILED = "failed"  # the last reading from it broke off


class Replica:
    """A read replica, trusted for what it has replayed: a corte shows everything that is committed when it begins."""

    def __init__(self, pool: Pool, *, patience: float) -> None:
        """`patience`: seconds that a corte waits for it."""
        self.pool = pool
        self._patience = patience
        self._failed = False

    def failed(self) -> None:
        """A reading broke off, perhaps because the primary removed rows it needed: the next one is the primary's."""
        self._failed = True

    async def unfit(self, leader: Leader) -> Unfit | None:
        """None if it shows everything that was committed on the primary when this was called."""
        # Once: the reading after that tries the replica again.
        if self._failed:
            self._failed = False
            return Unfit.FAILED
        async with leader.using() as connection:
            there = await connection.fetchrow(SQL["position"])
        assert there is not None
        try:
            async with asyncio.timeout(self._patience), self.pool.acquire() as connection:
                # The position is that of the primary at this moment: all that is committed now lies before it.
                return await self._await_replay(connection, there)
        except TimeoutError:
            return Unfit.BEHIND
        except LOST:
            return Unfit.AWAY

    async def _await_replay(self, connection: Connection, there: asyncpg.Record) -> Unfit | None:
        while True:
            here = await connection.fetchrow(SQL["replayed"], there["lsn"])
            assert here is not None
            # A replica of another cluster can be as far as ours, and would show another night.
            same = all(here[name] == there[name] for name in ("system_identifier", "database"))
            if not here["follows"] or not same:
                return Unfit.OTHER
            if here["there"]:
                return None
            await asyncio.sleep(_LOOK_AT_REPLICA)
