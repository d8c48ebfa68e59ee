"""Honest pictures: formats × containers × orientations × trailers, and small damage. One seed makes one picture."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import segno
from PIL import Image, ImageDraw

STICKER: Final = "28|3|1|1234|1|B|0|5"
SIDES: Final = (480, 340)


@dataclass(frozen=True, slots=True)
class Made:
    """One file, the kinds that made it, and the picture that stands in it, upright."""

    name: str
    form: str
    data: bytes
    meant: Image.Image


def acta(sticker: str = STICKER, size: tuple[int, int] = SIDES, seed: int = 0) -> Image.Image:
    """A sheet with ruled lines, numbers and a sticker. No two of its sides look alike, so a wrong turn is seen."""
    rng = random.Random(seed)
    sheet = Image.new("RGB", size, (250, 246, 240))
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((0, 0, size[0] // 5, size[1] // 8), fill=(40, 60, 120))
    for row in range(size[1] // 6, size[1], 18):
        draw.line((10, row, size[0] - 10, row), fill=(120, 120, 120))
        draw.text((14 + rng.randrange(size[0] // 3), row + 2), str(rng.randrange(1000)), fill=(20, 20, 90))
    code = io.BytesIO()
    segno.make(sticker, error="m", micro=False).save(code, kind="png", scale=4, border=4)
    stuck = Image.open(io.BytesIO(code.getvalue())).convert("RGB")
    sheet.paste(stuck, (size[0] - stuck.width - 8, 8))
    return sheet


def saved(image: Image.Image, form: str, **options: Any) -> bytes:  # noqa: ANN401  # as Pillow's own
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


STORED_AS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""The way in which a camera stores an upright sheet, by the EXIF orientation that it notes."""


def turned(image: Image.Image, orientation: int) -> tuple[Image.Image, Image.Exif]:
    exif = Image.Exif()
    if orientation > 1:
        exif[0x0112] = orientation
        image = image.transpose(STORED_AS[orientation])
    return image, exif


# Formats

FORMATS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "jpeg": ("JPEG", {"quality": 85}),
    "jpeg progressive": ("JPEG", {"quality": 80, "progressive": True}),
    "jpeg 4:4:4": ("JPEG", {"quality": 90, "subsampling": 0}),
    "jpeg restarts": ("JPEG", {"quality": 85, "restart_marker_rows": 1}),
    "jpeg grey": ("JPEG", {"quality": 85, "mode": "L"}),
    "jpeg optimized": ("JPEG", {"quality": 75, "optimize": True}),
    "png": ("PNG", {"compress_level": 1}),
    "png grey": ("PNG", {"mode": "L", "compress_level": 1}),
    "png palette": ("PNG", {"mode": "P", "compress_level": 1}),
    "png alpha": ("PNG", {"mode": "RGBA", "compress_level": 1}),
    "webp": ("WEBP", {"quality": 85, "method": 0}),
    "webp lossless": ("WEBP", {"lossless": True, "method": 0}),
    "avif": ("AVIF", {"quality": 85, "speed": 10}),
    "gif": ("GIF", {"mode": "P"}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {}),
    "tiff lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "tiff jpeg": ("TIFF", {"compression": "jpeg"}),
    "tiff big": ("TIFF", {"big_tiff": True}),
    "pdf": ("PDF", {}),
}


def in_format(image: Image.Image, name: str, orientation: int = 1) -> bytes:
    form, options = FORMATS[name]
    options = dict(options)
    image = image.convert(options.pop("mode", "RGB"))
    if form == "PDF":
        return pdf(saved(image, "JPEG", quality=85), image.size, rotate=90 * (orientation % 4))
    stored, exif = turned(image, orientation)
    if orientation > 1 and form in {"JPEG", "PNG", "WEBP", "AVIF"}:
        options["exif"] = exif
    elif orientation > 1:
        stored = image  # these formats have no note of the orientation
    return saved(stored, form, **options)


# Containers


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def chunk(kind: bytes, content: bytes, *, crc: int | None = None) -> bytes:
    crc = zlib.crc32(kind + content) if crc is None else crc
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def into_jpeg(*parts: bytes) -> Callable[[bytes, random.Random], bytes]:
    return lambda data, _: data[:2] + b"".join(parts) + data[2:]


def mpf(data: bytes, extras: list[bytes], padding: int) -> bytes:
    """A multi-picture file (CIPA DC-007) with `extras` behind the picture, and `padding` bytes before each."""
    # The index tells places behind itself, so its own length must be known first: it is built once with zeros.

    def index(first: int, places: list[tuple[int, int]]) -> bytes:
        entries = struct.pack("<IIIHH", 0x030000, first, 0, 0, 0)
        for start, length in places:
            entries += struct.pack("<IIIHH", 0x020002, length, start, 0, 0)
        ifd = struct.pack("<H", 3)
        ifd += struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")
        ifd += struct.pack("<HHII", 0xB001, 4, 1, 1 + len(places))
        ifd += struct.pack("<HHII", 0xB002, 7, len(entries), 8 + 2 + 3 * 12 + 4) + bytes(4)
        return b"MPF\0II*\0\x08\0\0\0" + ifd + entries

    head = 2 + len(segment(0xE2, index(0, [(0, 0)] * len(extras))))
    base, whole, places = 2 + 4 + 4, len(data) - 2 + head, []
    tail = b""
    for extra in extras:
        tail += bytes(padding)
        places.append((whole + len(tail) - base, len(extra)))
        tail += extra
    return data[:2] + segment(0xE2, index(whole, places)) + data[2:] + tail


def preview() -> bytes:
    return saved(Image.new("RGB", (96, 64), (200, 30, 30)), "JPEG")


JPEG_CONTAINERS: Final[dict[str, Callable[[bytes, random.Random], bytes]]] = {
    "as it is": lambda data, _: data,
    "xmp": into_jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + b" " * 4000 + b"</x:xmpmeta>")),
    "maker notes": lambda data, rng: into_jpeg(*(segment(0xE0 + n, rng.randbytes(900)) for n in (4, 5, 10, 11)))(
        data, rng
    ),
    "comment with markers": into_jpeg(segment(0xFE, b"\xff\xd9\xff\xd8\xff/JS <html>")),
    "fill bytes": into_jpeg(b"\xff" * 40 + segment(0xFE, b"x")),
    "broken exif": into_jpeg(segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(14))),
    "mpf": lambda data, _: mpf(data, [preview()], 0),
    "mpf padded": lambda data, _: mpf(data, [preview()], 512),
    "mpf of three": lambda data, rng: mpf(data, [preview(), preview()], rng.randrange(2000)),
    "mpf astray": lambda data, rng: mpf(data, [preview()], 64)[:-300] + rng.randbytes(60),
    "no end": lambda data, _: data.removesuffix(b"\xff\xd9"),
}
PNG_CONTAINERS: Final[dict[str, Callable[[bytes, random.Random], bytes]]] = {
    "as it is": lambda data, _: data,
    "texts": lambda data, _: data[:33] + chunk(b"tEXt", b"Software\0/JS") * 30 + data[33:],
    "zipped text": lambda data, _: data[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(3_000_000))) + data[33:],
    "bad text crc": lambda data, _: data[:33] + chunk(b"tEXt", b"a\0b", crc=7) + data[33:],
    "own chunk": lambda data, rng: data[:33] + chunk(b"prVt", rng.randbytes(500)) + data[33:],
    "no end": lambda data, _: data[:-12],
}


def pdf(
    jpeg: bytes,
    size: tuple[int, int],
    *,
    rotate: int = 0,
    indirect: bool = False,
    packed: bool = False,
    lead: bytes = b"",
    deleted: int = 0,
    extra: bytes = b"",
    pages: int = 1,
) -> bytes:
    """A scan as one page, in the spellings that real programs use. `deleted`: pages that are in the file alone."""
    width, height = size
    box = b"[0 0 %d %d]" % size
    kids = b" ".join([b"3 0 R"] * pages)
    content = b"q %d 0 0 %d 0 0 cm /I0 Do Q" % size
    things: dict[int, bytes] = {
        1: b"<< /Type /Catalog /Pages 2 0 R %s >>" % extra,
        2: b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, pages),
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox %s /Rotate %d /Contents 5 0 R"
        b" /Resources << /XObject << /I0 4 0 R >> >> >>" % (b"6 0 R" if indirect else box, rotate),
        6: box,
    }
    for number in range(deleted):
        things[10 + number] = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 900 900] >>"
    streams = {
        4: b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /Device%s /BitsPerComponent 8"
        b" /Filter /DCTDecode /Length %d >>\nstream\n"
        % (width, height, _colour_space(jpeg), len(jpeg))
        + jpeg
        + b"\nendstream",
        5: b"<< /Length %d >>\nstream\n" % len(content) + content + b"\nendstream",
    }
    return _packed_pdf(things, streams, lead) if packed else _plain_pdf(things | streams, lead)


def _colour_space(jpeg: bytes) -> bytes:
    return b"Gray" if Image.open(io.BytesIO(jpeg)).mode == "L" else b"RGB"


def _plain_pdf(things: dict[int, bytes], lead: bytes) -> bytes:
    out, places = lead + b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n", {}
    for number, thing in things.items():
        places[number] = len(out) - len(lead)
        out += b"%d 0 obj\n" % number + thing + b"\nendobj\n"
    start, last = len(out) - len(lead), max(things)
    rows = b"".join(
        b"%010d 00000 n \n" % places[n] if n in places else b"0000000000 65535 f \n" for n in range(last + 1)
    )
    return out + b"xref\n0 %d\n%strailer\n<< /Root 1 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF\n" % (
        last + 1, rows, last + 1, start,
    )  # fmt: skip


def _packed_pdf(things: dict[int, bytes], streams: dict[int, bytes], lead: bytes) -> bytes:
    """A PDF 1.5: objects in an object stream with a predictor, and the table of objects as a stream too."""
    out, rows = lead + b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n", {}
    for number, stream in streams.items():
        rows[number] = (1, len(out) - len(lead), 0)
        out += b"%d 0 obj\n" % number + stream + b"\nendobj\n"
    heads, bodies = b"", b""
    for place, (number, thing) in enumerate(things.items()):
        heads += b"%d %d " % (number, len(bodies))
        bodies += thing + b" "
        rows[number] = (2, 30, place)
    packed = zlib.compress(heads + bodies)
    rows[30] = (1, len(out) - len(lead), 0)
    out += b"30 0 obj\n<< /Type /ObjStm /DecodeParms << /Predictor 1 >>"
    out += b" /N %d /First %d /Filter /FlateDecode /Length %d >>\nstream\n" % (
        len(things), len(heads), len(packed),
    ) + packed + b"\nendstream\nendobj\n"  # fmt: skip
    start = len(out) - len(lead)
    rows[31] = (1, start, 0)
    table = b"".join(struct.pack(">BIB", *rows.get(n, (0, 0, 0))) for n in range(32))
    body = zlib.compress(table)
    out += (
        b"31 0 obj\n<< /Type /XRef /W [1 4 1] /Size 32 /Root 1 0 R /Filter /FlateDecode /Length %d >>\nstream\n"
        % len(body)
    )
    return out + body + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % start


PDF_SPELLINGS: Final[dict[str, dict[str, Any]]] = {
    "as it is": {},
    "indirect box": {"indirect": True},
    "packed": {"packed": True},
    "packed, indirect": {"packed": True, "indirect": True},
    "newline before": {"lead": b"\n"},
    "mail before": {"lead": b"Content-Type: application/pdf\r\n\r\n"},
    "deleted pages": {"deleted": 2},
    "links": {"extra": b"/Lang (es-MX) /ViewerPreferences << /DisplayDocTitle true >>"},
}


def tiff_pages(pages: list[Image.Image], *, reduced: set[int] = frozenset()) -> bytes:  # type: ignore[assignment]
    """Uncompressed grey pages, one directory each. `reduced`: numbers of the pages that say they are a preview."""
    out, last = bytearray(b"II*\0\0\0\0\0"), 4
    for number, page in enumerate(pages):
        pixels = page.convert("L").tobytes()
        start = len(out)
        out += pixels + bytes(len(pixels) % 2)
        struct.pack_into("<I", out, last, len(out))
        tags = [
            (254, 4, int(number in reduced)), (256, 4, page.width), (257, 4, page.height), (258, 3, 8), (259, 3, 1),
            (262, 3, 1), (273, 4, start), (277, 3, 1), (278, 4, page.height), (279, 4, len(pixels)),
        ]  # fmt: skip
        out += struct.pack("<H", len(tags)) + b"".join(
            struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags
        )
        last = len(out)
        out += bytes(4)
    return bytes(out)


def tiff_below(preview_: Image.Image, full: Image.Image) -> bytes:
    """A TIFF whose first directory is a preview; the full picture is in a directory below it (SubIFDs)."""
    data = bytearray(tiff_pages([preview_, full]))
    first = struct.unpack_from("<I", data, 4)[0]
    entry = first + 2
    after = first + 2 + 12 * 10
    below = struct.unpack_from("<I", data, after)[0]
    struct.pack_into("<HHII", data, entry, 254, 4, 1, 1)
    # The tag 278 (rows) may be absent, so it makes room for the tag 330. Tags are in order of number.
    rows = [bytes(data[entry + 12 * n : entry + 12 * n + 12]) for n in range(10)]
    rows = [row for row in rows if row[:2] != struct.pack("<H", 278)] + [struct.pack("<HHII", 330, 4, 1, below)]
    data[entry:after] = b"".join(rows)
    struct.pack_into("<I", data, after, 0)
    return bytes(data)


def _small_preview() -> Image.Image:
    return Image.new("RGB", (96, 68), (220, 220, 220))


TIFF_CONTAINERS: Final[dict[str, Callable[[Image.Image], bytes]]] = {
    "preview first": lambda image: tiff_pages([_small_preview(), image], reduced={0}),
    "preview first, not marked": lambda image: tiff_pages([_small_preview(), image]),
    "smaller one marked as the main one": lambda image: tiff_pages([_small_preview(), image], reduced={1}),
    "preview last": lambda image: tiff_pages([image, _small_preview()], reduced={1}),
    "several previews": lambda image: tiff_pages(
        [_small_preview(), image, _small_preview(), _small_preview()], reduced={0, 2, 3}
    ),
    "full one below": lambda image: tiff_below(_small_preview(), image),
}

# Trailers


def _empty_zip() -> bytes:
    record = b"PK\x03\x04" + bytes(26)
    return record + b"PK\x05\x06" + bytes(18)


TRAILERS: Final[dict[str, Callable[[random.Random], bytes]]] = {
    "none": lambda _: b"",
    "zeros": lambda rng: bytes(rng.randrange(1, 5000)),
    "ones": lambda rng: b"\xff" * rng.randrange(1, 500),
    "newline": lambda _: b"\r\n",
    "vivo": lambda rng: b'vivo{"cameraInfo":"' + rng.randbytes(40).hex().encode() + b'"}' + struct.pack(">I", 120),
    "xiaomi": lambda rng: b"<?xml version='1.0'?><meta>" + rng.randbytes(60).hex().encode() + b"</meta>",
    "samsung": lambda rng: b"\0\0\x01\x0afecha" + rng.randbytes(200) + b"SEFH" + bytes(24) + b"SEFT",
    "huawei": lambda rng: rng.randbytes(300) + b"HUAWEI_DEPTH\0",
    "motion clip": lambda rng: b"\0\0\0\x18ftypmp42" + rng.randbytes(3000),
    "padded clip": lambda rng: bytes(256) + b"\0\0\0\x18ftypisom" + rng.randbytes(2000),
    "another jpeg": lambda _: preview(),
    "half a jpeg": lambda _: preview()[:-200],
    "noise": lambda rng: rng.randbytes(rng.randrange(1, 6000)),
    "zip": lambda _: _empty_zip(),
    "web page": lambda _: b"<html><script>alert(1)</script></html>",
}  # fmt: skip


def picture(seed: int) -> Made:
    """The picture with this number. The number chooses format, container, orientation, trailer and damage."""
    rng = random.Random(f"picture {seed}")
    name = rng.choice(sorted(FORMATS))
    form, orientation, meant = FORMATS[name][0], rng.randrange(1, 9), acta(seed=seed)
    container = "as it is"
    match form:
        case "PDF":
            container = rng.choice(sorted(PDF_SPELLINGS))
            turns = orientation % 4
            data = pdf(saved(meant, "JPEG", quality=85), meant.size, rotate=90 * turns, **PDF_SPELLINGS[container])
            meant = meant.rotate(-90 * turns, expand=True)
        case "TIFF" if rng.random() < 0.5:
            container = rng.choice(sorted(TIFF_CONTAINERS))
            data = TIFF_CONTAINERS[container](meant)
        case _:
            data = in_format(meant, name, orientation)
    if form in {"JPEG", "PNG"}:
        containers = JPEG_CONTAINERS if form == "JPEG" else PNG_CONTAINERS
        container = rng.choice(sorted(containers))
        data = containers[container](data, rng)
    trailer = rng.choice(sorted(TRAILERS))
    data += TRAILERS[trailer](rng)
    damage = rng.choice(("", "", "", "flipped", "cut", "grown"))
    data = damaged(data, damage, rng)
    return Made(f"{seed}: {name}, {container}, held {orientation}, {trailer}, {damage or 'whole'}", form, data, meant)


def damaged(data: bytes, how: str, rng: random.Random) -> bytes:
    """The same bytes with a few flipped, cut off at the end, or added, as `how` says."""
    at = rng.randrange(len(data))
    match how:
        case "flipped":
            changed = bytearray(data)
            for _ in range(rng.randrange(1, 4)):
                changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            return bytes(changed)
        case "cut":
            return data[: len(data) - rng.randrange(1, 400)]
        case "grown":
            return data[:at] + rng.randbytes(rng.randrange(1, 4)) + data[at:]
        case _:
            return data
