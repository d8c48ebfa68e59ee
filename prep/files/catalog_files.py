"""Load an institute's catalogue from its CSV files: either the whole valid catalogue, or a report of all errors.

    elecciones.csv    the elections of the night         opciones.csv      the rows of each election's ballot
    territorios.csv   entidades, distritos, municipios   contiendas.csv    the contests of each election (optional)
    casillas.csv      every polling station              candidaturas.csv  the candidates, with their options
    actas.csv         the differences of single actas from their casilla and election (optional)
    sitios.csv        the places where people and devices work (optional)
    reglas/NAME.json  a rule set of the election's own, or NAME.toml (optional)
    formatos/NAME.json the layout of a printed form (optional)
    mapas/KIND.geojson the territories of a kind, as they lie (optional)

`catalog_columns.py` names the columns of each file; `csv_tables.py` says which texts a cell may hold. The program reads
whole columns and not single rows, so a catalogue of 170,000 casillas × 3 elections loads in seconds. If a check needs
data that is wrong itself, the check is left out. So one mistake is not reported a thousand times; the check runs on the
next attempt. Data that is possible but improbable gives a warning (`catalog_warnings.py`).
"""

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from prep.domain.catalog import Catalog
from prep.domain.layout import LAYOUTS
from prep.domain.rules import OWN, own_rules
from prep.domain.territory_map import MAPS
from prep.errors import Rejected
from prep.files.catalog_actas import build_actas, equal_stickers, read_changes
from prep.files.catalog_candidacies import read_candidacies
from prep.files.catalog_casillas import place_in_contests, read_casillas
from prep.files.catalog_columns import COLUMNS, OPTIONAL_COLUMNS, read_tables
from prep.files.catalog_contests import read_contests, read_territories
from prep.files.catalog_elections import read_elections
from prep.files.catalog_layouts import by_contest, place_layouts, read_layouts
from prep.files.catalog_maps import LARGEST, read_maps
from prep.files.catalog_published import published_files
from prep.files.catalog_sites import read_sites
from prep.files.catalog_warnings import CatalogReading, find_warnings
from prep.files.csv_tables import FileFinding, one_for_each_cause


class CatalogErrors(Rejected):
    """All errors of a set of catalogue files, by file and line, one for each cause. The catalogue was not loaded."""

    def __init__(self, findings: Collection[FileFinding]) -> None:
        self.findings = tuple(one_for_each_cause(findings))
        head = f"el catálogo tiene {len(self.findings)} {'error' if len(self.findings) == 1 else 'errores'}"
        super().__init__("\n".join([f"{head}; no se cargó nada", *map(str, self.findings)]))


def load_catalog(files: Mapping[str, bytes]) -> Catalog:
    """The catalogue in these files (name → bytes). Raises CatalogErrors with every error of every file."""
    return _read_catalog(files)[0]


def review_catalog(files: Mapping[str, bytes]) -> tuple[Catalog, list[FileFinding]]:
    """The catalogue in these files, and the warnings about possible but improbable data. Raises CatalogErrors."""
    catalog, reading = _read_catalog(files)
    return catalog, find_warnings(catalog, reading)


def _read_catalog(files: Mapping[str, bytes]) -> tuple[Catalog, CatalogReading]:
    report = [
        FileFinding(name, 0, "", f"no es un archivo del catálogo; son: {', '.join(COLUMNS)}")
        for name in files
        if name not in COLUMNS and not name.startswith((OWN, LAYOUTS, MAPS))
    ]
    # Each step adds its errors to the report and goes on, so that a person sees all of them at once.
    rules, wrong = own_rules(files)
    report += [FileFinding(name, 0, "", sentence) for name, sentence in wrong]
    tables = read_tables(files, report)
    drafts = read_elections(tables, rules)
    territories = read_territories(tables)
    contests = read_contests(tables, drafts, territories)
    casillas = read_casillas(tables, drafts, territories)
    if casillas is not None:
        place_in_contests(casillas, drafts, contests, tables)
    layouts = place_layouts(read_layouts(files, report), drafts, contests, tables, report)
    maps = read_maps(files, territories, tables, report)
    candidacies = read_candidacies(tables, drafts, contests)
    changes = read_changes(tables, drafts, casillas)
    sites = read_sites(tables)
    # From here on all data is right: no later step needs to look for errors, but for equal stickers.
    if report or casillas is None:
        for table in tables.values():
            table.one_error_for_each_shifted_row()
        raise CatalogErrors(report)
    actas = build_actas(casillas, drafts, contests, changes)
    if equal := equal_stickers(actas, drafts):
        raise CatalogErrors(equal)
    catalog = Catalog(
        elections=tuple(draft.election() for draft in drafts.values()),
        contests=tuple(place.contest for place in contests.values()),
        territories=tuple(territories.values()),
        candidacies=tuple(draft(contests) for draft in candidacies),
        casillas=casillas.build(),
        actas=actas,
        published={},
        sites=tuple(sites),
        layouts=by_contest(layouts, contests),
        maps=maps.maps,
    )
    catalog = replace(catalog, published=published_files(catalog, files))
    return catalog, CatalogReading(tables, drafts, contests, casillas, changes, maps.notes)


def files_in(folder: Path) -> dict[str, bytes]:
    """The files of a catalogue's folder by name: its tables, and the rule sets, layouts and maps that it brings.

    Raises Rejected if there is no such folder.
    """
    if not folder.is_dir():
        raise Rejected(f"no hay una carpeta {folder}")
    rules = (path for path in sorted((folder / OWN).glob("*")) if path.suffix in {".json", ".toml"})
    layouts = sorted((folder / LAYOUTS).glob("*.json"))
    paths = (*sorted(folder.glob("*.csv")), *rules, *layouts)
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    for path in sorted((folder / MAPS).glob("*")):
        if path.suffix.lower() in {".geojson", ".json"}:
            with path.open("rb") as file:  # a larger one is refused, and need not be in memory
                found[path.relative_to(folder).as_posix()] = file.read(LARGEST + 1)
    return found


def write_catalog(tables: Mapping[str, Iterable[Sequence[object]]]) -> dict[str, bytes]:
    """CSV files as `load_catalog` reads them. Each row has the cells of `COLUMNS`; None is a blank cell.

    All rows of a file may leave out the same optional columns at its end. Raises ValueError for an unknown file or a
    row of wrong width. It checks no other thing.
    """
    written = {}
    for name, found in tables.items():
        if name not in COLUMNS:
            raise ValueError(f"{name} is no catalogue file")
        rows = list(found)
        columns = COLUMNS[name][: len(rows[0])] if rows else COLUMNS[name]
        if not set(COLUMNS[name]) - set(columns) <= OPTIONAL_COLUMNS.get(name, frozenset()):
            raise ValueError(f"{name}: a row of {len(columns)} cells, expected {len(COLUMNS[name])}")
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(columns)
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(f"{name}: a row of {len(row)} cells, expected {len(columns)}")
            writer.writerow(row)
        written[name] = text.getvalue().encode("utf-8-sig")
    return written
