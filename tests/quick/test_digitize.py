"""Derivatives, hash and QR of an image: from every format, upright, without metadata."""

import hashlib
import io
import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from prep.domain.entry import HEADER, TOTAL
from prep.errors import Parked, Rejected
from prep.rehearsal.drawing.acta import draw
from prep.rehearsal.drawing.camera import CONDITIONS
from prep.rehearsal.drawing.press import PrintedForm
from prep.scan import SAME_PHOTO
from prep.scan.digitize import THUMB_SIDE, WEB_BYTES, WEB_SIDE, digitize, distance, scan_files

QR = "28|3|1|1234|1|B|0|5"
FORM = PrintedForm("Gubernatura", "Tamaulipas", HEADER, ("PAN", "PRI", "PRD", "NO_REGISTRADAS", "NULOS"), TOTAL)


def grey(image: Image.Image, at: tuple[int, int]) -> int:
    """The luminance of one pixel."""
    value = image.getpixel(at)
    assert isinstance(value, int)
    return value


def acta(seed: int = 1, **options: Any) -> bytes:
    rng = random.Random(seed)
    values = {code: rng.randrange(400) for code in (*HEADER, *FORM.rows, TOTAL)}
    return draw(FORM, values, QR, rng=rng, **options)


ACTA = acta()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def test_everything_is_kept_of_a_scan_and_the_same_bytes_give_the_same_derivatives() -> None:
    found = digitize(ACTA)
    assert (found.format, found.width, found.height) == ("jpeg", 1700, 1108)
    assert (found.text, found.decoder) == (QR, "zxing")
    assert len(found.phash) == 128
    again = digitize(ACTA)
    assert (found.web, found.thumb, found.phash) == (again.web, again.thumb, again.phash)


@pytest.mark.parametrize("size", [(850, 554), (1700, 1108), (2400, 1564), (4300, 2802)])
def test_derivatives_are_jpegs_within_their_limits_and_keep_the_shape(size: tuple[int, int]) -> None:
    found = digitize(saved(opened(ACTA).resize(size), "JPEG"))
    web, thumb = opened(found.web), opened(found.thumb)
    assert web.format == thumb.format == "JPEG"
    assert max(web.size) <= WEB_SIDE
    assert web.size == size or max(web.size) > WEB_SIDE // 2
    assert max(thumb.size) <= THUMB_SIDE
    assert abs(web.width / web.height - size[0] / size[1]) < 0.01


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "PDF"])
def test_every_format_is_read(form: str) -> None:
    options = {"PNG": {"compress_level": 1}, "WEBP": {"method": 0}, "PDF": {"resolution": 150}}.get(form, {})
    found = digitize(saved(opened(ACTA), form, **options))
    assert (found.format, found.text) == (form.lower(), QR)
    assert opened(found.web).mode == "RGB"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "I;16", "CMYK"])
def test_every_kind_of_pixel_is_read(mode: str) -> None:
    plain = opened(ACTA)
    if mode == "I;16":
        image = plain.convert("L").convert("I").point(lambda level: level * 257).convert("I;16")
    else:
        image = plain.convert(mode)
    found = digitize(saved(image, "TIFF" if mode == "CMYK" else "PNG"))
    assert found.text == QR
    corner = grey(opened(found.web).convert("L"), (600, 700))
    assert corner > 200, "paper is white"


def test_a_transparent_image_lies_on_white_paper() -> None:
    clear = Image.new("RGBA", (100, 80), (0, 0, 0, 0))
    assert grey(opened(digitize(saved(clear, "PNG")).web).convert("L"), (50, 40)) > 250


STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("width", [850, 2400])
def test_derivatives_stand_upright_and_the_original_is_reported_as_stored(orientation: int, width: int) -> None:
    """A sheet with one black corner, stored as a camera held in each of eight ways stores it."""
    sheet = Image.new("RGB", (width, width // 2), "white")
    sheet.paste((0, 0, 0), (0, 0, width // 4, width // 8))
    stored = sheet.transpose(STORED_AS[orientation]) if orientation > 1 else sheet
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = digitize(saved(stored, "JPEG", exif=exif))
    assert (found.width, found.height) == stored.size
    for data in (found.web, found.thumb):
        image = opened(data).convert("L")
        assert image.width > image.height
        assert grey(image, (5, 5)) < 60
        assert grey(image, (image.width - 5, image.height - 5)) > 200


def test_derivatives_tell_nothing_of_the_phone_or_the_place() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Fabricante", "Telefono"
    exif.get_ifd(0x8825)[1] = "N"
    found = digitize(saved(opened(ACTA), "JPEG", exif=exif, comment=b"secreto", icc_profile=b"x" * 200))
    for data in (found.web, found.thumb):
        image = opened(data)
        assert not image.getexif()
        assert not {"exif", "comment", "icc_profile"} & set(image.info)
        assert b"Fabricante" not in data


def test_an_image_that_is_small_already_keeps_its_very_pixels() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Fabricante"
    found = digitize(saved(opened(ACTA), "JPEG", exif=exif, quality=60))
    original = saved(opened(ACTA), "JPEG", quality=60)
    assert opened(found.web).tobytes() == opened(original).tobytes()
    large = saved(Image.effect_noise((1400, 900), 90), "JPEG", quality=95)
    assert len(large) > WEB_BYTES > len(digitize(large).thumb)
    assert len(digitize(large).web) < len(large)


def test_broken_metadata_does_not_lose_the_image() -> None:
    segment = b"\xff\xe1\x00\x20Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(14)
    assert digitize(ACTA[:2] + segment + ACTA[2:]).text == QR


def test_a_photo_with_a_preview_behind_it_is_read() -> None:
    small = Image.new("RGB", (160, 120), "red")
    assert digitize(saved(opened(ACTA), "MPO", save_all=True, append_images=[small])).text == QR


def test_a_file_that_the_door_refuses_is_refused_here_too() -> None:
    with pytest.raises(Rejected):
        digitize(b"no es una imagen")
    with pytest.raises(Rejected) as refused:
        digitize(ACTA, 1_000_000)
    assert refused.value.status == 413


def test_a_good_header_over_bad_pixels_waits_for_a_person() -> None:
    whole = saved(Image.new("RGB", (400, 300), "white"), "WEBP", lossless=True)
    with pytest.raises(Parked):
        digitize(whole[:26] + bytes(len(whole) - 26))
    with pytest.raises(Rejected):
        digitize(b"%PDF-1.4\n1 0 obj << /Type /Page /MediaBox [0 0 100 100] >> endobj\n%%EOF\n")


def test_it_runs_in_another_process_and_its_refusals_come_back() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(digitize, ACTA).result().text == QR
        with pytest.raises(Rejected, match="vacía"):
            pool.submit(digitize, b"").result()


# The same photo under two casillas


@pytest.mark.parametrize(("scale", "quality"), [(1.0, 50), (0.7, 80), (1.4, 85)])
def test_a_copy_of_a_photo_is_near_it(scale: float, quality: int) -> None:
    for seed in range(4):
        photo = acta(seed, condition=CONDITIONS["girada"])
        image = opened(photo)
        copy = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
        assert distance(digitize(photo).phash, digitize(saved(copy, "JPEG", quality=quality)).phash) <= 2 * SAME_PHOTO


def test_photos_of_different_actas_are_far_apart() -> None:
    hashes = [digitize(acta(seed, condition=CONDITIONS["girada"])).phash for seed in range(12)]
    apart = [distance(one, other) for place, one in enumerate(hashes) for other in hashes[:place]]
    assert min(apart) > 2 * SAME_PHOTO


def test_distance_counts_bits() -> None:
    assert distance(b"\x00\xff", b"\x00\xff") == 0
    assert distance(b"\x00\xff", b"\x01\x0f") == 5


# prep scan


def test_scan_tells_one_line_for_each_file_good_or_bad(tmp_path: Path) -> None:
    good, bad = tmp_path / "a.jpg", tmp_path / "b.txt"
    good.write_bytes(ACTA)
    bad.write_text("hola")
    found = list(scan_files([good, bad, tmp_path / "falta.jpg"]))
    assert [line["file"] for line in found] == [str(good), str(bad), str(tmp_path / "falta.jpg")]
    assert (found[0]["text"], found[0]["decoder"]) == (QR, "zxing")
    assert found[0]["ms"] > 0
    assert "error" not in found[0]
    assert found[1]["text"] is None
    assert "no es una imagen" in found[1]["error"]
    assert "no se pudo leer" in found[2]["error"]


def test_the_original_is_never_touched() -> None:
    before = hashlib.sha256(ACTA).hexdigest()
    digitize(ACTA)
    assert hashlib.sha256(ACTA).hexdigest() == before
