"""Drawings of the pages: inline SVG without text, beside a table that says the same in numbers.

The publisher makes them from integers. They hold no text, no style and no program, so that the strictest policy of a
browser shows them, and no number stands in them that a verifier could not read. Colour never tells anything alone.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

from markupsafe import Markup, escape

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
