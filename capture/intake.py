"""The first story: an image comes in and is safe, and its sender holds a receipt.

Read `Intake.receive` from top to bottom; its steps call the rest. Before each step a comment says how things stand if
the process stops there. Until the receipt is in the sender's hands, the sender keeps the image and sends it again under
the same sequence number. So every step may meet the rests of an earlier try, and goes on from them.
No step waits for Postgres, unless Postgres is the bus.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from capture.auth import Devices
from capture.inspection import Inspection
from capture.receipts import Receipts
from prep import observe
from prep.blobs import Arriving, Blobs
from prep.bus.contract import Bus
from prep.domain.night import Night
from prep.errors import Code, Rejected, Unavailable
from prep.messages import ImageReceived, Topic
from prep.store.tonight import Tonight
from prep.upload import Announced, Upload, read_headers

log: Final = logging.getLogger(__name__)

SILENCE_SECONDS: Final = 30.0
"""How long a sender may pause inside a body."""
PUBLISH_SECONDS: Final = 15.0
"""How long the bus may take before the sender is told to try later."""
MAX_JUMP: Final = 5_000
"""How far a number may be above all others of its device. So a counter that became a clock is seen at once."""


@dataclass(frozen=True, slots=True)
class Intake:
    """The rooms an image passes on its way in."""

    devices: Devices
    blobs: Blobs
    receipts: Receipts
    bus: Bus
    clock: Callable[[], datetime]
    inspection: Inspection
    tonight: Tonight
    max_bytes: int
    highest: dict[str, int] = field(default_factory=dict)
    """The highest number of each device that this process knows. Another process may know a higher one."""

    async def receive(self, headers: Mapping[str, str], body: AsyncIterator[bytes]) -> tuple[bytes, bool]:
        """Take one upload in; returns the receipt, and whether it was made now.

        Raises Rejected (4xx), Unavailable (503) or blobs.Full (507), each with its sentence; then it announces nothing.
        """
        begun = time.perf_counter()

        # The server has read the headers alone: a device that is not enrolled gets no further.
        announced, night = await self.admit(headers)
        upload = announced.upload
        self._check_length(headers)

        async with self.blobs.arriving() as arriving:
            # The bytes go to a file that nobody else knows; it is gone when this block ends, or swept after a kill.
            digest = await self._take_in(arriving, body)

            # The store still keeps none of it, and no code has looked into the bytes.
            _check_digest(upload, digest, arriving.size)
            format_ = await self.inspection.format_of(arriving.path, size=arriving.size, device=upload.device)

            # It is the one that was announced, and an image, or nobody can tell within bounds that it is none.
            await self.blobs.put_file(arriving.path, digest)

        # The bytes are durable under their digest; no number, no message and no receipt points at them. A device that
        # was revoked while its image came in gets no receipt.
        await self.devices.check(upload.device, announced.signature, announced.signed)
        await self._take_number(upload)

        # The number is this image's for ever; the sender, with no receipt, sends it again under the same number.
        received_at = self.clock()
        await self._announce(upload, arriving.size, format_, received_at)

        # Workers will process it, whether or not its sender comes back; announcing it again is harmless.
        receipt, made = await self.receipts.issue(
            digest, size=arriving.size, at=received_at, night=night, remarks=self._remarks()
        )

        # The promise is durable and already being kept; a sender of this image gets these same bytes.
        observe.IMAGES_RECEIVED.labels(upload.origen).inc()
        observe.IMAGE_BYTES.inc(arriving.size)
        observe.RECEIPTS.labels("nuevo" if made else "repetido").inc()
        observe.INTAKE_SECONDS.observe(time.perf_counter() - begun)
        return receipt, made

    async def admit(self, headers: Mapping[str, str]) -> tuple[Announced, Night]:
        """What the headers announce, if an enrolled device signed them, the night is open and its number is no leap."""
        announced = read_headers(headers)
        await self.devices.check(announced.upload.device, announced.signature, announced.signed)
        night = await self.tonight.check_open()
        await self._check_jump(announced.upload)
        return announced, night

    async def check_number(self, upload: Upload) -> None:
        """Raises Rejected (409) if the device has used the number for another image. It takes no number."""
        kept = await self.blobs.find(f"{_numbers_of(upload.device)}/{upload.sequence}")
        if kept is not None and kept != upload.sha256.encode():
            raise _number_used(upload)

    def _remarks(self) -> list[str]:
        """What the reader of a receipt that is signed now must know besides."""
        closed = ["después del cierre"] if self.tonight.closed_at is not None else []
        alarm = observe.clock_alarm()
        return closed if alarm is None else [*closed, alarm]

    async def ready(self) -> None:
        """Whether an image could come in now. Raises Unavailable if the store or the bus does not answer, and if no
        night is known.
        """
        _ = self.tonight.night
        await self.blobs.find("salud")
        await self.bus.lag(Topic.IMAGES, "digitize")

    def _check_length(self, headers: Mapping[str, str]) -> None:
        length = headers.get("content-length")
        if length is None:
            raise Rejected("falta el encabezado Content-Length", code=Code.LENGTH_MISSING)
        self.read_length(length, "Content-Length")

    def read_length(self, text: str, header: str) -> int:
        """The bytes of an image, as that header announces them. Raises Rejected if it is none, or over the limit."""
        if not text.isascii() or not text.isdigit():
            sentence = f"encabezado {header}: se espera el número de bytes de la imagen"
            raise Rejected(sentence, code=Code.HEADER_WRONG)
        # A text of very many digits is no number that Python reads.
        if len(text.lstrip("0")) > len(str(self.max_bytes)) or int(text) > self.max_bytes:
            raise self._too_large()
        if int(text) == 0:
            raise Rejected("la imagen está vacía", code=Code.IMAGE_EMPTY)
        return int(text)

    def _too_large(self) -> Rejected:
        return Rejected(f"la imagen pasa del límite de {self.max_bytes} bytes", code=Code.IMAGE_TOO_LARGE)

    async def _check_jump(self, upload: Upload) -> None:
        """Refuse a number far above those that the device has used. The first number of a device may be any."""
        highest = self.highest.get(upload.device)
        # The store is asked only at the first image and at a jump: listing costs time.
        if highest is None or upload.sequence > highest + MAX_JUMP:
            names = await self.blobs.names_in(_numbers_of(upload.device))
            highest = max((int(name) for name in names), default=None)
        if highest is None:
            return
        self.highest[upload.device] = max(highest, self.highest.get(upload.device, 0))
        if upload.sequence > highest + MAX_JUMP:
            sentence = (
                f"el dispositivo {upload.device} va en el número {highest}: "
                f"se espera el {highest + 1}, no el {upload.sequence}"
            )
            raise Rejected(sentence, code=Code.NUMBER_JUMPS)

    async def _take_in(self, arriving: Arriving, body: AsyncIterator[bytes]) -> str:
        """Everything the sender sends; its digest. Stops at the limit, and at a sender who falls silent."""
        async with aclosing(awaited(body)) as chunks:
            async for chunk in chunks:
                if arriving.size + len(chunk) > self.max_bytes:
                    raise self._too_large()
                await arriving.write(chunk)
        return await arriving.end()

    async def _take_number(self, upload: Upload) -> None:
        """One number, one image: the first image that comes under a device's number keeps it."""
        name = f"{_numbers_of(upload.device)}/{upload.sequence}"
        kept, _ = await self.blobs.record(name, upload.sha256.encode())
        if kept != upload.sha256.encode():
            raise _number_used(upload)
        self.highest[upload.device] = max(upload.sequence, self.highest.get(upload.device, 0))

    async def _announce(self, upload: Upload, size: int, format_: str, at: datetime) -> None:
        received = ImageReceived.of(upload, size=size, format_=format_, at=at)
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self.bus.publish([received.message()])
        except TimeoutError as error:
            raise Unavailable("el bus no responde; intente de nuevo") from error


def _numbers_of(device: str) -> str:
    """The folder of the records of the numbers that a device has used."""
    return f"secuencias/{device}"


def _number_used(upload: Upload) -> Rejected:
    sentence = f"el dispositivo {upload.device} ya usó el número {upload.sequence} para otra imagen"
    return Rejected(sentence, code=Code.NUMBER_USED)


async def awaited(body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The chunks of a body, each within `SILENCE_SECONDS`."""
    while True:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                chunk = await anext(body)
        except StopAsyncIteration:
            return
        except TimeoutError:
            sentence = "la imagen dejó de llegar; envíela de nuevo"
            raise Rejected(sentence, code=Code.UPLOAD_STOPPED) from None
        yield chunk


def _check_digest(upload: Upload, digest: str, size: int) -> None:
    if size == 0:
        raise Rejected("la imagen está vacía", code=Code.IMAGE_EMPTY)
    if digest != upload.sha256:
        sentence = f"lo recibido no es lo anunciado: su SHA-256 es {digest}"
        raise Rejected(sentence, code=Code.SHA256_DIFFERS)
