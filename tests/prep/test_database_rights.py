"""Which part may do what with which table: each is tried, as each role, and compared with the table in docs/threats.md.

python -m tests.prep.test_database_rights       prints the table, of a PostgreSQL of its own
"""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from prep.settings import Part
from prep.store import ceremony, embedded
from prep.store.database import Connection, migrate, sql
from tests.conftest import Night
from tests.makers.programs import DEPLOY

THREATS: Final = DEPLOY.parent / "docs" / "threats.md"
HEAD: Final = f"| | {' | '.join(part.removeprefix('prep_') for part in Part)} |"


async def may(connection: Connection, statement: str) -> bool:
    """Whether PostgreSQL lets this role run the statement; it is rolled back."""
    trial = connection.transaction()
    await trial.start()
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError as error:
        # A check that looks at the role speaks only after the right to insert; then the role had that right.
        return "permission denied" not in str(error)
    except asyncpg.PostgresError:
        return True  # let in, and stopped by a rule of the table
    finally:
        await trial.rollback()
    return True


async def columns_of(owner: Connection, table: str) -> list[str]:
    rows = await owner.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        table,
    )
    return [row["attname"] for row in rows]


async def rights(connection: Connection, table: str, columns: list[str]) -> str:
    """Letters of what the role may do with the table: L reads, A adds, C changes, B removes.

    A letter in parentheses: some columns only. Each column is tried.
    """
    said = ""
    for letter, statement in (
        ("L", "SELECT {column} FROM {table} LIMIT 0"),
        ("A", "INSERT INTO {table} ({column}) VALUES (DEFAULT)"),
        ("C", "UPDATE {table} SET {column} = DEFAULT WHERE false"),
    ):
        tried = [await may(connection, statement.format(table=table, column=column)) for column in columns]
        said += letter if all(tried) else f"({letter})" if any(tried) else ""
    return said + ("B" if await may(connection, f"DELETE FROM {table} WHERE false") else "")


async def as_tried(owner_url: str, urls: dict[Part, str]) -> list[str]:
    """The lines of the table, from what PostgreSQL answers to each role."""
    owner = await asyncpg.connect(owner_url)
    parts = {part: await asyncpg.connect(urls[part]) for part in Part}
    tables = [
        row[0]
        for row in await owner.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"
        )
    ]
    functions = await owner.fetch(
        """SELECT p.oid::regprocedure::text AS name, p.proname, p.prorettype = 'trigger'::regtype AS trigger,
            (SELECT string_agg('NULL::' || format_type(t, NULL), ', ' ORDER BY n)
                FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, n)) AS nulls
        FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace ORDER BY 1"""
    )
    lines = []
    for table in tables:
        columns = await columns_of(owner, table)
        cells = [await rights(connection, table, columns) for connection in parts.values()]
        lines.append(f"| `{table}` | {' | '.join(cells)} |")
    for function in functions:
        call = f"SELECT {function['proname']}({function['nulls'] or ''})"
        cells = [
            "E" if not function["trigger"] and await may(connection, call) else "" for connection in parts.values()
        ]
        if any(cells):
            lines.append(f"| `{function['proname']}()` | {' | '.join(cells)} |")
    for connection in (owner, *parts.values()):
        await connection.close()
    return [HEAD, f"|---|{'---|' * len(Part)}", *joined(lines)]


def joined(lines: list[str]) -> Iterator[str]:
    """Objects with the same rights stand in one line."""
    by_rights: dict[str, list[str]] = {}
    for line in sorted(lines):
        name, _, same = line.removeprefix("| ").partition(" | ")
        by_rights.setdefault(same, []).append(name)
    for same, names in by_rights.items():
        yield f"| {', '.join(names)} | {same}"


async def test_the_table_of_rights_is_what_postgresql_answers(night: Night) -> None:
    told = THREATS.read_text("utf-8").splitlines()
    start = told.index(HEAD)
    end = next(n for n in range(start, len(told)) if not told[n].startswith("|"))
    assert told[start:end] == await as_tried(night.owner, dict(night.parts)), (
        "python -m tests.prep.test_database_rights"
    )


WORK: Final[dict[Part, dict[str, str]]] = {
    Part.CAPTURE: {
        "desk": "*",
        "people": "devices person_by_login open_session session end_session free_task rewrite_password change_person is_paused",
        "pipeline": "open_acta lock_acta move_acta has_image captures count_version version add_task drop_tasks add_event",
        "outbox": "enqueue",
        "bus": "publish lag",
        "decisions": "*",
        "lists": "*",
        "findings": "*",
        "unsettled": "*",
        "invitations": "invite redeem is_enrolled claves site_of_device actas_of_device actas_of_site images_of_site",
    },
    Part.WORKER: {
        "pipeline": "*",
        "deliveries": "*",
        "outbox": "*",
        "bus": "*",
        "gauges": "*",
        "database": "migrations",
    },
    Part.PUBLISHER: {
        "cortes": "*",
        "unsettled": "*",
        "leading": "*",
        "ceremony": "add find",
        "standing": "*",
        "database": "migrations",
        "catalog": "digest published",
    },
    Part.SEQUENCER: {"log": "*", "leading": "*", "database": "migrations", "catalog": "digest"},
    Part.AUDIT: {
        "log": "inicio rotacion imagen derivada captura version incidente corte cierre software cero acto start leaves cortes"
        " openings_captura openings_resolucion openings_sin_acta openings_identidad openings_cotejo resolucion sin_acta identidad cotejo perdida read_state versions without_leaf handed_over length marks",
        "ceremony": "find tables migrations clock server schema",
        "standing": "*",
        "lists": "*",
        "bus": "lag",
        "catalog": "digest elections options contests territories candidacies",
    },
}
"""The statements that the program of a part executes; `*`: all of that file."""


@pytest.mark.parametrize("part", Part)
async def test_each_part_may_do_all_of_its_work(night: Night, part: Part) -> None:
    connection = await asyncpg.connect(night.parts[part])
    lacking = {}
    for file, blocks in WORK[part].items():
        for block in sql(file) if blocks == "*" else blocks.split():
            try:
                # It looks at the rights of the plan, and executes nothing.
                await connection.execute(f"EXPLAIN (GENERIC_PLAN) {sql(file)[block]}")
            except asyncpg.InsufficientPrivilegeError as error:
                lacking[f"{file}: {block}"] = str(error)
            except asyncpg.PostgresError:
                pass  # test_every_query.py tells of a wrong query
    await connection.close()
    assert not lacking


async def test_no_part_changes_or_removes_a_fact_even_if_the_table_says_so(night: Night) -> None:
    """The one thing that no line of the table may ever give away."""
    facts = [
        "image",
        "arrival",
        "reading",
        "identification",
        "entry",
        "resolution",
        "acta_version",
        "fuera_catalogo",
        "corte",
        "publication",
        "publication_image",
        "event",
        "log_start",
        "log_key",
        "log_leaf",
        "ceremony",
        "catalog_load",
        "acta",
        "casilla",
        "election",
        "person",
        "person_change",
        "image_request",
        "review",
    ]
    owner = await asyncpg.connect(night.owner)
    for url in (night.app, *night.parts.values()):
        connection = await asyncpg.connect(url)
        for table in facts:
            said = await rights(connection, table, await columns_of(owner, table))
            assert not set(said) & set("CB"), (url, table, said)
        for secret in ("key_sha256", "*"):
            assert not await may(connection, f"SELECT {secret} FROM person")
        await connection.close()
    await owner.close()


async def test_the_ceremonies_count_every_table_as_any_role_that_they_may_have(night: Night) -> None:
    counted = []
    for url in (night.owner, night.app, night.parts[Part.AUDIT]):
        connection = await asyncpg.connect(url)
        counted.append(await ceremony.counts(connection))
        await connection.close()
    assert counted[0] == counted[1] == counted[2]


async def _printed() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with embedded.running(Path(folder) / "pg") as server:
            await migrate(server.owner())
            print("\n".join(await as_tried(server.owner(), {part: server.part(part) for part in Part})))


if __name__ == "__main__":
    asyncio.run(_printed())
