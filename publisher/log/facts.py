"""Facts that have no leaf yet, and the leaves that they become."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from integrity.leaves import link
from prep import observe
from prep.store import log as store
from prep.store.database import Connection
from prep.store.log import Fact, Leaf


@dataclass
class Cursor:
    """How far every fact of a kind has its leaf, so that a look reads only new facts and not the whole night.

    A number is given before its transaction commits, so a lower number may appear after a higher one. Therefore `low`
    moves up to a number only after two things: every transaction that was open when the number was seen has ended, and
    one more look has been taken.
    """

    low: int = 0
    high: int = 0
    """The highest number that has a leaf."""
    mark: int = -1
    """The number to which `low` will move; -1 if it waits for no transaction."""
    waiting: frozenset[str] = frozenset()
    passed: bool = False
    """The transactions that were open have ended."""

    def see(self, writing: frozenset[str]) -> None:
        """Before a look: the transactions that are open now."""
        if self.mark < 0:
            self.mark, self.waiting = self.high, writing
        self.passed = self.waiting.isdisjoint(writing)

    def took(self, facts: Sequence[Fact], *, drained: bool) -> None:
        """After a look from `low` on: the facts that it found, and whether those were all."""
        last = facts[-1].reference if facts else self.low
        self.high = max(self.high, last)
        if self.passed:
            self.low = max(self.low, self.mark if drained else min(self.mark, last))
            self.mark, self.passed = -1, False


class NewFacts:
    """Reads each fact once. For each kind, a cursor knows how far every fact has its leaf."""

    def __init__(self, *, batch: int, clock: Callable[[], datetime]) -> None:
        self._batch = batch
        self._clock = clock
        self.cursors = {kind: Cursor() for kind in store.KINDS}
        self._links: dict[str, str] = {}
        """The digest of the last leaf of each device seen so far."""

    def see(self, writing: frozenset[str]) -> None:
        """Before a look: the transactions that are open now."""
        for cursor in self.cursors.values():
            cursor.see(writing)

    async def fresh(self, connection: Connection) -> list[Fact]:
        """Facts without a leaf, in the order of their leaves; of each kind at most one batch."""
        found: list[Fact] = []
        full = False
        for kind in store.KINDS:
            if full and kind in store.LAST:
                continue  # a corte goes after everything that it shows
            cursor = self.cursors[kind]
            # The first fact of the log has reference 0, and so has corte 0: begin before them.
            facts = await store.fresh(connection, kind, cursor.low - 1, self._batch)
            drained = len(facts) < self._batch
            cursor.took(facts, drained=drained)
            full = full or not drained
            found += facts
        if not full:
            observe.LOG_DRAINED.set(self._clock().timestamp())
        return found

    async def leaves(self, connection: Connection, facts: Sequence[Fact]) -> list[tuple[Leaf, str | None]]:
        """A leaf for each fact, and its device. The leaves of a device are a chain: each names the one before."""
        number = await store.length(connection) if facts else 0
        unknown = {fact.device for fact in facts if fact.device} - self._links.keys()
        self._links |= await store.last_of_devices(connection, [each for each in unknown if each]) if unknown else {}
        new: list[tuple[Leaf, str | None]] = []
        for index, fact in enumerate(facts, number):
            content = fact.leaf(index, self._links.get(fact.device) if fact.device else None)
            if fact.device:
                self._links[fact.device] = link(content)
            new.append((Leaf(index, fact.kind, fact.reference, content), fact.device))
        return new
