"""How long the log takes to grow to half a million leaves and to be checked whole, beside the bare hashing of them.

The leaves come in batches of a second of a busy night; each batch is durable, recomputed and signed before the next.
The audit is the command that anybody runs.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from integrity.log import FileState, Sequencer
from integrity.note import Kind, Signer

LEAVES: Final = 500_000
LEAF: Final = 300
"""Bytes, about those of a canonical JSON leaf."""
BATCH: Final = 1_000
MOST_SECONDS: Final = 60


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
