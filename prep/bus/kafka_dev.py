"""A real Kafka on the loopback, for development and tests: `prep kafka-dev up|down`.

One or more nodes in KRaft's combined mode, each a process of its own that can be killed and started again on the ports
it had. The jars come through Maven (`kafka_pom.xml` beside this file) into a cache. Nobody is authenticated and every
node is on this machine: not for a real night.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from prep.errors import Rejected

VERSION: Final = "4.3.0"
POM: Final = Path(__file__).resolve().with_name("kafka_pom.xml")
HEAP: Final = "-Xmx384m"
READY_SECONDS: Final = 60.0
_STARTED: Final = b"Kafka Server started"
_LOOPBACK: Final = "127.0.0.1"


def jars() -> Path:
    """The folder of Kafka's jars, fetched on first use. Raises Rejected if Java or Maven is missing."""
    if shutil.which("java") is None:
        raise Rejected("falta Java (17 o posterior) para iniciar Kafka: instale openjdk-17-jre-headless")
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prep" / f"kafka-{VERSION}"
    if folder.is_dir():
        return folder
    if shutil.which("mvn") is None:
        raise Rejected("falta Maven para obtener Kafka: instale el paquete maven")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        coming = Path(scratch, "jars")
        fetched = subprocess.run(
            ["mvn", "-q", "-B", "-f", POM, "dependency:copy-dependencies", f"-DoutputDirectory={coming}"],
            check=False,
            capture_output=True,
            text=True,
        )
        if fetched.returncode:
            said = (fetched.stdout + fetched.stderr).strip().splitlines()
            raise Rejected(f"Maven no pudo obtener Kafka: {said[0] if said else fetched.returncode}")
        with contextlib.suppress(OSError):  # another process was first, with the same jars
            coming.rename(folder)
    return folder


def class_archive() -> Path | None:
    """A file beside the jars with Kafka's classes as the JVM keeps them: a node starts in a third of the time.

    Made once for each JVM, by a node that starts and stops. None if this JVM makes none.
    """
    folder, java = jars(), Path(shutil.which("java") or "java").resolve()
    name = hashlib.sha256(f"{java} {java.stat().st_mtime_ns}".encode()).hexdigest()[:16]
    archive = folder / f"clases-{name}.jsa"
    holder = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)  # others wait, and then find it
        if not archive.exists():
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                coming = Path(scratch, "clases")
                node = DevKafka(Path(scratch), keep_classes=coming)
                try:
                    node.up()
                except Rejected:  # the real node says why
                    return None
                node.stop()
                coming.touch()
                coming.rename(archive)
    finally:
        os.close(holder)
    return archive if archive.stat().st_size else None


@dataclass(frozen=True, slots=True)
class _Ports:
    clients: int
    brokers: int
    controller: int
    advertised: int
    """The ports that clients are told to connect to: `clients`, or those that a test puts before them."""


class DevKafka:
    """The nodes whose files are in `folder`, numbered from 1; another object on that folder speaks of the same ones.

    `advertised`: ports that clients are sent to, one a node, where something stands between them and the nodes.
    `keep_classes`: the file into which a node writes the classes that it has loaded, when it stops in good order.
    Raises Rejected if the folder holds another number of nodes.
    """

    def __init__(
        self, folder: Path, nodes: int = 1, *, advertised: Sequence[int] = (), keep_classes: Path | None = None
    ) -> None:
        self._folder = folder.absolute()
        self._keep_classes = keep_classes
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        plan = self._folder / "nodos.json"
        if not plan.exists():
            self._lay_out(plan, nodes, advertised)
        said = json.loads(plan.read_text("utf-8"))
        self._cluster: str = said["cluster"]
        self._ports = [_Ports(**ports) for ports in said["ports"]]
        if len(self._ports) != nodes:
            raise Rejected(f"en {self._folder} hay un Kafka de {len(self._ports)} nodos; deténgalo y borre esa carpeta")

    @staticmethod
    def nodes_in(folder: Path) -> int:
        """How many nodes are laid out in `folder`; 0 if there is nothing."""
        plan = folder / "nodos.json"
        return len(json.loads(plan.read_text("utf-8"))["ports"]) if plan.exists() else 0

    def _lay_out(self, plan: Path, nodes: int, advertised: Sequence[int]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # The ports are chosen once and written down: a node that starts again must be where clients know it.
        free = free_ports(3 * nodes)
        ports = []
        for number in range(nodes):
            clients, brokers, controller = free[3 * number : 3 * number + 3]
            ports.append(_Ports(clients, brokers, controller, advertised[number] if advertised else clients))
        cluster = "K" + urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]  # one that begins with «-» is an option
        # Renamed when it is whole: if we stop before, the next run lays everything out anew.
        coming = plan.with_suffix(".tmp")
        coming.write_text(json.dumps({"cluster": cluster, "ports": [asdict(each) for each in ports]}), "utf-8")
        coming.rename(plan)

    @property
    def numbers(self) -> range:
        return range(1, len(self._ports) + 1)

    @property
    def bootstrap(self) -> str:
        """For PREP_KAFKA."""
        return ",".join(f"{_LOOPBACK}:{ports.advertised}" for ports in self._ports)

    @property
    def client_ports(self) -> list[int]:
        """The addresses at which the nodes listen for clients; others may be advertised."""
        return [ports.clients for ports in self._ports]

    def up(self) -> str:
        """Start the nodes that are not running, and wait until all are ready; returns `bootstrap`."""
        # All begin before the first is waited for: a controller is ready only with a majority.
        starting = [number for number in self.numbers if not self.is_running(number)]
        heard = {number: self._launch_node(number) for number in starting}
        for number in starting:
            self._await_started(number, heard[number])
        return self.bootstrap

    def start(self, number: int) -> None:
        """Start one node again, on its ports and its files, and wait until it is ready."""
        # A node that runs is left alone, so that a command that is repeated does no harm.
        if not self.is_running(number):
            self._await_started(number, self._launch_node(number))

    def kill(self, number: int) -> None:
        """SIGKILL, as a power failure of that machine would."""
        self._end_node(number, signal.SIGKILL)

    def stop(self) -> None:
        """Stop every node in good order, by its process id; what does not obey is killed."""
        # All are asked first, so that they end side by side.
        ending = [number for number in self.numbers if self.is_running(number)]
        for number in ending:
            os.kill(self._process_id(number), signal.SIGTERM)
        for number in ending:
            try:
                self._await_gone(number, 20)
            except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
                self.kill(number)

    def is_running(self, number: int) -> bool:
        """Whether the process in the node's pid file lives and is this node, not another with its number."""
        with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
            process = psutil.Process(self._process_id(number))
            properties = str(self._node_folder(number) / "server.properties")
            return properties in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
        return False

    def _node_folder(self, number: int) -> Path:
        return self._folder / f"nodo-{number}"

    def _process_id(self, number: int) -> int:
        return int((self._node_folder(number) / "pid").read_text())

    def _end_node(self, number: int, how: signal.Signals) -> None:
        if self.is_running(number):
            os.kill(self._process_id(number), how)
            self._await_gone(number, 20)

    def _await_gone(self, number: int, seconds: float) -> None:
        # Our own child is waited for and reaped. A node of an earlier process is somebody else's child.
        child = self._children.pop(number, None)
        if child is not None:
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                self._children[number] = child
                raise
        else:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(self._process_id(number)).wait(seconds)

    def _launch_node(self, number: int) -> int:
        """Begin the node's process; returns where in its log this start begins."""
        node, classpath = self._node_folder(number), str(jars() / "*")
        node.mkdir(exist_ok=True)
        properties = node / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in self._node_properties(number)), "utf-8")
        java = ["java", HEAP, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        # A folder is formatted once. Formatted again it would forget what it holds.
        if not (node / "datos" / "meta.properties").exists():
            tool = ["kafka.tools.StorageTool", "format", "-t", self._cluster, "-c", str(properties)]
            known = [] if self._keep_classes else self._classes()
            words = [*java, *known, "-cp", classpath, *tool]
            formatted = subprocess.run(words, check=False, capture_output=True, text=True)
            if formatted.returncode:
                raise Rejected(f"Kafka no pudo preparar {node}: {formatted.stderr.strip().splitlines()[-1]}")
        with (node / "log").open("ab") as log:
            heard = log.tell()
            child = subprocess.Popen(
                [*java, *self._classes(), "-cp", classpath, "kafka.Kafka", str(properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C at the terminal that started it is not for it
            )
        self._children[number] = child
        (node / "pid").write_text(str(child.pid))
        return heard

    def _classes(self) -> list[str]:
        """The option that makes the JVM keep its classes in a file, or read them from one."""
        if self._keep_classes:
            return [f"-XX:ArchiveClassesAtExit={self._keep_classes}"]
        archive = class_archive()
        return [f"-XX:SharedArchiveFile={archive}"] if archive else []

    def _await_started(self, number: int, heard: int) -> None:
        log = self._node_folder(number) / "log"
        deadline = time.monotonic() + READY_SECONDS
        # Its own words say that it is ready: the port is open long before that.
        while _STARTED not in log.read_bytes()[heard:]:
            if self._children[number].poll() is not None or time.monotonic() > deadline:
                self.kill(number)
                raise Rejected(f"el nodo {number} de Kafka no inició; vea {log}")
            time.sleep(0.05)

    def _node_properties(self, number: int) -> Iterator[tuple[str, object]]:
        # Copies and copies in sync as a cluster of that size can have them.
        ports, nodes = self._ports[number - 1], len(self._ports)
        copies = min(3, nodes)
        in_sync = 2 if nodes > 2 else 1
        yield "process.roles", "broker,controller"
        yield "node.id", number
        voters = (f"{n}@{_LOOPBACK}:{each.controller}" for n, each in enumerate(self._ports, 1))
        yield "controller.quorum.voters", ",".join(voters)
        listening = {"CLIENTS": ports.clients, "BROKERS": ports.brokers, "CONTROLLER": ports.controller}
        yield "listeners", ",".join(f"{name}://{_LOOPBACK}:{port}" for name, port in listening.items())
        yield "advertised.listeners", f"CLIENTS://{_LOOPBACK}:{ports.advertised},BROKERS://{_LOOPBACK}:{ports.brokers}"
        yield "listener.security.protocol.map", ",".join(f"{name}:PLAINTEXT" for name in listening)
        yield "inter.broker.listener.name", "BROKERS"
        yield "controller.listener.names", "CONTROLLER"
        yield "log.dirs", self._node_folder(number) / "datos"
        yield "auto.create.topics.enable", "false"
        yield "min.insync.replicas", in_sync
        yield "offsets.topic.replication.factor", copies
        yield "transaction.state.log.replication.factor", copies
        yield "transaction.state.log.min.isr", in_sync
        yield "share.coordinator.state.topic.replication.factor", copies
        yield "share.coordinator.state.topic.min.isr", in_sync
        # Small and prompt, as one machine needs it; a real cluster keeps the defaults.
        yield "offsets.topic.num.partitions", 4
        yield "transaction.state.log.num.partitions", 4
        yield "log.index.size.max.bytes", 1 << 20
        yield "group.initial.rebalance.delay.ms", 0
        yield "controlled.shutdown.enable", "false"
        yield "broker.heartbeat.interval.ms", 500
        yield "broker.session.timeout.ms", 4000


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        # All are held open until all are chosen: otherwise one port could be chosen twice.
        for each in taken:
            each.bind((_LOOPBACK, 0))
        return [each.getsockname()[1] for each in taken]
