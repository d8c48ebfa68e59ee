"""The first story: an image comes in and is safe, and its sender holds a receipt.

Read `Intake.receive` from top to bottom; everything below it is what its steps call. Before each step a comment says
what is true if the process stops there. Until the receipt is in the sender's hands the sender keeps the image and sends
it again, under the same sequence number, so every step may meet what an earlier try left behind and goes on from it.
Nothing here waits for Postgres, unless Postgres is the bus.
"""

import asyncio
import logging
import re
import time
from base64 import b64decode
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NoReturn, TypeVar
from urllib.parse import unquote

from capture.auth import Devices
from capture.inspection import Inspection
from capture.receipts import Receipts
from prep import observe
from prep.blobs import Arriving, Blobs
from prep.bus.contract import Bus
from prep.domain.catalog import read_identity
from prep.errors import Rejected, Unavailable
from prep.messages import SHA256_PATTERN, Digitalizacion, ImageReceived, Origen, TipoDocumento

log: Final = logging.getLogger(__name__)

SILENCE_SECONDS: Final = 30.0
"""How long a sender may pause inside a body."""
PUBLISH_SECONDS: Final = 15.0
"""How long the bus may take before the sender is told to try later."""
MAX_SEQUENCE: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Intake:
    """The rooms an image passes on its way in."""

    devices: Devices
    blobs: Blobs
    receipts: Receipts
    bus: Bus
    clock: Callable[[], datetime]
    inspection: Inspection
    max_bytes: int

    async def receive(self, headers: Mapping[str, str], body: AsyncIterator[bytes]) -> tuple[bytes, bool]:
        """Take one upload in; returns the receipt, and whether it was made now.

        Raises Rejected (4xx), Unavailable (503) or blobs.Full (507), each with its sentence; nothing is announced then.
        """
        begun = time.perf_counter()

        # Nothing has been read but headers: whoever is not enrolled gets no further.
        upload = read_headers(headers)
        await self.devices.check(upload.device, upload.signature, upload.signed)
        self._check_length(headers)

        async with self.blobs.arriving() as arriving:
            # What comes goes to a file nobody knows of; it is gone when this block ends, or swept after a kill.
            digest = await self._take_in(arriving, body)

            # Still nothing is kept, and nothing has looked into the bytes.
            _check_digest(upload, digest, arriving.size)
            format_ = await self.inspection.format_of(arriving.path, size=arriving.size, device=upload.device)

            # It is the one that was announced, and an image, or nobody can tell within bounds that it is none.
            await self.blobs.put_file(arriving.path, digest)

        # The bytes are durable under their digest; no number, no message and no receipt points at them.
        await self._take_number(upload)

        # The number is this image's for ever; the sender, with no receipt, sends it again under the same number.
        received_at = self.clock()
        await self._announce(upload, arriving.size, format_, received_at)

        # Workers will process it, whether or not its sender comes back; announcing it again is harmless.
        receipt, made = await self.receipts.issue(digest, size=arriving.size, at=received_at)

        # The promise is durable and already being kept; whoever sends this image again gets these same bytes.
        observe.IMAGES_RECEIVED.labels(upload.origen).inc()
        observe.IMAGE_BYTES.inc(arriving.size)
        observe.RECEIPTS.labels("nuevo" if made else "repetido").inc()
        observe.INTAKE_SECONDS.observe(time.perf_counter() - begun)
        return receipt, made

    def _check_length(self, headers: Mapping[str, str]) -> None:
        length = headers.get("content-length")
        if length is None:
            raise Rejected("falta el encabezado Content-Length", status=411)
        if not length.isascii() or not length.isdigit():
            _bad("Content-Length", "se espera el número de bytes de la imagen")
        if int(length) > self.max_bytes:
            raise self._too_large()
        if int(length) == 0:
            raise Rejected("la imagen está vacía")

    def _too_large(self) -> Rejected:
        return Rejected(f"la imagen pasa del límite de {self.max_bytes} bytes", status=413)

    async def _take_in(self, arriving: Arriving, body: AsyncIterator[bytes]) -> str:
        """Everything the sender sends; its digest. Stops at the limit, and at a sender who falls silent."""
        async with aclosing(_awaited(body)) as chunks:
            async for chunk in chunks:
                if arriving.size + len(chunk) > self.max_bytes:
                    raise self._too_large()
                await arriving.write(chunk)
        return await arriving.end()

    async def _take_number(self, upload: "Upload") -> None:
        """One number, one image: the first image that comes under a device's number keeps it."""
        name = f"secuencias/{upload.device}/{upload.sequence}"
        kept, _ = await self.blobs.record(name, upload.sha256.encode())
        if kept != upload.sha256.encode():
            sentence = f"el dispositivo {upload.device} ya usó el número {upload.sequence} para otra imagen"
            raise Rejected(sentence, status=409)

    async def _announce(self, upload: "Upload", size: int, format_: str, at: datetime) -> None:
        received = ImageReceived(
            sha256=upload.sha256,
            bytes=size,
            format=format_,
            device=upload.device,
            sequence=upload.sequence,
            origen=upload.origen,
            digitalizacion=upload.digitalizacion,
            traslado=upload.traslado,
            tipo_documento=upload.tipo_documento,
            acopio_at=upload.acopio_at,
            acta_hint=upload.acta_hint,
            received_at=at,
        )
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self.bus.publish([received.message()])
        except TimeoutError as error:
            raise Unavailable("el bus no responde; intente de nuevo") from error


async def _awaited(body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The chunks of a body, each within `SILENCE_SECONDS`."""
    while True:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                chunk = await anext(body)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Rejected("la imagen dejó de llegar; envíela de nuevo", status=408) from None
        yield chunk


def _check_digest(upload: "Upload", digest: str, size: int) -> None:
    if size == 0:
        raise Rejected("la imagen está vacía")
    if digest != upload.sha256:
        raise Rejected(f"lo recibido no es lo anunciado: su SHA-256 es {digest}")


# What the headers say.


@dataclass(frozen=True, slots=True)
class Upload:
    """What a device says of the image it sends, checked for form; `signature` is checked against its key later."""

    device: str
    sequence: int
    sha256: str
    origen: Origen
    digitalizacion: Digitalizacion
    acopio_at: datetime
    acta_hint: str
    """Canonical QR text; '' where the device does not know."""
    traslado: str
    tipo_documento: TipoDocumento
    signature: bytes
    signed: bytes
    """The text that was signed."""


REQUIRED: Final = ("Device", "Sequence", "SHA256", "Origin", "Kind", "Acopio")
OPTIONAL: Final = ("Acta", "Traslado", "Document")
SIGNED_TITLE: Final = "PREP-IMAGE-V1"


def read_headers(headers: Mapping[str, str]) -> Upload:
    """The X-PREP-* headers (names in any case). Raises Rejected (400) that names the one that is missing or wrong."""
    said = {name: _header(headers, name, required=True) for name in (*REQUIRED, "Signature")}
    said |= {name: _header(headers, name, required=False) for name in OPTIONAL}
    signed = "\n".join((SIGNED_TITLE, *(said[name] for name in (*REQUIRED, *OPTIONAL))))
    try:
        signature = b64decode(said["Signature"], validate=True)
    except ValueError:
        signature = b""  # as wrong as any other: 401 after the device is looked up
    return Upload(
        device=_matching("Device", said["Device"], "[A-Za-z0-9_-]{1,40}", "de 1 a 40 letras, números, «-» o «_»"),
        sequence=_sequence(said["Sequence"]),
        sha256=_matching("SHA256", said["SHA256"].lower(), SHA256_PATTERN, "64 dígitos hexadecimales"),
        origen=_one_of("Origin", said["Origin"], Origen),
        digitalizacion=_one_of("Kind", said["Kind"], Digitalizacion),
        acopio_at=_moment(said["Acopio"]),
        acta_hint=_hint(said["Acta"]),
        traslado=_matching("Traslado", said["Traslado"], r"(?!.*(.).*\1)[DFI]{0,3}", "letras D, F, I"),
        tipo_documento=_one_of("Document", said["Document"] or TipoDocumento.ACTA_PREP, TipoDocumento),
        signature=signature,
        signed=signed.encode(),
    )


def _header(headers: Mapping[str, str], name: str, *, required: bool) -> str:
    """The value of X-PREP-`name`, percent-decoded; '' where it is absent and may be."""
    raw = headers.get(f"x-prep-{name.lower()}", "")
    if required and not raw:
        raise Rejected(f"falta el encabezado X-PREP-{name}", status=400)
    try:
        value = unquote(raw, errors="strict")
    except UnicodeDecodeError:
        _bad(name, "se espera UTF-8 codificado con %")
    if not raw.isascii() or not (value.isprintable() or not value):
        _bad(name, "se esperan caracteres imprimibles, codificados con % los que no son ASCII")
    return value


def _bad(name: str, expected: str) -> NoReturn:
    title = name if name == "Content-Length" else f"X-PREP-{name}"
    raise Rejected(f"encabezado {title}: {expected}", status=400)


def _matching(name: str, value: str, pattern: str, expected: str) -> str:
    if re.fullmatch(pattern, value) is None:
        _bad(name, f"se esperan {expected}")
    return value


def _sequence(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > len(str(MAX_SEQUENCE)):
        _bad("Sequence", "se espera un entero desde 1")
    if not 1 <= int(value) <= MAX_SEQUENCE:
        _bad("Sequence", "se espera un entero desde 1")
    return int(value)


Choice = TypeVar("Choice", bound=StrEnum)


def _one_of(name: str, value: str, choices: type[Choice]) -> Choice:
    try:
        return choices(value)
    except ValueError:
        _bad(name, f"se espera uno de: {', '.join(choices)}")


def _moment(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    _bad("Acopio", "se espera fecha y hora ISO 8601 con su desfase, como 2024-06-02T18:30:00-06:00")


def _hint(value: str) -> str:
    if not value:
        return ""
    read = read_identity(value)
    if read is None:
        _bad("Acta", "no es el texto de un QR de acta")
    return read[0].text
