"""Every named query of every `prep/store/*.sql` is one that PostgreSQL understands, on the schema as migrated."""

from pathlib import Path

import asyncpg
import pytest

from prep.store.database import BY_KEY, HERE, sql
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


HOT: dict[str, tuple[str, str, str, list[str]]] = {
    "reading the bus": ("bus", "fetch", "bus_message", ["'images'", "'{0,1}'", "'{100,100}'", "30"]),
    "measuring lag": ("bus", "lag", "bus_message", ["'images'", "'g'", "12"]),
    "reading the outbox": ("outbox", "next", "outbox", ["500"]),
    "emptying the outbox": ("outbox", "remove", "outbox", ["'{1,2,3}'"]),
    "what is done": ("deliveries", "done_among", "done", ["'g'", "'{m1,m2}'"]),
    "a better image": ("pipeline", "better_image", "task", ["1", "'x'"]),
    "dropping the tasks of an acta": ("pipeline", "drop_tasks", "task", ["1"]),
    "what a person holds": ("desk", "image_for", "task", ["'x'", "1", "now()"]),
}
ONE_PASS = "emptying the outbox"
"""Planned early it reads all that waits, but once for a whole batch."""


@pytest.mark.parametrize("early", [False, True], ids=["counted", "before anybody counted"])
@pytest.mark.parametrize(("file", "block", "table", "arguments"), HOT.values(), ids=HOT)
async def test_a_hot_query_reads_by_an_index(
    night: Night, file: str, block: str, table: str, arguments: list[str], *, early: bool
) -> None:
    """However much is kept of the night, these read what they need of it, with the plan that capture and worker keep."""
    connection = await asyncpg.connect(night.owner, server_settings=BY_KEY)
    if not early:
        await connection.execute(f"{MANY} ANALYZE")
    await connection.execute(f"PREPARE hot AS {sql(file)[block]}")
    explain = f"EXPLAIN EXECUTE hot({', '.join(arguments)})"
    await connection.execute(explain)
    plan = "\n".join(row[0] for row in await connection.fetch(explain))
    await connection.close()
    if early and HOT[ONE_PASS][:2] == (file, block):
        assert "Hash Join" in plan
        return
    assert "Index" in plan
    assert f"Seq Scan on {table}" not in plan


MANY = """
    ALTER TABLE task DISABLE TRIGGER ALL;
    INSERT INTO task (kind, acta, image, ronda, ordinal, queue_at, created_at, not_persons)
    SELECT 'captura', n, 'x', 1, 1, now(), now(), '{}' FROM generate_series(1, 20000) n;
    INSERT INTO bus_message (topic, partition, id, key, body)
    SELECT t, n % 12, 'm' || n, 'k', 'body' FROM generate_series(1, 20000) n, unnest('{images,entries}'::text[]) t;
    INSERT INTO outbox (id, topic, key, body) SELECT 'm' || n, 'entries', 'k', 'body' FROM generate_series(1, 20000) n;
    INSERT INTO done (consumers, message) SELECT 'g', 'm' || n FROM generate_series(1, 20000) n;
"""
