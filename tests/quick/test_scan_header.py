"""What is taken in and what is refused, from the bytes alone. Every bad upload is made here."""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from prep.errors import Rejected
from prep.scan.header import inspect
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
        inspect(data, **limits)
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
    found = inspect(saved(form, **options))
    assert (found.format, found.width, found.height, found.media_type) == (name, 64, 48, media_type)


def test_big_endian_tiff_is_taken() -> None:
    pixels = bytes(6)
    tags = [(256, 4, 3), (257, 4, 2), (258, 3, 8 << 16), (259, 3, 1 << 16), (262, 3, 1 << 16), (273, 4, 8), (279, 4, 6)]
    entries = b"".join(struct.pack(">HHII", tag, kind, 1, value) for tag, kind, value in tags)
    data = b"MM\0*" + struct.pack(">I", 14) + pixels + struct.pack(">H", len(tags)) + entries + bytes(4)
    found = inspect(data)
    assert (found.width, found.height) == (3, 2)
    assert refusal(data.replace(struct.pack(">HHII", 279, 4, 1, 6), struct.pack(">HHII", 279, 4, 1, 6000)))[0] == 422


def test_a_file_is_checked_as_its_bytes_are(tmp_path: Path) -> None:
    path = tmp_path / "acta.jpg"
    path.write_bytes(saved("JPEG"))
    assert inspect(path) == inspect(path.read_bytes())


def test_a_scanned_page_is_taken_with_its_size_in_pixels_at_200_dpi() -> None:
    found = inspect(saved("PDF", picture((640, 480)), resolution=100))
    assert (found.format, found.width, found.height) == ("pdf", 1280, 960)


def test_the_official_blank_form_is_taken(official: Official) -> None:
    for kind in ("png", "pdf"):
        assert inspect(official(f"formatos/acta-presidencia-2024-en-blanco.{kind}")).format == kind


def test_an_empty_upload_is_refused() -> None:
    assert refusal(b"") == (422, "la imagen está vacía")


def test_too_many_bytes_are_refused_without_looking_at_them() -> None:
    assert refusal(b"x" * 101, max_bytes=100) == (413, "la imagen pasa del límite de 100 bytes")


@pytest.mark.parametrize(
    "data",
    [
        b"Buenas noches, adjunto el acta.",
        b"<html><body>acta</body></html>",
        zipped(),
        b"GIF89a" + bytes(40),
        b"BM" + bytes(60),
        b"\0\0\0\x18ftypheic" + bytes(40),
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
        b"\x7fELF" + bytes(60),
        b"\0",
        b"II+\0" + bytes(40),
    ],
    ids=["text", "html", "zip", "gif", "bmp", "heic", "wav", "elf", "one zero", "bigtiff"],
)
def test_what_is_no_image_we_take_is_refused_with_415(data: bytes) -> None:
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
def test_an_image_cut_anywhere_is_refused(name: str) -> None:
    whole = FORMS[name]()
    inspect(whole)
    for length in [*range(1, 200), *range(200, len(whole) - 1, 97), len(whole) - 7]:
        assert refusal(whole[:length])[0] in {415, 422}, length


def test_a_tiff_without_its_end_is_refused() -> None:
    stored = saved("TIFF", compression="raw")
    for length in range(8, len(stored), 101):
        assert refusal(stored[:length])[0] == 422, length


@pytest.mark.parametrize("size", [(60_000, 60_000), (65_500, 65_500), (4_000_000_000, 1)])
def test_a_decompression_bomb_is_refused_by_what_its_header_says(size: tuple[int, int]) -> None:
    status, sentence = refusal(png_saying(*size))
    assert status == 413
    assert str(size[0]) in sentence


def test_the_limit_of_pixels_is_exact() -> None:
    assert inspect(saved("PNG"), max_pixels=64 * 48).width == 64
    assert refusal(saved("PNG"), max_pixels=64 * 48 - 1)[0] == 413
    assert refusal(saved("JPEG"), max_pixels=64 * 48 - 1)[0] == 413
    assert refusal(saved("WEBP"), max_pixels=64 * 48 - 1)[0] == 413
    assert refusal(saved("TIFF"), max_pixels=64 * 48 - 1)[0] == 413


def test_a_pdf_whose_picture_is_a_bomb_is_refused() -> None:
    page = saved("PDF").replace(b"/Width 64", b"/Width 60000").replace(b"/Height 48", b"/Height 60000")
    assert refusal(page)[0] == 413


def test_an_image_of_no_size_is_refused() -> None:
    assert refusal(png_saying(0, 10))[0] == 422


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "PDF"])
def test_animations_and_several_pages_are_refused(form: str) -> None:
    frames = [picture(), picture().rotate(90), picture().rotate(180)]
    data = saved(form, frames[0], save_all=True, append_images=frames[1:])
    assert refusal(data) == (422, "la imagen es animada o tiene varias páginas; se admite una sola")


def test_a_tiff_with_a_preview_of_itself_is_one_image() -> None:
    stream = io.BytesIO()
    picture().save(stream, "TIFF", save_all=True, append_images=[picture((16, 12))])
    data = bytearray(stream.getvalue())
    second = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[second : second + 2])[0]
    preview = struct.unpack("<I", data[second + 2 + 12 * count : second + 6 + 12 * count])[0]
    entry = data.index(struct.pack("<HH", 259, 3), preview)  # its compression, 1 as is, makes room for "reduced"
    data[entry : entry + 12] = struct.pack("<HHII", 254, 4, 1, 1)
    assert inspect(bytes(data)).width == 64


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "PDF"])
@pytest.mark.parametrize(
    "tail",
    [zipped(), b"%PDF-1.4\n%%EOF", b"<script>alert(1)</script>", b"MZ\x90\0" + bytes(60)],
    ids=["zip", "pdf", "html", "exe"],
)
def test_anything_hidden_behind_the_end_is_refused(form: str, tail: bytes) -> None:
    if form == "PDF" and tail.startswith(b"%PDF"):
        tail = b"%PDF-1.4\n%%EOF hola"
    assert refusal(saved(form) + tail)[0] == 422


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_zip_that_ends_exactly_with_the_image_is_refused(form: str) -> None:
    record = b"PK\x05\x06" + bytes(16)
    match form:
        case "JPEG":
            whole = saved("JPEG")
            rest = len(whole) - 2
            data = jpeg_with(jpeg_segment(0xFE, record + struct.pack("<H", rest)))
        case "PNG":
            whole = saved("PNG")
            data = (
                whole[:33] + png_chunk(b"tEXt", b"a\0" + record + struct.pack("<H", len(whole) - 33 + 4)) + whole[33:]
            )
        case "WEBP":
            whole = saved("WEBP")
            chunk = b"junk" + struct.pack("<I", 22) + record + bytes(2)
            data = whole[:4] + struct.pack("<I", len(whole) - 8 + len(chunk)) + whole[8:] + chunk
        case _:
            data = saved("TIFF") + record + bytes(2)
    assert refusal(data) == (422, "el archivo es a la vez una imagen y otra cosa (ZIP, PDF o página web)")


@pytest.mark.parametrize("content", [b"%PDF-1.7", b"<!DOCTYPE html>", b"<SCRIPT src=x>"])
def test_another_format_in_the_first_kilobyte_is_refused(content: bytes) -> None:
    assert refusal(jpeg_with(jpeg_segment(0xFE, content)))[0] == 422


def test_a_photo_keeps_what_its_camera_adds_behind_it() -> None:
    """No image is lost for a preview, a gain map, a motion clip or Samsung's block."""
    inspect(saved("JPEG") + bytes(300))
    inspect(saved("MPO", save_all=True, append_images=[picture((16, 12))]))
    inspect(saved("JPEG") + b"\0\0\x01\x0afecha" + b"SEFH" + bytes(24) + b"SEFT")
    clip = b"\0\0\0\x18ftypmp42" + bytes(400)
    announced = jpeg_with(jpeg_segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0 GCamera:MotionPhoto="1"'))
    inspect(announced + clip)
    assert refusal(saved("JPEG") + clip)[0] == 422


def test_a_second_photo_that_was_cut_is_refused() -> None:
    assert refusal(saved("JPEG") + saved("JPEG")[:-40])[0] == 422


def test_a_png_with_a_changed_byte_is_refused() -> None:
    data = bytearray(saved("PNG"))
    data[len(data) // 2] ^= 1
    assert refusal(bytes(data)) == (422, "la imagen está dañada: su estructura no es válida")


def test_a_locked_pdf_and_one_with_programs_are_refused() -> None:
    page = saved("PDF")
    assert "cifrado" in refusal(page.replace(b"trailer\n<<", b"trailer\n<< /Encrypt 9 0 R "))[1]
    assert (
        "activo"
        in refusal(page.replace(b"/Type /Catalog", b"/OpenAction << /S /JavaScript /JS (1) >> /Type /Catalog"))[1]
    )


def test_pages_packed_into_an_object_stream_are_counted() -> None:
    def packed(pages: int) -> bytes:
        body = zlib.compress(b"<< /Type /Page /MediaBox [0 0 612 792] >>" * pages)
        return (
            b"%PDF-1.5\n1 0 obj\n<< /Type /ObjStm /N 1 /First 4 >>\nstream\n" + body + b"\nendstream\nendobj\n%%EOF\n"
        )

    assert inspect(packed(1)).width == 1700
    assert refusal(packed(2))[0] == 422


def test_a_pdf_that_unpacks_without_end_is_refused() -> None:
    body = zlib.compress(bytes(50_000_000))
    page = b"2 0 obj\n<< /Type /Page /MediaBox [0 0 612 792] >>\nendobj\n"
    inspect(b"%PDF-1.5\n" + page + b"%%EOF\n")
    data = (
        b"%PDF-1.5\n"
        + page
        + b"1 0 obj\n<< /Type /ObjStm /N 1 /First 4 >>\nstream\n"
        + body
        + b"\nendstream\nendobj\n%%EOF\n"
    )
    assert refusal(data)[0] == 422


def test_a_pdf_saved_again_has_still_one_page() -> None:
    page = saved("PDF")
    found = page[page.index(b"%PDF") :]
    start = found.index(b"/Type /Page\n") if b"/Type /Page\n" in found else found.index(b"/Type /Page")
    number = found[:start].rsplit(b" 0 obj", 1)[0].split()[-1]
    again = b"\n" + number + b" 0 obj\n<< /Type /Page /MediaBox [0 0 64 48] >>\nendobj\n%%EOF\n"
    assert inspect(page + again).format == "pdf"


@given(st.data())
def test_no_bytes_do_anything_but_pass_or_be_refused(data: st.DataObject) -> None:
    """A mangled image is an image or a Rejected, never another error."""
    whole = bytearray(FORMS[data.draw(st.sampled_from(sorted(FORMS)))]() if data.draw(st.booleans()) else saved("TIFF"))
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.integers(0, min(len(whole) - 1, 400)))
        whole[at] = data.draw(st.integers(0, 255))
    try:
        found = inspect(bytes(whole))
    except Rejected:
        return
    assert found.width > 0
