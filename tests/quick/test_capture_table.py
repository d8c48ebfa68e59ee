"""A file of captures: what a line holds, and one sentence for each line that cannot be read."""

from pathlib import Path

import pytest

from prep.errors import Rejected
from prep.files.capture_table import CaptureLine, read_capture_table
from prep.operations.constancia import constancia
from prep.scan.digitize import scan_files

ACTA = {
    "eleccion": "GUB", "clave": "280012B010D", "titulo": "Gubernatura de Ñuño «ñ»", "qr": "28|1|D|12|1|B|0|6", "seccion": 12,
    "tipo": "B", "numero": 1, "ext_contigua": 0,
}  # fmt: skip


@pytest.mark.parametrize("separator", [",", ";", "|", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_a_spreadsheet_saves_is_read(separator: str, encoding: str, end: str) -> None:
    lines = [
        ["eleccion", "Clave_acta", "PAN", "NULOS", "OTRO"],
        ["GUB", '="0012"', "1 234", "Sin  dato", "-"],
        [""] * 5,
    ]
    content = end.join(separator.join(each) for each in lines).encode(encoding)
    assert read_capture_table(content) == [CaptureLine(2, "GUB", "0012", {"PAN": 1234, "NULOS": "sin dato"})]


def test_the_traces_of_a_spreadsheet_do_not_matter() -> None:
    content = 'ELECCION,CLAVE_ACTA,PAN,PRI,PT,,\nGUB,"a\n1",12.0,–,"1,234",,\n\nGUB,a2,1,2,3,,\n'
    first, second = read_capture_table(content.encode())
    assert (first.line, first.values, first.wrong) == (2, {"PAN": 12, "PT": 1234}, "")
    assert (second.line, second.values) == (5, {"PAN": 1, "PRI": 2, "PT": 3})


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("GUB,a1,", "columna PAN: se espera un número, ILEGIBLE, SIN DATO o «-», y dice «»"),
        ("GUB,a1,-3", "columna PAN: se espera un número, ILEGIBLE, SIN DATO o «-», y dice «-3»"),
        ("GUB,a1,1.5", "columna PAN: se espera un número, ILEGIBLE, SIN DATO o «-», y dice «1.5»"),
        ("GUB,a1", "tiene 2 columnas y la primera línea, 3"),
        ("GUB,a0,7", "la misma acta está en la línea 2"),
    ],
)
def test_a_wrong_line_is_told_and_the_others_are_read(line: str, sentence: str) -> None:
    first, wrong = read_capture_table(f"ELECCION,CLAVE_ACTA,PAN\nGUB,a0,5\n{line}\n".encode())
    assert (first.values, first.wrong) == ({"PAN": 5}, "")
    assert (wrong.line, wrong.wrong, wrong.values) == (3, sentence, {})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04", "guárdelo como CSV"),
        (b"", "debe estar la columna ELECCION"),
        (b"ELECCION,PAN\n", "debe estar la columna CLAVE_ACTA"),
        (b"ELECCION,CLAVE_ACTA,PAN,pan\n", "una columna repetida"),
        (b'ELECCION,CLAVE_ACTA,"PAN\n', "línea 1: no se puede separar en columnas: hay una comilla de más o una sin"),
        (b'ELECCION,CLAVE_ACTA,PAN\n"a\nb",c,1\nx,"y"z,2\n', "línea 4: no se puede separar en columnas"),
        (
            b"ELECCION,CLAVE_ACTA,PAN\n" + b"x" * 140_000,
            "línea 2: no se puede separar en columnas: una celda tiene más",
        ),
        (b"ELECCION,CLAVE_ACTA,,PAN\n", "o sin nombre"),
        (b"ELECCION,CLAVE_ACTA\0\n", "no es de texto"),
        (b"ELECCION,CLAVE_ACTA\n" + b"\n" * 20_001, "pasa de 20000 líneas"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_in_one_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(Rejected, match=sentence):
        read_capture_table(content)


def test_a_constancia_shows_the_sticker_of_its_acta_and_is_always_the_same(tmp_path: Path) -> None:
    page = constancia(ACTA, site="CATD-1", source="ab" * 32, line=7)
    assert page == constancia(ACTA, site="CATD-1", source="ab" * 32, line=7)
    assert page != constancia(ACTA, site="CATD-1", source="ab" * 32, line=8)
    path = tmp_path / "constancia.pdf"
    path.write_bytes(page)
    [read] = scan_files([path])
    assert read["text"] == ACTA["qr"]
