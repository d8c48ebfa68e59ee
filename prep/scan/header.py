"""The check of an upload from its bytes alone, before anything decodes it: is it one image, whole, and of a size we
take?

1. The first bytes say the format: JPEG, PNG, WebP, TIFF or PDF (one page, as scanners write).
2. The structure is walked from its first byte to its last one: an image that stops early was cut on its way; bytes
   after its end belong to something else, unless a camera is known to write them.
3. Its declared size is within the limit of pixels, so nobody decodes a bomb.
4. It has one frame and one page.
5. It is nothing else at the same time: no reader of ZIP, PDF or HTML would take these bytes for its own.

No pixel is decoded and compressed image data is only stepped over, so a photo is checked in well under a millisecond.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prep.errors import Rejected

DEFAULT_MAX_BYTES: Final = 15_000_000
DEFAULT_MAX_PIXELS: Final = 60_000_000
MAX_SIDE: Final = 65_535
"""Pixels; what a JPEG can say. A longer side is no acta in any format."""
PDF_DPI: Final = 200
"""The resolution at which a PDF page is drawn, and by which its size in pixels is judged."""
PDF_SIDE: Final = 4400
"""Longest side of a drawn PDF page, in pixels: a larger page is drawn at less than `PDF_DPI`."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What an image says of itself. Pixels as stored, before any EXIF rotation; of a PDF, those of its drawn page."""

    format: str
    """jpeg, png, webp, tiff or pdf."""
    width: int
    height: int
    media_type: str
    extension: str


MEDIA: Final = {
    "jpeg": ("image/jpeg", "jpg"),
    "png": ("image/png", "png"),
    "webp": ("image/webp", "webp"),
    "tiff": ("image/tiff", "tif"),
    "pdf": ("application/pdf", "pdf"),
}

INCOMPLETE: Final = "la imagen está incompleta: termina antes de su final"
DAMAGED: Final = "la imagen está dañada: su estructura no es válida"
FOREIGN: Final = "el archivo lleva, además de la imagen, otro contenido después de su final"
DISGUISED: Final = "el archivo es a la vez una imagen y otra cosa (ZIP, PDF o página web)"
MOVING: Final = "la imagen es animada o tiene varias páginas; se admite una sola"


def inspect(
    image: Path | bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS, max_bytes: int = DEFAULT_MAX_BYTES
) -> ImageHeader:
    """The header of an upload, given as its file or its bytes.

    Raises Rejected in one sentence: 413 for too many bytes or pixels, 415 for what is no image we take, 422 for one
    that is empty, cut, damaged, animated, of several pages, or something else besides.
    """
    size = len(image) if isinstance(image, bytes) else image.stat().st_size
    if size == 0:
        raise Rejected("la imagen está vacía")
    if size > max_bytes:
        raise Rejected(f"la imagen pasa del límite de {max_bytes} bytes", status=413)
    data = image if isinstance(image, bytes) else image.read_bytes()
    form = _format(data)
    width, height = READERS[form](data)
    if width < 1 or height < 1:
        raise Rejected(DAMAGED)
    if width > MAX_SIDE or height > MAX_SIDE or width * height > max_pixels:
        raise Rejected(f"la imagen mide {width} × {height} y el límite es de {max_pixels} pixeles", status=413)
    _refuse_disguise(data, form)
    media_type, extension = MEDIA[form]
    return ImageHeader(form, width, height, media_type, extension)


def _format(data: bytes) -> str:
    match data[:4]:
        case b"\x89PNG":
            return "png"
        case b"RIFF" if data[8:12] == b"WEBP":
            return "webp"
        case b"II*\x00" | b"MM\x00*":
            return "tiff"
        case b"%PDF":
            return "pdf"
        case start if start[:3] == b"\xff\xd8\xff":
            return "jpeg"
        case start if any(start.startswith(magic[: len(start)]) for magic in MAGIC) and len(data) < len(MAGIC[0]):
            raise Rejected(INCOMPLETE)
        case _:
            raise Rejected(_what_else(data), status=415)


MAGIC: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*", b"RIFF", b"%PDF")


def _what_else(data: bytes) -> str:
    """Tells the sender of a well-known format we do not take what to do."""
    known = "se admiten JPEG, PNG, WebP, TIFF y PDF de una página"
    if data[4:8] == b"ftyp":
        return f"la imagen es HEIC o un video; configure la cámara en JPEG ({known})"
    if data[:3] == b"GIF" or data[:2] == b"BM":
        return f"el formato de la imagen no se admite: {known}"
    return f"el archivo no es una imagen: {known}"


# JPEG

SOF: Final = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended and progressive. The other frames (lossless, hierarchical, arithmetic) come from no camera."""
SOF_OTHERS: Final = frozenset(range(0xC0, 0xD0)) - SOF - {0xC4, 0xC8, 0xCC}
SOF_BYTES: Final = 11
"""Least length of a frame's segment; a length counts its own two bytes."""
ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""
SOS, EOI = 0xDA, 0xD9
_AFTER_SCAN: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def _jpeg(data: bytes) -> tuple[int, int]:
    size, end = _walk_jpeg(data, 0)
    if size is None:
        raise Rejected(DAMAGED)
    if not _camera_trailer(data, end):
        raise Rejected(FOREIGN)
    return size


def _walk_jpeg(data: bytes, start: int) -> tuple[tuple[int, int] | None, int]:
    """Width and height of the JPEG at `start`, and where it ends."""
    at, size, scans = start + 2, None, 0
    while True:
        marker, at = _marker(data, at)
        if marker == EOI:
            if not scans:
                raise Rejected(DAMAGED)
            return size, at
        if marker in ALONE:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if at + max(2, length) > len(data):
            raise Rejected(INCOMPLETE)
        if length < (SOF_BYTES if marker in SOF else 2) or marker in SOF_OTHERS:
            raise Rejected(DAMAGED)
        if marker in SOF:
            height, width = struct.unpack(">HH", data[at + 3 : at + 7])
            size = (width, height)
        at += length
        if marker == SOS:
            found = _AFTER_SCAN.search(data, at)
            if found is None:
                raise Rejected(INCOMPLETE)
            scans, at = scans + 1, found.start()


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker at `at`, which fill bytes may precede, and where what it announces begins."""
    while data[at : at + 2] == b"\xff\xff":
        at += 1
    if at + 2 > len(data):
        raise Rejected(INCOMPLETE)
    if data[at] != 0xFF:
        raise Rejected(DAMAGED)
    return data[at + 1], at + 2


METADATA: Final = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})
"""Application segments and comments, but for the two that say how the pixels are meant (JFIF and Adobe)."""


def bare_jpeg(data: bytes) -> bytes:
    """The first image in `data`, which `inspect` has passed, with the very same pixels and nothing else."""
    kept, at = [data[:2]], 2
    while True:
        begin = at
        marker, at = _marker(data, at)
        if marker == EOI:
            return b"".join([*kept, b"\xff\xd9"])
        if marker in ALONE:
            continue
        at += int.from_bytes(data[at : at + 2], "big")
        if marker == SOS:
            found = _AFTER_SCAN.search(data, at)
            at = found.start() if found else len(data)
        if marker not in METADATA:
            kept.append(data[begin:at])


def _camera_trailer(data: bytes, end: int) -> bool:
    """Whether what follows the JPEG is nothing, padding, or one of the trailers that phones write.

    They are: further whole JPEGs (previews and gain maps of the multi-picture format), Samsung's SEF block, and the
    clip of a motion photo that the XMP of the photo announces. An image is not lost for any of these.
    """
    while True:
        rest = data[end : end + 4]
        if not data[end:].strip(b"\x00\xff\r\n"):
            return True
        if rest[:3] != b"\xff\xd8\xff":
            break
        _, end = _walk_jpeg(data, end)
    if data.endswith(b"SEFT") and b"SEFH" in data[end:]:
        return True
    head = data[: min(end, 70_000)]
    return data[end + 4 : end + 8] == b"ftyp" and (b"MotionPhoto" in head or b"MicroVideo" in head)


# PNG


def _png(data: bytes) -> tuple[int, int]:
    size: tuple[int, int] | None = None
    pixels = False
    at = 8
    if data[:8] != MAGIC[0]:
        raise Rejected(INCOMPLETE if len(data) < len(MAGIC[0]) else DAMAGED)
    while True:
        if at + 12 > len(data):
            raise Rejected(INCOMPLETE)
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        content, end = at + 8, at + 12 + length
        if end > len(data):
            raise Rejected(INCOMPLETE)
        if kind == b"IHDR" and length != 13:
            raise Rejected(DAMAGED)
        if (size is None) is not (kind == b"IHDR") or zlib.crc32(data[at + 4 : end - 4]) != _be32(data, end - 4):
            raise Rejected(DAMAGED)
        if kind == b"IHDR":
            size = struct.unpack(">II", data[content : content + 8])
        if kind == b"acTL":
            raise Rejected(MOVING)
        pixels = pixels or kind == b"IDAT"
        at = end
        if kind == b"IEND":
            break
    if at != len(data):
        raise Rejected(FOREIGN)
    if size is None or not pixels:
        raise Rejected(DAMAGED)
    return size


def _be32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


# WebP


def _webp(data: bytes) -> tuple[int, int]:
    declared = int.from_bytes(data[4:8], "little") + 8
    if declared > len(data):
        raise Rejected(INCOMPLETE)
    if data[declared:].strip(b"\x00"):
        raise Rejected(FOREIGN)
    canvas: tuple[int, int] | None = None
    frame: tuple[int, int] | None = None
    for kind, content in _riff(data[:declared]):
        match kind:
            case b"ANIM" | b"ANMF":
                raise Rejected(MOVING)
            case b"VP8X" if len(content) >= 10:
                if content[0] & 2:
                    raise Rejected(MOVING)
                canvas = (_le24(content, 4) + 1, _le24(content, 7) + 1)
            case b"VP8 " if bytes(content[3:6]) == b"\x9d\x01\x2a" and len(content) >= 10:
                width, height = struct.unpack("<HH", content[6:10])
                frame = (width & 0x3FFF, height & 0x3FFF)
            case b"VP8L" if bytes(content[:1]) == b"\x2f" and len(content) >= 5:
                bits = int.from_bytes(content[1:5], "little")
                frame = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
            case _:
                pass
    if frame is None or (canvas is not None and canvas != frame):
        raise Rejected(DAMAGED)
    return frame


def _riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and first bytes of each chunk."""
    at = 12
    while at < len(data):
        if at + 8 > len(data):
            raise Rejected(INCOMPLETE)
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > len(data):
            raise Rejected(INCOMPLETE)
        yield kind, data[at + 8 : at + 8 + min(length, 16)]
        at += 8 + length + length % 2


def _le24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")


# TIFF

TIFF_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4}
"""Bytes of a value, by field type; others hold nothing that is read here."""
SUBFILE, WIDTH, LENGTH, STRIPS, STRIP_BYTES, TILES, TILE_BYTES = 254, 256, 257, 273, 279, 324, 325
MAX_IFDS: Final = 8
MAX_VALUES: Final = 1_000_000


def _tiff(data: bytes) -> tuple[int, int]:
    """The first image; further ones may only be smaller versions of it, which scanners add for preview."""
    order = "<" if data[:2] == b"II" else ">"
    at, seen = _number(data, 4, 4, order), 0
    size: tuple[int, int] | None = None
    while at:
        tags, at = _ifd(data, at, order)
        seen += 1
        if size is not None and not tags.get(SUBFILE, [0])[0] & 1:
            raise Rejected(MOVING)
        if seen > MAX_IFDS:
            raise Rejected(DAMAGED)
        if size is None:
            size = _tiff_size(data, tags)
    if size is None:
        raise Rejected(DAMAGED)
    return size


def _ifd(data: bytes, at: int, order: str) -> tuple[dict[int, list[int]], int]:
    """The tags of one directory that hold whole numbers, and where the next directory is."""
    count = _number(data, at, 2, order)
    end = at + 2 + 12 * count
    if end + 4 > len(data):
        raise Rejected(INCOMPLETE)
    wanted = {SUBFILE, WIDTH, LENGTH, STRIPS, STRIP_BYTES, TILES, TILE_BYTES}
    tags: dict[int, list[int]] = {}
    for entry in range(at + 2, end, 12):
        tag, kind, values = struct.unpack(f"{order}HHI", data[entry : entry + 8])
        width = TIFF_SIZES.get(kind, 0)
        if tag not in wanted or not width or not values:
            continue
        if values > MAX_VALUES:
            raise Rejected(DAMAGED)
        start = entry + 8 if width * values <= 4 else _number(data, entry + 8, 4, order)
        tags[tag] = [_number(data, start + width * place, width, order) for place in range(values)]
    return tags, _number(data, end, 4, order)


def _tiff_size(data: bytes, tags: dict[int, list[int]]) -> tuple[int, int]:
    try:
        size = tags[WIDTH][0], tags[LENGTH][0]
        starts = tags[STRIPS] if STRIPS in tags else tags[TILES]
        lengths = tags[STRIP_BYTES] if STRIP_BYTES in tags else tags[TILE_BYTES]
        ends = [start + length for start, length in zip(starts, lengths, strict=True)]
    except (KeyError, ValueError):
        raise Rejected(DAMAGED) from None
    if max(ends) > len(data):
        raise Rejected(INCOMPLETE)
    return size


def _number(data: bytes, at: int, width: int, order: str) -> int:
    if at + width > len(data):
        raise Rejected(INCOMPLETE)
    return int.from_bytes(data[at : at + width], "little" if order == "<" else "big")


# PDF

_PAGE: Final = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_OBJECT: Final = re.compile(rb"(\d+)\s+\d+\s+obj")
_PACKED: Final = re.compile(rb"/Type\s*/ObjStm[^>]*>>\s*stream\r?\n")
_MEDIA_BOX: Final = re.compile(rb"/MediaBox\s*\[\s*([-\d.\s]+)\]")
_PICTURE: Final = re.compile(rb"/(Width|Height)\s+(\d+)")
_ACTIVE: Final = re.compile(rb"/(JavaScript|JS|Launch|EmbeddedFile|RichMedia|XFA)(?![A-Za-z])")
PACKED_BYTES: Final = 2_000_000
"""Most that the packed objects of a PDF may unpack to: a one-page scan has a few hundred bytes of them."""


def _pdf(data: bytes) -> tuple[int, int]:
    tail = data.rfind(b"%%EOF")
    if tail < 0:
        raise Rejected(INCOMPLETE)
    if data[tail + 5 :].strip(b"\x00\r\n\t "):
        raise Rejected(FOREIGN)
    if re.search(rb"/Encrypt(?![A-Za-z])", data):
        raise Rejected("el PDF está cifrado; envíelo sin contraseña")
    packed = _packed(data)
    if _ACTIVE.search(data) or _ACTIVE.search(packed):
        raise Rejected("el PDF lleva contenido activo o archivos adjuntos; se admite solo una página escaneada")
    pages = _pages(data, packed)
    if pages > 1:
        raise Rejected(MOVING)
    if not pages:
        raise Rejected(DAMAGED)
    pictures = _pictures(data)
    drawn = _drawn(data, packed)
    return max([drawn, *pictures], key=lambda size: size[0] * size[1]) if _bomb(pictures) else drawn


def _packed(data: bytes) -> bytes:
    """The object streams of a PDF 1.5, unpacked: pages may be described there."""
    unpacked = bytearray()
    for found in _PACKED.finditer(data):
        unpacker = zlib.decompressobj()
        try:
            unpacked += unpacker.decompress(data[found.end() : data.find(b"endstream", found.end())], PACKED_BYTES)
        except zlib.error:
            raise Rejected(DAMAGED) from None
        if len(unpacked) >= PACKED_BYTES:
            raise Rejected(DAMAGED)
    return bytes(unpacked)


def _pages(data: bytes, packed: bytes) -> int:
    """Distinct page objects: a PDF that was saved again holds the same page twice, under one number."""
    numbers = set()
    for found in _PAGE.finditer(data):
        before = _OBJECT.findall(data[max(0, found.start() - 4000) : found.start()])
        numbers.add(before[-1] if before else found.start())
    return len(numbers) + len(_PAGE.findall(packed))


def _drawn(data: bytes, packed: bytes) -> tuple[int, int]:
    """The page in pixels as it will be drawn; its box is stated in points, 72 to the inch."""
    found = _MEDIA_BOX.search(data) or _MEDIA_BOX.search(packed)
    if found is None:
        raise Rejected(DAMAGED)
    try:
        left, bottom, right, top = (float(number) for number in found[1].split())
    except ValueError:
        raise Rejected(DAMAGED) from None
    scale = pdf_scale(abs(right - left), abs(top - bottom))
    return round(abs(right - left) * scale), round(abs(top - bottom) * scale)


def pdf_scale(width: float, height: float) -> float:
    """Pixels for each point of a page of this size."""
    return min(PDF_DPI / 72, PDF_SIDE / max(width, height, 1))


def _pictures(data: bytes) -> list[tuple[int, int]]:
    """Sizes of the pictures on the page: a width and a height that stand side by side."""
    sizes, before = [], None
    for found in _PICTURE.finditer(data):
        if before is None or before[1] == found[1]:
            before = found
        else:
            width, height = (before, found) if before[1] == b"Width" else (found, before)
            sizes.append((int(width[2]), int(height[2])))
            before = None
    return sizes


def _bomb(pictures: list[tuple[int, int]]) -> bool:
    """Whether decoding a picture of the page could cost more than drawing the page."""
    return any(width * height > PDF_SIDE**2 for width, height in pictures)


READERS: Final = {"jpeg": _jpeg, "png": _png, "webp": _webp, "tiff": _tiff, "pdf": _pdf}


# Something else besides

_OTHER_READER: Final = re.compile(rb"<(?:!doctype|html|script|iframe)|%PDF-", re.IGNORECASE)
"""At least five bytes each: chance puts four given bytes into one of every few thousand photos, and no photo may be
lost.
"""
_ZIP_END: Final = b"PK\x05\x06"
_ZIP_TAIL: Final = 22 + 65_535
"""The closing record of a ZIP and its longest comment."""


def _refuse_disguise(data: bytes, form: str) -> None:
    """Readers of other formats look for a mark in the first kilobyte (PDF, HTML) or an exact record at the end
    (ZIP).
    """
    if form != "pdf" and _OTHER_READER.search(data, 4, 1024):
        raise Rejected(DISGUISED)
    first = max(0, len(data) - _ZIP_TAIL)
    at = data.rfind(_ZIP_END, first)
    while at >= 0:
        if at + 22 + int.from_bytes(data[at + 20 : at + 22], "little") == len(data):
            raise Rejected(DISGUISED)
        at = data.rfind(_ZIP_END, first, at)
