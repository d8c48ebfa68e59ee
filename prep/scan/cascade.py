"""Finds the QR sticker of an acta in a photograph: cheap looks first, each further look for what defeats the ones before.

    look          what it is for                                              ms a megapixel
    zxing         scans and good photos: nineteen of twenty end here          1
    zxing ÷2      screens (moiré), sensor noise, large photos out of focus    0.7
    zxing ×2      small codes: the photo was taken from far away              17
    zxing nítido  blur: sharpened, ×2                                         23
    zxing limpio  noise and blur: smoothed, sharpened, ×2                     30
    zxing umbral  shadow, glare, dark: sharpened, ×2, black or white by the   45
                  surroundings of each pixel
    zxing giro    printed in negative, or at half a right angle               15
    zbar          a second opinion, in a process of its own                   20

Looks work on at most `WORKING` pixels: a photo with more is halved first, since blur and not pixels is what it suffers from;
`zxing` itself sees every pixel. Only what reads as the identity of an acta counts, so other QR codes in the photo — on a
phone, an advertisement, a second sheet — are passed over. A QR either decodes, checked by its own error correction, or does
not: no look can read a wrong text where another reads the right one.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import zxingcpp
from PIL import Image, ImageChops, ImageFilter

from prep.domain.catalog import read_identity
from prep.scan import zbar

WORKING: Final = 4_500_000
"""Pixels. Covers a whole acta at 150 dots an inch, where a sticker's dot is three pixels wide."""
HALVED_FROM: Final = 500
"""Pixels of the shorter side below which half the image holds no legible code."""

Look = Callable[[Image.Image], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the sticker says, as read; which look found it; how long the whole search took."""

    text: str | None
    """None where no look found the sticker of an acta."""
    decoder: str | None
    ms: float


def read_qr(image: Image.Image) -> Reading:
    """Read the sticker in a luminance image (mode L), turned in any direction."""
    started = time.perf_counter()
    for name, texts in _looks(image):
        text = next((text for text in texts if read_identity(text) is not None), None)
        if text is not None:
            return Reading(text, name, _since(started))
    return Reading(None, None, _since(started))


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)


def _looks(image: Image.Image) -> Iterator[tuple[str, Sequence[str]]]:
    yield "zxing", _zxing(image)
    halves = min(image.size) >= HALVED_FROM
    if halves:
        yield "zxing ÷2", _zxing(image.reduce(2))
    while image.width * image.height > WORKING:
        image = image.reduce(2)
    for name, look in LOOKS.items():
        yield name, look(image)


def _zxing(image: Image.Image, binarizer: zxingcpp.Binarizer = zxingcpp.Binarizer.LocalAverage, *, thorough: bool = False) -> list[str]:
    found = zxingcpp.read_barcodes(
        image,
        formats=zxingcpp.BarcodeFormat.QRCode,
        binarizer=binarizer,
        try_rotate=thorough,
        try_invert=thorough,
        try_downscale=thorough,
    )
    return [code.text for code in found]


def _double(image: Image.Image) -> Image.Image:
    return image.resize((image.width * 2, image.height * 2), Image.Resampling.BILINEAR)


def _smooth(image: Image.Image, radius: int) -> Image.Image:
    return image.filter(ImageFilter.BoxBlur(radius))


def _sharp(image: Image.Image, radius: int, strength: float) -> Image.Image:
    """The image and `strength` times what a blur of `radius` takes away from it."""
    return Image.blend(_smooth(image, radius), image, 1 + strength)


def _threshold(image: Image.Image, radius: int = 25, offset: int = 6) -> Image.Image:
    """Black where a pixel is darker than the mean of its surroundings, less a little for paper, else white."""
    level = ImageChops.subtract(image, _smooth(image, radius), 1, 128 + offset)
    return level.point([0] * 128 + [255] * 128)


def _turned(image: Image.Image) -> list[str]:
    return _zxing(image, thorough=True) or _zxing(image.rotate(45, Image.Resampling.BILINEAR, expand=True), thorough=True)


LOOKS: Final[dict[str, Look]] = {
    "zxing ×2": lambda image: _zxing(_double(image)),
    "zxing nítido": lambda image: _zxing(_double(_sharp(image, 3, 4))),
    "zxing limpio": lambda image: _zxing(_double(_sharp(_smooth(image, 1), 3, 3))),
    "zxing umbral": lambda image: _zxing(_threshold(_double(_sharp(image, 2, 2.5))), zxingcpp.Binarizer.FixedThreshold),
    "zxing giro": _turned,
    "zbar": zbar.read,
}
"""The dear looks, in order. The names are stored with each reading and shown by `prep scan`."""
