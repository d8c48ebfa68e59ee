"""If Pillow, PDFium and a browser all show a file as the same whole picture, it must be taken and shown here too.

Counts how many of the made pictures pass.
"""

import base64
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import pypdfium2
from PIL import Image, ImageChops, ImageFile, ImageOps, ImageStat
from playwright.sync_api import Page, sync_playwright

from load_tests.browser import CHROMIUM, chromium
from load_tests.pictures.kinds import Made, picture
from prep.errors import PrepError
from prep.scan.digitize import digitize

GRID: Final = (24, 24)
"""Cells in which two pictures are compared."""
ALIKE: Final = 6.0
"""Mean difference, of 255, up to which two pictures are the same one."""
BATCH: Final = 40
NOT_SHOWN_BY_BROWSERS: Final = frozenset({"TIFF", "PDF"})

SHOW: Final = """async (all) => Promise.all(all.map(async ([data, type]) => {
    try {
        const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
        const image = new Image();
        image.src = URL.createObjectURL(new Blob([bytes], {type}));
        await image.decode();
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
        const context = canvas.getContext("2d");
        context.fillStyle = "white";
        context.fillRect(0, 0, canvas.width, canvas.height);
        context.drawImage(image, 0, 0);
        URL.revokeObjectURL(image.src);
        return canvas.toDataURL("image/png").split(",")[1];
    } catch { return null; }
}))"""


@dataclass
class Rate:
    """Number of pictures that all other programs show, and the ones of them that are lost here."""

    made: int = 0
    shown: int = 0
    lost: list[str] = field(default_factory=list)

    @property
    def percent(self) -> float:
        return 100 * (self.shown - len(self.lost)) / max(1, self.shown)


@contextmanager
def browser_page(program: str | None = None) -> Iterator[Page]:
    """A blank page of Chromium."""
    where = program or chromium()
    if where is None:
        raise SystemExit(f"falta {CHROMIUM}")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=where, args=["--no-sandbox", "--disable-gpu"], env={**os.environ, "LANG": "es_MX.UTF-8"}
        )
        yield opened.new_page()
        opened.close()


def compare(seeds: Sequence[int], page: Page) -> Rate:
    """Show each picture to all programs."""
    rate = Rate()
    for start in range(0, len(seeds), BATCH):
        batch = [picture(seed) for seed in seeds[start : start + BATCH]]
        for made, seen in zip(batch, shown_by_browser(page, batch), strict=True):
            rate.made += 1
            if not (seen and shown_by_libraries(made)):
                continue
            rate.shown += 1
            if (why := lost(made)) is not None:
                rate.lost.append(f"{made.name}: {why}")
    return rate


def shown_by_browser(page: Page, batch: Sequence[Made]) -> list[bool]:
    """Whether the browser shows the whole picture. True for a format that browsers do not show."""
    asked = [made for made in batch if made.form not in NOT_SHOWN_BY_BROWSERS]
    answers = iter(
        page.evaluate(SHOW, [[base64.b64encode(made.data).decode(), f"image/{made.form.lower()}"] for made in asked])
    )
    said = []
    for made in batch:
        if made.form in NOT_SHOWN_BY_BROWSERS:
            said.append(True)
            continue
        png = next(answers)
        said.append(png is not None and alike(made.meant, Image.open(io.BytesIO(base64.b64decode(png)))))
    return said


def shown_by_libraries(made: Made) -> bool:
    """Whether the bare library shows the whole picture, as far as its bytes go."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if made.form == "PDF":
                document = pypdfium2.PdfDocument(made.data)
                return len(document) == 1 and alike(made.meant, document[0].render(scale=1).to_pil())
            end = b"\xff\xd9" if made.form == "JPEG" else b""  # without one, Pillow keeps the last rows to itself
            image = Image.open(io.BytesIO(made.data + end))
            if image.width * image.height > 100 * made.meant.width * made.meant.height:
                return False  # damage that says it is huge
            return any(alike(made.meant, ImageOps.exif_transpose(frame)) for frame in frames(image))
    except Exception:  # noqa: BLE001  # a library that cannot show it may say so in any way
        return False
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def frames(image: Image.Image) -> Iterator[Image.Image]:
    """The frames that the library can read, without the huge ones."""
    for number in range(getattr(image, "n_frames", 1)):
        with suppress(Exception):
            image.seek(number)
            if image.width * image.height > 100_000_000:
                continue
            yield image.copy()


def lost(made: Made) -> str | None:
    """The reason why a picture that all programs show is refused or differs here; None if it is shown right."""
    try:
        kept = digitize(made.data)
    except PrepError as error:
        return error.sentence
    return None if alike(made.meant, Image.open(io.BytesIO(kept.web))) else "another picture"


def alike(meant: Image.Image, seen: Image.Image) -> bool:
    # Compared in large cells: compression changes each pixel a little, a missing part changes some cells much.
    if (meant.width > meant.height) is not (seen.width > seen.height):
        return False
    if seen.mode in {"RGBA", "LA", "PA"}:
        paper = Image.new("RGBA", seen.size, "white")
        seen = Image.alpha_composite(paper, seen.convert("RGBA"))
    cells = [image.convert("L").resize(GRID, Image.Resampling.BOX) for image in (meant, seen)]
    difference = ImageChops.difference(*cells)
    return ImageStat.Stat(difference).mean[0] < ALIKE and max(difference.tobytes()) < 10 * ALIKE
