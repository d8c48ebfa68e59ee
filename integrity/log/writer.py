"""The log's one writer: entries become leaves, once, and a tree head is signed only if it continues the last.

    entries ─► tiles on disk ─► root recomputed from files ─► state swapped ─► signed, cosigned ─► renamed ─► swept

What the world sees is the checkpoint: files that it does not reach do not exist for anybody. What the log has promised
to be is the *state*, size and root, kept elsewhere than the folder (a file on another disk, a row in Postgres) and only
ever swapped for its successor. Restart runs the same checks: whatever was stopped before the swap was never appended,
whatever was stopped after it is finished. A folder or a state put back from a copy, a changed tile, a second writer:
each is refused by its name and nothing is signed; a person must look.

What this cannot see: folder and state put back *together*. Witnesses do (`integrity.log.witness`): they remember.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self

from integrity.log.merkle import EMPTY, NotProven, check_consistency, leaf_hash, root_of
from integrity.log.note import (
    Checkpoint,
    Note,
    NotSigned,
    Signer,
    VerifierKey,
    checkpoint_text,
    read_checkpoint,
    read_decimal,
    read_hash,
    read_signatures,
    to_base64,
)
from integrity.log.tiles import (
    CHECKPOINT,
    LONGEST_ENTRY,
    WIDTH,
    Differs,
    Tiles,
    check_tiles,
    read_path,
    tile_path,
    write_bundle,
)
from integrity.source import Folder, Missing, SourceError
from integrity.sums import Malformed

STEPS: Final = ("files", "recompute", "state", "witnesses", "checkpoint", "sweep")
"""What an append does, in this order."""
_SCRATCH: Final = ".tmp"
_AT_ONCE: Final = 8
"""Files that the disk is asked for at the same time."""

Step = Callable[[str], AbstractContextManager[object]]
"""Entered and left around each of STEPS: where times are taken and tests stop the process."""
Cosign = Callable[[bytes, Tiles], str]
"""Asked for witnesses' signature lines of a checkpoint before the world sees it, with its tree. It raises nothing, and
the new head waits for as long as it takes: give it a bound."""


class LogRefused(Exception):
    """The log is not as it was left, or was not asked for what it can do; `sentence` is Spanish. Nothing was signed."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class FolderBusy(LogRefused):
    """Another sequencer has the folder, or has moved the state."""


class FolderRolledBack(LogRefused):
    """The folder has less than the state: an old copy was put back, or files were lost."""


class StateRolledBack(LogRefused):
    """The state has less than what was signed: an old copy of it was put back, or it was lost."""


class Changed(LogRefused):
    """A file of the log is not the one that was written."""


class Forked(LogRefused):
    """The files, the state and the last checkpoint are not one tree that grew."""


class TooLong(LogRefused):
    """An entry that no bundle can hold."""


@dataclass(frozen=True, slots=True)
class Head:
    """How many leaves, and their root."""

    size: int
    root: bytes


class State(Protocol):
    """Where the head is kept, apart from the folder. Raises what its place raises when it is away."""

    def read(self) -> Head | None:
        """The head; None where there never was one."""

    def swap(self, expected: Head | None, new: Head) -> bool:
        """Put `new` in the place of `expected` if that is what is there; False if it is not. Durable on return."""


class FileState:
    """The head in a small file, for installations of one machine. Put it on another disk than the folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Head | None:
        try:
            size, root = self._path.read_text("ascii").removesuffix("\n").split("\n")
            return Head(read_decimal(size, "un tamaño"), read_hash(root))
        except FileNotFoundError:
            return None
        except (Malformed, ValueError):
            raise StateRolledBack(f"el estado de la bitácora, {self._path.name}, está dañado") from None

    def swap(self, expected: Head | None, new: Head) -> bool:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = self._path.with_name(self._path.name + ".lock")
        lock.touch()
        with _locked(lock, wait=True):
            if self.read() != expected:
                return False
            temporary = self._path.with_name(self._path.name + ".tmp")
            temporary.write_bytes(f"{new.size}\n{to_base64(new.root)}\n".encode())
            _fsync(temporary)
            temporary.replace(self._path)  # all of it or nothing
            _fsync(self._path.parent)
        return True


class Sequencer:
    """The open log in `folder`; make it with `with Sequencer(...)`: it holds a lock until it is closed."""

    def __init__(
        self,
        folder: Path,
        signer: Signer,
        state: State,
        *,
        also: Sequence[Signer] = (),
        cosign: Cosign = lambda *_: "",
        step: Step = lambda _: nullcontext(),
    ) -> None:
        """Opens, and where it must be finishes, the log; makes it where there is neither folder nor state.

        `also` are keys that sign beside `signer`: the ones before it, while they overlap (`rotation`). The whole
        log is recomputed from its files: a few seconds for a national night. Raises LogRefused.
        """
        self._folder = folder
        self._signers = (signer, *also)
        self._state = state
        self._cosign = cosign
        self._step = step
        self._durable: set[Path] = set()
        self._stopped = False
        self._disk = ThreadPoolExecutor(_AT_ONCE)
        folder.mkdir(parents=True, exist_ok=True)
        _fsync(folder.parent)
        self._lock = _locked(folder, wait=False)
        self._lock.__enter__()
        try:
            self._source = Folder(folder)
            self._edge = self._recover()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._disk.shutdown()
        self._lock.__exit__(None, None, None)

    @property
    def head(self) -> Head:
        """What has been appended, and signed. Raises LogRefused after an append that did not end."""
        if self._stopped:
            raise LogRefused("la bitácora se detuvo a medias: hay que volver a abrirla")
        return self._edge.head

    def checkpoint(self) -> bytes:
        """The checkpoint that the world sees."""
        return self._read_checkpoint().to_bytes()

    def tiles(self) -> Tiles:
        """The tree as it is published now, to make proofs from."""
        return Tiles(self._source, self.head.size)

    def sign_with(self, signer: Signer, also: Sequence[Signer]) -> None:
        """From the next checkpoint on. One of them must have signed the last one."""
        assert {each.key for each in self._signers} & {signer.key, *(each.key for each in also)}
        self._signers = (signer, *also)

    def append(self, entries: Sequence[bytes]) -> range:
        """Make the entries leaves, in this order; returns their indices. On return they are signed and published.

        Raises LogRefused; after that, or any other exception, this object appends nothing more: open the log again, and
        look at `head` to see whether the entries are in it.
        """
        if any(len(entry) > LONGEST_ENTRY for entry in entries):
            raise TooLong(f"una entrada de la bitácora tiene más de {LONGEST_ENTRY} bytes")
        before = self.head
        if entries:
            self._stopped = True
            self._grow(before, entries)
            self._stopped = False
        return range(before.size, before.size + len(entries))

    def _grow(self, before: Head, entries: Sequence[bytes]) -> None:
        edge = self._edge
        # No checkpoint reaches these files. If we stop here, they are written over or swept away by the next run.
        with self._step("files"):
            self._write(edge.take(entries))
        # The files are durable. If we stop here, or they are not what we meant to write, nothing was appended.
        with self._step("recompute"):
            head = self._recompute(edge.size, before)
            if head.root != edge.root():
                raise Changed("los archivos recién escritos de la bitácora no dan la raíz de lo que se escribió")
        # From the swap on the entries are in the log: if we stop after it, the next run signs this very head.
        with self._step("state"):
            if not self._state.swap(before, head):
                raise FolderBusy("otro proceso movió el estado de la bitácora; no se firmó nada")
        # The world still sees the last checkpoint. If we stop here, the next run comes back here: witnesses may have
        # signed this head, which is the one that they are shown then.
        with self._step("witnesses"):
            signed = self._sign(head, proven=before)
        with self._step("checkpoint"):
            self._replace_checkpoint(signed)
        # The world sees the entries. If we stop here, the next run sweeps.
        with self._step("sweep"):
            self._sweep(edge.filled)
        edge.settle(head)

    def add_cosignatures(self, lines: str, witnesses: Iterable[VerifierKey]) -> list[str]:
        """Put the witnesses' signatures of the checkpoint that is out now into it; returns the names of those kept.

        A line that is not a good signature of one of them, or is of an older checkpoint, is left out.
        """
        published = self._read_checkpoint()
        text = published.note.text
        kept = {(each.name, each.key_id): each.line for each in published.note.signatures}
        names: list[str] = []
        keys = {(key.name, key.id): key for key in witnesses}
        for each in read_signatures(lines) if lines else []:
            key = keys.get((each.name, each.key_id))
            with suppress(NotSigned):
                if key is not None and Note(text, (each,)).cosigned_by(key) is not None:
                    kept[each.name, each.key_id] = each.line
                    names.append(each.name)
        if names:
            self._replace_checkpoint((text + "\n" + "".join(kept.values())).encode())
        return names

    # --- opening ------------------------------------------------------------------------------------------------------

    def _recover(self) -> "_Edge":
        """What the log is, or LogRefused."""
        shutil.rmtree(self._folder / _SCRATCH, ignore_errors=True)
        head = self._state.read()
        published = self._read_checkpoint() if (self._folder / CHECKPOINT).exists() else None
        if head is None:
            if published is not None or (self._folder / "tile").exists():
                raise StateRolledBack("falta el estado de una bitácora que ya tiene hojas")
            # There is no log. If we stop after the swap, there is an empty one that nobody has seen.
            head = Head(0, EMPTY)
            if not self._state.swap(None, head):
                raise FolderBusy("otro proceso está creando la bitácora")
        if published is None and (head.size or (self._folder / "tile").exists()):
            raise FolderRolledBack("a la bitácora le falta su punto de control")
        if published is not None:
            _compare(head, published)
        recomputed = self._recompute(head.size, Head(0, EMPTY))
        if recomputed.root != head.root:
            raise Changed("los archivos de la bitácora no dan la raíz del estado")
        if published is None or published.size < head.size:
            self._replace_checkpoint(self._sign(head))
        self._sweep_all(head.size)
        return _Edge.load(Tiles(self._source, head.size), head)

    def _recompute(self, size: int, before: Head) -> Head:
        """The head that the files give: every hash over the leaves from `before` on, and that it continues `before`."""
        tiles = Tiles(self._source, size)
        try:
            check_tiles(tiles, before.size)
            head = Head(size, tiles.root())
            if before.size:
                check_consistency(before.size, size, before.root, head.root, tiles.consistency(before.size))
        except Missing as missing:
            raise FolderRolledBack(f"{missing.sentence}: el estado de la bitácora promete {size} hojas") from None
        except SourceError as error:
            raise LogRefused(error.sentence) from None
        except Differs as differs:
            place = f"{differs.path}, {differs.position}" if differs.position else differs.path
            raise Changed(f"{place}: se esperaba {differs.expected}; se encontró {differs.found}") from None
        except NotProven as problem:
            raise Forked(f"los archivos de la bitácora no continúan lo que ya era: {problem.sentence}") from None
        return head

    # --- the checkpoint -----------------------------------------------------------------------------------------------

    def _sign(self, head: Head, *, proven: Head | None = None) -> bytes:
        """Sign the head, if it continues the checkpoint that the world sees, and have it cosigned.

        `proven` is a head that it has just been seen to continue.
        """
        if (self._folder / CHECKPOINT).exists():
            published = self._read_checkpoint()
            _compare(head, published)
            seen = Head(published.size, published.root)
            if seen != proven:
                self._recompute(head.size, seen)
        text = checkpoint_text(self._signers[0].key.name, head.size, head.root)
        signed = f"{text}\n{''.join(signer.sign(text) for signer in self._signers)}".encode()
        return signed + self._cosign(signed, Tiles(self._source, head.size)).encode()

    def _read_checkpoint(self) -> Checkpoint:
        """The last one that we signed."""
        try:
            published = read_checkpoint((self._folder / CHECKPOINT).read_bytes())
            ours = [signer.key for signer in self._signers if published.note.signed_by(signer.key)]
            if not ours or published.origin != ours[0].name:
                raise Changed("el punto de control que está publicado no lo firmó esta bitácora")
        except FileNotFoundError:
            raise FolderRolledBack("a la bitácora le falta su punto de control") from None
        except Malformed as problem:
            found = f"se esperaba {problem.expected}; se encontró {problem.found}"
            raise Changed(f"el punto de control que está publicado no se puede leer: {found}") from None
        except NotSigned as problem:
            raise Changed(f"el punto de control que está publicado: {problem.sentence}") from None
        return published

    def _replace_checkpoint(self, content: bytes) -> None:
        self._write([(CHECKPOINT, content)])

    # --- files --------------------------------------------------------------------------------------------------------

    def _write(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Each file whole or not at all under its name, and durable on return."""
        scratch = self._folder / _SCRATCH
        scratch.mkdir(exist_ok=True)
        written: list[tuple[Path, Path]] = []
        for number, (path, content) in enumerate(files):
            temporary = scratch / str(number)
            temporary.write_bytes(content)
            written.append((temporary, self._folder / path))
        self._sync(temporary for temporary, _ in written)
        for temporary, final in written:
            self._make_folder(final.parent)
            temporary.replace(final)
        self._sync(dict.fromkeys(final.parent for _, final in written))
        scratch.rmdir()

    def _sync(self, paths: Iterable[Path]) -> None:
        """Together: a disk takes several in hardly more time than one."""
        for _ in self._disk.map(_fsync, paths):
            pass

    def _make_folder(self, folder: Path) -> None:
        """Make it, and make its name durable: once for each folder and process."""
        if folder in self._durable or folder == self._folder:
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _fsync(folder.parent)
        self._durable.add(folder)

    def _sweep(self, filled: Iterable[str]) -> None:
        """Remove the partial tiles of those that are full and published: who has an older head reads the full one."""
        for path in filled:
            partial = self._folder / f"{path}.p"
            self._durable.discard(partial)
            shutil.rmtree(partial, ignore_errors=True)

    def _sweep_all(self, size: int) -> None:
        """The same for all, and away with what was written for entries that never came to be: no head reaches it."""
        tiles = Tiles(self._source, size)
        for root, _, names in os.walk(self._folder / "tile"):
            for path in (Path(root, name) for name in names):
                place = read_path(path.relative_to(self._folder).as_posix())
                if place is None:
                    continue
                level, index, width = place
                there = tiles.width(level or 0, index)
                if there < width or (there == WIDTH != width):
                    path.unlink()


def _compare(head: Head, published: Checkpoint) -> None:
    """What was signed may be behind the state, never ahead of it or beside it."""
    if published.size > head.size:
        raise StateRolledBack(
            f"el estado de la bitácora tiene {head.size} hojas y ya se firmaron {published.size}: es una copia vieja"
        )
    if published.size == head.size and published.root != head.root:
        raise Forked(f"el estado y el punto de control tienen {head.size} hojas y raíces distintas")


class _Edge:
    """What the next entries are added to: the entries of the last bundle and the partial tile of each level."""

    def __init__(self, head: Head, bundle: list[bytes], levels: list[bytes]) -> None:
        self.head = head
        self.size = head.size
        self.filled: list[str] = []
        """Full tiles and bundles of the last entries taken."""
        self._bundle = bundle
        self._levels = levels

    @classmethod
    def load(cls, tiles: Tiles, head: Head) -> "_Edge":
        levels: list[bytes] = []
        while head.size >> (8 * len(levels)):
            level = len(levels)
            index = (head.size >> (8 * level)) // WIDTH
            levels.append(tiles.tile(level, index) if tiles.width(level, index) else b"")
        bundle = tiles.entries(head.size // WIDTH) if head.size % WIDTH else []
        return cls(head, bundle, levels)

    def settle(self, head: Head) -> None:
        self.head = head
        self.filled = []

    def take(self, entries: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """Add the entries; path and content of every file that there is for them, full tiles first."""
        changed: set[int] = set()
        at = 0
        while at < len(entries):
            some = entries[at : at + WIDTH - len(self._bundle)]
            at += len(some)
            self._bundle += some
            index = self.size // WIDTH
            self.size += len(some)
            hashes = b"".join([leaf_hash(entry) for entry in some])
            if len(self._bundle) == WIDTH:
                yield self._full(tile_path(None, index), write_bundle(self._bundle))
                self._bundle = []
            yield from self._push(0, hashes, changed)
        if self._bundle:
            yield tile_path(None, self.size // WIDTH, len(self._bundle)), write_bundle(self._bundle)
        for level in sorted(changed):
            if partial := self._levels[level]:
                index = (self.size >> (8 * level)) // WIDTH
                yield tile_path(level, index, len(partial) // len(EMPTY)), partial

    def _push(self, level: int, hashes: bytes, changed: set[int]) -> Iterator[tuple[str, bytes]]:
        """Add hashes to the tile of a level, which they fill at most; what fills it rises."""
        if level == len(self._levels):
            self._levels.append(b"")
        self._levels[level] += hashes
        changed.add(level)
        tile = self._levels[level]
        if len(tile) == WIDTH * len(EMPTY):
            self._levels[level] = b""
            yield self._full(tile_path(level, (self.size >> (8 * level)) // WIDTH - 1), tile)
            yield from self._push(level + 1, root_of(tile), changed)

    def _full(self, path: str, content: bytes) -> tuple[str, bytes]:
        self.filled.append(path)
        return path, content

    def root(self) -> bytes:
        """Of everything taken: the partial tiles, from the right edge up."""
        found = EMPTY
        for level, tile in enumerate(self._levels):
            found = tile + (root_of(found) if level and found else b"")
        return root_of(found)


# --- the disk ---------------------------------------------------------------------------------------------------------


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Nobody else who asks has that file or folder meanwhile; the lock ends with the process, however it ends."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise FolderBusy("otro secuenciador tiene abierta la bitácora") from None
        yield
    finally:
        os.close(handle)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
