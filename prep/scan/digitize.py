"""From the bytes of an image to everything that is kept of it: its QR, a web copy, a thumbnail, its perceptual hash.

`digitize` has no effect outside, except that it may start zbar. It runs in a process that may die, and costs less than
twice a bare decode:

1. The QR needs luminance alone, so a JPEG is decoded to luminance: half of the work of colours.
2. Derivatives come from a decode that is already smaller, because a JPEG can be halved while it is decoded, at little
   cost. So the web copy is the image divided by a power of two: the one that brings its long side to 2048 pixels or
   less, and not below 1024. Any other divisor would cost more than all other steps together.
3. Only the derivatives are turned as EXIF says, and they carry no EXIF. The original is never touched.
4. The marks of a printed form are looked for in the pixels of the web copy, if the catalogue describes any form.
5. A small JPEG that stands upright is not compressed again: its web copy has the same pixels, without metadata.
"""

import io
import logging
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageChops

from prep.domain.layout import FoundMarks
from prep.errors import Parked, Rejected, reason_of
from prep.scan.cascade import QrReading, read_qr
from prep.scan.corners import find_marks
from prep.scan.header import DEFAULT_MAX_PIXELS
from prep.scan.oddities import Oddity
from prep.scan.pictures import EOI, Picture, decoded, jpeg_segments, look, opener

log: Final = logging.getLogger(__name__)

WEB_SIDE: Final = 2048
THUMB_SIDE: Final = 320
MIDDLE_SIDE: Final = 640
"""Least long side of the image from which thumbnail and hash are made."""
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
    """The text of the QR sticker, as read; None if no decoder could read one."""
    others: tuple[str, ...]
    """Texts of further stickers in the image. Between two actas, people decide."""
    decoder: str | None
    phash: bytes
    """128 bytes; see `perceptual_hash`."""
    web: bytes
    """JPEG, long side at most `WEB_SIDE`."""
    thumb: bytes
    """JPEG, long side at most `THUMB_SIDE`."""
    oddities: tuple[Oddity, ...]
    marks: FoundMarks | None = None
    """The marks of a printed form, if they were looked for and are sure."""


def digitize(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS, *, marks: bool = False) -> Digitized:
    """Everything that is kept of the image `data`. `marks`: look for those of a printed form too.

    Raises Rejected if the door would refuse it (`prep.scan.pictures`). Raises Parked if it is an image, but no pixel of
    it can be shown: its bytes stay, and people must look.
    """
    picture = look(data, max_pixels)
    small, whole, reading = _decode_and_read(picture)
    texts = dict.fromkeys(reading.texts)
    for rival in picture.others:  # a page of the same size might be another acta
        found = _sticker_texts(rival)
        if found and not texts:
            # The front of the sheet is the page with the sticker; people type from that one.
            picture = _shown_instead(picture, rival)
            small, whole, _ = _decode_and_read(picture, read=False)
        texts |= dict.fromkeys(found)
    # Each smaller image is made from the one before, never again from the whole.
    middle = small.reduce(max(1, max(small.size) // MIDDLE_SIDE))
    thumb = middle.reduce(-(-max(middle.size) // THUMB_SIDE))
    bare = _original_for_web(data, picture, small) if whole else None
    return Digitized(
        format=picture.format,
        width=picture.width,
        height=picture.height,
        text=next(iter(texts), None),
        others=tuple(texts)[1:],
        decoder=reading.decoder or ("otra página" if texts else None),
        phash=perceptual_hash(middle),
        web=bare or _save_jpeg(small, WEB_QUALITY),
        thumb=_save_jpeg(thumb, THUMB_QUALITY),
        oddities=tuple(dict.fromkeys((*picture.oddities, *(() if whole else (Oddity.INCOMPLETA,))))),
        marks=_marks_or_none(small) if marks else None,
    )


def _decode_and_read(picture: Picture, *, read: bool = True) -> tuple[Image.Image, bool, QrReading]:
    """The pixels of the web copy, whether they are whole, and the stickers."""
    # The luminance is the largest thing in memory: it ends here, before other pages are decoded.
    factor = web_factor(picture.width, picture.height)
    (luminance, small), whole = decoded(picture.opened, lambda image: _decode_pixels(image, picture, factor))
    return small, whole, read_qr(luminance) if read else QrReading((), None, 0.0)


def _shown_instead(picture: Picture, rival: Callable[[], Image.Image]) -> Picture:
    width, height = rival().size
    return replace(picture, opened=rival, width=width, height=height)


def _marks_or_none(small: Image.Image) -> FoundMarks | None:
    """The marks in the pixels of the web copy. An error here must cost no acta its reading: then there are none."""
    try:
        return find_marks(small.getchannel(0) if small.mode == "YCbCr" else small.convert("L"))
    except MemoryError:
        raise
    except Exception:
        log.exception("marks not looked for")
        return None


def _sticker_texts(opened: Callable[[], Image.Image]) -> tuple[str, ...]:
    """The stickers of a further picture. None if it cannot be decoded: the acta is the chosen picture, not this one."""
    try:
        luminance, _ = decoded(opened, lambda image: _on_white_paper(image).convert("L"))
    except Parked:
        return ()
    return read_qr(luminance).texts


def _decode_pixels(image: Image.Image, picture: Picture, factor: int) -> tuple[Image.Image, Image.Image]:
    """The whole image in luminance, and the pixels of the web copy."""
    if picture.format == "jpeg":
        return _decode_jpeg_pixels(image, picture, factor)
    page = _on_white_paper(image)
    return page.convert("L"), page.reduce(factor) if factor > 1 else page


def web_factor(width: int, height: int) -> int:
    """The power of two by which an image is divided for the web."""
    factor = 1
    while max(width, height) > WEB_SIDE * factor:
        factor *= 2
    return factor


def _decode_jpeg_pixels(image: Image.Image, picture: Picture, factor: int) -> tuple[Image.Image, Image.Image]:
    # If the web copy is as large as the original, one decode gives both: luminance is the first channel of YCbCr.
    # If it is smaller, two decodes are cheaper: the whole one without colours, the one with colours already halved.
    # A picture that is stored in red, green and blue cannot be had as YCbCr.
    colours = "RGB" if _is_stored_as_rgb(image) else "YCbCr"
    if factor == 1:
        image.draft(colours, image.size)
        image.load()  # an error of the bytes must come here, inside of `decoded`
        luminance = image.getchannel(0) if image.mode in {"YCbCr", "L"} else image.convert("L")
        return luminance, _turn_upright(image, image)
    whole = picture.opened()
    whole.draft("L", whole.size)
    image.draft(colours, (image.width // factor, image.height // factor))
    image.load()
    return whole.convert("L"), _turn_upright(image, image)


def _is_stored_as_rgb(image: Image.Image) -> bool:
    """Whether the three components of this JPEG are red, green and blue, by the rule of libjpeg."""
    if image.mode != "RGB" or "jfif" in image.info:
        return False
    if "adobe_transform" in image.info:
        return bool(image.info["adobe_transform"] == 0)
    return bytes(component[0] for component in getattr(image, "layer", ())) == b"RGB"


def _on_white_paper(image: Image.Image) -> Image.Image:
    """Colours or grey, upright; transparent parts become white."""
    if image.mode.startswith(("I", "F")):
        return _turn_upright(_from_deep_grey(image), image)
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        above = image.convert("RGBA")
        paper = Image.new("RGB", above.size, "white")
        paper.paste(above, mask=above.getchannel("A"))
        return _turn_upright(paper, image)
    return _turn_upright(image.convert("L" if image.mode in {"1", "L"} else "RGB"), image)


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """Greys of more than 8 bits. No file says how many of them a scanner uses, so the lightest point tells it."""
    deep = image.convert("F" if image.mode.startswith("F") else "I")
    low, high = (float(edge) for edge in deep.getextrema())  # type: ignore[arg-type]  # one channel has two numbers
    low = min(low, 0)
    white = high if deep.mode == "F" else next((2**bits - 1 for bits in DEPTHS if high < 2**bits), high)
    scale = 255 / ((white - low) or 1)
    return deep.point(lambda level: level * scale - low * scale).convert("L")


DEPTHS: Final = (1, 2, 4, 8, 10, 12, 14, 15, 16)
"""Bits of the greys that scanners make."""


def _turn_upright(pixels: Image.Image, told_by: Image.Image) -> Image.Image:
    """`pixels` turned as the EXIF of `told_by` asks, without any of its metadata."""
    turn = _exif_turn(told_by)
    if pixels.mode not in {"YCbCr", "L", "RGB"}:
        pixels = pixels.convert("RGB")
    return pixels.transpose(turn) if turn is not None else pixels


def _exif_turn(image: Image.Image) -> Image.Transpose | None:
    # A note of XMP alone is obeyed by no browser.
    if "exif" not in image.info and image.format != "TIFF":
        return None
    try:
        return TURNS.get(image.getexif().get(0x0112, 1))
    except (OSError, ValueError, SyntaxError, LookupError, TypeError, struct.error):  # broken metadata, good pixels
        return None


def _original_for_web(data: bytes, picture: Picture, small: Image.Image) -> bytes | None:
    """The original without its metadata, if it can be the web copy: a small upright JPEG. Else None."""
    # A browser turns an original by its EXIF, and shows the first picture of a file. If the acta is turned, or is a
    # later picture of the file, the web copy must be compressed again.
    if picture.format != "jpeg" or len(data) > WEB_BYTES or small.mode not in {"YCbCr", "L"}:
        return None
    image = picture.opened()
    if image.size != opener(data, "jpeg")().size or web_factor(*image.size) > 1 or _exif_turn(image) is not None:
        return None
    return bare_jpeg(data)


METADATA: Final = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})
"""Application segments and comments. JFIF and Adobe are not among them: they say how to read the pixels."""


def bare_jpeg(data: bytes) -> bytes | None:
    """The first image in `data` with the same pixels and no metadata; None if its segments are not in order."""
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
"""The turn that undoes each EXIF orientation."""


def _save_jpeg(image: Image.Image, quality: int) -> bytes:
    saved = io.BytesIO()
    image.save(saved, "JPEG", quality=quality, exif=b"", icc_profile=None, comment=b"")
    return saved.getvalue()


# The perceptual hash
#
# All forms of a contest look alike: two actas laid on the same scanner differ in their handwriting alone. A 64-bit or a
# 256-bit difference hash cannot tell them apart (drawn and measured: copies of one photo up to 22 bits apart, two actas
# from 4 on). Finer cells can, if flat paper sets no bits: a bit is set only if a cell is clearly lighter than the next.

HASH_SIDE: Final = 32
HASH_STEP: Final = 10
"""Levels by which, in an image whose paper is white (255), a cell must be lighter than its right neighbour."""


def perceptual_hash(image: Image.Image) -> bytes:
    """128 bytes that stay nearly the same when an image is compressed again or scaled (a 1024-bit difference hash)."""
    grey = image.getchannel(0) if image.mode == "YCbCr" else image.convert("L")
    cells = grey.resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    # The step follows the lightest cell: a dark photo of the same sheet must give the same bits.
    step = HASH_STEP * max(cells.tobytes()) / 255
    left, right = (cells.crop((at, 0, at + HASH_SIDE, HASH_SIDE)) for at in (0, 1))
    set_bits = [255 if lighter > step else 0 for lighter in range(256)]
    return ImageChops.subtract(left, right).point(set_bits, "1").tobytes()


def distance(one: bytes, other: bytes) -> int:
    """Bits in which two hashes differ, 0 to 1024."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


# For `prep scan`


def scan_files(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """The reading of each image: file, text, decoder, ms, and `error` if it is no image that is taken."""
    for path in paths:
        found: dict[str, Any] = {"file": str(path), "text": None, "decoder": None, "ms": 0.0}
        try:
            reading = scan(path.read_bytes())
        except (Rejected, Parked) as refusal:
            found["error"] = refusal.sentence
        except OSError as error:
            found["error"] = f"no se pudo leer el archivo: {reason_of(error)}"
        else:
            found |= {"text": reading.text, "decoder": reading.decoder, "ms": reading.ms}
        yield found


def scan(data: bytes) -> QrReading:
    """Only the QR of an image. Raises the same as `digitize`."""
    picture = look(data)
    (luminance, _), _ = decoded(picture.opened, lambda image: _decode_pixels(image, picture, 1))
    return read_qr(luminance)
