"""The statistics of people who type: intervals as published, and what they say of people that a test makes up."""

import random
from collections.abc import Sequence
from math import isclose, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prep.domain.quality import BothWrong, HourOfShift, Judged, Shift, Z, quartiles, trend, undetected, wilson

# Newcombe, Statistics in Medicine 17 (1998), table I, method 3: the score interval without continuity correction.
NEWCOMBE = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]


@pytest.mark.parametrize(("part", "whole", "low", "high"), NEWCOMBE)
def test_an_interval_is_the_published_one(part: int, whole: int, low: float, high: float) -> None:
    found = wilson(part, whole)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(1, 10**6).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole))))
def test_both_ends_are_as_far_as_the_score_test_reaches(drawn: tuple[int, int]) -> None:
    part, whole = drawn
    found = wilson(part, whole)
    assert 0 <= found.low <= found.share <= found.high <= 1
    for end in (found.low, found.high):
        if 0 < end < 1:
            assert isclose(abs(found.share - end), Z * sqrt(end * (1 - end) / whole), rel_tol=1e-6)


@pytest.mark.parametrize(("part", "whole"), [(-1, 5), (6, 5), (0, 0)])
def test_no_share_is_a_defect(part: int, whole: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(part, whole)


def drawn(chance: random.Random, captures: int, *, slips: float, fields: int = 20) -> list[tuple[int, int]]:
    """Captures of a person who slips by a row now and then: then half of the fields after it are wrong."""
    made = []
    for _ in range(captures):
        begins = chance.randrange(fields)
        wrong = sum(chance.random() < 0.5 for _ in range(fields - begins)) if chance.random() < slips else 0
        made.append((fields, wrong))
    return made


def share_of(fields: int) -> float:
    """The true share of wrong fields if every capture slips."""
    return (fields + 1) / 2 * 0.5 / fields


def test_an_interval_of_fields_holds_the_truth_though_errors_come_in_groups() -> None:
    chance = random.Random(7)
    truth = 0.1 * share_of(20)
    nights = [Judged.of(drawn(chance, 200, slips=0.1)) for _ in range(300)]
    ours = [night.by_field for night in nights]
    naive = [wilson(night.wrong, night.fields) for night in nights]
    covered = sum(each is not None and each.low <= truth <= each.high for each in ours) / len(ours)
    assert 0.91 <= covered <= 0.98
    # As if each field were a draw of its own: far too sure.
    assert sum(each.low <= truth <= each.high for each in naive) / len(naive) < 0.75


pairs = st.lists(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), max_size=30)


@given(pairs, pairs)
@settings(max_examples=40)
def test_groups_add_up_and_their_spread_is_that_of_their_captures(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    together = Judged.of([*one, *other])
    assert Judged.of(one) + Judged.of(other) == together
    assert isclose(
        together.spread(0.25), sum((wrong - 0.25 * fields) ** 2 for fields, wrong in [*one, *other]), abs_tol=1e-6
    )
    if together.fields:
        found, naive = together.by_field, wilson(together.wrong, together.fields)
        assert found is not None
        assert (found.low, found.high) == pytest.approx((min(found.low, naive.low), max(found.high, naive.high)))
    else:
        assert (together.by_field, together.by_capture) == (None, None)


def test_captures_count_once_however_much_is_wrong_in_them() -> None:
    found = Judged.of([(20, 0)] * 18 + [(20, 1), (20, 15)]).by_capture
    assert found == wilson(2, 20)


def test_quartiles_are_those_of_type_seven() -> None:
    # Hyndman and Fan (1996), type 7: R's quantile(c(1, 2, 3, 4, 10)) and quantile(1:4).
    five, four, one = quartiles([10, 1, 4, 2, 3]), quartiles([4, 3, 2, 1]), quartiles([8])
    assert five is not None
    assert four is not None
    assert one is not None
    assert (five.lower, five.median, five.upper) == (2, 3, 4)
    assert (four.lower, four.median, four.upper) == (1.75, 2.5, 3.25)
    assert (one.lower, one.median, one.upper) == (8, 8, 8)
    assert quartiles([]) is None


def test_a_trend_has_the_slope_of_cochran_and_armitage() -> None:
    # Agresti, Categorical Data Analysis, table 3.7: alcohol and malformations, scores doubled; z² = 6.57.
    table = {0: (17114, 48), 1: (14502, 38), 3: (793, 5), 8: (127, 1), 14: (38, 1)}
    hours = {hour: Judged.of([(1, 1)] * wrong + [(1, 0)] * (whole - wrong)) for hour, (whole, wrong) in table.items()}
    found = trend(hours)
    assert found is not None
    whole = sum(n for n, _ in table.values())
    share = sum(x for _, x in table.values()) / whole
    middle = sum(hour * n for hour, (n, _) in table.items()) / whole
    weight = sum(n * (hour - middle) ** 2 for hour, (n, _) in table.items())
    assert round(found.an_hour**2 * weight / (share * (1 - share)), 2) == 6.57


@pytest.mark.parametrize(("rising", "least", "most"), [(0.0, 0.0, 0.1), (0.03, 0.8, 1.0)])
def test_a_trend_is_seen_if_there_is_one_and_seldom_if_there_is_none(rising: float, least: float, most: float) -> None:
    chance = random.Random(11)

    def shift() -> dict[int, Judged]:
        return {hour: Judged.of(drawn(chance, 60, slips=0.05 + rising * hour)) for hour in range(8)}

    found = [trend(shift()) for _ in range(100)]
    seen = sum(each is not None and each.low > 0 for each in found) / len(found)
    assert least <= seen <= most


@pytest.mark.parametrize(
    "hours",
    [
        {0: [(20, 1)] * 50},
        {0: [(20, 0)] * 50, 1: [(20, 0)] * 50},
        {0: [(20, 1)] * 4, 1: [(20, 0)] * 5},
        {},
    ],
    ids=["one hour", "nothing wrong", "nine captures", "nothing"],
)
def test_a_trend_is_not_told_if_there_is_too_little_to_say(hours: dict[int, Sequence[tuple[int, int]]]) -> None:
    assert trend({hour: Judged.of(captures) for hour, captures in hours.items()}) is None


def test_a_shift_puts_its_hours_together() -> None:
    first = HourOfShift(Judged.of([(10, 0), (10, 1)]), (30.0, 50.0, 40.0), (25,))
    second = HourOfShift(Judged.of([(10, 2)]), (60.0,))
    shift = Shift({0: first, 2: second})
    assert (shift.captures, shift.judged) == (4, Judged.of([(10, 0), (10, 1), (10, 2)]))
    assert shift.seconds == quartiles([30, 40, 50, 60])
    assert shift.keys == quartiles([25])
    assert shift.trend is None


def test_the_chance_of_two_equal_errors_is_the_one_of_people_who_err_apart() -> None:
    """Two people who are wrong in a tenth of the fields, with one of three values: how often they agree on a wrong acta."""
    chance, fields, actas = random.Random(3), 5, 30_000

    def typed() -> list[int]:
        return [chance.randrange(1, 4) if chance.random() < 0.1 else 0 for _ in range(fields)]

    together = 0
    for _ in range(actas):
        one, other = typed(), typed()
        together += any(a == b != 0 for a, b in zip(one, other, strict=True))
    judged = Judged.of([(fields, 1), (fields, 0)] * 1000)
    found = undetected(judged, BothWrong(300, 100))
    assert found is not None
    assert isclose(found.estimate, together / actas, rel_tol=0.12)
    assert found.estimate < found.high < 2 * found.estimate


def test_without_a_field_that_two_had_wrong_the_worst_is_taken() -> None:
    judged = Judged.of([(20, 1)] * 10 + [(20, 0)] * 90)
    nothing_seen, half = undetected(judged, BothWrong()), undetected(judged, BothWrong(10, 5))
    assert nothing_seen is not None
    assert half is not None
    assert isclose(nothing_seen.estimate, 1 - (1 - 0.005**2) ** 20, rel_tol=1e-9)
    assert half.estimate < nothing_seen.estimate
    assert undetected(Judged(), BothWrong()) is None
