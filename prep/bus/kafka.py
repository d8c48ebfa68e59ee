"""The bus on Apache Kafka (4 or later): what several machines need, and an intake that does not wait for PostgreSQL.

A message is acknowledged to its publisher when every replica in sync has it (acks=all, idempotent producer; with three
copies, at least two). How a consumer keeps its place is told in `kafka_share`.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerClosed,
    UnknownTopicOrPartitionError,
)
from aiokafka.structs import RecordMetadata

from prep import observe
from prep.bus.contract import Batch
from prep.bus.kafka_cluster import AWAY, Cluster, error_text
from prep.bus.kafka_headers import headers_of
from prep.bus.kafka_share import AGAIN, POLL, KafkaShare
from prep.errors import Unavailable
from prep.messages import PARTITIONS, Message, Topic
from prep.settings import now

log: Final = logging.getLogger(__name__)
APPENDED: Final = 1
"""Of a topic whose nodes write their own time (LogAppendTime)."""
_REQUEST: Final = 0.8
"""The part of its patience after which a publisher asks a silent broker again, or another."""


class KafkaBus:
    """A bus on that cluster. It connects when it is used.

    `patience`: seconds in which a publish is durable, or `Unavailable`.
    """

    def __init__(self, cluster: Cluster, *, patience: float = 5.0, clock: Callable[[], datetime] = now) -> None:
        self._cluster = cluster
        self._clock = clock
        self._options = cluster.options()
        self._patience = patience
        self._request_ms = int(_REQUEST * 1000 * patience)
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._watchers: dict[str, AIOKafkaConsumer] = {}
        self._watching = asyncio.Lock()
        self._shares: set[KafkaShare] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        if self._closed.is_set():
            raise Unavailable("el bus está cerrado")
        try:
            # A sender waits for its receipt: after `patience` it hears «again later» and keeps its image.
            async with asyncio.timeout(self._patience):
                # False: the producer was given up. A new one sends all of them again; handlers know `Message.id`.
                while not await self._send_all(messages):
                    pass
        except UnknownTopicOrPartitionError as error:
            raise Unavailable("el bus no tiene sus temas: ejecute «prep bus init»") from error
        except MessageSizeTooLargeError:  # no other time will be better: a defect of its publisher
            raise
        except AWAY as error:
            log.warning("bus away", extra={"data": {"error": error_text(error)}})
            raise Unavailable("el bus no responde; intente de nuevo") from error

    async def _send_all(self, messages: Sequence[Message]) -> bool:
        """Publish all and wait until they are durable; False if the producer had to be given up."""
        producer = await self._running_producer()
        # All are handed to the producer first, so that they travel in the same requests.
        sent: list[asyncio.Future[RecordMetadata]] = []
        before = self._clock()
        try:
            for message in messages:
                topic, key = self._cluster.topic(message.topic), message.key.encode()
                sent.append(await producer.send(topic, message.body, key, headers=headers_of(message)))
            self._compare_clocks(producer, before, await asyncio.gather(*sent))
        except (MessageSizeTooLargeError, UnknownTopicOrPartitionError, KafkaTimeoutError):  # no fault of the producer
            raise
        except KafkaError as error:
            # It has lost count of its sequence numbers (a batch that expired while no leader was known is enough):
            # nothing it sends would be taken any more. A new one begins to count anew.
            log.warning("producer given up", extra={"data": {"error": error_text(error)}})
            if self._producer is producer:
                self._producer = None
                self._end_in_background(_dismiss_producer(producer))
            await asyncio.sleep(AGAIN)
            return False
        finally:
            # Read the outcome of each, also after an error: asyncio complains about one that nobody read.
            for each in sent:
                each.add_done_callback(lambda future: future.cancelled() or future.exception())
        return True

    def _compare_clocks(self, producer: AIOKafkaProducer, before: datetime, appended: Sequence[RecordMetadata]) -> None:
        """Compare this machine's clock with that of each node that has just appended a message, and told when."""
        after = self._clock()
        for each in {told.partition: told for told in appended if told.timestamp_type == APPENDED}.values():
            node = producer.client.cluster.leader_for_partition(each.topic_partition)
            theirs = datetime.fromtimestamp(each.timestamp / 1000, UTC)
            named = "" if node is None else str(node)
            observe.compare_clocks(observe.ClockSource.KAFKA, before=before, theirs=theirs, after=after, node=named)

    async def _running_producer(self) -> AIOKafkaProducer:
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
                    self._end_in_background(producer.stop())
                    raise
                self._producer = producer
            return self._producer

    async def lag(self, topic: Topic, group: str) -> int:
        name, group_id = self._cluster.topic(topic), self._cluster.group(topic, group)
        try:
            async with asyncio.timeout(self._patience), self._watching:
                try:
                    return await _count_lag(await self._lag_watcher(group_id), name, PARTITIONS[topic])
                except BaseException:
                    if (watcher := self._watchers.pop(group_id, None)) is not None:
                        self._end_in_background(watcher.stop())
                    raise
        except AWAY as error:
            raise Unavailable("el bus no responde; intente de nuevo") from error

    async def _lag_watcher(self, group_id: str) -> AIOKafkaConsumer:
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
            share = KafkaShare(self._cluster, self._options, topic, group)
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
                log.warning("bus away, waiting", extra={"data": {"topic": topic, "error": error_text(error)}})
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), POLL)

    def _end_in_background(self, ending: Coroutine[Any, Any, None]) -> None:
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
                self._end_in_background(_dismiss_producer(self._producer))
                self._producer = None
        for watcher in self._watchers.values():
            self._end_in_background(watcher.stop())
        self._watchers.clear()
        while self._ending:
            await asyncio.wait(self._ending)


async def _dismiss_producer(producer: AIOKafkaProducer) -> None:
    """End a producer without waiting for messages that it could not send: their publishers are told so now.

    `stop` alone would wait for as long as the cluster does not answer, and aiokafka has no other way to say so.
    """
    producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001
    await producer.stop()


async def _count_lag(watcher: AIOKafkaConsumer, name: str, partitions: int) -> int:
    await watcher.end_offsets([TopicPartition(name, 0)])  # so that it knows the topic
    numbers = watcher.partitions_for_topic(name) or range(partitions)
    # Before its first commit a group has everything that is kept still before it.
    every = [TopicPartition(name, number) for number in numbers]
    committed = await asyncio.gather(*(watcher.committed(each) for each in every))
    first, last = await watcher.beginning_offsets(every), await watcher.end_offsets(every)
    return sum(last[each] - max(first[each], done or 0) for each, done in zip(every, committed, strict=True))
