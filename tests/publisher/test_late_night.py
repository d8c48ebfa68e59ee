"""A night that has not begun: its page, its alarm, and the tree of another night."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from prep import observe
from prep.domain.corte import Phase
from prep.errors import Rejected
from prep.store import leading
from prep.store.night import NightChanged
from publisher.command import check_tree
from publisher.schedule import Schedule
from publisher.service import Publisher
from tests.conftest import Night
from tests.makers.declared import REHEARSAL, TONIGHT, declare
from tests.makers.small_night import START, SmallNight, small_night

assert REHEARSAL.start is not None


@pytest.fixture
async def waiting(night: Night, tmp_path: Path) -> AsyncIterator[SmallNight]:
    """A declared night whose ceremony has not been held."""
    async with small_night(night, tmp_path, casillas=12, declared=REHEARSAL) as made:
        yield made


@pytest.mark.parametrize(("after", "late"), [(-1, False), (1, True)])
async def test_a_start_that_passes_without_corte_0_is_an_alarm_and_the_page_says_so(
    waiting: SmallNight, after: int, late: bool
) -> None:
    assert REHEARSAL.start is not None
    at = REHEARSAL.start + timedelta(minutes=after)
    publisher = Publisher(waiting.office, waiting.url, Schedule.of(REHEARSAL), clock=lambda: at)
    stop = asyncio.Event()
    loop = asyncio.create_task(publisher.run(stop))
    page = waiting.office.public / "index.html"
    while not page.exists() or publisher.ready.sentence() == "todavía no empieza su trabajo":  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    stop.set()
    await loop
    told = page.read_text()
    assert "domingo 6 de junio de 2027 a las 20:00, hora del centro" in told
    assert ("está retrasada" in told) == late
    assert "Simulacro" in told
    wrong = publisher.ready.sentence()
    assert (wrong is not None and "el corte 0 no ha salido" in wrong) == late
    assert publisher.health() == wrong
    assert observe.NIGHT_START._value.get() == REHEARSAL.start.timestamp()
    assert observe.NIGHT_OPEN._value.get() == 0
    assert not (waiting.office.public / "index.json").exists()


async def test_the_folder_of_another_night_is_not_published_into(night: Night, tmp_path: Path) -> None:
    """A rehearsal's folder reused for the real night published cortes that never reached the log."""
    async with small_night(night, tmp_path, casillas=12) as tonight:
        await tonight.cut()
        await tonight.cut()
        async with tonight.pool.acquire() as connection:
            await check_tree(tonight.office, connection)
            # The same folder, and a corte 0 of another night in it.
            other = tonight.at(tmp_path / "otro")
            shutil.copytree(tonight.office.public / "cortes", other.public / "cortes")
            (other.public / "cortes" / "0000" / "SHA256SUMS").write_text("")
            with pytest.raises(Rejected, match="es de otra noche"):
                await check_tree(other, connection)
            # The log of the other night alone.
            alone = tonight.at(tmp_path / "bitacora")
            (alone.public / "bitacora").mkdir()
            (alone.public / "bitacora" / "checkpoint").write_text(f"{TONIGHT.log_name}\n1\n")
            await check_tree(alone, connection)
            (alone.public / "bitacora" / "checkpoint").write_text("prep.example.mx/bitacora\n1\n")
            with pytest.raises(Rejected, match="es de otra noche"):
                await check_tree(alone, connection)
        # A corte that is there before it is cut is never taken for this night's.
        (tonight.office.public / "cortes" / "0002").mkdir()
        with pytest.raises(Rejected, match=r"0002 es de otra noche"):
            await tonight.cut(Phase.EN_CURSO)


async def test_a_publisher_of_an_earlier_declaration_ends_and_cuts_no_corte(night: Night, tmp_path: Path) -> None:
    async with small_night(night, tmp_path, casillas=12) as tonight:
        publisher = Publisher(tonight.office, tonight.url, Schedule.of(TONIGHT))
        await declare(night.owner, replace(TONIGHT, siglas="TAM"), at=START)
        with pytest.raises(NightChanged):
            await publisher.run(asyncio.Event())
        async with leading.cutting(tonight.url, patience=5) as leader, leader.using() as connection:
            assert await connection.fetchval("SELECT count(*) FROM corte") == 0
