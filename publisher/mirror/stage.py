"""The two trees of a mirror on its disk: the one that is shown, and the one that comes to be beside it.

They share their files (hard links). Which one is shown is a link, which moves in one step.
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
    """The tree that is shown."""

    root: Path
    index: bytes
    corte: int
    checkpoint: Checkpoint | None


@dataclass
class Stage:
    """The tree that comes to be: what belongs in it, beside what the held tree has."""

    root: Path
    held: HeldTree | None
    wanted: set[str] = field(default_factory=set)
    """Paths that are new, or written again."""
    folders: set[Path] = field(default_factory=set)
    """Whose names are not durable yet."""

    def has(self, path: str) -> bool:
        """Whether the tree that is shown has it: then it was verified, and this tree has the very same."""
        return self.held is not None and (self.held.root / path).exists()

    def place(self, path: str) -> Path:
        """Where a file of this tree goes, its folder made."""
        self.wanted.add(path)
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self.folders.add(target.parent)
        return target

    def put(self, path: str, content: bytes) -> None:
        """Under a new name first: the old one may be a link to the file of the tree that is shown."""
        target = self.place(path)
        fresh = self.root / f".{sha256(path.encode()).hexdigest()}"
        durable.write(fresh, content)
        fresh.replace(target)

    def put_if_new(self, path: str, content: bytes) -> None:
        if not self.has(path) or (self.root / path).read_bytes() != content:
            self.put(path, content)

    def settle(self) -> bool:
        """Away with what an earlier look left and nothing names now; whether this tree differs from the one shown."""
        held = set(_files(self.held.root)) if self.held else set()
        keep = held | self.wanted
        filled = {path.partition(".p/")[0] for path in keep if ".p/" in path} & keep
        for path in list(_files(self.root)):
            if path not in keep or (".p/" in path and path.partition(".p/")[0] in filled):
                (self.root / path).unlink()
                self.folders.add((self.root / path).parent)
        for folder, _, _ in list(os.walk(self.root, topdown=False)):
            with contextlib.suppress(OSError):  # it is not empty
                Path(folder).rmdir() if Path(folder) != self.root else None
        return bool(self.wanted)

    def make_durable(self) -> None:
        folders = {
            each for folder in self.folders for each in (folder, *folder.parents) if each.is_relative_to(self.root)
        }
        for folder in sorted(each for each in folders if each.is_dir()):
            durable.sync(folder)
        durable.sync(self.root.parent)


def held_in(folder: Path) -> HeldTree | None:
    """The tree that is shown; None before the first."""
    link = folder / LIVE
    if not link.is_symlink():
        return None
    root = link.resolve()
    index = (root / INDEX).read_bytes()
    path = root / LOG / CHECKPOINT
    checkpoint = read_checkpoint(path.read_bytes()) if path.exists() else None
    return HeldTree(root, index, read_index(index)["corte"], checkpoint)


def stage_beside(folder: Path, held: HeldTree | None) -> Stage:
    """The other tree, with everything that the one shown has."""
    trees = folder / "arboles"
    name = next(each for each in _TREES if held is None or held.root.name != each)
    stage = Stage(trees / name, held)
    _link_tree(held.root if held else None, stage.root)
    return stage


def _link_tree(source: Path | None, target: Path) -> None:
    """Every file of the tree that is shown, in the other one too: the same file, or a link to it put in its place."""
    target.mkdir(parents=True, exist_ok=True)
    for path in _files(source) if source is not None else ():
        assert source is not None
        theirs, ours = source / path, target / path
        if ours.exists() and ours.samefile(theirs):
            continue
        ours.parent.mkdir(parents=True, exist_ok=True)
        fresh = target / ".enlace"
        fresh.unlink(missing_ok=True)
        os.link(theirs, fresh)
        fresh.replace(ours)
        fresh.unlink(missing_ok=True)


def _files(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        inside = os.path.relpath(folder, root)
        for name in names:
            yield name if inside == "." else f"{inside}/{name}"


def switch(folder: Path, stage: Stage) -> None:
    """Show that tree, in one step."""
    fresh = folder / f".{LIVE}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path("arboles") / stage.root.name)
    fresh.replace(folder / LIVE)
    durable.sync(folder)


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
