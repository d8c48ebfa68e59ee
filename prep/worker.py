"""The worker process: the pipeline's handlers on the bus, the outbox relay, the gauges.

Decoding runs in processes of its own, never on the loop that speaks to the bus. If an image kills its decoder, or no
decoder can read it within bounds, people get the image as it is.
"""

import asyncio
import ctypes
import logging
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final, TypeVar

import uvloop
from pydantic import ValidationError

from prep import arrivals, observe, pipeline
from prep.arguments import Parser
from prep.blobs import AWS, Blobs
from prep.bus.opened import open_bus
from prep.consumer import Line, run, stop_on_signals
from prep.errors import Parked, PrepError, Rejected
from prep.messages import ActaTouched, ImageNamed, ImageReceived, Message, Topic, read_body
from prep.pipeline import Given, Hours
from prep.processes import exit_status
from prep.scan.bounded import MIB, Bounds, Lane, OutOfBounds, TurnedAway
from prep.scan.digitize import digitize
from prep.scan.oddities import Oddity
from prep.settings import Part, S3Access, Settings, now, read_settings
from prep.store import embedded
from prep.store.database import Connection, check_migrations, open_pool
from prep.store.pipeline import Reading, Unread
from prep.store.tonight import Tonight

log: Final = logging.getLogger(__name__)
T = TypeVar("T")

ENTRIES_AT_ONCE: Final = 8
WAITING: Final = 256
"""So many images may wait for their turn in a lane, and others still reach it: the turns go round the devices."""
BEHIND: Final = 5
"""Niceness of the decoding processes: an image may wait to be read; its receipt and its proof may not."""


LIGHT: Final = Bounds(memory=1024 * MIB, cpu=4, seconds=30, patience=20)
"""For a photo. The largest that is taken, with no sticker in it, needs half of this time."""
HEAVY: Final = Bounds(memory=1024 * MIB, cpu=8, seconds=60, patience=20)
HEAVY_FORMATS: Final = frozenset({"pdf", "tiff"})
HEAVY_BYTES: Final = 8_000_000
STRIKE: Final = 3
"""A try that passed the bounds adds so much to the strikes of its device; an image that was read takes one away."""
QUOTA: Final = 6 * STRIKE
"""From so many strikes on, a device is over its quota."""


class Decoders:
    """Processes that decode, each image within bounds. Each process fetches its image and keeps the derivatives itself.

    Most images go through the light lane. Three kinds go through the heavy lane: large images and slow formats
    (`HEAVY_BYTES`, `HEAVY_FORMATS`), images that passed the bounds of the light lane, and all images of a device that
    has strikes. In each lane the turns go round the devices. So an image never waits for the bombs that another device
    sent before it. An image is tried twice at most. If a device is over its quota, one of its images is tried at a
    time; those that wait, and those that come meanwhile, go to people as they are.
    """

    def __init__(
        self,
        processes: int,
        blobs_url: str,
        max_pixels: int,
        s3: S3Access = AWS,
        *,
        light: Bounds = LIGHT,
        heavy: Bounds = HEAVY,
    ) -> None:
        given = (blobs_url, max_pixels, s3)
        self._light = Lane(processes, light, _prepare_process, given)
        self._heavy = Lane(max(1, processes // 2), heavy, _prepare_process, given)
        self._strikes: Counter[str] = Counter()
        self._tried: set[str] = set()
        """Devices over their quota that have an image in a lane now."""

    async def decode(
        self, sha256: str, *, device: str = "", heavy: bool = False, marks: bool = False
    ) -> Reading | Unread:
        """The reading of the image, or the reason why it is unread. Raises Parked if the store lacks the image.

        `marks`: look also for the marks of a printed form.
        """
        # Strikes count per device, not per image: a sender of bombs slows down only its own images. A device comes back
        # by itself, because each image within bounds takes a strike away.
        over = self._strikes[device] >= QUOTA
        if over and device in self._tried:
            return Unread((Oddity.SIN_EXAMINAR,))
        if over:
            self._tried.add(device)
        try:
            read = await self._decode_in_lanes(
                sha256, device, heavy=heavy or self._strikes[device] > 0, tries=1 if over else 2, marks=marks
            )
        except TurnedAway:
            return Unread((Oddity.SIN_EXAMINAR,))
        finally:
            if over:
                self._tried.discard(device)
        if read is None:
            return Unread((Oddity.SIN_EXAMINAR,))
        self._strikes[device] = max(self._strikes[device] - 1, 0)
        return read

    def _strike(self, device: str) -> None:
        """Its other images leave the light lane; if it is over its quota now, those that wait are not tried."""
        self._strikes[device] = min(self._strikes[device] + STRIKE, QUOTA + STRIKE)
        self._light.turn_away(device)
        if self._strikes[device] >= QUOTA:
            self._heavy.turn_away(device)

    async def _decode_in_lanes(
        self, sha256: str, device: str, *, heavy: bool, tries: int, marks: bool
    ) -> Reading | Unread | None:
        # The first try is in the light lane, unless the image is heavy; a further try is always in the heavy one.
        while tries:
            lane = self._heavy if heavy else self._light
            try:
                return await lane.do(_decode_image, sha256, marks, sender=device)
            except TurnedAway:  # another image of its device was a bomb
                if heavy:
                    raise
            except OutOfBounds as error:
                tries -= 1
                told = {"image": sha256, "device": device, "left": tries, "error": str(error)}
                log.warning("a decoder passed its bounds", extra={"data": told})
                self._strike(device)
            heavy = True
        return None

    def close(self) -> None:
        self._light.close()
        self._heavy.close()


@dataclass(frozen=True, slots=True)
class _Process:
    """The things that a decoding process keeps from one image to the next."""

    loop: asyncio.Runner
    blobs: Blobs
    max_pixels: int


_process: _Process

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""glibc's mallopt(3): pixels are freed to the process and not to the kernel, which would give it new pages for each
image. Drawn actas of 1100×717: 4.8 of 14 ms of CPU were page faults."""


def _prepare_process(blobs_url: str, max_pixels: int, s3: S3Access) -> None:
    global _process  # noqa: PLW0603  # a process of a lane has no other place to keep it
    # A receipt is worth more than a reading: on a small machine intake comes first.
    os.nice(BEHIND)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        # Only glibc has it; with another C library images are decoded too, a little slower.
        if hasattr(libc, "mallopt"):
            libc.mallopt(_MMAP_THRESHOLD, 32 * MIB)
            libc.mallopt(_TRIM_THRESHOLD, 256 * MIB)
    _process = _Process(asyncio.Runner(), Blobs.open(blobs_url, s3=s3), max_pixels)
    _process.loop.get_loop().set_default_executor(_RunAtOnce())


class _RunAtOnce(ThreadPoolExecutor):
    """Runs the work at once instead of in a thread: this process does one thing, and no other work waits for it."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":  # noqa: ANN401
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # the caller that awaits the result gets it
            done.set_exception(error)
        return done


def _decode_image(sha256: str, marks: bool) -> Reading | Unread:  # noqa: FBT001  # a lane hands on by place
    return _process.loop.run(_read_image(sha256, _process.blobs, _process.max_pixels, marks=marks))


async def _read_image(sha256: str, blobs: Blobs, max_pixels: int, *, marks: bool) -> Reading | Unread:
    """Fetch the image, decode it, keep the derivatives."""
    # The derivatives are named by their digest: a second decoding writes the same ones again.
    data = await blobs.get(sha256)
    try:
        made = digitize(data, max_pixels, marks=marks)
    except Rejected:  # the door had no time to look, or had another limit
        return Unread((Oddity.NO_ADMITIDA,))
    except Parked:
        return Unread((Oddity.SIN_DECODIFICAR,))
    web, thumb = await asyncio.gather(blobs.put(made.web), blobs.put(made.thumb))
    return Reading(
        text=made.text,
        decoder=made.decoder,
        width=made.width,
        height=made.height,
        phash=made.phash,
        web=bytes.fromhex(web),
        thumb=bytes.fromhex(thumb),
        others=made.others,
        oddities=made.oddities,
        marks=made.marks,
    )


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
