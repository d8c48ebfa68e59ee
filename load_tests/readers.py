"""Do the programs of a newsroom read the clean data without options, and read what the official file says?

    python -m load_tests.readers TREE [--corte N] [--json] [--nist-schema FILE]

Looks for pandas (with pyarrow, and openpyxl for workbooks), polars (with fastexcel), duckdb and LibreOffice on this
machine. None of them is a package of this project but duckdb, which the tests use: the others have 600 MB. Each one
reads the CSV, the Parquet file and the workbook of each election, and its sums are compared with totals.json.

With `--nist-schema` the sums in the form of NIST SP 1500-100 are validated against NIST's own JSON schema, which is no
file of this project: NIST_V2_election_results_reporting.json of usnistgov/ElectionResultsReporting.

Exit status: 0 all good, 1 something differs, 2 no reader is here.
"""

import argparse
import csv
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from integrity.tree.workbook import MOST_ROWS

Sums = dict[str, int]
"""By option: the votes of the counted actas; by `ESTADO=…` how many actas are in that state; by `Sumas OPTION` the
votes that the sheet of the sums tells, in a workbook."""
Sheets = Mapping[str, Sequence[Mapping[str, object]]]
"""By name of the sheet: of each row, the cell by column."""
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
    if path.suffix == ".xlsx":
        return _of_book(_pandas_book(path), options)
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
    if path.suffix == ".xlsx":
        return _of_book(_polars_book(path), options)
    table = polars.read_csv(path) if path.suffix == ".csv" else polars.read_parquet(path)
    counted = table.filter(polars.col("ESTADO") == "contabilizada")
    states = {f"ESTADO={name}": count for name, count in table["ESTADO"].value_counts().iter_rows()}
    return (
        # A column without any value has no type in a CSV: polars takes it for text, and adds up no text.
        {code: 0 if table[code].is_null().all() else counted[code].sum() or 0 for code in options}
        | states
        | _seen(_ACCENT in table["DIGITALIZACION"].to_list())
    )


def _with_duckdb(path: Path, options: Sequence[str]) -> Sums:
    try:
        import duckdb
    except ImportError:
        raise NoReaderError from None
    if path.suffix == ".xlsx":  # only with an extension that it fetches from the network
        raise NoReaderError
    connection = duckdb.connect()
    # A column without any value has no type in a CSV: it is taken for text, and no text is added up.
    told = ", ".join(f'count("{code}")' for code in options)
    [given] = connection.sql(f"SELECT {told} FROM '{path}'").fetchall()  # noqa: S608
    sums = (
        f'coalesce(sum("{code}"), 0)' if some else "coalesce(sum(0), 0)"
        for code, some in zip(options, given, strict=True)
    )
    wanted = ", ".join(sums)
    [found] = connection.sql(f"SELECT {wanted} FROM '{path}' WHERE ESTADO = 'contabilizada'").fetchall()  # noqa: S608
    states = connection.sql(f"SELECT ESTADO, count(*) FROM '{path}' GROUP BY ESTADO").fetchall()  # noqa: S608
    [accents] = connection.sql(f"SELECT count(*) FROM '{path}' WHERE DIGITALIZACION = '{_ACCENT}'").fetchall()  # noqa: S608
    counts = {f"ESTADO={name}": count for name, count in states}
    return {code: int(votes) for code, votes in zip(options, found, strict=True)} | counts | _seen(accents[0])


def _with_libreoffice(path: Path, options: Sequence[str]) -> Sums:
    """Converted to a workbook without a window, whose cells are read as they are: numbers must be numbers.

    The one option of a CSV says what the window finds by itself: without it, LibreOffice takes every CSV for
    Windows-1252. A workbook needs none.
    """
    program = shutil.which("soffice")
    if program is None or path.suffix == ".parquet":
        raise NoReaderError
    option = ["--infilter=CSV:44,34,UTF8"] if path.suffix == ".csv" else []
    with tempfile.TemporaryDirectory() as scratch:
        words = [program, "--headless", *option, "--convert-to", "xlsx", "--outdir", scratch, str(path)]
        home = {**os.environ, "HOME": scratch}
        subprocess.run(words, check=True, env=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        sheets = _cells_of(Path(scratch, f"{path.stem}.xlsx"))
    if path.suffix == ".xlsx":
        return _of_book(sheets, options)
    [rows] = sheets.values()
    return _of_rows(rows, options)


def _cells_of(path: Path) -> dict[str, list[dict[str, object]]]:
    """The sheets of a workbook that LibreOffice wrote."""
    with zipfile.ZipFile(path) as book:
        strings = ET.fromstring(book.read("xl/sharedStrings.xml"))  # noqa: S314 - written a moment ago
        texts = ["".join(part.text or "" for part in each.iter(f"{_SHEET}t")) for each in strings]
        names = [each.attrib["name"] for each in ET.fromstring(book.read("xl/workbook.xml")).iter(f"{_SHEET}sheet")]  # noqa: S314
        sheets = [ET.fromstring(book.read(f"xl/worksheets/sheet{n}.xml")) for n in range(1, len(names) + 1)]  # noqa: S314
    return {name: _rows_of(sheet, texts) for name, sheet in zip(names, sheets, strict=True)}


def _rows_of(sheet: ET.Element, texts: Sequence[str]) -> list[dict[str, object]]:
    """Of each row below the first, which names the columns: the text or the number."""
    rows = []
    for row in sheet.iter(f"{_SHEET}row"):
        cells: dict[str, object] = {}
        for cell in row:
            value = cell.find(f"{_SHEET}v")
            if value is not None and value.text is not None:
                column = cell.attrib["r"].rstrip("0123456789")
                cells[column] = texts[int(value.text)] if cell.attrib.get("t") == "s" else float(value.text)
        rows.append(cells)
    names = rows[0]
    return [{str(names[column]): cell for column, cell in row.items()} for row in rows[1:]]


def _pandas_book(path: Path) -> Sheets:
    import pandas

    try:
        sheets = pandas.read_excel(path, sheet_name=None)
    except ImportError:  # openpyxl
        raise NoReaderError from None
    return {name: table.to_dict("records") for name, table in sheets.items()}


def _polars_book(path: Path) -> Sheets:
    import polars

    try:
        sheets = polars.read_excel(path, sheet_id=0)
    except ImportError:  # fastexcel
        raise NoReaderError from None
    return {name: table.to_dicts() for name, table in sheets.items()}


def _of_book(sheets: Sheets, options: Sequence[str]) -> Sums:
    """The votes of the row of the election in the sheet of the sums; and the rows of the actas, if they are there."""
    [whole] = [row for row in sheets["Sumas"] if row["TIPO"] == "eleccion"]
    told = {f"Sumas {code}": _votes(whole, code) for code in options}
    return told | (_of_rows(sheets["Actas"], options) if "Actas" in sheets else {})


def _of_rows(rows: Sequence[Mapping[str, object]], options: Sequence[str]) -> Sums:
    found: dict[str, int] = dict.fromkeys(options, 0)
    seen = False
    for row in rows:
        state = f"ESTADO={row['ESTADO']}"
        found[state] = found.get(state, 0) + 1
        seen |= row.get("DIGITALIZACION") == _ACCENT
        if state == "ESTADO=contabilizada":
            for code in options:
                found[code] += _votes(row, code)
    return found | _seen(seen)


def _votes(row: Mapping[str, object], code: str) -> int:
    """The number of a cell; 0 if it is empty, for which pandas has a NaN."""
    held = row.get(code)
    assert held is None or isinstance(held, int | float), f"{code} is no number: {held!r}"
    return 0 if held is None or math.isnan(held) else int(held)


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


def _rows_in(sums: Sums) -> int:
    return sum(count for name, count in sums.items() if name.startswith("ESTADO="))


def read(tree: Path, number: int) -> list[dict[str, Any]]:
    """For each reader, election and form of the table: seconds, and what it read wrongly."""
    results = []
    for election in json.loads((tree / f"cortes/{number:04}/manifest.json").read_bytes())["elecciones"]:
        options = [each["codigo"] for each in election["opciones"]]
        of_rows = expected(tree, number, election)
        of_sums = {f"Sumas {code}": of_rows[code] for code in options}
        for kind, ending in (("actas", "csv"), ("actas", "parquet"), ("libro", "xlsx")):
            path = tree / f"datos/{number:04}/{kind}_{election['codigo']}.{ending}"
            if not path.exists():  # an older release made no workbooks
                continue
            right = of_rows if kind == "actas" else of_sums | (of_rows if _rows_in(of_rows) <= MOST_ROWS else {})
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


# --- the sums in the form of NIST -------------------------------------------------------------------------------------


def nist_faults(report: object, schema: Mapping[str, Any]) -> list[str]:
    """What NIST's schema refuses in a report, and the references that name no object of a class that they may name."""
    import jsonschema

    checker = jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())
    refused = [f"{error.json_path}: {error.message}" for error in checker.iter_errors(report)]
    objects = [*_objects(report, schema, schema)] if not refused else []
    classes = {held["@id"]: held["@type"] for held, _ in objects if "@id" in held}
    lost = [
        f"{field}: {name}"
        for held, properties in objects
        for field, told in properties.items()
        for allowed in (told.get("refTypes") or told.get("items", {}).get("refTypes"),)
        if allowed and field in held
        for name in (held[field] if isinstance(held[field], list) else [held[field]])
        if classes.get(name) not in allowed
    ]
    return refused + lost


def _objects(
    value: object, told: Mapping[str, Any], schema: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """Each object of a valid report, with the properties of its class: `refTypes` is there, and no validator looks."""
    if "$ref" in told:
        told = schema["definitions"][told["$ref"].rpartition("/")[2]]
    elif "oneOf" in told:
        named = f"#/definitions/{value['@type']}" if isinstance(value, dict) else ""
        yield from _objects(value, {"$ref": named}, schema)
        return
    if isinstance(value, dict):
        yield value, told["properties"]
        for name, held in value.items():
            yield from _objects(held, told["properties"][name], schema)
    elif isinstance(value, list):
        for each in value:
            yield from _objects(each, told["items"], schema)


def validate_nist(tree: Path, number: int, schema: Mapping[str, Any]) -> dict[str, list[str]]:
    """By report of a corte: its faults."""
    found = sorted((tree / f"datos/{number:04}").glob("nist_*.json"))
    return {path.name: nist_faults(json.loads(path.read_bytes()), schema) for path in found}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}.readers", description="Reads the clean data as newsrooms do."
    )
    parser.add_argument("tree", type=Path)
    parser.add_argument("--corte", type=int)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--nist-schema", type=Path, help="NIST's JSON schema: validate nist_*.json with it, and no more"
    )
    asked = parser.parse_args(argv)
    try:
        told = json.loads((asked.tree / "index.json").read_bytes())
        number = told["corte"] if asked.corte is None else asked.corte
        if asked.nist_schema is not None:
            return _tell_nist(asked.tree, number, asked.nist_schema)
        results = read(asked.tree, number)
    except OSError as error:
        parser.error(f"{error.filename} cannot be read; TREE must be a published tree with clean data")
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


def _tell_nist(tree: Path, number: int, file: Path) -> int:
    content = file.read_bytes()
    faults = validate_nist(tree, number, json.loads(content))
    print(f"schema: {file.name}, SHA-256 {hashlib.sha256(content).hexdigest()}")
    for name, wrong in faults.items():
        print("✗" if wrong else "✓", name, *wrong, sep="\n    " if wrong else " ")
    if not faults:
        print(f"datos/{number:04} has no nist_*.json")
    return int(not faults or any(faults.values()))


if __name__ == "__main__":
    sys.exit(main())
