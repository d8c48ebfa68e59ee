"""The statements of people that versions stand on, as typed functions over `standing.sql`."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from prep.domain.decision import SIN_ACTA_OF
from prep.store.database import Connection, sql

SQL: Final = sql("standing")
_LONG: Final = 300.0
"""Seconds that a look at a whole night may take."""

Columns = asyncpg.Record


@dataclass(frozen=True, slots=True)
class Histories:
    """Every version and every statement of some actas, as rows with the columns of their blocks."""

    versions: Sequence[Columns]
    captures: Sequence[Columns]
    resolutions: Sequence[Columns]
    statements: Sequence[Columns]
    readings: frozenset[tuple[int, bytes]]
    """Acta and image, if the sticker in the image is that of the acta."""


async def behind(
    connection: Connection, versions: Sequence[int], corte: int, fuera: Sequence[int]
) -> AsyncIterator[dict[str, Any]]:
    """The statements that those versions, and those rows fuera de catálogo, stand on, if `corte` brings them out.

    Keys: clase, eleccion, acta, persona (a number), ronda, dice, and of a capture numeros and marcas. An image of no
    acta has «-» as election, and its own digest as acta. «lectura» is the word of the sticker, and of no person. The
    connection must be in a transaction.
    """
    given = (list(versions), corte, list(fuera))
    # Those of the peak hour of a country are not held in memory.
    async for row in connection.cursor(SQL["behind"], *given, prefetch=1000, timeout=_LONG):
        yield {**row, "dice": criterion(row["dice"]) if row["clase"] == "sin_acta" else row["dice"]}


def criterion(reason: str) -> str:
    """The observation that a reason of *sin acta* gives; the reason itself if it gives none."""
    return SIN_ACTA_OF[reason].value if reason in SIN_ACTA_OF else reason


async def histories(connection: Connection, some: int) -> AsyncIterator[Histories]:
    """All actas that have a version, `some` at a time."""
    last = -1
    while actas := [row["acta"] for row in await connection.fetch(SQL["actas"], last, some, timeout=_LONG)]:
        versions = await connection.fetch(SQL["versions"], actas, timeout=_LONG)
        images = list({row["image"] for row in versions if row["image"] is not None})
        yield Histories(
            versions,
            await connection.fetch(SQL["captures"], actas, timeout=_LONG),
            await connection.fetch(SQL["resolutions"], actas, timeout=_LONG),
            await connection.fetch(SQL["statements"], actas, timeout=_LONG),
            frozenset(
                (row["acta"], row["image"]) for row in await connection.fetch(SQL["readings"], images, timeout=_LONG)
            ),
        )
        last = actas[-1]


async def fuera_alone(connection: Connection) -> str | None:
    """The first image that is fuera de catálogo without the word of two people, as hexadecimal digits."""
    found: str | None = await connection.fetchval(SQL["fuera_alone"], timeout=_LONG)
    return found
