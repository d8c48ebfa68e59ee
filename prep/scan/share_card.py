"""The picture of an election that other sites show beside a link to it: who leads, and how much is still missing.

1200 × 630 pixels, as Open Graph readers expect. It is drawn from plain texts; equal texts give equal bytes. It names
the corte and its hour, and says that the results are preliminary: a picture travels alone.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Final

from PIL import Image, ImageColor, ImageDraw

from prep.scan.lettering import Colour, width_of, write

SIZE: Final = (1200, 630)
MOST_LINES: Final = 4
_EDGE: Final = 60
_INK: Final[Colour] = (22, 32, 43)
_SOFT: Final[Colour] = (82, 96, 110)
_REST: Final[Colour] = (226, 232, 238)
_DEEP: Final[Colour] = (14, 47, 80)
_WARN: Final[Colour] = (122, 31, 31)
_WHITE: Final[Colour] = (255, 255, 255)
_GREY: Final = "#73808c"
_SHADES: Final = 16
"""From a letter to its ground."""


@dataclass(frozen=True, slots=True)
class CardLine:
    """One candidacy, or one force with the number of places in which it is ahead."""

    name: str
    said: str
    """At the right of its name: votes and percentage, or places."""
    part: int
    """The length of its bar, in hundredths of a per cent of the whole: from 0 to 10,000."""
    colour: str


@dataclass(frozen=True, slots=True)
class ShareCard:
    """Every text of the picture."""

    brand: str
    title: str
    lead: str
    progress: str
    hour: str
    lines: Sequence[CardLine]
    simulacro: bool = False


def draw_card(card: ShareCard) -> bytes:
    """The picture as a PNG of a few kilobytes."""
    image = Image.new("RGB", SIZE, _WHITE)
    _Sheet(image).fill(card)
    made = io.BytesIO()
    # A palette makes it three times smaller. It is known: to look for the best one takes as long as all the rest.
    flat = image.quantize(palette=_palette(card), dither=Image.Dither.NONE)
    flat.save(made, "PNG", compress_level=4)
    return made.getvalue()


def _palette(card: ShareCard) -> Image.Image:
    """An image with every colour of the card: those of its boxes, and the shades at the edges of its letters."""
    bars = [_colour(line.colour) for line in card.lines[:MOST_LINES]]
    band = _band(card)
    edges = [(_INK, _WHITE), (_SOFT, _WHITE), (_WHITE, band)]
    shades = [_between(one, other, step) for one, other in edges for step in range(_SHADES + 1)]
    ends = [_between(bar, _REST, _SHADES // 2) for bar in bars]
    held = Image.new("P", (1, 1))
    held.putpalette([part for colour in (*bars, _REST, _DEEP, *ends, *shades) for part in colour])
    return held


def _between(one: Colour, other: Colour, step: int) -> Colour:
    red, green, blue = (a + (b - a) * step // _SHADES for a, b in zip(one, other, strict=True))
    return red, green, blue


def _band(card: ShareCard) -> Colour:
    return _WARN if card.simulacro else _DEEP


class _Sheet:
    def __init__(self, image: Image.Image) -> None:
        self._image = image

    def fill(self, card: ShareCard) -> None:
        right = SIZE[0] - _EDGE
        self._box((0, 0, SIZE[0], 14), _DEEP)
        self._text((_EDGE, 66), card.brand, 30, fill=_SOFT, room=right - _EDGE, bold=0.4)
        self._text((_EDGE, 124), card.title, 52, room=right - _EDGE, bold=1)
        self._text((_EDGE, 176), card.lead, 32, room=right - _EDGE, bold=0.4)
        top = 216
        for line in card.lines[:MOST_LINES]:
            said = _width(line.said, 28, 0.4)
            self._text((_EDGE, top + 30), line.name, 30, room=right - _EDGE - said - 30, bold=0.4)
            self._text((right - said, top + 30), line.said, 28, room=said, bold=0.4)
            self._box((_EDGE, top + 42, right, top + 58), _REST)
            if line.part:
                long = (right - _EDGE) * min(line.part, 10_000) / 10_000
                self._box((_EDGE, top + 42, _EDGE + max(2.0, long), top + 58), _colour(line.colour))
            top += 74
        self._text((_EDGE, 544), card.progress, 28, fill=_SOFT, room=right - _EDGE)
        self._box((0, 564, SIZE[0], SIZE[1]), _band(card))
        words = "Simulacro: datos de prueba" if card.simulacro else "Resultados preliminares"
        hour = _width(card.hour, 28)
        self._text((_EDGE, 608), words, 30, fill=_WHITE, room=right - _EDGE - hour - 30, bold=0.6)
        self._text((right - hour, 608), card.hour, 28, fill=_WHITE, room=hour)

    def _box(self, box: tuple[float, float, float, float], colour: Colour) -> None:
        left, top, right, bottom = map(round, box)
        self._image.paste(colour, (left, top, right, bottom))

    def _text(
        self, at: tuple[float, float], text: str, size: float, *, room: float, fill: Colour = _INK, bold: float = 0
    ) -> None:
        """One line, smaller if it does not fit, and cut if it still does not."""
        smallest = size * 0.7
        while size > smallest and _width(text, size, bold) > room + 1:
            size -= 1
        while len(text) > 1 and _width(text, size, bold) > room + 1:
            text = text.removesuffix("...")[:-1].rstrip() + "..."
            if text == "...":
                break
        shape = _shape(text, size, bold)
        self._image.paste(fill, (round(at[0]) - _PAD, round(at[1]) - _base(size)), shape)


_FINE: Final = 2
"""A text is drawn so many times larger and then reduced: letters and accents are smooth."""
_PAD: Final = 4
"""Pixels around a text, for its outline and its accents."""


def _base(size: float) -> int:
    """The line on which the letters stand, below the top of a shape of this size."""
    return ceil(size * 1.2)


@lru_cache(1 << 7)
def _shape(text: str, size: float, bold: float) -> Image.Image:
    """One line of text, white on black. Most texts of a card are those of the corte before; each takes some 40 kB."""
    below = ceil(size * 0.4)
    drawn = Image.new("L", ((ceil(_width(text, size, bold)) + 2 * _PAD) * _FINE, (_base(size) + below) * _FINE))
    here, large = (_PAD * _FINE, _base(size) * _FINE), size * _FINE
    pen = ImageDraw.Draw(drawn)
    write(pen, here, text, large, fill=255, bold=bold * _FINE, stroke=max(1, round(large / 14)))
    return drawn.reduce(_FINE)


def _width(text: str, size: float, bold: float = 0) -> float:
    """As it is drawn: letters of another size are not exactly in proportion."""
    return width_of(text, size * _FINE, bold=bold * _FINE) / _FINE


def _colour(text: str) -> Colour:
    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError:
        red, green, blue = ImageColor.getrgb(_GREY)[:3]
    return red, green, blue
