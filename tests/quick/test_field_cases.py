"""Official files that real people met, and the kinds that they stand for: what each says, or the line that is refused.

The files of `tests/field_cases` were made or cut from public files; names of people are invented.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from prep.domain.catalog import Clase, Nivel
from prep.domain.entry import Mark
from prep.domain.rules import Observation, read_rules, rule_set
from prep.errors import Rejected
from prep.files.official import Status, read_official
from prep.files.official_text import zone_of
from prep.files.published_zip import open_published
from prep.rehearsal.replay import compare, examine, recomputed
from prep.rehearsal.replay_source import ReplaySource, read_source
from tests.quick.test_official_reader import COLUMNS, OUTSIDE, ROW, VOTES, one, read, text

CASES: Final = Path(__file__).parents[1] / "field_cases"


def source(name: str, rules: str = "infer") -> ReplaySource:
    return read_source(CASES / name, rules=rules)


def written(tmp_path: Path, content: str | bytes, name: str = "resultados.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- the files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "comun", "coalition", "apart"),
    [
        ("son-ayun-2021-comun-y-coalicion.csv", "CC_PAN_PRI_PRD", "PAN-PRI-PRD", 11),
        ("mex-ayun-2024.csv", "CC_PAN_PRI_PRD_NAEM", "PAN-PRI-PRD-NAEM", 1),
    ],
)
def test_comun_and_coalition_of_the_same_parties_are_two_options(
    name: str, comun: str, coalition: str, apart: int
) -> None:
    catalog = source(name).catalog
    election = catalog.elections[0]
    clases = {option.code: (option.clase, len(option.parties)) for option in election.options}
    assert clases[comun] == (Clase.COMUN, 0), "one emblem: nothing to distribute"
    assert clases[coalition][0] is Clase.COALICION
    assert clases[coalition][1] >= len(("PAN", "PRI", "PRD"))
    both = [
        contest
        for contest in catalog.contests
        if {comun, coalition} <= {election.codes[place] for place in contest.ballot}
    ]
    assert len(catalog.contests) - len(both) >= apart


def test_an_independent_printed_as_a_combination_is_an_independent() -> None:
    options = source("mex-ayun-2024.csv").catalog.elections[0].options
    assert {option.clase for option in options if option.code.startswith("C_I_")} == {Clase.INDEPENDIENTE}


@pytest.mark.parametrize(
    "name", ["camp-gob-2021-corte0.csv", "camp-ayun-2021-corte0.csv", "camp-juntas-2021-corte0.csv"]
)
def test_a_blank_summary_value_is_not_stated_not_compared_and_named(name: str) -> None:
    read = source(name)
    assert "PORCENTAJE_PARTICIPACION_CIUDADANA" in read.caveats.unstated
    ours = replace(read.official, summary=recomputed(read.official, read.rules))
    compared = compare(read.official, ours, read.rules, read.caveats)
    assert not {each.what for each in compared} & {*read.caveats.unstated}
    assert all(each.equal for each in compared)


def test_a_file_of_nothing_captured_has_no_sheets_and_all_its_zeros_compared() -> None:
    read = source("camp-gob-2021-sin-capturas.csv")
    assert (read.sheets, read.caveats.lost, read.caveats.summary) == ([], {}, {})
    summary = compare(read.official, read.official, read.rules, read.caveats)[:13]
    assert [each.official for each in summary] == [
        "42",
        *["0"] * 3,
        "0.0000",
        "0",
        "0.0000",
        "0.0000",
        *["0"] * 4,
        "0.0000",
    ]


def test_a_blank_that_is_not_on_the_ballot_is_no_sin_dato() -> None:
    read = source("qro-dip-2018-blanco-no-es-sin-dato.csv")
    assert {cell for row in read.official.rows for cell in row.cells if isinstance(cell, Mark)} == set()
    assert read.caveats.lost == {}
    codes = read.catalog.elections[0].codes
    ballots = [{codes[place] for place in contest.ballot} for contest in read.catalog.contests]
    assert [("PAN-PRD" in ballot, "CAND_IND_1" in ballot) for ballot in ballots] == [(True, False), (False, False)]
    assert "M-PT-PES" in codes, "the party that is printed short is found in the combination that spells it out"


def test_mexico_is_read_by_the_meaning_of_its_words() -> None:
    read = source("mex-ayun-2024-sin-columna-comun.csv")
    assert read.caveats.notes == (
        "columna TOTAL_REP_PARTIDOS_CI_VOTARON: no se conoce; se toma por TOTAL_REP_PARTIDO_CI_VOTARON",
    )
    [without] = [sheet for sheet in read.sheets if sheet.sin_acta]
    assert (without.key, without.sin_acta) == ("150004C01003", 3)


def test_juntas_municipales_are_contests_with_candidates_of_their_own() -> None:
    read = source("camp-juntas-2021-sin-capturas.csv")
    assert read.used == (
        "resultados: camp-juntas-2021-sin-capturas.csv",
        "candidaturas: camp-juntas-2021-candidaturas.csv",
    )
    assert len(read.catalog.contests) == 22
    assert {contest.name for contest in read.catalog.contests} >= {"PICH", "HOOL"}
    people: dict[int, set[str]] = {}
    for candidacy in read.catalog.candidacies:
        people.setdefault(candidacy.contest, set()).add(candidacy.propietario)
    assert len(people) == 22
    assert len({frozenset(names) for names in people.values()}) == 22


def test_a_file_in_two_encodings_is_decoded_line_by_line() -> None:
    read = source("mixed-encodings.csv")
    assert read.official.title == "JEFATURA DE GOBIERNO – ALCALDÍAS"
    assert {row.entidad_nombre for row in read.official.rows} == {"CIUDAD DE MÉXICO"}
    statuses = [row.status for row in read.official.rows]
    assert statuses == [*[Status.CAPTURADA] * 3, Status.SIN_ACTA, Status.CAPTURADA, Status.ESPERADA]
    assert list(read.caveats.lost) == ["090002B0100B01"], "«ILEGIBLE» beside numbers: what was typed is lost"
    assert read.caveats.reprinted == {"090004B0100B01": Mark.ILEGIBLE}


def test_a_line_encoded_twice_is_read_and_another_encoding_is_refused_by_its_line() -> None:
    twice = text(ROW | {"ENTIDAD": "MÉXICO".encode().decode("cp1252")}).encode()
    assert read_official(twice).rows[0].entidad_nombre == "MÉXICO"
    with pytest.raises(Rejected, match=r"línea 8: sus acentos están en una codificación que no se conoce"):
        read_official(text(ROW | {"ENTIDAD": "MEXICO"}).encode().replace(b"MEXICO", b"M\x90XICO"))


def test_the_layout_of_2015_is_refused_in_one_sentence() -> None:
    with pytest.raises(Rejected, match="no es un archivo de resultados del PREP: falta el resumen"):
        source("ine-2015-like.csv")


# --- the kinds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"OBSERVACIONES": "Acta mojada"}, "línea 8, columna OBSERVACIONES: no se conoce el texto «Acta mojada»"),
        (
            {"OBSERVACIONES": "Sin acta por lluvia"},
            "columna OBSERVACIONES: no se conoce el texto «Sin acta por lluvia»",
        ),
        ({"OBSERVACIONES": "Ningún campo ilegible"}, "no se conoce el texto"),
        ({"PAN": "Extraviada"}, "línea 8, columna PAN: «Extraviada» no es un número"),
        ({"CONTABILIZADA": "tal vez"}, "línea 8, columna CONTABILIZADA: «tal vez» no es 0, 1, 2 ni -"),
        ({"OBSERVACIONES": "Sin acta(1)", "CONTABILIZADA": "1"}, "línea 8, columna CONTABILIZADA: dice 1"),
    ],
)
def test_an_unknown_word_is_refused_with_its_line_or_listed_and_never_counts(
    cells: dict[str, str], said: str, tmp_path: Path
) -> None:
    content = text(
        ROW, ROW | {"CLAVE_CASILLA": "'280749C0100'", "CLAVE_ACTA": "'280749C01002'", "TIPO_CASILLA": "C"} | cells
    )
    with pytest.raises(Rejected) as caught:
        read_official(content.encode())
    assert said.replace("línea 8", "línea 9") in caught.value.sentence
    skipped = read_source(written(tmp_path, content), rules="ine-2023", skip_unknown=True)
    assert said.replace("línea 8", "línea 9") in skipped.caveats.lost["280749C01002"]
    assert [sheet.key for sheet in skipped.sheets] == ["280749B01002"]


@pytest.mark.parametrize(
    "printed", ["NP: SIN ACTA POR PAQUETE NO ENTREGADO", "3) Sin acta (no entregado)", "SIN ACTA (1)"]
)
def test_known_words_count_at_any_place(printed: str) -> None:
    row = one(**dict.fromkeys(VOTES, "0"), OBSERVACIONES=printed, CONTABILIZADA="0")
    assert (row.status, [sorted(codes) for codes in row.meanings]) == (Status.SIN_ACTA, [["sin_acta_1"]])


def test_which_of_two_contradicting_columns_is_believed_is_said_in_the_words_of_the_file() -> None:
    other = ROW | {"CLAVE_CASILLA": "'280749C0300'", "CLAVE_ACTA": "'280749C03002'"}
    file = read(ROW, other | {"TIPO_CASILLA": "C", "ID_CASILLA": "48213"})
    assert (file.rows[1].numero, file.rows[1].clave) == (3, "280749C0300")
    [note] = file.notes
    assert note.startswith("columna ID_CASILLA: contradice a CLAVE_CASILLA (en la línea 9, «48213» y «03»; 1 filas)")
    assert note.endswith("se cree a CLAVE_CASILLA, que no se repite")
    repeated = read(ROW, ROW | {"TIPO_CASILLA": "C", "ID_CASILLA": "2"})
    assert repeated.rows[1].clave == "280749C0200"
    disputed = [note for note in repeated.notes if "contradice" in note]
    assert disputed
    assert all(note.endswith("se cree a la columna: CLAVE_CASILLA se repite") for note in disputed)
    with pytest.raises(Rejected, match=r"línea 9, columna CLAVE_CASILLA: la casilla 280749B0100 ya está en la línea 8"):
        read(ROW, ROW)


@pytest.mark.parametrize(
    ("name", "number", "note"),
    [
        ("007. NUEVO LAREDO", 7, "no hay columna ID_DISTRITO_FEDERAL; el número se toma de DISTRITO_FEDERAL"),
        ("NUEVO LAREDO", 1, "los números siguen el orden de los nombres de DISTRITO_FEDERAL"),
    ],
)
def test_a_district_without_its_number_is_numbered_by_its_name(name: str, number: int, note: str) -> None:
    columns = [column if column != "ID_DISTRITO_FEDERAL" else "OTRA" for column in COLUMNS]
    file = read_official(text(ROW | {"DISTRITO_FEDERAL": name}, columns=columns).encode())
    assert (file.rows[0].distrito, note in " ".join(file.notes)) == (number, True)
    assert "columna OTRA: no se conoce; no se usa" in file.notes


def test_the_row_number_of_a_database_is_no_district() -> None:
    file = read(ROW | {"ID_DISTRITO_FEDERAL": "15432", "DISTRITO_FEDERAL": "DISTRITO 5"})
    assert file.rows[0].distrito == 5
    assert "15432 no es un número de distrito" in file.notes[0]


@pytest.mark.parametrize("words", ["Fuera de Catálogo", "FC: fuera del catálogo", "No está en catálogo (2)"])
@pytest.mark.parametrize("counted", ["2", "-", ""])
def test_fuera_de_catalogo_in_every_form(words: str, counted: str) -> None:
    row = one(**OUTSIDE | {"OBSERVACIONES": words, "CONTABILIZADA": counted, "UBICACION_CASILLA": ""})
    assert row.status is Status.FUERA_DE_CATALOGO


def test_what_no_image_can_be_of_is_listed_and_what_can_is_played(tmp_path: Path) -> None:
    nowhere = dict.fromkeys(COLUMNS, "-") | {"OBSERVACIONES": "Fuera de Catálogo", "CONTABILIZADA": "2"}
    approved = OUTSIDE | {name: ROW[name].lstrip("0") for name in ("ID_DISTRITO_FEDERAL", "SECCION", "ID_CASILLA")}
    approved |= {"TIPO_CASILLA": "B"}
    content = text(ROW, OUTSIDE, OUTSIDE, nowhere, approved, OUTSIDE | {"ID_DISTRITO_FEDERAL": ""})
    read = read_source(written(tmp_path, content), rules="ine-2023")
    reasons = [reason.split(":")[0] for reason in read.caveats.lost.values()]
    assert reasons == [
        "fuera de catálogo sin una identidad que quepa en un QR",
        "fuera de catálogo con la identidad de una casilla aprobada",
    ]
    assert len(read.sheets) == 4


@pytest.mark.parametrize("printed", ["", "0", "-"])
def test_a_row_not_captured_yet_may_print_zeros_and_contabilizada_0(printed: str) -> None:
    nothing = dict.fromkeys((*VOTES, *COLUMNS[12:16], "TOTAL_VOTOS_ASENTADO", "TOTAL_VOTOS_CALCULADO"), printed)
    nothing |= dict.fromkeys(COLUMNS[-8:], "") | {"OBSERVACIONES": "", "CONTABILIZADA": "0"}
    assert one(**nothing).status is Status.ESPERADA
    assert one(**nothing | {"CODIGO_INTEGRIDAD": "ab" * 32}).status is Status.CAPTURADA


def test_an_observation_that_no_cell_bears_out_is_lost_by_its_key() -> None:
    file = read(ROW | {"PAN-PRI": "0", "NO_REGISTRADAS": "0", "OBSERVACIONES": "Ilegible"})
    assert "ninguna celda lo muestra" in examine(file, rule_set("ine-2023")).lost["280749B01002"]


def test_a_column_that_sums_others_is_no_vote() -> None:
    columns = [*COLUMNS[:18], "SUBTOTAL", *COLUMNS[18:]]
    rows = []
    for seccion in ("0749", "0750"):
        row = dict(zip(COLUMNS, ROW.values(), strict=True))
        row |= {"SECCION": seccion, "CLAVE_CASILLA": f"'28{seccion}B0100'", "CLAVE_ACTA": f"'28{seccion}B01002'"}
        rows.append({name: row.get(name, "11") for name in columns})
    file = read_official(text(*rows, columns=columns).encode())
    assert (file.vote_columns, file.notes) == (
        VOTES,
        ("columna SUBTOTAL: es una suma de otras, no un voto; no se usa",),
    )


def test_a_combination_of_a_word_that_is_no_party_is_refused() -> None:
    columns = [name if name != "PAN-PRI" else "C_PAN_XYZ" for name in COLUMNS]
    with pytest.raises(Rejected, match=r"línea 7, columna C_PAN_XYZ: «XYZ» no es el nombre de ningún partido"):
        read_official(text(columns=columns).encode())


@pytest.mark.parametrize(
    "people",
    [
        "ID_ESTADO,ID_COMUNIDAD,PARTIDO_CI,CANDIDATURA\n28,1,PAN,Ana\n",
        "ENTIDAD,COMUNIDAD,PARTIDO_CI,CANDIDATURA\nTAMAULIPAS,NUEVO LAREDO,PAN,Ana\n",
        "ID_ESTADO,DEMARCACION,PARTIDO_CI,CANDIDATURA\n28,1. Nuevo Laredo,PAN,Ana\n",
        "ID_ENTIDAD,ID_JEFATURA_DE_TENENCIA,PARTIDO_CI,CANDIDATURA_PROPIETARIA,CANDIDATURA_SUPLENTE\n28,1,PAN,Ana,\n",
    ],
)
def test_candidates_that_name_their_place_in_another_way_are_found(people: str, tmp_path: Path) -> None:
    kind = "JEFATURA_DE_TENENCIA" if "TENENCIA" in people else "COMUNIDAD"
    columns = [name.replace("DISTRITO_FEDERAL", kind) for name in COLUMNS]
    results = written(tmp_path, text(columns=columns))
    read = read_source(results, rules="ine-2023", candidates=written(tmp_path, people, "gente.csv"))
    assert read.catalog.elections[0].nivel == Nivel.DISTRITO
    assert [candidacy.propietario for candidacy in read.catalog.candidacies] == ["Ana"]


@pytest.mark.parametrize("offset", ["UTC-5", "UTC-6", "UTC-7", "UTC-8"])
def test_times_come_out_as_printed_in_the_offset_of_the_file(offset: str) -> None:
    row = read_official(text(moment=f"20/02/2023 11:05 ({offset})").encode()).rows[0]
    assert row.captura is not None
    assert f"{row.captura:%d/%m/%Y %H:%M:%S %z}" == f"19/02/2023 22:15:05 -0{offset[-1]}00"


@pytest.mark.parametrize(
    ("entidad", "day", "hours"),
    [
        (26, "2021-06-06", -7), (2, "2021-06-06", -7), (2, "2021-12-06", -8), (23, "2019-06-03", -5), (3, "2021-06-06", -6),
        (3, "2024-06-02", -7), (8, "2021-06-06", -6), (8, "2024-06-02", -6), (9, "2018-07-01", -5), (9, "2024-06-02", -6),
        (4, "2021-04-03", -6), (4, "2021-04-04", -5), (4, "2022-10-29", -5), (4, "2022-10-30", -6),
    ],
)  # fmt: skip
def test_a_file_without_an_offset_has_that_of_its_state_on_that_day(entidad: int, day: str, hours: int) -> None:
    offset = zone_of(entidad, date.fromisoformat(day)).utcoffset(None)
    assert offset is not None
    assert offset.total_seconds() == hours * 3600


# --- the ZIP as published ---------------------------------------------------------------------------------------------


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


PEOPLE: Final = b"ID_ESTADO,PARTIDO_CI,CANDIDATURA\n28,PAN,Ana\n"


def test_a_zip_in_a_zip_opens_and_says_what_it_used(tmp_path: Path) -> None:
    inner = zipped({"X_SEN.csv": text().encode(), "X_CANDIDATURAS.csv": PEOPLE, "LEEME.txt": b"SECCION, TIPO_CASILLA"})
    path = written(tmp_path, zipped({"20230220_PREP_SEN.zip": inner}), "20230220_PREP.zip")
    read = read_source(path, rules="ine-2023")
    assert read.used == (
        "resultados: 20230220_PREP_SEN.zip/X_SEN.csv",
        "candidaturas: 20230220_PREP_SEN.zip/X_CANDIDATURAS.csv",
        "léeme: 20230220_PREP_SEN.zip/LEEME.txt",
    )
    assert [candidacy.propietario for candidacy in read.catalog.candidacies] == ["Ana"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (zipped({"a.txt": b"hola"}), "x.zip: no contiene un archivo de resultados del PREP; contiene: a.txt"),
        (zipped({}), "contiene: nada"),
        (zipped({"a.csv": text().encode(), "b.csv": text().encode()}), "varias elecciones (a.csv, b.csv)"),
        (zipped({"a.csv": text().encode()})[:200], "no se puede abrir"),
        (zipped({"1": zipped({"2": zipped({"3": zipped({"4": zipped({"5": b""})})})})}), "a más de 4 niveles"),
    ],
)
def test_a_zip_that_cannot_be_used_ends_in_one_sentence(data: bytes, said: str) -> None:
    with pytest.raises(Rejected) as caught:
        open_published("x.zip", data)
    assert said in caught.value.sentence


def test_one_election_of_a_zip_of_several_is_chosen_by_its_name() -> None:
    data = zipped({"gob.csv": text().encode(), "dip.csv": text(OUTSIDE).encode()})
    assert open_published("x.zip", data, choose="DIP").name == "dip.csv"


# --- rules that the file itself shows ---------------------------------------------------------------------------------


def test_the_rules_of_sonora_follow_from_its_rows() -> None:
    proposal = source("son-ayun-2021-comun-y-coalicion.csv").proposal
    assert proposal is not None
    rules = proposal.rules
    assert (rules.excede_applies, rules.excede_alone, rules.last_corte_with_especiales) == (True, True, True)
    assert rules.texts[Observation.TODOS_ILEGIBLES] == "TODO ILEGIBLE O SIN DATO"
    assert proposal.unexplained == {}
    again = read_rules("borrador.toml", proposal.toml().encode())
    assert again.digest == rules.digest


def test_what_rules_do_not_explain_is_named(tmp_path: Path) -> None:
    other = ROW | {"CLAVE_CASILLA": "'280749C0100'", "CLAVE_ACTA": "'280749C01002'", "TIPO_CASILLA": "C"}
    path = written(tmp_path, text(ROW, other | {"OBSERVACIONES": "Sin dato"}))
    proposal = read_source(path, rules="infer").proposal
    assert proposal is not None
    assert list(proposal.unexplained) == ["280749C01002"]


def test_the_rules_may_be_a_file(tmp_path: Path) -> None:
    draft = source("son-ayun-2021-comun-y-coalicion.csv").rules
    path = written(tmp_path, draft.canonical(), "son-2021.json")
    read = source("son-ayun-2021-comun-y-coalicion.csv", rules=str(path))
    assert json.loads(read.catalog.elections[0].rules) == json.loads(draft.canonical())
