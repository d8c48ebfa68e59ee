"""The worker loop: each message takes effect once, in order for its key, also if parts break."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import REGISTRY

from prep.bus.contract import Bus
from prep.bus.table import EmbeddedBus
from prep.consumer import Line, Outcome, run, sample, work
from prep.domain.hours import CENTRAL
from prep.errors import Parked, Rejected, Unavailable
from prep.messages import ActaTouched, ImageNamed, Message, Topic, read_body
from prep.scan.decoders import Decoders
from prep.settings import Settings
from prep.store import deliveries
from prep.store.database import Connection, Pool, open_pool, transaction
from prep.store.outbox import enqueue
from prep.store.pipeline import add_event
from prep.worker import Digitizing, Validating, lines
from tests.conftest import Night
from tests.makers.cord import plugged
from tests.makers.waiting import PATIENCE, until

AT = datetime(2024, 6, 3, 1, 2, 3, tzinfo=UTC)


async def nothing(_: Message) -> None:
    """A phase that only goes well."""


@dataclass
class Noting:
    """A handler whose effect is one event a message; what else happens in its phases is the scenario's."""

    preparing: Callable[[Message], Awaitable[None]] = nothing
    applying: Callable[[Message], Awaitable[None]] = nothing
    prepared: list[str] = field(default_factory=list)

    async def prepare(self, message: Message) -> str:
        self.prepared.append(message.id)
        await self.preparing(message)
        return f"prepared {message.id}"

    async def apply(self, connection: Connection, message: Message, prepared: str) -> None:
        assert prepared == f"prepared {message.id}"
        await add_event(connection, "efecto", message.id, {}, AT)
        await self.applying(message)


@asynccontextmanager
async def working(
    bus: Bus, pool: Pool, handler: Noting, *, attempts: int = 3, concurrency: int = 4
) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    line = Line(Topic.ENTRIES, "test", handler, attempts, concurrency)
    task = asyncio.create_task(work(bus, pool, line, stop=stop, clock=lambda: AT))
    try:
        yield task
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE):
            await task


def entry(key: str, number: int = 0) -> Message:
    return Message(Topic.ENTRIES, key, f"{key}/{number}", b"{}")


async def effects(pool: Pool) -> list[str]:
    rows = await pool.fetch("SELECT subject FROM event WHERE kind = 'efecto' ORDER BY id")
    return [row["subject"] for row in rows]


async def all_done(bus: Bus) -> None:
    async def done() -> bool:
        return not await bus.lag(Topic.ENTRIES, "test")

    await until(done)


async def parked(pool: Pool) -> list[tuple[str, str]]:
    async with transaction(pool) as connection:
        return [(each.message.id, each.error) for each in await deliveries.list_parked(connection)]


def handled(outcome: Outcome) -> float:
    return REGISTRY.get_sample_value("prep_messages_handled_total", {"topic": "entries", "outcome": outcome}) or 0.0


# The ordinary way


async def test_every_message_takes_effect_once_in_order_for_its_key(bus: Bus, pool: Pool) -> None:
    before = handled(Outcome.DONE)
    await bus.publish([entry(f"acta{n % 7}", n) for n in range(140)])
    async with working(bus, pool, Noting()):
        await all_done(bus)
    noted = await effects(pool)
    assert Counter(noted) == Counter(f"acta{n % 7}/{n}" for n in range(140))
    for key in (f"acta{n}" for n in range(7)):
        numbers = [int(subject.split("/")[1]) for subject in noted if subject.startswith(f"{key}/")]
        assert numbers == sorted(numbers)
    assert handled(Outcome.DONE) - before == 140


async def test_different_keys_are_handled_at_once_and_one_key_never_is(bus: Bus, pool: Pool) -> None:
    """Three keys must meet to go on: one after another they would wait for ever."""
    together = asyncio.Barrier(3)
    running: Counter[str] = Counter()
    crowded: list[str] = []

    async def meet(message: Message) -> None:
        running[message.key] += 1
        crowded.extend(key for key, count in running.items() if count > 1)
        await together.wait()
        running[message.key] -= 1

    await bus.publish([entry(key, n) for n in range(5) for key in "abc"])
    async with working(bus, pool, Noting(meet), concurrency=3):
        await all_done(bus)
    assert not crowded
    assert len(await effects(pool)) == 15


async def test_no_more_are_handled_at_once_than_asked_for(bus: Bus, pool: Pool) -> None:
    running, most = 0, 0

    async def count(_: Message) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await bus.publish([entry(f"k{n}") for n in range(60)])
    async with working(bus, pool, Noting(count), concurrency=2):
        await all_done(bus)
    assert most == 2


async def test_a_message_of_an_unknown_type_is_parked_as_it_came_and_the_rest_goes_on(bus: Bus, pool: Pool) -> None:
    async def read(message: Message) -> None:
        read_body(message, ActaTouched, ImageNamed)

    known = ActaTouched(acta=1, ronda=1, ordinal=1).message()
    later = replace(known, id="later", type="mx.prep.acta.touched.v2")
    await bus.publish([later, known])
    async with working(bus, pool, Noting(read)):
        await all_done(bus)
    assert await effects(pool) == [known.id]
    async with transaction(pool) as connection:
        [kept] = await deliveries.list_parked(connection)
    assert kept.message == later
    assert kept.error == "mensaje de una clase desconocida: mx.prep.acta.touched.v2"


async def test_a_message_that_comes_three_times_takes_effect_once(bus: Bus, pool: Pool) -> None:
    await bus.publish([entry("a"), entry("b"), entry("a")])
    async with working(bus, pool, Noting()):
        await bus.publish([entry("a")])
        await all_done(bus)
    assert sorted(await effects(pool)) == ["a/0", "b/0"]


async def test_a_message_that_was_done_is_not_even_prepared_again(bus: Bus, pool: Pool) -> None:
    await bus.publish([entry("a")])
    async with working(bus, pool, Noting()):
        await all_done(bus)
    again = Noting()
    await bus.publish([entry("a"), entry("b")])
    async with working(bus, pool, again):
        await all_done(bus)
    assert again.prepared == ["b/0"]


# Failures


async def test_a_poisoned_message_is_parked_after_its_attempts_and_blocks_nobody(bus: Bus, pool: Pool) -> None:
    """Neither those behind it under its own key, nor the rest."""

    async def poison(message: Message) -> None:
        if message.id == "a/1":
            raise ZeroDivisionError("veneno")

    handler = Noting(applying=poison)
    await bus.publish([entry("a", 0), entry("a", 1), entry("a", 2), entry("b", 0)])
    async with working(bus, pool, handler, attempts=3):
        await all_done(bus)
    assert sorted(await effects(pool)) == ["a/0", "a/2", "b/0"]
    assert await parked(pool) == [("a/1", "ZeroDivisionError: veneno")]
    assert handler.prepared.count("a/1") == 3
    assert await pool.fetchval("SELECT count(*) FROM attempt") == 0


@pytest.mark.parametrize("error", [Rejected("no es un acta"), Parked("que alguien mire")])
async def test_what_can_never_succeed_is_parked_at_once(bus: Bus, pool: Pool, error: Exception) -> None:
    async def refuse(message: Message) -> None:
        if message.key == "bad":
            raise error

    handler = Noting(refuse)
    await bus.publish([entry("bad"), entry("good")])
    async with working(bus, pool, handler):
        await all_done(bus)
    assert handler.prepared.count("bad/0") == 1
    assert await parked(pool) == [("bad/0", str(error))]
    assert await effects(pool) == ["good/0"]


@pytest.mark.parametrize("told", [True, False])
async def test_people_are_shown_a_message_that_was_set_aside(bus: Bus, pool: Pool, told: bool) -> None:
    """In the transaction that sets it aside; if they cannot be shown it is set aside all the same."""

    async def refuse(_: Message) -> None:
        raise Parked("que alguien mire")

    async def show(connection: Connection, message: Message) -> None:
        await add_event(connection, "mostrado", message.id, {}, AT)
        if not told:
            raise ZeroDivisionError

    await bus.publish([entry("bad")])
    stop = asyncio.Event()
    line = Line(Topic.ENTRIES, "test", Noting(refuse), 3, 4, show)
    task = asyncio.create_task(work(bus, pool, line, stop=stop, clock=lambda: AT))
    await all_done(bus)
    stop.set()
    async with asyncio.timeout(PATIENCE):
        await task
    assert await parked(pool) == [("bad/0", "que alguien mire")]
    assert await pool.fetchval("SELECT count(*) FROM event WHERE kind = 'mostrado'") == int(told)


async def test_a_part_that_is_away_is_waited_for_without_counting(bus: Bus, pool: Pool) -> None:
    tries = 0

    async def away(_: Message) -> None:
        nonlocal tries
        tries += 1
        if tries < 5:
            raise Unavailable("el almacén no responde")

    await bus.publish([entry("a")])
    async with working(bus, pool, Noting(away), attempts=1):
        await all_done(bus)
    assert await effects(pool) == ["a/0"]
    assert await parked(pool) == []


async def test_a_failure_that_passes_is_forgotten(bus: Bus, pool: Pool) -> None:
    failing = {"a/0", "b/0"}

    async def once(message: Message) -> None:
        if message.id in failing:
            failing.remove(message.id)
            raise ZeroDivisionError

    await bus.publish([entry("a"), entry("b")])
    async with working(bus, pool, Noting(once)):
        await all_done(bus)
    assert sorted(await effects(pool)) == ["a/0", "b/0"]
    assert await pool.fetchval("SELECT count(*) FROM attempt") == 0


async def test_attempts_are_counted_over_restarts(bus: Bus, pool: Pool) -> None:
    failed = asyncio.Event()

    async def fail(_: Message) -> None:
        failed.set()
        raise ZeroDivisionError

    handler = Noting(fail)
    await bus.publish([entry("a")])
    while not await parked(pool):
        failed.clear()
        async with working(bus, pool, handler, attempts=3):
            await failed.wait()
    assert len(handler.prepared) == 3


async def test_a_message_that_cannot_be_parked_is_not_lost(night: Night, bus: Bus, pool: Pool) -> None:
    """The table refuses for a while; the message stays in hand, and the others go on."""
    owner = await asyncpg.connect(night.owner)
    await owner.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON parked FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    tried = asyncio.Event()

    async def refuse(message: Message) -> None:
        if message.key == "bad":
            tried.set()
            raise Rejected("no sirve")

    await bus.publish([entry("bad"), entry("good")])
    async with working(bus, pool, Noting(refuse)):
        await tried.wait()
        tried.clear()
        await tried.wait()
        assert await parked(pool) == []
        await owner.execute("DROP TRIGGER refuse ON parked")
        await all_done(bus)
    assert await parked(pool) == [("bad/0", "no sirve")]
    assert await effects(pool) == ["good/0"]
    await owner.close()


async def test_a_parked_message_takes_effect_when_a_person_retries_it(bus: Bus, pool: Pool) -> None:
    broken = True

    async def depends(_: Message) -> None:
        if broken:
            raise Rejected("todavía no")

    stop = asyncio.Event()
    line = Line(Topic.ENTRIES, "test", Noting(depends), 3, 4)
    running = asyncio.create_task(run(bus, pool, [line], stop=stop))
    async with transaction(pool) as connection:
        await enqueue(connection, [entry("a")])

    async def is_parked() -> bool:
        return bool(await parked(pool))

    async def took_effect() -> bool:
        return await effects(pool) == ["a/0"]

    await until(is_parked)
    broken = False
    async with transaction(pool) as connection:
        [waiting] = await deliveries.list_parked(connection)
        await deliveries.retry(connection, waiting.id, at=AT)
    await until(took_effect)
    assert await parked(pool) == []
    stop.set()
    await running


async def test_a_database_that_goes_away_in_between_is_waited_out(night: Night, pool: Pool) -> None:
    async with plugged(night.app) as cord, await open_pool(cord.url) as breaking:
        bus = EmbeddedBus(cord.url)
        await bus.publish([entry(f"k{n % 10}", n) for n in range(200)])
        some = asyncio.Event()

        async def notice(message: Message) -> None:
            if message.id == "k5/15":
                some.set()

        async with working(bus, breaking, Noting(applying=notice)):
            await some.wait()
            await cord.pull_out()
            await cord.plug_in()
            await all_done(bus)
        await bus.close()
    assert Counter(await effects(pool)) == Counter(f"k{n % 10}/{n}" for n in range(200))
    assert await parked(pool) == []


# What it is given


def test_the_queue_is_shuffled_by_lots_that_nobody_can_foresee(tmp_path: Path) -> None:
    decoders = Decoders(1, (tmp_path / "blobs").as_uri(), 4_000_000)
    for line in lines(Settings(data=tmp_path), decoders, lambda: CENTRAL):
        assert isinstance(line.handler, Digitizing | Validating)
        drawn = [line.handler.given.chance() for _ in range(100)]
        assert len(set(drawn)) > 90
        assert all(0 <= lot < 1 for lot in drawn)
    decoders.close()


# Stopping


async def test_stopping_finishes_what_runs_and_leaves_the_rest_to_others(bus: Bus, pool: Pool) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def hold(_: Message) -> None:
        begun.set()
        await go.wait()

    await bus.publish([entry("a", n) for n in range(3)])
    stop = asyncio.Event()
    line = Line(Topic.ENTRIES, "test", Noting(hold), 3, 4)
    task = asyncio.create_task(work(bus, pool, line, stop=stop))
    await begun.wait()
    stop.set()
    go.set()
    await task
    assert await effects(pool) == ["a/0"]
    async with working(bus, pool, Noting()):
        await all_done(bus)
    assert await effects(pool) == ["a/0", "a/1", "a/2"]


async def test_stopping_does_not_wait_for_a_part_that_is_away(bus: Bus, pool: Pool) -> None:
    tried = asyncio.Event()

    async def away(_: Message) -> None:
        tried.set()
        raise Unavailable("no responde")

    await bus.publish([entry("a")])
    async with working(bus, pool, Noting(away)) as task:
        await tried.wait()
    assert task.done()
    assert await bus.lag(Topic.ENTRIES, "test") == 1


async def test_messages_finished_before_the_stop_are_acknowledged(bus: Bus, pool: Pool) -> None:
    await bus.publish([entry(f"k{n}") for n in range(30)])
    async with working(bus, pool, Noting()):
        await until(lambda: _count(pool, 30))
    assert await bus.lag(Topic.ENTRIES, "test") == 0


async def _count(pool: Pool, expected: int) -> bool:
    return len(await effects(pool)) == expected


async def test_a_closed_bus_ends_the_work(night: Night, pool: Pool) -> None:
    bus = EmbeddedBus(night.app)
    async with working(bus, pool, Noting()) as task:
        await bus.publish([entry("a")])
        await all_done(bus)
        await bus.close()
        async with asyncio.timeout(PATIENCE):
            await task


# Killing


KILLED = """
import asyncio, sys
from prep.bus.table import EmbeddedBus
from prep.messages import Topic
from prep.store.database import open_pool
from prep.consumer import Line, work
from tests.prep.test_worker import Noting

async def main():
    url, hang = sys.argv[1], sys.argv[2] == "hang"
    bus, pool = EmbeddedBus(url), await open_pool(url)
    seen = 0

    async def notice(message):
        nonlocal seen
        seen += 1
        if seen == 20:
            print("now", flush=True)
            if hang:
                await asyncio.Event().wait()

    await work(bus, pool, Line(Topic.ENTRIES, "test", Noting(applying=notice), 3, 4), stop=asyncio.Event())

asyncio.run(main())
"""


async def kill_one(url: str, when: str) -> None:
    """Start a worker process, let it handle twenty messages, and kill it without a word."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, url, when, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"now\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()


@pytest.mark.parametrize("when", ["hang", "at once"])
async def test_a_killed_worker_loses_nothing_and_doubles_nothing(night: Night, bus: Bus, pool: Pool, when: str) -> None:
    """Killed three times: with a transaction open and others committed but not acknowledged, or anywhere at all."""
    await bus.publish([entry(f"k{n % 9}", n) for n in range(270)])
    for _ in range(3):
        await kill_one(night.app, when)
    async with working(bus, pool, Noting()):
        await all_done(bus)
    noted = await effects(pool)
    assert Counter(noted) == Counter(f"k{n % 9}/{n}" for n in range(270))
    for key in (f"k{n}" for n in range(9)):
        numbers = [int(subject.split("/")[1]) for subject in noted if subject.startswith(f"{key}/")]
        assert numbers == sorted(numbers)


# What people see of it


async def test_the_gauges_say_how_the_night_stands(bus: Bus, pool: Pool) -> None:
    await bus.publish([entry("a"), entry("b")])
    async with transaction(pool) as connection:
        await enqueue(connection, [entry("c")])
        await deliveries.park(connection, "test", entry("d"), error="mal", at=AT)
    stop = asyncio.Event()
    task = asyncio.create_task(sample(bus, pool, [(Topic.ENTRIES, "test")], stop=stop, clock=lambda: AT))
    await until(lambda: REGISTRY.get_sample_value("prep_bus_lag_messages", {"topic": "entries", "group": "test"}) == 2)
    assert REGISTRY.get_sample_value("prep_outbox_messages") == 1
    assert REGISTRY.get_sample_value("prep_parked_messages") == 1
    assert REGISTRY.get_sample_value("prep_actas", {"estado": "Esperada"}) == 0
    assert REGISTRY.get_sample_value("prep_queue_oldest_seconds", {"step": "captura_1"}) == 0
    assert REGISTRY.get_sample_value("prep_postgres_up", {"part": "worker"}) == 1
    stop.set()
    await task
