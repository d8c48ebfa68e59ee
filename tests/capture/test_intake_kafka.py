"""With Kafka, images come in while PostgreSQL does not answer, and are processed when it is back; without Kafka, no receipt promises anything."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prep.bus.kafka import KafkaBus
from prep.bus.kafka_cluster import Cluster, create_topics
from prep.bus.kafka_dev import DevKafka
from prep.consumer import run
from prep.domain.hours import CENTRAL
from prep.messages import Topic
from prep.scan.decoders import Decoders
from prep.store import embedded
from prep.store.database import migrate, open_pool
from prep.worker import lines
from tests.makers.capture_room import Device, furnish, jpeg, open_room
from tests.makers.cord import KafkaCords, plugged_kafka
from tests.makers.waiting import until


@pytest.fixture
async def cords(kafka_one: DevKafka) -> AsyncIterator[KafkaCords]:
    async with plugged_kafka(kafka_one) as plugged:
        yield plugged


@pytest.fixture
async def cluster(cords: KafkaCords) -> Cluster:
    """A prefix of this test's own, with its topics."""
    made = Cluster(cords.bootstrap, prefix=f"t{uuid.uuid4().hex}.")
    await create_topics(made, 1)
    return made


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[embedded.Embedded]:
    """A PostgreSQL of this test's own, to stop and start."""
    started = await embedded.start(tmp_path / "postgres")
    await migrate(started.owner())
    yield started
    embedded.stop(tmp_path / "postgres")


async def test_images_come_in_while_postgres_is_away_and_are_processed_when_it_is_back(
    cluster: Cluster, server: embedded.Embedded, tmp_path: Path
) -> None:
    """Also in a process that was started while it did not answer: it remembers the devices."""
    device = Device("escaner-1")
    await furnish(server.owner(), device)
    async with open_room(server.app(), tmp_path, device=device, bus=KafkaBus(cluster)) as room:
        assert (await room.send(jpeg(1))).status_code == 201
        embedded.stop(tmp_path / "postgres")
        assert [(await room.send(jpeg(seed))).status_code for seed in (2, 3)] == [201, 201]
        assert (await room.http.get("/readyz")).status_code == 200
        assert (await room.http.get("/healthz")).status_code == 503
    async with open_room(server.app(), tmp_path, device=device, bus=KafkaBus(cluster)) as room:
        receipt = await room.send(jpeg(4))
        assert receipt.status_code == 201
        sha256 = receipt.json()["acuse"]["sha256"]
        assert (await room.http.get(f"/v1/receipts/{sha256}")).content == receipt.content
        await embedded.start(tmp_path / "postgres")
        decoders = Decoders(1, room.settings.blobs_url, room.settings.image_max_pixels)
        bus, pool, stop = KafkaBus(cluster), await open_pool(server.app()), asyncio.Event()
        working = asyncio.ensure_future(run(bus, pool, lines(room.settings, decoders, lambda: CENTRAL), stop=stop))

        async def all_processed() -> bool:
            rows = await pool.fetch("SELECT DISTINCT encode(sha256, 'hex') AS sha256 FROM image")
            return {row["sha256"] for row in rows} == {hashlib.sha256(jpeg(seed)).hexdigest() for seed in (1, 2, 3, 4)}

        async def all_acknowledged() -> bool:
            return await bus.lag(Topic.IMAGES, "digitize") == 0

        await until(all_processed)
        await until(all_acknowledged)
        stop.set()
        await working
        decoders.close()
        await bus.close()
        await pool.close()


async def test_with_kafka_away_the_sender_is_told_to_come_back_and_gets_no_promise(
    cluster: Cluster, cords: KafkaCords, server: embedded.Embedded, tmp_path: Path
) -> None:
    device, content = Device("escaner-1"), jpeg(2)
    sha256 = hashlib.sha256(content).hexdigest()
    await furnish(server.owner(), device)
    async with open_room(server.app(), tmp_path, device=device, bus=KafkaBus(cluster, patience=2.5)) as room:
        assert (await room.send(jpeg(1))).status_code == 201
        await cords.pull_out()
        away = await room.send(content, Sequence="2")
        assert (away.status_code, away.json()["error"]) == (503, "el bus no responde; intente de nuevo")
        assert int(away.headers["retry-after"]) > 0
        assert (await room.http.get(f"/v1/receipts/{sha256}")).status_code == 404
        await cords.plug_in()
        assert (await room.send(content, Sequence="2")).status_code == 201
        assert (await room.http.get(f"/v1/receipts/{sha256}")).status_code == 200
        assert await room.bus.lag(Topic.IMAGES, "digitize") >= 2
