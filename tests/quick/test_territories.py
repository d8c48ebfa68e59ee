"""The kinds of territory that elect are data of the catalogue: any institute's own, with no change of the program."""

import json
import shutil
from pathlib import Path

import pytest

from integrity import minimal_verifier
from integrity.sums import Malformed
from integrity.tree import documents
from prep.domain import row
from prep.domain.catalog import Ambito, Nivel, TerritoryKind, electing_kind
from prep.files.catalog_columns import MAX_TERRITORY
from prep.files.catalog_files import CatalogErrors, load_catalog, review_catalog
from prep.files.catalog_summary import catalog_summary
from prep.files.catalog_template import sample_catalog
from tests.makers import tree_maker
from tests.tamper.matrix import SOUND, judge

KINDS = ["junta_municipal", "comunidad", "demarcacion", "comisaria", "jefatura_de_tenencia"]


def with_kind(kind: str, *, column: str = "", nivel: str = "", tipo: str = "") -> dict[str, bytes]:
    """The sample catalogue, whose ayuntamientos are elected by a kind of territory of its institute."""
    files = {name: content.decode("utf-8-sig") for name, content in sample_catalog().items()}
    header, *rows = files["casillas.csv"].splitlines()
    # The casilla especial votes for no ayuntamiento, and belongs to no territory of this kind.
    places = {"1": "1701", "2": "1702"}
    rows = [f"{line},{'' if line.split(',')[5] == 'S' else places[line.split(',')[3]]}" for line in rows]
    files["casillas.csv"] = "\n".join([f"{header},{column or kind}", *rows])
    files["elecciones.csv"] = files["elecciones.csv"].replace(",local,municipio,", f",local,{nivel or kind},")
    own = [f"{tipo or kind},33,{number},Lugar {number}" for number in places.values()]
    files["territorios.csv"] = "\n".join([*files["territorios.csv"].splitlines(), *own])
    for name in ("contiendas.csv", "candidaturas.csv"):
        for one, other in places.items():
            files[name] = files[name].replace(f"AYUN,33,{one},", f"AYUN,33,{other},")
    return {name: content.encode() for name, content in files.items()}


def told(files: dict[str, bytes]) -> list[str]:
    with pytest.raises(CatalogErrors) as caught:
        load_catalog(files)
    return [str(finding) for finding in caught.value.findings]


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_of_territory_elects(kind: str) -> None:
    catalog, warnings = review_catalog(with_kind(kind))
    assert [warning.code for warning in warnings if warning.code != "W203"] == []
    governor, council = catalog.elections
    assert (council.nivel, council.territory) == (kind, kind)
    assert [(one.territory, one.name) for one in catalog.contests if one.election == council.id] == [
        (1701, "Villa Abeto"),
        (1702, "Villa Nogal"),
    ]
    assert row.columns(council)[4:6] == (f"ID_{kind.upper()}", kind.upper())
    assert row.columns(governor)[4:6] == ("ID_DISTRITO_LOCAL", "DISTRITO_LOCAL")
    summary = "\n".join(catalog_summary(catalog))
    assert f"por {TerritoryKind(kind).words}" in summary
    assert "1702 Lugar 1702: 2 casillas" in summary


@pytest.mark.parametrize("territory", [1, 999, 1000, 1701, MAX_TERRITORY, MAX_TERRITORY + 1])
def test_both_verifiers_take_every_territory_that_the_catalogue_takes(territory: int) -> None:
    nulos = {"posicion": 0, "codigo": "NULOS", "clase": "nulos", "partidos": [], "nombre": ""}
    party = {"posicion": 1, "codigo": "PAN", "clase": "partido", "partidos": [], "nombre": ""}
    contest = {"id": 1, "entidad": 33, "territorio": territory, "nombre": "Villa Abeto", "boleta": [0, 1]}
    election = {
        "codigo": "AYUN", "titulo": "Ayuntamientos", "anio": 2027, "nivel": "comunidad", "opciones": [nulos, party],
        "contiendas": [contest],
    }  # fmt: skip
    refused = 0
    try:
        documents._judge_place("comunidad", contest, "aquí")
    except Malformed:
        refused += 1
    try:
        minimal_verifier.judge_ranges(election, {"texts": {}}, "aquí")
    except minimal_verifier.Bad:
        refused += 1
    assert refused == (2 if territory > MAX_TERRITORY else 0)


def test_people_read_a_kind_as_words() -> None:
    words = [TerritoryKind(kind).words for kind in (*KINDS, "distrito_local", "region", "delegacion_sindical", "salon")]
    assert words == [
        *("junta municipal", "comunidad", "demarcación", "comisaría", "jefatura de tenencia"),
        *("distrito local", "región", "delegación sindical", "salon"),
    ]


@pytest.mark.parametrize(
    "word", ["", "Junta", "junta municipal", "junta-1", "1junta", "_junta", "ñandú", "j" * 41, "a\n"]
)
def test_a_word_that_could_not_be_a_column_is_no_kind(word: str) -> None:
    for kind in (Nivel, TerritoryKind):
        with pytest.raises(ValueError, match="no es un tipo de territorio"):
            kind(word)


def test_a_distrito_is_that_of_the_election() -> None:
    assert electing_kind(Nivel.DISTRITO, Ambito.LOCAL) == TerritoryKind.DISTRITO_LOCAL
    assert electing_kind(Nivel.PAIS, Ambito.FEDERAL) is electing_kind(Nivel.ENTIDAD, Ambito.LOCAL) is None
    for word in ("distrito_local", "distrito_federal"):
        with pytest.raises(ValueError, match="no es un nivel"):
            Nivel(word)
    for word in ("pais", "distrito"):
        with pytest.raises(ValueError, match="es un nivel"):
            TerritoryKind(word)


@pytest.mark.parametrize(
    ("changed", "sentences"),
    [
        (
            {"tipo": "junta"},
            [
                "casillas.csv, línea 1, columna junta_municipal: columna desconocida",
                "elecciones.csv, línea 3, columna nivel: «junta_municipal» no es ninguno de: pais, entidad, distrito, municipio",
            ],
        ),
        ({"nivel": "junta"}, ["elecciones.csv, línea 3, columna nivel: «junta» no es ninguno de: pais"]),
        ({"nivel": "distrito_local"}, ["elecciones.csv, línea 3, columna nivel: «distrito_local» no es ninguno de"]),
        ({"column": "lugar_de_voto"}, ["casillas.csv, línea 1, columna lugar_de_voto: columna desconocida"]),
    ],
)
def test_a_kind_stands_in_all_three_files_or_is_an_error(changed: dict[str, str], sentences: list[str]) -> None:
    found = told(with_kind("junta_municipal", **changed))
    for sentence in sentences:
        assert any(one.startswith(sentence) for one in found), found


def test_a_slip_of_the_pen_is_no_new_kind() -> None:
    files = sample_catalog()
    files["territorios.csv"] = files["territorios.csv"].replace(b"municipio,33,2", b"municpio,33,2")
    sentence = "territorios.csv, línea 6, columna tipo: «municpio» no es ninguno de: entidad, distrito_federal"
    assert [one for one in told(files) if one.startswith(sentence)]


@pytest.mark.parametrize("kind", ["seccion", "casilla", "lugar", "numero", "nulos"])
def test_a_kind_with_the_name_of_another_column_is_refused(kind: str) -> None:
    assert any("es el nombre de otra columna" in one for one in told(with_kind(kind)))


@pytest.mark.parametrize("code", ["JUNTA_MUNICIPAL", "ID_JUNTA_MUNICIPAL", "id_junta_municipal"])
def test_an_option_with_the_name_of_the_column_of_the_territory_is_refused(code: str) -> None:
    files = with_kind("junta_municipal")
    for name in ("opciones.csv", "contiendas.csv", "candidaturas.csv"):
        files[name] = files[name].replace(b"CAND_IND_1", code.encode())
    assert told(files) == [
        f"opciones.csv, línea 16, columna codigo: «{code}» es el nombre de otra columna del archivo oficial"
    ]


def test_a_casilla_without_its_territory_does_not_vote_in_that_election() -> None:
    files = with_kind("comunidad")
    files["casillas.csv"] = files["casillas.csv"].replace(b",1702", b",", 1)
    assert told(files) == [
        "casillas.csv, línea 4, columna comunidad: sin comunidad no vota en AYUN; quite esa elección de la casilla"
    ]


# --- the published tree -----------------------------------------------------------------------------------------------


def elected_by(tree: Path, kind: str) -> Path:
    """The tree whose diputaciones were elected by another kind of territory, in every file of every corte."""
    for folder in (tree / "cortes").iterdir():
        manifest = json.loads((folder / "manifest.json").read_bytes())
        [election] = [each for each in manifest["elecciones"] if each["codigo"] == "DIP"]
        election["nivel"] = kind
        (folder / "manifest.json").write_bytes(tree_maker.canonical(manifest))
        totals = json.loads((folder / "totals.json").read_bytes())
        for each in totals["elecciones"]["DIP"]["territorios"]:
            each["tipo"] = kind if each["tipo"] == "distrito_local" else each["tipo"]
        (folder / "totals.json").write_bytes(tree_maker.canonical(totals))
        path = folder / election["archivo"]
        columns = f"ID_{kind.upper()},{kind.upper()}".encode()
        path.write_bytes(path.read_bytes().replace(b"ID_DISTRITO_LOCAL,DISTRITO_LOCAL", columns))
        people = folder / election["candidaturas"]
        people.write_bytes(people.read_bytes().replace(b"ID_DISTRITO_LOCAL", f"ID_{kind.upper()}".encode()))
        with (folder / "LEEME.txt").open("ab") as readme:
            readme.write(f"  5. ID_{kind.upper()}: su número\r\n  6. {kind.upper()}: su nombre\r\n".encode())
    tree_maker.write_catalogue(tree)
    tree_maker.reseal(tree)
    return tree


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree_maker.make_tree(tmp_path_factory.mktemp("pristine") / "public")


@pytest.mark.parametrize("kind", ["junta_municipal", "municipio", "j" * 40])
def test_both_verifiers_accept_any_kind(pristine: Path, tmp_path: Path, kind: str) -> None:
    tree = elected_by(Path(shutil.copytree(pristine, tmp_path / "public")), kind)
    verdicts = [judge(tree, [], minimal=minimal) for minimal in (False, True)]
    assert verdicts == [SOUND, SOUND]


@pytest.mark.parametrize(
    "kind", ["seccion", "casilla", "distrito_federal", "Junta", "junta municipal", "j" * 41, "pan", ""]
)
def test_both_verifiers_refuse_a_kind_that_hides_a_column_or_is_no_word(
    pristine: Path, tmp_path: Path, kind: str
) -> None:
    tree = elected_by(Path(shutil.copytree(pristine, tmp_path / "public")), kind)
    verdicts = [judge(tree, [], minimal=minimal) for minimal in (False, True)]
    assert verdicts[0] == verdicts[1]
    assert "INT-03" in verdicts[0].wrong


@pytest.mark.parametrize("tipo", ["municipio", "junta_municipal", "pais"])
def test_both_verifiers_say_the_same_of_a_territory_of_a_kind_that_the_rows_do_not_name(
    pristine: Path, tmp_path: Path, tipo: str
) -> None:
    tree = Path(shutil.copytree(pristine, tmp_path / "public"))
    for folder in (tree / "cortes").iterdir():
        totals = json.loads((folder / "totals.json").read_bytes())
        for each in totals["elecciones"]["DIP"]["territorios"]:
            each["tipo"] = tipo if each["tipo"] == "distrito_local" else each["tipo"]
        (folder / "totals.json").write_bytes(tree_maker.canonical(totals))
    tree_maker.reseal(tree)
    verdicts = [judge(tree, [], minimal=minimal) for minimal in (False, True)]
    assert verdicts[0] == verdicts[1]
    assert ("INT-03" if tipo == "pais" else "CON-14") in verdicts[0].wrong
