"""From the bytes of an official file to its lines and cells, and to the title, hour and summary above the rows.

Programs that export glue parts of different origin together: one file may hold its title in one encoding and its rows
in another. So each line is decoded by itself (`docs/rules.md` §6).
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from itertools import pairwise
from typing import Final, NoReturn

from prep.domain.tally import SUMMARY_NAMES
from prep.errors import Rejected
from prep.files.csv_tables import bare, broken_row, shown, whole, without_bom
from prep.files.official_words import canonical_column, column_name, nothing

_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
DELIMITERS: Final = ("|", ",", ";", "\t")
PREAMBLE_LINES: Final = 60
"""The column header stands within the first lines of a file, or the file is something else."""
_LONGEST_CELL: Final = 20_000
_TWICE: Final = re.compile(
    "[\u00c2\u00c3][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)
"""UTF-8 read as Windows-1252 and written as UTF-8 once more: É as Ã‰."""
_OTHER_PAGE: Final = re.compile("[A-Za-z][‚ƒ¡¢£¤¥µÖ](?=[A-Za-z]{2})|[\x80-\x9f\ufffd]")
"""Accents of the code pages of DOS inside words: the bytes are in an encoding that is not read here."""

_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
"""Letters without a shape, which people copy out of other programs without knowing."""

_SUMMARY_FIRST: Final = SUMMARY_NAMES[0]
_SUMMARY_SYNONYMS: Final = {
    "ACTAS_FUERA_DE_CATALOGO": "ACTAS_FUERA_CATALOGO",
    "PORCENTAJE_ACTAS_CON_INCONSISTENCIAS": "PORCENTAJE_ACTAS_INCONSISTENCIAS",
    "LISTA_NOMINAL_ACTAS_CONTABILZADAS": "LISTA_NOMINAL_ACTAS_CONTABILIZADAS",
    "PORCENTAJE_PARTICIPACION": "PORCENTAJE_PARTICIPACION_CIUDADANA",
}
_DIGITS: Final = re.compile(r"\d{1,18}", re.ASCII)
_DECIMAL: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_MONTHS: Final = ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic")
_MOMENT: Final = re.compile(
    r"(?<![0-9])(?P<a>[0-9]{1,4})"
    rf"(?:[/.-](?P<b>[0-9]{{1,2}})[/.-]|(?:[/.-]| de | )(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?(?:[/.,-]| del? | ) ?)"
    r"(?P<c>[0-9]{1,4})(?![0-9])"
    r"(?:(?:[ T]|,| -| a las)+ ?(?P<hour>[0-9]{1,2})[:.h](?P<minute>[0-9]{2})"
    r"(?:[:.](?P<second>[0-9]{2})(?:[.,][0-9]+)?)?)?"
    r"(?: ?(?P<half>[ap]\.? ?m\b\.?|(?:de la )?(?:tarde|noche)))?",
    re.IGNORECASE,
)
_HOUR: Final = re.compile(r"[0-9][:h][0-9]{2}")
_OF_CELL: Final = re.compile(r"(?P<utc>Z)|(?P<sign>[+-])(?P<hours>[01][0-9])(?::?(?P<minutes>[0-9]{2}))?")
"""The offset directly behind an hour, as in ISO 8601."""
_ORDER: Final = re.compile(r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-][0-9]{2,4}(?![0-9])")
_MOST_MONTHS: Final = 12
_OFFSET: Final = re.compile(r"\b(?:UTC|GMT)(?:\s*([+\u2212\u2013-])\s*(\d+)(?::?(\d{2}))?)?", re.IGNORECASE | re.ASCII)
_FARTHEST: Final = timedelta(hours=14)
"""No place on Earth is farther from UTC."""


def refuse(line: int, column: str, sentence: str) -> NoReturn:
    """Raise Rejected with the line of the person's own file, and with the column unless it is ""."""
    where = f"línea {line}, columna {column}" if column else f"línea {line}"
    raise Rejected(f"{where}: {sentence}")


# --- lines and cells --------------------------------------------------------------------------------------------------


def read_lines(data: bytes) -> list[str]:
    """The lines, each decoded by itself. Raises Rejected, with its line, for bytes in no encoding that is known."""
    if data.startswith(_UTF16):
        refuse(1, "", "el archivo está en UTF-16; guárdelo como CSV en UTF-8")
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    try:
        lines[0] = without_bom(lines[0].decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    except ValueError as error:
        refuse(1, "", str(error))
    return [_decode(line, number) for number, line in enumerate(lines, start=1)]


def _decode(line: bytes, number: int) -> str:
    if b"\0" in line:
        refuse(number, "", "contiene un carácter nulo: no es un archivo de texto")
    if line.isascii():
        return line.decode("ascii")
    text = _INVISIBLE.sub("", _TWICE.sub(_once, _pieces(line)))
    if _OTHER_PAGE.search(text):
        refuse(number, "", "sus acentos están en una codificación que no se conoce; guarde el archivo en UTF-8")
    return text


def _once(found: re.Match[str]) -> str:
    """Undo a second encoding of these letters. No Spanish text has such pairs."""
    pair = "".join(letter if letter < "\u0100" else letter.encode("cp1252").decode("latin-1") for letter in found[0])
    try:
        return pair.encode("latin-1").decode()
    except UnicodeError:
        return found[0]


def _pieces(line: bytes) -> str:
    """Decode as UTF-8, and as Windows-1252 the bytes that are not UTF-8."""
    text = ""
    while line:
        try:
            return text + line.decode()
        except UnicodeDecodeError as error:
            text += line[: error.start].decode() + line[error.start : error.end].decode("cp1252", "replace")
            line = line[error.end :]
    return text


def find_header(lines: Sequence[str]) -> tuple[str, int]:
    """The delimiter, and the index of the line with the names of the columns."""
    stated = [line[4] for line in lines[:1] if re.match("sep=.", line, re.IGNORECASE)]
    for index, line in enumerate(lines[:PREAMBLE_LINES]):
        for delimiter in (*stated, *DELIMITERS):
            names = {canonical_column(cell) for cell in line.split(delimiter)}
            if {"SECCION", "TIPO_CASILLA"} <= names or {"CLAVE_CASILLA", "CONTABILIZADA"} <= names:
                return delimiter, index
    raise Rejected("no es un archivo de resultados del PREP: ninguna línea nombra las columnas SECCION y TIPO_CASILLA")


def read_rows(lines: Sequence[str], delimiter: str, before: int) -> list[tuple[int, list[str]]]:
    """The header and the rows behind it, each with its first line; blank rows are skipped, short ones refused."""
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    line = before + 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                rows.append((line, cells))
            line = before + reader.line_num + 1
    except csv.Error as error:
        refuse(line, "", f"el renglón no se puede separar en columnas: {broken_row(error)}")
    width = len(rows[0][1])
    while width and not rows[0][1][width - 1].strip():
        width -= 1
    return [(line, _fit(line, cells, width)) for line, cells in rows]


def _fit(line: int, cells: list[str], width: int) -> list[str]:
    if len(cells) < width or any(cell.strip() for cell in cells[width:]):
        refuse(line, "", f"tiene {len(cells)} columnas y el encabezado {width}")
    if max(map(len, cells)) > _LONGEST_CELL:
        refuse(line, "", "una celda es demasiado larga")
    return cells[:width]


# --- title, hour, summary ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OfficialPreamble:
    """The lines above the rows."""

    title: str
    moment: str
    """The hour of the corte as printed."""
    told_in: int
    """The line of that hour, from 1; 0 if the file states none."""
    summary: dict[str, str]
    """By canonical name; "" if the file states no value."""
    notes: tuple[str, ...] = ()
    """The names of the summary that nobody knows."""


def read_preamble(lines: Sequence[str], delimiter: str) -> OfficialPreamble:
    """Raises Rejected if there is no summary, or if one of its values is not a number."""
    told = [
        (number, cells)
        for number, line in enumerate(lines, start=1)
        if not line.lower().startswith("sep=") and (cells := _cells_of(line, delimiter))
    ]
    title, moment, told_in, summary = "", "", 0, {}
    for (number, cells), following in pairwise([*told, (0, [])]):
        if _SUMMARY_FIRST in map(column_name, cells):
            summary = _read_summary(cells, following)
            break
        line = " ".join(" ".join(cells).split())
        found = _MOMENT.match(line) or (_MOMENT.search(line) if title else None)
        # The day of the election may stand above the hour of the corte.
        if found and (not moment or (found["hour"] and not _MOMENT.search(moment)["hour"])):  # type: ignore[index]  # matched above
            moment, told_in = line, number
        elif not title:
            title = ", ".join(" ".join(cell.split()) for cell in cells if cell.strip())
    else:
        raise Rejected(f"no es un archivo de resultados del PREP: falta el resumen que comienza con {_SUMMARY_FIRST}")
    strange = [name for name in summary if name not in SUMMARY_NAMES]
    notes = tuple(f"resumen: no se conoce {shown(name)}; no se compara" for name in strange if name)
    # A value under another name, or under none, is not stated: the report names it.
    known = {name: summary.get(name, "") for name in SUMMARY_NAMES}
    return OfficialPreamble(title, moment, told_in, known, notes)


def _cells_of(line: str, delimiter: str) -> list[str]:
    """The cells of one line without the empty ones at its end; [] of a blank line."""
    cells = next(csv.reader([line], delimiter=delimiter), [])
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def _read_summary(names: Sequence[str], following: tuple[int, list[str]]) -> dict[str, str]:
    number, values = following
    if len(values) > len(names):
        refuse(
            number,
            "",
            f"el resumen tiene {len(names)} nombres y {len(values)} valores (¿comas de millares sin comillas?)",
        )
    canonical = [_SUMMARY_SYNONYMS.get(name, name) for name in map(column_name, names)]
    values = [*values, *[""] * (len(names) - len(values))]
    return {name: _summary_value(name, value, number) for name, value in zip(canonical, values, strict=True)}


def _summary_value(name: str, cell: str, line: int) -> str:
    text = bare(cell).removesuffix("%").strip()
    if nothing(text):
        return ""
    percentage = name.startswith("PORCENTAJE")
    text = text.replace(",", ".") if percentage else whole(text)
    if not (_DECIMAL if percentage or name not in SUMMARY_NAMES else _DIGITS).fullmatch(text):
        refuse(line, name, f"«{cell.strip()}» no es un número")
    return text


# --- hours ------------------------------------------------------------------------------------------------------------


def month_stands_first(texts: Iterable[str]) -> bool:
    """Whether a file has the month before the day: some dates can only be so, and none can only be otherwise."""
    pairs = {(int(found[1]), int(found[2])) for text in texts if (found := _ORDER.match(text.strip()))}
    return any(second > _MOST_MONTHS for _, second in pairs) and all(first <= _MOST_MONTHS for first, _ in pairs)


def read_moment(text: str, zone: timezone, *, month_first: bool = False) -> datetime | None:
    """A date and hour as files print them, in `zone`: dd/mm/yyyy, yyyy-mm-dd, 3-jun-2019, 7:05 p. m., 24:00.

    An offset directly behind the hour is obeyed. None if there is no date, if it is no day, or if a number beside it is
    not understood: an hour that is dropped would be read as midnight.
    """
    plain = " ".join(text.split())
    found = _MOMENT.search(plain)
    if found is None:
        return None
    behind = plain[found.end() :]
    stated = _OF_CELL.match(behind.lstrip()) if found["hour"] else None
    behind = behind.lstrip()[stated.end() :] if stated else _OFFSET.sub("", behind)
    if _HOUR.search(plain[: found.start()]) or re.search("[0-9]", behind):
        return None
    first, third = int(found["a"]), int(found["c"])
    second = int(found["b"]) if found["b"] else 1 + _MONTHS.index(found["month"].lower())
    year, month, day = (first, second, third) if len(found["a"]) == len("aaaa") else (third, second, first)
    if month_first and found["b"] and len(found["a"]) < len("aaaa"):
        month, day = day, month
    hour = int(found["hour"] or 0)
    if found["half"]:
        hour = hour % 12 + (0 if found["half"].lower().startswith("a") else 12)
    midnight = hour == _END_OF_DAY and not int(found["minute"] or 0)
    year += 2000 if len(str(year)) <= len("aa") else 0
    if stated:
        shift = timedelta(hours=int(stated["hours"] or 0), minutes=int(stated["minutes"] or 0))
        own = timezone(-shift if stated["sign"] == "-" else shift)
    else:
        own = zone
    try:
        at = datetime(year, month, day, tzinfo=own)
        if not midnight:
            at = at.replace(hour=hour, minute=int(found["minute"] or 0), second=int(found["second"] or 0))
        return (at + timedelta(days=midnight)).astimezone(zone)
    except (ValueError, OverflowError):
        return None


_END_OF_DAY: Final = 24


def stated_zone(text: str, line: int) -> tuple[timezone, str] | None:
    """The offset that a file states, and its name: (UTC-6), (UTC -7), GMT-5, (UTC). None if it states none.

    Raises Rejected, with `line`, for an offset that no place has. It is not read as "none": all hours would be wrong.
    """
    found = _OFFSET.search(text)
    if found is None:
        return None
    sign, hours, minutes = found.groups()
    if hours and minutes is None and len(hours) == len("0600"):
        hours, minutes = hours[:2], hours[2:]
    if sign is None:
        return timezone(timedelta()), "UTC"
    far = len(hours) > len("14") or int(minutes or 0) >= 60
    if far or (away := timedelta(hours=int(hours), minutes=int(minutes or 0))) > _FARTHEST:
        refuse(line, "", f"«{found[0]}» no es la diferencia de ninguna zona horaria con UTC")
    plain = "+" if sign == "+" else "-"
    return timezone(away if sign == "+" else -away), f"UTC{plain}{hours}{':' + minutes if minutes else ''}"


_CENTRAL: Final = -6
_OFFSETS: Final = {2: -8, 3: -7, 8: -7, 18: -7, 23: -5, 25: -7, 26: -7}
"""Standard time by entidad; Central time elsewhere."""
_CHIHUAHUA, _BAJA_CALIFORNIA, _QUINTANA_ROO, _SONORA = 8, 2, 23, 26
_LAST_SUMMER: Final = 2022
"""Daylight time ended in October 2022, except along the border with the United States."""


@lru_cache(maxsize=4096)
def zone_of(entidad: int | None, on: date) -> timezone:
    """The standard or daylight time of a state on a day, for a file that does not state its offset."""
    hours = _OFFSETS.get(entidad or 0, _CENTRAL)
    if entidad == _QUINTANA_ROO and on < date(2015, 2, 1):
        hours = _CENTRAL
    if entidad == _CHIHUAHUA and on >= date(2022, 10, 30):
        return timezone(timedelta(hours=_CENTRAL))
    return timezone(timedelta(hours=hours + _summer(entidad, on)))


def _summer(entidad: int | None, on: date) -> int:
    if entidad == _SONORA or (entidad == _QUINTANA_ROO and on >= date(2015, 2, 1)):
        return 0
    if entidad == _BAJA_CALIFORNIA and on.year >= 2010:  # as California since then
        return int(_sunday(on.year, 3, 2) <= on < _sunday(on.year, 11, 1))
    return int(on.year <= _LAST_SUMMER and _sunday(on.year, 4, 1) <= on < _sunday(on.year, 10, -1))


def _sunday(year: int, month: int, nth: int) -> date:
    """The nth Sunday of a month; -1 for its last."""
    if nth < 0:
        last = date(year, month + 1, 1) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() + 1) % 7)
    first = date(year, month, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (nth - 1))
