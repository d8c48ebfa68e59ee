"""An image comes in by pieces (tus 1.0: core, creation, checksum, expiration) and then goes the way of every image.

1. `create`: the signed headers of `Intake` announce the image, and its length; the answer is the path of the upload.
   The path follows from the signature, so a device that lost the answer creates the same upload again and goes on from
   there.
2. `add_piece`: the next bytes. A piece is a record of its own in the store of images, under the position at which it
   begins; it is durable before its end is told. So any server of the same store takes the next piece, a crash between
   two pieces loses nothing, and of two servers that take a piece for the same position the first one wins.
3. The last piece is never kept here: with those before it, it goes through `Intake.receive` in one stream. What
   answers is the receipt. If we stop before that, the sender sends the last piece again.
4. A mark says for ever that the upload came to its end; its pieces are removed.

An upload that is not finished after `LASTS` is removed. A device has at most `OPEN_AT_ONCE` uploads: its oldest one
makes room.
"""

import asyncio
import hashlib
import json
import logging
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from capture.intake import Intake, awaited
from prep.blobs import Arriving, Blobs
from prep.errors import Code, PrepError, Rejected
from prep.upload import Announced, read_headers

log: Final = logging.getLogger(__name__)

VERSION: Final = "1.0.0"
"""The version of tus that is spoken."""
EXTENSIONS: Final = ("creation", "checksum", "expiration")
ALGORITHMS: Final = ("sha256", "sha1")
"""Checksums of a piece; tus asks for sha1. They find a piece that was damaged on its way, and prove nothing."""
LASTS: Final = timedelta(hours=24)
"""How long an upload may take. A night is no longer."""
OPEN_AT_ONCE: Final = 20
SMALLEST_PIECE: Final = 4096
"""Bytes of every piece but the last: it bounds the records of one upload."""
SWEEP_SECONDS: Final = 1800.0
PIECE_TYPE: Final = "application/offset+octet-stream"
UPLOAD_PATTERN: Final = "^[0-9a-f]{32}$"
DEVICE_PATTERN: Final = "^[A-Za-z0-9_-]{1,40}$"
_ROOT: Final = "envios"
_ENDED: Final = "enviados"
_ANNOUNCED: Final = "envio"
"""The ending of the record that holds the announcement. That of a piece is its position."""


class LineBroke(Exception):
    """The sender left in the middle of a piece."""


@dataclass(frozen=True, slots=True)
class Name:
    """The name of an upload: its device, and what follows from its signature."""

    device: str
    upload: str

    @property
    def path(self) -> str:
        """The path at which it is spoken with."""
        return f"/v1/uploads/{self.device}/{self.upload}"

    @property
    def ended(self) -> str:
        """The record that says that its image has a receipt."""
        return f"{_ENDED}/{self.device}/{self.upload}"

    def record(self, ending: str | int) -> str:
        said = ending if isinstance(ending, str) else f"{ending:09}"
        return f"{_ROOT}/{self.device}/{self.upload}.{said}"

    @classmethod
    def of(cls, announced: Announced) -> "Name":
        digest = hashlib.sha256(announced.signed + b"\n" + announced.signature).hexdigest()
        return cls(announced.upload.device, digest[:32])


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the record of an announcement holds."""

    headers: Mapping[str, str]
    length: int
    created: datetime

    @property
    def expires(self) -> datetime:
        return self.created + LASTS

    def as_bytes(self) -> bytes:
        said = {"encabezados": self.headers, "bytes": self.length, "creado": self.created.isoformat()}
        return json.dumps(said, sort_keys=True).encode()

    @classmethod
    def of(cls, content: bytes) -> "Announcement":
        said: dict[str, Any] = json.loads(content)
        return cls(said["encabezados"], said["bytes"], datetime.fromisoformat(said["creado"]))


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How far an upload has come. `receipt` is there once all of it has."""

    offset: int
    length: int
    expires: datetime | None = None
    receipt: bytes | None = None


@dataclass(frozen=True, slots=True)
class Uploads:
    """Uploads by pieces, over the intake that takes every image."""

    intake: Intake
    blobs: Blobs
    clock: Callable[[], datetime]

    async def create(self, headers: Mapping[str, str]) -> tuple[Name, datetime]:
        """Open the upload that these headers announce, or find it; its name, and when it runs out.

        Raises Rejected for everything that the headers alone show: also a number that is another image's.
        """
        _check_version(headers)
        announced, _ = await self.intake.admit(headers)
        length = self._length(headers)
        await self.intake.check_number(announced.upload)
        name = Name.of(announced)
        kept = {each: value for each, value in headers.items() if each.startswith("x-prep-")}
        opened = Announcement(kept, length, self.clock())
        if await self.blobs.find(name.ended) is not None:
            return name, opened.expires

        # The store has no record of it yet. If we stop behind this line, the device finds the upload, as far as it had
        # come.
        before = await self._find(name)
        if before is None:
            content, made = await self.blobs.record(name.record(_ANNOUNCED), opened.as_bytes())
            before = Announcement.of(content)
            if made:
                await self._make_room(name)
        if before.length != length:
            sentence = f"encabezado Upload-Length: este envío se anunció con {before.length} bytes"
            raise Rejected(sentence, code=Code.HEADER_WRONG)
        return name, before.expires

    async def progress(self, name: Name) -> UploadProgress:
        """How far it has come. Raises Rejected (404) if there is no such upload, or it ran out."""
        ended = await self.blobs.find(name.ended)
        if ended is not None:
            sha256, _, length = ended.decode().partition(" ")
            return UploadProgress(int(length), int(length), receipt=await self.intake.receipts.find(sha256))
        opened = await self._find(name)
        if opened is None:
            raise Rejected("no hay un envío así, o ya venció; comience de nuevo", code=Code.UPLOAD_UNKNOWN)
        _, offset = await self._pieces(name)
        return UploadProgress(offset, opened.length, opened.expires)

    async def add_piece(self, name: Name, headers: Mapping[str, str], body: AsyncIterator[bytes]) -> UploadProgress:
        """Take the next piece; with the last one the image goes through `Intake`, and the receipt is in the answer.

        Raises Rejected, Unavailable or blobs.Full; the pieces before stay.
        """
        _check_version(headers)
        if headers.get("content-type", "").partition(";")[0].strip().lower() != PIECE_TYPE:
            raise Rejected(f"encabezado Content-Type: se espera {PIECE_TYPE}", code=Code.PIECE_TYPE)
        stands = await self.progress(name)
        at = _offset(headers)
        if at != stands.offset:
            raise Rejected(f"el envío va en el byte {stands.offset}, no en el {at}", code=Code.OFFSET_WRONG)
        if stands.receipt is not None:
            return stands
        opened = await self._find(name)
        if opened is None:  # it ran out meanwhile
            raise Rejected("no hay un envío así, o ya venció; comience de nuevo", code=Code.UPLOAD_UNKNOWN)

        # A device that was revoked gets no further. The night is open: else there would be no upload.
        announced = read_headers(opened.headers)
        await self.intake.devices.check(announced.upload.device, announced.signature, announced.signed)
        checksum = _Checksum.of(headers)
        async with self.blobs.arriving() as arriving:
            # The bytes go to a file that nobody else knows; it is gone when this block ends.
            cut = await self._take_in(arriving, body, room=opened.length - at, checksum=checksum)
            whole = at + arriving.size == opened.length
            if checksum is not None and (cut is not None or not checksum.is_right()):
                # Half of a piece has no checksum, so it cannot be told from a damaged one.
                raise cut or Rejected("el trozo llegó alterado; envíelo de nuevo", code=Code.CHECKSUM_DIFFERS)
            if not whole and 0 < arriving.size < SMALLEST_PIECE:
                raise cut or Rejected(
                    f"un trozo lleva al menos {SMALLEST_PIECE} bytes, menos el último", code=Code.PIECE_SMALL
                )
            if not whole or cut is not None:
                # Kept under its position, whole or not at all: the chain of pieces has no hole and no overlap.
                await self._keep_piece(name, at, arriving)
                if cut is not None:
                    raise cut
                return UploadProgress(at + arriving.size, opened.length, opened.expires)

            # All bytes are here: the pieces before in the store, the last one in the file.
            receipt = await self._finish(name, opened, arriving.path)
        return UploadProgress(opened.length, opened.length, receipt=receipt)

    async def keep_swept(self) -> None:
        """Remove what ran out, for ever; runs beside intake."""
        while True:
            try:
                await self.sweep()
            except PrepError as error:
                log.warning("uploads not swept", extra={"data": {"error": error.sentence}})
            except Exception:
                log.exception("uploads not swept")  # a defect here must not stop images from coming in
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Remove every upload that ran out, and pieces without an announcement."""
        by_upload: dict[Name, list[str]] = {}
        for record in await self.blobs.sizes_in(_ROOT):
            _, device, file = record.split("/")
            by_upload.setdefault(Name(device, file.partition(".")[0]), []).append(record)
        for name, records in by_upload.items():
            if await self._find(name) is None:
                await self.blobs.remove(records)

    def _length(self, headers: Mapping[str, str]) -> int:
        length = headers.get("upload-length")
        if length is None:
            raise Rejected("falta el encabezado Upload-Length", code=Code.LENGTH_MISSING)
        return self.intake.read_length(length, "Upload-Length")

    async def _find(self, name: Name) -> Announcement | None:
        """The upload as it was announced. One that ran out is removed."""
        content = await self.blobs.find(name.record(_ANNOUNCED))
        if content is None:
            return None
        opened = Announcement.of(content)
        if self.clock() < opened.expires:
            return opened
        await self._remove(name)
        return None

    async def _pieces(self, name: Name) -> tuple[Sequence[str], int]:
        """The records of its pieces in order, from the first byte on without a hole, and where they end."""
        sizes = await self.blobs.sizes_in(f"{_ROOT}/{name.device}")
        chain, offset = [], 0
        while size := sizes.get(name.record(offset), 0):
            chain.append(name.record(offset))
            offset += size
        return chain, offset

    async def _take_in(
        self, arriving: Arriving, body: AsyncIterator[bytes], *, room: int, checksum: "_Checksum | None"
    ) -> Exception | None:
        """Everything that comes; the error if the line broke or fell silent: then the file has the bytes before."""
        cut: Exception | None = None
        try:
            async with aclosing(awaited(body)) as chunks:
                async for chunk in chunks:
                    _check_room(arriving.size + len(chunk), room)
                    if checksum is not None:
                        checksum.update(chunk)
                    await arriving.write(chunk)
        except LineBroke as error:
            cut = error
        except Rejected as error:
            if error.code is not Code.UPLOAD_STOPPED:
                raise
            cut = error
        await arriving.end()
        return cut

    async def _keep_piece(self, name: Name, at: int, arriving: Arriving) -> None:
        if arriving.size and not await self.blobs.record_file(name.record(at), arriving.path):
            raise Rejected("otro trozo llegó antes a esa posición", code=Code.OFFSET_WRONG)

    async def _finish(self, name: Name, opened: Announcement, last: Path) -> bytes:
        """The whole image through `Intake`. If it is refused for what it is, the upload is removed with its pieces."""
        pieces, _ = await self._pieces(name)
        headers = {**opened.headers, "content-length": str(opened.length)}
        try:
            receipt, _ = await self.intake.receive(headers, self._whole(pieces, last))
        except Rejected as error:
            if error.code not in _OF_THE_DEVICE:
                await self._remove(name)
            raise

        # The receipt is durable. If we stop here, the sender sends the last piece again and gets the same receipt.
        sha256 = json.loads(receipt)["acuse"]["sha256"]
        await self.blobs.record(name.ended, f"{sha256} {opened.length}".encode())

        # The mark answers from now on. If we stop here, the sweep removes the rest.
        await self._remove(name)
        return receipt

    async def _whole(self, pieces: Sequence[str], last: Path) -> AsyncIterator[bytes]:
        for piece in pieces:
            yield await self.blobs.find(piece) or b""  # if one is gone, the digest of the image is wrong
        yield await asyncio.to_thread(last.read_bytes)

    async def _make_room(self, name: Name) -> None:
        """The oldest uploads of the device go, if it has too many."""
        records = await self.blobs.names_in(f"{_ROOT}/{name.device}")
        others = [Name(name.device, each.partition(".")[0]) for each in records if each.endswith(f".{_ANNOUNCED}")]
        if len(others) <= OPEN_AT_ONCE:
            return
        ages = [(opened.created, other.upload) for other in others if (opened := await self._find(other)) is not None]
        for _, upload in sorted(ages)[: max(0, len(ages) - OPEN_AT_ONCE)]:
            await self._remove(Name(name.device, upload))

    async def _remove(self, name: Name) -> None:
        # The announcement first: without it the pieces belong to no upload, and are swept.
        records = await self.blobs.sizes_in(f"{_ROOT}/{name.device}")
        pieces = [each for each in records if each.startswith(name.record("")) and each != name.record(_ANNOUNCED)]
        await self.blobs.remove([name.record(_ANNOUNCED), *pieces])


_OF_THE_DEVICE: Final = frozenset({Code.DEVICE_UNKNOWN, Code.SIGNATURE_WRONG})
"""Refusals that say nothing against the bytes: they wait until the upload runs out."""


class _Checksum:
    """The checksum of a piece as it was announced, and as it comes."""

    def __init__(self, algorithm: str, announced: bytes) -> None:
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        self._announced = announced

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "_Checksum | None":
        said = headers.get("upload-checksum")
        if said is None:
            return None
        algorithm, _, text = said.strip().partition(" ")
        if algorithm not in ALGORITHMS:
            sentence = f"encabezado Upload-Checksum: se espera uno de: {', '.join(ALGORITHMS)}"
            raise Rejected(sentence, code=Code.HEADER_WRONG)
        try:
            return cls(algorithm, b64decode(text, validate=True))
        except ValueError:
            raise Rejected("encabezado Upload-Checksum: no es base64", code=Code.HEADER_WRONG) from None

    def update(self, chunk: bytes) -> None:
        self._hash.update(chunk)

    def is_right(self) -> bool:
        return self._hash.digest() == self._announced


def _check_version(headers: Mapping[str, str]) -> None:
    if headers.get("tus-resumable") != VERSION:
        raise Rejected(f"encabezado Tus-Resumable: se espera {VERSION}", code=Code.TUS_VERSION)


def _check_room(came: int, room: int) -> None:
    if came > room:
        raise Rejected("llegaron más bytes que los anunciados", code=Code.IMAGE_TOO_LARGE)


def _offset(headers: Mapping[str, str]) -> int:
    said = headers.get("upload-offset", "")
    if not said.isascii() or not said.isdigit() or len(said) > 12:
        raise Rejected("encabezado Upload-Offset: se espera desde qué byte sigue", code=Code.HEADER_WRONG)
    return int(said)
