"""The worker process: the pipeline's handlers on the bus, the outbox relay, the gauges.

Decoding runs in processes of its own, never on the loop that speaks to the bus. If an image kills its decoder, or no
decoder can read it within bounds, people get the image as it is.
"""

import asyncio
import logging
import random
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

import uvloop
from pydantic import ValidationError

from prep import arrivals, observe, pipeline
from prep.arguments import Parser
from prep.blobs import Blobs
from prep.bus.opened import open_bus
from prep.consumer import Line, run, stop_on_signals
from prep.errors import PrepError
from prep.messages import ActaTouched, ImageNamed, ImageReceived, Message, Topic, read_body
from prep.pipeline import Given, Hours
from prep.processes import exit_status
from prep.scan.decoders import HEAVY_BYTES, HEAVY_FORMATS, Decoders
from prep.scan.oddities import Oddity
from prep.scan.reading import Reading, Unread
from prep.settings import Part, Settings, now, read_settings
from prep.store import embedded
from prep.store.database import Connection, check_migrations, open_pool
from prep.store.tonight import Tonight

log: Final = logging.getLogger(__name__)

ENTRIES_AT_ONCE: Final = 8
WAITING: Final = 256
"""So many images may wait for their turn in a lane, and others still reach it: the turns go round the devices."""


@dataclass(frozen=True, slots=True)
class Digitizing:
    """The handler of images: each is read in a process of its own, then tied to its acta."""

    decoders: Decoders
    given: Given
    marks: Callable[[], bool] = lambda: False
    """Whether the catalogue describes printed forms, whose marks are then looked for."""

    async def prepare(self, message: Message) -> tuple[ImageReceived, Reading | Unread]:
        received = read_body(message, ImageReceived)
        heavy = received.format in HEAVY_FORMATS or received.bytes > HEAVY_BYTES
        # Includes the wait for a free process: this is the time that an image waits for its reading.
        with observe.DIGITIZE_SECONDS.time():
            return received, await self.decoders.decode(
                received.sha256, device=received.device, heavy=heavy, marks=self.marks()
            )

    async def apply(
        self,
        connection: Connection,
        message: Message,  # noqa: ARG002
        prepared: tuple[ImageReceived, Reading | Unread],
    ) -> None:
        received, reading = prepared
        await pipeline.digitized(connection, received, reading, self.given)

    async def set_aside(self, connection: Connection, message: Message) -> None:
        """The message could not be handled: people get the image as it is. A body that cannot be read has no image."""
        with suppress(ValidationError):
            received = ImageReceived.model_validate_json(message.body)
            await pipeline.digitized(connection, received, Unread((Oddity.SIN_DECODIFICAR,)), self.given)


@dataclass(frozen=True, slots=True)
class Validating:
    """The handler of statements by people: it compares captures, and it compares identities."""

    given: Given

    async def prepare(self, message: Message) -> ActaTouched | ImageNamed:
        return read_body(message, ActaTouched, ImageNamed)

    async def apply(self, connection: Connection, message: Message, prepared: ActaTouched | ImageNamed) -> None:  # noqa: ARG002
        match prepared:
            case ActaTouched():
                await pipeline.touched(connection, prepared, self.given)
            case ImageNamed():
                await pipeline.named(connection, prepared, self.given)


def lines(
    settings: Settings,
    decoders: Decoders,
    zone: Callable[[], tzinfo],
    hours: Hours = lambda: None,
    marks: Callable[[], bool] = lambda: False,
) -> list[Line[Any]]:
    # All workers are in the same two groups, and share their messages. Enough images are in work at once to fill the
    # decoders, while some of them wait for their turn.
    key = settings.qr_key.get_secret_value().encode() if settings.qr_key else None
    chance = random.SystemRandom().random
    given = Given(now=now, chance=chance, zone=zone, qr_key=key, hours=hours)
    digitizing = Digitizing(decoders, given, marks)
    at_once = 2 * settings.decoders + WAITING
    return [
        Line(Topic.IMAGES, "digitize", digitizing, settings.attempts, at_once, digitizing.set_aside),
        Line(Topic.ENTRIES, "validate", Validating(given), settings.attempts, ENTRIES_AT_ONCE),
    ]


async def work_until_stopped(settings: Settings) -> None:
    # The parts start in the order in which each needs the one before, and end in the opposite order.
    stop = stop_on_signals()
    decoders = Decoders(settings.decoders, settings.blobs_url, settings.image_max_pixels, settings.s3)
    ready = observe.Readiness()
    port = settings.worker_metrics_port
    try:
        async with (
            embedded.database(settings) as urls,
            observe.serving_probes(settings.host, port, health=ready.sentence, ready=ready.sentence),
        ):
            # The probes answer by now: a database that does not answer makes this worker not ready, and not dead.
            pool = await open_pool(urls.of(Part.WORKER), connections=16, by_key=True)
            await check_migrations(pool)
            bus = open_bus(settings, urls.of(Part.WORKER))
            blobs = Blobs.open(settings.blobs_url, s3=settings.s3)
            tonight = Tonight(pool)
            await tonight.look()
            async with asyncio.TaskGroup() as parts:
                parts.create_task(tonight.keep_fresh(stop))
                parts.create_task(arrivals.keep(bus, pool, stop))
                at_work = lines(
                    settings, decoders, lambda: tonight.night.tz, lambda: tonight.hours, lambda: tonight.layouts
                )
                parts.create_task(run(bus, pool, at_work, stop=stop, blobs=blobs, ready=ready))
            # In this order: handlers have ended, so acknowledgements are in; then the bus, then the database.
            await bus.close()
            await pool.close()
    finally:
        decoders.close()


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0 if it was asked to stop; with one sentence, 2 if it cannot begin, 1 if another try may."""
    Parser(prog="prep worker", description="Los trabajadores de digitalización y validación.").parse_args(argv)
    observe.start_log("worker")
    try:
        uvloop.run(work_until_stopped(read_settings()))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(exit_status(error))
