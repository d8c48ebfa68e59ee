"""Finds the four corner squares of an acta, and the round marks at the ends of its rows, in an upright luminance image.

The form is not known here: the marks are a fact of the picture. `prep.scan.crops` compares it with the layout of a
form, when the acta is known. Only Pillow is used, and every step costs a bounded time:

1. The image at about `COARSE` pixels of its long side, against the brightness of the paper around each pixel. Dark
   patches that are as solid and as round about as a square is, and of its size, are candidates.
2. The four that lie farthest out in the four diagonal directions and are of about one size, if they make a convex
   shape that fills enough of the image. If not, the picture has no marks.
3. The image scaled so that the sheet is about `FINE` pixels long. A mark is a dark spot of the size of a mark whose
   surroundings are light. Many letters look so too; the layout tells which of them are marks.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from PIL import Image, ImageChops, ImageFilter

from prep.domain.layout import PER, FoundMarks, Point

COARSE: Final = 512
FINE: Final = 880
PAPER: Final = 8
"""The brightness of the paper is judged in cells of so many coarse pixels."""
SQUARE_DARK: Final = 0.52
MARK_DARK: Final = 0.5
"""Share of the brightness of the paper below which a pixel is dark."""
SIDE: Final = (0.009, 0.06)
"""Least and largest side of a corner square, as a share of the long side of the image."""
SPOT: Final = (2, 60)
"""Least and largest area of a round mark, in pixels of the image that is about `FINE` long."""
MARKS: Final = 400
"""At most so many marks are kept: a picture with more has texture everywhere."""
AROUND: Final = 0.02
"""Marks are looked for so far outside the middles of the squares, as a share of the sheet's long side."""
AROUND_DARK: Final = 0.4
"""Share of the surroundings of a square that may be dark: the edge of the sheet, a shadow."""
RIVALS: Final = 3
"""So many patches are tried for each corner."""
SIDES_ALIKE: Final = 0.55
"""Least share of the largest square's side that the smallest one's is, seen at an angle."""
RUNS: Final = 12_000
"""A picture with more dark runs than this is no sheet of paper."""


@dataclass(frozen=True, slots=True)
class _Patch:
    """Connected dark pixels."""

    area: int
    x: float
    y: float
    roundness: float
    """1 for a square or a disc; the more, the longer it is."""
    solidness: float
    """1 for a square that is filled, less with gaps."""
    box: tuple[int, int, int, int]


def find_marks(image: Image.Image) -> FoundMarks | None:
    """The marks of the acta in `image` (mode L, upright); None if it has no four corner squares that are sure."""
    cell = max(1, round(max(image.size) / COARSE))
    coarse = image.reduce(cell)
    if min(coarse.size) < COARSE // 4:
        return None
    paper = _paper(coarse)
    squares = _corner_squares(coarse, paper)
    if squares is None:
        return None
    refined = [_refine(image, square, cell) for square in squares]
    across, down = PER / image.width, PER / image.height
    return FoundMarks(
        tuple((round(x * across), round(y * down)) for x, y in refined),
        tuple(round(PER * (math.sqrt(square.area) + 2) ** 2 * cell**2 / _area(refined)) for square in squares),
        tuple((round(x * across), round(y * down)) for x, y in _round_marks(image, paper, refined)),
    )


def _paper(coarse: Image.Image) -> Image.Image:
    """The brightness of the paper around each pixel, of 1/`PAPER` of the size."""
    light = coarse.reduce(PAPER // 2).filter(ImageFilter.MaxFilter(3)).reduce(2)
    return light.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.BoxBlur(2))


def _dark(image: Image.Image, paper: Image.Image, share: float) -> Image.Image:
    """255 for each pixel that is darker than this share of the paper around it, else 0."""
    limit = paper.point([round(level * share) for level in range(256)]).resize(image.size, Image.Resampling.BILINEAR)
    return ImageChops.subtract(limit, image).point([0] + [255] * 255)


def _corner_squares(coarse: Image.Image, paper: Image.Image) -> Sequence[_Patch] | None:
    # Each patch loses a pixel from each side, so letters and lines are gone before anything is counted.
    dark = _dark(coarse, paper, SQUARE_DARK)
    least, most = (share * max(coarse.size) for share in SIDE)
    found = [
        patch
        for patch in _patches(thinned(dark), max(0.0, least - 2) ** 2, most**2)
        if patch.roundness < 1.9
        and patch.solidness > 0.8
        and _is_whole(coarse, patch)
        and _stands_on_paper(dark, patch)
    ]
    if len(found) < 4:
        return None
    wide, high = coarse.size
    outermost = [
        sorted(found, key=lambda patch: patch.x * dx / wide + patch.y * dy / high)[-RIVALS:]
        for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    best = max(product(*outermost), key=lambda corners: _corner_fit(corners, 0.15 * wide * high))
    if not _corner_fit(best, 0.15 * wide * high):
        return None
    first = min(range(4), key=lambda at: best[at].x / wide + best[at].y / high)
    return best[first:] + best[:first]


def thinned(mask: Image.Image) -> Image.Image:
    """255 where the pixel and its eight neighbours are 255, else 0: what a MinFilter(3) gives, but faster."""
    return mask.filter(ImageFilter.BoxBlur(1)).point([0] * 255 + [255])


def _corner_fit(corners: Sequence[_Patch], least: float) -> float:
    """How well four patches do as the squares of a sheet: they lie far apart and are of one size. 0: not at all."""
    shape = [(patch.x, patch.y) for patch in corners]
    sides = [math.sqrt(patch.area) + 2 for patch in corners]
    alike = min(sides) / max(sides)
    if alike < SIDES_ALIKE or not _is_convex(shape) or _area(shape) < least:
        return 0.0
    return _area(shape) * alike * alike


def _is_whole(coarse: Image.Image, patch: _Patch) -> bool:
    """Whether the patch does not touch the edge of the picture: the middle of a square that is cut is not its own."""
    x0, y0, x1, y1 = patch.box
    return x0 > 1 and y0 > 1 and x1 < coarse.width - 1 and y1 < coarse.height - 1


def _stands_on_paper(dark: Image.Image, patch: _Patch) -> bool:
    """Whether it is light around the patch. A piece of the table beside the sheet goes on being dark."""
    x0, y0, x1, y1 = patch.box
    more = 1 + round(0.35 * (math.sqrt(patch.area) + 2))
    around = dark.crop((max(0, x0 - more), max(0, y0 - more), min(dark.width, x1 + more), min(dark.height, y1 + more)))
    pixels, own = around.width * around.height, (math.sqrt(patch.area) + 2) ** 2
    return around.histogram()[255] - own <= AROUND_DARK * max(1.0, pixels - own)


def _patches(mask: Image.Image, least: float, most: float) -> Iterator[_Patch]:
    """The connected parts of a mask with an area from `least` to `most` pixels, by rows of equal pixels."""
    width, height = mask.size
    levels = mask.tobytes()
    runs: list[tuple[int, int, int]] = []  # row, start, end
    parent: list[int] = []
    before: list[int] = []
    for row in range(height):
        line = levels[row * width : (row + 1) * width]
        now: list[int] = []
        start = line.find(255)
        place = 0
        while start >= 0:
            end = line.find(0, start)
            end = width if end < 0 else end
            number = len(runs)
            runs.append((row, start, end))
            parent.append(number)
            now.append(number)
            # Runs of the row above that touch this one; both lists are in order.
            while place < len(before) and runs[before[place]][2] < start:
                place += 1
            at = place
            while at < len(before) and runs[before[at]][1] <= end:
                one, other = _root(parent, before[at]), _root(parent, number)
                parent[max(one, other)] = min(one, other)
                at += 1
            start = line.find(255, end)
        before = now
        if len(runs) > RUNS:
            return
    groups: dict[int, list[tuple[int, int, int]]] = {}
    for number, run in enumerate(runs):
        groups.setdefault(_root(parent, number), []).append(run)
    for group in groups.values():
        if least <= sum(end - start for _, start, end in group) <= most:
            yield _patch(group)


def _root(parent: list[int], number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number


def _patch(runs: Sequence[tuple[int, int, int]]) -> _Patch:
    """Area, middle and second moments of a patch, from sums over its runs."""
    area = sx = sy = sxx = syy = sxy = 0.0
    for row, start, end in runs:
        count = end - start
        middle = (start + end - 1) / 2
        area += count
        sx += count * middle
        sy += count * row
        sxx += count * (middle * middle + (count * count - 1) / 12)
        syy += count * row * row
        sxy += count * middle * row
    x, y = sx / area, sy / area
    # 1/12 of a pixel is the moment of the pixel itself: without it a small patch would look too solid.
    xx, yy, xy = sxx / area - x * x + 1 / 12, syy / area - y * y + 1 / 12, sxy / area - x * y
    spread = ((xx - yy) ** 2 + 4 * xy * xy) ** 0.5
    long, short = (xx + yy + spread) / 2, (xx + yy - spread) / 2
    return _Patch(
        area=int(area),
        x=x,
        y=y,
        roundness=long / max(short, 1e-6),
        # A filled square or parallelogram of this area has exactly these moments.
        solidness=area / 12 / max(long * short, 1e-6) ** 0.5,
        box=(min(r[1] for r in runs), runs[0][0], max(r[2] for r in runs), runs[-1][0] + 1),
    )


def _is_convex(shape: Sequence[Point]) -> bool:
    turns = [
        (bx - ax) * (cy - by) - (by - ay) * (cx - bx)
        for (ax, ay), (bx, by), (cx, cy) in zip(shape, [*shape[1:], shape[0]], [*shape[2:], *shape[:2]], strict=True)
    ]
    return min(turns) > 0


def _area(shape: Sequence[Point]) -> float:
    return abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in zip(shape, [*shape[1:], shape[0]], strict=True))) / 2


def _refine(image: Image.Image, square: _Patch, cell: int) -> Point:
    """The middle of a square in pixels of `image`: the mean place of its darkness, in a window a little larger."""
    x0, y0, x1, y1 = square.box
    more = 2 + round((x1 - x0) * 0.12)
    left, top = max(0, (x0 - more) * cell), max(0, (y0 - more) * cell)
    window = image.crop((left, top, min(image.width, (x1 + more) * cell), min(image.height, (y1 + more) * cell)))
    light, black = max(1, _level(window, 0.9)), _level(window, 0.25)
    # Light paper counts nothing, the darkest quarter counts fully, and an edge counts by parts: so does the place.
    quarter = max(1, (light - black) / 4)
    soft = window.point([round(255 * min(1.0, max(0.0, (light - level) / quarter - 1) / 2)) for level in range(256)])
    across = soft.resize((soft.width, 1), Image.Resampling.BOX).tobytes()
    down = soft.resize((1, soft.height), Image.Resampling.BOX).tobytes()
    return left + _mean_place(across), top + _mean_place(down)


def _level(window: Image.Image, share: float) -> int:
    """The level below which this share of the pixels lies."""
    wanted, seen = share * window.width * window.height, 0
    for level, count in enumerate(window.histogram()):
        seen += count
        if seen >= wanted:
            return level
    return 255


def _mean_place(profile: bytes) -> float:
    total = sum(profile)
    return sum((at + 0.5) * level for at, level in enumerate(profile)) / total if total else len(profile) / 2


def _round_marks(image: Image.Image, paper: Image.Image, squares: Sequence[Point]) -> list[Point]:
    """The middles of the dark spots between the squares that might be marks, in pixels of `image`."""
    long = max(math.dist(a, b) for a, b in zip(squares, [*squares[1:], squares[0]], strict=True))
    scale = min(1.0, FINE / long)
    # Marks may stand as far out as the squares do.
    left, top = (max(0.0, min(point[axis] for point in squares) - AROUND * long) for axis in (0, 1))
    right, bottom = (
        min(float(image.size[axis]), max(point[axis] for point in squares) + AROUND * long) for axis in (0, 1)
    )
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    part = image.resize(size, Image.Resampling.BOX, (left, top, right, bottom))
    cell = max(1, round(max(image.size) / COARSE)) * PAPER
    wide, high = paper.size
    window = (min(left / cell, wide), min(top / cell, high), min(right / cell, wide), min(bottom / cell, high))
    here = paper.resize((max(1, size[0] // 16), max(1, size[1] // 16)), Image.Resampling.BILINEAR, window)
    dark = _dark(part, here, MARK_DARK)
    inner, around = dark.filter(ImageFilter.BoxBlur(2)), dark.filter(ImageFilter.BoxBlur(6))
    spots = ImageChops.subtract(inner, around).point([255 if level > 95 else 0 for level in range(256)])
    found = [patch for patch in _patches(spots, *SPOT) if patch.roundness < 4]
    return [
        (left + (patch.x + 0.5) / size[0] * (right - left), top + (patch.y + 0.5) / size[1] * (bottom - top))
        for patch in (found if len(found) <= MARKS else [])
    ]
