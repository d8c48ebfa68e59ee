"""Percentages, the thirteen summary values, and coalition votes (`docs/rules.md` §4)."""

from decimal import ROUND_DOWN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prep.domain.catalog import Candidacy, Clase, ContestId, Option
from prep.domain.tally import SUMMARY_NAMES, Counts, candidacy_votes, distribute, percent, summary

PAN, PRI, PRD, ALL, PAN_PRI, NULOS = range(6)
OPTIONS = (
    Option(PAN, "PAN", Clase.PARTIDO),
    Option(PRI, "PRI", Clase.PARTIDO),
    Option(PRD, "PRD", Clase.PARTIDO),
    Option(ALL, "PAN-PRI-PRD", Clase.COALICION, (PAN, PRI, PRD)),
    Option(PAN_PRI, "PAN-PRI", Clase.COALICION, (PAN, PRI)),
    Option(NULOS, "NULOS", Clase.NULOS),
)


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (4682, 4778, "97.9907"),
        (2, 3, "66.6666"),
        (1, 3, "33.3333"),
        (0, 5, "0.0000"),
        (5, 5, "100.0000"),
        (1, 0, "0.0000"),
    ],
)
def test_a_percentage_is_truncated_to_four_decimals(part: int, whole: int, text: str) -> None:
    assert percent(part, whole) == text


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_percentage_equals_exact_decimal_truncation(part: int, whole: int) -> None:
    exact = (Decimal(part) * 100 / Decimal(whole)).quantize(Decimal("0.0001"), rounding=ROUND_DOWN)
    scaled = part * 10**6 // whole
    assert Decimal(percent(part, whole)) == Decimal(scaled) / 10**4
    assert abs(Decimal(percent(part, whole)) - exact) <= Decimal("0.0001")


def test_a_negative_percentage_is_a_defect() -> None:
    with pytest.raises(ValueError, match="-1"):
        percent(-1, 5)


def test_the_thirteen_values_of_tamaulipas_2023() -> None:
    counts = Counts(
        esperadas=4778,
        fuera_catalogo=4,
        contabilizadas=4682,
        no_contabilizadas=96,
        inconsistentes=1083,
        lista_nominal=2_688_320,
        votos_con_especiales=590_396,
        votos_sin_especiales=581_392,
    )
    assert tuple(summary(counts, with_especiales=True).values()) == (
        "4778", "4782", "4", "4778", "100.0000", "4682", "97.9907", "22.6663", "96", "2688320", "590396", "581392", "21.9615",
    )  # fmt: skip
    assert summary(counts, with_especiales=False)["PORCENTAJE_PARTICIPACION_CIUDADANA"] == "21.6265"
    assert tuple(summary(counts, with_especiales=True)) == SUMMARY_NAMES


def test_the_remaining_votes_of_a_combination_go_to_the_parties_with_most_own_votes() -> None:
    shares = distribute({PAN: 10, PRI: 30, PRD: 20, ALL: 5, PAN_PRI: 1, NULOS: 2}, OPTIONS)
    assert shares == {PAN: 10 + 1, PRI: 30 + 2 + 1, PRD: 20 + 2, NULOS: 2}


def test_if_own_votes_are_equal_the_order_of_the_ballot_decides() -> None:
    assert distribute({PAN: 7, PRI: 7, PRD: 7, ALL: 4}, OPTIONS) == {PAN: 9, PRI: 8, PRD: 8, NULOS: 0}


@given(st.fixed_dictionaries({position: st.integers(0, 10_000) for position in range(6)}))
def test_distribution_neither_loses_nor_adds_a_vote(votes: dict[int, int]) -> None:
    shares = distribute(votes, OPTIONS)
    assert sum(shares.values()) == sum(votes.values())
    assert all(shares[position] >= votes[position] for position in (PAN, PRI, PRD))
    assert {ALL, PAN_PRI}.isdisjoint(shares)


def test_homonymous_candidates_lose_no_vote() -> None:
    """Two candidates in one contest have the same name. Each keeps the votes of their own options."""
    first = Candidacy(ContestId(1), (PAN,), "María Hernández")
    second = Candidacy(ContestId(1), (PRI, PAN_PRI), "María Hernández")
    votes = {PAN: 11, PRI: 5, PAN_PRI: 2}
    assert [candidacy_votes(votes, each) for each in (first, second)] == [11, 7]
