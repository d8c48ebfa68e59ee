"""Work on foreign bytes, in processes that may die. Memory, processor time and waiting are bounded for all bytes.

The process bounds its own memory and processor time (rlimit), so no other process must watch it. The parent bounds how
long it waits. A process that passed a bound, or died, is replaced. No other piece of work pays for it, because each
slot of a lane is a process of its own.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, TypeVar

from prep.processes import die_with_parent

T = TypeVar("T")

MIB: Final = 1024 * 1024
START_SECONDS: Final = 60.0
"""How long a process may take until it is ready, on a machine that has other things to do."""


USUAL_TURNS: Final = 80e6
"""Turns a second of an empty loop on the machine for which the bounds are written (README's figures)."""
SLOWEST: Final = 8.0
"""A machine that is still slower is taken for so many times slower."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that one piece of work may take."""

    memory: int
    """Bytes, on top of those that the process has when it is ready."""
    cpu: float
    """Seconds of processor time, of a machine of `USUAL_TURNS`. A slower one gets so much more as it is slower."""
    seconds: float
    """Seconds until the parent gives up waiting. More than `cpu`, because the machine is shared."""
    patience: int = 1
    """How many times `seconds` a process may take that still works. A busy machine gives it little processor time, and
    that is no fault of the picture; one that only sleeps is given up after the first time."""


class OutOfBounds(Exception):
    """The work passed a bound, or killed its process."""


class TurnedAway(Exception):
    """The work was not begun: its sender lost its turns."""


class _Turns:
    """Hands free slots to those who wait. The next one goes to the sender with the fewest slots in use.

    So a sender with a thousand pieces of work delays another sender by one piece, and uses all slots if it is alone.
    """

    def __init__(self, free: int) -> None:
        self._free = free
        self._in_use: Counter[str] = Counter()
        self._waiting: defaultdict[str, deque[asyncio.Future[None]]] = defaultdict(deque)
        """Never an empty queue. Among equals the first sender is next, and then goes to the end."""

    async def take(self, sender: str) -> None:
        """Wait for a slot. Raises TurnedAway if the sender is turned away meanwhile."""
        if self._free:
            self._free -= 1
        else:
            turn = asyncio.get_running_loop().create_future()
            self._waiting[sender].append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled() and turn.exception() is None:  # the slot came at the same moment
                    self._hand_on()
                raise
        self._in_use[sender] += 1

    def give_back(self, sender: str) -> None:
        self._in_use[sender] -= 1
        if not self._in_use[sender]:
            del self._in_use[sender]
        self._hand_on()

    def _hand_on(self) -> None:
        while self._waiting:
            sender = min(self._waiting, key=lambda each: self._in_use[each])
            queue = self._waiting.pop(sender)
            turn = queue.popleft()
            if queue:
                self._waiting[sender] = queue
            if not turn.done():  # a turn is done here only if its caller gave up
                turn.set_result(None)
                return
        self._free += 1

    def turn_away(self, sender: str) -> None:
        for turn in self._waiting.pop(sender, ()):
            if not turn.done():
                turn.set_exception(TurnedAway())


class Lane:
    """Some processes for one kind of work. Each is started when it is first needed."""

    def __init__(self, slots: int, bounds: Bounds, prepare: Callable[..., None], given: tuple[Any, ...] = ()) -> None:
        """`prepare(*given)` is called once in each process. The process finds it by its name, as it finds all work."""
        self._bounds = bounds
        self._prepare = (prepare, given, bounds.memory)
        self._free: list[ProcessPoolExecutor | None] = [None] * slots
        self._turns = _Turns(slots)
        self._all: set[ProcessPoolExecutor] = set()

    async def do(self, work: Callable[..., T], *given: Any, sender: str = "") -> T:  # noqa: ANN401
        """Return or raise the same as `work(*given)`. Raises OutOfBounds if it passed a bound or its process died.

        The slots go round among the senders. Raises TurnedAway if this sender lost its turns before the work began.
        """
        # A process that passed a bound may be in any state: it is killed, and its slot is empty until the next work.
        # The same if the caller gives up, because the process would go on with work that has no reader.
        await self._turns.take(sender)
        try:
            slot = self._free.pop()
            try:
                if slot is None:
                    slot = await self._start_process()
                done = asyncio.get_running_loop().run_in_executor(slot, _do_within_cpu, self._bounds.cpu, work, given)
                answer: T = await self._wait_for(done, slot)
            except (BrokenProcessPool, TimeoutError, MemoryError, asyncio.CancelledError) as error:
                self._kill_process(slot)
                slot = None
                if isinstance(error, asyncio.CancelledError):
                    raise
                raise OutOfBounds(repr(error)) from None
            finally:
                self._free.append(slot)
        finally:
            self._turns.give_back(sender)
        return answer

    def turn_away(self, sender: str) -> None:
        """Work of this sender that waits for a slot is not begun: its callers get TurnedAway."""
        self._turns.turn_away(sender)

    async def _wait_for(self, done: asyncio.Future[T], slot: ProcessPoolExecutor) -> T:
        """The answer. Raises TimeoutError if the process does not come on, or TimeoutError of the work itself."""
        ready, times = _ready_time_of(slot), 0
        try:
            while True:
                try:
                    async with asyncio.timeout(self._bounds.seconds):
                        return await asyncio.shield(done)
                except TimeoutError:
                    before, ready, times = ready, _ready_time_of(slot), times + 1
                    idle = ready - before < self._bounds.cpu / self._bounds.patience
                    if done.done() or (idle and not _would_run(slot)) or times == self._bounds.patience:
                        raise
        finally:
            done.cancel()

    async def _start_process(self) -> ProcessPoolExecutor:
        # The first answer shows that the process is ready: its start does not count against the bounds of the work.
        # Spawned: a forked child would hold the locks of threads it does not have.
        started = ProcessPoolExecutor(1, get_context("spawn"), _begin_process, self._prepare)
        self._all.add(started)
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.get_running_loop().run_in_executor(started, os.getpid)
        except BaseException:
            self._kill_process(started)
            raise
        return started

    def _kill_process(self, slot: ProcessPoolExecutor | None) -> None:
        """Kill its process at once. Its work can be done again, because work leaves nothing half done."""
        if slot is not None:
            self._all.discard(slot)
            for process in list((slot._processes or {}).values()):  # noqa: SLF001  # before 3.14 there is no other way
                process.kill()
            slot.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        for slot in list(self._all):
            self._kill_process(slot)
        self._free = [None] * len(self._free)


def _ready_time_of(slot: ProcessPoolExecutor) -> float:
    """Seconds in which its process ran or waited for a processor; 0 if the system does not tell, or it is gone.

    On a busy machine a process that works waits most of the time. One that sleeps does neither.
    """
    spent = 0.0
    for told in _told_of(slot, "schedstat"):
        with contextlib.suppress(ValueError):
            running, waiting = map(int, told.split()[:2])
            spent += (running + waiting) / 1e9
    return spent


def _would_run(slot: ProcessPoolExecutor) -> bool:
    """Whether its process runs, waits for a processor or for the disk at this moment. A wait is counted when it ends:
    a process that waits since the last look, or a machine that was stopped, has no time yet.
    """
    # The state stands behind the name, which may have spaces and parentheses itself.
    return any(told.rpartition(")")[2].split()[:1] in (["R"], ["D"]) for told in _told_of(slot, "stat"))


def _told_of(slot: ProcessPoolExecutor, name: str) -> Iterator[str]:
    """What the system tells of its process in the file of that name; nothing if it does not."""
    for pid in list(slot._processes or {}):  # noqa: SLF001  # before 3.14 there is no other way
        with contextlib.suppress(OSError, ValueError):
            yield Path(f"/proc/{pid}/{name}").read_text("ascii")


# In the process.


def _begin_process(prepare: Callable[..., None], given: tuple[Any, ...], memory: int) -> None:
    # The bound of memory comes last: what `prepare` imports is not counted against the work.
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    die_with_parent()
    prepare(*given)
    bound_memory(memory)


def _do_within_cpu(cpu: float, work: Callable[..., T], given: tuple[Any, ...]) -> T:
    bound_cpu(cpu)
    return work(*given)


def bound_memory(more: int) -> None:
    """From here on this process may take at most `more` bytes on top of those it has. Only Linux counts all of them."""
    if sys.platform == "linux":
        import resource  # noqa: PLC0415  # there is none on every platform

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + more, hard))


def _data_bytes() -> int:
    # RLIMIT_DATA is compared with this figure of the kernel, and with no other.
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), 0)


def bound_cpu(seconds: float) -> None:
    """From here on this process may take so many seconds of processor time; then the kernel kills it.

    Seconds of a machine of `USUAL_TURNS`: what an honest picture may take does not depend on the machine.
    """
    if sys.platform != "win32":
        import resource  # noqa: PLC0415

        # The kernel counts from the start of the process, so the time used until now is added.
        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds * _slowness()) + 1, hard))


@cache
def _slowness() -> float:
    """How many times slower this machine is than the one of `USUAL_TURNS`: 1 to `SLOWEST`. Measured once a process."""
    turns, best = 200_000, float("inf")
    for _ in range(3):
        began = time.process_time()
        for _ in range(turns):
            pass
        best = min(best, time.process_time() - began)
    return min(max(best * USUAL_TURNS / turns, 1.0), SLOWEST)
