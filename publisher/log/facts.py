"""Which facts have no leaf yet, and the leaves that they become."""

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
    """Up to where every fact of a kind has its leaf, so that a look reads what is new and not the night.

    Numbers are given before transactions commit, so a lower one may appear after a higher one: `low` moves up to a
    number only when everybody who was writing once it had been seen has ended, and a look has been taken since.
    """

    low: int = 0
    high: int = 0
    """The highest that has a leaf."""
    mark: int = -1
    """Where `low` moves next; -1 where nothing is waited for."""
    waiting: frozenset[str] = frozenset()
    passed: bool = False
    """Those who were writing have ended."""

    def see(self, writing: frozenset[str]) -> None:
        """Before a look: who is writing now."""
        if self.mark < 0:
            self.mark, self.waiting = self.high, writing
        self.passed = self.waiting.isdisjoint(writing)

    def took(self, facts: Sequence[Fact], *, drained: bool) -> None:
        """After a look from `low` on: what it found, and whether that was all."""
        last = facts[-1].reference if facts else self.low
        self.high = max(self.high, last)
        if self.passed:
            self.low = max(self.low, self.mark if drained else min(self.mark, last))
            self.mark, self.passed = -1, False


class NewFacts:
    """Reads each fact once: up to where every fact has its leaf is known for each kind."""

    def __init__(self, *, batch: int, clock: Callable[[], datetime]) -> None:
        self._batch = batch
        self._clock = clock
        self.cursors = {kind: Cursor() for kind in store.KINDS}
        self._links: dict[str, str] = {}
        """The link to the last leaf of each device seen so far."""

    def see(self, writing: frozenset[str]) -> None:
        """Before a look: who is writing now."""
        for cursor in self.cursors.values():
            cursor.see(writing)

    async def fresh(self, connection: Connection) -> list[Fact]:
        """What has no leaf yet, in the order in which it gets one: of each kind a batch at most."""
        found: list[Fact] = []
        full = False
        for kind in store.KINDS:
            if full and kind in store.LAST:
                continue  # everything that a corte shows goes before it
            cursor = self.cursors[kind]
            # The beginning is reference 0, and so is corte 0.
            facts = await store.fresh(connection, kind, cursor.low - 1, self._batch)
            drained = len(facts) < self._batch
            cursor.took(facts, drained=drained)
            full = full or not drained
            found += facts
        if not full:
            observe.LOG_DRAINED.set(self._clock().timestamp())
        return found

    async def leaves(self, connection: Connection, facts: Sequence[Fact]) -> list[tuple[Leaf, str | None]]:
        """A leaf for each of them, and the device that it is of: the leaves of a device are a chain."""
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
