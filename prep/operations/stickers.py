"""The stickers of the actas as sheets in PDF: the QR code of 28 mm, and beside it what a person reads.

The text of the code is that of the catalogue, and behind it the keyed digest if `PREP_QR_KEY` is set: the same digest
that the pipeline expects. The sheets are those of common label paper; a sheet is filled row by row, in the order of the
casillas.
"""

import hashlib
import hmac
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reportlab.lib.pagesizes import A4, letter
from reportlab.lib.units import inch, mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from prep.domain.catalog import Acta, Casilla, Catalog, TipoCasilla
from prep.errors import Rejected
from prep.scan.labels import modules

QR_SIDE: Final = 28 * mm
DIGEST_DIGITS: Final = 16
"""Hexadecimal digits of the keyed digest; the pipeline takes 16 or more."""
QUIET: Final = 4
"""White modules around a QR code (ISO/IEC 18004)."""


@dataclass(frozen=True, slots=True)
class LabelPaper:
    """Label paper: the page, its columns and rows, and where the first label stands. All lengths in points."""

    page: tuple[float, float]
    columns: int
    rows: int
    width: float
    height: float
    left: float
    top: float
    across: float
    """From the left edge of one label to that of the next."""
    down: float


_THIRDS: Final = 10 / 3 * inch
SHEETS: Final[Mapping[str, LabelPaper]] = {
    # Letter, 4 × 2 inches: Avery 5163 and the like.
    "carta-10": LabelPaper(letter, 2, 5, 4 * inch, 2 * inch, 0.15625 * inch, 0.5 * inch, 4.1875 * inch, 2 * inch),
    # Letter, 4 × 3⅓ inches: Avery 5164.
    "carta-6": LabelPaper(
        letter, 2, 3, 4 * inch, 10 / 3 * inch, 0.15625 * inch, 0.5 * inch, 4.1875 * inch, 10 / 3 * inch
    ),
    # Letter, 2 × 2 inches: Avery 22806.
    "carta-12": LabelPaper(letter, 3, 4, 2 * inch, 2 * inch, 0.625 * inch, 0.625 * inch, 2.625 * inch, 31 / 12 * inch),
    # A4, 99.1 × 67.7 mm: Avery L7165.
    "a4-8": LabelPaper(A4, 2, 4, 99.1 * mm, 67.7 * mm, 4.65 * mm, 13.1 * mm, 101.6 * mm, 67.7 * mm),
}
"""Name of a sheet → its measures. Each label holds the code and its margin, also 2 mm off."""

NAMES: Final[Mapping[TipoCasilla, str]] = {
    TipoCasilla.BASICA: "BÁSICA",
    TipoCasilla.CONTIGUA: "CONTIGUA",
    TipoCasilla.EXTRAORDINARIA: "EXTRAORDINARIA",
    TipoCasilla.ESPECIAL: "ESPECIAL",
    TipoCasilla.EXTRANJERO: "EXTRANJERO",
    TipoCasilla.PRISION_PREVENTIVA: "PRISIÓN PREVENTIVA",
    TipoCasilla.PRISION_VOTO: "VOTO EN PRISIÓN",
    TipoCasilla.VOTO_ANTICIPADO: "VOTO ANTICIPADO",
    TipoCasilla.URNA_ELECTRONICA: "URNA ELECTRÓNICA",
}


def payload(acta: Acta, key: bytes | None) -> str:
    """What the sticker says: the identity, and behind it the keyed digest if there is a key. ASCII."""
    if key is None:
        return acta.qr
    digest = hmac.new(key, acta.qr.encode(), hashlib.sha256).hexdigest()[:DIGEST_DIGITS]
    return f"{acta.qr}|{digest}"


def stickers(catalog: Catalog, sheet_name: str, key: bytes | None, *, election: str = "") -> tuple[bytes, int]:
    """The sheets as a PDF, and the number of stickers. The same catalogue always gives the same bytes.

    Raises Rejected if there is no such sheet or election.
    """
    sheet = SHEETS.get(sheet_name)
    if sheet is None:
        raise Rejected(f"no hay una hoja «{sheet_name}»; hay: {', '.join(SHEETS)}")
    elections = {each.id: each for each in catalog.elections}
    if election and election not in {each.code for each in catalog.elections}:
        raise Rejected(f"el catálogo no tiene una elección «{election}»")
    casillas = {each.id: each for each in catalog.casillas}
    actas = [each for each in catalog.actas if not election or elections[each.election].code == election]
    # All actas of a casilla stand together: one person takes the stickers of a casilla.
    actas.sort(key=lambda each: (casillas[each.casilla].clave, each.election))
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=sheet.page, pageCompression=1, invariant=1)
    canvas.setTitle("Etiquetas de las actas")
    each_page = sheet.columns * sheet.rows
    for number, acta in enumerate(actas):
        row, column = divmod(number % each_page, sheet.columns)
        if number and number % each_page == 0:
            canvas.showPage()
        left = sheet.left + column * sheet.across
        bottom = sheet.page[1] - sheet.top - row * sheet.down - sheet.height
        title = elections[acta.election].title
        words = _words(casillas[acta.casilla], title, acta)
        _draw_label(canvas, sheet, (left, bottom), text=payload(acta, key), words=words)
    canvas.save()
    return out.getvalue(), len(actas)


def _words(casilla: Casilla, title: str, acta: Acta) -> Sequence[tuple[str, bool]]:
    """The lines beside the code, and whether each is bold."""
    number = "" if casilla.tipo is TipoCasilla.BASICA else f" {casilla.numero}"
    more = f" CONTIGUA {casilla.ext_contigua}" if casilla.ext_contigua else ""
    seccion = [(f"SECCIÓN {casilla.seccion:04}", True)] if casilla.seccion else []
    return [*seccion, (f"{NAMES[casilla.tipo]}{number}{more}", True), (title, False), (acta.clave, False)]


def _draw_label(
    canvas: Canvas, sheet: LabelPaper, corner: tuple[float, float], *, text: str, words: Sequence[tuple[str, bool]]
) -> None:
    left, bottom = corner
    rows = modules(text)
    module = QR_SIDE / len(rows)
    side = QR_SIDE + 2 * QUIET * module
    wide = sheet.width >= 1.6 * side
    # Beside the code if the label is wide; under it if it is nearly square.
    x = left + (3 * mm if wide else (sheet.width - side) / 2) + QUIET * module
    y = bottom + ((sheet.height - QR_SIDE) / 2 if wide else sheet.height - side + QUIET * module)
    path = canvas.beginPath()
    for n, row in enumerate(rows):
        top = y + QR_SIDE - (n + 1) * module
        start = 0
        # Neighbours as one rectangle: no white line between two modules, and a fifth of the bytes.
        while (start := row.find("1", start)) >= 0:
            end = row.find("0", start)
            end = len(row) if end < 0 else end
            path.rect(x + start * module, top, (end - start) * module, module)
            start = end
    canvas.drawPath(path, stroke=0, fill=1)
    if wide:
        from_x, width = left + 3 * mm + side, sheet.width - side - 6 * mm
        line_y, step = bottom + sheet.height / 2 + (len(words) - 1) * 6, 13.0
    else:
        from_x, width = left + 2 * mm, sheet.width - 4 * mm
        line_y, step = y - QUIET * module - 5, 7.5
    for line, bold in words:
        font = "Helvetica-Bold" if bold else "Helvetica"
        size = (11.0 if bold else 9.0) if wide else 7.0
        while size > 4 and stringWidth(line, font, size) > width:
            size -= 0.5
        canvas.setFont(font, size)
        if wide:
            canvas.drawString(from_x, line_y, line)
        else:
            canvas.drawCentredString(from_x + width / 2, line_y, line)
        line_y -= step
