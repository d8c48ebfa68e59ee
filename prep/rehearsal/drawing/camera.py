"""The camera and its conditions: the photograph of a sheet may be turned, dark, blurred or in glare."""

import io
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of a photograph. Each field is the worst case; each image has a random part of it."""

    name: str
    rotation: float = 0.0
    """Degrees."""
    perspective: float = 0.0
    """A corner may move by this share of the side."""
    blur: float = 0.0
    """Radius in pixels of the final image."""
    noise: float = 0.0
    """Amplitude, on a scale of 255."""
    shadow: float = 0.0
    """The share of the light that a shadow may take away, 0 to 1."""
    glare: float = 0.0
    light: float = 1.0
    """Strength of the light; below 1 the photograph is dark."""
    contrast: float = 1.0
    quality: int = 82
    """Quality of the JPEG."""
    fold: float = 0.0
    """Height over the table of the crease of a sheet that was folded, as a share of the distance of the camera."""


CLEAN: Final = Condition("limpia")

CONDITIONS: Final[Mapping[str, Condition]] = {
    condition.name: condition
    for condition in (
        CLEAN,
        Condition("girada", rotation=5, perspective=0.02, shadow=0.2),
        Condition("borrosa", rotation=1, blur=1.0, noise=8, quality=70),
        Condition("oscura", rotation=1, light=0.42, contrast=0.8, noise=10, shadow=0.35, quality=72),
    )
}
"""The conditions of the photographs of a night."""

LEVELS: Final[Mapping[str, Condition]] = {
    condition.name: condition
    for condition in (
        Condition("leve", rotation=3, perspective=0.02, blur=0.4, noise=4, shadow=0.15, quality=85),
        Condition("medio", rotation=8, perspective=0.05, blur=0.9, noise=12, shadow=0.35, light=0.8, quality=70),
        Condition(
            "fuerte", rotation=12, perspective=0.06, blur=1.1, noise=18, shadow=0.5, glare=0.4, light=0.65, quality=62
        ),
        Condition(
            "extremo", rotation=14, perspective=0.06, blur=1.1, noise=22, shadow=0.55, glare=0.5, light=0.55, quality=56
        ),
    )
}
"""The conditions with which decoders are measured, from good to hardly legible."""

CROP_LEVELS: Final[Mapping[str, Condition]] = {
    condition.name: condition
    for condition in (
        Condition("buena", rotation=4, perspective=0.02, blur=0.5, noise=6, shadow=0.2, quality=85, fold=0.006),
        Condition(
            "media", rotation=8, perspective=0.04, blur=0.9, noise=12, shadow=0.35, light=0.8, quality=75, fold=0.012
        ),
        Condition(
            "mala",
            rotation=15,
            perspective=0.06,
            blur=1.3,
            noise=18,
            shadow=0.55,
            glare=0.3,
            light=0.65,
            contrast=0.85,
            quality=65,
            fold=0.022,
        ),
        Condition(
            "pésima",
            rotation=15,
            perspective=0.09,
            blur=2.4,
            noise=26,
            shadow=0.75,
            glare=0.6,
            light=0.45,
            contrast=0.7,
            quality=50,
            fold=0.05,
        ),
    )
}
"""The conditions with which crops are measured. A crease that rises by 0.022 stands 11 mm above the table, half a metre
below the phone."""


Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Panel:
    """A flat part of the sheet: its corners on the sheet, and where the camera sees them."""

    sheet: Sequence[Point]
    seen: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Photograph:
    """A photograph, and the place at which it shows each point of the sheet: the truth for tests."""

    data: bytes
    """A JPEG."""
    panels: Sequence[_Panel]
    """Empty if sheet and photograph have the same pixels."""

    def place(self, point: Point) -> Point:
        """The pixel of the photograph that shows this point of the sheet."""
        for panel in self.panels:
            if _inside(point, panel.sheet):
                return _moved(point, _homography_of_corners(panel.sheet, panel.seen))
        return point


def photograph(sheet: Image.Image, condition: Condition, rng: random.Random) -> Photograph:
    """The photograph of the sheet. First geometry, then light, then lens and sensor."""
    image, panels = sheet, list[_Panel]()
    if condition.rotation or condition.perspective or condition.fold:
        image, panels = _tilted_on_table(image, condition, rng)
    if condition.shadow:
        image = ImageChops.multiply(image, _uneven_light(image.size, condition.shadow, rng))
    if condition.glare:
        image = ImageChops.screen(image, _lamp_glare(image.size, condition.glare, rng))
    if condition.light != 1:
        image = ImageEnhance.Brightness(image).enhance(rng.uniform(condition.light, (1 + condition.light) / 2))
    if condition.contrast != 1:
        image = ImageEnhance.Contrast(image).enhance(rng.uniform(condition.contrast, 1))
    if condition.blur:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1) * condition.blur))
    if condition.noise:
        image = _sensor_noise(image, condition.noise * rng.uniform(0.5, 1), rng)
    saved = io.BytesIO()
    image.save(saved, "JPEG", quality=condition.quality)
    return Photograph(saved.getvalue(), panels)


def _tilted_on_table(sheet: Image.Image, condition: Condition, rng: random.Random) -> tuple[Image.Image, list[_Panel]]:
    """The sheet on a table, turned and seen at an angle; with a crease, if it was folded."""
    width, height = sheet.size
    angle = math.radians(rng.uniform(-condition.rotation, condition.rotation))
    fit = 1 / (abs(math.cos(angle)) + abs(math.sin(angle)) * width / height)
    seen = []
    for x, y in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)):
        dx, dy = x * width * fit, y * height * fit
        px = (
            width / 2
            + dx * math.cos(angle)
            - dy * math.sin(angle)
            - math.copysign(width, x) * rng.uniform(0, condition.perspective)
        )
        py = (
            height / 2
            + dx * math.sin(angle)
            + dy * math.cos(angle)
            - math.copysign(height, y) * rng.uniform(0, condition.perspective)
        )
        seen.append((px, py))
    corners = ((0.0, 0.0), (float(width), 0.0), (float(width), float(height)), (0.0, float(height)))
    table = rng.choice(((150, 130, 108), (90, 86, 84), (196, 190, 180)))
    panels = [_Panel(corners, seen)]
    if condition.fold:
        panels = _folded(sheet.size, condition.fold, _homography_of_corners(corners, seen), rng)
    image = Image.new("RGB", sheet.size, table)
    for panel in panels:
        lit = sheet if not condition.fold else ImageEnhance.Brightness(sheet).enhance(rng.uniform(0.82, 1))
        whole = lit.transform(
            sheet.size,
            Image.Transform.PERSPECTIVE,
            _homography_of_corners(panel.seen, panel.sheet),
            Image.Resampling.BILINEAR,
            fillcolor=table,
        )
        if not condition.fold:
            return whole, panels
        shape = Image.new("L", sheet.size)
        ImageDraw.Draw(shape).polygon([*panel.seen], fill=255)
        image.paste(whole, mask=shape)
    return image, panels


def _folded(size: tuple[int, int], rise: float, tilt: Sequence[float], rng: random.Random) -> list[_Panel]:
    """The two halves of a sheet whose crease stands above the table, and `tilt`, which the flat sheet would have had.

    The crease is upright, as that of a sheet in an envelope, or lies; it is not quite in the middle nor quite straight.
    """
    width, height = size
    upright = rng.random() < 0.5
    one, other = (0.5 + rng.uniform(-0.06, 0.06) for _ in range(2))
    if upright:
        crease: tuple[Point, Point] = (one * width, 0.0), (other * width, float(height))
        halves = (
            ((0.0, 0.0), crease[0], crease[1], (0.0, float(height))),
            (crease[0], (float(width), 0.0), (float(width), float(height)), crease[1]),
        )
    else:
        crease = (0.0, one * height), (float(width), other * height)
        halves = (
            ((0.0, 0.0), (float(width), 0.0), crease[1], crease[0]),
            (crease[0], crease[1], (float(width), float(height)), (0.0, float(height))),
        )
    # The camera is above the middle. A point that is nearer to it is seen farther from the middle.
    raised = rise * rng.uniform(0.5, 1)
    larger = 1 / (1 - raised)
    panels = []
    for half in halves:
        flat = [_nearer(point, size, larger) if point in crease else point for point in half]
        panels.append(_Panel(half, [_moved(point, tilt) for point in flat]))
    return panels


def _nearer(point: Point, size: tuple[int, int], larger: float) -> Point:
    """The point, as far from the middle as the camera sees it."""
    wide, high = size[0] / 2, size[1] / 2
    return wide + (point[0] - wide) * larger, high + (point[1] - high) * larger


def _inside(point: Point, corners: Sequence[Point]) -> bool:
    """Whether the point is in the convex shape, whose corners are clockwise on paper."""
    turned = [
        (bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)
        for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True)
    ]
    return min(turned) >= 0


def _moved(point: Point, by: Sequence[float]) -> Point:
    x, y = point
    over = by[6] * x + by[7] * y + 1
    return (by[0] * x + by[1] * y + by[2]) / over, (by[3] * x + by[4] * y + by[5]) / over


def _homography_of_corners(seen: Sequence[tuple[float, float]], sheet: Sequence[tuple[float, float]]) -> list[float]:
    """The eight numbers that map the first plane to the second one, from four pairs of corners."""
    rows = []
    for (x, y), (u, v) in zip(seen, sheet, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    for pivot in range(8):
        best = max(range(pivot, 8), key=lambda row: abs(rows[row][pivot]))
        rows[pivot], rows[best] = rows[best], rows[pivot]
        rows[pivot] = [value / rows[pivot][pivot] for value in rows[pivot]]
        for row in range(8):
            if row != pivot:
                rows[row] = [value - rows[row][pivot] * top for value, top in zip(rows[row], rows[pivot], strict=True)]
    return [row[8] for row in rows]


def _uneven_light(size: tuple[int, int], depth: float, rng: random.Random) -> Image.Image:
    """Uneven light: a soft field and, in half of the photographs, the hard edge of a person's shadow."""
    field = bytes(round(255 * (1 - depth * rng.random() * 0.6)) for _ in range(12))
    light = Image.frombytes("L", (4, 3), field).resize(size, Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        edge = Image.new("L", (64, 42), 255)
        x = rng.uniform(0, 64)
        shape = ((x, 0), (64, 0), (64, 42), (x + rng.uniform(-30, 30), 42))
        ImageDraw.Draw(edge).polygon(shape, fill=round(255 * (1 - depth * rng.uniform(0.5, 1))))
        light = ImageChops.multiply(light, edge.resize(size, Image.Resampling.BILINEAR))
    return Image.merge("RGB", (light, light, light))


def _lamp_glare(size: tuple[int, int], strength: float, rng: random.Random) -> Image.Image:
    """The reflection of a lamp, at a random place."""
    spot = Image.new("L", (48, 32))
    x, y, radius = rng.uniform(0, 48), rng.uniform(0, 32), rng.uniform(4, 9)
    ImageDraw.Draw(spot).ellipse(
        (x - radius, y - radius, x + radius, y + radius), fill=round(255 * strength * rng.uniform(0.5, 1))
    )
    light = spot.filter(ImageFilter.GaussianBlur(3)).resize(size, Image.Resampling.BILINEAR)
    return Image.merge("RGB", (light, light, light))


def _sensor_noise(image: Image.Image, amplitude: float, rng: random.Random) -> Image.Image:
    """Sensor noise, the same in the three channels, about Gaussian. `amplitude` is its largest value."""
    tile = 256
    one, two = (Image.frombytes("L", (tile, tile), rng.randbytes(tile * tile)) for _ in range(2))
    soft = Image.blend(one, two, 0.5).point([round(128 + (level - 128) * amplitude / 128) for level in range(256)])
    grain = Image.new("L", image.size)
    for x in range(-rng.randrange(tile), image.width, tile):
        for y in range(-rng.randrange(tile), image.height, tile):
            grain.paste(soft, (x, y))
    return ImageChops.add(image, Image.merge("RGB", (grain, grain, grain)), 1, -128)
