"""Captures that are imported from a file, as typed functions over `imports.sql`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from prep.domain.catalog import ActaId
from prep.store.database import Connection, sql

SQL: Final = sql("imports")


async def actas_to_import(
    connection: Connection, named: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Election and clave of an acta → its names, its contest and digits, how it stands, and the document of its current
    image or None. What the catalogue does not have is not there.
    """
    # PostgreSQL has no text with a zero byte: such a name is in no catalogue.
    asked = [each for each in named if "".join(each).isprintable()]
    rows = await connection.fetch(SQL["actas_to_import"], [code for code, _ in asked], [clave for _, clave in asked])
    return {(row["eleccion"], row["clave"]): dict(row) for row in rows}


async def image_to_import(connection: Connection, image: bytes) -> Mapping[str, Any] | None:
    """State, acta and document of an image; None until a worker has read it."""
    row = await connection.fetchrow(SQL["image_to_import"], image)
    return None if row is None else dict(row)


async def lease_import(
    connection: Connection, acta: ActaId, image: bytes, *, person: int, now: datetime, until: datetime, new: UUID
) -> UUID | None:
    """The lease of the first capture of that image; None if nobody may take it, or this person holds another task."""
    lease: UUID | None = await connection.fetchval(SQL["lease_import"], acta, image, person, now, until, new)
    return lease


async def import_before(connection: Connection, acta: ActaId, image: bytes, *, person: int) -> UUID | None:
    """The lease under which this person captured that image first."""
    lease: UUID | None = await connection.fetchval(SQL["import_before"], acta, image, person)
    return lease
