"""An institute's own election, from `prep catalog template` to its close: juntas municipales, its rules, its zone.

The institute is in Sonora (UTC-7). One junta has a coalition on its ballot, another a candidatura común of the same two
parties. Only files of the catalogue's folder say all this.
"""

import csv
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from prep.files.catalog_files import files_in, load_catalog
from prep.rehearsal.installation import (
    NightPlace,
    how_to_check,
    order,
    place_in,
    prepare,
    rehearsal_night,
    stamper,
    vouchers,
)
from prep.rehearsal.night import play
from prep.rehearsal.plan import Plan
from prep.rehearsal.synthetic import written_on
from prep.store import embedded
from tests.makers.waiting import NIGHT

JUNTAS = {1: "Villa Encino", 2: "Villa Fresno", 3: "Villa Nogal"}
PARTIES = ("ABETO", "CEDRO", "FRESNO", "NOGAL")
ALLIED = {1: "C_FRESNO_NOGAL", 2: "CC_FRESNO_NOGAL", 3: ""}
"""The coalition shares its votes between the two parties; the candidatura común of the same two does not."""
REST = "NO_REGISTRADAS NULOS"


def line(*cells: object) -> str:
    return ",".join("" if cell is None else str(cell) for cell in cells)


def edited(folder: Path) -> None:
    """What the institute writes into the files of the template: every row is its own, the headers are as they were."""
    headers = {path.name: path.read_text(encoding="utf-8-sig").splitlines()[0] for path in folder.glob("*.csv")}
    headers["casillas.csv"] = headers["casillas.csv"].replace("municipio,", "municipio,junta_municipal,")
    casillas = []
    for junta in JUNTAS:
        place = (26, 1, 1, 1, junta, junta * 10)
        for tipo, numero, ext in (("B", 1, 0), ("C", 1, 0), ("E", 1, 0), ("E", 1, 1)):
            casillas.append(line(*place, tipo, numero, ext, 1, 60 + junta, 16, *[None] * 5))
    # The casilla especial is in no junta: people from elsewhere vote there for governor alone.
    casillas.append(line(26, 1, 1, 1, None, 40, "S", 1, 0, 1, 0, 8, 90, 3, "GOB", None, None))
    ballot = {junta: " ".join(filter(None, (*PARTIES, allied, REST))) for junta, allied in ALLIED.items()}
    rows = {
        "elecciones.csv": [
            "GOB,Gubernatura,2027,local,entidad,son-2027,1,1,2,,,02,",
            "JUN,Juntas municipales,2027,local,junta_municipal,son-2027,1,4,,,,,",
        ],
        "territorios.csv": [
            "entidad,26,26,Sonora",
            "distrito_federal,26,1,Distrito federal 1",
            "distrito_local,26,1,Distrito local 1",
            "municipio,26,1,Hermosillo",
            *(f"junta_municipal,26,{number},{name}" for number, name in JUNTAS.items()),
        ],
        "casillas.csv": casillas,
        "opciones.csv": [
            *(f"{code},{n},{party},partido,,,," for code in ("GOB", "JUN") for n, party in enumerate(PARTIES)),
            "JUN,10,C_FRESNO_NOGAL,coalicion,FRESNO NOGAL,Coalición,,",
            "JUN,11,CC_FRESNO_NOGAL,comun,FRESNO NOGAL,Candidatura común,,",
            *(
                f"{code},2{n},{name},{name.lower()},,,,"
                for code in ("GOB", "JUN")
                for n, name in enumerate(REST.split())
            ),
        ],
        "contiendas.csv": [
            "GOB,26,,,,",
            *(f"JUN,26,{number},,{codes}," for number, codes in ballot.items()),
        ],
        "candidaturas.csv": [
            *(f"GOB,26,,{party},Gobierno {party.title()}," for party in PARTIES),
            *(f"JUN,26,{n},{party},Junta {n} {party.title()}," for n in JUNTAS for party in ("ABETO", "CEDRO")),
            *(
                f"JUN,26,{n},{f'FRESNO NOGAL {allied}'.strip()},Junta {n} Alianza,"
                for n, allied in ALLIED.items()
                if allied
            ),
            *(f"JUN,26,3,{party},Junta 3 {party.title()}," for party in ("FRESNO", "NOGAL")),
        ],
        "actas.csv": ["JUN,260020E0100,,,58,,,"],
    }
    for name, own in rows.items():
        (folder / name).write_text("\n".join([headers[name], *own]) + "\n", encoding="utf-8")


def run(*words: str, **given: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=NIGHT, **given)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The night of this institute, closed; its place and its catalogue's folder."""
    base = tmp_path_factory.mktemp("instituto")
    data, folder = base / "datos", base / "mi-eleccion"
    place = place_in(data, base / "publico", vouchers(data))
    order(place, "catalog", "template", str(folder))
    rules = folder / "reglas" / "son-2027.toml"
    order(place, "rules", "new", "son-2027", "--file", str(rules))
    text = rules.read_text(encoding="utf-8")
    changed = re.sub(r'(?m)^sin_dato = ".*"$', 'sin_dato = "Campo sin dato"', text)
    assert changed != text
    rules.write_text(changed, encoding="utf-8")
    order(place, "rules", "check", str(rules))
    edited(folder)
    with (folder / "sitios.csv").open("a", encoding="utf-8") as sites:
        sites.write("CCV-2,Segundo centro de captura\n")
    order(place, "catalog", "check", str(folder))
    files = files_in(folder)
    catalog = load_catalog(files)
    sheets = written_on(catalog, seed=7)
    plan = Plan("SON", files, catalog, sheets, len(sheets), 7, 0.05, 0)
    declared = replace(rehearsal_night("SON", interval=12, ceremony=True), zone="America/Hermosillo")
    place = prepare(plan, data, base / "publico", vouchers(data), declared)
    try:
        with stamper(place):
            play(plan, place, ceremonies=True)
    finally:
        embedded.stop(data / "instalacion" / "postgres")
    return place


def last(night: NightPlace) -> Path:
    index = json.loads((night.public / "index.json").read_bytes())
    assert index["fase"] == "final"
    folder: Path = night.public / index["carpeta"]
    return folder


def rows_of(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


def test_both_verifiers_accept_all_of_it(night: NightPlace) -> None:
    words = shlex.split(how_to_check(night))
    whole = run(sys.executable, "-m", *words)
    assert whole.returncode == 0, whole.stdout
    policy = night.data / "politica.txt"
    policy.write_bytes((night.public / "bitacora" / "politica.txt").read_bytes())
    ca = words[words.index("--ca") + 1]
    options = ["--ca", ca, "--tsa-ca", ca, "--log-policy", str(policy)]
    minimal = run(sys.executable, "-m", "integrity.minimal_verifier", str(night.public), *options)
    assert minimal.returncode == 0, minimal.stdout


def test_the_file_of_the_juntas_names_them_and_the_other_names_the_distrito(night: NightPlace) -> None:
    juntas = rows_of(last(night) / "SON_JUN_2027.csv")
    assert juntas[6][4:6] == ["ID_JUNTA_MUNICIPAL", "JUNTA_MUNICIPAL"]
    rows = [row for row in juntas[7:] if row[0] != "-"]
    assert [row[4:6] for row in rows] == [[f"{n:03}", name] for n, name in JUNTAS.items() for _ in range(4)]
    governor = rows_of(last(night) / "SON_GOB_2027.csv")
    assert governor[6][4:6] == ["ID_DISTRITO_LOCAL", "DISTRITO_LOCAL"]
    assert sorted(row[8] for row in governor[7:] if row[0] != "-") == [*"BBBCCCEEEEEES"]
    people = rows_of(last(night) / "SON_JUN_CANDIDATURAS_2027.csv")
    assert people[0][:2] == ["ID_ENTIDAD", "ID_JUNTA_MUNICIPAL"]


def test_the_coalition_is_shared_and_the_candidatura_comun_is_not(night: NightPlace) -> None:
    totals = json.loads((last(night) / "totals.json").read_bytes())["elecciones"]["JUN"]
    contests = {each["territorio"]: each for each in totals["contiendas"]}
    coalition, comun = contests[1], contests[2]
    assert "C_FRESNO_NOGAL" not in coalition["votos_por_partido"]
    votes, shares = coalition["votos"], coalition["votos_por_partido"]
    assert sum(shares.values()) == sum(votes.values())
    assert shares["FRESNO"] + shares["NOGAL"] == sum(votes[code] for code in ("FRESNO", "NOGAL", "C_FRESNO_NOGAL"))
    assert votes["C_FRESNO_NOGAL"] > 0
    assert comun["votos_por_partido"]["CC_FRESNO_NOGAL"] == comun["votos"]["CC_FRESNO_NOGAL"] > 0
    assert {each["tipo"] for each in totals["territorios"]} == {"entidad", "junta_municipal"}


def test_the_rules_are_those_of_the_institute(night: NightPlace) -> None:
    manifest: Mapping[str, Any] = json.loads((last(night) / "manifest.json").read_bytes())
    assert {held["nombre"] for held in manifest["reglas"].values()} == {"son-2027"}
    assert manifest["reglas"]["JUN"]["contenido"]["texts"]["sin_dato"] == "Campo sin dato"


def test_every_hour_that_people_read_is_that_of_sonora(night: NightPlace) -> None:
    """Of all that is published, nothing speaks of the hour of the centre, and every offset is that of the night."""
    texts = {
        path.relative_to(night.public): path.read_text(encoding="utf-8-sig")
        for path in night.public.rglob("*")
        if path.suffix in {".html", ".txt", ".csv", ".json", ".sello"}
    }
    for name, text in texts.items():
        assert "UTC-6" not in text, name
        assert "-06:00" not in text, name
        assert "hora del centro" not in text.lower(), name
        assert "centro del país" not in text, name
    manifest = json.loads((last(night) / "manifest.json").read_bytes())
    assert manifest["fecha_hora"].endswith("-07:00")
    assert rows_of(last(night) / "SON_JUN_2027.csv")[1][0].endswith("(UTC-7)")
    # In another zone the last capture of the rows would come after the corte that shows it, or long before the first.
    columns, *rows = rows_of(last(night) / "SON_JUN_2027.csv")[6:]
    said = [row[columns.index("FECHA_HORA_CAPTURA")] for row in rows]
    captured = [datetime.strptime(text, "%d/%m/%Y %H:%M:%S") for text in said if text != "-"]  # noqa: DTZ007 - local
    zero = json.loads((night.public / "cortes" / "0000" / "manifest.json").read_bytes())
    first, final = (datetime.fromisoformat(held["fecha_hora"][:19]) for held in (zero, manifest))
    assert first <= min(captured) <= max(captured) <= final
    assert "hora local (UTC-7)" in texts[Path(last(night).relative_to(night.public)) / "LEEME.txt"]
    assert "Horas locales de la elección (UTC-7)." in texts[Path("index.html")]
    assert manifest["zip"]["archivo"].startswith(f"zip/{manifest['fecha_hora'][:10].replace('-', '')}_")
    seals = [text for name, text in texts.items() if name.suffix == ".sello"]
    assert seals
    assert all("-07:00" in text for text in seals)


def test_people_find_the_pages_of_each_junta(night: NightPlace) -> None:
    for number, name in JUNTAS.items():
        page = (night.public / "JUN" / f"lugar-26-{number}.html").read_text(encoding="utf-8")
        assert f"Junta municipal {number}, {name}" in page
