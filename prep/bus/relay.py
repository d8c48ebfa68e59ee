"""The relay hands the outbox to the bus, oldest first: a message leaves after its transaction has committed.

One relay at a time works, so that order is kept; the others stand by.
"""

import asyncio
import contextlib
import logging
from typing import Final

from prep.bus.contract import Bus
from prep.errors import Unavailable
from prep.store import outbox
from prep.store.database import GONE, Connection, Pool

log: Final = logging.getLogger(__name__)

_BATCH: Final = 500
_LINGER: Final = 0.2
"""Seconds a first message waits for others to leave with it: each hand-over writes on every copy of each partition."""
_POLL: Final = 1.0
"""Seconds between looks where no notification came; also between tries to become the relay."""


async def relay(pool: Pool, bus: Bus, stop: asyncio.Event) -> None:
    """Hand the outbox to the bus until `stop`, or stand by while another does. Waits while either does not answer."""
    while not stop.is_set():
        try:
            # The lock belongs to the session: if this process dies, the session ends and another relay takes the lead.
            async with pool.acquire() as connection:
                if await outbox.take_lead(connection):
                    await _relay_while_leading(connection, bus, stop)
        except (*GONE, Unavailable) as error:
            log.warning("relay waits", extra={"data": {"error": str(error)}})
        await _wait_for(stop)


async def _relay_while_leading(connection: Connection, bus: Bus, stop: asyncio.Event) -> None:
    news = asyncio.Event()
    async with outbox.leading(connection, news):
        while not stop.is_set():
            # Cleared before the look: a message that is added during the look sets it again, and is not missed.
            news.clear()
            if await _pass_on(connection, bus) < _BATCH:
                await _wait_for(news)
                await asyncio.sleep(_LINGER)


async def _pass_on(connection: Connection, bus: Bus) -> int:
    """Publish the oldest, then remove them. A crash between the two publishes them again: handlers know `id`."""
    waiting = await outbox.oldest(connection, _BATCH)
    # In the order of the outbox: messages of one key keep the order of their transactions.
    if waiting:
        # Durable on the bus first, removed afterwards: a crash in between costs a second delivery, and no message.
        await bus.publish(list(waiting.values()))
        await outbox.remove(connection, list(waiting))
    return len(waiting)


async def _wait_for(event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), _POLL)
