"""A sample of what `python -m load_tests.pictures` does with two thousand: the same pictures by every decoder."""

import pytest

from load_tests.pictures.differential import browser_page, compare
from tests.makers.programs import browser_program


def test_what_everybody_shows_as_one_whole_picture_is_taken_and_shown_the_same() -> None:
    with browser_page(browser_program()) as page:
        rate = compare(range(150), page)
    assert rate.shown > 75, "else the sample says nothing"
    assert rate.lost == []


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PDF"])
def test_the_sample_holds_every_format(kind: str) -> None:
    from load_tests.pictures.kinds import picture

    assert any(picture(seed).form == kind for seed in range(150))
