"""A file of captures, as a stranger sends it: a book of a spreadsheet (.xlsx, .ods, .xls), or text in columns.

A number is the text that a person would type for it: 12, and not 12.0. A formula is the value that was saved with it. A
book of few bytes may unfold to very many cells, so this is called in a process that may die (`bounded.py`).
"""

import io
from typing import Final

from prep.errors import Rejected
from prep.files.capture_table import CaptureTable, table_of
from prep.files.sheets import MOST_ROWS, TableSheet, letter, numbered, read_text

BOOKS: Final = (b"PK", b"\xd0\xcf\x11\xe0")
"""How books begin: a ZIP (.xlsx, .ods), or an OLE file (.xls, and a book under a password)."""
_EXACT: Final = 10**15
"""Up to here a floating number holds every whole number, as a spreadsheet shows it."""


def prepare() -> None:
    """Make a process ready for `read_captures`: this import does not count against the bounds of its work."""
    try:
        import python_calamine  # noqa: F401, PLC0415 - an extra: without it, text is read all the same
    except ModuleNotFoundError:
        return


def read_captures(content: bytes) -> CaptureTable:
    """The actas of the file, with the problems of each. Raises Rejected with one sentence if it is no such file."""
    return table_of(_sheets_of_book(content) if content.startswith(BOOKS) else [read_text(content)])


def _sheets_of_book(content: bytes) -> list[TableSheet]:
    try:
        from python_calamine import (  # noqa: PLC0415 - an extra: a night without books has no use for it
            CalamineError,
            CalamineWorkbook,
            PasswordError,
            SheetTypeEnum,
            SheetVisibleEnum,
        )
    except ModuleNotFoundError:
        raise Rejected("aquí no se leen libros (falta el extra «sheets»): guarde la hoja como CSV") from None
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        found = []
        for told in book.sheets_metadata:
            if told.typ is not SheetTypeEnum.WorkSheet:
                continue
            if told.visible is not SheetVisibleEnum.Visible:
                found.append(TableSheet(told.name, (), hidden=True))
                continue
            sheet = book.get_sheet_by_name(told.name)
            cells = sheet.to_python(skip_empty_area=False, nrows=MOST_ROWS + 1)
            merged = sheet.merged_cell_ranges
            found.append(
                TableSheet(
                    told.name,
                    numbered([[_as_typed(cell) for cell in row] for row in cells]),
                    merged=_range(*merged[0]) if merged else "",
                )
            )
    except PasswordError:
        raise Rejected("el libro está protegido con contraseña: guárdelo sin ella") from None
    except CalamineError:
        raise Rejected("no se puede leer como hoja de cálculo: guárdela de nuevo, o como CSV") from None
    return found


def _as_typed(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    return str(value)


def _range(first: tuple[int, int], last: tuple[int, int]) -> str:
    return ":".join(f"{letter(column)}{row + 1}" for row, column in (first, last))
