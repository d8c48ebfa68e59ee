"""Times of the log: to append half a million leaves, to audit them all, to prove a corte, and from receipt to proof.

The leaves come in batches; a batch is one second of a busy night. Each batch is durable, recomputed and signed before
the next. The audit is the public command. Beside these times stands the bare hashing of the same leaves. The time from
a receipt to the proof that it promises is measured while an installation on this machine receives and reads images.
"""

import asyncio
import itertools
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiohttp
import uvloop

from integrity.log.note import SignatureKind, Signer
from integrity.log.writer import FileState, Sequencer
from load_tests.bench import cortes as bench_cortes
from load_tests.psql import run_sql
from prep.files.catalog_files import load_catalog
from prep.rehearsal.devices import form_of_contest, picture, private_key, send
from prep.rehearsal.installation import (
    DEVICES,
    NightPlace,
    command_line,
    installation,
    prepare,
    speaker,
)
from prep.rehearsal.plan import Plan
from prep.rehearsal.synthetic import synthetic

LEAVES: Final = 500_000
LEAF: Final = 300
"""Bytes of a leaf, about as many as a real one has in canonical JSON."""
BATCH: Final = 1_000
TURN: Final = 50 * BATCH
MOST_SECONDS: Final = 60
ACTAS: Final = 20_000
CUTS: Final = 3
MOST_MORE: Final = 10
"""The log may make a corte longer by this per cent."""
A_SECOND: Final = 40
"""Images sent each second, for the time from receipt to proof."""
SECONDS: Final = 60
PATIENCE: Final = 25
"""Every proof must exist this many seconds after the last image."""
BYTES: Final = 400_000
"""Size of each image."""
LONGEST_COMMENT: Final = 60_000
PICTURES: Final = 20
"""Number of drawn actas. Each is sent many times, every time with different bytes."""
MOST_WAIT: Final = 3.0


def log_500k() -> list[dict[str, Any]]:
    """The times to append the leaves and to audit them with the command, without network."""
    with tempfile.TemporaryDirectory(prefix="bitacora-") as scratch:
        home = Path(scratch)
        signer = Signer.generate("prep.example.mx/bitacora", SignatureKind.LOG)
        leaves = [sha256(b"%d" % number).digest() * (LEAF // 32) + b"." * (LEAF % 32) for number in range(LEAVES)]
        synced = _bare_sync_seconds(home / "suelto", leaves)
        slowest, append, hashed = _append_and_hash(home, signer, leaves)
        before, audit, after = _Watch(), _Watch(), _Watch()
        with before:
            _hash_all(leaves)
        with audit:
            _audit(home / "bitacora", signer)
        with after:
            _hash_all(leaves)
    both = (before.seconds + after.seconds) / 2, (before.processor + after.processor) / 2
    same = "hashlib de las mismas hojas y sus padres {:.2f} s"
    by_processor = same + "; en tiempo de procesador, que no espera al disco ni a otros programas: {:.2f} ×"
    return [
        _log_figure(
            f"bitácora: {LEAVES:,} hojas de {LEAF} bytes, en lotes de {BATCH:,}, a disco y firmadas",
            append.seconds,
            peer=f"{same.format(hashed.seconds)}; los mismos lotes a un archivo con fsync {synced:.2f} s; "
            f"el lote más lento {slowest * 1000:.0f} ms",
        ),
        _log_figure(
            "bitácora: agregar las hojas / sus huellas",
            append.seconds / hashed.seconds,
            unit="×",
            most=6,
            peer=by_processor.format(hashed.seconds, append.processor / hashed.processor),
        ),
        _log_figure(
            f"bitácora: auditoría completa de {LEAVES:,} hojas, sin red", audit.seconds, peer=same.format(both[0])
        ),
        _log_figure(
            "bitácora: auditarlas / sus huellas",
            audit.seconds / both[0],
            unit="×",
            most=2,
            peer=by_processor.format(both[0], audit.processor / both[1]),
        ),
    ]


class _Watch:
    """Runs inside each `with` block, and adds up what it measured in them."""

    def __init__(self) -> None:
        self.seconds = self.processor = 0.0
        """The second is processor time of this process and of its children that have ended."""

    def __enter__(self) -> None:
        self.processor -= _processor_seconds()
        self.seconds -= time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter()
        self.processor += _processor_seconds()


def _processor_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _append_and_hash(home: Path, signer: Signer, leaves: list[bytes]) -> tuple[float, _Watch, _Watch]:
    """Seconds of the slowest batch; all batches together; the bare hashes of the same leaves.

    They take turns, fifty batches each: a shared machine changes its speed within seconds.
    """
    slowest, append, bare = 0.0, _Watch(), _Watch()
    with append:
        log = Sequencer(home / "bitacora", signer, FileState(home / "estado" / "cabeza"))
    for turn in _batches_of_leaves(leaves, TURN):
        with append:
            for batch in _batches_of_leaves(turn):
                started = time.perf_counter()
                log.append(batch)
                slowest = max(slowest, time.perf_counter() - started)
        with bare:
            _hash_all(turn)
    with append:
        assert log.head.size == len(leaves)
        log.close()
    return slowest, append, bare


def _audit(folder: Path, signer: Signer) -> None:
    command = [command_line("integrity"), "audit-log", str(folder), "--key", str(signer.key)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _hash_all(leaves: list[bytes]) -> None:
    """Compute every hash of the tree of these leaves in memory, without any check."""
    level = [sha256(b"\0" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        # A node without a partner goes up to the next level as it is (RFC 6962).
        odd = level[len(level) // 2 * 2 :]
        level = [sha256(b"\1" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        level += odd


def _bare_sync_seconds(path: Path, leaves: list[bytes]) -> float:
    """Seconds to append the same batches to one file, with fsync after each: the least time that the disk needs."""
    began = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for batch in _batches_of_leaves(leaves):
            file.write(b"".join(batch))
            os.fsync(file.fileno())
    return time.perf_counter() - began


def _batches_of_leaves(leaves: list[bytes], size: int = BATCH) -> Iterator[list[bytes]]:
    for start in range(0, len(leaves), size):
        yield leaves[start : start + size]


def _log_figure(name: str, value: float, *, peer: str, unit: str = "s", most: float = 0) -> dict[str, Any]:
    """A figure that may be at most `most`; 0: it is information, because machines differ."""
    return {
        "name": name,
        "value": round(value, 2),
        "unit": unit,
        "target": f"<= {most:g}" if most else ">= 0",
        "met": not most or value <= most,
        "peer": peer,
    }


# The cost of the log for a corte.


def corte_with_log() -> list[dict[str, Any]]:
    """How much longer a corte takes with a log that is up to date than without a log, in percent."""
    with bench_cortes.night(ACTAS, 1) as installation:
        installation.cut()  # publishes the new actas, so that all compared cortes have the same content
        bare = sorted((installation.cut() for _ in range(CUTS)), key=_cut_total)
        with _running_sequencer(installation):
            logged = sorted((installation.cut() for _ in range(CUTS)), key=_cut_total)
    before, after = bare[CUTS // 2], logged[CUTS // 2]
    more = round(100 * (after.total / before.total - 1), 1)
    return [
        {
            "name": f"corte de {ACTAS:,} actas con bitácora, más que sin ella",
            "value": more,
            "unit": "%",
            "target": f"<= {MOST_MORE}",
            "met": more <= MOST_MORE,
            "peer": f"medianas de {CUTS}: sin bitácora {before.total:.2f} s "
            f"({bare[0].total:.2f} a {bare[-1].total:.2f}), con ella {after.total:.2f} s "
            f"({logged[0].total:.2f} a {logged[-1].total:.2f}), de ellos {after.seconds.get('proof', 0):.2f} s de "
            "esperar su prueba",
        }
    ]


def _cut_total(cut: bench_cortes.Cut) -> float:
    return cut.total


@contextmanager
def _running_sequencer(installation: bench_cortes.Installation) -> Iterator[None]:
    """Keep a sequencer running inside the `with` block.

    At its begin the log is up to date: the last corte has its proof.
    """
    last = max((installation.public / "cortes").iterdir())
    environment = {**installation.environment, "PREP_SEQUENCER_METRICS_PORT": "0"}
    command = [command_line(), "sequencer"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + MOST_SECONDS
            while not (last / "SHA256SUMS.tlog-proof").exists():
                if time.monotonic() > deadline:
                    raise TimeoutError("the log did not come")
                time.sleep(0.1)
            yield
        finally:
            process.terminate()


# From a receipt to its proof.


def receipt_to_proof() -> list[dict[str, Any]]:
    """Seconds from a receipt to the proof file that its `prueba` names, with `prep serve` without people or cortes."""
    folder, sheets = synthetic(20, seed=4)
    plan = Plan("pruebas", folder, load_catalog(folder), sheets, len(sheets), 4, 0.0, 0.0)
    with tempfile.TemporaryDirectory(prefix="pruebas-", ignore_cleanup_errors=True) as scratch:
        place = prepare(plan, Path(scratch, "datos"), Path(scratch, "publico"), {}, bench_cortes.NEVER)
        seen = uvloop.run(_send_and_await_proofs(place, _large_pictures(plan)))
    waits, receipts, lates = sorted(seen.waits), sorted(seen.receipts), sorted(seen.lates)
    value = _percentile(waits, 99)
    size = f"{BYTES // 1000} KB"
    return [
        {
            "name": f"bitácora: del acuse a la prueba de inclusión, percentil 99, {A_SECOND} imágenes/s de {size}",
            "value": round(value, 2),
            "unit": "s",
            "target": f"< {MOST_WAIT:.0f}",
            "met": value < MOST_WAIT,
            "peer": f"{len(waits)} imágenes en {SECONDS} s; mediana {_percentile(waits, 50):.2f} s, la peor "
            f"{waits[-1]:.2f} s; del envío al acuse, mediana {_percentile(receipts, 50):.2f} s, percentil 99 "
            f"{_percentile(receipts, 99):.2f} s; el envío se retrasó hasta {lates[-1]:.2f} s; al terminar faltaban por "
            f"leer {seen.unread} imágenes",
        }
    ]


def _percentile(ordered: Sequence[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _large_pictures(plan: Plan) -> list[tuple[Any, bytes]]:
    """The first actas of the plan, drawn, each filled up to the size of a photo."""
    forms = form_of_contest(plan)
    sheets = [sheet for sheet in plan.sheets if sheet.values is not None][:PICTURES]
    return [(sheet, _as_large_as_a_photo(picture(plan.seed, forms[sheet.key], sheet))) for sheet in sheets]


@dataclass(slots=True)
class _Seen:
    """Seconds for each image: from its due time to the upload, from there to the receipt, from there to the proof."""

    lates: list[float] = field(default_factory=list)
    receipts: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    unread: int = 0
    """Number of images that were not digitized yet when the last proof existed."""


async def _send_and_await_proofs(place: NightPlace, pictures: list[tuple[Any, bytes]]) -> _Seen:
    """Start the installation, send the images at fixed times, and wait until every proof exists."""
    clock = asyncio.get_running_loop().time
    seen, waiting = _Seen(), dict[Path, float]()
    keys = {kind: private_key(place.data / f"{device}.pem") for kind, device in DEVICES.items()}
    numbers = {kind: itertools.count(1) for kind in DEVICES}

    async def send_one(client: aiohttp.ClientSession, due: float, sheet: Any, picture: bytes) -> None:  # noqa: ANN401
        began = clock()
        seen.lates.append(began - due)
        image = _with_random_comment(picture)
        receipt = await send(client, sheet, image, number=next(numbers[sheet.kind]), key=keys[sheet.kind])
        now = clock()
        seen.receipts.append(now - began)
        waiting[place.public / receipt["acuse"]["prueba"]] = now

    async def watch_proofs() -> None:
        while len(seen.waits) < A_SECOND * SECONDS:
            # A proof file gets its name only when it is complete, so its existence is enough.
            there = [path for path in waiting if path.exists()]
            now = clock()
            seen.waits += [now - waiting.pop(path) for path in there]
            await asyncio.sleep(0.02)

    async with installation(place), speaker(place, A_SECOND) as client, asyncio.timeout(SECONDS + PATIENCE):
        began = clock()
        async with asyncio.TaskGroup() as group:
            group.create_task(watch_proofs())
            for number in range(A_SECOND * SECONDS):
                # Send at fixed times and not after the last answer: a slow installation must not slow the load down.
                due = began + number / A_SECOND
                await asyncio.sleep(max(0.0, due - clock()))
                sheet, picture = pictures[number % len(pictures)]
                group.create_task(send_one(client, due, sheet, picture))
        seen.unread = await asyncio.to_thread(_count_undigitized, place)
    return seen


def _count_undigitized(place: NightPlace) -> int:
    data = Path(place.environment["PREP_DATA"])
    return int(run_sql(data, "SELECT count(*) FROM image_current WHERE state = 'recibida'"))


def _with_random_comment(picture: bytes) -> bytes:
    """The same JPEG with a random comment inside, so that its digest differs."""
    return _with_comment(picture, random.randbytes(16).hex().encode())


def _as_large_as_a_photo(picture: bytes) -> bytes:
    """The same JPEG, filled with comments up to `BYTES` bytes."""
    while len(picture) < BYTES:
        picture = _with_comment(picture, b"x" * min(LONGEST_COMMENT, BYTES - len(picture)))
    return picture


def _with_comment(picture: bytes, comment: bytes) -> bytes:
    return picture[:2] + b"\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment + picture[2:]
