"""The worker process: the pipeline's handlers on the bus, the outbox relay, the gauges.

Decoding runs in processes of its own, never on the loop that speaks to the bus; an image that kills its decoder costs
one counted attempt of one message.
"""

import asyncio
import random
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Final

import uvloop

from prep import observe, pipeline
from prep.blobs import Blobs
from prep.bus.embedded import EmbeddedBus
from prep.errors import Parked
from prep.messages import ActaTouched, ImageNamed, ImageReceived, Message, Topic
from prep.pipeline import Given
from prep.scan.digitize import Digitized, digitize
from prep.settings import Settings, now, read_settings
from prep.store import embedded
from prep.store.database import Connection, open_pool
from prep.store.pipeline import Reading
from prep.worker import Line, run, stop_on_signals

ENTRIES_AT_ONCE: Final = 8


class Decoders:
    """A pool of decoding processes that outlives the death of any of them."""

    def __init__(self, processes: int, max_pixels: int) -> None:
        self._processes = processes
        self._max_pixels = max_pixels
        self._pool = ProcessPoolExecutor(processes)

    async def decode(self, image: bytes) -> Digitized:
        """Raises Rejected or Parked where it cannot be decoded, BrokenProcessPool where it killed its process."""
        pool = self._pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, digitize, image, self._max_pixels)
        except BrokenProcessPool:
            if pool is self._pool:  # the first to notice replaces it
                self._pool = ProcessPoolExecutor(self._processes)
            raise

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Digitizing:
    """Images: fetch, decode, keep the derivatives; then tie the image to its acta."""

    blobs: Blobs
    decoders: Decoders
    given: Given

    async def prepare(self, message: Message) -> tuple[ImageReceived, Reading]:
        received = ImageReceived.model_validate_json(message.body)
        image = await self.blobs.get(received.sha256)
        with observe.DIGITIZE_SECONDS.time():
            made = await self.decoders.decode(image)
        web, thumb = await self.blobs.put(made.web), await self.blobs.put(made.thumb)
        reading = Reading(
            text=made.text,
            decoder=made.decoder,
            width=made.width,
            height=made.height,
            phash=made.phash,
            web=bytes.fromhex(web),
            thumb=bytes.fromhex(thumb),
        )
        return received, reading

    async def apply(self, connection: Connection, message: Message, prepared: tuple[ImageReceived, Reading]) -> None:  # noqa: ARG002
        received, reading = prepared
        await pipeline.digitized(connection, received, reading, self.given)


@dataclass(frozen=True, slots=True)
class Validating:
    """What people did: compare captures, compare identities."""

    given: Given

    async def prepare(self, message: Message) -> ActaTouched | ImageNamed:
        what, _, _ = message.key.partition(":")
        match what:
            case "acta":
                return ActaTouched.model_validate_json(message.body)
            case "image":
                return ImageNamed.model_validate_json(message.body)
            case _:
                raise Parked(f"mensaje de una clase desconocida: {message.key}")

    async def apply(self, connection: Connection, message: Message, prepared: ActaTouched | ImageNamed) -> None:  # noqa: ARG002
        match prepared:
            case ActaTouched():
                await pipeline.touched(connection, prepared, self.given)
            case ImageNamed():
                await pipeline.named(connection, prepared, self.given)


def lines(settings: Settings, blobs: Blobs, decoders: Decoders) -> list[Line[Any]]:
    key = settings.qr_key.get_secret_value().encode() if settings.qr_key else None
    given = Given(now=now, chance=random.SystemRandom().random, qr_key=key)
    return [
        Line(Topic.IMAGES, "digitize", Digitizing(blobs, decoders, given), settings.attempts, settings.decoders + 1),
        Line(Topic.ENTRIES, "validate", Validating(given), settings.attempts, ENTRIES_AT_ONCE),
    ]


async def work_until_stopped(settings: Settings) -> None:
    stop = stop_on_signals()
    decoders = Decoders(settings.decoders, settings.image_max_pixels)
    try:
        async with embedded.database(settings) as urls:
            pool = await open_pool(urls.app, connections=16)
            bus = EmbeddedBus(urls.app)
            await observe.serve_metrics(settings.host, settings.worker_metrics_port, lambda: None)
            await run(bus, pool, lines(settings, Blobs.open(settings.blobs_url), decoders), stop=stop)
            await bus.close()
            await pool.close()
    finally:
        decoders.close()


def main() -> None:
    observe.start_log("worker")
    uvloop.run(work_until_stopped(read_settings()))


if __name__ == "__main__":
    main()
