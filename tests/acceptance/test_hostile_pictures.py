"""A sample of what `python -m load_tests.pictures --hostile` sends to a whole installation."""

from pathlib import Path

from load_tests.pictures.bombs import corpus
from load_tests.pictures.hostile import play


def test_the_corpus_has_at_least_three_hundred_kinds_each_with_a_name_of_its_own() -> None:
    names = [name for name, _ in corpus()]
    assert len(set(names)) == len(names) >= 300


async def test_bombs_break_nothing_and_lose_nothing(tmp_path: Path) -> None:
    told = await play(tmp_path, list(corpus())[5::32])
    assert (told.broken, told.unlisted, told.dead) == ([], [], [])
    assert told.answers[201] >= 5
    assert max(told.memory.values()) < 2 << 30, told.memory
