"""The faults of a chaos night: which come when, decided by the seed alone, and the hands that bring and heal them.

What the machine allows decides how: network cuts and a full disk need namespaces of our own (`load_tests.chaos` enters
them), a jumping clock needs libfaketime. Where one is missing the fault takes another form, and its `form` says so.
Nothing here touches the machine's own tables, mounts or clock.
"""

import asyncio
import contextlib
import json
import os
import random
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
from prep.rehearsal.night import NightPlace, die_with_parent, order

NODES: Final = 3
APPEARS: Final = 20.0
"""Seconds for a part that is being started to be there."""
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
"""A sitecustomize.py that gives each part, and what it starts, a clock of its own.

PostgreSQL keeps the machine's: it runs as another user, whom libfaketime's shared memory is closed to. libfaketime also
refuses the absolute clock_nanosleep with which Python sleeps, so that a part it deceives sleeps otherwise. It looks at
its file once a second: at each question for the time, it costs a part more than its work.
"""
MIB: Final = 1024 * 1024
SLACK: Final = 4 * MIB
"""Bytes that may be written while a disk is being made full."""
HOUR: Final = 3600


class FaultKind(StrEnum):
    """What can go wrong; the value is what the score card calls it."""

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


SECOND: Final = "from publisher.log.sequencer import main; main([])"
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
    """One fault. It begins in relation to what the night has done, so that the seed means the same on any machine."""

    kind: FaultKind
    after: int
    """Uploads acknowledged when it begins."""
    moment: float
    """Seconds from then, while uploads are on their way."""
    lasts: float
    """Seconds to its healing; what dies is started again at once by `prep serve`, a node of Kafka after so long."""
    node: int
    jump: int
    """Seconds that the clock is off."""
    clocks: Sequence[str]
    """The parts whose clock it is."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"kind": self.kind.name}


def schedule(seed: int, count: int, uploads: int, *, kafka: bool) -> list[Fault]:
    """`count` faults in the first nine tenths of the uploads; every kind comes before any comes twice."""
    chance = random.Random(f"faults {seed}")
    kinds = [kind for kind in FaultKind if kafka or kind not in KAFKA_ONLY]
    deck: list[FaultKind] = []
    while len(deck) < count:
        deck += chance.sample(kinds, len(kinds))
    slot = 0.9 * uploads / count
    faults = []
    for place, kind in enumerate(deck[:count]):
        after = int((place + chance.uniform(0.2, 0.9)) * slot)
        jump = int(10 * (HOUR / 10) ** chance.random())
        jump = -jump if kind is FaultKind.CLOCK_BACK else jump
        moment, lasts = round(chance.uniform(0, 0.3), 3), round(chance.uniform(1.5, 4), 3)
        node, clocks = chance.randint(1, NODES), chance.choice((PARTS, PARTS, *((part,) for part in PARTS)))
        faults.append(Fault(kind, after, moment, lasts, node, jump, clocks))
    return faults


# What this machine allows.


@dataclass(frozen=True, slots=True)
class Means:
    """How faults can be brought here."""

    network: bool = False
    """nft, in a network namespace of our own."""
    disk: bool = False
    """mount, in a mount namespace of our own."""
    faketime: Path | None = None


def means(*, namespaces: bool) -> Means:
    """What is there. With `namespaces` this process is in a network and a mount namespace that are its own."""
    faketime = next((path for pattern in FAKETIME for path in sorted(Path("/").glob(pattern[1:]))), None)
    return Means(namespaces and _firewall(), namespaces, faketime)


def _firewall() -> bool:
    """Lay out an empty table of our own; False where there is no nft, or the kernel has none."""
    rules = "add table inet caos\nadd chain inet caos entra { type filter hook input priority 0; }\n"
    return shutil.which("nft") is not None and _nft("-f", "-", said=rules)


def _nft(*words: str, said: str = "") -> bool:
    done = subprocess.run(["nft", *words], input=said.encode(), capture_output=True, check=False)
    return done.returncode == 0


# Hands.


class Hands:
    """Brings faults to the installation at `place`, one at a time, and heals them."""

    def __init__(self, place: NightPlace, allowed: Means, *, room: int) -> None:
        """`room`: bytes of the blob store's disk, where it may be one of its own."""
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
            _mount(self._blobs, f"size={room}")

    @property
    def parts(self) -> NightPlace:
        """The same place, for whoever starts the parts: their clocks are in our hands."""
        if self._means.faketime is None:
            return self._place
        said = {"clocks": str(self._clocks), "preload": str(self._means.faketime), "parts": PARTS}
        (self._clocks / "sitecustomize.py").write_text(CLOCKED.format(**said))
        before = os.pathsep.join(filter(None, (str(self._clocks), os.environ.get("PYTHONPATH"))))
        return replace(self._place, environment={**self._place.environment, "PYTHONPATH": before})

    def form(self, kind: FaultKind) -> str:
        """How this fault is brought here; begins with «reemplazada» where it is another one."""
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
        """The fault is there when this returns."""
        match fault.kind:
            case FaultKind.WORKER | FaultKind.PUBLISHER | FaultKind.CAPTURE | FaultKind.SEQUENCER:
                await self._kill_part(MODULES[fault.kind])
            case FaultKind.TWO_SEQUENCERS:
                self._start_second()
                await self._kill_part(MODULES[FaultKind.SEQUENCER])
            case FaultKind.NODE:
                await asyncio.to_thread(order, self._place, "kafka-dev", "kill", str(fault.node))
            case FaultKind.POSTGRES:
                self._postgres()[0].kill()
            case FaultKind.BACKEND:
                (await self._appearing(self._backends))[-1].kill()
            case FaultKind.CUT_NODE | FaultKind.CUT_KAFKA:
                self._cut(self._nodes(fault))
            case FaultKind.CUT_POSTGRES:
                _signal(self._postgres(), signal.SIGSTOP)
            case FaultKind.DISK if self._means.disk:
                self._fill()
            case FaultKind.DISK:
                await self._kill_part(MODULES[FaultKind.CAPTURE])
            case FaultKind.CLOCK_AHEAD | FaultKind.CLOCK_BACK if self._means.faketime:
                self._set_clocks(fault.clocks, fault.jump)
            case FaultKind.CLOCK_AHEAD | FaultKind.CLOCK_BACK:
                await self._kill_part(MODULES[FaultKind.PUBLISHER])

    async def heal(self, fault: Fault) -> None:
        """Nothing of the fault is left when this returns, but for what the installation has to do itself."""
        match fault.kind:
            case FaultKind.NODE:
                await asyncio.to_thread(order, self._place, "kafka-dev", "start", str(fault.node))
            case FaultKind.CUT_NODE | FaultKind.CUT_KAFKA if self._means.network:
                _nft("flush", "chain", "inet", "caos", "entra")
            case FaultKind.CUT_NODE | FaultKind.CUT_KAFKA:
                _signal([self._node(number) for number in self._nodes(fault)], signal.SIGCONT)
            case FaultKind.CUT_POSTGRES:
                _signal(self._postgres(), signal.SIGCONT)
            case FaultKind.DISK if self._means.disk:
                (self._blobs / "lastre").unlink()
                _mount(self._blobs, f"remount,size={self._room}")
            case FaultKind.CLOCK_AHEAD | FaultKind.CLOCK_BACK:
                self._set_clocks(PARTS, 0)
            case FaultKind.TWO_SEQUENCERS:
                self._end_second()
            case _:
                pass

    def _start_second(self) -> None:
        """Not as a part of `prep serve`: nobody starts it again, and `_part` must not take it for the first."""
        environment = {**self.parts.environment, "PREP_SEQUENCER_METRICS_PORT": "0"}
        with (self._place.data / "registro.jsonl").open("ab") as said:
            self._second = subprocess.Popen(
                [sys.executable, "-c", SECOND],
                env=environment,
                stderr=said,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # one call of the C library, no lock taken
            )

    def _end_second(self) -> None:
        """Also with a batch in hand: the first goes on from what it left."""
        if self._second is not None:
            self._second.kill()
            self._second.wait()

    def _fill(self) -> None:
        """Take all the room there is on that disk: all but a little by making it smaller, as it is memory."""
        disk = os.statvfs(self._blobs)
        _mount(self._blobs, f"remount,size={(disk.f_blocks - disk.f_bfree) * disk.f_frsize + SLACK}")
        with (self._blobs / "lastre").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(SLACK))

    def _set_clocks(self, parts: Sequence[str], seconds: int) -> None:
        for part in parts:
            fresh = self._clocks / f"{part}.nuevo"
            fresh.write_text(f"{seconds:+}\n")
            fresh.replace(self._clocks / part)

    # Processes, by what is written in the installation's own files and on their command lines.

    async def _kill_part(self, module: str) -> None:
        """The part first: it must not see its children die."""
        for process in await self._appearing(lambda: _part(module)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    async def _appearing(self, look: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
        deadline = time.monotonic() + APPEARS
        while not (found := look()):
            if time.monotonic() > deadline:
                raise PrepError("no apareció el proceso que había que golpear")
            await asyncio.sleep(0.05)
        return found

    def _postgres(self) -> list[psutil.Process]:
        """The postmaster, then its children."""
        postmaster = psutil.Process(int((self._data / "postgres" / "postmaster.pid").read_text().split()[0]))
        return [postmaster, *postmaster.children()]

    def _backends(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            return [each for each in self._postgres()[1:] if " prep_app prep " in " ".join(each.cmdline())]
        return []

    def _nodes(self, fault: Fault) -> Sequence[int]:
        return [fault.node] if fault.kind is FaultKind.CUT_NODE else range(1, NODES + 1)

    def _node(self, number: int) -> psutil.Process:
        return psutil.Process(int((self._data / "kafka" / f"nodo-{number}" / "pid").read_text()))

    def _cut(self, nodes: Sequence[int]) -> None:
        """Between those nodes and the parts; the nodes go on hearing each other."""
        if not self._means.network:
            _signal([self._node(number) for number in nodes], signal.SIGSTOP)
            return
        laid_out = json.loads((self._data / "kafka" / "nodos.json").read_text())["ports"]
        ports = ", ".join(str(laid_out[number - 1]["clients"]) for number in nodes)
        for side in ("dport", "sport"):
            _nft("add", "rule", "inet", "caos", "entra", "tcp", side, f"{{ {ports} }}", "drop")


def _part(part: str) -> list[psutil.Process]:
    """The part that `prep serve` started by that command and that we started, then its children."""
    for process in _alive(psutil.Process(os.getpid()).children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.cmdline()[1:2] == ["-m"] and process.cmdline()[3:] == [part]:
                return [process, *process.children(recursive=True)]
    return []


def _alive(processes: Sequence[psutil.Process]) -> Iterator[psutil.Process]:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, capture_output=True)
