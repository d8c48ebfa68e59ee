"""The sticker says one acta and the device another: the sticker decides, the other acta stays as it is, and people are told."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from integrity.leaves import INCIDENTS
from prep.bus.contract import Bus
from prep.consumer import run
from prep.domain.entry import HEADER, TOTAL
from prep.domain.hours import CENTRAL
from prep.messages import Topic
from prep.rehearsal.drawing.acta import draw
from prep.rehearsal.drawing.press import PrintedForm
from prep.scan.decoders import Decoders
from prep.store.database import Pool
from prep.worker import lines
from tests.conftest import Night
from tests.makers.capture_room import VALUES, Room, furnished, qr
from tests.makers.waiting import PATIENCE, until

FORM = PrintedForm(
    "Diputaciones locales", "Nuevo Laredo", HEADER, ("PAN", "PRI", "PAN-PRI", "NO_REGISTRADAS", "NULOS"), TOTAL
)
NOWHERE = 99
"""The number of an acta that is in no catalogue."""


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


def photograph(acta: int) -> bytes:
    """A drawn acta of the district that has this QR on its sticker."""
    numbers = {code: value for code, value in VALUES.items() if isinstance(value, int)}
    return draw(FORM, numbers, qr(acta), rng=random.Random(acta), size=(1100, 717))


@asynccontextmanager
async def working(room: Room) -> AsyncIterator[None]:
    """The lines of the real worker, with decoding processes of their own."""
    stop = asyncio.Event()
    decoders = Decoders(1, room.settings.blobs_url, room.settings.image_max_pixels)
    part = asyncio.create_task(run(room.bus, room.pool, lines(room.settings, decoders, lambda: CENTRAL), stop=stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE):
            await part
        decoders.close()


async def digitized(bus: Bus) -> None:
    async def done() -> bool:
        return not await bus.lag(Topic.IMAGES, "digitize")

    await until(done)


async def events(pool: Pool) -> list[tuple[str, str, dict[str, str]]]:
    rows = await pool.fetch("SELECT kind, subject, detail FROM event ORDER BY id")
    return [(row["kind"], row["subject"], json.loads(row["detail"])) for row in rows]


async def stands(pool: Pool, acta: int) -> tuple[str, str | None, int]:
    """Its state, its current image, and how many captures of it wait."""
    row = await pool.fetchrow(
        "SELECT c.estado, encode(c.image, 'hex') AS image, (SELECT count(*)::int FROM task WHERE acta = $1) AS tasks"
        " FROM (SELECT) nothing LEFT JOIN acta_current c ON c.acta = $1",
        acta,
    )
    assert row is not None
    return row["estado"] or "Esperada", row["image"], row["tasks"]


async def sent(room: Room, *, sticker: int, device: int | None) -> str:
    """An upload whose device says that it is of the acta `device`; the digest of its image."""
    answer = await room.send(photograph(sticker), Acta=None if device is None else qr(device))
    assert answer.is_success, answer.text
    sha256: str = answer.json()["acuse"]["sha256"]
    return sha256


async def test_the_sticker_decides_whose_an_image_is_and_a_device_that_says_otherwise_is_an_incident(
    room: Room,
) -> None:
    async with working(room):
        one = await sent(room, sticker=1, device=2)
        await digitized(room.bus)
        told = ("identidad_difiere", one, {"qr": qr(1), "dispositivo": qr(2)})
        assert await events(room.pool) == [told]
        assert await stands(room.pool, 1) == ("Digitalizada", one, 1)
        assert await stands(room.pool, 2) == ("Esperada", None, 0)
        statements = await room.pool.fetch("SELECT source, identity FROM identification")
        assert [tuple(row) for row in statements] == [("qr", qr(1))], "the device's word is no statement of whose it is"

        await sent(room, sticker=1, device=2)
        await digitized(room.bus)
        assert await events(room.pool) == [told], "the same image again is no other incident"

        two = await sent(room, sticker=2, device=2)
        await digitized(room.bus)
        assert await events(room.pool) == [told], "they say the same"
        assert await stands(room.pool, 1) == ("Digitalizada", one, 1)
        assert await stands(room.pool, 2) == ("Digitalizada", two, 1)
    assert told[0] in INCIDENTS, "the public log has a leaf of it"


@pytest.mark.parametrize(
    ("sticker", "device", "state"), [(3, NOWHERE, "identificada"), (NOWHERE, 4, "por_identificar")]
)
async def test_an_acta_that_no_catalogue_knows_on_one_side_is_an_incident_as_well(
    room: Room, sticker: int, device: int, state: str
) -> None:
    async with working(room):
        image = await sent(room, sticker=sticker, device=device)
        await digitized(room.bus)
    assert await events(room.pool) == [("identidad_difiere", image, {"qr": qr(sticker), "dispositivo": qr(device)})]
    assert await room.pool.fetchval("SELECT state FROM image_current") == state
    assert await stands(room.pool, 3) == (("Digitalizada", image, 1) if sticker == 3 else ("Esperada", None, 0))
    assert await stands(room.pool, 4) == ("Esperada", None, 0)
