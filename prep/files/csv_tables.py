"""Read one CSV file of an institute into columns of values, with a finding for every wrong cell.

The program understands the traces of spreadsheets: one byte order mark, any line end, ="0001", '0001, thousands
separators. It refuses texts that could mislead a reader later: a second byte order mark, control characters, and texts
that a spreadsheet would run as a formula. Each different text of a column is parsed once: a column of a national
catalogue has 170,000 cells but only a few hundred different texts.
"""

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import groupby, repeat
from typing import Final, TypeVar

NOTHING: Final = frozenset({"", "-", "--", "N/A", "NA"})
"""Texts that files print for an absent value."""

DASHES: Final = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212"), "-")
"""A word processor writes - and -- as longer dashes."""
_BOM: Final = "\ufeff"
_MAX_NAME: Final = 200
_MAX_CODE: Final = 60
_MAX_SHOWN: Final = 40
_MAX_DIGITS: Final = 18
_FORMULA: Final = ("=", "+", "-", "@")
_THOUSANDS: Final = re.compile(r"-?\d{1,3}(?:[,'’ \u00a0\u2009\u202f]\d{3})+", re.ASCII)
_ZEROS: Final = re.compile(r"(?<=\d)\.00?$", re.ASCII)
_INTEGER: Final = re.compile(r"-?\d+", re.ASCII)
_CODE: Final = re.compile(r"[^\W_][\w.&-]*")
_COLOUR: Final = re.compile(r"#[0-9A-F]{6}", re.ASCII)
_PICTURE: Final = re.compile(r"[^\W_][\w.-]*\.(?:png|svg|jpe?g|webp)", re.IGNORECASE)
_STICKER_WORD: Final = re.compile(r"[A-Z0-9]{1,12}", re.ASCII)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class FileFinding:
    """One error and its place. If the error is of the whole file, `line` is 0; if of the whole line, `column` is "".

    A warning has a `code`, which stays the same in all versions; an error has none.
    """

    file: str
    line: int
    column: str
    sentence: str
    code: str = ""

    def __str__(self) -> str:
        line = f", línea {self.line}" if self.line else ""
        column = f", columna {self.column}" if self.column else ""
        return f"{self.file}{line}{column}: {self.sentence}"


_SHOWN_LINES: Final = 5


def one_for_each_cause(findings: Iterable[FileFinding]) -> list[FileFinding]:
    """The findings in order of file, line and column, but only the first one of each cause.

    Its sentence tells the lines of the others. One cause is the same sentence about the same column; if the sentence
    says that another file lacks something, it is one cause in all files that ask for it.
    """
    causes: dict[tuple[str, ...], list[FileFinding]] = {}
    for one in sorted(findings, key=lambda one: (one.file, one.line, one.column)):
        key = (one.sentence,) if one.sentence.endswith(".csv") else (one.file, one.column, one.sentence)
        # An error of a whole file has no other lines.
        key = key if one.line else (*key, str(len(causes)))
        causes.setdefault(key, []).append(one)
    return [replace(first, sentence=first.sentence + _also(first, others)) for first, *others in causes.values()]


def _also(first: FileFinding, others: Sequence[FileFinding]) -> str:
    """The places of the other findings of one cause: the first lines of each file, and the number of the rest."""
    parts = []
    for file, group in groupby(others, key=lambda one: one.file):
        lines = [str(one.line) for one in group]
        told = ", ".join(lines[:_SHOWN_LINES]) + (f" y {len(lines) - _SHOWN_LINES} más" if lines[_SHOWN_LINES:] else "")
        where = "" if file == first.file else f" de {file}"
        parts.append(f"{'la línea' if len(lines) == 1 else 'las líneas'} {told}{where}")
    return f" (también en {' y en '.join(parts)})" if parts else ""


def bare(cell: str) -> str:
    """The text without the marks that protect a clave from Excel: ="0001", '0001', '0001."""
    text = cell.strip()
    if text.startswith('="') and text.endswith('"'):
        text = text[2:].removesuffix('"').strip()
    if text.startswith("'"):
        text = text[1:].removesuffix("'").strip()
    return text


def without_thousands(text: str) -> str:
    """4,778 and 4'778 become 4778; any other text stays."""
    return re.sub(r"[^\d-]", "", text) if _THOUSANDS.fullmatch(text) else text


def whole(text: str) -> str:
    """A whole number in the dress of a program: 4,778 is 4778, and 12.0 is 12. Any other text stays.

    A program that keeps blanks beside numbers prints all of them with .0; 12.5 and 1.234 may mean something else.
    """
    return without_thousands(_ZEROS.sub("", text))


def plain_lines(text: str) -> str:
    """The text with LF as its only line end. Real files have LF, CRLF or only CR."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def without_bom(text: str) -> str:
    """The text without its byte order mark. Raises ValueError for a second one: it would be invisible in a cell."""
    text = text.removeprefix(_BOM)
    if text.startswith(_BOM):
        raise ValueError("el archivo comienza con dos marcas de orden de bytes (BOM); quite una")
    return text


# --- cells: parsers; each raises ValueError with a sentence for the author of the file ------------------------------


def integer(low: int, high: int, *, blank: int | None = None) -> Callable[[str], int]:
    """A parser of whole numbers as spreadsheets write them. `blank` is the value of an empty cell or N/A."""

    def parse(cell: str) -> int:
        text = without_thousands(bare(cell))
        if text.upper() in NOTHING:
            if blank is None:
                raise ValueError("falta el número")
            return blank
        if not _INTEGER.fullmatch(text):
            raise ValueError(f"«{shown(text)}» no es un número entero")
        if len(text) > _MAX_DIGITS or not low <= int(text) <= high:
            negative = " y no puede ser negativo" if text.startswith("-") else ""
            raise ValueError(f"{shown(text)} no está entre {low} y {high}{negative}")
        return int(text)

    return parse


def maybe_integer(low: int, high: int) -> Callable[[str], int | None]:
    """A parser like `integer`; an empty cell is None."""
    parse = integer(low, high)
    return lambda cell: None if bare(cell).upper() in NOTHING else parse(cell)


def name(cell: str) -> str:
    """A text for people: printable, not too long, and not a formula for a spreadsheet that opens published files."""
    text = unicodedata.normalize("NFC", cell.strip())
    if len(text) > _MAX_NAME:
        raise ValueError(f"el texto tiene {len(text)} caracteres; el máximo es {_MAX_NAME}")
    if text.startswith(_FORMULA):
        raise ValueError(f"el texto comienza con «{text[0]}», que una hoja de cálculo ejecutaría como fórmula")
    strange = [letter for letter in text if not letter.isprintable() or letter == "\\"]
    if strange:
        raise ValueError(f"el texto contiene un carácter que no se permite (U+{ord(strange[0]):04X})")
    return text


def needed_name(cell: str) -> str:
    """A text like `name`, but not blank."""
    text = name(cell)
    if not text:
        raise ValueError("falta el texto")
    return text


def code(cell: str) -> str:
    """A code that can be the name of a column, a part of a file name, and one word of a list."""
    text = unicodedata.normalize("NFC", bare(cell))
    if not text:
        raise ValueError("falta el código")
    if len(text) > _MAX_CODE or not _CODE.fullmatch(text):
        raise ValueError(
            f"«{shown(text)}» no es un código: letras, números, guiones, puntos y &, sin espacios, hasta {_MAX_CODE}"
        )
    return text


def codes(cell: str) -> tuple[str, ...]:
    """The codes of a list; spaces separate them."""
    return tuple(code(word) for word in bare(cell).split())


def sticker_word(cell: str) -> str:
    """A field of the QR text. `catalog.read_identity` must read it back unchanged."""
    text = bare(cell).upper()
    if not _STICKER_WORD.fullmatch(text):
        raise ValueError(f"«{shown(text)}» no cabe en el QR: de 1 a 12 letras o números, sin acentos")
    return text


def maybe_sticker_word(cell: str) -> str:
    """A text like `sticker_word`; an empty cell is ""."""
    return sticker_word(cell) if bare(cell) else ""


def colour(cell: str) -> str:
    """A colour as #RRGGBB, or blank."""
    text = bare(cell)
    if text and not _COLOUR.fullmatch(text.upper()):
        raise ValueError(f"«{shown(text)}» no es un color: #RRVVAA, con cifras de 0 a F")
    return text.upper()


def file_name(cell: str) -> str:
    """The name of a picture's file, without a folder, or blank."""
    text = unicodedata.normalize("NFC", bare(cell))
    if text and (len(text) > _MAX_CODE or not _PICTURE.fullmatch(text)):
        raise ValueError(f"«{shown(text)}» no es el nombre de un archivo PNG, SVG, JPG o WEBP, sin carpeta")
    return text


def one_of(kind: Callable[[str], _T], values: Iterable[str]) -> Callable[[str], _T]:
    """A parser of the members of an enumeration of texts."""
    allowed = ", ".join(values)

    def parse(cell: str) -> _T:
        try:
            return kind(bare(cell))
        except ValueError:
            raise ValueError(f"«{shown(bare(cell))}» no es ninguno de: {allowed}") from None

    return parse


def shown(text: str) -> str:
    """The text of a cell, made printable and short, for a message."""
    plain = "".join(letter if letter.isprintable() else "�" for letter in text)
    return plain if len(plain) <= _MAX_SHOWN else f"{plain[:_MAX_SHOWN]}…"


# --- tables -----------------------------------------------------------------------------------------------------------


@dataclass
class CsvTable:
    """One file as columns. Later checks leave out rows that have a finding (`unsound`)."""

    name: str
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int]
    """For each row, the line of the file on which it begins. A quoted cell may hold line breaks."""
    report: list[FileFinding]
    unsound: set[int] = field(default_factory=set)
    faulty: bool = False
    """Whether an error belongs to no row: one of the whole file, or rows that could not be read."""
    parsers: dict[str, Callable[[str], object]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def sound(self) -> bool:
        """Whether the file has no error so far. If it has one, other files are not checked against it."""
        return not self.unsound and not self.faulty

    def blame(self, row: int, column: str, sentence: str) -> None:
        """Report an error in a row. The row is unsound from now on."""
        self.unsound.add(row)
        self.report.append(FileFinding(self.name, self.lines[row], column, sentence))

    def blame_whole(self, column: str, sentence: str) -> None:
        """Report an error of the whole file."""
        self.faulty = True
        self.report.append(FileFinding(self.name, 0, column, sentence))

    def read(self, column: str, parse: Callable[[str], _T], default: _T) -> list[_T]:
        """The parsed values of a column. `default` stands for every cell of an absent column and for a wrong cell.

        Wrong cells are reported.
        """
        texts = self.columns.get(column)
        if texts is None:
            return [default] * len(self)
        self.parsers[column] = parse
        known: dict[str, _T] = {}
        wrong: dict[str, str] = {}
        # Parse each different text once; the rows with wrong texts are looked for only if there are any.
        for text in set(texts):
            try:
                known[text] = parse(text)
            except ValueError as error:
                known[text] = default
                wrong[text] = str(error)
        if wrong:
            for row, text in enumerate(texts):
                if text in wrong:
                    self.blame(row, column, wrong[text])
        return list(map(known.__getitem__, texts))

    def expect(self, column: str, judge: Callable[..., str], *values: Sequence[Hashable]) -> None:
        """Call `judge` once for each different row of `values`.

        Report the sound rows for which it returns a sentence.
        """
        wrong = {held: sentence for held in set(zip(*values, strict=True)) if (sentence := judge(*held))}
        if wrong:
            for row, held in enumerate(zip(*values, strict=True)):
                if held in wrong and row not in self.unsound:
                    self.blame(row, column, wrong[held])

    def expect_once(self, column: str, what: str, *values: Sequence[Hashable]) -> None:
        """Report every sound row that has the same `values` as an earlier sound row."""
        # The usual case, without a loop over the rows.
        if len(set(zip(*values, strict=True))) == len(self):
            return
        first: dict[tuple[Hashable, ...], int] = {}
        for row, held in enumerate(zip(*values, strict=True)):
            if row in self.unsound:
                continue
            if held in first:
                self.blame(row, column, f"{what}: ya está en la línea {self.lines[first[held]]}")
            else:
                first[held] = row

    def one_error_for_each_shifted_row(self) -> None:
        """In the report, replace the errors of a shifted row with one.

        A row is shifted if it is right with one cell less, or with one cell more. Three wrong cells are also taken for
        a shift: a person looks at the whole row anyway.
        """
        errors: dict[int, list[FileFinding]] = {}
        for one in self.report:
            if one.file == self.name and one.line and one.column:
                errors.setdefault(one.line, []).append(one)
        rows = {line: row for row, line in enumerate(self.lines) if len(errors.get(line, ())) > 1}
        for line, row in rows.items():
            found = errors[line]
            sentence = self._shift(row)
            if not sentence and len(found) > 2:
                sentence = f"{len(found)} celdas no son de su columna ({', '.join(one.column for one in found)})"
            if sentence:
                place = self.report.index(found[0])
                self.report[place] = replace(found[0], sentence=f"{sentence}; la primera: {found[0].sentence}")
                for one in found[1:]:
                    self.report.remove(one)

    def _shift(self, row: int) -> str:
        cells = [texts[row] for texts in self.columns.values()]
        parsers = [self.parsers.get(column) for column in self.columns]

        def right(cells: Sequence[str], but: int = -1) -> bool:
            return all(
                place == but or parse is None or _parses(parse, cell)
                for place, (parse, cell) in enumerate(zip(parsers, cells, strict=True))
            )

        places = range(len(cells))
        if any(right([*cells[:at], *cells[at + 1 :], ""]) for at in places):
            return "el renglón está recorrido: aquí o antes sobra una celda"
        if not cells[-1] and any(right([*cells[:at], "", *cells[at:-1]], at) for at in places):
            return "el renglón está recorrido: aquí o antes falta una celda"
        return ""


def _parses(parse: Callable[[str], object], cell: str) -> bool:
    try:
        parse(cell)
    except ValueError:
        return False
    return True


def read_table(
    name: str, content: bytes, columns: Sequence[str], *, optional: AbstractSet[str], report: list[FileFinding]
) -> CsvTable | None:
    """Read a file as a table. It must have these columns, in any order; the `optional` ones may be absent.

    Returns None, and adds the reasons to the report, if the columns cannot be found.
    """
    text = _decode_text(name, content, report)
    if text is None:
        return None
    rows, lines = _split_rows(name, text, report)
    if not rows:
        report.append(FileFinding(name, 1, "", "el archivo está vacío"))
        return None
    header = [cell.strip().lower() for cell in rows[0]]
    # Spreadsheets leave empty columns at the end.
    while header and not header[-1]:
        header.pop()
    # Excel with a Mexican or Spanish setting may save with semicolons; say so instead of «falta la columna».
    other = [mark for mark in ";|\t" if len(header) == 1 and mark in header[0]]
    if other:
        report.append(FileFinding(name, lines[0], "", f"las columnas se separan con coma, no con «{shown(other[0])}»"))
        return None
    wrong = [
        *((column, "falta la columna") for column in columns if column not in header and column not in optional),
        *((shown(column), "columna desconocida") for column in header if column not in columns),
        *((shown(column), "la columna está repetida") for column, times in Counter(header).items() if times > 1),
    ]
    report.extend(FileFinding(name, lines[0], column, sentence) for column, sentence in wrong)
    kept, at = _of_width(name, len(header), (rows[1:], lines[1:]), report)
    if wrong:
        return None
    cells = zip(*kept, strict=True) if kept else repeat(())
    # Rows of another width, or all rows after a broken one, are not in the table.
    faulty = any(one.file == name for one in report)
    return CsvTable(name, dict(zip(header, cells, strict=False)), at, report, faulty=faulty)


def _decode_text(name: str, content: bytes, report: list[FileFinding]) -> str | None:
    try:
        return plain_lines(without_bom(content.decode()))
    except UnicodeDecodeError as error:
        # Count the lines before the bad byte, so that the author finds it.
        line = plain_lines(content[: error.start].decode(errors="replace")).count("\n") + 1
        report.append(FileFinding(name, line, "", "no está en UTF-8; guárdelo como «CSV UTF-8»"))
    except ValueError as error:
        report.append(FileFinding(name, 1, "", str(error)))
    return None


def _split_rows(name: str, text: str, report: list[FileFinding]) -> tuple[list[list[str]], list[int]]:
    """The rows that are not blank, and for each the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    line = 1
    try:
        for cells in reader:
            if any(cells):
                rows.append(cells)
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        report.append(FileFinding(name, line, "", f"desde aquí no se puede separar en columnas: {broken_row(error)}"))
    return rows, lines


def broken_row(error: csv.Error) -> str:
    """Why a row cannot be separated into columns, in the words of its author; the library's are English."""
    if "field limit" in str(error):
        return f"una celda tiene más de {csv.field_size_limit():,} caracteres"
    return "hay una comilla de más o una sin cerrar"


def _of_width(
    name: str, width: int, found: tuple[list[list[str]], list[int]], report: list[FileFinding]
) -> tuple[list[list[str]], list[int]]:
    """The rows that are as wide as the header, and their lines. Others are reported; extra empty cells are cut off."""
    rows, lines = found
    if all(len(cells) == width for cells in rows):
        return rows, lines
    kept, at = [], []
    for cells, line in zip(rows, lines, strict=True):
        # A row of another width has an unquoted comma: its cells would move to wrong columns.
        if len(cells) < width or any(cells[width:]):
            report.append(FileFinding(name, line, "", f"tiene {len(cells)} columnas y el encabezado {width}"))
        else:
            kept.append(cells[:width])
            at.append(line)
    return kept, at
