"""The files of a catalogue, their columns, and the reading of them as tables."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from prep.domain.catalog import TerritoryKind
from prep.files import csv_tables as cell
from prep.files.csv_tables import CsvTable, FileFinding, read_table
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
        *("lugar", "direccion"),
    ),
    "opciones.csv": ("eleccion", "orden", "codigo", "clase", "partidos", "nombre", "color", "emblema"),
    "contiendas.csv": ("eleccion", "entidad", "territorio", "nombre", "opciones", "votos_por_boleta"),
    "candidaturas.csv": ("eleccion", "entidad", "territorio", "opciones", "propietaria", "suplente"),
    "actas.csv": (
        "eleccion",
        "clave_casilla",
        *("tipo_acta", "sufijo", "lista_nominal", "representantes", "boletas_maximas", "digitos"),
    ),
    "sitios.csv": ("clave", "nombre"),
}
"""The columns of each file, in the order in which `write_catalog` writes them. A file may have them in any order.

casillas.csv has one more for each other kind of territory that territorios.csv states.

`sufijo` is the end of CLAVE_ACTA, after CLAVE_CASILLA. It may differ from TIPO_ACTA: real files print "2" as "02" and
"2EMR" as "4". If it is blank, it is `tipo_acta`. Spaces separate the codes of a list.
"""

OPTIONAL_FILES: Final = frozenset({"contiendas.csv", "actas.csv", "sitios.csv"})
OPTIONAL_COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    "elecciones.csv": frozenset(COLUMNS["elecciones.csv"][8:]),
    "casillas.csv": frozenset({"boletas_maximas", "digitos", "elecciones", "lugar", "direccion"}),
    "opciones.csv": frozenset({"partidos", "nombre", "color", "emblema"}),
    "contiendas.csv": frozenset({"nombre", "opciones", "votos_por_boleta"}),
    "candidaturas.csv": frozenset({"suplente"}),
    "actas.csv": frozenset(COLUMNS["actas.csv"][2:]),
    "sitios.csv": frozenset({"nombre"}),
}
"""Columns that may be absent. A blank cell means the same as an absent column."""

DIGITOS: Final = 3
"""Number of digit boxes for each quantity on the official form (`docs/rules.md` §7)."""

MAX_ENTIDAD: Final = 99
MAX_TERRITORY: Final = 9999
"""Demarcaciones are numbered within their municipio: 1701 is the first of municipio 17."""
_MAX_PEOPLE: Final = 9_999_999
_MAX_VOTES_PER_BALLOT: Final = 100

people: Final = cell.integer(0, _MAX_PEOPLE)
maybe_people: Final = cell.maybe_integer(0, _MAX_PEOPLE)
maybe_entidad: Final = cell.integer(0, MAX_ENTIDAD, blank=0)
maybe_territory: Final = cell.integer(0, MAX_TERRITORY, blank=0)
digit_boxes: Final = cell.integer(1, 7, blank=DIGITOS)
votes_per_ballot: Final = cell.integer(1, _MAX_VOTES_PER_BALLOT, blank=1)
maybe_digit_boxes: Final = cell.maybe_integer(1, 7)

Tables = Mapping[str, CsvTable]


CASILLA_KINDS: Final = (TerritoryKind.DISTRITO_FEDERAL, TerritoryKind.DISTRITO_LOCAL, TerritoryKind.MUNICIPIO)
"""The kinds of territory that every catalogue knows, in the order of the fields of `Casilla`."""


def own_columns(kind: TerritoryKind) -> tuple[str, str]:
    """The two columns of the official file that name a territory of this kind."""
    return f"ID_{kind.upper()}", kind.upper()


def territory_kind(text: str) -> TerritoryKind:
    """A parser of kinds of territory. Raises ValueError for a word that is a column of another meaning."""
    kind = TerritoryKind(cell.bare(text))
    usual = kind == TerritoryKind.ENTIDAD or kind in CASILLA_KINDS
    if not usual and (kind in COLUMNS["casillas.csv"] or not OFFICIAL_COLUMNS.isdisjoint(own_columns(kind))):
        raise ValueError(f"«{kind}» no es un tipo de territorio: es el nombre de otra columna")
    return kind


def casilla_kinds(tables: Tables) -> tuple[TerritoryKind, ...]:
    """The kinds of territory of this catalogue's casillas: the usual ones, then those with a column of their own."""
    # If casillas.csv could not be read, that is one error; the kinds that need its columns are not wrong because of it.
    columns = tables["casillas.csv"].columns if "casillas.csv" in tables else _stated_kinds(tables)
    usual = {*COLUMNS["casillas.csv"], *CASILLA_KINDS}
    return (*CASILLA_KINDS, *(TerritoryKind(column) for column in columns if column not in usual))


def _stated_kinds(tables: Tables) -> frozenset[str]:
    """The kinds of territory that territorios.csv states; casillas.csv may have a column for each."""
    stated = tables["territorios.csv"].columns["tipo"] if "territorios.csv" in tables else ()
    kinds = set()
    for text in set(stated):
        with suppress(ValueError):  # told when that file is read
            kinds.add(territory_kind(text))
    return frozenset(kinds - {TerritoryKind.ENTIDAD, *CASILLA_KINDS})


def read_tables(files: Mapping[str, bytes], report: list[FileFinding]) -> Tables:
    tables: dict[str, CsvTable] = {}
    for name, columns in COLUMNS.items():
        if name not in files:
            if name not in OPTIONAL_FILES:
                report.append(FileFinding(name, 0, "", "falta el archivo"))
            continue
        own = _stated_kinds(tables) if name == "casillas.csv" else frozenset()
        optional = OPTIONAL_COLUMNS.get(name, frozenset()) | own
        table = read_table(name, files[name], (*columns, *own), optional=optional, report=report)
        if table is not None:
            tables[name] = table
    return tables


def all_sound(tables: Tables, *names: str) -> bool:
    """Whether these files are present and without errors, so that others can be checked against them."""
    return all(name in tables and tables[name].sound for name in names)


def contests_known(tables: Tables) -> bool:
    stated = ("contiendas.csv",) if "contiendas.csv" in tables else ()
    return all_sound(tables, "elecciones.csv", "territorios.csv", *stated)
