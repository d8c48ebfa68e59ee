"""A sample of what `python -m load_tests.pictures --hostile` sends to a whole installation."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from load_tests.pictures.bombs import corpus
from load_tests.pictures.hostile import play


@pytest.fixture(scope="module")
def bombs() -> Sequence[tuple[str, bytes]]:
    return list(corpus())


def test_the_corpus_has_at_least_three_hundred_kinds_each_with_a_name_of_its_own(
    bombs: Sequence[tuple[str, bytes]],
) -> None:
    names = [name for name, _ in bombs]
    assert len(set(names)) == len(names) >= 300


async def test_bombs_break_nothing_and_lose_nothing(bombs: Sequence[tuple[str, bytes]], tmp_path: Path) -> None:
    told = await play(tmp_path, bombs[5::32])
    assert (told.broken, told.unlisted, told.dead) == ([], [], [])
    assert told.answers[201] >= 5
    assert max(told.memory.values()) < 2 << 30, told.memory
