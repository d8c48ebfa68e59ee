"""The tree that a mirror follows, over HTTP: regular paths, limits of bytes and of time, no redirections.

The origin's bytes are treated as hostile until they are verified: they may be endless, slow, from another place, or
another file. An interrupted download of a known digest continues at the byte where it stopped.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp

from integrity import durable
from prep.errors import Parked, Rejected, Unavailable

SMALL: Final = 1 << 20
"""Bytes of an index, a list or a note, at most."""
_CHUNK: Final = 1 << 18
_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_BUSY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_ANSWERS: Final[Mapping[str, frozenset[int]]] = MappingProxyType(
    {
        "Range": frozenset({HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}),
        "If-None-Match": frozenset({HTTPStatus.NOT_MODIFIED}),
    }
)
"""Answers that are allowed, besides the file, to a request with that header."""
_WAIT: Final = 5
_LONGEST_WAIT: Final = 60
_PATH: Final = re.compile(
    r"[^/\\\x00-\x1f\x7f.][^/\\\x00-\x1f\x7f]{0,254}(?:/[^/\\\x00-\x1f\x7f.][^/\\\x00-\x1f\x7f]{0,254})*"
)
_T = TypeVar("_T")
_PARTIAL: Final = re.compile(r"bitacora/tile/[0-9a-z/]+\.p/[0-9]{1,3}")


class Gone(Unavailable):
    """The origin does not have the file.

    This is wrong for a file that must exist, and normal for one that comes later.
    """


class Wait(Unavailable):
    """The origin asks to wait `retry_after` seconds."""


class OriginRefused(Parked):
    """No published file may be like this: a redirection, too many bytes, a path that leads out of the tree."""


class OriginDiffers(Parked):
    """The bytes do not have the digest under which they were asked for."""

    def __init__(self, path: str, expected: str, found: str) -> None:
        super().__init__(f"{path} del origen no es el que debe ser: se esperaba {expected}; se encontró {found}")
        self.path = path


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of time. Values are in seconds if their line says nothing else."""

    connect: float = 10
    silence: float = 30
    """Longest time without a byte."""
    headers: float = 60
    """Until the headers of an answer are complete; its body has the next two limits."""
    grace: float = 60
    """After this time a download must have come with `slowest` bytes a second on average."""
    slowest: int = 1024
    tries: int = 3
    """Tries of a request that failed in the network or in the origin's server."""
    pause: float = 0.5
    """Before the second try; it doubles before each further one."""
    connections: int = 6


def base_of(url: str) -> str:
    """The address of a tree, with a slash at its end. Raises Rejected for any other address."""
    parts = urlsplit(url)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise Rejected("la dirección debe empezar con http:// o https://, sin contraseña y sin «?» ni «#»")
    return url.removesuffix("index.json").removesuffix("index.html").rstrip("/") + "/"


class Origin:
    """One web server. `heard` is called with the number of bytes of each block."""

    def __init__(self, url: str, parts: Path, *, patience: Patience, heard: Callable[[int], None]) -> None:
        self.base = base_of(url)
        self._parts = parts
        self._patience = patience
        self._heard = heard
        self._tags: dict[str, str] = {}
        self._slots = asyncio.Semaphore(patience.connections)
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=patience.connect, connect=patience.connect * 6, sock_read=patience.silence
        )
        self._session = aiohttp.ClientSession(
            timeout=timeout,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity", "User-Agent": "prep-difusor"},
            connector=aiohttp.TCPConnector(limit=patience.connections),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def read(self, path: str, limit: int) -> bytes:
        """A small file, whole. Raises Gone, OriginRefused, Unavailable."""
        return await self._try_again(path, lambda: self._read_once(path, limit))

    async def read_if_changed(self, path: str, limit: int) -> bytes | None:
        """The same; None if the origin's ETag says that the file is unchanged since the last reading."""
        tag = self._tags.get(path)

        async def take() -> bytes | None:
            async with self._ask_origin(path, {"If-None-Match": tag} if tag else {}) as answer:
                if answer.status == HTTPStatus.NOT_MODIFIED:
                    return None
                content = b"".join([block async for block in self._limited_blocks(answer, path, limit)])
                self._tags[path] = answer.headers.get("ETag", "")
                return content

        return await self._try_again(path, take)

    async def read_if_there(self, path: str, limit: int) -> bytes | None:
        """The same; None if the origin does not have the file."""
        try:
            return await self.read(path, limit)
        except Gone:
            return None

    async def digest(self, path: str, limit: int) -> str:
        """SHA-256 of a file, of which no copy is kept. Raises as `read`."""

        async def take() -> str:
            hasher = hashlib.sha256()
            async with self._ask_origin(path, {}) as answer:
                async for block in self._limited_blocks(answer, path, limit):
                    hasher.update(block)
            return hasher.hexdigest()

        return await self._try_again(path, take)

    async def fetch(self, path: str, to: Path, *, sha256: str, limit: int) -> None:
        """Download the file of that digest to `to`, durable. An earlier part is continued. Raises OriginDiffers too."""
        await self._try_again(path, lambda: self._fetch_once(path, to, sha256, limit))

    async def _read_once(self, path: str, limit: int) -> bytes:
        async with self._ask_origin(path, {}) as answer:
            return b"".join([block async for block in self._limited_blocks(answer, path, limit)])

    async def _fetch_once(self, path: str, to: Path, sha256: str, limit: int) -> None:
        # A part is named by path and digest, so that a part of another file is never continued.
        part = self._parts / hashlib.sha256(f"{path} {sha256}".encode()).hexdigest()
        held = part.stat().st_size if part.exists() else 0
        async with self._ask_origin(path, {"Range": f"bytes={held}-"} if held else {}) as answer:
            goes_on = answer.status == HTTPStatus.PARTIAL_CONTENT
            # Another range would be glued to our part: the digest would catch it, but only at the end.
            if goes_on and not answer.headers.get("Content-Range", "").startswith(f"bytes {held}-"):
                raise OriginRefused(f"el origen mandó otra parte de {path} que la pedida")
            if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                goes_on = held > 0  # the part may be the whole file; its digest decides
            else:
                with part.open("ab" if goes_on else "wb") as file:
                    async for block in self._limited_blocks(answer, path, limit - (held if goes_on else 0)):
                        file.write(block)
        found = await asyncio.to_thread(_sync_and_digest, part)
        if found != sha256:
            part.unlink()
            if goes_on:  # the part belonged to another file: begin again without it
                await self._fetch_once(path, to, sha256, limit)
                return
            raise OriginDiffers(path, sha256, found)
        part.replace(to)

    @asynccontextmanager
    async def _ask_origin(self, path: str, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        # Paths come from files of the origin: one with «..» or a leading dot would leave the mirror's folder.
        if _PATH.fullmatch(path) is None and _PARTIAL.fullmatch(path) is None:
            raise OriginRefused(f"el origen nombra un archivo con una ruta que no se admite: «{path}»")
        url = self.base + quote(path)
        async with self._slots, AsyncExitStack() as opened:
            # The silence between two bytes is limited too, but headers can come byte by byte.
            async with asyncio.timeout(self._patience.headers):
                asked = self._session.get(url, headers=headers, allow_redirects=False)
                answer = await opened.enter_async_context(asked)
            if answer.status in _GONE:
                raise Gone(f"al origen le falta {path}")
            if answer.status not in _expected_statuses(headers):
                raise _error_of_status(path, answer)
            # A compressed body could unpack to any size.
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise OriginRefused(f"el origen manda comprimido {path}, que se pidió tal cual")
            yield answer

    async def _limited_blocks(self, answer: aiohttp.ClientResponse, path: str, limit: int) -> AsyncIterator[bytes]:
        total, began = 0, time.monotonic()
        blocks = answer.content.iter_chunked(_CHUNK)
        while True:
            try:
                # The length of a chunk can come byte by byte too, and is no block.
                async with asyncio.timeout(self._patience.grace):
                    block = await anext(blocks)
            except StopAsyncIteration:
                return
            total += len(block)
            self._heard(len(block))
            if total > limit:
                raise OriginRefused(f"{path} del origen tiene más de {limit} bytes")
            lasted = time.monotonic() - began
            # A server that sends a byte now and then must not hold a connection for ever.
            if lasted > self._patience.grace and total < lasted * self._patience.slowest:
                raise Unavailable(f"el origen manda {path} demasiado despacio")
            yield block

    async def _try_again(self, path: str, work: Callable[[], Awaitable[_T]]) -> _T:
        """Try a few times if network or server failed. A clear answer (missing, refused) is not asked for twice."""
        for left in reversed(range(self._patience.tries)):
            try:
                return await work()
            except (Gone, Parked):
                raise
            except Unavailable as error:
                if not left:
                    raise
                pause = error.retry_after if isinstance(error, Wait) else 0
            except (aiohttp.ClientError, TimeoutError, OSError):
                if not left:
                    raise Unavailable(f"no se pudo traer {path} del origen") from None
                pause = 0
            turn = self._patience.tries - left - 1
            await asyncio.sleep(max(pause, self._patience.pause * 2**turn))
        raise AssertionError


def _expected_statuses(headers: Mapping[str, str]) -> frozenset[int]:
    return frozenset({HTTPStatus.OK}).union(*(_ANSWERS[name] for name in headers))


def _error_of_status(path: str, answer: aiohttp.ClientResponse) -> Unavailable | OriginRefused:
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        return OriginRefused(f"el origen manda a otro sitio al pedir {path}: no se sigue")
    if answer.status in _BUSY:
        # The header comes from the origin, so its wait is limited.
        told = answer.headers.get("Retry-After", "")
        wait = min(_LONGEST_WAIT, int(told)) if told.isascii() and told.isdigit() else _WAIT
        return Wait(f"el origen pide esperar (respondió {answer.status})", retry_after=wait)
    return Unavailable(f"el origen respondió {answer.status} al pedir {path}")


def _sync_and_digest(part: Path) -> str:
    """Make the file durable; returns its digest."""
    durable.sync(part)
    with part.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
