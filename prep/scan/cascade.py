"""Finds the QR sticker of an acta in a photograph. Cheap looks come first; each further look helps if the earlier fail.

1. `zxing` on the whole image, then on half of it: scans and good photos end here, within two milliseconds a megapixel.
   Half the image also helps with a photographed screen (moiré) and a noisy sensor.
2. The spots of the image where a code might be, by their texture, each enlarged and put right in several ways
   (`LOOKS`). A spot is a twentieth of a photo or less, so all of them together cost less than one enlarged whole.
3. The whole image enlarged, thresholded, turned by half a right angle, in negative: for a code outside the spots.
4. `zbar`, a second opinion, in a process of its own.

Steps 2 and 3 work on at most `WORKING` pixels. A photo with more is halved first: it suffers from blur, not from too
few pixels. Only a text that is the identity of an acta counts, so other QR codes in the photo (on a phone, an
advertisement) are passed over. A code is checked by its own error correction: a look reads the whole text or nothing.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from unicodedata import category, normalize

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
    """The text of the sticker as read, the look that found it, and the time of the whole search."""

    texts: tuple[str, ...]
    """More than one if several stickers were read together; none if no look found one."""
    decoder: str | None
    ms: float

    @property
    def text(self) -> str | None:
        return self.texts[0] if self.texts else None


def read_qr(image: Image.Image) -> QrReading:
    """Read the sticker in a luminance image (mode L), turned in any direction."""
    started = time.perf_counter()
    for name, texts in _all_looks(image):
        found = stickers(texts)
        if found:
            return QrReading(found, name, _ms_since(started))
    return QrReading((), None, _ms_since(started))


def stickers(texts: Sequence[str]) -> tuple[str, ...]:
    """The texts that belong to the sticker of an acta, each once, in plain letters and without invisible ones."""
    return tuple(dict.fromkeys(text for text in map(_plain, texts) if read_identity(text) is not None))


def _plain(text: str) -> str:
    """Wide letters as narrow ones, and no letter without a shape: a program may write NUL behind each letter."""
    narrow = normalize("NFKC", text)
    return _strip_invisible("".join(char for char in narrow if char != "\0" and category(char) != "Cf"))


def _strip_invisible(text: str) -> str:
    """The text without the marks of encoding and ends of lines around it. Readers garble these marks."""
    first, last = 0, len(text)
    while first < last and _is_invisible(text[first]):
        first += 1
    while last > first and _is_invisible(text[last - 1]):
        last -= 1
    return text[first:last]


def _is_invisible(character: str) -> bool:
    return character in _GARBLED or category(character) in {"Cc", "Cf", "Zs", "Zl", "Zp"}


_GARBLED: Final = frozenset("\ufffdï»¿\ufe0e\ufe0f\u034f\u115f\u3164")
"""The mark of encoding, as a reader shows it that does not know it, and characters that are drawn as nothing."""


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)


def _all_looks(image: Image.Image) -> Iterator[tuple[str, Sequence[str]]]:
    # A generator: a look runs only if all looks before it found no sticker.
    yield "zxing", _read_with_zxing(image)
    half = image.reduce(2)
    if min(image.size) >= HALVED_FROM:
        yield "zxing ÷2", _read_with_zxing(half)
    # From here on the looks are dear. They work on a smaller image, and on its spots before the whole.
    while image.width * image.height > WORKING:
        image, half = half, half.reduce(2)
    spots = [image.crop(box) for box in _likely_spots(half)]
    for spot in spots:
        for name, look in LOOKS.items():
            yield name, look(spot)
    for name, look in WHOLE_LOOKS.items():
        yield name, look(image)


def _read_with_zxing(image: Image.Image, binarizer: zxingcpp.Binarizer = LOCAL, *, thorough: bool = False) -> list[str]:
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


def _likely_spots(half: Image.Image) -> list[tuple[int, int, int, int]]:
    """Boxes in the whole image, of which `half` is half, where light changes most in both directions; the best first.

    A barcode or a ruled line changes in one direction only, print changes less than a code.
    """
    # `across` and `down` say for each cell how much light changes in that direction. The darker of both is high only if
    # it changes in both. The blur adds up the cells of one sticker, so the best cell is near its middle.
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
        # The found spot is painted black, so that the next one is another place.
        around = (column - reach - 2, row - reach - 2, column + reach + 3, row + reach + 3)
        texture.paste(0, around)
    return found


def _enlarge(image: Image.Image, times: float = 2) -> Image.Image:
    return image.resize((round(image.width * times), round(image.height * times)), Image.Resampling.BILINEAR)


def _sharpen(image: Image.Image, radius: int, strength: float) -> Image.Image:
    """Add to the image `strength` times the detail that a blur of `radius` would take away."""
    return Image.blend(image.filter(ImageFilter.BoxBlur(radius)), image, 1 + strength)


def _smooth(image: Image.Image, radius: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


def _read_thresholded(image: Image.Image, radius: int = 25, offset: int = 6) -> list[str]:
    """Read the image in pure black and white: a pixel clearly darker than the mean around it is black.

    `offset` is the least difference, in levels of light: the grain of paper stays white.
    """
    level = ImageChops.subtract(image, image.filter(ImageFilter.BoxBlur(radius)), 1, 128 + offset)
    return _read_with_zxing(level.point([0] * 128 + [255] * 128), zxingcpp.Binarizer.FixedThreshold)


def _read_turned(image: Image.Image) -> list[str]:
    return _read_with_zxing(image, thorough=True) or _read_with_zxing(
        image.rotate(45, Image.Resampling.BILINEAR, expand=True), thorough=True
    )


LOOKS: Final[dict[str, Look]] = {
    "zxing ×2": lambda spot: _read_with_zxing(_enlarge(spot)),
    "zxing nítido": lambda spot: _read_with_zxing(_enlarge(_sharpen(spot, 3, 4))),
    "zxing umbral": lambda spot: _read_thresholded(_enlarge(_sharpen(_smooth(spot, 0.7), 2, 2.5))),
    "zxing umbral fuerte": lambda spot: _read_thresholded(_enlarge(_sharpen(spot, 2, 6))),
    "zxing limpio": lambda spot: _read_with_zxing(_enlarge(_sharpen(_smooth(spot, 1), 3, 3))),
}
"""For small codes, blur, shadow and glare, blur in bad light, noise. The names are stored and shown by `prep scan`."""

WHOLE_LOOKS: Final[dict[str, Look]] = {
    "zxing ×2 entera": lambda image: _read_with_zxing(_enlarge(image)),
    "zxing umbral entera": lambda image: _read_thresholded(_enlarge(_sharpen(image, 2, 2.5))),
    "zxing giro": _read_turned,
    "zbar": zbar.read,
}
