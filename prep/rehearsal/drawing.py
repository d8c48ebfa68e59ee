"""Draws an acta as somebody photographed it: the printed form after the real one, filled in by hand, then the camera.

The form is INE's of 2024 in spirit (`domain.md` §7): landscape 43 × 28 cm, a black square in each corner, a ring and a
dot at the ends of each row, digit boxes in drop-out pink, blue ink, and a box for the QR sticker. `draw` gives the same
bytes for the same arguments and the same state of `rng`. What is slow — the blank form, the shapes of handwritten
digits and words — is made once for each process and pasted afterwards.

Lengths below are those of a form 1700 units wide and 1108 high; `size` scales them.
"""

import io
import math
import random
import unicodedata
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import segno
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from prep.domain.entry import Field, Mark

WIDTH: Final = 1700
HEIGHT: Final = 1108
SIZE: Final = (WIDTH, HEIGHT)

Colour = tuple[int, int, int]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

BLACK: Final = (32, 30, 31)
BROWN: Final = (112, 90, 72)
SAND: Final = (222, 216, 208)
MAGENTA: Final = (230, 0, 126)
PINK: Final = (240, 150, 198)
GREY: Final = (185, 185, 185)
WHITE: Final = (255, 255, 255)
INKS: Final = ((28, 44, 142), (38, 62, 168), (22, 34, 110), (48, 58, 150))
SECTIONS: Final = ((40, 50, 130), (243, 146, 0), (110, 30, 130), (90, 40, 150))
PARTIES: Final[Mapping[str, Colour]] = {
    "PAN": (0, 90, 170),
    "PRI": (0, 140, 70),
    "PRD": (250, 190, 0),
    "PVEM": (90, 180, 50),
    "PT": (220, 30, 40),
    "MC": (240, 130, 30),
    "MORENA": (150, 30, 50),
    "PNA": (0, 160, 170),
}

QR_BOX: Final = (350, 24, 550, 130)
BARS_END: Final = 282
QR_SIDE: Final = 100
"""Sticker and quiet zone, 2.5 cm on paper."""
ROWS_IN_ONE_COLUMN: Final = 24
"""A longer ballot goes on in the right third of the form."""


@dataclass(frozen=True, slots=True)
class PrintedForm:
    """A printed form: its titles, and the codes of its quantities in the order they stand on it."""

    title: str
    contest: str
    header: tuple[str, ...]
    """Boletas sobrantes, personas, representantes, votos sacados."""
    rows: tuple[str, ...]
    total: str
    digits: int = 3


@dataclass(frozen=True, slots=True)
class Condition:
    """How an acta was photographed. Every field is the worst that may happen; each image draws its own share of it."""

    name: str
    rotation: float = 0.0
    """Degrees."""
    perspective: float = 0.0
    """How far a corner may move, as a share of the side."""
    blur: float = 0.0
    """Radius in pixels of the final image."""
    noise: float = 0.0
    """Amplitude, of 255."""
    shadow: float = 0.0
    """How much light a shadow may take away, 0 to 1."""
    glare: float = 0.0
    light: float = 1.0
    """Of the lamp: below 1, dark."""
    contrast: float = 1.0
    quality: int = 82
    """JPEG."""


CLEAN: Final = Condition("limpia")

CONDITIONS: Final[Mapping[str, Condition]] = {
    condition.name: condition
    for condition in (
        CLEAN,
        Condition("girada", rotation=5, perspective=0.02, shadow=0.2),
        Condition("borrosa", rotation=1, blur=1.0, noise=8, quality=70),
        Condition("oscura", rotation=1, light=0.42, contrast=0.8, noise=10, shadow=0.35, quality=72),
    )
}
"""What arrives on a night."""

LEVELS: Final[Mapping[str, Condition]] = {
    condition.name: condition
    for condition in (
        Condition("leve", rotation=3, perspective=0.02, blur=0.4, noise=4, shadow=0.15, quality=85),
        Condition("medio", rotation=8, perspective=0.05, blur=0.9, noise=12, shadow=0.35, light=0.8, quality=70),
        Condition(
            "fuerte", rotation=12, perspective=0.06, blur=1.1, noise=18, shadow=0.5, glare=0.4, light=0.65, quality=62
        ),
        Condition(
            "extremo", rotation=14, perspective=0.06, blur=1.1, noise=22, shadow=0.55, glare=0.5, light=0.55, quality=56
        ),
    )
}
"""Photographs to measure a decoder with, from good to hardly legible."""


def draw(
    form: PrintedForm,
    values: Mapping[str, Field],
    qr_text: str | None,
    *,
    rng: random.Random,
    condition: Condition = CLEAN,
    size: tuple[int, int] = SIZE,
) -> bytes:
    """A JPEG of `form` with `values` written on it, by field code; a code without a value stays blank, as *sin dato*.

    *Ilegible* is a scribble over the boxes. `qr_text` None is an acta whose sticker was never put on.
    """
    blank, places = _template(form, size)
    sheet = blank.copy()
    hand = Hand(rng, scale=size[0] / WIDTH)
    for code, place in places.items():
        hand.write(sheet, _people(form, values) if code == PEOPLE else values.get(code, Mark.SIN_DATO), place)
    hand.sign(sheet, form)
    if qr_text is not None:
        _stick(sheet, qr_text, rng, size[0] / WIDTH)
    return _photograph(sheet, condition, rng)


PEOPLE: Final = ""
"""The place of section 5, which the form has and nobody captures."""


def _people(form: PrintedForm, values: Mapping[str, Field]) -> Field:
    """Section 5, personas and representantes together, as an officer adds them up."""
    parts = [values.get(code, Mark.SIN_DATO) for code in form.header[1:3]]
    return (
        sum(part for part in parts if not isinstance(part, Mark))
        if parts and Mark.SIN_DATO not in parts
        else Mark.SIN_DATO
    )


# The printed form.


@dataclass(frozen=True, slots=True)
class FieldPlace:
    """Where one quantity is written: in letters, and one digit in each box. In pixels."""

    letters: Box
    digits: tuple[Box, ...]


@lru_cache(maxsize=48)
def _template(form: PrintedForm, size: tuple[int, int]) -> tuple[Image.Image, Mapping[str, FieldPlace]]:
    """The blank form and where its quantities go. Drawn at twice the size, so that its lines are smooth."""
    press = Press(size, 2 * size[0] / WIDTH)
    press.frame(form)
    places = dict(press.sections(form)) | press.ballot(form)
    if len(form.rows) <= ROWS_IN_ONE_COLUMN:
        press.officers()
    return press.image.reduce(2), places


class Press:
    """Prints in form units on an image twice as large as the form will be."""

    def __init__(self, size: tuple[int, int], scale: float) -> None:
        self.scale = scale
        self.image = Image.new("RGB", (2 * size[0], 2 * size[1]), WHITE)
        self.pen = ImageDraw.Draw(self.image)

    def _at(self, values: Sequence[float]) -> list[float]:
        return [value * self.scale for value in values]

    def box(self, box: Box, *, fill: Colour | None = None, outline: Colour | None = BLACK, width: float = 1.2) -> None:
        self.pen.rectangle(self._at(box), fill=fill, outline=outline, width=max(1, round(width * self.scale)))

    def line(self, points: Sequence[float], colour: Colour = BLACK, width: float = 1.2) -> None:
        self.pen.line(self._at(points), fill=colour, width=max(1, round(width * self.scale)))

    def text(
        self, at: Point, text: str, size: float, *, fill: Colour = BLACK, anchor: str = "ls", bold: float = 0
    ) -> None:
        """One line of text. Pillow's own font has no accented letters, so accents are drawn."""
        font = ImageFont.load_default(size * self.scale)
        plain = "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))
        x, y = at[0] * self.scale, at[1] * self.scale
        self.pen.text(
            (x, y), plain, fill=fill, font=font, anchor=anchor, stroke_width=bold * self.scale, stroke_fill=fill
        )
        left = x - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * font.getlength(plain)
        for place, letter in enumerate(unicodedata.normalize("NFC", text)):
            if unicodedata.combining(unicodedata.normalize("NFD", letter)[-1]):
                middle = left + font.getlength(plain[:place]) + font.getlength(plain[place]) / 2
                rise = size * self.scale * (0.78 if letter.isupper() else 0.6) - (
                    size * self.scale * 0.36 if anchor[1] == "m" else 0
                )
                reach = size * self.scale * 0.12
                self.pen.line(
                    (middle - reach, y - rise, middle + reach, y - rise - reach),
                    fill=fill,
                    width=round(self.scale * 1.2),
                )

    def ends(self, x0: float, x1: float, y: float) -> None:
        """A ring at the left end of a row's line and a dot at its right end."""
        for x, radius, colour in ((x0, 6.5, BLACK), (x0, 2.2, WHITE), (x1, 5, BLACK)):
            self.pen.ellipse(self._at((x - radius, y - radius, x + radius, y + radius)), fill=colour)

    def boxes(self, right: float, top: float, bottom: float, digits: int) -> tuple[Box, ...]:
        """Dotted digit boxes that end at `right`; returned in pixels of the form, left to right."""
        height = bottom - top
        width, gap = min(24.0, height * 0.95), 5.0
        found = []
        for place in range(digits):
            left = right - (digits - place) * (width + gap)
            self._dotted((left, top, left + width, bottom))
            found.append(_half(self._at((left, top, left + width, bottom))))
        return tuple(found)

    def _dotted(self, box: Box) -> None:
        x0, y0, x1, y1 = box
        step, dash = 3.2, 1.8
        for place in range(int((x1 - x0) / step) + 1):
            x = min(x0 + place * step, x1 - dash)
            self.line((x, y0, x + dash, y0), PINK)
            self.line((x, y1, x + dash, y1), PINK)
        for place in range(int((y1 - y0) / step) + 1):
            y = min(y0 + place * step, y1 - dash)
            self.line((x0, y, x0, y + dash), PINK)
            self.line((x1, y, x1, y + dash), PINK)

    def heading(self, at: Point, number: int, title: str, colour: Colour) -> None:
        x, y = at
        self.pen.rounded_rectangle(self._at((x, y, x + 34, y + 19)), radius=4 * self.scale, fill=colour)
        self.pen.ellipse(self._at((x + 2, y + 2, x + 17, y + 17)), fill=WHITE)
        self.text((x + 9.5, y + 14), str(number), 12, fill=colour, anchor="ms", bold=0.3)
        self.text((x + 41, y + 16), title, 15, fill=colour, bold=0.35)

    def frame(self, form: PrintedForm) -> None:
        """Corner squares, title, sticker box, legend and foot: what is the same on every part of the form."""
        for x in (20, 1640):
            for y in (24, 1034):
                self.box((x, y, x + 38, y + 38), fill=BLACK)
        self.box((94, 28, 330, 66))
        self.box(QR_BOX)
        for y, text in ((68, "Pegue aquí la etiqueta"), (86, "con el código QR")):
            self.text((450, y), text, 13, fill=GREY, anchor="ms")
        bars = random.Random(form.title)  # a barcode that nobody reads
        left = 97.0
        while left < BARS_END:  # the right edge of the box
            wide = bars.choice((1.2, 1.2, 2.4, 3.6))
            self.box((left, 78, left + wide, 118), fill=BLACK, outline=None)
            left += wide + bars.choice((1.2, 2.4))
        self.pen.ellipse(self._at((40, 76, 88, 124)), fill=BROWN)
        self.text((64, 110), "2", 34, fill=WHITE, anchor="ms", bold=0.8)
        self.box((38, 136, 138, 196), fill=SAND, outline=None)
        self.box((138, 136, 550, 196), fill=BROWN, outline=None)
        self.text((88, 171), "INSTITUTO ELECTORAL", 8, anchor="ms", bold=0.2)
        self.text((344, 156), "ACTA DE ESCRUTINIO Y CÓMPUTO DE CASILLA", 14, fill=WHITE, anchor="ms", bold=0.2)
        self.text((344, 173), _short(form.title.upper(), 50), 12, fill=WHITE, anchor="ms", bold=0.4)
        self.text((344, 189), _short(form.contest.upper(), 50), 11, fill=WHITE, anchor="ms")
        for place in range(4):
            self.text((40, 212 + 12 * place), LEGEND[place], 8.6, bold=0.15)
        self.text(
            (40, 268),
            "Al concluir el llenado de la Hoja para hacer operaciones, inicie el llenado del",
            12,
            fill=MAGENTA,
        )
        self.text(
            (40, 284), "acta utilizando un bolígrafo de tinta azul. Asegúrese de que sea legible.", 12, fill=MAGENTA
        )
        for x in (560, 1118):
            self.line((x, 28, x, 1046), MAGENTA, 1.6)
        self.text((82, 1070), "DESTINO:", 24, fill=MAGENTA, bold=0.6)
        self.text(
            (206, 1070), _short(f"BOLSA PREP DE LA ELECCIÓN DE {form.title.upper()}", 76), 23, fill=BROWN, bold=1.0
        )

    def sections(self, form: PrintedForm) -> Iterator[tuple[str, FieldPlace]]:
        """Identification of the casilla, and the quantities that stand outside the ballot."""
        self.heading((40, 298), 1, "DATOS DE IDENTIFICACIÓN DE CASILLA", MAGENTA)
        for y, label in ((345, "Entidad:"), (380, "Municipio:"), (418, "Sección:"), (458, "La casilla se instaló en:")):
            self.text((40, y), label, 12, bold=0.2)
            self.line((46 + 7 * len(label), y + 2, 548, y + 2))
        for place, code in enumerate((*form.header[:3], PEOPLE)):
            top = 490 + place * 132
            self.heading((40, top), place + 2, QUANTITIES[place], SECTIONS[place])
            self.text((42, top + 38), "Copie de la Hoja para hacer operaciones la cantidad que corresponde", 11)
            self.text((42, top + 52), f"al apartado {place + 2} y escríbala con letra y con número.", 11)
            yield code, self._quantity((48, top + 70, 546, top + 106), form.digits)
        for code in form.header[3:]:
            self.heading((572, 926), 7, "TOTAL DE VOTOS SACADOS DE LAS URNAS", SECTIONS[3])
            yield code, self._quantity((576, 962, 1104, 998), form.digits)
        self.text((574, 1028), "Son iguales las cantidades anotadas en los apartados 5 y 7?", 11)
        for x, answer in ((940, "Sí"), (978, "No")):
            self.box((x, 1010, x + 28, 1034), outline=MAGENTA)
            self.text((x + 14, 1027), answer, 12, anchor="ms", bold=0.3)

    def _quantity(self, box: Box, digits: int) -> FieldPlace:
        x0, y0, x1, y1 = box
        for y in (y0, y1):
            self.line((x0, y, x1, y), BLACK if y == y1 else PINK)
            self.ends(x0, x1, y)
        found = self.boxes(x1 - 4, y0 + 5, y1 - 5, digits)
        left = x1 - 4 - digits * 29
        self.text(((x0 + left) / 2, y1 + 12), "(Con letra)", 9, anchor="ms")
        self.text(((left + x1) / 2, y1 + 12), "(Con número)", 9, anchor="ms")
        return FieldPlace(_half(self._at((x0 + 14, y0 + 4, left - 8, y1 - 4))), found)

    def ballot(self, form: PrintedForm) -> dict[str, FieldPlace]:
        """The rows of the ballot and the total: in the middle third, and going on in the right one where they are
        many.
        """
        rows = (*form.rows, form.total)
        first = len(rows) if len(form.rows) <= ROWS_IN_ONE_COLUMN else -(-len(rows) // 2)
        self.heading((572, 28), 6, "RESULTADOS DE LA VOTACIÓN", BROWN)
        self.text(
            (572, 68), "Copie del apartado 6 de la Hoja para hacer operaciones los votos para partidos", 12, bold=0.1
        )
        self.text(
            (572, 84), "políticos, coaliciones, no registradas, nulos y total. Si no hubo, escriba ceros.", 12, bold=0.1
        )
        return self._table(form, rows[:first], 574) | self._table(form, rows[first:], 1132)

    def _table(self, form: PrintedForm, rows: Sequence[str], left: float) -> dict[str, FieldPlace]:
        if not rows:
            return {}
        right, top, bottom = left + 530, 138.0, 912.0
        height = min(37.0, (bottom - top) / len(rows))
        label, number = left + 98, right - 8 - form.digits * 29
        self.box((left, 100, right, top), fill=BROWN)
        self.text((left + 49, 116), "PARTIDO O", 10, fill=WHITE, anchor="ms", bold=0.2)
        self.text((left + 49, 130), "COALICIÓN", 10, fill=WHITE, anchor="ms", bold=0.2)
        self.text(((label + number) / 2, 118), "RESULTADOS DE LA VOTACIÓN", 12, fill=WHITE, anchor="ms", bold=0.3)
        self.text(((label + number) / 2, 132), "(Con letra)", 9, fill=WHITE, anchor="ms")
        self.text(((number + right) / 2, 124), "(Con número)", 9, fill=WHITE, anchor="ms")
        places = {}
        for place, code in enumerate(rows):
            y = top + place * height
            if code == form.total:
                self.box((left, y, label, y + height), fill=MAGENTA)
            self._label(code, (left, y, label, y + height), total=code == form.total)
            self.line((left, y + height, right, y + height))
            margin = height * 0.13
            boxes = self.boxes(right - 4, y + margin, y + height - margin, form.digits)
            places[code] = FieldPlace(_half(self._at((label + 14, y + 3, number - 8, y + height - 3))), boxes)
        end = top + len(rows) * height
        for x in (left, label, number, right):
            self.line((x, top, x, end))
        for place in range(len(rows) + 1):
            self.ends(label, right, top + place * height)
        return places

    def _label(self, code: str, box: Box, *, total: bool) -> None:
        """A row's emblems, one for each party of a combination, or its words."""
        x0, y0, x1, y1 = box
        middle = (y0 + y1) / 2
        words = {"NO_REGISTRADAS": "NO REGISTRADAS", "NULOS": "VOTOS NULOS"}.get(code)
        if total or words or code.startswith("CAND_IND"):
            text = "TOTAL" if total else words or code.replace("CAND_IND", "INDEPENDIENTE").replace("_", " ")
            size = 15 if total else 9
            self.text(((x0 + x1) / 2, middle), text, size, fill=WHITE if total else BLACK, anchor="mm", bold=0.3)
            return
        parties = [part for part in code.replace("-", "_").split("_") if part and part != "C"][:5]
        if len(parties) > 1:
            self.box((x0, y0, x0 + 9, y1), fill=MAGENTA, outline=None)
        side = min(26.0, (y1 - y0) * 0.74)
        width = min(side * 1.3, 82 / len(parties))
        left = (x0 + x1) / 2 - width * len(parties) / 2 + (4 if len(parties) > 1 else 0)
        for place, party in enumerate(parties):
            x = left + place * width
            chip = self._at((x + 1, middle - side / 2, x + width - 1, middle + side / 2))
            self.pen.rounded_rectangle(chip, radius=4 * self.scale, fill=_emblem(party))
            text, high = _short(party, 8), min(10.0, 1.5 * (width - 3) / min(len(party), 8))
            self.text((x + width / 2, middle), text, high, fill=WHITE, anchor="mm", bold=0.15)

    def officers(self) -> None:
        """The right third: officers, party representatives, and what to do with the copies."""
        self.heading((1132, 28), 10, "INCIDENTES DURANTE EL ESCRUTINIO Y CÓMPUTO", MAGENTA)
        self.heading((1132, 100), 11, "FUNCIONARIOS DE MESA DIRECTIVA DE CASILLA", MAGENTA)
        self._grid((1132, 146, 1662, 316), (("CARGO", 100), ("NOMBRES", 320), ("FIRMAS", 110)), 6, OFFICERS)
        self.heading((1132, 326), 12, "REPRESENTACIONES PARTIDISTAS", MAGENTA)
        self._grid((1132, 380, 1662, 820), (("PARTIDO", 80), ("NOMBRE COMPLETO", 280), ("FIRMA", 170)), 14, ())
        self.heading((1132, 832), 13, "ESCRITOS DE PROTESTA O INCIDENTES", MAGENTA)
        self.heading((1132, 912), 14, "INTEGRACIÓN DEL EXPEDIENTE", MAGENTA)
        for place, text in enumerate(
            ("Guarde el original en el sobre de expediente.", "Guarde la primera copia en la Bolsa PREP.")
        ):
            self.text((1140, 956 + 18 * place), f"{place + 1}. {text}", 12, bold=0.1)

    def _grid(self, box: Box, columns: Sequence[tuple[str, float]], rows: int, labels: Sequence[str]) -> None:
        x0, y0, x1, y1 = box
        self.box((x0, y0 - 26, x1, y0), fill=BROWN)
        step = (y1 - y0) / rows
        for row in range(rows + 1):
            self.line((x0, y0 + row * step, x1, y0 + row * step))
        for row, text in enumerate(labels):
            self.text((x0 + 4, y0 + (row + 0.65) * step), text, 10, bold=0.15)
        left = x0
        for title, width in columns:
            self.line((left, y0, left, y1))
            self.text((left + width / 2, y0 - 8), title, 11, fill=WHITE, anchor="ms", bold=0.3)
            left += width
        self.line((x1, y0, x1, y1))


QUANTITIES: Final = (
    "BOLETAS SOBRANTES",
    "PERSONAS QUE VOTARON",
    "REPRESENTACIONES QUE VOTARON",
    "TOTAL DE PERSONAS Y REPRESENTACIONES",
)
LEGEND: Final = (
    "SE LEVANTA LA PRESENTE ACTA CON FUNDAMENTO EN LOS ARTÍCULOS DE LA LEY GENERAL DE",
    "INSTITUCIONES Y PROCEDIMIENTOS ELECTORALES QUE NORMAN EL ESCRUTINIO Y EL CÓMPUTO DE",
    "LA VOTACIÓN EN LA CASILLA, Y EN EL ANEXO DEL REGLAMENTO DE ELECCIONES QUE FIJA LOS",
    "DOCUMENTOS ELECTORALES. FORMATO DIBUJADO PARA PRUEBAS: SIN VALIDEZ OFICIAL.",
)
OFFICERS: Final = (
    "PRESIDENTE/A",
    "1er. SECRETARIO/A",
    "2do. SECRETARIO/A",
    "1er. ESCRUTADOR/A",
    "2do. ESCRUTADOR/A",
    "3er. ESCRUTADOR/A",
)


def _half(box: Sequence[float]) -> Box:
    x0, y0, x1, y1 = box
    return x0 / 2, y0 / 2, x1 / 2, y1 / 2


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}."


def _emblem(party: str) -> Colour:
    """A party's colour: its own where it is known, else always the same one for the same code."""
    known = PARTIES.get(party.upper())
    seed = zlib.crc32(party.encode())
    return known or (40 + seed % 150, 40 + (seed >> 8) % 130, 40 + (seed >> 16) % 150)


# The hand that fills it in.

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
"""For each digit its ways of being written, each a list of strokes through the given points of a unit square."""
HANDS: Final = 6
"""Different writers; each writes every digit in its own way, and never twice quite the same."""
TRIES: Final = 3


class Hand:
    """One officer's handwriting: ink, way of forming digits, steadiness."""

    def __init__(self, rng: random.Random, *, scale: float) -> None:
        self.rng = rng
        self.scale = scale
        self.ink = rng.choice(INKS)
        self.who = rng.randrange(HANDS)

    def write(self, sheet: Image.Image, field: Field, place: FieldPlace) -> None:
        match field:
            case Mark.ILEGIBLE:
                self._scribble(sheet, place)
            case Mark.SIN_DATO | Mark.NO_EN_BOLETA:
                pass
            case int():
                self._number(sheet, field, place.digits)
                self._words(sheet, in_words(field), place.letters)

    def _number(self, sheet: Image.Image, number: int, boxes: Sequence[Box]) -> None:
        """Officers write 7 as `7`, ` 7` or `007`; a number longer than the boxes is squeezed into them."""
        text = str(number)
        if self.who % 2:
            text = text.zfill(len(boxes))
        spare = max(0, len(boxes) - len(text))
        for place, digit in enumerate(text):
            x0, y0, x1, y1 = boxes[min(spare + place, len(boxes) - 1)]
            mask = _digit(digit, self.who, self.rng.randrange(TRIES), round((x1 - x0) * 0.8), round((y1 - y0) * 0.92))
            slack = (x1 - x0) * 0.12
            over = max(0, place - len(boxes) + 1) * (x1 - x0) * 0.7
            x = x0 + slack * (0.4 + self.rng.random()) + over
            y = y0 + (y1 - y0) * self.rng.uniform(-0.03, 0.08)
            sheet.paste(self.ink, (round(x), round(y)), mask)

    def _words(self, sheet: Image.Image, text: str, box: Box) -> None:
        x0, y0, x1, y1 = box
        size = min(21.0 * self.scale, (y1 - y0) * 0.66, 2.0 * (x1 - x0) / (len(text) + 3))
        x = x0 + self.rng.uniform(0, 12) * self.scale
        for word in text.split():
            mask = _word(word, round(size, 1), self.who)
            y = (y0 + y1 - mask.height) / 2 + self.rng.uniform(-1.5, 1.5) * self.scale
            sheet.paste(self.ink, (round(x), round(y)), mask)
            x += mask.width - size * self.rng.uniform(0.35, 0.6)

    def _scribble(self, sheet: Image.Image, place: FieldPlace) -> None:
        x0, y0, x1, y1 = place.digits[0][0], place.digits[0][1], place.digits[-1][2], place.digits[-1][3]
        if self.rng.random() < 0.7:  # the rest forgot to write letters too
            self._words(sheet, "~~~ ~~~~", place.letters)
        mask = _blot(self.rng.randrange(8), round(x1 - x0), round(y1 - y0))
        sheet.paste(self.ink, (round(x0), round(y0)), mask)

    def sign(self, sheet: Image.Image, form: PrintedForm) -> None:
        """Signatures of officers, where the form has its table of them."""
        if len(form.rows) > ROWS_IN_ONE_COLUMN:
            return
        for row in range(6):
            mask = _signature(self.rng.randrange(12), round(84 * self.scale), round(24 * self.scale))
            sheet.paste(
                self.ink,
                (round((1562 + self.rng.randrange(8)) * self.scale), round((148 + row * 28.3) * self.scale)),
                mask,
            )


def _curve(points: Sequence[Point], steps: int = 6) -> list[Point]:
    """A Catmull-Rom curve through `points`."""
    padded = [points[0], *points, points[-1]]
    curve = [points[0]]
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(1, steps + 1):
            t = step / steps
            curve.append((_spline(a[0], b[0], c[0], d[0], t), _spline(a[1], b[1], c[1], d[1], t)))
    return curve


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)


def _strokes(strokes: Sequence[Sequence[Point]], width: int, height: int, pen: float) -> Image.Image:
    """Strokes given in a unit square as a mask of `width` × `height`, drawn larger so that their edges are soft."""
    mask = Image.new("L", (width * 4, height * 4))
    ink = ImageDraw.Draw(mask)
    for stroke in strokes:
        line = [((0.08 + 0.84 * x) * width * 4, (0.06 + 0.88 * y) * height * 4) for x, y in _curve(stroke)]
        ink.line(line, fill=235, width=max(2, round(pen * 4)), joint="curve")
        for x, y in (line[0], line[-1]):
            ink.ellipse((x - pen * 2, y - pen * 2, x + pen * 2, y + pen * 2), fill=235)
    return mask.reduce(4)


@lru_cache(maxsize=4096)
def _digit(digit: str, who: int, attempt: int, width: int, height: int) -> Image.Image:
    habit = random.Random(f"{who} {digit}")
    shake = random.Random(f"{who} {digit} {attempt}")
    ways = DIGITS[digit]
    strokes = ways[habit.randrange(len(ways))]
    slant = random.Random(who).uniform(-0.05, 0.22)
    wobble = [
        [(x + slant * (0.5 - y) + shake.gauss(0, 0.025), y + shake.gauss(0, 0.025)) for x, y in stroke]
        for stroke in strokes
    ]
    return _strokes(wobble, width, height, pen=height * (0.075 + 0.01 * (who % 3)))


@lru_cache(maxsize=1024)
def _word(word: str, size: float, who: int) -> Image.Image:
    """A word in a slanted, thin hand; `~` stands for a squiggle."""
    if "~" in word:
        shake = random.Random(f"{word} {who}")
        points = [(place / 14, 0.5 + shake.uniform(-0.4, 0.4)) for place in range(15)]
        return _strokes([points], round(size * len(word) * 0.5), round(size), pen=size * 0.07)
    font = ImageFont.load_default(size)
    width, height = round(font.getlength(word) + size), round(size * 1.4)
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).text((size * 0.2, size), word, fill=225, font=font, anchor="ls")
    slant = 0.18 + 0.06 * (who % 4)
    return mask.transform(
        mask.size, Image.Transform.AFFINE, (1, slant, -slant * height * 0.6, 0, 1, 0), Image.Resampling.BILINEAR
    )


@lru_cache(maxsize=64)
def _blot(number: int, width: int, height: int) -> Image.Image:
    shake = random.Random(f"blot {number}")
    strokes = [[(shake.random(), shake.random()) for _ in range(18)] for _ in range(3)]
    return _strokes(strokes, width, height, pen=height * 0.1)


@lru_cache(maxsize=64)
def _signature(number: int, width: int, height: int) -> Image.Image:
    shake = random.Random(f"signature {number}")
    points = [(place / 16 + shake.uniform(-0.06, 0.1), 0.5 + shake.uniform(-0.5, 0.5)) for place in range(16)]
    return _strokes([points, [(0.05, 0.8), (0.95, 0.75 + shake.uniform(-0.2, 0.1))]], width, height, pen=height * 0.05)


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


def _stick(sheet: Image.Image, text: str, rng: random.Random, scale: float) -> None:
    """The QR sticker, put on by hand: not quite straight nor in the middle of its box."""
    sticker = _sticker(text, round(QR_SIDE * scale))
    turned = sticker.rotate(rng.uniform(-3, 3), Image.Resampling.BICUBIC, expand=True, fillcolor=(252, 252, 250))
    x0, y0, x1, y1 = QR_BOX
    x = (x0 + x1) / 2 * scale - turned.width / 2 + rng.uniform(-34, 34) * scale
    y = (y0 + y1) / 2 * scale - turned.height / 2 + rng.uniform(-6, 6) * scale
    sheet.paste(turned, (round(x), round(y)))


def _sticker(text: str, side: int) -> Image.Image:
    """A white label with its QR code, medium error correction, `side` pixels in each direction."""
    matrix = segno.make(text, error="m", micro=False, boost_error=False).matrix
    modules = len(matrix)
    dark = Image.frombytes("L", (modules, modules), bytes(30 if dot else 252 for row in matrix for dot in row))
    whole = Image.new("L", (modules + 6, modules + 6), 252)
    whole.paste(dark, (3, 3))
    zoom = -(-side // (modules + 6)) + 1
    large = whole.resize((whole.width * zoom, whole.height * zoom), Image.Resampling.NEAREST)
    return large.resize((side, side), Image.Resampling.BOX).convert("RGB")


# The camera.


def _photograph(sheet: Image.Image, condition: Condition, rng: random.Random) -> bytes:
    """What the camera makes of the sheet, as a JPEG. Geometry, then light, then lens and sensor."""
    image = sheet
    if condition.rotation or condition.perspective:
        image = _tilt(image, condition, rng)
    if condition.shadow:
        image = ImageChops.multiply(image, _shade(image.size, condition.shadow, rng))
    if condition.glare:
        image = ImageChops.screen(image, _glare(image.size, condition.glare, rng))
    if condition.light != 1:
        image = ImageEnhance.Brightness(image).enhance(rng.uniform(condition.light, (1 + condition.light) / 2))
    if condition.contrast != 1:
        image = ImageEnhance.Contrast(image).enhance(rng.uniform(condition.contrast, 1))
    if condition.blur:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1) * condition.blur))
    if condition.noise:
        image = _grain(image, condition.noise * rng.uniform(0.5, 1), rng)
    saved = io.BytesIO()
    image.save(saved, "JPEG", quality=condition.quality)
    return saved.getvalue()


def _tilt(sheet: Image.Image, condition: Condition, rng: random.Random) -> Image.Image:
    """Turned and seen at an angle, on a table."""
    width, height = sheet.size
    angle = math.radians(rng.uniform(-condition.rotation, condition.rotation))
    fit = 1 / (abs(math.cos(angle)) + abs(math.sin(angle)) * width / height)
    seen = []
    for x, y in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)):
        dx, dy = x * width * fit, y * height * fit
        px = (
            width / 2
            + dx * math.cos(angle)
            - dy * math.sin(angle)
            - math.copysign(width, x) * rng.uniform(0, condition.perspective)
        )
        py = (
            height / 2
            + dx * math.sin(angle)
            + dy * math.cos(angle)
            - math.copysign(height, y) * rng.uniform(0, condition.perspective)
        )
        seen.append((px, py))
    corners = ((0, 0), (sheet.width, 0), (sheet.width, sheet.height), (0, sheet.height))
    table = rng.choice(((150, 130, 108), (90, 86, 84), (196, 190, 180)))
    return sheet.transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        _homography(seen, corners),
        Image.Resampling.BILINEAR,
        fillcolor=table,
    )


def _homography(seen: Sequence[Point], sheet: Sequence[Point]) -> list[float]:
    """The eight numbers that take a pixel of the photograph to a point of the sheet, from four pairs of corners."""
    rows = []
    for (x, y), (u, v) in zip(seen, sheet, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    for pivot in range(8):
        best = max(range(pivot, 8), key=lambda row: abs(rows[row][pivot]))
        rows[pivot], rows[best] = rows[best], rows[pivot]
        rows[pivot] = [value / rows[pivot][pivot] for value in rows[pivot]]
        for row in range(8):
            if row != pivot:
                rows[row] = [value - rows[row][pivot] * top for value, top in zip(rows[row], rows[pivot], strict=True)]
    return [row[8] for row in rows]


def _shade(size: tuple[int, int], depth: float, rng: random.Random) -> Image.Image:
    """Uneven light: a soft field, and in half of the photographs the hard edge of somebody's shadow."""
    field = bytes(round(255 * (1 - depth * rng.random() * 0.6)) for _ in range(12))
    light = Image.frombytes("L", (4, 3), field).resize(size, Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        edge = Image.new("L", (64, 42), 255)
        x = rng.uniform(0, 64)
        shape = ((x, 0), (64, 0), (64, 42), (x + rng.uniform(-30, 30), 42))
        ImageDraw.Draw(edge).polygon(shape, fill=round(255 * (1 - depth * rng.uniform(0.5, 1))))
        light = ImageChops.multiply(light, edge.resize(size, Image.Resampling.BILINEAR))
    return Image.merge("RGB", (light, light, light))


def _glare(size: tuple[int, int], strength: float, rng: random.Random) -> Image.Image:
    """The reflection of a lamp, somewhere."""
    spot = Image.new("L", (48, 32))
    x, y, radius = rng.uniform(0, 48), rng.uniform(0, 32), rng.uniform(4, 9)
    ImageDraw.Draw(spot).ellipse(
        (x - radius, y - radius, x + radius, y + radius), fill=round(255 * strength * rng.uniform(0.5, 1))
    )
    light = spot.filter(ImageFilter.GaussianBlur(3)).resize(size, Image.Resampling.BILINEAR)
    return Image.merge("RGB", (light, light, light))


def _grain(image: Image.Image, amplitude: float, rng: random.Random) -> Image.Image:
    """Sensor noise, the same in the three channels: about Gaussian, `amplitude` its largest excursion."""
    tile = 256
    one, two = (Image.frombytes("L", (tile, tile), rng.randbytes(tile * tile)) for _ in range(2))
    soft = Image.blend(one, two, 0.5).point([round(128 + (level - 128) * amplitude / 128) for level in range(256)])
    grain = Image.new("L", image.size)
    for x in range(-rng.randrange(tile), image.width, tile):
        for y in range(-rng.randrange(tile), image.height, tile):
            grain.paste(soft, (x, y))
    return ImageChops.add(image, Image.merge("RGB", (grain, grain, grain)), 1, -128)
