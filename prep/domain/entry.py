"""What one person reads off an acta: a number, *ilegible* or *sin dato* for every quantity on the form.

A blank is never zero and an illegible digit is never guessed: both sum as 0 (`domain.md` §3) and both stay visible.
Stored as two parallel columns, `numbers` (NULL where no number was read) and `marks` (one letter a field).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from prep.errors import Code, Rejected


class Mark(StrEnum):
    """Why a field holds no number. The values are the letters of the `marks` column."""

    ILEGIBLE = "I"
    SIN_DATO = "S"
    NO_EN_BOLETA = "X"
    """The option is not on this contest's ballot: nothing was there to read."""


NUMBER: Final = "N"
"""The letter of a field that holds a number."""

_WORDS: Final[Mapping[str, Mark]] = {"ilegible": Mark.ILEGIBLE, "sin dato": Mark.SIN_DATO}

Field = int | Mark

HEADER: Final = ("BOLETAS_SOBRANTES", "PERSONAS_VOTARON", "REPRESENTANTES_VOTARON", "VOTOS_SACADOS")
"""Codes of the four quantities that stand before the votes; `TOTAL` is the last field of every form."""
TOTAL: Final = "TOTAL_ASENTADO"


@dataclass(frozen=True, slots=True)
class Values:
    """What was read from one acta: header, votes in the election's column order, the written total."""

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
        """The `numbers` column: header, votes, total; None where no number was read."""
        return [None if isinstance(field, Mark) else field for field in self.fields]

    @property
    def marks(self) -> str:
        """The `marks` column: one letter a field, in the order of `numbers`."""
        return "".join(field.value if isinstance(field, Mark) else NUMBER for field in self.fields)


def from_columns(numbers: Sequence[int | None], marks: str) -> Values:
    """The inverse of `Values.numbers` and `Values.marks`.

    Raises ValueError where the two columns disagree: a row like that was not written by this program.
    """
    if len(numbers) != len(marks):
        raise ValueError("numbers and marks differ in length")
    fields: list[Field] = []
    for number, letter in zip(numbers, marks, strict=True):
        if (number is None) is (letter == NUMBER):
            raise ValueError(f"mark {letter!r} beside number {number!r}")
        fields.append(Mark(letter) if number is None else number)
    return Values(header=tuple(fields[:4]), votes=tuple(fields[4:-1]), total=fields[-1])


def read_field(code: str, raw: object, *, digits: int) -> Field:
    """One typed value: a whole number of at most `digits` digits, "ilegible" or "sin dato".

    Raises Rejected with the field's name: what a person typed is told back to that person.
    """
    if isinstance(raw, str):
        mark = _WORDS.get(raw.strip().lower())
        if mark is not None:
            return mark
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise Rejected(f"{code}: se espera un número entero, «ilegible» o «sin dato»", code=Code.VALUE_WRONG)
    if raw < 0:
        raise Rejected(f"{code}: un número de votos no puede ser negativo", code=Code.VALUE_WRONG)
    if raw >= 10**digits:
        raise Rejected(f"{code}: {raw} no cabe en las {digits} casillas del acta", code=Code.VALUE_WRONG)
    return raw


Ordinal = Literal[1, 2, 3]


@dataclass(frozen=True, slots=True)
class Agreed:
    """Two captures hold the same values: `ordinals` says which."""

    values: Values
    ordinals: tuple[int, int]


@dataclass(frozen=True, slots=True)
class AnotherPerson:
    """Somebody who has not typed this acta must type it, without seeing what was typed."""

    ordinal: Ordinal


@dataclass(frozen=True, slots=True)
class Choose:
    """Three different captures: a person who has typed, or supervises, must choose one of the three."""

    candidates: tuple[Values, Values, Values]


def compare(captures: Sequence[Values]) -> Agreed | AnotherPerson | Choose:
    """What follows from the captures of one round, in the order they were typed (`domain.md` §2)."""
    match captures:
        case []:
            return AnotherPerson(1)
        case [_]:
            return AnotherPerson(2)
        case [first, second]:
            return Agreed(first, (1, 2)) if first == second else AnotherPerson(3)
        case [first, second, third]:
            if third == first:
                return Agreed(first, (1, 3))
            if third == second:
                return Agreed(second, (2, 3))
            return Choose((first, second, third))
        case _:
            raise ValueError(f"a round has at most three captures, got {len(captures)}")


def choose(captures: Sequence[Values], chosen: Values) -> Values:
    """The resolution of three different captures: `chosen` must be one of them.

    Raises Rejected: a fourth value would have been typed by one person alone.
    """
    if chosen not in captures:
        raise Rejected(
            "la resolución debe ser una de las tres capturas; para teclear otra, pida recaptura",
            code=Code.NO_SUCH_CHOICE,
        )
    return chosen
