"""The press: processes that write pages, on all cores, kept from one corte to the next.

A corte with few pages is written by the publisher itself: a process takes longer to start. With many, each process is
given the edition once, and then batches; it holds two batches at most, so memory does not grow with the corte. Pages
are written in the stage and renamed, so the licence of `cut` holds for every process: without the stage each of them
stops at its next page. They die with the publisher.
"""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import aclosing
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from prep.domain.catalog import ElectionId
from prep.domain.corte import Seccion
from prep.errors import Unavailable
from prep.processes import die_with_parent, give_back_memory
from publisher.page_work import BatchDone, Edition, KeptLines, PageWork
from publisher.views import Place

WORTH: Final = 1_500
"""Pages that the publisher writes by itself in about the time that the processes need to start."""
MOST: Final = 8
"""Processes: each takes about 60 MB."""
_AHEAD: Final = 2
"""Batches that a process holds: one in work, and one so that it never waits."""
_AHEAD_OF_ALL: Final = 16
"""Batches that are read and wait for a process. A batch takes about one MB."""

Batch = tuple[str, Sequence[Any]]
"""A name of `page_work.KINDS`, and what pages of that kind are written from."""
Batches = AsyncGenerator[Batch, None]
ListedPlace = tuple[ElectionId, Place]


@dataclass(frozen=True, slots=True)
class Known:
    """What the pages of a tree say, as the publisher that wrote them knows it."""

    far: Mapping[Seccion, str] = field(default_factory=dict)
    """How far the actas on their way had come."""
    lines: Mapping[ListedPlace, KeptLines] = field(default_factory=dict)
    """The lists of actas of places."""


class PagePress:
    """The processes, and the state of the trees that this publisher wrote."""

    def __init__(self, processes: int | None = None, *, worth: int = WORTH) -> None:
        """`processes`: by default one for each core that this process may use; with one core none."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.processes = min(cores, MOST) if processes is None else processes
        self.worth = worth
        self._slots: list[ProcessPoolExecutor] = []
        self._known: dict[Path, tuple[int, Known]] = {}

    def slots(self) -> list[ProcessPoolExecutor]:
        """The processes; they start with their first work."""
        if not self._slots:
            # Spawned: a forked child would hold the locks of threads it does not have. One process in each pool: every
            # one of them gets the edition.
            self._slots = [ProcessPoolExecutor(1, get_context("spawn"), _begin_process) for _ in range(self.processes)]
        return self._slots

    def known(self, public: Path, number: int) -> Known:
        """What the pages of that tree say; nothing if this publisher did not write them, with corte `number` or the one
        before.
        """
        of, known = self._known.get(public, (-1, Known()))
        return known if of in {number - 1, number} else Known()

    def learn(self, public: Path, number: int, known: Known) -> None:
        self._known[public] = (number, known)

    def close(self) -> None:
        """End the processes. The next work starts others."""
        for slot in self._slots:
            slot.shutdown(wait=False, cancel_futures=True)
        self._slots = []


class PageDesk:
    """The pages of one corte, on their way to the processes."""

    def __init__(self, press: PagePress, edition: Edition, *, expected: int = 0) -> None:
        """`expected`: at least so many pages will come, as far as is known before the first one."""
        self._press, self._edition = press, edition
        self._here = PageWork(edition)
        self._expected = expected
        self._pages = 0
        """So many were given to it."""
        self._given: dict[ProcessPoolExecutor, Future[None]] = {}
        self._turns: asyncio.Queue[ProcessPoolExecutor | None] = asyncio.Queue()
        self._turns.put_nowait(None)
        self.written: set[str] = set()
        self.removed: set[str] = set()
        self.lines: dict[ListedPlace, KeptLines] = {}

    async def write(self, batches: Batches) -> None:
        """Write all batches; on return their pages are in their places. Raises the first error of a batch."""
        try:
            async with asyncio.TaskGroup() as tasks, aclosing(_read_ahead(batches)) as ahead:
                async for kind, batch in ahead:
                    tasks.create_task(self._do(await self._turn(len(batch)), kind, batch))
        except BaseExceptionGroup as group:  # a caller tells them apart by their kind
            raise group.exceptions[0] from None

    async def rest(self) -> None:
        """After the last page: the publisher and the processes give back the memory that they do not need until the
        next corte. Beside it the gate of that corte has its own.
        """
        give_back_memory()
        resting = [asyncio.wrap_future(_submitted(slot, give_back_memory)) for slot in self._given]
        await asyncio.gather(*resting, return_exceptions=True)  # one that has ended is found with the next page

    async def _turn(self, pages: int) -> ProcessPoolExecutor | None:
        """Wait for a process that may take a batch; None is this process."""
        self._pages += pages
        many = max(self._pages, self._expected) > self._press.worth
        if many and not self._given and self._press.processes > 1:
            slots = self._press.slots()
            self._given = {slot: _submitted(slot, _take_edition, self._edition) for slot in slots}
            for slot in slots * _AHEAD:
                self._turns.put_nowait(slot)
        turn = await self._turns.get()
        # From here on this process only reads.
        return await self._turns.get() if turn is None and self._given else turn

    async def _do(self, turn: ProcessPoolExecutor | None, kind: str, batch: Sequence[Any]) -> None:
        try:
            if turn is None:
                done = await asyncio.to_thread(self._here.do, kind, batch)
            else:
                await asyncio.wrap_future(self._given[turn])
                done = await asyncio.wrap_future(_submitted(turn, _do_batch, kind, batch))
        except BrokenProcessPool:
            self._press.close()
            raise Unavailable("un proceso que escribe páginas se detuvo; se intentará de nuevo") from None
        self._turns.put_nowait(turn)
        self.written |= done.written
        self.removed |= done.removed
        self.lines |= done.lines


async def _read_ahead(batches: Batches) -> Batches:
    """The same batches, read before they are asked for: the processes have work while the database sorts."""
    read: asyncio.Queue[Batch | None] = asyncio.Queue(_AHEAD_OF_ALL)

    async def fill() -> None:
        try:
            async with aclosing(batches):
                async for each in batches:
                    await read.put(each)
        except Exception:
            await read.put(None)  # the reader comes to `filling`, which raises it
            raise
        await read.put(None)

    filling = asyncio.create_task(fill())
    try:
        while (batch := await read.get()) is not None:
            yield batch
        await filling
    finally:
        filling.cancel()
        await asyncio.wait([filling])


def _submitted(slot: ProcessPoolExecutor, work: Any, *given: Any) -> Future[Any]:  # noqa: ANN401
    try:
        return slot.submit(work, *given)
    except BrokenProcessPool as error:
        broken: Future[Any] = Future()
        broken.set_exception(error)
        return broken


# In the process.

_taken: list[PageWork] = []


def _begin_process() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    die_with_parent()


def _take_edition(edition: Edition) -> None:
    _taken[:] = [PageWork(edition)]


def _do_batch(kind: str, batch: Sequence[Any]) -> BatchDone:
    return _taken[0].do(kind, batch)
