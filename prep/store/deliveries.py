"""Which messages a group has done, which failed and how often, and which wait for a person.

A done-once mark commits with the effects it stands for. A parked message is marked done too, so that a late second
delivery changes nothing while people look at it; a retry takes the mark away and sends the message again, in one
transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import asyncpg

from prep.errors import Code, Rejected
from prep.messages import Message, Topic
from prep.store import outbox
from prep.store.database import Connection, sql
from prep.store.pipeline import add_event

SQL: Final = sql("deliveries")


async def first_time(connection: Connection, group: str, message_id: str) -> bool:
    """Mark the message done by this group, in the transaction of its effects; False if it was done already."""
    # A mark of a transaction that is still open makes this one wait, until it is known which of them stays.
    return await connection.fetchval(SQL["mark_done"], group, message_id) is not None


async def done_among(connection: Connection, group: str, message_ids: Sequence[str]) -> frozenset[str]:
    """Which of these the group has done (or parked)."""
    return frozenset(row["message"] for row in await connection.fetch(SQL["done_among"], group, message_ids))


async def failed(connection: Connection, group: str, message_id: str, error: str) -> int:
    """Count one more failure; returns how many there are, over restarts."""
    count: int = await connection.fetchval(SQL["count_failure"], group, message_id, _storable_text(error))
    return count


async def forget_failures(connection: Connection, group: str, message_id: str) -> None:
    await connection.execute(SQL["forget_failures"], group, message_id)


async def park(connection: Connection, group: str, message: Message, *, error: str, at: datetime) -> None:
    """Set the message aside for a person, and tell it in the log. Does nothing if it is done or parked already."""
    # The mark first: two deliveries that fail at the same time park it once.
    if not await first_time(connection, group, message.id):
        return
    error = _storable_text(error)
    # Its failures become the number of attempts: after a retry the count begins anew.
    counted = await connection.fetchval(SQL["forget_failures"], group, message.id)
    said = (
        message.topic,
        message.key,
        message.body,
        message.type,
        message.source,
        message.happened_at,
        error,
        at,
        counted or 1,  # refused at once: one attempt, which was not counted
    )
    await connection.execute(SQL["park"], group, message.id, *said)
    await add_event(connection, "mensaje_apartado", message.id, {"grupo": group, "error": error}, at)


class ParkedState(StrEnum):
    PARKED = "parked"
    RETRIED = "retried"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """One message that waits for a person, or was settled by one."""

    id: int
    group: str
    message: Message
    error: str
    """Of the last attempt."""
    at: datetime
    attempts: int
    """Over all its retries."""
    state: ParkedState
    reason: str
    """Why it was dismissed; otherwise empty."""


async def list_parked(connection: Connection, *, settled: bool = False) -> list[ParkedMessage]:
    """Oldest first; with `settled`, also those that were retried or dismissed."""
    return [
        ParkedMessage(
            row["id"],
            row["consumers"],
            _message_of(row),
            row["error"],
            row["parked_at"],
            row["attempts"],
            ParkedState(row["state"]),
            row["reason"],
        )
        for row in await connection.fetch(SQL["list_parked"], settled)
    ]


async def retry(connection: Connection, parked: int, *, at: datetime, by: str = "") -> None:
    """Send the message again; its attempts are counted anew. Other groups that have done it do not do it again.

    Inside a transaction. The message leaves through the outbox, so this works on both buses. If the parked delivery was
    not acknowledged, it comes again too, and the mark lets only one of the two take effect.
    """
    # All in the caller's transaction: the state, the mark and the outbox change together, or none does.
    row = await _settle_parked(connection, parked, ParkedState.RETRIED, "")
    await connection.execute(SQL["unmark_retried"], parked)
    await outbox.enqueue(connection, [_message_of(row)])
    told = {"grupo": row["consumers"], "por": by}
    await add_event(connection, "mensaje_reintentado", row["message"], told, at)


async def dismiss(connection: Connection, parked: int, *, reason: str, at: datetime, by: str = "") -> None:
    """Settle the message without handling it. The person and the reason are kept for ever. Inside a transaction."""
    reason = _storable_text(reason).strip()
    if not reason:
        raise Rejected("para descartar un mensaje hay que decir por qué")
    # The mark of done-once stays: a late delivery of it changes nothing any more.
    row = await _settle_parked(connection, parked, ParkedState.DISMISSED, reason)
    told = {"grupo": row["consumers"], "motivo": reason, "por": by}
    await add_event(connection, "mensaje_descartado", row["message"], told, at)


async def undo_dismissal(connection: Connection, parked: int, *, at: datetime) -> None:
    """The message waits for a person again, as before it was dismissed. Raises Rejected if it is not dismissed."""
    message = await connection.fetchval(SQL["undo_dismissal"], parked)
    if message is None:
        raise Rejected(f"no hay un mensaje descartado con el número {parked}", code=Code.NO_PARKED)
    await add_event(connection, "mensaje_apartado", message, {"motivo": "se deshizo su descarte"}, at)


async def _settle_parked(connection: Connection, parked: int, state: ParkedState, reason: str) -> asyncpg.Record:
    row = await connection.fetchrow(SQL["settle_parked"], parked, state, reason)
    # No such number, or another person has settled it meanwhile.
    if row is None:
        raise Rejected(f"no hay un mensaje apartado con el número {parked}", code=Code.NO_PARKED)
    return row


def _message_of(row: asyncpg.Record) -> Message:
    return Message(
        Topic(row["topic"]), row["key"], row["message"], row["body"], row["type"], row["source"], row["happened_at"]
    )


def _storable_text(error: str) -> str:
    """A text that PostgreSQL can hold, of at most 2000 characters: no text of an error may lose the message."""
    # Half a surrogate and a zero byte have no place in PostgreSQL; a long traceback is cut.
    return error.encode("utf-8", "replace").decode().replace("\0", "�")[:2000]
