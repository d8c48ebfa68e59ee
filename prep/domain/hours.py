"""The zone of the night: every hour on paper, on pages and in files is told in the zone that the night declares.

Mexico has four zones, and the border with the United States changes to summer time. The database holds UTC; a moment
becomes local only if a person reads it, by `zone_of_night`, and with its offset beside it.
"""

from datetime import datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

CENTRAL_NAME: Final = "America/Mexico_City"
CENTRAL: Final = timezone(timedelta(hours=-6), "UTC-6")
"""Central time, which has no summer time since October 2022. It needs no database of zones."""
_AFTER_SUMMER_TIME: Final = datetime(2023, 7, 1)  # noqa: DTZ001 - the hour of any zone


def zone_of_night(name: str) -> tzinfo:
    """The zone with that IANA name (America/Hermosillo). Raises ValueError, in Spanish, if this machine lacks it."""
    if name == CENTRAL_NAME:
        return CENTRAL
    try:
        zone = ZoneInfo(name)
        central = ZoneInfo(CENTRAL_NAME)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"«{name}» no es una zona horaria que esta máquina conozca, como America/Hermosillo") from None
    # A database older than the law of 2022 would print every hour of a summer night wrong.
    if central.utcoffset(_AFTER_SUMMER_TIME) != CENTRAL.utcoffset(None):
        raise ValueError("la base de zonas horarias de esta máquina es anterior a 2023: actualice su paquete tzdata")
    return zone


def offset_name(at: datetime) -> str:
    """The offset of a local moment as files print it: UTC-6, UTC-7, UTC+5:30."""
    offset = at.utcoffset()
    assert offset is not None
    minutes = abs(offset) // timedelta(minutes=1)
    rest = f":{minutes % 60:02}" if minutes % 60 else ""
    return f"UTC{'-' if offset < timedelta() else '+'}{minutes // 60}{rest}"


def hour_words(zone: tzinfo, at: datetime) -> str:
    """How a sentence names the hours of this night: «hora del centro (UTC-6)», «hora local (UTC-7)»."""
    return f"hora {'del centro' if zone == CENTRAL else 'local'} ({offset_name(at.astimezone(zone))})"
