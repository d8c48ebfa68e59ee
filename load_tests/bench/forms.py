"""How many actas a second go the whole way over HTTP: intake, two captures, rules, count; the client beside it."""

import asyncio
import hashlib
import random
import re
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any, Final

import aiohttp
import uvloop

from prep.files.catalog_files import load_catalog
from prep.rehearsal import night
from prep.rehearsal.drawing import CONDITIONS, PrintedForm, draw
from prep.rehearsal.replay import Sheet
from prep.rehearsal.synthetic import synthetic

NIGHT: Final = 1200
"""Casillas of a night whose second half is as warm as any hour of a longer one."""
AHEAD: Final = 100
"""Images sent and not yet typed twice, at most: what comes in is what goes out, as in the hours of a night."""
LOOK: Final = 0.25
"""Seconds between looks at a counter: each costs the worker what a tenth of an acta does."""
SIZE: Final = (1100, 717)
"""Pixels of the images: they are decoded and read like any other, but the figure is about the forms."""
VERIFIED: Final = r'prep_comparisons_total\{outcome="iguales"\} ([\d.]+)'
"""In the worker's metrics: actas whose two captures agreed."""
DIGITIZED: Final = r'prep_messages_handled_total\{outcome="done",topic="images"\} ([\d.]+)'


@dataclass(slots=True)
class Work:
    """Drawn actas and the night they are of, ready to be sent."""

    plan: night.Plan
    images: Mapping[str, bytes]
    waiting: list[tuple[int, Sheet]] = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = list(enumerate(self.plan.sheets, 1))[::-1]


def drawn(casillas: int, size: tuple[int, int] = SIZE) -> Work:
    """A synthetic state and the picture of each of its actas, of `size` pixels."""
    folder, sheets = synthetic(casillas, seed=11)
    sheets = [sheet for sheet in sheets if sheet.values is not None]
    plan = night.Plan("formas", folder, load_catalog(folder), sheets, len(sheets), seed=11, mistakes=0.0, speed=0.0)
    forms = night.form_of_contest(plan)
    with ProcessPoolExecutor() as pool:
        jobs = {sheet.key: pool.submit(_draw, forms[sheet.key], sheet, size) for sheet in sheets}
        return Work(plan, {key: job.result() for key, job in jobs.items()})


def _draw(form: PrintedForm, sheet: Sheet, size: tuple[int, int]) -> bytes:
    rng = random.Random(sheet.key)
    return draw(form, sheet.values or {}, sheet.qr, rng=rng, condition=CONDITIONS["limpia"], size=size)


async def send_all(
    work: Work,
    place: night.NightPlace,
    client: aiohttp.ClientSession,
    progress: night.Progresses,
    *,
    ahead: float = inf,
) -> None:
    """Every image, as fast as `SENDERS` devices go, but no more than `ahead` of the people who type them."""
    actas = len(work.waiting)
    keys = {kind: night.private_key(place.data / f"{device}.pem") for kind, device in night.DEVICES.items()}

    async def sender() -> None:
        while work.waiting:
            if actas - len(work.waiting) - progress.captures / 2 > ahead:
                await asyncio.sleep(LOOK / 10)
                continue
            number, sheet = work.waiting.pop()
            image = work.images[sheet.key]
            progress.images[hashlib.sha256(image).hexdigest()] = sheet
            await night.send(client, replace(sheet), image, number=number, key=keys[sheet.kind])

    await asyncio.gather(*(sender() for _ in range(night.SENDERS)))


async def count(client: aiohttp.ClientSession, place: night.NightPlace, pattern: str) -> float:
    """A counter of the worker; 0 while it does not answer."""
    metrics = f"http://127.0.0.1:{place.environment['PREP_WORKER_METRICS_PORT']}/metrics"
    try:
        async with client.get(metrics) as response:
            return sum(map(float, re.findall(pattern, await response.text())))
    except aiohttp.ClientError:
        return 0.0


async def reached(client: aiohttp.ClientSession, place: night.NightPlace, pattern: str, wanted: float) -> float:
    """Wait until that counter of the worker, which only a look can tell, is at `wanted`; where it was seen."""
    while (seen := await count(client, place, pattern)) < wanted:  # noqa: ASYNC110
        await asyncio.sleep(LOOK)
    return seen


@dataclass(frozen=True, slots=True)
class Rates:
    """Actas verified a second: of a whole night, and of its middle, where nothing starts and nothing runs dry."""

    whole: float
    """From the first upload to the last verification."""
    warm: float
    """From half of the night until its last image has been sent."""
    seconds: float
    """That the middle lasted."""
    waiting: tuple[float, float]
    """Images sent and not yet verified where it began, and where it ended."""


async def whole_way(work: Work, place: night.NightPlace) -> Rates:
    """A night that nobody waits for, timed."""
    progress, actas = night.Progresses(), len(work.plan.sheets)
    async with (
        night.installation(place),
        night.speaker(place, night.SENDERS + 1) as client,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(night.type_all(work.plan, place, progress))
        while progress.present < night.TYPISTS:  # noqa: ASYNC110  # sessions are open before the clock starts
            await asyncio.sleep(0.1)
        began = time.perf_counter()
        sending = group.create_task(send_all(work, place, client, progress, ahead=AHEAD))
        half = await reached(client, place, VERIFIED, actas // 2)
        warm, sent = time.perf_counter(), actas - len(work.waiting)
        await sending
        most, dry = await count(client, place, VERIFIED), time.perf_counter()
        await reached(client, place, VERIFIED, actas)
        ended = time.perf_counter()
        progress.finished = True
    return Rates(actas / (ended - began), (most - half) / (dry - warm), dry - warm, (sent - half, actas - most))


def forms_per_second() -> list[dict[str, Any]]:
    """Actas verified a second, with everything in one machine's own parts."""
    work = drawn(NIGHT)
    with tempfile.TemporaryDirectory() as scratch:
        place = night.prepare(work.plan, Path(scratch, "datos"), Path(scratch, "publico"), WITHOUT_CORTES)
        return [forms_figure(work, uvloop.run(whole_way(work, place)), "")]


WITHOUT_CORTES: Final = {"PREP_INTERVAL_SECONDS": "3600"}


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
