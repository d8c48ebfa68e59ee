"""The drawn actas: the same bytes each time, room for every ballot, visible handwriting, and a real QR."""

import io
import random
from dataclasses import replace
from typing import Any

import pytest
import zxingcpp
from PIL import Image, ImageChops, ImageDraw

from prep.domain.entry import HEADER, TOTAL, Field, Mark
from prep.rehearsal.drawing.acta import draw
from prep.rehearsal.drawing.camera import CLEAN, CONDITIONS, LEVELS, Condition, photograph
from prep.rehearsal.drawing.handwriting import in_words
from prep.rehearsal.drawing.press import PrintedForm

QR = "28|3|1|1234|1|B|0|5"
FORM = PrintedForm(
    "Gubernatura", "Tamaulipas", HEADER, ("PAN", "PRI", "PAN-PRI", "CAND_IND_1", "NO_REGISTRADAS", "NULOS"), TOTAL
)
VALUES: dict[str, Field] = {code: 10 * place for place, code in enumerate((*HEADER, *FORM.rows, TOTAL), 1)}


def grey(image: Image.Image, at: tuple[int, int]) -> int:
    """The luminance of one pixel."""
    value = image.getpixel(at)
    assert isinstance(value, int)
    return value


def image(
    form: PrintedForm = FORM, values: dict[str, Field] = VALUES, qr: str | None = QR, **options: Any
) -> Image.Image:
    return Image.open(io.BytesIO(draw(form, values, qr, rng=random.Random(1), **options)))


def ink(drawn: Image.Image) -> int:
    """The number of clearly blue pixels."""
    red, _, blue = drawn.convert("RGB").split()
    return ImageChops.subtract(blue, red).point([0] * 60 + [1] * 196).histogram()[1]


@pytest.mark.parametrize("condition", [*CONDITIONS.values(), *LEVELS.values()], ids=lambda condition: condition.name)
def test_the_same_acta_is_always_the_same_bytes(condition: Condition) -> None:
    one, other = (draw(FORM, VALUES, QR, rng=random.Random(5), condition=condition, size=(850, 554)) for _ in range(2))
    assert one == other
    assert one != draw(FORM, VALUES, QR, rng=random.Random(6), condition=condition, size=(850, 554))


FOLDED = Condition("doblada", rotation=15, perspective=0.06, fold=0.05, quality=95)


@pytest.mark.parametrize("seed", range(6))
def test_a_photograph_knows_where_it_shows_each_point_of_the_sheet(seed: int) -> None:
    """Dots on the sheet, also near its creases, stand at the places that it tells; creases stand upright or lie."""
    sheet = Image.new("RGB", (850, 554), "white")
    dots = [(x, y) for x in range(50, 850, 83) for y in range(40, 554, 79)]
    for x, y in dots:
        ImageDraw.Draw(sheet).ellipse((x - 5, y - 5, x + 5, y + 5), fill="black")
    photo = photograph(sheet, FOLDED, random.Random(seed))
    seen = ImageChops.invert(Image.open(io.BytesIO(photo.data)).convert("L"))
    for dot in dots:
        # The middle of a pixel is half a pixel further than its number.
        at_x, at_y = photo.place((dot[0] + 0.5, dot[1] + 0.5))
        window = seen.crop((round(at_x) - 7, round(at_y) - 7, round(at_x) + 7, round(at_y) + 7)).point(
            [0] * 150 + [*range(106)]
        )
        across, down = (window.resize(size, Image.Resampling.BOX).tobytes() for size in ((14, 1), (1, 14)))
        for place, middle, profile in ((at_x, round(at_x), across), (at_y, round(at_y), down)):
            found = middle - 7 + sum((at + 0.5) * level for at, level in enumerate(profile)) / max(1, sum(profile))
            assert abs(found - place) < 1.5, (dot, found, place)


def test_a_night_has_four_conditions_and_the_benchmark_has_four_levels() -> None:
    assert list(CONDITIONS) == ["limpia", "girada", "borrosa", "oscura"]
    assert list(LEVELS) == ["leve", "medio", "fuerte", "extremo"]


def test_the_sticker_is_a_qr_with_the_text_given() -> None:
    assert [code.text for code in zxingcpp.read_barcodes(image().convert("L"))] == [QR]


def test_an_acta_without_a_sticker_has_no_qr() -> None:
    assert (
        zxingcpp.read_barcodes(
            image(qr=None).convert("L"), formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
        )
        == []
    )


def test_the_form_has_its_four_black_corners_and_its_shape() -> None:
    drawn = image().convert("L")
    assert drawn.size == (1700, 1108)
    for corner in ((39, 43), (1659, 43), (39, 1053), (1659, 1053)):
        assert grey(drawn, corner) < 60, corner


@pytest.mark.parametrize("rows", [1, 13, 24, 25, 45])
def test_a_ballot_of_any_length_fits_and_each_of_its_rows_has_room_for_a_number(rows: int) -> None:
    form = PrintedForm(
        "Ayuntamientos", "Prueba", HEADER, tuple(f"P{number}" for number in range(rows)), TOTAL, digits=4
    )
    blank = image(form, {}, None)
    for code in (form.rows[0], form.rows[-1], TOTAL, *HEADER):
        assert ink(image(form, {code: 8888}, None)) > ink(blank) + 100, code


def test_sin_dato_leaves_the_boxes_empty_and_ilegible_covers_them() -> None:
    blank = ink(image(values={}))
    assert ink(image(values={"PAN": Mark.SIN_DATO})) == blank
    assert ink(image(values={"PAN": Mark.ILEGIBLE})) > ink(image(values={"PAN": 111})) > blank


def test_a_number_longer_than_its_boxes_is_still_written() -> None:
    assert ink(image(values={"PAN": 12345})) > ink(image(values={}))


def test_a_dark_photo_is_dark() -> None:
    def mean(drawn: Image.Image) -> float:
        counts = drawn.convert("L").histogram()
        return sum(level * count for level, count in enumerate(counts)) / sum(counts)

    assert mean(image(condition=CONDITIONS["oscura"])) < 0.75 * mean(image(condition=CLEAN))
    assert mean(image(condition=replace(CLEAN, light=0.1))) < 0.6 * mean(image())


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "cero"),
        (21, "veintiuno"),
        (31, "treinta y uno"),
        (40, "cuarenta"),
        (100, "cien"),
        (101, "ciento uno"),
        (999, "novecientos noventa y nueve"),
        (1000, "mil"),
        (2345, "dos mil trescientos cuarenta y cinco"),
    ],
)
def test_numbers_are_written_in_spanish_words(number: int, words: str) -> None:
    assert in_words(number) == words
