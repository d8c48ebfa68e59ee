"""The blank printed form of an acta, similar to the real one, and the place of each quantity on it.

It is landscape, 43 × 28 cm, with a black square in each corner, a ring and a dot at the ends of each row, pink digit
boxes, and a box for the QR sticker. All lengths are in units of a form that is 1700 wide and 1108 high; `size` scales
it.
"""

import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from PIL import Image, ImageDraw

from prep.scan.lettering import write

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

PAGE: Final = 430.0
"""Width of the sheet in mm."""
SQUARES: Final = ((20, 24), (1640, 24), (1640, 1034), (20, 1034))
"""Upper left corners of the corner squares, clockwise."""
SQUARE: Final = 38
QR_BOX: Final = (350, 24, 550, 130)
BARS_END: Final = 282
ROWS_IN_ONE_COLUMN: Final = 24
"""If the ballot has more rows, it continues in the right third of the form."""
PEOPLE: Final = ""
"""The place of section 5. The form has it, but people do not capture it."""


@dataclass(frozen=True, slots=True)
class PrintedForm:
    """A printed form: its titles, and the codes of its quantities in printed order."""

    title: str
    contest: str
    header: tuple[str, ...]
    """Boletas sobrantes, personas, representantes, votos sacados."""
    rows: tuple[str, ...]
    total: str
    digits: int = 3


@dataclass(frozen=True, slots=True)
class FieldPlace:
    """The place of one quantity in pixels: the line for the letters, a box for each digit, and the strip of its row."""

    letters: Box
    digits: tuple[Box, ...]
    strip: Box


@dataclass(frozen=True, slots=True)
class Blank:
    """A blank form: its picture, the places of its quantities, and the centres of the marks at the ends of its rows."""

    image: Image.Image
    places: Mapping[str, FieldPlace]
    marks: Sequence[Point]


def describe(form: PrintedForm) -> dict[str, Any]:
    """The layout of the form, as a catalogue brings it (`prep/domain/layout.py`), in mm; without its election."""
    blank = blank_form(form, SIZE)
    return {
        "cuadros": [_mm((x, y, x + SQUARE, y + SQUARE)) for x, y in SQUARES],
        "marcas": sorted({(_mm(mark)[0], _mm(mark)[1]) for mark in blank.marks}),
        "campos": {code: _mm(place.strip) for code, place in blank.places.items() if code != PEOPLE},
    }


def _mm(values: Sequence[float]) -> list[float]:
    return [round(value * PAGE / WIDTH, 2) for value in values]


@lru_cache(maxsize=48)
def blank_form(form: PrintedForm, size: tuple[int, int]) -> Blank:
    """The blank form. It is drawn at twice the size, so that its lines are smooth."""
    press = Press(size, 2 * size[0] / WIDTH)
    press.frame(form)
    places = dict(press.sections(form)) | press.ballot(form)
    if len(form.rows) <= ROWS_IN_ONE_COLUMN:
        press.officers()
    return Blank(press.image.reduce(2), places, press.marks)


class Press:
    """Print in form units on an image that is twice as large as the final form."""

    def __init__(self, size: tuple[int, int], scale: float) -> None:
        self.scale = scale
        self.image = Image.new("RGB", (2 * size[0], 2 * size[1]), WHITE)
        self.pen = ImageDraw.Draw(self.image)
        self.marks: list[Point] = []

    def _in_pixels(self, values: Sequence[float]) -> list[float]:
        return [value * self.scale for value in values]

    def box(self, box: Box, *, fill: Colour | None = None, outline: Colour | None = BLACK, width: float = 1.2) -> None:
        self.pen.rectangle(self._in_pixels(box), fill=fill, outline=outline, width=max(1, round(width * self.scale)))

    def line(self, points: Sequence[float], colour: Colour = BLACK, width: float = 1.2) -> None:
        self.pen.line(self._in_pixels(points), fill=colour, width=max(1, round(width * self.scale)))

    def text(
        self, at: Point, text: str, size: float, *, fill: Colour = BLACK, anchor: str = "ls", bold: float = 0
    ) -> None:
        """Print one line of text."""
        here, stroke = (at[0] * self.scale, at[1] * self.scale), round(self.scale * 1.2)
        size, bold = size * self.scale, bold * self.scale
        write(self.pen, here, text, size, fill=fill, anchor=anchor, bold=bold, stroke=stroke)

    def ends(self, x0: float, x1: float, y: float) -> None:
        """Print a ring at the left end of a row's line and a dot at its right end."""
        for x, radius, colour in ((x0, 6.5, BLACK), (x0, 2.2, WHITE), (x1, 5, BLACK)):
            self.pen.ellipse(self._in_pixels((x - radius, y - radius, x + radius, y + radius)), fill=colour)
        self.marks += [(x * self.scale / 2, y * self.scale / 2) for x in (x0, x1)]

    def boxes(self, right: float, top: float, bottom: float, digits: int) -> tuple[Box, ...]:
        """Print dotted digit boxes that end at `right`; return them from left to right, in pixels of the form."""
        height = bottom - top
        width, gap = min(24.0, height * 0.95), 5.0
        found = []
        for place in range(digits):
            left = right - (digits - place) * (width + gap)
            self._dotted_box((left, top, left + width, bottom))
            found.append(_half_size(self._in_pixels((left, top, left + width, bottom))))
        return tuple(found)

    def _dotted_box(self, box: Box) -> None:
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
        self.pen.rounded_rectangle(self._in_pixels((x, y, x + 34, y + 19)), radius=4 * self.scale, fill=colour)
        self.pen.ellipse(self._in_pixels((x + 2, y + 2, x + 17, y + 17)), fill=WHITE)
        self.text((x + 9.5, y + 14), str(number), 12, fill=colour, anchor="ms", bold=0.3)
        self.text((x + 41, y + 16), title, 15, fill=colour, bold=0.35)

    def frame(self, form: PrintedForm) -> None:
        """Print the parts that every form has: corner squares, title, sticker box, legend and foot."""
        for x, y in SQUARES:
            self.box((x, y, x + SQUARE, y + SQUARE), fill=BLACK)
        self.box((94, 28, 330, 66))
        self.box(QR_BOX)
        for y, text in ((68, "Pegue aquí la etiqueta"), (86, "con el código QR")):
            self.text((450, y), text, 13, fill=GREY, anchor="ms")
        bars = random.Random(form.title)  # a decorative barcode: no program reads it
        left = 97.0
        while left < BARS_END:  # the right edge of the box
            wide = bars.choice((1.2, 1.2, 2.4, 3.6))
            self.box((left, 78, left + wide, 118), fill=BLACK, outline=None)
            left += wide + bars.choice((1.2, 2.4))
        self.pen.ellipse(self._in_pixels((40, 76, 88, 124)), fill=BROWN)
        self.text((64, 110), "2", 34, fill=WHITE, anchor="ms", bold=0.8)
        self.box((38, 136, 138, 196), fill=SAND, outline=None)
        self.box((138, 136, 550, 196), fill=BROWN, outline=None)
        self.text((88, 171), "INSTITUTO ELECTORAL", 8, anchor="ms", bold=0.2)
        self.text((344, 156), "ACTA DE ESCRUTINIO Y CÓMPUTO DE CASILLA", 14, fill=WHITE, anchor="ms", bold=0.2)
        self.text((344, 173), _shortened(form.title.upper(), 50), 12, fill=WHITE, anchor="ms", bold=0.4)
        self.text((344, 189), _shortened(form.contest.upper(), 50), 11, fill=WHITE, anchor="ms")
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
            (206, 1070), _shortened(f"BOLSA PREP DE LA ELECCIÓN DE {form.title.upper()}", 76), 23, fill=BROWN, bold=1.0
        )

    def sections(self, form: PrintedForm) -> Iterator[tuple[str, FieldPlace]]:
        """Print the identification of the casilla and the quantities outside the ballot."""
        self.heading((40, 298), 1, "DATOS DE IDENTIFICACIÓN DE CASILLA", MAGENTA)
        for y, label in ((345, "Entidad:"), (380, "Municipio:"), (418, "Sección:"), (458, "La casilla se instaló en:")):
            self.text((40, y), label, 12, bold=0.2)
            self.line((46 + 7 * len(label), y + 2, 548, y + 2))
        for place, code in enumerate((*form.header[:3], PEOPLE)):
            top = 490 + place * 132
            self.heading((40, top), place + 2, QUANTITIES[place], SECTIONS[place])
            self.text((42, top + 38), "Copie de la Hoja para hacer operaciones la cantidad que corresponde", 11)
            self.text((42, top + 52), f"al apartado {place + 2} y escríbala con letra y con número.", 11)
            yield code, self._print_quantity((48, top + 70, 546, top + 106), form.digits)
        for code in form.header[3:]:
            self.heading((572, 926), 7, "TOTAL DE VOTOS SACADOS DE LAS URNAS", SECTIONS[3])
            yield code, self._print_quantity((576, 962, 1104, 998), form.digits)
        self.text((574, 1028), "Son iguales las cantidades anotadas en los apartados 5 y 7?", 11)
        for x, answer in ((940, "Sí"), (978, "No")):
            self.box((x, 1010, x + 28, 1034), outline=MAGENTA)
            self.text((x + 14, 1027), answer, 12, anchor="ms", bold=0.3)

    def _print_quantity(self, box: Box, digits: int) -> FieldPlace:
        x0, y0, x1, y1 = box
        for y in (y0, y1):
            self.line((x0, y, x1, y), BLACK if y == y1 else PINK)
            self.ends(x0, x1, y)
        found = self.boxes(x1 - 4, y0 + 5, y1 - 5, digits)
        # The line for the letters ends where the digit boxes begin.
        left = x1 - 4 - digits * 29
        self.text(((x0 + left) / 2, y1 + 12), "(Con letra)", 9, anchor="ms")
        self.text(((left + x1) / 2, y1 + 12), "(Con número)", 9, anchor="ms")
        return FieldPlace(
            _half_size(self._in_pixels((x0 + 14, y0 + 4, left - 8, y1 - 4))), found, _half_size(self._in_pixels(box))
        )

    def ballot(self, form: PrintedForm) -> dict[str, FieldPlace]:
        """Print the rows of the ballot and the total in the middle third; many rows continue in the right third."""
        rows = (*form.rows, form.total)
        # A long ballot is cut into two halves of equal length.
        first = len(rows) if len(form.rows) <= ROWS_IN_ONE_COLUMN else -(-len(rows) // 2)
        self.heading((572, 28), 6, "RESULTADOS DE LA VOTACIÓN", BROWN)
        self.text(
            (572, 68), "Copie del apartado 6 de la Hoja para hacer operaciones los votos para partidos", 12, bold=0.1
        )
        self.text(
            (572, 84), "políticos, coaliciones, no registradas, nulos y total. Si no hubo, escriba ceros.", 12, bold=0.1
        )
        return self._print_rows(form, rows[:first], 574) | self._print_rows(form, rows[first:], 1132)

    def _print_rows(self, form: PrintedForm, rows: Sequence[str], left: float) -> dict[str, FieldPlace]:
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
            self._print_label(code, (left, y, label, y + height), total=code == form.total)
            self.line((left, y + height, right, y + height))
            margin = height * 0.13
            boxes = self.boxes(right - 4, y + margin, y + height - margin, form.digits)
            places[code] = FieldPlace(
                _half_size(self._in_pixels((label + 14, y + 3, number - 8, y + height - 3))),
                boxes,
                _half_size(self._in_pixels((left, y, right, y + height))),
            )
        end = top + len(rows) * height
        for x in (left, label, number, right):
            self.line((x, top, x, end))
        for place in range(len(rows) + 1):
            self.ends(label, right, top + place * height)
        return places

    def _print_label(self, code: str, box: Box, *, total: bool) -> None:
        """Print the emblems of a row, one for each party of a combination; or its words."""
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
            chip = self._in_pixels((x + 1, middle - side / 2, x + width - 1, middle + side / 2))
            self.pen.rounded_rectangle(chip, radius=4 * self.scale, fill=_party_colour(party))
            text, high = _shortened(party, 8), min(10.0, 1.5 * (width - 3) / min(len(party), 8))
            self.text((x + width / 2, middle), text, high, fill=WHITE, anchor="mm", bold=0.15)

    def officers(self) -> None:
        """Print the right third: officers, party representatives, and the instructions for the copies."""
        self.heading((1132, 28), 10, "INCIDENTES DURANTE EL ESCRUTINIO Y CÓMPUTO", MAGENTA)
        self.heading((1132, 100), 11, "FUNCIONARIOS DE MESA DIRECTIVA DE CASILLA", MAGENTA)
        self._print_grid((1132, 146, 1662, 316), (("CARGO", 100), ("NOMBRES", 320), ("FIRMAS", 110)), 6, OFFICERS)
        self.heading((1132, 326), 12, "REPRESENTACIONES PARTIDISTAS", MAGENTA)
        self._print_grid((1132, 380, 1662, 820), (("PARTIDO", 80), ("NOMBRE COMPLETO", 280), ("FIRMA", 170)), 14, ())
        self.heading((1132, 832), 13, "ESCRITOS DE PROTESTA O INCIDENTES", MAGENTA)
        self.heading((1132, 912), 14, "INTEGRACIÓN DEL EXPEDIENTE", MAGENTA)
        for place, text in enumerate(
            ("Guarde el original en el sobre de expediente.", "Guarde la primera copia en la Bolsa PREP.")
        ):
            self.text((1140, 956 + 18 * place), f"{place + 1}. {text}", 12, bold=0.1)

    def _print_grid(self, box: Box, columns: Sequence[tuple[str, float]], rows: int, labels: Sequence[str]) -> None:
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


def _half_size(box: Sequence[float]) -> Box:
    x0, y0, x1, y1 = box
    return x0 / 2, y0 / 2, x1 / 2, y1 / 2


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}."


def _party_colour(party: str) -> Colour:
    """The colour of a party: its own if we know it; if not, a colour computed from its code."""
    known = PARTIES.get(party.upper())
    seed = zlib.crc32(party.encode())
    return known or (40 + seed % 150, 40 + (seed >> 8) % 130, 40 + (seed >> 16) % 150)
