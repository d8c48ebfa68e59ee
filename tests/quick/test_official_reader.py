"""The reader of official files: the three real ones to the row, and every dialect on a small file of our own."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pytest

from prep.domain.catalog import Ambito
from prep.domain.entry import Mark
from prep.domain.rules import SIN_ACTA, Observation
from prep.domain.tally import SUMMARY_NAMES
from prep.errors import Rejected
from prep.files.official import (
    OfficialFile,
    OfficialRow,
    Status,
    read_official,
)
from prep.files.official_candidates import read_candidates
from prep.files.official_words import combination, understand
from tests.makers.official_files import Official

VALUES = (
    "4778",
    "4779",
    "1",
    "4778",
    "100.0000",
    "4682",
    "97.9907",
    "22.6663",
    "96",
    "2688320",
    "590396",
    "581392",
    "21.9615",
)
IDENTITY = (
    "CLAVE_CASILLA",
    "CLAVE_ACTA",
    "ID_ENTIDAD",
    "ENTIDAD",
    "ID_DISTRITO_FEDERAL",
    "DISTRITO_FEDERAL",
    "SECCION",
    "ID_CASILLA",
    "TIPO_CASILLA",
    "EXT_CONTIGUA",
    "UBICACION_CASILLA",
    "TIPO_ACTA",
)
TOP = ("TOTAL_BOLETAS_SOBRANTES", "TOTAL_PERSONAS_VOTARON", "TOTAL_REP_PARTIDO_CI_VOTARON", "TOTAL_VOTOS_SACADOS")
VOTES = ("PAN", "PRI", "PAN-PRI", "NO_REGISTRADAS", "NULOS")
BEHIND = (
    "TOTAL_VOTOS_ASENTADO",
    "TOTAL_VOTOS_CALCULADO",
    "LISTA_NOMINAL",
    "REPRESENTANTES_PP_CI",
    "OBSERVACIONES",
    "CONTABILIZADA",
    "MECANISMOS_TRASLADO",
    "CODIGO_INTEGRIDAD",
    "FECHA_HORA_ACOPIO",
    "FECHA_HORA_CAPTURA",
    "FECHA_HORA_VERIFICACION",
    "ORIGEN",
    "DIGITALIZACION",
    "TIPO_DOCUMENTO",
    "COTEJADA",
)
COLUMNS = (*IDENTITY, *TOP, *VOTES, *BEHIND)
ROW = dict(
    zip(
        COLUMNS,
        [
            *(
                "'280749B0100'",
                "'280749B01002'",
                "28",
                "TAMAULIPAS",
                "001",
                "Nuevo Laredo",
                "0749",
                "01",
                "B",
                "00",
                "1",
                "2",
            ),
            *("450", "89", "4", "93"),
            *("9", "2", "Sin dato", "Ilegible", "0"),
            *("93", "11", "531", "17", "\"['Ilegible', 'Sin dato']\"", "1", "D", "ab" * 32),
            *("19/02/2023 19:13:28", "19/02/2023 22:15:05", "19/02/2023 22:15:25"),
            *("CASILLA", "Móvil", "Acta PREP", "1"),
        ],
        strict=True,
    )
)
OUTSIDE = dict.fromkeys(COLUMNS, "-") | {
    "ID_ENTIDAD": "28",
    "ID_DISTRITO_FEDERAL": "2",
    "SECCION": "1124",
    "ID_CASILLA": "2",
    "TIPO_CASILLA": "C",
    "EXT_CONTIGUA": "0",
    "UBICACION_CASILLA": "3",
    "TIPO_ACTA": "2",
    "OBSERVACIONES": "Fuera de Catálogo",
    "CONTABILIZADA": "2",
}


def text(
    *rows: dict[str, str],
    columns: Sequence[str] = COLUMNS,
    values: Sequence[str] = VALUES,
    names: Sequence[str] = SUMMARY_NAMES,
    moment: str = "20/02/2023 11:05 (UTC-6)",
) -> str:
    lines = ["Senaduría, elección extraordinaria", moment, "", ",".join(names), ",".join(values), "", ",".join(columns)]
    return "\n".join([*lines, *(",".join(row.values()) for row in rows or (ROW,)), ""])


def read(*rows: dict[str, str]) -> OfficialFile:
    return read_official(text(*rows).encode())


def one(**cells: str) -> OfficialRow:
    return read(ROW | cells).rows[0]


@pytest.fixture(scope="module")
def tamaulipas(official: Official) -> OfficialFile:
    return read_official(official("tamaulipas-2023/TAMPS_SEN_FED_ext_2023.csv").read_bytes())


@pytest.fixture(scope="module")
def quintana_roo(official: Official) -> OfficialFile:
    return read_official(official("quintana-roo-2019/QROO_DIP_LOC_2019.csv").read_bytes())


@pytest.fixture(scope="module")
def puebla(official: Official) -> OfficialFile:
    return read_official(official("puebla-2018/PUE_GOB_2018.csv").read_bytes())


def texts(file: OfficialFile) -> Counter[tuple[str, ...]]:
    return Counter(row.observations for row in file.rows)


def recomputed(file: OfficialFile) -> dict[str, int]:
    """Summary values that follow from the rows alone."""
    counted = [row for row in file.rows if row.contabilizada == "1"]
    return {
        "ACTAS_ESPERADAS": len(file.catalogued),
        "ACTAS_FUERA_CATALOGO": len(file.rows) - len(file.catalogued),
        "ACTAS_CAPTURADAS": sum(row.status is not Status.ESPERADA for row in file.catalogued),
        "ACTAS_CONTABILIZADAS": len(counted),
        "LISTA_NOMINAL_ACTAS_CONTABILIZADAS": sum(row.lista_nominal or 0 for row in counted),
        "TOTAL_VOTOS_C_CS": sum(row.total_calculado or 0 for row in counted),
        "TOTAL_VOTOS_S_CS": sum(row.total_calculado or 0 for row in counted if row.tipo != "S"),
    }


# --- the real files ---------------------------------------------------------------------------------------------------


def test_tamaulipas_to_the_row(tamaulipas: OfficialFile) -> None:
    assert tamaulipas.title == "Elección extraordinaria para la Senaduría del estado de Tamaulipas 2023"
    assert tamaulipas.at == datetime(2023, 2, 20, 11, 5, tzinfo=timezone(timedelta(hours=-6)))
    assert (tamaulipas.offset, tamaulipas.ambito, len(tamaulipas.rows)) == ("UTC-6", Ambito.FEDERAL, 4782)
    assert tuple(tamaulipas.summary) == SUMMARY_NAMES
    assert tamaulipas.summary["PORCENTAJE_PARTICIPACION_CIUDADANA"] == "21.9615"
    assert (
        recomputed(tamaulipas).items()
        <= {name: int(value) for name, value in tamaulipas.summary.items() if "." not in value}.items()
    )
    assert texts(tamaulipas) == {
        (): 3649,
        ("Sin dato",): 937,
        ("Ilegible",): 60,
        ("Sin acta(3)",): 46,
        ("Ilegible", "Sin dato"): 36,
        ("Todos los campos vacíos",): 21,
        ("Excede Lista Nominal",): 16,
        ("Excede Lista Nominal", "Sin dato"): 8,
        ("Todos los campos ilegibles",): 4,
        ("Fuera de Catálogo",): 4,
        ("Excede Lista Nominal", "Ilegible", "Sin dato"): 1,
    }
    foreign, outside = tamaulipas.rows[0], tamaulipas.rows[-1]
    assert (foreign.line, foreign.distrito, foreign.seccion, foreign.tipo_acta) == (8, None, None, "1")
    assert (outside.line, outside.key, outside.hash, outside.acopio) == (4789, "28|2|2048|C|1|0|2", None, None)
    assert set(outside.cells) == {None}


def test_blank_is_not_zero_and_illegible_is_not_blank(tamaulipas: OfficialFile) -> None:
    fields = Counter(row.cells[0] if isinstance(row.cells[0], Mark) else None for row in tamaulipas.rows)
    assert (fields[Mark.SIN_DATO], fields[Mark.ILEGIBLE]) == (30, 25)
    assert all(
        row.total_calculado == sum(cell for cell in row.cells if isinstance(cell, int)) for row in tamaulipas.catalogued
    )


def test_quintana_roo_to_the_row(quintana_roo: OfficialFile) -> None:
    assert quintana_roo.at == datetime(2019, 6, 3, 5, 47, tzinfo=timezone(timedelta(hours=-5)))
    assert (quintana_roo.ambito, len(quintana_roo.rows), len(quintana_roo.vote_columns)) == (Ambito.LOCAL, 2136, 23)
    assert quintana_roo.vote_columns[10:12] == ("PAN-PRD-PESQROO", "PAN-PRD")
    assert quintana_roo.printed_vote_columns[10:12] == ("C_PAN_PRD_PESQROO", "C_PAN_PRD")
    assert quintana_roo.vote_columns[-2:] == ("NO_REGISTRADAS", "NULOS")
    assert (
        recomputed(quintana_roo).items()
        <= {name: int(value) for name, value in quintana_roo.summary.items() if "." not in value}.items()
    )
    assert texts(quintana_roo) == {
        (): 1569,
        ("ALGUN DATO ILEGIBLE O SIN DATO",): 462,
        ("SIN ACTA POR PAQUETE ENTREGADO SIN SOBRE",): 49,
        ("TODOS ILEGIBLES O SIN DATO",): 30,
        ("SIN ACTA POR PAQUETE NO ENTREGADO",): 26,
    }
    sin_acta = [row for row in quintana_roo.rows if row.status is Status.SIN_ACTA]
    assert (len(sin_acta), sin_acta[0].printed[16], sin_acta[0].cells[0]) == (75, "0", None)
    independent = quintana_roo.vote_columns.index("CAND_IND_2")
    assert {row.distrito for row in quintana_roo.rows if row.cells[independent] is not None} == {14}


def test_puebla_to_the_row(puebla: OfficialFile) -> None:
    assert (len(puebla.rows), len(puebla.vote_columns), puebla.title) == (7548, 42, "GUBERNATURA")
    assert Counter(row.status for row in puebla.rows) == {
        Status.CAPTURADA: 6541,
        Status.SIN_ACTA: 866,
        Status.ESPERADA: 141,
    }
    assert texts(puebla) == {
        (): 6374,
        ("Sin Acta",): 866,
        ("Todos los campos ilegibles",): 187,
        ("Todos los campos vacio",): 103,
        ("Excede Lista Nominal",): 18,
    }
    (broken,) = [row for row in puebla.rows if row.key == "211293C010005"]
    assert (broken.line, broken.contabilizada, broken.total_calculado, broken.observations) == (3613, "0", 350, ())
    assert set(broken.cells) == {Mark.SIN_DATO}
    empty = [row for row in puebla.rows if row.observations == ("Todos los campos vacio",)]
    assert all(set(row.cells) == {Mark.SIN_DATO} for row in empty)
    assert Counter(row.acopio.year for row in puebla.rows if row.acopio) == {2018: 6540, 2017: 1}
    assert {(row.origen, row.digitalizacion) for row in puebla.rows} == {
        ("CATD", "Escáner"),
        ("CASILLA", "Móvil"),
        ("", ""),
    }


def test_the_definitive_count_is_no_prep_file(official: Official) -> None:
    with pytest.raises(Rejected, match="línea 8, columna CONTABILIZADA: falta la columna"):
        read_official(official("tamaulipas-2023/computos/TAMPS_SEN_FED_ext_2023.csv").read_bytes())


def test_the_candidates_of_tamaulipas(official: Official) -> None:
    rows = read_candidates(official("tamaulipas-2023/TAMPS_SEN_FED_ext_Candidaturas_2023.csv").read_bytes())
    assert len(rows) == 11
    assert (rows[-1].code, rows[-1].propietaria, rows[-1].distrito) == ("PT-MORENA", "José Ramón Gómez Leal", None)


def test_the_candidates_of_quintana_roo(official: Official) -> None:
    rows = read_candidates(official("quintana-roo-2019/QROO_DIP_CANDIDATURAS_2019.csv").read_bytes())
    assert len(rows) == 265
    assert {row.distrito for row in rows} == set(range(1, 16))
    assert rows[1].suplente == "JOSE ALBERTO CAHUICH RAMIREZ"
    assert "MAURICIO DELFIN AVENDAÑO" in {row.propietaria for row in rows}


def test_the_candidates_of_puebla(official: Official) -> None:
    rows = read_candidates(official("puebla-2018/PUE_GOB_CANDIDATURAS_2018.csv").read_bytes())
    assert len(rows) == 14
    assert [(row.code, row.propietaria) for row in rows if row.suma] == [
        ("PAN-PRD-MC-CPP-PSI", ""),
        ("PT-MOR-PES", ""),
    ]


# --- dialects ---------------------------------------------------------------------------------------------------------


def test_one_row_of_the_dialect_that_we_write() -> None:
    file = read_official(b"\xef\xbb\xbf" + text(ROW, OUTSIDE).replace("\n", "\r\n").encode())
    row, outside = file.rows
    assert file.title == "Senaduría, elección extraordinaria"
    assert file.vote_columns == VOTES
    assert (row.line, row.key, row.clave_casilla) == (8, "280749B01002", "280749B0100")
    assert (row.entidad, row.distrito, row.seccion, row.numero, row.ext_contigua) == (28, 1, 749, 1, 0)
    assert row.header == (450, 89, 4, 93)
    assert row.cells == (9, 2, Mark.SIN_DATO, Mark.ILEGIBLE, 0)
    assert (row.total_asentado, row.total_calculado, row.lista_nominal, row.representantes) == (93, 11, 531, 17)
    assert row.observations == ("Ilegible", "Sin dato")
    assert (row.contabilizada, row.traslado, row.hash, row.cotejada) == ("1", "D", "ab" * 32, "1")
    assert row.captura == datetime(2023, 2, 19, 22, 15, 5, tzinfo=timezone(timedelta(hours=-6)))
    assert (outside.status, outside.key, outside.clave_acta) == (Status.FUERA_DE_CATALOGO, "28|2|1124|C|2|0|2", "")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_line_ends_and_encodings(end: str, encoding: str) -> None:
    file = read_official(text(ROW, OUTSIDE).replace("\n", end).encode(encoding))
    assert [row.line for row in file.rows] == [8, 9]
    assert file.rows[0].digitalizacion == "Móvil"


@pytest.mark.parametrize(("mark", "lines"), [("|", "sep=|\n"), ("|", ""), (";", ""), ("\t", "")])
def test_delimiters_with_or_without_a_line_that_names_them(mark: str, lines: str) -> None:
    row = ROW | {"OBSERVACIONES": "Ilegible, Sin dato"}
    content = text(row).replace("Ilegible, Sin dato", "\x00").replace(",", mark).replace("\x00", "Ilegible, Sin dato")
    file = read_official((lines + content).encode())
    assert file.rows[0].observations == ("Ilegible", "Sin dato")
    assert file.rows[0].line == 8 + lines.count("\n")


def test_no_blank_line_between_date_and_summary_and_none_before_the_header() -> None:
    assert len(read_official(text().replace("\n\n", "\n").encode()).rows) == 1


def test_a_title_padded_with_empty_cells_by_a_spreadsheet() -> None:
    content = (
        text().replace("(UTC-6)", "(UTC-6),,,,,").replace("Senaduría, elección extraordinaria", '"Senaduría, 2023",,,')
    )
    file = read_official(content.encode())
    assert (file.title, file.offset) == ("Senaduría, 2023", "UTC-6")


@pytest.mark.parametrize("value", ['"2,688,320"', "2688320", "'2688320'", "'2688320", '"=""2688320"""', "2'688'320"])
def test_summary_values_in_any_dress(value: str) -> None:
    values = [*VALUES]
    values[9] = value
    assert read_official(text(values=values).encode()).summary["LISTA_NOMINAL_ACTAS_CONTABILIZADAS"] == "2688320"


@pytest.mark.parametrize("value", ["97.9907%", "97.9907 %", '"97,9907"', "'97.9907'"])
def test_percentages_in_any_dress(value: str) -> None:
    values = [*VALUES]
    values[6] = value
    assert read_official(text(values=values).encode()).summary["PORCENTAJE_ACTAS_CONTABILIZADAS"] == "97.9907"


def test_names_of_the_summary_that_others_use() -> None:
    names = [
        name.replace("FUERA_CATALOGO", "FUERA_DE_CATALOGO").replace("ACTAS_INCON", "ACTAS_CON_INCON")
        for name in SUMMARY_NAMES
    ]
    assert tuple(read_official(text(names=names).encode()).summary) == SUMMARY_NAMES


def test_names_of_columns_that_others_use() -> None:
    others = {
        "ID_ENTIDAD": "ID_ESTADO",
        "ENTIDAD": "ESTADO",
        "ID_DISTRITO_FEDERAL": "ID_DISTRITO",
        "DISTRITO_FEDERAL": "DISTRITO",
        "TOTAL_BOLETAS_SOBRANTES": "NUM_BOLETAS_SOBRANTES",
        "TOTAL_PERSONAS_VOTARON": "TOTAL_CIUDADANOS_VOTARON",
        "TOTAL_VOTOS_SACADOS": "NUM_BOLETAS_EXTRAIDAS",
        "PAN-PRI": "C_PAN_PRI",
        "NO_REGISTRADAS": "NO_REGISTRADOS",
        "TOTAL_VOTOS_CALCULADO": "TOTAL_VOTOS",
        "CODIGO_INTEGRIDAD": "SHA",
        "FECHA_HORA_ACOPIO": "HORA_ACOPIO",
        "COTEJADA": "COTEJO",
    }
    file = read_official(text(columns=[others.get(name, name) for name in COLUMNS]).encode())
    assert file.ambito is Ambito.LOCAL
    assert file.vote_columns == VOTES
    assert file.printed_vote_columns == ("PAN", "PRI", "C_PAN_PRI", "NO_REGISTRADOS", "NULOS")
    assert file.rows[0].header == (450, 89, 4, 93)
    assert (file.rows[0].distrito, file.rows[0].hash, file.rows[0].cotejada) == (1, "ab" * 32, "1")


@pytest.mark.parametrize(
    ("cell", "field"),
    [
        ("0", 0),
        ("007", 7),
        ('"1,234"', 1234),
        ("Sin dato", Mark.SIN_DATO),
        ("SIN DATO", Mark.SIN_DATO),
        ("", Mark.SIN_DATO),
        (" ", Mark.SIN_DATO),
        ("Ilegible", Mark.ILEGIBLE),
        ("ILEGIBLE", Mark.ILEGIBLE),
        ("-", None),
    ],
)
def test_a_vote_field_in_any_spelling(cell: str, field: object) -> None:
    assert one(PAN=cell).cells[0] == field
    assert type(one(PAN=cell).cells[0]) is type(field)


@pytest.mark.parametrize("cell", ["Sin acta", "SIN ACTA", "", "0", "-"])
@pytest.mark.parametrize("observation", ["Sin acta(3)", "SIN ACTA POR PAQUETE NO ENTREGADO", "Sin Acta"])
def test_an_acta_that_nobody_had_holds_no_readings_with_any_print(cell: str, observation: str) -> None:
    row = one(**dict.fromkeys(VOTES, cell), OBSERVACIONES=observation, CONTABILIZADA="0")
    assert row.status is Status.SIN_ACTA
    assert set(row.cells) == {None}
    assert row.printed[COLUMNS.index("PAN")] == cell


def test_a_row_not_captured_yet_and_an_old_fuera_de_catalogo_both_print_a_dash() -> None:
    assert one(CONTABILIZADA="-", OBSERVACIONES="", **dict.fromkeys(VOTES, "-")).status is Status.ESPERADA
    assert one(CONTABILIZADA="-", OBSERVACIONES="Fuera de catálogo").status is Status.FUERA_DE_CATALOGO
    assert one(CONTABILIZADA="-", OBSERVACIONES="", UBICACION_CASILLA="3").status is Status.FUERA_DE_CATALOGO
    assert one(CONTABILIZADA="2", OBSERVACIONES="").status is Status.FUERA_DE_CATALOGO


@pytest.mark.parametrize("said", ["", "-", "N/A"])
def test_votes_of_a_row_that_does_not_say_if_it_counts_are_not_lost(said: str) -> None:
    with pytest.raises(Rejected, match="línea 8, columna CONTABILIZADA: no dice nada, y la fila tiene votos"):
        one(CONTABILIZADA=said, OBSERVACIONES="")
    zeros = dict.fromkeys(VOTES, "0")
    assert one(CONTABILIZADA=said, OBSERVACIONES="", **zeros).status is Status.ESPERADA


@pytest.mark.parametrize(
    ("column", "word"),
    [
        ("ORIGEN", "LUNA"), ("DIGITALIZACION", "Dron"), ("COTEJADA", "9"), ("CODIGO_INTEGRIDAD", "abc"),
        ("FECHA_HORA_ACOPIO", "31/02/2023 25:61:00"), ("FECHA_HORA_CAPTURA", "ayer"), ("UBICACION_CASILLA", "7"),
        ("CLAVE_CASILLA", "28XXXXB0100"), ("ID_DISTRITO_FEDERAL", "uno"),
    ],
)  # fmt: skip
def test_an_unknown_word_that_no_reading_needs_is_named_with_its_line(column: str, word: str) -> None:
    file = read(ROW | {column: word}, ROW | {"CLAVE_CASILLA": "'280749C0300'", "CLAVE_ACTA": "'280749C03002'"})
    assert f"columna {column}: no se conoce «{word}» (línea 8; 1 fila así)" in file.notes


def test_the_notes_of_a_good_file_are_none() -> None:
    assert read(ROW, OUTSIDE).notes == ()


def test_two_actas_of_one_key_are_named() -> None:
    other = ROW | {"CLAVE_CASILLA": "'280749C0300'", "TIPO_CASILLA": "C", "ID_CASILLA": "3"}
    assert "columna CLAVE_ACTA: se repite «280749B01002» (línea 8; 2 filas así)" in read(ROW, other).notes


@pytest.mark.parametrize(
    ("cell", "said"),
    [("x" * 140_000, "una celda tiene más de 131,072 caracteres"), ('"a"b', "hay una comilla de más o una sin cerrar")],
)
def test_a_row_that_cannot_be_separated_is_told_in_spanish_with_its_line(cell: str, said: str) -> None:
    with pytest.raises(Rejected, match=f"línea 8: el renglón no se puede separar en columnas: {said}"):
        read(ROW | {"TIPO_DOCUMENTO": cell})


def test_several_rows_fuera_de_catalogo_of_one_identity_have_keys_of_their_own() -> None:
    keys = [row.key for row in read(OUTSIDE, OUTSIDE, ROW, OUTSIDE).rows]
    assert keys == ["28|2|1124|C|2|0|2", "28|2|1124|C|2|0|2#2", "280749B01002", "28|2|1124|C|2|0|2#3"]


@pytest.mark.parametrize(
    ("printed", "moment"),
    [
        ("19/02/2023 19:13:28", "2023-02-19T19:13:28"),
        ("2023-02-19 19:13:28", "2023-02-19T19:13:28"),
        ("2023/02/19 19:13", "2023-02-19T19:13:00"),
        ("2023-02-19T19:13:28.250", "2023-02-19T19:13:28"),
        ("3/6/2019 5:07", "2019-06-03T05:07:00"),
        ("3/6/2019", "2019-06-03T00:00:00"),
        ("3/6/19 05:07:00 p. m.", "2019-06-03T17:07:00"),
        ("12/6/2019 12:05:00 a.m.", "2019-06-12T00:05:00"),
        ("02/07/0218 04:27", "0218-07-02T04:27:00"),
        ("31/02/2023 10:00", None),
        ("-", None),
        ("", None),
    ],
)
def test_times_in_any_format_are_aware_in_the_offset_of_the_file(printed: str, moment: str | None) -> None:
    acopio = one(FECHA_HORA_ACOPIO=printed).acopio
    assert (acopio and acopio.isoformat()) == (moment and f"{moment}-06:00")


@pytest.mark.parametrize(
    ("printed", "hours", "offset"),
    [
        ("20/02/2023 11:05 (UTC-6)", -6, "UTC-6"),
        ("2023/02/20 11:05 (UTC -5)", -5, "UTC-5"),
        ("20/02/2023 11:05 (UTC)", 0, "UTC"),
        ("20/02/2023 11:05 (UTC+14:00)", 14, "UTC+14:00"),
        ("20/02/2023 11:05", -6, ""),
    ],
)
def test_the_moment_of_the_corte(printed: str, hours: int, offset: str) -> None:
    file = read_official(text(moment=printed).encode())
    assert file.at == datetime(2023, 2, 20, 11, 5, tzinfo=timezone(timedelta(hours=hours)))
    assert file.offset == offset


@pytest.mark.parametrize("offset", ["UTC-99", "UTC-15", "GMT+14:01", "UTC-6:75", "UTC-600", "UTC \u2212 24"])
def test_an_offset_that_no_place_has_is_refused_with_its_line(offset: str) -> None:
    data = text(moment=f"20/02/2023 11:05 ({offset})")
    line = 1 + [offset in each for each in data.splitlines()].index(True)
    with pytest.raises(Rejected, match=f"^línea {line}: «{re.escape(offset)}»"):
        read_official(data.encode())


@pytest.mark.parametrize(
    ("printed", "texts"),
    [
        ("\"['Excede Lista Nominal', 'Ilegible']\"", ("Excede Lista Nominal", "Ilegible")),
        ('"Excede Lista Nominal, Ilegible"', ("Excede Lista Nominal", "Ilegible")),
        ("['Sin dato']", ("Sin dato",)),
        ("[]", ()),
        (" ", ()),
        ("-", ()),
    ],
)
def test_observations_as_a_list_or_joined(printed: str, texts: tuple[str, ...]) -> None:
    assert one(OBSERVACIONES=printed).observations == texts


@pytest.mark.parametrize(
    ("printed", "codes"),
    [
        ("Excede lista nominal", {Observation.EXCEDE}),
        ("ALGÚN DATO ILEGIBLE O SIN DATO", {Observation.ILEGIBLE, Observation.SIN_DATO}),
        ("Todos los campos vacio", {Observation.TODOS_VACIOS}),
        ("Sin acta(2)", {Observation.SIN_ACTA_2}),
        ("Sin acta (4)", {Observation.SIN_ACTA_4}),
        ("SIN ACTA POR PAQUETE ENTREGADO SIN SOBRE", {Observation.SIN_ACTA_3}),
        ("Sin Acta", set(SIN_ACTA)),
        ("Identificación forzada", {Observation.PROCESO_TECNICO}),
        ("otra cosa", set()),
    ],
)
def test_texts_are_understood_as_the_criteria_they_may_stand_for(printed: str, codes: set[Observation]) -> None:
    assert understand(printed) == codes


def test_origin_and_device_are_told_apart_even_when_swapped() -> None:
    row = one(ORIGEN="MOVIL", DIGITALIZACION="Casilla")
    assert (row.origen, row.digitalizacion) == ("CASILLA", "Móvil")
    assert one(DIGITALIZACION="ESCANER").digitalizacion == "Escáner"


@pytest.mark.parametrize("clave", ["'280749B01002'", "'280749B01002", '="280749B01002"', "280749B01002"])
def test_keys_in_any_defence_against_excel(clave: str) -> None:
    assert one(CLAVE_ACTA=clave, SECCION='="0749"').clave_acta == "280749B01002"
    assert one(SECCION='="0749"').seccion == 749


@pytest.mark.parametrize(
    ("name", "parties", "parts"),
    [
        ("C_PAN_PRD", ("PAN", "PRD"), ("PAN", "PRD")),
        ("PAN-PRD", ("PAN", "PRD"), ("PAN", "PRD")),
        ("PRD_PAN", ("PAN", "PRD"), ("PRD", "PAN")),
        ("C_PRI_NUEVA_ALIANZA", ("PRI", "NUEVA_ALIANZA"), ("PRI", "NUEVA_ALIANZA")),
        ("NUEVA_ALIANZA", ("NUEVA_ALIANZA", "PRI"), ()),
        ("CAND_IND_1", ("PAN", "PRD"), ()),
        ("C_PAN_PT", ("PAN", "PRD"), ()),
    ],
)
def test_a_combination_is_told_by_its_parts(name: str, parties: tuple[str, ...], parts: tuple[str, ...]) -> None:
    assert combination(name, parties) == parts


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no es un archivo de resultados del PREP"),
        (b"\xff\xfe" + text().encode("utf-16-le"), "está en UTF-16"),
        (b"\xef\xbb\xbf\xef\xbb\xbf" + text().encode(), "línea 1: el archivo comienza con dos marcas"),
        (
            text().replace(",".join(VALUES), ",".join([*VALUES[:9], "2,688,320", *VALUES[10:]])).encode(),
            "línea 5: el resumen tiene 13 nombres y 15",
        ),
        (
            text(values=[*VALUES[:12], "mucho"]).encode(),
            "línea 5, columna PORCENTAJE_PARTICIPACION_CIUDADANA: «mucho» no es un número",
        ),
        (
            text().replace("ACTAS_ESPERADAS,", "ESPERADAS,").encode(),
            "falta el resumen que comienza con ACTAS_ESPERADAS",
        ),
        (text(ROW | {"PRI": "doce"}).encode(), "línea 8, columna PRI: «doce» no es un número"),
        (text(ROW | {"PRI": "-3"}).encode(), "línea 8, columna PRI: «-3» no es un número"),
        (text(ROW | {"LISTA_NOMINAL": "x"}).encode(), "línea 8, columna LISTA_NOMINAL: «x» no es un número"),
        (text(ROW | {"CONTABILIZADA": "7"}).encode(), "línea 8, columna CONTABILIZADA: «7» no es 0, 1, 2 ni -"),
        (text(ROW, {"a": "1", "b": "2"}).encode(), "línea 9: tiene 2 columnas y el encabezado 36"),
        (text(ROW | {"ENTIDAD": '"abierta'}).encode(), "el renglón no se puede separar en columnas"),
        (
            text(columns=["PAN" if name == "PRI" else name for name in COLUMNS]).encode(),
            "línea 7, columna PAN: la columna está dos veces",
        ),
        (
            text(columns=["OTRA" if name == "NULOS" else name for name in COLUMNS]).encode(),
            "línea 7, columna NULOS: falta la columna",
        ),
    ],
)
def test_a_malformed_file_is_refused_with_its_line_and_column(content: bytes, said: str) -> None:
    with pytest.raises(Rejected) as caught:
        read_official(content)
    assert said in caught.value.sentence


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hola\n", "no es un archivo de candidaturas"),
        (b"ID_ESTADO,PARTIDO_CI,CANDIDATURA\nx,PAN,Ana\n", "l\u00ednea 2, columna ID_ENTIDAD: «x» no es un número"),
        (b"ID_ESTADO,PARTIDO_CI,CANDIDATURA\n9,,Ana\n", "l\u00ednea 2, columna PARTIDO_CI: falta"),
        (b"ID_ESTADO,PARTIDO_CI,CANDIDATURA\n9,PAN\n", "l\u00ednea 2: tiene 2 columnas y el encabezado 3"),
    ],
)
def test_a_malformed_candidates_file_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(Rejected) as caught:
        read_candidates(content)
    assert said in caught.value.sentence
