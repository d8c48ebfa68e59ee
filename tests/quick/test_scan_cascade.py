"""The cascade reads stickers that people photograph badly, and nothing but stickers."""

import io
import logging
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import segno
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from prep.domain.entry import HEADER, TOTAL
from prep.rehearsal.drawing.acta import draw
from prep.rehearsal.drawing.camera import LEVELS
from prep.rehearsal.drawing.press import PrintedForm
from prep.scan import cascade, zbar
from prep.scan.cascade import read_qr
from tests.makers.programs import missing

QR = "28|3|1|1234|1|B|0|5"
FORM = PrintedForm("Gubernatura", "Tamaulipas", HEADER, ("PAN", "PRI", "PRD", "NO_REGISTRADAS", "NULOS"), TOTAL)


def acta(text: str | None = QR, seed: int = 1, **options: Any) -> Image.Image:
    drawn = draw(FORM, {"PAN": 120}, text, rng=random.Random(seed), **options)
    return Image.open(io.BytesIO(drawn)).convert("L")


def code(text: str, scale: int = 4) -> Image.Image:
    stream = io.BytesIO()
    segno.make(text, micro=False).save(stream, kind="png", scale=scale)
    return Image.open(stream).convert("L")


def noisy(image: Image.Image, amplitude: float) -> Image.Image:
    grain = Image.frombytes("L", image.size, random.Random(3).randbytes(image.width * image.height))
    return ImageChops.add(image, grain.point([round(128 + (level - 128) * amplitude) for level in range(256)]), 1, -128)


def screen(image: Image.Image) -> Image.Image:
    """A photographed screen: every third row and column dark, seen at an odd scale."""
    grid = Image.new("L", (3, 3), 255)
    for place in range(3):
        grid.putpixel((place, 2), 110)
        grid.putpixel((2, place), 140)
    large = image.resize((image.width * 3 // 2, image.height * 3 // 2), Image.Resampling.NEAREST)
    mask = Image.new("L", large.size)
    for x in range(0, large.width, 3):
        mask.paste(grid, (x, 0))
    row = mask.crop((0, 0, large.width, 3))
    for y in range(0, large.height, 3):
        mask.paste(row, (0, y))
    return ImageChops.multiply(large, mask).resize((2111, 1376), Image.Resampling.BILINEAR)


def test_a_clean_scan_is_read_at_the_first_look() -> None:
    reading = read_qr(acta())
    assert (reading.text, reading.decoder) == (QR, "zxing")


def test_the_keyed_digest_comes_with_the_text() -> None:
    assert read_qr(acta(f"{QR}|0123456789abcdef")).text == f"{QR}|0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("upside down", lambda image: image.rotate(180)),
        ("sideways", lambda image: image.rotate(90, expand=True)),
        ("at half a right angle", lambda image: image.rotate(45, Image.Resampling.BILINEAR, expand=True, fillcolor=90)),
        ("in negative", ImageOps.invert),
        ("mirrored", ImageOps.mirror),
        ("blurred", lambda image: image.filter(ImageFilter.GaussianBlur(1.1))),
        ("nearly black", lambda image: ImageEnhance.Brightness(image).enhance(0.12)),
        ("washed out", lambda image: ImageEnhance.Contrast(image).enhance(0.15)),
        ("noisy", lambda image: noisy(image, 0.5)),
        ("from a screen", screen),
        ("small", lambda image: image.resize((1190, 776), Image.Resampling.BICUBIC)),
        ("huge and out of focus", lambda image: image.resize((5100, 3324)).filter(ImageFilter.GaussianBlur(4))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_photograph_is_read(name: str, spoil: Callable[[Image.Image], Image.Image]) -> None:
    assert read_qr(spoil(acta())).text == QR


def test_photographs_of_medium_quality_are_nearly_all_read() -> None:
    read = [read_qr(acta(seed=seed, condition=LEVELS["medio"])).text == QR for seed in range(12)]
    assert sum(read) >= 11


def test_the_later_looks_read_what_the_first_cannot() -> None:
    """Without the later looks, two people would have to identify these images."""
    found = [read_qr(acta(seed=seed, condition=LEVELS["extremo"])) for seed in range(10)]
    assert sum(reading.text == QR for reading in found) >= 9
    assert {reading.decoder for reading in found} & set(cascade.LOOKS)


def test_an_image_without_a_sticker_reads_as_nothing() -> None:
    reading = read_qr(acta(None))
    assert (reading.text, reading.decoder) == (None, None)
    assert read_qr(Image.new("L", (40, 30), 255)).text is None
    assert read_qr(Image.new("L", (1, 1))).text is None


def test_other_qr_codes_in_the_photo_are_passed_over() -> None:
    photo = acta()
    photo.paste(code("https://ejemplo.mx/promocion"), (1200, 600))
    photo.paste(code("uno|dos"), (1400, 900))
    assert read_qr(photo).text == QR
    photo = acta(None)
    photo.paste(code("https://ejemplo.mx/promocion"), (1200, 600))
    assert read_qr(photo).text is None


def test_a_spot_is_found_at_every_place_of_the_sticker() -> None:
    sheet = acta(None)
    sticker = code(QR, scale=4)
    for x, y in ((1500, 20), (300, 900), (1300, 800)):
        photo = sheet.copy()
        photo.paste(sticker, (x, y))
        middle = (x + sticker.width // 2, y + sticker.height // 2)
        boxes = cascade._likely_spots(photo.reduce(2))
        assert len(set(boxes)) == cascade.SPOTS
        assert any(left < middle[0] < right and top < middle[1] < bottom for left, top, right, bottom in boxes), (x, y)


# zbar, if the system has it. Without it the cascade must go on: the last test shows that on every system.


@pytest.fixture
def apart() -> Iterator[zbar.Zbar]:
    try:
        import pyzbar.pyzbar  # noqa: F401
    except ImportError:
        missing(zbar.MISSING)
    one = zbar.Zbar()
    yield one
    one.close()


def test_zbar_reads_in_a_process_of_its_own_again_and_again(apart: zbar.Zbar) -> None:
    assert apart.read(code(QR)) == [QR]
    assert apart.read(Image.new("L", (50, 50), 255)) == []
    assert apart.read(code("otro")) == ["otro"]


def test_an_image_that_kills_zbar_is_one_it_did_not_read_and_the_next_is_read(apart: zbar.Zbar) -> None:
    assert apart.read(code(QR)) == [QR]
    assert apart._process is not None
    os.kill(apart._process.pid, signal.SIGKILL)
    apart._process.wait()
    assert apart.read(code(QR)) == []
    assert apart.read(code(QR)) == [QR]


def test_a_zbar_that_does_not_answer_is_given_up(apart: zbar.Zbar, monkeypatch: pytest.MonkeyPatch) -> None:
    assert apart.read(code(QR)) == [QR]
    assert apart._process is not None
    os.kill(apart._process.pid, signal.SIGSTOP)
    monkeypatch.setattr(zbar, "SECONDS", 0.2)
    assert apart.read(code(QR)) == []
    assert apart._process is None


def test_if_zbar_is_missing_the_cascade_goes_on_and_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A Python that cannot start the module stands for a system without the library."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    alone = zbar.Zbar()
    with caplog.at_level(logging.WARNING):
        assert alone.read(code(QR)) == []
        assert alone.read(code(QR)) == []
    assert [record.message for record in caplog.records] == [zbar.MISSING]
