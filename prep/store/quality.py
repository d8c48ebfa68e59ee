"""How people typed tonight, as sums by person and hour: the data of `prep/domain/quality.py`."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from prep.domain.quality import BothWrong, HourOfShift, Judged, NightQuality, Shift
from prep.store.database import Connection, sql

SQL: Final = sql("quality")
# A national night has a million captures, which are read once for it.
_LONG: Final = 120.0


@dataclass(frozen=True, slots=True)
class Typist:
    """One person who typed, and how."""

    login: str
    role: str
    site: str
    shift: Shift


@dataclass(frozen=True, slots=True)
class QualityTonight:
    """What people typed, by site and login, and the night as a whole."""

    people: tuple[Typist, ...]
    night: NightQuality


async def tonight(connection: Connection) -> QualityTonight:
    """Of every person with a capture; the caller opens a transaction if all is to be of one moment."""
    hours: dict[int, dict[int, HourOfShift]] = defaultdict(dict)
    controls: dict[int, Judged] = defaultdict(Judged)
    for row in await connection.fetch(SQL["work"], timeout=_LONG):
        person, kind = row["person"], row["kind"]
        judged = Judged(**{name: row[name] for name in Judged.__dataclass_fields__})
        if kind == "control":
            controls[person] += judged
        before = hours[person].get(row["hour"], HourOfShift(Judged(), ()))
        hours[person][row["hour"]] = HourOfShift(
            before.judged + judged if kind == "blind" else before.judged,
            (*before.seconds, *row["seconds"]),
            (*before.keys, *row["keys"]),
        )
    both = await connection.fetchrow(SQL["both_wrong"], timeout=_LONG)
    assert both is not None
    people = tuple(
        Typist(
            row["login"], row["role"], row["site"], Shift(dict(sorted(hours[row["id"]].items())), controls[row["id"]])
        )
        for row in await connection.fetch(SQL["people"])
        if row["id"] in hours
    )
    all_judged = sum((each.shift.judged for each in people), Judged())
    all_controls = sum((each.shift.controls for each in people), Judged())
    return QualityTonight(people, NightQuality(all_judged, all_controls, BothWrong(both["fields"], both["alike"])))
