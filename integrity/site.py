"""A published tree behind the address of a static web server (`integrity.source` says what a tree gives).

No redirection leads to another origin. Every request has a limit of time, every body a limit of bytes.
"""

import hashlib
import http.client
import io
import socket
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO, Any, Final

from integrity.source import Fetched, Missing, PathKind, Refused, Unreadable

_CHUNK: Final = 1 << 20
_TIMEOUT_S: Final = 30.0
_LONGEST_FETCH_S: Final = 900.0
_GZIP: Final = 31
"""zlib's number for the gzip format with the largest window."""
_GONE: Final = frozenset({404, 410})


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
