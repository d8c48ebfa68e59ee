"""The log's one writer: entries become leaves, once, and a tree head is signed only if it continues the last.

    entries ─► journal (one write, one fsync) ─► tiles ─► root recomputed from files ─► state swapped
    ─► signed, cosigned ─► renamed ─► swept

A batch is durable once it is in the journal. Its tiles are files like any other: the system writes them to the disk
when it likes, and after a power cut the next run makes them again from the journal. From time to time all of them are
synced, and a new journal begins.

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
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from struct import Struct
from typing import Final, Protocol, Self
from zlib import crc32

from integrity import durable
from integrity.leaves import LONGEST_ENTRY
from integrity.log.merkle import EMPTY, NotProven, check_consistency, root_of
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
    WIDTH,
    Differs,
    Misshapen,
    Tiles,
    check_tiles,
    read_bundle,
    read_path,
    tile_path,
    write_bundle,
)
from integrity.source import Folder, Missing, SourceError
from integrity.sums import Malformed

STEPS: Final = ("files", "recompute", "state", "witnesses", "checkpoint", "sweep")
"""The parts of an append, in this order."""
_SCRATCH: Final = ".tmp"
_JOURNAL: Final = f"{_SCRATCH}/diario"
_LONGEST_JOURNAL: Final = 32 << 20
"""Bytes. A longer one is closed: its files are synced, which costs as much as the files are many."""
_FEW: Final = 50
"""Files that are synced one by one, and not with everything that other programs have written."""
_RECORD: Final = Struct(">4sQQI")
"""Of the journal, before each record: its kind, the leaves before it, its length, its CRC-32."""
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
        # The lock is a file of its own: the state file itself is replaced by a rename, and a lock on it would be lost.
        self._lock = path.with_name(path.name + ".lock")
        self._fresh = path.with_name(path.name + ".tmp")

    def read(self) -> Head | None:
        try:
            size, root = self._path.read_text("ascii").removesuffix("\n").split("\n")
            return Head(read_decimal(size, "un tamaño"), read_hash(root))
        except FileNotFoundError:
            return None
        except (Malformed, ValueError):
            raise StateRolledBack(f"el estado de la bitácora, {self._path.name}, está dañado") from None

    def swap(self, expected: Head | None, new: Head) -> bool:
        if not self._lock.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.touch()
        with _flocked(self._lock, wait=True):
            if self.read() != expected:
                return False
            durable.replace(self._path, f"{new.size}\n{to_base64(new.root)}\n".encode(), fresh=self._fresh)
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
        self._made: set[str] = set()
        """Folders that are known to exist."""
        self._stopped = False
        self._disk = ThreadPoolExecutor(_AT_ONCE)
        folder.mkdir(parents=True, exist_ok=True)
        durable.sync(folder.parent)
        self._lock = _flocked(folder, wait=False)
        self._lock.__enter__()
        try:
            self._source = Folder(folder)
            self._source.threads = 1  # a batch is a few small files: to start threads would cost more than to read them
            self._journal: _Journal | None = None
            self._unsynced: set[str] = set()
            self._edge = self._check_and_finish()
        except BaseException:
            self._let_go()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Sync every file, stop the threads of the disk, and give the folder back to other sequencers."""
        try:
            # After an append that failed in the middle the journal stays: the next run reads it.
            if not self._stopped:
                self._close_journal()
                with suppress(OSError):
                    (self._folder / _SCRATCH).rmdir()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self._journal is not None:
            self._journal.close()
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
        # If we stop in here, the state does not reach the entries: the next run drops their record in the journal, and
        # writes over their files or sweeps them away.
        with self._step("files"):
            journal = self._journal
            if journal is None or journal.size > _LONGEST_JOURNAL:
                self._close_journal()
                journal = self._begin_journal()
            framed = [len(entry).to_bytes(2, "big") + entry for entry in entries]
            journal.add(_LOTE, edge.size, b"".join(framed))
            for path, content in edge.take(framed):
                self._write_tile(path, content)
        # The journal is durable. If we stop here, or files differ from our memory, the entries are not in the log.
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
        self._finish_journal(head)
        # Files in the scratch folder have no published name, so no reader and no head needs them.
        shutil.rmtree(self._folder / _SCRATCH, ignore_errors=True)
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
        """Every reader sees the old one or this one. A power cut may bring the old one back; the next run signs this
        head again, because the state has it.
        """
        fresh = self._folder / _SCRATCH / CHECKPOINT
        fresh.parent.mkdir(exist_ok=True)
        durable.write(fresh, content)
        fresh.replace(self._folder / CHECKPOINT)

    # --- files --------------------------------------------------------------------------------------------------------

    def _begin_journal(self) -> "_Journal":
        scratch = self._folder / _SCRATCH
        scratch.mkdir(exist_ok=True)
        self._journal = journal = _Journal(self._folder / _JOURNAL)
        journal.add(_BORDE, self._edge.size, self._edge.to_bytes())
        durable.sync(scratch)
        durable.sync(self._folder)
        return journal

    def _close_journal(self) -> None:
        """Sync every file since the journal began, then drop it. If we stop, the next run does this again."""
        if len(self._unsynced) < _FEW or not durable.sync_file_system(self._folder):
            self._sync_all(self._unsynced)
            # The names too, and the folders' own. A partial tile that was swept away is needed by no head.
            folders = {folder.as_posix() for path in self._unsynced for folder in PurePosixPath(path).parents}
            self._sync_all(folders)
        self._unsynced.clear()
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        (self._folder / _JOURNAL).unlink(missing_ok=True)

    def _finish_journal(self, head: Head) -> None:
        """Make the files again that a power cut has lost. If we stop, the next run does this again.

        The journal adds no leaf: what the state does not have stays out, and all files are recomputed afterwards.
        """
        records = _read_journal(self._folder / _JOURNAL)
        kind, size, content = next(records, (b"", 0, b""))
        with suppress(Misshapen, IndexError):  # then the files must be whole without it
            edge = _Edge.from_bytes(size, content) if kind == _BORDE else None
            for _, start, bundle in records if edge else ():
                entries = read_bundle(bundle)
                if edge is None or start != edge.size or start + len(entries) > head.size:
                    break
                for path, tile in edge.take([write_bundle([entry]) for entry in entries]):
                    self._write_again(path, tile)
        records.close()
        self._close_journal()

    def _write_tile(self, path: str, content: bytes) -> None:
        """Write a file that no checkpoint reaches yet; the journal makes it again if a power cut takes it."""
        self._make_folder(path)
        self._unsynced.add(path)
        try:
            handle = os.open(f"{self._folder}/{path}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:  # left by a run that stopped
            self._write_again(path, content)
            return
        with os.fdopen(handle, "wb") as file:
            file.write(content)

    def _write_again(self, path: str, content: bytes) -> None:
        """Write a file that readers may have open: they see all of the old one or all of this one."""
        final = self._folder / path
        self._unsynced.add(path)
        with suppress(OSError):
            if not final.is_symlink() and final.read_bytes() == content:
                return
        self._make_folder(path)
        fresh = self._folder / _SCRATCH / "otra"
        fresh.parent.mkdir(exist_ok=True)
        durable.replace(final, content, fresh=fresh)

    def _make_folder(self, path: str) -> None:
        folder = path.rpartition("/")[0]
        if folder not in self._made:
            (self._folder / folder).mkdir(parents=True, exist_ok=True)
            self._made.add(folder)

    def _sync_all(self, paths: Iterable[str]) -> None:
        """Sync them all at once: the disk takes several in hardly more time than one. Swept ones are gone."""

        def sync(some: Sequence[str]) -> None:
            for path in some:
                with suppress(FileNotFoundError):
                    durable.sync(f"{self._folder}/{path}")

        every = [*paths]
        for _ in self._disk.map(sync, (every[n::_AT_ONCE] for n in range(_AT_ONCE))):
            pass

    def _sweep_filled(self, filled: Iterable[str]) -> None:
        """Remove the partial tiles of full, published ones: a reader of an older head reads the full tile instead."""
        for path in filled:
            partial = self._folder / f"{path}.p"
            self._made.discard(f"{path}.p")
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
        """Tiles and bundles that were partial before the last entries taken, and are full."""
        self._partial: set[int | None] = set()
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
        return cls(head, [write_bundle([entry]) for entry in bundle], levels)

    def to_bytes(self) -> bytes:
        """For the journal: the last bundle and the tiles, each after its length. The head is not in it."""
        parts = (b"".join(self._bundle), *self._levels)
        return b"".join([len(part).to_bytes(4, "big") + part for part in parts])

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> "_Edge":
        parts, at = [], 0
        while at < len(data):
            start = at + 4
            at = start + int.from_bytes(data[at:start], "big")
            parts.append(data[start:at])
        bundle = read_bundle(parts[0], size % WIDTH)
        return cls(Head(size, EMPTY), [write_bundle([entry]) for entry in bundle], parts[1:])

    def settle(self, head: Head) -> None:
        self.head = head
        self.filled = []

    def take(self, framed: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """Add entries, each as it stands in a bundle, after its length.

        Yields path and content of each file that they need, full tiles first, then the partial ones.
        """
        changed: set[int] = set()
        self._partial = {level for level, tile in enumerate(self._levels) if tile} | ({None} if self._bundle else set())
        at = 0
        while at < len(framed):
            # One turn fills at most the last bundle, so that each full bundle is written once.
            some = framed[at : at + WIDTH - len(self._bundle)]
            at += len(some)
            self._bundle += some
            index = self.size // WIDTH
            self.size += len(some)
            hashes = b"".join([sha256(b"\0" + each[2:]).digest() for each in some])
            if len(self._bundle) == WIDTH:
                yield self._note_full_file(None, index), b"".join(self._bundle)
                self._bundle = []
            yield from self._push_hashes(0, hashes, changed)
        if self._bundle:
            yield tile_path(None, self.size // WIDTH, len(self._bundle)), b"".join(self._bundle)
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
            yield self._note_full_file(level, (self.size >> (8 * level)) // WIDTH - 1), tile
            yield from self._push_hashes(level + 1, root_of(tile), changed)

    def _note_full_file(self, level: int | None, index: int) -> str:
        path = tile_path(level, index)
        if level in self._partial:  # the first that fills; the next ones were never partial
            self._partial.discard(level)
            self.filled.append(path)
        return path

    def root(self) -> bytes:
        """The root over all entries taken, from the partial tiles of the right edge, lowest level first."""
        found = EMPTY
        for level, tile in enumerate(self._levels):
            found = tile + (root_of(found) if level and found else b"")
        return root_of(found)


# --- the disk ---------------------------------------------------------------------------------------------------------

_BORDE: Final = b"BRDE"
_LOTE: Final = b"LOTE"


class _Journal:
    """One file: the edge of the tree as it stood, then every batch. Each is one write and one fsync."""

    def __init__(self, path: Path) -> None:
        self.size = 0
        self._file = path.open("wb", buffering=0)

    def add(self, kind: bytes, start: int, content: bytes) -> None:
        """Add what follows the leaf `start`; durable on return. If we stop, the record is whole or does not count."""
        record = _RECORD.pack(kind, start, len(content), crc32(content)) + content
        durable.append(self._file, record)
        self.size += len(record)

    def close(self) -> None:
        self._file.close()


def _read_journal(path: Path) -> Generator[tuple[bytes, int, bytes], None, None]:
    """Kind, start and content of each record; nothing without a journal. A record that was cut ends it.

    The CRC-32 shows a cut one. Nothing else is believed of the journal: the files that it gives are recomputed against
    the state.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        while len(head := file.read(_RECORD.size)) == _RECORD.size:
            kind, start, length, code = _RECORD.unpack(head)
            content = file.read(min(length, path.stat().st_size))
            if len(content) != length or crc32(content) != code:
                return
            yield kind, start, content


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
