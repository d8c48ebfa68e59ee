"""The embedded bus's tables and locks, as typed functions over `bus.sql`.

Partitions are an advisory lock each, held by the session that reads them; a session that dies gives all of them back.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast

import asyncpg

from prep.messages import PARTITIONS, Message, Topic
from prep.store.database import BY_KEY, Connection, sql

SQL: Final = sql("bus")

_MEMBERSHIP: Final = 0x7FFF
"""Second key of the lock that every consumer of a group shares; partitions are numbered far below."""

_SETTINGS: Final = {
    **BY_KEY,
    "application_name": "prep-bus",
    "tcp_keepalives_idle": "5",  # a machine that vanished gives its partitions back within seconds
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
_ANSWER: Final = 15.0
"""Seconds after which a statement of the bus has failed."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message with its place."""

    partition: int
    seq: int
    message: Message
    at: datetime
    """When it was published."""


async def connect(url: str, *, reader: bool = False) -> Connection:
    """A session of its own. A reader's commits are acknowledgements: to lose the last ones is to see messages again."""
    # A reader's cursor may be lost in a crash, because messages may come twice. A publisher's row may not.
    settings = _SETTINGS | ({"synchronous_commit": "off"} if reader else {})
    return await asyncpg.connect(url, timeout=_ANSWER, command_timeout=_ANSWER, server_settings=settings)


def partition(message: Message) -> int:
    """The same key always meets the same partition."""
    return zlib.crc32(message.key.encode()) % PARTITIONS[message.topic]


def _lock_space(*parts: str) -> int:
    """First key of an advisory lock, as PostgreSQL's signed 32 bits."""
    return zlib.crc32("/".join(parts).encode()) - 2**31


async def publish(connection: Connection, messages: Sequence[Message]) -> None:
    """Add the messages in this order: durable, and seen by readers, once the caller's transaction, if any, commits."""
    # Columns of one statement: many messages cost one round trip, and one flush at the commit.
    topics = [message.topic.value for message in messages]
    partitions = [partition(message) for message in messages]
    # Sorted, so that two publishers take the locks of their partitions in one order and never wait in a circle.
    writing = sorted({(_lock_space("publish", topic), p) for topic, p in zip(topics, partitions, strict=True)})
    await connection.execute(
        SQL["publish"],
        [space for space, _ in writing],
        [p for _, p in writing],
        topics,
        partitions,
        [message.id for message in messages],
        [message.key for message in messages],
        [message.body for message in messages],
        [message.type for message in messages],
        [message.source for message in messages],
        [message.happened_at for message in messages],
    )


async def lag(connection: Connection, topic: Topic, group: str) -> int:
    behind: int = await connection.fetchval(SQL["lag"], topic, group, PARTITIONS[topic])
    return behind


class Reader:
    """One consumer's session: its membership, the partitions it holds, and its group's cursors."""

    def __init__(self, connection: Connection, topic: Topic, group: str) -> None:
        self._connection = connection
        self._topic = topic
        self._group = group
        self._lock_space = _lock_space("consume", topic, group)

    async def enter(self, wake: Callable[[], None]) -> None:
        """Become a member of the group. `wake` is called at each news of the topic, and when the session ends."""
        # A group that comes for the first time begins at 0: it reads everything that is still kept.
        await self._connection.execute(SQL["add_cursors"], self._topic, self._group, PARTITIONS[self._topic])
        await self._connection.execute(SQL["enter"], self._lock_space, _MEMBERSHIP)
        session = cast("asyncpg.Connection[asyncpg.Record]", self._connection)
        session.add_termination_listener(lambda _: wake())
        await session.add_listener(f"bus_{self._topic}", lambda *_: wake())

    async def fair_share(self) -> int:
        """How many partitions this consumer should hold, given who else is here. The shares add up to all of them."""
        # Every member sees the same list in the same order, so the shares add up without a word between them.
        members = [row["pid"] for row in await self._connection.fetch(SQL["members"], self._lock_space, _MEMBERSHIP)]
        # The first ones of the list take the rest, one each.
        each, left = divmod(PARTITIONS[self._topic], len(members))
        return each + (members.index(self._connection.get_server_pid()) < left)

    async def take(self, partition: int) -> int | None:
        """Hold the partition and return its cursor; None if another holds it."""
        # The lock first, the cursor second: nobody moves the cursor of a partition that we hold.
        if not await self._connection.fetchval(SQL["take"], self._lock_space, partition):
            return None
        seq: int = await self._connection.fetchval(SQL["cursor"], self._topic, self._group, partition)
        return seq

    async def give_back(self, partition: int) -> None:
        await self._connection.execute(SQL["give_back"], self._lock_space, partition)

    async def fetch(self, positions: Iterable[tuple[int, int]], *, each: int) -> list[Stored]:
        """Up to `each` messages behind each (partition, seq), in order of seq."""
        partitions, seqs = zip(*positions, strict=True)
        return [
            Stored(
                row["partition"],
                row["seq"],
                Message(
                    self._topic,
                    row["key"],
                    row["id"],
                    row["body"],
                    row["type"],
                    row["source"],
                    row["happened_at"],
                ),
                row["published_at"],
            )
            for row in await self._connection.fetch(SQL["fetch"], self._topic, partitions, seqs, each)
        ]

    async def acknowledge(self, positions: Iterable[tuple[int, int]]) -> None:
        """Move the cursors of these (partition, seq) forward; never back."""
        partitions, seqs = zip(*positions, strict=True)
        await self._connection.execute(SQL["acknowledge"], self._topic, self._group, partitions, seqs)

    async def sweep(self, keep: timedelta) -> None:
        """Remove what every group that ever read the topic has acknowledged and is older than `keep`."""
        # A message goes when every group has it. A group that reads for the first time finds the last `keep`.
        await self._connection.execute(SQL["sweep"], self._topic, keep)

    async def leave(self) -> None:
        """Give everything back, at once where the session still answers."""
        try:
            await self._connection.execute(SQL["give_back_all"])
        finally:
            await self._connection.close(timeout=_ANSWER)

    def break_off(self) -> None:
        """End the session without a word; the server gives back what it held."""
        self._connection.terminate()
