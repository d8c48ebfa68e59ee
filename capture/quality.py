"""How people type, for those who supervise them: agreement, speed and fatigue of each, and the rates of the night.

People stand by site and name. There is no other order, and no mark: a ranking would make people hurry, and the numbers
of one night are too few to tell two good people apart. `docs/rules.md` §9 says how everything is computed.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from capture.auth import allow
from capture.entries import SEES_QUALITY
from prep.domain.quality import HourOfShift, Interval, Judged, NightQuality, Quartiles, Trend, Undetected, quartiles
from prep.store import quality as store
from prep.store.database import Pool, borrow
from prep.store.people import Person
from prep.store.quality import QualityTonight, Typist

FRESH: Final = timedelta(seconds=20)
"""All captures of the night are read for an answer: within this time the one before is given again."""


class QualityRoom:
    """Answers how people type, from one computation for all who ask at the same time."""

    def __init__(self, pool: Pool, *, clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._clock = clock
        self._one = asyncio.Lock()
        self._last: tuple[datetime, dict[str, Any]] | None = None

    async def tell(self, person: Person) -> dict[str, Any]:
        """Raises Rejected (403) if the person is no supervisor."""
        allow(person, SEES_QUALITY)
        async with self._one:
            if self._last is None or not timedelta() <= self._clock() - self._last[0] < FRESH:
                at = self._clock()
                async with (
                    borrow(self._pool) as connection,
                    connection.transaction(isolation="repeatable_read", readonly=True),
                ):
                    self._last = (at, told(await store.tonight(connection)))
            return self._last[1]


def told(found: QualityTonight) -> dict[str, Any]:
    """The whole answer. Shares are percentages as text, with four decimals; seconds and keys are whole numbers."""
    return {"noche": told_of_night(found.night), "personas": [_told_of_person(each) for each in found.people]}


def told_of_night(night: NightQuality) -> dict[str, Any]:
    """The rates of all people together: it names nobody, and holds whole numbers and text alone."""
    return {
        **_counted(night.judged),
        "error_por_campo": _share(night.judged.by_field),
        "error_por_captura": _share(night.judged.by_capture),
        "error_sin_detectar": _undetected(night.undetected),
        "controles": _controls(night.controls),
    }


def _told_of_person(typist: Typist) -> dict[str, Any]:
    shift = typist.shift
    return {
        "usuario": typist.login,
        "rol": typist.role,
        "sitio": typist.site,
        "total": shift.captures,
        **_counted(shift.judged),
        "coincidencia": _agreement(shift.judged.by_field),
        "segundos": _quartiles(shift.seconds),
        "teclas": _quartiles(shift.keys),
        "tendencia": _trend(shift.trend),
        "horas": [_hour(hour, each) for hour, each in shift.hours.items()],
        "controles": _controls(shift.controls),
    }


def _counted(judged: Judged) -> dict[str, int]:
    return {"capturas": judged.captures, "campos": judged.fields, "campos_distintos": judged.wrong}


def _controls(judged: Judged) -> dict[str, Any]:
    return {**_counted(judged), "coincidencia": _agreement(judged.by_field)}


def _hour(hour: int, each: HourOfShift) -> dict[str, Any]:
    return {
        "hora": hour + 1,
        "total": len(each.seconds),
        **_counted(each.judged),
        "coincidencia": _agreement(each.judged.by_field),
        "segundos": _quartiles(quartiles(each.seconds)),
    }


def _share(of: Interval | None) -> dict[str, str] | None:
    return None if of is None else {"porcentaje": _percent(of.share), "de": _percent(of.low), "a": _percent(of.high)}


def _agreement(wrong: Interval | None) -> dict[str, str] | None:
    return None if wrong is None else _share(Interval(1 - wrong.share, 1 - wrong.high, 1 - wrong.low))


def _undetected(of: Undetected | None) -> dict[str, str] | None:
    return None if of is None else {"estimado": _percent(of.estimate), "hasta": _percent(of.high)}


def _trend(of: Trend | None) -> dict[str, str] | None:
    if of is None:
        return None
    return {"por_hora": _percent(of.an_hour), "de": _percent(of.low), "a": _percent(of.high)}


def _quartiles(of: Quartiles | None) -> dict[str, int] | None:
    if of is None:
        return None
    return {"cuartil_1": round(of.lower), "mediana": round(of.median), "cuartil_3": round(of.upper)}


def _percent(share: float) -> str:
    return f"{100 * share:.4f}"
