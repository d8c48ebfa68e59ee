"""The maps that a catalogue brings: the GeoJSON of each kind of territory, checked, and drawn with few points.

A file is `mapas/KIND.geojson`: a FeatureCollection with one feature for each territory of that kind, WGS84 degrees, and
`entidad` and `id` of territorios.csv in its `properties`. Every fault is told in one sentence.

Simplification is shapely's (extra `maps`): borders of two territories stay one line. Points are whole numbers before it
and after it, so its areas are exact and equal files give equal drawings on every machine. Without shapely no map is
drawn, which a warning says; the pages then have the list of squares alone.
"""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from prep.domain.catalog import TerritoryKind
from prep.domain.territory_map import LONG, MAPS, Point, Ring, TerritoryMap, draw
from prep.files.catalog_columns import Tables, all_sound
from prep.files.catalog_contests import Territories
from prep.files.csv_tables import FileFinding

Place = tuple[int, int]
"""Entidad and id of a territory."""
Polygon = list[list[tuple[float, float]]]
"""An outline, then its holes."""

LARGEST: Final = 32 << 20
"""Bytes of a file: about 800,000 points, and a gigabyte of memory while it is read."""
MOST_TERRITORIES: Final = 600
"""On one map: Oaxaca has 570 municipios. More would be a page of more than 100 kB with their table."""
MOST_POINTS: Final = 5000
"""On one drawing: about 12 kB of a page, compressed."""
BOX: Final = (-120.0, 13.0, -85.0, 34.0)
"""Mexico with its sea: west, south, east, north. Coordinates in metres, or latitude first, are outside."""
_FINE: Final = 1024
"""Parts of a unit of the drawing in which points are simplified."""
_SMALL: Final = 6
"""An island or a hole of fewer square units is left out, unless it is all that a territory has."""
_SHOWN: Final = 3
_LONGEST: Final = 9
"""Digits of a code."""
_DEGREES: Final = frozenset({"CRS84", "4326"})
_RING: Final = "un contorno no está cerrado, o tiene menos de cuatro puntos"
_OUTSIDE: Final = (
    "no son grados WGS84 de México: "
    f"longitud de {BOX[0]:.0f} a {BOX[2]:.0f}, luego latitud de {BOX[1]:.0f} a {BOX[3]:.0f}"
)
_WRONG: Final[Mapping[str, str]] = {
    "Self-intersection": "se cruza a sí mismo",
    "Ring Self-intersection": "se toca a sí mismo",
    "Hole lies outside shell": "un hueco está fuera de su contorno",
    "Holes are nested": "un hueco está dentro de otro",
    "Interior is disconnected": "un hueco lo parte en dos",
    "Duplicate Rings": "un contorno está dos veces",
}
"""What shapely finds wrong with a polygon, in words."""
_PARTS: Final = "dos de sus partes se enciman o comparten una orilla; únalas"


@dataclass
class DrawnMaps:
    """The maps of a catalogue by kind, and what a person should know about them."""

    maps: dict[TerritoryKind, TerritoryMap] = field(default_factory=dict)
    notes: list[FileFinding] = field(default_factory=list)


def read_maps(
    files: Mapping[str, bytes], territories: Territories, tables: Tables, report: list[FileFinding]
) -> DrawnMaps:
    """The maps among the files of a catalogue. Their errors are added to the report."""
    drawn = DrawnMaps()
    # A wrong line of territorios.csv is one error; the maps are not wrong because of it.
    if not all_sound(tables, "territorios.csv", "casillas.csv"):
        return drawn
    kinds = sorted({kind for kind, _, _ in territories})
    for name, data in sorted(files.items()):
        if not name.startswith(MAPS):
            continue
        kind = next((kind for kind in kinds if name == f"{MAPS}{kind}.geojson"), None)
        if kind is None:
            known = ", ".join(f"{kind}.geojson" for kind in kinds)
            report.append(FileFinding(name, 0, "", f"no es el mapa de un tipo de territorio; son: {known}"))
            continue
        wanted = {(entidad, own) for of, entidad, own in territories if of == kind}
        faults, found = _Faults(name), dict[Place, list[Polygon]]()
        for sentence in _read(data, wanted, kind, found, faults):
            faults.of_file(sentence)
        if not faults.held:
            _draw(kind, found, drawn, faults)
        report += faults.findings()
    return drawn


class _Faults:
    """The faults of a file: of several places with the same one, the first are named."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.held: defaultdict[str, list[str]] = defaultdict(list)

    def of_file(self, sentence: str) -> None:
        self.held[sentence] = []

    def of(self, where: str, sentence: str) -> None:
        self.held[sentence].append(where)

    def findings(self) -> Iterator[FileFinding]:
        for sentence, places in self.held.items():
            more = f" y {len(places) - _SHOWN} más" if len(places) > _SHOWN else ""
            where = f"{'; '.join(places[:_SHOWN])}{more}: " if places else ""
            yield FileFinding(self._name, 0, "", f"{where}{sentence}")


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(
    data: bytes, wanted: set[Place], kind: TerritoryKind, found: dict[Place, list[Polygon]], faults: _Faults
) -> Iterator[str]:
    """Put the polygons of each territory into `found`; yields the faults of the whole file."""
    if len(data) > LARGEST:
        yield f"pasa de {LARGEST >> 20} MB: quítele puntos antes"
        return
    try:
        content = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_number)
    except UnicodeDecodeError:
        yield "no está en UTF-8"
        return
    except json.JSONDecodeError as error:
        yield f"línea {error.lineno}: no es JSON"
        return
    except (ValueError, RecursionError) as error:
        yield f"no se puede leer: {error}"
        return
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list) or content.get("type") != "FeatureCollection":
        yield "no es una FeatureCollection de GeoJSON"
        return
    if not _in_degrees(content.get("crs")):
        yield "su crs no es WGS84 (CRS84): se esperan grados de longitud y latitud"
        return
    seen: set[Place] = set()
    for number, feature in enumerate(features, 1):
        place = _place_of(feature)
        if place is None:
            faults.of(f"elemento {number}", "properties no tiene entidad e id, dos enteros")
            continue
        where = _words(place)
        if place in seen:
            faults.of(where, "está dos veces")
        elif place not in wanted:
            faults.of(where, f"no está en territorios.csv como {kind}")
        else:
            found[place] = _polygons(feature.get("geometry"), partial(faults.of, where))
        seen.add(place)
    for place in sorted(wanted - seen):
        faults.of(_words(place), "falta; está en territorios.csv")


def _in_degrees(crs: object) -> bool:
    """What GeoJSON has been since 2016; files from before name it, or another one."""
    if crs is None:
        return True
    told = crs.get("properties") if isinstance(crs, dict) else None
    name = told.get("name") if isinstance(told, dict) else None
    return isinstance(name, str) and name.rpartition(":")[2].upper() in _DEGREES


def _words(place: Place) -> str:
    return f"entidad {place[0]}, id {place[1]}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) < len(pairs):
        raise ValueError("una clave está dos veces")
    return held


def _no_number(word: str) -> float:
    raise ValueError(f"«{word}» no es un número")


def _place_of(feature: object) -> Place | None:
    told = feature.get("properties") if isinstance(feature, dict) else None
    values = [told.get(name) for name in ("entidad", "id")] if isinstance(told, dict) else []
    # Programs for maps write a code as a number or as a text.
    texts = [str(each) for each in values if type(each) in {int, str}]
    numbers = [int(each) for each in texts if each.isascii() and each.isdigit() and len(each) < _LONGEST]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None


def _polygons(geometry: object, fault: Callable[[str], None]) -> list[Polygon]:
    """The polygons of a geometry; none, with the fault told, if one is wrong."""
    told = geometry if isinstance(geometry, dict) else {}
    listed = told.get("coordinates")
    parts = [listed] if told.get("type") == "Polygon" else listed if told.get("type") == "MultiPolygon" else None
    if not isinstance(parts, list) or not parts:
        fault("su geometría no es Polygon ni MultiPolygon")
        return []
    try:
        return [[_ring(ring) for ring in _some(part)] for part in parts]
    except ValueError as error:
        fault(str(error))
        return []


def _some(value: object) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise ValueError(_RING)
    return value


def _ring(value: object) -> list[tuple[float, float]]:
    points = []
    for position in _some(value):
        if not isinstance(position, list) or len(position) < 2:
            raise ValueError("un punto no es una lista de dos números")
        x, y = position[:2]
        if type(x) not in {int, float} or type(y) not in {int, float} or not (_finite(x) and _finite(y)):
            raise ValueError("una coordenada no es un número")
        if not (BOX[0] <= x <= BOX[2] and BOX[1] <= y <= BOX[3]):
            raise ValueError(_OUTSIDE)
        points.append((float(x), float(y)))
    if len(points) < 4 or points[0] != points[-1]:
        raise ValueError(_RING)
    return points


def _finite(number: float) -> bool:
    return isinstance(number, int) or math.isfinite(number)


# --- drawing ----------------------------------------------------------------------------------------------------------


def _draw(kind: TerritoryKind, found: Mapping[Place, list[Polygon]], drawn: DrawnMaps, faults: _Faults) -> None:
    """Draw a map from polygons in degrees, or tell why there is none."""
    name = f"{MAPS}{kind}.geojson"
    try:
        import shapely  # noqa: PLC0415 - an extra: most machines load a catalogue without a map
    except ImportError:
        drawn.notes.append(FileFinding(name, 0, "", "pip install 'prep-abierto[maps]'", "W210"))
        return
    for place, polygons in found.items():
        shape = shapely.MultiPolygon([(shell, holes) for shell, *holes in polygons])
        reason, _, at = shapely.is_valid_reason(shape).partition("[")
        if not shapely.is_valid(shape):
            near = f" cerca de {at.rstrip(']').replace(' ', ', ')}" if at else ""
            parts = all(shapely.is_valid(part) for part in shape.geoms)
            sentence = _PARTS if parts else _WRONG.get(reason, "su geometría no es válida")
            faults.of(_words(place), f"{sentence}{near}")
    if faults.held:
        return
    if len(found) > MOST_TERRITORIES:
        drawn.notes.append(FileFinding(name, 0, "", f"tiene {len(found)}; lo más son {MOST_TERRITORIES}", "W212"))
        return
    fine, width, height = _on_grid(found)
    shapes = [_sound(shapely, polygons) for polygons in fine.values()]
    if not shapely.coverage_is_valid(shapes):
        drawn.notes.append(FileFinding(name, 0, "", "se verán huecos o encimados entre vecinos", "W211"))
    tolerance = _FINE
    simple = shapely.coverage_simplify(shapes, tolerance)
    while shapely.get_num_coordinates(simple).sum() > MOST_POINTS and tolerance < LONG * _FINE:
        tolerance += tolerance // 4
        simple = shapely.coverage_simplify(shapes, tolerance)
    outlines = {place: _rounded(shapely, shape) for place, shape in zip(fine, simple, strict=True)}
    drawn.maps[kind] = draw(outlines, width, height)


def _on_grid(found: Mapping[Place, list[Polygon]]) -> tuple[dict[Place, list[Polygon]], int, int]:
    """The same polygons in 1/1024 of a unit of the drawing, whole numbers; with the width and height of the drawing.

    A degree of longitude is as wide as it is at the middle of the map, which is right enough for a country.
    """
    points = [point for polygons in found.values() for polygon in polygons for ring in polygon for point in ring]
    west, east = min(x for x, _ in points), max(x for x, _ in points)
    south, north = min(y for _, y in points), max(y for _, y in points)
    # Rounded, because a cosine may differ in its last digit from one machine to another.
    narrow = round(math.cos(math.radians((south + north) / 2)), 3)
    wide, high = (east - west) * narrow, north - south
    scale = (LONG - 2) * _FINE / max(wide, high)

    def at(x: float, y: float) -> tuple[float, float]:
        return float(round((x - west) * narrow * scale) + _FINE), float(round((north - y) * scale) + _FINE)

    fine = {
        place: [[[at(x, y) for x, y in ring] for ring in polygon] for polygon in polygons]
        for place, polygons in sorted(found.items())
    }
    return fine, round(wide * scale / _FINE) + 2, round(high * scale / _FINE) + 2


def _sound(shapely: Any, polygons: list[Polygon]) -> Any:  # noqa: ANN401 - shapely has no types
    """The shape of these polygons on the grid, on which a detail smaller than a metre or two is a point or a line."""
    shape = shapely.MultiPolygon([(shell, holes) for shell, *holes in polygons])
    if not shapely.is_valid(shape):
        whole = shapely.make_valid(shape, method="structure", keep_collapsed=False)
        shape = shapely.set_precision(whole, 1)
    if shape.is_empty:
        x, y = polygons[0][0][0]
        return shapely.box(x, y, x + _FINE, y + _FINE)
    return shape


def _rounded(shapely: Any, shape: Any) -> list[Ring]:  # noqa: ANN401
    """The rings of a simplified territory in units of the drawing; the largest outline first, and always there."""
    kept: list[Ring] = []
    parts = sorted(shapely.get_parts(shape).tolist(), key=lambda part: (-part.area, part.bounds))
    for part in parts:
        outline = _in_units(part.exterior.coords)
        if _double_area(outline) < 2 * _SMALL:
            continue
        holes = (_in_units(ring.coords) for ring in part.interiors)
        kept += [outline, *(hole for hole in holes if _double_area(hole) >= 2 * _SMALL)]
    if kept:
        return kept
    # So small that no outline is left: a spot of two units stands for it.
    x, y = next(iter(_in_units(parts[0].exterior.coords))) if parts else (1, 1)
    return [((x - 1, y), (x, y - 1), (x + 1, y), (x, y + 1))]


def _in_units(coordinates: Sequence[tuple[float, float]]) -> Ring:
    points: list[Point] = []
    for x, y in coordinates:
        point = ((int(x) + _FINE // 2) // _FINE, (int(y) + _FINE // 2) // _FINE)
        if not points or points[-1] != point:
            points.append(point)
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    return tuple(points)


def _double_area(ring: Ring) -> int:
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, (*ring[1:], *ring[:1]), strict=True)))
