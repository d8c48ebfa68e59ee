"""The bus between capture and the workers.

The contract, for every implementation (`tests/prep/test_bus_contract.py`):
1. `publish` returns once the messages would survive a crash of any one part; if it raises, some may have been
   published, and publishing them again is safe, because handlers mark what they have done by `Message.id`.
2. `consume` yields batches of one topic to one group. Messages of equal key come in the order they were published.
3. Messages that were not acknowledged come again: after the consumer closes, dies, or loses its share to another.
   So a message comes at least once. A consumer may hold several batches and acknowledge them in any order;
   `ack` never raises because the bus does not answer.
4. Two consumers of one group share the keys, and a newcomer gets its part; each group sees everything (a group that
   reads for the first time: everything that is still kept).
5. `close` gives its share back; messages in hand and not acknowledged go to others.
Offsets, partitions and seeks stay inside an implementation.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from prep.messages import Message, Topic


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages to handle, and the acknowledgement to give once their effects are committed."""

    messages: Sequence[Message]
    ack: Callable[[], Awaitable[None]]
    since: datetime | None = None
    """When the oldest of them was published, as far as the bus remembers: for the metrics alone."""


class Bus(Protocol):
    # A publisher that got Unavailable may publish the same messages again.
    async def publish(self, messages: Sequence[Message]) -> None:
        """Make the messages durable. Raises `errors.Unavailable` if the bus cannot be reached."""

    # A generator, so that a consumer that is closed or cancelled leaves its group by itself.
    def consume(self, topic: Topic, group: str) -> AsyncGenerator[Batch, None]:
        """Batches until `close`. Waits while there are none, and while the bus does not answer.

        `aclose` on the generator leaves the group.
        """

    # For the metrics, and for the check that a night begins with an empty bus.
    async def lag(self, topic: Topic, group: str) -> int:
        """Messages of the topic this group has not acknowledged."""

    async def close(self) -> None: ...
