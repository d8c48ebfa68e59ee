"""Messages leave with the transaction that caused them: never without it, never lost after it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import pytest

from prep.bus.contract import Bus
from prep.bus.relay import relay
from prep.bus.table import EmbeddedBus
from prep.messages import Message, Topic
from prep.store.database import Pool, open_pool, transaction
from prep.store.outbox import enqueue
from tests.conftest import Night
from tests.makers.cord import plugged
from tests.makers.waiting import PATIENCE, until


@asynccontextmanager
async def relaying(pool: Pool, bus: Bus) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    task = asyncio.create_task(relay(pool, bus, stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait({task})


def touched(acta: str, number: int) -> Message:
    return Message(Topic.ENTRIES, acta, f"{acta}/{number}", str(number).encode())


async def arrive(bus: Bus, count: int) -> list[Message]:
    arrived: list[Message] = []
    async with aclosing(bus.consume(Topic.ENTRIES, "test")) as batches, asyncio.timeout(PATIENCE):
        while len(arrived) < count:
            batch = await anext(batches)
            arrived += batch.messages
            await batch.ack()
    return arrived


async def outbox_is_empty(pool: Pool) -> bool:
    return not await pool.fetchval("SELECT count(*) FROM outbox")


async def fail_after_enqueueing(pool: Pool, message: Message) -> None:
    async with transaction(pool) as connection:
        await enqueue(connection, [message])
        raise LookupError


async def test_a_message_that_is_rolled_back_never_leaves(pool: Pool, bus: Bus) -> None:
    async with relaying(pool, bus):
        with pytest.raises(LookupError):
            await fail_after_enqueueing(pool, touched("a", 1))
        async with transaction(pool) as connection:
            await enqueue(connection, [touched("a", 2)])
        assert await arrive(bus, 1) == [touched("a", 2)]


async def test_all_that_is_committed_leaves_in_order_of_its_key_and_the_outbox_is_empty_again(
    pool: Pool, bus: Bus
) -> None:
    """Each acta's transactions follow one another, as a row lock makes them."""

    async def touch(acta: str) -> None:
        for number in range(0, 40, 2):
            async with transaction(pool) as connection:
                await enqueue(connection, [touched(acta, number), touched(acta, number + 1)])

    async with relaying(pool, bus):
        await asyncio.gather(*(touch(f"acta{n}") for n in range(6)))
        arrived = await arrive(bus, 240)
        for acta in (f"acta{n}" for n in range(6)):
            assert [m for m in arrived if m.key == acta] == [touched(acta, number) for number in range(40)]
        await until(lambda: outbox_is_empty(pool))


async def test_a_lower_number_that_commits_later_leaves_too(pool: Pool, bus: Bus) -> None:
    """The sequence is not the order of commit between different keys: removing "up to here" would lose the late one."""
    async with relaying(pool, bus):
        async with transaction(pool) as slow:
            await enqueue(slow, [touched("slow", 1)])
            async with transaction(pool) as fast:
                await enqueue(fast, [touched("fast", 1)])
            assert await arrive(bus, 1) == [touched("fast", 1)]
            await until(lambda: outbox_is_empty(pool))
        assert await arrive(bus, 1) == [touched("slow", 1)]


async def test_one_relay_at_a_time_and_another_takes_over_when_it_stops(pool: Pool, bus: Bus) -> None:
    async def leaders() -> int:
        found: int = await pool.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objsubid = 1 AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return found

    async def somebody_leads() -> bool:
        return await leaders() == 1

    stop_first, stop_second = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(relay(pool, bus, stop_first))
    await until(somebody_leads)
    second = asyncio.create_task(relay(pool, bus, stop_second))
    for number in range(5):
        async with transaction(pool) as connection:
            await enqueue(connection, [touched("a", number)])
    assert await arrive(bus, 5) == [touched("a", number) for number in range(5)]
    assert await leaders() == 1
    stop_first.set()
    await first
    async with transaction(pool) as connection:
        await enqueue(connection, [touched("a", 5)])
    assert await arrive(bus, 1) == [touched("a", 5)]
    stop_second.set()
    await second
    assert await bus.lag(Topic.ENTRIES, "test") == 0


async def test_another_takes_over_when_the_relays_connection_breaks(night: Night, pool: Pool, bus: Bus) -> None:
    async with (
        plugged(night.app) as cord,
        await open_pool(cord.url) as breaking,
        relaying(breaking, bus),
    ):
        async with transaction(pool) as connection:
            await enqueue(connection, [touched("a", 1)])
        assert await arrive(bus, 1) == [touched("a", 1)]
        await until(lambda: outbox_is_empty(pool))
        async with relaying(pool, bus):
            await cord.pull_out()
            async with transaction(pool) as connection:
                await enqueue(connection, [touched("a", 2)])
            assert await arrive(bus, 1) == [touched("a", 2)]
        await cord.plug_in()


async def test_messages_stay_while_the_bus_is_away(night: Night, pool: Pool) -> None:
    async with plugged(night.app) as cord:
        bus = EmbeddedBus(cord.url)
        await cord.pull_out()
        async with relaying(pool, bus) as task:
            async with transaction(pool) as connection:
                await enqueue(connection, [touched("a", 1)])
            assert not (await asyncio.wait({task}, timeout=0.2))[0]
            assert not await outbox_is_empty(pool)
            await cord.plug_in()
            assert await arrive(bus, 1) == [touched("a", 1)]
        await bus.close()


async def test_a_crash_between_publishing_and_removing_publishes_again_under_the_same_id(
    night: Night, pool: Pool, bus: Bus
) -> None:
    owner = await asyncpg.connect(night.owner)
    await owner.execute(
        "CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'crash'; END $$;"
        "CREATE TRIGGER crash BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION crash()"
    )
    async with transaction(pool) as connection:
        await enqueue(connection, [touched("a", 1)])
    async with relaying(pool, bus) as task:
        await asyncio.wait({task}, timeout=PATIENCE)
    with pytest.raises(asyncpg.RaiseError):
        task.result()
    await owner.execute("DROP TRIGGER crash ON outbox")
    async with relaying(pool, bus):
        assert await arrive(bus, 2) == [touched("a", 1)] * 2
        await until(lambda: outbox_is_empty(pool))
    await owner.close()


async def test_a_message_leaves_with_its_type_and_if_it_says_no_time_with_that_of_its_transaction(
    pool: Pool, bus: Bus
) -> None:
    at = datetime(2024, 6, 3, 1, 2, 3, tzinfo=UTC)
    told = [
        Message(Topic.ENTRIES, "a", "1", b"{}", "mx.prep.test.v1", "/prep/test", at),
        Message(Topic.ENTRIES, "a", "2", b"{}", "mx.prep.test.v1", "/prep/test"),
    ]
    async with transaction(pool) as connection:
        await enqueue(connection, told)
        now = await connection.fetchval("SELECT now()")
    async with relaying(pool, bus):
        came = await arrive(bus, 2)
    assert came == told
    assert [each.happened_at for each in came] == [at, now]


async def test_enqueueing_nothing_needs_no_statement(pool: Pool) -> None:
    async with transaction(pool) as connection:
        await enqueue(connection, [])
    assert await outbox_is_empty(pool)
