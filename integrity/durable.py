"""What is on the disk for good: write, fsync, link and rename, in one file for everybody who must not lose a byte.

A file is durable if its bytes and its name are. `sync` of the file keeps its bytes, `sync` of its folder keeps its
name. Each function says what is true if we stop in the middle of it: the process killed, or the power cut.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

_NAMELESS: Final = getattr(os, "O_TMPFILE", 0)


def sync(path: Path) -> None:
    """On return: the bytes of this file, or the names in this folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, content: bytes) -> None:
    """On return the bytes are durable; the name is once its folder is synced.

    Stopped: any part of the file may be there. So write to a name that nobody reads yet.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def create(path: Path, content: bytes, *, mode: int) -> None:
    """`write` of a new file, never over another. Raises FileExistsError. Stopped: part of it may be there."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def swap(path: Path, content: bytes, *, fresh: Path) -> None:
    """All of the old file or all of the new, for every reader. Nothing is synced: a power cut may lose it, or empty it.

    For what is made again after a start. `fresh` is a name on the same file system, and the caller's alone.
    """
    fresh.write_bytes(content)
    fresh.replace(path)


def replace(path: Path, content: bytes, *, fresh: Path) -> None:
    """The same, durable on return. Stopped, even by a power cut: all of the old file or all of the new."""
    write(fresh, content)
    fresh.replace(path)
    sync(path.parent)


def link(source: Path, path: Path) -> bool:
    """Give a whole file its name, once: False where that name is taken. Sync its folder, also after False.

    Stopped: the name is there with all of its bytes, or is not there.
    """
    sync(source)
    try:
        os.link(source, path)
    except FileExistsError:
        return False
    return True


def put(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """A new file, whole and durable on return. Raises FileExistsError: of several who put it, the first wins.

    Stopped: nothing is to be seen in the folder, or all of the file: it has no name until its bytes are durable.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            _link_nameless(folder, path, content, mode)
        finally:  # also where another was first: whoever reads that file relies on its name
            os.fsync(folder)
    finally:
        os.close(folder)


def _link_nameless(folder: int, path: Path, content: bytes, mode: int) -> None:
    source = ""
    try:
        handle = os.open(path.parent, _NAMELESS | os.O_WRONLY, mode) if _NAMELESS else -1
    except OSError:
        handle = -1
    if handle < 0:  # some file systems have no files without a name
        source = f".{path.name}.{secrets.token_hex(4)}"
        handle = os.open(source, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
            # Given a folder's handle, the link to /proc is followed to the file.
            origin = f"/proc/self/fd/{handle}" if not source else str(path.parent / source)
            os.link(origin, path.name, dst_dir_fd=folder)
    finally:
        if source:
            with suppress(FileNotFoundError):
                os.unlink(source, dir_fd=folder)


class Folders:
    """Makes the folders under `root` as they are needed, and syncs each name once in this process."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._durable: set[Path] = set()

    def make(self, folder: Path) -> None:
        """On return the folder is there and its name is durable."""
        if folder in self._durable or folder == self._root:
            return
        self.make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)
        self._durable.add(folder)

    def forget(self, folder: Path) -> None:
        """Of a folder that is removed: the next `make` makes it again."""
        self._durable.discard(folder)
