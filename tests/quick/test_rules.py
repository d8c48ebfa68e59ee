"""The criteria of `docs/rules.md` §4-5, each at its boundary, under each rule set."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prep.domain.entry import Field, Mark, Values
from prep.domain.rules import (
    FOLDER,
    RULE_SETS,
    SIN_ACTA,
    Contabilizada,
    Observation,
    RuleErrors,
    RuleSet,
    assess,
    assess_sin_acta,
    read_rules,
    rule_set,
    vote_limit,
)
from prep.errors import Rejected

I, S, X = Mark.ILEGIBLE, Mark.SIN_DATO, Mark.NO_EN_BOLETA  # noqa: E741


def acta(*votes: Field) -> Values:
    return Values(header=(0, 0, 0, 0), votes=votes, total=0)


def verdict(rules: str, *votes: Field, limit: int | None = None) -> tuple[str, int, int]:
    said = assess(acta(*votes), limit=limit, rules=rule_set(rules))
    return rule_set(rules).published(said.observations), int(said.contabilizada), said.calculado


@pytest.mark.parametrize(
    ("lista_nominal", "representantes", "boletas", "limit"),
    [(500, 7, None, 507), (500, 7, 900, 507), (0, 7, 1500, 1507), (0, 7, None, None), (0, 0, 0, 0)],
)
def test_the_limit_of_votes(lista_nominal: int, representantes: int, boletas: int | None, limit: int | None) -> None:
    assert vote_limit(lista_nominal, representantes, boletas) == limit


@pytest.mark.parametrize(("votes", "counted"), [(507, 1), (508, 0)])
def test_excede_is_strictly_more_than_the_limit(votes: int, counted: int) -> None:
    assert verdict("ine-2023", votes, limit=507) == ("Excede Lista Nominal" * (1 - counted), counted, votes)


def test_no_limit_at_all_where_the_catalogue_states_none() -> None:
    assert verdict("ine-2023", 99_999, limit=None) == ("", 1, 99_999)


def test_quintana_roo_does_not_apply_excede() -> None:
    assert verdict("qroo-2019", 900, limit=507) == ("", 1, 900)


@pytest.mark.parametrize(
    ("votes", "text", "counted"),
    [
        ((0, 0, 0), "", 1),
        ((1, S, 2), "Sin dato", 1),
        ((1, I, 2), "Ilegible", 1),
        ((I, 4, S), "Ilegible, Sin dato", 1),
        ((I, I, I), "Todos los campos ilegibles", 0),
        ((S, S, S), "Todos los campos vacíos", 0),
        ((I, S, I), "Ilegible, Sin dato", 1),
        ((X, S, S), "Todos los campos vacíos", 0),
        ((X, 0, X), "", 1),
    ],
)
def test_what_ine_2023_observes_of_fields_without_a_number(votes: tuple[Field, ...], text: str, counted: int) -> None:
    assert verdict("ine-2023", *votes)[:2] == (text, counted)


def test_several_observations_are_shown_together() -> None:
    assert verdict("ine-2023", 600, I, S, limit=507) == ("Excede Lista Nominal, Ilegible, Sin dato", 0, 600)


@pytest.mark.parametrize(("rules", "counted"), [("ine-2023", 1), ("ine-2019", 0), ("qroo-2019", 0), ("pue-2018", 0)])
def test_illegible_and_blank_mixed_is_a_rule_of_the_election(rules: str, counted: int) -> None:
    assert verdict(rules, I, S)[1:] == (counted, 0)


def test_ine_2019_prints_the_partial_text_beside_the_whole() -> None:
    assert verdict("ine-2019", S, S)[0] == "Todos los campos vacíos, Sin dato"


def test_quintana_roo_has_one_text_for_both() -> None:
    assert verdict("qroo-2019", 1, I, S)[0] == "ALGUN DATO ILEGIBLE O SIN DATO"
    assert verdict("qroo-2019", I, S)[0] == "TODOS ILEGIBLES O SIN DATO"


def test_a_criterion_without_a_text_is_not_printed() -> None:
    assert verdict("pue-2018", 1, S) == ("", 1, 1)


def test_blank_header_and_a_wrong_written_total_are_no_observation() -> None:
    values = Values(header=(S, I, S, S), votes=(3, 4), total=9)
    said = assess(values, limit=100, rules=rule_set("ine-2023"))
    assert (said.observations, said.contabilizada, said.calculado) == ((), Contabilizada.SI, 7)


@pytest.mark.parametrize(("kind", "text"), list(zip(SIN_ACTA, ("(1)", "(2)", "(3)", "(4)"), strict=True)))
def test_sin_acta_is_captured_and_not_counted(kind: Observation, text: str) -> None:
    said = assess_sin_acta(kind, rule_set("ine-2023"))
    assert said.contabilizada is Contabilizada.NO
    assert not said.inconsistent
    assert rule_set("ine-2023").published(said.observations) == f"Sin acta{text}"


def test_a_kind_of_sin_acta_that_the_election_does_not_use_is_refused() -> None:
    with pytest.raises(Rejected):
        assess_sin_acta(Observation.SIN_ACTA_4, rule_set("qroo-2019"))


def test_identification_by_another_procedure_is_observed_and_counted() -> None:
    said = assess(acta(1), limit=10, rules=rule_set("ine-2023"), proceso_tecnico=True)
    assert (said.observations, said.contabilizada) == ((Observation.PROCESO_TECNICO,), Contabilizada.SI)
    assert not said.inconsistent


def test_an_unknown_rule_set_is_named_with_those_there_are() -> None:
    with pytest.raises(Rejected, match="ine-2023"):
        rule_set("ine-2042")


@pytest.mark.parametrize("rules", RULE_SETS.values(), ids=RULE_SETS)
def test_a_rule_set_is_published_as_data_that_holds_every_switch(rules: RuleSet) -> None:
    assert set(json.loads(rules.canonical())) == {
        "name", "version", "mixed_without_number_counts", "excede_applies", "partial_beside_all",
        "last_corte_with_especiales", "texts",
    }  # fmt: skip


DIGESTS = {
    "ine-2019": "619e76e86203fca82413920605377bc1f66ab65fed897965f88ff4dd7ebc7381",
    "ine-2023": "6f07c35e23958b5d3250a69b0fb7aa231f257b215b029f20d66d91242ac7c40e",
    "pue-2018": "9bbfaef19c992c843a26554df3852b2b7de125ceed5c5b9878705ed9dbd6714e",
    "qroo-2019": "0682a0fab260ab3363e0caaa17bfa25a2fc1ded2ad57e5fd53c6bff8112e6e3e",
}
"""Published in manifests: a switch that came later must not change them."""


def test_the_known_rule_sets_have_the_digests_that_were_published() -> None:
    assert {name: rules.digest for name, rules in RULE_SETS.items()} == DIGESTS


def own(**changes: object) -> bytes:
    content = json.loads(rule_set("ine-2023").canonical()) | {"name": "tlax-2027"} | changes
    return json.dumps({key: value for key, value in content.items() if value is not None}).encode()


def test_a_rule_set_that_an_election_brings_is_read_from_json_and_from_toml() -> None:
    rules = read_rules("tlax-2027.json", own(excede_alone=True))
    assert (rules.name, rules.excede_alone, rules.sin_acta_not_counted) == ("tlax-2027", True, True)
    assert rule_set(rules.canonical().decode()) == rules
    assert json.loads(rules.canonical())["excede_alone"] is True


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", ["línea 1: no es JSON"]),
        (b"[]", ["no es un conjunto de reglas"]),
        (b'{"name": "a", "name": "b"}', ["una clave está dos veces"]),
        (b"[" * 100_000, ["no se puede leer: tiene un número o una lista"]),
        (b'{"version": ' + b"9" * 5000 + b"}", ["no se puede leer: tiene un número o una lista"]),
        (b"\xff", ["no está en UTF-8"]),
        (own(texts={"excede_lista_nominal": "Vac\u00edo", "sin_dato": "VACIO", "sin_acta_1": "S", "fuera_de_catalogo": "F"}),
         ["texts.sin_dato: es el mismo texto que excede_lista_nominal"]),
        (own(excede_applies="si", version=0, otra=1), ["«otra» no se conoce", "version:", "excede_applies: no es true"]),
        (own(excede_applies=None, name="Con Espacio"), ["name:", "excede_applies: falta"]),
        (own(texts={"nada": "x", "ilegible": 3, "sin_dato": "a, b"}),
         ["texts.nada: no es", "texts.ilegible: no es", "texts.sin_dato: no puede", "fuera_de_catalogo: falta",
          "excede_lista_nominal: falta", "sin_acta_1: falta"]),
        (own(texts={"excede_lista_nominal": "Uno", "ilegible": "uno", "sin_acta_1": "S", "fuera_de_catalogo": "F"}),
         ["texts.ilegible: es el mismo texto que excede_lista_nominal"]),
    ],
)  # fmt: skip
def test_every_error_of_a_rule_set_is_told_at_once(data: bytes, said: list[str]) -> None:
    with pytest.raises(RuleErrors) as caught:
        read_rules("tlax-2027.json", data)
    assert len(caught.value.errors) == len(said)
    assert all(words in error for words, error in zip(said, caught.value.errors, strict=True))


def test_the_editor_that_wrote_a_rule_set_does_not_matter() -> None:
    text = (FOLDER / "qroo-2019.toml").read_text()
    for end in ("\n", "\r\n", "\r"):
        data = b"\xef\xbb\xbf" + text.replace("\n", end).encode()
        assert read_rules("qroo-2019.toml", data) == rule_set("qroo-2019")
    with pytest.raises(RuleErrors, match="línea 3: no es TOML"):
        read_rules("x.toml", b'name = "x"\n\nversion = uno\n')


def test_excede_alone_hides_what_else_there_is_to_see_and_counts_no_other_way() -> None:
    rules = read_rules("tlax-2027.json", own(excede_alone=True))
    said = assess(acta(90, I, S), limit=80, rules=rules)
    assert (said.observations, said.contabilizada, said.inconsistent) == ((Observation.EXCEDE,), Contabilizada.NO, True)


@pytest.mark.parametrize(("ballots", "limit"), [(1, 510), (5, 2550)])
def test_the_limit_is_the_ballots_times_the_votes_of_each(ballots: int, limit: int) -> None:
    assert vote_limit(500, 10, None, ballots) == limit
    assert vote_limit(0, 10, 500, ballots) == limit
    assert vote_limit(0, 10, None, ballots) is None


FIELDS = st.one_of(st.integers(0, 999), st.sampled_from([I, S, X]))


@given(st.lists(FIELDS, min_size=1, max_size=20), st.sampled_from(sorted(RULE_SETS)), st.integers(0, 3000))
def test_with_any_capture_the_sum_is_of_the_numbers_and_excess_never_counts(
    votes: list[Field], rules: str, limit: int
) -> None:
    said = assess(acta(*votes), limit=limit, rules=rule_set(rules))
    assert said.calculado == sum(v for v in votes if isinstance(v, int))
    if Observation.EXCEDE in said.observations:
        assert said.calculado > limit
        assert said.contabilizada is Contabilizada.NO
    printed = rule_set(rules).published(said.observations)
    assert next(csv.reader([printed]), []) is not None
    assert "\n" not in printed
