"""Reads the result files that institutes have really published, whatever their dialect, into one shape.

The format is Anexo 18.5 as told in `docs/rules.md` §6: title, date, thirteen summary values, one row an acta.
Files differ in encoding, delimiter, line ends, names of columns, dates, and in how they print a field that holds no
number. This module hides all of that and decides nothing: what a row says is kept as printed (`OfficialRow.printed`)
beside what it means. Rows of an acta that nobody had (sin acta, not captured yet, fuera de catálogo) hold no readings,
whatever the file prints in them: zeros, blanks, "Sin acta" or "-" all become None.
"""

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final, NoReturn

from prep.domain.catalog import Ambito
from prep.domain.entry import Field, Mark
from prep.domain.rules import SIN_ACTA, Observation
from prep.domain.tally import SUMMARY_NAMES
from prep.errors import Rejected
from prep.files.csv_tables import NOTHING, bare, plain_lines, without_bom, without_thousands

_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS: Final = ("|", ",", ";", "\t")
_PREAMBLE_LINES: Final = 60
"""The column header stands within the first lines of a file, or the file is something else."""
_LONGEST_CELL: Final = 20_000

_HEADER_COLUMNS: Final = (
    "TOTAL_BOLETAS_SOBRANTES",
    "TOTAL_PERSONAS_VOTARON",
    "TOTAL_REP_PARTIDO_CI_VOTARON",
    "TOTAL_VOTOS_SACADOS",
)
"""In the order of `entry.HEADER`."""

_SYNONYMS: Final[Mapping[str, tuple[str, ...]]] = {
    "CLAVE_CASILLA": (),
    "CLAVE_ACTA": (),
    "ID_ENTIDAD": ("ID_ESTADO",),
    "ENTIDAD": ("ESTADO", "NOMBRE_ESTADO", "NOMBRE_ENTIDAD"),
    "ID_DISTRITO_FEDERAL": (),
    "DISTRITO_FEDERAL": ("NOMBRE_DISTRITO_FEDERAL", "CABECERA_DISTRITAL_FEDERAL"),
    "ID_DISTRITO_LOCAL": ("ID_DISTRITO",),
    "DISTRITO_LOCAL": ("DISTRITO", "NOMBRE_DISTRITO", "NOMBRE_DISTRITO_LOCAL", "CABECERA_DISTRITAL_LOCAL"),
    "ID_MUNICIPIO": ("ID_ALCALDIA", "ID_AYUNTAMIENTO"),
    "MUNICIPIO": ("NOMBRE_MUNICIPIO", "ALCALDIA", "AYUNTAMIENTO"),
    "SECCION": (),
    "ID_CASILLA": (),
    "TIPO_CASILLA": (),
    "EXT_CONTIGUA": (),
    "UBICACION_CASILLA": ("UBICACION",),
    "TIPO_ACTA": ("NUM_ACTA_IMPRESO",),
    "TOTAL_BOLETAS_SOBRANTES": ("NUM_BOLETAS_SOBRANTES", "BOLETAS_SOBRANTES"),
    "TOTAL_PERSONAS_VOTARON": ("TOTAL_CIUDADANOS_VOTARON", "NUM_CIUDADANOS_VOTARON", "PERSONAS_VOTARON"),
    "TOTAL_REP_PARTIDO_CI_VOTARON": ("NUM_REP_PARTIDO_CI_VOTARON", "TOTAL_REPRESENTANTES_VOTARON"),
    "TOTAL_VOTOS_SACADOS": ("NUM_BOLETAS_EXTRAIDAS", "BOLETAS_EXTRAIDAS", "TOTAL_BOLETAS_EXTRAIDAS", "VOTOS_SACADOS"),
    "NO_REGISTRADAS": (
        "NO_REGISTRADOS",
        "CNR",
        "CANDIDATURAS_NO_REGISTRADAS",
        "CANDIDATOS_NO_REGISTRADOS",
        "CANDIDATO_NO_REGISTRADO",
        "CANDIDATO/A_NO_REGISTRADO/A",
        "NUM_VOTOS_CAN_NREG",
    ),
    "NULOS": ("VOTOS_NULOS", "VN", "NUM_VOTOS_NULOS"),
    "TOTAL_VOTOS_ASENTADO": ("TOTAL_VOTOS_ASENTADOS", "TOTAL_ASENTADO"),
    "TOTAL_VOTOS_CALCULADO": ("TOTAL_VOTOS_CALCULADOS", "TOTAL_VOTOS", "TOTAL_CALCULADO"),
    "LISTA_NOMINAL": ("LISTA_NOMINAL_CASILLA",),
    "REPRESENTANTES_PP_CI": ("REPRESENTANTES",),
    "OBSERVACIONES": ("OBSERVACION",),
    "CONTABILIZADA": (),
    "MECANISMOS_TRASLADO": ("MECANISMO_TRASLADO",),
    "CODIGO_INTEGRIDAD": ("SHA", "SHA256", "HASH"),
    "FECHA_HORA_ACOPIO": ("HORA_ACOPIO",),
    "FECHA_HORA_CAPTURA": ("HORA_CAPTURA",),
    "FECHA_HORA_VERIFICACION": ("HORA_VERIFICACION", "HORA_REGISTRO", "FECHA_HORA_REGISTRO"),
    "ORIGEN": (),
    "DIGITALIZACION": (),
    "TIPO_DOCUMENTO": (),
    "COTEJADA": ("COTEJO",),
}
COLUMNS: Final = frozenset(_SYNONYMS)
"""Canonical names of every column that is no vote for somebody: those of INE 2023, for federal and local elections."""
_CANONICAL: Final = {other: name for name, others in _SYNONYMS.items() for other in (name, *others)}
_NEEDED: Final = (
    "ID_ENTIDAD",
    "SECCION",
    "ID_CASILLA",
    "TIPO_CASILLA",
    "NULOS",
    "TOTAL_VOTOS_CALCULADO",
    "OBSERVACIONES",
    "CONTABILIZADA",
)

_SUMMARY_SYNONYMS: Final = {
    "ACTAS_FUERA_DE_CATALOGO": "ACTAS_FUERA_CATALOGO",
    "PORCENTAJE_ACTAS_CON_INCONSISTENCIAS": "PORCENTAJE_ACTAS_INCONSISTENCIAS",
    "LISTA_NOMINAL_ACTAS_CONTABILZADAS": "LISTA_NOMINAL_ACTAS_CONTABILIZADAS",
    "PORCENTAJE_PARTICIPACION": "PORCENTAJE_PARTICIPACION_CIUDADANA",
}

_TODOS_SIN_NUMERO: Final = (Observation.TODOS_ILEGIBLES, Observation.TODOS_VACIOS, Observation.TODOS_SIN_NUMERO)
_TEXTS: Final[Mapping[str, tuple[Observation, ...]]] = {
    "EXCEDE LISTA NOMINAL": (Observation.EXCEDE,),
    "ILEGIBLE": (Observation.ILEGIBLE,),
    "SIN DATO": (Observation.SIN_DATO,),
    "ALGUN DATO ILEGIBLE O SIN DATO": (Observation.ILEGIBLE, Observation.SIN_DATO),
    "TODOS LOS CAMPOS ILEGIBLES": (Observation.TODOS_ILEGIBLES,),
    "TODOS LOS CAMPOS VACIOS": (Observation.TODOS_VACIOS,),
    "TODOS LOS CAMPOS VACIO": (Observation.TODOS_VACIOS,),
    "TODOS LOS CAMPOS SIN DATO": (Observation.TODOS_VACIOS,),
    "TODOS ILEGIBLES O SIN DATO": _TODOS_SIN_NUMERO,
    "FUERA DE CATALOGO": (Observation.FUERA_DE_CATALOGO,),
    "IDENTIFICACION POR PROCESO TECNICO OPERATIVO": (Observation.PROCESO_TECNICO,),
    "IDENTIFICACION FORZADA": (Observation.PROCESO_TECNICO,),
}

_REASONS: Final[Mapping[Observation, tuple[str, ...]]] = {
    Observation.SIN_ACTA_1: ("(1)", "NO ENTREGADO"),
    Observation.SIN_ACTA_2: ("(2)", "NO INSTALADA"),
    Observation.SIN_ACTA_3: ("(3)", "SIN SOBRE"),
    Observation.SIN_ACTA_4: ("(4)", "URNA"),
}
"""What tells the four kinds of *sin acta* apart in their texts."""

_ORIGINS: Final = {"CASILLA": "CASILLA", "CATD": "CATD", "CCV": "CCV"}
_DEVICES: Final = {"MOVIL": "Móvil", "ESCANER": "Escáner", "URNA": "Urna", "URNA ELECTRONICA": "Urna"}
_OUT_OF_CATALOGUE: Final = 3
"""UBICACION_CASILLA of an acta that is fuera de catálogo."""
_CONTABILIZADA: Final = frozenset({"0", "1", "2", "-"})
_WORDS: Final[Mapping[str, Mark | None]] = {
    "SIN DATO": Mark.SIN_DATO,
    "": Mark.SIN_DATO,
    "ILEGIBLE": Mark.ILEGIBLE,
    "SIN ACTA": None,
    "-": None,
    "N/A": None,
}

_DIGITS: Final = re.compile(r"\d+", re.ASCII)
_DECIMAL: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_QUOTED: Final = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_MOMENT: Final = re.compile(
    r"(?P<a>\d{1,4})[/-](?P<b>\d{1,2})[/-](?P<c>\d{1,4})"
    r"(?:[ T]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?)?"
    r"\s*(?P<half>[ap]\.?\s*m\.?)?",
    re.ASCII | re.IGNORECASE,
)
_OFFSET: Final = re.compile(r"(?:UTC|GMT)\s*([+-])\s*(\d{1,2})(?::?(\d{2}))?", re.ASCII | re.IGNORECASE)
_CENTRAL: Final = timezone(timedelta(hours=-6))
"""Taken where a file does not state its offset: Central time."""


class Status(StrEnum):
    """What a row is: only CAPTURADA rows hold readings of an acta."""

    CAPTURADA = "capturada"
    SIN_ACTA = "sin_acta"
    ESPERADA = "esperada"
    """In the catalogue, not captured at that corte."""
    FUERA_DE_CATALOGO = "fuera_de_catalogo"


@dataclass(frozen=True, slots=True)
class OfficialRow:
    """One acta as an institute published it. Identity numbers are None where the file holds no number."""

    line: int
    """Physical line in the file, from 1."""
    key: str
    """CLAVE_ACTA; fuera de catálogo, the identity as read, with "#2" for the second of the same identity."""
    clave_casilla: str
    clave_acta: str
    """Without apostrophes; "" where the file has none."""
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
    """In the order of `entry.HEADER`; None where "-" or where the file lacks the column."""
    cells: tuple[Field | None, ...]
    """In the order of `OfficialFile.vote_columns`; None where the option is not on the ballot ("-")."""
    total_asentado: Field | None
    total_calculado: int | None
    lista_nominal: int | None
    representantes: int | None
    observations: tuple[str, ...]
    """The texts as printed, one by one."""
    status: Status
    contabilizada: str
    """"1", "0", "2" or "-"."""
    traslado: str
    hash: str | None
    acopio: datetime | None
    captura: datetime | None
    verificacion: datetime | None
    """Times are aware, in the file's offset; None where absent or no date at all. Hand-typed years are kept."""
    origen: str
    """"CASILLA", "CATD" or "" (other texts as printed)."""
    digitalizacion: str
    """"Móvil", "Escáner", "Urna" or "" (other texts as printed)."""
    tipo_documento: str
    cotejada: str
    printed: tuple[str, ...]
    """Every cell as it stands in the file, in the order of `OfficialFile.columns`."""


@dataclass(frozen=True)
class OfficialFile:
    """A whole result file in canonical words."""

    title: str
    at: datetime | None
    """The moment of the corte, in the file's own offset."""
    offset: str
    """As printed, as "UTC-6"; "" where the file states none (Central is taken then)."""
    summary: dict[str, str]
    """By canonical name: digits without thousands separators, percentages without sign."""
    columns: tuple[str, ...]
    """Canonical names of all columns, in file order."""
    vote_columns: tuple[str, ...]
    """Canonical names of the vote fields, in ballot order: PAN, PAN-PRI for C_PAN_PRI, NO_REGISTRADAS, NULOS."""
    printed_vote_columns: tuple[str, ...]
    """The same columns by the file's own names."""
    rows: list[OfficialRow]

    @property
    def ambito(self) -> Ambito:
        return Ambito.FEDERAL if "ID_DISTRITO_FEDERAL" in self.columns else Ambito.LOCAL

    @property
    def catalogued(self) -> list[OfficialRow]:
        """The rows of expected actas: all but fuera de catálogo."""
        return [row for row in self.rows if row.status is not Status.FUERA_DE_CATALOGO]


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """One line of a CANDIDATURAS file."""

    line: int
    entidad: int | None
    distrito: int | None
    """Set where the file has a district column."""
    municipio: int | None
    code: str
    """The party, combination or independent, as printed, without the mark of a sum."""
    suma: bool
    """The line stands for a coalition as a whole (SUM-A-B), not for a vote column."""
    propietaria: str
    suplente: str


COALITION_MARKS: Final = frozenset({"C", "CC", "CO", "COA", "COAL"})
"""What may stand before the parties in the name of a combination: C_PAN_PRD."""


def canonical_column(name: str) -> str:
    """The name that INE 2023 gives to the column that another file calls `name`; other names in capitals."""
    folded = _column_name(name)
    return _CANONICAL.get(folded, folded)


def combination(name: str, parties: Sequence[str]) -> tuple[str, ...]:
    """The parties that a column like C_PAN_PRD, PAN-PRD or PAN_PRD joins, in its order; () where it is none of that.

    Parties may have separators in their own names (NUEVA_ALIANZA): the longest match is tried first.
    """
    words = re.split(r"[-_]", name)
    whole = _split_words(words, frozenset(parties))
    if not whole and words[0] in COALITION_MARKS:
        whole = _split_words(words[1:], frozenset(parties))
    return whole if len(whole) > 1 else ()


def _split_words(words: Sequence[str], parties: frozenset[str]) -> tuple[str, ...]:
    for size in range(len(words), 0, -1):
        for glue in ("_", "-"):
            first = glue.join(words[:size])
            if first not in parties:
                continue
            if size == len(words):
                return (first,)
            rest = _split_words(words[size:], parties)
            if rest:
                return (first, *rest)
    return ()


def understand(text: str) -> frozenset[Observation]:
    """The criteria that a published observation may stand for: some files use one text for several.

    Empty where the text is not known.
    """
    folded = _fold(text)
    if folded.startswith("SIN ACTA"):
        told = [code for code, signs in _REASONS.items() if any(sign in folded for sign in signs)]
        return frozenset(told or SIN_ACTA)
    return frozenset(_TEXTS.get(folded, ()))


def read_official(data: bytes) -> OfficialFile:
    """A result file of any dialect of `docs/rules.md` §6, our own included.

    Raises Rejected, with line and column, where it is no such file or a cell cannot be understood.
    """
    lines = plain_lines(_decode(data)).split("\n")
    delimiter, start = _find_header(lines)
    preamble = _read_preamble(lines[:start], delimiter)
    header, *body = _read_rows(lines[start:], delimiter, start)
    layout = _Layout.of(header[1], line=header[0])
    rows = [layout.row(line, cells, preamble.zone) for line, cells in body]
    return OfficialFile(
        title=preamble.title,
        at=preamble.at,
        offset=preamble.offset,
        summary=preamble.summary,
        columns=layout.columns,
        vote_columns=tuple(layout.columns[place] for place in layout.votes),
        printed_vote_columns=tuple(header[1][place].strip() for place in layout.votes),
        rows=_with_unique_keys(rows),
    )


def read_candidates(data: bytes) -> list[CandidateRow]:
    """A CANDIDATURAS file in any encoding and delimiter, with or without suplentes.

    Raises Rejected, with line and column, where it is no such file.
    """
    lines = plain_lines(_decode(data)).split("\n")
    delimiter, start = _find_candidates_header(lines)
    (_, header), *body = _read_rows(lines[start:], delimiter, start)
    place = {_CANDIDATE_COLUMNS.get(name, name): index for index, name in enumerate(map(_column_name, header))}
    return [_candidate(line, cells, place) for line, cells in body]


# --- text and lines ---------------------------------------------------------------------------------------------------


def _decode(data: bytes) -> str:
    if data.startswith(_UTF16):
        raise Rejected("línea 1: el archivo está en UTF-16; guárdelo como CSV en UTF-8")
    for encoding in ("utf-8", "cp1252"):
        try:
            return without_bom(data.decode(encoding))
        except UnicodeDecodeError:
            continue
        except ValueError as error:
            raise Rejected(f"línea 1: {error}") from None
    return data.decode("latin-1")


def _find_header(lines: Sequence[str]) -> tuple[str, int]:
    """The delimiter, and the index of the line with the names of the columns."""
    stated = [line[4] for line in lines[:1] if re.match("sep=.", line, re.IGNORECASE)]
    for index, line in enumerate(lines[:_PREAMBLE_LINES]):
        for delimiter in (*stated, *_DELIMITERS):
            names = {canonical_column(cell) for cell in line.split(delimiter)}
            if {"SECCION", "TIPO_CASILLA"} <= names:
                return delimiter, index
    raise Rejected("no es un archivo de resultados del PREP: ninguna línea nombra las columnas SECCION y TIPO_CASILLA")


def _read_rows(lines: Sequence[str], delimiter: str, before: int) -> list[tuple[int, list[str]]]:
    """The header and the rows behind it with their physical line; blank rows are skipped, short ones refused."""
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        rows.extend((before + reader.line_num, cells) for cells in reader if any(map(str.strip, cells)))
    except csv.Error as error:
        _refuse(before + reader.line_num, "", f"el renglón no se puede separar en columnas ({error})")
    width = len(rows[0][1])
    while width and not rows[0][1][width - 1].strip():
        width -= 1
    return [(line, _fit(line, cells, width)) for line, cells in rows]


def _fit(line: int, cells: list[str], width: int) -> list[str]:
    if len(cells) < width or any(cell.strip() for cell in cells[width:]):
        _refuse(line, "", f"tiene {len(cells)} columnas y el encabezado {width}")
    if max(map(len, cells)) > _LONGEST_CELL:
        _refuse(line, "", "una celda es demasiado larga")
    return cells[:width]


def _refuse(line: int, column: str, sentence: str) -> NoReturn:
    where = f"línea {line}, columna {column}" if column else f"línea {line}"
    raise Rejected(f"{where}: {sentence}")


@lru_cache(maxsize=4096)
def _fold(text: str) -> str:
    """Upper case, no accents, single spaces: how texts are compared."""
    decomposed = unicodedata.normalize("NFD", " ".join(text.split()).upper())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _column_name(cell: str) -> str:
    return _fold(cell.strip().strip('"')).replace(" ", "_")


# --- title, date, summary ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Preamble:
    title: str
    at: datetime | None
    offset: str
    zone: timezone
    summary: dict[str, str]


def _read_preamble(lines: Sequence[str], delimiter: str) -> _Preamble:
    told = [
        (number, cells)
        for number, line in enumerate(lines, start=1)
        if not line.lower().startswith("sep=") and (cells := _cells_of(line, delimiter))
    ]
    title, moment, summary = "", "", {}
    for (_, cells), following in pairwise([*told, (0, [])]):
        if _SUMMARY_FIRST in map(_column_name, cells):
            summary = _read_summary(cells, following)
            break
        if not moment and (_MOMENT.match(cells[0].strip()) or (title and _MOMENT.search(cells[0]))):
            moment = cells[0]
        elif not title:
            title = ", ".join(" ".join(cell.split()) for cell in cells if cell.strip())
    else:
        raise Rejected(f"no es un archivo de resultados del PREP: falta el resumen que comienza con {_SUMMARY_FIRST}")
    zone, offset = _zone(moment)
    return _Preamble(title, _moment(moment, zone), offset, zone, summary)


_SUMMARY_FIRST: Final = SUMMARY_NAMES[0]


def _cells_of(line: str, delimiter: str) -> list[str]:
    """The cells of one line without the empty ones at its end; [] of a blank line."""
    cells = next(csv.reader([line], delimiter=delimiter), [])
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def _read_summary(names: Sequence[str], following: tuple[int, list[str]]) -> dict[str, str]:
    number, values = following
    if len(values) != len(names):
        _refuse(
            number,
            "",
            f"el resumen tiene {len(names)} nombres y {len(values)} valores (¿comas de millares sin comillas?)",
        )
    canonical = [_SUMMARY_SYNONYMS.get(name, name) for name in map(_column_name, names)]
    return {name: _summary_value(name, value, number) for name, value in zip(canonical, values, strict=True)}


def _summary_value(name: str, cell: str, line: int) -> str:
    text = bare(cell).removesuffix("%").strip()
    text = text.replace(",", ".") if name.startswith("PORCENTAJE") else without_thousands(text)
    if text not in NOTHING and not _DECIMAL.fullmatch(text):
        _refuse(line, name, f"«{cell.strip()}» no es un número")
    return text


def _zone(text: str) -> tuple[timezone, str]:
    found = _OFFSET.search(text)
    if found is None:
        return _CENTRAL, ""
    sign, hours, minutes = found.groups()
    away = timedelta(hours=int(hours), minutes=int(minutes or 0))
    if away >= timedelta(hours=24):
        return _CENTRAL, ""
    return timezone(-away if sign == "-" else away), "".join(found.group().split()).upper()


def _moment(text: str, zone: timezone) -> datetime | None:
    """A date and hour as files print them: dd/mm/yyyy, yyyy-mm-dd, 3/6/2019. None where there is none."""
    found = _MOMENT.search(text)
    if found is None:
        return None
    first, second, third = int(found["a"]), int(found["b"]), int(found["c"])
    year, month, day = (first, second, third) if len(found["a"]) == len("aaaa") else (third, second, first)
    hour = int(found["hour"] or 0)
    if found["half"]:
        hour = hour % 12 + (12 if found["half"].lower().startswith("p") else 0)
    year += 2000 if len(str(year)) <= len("aa") else 0
    try:
        return datetime(year, month, day, hour, int(found["minute"] or 0), int(found["second"] or 0), tzinfo=zone)
    except ValueError:
        return None


# --- rows -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """Where each canonical column stands in this file."""

    columns: tuple[str, ...]
    place: Mapping[str, int]
    votes: tuple[int, ...]

    @classmethod
    def of(cls, header: Sequence[str], *, line: int) -> "_Layout":
        names = [canonical_column(name) for name in header]
        votes = _vote_places(names, line)
        for place, name in zip(votes, _canonical_votes([names[place] for place in votes]), strict=True):
            names[place] = name
        seen: set[str] = set()
        for name in names:
            if name in seen:
                _refuse(line, name, "la columna está dos veces")
            seen.add(name)
        for name in _NEEDED:
            if name not in seen:
                _refuse(line, name, "falta la columna")
        return cls(tuple(names), {name: index for index, name in enumerate(names)}, votes)

    def row(self, line: int, cells: list[str], zone: timezone) -> OfficialRow:
        observations = _observations(self._text(cells, "OBSERVACIONES"))
        contabilizada = self._text(cells, "CONTABILIZADA") or "-"
        if contabilizada not in _CONTABILIZADA:
            _refuse(line, "CONTABILIZADA", f"«{contabilizada}» no es 0, 1, 2 ni -")
        ubicacion = self._id(cells, "UBICACION_CASILLA")
        status = _status(observations, contabilizada, ubicacion)
        captured = status is Status.CAPTURADA
        votes = self._fields(line, cells, self.votes)
        header = self._fields(line, cells, [self.place.get(name) for name in _HEADER_COLUMNS])
        (total,) = self._fields(line, cells, [self.place.get("TOTAL_VOTOS_ASENTADO")])
        origen, digitalizacion = _origin(self._text(cells, "ORIGEN"), self._text(cells, "DIGITALIZACION"))
        return OfficialRow(
            line=line,
            key=self._key(cells, status),
            clave_casilla=self._word(cells, "CLAVE_CASILLA"),
            clave_acta=self._word(cells, "CLAVE_ACTA"),
            entidad=self._id(cells, "ID_ENTIDAD"),
            entidad_nombre=self._word(cells, "ENTIDAD"),
            distrito=self._id(cells, self._district("ID_")),
            distrito_nombre=self._word(cells, self._district("")),
            municipio=self._id(cells, "ID_MUNICIPIO"),
            municipio_nombre=self._word(cells, "MUNICIPIO"),
            seccion=self._id(cells, "SECCION"),
            numero=self._id(cells, "ID_CASILLA"),
            tipo=self._word(cells, "TIPO_CASILLA").upper(),
            ext_contigua=self._id(cells, "EXT_CONTIGUA"),
            ubicacion=ubicacion,
            tipo_acta=self._word(cells, "TIPO_ACTA"),
            header=header if captured else (None,) * len(header),
            cells=votes if captured else (None,) * len(votes),
            total_asentado=total if captured else None,
            total_calculado=self._number(line, cells, "TOTAL_VOTOS_CALCULADO"),
            lista_nominal=self._number(line, cells, "LISTA_NOMINAL"),
            representantes=self._number(line, cells, "REPRESENTANTES_PP_CI"),
            observations=observations,
            status=status,
            contabilizada=contabilizada,
            traslado=self._word(cells, "MECANISMOS_TRASLADO"),
            hash=self._word(cells, "CODIGO_INTEGRIDAD") or None,
            acopio=_moment(self._text(cells, "FECHA_HORA_ACOPIO"), zone),
            captura=_moment(self._text(cells, "FECHA_HORA_CAPTURA"), zone),
            verificacion=_moment(self._text(cells, "FECHA_HORA_VERIFICACION"), zone),
            origen=origen,
            digitalizacion=digitalizacion,
            tipo_documento=self._word(cells, "TIPO_DOCUMENTO"),
            cotejada=self._text(cells, "COTEJADA") or "-",
            printed=tuple(cells),
        )

    def _text(self, cells: Sequence[str], column: str) -> str:
        place = self.place.get(column)
        return "" if place is None else bare(cells[place])

    def _word(self, cells: Sequence[str], column: str) -> str:
        text = " ".join(self._text(cells, column).split())
        return "" if text in NOTHING else text

    def _id(self, cells: Sequence[str], column: str) -> int | None:
        text = self._text(cells, column)
        return int(text) if _DIGITS.fullmatch(text) else None

    def _number(self, line: int, cells: Sequence[str], column: str) -> int | None:
        text = without_thousands(self._text(cells, column))
        if _DIGITS.fullmatch(text):
            return int(text)
        if _fold(text) in NOTHING or _fold(text) in _WORDS:
            return None
        _refuse(line, column, f"«{text}» no es un número")

    def _fields(self, line: int, cells: Sequence[str], places: Sequence[int | None]) -> tuple[Field | None, ...]:
        try:
            return tuple([None if place is None else _field(cells[place]) for place in places])
        except ValueError:
            self._refuse_field(line, cells, places)

    def _refuse_field(self, line: int, cells: Sequence[str], places: Sequence[int | None]) -> NoReturn:
        for place in places:
            try:
                _field("" if place is None else cells[place])
            except ValueError as error:
                _refuse(line, self.columns[place or 0], str(error))
        raise AssertionError("no field was refused")

    def _district(self, prefix: str) -> str:
        federal = f"{prefix}DISTRITO_FEDERAL"
        return federal if federal in self.place else f"{prefix}DISTRITO_LOCAL"

    def _key(self, cells: Sequence[str], status: Status) -> str:
        clave = self._word(cells, "CLAVE_ACTA")
        if clave and status is not Status.FUERA_DE_CATALOGO:
            return clave
        columns = ("ID_ENTIDAD", self._district("ID_"), "ID_MUNICIPIO", "SECCION", "TIPO_CASILLA", "ID_CASILLA")
        parts = [
            self._text(cells, column) for column in (*columns, "EXT_CONTIGUA", "TIPO_ACTA") if column in self.place
        ]
        return "|".join(part or "-" for part in parts)


def _vote_places(names: Sequence[str], line: int) -> tuple[int, ...]:
    """The vote fields: what stands between the quantities at the top of the acta and its totals."""
    if "NULOS" not in names:
        _refuse(line, "NULOS", "falta la columna")
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


_BEFORE_VOTES: Final = frozenset([*_SYNONYMS][: [*_SYNONYMS].index("NO_REGISTRADAS")])


def _canonical_votes(names: Sequence[str]) -> list[str]:
    """PAN-PRI for C_PAN_PRI and PAN_PRI, wherever the parts are columns themselves; other names as they are."""
    singles: list[str] = []
    joined: dict[str, str] = {}
    for name in sorted(names, key=lambda name: len(re.split(r"[-_]", name))):
        parts = combination(name, singles)
        if parts:
            joined[name] = "-".join(parts)
        else:
            singles.append(name)
    return [joined.get(name, name) for name in names]


@lru_cache(maxsize=65536)
def _field(cell: str) -> Field | None:
    """One vote field. Raises ValueError with the sentence for the reader."""
    text = without_thousands(bare(cell))
    if _DIGITS.fullmatch(text):
        return int(text)
    word = _fold(text)
    if word not in _WORDS:
        raise ValueError(f"«{text}» no es un número, «Sin dato», «Ilegible», «Sin acta» ni «-»")
    return _WORDS[word]


def _observations(text: str) -> tuple[str, ...]:
    """['A', 'B'] and A, B alike; () where there is none."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        found = [one or other for one, other in _QUOTED.findall(text)]
    else:
        found = re.split(r"[,;]", text)
    return tuple(part for part in (" ".join(part.split()) for part in found) if part not in NOTHING)


def _status(observations: Sequence[str], contabilizada: str, ubicacion: int | None) -> Status:
    observed = [understand(text) for text in observations]
    if (
        contabilizada == "2"
        or ubicacion == _OUT_OF_CATALOGUE
        or any(Observation.FUERA_DE_CATALOGO in codes for codes in observed)
    ):
        return Status.FUERA_DE_CATALOGO
    if any(not codes.isdisjoint(SIN_ACTA) for codes in observed):
        return Status.SIN_ACTA
    return Status.ESPERADA if contabilizada == "-" else Status.CAPTURADA


def _origin(origen: str, device: str) -> tuple[str, str]:
    """Origin and device by what they say: at least one real file has the two columns swapped (`docs/rules.md` §10)."""
    if _fold(origen) in _DEVICES and _fold(device) in _ORIGINS:
        origen, device = device, origen
    origen, device = ("" if text in NOTHING else text for text in (origen, device))
    return _ORIGINS.get(_fold(origen), origen), _DEVICES.get(_fold(device), device)


def _with_unique_keys(rows: Sequence[OfficialRow]) -> list[OfficialRow]:
    """Real files hold several fuera de catálogo rows of one identity: the second becomes "…#2"."""
    seen: Counter[str] = Counter()
    unique = []
    for row in rows:
        seen[row.key] += 1
        times = seen[row.key]
        unique.append(row if times == 1 else replace(row, key=f"{row.key}#{times}"))
    return unique


# --- candidates -------------------------------------------------------------------------------------------------------

_SUM: Final = re.compile(r"SUM(?:A)?[-_]", re.IGNORECASE)
_CANDIDATE_COLUMNS: Final[Mapping[str, str]] = {
    "ID_ESTADO": "ID_ENTIDAD",
    "ID_DISTRITO": "DISTRITO",
    "ID_DISTRITO_LOCAL": "DISTRITO",
    "ID_DISTRITO_FEDERAL": "DISTRITO",
    "PARTIDO": "PARTIDO_CI",
    "SIGLAS": "PARTIDO_CI",
    "CANDIDATURA": "CANDIDATURA_PROPIETARIA",
    "PROPIETARIO": "CANDIDATURA_PROPIETARIA",
    "PROPIETARIA": "CANDIDATURA_PROPIETARIA",
    "CANDIDATO_PROPIETARIO": "CANDIDATURA_PROPIETARIA",
    "SUPLENTE": "CANDIDATURA_SUPLENTE",
    "CANDIDATO_SUPLENTE": "CANDIDATURA_SUPLENTE",
}


def _find_candidates_header(lines: Sequence[str]) -> tuple[str, int]:
    for index, line in enumerate(lines[:_PREAMBLE_LINES]):
        for delimiter in _DELIMITERS:
            names = {_CANDIDATE_COLUMNS.get(name, name) for name in map(_column_name, line.split(delimiter))}
            if {"PARTIDO_CI", "CANDIDATURA_PROPIETARIA"} <= names:
                return delimiter, index
    raise Rejected(
        "no es un archivo de candidaturas: ninguna línea nombra las columnas PARTIDO_CI y CANDIDATURA_PROPIETARIA"
    )


def _candidate(line: int, cells: Sequence[str], place: Mapping[str, int]) -> CandidateRow:
    def text(column: str) -> str:
        found = bare(cells[place[column]]) if column in place else ""
        return " ".join(found.split())

    def number(column: str) -> int | None:
        if text(column) in NOTHING:
            return None
        if not _DIGITS.fullmatch(text(column)):
            _refuse(line, column, f"«{text(column)}» no es un número")
        return int(text(column))

    code = text("PARTIDO_CI")
    if not code:
        _refuse(line, "PARTIDO_CI", "falta el partido o la combinación")
    return CandidateRow(
        line=line,
        entidad=number("ID_ENTIDAD"),
        distrito=number("DISTRITO"),
        municipio=number("ID_MUNICIPIO"),
        code=_SUM.sub("", code, count=1) if _SUM.match(code) else code,
        suma=_SUM.match(code) is not None,
        propietaria=text("CANDIDATURA_PROPIETARIA"),
        suplente=text("CANDIDATURA_SUPLENTE"),
    )
