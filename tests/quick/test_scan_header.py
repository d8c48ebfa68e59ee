"""The door takes or refuses an upload by its bytes alone. Every bad upload is made here."""

import io
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from load_tests.pictures.bombs import ACTIVE, escaped
from load_tests.pictures.kinds import pdf
from prep.errors import Rejected
from prep.scan import pictures
from prep.scan.header import MEDIA, format_of
from prep.scan.oddities import Oddity
from prep.scan.pictures import Picture, dictionary_names, jpeg_segments, look
from tests.makers.official_files import Official


def picture(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Noise, so that the compressed data is as varied as a photo's."""
    return Image.frombytes("RGB", size, random.Random(7).randbytes(size[0] * size[1] * 3))


def saved(form: str, image: Image.Image | None = None, **options: Any) -> bytes:
    stream = io.BytesIO()
    (image or picture()).save(stream, form, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_saying(width: int, height: int) -> bytes:
    """A whole PNG of a few bytes whose header declares a huge image."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(b"\0" * 100)) + png_chunk(b"IEND", b"")


def jpeg_segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def jpeg_with(segment: bytes) -> bytes:
    whole = saved("JPEG")
    return whole[:2] + segment + whole[2:]


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("virus.html", "<script>alert(1)</script>")
    return stream.getvalue()


def refusal(data: bytes, **limits: int) -> tuple[int, str]:
    with pytest.raises(Rejected) as refused:
        look(data, **limits)
    return refused.value.status, refused.value.sentence


@pytest.mark.parametrize(
    ("form", "options", "name", "media_type"),
    [
        ("JPEG", {}, "jpeg", "image/jpeg"),
        ("JPEG", {"progressive": True}, "jpeg", "image/jpeg"),
        ("JPEG", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}, "jpeg", "image/jpeg"),
        ("PNG", {}, "png", "image/png"),
        ("WEBP", {}, "webp", "image/webp"),
        ("WEBP", {"lossless": True}, "webp", "image/webp"),
        ("WEBP", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}, "webp", "image/webp"),
        ("TIFF", {}, "tiff", "image/tiff"),
        ("TIFF", {"compression": "tiff_lzw"}, "tiff", "image/tiff"),
        ("TIFF", {"compression": "jpeg"}, "tiff", "image/tiff"),
    ],
)
def test_what_cameras_and_scanners_write_is_taken(
    form: str, options: dict[str, Any], name: str, media_type: str
) -> None:
    found = look(saved(form, **options))
    assert (found.format, found.width, found.height) == (name, 64, 48)
    assert MEDIA[found.format][0] == media_type


def test_big_endian_tiff_is_taken() -> None:
    pixels = bytes(6)
    tags = [(256, 4, 3), (257, 4, 2), (258, 3, 8 << 16), (259, 3, 1 << 16), (262, 3, 1 << 16), (273, 4, 8), (279, 4, 6)]
    entries = b"".join(struct.pack(">HHII", tag, kind, 1, value) for tag, kind, value in tags)
    data = b"MM\0*" + struct.pack(">I", 14) + pixels + struct.pack(">H", len(tags)) + entries + bytes(4)
    found = look(data)
    assert (found.width, found.height) == (3, 2)


def test_a_scanned_page_is_taken_with_its_size_in_pixels_at_200_dpi() -> None:
    found = look(saved("PDF", picture((640, 480)), resolution=100))
    assert (found.format, found.width, found.height) == ("pdf", 1280, 960)


def test_the_official_blank_form_is_taken(official: Official) -> None:
    for kind in ("png", "pdf"):
        assert look(official(f"formatos/acta-presidencia-2024-en-blanco.{kind}").read_bytes()).format == kind


def test_an_empty_upload_is_refused() -> None:
    assert refusal(b"") == (422, "la imagen está vacía")


@pytest.mark.parametrize(
    "data",
    [
        b"Buenas noches, adjunto el acta.",
        b"<html><body>acta</body></html>",
        zipped(),
        b"\0\0\0\x18ftypheic" + bytes(40),
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
        b"\x7fELF" + bytes(60),
        b"\0",
    ],
    ids=["text", "html", "zip", "heic", "wav", "elf", "one zero"],
)
def test_a_file_of_a_format_that_is_not_taken_is_refused_with_415(data: bytes) -> None:
    status, sentence = refusal(data)
    assert status == 415
    assert "JPEG" in sentence


FORMS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: saved("JPEG"),
    "progressive": lambda: saved("JPEG", progressive=True),
    "png": lambda: saved("PNG"),
    "webp": lambda: saved("WEBP"),
    "webp with exif": lambda: saved("WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"),
    "pdf": lambda: saved("PDF"),
}


@pytest.mark.parametrize("name", FORMS)
def test_an_image_cut_anywhere_is_taken_and_marked_or_is_no_image(name: str) -> None:
    """It is kept as soon as its size can be told: half an acta is more than none."""
    whole, taken = FORMS[name](), 0
    for length in [*range(1, 200), *range(200, len(whole) - 1, 97), len(whole) - 7]:
        found = looked(whole[:length])
        taken += found is not None
        assert found is None or Oddity.INCOMPLETA in found.oddities or name == "pdf", length
    assert taken or name in {"pdf", "webp", "webp with exif"}, "a part of these formats shows no picture"


def looked(data: bytes) -> Picture | None:
    """The picture; None if it is refused because it is no picture."""
    try:
        return look(data)
    except Rejected as refused:
        if refused.status not in {415, 422}:
            raise
        return None


@pytest.mark.parametrize("size", [(60_000, 60_000), (65_500, 65_500), (4_000_000_000, 1)])
def test_a_decompression_bomb_is_refused_by_what_its_header_says(size: tuple[int, int]) -> None:
    status, sentence = refusal(png_saying(*size))
    assert status == 413
    assert str(size[0]) in sentence


def test_the_limit_of_pixels_is_exact() -> None:
    assert look(saved("PNG"), max_pixels=64 * 48).width == 64
    assert refusal(saved("PNG"), max_pixels=64 * 48 - 1)[0] == 413
    assert refusal(saved("JPEG"), max_pixels=64 * 48 - 1)[0] == 413
    assert refusal(saved("WEBP"), max_pixels=64 * 48 - 1)[0] == 413
    assert refusal(saved("TIFF"), max_pixels=64 * 48 - 1)[0] == 413


@pytest.mark.parametrize("wide", [b"/Width 60000", b"/W#69dth 60000", b"/Width 90 0 R"])
def test_a_pdf_whose_picture_is_a_bomb_is_refused_however_it_is_spelt(wide: bytes) -> None:
    page = pdf(saved("JPEG"), (64, 48)).replace(b"/Width 64", wide).replace(b"/Height 48", b"/Height 60000")
    page = page.replace(b"xref\n", b"90 0 obj\n60000\nendobj\nxref\n", 1)
    assert refusal(page)[0] == 413


def test_an_image_of_no_size_is_refused() -> None:
    assert refusal(png_saying(0, 10))[0] == 422


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "AVIF"])
def test_animations_are_refused(form: str) -> None:
    frames = [picture(), picture().rotate(90), picture().rotate(180)]
    data = saved(form, frames[0], save_all=True, append_images=frames[1:])
    assert refusal(data) == (422, "la imagen es animada; se admite una sola fotografía o página")


@pytest.mark.parametrize("form", ["TIFF", "PDF"])
def test_a_stack_of_pages_is_refused_and_a_sheet_with_its_back_is_taken(form: str) -> None:
    pages = [picture().rotate(90 * turn) for turn in range(5)]
    assert Oddity.VARIAS_IMAGENES in look(saved(form, pages[0], save_all=True, append_images=pages[1:2])).oddities
    stack = saved(form, pages[0], save_all=True, append_images=pages[1:])
    assert refusal(stack) == (422, "el archivo tiene 5 páginas; envíe cada una en su propio archivo")


def test_a_tiff_with_a_preview_of_itself_is_one_image() -> None:
    stream = io.BytesIO()
    picture().save(stream, "TIFF", save_all=True, append_images=[picture((16, 12))])
    data = bytearray(stream.getvalue())
    second = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[second : second + 2])[0]
    preview = struct.unpack("<I", data[second + 2 + 12 * count : second + 6 + 12 * count])[0]
    entry = data.index(struct.pack("<HH", 259, 3), preview)  # its compression, 1 as is, makes room for "reduced"
    data[entry : entry + 12] = struct.pack("<HHII", 254, 4, 1, 1)
    assert look(bytes(data)).width == 64


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "PDF"])
@pytest.mark.parametrize(
    "tail",
    [zipped(), b"<script>alert(1)</script>", b"MZ\x90\0" + bytes(60) + b"x", b"vivo{}"],
    ids=["zip", "html", "exe", "phone"],
)
def test_bytes_behind_the_end_are_kept_and_marked(form: str, tail: bytes) -> None:
    """Cameras of every maker write such bytes; readers get the file as a picture and as no other thing."""
    assert Oddity.BYTES_DESPUES in look(saved(form) + tail).oddities


@pytest.mark.parametrize("content", [b"%PDF-1.7", b"<!DOCTYPE html>", b"<SCRIPT src=x>"])
def test_a_picture_that_is_another_format_too_is_marked(content: bytes) -> None:
    assert Oddity.OTRO_FORMATO in look(jpeg_with(jpeg_segment(0xFE, content))).oddities


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("spelt", [bytes, escaped])
@pytest.mark.parametrize("name", ACTIVE)
def test_a_pdf_with_programs_or_files_is_refused_however_it_is_spelt(
    name: str, spelt: Callable[[bytes], bytes], packed: bool
) -> None:
    page = pdf(saved("JPEG"), (64, 48), extra=spelt(ACTIVE[name]), packed=packed)
    assert refusal(page) == (
        422,
        "el PDF lleva contenido activo o archivos adjuntos; se admite solo una página escaneada",
    )


@pytest.mark.parametrize("packed", [False, True])
def test_words_of_programs_outside_of_dictionaries_are_no_programs(packed: bool) -> None:
    words = b"/JS /JavaScript /EmbeddedFile /Launch"
    jpeg = jpeg_with(jpeg_segment(0xFE, words + b" endstream"))
    title = b"/Lang (" + words.replace(b"/", b"\\(/") + b")"
    assert look(pdf(jpeg, (64, 48), extra=title, packed=packed)).format == "pdf"


def test_a_locked_pdf_is_told_apart() -> None:
    owner = b"<" + b"28" * 32 + b">"
    lock = b"<< /Filter /Standard /V 1 /R 2 /P -4 /O %s /U %s >>" % (owner, owner)
    ids = b"/ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>]"
    page = pdf(saved("JPEG"), (64, 48)).replace(b"/Root", b"/Encrypt " + lock + ids + b" /Root")
    assert refusal(page) == (422, "el PDF está cifrado; envíelo sin contraseña")


def test_the_size_of_a_page_is_that_of_the_turned_page() -> None:
    found = look(pdf(saved("JPEG"), (640, 480), rotate=90))
    assert (found.width, found.height) == (1333, 1778)


# Linear time: a file that is twice as long takes twice as many steps.


class Counted(bytes):
    """Bytes that count how many of them are looked at."""

    looked = 0

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        Counted.looked += len(found) if isinstance(at, slice) else 1
        return found


@dataclass(frozen=True)
class CountedSearch:
    """A pattern that counts the bytes from the start of each search to what it finds. It matches one byte."""

    pattern: re.Pattern[bytes]

    def search(self, data: bytes, start: int) -> re.Match[bytes] | None:
        found = self.pattern.search(data, start)
        Counted.looked += (found.end() if found else len(data)) - start
        return found


SLOW_JPEGS = {
    "segments": lambda n: b"\xff\xd8" + jpeg_segment(0xE5, b"") * n,
    "fill bytes": lambda n: b"\xff\xd8" + b"\xff" * n,
    "restarts": lambda n: b"\xff\xd8" + jpeg_segment(0xDA, b"") + b"\xff\xd0" * n,
    "scans": lambda n: b"\xff\xd8" + (jpeg_segment(0xDA, b"") + b"x") * n,
    "fill bytes in a scan": lambda n: b"\xff\xd8" + jpeg_segment(0xDA, b"") + b"\xff" * n,
}


@pytest.mark.parametrize("name", SLOW_JPEGS)
def test_the_segments_of_a_jpeg_cost_one_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_BEHIND_SCAN", CountedSearch(pictures._BEHIND_SCAN))
    steps = []
    for times in (1, 2, 4, 8):
        Counted.looked = 0
        list(jpeg_segments(Counted(SLOW_JPEGS[name](1000 * times))))
        steps.append(Counted.looked)
    assert steps[0] >= 500
    assert all(later <= 2.1 * earlier for earlier, later in pairwise(steps)), steps


SLOW_PDFS = {
    "dictionaries": lambda n: b"<<" * n,
    "strings": lambda n: b"(" * n,
    "escapes": lambda n: b"(" + b"\\)" * n,
    "hexadecimal": lambda n: b"<" * (2 * n + 1),
    "streams": lambda n: b"<</Length 3>>stream\nabc" * n,
    "type spaces": lambda n: b"/Type " + b" " * n,
    "lengths": lambda n: b"<</Length 999999999>>stream\n" * n,
    "comments": lambda n: b"%" * n,
    "numbers": lambda n: b"9" * n,
}


@pytest.mark.parametrize("name", SLOW_PDFS)
def test_the_names_of_a_pdf_cost_one_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are counted as the bytes that each search passes."""
    steps = []
    for times in (1, 2, 4, 8):
        passed = 0

        class Counting:
            def __init__(self, pattern: Any) -> None:
                self.pattern = pattern

            def search(self, data: bytes, at: int) -> Any:
                nonlocal passed
                found = self.pattern.search(data, at)
                passed += (found.end() if found else len(data)) - at + 1
                return found

        with monkeypatch.context() as patched:
            patched.setattr(pictures, "_TOKEN", Counting(pictures._TOKEN))
            patched.setattr(pictures, "_IN_STRING", Counting(pictures._IN_STRING))
            Counted.looked = 0
            list(dictionary_names(Counted(SLOW_PDFS[name](1000 * times))))
        steps.append(passed + Counted.looked)
    assert all(later <= 2.1 * earlier + 64 for earlier, later in pairwise(steps)), steps


def test_only_the_first_bytes_are_looked_at_in_the_process_that_serves() -> None:
    for start in (b"RIFF", b"%PDF-1", b"\0\0\0\x18ftyp", b"x"):
        Counted.looked = 0
        with suppress(Rejected):
            format_of(Counted(start + bytes(5_000_000)))
        assert Counted.looked < 2000


@given(st.data())
def test_no_bytes_do_anything_but_pass_or_be_refused(data: st.DataObject) -> None:
    """A mangled image is an image or a Rejected, never another error."""
    whole = bytearray(FORMS[data.draw(st.sampled_from(sorted(FORMS)))]() if data.draw(st.booleans()) else saved("TIFF"))
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.integers(0, min(len(whole) - 1, 400)))
        whole[at] = data.draw(st.integers(0, 255))
    try:
        found = look(bytes(whole))
    except Rejected:
        return
    assert found.width > 0
