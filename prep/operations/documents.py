"""The printable act of a ceremony: the counts, and the table «Nombre del archivo / Código de integridad».

The PDF is letter size in plain Helvetica, without pictures or embedded fonts, so that any printer prints it. It names
no person: people write their names and sign by hand.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reportlab.lib import colors
from reportlab.lib.pagesizes import letter
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

BODY: Final = ParagraphStyle("cuerpo", fontName="Helvetica", fontSize=9, leading=12, spaceAfter=4)
SMALL: Final = ParagraphStyle("celda", parent=BODY, fontSize=7, leading=9, spaceAfter=0)
TITLE: Final = ParagraphStyle("título", parent=BODY, fontName="Helvetica-Bold", fontSize=13, leading=17)
HEADING: Final = ParagraphStyle("apartado", parent=BODY, fontName="Helvetica-Bold", fontSize=10, spaceBefore=8)
LOUD: Final = ParagraphStyle("aviso", parent=TITLE, textColor=colors.red)
GRID: Final = TableStyle(
    [
        ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
        ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
    ]
)
SIGNATURES: Final = 4


@dataclass(frozen=True, slots=True)
class Act:
    """The content of an act."""

    title: str
    simulacro: bool
    told: Sequence[str]
    """Sentences, in the order in which they are printed."""
    counts: Mapping[str, str]
    files: Mapping[str, str]
    """Digest of each file, by its name."""


def pdf(act: Act) -> bytes:
    """The act as a PDF. The same act always gives the same bytes, so that its digest can be compared."""
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=letter,
        title=act.title,
        author="PREP",
        lang="es-MX",
        invariant=1,
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=16 * mm,
        bottomMargin=18 * mm,
    )

    def foot(canvas: Canvas, _: object) -> None:
        canvas.setFont("Helvetica", 7)
        canvas.drawString(18 * mm, 10 * mm, act.title)
        canvas.drawRightString(letter[0] - 18 * mm, 10 * mm, f"Página {canvas.getPageNumber()}")

    document.build(_act_story(act), onFirstPage=foot, onLaterPages=foot)
    return out.getvalue()


def _act_story(act: Act) -> list[Flowable]:
    story: list[Flowable] = [Paragraph("Programa de Resultados Electorales Preliminares", HEADING)]
    story.append(Paragraph(_escaped(act.title), TITLE))
    if act.simulacro:
        story.append(Paragraph("SIMULACRO: SIN VALIDEZ", LOUD))
    story += [Paragraph(_escaped(sentence), BODY) for sentence in act.told]
    story += [Paragraph("Conteos", HEADING), _two_column_table(("Qué se contó", "Cuántos"), act.counts, (120, 60))]
    story += [
        Paragraph("Archivos", HEADING),
        _two_column_table(("Nombre del archivo", "Código de integridad"), act.files, (70, 110)),
        Paragraph(
            "El código de integridad es la huella SHA-256 del archivo: «sha256sum ARCHIVO» debe dar la misma.", BODY
        ),
        Paragraph("Firmas", HEADING),
        _signature_lines(),
    ]
    return story


def _two_column_table(heads: tuple[str, str], rows: Mapping[str, str], widths: tuple[int, int]) -> Table:
    cells = [heads, *rows.items()]
    return Table(
        [[Paragraph(_escaped(cell), SMALL) for cell in line] for line in cells],
        colWidths=[width * mm for width in widths],
        repeatRows=1,
        style=GRID,
    )


def _signature_lines() -> Table:
    """Empty lines on which people write name, post and signature."""
    line = [Spacer(1, 16 * mm), Paragraph("_" * 40, SMALL), Paragraph("Nombre, cargo y firma", SMALL)]
    return Table([[line, line] for _ in range(SIGNATURES // 2)], colWidths=[90 * mm, 90 * mm])


def _escaped(text: str) -> str:
    """The text with its special characters escaped: the PDF library would read them as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
