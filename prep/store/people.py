"""Sites, devices, people and sessions, as typed functions over `people.sql`."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import asyncpg

from prep.errors import Code, Rejected
from prep.store.database import Connection, sql

SQL: Final = sql("people")


class Role(StrEnum):
    """What a person may do; `capture/entries.py` says which step needs which."""

    OPERADOR_CATD = "operador_catd"
    DIGITALIZADOR = "digitalizador"
    CAPTURISTA = "capturista"
    VERIFICADOR = "verificador"
    SUPERVISOR = "supervisor"
    COTEJADOR = "cotejador"
    ADMINISTRADOR = "administrador"
    AUDITOR = "auditor"
    OBSERVADOR = "observador"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an open session."""

    id: int
    login: str
    role: Role
    site: int
    site_code: str


async def site(connection: Connection, code: str) -> int:
    """The id of that site. Raises Rejected for one that is not in the closed list, with the name of the nearest."""
    # One place under two names would be two sites, and both captures could be made there.
    known = {row["code"]: row["id"] for row in await connection.fetch(SQL["sites"])}
    if code not in known:
        nearest = difflib.get_close_matches(code.upper(), known, n=1, cutoff=0)
        hint = f"; el más parecido es {nearest[0]}" if nearest else ""
        raise Rejected(f"no hay un sitio «{code}» en la lista{hint}", code=Code.NOT_FOUND)
    found: int = known[code]
    return found


async def add_device(connection: Connection, device: str, public_key: bytes, site: int, at: datetime) -> None:
    """Enrol a device; the same again changes nothing.

    Raises Rejected if the id or the key belongs to another device already, or the id is not one.
    """
    try:
        # Added if it is new. Then the row must say the same: an enrolment that is repeated is no error.
        await connection.execute(SQL["add_device"], device, public_key, site, at)
    except asyncpg.CheckViolationError:
        raise Rejected("el identificador del dispositivo lleva de 1 a 40 letras, números, «-» o «_»") from None
    if not await connection.fetchval(SQL["same_device"], device, public_key, site):
        raise Rejected(f"ya está inscrito otro dispositivo con ese identificador o esa llave: {device}", status=409)


async def devices(connection: Connection) -> dict[str, bytes]:
    """The raw Ed25519 public key of every enrolled device."""
    return {row["id"]: row["public_key"] for row in await connection.fetch(SQL["devices"])}


async def revoke_device(connection: Connection, device: str, at: datetime) -> None:
    """Nothing more is taken from it; what it sent stays. Raises Rejected if there is no such device."""
    if not await connection.fetchval(SQL["revoke_device"], device, at):
        raise Rejected(f"no está inscrito el dispositivo {device}", status=404)


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What a supervisor does about somebody: `change` is pausa, reanuda or sitio."""

    login: str
    change: str
    reason: str
    site: str = ""
    """Where the person works from now on."""


async def change_person(connection: Connection, token: bytes, said: PersonChange) -> bool:
    """Pause a person, end the pause, or move her to another site: the supervisor of this session says so.

    Her task waits for all again. False if it was so before. Raises Rejected: 401 if the session is of nobody who may;
    404; 409 for oneself.
    """
    answer = await connection.fetchval(
        SQL["change_person"], token, said.login, said.change, said.site or None, said.reason
    )
    match answer:
        case "persona":
            raise Rejected(f"no hay un usuario {said.login}", code=Code.NO_PERSON)
        case "sitio":
            raise Rejected(f"no hay un sitio «{said.site}» en la lista", code=Code.NO_SITE)
        case "propia":
            raise Rejected("de su propio trabajo lo dice otra persona que supervise", code=Code.OWN_CHANGE)
        case "nadie":
            raise Rejected("inicie sesión", code=Code.NO_SESSION)
        case _:
            return bool(answer == "hecho")


async def is_paused(connection: Connection, person: int) -> bool:
    return bool(await connection.fetchval(SQL["is_paused"], person))


async def lose_device(connection: Connection, token: bytes, device: str) -> datetime | None:
    """Nothing more is taken from it: the person of this session says so. None if there is no such device."""
    lost: datetime | None = await connection.fetchval(SQL["lose_device"], token, device)
    return lost


async def device_exists(connection: Connection, device: str) -> bool:
    return bool(await connection.fetchval(SQL["device_exists"], device))


async def sent_images(connection: Connection, device: str) -> list[dict[str, Any]]:
    """Every image that the device sent, as those in charge read it."""
    return [
        {
            "numero": row["sequence"],
            "sha256": row["image"],
            "recibida": row["received_at"].isoformat(),
            "estado": row["state"],
            "clave": row["clave"],
        }
        for row in await connection.fetch(SQL["sent_by_device"], device)
    ]


async def rotate_device(connection: Connection, device: str, public_key: bytes, at: datetime) -> None:
    """Another key under the same id; from now on the old one opens nothing.

    Raises Rejected if the device is not enrolled or was revoked, or if any device ever had that key.
    """
    if await connection.fetchval(SQL["key_was_used"], public_key):
        raise Rejected(f"esa llave ya la tuvo un dispositivo; {device} necesita una nueva", status=409)
    if not await connection.fetchval(SQL["rotate_device"], device, public_key, at):
        raise Rejected(f"no está inscrito el dispositivo {device}, o ya no se le admite nada", status=404)


@dataclass(frozen=True, slots=True)
class DeviceHistory:
    """All that is known of a device: its keys in order, what it sent, and the numbers that were declared lost."""

    site: str
    enrolled_at: datetime
    revoked_at: datetime | None
    keys: Sequence[str]
    """The public key in hexadecimal, and since when."""
    sent: Sequence[asyncpg.Record]
    """By number: sequence, image, received_at, state, and the clave of its acta or None."""
    losses: Sequence[asyncpg.Record]
    """numbers, reason, at."""


async def device_history(connection: Connection, device: str) -> DeviceHistory:
    """Raises Rejected if there is no such device."""
    row = await connection.fetchrow(SQL["device"], device)
    if row is None:
        raise Rejected(f"no está inscrito el dispositivo {device}", status=404)
    sent = await connection.fetch(SQL["sent_by_device"], device)
    losses = await connection.fetch(SQL["device_losses"], device)
    return DeviceHistory(row["site"], row["enrolled_at"], row["revoked_at"], row["keys"], sent, losses)


async def add_device_loss(
    connection: Connection, device: str, *, numbers: str, reason: str, people: tuple[int, int], at: datetime
) -> None:
    """Put on record that two people say that these numbers of a device will never come."""
    await connection.execute(SQL["add_device_loss"], device, numbers, reason, *people, at)


async def set_active(connection: Connection, login: str, *, active: bool) -> None:
    """Let somebody in, or shut them out with all their sessions. Raises Rejected if there is no such person."""
    # The sessions end in the same statement: a person who is shut out is out at once.
    if not await connection.fetchval(SQL["set_active"], login, active):
        raise Rejected(f"no hay un usuario {login}", status=404)


@dataclass(frozen=True, slots=True)
class Derived:
    """A password as it is kept: how its key is derived, and the key, of which PostgreSQL keeps the digest alone."""

    form: str
    key: bytes


async def set_password(connection: Connection, login: str, password: Derived) -> None:
    """Another password; every session ends. Raises Rejected if there is no such person."""
    if not await connection.fetchval(SQL["set_password"], login, password.form, password.key):
        raise Rejected(f"no hay un usuario {login}", status=404)


async def rewrite_password(connection: Connection, person: int, key: bytes, rewritten: Derived) -> None:
    """Keep the same password in the form of today, unless it was changed meanwhile; no session ends."""
    await connection.execute(SQL["rewrite_password"], person, key, rewritten.form, rewritten.key)


async def add_person(connection: Connection, login: str, password: Derived, role: Role, site: int) -> int:
    """Add somebody; returns their id. Raises Rejected if the login is taken or none."""
    try:
        # The checks of the table say which logins are allowed; a test of it here would be a second rule.
        added: int | None = await connection.fetchval(SQL["add_person"], login, password.form, password.key, role, site)
    except asyncpg.CheckViolationError:
        raise Rejected("el usuario lleva de 1 a 40 letras minúsculas, números, «.», «_» o «-»") from None
    # The login exists: its password and role stay as they are.
    if added is None:
        raise Rejected(f"ya hay un usuario {login}", status=409)
    return added


async def person_by_login(connection: Connection, login: str) -> tuple[Person, str] | None:
    """An active person, and how the key of their password is derived."""
    row = await connection.fetchrow(SQL["person_by_login"], login)
    return None if row is None else (_person_of(row), row["password_form"])


async def key_is_right(connection: Connection, person: int, key: bytes) -> bool:
    """Whether the key is that of the person's password. For the owner."""
    return bool(await connection.fetchval(SQL["key_is_right"], person, key))


async def open_session(
    connection: Connection, person: int, key: bytes, token: bytes, *, lasts: timedelta, idle: timedelta
) -> datetime | None:
    """Open the one session of the person whose key this is, and tell its end; None if the key is not theirs.

    It ends earlier if no request comes for `idle`. An earlier session of that person ends now. PostgreSQL
    compares, and its clock measures. The part that asks cannot read the digest of the key, and cannot add a session
    without the key.
    """
    ends: datetime | None = await connection.fetchval(SQL["open_session"], person, key, token, lasts, idle)
    return ends


async def session(connection: Connection, token: bytes) -> tuple[Person, float] | None:
    """Whose session this is, and for how many seconds it stays open if no other request comes.

    This look counts as a request.
    """
    # Only the digest of a token is kept: a copy of the database lets nobody in.
    row = await connection.fetchrow(SQL["session"], token)
    return None if row is None else (_person_of(row), row["seconds"])


async def end_session(connection: Connection, token: bytes) -> None:
    """End that session, and give back the task that its person held."""
    person = await connection.fetchval(SQL["end_session"], token)
    if person is not None:
        await connection.execute(SQL["free_task"], person)


def _person_of(row: asyncpg.Record) -> Person:
    return Person(row["id"], row["login"], Role(row["role"]), row["site"], row["site_code"])
