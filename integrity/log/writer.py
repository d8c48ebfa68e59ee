"""The log's one writer: entries become leaves, once, and a tree head is signed only if it continues the last.

    entries ─► tiles on disk ─► root recomputed from files ─► state swapped ─► signed, cosigned ─► renamed ─► swept

Readers see the checkpoint: a file that the checkpoint does not reach does not count as part of the log. The *state*
(size and root) is the promise of the log. It is kept apart from the folder (a file on another disk, a row in Postgres)
and changes only from one head to the next. A restart makes the same checks. Entries that stopped before the swap were
never appended; entries that stopped after the swap are finished. An old copy of the folder or of the state, a changed
tile, a second writer: each has its own error, and the log signs no head until a person has looked.

One case cannot be seen from here: folder and state put back *together* from old copies. Witnesses see it
(`integrity.log.witness`), because they remember.
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

from integrity import durable
from integrity.leaves import LONGEST_ENTRY
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
from integrity.log.tiles import CHECKPOINT, WIDTH, Differs, Tiles, check_tiles, read_path, tile_path, write_bundle
from integrity.source import Folder, Missing, SourceError
from integrity.sums import Malformed

STEPS: Final = ("files", "recompute", "state", "witnesses", "checkpoint", "sweep")
"""The parts of an append, in this order."""
_SCRATCH: Final = ".tmp"
_AT_ONCE: Final = 8
"""Files that the disk is asked for at the same time."""

Step = Callable[[str], AbstractContextManager[object]]
"""Entered and left around each of STEPS: times are taken in it, and tests stop the process in it."""
Cosign = Callable[[bytes, Tiles], str]
"""Asked for the witnesses' signature lines of a checkpoint, with its tree, before the checkpoint is published. It
raises no error. The new head waits until it returns, so it must have a limit of time."""


class LogRefused(Exception):
    """The log differs from its promise, or it was asked for an impossible thing.

    No head was signed; `sentence` is Spanish.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class FolderBusy(LogRefused):
    """Another sequencer holds the folder, or has moved the state."""


class FolderRolledBack(LogRefused):
    """The folder has fewer leaves than the state: an old copy was put back, or files were lost."""


class StateRolledBack(LogRefused):
    """The state has fewer leaves than the signed checkpoint: an old copy of it was put back, or it was lost."""


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
    """The place of the head, apart from the folder.

    Its methods raise the errors of that place if it cannot be reached.
    """

    def read(self) -> Head | None:
        """The head; None if the log never had one."""

    def swap(self, expected: Head | None, new: Head) -> bool:
        """Replace `expected` by `new`; False, and no change, if another head is there. Durable on return."""


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
        # The lock is a file of its own: the state file itself is replaced by a rename, and a lock on it would be lost.
        lock = self._path.with_name(self._path.name + ".lock")
        lock.touch()
        with _flocked(lock, wait=True):
            if self.read() != expected:
                return False
            temporary = self._path.with_name(self._path.name + ".tmp")
            durable.replace(self._path, f"{new.size}\n{to_base64(new.root)}\n".encode(), fresh=temporary)
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
        """Open the log and finish an append that stopped; make a new log if there is neither folder nor state.

        `also` are keys that sign beside `signer`: the ones before it, while they overlap (`rotation`). The whole
        log is recomputed from its files: a few seconds for a national night. Raises LogRefused.
        """
        self._folder = folder
        self._signers = (signer, *also)
        self._state = state
        self._cosign = cosign
        self._step = step
        self._folders = durable.Folders(folder)
        self._stopped = False
        self._disk = ThreadPoolExecutor(_AT_ONCE)
        folder.mkdir(parents=True, exist_ok=True)
        durable.sync(folder.parent)
        self._lock = _flocked(folder, wait=False)
        self._lock.__enter__()
        try:
            self._source = Folder(folder)
            self._edge = self._check_and_finish()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the threads of the disk, and give the folder back to other sequencers."""
        self._disk.shutdown()
        self._lock.__exit__(None, None, None)

    @property
    def head(self) -> Head:
        """The last head that was appended and signed. Raises LogRefused after an append that failed in the middle."""
        if self._stopped:
            raise LogRefused("la bitácora se detuvo a medias: hay que volver a abrirla")
        return self._edge.head

    def checkpoint(self) -> bytes:
        """The bytes of the checkpoint that readers see now."""
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
        # Refused before the first byte is written: the log goes on with other entries.
        if any(len(entry) > LONGEST_ENTRY for entry in entries):
            raise TooLong(f"una entrada de la bitácora tiene más de {LONGEST_ENTRY} bytes")
        # While an append runs, and after one that failed, no head may be given: files and state may differ.
        before = self.head
        if entries:
            self._stopped = True
            self._append_entries(before, entries)
            self._stopped = False
        return range(before.size, before.size + len(entries))

    def _append_entries(self, before: Head, entries: Sequence[bytes]) -> None:
        edge = self._edge
        # No checkpoint reaches these files. If we stop here, they are written over or swept away by the next run.
        with self._step("files"):
            self._write_log_files(edge.take(entries))
        # The files are durable. If we stop here, or they differ from our memory, the entries are not in the log.
        with self._step("recompute"):
            head = self._recompute_head(edge.size, before)
            if head.root != edge.root():
                raise Changed("los archivos recién escritos de la bitácora no dan la raíz de lo que se escribió")
        # From the swap on the entries are in the log: if we stop after it, the next run signs this very head.
        with self._step("state"):
            if not self._state.swap(before, head):
                raise FolderBusy("otro proceso movió el estado de la bitácora; no se firmó nada")
        # The world still sees the last checkpoint. If we stop here, the next run comes back here: witnesses may have
        # signed this head, which is the one that they are shown then.
        with self._step("witnesses"):
            signed = self._sign_and_cosign(head, proven=before)
        with self._step("checkpoint"):
            self._replace_checkpoint(signed)
        # The world sees the entries. If we stop here, the next run sweeps.
        with self._step("sweep"):
            self._sweep_filled(edge.filled)
        edge.settle(head)

    def add_cosignatures(self, lines: str, witnesses: Iterable[VerifierKey]) -> list[str]:
        """Put the witnesses' signatures of the checkpoint that is out now into it; returns the names of those kept.

        A line that is not a good signature of one of them, or is of an older checkpoint, is left out.
        """
        # A witness may answer after its checkpoint was published. Its line joins the checkpoint only if the text is the
        # same.
        published = self._read_checkpoint()
        text = published.note.text
        kept = {(each.name, each.key_id): each.line for each in published.note.signatures}
        names: list[str] = []
        # One line for each key: a new signature replaces the older one of the same witness.
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

    def _check_and_finish(self) -> "_Edge":
        """Check that folder, state and checkpoint are one log, and finish an append that stopped. Raises LogRefused."""
        # Files in the scratch folder have no published name, so no reader and no head needs them.
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
        # A log that has leaves has a checkpoint: without it somebody put back an old folder, or deleted the file.
        if published is None and (head.size or (self._folder / "tile").exists()):
            raise FolderRolledBack("a la bitácora le falta su punto de control")
        if published is not None:
            _compare_with_checkpoint(head, published)
        # The whole log is recomputed from its entries: a changed tile is found here, before we sign over it.
        recomputed = self._recompute_head(head.size, Head(0, EMPTY))
        if recomputed.root != head.root:
            raise Changed("los archivos de la bitácora no dan la raíz del estado")
        # An append stopped after the swap: its head is promised, so it is signed now.
        if published is None or published.size < head.size:
            self._replace_checkpoint(self._sign_and_cosign(head))
        self._sweep_all(head.size)
        return _Edge.load(Tiles(self._source, head.size), head)

    def _recompute_head(self, size: int, before: Head) -> Head:
        """The head that the files give.

        Every hash over the leaves from `before` on is recomputed; it must continue `before`.
        """
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

    def _sign_and_cosign(self, head: Head, *, proven: Head | None = None) -> bytes:
        """Sign the head, if it continues the checkpoint that the world sees, and have it cosigned.

        `proven` is a head that was just recomputed as the beginning of this one; another beginning is recomputed here.
        """
        if (self._folder / CHECKPOINT).exists():
            published = self._read_checkpoint()
            _compare_with_checkpoint(head, published)
            seen = Head(published.size, published.root)
            if seen != proven:
                self._recompute_head(head.size, seen)
        text = checkpoint_text(self._signers[0].key.name, head.size, head.root)
        signed = f"{text}\n{''.join(signer.sign(text) for signer in self._signers)}".encode()
        return signed + self._cosign(signed, Tiles(self._source, head.size)).encode()

    def _read_checkpoint(self) -> Checkpoint:
        """The last checkpoint that we signed. Raises FolderRolledBack or Changed."""
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
        self._write_log_files([(CHECKPOINT, content)])

    # --- files --------------------------------------------------------------------------------------------------------

    def _write_log_files(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Write each file whole or not at all under its name; all are durable on return.

        If we stop, some names may be there and others not: the caller's next step publishes them, or the next run
        sweeps them.
        """
        scratch = self._folder / _SCRATCH
        scratch.mkdir(exist_ok=True)
        written: list[tuple[Path, Path]] = []
        for number, (path, content) in enumerate(files):
            temporary = scratch / str(number)
            temporary.write_bytes(content)
            written.append((temporary, self._folder / path))
        # Bytes first, then names: a name must never lead to bytes that a power cut can take away.
        self._sync_all(temporary for temporary, _ in written)
        for temporary, final in written:
            self._folders.make(final.parent)
            temporary.replace(final)
        self._sync_all(dict.fromkeys(final.parent for _, final in written))
        scratch.rmdir()

    def _sync_all(self, paths: Iterable[Path]) -> None:
        """Sync them all at once: the disk takes several in hardly more time than one."""
        for _ in self._disk.map(durable.sync, paths):
            pass

    def _sweep_filled(self, filled: Iterable[str]) -> None:
        """Remove the partial tiles of full, published ones: a reader of an older head reads the full tile instead."""
        for path in filled:
            partial = self._folder / f"{path}.p"
            self._folders.forget(partial)
            shutil.rmtree(partial, ignore_errors=True)

    def _sweep_all(self, size: int) -> None:
        """The same for the whole log. Files of entries that never came into the log go too, as no head reaches them."""
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


def _compare_with_checkpoint(head: Head, published: Checkpoint) -> None:
    """The signed checkpoint may be behind the state; it may not be ahead of it, nor have another root at its size."""
    if published.size > head.size:
        raise StateRolledBack(
            f"el estado de la bitácora tiene {head.size} hojas y ya se firmaron {published.size}: es una copia vieja"
        )
    if published.size == head.size and published.root != head.root:
        raise Forked(f"el estado y el punto de control tienen {head.size} hojas y raíces distintas")


class _Edge:
    """The right edge of the tree, to which entries are added: the last bundle, and the partial tile of each level."""

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
        # Level L holds one hash for each 256^L leaves. The last tile of each level is partial, or empty if it just
        # filled.
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
        """Add the entries.

        Yields path and content of each file that they need, full tiles first, then the partial ones.
        """
        changed: set[int] = set()
        at = 0
        while at < len(entries):
            # One turn fills at most the last bundle, so that each full bundle is written once.
            some = entries[at : at + WIDTH - len(self._bundle)]
            at += len(some)
            self._bundle += some
            index = self.size // WIDTH
            self.size += len(some)
            hashes = b"".join([leaf_hash(entry) for entry in some])
            if len(self._bundle) == WIDTH:
                yield self._note_full_file(tile_path(None, index), write_bundle(self._bundle))
                self._bundle = []
            yield from self._push_hashes(0, hashes, changed)
        if self._bundle:
            yield tile_path(None, self.size // WIDTH, len(self._bundle)), write_bundle(self._bundle)
        for level in sorted(changed):
            if partial := self._levels[level]:
                index = (self.size >> (8 * level)) // WIDTH
                yield tile_path(level, index, len(partial) // len(EMPTY)), partial

    def _push_hashes(self, level: int, hashes: bytes, changed: set[int]) -> Iterator[tuple[str, bytes]]:
        """Add hashes, at most as many as still fit, to the tile of a level.

        A tile that is full gives its root to the next.
        """
        if level == len(self._levels):
            self._levels.append(b"")
        self._levels[level] += hashes
        changed.add(level)
        tile = self._levels[level]
        if len(tile) == WIDTH * len(EMPTY):
            self._levels[level] = b""
            yield self._note_full_file(tile_path(level, (self.size >> (8 * level)) // WIDTH - 1), tile)
            yield from self._push_hashes(level + 1, root_of(tile), changed)

    def _note_full_file(self, path: str, content: bytes) -> tuple[str, bytes]:
        self.filled.append(path)
        return path, content

    def root(self) -> bytes:
        """The root over all entries taken, from the partial tiles of the right edge, lowest level first."""
        found = EMPTY
        for level, tile in enumerate(self._levels):
            found = tile + (root_of(found) if level and found else b"")
        return root_of(found)


# --- the disk ---------------------------------------------------------------------------------------------------------


@contextmanager
def _flocked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold a lock on that file or folder. The system drops the lock when the process ends, however it ends."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise FolderBusy("otro secuenciador tiene abierta la bitácora") from None
        yield
    finally:
        os.close(handle)
