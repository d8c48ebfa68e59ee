"""Which messages a group has done, which failed and how often, and which wait for a person.

A done-once mark commits with the effects it stands for. A parked message is marked done too, so that a late second
delivery changes nothing while people look at it; a retry takes the mark away and sends the message again, in one
transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from prep.errors import Rejected
from prep.messages import Message, Topic
from prep.store import outbox
from prep.store.database import Connection, sql
from prep.store.pipeline import add_event

SQL: Final = sql("deliveries")


async def first_time(connection: Connection, group: str, message_id: str) -> bool:
    """Mark the message done by this group, in the transaction of its effects; False where it was done already."""
    return await connection.fetchval(SQL["mark_done"], group, message_id) is not None


async def done_among(connection: Connection, group: str, message_ids: Sequence[str]) -> frozenset[str]:
    """Which of these the group has done (or parked)."""
    return frozenset(row["message"] for row in await connection.fetch(SQL["done_among"], group, message_ids))


async def failed(connection: Connection, group: str, message_id: str, error: str) -> int:
    """Count one more failure; returns how many there are, over restarts."""
    count: int = await connection.fetchval(SQL["count_failure"], group, message_id, _storable(error))
    return count


async def forget_failures(connection: Connection, group: str, message_id: str) -> None:
    await connection.execute(SQL["forget_failures"], group, message_id)


async def park(connection: Connection, group: str, message: Message, *, error: str, at: datetime) -> None:
    """Set the message aside for a person. Nothing happens where it is done or parked already."""
    if not await first_time(connection, group, message.id):
        return
    error = _storable(error)
    await connection.execute(SQL["park"], group, message.id, message.topic, message.key, message.body, error, at)
    await forget_failures(connection, group, message.id)
    await add_event(connection, "mensaje_apartado", message.id, {"grupo": group, "error": error}, at)


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """One message that waits for a person."""

    id: int
    group: str
    message: Message
    error: str
    at: datetime


async def list_parked(connection: Connection) -> list[ParkedMessage]:
    """Oldest first."""
    return [
        ParkedMessage(row["id"], row["consumers"], _message(row), row["error"], row["parked_at"])
        for row in await connection.fetch(SQL["list_parked"])
    ]


async def retry(connection: Connection, parked: int, *, at: datetime) -> None:
    """Send it again, with all its attempts; other groups that have done it stay as they are. Inside a transaction."""
    row = await _settle(connection, parked, "retried", "")
    await connection.execute(SQL["unmark_done"], row["consumers"], row["message"])
    await outbox.enqueue(connection, [_message(row)])
    await add_event(connection, "mensaje_reintentado", row["message"], {"grupo": row["consumers"]}, at)


async def dismiss(connection: Connection, parked: int, *, reason: str, at: datetime) -> None:
    """It will not be handled, and the reason is kept. Inside a transaction."""
    if not reason.strip():
        raise Rejected("para descartar un mensaje hay que decir por qué")
    row = await _settle(connection, parked, "dismissed", reason)
    await add_event(connection, "mensaje_descartado", row["message"], {"grupo": row["consumers"], "motivo": reason}, at)


async def _settle(connection: Connection, parked: int, state: str, reason: str) -> asyncpg.Record:
    row = await connection.fetchrow(SQL["settle_parked"], parked, state, reason)
    if row is None:
        raise Rejected(f"no hay un mensaje apartado con el número {parked}", status=404)
    return row


def _message(row: asyncpg.Record) -> Message:
    return Message(Topic(row["topic"]), row["key"], row["message"], row["body"])


def _storable(error: str) -> str:
    """What an exception says, as PostgreSQL can hold it: whatever it is, the message must not be lost over it."""
    return error.encode("utf-8", "replace").decode().replace("\0", "�")[:2000]
