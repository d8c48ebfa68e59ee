"""The publisher as a process: the clock drives it, an error is an alarm and never its end, and it has a manual way."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest

from prep.domain.corte import Phase
from prep.errors import Rejected
from prep.rehearsal.installation import rehearsal_night
from prep.store import ceremony
from prep.store.database import Connection
from publisher.command import by_hand as run_by_hand
from publisher.cut import CorteOffice
from publisher.gate import GateFailure
from publisher.schedule import Schedule
from publisher.service import Publisher
from publisher.web import create_app
from tests.conftest import Night
from tests.makers.small_night import START, STEP, SmallNight, small_night

ALWAYS = Schedule(START, START + timedelta(hours=20), STEP, close_when_complete=False)


@pytest.fixture
async def tonight(night: Night, tmp_path: Path) -> AsyncIterator[SmallNight]:
    async with small_night(night, tmp_path, casillas=12) as made:
        yield made


def ticking(every: timedelta) -> Callable[[], datetime]:
    """A clock that moves by `every` at each look."""
    at = START - timedelta(minutes=1)

    def look() -> datetime:
        nonlocal at
        at += every
        return at

    return look


def index(office: CorteOffice) -> dict[str, object]:
    found: dict[str, object] = json.loads((office.public / "index.json").read_bytes())
    return found


async def test_the_loop_cuts_by_the_clock_until_it_is_stopped(tonight: SmallNight) -> None:
    await tonight.count(tonight.sheets[:10])
    stop = asyncio.Event()

    @contextmanager
    def enough(step: str) -> Iterator[None]:
        yield
        if step == "index" and index(tonight.office)["corte"] == 2:
            stop.set()

    publisher = Publisher(replace(tonight.office, step=enough), tonight.url, ALWAYS, ticking(timedelta(minutes=3)))
    await asyncio.wait_for(publisher.run(stop), 60)
    assert index(tonight.office)["corte"] == 2
    assert publisher.health() is None
    assert publisher.ready.sentence() is None
    publisher.clock = lambda: START + timedelta(hours=3)
    assert "está retrasado" in str(publisher.health())


async def test_a_clock_set_back_by_an_hour_stops_no_corte_and_no_corte_goes_back(tonight: SmallNight) -> None:
    stop, times = asyncio.Event(), list[datetime]()

    def clock() -> datetime:
        return START + (timedelta(hours=1) if len(times) < 3 else timedelta())

    @contextmanager
    def watched(step: str) -> Iterator[None]:
        yield
        if step == "index":
            assert publisher.last is None or index(tonight.office)["corte"] == publisher.last.number + 1
            times.append(datetime.fromisoformat(str(index(tonight.office)["fecha_hora"])))
            if len(times) == 6:
                stop.set()

    often = replace(ALWAYS, interval=timedelta(milliseconds=300))
    publisher = Publisher(replace(tonight.office, step=watched), tonight.url, often, clock)
    await asyncio.wait_for(publisher.run(stop), 60)
    assert times == sorted(times)
    assert times[-1] >= START + timedelta(hours=1)
    assert publisher.health() is None


async def test_a_gate_failure_is_an_alarm_and_the_next_try_goes_on(tonight: SmallNight) -> None:
    publisher = Publisher(tonight.office, tonight.url, ALWAYS, ticking(STEP))
    await publisher.turn(publisher._due)
    await tonight.count(tonight.sheets[:10])
    owner = await asyncpg.connect(tonight.owner)
    await _one_vote_more(owner, 1)
    with pytest.raises(GateFailure) as failed:
        await publisher.turn(publisher._due)
    await publisher._alarm(failed.value)
    assert publisher.ready.sentence() is None, "people must look; the process can go on"
    assert "trece_valores" in str(publisher.health()) or "se esperaba" in str(publisher.health())
    [event] = await owner.fetch("SELECT kind, subject, detail FROM event")
    assert (event["kind"], event["subject"]) == ("compuerta", "corte 1")
    assert json.loads(event["detail"])["hallazgos"]
    assert index(tonight.office)["corte"] == 0
    await _one_vote_more(owner, -1)
    await owner.close()
    corte = await publisher.turn(publisher._due)
    assert corte is not None
    assert corte.number == 1


async def _one_vote_more(owner: Connection, votes: int) -> None:
    await owner.execute(
        "UPDATE acta_version SET calculado = calculado + $1 WHERE id = (SELECT min(id) FROM acta_version WHERE contabilizada = 1)",
        votes,
    )


async def test_a_second_publisher_is_no_alarm(tonight: SmallNight) -> None:
    one = Publisher(tonight.office, tonight.url, ALWAYS, ticking(STEP))
    two = Publisher(tonight.office, tonight.url, ALWAYS, ticking(STEP))
    results = await asyncio.gather(one.turn(one._due), two.turn(two._due), return_exceptions=True)
    for publisher, result in zip((one, two), results, strict=True):
        if isinstance(result, Exception):
            await publisher._alarm(result)
            assert publisher.health() is None
    assert index(tonight.office)["corte"] in {0, 1}


async def test_by_hand_from_the_database_alone(tonight: SmallNight, tmp_path: Path) -> None:
    await tonight.count(tonight.sheets[:10])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")} | {
        "PREP_DATABASE": tonight.url,
        "PREP_DATA": str(tmp_path),
        "PREP_PUBLIC": str(tonight.office.public),
    }

    async def publish(*words: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "prep.operations", "publish", *words, env=environment, stdout=-1, stderr=-1
        )
        out, said = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode() or said.decode().splitlines()[-1]

    assert (await publish("--from-db"))[1].startswith("corte 0 (cero)")
    assert (await publish("--once"))[1].startswith("corte 1 (en curso)")
    # The last corte ends the night for good: it names the open work, and asks.
    asked = await publish("--final")
    assert asked == (2, "prep: no se cerró; para cerrar así, repita la orden con --confirm")
    assert index(tonight.office)["corte"] == 1
    status, said = await publish("--final", "--confirm")
    assert (status, said[:16]) == (0, "corte 2 (final) ")
    assert (await publish("--final"))[1].startswith("corte 2 (final)")  # ordered twice, done once
    assert await publish("--once") == (2, "prep: el último corte ya se publicó; ya no se corta")
    assert index(tonight.office)["fase"] == Phase.FINAL


async def test_the_published_tree_over_http(tonight: SmallNight) -> None:
    publisher = Publisher(tonight.office, tonight.url, ALWAYS, ticking(STEP))
    transport = httpx.ASGITransport(create_app(publisher))
    async with httpx.AsyncClient(transport=transport, base_url="http://prep") as client:
        assert (await client.get("/index.json")).status_code == 404
        assert (await client.get("/healthz")).status_code == 503
        assert (await client.get("/livez")).text == "el proceso responde\n"
        not_yet = await client.get("/readyz")
        assert (not_yet.status_code, not_yet.text) == (503, "todavía no empieza su trabajo\n")
        await publisher.turn(publisher._due)
        first = await client.get("/index.json")
        assert (first.json()["corte"], first.headers["Access-Control-Allow-Origin"]) == (0, "*")
        again = await client.get("/index.json", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        of_the_corte = ("manifest.json", "totals.json", "images.csv", "SHA256SUMS", "no-hay.csv")
        for path in (*(f"cortes/0000/{name}" for name in of_the_corte), "inicio.json", "esquemas/index.json", ".x", ""):
            answer = await client.get(f"/{path}", headers={"Origin": "https://diario.example"})
            assert answer.headers["Access-Control-Allow-Origin"] == "*", path
            assert answer.status_code == (404 if path in {".x", "cortes/0000/no-hay.csv"} else 200)
            assert "Access-Control-Allow-Credentials" not in answer.headers
        assert (await client.post("/inicio.json")).status_code == 405
        page = await client.get("/")
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        sums = await client.get("/cortes/0000/SHA256SUMS")
        assert "immutable" in sums.headers["Cache-Control"]
        assert sums.headers["Content-Type"].startswith("text/plain")
        (tonight.office.public / ".corte-0001-x").mkdir()
        (tonight.office.public / ".corte-0001-x" / "a.csv").write_text("a medias")
        assert (await client.get("/.corte-0001-x/a.csv")).status_code == 404
        assert "prep_corte_number" in (await client.get("/metrics")).text


async def test_with_a_ceremony_the_loop_waits_for_it_and_then_goes_on(night: Night, tmp_path: Path) -> None:
    declared = rehearsal_night(ceremony=True)
    async with small_night(night, tmp_path, casillas=12, declared=declared) as tonight:
        await waits_for_the_ceremony(tonight)


async def waits_for_the_ceremony(tonight: SmallNight) -> None:
    waiting = Publisher(tonight.office, tonight.url, ALWAYS, clock=ticking(STEP))
    stop = asyncio.Event()
    loop = asyncio.create_task(waiting.run(stop))
    while waiting.wrong is not None:  # noqa: ASYNC110  # until it has looked and found no fault
        await asyncio.sleep(0.01)
    assert not (tonight.office.public / "index.json").exists()
    person = Publisher(tonight.office, tonight.url, ALWAYS, clock=ticking(STEP))
    # A ceremony that was not held, or that refused, leaves no record: corte 0 cannot be had around it.
    for how in ({"zero": True}, {"zero": False}, {"final": True}):
        with pytest.raises(Rejected, match="prep zero"):
            await run_by_hand(person, **{"final": False, **how})
    async with tonight.pool.acquire() as connection:
        await ceremony.add(connection, "cero", "inicio", "{}", START)
    assert await run_by_hand(person, final=False, zero=True) == 0
    assert await run_by_hand(person, final=False, zero=True) == 0  # and no other corte
    while waiting.last is None or waiting.last.number == 0:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    stop.set()
    await loop
    assert index(tonight.office)["corte"] == waiting.last.number
