"""A cord between a program and PostgreSQL that a test can pull out and put back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import parse_qs, urlsplit

_CHUNK: Final = 65536


class Cord:
    """`url` reaches the same database through a port of its own; pulled out, sessions break and none can begin."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        [folder] = parse_qs(parts.query)["host"]
        self._socket = f"{folder}/.s.PGSQL.5432"
        self._to = f"{parts.username}@127.0.0.1", parts.path
        self._port = 0
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        who, database = self._to
        return f"postgresql://{who}:{self._port}{database}"

    async def plug_in(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def pull_out(self) -> None:
        assert self._server is not None
        self._server.close()
        for running in self._running:
            running.cancel()
        if self._running:
            await asyncio.wait(self._running)
        await self._server.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        there, here = await asyncio.open_unix_connection(self._socket)
        ways = [asyncio.create_task(_copy(reader, here)), asyncio.create_task(_copy(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # pulled out
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            for end in (here, writer):
                end.transport.abort()
                with contextlib.suppress(OSError):
                    await end.wait_closed()
            self._running.discard(task)


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(_CHUNK):
            target.write(chunk)
            await target.drain()


@asynccontextmanager
async def plugged(url: str) -> AsyncIterator[Cord]:
    cord = Cord(url)
    await cord.plug_in()
    try:
        yield cord
    finally:
        await cord.pull_out()
