"""Every named query of every `prep/store/*.sql` is one that PostgreSQL understands, on the schema as migrated."""

from pathlib import Path
from typing import Any

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


HOT: dict[str, tuple[str, str, list[Any]]] = {
    "reading the bus": ("bus", "fetch", ["images", [0, 1], [100, 100], 30]),
    "measuring lag": ("bus", "lag", ["images", "g", 12]),
    "reading the outbox": ("outbox", "next", [500]),
    "what is done": ("deliveries", "done_among", ["g", ["m1", "m2"]]),
}


@pytest.mark.parametrize(("file", "block", "arguments"), HOT.values(), ids=HOT)
async def test_a_hot_query_reads_by_an_index(night: Night, file: str, block: str, arguments: list[Any]) -> None:
    """However much is kept of the night, these read what they need of it."""
    connection = await asyncpg.connect(night.owner)
    await connection.execute(
        "INSERT INTO bus_message (topic, partition, id, key, body)"
        " SELECT t, n % 12, 'm' || n, 'k', 'body' FROM generate_series(1, 20000) n, unnest('{images,entries}'::text[]) t;"
        "INSERT INTO outbox (id, topic, key, body) SELECT 'm' || n, 'entries', 'k', 'body' FROM generate_series(1, 20000) n;"
        "INSERT INTO done (consumers, message) SELECT 'g', 'm' || n FROM generate_series(1, 20000) n;"
        "ANALYZE"
    )
    plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql(file)[block]}", *arguments))
    await connection.close()
    assert "Index" in plan
    assert "Seq Scan on bus_message" not in plan
    assert "Seq Scan on outbox" not in plan
    assert "Seq Scan on done" not in plan
