"""The schema refuses impossible states, also from a wrong program; and applied migrations stay as they were."""

import asyncio
import base64
import hashlib
import os
import shutil
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import asyncpg
import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from capture.auth import key_of
from prep.errors import Rejected
from prep.settings import Part
from prep.store import database, embedded, people
from prep.store.database import Pool, check_migrations, migrate
from tests.conftest import Night
from tests.makers.waiting import NIGHT

AT = datetime(2027, 6, 7, 1, 0, tzinfo=UTC)
LASTS = timedelta(hours=1)


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


# From one role for everything to one for each part.

BEFORE_PARTS = "0019_catalog_loads"


@pytest.fixture
async def older(postgres: embedded.Embedded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The name of a database as the version before the roles of the parts left it, with people and facts."""
    name = f"t_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(postgres.owner("postgres"))
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    folder = tmp_path / "before"
    folder.mkdir()
    for path in database.MIGRATIONS.glob("*.sql"):
        if path.stem <= BEFORE_PARTS:
            shutil.copy(path, folder)
    with monkeypatch.context() as before:
        before.setattr(database, "MIGRATIONS", folder)
        await migrate(postgres.owner(name))
    return name


async def test_a_database_with_one_role_for_everything_is_updated_and_then_has_one_for_each_part(
    postgres: embedded.Embedded, older: str
) -> None:
    key = hashlib.scrypt(b"clave", salt=bytes(16), n=2, r=8, p=1, dklen=32)
    scrypt = f"scrypt$2$8$1${base64.b64encode(bytes(16)).decode()}${base64.b64encode(key).decode()}"
    argon2 = Argon2id(salt=bytes(16), length=32, iterations=1, lanes=1, memory_cost=8).derive_phc_encoded(b"clave")
    owner = await asyncpg.connect(postgres.owner(older))
    await owner.execute("INSERT INTO site (code) VALUES ('S')")
    for login, password in (("ana", scrypt), ("beto", argon2)):
        query = "INSERT INTO person (login, password, role, site) VALUES ($1, $2, 'capturista', 1)"
        await owner.execute(query, login, password)
    # A fact of a person that the old version let in, although there is none.
    await owner.execute(
        "INSERT INTO event (kind, subject, detail, at) VALUES ('recaptura', 'x', '{\"persona\": 77}', now())"
    )
    parts = {part: postgres.app(older) for part in Part}
    assert "0024_parts" in await migrate(postgres.owner(older), parts=parts)
    assert await owner.fetchval("SELECT person FROM event") == 77

    # The old address works for all, and every password still opens its session.
    app = await asyncpg.connect(postgres.app(older))
    for row in await app.fetch("SELECT id, password_form FROM person"):
        derived = await asyncio.to_thread(key_of, "clave", row["password_form"])
        for key in (derived, derived[1:]):
            opened = await people.open_session(app, row["id"], key, b"x", lasts=LASTS, idle=LASTS)
            assert (opened is not None) == (key == derived)
        await people.end_session(app, b"x")
    assert await app.fetchval("SELECT has_table_privilege('prep_app', 'acta_version', 'INSERT')")

    # Once each part has its own address, the old role may do nothing here; and it can be let in again.
    own = {part: postgres.part(part, older) for part in Part}
    for addresses, may in ((own, False), (own | {Part.WORKER: ""}, False), (parts, True)):
        assert await migrate(postgres.owner(older), parts=addresses) == []
        for right in (
            "has_table_privilege('acta_version', 'INSERT')",
            "has_column_privilege('person', 'id', 'SELECT')",
        ):
            assert await app.fetchval(f"SELECT {right}") is may, (addresses, right)
        assert await app.fetchval("SELECT has_function_privilege('acta_after(text, text)', 'EXECUTE')") is may
    await app.close()
    await owner.close()


async def test_the_wait_for_another_site_is_the_one_of_the_settings(night: Night) -> None:
    await migrate(night.owner, other_site=timedelta(minutes=7))
    connection = await asyncpg.connect(night.app)
    assert await connection.fetchval("SELECT other_site FROM capture_rule") == timedelta(minutes=7)
    await connection.close()


@pytest.mark.parametrize("command", [["worker"], ["publish", "--once"], ["sequencer", "--once"]], ids=" ".join)
async def test_a_process_that_needs_its_database_ends_with_that_one_sentence(
    night: Night, tmp_path: Path, command: list[str]
) -> None:
    await by_owner(night, "UPDATE migration SET sha256 = sha256(name::bytea) WHERE name = '0002_facts'")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
    ours = {"PREP_DATABASE": night.app, "PREP_DATA": str(tmp_path / "datos"), "PREP_PUBLIC": str(tmp_path / "publico")}
    words = [sys.executable, "-m", "prep.operations", *command]
    done = await asyncio.to_thread(
        subprocess.run, words, env=clean | ours, capture_output=True, text=True, check=False, timeout=NIGHT
    )
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last == "prep: la migración 0002_facts.sql cambió después de aplicarse: devuelva el archivo a como estaba"
    assert "Traceback" not in done.stderr
