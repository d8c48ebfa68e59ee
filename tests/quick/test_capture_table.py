"""A file of captures: a book or text in columns, what a row holds, and one sentence for each cell that cannot be read."""

import base64
import datetime as dt
import random
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.constancia import constancia
from prep.errors import Rejected
from prep.files.capture_table import MOST_ACTAS, CaptureRow, CellProblem
from prep.files.sheets import letter
from prep.scan.books import prepare, read_captures
from prep.scan.bounded import MIB, Bounds, Lane, OutOfBounds
from prep.scan.digitize import scan_files
from tests.makers.workbooks import BookPage, Cell, CellError, Formula, ods, xlsx

ACTA = {
    "eleccion": "GUB", "clave": "280012B010D", "titulo": "Gubernatura de Ñuño «ñ»", "qr": "28|1|D|12|1|B|0|6", "seccion": 12,
    "tipo": "B", "numero": 1, "ext_contigua": 0,
}  # fmt: skip
HEAD = ["ELECCION", "CLAVE_ACTA", "PAN", "NULOS"]
EXPECTED = "se espera un número, ILEGIBLE, SIN DATO o «-», y la celda"
BOOKS = [xlsx, ods]
OLD_BOOK = (
    "c-rk)O=uHA6#izjX?|$Zq^3eElu)p0?ZKammo}y`1|g==S``uMw#lKiBocGcgH~&fg5XK<Qs~7?)r&vqL2n*}iXH?(NcAFk5)?eNS>L?ft*Q"
    "3Vh!&OkmU;8$y?JkD_r00j*%$NS>df7a1^j@1xKJ~FXsVM5Dn6$X0_jatvQF)#Vk-Po@OdeaO>R62Jom^L%6Kn8!yWx8QQ#ewlQ@k`v5=3hB"
    "L;X5hLCgUBPwu{Btf+EtXi3lG2OuQHurqYbT3P;FzuthRdE9Iu}se%JByENU91a2`n}IKZ&<PuZFnZL_`+3T^>rg&8aF2YPDQ8Qj9F0JQu#u"
    "@WK32Op#aX}ix~wzJ1g}`RLR#@E<p0HE9IV5<kvJEn1XqV6TE@|KDeZY!aG(r&Mab|3@#ViTa)QzB5`0a;|CJy_|fD@JaHsW{j>3m8^{c&2Z"
    "yMY8XllbHg=G~(0C!5Gs;E3+_!n1hgPif0Ox-*(HvTs5A!Mr(P)deKD|6RnvIRHWQzB8>kY73P8udIN((X$vXtiysp(;h?MyGR*G<fKFpbd7"
    "QQe(wvzh(V+~+cDyJ?)=j90NOb^KQ1D<2O%=&ZbtZ6kgzwQw#n_c}I%E_x&7$X;I4=oP)<#&wB@F{c*xZt<3B`%gQER}1kS=rHZqTnm=qXIY"
    "p9R!cq|vE0(^XJxfq)N<Lrv{ig*>`S-%TThx|hVz<iNng8`b<&rNPQTWQd(x2hv+wXjK|w)5K|w)5LE+aSzi2i4`(5Xwhjlja*#C8wsMOSNl"
    "K&QmQKYL(2h$`9RF`nJq5Rnhw{U!kHQG4;3nh-x=p{^Gl;<(gaQ@QSPSoGenhit0ZwWOzeyx#t{^9Yz0W_t|dj"
)
"""An .xls of two rows, below an empty one, packed."""


def separated(separator: str, encoding: str, end: str) -> Callable[[BookPage], bytes]:
    """Text in columns, as a spreadsheet saves the cells of a page."""

    def make(page: BookPage) -> bytes:
        quoted = [
            [f'"{cell}"' if separator in cell or "\n" in cell else cell for cell in map(saved, row)]
            for row in page.rows
        ]
        return end.join(separator.join(each) for each in quoted).encode(encoding)

    return make


def saved(cell: Cell) -> str:
    shown = cell.cached if isinstance(cell, Formula) else cell
    return "" if shown is None else str(shown)


MAKERS = [
    *BOOKS,
    separated(",", "utf-8", "\n"),
    separated(";", "utf-8-sig", "\r\n"),
    separated("\t", "cp1252", "\r"),
    separated("\t", "utf-16", "\r\n"),
    separated("|", "utf-8", "\r\n"),
]
NUMBERS = st.integers(0, 999_999_999)
DRESSES: Sequence[Callable[[int], Cell]] = [
    float,
    int,
    str,
    lambda number: f"{number:,}",
    lambda number: f" {number} ",
    lambda number: f"{number:,}".replace(",", "\N{NO-BREAK SPACE}"),
    lambda number: f"{number}.0",
    lambda number: f'="{number:04}"',
    lambda number: Formula(f"{number}+0", float(number)),
]
CELLS = st.one_of(
    st.tuples(NUMBERS, st.sampled_from(DRESSES)).map(lambda both: (both[0], both[1](both[0]))),
    st.sampled_from([("ilegible", "Ilegible"), ("sin dato", " sin  DATO"), (None, "-"), (None, "\N{EN DASH}")]),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=4),
    st.sampled_from(MAKERS),
    st.integers(0, 3),
)
def test_a_value_that_a_person_typed_is_read_in_every_form_that_a_spreadsheet_gives_it(
    actas: list[list[tuple[int | str | None, Cell]]], make: Callable[[BookPage], bytes], above: int
) -> None:
    rows: list[list[Cell]] = [[] for _ in range(above)]
    rows.append(["Eleccion", " clave_acta", "pan", "NULOS"])
    rows.extend(["GUB", f"ñ{at:03}", *(cell for _, cell in cells)] for at, cells in enumerate(actas))
    rows.extend([[], ["", " "]])
    assert [*read_captures(make(BookPage("Actas", rows))).rows] == [
        CaptureRow(
            above + 2 + at, "GUB", f"ñ{at:03}",
            {name: value for name, (value, _) in zip(("PAN", "NULOS"), cells, strict=True) if value is not None},
        )
        for at, cells in enumerate(actas)
    ]  # fmt: skip


@pytest.mark.parametrize("make", BOOKS)
@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (dt.date(2026, 6, 7), "dice «2026-06-07»"),
        (12.5, "dice «12.5»"),
        (-3.0, "dice «-3»"),
        (1e15, "dice «1000000000000000.0»"),
        (True, "dice «True»"),
        ("1.000", "dice «1.000»"),
        ("=cmd|' /C calc'!A0", "dice «=cmd|' /C calc'!A0»"),
        ("+1", "dice «+1»"),
        ("12\x9bm", "dice «12�m»"),
        (Formula("1+1", None), "está vacía"),
        (None, "está vacía"),
    ],
)
def test_a_cell_that_is_no_quantity_is_told_by_its_row_and_column(
    make: Callable[[BookPage], bytes], cell: Cell, said: str
) -> None:
    table = read_captures(make(BookPage("Actas", [[], HEAD, ["GUB", "a0", 5, 6], [], ["GUB", "a1", cell, 7]])))
    first, wrong = table.rows
    assert (first.values, first.problems) == ({"PAN": 5, "NULOS": 6}, ())
    assert (wrong.row, wrong.values, wrong.problems) == (5, {"NULOS": 7}, (CellProblem("PAN", f"{EXPECTED} {said}"),))
    assert table.places["PAN"] == "C (PAN)"


def test_an_error_of_a_formula_is_no_quantity() -> None:
    for make in BOOKS:
        [row] = read_captures(make(BookPage("Actas", [HEAD, ["GUB", "a0", CellError("#REF!"), 6]]))).rows
        assert [each.column for each in row.problems] == ["PAN"]


@pytest.mark.parametrize(
    ("lines", "problems"),
    [
        (["GUB,a0"], [(2, "PAN", f"{EXPECTED} está vacía"), (2, "NULOS", f"{EXPECTED} está vacía")]),
        (["GUB,a0,1,2,9"], [(2, "", "la columna E no tiene nombre en el encabezado, y dice «9»")]),
        ([",a0,1,2"], [(2, "ELECCION", "la celda está vacía")]),
        ([f"GUB,{'a' * 41},1,2"], [(2, "CLAVE_ACTA", f"no es el nombre de una elección ni la clave de un acta: «{'a' * 40}…»")]),
        (
            ["GUB,a0,1,2", "", "GUB,a0,1,2", "GUB,a1,1,2"],
            [(2, "CLAVE_ACTA", "la misma acta está en los renglones 2, 4"), (4, "CLAVE_ACTA", "la misma acta está en los renglones 2, 4")],
        ),
    ],
)  # fmt: skip
def test_a_row_of_text_that_cannot_be_read_is_told(lines: list[str], problems: list[tuple[int, str, str]]) -> None:
    table = read_captures("\n".join([",".join(HEAD), *lines]).encode())
    assert [(row.row, each.column, each.sentence) for row in table.rows for each in row.problems] == problems


def test_the_one_sheet_of_actas_is_read_and_the_others_are_named() -> None:
    actas = BookPage("Actas", [HEAD, ["GUB", "a0", 1, 2]], merged=["A3:B3"])
    others = [
        BookPage("Portada", [["Municipio de Ñuño"]]),
        BookPage("Vacía"),
        BookPage("Vieja", actas.rows, hidden=True),
    ]
    table = read_captures(xlsx(others[0], actas, *others[1:]))
    assert (table.sheet, len(table.rows)) == ("Actas", 1)
    assert table.notes == (
        "La hoja «Portada» no se lee.",
        "La hoja oculta «Vieja» no se lee.",
        "Hay celdas combinadas (A3:B3): solo la primera de ellas tiene el dato.",
    )
    assert read_captures(ods(*others, actas)).sheet == "Actas"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04", "no se puede leer como hoja de cálculo"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "no se puede leer como hoja de cálculo"),
        (xlsx(BookPage("A", [HEAD]), BookPage("B", [HEAD])), r"hay actas en varias hojas \(«A», «B»\): deje una"),
        (
            ods(BookPage("A", [HEAD], hidden=True), BookPage("B", [["x"]])),
            "en el primer renglón de alguna hoja visible",
        ),
        (
            xlsx(BookPage("A", [["Municipio"], HEAD])),
            "en el primer renglón con datos deben estar las columnas ELECCION",
        ),
        (xlsx(BookPage("A", [["x"]] * 20_001)), "pasa de 20000 renglones"),
        (xlsx(BookPage("A", [HEAD, *([["GUB"]] * (MOST_ACTAS + 1))])), "trae 2001 actas; a lo más 2000"),
        (b"", "deben estar las columnas ELECCION y CLAVE_ACTA"),
        (b"ELECCION,PAN\n", "deben estar las columnas ELECCION y CLAVE_ACTA"),
        (b"ELECCION,CLAVE_ACTA,PAN,x,pan\n", r"la columna PAN está dos veces en el encabezado \(C y E\)"),
        (b'ELECCION,CLAVE_ACTA,"PAN\n', "renglón 1: no se puede separar en columnas: hay una comilla de más o una sin"),
        (b'ELECCION,CLAVE_ACTA,PAN\n"a\nb",c,1\nx,"y"z,2\n', "renglón 3: no se puede separar en columnas"),
        (b"ELECCION,CLAVE_ACTA,PAN\n" + b"x" * 140_000, "renglón 2: no se puede separar en columnas: una celda tiene"),
        (b"ELECCION,CLAVE_ACTA\0\n", "no es de texto"),
        (b"ELECCION,CLAVE_ACTA\n" + b"\n" * 20_001, "pasa de 20000 renglones"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_in_one_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(Rejected, match=sentence):
        read_captures(content)


def test_a_book_of_the_old_format_is_read() -> None:
    table = read_captures(zlib.decompress(base64.b85decode(OLD_BOOK)))
    assert table.rows == [CaptureRow(3, "GUB", "a0", {"PAN": 12, "NULOS": "sin dato"})]


def test_without_its_package_a_book_is_refused_in_a_sentence_and_text_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    prepare()
    with pytest.raises(Rejected, match=r"falta el extra «sheets»\): guarde la hoja como CSV"):
        read_captures(xlsx(BookPage("Actas", [HEAD])))
    assert len(read_captures(b"ELECCION,CLAVE_ACTA\nGUB,a0\n").rows) == 1


def test_a_text_that_names_its_separator_is_read_with_it() -> None:
    table = read_captures(b"sep=;\r\nELECCION;CLAVE_ACTA;A,B,C,D\r\nGUB;a0;7\r\n")
    assert [(row.row, row.values) for row in table.rows] == [(3, {"A,B,C,D": 7})]


def test_columns_are_named_as_a_spreadsheet_names_them() -> None:
    assert [letter(each) for each in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]


@pytest.mark.parametrize("make", BOOKS)
def test_a_damaged_book_is_read_or_refused_and_nothing_else(make: Callable[[BookPage], bytes]) -> None:
    chance, whole = random.Random(13), make(BookPage("Actas", [HEAD, ["GUB", "a0", 1, 2]]))
    with zipfile.ZipFile(BytesIO(whole)) as book:
        inside = {name: book.read(name) for name in book.namelist()}
    for _ in range(150):
        if chance.random() < 0.5:
            content = spoiled(whole, chance)
        else:
            name, packed = chance.choice(sorted(inside)), BytesIO()
            with zipfile.ZipFile(packed, "w") as book:
                for each, text in inside.items():
                    book.writestr(each, spoiled(text, chance) if each == name else text)
            content = packed.getvalue()
        with suppress(Rejected):
            read_captures(content)


def spoiled(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    how = chance.choice(["cut", "byte", "lost", "twice"])
    if how == "cut":
        return content[:at]
    if how == "byte":
        return content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]
    end = at + chance.randrange(1, 60)
    return content[:at] + content[end:] if how == "lost" else content[:end] + content[at:]


async def test_a_book_that_unfolds_without_end_ends_its_process_alone() -> None:
    lane = Lane(1, Bounds(memory=128 * MIB, cpu=10, seconds=60), prepare)
    row = "".join(f'<c r="{letter(column)}1"><v>1</v></c>' for column in range(16_384))
    far = f'<row r="1">{row}</row><row r="19999"><c r="A19999"><v>1</v></c></row>'
    plain = xlsx(BookPage("Actas", [HEAD]))
    packed = BytesIO()
    with zipfile.ZipFile(BytesIO(plain)) as book, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in book.namelist():
            text = book.read(name).decode()
            if name.endswith("sheet1.xml"):
                text = text[: text.index("<sheetData>") + 11] + far + text[text.index("</sheetData>") :]
            bomb.writestr(name, text)
    assert len(packed.getvalue()) < 200_000
    try:
        with pytest.raises(OutOfBounds):
            await lane.do(read_captures, packed.getvalue())
        assert (await lane.do(read_captures, xlsx(BookPage("Actas", [HEAD, ["GUB", "a0", 1, 2]])))).sheet == "Actas"
    finally:
        lane.close()


def test_a_constancia_shows_the_sticker_of_its_acta_and_is_always_the_same(tmp_path: Path) -> None:
    page = constancia(ACTA, site="CATD-1", source="ab" * 32, row=7)
    assert page == constancia(ACTA, site="CATD-1", source="ab" * 32, row=7)
    assert page != constancia(ACTA, site="CATD-1", source="ab" * 32, row=8)
    path = tmp_path / "constancia.pdf"
    path.write_bytes(page)
    [read] = scan_files([path])
    assert read["text"] == ACTA["qr"]
