"""Read the result files that institutes have really published, of every dialect, into one shape.

The format is Anexo 18.5 (`docs/rules.md` §6): title, date of the corte, thirteen summary values, one row for each acta.
Files differ in encoding, delimiter, line ends, names of columns, dates, and in the words for a field without a number.
This module hides these differences, with its neighbours `official_text.py` (lines) and `official_words.py` (meanings).
Each row keeps its cells as printed (`OfficialRow.printed`) beside their meaning. A row without an acta (sin acta, not
captured yet, fuera de catálogo) holds no readings: zeros, blanks, "Sin acta" and "-" all become None.

This module never guesses. With an unknown word it refuses the file, with line and text; if the person asked for it, it
marks the row instead (`OfficialRow.unknown`). It names each unknown column (`OfficialFile.notes`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timezone
from enum import StrEnum
from itertools import combinations
from typing import Final

from prep.domain.catalog import Ambito, TipoCasilla
from prep.domain.entry import Field
from prep.domain.rules import SIN_ACTA, Observation
from prep.files.csv_tables import bare, code, shown, whole
from prep.files.official_text import (
    find_header,
    month_stands_first,
    read_lines,
    read_moment,
    read_preamble,
    read_rows,
    refuse,
    stated_zone,
    zone_of,
)
from prep.files.official_words import (
    COALITION_MARKS,
    CONTABILIZADA,
    HEADER_COLUMNS,
    NO_TEXTS,
    SYNONYMS,
    UBICACION,
    Texts,
    canonical_column,
    casilla_type,
    column_name,
    combination,
    fold,
    nearly,
    nothing,
    observations,
    office_column,
    party,
    read_cell,
    says_sin_acta,
    understand,
)

COLUMNS: Final = frozenset(SYNONYMS)
"""Canonical names of every column that is no vote for somebody: those of INE 2023, for federal and local elections."""
_NEEDED: Final = ("SECCION", "NULOS", "TOTAL_VOTOS_CALCULADO", "LISTA_NOMINAL", "OBSERVACIONES", "CONTABILIZADA")
_OF_KEY: Final = ("ID_ENTIDAD", "ID_CASILLA", "TIPO_CASILLA")
"""Needed if the file has no CLAVE_CASILLA."""

_ORIGINS: Final = {"CASILLA": "CASILLA", "CATD": "CATD", "CCV": "CCV"}
_DEVICES: Final = {"MOVIL": "Móvil", "ESCANER": "Escáner", "URNA": "Urna", "URNA ELECTRONICA": "Urna"}
_OUT_OF_CATALOGUE: Final = 3
"""UBICACION_CASILLA of an acta that is fuera de catálogo."""
_DATES: Final = ("FECHA_HORA_ACOPIO", "FECHA_HORA_CAPTURA", "FECHA_HORA_VERIFICACION")
_DIGITS: Final = re.compile(r"\d{1,18}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9A-Fa-f]{32,128}", re.ASCII)
_COTEJADA: Final = frozenset({"0", "1", "2", "3", "SI", "NO"})
_PLACES: Final = frozenset({1, 2, _OUT_OF_CATALOGUE})
"""Of UBICACION_CASILLA."""
_INDEPENDENT: Final = re.compile(r"C_I_.+|(CAND|CANDIDAT[OA]|CANDIDATURA)?[-_ ]?(IND|CI)([-_ ]|\d|EPENDIENTE|$).*")
_MARKED: Final = re.compile(rf"({'|'.join(sorted(COALITION_MARKS))})[-_].+")
_MOST_SUMS: Final = 3
"""Columns that are sums of others, at the most."""
_FEWEST_WRONG: Final = 2
"""One row with a wrong sum proves nothing about a column."""


class Status(StrEnum):
    """The state of a row. Only CAPTURADA rows hold readings of an acta."""

    CAPTURADA = "capturada"
    SIN_ACTA = "sin_acta"
    ESPERADA = "esperada"
    """In the catalogue, not captured at that corte."""
    FUERA_DE_CATALOGO = "fuera_de_catalogo"


@dataclass(frozen=True, slots=True)
class OfficialRow:
    """One acta as an institute published it. Identity numbers are None if the file holds no number."""

    line: int
    """Physical line in the file, from 1."""
    key: str
    """CLAVE_ACTA; fuera de catálogo, the identity as read, with "#2" for the second of the same identity."""
    clave_casilla: str
    clave_acta: str
    """Without apostrophes; "" if the file has none."""
    entidad: int | None
    entidad_nombre: str
    distrito: int | None
    distrito_nombre: str
    municipio: int | None
    municipio_nombre: str
    seccion: int | None
    numero: int | None
    tipo: str
    ext_contigua: int | None
    ubicacion: int | None
    tipo_acta: str
    header: tuple[Field | None, ...]
    """In the order of `entry.HEADER`; None for "-", or if the file lacks the column."""
    cells: tuple[Field | None, ...]
    """In the order of `OfficialFile.vote_columns`; None if the option is not on the ballot ("-")."""
    total_asentado: Field | None
    total_calculado: int | None
    lista_nominal: int | None
    representantes: int | None
    observations: tuple[str, ...]
    """The texts as printed, one by one."""
    meanings: tuple[frozenset[Observation], ...]
    """The criteria that each text may stand for."""
    status: Status
    contabilizada: str
    """"1", "0", "2" or "-"."""
    traslado: str
    hash: str | None
    acopio: datetime | None
    captura: datetime | None
    verificacion: datetime | None
    """Times are aware, in the file's offset; None if absent or not a date. Years typed by hand are kept."""
    origen: str
    """"CASILLA", "CATD" or "" (other texts as printed)."""
    digitalizacion: str
    """"Móvil", "Escáner", "Urna" or "" (other texts as printed)."""
    tipo_documento: str
    cotejada: str
    printed: tuple[str, ...]
    """Every cell as printed in the file, in the order of `OfficialFile.columns`."""
    unknown: str = ""
    """The words of this row that nobody understands. If there are any, its readings must not be used."""
    identified: bool = True
    """Whether its columns name a casilla. A row with `unknown` words may name none."""

    @property
    def clave(self) -> str:
        """CLAVE_CASILLA, built from the identity."""
        numbers = (self.seccion or 0, self.tipo, self.numero or 0, self.ext_contigua or 0)
        return f"{self.entidad or 0:02}{numbers[0]:04}{numbers[1]}{numbers[2]:02}{numbers[3]:02}"

    @property
    def observed(self) -> frozenset[Observation]:
        """Every criterion that the texts may stand for."""
        return frozenset().union(*self.meanings)


@dataclass(frozen=True)
class OfficialFile:
    """A whole result file in canonical words."""

    title: str
    at: datetime | None
    """The moment of the corte, in the file's own offset."""
    offset: str
    """As printed, as "UTC-6"; "" if the file states none. Then the offset of the state on that day is used."""
    summary: dict[str, str]
    """By canonical name: digits without thousands separators, percentages without sign; "" if the file states none."""
    columns: tuple[str, ...]
    """Canonical names of all columns, in file order."""
    vote_columns: tuple[str, ...]
    """Canonical names of the vote fields, in ballot order: PAN, PAN-PRI for C_PAN_PRI, NO_REGISTRADAS, NULOS."""
    printed_vote_columns: tuple[str, ...]
    """The same columns by the file's own names."""
    rows: list[OfficialRow]
    notes: tuple[str, ...] = field(default=())
    """Facts about the reading for a person: unknown columns, sums, which of two columns is believed."""

    @property
    def ambito(self) -> Ambito:
        return Ambito.FEDERAL if "ID_DISTRITO_FEDERAL" in self.columns else Ambito.LOCAL

    @property
    def catalogued(self) -> list[OfficialRow]:
        """The rows of expected actas: all but fuera de catálogo, and but rows of no casilla."""
        return [row for row in self.rows if row.status is not Status.FUERA_DE_CATALOGO and row.identified]


def read_official(data: bytes, *, texts: Texts = NO_TEXTS, skip_unknown: bool = False) -> OfficialFile:
    """A result file of any dialect of `docs/rules.md` §6, our own included.

    `texts` are those of the rule set; they are compared before any other word. With `skip_unknown`, a row with an
    unknown word is marked and not refused. Raises Rejected, with line and column, if the file is of another kind or a
    cell has an unknown word.
    """
    lines = read_lines(data)
    delimiter, start = find_header(lines)
    preamble = read_preamble(lines[:start], delimiter)
    header, *body = read_rows(lines[start:], delimiter, start)
    again = [line for line, cells in body if cells == header[1]]
    body = [(line, cells) for line, cells in body if line not in again]
    layout = _Layout.of(header[1], line=header[0])
    stated = stated_zone(preamble.moment, preamble.told_in)
    zone = stated[0] if stated else _state_zone(layout, body, preamble.moment)
    dates = [layout.place[name] for name in _DATES if name in layout.place]
    month_first = month_stands_first(cells[place] for _, cells in body for place in dates)
    tried = (read_moment(preamble.moment, zone, month_first=order) for order in (month_first, not month_first))
    at = next((moment for moment in tried if moment), None)
    if at is None and preamble.told_in:
        refuse(preamble.told_in, "", f"«{shown(preamble.moment)}» no es una fecha y hora que se entienda")
    reader = _Reader(layout, zone, texts, skip_unknown=skip_unknown, month_first=month_first)
    rows = [reader.row(line, cells) for line, cells in body]
    rows, believed = _believed(rows, layout.columns)
    rows = [_identified(row, layout, skip_unknown=skip_unknown) for row in rows]
    _refuse_twice(rows)
    repeated = [f"línea {line}: repite el encabezado; no se usa" for line in again]
    votes, summed = _without_sums(rows, layout.vote_columns)
    places = [layout.votes[place] for place in votes]
    if len(votes) < len(layout.votes):
        rows = [replace(row, cells=tuple(row.cells[place] for place in votes)) for row in rows]
    return OfficialFile(
        title=preamble.title,
        at=at,
        offset=stated[1] if stated else "",
        summary=preamble.summary,
        columns=layout.columns,
        vote_columns=tuple(layout.columns[place] for place in places),
        printed_vote_columns=tuple(header[1][place].strip() for place in places),
        rows=_with_unique_keys(rows),
        notes=(*preamble.notes, *repeated, *layout.notes, *reader.notes, *_repeated_keys(rows), *summed, *believed),
    )


def _state_zone(layout: "_Layout", body: Sequence[tuple[int, list[str]]], moment: str) -> timezone:
    at = read_moment(moment, UTC)
    place = layout.place.get("ID_ENTIDAD", layout.place.get("CLAVE_CASILLA"))
    told = "" if place is None or not body else bare(body[0][1][place])[:2]
    return zone_of(int(told) if _DIGITS.fullmatch(told) else None, at.date() if at else date.today())  # noqa: DTZ011


# --- columns ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """The place of each canonical column in this file."""

    columns: tuple[str, ...]
    place: Mapping[str, int]
    votes: tuple[int, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, header: Sequence[str], *, line: int) -> "_Layout":
        told = [canonical_column(name) for name in header]
        names = [*told]
        for place, name in enumerate(told):
            office = office_column(name) or _of_own_office(told, place)
            if office and office not in names:
                names[place] = office
        notes = []
        for place, name in enumerate(names):
            other = "" if name in COLUMNS else nearly(name)
            if other and other not in names:
                notes.append(f"columna {column_name(header[place])}: no se conoce; se toma por {other}")
                names[place] = other
        _refuse_doubled(names, line)
        votes = _vote_places(names, line)
        for place, name in zip(votes, _canonical_votes([names[place] for place in votes], line), strict=True):
            names[place] = name
        _refuse_doubled(names, line)
        for place in votes:
            try:
                code(names[place])
            except ValueError as error:
                refuse(line, shown(column_name(header[place])), str(error))
        for place, name in enumerate(names):
            if name not in COLUMNS and place not in votes:
                notes.append(f"columna {column_name(header[place])}: no se conoce; no se usa")
        for name in (*_NEEDED, *(_OF_KEY if "CLAVE_CASILLA" not in names else ())):
            if name not in names:
                refuse(line, name, "falta la columna")
        return cls(tuple(names), {name: index for index, name in enumerate(names)}, votes, tuple(notes))

    @property
    def vote_columns(self) -> tuple[str, ...]:
        return tuple(self.columns[place] for place in self.votes)


def _of_own_office(names: Sequence[str], place: int) -> str:
    """The column of the local district, for ID_X or X of a kind of territory X that only its institute knows.

    Such a file has both columns, next to each other and among those of the identity; "" for any other column.
    """
    name = names[place]
    kind = name.removeprefix("ID_")
    pair = [f"ID_{kind}", kind]
    first = place if name == pair[0] else place - 1
    among = "SECCION" in names and 0 <= first < names.index("SECCION")
    if not among or {*pair} & COLUMNS or list(names[first : first + 2]) != pair:
        return ""
    return "ID_DISTRITO_LOCAL" if name == pair[0] else "DISTRITO_LOCAL"


def _refuse_doubled(names: Sequence[str], line: int) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            refuse(line, name, "la columna está dos veces")


_BEFORE_VOTES: Final = frozenset([*SYNONYMS][: [*SYNONYMS].index("NO_REGISTRADAS")])


def _vote_places(names: Sequence[str], line: int) -> tuple[int, ...]:
    """The places of the vote fields: between the quantities at the top of the acta and its totals."""
    if "NULOS" not in names:
        refuse(line, "NULOS", "falta la columna")
    before = max(
        (index for index, name in enumerate(names) if name in _BEFORE_VOTES and index < names.index("NULOS")),
        default=-1,
    )
    places = []
    for index in range(before + 1, len(names)):
        if names[index] in {"NO_REGISTRADAS", "NULOS"} or names[index] not in COLUMNS:
            places.append(index)
        else:
            break
    return tuple(places)


def _canonical_votes(names: Sequence[str], line: int) -> list[str]:
    """PAN-PRI for C_PAN_PRI and PAN_PRI, if each part has a column of its own; other names stay as they are.

    CC_PAN_PRI is a candidatura común and C_I_X an independent: neither is a combination. A party may have a short name
    (M) in its own column and its full name in a combination (MORENA_PT). It is found if only one party fits.
    """
    singles: list[str] = []
    joined: dict[str, str] = {}
    for name in sorted(names, key=lambda name: len(re.split(r"[-_]", name))):
        if name in COLUMNS or name.startswith(("CC_", "CC-")) or _INDEPENDENT.fullmatch(name):
            continue
        parts = combination(name, singles) or _spelt_out(name, singles, line)
        if parts:
            joined[name] = "-".join(parts)
        else:
            singles.append(name)
    return [joined.get(name, name) for name in names]


def _spelt_out(name: str, singles: Sequence[str], line: int) -> tuple[str, ...]:
    """The parties of a combination that spells some of them in another way; () for a name without any party.

    Raises Rejected for a name of parties and of another word.
    """
    words = re.split(r"[-_]", name)
    if _MARKED.fullmatch(name):
        words = words[1:]
    if len(words) < 2 or not any(word in singles for word in words):  # a combination joins two
        return ()
    meant = [party(word, singles) for word in words]
    strange = [word for word, found in zip(words, meant, strict=True) if not found]
    if strange:
        refuse(line, name, f"«{shown(strange[0])}» no es el nombre de ningún partido con columna propia")
    if len(set(meant)) < len(meant):
        refuse(line, name, "nombra dos veces al mismo partido")
    return tuple(meant)


def _without_sums(rows: Sequence[OfficialRow], names: Sequence[str]) -> tuple[list[int], list[str]]:
    """The places of the real vote columns, and notes on the columns that only sum others (a coalition's subtotal).

    A column is a sum if in every row the votes agree with TOTAL_VOTOS_CALCULADO without it, and do not agree with it.
    """
    every = [*range(len(names))]
    read = [
        ([cell if isinstance(cell, int) else 0 for cell in row.cells], row.total_calculado)
        for row in rows
        if row.status is Status.CAPTURADA and row.total_calculado is not None and not row.unknown
    ]
    wrong = [(cells, sum(cells) - total) for cells, total in read if sum(cells) != total]
    if len(wrong) < _FEWEST_WRONG or any(extra < 0 for _, extra in wrong):
        return every, []
    able = [place for place in every if names[place] not in COLUMNS and any(cells[place] for cells, _ in wrong)]
    for size in range(1, _MOST_SUMS + 1):
        for tried in combinations(able, size):
            if all(sum(cells[place] for place in tried) == extra for cells, extra in wrong):
                right = all(sum(cells) - sum(cells[place] for place in tried) == total for cells, total in read)
                if right:
                    notes = [f"columna {names[place]}: es una suma de otras, no un voto; no se usa" for place in tried]
                    return [place for place in every if place not in tried], notes
    return every, []


# --- rows -------------------------------------------------------------------------------------------------------------


class _Reader:
    """Turn the cells of a line into a row. `_doubts` holds the unknown words of the present line."""

    def __init__(self, layout: _Layout, zone: timezone, texts: Texts, *, skip_unknown: bool, month_first: bool) -> None:
        self.place, self.columns, self.votes = layout.place, layout.columns, layout.votes
        self.zone, self.texts, self.skip_unknown, self.month_first = zone, texts, skip_unknown, month_first
        self._line = 0
        self._doubts: list[str] = []
        self._odd: dict[str, list[tuple[int, str]]] = {}
        """Column → line and text of the cells that no reading needs and nobody understands."""

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each column with such cells, and one for dates in another order than the usual."""
        order = ("fechas: el mes está antes del día",) if self.month_first else ()
        return order + tuple(
            f"columna {column}: no se conoce «{shown(found[0][1])}» (línea {found[0][0]}; {_rows(len(found))} así)"
            for column, found in self._odd.items()
        )

    def _note_unless(self, known: object, column: str, text: str) -> None:
        if not known and not nothing(text):
            self._odd.setdefault(column, []).append((self._line, text))

    def row(self, line: int, cells: list[str]) -> OfficialRow:
        self._line, self._doubts = line, []
        said = observations(self._text(cells, "OBSERVACIONES"), self.texts)
        meanings = tuple(self._meaning(text) for text in said)
        contabilizada = self._contabilizada(cells)
        ubicacion = self._ubicacion(cells)
        votes = self._fields(cells, self.votes)
        header = self._fields(cells, [self.place.get(name) for name in HEADER_COLUMNS])
        (total,) = self._fields(cells, [self.place.get("TOTAL_VOTOS_ASENTADO")])
        status = self._status(cells, meanings, contabilizada, ubicacion)
        captured = status is Status.CAPTURADA
        origen, digitalizacion = _origin(self._text(cells, "ORIGEN"), self._text(cells, "DIGITALIZACION"))
        cotejada, digest = self._text(cells, "COTEJADA"), self._word(cells, "CODIGO_INTEGRIDAD")
        self._note_unless(origen in _ORIGINS.values(), "ORIGEN", origen)
        self._note_unless(digitalizacion in _DEVICES.values(), "DIGITALIZACION", digitalizacion)
        self._note_unless(fold(cotejada) in _COTEJADA, "COTEJADA", cotejada)
        self._note_unless(_DIGEST.fullmatch(digest), "CODIGO_INTEGRIDAD", digest)
        tipo = casilla_type(self._word(cells, "TIPO_CASILLA"))
        clave = self._word(cells, "CLAVE_CASILLA")
        self._note_unless(_CLAVE.fullmatch(clave.upper()) or not captured, "CLAVE_CASILLA", clave)
        return OfficialRow(
            line=line,
            key=self._key(cells, status),
            clave_casilla=clave,
            clave_acta=self._word(cells, "CLAVE_ACTA"),
            entidad=self._id(cells, "ID_ENTIDAD"),
            entidad_nombre=self._word(cells, "ENTIDAD"),
            distrito=self._id(cells, self._district("ID_")),
            distrito_nombre=self._word(cells, self._district("")),
            municipio=self._id(cells, "ID_MUNICIPIO"),
            municipio_nombre=self._word(cells, "MUNICIPIO"),
            seccion=self._id(cells, "SECCION"),
            numero=self._numbered(cells, "ID_CASILLA", tipo.numero),
            tipo=tipo.tipo,
            ext_contigua=self._numbered(cells, "EXT_CONTIGUA", tipo.ext_contigua),
            ubicacion=ubicacion,
            tipo_acta=self._word(cells, "TIPO_ACTA"),
            header=header if captured else (None,) * len(header),
            cells=votes if captured else (None,) * len(votes),
            total_asentado=total if captured else None,
            total_calculado=self._number(cells, "TOTAL_VOTOS_CALCULADO"),
            lista_nominal=self._number(cells, "LISTA_NOMINAL"),
            representantes=self._number(cells, "REPRESENTANTES_PP_CI"),
            observations=said,
            meanings=meanings,
            status=status,
            contabilizada=contabilizada,
            traslado=self._word(cells, "MECANISMOS_TRASLADO"),
            hash=digest or None,
            acopio=self._moment(cells, "FECHA_HORA_ACOPIO"),
            captura=self._moment(cells, "FECHA_HORA_CAPTURA"),
            verificacion=self._moment(cells, "FECHA_HORA_VERIFICACION"),
            origen=origen,
            digitalizacion=digitalizacion,
            tipo_documento=self._word(cells, "TIPO_DOCUMENTO"),
            cotejada=cotejada or "-",
            printed=tuple(cells),
            unknown="; ".join(self._doubts),
        )

    def _doubt(self, column: str, sentence: str) -> None:
        """Refuse the file. If the person asked for it, mark the row instead."""
        if not self.skip_unknown:
            refuse(self._line, column, sentence)
        self._doubts.append(f"línea {self._line}, columna {column}: {sentence}")

    def _text(self, cells: Sequence[str], column: str) -> str:
        place = self.place.get(column)
        return "" if place is None else bare(cells[place])

    def _word(self, cells: Sequence[str], column: str) -> str:
        text = " ".join(self._text(cells, column).split())
        return "" if nothing(text) else text

    def _numbered(self, cells: Sequence[str], column: str, beside: int | None) -> int | None:
        """The number of the column, or the one that stands beside the type. ID_CASILLA may say B1 and C02 too."""
        text = self._text(cells, column)
        if nothing(text):
            return beside
        inside = casilla_type(text).numero if column == "ID_CASILLA" else None
        return inside if inside is not None else self._id(cells, column)

    def _id(self, cells: Sequence[str], column: str) -> int | None:
        text = whole(self._text(cells, column))
        self._note_unless(_DIGITS.fullmatch(text), column, text)
        return int(text) if _DIGITS.fullmatch(text) else None

    def _moment(self, cells: Sequence[str], column: str) -> datetime | None:
        text = self._text(cells, column)
        found = read_moment(text, self.zone, month_first=self.month_first)
        self._note_unless(found, column, text)
        return found

    def _number(self, cells: Sequence[str], column: str) -> int | None:
        text = self._text(cells, column)
        try:
            found = read_cell(text)
        except ValueError:
            self._doubt(column, f"«{shown(text)}» no es un número")
            return None
        return found if type(found) is int else None

    def _fields(self, cells: Sequence[str], places: Sequence[int | None]) -> tuple[Field | None, ...]:
        try:
            return tuple([None if place is None else read_cell(cells[place]) for place in places])
        except ValueError:
            return tuple([self._field(cells, place) for place in places])

    def _field(self, cells: Sequence[str], place: int | None) -> Field | None:
        try:
            return None if place is None else read_cell(cells[place])
        except ValueError as error:
            self._doubt(self.columns[place or 0], str(error))
            return None

    def _district(self, prefix: str) -> str:
        federal = f"{prefix}DISTRITO_FEDERAL"
        return federal if federal in self.place else f"{prefix}DISTRITO_LOCAL"

    def _meaning(self, text: str) -> frozenset[Observation]:
        found = understand(text, self.texts)
        if not found:
            self._doubt("OBSERVACIONES", f"no se conoce el texto «{shown(text)}»")
        return found

    def _contabilizada(self, cells: Sequence[str]) -> str:
        text = self._text(cells, "CONTABILIZADA")
        if nothing(text):
            return "-"
        found = CONTABILIZADA.get(fold(whole(text)))
        if found is None:
            self._doubt("CONTABILIZADA", f"«{shown(text)}» no es 0, 1, 2 ni -")
        return found or "-"

    def _ubicacion(self, cells: Sequence[str]) -> int | None:
        text = self._word(cells, "UBICACION_CASILLA")
        number = whole(text)
        found = UBICACION.get(fold(text), int(number) if _DIGITS.fullmatch(number) else None)
        self._note_unless(found in _PLACES, "UBICACION_CASILLA", text)
        return found

    def _status(
        self,
        cells: Sequence[str],
        meanings: Sequence[frozenset[Observation]],
        contabilizada: str,
        ubicacion: int | None,
    ) -> Status:
        if (
            contabilizada == "2"
            or ubicacion == _OUT_OF_CATALOGUE
            or any(Observation.FUERA_DE_CATALOGO in codes for codes in meanings)
        ):
            return Status.FUERA_DE_CATALOGO
        votes = [cells[place] for place in self.votes]
        # Votes of an acta that nobody counts would be gone without a trace.
        has_votes = any(_DIGITS.fullmatch(text) and int(text) for text in map(whole, map(bare, votes)))
        if any(not codes.isdisjoint(SIN_ACTA) for codes in meanings):
            if contabilizada == "1":
                self._doubt("CONTABILIZADA", "dice 1 en un acta que la columna OBSERVACIONES llama «sin acta»")
            elif has_votes:
                self._doubt("OBSERVACIONES", "dice «sin acta», y la fila tiene votos")
            return Status.SIN_ACTA
        if contabilizada != "1" and any(map(says_sin_acta, votes)):
            if has_votes:
                self._doubt("CONTABILIZADA", "la fila dice «Sin acta» en unos campos, y tiene votos en otros")
            return Status.SIN_ACTA
        if contabilizada == "-":
            if has_votes:
                self._doubt("CONTABILIZADA", "no dice nada, y la fila tiene votos")
            return Status.ESPERADA
        return Status.ESPERADA if contabilizada == "0" and self._untouched(cells, votes, meanings) else Status.CAPTURADA

    def _untouched(self, cells: Sequence[str], votes: Sequence[str], meanings: Sequence[object]) -> bool:
        """Not captured yet, though CONTABILIZADA says 0: it has only blanks or zeros, and no image came."""
        came = ("CODIGO_INTEGRIDAD", "FECHA_HORA_CAPTURA", "FECHA_HORA_VERIFICACION", "FECHA_HORA_ACOPIO")
        if meanings or any(self._word(cells, column) for column in came):
            return False
        quantities = [self._text(cells, name) for name in (*HEADER_COLUMNS, "TOTAL_VOTOS_ASENTADO")]
        return all(nothing(text) or not text.strip("0") for text in (*map(bare, votes), *quantities))

    def _key(self, cells: Sequence[str], status: Status) -> str:
        clave = self._word(cells, "CLAVE_ACTA")
        if clave and status is not Status.FUERA_DE_CATALOGO:
            return clave
        columns = ("ID_ENTIDAD", self._district("ID_"), "ID_MUNICIPIO", "SECCION", "TIPO_CASILLA", "ID_CASILLA")
        parts = [
            self._text(cells, column) for column in (*columns, "EXT_CONTIGUA", "TIPO_ACTA") if column in self.place
        ]
        return "|".join(part or "-" for part in parts)


def _origin(origen: str, device: str) -> tuple[str, str]:
    """Origin and device, each known by its words: one real file has swapped the columns (`docs/rules.md` §6)."""
    if fold(origen) in _DEVICES and fold(device) in _ORIGINS:
        origen, device = device, origen
    origen, device = ("" if nothing(text) else text for text in (origen, device))
    return _ORIGINS.get(fold(origen), origen), _DEVICES.get(fold(device), device)


def _rows(count: int) -> str:
    return "1 fila" if count == 1 else f"{count} filas"


def _repeated_keys(rows: Sequence[OfficialRow]) -> list[str]:
    """The note about expected actas of one CLAVE_ACTA; the first of them, and how many rows."""
    times = Counter(row.key for row in rows if row.status is not Status.FUERA_DE_CATALOGO)
    again = [row for row in rows if times[row.key] > 1]
    if not again:
        return []
    first = again[0]
    return [f"columna CLAVE_ACTA: se repite «{shown(first.key)}» (línea {first.line}; {_rows(len(again))} así)"]


def _with_unique_keys(rows: Sequence[OfficialRow]) -> list[OfficialRow]:
    """Real files hold several fuera de catálogo rows of one identity: the second becomes "…#2"."""
    seen: Counter[str] = Counter()
    unique = []
    for row in rows:
        seen[row.key] += 1
        times = seen[row.key]
        unique.append(row if times == 1 else replace(row, key=f"{row.key}#{times}"))
    return unique


# --- which columns are believed ---------------------------------------------------------------------------------------

_CLAVE: Final = re.compile(r"(\d{2})(\d{4})([A-Z])(\d{2})(\d{2})", re.ASCII)
_MAX_TERRITORY: Final = 999
"""A larger number of a district or municipality is the row number of a database."""
_PARTS: Final = (
    ("ID_ENTIDAD", "entidad"),
    ("SECCION", "seccion"),
    ("TIPO_CASILLA", "tipo"),
    ("ID_CASILLA", "numero"),
    ("EXT_CONTIGUA", "ext_contigua"),
)
"""The parts of CLAVE_CASILLA in its order, and the column that says the same."""


def _believed(rows: list[OfficialRow], columns: Sequence[str]) -> tuple[list[OfficialRow], list[str]]:
    """The rows with the identity that is believed, and the reasons, in the words of the file.

    CLAVE_CASILLA repeats the columns beside it. If they differ, the key is believed if it names each casilla once;
    otherwise the columns are believed. Raises Rejected if two rows are then the same casilla.
    """
    notes: list[str] = []
    expected = [row for row in rows if row.status is not Status.FUERA_DE_CATALOGO]
    keys = [row.clave_casilla for row in expected]
    good = len(set(keys)) == len(keys)
    disputes: dict[str, list[str]] = {}
    settled = []
    for row in rows:
        found = _CLAVE.fullmatch(row.clave_casilla.upper())
        if found is None or row.status is Status.FUERA_DE_CATALOGO:
            settled.append(row)
            continue
        changes: dict[str, object] = {}
        for (column, name), part in zip(_PARTS, found.groups(), strict=True):
            said = getattr(row, name)
            meant = part if name == "tipo" else int(part)
            if meant in {said, said or 0}:
                continue
            if said in {None, ""}:
                changes[name] = meant
                disputes.setdefault(f"columna {column}: no dice un número o un tipo", []).append(str(row.line))
            else:
                words = f"columna {column}: contradice a CLAVE_CASILLA (en la línea {row.line}, «{said}» y «{part}»"
                disputes.setdefault(column, []).append(words)
                changes |= {name: meant} if good else {}
        settled.append(replace(row, **changes) if changes else row)  # type: ignore[arg-type]  # names of `_PARTS`
    for column, told in disputes.items():
        if column.startswith("columna"):
            notes.append(f"{column} en {len(told)} filas (la primera, línea {told[0]}); se cree a CLAVE_CASILLA")
            continue
        why = "se cree a CLAVE_CASILLA, que no se repite" if good else "se cree a la columna: CLAVE_CASILLA se repite"
        notes.append(f"{told[0]}; {len(told)} filas): {why}")
    states = {row.entidad for row in settled if row.status is not Status.FUERA_DE_CATALOGO}
    if "ID_ENTIDAD" not in columns and len(states) == 1:
        settled = [replace(row, entidad=row.entidad or max(states, key=bool)) for row in settled]
    for kind in ("distrito", "municipio"):
        settled, told = _numbered(settled, kind, columns)
        notes += told
    return settled, notes


_TYPES: Final = frozenset(TipoCasilla.__members__.values())


def _identified(row: OfficialRow, layout: _Layout, *, skip_unknown: bool) -> OfficialRow:
    """The row, if it names a casilla. Otherwise it is refused, or marked if the person asked for it.

    It may be a sum of all rows, or a sentence below them.
    """
    if row.status is Status.FUERA_DE_CATALOGO:
        return row
    for column, name in _PARTS:
        said = getattr(row, name)
        place = layout.place.get(column)
        text = "" if place is None else bare(row.printed[place])
        if name == "tipo":
            what = f"«{shown(text)}» no es un tipo de casilla que se conozca" if text else "falta el tipo de casilla"
            why = "" if said in _TYPES else what
        elif said is None and not nothing(text):
            why = f"«{shown(text)}» no es un número"
        else:
            why = "falta el número de la entidad" if said is None and name == "entidad" else ""
        if why and not skip_unknown:
            refuse(row.line, column, why)
        if why:
            doubts = [row.unknown] if row.unknown else []
            told = "; ".join([*doubts, f"línea {row.line}, columna {column}: {why}"])
            return replace(row, unknown=told, identified=False)
    return row


def _numbered(rows: list[OfficialRow], kind: str, columns: Sequence[str]) -> tuple[list[OfficialRow], list[str]]:
    """Number the territories by their names, if the file has no number or has the row number of a database."""
    numbers = {getattr(row, kind) for row in rows if row.status is not Status.FUERA_DE_CATALOGO} - {None}
    names = sorted(
        {getattr(row, f"{kind}_nombre") for row in rows if row.status is not Status.FUERA_DE_CATALOGO} - {""}
    )
    column = next((name for name in columns if re.fullmatch(f"{kind.upper()}(_LOCAL|_FEDERAL)?", name)), "")
    if not names or (numbers and max(numbers) <= _MAX_TERRITORY):
        return rows, []
    inside = {name: re.findall(r"\d{1,3}", name) for name in names}
    if all(len(found) == 1 for found in inside.values()) and len({int(one) for (one,) in inside.values()}) == len(
        names
    ):
        meant = {name: int(one) for name, (one,) in inside.items()}
        how = f"el número se toma de {column}"
    else:
        meant = {name: place for place, name in enumerate(names, start=1)}
        how = f"los números siguen el orden de los nombres de {column}"
    why = (
        f"no hay columna ID_{column}"
        if not numbers
        else f"columna ID_{column}: {max(numbers)} no es un número de {kind}"
    )
    changed = []
    for row in rows:
        number = meant.get(getattr(row, f"{kind}_nombre"))
        changed.append(replace(row, distrito=number) if kind == "distrito" else replace(row, municipio=number))
    return changed, [f"{why}; {how}"]


def _refuse_twice(rows: Iterable[OfficialRow]) -> None:
    seen: dict[str, int] = {}
    for row in rows:
        if row.status is Status.FUERA_DE_CATALOGO or not row.identified:
            continue
        if row.clave in seen:
            refuse(row.line, "CLAVE_CASILLA", f"la casilla {row.clave} ya está en la línea {seen[row.clave]}")
        seen[row.clave] = row.line
