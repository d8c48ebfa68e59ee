"""Finds the QR sticker of an acta in a photograph: cheap looks first, each further look for what defeats the ones
before.

1. `zxing` on the whole image, then on half of it: scans and good photos end here, within two milliseconds a megapixel.
   Half the image is also what a photographed screen (moiré) and a noisy sensor need.
2. The spots of the image where a code might be, by their texture, each enlarged and put right in several ways
   (`LOOKS`). A spot is a twentieth of a photo or less, so all of them together cost less than one enlarged whole.
3. The whole image enlarged, thresholded, turned by half a right angle, in negative: for a code that no spot held.
4. `zbar`, a second opinion, in a process of its own.

Steps 2 and 3 work on at most `WORKING` pixels: a photo with more is halved first, since blur and not pixels is what it
suffers from. Only what reads as the identity of an acta counts, so other QR codes in the photo — on a phone, an
advertisement — are passed over. A code is checked by its own error correction: a look reads the text or reads nothing.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from unicodedata import category

import zxingcpp
from PIL import Image, ImageChops, ImageFilter

from prep.domain.catalog import read_identity
from prep.scan import zbar

WORKING: Final = 4_500_000
"""Pixels. Covers a whole acta at 150 dots an inch, where a sticker's dot is three pixels wide."""
HALVED_FROM: Final = 500
"""Pixels of the shorter side below which half the image holds no legible code."""

SPOTS: Final = 4
SPOT: Final = 240
"""Pixels of a side: more than a sticker on an acta that fills the working image, turned and not quite in the middle."""
QR: Final = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
LOCAL: Final = zxingcpp.Binarizer.LocalAverage

Look = Callable[[Image.Image], Sequence[str]]


@dataclass(frozen=True, slots=True)
class QrReading:
    """What the sticker says, as read; which look found it; how long the whole search took."""

    texts: tuple[str, ...]
    """More than one where several stickers were read together; none where no look found one."""
    decoder: str | None
    ms: float

    @property
    def text(self) -> str | None:
        return self.texts[0] if self.texts else None


def read_qr(image: Image.Image) -> QrReading:
    """Read the sticker in a luminance image (mode L), turned in any direction."""
    started = time.perf_counter()
    for name, texts in _looks(image):
        found = stickers(texts)
        if found:
            return QrReading(found, name, _since(started))
    return QrReading((), None, _since(started))


def stickers(texts: Sequence[str]) -> tuple[str, ...]:
    """Those that are the text of an acta's sticker, each once, without the invisible characters around it."""
    return tuple(dict.fromkeys(text for text in map(_visible, texts) if read_identity(text) is not None))


def _visible(text: str) -> str:
    """Generators of stickers put marks of encoding and ends of lines around a text; readers garble them."""
    first, last = 0, len(text)
    while first < last and _invisible(text[first]):
        first += 1
    while last > first and _invisible(text[last - 1]):
        last -= 1
    return text[first:last]


def _invisible(character: str) -> bool:
    return character in _GARBLED or category(character) in {"Cc", "Cf", "Zs", "Zl", "Zp"}


_GARBLED: Final = frozenset("\ufffdï»¿\ufe0e\ufe0f\u034f\u115f\u3164")
"""A mark of encoding as readers show it that do not know it, and the characters that are drawn as nothing."""


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)


def _looks(image: Image.Image) -> Iterator[tuple[str, Sequence[str]]]:
    yield "zxing", _zxing(image)
    half = image.reduce(2)
    if min(image.size) >= HALVED_FROM:
        yield "zxing ÷2", _zxing(half)
    while image.width * image.height > WORKING:
        image, half = half, half.reduce(2)
    spots = [image.crop(box) for box in _spots(half)]
    for spot in spots:
        for name, look in LOOKS.items():
            yield name, look(spot)
    for name, look in WHOLE_LOOKS.items():
        yield name, look(image)


def _zxing(image: Image.Image, binarizer: zxingcpp.Binarizer = LOCAL, *, thorough: bool = False) -> list[str]:
    found = zxingcpp.read_barcodes(
        image,
        formats=QR,
        binarizer=binarizer,
        try_rotate=thorough,
        try_invert=thorough,
        try_downscale=thorough,
        text_mode=zxingcpp.TextMode.Plain,
    )
    return [code.text for code in found]


def _spots(half: Image.Image) -> list[tuple[int, int, int, int]]:
    """Boxes in the whole image, of which `half` is half, where light changes most in both directions; the best first.

    A barcode or a ruled line changes in one direction only, print changes less than a code.
    """
    cell, step, reach = 8, 2, 3  # pixels of `half`, pixels of `half`, cells
    across = ImageChops.difference(half, ImageChops.offset(half, step, 0)).reduce(cell)
    down = ImageChops.difference(half, ImageChops.offset(half, 0, step)).reduce(cell)
    texture = ImageChops.darker(across, down).filter(ImageFilter.BoxBlur(reach))
    found = []
    for _ in range(SPOTS):
        levels = texture.tobytes()
        at = levels.index(max(levels))
        row, column = divmod(at, texture.width)
        x, y = (2 * cell * place + cell for place in (column, row))
        found.append((x - SPOT // 2, y - SPOT // 2, x + SPOT // 2, y + SPOT // 2))
        around = (column - reach - 2, row - reach - 2, column + reach + 3, row + reach + 3)
        texture.paste(0, around)
    return found


def _enlarge(image: Image.Image, times: float = 2) -> Image.Image:
    return image.resize((round(image.width * times), round(image.height * times)), Image.Resampling.BILINEAR)


def _sharpen(image: Image.Image, radius: int, strength: float) -> Image.Image:
    """The image and `strength` times what a blur of `radius` takes away from it."""
    return Image.blend(image.filter(ImageFilter.BoxBlur(radius)), image, 1 + strength)


def _smooth(image: Image.Image, radius: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


def _thresholded(image: Image.Image, radius: int = 25, offset: int = 6) -> list[str]:
    """Read with black where a pixel is darker than the mean of its surroundings, less a little for paper, else
    white.
    """
    level = ImageChops.subtract(image, image.filter(ImageFilter.BoxBlur(radius)), 1, 128 + offset)
    return _zxing(level.point([0] * 128 + [255] * 128), zxingcpp.Binarizer.FixedThreshold)


def _turned(image: Image.Image) -> list[str]:
    return _zxing(image, thorough=True) or _zxing(
        image.rotate(45, Image.Resampling.BILINEAR, expand=True), thorough=True
    )


LOOKS: Final[dict[str, Look]] = {
    "zxing ×2": lambda spot: _zxing(_enlarge(spot)),
    "zxing nítido": lambda spot: _zxing(_enlarge(_sharpen(spot, 3, 4))),
    "zxing umbral": lambda spot: _thresholded(_enlarge(_sharpen(_smooth(spot, 0.7), 2, 2.5))),
    "zxing umbral fuerte": lambda spot: _thresholded(_enlarge(_sharpen(spot, 2, 6))),
    "zxing limpio": lambda spot: _zxing(_enlarge(_sharpen(_smooth(spot, 1), 3, 3))),
}
"""For small codes, blur, shadow and glare, blur in bad light, noise. The names are stored and shown by `prep scan`."""

WHOLE_LOOKS: Final[dict[str, Look]] = {
    "zxing ×2 entera": lambda image: _zxing(_enlarge(image)),
    "zxing umbral entera": lambda image: _thresholded(_enlarge(_sharpen(image, 2, 2.5))),
    "zxing giro": _turned,
    "zbar": zbar.read,
}
