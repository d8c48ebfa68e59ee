"""Every named query of every `prep/store/*.sql` is one that PostgreSQL understands, on the schema as migrated."""

from pathlib import Path

import asyncpg
import pytest

from prep.store.database import HERE, sql
from tests.conftest import Night

FILES = sorted(HERE.glob("*.sql"))


def test_there_are_queries_to_check() -> None:
    assert sum(len(sql(path.stem)) for path in FILES) > 50


async def test_every_query_can_be_prepared(night: Night) -> None:
    connection = await asyncpg.connect(night.owner)
    wrong = {}
    for file, block in [(path.stem, block) for path in FILES for block in sql(path.stem)]:
        try:
            await connection.prepare(sql(file)[block])
        except asyncpg.PostgresError as error:
            wrong[f"{file}.sql: {block}"] = str(error)
    await connection.close()
    assert not wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_query_is_used(path: Path) -> None:
    text = path.with_suffix(".py").read_text(encoding="utf-8")
    assert [block for block in sql(path.stem) if f'"{block}"' not in text] == []
