"""The publisher's loop: it cuts each corte at its hour, while this process leads.

Driven by the clock: a corte goes out when it is due, even if the one before failed. An error is an alarm and another
try, never the end of the loop. Several publishers may run, on one published tree or each on its own. One leads. The
others keep their trees equal to the recorded cortes, until they can take the lead (prep.store.leading).
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from integrity.layout import INDEX
from prep import observe
from prep.domain.corte import Corte, Phase
from prep.domain.night import in_words, is_late
from prep.errors import PrepError, Unavailable
from prep.settings import now
from prep.store import cortes, leading
from prep.store.leading import Leader
from prep.store.night import NightChanged
from prep.store.tonight import Tonight
from prep.store.unsettled import unsettled
from publisher import data, start_page
from publisher.cut import CorteOffice, Order, cut, licensed
from publisher.gate import GateFailure
from publisher.schedule import Schedule

log: Final = logging.getLogger(__name__)
LONGEST_CUT: Final = 120.0
"""Seconds for which a publisher may look at nothing else, because it cuts."""
LOOK: Final = 2.0
"""Seconds between looks at the database, at most."""
SHORTEST_PAUSE: Final = 0.05
SHORTEST_LEASE: Final = 5.0
"""Seconds that a leader may be silent, even if cortes are closer together: it may be busy."""
ROLE: Final = "publisher"
LONGEST_PAUSE: Final = 15.0
"""Seconds between tries after an error, at most."""
FINDINGS: Final = 5
"""Findings of a failed gate that are written into the log."""

Choose = Callable[[datetime, Corte | None, datetime | None, bool], Order | None]
"""From the time, the last corte, the time of corte 0, and whether every acta is in: the corte to cut, or None."""


class Publisher:
    """One publisher process: its office, its schedule, and the last corte that it knows."""

    def __init__(
        self,
        office: CorteOffice,
        url: str,
        schedule: Schedule,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.office = replace(office, step=self._step)
        self._around = office.step
        self.seconds: dict[str, float] = {}
        self.tonight = Tonight(office.pool)
        """Compares the clocks, and tells the metrics when the night starts."""
        self.url = url
        self.schedule = schedule
        self.clock = clock
        self.last: Corte | None = None
        self._since = 0.0
        """Time (monotonic) at which this process first knew of `last`."""
        self._leads = False
        self._changed: NightChanged | None = None
        self.wrong: str | None = "todavía no hay ningún corte"
        self.ready = observe.Readiness(patience=max(LONGEST_CUT, schedule.interval.total_seconds()))
        """Whether the next corte can be cut, or another publisher cuts it."""
        observe.CORTE_INTERVAL.set(schedule.interval.total_seconds())

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        with self._around(name):
            yield
        self.seconds[name] = round(time.perf_counter() - began, 3)

    async def run(self, stop: asyncio.Event) -> None:
        """Cut each due corte until `stop`, while this process leads; a corte that has begun is finished first.

        Missing seals, time stamps and clean data are made meanwhile, and hold up no corte. Raises NightChanged if
        another night is declared than the one that this process began with.
        """
        notary = self.office.notary
        async with asyncio.TaskGroup() as tasks:
            if notary is not None:
                tasks.create_task(notary.serve(self.office.public, stop))
            tasks.create_task(self.tonight.keep_fresh(stop))
            tasks.create_task(data.serve(self.office.public, stop))
            await self._cut(stop)
        if self.last is not None and self.last.phase is Phase.FINAL:
            with contextlib.suppress(PrepError):  # a standby, or a database that does not answer: the leader links them
                await self.link_data()
        if self._changed is not None:
            raise self._changed

    async def _cut(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            try:
                async with leading.session(self.url, lease=self._lease()) as session:
                    while not stop.is_set():
                        await self._look(session)
                        failures, self.wrong = 0, self._not_begun()
                        self.ready.tell(self.wrong)
                        observe.GATE_CLOSED.set(0)
                        await _pause(stop, self._until_due())
            except NightChanged as changed:
                self._changed = changed
                stop.set()
            except Exception as error:  # noqa: BLE001  # an alarm and the next try, never the end of publishing
                failures += 1  # a publisher that cannot cut gives up the lead: another one may be able to
                await self._alarm(error)
            observe.LEADER.labels(ROLE).set(0)
            if failures:
                await _pause(stop, min(LONGEST_PAUSE, SHORTEST_PAUSE * 2.0**failures))

    async def _look(self, session: Leader) -> None:
        """One look: the leader looks at the clock, a standby at the recorded cortes."""
        leads = await session.lead()
        observe.LEADER.labels(ROLE).set(leads)
        self._leads = leads
        await self._tell_incidents(session)
        await self._tell_data(session)
        if not leads and not await self._news(session):
            return
        with contextlib.suppress(leading.PublisherBusy):  # next look
            async with session.cutting(patience=LOOK if leads else 0):
                await self._turn(session, self._due if leads else _nothing)

    async def _tell_incidents(self, session: Leader) -> None:
        """Tell incidents and their end at once. They are told first: the corte that follows may not come out."""
        public, zone = self.office.public, self.office.night.tz
        if not (public / INDEX).exists():
            return
        async with session.using() as connection:
            told = await cortes.incidents(connection)
        if await asyncio.to_thread(start_page.tells_incidents, public, told, zone):
            return
        with contextlib.suppress(leading.PublisherBusy):  # next look
            async with session.cutting(patience=0):
                with licensed(public) as stage:
                    await session.check()
                    await asyncio.to_thread(start_page.show_incidents, public, stage, told, zone)

    async def _tell_data(self, session: Leader) -> None:
        """Link clean data that came after their corte."""
        public = self.office.public
        if not (public / INDEX).exists() or await asyncio.to_thread(data.tells_data, public):
            return
        with contextlib.suppress(leading.PublisherBusy):  # next look
            async with session.cutting(patience=0):
                with licensed(public) as stage:
                    await session.check()
                    await asyncio.to_thread(data.show_data, public, stage)

    async def link_data(self, *, patience: float = 0.0) -> None:
        """The same for the data that came after the last look; needs no lead, only its turn."""
        public = self.office.public
        if (public / INDEX).exists() and not await asyncio.to_thread(data.tells_data, public):
            async with leading.cutting(self.url, patience=patience) as leader:
                with licensed(public) as stage:
                    await leader.check()
                    await asyncio.to_thread(data.show_data, public, stage)

    def _not_begun(self) -> str | None:
        """One sentence if the start has passed without corte 0; a page in the place of the results says the same."""
        night = self.office.night
        if self.last is not None:
            return None
        late = is_late(night, self._now())
        if self._leads:  # a standby could write it over the page of a corte that the leader brings out
            start_page.write_waiting(self.office.public, night, late=late)
        if not late or night.start is None:
            return None
        return f"la noche debía empezar {in_words(night.start, night.tz)}, y el corte 0 no ha salido: falta «prep zero»"

    def _lease(self) -> float:
        """Seconds after which a silent leader has lost the lead, so that another one takes it within an interval."""
        return min(leading.LEASE, max(SHORTEST_LEASE, self.schedule.interval.total_seconds() / 3))

    def _until_due(self) -> float:
        """Seconds to sleep: not past the next corte, and short enough to see a corte of another publisher."""
        if self.last is None or self.last.due is None:
            return LOOK
        return min(LOOK, max(SHORTEST_PAUSE, (self.last.due - self._now()).total_seconds()))

    def _now(self) -> datetime:
        """The clock.

        If it was set back behind the last corte, that corte's time plus the seconds since: cortes go on.
        """
        now = self.clock()
        if self.last is None or now > self.last.at:
            return now
        return self.last.at + timedelta(seconds=time.monotonic() - self._since)

    def _due(self, at: datetime, last: Corte | None, first: datetime | None, complete: bool) -> Order | None:  # noqa: FBT001
        if last is None and self.office.night.ceremony:
            return None  # `prep zero` cuts it
        return self.schedule.due(at, last, first=first, complete=complete)

    async def turn(self, choose: Choose, *, patience: float = 0.0) -> Corte | None:
        """Finish an unfinished corte, then cut the one that `choose` returns; needs no lead, only its turn."""
        async with leading.cutting(self.url, patience=patience) as leader:
            return await self._turn(leader, choose)

    async def _turn(self, leader: Leader, choose: Choose) -> Corte | None:
        corte = await cut(self.office, leader, None) if await self._news(leader) else None
        while corte is not None:
            self._tell(corte)
            corte = await cut(self.office, leader, None)
        order = await self._order(leader, choose)
        if order is not None:
            corte = await cut(self.office, leader, order)
            assert corte is not None
            self._tell(corte)
        return corte

    async def _news(self, leader: Leader) -> bool:
        """Whether a recorded corte is not known to this process, so that it may not be out in this tree."""
        async with leader.using() as connection:
            last = await cortes.last(connection)
        return last is not None and last != self.last

    async def _order(self, leader: Leader, choose: Choose) -> Order | None:
        async with leader.using() as connection:
            last = await cortes.last(connection)
            first = await cortes.corte(connection, 0)
            complete = (await unsettled(connection)).complete
        if last is not None:
            self._tell(last, new=False)
        return choose(self._now(), last, first.at if first else None, complete)

    def _tell(self, corte: Corte, *, new: bool = True) -> None:
        if new and self.last is not None and self.last.due is not None and corte.number == self.last.number + 1:
            late = (corte.at - self.last.due).total_seconds() + sum(self.seconds.values())
            observe.CORTE_LATE.set(max(0.0, late))  # the last corte may come before its hour
        if self.last is None or self.last.number != corte.number:
            self._since = time.monotonic()
        self.last = corte
        observe.CORTE.set(corte.number)
        observe.CORTE_AT.set(corte.at.timestamp())
        observe.CORTE_DUE.set(0 if corte.due is None else corte.due.timestamp())
        if new:
            told = {"corte": corte.number, "fase": corte.phase, "sha256sums": corte.sums, "siguiente": corte.due}
            log.info("corte published", extra={"data": {**told, "segundos": self.seconds}})
            self.seconds = {}

    async def _alarm(self, error: Exception) -> None:
        """Report the error that stopped a corte, with an alarm. The corte before stays published."""
        cause = type(error).__name__
        self.wrong = error.sentence if isinstance(error, PrepError) else f"{cause}: {error}"
        if isinstance(error, leading.PublisherBusy):
            self.wrong = None  # the other one is at work
            self.ready.tell(None)
            return
        # A closed gate is for people to open: this process is as able as any other to cut what passes it.
        self.ready.tell(None if isinstance(error, GateFailure) else self.wrong)
        observe.CUT_ERRORS.labels(cause).inc()
        observe.GATE_CLOSED.set(isinstance(error, GateFailure))
        if not isinstance(error, GateFailure):
            said = None if isinstance(error, PrepError) else error  # a sentence needs no traceback
            log.error("corte not published", exc_info=said, extra={"data": {"cause": cause, "why": self.wrong}})
            return
        told = {"hallazgos": [_plain(finding) for finding in error.findings[:FINDINGS]]}
        log.critical("the gate stopped a corte", extra={"data": told})
        with contextlib.suppress(Unavailable):
            number = 0 if self.last is None else self.last.number + 1
            await cortes.add_event(self.office.pool, "compuerta", f"corte {number}", told, self.clock())

    def health(self) -> str | None:
        """None, or one Spanish sentence about the fault."""
        if self.last is not None and self.last.due is not None:
            late = self._now() - self.last.due
            if late > self.schedule.interval:
                return (
                    f"el corte {self.last.number + 1} está retrasado {int(late.total_seconds())} s; {self.wrong or ''}"
                )
        return self.wrong or observe.clock_alarm()


def _nothing(*_: object) -> None:
    """The choice of a standby: no corte."""


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def _plain(finding: object) -> dict[str, str]:
    return {name: getattr(finding, name) for name in ("check", "file", "expected", "found")}
