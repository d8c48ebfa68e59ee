"""The strips of an acta's fields: right at every level of degradation, or not shown."""

import io
import json
import random
from collections.abc import Callable, Mapping
from functools import cache

import pytest
from PIL import Image, ImageDraw, ImageFilter

from load_tests.pictures.crops import (
    BALLOTS,
    OFFICIAL,
    TARGETS,
    Counted,
    Paper,
    count_strips,
    drawn_paper,
    inside,
    layout_of,
    official_paper,
)
from prep.domain.layout import PER, FormLayout, FoundMarks, Point, middle
from prep.rehearsal.drawing.camera import CLEAN, CROP_LEVELS, Condition
from prep.scan.corners import find_marks, thinned
from prep.scan.crops import Strip, find_strips
from prep.scan.digitize import digitize
from tests.makers.official_files import Official

TILTED = Condition("inclinada", rotation=6, perspective=0.03)


@cache
def papers() -> tuple[Paper, ...]:
    return tuple(drawn_paper(rows) for rows in BALLOTS)


def taken(paper: Paper, condition: Condition = CLEAN, seed: int = 1) -> Image.Image:
    return Image.open(io.BytesIO(paper.take(random.Random(seed), condition).data)).convert("L")


@cache
def clean_marks(ballot: int) -> FoundMarks:
    found = find_marks(taken(papers()[ballot]))
    assert found is not None
    return found


@pytest.mark.parametrize("level", CROP_LEVELS)
def test_strips_hold_the_boxes_of_their_field_at_each_level(level: str) -> None:
    """A few actas of each ballot; `python -m load_tests.pictures --crops` measures many."""
    counted = Counted()
    for number, paper in enumerate(papers()):
        count_strips(paper, level, [number], counted)
    assert counted.wrong == []
    # So few actas tell no rate of the bad levels: there one acta may have no strips.
    assert counted.per_cent() >= (TARGETS[level] if level in {"buena", "media"} else 0)


def test_strips_on_the_blank_official_form_that_was_filled_in(official: Official) -> None:
    paper = official_paper(official("formatos/acta-presidencia-2024-en-blanco.png"))
    counted = Counted()
    for level in ("buena", "media"):
        count_strips(paper, level, [1], counted)
    assert (counted.wrong, counted.right, counted.fields) == ([], 44, 44)


TURNS: dict[int, Callable[[Point, tuple[int, int]], Point]] = {
    90: lambda point, size: (point[1], size[0] - point[0]),
    180: lambda point, size: (size[0] - point[0], size[1] - point[1]),
    270: lambda point, size: (size[1] - point[1], point[0]),
}
"""Degrees to the left → the place of a pixel in the picture that was turned so. `size` is that of before."""


@pytest.mark.parametrize("degrees", TURNS)
def test_a_picture_that_lies_on_its_side_or_head_has_strips_that_lie_so_too(degrees: int) -> None:
    paper = papers()[0]
    photo = paper.take(random.Random(5), TILTED)
    upright = Image.open(io.BytesIO(photo.data)).convert("L")
    image = upright.rotate(degrees, expand=True)
    found = find_marks(image)
    assert found is not None
    strips = find_strips(found, paper.layout)
    assert strips.keys() == paper.boxes.keys()
    for code, quad in strips.items():
        corners = [(x * image.width / PER, y * image.height / PER) for x, y in quad]
        for x0, y0, x1, y1 in paper.boxes[code]:
            box = [photo.place(point) for point in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
            assert all(inside(TURNS[degrees](point, upright.size), corners) for point in box), code


def test_strips_are_those_of_the_picture_as_a_browser_turns_it() -> None:
    """The pixels lie on their side, and EXIF says so: the place of a strip is that on the upright picture."""
    paper = papers()[1]
    photo = paper.take(random.Random(2), TILTED)
    image = Image.open(io.BytesIO(photo.data))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn to the right
    stream = io.BytesIO()
    image.transpose(Image.Transpose.ROTATE_90).save(stream, "JPEG", quality=90, exif=exif)
    made = digitize(stream.getvalue(), marks=True)
    assert (made.width, made.height) == (image.height, image.width)
    assert made.marks is not None
    strips = find_strips(made.marks, paper.layout)
    assert strips.keys() == paper.boxes.keys()
    for code, quad in strips.items():
        corners = [(x * image.width / PER, y * image.height / PER) for x, y in quad]
        assert all(inside(photo.place(middle(box)), corners) for box in paper.boxes[code]), code


def test_marks_are_looked_for_only_if_the_night_has_a_described_form() -> None:
    data = papers()[1].take(random.Random(2), CLEAN).data
    assert digitize(data).marks is None
    assert digitize(data, marks=True).marks is not None


def test_marks_are_the_same_after_they_were_kept() -> None:
    found = clean_marks(0)
    assert FoundMarks.from_json(found.as_json()) == found
    layout = papers()[0].layout
    assert FormLayout.from_json(layout.as_json()).as_json() == layout.as_json()


def covered(image: Image.Image, box: tuple[float, float, float, float], level: int = 170) -> Image.Image:
    """The picture with a finger on that part of it, given as shares of its sides."""
    copy = image.copy()
    wide, high = image.size
    ImageDraw.Draw(copy).ellipse((box[0] * wide, box[1] * high, box[2] * wide, box[3] * high), fill=level)
    return copy


def test_a_picture_without_its_four_squares_has_no_strips() -> None:
    image = taken(papers()[0])
    wide, high = image.size

    def strips(seen: Image.Image) -> Mapping[str, Strip]:
        found = find_marks(seen)
        return {} if found is None else find_strips(found, papers()[0].layout)

    assert strips(image)
    assert strips(covered(image, (-0.05, -0.05, 0.08, 0.1))) == {}, "a finger is on a corner"
    assert strips(image.crop((0, 0, wide, round(high * 0.9)))) == {}, "the lower edge is not in the picture"
    assert strips(image.crop((200, 150, 1500, 900))) == {}


@pytest.mark.parametrize(
    "image",
    [
        Image.new("L", (1700, 1100), 255),
        Image.new("L", (1700, 1100), 0),
        Image.new("L", (1, 1)),
        Image.new("L", (2048, 1), 200),
        Image.new("L", (3, 2048), 90),
        Image.effect_noise((1700, 1100), 90),
        Image.radial_gradient("L").resize((1600, 1200)),
    ],
    ids=["white", "black", "a dot", "a line", "a column", "noise", "a lamp"],
)
def test_a_picture_of_no_acta_has_no_marks(image: Image.Image) -> None:
    assert find_marks(image) is None


def test_an_acta_of_another_form_has_no_strips() -> None:
    """The sticker of a short ballot on an acta with a long one: all marks of the short one are there too."""
    long, short = papers()[0], papers()[1]
    found = clean_marks(0)
    assert find_strips(found, long.layout, [long.layout, short.layout]).keys() == long.boxes.keys()
    assert find_strips(found, short.layout, [long.layout, short.layout]) == {}
    assert find_strips(clean_marks(1), long.layout, [long.layout, short.layout]) == {}
    # Also with no other form to compare, if the marks are elsewhere.
    assert find_strips(found, layout_of(json.loads(OFFICIAL.read_text(encoding="utf-8")))) == {}


def test_a_form_whose_marks_could_be_one_row_off_has_no_strips() -> None:
    """Two columns of equal rows, and nothing else: spots that lie between two rows fit one row up and one row down."""
    squares = papers()[0].layout.squares
    rows = [20 + 9.0 * row for row in range(24)]
    layout = FormLayout(squares, tuple((x, y) for y in rows for x in (120.0, 300.0)), {"PAN": (120, 20, 300, 29)})
    (left, top), (right, bottom) = middle(squares[0]), middle(squares[2])

    def seen(shift: float) -> FoundMarks:
        corners = tuple(middle(square) for square in squares)
        spots = [(x, y + shift) for y in [rows[0] - 9, *rows, rows[-1] + 9] for x in (120.0, 300.0)]
        per = [(round((x - left) / (right - left) * 9000 + 500), round((y - top) / (bottom - top) * 9000 + 500))
               for x, y in (*corners, *spots)]  # fmt: skip
        area = (squares[0][2] - squares[0][0]) ** 2 / ((right - left) * (bottom - top))
        return FoundMarks(tuple(per[:4]), (round(PER * area),) * 4, tuple(per[4:]))

    assert find_strips(seen(0.0), layout).keys() == {"PAN"}
    assert find_strips(seen(4.5), layout) == {}


@pytest.mark.parametrize("seed", range(40))
def test_a_thinned_mask_is_what_a_min_filter_gives(seed: int) -> None:
    """Pillow's own filter is the oracle, at the edges too."""
    chance = random.Random(seed)
    width, height = chance.randrange(1, 40), chance.randrange(1, 40)
    pixels = chance.choices((0, 255), (1, chance.choice((1, 8, 40))), k=width * height)
    mask = Image.frombytes("L", (width, height), bytes(pixels))
    assert thinned(mask).tobytes() == mask.filter(ImageFilter.MinFilter(3)).tobytes()


def test_a_square_of_another_size_is_not_a_square_of_the_form() -> None:
    found = clean_marks(0)
    assert find_strips(found, papers()[0].layout)
    larger = FoundMarks(found.squares, (found.areas[0] * 3, *found.areas[1:]), found.marks)
    assert find_strips(larger, papers()[0].layout) == {}


def test_a_field_whose_surroundings_are_covered_has_no_strip_and_the_others_have() -> None:
    """A hand lies on the last rows: the marks at their ends are gone."""
    paper = papers()[0]
    found = clean_marks(0)
    _, y0, _, y1 = paper.layout.strips["BOLETAS_SOBRANTES"]
    height = PER / (1108 * 430 / 1700)
    kept = tuple((x, y) for x, y in found.marks if not (x < PER / 3 and abs(y / height - (y0 + y1) / 2) < 48))
    strips = find_strips(FoundMarks(found.squares, found.areas, kept), paper.layout)
    assert "BOLETAS_SOBRANTES" not in strips
    assert {"PAN", "NULOS", "TOTAL_ASENTADO", "VOTOS_SACADOS"} <= strips.keys()
