"""Outgoing messages commit with their cause, and a relay hands them to the bus: neither without the other.

Messages of one key leave in the order of their transactions: a writer for a key holds its row until commit.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final, cast

import asyncpg

from prep.messages import Message, Topic
from prep.store.database import GONE, Connection, sql

SQL: Final = sql("outbox")

_RELAYING: Final = 0x50524F42
"""Advisory lock: one relay at a time, so that order is kept."""


async def enqueue(connection: Connection, messages: Sequence[Message]) -> None:
    """Send these once the caller's transaction has committed; never if it does not."""
    # Arrays of one statement, in their order: the number of a row is its place in the queue.
    if messages:
        await connection.execute(
            SQL["enqueue"],
            [message.id for message in messages],
            [message.topic.value for message in messages],
            [message.key for message in messages],
            [message.body for message in messages],
            [message.type for message in messages],
            [message.source for message in messages],
            [message.happened_at for message in messages],
        )


async def take_lead(connection: Connection) -> bool:
    """Whether this session is the relay from now on; if it ends, another can be."""
    taken: bool = await connection.fetchval(SQL["lead"], _RELAYING)
    return taken


@contextlib.asynccontextmanager
async def leading(connection: Connection, news: asyncio.Event) -> AsyncIterator[None]:
    """Set `news` whenever messages have been enqueued; at the end give the lead back."""
    # A pool's connection is a proxy; the types of listeners are those of the connection below it.
    session = cast("asyncpg.Connection[asyncpg.Record]", connection)

    def wake(*_: object) -> None:
        news.set()

    # Listening before the first look: a message that commits in between is not missed.
    await session.add_listener("outbox", wake)
    try:
        yield
    finally:
        with contextlib.suppress(*GONE):
            await session.remove_listener("outbox", wake)
            await connection.execute(SQL["resign"], _RELAYING)


async def oldest(connection: Connection, count: int) -> dict[int, Message]:
    """The oldest messages by their number, in its order; at most `count`."""
    return {
        row["seq"]: Message(
            Topic(row["topic"]), row["key"], row["id"], row["body"], row["type"], row["source"], row["happened_at"]
        )
        for row in await connection.fetch(SQL["next"], count)
    }


async def remove(connection: Connection, numbers: Sequence[int]) -> None:
    # After the bus has them. Numbers and not a range: a lower one may have committed meanwhile.
    await connection.execute(SQL["remove"], numbers)
