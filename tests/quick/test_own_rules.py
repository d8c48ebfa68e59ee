"""An election's own rule set: from the catalogue's folder to the verdicts of the gate and of the verifiers."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from integrity.strict_json import Later, conform
from integrity.sums import Malformed
from integrity.tree.documents import PublishedContest, PublishedElection, PublishedOption, Rules
from integrity.tree.rows import CONTABILIZADAS, NO_CONTABILIZADAS, SIN_ACTA, VOTES, Judge
from integrity.tree.totals import summary
from prep.domain.rules import rule_set
from prep.files.catalog_files import CatalogErrors, files_in, load_catalog
from prep.operations import rules as command
from prep.rehearsal.synthetic import synthetic
from publisher.gate import Expected, check_election
from tests.makers.tree_maker import EDO, HEADER, YEAR, canonical, csv_bytes, make_tree, reseal, sha, write_catalogue
from tests.tamper.matrix import judge

OWN = json.loads(rule_set("ine-2023").canonical()) | {"name": "tlax-2027", "excede_alone": True}


def folder_with(rules: object, name: str = "tlax-2027") -> dict[str, bytes]:
    files, _ = synthetic(5, seed=1)
    elections = files["elecciones.csv"].replace(b"ine-2023", b"tlax-2027")
    return {**files, "elecciones.csv": elections, f"reglas/{name}.json": json.dumps(rules).encode()}


def test_an_election_states_the_whole_of_the_rules_that_its_folder_brings(tmp_path: Path) -> None:
    for name, content in folder_with(OWN).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    catalog = load_catalog(files_in(tmp_path))
    rules = rule_set(catalog.elections[0].rules)
    assert (rules.name, rules.excede_alone) == ("tlax-2027", True)
    assert catalog.digest != load_catalog(synthetic(5, seed=1)[0]).digest


@pytest.mark.parametrize(
    ("rules", "name", "said"),
    [
        (OWN | {"excede_applies": 1}, "tlax-2027", "reglas/tlax-2027.json: excede_applies: no es true o false"),
        (OWN, "otro", "el conjunto se llama «tlax-2027»; el archivo debe llamarse igual"),
        (OWN | {"name": "ine-2023"}, "ine-2023", "«ine-2023» ya es el nombre de otro conjunto de reglas"),
    ],
)
def test_own_rules_that_cannot_be_are_told_with_the_rest_of_the_catalogue(rules: object, name: str, said: str) -> None:
    with pytest.raises(CatalogErrors) as caught:
        load_catalog(folder_with(rules, name))
    assert said in caught.value.sentence


def test_the_draft_of_new_rules_is_right_and_a_wrong_file_is_told_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "reglas" / "tlax-2027.toml"  # a catalogue that was only begun has no such folder yet
    assert command.main(["new", "tlax-2027", "--file", str(path)]) == 0
    assert command.main(["check", str(path)]) == 0
    path.write_text(path.read_text().replace("version = 1", "version = 0").replace("= false", "= no"))
    assert command.main(["check", str(path)]) == 1
    path.write_text('name = "x"\nversion = 0\n')
    capsys.readouterr()
    assert command.main(["check", str(path)]) == 1
    assert "6 errores" in capsys.readouterr().err
    assert command.main(["list"]) == 0
    assert capsys.readouterr().out.count("(versión 1): ") == 4
    assert command.main(["show", "pue-2018"]) == 0
    assert rule_set("pue-2018").digest in capsys.readouterr().out


# --- the verdicts of the gate and of the verifiers ---------------------------------------------------------------------


def judged(tmp_path: Path, change: Callable[[Any], None], corte: int = 1) -> list[tuple[str, str]]:
    """Findings of the gate on a true tree whose manifest says something else of its rules or contests."""
    stage = make_tree(tmp_path) / "cortes" / f"{corte:04}"
    manifest = json.loads((stage / "manifest.json").read_bytes())
    change(manifest)
    (stage / "manifest.json").write_bytes(canonical(manifest))
    found = check_election(stage, tmp_path, "GOB", Expected(9, 0, [1]))
    return [(finding.check, finding.expected) for finding in found]


def test_the_gate_reads_the_switches_from_the_manifest(tmp_path: Path) -> None:
    def quiet(manifest: Any) -> None:
        manifest["reglas"]["GOB"]["contenido"]["sin_acta_not_counted"] = False

    found = judged(tmp_path, quiet, corte=2)
    assert {check for check, _ in found} <= {"trece_valores", "resumen"}
    assert found


def test_the_gate_multiplies_the_limit_by_the_votes_of_a_ballot(tmp_path: Path) -> None:
    def several(manifest: Any) -> None:
        [election] = [each for each in manifest["elecciones"] if each["codigo"] == "GOB"]
        for contest in election["contiendas"]:
            contest["votos_por_boleta"] = 5

    assert "contabilizada" in {check for check, _ in judged(tmp_path, several)}


def rules_of(*, alone: bool = False, not_counted: bool = True) -> Rules:
    texts = {"excede_lista_nominal": "Excede", "ilegible": "Ilegible"}
    return Rules(True, True, False, True, texts, alone, not_counted)  # as the manifest holds them


def blamed(observed: str, counted: str, *, alone: bool = False, ballots: int = 1) -> list[str]:
    options = (PublishedOption(0, "A", "partido", ()), PublishedOption(1, "NULOS", "nulos", ()))
    contest = PublishedContest(1, 29, 0, "", frozenset({0, 1}), ballots)
    election = PublishedElection(
        "X", "", "local", "entidad", "", "", {}, options, {(29, 0): contest}, rules_of(alone=alone)
    )
    cells = [
        "'290001B0100'",
        "'290001B01002'",
        "29",
        "T",
        "1",
        "D",
        "0001",
        "01",
        "B",
        "00",
        "1",
        "2",
        "0",
        "0",
        "0",
        "0",
    ]
    cells += ["250", "Ilegible", "250", "250", "100", "10", observed, counted, "D", "a" * 64]
    cells += ["06/06/2027 20:00:00"] * 3 + ["CATD", "Móvil", "Acta PREP", "0"]
    wrong: list[str] = []
    Judge(election).row(cells, lambda check, column, *, expected, found: wrong.append(column))
    return wrong


@pytest.mark.parametrize(
    ("observed", "alone", "ballots", "counted"),
    [("Excede, Ilegible", False, 1, "0"), ("Excede", True, 1, "0"), ("Ilegible", False, 3, "1")],
)
def test_the_verifier_reads_the_switches_and_the_votes_of_a_ballot(
    observed: str, alone: bool, ballots: int, counted: str
) -> None:
    assert blamed(observed, counted, alone=alone, ballots=ballots) == []
    assert blamed(observed, counted, alone=not alone, ballots=4 - ballots) != []


def test_the_verifier_leaves_sin_acta_out_if_the_rules_do() -> None:
    amounts = [0] * VOTES
    amounts[CONTABILIZADAS], amounts[NO_CONTABILIZADAS], amounts[SIN_ACTA] = 5, 3, 2
    told = [summary(amounts, 0, rules_of(not_counted=each), with_especiales=True) for each in (True, False)]
    assert [each["ACTAS_NO_CONTABILIZADAS"] for each in told] == ["3", "1"]
    assert {each["ACTAS_CAPTURADAS"] for each in told} == {"8"}


def test_a_field_that_came_later_may_be_absent_and_is_judged_if_it_is_there() -> None:
    shape = {"a": int, "b": Later(bool)}
    conform({"a": 1}, shape)
    conform({"a": 1, "b": False}, shape)
    for wrong in ({"a": 1, "b": 2}, {"b": True}, {"a": 1, "c": 1}):
        with pytest.raises(Malformed):
            conform(wrong, shape)


# --- both verifiers on whole trees ------------------------------------------------------------------------------------

EVERY = ("0000", "0001", "0002")


def edited(path: Path, change: Callable[[Any], None]) -> None:
    held = json.loads(path.read_bytes())
    change(held)
    path.write_bytes(canonical(held))


def stated(tree: Path, switches: dict[str, object], votes_per_ballot: int | None = None) -> None:
    """Each manifest states these switches for GOB, and these votes per ballot; every digest agrees with it."""

    def change(manifest: Any) -> None:
        rules = manifest["reglas"]["GOB"]
        rules["contenido"] |= switches
        rules["sha256"] = sha(canonical(rules["contenido"])[:-1])
        [election] = [each for each in manifest["elecciones"] if each["codigo"] == "GOB"]
        if votes_per_ballot is not None:
            election["contiendas"][0]["votos_por_boleta"] = votes_per_ballot

    for corte in EVERY:
        edited(tree / "cortes" / corte / "manifest.json", change)
    write_catalogue(tree)
    reseal(tree)


def printed(tree: Path, clave: str, column: str, value: str) -> None:
    """One cell of a row of GOB, in every corte in which it holds something."""
    for corte in EVERY:
        path = tree / "cortes" / corte / f"{EDO}_GOB_{YEAR}.csv"
        lines = list(csv.reader(path.read_bytes().decode("utf-8-sig").splitlines()))
        [row] = [line for line in lines if line and line[0] == f"'{clave}'"]
        row[HEADER.index(column)] = value if row[HEADER.index(column)] != "-" else "-"
        path.write_bytes(csv_bytes(lines))


def verdicts(tree: Path) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The checks that failed and that could not be made, of `integrity verify` and of `minimal_verifier.py`."""
    both = (judge(tree, [], minimal=minimal) for minimal in (False, True))
    return [(verdict.wrong, tuple(each for each in verdict.unchecked if each.startswith("CON"))) for verdict in both]


@pytest.mark.parametrize(
    ("observed", "switches", "wrong"),
    [
        ("Excede Lista Nominal", {"excede_alone": True}, ()),
        ("Excede Lista Nominal, Ilegible", {"excede_alone": True}, ("CON-10",)),
        ("Excede Lista Nominal, Ilegible", {"excede_alone": False}, ()),
        ("Excede Lista Nominal, Ilegible", {}, ()),
        ("Excede Lista Nominal", {}, ("CON-10",)),
    ],
)
def test_both_verifiers_know_if_excede_is_printed_alone(
    tmp_path: Path, observed: str, switches: dict[str, object], wrong: tuple[str, ...]
) -> None:
    tree = make_tree(tmp_path)
    printed(tree, "280750B0100", "NULOS", "Ilegible")
    printed(tree, "280750B0100", "OBSERVACIONES", observed)
    stated(tree, switches)
    assert verdicts(tree) == [(wrong, ())] * 2


@pytest.mark.parametrize(("votes", "wrong"), [(2, ()), (None, ("CON-10",)), (1, ("CON-10",)), (3, ("CON-10",))])
def test_both_verifiers_multiply_the_limit_by_the_votes_of_a_ballot(
    tmp_path: Path, votes: int | None, wrong: tuple[str, ...]
) -> None:
    """One acta is counted with 165 votes of 155 voters; the other exceeds with 115 votes of 40 + 10 voters."""
    tree = make_tree(tmp_path)
    printed(tree, "280749B0100", "REPRESENTANTES_PP_CI", "0")
    printed(tree, "280750B0100", "LISTA_NOMINAL", "40")
    stated(tree, {}, votes)
    found = verdicts(tree)
    assert found[0][0][: len(wrong)] == wrong
    assert found == [found[0]] * 2
    assert bool(found[0][0]) is bool(wrong)


@pytest.mark.parametrize(
    ("left_out", "switch", "wrong"), [(1, False, ()), (1, True, True), (0, False, True), (0, True, ())]
)
def test_both_verifiers_leave_sin_acta_out_only_if_the_rules_say_so(
    tmp_path: Path, left_out: int, switch: bool, wrong: object
) -> None:
    tree = make_tree(tmp_path)
    last = tree / "cortes" / EVERY[-1]
    name = "ACTAS_NO_CONTABILIZADAS"

    def fewer(resumen: dict[str, str]) -> None:
        resumen[name] = str(int(resumen[name]) - left_out)

    def in_totals(totals: Any) -> None:
        state = totals["elecciones"]["GOB"]
        elsewhere = ("distrito_local", 1)
        places = [each for each in state["territorios"] if (each["tipo"], each["id"]) != elsewhere]
        for each in (state, *state["contiendas"], *places):
            fewer(each["resumen"])

    def in_manifest(manifest: Any) -> None:
        [election] = [each for each in manifest["elecciones"] if each["codigo"] == "GOB"]
        fewer(election["resumen"])

    path = last / f"{EDO}_GOB_{YEAR}.csv"
    lines = list(csv.reader(path.read_bytes().decode("utf-8-sig").splitlines()))
    values = dict(zip(lines[3], lines[4], strict=True))
    fewer(values)
    lines[4] = list(values.values())
    path.write_bytes(csv_bytes(lines))
    edited(last / "totals.json", in_totals)
    edited(last / "manifest.json", in_manifest)
    stated(tree, {"sin_acta_not_counted": switch})
    found = verdicts(tree)
    assert found == [found[0]] * 2
    assert bool(found[0][0]) is bool(wrong)
    assert "CON-11" in found[0][0] or not wrong


@pytest.mark.parametrize("field", ["excede_alone", "sin_acta_not_counted"])
def test_both_verifiers_refuse_a_switch_that_is_no_boolean(tmp_path: Path, field: str) -> None:
    tree = make_tree(tmp_path)
    stated(tree, {field: 1})
    [found, other] = verdicts(tree)
    assert found[0] == other[0] != ()
