"""The processes that decode images: each fetches an image, reads its sticker and keeps its derivatives.

A process imports this module and nothing of the worker: it needs no database, no bus and no settings, and it starts in
a third of the time.
"""

import asyncio
import ctypes
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from prep.blobs import AWS, Blobs
from prep.errors import Parked, Rejected
from prep.object_store import S3Access
from prep.scan.bounded import MIB, Bounds, Lane, OutOfBounds, TurnedAway
from prep.scan.digitize import digitize
from prep.scan.oddities import Oddity
from prep.scan.reading import Reading, Unread

log: Final = logging.getLogger(__name__)
T = TypeVar("T")

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
