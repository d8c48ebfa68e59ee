"""The lists of a night, as rows with the names that people's programs see; `lists.sql` has one block for each."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from prep.domain.rules import vote_limit
from prep.store.database import Connection, sql

SQL: Final = sql("lists")
PART: Final = 1000
"""Rows of one reading: the actas that are missing may be half a million."""


class Listing(StrEnum):
    """What can be listed; the value is its word in `prep list` and in the path."""

    PEOPLE = "people"
    CHANGES = "changes"
    """Who was paused or moved to another site, by whom and why."""
    DEVICES = "devices"
    SITES = "sites"
    MISSING = "missing"
    """Actas of which no image has arrived, and that are not registered as sin acta."""
    UNIDENTIFIED = "unidentified"
    """Images without acta."""
    FUERA = "fuera"
    DUPLICATES = "duplicates"
    """Nearly the same photo under two actas."""
    MISMATCHES = "mismatches"
    """The sticker and the device name different actas, or an image shows two stickers."""
    EXCEDE = "excede"
    """Actas whose votes exceed what fits, with the numbers of the rule."""
    PARKED = "parked"
    """Messages that were set aside."""
    COTEJO = "cotejo"
    """Published actas that nobody has compared with the paper since, the oldest first."""
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
    told = [{name: _plain(value) for name, value in row.items() if name != "key"} for row in found[:limit]]
    return [_with_limit(row) for row in told] if what is Listing.EXCEDE else told, more


def _with_limit(row: dict[str, Any]) -> dict[str, Any]:
    """The rule stands in prep/domain/rules.py; the list adds what it gives for the numbers of the row."""
    numbers = (row["lista_nominal"], row["representantes"], row["boletas_maximas"], row["votos_por_boleta"])
    return row | {"limite": vote_limit(*numbers)}


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
