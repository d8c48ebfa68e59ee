"""The place that a published tree is read from: a folder, or the address of a static web server.

No file outside the tree is ever read: symbolic links in a folder are not followed, and a server may not redirect to
another origin. Every read has a limit of bytes, every request a limit of time.
"""

import errno
import hashlib
import io
import os
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

_CHUNK: Final = 1 << 20
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class SourceError(Exception):
    """The reason why a file could not be taken; `sentence` is Spanish and for the reader of the report."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Missing(SourceError):
    """The file is not there. This is wrong for a file that must be."""


class Refused(SourceError):
    """The file is there, and no published file may be like it: a symbolic link, too many bytes, another origin."""


class Unreadable(SourceError):
    """The file may be there, but could not be read: no permission, no network, a server's error. It was not checked."""


class PathKind(StrEnum):
    """The kinds of names in a folder; the values are for the Spanish report."""

    FILE = "un archivo"
    FOLDER = "una carpeta"
    LINK = "un enlace simbólico"
    OTHER = "un archivo especial"


class Fetched(NamedTuple):
    """A file on this machine. The digest is of exactly the bytes at `local`."""

    local: Path
    sha256: str
    size: int


class Source(Protocol):
    """A published tree. Paths are relative to its root, with `/`. All methods may be called from several threads."""

    name: str
    threads: int
    """How many reads at once are useful."""
    listable: bool
    """Whether `entries` can list a folder; over HTTP a file is seen only if it is asked for by name."""

    def entries(self, folder: str) -> Mapping[str, PathKind]:
        """Names in a folder. Raises Missing, Refused, Unreadable."""

    def fetch(self, path: str, limit: int) -> Fetched:
        """The file on this machine. Raises Missing, Refused (over `limit` bytes too), Unreadable."""

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of a small file. Raises as `fetch`."""

    def digest(self, path: str, limit: int) -> str:
        """Lower-case SHA-256 of the file, of which no copy is kept. Raises as `fetch`."""

    def exists(self, path: str) -> bool:
        """Whether there is such a regular file. Raises Refused, Unreadable."""

    def drop(self, fetched: Fetched) -> None:
        """The file is not needed any more."""

    def close(self) -> None: ...


_buffers: Final = threading.local()


def _thread_buffer() -> memoryview:
    if not hasattr(_buffers, "view"):
        _buffers.view = memoryview(bytearray(_CHUNK))
    view: memoryview = _buffers.view
    return view


class Folder:
    """A tree in a directory."""

    listable = True

    def __init__(self, root: Path) -> None:
        self.name = str(root)
        self.threads = max(2, os.cpu_count() or 2)
        self._root = root.resolve()
        self._trusted: dict[str, bool] = {"": True}
        if not self._root.is_dir():
            raise Unreadable(f"no hay una carpeta en {root}")

    def entries(self, folder: str) -> Mapping[str, PathKind]:
        self._refuse_linked_folder(folder)
        try:
            with os.scandir(self._root / folder) as entries:
                return {entry.name: _kind_of_entry(entry) for entry in entries}
        except OSError as error:
            raise _source_error(folder, error) from None

    def fetch(self, path: str, limit: int) -> Fetched:
        sha256, size = self._hash_file(path, limit)
        return Fetched(self._root / path, sha256, size)

    def read(self, path: str, limit: int) -> bytes:
        with self._opened_file(path, limit) as (handle, size), io.FileIO(handle, closefd=False) as file:
            return file.read(size)

    def digest(self, path: str, limit: int) -> str:
        return self._hash_file(path, limit)[0]

    def exists(self, path: str) -> bool:
        self._refuse_linked_folder(path.rpartition("/")[0])
        try:
            return stat.S_ISREG(os.lstat(self._root / path).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise _source_error(path, error) from None

    def drop(self, fetched: Fetched) -> None:
        """There is no copy to remove."""

    def close(self) -> None:
        """No connection is open."""

    def _hash_file(self, path: str, limit: int) -> tuple[str, int]:
        with self._opened_file(path, limit) as (handle, size):
            return _hash_handle(handle, size)

    @contextmanager
    def _opened_file(self, path: str, limit: int) -> Iterator[tuple[int, int]]:
        """A handle to the ordinary file, and its length."""
        self._refuse_linked_folder(path.rpartition("/")[0])
        try:
            # O_NONBLOCK: to open a pipe must not wait for its other end.
            handle = os.open(f"{self._root}/{path}", os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            raise _source_error(path, error) from None
        try:
            about = os.fstat(handle)
            if not stat.S_ISREG(about.st_mode):
                raise Refused(f"{path} no es un archivo ordinario")
            if about.st_size > limit:
                raise Refused(f"{path} tiene {about.st_size} bytes; se admiten {limit}")
            yield handle, about.st_size
        except OSError as error:
            raise _source_error(path, error) from None
        finally:
            os.close(handle)

    def _refuse_linked_folder(self, folder: str) -> None:
        """Refuse a folder that is reached through a symbolic link: its files are not files of the tree."""
        if folder not in self._trusted:
            place = self._root / folder
            # One answer for each folder: a tree has a million files in a few hundred folders.
            self._trusted[folder] = place.resolve() == place
        if not self._trusted[folder]:
            raise Refused(f"{folder} es o atraviesa un enlace simbólico")


def _hash_handle(handle: int, size: int) -> tuple[str, int]:
    """Digest and length of at most `size` bytes: a file that grows while it is read must not keep us reading."""
    hasher = hashlib.sha256()
    buffer = _thread_buffer()
    total = 0
    file = io.FileIO(handle, closefd=False)
    while total < size and (got := file.readinto(buffer)):
        hasher.update(buffer[:got])
        total += got
    return hasher.hexdigest(), total


def _kind_of_entry(entry: os.DirEntry[str]) -> PathKind:
    # First, because a link to a folder is a folder for every later question.
    if entry.is_symlink():
        return PathKind.LINK
    if entry.is_dir(follow_symlinks=False):
        return PathKind.FOLDER
    return PathKind.FILE if entry.is_file(follow_symlinks=False) else PathKind.OTHER


def _source_error(path: str, error: OSError) -> SourceError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Missing(f"falta {path}")
    # O_NOFOLLOW answers ELOOP for a symbolic link.
    if error.errno == errno.ELOOP:
        return Refused(f"{path} es un enlace simbólico")
    return Unreadable(f"no se pudo leer {path}")


def open_source(where: str) -> Source:
    """The tree at a directory or an http(s) address. Raises Unreadable for any other address."""
    if "://" in where:
        parts = urlsplit(where)
        if parts.scheme.lower() not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
            raise Unreadable("la dirección debe empezar con http:// o https:// y no llevar «?» ni «#»")
        from integrity.site import Site  # noqa: PLC0415  # a folder is verified without the web client

        return Site(where)
    return Folder(Path(where))
