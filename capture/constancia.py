"""The constancia of an acta of which no image can be had: a page in PDF that stands in the place of the image.

It shows the sticker of the acta, so a machine ties it to the acta, and says where the quantities came from. It shows
none of them: the second person types without seeing the first capture.
"""

import io
from collections.abc import Mapping
from typing import Any, Final

from reportlab.lib.pagesizes import landscape, letter
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from prep.scan.labels import modules

_LEFT: Final = 20 * mm
_WIDTH: Final = 160 * mm
_SIDE: Final = 50 * mm
"""Of the QR code."""
_RULE: Final = (
    "Sus cantidades se importaron de un archivo, como la captura de una sola persona. Cuentan solo si otra persona, "
    "sin ver esa captura, captura las mismas."
)
_ASK: Final = (
    "A quien captura: pida el acta al sitio {site}, y capture lo que diga el papel o lo que le dicten de él. Si nadie "
    "lo tiene, devuelva la tarea."
)


def constancia(acta: Mapping[str, Any], *, site: str, source: str, row: int) -> bytes:
    """The page of one acta, as the capture service names it.

    `source` is the SHA-256 of the file, and `row` the row of the acta there. The same arguments always give the same
    bytes.
    """
    out = io.BytesIO()
    page = landscape(letter)
    canvas = Canvas(out, pagesize=page, pageCompression=1, invariant=1)
    canvas.setTitle("Constancia sin imagen")
    seccion = f"Sección {acta['seccion']:04}, " if acta["seccion"] else ""
    casilla = f"{acta['tipo']}{acta['numero']:02}" + (f" ext. {acta['ext_contigua']}" if acta["ext_contigua"] else "")
    y = page[1] - 25 * mm
    told = [
        (24, "No hay imagen de esta acta"),
        (18, acta["titulo"]),
        (18, f"{seccion}casilla {casilla}"),
        (12, f"Clave del acta: {acta['clave']}"),
        (12, _RULE),
        (12, _ASK.format(site=site)),
        (9, f"Renglón {row} del archivo con SHA-256 {source}"),
    ]
    for size, text in told:
        font = "Helvetica-Bold" if size >= 18 else "Helvetica"
        canvas.setFont(font, size)
        for each in _lines(text, font, size):
            canvas.drawString(_LEFT, y, each)
            y -= size * 1.35
        y -= size * 0.6
    _draw_code(canvas, acta["qr"], (page[0] - _SIDE - 20 * mm, page[1] - _SIDE - 25 * mm))
    canvas.save()
    return out.getvalue()


def _lines(text: str, font: str, size: float) -> list[str]:
    found = [""]
    for word in text.split():
        longer = f"{found[-1]} {word}".strip()
        if stringWidth(longer, font, size) <= _WIDTH:
            found[-1] = longer
        else:
            found.append(word)
    return found


def _draw_code(canvas: Canvas, text: str, corner: tuple[float, float]) -> None:
    rows = modules(text)
    module = _SIDE / len(rows)
    path = canvas.beginPath()
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            if dark == "1":
                path.rect(corner[0] + x * module, corner[1] + _SIDE - (y + 1) * module, module, module)
    canvas.drawPath(path, stroke=0, fill=1)
