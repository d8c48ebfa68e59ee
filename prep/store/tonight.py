"""The night as a running process knows it: read from the database again and again, and kept for a start without it.

Each look also compares this machine's clock with the database's.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import asyncpg

from prep import observe
from prep.domain.night import Night, differences, in_words, read_night, zone_in_words
from prep.errors import Code, Rejected, Unavailable
from prep.settings import now
from prep.store.database import Pool, borrow
from prep.store.night import NightStanding, standing, undeclared

log: Final = logging.getLogger(__name__)
LOOK: Final = 2.0
"""Seconds between two looks."""
ASK: Final = 1.0
"""Seconds that an image may wait for a look, because the night was not open at the last one."""
SHORTEST_WAIT: Final = 5
LONGEST_WAIT: Final = 300
"""Seconds after which a device that came too early may ask again, at most."""


class Tonight:
    """The declared night, and whether it has opened and closed."""

    def __init__(self, pool: Pool, *, kept: Path | None = None, clock: Callable[[], datetime] = now) -> None:
        """`kept` is the file that keeps the night for a start while the database does not answer."""
        self._pool = pool
        self._kept = kept
        self._clock = clock
        self._night: Night | None = None
        self.opened_at: datetime | None = None
        self.closed_at: datetime | None = None
        self.layouts = False
        """Whether the catalogue describes printed forms: if not, no image is looked at for the marks of one."""
        self.conflict: str | None = None
        """Why this machine may not serve the night that is declared now."""
        self._looking: asyncio.Task[None] | None = None
        self._saved: dict[str, Any] = {}
        if kept is not None:
            with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
                self._remember(json.loads(kept.read_bytes()))

    @property
    def night(self) -> Night:
        """Raises Unavailable if no night is declared, or if this machine may not serve it."""
        if self.conflict is not None:
            raise Unavailable(self.conflict, retry_after=60)
        if self._night is None:
            raise Unavailable(undeclared().sentence, retry_after=30)
        return self._night

    @property
    def hours(self) -> tuple[datetime, datetime] | None:
        """The first and the last moment at which an acta can be taken in, if the night is known and has hours."""
        return None if self._night is None else self._night.hours

    async def check_open(self) -> Night:
        """The night, if corte 0 is out. Raises Unavailable: 425 with the hour before that, 503 without any night."""
        if self.opened_at is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._look_once()), ASK)
        night = self.night
        if self.opened_at is not None:
            return night
        if night.start is None:
            raise Unavailable("todavía no abre: falta el corte 0", code=Code.NOT_OPEN_YET)
        sentence = f"todavía no abre: la noche empieza {in_words(night.start, night.tz)}, {zone_in_words(night)}"
        left = (night.start - self._clock()).total_seconds() / 2
        wait = round(min(max(left, SHORTEST_WAIT), LONGEST_WAIT))
        raise Unavailable(f"{sentence}; guarde la imagen y envíela después", code=Code.NOT_OPEN_YET, retry_after=wait)

    def check_not_closed(self) -> None:
        """Raises Rejected after the last corte."""
        if self.closed_at is not None:
            raise Rejected("la noche ya cerró: salió el último corte, y lo publicado no cambia", code=Code.NIGHT_CLOSED)

    async def keep_fresh(self, stop: asyncio.Event | None = None) -> None:
        """Look until `stop`, or for ever."""
        stop = stop or asyncio.Event()
        while not stop.is_set():
            await self._look_once()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK)

    def _look_once(self) -> asyncio.Task[None]:
        """One look at a time, however many ask."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self.look())
        return self._looking

    async def look(self) -> None:
        """One look. While the database does not answer, everything stays as it is known."""
        before = self._clock()
        try:
            async with borrow(self._pool) as connection:
                stands = await standing(connection)
        except (Unavailable, asyncpg.UndefinedTableError):
            return
        except Exception:
            log.exception("night not read")  # a defect here must not stop images from coming in
            return
        if stands is None:
            return
        observe.compare_clocks(observe.ClockSource.POSTGRES, before=before, theirs=stands.clock, after=self._clock())
        self.conflict, self.layouts = self._conflict_with(stands), stands.layouts
        if self.conflict is None:
            self._night, self.opened_at, self.closed_at = stands.night, stands.opened_at, stands.closed_at
            await asyncio.to_thread(self._save)
        start = None if self._night is None else self._night.start
        observe.tell_of_night(start, is_open=self.opened_at is not None)

    def _conflict_with(self, stands: NightStanding) -> str | None:
        """Why this machine may not go over to the night of the database.

        A rehearsal can be begun again, and a night that has not opened can be declared again. A real one stays.
        """
        ours = self._night
        if ours is None or ours == stands.night or ours.simulacro or self.opened_at is None:
            return None
        held = "; ".join(differences(ours, stands.night))
        return f"esta máquina es de una noche real, y la base de datos dice otra ({held})"

    def _remember(self, held: dict[str, Any]) -> None:
        night = read_night(held["declaracion"], held["politica"])
        opened, closed = (datetime.fromisoformat(held[name]) if held[name] else None for name in ("abrio", "cerro"))
        self._night, self.opened_at, self.closed_at, self._saved = night, opened, closed, held

    def _save(self) -> None:
        assert self._night is not None
        held = {
            "declaracion": self._night.text,
            "politica": self._night.policy,
            "abrio": self.opened_at and self.opened_at.isoformat(),
            "cerro": self.closed_at and self.closed_at.isoformat(),
        }
        if self._kept is None or held == self._saved:
            return
        temporary = self._kept.with_name(f".{self._kept.name}.{uuid.uuid4().hex}")
        try:
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(held), encoding="utf-8")
            temporary.replace(self._kept)
        except OSError as error:
            log.warning("night not kept", extra={"data": {"error": str(error)}})
            temporary.unlink(missing_ok=True)
            return
        self._saved = held
