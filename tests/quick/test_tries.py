"""Wrong passwords are counted for each name at each address, and no other name or address changes that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.auth import FIRST_WAIT, FORGOTTEN, FREE_TRIES, LONGEST_WAIT, Tries, network_of
from prep.errors import Unavailable
from tests.makers.capture_room import Ticks

HERE, THERE = "198.51.100.7", "203.0.113.9"


def waits(tries: Tries, login: str = "ana", address: str = HERE) -> int:
    """Seconds that the next try must wait; a try that need not counts as wrong."""
    try:
        tries.begin(login, address)
    except Unavailable as error:
        return error.retry_after
    return 0


def locked(ticks: Ticks, **how: int) -> Tries:
    tries = Tries(ticks, **how)
    assert [waits(tries) for _ in range(FREE_TRIES + 1)] == [0] * FREE_TRIES + [FIRST_WAIT]
    return tries


def test_the_wait_doubles_up_to_its_longest_and_is_told() -> None:
    ticks, told = Ticks(), []
    tries = locked(ticks)
    for _ in range(10):
        told.append(waits(tries))
        ticks.at += told[-1]
        assert waits(tries) == 0
    assert told == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    with pytest.raises(Unavailable, match="espere 15 minutos"):
        tries.begin("ana", HERE)
    ticks.at += LONGEST_WAIT + FORGOTTEN
    assert waits(tries) == 0


def test_the_right_password_begins_anew() -> None:
    ticks = Ticks()
    tries = locked(ticks)
    ticks.at += FIRST_WAIT
    tries.begin("ana", HERE).was_right()
    assert [waits(tries) for _ in range(FREE_TRIES)] == [0] * FREE_TRIES


OTHERS = st.tuples(st.sampled_from(["ana", "beto", "\ud800"]) | st.text(), st.sampled_from([HERE, THERE, "", "::1"]))


@given(st.lists(OTHERS.filter(lambda other: other != ("ana", HERE)), max_size=20), st.integers(1, 8))
def test_nobody_else_ends_a_wait_or_makes_one(others: list[tuple[str, str]], kept: int) -> None:
    """In a memory of any size: names push out no name that waits, and a name that was not tried never waits."""
    tries = locked(Ticks(), kept=kept)
    for login, address in others:
        waits(tries, login, address)
        assert len(tries) <= kept
    assert waits(tries) == FIRST_WAIT
    assert waits(tries, "la persona", "192.0.2.1") == 0


def test_a_memory_that_is_full_of_waits_keeps_them_and_lets_people_in() -> None:
    ticks = Ticks()
    tries = locked(ticks, kept=1)
    assert [waits(tries, "beto") for _ in range(2 * FREE_TRIES)] == [0] * 2 * FREE_TRIES
    assert waits(tries) == FIRST_WAIT
    ticks.at += FIRST_WAIT + FORGOTTEN
    assert waits(tries, "beto") == 0
    assert len(tries) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:198.51.100.7", "198.51.100.7", True),
        ("198.51.100.7", "198.51.100.8", False),
        ("x", "y", False),
    ],
)
def test_a_sender_who_may_choose_its_address_is_still_one(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) == same
