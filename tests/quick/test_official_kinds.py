"""Kinds of official files that institutes and their programs make: each is read, or refused with the line of the person.

The kinds are those of `test_field_cases.py`, in other spellings: dates, numbers, types of casilla, words, columns,
rows that are no acta, candidates and ZIP files.
"""

import zipfile
from collections.abc import Mapping
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest

from prep.domain.entry import Mark
from prep.domain.rules import SIN_ACTA, Observation, read_rules, rule_set
from prep.domain.tally import SUMMARY_NAMES
from prep.errors import Rejected
from prep.files.official import Status, read_official
from prep.files.official_words import casilla_type, fold, understand
from prep.files.published_zip import open_published
from prep.rehearsal.replay import compare, examine
from prep.rehearsal.replay_source import ReplaySource, read_source
from tests.quick.test_official_reader import COLUMNS, OUTSIDE, ROW, VOTES, one, read, text

NO_KEY: Final = {"CLAVE_CASILLA": "-", "CLAVE_ACTA": "-"}


def source(
    folder: Path, content: str | bytes, *, people: bytes | None = None, skip_unknown: bool = False
) -> ReplaySource:
    results, candidates = folder / "resultados.csv", folder / "gente.csv"
    results.write_bytes(content.encode() if isinstance(content, str) else content)
    if people is not None:
        candidates.write_bytes(people)
    given = candidates if people is not None else None
    return read_source(results, rules="ine-2023", candidates=given, skip_unknown=skip_unknown)


def renamed(name: str, other: str) -> str:
    return text(columns=[other if column == name else column for column in COLUMNS])


# --- dates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "moment"),
    [
        ("19/02/2023 07:13:28 p.\u00a0m.", "2023-02-19T19:13:28"),
        ("19/02/2023 7:13 de la noche", "2023-02-19T19:13:00"),
        ("19-feb-2023 19:13", "2023-02-19T19:13:00"),
        ("19/FEB/23 19:13:28", "2023-02-19T19:13:28"),
        ("19 de febrero de 2023 19:13 hrs", "2023-02-19T19:13:00"),
        ("19.02.2023 19.13", "2023-02-19T19:13:00"),
        ('"19/02/2023, 19:13"', "2023-02-19T19:13:00"),
        ("19/02/2023 - 19:13", "2023-02-19T19:13:00"),
        ("19/02/2023 24:00:00", "2023-02-20T00:00:00"),
        ("2023-02-20T01:13:28Z", "2023-02-19T19:13:28"),
        ("2023-02-20T01:13:28.5+00:00", "2023-02-19T19:13:28"),
        ("2023-02-19 18:13:28 -0700", "2023-02-19T19:13:28"),
        ("19/02/2023 19:13:28 (UTC-6)", "2023-02-19T19:13:28"),
    ],
)
def test_a_date_and_its_hour_in_other_spellings(printed: str, moment: str) -> None:
    acopio = one(FECHA_HORA_ACOPIO=printed).acopio
    assert acopio is not None
    assert acopio.isoformat() == f"{moment}-06:00"


@pytest.mark.parametrize(
    "printed",
    ["19:13 19/02/2023", "19/02/2023 1913", "19/02/2023 19:1", "44976.8", "19/02/2023 24:30", "20230219 1913"],
)
def test_an_hour_that_is_not_understood_is_named_and_not_read_as_midnight(printed: str) -> None:
    file = read(ROW | {"FECHA_HORA_ACOPIO": printed})
    assert file.rows[0].acopio is None
    assert file.notes == (f"columna FECHA_HORA_ACOPIO: no se conoce «{printed}» (línea 8; 1 fila así)",)


def test_a_file_with_the_month_before_the_day_is_read_so_as_a_whole() -> None:
    told = {"FECHA_HORA_CAPTURA": "2/7/2023 22:15:05", "FECHA_HORA_VERIFICACION": "02/19/2023 22:15:25"}
    file = read(ROW | {"FECHA_HORA_ACOPIO": "2/6/2023 19:13:28"} | told)
    row = file.rows[0]
    assert [moment and f"{moment:%Y-%m-%d}" for moment in (row.acopio, row.captura, row.verificacion)] == [
        "2023-02-06",
        "2023-02-07",
        "2023-02-19",
    ]
    assert file.notes == ("fechas: el mes está antes del día",)


@pytest.mark.parametrize(
    "moment", ["02/20/2023 11:05", "20 de febrero de 2023 a las 11:05 horas", "20/02/2023 11:05 (GMT-0600)"]
)
def test_the_hour_of_the_corte_in_other_spellings(moment: str) -> None:
    at = read_official(text(moment=moment).encode()).at
    assert at is not None
    assert (at.isoformat(), at.utcoffset()) == ("2023-02-20T11:05:00-06:00", timedelta(hours=-6))


def test_the_day_of_the_election_above_the_hour_of_the_corte_is_not_that_hour() -> None:
    content = (
        text().replace("2023 11:05", "2023 11:05").replace("\n20/02", "\nJornada del 19 de febrero de 2023\n20/02", 1)
    )
    at = read_official(content.encode()).at
    assert at is not None
    assert at.isoformat() == "2023-02-20T11:05:00-06:00"


@pytest.mark.parametrize("moment", ["31/02/2023 11:05", "20/02/2023 25:00", "11:05 20/02/2023"])
def test_an_hour_of_the_corte_that_is_not_understood_is_refused_with_its_line(moment: str) -> None:
    with pytest.raises(Rejected, match=f"^línea 2: «{moment}» no es una fecha y hora que se entienda"):
        read_official(text(moment=moment).encode())


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["12.0", "12.00", "\u200b12", "12\ufeff", '"12.0"', "'12.0'"])
@pytest.mark.parametrize("column", ["PAN", "TOTAL_BOLETAS_SOBRANTES", "LISTA_NOMINAL", "TOTAL_VOTOS_CALCULADO"])
def test_a_number_in_the_dress_of_a_program(column: str, cell: str) -> None:
    row = one(**{column: cell})
    assert 12 in {*row.cells, *row.header, row.lista_nominal, row.total_calculado}


@pytest.mark.parametrize(
    "cell", ["12.5", "1E+02", "1.234", "12.000", "+5", "0.5", "½", "1/2", "inf", "１２", "l2", "NULL", "nan"]
)
def test_what_may_mean_another_number_is_refused_with_its_line(cell: str) -> None:
    with pytest.raises(Rejected, match=r"^línea 8, columna PAN: "):
        one(PAN=cell)


@pytest.mark.parametrize(("cell", "field"), [("No legible", Mark.ILEGIBLE), ("—", None), ("–", None), ("--", None)])
def test_a_field_without_a_number_in_other_spellings(cell: str, field: Mark | None) -> None:
    assert one(PAN=cell).cells[0] is field


def test_a_value_of_the_summary_is_a_whole_number_or_is_refused() -> None:
    assert read_official(text().replace(",4779,", ",4779.0,").encode()).summary["ACTAS_REGISTRADAS"] == "4779"
    with pytest.raises(Rejected, match=r"^línea 5, columna TOTAL_VOTOS_C_CS: «590\.396» no es un número"):
        read_official(text().replace("590396", "590.396").encode())


def test_a_name_of_the_summary_that_nobody_knows_is_named_and_its_value_is_not_stated() -> None:
    names = [name.replace("TOTAL_VOTOS_C_CS", "TOTAL_DE_LOS_VOTOS") for name in SUMMARY_NAMES]
    file = read_official(text(names=names).encode())
    assert file.notes == ("resumen: no se conoce TOTAL_DE_LOS_VOTOS; no se compara",)
    assert (tuple(file.summary), file.summary["TOTAL_VOTOS_C_CS"]) == (SUMMARY_NAMES, "")
    caveats = examine(file, rule_set("ine-2023"))
    assert "TOTAL_VOTOS_C_CS" in caveats.unstated
    assert "TOTAL_VOTOS_C_CS" not in {each.what for each in compare(file, file, rule_set("ine-2023"), caveats)}


# --- identity ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("B", ("B", None, None)),
        ("Básica", ("B", None, None)),
        ("B1", ("B", 1, None)),
        ("C01", ("C", 1, None)),
        ("Contigua 12", ("C", 12, None)),
        ("E1C2", ("E", 1, 2)),
        ("Extraordinaria 1 Contigua 2", ("E", 1, 2)),
        ("S1", ("S", 1, None)),
        ("MEC", ("M", None, None)),
        ("VMRE", ("M", None, None)),
        ("VA", ("A", None, None)),
        ("VPP", ("V", None, None)),
        ("B1C1", ("B1C1", None, None)),
        ("ZZ", ("ZZ", None, None)),
    ],
)
def test_a_type_of_casilla_in_other_spellings(cell: str, meant: tuple[str, int | None, int | None]) -> None:
    found = casilla_type(cell)
    assert (found.tipo, found.numero, found.ext_contigua) == meant


def test_the_numbers_beside_a_type_are_used_if_their_own_columns_say_nothing() -> None:
    row = one(**NO_KEY, TIPO_CASILLA="E1C2", ID_CASILLA="", EXT_CONTIGUA="-")
    assert row.clave == "280749E0102"
    assert one(**NO_KEY, TIPO_CASILLA="C", ID_CASILLA="C03").clave == "280749C0300"


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("TIPO_CASILLA", "ZZ", "«ZZ» no es un tipo de casilla que se conozca"),
        ("TIPO_CASILLA", "", "falta el tipo de casilla"),
        ("SECCION", "sec 749", "«sec 749» no es un número"),
        ("ID_CASILLA", "uno", "«uno» no es un número"),
        ("EXT_CONTIGUA", "x", "«x» no es un número"),
        ("ID_ENTIDAD", "TAMAULIPAS", "«TAMAULIPAS» no es un número"),
        ("ID_ENTIDAD", "", "falta el número de la entidad"),
    ],
)
def test_a_row_that_names_no_casilla_is_refused_or_left_out_and_listed(
    column: str, cell: str, said: str, tmp_path: Path
) -> None:
    content = text(ROW, ROW | NO_KEY | {"SECCION": "0750"} | {column: cell})
    with pytest.raises(Rejected, match=f"^línea 9, columna {column}: {said}"):
        read_official(content.encode())
    read = source(tmp_path, content, skip_unknown=True)
    [reason] = read.caveats.lost.values()
    assert reason.endswith(f"línea 9, columna {column}: {said}")
    assert [casilla.clave for casilla in read.catalog.casillas] == ["280749B0100"]


def test_sums_sentences_and_headers_between_the_rows_are_no_actas(tmp_path: Path) -> None:
    total = dict.fromkeys(COLUMNS, "") | dict.fromkeys(VOTES, "9") | {"CLAVE_CASILLA": "TOTAL"}
    sentence = dict.fromkeys(COLUMNS, "") | {"CLAVE_CASILLA": "Fuente: el instituto"}
    content = text(dict(zip(COLUMNS, COLUMNS, strict=True)), ROW, total, sentence)
    with pytest.raises(Rejected, match=r"^línea 10, columna "):
        read_official(content.encode())
    read = source(tmp_path, content, skip_unknown=True)
    assert [sheet.key for sheet in read.sheets] == ["280749B01002"]
    assert len(read.caveats.lost) == 2
    assert "línea 8: repite el encabezado; no se usa" in read.caveats.notes


@pytest.mark.parametrize("word", ["S", "N", "TRUE", "1.0", "Contabilizada", "No contabilizada", "VERDADERO"])
def test_contabilizada_in_other_words(word: str) -> None:
    assert one(CONTABILIZADA=word).contabilizada == ("0" if word.startswith("N") else "1")


def test_without_a_lista_nominal_nobody_knows_the_limit() -> None:
    assert (
        "no dice su lista nominal"
        in examine(read(ROW | {"LISTA_NOMINAL": "-"}), rule_set("ine-2023")).lost["280749B01002"]
    )
    nobody = examine(read(ROW | {"LISTA_NOMINAL": "0", "REPRESENTANTES_PP_CI": "2"}), rule_set("ine-2023"))
    assert nobody.broken == {"280749B01002": "contabilizada con 11 votos; su límite es 2"}
    with pytest.raises(Rejected, match="línea 7, columna LISTA_NOMINAL: falta la columna"):
        read_official(renamed("LISTA_NOMINAL", "PADRON").encode())


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "codes"),
    [
        ("Sin acta PREP", set(SIN_ACTA)),
        ("SIN ACTA DE ESCRUTINIO Y CÓMPUTO (2)", {Observation.SIN_ACTA_2}),
        ("Excede LN", {Observation.EXCEDE}),
        ("Excede L.N.", {Observation.EXCEDE}),
        ("Votos mayores a la lista nominal", {Observation.EXCEDE}),
        ("Ｉｌｅｇｉｂｌｅ", {Observation.ILEGIBLE}),
        ("Ilegi\u0301ble", {Observation.ILEGIBLE}),
        ("Sobre vacío", set()),
        ("Paquete en blanco", set()),
        ("Sin acta por robo", set()),
    ],
)
def test_more_texts_are_understood_or_refused(printed: str, codes: set[Observation]) -> None:
    assert understand(printed) == codes


@pytest.mark.parametrize("printed", ["NULL", "nan", "None", "N/D", "Ninguna.", "Acta sin observaciones", "{}", "—"])
def test_words_for_no_observation(printed: str) -> None:
    assert one(OBSERVACIONES=printed).observations == ()


def test_an_observation_of_every_field_beside_numbers_is_lost_by_its_key() -> None:
    cells = {"PAN-PRI": "0", "NO_REGISTRADAS": "0", "OBSERVACIONES": "Todos los campos ilegibles", "CONTABILIZADA": "0"}
    for said in ({}, {"PAN-PRI": "Ilegible"}):
        assert "lo tecleado no está" in examine(read(ROW | cells | said), rule_set("ine-2023")).lost["280749B01002"]


@pytest.mark.parametrize("cells", [{"OBSERVACIONES": "Sin acta(1)"}, {"OBSERVACIONES": "", "NULOS": "Sin acta"}])
def test_votes_of_a_row_without_an_acta_are_not_lost(cells: dict[str, str], tmp_path: Path) -> None:
    content = text(ROW | cells | {"CONTABILIZADA": "0"})
    with pytest.raises(Rejected, match=r"^línea 8, columna \w+: .*la fila.*votos"):
        read_official(content.encode())
    assert list(source(tmp_path, content, skip_unknown=True).caveats.lost) == ["280749B01002"]


# --- lines and columns ------------------------------------------------------------------------------------------------


def test_a_row_is_named_by_the_line_on_which_it_begins() -> None:
    content = text(ROW | {"ENTIDAD": '"TAMAU\nLIPAS"'}, ROW | NO_KEY | {"SECCION": "0750", "PAN": "doce"})
    assert read(ROW | {"ENTIDAD": '"TAMAU\nLIPAS"'}).rows[0].line == 8
    with pytest.raises(Rejected, match=r"^línea 10, columna PAN"):
        read_official(content.encode())


def test_a_null_character_is_refused_on_every_line() -> None:
    with pytest.raises(Rejected, match=r"^línea 8: contiene un carácter nulo"):
        read_official(text(ROW | {"TIPO_DOCUMENTO": "Acta\0PREP"}).encode())


@pytest.mark.parametrize(
    "name", ["PAN/PRI", "PAN + PRI", "PAN - PRI", "COALICION_PAN_PRI", "Coalición PAN PRI", "PAN–PRI"]
)
def test_a_combination_in_other_spellings(name: str) -> None:
    assert read_official(renamed("PAN-PRI", name).encode()).vote_columns == VOTES


@pytest.mark.parametrize("name", ["NO_REG", "VOTOS_CNR", "CAND_NO_REG", "CANDIDATURA_NO_REGISTRADA", "No registrados"])
def test_candidates_who_are_not_registered_are_no_party(name: str) -> None:
    assert read_official(renamed("NO_REGISTRADAS", name).encode()).vote_columns == VOTES


@pytest.mark.parametrize(
    ("name", "other"),
    [("NULOS", "TOTAL_NULOS"), ("SECCION", "ID_SECCION"), ("CONTABILIZADA", "CONTABILIZADO"), ("LISTA_NOMINAL", "LN"),
     ("CODIGO_INTEGRIDAD", "SHA-256"), ("CLAVE_CASILLA", "CVE_CASILLA")],
)  # fmt: skip
def test_more_names_of_columns_are_known(name: str, other: str) -> None:
    file = read_official(renamed(name, other).encode())
    assert (file.columns, file.notes) == (COLUMNS, ())


@pytest.mark.parametrize("name", ["", "=PAN", "A" * 61, "PAN\\PRI"])
def test_a_vote_column_that_cannot_be_an_option_is_refused_with_its_line(name: str) -> None:
    with pytest.raises(Rejected, match=r"^línea 7"):
        read_official(renamed("PAN-PRI", name).encode())


# --- candidates and ZIP files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"28,XYZ,Ana", "su partido no está en la boleta de su contienda"),
        (b"9,PAN,Ana", "su territorio no está en los resultados"),
    ],
)
def test_a_candidate_who_is_not_used_is_named(line: bytes, why: str, tmp_path: Path) -> None:
    people = b"ID_ESTADO,PARTIDO_CI,CANDIDATURA\n28,PRI,Eva\n" + line + b"\n"
    read = source(tmp_path, text(), people=people)
    assert read.caveats.notes == (f"candidaturas, línea 3: {why}; no se usa (1 fila así)",)


def test_an_empty_candidates_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"^gente\.csv: no es un archivo de candidaturas"):
        source(tmp_path, text(), people=b"")


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


RESULTS: Final = text().encode()
PEOPLE: Final = b"ID_ESTADO,PARTIDO_CI,CANDIDATURA\n28,PAN,Ana\n"


@pytest.mark.parametrize(
    ("files", "used"),
    [
        ({"a.csv": RESULTS, "._a.csv": RESULTS, "PREP/__MACOSX/._b.csv": RESULTS}, ("resultados: a.csv",)),
        ({"res/a.CSV": RESULTS, "gente/b.csv": PEOPLE}, ("resultados: res/a.CSV", "candidaturas: gente/b.csv")),
        ({"a.tsv": RESULTS.replace(b",", b"\t")}, ("resultados: a.tsv",)),
        ({"datos/resultados": RESULTS}, ("resultados: datos/resultados",)),
    ],
)
def test_zip_files_of_other_programs(files: Mapping[str, bytes], used: tuple[str, ...]) -> None:
    assert open_published("x.zip", zipped(files)).used == used


def test_a_workbook_is_named_as_one() -> None:
    with pytest.raises(Rejected, match=r"^x\.xlsx: es un libro de Excel; guárdelo como «CSV UTF-8»"):
        open_published("x.xlsx", zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""}))


def test_fuera_rows_need_no_identity() -> None:
    nowhere = dict.fromkeys(COLUMNS, "-") | {"OBSERVACIONES": "Fuera de Catálogo", "CONTABILIZADA": "2"}
    statuses = [row.status for row in read(ROW, nowhere, OUTSIDE | {"TIPO_CASILLA": "ZZ"}).rows]
    assert statuses == [Status.CAPTURADA, Status.FUERA_DE_CATALOGO, Status.FUERA_DE_CATALOGO]


@pytest.mark.parametrize("printed", ["N/A", "Ninguna", "NULL", "-"])
def test_a_text_of_the_rules_is_read_before_any_other_meaning(printed: str) -> None:
    texts = {fold(printed): frozenset({Observation.EXCEDE})}
    assert read_official(text(ROW | {"OBSERVACIONES": printed}).encode(), texts=texts).rows[0].observed == {
        Observation.EXCEDE
    }


@pytest.mark.parametrize(
    "printed",
    [
        "=Ilegible",
        "@Ilegible",
        "Ilegible\\\\",
        "Ilegible" + " o no" * 60,
        'Ilegible ""x""',
        "ILEGIBLE\u202e x",
        "Excede LN e ilegible",
    ],
)
def test_a_text_that_no_rule_set_can_hold_is_proposed_as_one_that_can(printed: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text(ROW | {"OBSERVACIONES": f'"{printed}"'}))
    proposal = read_source(tmp_path / "a.csv", rules="infer").proposal
    assert proposal is not None
    assert read_rules("borrador.toml", proposal.toml().encode()).digest == proposal.rules.digest


def test_a_territory_that_only_its_institute_knows_keeps_its_names() -> None:
    columns = [{"ID_DISTRITO_FEDERAL": "ID_REGION", "DISTRITO_FEDERAL": "REGION"}.get(name, name) for name in COLUMNS]
    file = read_official(text(columns=columns).encode())
    assert (file.rows[0].distrito, file.rows[0].distrito_nombre, file.notes) == (1, "Nuevo Laredo", ())
