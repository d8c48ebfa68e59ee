"""The catalogue loader: the catalogue of a good folder, and the sentence for every kind of bad file."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity import layout
from prep.domain.catalog import Nivel, TipoCasilla, read_identity
from prep.files.catalog_columns import COLUMNS
from prep.files.catalog_elections import FOLDERS
from prep.files.catalog_files import CatalogErrors, load_catalog, write_catalog
from prep.files.csv_tables import integer

Row = tuple[object, ...]
Tables = dict[str, list[Any]]

MESA = (9, 1, 5, 2)
"""Entidad, distrito federal, distrito local and municipio of the casillas below."""


def election(code: str = "SEN", nivel: str = "entidad", *, candidatura: str = "1", ambito: str = "federal") -> Row:
    return (code, f"Elección {code}", 2024, ambito, nivel, "ine-2023", candidatura, "2", "2EMR", "1", "02", "04", "")


def casilla(seccion: object = 1, tipo: str = "B", numero: object = 1, *, lista: object = 500, **more: object) -> Row:
    cells = dict(
        zip(COLUMNS["casillas.csv"], (*MESA, seccion, tipo, numero, 0, 1, lista, 10, *[None] * 5), strict=True)
    )
    return tuple((cells | more).values())


def ballot(code: str = "SEN") -> list[Row]:
    return [
        (code, 1, "PAN", "partido", "", "Acción"),
        (code, 2, "PRI", "partido", "", ""),
        (code, 3, "MC", "partido", "", ""),
        (code, 4, "PAN-PRI", "coalicion", "PRI PAN", ""),
        (code, 5, "CAND_IND_1", "independiente", "", ""),
        (code, 6, "NO_REGISTRADAS", "no_registradas", "", ""),
        (code, 7, "NULOS", "nulos", "", ""),
    ]


def tables() -> Tables:
    return {
        "elecciones.csv": [election()],
        "territorios.csv": [
            ("entidad", 9, 9, "Ciudad de México"),
            ("distrito_federal", 9, 1, "Uno"),
            ("distrito_federal", 9, 2, "Dos"),
            ("distrito_local", 9, 5, "Cinco"),
            ("municipio", 9, 2, "Azcapotzalco"),
        ],
        "casillas.csv": [casilla(), casilla(numero=1, tipo="C"), casilla(seccion=2)],
        "opciones.csv": ballot(),
        "candidaturas.csv": [("SEN", 9, 0, "PAN PRI PAN-PRI", "Ana Ruiz", "")],
    }


def told(files: Mapping[str, bytes]) -> list[str]:
    with pytest.raises(CatalogErrors) as caught:
        load_catalog(files)
    return [str(finding) for finding in caught.value.findings]


def wrong(**changed: Sequence[Row]) -> list[str]:
    return told(write_catalog(tables() | {f"{name}.csv": list(rows) for name, rows in changed.items()}))


def edited(name: str, edit: Callable[[bytes], bytes]) -> dict[str, bytes]:
    files = write_catalog(tables())
    return files | {name: edit(files[name])}


# --- the catalogue of a good folder -----------------------------------------------------------------------------------


def test_one_acta_for_each_casilla_with_its_key_and_sticker() -> None:
    catalog = load_catalog(write_catalog(tables()))
    assert [acta.clave for acta in catalog.actas] == ["090001B010002", "090001C010002", "090002B010002"]
    assert catalog.actas[1].qr == "9|1|2|1|1|C|0|1"
    assert [(acta.id, acta.orden) for acta in catalog.actas] == [(1, 0), (2, 1), (3, 2)]
    assert {acta.digitos for acta in catalog.actas} == {3}
    for acta in catalog.actas:
        identity = read_identity(acta.qr)
        assert identity is not None
        assert identity[0].text == acta.qr
        assert catalog.casillas[acta.casilla - 1].clave == acta.clave[:11]


def test_especial_and_foreign_casillas_have_their_own_acta_type_and_suffix() -> None:
    rows = [
        casilla(),
        casilla(tipo="S", lista=0, boletas_maximas="1,000"),
        casilla(seccion="", tipo="M", distrito_federal="N/A"),
    ]
    catalog = load_catalog(write_catalog(tables() | {"casillas.csv": rows}))
    foreign, basica, especial = catalog.actas
    assert (foreign.clave, foreign.tipo_acta, foreign.qr) == ("090000M010002", "1", "9|0|1|0|1|M|0|1")
    assert (basica.clave, basica.tipo_acta) == ("090001B010002", "2")
    assert (especial.clave, especial.tipo_acta, especial.boletas_maximas) == ("090001S010004", "2EMR", 1000)


def test_foreign_vote_is_first_then_order_by_district_section_type_number_and_extension() -> None:
    rows = [
        casilla(3, "E", 1, ext_contigua=1),
        casilla(3, "C", 2),
        casilla(3, "C", 10),
        casilla(1, distrito_federal=2),
        casilla(3),
        casilla("", "M", 1, distrito_federal=2),
    ]
    catalog = load_catalog(write_catalog(tables() | {"casillas.csv": rows}))
    assert [acta.clave[2:11] for acta in catalog.actas] == [
        "0000M0100",
        "0003B0100",
        "0003C0200",
        "0003C1000",
        "0003E0101",
        "0001B0100",
    ]


def test_without_contiendas_each_territory_with_casillas_is_a_contest_with_the_whole_ballot() -> None:
    rows = [casilla(), casilla(seccion=2, distrito_federal=2)]
    changed = {"elecciones.csv": [election(nivel="distrito")], "casillas.csv": rows, "candidaturas.csv": []}
    catalog = load_catalog(write_catalog(tables() | changed))
    assert [(one.id, one.entidad, one.territory, one.name) for one in catalog.contests] == [
        (1, 9, 1, "Uno"),
        (2, 9, 2, "Dos"),
    ]
    assert {one.ballot for one in catalog.contests} == {tuple(range(7))}
    assert [acta.contest for acta in catalog.actas] == [1, 2]


def test_three_elections_of_one_night_share_casillas_but_not_contests() -> None:
    kinds = [("PRES", "pais", "1"), ("SEN", "entidad", "2"), ("DIP", "distrito", "3"), ("ALC", "municipio", "4")]
    changed = {
        "elecciones.csv": [election(code, nivel, candidatura=qr) for code, nivel, qr in kinds],
        "opciones.csv": [row for code, _, _ in kinds for row in ballot(code)],
        "casillas.csv": [casilla(), casilla(seccion=2, elecciones="SEN ALC")],
    }
    catalog = load_catalog(write_catalog(tables() | changed))
    assert [(one.entidad, one.territory) for one in catalog.contests] == [(0, 0), (9, 0), (9, 1), (9, 2)]
    assert catalog.contests[0].name == "Elección PRES"
    assert [(acta.election, acta.clave[:11], acta.orden) for acta in catalog.actas] == [
        (1, "090001B0100", 0),
        (2, "090001B0100", 0),
        (2, "090002B0100", 1),
        (3, "090001B0100", 0),
        (4, "090001B0100", 0),
        (4, "090002B0100", 1),
    ]
    assert [one.nivel for one in catalog.elections][-1] == Nivel.MUNICIPIO


def test_a_stated_contest_has_its_own_ballot_in_the_order_of_the_columns() -> None:
    changed = {"contiendas.csv": [("SEN", 9, 0, "Capital", "NULOS PRI PAN PAN-PRI", None)]}
    (contest,) = load_catalog(write_catalog(tables() | changed)).contests
    assert contest.name == "Capital"
    assert contest.ballot == (0, 1, 3, 6)


def test_a_combination_has_its_parties_in_ballot_order() -> None:
    (sen,) = load_catalog(write_catalog(tables())).elections
    assert sen.codes == ("PAN", "PRI", "MC", "PAN-PRI", "CAND_IND_1", "NO_REGISTRADAS", "NULOS")
    assert sen.options[3].parties == (0, 1)
    assert (sen.options[0].name, sen.options[1].name) == ("Acción", "PRI")


def test_the_order_of_the_ballot_is_the_column_orden_and_not_that_of_the_lines() -> None:
    catalog = load_catalog(write_catalog(tables() | {"opciones.csv": ballot()[::-1]}))
    assert catalog.elections[0].codes == ("PAN", "PRI", "MC", "PAN-PRI", "CAND_IND_1", "NO_REGISTRADAS", "NULOS")


def test_homonymous_candidates_are_two_candidacies() -> None:
    rows = [("SEN", 9, 0, "PAN PRI PAN-PRI", "Ana Ruiz", ""), ("SEN", 9, 0, "MC", "Ana Ruiz", "")]
    catalog = load_catalog(write_catalog(tables() | {"candidaturas.csv": rows}))
    assert [one.options for one in catalog.candidacies] == [(0, 1, 3), (2,)]
    assert len({one.propietario for one in catalog.candidacies}) == 1


def test_two_formulas_of_one_list_share_its_options() -> None:
    rows = [("SEN", 9, 0, "PAN", "Ana Ruiz", "Eva Paz"), ("SEN", 9, 0, "PAN", "Luz Mora", "")]
    assert len(load_catalog(write_catalog(tables() | {"candidaturas.csv": rows})).candidacies) == 2


def test_actas_csv_changes_one_acta_and_no_other() -> None:
    changed = {"actas.csv": [("SEN", "'090001C0100'", "5", None, 600, None, None, 4)]}
    before, one, after = load_catalog(write_catalog(tables() | changed)).actas
    assert (one.tipo_acta, one.clave, one.qr) == ("5", "090001C01005", "9|1|5|1|1|C|0|1")
    assert (one.lista_nominal, one.representantes, one.digitos) == (600, 10, 4)
    assert {before.tipo_acta, after.tipo_acta, str(before.digitos)} == {"2", "3"}


def test_claves_and_numbers_are_read_even_if_excel_changed_them() -> None:
    rows = [casilla(seccion='="0001"', numero="'01'", lista="1,234", municipio="'002")]
    catalog = load_catalog(write_catalog(tables() | {"casillas.csv": rows}))
    assert (catalog.actas[0].clave, catalog.actas[0].lista_nominal) == ("090001B010002", 1234)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_files_with_any_line_end_and_with_or_without_byte_order_mark_are_read(end: bytes, mark: bytes) -> None:
    files = {
        name: mark + content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", end)
        for name, content in write_catalog(tables()).items()
    }
    assert len(load_catalog(files).actas) == 3


def test_the_digest_is_that_of_the_published_list_and_changes_with_any_byte_of_any_file() -> None:
    written = write_catalog(tables())
    catalog = load_catalog(written)
    listed = catalog.published["SHA256SUMS"]
    assert catalog.digest == hashlib.sha256(listed).hexdigest()
    lines = [line.split("  ") for line in listed.decode().splitlines()]
    assert {name: digest for digest, name in lines} == {
        name: hashlib.sha256(content).hexdigest() for name, content in catalog.published.items() if name != "SHA256SUMS"
    }
    # The institute's own files are not published; their digests are.
    told = json.loads(catalog.published["catalogo.json"])["fuente"]
    assert told == {name: hashlib.sha256(content).hexdigest() for name, content in written.items()}
    digests = {load_catalog({**written, name: content + b"\r\n"}).digest for name, content in written.items()}
    assert len(digests | {catalog.digest}) == len(written) + 1


def test_an_expected_acta_has_the_cells_of_its_row() -> None:
    """Foreign vote belongs to no district and no sección; a casilla without lista nominal has a maximum of ballots."""
    abroad = casilla(seccion=0, tipo="M", lista=0, distrito_federal=0, distrito_local=0, municipio=0, boletas_maximas=9)
    catalog = load_catalog(write_catalog(tables() | {"casillas.csv": [casilla(seccion=7), abroad]}))
    head, *lines = catalog.published["actas_SEN.csv"].decode("utf-8-sig").split("\r\n")
    assert head.startswith("CLAVE_CASILLA,CLAVE_ACTA,ID_ENTIDAD,ENTIDAD,ID_DISTRITO_FEDERAL,DISTRITO_FEDERAL,SECCION,")
    assert head.endswith(",TIPO_ACTA,LISTA_NOMINAL,REPRESENTANTES_PP_CI,BOLETAS_MAXIMAS")
    first, second = catalog.actas
    assert lines == [
        f"'{first.clave[:11]}','{first.clave}',9,Ciudad de México,N/A,N/A,N/A,01,M,00,1,{first.tipo_acta},0,10,9",
        f"'{second.clave[:11]}','{second.clave}',9,Ciudad de México,001,Uno,0007,01,B,00,1,{second.tipo_acta},500,10,",
        "",
    ]


# --- the sentences for bad files --------------------------------------------------------------------------------------


def test_every_error_of_every_file_is_in_one_report_with_line_and_column() -> None:
    report = wrong(
        casillas=[casilla(), casilla(seccion=10000), casilla(seccion=3, tipo="Z"), casilla(seccion=4, lista=-5)],
        territorios=[*tables()["territorios.csv"], ("municipio", 9, 3, "=1+1")],
        candidaturas=[("SEN", 9, 0, "PVEM", "Ana", "")],
    )
    assert report == [
        "casillas.csv, línea 3, columna seccion: 10000 no está entre 0 y 9999",
        "casillas.csv, línea 4, columna tipo: «Z» no es ninguno de: B, C, E, S, M, P, V, A, U",
        "casillas.csv, línea 5, columna lista_nominal: -5 no está entre 0 y 9999999 y no puede ser negativo",
        "territorios.csv, línea 7, columna nombre: el texto comienza con «=», que una hoja de cálculo ejecutaría como fórmula",
    ]


def test_the_sentence_of_the_error_holds_the_whole_report() -> None:
    with pytest.raises(CatalogErrors) as caught:
        load_catalog({})
    assert caught.value.sentence.startswith("el catálogo tiene 5 errores; no se cargó nada\ncandidaturas.csv: falta")
    assert caught.value.status == 422


def test_wrong_columns_are_named() -> None:
    files = edited("territorios.csv", lambda text: text.replace(b"tipo,entidad,id", b"tipo,entidad,entidad,clave"))
    assert told(files) == [
        "territorios.csv, línea 1, columna clave: columna desconocida",
        "territorios.csv, línea 1, columna entidad: la columna está repetida",
        "territorios.csv, línea 1, columna id: falta la columna",
        "territorios.csv, línea 2: tiene 4 columnas y el encabezado 5 (también en las líneas 3, 4, 5, 6)",
    ]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            lambda text: b"\xef\xbb\xbf" + text,
            "línea 1: el archivo comienza con dos marcas de orden de bytes (BOM); quite una",
        ),
        (
            lambda text: text.decode("utf-8-sig").encode("latin-1"),
            "línea 2: no está en UTF-8; guárdelo como «CSV UTF-8»",
        ),
        (lambda text: text.replace(b",", b";"), "línea 1: las columnas se separan con coma, no con «;»"),
        (lambda _: b"", "línea 1: el archivo está vacío"),
        (lambda text: text + b'distrito_local,9,7,"Siete', "línea 7: desde aquí no se puede separar en columnas"),
        (lambda text: text + b"municipio,9,3\r\n", "línea 7: tiene 3 columnas y el encabezado 4"),
    ],
)
def test_a_file_that_cannot_be_read_as_csv_gets_a_sentence(edit: Callable[[bytes], bytes], said: str) -> None:
    assert any(sentence.startswith(f"territorios.csv, {said}") for sentence in told(edited("territorios.csv", edit)))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("imagenes", "«imagenes» es una carpeta de lo publicado; la elección necesita otro código"),
        ("Seccion", "«Seccion» es una carpeta de lo publicado; la elección necesita otro código"),
        ("DIP.LOC", "«DIP.LOC»: el código de una elección no lleva puntos"),
    ],
)
def test_an_election_does_not_take_the_place_of_other_published_files(code: str, said: str) -> None:
    folders = {layout.CATALOGUE, layout.CHANGES, layout.CORTES, layout.IMAGES, layout.LOG, layout.SECTIONS, layout.ZIPS}
    assert folders | {layout.SCHEMAS} == FOLDERS
    files = edited("elecciones.csv", lambda text: text.replace(b"SEN,", f"{code},".encode(), 1))
    assert any(sentence.startswith("elecciones.csv, ") and sentence.endswith(said) for sentence in told(files))


def test_an_unknown_file_is_reported() -> None:
    (sentence,) = told(write_catalog(tables()) | {"casilla.csv": b""})
    assert sentence.startswith("casilla.csv: no es un archivo del catálogo")


def test_the_same_casilla_twice_names_the_first_line() -> None:
    assert wrong(casillas=[casilla(), casilla(2), casilla("0001", numero="01")]) == [
        "casillas.csv, línea 4, columna numero: la casilla está repetida: ya está en la línea 2"
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            casilla(distrito_federal=7),
            "columna distrito_federal: distrito federal 7 de la entidad 9 no está en territorios.csv",
        ),
        (casilla(entidad=10), "columna entidad: entidad 10 no está en territorios.csv"),
        (casilla(seccion=0), "columna seccion: una casilla de tipo B pertenece a una sección"),
        (
            casilla(lista=0, boletas_maximas=500),
            "columna lista_nominal: una casilla de tipo B con lista nominal 0 no tiene quién vote: ponga su lista, o boletas_maximas 0",
        ),
        (
            casilla(lista=0),
            "columna lista_nominal: una casilla de tipo B con lista nominal 0 no tiene quién vote: ponga su lista, o boletas_maximas 0",
        ),
        (casilla(lista="1.5"), "columna lista_nominal: «1.5» no es un número entero"),
        (casilla(lista="٥٠٠"), "columna lista_nominal: «٥٠٠» no es un número entero"),
        (casilla(lista=""), "columna lista_nominal: falta el número"),
        (casilla(numero=100), "columna numero: 100 no está entre 0 y 99"),
        (casilla(ext_contigua=100), "columna ext_contigua: 100 no está entre 0 y 99"),
        (casilla(ubicacion=3), "columna ubicacion: 3 no está entre 1 y 2"),
        (casilla(digitos=9), "columna digitos: 9 no está entre 1 y 7"),
        (casilla(elecciones="SEN GOB"), "columna elecciones: la elección «GOB» no está en elecciones.csv"),
    ],
)
def test_an_impossible_casilla_is_reported(row: Row, said: str) -> None:
    assert wrong(casillas=[casilla(2), row]) == [f"casillas.csv, línea 3, {said}"]


def test_a_casilla_of_types_without_lista_may_have_none_and_no_maximum() -> None:
    rows = [casilla(), casilla(tipo="S", lista=0), casilla(seccion="", tipo="P", lista=0)]
    catalog = load_catalog(write_catalog(tables() | {"casillas.csv": rows}))
    assert {acta.boletas_maximas for acta in catalog.actas} == {None}


def test_a_casilla_whose_contest_is_missing_is_reported() -> None:
    changed: Tables = {"elecciones.csv": [election(nivel="distrito")], "candidaturas.csv": []}
    rows = [casilla(), casilla("", "M", distrito_federal=0)]
    assert told(write_catalog(tables() | changed | {"casillas.csv": rows})) == [
        "casillas.csv, línea 3, columna distrito_federal: sin distrito federal no vota en SEN; quite esa elección de la casilla"
    ]
    contests = [("SEN", 9, 1, "", "", None), ("SEN", 9, 2, "", "", None)]
    report = told(write_catalog(tables() | changed | {"contiendas.csv": contests[1:]}))
    assert "SEN no tiene contienda (ni boleta) en distrito federal 1 de la entidad 9" in report[0]
    assert "contiendas.csv, columna territorio: ninguna casilla vota en SEN, Dos" in told(
        write_catalog(tables() | changed | {"contiendas.csv": contests})
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (ballot()[:-1], "columna clase: SEN tiene 0 opciones de clase nulos; debe tener una"),
        (
            [*ballot(), ("SEN", 9, "NUL", "nulos", "", "")],
            "columna clase: SEN tiene 2 opciones de clase nulos; debe tener una",
        ),
        (
            [*ballot(), ("SEN", 9, "NR", "no_registradas", "", "")],
            "SEN tiene 2 opciones de clase no_registradas; a lo más una",
        ),
        (ballot()[5:], "columna clase: SEN no tiene ninguna opción por la que se pueda votar"),
        (
            [*ballot(), ("SEN", 9, "X", "coalicion", "PAN", "")],
            "línea 9, columna partidos: una combinación une al menos dos partidos",
        ),
        (
            [*ballot(), ("SEN", 9, "X", "coalicion", "PAN PT", "")],
            "línea 9, columna partidos: «PT» no es un partido de SEN",
        ),
        (
            [*ballot(), ("SEN", 9, "X", "coalicion", "PAN PAN", "")],
            "línea 9, columna partidos: un partido está repetido",
        ),
        (
            [*ballot(), ("SEN", 9, "X", "coalicion", "PAN PRI", "")],
            "línea 9, columna partidos: es la misma combinación que PAN-PRI",
        ),
        (
            [*ballot(), ("SEN", 9, "X", "partido", "PAN PRI", "")],
            "línea 9, columna partidos: una opción de clase partido no lleva",
        ),
        (
            [*ballot(), ("SEN", 9, "pan", "partido", "", "")],
            "línea 9, columna codigo: la opción está repetida: ya está en la línea 2",
        ),
        ([*ballot(), ("SEN", 1, "PT", "partido", "", "")], "línea 9, columna orden: el orden está repetido"),
        (
            [*ballot(), ("SEN", 9, "SECCION", "partido", "", "")],
            "línea 9, columna codigo: «SECCION» es el nombre de otra columna",
        ),
        ([*ballot(), ("SEN", 9, "P T", "partido", "", "")], "línea 9, columna codigo: «P T» no es un código"),
        (
            [*ballot(), ("GOB", 9, "PT", "partido", "", "")],
            "línea 9, columna eleccion: la elección «GOB» no está en elecciones.csv",
        ),
    ],
)
def test_an_impossible_ballot_is_reported(rows: Sequence[Row], said: str) -> None:
    assert any(
        said in sentence and sentence.startswith("opciones.csv") for sentence in wrong(opciones=rows, candidaturas=[])
    )


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ("PAN PRI", "la boleta no incluye los votos nulos"),
        ("NULOS", "la boleta no tiene ninguna opción por la que se pueda votar"),
        ("PAN PAN-PRI NULOS", "la boleta incluye PAN-PRI sin PRI"),
        ("PAN PAN NULOS", "una opción está repetida"),
        ("PAN PT NULOS", "«PT» no es una opción de SEN"),
    ],
)
def test_a_contest_with_an_impossible_ballot_is_reported(codes: str, said: str) -> None:
    report = told(
        write_catalog(tables() | {"contiendas.csv": [("SEN", 9, 0, "", codes, None)], "candidaturas.csv": []})
    )
    assert report == [f"contiendas.csv, línea 2, columna opciones: {said}"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("SEN", 9, 1, "PAN", "Ana", ""), "columna territorio: SEN no tiene contienda ahí"),
        (("SEN", 9, 0, "PT", "Ana", ""), "columna opciones: «PT» no está en la boleta de esa contienda"),
        (("SEN", 9, 0, "NULOS", "Ana", ""), "columna opciones: los votos de NULOS no cuentan para una candidatura"),
        (("SEN", 9, 0, "", "Ana", ""), "columna opciones: falta al menos una opción"),
        (("SEN", 9, 0, "PAN", "", ""), "columna propietaria: falta el texto"),
        (
            ("SEN", 9, 0, "MC", "Ana\x00", ""),
            "columna propietaria: el texto contiene un carácter que no se permite (U+0000)",
        ),
        (
            ("SEN", 9, 0, "MC", "Ana\u202e", ""),
            "columna propietaria: el texto contiene un carácter que no se permite (U+202E)",
        ),
        (
            ("SEN", 9, 0, "MC", "C:\\x", ""),
            "columna propietaria: el texto contiene un carácter que no se permite (U+005C)",
        ),
        (("SEN", 9, 0, "MC", "x" * 201, ""), "columna propietaria: el texto tiene 201 caracteres; el máximo es 200"),
        (("SEN", 9, 0, "MC", "@SUM(A1)", ""), "columna propietaria: el texto comienza con «@»"),
        (("SEN", 9, 0, "PAN", "Otra", ""), "columna opciones: PAN ya está en otra candidatura de la misma contienda"),
        (("SEN", 9, 0, "PAN PRI PAN-PRI", "Ana Ruiz", ""), "columna propietaria: la candidatura está repetida"),
    ],
)
def test_an_impossible_candidacy_is_reported(row: Row, said: str) -> None:
    report = wrong(candidaturas=[*tables()["candidaturas.csv"], row])
    assert [sentence[: len("candidaturas.csv, línea 3, ") + len(said)] for sentence in report] == [
        f"candidaturas.csv, línea 3, {said}"
    ]


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (5, "ine-1994", "columna reglas: «ine-1994» no es un conjunto de reglas; hay: ine-2019"),
        (3, "estatal", "columna ambito: «estatal» no es ninguno de: federal, local"),
        (6, "Ñ", "columna candidatura: «Ñ» no cabe en el QR"),
        (7, "", "columna tipo_acta: «» no cabe en el QR"),
        (2, "mil", "columna anio: «mil» no es un número entero"),
    ],
)
def test_an_impossible_election_is_reported(place: int, value: str, said: str) -> None:
    row = list(election())
    row[place] = value
    assert any(sentence.startswith(f"elecciones.csv, línea 2, {said}") for sentence in wrong(elecciones=[tuple(row)]))


def test_two_elections_whose_stickers_would_be_equal_are_refused() -> None:
    changed: Tables = {
        "elecciones.csv": [election(), election("DIP", candidatura="01")],
        "opciones.csv": [*ballot(), *ballot("DIP")],
    }
    (sentence,) = told(write_catalog(tables() | changed))
    assert "3 actas de SEN y DIP llevarían el mismo QR (la primera, 090001B010002)" in sentence


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("SEN", "090009B0100", "", "", "", "", "", ""), "la casilla 090009B0100 no está en casillas.csv"),
        (("SEN", "9-1-B", "", "", "", "", "", ""), "«9-1-B» no es una clave de casilla"),
        (
            ("SEN", "090001B0100", "", "", 0, "", "", ""),
            "una casilla de tipo B con lista nominal 0 no tiene quién vote: ponga su lista, o boletas_maximas 0",
        ),
    ],
)
def test_an_impossible_change_of_an_acta_is_reported(row: Row, said: str) -> None:
    assert said in told(write_catalog(tables() | {"actas.csv": [row]}))[0]


def test_a_change_of_an_unexpected_acta_is_reported() -> None:
    rows = [casilla(elecciones="SEN"), casilla(2, elecciones="DIP")]
    changed: Tables = {
        "elecciones.csv": [election(), election("DIP", candidatura="2")],
        "opciones.csv": [*ballot(), *ballot("DIP")],
        "casillas.csv": rows,
        "actas.csv": [("SEN", "090002B0100", "", "", "", "", "", 4)],
    }
    assert told(write_catalog(tables() | changed)) == [
        "actas.csv, línea 2, columna clave_casilla: esa casilla no vota en SEN"
    ]


def test_one_wrong_territory_is_not_reported_again_for_each_of_its_casillas() -> None:
    territories = tables()["territorios.csv"]
    report = wrong(territorios=[*territories[:1], ("distrito_federal", 9, 1, "-Uno"), *territories[2:]])
    assert len(report) == 1


def test_two_casillas_with_wrong_cells_are_not_reported_as_the_same_casilla() -> None:
    report = wrong(casillas=[casilla(), casilla("uno"), casilla("dos")])
    assert [sentence.partition("columna ")[2] for sentence in report] == [
        "seccion: «uno» no es un número entero",
        "seccion: «dos» no es un número entero",
    ]


def test_a_quoted_line_break_in_a_name_is_a_control_character_and_later_lines_keep_their_number() -> None:
    files = edited("territorios.csv", lambda text: text.replace(b"Uno", b'"U\r\nno"').replace(b"Cinco", b"=Cinco"))
    assert [sentence[:34] for sentence in told(files)] == [
        "territorios.csv, línea 3, columna ",
        "territorios.csv, línea 6, columna ",
    ]


@given(
    st.lists(
        st.tuples(st.integers(1, 9999), st.sampled_from("BCES"), st.integers(0, 99), st.integers(0, 99)),
        min_size=1,
        unique=True,
    )
)
def test_every_casilla_becomes_one_acta_and_no_two_stickers_are_equal(own: list[tuple[int, str, int, int]]) -> None:
    rows = [casilla(seccion, tipo, numero, ext_contigua=ext) for seccion, tipo, numero, ext in own]
    catalog = load_catalog(write_catalog(tables() | {"casillas.csv": rows}))
    assert len(catalog.actas) == len(rows) == len({acta.qr for acta in catalog.actas})
    assert {one.clave for one in catalog.casillas} == {acta.clave[:11] for acta in catalog.actas}
    assert [acta.orden for acta in catalog.actas] == list(range(len(rows)))
    assert {one.tipo for one in catalog.casillas} == {TipoCasilla(tipo) for _, tipo, _, _ in own}


@given(st.integers(0, 9_999_999), st.sampled_from(["{:d}", "{:,d}", "'{:d}", "'{:d}'", '="{:d}"', " {:d} ", "{:09d}"]))
def test_a_number_is_read_in_every_form_that_a_spreadsheet_writes(number: int, form: str) -> None:
    assert integer(0, 9_999_999)(form.format(number)) == number


@given(st.text(max_size=12))
def test_a_numeric_cell_is_a_number_in_range_or_a_sentence(text: str) -> None:
    try:
        number = integer(0, 999, blank=0)(text)
    except ValueError as error:
        number, said = 0, str(error)
    else:
        said = ""
    assert 0 <= number <= 999
    assert said.isprintable()


@pytest.mark.parametrize(("stated", "votes"), [(None, 1), (1, 1), (5, 5)])
def test_a_contest_states_how_many_votes_its_ballot_holds(stated: int | None, votes: int) -> None:
    catalog = load_catalog(write_catalog(tables() | {"contiendas.csv": [("SEN", 9, 0, "", None, stated)]}))
    assert [contest.votes_per_ballot for contest in catalog.contests] == [votes]


def test_a_ballot_without_votes_is_reported() -> None:
    [report] = told(write_catalog(tables() | {"contiendas.csv": [("SEN", 9, 0, "", None, 0)]}))
    assert report.startswith("contiendas.csv, línea 2, columna votos_por_boleta: ")
