"""Two publishers, and one leads.

If it is killed, cut off or stopped, the other takes over, and no corte is double or missing.
"""

import asyncio
import hashlib
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import pytest

from prep.rehearsal.installation import rehearsal_night
from tests.conftest import Night
from tests.makers.small_night import SmallNight, small_night
from tests.makers.waiting import until
from tests.tamper.matrix import SOUND, judge

INTERVAL = 2


@pytest.fixture
async def tonight(night: Night, tmp_path: Path) -> AsyncIterator[SmallNight]:
    async with small_night(night, tmp_path, casillas=12, declared=rehearsal_night(interval=INTERVAL)) as made:
        await made.count(made.sheets[:12])
        yield made


@dataclass
class Process:
    """A real `python -m publisher`."""

    process: asyncio.subprocess.Process
    port: int
    public: Path

    async def gauge(self, name: str) -> float | None:
        """The value of a gauge; None if the process does not answer."""
        try:
            async with httpx.AsyncClient(timeout=20) as http:  # the process may be stopped; the caller asks again
                text = (await http.get(f"http://127.0.0.1:{self.port}/metrics")).text
        except httpx.TransportError:
            return None
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else None

    async def leads(self) -> bool:
        return await self.gauge('prep_leader{role="publisher"}') == 1

    async def stands_by(self) -> bool:
        return await self.gauge('prep_leader{role="publisher"}') == 0

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def publishing(tonight: SmallNight, folder: Path, name: str, public: Path, *words: str) -> AsyncIterator[Process]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
    ours = {
        "PREP_DATABASE": tonight.url,
        "PREP_DATA": str(folder / name),
        "PREP_PUBLIC": str(public),
        "PREP_BLOBS": (folder / "blobs").as_uri(),
        "PREP_PUBLISHER_METRICS_PORT": str(port),
    }
    with (folder / f"{name}.txt").open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "prep.operations", "publish", *words, env=clean | ours, stdout=out, stderr=out
        )
    made = Process(process, port, public)
    try:
        yield made
    finally:
        await made.kill()


async def last_corte(tonight: SmallNight) -> int:
    async with tonight.pool.acquire() as connection:
        number: int = await connection.fetchval("SELECT coalesce(max(number), -1) FROM corte")
        return number


async def goes_on(tonight: SmallNight, leader: Process) -> None:
    """Wait until two more cortes are on record and published in the leader's tree."""
    wanted = await last_corte(tonight) + 2

    async def more() -> bool:
        return (leader.public / "cortes" / f"{wanted:04}").exists()

    await until(more)


async def cut_off(tonight: SmallNight) -> None:
    """End the database sessions of all publishers, as a restart of PostgreSQL does."""
    owner = await asyncpg.connect(tonight.owner)
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'prep-publisher' AND datname = current_database()"
    )
    await owner.close()


async def everything_is_out_once(tonight: SmallNight, public: Path) -> None:
    """The tree holds the cortes on record and no others, each as recorded; and `integrity verify` approves it."""
    async with tonight.pool.acquire() as connection:
        recorded = await connection.fetch("SELECT number, previous, sums FROM corte ORDER BY number")
    assert [(row["number"], row["previous"]) for row in recorded] == [
        (number, number - 1 if number else None) for number in range(len(recorded))
    ]
    out = {path.name: hashlib.sha256((path / "SHA256SUMS").read_bytes()).hexdigest() for path in (public / "cortes").iterdir()}  # fmt: skip
    assert out == {f"{row['number']:04}": row["sums"] for row in recorded}
    # The tree has no log and no seals. It has no fault; its reader has no key.
    assert await asyncio.to_thread(judge, public, [], minimal=False) == SOUND


@pytest.mark.parametrize("trees", ["one tree", "a tree for each"])
async def test_another_publisher_takes_over_from_a_leader_that_is_killed_cut_off_or_stopped(
    tonight: SmallNight, tmp_path: Path, trees: str
) -> None:
    here = tonight.office.public
    there = here if trees == "one tree" else tmp_path / "otro"
    async with publishing(tonight, tmp_path, "uno", here) as one:
        await until(one.leads)
        async with publishing(tonight, tmp_path, "dos", there) as two:
            await until(two.stands_by)
            await goes_on(tonight, one)
            assert await one.leads()

            await one.kill()
            await until(two.leads)
            await goes_on(tonight, two)

            async with publishing(tonight, tmp_path, "tres", here) as three:
                await until(three.stands_by)
                two.stop()
                await until(three.leads)
                await tonight.count(tonight.sheets[12:])
                await goes_on(tonight, three)
                two.go_on()
                await until(two.stands_by)
                await goes_on(tonight, three)
                assert await three.leads()

                await cut_off(tonight)

                async def one_leads() -> bool:
                    return [await three.leads(), await two.leads()].count(True) == 1

                await until(one_leads)
                await goes_on(tonight, three if await three.leads() else two)
                for process in (two, three):
                    process.process.terminate()
                    assert await process.process.wait() == 0
    for public in {here, there}:  # cut the last corte by hand; this also completes a second tree
        async with publishing(tonight, tmp_path, "mano", public, "--final", "--confirm") as hand:
            assert await hand.process.wait() == 0
        await everything_is_out_once(tonight, public)
    said = "".join((tmp_path / f"{name}.txt").read_text() for name in ("uno", "dos", "tres", "mano"))
    assert "Traceback" not in said, said[said.index("Traceback") :][:3000]
    assert "compuerta" not in said
