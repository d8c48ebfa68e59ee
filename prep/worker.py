"""The worker process: the pipeline's handlers on the bus, the outbox relay, the gauges.

Decoding runs in processes of its own, never on the loop that speaks to the bus; an image that kills its decoder costs
one counted attempt of one message.
"""

import asyncio
import ctypes
import os
import random
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Final, TypeVar

import uvloop

from prep import arrivals, observe, pipeline
from prep.arguments import Parser
from prep.blobs import AWS, Blobs
from prep.bus.opened import open_bus
from prep.consumer import Line, run, stop_on_signals
from prep.errors import PrepError
from prep.messages import ActaTouched, ImageNamed, ImageReceived, Message, Topic, read_body
from prep.pipeline import Given
from prep.scan.digitize import digitize
from prep.settings import S3Access, Settings, now, read_settings
from prep.store import embedded
from prep.store.database import Connection, check_migrations, open_pool
from prep.store.pipeline import Reading

T = TypeVar("T")

ENTRIES_AT_ONCE: Final = 8
BEHIND: Final = 5
"""How far the decoding processes stand back: an image may wait to be read; its receipt and its proof may not."""


class Decoders:
    """A pool of decoding processes that outlives the death of any of them. Each reads and keeps its images itself.

    `seconds`: how long an image may take. Where a process dies, or an image takes longer, the pool is given up and each
    image that was in it is decoded alone: only the one that does it again has failed.
    """

    def __init__(
        self, processes: int, blobs_url: str, max_pixels: int, s3: S3Access = AWS, *, seconds: float = 60
    ) -> None:
        self._processes = processes
        self._given = (blobs_url, max_pixels, s3)
        self._seconds = seconds
        self._pool = self._start(processes)
        self._alone = asyncio.Lock()

    def _start(self, processes: int) -> ProcessPoolExecutor:
        # Spawned: a forked child would hold the locks of threads it does not have.
        return ProcessPoolExecutor(processes, get_context("spawn"), _prepare_process, self._given)

    async def decode(self, sha256: str) -> Reading:
        """Raises Rejected or Parked if it cannot be decoded.

        BrokenProcessPool where it killed its process, TimeoutError where it takes too long.
        """
        # Kept in hand: another image may have replaced the pool when this one comes back.
        pool = self._pool
        try:
            return await self._decode_in(pool, sha256)
        except (BrokenProcessPool, TimeoutError):
            if pool is self._pool:  # the first to notice replaces it
                self._pool = self._start(self._processes)
                _kill(pool)
        # One at a time, each with a process of its own: so the image that kills is known for sure.
        async with self._alone:
            alone = self._start(1)
            try:
                return await self._decode_in(alone, sha256)
            finally:
                _kill(alone)

    async def _decode_in(self, pool: ProcessPoolExecutor, sha256: str) -> Reading:
        async with asyncio.timeout(self._seconds):
            return await asyncio.get_running_loop().run_in_executor(pool, _decode, sha256)

    def close(self) -> None:
        _kill(self._pool)


def _kill(pool: ProcessPoolExecutor) -> None:
    """End its processes at once. What they were at is done again: they leave nothing half."""
    # A hung decoder does not obey: it is killed, and its images are decoded again.
    for process in list((pool._processes or {}).values()):  # noqa: SLF001  # before 3.14 there is no other way
        process.kill()
    pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Process:
    """What a decoding process keeps from one image to the next."""

    loop: asyncio.Runner
    blobs: Blobs
    max_pixels: int


_process: _Process

MIB: Final = 1024 * 1024
_DIE_WITH_PARENT: Final = 1
"""Linux: `PR_SET_PDEATHSIG` of prctl(2)."""
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""glibc's mallopt(3): pixels are freed to the process and not to the kernel, which would give it new pages for each
image. Drawn actas of 1100×717: 4.8 of 14 ms of CPU were page faults."""


def _prepare_process(blobs_url: str, max_pixels: int, s3: S3Access) -> None:
    global _process  # noqa: PLW0603  # a process of the pool has no other place
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker ends it
    # A receipt is worth more than a reading: on a small machine intake comes first.
    os.nice(BEHIND)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_DIE_WITH_PARENT, signal.SIGTERM)  # also when the worker is killed
        if hasattr(libc, "mallopt"):
            libc.mallopt(_MMAP_THRESHOLD, 32 * MIB)
            libc.mallopt(_TRIM_THRESHOLD, 256 * MIB)
    _process = _Process(asyncio.Runner(), Blobs.open(blobs_url, s3=s3), max_pixels)
    _process.loop.get_loop().set_default_executor(_Here())


class _Here(ThreadPoolExecutor):
    """Does at once what others hand to a thread: this process has one thing to do and nobody to keep waiting."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":  # noqa: ANN401
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # the one that waits for it gets it
            done.set_exception(error)
        return done


def _decode(sha256: str) -> Reading:
    return _process.loop.run(_read(sha256, _process.blobs, _process.max_pixels))


async def _read(sha256: str, blobs: Blobs, max_pixels: int) -> Reading:
    """Fetch, decode, keep the derivatives."""
    # The derivatives are named by their digest: a second decoding writes the same ones again.
    made = digitize(await blobs.get(sha256), max_pixels)
    web, thumb = await asyncio.gather(blobs.put(made.web), blobs.put(made.thumb))
    return Reading(
        text=made.text,
        decoder=made.decoder,
        width=made.width,
        height=made.height,
        phash=made.phash,
        web=bytes.fromhex(web),
        thumb=bytes.fromhex(thumb),
    )


@dataclass(frozen=True, slots=True)
class Digitizing:
    """Images: read in a process of their own; then tied to their acta."""

    decoders: Decoders
    given: Given

    async def prepare(self, message: Message) -> tuple[ImageReceived, Reading]:
        received = read_body(message, ImageReceived)
        # Includes the wait for a free process: this is the time that an image waits for its reading.
        with observe.DIGITIZE_SECONDS.time():
            return received, await self.decoders.decode(received.sha256)

    async def apply(self, connection: Connection, message: Message, prepared: tuple[ImageReceived, Reading]) -> None:  # noqa: ARG002
        received, reading = prepared
        await pipeline.digitized(connection, received, reading, self.given)


@dataclass(frozen=True, slots=True)
class Validating:
    """What people did: compare captures, compare identities."""

    given: Given

    async def prepare(self, message: Message) -> ActaTouched | ImageNamed:
        return read_body(message, ActaTouched, ImageNamed)

    async def apply(self, connection: Connection, message: Message, prepared: ActaTouched | ImageNamed) -> None:  # noqa: ARG002
        match prepared:
            case ActaTouched():
                await pipeline.touched(connection, prepared, self.given)
            case ImageNamed():
                await pipeline.named(connection, prepared, self.given)


def lines(settings: Settings, decoders: Decoders) -> list[Line[Any]]:
    # All workers are in the same two groups, and share their messages.
    key = settings.qr_key.get_secret_value().encode() if settings.qr_key else None
    given = Given(now=now, chance=random.SystemRandom().random, qr_key=key)
    return [
        Line(Topic.IMAGES, "digitize", Digitizing(decoders, given), settings.attempts, 2 * settings.decoders),
        Line(Topic.ENTRIES, "validate", Validating(given), settings.attempts, ENTRIES_AT_ONCE),
    ]


async def work_until_stopped(settings: Settings) -> None:
    stop = stop_on_signals()
    decoders = Decoders(settings.decoders, settings.blobs_url, settings.image_max_pixels, settings.s3)
    ready = observe.Readiness()
    port = settings.worker_metrics_port
    try:
        async with (
            embedded.database(settings) as urls,
            observe.serving_probes(settings.host, port, health=ready.sentence, ready=ready.sentence),
        ):
            # The probes answer by now: a database that is away makes this worker not ready, and not dead.
            pool = await open_pool(urls.app, connections=16, by_key=True)
            await check_migrations(pool)
            bus = open_bus(settings, urls.app)
            blobs = Blobs.open(settings.blobs_url, s3=settings.s3)
            async with asyncio.TaskGroup() as parts:
                parts.create_task(arrivals.keep(bus, pool, stop))
                parts.create_task(run(bus, pool, lines(settings, decoders), stop=stop, blobs=blobs, ready=ready))
            # In this order: handlers have ended, so acknowledgements are in; then the bus, then the database.
            await bus.close()
            await pool.close()
    finally:
        decoders.close()


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0 if it was asked to stop; 2, with one sentence, if it cannot begin."""
    Parser(prog="prep worker", description="Los trabajadores de digitalización y validación.").parse_args(argv)
    observe.start_log("worker")
    try:
        uvloop.run(work_until_stopped(read_settings()))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)
