"""The files of a catalogue, their columns, and the reading of them as tables."""

from collections.abc import Mapping
from typing import Final

from prep.files import csv_tables as cell
from prep.files.csv_tables import CsvTable, FileFinding, read_table

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
MAX_TERRITORY: Final = 999
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


def read_tables(files: Mapping[str, bytes], report: list[FileFinding]) -> Tables:
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


def all_sound(tables: Tables, *names: str) -> bool:
    """Whether these files are present and without errors, so that others can be checked against them."""
    return all(name in tables and tables[name].sound for name in names)


def contests_known(tables: Tables) -> bool:
    stated = ("contiendas.csv",) if "contiendas.csv" in tables else ()
    return all_sound(tables, "elecciones.csv", "territorios.csv", *stated)
