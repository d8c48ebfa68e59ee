"""Outgoing messages commit with their cause, and a relay hands them to the bus: neither without the other.

Messages of one key leave in the order of their transactions: whoever writes for a key holds its row until commit.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final, cast

import asyncpg

from prep.bus.contract import Bus
from prep.errors import Unavailable
from prep.messages import Message, Topic
from prep.store.database import GONE, Connection, Pool, sql

log: Final = logging.getLogger(__name__)
SQL: Final = sql("outbox")

_RELAYING: Final = 0x50524F42
"""Advisory lock: one relay at a time, so that order is kept."""
_BATCH: Final = 500
_LINGER: Final = 0.2
"""Seconds a first message waits for others to leave with it: each hand-over writes on every copy of each partition."""
_POLL: Final = 1.0
"""Seconds between looks where no notification came; also between tries to become the relay."""


async def enqueue(connection: Connection, messages: Sequence[Message]) -> None:
    """Send these once the caller's transaction has committed; never if it does not."""
    if messages:
        await connection.execute(
            SQL["enqueue"],
            [message.id for message in messages],
            [message.topic.value for message in messages],
            [message.key for message in messages],
            [message.body for message in messages],
        )


async def relay(pool: Pool, bus: Bus, stop: asyncio.Event) -> None:
    """Hand the outbox to the bus until `stop`, or stand by while another does. Waits out what is away."""
    while not stop.is_set():
        try:
            async with pool.acquire() as connection:
                if await connection.fetchval(SQL["lead"], _RELAYING):
                    await _lead(connection, bus, stop)
        except (*GONE, Unavailable) as error:
            log.warning("relay waits", extra={"data": {"error": str(error)}})
        await _until(stop)


async def _lead(connection: Connection, bus: Bus, stop: asyncio.Event) -> None:
    news = asyncio.Event()
    session = cast("asyncpg.Connection[asyncpg.Record]", connection)

    def wake(*_: object) -> None:
        news.set()

    await session.add_listener("outbox", wake)
    try:
        while not stop.is_set():
            news.clear()
            if await _pass_on(connection, bus) < _BATCH:
                await _until(news)
                await asyncio.sleep(_LINGER)
    finally:
        with contextlib.suppress(*GONE):
            await session.remove_listener("outbox", wake)
            await connection.execute(SQL["resign"], _RELAYING)


async def _pass_on(connection: Connection, bus: Bus) -> int:
    """Publish the oldest, then remove them. A crash between the two publishes them again: handlers know `id`."""
    rows = await connection.fetch(SQL["next"], _BATCH)
    if rows:
        await bus.publish([Message(Topic(row["topic"]), row["key"], row["id"], row["body"]) for row in rows])
        await connection.execute(SQL["remove"], [row["seq"] for row in rows])
    return len(rows)


async def _until(event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), _POLL)
