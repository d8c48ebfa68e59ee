"""The schema refuses impossible states, also from a wrong program; and applied migrations stay as they were."""

import asyncio
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import asyncpg
import pytest

from prep.errors import Rejected
from prep.store import database
from prep.store.database import Pool, check_migrations, migrate
from tests.conftest import Night
from tests.makers.waiting import NIGHT


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


# Applied migrations stay as they were.


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations that this program then has for its own."""
    folder = tmp_path / "migrations"
    shutil.copytree(database.MIGRATIONS, folder)
    monkeypatch.setattr(database, "MIGRATIONS", folder)
    return folder


async def digests(night: Night) -> dict[str, bytes | None]:
    connection = await asyncpg.connect(night.owner)
    rows = await connection.fetch("SELECT name, sha256 FROM migration")
    await connection.close()
    return {row["name"]: row["sha256"] for row in rows}


async def by_owner(night: Night, statement: str) -> None:
    connection = await asyncpg.connect(night.owner)
    await connection.execute(statement)
    await connection.close()


async def test_the_database_keeps_the_digest_of_each_migration(night: Night) -> None:
    files = {path.stem: sha256(path.read_bytes()).digest() for path in database.MIGRATIONS.glob("*.sql")}
    assert await digests(night) == files


async def test_a_migration_that_changed_after_it_was_applied_stops_the_start_and_is_named(
    night: Night, pool: Pool, migrations: Path
) -> None:
    path = migrations / "0007_outbox_age.sql"
    before = path.read_bytes()
    path.write_bytes(before + b"-- una palabra\n")
    (migrations / "9999_new.sql").write_text("CREATE TABLE never ();")
    for start in (migrate(night.owner), check_migrations(pool)):
        with pytest.raises(Rejected, match=r"la migración 0007_outbox_age\.sql cambió") as refused:
            await start
        assert "\n" not in refused.value.sentence
    assert "9999_new" not in await digests(night), "nothing was applied"
    path.write_bytes(before)
    await check_migrations(pool)
    assert await migrate(night.owner) == ["9999_new"]


async def test_the_digests_of_older_migrations_are_filled_in_once(night: Night, pool: Pool, migrations: Path) -> None:
    kept = await digests(night)
    await by_owner(
        night, "ALTER TABLE migration DROP COLUMN sha256; DELETE FROM migration WHERE name = '0017_migration_digests'"
    )
    await check_migrations(pool)
    assert await migrate(night.owner) == ["0017_migration_digests"]
    assert await digests(night) == kept
    (migrations / "0001_catalog.sql").write_text("SELECT 1;")
    with pytest.raises(Rejected, match=r"0001_catalog\.sql"):
        await migrate(night.owner)
    assert await digests(night) == kept


async def test_what_a_newer_program_applied_is_no_change_of_ours(night: Night, pool: Pool, migrations: Path) -> None:
    newest = migrations / "9999_new.sql"
    newest.write_text("CREATE TABLE newer ();")
    await migrate(night.owner)
    newest.unlink()
    await check_migrations(pool)
    assert await migrate(night.owner) == []


async def test_the_application_cannot_change_a_digest(night: Night) -> None:
    connection = await asyncpg.connect(night.app)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("UPDATE migration SET sha256 = NULL")
    await connection.close()


@pytest.mark.parametrize("command", [["worker"], ["publish", "--once"], ["sequencer", "--once"]], ids=" ".join)
async def test_a_process_that_needs_its_database_ends_with_that_one_sentence(
    night: Night, tmp_path: Path, command: list[str]
) -> None:
    await by_owner(night, "UPDATE migration SET sha256 = sha256(name::bytea) WHERE name = '0002_facts'")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
    ours = {"PREP_DATABASE": night.app, "PREP_DATA": str(tmp_path / "datos"), "PREP_PUBLIC": str(tmp_path / "publico")}
    words = [sys.executable, "-m", "prep.operations.cli", *command]
    done = await asyncio.to_thread(
        subprocess.run, words, env=clean | ours, capture_output=True, text=True, check=False, timeout=NIGHT
    )
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last == "prep: la migración 0002_facts.sql cambió después de aplicarse: devuelva el archivo a como estaba"
    assert "Traceback" not in done.stderr
