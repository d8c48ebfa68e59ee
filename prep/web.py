"""Answering by HTTP with uvicorn, behind a door: the head of a request has a deadline and a size.

uvicorn alone waits for ever for the first byte, and for the next header, and keeps any number of headers.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from prep.doors import LIMITS, Door, Limits, plain_answer
from prep.errors import Code

KEEP_ALIVE: Final = 30
"""Seconds that a connection without a request stays open."""


class BoundedHttp(HttpToolsProtocol):
    """One connection. Whenever its client has the word, a timer runs."""

    def __init__(self, limits: Limits, **given: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(**given)
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._refused = (400, "la petición no es HTTP válido")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_client(self._limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_client()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > self._limits.head_bytes:
            self._refuse_head()
            self.send_400_response("")
        elif self._answered() and self.timeout_keep_alive_task is None:
            # A head that has begun, bytes between two requests, or a body that nobody reads after its answer.
            self._await_client(self._limits.head_seconds if self._in_head else self._limits.stalled_seconds)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._await_client(self._limits.head_seconds)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._have_client()
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > self._limits.head_bytes:
            self._refuse_head()
            raise ValueError  # the parser stops, and asks for `send_400_response`
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True

    def on_response_complete(self) -> None:
        self._have_client()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Uvicorn's own is in English, and has one status."""
        status, sentence = self._refused
        code = Code.UPLOAD_STOPPED if status == Code.UPLOAD_STOPPED.status else Code.BAD_REQUEST
        self.transport.write(plain_answer(status, code, sentence))
        self.transport.close()

    def _refuse_head(self) -> None:
        self._refused = (431, f"los encabezados pasan del límite de {self._limits.head_bytes} bytes")

    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_client(self, seconds: float) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(seconds, self._too_slow)

    def _have_client(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if self._in_head and self._head_bytes:
            self._refused = (408, "los encabezados tardan demasiado")
            self.send_400_response("")
        else:
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn behind a door. Signals are its caller's."""

    def __init__(self, config: uvicorn.Config, *, limits: Limits = LIMITS, proxies: str = "") -> None:
        super().__init__(config)
        self._limits = limits
        self._proxies = proxies

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open a door at each socket, which must listen already."""
        await super().startup(sockets=[])

        def connection() -> BoundedHttp:
            return BoundedHttp(
                self._limits,
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
                _loop=asyncio.get_running_loop(),
            )

        self.doors = [Door(each, connection, limits=self._limits, proxies=self._proxies) for each in sockets or []]
        self.servers.extend(self.doors)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def config(app: Any, *, proxies: str, lifespan: bool, graceful_seconds: int) -> uvicorn.Config:  # noqa: ANN401 - ASGI
    """`proxies` may say whose request they pass on; the address of a client is what counts wrong passwords."""
    return uvicorn.Config(
        app,
        http=BoundedHttp,
        ws="none",
        lifespan="on" if lifespan else "off",
        log_config=None,
        log_level=logging.ERROR,  # a stranger's bad request is no line in the log
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=proxies,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=graceful_seconds,
    )
