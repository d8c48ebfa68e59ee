"""The layouts of printed forms in a catalogue: placed on their contests, or refused in one clear sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from load_tests.pictures.crops import OFFICIAL
from prep.domain.entry import HEADER, TOTAL
from prep.domain.layout import LAYOUTS, read_layout
from prep.files.catalog_files import CatalogErrors, files_in, load_catalog
from prep.files.catalog_template import sample_catalog
from prep.rehearsal.layouts import layout_files

SAMPLE = sample_catalog()
FILE = f"{LAYOUTS}GOB.json"


def told() -> dict[str, Any]:
    """The layout of the sample's election for governor, as an institute might describe it."""
    codes = (*HEADER, "ABETO", "NULOS", TOTAL)
    return {
        "eleccion": "GOB",
        "cuadros": [[5, 5, 15, 15], [385, 5, 395, 15], [385, 255, 395, 265], [5, 255, 15, 265]],
        "marcas": [[x, 30 + 10 * row] for row in range(8) for x in (40, 200)],
        "campos": {code: [40, 30 + 10 * row, 200, 40 + 10 * row] for row, code in enumerate(codes)},
    }


def errors(content: object) -> list[str]:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(CatalogErrors) as caught:
        load_catalog({**SAMPLE, FILE: data})
    return [str(finding) for finding in caught.value.findings]


def test_a_layout_is_that_of_every_contest_of_its_election_and_one_of_a_contest_comes_before_it() -> None:
    files = {**SAMPLE, FILE: json.dumps(told()).encode()}
    catalog = load_catalog(files)
    codes = {election.id: election.code for election in catalog.elections}
    described = {contest.id for contest in catalog.contests if codes[contest.election] == "GOB"}
    assert described
    assert catalog.layouts.keys() == described
    assert load_catalog(SAMPLE).layouts == {}
    own = next(contest for contest in catalog.contests if codes[contest.election] == "AYUN")
    special = told() | {"eleccion": "AYUN", "entidad": own.entidad, "territorio": own.territory}
    special["campos"] = {TOTAL: special["campos"][TOTAL]}
    general = told() | {"eleccion": "AYUN"}
    both = load_catalog(
        files | {f"{LAYOUTS}a.json": json.dumps(special).encode(), f"{LAYOUTS}b.json": json.dumps(general).encode()}
    )
    assert both.layouts[own.id].strips.keys() == {TOTAL}
    others = [contest.id for contest in catalog.contests if codes[contest.election] == "AYUN" and contest.id != own.id]
    assert all(len(both.layouts[other].strips) == 7 for other in others)


def test_a_layout_is_part_of_the_digest_of_the_catalogue() -> None:
    moved = told()
    moved["campos"]["ABETO"][3] -= 0.5
    one, other = (load_catalog({**SAMPLE, FILE: json.dumps(each).encode()}) for each in (told(), moved))
    assert len({one.digest, other.digest, load_catalog(SAMPLE).digest}) == 3


def test_the_files_of_the_folder_are_found(tmp_path: Path) -> None:
    (tmp_path / LAYOUTS).mkdir()
    (tmp_path / LAYOUTS / "GOB.json").write_text(json.dumps(told()))
    assert files_in(tmp_path).keys() == {FILE}


def changed(edit: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    content = told()
    edit(content)
    return content


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{\n\n]", "línea 3: no es JSON"),
        (b"\xff", "no está en UTF-8"),
        (b'{"eleccion": "GOB", "eleccion": "GOB"}', "no se puede leer: una clave está dos veces"),
        (b'{"marcas": [[NaN, 1]]}', "no se puede leer: «NaN» no es un número"),
        (b"[" * 100_000, "no se puede leer: tiene un número o una lista que ningún formato necesita"),
        (b'{"marcas": ' + b"9" * 5000 + b"}", "no se puede leer: tiene un número o una lista que ningún formato necesita"),
        ([], "no es un formato: se espera un objeto con eleccion, cuadros, marcas y campos"),
        (changed(lambda it: it.update(renglones=1)), "«renglones» no se conoce; se conocen: "),
        (changed(lambda it: it.update(eleccion="SEN")), "eleccion: «SEN» no está en elecciones.csv"),
        (changed(lambda it: it.update(eleccion=["GOB"])), "eleccion: falta el código de la elección"),
        (changed(lambda it: it.update(entidad=True)), "entidad: no es un entero de 0 a 99"),
        (changed(lambda it: it.update(territorio=7)), "territorio: GOB no tiene contienda en entidad 0, territorio 7"),
        (changed(lambda it: it["cuadros"].pop()), "cuadros: son 3 y deben ser 4, uno por esquina"),
        (changed(lambda it: it["cuadros"].reverse()), "cuadros: van en el orden arriba izquierda, arriba derecha"),
        (changed(lambda it: it["cuadros"][0].__setitem__(2, 12)), "cuadros: no son cuatro cuadrados del mismo tamaño"),
        (changed(lambda it: it["cuadros"].__setitem__(1, [9, 9, 5, 20])), "cuadros, el 2.º: se esperan izquierda, arriba"),
        (changed(lambda it: it["marcas"].__delitem__(slice(11, None))), "marcas: son 11 y deben ser de 12 a 200"),
        (changed(lambda it: it["marcas"].append([1, "2"])), "marcas, la 17.ª: se esperan dos números"),
        (changed(lambda it: it["marcas"].append([41, 31])), "marcas: la 1.ª y la 17.ª están a menos de 4 mm"),
        (changed(lambda it: it["marcas"].append([399, 31])), "marcas: la 17.ª está fuera de los cuadros"),
        (
            changed(lambda it: it.update(marcas=[[x, 30 + 14 * row] for row in range(16) for x in (100, 300)])),
            "marcas: son casi las mismas con la hoja de cabeza",
        ),
        (changed(lambda it: it.update(campos={})), "campos: falta el lugar de cada cantidad, por su código"),
        (changed(lambda it: it["campos"].update(ABETO=[1, 2, 3])), "campos.ABETO: se esperan izquierda, arriba"),
        (changed(lambda it: it["campos"].update(ABETO=[40, 30, 44, 40])), "campos.ABETO: mide menos de 5 × 2 mm"),
        (changed(lambda it: it["campos"].update(ABETO=[390, 30, 410, 40])), "campos.ABETO: está fuera de los cuadros"),
        (changed(lambda it: it["campos"].update(NULOS=[50, 70, 190, 80])), "campos.NULOS: está en el lugar de ABETO"),
        (
            changed(lambda it: it["campos"].update(OLMO=[40, 150, 200, 160])),
            "campos.OLMO: no es un campo de las actas de GOB",
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)  # fmt: skip
def test_a_wrong_layout_is_told_with_its_file_and_place(content: object, sentence: str) -> None:
    found = errors(content)
    assert any(each.startswith(FILE) and sentence in each for each in found), found


def test_two_layouts_of_one_form_are_an_error() -> None:
    twice = {**SAMPLE, FILE: json.dumps(told()).encode(), f"{LAYOUTS}z.json": json.dumps(told()).encode()}
    with pytest.raises(CatalogErrors, match=r"z\.json.*formatos/GOB\.json describe ya el mismo formato"):
        load_catalog(twice)


def test_the_layouts_of_drawn_forms_are_taken_by_the_catalogue() -> None:
    catalog = load_catalog(SAMPLE)
    files = layout_files(catalog)
    described = load_catalog({**SAMPLE, **files})
    assert described.layouts.keys() == {contest.id for contest in catalog.contests}
    for contest in catalog.contests:
        [election] = [each for each in catalog.elections if each.id == contest.election]
        ballot = {election.options[position].code for position in contest.ballot}
        assert described.layouts[contest.id].strips.keys() == {*HEADER, *ballot, TOTAL}


def test_the_example_of_the_official_form_is_one() -> None:
    stated, wrong = read_layout(OFFICIAL.read_bytes())
    assert wrong == []
    assert stated is not None
    assert len(stated.layout.strips) == 22
