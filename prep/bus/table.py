"""The bus on a table of the same PostgreSQL: enough for one machine, without a broker.

Publishing is group-committed: everything that waits when a write begins is written in one transaction. A consumer is
one session, and the partitions that it reads are advisory locks of that session. A consumer that dies gives them back
by dying, and the next holder reads again from the cursor. A cursor moves over acknowledged messages, without a gap.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from prep.bus.contract import Batch
from prep.errors import Unavailable
from prep.messages import PARTITIONS, Message, Topic
from prep.store import bus as store
from prep.store.database import GONE, Connection

log: Final = logging.getLogger(__name__)

KEEP: Final = timedelta(hours=1)
"""A group that reads a topic for the first time still finds the messages of this long ago."""

_WRITE: Final = 2000
"""Messages in one publishing transaction, at most (a single publish may exceed it)."""
_FETCH: Final = 60
"""Messages in one batch, about."""
_POLL: Final = 1.0
"""Seconds between looks where no notification came."""
_LINGER: Final = 0.01
"""Seconds between a notification and the look: messages that come together are read together."""
_BALANCE: Final = 0.5
"""Seconds between looks at who else is in the group."""
_SWEEP: Final = 60.0


class EmbeddedBus:
    """A bus on the database at `url`. It connects when it is used.

    `patience`: seconds that a partition which another consumer should have may stay while something of it is in hand.
    """

    def __init__(self, url: str, *, keep: timedelta = KEEP, patience: float = 10.0) -> None:
        self._url = url
        self._keep = keep
        self._patience = patience
        self._waiting: list[tuple[Sequence[Message], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._using = asyncio.Lock()
        self._shares: set[_Share] = set()
        self._closed = asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        if self._closed.is_set():
            raise Unavailable("el bus está cerrado")
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, written))
        # The first publisher starts the writer. The others find it running and are in its next transaction.
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting())
        await written

    async def _write_waiting(self) -> None:
        while self._waiting:
            # As many whole publishes as fit: a publish is in one transaction, or in none.
            group: list[tuple[Sequence[Message], asyncio.Future[None]]] = []
            size = 0
            while self._waiting and (not group or size + len(self._waiting[0][0]) <= _WRITE):
                group.append(self._waiting.pop(0))
                size += len(group[-1][0])
            error = await self._commit_group([message for messages, _ in group for message in messages])
            for messages, written in group:
                if error is not None and not isinstance(error, Unavailable) and len(group) > 1:
                    _settle_publish(
                        written, await self._commit_group(messages)
                    )  # one caller's bad message fails that caller alone
                else:
                    _settle_publish(written, error)

    async def _commit_group(self, messages: Sequence[Message]) -> Exception | None:
        """Write in one transaction; the error instead, if there was one."""
        try:
            async with self._using:
                try:
                    await self._insert_messages(messages)
                except GONE:  # perhaps the session died long ago; a commit whose answer was lost is repeated
                    await self._insert_messages(messages)
        except GONE as error:
            log.warning("bus away", extra={"data": {"error": str(error)}})
            return Unavailable("el bus no responde; intente de nuevo")
        except Exception as error:  # noqa: BLE001 - the publisher gets it
            return error
        return None

    async def _insert_messages(self, messages: Sequence[Message]) -> None:
        await store.publish(await self._session(), messages)

    async def _session(self) -> Connection:
        """The session for writing and counting; the caller holds `_using`."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await store.connect(self._url)
        return self._connection

    async def lag(self, topic: Topic, group: str) -> int:
        try:
            async with self._using:
                return await store.lag(await self._session(), topic, group)
        except GONE as error:
            raise Unavailable("el bus no responde; intente de nuevo") from error

    async def consume(self, topic: Topic, group: str) -> AsyncGenerator[Batch, None]:
        while not self._closed.is_set():
            try:
                share = await self._join_group(topic, group)
                try:
                    while (batch := await share.next()) is not None:
                        yield batch
                finally:
                    self._shares.discard(share)
                    await share.leave()
            except GONE as error:
                log.warning("bus away, waiting", extra={"data": {"topic": topic, "error": str(error)}})
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), _POLL)

    async def _join_group(self, topic: Topic, group: str) -> "_Share":
        # A session of its own: its locks are its partitions, and they end with it.
        share = _Share(store.Reader(await store.connect(self._url, reader=True), topic, group), self._patience)
        try:
            await share.enter(PARTITIONS[topic], self._keep)
        except BaseException:
            await share.leave()
            raise
        self._shares.add(share)
        if self._closed.is_set():  # `close` ran while this consumer was connecting, and did not see its share
            await share.leave()
        return share

    async def close(self) -> None:
        self._closed.set()
        for share in list(self._shares):
            await share.leave()
        if self._writer is not None:
            await self._writer
        async with self._using:
            if self._connection is not None:
                with contextlib.suppress(*GONE):
                    await self._connection.close()


def _settle_publish(written: asyncio.Future[None], error: Exception | None) -> None:
    if written.done():  # its publisher was cancelled
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)


@dataclass(eq=False, slots=True)
class _Piece:
    """The part of one batch that is of one partition."""

    last: int
    acknowledged: bool = False


@dataclass(eq=False, slots=True)
class _Held:
    """A partition this consumer holds."""

    position: int
    """Read up to here."""
    in_hand: deque[_Piece] = field(default_factory=deque)
    """In order; leaves from the front as it is acknowledged, so that the cursor never passes an open one."""
    until: float | None = None
    """It should go to another: as soon as nothing of it is in hand, at this loop time in any case."""


class _Share:
    """What one consumer holds while its session lives. When that ends, all of it comes again to others."""

    def __init__(self, reader: store.Reader, patience: float) -> None:
        self._reader = reader
        self._patience = patience
        self._partitions = 0
        self._held: dict[int, _Held] = {}
        self._session = asyncio.Lock()
        self._news = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._over = False

    async def enter(self, partitions: int, keep: timedelta) -> None:
        self._partitions = partitions
        await self._reader.enter(self._news.set)
        await self._balance_share()
        self._keeper = asyncio.create_task(self._tend_share(keep))

    async def next(self) -> Batch | None:
        """The next batch, waiting for it; None once this share has been left. Raises what a lost session raises."""
        while not self._over:
            if self._keeper is not None and self._keeper.done():
                self._keeper.result()
            self._news.clear()
            batch = await self._fetch_batch()
            if batch is not None:
                return batch
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _POLL)
                await asyncio.sleep(_LINGER)
        return None

    async def _fetch_batch(self) -> Batch | None:
        async with self._session:
            reading = {number: held for number, held in self._held.items() if held.until is None}
            if not reading:
                return None
            positions = [(number, held.position) for number, held in reading.items()]
            found = await self._reader.fetch(positions, each=max(1, _FETCH // len(reading)))
        if not found:
            return None
        # The batch is remembered by partition: each part moves its own cursor when it is acknowledged.
        pieces: dict[int, _Piece] = {}
        for stored in found:
            pieces.setdefault(stored.partition, _Piece(0)).last = stored.seq
        for number, piece in pieces.items():
            reading[number].position = piece.last
            reading[number].in_hand.append(piece)
        mine = [(number, reading[number], piece) for number, piece in pieces.items()]
        since = min(stored.at for stored in found)
        return Batch([stored.message for stored in found], partial(self._acknowledge_pieces, mine), since)

    async def _acknowledge_pieces(self, pieces: Sequence[tuple[int, _Held, _Piece]]) -> None:
        # A cursor moves over the acknowledged front of its partition, so an open batch holds later ones back.
        moved = {}
        for number, held, piece in pieces:
            piece.acknowledged = True
            while held.in_hand and held.in_hand[0].acknowledged:
                last = held.in_hand.popleft().last
                if self._held.get(number) is held:  # otherwise it is another's by now, and comes again there
                    moved[number] = last
        if not moved or self._over:
            return
        try:
            async with self._session:
                await self._reader.acknowledge(moved.items())
        except GONE as error:  # begin again from the cursors, so that nothing stays unacknowledged for good
            log.warning("acknowledgement lost", extra={"data": {"error": str(error)}})
            self._reader.break_off()
            self._news.set()

    async def _tend_share(self, keep: timedelta) -> None:
        """In the background, whether or not anybody asks for the next batch: fair shares, and sweeping."""
        # Fair shares are a matter of half a second; sweeping can wait a minute.
        clock = asyncio.get_running_loop().time
        swept = clock()
        try:
            while not self._over:
                await asyncio.sleep(_BALANCE)
                await self._balance_share()
                if clock() - swept > _SWEEP:
                    swept = clock()
                    async with self._session:
                        await self._reader.sweep(keep)
        finally:
            self._news.set()  # `next` raises what ended this

    async def _balance_share(self) -> None:
        """Hold as many partitions as is fair: mark those for others, give free ones back, take missing ones."""
        async with self._session:
            fair = await self._reader.fair_share()
            # The idle ones go first: they can be given back at once, and no message is read twice.
            staying = sorted(
                (number for number, held in self._held.items() if held.until is None),
                key=lambda number: len(self._held[number].in_hand),
            )
            now = asyncio.get_running_loop().time()
            for number in staying[: max(0, len(staying) - fair)]:
                self._held[number].until = now + self._patience
            # A busy one goes when it is idle, or when the patience of the other consumer is at its end.
            for number, held in list(self._held.items()):
                if held.until is not None and (not held.in_hand or held.until <= now):
                    del self._held[number]
                    await self._reader.give_back(number)
            await self._take_partitions(fair - len(staying))

    async def _take_partitions(self, missing: int) -> None:
        # A partition on its way out only has to stay. Any other is tried: its holder may have died.
        for number in range(self._partitions):
            if missing <= 0:
                return
            held = self._held.get(number)
            if held is not None and held.until is not None:
                held.until = None  # nobody else needs it after all
            elif held is None and (cursor := await self._reader.take(number)) is not None:
                self._held[number] = _Held(cursor)
            else:
                continue
            missing -= 1
            self._news.set()

    async def leave(self) -> None:
        """Give everything back. Acknowledgements after this do nothing: what they speak of comes again."""
        if self._over:
            return
        self._over = True
        self._news.set()
        if self._keeper is not None:
            # The keeper uses the session too: it must be over before the session is closed.
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        try:
            async with self._session:
                self._held.clear()
                await self._reader.leave()
        except GONE:
            self._reader.break_off()
