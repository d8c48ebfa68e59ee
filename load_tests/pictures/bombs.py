"""Files that an attacker may upload: bombs, loops, disguises, halves. Each kind has a name."""

import gzip
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Final

from load_tests.pictures import kinds
from load_tests.pictures.kinds import acta, chunk, in_format, pdf, saved, segment

FORMS: Final = ("jpeg", "jpeg progressive", "png", "webp", "avif", "gif", "bmp", "tiff", "pdf")


def corpus() -> Iterator[tuple[str, bytes]]:
    """Every kind once, always the same."""
    # The name seeds the noise in the files, so a function here can get another name and its files stay the same.
    makers = {
        "_pngs": _png_bombs,
        "_jpegs": _jpeg_bombs,
        "_pdfs": _pdf_bombs,
        "_active": _active_pdfs,
        "_tiffs": _tiff_bombs,
        "_others": _bombs_of_other_formats,
        "_disguises": _pictures_that_are_also_others,
        "_halves": _cut_pictures,
        "_noises": _pictures_with_noise,
    }
    for seed, make in makers.items():
        yield from make(random.Random(seed))


@cache
def _zeros(length: int) -> bytes:
    """So many zero bytes, compressed. They are made piece by piece, because a bomb does not fit in memory."""
    press, out, piece = zlib.compressobj(1), bytearray(), bytes(1 << 20)
    for _ in range(length >> 20):
        out += press.compress(piece)
    return bytes(out + press.compress(bytes(length & 0xFFFFF)) + press.flush())


def _png_bombs(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    def png(
        width: int, height: int, pixels: bytes, *, depth: int = 8, colour: int = 0, lace: int = 0, more: bytes = b""
    ) -> bytes:
        head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, lace)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")

    # 1. Many pixels in few bytes, in every kind of pixel. 2. A header that lies about its size. 3. Bombs beside them.
    channels = {0: 1, 2: 3, 4: 2, 6: 4}
    for (width, height), colour, depth, lace in product(((7700, 7700), (60_000, 900)), (0, 2, 4, 6), (8, 16), (0, 1)):
        row = 1 + width * channels[colour] * depth // 8
        data = png(
            width, height, _zeros(row * height // (1 if lace == 0 else 4)), depth=depth, colour=colour, lace=lace
        )
        yield f"png bomb {width}×{height} colour {colour} depth {depth} interlaced {lace}", data
    for size in ((60_000, 60_000), (2**31 - 1, 1), (2**32 - 1, 2**32 - 1), (0, 0), (1, 65_536)):
        yield f"png that says {size[0]}×{size[1]}", png(*size, zlib.compress(b"\0" * 99))
    yield (
        "png of a hundred thousand empty chunks",
        png(8, 8, zlib.compress(bytes(72)), more=chunk(b"prVt", b"") * 100_000),
    )
    yield (
        "png of text bombs",
        png(8, 8, zlib.compress(bytes(72)), more=chunk(b"zTXt", b"a\0\0" + _zeros(100 << 20)) * 3),
    )
    yield (
        "png with a bomb for a profile",
        png(8, 8, zlib.compress(bytes(72)), more=chunk(b"iCCP", b"a\0\0" + _zeros(300 << 20))),
    )
    yield "png of empty data chunks", png(64, 64, zlib.compress(bytes(65 * 64)), more=chunk(b"IDAT", b"") * 50_000)
    yield "png with a length beyond its end", png(8, 8, b"")[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT"
    yield "png with noise for pixels", png(3000, 3000, rng.randbytes(200_000), colour=2)
    yield "png without a palette", png(64, 64, zlib.compress(bytes(65 * 64)), colour=3)
    frames = chunk(b"acTL", struct.pack(">II", 2**31, 0))
    yield "png of two thousand million frames", png(64, 64, zlib.compress(bytes(65 * 64)), more=frames)


def _jpeg_bombs(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    # 1. A header that lies about its size. 2. Scans without end over many pixels. 3. Odd frames and segments of noise.
    # 4. Segments, fill bytes and restarts without end. 5. EXIF and MPF that lead back to themselves.
    good = in_format(acta(), "jpeg")
    at = good.index(b"\xff\xc0") + 5
    for width, height in ((65_535, 65_535), (65_535, 900), (7700, 7700), (0, 0), (1, 65_535), (65_535, 1)):
        yield f"jpeg that says {width}×{height}", good[:at] + struct.pack(">HH", height, width) + good[at + 4 :]
    slow = in_format(acta(), "jpeg progressive")
    scan = slow.index(b"\xff\xda")
    at = slow.index(b"\xff\xc2") + 5
    for times, size in product((50, 2000, 20_000), ((7700, 7700), (480, 340))):
        body = slow[:at] + struct.pack(">HH", size[1], size[0]) + slow[at + 4 : scan]
        yield (
            f"jpeg of {times} empty scans over {size[0]}×{size[1]}",
            body + slow[scan : scan + 14] * times + b"\xff\xd9",
        )
    for marker in range(0xC0, 0xD0):
        yield f"jpeg whose frame is {marker:x}", good.replace(b"\xff\xc0", bytes((0xFF, marker)), 1)
    for marker in (0xDB, 0xC4, 0xDD, 0xDC, 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE):
        yield f"jpeg with noise in segment {marker:x}", good[:2] + segment(marker, rng.randbytes(900)) + good[2:]
    yield "jpeg of a hundred thousand segments", good[:2] + segment(0xE5, b"") * 100_000 + good[2:]
    yield "jpeg of three million fill bytes", good[:2] + b"\xff" * 3_000_000 + good[2:]
    yield "jpeg with fill bytes in its scan", good[:-2] + b"\xff" * 2_000_000 + b"\xff\xd9"
    yield "jpeg with restarts for data", good[: good.index(b"\xff\xda") + 14] + b"\xff\xd0" * 500_000 + b"\xff\xd9"
    yield "jpeg with eight thousand frames", good[:-2] + good[good.index(b"\xff\xc0") :][:19] * 8000 + b"\xff\xd9"
    exif = (
        b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    )
    yield "jpeg whose exif is a loop", good[:2] + segment(0xE1, exif) + good[2:]
    huge = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHII", 0x0112, 5, 2**32 - 1, 8)
    yield "jpeg whose exif counts to four thousand million", good[:2] + segment(0xE1, huge) + good[2:]
    yield "jpeg of pictures that find themselves", kinds.mpf(good, [good[:100]] * 400, 0)
    yield "jpeg with pictures behind its end", kinds.mpf(good, [kinds.preview()] * 60, 9)[:-30_000]
    icc = b"".join(segment(0xE2, b"ICC_PROFILE\0" + bytes((n, 255)) + bytes(60_000)) for n in range(1, 90))
    yield "jpeg with a profile of megabytes", good[:2] + icc + good[2:]


def _pdf_bombs(_: random.Random) -> Iterator[tuple[str, bytes]]:
    # 1. Drawing without end. 2. Content packed again and again. 3. Forms that hold themselves. 4. Pictures that are
    # bombs, with names in both spellings. 5. Odd pages. 6. Files that are slow to search. 7. Noise for each filter.
    jpeg, size = saved(acta(), "JPEG"), kinds.SIDES

    def drawing(
        content: bytes, *, filters: bytes = b"/FlateDecode", things: bytes = b"", box: bytes = b"[0 0 612 792]"
    ) -> bytes:
        return kinds._plain_pdf(  # noqa: SLF001
            {
                1: b"<< /Type /Catalog /Pages 2 0 R >>",
                2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
                3: b"<< /Type /Page /Parent 2 0 R /MediaBox %s /Contents 5 0 R"
                b" /Resources << /XObject << /X 6 0 R /I 7 0 R >>"
                b" /Pattern << /P 8 0 R >> >> >>" % box,
                5: b"<< /Filter [%s] /Length %d >>\nstream\n" % (filters, len(content)) + content + b"\nendstream",
                6: things or b"null",
            },
            b"",
        )

    for times in (10**4, 10**6, 10**7):
        yield f"pdf that draws {times} lines", drawing(zlib.compress(b"0 0 m 600 700 l S\n" * times, 9))
    yield "pdf of one path without end", drawing(zlib.compress(b"0 0 m " + b"600 700 l 3 4 l " * 1_000_000 + b"S", 9))
    yield "pdf with saved states without end", drawing(zlib.compress(b"q " * 5_000_000, 9))
    for levels in (2, 3, 4):
        content = b" " * (1 << 26)
        for _level in range(levels):
            content = zlib.compress(content, 9)
        yield f"pdf packed {levels} times", drawing(content, filters=b"/FlateDecode " * levels)
    form = b"q /X Do Q q /X Do Q"
    loop = (
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 612 792]"
        b" /Resources << /XObject << /X 6 0 R >> >> /Length %d >>\nstream\n"
    )
    yield (
        "pdf whose form draws itself",
        drawing(zlib.compress(b"/X Do"), things=loop % len(form) + form + b"\nendstream"),
    )
    for wide, high in ((60_000, 60_000), (2**31 - 1, 2**31 - 1), (7700, 7700)):
        for how in (b"/Width %d /Height %d", b"/W#69dth %d /Hei#67ht %d"):
            picture = (
                b"<< /Type /XObject /Subtype /Image "
                + how % (wide, high)
                + b" /ColorSpace /DeviceRGB /BitsPerComponent 8"
            )
            body = _zeros(min(wide * high * 3, 200 << 20))
            picture += b" /Filter /FlateDecode /Length %d >>\nstream\n" % len(body) + body + b"\nendstream"
            yield (
                f"pdf with a picture of {wide}×{high} ({how[:4].decode()})",
                drawing(zlib.compress(b"600 0 0 700 0 0 cm /X Do"), things=picture),
            )
    for box in (
        b"[0 0 1e9 1e9]",
        b"[0 0 0 0]",
        b"[0 0 -5 -5]",
        b"[0 0 1 100000]",
        b"[a b c d]",
        b"[]",
        b"[0 0 14400 14400]",
    ):
        yield f"pdf of a page {box.decode()}", drawing(zlib.compress(b"0 0 m 9 9 l S"), box=box)
    yield "pdf of nested arrays", drawing(b"", things=b"[" * 200_000 + b"]" * 200_000)
    yield "pdf of nested dictionaries", drawing(b"", things=b"<</A" * 100_000 + b">>" * 100_000)
    yield "pdf of spaces", pdf(jpeg, size, lead=b" " * 900) + b"\n" * 2_000_000
    yield "pdf of type page", b"%PDF-1.5\n" + b"/Type " * 500_000 + b"%%EOF"
    yield "pdf of type spaces page", b"%PDF-1.5\n/Type" + b" " * 22_000 + b"%%EOF"
    yield "pdf of object streams", b"%PDF-1.5\n" + b"1 0 obj << /Type /ObjStm >> stream\n" * 20_000 + b"%%EOF"
    yield "pdf that counts objects", b"%PDF-1.5\n" + b"1 0 obj\n" * 200_000 + b"%%EOF"
    yield "pdf of a million pages", pdf(jpeg, size, pages=1).replace(b"/Count 1", b"/Count 1000000")
    for pages in (2, 5, 200):
        yield f"pdf of {pages} pages", pdf(jpeg, size, pages=pages)
    yield "pdf whose pages are a loop", pdf(jpeg, size).replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]")
    yield "pdf whose table is a loop", pdf(jpeg, size).replace(b"/Size", b"/Prev 15 /Size")
    yield "pdf that is locked", pdf(jpeg, size).replace(b"/Root", b"/Encrypt << /Filter /Standard /V 1 /R 2 >> /Root")
    for name in (
        b"JBIG2Decode",
        b"JPXDecode",
        b"CCITTFaxDecode",
        b"LZWDecode",
        b"RunLengthDecode",
        b"ASCII85Decode",
        b"Crypt",
    ):
        yield f"pdf with noise for {name.decode()}", pdf(jpeg, size).replace(b"/DCTDecode", b"/" + name)
    packed = _zeros(400 << 20)
    yield "pdf with a bomb for an object stream", (
        pdf(jpeg, size) + b"40 0 obj << /Type /ObjStm /N 1 /First 4"
        + b" /Filter /FlateDecode /Length %d >>\nstream\n" % len(packed)
        + packed + b"\nendstream\nendobj\n%%EOF\n"
    )  # fmt: skip


ACTIVE: Final = {
    "program": b"/OpenAction << /S /JavaScript /JS (app.alert(1)) >>",
    "program of the page": b"/AA << /WC << /S /JavaScript /JS (1) >> >>",
    "program by name": b"/Names << /JavaScript << /Names [(a) << /S /JavaScript /JS (1) >>] >> >>",
    "start": b"/OpenAction << /S /Launch /F (cmd.exe) >>",
    "file": b"/Names << /EmbeddedFiles << /Names [(a) << /Type /Filespec /F (a) /EF << /F 4 0 R >> >>] >> >>",
    "form": b"/AcroForm << /XFA 5 0 R /Fields [] >>",
    "film": b"/Extra << /Type /Annot /Subtype /RichMedia >>",
}
"""Things that a PDF can do when it is opened, as entries of its catalogue."""


def escaped(entries: bytes) -> bytes:
    """The same entries; in each dangerous name one letter is written as its number, which readers accept."""
    out = entries
    for name in (b"JavaScript", b"JS", b"Launch", b"EmbeddedFiles", b"XFA", b"RichMedia"):
        out = out.replace(b"/" + name, b"/" + name[:1] + b"#%02x" % name[1] + name[2:])
    return out


def _active_pdfs(_: random.Random) -> Iterator[tuple[str, bytes]]:
    jpeg, size = saved(acta(), "JPEG"), kinds.SIDES
    for (name, plain), spelt, packed in product(ACTIVE.items(), ("plain", "escaped"), (False, True)):
        entries = escaped(plain) if spelt == "escaped" else plain
        yield f"pdf with a {name}, {spelt}, packed {packed}", pdf(jpeg, size, extra=entries, packed=packed)


def _tiff_bombs(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    # 1. Directories in a loop, and many pages. 2. Each tag with impossible values. 3. Tags that count too many values.
    # 4. Large and cut pictures in each compression.
    good = kinds.tiff_pages([acta()])
    first = struct.unpack_from("<I", good, 4)[0]
    loop = bytearray(good)
    struct.pack_into("<I", loop, first + 2 + 120, first)
    yield "tiff that is a loop", bytes(loop)
    for count in (3, 70, 2000):
        yield f"tiff of {count} pages", kinds.tiff_pages([acta(size=(480, 340))] + [acta(size=(60, 40))] * (count - 1))
    yield "tiff of ten pages of one size", kinds.tiff_pages([acta(seed=n) for n in range(10)])
    for tag, value in product((256, 257, 258, 259, 262, 273, 277, 278, 279), (0, 7, 65_535, 2**32 - 1)):
        data = bytearray(good)
        for entry in range(first + 2, first + 122, 12):
            if struct.unpack_from("<H", data, entry)[0] == tag:
                struct.pack_into("<HHII", data, entry, tag, 4, 1, value)
        yield f"tiff whose {tag} is {value}", bytes(data)
    for tag, kind in product((273, 279, 254, 330, 34675), (1, 3, 4, 5, 12, 16)):
        data = bytearray(good)
        struct.pack_into("<HHII", data, first + 2, tag, kind, 2**31 - 1, 8)
        yield f"tiff with two thousand million values of kind {kind} in {tag}", bytes(data)
    yield (
        "tiff of sixty thousand tags",
        b"II*\0\x08\0\0\0" + struct.pack("<H", 65_535) + struct.pack("<HHII", 700, 1, 4, 0) * 65_535 + bytes(4),
    )
    for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        big = saved(acta().convert("L").resize((7000, 7000)), "TIFF", compression=name)
        yield f"tiff of 7000×7000 by {name}", big
        yield f"tiff by {name} that breaks off", saved(acta(), "TIFF", compression=name)[:-900]
    yield "tiff of noise", b"II*\0\x08\0\0\0" + rng.randbytes(4000)


def _bombs_of_other_formats(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    webp = in_format(acta(), "webp lossless")
    yield "webp that says it is shorter", webp[:4] + struct.pack("<I", 20) + webp[8:]
    yield "webp that says it is longer", webp[:4] + struct.pack("<I", 2**32 - 2) + webp[8:]
    yield "webp of 16383×16383", webp[:21] + struct.pack("<I", 16_382 | 16_382 << 14) + webp[25:]
    yield "webp of ten thousand chunks", webp[:12] + (b"junk" + struct.pack("<I", 0)) * 10_000 + webp[12:]
    film = [acta(size=(64, 48), seed=n) for n in range(3)]
    for form in ("WEBP", "PNG", "GIF", "AVIF"):
        yield f"a film as {form}", saved(film[0], form, save_all=True, append_images=film[1:])
    avif = in_format(acta(), "avif")
    at = avif.index(b"ispe") + 8
    for size in ((60_000, 60_000), (0, 0), (65_535, 1)):
        yield f"avif that says {size[0]}×{size[1]}", avif[:at] + struct.pack(">II", *size) + avif[at + 8 :]
    yield "avif of nested boxes", avif[:24] + (struct.pack(">I", 2**31 - 1) + b"meta") * 5000
    gif = in_format(acta(), "gif")
    yield "gif of 65535×65535", gif[:6] + b"\xff\xff\xff\xff" + gif[10:]
    yield "gif of a million comments", gif[:-1] + b"!\xfe\x01a\0" * 300_000 + b";"
    bmp = in_format(acta(), "bmp")
    for size in ((2**31 - 1, 2**31 - 1), (60_000, 60_000), (-5, 5), (7700, -7700)):
        yield f"bmp that says {size[0]}×{size[1]}", bmp[:18] + struct.pack("<ii", *size) + bmp[26:]
    yield (
        "bmp of run lengths",
        bmp[:18] + struct.pack("<iiHHI", 7000, 7000, 1, 8, 1) + bmp[34:54] + rng.randbytes(90_000),
    )
    yield "heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + rng.randbytes(900)
    yield "svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    yield "gzip", gzip.compress(bytes(90_000), mtime=0)
    yield "nothing but zeros", bytes(90_000)


def _pictures_that_are_also_others(_: random.Random) -> Iterator[tuple[str, bytes]]:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("virus.html", (2024, 6, 2, 0, 0, 0)), "<script>alert(1)</script>")
    others = {
        "a zip": stream.getvalue(),
        "a web page": b"<!doctype html><script>alert(1)</script>",
        "a pdf": pdf(saved(acta(), "JPEG"), kinds.SIDES),
        "a program": b"MZ\x90\0" + bytes(400),
        "a shell script": b"\n#!/bin/sh\nid\n",
    }
    for form, (name, other) in product(FORMS, others.items()):
        yield f"{form} and {name}", in_format(acta(), form) + other
    for name, other in others.items():
        short = other[:60_000]
        yield (
            f"jpeg with {name} in a comment",
            in_format(acta(), "jpeg")[:2] + segment(0xFE, short) + in_format(acta(), "jpeg")[2:],
        )
        yield (
            f"png with {name} in a text",
            in_format(acta(), "png")[:33] + chunk(b"tEXt", b"a\0" + short) + in_format(acta(), "png")[33:],
        )


def _cut_pictures(_: random.Random) -> Iterator[tuple[str, bytes]]:
    for form, share in product(FORMS, (0.02, 0.3, 0.6, 0.95, 0.999)):
        data = in_format(acta(), form)
        yield f"{form}, {share:.1%} of it", data[: max(1, int(len(data) * share))]


def _pictures_with_noise(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    for form, length in product(FORMS, (16, 400, 9000)):
        yield f"{form} with noise behind {length} bytes", in_format(acta(), form)[:length] + rng.randbytes(20_000)
