"""A server that sends a byte now and then holds neither verifier and no mirror for longer than one answer may take."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from integrity import minimal_verifier
from integrity.site import Site
from integrity.source import SourceError
from prep.errors import Unavailable
from publisher.mirror.origin import Origin, Patience

HEADERS = b"HTTP/1.1 200 OK\r\nX-Slow: "
BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LONGEST = 0.3
ENOUGH = 60.0
"""Seconds that the server goes on, if the reader does not leave: a reader without a deadline reads that long."""


@pytest.fixture(params=[HEADERS, BODY, CHUNKS], ids=["headers", "body", "chunk size"])
def dripping(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that begins its answer at once, and then sends one byte many times a second."""
    ended = threading.Event()
    read_to_the_end = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(request.param)
            until = time.monotonic() + ENOUGH
            while time.monotonic() < until and not ended.wait(0.02):
                connection.sendall(b"0")
            if not ended.is_set():
                read_to_the_end.set()

    def serve(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=drip, args=(connection,)).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve, args=(listening,))
        server.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            ended.set()
            listening.shutdown(socket.SHUT_RDWR)
            server.join()
    assert not read_to_the_end.is_set(), "the reader had no deadline"


def test_integrity_ends_an_answer_at_its_deadline(dripping: str) -> None:
    site = Site(dripping, longest=LONGEST)
    with pytest.raises(SourceError, match=r"tardó demasiado en llegar|no se pudo pedir"):
        site.read("index.json", 1 << 20)
    site.close()


def test_the_minimal_verifier_ends_an_answer_at_its_deadline(dripping: str) -> None:
    tree = minimal_verifier.Tree(dripping, longest=LONGEST)
    with pytest.raises(minimal_verifier.Unread, match=r"no se pudo (leer|pedir)"):
        tree.read("index.json", 1 << 20)


async def test_a_mirror_ends_an_answer_at_its_deadline(dripping: str, tmp_path: Path) -> None:
    impatient = replace(Patience(), tries=1, headers=LONGEST, grace=LONGEST, slowest=1 << 20)
    origin = Origin(dripping, tmp_path, patience=impatient, heard=lambda _: None)
    try:
        with pytest.raises(Unavailable, match=r"demasiado despacio|no se pudo traer"):
            await origin.read("index.json", 1 << 20)
    finally:
        await origin.close()
