"""The seed alone decides the course of a chaos night."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load_tests.chaos.chaos import main, script
from load_tests.chaos.faults import HOUR, KAFKA_ONLY, NODES, FaultKind, schedule
from prep.rehearsal.synthetic import synthetic

SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.integers(1, 40), st.integers(40, 5000), st.booleans())
def test_the_same_seed_gives_the_same_schedule(seed: int, count: int, uploads: int, kafka: bool) -> None:
    faults = schedule(seed, count, uploads, kafka=kafka)
    assert faults == schedule(seed, count, uploads, kafka=kafka)
    kinds = [kind for kind in FaultKind if kafka or kind not in KAFKA_ONLY]
    assert len(faults) == count
    assert len({fault.kind for fault in faults}) == min(count, len(kinds))
    assert [fault.after for fault in faults] == sorted(fault.after for fault in faults)
    assert all(0 <= fault.after < 0.9 * uploads for fault in faults)
    assert all(0 < fault.lasts < 10 and 10 <= abs(fault.jump) <= HOUR and 1 <= fault.node <= NODES for fault in faults)


def test_every_image_is_sent_and_some_more_than_once_out_of_order() -> None:
    _, sheets = synthetic(60, seed=4)
    kept, uploads = script(sheets, 4, 8)
    assert (kept, uploads) == script(sheets, 4, 8)
    sent = [upload.sheet.key for upload in uploads]
    images = {sheet.key for sheet in sheets if sheet.sin_acta is None}
    assert {sheet.key for sheet in kept} | set(sent) == images
    assert not {sheet.key for sheet in kept} & set(sent)
    assert len(sent) > len(set(sent))
    assert max(upload.together for upload in uploads) > 1
    order = {sheet.key: number for number, sheet in enumerate(sheets)}
    numbers = [order[key] for key in sent]
    assert numbers != sorted(numbers)


WRONG = {
    ("--faults", "-1"): "--faults va de 1 al número de casillas, 60: no -1",
    ("--faults", "61"): "--faults va de 1 al número de casillas, 60: no 61",
    ("--interval", "nan"): "--interval es un número de segundos mayor que cero",
    ("--casillas", "muchas"): "--casillas: 'muchas' no es un número",
    ("--bus", "rabbit"): "--bus: no hay 'rabbit'; hay: 'kafka', 'embedded'",
}


@pytest.mark.parametrize(("words", "sentence"), WRONG.items(), ids=" ".join)
def test_the_arguments_of_an_impossible_night_give_one_sentence(
    words: tuple[str, str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[0] == f"python -m load_tests.chaos: {sentence}"
