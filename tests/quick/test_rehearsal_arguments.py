"""Numbers that no rehearsal can be played with are refused before anything is made."""

import argparse

import pytest

from prep.errors import PrepError
from prep.rehearsal.commands import command_demo, image_width


@pytest.mark.parametrize("casillas", [0, -1, -3000])
@pytest.mark.parametrize("national", [False, True])
def test_a_demo_without_casillas_is_refused(casillas: int, *, national: bool) -> None:
    with pytest.raises(PrepError, match=f"--casillas es un número desde 1: no {casillas}"):
        command_demo(argparse.Namespace(casillas=casillas, national=national))


@pytest.mark.parametrize("pixels", [-1, 0, 999, 6801])
def test_an_image_that_nobody_can_draw_is_refused(pixels: int) -> None:
    with pytest.raises(PrepError, match=f"no {pixels}"):
        image_width(pixels)
