"""The printable act of a ceremony: what was counted, and the table «Nombre del archivo / Código de integridad».

Plain Helvetica, letter size, no picture and no font inside: a PDF that any printer prints. It names no person; names
and signatures are written by hand.
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
    """What an act says."""

    title: str
    simulacro: bool
    told: Sequence[str]
    """Sentences, in their order."""
    counts: Mapping[str, str]
    files: Mapping[str, str]
    """Digest of each file, by its name."""


def pdf(act: Act) -> bytes:
    """The same act gives the same bytes."""
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

    document.build(_story(act), onFirstPage=foot, onLaterPages=foot)
    return out.getvalue()


def _story(act: Act) -> list[Flowable]:
    story: list[Flowable] = [Paragraph("Programa de Resultados Electorales Preliminares", HEADING)]
    story.append(Paragraph(_plain(act.title), TITLE))
    if act.simulacro:
        story.append(Paragraph("SIMULACRO: SIN VALIDEZ", LOUD))
    story += [Paragraph(_plain(sentence), BODY) for sentence in act.told]
    story += [Paragraph("Conteos", HEADING), _table(("Qué se contó", "Cuántos"), act.counts, (120, 60))]
    story += [
        Paragraph("Archivos", HEADING),
        _table(("Nombre del archivo", "Código de integridad"), act.files, (70, 110)),
        Paragraph(
            "El código de integridad es la huella SHA-256 del archivo: «sha256sum ARCHIVO» debe dar la misma.", BODY
        ),
        Paragraph("Firmas", HEADING),
        _signatures(),
    ]
    return story


def _table(heads: tuple[str, str], rows: Mapping[str, str], widths: tuple[int, int]) -> Table:
    cells = [heads, *rows.items()]
    return Table(
        [[Paragraph(_plain(cell), SMALL) for cell in line] for line in cells],
        colWidths=[width * mm for width in widths],
        repeatRows=1,
        style=GRID,
    )


def _signatures() -> Table:
    """Lines to write on."""
    line = [Spacer(1, 16 * mm), Paragraph("_" * 40, SMALL), Paragraph("Nombre, cargo y firma", SMALL)]
    return Table([[line, line] for _ in range(SIGNATURES // 2)], colWidths=[90 * mm, 90 * mm])


def _plain(text: str) -> str:
    """No markup in what is printed."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
