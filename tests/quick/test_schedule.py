"""The clock alone decides when a corte is due: on a grid of times, a late one at once and once, and none after the last."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prep.domain.corte import Corte, Phase
from publisher.cut import Order
from publisher.schedule import Schedule

START = datetime(2027, 6, 7, 2, 0, tzinfo=UTC)
FIVE = timedelta(minutes=5)
SECOND = timedelta(seconds=1)
NIGHT = Schedule(START, START + timedelta(hours=20), FIVE, close_when_complete=True)


def published(number: int, at: datetime, due: datetime | None, phase: Phase = Phase.EN_CURSO) -> Corte:
    return Corte(number, at, phase, due, simulacro=True, sums="0" * 64)


ZERO = published(0, START - timedelta(hours=1), START, Phase.CERO)


def due(schedule: Schedule, now: datetime, last: Corte | None, *, complete: bool = False) -> Order | None:
    return schedule.due(now, last, first=ZERO.at, complete=complete)


def test_corte_0_is_due_at_once_and_announces_the_start() -> None:
    assert due(NIGHT, START - timedelta(hours=2), None) == Order(Phase.CERO, START - timedelta(hours=2), START)


def test_before_the_start_no_other_corte_is_due() -> None:
    assert due(NIGHT, START - SECOND, ZERO) is None
    assert due(NIGHT, START - SECOND, ZERO, complete=True) is None


def test_the_first_corte_with_data_is_due_at_the_start() -> None:
    assert due(NIGHT, START, ZERO) == Order(Phase.EN_CURSO, START, START + FIVE)


def test_no_corte_is_due_before_its_time() -> None:
    last = published(1, START, START + FIVE)
    assert due(NIGHT, START + FIVE - SECOND, last) is None
    assert due(NIGHT, START + FIVE, last) is not None


def test_a_late_corte_is_cut_at_once_and_the_grid_stays() -> None:
    """The publisher slept for 17 minutes: it cuts one corte, not four, and the next is on the grid again."""
    last = published(1, START, START + FIVE)
    woken = START + timedelta(minutes=17)
    assert due(NIGHT, woken, last) == Order(Phase.EN_CURSO, woken, START + timedelta(minutes=20))


def test_the_corte_at_the_end_is_the_last() -> None:
    end = START + timedelta(hours=20)
    before = published(9, end - timedelta(minutes=2), end)
    assert due(NIGHT, end - SECOND, before) is None
    assert due(NIGHT, end, before) == Order(Phase.FINAL, end, None)


def test_no_corte_announces_another_after_the_end() -> None:
    end = START + timedelta(hours=20)
    late = end - timedelta(minutes=2)
    order = due(NIGHT, late, published(9, late - FIVE, late - SECOND))
    assert order is not None
    assert order.due == end


def test_no_corte_follows_the_last() -> None:
    end = START + timedelta(hours=20)
    assert due(NIGHT, end + FIVE, published(9, end, None, Phase.FINAL)) is None


@pytest.mark.parametrize(("closes", "phase"), [(True, Phase.FINAL), (False, None)])
def test_if_all_actas_are_in_the_setting_decides_whether_the_last_corte_waits(
    closes: bool, phase: Phase | None
) -> None:
    order = due(
        replace(NIGHT, close_when_complete=closes), START + SECOND, published(1, START, START + FIVE), complete=True
    )
    assert (order.phase if order else None) == phase


def test_without_a_start_the_night_begins_with_corte_0() -> None:
    now = Schedule(None, None, FIVE, close_when_complete=False)
    first = due(now, START, None)
    assert first == Order(Phase.CERO, START, START)
    zero = published(0, START, START, Phase.CERO)
    second = now.due(START + SECOND, zero, first=START, complete=False)
    assert second == Order(Phase.EN_CURSO, START + SECOND, START + FIVE)


def test_a_night_lasts_at_most_a_day() -> None:
    endless = replace(NIGHT, end=None)
    day = START + timedelta(hours=24)
    order = due(endless, day, published(288, day - FIVE, day))
    assert order is not None
    assert order.phase is Phase.FINAL


def test_a_clock_that_went_back_makes_no_corte() -> None:
    last = published(3, START + timedelta(minutes=10), START + timedelta(minutes=15))
    assert due(NIGHT, START + timedelta(minutes=9), last) is None


@given(steps=st.lists(st.integers(0, 1800), min_size=1, max_size=60))
def test_each_corte_keeps_its_announced_time_for_any_times_of_looking(steps: list[int]) -> None:
    """The publisher looks at random times. The cortes ascend in time, none comes before its promise, and each promise is
    in the future."""
    last: Corte | None = None
    at = START - timedelta(minutes=30)
    for seconds in steps:
        at += timedelta(seconds=seconds)
        order = NIGHT.due(at, last, first=START - timedelta(minutes=30), complete=False)
        if order is None:
            assert last is not None
            assert at <= last.at or (last.due is None or at < last.due)
            continue
        assert order.at == at
        assert last is None or (last.due is not None and last.at < at and last.due <= at)
        if order.phase is Phase.CERO:
            assert order.due == max(at, START)  # a publisher that is late cuts at once
        else:
            assert order.due is None or (order.due > at and (order.due - START) % FIVE == timedelta())
        last = published(0 if last is None else last.number + 1, at, order.due, order.phase)
