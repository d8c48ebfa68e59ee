"""The life of one acta: every legal move works, every other is refused; and the result of two or three captures."""

import inspect
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from prep.domain import acta
from prep.domain.acta import LEGAL, Capture, Estado, IllegalMove, Move, Round, after
from prep.domain.entry import AnotherPerson, Choose, Values
from prep.errors import Rejected


def values(number: int) -> Values:
    return Values(header=(0, 0, 0, 0), votes=(number,), total=number)


def capture(person: int, number: int = 1) -> Capture:
    return Capture(person, 1, values(number))


def drawn() -> dict[tuple[Estado, Move], Estado]:
    """The moves in the drawing of the module.

    An arrow is `A ──move──► B`, or `A | B ──move──► C` for several states.
    """
    moves: dict[tuple[Estado, Move], Estado] = {}
    for line in (inspect.getdoc(acta) or "").splitlines():
        stations = re.split(r"\s*──(.+?)──►\s*", line.strip())
        for befores, move, then in zip(stations[:-1:2], stations[1::2], stations[2::2], strict=True):
            for before in befores.split(" | "):
                key = Estado(before), Move(move)
                assert key not in moves, f"drawn twice: {key}"
                moves[key] = Estado(then)
    return moves


@pytest.mark.parametrize("estado", Estado)
@pytest.mark.parametrize("move", Move)
def test_a_move_is_legal_if_and_only_if_the_table_has_it(estado: Estado, move: Move) -> None:
    if (estado, move) in LEGAL:
        assert after(estado, move) is LEGAL[estado, move]
    else:
        with pytest.raises(IllegalMove, match=f"^un acta {estado.value} no admite {move.value}$"):
            after(estado, move)


def test_the_drawing_in_the_module_is_the_table() -> None:
    assert drawn() == LEGAL


def test_every_state_can_be_reached_and_every_move_is_used() -> None:
    assert {Estado.ESPERADA, *LEGAL.values()} == set(Estado)
    assert {move for _, move in LEGAL} == set(Move)


@given(moves=st.lists(st.sampled_from(Move), max_size=40))
def test_only_a_verified_acta_is_published_and_only_a_published_acta_is_compared(
    moves: list[Move],
) -> None:
    estado, done = Estado.ESPERADA, [Estado.ESPERADA]
    for move in moves:
        try:
            estado = after(estado, move)
        except IllegalMove:
            continue
        done.append(estado)
    for before, now in pairwise(done):
        assert now is not Estado.PUBLICADA or before is Estado.VERIFICADA
        assert now is not Estado.COTEJADA or before is Estado.PUBLICADA


def test_the_same_person_never_captures_a_round_twice() -> None:
    with pytest.raises(Rejected, match="misma persona"):
        Round().with_capture(capture(7)).with_capture(capture(7, 2))


def test_a_round_with_two_equal_captures_accepts_no_other_capture() -> None:
    with pytest.raises(Rejected, match="no espera otra captura"):
        Round((capture(1), capture(2))).with_capture(capture(3))


def test_two_different_captures_verify_no_values() -> None:
    with pytest.raises(Rejected, match="otra persona"):
        Round((capture(1, 1), capture(2, 2))).verified()


def test_if_two_captures_agree_no_other_values_can_be_chosen() -> None:
    agreed = Round((capture(1), capture(2)))
    assert agreed.verified() == agreed.verified(values(1)) == values(1)
    with pytest.raises(Rejected, match="no hay nada que resolver"):
        agreed.verified(values(2))


def test_a_resolution_must_be_one_of_the_three() -> None:
    three = Round(tuple(capture(person, person) for person in (1, 2, 3)))
    with pytest.raises(Rejected, match="elegir"):
        three.verified()
    with pytest.raises(Rejected, match="una de las tres"):
        three.verified(values(4))
    assert three.verified(values(3)) == values(3)


class AnyRound(RuleBasedStateMachine):
    """People type at random. A round verifies only values that two people agree on, or one of three captures."""

    def __init__(self) -> None:
        super().__init__()
        self.round = Round()

    @rule()
    def recapture(self) -> None:
        self.round = Round()

    @rule(person=st.integers(1, 4), number=st.integers(0, 2))
    def type_it(self, person: int, number: int) -> None:
        try:
            self.round = self.round.with_capture(capture(person, number))
        except Rejected:
            assert person in {each.person for each in self.round.captures} or not isinstance(
                self.round.next, AnotherPerson
            )

    @rule(number=st.none() | st.integers(0, 2))
    def verify(self, number: int | None) -> None:
        typed = [each.values for each in self.round.captures]
        try:
            verified = self.round.verified(None if number is None else values(number))
        except Rejected:
            return
        assert verified in typed
        assert typed.count(verified) == 2 or (len(typed) == 3 and number is not None)

    @invariant()
    def nobody_types_twice(self) -> None:
        people = [each.person for each in self.round.captures]
        assert len(people) == len(set(people)) <= 3
        differ = len({str(each.values) for each in self.round.captures})
        assert isinstance(self.round.next, Choose) is (differ == 3)


TestAnyRound = AnyRound.TestCase
TestAnyRound.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
