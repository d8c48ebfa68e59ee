"""The map on the page of an election: painted in each corte, beside its table, and nothing that a verifier refuses."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prep.domain.corte import Phase
from prep.domain.territory_map import MAPS
from tests.conftest import Night
from tests.makers.maps import as_file, grid
from tests.makers.small_night import SmallNight, small_night
from tests.tamper.matrix import judge

DISTRITOS = [(33, number) for number in range(1, 7)]


@pytest.fixture
async def tonight(night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SmallNight]:
    """Six districts of one sección each, with a map."""
    pytest.importorskip("shapely", reason="el extra maps no está")
    monkeypatch.setattr("prep.rehearsal.synthetic.SECCIONES_PER_DISTRITO", 1)
    drawn = {f"{MAPS}distrito_local.geojson": as_file(grid(DISTRITOS))}
    async with small_night(night, tmp_path, casillas=18, changed=lambda files: files | drawn) as made:
        yield made


def drawings(tonight: SmallNight) -> tuple[str, str]:
    page = (tonight.office.public / "DIP_LOC" / "index.html").read_text(encoding="utf-8")
    first, second = re.findall(r'<svg class="map".*?</svg>', page)
    return first, second


async def test_the_map_shows_who_is_ahead_and_both_verifiers_take_the_page(tonight: SmallNight) -> None:
    await tonight.cut()
    before = drawings(tonight)
    assert before[0].count("<title>") == before[0].count(": sin votos aún</title>") == 6
    assert "url(" not in "".join(before)
    await tonight.count(tonight.sheets)
    await tonight.cut(Phase.FINAL)
    after = drawings(tonight)
    totals = json.loads((tonight.office.public / "cortes/0001/totals.json").read_bytes())["elecciones"]["DIP_LOC"]
    for contest in totals["contiendas"]:
        best = max(contest["candidaturas"], key=lambda each: each["votos"])
        options = " · ".join(best["opciones"])
        assert f"{contest['nombre']}: {options} lleva la delantera</title>" in after[0]
    assert all("url(#" in each for each in after)
    assert not (tonight.office.public / "GOB" / "index.html").read_text(encoding="utf-8").count('class="map"')
    for minimal in (False, True):
        verdict = judge(tonight.office.public, [], minimal=minimal)
        assert verdict.wrong == (), minimal


async def test_the_pages_of_an_election_without_a_map_have_its_squares_alone(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prep.rehearsal.synthetic.SECCIONES_PER_DISTRITO", 1)
    async with small_night(night, tmp_path, casillas=6) as tonight:
        await tonight.cut()
        page = (tonight.office.public / "DIP_LOC" / "index.html").read_text(encoding="utf-8")
        assert 'class="map"' not in page
        assert page.count('<ul class="tiles"') == 1
