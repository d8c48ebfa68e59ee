"""The place that a published tree is read from: a folder, or the address of a static web server.

No file outside the tree is ever read: symbolic links in a folder are not followed, and a server may not redirect to
another origin. Every read has a limit of bytes, every request a limit of time.
"""

import errno
import hashlib
import http.client
import io
import os
import socket
import stat
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, Protocol

_CHUNK: Final = 1 << 20
_TIMEOUT_S: Final = 30.0
_LONGEST_FETCH_S: Final = 900.0
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_GZIP: Final = 31
"""zlib's number for the gzip format with the largest window."""
_GONE: Final = frozenset({404, 410})


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


class _SameOrigin(urllib.request.HTTPRedirectHandler):
    """Follow a redirection only to the same scheme, host and port."""

    def redirect_request(  # noqa: PLR0917 - urllib's own
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if _origin_of(req.full_url) != _origin_of(newurl):
            fp.close()
            raise Refused(f"el servidor manda a otro sitio ({_origin_of(newurl)})")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Timely(io.RawIOBase):
    """The bytes of one answer, its headers included. No read waits longer than until the deadline of the answer."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._held = sock.makefile("rb", buffering=0)  # the connection stays open until this is closed
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(min(left, _TIMEOUT_S))
        size: int = self._sock.recv_into(buffer)
        return size

    def close(self) -> None:
        self._held.close()
        super().close()


class _TimelyAnswer(http.client.HTTPResponse):
    def __init__(self, longest: float, sock: socket.socket, *more: Any, **named: Any) -> None:  # noqa: ANN401
        super().__init__(sock, *more, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_Timely(sock, time.monotonic() + longest))


class _InTime(urllib.request.AbstractHTTPHandler):
    """Answers whose headers and body, together, may take `longest` seconds: a byte now and then is not enough."""

    longest = _LONGEST_FETCH_S

    def do_open(self, http_class: Callable[..., Any], req: urllib.request.Request, **named: Any) -> Any:  # noqa: ANN401
        def connection(*words: Any, **more: Any) -> Any:  # noqa: ANN401
            made = http_class(*words, **more)
            made.response_class = partial(_TimelyAnswer, self.longest)
            return made

        return super().do_open(connection, req, **named)


class _Http(_InTime, urllib.request.HTTPHandler):
    pass


class _Https(_InTime, urllib.request.HTTPSHandler):
    pass


def _origin_of(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


class Site:
    """A tree behind an HTTP(S) address.

    A file that is fetched whole waits in a temporary folder until it is dropped.
    """

    listable = False
    threads = 8

    def __init__(self, url: str, *, longest: float = _LONGEST_FETCH_S) -> None:
        """`longest`: seconds that one answer may take, from its first header to its last byte."""
        self.name = url
        self._base = url.removesuffix("index.json").removesuffix("index.html").rstrip("/") + "/"
        # `index.html` or `index.json` at the end is what a person copies from a browser.
        plain, secure = _Http(), _Https()
        plain.longest = secure.longest = longest
        self._opener = urllib.request.build_opener(_SameOrigin(), plain, secure)
        self._spool = tempfile.TemporaryDirectory(prefix="integrity-")
        self._serial = count()

    def entries(self, folder: str) -> Mapping[str, PathKind]:
        raise Unreadable(f"por HTTP no se puede saber qué más hay en {folder or 'la raíz'}")

    def fetch(self, path: str, limit: int) -> Fetched:
        # Numbers, not names: a published name must never choose a path on this machine.
        local = Path(self._spool.name) / str(next(self._serial))
        with local.open("wb") as copy:
            return Fetched(local, *self._download(path, limit, copy))

    def read(self, path: str, limit: int) -> bytes:
        copy = io.BytesIO()
        self._download(path, limit, copy)
        return copy.getvalue()

    def digest(self, path: str, limit: int) -> str:
        return self._download(path, limit, None)[0]

    def exists(self, path: str) -> bool:
        try:
            with self._send_request(path, "HEAD"):
                return True
        except Missing:
            return False

    def drop(self, fetched: Fetched) -> None:
        fetched.local.unlink(missing_ok=True)

    def close(self) -> None:
        self._spool.cleanup()

    def _send_request(self, path: str, method: str = "GET") -> http.client.HTTPResponse:
        url = self._base + urllib.parse.quote(path)
        # `identity`: a compressed answer would have another length than the file.
        asked = urllib.request.Request(url, method=method, headers={"Accept-Encoding": "identity"})  # noqa: S310
        try:
            answer: http.client.HTTPResponse = self._opener.open(asked, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in _GONE:
                raise Missing(f"falta {path}") from None
            raise Unreadable(f"el servidor respondió {error.code} al pedir {path}") from None
        except (OSError, http.client.HTTPException, ValueError):
            raise Unreadable(f"no se pudo pedir {path} al servidor") from None
        return answer

    def _download(self, path: str, limit: int, copy: IO[bytes] | None) -> tuple[str, int]:
        """Digest and length of the body, which is also written to `copy`. Raises Unreadable for a body that was cut."""
        hasher = hashlib.sha256()
        total = received = 0
        try:
            with self._send_request(path) as answer:
                # We ask for the plain bytes; some static servers hold compressed files and send nothing else.
                unzip = zlib.decompressobj(_GZIP) if answer.headers.get("Content-Encoding") == "gzip" else None
                while block := answer.read1(_CHUNK):
                    received += len(block)
                    # A small compressed body may unpack to any size: never unpack more than the limit and one byte.
                    if unzip is not None:
                        block = unzip.decompress(block, limit + 1 - total)
                    total += len(block)
                    if total > limit:
                        raise Refused(f"{path} tiene más de {limit} bytes")
                    hasher.update(block)
                    if copy is not None:
                        copy.write(block)
                stated = answer.headers.get("Content-Length")
        except TimeoutError:
            raise Unreadable(f"{path} tardó demasiado en llegar") from None
        except (OSError, http.client.HTTPException, zlib.error):
            raise Unreadable(f"se interrumpió la descarga de {path}") from None
        # Both lengths: the transport's, and the end mark of gzip. A cut file must never look complete.
        if (stated is not None and stated != str(received)) or (unzip is not None and not unzip.eof):
            raise Unreadable(f"se interrumpió la descarga de {path}")
        return hasher.hexdigest(), total


def open_source(where: str) -> Source:
    """The tree at a directory or an http(s) address. Raises Unreadable for any other address."""
    if "://" in where:
        parts = urllib.parse.urlsplit(where)
        if parts.scheme.lower() not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
            raise Unreadable("la dirección debe empezar con http:// o https:// y no llevar «?» ni «#»")
        return Site(where)
    return Folder(Path(where))
