"""The lists of a night, as rows with the names that people's programs see; `lists.sql` has one block for each."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from prep.store.database import Connection, sql

SQL: Final = sql("lists")
PART: Final = 1000
"""Rows of one reading: the actas that are missing may be half a million."""


class Listing(StrEnum):
    """What can be listed; the value is its word in `prep list` and in the path."""

    PEOPLE = "people"
    DEVICES = "devices"
    SITES = "sites"
    MISSING = "missing"
    """Actas of which no image has arrived, and that are not registered as sin acta."""
    UNIDENTIFIED = "unidentified"
    """Images without acta."""
    FUERA = "fuera"
    CORRECTIONS = "corrections"
    """Versions that changed, or will change, a published acta."""
    WAITING = "waiting"
    """Everything that waits for a person, the oldest first."""
    DECISIONS = "decisions"


async def rows(
    connection: Connection, what: Listing, *, after: int = 0, limit: int = PART
) -> tuple[list[dict[str, Any]], int | None]:
    """A part of a list: its rows after that key, and the key from which the next part goes on; None at the end.

    A row holds text, integers, booleans, None, and moments as ISO 8601 in UTC.
    """
    query = f"SELECT * FROM ({SQL[what]}\n) AS listed WHERE key > $1 ORDER BY key LIMIT $2"  # noqa: S608  # our own blocks
    found = [dict(row) for row in await connection.fetch(query, after, limit + 1)]
    more = found[limit - 1]["key"] if len(found) > limit else None
    return [{name: _plain(value) for name, value in row.items() if name != "key"} for row in found[:limit]], more


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
