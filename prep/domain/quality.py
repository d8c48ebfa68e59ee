"""How well people type: agreement of each person with what finally counted, speed, fatigue, and the night's error rate.

A capture is *judged* if its acta has values that count, from the same image, and no round of it is open. A field of it
is *wrong* if it differs from those values. Three things follow from that, and `docs/rules.md` §9 says them to people:

1. Two people who agree on a wrong value make what counts. So a rate of wrong fields is a little too low.
2. A third capture is of an acta on which two people differed: such actas are harder. Rates are of first and second
   captures alone, which every acta has.
3. Fields of one capture are not independent: who slips by a row has many wrong ones. An interval that took each field
   for a draw of its own would be too narrow. Intervals of fields look at the spread between captures.

No clock, no database, no names of people. All intervals are of 95 %.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import quantiles
from typing import Final

Z: Final = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A share between 0 and 1, and the two ends of its interval."""

    share: float
    low: float
    high: float


def wilson(part: float, whole: float) -> Interval:
    """Wilson's score interval (1927) of a share. `whole` may be an effective number, which is no whole number.

    Raises ValueError unless 0 <= part <= whole and whole > 0.
    """
    if not 0 <= part <= whole or whole <= 0:
        raise ValueError(f"{part} of {whole} is no share")
    share = part / whole
    middle = (share + Z * Z / (2 * whole)) / (1 + Z * Z / whole)
    half = Z / (1 + Z * Z / whole) * sqrt(share * (1 - share) / whole + Z * Z / (4 * whole * whole))
    # At both ends the formula gives 0 and 1 but for the last bits.
    return Interval(
        share, 0.0 if part == 0 else max(0.0, middle - half), 1.0 if part == whole else min(1.0, middle + half)
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """Sums over captures of which the acta has values that count. Sums of two groups add up to those of both."""

    captures: int = 0
    fields: int = 0
    wrong: int = 0
    """Fields that differ from what counted."""
    captures_wrong: int = 0
    """Captures with one such field or more."""
    # For the spread between captures: over each, the squares of its fields and wrong fields, and their product.
    fields_fields: int = 0
    wrong_wrong: int = 0
    fields_wrong: int = 0

    @staticmethod
    def of(captures: Iterable[tuple[int, int]]) -> "Judged":
        """From the fields and the wrong fields of each capture."""
        each = list(captures)
        return Judged(
            captures=len(each),
            fields=sum(fields for fields, _ in each),
            wrong=sum(wrong for _, wrong in each),
            captures_wrong=sum(wrong > 0 for _, wrong in each),
            fields_fields=sum(fields * fields for fields, _ in each),
            wrong_wrong=sum(wrong * wrong for _, wrong in each),
            fields_wrong=sum(fields * wrong for fields, wrong in each),
        )

    def __add__(self, other: "Judged") -> "Judged":
        return Judged(*(getattr(self, name) + getattr(other, name) for name in Judged.__dataclass_fields__))

    def spread(self, share: float) -> float:
        """The sum of squares of what each capture has more or less wrong than `share` of its fields."""
        square = self.wrong_wrong - 2 * share * self.fields_wrong + share * share * self.fields_fields
        return max(0.0, square)

    @property
    def by_field(self) -> Interval | None:
        """The share of wrong fields; None without a field.

        Wilson's interval with the effective number of fields: as many as would, if they were independent, spread as
        far as these captures do. It is never more than there are, so it never makes an interval narrower.
        """
        if not self.fields:
            return None
        share = self.wrong / self.fields
        effective = float(self.fields)
        if 0 < share < 1:
            if self.captures > 1:
                variance = self.captures / (self.captures - 1) * self.spread(share) / self.fields**2
                effective = share * (1 - share) / variance if variance else effective
            else:
                effective = 1.0  # one capture says nothing of how captures differ
            effective = min(effective, float(self.fields))
        return wilson(share * effective, effective)

    @property
    def by_capture(self) -> Interval | None:
        """The share of captures with a wrong field; None without a capture."""
        return wilson(self.captures_wrong, self.captures) if self.captures else None


@dataclass(frozen=True, slots=True)
class Quartiles:
    """Lower quartile, median and upper quartile."""

    lower: float
    median: float
    upper: float


def quartiles(values: Sequence[float]) -> Quartiles | None:
    """The quartiles, between two values in proportion (Hyndman and Fan's type 7); None without a value."""
    if not values:
        return None
    if len(values) == 1:
        return Quartiles(values[0], values[0], values[0])
    return Quartiles(*quantiles(values, n=4, method="inclusive"))


@dataclass(frozen=True, slots=True)
class Trend:
    """How the share of wrong fields changes with each hour: its slope and the slope's interval."""

    an_hour: float
    low: float
    high: float


def trend(hours: Mapping[int, Judged]) -> Trend | None:
    """The slope of the share of wrong fields over the hours of a shift; None if it says nothing.

    Each hour weighs as its fields. The interval is that of Cochran (1954) and Armitage (1955), with the spread between
    captures in the place of the binomial one. It needs two hours, ten captures and one wrong field: with less, the
    normal distribution behind the interval is no likeness.
    """
    whole = sum(hours.values(), Judged())
    if whole.captures < FEWEST or not 0 < whole.wrong < whole.fields:
        return None
    share = whole.wrong / whole.fields
    middle = sum(hour * each.fields for hour, each in hours.items()) / whole.fields
    weight = sum(each.fields * (hour - middle) ** 2 for hour, each in hours.items())
    if not weight:
        return None
    slope = sum((hour - middle) * (each.wrong - share * each.fields) for hour, each in hours.items()) / weight
    error = sqrt(sum((hour - middle) ** 2 * each.spread(share) for hour, each in hours.items())) / weight
    return Trend(slope, slope - Z * error, slope + Z * error)


FEWEST: Final = 10
"""Captures below which a trend is not told."""


@dataclass(frozen=True, slots=True)
class HourOfShift:
    """What one person typed in one hour, counted from that person's first capture."""

    judged: Judged
    """First and second captures alone."""
    seconds: tuple[float, ...]
    """From handing out the task to the answer, of each capture, also those that are not judged."""
    keys: tuple[int, ...] = ()
    """Of each capture of which the screen told them."""


@dataclass(frozen=True, slots=True)
class Shift:
    """The work of one person in the night, hour by hour."""

    hours: Mapping[int, HourOfShift]
    controls: Judged = Judged()
    """Hidden known actas."""

    @property
    def captures(self) -> int:
        return sum(len(hour.seconds) for hour in self.hours.values())

    @property
    def judged(self) -> Judged:
        return sum((hour.judged for hour in self.hours.values()), Judged())

    @property
    def seconds(self) -> Quartiles | None:
        return quartiles([one for hour in self.hours.values() for one in hour.seconds])

    @property
    def keys(self) -> Quartiles | None:
        return quartiles([one for hour in self.hours.values() for one in hour.keys])

    @property
    def trend(self) -> Trend | None:
        return trend({hour: each.judged for hour, each in self.hours.items()})


@dataclass(frozen=True, slots=True)
class BothWrong:
    """Fields that two people of one round both had wrong, as what counted later shows, and how many alike."""

    fields: int = 0
    alike: int = 0


@dataclass(frozen=True, slots=True)
class Undetected:
    """An estimate, for one acta, of the chance that its first two people agree and have a field wrong."""

    estimate: float
    high: float
    """The same, with the upper end of each of its two shares."""


def undetected(judged: Judged, both: BothWrong) -> Undetected | None:
    """The chance that two people type the same wrong value; None without a judged field.

    For a field it is p² · c: p is the share of wrong fields of one capture, c the share of fields that two people had
    wrong of which both had the same value. If nobody saw such a field, c is taken as 1, the worst. For an acta, it
    is the chance for one or more of its fields.

    It is an estimate that nobody can observe, and it takes for granted that two people err apart from each other. A
    digit that is hard to read makes both err together: then the true chance is higher.
    """
    by_field = judged.by_field
    if by_field is None:
        return None
    alike = wilson(both.alike, both.fields) if both.fields else Interval(1.0, 0.0, 1.0)
    fields = judged.fields / judged.captures

    def of_acta(chance: float) -> float:
        return float(1.0 - (1.0 - chance) ** fields)

    return Undetected(of_acta(by_field.share**2 * alike.share), of_acta(by_field.high**2 * alike.high))


@dataclass(frozen=True, slots=True)
class NightQuality:
    """The quality of the captures of a night, of all people together."""

    judged: Judged
    controls: Judged
    both: BothWrong

    @property
    def undetected(self) -> Undetected | None:
        return undetected(self.judged, self.both)
