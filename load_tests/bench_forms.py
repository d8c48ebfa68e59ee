"""How many actas a second go the whole way over HTTP: intake, two captures, rules, count; the client beside it."""

import asyncio
import hashlib
import random
import re
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import uvloop

from load_tests import night
from load_tests.actas import CONDITIONS, Form, draw
from load_tests.replay import Sheet
from load_tests.synthetic import synthetic
from prep.domain.catalog_files import load_catalog

CASILLAS: Final = 400
SIZE: Final = (1100, 717)
"""Pixels of the images: they are decoded and read like any other, but the figure is about the forms."""


def forms_per_second() -> list[dict[str, Any]]:
    """Actas verified a second, from the first upload to the last verification."""
    folder, sheets = synthetic(CASILLAS, seed=11)
    catalog = load_catalog(folder)
    sheets = [sheet for sheet in sheets if sheet.values is not None]
    plan = night.Plan("formas", folder, catalog, sheets, len(sheets), 11, mistakes=0.0, speed=0.0)
    with tempfile.TemporaryDirectory() as scratch:
        place = night.prepare(
            plan, Path(scratch) / "datos", Path(scratch) / "publico", {"PREP_INTERVAL_SECONDS": "3600"}
        )
        images = _drawn(plan)
        seconds = uvloop.run(_measure(plan, place, images))
    rate = len(sheets) / seconds
    return [
        {
            "name": "actas de extremo a extremo por segundo (recepción, dos capturas, reglas, HTTP)",
            "value": round(rate, 1),
            "unit": "actas/s",
            "target": ">= 50",
            "met": rate >= 50,  # noqa: PLR2004
            "limit": f"{len(sheets)} actas, imágenes de {SIZE[0]}×{SIZE[1]}, cliente en la misma máquina",
        }
    ]


def _drawn(plan: night.Plan) -> dict[str, bytes]:
    forms = night.form_of_contest(plan)
    with ProcessPoolExecutor() as pool:
        jobs = {sheet.key: pool.submit(_draw, forms[sheet.key], sheet) for sheet in plan.sheets}
        return {key: job.result() for key, job in jobs.items()}


def _draw(form: Form, sheet: Sheet) -> bytes:
    rng = random.Random(sheet.key)  # noqa: S311  # play, not secrets
    return draw(form, sheet.values or {}, sheet.qr, rng=rng, condition=CONDITIONS["limpia"], size=SIZE)


async def _measure(plan: night.Plan, place: night.Place, images: dict[str, bytes]) -> float:
    progress = night.Progresses()
    keys = {kind: night.private_key(place.data / f"{device}.pem") for kind, device in night.DEVICES.items()}
    waiting = list(enumerate(plan.sheets, 1))[::-1]

    async def sender(client: aiohttp.ClientSession) -> None:
        while waiting:
            number, sheet = waiting.pop()
            progress.images[hashlib.sha256(images[sheet.key]).hexdigest()] = sheet
            await night.send(client, replace(sheet), images[sheet.key], number=number, key=keys[sheet.kind])

    async def finish(client: aiohttp.ClientSession) -> None:
        """The worker's own gauge says when every acta is verified."""
        metrics = f"http://127.0.0.1:{place.environment['PREP_WORKER_METRICS_PORT']}/metrics"
        while True:
            async with client.get(metrics) as response:
                text = await response.text()
            counted = re.findall(r'prep_actas\{estado="(?:Verificada|Publicada)"\} ([\d.]+)', text)
            if sum(map(float, counted)) >= len(plan.sheets):
                progress.finished = True
                return
            await asyncio.sleep(0.2)

    async with night.installation(place), night.speaker(place, night.SENDERS) as client:
        typing = asyncio.create_task(night.type_all(plan, place, progress))
        await asyncio.sleep(3)  # sessions are open before the clock starts
        started = time.perf_counter()
        await asyncio.gather(*(sender(client) for _ in range(night.SENDERS)), finish(client))
        seconds = time.perf_counter() - started
        await typing
    return seconds
