"""Loads an institute's catalogue from its CSV files: the whole of it, valid, or a report of everything that is wrong.

Eight files, comma-separated, UTF-8; `COLUMNS` names their columns. What Excel does to such files is understood (one
byte order mark, any line end, ="0001", '0001, thousands separators); what could mislead somebody later is refused
(control characters, texts that a spreadsheet would run as a formula, a second byte order mark).

    elecciones.csv    what is voted on this night        opciones.csv      the rows of each election's ballot
    territorios.csv   entidades, distritos, municipios   contiendas.csv    where each office is elected (optional)
    casillas.csv      every polling station              candidaturas.csv  the people, with what counts for them
    actas.csv         what differs in one acta from its casilla and election (optional)

Columns are read as columns, not row by row: a cell's text is parsed once however often it stands in the file, which is
what makes 170,000 casillas × 3 elections a matter of seconds. The digest of a catalogue is the SHA-256 of the lines
"<sha256>  <name>" of its files in the order of their names: what `sha256sum *.csv | sha256sum` prints.
"""

import csv
import hashlib
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, count, repeat
from typing import Final, TypeVar

from prep.domain.catalog import (
    SIN_SECCION,
    Acta,
    ActaId,
    Ambito,
    Candidacy,
    Casilla,
    CasillaId,
    Catalog,
    Clase,
    Contest,
    ContestId,
    Election,
    ElectionId,
    Nivel,
    Option,
    Territory,
    TerritoryKind,
    TipoCasilla,
)
from prep.domain.official import COLUMNS as OFFICIAL_COLUMNS
from prep.domain.official import NOTHING, bare, plain_lines, without_bom, without_thousands
from prep.domain.rules import RULE_SETS
from prep.errors import Rejected

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "elecciones.csv": (
        "codigo",
        "titulo",
        "anio",
        "ambito",
        "nivel",
        "reglas",
        "candidatura",
        "tipo_acta",
        "tipo_acta_especial",
        "tipo_acta_extranjero",
        "sufijo",
        "sufijo_especial",
        "sufijo_extranjero",
    ),
    "territorios.csv": ("tipo", "entidad", "id", "nombre"),
    "casillas.csv": (
        "entidad",
        "distrito_federal",
        "distrito_local",
        "municipio",
        "seccion",
        "tipo",
        "numero",
        "ext_contigua",
        "ubicacion",
        "lista_nominal",
        "representantes",
        "boletas_maximas",
        "digitos",
        "elecciones",
    ),
    "opciones.csv": ("eleccion", "orden", "codigo", "clase", "partidos", "nombre"),
    "contiendas.csv": ("eleccion", "entidad", "territorio", "nombre", "opciones"),
    "candidaturas.csv": ("eleccion", "entidad", "territorio", "opciones", "propietaria", "suplente"),
    "actas.csv": (
        "eleccion",
        "clave_casilla",
        "tipo_acta",
        "sufijo",
        "lista_nominal",
        "representantes",
        "boletas_maximas",
        "digitos",
    ),
}
"""The columns of each file, in the order in which `write_catalog` writes them. A file may have them in any order."""

OPTIONAL_FILES: Final = frozenset({"contiendas.csv", "actas.csv"})
OPTIONAL_COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    "elecciones.csv": frozenset(
        {"tipo_acta_especial", "tipo_acta_extranjero", "sufijo", "sufijo_especial", "sufijo_extranjero"}
    ),
    "casillas.csv": frozenset({"boletas_maximas", "digitos", "elecciones"}),
    "opciones.csv": frozenset({"partidos", "nombre"}),
    "contiendas.csv": frozenset({"nombre", "opciones"}),
    "candidaturas.csv": frozenset({"suplente"}),
    "actas.csv": frozenset(COLUMNS["actas.csv"][2:]),
}
"""Columns that may be left out; a blank cell means the same."""

DIGITOS: Final = 3
"""Digit boxes per quantity on the official form (`domain.md` §7)."""

_MAX_ENTIDAD: Final = 99
_MAX_TERRITORY: Final = 999
_MAX_SECCION: Final = 9999
_MAX_NUMERO: Final = 99
_MAX_PEOPLE: Final = 9_999_999
_MAX_DIGITOS: Final = 7
_MAX_NAME: Final = 200
_MAX_CODE: Final = 60

_BY_LISTA: Final = frozenset({TipoCasilla.BASICA, TipoCasilla.CONTIGUA, TipoCasilla.EXTRAORDINARIA})
"""Types that always have a lista nominal: without one, nothing would limit their votes."""
_PEOPLE: Final = frozenset({Clase.PARTIDO, Clase.COALICION, Clase.COMUN, Clase.INDEPENDIENTE})
_JOINED: Final = frozenset({Clase.COALICION, Clase.COMUN})
_FORMULA: Final = ("=", "+", "-", "@")
_INTEGER: Final = re.compile(r"-?\d+", re.ASCII)
_CODE: Final = re.compile(r"[^\W_][\w.&-]*")
_STICKER_WORD: Final = re.compile(r"[A-Z0-9]{1,12}", re.ASCII)
_RULES: Final = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
_CLAVE: Final = re.compile(r"\d{6}[A-Z]\d{4}", re.ASCII)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where. `line` is 0 where the file as a whole is meant, `column` "" for the line."""

    file: str
    line: int
    column: str
    sentence: str

    def __str__(self) -> str:
        line = f", línea {self.line}" if self.line else ""
        column = f", columna {self.column}" if self.column else ""
        return f"{self.file}{line}{column}: {self.sentence}"


class CatalogErrors(Rejected):
    """Everything that is wrong with a set of catalogue files, in file and line order; nothing was loaded."""

    def __init__(self, findings: Collection[Finding]) -> None:
        self.findings = tuple(sorted(findings, key=lambda one: (one.file, one.line, one.column)))
        head = f"el catálogo tiene {len(self.findings)} {'error' if len(self.findings) == 1 else 'errores'}"
        super().__init__("\n".join([f"{head}; no se cargó nada", *map(str, self.findings)]))


def load_catalog(files: Mapping[str, bytes]) -> Catalog:
    """The validated whole of these files (name → bytes). Raises CatalogErrors with every error of every file."""
    report: list[Finding] = []
    tables = {name: table for name in COLUMNS if (table := _read_table(name, files, report)) is not None}
    report.extend(
        Finding(name, 0, "", f"no es un archivo del catálogo; son: {', '.join(COLUMNS)}")
        for name in files
        if name not in COLUMNS
    )
    drafts = _read_elections(tables, report)
    territories = _read_territories(tables, report)
    contests = _read_contests(tables, drafts, territories, report)
    casillas = _read_casillas(tables, drafts, territories, report)
    if casillas is not None:
        _place(casillas, drafts, contests, territories, report)
    candidacies = _read_candidacies(tables, drafts, contests, report)
    changes = _read_changes(tables, drafts, casillas, report)
    if report or casillas is None:
        raise CatalogErrors(report)
    actas = _build_actas(casillas, drafts, contests, changes)
    _refuse_equal_stickers(actas, drafts)
    return Catalog(
        elections=tuple(draft.election() for draft in drafts.values()),
        contests=tuple(contest.contest for contest in contests.values()),
        territories=tuple(territories.values()),
        candidacies=tuple(candidacies),
        casillas=casillas.build(),
        actas=actas,
        digest=digest(files),
    )


def digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 over the names and the bytes of the files; the same as `sha256sum *.csv | sha256sum`."""
    lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def write_catalog(tables: Mapping[str, Iterable[Sequence[object]]]) -> dict[str, bytes]:
    """CSV files as `load_catalog` reads them; each row has the cells of `COLUMNS`, None for a blank one.

    Raises ValueError for an unknown file or a row of another width: nothing is checked beyond that.
    """
    written = {}
    for name, rows in tables.items():
        columns = COLUMNS.get(name)
        if columns is None:
            raise ValueError(f"{name} is no catalogue file")
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(columns)
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(f"{name}: a row of {len(row)} cells, expected {len(columns)}")
            writer.writerow(row)
        written[name] = text.getvalue().encode("utf-8-sig")
    return written


# --- tables -----------------------------------------------------------------------------------------------------------


@dataclass
class _Table:
    """One file, read and cut into columns. A row with a finding is left out of later checks (`sound`)."""

    name: str
    places: Mapping[str, int]
    rows: list[list[str]]
    lines: list[int]
    report: list[Finding]
    unsound: set[int] = field(default_factory=set)

    def blame(self, row: int, column: str, sentence: str) -> None:
        self.unsound.add(row)
        self.report.append(Finding(self.name, self.lines[row], column, sentence))

    def read(self, column: str, parse: Callable[[str], _T], default: _T) -> list[_T]:
        """Every cell of a column, parsed; `default` where the column is absent or the cell is wrong (and reported)."""
        place = self.places.get(column)
        if place is None:
            return [default] * len(self.rows)
        texts = [row[place] for row in self.rows]
        known: dict[str, _T] = {}
        wrong: dict[str, str] = {}
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

    def expect(self, column: str, values: Iterable[Hashable], judge: Callable[..., str]) -> None:
        """Judge each distinct value once; report the rows whose value gets a sentence."""
        held = list(values)
        wrong = {value: sentence for value in set(held) if (sentence := judge(value))}
        if wrong:
            for row, value in enumerate(held):
                if value in wrong and row not in self.unsound:
                    self.blame(row, column, wrong[value])

    def expect_once(self, column: str, values: Iterable[Hashable], what: str) -> None:
        """Report every row whose value an earlier sound row has."""
        held = list(values)
        if len(set(held)) == len(held):
            return
        first: dict[Hashable, int] = {}
        for row, value in enumerate(held):
            if row in self.unsound:
                continue
            if value in first:
                self.blame(row, column, f"{what}: ya está en la línea {self.lines[first[value]]}")
            else:
                first[value] = row

    def sound(self) -> list[int]:
        return [row for row in range(len(self.rows)) if row not in self.unsound]


def _read_table(name: str, files: Mapping[str, bytes], report: list[Finding]) -> _Table | None:
    """The file as a table; None, with the reasons in the report, where its columns cannot be told."""
    if name not in files:
        if name not in OPTIONAL_FILES:
            report.append(Finding(name, 0, "", "falta el archivo"))
        return None
    text = _decode(name, files[name], report)
    if text is None:
        return None
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
        report.append(Finding(name, line, "", f"desde aquí no se puede separar en columnas ({error})"))
    if not rows:
        report.append(Finding(name, 1, "", "el archivo está vacío"))
        return None
    places = _read_header(name, rows[0], lines[0], report)
    if places is None:
        return None
    return _Table(name, places, *_of_width(name, rows, lines, report), report)


def _decode(name: str, content: bytes, report: list[Finding]) -> str | None:
    try:
        text = without_bom(content.decode())
    except UnicodeDecodeError as error:
        line = plain_lines(content[: error.start].decode(errors="replace")).count("\n") + 1
        report.append(Finding(name, line, "", "no está en UTF-8; guárdelo como «CSV UTF-8»"))
        return None
    except Rejected as error:
        report.append(Finding(name, 1, "", error.sentence.partition(": ")[2]))
        return None
    return plain_lines(text)


def _read_header(name: str, cells: Sequence[str], line: int, report: list[Finding]) -> dict[str, int] | None:
    names = [cell.strip().lower() for cell in cells]
    while names and not names[-1]:
        names.pop()
    known, optional = COLUMNS[name], OPTIONAL_COLUMNS.get(name, frozenset())
    wrong = [
        *((column, "falta la columna") for column in known if column not in names and column not in optional),
        *((column, "columna desconocida") for column in names if column not in known),
        *((column, "la columna está repetida") for column, times in Counter(names).items() if times > 1),
    ]
    report.extend(Finding(name, line, column, sentence) for column, sentence in wrong)
    return None if wrong else {column: place for place, column in enumerate(names)}


def _of_width(
    name: str, rows: list[list[str]], lines: list[int], report: list[Finding]
) -> tuple[list[list[str]], list[int]]:
    """The rows behind the header that have its width (empty cells beyond it are cut off), and their lines."""
    width = len([cell for cell in rows[0] if cell.strip()])
    if set(map(len, rows)) == {width}:
        return rows[1:], lines[1:]
    kept, at = [], []
    for cells, line in zip(rows[1:], lines[1:], strict=True):
        if len(cells) < width or any(cells[width:]):
            report.append(Finding(name, line, "", f"tiene {len(cells)} columnas y el encabezado {width}"))
        else:
            kept.append(cells[:width])
            at.append(line)
    return kept, at


# --- cells ------------------------------------------------------------------------------------------------------------


def _integer(low: int, high: int, *, blank: int | None = None) -> Callable[[str], int]:
    """A parser of whole numbers as spreadsheets write them. `blank` is what an empty cell or N/A means."""

    def parse(cell: str) -> int:
        text = without_thousands(bare(cell))
        if text.upper() in NOTHING:
            if blank is None:
                raise ValueError("falta el número")
            return blank
        if not _INTEGER.fullmatch(text):
            raise ValueError(f"«{_shown(text)}» no es un número entero")
        if len(text) > len(str(high)) + 8 or not low <= int(text) <= high:
            negative = " (no puede ser negativo)" if text.startswith("-") else ""
            raise ValueError(f"{_shown(text)} no está entre {low} y {high}{negative}")
        return int(text)

    return parse


def _maybe_integer(low: int, high: int) -> Callable[[str], int | None]:
    parse = _integer(low, high)
    return lambda cell: None if bare(cell).upper() in NOTHING else parse(cell)


def _name(cell: str) -> str:
    """A text for people: printable, of a sane length, and no formula when a spreadsheet opens what we publish."""
    text = unicodedata.normalize("NFC", cell.strip())
    if len(text) > _MAX_NAME:
        raise ValueError(f"el texto tiene {len(text)} caracteres; el máximo es {_MAX_NAME}")
    if text.startswith(_FORMULA):
        raise ValueError(f"el texto comienza con «{text[0]}», que una hoja de cálculo ejecutaría como fórmula")
    strange = [letter for letter in text if not letter.isprintable() or letter == "\\"]
    if strange:
        raise ValueError(f"el texto contiene un carácter que no se permite (U+{ord(strange[0]):04X})")
    return text


def _needed_name(cell: str) -> str:
    text = _name(cell)
    if not text:
        raise ValueError("falta el texto")
    return text


def _code(cell: str) -> str:
    text = unicodedata.normalize("NFC", bare(cell))
    if not text:
        raise ValueError("falta el código")
    if len(text) > _MAX_CODE or not _CODE.fullmatch(text):
        raise ValueError(
            f"«{_shown(text)}» no es un código: letras, números, guiones, puntos y &, sin espacios, hasta {_MAX_CODE}"
        )
    return text


def _codes(cell: str) -> tuple[str, ...]:
    return tuple(_code(word) for word in bare(cell).split())


def _sticker_word(cell: str) -> str:
    """A field of the QR text: it must come back from `catalog.read_identity` as it is."""
    text = bare(cell).upper()
    if not _STICKER_WORD.fullmatch(text):
        raise ValueError(f"«{_shown(text)}» no cabe en el QR: de 1 a 12 letras o números, sin acentos")
    return text


def _maybe_sticker_word(cell: str) -> str:
    return _sticker_word(cell) if bare(cell) else ""


def _one_of(kind: Callable[[str], _T], values: Iterable[str]) -> Callable[[str], _T]:
    allowed = ", ".join(values)

    def parse(cell: str) -> _T:
        try:
            return kind(bare(cell))
        except ValueError:
            raise ValueError(f"«{_shown(bare(cell))}» no es ninguno de: {allowed}") from None

    return parse


def _shown(text: str) -> str:
    """A cell as it may stand in a message: printable and short."""
    plain = "".join(letter if letter.isprintable() else "�" for letter in text)
    return plain if len(plain) <= 40 else f"{plain[:40]}…"


_ambito: Final = _one_of(Ambito, Ambito)
_nivel: Final = _one_of(Nivel, Nivel)
_kind: Final = _one_of(TerritoryKind, TerritoryKind)
_tipo: Final = _one_of(TipoCasilla, TipoCasilla)
_clase: Final = _one_of(Clase, Clase)


# --- elections, territories, contests ---------------------------------------------------------------------------------


@dataclass
class _Draft:
    """An election while its files are being read."""

    id: ElectionId
    code: str
    title: str
    year: int
    ambito: Ambito
    nivel: Nivel
    rules: str
    candidatura: str
    tipos: Mapping[TipoCasilla, str]
    """TIPO_ACTA by type of casilla."""
    sufijos: Mapping[TipoCasilla, str]
    """What CLAVE_ACTA puts behind CLAVE_CASILLA, by type of casilla; institutes print another code there."""
    options: list[Option] = field(default_factory=list)

    @property
    def places(self) -> dict[str, int]:
        return {option.code: option.position for option in self.options}

    @property
    def territory(self) -> TerritoryKind | None:
        """The kind of territory in which a contest takes place; None for the whole country or entidad."""
        if self.nivel is Nivel.MUNICIPIO:
            return TerritoryKind.MUNICIPIO
        return self.distrito if self.nivel is Nivel.DISTRITO else None

    @property
    def distrito(self) -> TerritoryKind:
        return TerritoryKind.DISTRITO_FEDERAL if self.ambito is Ambito.FEDERAL else TerritoryKind.DISTRITO_LOCAL

    def election(self) -> Election:
        return Election(
            id=self.id,
            code=self.code,
            title=self.title,
            year=self.year,
            ambito=self.ambito,
            nivel=self.nivel,
            rules=self.rules,
            candidatura=self.candidatura,
            options=tuple(self.options),
        )


_Drafts = dict[str, _Draft]
_Territories = dict[tuple[TerritoryKind, int, int], Territory]
_ContestKey = tuple[str, int, int]
"""Election code, entidad, territory: 0 where the whole country or entidad is one contest."""


@dataclass
class _Place:
    """A contest and whether any casilla votes in it."""

    contest: Contest
    row: int | None
    used: bool = False


_Contests = dict[_ContestKey, _Place]


def _read_elections(tables: Mapping[str, _Table], report: list[Finding]) -> _Drafts:
    table = tables.get("elecciones.csv")
    if table is None:
        return {}
    if not table.rows:
        report.append(Finding(table.name, 0, "", "no hay ninguna elección"))
    codes = table.read("codigo", _code, "")
    titles = table.read("titulo", _needed_name, "")
    years = table.read("anio", _integer(1990, 2200), 0)
    ambitos = table.read("ambito", _ambito, Ambito.LOCAL)
    niveles = table.read("nivel", _nivel, Nivel.ENTIDAD)
    rules = table.read("reglas", str.strip, "")
    candidaturas = table.read("candidatura", _sticker_word, "")
    tipos = _by_type(table, "tipo_acta", needed=True)
    sufijos = _by_type(table, "sufijo", needed=False)
    table.expect("reglas", rules, _judge_rules)
    table.expect_once("codigo", [code.casefold() for code in codes], "la elección está repetida")
    drafts = {
        codes[row]: _Draft(
            ElectionId(number),
            codes[row],
            titles[row],
            years[row],
            ambitos[row],
            niveles[row],
            rules[row],
            candidaturas[row],
            tipos[row],
            {tipo: sufijos[row][tipo] or tipos[row][tipo] for tipo in TipoCasilla},
        )
        for number, row in enumerate(table.sound(), start=1)
    }
    _read_options(tables, drafts, report)
    return drafts


def _judge_rules(name: str) -> str:
    return "" if name in RULE_SETS else f"«{_shown(name)}» no es un conjunto de reglas; hay: {', '.join(RULE_SETS)}"


def _by_type(table: _Table, column: str, *, needed: bool) -> list[dict[TipoCasilla, str]]:
    """For each election, the word of `column` for every type of casilla, with its exceptions for S and M."""
    usual = table.read(column, _sticker_word if needed else _maybe_sticker_word, "")
    especial = table.read(f"{column}_especial", _maybe_sticker_word, "")
    extranjero = table.read(f"{column}_extranjero", _maybe_sticker_word, "")
    return [
        dict.fromkeys(TipoCasilla, u) | {TipoCasilla.ESPECIAL: s or u, TipoCasilla.EXTRANJERO: m or u}
        for u, s, m in zip(usual, especial, extranjero, strict=True)
    ]


def _read_options(tables: Mapping[str, _Table], drafts: _Drafts, report: list[Finding]) -> None:
    """The ballots, into the drafts, with positions in the order of `orden`."""
    table = tables.get("opciones.csv")
    if table is None:
        return
    elections = table.read("eleccion", _code, "")
    ordenes = table.read("orden", _integer(0, 9999), 0)
    codes = table.read("codigo", _code, "")
    clases = table.read("clase", _clase, Clase.PARTIDO)
    parties = table.read("partidos", _codes, ())
    names = table.read("nombre", _name, "")
    table.expect("eleccion", elections, lambda code: _judge_election(code, drafts, tables))
    table.expect("codigo", zip(codes, clases, strict=True), _judge_option_code)
    table.expect("partidos", zip(clases, parties, strict=True), _judge_parties)
    table.expect_once("orden", zip(elections, ordenes, strict=True), "el orden está repetido")
    table.expect_once(
        "codigo", [(e, code.casefold()) for e, code in zip(elections, codes, strict=True)], "la opción está repetida"
    )
    for code, draft in drafts.items():
        rows = sorted((row for row in table.sound() if elections[row] == code), key=ordenes.__getitem__)
        of_party = {codes[row]: place for place, row in enumerate(rows) if clases[row] is Clase.PARTIDO}
        for place, row in enumerate(rows):
            unknown = [party for party in parties[row] if party not in of_party]
            if unknown:
                table.blame(row, "partidos", f"«{unknown[0]}» no es un partido de {code}")
            joined = tuple(sorted(of_party[party] for party in parties[row] if party in of_party))
            draft.options.append(Option(place, codes[row], clases[row], joined, names[row] or codes[row]))
        _judge_ballot(table, draft, {place: row for place, row in enumerate(rows)}, report)


def _judge_election(code: str, drafts: _Drafts, tables: Mapping[str, _Table]) -> str:
    # Where elecciones.csv itself is wrong, its absent elections are its own findings, not those of every other file.
    known = tables.get("elecciones.csv")
    if code in drafts or known is None or known.unsound:
        return ""
    return f"la elección «{code}» no está en elecciones.csv"


def _judge_option_code(held: tuple[str, Clase]) -> str:
    code, clase = held
    if code.upper() not in OFFICIAL_COLUMNS or (code.upper() == "NULOS" and clase is Clase.NULOS):
        return ""
    if code.upper() == "NO_REGISTRADAS" and clase is Clase.NO_REGISTRADAS:
        return ""
    return f"«{code}» es el nombre de otra columna del archivo oficial"


def _judge_parties(held: tuple[Clase, tuple[str, ...]]) -> str:
    clase, parties = held
    if clase not in _JOINED:
        return f"una opción de clase {clase} no lleva partidos" if parties else ""
    if len(set(parties)) < len(parties):
        return "un partido está repetido en la combinación"
    if len(parties) == 1 or (clase is Clase.COALICION and not parties):
        return "una combinación une al menos dos partidos"
    return ""


def _judge_ballot(table: _Table, draft: _Draft, rows: Mapping[int, int], report: list[Finding]) -> None:
    """What an election's options must be together."""

    def blame(clase: Clase, sentence: str) -> None:
        report.append(Finding(table.name, 0, "clase", f"{draft.code} tiene {times[clase]} {sentence}"))

    if table.unsound:
        return
    times = Counter(option.clase for option in draft.options)
    if times[Clase.NULOS] != 1:
        blame(Clase.NULOS, "opciones de clase nulos; debe tener exactamente una")
    if times[Clase.NO_REGISTRADAS] > 1:
        blame(Clase.NO_REGISTRADAS, "opciones de clase no_registradas; a lo más una")
    if not any(option.clase in _PEOPLE for option in draft.options):
        report.append(
            Finding(table.name, 0, "clase", f"{draft.code} no tiene ninguna opción por la que se pueda votar")
        )
    seen: dict[tuple[Clase, tuple[int, ...]], Option] = {}
    for option in draft.options:
        earlier = seen.setdefault((option.clase, option.parties), option)
        if option.parties and earlier is not option:
            table.blame(rows[option.position], "partidos", f"es la misma combinación que {earlier.code}")


def _read_territories(tables: Mapping[str, _Table], report: list[Finding]) -> _Territories:
    table = tables.get("territorios.csv")
    if table is None:
        return {}
    kinds = table.read("tipo", _kind, TerritoryKind.ENTIDAD)
    entidades = table.read("entidad", _integer(1, _MAX_ENTIDAD), 0)
    ids = table.read("id", _integer(1, _MAX_TERRITORY), 0)
    names = table.read("nombre", _needed_name, "")
    table.expect("id", zip(kinds, entidades, ids, strict=True), _judge_territory)
    table.expect_once("id", zip(kinds, entidades, ids, strict=True), "el territorio está repetido")
    found = {
        (kinds[row], entidades[row], ids[row]): Territory(kinds[row], entidades[row], ids[row], names[row])
        for row in table.sound()
    }
    for row in table.sound():
        if (TerritoryKind.ENTIDAD, entidades[row], entidades[row]) not in found:
            table.blame(row, "entidad", f"la entidad {entidades[row]} no está entre los territorios")
    return found


def _judge_territory(held: tuple[TerritoryKind, int, int]) -> str:
    kind, entidad, own = held
    return (
        "el id de una entidad es el de la columna entidad" if kind is TerritoryKind.ENTIDAD and own != entidad else ""
    )


def _read_contests(
    tables: Mapping[str, _Table], drafts: _Drafts, territories: _Territories, report: list[Finding]
) -> _Contests:
    """The contests that contiendas.csv states; the others follow from the casillas (`_place`)."""
    table = tables.get("contiendas.csv")
    if table is None:
        return {}
    elections = table.read("eleccion", _code, "")
    entidades = table.read("entidad", _integer(0, _MAX_ENTIDAD, blank=0), 0)
    ids = table.read("territorio", _integer(0, _MAX_TERRITORY, blank=0), 0)
    names = table.read("nombre", _name, "")
    ballots = table.read("opciones", _codes, ())
    keys = list(zip(elections, entidades, ids, strict=True))
    table.expect("eleccion", elections, lambda code: _judge_election(code, drafts, tables))
    if "territorios.csv" in tables:
        table.expect("territorio", keys, lambda key: _judge_contest(key, drafts, territories))
    table.expect_once("territorio", keys, "la contienda está repetida")
    table.expect("opciones", zip(elections, ballots, strict=True), lambda held: _judge_contest_ballot(held, drafts))
    contests = {}
    for row in table.sound():
        draft = drafts.get(elections[row])
        if draft is not None:
            ballot = tuple(sorted(draft.places[code] for code in ballots[row])) or tuple(range(len(draft.options)))
            contests[keys[row]] = _Place(_contest(keys[row], draft, territories, ballot, names[row]), row)
    return contests


def _judge_contest(key: _ContestKey, drafts: _Drafts, territories: _Territories) -> str:
    code, entidad, own = key
    draft = drafts.get(code)
    if draft is None:
        return ""
    if draft.nivel is Nivel.PAIS:
        return "" if entidad == own == 0 else "una contienda de todo el país lleva entidad 0 y territorio 0"
    if draft.territory is None and own != 0:
        return "una contienda de toda la entidad lleva territorio 0"
    kind, wanted = (draft.territory, own) if draft.territory else (TerritoryKind.ENTIDAD, entidad)
    return "" if (kind, entidad, wanted) in territories else _unknown(kind, entidad, wanted)


def _unknown(kind: TerritoryKind, entidad: int, own: int) -> str:
    where = "" if kind is TerritoryKind.ENTIDAD else f" de la entidad {entidad}"
    return f"{kind.replace('_', ' ')} {own}{where} no está en territorios.csv"


def _judge_contest_ballot(held: tuple[str, tuple[str, ...]], drafts: _Drafts) -> str:
    code, ballot = held
    draft = drafts.get(code)
    if draft is None or not ballot:
        return ""
    places = draft.places
    unknown = [one for one in ballot if one not in places]
    if unknown:
        return f"«{unknown[0]}» no es una opción de {code}"
    if len(set(ballot)) < len(ballot):
        return "una opción está repetida"
    options = [draft.options[places[one]] for one in ballot]
    if not any(option.clase is Clase.NULOS for option in options):
        return "la boleta no incluye los votos nulos"
    if not any(option.clase in _PEOPLE for option in options):
        return "la boleta no tiene ninguna opción por la que se pueda votar"
    printed = {option.position for option in options}
    for option in options:
        missing = [party for party in option.parties if party not in printed]
        if missing and option.clase is Clase.COALICION:
            return f"la boleta incluye {option.code} sin {draft.options[missing[0]].code}"
    return ""


def _contest(key: _ContestKey, draft: _Draft, territories: _Territories, ballot: tuple[int, ...], name: str) -> Contest:
    _, entidad, own = key
    kind, wanted = (draft.territory, own) if draft.territory else (TerritoryKind.ENTIDAD, entidad)
    territory = territories.get((kind, entidad, wanted))
    told = name or (territory.name if territory else draft.title)
    return Contest(ContestId(0), draft.id, entidad, own, told, ballot)


# --- casillas and actas -----------------------------------------------------------------------------------------------


@dataclass
class _Casillas:
    """casillas.csv as columns. `contests` holds, for each election, the contest of every casilla or None."""

    table: _Table
    entidad: list[int]
    territory: Mapping[TerritoryKind, list[int]]
    seccion: list[int]
    tipo: list[TipoCasilla]
    numero: list[int]
    ext_contigua: list[int]
    ubicacion: list[int]
    lista_nominal: list[int]
    representantes: list[int]
    boletas_maximas: list[int | None]
    digitos: list[int]
    elections: list[frozenset[str] | None]
    """Codes of its elections; None for all."""

    def __len__(self) -> int:
        return len(self.entidad)

    def claves(self) -> list[str]:
        """CLAVE_CASILLA of each; the same text as `Casilla.clave`."""
        return [
            f"{entidad:02}{seccion:04}{tipo}{numero:02}{ext:02}"
            for entidad, seccion, tipo, numero, ext in zip(
                self.entidad,
                self.seccion,
                [tipo.value for tipo in self.tipo],
                self.numero,
                self.ext_contigua,
                strict=True,
            )
        ]

    def build(self) -> list[Casilla]:
        return list(
            map(
                Casilla,
                map(CasillaId, range(1, len(self) + 1)),
                self.entidad,
                self.territory[TerritoryKind.DISTRITO_FEDERAL],
                self.territory[TerritoryKind.DISTRITO_LOCAL],
                self.territory[TerritoryKind.MUNICIPIO],
                self.seccion,
                self.tipo,
                self.numero,
                self.ext_contigua,
                self.ubicacion,
            )
        )

    def order(self, kind: TerritoryKind) -> list[int]:
        """Rows in the order of the official file: foreign vote first, then entidad, district or municipality, …"""
        ranks = [
            (((((tipo != "M") * 100 + entidad) * 1000 + own) * 10_000 + seccion) * 256 + ord(tipo)) * 10_000
            + numero * 100
            + ext
            for entidad, own, seccion, tipo, numero, ext in zip(
                self.entidad,
                self.territory[kind],
                self.seccion,
                [tipo.value for tipo in self.tipo],
                self.numero,
                self.ext_contigua,
                strict=True,
            )
        ]
        return sorted(range(len(ranks)), key=ranks.__getitem__)


_TERRITORY_COLUMNS: Final = (
    TerritoryKind.DISTRITO_FEDERAL,
    TerritoryKind.DISTRITO_LOCAL,
    TerritoryKind.MUNICIPIO,
)


def _read_casillas(
    tables: Mapping[str, _Table], drafts: _Drafts, territories: _Territories, report: list[Finding]
) -> _Casillas | None:
    table = tables.get("casillas.csv")
    if table is None:
        return None
    if not table.rows:
        report.append(Finding(table.name, 0, "", "no hay ninguna casilla"))
    casillas = _Casillas(
        table=table,
        entidad=table.read("entidad", _integer(1, _MAX_ENTIDAD), 0),
        territory={
            kind: table.read(kind.value, _integer(0, _MAX_TERRITORY, blank=0), 0) for kind in _TERRITORY_COLUMNS
        },
        seccion=table.read("seccion", _integer(0, _MAX_SECCION, blank=0), 0),
        tipo=table.read("tipo", _tipo, TipoCasilla.BASICA),
        numero=table.read("numero", _integer(0, _MAX_NUMERO), 0),
        ext_contigua=table.read("ext_contigua", _integer(0, _MAX_NUMERO), 0),
        ubicacion=table.read("ubicacion", _integer(1, 2), 1),
        lista_nominal=table.read("lista_nominal", _integer(0, _MAX_PEOPLE), 0),
        representantes=table.read("representantes", _integer(0, _MAX_PEOPLE), 0),
        boletas_maximas=table.read("boletas_maximas", _maybe_integer(0, _MAX_PEOPLE), None),
        digitos=table.read("digitos", _integer(1, _MAX_DIGITOS, blank=DIGITOS), DIGITOS),
        elections=table.read("elecciones", lambda cell: frozenset(_codes(cell)) or None, None),
    )
    _judge_casillas(casillas, drafts, tables, territories)
    return casillas


def _judge_casillas(
    casillas: _Casillas, drafts: _Drafts, tables: Mapping[str, _Table], territories: _Territories
) -> None:
    table = casillas.table
    if "territorios.csv" in tables and not tables["territorios.csv"].unsound:
        table.expect(
            "entidad",
            casillas.entidad,
            lambda own: "" if (_ENTIDAD, own, own) in territories else _unknown(_ENTIDAD, own, own),
        )
        for kind, owns in casillas.territory.items():
            table.expect(
                kind.value,
                zip(casillas.entidad, owns, strict=True),
                lambda held, kind=kind: "" if held[1] == 0 or (kind, *held) in territories else _unknown(kind, *held),
            )
    table.expect("seccion", zip(casillas.tipo, casillas.seccion, strict=True), _judge_seccion)
    table.expect(
        "lista_nominal", zip(casillas.tipo, casillas.lista_nominal, casillas.boletas_maximas, strict=True), _judge_lista
    )
    table.expect(
        "elecciones",
        casillas.elections,
        lambda codes: next(filter(None, (_judge_election(code, drafts, tables) for code in sorted(codes or ()))), ""),
    )
    table.expect_once(
        "numero",
        zip(
            casillas.entidad,
            casillas.seccion,
            casillas.tipo,
            casillas.numero,
            casillas.ext_contigua,
            strict=True,
        ),
        "la casilla está repetida",
    )


_ENTIDAD: Final = TerritoryKind.ENTIDAD


def _judge_seccion(held: tuple[TipoCasilla, int]) -> str:
    tipo, seccion = held
    return f"una casilla de tipo {tipo} pertenece a una sección" if seccion == 0 and tipo not in SIN_SECCION else ""


def _judge_lista(held: tuple[TipoCasilla, int, int | None]) -> str:
    tipo, lista, maximum = held
    if lista == 0 and maximum is None and tipo in _BY_LISTA:
        return f"una casilla de tipo {tipo} con lista nominal 0 necesita boletas_maximas"
    return ""


def _contest_keys(casillas: _Casillas, draft: _Draft) -> list[_ContestKey]:
    if draft.nivel is Nivel.PAIS:
        return [(draft.code, 0, 0)] * len(casillas)
    owns: Iterable[int] = repeat(0) if draft.territory is None else casillas.territory[draft.territory]
    return list(zip(repeat(draft.code), casillas.entidad, owns))  # noqa: B905 - repeat() has no end


def _votes_in(casillas: _Casillas, draft: _Draft) -> list[bool]:
    return [codes is None or draft.code in codes for codes in casillas.elections]


def _place(
    casillas: _Casillas, drafts: _Drafts, contests: _Contests, territories: _Territories, report: list[Finding]
) -> None:
    """Every casilla into a contest of each of its elections, every contest with a casilla; then number the contests."""
    for draft in drafts.values():
        stated = any(key[0] == draft.code for key in contests)
        keys = [
            key if votes else None
            for key, votes in zip(_contest_keys(casillas, draft), _votes_in(casillas, draft), strict=True)
        ]
        used = {key for key in keys if key is not None}
        if not used:
            report.append(Finding("elecciones.csv", 0, "codigo", f"ninguna casilla vota en {draft.code}"))
        if not stated:
            everything = tuple(range(len(draft.options)))
            for key in used:
                if draft.territory is None or key[2]:
                    contests[key] = _Place(_contest(key, draft, territories, everything, ""), None)
        column = draft.territory.value if draft.territory else "entidad"
        casillas.table.expect(
            column,
            keys,
            lambda key, draft=draft: "" if key is None or key in contests else _no_contest(key, draft),
        )
        for key in used & contests.keys():
            contests[key].used = True
    report.extend(
        Finding("contiendas.csv", 0, "territorio", f"ninguna casilla vota en {key[0]}, {place.contest.name}")
        for key, place in contests.items()
        if not place.used
    )
    _number(contests, drafts)


def _no_contest(key: _ContestKey, draft: _Draft) -> str:
    code, entidad, own = key
    if draft.territory is not None and own == 0:
        return f"sin {draft.territory.replace('_', ' ')} no vota en {code}; quite esa elección de la casilla"
    where = f"{draft.territory.replace('_', ' ')} {own} de la " if draft.territory else ""
    return f"{code} no tiene contienda (ni boleta) en {where}entidad {entidad}"


def _number(contests: _Contests, drafts: _Drafts) -> None:
    """Contest ids from 1 by election, entidad and territory, and the same order in the mapping."""
    ordered = sorted(
        (item for item in contests.items() if item[0][0] in drafts), key=lambda item: (drafts[item[0][0]].id, *item[0])
    )
    contests.clear()
    for number, (key, place) in enumerate(ordered, start=1):
        held = place.contest
        place.contest = Contest(ContestId(number), held.election, held.entidad, held.territory, held.name, held.ballot)
        contests[key] = place


def _read_candidacies(
    tables: Mapping[str, _Table], drafts: _Drafts, contests: _Contests, report: list[Finding]
) -> list[Candidacy]:
    """Namesakes are two candidacies; the same line twice, or an option shared by different ones, is an error.

    Two formulas of one list (senadurías) share all their options, and that is legal.
    """
    table = tables.get("candidaturas.csv")
    if table is None:
        return []
    elections = table.read("eleccion", _code, "")
    entidades = table.read("entidad", _integer(0, _MAX_ENTIDAD, blank=0), 0)
    ids = table.read("territorio", _integer(0, _MAX_TERRITORY, blank=0), 0)
    options = table.read("opciones", _codes, ())
    owners = table.read("propietaria", _needed_name, "")
    substitutes = table.read("suplente", _name, "")
    keys = list(zip(elections, entidades, ids, strict=True))
    table.expect("eleccion", elections, lambda code: _judge_election(code, drafts, tables))
    if "casillas.csv" in tables and not report:
        table.expect("territorio", keys, lambda key: "" if key in contests else "no hay contienda de esa elección ahí")
        table.expect("opciones", zip(keys, options, strict=True), lambda held: _judge_backing(held, drafts, contests))
    table.expect_once(
        "propietaria", zip(keys, options, owners, substitutes, strict=True), "la candidatura está repetida"
    )
    held: dict[tuple[_ContestKey, str], frozenset[str]] = {}
    for row in table.sound():
        for code in options[row]:
            if held.setdefault((keys[row], code), frozenset(options[row])) != frozenset(options[row]):
                table.blame(row, "opciones", f"{code} ya está en otra candidatura de la misma contienda")
    return [
        Candidacy(
            contests[keys[row]].contest.id,
            tuple(sorted(drafts[elections[row]].places[code] for code in options[row])),
            owners[row],
            substitutes[row],
        )
        for row in table.sound()
        if not report
    ]


def _judge_backing(held: tuple[_ContestKey, tuple[str, ...]], drafts: _Drafts, contests: _Contests) -> str:
    key, codes = held
    draft, place = drafts.get(key[0]), contests.get(key)
    if draft is None or place is None:
        return ""
    if not codes:
        return "falta al menos una opción"
    if len(set(codes)) < len(codes):
        return "una opción está repetida"
    for code in codes:
        position = draft.places.get(code)
        if position is None or position not in place.contest.ballot:
            return f"«{code}» no está en la boleta de esa contienda"
        if draft.options[position].clase not in _PEOPLE:
            return f"los votos de {code} no cuentan para una candidatura"
    return ""


@dataclass(frozen=True, slots=True)
class _Change:
    """What actas.csv says of one acta; None and "" where it says nothing."""

    tipo_acta: str
    sufijo: str
    lista_nominal: int | None
    representantes: int | None
    boletas_maximas: int | None
    digitos: int | None


_Changes = dict[tuple[str, int], _Change]
"""By election code and row of casillas.csv."""


def _read_changes(
    tables: Mapping[str, _Table], drafts: _Drafts, casillas: _Casillas | None, report: list[Finding]
) -> _Changes:
    table = tables.get("actas.csv")
    if table is None:
        return {}
    elections = table.read("eleccion", _code, "")
    claves = table.read("clave_casilla", _clave, "")
    tipos = table.read("tipo_acta", _maybe_sticker_word, "")
    sufijos = table.read("sufijo", _maybe_sticker_word, "")
    listas = table.read("lista_nominal", _maybe_integer(0, _MAX_PEOPLE), None)
    representantes = table.read("representantes", _maybe_integer(0, _MAX_PEOPLE), None)
    maximas = table.read("boletas_maximas", _maybe_integer(0, _MAX_PEOPLE), None)
    digitos = table.read("digitos", _maybe_integer(1, _MAX_DIGITOS), None)
    table.expect("eleccion", elections, lambda code: _judge_election(code, drafts, tables))
    table.expect_once("clave_casilla", zip(elections, claves, strict=True), "el acta está repetida")
    if casillas is None or report:
        return {}
    rows = {clave: row for row, clave in enumerate(casillas.claves())}
    table.expect(
        "clave_casilla",
        claves,
        lambda clave: "" if clave in rows else f"la casilla {clave} no está en casillas.csv",
    )
    changes = {}
    for row in table.sound():
        casilla = rows[claves[row]]
        codes = casillas.elections[casilla]
        change = _Change(tipos[row], sufijos[row], listas[row], representantes[row], maximas[row], digitos[row])
        lista = casillas.lista_nominal[casilla] if change.lista_nominal is None else change.lista_nominal
        maximum = casillas.boletas_maximas[casilla] if change.boletas_maximas is None else change.boletas_maximas
        wrong = _judge_lista((casillas.tipo[casilla], lista, maximum))
        if codes is not None and elections[row] not in codes:
            table.blame(row, "clave_casilla", f"la casilla {claves[row]} no vota en {elections[row]}")
        elif wrong:
            table.blame(row, "lista_nominal", wrong)
        changes[elections[row], casilla] = change
    return changes


def _clave(cell: str) -> str:
    text = bare(cell).upper()
    if not _CLAVE.fullmatch(text):
        raise ValueError(f"«{_shown(text)}» no es una clave de casilla: entidad(2) sección(4) tipo(1) id(2) ext(2)")
    return text


def _build_actas(casillas: _Casillas, drafts: _Drafts, contests: _Contests, changes: _Changes) -> list[Acta]:
    """One acta for each casilla and election, by election and then in the order of its official file."""
    claves = casillas.claves()
    tails = [
        f"|{seccion}|{numero}|{tipo}|{ext}|"
        for seccion, numero, tipo, ext in zip(
            casillas.seccion,
            casillas.numero,
            [tipo.value for tipo in casillas.tipo],
            casillas.ext_contigua,
            strict=True,
        )
    ]
    orders: dict[TerritoryKind, list[int]] = {}
    actas: list[Acta] = []
    for draft in drafts.values():
        kind = TerritoryKind.MUNICIPIO if draft.nivel is Nivel.MUNICIPIO else draft.distrito
        order = orders.get(kind) or orders.setdefault(kind, casillas.order(kind))
        votes = _votes_in(casillas, draft)
        rows = list(compress(order, map(votes.__getitem__, order)))
        of_key = {key: place.contest.id for key, place in contests.items()}
        keys = _contest_keys(casillas, draft)
        distritos = casillas.territory[draft.distrito]
        tipos, sufijos, candidatura = draft.tipos, draft.sufijos, _unpadded(draft.candidatura)
        printed = {tipo: _unpadded(word) for tipo, word in tipos.items()}
        start = len(actas)
        actas.extend(
            map(
                Acta,
                map(ActaId, count(start + 1)),
                repeat(draft.id),
                [of_key[keys[row]] for row in rows],
                [CasillaId(row + 1) for row in rows],
                [claves[row] + sufijos[casillas.tipo[row]] for row in rows],
                [tipos[casillas.tipo[row]] for row in rows],
                [
                    f"{casillas.entidad[row]}|{distritos[row]}|{printed[casillas.tipo[row]]}{tails[row]}{candidatura}"
                    for row in rows
                ],
                [casillas.lista_nominal[row] for row in rows],
                [casillas.representantes[row] for row in rows],
                [casillas.boletas_maximas[row] for row in rows],
                [casillas.digitos[row] for row in rows],
                count(),
            )
        )
        for place, row in enumerate(rows, start=start):
            change = changes.get((draft.code, row)) if changes else None
            if change is not None:
                sticker = f"|{printed[casillas.tipo[row]]}{tails[row]}"
                actas[place] = _changed(actas[place], change, claves[row], sticker, tails[row])
    return actas


def _unpadded(word: str) -> str:
    return str(int(word)) if word.isdigit() else word


def _changed(acta: Acta, change: _Change, clave: str, sticker: str, tail: str) -> Acta:
    tipo = change.tipo_acta or acta.tipo_acta
    return acta._replace(
        tipo_acta=tipo,
        clave=clave + (change.sufijo or change.tipo_acta or acta.clave.removeprefix(clave)),
        qr=acta.qr.replace(sticker, f"|{_unpadded(tipo)}{tail}"),
        lista_nominal=acta.lista_nominal if change.lista_nominal is None else change.lista_nominal,
        representantes=acta.representantes if change.representantes is None else change.representantes,
        boletas_maximas=acta.boletas_maximas if change.boletas_maximas is None else change.boletas_maximas,
        digitos=acta.digitos if change.digitos is None else change.digitos,
    )


def _refuse_equal_stickers(actas: Sequence[Acta], drafts: _Drafts) -> None:
    """An image is tied to its acta by the QR text, so no two may have the same.

    Within one election the casilla is in the text; across elections only `candidatura` and `tipo_acta` tell them apart.
    """
    if len({_unpadded(draft.candidatura) for draft in drafts.values()}) == len(drafts):
        return
    seen: dict[str, Acta] = {}
    codes = {draft.id: draft.code for draft in drafts.values()}
    pairs: dict[tuple[ElectionId, ElectionId], list[str]] = {}
    for acta in actas:
        other = seen.setdefault(acta.qr, acta)
        if other is not acta:
            pairs.setdefault((other.election, acta.election), []).append(acta.clave)
    if pairs:
        raise CatalogErrors(
            [
                Finding(
                    "elecciones.csv",
                    0,
                    "candidatura",
                    f"{len(claves)} actas de {codes[one]} y {codes[two]} llevarían el mismo QR (la primera, {claves[0]}): "
                    "cambie candidatura o tipo_acta de una de las dos elecciones",
                )
                for (one, two), claves in pairs.items()
            ]
        )
