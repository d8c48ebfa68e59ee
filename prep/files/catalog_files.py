"""Load an institute's catalogue from its CSV files: either the whole valid catalogue, or a report of all errors.

    elecciones.csv    the elections of the night         opciones.csv      the rows of each election's ballot
    territorios.csv   entidades, distritos, municipios   contiendas.csv    the contests of each election (optional)
    casillas.csv      every polling station              candidaturas.csv  the candidates, with their options
    actas.csv         the differences of single actas from their casilla and election (optional)
    reglas/NAME.json  a rule set of the election's own, or NAME.toml (optional)

`COLUMNS` names the columns of each file; `csv_tables.py` says which texts a cell may hold. The program reads whole
columns and not single rows, so a catalogue of 170,000 casillas × 3 elections loads in seconds. If a check needs data
that is wrong itself, the check is left out. So one mistake is not reported a thousand times; the check runs on the next
attempt.
"""

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import compress, count, repeat
from pathlib import Path
from typing import Final

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
from prep.domain.rules import OWN, RULE_SETS, RuleSet, own_rules
from prep.errors import Rejected
from prep.files import csv_tables as cell
from prep.files.csv_tables import CsvTable, FileFinding, read_table, shown
from prep.files.official import COLUMNS as OFFICIAL_COLUMNS

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "elecciones.csv": (
        "codigo",
        "titulo",
        "anio",
        "ambito",
        "nivel",
        "reglas",
        "candidatura",
        *("tipo_acta", "tipo_acta_especial", "tipo_acta_extranjero"),
        *("sufijo", "sufijo_especial", "sufijo_extranjero"),
    ),
    "territorios.csv": ("tipo", "entidad", "id", "nombre"),
    "casillas.csv": (
        "entidad",
        *("distrito_federal", "distrito_local", "municipio", "seccion"),
        *("tipo", "numero", "ext_contigua", "ubicacion"),
        *("lista_nominal", "representantes", "boletas_maximas", "digitos", "elecciones"),
    ),
    "opciones.csv": ("eleccion", "orden", "codigo", "clase", "partidos", "nombre"),
    "contiendas.csv": ("eleccion", "entidad", "territorio", "nombre", "opciones", "votos_por_boleta"),
    "candidaturas.csv": ("eleccion", "entidad", "territorio", "opciones", "propietaria", "suplente"),
    "actas.csv": (
        "eleccion",
        "clave_casilla",
        *("tipo_acta", "sufijo", "lista_nominal", "representantes", "boletas_maximas", "digitos"),
    ),
}
"""The columns of each file, in the order in which `write_catalog` writes them. A file may have them in any order.

`sufijo` is the end of CLAVE_ACTA, after CLAVE_CASILLA. It may differ from TIPO_ACTA: real files print "2" as "02" and
"2EMR" as "4". If it is blank, it is `tipo_acta`. Spaces separate the codes of a list.
"""

OPTIONAL_FILES: Final = frozenset({"contiendas.csv", "actas.csv"})
OPTIONAL_COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    "elecciones.csv": frozenset(COLUMNS["elecciones.csv"][8:]),
    "casillas.csv": frozenset({"boletas_maximas", "digitos", "elecciones"}),
    "opciones.csv": frozenset({"partidos", "nombre"}),
    "contiendas.csv": frozenset({"nombre", "opciones", "votos_por_boleta"}),
    "candidaturas.csv": frozenset({"suplente"}),
    "actas.csv": frozenset(COLUMNS["actas.csv"][2:]),
}
"""Columns that may be absent. A blank cell means the same as an absent column."""

DIGITOS: Final = 3
"""Number of digit boxes for each quantity on the official form (`docs/rules.md` §7)."""

_ENTIDAD: Final = TerritoryKind.ENTIDAD
_MAX_ENTIDAD: Final = 99
_MAX_TERRITORY: Final = 999
_MAX_SECCION: Final = 9999
_MAX_NUMERO: Final = 99
_MAX_PEOPLE: Final = 9_999_999
_MAX_DIGITOS: Final = 7
_MAX_VOTES_PER_BALLOT: Final = 100
_CLAVE: Final = re.compile(r"\d{6}[A-Z]\d{4}", re.ASCII)

_BY_LISTA: Final = frozenset({TipoCasilla.BASICA, TipoCasilla.CONTIGUA, TipoCasilla.EXTRAORDINARIA})
"""Types that always have a lista nominal.

If it were 0 without a maximum of ballots, their votes would have no limit.
"""
_FOR_SOMEBODY: Final = frozenset({Clase.PARTIDO, Clase.COALICION, Clase.COMUN, Clase.INDEPENDIENTE})
_JOINED: Final = frozenset({Clase.COALICION, Clase.COMUN})

_ambito: Final = cell.one_of(Ambito, Ambito)
_nivel: Final = cell.one_of(Nivel, Nivel)
_kind: Final = cell.one_of(TerritoryKind, TerritoryKind)
_tipo: Final = cell.one_of(TipoCasilla, TipoCasilla)
_clase: Final = cell.one_of(Clase, Clase)
_people: Final = cell.integer(0, _MAX_PEOPLE)
_maybe_people: Final = cell.maybe_integer(0, _MAX_PEOPLE)
_maybe_entidad: Final = cell.integer(0, _MAX_ENTIDAD, blank=0)
_maybe_territory: Final = cell.integer(0, _MAX_TERRITORY, blank=0)
_votes_per_ballot: Final = cell.integer(1, _MAX_VOTES_PER_BALLOT, blank=1)


class CatalogErrors(Rejected):
    """All errors of a set of catalogue files, by file and line. The catalogue was not loaded."""

    def __init__(self, findings: Collection[FileFinding]) -> None:
        self.findings = tuple(sorted(findings, key=lambda one: (one.file, one.line, one.column)))
        head = f"el catálogo tiene {len(self.findings)} {'error' if len(self.findings) == 1 else 'errores'}"
        super().__init__("\n".join([f"{head}; no se cargó nada", *map(str, self.findings)]))


def load_catalog(files: Mapping[str, bytes]) -> Catalog:
    """The catalogue in these files (name → bytes). Raises CatalogErrors with every error of every file."""
    report = [
        FileFinding(name, 0, "", f"no es un archivo del catálogo; son: {', '.join(COLUMNS)}")
        for name in files
        if name not in COLUMNS and not name.startswith(OWN)
    ]
    # Each step adds its errors to the report and goes on, so that a person sees all of them at once.
    rules, wrong = own_rules(files)
    report += [FileFinding(name, 0, "", sentence) for name, sentence in wrong]
    tables = _read_tables(files, report)
    drafts = _read_elections(tables, rules)
    territories = _read_territories(tables)
    contests = _read_contests(tables, drafts, territories)
    casillas = _read_casillas(tables, drafts, territories)
    if casillas is not None:
        _place_in_contests(casillas, drafts, contests, tables)
    candidacies = _read_candidacies(tables, drafts, contests)
    changes = _read_changes(tables, drafts, casillas)
    # From here on all data is right: no later step needs to look for errors, but for equal stickers.
    if report or casillas is None:
        raise CatalogErrors(report)
    actas = _build_actas(casillas, drafts, contests, changes)
    _refuse_equal_stickers(actas, drafts)
    return Catalog(
        elections=tuple(draft.election() for draft in drafts.values()),
        contests=tuple(place.contest for place in contests.values()),
        territories=tuple(territories.values()),
        candidacies=tuple(draft(contests) for draft in candidacies),
        casillas=casillas.build(),
        actas=actas,
        digest=digest(files),
    )


def files_in(folder: Path) -> dict[str, bytes]:
    """The files of a catalogue's folder by name: its tables, and the rule sets that the election brings."""
    rules = (path for path in sorted((folder / OWN).glob("*")) if path.suffix in {".json", ".toml"})
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in (*sorted(folder.glob("*.csv")), *rules)}


def digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 of the lines "<sha256>  <name>" in order of names. `sha256sum *.csv | sha256sum` prints the same."""
    lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def write_catalog(tables: Mapping[str, Iterable[Sequence[object]]]) -> dict[str, bytes]:
    """CSV files as `load_catalog` reads them. Each row has the cells of `COLUMNS`; None is a blank cell.

    Raises ValueError for an unknown file or a row of wrong width. It checks no other thing.
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


_Tables = Mapping[str, CsvTable]


def _read_tables(files: Mapping[str, bytes], report: list[FileFinding]) -> _Tables:
    tables = {}
    for name, columns in COLUMNS.items():
        if name not in files:
            if name not in OPTIONAL_FILES:
                report.append(FileFinding(name, 0, "", "falta el archivo"))
            continue
        optional = OPTIONAL_COLUMNS.get(name, frozenset())
        table = read_table(name, files[name], columns, optional=optional, report=report)
        if table is not None:
            tables[name] = table
    return tables


def _all_sound(tables: _Tables, *names: str) -> bool:
    """Whether these files are present and without errors, so that others can be checked against them."""
    return all(name in tables and not tables[name].unsound for name in names)


def _contests_known(tables: _Tables) -> bool:
    stated = ("contiendas.csv",) if "contiendas.csv" in tables else ()
    return _all_sound(tables, "elecciones.csv", "territorios.csv", *stated)


# --- elections and their ballots --------------------------------------------------------------------------------------


@dataclass
class _Draft:
    """An election while the program still reads its files."""

    id: ElectionId
    code: str
    title: str
    year: int
    ambito: Ambito
    nivel: Nivel
    rules: str
    candidatura: str
    tipos: Mapping[TipoCasilla, str]
    sufijos: Mapping[TipoCasilla, str]
    options: list[Option] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    """Code of an option → its position."""

    @property
    def distrito(self) -> TerritoryKind:
        return TerritoryKind.DISTRITO_FEDERAL if self.ambito is Ambito.FEDERAL else TerritoryKind.DISTRITO_LOCAL

    @property
    def territory(self) -> TerritoryKind | None:
        """The kind of territory of a contest; None if a contest is a whole entidad or the country."""
        if self.nivel is Nivel.MUNICIPIO:
            return TerritoryKind.MUNICIPIO
        return self.distrito if self.nivel is Nivel.DISTRITO else None

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


def _read_elections(tables: _Tables, own: Mapping[str, RuleSet]) -> _Drafts:
    table = tables.get("elecciones.csv")
    if table is None:
        return {}
    if not len(table):
        table.blame_whole("", "no hay ninguna elección")
    codes = table.read("codigo", cell.code, "")
    titles = table.read("titulo", cell.needed_name, "")
    years = table.read("anio", cell.integer(1990, 2200), 0)
    ambitos = table.read("ambito", _ambito, Ambito.LOCAL)
    niveles = table.read("nivel", _nivel, Nivel.ENTIDAD)
    rules = table.read("reglas", str.strip, "")
    candidaturas = table.read("candidatura", cell.sticker_word, "")
    tipos = _by_type(table, "tipo_acta", needed=True)
    sufijos = _by_type(table, "sufijo", needed=False)
    table.expect("reglas", lambda name: _judge_rules(name, own), rules)
    table.expect_once("codigo", "la elección está repetida", [code.casefold() for code in codes])
    drafts: _Drafts = {}
    # A repeated code is already reported. Keep the first one, so that later checks still find an election.
    for row, code in enumerate(codes):
        sufijo = {tipo: sufijos[row][tipo] or tipos[row][tipo] for tipo in TipoCasilla}
        draft = _Draft(
            ElectionId(row + 1),
            code,
            titles[row],
            years[row],
            ambitos[row],
            niveles[row],
            own[rules[row]].canonical().decode() if rules[row] in own else rules[row],
            candidaturas[row],
            tipos[row],
            sufijo,
        )
        drafts.setdefault(code, draft)
    _read_options(tables, drafts)
    return drafts


def _judge_rules(name: str, own: Mapping[str, RuleSet]) -> str:
    if name in RULE_SETS or name in own:
        return ""
    known = ", ".join([*RULE_SETS, *own])
    return f"«{shown(name)}» no es un conjunto de reglas; hay: {known}; uno propio va en {OWN}NOMBRE.json"


def _by_type(table: CsvTable, column: str, *, needed: bool) -> list[dict[TipoCasilla, str]]:
    """For each election: type of casilla → word of `column`. Types S and M may have words of their own."""
    usual = table.read(column, cell.sticker_word if needed else cell.maybe_sticker_word, "")
    especial = table.read(f"{column}_especial", cell.maybe_sticker_word, "")
    extranjero = table.read(f"{column}_extranjero", cell.maybe_sticker_word, "")
    return [
        dict.fromkeys(TipoCasilla, u) | {TipoCasilla.ESPECIAL: s or u, TipoCasilla.EXTRANJERO: m or u}
        for u, s, m in zip(usual, especial, extranjero, strict=True)
    ]


def _expect_election(table: CsvTable, codes: Sequence[str], tables: _Tables, drafts: _Drafts) -> None:
    if "elecciones.csv" in tables:
        table.expect("eleccion", lambda code: _judge_election(code, drafts), codes)


def _judge_election(code: str, drafts: _Drafts) -> str:
    return "" if code in drafts else f"la elección «{code}» no está en elecciones.csv"


def _read_options(tables: _Tables, drafts: _Drafts) -> None:
    """Read the ballots into the drafts. The positions of the options follow the column `orden`."""
    table = tables.get("opciones.csv")
    if table is None:
        return
    none: tuple[str, ...] = ()
    elections = table.read("eleccion", cell.code, "")
    ordenes = table.read("orden", cell.integer(0, 9999), 0)
    codes = table.read("codigo", cell.code, "")
    clases = table.read("clase", _clase, Clase.PARTIDO)
    parties = table.read("partidos", cell.codes, none)
    names = table.read("nombre", cell.name, "")
    _expect_election(table, elections, tables, drafts)
    table.expect("codigo", _judge_option_code, codes, clases)
    table.expect("partidos", _judge_parties, clases, parties)
    table.expect_once("orden", "el orden está repetido", elections, ordenes)
    table.expect_once("codigo", "la opción está repetida", elections, [code.casefold() for code in codes])
    # A combination names its parties by code; the catalogue keeps their positions, in ballot order.
    for election, draft in drafts.items():
        rows = [row for row, code in enumerate(elections) if code == election]
        # `orden` may have gaps; positions have none.
        rows.sort(key=ordenes.__getitem__)
        of_party = {codes[row]: place for place, row in enumerate(rows) if clases[row] is Clase.PARTIDO}
        for place, row in enumerate(rows):
            unknown = [party for party in parties[row] if party not in of_party]
            if unknown:
                table.blame(row, "partidos", f"«{unknown[0]}» no es un partido de {election}")
            joined = tuple(sorted(of_party[party] for party in parties[row] if party in of_party))
            draft.options.append(Option(place, codes[row], clases[row], joined, names[row] or codes[row]))
        draft.places = {option.code: option.position for option in draft.options}
        _judge_ballot(table, draft, rows)


def _judge_option_code(code: str, clase: Clase) -> str:
    own = clase.value.upper() if clase in {Clase.NULOS, Clase.NO_REGISTRADAS} else ""
    if code.upper() not in OFFICIAL_COLUMNS or code.upper() == own:
        return ""
    return f"«{code}» es el nombre de otra columna del archivo oficial"


def _judge_parties(clase: Clase, parties: tuple[str, ...]) -> str:
    if clase not in _JOINED:
        return f"una opción de clase {clase} no lleva partidos" if parties else ""
    if len(set(parties)) < len(parties):
        return "un partido está repetido en la combinación"
    if len(parties) == 1 or (clase is Clase.COALICION and not parties):
        return "una combinación une al menos dos partidos"
    return ""


def _judge_ballot(table: CsvTable, draft: _Draft, rows: Sequence[int]) -> None:
    """Check the options of an election together: exactly one row of nulos, and at least one option to vote for."""
    if table.unsound:
        return
    times = Counter(option.clase for option in draft.options)
    if times[Clase.NULOS] != 1:
        table.blame_whole("clase", f"{draft.code} tiene {times[Clase.NULOS]} opciones de clase nulos; debe tener una")
    if times[Clase.NO_REGISTRADAS] > 1:
        sentence = f"{draft.code} tiene {times[Clase.NO_REGISTRADAS]} opciones de clase no_registradas; a lo más una"
        table.blame_whole("clase", sentence)
    if _FOR_SOMEBODY.isdisjoint(times):
        table.blame_whole("clase", f"{draft.code} no tiene ninguna opción por la que se pueda votar")
    seen: dict[tuple[Clase, tuple[int, ...]], Option] = {}
    for option in draft.options:
        earlier = seen.setdefault((option.clase, option.parties), option)
        if option.parties and earlier is not option:
            table.blame(rows[option.position], "partidos", f"es la misma combinación que {earlier.code}")


# --- territories and contests -----------------------------------------------------------------------------------------

_Territories = dict[tuple[TerritoryKind, int, int], Territory]
_ContestKey = tuple[str, int, int]
"""Election code, entidad, territory. If a whole entidad is one contest, territory is 0; for the country, both are 0."""


@dataclass
class _Place:
    """A contest, and whether any casilla votes in it.

    `stated`: contiendas.csv names it; if not, a territory implies it.
    """

    contest: Contest
    stated: bool
    used: bool = False


_Contests = dict[_ContestKey, _Place]


def _read_territories(tables: _Tables) -> _Territories:
    table = tables.get("territorios.csv")
    if table is None:
        return {}
    kinds = table.read("tipo", _kind, _ENTIDAD)
    entidades = table.read("entidad", cell.integer(1, _MAX_ENTIDAD), 0)
    ids = table.read("id", cell.integer(1, _MAX_TERRITORY), 0)
    names = table.read("nombre", cell.needed_name, "")
    found = {held[:3]: Territory(*held) for held in zip(kinds, entidades, ids, names, strict=True)}
    table.expect("id", _judge_territory, kinds, entidades, ids)
    table.expect_once("id", "el territorio está repetido", kinds, entidades, ids)
    table.expect("entidad", lambda own: _unknown_territory(_ENTIDAD, own, own, found), entidades)
    return found


def _judge_territory(kind: TerritoryKind, entidad: int, own: int) -> str:
    return "el id de una entidad es el de la columna entidad" if kind is _ENTIDAD and own != entidad else ""


def _unknown_territory(kind: TerritoryKind, entidad: int, own: int, territories: _Territories) -> str:
    """The sentence about a territory that is missing in territorios.csv; "" if it is there."""
    if (kind, entidad, own) in territories:
        return ""
    where = "" if kind is _ENTIDAD else f" de la entidad {entidad}"
    return f"{kind.replace('_', ' ')} {own}{where} no está en territorios.csv"


def _read_contests(tables: _Tables, drafts: _Drafts, territories: _Territories) -> _Contests:
    """The contests in contiendas.csv. An election that the file does not name has one contest for each territory.

    They are in the order of election, entidad and territory. `_place_in_contests` gives them their ids.
    """
    contests: _Contests = {}
    table = tables.get("contiendas.csv")
    if table is not None:
        none: tuple[str, ...] = ()
        elections = table.read("eleccion", cell.code, "")
        entidades = table.read("entidad", _maybe_entidad, 0)
        ids = table.read("territorio", _maybe_territory, 0)
        names = table.read("nombre", cell.name, "")
        ballots = table.read("opciones", cell.codes, none)
        votes = table.read("votos_por_boleta", _votes_per_ballot, 1)
        keys = list(zip(elections, entidades, ids, strict=True))
        _expect_election(table, elections, tables, drafts)
        if _all_sound(tables, "elecciones.csv", "territorios.csv"):
            table.expect("territorio", lambda key: _judge_contest(key, drafts, territories), keys)
        if _all_sound(tables, "elecciones.csv", "opciones.csv"):
            table.expect("opciones", lambda *held: _judge_stated(drafts, *held), elections, ballots)
        table.expect_once("territorio", "la contienda está repetida", keys)
        for key, ballot, name, most in zip(keys, ballots, names, votes, strict=True):
            if key[0] in drafts:
                contest = _contest_of(key, drafts[key[0]], territories, ballot, name)
                contests[key] = _Place(replace(contest, votes_per_ballot=most), stated=True)
    stated = {key[0] for key in contests}
    for code, draft in drafts.items():
        # An election is either wholly in contiendas.csv or not at all: a forgotten line must not become a contest.
        for key in () if code in stated else _contests_by_territory(draft, territories):
            contests[key] = _Place(_contest_of(key, draft, territories, (), ""), stated=False)
    return {key: contests[key] for key in sorted(contests, key=lambda key: (drafts[key[0]].id, key))}


def _contests_by_territory(draft: _Draft, territories: _Territories) -> Iterable[_ContestKey]:
    if draft.nivel is Nivel.PAIS:
        return [(draft.code, 0, 0)]
    kind = draft.territory or _ENTIDAD
    return [(draft.code, held, own if draft.territory else 0) for (of, held, own) in territories if of is kind]


def _contest_of(
    key: _ContestKey, draft: _Draft, territories: _Territories, ballot: Sequence[str], name: str
) -> Contest:
    _, entidad, own = key
    territory = territories.get((draft.territory or _ENTIDAD, entidad, own if draft.territory else entidad))
    places = sorted(draft.places[code] for code in ballot if code in draft.places) or range(len(draft.options))
    told = name or (territory.name if territory else draft.title)
    return Contest(ContestId(0), draft.id, entidad, own, told, tuple(places))


def _judge_contest(key: _ContestKey, drafts: _Drafts, territories: _Territories) -> str:
    draft, entidad, own = drafts.get(key[0]), key[1], key[2]
    if draft is None:
        return ""
    if draft.nivel is Nivel.PAIS:
        return "" if entidad == own == 0 else "una contienda de todo el país lleva entidad 0 y territorio 0"
    if draft.territory is not None:
        return _unknown_territory(draft.territory, entidad, own, territories)
    return (
        "una contienda de toda la entidad lleva territorio 0"
        if own
        else _unknown_territory(_ENTIDAD, entidad, entidad, territories)
    )


def _judge_stated(drafts: _Drafts, code: str, ballot: tuple[str, ...]) -> str:
    """The sentence about an impossible ballot in contiendas.csv; "" if the ballot is possible."""
    draft = drafts.get(code)
    if draft is None or not ballot:
        return ""
    unknown = [one for one in ballot if one not in draft.places]
    if unknown:
        return f"«{unknown[0]}» no es una opción de {code}"
    if len(set(ballot)) < len(ballot):
        return "una opción está repetida"
    options = [draft.options[draft.places[one]] for one in ballot]
    clases = {option.clase for option in options}
    if Clase.NULOS not in clases:
        return "la boleta no incluye los votos nulos"
    if _FOR_SOMEBODY.isdisjoint(clases):
        return "la boleta no tiene ninguna opción por la que se pueda votar"
    # A coalition's combination gives votes to its parties (rules.md §4), so each of them must be on the ballot too.
    printed = {option.position for option in options}
    for option in options:
        absent = [party for party in option.parties if party not in printed]
        if absent and option.clase is Clase.COALICION:
            return f"la boleta incluye {option.code} sin {draft.options[absent[0]].code}"
    return ""


# --- casillas ---------------------------------------------------------------------------------------------------------

_TERRITORIES: Final = (TerritoryKind.DISTRITO_FEDERAL, TerritoryKind.DISTRITO_LOCAL, TerritoryKind.MUNICIPIO)


@dataclass
class _Casillas:
    """The file casillas.csv, as columns."""

    table: CsvTable
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
    elections: list[frozenset[str]]
    """For each casilla, the codes of its elections. An empty set means all elections."""

    def __len__(self) -> int:
        return len(self.entidad)

    @cached_property
    def claves(self) -> list[str]:
        """CLAVE_CASILLA of each casilla, the same text as `Casilla.clave`."""
        own = zip(self.entidad, self.seccion, self.tipo, self.numero, self.ext_contigua, strict=True)
        return [f"{entidad:02}{seccion:04}{tipo}{numero:02}{ext:02}" for entidad, seccion, tipo, numero, ext in own]

    def build(self) -> list[Casilla]:
        ids = map(CasillaId, range(1, len(self) + 1))
        territories = (self.territory[kind] for kind in _TERRITORIES)
        own = (self.seccion, self.tipo, self.numero, self.ext_contigua, self.ubicacion)
        return list(map(Casilla, ids, self.entidad, *territories, *own))

    def order(self, kind: TerritoryKind) -> list[int]:
        """Row numbers in the order of the official file (`docs/rules.md` §6), foreign vote first.

        Each row becomes one number, because sorting numbers is faster than sorting tuples. Each part has its own
        digits.
        """
        own = zip(
            self.entidad, self.territory[kind], self.seccion, self.tipo, self.numero, self.ext_contigua, strict=True
        )
        # Entidad has 2 digits, territory 3, sección 4, the letter of the type below 128, number 2, ext 2.
        ranks = [
            ((((((tipo != "M") * 100 + entidad) * 1000 + of) * 10_000 + seccion) * 128 + ord(tipo)) * 100 + numero)
            * 100
            + ext
            for entidad, of, seccion, tipo, numero, ext in own
        ]
        return sorted(range(len(ranks)), key=ranks.__getitem__)

    def votes(self, draft: _Draft) -> list[bool]:
        """For each casilla, whether it takes part in the election."""
        return [not codes or draft.code in codes for codes in self.elections]

    def contests(self, draft: _Draft) -> tuple[Sequence[int], Sequence[int]]:
        """For each casilla, entidad and territory of its contest, as in `_ContestKey`."""
        nowhere = [0] * len(self)
        entidades = nowhere if draft.nivel is Nivel.PAIS else self.entidad
        return entidades, self.territory[draft.territory] if draft.territory else nowhere


def _read_casillas(tables: _Tables, drafts: _Drafts, territories: _Territories) -> _Casillas | None:
    table = tables.get("casillas.csv")
    if table is None:
        return None
    if not len(table):
        table.blame_whole("", "no hay ninguna casilla")
    everywhere: frozenset[str] = frozenset()
    casillas = _Casillas(
        table=table,
        entidad=table.read("entidad", cell.integer(1, _MAX_ENTIDAD), 0),
        territory={kind: table.read(kind.value, _maybe_territory, 0) for kind in _TERRITORIES},
        seccion=table.read("seccion", cell.integer(0, _MAX_SECCION, blank=0), 0),
        tipo=table.read("tipo", _tipo, TipoCasilla.BASICA),
        numero=table.read("numero", cell.integer(0, _MAX_NUMERO), 0),
        ext_contigua=table.read("ext_contigua", cell.integer(0, _MAX_NUMERO), 0),
        ubicacion=table.read("ubicacion", cell.integer(1, 2), 1),
        lista_nominal=table.read("lista_nominal", _people, 0),
        representantes=table.read("representantes", _people, 0),
        boletas_maximas=table.read("boletas_maximas", _maybe_people, None),
        digitos=table.read("digitos", cell.integer(1, _MAX_DIGITOS, blank=DIGITOS), DIGITOS),
        elections=table.read("elecciones", lambda codes: frozenset(cell.codes(codes)), everywhere),
    )
    _judge_casillas(casillas, tables, drafts, territories)
    return casillas


def _judge_casillas(casillas: _Casillas, tables: _Tables, drafts: _Drafts, territories: _Territories) -> None:
    table = casillas.table
    if "territorios.csv" in tables:
        table.expect("entidad", lambda own: _unknown_territory(_ENTIDAD, own, own, territories), casillas.entidad)
        for kind, owns in casillas.territory.items():
            judge = partial(_judge_own_territory, territories, kind)
            table.expect(kind.value, judge, casillas.entidad, owns)
    if "elecciones.csv" in tables:
        unknown = partial(_judge_elections, drafts)
        table.expect("elecciones", unknown, casillas.elections)
    table.expect("seccion", _judge_seccion, casillas.tipo, casillas.seccion)
    table.expect("lista_nominal", _judge_limit, casillas.tipo, casillas.lista_nominal, casillas.boletas_maximas)
    table.expect_once("numero", "la casilla está repetida", casillas.claves)


def _judge_own_territory(territories: _Territories, kind: TerritoryKind, entidad: int, own: int) -> str:
    return _unknown_territory(kind, entidad, own, territories) if own else ""


def _judge_elections(drafts: _Drafts, codes: frozenset[str]) -> str:
    return next((_judge_election(code, drafts) for code in sorted(codes - drafts.keys())), "")


def _judge_seccion(tipo: TipoCasilla, seccion: int) -> str:
    return f"una casilla de tipo {tipo} pertenece a una sección" if seccion == 0 and tipo not in SIN_SECCION else ""


def _judge_limit(tipo: TipoCasilla, lista: int, maximum: int | None) -> str:
    if lista == 0 and maximum is None and tipo in _BY_LISTA:
        return f"una casilla de tipo {tipo} con lista nominal 0 necesita boletas_maximas"
    return ""


def _place_in_contests(casillas: _Casillas, drafts: _Drafts, contests: _Contests, tables: _Tables) -> None:
    """Find the contest of every casilla in each of its elections, and number the contests.

    A contest of contiendas.csv without casillas is an error. One that only a territory implies is removed.
    """
    for code, draft in drafts.items():
        entidades, owns = casillas.contests(draft)
        votes = casillas.votes(draft)
        if not any(votes) and votes:
            casillas.table.blame_whole("elecciones", f"ninguna casilla vota en {code}")
        column = draft.territory.value if draft.territory else "entidad"
        if _contests_known(tables):
            casillas.table.expect(column, partial(_judge_place, contests, draft), votes, entidades, owns)
        for entidad, own in set(compress(zip(entidades, owns, strict=True), votes)):
            if (code, entidad, own) in contests:
                contests[code, entidad, own].used = True
    for key, place in [*contests.items()]:
        # A wrong casilla may be the one that votes here, so wait until casillas.csv has no errors.
        if place.stated and not place.used and not casillas.table.unsound:
            sentence = f"ninguna casilla vota en {key[0]}, {place.contest.name}"
            tables["contiendas.csv"].blame_whole("territorio", sentence)
        if not place.stated and not place.used:
            del contests[key]
    for number, place in enumerate(contests.values(), start=1):
        place.contest = replace(place.contest, id=ContestId(number))


def _judge_place(contests: _Contests, draft: _Draft, votes: bool, entidad: int, own: int) -> str:  # noqa: FBT001
    code = draft.code
    if not votes or (code, entidad, own) in contests:
        return ""
    if draft.territory is not None and own == 0:
        return f"sin {draft.territory.replace('_', ' ')} no vota en {code}; quite esa elección de la casilla"
    where = f"{draft.territory.replace('_', ' ')} {own} de la " if draft.territory else ""
    return f"{code} no tiene contienda (ni boleta) en {where}entidad {entidad}"


# --- candidacies ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _CandidacyDraft:
    key: _ContestKey
    options: tuple[int, ...]
    propietaria: str
    suplente: str

    def __call__(self, contests: _Contests) -> Candidacy:
        return Candidacy(contests[self.key].contest.id, self.options, self.propietaria, self.suplente)


def _read_candidacies(tables: _Tables, drafts: _Drafts, contests: _Contests) -> list[_CandidacyDraft]:
    """Read the candidacies. Two candidates with the same name are two candidacies.

    Errors: the same line twice, or one option in two candidacies with different lists of options. Two formulas of one
    list (senadurías) have the same options, and that is legal.
    """
    table = tables.get("candidaturas.csv")
    if table is None:
        return []
    none: tuple[str, ...] = ()
    elections = table.read("eleccion", cell.code, "")
    entidades = table.read("entidad", _maybe_entidad, 0)
    ids = table.read("territorio", _maybe_territory, 0)
    backing = table.read("opciones", cell.codes, none)
    owners = table.read("propietaria", cell.needed_name, "")
    substitutes = table.read("suplente", cell.name, "")
    keys = list(zip(elections, entidades, ids, strict=True))
    _expect_election(table, elections, tables, drafts)
    if _contests_known(tables) and _all_sound(tables, "casillas.csv"):
        table.expect("territorio", lambda key: "" if key in contests else f"{key[0]} no tiene contienda ahí", keys)
        if _all_sound(tables, "opciones.csv"):
            table.expect("opciones", lambda *held: _judge_backing(drafts, contests, *held), keys, backing)
    table.expect_once("propietaria", "la candidatura está repetida", keys, backing, owners, substitutes)
    _expect_whole_lists(table, keys, backing)
    return [
        _CandidacyDraft(key, tuple(sorted(drafts[key[0]].places[code] for code in codes)), owner, substitute)
        for key, codes, owner, substitute in zip(keys, backing, owners, substitutes, strict=True)
        if not table.report
    ]


def _expect_whole_lists(table: CsvTable, keys: Sequence[_ContestKey], backing: Sequence[tuple[str, ...]]) -> None:
    lists: dict[tuple[_ContestKey, str], frozenset[str]] = {}
    for row, (key, codes) in enumerate(zip(keys, backing, strict=True)):
        shared = [code for code in codes if lists.setdefault((key, code), frozenset(codes)) != frozenset(codes)]
        # One option would give its votes to two different candidacies.
        if shared and row not in table.unsound:
            table.blame(row, "opciones", f"{shared[0]} ya está en otra candidatura de la misma contienda")


def _judge_backing(drafts: _Drafts, contests: _Contests, key: _ContestKey, codes: tuple[str, ...]) -> str:
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
        if draft.options[position].clase not in _FOR_SOMEBODY:
            return f"los votos de {code} no cuentan para una candidatura"
    return ""


# --- actas ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Change:
    """A row of actas.csv: the changes of one acta. None and "" mean no change."""

    tipo_acta: str
    sufijo: str
    lista_nominal: int | None
    representantes: int | None
    boletas_maximas: int | None
    digitos: int | None

    def apply(self, acta: Acta, clave_casilla: str) -> Acta:
        sufijo = self.sufijo or self.tipo_acta or acta.clave.removeprefix(clave_casilla)
        fields = acta.qr.split("|")
        fields[2] = _without_zeros(self.tipo_acta or acta.tipo_acta)
        return acta._replace(
            tipo_acta=self.tipo_acta or acta.tipo_acta,
            clave=clave_casilla + sufijo,
            qr="|".join(fields),
            lista_nominal=acta.lista_nominal if self.lista_nominal is None else self.lista_nominal,
            representantes=acta.representantes if self.representantes is None else self.representantes,
            boletas_maximas=acta.boletas_maximas if self.boletas_maximas is None else self.boletas_maximas,
            digitos=acta.digitos if self.digitos is None else self.digitos,
        )


_Changes = dict[tuple[str, int], _Change]
"""Election code and row of casillas.csv → change."""


def _read_changes(tables: _Tables, drafts: _Drafts, casillas: _Casillas | None) -> _Changes:
    table = tables.get("actas.csv")
    if table is None:
        return {}
    elections = table.read("eleccion", cell.code, "")
    claves = table.read("clave_casilla", _casilla_clave, "")
    changes = list(
        map(
            _Change,
            table.read("tipo_acta", cell.maybe_sticker_word, ""),
            table.read("sufijo", cell.maybe_sticker_word, ""),
            table.read("lista_nominal", _maybe_people, None),
            table.read("representantes", _maybe_people, None),
            table.read("boletas_maximas", _maybe_people, None),
            table.read("digitos", cell.maybe_integer(1, _MAX_DIGITOS), None),
        )
    )
    _expect_election(table, elections, tables, drafts)
    table.expect_once("clave_casilla", "el acta está repetida", elections, claves)
    if casillas is None or casillas.table.unsound:
        return {}
    rows = {clave: row for row, clave in enumerate(casillas.claves)}
    table.expect(
        "clave_casilla", lambda own: "" if own in rows else f"la casilla {own} no está en casillas.csv", claves
    )
    for row, (election, clave, change) in enumerate(zip(elections, claves, changes, strict=True)):
        if row not in table.unsound:
            _judge_change(table, row, (election, rows[clave]), change, casillas)
    return {
        (election, rows[clave]): change
        for election, clave, change in zip(elections, claves, changes, strict=True)
        if clave in rows
    }


def _judge_change(table: CsvTable, row: int, acta: tuple[str, int], change: _Change, casillas: _Casillas) -> None:
    election, casilla = acta
    codes = casillas.elections[casilla]
    if codes and election not in codes:
        table.blame(row, "clave_casilla", f"esa casilla no vota en {election}")
    lista = casillas.lista_nominal[casilla] if change.lista_nominal is None else change.lista_nominal
    maximum = casillas.boletas_maximas[casilla] if change.boletas_maximas is None else change.boletas_maximas
    wrong = _judge_limit(casillas.tipo[casilla], lista, maximum)
    if wrong:
        table.blame(row, "lista_nominal", wrong)


def _casilla_clave(text: str) -> str:
    clave = cell.bare(text).upper()
    if not _CLAVE.fullmatch(clave):
        raise ValueError(f"«{shown(clave)}» no es una clave de casilla: entidad(2) sección(4) tipo(1) id(2) ext(2)")
    return clave


def _build_actas(casillas: _Casillas, drafts: _Drafts, contests: _Contests, changes: _Changes) -> list[Acta]:
    """One acta for each casilla and election: first by election, then in the order of the official file."""
    claves = casillas.claves
    own = zip(casillas.seccion, casillas.numero, casillas.tipo, casillas.ext_contigua, strict=True)
    tails = [f"|{seccion}|{numero}|{tipo}|{ext}|" for seccion, numero, tipo, ext in own]
    kinds = {
        code: TerritoryKind.MUNICIPIO if draft.nivel is Nivel.MUNICIPIO else draft.distrito
        for code, draft in drafts.items()
    }
    orders = {kind: casillas.order(kind) for kind in set(kinds.values())}
    actas: list[Acta] = []
    for code, draft in drafts.items():
        votes = casillas.votes(draft)
        order = orders[kinds[code]]
        rows = list(compress(order, map(votes.__getitem__, order)))
        start = len(actas)
        actas.extend(_actas_of(draft, rows, casillas, (claves, tails), contests, first=start + 1))
        if changes:
            # Changes are few; so build all actas fast and replace single ones after it.
            for place, row in enumerate(rows, start=start):
                if (code, row) in changes:
                    actas[place] = changes[code, row].apply(actas[place], claves[row])
    return actas


def _actas_of(
    draft: _Draft,
    rows: Sequence[int],
    casillas: _Casillas,
    texts: tuple[Sequence[str], Sequence[str]],
    contests: _Contests,
    *,
    first: int,
) -> Iterable[Acta]:
    """The actas of one election for these rows of casillas.csv. `texts` are the claves and the ends of the QR texts.

    These lines decide the speed of the load: 170,000 casillas × 3 elections pass here. So they work with columns and
    make no object for each row but the acta.
    """
    claves, tails = texts
    entidades, owns = casillas.contests(draft)
    contest_ids = {key[1:]: place.contest.id for key, place in contests.items() if key[0] == draft.code}
    tipo, entidad, distrito = casillas.tipo, casillas.entidad, casillas.territory[draft.distrito]
    tipos, sufijos, candidatura = draft.tipos, draft.sufijos, _without_zeros(draft.candidatura)
    # Many casillas share the beginning of the QR text, so build each different beginning once.
    heads = {
        held: f"{held[0]}|{held[1]}|{_without_zeros(tipos[held[2]])}"
        for held in set(zip(entidad, distrito, tipo, strict=True))
    }
    return map(
        Acta,
        map(ActaId, count(first)),
        repeat(draft.id),
        [contest_ids[entidades[row], owns[row]] for row in rows],
        [CasillaId(row + 1) for row in rows],
        [claves[row] + sufijos[tipo[row]] for row in rows],
        [tipos[tipo[row]] for row in rows],
        [f"{heads[entidad[row], distrito[row], tipo[row]]}{tails[row]}{candidatura}" for row in rows],
        map(casillas.lista_nominal.__getitem__, rows),
        map(casillas.representantes.__getitem__, rows),
        map(casillas.boletas_maximas.__getitem__, rows),
        map(casillas.digitos.__getitem__, rows),
        count(),
    )


def _without_zeros(word: str) -> str:
    return str(int(word)) if word.isdigit() else word


def _refuse_equal_stickers(actas: Sequence[Acta], drafts: _Drafts) -> None:
    """Refuse two actas with the same QR text: an image finds its acta by this text. Raises CatalogErrors.

    In one election the casilla makes the texts different. In two elections, only `candidatura` and `tipo_acta` do.
    """
    # If every election has its own `candidatura`, all texts differ and there is no need to compare them.
    if len({_without_zeros(draft.candidatura) for draft in drafts.values()}) == len(drafts):
        return
    codes = {draft.id: draft.code for draft in drafts.values()}
    seen: dict[str, Acta] = {}
    pairs: dict[tuple[str, str], list[str]] = {}
    for acta in actas:
        other = seen.setdefault(acta.qr, acta)
        if other is not acta:
            pairs.setdefault((codes[other.election], codes[acta.election]), []).append(acta.clave)
    if pairs:
        raise CatalogErrors(
            [
                FileFinding(
                    "elecciones.csv",
                    0,
                    "candidatura",
                    f"{len(claves)} actas de {one} y {two} llevarían el mismo QR (la primera, {claves[0]}): "
                    "cambie candidatura o tipo_acta de una de las dos elecciones",
                )
                for (one, two), claves in pairs.items()
            ]
        )
