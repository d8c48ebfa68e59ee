"""Every process serves its metrics and its probes."""

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client import REGISTRY

from integrity import VERSION
from prep import consumer, observe
from prep.blobs import Blobs
from prep.bus.table import EmbeddedBus
from prep.messages import Message, Topic
from prep.store.database import open_pool
from tests.conftest import Night
from tests.makers.cord import plugged
from tests.makers.waiting import until


async def get(port: int, path: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.request(method, f"http://127.0.0.1:{port}{path}")


async def test_a_process_tells_its_metrics_and_its_health() -> None:
    wrong: list[str] = []
    ready = observe.Readiness()
    health = lambda: wrong[0] if wrong else None  # noqa: E731
    async with observe.serving_probes("127.0.0.1", 0, health=health, ready=ready.sentence) as port:
        metrics = await get(port, "/metrics")
        assert metrics.status_code == 200
        assert "# HELP prep_bus_lag_messages Messages not yet acknowledged." in metrics.text
        assert metrics.headers["content-type"].startswith("text/plain")
        assert (await get(port, "/healthz")).text == "ok\n"
        wrong.append("la base de datos no responde")
        sick = await get(port, "/healthz?x=1")
        assert (sick.status_code, sick.text) == (503, "la base de datos no responde\n")
        assert sick.headers["content-type"] == "text/plain; charset=utf-8"
        assert (await get(port, "/livez")).text == "el proceso responde\n", "a restart would not heal it"
        assert (await get(port, "/")).status_code == 404
        assert (await get(port, "/metrics", "POST")).status_code == 405


async def test_a_process_is_ready_while_its_loop_says_so() -> None:
    ready = observe.Readiness()
    async with observe.serving_probes("127.0.0.1", 0, health=lambda: None, ready=ready.sentence) as port:

        async def told() -> tuple[int, str]:
            answer = await get(port, "/readyz")
            return answer.status_code, answer.text

        assert await told() == (503, "todavía no empieza su trabajo\n")
        ready.tell(None)
        assert await told() == (200, "puede trabajar\n")
        ready.tell("no responde: el bus")
        assert await told() == (503, "no responde: el bus\n")


def test_a_loop_that_is_silent_is_not_ready() -> None:
    ready = observe.Readiness(patience=-1)
    ready.tell(None)
    assert "no da señales" in str(ready.sentence())


async def test_a_worker_is_not_ready_while_something_it_needs_is_away(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "_SAMPLE", 0.05)
    ready = observe.Readiness()
    stop = asyncio.Event()
    blobs = Blobs.open(tmp_path.as_uri())
    async with plugged(night.app) as cord, await open_pool(cord.url) as pool:
        bus = EmbeddedBus(night.app)
        looking = asyncio.create_task(
            consumer.sample(bus, pool, [(Topic.ENTRIES, "g")], stop=stop, blobs=blobs, ready=ready)
        )

        async def says(sentence: str | None) -> bool:
            return ready.sentence() == sentence

        await until(lambda: says(None))
        await cord.pull_out()
        await until(lambda: says("no responde: PostgreSQL"))
        await cord.plug_in()
        await until(lambda: says(None))
        stop.set()
        await looking
        await bus.close()


def test_a_process_says_its_version_which_is_that_of_the_project() -> None:
    assert REGISTRY.get_sample_value("prep_build_info", {"version": VERSION}) == 1


def test_metrics_have_the_names_that_their_kind_asks_for() -> None:
    ours = [metric for metric in REGISTRY.collect() if metric.name.startswith("prep_")]
    assert len(ours) > 40
    for metric in ours:
        assert metric.documentation.endswith("."), metric.name
        assert metric.type != "histogram" or metric.name.endswith("_duration_seconds"), metric.name
        assert not [sample.name for sample in metric.samples if sample.name.endswith("_created")]


async def test_bytes_that_are_no_request_do_no_harm() -> None:
    async with observe.serving_probes("127.0.0.1", 0, health=lambda: None, ready=lambda: None) as port:
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
    assert gone != gone, "a disk that does not answer has no number"  # noqa: PLR0124  # NaN


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
