"""The maps of a catalogue: refused in one clear sentence, or drawn so that neighbours keep their border."""

import gzip
import json
import math
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from integrity.tree import shown
from prep.domain.catalog import TerritoryKind
from prep.domain.territory_map import LONG, MAPS, DrawnTerritory, TerritoryMap
from prep.files import catalog_maps
from prep.files.catalog_files import CatalogErrors, files_in, load_catalog, review_catalog
from prep.files.catalog_template import sample_catalog
from publisher.charts import PATTERNS, PlaceOnMap, square_map, territory_map
from tests.makers.maps import as_file, box, cell, collection, edge, feature, grid

Json = dict[str, Any]
SAMPLE = sample_catalog()
MUNICIPIO = TerritoryKind.MUNICIPIO
FILE = f"{MAPS}municipio.geojson"
PLACES = [(33, 1), (33, 2)]
shapely = pytest.importorskip("shapely", reason="el extra maps no está")


def told() -> Json:
    return grid(PLACES)


def errors(content: object, name: str = FILE) -> list[str]:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(CatalogErrors) as caught:
        load_catalog({**SAMPLE, name: data})
    return [str(finding) for finding in caught.value.findings]


def drawn(content: Json) -> TerritoryMap:
    return load_catalog({**SAMPLE, FILE: as_file(content)}).maps[MUNICIPIO]


def big_map(columns: int, rows: int, points: int = 40) -> TerritoryMap:
    """The map of as many squares, of no catalogue."""
    found = {(33, at + 1): [[cell(at % columns, at // columns, points)]] for at in range(columns * rows)}
    made, faults = catalog_maps.DrawnMaps(), catalog_maps._Faults("x")
    catalog_maps._draw(MUNICIPIO, found, made, faults)
    assert [*faults.findings()] == made.notes == []
    return made.maps[MUNICIPIO]


def sides(ring: Sequence[tuple[int, int]]) -> set[tuple[tuple[int, int], ...]]:
    return {tuple(sorted(pair)) for pair in zip(ring, (*ring[1:], ring[0]), strict=True)}


def without(content: Json, at: int) -> Json:
    return collection(each for n, each in enumerate(content["features"]) if n != at)


def with_geometry(geometry: object, at: int = 0) -> Json:
    content = told()
    content["features"][at]["geometry"] = geometry
    return content


def polygon(*rings: object) -> Json:
    return {"type": "Polygon", "coordinates": rings}


BOW_TIE = [(-99, 20), (-98, 21), (-98, 20), (-99, 21), (-99, 20)]
ONE = "entidad 33, id 1: "
WRONG: dict[str, tuple[object, str]] = {
    "bytes": (b"\xff\xfe", "no está en UTF-8"),
    "no JSON": (b'{"type":\n', "línea 2: no es JSON"),
    "NaN": (json.dumps(told()).replace("-100.0", "NaN", 1).encode(), "no se puede leer: «NaN» no es un número"),
    "a key twice": (b'{"type": "a", "type": "b"}', "no se puede leer: una clave está dos veces"),
    "too deep": (b"[" * 100_000, "no se puede leer: "),
    "a list": ([], "no es una FeatureCollection de GeoJSON"),
    "no features": ({"type": "FeatureCollection"}, "no es una FeatureCollection de GeoJSON"),
    "in metres": (
        told() | {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32614"}}},
        "su crs no es WGS84 (CRS84): se esperan grados de longitud y latitud",
    ),
    "no codes": (
        collection([*told()["features"], {"type": "Feature", "properties": {"id": True}}]),
        "elemento 3: properties no tiene entidad e id, dos enteros",
    ),
    "a code of a thousand digits": (
        collection([*told()["features"], {"type": "Feature", "properties": {"entidad": "9" * 5000, "id": 1}}]),
        "elemento 3: properties no tiene entidad e id, dos enteros",
    ),
    "a null": (collection([*told()["features"], None]), "elemento 3: properties no tiene entidad e id, dos enteros"),
    "unknown": (
        collection([*told()["features"], feature((33, 9), [cell(5, 5)])]),
        "entidad 33, id 9: no está en territorios.csv como municipio",
    ),
    "missing": (without(told(), 0), f"{ONE}falta; está en territorios.csv"),
    "twice": (collection([*told()["features"], told()["features"][0]]), f"{ONE}está dos veces"),
    "a point": (with_geometry({"type": "Point", "coordinates": [-99, 20]}), f"{ONE}su geometría no es Polygon ni MultiPolygon"),
    "no geometry": (with_geometry(None), f"{ONE}su geometría no es Polygon ni MultiPolygon"),
    "empty": (with_geometry(polygon()), f"{ONE}{catalog_maps._RING}"),
    "an empty ring": (with_geometry(polygon([])), f"{ONE}{catalog_maps._RING}"),
    "open": (with_geometry(polygon(cell(0, 0)[:-1])), f"{ONE}{catalog_maps._RING}"),
    "two points": (with_geometry(polygon([(-99, 20), (-98, 20), (-99, 20)])), f"{ONE}{catalog_maps._RING}"),
    "a text": (with_geometry(polygon([("x", 20)] * 4)), f"{ONE}una coordenada no es un número"),
    "beyond all": (json.dumps(told()).replace("-100.0", "-1e999", 1).encode(), f"{ONE}una coordenada no es un número"),
    "one number": (with_geometry(polygon([[-99]] * 4)), f"{ONE}un punto no es una lista de dos números"),
    "latitude first": (with_geometry(polygon([(20, -89), (21, -89), (21, -88), (20, -89)])), f"{ONE}{catalog_maps._OUTSIDE}"),
    "metres": (with_geometry(polygon([(5e5, 2e6), (6e5, 2e6), (6e5, 3e6), (5e5, 2e6)])), f"{ONE}{catalog_maps._OUTSIDE}"),
    "crossing": (with_geometry(polygon(BOW_TIE)), f"{ONE}se cruza a sí mismo cerca de -98.5, 20.5"),
    "a hole outside": (
        with_geometry(polygon(box(0, 0, 1), box(3, 3, 0.5))),
        f"{ONE}un hueco está fuera de su contorno cerca de -98.5, 22.5",
    ),
    "a part in another": (
        with_geometry({"type": "MultiPolygon", "coordinates": [[box(0, 0, 1)], [box(0.2, 0.2, 0.5)]]}),
        f"{ONE}{catalog_maps._PARTS} cerca de ",
    ),
    "two parts side by side": (
        with_geometry({"type": "MultiPolygon", "coordinates": [[cell(0, 0)], [cell(1, 0)]]}),
        f"{ONE}{catalog_maps._PARTS} cerca de ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_each_fault_is_one_clear_sentence(case: str) -> None:
    content, sentence = WRONG[case]
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    found = errors(data)
    assert len(found) == 1
    assert found[0].startswith(f"{FILE}: {sentence}")


def test_a_file_of_too_many_bytes_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_maps, "LARGEST", 100)
    assert errors(told()) == [f"{FILE}: pasa de 0 MB: quítele puntos antes"]
    (tmp_path / MAPS).mkdir()
    (tmp_path / FILE).write_bytes(b"x")
    (tmp_path / MAPS / "Distritos.JSON").write_bytes(b"{}")
    assert {FILE, f"{MAPS}Distritos.JSON"} == {*files_in(tmp_path)}


def test_a_map_of_no_kind_of_territory_is_told() -> None:
    known = "distrito_federal.geojson, distrito_local.geojson, entidad.geojson, municipio.geojson"
    assert errors(told(), f"{MAPS}Distritos.JSON") == [
        f"{MAPS}Distritos.JSON: no es el mapa de un tipo de territorio; son: {known}"
    ]


def test_many_places_with_one_fault_are_one_sentence() -> None:
    extra = [feature((33, 50 + n), [cell(n, 7)]) for n in range(8)]
    [found] = errors(collection([*told()["features"], *extra]))
    assert "entidad 33, id 50; entidad 33, id 51; entidad 33, id 52 y 5 más: no está en territorios.csv" in found


def test_codes_may_be_texts_as_programs_for_maps_write_them() -> None:
    content = told()
    for each in content["features"]:
        each["properties"]["id"] = f"00{each['properties']['id']}"
    assert drawn(content) == drawn(told())


def test_a_wrong_catalogue_has_no_error_about_its_map() -> None:
    files = {**SAMPLE, "territorios.csv": SAMPLE["territorios.csv"].replace(b"municipio,33,2", b"municipio,33,x")}
    with pytest.raises(CatalogErrors) as caught:
        load_catalog(files | {FILE: as_file(told())})
    assert not [each for each in caught.value.findings if each.file == FILE]


def test_a_border_of_two_neighbours_stays_one_line_and_has_fewer_points() -> None:
    one, other = drawn(grid(PLACES, points=400)).territories
    shared = sides(one.rings[0]) & sides(other.rings[0])
    ends = [point for side in shared for point in side]
    assert len(shared) >= 4
    # One line from corner to corner: each of its points is of two sides, but for its ends.
    assert sorted(ends.count(point) for point in {*ends})[:3] == [1, 1, 2]
    assert 50 < len(one.rings[0]) < 1000
    assert len(cell(0, 0, 400)) == 1601


def test_every_border_of_a_large_map_is_shared_whole() -> None:
    made = big_map(12, 10)
    every = [side for each in made.territories for ring in each.rings for side in sides(ring)]
    alone = [side for side, times in Counter(every).items() if times == 1]
    # A border of one is the border of the whole: a closed line around it.
    assert {*Counter(point for side in alone for point in side).values()} == {2}
    assert all(
        0 <= x <= made.width and 0 <= y <= made.height
        for each in made.territories
        for ring in each.rings
        for x, y in ring
    )
    assert max(made.width, made.height) == LONG


def test_holes_islands_and_parts_are_drawn_and_specks_are_not() -> None:
    lake, enclave, speck = box(0.3, 0.3, 0.2), box(0.6, 0.6, 0.2), box(0.1, 0.1, 0.0005)
    content = collection(
        [
            feature(
                PLACES[0],
                [[cell(0, 0), lake, enclave, speck], [box(0, 1.5, 0.3)], [box(2.5, 1.5, 0.0005)]],
                "MultiPolygon",
            ),
            feature(PLACES[1], [[enclave], [cell(1, 0)]], "MultiPolygon"),
        ]
    )
    one, other = drawn(content).territories
    assert len(one.rings) == 4
    assert len(other.rings) == 2
    assert sides(one.rings[2]) == sides(other.rings[1]) or sides(one.rings[1]) == sides(other.rings[1])
    # A territory that is nothing but a speck is there all the same.
    content["features"][1] = feature(PLACES[1], [box(2.5, 1.5, 0.0005)])
    content["features"][0]["geometry"]["coordinates"].pop()
    assert len(drawn(content).territories[1].rings) == 1


def test_any_sound_file_is_drawn_with_any_size_and_detail() -> None:
    """Details of a centimetre, needles and specks become points and lines on the grid, which GEOS refuses."""
    chance = random.Random(3)
    for _ in range(80):
        stars = []
        for number, place in enumerate(PLACES):
            turns = sorted({chance.random() for _ in range(chance.randrange(4, 40))})
            reach = [chance.choice([1e-9, 1e-7, 1e-6, 0.3, 0.5]) for _ in turns]
            star = [
                (-99 + 2 * number + far * math.cos(math.tau * turn), 20 + far * math.sin(math.tau * turn))
                for turn, far in zip(turns, reach, strict=True)
            ]
            stars.append(feature(place, [[*star, star[0]]]))
        content = collection(stars)
        if all(shapely.is_valid(shapely.Polygon(each["geometry"]["coordinates"][0])) for each in stars):
            assert [each.id for each in drawn(content).territories] == [1, 2]


def test_equal_files_give_equal_drawings_in_any_order() -> None:
    content = told()
    turned = collection(reversed(told()["features"]))
    for each in turned["features"]:
        [ring] = each["geometry"]["coordinates"]
        each["geometry"]["coordinates"] = [[*ring[7:], *ring[1:8]]]  # the same ring from another point on
    assert drawn(content) == drawn(turned) or {
        frozenset(sides(each.rings[0])) for each in drawn(content).territories
    } == {frozenset(sides(each.rings[0])) for each in drawn(turned).territories}
    again = TerritoryMap.from_json(json.loads(json.dumps(drawn(content).as_json())))
    assert again == drawn(content)


def test_a_map_is_part_of_the_digest_of_the_catalogue() -> None:
    plain = load_catalog(SAMPLE)
    with_map = load_catalog({**SAMPLE, FILE: as_file(told())})
    assert plain.maps == {}
    assert plain.digest != with_map.digest
    assert json.loads(with_map.published["catalogo.json"])["fuente"][FILE]


def test_neighbours_that_do_not_meet_and_too_many_places_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = collection([feature(PLACES[0], [box(0, 0, 1)]), feature(PLACES[1], [box(0.5, 0.5, 1)])])
    catalog, warnings = review_catalog({**SAMPLE, FILE: as_file(apart)})
    assert [each.code for each in warnings if each.file == FILE] == ["W211"]
    assert catalog.maps.keys() == {MUNICIPIO}
    monkeypatch.setattr(catalog_maps, "MOST_TERRITORIES", 1)
    catalog, warnings = review_catalog({**SAMPLE, FILE: as_file(told())})
    assert [each.code for each in warnings if each.file == FILE] == ["W212"]
    assert catalog.maps == {}


def test_without_shapely_the_catalogue_loads_without_a_map_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_catalog({**SAMPLE, FILE: as_file(told())})
    monkeypatch.setitem(sys.modules, "shapely", None)
    catalog, warnings = review_catalog({**SAMPLE, FILE: as_file(told())})
    assert [(each.code, each.sentence) for each in warnings if each.file == FILE] == [
        ("W210", "pip install 'prep-abierto[maps]'")
    ]
    assert catalog.maps == {}
    assert catalog.digest == whole.digest  # the same catalogue on both machines


# --- on the page ------------------------------------------------------------------------------------------------------


def shown_places(made: TerritoryMap) -> dict[tuple[int, int], PlaceOnMap]:
    looks = [("#1b5faa", 1), ("#c99a00", 2), ("", 0), ("#7d1f35", 3)]
    return {
        (each.entidad, each.id): PlaceOnMap(
            f"lugar-33-{each.id}.html",
            f"Lugar <{each.id}>: A lleva la delantera",
            *looks[each.id % 4],
            each.id % 5 == 0,
        )
        for each in made.territories
    }


def paths(svg: str) -> list[str]:
    return re.findall(r'<path d="([^"]*)" fill="(?:url|#d5)', svg)


def walked(path: str) -> list[list[tuple[int, int]]]:
    """The points of a path of M, l and z."""
    rings = []
    for part in path.split("z")[:-1]:
        start, _, steps = part.removeprefix("M").partition("l")
        points = [tuple(map(int, start.split()))]
        numbers = [int(each) for each in re.findall(r"-?\d+", steps)]
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            points.append((points[-1][0] + dx, points[-1][1] + dy))
        rings.append(points)
    return rings  # type: ignore[return-value]


@pytest.mark.parametrize("draw", [territory_map, square_map])
def test_a_drawing_has_patterns_and_nothing_that_a_verifier_refuses(draw: Callable[..., str]) -> None:
    made = big_map(5, 4)
    svg = str(draw(made, shown_places(made)))
    assert not shown._ACTIVE.search(svg)
    assert not shown._NUMBER.search(svg)
    assert 'style="' not in svg
    assert svg.count("<pattern ") == 3
    assert {*re.findall(r"url\(#(\w+)\)", svg)} == {*re.findall(r'<pattern id="(\w+)"', svg)}
    assert svg == str(draw(made, shown_places(made)))


def test_each_place_of_a_map_has_a_link_and_a_word() -> None:
    made = big_map(5, 4)
    svg = str(territory_map(made, shown_places(made)))
    assert svg.count("<a href=") == svg.count("<title>Lugar &lt;") == len(made.territories)
    assert svg.count('tabindex="-1"') == svg.count("<a href=")
    assert svg.count('class="early"') == 4


def test_a_path_walks_along_the_rings_of_its_territory() -> None:
    made = big_map(4, 3)
    found = sorted(ring for path in paths(str(territory_map(made, shown_places(made)))) for ring in walked(path))
    assert found == sorted([*ring] for each in made.territories for ring in each.rings)


def test_each_place_has_a_square_of_its_own_near_its_neighbours() -> None:
    made = big_map(7, 5)
    cells = {each.id: each.cell for each in made.territories}
    assert len({*cells.values()}) == 35
    columns, rows = made.squares
    assert all(0 <= column < columns and 0 <= row < rows for column, row in cells.values())
    # A neighbour on the map is at most three squares away.
    assert all(
        max(abs(cells[at][0] - cells[at + 1][0]), abs(cells[at][1] - cells[at + 1][1])) <= 3
        for at in cells
        if at % 7 and at + 1 in cells
    )


def test_a_number_stands_inside_its_territory_if_it_has_room() -> None:
    made = big_map(6, 6)
    for each in made.territories:
        assert each.height
        inside = shapely.Polygon(each.rings[0])
        assert inside.contains(shapely.Point(each.middle))
    thin = DrawnTerritory
    narrow = drawn(collection([feature(PLACES[0], [cell(0, 0)]), feature(PLACES[1], [box(2, 0, 0.02)])]))
    assert isinstance(narrow.territories[1], thin)
    assert narrow.territories[1].height == 0


def test_the_largest_map_stays_light() -> None:
    """As many municipios as a map may have, with far more points than a page can hold."""
    made = big_map(25, 24, points=10)
    assert len(made.territories) == catalog_maps.MOST_TERRITORIES
    points = sum(len(ring) for each in made.territories for ring in each.rings)
    assert catalog_maps.MOST_POINTS // 2 <= points <= catalog_maps.MOST_POINTS
    places = shown_places(made)
    page = f"{territory_map(made, places)}{square_map(made, places)}".encode()
    assert len(gzip.compress(page, 6)) < 30_000


def test_patterns_are_all_different() -> None:
    assert len({*PATTERNS}) == len(PATTERNS) == 12
    assert edge((0, 0), (1, 0), 4)[0] == (-100.0, 24.0)
