"""`python -m load_tests.bench.plot`: draw the growth of costs, from the stored figures, into `crecimiento.svg`."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from load_tests.bench.bench import RESULTS

PICTURE: Final = Path(__file__).parent / "crecimiento.svg"
WIDTH, HEIGHT = 360, 240
LEFT, BOTTOM, TOP, RIGHT = 56, 44, 40, 16
INK, PAPER, BLUE = "#222", "#fff", "#1f5fa8"

Point = tuple[float, float]


def points(bench: str) -> list[Point]:
    """The figures of one benchmark: the number in its name, and the value."""
    figures = json.loads(RESULTS.read_text(encoding="utf-8"))
    found = [figure for figure in figures if figure["bench"] == bench]
    return [(_number_in_name(figure["name"]), figure["value"]) for figure in found]


def _number_in_name(name: str) -> float:
    said = re.search(r"\d[\d,]*", name)
    assert said is not None, name
    return float(said[0].replace(",", ""))


def _shortened(number: float) -> str:
    return f"{number / 1000:g} mil" if number >= 1000 else f"{number:g}"


def chart(title: str, across: str, up: str, line: Sequence[Point], at: int) -> Iterator[str]:
    """One line chart that begins at zero; each point shows its value. The left edge of the chart is at `at`."""
    most_x, most_y = max(x for x, _ in line), max(y for _, y in line) * 1.1

    def place(x: float, y: float) -> Point:
        wide, high = WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - TOP
        return round(at + LEFT + x / most_x * wide, 1), round(HEIGHT - BOTTOM - y / most_y * high, 1)

    zero, end, top = place(0, 0), place(most_x, 0), place(0, most_y)
    yield f'<text x="{at + LEFT}" y="20" font-weight="bold">{title}</text>'
    yield f'<path d="M{top[0]} {top[1]}V{zero[1]}H{end[0]}" fill="none" stroke="{INK}"/>'
    yield f'<text x="{(zero[0] + end[0]) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{across}</text>'
    yield f'<text x="{at + LEFT}" y="{TOP - 6}" font-size="10">{up}</text>'
    path = "L".join(f"{x} {y}" for x, y in (place(*each) for each in line))
    yield f'<path d="M{path}" fill="none" stroke="{BLUE}" stroke-width="2"/>'
    for x, y in line:
        left, high = place(x, y)
        yield f'<circle cx="{left}" cy="{high}" r="3" fill="{BLUE}"/>'
        yield f'<text x="{left}" y="{high - 8}" font-size="10" text-anchor="end">{y:g}</text>'
        yield f'<text x="{left}" y="{HEIGHT - BOTTOM + 14}" font-size="9" text-anchor="middle">{_shortened(x)}</text>'


def picture() -> str:
    drawn = [
        *chart("Un corte, según sus actas", "actas de la noche", "segundos", points("crecimiento"), 0),
        *chart(
            "Imágenes, según sus procesos", "procesos que decodifican", "imágenes/s", points("kafka-workers"), WIDTH
        ),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" font-family="sans-serif"'
    inside = "\n".join([f'<rect width="{2 * WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>', *drawn])
    return f'{head} font-size="12" fill="{INK}">\n{inside}\n</svg>\n'


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
