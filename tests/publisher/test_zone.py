"""A night on the border, in which summer time ends: an hour comes twice, and each corte still has its own name."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prep.domain.corte import Phase
from prep.store import leading
from publisher.cut import Order, cut
from tests.conftest import Night
from tests.makers.declared import TONIGHT
from tests.makers.small_night import SmallNight, small_night
from tests.tamper.matrix import SOUND, judge

FIRST = datetime(2027, 11, 7, 8, 30, tzinfo=UTC)
"""01:30 in Tijuana, still UTC-7; one hour later it is 01:30 again, in UTC-8."""
MOMENTS = (FIRST, FIRST + timedelta(minutes=20), FIRST + timedelta(hours=1))


@pytest.fixture
async def tonight(night: Night, tmp_path: Path) -> AsyncIterator[SmallNight]:
    async with small_night(night, tmp_path, casillas=4, declared=replace(TONIGHT, zone="America/Tijuana")) as made:
        yield made


async def test_an_hour_that_comes_twice_gives_two_cortes_and_two_zips(tonight: SmallNight) -> None:
    office = tonight.office
    for number, at in enumerate(MOMENTS):
        phase = Phase.EN_CURSO if number else Phase.CERO
        async with leading.cutting(tonight.url, patience=5) as leader:
            await cut(office, leader, Order(phase, at, at + timedelta(minutes=20)))
    manifests = [
        json.loads((office.public / "cortes" / f"{number:04}" / "manifest.json").read_bytes())
        for number in range(len(MOMENTS))
    ]
    assert [held["fecha_hora"] for held in manifests] == [
        "2027-11-07T01:30:00-07:00",
        "2027-11-07T01:50:00-07:00",
        "2027-11-07T01:30:00-08:00",
    ]
    assert [held["zip"]["archivo"] for held in manifests] == [
        "zip/20271107_0130_PREP_EDO.zip",
        "zip/20271107_0150_PREP_EDO.zip",
        "zip/20271107_0130_PREP_EDO_0002.zip",
    ]
    lines = [
        (office.public / "cortes" / f"{number:04}" / held["elecciones"][0]["archivo"])
        .read_text("utf-8-sig")
        .split("\n")
        for number, held in enumerate(manifests)
    ]
    assert [held[1].strip() for held in lines] == [
        "07/11/2027 01:30 (UTC-7)",
        "07/11/2027 01:50 (UTC-7)",
        "07/11/2027 01:30 (UTC-8)",
    ]
    assert "Horas locales de la elección (UTC-8)." in (office.public / "index.html").read_text()
    for minimal in (False, True):
        assert judge(office.public, [], minimal=minimal) == SOUND
