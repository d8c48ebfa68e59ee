"""The cost of digitizing an image and the share of QR codes read, beside the bare libraries on the same images.

Run by `load_tests.bench`. It measures functions of `prep.scan` in this process: no HTTP, no database.
"""

import hashlib
import io
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import zxingcpp
from PIL import Image
from pyzbar import pyzbar

from prep.domain.catalog import read_identity
from prep.domain.entry import HEADER, TOTAL, Field, Mark
from prep.rehearsal.drawing.acta import draw
from prep.rehearsal.drawing.camera import LEVELS, Condition
from prep.rehearsal.drawing.press import PrintedForm
from prep.scan import zbar
from prep.scan.cascade import read_qr
from prep.scan.digitize import digitize

Figure = dict[str, Any]

FORM: Final = PrintedForm(
    title="Gubernatura",
    contest="Entidad sintética",
    header=HEADER,
    rows=(
        *("PAN", "PRI", "PRD", "PVEM", "PT", "MC", "MORENA", "PAN-PRI-PRD", "PAN-PRI", "PAN-PRD", "PRI-PRD"),
        *("PVEM-PT-MORENA", "PVEM-PT", "PVEM-MORENA", "PT-MORENA", "CAND_IND_1", "NO_REGISTRADAS", "NULOS"),
    ),
    total=TOTAL,
)
SCAN: Final = (2394, 1562)
"""A size with as many pixels as a scan of 1700 × 2200, in the shape of the form."""


def digitize_cpu_ratio(images: int = 20) -> list[Figure]:
    """CPU time of `digitize`, against the bare work: decode the same JPEG, look for its QR once, hash it."""
    drawn = list(_filled_in_actas(LEVELS["leve"], images, size=SCAN))
    bare, ours = cpu_ms(decode_plainly, drawn), cpu_ms(digitize, drawn)
    return [
        {
            "name": "digitize: CPU por imagen frente a decodificar + QR + SHA-256",
            "value": round(ours / bare, 2),
            "unit": "veces",
            "target": "<= 1.3",
            "met": ours / bare <= 1.3,
            "limit": {
                "bare_ms": round(bare, 1),
                "digitize_ms": round(ours, 1),
                "images": images,
                "pixels": SCAN[0] * SCAN[1],
            },
        }
    ]


def decode_plainly(data: bytes) -> None:
    image = Image.open(io.BytesIO(data))
    image.load()
    zxingcpp.read_barcodes(image.convert("L"), formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    hashlib.sha256(data).digest()


def cpu_ms(work: Callable[[bytes], object], images: Sequence[bytes]) -> float:
    """Milliseconds of processor time, the mean over the images.

    One image is processed before the clock starts, so that caches are warm.
    """
    work(images[0])
    started = time.process_time()
    for image in images:
        work(image)
    return (time.process_time() - started) * 1000 / len(images)


def qr_rates(images: int = 60) -> list[Figure]:
    """The share of stickers read and the median time, of the cascade and of bare pyzbar, on each level of `LEVELS`."""
    zbar.read(Image.new("L", (64, 64)))  # the process of zbar starts once in the life of a worker: not to be measured
    figures = []
    for name, level in LEVELS.items():
        photos = [Image.open(io.BytesIO(data)).convert("L") for data in _filled_in_actas(level, images)]
        peer_rate, peer_ms = _rate_and_median(_bare_zbar, photos)
        our_rate, our_ms = _rate_and_median(lambda photo: read_qr(photo).text is not None, photos)
        limit = {"pyzbar_rate": peer_rate, "pyzbar_ms": peer_ms, "images": images}
        floor = 95.0 if name == "medio" else peer_rate
        figures += [
            {
                "name": f"QR leídos, nivel {name}",
                "value": our_rate,
                "unit": "%",
                "target": f">= {max(floor, peer_rate)}",
                "met": our_rate >= max(floor, peer_rate),
                "limit": limit,
            },
            {
                "name": f"QR, veces más rápido que pyzbar (mediana), nivel {name}",
                "value": round(peer_ms / our_ms, 1),
                "unit": "veces",
                "target": ">= 5",
                "met": peer_ms / our_ms >= 5,
                "limit": limit | {"cascade_ms": our_ms},
            },
        ]
    return figures


def _bare_zbar(photo: Image.Image) -> bool:
    """Read with pyzbar in its fastest way: it looks for QR codes only."""
    return any(
        read_identity(code.data.decode("ascii", "replace")) is not None
        for code in pyzbar.decode(photo, symbols=[pyzbar.ZBarSymbol.QRCODE])
    )


def _rate_and_median(read: Callable[[Image.Image], bool], photos: list[Image.Image]) -> tuple[float, float]:
    """The per cent of photos read, and the median milliseconds for one photo."""
    times, good = [], 0
    for photo in photos:
        started = time.perf_counter()
        good += read(photo)
        times.append((time.perf_counter() - started) * 1000)
    return round(100 * good / len(photos), 1), round(statistics.median(times), 2)


def _filled_in_actas(level: Condition, count: int, *, size: tuple[int, int] = (1700, 1108)) -> Iterator[bytes]:
    """Filled-in actas. Every second one has a keyed digest on its sticker."""
    for number in range(count):
        rng = random.Random(f"{level.name} {number}")  # the same images in every run
        digest = f"|{rng.getrandbits(64):016x}" if number % 2 else ""
        qr = f"28|{rng.randrange(1, 9)}|1|{rng.randrange(1, 2500)}|1|B|0|5{digest}"
        yield draw(FORM, _random_values(rng), qr, rng=rng, condition=level, size=size)


def _random_values(rng: random.Random) -> Mapping[str, Field]:
    values: dict[str, Field] = {code: rng.randrange(rng.choice((400, 20))) for code in (*HEADER, *FORM.rows, TOTAL)}
    values[rng.choice(FORM.rows)] = Mark.ILEGIBLE
    return values
