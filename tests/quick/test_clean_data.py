"""The clean data of a small night: their cells, their Parquet file, and their sums in the form of NIST."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from integrity.tree.clean import clean_columns, make_data
from integrity.tree.documents import Manifest, PublishedElection, read_manifest, read_totals
from integrity.tree.parquet import GROUP, Kind, ParquetWriter
from load_tests import readers
from tests.makers import nist
from tests.makers.tree_maker import make_tree

Json = dict[str, object]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("arbol") / "publico")


def manifest_of(tree: Path, number: int) -> Manifest:
    return read_manifest((tree / f"cortes/{number:04}/manifest.json").read_bytes())


def report(tree: Path, code: str, number: int = 2) -> dict[str, object]:
    held: dict[str, object] = json.loads((tree / f"datos/{number:04}/nist_{code}.json").read_bytes())
    return held


@pytest.mark.parametrize("code", ["GOB", "DIP"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_sums_are_valid_by_the_classes_of_nist_and_every_reference_is_there(
    tree: Path, code: str, number: int
) -> None:
    told = report(tree, code, number)
    jsonschema.Draft4Validator.check_schema(nist.schema())
    assert readers.nist_faults(told, nist.schema()) == []
    assert told["Status"] == ("pre-election" if number == 0 else "unofficial-partial")


@pytest.mark.parametrize("change", ["Format", "Status", "@type", "Election", "Nuevo"])
def test_another_form_is_refused(tree: Path, change: str) -> None:
    told = report(tree, "GOB")
    told[change] = "otro"
    assert not jsonschema.Draft4Validator(nist.schema()).is_valid(told)
    del told[change]
    assert jsonschema.Draft4Validator(nist.schema()).is_valid(told) == (change in {"@type", "Election", "Nuevo"})


def test_a_reference_to_nobody_is_seen(tree: Path) -> None:
    told = json.loads(json.dumps(report(tree, "GOB")))
    told["Election"][0]["Contest"][0]["BallotSelection"][0]["VoteCounts"][0]["GpUnitId"] = "u-nadie"
    told["Election"][0]["ElectionScopeId"] = "p-0"
    assert readers.nist_faults(told, nist.schema()) == ["ElectionScopeId: p-0", "GpUnitId: u-nadie"]


def test_the_sums_are_validated_with_a_file_that_the_reader_brings(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nist.json"
    file.write_text(json.dumps(nist.schema()), encoding="utf-8")
    assert readers.main([str(tree), "--nist-schema", str(file)]) == 0
    assert hashlib.sha256(file.read_bytes()).hexdigest() in capsys.readouterr().out
    path = tree / "datos/0002/nist_GOB.json"
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b'"unofficial-partial"', b'"certificado"'))
    try:
        assert readers.main([str(tree), "--nist-schema", str(file)]) == 1
    finally:
        path.write_bytes(kept)
    assert "certificado" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        readers.main([str(tree), "--nist-schema", str(tmp_path / "missing")])
    assert "missing" in capsys.readouterr().err


@pytest.mark.parametrize("code", ["GOB", "DIP"])
def test_the_sums_of_nist_are_those_of_totals(tree: Path, code: str) -> None:
    totals = read_totals((tree / "cortes/0002/totals.json").read_bytes())["elecciones"][code]
    told: dict[str, Any] = report(tree, code)
    [election] = told["Election"]
    assert len(election["Contest"]) == len(totals["contiendas"])
    for contest, mine in zip(election["Contest"], totals["contiendas"], strict=True):
        district = contest["ElectoralDistrictId"]
        [first, *_] = contest["BallotSelection"]
        counts = [each for each in first["VoteCounts"] if each["GpUnitId"] == district]
        [whole] = [each["Count"] for each in counts if each["Type"] == "total"]
        parts = {each["OtherType"]: each["Count"] for each in counts if each["Type"] == "other"}
        assert whole == sum(parts.values()) == mine["candidaturas"][0]["votos"]
        assert parts == {option: mine["votos"][option] for option in mine["candidaturas"][0]["opciones"]}
        # Each selection once, and the null votes: all votes of the contest.
        added = sum(
            each["Count"]
            for selection in contest["BallotSelection"]
            for each in selection["VoteCounts"]
            if each["Type"] == "total" and each["GpUnitId"] == district
        )
        [summary] = [each for each in contest["SummaryCounts"] if each["GpUnitId"] == district]
        assert added + summary["BallotsRejected"] == summary["BallotsCast"] == sum(mine["votos"].values())


def test_the_evidence_leads_from_each_unit_to_published_images(tree: Path) -> None:
    units = {each["@id"] for each in report(tree, "DIP")["GpUnit"]}  # type: ignore[attr-defined]
    text = (tree / "datos/0002/evidencia_DIP.csv").read_text(encoding="utf-8-sig")
    rows = [*csv.DictReader(io.StringIO(text, newline=""))]
    assert len(rows) == 7
    for row in rows:
        assert row["UNIDAD"] in units
        assert hashlib.sha256((tree / row["IMAGEN"]).read_bytes()).hexdigest() == row["CODIGO_INTEGRIDAD"]
        assert row["PRUEBA"].endswith(f"{row['CODIGO_INTEGRIDAD']}.tlog-proof")


def test_the_same_corte_gives_the_same_bytes_and_no_cell_is_a_word_of_a_number(tree: Path, tmp_path: Path) -> None:
    manifest = manifest_of(tree, 2)
    totals = read_totals((tree / "cortes/0002/totals.json").read_bytes())
    files = {each.code: tree / f"cortes/0002/{each.archivo}" for each in manifest.elections}
    made = make_data(manifest, totals, files, lambda _: "png", tmp_path)
    assert made == make_data(manifest, totals, files, lambda _: "png")
    assert made == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(tmp_path.iterdir())}
    for election in manifest.elections:
        kinds = dict(clean_columns(election))
        text = (tmp_path / f"actas_{election.code}.csv").read_text(encoding="utf-8-sig")
        for row in csv.DictReader(io.StringIO(text, newline="")):
            for name, cell in row.items():
                assert kinds[name] is not Kind.NUMBER or cell == "" or str(int(cell)) == cell
                assert kinds[name] is not Kind.TEXT or not cell.isdigit(), "a program would take it for a number"
                assert cell not in {"-", "N/A", "Ilegible ", "Sin dato", "Sin acta"}


def made_with(
    tree: Path, into: Path, rows_of: Callable[[PublishedElection, list[str]], list[list[str]]]
) -> Sequence[PublishedElection]:
    """Clean data of other rows: `rows_of` an election, from its columns and the cells of its first row."""
    manifest = manifest_of(tree, 2)
    totals = read_totals((tree / "cortes/0002/totals.json").read_bytes())
    files = {each.code: into / each.archivo for each in manifest.elections}
    for election in manifest.elections:
        *above, row = (tree / "cortes/0002" / election.archivo).read_text(encoding="utf-8-sig").splitlines()[:8]
        lines = [*above, *map(",".join, rows_of(election, row.split(",")))]
        files[election.code].write_text("".join(f"{line}\r\n" for line in lines), encoding="utf-8-sig", newline="")
    make_data(manifest, totals, files, lambda _: "png", into)
    return manifest.elections


def test_a_type_of_acta_that_only_the_last_row_has_stops_no_reader(tree: Path, tmp_path: Path) -> None:
    """Programs look at the first rows to know what a column holds: DuckDB at 20,480, polars at 100."""
    duckdb = pytest.importorskip("duckdb", reason="el lector DuckDB está en el grupo dev")

    def rows(election: PublishedElection, cells: list[str]) -> list[list[str]]:
        special = [*cells]
        special[election.columns.index("TIPO_ACTA")] = "2EMR"
        return [*[cells] * 21_000, special]

    for code in [each.code for each in made_with(tree, tmp_path, rows)]:
        found = duckdb.sql(f"SELECT TIPO_ACTA, count(*) FROM '{tmp_path}/actas_{code}.csv' GROUP BY ALL ORDER BY ALL")
        [(often, many), last] = found.fetchall()
        assert (often.startswith("tipo_"), many, last) == (True, 21_000, ("tipo_2EMR", 1))


def test_a_column_whose_first_value_stands_far_down_is_a_column_of_numbers(tree: Path, tmp_path: Path) -> None:
    """Early in a night nearly all rows are empty. The rows that give a column its first value come first, then all
    others in the order of the official file. So a program that looks at the first rows only takes no votes for text."""
    duckdb = pytest.importorskip("duckdb", reason="el lector DuckDB está en el grupo dev")

    def rows(election: PublishedElection, cells: list[str]) -> list[list[str]]:
        votes = [election.columns.index(option.code) for option in election.options]
        empty = ["-" if column in votes else cell for column, cell in enumerate(cells)]
        far = [
            [str(place) if column == vote else cell for column, cell in enumerate(empty)]
            for place, vote in enumerate(votes)
        ]
        return [*[empty] * 21_000, *far]

    for election in made_with(tree, tmp_path, rows):
        votes = [option.code for option in election.options]
        path = tmp_path / f"actas_{election.code}.csv"
        with path.open(encoding="utf-8-sig", newline="") as text:
            read = [[row[code] for code in votes] for row in csv.DictReader(text)]
        own = [[str(place) if code == each else "" for each in votes] for place, code in enumerate(votes)]
        nothing = [""] * len(votes)
        # The first row of the official file comes first too: it gives the identification of its casilla.
        assert read == [nothing, *own, *[nothing] * 20_999]
        kinds = dict(duckdb.sql(f"SELECT column_name, column_type FROM (DESCRIBE FROM '{path}')").fetchall())
        assert {kinds[code] for code in votes} == {"BIGINT"}


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 256, 257, GROUP, GROUP + 1])
def test_duckdb_reads_every_size_of_parquet(tmp_path: Path, rows: int) -> None:
    duckdb = pytest.importorskip("duckdb", reason="el lector DuckDB está en el grupo dev")
    path = tmp_path / "t.parquet"
    cells = [
        [str(n) if n % 3 else "" for n in range(rows)],
        [f"á{n % 300}" if n % 2 else "" for n in range(rows)],
        ["2024-06-02T20:15:33-06:00" if n % 5 else "" for n in range(rows)],
        [""] * rows,
    ]
    with path.open("wb") as file:
        writer = ParquetWriter(file.write, [("N", Kind.NUMBER), ("T", Kind.TEXT), ("H", Kind.MOMENT), ("V", Kind.TEXT)])
        for first in range(0, rows, GROUP):
            writer.add([column[first : first + GROUP] for column in cells])
        writer.close()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    read = connection.sql(f"SELECT N, T, CAST(H AS VARCHAR), V FROM '{path}'").fetchall()
    told = [
        (int(n) if n else None, t or None, "2024-06-03 02:15:33+00" if h else None, None)
        for n, t, h, _ in zip(*cells, strict=True)
    ]
    assert read == told


def test_the_readers_that_are_here_read_what_the_official_file_says(tree: Path) -> None:
    """`python -m load_tests.readers` with pandas, polars and LibreOffice is a command of its own: they take 600 MB."""
    pytest.importorskip("duckdb", reason="el lector DuckDB está en el grupo dev")
    found = readers.read(tree, 2)
    assert {"actas_DIP.csv", "actas_DIP.parquet", "actas_GOB.csv"} <= {each["archivo"] for each in found}
    assert [each for each in found if each["distinto"]] == []
    # In corte 0 no column of votes has a value, and so no type in a CSV.
    assert [each for each in readers.read(tree, 0) if each["distinto"]] == []
    # It can fail: a row that says another status is told.
    path = tree / "datos/0002/actas_GOB.csv"
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b",no_contabilizada,", b",contabilizada,", 1))
    try:
        wrong = [each for each in readers.read(tree, 2) if each["distinto"]]
    finally:
        path.write_bytes(kept)
    assert {each["archivo"] for each in wrong} == {"actas_GOB.csv"}
    assert "ESTADO=contabilizada" in wrong[0]["distinto"]
