"""When a corte is due. Pure: the clock is an argument, and the published cortes are the only memory.

The publisher is driven by the clock, not by arrivals: it cuts even if no acta came. Cortes stand on a grid from `start`
in steps of `interval`. A late corte is cut at once and not doubled: the next one is at the next place of the grid. At
`end` the last corte is cut, and no other follows.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from prep.domain.corte import Corte, Phase
from prep.domain.night import LONGEST, Night
from publisher.cut import Order


@dataclass(frozen=True, slots=True)
class Schedule:
    """The times of a night."""

    start: datetime | None
    """First corte with data; None: the moment at which corte 0 was cut."""
    end: datetime | None
    interval: timedelta
    close_when_complete: bool

    @classmethod
    def of(cls, night: Night) -> "Schedule":
        """The schedule that the night declares."""
        return cls(night.start, night.end, night.interval, night.close_when_complete)

    def due(self, now: datetime, last: Corte | None, *, first: datetime | None, complete: bool) -> Order | None:
        """The corte to cut at this moment, or None.

        `first` is the time of corte 0; `complete`: every acta is captured.
        """
        if last is None:
            return self.now(now, None, first=None)
        start = self._start_of_grid(first, last.at)
        if last.phase is Phase.FINAL or now <= last.at or now < start:
            return None
        # The end of the night, or an earlier close if the night's declaration allows it (domain.md §8).
        if now >= self._end_of_night(start) or (self.close_when_complete and complete):
            return self.final(now)
        if last.due is not None and now < last.due:
            return None
        return self.now(now, last, first=first)

    def now(self, now: datetime, last: Corte | None, *, first: datetime | None) -> Order:
        """The corte that would be cut at this moment, whether it is due or a person asks for it."""
        if last is None:
            return Order(Phase.CERO, now, max(now, self._start_of_grid(None, now)))
        start = self._start_of_grid(first, last.at)
        # The next place of the grid that lies ahead; places that passed meanwhile are left out.
        passed = (now - start) // self.interval
        ahead = start + (passed + 1) * self.interval
        return Order(Phase.EN_CURSO, now, max(now, min(ahead, self._end_of_night(start))))

    def final(self, now: datetime) -> Order:
        """The last corte: at the end, when all actas are in, or because a person orders it."""
        return Order(Phase.FINAL, now, None)

    def _start_of_grid(self, first: datetime | None, otherwise: datetime) -> datetime:
        return self.start or first or otherwise

    def _end_of_night(self, start: datetime) -> datetime:
        return self.end or start + LONGEST
