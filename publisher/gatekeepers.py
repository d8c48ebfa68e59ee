"""The processes of the gate: as many as there are processors and work for them. Each is asked for one part at a time.

They start while the files are made, because an interpreter and its modules take longer to start than a small night to
check. They read nothing before they are asked.
"""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from prep.processes import send
from publisher import gate
from publisher.gate import MANY, CortePart, Expected
from publisher.gate_rows import GateFinding

GATE_SECONDS: Final = 900.0
"""A gate that takes longer for one part has failed; all parts of a national corte take some seconds."""
_ROWS_OF_A_START: Final = 10_000
"""Rows that the gate reads in about the time that one more process needs to start."""
_LONGEST_ANSWER: Final = 1 << 24

Asked = tuple[str, object]


class Gatekeepers:
    """The running processes of one corte."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes

    async def findings(self, expected: Mapping[str, Expected]) -> list[GateFinding]:
        """What the gate finds in the stage. `expected` says of each election what only the database knows."""
        # The largest parts first, so that all processes end at about the same time.
        elections = sorted(expected.items(), key=lambda item: -item[1].rows)
        waiting: Iterator[Asked] = iter(
            [*((code, asdict(each)) for code, each in elections), *((each, None) for each in CortePart)]
        )
        found = await asyncio.gather(*(_ask_for_each(process, waiting) for process in self._processes))
        # Processes may have died: no part may be left out.
        left = [GateFinding("lectura", part, "leído", "nadie lo leyó") for part, _ in waiting]
        return [finding for some in (*found, left) for finding in some]


async def _ask_for_each(process: Process, waiting: Iterator[Asked]) -> list[GateFinding]:
    findings: list[GateFinding] = []
    for part, expected in waiting:
        try:
            said = await asyncio.wait_for(_ask(process, part, expected), GATE_SECONDS)
            findings += [GateFinding(**each) for each in json.loads(said)]
        except TimeoutError:
            send(process, signal.SIGKILL)
            return [*findings, GateFinding("lectura", part, f"en {GATE_SECONDS:.0f} s", "no terminó")]
        # A gate that crashed has found nothing, but it has not passed the corte either.
        except (OSError, ValueError):
            _, failed = await process.communicate()
            return [*findings, GateFinding("lectura", part, "legible", failed.decode(errors="replace")[-500:])]
    return findings


async def _ask(process: Process, part: str, expected: object) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([part, expected]).encode() + b"\n")
    await process.stdin.drain()
    return await process.stdout.readline()


@asynccontextmanager
async def gatekeepers(stage: Path, root: Path, rows: Sequence[int]) -> AsyncIterator[Gatekeepers]:
    """Processes for a stage, whose elections have that many rows. They end with this."""
    worth = 1 + sum(rows) // _ROWS_OF_A_START
    engine = ["--columns"] if max(rows, default=0) >= MANY else []
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", gate.__name__, str(stage / "corte"), str(root), *engine),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            limit=_LONGEST_ANSWER,
        )
        for _ in range(min(os.cpu_count() or 2, len(rows) + 1, worth))
    ]
    try:
        yield Gatekeepers(processes)
    finally:
        for process in processes:
            send(process, signal.SIGKILL)
            await process.wait()
