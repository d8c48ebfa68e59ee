"""The bus on Apache Kafka (4 or later): what several machines need, and an intake that does not wait for PostgreSQL.

A message is acknowledged to its publisher when every replica in sync has it (acks=all, idempotent producer; with three
copies, at least two). A consumer commits the offsets up to which everything is acknowledged, together and without gaps;
what it had in hand when it dies is read again by others. Rebalances are eager with a sticky assignment, because
aiokafka has no cooperative protocol: while one goes on the whole group waits, but whoever keeps a partition goes on
where it was, with what it has in hand.

One cluster serves several nights: each has a prefix of its own for topics and groups. A new database must never read
the messages of another night.
"""

import asyncio
import contextlib
import logging
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import (
    IllegalStateError,
    InvalidReplicationFactorError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerClosed,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.helpers import create_ssl_context

from prep.bus.contract import Batch
from prep.errors import Rejected, Unavailable
from prep.messages import PARTITIONS, Message, Topic

log: Final = logging.getLogger(__name__)
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it says each failure many times a second; we say it once

AWAY: Final = (KafkaError, OSError, TimeoutError)
"""What a cluster that is away looks like; also one that has not got the topic yet."""

_ID: Final = "id"
"""The record header that carries `Message.id`."""
_REQUEST: Final = 0.8
"""The part of its patience after which a publisher asks a silent broker again, or another."""
_FETCH: Final = 60
"""Messages in one batch, at most."""
_FULL: Final = 240
"""Messages of one partition in hand at which it is fetched no more, until half of them are acknowledged."""
_POLL: Final = 1.0
"""Seconds between looks where nothing came; also before a consumer that lost the cluster tries again."""
_COMMIT: Final = 3.0
"""Seconds that a rebalance or a leave waits for the last commit. Not committed: comes again."""
_PACE: Final = 1.0
"""Seconds between commits: each is a write on every copy. What is lost of them comes again, without effect."""
_AGAIN: Final = 0.3
"""Seconds to the next try of a commit, or of a publish with a new producer."""
_STUCK: Final = 60.0
"""Seconds after which a rebalance that does not end is given up, and the group joined anew."""
_TOGETHER: Final = 16_384
"""Bytes that a fetch waits for, but no longer than `_GATHER_MS`: one for every message is work for nothing."""
_GATHER_MS: Final = 250
_SESSION_MS: Final = 10_000
"""A consumer that is silent for so long is dead; its partitions go to others."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """How to reach a cluster, and the prefix under which everything of this night is in it."""

    servers: str
    prefix: str = "prep."
    tls: bool = False
    ca: Path | None = None
    """Certificates to trust (PEM); None: the system's."""
    user: str = ""
    password: str = field(default="", repr=False)
    mechanism: str = "SCRAM-SHA-512"

    def options(self) -> dict[str, Any]:
        """What every aiokafka client is given."""
        said: dict[str, Any] = {"bootstrap_servers": self.servers.split(",")}
        said["security_protocol"] = ("SASL_" if self.user else "") + ("SSL" if self.tls else "PLAINTEXT")
        if self.tls:
            said["ssl_context"] = _trusting(self.ca)
        if self.user:
            said |= {"sasl_mechanism": self.mechanism, "sasl_plain_username": self.user}
            said["sasl_plain_password"] = self.password
        return said

    def topic(self, topic: Topic) -> str:
        return f"{self.prefix}{topic}"

    def group(self, topic: Topic, group: str) -> str:
        """One group of Kafka for each topic, so that a rebalance of one topic is none of the other's business."""
        return f"{self.prefix}{topic}.{group}"


def _trusting(ca: Path | None) -> ssl.SSLContext:
    try:
        context: ssl.SSLContext = create_ssl_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise Rejected(f"no se pueden leer los certificados de {ca}: {error}") from None
    return context


class KafkaBus:
    """A bus on that cluster. Nothing is connected before it is used.

    `patience`: seconds in which a publish is durable, or `Unavailable`.
    """

    def __init__(self, cluster: Cluster, *, patience: float = 5.0) -> None:
        self._cluster = cluster
        self._options = cluster.options()
        self._patience = patience
        self._request_ms = int(_REQUEST * 1000 * patience)
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._watchers: dict[str, AIOKafkaConsumer] = {}
        self._watching = asyncio.Lock()
        self._shares: set[_Share] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        if self._closed.is_set():
            raise Unavailable("el bus está cerrado")
        try:
            async with asyncio.timeout(self._patience):
                while not await self._send(messages):
                    pass
        except UnknownTopicOrPartitionError as error:
            raise Unavailable("el bus no tiene sus temas: ejecute «prep bus init»") from error
        except MessageSizeTooLargeError:  # no other time will be better: a defect of whoever publishes it
            raise
        except AWAY as error:
            log.warning("bus away", extra={"data": {"error": _told(error)}})
            raise Unavailable("el bus no responde; intente de nuevo") from error

    async def _send(self, messages: Sequence[Message]) -> bool:
        """Publish all and wait until they are durable; False where the producer had to be given up."""
        producer = await self._producing()
        sent: list[asyncio.Future[object]] = []
        try:
            for message in messages:
                topic, headers = self._cluster.topic(message.topic), [(_ID, message.id.encode())]
                sent.append(await producer.send(topic, message.body, message.key.encode(), headers=headers))
            await asyncio.gather(*sent)
        except (MessageSizeTooLargeError, UnknownTopicOrPartitionError, KafkaTimeoutError):  # no fault of the producer
            raise
        except KafkaError as error:
            # It has lost count of its sequence numbers (a batch that expired while no leader was known is enough):
            # nothing it sends would be taken any more. A new one begins to count anew.
            log.warning("producer given up", extra={"data": {"error": _told(error)}})
            if self._producer is producer:
                self._producer = None
                self._end(_dismiss(producer))
            await asyncio.sleep(_AGAIN)
            return False
        finally:
            for each in sent:
                each.add_done_callback(lambda future: future.cancelled() or future.exception())
        return True

    async def _producing(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._closed.is_set():
                raise Unavailable("el bus está cerrado")
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._options,
                    acks="all",
                    enable_idempotence=True,
                    request_timeout_ms=self._request_ms,
                )
                try:
                    await producer.start()
                except BaseException:
                    self._end(producer.stop())
                    raise
                self._producer = producer
            return self._producer

    async def lag(self, topic: Topic, group: str) -> int:
        name, group_id = self._cluster.topic(topic), self._cluster.group(topic, group)
        try:
            async with asyncio.timeout(self._patience), self._watching:
                try:
                    return await _lag(await self._watcher(group_id), name, PARTITIONS[topic])
                except BaseException:
                    if (watcher := self._watchers.pop(group_id, None)) is not None:
                        self._end(watcher.stop())
                    raise
        except AWAY as error:
            raise Unavailable("el bus no responde; intente de nuevo") from error

    async def _watcher(self, group_id: str) -> AIOKafkaConsumer:
        """A consumer that only asks: it never joins the group."""
        if group_id not in self._watchers:
            watcher = AIOKafkaConsumer(
                **self._options, group_id=group_id, enable_auto_commit=False, request_timeout_ms=self._request_ms
            )
            self._watchers[group_id] = watcher
            await watcher.start()
        return self._watchers[group_id]

    async def consume(self, topic: Topic, group: str) -> AsyncGenerator[Batch, None]:
        while not self._closed.is_set():
            share = _Share(self._cluster, self._options, topic, group)
            self._shares.add(share)
            try:
                try:
                    await share.enter()
                    while (batch := await share.next()) is not None:
                        yield batch
                finally:
                    self._shares.discard(share)
                    await share.leave()
            except AWAY as error:
                log.warning("bus away, waiting", extra={"data": {"topic": topic, "error": _told(error)}})
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), _POLL)

    def _end(self, ending: Coroutine[Any, Any, None]) -> None:
        """See a client off in the background."""

        async def bounded() -> None:
            with contextlib.suppress(*AWAY):
                await asyncio.wait_for(ending, 2 * self._patience)

        task = asyncio.create_task(bounded())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        self._closed.set()
        await asyncio.gather(*(share.leave() for share in list(self._shares)))
        async with self._starting:
            if self._producer is not None:
                self._end(_dismiss(self._producer))
                self._producer = None
        for watcher in self._watchers.values():
            self._end(watcher.stop())
        self._watchers.clear()
        while self._ending:
            await asyncio.wait(self._ending)


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__


async def _dismiss(producer: AIOKafkaProducer) -> None:
    """End a producer without waiting for what it could not send: whoever sent it has been told, or is told now.

    `stop` alone would wait for as long as the cluster is away, and aiokafka has no other way to say so.
    """
    producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001
    await producer.stop()


async def _lag(watcher: AIOKafkaConsumer, name: str, partitions: int) -> int:
    await watcher.end_offsets([TopicPartition(name, 0)])  # so that it knows the topic
    numbers = watcher.partitions_for_topic(name) or range(partitions)
    every = [TopicPartition(name, number) for number in numbers]
    committed = await asyncio.gather(*(watcher.committed(each) for each in every))
    first, last = await watcher.beginning_offsets(every), await watcher.end_offsets(every)
    return sum(last[each] - max(first[each], done or 0) for each, done in zip(every, committed, strict=True))


@dataclass(eq=False, slots=True)
class _Piece:
    """The part of one batch that is of one partition."""

    last: int
    size: int
    acknowledged: bool = False


@dataclass(eq=False, slots=True)
class _Held:
    """A partition this consumer holds. Offsets here are of the next message, as Kafka counts commits."""

    committed: int | None
    """What the group has committed, as far as is known."""
    position: int | None = None
    """Read up to here; None: nothing was read yet."""
    done: int | None = None
    """Everything before it is acknowledged."""
    in_hand: deque[_Piece] = field(default_factory=deque)
    """In order; leaves from the front as it is acknowledged, so that `done` never passes what is not."""
    size: int = 0
    """Messages in hand."""


class _Commit(NamedTuple):
    """A commit that has been asked for, and what of."""

    task: asyncio.Task[None]
    moved: Mapping[TopicPartition, int | None]


class _Share:
    """One consumer of a group, while it is a member. When it leaves, all it had in hand comes again to others."""

    def __init__(self, cluster: Cluster, options: Mapping[str, Any], topic: Topic, group: str) -> None:
        self._topic = topic
        self._name = cluster.topic(topic)
        self._consumer = AIOKafkaConsumer(
            **options,
            group_id=cluster.group(topic, group),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # Its state is the class's: with one class for all, the consumers of a process would claim each other's.
            partition_assignment_strategy=(type("Sticky", (StickyPartitionAssignor,), {}),),
            session_timeout_ms=_SESSION_MS,
            heartbeat_interval_ms=500,  # how soon a member learns that another came or went
            request_timeout_ms=_SESSION_MS + 4000,  # a broker holds a join until every member has come
            max_poll_interval_ms=600_000,  # who asks for nothing for so long is stuck, and gives way
            fetch_min_bytes=_TOGETHER,
            fetch_max_wait_ms=_GATHER_MS,
            metadata_max_age_ms=30_000,
        )
        self._held: dict[TopicPartition, _Held] = {}
        self._committing = asyncio.Lock()
        self._balancing: float | None = 0.0
        """Since when (loop time) a rebalance goes on: nothing is committed then. None: the share is settled."""
        self._news = asyncio.Event()
        self._committer: asyncio.Task[None] | None = None
        self._underway: _Commit | None = None
        self._over = asyncio.Event()

    async def enter(self) -> None:
        self._balancing = asyncio.get_running_loop().time()
        await self._consumer.start()
        self._consumer.subscribe([self._name], listener=_Listener(self))
        self._committer = asyncio.create_task(self._commit_what_is_acknowledged())

    async def next(self) -> Batch | None:
        """The next batch, waiting for it; None once this share has been left. Raises what ends a consumer."""
        over = asyncio.ensure_future(self._over.wait())
        coming: asyncio.Future[Any] | None = None
        try:
            while not self._over.is_set():
                if coming is None:  # it waits for a group that does not settle, however short its time is
                    poll = int(_POLL * 1000)
                    coming = asyncio.ensure_future(self._consumer.getmany(timeout_ms=poll, max_records=_FETCH))
                await asyncio.wait({over, coming}, timeout=_POLL, return_when=asyncio.FIRST_COMPLETED)
                if self._over.is_set():
                    break
                self._check()
                if coming.done():
                    found, coming = coming.result(), None
                    if found:
                        return self._batch(found)
        finally:
            over.cancel()
            if coming is not None:
                coming.cancel()
        return None

    def _check(self) -> None:
        if self._committer is not None and self._committer.done():
            self._committer.result()
        since = self._balancing
        if since is not None and asyncio.get_running_loop().time() - since > _STUCK:
            raise KafkaError("the group does not settle")

    def _batch(self, found: Mapping[TopicPartition, Sequence[Any]]) -> Batch:
        mine: list[tuple[TopicPartition, _Held, _Piece]] = []
        messages: list[Message] = []
        for partition, records in found.items():
            held = self._held.setdefault(partition, _Held(None))
            piece = _Piece(records[-1].offset + 1, len(records))
            held.in_hand.append(piece)
            held.size += piece.size
            held.position = piece.last
            if held.size >= _FULL:
                with contextlib.suppress(IllegalStateError):  # a rebalance has just taken it
                    self._consumer.pause(partition)
            mine.append((partition, held, piece))
            messages += (self._message(record) for record in records)
        since = datetime.fromtimestamp(min(records[0].timestamp for records in found.values()) / 1000, UTC)
        return Batch(messages, partial(self._acknowledge, mine), since)

    def _message(self, record: Any) -> Message:  # noqa: ANN401
        """What another than `publish` wrote is a message too: whoever handles it sets it aside."""
        ids = [value.decode(errors="replace") for name, value in record.headers if name == _ID]
        own = f"{record.topic}:{record.partition}:{record.offset}"
        key = (record.key or b"?").decode(errors="replace")
        return Message(self._topic, key, ids[0] if ids else own, record.value or b"")

    async def _acknowledge(self, pieces: Sequence[tuple[TopicPartition, _Held, _Piece]]) -> None:
        for partition, held, piece in pieces:
            piece.acknowledged = True
            while held.in_hand and held.in_hand[0].acknowledged:
                gone = held.in_hand.popleft()
                held.done = gone.last
                held.size -= gone.size
            if self._held.get(partition) is held and held.size <= _FULL // 2:
                with contextlib.suppress(IllegalStateError):  # a rebalance has just taken it
                    self._consumer.resume(partition)
        self._news.set()

    async def _commit_what_is_acknowledged(self) -> None:
        """In the background: what is acknowledged while one commit is on its way goes with the next."""
        while True:
            await self._news.wait()
            self._news.clear()
            async with self._committing:
                committed = self._balancing is not None or await self._commit()
            if not committed:
                self._news.set()
            await asyncio.sleep(_PACE if committed else _AGAIN)

    async def _commit(self) -> bool:
        """Commit what is acknowledged of the partitions held, if anything. Whoever calls holds `_committing`."""
        while True:
            if self._underway is None:
                wanted = {
                    each: held.done for each, held in self._held.items() if held.done not in {None, held.committed}
                }
                if not wanted:
                    return True
                self._underway = _Commit(asyncio.create_task(self._consumer.commit(wanted)), wanted)
            task, moved = self._underway
            await asyncio.wait({task}, timeout=_COMMIT)
            if not task.done():  # not cancelled: it goes on asking, and is looked at again
                log.warning("commit waits", extra={"data": {"topic": self._topic}})
                return False
            self._underway = None
            try:
                task.result()
            except AWAY as error:
                log.warning("commit waits", extra={"data": {"topic": self._topic, "error": _told(error)}})
                return False
            for partition, done in moved.items():
                self._held[partition].committed = done

    def _give_up_commit(self) -> None:
        """What is still being asked for may be another's by now."""
        if self._underway is not None:
            self._underway.task.cancel()
            self._underway = None

    async def revoked(self) -> None:
        """The group is about to share anew: commit what is acknowledged while this is still ours to commit."""
        async with self._committing:
            if not self._over.is_set():
                await self._commit()
            self._give_up_commit()
            self._balancing = asyncio.get_running_loop().time()

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """The share from now on. What was ours before, and nobody else's in between, goes on where it was."""
        if partitions:
            self._consumer.pause(*partitions)  # before anything is fetched from where the commits are
        before, self._held = self._held, {}
        for partition, committed in (await self._committed(partitions)).items():
            held = before.get(partition)
            if held is not None and held.position is not None and committed in {held.committed, held.done}:
                held.committed = committed
                self._consumer.seek(partition, held.position)
            else:
                held = _Held(committed)
            self._held[partition] = held
        self._consumer.resume(*(each for each, held in self._held.items() if held.size < _FULL))
        self._balancing = None
        self._news.set()

    async def _committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
        try:
            async with asyncio.timeout(_COMMIT):
                found = await asyncio.gather(*(self._consumer.committed(each) for each in partitions))
        except AWAY:
            return dict.fromkeys(partitions, -1)  # not known: all begin at their commits
        return dict(zip(partitions, found, strict=True))

    async def leave(self) -> None:
        """Leave the group. Acknowledgements after this do nothing: what they speak of comes again."""
        if self._over.is_set():
            return
        self._over.set()
        if self._committer is not None:
            self._committer.cancel()
            await asyncio.wait({self._committer})
        async with self._committing:
            if self._balancing is None:
                await self._commit()
            self._give_up_commit()
            self._held.clear()
        try:
            await asyncio.wait_for(self._consumer.stop(), 2 * _COMMIT)
        except AWAY as error:
            log.warning("left without a word", extra={"data": {"topic": self._topic, "error": _told(error)}})


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka declares no types
    """Passes the two events of a rebalance on."""

    def __init__(self, share: _Share) -> None:
        self._share = share

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002 - eager: all of them
        await self._share.revoked()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._share.assigned(sorted(assigned))


# `prep bus init`.


def configs(replication: int) -> dict[str, str]:
    """Of a topic with that many copies. What was published is evidence: a person deletes it, no clock does."""
    in_sync = 2 if replication >= 3 else 1
    return {
        "min.insync.replicas": str(in_sync),
        "flush.messages": "1",  # on the disk of each copy before it is acknowledged: brokers may share a power line
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "cleanup.policy": "delete",
        "unclean.leader.election.enable": "false",
    }


async def create_topics(cluster: Cluster, replication: int) -> tuple[list[str], bool]:
    """Create the topics that lack; says what it did, a sentence a topic, and whether all is as it must be.

    Raises Unavailable where the cluster does not answer, Rejected where it cannot hold that many copies.
    """
    admin = AIOKafkaAdminClient(**cluster.options(), request_timeout_ms=10_000)
    try:
        async with asyncio.timeout(30):
            await admin.start()
            return await _create_topics(admin, cluster, replication)
    except AWAY as error:
        raise Unavailable(f"Kafka no responde en {cluster.servers}: {type(error).__name__}") from error
    finally:
        await admin.close()


async def _create_topics(admin: AIOKafkaAdminClient, cluster: Cluster, replication: int) -> tuple[list[str], bool]:
    wanted = {cluster.topic(topic): partitions for topic, partitions in PARTITIONS.items()}
    stated = configs(replication)
    answer = await admin.create_topics(
        [NewTopic(name, partitions, replication, topic_configs=stated) for name, partitions in wanted.items()]
    )
    sentences, well = [], True
    for name, code, message, *_ in answer.topic_errors:
        what = for_code(code)
        if not code:
            said = ", ".join(f"{key}={value}" for key, value in stated.items())
            sentences.append(f"{name}: creado con {wanted[name]} particiones y {replication} copias ({said})")
        elif what is TopicAlreadyExistsError:
            wrong = await _differences(admin, name, wanted[name], replication)
            well = well and not wrong
            sentences += [f"{name}: ya existía y {each}" for each in wrong or ["es como debe"]]
        elif what is InvalidReplicationFactorError:
            raise Rejected(f"{name}: Kafka no tiene nodos para {replication} copias (PREP_KAFKA_REPLICATION)")
        else:
            raise what(message)
    return sentences, well


async def _differences(admin: AIOKafkaAdminClient, name: str, partitions: int, replication: int) -> list[str]:
    """What of an existing topic is not as stated."""
    [topic] = await admin.describe_topics([name])
    wrong = []
    if len(topic["partitions"]) < partitions:
        wrong.append(f"tiene {len(topic['partitions'])} particiones; se necesitan {partitions}")
    copies = {len(each["replicas"]) for each in topic["partitions"]}
    if copies != {replication}:
        wrong.append(f"tiene {' y '.join(map(str, sorted(copies)))} copias; se piden {replication}")
    [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    [(_, _, _, _, entries)] = answer.resources
    has = {key: value for key, value, *_ in entries}
    wrong += [
        f"{key} es {has.get(key)}; debe ser {value}"
        for key, value in configs(replication).items()
        if has.get(key) != value
    ]
    return wrong
