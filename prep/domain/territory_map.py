"""The map of a kind of territory, drawn once from what an institute delivers: whole numbers, few points.

`prep/files/catalog_maps.py` draws it when the catalogue is loaded; the pages of each corte paint it. The long side of a
drawing has `LONG` units, y goes down. Equal files give equal drawings on every machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MAPS: Final = "mapas/"
"""Folder of the maps among the files of a catalogue."""
LONG: Final = 1000
HEIGHTS: Final = (40, 30, 20)
"""Heights of the number of a territory, the largest that has room first."""
_ROWS: Final = 15
"""Lines on which a place for the number is looked for."""
Point = tuple[int, int]
Ring = tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class DrawnTerritory:
    """One territory: its outlines and holes, filled where their number is odd."""

    entidad: int
    id: int
    rings: tuple[Ring, ...]
    middle: Point
    """Where its number stands."""
    height: int
    """Of its number; 0 if there is no room for one."""
    cell: Point
    """Column and row among equal squares (`TerritoryMap.squares`)."""


@dataclass(frozen=True, slots=True)
class TerritoryMap:
    """All territories of a kind: as they lie, and as equal squares near their place."""

    width: int
    height: int
    squares: Point
    """Columns and rows of the layout of squares."""
    territories: tuple[DrawnTerritory, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "ancho": self.width,
            "alto": self.height,
            "cuadros": self.squares,
            "territorios": [
                [each.entidad, each.id, each.rings, each.middle, each.height, each.cell] for each in self.territories
            ],
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "TerritoryMap":
        """The map that `as_json` told."""
        columns, rows = told["cuadros"]
        drawn = tuple(
            DrawnTerritory(
                entidad, own, tuple(tuple((x, y) for x, y in ring) for ring in rings), (mx, my), height, (column, row)
            )
            for entidad, own, rings, (mx, my), height, (column, row) in told["territorios"]
        )
        return cls(told["ancho"], told["alto"], (columns, rows), drawn)


def draw(outlines: Mapping[tuple[int, int], Sequence[Ring]], width: int, height: int) -> TerritoryMap:
    """The map of these rings, by entidad and number of their territory."""
    middles = {key: _place_of_number(rings, len(str(key[1]))) for key, rings in outlines.items()}
    squares, cells = _squares({key: middle for key, (middle, _) in middles.items()}, width, height)
    drawn = tuple(
        DrawnTerritory(*key, tuple(map(tuple, rings)), *middles[key], cells[key])
        for key, rings in sorted(outlines.items())
    )
    return TerritoryMap(width, height, squares, drawn)


def width_of_number(digits: int, height: int) -> int:
    """Of a number as the pages draw it: a digit is 3/5 of its height wide, with 1/4 between two."""
    return height * (12 * digits + 5 * (digits - 1)) // 20


def _place_of_number(rings: Sequence[Ring], digits: int) -> tuple[Point, int]:
    """The middle and the height of the largest number that has room; height 0 at the widest spot if none has."""
    top, bottom = min(y for ring in rings for _, y in ring), max(y for ring in rings for _, y in ring)
    chords: dict[int, list[tuple[int, int]]] = {}

    def across(y: int) -> list[tuple[int, int]]:
        if y not in chords:
            chords[y] = _inside(rings, y)
        return chords[y]

    lines = {top + (bottom - top) * (2 * at + 1) // (2 * _ROWS) for at in range(_ROWS)}
    spots = sorted((start - end, abs(2 * y - top - bottom), start, end, y) for y in lines for start, end in across(y))
    for height in HEIGHTS:
        reach = width_of_number(digits, height) // 2 + height // 4
        for _, _, start, end, y in spots:
            x = (start + end) // 2
            above = (y - height * 3 // 4, y, y + height * 3 // 4)
            if all(any(one <= x - reach and x + reach <= other for one, other in across(line)) for line in above):
                return (x, y), height
    if spots:
        _, _, start, end, y = spots[0]
        return ((start + end) // 2, y), 0
    return rings[0][0], 0


def _inside(rings: Sequence[Ring], y: int) -> list[tuple[int, int]]:
    """From where to where the line at `y`, a little below it, is inside."""
    crossed = sorted(
        x0 + (x1 - x0) * (2 * y + 1 - 2 * y0) // (2 * (y1 - y0))
        for ring in rings
        for (x0, y0), (x1, y1) in zip(ring, (*ring[1:], ring[0]), strict=True)
        if (y0 <= y) != (y1 <= y)
    )
    return list(zip(crossed[::2], crossed[1::2], strict=True))


def _squares(
    middles: Mapping[tuple[int, int], Point], width: int, height: int
) -> tuple[Point, dict[tuple[int, int], Point]]:
    """Columns and rows, and for each territory the free square that is nearest to its place."""
    columns = rows = 1
    while 4 * columns * rows < 5 * len(middles):  # a quarter more squares than territories, about as the map is wide
        if columns * height <= rows * width:
            columns += 1
        else:
            rows += 1
    free = {(column, row) for column in range(columns) for row in range(rows)}
    taken: dict[tuple[int, int], Point] = {}
    # Those at the border first: they have the fewest squares near them.
    for key, (x, y) in sorted(middles.items(), key=lambda held: (-_from_middle(held[1], width, height), held[0])):
        ax, ay = 2 * x * columns, 2 * y * rows

        def far(cell: Point, ax: int = ax, ay: int = ay) -> tuple[int, int, int]:
            across, down = (2 * cell[0] + 1) * width - ax, (2 * cell[1] + 1) * height - ay
            return (across * across * height * height + down * down * width * width, cell[1], cell[0])

        taken[key] = min(free, key=far)
        free.remove(taken[key])
    return (columns, rows), taken


def _from_middle(point: Point, width: int, height: int) -> int:
    across, down = (2 * point[0] - width) * height, (2 * point[1] - height) * width
    return across * across + down * down
