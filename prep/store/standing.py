"""The statements of people that versions stand on, as typed functions over `standing.sql`."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

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


async def behind(connection: Connection, versions: Sequence[int], corte: int) -> list[dict[str, Any]]:
    """The statements that those versions stand on, if `corte` is the one that brings them out.

    Keys: clase, eleccion, acta, persona (a number), ronda, dice, and of a capture numeros and marcas.
    """
    return [dict(row) for row in await connection.fetch(SQL["behind"], list(versions), corte, timeout=_LONG)]


async def histories(connection: Connection, some: int) -> AsyncIterator[Histories]:
    """All actas that have a version, `some` at a time."""
    last = -1
    while actas := [row["acta"] for row in await connection.fetch(SQL["actas"], last, some, timeout=_LONG)]:
        yield Histories(
            await connection.fetch(SQL["versions"], actas, timeout=_LONG),
            await connection.fetch(SQL["captures"], actas, timeout=_LONG),
            await connection.fetch(SQL["resolutions"], actas, timeout=_LONG),
        )
        last = actas[-1]
