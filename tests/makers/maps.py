"""Drawn maps: GeoJSON of invented territories on a grid of squares, with borders of many points that neighbours share."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Json = dict[str, Any]
Point = tuple[float, float]
WEST, NORTH, SIDE = -100.0, 24.0, 0.5
"""Degrees."""


def edge(one: tuple[int, int], other: tuple[int, int], points: int) -> list[Point]:
    """From a corner of the grid to the next, without the last point; the same points from both ends."""
    ends = sorted((one, other))
    (x0, y0), (x1, y1) = ends
    line = []
    for at in range(points + 1):
        part = at / points
        # As rough as a coast: any number of points stays after a simplification.
        rough = (x0 * 7919 + y0 * 104_729 + at * 2_654_435_761) % 1009 / 1009 - 0.5
        bend = 0.15 * math.sin(math.pi * part) * (rough + math.sin(7 * part + x0 + y0) / 2)
        x, y = x0 + (x1 - x0) * part, y0 + (y1 - y0) * part
        if at in {0, points}:
            bend = 0
        shift = (0, bend) if y0 == y1 else (bend, 0)
        line.append((round(WEST + SIDE * (x + shift[0]), 6), round(NORTH - SIDE * (y + shift[1]), 6)))
    return (line if [one, other] == ends else line[::-1])[:-1]


def cell(column: int, row: int, points: int = 40) -> list[Point]:
    """The closed outline of a square of the grid."""
    corners = [(column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1)]
    ring = [
        point
        for one, other in zip(corners, [*corners[1:], corners[0]], strict=True)
        for point in edge(one, other, points)
    ]
    return [*ring, ring[0]]


def box(x: float, y: float, side: float) -> list[Point]:
    """A plain square; `x` and `y` are in squares of the grid."""
    west, north, wide = WEST + SIDE * x, NORTH - SIDE * y, SIDE * side
    return [(west, north), (west + wide, north), (west + wide, north - wide), (west, north - wide), (west, north)]


def feature(place: tuple[int, int], coordinates: Sequence[Any], kind: str = "Polygon") -> Json:
    return {
        "type": "Feature",
        "properties": {"entidad": place[0], "id": place[1], "nombre": "inventado"},
        "geometry": {"type": kind, "coordinates": coordinates},
    }


def collection(features: Iterable[Any]) -> Json:
    return {"type": "FeatureCollection", "features": [*features]}


def grid(places: Sequence[tuple[int, int]], columns: int = 3, points: int = 40) -> Json:
    """A square for each place."""
    return collection(feature(place, [cell(at % columns, at // columns, points)]) for at, place in enumerate(places))


def as_file(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content).encode()
