"""The values that one person reads from an acta: a number, *ilegible* or *sin dato* for every quantity on the form.

A blank is not a zero, and the program never guesses an illegible digit. Both add 0 to a sum (`docs/rules.md` §3) and
both stay visible. The store keeps them in two parallel columns: `numbers` (NULL for a field without number) and `marks`
(one letter for each field).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from prep.errors import Code, Rejected


class Mark(StrEnum):
    """The reason why a field holds no number. The values are the letters of the `marks` column."""

    ILEGIBLE = "I"
    SIN_DATO = "S"
    NO_EN_BOLETA = "X"
    """This contest's ballot does not have the option, so the form has no such field."""


NUMBER: Final = "N"
"""The letter in `marks` of a field that holds a number."""

_WORDS: Final[Mapping[str, Mark]] = {"ilegible": Mark.ILEGIBLE, "sin dato": Mark.SIN_DATO}

Field = int | Mark

HEADER: Final = ("BOLETAS_SOBRANTES", "PERSONAS_VOTARON", "REPRESENTANTES_VOTARON", "VOTOS_SACADOS")
"""Codes of the four quantities before the votes. `TOTAL` is the last field of every form."""
TOTAL: Final = "TOTAL_ASENTADO"


@dataclass(frozen=True, slots=True)
class Values:
    """The fields of one acta as read: header, votes in the order of the election's columns, and the written total."""

    header: tuple[Field, ...]
    votes: tuple[Field, ...]
    total: Field

    def __post_init__(self) -> None:
        if len(self.header) != len(HEADER):
            raise ValueError(f"an acta has {len(HEADER)} header fields, got {len(self.header)}")

    @property
    def fields(self) -> tuple[Field, ...]:
        return (*self.header, *self.votes, self.total)

    @property
    def numbers(self) -> list[int | None]:
        """The `numbers` column: header, votes, total. A field without number is None."""
        return [None if isinstance(field, Mark) else field for field in self.fields]

    @property
    def marks(self) -> str:
        """The `marks` column: one letter for each field, in the order of `numbers`."""
        return "".join(field.value if isinstance(field, Mark) else NUMBER for field in self.fields)


def from_columns(numbers: Sequence[int | None], marks: str) -> Values:
    """The values from the two columns of the store; the inverse of `Values.numbers` and `Values.marks`.

    Raises ValueError if the two columns contradict each other: this program did not write such a row.
    """
    if len(numbers) != len(marks):
        raise ValueError("numbers and marks differ in length")
    fields: list[Field] = []
    for number, letter in zip(numbers, marks, strict=True):
        # Each field has a number, or a letter that says why it has none; never both, never neither.
        if (number is None) is (letter == NUMBER):
            raise ValueError(f"mark {letter!r} beside number {number!r}")
        fields.append(Mark(letter) if number is None else number)
    return Values(header=tuple(fields[:4]), votes=tuple(fields[4:-1]), total=fields[-1])


_LONGEST: Final = 10**12
"""A longer number is not repeated in the answer."""


def read_field(code: str, raw: object, *, digits: int) -> Field:
    """One typed value: a whole number of at most `digits` digits, "ilegible" or "sin dato".

    Raises Rejected with the field's name. The person who typed the value reads the sentence.
    """
    if isinstance(raw, str):
        mark = _WORDS.get(raw.strip().lower())
        if mark is not None:
            return mark
    # In Python, True is an int. Without this check a JSON `true` would count as one vote.
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise Rejected(f"{code}: se espera un número entero, «ilegible» o «sin dato»", code=Code.VALUE_WRONG)
    if raw < 0:
        raise Rejected(f"{code}: un número de votos no puede ser negativo", code=Code.VALUE_WRONG)
    # The paper has this many boxes, so a larger number cannot have been written: it is a typing mistake.
    if raw >= 10**digits:
        told = raw if raw < _LONGEST else "el número"
        raise Rejected(f"{code}: {told} no cabe en las {digits} casillas del acta", code=Code.VALUE_WRONG)
    return raw


Ordinal = Literal[1, 2, 3]


@dataclass(frozen=True, slots=True)
class Agreed:
    """Two captures hold the same values. `ordinals` says which two."""

    values: Values
    ordinals: tuple[int, int]


@dataclass(frozen=True, slots=True)
class AnotherPerson:
    """A person who has not typed this acta must type it, without seeing the earlier captures."""

    ordinal: Ordinal


@dataclass(frozen=True, slots=True)
class Choose:
    """Three captures differ. A person who typed none of them must choose one."""

    candidates: tuple[Values, Values, Values]


def compare(captures: Sequence[Values]) -> Agreed | AnotherPerson | Choose:
    """The next step of a round, from its captures, oldest first (`docs/rules.md` §2)."""
    match captures:
        case []:
            return AnotherPerson(1)
        case [_]:
            return AnotherPerson(2)
        case [first, second]:
            return Agreed(first, (1, 2)) if first == second else AnotherPerson(3)
        # Any two equal captures agree. The ordinals say whose times become captura and verificación.
        case [first, second, third]:
            if third == first:
                return Agreed(first, (1, 3))
            if third == second:
                return Agreed(second, (2, 3))
            return Choose((first, second, third))
        case _:
            raise ValueError(f"a round has at most three captures, got {len(captures)}")


def choose(captures: Sequence[Values], chosen: Values) -> Values:
    """The resolution of three different captures.

    Raises Rejected if `chosen` is none of them: only one person would have typed such a fourth value.
    """
    if chosen not in captures:
        raise no_such_choice()
    return chosen


def no_such_choice() -> Rejected:
    return Rejected(
        "la resolución debe ser una de las tres capturas; para teclear otra, pida recaptura",
        code=Code.NO_SUCH_CHOICE,
    )
