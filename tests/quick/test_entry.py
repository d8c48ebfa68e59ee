"""The values that a person may type, their storage, and the result of several captures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prep.domain.entry import (
    Agreed,
    AnotherPerson,
    Choose,
    Field,
    Mark,
    Values,
    choose,
    compare,
    from_columns,
    read_field,
)
from prep.errors import Rejected

FIELDS = st.one_of(st.integers(0, 9999), st.sampled_from(Mark))
VALUES = st.builds(
    Values,
    header=st.tuples(FIELDS, FIELDS, FIELDS, FIELDS),
    votes=st.lists(FIELDS, max_size=12).map(tuple),
    total=FIELDS,
)


def typed(*votes: Field) -> Values:
    return Values(header=(0, 0, 0, 0), votes=votes, total=0)


@pytest.mark.parametrize(
    ("said", "field"), [(0, 0), (999, 999), ("ilegible", Mark.ILEGIBLE), (" Sin Dato ", Mark.SIN_DATO)]
)
def test_a_field_may_hold_these_values(said: object, field: Field) -> None:
    assert read_field("PAN", said, digits=3) == field


@pytest.mark.parametrize("said", [1000, -1, 1.0, True, None, "", "12", "-", [1]])
def test_a_wrong_value_is_refused_with_the_name_of_its_field(said: object) -> None:
    with pytest.raises(Rejected, match="PAN: "):
        read_field("PAN", said, digits=3)


@given(VALUES)
def test_the_two_columns_give_back_the_typed_values(values: Values) -> None:
    assert from_columns(values.numbers, values.marks) == values


def test_blank_is_not_zero() -> None:
    assert typed(Mark.SIN_DATO) != typed(0)
    assert compare([typed(Mark.SIN_DATO), typed(0)]) == AnotherPerson(3)


@pytest.mark.parametrize(("numbers", "marks"), [([None] * 6, "NNNNNN"), ([1] * 6, "IIIIII"), ([1] * 6, "NNNNN")])
def test_contradicting_columns_are_refused(numbers: list[int | None], marks: str) -> None:
    with pytest.raises(ValueError, match=r"differ|beside"):
        from_columns(numbers, marks)


def test_the_next_step_after_one_two_and_three_captures() -> None:
    a, b, c = typed(1), typed(2), typed(3)
    assert compare([]) == AnotherPerson(1)
    assert compare([a]) == AnotherPerson(2)
    assert compare([a, a]) == Agreed(a, (1, 2))
    assert compare([a, b]) == AnotherPerson(3)
    assert compare([a, b, a]) == Agreed(a, (1, 3))
    assert compare([a, b, b]) == Agreed(b, (2, 3))
    assert compare([a, b, c]) == Choose((a, b, c))


def test_a_fourth_value_is_refused() -> None:
    with pytest.raises(Rejected, match="una de las tres"):
        choose([typed(1), typed(2), typed(3)], typed(4))
    assert choose([typed(1), typed(2), typed(3)], typed(2)) == typed(2)
