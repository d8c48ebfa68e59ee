"""Real elections go through the whole installation, by the public command. The results are the official numbers."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from load_tests.official_pages import compare_pages
from prep.domain.rules import rule_set
from prep.files.official import read_official
from prep.rehearsal.installation import log_key_of
from prep.rehearsal.replay import compare, examine, sheets
from tests.makers.official_files import Official
from tests.makers.waiting import NIGHT


def prep(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
    return subprocess.run(
        [sys.executable, "-m", "prep.operations", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=NIGHT,
        check=False,
    )


ELECTIONS = {
    "ine-2023": ("tamaulipas-2023/TAMPS_SEN_FED_ext_2023.csv", 4782, 0),
    "qroo-2019": ("quintana-roo-2019/QROO_DIP_LOC_2019.csv", 2136, 0),
    "pue-2018": ("puebla-2018/PUE_GOB_2018.csv", 7548, 19),
}


@pytest.mark.parametrize("rules", ELECTIONS)
def test_the_defects_of_a_file_are_found_from_its_own_arithmetic(official: Official, rules: str) -> None:
    name, rows, lost = ELECTIONS[rules]
    file = read_official(official(name).read_bytes())
    caveats = examine(file, rule_set(rules))
    assert (len(file.rows), len(caveats.lost)) == (rows, lost)
    if rules == "pue-2018":
        assert sorted(caveats.broken) == ["210109B010005", "210113E010005"]
        assert len(caveats.reprinted) == 187
        assert set(caveats.summary) == {"ACTAS_NO_CONTABILIZADAS"}
        assert sum("excede" in reason for reason in caveats.lost.values()) == 18
    else:
        assert (caveats.broken, caveats.reprinted, caveats.summary) == ({}, {}, {})


def test_a_difference_of_one_vote_is_found(official: Official) -> None:
    """The comparison at the end of every replay can fail."""
    data = official(ELECTIONS["ine-2023"][0]).read_bytes()
    file, rules = read_official(data), rule_set("ine-2023")
    other = read_official(data.replace(b"'280749B0100','280749B01002',28,TAMAULIPAS,001,Nuevo Laredo,0749,01,B,00,1,2,450,89,4,93,9,", b"'280749B0100','280749B01002',28,TAMAULIPAS,001,Nuevo Laredo,0749,01,B,00,1,2,450,89,4,93,8,"))  # fmt: skip
    differing = [each.what for each in compare(file, other, rules, examine(file, rules)) if not each.equal]
    assert differing == ["280749B01002 PAN"]
    assert len(sheets(file, rules, examine(file, rules), candidatura="1")) == 4782


@pytest.fixture(scope="module")
def quintana_roo(official: Official, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished replay, with its report and its published tree."""
    tmp_path = tmp_path_factory.mktemp("quintana-roo")
    name = ELECTIONS["qroo-2019"][0]
    report = tmp_path / "informe.json"
    done = prep(
        "replay", str(official(name)), "--rules", "qroo-2019", "--public", str(tmp_path / "publico"),
        "--data", str(tmp_path / "datos"), "--json", str(report),
        "--interval", "90", "--image-width", "1000",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return tmp_path


def test_a_replay_of_quintana_roo_gives_the_official_numbers(quintana_roo: Path) -> None:
    """2,136 rows with their images are drawn, sent, read, typed by two people, published, and compared value by value."""
    compared = json.loads((quintana_roo / "informe.json").read_text())
    assert compared["not_replayable"] == {}
    assert all(each["equal"] for each in compared["compared"])
    assert len({each["value"].split()[0] for each in compared["compared"]}) == 13 + ELECTIONS["qroo-2019"][1]
    public = quintana_roo / "publico"
    verified = subprocess.run(
        [sys.executable, "-m", "integrity", "verify", public, "--log-key", log_key_of(public)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout[-3000:]


def test_coalition_votes_are_distributed_as_the_institute_did(official: Official, quintana_roo: Path) -> None:
    """The votes of each party are equal in all 15 districts and in the state."""
    published, tree = official("quintana-roo-2019/published-json"), quintana_roo / "publico"
    index = json.loads((tree / "index.json").read_text())
    totals = json.loads((tree / index["carpeta"] / "totals.json").read_text())
    [election] = totals["elecciones"].values()
    contests = election["contiendas"]
    assert isinstance(contests, list)
    districts = json.loads((published / "distrito_votos_pp_ci.json").read_text())["json"]
    assert len(districts) == len(contests) == 15
    theirs = {row["id_distrto"]: _parties(row) for row in districts}
    ours = {contest["territorio"]: _ours(contest["votos_por_partido"]) for contest in contests}
    assert ours == theirs
    state = {row["partido"]: row["votos"] for row in json.loads((published / "entidad_pp_ci.json").read_text())["json"]}
    votes = election["votos_por_partido"]
    assert isinstance(votes, dict)
    assert _ours(votes) == _parties(state)


FIGURE = re.compile(r'<data value="([^"]*)" data-de="([^"]*)">')


def test_the_pages_say_the_official_numbers_of_the_state_of_all_districts_and_of_200_casillas(
    official: Official, quintana_roo: Path
) -> None:
    """What a citizen reads is what the institute published: its own file is the oracle, read without our publisher.

    `python -m load_tests.official_pages` compares any other replay in the same way.
    """
    file = read_official(official(ELECTIONS["qroo-2019"][0]).read_bytes())
    public = quintana_roo / "publico"
    found = compare_pages(public, file)
    assert found.differences == []
    assert (found.state >= 6, len(found.places), found.casillas) == (True, 15, 200)
    assert min(found.places.values()) >= 8
    assert found.cells > 2000
    [code] = [each["codigo"] for each in json.loads((public / "index.json").read_text())["elecciones"]]
    districts = json.loads((official("quintana-roo-2019/published-json") / "distrito_votos_pp_ci.json").read_text())[
        "json"
    ]
    for row in districts:
        page = _figures(public / code / f"lugar-23-{row['id_distrto']}.html")
        ours = {
            each.rpartition("/")[2]: value for each, value in page.items() if ":partido/" in each and "%" not in each
        }
        assert _ours({name: int(value) for name, value in ours.items()}) == _parties(row)
    # One vote more in the official file: the comparison can fail.
    row = next(row for row in file.rows if row.contabilizada == "1" and isinstance(row.cells[0], int))
    file.rows[file.rows.index(row)] = replace(row, cells=(int(row.cells[0] or 0) + 1, *row.cells[1:]))
    assert any("votos" in each for each in compare_pages(public, file).differences)


def _figures(page: Path) -> dict[str, str]:
    return {told: value for value, told in FIGURE.findall(page.read_text(encoding="utf-8"))}


NAMES = (
    "pan",
    "pri",
    "prd",
    "pvem",
    "pt",
    "mc",
    "morena",
    "mas",
    "cqroo",
    "pesqroo",
    "cand_ind",
    "no_registrados",
    "nulos",
)


def _parties(row: dict[str, int]) -> dict[str, int]:
    return {name: row[name] for name in NAMES}


def _ours(votes: dict[str, int]) -> dict[str, int]:
    said = dict.fromkeys(NAMES, 0)
    for code, count in votes.items():
        name = "cand_ind" if code.startswith("CAND_IND") else code.lower().replace("registradas", "registrados")
        said[name] += count
    return said
