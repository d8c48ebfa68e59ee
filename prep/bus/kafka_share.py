"""One consumer of a Kafka group: the partitions that are its share, what it has in hand, and what it commits.

It commits the offsets up to which everything is acknowledged, together and without gaps. If it dies, others read the
messages that it had in hand again. Rebalances are eager with a sticky assignment, because aiokafka has no cooperative
protocol: while one goes on the whole group waits. A consumer that keeps a partition then goes on from its place, with
the messages that it has in hand.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import (
    IllegalStateError,
    KafkaError,
)

from prep.bus.contract import Batch
from prep.bus.kafka_cluster import AWAY, Cluster, error_text
from prep.bus.kafka_headers import message_of
from prep.messages import Message, Topic

log: Final = logging.getLogger(__name__)
_FETCH: Final = 60
"""Messages in one batch, at most."""
_FULL: Final = 240
"""Messages of one partition in hand at which it is fetched no more, until half of them are acknowledged."""
POLL: Final = 1.0
"""Seconds between looks while no message comes; also before a consumer that lost the cluster tries again."""
_COMMIT: Final = 3.0
"""Seconds that a rebalance or a leave waits for the last commit. Not committed: comes again."""
_PACE: Final = 1.0
"""Seconds between commits: each is a write on every copy. After a lost commit messages come again, without effect."""
AGAIN: Final = 0.3
"""Seconds to the next try of a commit, or of a publish with a new producer."""
_STUCK: Final = 60.0
"""Seconds after which a rebalance that does not end is given up, and the group joined anew."""
_TOGETHER: Final = 16_384
"""Bytes that a fetch waits for, but no longer than `_GATHER_MS`: one for every message is work for nothing."""
_GATHER_MS: Final = 250
_SESSION_MS: Final = 10_000
"""A consumer that is silent for so long is dead; its partitions go to others."""


@dataclass(eq=False, slots=True)
class _BatchPart:
    """The part of one batch that is of one partition."""

    last: int
    size: int
    acknowledged: bool = False


@dataclass(eq=False, slots=True)
class _HeldPartition:
    """A partition this consumer holds. Offsets here are of the next message, as Kafka counts commits."""

    committed: int | None
    """What the group has committed, as far as is known."""
    position: int | None = None
    """Read up to here; None before the first read."""
    done: int | None = None
    """Everything before it is acknowledged."""
    in_hand: deque[_BatchPart] = field(default_factory=deque)
    """In order; leaves from the front as it is acknowledged, so that `done` never passes an open one."""
    size: int = 0
    """Messages in hand."""


class _Commit(NamedTuple):
    """A commit that has been asked for, and what of."""

    task: asyncio.Task[None]
    moved: Mapping[TopicPartition, int | None]


class KafkaShare:
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
        self._held: dict[TopicPartition, _HeldPartition] = {}
        self._committing = asyncio.Lock()
        self._balancing: float | None = 0.0
        """Since when (loop time) a rebalance goes on, without commits. None: the share is settled."""
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
        # Three things end a wait: a batch, the end of this share, and POLL, after which the share is looked at.
        over = asyncio.ensure_future(self._over.wait())
        coming: asyncio.Future[Any] | None = None
        try:
            while not self._over.is_set():
                if coming is None:  # it waits for a group that does not settle, however short its time is
                    poll = int(POLL * 1000)
                    coming = asyncio.ensure_future(self._consumer.getmany(timeout_ms=poll, max_records=_FETCH))
                await asyncio.wait({over, coming}, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
                if self._over.is_set():
                    break
                self._check_settled()
                if coming.done():
                    found, coming = coming.result(), None
                    if found:
                        return self._batch_of(found)
        finally:
            over.cancel()
            if coming is not None:
                coming.cancel()
        return None

    def _check_settled(self) -> None:
        if self._committer is not None and self._committer.done():
            self._committer.result()
        since = self._balancing
        # aiokafka may wait for ever for a group that lost its coordinator. A new consumer joins afresh.
        if since is not None and asyncio.get_running_loop().time() - since > _STUCK:
            raise KafkaError("the group does not settle")

    def _batch_of(self, found: Mapping[TopicPartition, Sequence[Any]]) -> Batch:
        # One batch may hold records of several partitions. Each part is acknowledged for itself.
        mine: list[tuple[TopicPartition, _HeldPartition, _BatchPart]] = []
        messages: list[Message] = []
        for partition, records in found.items():
            held = self._held.setdefault(partition, _HeldPartition(None))
            piece = _BatchPart(records[-1].offset + 1, len(records))
            held.in_hand.append(piece)
            held.size += piece.size
            held.position = piece.last
            if held.size >= _FULL:
                with contextlib.suppress(IllegalStateError):  # a rebalance has just taken it
                    self._consumer.pause(partition)
            mine.append((partition, held, piece))
            messages += (self._message_of_record(record) for record in records)
        since = datetime.fromtimestamp(min(records[0].timestamp for records in found.values()) / 1000, UTC)
        return Batch(messages, partial(self._acknowledge_parts, mine), since)

    def _message_of_record(self, record: Any) -> Message:  # noqa: ANN401
        place = f"{record.topic}:{record.partition}:{record.offset}"
        key = (record.key or b"?").decode(errors="replace")
        return message_of(self._topic, key, record.value or b"", record.headers, place=place)

    async def _acknowledge_parts(self, pieces: Sequence[tuple[TopicPartition, _HeldPartition, _BatchPart]]) -> None:
        for partition, held, piece in pieces:
            piece.acknowledged = True
            # Only a part at the front moves `done`: an older one that is open holds all behind it back.
            while held.in_hand and held.in_hand[0].acknowledged:
                gone = held.in_hand.popleft()
                held.done = gone.last
                held.size -= gone.size
            if self._held.get(partition) is held and held.size <= _FULL // 2:
                with contextlib.suppress(IllegalStateError):  # a rebalance has just taken it
                    self._consumer.resume(partition)
        self._news.set()

    async def _commit_what_is_acknowledged(self) -> None:
        """In the background: acknowledgements that come while one commit is on its way go with the next."""
        while True:
            await self._news.wait()
            self._news.clear()
            async with self._committing:
                committed = self._balancing is not None or await self._commit_now()
            if not committed:
                self._news.set()
            await asyncio.sleep(_PACE if committed else AGAIN)

    async def _commit_now(self) -> bool:
        """Commit the acknowledged part of the partitions held, if there is any. The caller holds `_committing`."""
        while True:
            if self._underway is None:
                # No news: no request. Otherwise one commit for all partitions.
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
                log.warning("commit waits", extra={"data": {"topic": self._topic, "error": error_text(error)}})
                return False
            for partition, done in moved.items():
                self._held[partition].committed = done

    def _give_up_commit(self) -> None:
        """The partitions of a commit on its way may belong to another by now."""
        if self._underway is not None:
            self._underway.task.cancel()
            self._underway = None

    async def revoked(self) -> None:
        """The group is about to share anew: commit the acknowledged part while it is still ours to commit."""
        async with self._committing:
            if not self._over.is_set():
                await self._commit_now()
            self._give_up_commit()
            self._balancing = asyncio.get_running_loop().time()

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """The share from now on. A partition that was ours all the time goes on from its place."""
        if partitions:
            # Three cases: ours before and untouched; ours before and committed by another; new. Only the first goes on.
            self._consumer.pause(*partitions)  # before a fetch begins at the commits
        before, self._held = self._held, {}
        for partition, committed in (await self._committed_offsets(partitions)).items():
            held = before.get(partition)
            if held is not None and held.position is not None and committed in {held.committed, held.done}:
                held.committed = committed
                self._consumer.seek(partition, held.position)
            else:
                held = _HeldPartition(committed)
            self._held[partition] = held
        self._consumer.resume(*(each for each, held in self._held.items() if held.size < _FULL))
        self._balancing = None
        self._news.set()

    async def _committed_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
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
                await self._commit_now()
            self._give_up_commit()
            self._held.clear()
        try:
            await asyncio.wait_for(self._consumer.stop(), 2 * _COMMIT)
        except AWAY as error:
            log.warning("left without a word", extra={"data": {"topic": self._topic, "error": error_text(error)}})


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka declares no types
    """Passes the two events of a rebalance on."""

    def __init__(self, share: KafkaShare) -> None:
        self._share = share

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002 - eager: all of them
        await self._share.revoked()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._share.assigned(sorted(assigned))
