"""Every process serves /metrics and /healthz."""

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from prometheus_client import REGISTRY

from prep import observe
from prep.bus.table import EmbeddedBus
from prep.messages import Message, Topic
from tests.conftest import Night


async def get(port: int, path: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.request(method, f"http://127.0.0.1:{port}{path}")


async def test_a_process_tells_its_metrics_and_its_health() -> None:
    wrong: list[str] = []
    server = await observe.serve_metrics("127.0.0.1", 0, lambda: wrong[0] if wrong else None)
    port = server.sockets[0].getsockname()[1]
    async with server:
        metrics = await get(port, "/metrics")
        assert metrics.status_code == 200
        assert "# HELP prep_bus_lag_messages Messages not yet acknowledged." in metrics.text
        assert metrics.headers["content-type"].startswith("text/plain")
        assert (await get(port, "/healthz")).text == "ok\n"
        wrong.append("la base de datos no responde")
        sick = await get(port, "/healthz?x=1")
        assert (sick.status_code, sick.text) == (503, "la base de datos no responde\n")
        assert (await get(port, "/")).status_code == 404
        assert (await get(port, "/metrics", "POST")).status_code == 405


async def test_what_is_no_request_does_no_harm() -> None:
    server = await observe.serve_metrics("127.0.0.1", 0, lambda: None)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for bad in (b"\r\n\r\n", b"\x00\xff", b"GET", b"G" * 100_000):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(bad)
            writer.close()
        assert (await get(port, "/healthz")).status_code == 200


def test_a_local_blob_store_says_how_much_room_it_has_and_a_remote_one_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "blobs á"
    folder.mkdir()
    observe.watch_disk("aquí", folder.as_uri())
    observe.watch_disk("lejos", "s3://prep")
    size = REGISTRY.get_sample_value("prep_blobs_size_bytes", {"part": "aquí"})
    assert size == shutil.disk_usage(tmp_path).total
    free = REGISTRY.get_sample_value("prep_blobs_free_bytes", {"part": "aquí"})
    assert free is not None
    assert 0 < free <= size
    assert REGISTRY.get_sample_value("prep_blobs_size_bytes", {"part": "lejos"}) is None
    folder.rmdir()
    gone = REGISTRY.get_sample_value("prep_blobs_free_bytes", {"part": "aquí"})
    assert gone is not None
    assert gone != gone, "a disk that is away has no number"  # noqa: PLR0124  # NaN


def test_a_clock_that_nobody_has_set_has_not_moved() -> None:
    moved = REGISTRY.get_sample_value("prep_clock_moved_seconds")
    assert moved is not None
    assert abs(moved) < 0.5


async def test_a_batch_says_since_when_its_oldest_message_waits(night: Night) -> None:
    bus = EmbeddedBus(night.app)
    before = datetime.now(UTC) - timedelta(seconds=1)
    await bus.publish([Message(Topic.ENTRIES, "a", "1", b"{}")])
    between = datetime.now(UTC)
    await bus.publish([Message(Topic.ENTRIES, "a", "2", b"{}")])
    seen: list[datetime] = []
    async for batch in bus.consume(Topic.ENTRIES, "g"):
        assert batch.since is not None
        seen += [batch.since] * len(batch.messages)
        if len(seen) == 2:
            break
    await bus.close()
    assert before < seen[0] < between + timedelta(seconds=1)
