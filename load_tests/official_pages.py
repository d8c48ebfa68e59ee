"""Do the pages of a replayed election say what the institute published? For the state, every place and some casillas.

    python -m load_tests.official_pages CARPETA ARCHIVO [--casillas 200]

CARPETA is the published tree of `prep replay ARCHIVO`; ARCHIVO is the official file, or its ZIP. The file is the
oracle: its rows are added up here, by no code of the publisher, and compared with every figure of that name on the
pages. The thirteen values are compared as the institute printed them. A page that lacks what its readers come for is a
difference.
"""

import argparse
import json
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Final

from prep.errors import PrepError
from prep.files.official import OfficialFile, OfficialRow, read_official
from prep.files.published_zip import open_published

FIGURE: Final = re.compile(r'<data value="([^"]*)" data-de="([^"]*)">')
NEEDED: Final = frozenset({"esperadas", "capturadas", "contabilizadas", "votos"})
SUMMARY: Final = {
    "ACTAS_ESPERADAS": "esperadas",
    "ACTAS_CAPTURADAS": "capturadas",
    "ACTAS_CONTABILIZADAS": "contabilizadas",
    "ACTAS_FUERA_CATALOGO": "fuera_de_catalogo",
    "TOTAL_VOTOS_C_CS": "votos",
}


@dataclass
class ComparedPages:
    """How many numbers were compared, and each that differs, in words."""

    state: int = 0
    places: Counter[str] = field(default_factory=Counter)
    """By page of a place: the numbers compared on it."""
    casillas: int = 0
    cells: int = 0
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        numbers = self.state + self.places.total() + self.cells
        return (
            f"{numbers:,} números comparados con los oficiales: {len(self.differences)} diferencias. "
            f"Estado: {self.state}; {len(self.places)} lugares: {self.places.total():,}; "
            f"{self.casillas} casillas: {self.cells:,}."
        )


def compare_pages(
    public: Path, file: OfficialFile, *, code: str = "", casillas: int = 200, seed: int = 14
) -> ComparedPages:
    """The pages of an election against its official file: that with this code, or the only one of the tree.

    Raises ValueError if no code is given and the tree has several.
    """
    if not code:
        [code] = [each["codigo"] for each in json.loads((public / "index.json").read_bytes())["elecciones"]]
    found = ComparedPages()
    state = _added(file.catalogued, file)
    printed = {
        figure: file.summary[name].replace(",", "") for name, figure in SUMMARY.items() if file.summary.get(name)
    }
    of_places = (f"{code}/lugar/", f"{code}/contienda/")
    told = {scope.partition(":")[0] for scope in _figures(public / code / "index.html")}
    contests = [scope for scope in told if scope.startswith(of_places[1])]
    # The votes of an election with one contest are that contest's.
    whole = (code, *contests) if len(contests) == 1 else (code,)
    found.state = _compare(public / code / "index.html", whole, {**state, **printed}, found)
    of_place: defaultdict[tuple[int, int], list[OfficialRow]] = defaultdict(list)
    for row in file.catalogued:
        of_place[row.entidad or 0, row.distrito or row.municipio or 0].append(row)
    for (entidad, number), rows in sorted(of_place.items()):
        name = f"lugar-{entidad}-{number}.html"
        found.places[name] = _compare(public / code / name, of_places, _added(rows, file), found)
    _compare_casillas(public / code, file, found, random.Random(seed), casillas)
    return found


def _added(rows: Iterable[OfficialRow], file: OfficialFile) -> dict[str, str]:
    """The figures of these rows by their names on a page."""
    told: Counter[str] = Counter(dict.fromkeys((f"opcion/{code}" for code in file.vote_columns), 0))
    for row in rows:
        counted = row.contabilizada == "1"
        told["esperadas"] += 1
        told["capturadas"] += row.contabilizada in {"0", "1"}
        told["por_capturar"] += row.contabilizada not in {"0", "1"}
        told["contabilizadas"] += counted
        told["no_contabilizadas"] += row.contabilizada == "0"
        if counted:
            told["lista_nominal"] += row.lista_nominal or 0
            for code, cell in zip(file.vote_columns, row.cells, strict=True):
                votes = cell if isinstance(cell, int) else 0
                told[f"opcion/{code}"] += votes
                told["votos"] += votes
    return {name: str(number) for name, number in told.items()}


def _compare(page: Path, scopes: Sequence[str], expected: Mapping[str, str], found: ComparedPages) -> int:
    """Every figure of these scopes on this page that the rows tell; returns how many. A slash ends a kind of scope."""
    shown: dict[str, str] = {}
    for told, value in _figures(page).items():
        scope, _, name = told.partition(":")
        wanted = scope in scopes or scope.startswith(tuple(each for each in scopes if each.endswith("/")))
        # A page of a place may tell the same figure of the place and of its contest.
        if wanted and shown.setdefault(name, value) != value:
            found.differences.append(f"{page.name}: {name} es {value} y {shown[name]}")
    for name in sorted(NEEDED - shown.keys()):
        found.differences.append(f"{page.name}: le falta {name}")
    if not any(name.startswith(("opcion/", "partido/")) for name in shown):
        found.differences.append(f"{page.name}: le faltan votos")
    compared = {name: value for name, value in shown.items() if name in expected}
    for name, value in compared.items():
        if value != expected[name]:
            found.differences.append(f"{page.name}: {name} es {value}, no {expected[name]}")
    return len(compared)


def _compare_casillas(folder: Path, file: OfficialFile, found: ComparedPages, rng: random.Random, wanted: int) -> None:
    rows = {row.clave_acta.strip("'"): row for row in file.catalogued}
    there = sorted(clave for clave in rows if (folder / f"{clave}.html").exists())
    if len(there) < min(wanted, len(rows)):
        found.differences.append(f"solo {len(there)} actas tienen página")
    for clave in rng.sample(there, min(wanted, len(there))):
        shown, row = _figures(folder / f"{clave}.html"), rows[clave]
        cells = zip(file.vote_columns, row.cells, strict=True)
        expected = {name: cell for name, cell in cells if isinstance(cell, int)}
        # Some files print a total of zero for an acta that nobody captured; its page has none.
        if expected and row.total_calculado is not None:
            expected["TOTAL_VOTOS_CALCULADO"] = row.total_calculado
        found.casillas += 1
        for name, number in {**expected, "CONTABILIZADA": row.contabilizada}.items():
            value = shown.get(f"{folder.name}/acta/{clave}:{name}")
            found.cells += 1
            if value != str(number):
                found.differences.append(f"{clave}: {name} es {value}, no {number}")


def _figures(page: Path) -> dict[str, str]:
    try:
        text = page.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    return {unescape(told): unescape(value) for value, told in FIGURE.findall(text)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path, metavar="CARPETA")
    parser.add_argument("official", type=Path, metavar="ARCHIVO")
    parser.add_argument("--casillas", type=int, default=200)
    said = parser.parse_args()
    try:
        opened = open_published(said.official.name, said.official.read_bytes())
        found = compare_pages(said.tree, read_official(opened.results), casillas=said.casillas)
    except OSError as error:
        parser.error(f"no se puede leer {error.filename}")
    except (PrepError, ValueError) as error:
        parser.error(error.sentence if isinstance(error, PrepError) else f"no es lo que se esperaba: {error}")
    print(found)
    print("\n".join(found.differences[:40]), file=sys.stderr)
    return 1 if found.differences else 0


if __name__ == "__main__":
    sys.exit(main())
