"""The warnings about a catalogue: a good one has none, and each kind of mutation brings its own code."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prep.files.catalog_columns import COLUMNS
from prep.files.catalog_files import CatalogErrors, load_catalog, review_catalog, write_catalog
from prep.files.catalog_summary import catalog_summary
from prep.files.catalog_template import sample_catalog
from prep.files.catalog_warnings import LEGAL_SIZE, WARNINGS
from prep.files.csv_tables import FileFinding
from prep.operations import cli
from prep.rehearsal.synthetic import synthetic

Cells = dict[str, Any]
Tables = dict[str, list[Cells]]
PARTIES = ("ABETO", "CEDRO", "ENCINO", "FRESNO")
MUNICIPIOS = 3


def good() -> Tables:
    """A state with a coalition of three for governor, and town councils with two different ballots."""
    coalition = PARTIES[:3]
    joined = ["-".join(some) for size in (2, 3) for some in combinations(coalition, size)]
    rest = (("NO_REGISTRADAS", "no_registradas"), ("NULOS", "nulos"))
    options: dict[str, list[tuple[str, str]]] = {
        "GOB": [*((one, "partido") for one in PARTIES), *((one, "coalicion") for one in joined), *rest],
        "AYUN": [*((one, "partido") for one in PARTIES), ("IND", "independiente"), *rest],
    }
    ballots = {1: "ABETO CEDRO ENCINO FRESNO IND NULOS", 2: "ABETO CEDRO ENCINO FRESNO NULOS"}
    ballots[3] = ballots[2]
    return {
        "elecciones.csv": [
            election("GOB", "entidad", "1"),
            election("AYUN", "municipio", "2"),
        ],
        "territorios.csv": [
            {"tipo": "entidad", "entidad": 33, "id": 33, "nombre": "Ejemplo"},
            {"tipo": "distrito_local", "entidad": 33, "id": 1, "nombre": "Distrito 1"},
            *(
                {"tipo": "municipio", "entidad": 33, "id": own, "nombre": f"Municipio {own}"}
                for own in range(1, MUNICIPIOS + 1)
            ),
        ],
        "casillas.csv": [
            casilla(own, 10 * own + seccion, tipo, numero)
            for own in range(1, MUNICIPIOS + 1)
            for seccion in (1, 2)
            for tipo, numero in (("B", 1), ("C", 1), ("C", 2))
        ],
        "opciones.csv": [
            {"eleccion": code, "orden": place, "codigo": option, "clase": clase}
            | {"partidos": option.replace("-", " ") if clase == "coalicion" else ""}
            for code, held in options.items()
            for place, (option, clase) in enumerate(held, 1)
        ],
        "contiendas.csv": [
            {"eleccion": "GOB", "entidad": 33},
            *({"eleccion": "AYUN", "entidad": 33, "territorio": own, "opciones": ballots[own]} for own in ballots),
        ],
        "candidaturas.csv": [
            candidacy("GOB", "", " ".join([*coalition, *joined])),
            candidacy("GOB", "", "FRESNO"),
            *(candidacy("AYUN", own, party) for own in ballots for party in ballots[own].split()[:-1]),
        ],
    }


def election(code: str, nivel: str, tipo_acta: str) -> Cells:
    about = {"codigo": code, "titulo": code, "anio": 2027, "ambito": "local", "nivel": nivel}
    return about | {"reglas": "ine-2023", "candidatura": "1", "tipo_acta": tipo_acta}


def casilla(municipio: int, seccion: int, tipo: str, numero: int) -> Cells:
    where = {"entidad": 33, "distrito_federal": 0, "distrito_local": 1, "municipio": municipio, "seccion": seccion}
    what = {"tipo": tipo, "numero": numero, "ext_contigua": 0, "ubicacion": 1}
    # In municipio 1 an independent candidate is on the ballot beside the four parties.
    return where | what | {"lista_nominal": 600, "representantes": 10 if municipio == 1 else 8}


def candidacy(code: str, territorio: object, options: str) -> Cells:
    where = {"eleccion": code, "entidad": 33, "territorio": territorio}
    return where | {"opciones": options, "propietaria": f"Ana {options[:40]}", "suplente": ""}


def written(tables: Tables) -> dict[str, bytes]:
    return write_catalog(
        {name: [[row.get(column) for column in COLUMNS[name]] for row in rows] for name, rows in tables.items()}
    )


def warned(tables: Tables) -> list[FileFinding]:
    return review_catalog(written(tables))[1]


def line_of(tables: Tables, name: str, row: Cells) -> int:
    return next(line for line, held in enumerate(tables[name], 2) if held is row)


# --- no warning -------------------------------------------------------------------------------------------------------


def test_a_good_catalogue_and_the_sample_have_no_warnings_and_the_demo_has_only_many_representatives() -> None:
    assert warned(good()) == []
    assert review_catalog(sample_catalog())[1] == []
    assert {warning.code for warning in review_catalog(synthetic(200, seed=3)[0])[1]} == {"W203"}


def test_a_catalogue_without_any_candidacy_has_them_left_out_on_purpose() -> None:
    assert warned(good() | {"candidaturas.csv": []}) == []


# --- one mutation, one code -------------------------------------------------------------------------------------------

Mutation = Callable[[Tables, int], tuple[str, Cells | None, str]]
"""Changes the tables at a chosen place; returns the file, the row and the column that the warning must name."""


def chosen(rows: list[Cells], place: int, **held: object) -> Cells:
    found = [row for row in rows if all(row.get(column) == value for column, value in held.items())]
    return found[place % len(found)]


def lista_over_the_legal_size(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    row = chosen(tables["casillas.csv"], place)
    row["lista_nominal"] = LEGAL_SIZE + 1 + place
    return "casillas.csv", row, "lista_nominal"


def basica_without_lista(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    row = chosen(tables["casillas.csv"], place, tipo="B")
    row |= {"lista_nominal": 0, "boletas_maximas": 0}
    return "casillas.csv", row, "lista_nominal"


def too_many_representatives(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    row = chosen(tables["casillas.csv"], place)
    row["representantes"] = (11 if row["municipio"] == 1 else 9) + place
    return "casillas.csv", row, "representantes"


def seccion_in_two_municipios(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    row = chosen(tables["casillas.csv"], place, tipo="C")
    row |= {"municipio": row["municipio"] % MUNICIPIOS + 1, "representantes": 8}
    before = next(held for held in tables["casillas.csv"] if held["seccion"] == row["seccion"])
    assert before is not row
    return "casillas.csv", row, "municipio"


def contigua_without_the_one_before(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    gone = chosen(tables["casillas.csv"], place, tipo="C", numero=1)
    tables["casillas.csv"].remove(gone)
    return "casillas.csv", chosen(tables["casillas.csv"], 0, seccion=gone["seccion"], numero=2), "numero"


def contigua_without_basica(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    gone = chosen(tables["casillas.csv"], place, tipo="B")
    tables["casillas.csv"].remove(gone)
    return "casillas.csv", chosen(tables["casillas.csv"], 0, seccion=gone["seccion"], tipo="C", numero=1), "numero"


def extraordinaria_without_the_one_before(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    row = casilla(1, 11, "E", 2 + place)
    tables["casillas.csv"].append(row)
    return "casillas.csv", row, "numero"


def contigua_of_no_extraordinaria(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    row = casilla(1, 11, "E", 1) | {"ext_contigua": 1 + place}
    tables["casillas.csv"].append(row)
    return "casillas.csv", row, "ext_contigua"


def pair_of_the_coalition_missing(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    pairs = [row for row in tables["opciones.csv"] if row["codigo"].count("-") == 1]
    gone = pairs[place % len(pairs)]
    tables["opciones.csv"].remove(gone)
    first = tables["candidaturas.csv"][0]
    first["opciones"] = " ".join(code for code in first["opciones"].split() if code != gone["codigo"])
    return "opciones.csv", chosen(tables["opciones.csv"], 0, codigo="ABETO-CEDRO-ENCINO"), "codigo"


def pair_missing_on_one_ballot(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    codes = [row["codigo"] for row in tables["opciones.csv"] if row["eleccion"] == "GOB"]
    gone = [code for code in codes if code.count("-") == 1][place % 3]
    row = chosen(tables["contiendas.csv"], 0, eleccion="GOB")
    row["opciones"] = " ".join(code for code in codes if code != gone)
    first = tables["candidaturas.csv"][0]
    first["opciones"] = " ".join(code for code in first["opciones"].split() if code != gone)
    return "contiendas.csv", row, "opciones"


def party_without_candidacy(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    gone = chosen(tables["candidaturas.csv"], place, eleccion="AYUN")
    tables["candidaturas.csv"].remove(gone)
    return "opciones.csv", chosen(tables["opciones.csv"], 0, eleccion="AYUN", codigo=gone["opciones"]), "codigo"


def combination_that_counts_for_nobody(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    first = tables["candidaturas.csv"][0]
    gone = [code for code in first["opciones"].split() if "-" in code][place % 4]
    first["opciones"] = " ".join(code for code in first["opciones"].split() if code != gone)
    return "opciones.csv", chosen(tables["opciones.csv"], 0, codigo=gone), "codigo"


def contest_without_candidacy(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    row = chosen(tables["contiendas.csv"], place, eleccion="AYUN")
    kept = [one for one in tables["candidaturas.csv"] if one["territorio"] != row["territorio"]]
    tables["candidaturas.csv"] = kept
    return "contiendas.csv", row, "territorio"


def election_without_candidacy(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    code = ("GOB", "AYUN")[place % 2]
    tables["candidaturas.csv"] = [one for one in tables["candidaturas.csv"] if one["eleccion"] != code]
    return "elecciones.csv", chosen(tables["elecciones.csv"], 0, codigo=code), "codigo"


def municipio_without_casillas(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    row = {"tipo": "municipio", "entidad": 33, "id": 40 + place, "nombre": "Villa Sola"}
    tables["territorios.csv"].insert(1 + place % 4, row)
    return "territorios.csv", row, "id"


def equal_ballots_everywhere(tables: Tables, place: int) -> tuple[str, Cells | None, str]:
    for row in tables["contiendas.csv"]:
        if row["eleccion"] == "AYUN":
            row["opciones"] = "ABETO CEDRO ENCINO FRESNO NULOS"
    tables["candidaturas.csv"] = [one for one in tables["candidaturas.csv"] if one["opciones"] != "IND"]
    for row in tables["casillas.csv"]:
        row["representantes"] = 8
    if place % 2:
        return "contiendas.csv", chosen(tables["contiendas.csv"], 0, eleccion="AYUN"), "opciones"
    # Without a line in contiendas.csv every municipio has the whole ballot.
    tables["contiendas.csv"] = tables["contiendas.csv"][:1]
    tables["candidaturas.csv"] += [candidacy("AYUN", own, "IND") for own in range(1, MUNICIPIOS + 1)]
    return "elecciones.csv", chosen(tables["elecciones.csv"], 0, codigo="AYUN"), "nivel"


MUTATIONS: dict[Mutation, str] = {
    lista_over_the_legal_size: "W201",
    basica_without_lista: "W202",
    too_many_representatives: "W203",
    seccion_in_two_municipios: "W204",
    contigua_without_the_one_before: "W205",
    contigua_without_basica: "W205",
    extraordinaria_without_the_one_before: "W205",
    contigua_of_no_extraordinaria: "W205",
    pair_of_the_coalition_missing: "W206",
    pair_missing_on_one_ballot: "W206",
    party_without_candidacy: "W207",
    combination_that_counts_for_nobody: "W207",
    contest_without_candidacy: "W207",
    election_without_candidacy: "W207",
    municipio_without_casillas: "W208",
    equal_ballots_everywhere: "W209",
}


def test_every_code_has_a_mutation() -> None:
    of_maps = {"W210", "W211", "W212"}  # tests/quick/test_maps.py
    assert set(MUTATIONS.values()) == set(WARNINGS) - of_maps


@pytest.mark.parametrize(("mutate", "code"), MUTATIONS.items(), ids=lambda one: getattr(one, "__name__", one))
@given(place=st.integers(0, 40))
@settings(max_examples=12, deadline=None)
def test_a_mutation_brings_its_warning_and_no_other(mutate: Mutation, code: str, place: int) -> None:
    tables = good()
    file, row, column = mutate(tables, place)
    assert row is not None
    assert [(one.code, one.file, one.line, one.column) for one in warned(tables)] == [
        (code, file, line_of(tables, file, row), column)
    ]


def test_an_acta_may_state_improbable_people_too() -> None:
    change = {"eleccion": "GOB", "clave_casilla": "330011B0100", "lista_nominal": 900, "representantes": 40}
    found = warned(good() | {"actas.csv": [change]})
    assert [(one.code, one.file, one.line) for one in found] == [("W203", "actas.csv", 2), ("W201", "actas.csv", 2)][
        ::-1
    ]


def test_forty_casillas_with_one_cause_are_one_warning() -> None:
    tables = good()
    for row in tables["casillas.csv"]:
        row["lista_nominal"] = 800
    [warning] = warned(tables)
    assert warning.sentence == (
        "800 personas; una casilla tiene a lo más 750 (también en las líneas 3, 4, 5, 6, 7 y 12 más)"
    )


def test_a_coalition_of_four_tells_its_missing_combinations_once() -> None:
    tables = good()
    four = {"eleccion": "GOB", "orden": 20, "codigo": "TODOS", "clase": "coalicion", "partidos": " ".join(PARTIES)}
    tables["opciones.csv"] = [
        *(row for row in tables["opciones.csv"] if row["codigo"] != "ABETO-CEDRO"),
        four,
    ]
    tables["candidaturas.csv"][:2] = [
        candidacy("GOB", "", "ABETO CEDRO ENCINO FRESNO ABETO-ENCINO CEDRO-ENCINO ABETO-CEDRO-ENCINO TODOS")
    ]
    [warning] = warned(tables)
    assert (warning.code, warning.line) == ("W206", line_of(tables, "opciones.csv", four))
    assert warning.sentence == (
        "faltan en la boleta de GOB: ABETO-CEDRO, ABETO-FRESNO, CEDRO-FRESNO, ENCINO-FRESNO, ABETO-CEDRO-FRESNO, "
        "ABETO-ENCINO-FRESNO y más"
    )


def test_equal_ballots_of_distritos_are_usual() -> None:
    tables = good()
    equal_ballots_everywhere(tables, 1)
    tables["elecciones.csv"][1]["nivel"] = "distrito"
    tables["territorios.csv"] += [
        {"tipo": "distrito_local", "entidad": 33, "id": own, "nombre": f"Distrito {own}"} for own in (2, 3)
    ]
    for row in tables["casillas.csv"]:
        row["distrito_local"] = row["municipio"]
    assert warned(tables) == []


def test_votes_from_abroad_have_no_legal_size_of_a_casilla() -> None:
    tables = good()
    foreign = casilla(0, 0, "M", 1) | {"lista_nominal": 1500, "elecciones": "GOB"}
    assert warned(tables | {"casillas.csv": [*tables["casillas.csv"], foreign]}) == []


# --- one error for one cause ------------------------------------------------------------------------------------------


def errors(files: dict[str, bytes]) -> list[str]:
    with pytest.raises(CatalogErrors) as caught:
        load_catalog(files)
    return [str(finding) for finding in caught.value.findings]


@pytest.mark.parametrize(
    "name", ["casillas.csv", "territorios.csv", "opciones.csv", "elecciones.csv", "candidaturas.csv"]
)
@given(line=st.integers(1, 40), at=st.integers(0, 4), more=st.booleans(), padded=st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_shifted_row_is_one_error(name: str, line: int, at: int, more: bool, padded: bool) -> None:
    """A cell too many or too few, as a text editor leaves it or as a spreadsheet does, which fills the row with blanks."""
    files = written(good())
    lines = files[name].decode("utf-8-sig").split("\r\n")[:-1]
    line = 1 + line % (len(lines) - 1)
    cells = lines[line].split(",")
    at %= len(cells) - 1
    cells = [*cells[:at], "X Y", *cells[at:]] if more else [*cells[:at], *cells[at + 1 :]]
    width = lines[0].count(",") + 1
    if padded:
        # A spreadsheet also leaves out the blank cells beyond the header.
        cells = "\0".join(cells).rstrip("\0").split("\0")
        cells += [""] * (width - len(cells))
    changed = "\r\n".join([*lines[:line], ",".join(cells), *lines[line + 1 :], ""])
    shifted = files | {name: changed.encode()}
    # These rows have no wrong cell: names of people moved by one, or a blank between blanks is gone.
    if at == 4 and (name == "candidaturas.csv" or (name == "opciones.csv" and padded and not more)):
        return
    [error] = errors(shifted)
    assert error.startswith(f"{name}, línea {line + 1}")


@pytest.mark.parametrize("nivel", ["with contiendas.csv", "without contiendas.csv"])
def test_one_territory_that_is_missing_is_one_error(nivel: str) -> None:
    tables = good()
    del tables["territorios.csv"][-1]
    if nivel == "without contiendas.csv":
        del tables["contiendas.csv"]
    [error] = errors(written(tables))
    assert error.startswith(
        "casillas.csv, línea 14, columna municipio: municipio 3 de la entidad 33 no está en territorios.csv"
    )
    assert "también en las líneas 15, 16, 17, 18, 19" in error
    assert ("contiendas.csv" in error) == (nivel == "with contiendas.csv")


def test_one_wrong_line_of_a_territory_election_or_party_is_one_error() -> None:
    for name, row, column, value in (
        ("territorios.csv", 4, "id", "tres"),
        ("elecciones.csv", 1, "codigo", "A YUN"),
        ("opciones.csv", 0, "codigo", "A BETO"),
    ):
        tables = good()
        tables[name][row][column] = value
        [error] = errors(written(tables))
        assert error.startswith(f"{name}, línea {row + 2}, columna {column}: ")


# --- the summary and the command --------------------------------------------------------------------------------------


def test_the_summary_tells_types_districts_ballots_in_their_order_and_totals() -> None:
    tables = good()
    tables["casillas.csv"][0]["lista_nominal"] = 601
    lines = [line.strip() for line in catalog_summary(load_catalog(written(tables)))]
    assert lines[:3] == ["casillas por tipo", "B: 6", "C: 12"]
    assert "1 Distrito 1: 18 casillas, lista nominal 10801, 156 representantes" in lines
    assert "1 Municipio 1: 6 casillas, lista nominal 3601, 60 representantes" in lines
    assert "Municipio 1: ABETO CEDRO ENCINO FRESNO IND NULOS" in lines
    assert "Municipio 2, Municipio 3: ABETO CEDRO ENCINO FRESNO NULOS" in lines
    assert "18 casillas, 2 elecciones, 36 actas esperadas" in lines[lines.index("totales") :]


def test_check_tells_the_warnings_and_ends_well_and_load_refuses_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = good()
    tables["casillas.csv"][3]["lista_nominal"] = 900
    for name, content in written(tables).items():
        (tmp_path / name).write_bytes(content)
    line = "  casillas.csv:5: lista_nominal: 900 personas; una casilla tiene a lo más 750"
    with pytest.raises(SystemExit) as ended:
        cli.main(["catalog", "check", str(tmp_path)])
    said = capsys.readouterr()
    assert (ended.value.code, said.err) == (0, "")
    assert said.out.splitlines()[:3] == [f"aviso W201: {WARNINGS['W201']}", line, "casillas por tipo"]
    assert said.out.splitlines()[-1].startswith("  huella del catálogo: ")
    # No database is started: the refusal comes first.
    with pytest.raises(SystemExit) as ended:
        cli.main(["catalog", "load", str(tmp_path)])
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (1, "")
    assert line in said.err.splitlines()
    assert "--accept-warnings" in said.err


def test_two_people_who_replace_a_catalogue_are_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--replace"], ["--replace", "--by", "ana", "--with", "ana"], ["--by", "ana"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(["catalog", "load", str(tmp_path), *words])
        assert ended.value.code == 2
        assert "--by" in capsys.readouterr().err


# --- optional columns -------------------------------------------------------------------------------------------------


def test_place_address_colour_and_emblem_are_kept_and_their_absence_changes_nothing() -> None:
    tables = good()
    without = load_catalog(
        write_catalog({name: [[row.get(c) for c in COLUMNS[name]] for row in rows] for name, rows in tables.items()})
    )
    tables["casillas.csv"][0] |= {"lugar": "Escuela Uno", "direccion": "Calle 1, Centro"}
    tables["opciones.csv"][0] |= {"color": "#1a7f37", "emblema": "abeto.png"}
    catalog = load_catalog(written(tables))
    assert (catalog.casillas[0].lugar, catalog.casillas[0].direccion) == ("Escuela Uno", "Calle 1, Centro")
    assert (catalog.elections[0].options[0].colour, catalog.elections[0].options[0].emblem) == ("#1A7F37", "abeto.png")
    assert catalog.digest != without.digest
    assert catalog.actas == without.actas


@pytest.mark.parametrize(
    ("column", "value"), [("color", "rojo"), ("color", "#12345"), ("emblema", "../abeto.png"), ("emblema", "abeto.exe")]
)
def test_a_colour_or_an_emblem_that_is_none_is_an_error(column: str, value: str) -> None:
    tables = good()
    tables["opciones.csv"][0][column] = value
    [error] = errors(written(tables))
    assert error.startswith(f"opciones.csv, línea 2, columna {column}: «{value}» no es ")


@pytest.mark.parametrize("action", ["check", "load", "stickers"])
def test_a_folder_that_is_not_there_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["catalog", action, str(tmp_path / "catálago")])
    assert (stop.value.code, capsys.readouterr().err) == (2, f"prep: no hay una carpeta {tmp_path / 'catálago'}\n")


def test_a_finding_about_a_whole_file_has_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["catalog", "check", str(tmp_path)])
    assert capsys.readouterr().err.splitlines()[0] == "candidaturas.csv: falta el archivo"
