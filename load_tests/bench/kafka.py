"""The same night on Kafka: the speed of intake and of counting, and the time until the work goes on after a crash.

All programs run on this machine: the client, three brokers of 384 MB, PostgreSQL and the parts. `prep kafka-dev` starts
the brokers; they are killed by process id.
"""

import asyncio
import io
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil
import uvloop
from PIL import Image

from load_tests.bench.digitize import SCAN
from load_tests.bench.forms import (
    DIGITIZED,
    NIGHT,
    SCANNED,
    VERIFIED,
    WITHOUT_CORTES,
    Work,
    count,
    cpu_figure,
    drawn,
    forms_figure,
    reached,
    send_all,
    whole_way,
)
from load_tests.psql import run_sql
from prep.rehearsal import devices
from prep.rehearsal.devices import private_key, send
from prep.rehearsal.installation import DEVICES, NightPlace, command_line, installation, order, prepare, speaker
from prep.rehearsal.plan import Progresses
from prep.rehearsal.replay import Sheet
from prep.rehearsal.typists import type_all

NODES: Final = 3
CASILLAS: Final = 400
"""Casillas of a night in which images are digitized, or a process is killed."""
IMAGE_BYTES: Final = 400_000
UPLOADS: Final = 1500
COLD: Final = 500
"""Uploads before these, while the brokers warm up."""
PHOTOS: Final = 150
"""Casillas of the night with large images."""
PHOTO: Final = (3300, 2151)
SENDERS: Final = 16
MESSAGES: Final = 100_000
KINDS: Final = {"captura": "capture", "trabajador": "worker", "publicador": "publish"}


@contextmanager
def brokers(folder: Path, nodes: int) -> Iterator[dict[str, str]]:
    """Keep brokers running inside the `with` block; gives the settings that lead to them."""
    said = _kafka_dev(folder, "up", "--nodes", str(nodes))
    words = next(line for line in said.splitlines() if line.startswith("export ")).split()[1:]
    try:
        yield dict(word.split("=", 1) for word in words)
    finally:
        _kafka_dev(folder, "down")


def _kafka_dev(folder: Path, *words: str) -> str:
    return subprocess.run(
        [command_line(), "kafka-dev", *words],
        env={**os.environ, "PREP_DATA": str(folder)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


@contextmanager
def on_kafka(work: Work, *, nodes: int = NODES, **settings: str) -> Iterator[tuple[NightPlace, Path]]:
    """A prepared night on brokers of its own, and the folder of the brokers."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch, brokers(Path(scratch), nodes) as engine:
        yield _prepared_night(work, Path(scratch), {**engine, **settings}), Path(scratch)


def _prepared_night(work: Work, folder: Path, settings: Mapping[str, str]) -> NightPlace:
    place = prepare(work.plan, folder / "datos", folder / "publico", settings, WITHOUT_CORTES)
    order(place, "publish", "--zero")  # the publisher does not run in every measurement, and images wait for corte 0
    return place


# Intake: until the bytes and the announcement are durable.


def intake() -> list[dict[str, Any]]:
    """Images of 400 KB that get their receipt in a second, and the time until a receipt. Only capture runs.

    The first quarter of the uploads has a figure of its own: during it the brokers' virtual machines compile their
    code.
    """
    work = drawn(10)
    with on_kafka(work) as (place, _):
        (cold_rate, cold_late), (rate, late) = uvloop.run(_timed_uploads(place))
    each = (
        f"{UPLOADS} imágenes de 400 kB, {SENDERS} a la vez, réplica {NODES}; "
        f"las {COLD} de antes, tras el arranque: {cold_rate:.0f}/s, percentil 99 {cold_late:.0f} ms"
    )
    return [
        _kafka_figure(
            "imágenes recibidas por segundo, con acuse (Kafka)", round(rate, 1), "imágenes/s", ">= 100", each
        ),
        _kafka_figure("espera del acuse, percentil 99 (Kafka)", round(late), "ms", "<= 300", each),
    ]


async def _timed_uploads(place: NightPlace) -> list[tuple[float, float]]:
    """Images a second and the 99th percentile of the waits (ms): first of `COLD` uploads, then of `UPLOADS`."""
    told = []
    async with installation(place, "capture"), speaker(place, SENDERS) as client:
        for numbers in (range(1, COLD + 1), range(COLD + 1, COLD + UPLOADS + 1)):
            began = time.perf_counter()
            waits = sorted(await send_photos(place, client, numbers, IMAGE_BYTES))
            told.append((len(waits) / (time.perf_counter() - began), 1000 * waits[int(len(waits) * 0.99)]))
    return told


async def send_photos(
    place: NightPlace, client: aiohttp.ClientSession, numbers: Sequence[int], size: int
) -> list[float]:
    """Send photos of noise. Each sender waits for a receipt before the next photo. Returns the seconds of each wait."""
    waits: list[float] = []
    waiting = list(numbers)
    photo = noise_photo(size)
    sheet = Sheet("", "", "", None, None, datetime.now(UTC), "CATD", "escaner", "", "Acta PREP")
    key = private_key(place.data / f"{DEVICES['escaner']}.pem")

    async def sender() -> None:
        while waiting:
            number = waiting.pop()
            began = time.perf_counter()
            await send(client, sheet, photo_with_number(photo, number), number=number, key=key)
            waits.append(time.perf_counter() - began)

    await asyncio.gather(*(sender() for _ in range(SENDERS)))
    return waits


def noise_photo(size: int) -> bytes:
    """A JPEG of about `size` bytes."""
    side = int((size / 1.05) ** 0.5)
    # Noise does not compress, so the number of pixels decides the size of the file.
    noise = Image.frombytes("L", (side, side), random.Random(1).randbytes(side * side))
    saved = io.BytesIO()
    noise.save(saved, "JPEG", quality=75)
    return saved.getvalue()


def photo_with_number(photo: bytes, number: int) -> bytes:
    """The same photo with a different comment inside, so that its digest differs."""
    return photo[:2] + b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big") + photo[2:]


# The whole way.


def end_to_end() -> list[dict[str, Any]]:
    """Images a second that go through intake, Kafka, decoding and the database."""
    work = drawn(CASILLAS)
    with on_kafka(work) as (place, _):
        seconds = uvloop.run(_seconds_to_digitize(work, place))
    images = len(work.images)
    each = f"{images} imágenes, de la recepción a su acta"
    title = "imágenes digitalizadas de extremo a extremo por segundo (Kafka)"
    return [_kafka_figure(title, images / seconds, "imágenes/s", ">= 40", each)]


def forms() -> list[dict[str, Any]]:
    """Actas a second that go the whole way, with people and rules, on one node and on three.

    The files of the first night are deleted only after the second night. The reason: before ext4 without a journal
    makes a file, it looks at every inode that was freed in the last minutes, and a night frees many.
    """
    work = drawn(NIGHT)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        return [_forms_on_nodes(Work(work.plan, work.images), nodes, Path(scratch, str(nodes))) for nodes in (1, NODES)]


def _forms_on_nodes(work: Work, nodes: int, folder: Path) -> dict[str, Any]:
    with brokers(folder, nodes) as engine:
        place = _prepared_night(work, folder, engine)
        return forms_figure(work, uvloop.run(whole_way(work, place)), f", Kafka de {nodes}")


def cpu_of_an_acta() -> list[dict[str, Any]]:
    """Processor time of a whole acta on three nodes against everything embedded, in one run; the brokers count."""
    work = drawn(SCANNED, SCAN)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        embedded = uvloop.run(whole_way(work, _prepared_night(work, Path(scratch, "incluido"), {})))
        work = Work(work.plan, work.images)
        home = Path(scratch, "kafka")
        with brokers(home, NODES) as engine:
            on_nodes = uvloop.run(whole_way(work, _prepared_night(work, home, engine)))
    said = f"{on_nodes.cpu_ms:.1f} ms con los nodos, {embedded.cpu_ms:.1f} ms con todo incluido"
    title = f"CPU de un acta, Kafka de {NODES} frente a todo incluido"
    return [
        cpu_figure(work, embedded, ""),
        _kafka_figure(title, on_nodes.cpu_ms / embedded.cpu_ms, "×", "<= 1.15", said),
    ]


async def _seconds_to_digitize(work: Work, place: NightPlace) -> float:
    progress = Progresses()
    async with installation(place), speaker(place, devices.SENDERS + 1) as client:
        await asyncio.sleep(3)  # by then the worker has its partitions
        began = time.perf_counter()
        await asyncio.gather(
            send_all(work, place, client, progress), reached(client, place, DIGITIZED, len(work.images))
        )
        return time.perf_counter() - began


def workers() -> list[dict[str, Any]]:
    """Images a second with one decoding process and with two. The images are as large as those of a telephone."""
    work, figures = drawn(PHOTOS, PHOTO), []
    for processes in (1, 2):
        with on_kafka(work, PREP_DECODERS=str(processes)) as (place, _):
            work = Work(work.plan, work.images)
            rate = len(work.images) / uvloop.run(_seconds_to_digitize(work, place))
        each = f"{len(work.images)} imágenes de {PHOTO[0]}×{PHOTO[1]}"
        figures.append(
            _kafka_figure(f"imágenes por segundo, decodificadores: {processes}", rate, "imágenes/s", ">= 0", each)
        )
    return figures


# After a crash.


def recovery() -> list[dict[str, Any]]:
    """The longest pause in digitizing, typing and verifying, after a broker and after PostgreSQL was killed."""
    work = drawn(CASILLAS)
    with on_kafka(work) as (place, folder):
        broker, postgres = uvloop.run(_pauses_after_kills(work, place, folder))
    return [
        _kafka_figure(
            "pausa tras matar un broker de tres", broker, "s", "<= 15", "SIGKILL; se inicia de nuevo a los 20 s"
        ),
        _kafka_figure(
            "pausa tras matar PostgreSQL", postgres, "s", "<= 15", "SIGKILL al servidor; «prep serve» lo inicia"
        ),
    ]


async def _pauses_after_kills(work: Work, place: NightPlace, folder: Path) -> tuple[float, float]:
    progress = Progresses()
    wanted = len(work.plan.sheets)

    async def longest_pause(client: aiohttp.ClientSession, strike: Path, until: float) -> float:
        """Kill the process that the pid file names; watch the counters until this share of the actas is verified."""
        _kill_process(strike)
        longest, moved, before = 0.0, time.perf_counter(), 0.0
        while (now := await count(client, place, VERIFIED)) < until * wanted:
            now += await count(client, place, DIGITIZED) + progress.captures
            # Any progress ends a pause: digitizing, typing or verifying.
            if now > before:
                moved, before = time.perf_counter(), now
            longest = max(longest, time.perf_counter() - moved)
            await asyncio.sleep(0.05)
        return longest

    async with installation(place), speaker(place, devices.SENDERS + 1) as client:
        typing = asyncio.create_task(type_all(work.plan, place, progress))
        sending = asyncio.create_task(send_all(work, place, client, progress))
        await reached(client, place, VERIFIED, wanted * 0.1)
        broker = await longest_pause(client, folder / "kafka" / "nodo-1" / "pid", 0.45)
        # Start the killed broker again; the others go on as they are.
        await asyncio.to_thread(_kafka_dev, folder, "up", "--nodes", str(NODES))
        postgres = await longest_pause(client, place.data / "instalacion" / "postgres" / "postmaster.pid", 0.9)
        await asyncio.gather(sending, reached(client, place, VERIFIED, wanted))
        progress.finished = True
        await typing
    return broker, postgres


def _kill_process(pid_file: Path) -> None:
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)


# Memory.


def memory() -> list[dict[str, Any]]:
    """The memory of each process after 100,000 messages, against its memory after the first tenth of them."""
    work = drawn(100)
    with on_kafka(work) as (place, _):
        early, late = uvloop.run(_many_messages(place))
    return [
        _kafka_figure(
            f"memoria tras {MESSAGES:,} mensajes: {name}", late[name] / early[name], "×", "<= 1.1", f"{late[name]} MB"
        )
        for name in KINDS
    ]


async def _many_messages(place: NightPlace) -> tuple[dict[str, int], dict[str, int]]:
    """Send messages about finished rounds through the outbox, Kafka and the worker, and one photo for every ten.

    The worker reads such a message and drops it, so the memory grows only if a part keeps messages.
    """
    done = r'prep_messages_handled_total\{outcome="done",topic="entries"\} ([\d.]+)'
    async with installation(place), speaker(place, SENDERS + 1) as client:
        await asyncio.sleep(3)
        seen = []
        for part, (first, last) in enumerate(((1, MESSAGES // 10), (MESSAGES // 10 + 1, MESSAGES))):
            photos = range(first // 10 + 1, last // 10 + 1)
            await asyncio.to_thread(run_sql, place.data / "instalacion", _ENTRIES.format(first=first, last=last))
            await asyncio.gather(send_photos(place, client, photos, 20_000), reached(client, place, done, last))
            seen.append(_memory_of_parts(place))
            assert len(seen) == part + 1
        return seen[0], seen[1]


_ENTRIES: Final = """
INSERT INTO outbox (id, topic, key, body)
SELECT 'entry:' || a.id || ':' || n || ':1', 'entries', 'acta:' || a.id,
    convert_to(json_build_object('acta', a.id, 'ronda', 1000 + n, 'ordinal', 1)::text, 'utf8')
FROM generate_series({first}, {last}) n
JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS actas FROM acta) a
    ON a.place = n % a.actas;
NOTIFY outbox;
"""


def _memory_of_parts(place: NightPlace) -> dict[str, int]:
    """The memory in MB of each kind of part, with its children."""
    found = dict.fromkeys(KINDS, 0)
    for process in psutil.process_iter(["cmdline", "environ"]):
        if (process.info["environ"] or {}).get("PREP_DATA") != place.environment["PREP_DATA"]:
            continue
        for name, module in KINDS.items():
            if [module] == (process.info["cmdline"] or [])[-1:]:
                family = [process, *process.children(recursive=True)]
                found[name] += sum(each.memory_info().rss for each in family) // 10**6
    return found


def _kafka_figure(name: str, value: float, unit: str, target: str, limit: str) -> dict[str, Any]:
    how, bound = target.split()
    met = value >= float(bound) if how == ">=" else value <= float(bound)
    return {
        "name": name,
        "value": round(value, 2 if unit == "×" else 1),
        "unit": unit,
        "target": target,
        "met": met,
        "limit": limit,
    }
