"""Declared nights: the one that most tests play, and a night that is open without a published tree."""

from dataclasses import replace
from datetime import datetime

import asyncpg

from prep.domain.night import Night
from prep.rehearsal.installation import rehearsal_night
from prep.store import night as store

TONIGHT = rehearsal_night()
"""A rehearsal without hours and without a ceremony."""
REAL = Night(
    siglas="EJ",
    start=datetime.fromisoformat("2027-06-06T20:00:00-06:00"),
    end=datetime.fromisoformat("2027-06-07T20:00:00-06:00"),
    simulacro=False,
    origin="prep.example.mx/bitacora",
)
REHEARSAL = replace(REAL, simulacro=True)


async def declare(owner: str, night: Night = TONIGHT, *, at: datetime) -> None:
    """Declare the night in an empty database, without its catalogue."""
    connection = await asyncpg.connect(owner)
    try:
        async with connection.transaction():
            await store.declare(connection, night, None, at)
    finally:
        await connection.close()


async def open_night(owner: str, night: Night = TONIGHT, *, at: datetime) -> None:
    """Declare the night, and put corte 0 on record: from then on images come in."""
    await declare(owner, night, at=at)
    await record_corte(owner, 0, night, at=at)


async def record_corte(owner: str, number: int, night: Night = TONIGHT, *, at: datetime, final: bool = False) -> None:
    """A corte on record that was never rendered; with `final`, the last one."""
    connection = await asyncpg.connect(owner)
    try:
        if night.ceremony and not number:
            await connection.execute(
                "INSERT INTO ceremony (kind, momento, content, at) VALUES ('cero', 'inicio', '{}', $1)", at
            )
        phase = "final" if final else "en curso" if number else "cero"
        await connection.execute(
            """INSERT INTO corte (number, at, phase, previous, sums, counts, due, simulacro, declaracion)
            VALUES ($1, $2, $3, $4, repeat('0', 64), '{}', $5, $6, $7)""",
            *(number, at, phase, number - 1 if number else None, None if final else at, night.simulacro, night.digest),
        )
    finally:
        await connection.close()
