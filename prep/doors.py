"""The open ports of a process: how many connections, how long each may stand still, and a word if descriptors run out.

Neither event loop does this. If the process has no descriptor left, asyncio logs a page for each place in the queue of
the port, and uvloop closes connections without a word. So a door accepts its connections itself.
"""

import asyncio
import contextlib
import errno
import json
import logging
import resource
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, cast

from prep.errors import Code

log: Final = logging.getLogger(__name__)

WITHOUT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What accept(2) says if this process, or the machine, has no room for another connection."""
AGAIN: Final = 1.0
"""Seconds without accepting, after a connection for which there was no room."""
SAID_AGAIN: Final = 60.0
"""Seconds after which a trouble that goes on is said again."""
AT_ONCE: Final = 64
"""Connections accepted before other work has its turn."""
RETRY_AFTER: Final = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a port. The usual values are those of deploy/nginx/capture.conf."""

    connections: int = 2000
    per_address: int = 100
    """Connections of one address; a proxy of ours has no such limit."""
    head_seconds: float = 10
    """For the first line and the headers of a request."""
    head_bytes: int = 16 * 1024
    stalled_seconds: float = 60
    """How long a client may take nothing of its answer, or may go on sending what nobody reads."""
    lifetime_seconds: float | None = None
    """Of a connection, for a port whose answers are short."""


LIMITS: Final = Limits()
PROBES: Final = Limits(connections=64, per_address=64, lifetime_seconds=10)
"""Of a port that serves probes and metrics alone."""


def plain_answer(status: int, code: Code, sentence: str) -> bytes:
    """An answer to a connection that gets no other one, and ends with it."""
    content = json.dumps({"error": sentence, "codigo": code}, ensure_ascii=False).encode()
    again = f"retry-after: {RETRY_AFTER}\r\n" if status in {429, 503} else ""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n{again}"
        f"content-length: {len(content)}\r\nx-content-type-options: nosniff\r\ncache-control: no-store\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + content


TOO_MANY: Final = plain_answer(503, Code.UNAVAILABLE, "hay demasiadas conexiones abiertas; intente de nuevo")
TOO_MANY_OF_ONE: Final = plain_answer(
    429, Code.TOO_MANY_REQUESTS, "hay demasiadas conexiones abiertas desde su dirección; intente de nuevo"
)


class Door:
    """One port. To uvicorn it is a server of asyncio.

    `proxies`: addresses and networks that bring the connections of many clients, as `PREP_PROXIES`.
    """

    def __init__(
        self,
        listening: socket.socket,
        make: Callable[[], asyncio.Protocol],
        *,
        limits: Limits = LIMITS,
        proxies: str = "",
    ) -> None:
        self._listening = listening
        self._make = make
        self._limits = limits
        _ask_for_descriptors()
        # The other half is for files, the database, and connections that are turned away.
        self._most = min(limits.connections, _descriptors() // 2)
        self._proxies: Sequence[IPv4Network | IPv6Network] = [ip_network(each) for each in proxies.split(",") if each]
        self._loop = asyncio.get_running_loop()
        self._open: set[Guarded] = set()
        self._by_address: Counter[str] = Counter()
        self._beginning: set[asyncio.Task[object]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._said: dict[str, float] = {}
        listening.setblocking(False)  # noqa: FBT003
        self._begin()
        self._look()

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return (self._listening,)

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def close(self) -> None:
        """Accept no more. Connections that are open go on until they end."""
        if self._listening.fileno() >= 0:
            self._loop.remove_reader(self._listening)
            self._listening.close()
        for timer in self._timers.values():
            timer.cancel()

    async def wait_closed(self) -> None:
        """For uvicorn, which has waited for the connections already."""

    def _begin(self) -> None:
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, peer = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in WITHOUT:
                    raise
                self._say("no room for new connections", why=error.strerror, limit=_descriptors())
                self._loop.remove_reader(self._listening)
                self._timers["again"] = self._loop.call_later(AGAIN, self._begin)
                return
            connection.setblocking(False)  # noqa: FBT003
            self._take(connection, str(peer[0]) if isinstance(peer, tuple) else "")

    def _take(self, connection: socket.socket, address: str) -> None:
        if len(self._open) >= self._most:
            self._say("too many connections", limit=self._most)
            _turn_away(connection, TOO_MANY)
            return
        if self._by_address[address] >= self._limits.per_address and not self._is_proxy(address):
            self._say("too many connections of one address", limit=self._limits.per_address, address=address)
            _turn_away(connection, TOO_MANY_OF_ONE)
            return
        guarded = Guarded(self._make(), lambda: self._leave(guarded, address))
        self._open.add(guarded)
        self._by_address[address] += 1
        beginning = self._loop.create_task(self._connect(guarded, connection, address))
        self._beginning.add(beginning)
        beginning.add_done_callback(self._beginning.discard)

    async def _connect(self, guarded: "Guarded", connection: socket.socket, address: str) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: guarded, connection)
        except OSError:  # its client has gone
            connection.close()
            self._leave(guarded, address)

    def _leave(self, guarded: "Guarded", address: str) -> None:
        if guarded in self._open:
            self._open.discard(guarded)
            self._by_address -= Counter([address])

    def _is_proxy(self, address: str) -> bool:
        try:
            return any(ip_address(address.partition("%")[0]) in network for network in self._proxies)
        except ValueError:
            return False

    def _look(self) -> None:
        """End the connections that stand still, or that are older than any may be."""
        for guarded in list(self._open):
            guarded.look(self._loop.time(), self._limits)
        patience = min(self._limits.stalled_seconds, self._limits.lifetime_seconds or self._limits.stalled_seconds)
        self._timers["look"] = self._loop.call_later(patience / 4, self._look)

    def _say(self, event: str, **data: object) -> None:
        """One line for a trouble, and one a minute while it goes on: a flood must not fill the disk of the log."""
        if time.monotonic() >= self._said.get(event, 0) + SAID_AGAIN:
            self._said[event] = time.monotonic()
            log.error(event, extra={"data": {"port": self.port, "open": len(self._open), **data}})


class Guarded(asyncio.Protocol):
    """Another protocol, whose connection is counted and watched."""

    def __init__(self, inner: asyncio.Protocol, ended: Callable[[], None]) -> None:
        self._inner = inner
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._since = 0.0
        self._unsent = (0, 0.0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._since = asyncio.get_running_loop().time()
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._ended()
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def look(self, now: float, limits: Limits) -> None:
        """End the connection if its client takes nothing of an answer, or if it is older than any may be."""
        if self._transport is None:
            return
        unsent = self._transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent[0]:
            self._unsent = (unsent, now)
        old = limits.lifetime_seconds is not None and now >= self._since + limits.lifetime_seconds
        if old or (now >= self._unsent[1] + limits.stalled_seconds and unsent):
            self._transport.abort()


def _turn_away(connection: socket.socket, answer: bytes) -> None:
    with contextlib.suppress(OSError), connection:
        connection.send(answer)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1 << 16)  # bytes that nobody has read would make the kernel take the answer back


def _descriptors() -> int:
    """How many descriptors this process may have."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _ask_for_descriptors() -> None:
    """As many as the system lets this process have, up to 65,536."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 1 << 16)), hard))
