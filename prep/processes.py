"""The processes of one machine: one installation for a data folder, children that end with it, ports that are free."""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from prep.errors import PrepError, Rejected, Unavailable, reason_of

LOCK: Final = "serve.lock"
"""In the data folder: locked while an installation runs there. It holds the process number, or nothing at its end."""
BACKLOG: Final = 2048
HOPELESS: Final = 2
"""Exit status of a part that no restart can heal."""
_DIE_WITH_PARENT: Final = 1
"""Linux: `PR_SET_PDEATHSIG` of prctl(2)."""


def exit_status(error: Exception) -> int:
    """2 if no restart can heal it; 1 if another process, or another try, may do it."""
    return 1 if isinstance(error, Unavailable) else HOPELESS


def die_with_parent() -> None:
    """On Linux, ask the kernel to end this child when its parent ends, even if the parent is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)


def dying_with(parent: int) -> Callable[[], None]:
    """`die_with_parent` for the child of `parent`, which may have ended before the child could ask."""

    def ask() -> None:
        die_with_parent()
        if sys.platform == "linux" and os.getppid() != parent:
            os._exit(1)

    return ask


def give_back_memory() -> None:
    """Give the system the memory that this process has freed. The C library keeps it for later; glibc can be asked."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a child this signal, or nothing if it has ended.

    It can end at any moment, also between a look at it and the signal: asyncio then raises.
    """
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


class Holding:
    """The lock of a data folder, held by this process and by its heir."""

    def __init__(self, lock: int) -> None:
        self._lock = lock

    def is_ending(self) -> None:
        """From now on a new installation waits for the end of this one, and is not refused."""
        os.ftruncate(self._lock, 0)


@contextmanager
def holding(folder: Path, at_the_end: Callable[[], None]) -> Iterator[Holding]:
    """Hold the data folder. `at_the_end` is called after this block, even if this process is killed in it.

    Call it before the first thread starts: the heir, which makes that call, is a fork of this process. It keeps the
    lock until the call is done, so a new installation never meets what the old one left running. Raises Rejected if
    another installation holds the folder.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    _take(lock, folder)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    # No child but the heir has an end of this pipe: `exec` closes it. So the pipe ends when this process ends.
    alive, end = os.pipe()
    heir = os.fork()
    if heir == 0:
        os.close(end)
        _inherit(alive, lock, at_the_end)
    try:
        yield Holding(lock)
    finally:
        os.close(end)
        os.waitpid(heir, 0)
        os.close(lock)
        os.close(alive)


def _take(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if holder := os.pread(lock, 20, 0).decode():
            raise Rejected(f"la carpeta {folder} ya la usa otro «prep serve»: el proceso {holder}") from None
        print(f"prep: se espera a que termine el «prep serve» anterior de {folder}", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)
    os.ftruncate(lock, 0)


def _inherit(alive: int, lock: int, at_the_end: Callable[[], None]) -> None:
    """The heir: wait until the parent has ended, make the last call, and end."""
    # Ctrl-C and a stop of the service reach every process of the group: the heir must outlive its parent.
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        os.read(alive, 1)
        os.ftruncate(lock, 0)
        at_the_end()
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
    finally:
        os._exit(0)  # the rest of the program belongs to the parent


def close_to_others(folder: Path, *, public: Path) -> None:
    """Take every right of other users away from the data folder and from each folder and file in it.

    `public`, and the folders that lead to it, stay open: a web server reads there. Files and folders of another user
    stay as they are. What this process and its children make from now on is for this user alone, unless they say
    otherwise.
    """
    os.umask(0o077)
    opened = {public.resolve(), *public.resolve().parents}
    for path in (folder, *folder.iterdir()):
        if path.resolve() not in opened and not path.is_symlink() and path.stat().st_uid == os.geteuid():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one. Raises Rejected if this process cannot have the port."""
    with contextlib.ExitStack() as undone:
        try:
            [(family, *_, address), *_] = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            opened = undone.enter_context(socket.socket(family, socket.SOCK_STREAM))
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(address)
            opened.listen(BACKLOG)
        except OSError as error:
            raise Rejected(f"no se puede abrir el puerto {port} de {host}: {reason_of(error)}") from None
        undone.pop_all()
        return opened
