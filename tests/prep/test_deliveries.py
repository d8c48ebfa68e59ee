"""Done-once marks, counted failures, and messages that wait for a person."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from prep.errors import Rejected
from prep.messages import Message, Topic
from prep.store import deliveries, outbox
from prep.store.database import Connection, Pool, transaction

AT = datetime(2024, 6, 3, 1, 2, 3, tzinfo=UTC)
MESSAGE = Message(Topic.IMAGES, "key", "image:d:1:ab", b"\x00body", "mx.prep.test.v1", "/prep/test", AT)


@pytest.fixture
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    async with transaction(pool) as opened:
        yield opened


async def events(connection: Connection) -> list[tuple[str, str]]:
    rows = await connection.fetch("SELECT kind, subject FROM event ORDER BY id")
    return [(row["kind"], row["subject"]) for row in rows]


async def test_a_message_is_done_once_by_each_group(connection: Connection) -> None:
    assert await deliveries.first_time(connection, "g", "m")
    assert not await deliveries.first_time(connection, "g", "m")
    assert await deliveries.first_time(connection, "other", "m")
    assert await deliveries.done_among(connection, "g", ["m", "n"]) == {"m"}


async def test_a_mark_that_rolls_back_was_never_there(pool: Pool) -> None:
    async def fail() -> None:
        async with transaction(pool) as connection:
            assert await deliveries.first_time(connection, "g", "m")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with transaction(pool) as connection:
        assert await deliveries.first_time(connection, "g", "m")


async def test_two_deliveries_at_the_same_time_are_one(pool: Pool) -> None:
    """The second waits for the first to commit, and then it is not the first time."""

    async def second() -> bool:
        async with transaction(pool) as connection:
            return await deliveries.first_time(connection, "g", "m")

    async with transaction(pool) as connection:
        assert await deliveries.first_time(connection, "g", "m")
        waiting = asyncio.create_task(second())
        assert not (await asyncio.wait({waiting}, timeout=0.2))[0]
    assert await waiting is False


async def test_failures_are_counted_by_group_and_message(connection: Connection) -> None:
    counts = [await deliveries.failed(connection, "g", "m", f"error {n}") for n in range(3)]
    assert counts == [1, 2, 3]
    assert await deliveries.failed(connection, "g", "n", "error") == 1
    assert await deliveries.failed(connection, "other", "m", "error") == 1
    await deliveries.forget_failures(connection, "g", "m")
    assert await deliveries.failed(connection, "g", "m", "error") == 1


@pytest.mark.parametrize("error", ["con \0 dentro", "\ud800 sin pareja", "x" * 100_000])
async def test_any_words_of_an_error_can_be_kept(connection: Connection, error: str) -> None:
    assert await deliveries.failed(connection, "g", "m", error) == 1
    await deliveries.park(connection, "g", MESSAGE, error=error, at=AT)
    [parked] = await deliveries.list_parked(connection)
    assert 0 < len(parked.error) <= 2000


async def test_a_parked_message_is_listed_whole_and_a_late_delivery_does_nothing(connection: Connection) -> None:
    await deliveries.failed(connection, "g", MESSAGE.id, "mal")
    await deliveries.park(connection, "g", MESSAGE, error="mal", at=AT)
    await deliveries.park(connection, "g", MESSAGE, error="otra vez", at=AT)
    [parked] = await deliveries.list_parked(connection)
    assert (parked.group, parked.message, parked.error, parked.at) == ("g", MESSAGE, "mal", AT)
    assert parked.message.happened_at == AT
    assert not await deliveries.first_time(connection, "g", MESSAGE.id)
    assert await events(connection) == [("mensaje_apartado", MESSAGE.id)]


async def test_a_message_that_took_effect_meanwhile_is_not_parked(connection: Connection) -> None:
    await deliveries.first_time(connection, "g", MESSAGE.id)
    await deliveries.park(connection, "g", MESSAGE, error="mal", at=AT)
    assert await deliveries.list_parked(connection) == []


async def test_a_retry_sends_the_same_message_again_with_all_its_attempts(connection: Connection) -> None:
    await deliveries.failed(connection, "g", MESSAGE.id, "mal")
    await deliveries.park(connection, "g", MESSAGE, error="mal", at=AT)
    await deliveries.first_time(connection, "other", MESSAGE.id)
    [parked] = await deliveries.list_parked(connection)
    await deliveries.retry(connection, parked.id, at=AT)
    assert await deliveries.list_parked(connection) == []
    [again] = (await outbox.oldest(connection, 2)).values()
    assert (again, again.happened_at) == (MESSAGE, AT)
    assert await deliveries.failed(connection, "g", MESSAGE.id, "mal") == 1
    assert await deliveries.first_time(connection, "g", MESSAGE.id)
    assert not await deliveries.first_time(connection, "other", MESSAGE.id)


async def test_a_message_that_fails_again_after_a_retry_is_parked_again(connection: Connection) -> None:
    await deliveries.park(connection, "g", MESSAGE, error="mal", at=AT)
    [parked] = await deliveries.list_parked(connection)
    await deliveries.retry(connection, parked.id, at=AT)
    await deliveries.park(connection, "g", MESSAGE, error="peor", at=AT)
    [again] = await deliveries.list_parked(connection)
    assert again.error == "peor"
    assert [kind for kind, _ in await events(connection)] == [
        "mensaje_apartado",
        "mensaje_reintentado",
        "mensaje_apartado",
    ]


async def test_a_dismissal_needs_a_reason_and_keeps_it(connection: Connection) -> None:
    await deliveries.park(connection, "g", MESSAGE, error="mal", at=AT)
    [parked] = await deliveries.list_parked(connection)
    with pytest.raises(Rejected, match="por qué"):
        await deliveries.dismiss(connection, parked.id, reason="  ", at=AT)
    await deliveries.dismiss(connection, parked.id, reason="imagen de prueba", at=AT)
    assert await deliveries.list_parked(connection) == []
    assert await connection.fetchval("SELECT state || ': ' || reason FROM parked") == "dismissed: imagen de prueba"
    assert not await deliveries.first_time(connection, "g", MESSAGE.id)
    assert (await events(connection))[-1] == ("mensaje_descartado", MESSAGE.id)


async def test_only_parked_messages_can_be_retried_or_dismissed(connection: Connection) -> None:
    await deliveries.park(connection, "g", MESSAGE, error="mal", at=AT)
    [parked] = await deliveries.list_parked(connection)
    await deliveries.dismiss(connection, parked.id, reason="prueba", at=AT)
    with pytest.raises(Rejected, match="no hay un mensaje apartado"):
        await deliveries.retry(connection, parked.id, at=AT)
    with pytest.raises(Rejected, match="no hay un mensaje apartado"):
        await deliveries.dismiss(connection, parked.id + 1, reason="prueba", at=AT)
