"""The picture of an election: its size, its colours, and that equal texts give equal bytes."""

import io

import pytest
from PIL import Image

from prep.scan.lettering import plain, width_of
from prep.scan.share_card import SIZE, CardLine, ShareCard, draw_card

NIGHT = ShareCard(
    "PREP XX · Instituto de Ejemplo",
    "Gubernatura",
    "María Núñez lleva la delantera por 12,345 votos",
    "45.1234 % de las actas capturadas. Faltan 1,234: no es un resultado.",
    "Corte 12, 20:15 h del 6 de junio",
    (
        CardLine("María Núñez", "9 votos · 90.0000 %", 9000, "#1b5faa"),
        CardLine("Ana", "1 voto · 10.0000 %", 1000, "#e8731a"),
    ),
)


def drawn(card: ShareCard) -> Image.Image:
    return Image.open(io.BytesIO(draw_card(card))).convert("RGB")


def test_the_picture_has_the_size_that_other_sites_expect_and_few_bytes() -> None:
    assert drawn(NIGHT).size == SIZE == (1200, 630)
    assert len(draw_card(NIGHT)) < 60_000
    assert draw_card(NIGHT) == draw_card(NIGHT)


def test_a_bar_is_as_long_as_its_part_in_the_colour_of_its_party() -> None:
    picture = drawn(NIGHT)
    assert picture.getpixel((64, 265)) == picture.getpixel((1020, 265)) == (0x1B, 0x5F, 0xAA)
    assert picture.getpixel((64, 339)) == (0xE8, 0x73, 0x1A)
    rest = picture.getpixel((1100, 265))
    assert rest == picture.getpixel((200, 339))
    assert min(rest) > 200 if isinstance(rest, tuple) else False


def test_a_simulacro_is_seen_by_its_band() -> None:
    real = drawn(NIGHT)
    rehearsal = drawn(
        ShareCard(NIGHT.brand, NIGHT.title, NIGHT.lead, NIGHT.progress, NIGHT.hour, NIGHT.lines, simulacro=True)
    )
    assert real.getpixel((10, 600)) != rehearsal.getpixel((10, 600)) == (122, 31, 31)


@pytest.mark.parametrize("text", ["á" * 300, "", "Ñandú ¿y Güemes?", "漢字 🗳️ \u0301", "x" * 40])
def test_any_name_is_drawn_and_none_runs_over_the_number_beside_it(text: str) -> None:
    lines = (CardLine(text, "123,456 votos · 45.1234 %", 5000, "no es un color"),)
    picture = drawn(ShareCard(text, text, text, text, "Corte 1", lines))
    assert {picture.getpixel((x, y)) for x in range(1152, 1200) for y in (50, 110, 170, 240, 540)} == {(255, 255, 255)}


def test_letters_that_the_font_lacks_lose_their_accent_and_keep_their_width() -> None:
    assert plain("Ñandú: ¿Güemes?—sí…") == "Nandu: Guemes?-si..."
    assert width_of("áéíóú", 20) == width_of("aeiou", 20)
