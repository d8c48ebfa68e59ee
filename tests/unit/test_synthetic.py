"""The made-up state is one that its own forms can hold, whatever its size."""

import pytest

from load_tests.synthetic import synthetic
from prep.domain.catalog_files import load_catalog


@pytest.mark.parametrize(("casillas", "seed"), [(30, 1), (400, 11), (2000, 3)])
def test_every_number_fits_the_boxes_of_its_form(casillas: int, seed: int) -> None:
    folder, sheets = synthetic(casillas, seed=seed)
    digits = {acta.qr: acta.digitos for acta in load_catalog(folder).actas}
    for sheet in sheets:
        for code, said in (sheet.values or {}).items():
            assert not isinstance(said, int) or 0 <= said < 10 ** digits[sheet.qr], (sheet.key, code)


def test_the_same_words_give_the_same_night() -> None:
    assert synthetic(20, seed=5) == synthetic(20, seed=5)
    assert synthetic(20, seed=5) != synthetic(20, seed=6)
