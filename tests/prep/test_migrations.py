"""The schema refuses what must never be, whatever the program above it does."""

import asyncpg
import pytest

from prep.store.database import migrate
from tests.conftest import Night


async def test_a_second_migration_changes_nothing(night: Night) -> None:
    assert await migrate(night.owner) == []


FACTS = [
    "image", "arrival", "reading", "identification", "entry", "resolution", "acta_version", "fuera_catalogo", "corte",
    "publication", "event", "acta", "casilla", "election",
]  # fmt: skip


@pytest.mark.parametrize("table", FACTS)
async def test_the_application_cannot_rewrite_or_remove_a_fact(night: Night, table: str) -> None:
    connection = await asyncpg.connect(night.app)
    columns = await connection.fetchval(
        "SELECT column_name FROM information_schema.columns WHERE table_name = $1 AND is_identity = 'NO' ORDER BY ordinal_position OFFSET 1 LIMIT 1",
        table,
    )
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {columns} = {columns}", f"TRUNCATE {table}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()
