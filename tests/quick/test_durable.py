"""The promises of integrity/durable.py if the process stops half-way: each fsync fails once, and we look at the folder."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from integrity import durable


class Stopped(Exception):
    pass


@contextmanager
def stop_at(number: int, patched: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Stop before the fsync with this number.

    Gives the kinds of objects (file or folder) that were synced before it.
    """
    seen: list[str] = []
    sync = os.fsync

    def stop(handle: int) -> None:
        if len(seen) == number:
            raise Stopped
        seen.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")  # noqa: PTH112
        sync(handle)

    with patched.context() as inside:
        inside.setattr(os, "fsync", stop)
        yield seen


def linked(path: Path) -> None:
    fresh = path.with_name("fresh")
    fresh.write_bytes(b"new")
    durable.link(fresh, path)
    durable.sync(path.parent)


Writes = Callable[[Path], object]
ONCE: dict[str, Writes] = {"put": lambda path: durable.put(path, b"new"), "link": linked}
OVER: dict[str, Writes] = {
    "replace": lambda path: durable.replace(path, b"new", fresh=path.with_name("fresh")),
}


@pytest.mark.parametrize("writes", [*ONCE.values(), *OVER.values()], ids=[*ONCE, *OVER])
def test_the_bytes_are_synced_before_the_name(writes: Writes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with stop_at(9, monkeypatch) as synced:
        writes(tmp_path / "a")
    assert synced == ["file", "folder"]
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("writes", ONCE.values(), ids=ONCE)
def test_a_new_file_has_no_name_until_its_bytes_are_durable(
    writes: Writes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stop_at(0, monkeypatch), pytest.raises(Stopped):
        writes(tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("writes", OVER.values(), ids=OVER)
@pytest.mark.parametrize(("at", "there"), [(0, b"old"), (1, b"new")])
def test_a_reader_sees_the_whole_old_file_or_the_whole_new_file(
    writes: Writes, at: int, there: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with stop_at(at, monkeypatch), pytest.raises(Stopped):
        writes(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == there


@pytest.mark.parametrize("nameless", [True, False])
def test_if_several_writers_put_a_file_the_first_one_wins(
    nameless: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not nameless:  # like a file system without O_TMPFILE
        monkeypatch.setattr(durable, "_NAMELESS", 0)
    durable.put(tmp_path / "llave", b"first", mode=0o600)
    with pytest.raises(FileExistsError):
        durable.put(tmp_path / "llave", b"second", mode=0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["llave"]
    assert (tmp_path / "llave").read_bytes() == b"first"
    assert (tmp_path / "llave").stat().st_mode & 0o777 == 0o600


def test_the_second_writer_returns_only_after_the_name_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable.put(tmp_path / "llave", b"first")
    with stop_at(9, monkeypatch) as synced, pytest.raises(FileExistsError):
        durable.put(tmp_path / "llave", b"second")
    assert synced[-1] == "folder"


@pytest.mark.parametrize("exchanges", [True, False], ids=["exchanges names if it can", "takes the name"])
@pytest.mark.parametrize("at", ["exchanged", "written", "never"])
def test_a_reader_of_a_swapped_file_reads_the_one_it_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, *, exchanges: bool
) -> None:
    """Also if the swap before this one stopped when it had written the new file, or given it its name."""
    if not exchanges:
        monkeypatch.setattr(durable, "_renameat2", lambda: None)
    page, fresh = tmp_path / "a", tmp_path / "fresh"
    durable.swap(page, b"first", fresh=fresh)  # there is no file yet
    open_since_then = [page.open("rb")]
    with monkeypatch.context() as stopped:
        name = {"exchanged": "_exchange", "written": "_exchange", "never": "_nothing"}[at]
        stopped.setattr(durable, name, _stopped_at(at), raising=False)
        with pytest.raises(Stopped) if at != "never" else nullcontext():
            durable.swap(page, b"second", fresh=fresh)
    seen = [b"first", page.read_bytes()]
    open_since_then.append(page.open("rb"))
    durable.swap(page, b"third", fresh=fresh)
    assert [each.read() for each in open_since_then] == seen
    assert page.read_bytes() == b"third"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    for each in open_since_then:
        each.close()


def test_a_swap_can_leave_the_old_file_to_its_caller(tmp_path: Path) -> None:
    page, fresh = tmp_path / "a", tmp_path / "fresh"
    durable.swap(page, b"first", fresh=fresh, keep_old=True)
    with page.open("rb") as open_since_then:
        durable.swap(page, b"second", fresh=fresh, keep_old=True)
        assert (page.read_bytes(), open_since_then.read(), fresh.read_bytes()) == (b"second", b"first", b"first")
        with pytest.raises(FileExistsError):  # its name is taken: the caller gives a new one each time
            durable.swap(page, b"third", fresh=fresh, keep_old=True)
        assert fresh.read_bytes() == b"first"


def _stopped_at(at: str) -> Callable[[Path, Path], bool]:
    exchange = durable._exchange

    def stop(one: Path, other: Path) -> bool:
        if at == "exchanged" and not exchange(one, other):
            one.replace(other)
        raise Stopped

    return stop


def test_a_folder_is_made_durable_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = durable.Folders(tmp_path)
    with stop_at(9, monkeypatch) as synced:
        folders.make(tmp_path / "a" / "b")
        folders.make(tmp_path / "a" / "b")
    assert synced == ["folder", "folder"]
    (tmp_path / "a" / "b").rmdir()
    folders.forget(tmp_path / "a" / "b")
    folders.make(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("clones", [True, False], ids=["shares blocks if it can", "copies"])
def test_a_copy_is_durable_and_a_writer_to_it_does_not_reach_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, clones: bool
) -> None:
    original, copied = tmp_path / "original", tmp_path / "copia"
    content = os.urandom(3 << 20)
    original.write_bytes(content)
    if not clones:
        monkeypatch.setattr(durable, "_CLONE", 0)  # no such request
    with stop_at(1, monkeypatch) as synced:
        durable.copy(original, copied)
    assert synced == ["file"]
    assert copied.read_bytes() == content
    with copied.open("r+b") as file:
        file.write(b"otra cosa")
    assert original.read_bytes() == content
    with pytest.raises(FileExistsError):
        durable.copy(original, copied)
    with pytest.raises(FileNotFoundError):
        durable.copy(tmp_path / "nada", tmp_path / "otra")
    assert not (tmp_path / "otra").exists()
