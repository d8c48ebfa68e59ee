"""A cord between a program and a server (PostgreSQL, a node of Kafka) that a test can pull out and put back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from urllib.parse import parse_qs, urlsplit

from prep.bus.kafka_dev import DevKafka

_CHUNK: Final = 65536
_TURNS_TO_BEGIN: Final = 8
"""Turns of the loop from the moment that it takes a connection to the start of the connection's task: four, and some more."""

Reach = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Opens a connection to the server at the other end of the cord."""


class Cord:
    """A port of the loopback that leads to a server. While it is pulled out, sessions break and none can begin.

    `port` 0 takes a free one.
    """

    def __init__(self, reach: Reach, port: int = 0) -> None:
        self._reach = reach
        self._port = port
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def plug_in(self) -> None:
        self._server = await asyncio.start_server(self._carry_connection, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def pull_out(self) -> None:
        assert self._server is not None
        # A connection that was taken a moment ago has no task yet, and would stay open: take no more, let those begin.
        for listening in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(_TURNS_TO_BEGIN):
            await asyncio.sleep(0)
        self._server.close()
        for running in self._running:
            running.cancel()
        if self._running:
            await asyncio.wait(self._running)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # the aborted ends close

    async def _carry_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        ends, ways = [writer], []
        try:
            there, here = await self._reach()
            ends.append(here)
            ways = [asyncio.create_task(copy(reader, here)), asyncio.create_task(copy(there, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.CancelledError):
            pass  # the server does not answer, or the cord was pulled out
        finally:  # no await here: a second pull would interrupt it, and the ends would stay open
            for way in ways:
                way.cancel()
            for end in ends:
                end.transport.abort()
            self._running.discard(task)


async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(_CHUNK):
            target.write(chunk)
            await target.drain()


class PostgresCord(Cord):
    """`url` reaches the same database through the cord."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        [folder] = parse_qs(parts.query)["host"]
        self._to = f"{parts.username}@127.0.0.1", parts.path
        super().__init__(partial(asyncio.open_unix_connection, f"{folder}/.s.PGSQL.5432"))

    @property
    def url(self) -> str:
        who, database = self._to
        return f"postgresql://{who}:{self._port}{database}"


class KafkaCords:
    """One cord for each node, at the ports that the nodes advertise."""

    def __init__(self, kafka: DevKafka) -> None:
        self.bootstrap = kafka.bootstrap
        ports = [int(address.rpartition(":")[2]) for address in kafka.bootstrap.split(",")]
        self._cords = [
            Cord(partial(asyncio.open_connection, "127.0.0.1", behind), port)
            for port, behind in zip(ports, kafka.client_ports, strict=True)
        ]

    async def plug_in(self) -> None:
        for cord in self._cords:
            await cord.plug_in()

    async def pull_out(self) -> None:
        for cord in self._cords:
            await cord.pull_out()


@asynccontextmanager
async def plugged_kafka(kafka: DevKafka) -> AsyncIterator[KafkaCords]:
    cords = KafkaCords(kafka)
    await cords.plug_in()
    try:
        yield cords
    finally:
        await cords.pull_out()


@asynccontextmanager
async def plugged(url: str) -> AsyncIterator[PostgresCord]:
    cord = PostgresCord(url)
    await cord.plug_in()
    try:
        yield cord
    finally:
        await cord.pull_out()
