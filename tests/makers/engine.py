"""Kafka with three nodes, a PostgreSQL on a port and an S3, on this machine, while one command runs.

    python -m tests.makers.engine prep replay OFFICIAL.csv --rules ine-2023

The command finds their addresses in its environment. Its exit status becomes the exit status of this program.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prep.bus.kafka_dev import DevKafka
from tests.makers.postgres_server import Server, of_the_system
from tests.makers.s3_server import URL, S3Server

NODES = 3


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """The settings for these servers, while they run. PostgreSQL is Debian's if installed, else the wheel's."""
    kafka, s3 = DevKafka(folder / "kafka", NODES), S3Server()
    postgres = Server(folder / "postgres", programs=of_the_system())
    try:
        s3.start()
        postgres.init()
        postgres.start()
        asyncio.run(postgres.execute("CREATE ROLE dueno LOGIN CREATEROLE", "CREATE DATABASE prep OWNER dueno"))
        yield {
            "PREP_BUS": "kafka",
            "PREP_KAFKA": kafka.up(),
            "PREP_DATABASE": postgres.url("prep_app", "prep"),
            "PREP_DATABASE_OWNER": postgres.url("dueno", "prep"),
            "PREP_BLOBS": URL,
            "PREP_S3_ENDPOINT": s3.endpoint,
            "PREP_S3_REGION": s3.access.region,
            "PREP_S3_KEY_ID": s3.access.key_id,
            "PREP_S3_SECRET": s3.access.secret,
        }
    finally:
        kafka.stop()
        postgres.stop()
        s3.kill()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch, running(Path(scratch)) as settings:
        # The program beside this Python comes first.
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        done = subprocess.run(sys.argv[1:], env={**os.environ, **settings, "PATH": path}, check=False)
    sys.exit(done.returncode)
