"""The faults of a chaos night: their schedule, which the seed alone decides, and the code that brings and heals them.

The form of a fault depends on the machine. Network cuts and a full disk need namespaces of our own (`load_tests.chaos`
enters them); a jumping clock needs libfaketime. If one is missing, the fault takes another form, and `form` says so.
This code never touches the firewall, the mounts or the clock of the machine itself.
"""

import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import psutil

from prep.errors import PrepError
from prep.processes import die_with_parent
from prep.rehearsal.installation import NightPlace, order
from prep.settings import Part

NODES: Final = 3
APPEARS: Final = 20.0
"""A part that is starting must be there after this many seconds."""
FAKETIME: Final = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")
CLOCKED: Final = """import os, select, sys, time

clocks, preload, parts = {clocks!r}, {preload!r}, {parts!r}
if os.environ.get("LD_PRELOAD") == preload:
    time.sleep = lambda seconds: select.select([], [], [], seconds) and None
elif sys.orig_argv[1:2] == ["-m"] and sys.orig_argv[3:4] and sys.orig_argv[3] in parts:
    said = ("FAKETIME_CACHE_DURATION", "FAKETIME_DONT_FAKE_MONOTONIC", "DONT_FAKE_MONOTONIC", "NO_FAKE_STAT")
    own = os.path.join(clocks, sys.orig_argv[3])
    os.environ.update(dict.fromkeys(said, "1"), LD_PRELOAD=preload, FAKETIME_TIMESTAMP_FILE=own)
    os.execv(sys.executable, sys.orig_argv)
"""
"""A sitecustomize.py that gives each part, and the programs that it starts, a clock of its own.

PostgreSQL keeps the clock of the machine: it runs as another user, who cannot open libfaketime's shared memory. Also,
libfaketime refuses the absolute clock_nanosleep with which Python sleeps, so a part with a false clock sleeps by
`select`. libfaketime reads its file once a second. Reading it at each question for the time would slow the part too
much.
"""
MIB: Final = 1024 * 1024
SLACK: Final = 4 * MIB
"""Bytes that other processes may write while we fill the disk."""
HOUR: Final = 3600


class FaultKind(StrEnum):
    """The kinds of faults. The value is the name on the score card."""

    WORKER = "muere un trabajador"
    PUBLISHER = "muere el publicador"
    CAPTURE = "muere la recepción"
    SEQUENCER = "muere el secuenciador"
    TWO_SEQUENCERS = "dos secuenciadores a la vez"
    NODE = "muere un nodo de Kafka"
    POSTGRES = "muere PostgreSQL"
    BACKEND = "muere una sesión de PostgreSQL"
    CUT_NODE = "sin red a un nodo de Kafka"
    CUT_KAFKA = "sin red a ningún nodo de Kafka"
    CUT_POSTGRES = "sin respuesta de PostgreSQL"
    DISK = "disco de imágenes lleno"
    CLOCK_AHEAD = "reloj adelantado"
    CLOCK_BACK = "reloj atrasado"


SECOND: Final = "from publisher.log.command import main; main([])"
PARTS: Final = ("capture", "worker", "publish")
KAFKA_ONLY: Final = frozenset({FaultKind.NODE, FaultKind.CUT_NODE, FaultKind.CUT_KAFKA})
MODULES: Final = {
    FaultKind.WORKER: "worker",
    FaultKind.PUBLISHER: "publish",
    FaultKind.CAPTURE: "capture",
    FaultKind.SEQUENCER: "sequencer",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    It begins after a number of uploads and not at a time, so a seed gives the same night on any machine.
    """

    kind: FaultKind
    after: int
    """It begins when this many uploads are acknowledged."""
    moment: float
    """Seconds from then to the fault, while uploads are on their way."""
    lasts: float
    """Seconds from the fault to its end. `prep serve` starts a dead part at once; a node of Kafka starts at the end."""
    node: int
    jump: int
    """Seconds by which the clock is wrong."""
    clocks: Sequence[str]
    """The parts that get the wrong clock."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"kind": self.kind.name}


def schedule(seed: int, count: int, uploads: int, *, kafka: bool) -> list[Fault]:
    """`count` faults, in the first nine tenths of the uploads. No kind comes twice before every kind has come once."""
    chance = random.Random(f"faults {seed}")
    kinds = [kind for kind in FaultKind if kafka or kind not in KAFKA_ONLY]
    deck: list[FaultKind] = []
    while len(deck) < count:
        # Like a deck of cards: each kind once in random order, then again.
        deck += chance.sample(kinds, len(kinds))
    # Each fault has a slot of uploads. The last tenth has no faults, so that the night can recover before its end.
    slot = 0.9 * uploads / count
    faults = []
    for place, kind in enumerate(deck[:count]):
        after = int((place + chance.uniform(0.2, 0.9)) * slot)
        # From 10 seconds to an hour; small and large jumps are equally likely.
        jump = int(10 * (HOUR / 10) ** chance.random())
        jump = -jump if kind is FaultKind.CLOCK_BACK else jump
        moment, lasts = round(chance.uniform(0, 0.3), 3), round(chance.uniform(1.5, 4), 3)
        node, clocks = chance.randint(1, NODES), chance.choice((PARTS, PARTS, *((part,) for part in PARTS)))
        faults.append(Fault(kind, after, moment, lasts, node, jump, clocks))
    return faults


# The means of this machine.


@dataclass(frozen=True, slots=True)
class Means:
    """The tools for faults that this machine has."""

    network: bool = False
    """nft works, in a network namespace of our own."""
    disk: bool = False
    """mount works, in a mount namespace of our own."""
    faketime: Path | None = None


def means(*, namespaces: bool) -> Means:
    """The means that this machine has. `namespaces`: this process has network and mount namespaces of its own."""
    faketime = next((path for pattern in FAKETIME for path in sorted(Path("/").glob(pattern[1:]))), None)
    return Means(namespaces and _make_firewall(), namespaces, faketime)


def _make_firewall() -> bool:
    """Make an empty firewall table of our own. False if nft is not installed or the kernel does not have it."""
    rules = "add table inet caos\nadd chain inet caos entra { type filter hook input priority 0; }\n"
    return shutil.which("nft") is not None and _run_nft("-f", "-", said=rules)


def _run_nft(*words: str, said: str = "") -> bool:
    done = subprocess.run(["nft", *words], input=said.encode(), capture_output=True, check=False)
    return done.returncode == 0


# Hands.


class Hands:
    """Bring faults to the installation at `place`, one at a time, and heal them."""

    def __init__(self, place: NightPlace, allowed: Means, *, room: int) -> None:
        """`room` is the size in bytes of the blob store's disk, if it can have a disk of its own."""
        self._place = place
        self._means = allowed
        self._clocks = place.data / "relojes"
        self._clocks.mkdir()
        self._set_clocks(PARTS, 0)
        self._data = Path(place.environment["PREP_DATA"])
        self._blobs = self._data / "blobs"
        self._room = room
        self._second: subprocess.Popen[bytes] | None = None
        """A sequencer beside the installation's own."""
        if allowed.disk:
            self._blobs.mkdir(parents=True, exist_ok=True)
            _mount_tmpfs(self._blobs, f"size={room}")

    @property
    def parts(self) -> NightPlace:
        """The same place, but parts that start in it get clocks that we control."""
        if self._means.faketime is None:
            return self._place
        said = {"clocks": str(self._clocks), "preload": str(self._means.faketime), "parts": PARTS}
        (self._clocks / "sitecustomize.py").write_text(CLOCKED.format(**said))
        before = os.pathsep.join(filter(None, (str(self._clocks), os.environ.get("PYTHONPATH"))))
        return replace(self._place, environment={**self._place.environment, "PYTHONPATH": before})

    def form(self, kind: FaultKind) -> str:
        """The form of this fault on this machine. It begins with «reemplazada» if another fault takes its place."""
        match kind:
            case FaultKind.CUT_NODE | FaultKind.CUT_KAFKA:
                return "nftables, en un espacio de red propio" if self._means.network else "SIGSTOP a sus procesos"
            case FaultKind.CUT_POSTGRES:
                return "SIGSTOP a sus procesos (socket Unix)"
            case FaultKind.DISK:
                return (
                    "tmpfs lleno" if self._means.disk else f"reemplazada: {FaultKind.CAPTURE}, aquí no se puede montar"
                )
            case FaultKind.CLOCK_AHEAD | FaultKind.CLOCK_BACK:
                return (
                    "libfaketime" if self._means.faketime else f"reemplazada: {FaultKind.PUBLISHER}, falta libfaketime"
                )
            case FaultKind.TWO_SEQUENCERS:
                return "otro proceso, que toma el relevo al morir el primero y muere después"
            case _:
                return "SIGKILL"

    async def bring(self, fault: Fault) -> None:
        """Bring the fault. When this returns, the fault has begun."""
        match fault.kind:
            case FaultKind.WORKER | FaultKind.PUBLISHER | FaultKind.CAPTURE | FaultKind.SEQUENCER:
                await self._kill_part(MODULES[fault.kind])
            case FaultKind.TWO_SEQUENCERS:
                self._start_second()
                await self._kill_part(MODULES[FaultKind.SEQUENCER])
            case FaultKind.NODE:
                await asyncio.to_thread(order, self._place, "kafka-dev", "kill", str(fault.node))
            case FaultKind.POSTGRES:
                self._postgres_processes()[0].kill()
            case FaultKind.BACKEND:
                (await self._wait_for_processes(self._postgres_backends))[-1].kill()
            case FaultKind.CUT_NODE | FaultKind.CUT_KAFKA:
                self._cut_network(self._nodes_to_cut(fault))
            case FaultKind.CUT_POSTGRES:
                _signal_all(self._postgres_processes(), signal.SIGSTOP)
            case FaultKind.DISK if self._means.disk:
                self._fill_disk()
            case FaultKind.DISK:
                await self._kill_part(MODULES[FaultKind.CAPTURE])
            case FaultKind.CLOCK_AHEAD | FaultKind.CLOCK_BACK if self._means.faketime:
                self._set_clocks(fault.clocks, fault.jump)
            case FaultKind.CLOCK_AHEAD | FaultKind.CLOCK_BACK:
                await self._kill_part(MODULES[FaultKind.PUBLISHER])

    async def heal(self, fault: Fault) -> None:
        """End the fault. When this returns, only the work of the installation itself remains to be done."""
        match fault.kind:
            case FaultKind.NODE:
                await asyncio.to_thread(order, self._place, "kafka-dev", "start", str(fault.node))
            case FaultKind.CUT_NODE | FaultKind.CUT_KAFKA if self._means.network:
                _run_nft("flush", "chain", "inet", "caos", "entra")
            case FaultKind.CUT_NODE | FaultKind.CUT_KAFKA:
                _signal_all([self._node_process(number) for number in self._nodes_to_cut(fault)], signal.SIGCONT)
            case FaultKind.CUT_POSTGRES:
                _signal_all(self._postgres_processes(), signal.SIGCONT)
            case FaultKind.DISK if self._means.disk:
                (self._blobs / "lastre").unlink()
                _mount_tmpfs(self._blobs, f"remount,size={self._room}")
            case FaultKind.CLOCK_AHEAD | FaultKind.CLOCK_BACK:
                self._set_clocks(PARTS, 0)
            case FaultKind.TWO_SEQUENCERS:
                self._end_second()
            case _:
                pass

    def _start_second(self) -> None:
        """Start a second sequencer that is no part of `prep serve`: it must not start again when it dies.

        Its command line is different, so that `_part_and_children` does not find it.
        """
        environment = {**self.parts.environment, "PREP_SEQUENCER_METRICS_PORT": "0"}
        with (self._place.data / "registro.jsonl").open("ab") as said:
            self._second = subprocess.Popen(
                [sys.executable, "-c", SECOND],
                env=environment,
                stderr=said,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # one call of the C library, no lock taken
            )

    def _end_second(self) -> None:
        """Kill the second sequencer, even in the middle of a batch: the first one must go on from there."""
        if self._second is not None:
            self._second.kill()
            self._second.wait()

    def _fill_disk(self) -> None:
        """Fill the disk of the blob store.

        First make it smaller, because it is in memory; then write until it is full.
        """
        disk = os.statvfs(self._blobs)
        _mount_tmpfs(self._blobs, f"remount,size={(disk.f_blocks - disk.f_bfree) * disk.f_frsize + SLACK}")
        with (self._blobs / "lastre").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(SLACK))

    def _set_clocks(self, parts: Sequence[str], seconds: int) -> None:
        for part in parts:
            # A rename, so that a part never reads half a number.
            fresh = self._clocks / f"{part}.nuevo"
            fresh.write_text(f"{seconds:+}\n")
            fresh.replace(self._clocks / part)

    # Find processes, by the files of the installation and by their command lines.

    async def _kill_part(self, module: str) -> None:
        """Kill a part and its children. The part dies first: it must not see its children die and react to it."""
        for process in await self._wait_for_processes(lambda: _part_and_children(module)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    async def _wait_for_processes(self, look: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
        deadline = time.monotonic() + APPEARS
        while not (found := look()):
            if time.monotonic() > deadline:
                raise PrepError("no apareció el proceso que había que golpear")
            await asyncio.sleep(0.05)
        return found

    def _postgres_processes(self) -> list[psutil.Process]:
        """The postmaster, then its children."""
        postmaster = psutil.Process(int((self._data / "postgres" / "postmaster.pid").read_text().split()[0]))
        return [postmaster, *postmaster.children()]

    def _postgres_backends(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            clients = re.compile(f" ({'|'.join(Part)}) prep ")
            return [each for each in self._postgres_processes()[1:] if clients.search(" ".join(each.cmdline()))]
        return []

    def _nodes_to_cut(self, fault: Fault) -> Sequence[int]:
        return [fault.node] if fault.kind is FaultKind.CUT_NODE else range(1, NODES + 1)

    def _node_process(self, number: int) -> psutil.Process:
        return psutil.Process(int((self._data / "kafka" / f"nodo-{number}" / "pid").read_text()))

    def _cut_network(self, nodes: Sequence[int]) -> None:
        """Cut the network between these nodes and the parts. The nodes still reach each other."""
        if not self._means.network:
            _signal_all([self._node_process(number) for number in nodes], signal.SIGSTOP)
            return
        # Parts use the port for clients; the nodes use another port among themselves.
        laid_out = json.loads((self._data / "kafka" / "nodos.json").read_text())["ports"]
        ports = ", ".join(str(laid_out[number - 1]["clients"]) for number in nodes)
        for side in ("dport", "sport"):
            _run_nft("add", "rule", "inet", "caos", "entra", "tcp", side, f"{{ {ports} }}", "drop")


def _part_and_children(part: str) -> list[psutil.Process]:
    """The process of a part, which our own `prep serve` started, then its children."""
    for process in _alive_processes(psutil.Process(os.getpid()).children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.cmdline()[1:2] == ["-m"] and process.cmdline()[3:] == [part]:
                return [process, *process.children(recursive=True)]
    return []


def _alive_processes(processes: Sequence[psutil.Process]) -> Iterator[psutil.Process]:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process


def _signal_all(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _mount_tmpfs(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, capture_output=True)
