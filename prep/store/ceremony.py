"""What a ceremony looks at in the database — how much is there, its schema, its clock — and the record of it."""

from datetime import datetime
from hashlib import sha256
from typing import Final

from prep.errors import Rejected
from prep.store.database import Connection, sql

SQL: Final = sql("ceremony")
PREPARED: Final = frozenset(
    {
        "acta",
        "acta_move",
        "ballot_option",
        "candidacy",
        "casilla",
        "catalog",
        "catalog_file",
        "catalog_load",
        "contest",
        "decision_move",
        "election",
        "form_layout",
        "night",
        "territory",
        "territory_map",
    }
    | {
        "capture_rule",
        "device",
        "device_casilla",
        "device_invitation",
        "device_key",
        "person",
        "person_change",
        "session",
        "site",
    }
    | {"bus_cursor", "ceremony", "log_key", "log_leaf", "log_start", "log_state", "migration"}
)
"""Tables that have rows before the night begins: the catalogue, people and devices, and the records of the preparation.
Every other table must be empty, also one that is added later."""
# A national database is counted row by row: minutes, once before the night and once after it.
_LONG: Final = 600.0


async def add(connection: Connection, kind: str, momento: str, content: str, at: datetime) -> None:
    """Put a document on record."""
    await connection.execute(SQL["add"], kind, momento, content, at)


async def find(connection: Connection, kind: str, momento: str) -> str | None:
    """The last document of that kind and moment."""
    found: str | None = await connection.fetchval(SQL["find"], kind, momento)
    return found


async def counts(connection: Connection) -> dict[str, int]:
    """Rows of every table."""
    # A name stands in the text of the query: one with other signs than letters could say something else.
    names = [row["name"] for row in await connection.fetch(SQL["tables"])]
    if strange := [name for name in names if not name.replace("_", "").isalnum()]:
        raise Rejected(f"la base de datos tiene una tabla de nombre extraño: {strange[0]!r}")
    each = " UNION ALL ".join(f"SELECT '{name}' AS name, count(*) AS rows FROM {name}" for name in names)  # noqa: S608  # names of tables, looked at above
    return {row["name"]: row["rows"] for row in await connection.fetch(f"{each} ORDER BY name", timeout=_LONG)}


async def schema(connection: Connection) -> str:
    """SHA-256 of everything that the schema says, and of who may do what."""
    # One digest for all of it: people read it aloud, and compare it with that of the other machine.
    lines = [row["line"] for row in await connection.fetch(SQL["schema"], timeout=_LONG)]
    return sha256("\n".join(lines).encode()).hexdigest()


async def migrations(connection: Connection) -> list[str]:
    return [row["name"] for row in await connection.fetch(SQL["migrations"])]


# The ceremony compares it with this machine's clock, in front of people.
async def clock(connection: Connection) -> datetime:
    """The database's."""
    at: datetime = await connection.fetchval(SQL["clock"])
    return at


async def server(connection: Connection) -> str:
    """Version of PostgreSQL."""
    version: str = await connection.fetchval(SQL["server"])
    return version
