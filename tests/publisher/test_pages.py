"""The pages that a corte writes: those whose facts changed, by any process, and byte for byte those of a full render."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from integrity.layout import section_page
from prep.domain.acta import Estado
from prep.domain.catalog import Acta
from prep.errors import Unavailable
from prep.rehearsal.replay import Sheet
from publisher.page_writer import SiteWriter
from publisher.press import PagePress
from publisher.views import WAITING
from tests.conftest import Night
from tests.makers.small_night import START, SmallNight, small_night
from tests.publisher.test_cut import STEPS, Killed, failing, tree, until
from tests.publisher.test_cut_kept import typed_again


@pytest.fixture
async def tonight(night: Night, tmp_path: Path) -> AsyncIterator[SmallNight]:
    async with small_night(night, tmp_path) as made:
        yield made


async def come_further(tonight: SmallNight, rng: random.Random, sheets: Iterable[Sheet]) -> dict[str, str]:
    """Images of these actas come, or are ready to be typed; by clocks that are hours wrong. State by QR text."""
    states: dict[str, str] = {}
    async with tonight.pool.acquire() as connection:
        for sheet in sheets:
            acta = next(each.id for each in tonight.catalog.actas if each.qr == sheet.qr)
            at = START + timedelta(minutes=rng.randrange(-300, 300))
            await connection.execute(
                "INSERT INTO acta_current (acta, estado, changed_at) VALUES ($1, 'Esperada', $2) ON CONFLICT DO NOTHING",
                *(acta, at),
            )
            states[sheet.qr] = await connection.fetchval(
                """UPDATE acta_current SET changed_at = $2,
                    estado = CASE estado WHEN 'Esperada' THEN 'Acopiada' ELSE 'Digitalizada' END
                WHERE acta = $1 RETURNING estado""",
                *(acta, at),
            )
    return states


def said_of(tonight: SmallNight, public: Path, acta: Acta) -> str:
    """The state of an acta as the page of its sección says it."""
    code = next(each.code for each in tonight.catalog.elections if each.id == acta.election)
    page = section_page(int(acta.clave[:2]), int(acta.clave[2:6]))
    told = json.loads((public / page).with_suffix(".json").read_bytes())
    of_casillas = [each for casilla in told["datos"] for each in casilla["actas"]]
    (state,) = [each["estado"] for each in of_casillas if (each["eleccion"], each["acta"]) == (code, acta.clave)]
    return str(state)


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all pages that this process rendered, also of those that were not written."""
    seen: list[str] = []
    base = SiteWriter.common

    def watched(self: SiteWriter, name: str) -> dict[str, object]:
        seen.append(name)
        return base(self, name)

    monkeypatch.setattr(SiteWriter, "common", watched)
    return seen


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The publisher dies in the middle of its pages: when it has written so many files. Empty: it lives."""
    left: list[int] = []
    base = SiteWriter.put

    def put(self: SiteWriter, path: Path, content: bytes) -> None:
        if left:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
        base(self, path, content)

    monkeypatch.setattr(SiteWriter, "put", put)
    return left


@pytest.mark.parametrize(("seed", "processes"), [(7, 1), (11, 2)])
async def test_the_pages_of_a_random_night_are_those_of_a_full_render(
    tonight: SmallNight, tmp_path: Path, mortal: list[int], seed: int, processes: int
) -> None:
    """Actas come, are typed, and are typed again; a publisher that is killed anywhere is followed by one that goes on."""
    rng = random.Random(seed)
    by_qr = {acta.qr: acta for acta in tonight.catalog.actas}
    waiting = rng.sample(tonight.sheets, len(tonight.sheets))
    counted: list[Sheet] = []
    on_their_way: dict[str, str] = {}
    press = PagePress(processes, worth=0)
    public = tonight.office.public
    try:
        mortal.append(rng.randrange(30))
        with pytest.raises(Killed):
            await tonight.cut(office=replace(tonight.office, press=PagePress(1)))
        mortal.clear()
        await until(tonight, 0, office=replace(tonight.office, press=press))
        for number in range(1, 6):
            some = [waiting.pop() for _ in range(min(len(waiting), rng.choice([0, 1, 7, 60])))]
            again = [each for each in counted if each.values is not None and each.qr in by_qr]
            await tonight.count([*some, *(typed_again(rng, each) for each in rng.sample(again, min(len(again), 3)))])
            counted += some
            able = [each for each in waiting if each.values is not None and each.qr in by_qr]
            on_their_way |= await come_further(tonight, rng, rng.sample(able, min(len(able), rng.choice([0, 2, 9]))))
            if rng.random() < 0.5:  # in the pages of the actas, of the secciones, of the places
                mortal.append(rng.randrange(60))
                with suppress(Killed):  # a corte in which little changed may have fewer files
                    await tonight.cut(office=replace(tonight.office, press=PagePress(1)))
                mortal.clear()
            else:
                office = failing(replace(tonight.office, press=press), rng.choice(STEPS), after=rng.random() < 0.5)
                with pytest.raises(Killed):
                    await tonight.cut(office=office)
            if rng.random() < 0.3:
                press.close()  # another publisher, which knows nothing of this tree
                press = PagePress(processes, worth=0)
            await until(tonight, number, office=replace(tonight.office, press=press))
            out = {each.qr for each in counted}
            for qr, state in on_their_way.items():
                if qr not in out:
                    assert said_of(tonight, public, by_qr[qr]) == WAITING[Estado(state)][0]
        whole = replace(tonight.at(tmp_path / "entero"), full=True, press=PagePress(1))
        await until(tonight, tonight.cut_so_far - 1, office=whole)
        assert tree(whole.public) == tree(public)
    finally:
        press.close()


async def test_a_corte_renders_what_changed_however_soon_it_comes(tonight: SmallNight, rendered: list[str]) -> None:
    await tonight.cut()
    await tonight.count(tonight.sheets[:60])
    await tonight.cut()
    known = {acta.qr: acta for acta in tonight.catalog.actas}
    codes = {each.id: each.code for each in tonight.catalog.elections}
    able = [each for each in tonight.sheets[60:] if each.values is not None and each.qr in known]
    await tonight.count(able[:2])
    await come_further(tonight, random.Random(1), able[2:3])
    rendered.clear()
    await tonight.cut()
    new, coming = [known[each.qr] for each in able[:2]], known[able[2].qr]
    pages = {name for name in rendered if name.count("/")}
    actas = {f"{codes[acta.election]}/{acta.clave}.html" for acta in new}
    sections = {section_page(int(acta.clave[:2]), int(acta.clave[2:6])) for acta in (*new, coming)}
    assert {name for name in pages if name.split("/")[1][:2].isdigit() and "seccion" not in name} == actas
    assert {name for name in pages if name.startswith("seccion/")} == sections
    district = {each.id: each.distrito_local for each in tonight.catalog.casillas}
    assert {name for name in pages if "/lugar-" in name} == {
        f"{codes[acta.election]}/lugar-{int(acta.clave[:2])}-{district[acta.casilla]}.html" for acta in new
    }
    # Nothing moved since: no acta, no sección, no place.
    rendered.clear()
    await tonight.cut()
    assert {name for name in rendered if name.startswith("seccion/") or "/lugar-" in name} == set()


async def test_a_process_of_the_press_that_dies_stops_the_corte_and_the_next_try_brings_it_out(
    tonight: SmallNight,
) -> None:
    press = PagePress(2, worth=0)
    office = replace(tonight.office, press=press)
    try:
        await tonight.cut(office=office)
        before = tree(tonight.office.public)
        for slot in press.slots():
            for pid in slot._processes:
                os.kill(pid, signal.SIGKILL)
        await tonight.count(tonight.sheets[:20])
        with pytest.raises(Unavailable, match="proceso que escribe páginas"):
            await tonight.cut(office=office)
        assert tree(tonight.office.public)["index.json"] == before["index.json"]
        await until(tonight, 1, office=office)
    finally:
        press.close()


ORPHANS = """
import asyncio, os, sys, time
from publisher.press import PagePress
if __name__ == "__main__":
    press = PagePress(2)
    for slot in press.slots():
        print(slot.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""


def test_the_processes_of_the_press_die_with_the_publisher(tmp_path: Path) -> None:
    program = tmp_path / "one_publisher.py"
    program.write_text(ORPHANS)
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(2)]
        process.kill()
    deadline = time.monotonic() + 30
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
