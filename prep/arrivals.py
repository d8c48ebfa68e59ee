"""An acknowledged upload becomes a fact as soon as its message is stored, however long other images take to read.

A group of its own on the topic of images, beside the group that digitizes. It looks into no image and keeps many
uploads in one transaction; the log tells of these rows first. The group that digitizes keeps the same rows if they are
missing, so no part waits for this one. The second of the two changes nothing, so this group needs no done-once marks.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import ValidationError

from prep.bus.contract import Batch, Bus
from prep.errors import Parked, Unavailable
from prep.messages import ImageReceived, Message, Topic, read_body
from prep.store import pipeline as store
from prep.store.database import Pool, transaction

log: Final = logging.getLogger(__name__)
GROUP: Final = "receive"
PAUSE: Final = 1.0
"""Seconds after a batch that could not be kept."""


async def keep(bus: Bus, pool: Pool, stop: asyncio.Event) -> None:
    """Keep every upload that is announced, until `stop` or the end of the bus."""
    batches = bus.consume(Topic.IMAGES, GROUP)
    # Each turn waits for a batch or for the stop, the first that comes.
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while not stop.is_set():
            coming = asyncio.ensure_future(anext(batches, None))
            await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                # The stop came first. The batch was not acknowledged, so it comes again to another worker.
                coming.cancel()
                await asyncio.wait({coming})
                break
            if (batch := coming.result()) is None or not await _keep_batch(pool, batch, stop):
                break
    finally:
        stopping.cancel()
        await batches.aclose()


async def _keep_batch(pool: Pool, batch: Batch, stop: asyncio.Event) -> bool:
    """Until it is kept; False if the end comes first. Messages that were not acknowledged come again."""
    while not stop.is_set():
        try:
            async with transaction(pool) as connection:
                await store.arrive(connection, [*_uploads_among(batch.messages)])
        except Unavailable as error:
            log.warning("arrivals wait", extra={"data": {"error": error.sentence}})
        except Exception:  # tried again: the group that digitizes counts failures, and sets a message aside
            log.exception("arrivals not kept")
        else:
            # The uploads are facts. If we stop here they come again, and are found kept.
            await batch.ack()
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PAUSE)
    return False


def _uploads_among(messages: Sequence[Message]) -> Iterator[ImageReceived]:
    """The uploads among them. Another message is for the group that digitizes to set aside."""
    for message in messages:
        try:
            yield read_body(message, ImageReceived)
        except (Parked, ValidationError):
            log.exception("not an upload", extra={"data": {"message": message.id}})
