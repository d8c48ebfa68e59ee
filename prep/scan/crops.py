"""From the marks that were found in a picture, and the layout of its form, to the strip of each field; or to none.

A wrong strip is worse than none: a person would type the votes of the row above. So every strip stands on marks that
were found at their places.

1. The four corner squares tell which point of the paper a pixel shows, if the sheet is flat. They are tried in the four
   directions in which a sheet can lie; the size of each square must fit too.
2. The marks must be at the expected places. A sheet that was folded is not flat: a crease moves its marks away from
   the middle, or towards it. Some heights of a crease are tried (`BENDS`). The one under which most marks are found is
   right, unless another one that takes other spots for the marks is nearly as good. Rows are alike, so such a rival
   would be one row off, and then no strip is shown.
3. No other form of the night may explain more of the spots: that one would be the form in the picture.
4. The marks that were found correct their surroundings. A strip is shown if marks near both of its ends were found.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final

from prep.domain.layout import PER, Box, FormLayout, FoundMarks, Point, middle

NEAR: Final = 1.8
"""mm between the expected place of a mark and a spot that is taken for it."""
SURE: Final = 1.1
"""The same once the surroundings are corrected."""
FLAT_SHARE: Final = 0.85
"""If so many marks are found on a flat sheet, no crease is tried."""
LEAST_SHARE: Final = 0.5
"""With fewer of its marks, a picture has no strips."""
STILL_SHARE: Final = 0.45
"""The same once the surroundings are corrected: a letter that was near a mark is let go."""
RIVAL: Final = 0.12
"""A second way to lay the form on the picture must find fewer marks, by this share of all."""
BENDS: Final = tuple(step * 0.012 for step in (1, -1, 2, -2, 3, -3, 4, -4, 5, -5))
"""How far a crease moves a point away from the middle, as a share of its distance from it."""
FULLER: Final = 0.2
"""The share by which more of a form's marks must be found, so that it fits better with as many."""
REACH: Final = 45.0
"""mm from an end of a strip within which a mark must have been found."""
NEIGHBOURS: Final = 6
MARGIN: Final = 1.2
"""mm around a strip."""
SQUARE_FITS: Final = 1.7
"""The area of a square may differ from the expected one by this factor."""

Strip = list[list[int]]
"""Four corners [x, y], clockwise from the upper left one as printed, in 1/`PER` of the picture's width and height."""
Plane = tuple[float, ...]
"""The eight numbers of a homography."""
Matches = dict[int, int]
"""Number of a mark → number of the spot that is taken for it."""
Ways = Mapping[int, Point]
"""Number of a mark that was found → its way from its place in the layout, in mm."""


def find_strips(found: FoundMarks, layout: FormLayout, others: Sequence[FormLayout] = ()) -> dict[str, Strip]:
    """The strip of each field by code. A field whose place is not sure is left out; so are all if the form is not sure.

    `others` are the other forms of the night: a sticker may be on the wrong one.
    """
    laid = _lay_form(found, layout)
    if laid is None or any(laid.explains_less(layout, other) for other in others):
        return {}
    strips = {code: laid.strip(box) for code, box in layout.strips.items()}
    return {code: quad for code, quad in strips.items() if quad is not None}


@dataclass(frozen=True, slots=True)
class _Laid:
    """The form laid on the picture: a plane, and how far each mark that was found is from its place on that plane."""

    form: "_Form"
    to_picture: Plane
    ways: Ways
    spots: "_Spots"

    def explains_less(self, own: FormLayout, other: FormLayout) -> bool:
        """Whether the other form fits the picture better. All marks of a short ballot are on a longer one: of a longer
        form more marks are found, and of a shorter one about as many, but nearly all of its own.
        """
        mine, theirs = (len(self.spots.match(form.marks, NEAR)) for form in (own, other))
        fuller = theirs / len(other.marks) > mine / len(own.marks) + FULLER
        return theirs > mine + 1 or (fuller and theirs >= 0.9 * mine)

    def strip(self, box: Box) -> Strip | None:
        x0, y0, x1, y1 = box
        height = (y0 + y1) / 2
        for end in ((x0, height), (x1, height)):
            if math.dist(end, self.form.marks[self.form.nearest(end, self.ways)[0]]) > REACH:
                return None
        x0, y0, x1, y1 = x0 - MARGIN, y0 - MARGIN, x1 + MARGIN, y1 + MARGIN
        corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
        quad = [
            [round(part) for part in _moved(self.form.corrected(corner, self.ways), self.to_picture)]
            for corner in corners
        ]
        return quad if all(0 <= part <= PER for corner in quad for part in corner) else None


def _lay_form(found: FoundMarks, layout: FormLayout) -> _Laid | None:
    corners = [middle(square) for square in layout.squares]
    tries = list(_directions(found, layout, corners))
    marks = len(layout.marks)
    # Most sheets are flat, and lie as the device holds them: then nothing else is tried.
    laid = [_Try(plane, spots, spots.match(layout.marks, NEAR)) for plane, spots in tries]
    best = max(laid, key=lambda each: len(each.matches), default=None)
    if best is None or len(best.matches) < FLAT_SHARE * marks:
        bent = [_bent_places(layout, corners, bend, upright=upright) for bend in BENDS for upright in (True, False)]
        laid += [_Try(plane, spots, spots.match(places, NEAR)) for plane, spots in tries for places in bent]
        best = max(laid, key=lambda each: len(each.matches), default=None)
    if best is None or len(best.matches) < LEAST_SHARE * marks:
        return None
    if any(_is_rival(each, best) and len(each.matches) > len(best.matches) - RIVAL * marks for each in laid):
        return None
    # Each mark at the place that the others around it tell: a letter that stood near a mark is let go.
    form = _form_of(layout)
    ways = _ways(layout.marks, best.spots, best.matches)
    places = [form.corrected(place, ways, but=mark) for mark, place in enumerate(layout.marks)]
    matches = best.spots.match(places, SURE)
    if len(matches) < STILL_SHARE * marks:
        return None
    return _Laid(form, best.to_picture, _ways(layout.marks, best.spots, matches), best.spots)


@dataclass(frozen=True, slots=True)
class _Try:
    """One way to lay the form on the picture, and the spots that are then taken for marks."""

    to_picture: Plane
    spots: "_Spots"
    matches: Matches


def _is_rival(one: _Try, best: _Try) -> bool:
    """Whether it takes other spots for the marks than the best one does."""
    if one.to_picture != best.to_picture:
        return True
    same = sum(one.matches.get(mark) == spot for mark, spot in best.matches.items())
    return same < 0.75 * len(best.matches)


def _directions(found: FoundMarks, layout: FormLayout, corners: Sequence[Point]) -> Iterator[tuple[Plane, "_Spots"]]:
    """The planes from the paper to the picture in which the squares fit, and the spots on the paper."""
    for turn in range(4):
        seen = [(float(x), float(y)) for x, y in (*found.squares[turn:], *found.squares[:turn])]
        to_picture, to_paper = plane_between(corners, seen), plane_between(seen, corners)
        if to_picture is not None and to_paper is not None and _squares_fit(found, layout, turn, to_picture):
            yield to_picture, _Spots([_moved((float(x), float(y)), to_paper) for x, y in found.marks])


def _bent_places(layout: FormLayout, corners: Sequence[Point], bend: float, *, upright: bool) -> list[Point]:
    """The places of the marks on a sheet with a crease, as the plane of its corners shows them."""
    left, top = (min(corner[axis] for corner in corners) for axis in (0, 1))
    right, bottom = (max(corner[axis] for corner in corners) for axis in (0, 1))
    x, y, wide, high = (left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2
    moved = []
    for a, b in layout.marks:
        # How high the sheet stands here: most at the crease, and nothing at the edges.
        share = bend * max(0.0, 1 - (abs(a - x) / wide if upright else abs(b - y) / high))
        moved.append((a + (a - x) * share, b + (b - y) * share))
    return moved


def _squares_fit(found: FoundMarks, layout: FormLayout, turn: int, to_picture: Plane) -> bool:
    """Whether each square is about as large as the layout says, seen from this side."""
    areas = [*found.areas[turn:], *found.areas[:turn]]
    whole = _area([_moved(middle(square), to_picture) for square in layout.squares])
    for (x0, y0, x1, y1), area in zip(layout.squares, areas, strict=True):
        corners = [_moved(corner, to_picture) for corner in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
        expected = PER * _area(corners) / max(whole, 1e-9)
        if not expected / SQUARE_FITS <= area <= expected * SQUARE_FITS:
            return False
    return True


class _Spots:
    """The spots of a picture in mm of the paper, by cells, so that the nearest one is found at once."""

    def __init__(self, places: Sequence[Point]) -> None:
        self.places = places
        self._cells: dict[tuple[int, int], list[int]] = {}
        for number, (x, y) in enumerate(places):
            self._cells.setdefault((math.floor(x / 4), math.floor(y / 4)), []).append(number)

    def match(self, marks: Sequence[Point], near: float) -> Matches:
        """For each mark the nearest spot within `near` (at most 4 mm). A spot is one mark's at most: the nearest's."""
        taken: dict[int, tuple[float, int]] = {}
        for mark, (x, y) in enumerate(marks):
            column, row = math.floor(x / 4), math.floor(y / 4)
            best, distance = -1, near
            for cell in [(column + dx, row + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]:
                for spot in self._cells.get(cell, ()):
                    apart = math.dist(self.places[spot], (x, y))
                    if apart < distance:
                        best, distance = spot, apart
            if best >= 0 and (best not in taken or taken[best][0] > distance):
                taken[best] = (distance, mark)
        return {mark: spot for spot, (_, mark) in taken.items()}


def _ways(marks: Sequence[Point], spots: _Spots, matches: Matches) -> Ways:
    ways = {}
    for mark, spot in matches.items():
        (x, y), (a, b) = marks[mark], spots.places[spot]
        ways[mark] = (a - x, b - y)
    return ways


class _Form:
    """The marks of a layout. Which of them is the nearest to a place is the same in every picture: it is kept."""

    def __init__(self, marks: Sequence[Point]) -> None:
        self.marks = marks
        self._orders: dict[Point, list[int]] = {}

    def nearest(self, place: Point, found: Ways, but: int = -1) -> list[int]:
        """The numbers of the marks around the place that were found, the nearest first; not that of `but`."""
        order = self._orders.get(place)
        if order is None:
            x, y = place
            order = sorted(
                range(len(self.marks)),
                key=lambda mark: ((self.marks[mark][0] - x) ** 2 + (self.marks[mark][1] - y) ** 2, self.marks[mark]),
            )
            self._orders[place] = order
        return list(islice((mark for mark in order if mark in found and mark != but), NEIGHBOURS))

    def corrected(self, place: Point, ways: Ways, but: int = -1) -> Point:
        """The place, moved as the marks around it are: the nearer one counts more."""
        x, y = place
        across = down = total = 0.0
        for mark in self.nearest(place, ways, but):
            a, b = self.marks[mark]
            weight = 1 / ((a - x) ** 2 + (b - y) ** 2 + 9)
            across, down, total = across + weight * ways[mark][0], down + weight * ways[mark][1], total + weight
        return x + across / total, y + down / total


@lru_cache(maxsize=64)
def _form_of(layout: FormLayout) -> _Form:
    return _Form(layout.marks)


def plane_between(first: Sequence[Point], second: Sequence[Point]) -> Plane | None:
    """The homography that maps the first four points to the second four; None if three of them are in one line."""
    rows = []
    for (x, y), (u, v) in zip(first, second, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    for pivot in range(8):
        best = max(range(pivot, 8), key=lambda row: abs(rows[row][pivot]))
        rows[pivot], rows[best] = rows[best], rows[pivot]
        if abs(rows[pivot][pivot]) < 1e-12:
            return None
        rows[pivot] = [value / rows[pivot][pivot] for value in rows[pivot]]
        for row in range(8):
            factor = rows[row][pivot]
            if row != pivot and factor:
                rows[row] = [value - factor * top for value, top in zip(rows[row], rows[pivot], strict=True)]
    return tuple(row[8] for row in rows)


def _moved(point: Point, by: Plane) -> Point:
    x, y = point
    over = by[6] * x + by[7] * y + 1
    over = over if abs(over) > 1e-9 else 1e-9
    return (by[0] * x + by[1] * y + by[2]) / over, (by[3] * x + by[4] * y + by[5]) / over


def _area(shape: Sequence[Point]) -> float:
    return abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in zip(shape, [*shape[1:], shape[0]], strict=True))) / 2
