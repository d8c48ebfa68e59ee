"""Do the programs of a newsroom read the clean data without options, and read what the official file says?

    python -m load_tests.readers TREE [--corte N] [--json]

Looks for pandas (with pyarrow), polars, duckdb and LibreOffice on this machine. None of them is a package of this
project but duckdb, which the tests use: the others have 600 MB. Each one reads the CSV and the Parquet file of each
election, and its sums are compared with totals.json. Exit status: 0 all good, 1 a reader reads something else, 2 no
reader is here.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

Sums = dict[str, int]
"""By option: the votes of the counted actas; and by `ESTADO=…` how many actas are in that state."""
_SHEET: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_ACCENT: Final = "Móvil"


class NoReaderError(Exception):
    """The program is not on this machine."""


def _with_pandas(path: Path, options: Sequence[str]) -> Sums:
    try:
        import pandas
        import pyarrow  # noqa: F401  # it reads Parquet for pandas
    except ImportError:
        raise NoReaderError from None
    table = pandas.read_csv(path) if path.suffix == ".csv" else pandas.read_parquet(path)
    counted = table[table["ESTADO"] == "contabilizada"]
    states = {f"ESTADO={name}": int(count) for name, count in table["ESTADO"].value_counts().items()}
    return (
        {code: int(counted[code].sum()) for code in options}
        | states
        | _seen((table["DIGITALIZACION"] == _ACCENT).any())
    )


def _with_polars(path: Path, options: Sequence[str]) -> Sums:
    try:
        import polars
    except ImportError:
        raise NoReaderError from None
    table = polars.read_csv(path) if path.suffix == ".csv" else polars.read_parquet(path)
    counted = table.filter(polars.col("ESTADO") == "contabilizada")
    states = {f"ESTADO={name}": count for name, count in table["ESTADO"].value_counts().iter_rows()}
    return (
        {code: counted[code].sum() or 0 for code in options}
        | states
        | _seen(_ACCENT in table["DIGITALIZACION"].to_list())
    )


def _with_duckdb(path: Path, options: Sequence[str]) -> Sums:
    try:
        import duckdb
    except ImportError:
        raise NoReaderError from None
    connection = duckdb.connect()
    wanted = ", ".join(f'coalesce(sum("{code}"), 0)' for code in options)
    [found] = connection.sql(f"SELECT {wanted} FROM '{path}' WHERE ESTADO = 'contabilizada'").fetchall()  # noqa: S608
    states = connection.sql(f"SELECT ESTADO, count(*) FROM '{path}' GROUP BY ESTADO").fetchall()  # noqa: S608
    [accents] = connection.sql(f"SELECT count(*) FROM '{path}' WHERE DIGITALIZACION = '{_ACCENT}'").fetchall()  # noqa: S608
    counts = {f"ESTADO={name}": count for name, count in states}
    return {code: int(votes) for code, votes in zip(options, found, strict=True)} | counts | _seen(accents[0])


def _with_libreoffice(path: Path, options: Sequence[str]) -> Sums:
    """Converted to a workbook without a window, whose cells are read as they are: numbers must be numbers.

    The one option says what the window finds by itself: without it, LibreOffice takes every CSV for Windows-1252.
    """
    program = shutil.which("soffice")
    if program is None or path.suffix != ".csv":
        raise NoReaderError
    with tempfile.TemporaryDirectory() as scratch:
        words = [
            program,
            "--headless",
            "--infilter=CSV:44,34,UTF8",
            "--convert-to",
            "xlsx",
            "--outdir",
            scratch,
            str(path),
        ]
        home = {**os.environ, "HOME": scratch}
        subprocess.run(words, check=True, env=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rows = _cells_of(Path(scratch, f"{path.stem}.xlsx"))
    names = {name: place for place, name in rows[0].items()}
    found: dict[str, int] = dict.fromkeys(options, 0)
    seen = False
    for row in rows[1:]:
        state = f"ESTADO={row[names['ESTADO']]}"
        found[state] = found.get(state, 0) + 1
        seen |= row.get(names["DIGITALIZACION"]) == _ACCENT
        if state == "ESTADO=contabilizada":
            for code in options:
                votes = row.get(names[code], 0)
                assert isinstance(votes, int), f"{code} is no number: {votes!r}"
                found[code] += votes
    return found | _seen(seen)


def _cells_of(path: Path) -> list[dict[str, str | int]]:
    """Of each row of the first sheet: by letters of the column, the text or the number."""
    with zipfile.ZipFile(path) as book:
        strings = ET.fromstring(book.read("xl/sharedStrings.xml"))  # noqa: S314 - written a moment ago
        texts = ["".join(part.text or "" for part in each.iter(f"{_SHEET}t")) for each in strings]
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314
    rows = []
    for row in sheet.iter(f"{_SHEET}row"):
        cells: dict[str, str | int] = {}
        for cell in row:
            value = cell.find(f"{_SHEET}v")
            if value is not None and value.text is not None:
                column = cell.attrib["r"].rstrip("0123456789")
                cells[column] = texts[int(value.text)] if cell.attrib.get("t") == "s" else int(float(value.text))
        rows.append(cells)
    return rows


def _seen(accents: object) -> Sums:
    return {"acentos": int(bool(accents))}


READERS: Final[Mapping[str, Callable[[Path, Sequence[str]], Sums]]] = {
    "pandas": _with_pandas,
    "polars": _with_polars,
    "duckdb": _with_duckdb,
    "libreoffice": _with_libreoffice,
}


def expected(tree: Path, number: int, election: Mapping[str, Any]) -> Sums:
    """The same sums from totals.json and the official file."""
    folder = tree / f"cortes/{number:04}"
    told = json.loads((folder / "totals.json").read_bytes())["elecciones"][election["codigo"]]
    actas = told["actas"]
    states = {
        "por_capturar": actas["esperadas"] - actas["capturadas"],
        "contabilizada": actas["contabilizadas"],
        "sin_acta": actas["sin_acta"],
        "no_contabilizada": actas["capturadas"] - actas["contabilizadas"] - actas["sin_acta"],
        "fuera_de_catalogo": actas["fuera_de_catalogo"],
    }
    with (folder / election["archivo"]).open(encoding="utf-8-sig", newline="") as file:
        accents = any(_ACCENT in cells for cells in csv.reader(file))
    votes: Sums = told["votos"]
    return votes | {f"ESTADO={name}": count for name, count in states.items() if count} | _seen(accents)


def read(tree: Path, number: int) -> list[dict[str, Any]]:
    """For each reader, election and form of the table: seconds, and what it read wrongly."""
    results = []
    for election in json.loads((tree / f"cortes/{number:04}/manifest.json").read_bytes())["elecciones"]:
        options = [each["codigo"] for each in election["opciones"]]
        right = expected(tree, number, election)
        for ending in ("csv", "parquet"):
            path = tree / f"datos/{number:04}/actas_{election['codigo']}.{ending}"
            for name, reader in READERS.items():
                began = time.perf_counter()
                try:
                    found = reader(path, options)
                except NoReaderError:
                    continue
                wrong = {
                    key: [right.get(key), found.get(key)]
                    for key in {*right, *found}
                    if right.get(key) != found.get(key)
                }
                seconds = round(time.perf_counter() - began, 2)
                results.append({"lector": name, "archivo": path.name, "segundos": seconds, "distinto": wrong})
    return results


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}.readers", description="Reads the clean data as newsrooms do."
    )
    parser.add_argument("tree", type=Path)
    parser.add_argument("--corte", type=int)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(argv)
    try:
        told = json.loads((asked.tree / "index.json").read_bytes())
        results = read(asked.tree, told["corte"] if asked.corte is None else asked.corte)
    except OSError as error:
        parser.error(f"this is no published tree with clean data: {error.filename} cannot be read")
    if asked.json:
        print(json.dumps(results, ensure_ascii=False, indent=2))
    else:
        for each in results:
            mark = "✗" if each["distinto"] else "✓"
            print(f"{mark} {each['lector']:12} {each['archivo']:28} {each['segundos']:6.2f} s", each["distinto"] or "")
        lacking = {*READERS} - {each["lector"] for each in results}
        if lacking:
            print(f"not on this machine: {', '.join(sorted(lacking))}")
    if not results:
        return 2
    return int(any(each["distinto"] for each in results))


if __name__ == "__main__":
    sys.exit(main())
