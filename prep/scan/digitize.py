"""From the bytes of an image to everything that is kept of it: its QR, a web copy, a thumbnail, its perceptual hash.

`digitize` is pure but for the zbar process and runs in a process pool. It costs less than twice a bare decode:

1. The QR needs luminance alone, so a JPEG is decoded to luminance: half of the work of colours.
2. Derivatives come from a decode that is already smaller: a JPEG halves itself at little cost. So the web copy is the
   image divided by the power of two that brings its long side to 2048 pixels or less, and never below 1024; dividing by
   anything else would cost more than all other steps together.
3. Only derivatives follow the EXIF orientation, and carry no EXIF. The original is never touched.
4. A JPEG that is upright and small already is not compressed again: its web copy has the same pixels, without metadata.
"""

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image

from prep.errors import Parked, Rejected
from prep.scan.cascade import QrReading, read_qr
from prep.scan.header import DEFAULT_MAX_PIXELS
from prep.scan.oddities import Oddity
from prep.scan.pictures import EOI, Picture, decoded, jpeg_segments, look, opener

WEB_SIDE: Final = 2048
THUMB_SIDE: Final = 320
MIDDLE_SIDE: Final = 640
"""Least long side of what thumbnail and hash are made from."""
WEB_QUALITY: Final = 78
WEB_BYTES: Final = 250_000
"""A JPEG of at most so many bytes is small enough for the web."""
THUMB_QUALITY: Final = 72


@dataclass(frozen=True, slots=True)
class Digitized:
    """All that is kept of an image besides itself. `width` and `height` are the original's pixels, as stored."""

    format: str
    width: int
    height: int
    text: str | None
    """Of the QR sticker, as read; None where no decoder could read one."""
    others: tuple[str, ...]
    """Texts of further stickers that were read beside it: of two actas, people decide."""
    decoder: str | None
    qr_ms: float
    phash: bytes
    """128 bytes; see `perceptual_hash`."""
    web: bytes
    """JPEG, long side at most `WEB_SIDE`."""
    thumb: bytes
    """JPEG, long side at most `THUMB_SIDE`."""
    oddities: tuple[Oddity, ...]


def digitize(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Digitized:
    """Everything that is kept of the image `data`.

    Raises Rejected where the door would (`prep.scan.pictures`), and Parked where it is an image of which no pixel can
    be shown: its bytes stay, and people must look.
    """
    picture = look(data, max_pixels)
    factor = web_factor(picture.width, picture.height)
    (luminance, small), whole = decoded(picture.opened, lambda image: _pixels(image, picture, factor))
    reading = read_qr(luminance)
    del luminance
    texts = dict.fromkeys(reading.texts)
    for rival in picture.others:  # a page of the same size might be another acta
        texts |= dict.fromkeys(_texts(rival))
    middle = small.reduce(max(1, max(small.size) // MIDDLE_SIDE))
    thumb = middle.reduce(-(-max(middle.size) // THUMB_SIDE))
    bare = _as_it_is(data, picture, small) if whole else None
    return Digitized(
        format=picture.format,
        width=picture.width,
        height=picture.height,
        text=next(iter(texts), None),
        others=tuple(texts)[1:],
        decoder=reading.decoder or ("otra página" if texts else None),
        qr_ms=reading.ms,
        phash=perceptual_hash(middle),
        web=bare or _jpeg(small, WEB_QUALITY),
        thumb=_jpeg(thumb, THUMB_QUALITY),
        oddities=tuple(dict.fromkeys((*picture.oddities, *(() if whole else (Oddity.INCOMPLETA,))))),
    )


def _texts(opened: Callable[[], Image.Image]) -> tuple[str, ...]:
    """The stickers of a further picture; none where it cannot be decoded: the acta is another one."""
    try:
        luminance, _ = decoded(opened, lambda image: _flat(image).convert("L"))
    except Parked:
        return ()
    return read_qr(luminance).texts


def _pixels(image: Image.Image, picture: Picture, factor: int) -> tuple[Image.Image, Image.Image]:
    """The whole image in luminance, and the web copy's pixels."""
    if picture.format == "jpeg":
        return _jpeg_pixels(image, picture, factor)
    page = _flat(image)
    return page.convert("L"), page.reduce(factor) if factor > 1 else page


def web_factor(width: int, height: int) -> int:
    """The power of two by which an image is divided for the web."""
    factor = 1
    while max(width, height) > WEB_SIDE * factor:
        factor *= 2
    return factor


def _jpeg_pixels(image: Image.Image, picture: Picture, factor: int) -> tuple[Image.Image, Image.Image]:
    if factor == 1:
        image.draft("YCbCr", image.size)
        image.load()  # here, where what it raises is about foreign bytes
        luminance = image.getchannel(0) if image.mode in {"YCbCr", "L"} else image.convert("L")
        return luminance, _upright(image, image)
    whole = picture.opened()
    whole.draft("L", whole.size)
    image.draft("YCbCr", (image.width // factor, image.height // factor))
    image.load()
    return whole.convert("L"), _upright(image, image)


def _flat(image: Image.Image) -> Image.Image:
    """Colours or grey, upright, on white where the image is transparent."""
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        above = image.convert("RGBA")
        paper = Image.new("RGB", above.size, "white")
        paper.paste(above, mask=above.getchannel("A"))
        return _upright(paper, image)
    if image.mode.startswith(("I", "F")):  # 16 bits for each grey: the upper eight
        return _upright(image.convert("I").point(lambda level: level / 256).convert("L"), image)
    return _upright(image.convert("L" if image.mode in {"1", "L"} else "RGB"), image)


def _upright(pixels: Image.Image, told_by: Image.Image) -> Image.Image:
    """`pixels` turned as the EXIF of `told_by` asks, without any of its metadata."""
    turn = _turn(told_by)
    if pixels.mode not in {"YCbCr", "L", "RGB"}:
        pixels = pixels.convert("RGB")
    return pixels.transpose(turn) if turn is not None else pixels


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return TURNS.get(image.getexif().get(0x0112, 1))
    except (OSError, ValueError, SyntaxError, LookupError, TypeError, struct.error):  # broken metadata, good pixels
        return None


def _as_it_is(data: bytes, picture: Picture, small: Image.Image) -> bytes | None:
    """The original without its metadata, where that may be the web copy."""
    if picture.format != "jpeg" or len(data) > WEB_BYTES or small.mode not in {"YCbCr", "L"}:
        return None
    image = picture.opened()
    if image.size != opener(data, "jpeg")().size or web_factor(*image.size) > 1 or _turn(image) is not None:
        return None
    return bare_jpeg(data)


METADATA: Final = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})
"""Application segments and comments, but for the two that say how the pixels are meant (JFIF and Adobe)."""


def bare_jpeg(data: bytes) -> bytes | None:
    """The first image in `data` with the very same pixels and nothing else; None if its segments are not in order."""
    kept, marker = [data[:2]], 0
    for marker, start, end in jpeg_segments(data):
        if marker not in METADATA:
            kept.append(data[start:end])
    return b"".join(kept) if marker == EOI else None


TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation."""


def _jpeg(image: Image.Image, quality: int) -> bytes:
    saved = io.BytesIO()
    image.save(saved, "JPEG", quality=quality, exif=b"", icc_profile=None, comment=b"")
    return saved.getvalue()


# The perceptual hash
#
# All forms of a contest look alike: two actas laid on the same scanner differ in their handwriting alone. A 64-bit or a
# 256-bit difference hash cannot tell them apart (drawn and measured: copies of one photo up to 22 bits apart, two actas
# from 4 on). Finer cells can, if flat paper says nothing: a bit is set only where light clearly falls.

HASH_SIDE: Final = 32
HASH_STEP: Final = 10
"""Levels by which, in an image whose paper is white (255), a cell must be lighter than its right neighbour."""


def perceptual_hash(image: Image.Image) -> bytes:
    """128 bytes that stay nearly the same when an image is compressed again or scaled (a 1024-bit difference hash)."""
    grey = image.getchannel(0) if image.mode == "YCbCr" else image.convert("L")
    levels = grey.resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX).tobytes()
    step, width, bits = HASH_STEP * max(levels) / 255, HASH_SIDE + 1, 0
    for at in range(width * HASH_SIDE):
        if at % width != HASH_SIDE:
            bits = bits << 1 | (levels[at] > levels[at + 1] + step)
    return bits.to_bytes(HASH_SIDE * HASH_SIDE // 8, "big")


def distance(one: bytes, other: bytes) -> int:
    """Bits in which two hashes differ, 0 to 1024."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


# For `prep scan`


def scan_files(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """What the cascade reads from each image: file, text, decoder, ms, and `error` where it is no image we take."""
    for path in paths:
        found: dict[str, Any] = {"file": str(path), "text": None, "decoder": None, "ms": 0.0}
        try:
            reading = scan(path.read_bytes())
        except (Rejected, Parked) as refusal:
            found["error"] = refusal.sentence
        except OSError as error:
            found["error"] = f"no se pudo leer el archivo: {error.strerror}"
        else:
            found |= {"text": reading.text, "decoder": reading.decoder, "ms": reading.ms}
        yield found


def scan(data: bytes) -> QrReading:
    """Only the QR of an image. Raises as `digitize`."""
    picture = look(data)
    (luminance, _), _ = decoded(picture.opened, lambda image: _pixels(image, picture, 1))
    return read_qr(luminance)
