"""The time to check the images of a published tree, against the bare hashing of the same bytes in the same run."""

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any, Final

from integrity.report import Result
from integrity.verify import verify
from load_tests.bench.cortes import night

IMAGES: Final = 10_000
BYTES: Final = 400_000
THREADS: Final = 2
ROUNDS: Final = 3
MOST: Final = 1.3


def verify_images() -> list[dict[str, Any]]:
    """A corte with 10,000 new images: the time of the whole `integrity verify`, and of its part about the images."""
    with night(IMAGES, 1, in_place=0, image=BYTES) as installation:
        installation.cut()
        images = sorted((installation.public / "imagenes").glob("*/*"))
        rounds = [(_seconds_to_hash(images), *_seconds_to_verify(installation.public)) for _ in range(ROUNDS)]
    bare, part, whole = (median(each) for each in zip(*rounds, strict=True))
    return [
        {
            "name": f"verificar {len(images):,} imágenes de {BYTES // 1000} KB, frente a sus huellas con dos hilos",
            "value": round(part / bare, 2),
            "unit": "×",
            "target": f"<= {MOST}",
            "met": part / bare <= MOST,
            "peer": f"huellas {bare:.2f} s; imágenes {part:.2f} s; todo el árbol, con filas y páginas, {whole:.2f} s",
        }
    ]


def _seconds_to_hash(images: Sequence[Path]) -> float:
    """Seconds to hash all images, in `THREADS` threads."""
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        assert len(list(pool.map(_image_digest, images))) == IMAGES
    return time.perf_counter() - began


def _image_digest(image: Path) -> str:
    with image.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _seconds_to_verify(public: Path) -> tuple[float, float]:
    """Seconds of the check of the images alone (their list and every digest), and of the whole verification."""
    told: list[tuple[str, float]] = []
    began = time.perf_counter()
    report = verify(str(public), lambda step: told.append((step, time.perf_counter())))
    ended = time.perf_counter()
    found = {check.id: check for check in report.checks}
    assert found["COM-05"].result is Result.OK  # other checks fail, and rightly: this night was made in the database
    assert (found["INT-04"].result, found["INT-04"].compared) == (Result.OK, IMAGES)
    first = next(number for number, (step, _) in enumerate(told) if step == f"{IMAGES} imágenes")
    return told[first + 1][1] - told[first][1], ended - began
