"""A port has limits: no stranger holds it with slow, large or many requests, and it says if descriptors run out."""

import asyncio
import json
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, ClassVar, cast

import pytest
import uvloop

from prep import doors, observe
from prep.doors import LIMITS, PROBES, Door, Limits
from prep.processes import listening
from prep.web import Server, config
from tests.makers.waiting import PATIENCE, until

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
QUICK = replace(LIMITS, head_seconds=0.3, stalled_seconds=0.4)
BIG = 1 << 26


async def app(scope: dict[str, Any], _: object, send: Callable[[dict[str, Any]], Any]) -> None:
    """Reads no body."""
    content = bytes(BIG) if scope["path"] == "/big" else b"well"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(content))]})
    for start in range(0, len(content), 1 << 16):
        part = content[start : start + (1 << 16)]
        await send({"type": "http.response.body", "body": part, "more_body": start + len(part) < len(content)})


@asynccontextmanager
async def served(limits: Limits = LIMITS, proxies: str = "") -> AsyncIterator[Server]:
    server = Server(config(app, proxies=proxies, lifespan=False, graceful_seconds=1), limits=limits, proxies=proxies)
    running = asyncio.create_task(server.serve([listening("127.0.0.1", 0)]))
    await until(lambda: server.started)
    try:
        yield server
    finally:
        await Client.all_end()
        server.should_exit = True
        await running


class Client:
    """One connection."""

    opened: ClassVar[list["Client"]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.opened.append(self)

    @classmethod
    async def all_end(cls) -> None:
        while cls.opened:
            writer = cls.opened.pop().writer
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()

    @classmethod
    async def of(cls, server: Server) -> "Client":
        [door] = server.doors
        return cls(*await asyncio.open_connection("127.0.0.1", door.port))

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def answer(self) -> bytes:
        """The next answer, which says how long it is."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        [length] = [line for line in head.split(b"\r\n") if line.startswith(b"content-length")]
        return head + await self.reader.readexactly(int(length.split()[1]))

    async def rest(self) -> bytes:
        """Everything until the server ends the connection; a server that waits for ever fails the test."""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                return await self.reader.read()
        return b""

    async def ends_dripping(self, byte: bytes) -> None:
        """Send a byte now and then until the server ends the connection."""
        with suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                while not self.reader.at_eof():
                    await self.send(byte)
                    await asyncio.sleep(0.05)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.reader.read(1 << 16), 0.01)


def refusal(answer: bytes) -> tuple[int, str]:
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content)["codigo"]


async def test_a_head_that_comes_a_byte_at_a_time_is_cut_off() -> None:
    async with served(QUICK) as server:
        silent, slow = await Client.of(server), await Client.of(server)
        await slow.send(b"GET / HTTP/1.1\r\nx: ")
        assert refusal(await slow.rest()) == (408, "envio_interrumpido")
        assert await silent.rest() == b""
        dripping = await Client.of(server)
        await dripping.ends_dripping(b"a")


@pytest.mark.parametrize("byte", [b"\r\n", b"G"])
async def test_a_connection_that_is_kept_alive_waits_no_longer(byte: bytes) -> None:
    async with served(QUICK) as server:
        client = await Client.of(server)
        await client.send(GET)
        assert (await client.answer()).endswith(b"well")
        await client.ends_dripping(byte)


async def test_a_body_that_nobody_reads_is_not_taken_for_ever() -> None:
    async with served(QUICK) as server:
        client = await Client.of(server)
        await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        assert (await client.answer()).endswith(b"well")
        await client.ends_dripping(b"x")


async def test_a_client_that_takes_nothing_of_its_answer_is_let_go() -> None:
    async with served(QUICK) as server:
        client = await Client.of(server)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n")
        await until(lambda: bool(server.server_state.connections))
        await until(lambda: not server.server_state.connections)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 4000 + b"\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * 20_000,
        b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["many", "one", "unfinished", "path"],
)
@pytest.mark.parametrize("parts", [1, 7])
async def test_a_head_that_is_too_large_is_refused(head: bytes, parts: int) -> None:
    async with served() as server:
        client = await Client.of(server)
        size = len(head) // parts + 1
        with suppress(ConnectionError):
            await client.send(*(head[start : start + size] for start in range(0, len(head), size)))
        assert refusal(await client.rest()) == (431, "peticion_no_valida")


async def test_a_head_of_the_usual_size_is_taken_in_any_parts_and_one_after_the_other() -> None:
    async with served() as server:
        client = await Client.of(server)
        for _ in range(3):
            await client.send(b"GET / HTTP/1.1\r\nx: ", b"y" * 8000, b"\r\nz: ", b"y" * 4000, b"\r\n", b"\r\n")
            assert (await client.answer()).endswith(b"well")
        await client.send(GET + GET)
        assert [(await client.answer())[-4:] for _ in range(2)] == [b"well", b"well"]


@pytest.mark.parametrize("said", [b"\x00\r\n\r\n", b"GET / HTTP/1.1\r\nh\x1b: x\r\n\r\n", b"GET \xff HTTP/1.1\r\n\r\n"])
async def test_bytes_that_are_no_request_are_refused_in_spanish_and_are_no_line_in_the_log(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with served() as server:
        client = await Client.of(server)
        await client.send(said)
        assert refusal(await client.rest()) == (400, "peticion_no_valida")
    assert not caplog.records


async def test_connections_have_a_limit_and_a_place_that_is_free_again_is_given(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served(replace(LIMITS, connections=2)) as server:
        held = [await Client.of(server) for _ in range(2)]
        for _ in range(3):
            assert refusal(await (await Client.of(server)).rest()) == (503, "no_disponible")
        held[0].writer.close()

        async def served_again() -> bool:
            client = await Client.of(server)
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await client.send(GET)
                return (await client.answer()).endswith(b"well")
            return False

        await until(served_again)
    assert [record.message for record in caplog.records] == ["too many connections"], "one line, not one each"


@pytest.mark.parametrize(("proxies", "taken"), [("", False), ("127.0.0.0/8", True), ("::1,192.0.2.1", False)])
async def test_one_address_has_a_limit_of_its_own_and_a_proxy_has_none(proxies: str, taken: bool) -> None:
    async with served(replace(LIMITS, per_address=1), proxies) as server:
        held, other = await Client.of(server), await Client.of(server)
        with suppress(ConnectionError):
            await other.send(GET)
        if taken:
            assert (await other.answer()).endswith(b"well")
        else:
            assert refusal(await other.rest()) == (429, "demasiadas_peticiones")
        await held.send(GET)
        assert (await held.answer()).endswith(b"well")


async def test_a_connection_to_the_probes_ends_by_its_age() -> None:
    def well() -> None:
        return None

    short = replace(PROBES, lifetime_seconds=0.3)
    async with observe.serving_probes("127.0.0.1", 0, health=well, ready=well, limits=short) as port:
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        await client.ends_dripping(b"a")
        other = Client(*await asyncio.open_connection("127.0.0.1", port))
        await other.send(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"200 OK" in await other.rest()
        await Client.all_end()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_if_descriptors_run_out_it_says_so_once_and_goes_on_once_there_are_some(
    loop: Callable[[], asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "AGAIN", 0.1)

    async def scenario() -> None:
        class Greets(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                writing = cast("asyncio.Transport", transport)
                writing.write(b"hello")
                writing.close()

        door = Door(listening("127.0.0.1", 0), Greets)
        clients = [socket.socket() for _ in range(10)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        filled: list[int] = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (clients[-1].fileno() + 1, hard))
            with suppress(OSError):
                while True:
                    filled.append(os.dup(0))
            for client in clients:
                client.setblocking(False)
                await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", door.port))
            await until(lambda: bool(caplog.records))
            await asyncio.sleep(0.5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for each in filled:
                os.close(each)
        for client in clients:
            assert await asyncio.get_running_loop().sock_recv(client, 9) == b"hello"
            client.close()
        door.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())
    assert [record.message for record in caplog.records] == ["no room for new connections"]
