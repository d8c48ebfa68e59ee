"""The contract of `prep/bus/__init__.py`, sentence by sentence, for every implementation."""

import asyncio
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from prep import observe
from prep.bus import kafka_share
from prep.bus.contract import Batch, Bus
from prep.bus.kafka import KafkaBus
from prep.bus.kafka_cluster import Cluster, create_topics
from prep.bus.kafka_dev import DevKafka
from prep.bus.table import EmbeddedBus
from prep.errors import Rejected, Unavailable
from prep.messages import PARTITIONS, Message, Topic
from prep.settings import now
from prep.store import bus as store
from tests.conftest import Night
from tests.makers.cord import KafkaCords, PostgresCord, plugged, plugged_kafka
from tests.makers.waiting import PATIENCE, until


class Medium(Protocol):
    """What a bus runs on, as a test sees it. Each bus made here is another process's."""

    def bus(self) -> Bus: ...

    async def pull_out(self) -> None:
        """Nothing reaches the medium any more; sessions break."""

    async def plug_in(self) -> None: ...


class EmbeddedMedium:
    def __init__(self, cord: PostgresCord) -> None:
        self._cord = cord
        self.pull_out = cord.pull_out
        self.plug_in = cord.plug_in
        self.made: list[Bus] = []

    def bus(self) -> Bus:
        self.made.append(EmbeddedBus(self._cord.url))
        return self.made[-1]


class KafkaMedium:
    """Every test has a prefix, and so topics and groups, of its own."""

    def __init__(self, cords: KafkaCords) -> None:
        self.cluster = Cluster(cords.bootstrap, prefix=f"t{uuid.uuid4().hex}.")
        self.pull_out = cords.pull_out
        self.plug_in = cords.plug_in
        self.made: list[KafkaBus] = []

    def bus(self) -> KafkaBus:
        self.made.append(KafkaBus(self.cluster, patience=10.0))
        return self.made[-1]


@asynccontextmanager
async def kafka_medium(kafka: DevKafka) -> AsyncIterator[KafkaMedium]:
    async with plugged_kafka(kafka) as cords:
        medium = KafkaMedium(cords)
        await create_topics(medium.cluster, len(kafka.numbers))
        yield medium
        await asyncio.gather(*(bus.close() for bus in medium.made))


@pytest.fixture(params=["embedded", "kafka", "kafka of three"])
def ground(request: pytest.FixtureRequest) -> Night | DevKafka:
    name = {"embedded": "night", "kafka": "kafka_one", "kafka of three": "kafka_three"}[request.param]
    found: Night | DevKafka = request.getfixturevalue(name)
    return found


@pytest.fixture
async def medium(ground: Night | DevKafka) -> AsyncIterator[Medium]:
    if isinstance(ground, DevKafka):
        async with kafka_medium(ground) as kafka:
            yield kafka
        return
    async with plugged(ground.app) as cord:
        embedded = EmbeddedMedium(cord)
        yield embedded
        for bus in embedded.made:
            await bus.close()


def announce(key: str, number: int, topic: Topic = Topic.IMAGES) -> Message:
    return Message(topic, key, f"{key}/{number}", str(number).encode())


def spread(count: int, topic: Topic = Topic.IMAGES) -> list[Message]:
    """Messages of as many keys."""
    return [announce(f"k{number}", number, topic) for number in range(count)]


async def take(batches: AsyncGenerator[Batch, None], count: int, *, ack: bool = True) -> list[Message]:
    """Read on until `count` messages have come."""
    taken: list[Message] = []
    async with asyncio.timeout(PATIENCE):
        while len(taken) < count:
            batch = await anext(batches)
            taken += batch.messages
            if ack:
                await batch.ack()
    return taken


async def lag_becomes(bus: Bus, group: str, lag: int) -> None:
    async def reached() -> bool:
        return await bus.lag(Topic.IMAGES, group) == lag

    await until(reached)


def by_key(messages: Iterable[Message]) -> dict[str, list[bytes]]:
    bodies = defaultdict(list)
    for message in messages:
        bodies[message.key].append(message.body)
    return dict(bodies)


# 1. publish


async def test_published_messages_survive_the_publisher_and_the_connection(medium: Medium) -> None:
    publisher = medium.bus()
    await publisher.publish(spread(20))
    await medium.pull_out()
    await medium.plug_in()
    async with aclosing(medium.bus().consume(Topic.IMAGES, "g")) as batches:
        assert sorted(await take(batches, 20), key=lambda m: m.id) == sorted(spread(20), key=lambda m: m.id)


async def test_publishing_on_a_bus_that_is_away_is_unavailable_and_works_again_afterwards(
    medium: Medium,
) -> None:
    fresh, used = medium.bus(), medium.bus()
    await used.publish([announce("a", 0)])
    await medium.pull_out()
    for bus in (fresh, used):
        with pytest.raises(Unavailable):
            await bus.publish([announce("a", 1)])
        with pytest.raises(Unavailable):
            await bus.lag(Topic.IMAGES, "g")
    await medium.plug_in()
    await fresh.publish([announce("a", 2)])
    await used.publish([announce("a", 3)])
    got: list[bytes] = []
    async with aclosing(medium.bus().consume(Topic.IMAGES, "g")) as batches:
        while not {b"0", b"2", b"3"} <= set(got):  # messages that were not promised may yet have gone out
            got += [m.body for m in await take(batches, 1)]
    assert [body for body in got if body != b"1"] == [b"0", b"2", b"3"]


async def test_publishing_nothing_needs_no_bus(medium: Medium) -> None:
    bus = medium.bus()
    await medium.pull_out()
    await bus.publish([])
    await medium.plug_in()


async def test_the_same_message_published_twice_keeps_its_id(medium: Medium) -> None:
    bus = medium.bus()
    await bus.publish([announce("a", 1)])
    await bus.publish([announce("a", 1)])
    async with aclosing(bus.consume(Topic.IMAGES, "g")) as batches:
        assert await take(batches, 2) == [announce("a", 1)] * 2


async def test_a_message_keeps_its_type_its_source_and_its_time(medium: Medium) -> None:
    at = datetime(2024, 6, 3, 1, 2, 3, 456789, tzinfo=UTC)
    told = Message(Topic.IMAGES, "k", "1", b"{}", "mx.prep.test.v1", "/prep/test", at)
    before = Message(Topic.IMAGES, "k", "2", b"{}")
    bus = medium.bus()
    await bus.publish([told, before])
    async with aclosing(bus.consume(Topic.IMAGES, "g")) as batches:
        came = await take(batches, 2)
    assert came == [told, before]
    assert [each.happened_at for each in came] == [at, None]


# 2. order


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=12), min_size=1, max_size=8), name=st.uuids())
async def test_messages_of_a_key_come_in_the_order_they_were_published(
    medium: Medium, groups: list[list[str]], name: object
) -> None:
    """However they are grouped into publishes; keys are of this example only, and the group reads all that came before."""
    bus = medium.bus()
    sent: list[Message] = []
    for group in groups:
        messages = [announce(f"{name}{key}", len(sent) + n) for n, key in enumerate(group)]
        sent += messages
        await bus.publish(messages)
    expected = by_key(sent)
    got: list[Message] = []
    async with aclosing(bus.consume(Topic.IMAGES, f"g{name}")) as batches:
        while sum(len(bodies) for key, bodies in by_key(got).items() if key in expected) < len(sent):
            got += await take(batches, 1)
    assert {key: bodies for key, bodies in by_key(got).items() if key in expected} == expected


async def test_concurrent_publishers_of_many_processes_lose_nothing_and_keep_each_key_in_order(medium: Medium) -> None:
    """A reader follows while they write: it must never pass a message that becomes visible later."""
    buses = [medium.bus() for _ in range(4)]

    async def publish(bus: Bus, key: str) -> None:
        for number in range(0, 60, 3):
            await bus.publish([announce(key, number + n) for n in range(3)])

    async with aclosing(medium.bus().consume(Topic.IMAGES, "g")) as batches:
        writing = [publish(bus, f"p{b}k{k}") for b, bus in enumerate(buses) for k in range(6)]
        reading = asyncio.ensure_future(take(batches, 60 * len(writing)))
        await asyncio.gather(*writing)
        got = await reading
    assert by_key(got) == {f"p{b}k{k}": [str(n).encode() for n in range(60)] for b in range(4) for k in range(6)}


async def test_topics_do_not_mix(medium: Medium) -> None:
    bus = medium.bus()
    await bus.publish([*spread(5), *spread(7, Topic.ENTRIES)])
    async with aclosing(bus.consume(Topic.ENTRIES, "g")) as batches:
        assert {m.topic for m in await take(batches, 7)} == {Topic.ENTRIES}
    assert await bus.lag(Topic.ENTRIES, "g") == 0
    assert await bus.lag(Topic.IMAGES, "g") == 5


# 3. at least once


async def test_unacknowledged_messages_come_again_after_the_consumer_leaves(medium: Medium) -> None:
    bus = medium.bus()
    await bus.publish(spread(30))
    async with aclosing(bus.consume(Topic.IMAGES, "g")) as batches:
        first = await take(batches, 30, ack=False)
    async with aclosing(bus.consume(Topic.IMAGES, "g")) as batches:
        assert sorted(await take(batches, 30), key=lambda m: m.id) == sorted(first, key=lambda m: m.id)
    assert await bus.lag(Topic.IMAGES, "g") == 0


async def test_acknowledged_messages_do_not_come_again(medium: Medium) -> None:
    bus = medium.bus()
    await bus.publish(spread(30))
    async with aclosing(bus.consume(Topic.IMAGES, "g")) as batches:
        await take(batches, 30)
    await bus.publish([announce("later", 1)])
    async with aclosing(medium.bus().consume(Topic.IMAGES, "g")) as batches:
        assert await take(batches, 1) == [announce("later", 1)]


async def hold(batches: AsyncGenerator[Batch, None], count: int) -> list[Batch]:
    """Batches of `count` messages, none acknowledged."""
    in_hand: list[Batch] = []
    async with asyncio.timeout(PATIENCE):
        while sum(len(batch.messages) for batch in in_hand) < count:
            in_hand.append(await anext(batches))
    return in_hand


async def test_a_connection_that_breaks_leaves_nothing_unacknowledged_for_good(medium: Medium) -> None:
    """The consumer goes on by itself. Messages in hand can still be acknowledged, or come again; acks raise nothing."""
    bus = medium.bus()
    await bus.publish(spread(10))
    async with aclosing(bus.consume(Topic.IMAGES, "g")) as batches:
        in_hand = await hold(batches, 10)
        await medium.pull_out()
        coming = asyncio.ensure_future(take(batches, 100))
        for batch in in_hand[::2]:
            await batch.ack()
        await medium.plug_in()
        for batch in in_hand[1::2]:
            await batch.ack()
        await lag_becomes(medium.bus(), "g", 0)
        await bus.publish([announce("later", number) for number in range(100)])
        assert {m.key for m in await coming} >= {"later"}


async def test_a_consumer_waits_out_a_bus_that_is_away_when_it_starts(medium: Medium) -> None:
    await medium.bus().publish(spread(3))
    await medium.pull_out()
    async with aclosing(medium.bus().consume(Topic.IMAGES, "g")) as batches:
        waiting = asyncio.ensure_future(take(batches, 3))
        assert not (await asyncio.wait({waiting}, timeout=0.2))[0]
        await medium.plug_in()
        assert len(await waiting) == 3


async def test_batches_acknowledged_out_of_order_never_hide_one_that_was_not(medium: Medium) -> None:
    """All of one key, so that the order within it is what counts."""
    bus = medium.bus()
    async with aclosing(bus.consume(Topic.IMAGES, "g")) as batches:
        in_hand = []
        for number in range(4):
            await bus.publish([announce("k", number)])
            async with asyncio.timeout(PATIENCE):
                in_hand.append(await anext(batches))
        for number in (3, 0, 2):
            await in_hand[number].ack()
    async with aclosing(bus.consume(Topic.IMAGES, "g")) as batches:
        assert [m.body for m in await take(batches, 3)] == [b"1", b"2", b"3"]


# 4. groups


async def test_each_group_sees_everything(medium: Medium) -> None:
    bus = medium.bus()
    await bus.publish(spread(25))
    for group in ("one", "two"):
        async with aclosing(medium.bus().consume(Topic.IMAGES, group)) as batches:
            assert len(await take(batches, 25)) == 25
    assert await bus.lag(Topic.IMAGES, "one") == await bus.lag(Topic.IMAGES, "two") == 0
    assert await bus.lag(Topic.IMAGES, "three") == 25


class Listener:
    """A consumer that acknowledges all it gets, and remembers it."""

    def __init__(self, bus: Bus, group: str) -> None:
        self.keys: Counter[str] = Counter()
        self.ids: set[str] = set()
        self._batches = bus.consume(Topic.IMAGES, group)
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for batch in self._batches:
            self.keys.update(message.key for message in batch.messages)
            self.ids.update(message.id for message in batch.messages)
            await batch.ack()

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        await self._batches.aclose()


async def publish_until_all_hear(bus: Bus, listeners: Sequence[Listener], every: Sequence[Message]) -> None:
    """Rounds of the same keys, each round wholly heard before the next, until in one each listener heard something."""
    keys = {message.key for message in every}
    async with asyncio.timeout(PATIENCE):
        while True:
            for listener in listeners:
                listener.keys.clear()
            await bus.publish(every)
            await until(lambda: sum((listener.keys for listener in listeners), Counter()).keys() >= keys)
            if all(listener.keys for listener in listeners):
                return


async def test_consumers_of_a_group_share_the_keys_and_a_newcomer_gets_its_part(medium: Medium) -> None:
    bus = medium.bus()
    first = Listener(medium.bus(), "g")
    await publish_until_all_hear(bus, [first], spread(100))
    assert first.keys == Counter({m.key: 1 for m in spread(100)})
    others = [Listener(medium.bus(), "g"), Listener(medium.bus(), "g")]
    await publish_until_all_hear(bus, [first, *others], spread(100))
    await lag_becomes(bus, "g", 0)
    await others[0].leave()
    await publish_until_all_hear(bus, [first, others[1]], spread(100))
    await first.leave()
    await others[1].leave()


async def test_more_consumers_than_shares_do_no_harm(medium: Medium) -> None:
    bus = medium.bus()
    listeners = [Listener(medium.bus(), "g") for _ in range(PARTITIONS[Topic.IMAGES] + 2)]
    await bus.publish(spread(100))
    everything = {message.key for message in spread(100)}
    await until(lambda: sum((listener.keys for listener in listeners), Counter()).keys() == everything)
    await lag_becomes(bus, "g", 0)
    for listener in listeners:
        await listener.leave()


# 5. close


async def test_close_gives_messages_in_hand_to_others_and_ends_the_consumer(medium: Medium) -> None:
    leaving, staying = medium.bus(), medium.bus()
    await leaving.publish(spread(12))
    batches = leaving.consume(Topic.IMAGES, "g")
    in_hand = await anext(batches)
    await leaving.close()
    await in_hand.ack()
    with pytest.raises(StopAsyncIteration):
        await anext(batches)
    with pytest.raises(Unavailable):
        await leaving.publish([announce("late", 0)])
    async with aclosing(staying.consume(Topic.IMAGES, "g")) as others:
        assert {m.id for m in await take(others, 12)} == {m.id for m in spread(12)}


async def test_close_ends_a_consumer_that_waits(medium: Medium) -> None:
    bus = medium.bus()
    waiting = asyncio.ensure_future(anext(bus.consume(Topic.IMAGES, "g"), None))
    assert not (await asyncio.wait({waiting}, timeout=0.2))[0]
    await bus.close()
    async with asyncio.timeout(PATIENCE):
        assert await waiting is None


async def test_close_ends_a_consumer_that_is_still_connecting(medium: Medium) -> None:
    """Closed at each of the first turns of the loop: before, while and after the consumer gets its session."""
    for turns in range(0, 60, 4):
        bus = medium.bus()
        waiting = asyncio.ensure_future(anext(bus.consume(Topic.IMAGES, "g"), None))
        for _ in range(turns):
            await asyncio.sleep(0)
        await bus.close()
        async with asyncio.timeout(PATIENCE):
            assert await waiting is None


# Of Kafka alone


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # aiokafka leaves the dead sockets open
async def test_kafka_a_broker_killed_while_messages_go_in_and_come_out_loses_nothing(kafka_three: DevKafka) -> None:
    """Any of them: it leads some of the partitions, or the group, or the cluster."""
    victim = random.choice(kafka_three.numbers)
    async with kafka_medium(kafka_three) as medium:
        listeners = [Listener(medium.bus(), "g") for _ in range(2)]
        told: set[str] = set()

        async def publish(name: str) -> None:
            bus = medium.bus()
            for number in range(150):
                message = announce(f"{name}{number % 20}", number)
                while message.id not in told:
                    with suppress(Unavailable):  # as the outbox and the devices do: again, until it is safe
                        await bus.publish([message])
                        told.add(message.id)

        writing = [asyncio.ensure_future(publish(name)) for name in "abc"]
        await until(lambda: len(told) > 60 and sum(each.keys.total() for each in listeners) > 20)
        await asyncio.to_thread(kafka_three.kill, victim)
        try:
            await asyncio.gather(*writing)
            await until(lambda: {id_ for each in listeners for id_ in each.ids} >= told)
        finally:
            await asyncio.to_thread(kafka_three.start, victim)
        await lag_becomes(medium.bus(), "g", 0)
        for listener in listeners:
            await listener.leave()
    assert len(told) == 450


async def test_kafka_who_keeps_a_partition_keeps_what_it_has_in_hand(kafka_one: DevKafka) -> None:
    """A newcomer gets its part, with the messages in hand of that part; no other comes twice to the one who stays."""
    async with kafka_medium(kafka_one) as medium:
        bus = medium.bus()
        await bus.publish(spread(100))
        async with aclosing(medium.bus().consume(Topic.IMAGES, "g")) as batches:
            in_hand = await hold(batches, 100)
            again = asyncio.ensure_future(anext(batches))
            newcomer = Listener(medium.bus(), "g")
            await until(lambda: newcomer.keys.total() > 20)
            for batch in in_hand:
                await batch.ack()
            await lag_becomes(bus, "g", 0)
            assert newcomer.keys.total() < 100
            assert not again.done()
            again.cancel()
            await asyncio.wait({again})
            await newcomer.leave()


async def test_kafka_a_partition_with_too_much_in_hand_is_fetched_no_more_and_the_others_are(
    kafka_one: DevKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_share, "_FULL", 20)
    monkeypatch.setattr(kafka_share, "_FETCH", 10)
    async with kafka_medium(kafka_one) as medium:
        bus = medium.bus()
        await bus.publish([announce("slow", number) for number in range(100)])
        async with aclosing(bus.consume(Topic.IMAGES, "g")) as batches:
            in_hand = await hold(batches, 20)
            await bus.publish(quick := [each for each in spread(50) if each.key != "slow"])
            quickly = await take(batches, len(quick) // 2)
            assert {m.key for m in quickly} <= {m.key for m in quick}
            for batch in in_hand:
                await batch.ack()
            rest = await take(batches, 80 + len(quick) - len(quickly))
            assert [m.body for m in rest if m.key == "slow"] == [str(n).encode() for n in range(20, 100)]


@pytest.mark.parametrize("ahead", [0, 90, -90])
async def test_kafka_tells_a_publisher_that_its_clock_is_wrong(kafka_one: DevKafka, ahead: int) -> None:
    async with plugged_kafka(kafka_one) as cords:
        cluster = Cluster(cords.bootstrap, prefix=f"t{uuid.uuid4().hex}.")
        await create_topics(cluster, 1)
        bus = KafkaBus(cluster, patience=PATIENCE, clock=lambda: now() + timedelta(seconds=ahead))
        await bus.publish(spread(20))
        alarm = observe.clock_alarm()
        apart = REGISTRY.get_sample_value("prep_clock_apart_seconds", {"source": "kafka", "node": "1"})
        assert apart is not None
        if not ahead:
            assert alarm is None
            assert 0 <= apart <= 0.001, "Kafka tells whole milliseconds"
        else:
            assert abs(ahead - apart) < abs(ahead) / 2
            assert alarm == f"el reloj de esta máquina difiere {abs(round(apart))} s del de Kafka (nodo 1)"
        await bus.close()


async def test_kafka_topics_are_created_once_and_each_difference_is_said(kafka_one: DevKafka) -> None:
    async with plugged_kafka(kafka_one) as cords:
        cluster = Cluster(cords.bootstrap, prefix=f"t{uuid.uuid4().hex}.")
        bus = KafkaBus(cluster, patience=10.0)
        with pytest.raises(Unavailable, match="prep bus init"):
            await bus.publish([announce("a", 0)])
        first, well = await create_topics(cluster, 1)
        assert well
        assert first[0].startswith(f"{cluster.prefix}images: creado con 12 particiones y 1 copias")
        await bus.publish([announce("a", 0)])
        await bus.close()
        again, well = await create_topics(cluster, 1)
        assert (again, well) == ([f"{cluster.prefix}{topic}: ya existía y es como debe" for topic in Topic], True)
        other, well = await create_topics(cluster, 3)
        assert not well
        assert f"{cluster.prefix}images: ya existía y tiene 1 copias; se piden 3" in other
        with pytest.raises(Rejected, match="no tiene nodos para 3 copias"):
            await create_topics(Cluster(cords.bootstrap, prefix=f"t{uuid.uuid4().hex}."), 3)
        await cords.pull_out()
        with pytest.raises(Unavailable):
            await create_topics(cluster, 1)
        await cords.plug_in()


# Of the embedded bus alone


async def test_embedded_a_lower_number_is_never_committed_behind_a_readers_back(night: Night) -> None:
    """Two writers in one partition: the second waits for the first to commit, and the reader sees both in order."""
    slow, fast = await store.connect(night.app), await store.connect(night.app)
    bus = EmbeddedBus(night.app)
    holding = slow.transaction()
    await holding.start()
    await store.publish(slow, [announce("k", 0)])

    async def overtake() -> None:
        async with fast.transaction():
            await store.publish(fast, [announce("k", 1)])

    overtaking = asyncio.ensure_future(overtake())
    async with aclosing(bus.consume(Topic.IMAGES, "g")) as batches:
        coming = asyncio.ensure_future(take(batches, 2))
        done, _ = await asyncio.wait({coming, overtaking}, timeout=0.3)
        assert not done
        await holding.commit()
        await overtaking
        assert [m.body for m in await coming] == [b"0", b"1"]
    await bus.close()
    await slow.close()
    await fast.close()


async def test_embedded_unacknowledged_messages_come_again_after_the_connection_breaks(night: Night) -> None:
    """Its session holds the partitions; an acknowledgement for messages of a broken one does no harm."""
    async with plugged(night.app) as cord:
        bus = EmbeddedBus(cord.url)
        await bus.publish(spread(10))
        async with aclosing(bus.consume(Topic.IMAGES, "g")) as batches:
            in_hand = await hold(batches, 10)
            await cord.pull_out()
            waiting = asyncio.ensure_future(anext(batches))
            await cord.plug_in()
            async with asyncio.timeout(PATIENCE):
                again = await waiting
            for batch in in_hand:
                await batch.ack()
            await again.ack()
            rest = await take(batches, 10 - len(again.messages))
        assert {m.id for m in [*again.messages, *rest]} == {m.id for m in spread(10)}
        await bus.close()


async def test_embedded_a_terminated_session_gives_its_messages_to_another_consumer(night: Night) -> None:
    bus, other = EmbeddedBus(night.app), EmbeddedBus(night.app)
    await bus.publish(spread(12))
    owner = await asyncpg.connect(night.owner)
    async with aclosing(bus.consume(Topic.IMAGES, "g")) as batches:
        assert (await anext(batches)).messages
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'prep-bus'"
        )
        async with aclosing(other.consume(Topic.IMAGES, "g")) as others:
            assert {m.id for m in await take(others, 12)} == {m.id for m in spread(12)}
    await owner.close()
    await bus.close()
    await other.close()


async def test_embedded_a_consumer_that_is_stuck_loses_the_share_of_another(night: Night) -> None:
    """It lives, but never acknowledges: after its patience the newcomer gets its part, and these messages again."""
    stuck, newcomer = EmbeddedBus(night.app, patience=0.1), EmbeddedBus(night.app)
    await stuck.publish(spread(60))
    async with aclosing(stuck.consume(Topic.IMAGES, "g")) as batches:
        in_hand = [await anext(batches)]
        while sum(len(batch.messages) for batch in in_hand) < 60:
            in_hand.append(await anext(batches))
        async with aclosing(newcomer.consume(Topic.IMAGES, "g")) as others:
            again = await take(others, 1, ack=False)
            assert {m.id for m in again} < {m.id for m in spread(60)}
            for batch in in_hand:  # too late for the partitions that the newcomer has by now
                await batch.ack()
            assert len(again) <= await newcomer.lag(Topic.IMAGES, "g") < 60
    await stuck.close()
    await newcomer.close()


async def test_embedded_one_publishers_bad_message_fails_that_publisher_alone(night: Night) -> None:
    """They were written together: PostgreSQL holds no NUL in a text."""
    bus = EmbeddedBus(night.app)
    good, bad, fine = await asyncio.gather(
        bus.publish([announce("a", 0)]),
        bus.publish([announce("\0", 1)]),
        bus.publish([announce("c", 2)]),
        return_exceptions=True,
    )
    assert good is None
    assert fine is None
    assert isinstance(bad, asyncpg.PostgresError)
    async with aclosing(bus.consume(Topic.IMAGES, "g")) as batches:
        assert {m.key for m in await take(batches, 2)} == {"a", "c"}
    await bus.close()


async def test_embedded_sweeping_removes_only_what_every_group_has_acknowledged(night: Night) -> None:
    bus = EmbeddedBus(night.app)
    await bus.publish(spread(200))
    connection = await store.connect(night.app)
    slow = bus.consume(Topic.IMAGES, "slow")
    seen = await anext(slow)
    await seen.ack()
    async with aclosing(bus.consume(Topic.IMAGES, "quick")) as batches:
        await take(batches, 200)
    reader = store.Reader(connection, Topic.IMAGES, "quick")
    await reader.sweep(timedelta(hours=1))
    assert await connection.fetchval("SELECT count(*) FROM bus_message") == 200
    await reader.sweep(timedelta(0))
    assert await connection.fetchval("SELECT count(*) FROM bus_message") == 200 - len(seen.messages) > 0
    assert await bus.lag(Topic.IMAGES, "slow") == 200 - len(seen.messages) > 0
    await slow.aclose()
    await connection.close()
    await bus.close()
