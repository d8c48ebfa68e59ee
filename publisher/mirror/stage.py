"""The two trees of a mirror on its disk: the one that is shown, and the next one beside it.

They share their files (hard links). A link says which one is shown, and it moves in one step.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Final

from integrity import durable
from integrity.log.note import Checkpoint, read_checkpoint
from integrity.log.tiles import CHECKPOINT
from integrity.tree.documents import read_index

LIVE: Final = "publico"
_TREES: Final = ("a", "b")
LOG: Final = "bitacora"
INDEX: Final = "index.json"
SUMS: Final = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class HeldTree:
    """The tree that is shown, as far as the next one is compared with it."""

    root: Path
    index: bytes
    corte: int
    checkpoint: Checkpoint | None


@dataclass
class Stage:
    """The next tree: the files of the shown one, and the new ones."""

    root: Path
    held: HeldTree | None
    wanted: set[str] = field(default_factory=set)
    """Paths that are new, or written again."""
    gone: set[str] = field(default_factory=set)
    """Paths that the origin took away."""
    folders: set[Path] = field(default_factory=set)
    """Folders whose names are not durable yet."""

    def has(self, path: str) -> bool:
        """Whether the shown tree has the file. Then it was verified, and this tree has the same file by a link."""
        return self.held is not None and (self.held.root / path).exists()

    def place(self, path: str) -> Path:
        """The path of a file in this tree; its folder is made."""
        self.wanted.add(path)
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self.folders.add(target.parent)
        return target

    def put(self, path: str, content: bytes) -> None:
        """Write a file: first under a new name, because the old name may be a link to a file of the shown tree."""
        target = self.place(path)
        # The name is the digest of the path, so that two writes at once never meet.
        fresh = self.root / f".{sha256(path.encode()).hexdigest()}"
        durable.write(fresh, content)
        fresh.replace(target)

    def put_if_new(self, path: str, content: bytes) -> None:
        """Write the file only if the tree has another one, or none."""
        if not self.has(path) or (self.root / path).read_bytes() != content:
            self.put(path, content)

    def settle(self) -> bool:
        """Remove files of an earlier look that no corte names now. Whether this tree differs from the shown one."""
        held = set(_files_below(self.held.root)) if self.held else set()
        keep = (held | self.wanted) - self.gone
        # A partial tile is not needed any more once its full tile is there.
        filled = {path.partition(".p/")[0] for path in keep if ".p/" in path} & keep
        for path in list(_files_below(self.root)):
            if path not in keep or (".p/" in path and path.partition(".p/")[0] in filled):
                (self.root / path).unlink()
                self.folders.add((self.root / path).parent)
        # Empty folders go too: the verifier would find them strange.
        for folder, _, _ in list(os.walk(self.root, topdown=False)):
            with contextlib.suppress(OSError):  # it is not empty
                Path(folder).rmdir() if Path(folder) != self.root else None
        return bool(self.wanted or self.gone & held)

    def make_durable(self) -> None:
        """Sync every folder in which a name changed. Files are synced when they are written."""
        folders = {
            each for folder in self.folders for each in (folder, *folder.parents) if each.is_relative_to(self.root)
        }
        for folder in sorted(each for each in folders if each.is_dir()):
            durable.sync(folder)
        durable.sync(self.root.parent)


def held_in(folder: Path) -> HeldTree | None:
    """The tree that is shown; None before the first one."""
    link = folder / LIVE
    if not link.is_symlink():
        return None
    root = link.resolve()
    index = (root / INDEX).read_bytes()
    path = root / LOG / CHECKPOINT
    # This tree was verified before it was shown, so reading it cannot fail for its content.
    checkpoint = read_checkpoint(path.read_bytes()) if path.exists() else None
    return HeldTree(root, index, read_index(index)["corte"], checkpoint)


def stage_beside(folder: Path, held: HeldTree | None) -> Stage:
    """The other tree, with all files of the shown one."""
    trees = folder / "arboles"
    name = next(each for each in _TREES if held is None or held.root.name != each)
    stage = Stage(trees / name, held)
    _link_tree(held.root if held else None, stage.root)
    return stage


def _link_tree(source: Path | None, target: Path) -> None:
    """Link every file of the shown tree into the other one, in one step for each name."""
    target.mkdir(parents=True, exist_ok=True)
    for path in _files_below(source) if source is not None else ():
        assert source is not None
        theirs, ours = source / path, target / path
        if ours.exists() and ours.samefile(theirs):
            continue
        # A link under another name first: the old file may still be open in a reader.
        ours.parent.mkdir(parents=True, exist_ok=True)
        fresh = target / ".enlace"
        fresh.unlink(missing_ok=True)
        os.link(theirs, fresh)
        fresh.replace(ours)
        fresh.unlink(missing_ok=True)


def _files_below(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        inside = os.path.relpath(folder, root)
        for name in names:
            yield name if inside == "." else f"{inside}/{name}"


def switch(folder: Path, stage: Stage) -> None:
    """Show that tree, in one step. If we stop before the rename, the old tree is shown."""
    fresh = folder / f".{LIVE}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path("arboles") / stage.root.name)
    fresh.replace(folder / LIVE)
    durable.sync(folder)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
