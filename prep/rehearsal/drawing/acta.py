"""Draw the photograph of an acta: print the form, fill it in by hand, put on the sticker, then take the photograph.

The form is similar to INE's of 2024 (`docs/rules.md` §7). `draw` gives the same bytes for the same arguments and the
same state of `rng`. Two parts are slow: the blank form, and the shapes of handwritten digits and words. Each process
makes them once and pastes them afterwards.
"""

import random
from collections.abc import Mapping
from typing import Final

from PIL import Image

from prep.domain.entry import Field, Mark
from prep.rehearsal.drawing.camera import CLEAN, Condition, Photograph, photograph
from prep.rehearsal.drawing.handwriting import Hand
from prep.rehearsal.drawing.press import PEOPLE, QR_BOX, SIZE, WIDTH, PrintedForm, blank_form
from prep.scan.labels import modules

QR_SIDE: Final = 100
"""Side of the sticker with its white border; 2.5 cm on paper."""


def draw(
    form: PrintedForm,
    values: Mapping[str, Field],
    qr_text: str | None,
    *,
    rng: random.Random,
    condition: Condition = CLEAN,
    size: tuple[int, int] = SIZE,
) -> bytes:
    """A JPEG of `form` with `values`, which are by field code. A field without a value stays blank, as *sin dato*.

    *Ilegible* is a scribble over the boxes. If `qr_text` is None, the acta has no sticker.
    """
    return draw_and_photograph(form, values, qr_text, rng=rng, condition=condition, size=size).data


def draw_and_photograph(
    form: PrintedForm,
    values: Mapping[str, Field],
    qr_text: str | None,
    *,
    rng: random.Random,
    condition: Condition = CLEAN,
    size: tuple[int, int] = SIZE,
) -> Photograph:
    """The same as `draw`, with the place of each point of the sheet."""
    blank = blank_form(form, size)
    sheet = blank.image.copy()
    hand = Hand(rng, scale=size[0] / WIDTH)
    for code, place in blank.places.items():
        hand.write(
            sheet,
            _people_and_representantes(form, values) if code == PEOPLE else values.get(code, Mark.SIN_DATO),
            place,
        )
    hand.sign(sheet, form)
    if qr_text is not None:
        _put_on_sticker(sheet, qr_text, rng, size[0] / WIDTH)
    return photograph(sheet, condition, rng)


# People do not capture this section, but a real acta has it, so the drawn one has it too.
def _people_and_representantes(form: PrintedForm, values: Mapping[str, Field]) -> Field:
    """The value of section 5: personas plus representantes, as an officer adds them."""
    parts = [values.get(code, Mark.SIN_DATO) for code in form.header[1:3]]
    return (
        sum(part for part in parts if not isinstance(part, Mark))
        if parts and Mark.SIN_DATO not in parts
        else Mark.SIN_DATO
    )


def _put_on_sticker(sheet: Image.Image, text: str, rng: random.Random, scale: float) -> None:
    """Put the QR sticker on the sheet as a hand does: a little turned and not in the middle of its box."""
    sticker = _sticker_image(text, round(QR_SIDE * scale))
    turned = sticker.rotate(rng.uniform(-3, 3), Image.Resampling.BICUBIC, expand=True, fillcolor=(252, 252, 250))
    x0, y0, x1, y1 = QR_BOX
    x = (x0 + x1) / 2 * scale - turned.width / 2 + rng.uniform(-34, 34) * scale
    y = (y0 + y1) / 2 * scale - turned.height / 2 + rng.uniform(-6, 6) * scale
    sheet.paste(turned, (round(x), round(y)))


def _sticker_image(text: str, side: int) -> Image.Image:
    """A white square label with its QR code, medium error correction. `side` is in pixels."""
    rows = modules(text, level="M")
    count = len(rows)
    dark = Image.frombytes("L", (count, count), bytes(30 if dot == "1" else 252 for row in rows for dot in row))
    whole = Image.new("L", (count + 6, count + 6), 252)
    whole.paste(dark, (3, 3))
    zoom = -(-side // (count + 6)) + 1
    large = whole.resize((whole.width * zoom, whole.height * zoom), Image.Resampling.NEAREST)
    return large.resize((side, side), Image.Resampling.BOX).convert("RGB")
