"""From an official file to a catalogue folder and back: the replay expects exactly the actas that the file expects."""

import functools
from collections.abc import Callable

import pytest

from prep.domain.catalog import Catalog, Clase, Nivel
from prep.errors import Rejected
from prep.files.catalog_files import load_catalog
from prep.files.official import OfficialFile, Status, read_official
from prep.files.official_candidates import CandidateRow, read_candidates
from prep.rehearsal.replay_catalog import catalog_folder
from tests.makers.official_files import Official

FILES = {
    "tamaulipas": (
        "tamaulipas-2023/TAMPS_SEN_FED_ext_2023.csv",
        "tamaulipas-2023/TAMPS_SEN_FED_ext_Candidaturas_2023.csv",
    ),
    "quintana_roo": ("quintana-roo-2019/QROO_DIP_LOC_2019.csv", "quintana-roo-2019/QROO_DIP_CANDIDATURAS_2019.csv"),
    "puebla": ("puebla-2018/PUE_GOB_2018.csv", "puebla-2018/PUE_GOB_CANDIDATURAS_2018.csv"),
}
RULES = {"tamaulipas": "ine-2023", "quintana_roo": "qroo-2019", "puebla": "pue-2018"}


Nights = Callable[[str], tuple[OfficialFile, Catalog]]


@pytest.fixture(scope="module")
def nights(official: Official) -> Nights:
    @functools.cache
    def night(name: str) -> tuple[OfficialFile, Catalog]:
        results, candidates = FILES[name]
        file = read_official(official(results).read_bytes())
        people = read_candidates(official(candidates).read_bytes())
        return file, load_catalog(catalog_folder(file, people, rules=RULES[name], code="X"))

    return night


@pytest.mark.parametrize("name", FILES)
def test_the_catalogue_expects_what_the_file_expects_by_the_same_keys(nights: Nights, name: str) -> None:
    file, catalog = nights(name)
    assert len(catalog.actas) == int(file.summary["ACTAS_ESPERADAS"])
    of_key = {acta.clave: acta for acta in catalog.actas}
    assert of_key.keys() == {row.clave_acta for row in file.catalogued}
    for row in file.catalogued:
        acta = of_key[row.clave_acta]
        assert acta.lista_nominal == (row.lista_nominal or 0)
        assert acta.tipo_acta == row.tipo_acta
        assert catalog.casillas[acta.casilla - 1].clave == row.clave_casilla


@pytest.mark.parametrize("name", FILES)
def test_every_captured_number_fits_its_boxes_and_stands_on_the_ballot(nights: Nights, name: str) -> None:
    file, catalog = nights(name)
    assert catalog.elections[0].codes == file.vote_columns
    of_key = {acta.clave: acta for acta in catalog.actas}
    for row in file.catalogued:
        acta = of_key[row.clave_acta]
        fields = (*row.header, *row.cells, row.total_asentado)
        assert all(field < 10**acta.digitos for field in fields if isinstance(field, int))
        if row.status is Status.CAPTURADA:
            ballot = catalog.contests[acta.contest - 1].ballot
            assert ballot == tuple(place for place, field in enumerate(row.cells) if field is not None)


def test_the_official_order_of_tamaulipas_and_quintana_roo_is_kept(
    nights: Nights,
) -> None:
    for name in ("tamaulipas", "quintana_roo"):
        file, catalog = nights(name)
        assert [acta.clave for acta in catalog.actas] == [row.clave_acta for row in file.catalogued]


@pytest.mark.parametrize(
    ("name", "nivel", "contests"),
    [("tamaulipas", Nivel.ENTIDAD, 1), ("quintana_roo", Nivel.DISTRITO, 15), ("puebla", Nivel.ENTIDAD, 1)],
)
def test_contests_and_levels(nights: Nights, name: str, nivel: Nivel, contests: int) -> None:
    _, catalog = nights(name)
    assert (catalog.elections[0].nivel, len(catalog.contests)) == (nivel, contests)


def test_an_independent_stands_on_the_ballot_of_one_district(nights: Nights) -> None:
    _, quintana_roo = nights("quintana_roo")
    codes = quintana_roo.elections[0].codes
    printed = {one.territory: {codes[place] for place in one.ballot} for one in quintana_roo.contests}
    assert [territory for territory, ballot in printed.items() if "CAND_IND_1" in ballot] == [11]


def test_candidacies_are_the_coalitions(nights: Nights) -> None:
    _, tamaulipas = nights("tamaulipas")
    assert [len(one.options) for one in tamaulipas.candidacies] == [7, 1, 3]


def test_candidacies_are_the_coalitions_of_many_parties(nights: Nights) -> None:
    _, puebla = nights("puebla")
    codes = puebla.elections[0].codes
    backing = [{codes[place] for place in one.options} for one in puebla.candidacies]
    assert [len(options) for options in backing] == [31, 1, 7, 1]
    assert {"PT", "MORENA", "PES", "PT-MORENA-PES"} <= backing[2]
    assert puebla.candidacies[2].propietario == "Candidatura de PT, MORENA, PES"


def test_candidacies_are_the_coalitions_of_each_contest(nights: Nights) -> None:
    _, quintana_roo = nights("quintana_roo")
    first = [
        {quintana_roo.elections[0].codes[place] for place in one.options}
        for one in quintana_roo.candidacies
        if one.contest == 1
    ]
    # In district 1 these three went apart, though the file has columns for their combinations everywhere.
    assert [{"PVEM"}, {"PT"}, {"MORENA"}] == [options for options in first if options & {"PVEM", "PT", "MORENA"}]


SMALL = """Diputaciones locales
3/6/2019 05:47 (UTC-5)
ACTAS_ESPERADAS
{count}

CLAVE_CASILLA,CLAVE_ACTA,ID_ESTADO,ESTADO,ID_DISTRITO,DISTRITO,SECCION,ID_CASILLA,TIPO_CASILLA,EXT_CONTIGUA,UBICACION_CASILLA,TIPO_ACTA,PAN,PRI,C_PAN_PRI,NUEVA_ALIANZA,CAND_IND_1,NULOS,TOTAL_VOTOS_CALCULADO,LISTA_NOMINAL,OBSERVACIONES,CONTABILIZADA
"""


def small(*rows: str) -> OfficialFile:
    return read_official((SMALL.format(count=len(rows)) + "\n".join(rows)).encode())


def loaded(file: OfficialFile, *people: CandidateRow, nivel: Nivel | None = None) -> Catalog:
    return load_catalog(catalog_folder(file, people, rules="ine-2019", code="DIP", nivel=nivel))


def candidate(code: str, name: str, district: int = 1) -> CandidateRow:
    return CandidateRow(2, 23, district, None, code, suma=False, propietaria=name, suplente="")


def row(
    seccion: int,
    *,
    tipo: str = "B",
    district: str = "1",
    acta: str = "2",
    suffix: str = "2",
    votes: str = "1,2,3,4,-,5",
    lista: int = 500,
) -> str:
    clave = f"23{seccion:04}{tipo}0100"
    return (
        f"'{clave},{clave}{suffix},23,QROO,{district},D {district},{seccion},1,{tipo},0,1,{acta},{votes},15,{lista},,1"
    )


def test_an_acta_type_that_is_not_the_usual_one_of_its_casillas_is_an_exception() -> None:
    catalog = loaded(small(row(1), row(2), row(3, acta="9", suffix="7")), nivel=Nivel.ENTIDAD)
    assert [(acta.tipo_acta, acta.clave) for acta in catalog.actas] == [
        ("2", "230001B01002"),
        ("2", "230002B01002"),
        ("9", "230003B01007"),
    ]


def test_an_option_that_a_district_never_prints_is_not_on_its_ballot() -> None:
    catalog = loaded(small(row(1), row(2, district="2", votes="1,2,-,-,9,5")), nivel=Nivel.DISTRITO)
    codes = catalog.elections[0].codes
    assert [[codes[place] for place in contest.ballot] for contest in catalog.contests] == [
        ["PAN", "PRI", "PAN-PRI", "NUEVA_ALIANZA", "NULOS"],
        ["PAN", "PRI", "CAND_IND_1", "NULOS"],
    ]
    assert [option.clase for option in catalog.elections[0].options] == [
        Clase.PARTIDO,
        Clase.PARTIDO,
        Clase.COALICION,
        Clase.PARTIDO,
        Clase.INDEPENDIENTE,
        Clase.NULOS,
    ]


def test_namesakes_without_a_combination_stay_two_candidacies() -> None:
    people = [candidate("PAN", "Ana"), candidate("PRI", "Ana"), candidate("NUEVA_ALIANZA", "Ana")]
    catalog = loaded(small(row(1)), *people)
    assert [one.options for one in catalog.candidacies] == [(0, 1, 2), (3,)]


def test_a_party_spelled_short_is_found_and_an_unclear_one_is_left_out() -> None:
    people = [candidate("NUEVA", "Luz"), candidate("P", "Nadie")]
    assert [one.propietario for one in loaded(small(row(1)), *people).candidacies] == ["Luz"]


def test_casillas_without_district_or_section_are_loaded() -> None:
    catalog = loaded(small(row(1), row(0, tipo="M", district="N/A", lista=0)), nivel=Nivel.ENTIDAD)
    assert [(acta.clave, acta.qr) for acta in catalog.actas] == [
        ("230000M01002", "23|0|2|0|1|M|0|1"),
        ("230001B01002", "23|1|2|1|1|B|0|1"),
    ]


def test_a_basica_without_lista_nominal_keeps_a_limit() -> None:
    (acta,) = loaded(small(row(1, lista=0)), nivel=Nivel.ENTIDAD).actas
    assert (acta.lista_nominal, acta.boletas_maximas) == (0, 0)


@pytest.mark.parametrize(
    ("title", "nivel", "code"),
    [
        ("Diputaciones locales", Nivel.DISTRITO, "DIP_LOC"),
        ("Presidencias municipales", Nivel.MUNICIPIO, "AYUN"),
        ("Gubernatura", Nivel.ENTIDAD, "GOB"),
        ("Senaduría de Tamaulipas", Nivel.ENTIDAD, "SEN_LOC"),
        ("Presidencia de los Estados Unidos Mexicanos", Nivel.PAIS, "PRES"),
        ("Consulta", Nivel.ENTIDAD, "ELECCION"),
    ],
)
def test_the_title_gives_the_short_name_and_without_candidates_the_kind_of_place(
    title: str, nivel: Nivel, code: str
) -> None:
    content = (SMALL.format(count=1) + row(1)).replace("Diputaciones locales", title)
    line = catalog_folder(read_official(content.encode()), rules="ine-2019")["elecciones.csv"].splitlines()[1].decode()
    assert line.startswith(f"{code},{title},2019,local,{nivel},")


def test_a_row_that_is_no_casilla_is_refused_by_its_line() -> None:
    with pytest.raises(Rejected, match="línea 7, columna TIPO_CASILLA: «Z» no es un tipo de casilla"):
        catalog_folder(small(row(1, tipo="Z")), rules="ine-2019", code="X")
