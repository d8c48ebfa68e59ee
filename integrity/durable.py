"""Files that must survive: write, fsync, link and rename, in one place for every program that may not lose a byte.

A file is durable if its bytes and its name are. `sync` of the file keeps its bytes, `sync` of its folder keeps its
name. Each docstring says what a reader finds if we stop in the middle: the process killed, or the power cut.
"""

import fcntl
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Final

_NAMELESS: Final = getattr(os, "O_TMPFILE", 0)


def sync(path: Path | str) -> None:
    """On return: the bytes of this file, or the names in this folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file_system(path: Path) -> bool:
    """Linux: all bytes and names of the file system that holds this folder survive a power cut (syncfs(2)).

    For hundreds of files it is one wait instead of hundreds. False on other systems: then it has done no work.
    """
    import ctypes  # noqa: PLC0415  # a verifier syncs nothing

    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        return False
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if syncfs(handle):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    finally:
        os.close(handle)
    return True


def write(path: Path, content: bytes) -> None:
    """On return the bytes are durable; the name is durable once its folder is synced.

    If we stop, any part of the file may be there. So write to a name that no program reads yet.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def append(file: IO[bytes], content: bytes) -> None:
    """Write at the end of a file that was opened without a buffer; durable on return. If we stop, a part may be there.

    The reader must see by itself where the last whole record ends.
    """
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def create(path: Path, content: bytes, *, mode: int) -> None:
    """`write` of a new file, never over another. Raises FileExistsError. If we stop, a part of it may be there."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def swap(path: Path, content: bytes, *, fresh: Path, keep_old: bool = False) -> None:
    """Replace a file: every reader sees all of the old one or all of the new one. It is not synced.

    A power cut may lose the file, or empty it: use this for files that a start makes again. `fresh` is a name on the
    same file system that only the caller uses. If we stop, it may still be there. `keep_old`: the old file may stay
    under that name. Who replaces thousands of files removes the old ones at the end: ext4 gives no new file the number
    of one that was just removed, and looks at each of these when it makes a file. Then `fresh` is a new name each time.
    """
    if not keep_old:
        # If an earlier call stopped, `fresh` can be the file that it replaced, and a reader may still have that open.
        fresh.unlink(missing_ok=True)
    with fresh.open("xb") as file:
        file.write(content)
    if not _exchange(fresh, path):
        fresh.replace(path)
    elif not keep_old:
        fresh.unlink()


def _exchange(one: Path, other: Path) -> bool:
    """Linux: let two files change names in one step (RENAME_EXCHANGE of rename(2)). False: they keep their names.

    ext4 starts to write a file to the disk if it takes the name of another one, and waits if the disk has much to do:
    up to 36 ms a file. It does not for an exchange.
    """
    renameat2 = _renameat2()
    here = -100  # AT_FDCWD: a path is meant from the working folder
    return renameat2 is not None and renameat2(here, os.fsencode(one), here, os.fsencode(other), 2) == 0


@cache
def _renameat2() -> Callable[..., int] | None:
    import ctypes  # noqa: PLC0415  # a verifier swaps nothing

    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), "renameat2", None)
    return found


def replace(path: Path, content: bytes, *, fresh: Path) -> None:
    """`swap`, durable on return. If we stop, even by a power cut: all of the old file or all of the new one."""
    write(fresh, content)
    fresh.replace(path)
    sync(path.parent)


def link(source: Path, path: Path) -> bool:
    """Give a whole file its name, once. Returns False if the name is taken. Sync the folder afterwards in both cases.

    If we stop, the name is there with all of its bytes, or it is not there.
    """
    sync(source)
    try:
        os.link(source, path)
    except FileExistsError:
        return False
    return True


def _write_all(handle: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]


_CLONE: Final = 0x40049409
"""Linux: the request FICLONE of ioctl(2)."""


def copy(source: Path, path: Path, *, synced: bool = True) -> None:
    """Write a new file with the bytes of another one, durable on return; its name is durable once its folder is synced.

    The two share no byte that a writer could change: where the file system can, they share blocks until one is written
    (FICLONE), which costs no room and little time. If we stop, any part of the new file may be there. Without `synced`
    it is not durable: the caller has many files, and syncs them together. Raises FileNotFoundError if there is no
    source, FileExistsError if the name is taken.
    """
    there = os.open(source, os.O_RDONLY)
    try:
        here = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            try:
                fcntl.ioctl(here, _CLONE, there)
            except OSError:  # another file system, or one that cannot share blocks
                while block := os.read(there, 1 << 20):
                    _write_all(here, block)
            if synced:
                os.fsync(here)
        finally:
            os.close(here)
    finally:
        os.close(there)


def put(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a new file, whole and durable on return. Raises FileExistsError: of several writers the first wins.

    If we stop, the folder shows no file or the whole file: the file has no name until its bytes are durable.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            _link_nameless(folder, path, content, mode)
        finally:  # also if another writer was first: our caller will rely on that file's name
            os.fsync(folder)
    finally:
        os.close(folder)


def _link_nameless(folder: int, path: Path, content: bytes, mode: int) -> None:
    source = ""
    try:
        # A file without a name (O_TMPFILE) leaves no rest behind if we stop before it gets its name.
        handle = os.open(path.parent, _NAMELESS | os.O_WRONLY, mode) if _NAMELESS else -1
    except OSError:
        handle = -1
    if handle < 0:  # some file systems have no files without a name: use a hidden one
        source = f".{path.name}.{secrets.token_hex(4)}"
        handle = os.open(source, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
            # Because a folder's handle is given, the link follows /proc to the file itself.
            origin = f"/proc/self/fd/{handle}" if not source else str(path.parent / source)
            os.link(origin, path.name, dst_dir_fd=folder)
    finally:
        if source:
            with suppress(FileNotFoundError):
                os.unlink(source, dir_fd=folder)


class Folders:
    """Makes folders under `root` when they are needed, and syncs the name of each once in this process."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._durable: set[Path] = set()

    def make(self, folder: Path) -> None:
        """On return the folder exists and its name is durable."""
        if folder in self._durable or folder == self._root:
            return
        self.make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)
        self._durable.add(folder)

    def forget(self, folder: Path) -> None:
        """Call this for a folder that is removed: the next `make` makes it again."""
        self._durable.discard(folder)
