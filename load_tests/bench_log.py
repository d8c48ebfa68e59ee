"""How long the log takes to grow to half a million leaves and to be checked whole, beside the bare hashing of them.

The leaves come in batches of a second of a busy night; each batch is durable, recomputed and signed before the next.
The audit is the command that anybody runs. And how long whoever has a receipt waits for the proof that it promises,
while a whole installation on this machine receives and reads images.
"""

import asyncio
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiohttp
import uvloop

from integrity.log import FileState, Sequencer
from integrity.note import Kind, Signer
from load_tests import night
from load_tests.night import Place, Plan
from load_tests.synthetic import synthetic
from prep.domain.catalog_files import load_catalog

LEAVES: Final = 500_000
LEAF: Final = 300
"""Bytes, about those of a canonical JSON leaf."""
BATCH: Final = 1_000
MOST_SECONDS: Final = 60
A_SECOND: Final = 40
"""Images sent, in the last bench."""
SECONDS: Final = 25
PICTURES: Final = 20
"""Drawn actas; each is sent many times, never the same bytes twice."""
MOST_WAIT: Final = 3.0


def log_500k() -> list[dict[str, Any]]:
    """Append, then audit offline by command."""
    with tempfile.TemporaryDirectory(prefix="bitacora-") as scratch:
        home = Path(scratch)
        signer = Signer.generate("prep.example.mx/bitacora", Kind.LOG)
        leaves = [sha256(b"%d" % number).digest() * (LEAF // 32) + b"." * (LEAF % 32) for number in range(LEAVES)]
        bare = _bare(leaves)
        synced = _synced(home / "suelto", leaves)
        slowest, appended = _append(home, signer, leaves)
        del leaves
        audited = _audit(home / "bitacora", signer)
    return [
        _figure(
            f"bitácora: {LEAVES:,} hojas de {LEAF} bytes, en lotes de {BATCH:,}, a disco y firmadas",
            appended,
            peer=f"hashlib de las mismas hojas y sus padres {bare:.2f} s; los mismos lotes a un archivo con fsync "
            f"{synced:.2f} s; el lote más lento {slowest * 1000:.0f} ms",
        ),
        _figure(
            f"bitácora: auditoría completa de {LEAVES:,} hojas, sin red",
            audited,
            peer=f"hashlib de las mismas hojas y sus padres {bare:.2f} s",
        ),
    ]


def _append(home: Path, signer: Signer, leaves: list[bytes]) -> tuple[float, float]:
    """Seconds of the slowest batch and of all."""
    slowest = 0.0
    began = time.perf_counter()
    with Sequencer(home / "bitacora", signer, FileState(home / "estado" / "cabeza")) as log:
        for batch in _batches(leaves):
            started = time.perf_counter()
            log.append(batch)
            slowest = max(slowest, time.perf_counter() - started)
        assert log.head.size == len(leaves)
    return slowest, time.perf_counter() - began


def _audit(folder: Path, signer: Signer) -> float:
    command = [sys.executable, "-m", "integrity", "audit-log", str(folder), "--key", str(signer.key)]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return time.perf_counter() - began


def _bare(leaves: list[bytes]) -> float:
    """Every hash of the tree, in memory and without any check."""
    began = time.perf_counter()
    level = [sha256(b"\0" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        odd = level[len(level) // 2 * 2 :]
        level = [sha256(b"\1" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        level += odd
    return time.perf_counter() - began


def _synced(path: Path, leaves: list[bytes]) -> float:
    """The same batches at the end of one file, each durable before the next: what the disk takes at least."""
    began = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for batch in _batches(leaves):
            file.write(b"".join(batch))
            os.fsync(file.fileno())
    return time.perf_counter() - began


def _batches(leaves: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(leaves), BATCH):
        yield leaves[start : start + BATCH]


def _figure(name: str, seconds: float, *, peer: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(seconds, 2),
        "unit": "s",
        "target": f"<= {MOST_SECONDS}",
        "met": seconds <= MOST_SECONDS,
        "peer": peer,
    }


# From a receipt to its proof.


def receipt_to_proof() -> list[dict[str, Any]]:
    """`prep serve` without people or cortes: seconds from each receipt to the file that its `prueba` names."""
    folder, sheets = synthetic(20, seed=4)
    plan = Plan("pruebas", folder, load_catalog(folder), sheets, len(sheets), 4, 0.0, 0.0)
    with tempfile.TemporaryDirectory(prefix="pruebas-", ignore_cleanup_errors=True) as scratch:
        settings = {"PREP_START": "2999-01-01T00:00:00-06:00"}
        place = night.prepare(plan, Path(scratch, "datos"), Path(scratch, "publico"), settings)
        pictures = _pictures(plan)
        waits, late = uvloop.run(_wait_for_proofs(place, pictures))
    waits.sort()
    value = waits[int(len(waits) * 0.99)]
    return [
        {
            "name": f"bitácora: del acuse a la prueba de inclusión, percentil 99, {A_SECOND} imágenes/s",
            "value": round(value, 2),
            "unit": "s",
            "target": f"< {MOST_WAIT:.0f}",
            "met": value < MOST_WAIT,
            "peer": f"{len(waits)} imágenes en {SECONDS} s, mediana {waits[len(waits) // 2]:.2f} s, la peor "
            f"{waits[-1]:.2f} s; el envío se retrasó hasta {late:.2f} s",
        }
    ]


def _pictures(plan: Plan) -> list[tuple[Any, bytes]]:
    forms = night.form_of_contest(plan)
    sheets = [sheet for sheet in plan.sheets if sheet.values is not None][:PICTURES]
    return [(sheet, night.picture(plan.seed, forms[sheet.key], sheet)) for sheet in sheets]


async def _wait_for_proofs(place: Place, pictures: list[tuple[Any, bytes]]) -> tuple[list[float], float]:
    """Seconds that each receipt waited for its proof, and by how many an image was sent after its time at worst."""
    clock = asyncio.get_running_loop().time
    waits: list[float] = []
    lates: list[float] = []
    keys = {kind: night.private_key(place.data / f"{device}.pem") for kind, device in night.DEVICES.items()}
    numbers = {kind: itertools.count(1) for kind in night.DEVICES}

    async def one(client: aiohttp.ClientSession, due: float, sheet: Any, picture: bytes) -> None:  # noqa: ANN401
        lates.append(clock() - due)
        number = next(numbers[sheet.kind])
        image = _different(picture)
        receipt = await night.send(client, sheet, image, number=number, key=keys[sheet.kind])
        proof, received = place.public / receipt["acuse"]["prueba"], clock()
        while not await asyncio.to_thread(proof.exists):  # noqa: ASYNC110  # another process makes it
            await asyncio.sleep(0.05)
        waits.append(clock() - received)

    async with night.installation(place), night.speaker(place, A_SECOND) as client, asyncio.timeout(4 * SECONDS):
        began = clock()
        async with asyncio.TaskGroup() as group:
            for number in range(A_SECOND * SECONDS):
                due = began + number / A_SECOND
                await asyncio.sleep(max(0.0, due - clock()))
                sheet, picture = pictures[number % len(pictures)]
                group.create_task(one(client, due, sheet, picture))
    return waits, max(lates)


def _different(picture: bytes) -> bytes:
    """The same JPEG with a comment that no other has."""
    comment = random.randbytes(16).hex().encode()  # noqa: S311  # play, not secrets
    return picture[:2] + b"\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment + picture[2:]
