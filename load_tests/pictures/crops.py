"""Strips of drawn actas at four levels of degradation, against the places that the drawing itself knows.

`python -m load_tests.pictures --crops [--count N]` prints and stores the rates, and ends with 1 if a target is missed.
A strip is right if all digit boxes of its field are in it and no middle of another field's box is. A field without a
strip is not wrong: the person sees the whole image.
"""

import io
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from PIL import Image

from load_tests.bench import bench
from prep.domain.entry import HEADER, TOTAL, Field, Mark
from prep.domain.layout import PER, Box, FormLayout, Point, read_layout
from prep.rehearsal.drawing.acta import draw_and_photograph
from prep.rehearsal.drawing.camera import CROP_LEVELS, Condition, Photograph, photograph
from prep.rehearsal.drawing.handwriting import Hand
from prep.rehearsal.drawing.press import PEOPLE, SIZE, FieldPlace, PrintedForm, blank_form, describe
from prep.scan.corners import find_marks
from prep.scan.crops import find_strips

OFFICIAL: Final = Path(__file__).parents[2] / "docs" / "examples" / "formato-presidencia-2024.json"
"""The layout of the blank presidential acta of 2024, measured on its public PDF."""
TARGETS: Final[Mapping[str, float]] = {"buena": 99.0, "media": 97.0, "mala": 85.0, "pésima": 0.0}
"""Per cent of the fields that must have a right strip, by level."""
MOST_WRONG: Final = 0.1
"""Per cent of all fields."""

Boxes = Mapping[str, tuple[Box, ...]]
"""Digit boxes of each field, in pixels of the sheet."""


@dataclass(frozen=True, slots=True)
class Paper:
    """A printed form that can be filled in and photographed."""

    layout: FormLayout
    boxes: Boxes
    take: Callable[[random.Random, Condition], Photograph]


def drawn_paper(rows: Sequence[str]) -> Paper:
    """A form as rehearsals draw it."""
    form = PrintedForm("Gubernatura", "Entidad sintética", HEADER, tuple(rows), TOTAL)
    places = blank_form(form, SIZE).places

    def take(rng: random.Random, condition: Condition) -> Photograph:
        values = _values(rng, [*HEADER, *rows, TOTAL])
        return draw_and_photograph(form, values, "28|1|1|2|1|B|0|5", rng=rng, condition=condition)

    boxes = {code: place.digits for code, place in places.items() if code != PEOPLE}
    return Paper(layout_of({"eleccion": "GOB", **describe(form)}), boxes, take)


def official_paper(blank: Path) -> Paper:
    """The blank official form, a picture of 1951 × 1270 pixels, filled in by the drawing's hands."""
    sheet = Image.open(blank).convert("RGB")
    scale = sheet.width / 430
    layout = layout_of(json.loads(OFFICIAL.read_text(encoding="utf-8")))
    boxes = dict(_official_boxes())

    def take(rng: random.Random, condition: Condition) -> Photograph:
        filled = sheet.copy()
        hand = Hand(rng, scale=sheet.width / SIZE[0])
        for code, value in _values(rng, [*boxes]).items():
            x0, y0, _, y1 = (part * scale for part in layout.strips[code])
            first = boxes[code][0][0]
            letters = (max(x0, first - 400) + 20, y0 + 4, first - 20, y1 - 4)
            hand.write(filled, value, FieldPlace(letters, boxes[code], (0, 0, 0, 0)))
        return photograph(filled, condition, rng)

    return Paper(layout, boxes, take)


def _official_boxes() -> Iterator[tuple[str, tuple[Box, ...]]]:
    """The pink digit boxes, as they were measured on the picture by their colour, apart from the layout's marks."""
    layout = layout_of(json.loads(OFFICIAL.read_text(encoding="utf-8")))
    columns = {1170: (1170, 1203, 1236), 1173: (1173, 1206, 1239), 531: (531, 564, 597)}
    rows = (167, 207, 247, 288, 328, 368, 409, 450, 491, 533, 573, 617, 660, 701, 742, 783, 825, 866)
    tops = {"BOLETAS_SOBRANTES": 737, "PERSONAS_VOTARON": 871, "REPRESENTANTES_VOTARON": 1011, "VOTOS_SACADOS": 988}
    tops |= dict(zip([code for code in layout.strips if code not in HEADER], rows, strict=True))
    for code, top in tops.items():
        at = 1173 if code == "VOTOS_SACADOS" else 531 if code in HEADER else 1170
        yield code, tuple((x, top, x + 25, top + 29) for x in columns[at])


def layout_of(told: object) -> FormLayout:
    stated, wrong = read_layout(json.dumps(told).encode())
    if stated is None:
        raise ValueError("; ".join(wrong))
    return stated.layout


def _values(rng: random.Random, codes: Sequence[str]) -> dict[str, Field]:
    values: dict[str, Field] = {code: rng.randrange(rng.choice((400, 20))) for code in codes}
    values[rng.choice(codes)] = Mark.ILEGIBLE
    return values


@dataclass(slots=True)
class Counted:
    """The strips of some actas."""

    fields: int = 0
    right: int = 0
    wrong: list[str] = field(default_factory=list)
    """Number of the acta, and field."""
    actas: int = 0
    find_ms: float = 0.0
    fit_ms: float = 0.0

    def per_cent(self) -> float:
        return round(100 * self.right / self.fields, 2)


def count_strips(paper: Paper, level: str, seeds: Sequence[int], counted: Counted) -> None:
    """Photograph an acta for each seed, look for its strips, and compare."""
    for seed in seeds:
        rng = random.Random(f"{level} {seed}")
        taken = paper.take(rng, CROP_LEVELS[level])
        image = Image.open(io.BytesIO(taken.data)).convert("L")
        began = time.process_time()
        found = find_marks(image)
        between = time.process_time()
        strips = find_strips(found, paper.layout) if found is not None else {}
        counted.fit_ms += (time.process_time() - between) * 1000
        counted.find_ms += (between - began) * 1000
        counted.actas += 1
        counted.fields += len(paper.boxes)
        seen = {
            code: [[taken.place(point) for point in corners(box)] for box in paper.boxes[code]] for code in paper.boxes
        }
        for code, quad in strips.items():
            strip = [(x * image.width / PER, y * image.height / PER) for x, y in quad]
            if _is_right(strip, code, seen):
                counted.right += 1
            else:
                counted.wrong.append(f"{level} {seed} {code}")


def corners(box: Box) -> list[Point]:
    x0, y0, x1, y1 = box
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _is_right(strip: Sequence[Point], code: str, seen: Mapping[str, list[list[Point]]]) -> bool:
    """`seen` are the corners of every field's digit boxes in the photograph."""
    others = [box for other, boxes in seen.items() if other != code for box in boxes]
    middles = [(sum(x for x, _ in box) / 4, sum(y for _, y in box) / 4) for box in others]
    return all(inside(point, strip) for box in seen[code] for point in box) and not any(
        inside(point, strip) for point in middles
    )


def inside(point: Point, corners: Sequence[Point]) -> bool:
    """Whether the point is in the convex shape, whose corners are clockwise."""
    x, y = point
    return all(
        (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
        for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True)
    )


PARTIES: Final = ("PAN", "PRI", "PRD", "PVEM", "PT", "MC", "MORENA")
BALLOTS: Final = (
    (*PARTIES, "PAN-PRI-PRD", "PAN-PRI", "PAN-PRD", "PRI-PRD", "PVEM-PT-MORENA", "PVEM-PT", "PVEM-MORENA", "PT-MORENA",
     "CAND_IND_1", "NO_REGISTRADAS", "NULOS"),
    ("PAN", "PRI", "MORENA", "NO_REGISTRADAS", "NULOS"),
    (*PARTIES, *(f"CAND_IND_{number}" for number in range(1, 20)), "NO_REGISTRADAS", "NULOS"),
)  # fmt: skip
"""Eighteen rows, five, and more than one column holds."""


def run(blank: Path, count: int) -> int:
    """Measure on `count` actas of each level, drawn ones and official ones; 0 if all targets are met."""
    before = bench.turns()
    drawn = [drawn_paper(rows) for rows in BALLOTS]
    official = official_paper(blank)
    told: dict[str, dict[str, Counted]] = {"actas dibujadas": {}, "formato oficial de 2024": {}}
    for level in CROP_LEVELS:
        for name, papers in (("actas dibujadas", drawn), ("formato oficial de 2024", [official])):
            counted = told[name].setdefault(level, Counted())
            for seed in range(count):
                count_strips(papers[seed % len(papers)], level, [seed], counted)
            print(
                f"{name}, {level}: {counted.per_cent()} % of {counted.fields} strips right, "
                f"{len(counted.wrong)} wrong; "
                f"CPU {counted.find_ms / count:.1f} + {counted.fit_ms / count:.1f} ms an acta",
                *counted.wrong,
                sep="\n  ",
                flush=True,
            )
    made = list(figures(told, turns=[before, bench.turns()]))
    bench.store(made)
    return 0 if all(figure["met"] for figure in made) else 1


def figures(told: Mapping[str, Mapping[str, Counted]], *, turns: Sequence[float]) -> Iterator[bench.Figure]:
    facts = {"bench": "recortes", "machine": bench.machine(), "commit": bench.commit(), "turns": [*turns]}
    for name, levels in told.items():
        every = [*levels.values()]
        actas, fields = sum(each.actas for each in every), sum(each.fields for each in every)
        wrong = sum(len(each.wrong) for each in every)
        for level, counted in levels.items():
            target, value = TARGETS[level], counted.per_cent()
            yield facts | {
                "name": f"recortes con sus recuadros, {name}, nivel {level}",
                "value": value,
                "unit": "%",
                "target": f">= {target:g}",
                "met": value >= target,
                "limit": {"actas": counted.actas, "fields": counted.fields, "wrong": len(counted.wrong)},
            }
        yield facts | {
            "name": f"recortes equivocados, {name}, los cuatro niveles",
            "value": round(100 * wrong / fields, 3),
            "unit": "%",
            "target": f"<= {MOST_WRONG}",
            "met": 100 * wrong / fields <= MOST_WRONG,
            "limit": {"actas": actas, "fields": fields, "wrong": wrong},
        }
        find, fit = (sum(getattr(each, part) for each in every) / actas for part in ("find_ms", "fit_ms"))
        yield facts | {
            "name": f"CPU por acta para sus recortes, {name}",
            "value": round(find + fit, 1),
            "unit": "ms",
            "target": ">= 0",
            "met": True,
            "limit": {"find_ms": round(find, 1), "fit_ms": round(fit, 1), "actas": actas},
        }
