"""Where bytes live: a content-addressed store, written once, in a local folder or in any S3; and small named records.

A blob's name is its SHA-256, so writing it twice is writing it once. A record is a few bytes under a name that the
first writer gets and everybody after reads. Both are durable when the call returns: locally that means written beside
its final place, fsynced, linked under its name, and the folder fsynced (obstore's local store does not fsync, so that
part is here); elsewhere it is what the object store promises. Nobody ever sees half of either.
"""

import asyncio
import errno
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, ObjectStore, S3Store, from_url

from integrity import durable
from prep.errors import Code, Parked, Rejected, Unavailable
from prep.object_store import S3Access

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

SPILL: Final = 256 * 1024
"""Bytes of an arriving body kept in memory before they go to its file."""
ABANDONED: Final = 3600.0
"""Seconds after which a temporary file belongs to a process that was killed."""
AWS: Final = S3Access()
S3_CLIENT: Final["ClientConfig"] = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=30)}
S3_RETRY: Final["RetryConfig"] = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}
"""A sender waits for its answer: who tries for longer than this is the sender, or the worker's own loop."""


class Full(Unavailable):
    """The disk has no room: the sender tries later, somebody makes room. HTTP 507."""

    general = Code.NO_SPACE


class Arriving:
    """A body on its way in: hashed as it comes, in a temporary file that nobody else knows of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
        self._buffer = bytearray()

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises Full or Unavailable if they cannot be written."""
        self.size += len(chunk)
        self._buffer += chunk
        if len(self._buffer) >= SPILL:
            await asyncio.to_thread(self._spill_buffer)

    async def end(self) -> str:
        """Everything has come and is in the file (not yet fsynced); its SHA-256."""
        await asyncio.to_thread(self._spill_buffer)
        return self._hash.hexdigest()

    def _spill_buffer(self) -> None:
        # Hashed and written together, in a thread: neither holds up the loop.
        # A write may take a part only (a full disk): the rest is tried until it raises.
        self._hash.update(self._buffer)
        with _disk_errors_told(), self.path.open("ab", buffering=0) as file:
            view = memoryview(self._buffer)
            while view:
                view = view[file.write(view) :]
            view.release()
        self._buffer = bytearray()


class Blobs:
    """An open store; make one with `Blobs.open`."""

    def __init__(self, store: ObjectStore, *, folder: Path | None, scratch: Path | None) -> None:
        self._store = store
        self._folder = folder
        self._scratch = scratch
        self._folders = None if folder is None else durable.Folders(folder)

    @classmethod
    def open(cls, url: str, *, scratch: Path | None = None, s3: S3Access = AWS) -> "Blobs":
        """The store at `url` (file:///… or s3://bucket/prefix), with its folder, which is made if it is missing.

        `scratch` holds bodies that are arriving. Only intake needs it, and only with a remote store: a local one uses
        a folder inside itself. An S3 is not asked anything before it is used. Raises Rejected if the URL names no
        store, or a store that would be reached in the clear.
        """
        # A local store keeps bodies that are arriving beside their final place: a link needs the same disk.
        parts = urlsplit(url)
        if parts.scheme == "file":
            folder = Path(unquote(parts.path))
            _make_durable(folder)
            blobs = cls(LocalStore(folder), folder=folder, scratch=folder / "tmp")
        else:
            try:
                store = _open_s3(parts.netloc, parts.path, s3) if parts.scheme == "s3" else from_url(url)
                blobs = cls(store, folder=None, scratch=scratch)
            except (BaseError, ValueError) as error:
                raise Rejected(f"dirección de almacén inválida: {error}") from None
        # Files that a killed process left here were never acknowledged.
        if blobs._scratch is not None:
            blobs._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
            _remove_abandoned(blobs._scratch)
        return blobs

    @asynccontextmanager
    async def arriving(self) -> AsyncIterator[Arriving]:
        """A temporary file for one body; it is gone afterwards, also after an error."""
        path = self._temporary_path()
        try:
            yield Arriving(path)
        finally:
            path.unlink(missing_ok=True)

    async def put(self, content: bytes) -> str:
        """Keep `content`; returns its SHA-256. Durable on return."""
        sha256 = hashlib.sha256(content).hexdigest()
        # The name is the digest: the same content is there already, or is written once.
        if not await self.exists(sha256):
            await self._create_object(_blob_name(sha256), content)
        return sha256

    async def put_file(self, path: Path, sha256: str) -> None:
        """Keep the file at `path`, whose digest the caller knows. Durable on return; `path` stays the caller's."""
        await self._create_object(_blob_name(sha256), path)

    async def get(self, sha256: str, *, verify: bool = True) -> bytes:
        """The bytes of a blob. Raises Parked if it is missing or, with `verify`, is not what its name says."""
        # The digest is computed again on the way out: a disk may give back other bytes than it was given.
        content = await self._read_object(_blob_name(sha256))
        if content is None:
            raise Parked(f"falta en el almacén la imagen {sha256}")
        if verify and hashlib.sha256(content).hexdigest() != sha256:
            # Not Unavailable: waiting does not mend bytes. A person puts the right ones back.
            raise Parked(f"en el almacén está dañada la imagen {sha256}")
        return content

    async def exists(self, sha256: str) -> bool:
        if self._folder is not None:
            return (self._folder / _blob_name(sha256)).is_file()
        try:
            await obstore.head_async(self._store, _blob_name(sha256))
        except (NotFoundError, FileNotFoundError) as error:
            _must_exist(error)
            return False
        except BaseError as error:
            raise _unavailable_because(error) from error
        return True

    def local_path(self, sha256: str) -> Path | None:
        """The blob as a file, for callers that copy it; None in a remote store. Never write to it, or link it."""
        return None if self._folder is None else self._folder / _blob_name(sha256)

    async def record(self, name: str, content: bytes) -> tuple[bytes, bool]:
        """Keep `content` under `name` if the name is free.

        Returns the content that is kept, which is ours or that of the first writer, and whether it is ours. Durable on
        return.
        """
        # The first writer wins, also between two machines: receipts and device numbers rest on it.
        if await self._create_object(name, content):
            return content, True
        kept = await self._read_object(name)
        if kept is None:
            raise _store_is_away()
        return kept, False

    async def find(self, name: str) -> bytes | None:
        """The record of that name."""
        return await self._read_object(name)

    async def names_in(self, folder: str) -> list[str]:
        """The last parts of the names of the records in `folder`, in no order."""
        return [name.rsplit("/", 1)[1] for name in await self.sizes_in(folder)]

    async def sizes_in(self, folder: str) -> dict[str, int]:
        """The whole name of each record in `folder` and below, and its size in bytes."""
        try:
            pages = [page async for page in obstore.list(self._store, prefix=folder)]
        except FileNotFoundError:
            return {}
        except (BaseError, OSError) as error:
            raise _unavailable_because(error) from error
        return {each["path"]: each["size"] for page in pages for each in page}

    async def record_file(self, name: str, path: Path) -> bool:
        """Keep the file at `path` under `name` if the name is free; whether it was. Durable on return.

        `path` stays the caller's, who must not write to it again.
        """
        return await self._create_object(name, path)

    async def remove(self, names: Sequence[str]) -> None:
        """Remove records that were made to be removed: the pieces of an upload. One that is not there is no error.

        A receipt, a number or an image is never removed. A power cut may bring a removed record back.
        """
        for name in names:
            try:
                await obstore.delete_async(self._store, name)
            except (NotFoundError, FileNotFoundError) as error:
                _must_exist(error)
            except (BaseError, OSError) as error:
                raise _unavailable_because(error) from error

    async def names(self) -> list[str]:
        """The names of everything that is kept, in order; not of bodies that are arriving."""
        try:
            pages = [page async for page in obstore.list(self._store)]
        except (BaseError, OSError) as error:
            raise _unavailable_because(error) from error
        return sorted(each["path"] for page in pages for each in page if not each["path"].startswith("tmp/"))

    async def _create_object(self, name: str, source: Path | bytes) -> bool:
        """Put `source` under `name`; False if something was there already, which is durable then too."""
        if self._folder is not None:
            return await asyncio.to_thread(self._link_durably, self._folder / name, source)
        try:
            # `create` asks the store to refuse a name that exists (If-None-Match: *), in one request.
            await obstore.put_async(self._store, name, source, mode="create", use_multipart=False)
        # Another writer was first. Its object is whole: an S3 shows no half object.
        except AlreadyExistsError:
            return False
        except (BaseError, FileNotFoundError) as error:
            _must_exist(error)
            raise _unavailable_because(error) from error
        return True

    async def _read_object(self, name: str) -> bytes | None:
        try:
            if self._folder is not None:
                return await asyncio.to_thread((self._folder / name).read_bytes)
            return bytes(await (await obstore.get_async(self._store, name)).bytes_async())
        except (NotFoundError, FileNotFoundError) as error:
            _must_exist(error)
            return None
        except (BaseError, OSError) as error:
            raise _unavailable_because(error) from error

    def _link_durably(self, final: Path, source: Path | bytes) -> bool:
        assert self._folders is not None
        with _disk_errors_told():
            self._folders.make(final.parent)
            created = not final.exists() and self._write_and_link(final, source)
            # Also where another was first: its name may not be on the disk yet, and ours will be answered for.
            durable.sync(final.parent)
        return created

    def _write_and_link(self, final: Path, source: Path | bytes) -> bool:
        # A link, not a rename: a link fails if the name exists, so the first writer stays the first.
        # If we stop before the link, only the temporary file is left, and nobody knows of it.
        temporary = source if isinstance(source, Path) else self._temporary_path()
        try:
            if not isinstance(source, Path):
                temporary.write_bytes(source)
            return durable.link(temporary, final)
        finally:
            if not isinstance(source, Path):
                temporary.unlink(missing_ok=True)

    def _temporary_path(self) -> Path:
        if self._scratch is None:
            raise ValueError("a remote store was opened without a folder for what is arriving")
        return self._scratch / f"{uuid.uuid4().hex}.tmp"


def _make_durable(folder: Path) -> None:
    """Make it and the missing folders above it, durably: a crash that takes a name away takes all below it too."""
    # From the top down: a folder is on the disk once its parent has been fsynced.
    if not folder.is_dir():
        _make_durable(folder.parent)
        # For this user alone: who may read the originals, and when, the publisher decides.
        folder.mkdir(mode=0o700, exist_ok=True)
        durable.sync(folder.parent)


def _remove_abandoned(scratch: Path) -> None:
    """Remove what a killed process left: it was never acknowledged."""
    # A younger file may belong to a process that lives.
    for path in scratch.glob("*.tmp"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED:
                path.unlink()


def _blob_name(sha256: str) -> str:
    return f"sha256/{sha256[:2]}/{sha256}"


def _open_s3(bucket: str, prefix: str, access: S3Access) -> S3Store:
    """What `access` leaves empty comes from the AWS_* environment, or from the machine's role."""
    if not bucket:
        raise Rejected("dirección de almacén inválida: falta el nombre después de s3://")
    # Empty values are left out: obstore then reads the AWS_* variables or asks the machine for its role.
    said = {
        "endpoint": access.endpoint,
        "region": access.region,
        "access_key_id": access.key_id,
        "secret_access_key": access.secret,
    }
    config = cast("S3Config", {name: value for name, value in said.items() if value} | {"conditional_put": "etag"})
    client: ClientConfig = {**S3_CLIENT, "allow_http": access.plain_http_allowed()}
    return S3Store(
        bucket, prefix=unquote(prefix).strip("/") or None, config=config, client_options=client, retry_config=S3_RETRY
    )


def _store_is_away() -> Unavailable:
    return Unavailable("el almacén de imágenes no responde; intente de nuevo")


def _unavailable_because(error: Exception) -> Unavailable:
    """Also if the store refuses us: when the settings are corrected everything still waits, and is not parked."""
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return Unavailable("el almacén de imágenes no acepta las credenciales: revise PREP_S3_KEY_ID y PREP_S3_SECRET")
    return _store_is_away()


def _must_exist(error: Exception) -> None:
    """A blob that is missing is for a person to look at; a bucket that is missing says nothing about the blob."""
    if "NoSuchBucket" in str(error):
        raise Unavailable("el almacén de imágenes no existe: revise PREP_BLOBS") from error


@contextmanager
def _disk_errors_told() -> Iterator[None]:
    """What a disk that is full, or away, is called."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Full("no queda espacio para guardar la imagen; intente más tarde", retry_after=60) from error
        raise _store_is_away() from error
