"""The minimal verifier reads a tree of the real publisher and sequencer, while the log passes from key to key."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integrity.layout import rotation_path
from integrity.log.note import SignatureKind, Signer
from tests.conftest import Night
from tests.makers.logged_night import NAME, LoggedNight, logged_night
from tests.publisher.test_rotation import NEXT, end, rotate
from tests.tamper.matrix import judge


@pytest.fixture
async def tonight(night: Night, tmp_path: Path) -> AsyncIterator[LoggedNight]:
    async with logged_night(night, tmp_path, casillas=6) as made:
        await made.night.cut()
        await made.count(made.night.sheets[:4])
        await made.log()
        yield made


def results(tonight: LoggedNight, *keys: Signer) -> list[int]:
    public = tonight.office.public
    return [judge(public, ["--log-key", str(each.key)], minimal=True).exit_code for each in keys]


async def test_it_follows_the_log_from_the_first_key_to_the_last(tonight: LoggedNight, tmp_path: Path) -> None:
    first = tonight.office.signer
    kept = tmp_path / "guardado"
    shutil.copy(tonight.folder / "checkpoint", kept)
    assert results(tonight, first) == [0]
    await rotate(tonight, first, NEXT[0])
    assert results(tonight, first, NEXT[0]) == [0, 0]
    await end(tonight, NEXT[0])
    assert results(tonight, first, NEXT[0]) == [0, 0]
    for minimal in (False, True):
        words = ["--log-key", str(NEXT[0].key), "--checkpoint", str(kept)]
        assert judge(tonight.office.public, words, minimal=minimal).exit_code == 0
    assert results(tonight, Signer.generate(NAME, SignatureKind.LOG)) == [1]
    (tonight.folder / rotation_path(1)).unlink()
    assert results(tonight, first) == [1]
