"""The loop around every handler: a message takes effect once, in order for its key; none is lost or blocks the others.

A handler has two phases. `prepare` may take long (decode in a process pool, read a blob) and holds no transaction;
`apply` writes the effects. The loop adds the done-once mark to the transaction of `apply`, and acknowledges after the
commit.

    Rejected, Parked   a person must look: set aside now
    Unavailable        nothing wrong with the message: again, for as long as it takes
    anything else      a counted failure: again a few times, then set aside
"""

import asyncio
import contextlib
import logging
import signal
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, Protocol, TypeVar

from prep import observe
from prep.blobs import Blobs
from prep.bus.contract import Batch, Bus
from prep.bus.relay import relay
from prep.errors import Parked, Rejected, Unavailable
from prep.messages import Message, Topic
from prep.settings import now
from prep.store import deliveries, gauges
from prep.store.database import Connection, Pool, borrow, transaction

log: Final = logging.getLogger(__name__)
T = TypeVar("T")

_LONGEST_PAUSE: Final = 5.0
"""Seconds between tries of a message, at most (twice that with the spread)."""
_SAMPLE: Final = 5.0
"""Seconds between looks at the gauges."""


class Handler(Protocol[T]):
    """The work on the messages of one topic. Both phases may run again for the same message."""

    async def prepare(self, message: Message) -> T:
        """The part that needs no transaction. Its traces outside the database must be safe to leave twice."""

    async def apply(self, connection: Connection, message: Message, prepared: T) -> None:
        """The effects, inside the transaction that marks the message done."""


@dataclass(frozen=True, slots=True)
class Line(Generic[T]):
    """One topic, the group that works on it, and how."""

    topic: Topic
    group: str
    handler: Handler[T]
    attempts: int
    """Counted failures, over restarts, before a message is set aside."""
    concurrency: int
    """Messages handled at once, each of another key."""
    aside: Callable[[Connection, Message], Awaitable[None]] | None = None
    """What else happens, in the same transaction, when a message is set aside: a person is shown what it was about."""


class Outcome(StrEnum):
    """Of one try of one message; a label of the metric."""

    DONE = "done"
    AGAIN = "again"  # it had been done already
    PARKED = "parked"
    FAILED = "failed"
    AWAY = "away"  # something it needs does not answer


async def work(
    bus: Bus, pool: Pool, line: Line[T], *, stop: asyncio.Event, clock: Callable[[], datetime] = now
) -> None:
    """Handle the messages of a line until `stop`; running handlers finish, the other messages come again to others."""
    # Batches are taken while earlier ones are still worked on: one slow image holds up only its own key.
    batches = bus.consume(line.topic, line.group)
    stopping = asyncio.ensure_future(stop.wait())
    coming = asyncio.ensure_future(_next_batch(batches))
    try:
        async with asyncio.TaskGroup() as tasks:
            hand = _Hand(pool, line, tasks, stop, clock)
            while not stop.is_set():
                await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if coming.done():
                    batch = coming.result()
                    if batch is None:  # the bus was closed
                        break
                    await hand.take(batch)
                    coming = asyncio.ensure_future(_next_batch(batches))
    finally:  # only now: messages in hand can be acknowledged for as long as their consumer lives
        stopping.cancel()
        coming.cancel()
        await asyncio.wait({coming})
        await batches.aclose()


async def _next_batch(batches: AsyncGenerator[Batch, None]) -> Batch | None:
    async for batch in batches:
        return batch
    return None


class _Hand(Generic[T]):
    """The messages in hand of one line: a chain of tasks for each key."""

    def __init__(
        self, pool: Pool, line: Line[T], tasks: asyncio.TaskGroup, stop: asyncio.Event, clock: Callable[[], datetime]
    ) -> None:
        self._pool = pool
        self._line = line
        self._tasks = tasks
        self._stop = stop
        self._clock = clock
        self._running = asyncio.Semaphore(line.concurrency)
        self._youngest: dict[str, asyncio.Task[bool]] = {}
        self._waiting = 0
        self._room = asyncio.Event()
        self._since: list[datetime] = []
        observe.OLDEST.labels(line.topic, line.group).set_function(self._age_of_oldest)
        for outcome in Outcome:  # from the first look on, so that the first failure is seen as one more than none
            observe.HANDLED.labels(line.topic, outcome)

    def _age_of_oldest(self) -> float:
        """Age in seconds of the oldest message in hand. All others are younger."""
        return max(0.0, (self._clock() - min(self._since)).total_seconds()) if self._since else 0.0

    async def take(self, batch: Batch) -> None:
        """Begin this batch; returns when there is room for another one."""
        if batch.since is not None:
            self._since.append(batch.since)
        # A second delivery is acknowledged without work.
        done = await self._done_among(batch)
        started = [self._start_message(message) for message in batch.messages if message.id not in done]
        self._tasks.create_task(self._acknowledge_batch(batch, started))
        # Backpressure: a message that waits here cannot go to another worker.
        if self._waiting > 2 * self._line.concurrency:
            self._room.clear()
            await self._room.wait()

    async def _done_among(self, batch: Batch) -> frozenset[str]:
        """Messages that took effect and came again: this spares them a second `prepare`. The mark itself protects."""
        try:
            async with borrow(self._pool) as connection:
                return await deliveries.done_among(connection, self._line.group, [m.id for m in batch.messages])
        except Unavailable:
            return frozenset()

    async def _acknowledge_batch(self, batch: Batch, started: Sequence[asyncio.Task[bool]]) -> None:
        # All or none: the bus counts batches. One that is not acknowledged comes again, with its done ones marked.
        if all(await asyncio.gather(*started)):
            if batch.since is not None:
                self._since.remove(batch.since)
            await batch.ack()

    def _start_message(self, message: Message) -> asyncio.Task[bool]:
        # The chain of a key: each message waits for the one before it.
        task = self._tasks.create_task(self._settle_message(message, self._youngest.get(message.key)))
        self._youngest[message.key] = task
        self._waiting += 1
        task.add_done_callback(lambda task: self._message_finished(message.key, task))
        return task

    def _message_finished(self, key: str, task: asyncio.Task[bool]) -> None:
        if self._youngest.get(key) is task:
            del self._youngest[key]
        self._waiting -= 1
        if self._waiting <= 2 * self._line.concurrency:
            self._room.set()

    async def _settle_message(self, message: Message, before: asyncio.Task[bool] | None) -> bool:
        """Try until the message is done or parked; False if the line stops first."""
        if before is not None:
            await asyncio.wait({before})
        tries = 0
        while True:
            async with self._running:
                if self._stop.is_set():
                    return False
                with observe.HANDLE_SECONDS.labels(self._line.topic).time():
                    outcome = await self._try_once(message, failed_here=tries > 0)
            observe.HANDLED.labels(self._line.topic, outcome).inc()
            if outcome not in {Outcome.FAILED, Outcome.AWAY}:
                return True
            tries += 1
            await _pause_unless_stopped(self._stop, _seconds_to_next_try(message, tries))

    async def _try_once(self, message: Message, *, failed_here: bool) -> Outcome:
        try:
            # Outside the transaction: decoding may take seconds, and a connection is dear.
            prepared = await self._line.handler.prepare(message)
            async with transaction(self._pool) as connection:
                # Mark and effects commit together. If we stop before, neither is there and the message comes again.
                if not await deliveries.first_time(connection, self._line.group, message.id):
                    return Outcome.AGAIN
                await self._line.handler.apply(connection, message, prepared)
                if failed_here:
                    await deliveries.forget_failures(connection, self._line.group, message.id)
        except Unavailable as error:
            log.warning("handler waits", extra={"data": {"message": message.id, "error": error.sentence}})
            return Outcome.AWAY
        except (Rejected, Parked) as error:
            # A refusal is a decision, not a failure: another try would say the same.
            return await self._set_back(message, error.sentence, at_once=True)
        except Exception as error:
            log.exception("handler failed", extra={"data": {"message": message.id}})
            return await self._set_back(message, f"{type(error).__name__}: {error}", at_once=False)
        return Outcome.DONE

    async def _set_back(self, message: Message, error: str, *, at_once: bool) -> Outcome:
        """Count the failure, or park. If that itself cannot be written the message stays in hand and is tried again."""
        group = self._line.group
        try:
            async with transaction(self._pool) as connection:
                # Counted in the database: a message that kills its worker is parked by the next ones.
                count = await deliveries.failed(connection, group, message.id, error)
                if not at_once and count < self._line.attempts:
                    return Outcome.FAILED
                await deliveries.park(connection, group, message, error=error, at=self._clock())
                await self._show(connection, message)
        except Unavailable:
            return Outcome.AWAY
        except Exception:
            log.exception("could not set aside", extra={"data": {"message": message.id}})
            return Outcome.AWAY
        log.error("message set aside", extra={"data": {"message": message.id, "group": group, "error": error}})
        return Outcome.PARKED

    async def _show(self, connection: Connection, message: Message) -> None:
        """If that fails too the message is parked all the same."""
        if self._line.aside is None:
            return
        try:
            async with connection.transaction():
                await self._line.aside(connection, message)
        except Unavailable:
            raise
        except Exception:
            log.exception("could not show to people", extra={"data": {"message": message.id}})


def _seconds_to_next_try(message: Message, tries: int) -> float:
    """Seconds to the next try. Spread by message: what one bad message disturbed is not tried again beside it."""
    spread = 1 + zlib.crc32(message.id.encode()) % 100 / 100
    return min(_LONGEST_PAUSE, 0.05 * 2.0 ** min(tries, 10)) * spread


async def _pause_unless_stopped(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def sample(
    bus: Bus,
    pool: Pool,
    groups: Sequence[tuple[Topic, str]],
    *,
    stop: asyncio.Event,
    clock: Callable[[], datetime] = now,
    blobs: Blobs | None = None,
    ready: observe.Readiness | None = None,
) -> None:
    """Set the gauges of the night every few seconds until `stop`. They stay as they are while the database does not
    answer.

    The same looks tell `ready` whether the work can go on: PostgreSQL, the bus and the store of images answer.
    """

    async def look() -> None:
        async with transaction(pool) as connection:
            _show_gauges(await gauges.look(connection, clock()))

    async def measure() -> None:
        for topic, group in groups:
            observe.LAG.labels(topic, group).set(await bus.lag(topic, group))

    async def reach() -> None:
        if blobs is not None:
            await blobs.find("salud")

    while not stop.is_set():
        # Each look stands alone: while the database does not answer the bus is still measured.
        database = await _is_answered(look)
        observe.POSTGRES_UP.labels("worker").set(database)
        looks = {"PostgreSQL": database, "el bus": await _is_answered(measure), "el almacén": await _is_answered(reach)}
        away = [name for name, answers in looks.items() if not answers]
        if ready is not None:
            ready.tell(f"no responde: {', '.join(away)}" if away else None)
        await _pause_unless_stopped(stop, _SAMPLE)


async def _is_answered(look: Callable[[], Awaitable[None]]) -> bool:
    try:
        await look()
    except Unavailable as error:
        log.warning("gauges wait", extra={"data": {"error": error.sentence}})
        return False
    return True


def _show_gauges(seen: gauges.Gauges) -> None:
    for estado, count in seen.actas.items():
        observe.ACTAS.labels(estado).set(count)
    for state, count in seen.images.items():
        observe.IMAGES.labels(state).set(count)
    for task, waiting in seen.tasks.items():
        observe.QUEUE.labels(task).set(waiting.count)
        observe.QUEUE_OLDEST.labels(task).set(waiting.oldest)
    observe.OUTBOX.set(seen.outbox.count)
    observe.OUTBOX_OLDEST.set(seen.outbox.oldest)
    observe.PARKED.set(seen.parked)


async def run(
    bus: Bus,
    pool: Pool,
    lines: Sequence[Line[Any]],
    *,
    stop: asyncio.Event,
    blobs: Blobs | None = None,
    ready: observe.Readiness | None = None,
) -> None:
    """Everything a worker does besides /metrics: its lines, the relay, the gauges. A defect in one of them ends all."""
    groups = [(line.topic, line.group) for line in lines]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(relay(pool, bus, stop))
        tasks.create_task(sample(bus, pool, groups, stop=stop, blobs=blobs, ready=ready))
        for line in lines:
            tasks.create_task(work(bus, pool, line, stop=stop))


def stop_on_signals() -> asyncio.Event:
    """Set at the first SIGTERM or SIGINT."""
    stop = asyncio.Event()
    # A second signal changes nothing: running handlers finish, and their messages are acknowledged.
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
