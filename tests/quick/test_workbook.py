"""The workbook of the clean data: its cells are those of the CSV and of totals.json, and two programs make its bytes."""

import csv
import hashlib
import io
import json
import random
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from integrity import minimal_verifier
from integrity.tree import clean
from integrity.tree.documents import SUMMARY_NAMES, read_manifest, read_totals
from integrity.tree.parquet import Kind
from integrity.tree.workbook import MOST_ROWS, BookSheet, workbook
from publisher import data
from publisher.web import PublishedTree
from tests.makers.tree_maker import make_tree, seal
from tests.tamper.matrix import report, results

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
ODD = [
    "<b>&\"'",
    "]]>",
    "=1+1",
    "+52",
    "-3",
    "@a",
    "\t=x",
    " dos  espacios ",
    "\n",
    "ñ🗳️",
    "a\x00b\x1f",
    "\r\n",
    "\ufffe",
]
ODD += [
    "_x0041_",
    "_x0041_x0042_",
    "x_x41_",
    "1" * 15,
    "1" * 16,
    "1" * 19,
    "1.5",
    "007",
    "12.3456",
    "-",
    "1e5",
    "٣",
    "\xa0",
]
LETTERS = "ab01 _x=<>&\"'\t\n\r\x07\x0b\ud800\uffffé🗳"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("arbol") / "publico")


def by_elementtree(content: bytes) -> dict[str, list[list[str | float]]]:
    """The cells of each sheet; a text is a text, a number a number, and "" if there is no value."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        names = [each.attrib["name"] for each in ET.fromstring(book.read("xl/workbook.xml")).iter(f"{MAIN}sheet")]
        found = {}
        for number, name in enumerate(names, 1):
            sheet = ET.fromstring(book.read(f"xl/worksheets/sheet{number}.xml"))
            assert {each.tag.removeprefix(MAIN) for each in sheet.iter()} <= {
                *("worksheet", "sheetData", "row", "c", "v", "is", "t")
            }
            found[name] = [[_value(cell) for cell in row] for row in sheet.iter(f"{MAIN}row")]
    return found


def _value(cell: ET.Element) -> str | float:
    value = cell.find(f"{MAIN}v")
    if value is not None and value.text:
        assert not cell.attrib
        return float(value.text)
    assert cell.get("t") == ("inlineStr" if len(cell) else None)
    return "".join(text.text or "" for text in cell.iter(f"{MAIN}t"))


def by_calamine(content: bytes) -> dict[str, list[list[Any]]]:
    reader = pytest.importorskip("python_calamine", reason="calamine está en el extra sheets")
    book = reader.CalamineWorkbook.from_filelike(io.BytesIO(content))
    return {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}


def made(tree: Path, number: int, into: Path | None = None) -> dict[str, str]:
    folder = tree / f"cortes/{number:04}"
    manifest = read_manifest((folder / "manifest.json").read_bytes())
    totals = read_totals((folder / "totals.json").read_bytes())
    files = {each.code: folder / each.archivo for each in manifest.elections}
    return clean.make_data(manifest, totals, files, lambda _: "png", into)


def made_by_the_other(tree: Path, number: int) -> dict[str, str]:
    """The digests of the workbooks by the minimal verifier."""
    folder = tree / f"cortes/{number:04}"
    manifest, totals = (json.loads((folder / f"{name}.json").read_bytes()) for name in ("manifest", "totals"))
    found: dict[str, str] = {}
    for election in manifest["elecciones"]:
        with (folder / election["archivo"]).open("rb") as file:
            corte: Any = SimpleNamespace(manifest=manifest, totals=totals, files={election["archivo"]: (file,)})
            found |= minimal_verifier.clean_files(corte, election, minimal_verifier.Images())
    return {name: digest for name, digest in found.items() if name.startswith("libro_")}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_two_programs_make_the_same_bytes(tree: Path, number: int) -> None:
    published = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tree / f"datos/{number:04}").glob("libro_*")
    }
    assert {*published} == {"libro_DIP.xlsx", "libro_GOB.xlsx"}
    assert published == {name: digest for name, digest in made(tree, number).items() if name in published}
    assert published == made_by_the_other(tree, number)


@pytest.mark.parametrize("code", ["DIP", "GOB"])
def test_the_rows_are_those_of_the_csv_and_the_sums_those_of_totals(tree: Path, code: str) -> None:
    content = (tree / f"datos/0002/libro_{code}.xlsx").read_bytes()
    book = by_elementtree(content)
    assert [*book] == ["Sumas", "Actas"]
    manifest = read_manifest((tree / "cortes/0002/manifest.json").read_bytes())
    [election] = [each for each in manifest.elections if each.code == code]
    columns = clean.clean_columns(election)
    text = (tree / f"datos/0002/actas_{code}.csv").read_text(encoding="utf-8-sig")
    above, *rows = csv.reader(io.StringIO(text, newline=""))
    assert book["Actas"][0] == above
    assert book["Actas"][1:] == [
        [float(cell) if cell and kind is Kind.NUMBER else cell for cell, (_, kind) in zip(row, columns, strict=True)]
        for row in rows
    ]
    told = read_totals((tree / "cortes/0002/totals.json").read_bytes())["elecciones"][code]
    names, *sums = [dict(zip(book["Sumas"][0], row, strict=True)) for row in book["Sumas"]]
    assert len(names) == 4 + len(SUMMARY_NAMES) + len(election.options)
    expected = [("eleccion", election.title, "", "", told)]
    expected += [
        ("contienda", each["nombre"], each["entidad"], each["territorio"], each) for each in told["contiendas"]
    ]
    expected += [(each["tipo"], each["nombre"], each["entidad"], each["id"], each) for each in told["territorios"]]
    for row, (*who, each) in zip(sums, expected, strict=True):
        assert [row[name] for name in ("TIPO", "NOMBRE", "ID_ENTIDAD", "ID_TERRITORIO")] == who
        assert {name: row[name] for name in SUMMARY_NAMES} == {
            name: float(each["resumen"][name]) for name in SUMMARY_NAMES
        }
        assert {option.code: row[option.code] for option in election.options if row[option.code] != ""} == each["votos"]
    assert [*by_calamine(content).items()] == [*book.items()]


def test_every_text_stays_a_text_and_no_cell_is_a_formula() -> None:
    chance = random.Random(7)
    texts = ODD + ["".join(chance.choices(LETTERS, k=chance.randrange(1, 12))) for _ in range(400)]
    sheet = BookSheet("Actas", [("<A>", Kind.TEXT), ("B", Kind.NUMBER), ("C", Kind.MOMENT)])
    sheet.add([texts, texts, [""] * len(texts)])
    content = b"".join(workbook([sheet]))
    rows = [minimal_verifier.sheet_row(["<A>", "B", "C"], "ttt")]
    rows += [minimal_verifier.sheet_row([text, text, ""], "tnh") for text in texts]
    assert content == minimal_verifier.workbook({"Actas": rows})
    book = by_elementtree(content)["Actas"]
    assert book[0] == ["<A>", "B", "C"]
    kept = [
        text.translate({**dict.fromkeys((*range(9), 11, 12, *range(13, 32), 0xD800, 0xFFFE, 0xFFFF), 0xFFFD)})
        for text in texts
    ]
    assert [row[2] for row in book[1:]] == [""] * len(texts)
    for text, (first, second, _) in zip(kept, book[1:], strict=True):
        assert isinstance(first, str)
        assert first.replace("_x005F_", "_") == text
        exact = text.isascii() and text.replace(".", "").isdigit() and len(text) <= 15 and text != "1.5"
        assert second == (float(text) if exact else first)
    # A reader of its own trims no text, and takes none for a code.
    assert [row[0] for row in by_calamine(content)["Actas"][1:]] == kept


def test_of_more_rows_than_a_sheet_takes_the_sums_alone_are_there(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GOB has 9 rows, DIP one more: it is fuera de catálogo.
    monkeypatch.setattr(clean, "MOST_ROWS", 9)
    monkeypatch.setattr(minimal_verifier, "SHEET_ROWS", 9)
    digests = made(tree, 2, tmp_path)
    books = {code: by_elementtree((tmp_path / f"libro_{code}.xlsx").read_bytes()) for code in ("DIP", "GOB")}
    assert {code: [*book] for code, book in books.items()} == {"DIP": ["Sumas"], "GOB": ["Sumas", "Actas"]}
    assert made_by_the_other(tree, 2) == {name: digest for name, digest in digests.items() if name.startswith("libro_")}


def test_a_sheet_keeps_no_row_of_too_many() -> None:
    sheet = BookSheet("Actas", [("A", Kind.TEXT)], most=3)
    sheet.add([["a", "b", "c"]])
    assert sheet.whole
    sheet.add([["d"]])
    assert not sheet.whole
    assert b"<row>" not in sheet.content()


@pytest.mark.parametrize("minimal", [False, True])
def test_a_list_of_an_older_release_without_workbooks_is_right(tree: Path, tmp_path: Path, minimal: bool) -> None:
    old = tmp_path / "publico"
    shutil.copytree(tree, old)
    for path in (old / "datos/0002").glob("libro_*"):
        path.unlink()
    seal(old / "datos/0002")
    assert dict(results(report(old, [], minimal=minimal)[0]))["CON-21"] == "bien"
    # One of two is no list of any release.
    shutil.copy(tree / "datos/0002/libro_DIP.xlsx", old / "datos/0002")
    seal(old / "datos/0002")
    assert dict(results(report(old, [], minimal=minimal)[0]))["CON-21"] == "mal"


def test_the_page_of_files_links_the_workbook_first(tree: Path) -> None:
    [first, *_] = data.links(tree).split("<li>")[1:]
    assert 'href="datos/0002/libro_DIP.xlsx"' in first
    assert ("veinte mil" in first, MOST_ROWS) == (True, 20_000)


async def test_a_browser_is_told_that_it_is_a_workbook_also_by_a_machine_without_that_type(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starlette.responses.guess_type", lambda _: (None, None))
    scope = {"type": "http", "method": "GET", "headers": []}
    answer = await PublishedTree(directory=tree).get_response("datos/0002/libro_GOB.xlsx", scope)
    assert answer.headers["Content-Type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
