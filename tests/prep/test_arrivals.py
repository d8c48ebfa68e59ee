"""An upload is a fact, and in the log with its proof, before anybody has looked into the image."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from integrity import layout
from integrity.log.audit import check_proof
from integrity.log.note import read_proof, trust_only
from prep import arrivals, pipeline
from prep.bus.contract import Bus
from prep.domain.hours import CENTRAL
from prep.messages import ImageReceived, Message, Topic
from prep.pipeline import Given
from prep.scan.reading import Reading
from prep.store import deliveries
from prep.store import pipeline as store
from prep.store.database import Connection, Pool, open_pool, transaction
from prep.store.unsettled import unsettled
from prep.upload import Digitalizacion, Origen, TipoDocumento
from tests.conftest import Night
from tests.makers.cord import plugged
from tests.makers.logged_night import AT, LoggedNight, logged_night
from tests.makers.waiting import PATIENCE, until

WEB = bytes(31) + b"w"


@asynccontextmanager
async def keeping(bus: Bus, pool: Pool) -> AsyncIterator[None]:
    stop = asyncio.Event()
    part = asyncio.create_task(arrivals.keep(bus, pool, stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE):
            await part


def upload(number: int, *, image: int | None = None) -> ImageReceived:
    return ImageReceived(
        sha256=f"{number if image is None else image:064x}", bytes=9, format="jpeg", device="catd-01",
        sequence=number, origen=Origen.CATD, digitalizacion=Digitalizacion.ESCANER, traslado="",
        tipo_documento=TipoDocumento.ACTA_PREP, acopio_at=AT, acta_hint="", received_at=AT + timedelta(seconds=number),
    )  # fmt: skip


async def facts(pool: Pool) -> list[int]:
    return [row["sequence"] for row in await pool.fetch("SELECT sequence FROM arrival ORDER BY number")]


async def digitize(pool: Pool, received: ImageReceived) -> None:
    reading = Reading(None, None, 9, 9, bytes(128), WEB, bytes(32))
    async with transaction(pool) as connection:
        await pipeline.digitized(connection, received, reading, Given(lambda: AT, lambda: 0.5, lambda: CENTRAL))


async def test_uploads_are_kept_once_by_either_group(bus: Bus, pool: Pool) -> None:
    await digitize(pool, upload(2))
    many = [upload(1), upload(2), upload(2), upload(3), upload(4, image=3)]
    await bus.publish([each.message() for each in many])
    async with keeping(bus, pool):
        await until(lambda: _is(facts(pool), [2, 1, 3, 4]))
        await until(lambda: _is(bus.lag(Topic.IMAGES, arrivals.GROUP), 0))  # and nobody is told of them again
    await digitize(pool, upload(3))
    assert await facts(pool) == [2, 1, 3, 4]
    states = await pool.fetch("SELECT encode(image, 'hex') AS image, state FROM image_current")
    assert {row["image"]: row["state"] for row in states} == {
        f"{1:064x}": "recibida",
        f"{2:064x}": "por_identificar",
        f"{3:064x}": "por_identificar",
    }


async def _is(coming: object, expected: object) -> bool:
    return await coming == expected  # type: ignore[misc,no-any-return]


async def test_other_messages_than_uploads_are_left_to_the_group_that_digitizes(bus: Bus, pool: Pool) -> None:
    later = replace(upload(2).message(), type="mx.prep.image.received.v2")
    await bus.publish([Message(Topic.IMAGES, "x", "x", b"{}"), later, upload(1).message()])
    async with keeping(bus, pool):
        await until(lambda: _is(facts(pool), [1]))


async def test_a_database_that_is_away_is_waited_for(
    night: Night, bus: Bus, pool: Pool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(arrivals, "PAUSE", 0.02)
    async with plugged(night.app) as cord, await open_pool(cord.url) as breaking, keeping(bus, breaking):
        await cord.pull_out()
        await bus.publish([upload(1).message()])
        await until(lambda: "arrivals wait" in caplog.text)
        await cord.plug_in()
        await until(lambda: _is(facts(pool), [1]))


async def test_a_proof_does_not_wait_for_anybody_to_read_the_image(night: Night, tmp_path: Path) -> None:
    async with logged_night(night, tmp_path) as tonight, await open_pool(night.app) as pool:
        async with transaction(pool) as connection:
            await store.arrive(connection, [upload(1), upload(2)])
        await tonight.log()
        assert kinds(tonight) == ["inicio", "imagen", "imagen"]
        data = (tonight.office.public / layout.proof_path(upload(1).sha256)).read_bytes()
        leaf = read_proof(data).extra
        assert leaf is not None
        assert check_proof(data, leaf, trust_only(tonight.office.signer.key)).exit_code == 0
        # The reading is told once it exists, with its image.
        await digitize(pool, upload(1))
        await tonight.log()
        assert kinds(tonight) == ["inicio", "imagen", "imagen", "derivada"]
        assert tonight.leaves()[-1] == {
            "tipo": "derivada", "numero": 3, "imagen": upload(1).sha256, "sha256": WEB.hex(), "acta": None,
        }  # fmt: skip
        assert (await tonight.compare()).pending == 0
        await tonight.by_owner("UPDATE reading SET web = image")
        with pytest.raises(Exception, match="«sha256»"):
            await tonight.compare()


def kinds(tonight: LoggedNight) -> list[object]:
    return [leaf["tipo"] for leaf in tonight.leaves()]


async def test_an_image_that_was_set_aside_does_not_hold_the_last_corte_back(pool: Pool, night: Night) -> None:
    """Nobody could read it: while it is set aside it is one that waits, and none once a person has dismissed it."""

    async def waiting() -> int:
        connection = await asyncpg.connect(night.app)
        try:
            open_ = await unsettled(connection)
            return open_.sin_leer + open_.apartados
        finally:
            await connection.close()

    async with transaction(pool) as connection:
        await store.arrive(connection, [upload(1)])
    assert await waiting() == 1
    async with transaction(pool) as connection:
        await deliveries.park(connection, "digitize", upload(1).message(), error="rota", at=AT)
    assert await waiting() == 1
    async with transaction(pool) as connection:
        await deliveries.dismiss(connection, 1, reason="es una hoja en blanco", at=AT)
    assert await waiting() == 0


async def test_a_reading_that_commits_late_is_not_skipped(night: Night, tmp_path: Path) -> None:
    """Numbers are given before transactions commit: a lower one may be there only after a higher one has its leaf."""
    async with logged_night(night, tmp_path) as tonight, await open_pool(night.app) as pool:
        async with transaction(pool) as connection:
            await store.arrive(connection, [upload(number) for number in range(1, 9)])
        async with tonight.scribe() as scribe, pool.acquire() as slow:
            late = slow.transaction()
            await late.start()
            await read(slow, 1)
            for number in range(2, 9):
                async with transaction(pool) as connection:
                    await read(connection, number)
                await scribe.turn()
            await late.commit()
            assert await scribe.turn() == 1
        assert kinds(tonight).count("derivada") == 8


async def read(connection: Connection, number: int) -> None:
    insert = """INSERT INTO reading (image, width, height, phash, web, thumb, read_at)
        VALUES ($1, 9, 9, repeat('0', 1024)::bit(1024), $2, $2, $3)"""
    await connection.execute(insert, bytes.fromhex(upload(number).sha256), WEB, AT)
