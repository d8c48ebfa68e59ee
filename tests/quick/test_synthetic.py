"""The numbers of the invented state fit its own forms, for any size of the state."""

from collections import Counter

import pytest

from prep.files.catalog_files import load_catalog
from prep.rehearsal.synthetic import START, national_night, synthetic


@pytest.mark.parametrize(("casillas", "seed"), [(30, 1), (400, 11), (2000, 3)])
def test_every_number_fits_the_boxes_of_its_form(casillas: int, seed: int) -> None:
    folder, sheets = synthetic(casillas, seed=seed)
    digits = {acta.qr: acta.digitos for acta in load_catalog(folder).actas}
    for sheet in sheets:
        for code, said in (sheet.values or {}).items():
            assert not isinstance(said, int) or 0 <= said < 10 ** digits[sheet.qr], (sheet.key, code)


def test_the_same_arguments_give_the_same_night() -> None:
    assert synthetic(20, seed=5) == synthetic(20, seed=5)
    assert synthetic(20, seed=5) != synthetic(20, seed=6)


def test_the_actas_of_a_national_night_arrive_as_on_real_nights() -> None:
    """On real nights, 37 to 45 % arrive in the peak hour and 1 % in the worst minute.

    A small night may differ a little.
    """
    folder, sheets = national_night(1200, seed=1)
    catalog = load_catalog(folder)
    assert len(sheets) == len(catalog.actas) + 1
    minutes = [(sheet.acopio - START).total_seconds() / 60 for sheet in sheets]
    peak = max(sum(begin <= minute < begin + 60 for minute in minutes) for begin in range(180))
    assert 0.37 < peak / len(sheets) < 0.5
    worst = max(Counter(map(int, minutes)).values())
    assert 0.006 < worst / len(sheets) < 0.016
