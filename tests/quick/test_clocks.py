"""A clock is right if it is between our two readings; more than a minute from it is an alarm of that server alone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from prep.observe import CLOCKS, ClockSource, apart, clock_alarm, compare_clocks

AT = datetime(2027, 6, 7, 1, 0, tzinfo=UTC)
SECONDS = st.timedeltas(timedelta(), timedelta(hours=2))


@given(SECONDS, SECONDS, st.timedeltas(timedelta(hours=-2), timedelta(hours=2)))
def test_only_the_time_that_the_answer_cannot_explain_is_a_difference(
    there: timedelta, back: timedelta, ahead: timedelta
) -> None:
    before, after = AT, AT + there + back
    distance = apart(before, AT + there - ahead, after)
    assert abs(distance) <= abs(ahead)
    assert distance * (ahead / timedelta(seconds=1)) >= timedelta()
    assert abs(ahead - distance) <= there + back
    assert apart(before, AT + there, after) == timedelta()


def compared(source: ClockSource, ahead: timedelta, node: str = "") -> str | None:
    compare_clocks(source, before=AT, theirs=AT - ahead, after=AT, node=node)
    return clock_alarm()


@pytest.mark.parametrize("ahead", [CLOCKS + timedelta(seconds=1), -timedelta(minutes=2)])
def test_each_server_has_an_alarm_of_its_own(ahead: timedelta) -> None:
    seconds = abs(round(ahead.total_seconds()))
    kafka = f"el reloj de esta máquina difiere {seconds} s del de Kafka (nodo 2)"
    assert compared(ClockSource.POSTGRES, CLOCKS) is None
    assert compared(ClockSource.KAFKA, ahead, "2") == kafka
    assert compared(ClockSource.KAFKA, timedelta(), "1") == kafka
    told = REGISTRY.get_sample_value("prep_clock_apart_seconds", {"source": "kafka", "node": "2"})
    assert told == ahead.total_seconds()
    both = compared(ClockSource.POSTGRES, ahead)
    assert both == f"{kafka}; el reloj de esta máquina difiere {seconds} s del de la base de datos"
    assert compared(ClockSource.KAFKA, timedelta(), "2") != both
    assert compared(ClockSource.POSTGRES, timedelta()) is None
