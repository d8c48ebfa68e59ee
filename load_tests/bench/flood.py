"""A flood on the results site beside the intake of images: how long a device waits for a receipt, with it and without.

Three sets of processes on one machine: `prep capture`, which takes images in; nginx, which serves the published tree as
deploy/nginx sets it, with its limits; and the crowd, which asks for pages from many addresses. On a real night the
first two stand on machines of their own, so this is the worst case. Images come at a steady rate, not as fast as they
can: a device in the field does not wait for the others. Calm, flood, calm: the second calm tells how much the machine
itself changed.
"""

import asyncio
import multiprocessing
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

import aiohttp
import uvloop

from load_tests.bench.bench import Figure
from load_tests.bench.forms import WITHOUT_CORTES, drawn
from load_tests.bench.kafka import IMAGE_BYTES, noise_photo, photo_with_number
from load_tests.bench.site import nginx_serving
from prep.rehearsal.devices import private_key, send
from prep.rehearsal.installation import DEVICES, NightPlace, installation, order, prepare, speaker
from prep.rehearsal.replay import Sheet

UPLOADS: Final = 240
"""Of each of the three parts."""
RATE: Final = 6.0
"""Images a second: more than the peak of a large state (docs/measurements.md)."""
ADDRESSES: Final = 40
"""Readers that ask at the same time, each from an address of its own."""
ASKED: Final = 3000
"""Pages a second that the crowd asks for, at most. The night with most visits had 1,200 a second."""
PAGES: Final = ("index.html", "GOB/index.html", "index.json", "estilo.css", "sitio.js", "casilla.html")


def flood() -> list[Figure]:
    """The wait for a receipt under a flood of pages, as a ratio to the same without it. Without nginx: no figure."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if nginx is None:
        return []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        place = prepare(drawn(10).plan, folder / "datos", folder / "publico", {}, WITHOUT_CORTES)
        order(place, "publish", "--zero")
        with nginx_serving(nginx, place.public, limited=True) as (port, _):
            before, under, after, answers = uvloop.run(_three_parts(place, port))
    calm = sorted([*before, *after])
    told = {
        "calm_ms": _both(calm),
        "flood_ms": _both(under),
        "calm_before_ms": _both(before),
        "calm_after_ms": _both(after),
        "pages_a_second": round(answers[200] / (UPLOADS / RATE)),
        "refused_a_second": round(answers[429] / (UPLOADS / RATE)),
    }
    each = f"{UPLOADS} imágenes de {IMAGE_BYTES // 1000} kB en cada parte, {RATE:g} por segundo; {ADDRESSES} lectores"
    return [
        _figure(f"espera del acuse con una avalancha en el sitio, {name}", _at(under, part) / _at(calm, part), each)
        | {"limit": told}
        for name, part in (("mediana", 0.5), ("percentil 99", 0.99))
    ]


def _figure(name: str, value: float, each: str) -> Figure:
    return {
        "name": name,
        "value": round(value, 2),
        "unit": "veces",
        "target": "<= 2",
        "met": value <= 2,
        "peer": each,
    }


def _at(waits: Sequence[float], part: float) -> float:
    return sorted(waits)[int((len(waits) - 1) * part)]


def _both(waits: Sequence[float]) -> list[float]:
    """Median and 99th percentile in ms."""
    return [round(1000 * _at(waits, part), 1) for part in (0.5, 0.99)]


async def _three_parts(place: NightPlace, port: int) -> tuple[list[float], list[float], list[float], Counter[int]]:
    """Seconds of each wait in calm, under the flood, and in calm again; and the statuses that the crowd got."""
    async with installation(place, "capture"), speaker(place, 64) as client:
        await _send_steadily(place, client, range(1, 41))  # what every process does once is done now
        before = await _send_steadily(place, client, range(100, 100 + UPLOADS))
        spawn = multiprocessing.get_context("spawn")
        over, said = spawn.Event(), spawn.Queue()
        crowd = spawn.Process(target=_crowd, args=(port, over, said), daemon=True)
        crowd.start()
        try:
            await asyncio.sleep(3)  # until it is there
            under = await _send_steadily(place, client, range(1000, 1000 + UPLOADS))
        finally:
            over.set()
        answers = Counter[int](await asyncio.to_thread(said.get, timeout=60))
        await asyncio.to_thread(crowd.join, 60)
        after = await _send_steadily(place, client, range(2000, 2000 + UPLOADS))
    return before, under, after, answers


async def _send_steadily(place: NightPlace, client: aiohttp.ClientSession, numbers: Sequence[int]) -> list[float]:
    """Begin one image every `1 / RATE` seconds, also if others are late. The wait counts from when it was due."""
    photo = noise_photo(IMAGE_BYTES)
    sheet = Sheet("", "", "", None, None, datetime.now(UTC), "CATD", "escaner", "", "Acta PREP")
    key = private_key(place.data / f"{DEVICES['escaner']}.pem")
    began = time.perf_counter()

    async def one(place_in_line: int, number: int) -> float:
        due = began + place_in_line / RATE
        await asyncio.sleep(due - time.perf_counter())
        await send(client, sheet, photo_with_number(photo, number), number=number, key=key)
        return time.perf_counter() - due

    return await asyncio.gather(*(one(*each) for each in enumerate(numbers)))


def _crowd(port: int, over: Event, said: "multiprocessing.Queue[dict[int, int]]") -> None:
    """Ask for pages until `over`; tells how many answers had each status. It stands for other machines: it yields."""
    os.nice(10)
    said.put(dict(uvloop.run(_ask_all(port, over))))


async def _ask_all(port: int, over: Event) -> Counter[int]:
    found: Counter[int] = Counter()
    await asyncio.gather(*(_ask(port, reader, over, found) for reader in range(ADDRESSES)))
    return found


async def _ask(port: int, reader: int, over: Event, found: Counter[int]) -> None:
    """One reader: it asks again as soon as its turn comes, and comes back if it is sent away."""
    turn, began = 0, time.perf_counter()
    while not over.is_set():
        with suppress(OSError, asyncio.IncompleteReadError, ValueError):
            read, write = await asyncio.open_connection("127.0.0.1", port, local_addr=(f"127.0.1.{reader + 1}", 0))
            try:
                while not over.is_set():
                    await asyncio.sleep(began + turn * ADDRESSES / ASKED - time.perf_counter())
                    page = PAGES[turn % len(PAGES)]
                    turn += 1
                    write.write(f"GET /{page} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n".encode())
                    found[await _answer(read)] += 1
            finally:
                write.close()
        found[0] += not over.is_set()
        await asyncio.sleep(0.05)


async def _answer(read: asyncio.StreamReader) -> int:
    """The status of one answer, after its body."""
    head = (await read.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if "content-length:" in head:
        await read.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
    elif "chunked" in head:
        while size := int((await read.readline()).strip(), 16):
            await read.readexactly(size + 2)
        await read.readline()
    return int(head.split(" ", 2)[1])
