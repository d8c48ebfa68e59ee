"""The log grows and is signed once. If it is stopped, put back or changed, it never signs a second history."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrity.leaves import LONGEST_ENTRY
from integrity.log import writer
from integrity.log.merkle import EMPTY, check_consistency, check_inclusion, leaf_hash, root_of
from integrity.log.note import read_checkpoint
from integrity.log.tiles import Misshapen, Tiles, check_tiles, read_bundle, read_path, tile_path, write_bundle
from integrity.log.writer import (
    STEPS,
    Changed,
    FileState,
    FolderBusy,
    FolderRolledBack,
    Forked,
    Head,
    LogRefused,
    Sequencer,
    StateRolledBack,
    TooLong,
)
from integrity.source import Folder
from tests.makers.log_maker import ORIGIN, entries, flip, make_log, open_log, signer, tree


class Killed(BaseException):
    """The process ends here."""


def root(size: int) -> bytes:
    return root_of(b"".join(leaf_hash(entry) for entry in entries(size)))


def published(home: Path) -> tuple[int, bytes]:
    checkpoint = read_checkpoint((home / "bitacora" / "checkpoint").read_bytes())
    assert checkpoint.note.signed_by(signer().key)
    return checkpoint.size, checkpoint.root


# --- growing ----------------------------------------------------------------------------------------------------------


def test_a_new_log_has_a_signed_head_of_no_leaves(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        assert log.head == Head(0, EMPTY)
    assert published(tmp_path) == (0, EMPTY)
    assert tree(tmp_path / "bitacora").keys() == {"checkpoint"}


def test_entries_become_leaves_in_their_order(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        assert log.append(entries(3)) == range(3)
        assert log.append([]) == range(3, 3)
        assert log.append(entries(600, 3)) == range(3, 603)
        assert log.head == Head(603, root(603))
        tiles = log.tiles()
    assert published(tmp_path) == (603, root(603))
    assert [entry for index in range(3) for entry in tiles.entries(index)] == entries(603)
    for index in (0, 255, 256, 511, 512, 602):
        check_inclusion(index, 603, leaf_hash(entries(603)[index]), tiles.inclusion(index), root(603))
        assert tiles.find(leaf_hash(b"hoja 10" * 3)) == 10
    for old in (1, 3, 255, 256, 257, 512, 603):
        check_consistency(old, 603, root(old), root(603), tiles.consistency(old))


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=4))
def test_in_any_batches_the_entries_give_the_same_tree(
    tmp_path_factory: pytest.TempPathFactory, batches: list[int]
) -> None:
    home = tmp_path_factory.mktemp("log")
    folder = make_log(home, batches)
    size = sum(batches)
    assert published(home) == (size, root(size))
    check_tiles(Tiles(Folder(folder), size))
    with open_log(home) as log:  # after a restart it is the same
        assert log.head == Head(size, root(size))


def test_the_files_are_those_that_the_specification_counts(tmp_path: Path) -> None:
    """Its example of 70,000 leaves: 273 full tiles and one of 112; above them one full and one of 17; then one of 1."""
    folder = make_log(tmp_path, [70_000])
    files = tree(folder).keys()
    level_0 = {tile_path(0, index) for index in range(273)} | {"tile/0/273.p/112"}
    bundles = {name.replace("tile/0/", "tile/entries/") for name in level_0}
    assert files == {"checkpoint", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"} | level_0 | bundles


def test_a_full_tile_takes_the_place_of_its_partial_ones_and_no_other_is_removed(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.append(entries(250))
        log.append(entries(5, 250))
        assert {"tile/0/000.p/250", "tile/0/000.p/255"} <= tree(tmp_path / "bitacora").keys()
        log.append(entries(10, 255))
    files = tree(tmp_path / "bitacora").keys()
    assert files == {
        *("checkpoint", "tile/0/000", "tile/entries/000", "tile/1/000.p/1"),
        *("tile/0/001.p/9", "tile/entries/001.p/9"),
    }


def test_a_reader_of_an_older_head_finds_its_partial_tiles_in_the_full_ones(tmp_path: Path) -> None:
    folder = make_log(tmp_path, [300, 300])
    older = Tiles(Folder(folder), 300)
    check_tiles(older)
    assert older.root() == root(300)
    assert older.entries(1) == entries(44, 256)


def test_an_entry_that_no_bundle_holds_is_refused_and_the_log_goes_on(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        with pytest.raises(TooLong):
            log.append([b"x" * (LONGEST_ENTRY + 1)])
        log.append([b"x" * LONGEST_ENTRY])
        assert log.head.size == 1


@pytest.mark.parametrize(
    ("level", "index", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (None, 1_234_067, 256, "tile/entries/x001/x234/067"),
        (3, 999, 7, "tile/3/999.p/7"),
        (0, 1000, 256, "tile/0/x001/000"),
    ],
)
def test_paths(level: int | None, index: int, width: int, path: str) -> None:
    assert tile_path(level, index, width) == path
    assert read_path(path) == (level, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "checkpoint",
        "tile/0/00",
        "tile/00/000",
        "tile/0/x000/001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/../000",
    ],
)
def test_a_path_that_the_log_does_not_have(path: str) -> None:
    assert read_path(path) is None


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_whole_bundles_are_read_and_cut_ones_are_refused(some: list[bytes]) -> None:
    data = write_bundle(some)
    assert read_bundle(data, len(some)) == some
    for wrong in (data + b"\0", data[:-1], data + b"\0\5abc"):
        if wrong != data:
            with pytest.raises(Misshapen):
                read_bundle(wrong, len(some))


# --- stopping ---------------------------------------------------------------------------------------------------------


def dying(home: Path, step: str, *, after: bool) -> Sequencer:
    """A log whose process dies just before, or just after, a step takes effect."""

    @contextmanager
    def die(name: str) -> Iterator[None]:
        if name == step and not after:
            raise Killed
        yield
        if name == step:
            raise Killed

    return Sequencer(home / "bitacora", signer(), FileState(home / "estado" / "cabeza"), step=die)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_the_next_run_ends_with_the_same_log(tmp_path: Path, step: str, after: bool) -> None:
    make_log(tmp_path, [300])
    with dying(tmp_path, step, after=after) as log, pytest.raises(Killed):
        log.append(entries(500, 300))
    is_out = STEPS.index(step) + after > STEPS.index("checkpoint")
    assert published(tmp_path) == ((800, root(800)) if is_out else (300, root(300)))
    _finish_appending(tmp_path, 800)


def _finish_appending(home: Path, size: int) -> None:
    """The caller after a restart: look how far the log got, and append the rest."""
    with open_log(home) as log:
        assert log.head.size in {300, size}
        assert published(home) == (log.head.size, log.head.root)
        log.append(entries(size - log.head.size, log.head.size))
    clean = make_log(home / "limpio", [300, size - 300])
    assert tree(home / "bitacora") == tree(clean)


@pytest.mark.parametrize("syncs", range(7))
def test_killed_at_any_write_the_next_run_ends_with_the_same_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syncs: int
) -> None:
    make_log(tmp_path, [300])
    left = [syncs]
    sync = os.fsync

    def die(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        sync(handle)

    with open_log(tmp_path) as log, monkeypatch.context() as patched:
        patched.setattr(os, "fsync", die)
        with pytest.raises(Killed):
            log.append(entries(300, 300))
        with pytest.raises(LogRefused, match="a medias"):
            log.append([b"otra"])
    _finish_appending(tmp_path, 600)


@pytest.mark.parametrize("step", [None, *STEPS])
def test_a_power_cut_loses_no_file_that_was_not_synced(tmp_path: Path, step: str | None) -> None:
    """Every file since the journal began is lost, emptied, cut or holds other bytes: the next run makes it again."""
    make_log(tmp_path, [300])
    durable = tree(tmp_path / "bitacora").keys() - {"checkpoint"}
    log = dying(tmp_path, step or "", after=True)
    log.append(entries(10, 300)) if step is None else None
    with pytest.raises(Killed) if step else nullcontext():
        log.append(entries(500, log.head.size))
    size = 800 if step in STEPS[2:] else 300 if step else 810
    ways = (Path.unlink, lambda path: os.truncate(path, 0), lambda path: os.truncate(path, 9), flip)
    copy(tmp_path / "bitacora", tmp_path / "corte" / "bitacora")
    copy(tmp_path / "estado", tmp_path / "corte" / "estado")
    log.close()
    folder = tmp_path / "corte" / "bitacora"
    lost = [name for name in tree(folder) if name not in durable and name.startswith("tile/")]
    assert len(lost) > 4
    for number, name in enumerate(lost):
        ways[number % len(ways)](folder / name)
    with open_log(tmp_path / "corte") as again:
        assert again.head == Head(size, root(size))
        again.append(entries(900 - size, size))
    assert published(tmp_path / "corte") == (900, root(900))
    check_tiles(Tiles(Folder(folder), 900))


@pytest.mark.parametrize("kept", [0, 20, 60, 5_000, -40, -1])
def test_a_journal_that_was_cut_gives_the_whole_batches_before_the_cut(tmp_path: Path, kept: int) -> None:
    make_log(tmp_path, [300])
    with dying(tmp_path, "files", after=True) as log, pytest.raises(Killed):
        log.append(entries(500, 300))
    journal = tmp_path / "bitacora" / ".tmp" / "diario"
    os.truncate(journal, kept if kept >= 0 else journal.stat().st_size + kept)
    _finish_appending(tmp_path, 800)
    assert not journal.exists()


def test_a_journal_of_other_leaves_is_never_signed(tmp_path: Path) -> None:
    """Its files differ from the state's root: a journal is a way to lost bytes, and no promise."""
    make_log(tmp_path / "otra", [300])
    for home, batch in (tmp_path / "otra", [b"otra"] * 300), (tmp_path, entries(300, 300)):
        make_log(home, [300]) if home == tmp_path else None
        with dying(home, "state", after=True) as log, pytest.raises(Killed):
            log.append(batch)
    copy(tmp_path / "otra" / "bitacora" / ".tmp" / "diario", tmp_path / "bitacora" / ".tmp" / "diario")
    with pytest.raises(Changed):
        open_log(tmp_path)
    assert published(tmp_path) == (300, root(300))


def test_a_long_journal_is_closed_and_the_next_one_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_LONGEST_JOURNAL", 3_000)
    with open_log(tmp_path) as log:
        for _ in range(8):
            log.append(entries(100, log.head.size))
            assert (tmp_path / "bitacora" / ".tmp" / "diario").stat().st_size < 20_000
    assert tree(tmp_path / "bitacora") == tree(make_log(tmp_path / "limpio", [300, 400, 100]))


def test_files_of_entries_that_never_came_into_the_log_are_removed_and_replaced(tmp_path: Path) -> None:
    make_log(tmp_path, [300])
    with dying(tmp_path, "state", after=False) as log, pytest.raises(Killed):
        log.append([b"nunca"] * 700)
    with open_log(tmp_path) as log:
        assert tree(tmp_path / "bitacora") == tree(make_log(tmp_path / "limpio", [300]))
        log.append(entries(10, 300))
    assert published(tmp_path) == (310, root(310))


# --- refusing ---------------------------------------------------------------------------------------------------------


def copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        target.unlink(missing_ok=True)
        shutil.copyfile(source, target)


def test_a_second_sequencer_of_the_same_folder_is_refused(tmp_path: Path) -> None:
    with open_log(tmp_path), pytest.raises(FolderBusy):
        open_log(tmp_path)
    open_log(tmp_path).close()


def test_a_sequencer_of_a_copied_folder_cannot_move_the_same_state(tmp_path: Path) -> None:
    make_log(tmp_path, [300])
    copy(tmp_path / "bitacora", tmp_path / "copia")
    state = FileState(tmp_path / "estado" / "cabeza")
    with Sequencer(tmp_path / "copia", signer(), state) as copied, open_log(tmp_path) as log:
        log.append([b"la de verdad"])
        with pytest.raises(FolderBusy):
            copied.append([b"otra"])
    assert read_checkpoint((tmp_path / "copia" / "checkpoint").read_bytes()).size == 300


def test_an_old_copy_of_the_folder_is_refused(tmp_path: Path) -> None:
    make_log(tmp_path, [300])
    copy(tmp_path / "bitacora", tmp_path / "vieja")
    with open_log(tmp_path) as log:
        log.append(entries(300, 300))
    copy(tmp_path / "vieja", tmp_path / "bitacora")
    with pytest.raises(FolderRolledBack):
        open_log(tmp_path)
    assert published(tmp_path) == (300, root(300))


def test_an_old_copy_of_the_state_is_refused(tmp_path: Path) -> None:
    make_log(tmp_path, [300])
    copy(tmp_path / "estado", tmp_path / "viejo")
    with open_log(tmp_path) as log:
        log.append(entries(300, 300))
    copy(tmp_path / "viejo", tmp_path / "estado")
    with pytest.raises(StateRolledBack, match="300 hojas y ya se firmaron 600"):
        open_log(tmp_path)


def test_a_lost_state_and_a_lost_checkpoint_are_refused(tmp_path: Path) -> None:
    make_log(tmp_path, [300])
    (tmp_path / "bitacora" / "checkpoint").rename(tmp_path / "aparte")
    with pytest.raises(FolderRolledBack):
        open_log(tmp_path)
    shutil.rmtree(tmp_path / "estado")
    with pytest.raises(StateRolledBack):
        open_log(tmp_path)
    (tmp_path / "aparte").rename(tmp_path / "bitacora" / "checkpoint")
    with pytest.raises(StateRolledBack):
        open_log(tmp_path)
    assert published(tmp_path) == (300, root(300))


def test_a_state_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    make_log(tmp_path, [3])
    for content in (b"", b"03\nAAAA\n", b"3\nAAAA\n", b"\xff", b"3\n" * 5):
        (tmp_path / "estado" / "cabeza").write_bytes(content)
        with pytest.raises(StateRolledBack, match="dañado"):
            open_log(tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/88",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/002.p/88",
        "checkpoint",
    ],
)
@pytest.mark.parametrize("how", [flip, Path.unlink, lambda path: os.truncate(path, 100)], ids=["flip", "unlink", "cut"])
def test_a_changed_file_is_refused_when_the_log_is_opened(
    tmp_path: Path, path: str, how: Callable[[Path], None]
) -> None:
    folder = make_log(tmp_path)
    before = (folder / "checkpoint").read_bytes()
    how(folder / path)
    with pytest.raises((Changed, FolderRolledBack)):
        open_log(tmp_path)
    if path != "checkpoint":
        assert (folder / "checkpoint").read_bytes() == before


@pytest.mark.parametrize("path", ["tile/0/002.p/88", "tile/entries/002.p/88"])
def test_a_change_at_the_edge_of_an_open_log_does_not_reach_its_signatures(tmp_path: Path, path: str) -> None:
    """The edge is in memory: its files are written from there, and never read back into a signature."""
    folder = make_log(tmp_path)
    with open_log(tmp_path) as log:
        flip(folder / path)
        log.append(entries(1, 600))
    assert published(tmp_path) == (601, root(601))


def test_a_tile_that_changes_while_the_log_is_open_is_never_signed(tmp_path: Path) -> None:
    folder = make_log(tmp_path)
    with open_log(tmp_path) as log:
        flip(folder / "tile/1/000.p/2")
        with pytest.raises(Forked):
            log.append(entries(1, 600))
    assert published(tmp_path) == (600, root(600))


def rewrite(folder: Path) -> None:
    """Other entries, and a tile that fits them."""
    other = [*entries(97, 512), b"otra"]
    (folder / "tile/entries/002.p/98").write_bytes(write_bundle(other))
    (folder / "tile/0/002.p/98").write_bytes(b"".join(map(leaf_hash, other)))


@pytest.mark.parametrize("change", [lambda folder: flip(folder / "tile/0/002.p/98"), rewrite], ids=["one", "both"])
def test_files_that_differ_from_the_written_ones_are_never_signed(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """A disk, or a person, changes them between the write and the signature."""
    folder = make_log(tmp_path)

    @contextmanager
    def meddle(name: str) -> Iterator[None]:
        yield
        if name == "files":
            change(folder)

    with (
        Sequencer(folder, signer(), FileState(tmp_path / "estado" / "cabeza"), step=meddle) as log,
        pytest.raises(Changed),
    ):
        log.append(entries(10, 600))
    assert published(tmp_path)[0] == 600
    with open_log(tmp_path) as log:
        assert log.append(entries(10, 600)) == range(600, 610)


def test_a_rewritten_last_bundle_is_refused_though_it_agrees_with_its_tile(tmp_path: Path) -> None:
    folder = make_log(tmp_path, [10])
    other = [*entries(9), b"otra"]
    (folder / "tile/entries/000.p/10").write_bytes(write_bundle(other))
    (folder / "tile/0/000.p/10").write_bytes(b"".join(leaf_hash(entry) for entry in other))
    with pytest.raises(Changed, match="raíz del estado"):
        open_log(tmp_path)


def test_a_whole_other_log_under_the_same_key_is_refused(tmp_path: Path) -> None:
    make_log(tmp_path, [300])
    with Sequencer(tmp_path / "otra", signer(), FileState(tmp_path / "otro-estado")) as other:
        other.append([b"otra"] * 300)
        other.append([b"otra"] * 300)
    copy(tmp_path / "otra", tmp_path / "bitacora")
    with pytest.raises(StateRolledBack):
        open_log(tmp_path)
    FileState(tmp_path / "estado" / "cabeza").swap(Head(300, root(300)), Head(600, root(600)))
    with pytest.raises(Forked):
        open_log(tmp_path)


def test_a_checkpoint_of_another_key_or_origin_is_refused(tmp_path: Path) -> None:
    folder = make_log(tmp_path, [3])
    with pytest.raises(Changed, match="no lo firmó esta bitácora"):
        Sequencer(folder, signer("otra.example"), FileState(tmp_path / "estado" / "cabeza"))
    text = (folder / "checkpoint").read_text().split("\n\n")[0].replace(ORIGIN, "otra.example") + "\n"
    (folder / "checkpoint").write_text(f"{text}\n{signer().sign(text)}")
    with pytest.raises(Changed, match="no lo firmó esta bitácora"):
        open_log(tmp_path)


def test_the_state_moves_only_from_its_present_head(tmp_path: Path) -> None:
    state = FileState(tmp_path / "cabeza")
    assert state.read() is None
    assert not state.swap(Head(1, EMPTY), Head(2, EMPTY))
    assert state.swap(None, Head(1, EMPTY))
    assert not state.swap(None, Head(2, EMPTY))
    assert state.swap(Head(1, EMPTY), Head(2, EMPTY))
    assert FileState(tmp_path / "cabeza").read() == Head(2, EMPTY)
