"""Invitations of devices, and the casillas of each, as typed functions over `invitations.sql`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from prep.errors import Rejected
from prep.store import people
from prep.store.database import Connection, sql

SQL: Final = sql("invitations")
MOST_CASILLAS: Final = 1000
"""Casillas of one device: a phone keeps the actas of all of them."""


@dataclass(frozen=True, slots=True)
class Invited:
    """What an invitation says: the device that will enrol, its site, and the casillas that are its own."""

    device: str
    site: str
    secciones: Sequence[int] = ()
    municipios: Sequence[int] = ()


async def add_invitation(connection: Connection, invited: Invited, code: bytes, lasts: timedelta) -> datetime:
    """An invitation by the owner of the database; until when it holds. Raises Rejected as `_checked`."""
    site, claves = await _checked(connection, invited)
    try:
        until: datetime = await connection.fetchval(SQL["add_invitation"], code, invited.device, site, claves, lasts)
    except asyncpg.CheckViolationError:
        raise Rejected("el identificador del dispositivo lleva de 1 a 40 letras, números, «-» o «_»") from None
    return until


async def invite(
    connection: Connection, invited: Invited, code: bytes, lasts: timedelta, *, token: bytes
) -> datetime | None:
    """An invitation by the person whose session this is; None if that person may not. Raises Rejected as `_checked`."""
    site, claves = await _checked(connection, invited)
    until: datetime | None = await connection.fetchval(SQL["invite"], token, invited.device, site, claves, code, lasts)
    return until


async def _checked(connection: Connection, invited: Invited) -> tuple[int, list[str]]:
    """Raises Rejected if there is no such site, the device is enrolled, or the casillas are none or too many."""
    site = await people.site(connection, invited.site)
    if await connection.fetchval(SQL["is_enrolled"], invited.device):
        raise Rejected(f"ya está inscrito el dispositivo {invited.device}: dele otro identificador", status=409)
    if not invited.secciones and not invited.municipios:
        return site, []
    rows = await connection.fetch(SQL["claves"], list(invited.secciones), list(invited.municipios), MOST_CASILLAS + 1)
    if not rows:
        raise Rejected("el catálogo no tiene casillas ahí")
    if len(rows) > MOST_CASILLAS:
        raise Rejected(f"son más de {MOST_CASILLAS} casillas para un dispositivo")
    return site, [row["clave"] for row in rows]


async def redeem(connection: Connection, code: bytes, public_key: bytes) -> str | None:
    """The device that enrolled with this code and key; None if the code is wrong, has run out, or was used."""
    device: str | None = await connection.fetchval(SQL["redeem"], code, public_key)
    return device


async def actas_of_device(connection: Connection, device: str) -> tuple[str, Sequence[asyncpg.Record]]:
    """The code of its site, and the actas that it is to bring, by casilla."""
    site: str = await connection.fetchval(SQL["site_of_device"], device)
    return site, await connection.fetch(SQL["actas_of_device"], device)


async def site_board(
    connection: Connection, site: int, most: int
) -> tuple[Sequence[asyncpg.Record], Sequence[asyncpg.Record]]:
    """How the actas of a site stand, by casilla, and its images that belong to no acta; at most so many of each."""
    actas = await connection.fetch(SQL["actas_of_site"], site, most)
    return actas, await connection.fetch(SQL["images_of_site"], site, most)
