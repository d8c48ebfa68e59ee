"""Pictures from the field: each is taken, read, and marked if it is odd. The table of `field-cases` has the right answers."""

import io
import random
import struct
from pathlib import Path
from typing import Final

import pytest
from PIL import Image

from load_tests.pictures import kinds
from load_tests.pictures.kinds import acta, in_format, pdf, saved
from prep.scan.cascade import stickers
from prep.scan.digitize import Digitized, digitize, distance
from prep.scan.oddities import SENTENCES, Oddity
from prep.scan.pictures import examine
from tests.makers.official_files import Official

FILES = {
    "pdf-js-by-chance.pdf": ((1600, 1100), ["28|5|2|1234|1|B|0|1"], []),
    "pdf-mediabox-indirect.pdf": ((1600, 1100), ["28|5|2|1234|1|B|0|1"], []),
    "pdf-objstm-decodeparms.pdf": ((1600, 1100), ["28|5|2|1234|1|B|0|1"], []),
    "pdf-leading-newline.pdf": ((1600, 1100), ["28|5|2|1234|1|B|0|1"], []),
    "vivo-trailer.jpg": ((900, 640), ["26|18|2|1|1|B|0|1"], [Oddity.BYTES_DESPUES]),
    "mpf-padding-before-preview.jpg": ((900, 640), ["26|18|2|1|1|B|0|1"], [Oddity.BYTES_DESPUES]),
    "tiff-preview-first.tif": ((500, 356), ["26|18|2|1|1|B|0|1"], [Oddity.VARIAS_IMAGENES]),
    "tiff-old-style-jpeg.tif": ((1600, 1100), ["28|5|2|1234|1|B|0|1"], []),
    "two-stickers.jpg": ((900, 640), ["26|18|2|2|1|B|0|1", "26|18|2|2|1|C|0|1"], []),
    "qr-with-nul.png": ((900, 640), ["26|18|2|1|1|B|0|1"], []),
    "qr-with-bom.png": ((900, 640), ["26|18|2|1|1|B|0|1"], []),
}


def taken(data: bytes, folder: Path) -> Digitized:
    """The result of the decoder, after the look at the door has told the same format."""
    path = folder / "imagen"
    path.write_bytes(data)
    found = digitize(data)
    assert examine(path) == found.format
    return found


def texts(found: Digitized) -> list[str]:
    return sorted(filter(None, (found.text, *found.others)))


@pytest.mark.parametrize("name", FILES)
def test_each_field_case_is_read_as_its_table_says(official: Official, tmp_path: Path, name: str) -> None:
    size, stickers, odd = FILES[name]
    found = taken(official(f"field-cases/{name}").read_bytes(), tmp_path)
    assert ((found.width, found.height), texts(found), list(found.oddities)) == (size, stickers, odd)


MADE: dict[str, tuple[bytes, list[Oddity]]] = {
    "no end marker": (saved(acta(), "JPEG").removesuffix(b"\xff\xd9"), [Oddity.INCOMPLETA]),
    "xiaomi": (saved(acta(), "JPEG") + b"<?xml version='1.0'?><meta/>", [Oddity.BYTES_DESPUES]),
    "padding before a clip": (
        saved(acta(), "JPEG") + bytes(300) + b"\0\0\0\x18ftypmp42" + bytes(range(1, 200)),
        [Oddity.BYTES_DESPUES],
    ),
    "nothing but padding behind it": (saved(acta(), "JPEG") + bytes(4000), []),
    "bytes behind a PNG": (in_format(acta(), "png") + b"huawei", [Oddity.BYTES_DESPUES]),
    "bytes behind a WebP": (in_format(acta(), "webp") + b"pixel", [Oddity.BYTES_DESPUES]),
    "deleted pages": (pdf(saved(acta(), "JPEG"), kinds.SIDES, deleted=3), []),
    "packed in object streams": (pdf(saved(acta(), "JPEG"), kinds.SIDES, packed=True), []),
    "a page that stands on its side": (pdf(saved(acta(), "JPEG"), kinds.SIDES, rotate=90), []),
    "a smaller one marked as the main one": (
        kinds.tiff_pages([acta(size=(96, 68)), acta()], reduced={1}),
        [Oddity.VARIAS_IMAGENES],
    ),
    "the full one below the preview": (kinds.tiff_below(acta(size=(96, 68)), acta()), [Oddity.VARIAS_IMAGENES]),
    "a web page behind it": (saved(acta(), "JPEG") + b"<html></html>" * 9, [Oddity.BYTES_DESPUES]),
    "a ZIP behind it": (
        saved(acta(), "JPEG") + b"PK\x05\x06" + bytes(18),
        [Oddity.BYTES_DESPUES, Oddity.OTRO_FORMATO],
    ),
    "avif": (in_format(acta(), "avif"), []),
    "gif": (in_format(acta(), "gif"), []),
    "bmp": (in_format(acta(), "bmp"), []),
    "big tiff": (in_format(acta(), "tiff big"), []),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_the_kinds_are_taken_read_and_marked(name: str, tmp_path: Path) -> None:
    data, odd = MADE[name]
    found = taken(data, tmp_path)
    assert texts(found) == [kinds.STICKER]
    assert list(found.oddities) == odd


def test_the_largest_picture_of_a_multi_picture_file_is_the_acta(tmp_path: Path) -> None:
    data = kinds.mpf(kinds.preview(), [saved(acta(), "JPEG")], 100)
    found = taken(data, tmp_path)
    assert (found.width, found.height, found.text) == (*kinds.SIDES, kinds.STICKER)


def test_the_back_of_a_sheet_does_not_hide_its_front(tmp_path: Path) -> None:
    """A scanner that takes both sides: the blank one may come first."""
    blank = acta("no es un acta", seed=5)
    found = taken(kinds.tiff_pages([blank, acta()]), tmp_path)
    assert texts(found) == [kinds.STICKER]
    assert Oddity.VARIAS_IMAGENES in found.oddities
    assert distance(found.phash, digitize(saved(acta().convert("L"), "PNG")).phash) < 20, "people see the front"


def test_two_pages_of_two_actas_say_so(tmp_path: Path) -> None:
    other = kinds.STICKER.replace("1234", "1235")
    assert texts(taken(kinds.tiff_pages([acta(), acta(other)]), tmp_path)) == [kinds.STICKER, other]


def deep(levels: bytes, bits: int, kind: int = 1) -> bytes:
    """A TIFF of greys with so many bits each; `kind` 2 is signed, 3 is a real number."""
    width, height = kinds.SIDES
    tags = [
        (256, width), (257, height), (258, bits), (259, 1), (262, 1), (273, 8), (277, 1), (278, height),
        (279, len(levels)), (339, kind),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, told) for tag, told in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(levels)) + levels + directory + bytes(4)


def packed(code: str, times: float, start: float = 0) -> bytes:
    whole = code != "f"
    said = [start + level * times for level in range(256)]
    cells = [struct.pack("<" + code, round(each) if whole else each) for each in said]
    return b"".join([cells[level] for level in acta().convert("L").tobytes()])


def patched(data: bytes, at: int, *, more: int) -> bytes:
    """The bytes with another number at this place."""
    return data[:at] + struct.pack("<I", int.from_bytes(data[at : at + 4], "little") + more) + data[at + 4 :]


DEEP: Final = {
    "16 bits": deep(packed("H", 257), 16),
    "12 bits in 16": deep(packed("H", 16), 16),
    "16 bits, signed": deep(packed("h", 128), 16, 2),
    "32 bits of 8": deep(packed("i", 1), 32, 2),
    "real numbers to 1": deep(packed("f", 1 / 255), 32, 3),
    "real numbers to 255": deep(packed("f", 1), 32, 3),
}
STORED: Final = {
    "red, green and blue": saved(acta(), "JPEG", quality=90, keep_rgb=True),
    "red, green and blue, large": saved(acta(size=(2200, 1560)), "JPEG", quality=90, keep_rgb=True),
    "four inks": saved(acta().convert("CMYK"), "JPEG", quality=90),
    "a WebP that says too much": patched(saved(acta(), "WEBP"), 4, more=8),
    "a WebP that says too little": patched(saved(acta(), "WEBP"), 4, more=-40),
    "a BMP with a mark of its program": patched(saved(acta(), "BMP"), 6, more=7),
}


@pytest.mark.parametrize("name", [*DEEP, *STORED])
def test_other_ways_to_store_the_same_sheet_show_it(name: str, tmp_path: Path) -> None:
    """Each was taken and shown black, or refused, though a browser or its scanner's own program shows it."""
    found = taken((DEEP | STORED)[name], tmp_path)
    assert texts(found) == [kinds.STICKER]
    assert set(found.oddities) <= ({Oddity.INCOMPLETA, Oddity.BYTES_DESPUES} if "WebP" in name else set())
    sheet = acta(size=(found.width, found.height)).convert("L").resize((60, 42))
    shown = Image.open(io.BytesIO(found.web)).convert("L").resize((60, 42))
    assert sum(map(abs, map(int.__sub__, sheet.tobytes(), shown.tobytes()))) / (60 * 42) < 6


def test_a_note_of_xmp_alone_turns_no_picture(tmp_path: Path) -> None:
    note = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    found = taken(kinds.into_jpeg(kinds.segment(0xE1, note))(saved(acta(), "JPEG"), random.Random(1)), tmp_path)
    assert Image.open(io.BytesIO(found.web)).size == kinds.SIDES


@pytest.mark.parametrize("points", [(9, 6), (48, 34)])
def test_a_page_of_a_thumbs_size_is_drawn_as_large_as_its_picture(points: tuple[int, int], tmp_path: Path) -> None:
    data = pdf(saved(acta(), "JPEG", quality=90), kinds.SIDES)
    box, small = b"[0 0 %d %d]" % kinds.SIDES, b"[0 0 %d %d]" % points
    placed, shrunk = b"q %d 0 0 %d 0 0 cm" % kinds.SIDES, b"q %d 0 0 %d 0 0 cm" % points
    found = taken(data.replace(box, small.ljust(len(box))).replace(placed, shrunk.ljust(len(placed))), tmp_path)
    assert texts(found) == [kinds.STICKER]


def test_a_picture_named_js_is_no_program(tmp_path: Path) -> None:
    assert texts(taken(pdf(saved(acta(), "JPEG"), kinds.SIDES).replace(b"/I0", b"/JS"), tmp_path)) == [kinds.STICKER]


def wide(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) for char in text)


@pytest.mark.parametrize(
    "printed",
    [wide(kinds.STICKER), kinds.STICKER.replace("|", "\u200b|"), "\0".join(kinds.STICKER), kinds.STICKER + "\n"],
)
def test_wide_letters_and_letters_without_a_shape_do_not_matter(printed: str) -> None:
    assert stickers([printed]) == (kinds.STICKER,)


@pytest.mark.parametrize("around", ["\ufeff{}", "{}\0", "\u200b{}\u200d", " {} \r\n", "{}\u2028", "\x1d{}", "\u00a0{}"])
def test_invisible_characters_around_a_sticker_do_not_matter(around: str, tmp_path: Path) -> None:
    found = taken(saved(acta(around.format(kinds.STICKER)), "PNG"), tmp_path)
    assert texts(found) == [kinds.STICKER]


def test_every_oddity_has_its_sentence() -> None:
    assert set(SENTENCES) == set(Oddity)
