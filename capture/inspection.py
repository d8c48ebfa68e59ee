"""The look into an upload before it is taken: never in this process, and never for long.

A look may end without an answer: its process died or passed its bounds, or too many looks wait. Then the image is taken
as the format that its first bytes announce. The worker looks again, and if that fails too, people look.
"""

import asyncio
import logging
from pathlib import Path
from typing import Final

from prep.scan import pictures
from prep.scan.bounded import MIB, Bounds, Lane, OutOfBounds
from prep.scan.header import START, format_of

log: Final = logging.getLogger(__name__)

QUICK: Final = Bounds(memory=256 * MIB, cpu=2, seconds=8)
SLOW: Final = Bounds(memory=512 * MIB, cpu=3, seconds=8)
WAIT_SECONDS: Final = 9.0
"""How long an upload waits for its look, turn and all. Its sender waits for the receipt meanwhile."""
SLOW_FORMATS: Final = frozenset({"pdf", "tiff"})
SLOW_BYTES: Final = 8_000_000


class Inspection:
    """Two processes for photos, and one for files that may take longer. The turns go round the devices."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._quick = Lane(2, QUICK, pictures.prepare)
        self._slow = Lane(1, SLOW, pictures.prepare)

    async def format_of(self, path: Path, *, size: int, device: str) -> str:
        """The format of the image in the file. Raises Rejected (413, 415, 422) if it is not taken."""
        # The time for the turn and the look is one: the sender waits for the receipt all this while.
        announced = format_of(await asyncio.to_thread(_first_bytes, path))
        lane = self._slow if announced in SLOW_FORMATS or size > SLOW_BYTES else self._quick
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await lane.do(pictures.examine, path, self._max_pixels, sender=device)
        except (OutOfBounds, TimeoutError) as error:
            log.warning("taken unexamined", extra={"data": {"device": device, "bytes": size, "error": repr(error)}})
            return announced

    def close(self) -> None:
        self._quick.close()
        self._slow.close()


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(START)
