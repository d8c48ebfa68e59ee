"""The night in the database: its declaration, and how far it has come.

The tables refuse what must not be (0021_night.sql): a declaration that changes after the log or the first corte, corte
0 before its ceremony, a capture after the close. `database.refusal_of` gives the sentence of such a refusal.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from prep.domain.night import Night, differences, read_night
from prep.errors import Rejected, Unavailable
from prep.store.database import GONE, Connection, Pool, borrow, refusal_of, sql

log: Final = logging.getLogger(__name__)
SQL: Final = sql("night")
KEPT: Final = frozenset(
    {
        *(
            "acta_move",
            "capture_rule",
            "catalog_load",
            "decision_move",
            "device",
            "device_casilla",
            "device_invitation",
        ),
        *("device_key", "migration"),
        *("person", "person_change", "session", "site"),
    }
)
"""The tables that a new rehearsal finds as they were. Every other table is emptied, also one that is added later."""
_LOOK: Final = 1.0
_LONG: Final = 600.0


@dataclass(frozen=True, slots=True)
class NightStanding:
    """The night as it stands at one moment."""

    night: Night
    opened_at: datetime | None
    """The time of corte 0; None before it."""
    closed_at: datetime | None
    """The time of the last corte; None before it."""
    clock: datetime
    """The database's own."""
    layouts: bool
    """The catalogue describes printed forms."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a person declares: the night, and the bytes of the institute's logo."""

    night: Night
    logo: bytes | None = None


@dataclass(frozen=True, slots=True)
class LateImage:
    """An image that arrived after the last corte."""

    image: bytes
    device: str
    sequence: int
    received_at: datetime
    acta_hint: str


class NightChanged(Unavailable):
    """The declaration is not the one that this process began with. It ends, and begins again with the new one."""

    def __init__(self) -> None:
        super().__init__("la noche se declaró de nuevo: este proceso comienza otra vez con ella")


async def standing(connection: Connection) -> NightStanding | None:
    """None if no night is declared. Raises Rejected for a declaration that this program cannot read."""
    row = await connection.fetchrow(SQL["standing"])
    if row is None:
        return None
    try:
        night = read_night(row["content"], row["policy"])
    except ValueError as error:
        raise Rejected(f"la declaración de la noche, en la base de datos, no se entiende: {error}") from None
    return NightStanding(night, row["opened_at"], row["closed_at"], row["clock"], row["layouts"])


async def declared(connection: Connection) -> Night:
    """The night that is declared. Raises Rejected if there is none."""
    stands = await standing(connection)
    if stands is None:
        raise undeclared()
    return stands.night


def undeclared() -> Rejected:
    return Rejected("no hay noche declarada: declárela con «prep night init CARPETA»", status=409)


async def declared_now(pool: Pool) -> Night | None:
    """The night, if one is declared and the database answers. Raises Rejected as `standing`."""
    try:
        async with borrow(pool) as connection:
            stands = await standing(connection)
    except (asyncpg.UndefinedTableError, Unavailable):  # no migration was applied yet, or the database does not answer
        return None
    return None if stands is None else stands.night


async def awaited(pool: Pool, stop: asyncio.Event | None = None) -> Night | None:
    """The night that is declared; waits for a person to declare it, and for the schema. None if `stop` comes first."""
    told = False
    while stop is None or not stop.is_set():
        if (night := await declared_now(pool)) is not None:
            return night
        if not told:
            log.warning("no night declared, waiting", extra={"data": {"why": undeclared().sentence}})
            told = True
        await asyncio.sleep(_LOOK)
    return None


async def logo(connection: Connection) -> bytes:
    """The file of the institute's logo; empty if there is none."""
    held: bytes | None = await connection.fetchval(SQL["logo"])
    return held or b""


async def clock(connection: Connection) -> datetime:
    """The database's."""
    at: datetime = await connection.fetchval(SQL["clock"])
    return at


async def entidades(connection: Connection) -> Mapping[int, str]:
    """The entidades of the catalogue, by number."""
    return {row["id"]: row["name"] for row in await connection.fetch(SQL["entidades"])}


async def declare(connection: Connection, night: Night, logo: bytes | None, at: datetime) -> bool:
    """Put the declaration in the place of another one, inside a transaction of the owner; False if it is this one.

    Raises Rejected, with all that differs, if the log has begun or corte 0 is out: the declaration is fixed then.
    """
    await connection.execute(SQL["lock"])
    stands = await standing(connection)
    if stands is not None and stands.night == night:
        return False
    if await connection.fetchval(SQL["fixed"]):
        held = "; ".join(differences(stands.night, night)) if stands else "esta base de datos es de otra noche"
        raise Rejected(f"la noche ya comenzó y su declaración no cambia ({held})", status=409)
    await connection.execute(SQL["remove"])
    told = (night.simulacro, night.ensayo, night.ceremony, night.start, night.end)
    await connection.execute(SQL["declare"], night.digest, night.text, night.policy, logo, *told, at)
    return True


async def late(connection: Connection) -> list[LateImage]:
    """The images that arrived after the last corte, in their order."""
    return [LateImage(**row) for row in await connection.fetch(SQL["late"])]


async def reset(owner_url: str) -> None:
    """Empty every table of the night and its catalogue; people, sites and devices stay.

    Raises Rejected for a real night, and while another process of this database runs.
    """
    connection = await asyncpg.connect(owner_url, server_settings={"application_name": "prep-night"})
    try:
        stands = await standing(connection)
        if stands is not None and not stands.night.simulacro:
            raise Rejected("esta noche es real: no se repite", status=409)
        if others := await connection.fetchval(SQL["others"]):
            raise Rejected(f"detenga antes las partes de PREP: {others} siguen en esta base de datos", status=409)
        async with connection.transaction():
            # All or nothing: if we stop inside, the rehearsal is as it was.
            names = [row["name"] for row in await connection.fetch(SQL["emptied"], list(KEPT))]
            quoted = ", ".join(f'"{name}"' for name in names)
            await connection.execute(f"TRUNCATE TABLE {quoted} RESTART IDENTITY", timeout=_LONG)
    except asyncpg.PostgresError as error:
        raise refusal_of(error) or error from error
    except GONE as error:
        raise Unavailable("la base de datos no responde; intente de nuevo") from error
    finally:
        await connection.close()
