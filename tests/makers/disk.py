"""A disk that forgets: the writes of a real process, and how much of them a power cut would take now.

The process runs under strace. From the system calls, this keeps two facts: the files with bytes that no fsync followed,
and the names that no fsync of their folder followed. Both are lost with the power. The file system of this machine may
keep them by luck; a test must not depend on that.
"""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.makers.programs import missing, program

_WRITES: Final = ("write", "writev", "pwrite64", "sendto", "sendmsg", "sendfile", "copy_file_range", "ftruncate")
_CALLS: Final = (*_WRITES, "open", "openat", "creat", "mkdir", "mkdirat", "link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "fsync", "fdatasync")  # fmt: skip
_SHOWN: Final = 400
"""Bytes of each write in the trace: the first line of an answer, the first words of a statement."""

_LINE: Final = re.compile(r"(\d+) +(\w+)\((.*)")
_RESUMED: Final = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)")
_PATHS: Final = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
"""The paths of a call, each with the folder that it is relative to, if the call names one."""
_HANDLE: Final = re.compile(r"\d+<([^>]*)>")


@dataclass(eq=False)
class _Bytes:
    """The content of a file, which may have several names."""

    synced: bool = True


@dataclass
class Disk:
    """The writes so far, as far as the trace has been read."""

    files: dict[str, _Bytes] = field(default_factory=dict)
    forgettable: set[str] = field(default_factory=set)
    """Names that a power cut would take."""

    def lost(self, path: Path, *, below: Path) -> list[str]:
        """The parts of `path` that a power cut would take: its bytes, its name, a folder above it. `below` is safe."""
        if str(path) not in self.files:
            return [f"{path} was never written"]
        held = [] if self.files[str(path)].synced else [f"bytes of {path}"]
        above = [each for each in (path, *path.parents) if each.is_relative_to(below) and each != below]
        return held + [f"name of {each}" for each in above if str(each) in self.forgettable]

    def names(self, under: Path) -> list[Path]:
        """Every file below `under`."""
        return [Path(path) for path in self.files if Path(path).is_relative_to(under)]

    def take(self, call: str, said: str) -> None:
        """One call that succeeded."""
        paths = [os.path.normpath(os.path.join(base, path)) for base, path in _PATHS.findall(said)]  # noqa: PTH118  # text
        match call:
            case "fsync" | "fdatasync":
                self._note_fsync(_path_of_handle(said))
            case "open" | "openat" | "creat":
                if "O_CREAT" in said or call == "creat":
                    self._note_new_name(paths[0], self.files.get(paths[0], _Bytes()))
                if "O_TRUNC" in said and paths[0] in self.files:
                    self.files[paths[0]].synced = False
            case "mkdir" | "mkdirat":
                self.forgettable.add(paths[0])
            case "link" | "linkat":
                self._note_new_name(paths[1], self.files.get(paths[0], _Bytes()))
            case "rename" | "renameat" | "renameat2":
                self._note_rename(paths[0], paths[1])
            case "unlink" | "unlinkat" | "rmdir":
                self.files.pop(paths[0], None)
                self.forgettable.discard(paths[0])
            case _:
                written = _paths_of_handles(said)[1 if call == "copy_file_range" else 0]
                if written.startswith("/"):
                    self.files.setdefault(written, _Bytes()).synced = False

    def _note_new_name(self, path: str, content: _Bytes) -> None:
        if path not in self.files:
            self.forgettable.add(path)
        self.files[path] = content

    def _note_fsync(self, path: str) -> None:
        if path in self.files:
            self.files[path].synced = True
        self.forgettable = {each for each in self.forgettable if os.path.dirname(each) != path}  # noqa: PTH120  # text

    def _note_rename(self, old: str, new: str) -> None:
        def moved(path: str) -> str:
            return new + path[len(old) :] if path == old or path.startswith(f"{old}/") else path

        self.files = {moved(path): content for path, content in self.files.items()}
        self.forgettable = {moved(path) for path in self.forgettable} | {new}


def _paths_of_handles(said: str) -> list[str]:
    return [path.removesuffix(" (deleted)") for path in _HANDLE.findall(said)] or [""]


def _path_of_handle(said: str) -> str:
    return _paths_of_handles(said)[0]


@dataclass
class Traced:
    """A process and the trace of it."""

    process: asyncio.subprocess.Process
    trace: Path

    @property
    def pid(self) -> int:
        """Of the process itself; strace is its parent."""
        return int(self.trace.read_text("utf-8").split(maxsplit=1)[0])

    def calls(self) -> Iterator[tuple[str, str, bool]]:
        """Name, arguments, and whether the call has ended; a call that others interrupted is told when it begins too."""
        begun: dict[str, str] = {}
        for line in self.trace.read_text("utf-8", errors="replace").splitlines():
            if resumed := _RESUMED.match(line):
                pid, call, rest = resumed.groups()
                said = begun.pop(pid, "") + rest
            elif started := _LINE.match(line):
                pid, call, said = started.groups()
                yield call, said, False
                if "<unfinished ...>" in said:
                    begun[pid] = said.replace("<unfinished ...>", "")
                    continue
            else:
                continue
            if not re.search(r"= -1 E\w+ \(.*\)$|= \?$", said):
                yield call, said, True

    def at(self, words: str) -> Iterator[Disk]:
        """The disk at each moment at which the process began to send bytes with `words` in them."""
        disk = Disk()
        for call, said, ended in self.calls():
            if not ended:
                if call in _WRITES and words in said and not _path_of_handle(said).startswith("/"):
                    yield disk
            else:
                disk.take(call, said)


def can_trace() -> str:
    """strace, if it may trace on this machine. Else the test is skipped with the reason; in CI it fails."""
    strace = program("strace", "strace")
    tried = subprocess.run([strace, "-f", "--seccomp-bpf", "-o", "/dev/null", "true"], check=False, capture_output=True)
    if tried.returncode:
        missing(f"strace may not trace here: {tried.stderr.decode(errors='replace').strip()}")
    return strace


@asynccontextmanager
async def traced(command: Sequence[str], trace: Path, environment: dict[str, str]) -> AsyncIterator[Traced]:
    """Run the program under strace inside this context."""
    strace = [can_trace(), "-f", "-y", "--seccomp-bpf", "-qq", "-s", str(_SHOWN), "-o", str(trace)]
    process = await asyncio.create_subprocess_exec(
        *strace, "-e", f"trace={','.join(f'?{call}' for call in _CALLS)}", *command, env=environment
    )
    made = Traced(process, trace)
    try:
        yield made
    finally:
        if process.returncode is None:
            os.kill(made.pid, signal.SIGTERM)
            await process.wait()
