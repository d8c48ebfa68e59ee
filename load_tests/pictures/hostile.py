"""The hostile corpus against a whole installation: one device sends bombs, another honest images between them.

These must hold: no answer of 500 and above; capture and worker live to the end; every image with a receipt is listed or
waits for a person; memory is bounded. The figures are printed.
"""

import asyncio
import base64
import hashlib
import io
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg
import psutil
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from capture.auth import enroll
from load_tests.bench import bench
from load_tests.pictures.bombs import corpus
from load_tests.pictures.kinds import acta, saved
from prep.rehearsal.installation import command_line, free_ports, rehearsal_night
from prep.settings import now
from prep.store import embedded, night
from prep.store.database import Connection, migrate

HONEST_EVERY: Final = 5
"""Bombs after which the other device sends an honest image."""
PATIENCE: Final = 900.0
"""Seconds in which every image that was taken must be listed or wait for a person."""
LOOKS: Final = ": one that looks"
"""After the name of a part: of its processes that look into bytes, the one with the most memory."""
FIELDS: Final = ("Device", "Sequence", "SHA256", "Origin", "Kind", "Acopio")


@dataclass
class Told:
    """The figures of a run, and every fault that was seen."""

    sent: int = 0
    answers: dict[int, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    """Kinds that were answered with 500 or more, or not at all."""
    unlisted: list[str] = field(default_factory=list)
    """Kinds with a receipt that are neither listed nor before a person."""
    dead: list[str] = field(default_factory=list)
    """Parts that ended."""
    honest_seconds: float = 0.0
    """The longest time between an honest image's receipt and its reading."""
    healthz_seconds: float = 0.0
    memory: dict[str, int] = field(default_factory=dict)
    """Most bytes of capture, of the worker, and of one process that looks into bytes."""
    marks: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return not (self.broken or self.unlisted or self.dead)


@dataclass
class _Device:
    id: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    number: int = 0

    def headers(self, content: bytes) -> dict[str, str]:
        self.number += 1
        said = dict(
            zip(
                FIELDS,
                (self.id, str(self.number), hashlib.sha256(content).hexdigest(), "CATD", "escaner", now().isoformat()),
                strict=True,
            )
        )
        text = "\n".join(("PREP-IMAGE-V1", *said.values(), "", "", ""))
        said["Signature"] = base64.b64encode(self.key.sign(text.encode())).decode()
        return {f"X-PREP-{name}": value for name, value in said.items()}


async def play(folder: Path, kinds: Sequence[tuple[str, bytes]], *, patience: float = PATIENCE) -> Told:
    """Start an installation in `folder`, send these files to it, and wait until each one is listed."""
    told = Told()
    async with _running_installation(folder) as (url, database, parts):
        devices = [_Device("hostil-1"), _Device("honesto-1")]
        connection = await asyncpg.connect(database)
        await _open_night(connection)
        for device in devices:
            public = device.key.public_key().public_bytes_raw()
            await enroll(connection, device=device.id, site="CATD-1", public_key=public, at=now())
        stop = asyncio.Event()
        async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(60)) as http, asyncio.TaskGroup() as tasks:
            await _wait_until_healthy(http)
            tasks.create_task(_watch_memory_and_health(told, http, parts, stop))
            names = await _send_all(told, http, devices, kinds)
            await _wait_until_listed(told, connection, names, patience)
            stop.set()
        await _read_figures(told, connection, devices[1].id)
        await connection.close()
        told.dead += [name for name, process in parts.items() if process.poll() is not None]
    return told


async def _open_night(connection: Connection) -> None:
    """Declare a night, with corte 0 on record: from then on images come in."""
    declared, at = rehearsal_night(), now()
    async with connection.transaction():
        await night.declare(connection, declared, None, at)
        await connection.execute(
            "INSERT INTO corte (number, at, phase, sums, counts, due, simulacro, declaracion) "
            "VALUES (0, $1, 'cero', repeat('0', 64), '{}', $1, true, $2)",
            *(at, declared.digest),
        )


@asynccontextmanager
async def _running_installation(
    folder: Path,
) -> AsyncIterator[tuple[str, str, Mapping[str, "subprocess.Popen[bytes]"]]]:
    """Address, database (its owner's) and processes: capture, and a worker with two decoders."""
    server = await embedded.start(folder / "postgres")
    await migrate(server.owner())
    capture, worker = free_ports(2)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
    said = {
        "PREP_DATA": str(folder),
        "PREP_DATABASE": server.app(),
        "PREP_CAPTURE_PORT": str(capture),
        "PREP_WORKER_METRICS_PORT": str(worker),
    }
    parts = {}
    for name in ("capture", "worker"):
        with (folder / f"{name}.log").open("wb") as log:
            command = [command_line(), name]
            parts[name] = subprocess.Popen(command, env=clean | said, stdout=log, stderr=log)  # noqa: ASYNC220  # it returns at once
    try:
        yield f"http://127.0.0.1:{capture}", server.owner(), parts
    finally:
        for process in parts.values():
            process.send_signal(signal.SIGTERM)
        for process in parts.values():
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, 30)
            process.kill()
            process.wait()
        embedded.stop(folder / "postgres")


async def _wait_until_healthy(http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(aiohttp.ClientError):
                async with http.get("/healthz") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)


async def _send_all(
    told: Told, http: aiohttp.ClientSession, devices: Sequence[_Device], kinds: Sequence[tuple[str, bytes]]
) -> dict[str, str]:
    """Send every file, with honest images between them. Returns the names of those with a receipt, by digest."""
    taken = {}
    for number, (name, data) in enumerate(kinds):
        pairs = [(devices[0], name, data)]
        if number % HONEST_EVERY == 0:
            honest = saved(acta(f"28|3|1|{1000 + number}|1|B|0|5", seed=number), "JPEG", quality=85)
            pairs.append((devices[1], f"honest {number}", honest))
        for device, kind, content in pairs:
            told.sent += 1
            try:
                async with http.post("/v1/images", data=io.BytesIO(content), headers=device.headers(content)) as answer:
                    status = answer.status
                    await answer.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                told.broken.append(f"{kind}: {error!r}")
                continue
            told.answers[status] = told.answers.get(status, 0) + 1
            if status >= 500 or (device is devices[1] and status != 201):
                told.broken.append(f"{kind}: {status}")
            if status in {200, 201}:
                taken[hashlib.sha256(content).hexdigest()] = kind
    return taken


async def _wait_until_listed(
    told: Told, connection: asyncpg.Connection, names: Mapping[str, str], patience: float
) -> None:
    """Wait until each image is tied to an acta, listed as fuera de catálogo, or waits for a person."""
    until = time.monotonic() + patience
    while True:
        rows = await connection.fetch(
            "SELECT encode(image, 'hex') AS image FROM image_current c WHERE state IN ('identificada',"
            " 'fuera_de_catalogo', 'ilegible') OR EXISTS (SELECT FROM task t WHERE t.image = c.image)"
        )
        left = names.keys() - {row["image"] for row in rows}
        if not left or time.monotonic() > until:
            told.unlisted += sorted(names[each] for each in left)
            return
        await asyncio.sleep(0.5)


async def _read_figures(told: Told, connection: asyncpg.Connection, honest: str) -> None:
    # The longest wait of an honest image shows whether the bombs held it back.
    longest = await connection.fetchval(
        "SELECT max(extract(epoch FROM r.read_at - a.received_at))::float FROM arrival a JOIN reading r USING (image)"
        " WHERE a.device = $1",
        honest,
    )
    told.honest_seconds = longest or 0.0
    rows = await connection.fetch("SELECT code, count(*) AS n FROM image_oddity GROUP BY code ORDER BY code")
    told.marks = {row["code"]: row["n"] for row in rows}


async def _watch_memory_and_health(
    told: Told, http: aiohttp.ClientSession, parts: Mapping[str, "subprocess.Popen[bytes]"], stop: asyncio.Event
) -> None:
    """Read memory and health a few times a second, until `stop`."""
    while not stop.is_set():
        for name, process in parts.items():
            with suppress(psutil.Error):
                part = psutil.Process(process.pid)
                _keep_most(told, name, part.memory_info().rss)
                for child in part.children(recursive=True):
                    with suppress(psutil.Error):
                        _keep_most(told, f"{name}{LOOKS}", child.memory_info().rss)
        begun = time.perf_counter()
        try:
            async with http.get("/healthz") as answer:
                if answer.status != 200:
                    told.broken.append(f"healthz: {answer.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            told.broken.append(f"healthz: {error!r}")
        told.healthz_seconds = max(told.healthz_seconds, time.perf_counter() - begun)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.25)


def _keep_most(told: Told, name: str, size: int) -> None:
    told.memory[name] = max(told.memory.get(name, 0), size)


def run() -> int:
    """Send the whole corpus, print the figures and store them; returns 0 if all of it held."""
    before, kinds = bench.turns(), list(corpus())
    with tempfile.TemporaryDirectory() as folder:
        told = asyncio.run(play(Path(folder), kinds))
    for title, names in (("broken", told.broken), ("unlisted", told.unlisted), ("dead", told.dead)):
        print(*(f"{title}: {name}" for name in names), sep="\n")
    print(f"{told.sent} sent; answers {dict(sorted(told.answers.items()))}; marks {told.marks}")
    print(f"honest images read within {told.honest_seconds:.1f} s; healthz within {told.healthz_seconds:.2f} s")
    print("memory: " + ", ".join(f"{name} {size >> 20} MiB" for name, size in sorted(told.memory.items())))
    if told.good:
        bench.store(figures(told, len(kinds), turns=[before, bench.turns()]))
    return 0 if told.good else 1


def figures(told: Told, kinds: int, *, turns: Sequence[float]) -> list[bench.Figure]:
    """The figures of a run in which everything held, as `docs/measurements.md` shows them."""
    facts = {"machine": bench.machine(), "commit": bench.commit(), "turns": [*turns]}
    looking = max((size for name, size in told.memory.items() if name.endswith(LOOKS)), default=0)
    rows: list[tuple[str, float, str, str, bool]] = [
        ("tipos de archivo", kinds, "tipos", ">= 300", kinds >= 300),
        ("la respuesta más lenta de /healthz", told.healthz_seconds, "s", "<= 1", told.healthz_seconds <= 1),
        (
            "de acuse a lectura, la imagen honesta más lenta",
            told.honest_seconds,
            "s",
            "<= 10",
            told.honest_seconds <= 10,
        ),
        *(
            (f"memoria: {part}", size >> 20, "MB", f"<= {limit}", size >> 20 <= limit)
            for part, size, limit in (
                ("captura", told.memory.get("capture", 0), 512),
                ("trabajador", told.memory.get("worker", 0), 512),
                ("un proceso que mira imágenes", looking, 2048),
            )
        ),
    ]
    return [
        {
            "bench": "hostil",
            "name": f"corpus hostil, {name}",
            "value": round(value, 2),
            "unit": unit,
            "target": target,
            "met": met,
            "peer": f"{told.sent} envíos; respuestas {dict(sorted(told.answers.items()))}",
            **facts,
        }
        for name, value, unit, target, met in rows
    ]
