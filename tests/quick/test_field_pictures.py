"""Pictures from the field: each is taken, read, and marked if it is odd. The table of `field-cases` has the right answers."""

from pathlib import Path

import pytest

from load_tests.pictures import kinds
from load_tests.pictures.kinds import acta, in_format, pdf, saved
from prep.scan.digitize import Digitized, digitize
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


def test_two_pages_of_two_actas_say_so(tmp_path: Path) -> None:
    other = kinds.STICKER.replace("1234", "1235")
    assert texts(taken(kinds.tiff_pages([acta(), acta(other)]), tmp_path)) == [kinds.STICKER, other]


@pytest.mark.parametrize("around", ["\ufeff{}", "{}\0", "\u200b{}\u200d", " {} \r\n", "{}\u2028", "\x1d{}", "\u00a0{}"])
def test_invisible_characters_around_a_sticker_do_not_matter(around: str, tmp_path: Path) -> None:
    found = taken(saved(acta(around.format(kinds.STICKER)), "PNG"), tmp_path)
    assert texts(found) == [kinds.STICKER]


def test_every_oddity_has_its_sentence() -> None:
    assert set(SENTENCES) == set(Oddity)
