"""Books of a spreadsheet, written here cell by cell: a library would not write what only real programs leave behind."""

import datetime as dt
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr


@dataclass(frozen=True)
class Formula:
    """A formula, and the value that was saved with it; None if the program that wrote it computed none."""

    text: str
    cached: float | str | None


@dataclass(frozen=True)
class CellError:
    """A cell that shows an error, such as #REF!."""

    text: str


Cell = str | float | bool | dt.date | Formula | CellError | None


@dataclass(frozen=True)
class BookPage:
    """One sheet. A row without cells is not in the file at all, as spreadsheets leave it."""

    name: str
    rows: Sequence[Sequence[Cell]] = ()
    hidden: bool = False
    merged: Sequence[str] = field(default=())


_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def xlsx(*pages: BookPage) -> bytes:
    """The book as .xlsx."""
    numbers = range(1, len(pages) + 1)
    hidden = {True: ' state="hidden"', False: ""}
    sheets = "".join(
        f'<sheet name={quoteattr(page.name)} sheetId="{n}"{hidden[page.hidden]} r:id="r{n}"/>'
        for n, page in zip(numbers, pages, strict=True)
    )
    targets = "".join(
        f'<Relationship Id="r{n}" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
    )
    styles = (
        f'<styleSheet {_MAIN}><numFmts count="0"/><fonts count="1"><font/></fonts><fills count="1"><fill/></fills>'
        '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
        '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>'
    )
    files = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {_MAIN} xmlns:r="{_RELATIONS}"><sheets>{sheets}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{targets}<Relationship Id="s" Type="{_RELATIONS}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": styles,
        **{f"xl/worksheets/sheet{n}.xml": _sheet(page) for n, page in zip(numbers, pages, strict=True)},
    }
    return _zipped(files)


def _sheet(page: BookPage) -> str:
    rows = "".join(
        f'<row r="{r}">{"".join(_cell(f"{_letter(c)}{r}", cell) for c, cell in enumerate(row))}</row>'
        for r, row in enumerate(page.rows, 1)
        if row
    )
    merged = "".join(f'<mergeCell ref="{each}"/>' for each in page.merged)
    return f"<worksheet {_MAIN}><sheetData>{rows}</sheetData>{f'<mergeCells>{merged}</mergeCells>' if merged else ''}</worksheet>"


def _cell(place: str, cell: Cell) -> str:
    match cell:
        case None:
            return f'<c r="{place}" s="1"/>'
        case bool():
            return f'<c r="{place}" t="b"><v>{int(cell)}</v></c>'
        case Formula():
            value = "" if cell.cached is None else f"<v>{escape(str(cell.cached))}</v>"
            kind = ' t="str"' if isinstance(cell.cached, str) else ""
            return f'<c r="{place}"{kind}><f>{escape(cell.text)}</f>{value}</c>'
        case CellError():
            return f'<c r="{place}" t="e"><v>{escape(cell.text)}</v></c>'
        case dt.date():
            return f'<c r="{place}" s="1"><v>{(cell - dt.date(1899, 12, 30)).days}</v></c>'
        case str():
            return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'
        case _:
            return f'<c r="{place}"><v>{cell!r}</v></c>'


_ODF = "urn:oasis:names:tc:opendocument:xmlns"
_SPACES = " ".join(f'xmlns:{name}="{_ODF}:{name}:1.0"' for name in ("office", "table", "text", "style"))


def ods(*pages: BookPage) -> bytes:
    """The book as .ods. Behind its rows it says, as LibreOffice does, that a million empty ones follow."""
    tables = "".join(
        f"<table:table table:name={quoteattr(page.name)}{' table:style-name=' + quoteattr('oculta') if page.hidden else ''}>"
        + "".join(
            f"<table:table-row>{''.join(map(_cell_of_ods, row)) or _BLANK}</table:table-row>" for row in page.rows
        )
        + f'<table:table-row table:number-rows-repeated="{1_048_576 - len(page.rows)}">{_BLANK}</table:table-row></table:table>'
        for page in pages
    )
    style = (
        '<office:automatic-styles><style:style style:name="oculta" style:family="table">'
        '<style:table-properties table:display="false"/></style:style></office:automatic-styles>'
    )
    content = f"<office:document-content {_SPACES}>{style}<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = f'<manifest:manifest xmlns:manifest="{_ODF}:manifest:1.0"><manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/></manifest:manifest>'
    return _zipped({"mimetype": kind, "META-INF/manifest.xml": manifest, "content.xml": content})


_BLANK = '<table:table-cell table:number-columns-repeated="1024"/>'


def _cell_of_ods(cell: Cell) -> str:
    formula, shown = "", cell
    if isinstance(cell, Formula):
        formula, shown = f" table:formula={quoteattr(f'of:={cell.text}')}", cell.cached
    match shown:
        case None:
            return f"<table:table-cell{formula}/>"
        case bool():
            value = f'office:value-type="boolean" office:boolean-value="{str(shown).lower()}"'
        case CellError():
            value = 'office:value-type="string"'
            shown = shown.text
        case dt.date():
            value = f'office:value-type="date" office:date-value="{shown.isoformat()}"'
        case str():
            value = 'office:value-type="string"'
        case _:
            value = f'office:value-type="float" office:value="{shown!r}"'
    return f"<table:table-cell{formula} {value}><text:p>{escape(str(shown))}</text:p></table:table-cell>"


def _letter(column: int) -> str:
    return chr(ord("A") + column) if column < 26 else _letter(column // 26 - 1) + _letter(column % 26)


def _zipped(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in files.items():
            head = "" if name == "mimetype" else '<?xml version="1.0" encoding="UTF-8"?>'
            book.writestr(name, head + text)
    return packed.getvalue()
