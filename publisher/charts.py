"""Drawings of the pages: inline SVG without text, beside a table that says the same in numbers.

The publisher makes them from integers. They hold no text, no style and no program, so that the strictest policy of a
browser shows them, and no number stands in them that a verifier could not read. Colour never tells anything alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from markupsafe import Markup, escape

from prep.domain.territory_map import DrawnTerritory, TerritoryMap, width_of_number

FALLBACK: Final = (
    *("#2f6f9f", "#b4552d", "#4f7f2f", "#7a4c9e", "#a67c00", "#a23b5e", "#2f7d6b", "#5a6472", "#8a5a3c", "#3c5aa8"),
    *("#6b7f1f", "#96438a"),
)
"""For options whose catalogue states no colour, in the order of the ballot."""
KNOWN: Final = {
    "PAN": "#1b5faa",
    "PRI": "#1f7a3d",
    "PRD": "#c99a00",
    "PVEM": "#5d9b2f",
    "PT": "#c8102e",
    "MC": "#e8731a",
    "MORENA": "#7d1f35",
    "PES": "#6a3d8f",
    "NA": "#1f8f95",
}
"""Colours by which people know the parties, for a catalogue that states none."""
_WIDE, _HIGH = 600, 160
NOBODY: Final = "#d5dbe1"
"""Of a place in which nobody is ahead."""
PATTERNS: Final = (
    *("", "M-1 1L1-1M0 10L10 0M9 11L11 9", "M0 5H10", "M3 3h4v4h-4z", "M5 0V10", "M-1 9L1 11M0 0L10 10M9-1L11 1"),
    *("M0 5H10M5 0V10", "M0 8L5 3L10 8", "M0 0L10 10M0 10L10 0", "M1 3H5M6 8H10", "M2 5L5 2L8 5L5 8z", "M3 0L8 5L3 10"),
)
"""What tells two forces apart without their colours, on a tile of 10 × 10. The first one has its colour alone."""
_TILE: Final = 24
"""Units of a map that a tile is wide: about 9 pixels on a telephone."""
_READ: Final = 16
"""Columns of squares in which a number can be read."""
_SIDE: Final = 60
"""Units of a square."""
_DIGITS: Final = (
    *("h6v10h-6z", "m1 2l2-2v10", "h6v5h-6v5h6", "h6v10h-6m1-5h5", "v5h6m0-5v10"),
    *("m6 0h-6v5h6v5h-6", "m6 0h-6v10h6v-5h-6", "h6l-4 10", "h6v10h-6zm0 5h6", "m6 5h-6v-5h6v10h-6"),
)
"""Lines of each digit, 6 wide and 10 high: verifiers allow no text in a drawing."""


def share(part: int, whole: int) -> str:
    """A width in hundredths, with two decimals; a drawing needs no more."""
    scaled = part * 10_000 // whole if whole else 0
    return f"{scaled // 100}.{scaled % 100:02}"


def bar(part: int, whole: int, colour: str) -> Markup:
    """One bar: `part` of `whole`."""
    return Markup(  # noqa: S704 - the colour is escaped, the rest are numbers
        '<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{share(part, whole)}" height="1" fill="{escape(colour)}"/></svg>'
    )


def band(colours: Sequence[str]) -> Markup:
    """The colours of the institute, side by side. They tell nothing."""
    parts = "".join(
        f'<rect x="{place}" width="1" height="1" fill="{escape(each)}"/>' for place, each in enumerate(colours)
    )
    return Markup(  # noqa: S704 - the colours are escaped, the rest are numbers
        f'<svg class="band" viewBox="0 0 {len(colours)} 1" preserveAspectRatio="none" aria-hidden="true">{parts}</svg>'
    )


@cache  # of the few colours of a night, on each of half a million pages
def swatch(colour: str) -> Markup:
    """A small square in the colour of an option, before its name."""
    return Markup(  # noqa: S704
        '<svg class="swatch" viewBox="0 0 10 10" aria-hidden="true">'
        f'<rect width="10" height="10" rx="2" fill="{escape(colour)}"/></svg>'
    )


@cache
def sample(colour: str, pattern: int) -> Markup:
    """A small square in the colour and with the pattern of a force, as on its maps."""
    return Markup(  # noqa: S704
        f'<svg class="swatch" viewBox="0 0 10 10" aria-hidden="true">{_tile(colour, pattern)}</svg>'
    )


def _tile(colour: str, pattern: int) -> str:
    lines = PATTERNS[pattern % len(PATTERNS)]
    # White lines on a dark colour, dark ones on a light colour: about as bright as an eye sees it.
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    ink = "#fff" if 3 * red + 6 * green + blue < 1400 else "#222"
    drawn = f'<path d="{lines}" fill="none" stroke="{ink}" stroke-width="1.6"/>' if lines else ""
    return f'<rect width="10" height="10" fill="{escape(colour)}"/>{drawn}'


@dataclass(frozen=True, slots=True)
class PlaceOnMap:
    """What a map shows of one place."""

    page: str
    title: str
    colour: str
    """Empty if nobody is ahead."""
    pattern: int
    early: bool
    """Too little is counted there to look like a lead."""


def territory_map(drawn: TerritoryMap, places: Mapping[tuple[int, int], PlaceOnMap]) -> Markup:
    """The map of the places, each in the colour and with the pattern of who is ahead, and with a link to its page."""
    shown = [each for each in drawn.territories if _key(each) in places]
    # The tall ones first: a small one inside a large one stays to be seen.
    shown.sort(key=lambda each: min(y for _, y in each.rings[0]) - max(y for _, y in each.rings[0]))
    looks = _Looks("m", [places[_key(each)] for each in shown], tile=_TILE)
    linked = "".join(
        f'<a href="{escape(place.page)}" tabindex="-1"><title>{escape(place.title)}</title>'
        f'<path d="{"".join(map(_outline, each.rings))}"{looks.of(place)}/></a>'
        for each in shown
        for place in (places[_key(each)],)
    )
    numbers = [(each.id, each.middle, each.height) for each in shown if each.height]
    return looks.drawing((drawn.width, drawn.height), linked, numbers, thick=4)


def square_map(drawn: TerritoryMap, places: Mapping[tuple[int, int], PlaceOnMap]) -> Markup:
    """The same places as equal squares, each near where it lies."""
    columns, rows = drawn.squares
    shown = [(each, each.cell[0] * _SIDE, each.cell[1] * _SIDE) for each in drawn.territories if _key(each) in places]
    looks = _Looks("c", [places[_key(each)] for each, _, _ in shown], tile=_TILE * columns // 14)
    # One shape for all squares that look alike: 600 links more would be 10 kB of the page.
    alike: dict[str, str] = {}
    for each, x, y in shown:
        look = looks.of(places[_key(each)])
        alike[look] = f"{alike.get(look, '')}M{x + 2} {y + 2}h{_SIDE - 4}v{_SIDE - 4}h{4 - _SIDE}z"
    squares = "".join(f'<path d="{path}"{look}/>' for look, path in sorted(alike.items()))
    read = shown if columns <= _READ else []
    numbers = [(each.id, (x + _SIDE // 2, y + _SIDE // 2), 20 if each.id < 1000 else 10) for each, x, y in read]
    return looks.drawing((columns * _SIDE, rows * _SIDE), squares, numbers, thick=2)


def _key(each: DrawnTerritory) -> tuple[int, int]:
    return each.entidad, each.id


class _Looks:
    """The patterns of one drawing, and the drawing itself."""

    def __init__(self, name: str, places: Sequence[PlaceOnMap], *, tile: int) -> None:
        """`name` tells the patterns of two drawings of a page apart; `tile` is how wide they are."""
        used = sorted({(place.colour, place.pattern) for place in places if place.colour})
        self._paint = {look: f"url(#{name}{at})" for at, look in enumerate(used)}
        self._tiles = "".join(
            f'<pattern id="{name}{at}" width="{tile}" height="{tile}" viewBox="0 0 10 10" '
            f'patternUnits="userSpaceOnUse">{_tile(*look)}</pattern>'
            for at, look in enumerate(used)
        )

    def of(self, place: PlaceOnMap) -> str:
        """The attributes of its shape."""
        early = ' class="early"' if place.early else ""
        return f' fill="{self._paint.get((place.colour, place.pattern), NOBODY)}"{early}'

    def drawing(
        self, size: tuple[int, int], shapes: str, numbers: Sequence[tuple[int, tuple[int, int], int]], *, thick: int
    ) -> Markup:
        # Numbers stand on white: no pattern comes between their lines.
        spots = "".join(_spot(*each) for each in numbers)
        lines = "".join(_number(*each) for each in numbers)
        return Markup(  # noqa: S704 - words are escaped, colours are #RRGGBB, the rest are numbers
            f'<svg class="map" viewBox="0 0 {size[0]} {size[1]}" aria-hidden="true"><defs>{self._tiles}</defs>'
            f'<g class="places" stroke-width="{thick // 2}">{shapes}</g><path class="spots" d="{spots}"/>'
            f'<path class="digits" stroke-width="{thick}" d="{lines}"/></svg>'
        )


def _spot(number: int, middle: tuple[int, int], height: int) -> str:
    """A box around a number."""
    wide, high = width_of_number(len(str(number)), height) + height // 2, height * 3 // 2
    return f"M{middle[0] - wide // 2} {middle[1] - high // 2}h{wide}v{high}h{-wide}z"


def _outline(ring: Sequence[tuple[int, int]]) -> str:
    (x, y), *others = ring
    path = f"M{x} {y}l"
    for at, (next_x, next_y) in enumerate(others):
        step = f"{next_x - x} {next_y - y}".replace(" -", "-")
        path += f" {step}" if at and step[0] != "-" else step
        x, y = next_x, next_y
    return f"{path}z"


def _number(number: int, middle: tuple[int, int], height: int) -> str:
    """The digits of a number around its middle, as lines."""
    unit = height // 10
    x = middle[0] - width_of_number(len(str(number)), height) // 2
    y = middle[1] - unit * 5
    path = ""
    for digit in str(number):
        path += f"M{x} {y}{_scaled(_DIGITS[int(digit)], unit)}"
        x += height * 17 // 20
    return path


@cache
def _scaled(lines: str, unit: int) -> str:
    return re.sub(r"\d+", lambda number: str(int(number[0]) * unit), lines)


def stack(parts: Sequence[tuple[str, int]], whole: int) -> Markup:
    """Parts of one whole, side by side; each is a class of the style sheet and its size."""
    at, drawn = 0, []
    for kind, size in parts:
        drawn.append(f'<rect class="{kind}" x="{share(at, whole)}" width="{share(size, whole)}" height="1"/>')
        at += size
    return Markup(  # noqa: S704
        '<svg class="stack" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
        + "".join(drawn)
        + "</svg>"
    )


def lines(series: Sequence[tuple[str, Sequence[int]]], moments: Sequence[int], top: int) -> Markup:
    """Values over time. `moments` are seconds; a series is a class of the style sheet and a value for each moment."""
    first, last = (moments[0], moments[-1]) if moments else (0, 0)
    width = max(1, last - first)
    # A quarter, a half and three quarters of the whole, so that an eye finds them.
    grid = "".join(f'<path class="grid" d="M0 {_HIGH * part // 4}H{_WIDE}"/>' for part in range(5))
    drawn = []
    for kind, values in series:
        path = ""
        for moment, value in zip(moments, values, strict=True):
            x = (moment - first) * _WIDE // width
            y = _HIGH - value * _HIGH // max(1, top)
            path += f"L{x} {y}" if path else f"M{x} {y}"
        drawn.append(f'<path class="{kind}" d="{path}"/>' if path else "")
    return Markup(  # noqa: S704
        f'<svg class="lines" viewBox="0 -4 {_WIDE} {_HIGH + 8}" preserveAspectRatio="none" aria-hidden="true">'
        f"{grid}{''.join(drawn)}</svg>"
    )
