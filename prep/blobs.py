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
from collections.abc import AsyncIterator, Iterator
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
from prep.errors import Parked, Rejected, Unavailable
from prep.settings import S3Access

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


class Arriving:
    """A body on its way in: hashed as it comes, in a temporary file that nobody else knows of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
        self._buffer = bytearray()

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises Full or Unavailable where they cannot be written."""
        self.size += len(chunk)
        self._buffer += chunk
        if len(self._buffer) >= SPILL:
            await asyncio.to_thread(self._spill)

    async def end(self) -> str:
        """Everything has come and is in the file (not yet fsynced); its SHA-256."""
        await asyncio.to_thread(self._spill)
        return self._hash.hexdigest()

    def _spill(self) -> None:
        self._hash.update(self._buffer)
        with _disk(), self.path.open("ab", buffering=0) as file:
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
        """The store at `url` (file:///… or s3://bucket/prefix), its folder made where it is missing.

        `scratch` holds what is arriving, so only intake needs it, and only where the store is remote: a local one uses
        a folder inside itself. Nothing is asked of an S3 before it is used. Raises Rejected where the URL names no
        store, or one that would be reached in the clear.
        """
        parts = urlsplit(url)
        if parts.scheme == "file":
            folder = Path(unquote(parts.path))
            _make_durable(folder)
            blobs = cls(LocalStore(folder), folder=folder, scratch=folder / "tmp")
        else:
            try:
                store = _s3(parts.netloc, parts.path, s3) if parts.scheme == "s3" else from_url(url)
                blobs = cls(store, folder=None, scratch=scratch)
            except (BaseError, ValueError) as error:
                raise Rejected(f"dirección de almacén inválida: {error}") from None
        if blobs._scratch is not None:
            blobs._scratch.mkdir(parents=True, exist_ok=True)
            _sweep(blobs._scratch)
        return blobs

    @asynccontextmanager
    async def arriving(self) -> AsyncIterator[Arriving]:
        """A temporary file for one body; it is gone afterwards, whatever happened."""
        path = self._temporary()
        try:
            yield Arriving(path)
        finally:
            path.unlink(missing_ok=True)

    async def put(self, content: bytes) -> str:
        """Keep `content`; returns its SHA-256. Durable on return."""
        sha256 = hashlib.sha256(content).hexdigest()
        if not await self.exists(sha256):
            await self._create(_name(sha256), content)
        return sha256

    async def put_file(self, path: Path, sha256: str) -> None:
        """Keep the file at `path`, whose digest the caller knows. Durable on return; `path` stays the caller's."""
        await self._create(_name(sha256), path)

    async def get(self, sha256: str, *, verify: bool = True) -> bytes:
        """The bytes of a blob. Raises Parked where it is missing or, with `verify`, is not what its name says."""
        content = await self._read(_name(sha256))
        if content is None:
            raise Parked(f"falta en el almacén la imagen {sha256}")
        if verify and hashlib.sha256(content).hexdigest() != sha256:
            raise Parked(f"en el almacén está dañada la imagen {sha256}")
        return content

    async def exists(self, sha256: str) -> bool:
        if self._folder is not None:
            return (self._folder / _name(sha256)).is_file()
        try:
            await obstore.head_async(self._store, _name(sha256))
        except (NotFoundError, FileNotFoundError) as error:
            _must_exist(error)
            return False
        except BaseError as error:
            raise _why(error) from error
        return True

    def local_path(self, sha256: str) -> Path | None:
        """Where the blob is as a file, for whoever can hard-link it; None in a remote store. Never write to it."""
        return None if self._folder is None else self._folder / _name(sha256)

    async def record(self, name: str, content: bytes) -> tuple[bytes, bool]:
        """Keep `content` under `name` if nothing is there yet.

        Returns what is kept there — ours, or that of whoever came first — and whether it is ours. Durable on return.
        """
        if await self._create(name, content):
            return content, True
        kept = await self._read(name)
        if kept is None:
            raise _away()
        return kept, False

    async def find(self, name: str) -> bytes | None:
        """The record of that name."""
        return await self._read(name)

    async def names(self) -> list[str]:
        """Everything that is kept, in order; what is arriving is not."""
        try:
            pages = [page async for page in obstore.list(self._store)]
        except (BaseError, OSError) as error:
            raise _why(error) from error
        return sorted(each["path"] for page in pages for each in page if not each["path"].startswith("tmp/"))

    async def _create(self, name: str, source: Path | bytes) -> bool:
        """Put `source` under `name`; False where something was there already, which is durable then too."""
        if self._folder is not None:
            return await asyncio.to_thread(self._link, self._folder / name, source)
        try:
            await obstore.put_async(self._store, name, source, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        except (BaseError, FileNotFoundError) as error:
            _must_exist(error)
            raise _why(error) from error
        return True

    async def _read(self, name: str) -> bytes | None:
        try:
            if self._folder is not None:
                return await asyncio.to_thread((self._folder / name).read_bytes)
            return bytes(await (await obstore.get_async(self._store, name)).bytes_async())
        except (NotFoundError, FileNotFoundError) as error:
            _must_exist(error)
            return None
        except (BaseError, OSError) as error:
            raise _why(error) from error

    def _link(self, final: Path, source: Path | bytes) -> bool:
        assert self._folders is not None
        with _disk():
            self._folders.make(final.parent)
            created = not final.exists() and self._write(final, source)
            # Also where another was first: its name may not be on the disk yet, and ours will be answered for.
            durable.sync(final.parent)
        return created

    def _write(self, final: Path, source: Path | bytes) -> bool:
        temporary = source if isinstance(source, Path) else self._temporary()
        try:
            if not isinstance(source, Path):
                temporary.write_bytes(source)
            return durable.link(temporary, final)
        finally:
            if not isinstance(source, Path):
                temporary.unlink(missing_ok=True)

    def _temporary(self) -> Path:
        if self._scratch is None:
            raise ValueError("a remote store was opened without a folder for what is arriving")
        return self._scratch / f"{uuid.uuid4().hex}.tmp"


def _make_durable(folder: Path) -> None:
    """Make it, and what is missing above it: what is kept below a name that a crash takes away is lost with it."""
    if not folder.is_dir():
        _make_durable(folder.parent)
        folder.mkdir(exist_ok=True)
        durable.sync(folder.parent)


def _sweep(scratch: Path) -> None:
    """Remove what a killed process left: it was never acknowledged."""
    for path in scratch.glob("*.tmp"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED:
                path.unlink()


def _name(sha256: str) -> str:
    return f"sha256/{sha256[:2]}/{sha256}"


def _s3(bucket: str, prefix: str, access: S3Access) -> S3Store:
    """What `access` leaves empty comes from the AWS_* environment, or from the machine's role."""
    if not bucket:
        raise Rejected("dirección de almacén inválida: falta el nombre después de s3://")
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


def _away() -> Unavailable:
    return Unavailable("el almacén de imágenes no responde; intente de nuevo")


def _why(error: Exception) -> Unavailable:
    """Also where it refuses us: whoever corrects the settings finds everything still waiting, and nothing parked."""
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return Unavailable("el almacén de imágenes no acepta las credenciales: revise PREP_S3_KEY_ID y PREP_S3_SECRET")
    return _away()


def _must_exist(error: Exception) -> None:
    """A blob that is missing is for a person to look at; a bucket that is missing says nothing about the blob."""
    if "NoSuchBucket" in str(error):
        raise Unavailable("el almacén de imágenes no existe: revise PREP_BLOBS") from error


@contextmanager
def _disk() -> Iterator[None]:
    """What a disk that is full, or away, is called."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Full("no queda espacio para guardar la imagen; intente más tarde", retry_after=60) from error
        raise _away() from error
