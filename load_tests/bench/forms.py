"""The number of actas a second that go the whole way over HTTP: intake, two captures, rules, count.

The client runs on the same machine.
"""

import asyncio
import hashlib
import os
import random
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import aiohttp
import psutil
import uvloop

from load_tests.bench.digitize import SCAN, cpu_ms, decode_plainly
from prep.files.catalog_files import load_catalog
from prep.rehearsal.devices import SENDERS, form_of_contest, private_key, send
from prep.rehearsal.drawing.acta import draw
from prep.rehearsal.drawing.camera import CONDITIONS
from prep.rehearsal.drawing.press import PrintedForm
from prep.rehearsal.installation import DEVICES, NightPlace, installation, people, prepare, rehearsal_night, speaker
from prep.rehearsal.plan import Plan, Progresses
from prep.rehearsal.replay import Sheet
from prep.rehearsal.synthetic import synthetic
from prep.rehearsal.typists import type_all

NIGHT: Final = 1200
"""Number of casillas. With so many, the second half of the night is as warm as an hour of a longer night."""
AHEAD: Final = 100
"""At most this many images are sent and not yet typed twice: actas arrive as fast as they leave, as on a real night."""
LOOK: Final = 0.25
"""Seconds between two looks at a counter. A look costs the worker a tenth of the work of an acta."""
SIZE: Final = (1100, 717)
"""Pixels of the images. They are small, because this figure is about the captures and not about decoding."""
SCANNED: Final = 300
"""Number of casillas whose images are as large as scans."""
SAMPLE: Final = 100
"""Images of the night on which the bare work is measured."""
MOST_CPU: Final = 2.2
VERIFIED: Final = r'prep_comparisons_total\{outcome="iguales"\} ([\d.]+)'
"""The counter in the worker's metrics of actas with two equal captures."""
DIGITIZED: Final = r'prep_messages_handled_total\{outcome="done",topic="images"\} ([\d.]+)'


@dataclass(slots=True)
class Work:
    """A night and its drawn actas, ready to be sent."""

    plan: Plan
    images: Mapping[str, bytes]
    waiting: list[tuple[int, Sheet]] = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = list(enumerate(self.plan.sheets, 1))[::-1]


def drawn(casillas: int, size: tuple[int, int] = SIZE) -> Work:
    """A synthetic state and the image of each of its actas, of `size` pixels."""
    folder, sheets = synthetic(casillas, seed=11)
    sheets = [sheet for sheet in sheets if sheet.values is not None]
    plan = Plan("formas", folder, load_catalog(folder), sheets, len(sheets), seed=11, mistakes=0.0, speed=0.0)
    forms = form_of_contest(plan)
    with ProcessPoolExecutor() as pool:
        jobs = {sheet.key: pool.submit(_draw_clean, forms[sheet.key], sheet, size) for sheet in sheets}
        return Work(plan, {key: job.result() for key, job in jobs.items()})


def _draw_clean(form: PrintedForm, sheet: Sheet, size: tuple[int, int]) -> bytes:
    rng = random.Random(sheet.key)
    return draw(form, sheet.values or {}, sheet.qr, rng=rng, condition=CONDITIONS["limpia"], size=size)


async def send_all(
    work: Work, place: NightPlace, client: aiohttp.ClientSession, progress: Progresses, *, ahead: float = inf
) -> None:
    """Send all images with `SENDERS` devices, as fast as they can, but at most `ahead` images before the people."""
    actas = len(work.waiting)
    keys = {kind: private_key(place.data / f"{device}.pem") for kind, device in DEVICES.items()}

    async def sender() -> None:
        while work.waiting:
            if actas - len(work.waiting) - progress.captures / 2 > ahead:
                await asyncio.sleep(LOOK / 10)
                continue
            number, sheet = work.waiting.pop()
            image = work.images[sheet.key]
            progress.images[hashlib.sha256(image).hexdigest()] = sheet
            await send(client, replace(sheet), image, number=number, key=keys[sheet.kind])

    await asyncio.gather(*(sender() for _ in range(SENDERS)))


async def count(client: aiohttp.ClientSession, place: NightPlace, pattern: str) -> float:
    """The value of a counter of the worker; 0 while the worker does not answer."""
    metrics = f"http://127.0.0.1:{place.environment['PREP_WORKER_METRICS_PORT']}/metrics"
    try:
        async with client.get(metrics) as response:
            return sum(map(float, re.findall(pattern, await response.text())))
    except aiohttp.ClientError:
        return 0.0


async def reached(client: aiohttp.ClientSession, place: NightPlace, pattern: str, wanted: float) -> float:
    """Look at a counter of the worker until it is at `wanted` or more; return the value seen."""
    while (seen := await count(client, place, pattern)) < wanted:  # noqa: ASYNC110
        await asyncio.sleep(LOOK)
    return seen


@dataclass(frozen=True, slots=True)
class Rates:
    """Actas verified a second: of the whole night, and of its middle, without the start and the end."""

    whole: float
    """From the first upload to the last verification."""
    warm: float
    """In the middle: from half of the verifications to the last upload."""
    seconds: float
    """Length of the middle."""
    waiting: tuple[float, float]
    """Number of images sent and not yet verified, at the beginning and at the end of the middle."""
    parts: Mapping[str, float]
    """Processor time (ms) for one acta by kind of process, without the client, from the first upload to the last
    verification."""
    bare_ms: float
    """Processor time to decode an image of the night, look for its QR once and hash it, right after it on all cores."""

    @property
    def cpu_ms(self) -> float:
        """Processor time for one acta, of every process but the client."""
        return sum(self.parts.values())


async def whole_way(work: Work, place: NightPlace) -> Rates:
    """Play a night as fast as possible and measure it."""
    progress, actas = Progresses(), len(work.plan.sheets)
    async with (
        installation(place),
        speaker(place, SENDERS + 1) as client,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(type_all(work.plan, place, progress))
        # Passwords are slow to check on purpose; this time is not part of the figure.
        while progress.present < sum(map(len, people(work.plan).values())):  # noqa: ASYNC110  # sessions are open before the clock starts
            await asyncio.sleep(0.1)
        began, spent = time.perf_counter(), _cpu_seconds(place)
        sending = group.create_task(send_all(work, place, client, progress, ahead=AHEAD))
        # The middle begins here: caches are warm and the queues are as full as they get.
        half = await reached(client, place, VERIFIED, actas // 2)
        warm, sent = time.perf_counter(), actas - len(work.waiting)
        await sending
        most, dry = await count(client, place, VERIFIED), time.perf_counter()
        await reached(client, place, VERIFIED, actas)
        ended, now_spent = time.perf_counter(), _cpu_seconds(place)
        progress.finished = True
    return Rates(
        actas / (ended - began),
        (most - half) / (dry - warm),
        dry - warm,
        (sent - half, actas - most),
        {kind: 1000 * (seconds - spent.get(kind, 0)) / actas for kind, seconds in now_spent.items()},
        _bare_ms([*work.images.values()][:SAMPLE]),
    )


def _bare_ms(images: Sequence[bytes]) -> float:
    """Processor time (ms) of the bare work on one of these images, while every core does it.

    In the night every core is busy too, and two cores of a rented machine are often halves of one.
    """
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores) as pool:
        return fmean([job.result() for job in [pool.submit(cpu_ms, decode_plainly, images) for _ in range(cores)]])


def _cpu_seconds(place: NightPlace) -> Mapping[str, float]:
    """Processor time until now of the night's processes, by kind: parts, decoders, PostgreSQL, brokers.

    All of them name the folder of the night in their environment, or in their own words. None ends during the night.
    """
    home, spent = str(place.data.parent), defaultdict[str, float](float)
    for process in psutil.process_iter(["name", "cmdline", "cwd", "environ", "cpu_times"]):
        about = process.info
        words = about["cmdline"] or [""]
        where = [*words, about["cwd"] or "", (about["environ"] or {}).get("PREP_DATA", "")]
        if any(home in each for each in where) and process.pid != os.getpid():
            python = "decoders" if "--multiprocessing-fork" in words else words[-1]
            kind = {"postgres": "PostgreSQL", "java": "Kafka"}.get(about["name"], python)
            spent[kind] += about["cpu_times"].user + about["cpu_times"].system
    return spent


def forms_per_second() -> list[dict[str, Any]]:
    """Actas verified a second, with the bus and the blob store that need no other programs."""
    work = drawn(NIGHT)
    with tempfile.TemporaryDirectory() as scratch:
        place = prepare(work.plan, Path(scratch, "datos"), Path(scratch, "publico"), {}, WITHOUT_CORTES)
        return [forms_figure(work, uvloop.run(whole_way(work, place)), "")]


def cpu_of_an_acta() -> list[dict[str, Any]]:
    """Processor time of a whole acta against the bare work on its picture, which is as large as a scan."""
    work = drawn(SCANNED, SCAN)
    with tempfile.TemporaryDirectory() as scratch:
        place = prepare(work.plan, Path(scratch, "datos"), Path(scratch, "publico"), {}, WITHOUT_CORTES)
        return [cpu_figure(work, uvloop.run(whole_way(work, place)), "")]


WITHOUT_CORTES: Final = rehearsal_night(interval=3600)


def cpu_figure(work: Work, rates: Rates, where: str) -> dict[str, Any]:
    return {
        "name": f"CPU de un acta, todo menos el cliente, frente a decodificar + QR + SHA-256 de su imagen{where}",
        "value": round(rates.cpu_ms / rates.bare_ms, 2),
        "unit": "veces",
        "target": f"<= {MOST_CPU}",
        "met": rates.cpu_ms <= MOST_CPU * rates.bare_ms,
        "limit": f"{rates.cpu_ms:.1f} ms frente a {rates.bare_ms:.1f} ms ("
        f"{', '.join(f'{kind} {ms:.1f}' for kind, ms in sorted(rates.parts.items()))}), en toda una noche de "
        f"{len(work.plan.sheets)} actas con imágenes de {SCAN[0]}×{SCAN[1]}; dos capturas cada una",
    }


def forms_figure(work: Work, rates: Rates, where: str) -> dict[str, Any]:
    before, after = rates.waiting
    return {
        "name": f"actas por segundo en plena noche, de la recepción a la cuenta (dos capturas, reglas, HTTP){where}",
        "value": round(rates.warm, 1),
        "unit": "actas/s",
        "target": ">= 50",
        "met": rates.warm >= 50,
        "limit": f"{rates.seconds:.0f} s desde la mitad de {len(work.plan.sheets)} actas hasta el último envío; en "
        f"espera, {before:.0f} al empezar y {after:.0f} al terminar; la noche entera: {rates.whole:.1f}/s; "
        f"imágenes de {SIZE[0]}×{SIZE[1]}, cliente en la misma máquina",
    }
