"""Work on foreign bytes, in processes that may die: memory, processor time and waiting are bounded, whatever they say.

The process bounds its own memory and processor time (rlimit), so that nobody need watch it; the parent bounds how long
it waits. A process that passed a bound, or died, is replaced, and no other piece of work pays for it: each slot of a
lane is a process of its own.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, TypeVar

from prep.processes import die_with_parent

T = TypeVar("T")

MIB: Final = 1024 * 1024
START_SECONDS: Final = 60.0
"""How long a process may take until it is ready, on a machine that has other things to do."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one piece of work may take."""

    memory: int
    """Bytes, beside those that the process has when it is ready."""
    cpu: float
    """Seconds of processor time."""
    seconds: float
    """Seconds until the parent gives up waiting: more than `cpu`, since the machine is shared."""


class OutOfBounds(Exception):
    """The work passed a bound, or killed its process."""


class Lane:
    """Some processes for one kind of work; each is started when it is first needed."""

    def __init__(self, slots: int, bounds: Bounds, prepare: Callable[..., None], given: tuple[Any, ...] = ()) -> None:
        """`prepare(*given)` is called once in each process; like all that is done there, it is found by its name."""
        self._bounds = bounds
        self._prepare = (prepare, given, bounds.memory)
        self._free: list[ProcessPoolExecutor | None] = [None] * slots
        self._slots = asyncio.Semaphore(slots)
        self._all: set[ProcessPoolExecutor] = set()

    async def do(self, work: Callable[..., T], *given: Any) -> T:  # noqa: ANN401
        """What `work(*given)` returns or raises. Raises OutOfBounds where it passed a bound or its process died."""
        async with self._slots:
            slot = self._free.pop()
            try:
                if slot is None:
                    slot = await self._started()
                done = asyncio.get_running_loop().run_in_executor(slot, _work, self._bounds.cpu, work, given)
                async with asyncio.timeout(self._bounds.seconds):
                    answer: T = await done
            except (BrokenProcessPool, TimeoutError, MemoryError, asyncio.CancelledError) as error:
                self._end(slot)
                slot = None
                if isinstance(error, asyncio.CancelledError):
                    raise
                raise OutOfBounds(repr(error)) from None
            finally:
                self._free.append(slot)
        return answer

    async def _started(self) -> ProcessPoolExecutor:
        # Spawned: a forked child would hold the locks of threads it does not have.
        started = ProcessPoolExecutor(1, get_context("spawn"), _ready, self._prepare)
        self._all.add(started)
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.get_running_loop().run_in_executor(started, os.getpid)
        except BaseException:
            self._end(started)
            raise
        return started

    def _end(self, slot: ProcessPoolExecutor | None) -> None:
        """Kill its process at once. What it was at may be done again: it leaves nothing half."""
        if slot is not None:
            self._all.discard(slot)
            for process in list((slot._processes or {}).values()):  # noqa: SLF001  # before 3.14 there is no other way
                process.kill()
            slot.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        for slot in list(self._all):
            self._end(slot)
        self._free = [None] * len(self._free)


# In the process.


def _ready(prepare: Callable[..., None], given: tuple[Any, ...], memory: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    die_with_parent()
    prepare(*given)
    bound_memory(memory)


def _work(cpu: float, work: Callable[..., T], given: tuple[Any, ...]) -> T:
    bound_cpu(cpu)
    return work(*given)


def bound_memory(more: int) -> None:
    """From here on this process may have `more` bytes of its own than it has now. Only Linux counts all of them."""
    if sys.platform == "linux":
        import resource  # noqa: PLC0415  # there is none on every platform

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + more, hard))


def _data_bytes() -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), 0)


def bound_cpu(seconds: float) -> None:
    """From here on this process, which is killed after, may take so much processor time."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415

        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 1, hard))
