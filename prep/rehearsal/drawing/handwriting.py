"""The handwriting on an acta: numbers in digits and in letters, scribbles and signatures, by several writers."""

import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from prep.domain.entry import Field, Mark
from prep.rehearsal.drawing.press import ROWS_IN_ONE_COLUMN, Box, FieldPlace, Point, PrintedForm

INKS: Final = ((28, 44, 142), (38, 62, 168), (22, 34, 110), (48, 58, 150))
DIGITS: Final[Mapping[str, tuple[tuple[Sequence[Point], ...], ...]]] = {
    "0": (
        (((0.55, 0.04), (0.2, 0.2), (0.1, 0.6), (0.35, 0.95), (0.75, 0.85), (0.9, 0.4), (0.7, 0.08), (0.5, 0.06)),),
        (((0.7, 0.1), (0.35, 0.05), (0.12, 0.45), (0.3, 0.92), (0.7, 0.92), (0.88, 0.5), (0.65, 0.1), (0.4, 0.12)),),
    ),
    "1": (
        (((0.55, 0.03), (0.52, 0.5), (0.5, 0.97)),),
        (((0.25, 0.3), (0.42, 0.18), (0.58, 0.03)), ((0.58, 0.03), (0.55, 0.5), (0.53, 0.97))),
    ),
    "2": (
        (
            ((0.15, 0.25), (0.45, 0.03), (0.82, 0.2), (0.65, 0.55), (0.12, 0.95)),
            ((0.12, 0.95), (0.5, 0.9), (0.92, 0.94)),
        ),
        (((0.15, 0.22), (0.5, 0.02), (0.8, 0.25), (0.5, 0.65), (0.15, 0.9), (0.25, 0.75), (0.55, 0.9), (0.92, 0.9)),),
    ),
    "3": (
        (
            ((0.18, 0.12), (0.55, 0.02), (0.8, 0.22), (0.42, 0.46)),
            ((0.42, 0.46), (0.86, 0.6), (0.7, 0.92), (0.15, 0.9)),
        ),
        (
            ((0.15, 0.06), (0.85, 0.05)),
            ((0.85, 0.05), (0.42, 0.4)),
            ((0.42, 0.4), (0.88, 0.6), (0.6, 0.95), (0.15, 0.88)),
        ),
    ),
    "4": (
        (((0.3, 0.04), (0.2, 0.35), (0.12, 0.6)), ((0.12, 0.6), (0.9, 0.55)), ((0.68, 0.2), (0.66, 0.6), (0.62, 0.98))),
        (((0.65, 0.03), (0.12, 0.65)), ((0.12, 0.65), (0.92, 0.64)), ((0.65, 0.03), (0.64, 0.5), (0.66, 0.98))),
    ),
    "5": (
        (
            ((0.82, 0.05), (0.28, 0.06)),
            ((0.28, 0.06), (0.22, 0.42)),
            ((0.22, 0.42), (0.7, 0.4), (0.85, 0.68), (0.6, 0.95), (0.14, 0.9)),
        ),
        (
            (
                (0.85, 0.03),
                (0.5, 0.05),
                (0.25, 0.1),
                (0.24, 0.45),
                (0.65, 0.42),
                (0.84, 0.7),
                (0.55, 0.97),
                (0.15, 0.86),
            ),
        ),
    ),
    "6": (
        (((0.7, 0.03), (0.3, 0.3), (0.14, 0.7), (0.45, 0.97), (0.82, 0.75), (0.6, 0.5), (0.2, 0.68)),),
        (((0.6, 0.02), (0.22, 0.45), (0.2, 0.85), (0.6, 0.95), (0.8, 0.7), (0.5, 0.55), (0.22, 0.75)),),
    ),
    "7": (
        (((0.12, 0.08), (0.85, 0.06)), ((0.85, 0.06), (0.55, 0.5), (0.38, 0.98))),
        (((0.12, 0.1), (0.86, 0.05)), ((0.86, 0.05), (0.6, 0.5), (0.4, 0.97)), ((0.32, 0.5), (0.8, 0.46))),
    ),
    "8": (
        (
            (
                (0.72, 0.16),
                (0.4, 0.03),
                (0.25, 0.25),
                (0.7, 0.6),
                (0.72, 0.9),
                (0.3, 0.94),
                (0.25, 0.65),
                (0.7, 0.3),
                (0.7, 0.14),
            ),
        ),
        (
            (
                (0.5, 0.47),
                (0.2, 0.25),
                (0.5, 0.03),
                (0.78, 0.25),
                (0.5, 0.47),
                (0.15, 0.75),
                (0.5, 0.97),
                (0.84, 0.74),
                (0.5, 0.47),
            ),
        ),
    ),
    "9": (
        (
            ((0.78, 0.25), (0.45, 0.04), (0.18, 0.28), (0.45, 0.5), (0.78, 0.25)),
            ((0.78, 0.25), (0.72, 0.6), (0.62, 0.98)),
        ),
        (((0.75, 0.12), (0.35, 0.06), (0.25, 0.4), (0.65, 0.45), (0.78, 0.15), (0.72, 0.6), (0.35, 0.97)),),
    ),
}
"""Digit → the ways of writing it. A way is a list of strokes; a stroke goes through points of a unit square."""
HANDS: Final = 6
"""Number of writers. Each writes every digit in a way of their own, and a little different each time."""
TRIES: Final = 3


class Hand:
    """The handwriting of one officer: ink, shapes of the digits, steadiness."""

    def __init__(self, rng: random.Random, *, scale: float) -> None:
        self.rng = rng
        self.scale = scale
        self.ink = rng.choice(INKS)
        self.who = rng.randrange(HANDS)

    def write(self, sheet: Image.Image, field: Field, place: FieldPlace) -> None:
        match field:
            case Mark.ILEGIBLE:
                self._scribble_over(sheet, place)
            case Mark.SIN_DATO | Mark.NO_EN_BOLETA:
                pass
            case int():
                self._write_digits(sheet, field, place.digits)
                self._write_in_letters(sheet, in_words(field), place.letters)

    def _write_digits(self, sheet: Image.Image, number: int, boxes: Sequence[Box]) -> None:
        """Write a number into its boxes. Officers write 7 as `7`, ` 7` or `007`; a longer number is squeezed in."""
        text = str(number)
        if self.who % 2:
            text = text.zfill(len(boxes))
        spare = max(0, len(boxes) - len(text))
        for place, digit in enumerate(text):
            x0, y0, x1, y1 = boxes[min(spare + place, len(boxes) - 1)]
            mask = _digit_mask(
                digit, self.who, self.rng.randrange(TRIES), round((x1 - x0) * 0.8), round((y1 - y0) * 0.92)
            )
            slack = (x1 - x0) * 0.12
            over = max(0, place - len(boxes) + 1) * (x1 - x0) * 0.7
            x = x0 + slack * (0.4 + self.rng.random()) + over
            y = y0 + (y1 - y0) * self.rng.uniform(-0.03, 0.08)
            sheet.paste(self.ink, (round(x), round(y)), mask)

    def _write_in_letters(self, sheet: Image.Image, text: str, box: Box) -> None:
        x0, y0, x1, y1 = box
        size = min(21.0 * self.scale, (y1 - y0) * 0.66, 2.0 * (x1 - x0) / (len(text) + 3))
        x = x0 + self.rng.uniform(0, 12) * self.scale
        for word in text.split():
            mask = _word_mask(word, round(size, 1), self.who)
            y = (y0 + y1 - mask.height) / 2 + self.rng.uniform(-1.5, 1.5) * self.scale
            sheet.paste(self.ink, (round(x), round(y)), mask)
            x += mask.width - size * self.rng.uniform(0.35, 0.6)

    def _scribble_over(self, sheet: Image.Image, place: FieldPlace) -> None:
        x0, y0, x1, y1 = place.digits[0][0], place.digits[0][1], place.digits[-1][2], place.digits[-1][3]
        if self.rng.random() < 0.7:  # the other officers forget the letters
            self._write_in_letters(sheet, "~~~ ~~~~", place.letters)
        mask = _blot_mask(self.rng.randrange(8), round(x1 - x0), round(y1 - y0))
        sheet.paste(self.ink, (round(x0), round(y0)), mask)

    def sign(self, sheet: Image.Image, form: PrintedForm) -> None:
        """Sign in the table of officers, if the form has one."""
        if len(form.rows) > ROWS_IN_ONE_COLUMN:
            return
        for row in range(6):
            mask = _signature_mask(self.rng.randrange(12), round(84 * self.scale), round(24 * self.scale))
            sheet.paste(
                self.ink,
                (round((1562 + self.rng.randrange(8)) * self.scale), round((148 + row * 28.3) * self.scale)),
                mask,
            )


def _curve_through(points: Sequence[Point], steps: int = 6) -> list[Point]:
    """The points of a Catmull-Rom curve through `points`."""
    padded = [points[0], *points, points[-1]]
    curve = [points[0]]
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(1, steps + 1):
            t = step / steps
            curve.append((_spline_value(a[0], b[0], c[0], d[0], t), _spline_value(a[1], b[1], c[1], d[1], t)))
    return curve


def _spline_value(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)


def _strokes_mask(strokes: Sequence[Sequence[Point]], width: int, height: int, pen: float) -> Image.Image:
    """A mask of `width` × `height` with strokes, whose points are in a unit square. Drawn larger for soft edges."""
    mask = Image.new("L", (width * 4, height * 4))
    ink = ImageDraw.Draw(mask)
    for stroke in strokes:
        line = [((0.08 + 0.84 * x) * width * 4, (0.06 + 0.88 * y) * height * 4) for x, y in _curve_through(stroke)]
        ink.line(line, fill=235, width=max(2, round(pen * 4)), joint="curve")
        for x, y in (line[0], line[-1]):
            ink.ellipse((x - pen * 2, y - pen * 2, x + pen * 2, y + pen * 2), fill=235)
    return mask.reduce(4)


@lru_cache(maxsize=4096)
def _digit_mask(digit: str, who: int, attempt: int, width: int, height: int) -> Image.Image:
    habit = random.Random(f"{who} {digit}")
    shake = random.Random(f"{who} {digit} {attempt}")
    ways = DIGITS[digit]
    strokes = ways[habit.randrange(len(ways))]
    slant = random.Random(who).uniform(-0.05, 0.22)
    wobble = [
        [(x + slant * (0.5 - y) + shake.gauss(0, 0.025), y + shake.gauss(0, 0.025)) for x, y in stroke]
        for stroke in strokes
    ]
    return _strokes_mask(wobble, width, height, pen=height * (0.075 + 0.01 * (who % 3)))


@lru_cache(maxsize=1024)
def _word_mask(word: str, size: float, who: int) -> Image.Image:
    """A word in a slanted, thin hand; `~` stands for a squiggle."""
    if "~" in word:
        shake = random.Random(f"{word} {who}")
        points = [(place / 14, 0.5 + shake.uniform(-0.4, 0.4)) for place in range(15)]
        return _strokes_mask([points], round(size * len(word) * 0.5), round(size), pen=size * 0.07)
    font = ImageFont.load_default(size)
    width, height = round(font.getlength(word) + size), round(size * 1.4)
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).text((size * 0.2, size), word, fill=225, font=font, anchor="ls")
    slant = 0.18 + 0.06 * (who % 4)
    return mask.transform(
        mask.size, Image.Transform.AFFINE, (1, slant, -slant * height * 0.6, 0, 1, 0), Image.Resampling.BILINEAR
    )


@lru_cache(maxsize=64)
def _blot_mask(number: int, width: int, height: int) -> Image.Image:
    shake = random.Random(f"blot {number}")
    strokes = [[(shake.random(), shake.random()) for _ in range(18)] for _ in range(3)]
    return _strokes_mask(strokes, width, height, pen=height * 0.1)


@lru_cache(maxsize=64)
def _signature_mask(number: int, width: int, height: int) -> Image.Image:
    shake = random.Random(f"signature {number}")
    points = [(place / 16 + shake.uniform(-0.06, 0.1), 0.5 + shake.uniform(-0.5, 0.5)) for place in range(16)]
    return _strokes_mask(
        [points, [(0.05, 0.8), (0.95, 0.75 + shake.uniform(-0.2, 0.1))]], width, height, pen=height * 0.05
    )


UNITS: Final = [
    "cero",
    "uno",
    "dos",
    "tres",
    "cuatro",
    "cinco",
    "seis",
    "siete",
    "ocho",
    "nueve",
    "diez",
    "once",
    "doce",
    "trece",
    "catorce",
    "quince",
    "dieciseis",
    "diecisiete",
    "dieciocho",
    "diecinueve",
    "veinte",
    "veintiuno",
    "veintidos",
    "veintitres",
    "veinticuatro",
    "veinticinco",
    "veintiseis",
    "veintisiete",
    "veintiocho",
    "veintinueve",
]
TENS: Final = ["-", "-", "-", "treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa"]
HUNDREDS: Final = [
    "-",
    "ciento",
    "doscientos",
    "trescientos",
    "cuatrocientos",
    "quinientos",
    "seiscientos",
    "setecientos",
    "ochocientos",
    "novecientos",
]


def in_words(number: int) -> str:
    """A number as officers write it in letters, without accents."""
    if number < 30:
        return UNITS[number]
    if number < 100:
        tens, units = divmod(number, 10)
        return TENS[tens] + (f" y {UNITS[units]}" if units else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return "cien" if number == 100 else HUNDREDS[hundreds] + (f" {in_words(rest)}" if rest else "")
    thousands, rest = divmod(number, 1000)
    return ("mil" if thousands == 1 else f"{in_words(thousands)} mil") + (f" {in_words(rest)}" if rest else "")
