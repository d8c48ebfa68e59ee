"""Text drawn with the one font that Pillow brings. It has no accented letters, so the accents are drawn here."""

import unicodedata
from functools import lru_cache
from typing import Final

from PIL import ImageDraw, ImageFont

Colour = tuple[int, int, int]
_UPPER, _LOWER, _MIDDLE = 0.78, 0.6, 0.36
"""How far an accent stands above the line, and how far a text that is centred on it stands lower; parts of the size."""
_REACH: Final = 0.12
_TILDE, _DIAERESIS = "\u0303", "\u0308"
_OTHERS: Final = str.maketrans(
    {"—": "-", "–": "-", "“": '"', "”": '"', "’": "'", "…": "...", "\u00a0": " ", "¿": "", "¡": ""}
)


def plain(text: str) -> str:
    """The letters of a text that the font has, without their accents."""
    bare = unicodedata.normalize("NFD", text.translate(_OTHERS))
    return "".join(letter for letter in bare if not unicodedata.combining(letter))


def width_of(text: str, size: float, *, bold: float = 0) -> float:
    return _font(size).getlength(plain(text)) + 2 * bold


def write(
    pen: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: float,
    *,
    fill: Colour | int,
    anchor: str = "ls",
    bold: float = 0,
    stroke: int = 1,
) -> None:
    """One line of text of `size` pixels. `bold` is the width of its outline, `stroke` that of an accent."""
    font, bare, (x, y) = _font(size), plain(text), at
    pen.text((x, y), bare, fill=fill, font=font, anchor=anchor, stroke_width=bold, stroke_fill=fill)
    left = x - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * font.getlength(bare)
    lower = size * _MIDDLE if anchor[1] == "m" else 0
    place = -1  # of the letter that a mark belongs to; a mark before any letter belongs to none
    for letter in unicodedata.normalize("NFD", text.translate(_OTHERS)):
        if not unicodedata.combining(letter):
            place += 1
        elif place >= 0:
            middle = left + font.getlength(bare[:place]) + font.getlength(bare[place]) / 2
            height = y - size * (_UPPER if bare[place].isupper() else _LOWER) + lower
            _accent(pen, (middle, height), letter, reach=size * _REACH, fill=fill, stroke=stroke)


def _accent(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], mark: str, *, reach: float, fill: Colour | int, stroke: int
) -> None:
    x, y = at
    if mark == _TILDE:
        turns = enumerate((-1.4, -0.6, 0.6, 1.4))
        wave = [(x + turn * reach, y - 0.7 * reach * (place % 2)) for place, turn in turns]
        pen.line(wave, fill=fill, width=stroke, joint="curve")
    elif mark == _DIAERESIS:
        for side in (-reach, reach):
            dot = 0.4 * reach + stroke / 4
            pen.ellipse((x + side - dot, y - dot - reach / 2, x + side + dot, y + dot - reach / 2), fill=fill)
    else:
        pen.line((x - reach, y, x + reach, y - reach), fill=fill, width=stroke)


@lru_cache(maxsize=64)
def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
