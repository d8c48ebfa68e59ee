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
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pypdfium2
from PIL import Image

from prep.errors import Parked, Rejected
from prep.scan.cascade import QrReading, read_qr
from prep.scan.header import DEFAULT_MAX_PIXELS, ImageHeader, bare_jpeg, inspect, pdf_scale

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
    decoder: str | None
    qr_ms: float
    phash: bytes
    """128 bytes; see `perceptual_hash`."""
    web: bytes
    """JPEG, long side at most `WEB_SIDE`."""
    thumb: bytes
    """JPEG, long side at most `THUMB_SIDE`."""


def digitize(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Digitized:
    """Everything that is kept of the image `data`.

    Raises Rejected where the header check does (`prep.scan.header`), and Parked where the header was good and the
    pixels are not: the image stays, and a person must look.
    """
    header = inspect(data, max_pixels=max_pixels, max_bytes=len(data) + 1)
    luminance, small = _decode(data, header)
    reading = read_qr(luminance)
    middle = small.reduce(max(1, max(small.size) // MIDDLE_SIDE))
    thumb = middle.reduce(-(-max(middle.size) // THUMB_SIDE))
    return Digitized(
        format=header.format,
        width=header.width,
        height=header.height,
        text=reading.text,
        decoder=reading.decoder,
        qr_ms=reading.ms,
        phash=perceptual_hash(middle),
        web=bare_jpeg(data) if _serves_as_it_is(data, header, small) else _jpeg(small, WEB_QUALITY),
        thumb=_jpeg(thumb, THUMB_QUALITY),
    )


def _decode(data: bytes, header: ImageHeader) -> tuple[Image.Image, Image.Image]:
    """The whole image in luminance, and the web copy's pixels. Raises Parked."""
    factor = web_factor(header.width, header.height)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, of which nothing is used
            if header.format == "jpeg":
                return _decode_jpeg(data, factor)
            page = _draw_pdf(data) if header.format == "pdf" else _flat(_open(data, header.format))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, pypdfium2.PdfiumError) as error:
        raise Parked(f"la imagen no se pudo decodificar: {error}") from error
    return page.convert("L"), page.reduce(factor) if factor > 1 else page


def _open(data: bytes, form: str) -> Image.Image:
    """By the one reader of the format that the header check found."""
    return Image.open(io.BytesIO(data), formats=[form.upper()])


def web_factor(width: int, height: int) -> int:
    """The power of two by which an image is divided for the web."""
    factor = 1
    while max(width, height) > WEB_SIDE * factor:
        factor *= 2
    return factor


def _decode_jpeg(data: bytes, factor: int) -> tuple[Image.Image, Image.Image]:
    image = _open(data, "jpeg")
    if factor == 1:
        image.draft("YCbCr", image.size)
        luminance = image.getchannel(0) if image.mode in {"YCbCr", "L"} else image.convert("L")
        return luminance, _upright(image, image)
    whole = _open(data, "jpeg")
    whole.draft("L", whole.size)
    image.draft("YCbCr", (image.width // factor, image.height // factor))
    return whole.convert("L"), _upright(image, image)


def _flat(image: Image.Image) -> Image.Image:
    """Colours or grey, upright, on white where the image is transparent."""
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        above = image.convert("RGBA")
        white = Image.new("RGBA", above.size, (255, 255, 255, 255))
        return _upright(Image.alpha_composite(white, above).convert("RGB"), image)
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


def _serves_as_it_is(data: bytes, header: ImageHeader, small: Image.Image) -> bool:
    """Whether the web copy may be the original without its metadata."""
    if header.format != "jpeg" or len(data) > WEB_BYTES or small.mode not in {"YCbCr", "L"}:
        return False
    return web_factor(header.width, header.height) == 1 and _turn(_open(data, "jpeg")) is None


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


def _draw_pdf(data: bytes) -> Image.Image:
    document = pypdfium2.PdfDocument(data)
    try:
        if len(document) != 1:
            raise Rejected(f"el PDF tiene {len(document)} páginas; se admite una sola")
        page = document[0]
        width, height = page.get_size()
        drawn: Image.Image = page.render(scale=pdf_scale(width, height)).to_pil().convert("RGB")
        return drawn
    finally:
        document.close()


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
    luminance, _ = _decode(data, inspect(data))
    return read_qr(luminance)
