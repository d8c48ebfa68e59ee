"""200 honest nights in all shapes: both verifiers approve each, with the same answer to every check."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from tests.honest.compare import compared
from tests.honest.nights import PAGES_FIRST

SHAPES = {
    "a corte comes out",
    "it is in its stage",
    PAGES_FIRST,
    "the log passes to another key",
    "numbers of a device are lost",
    "a number is missing",
    "a sin acta beside an option off its ballot",
    "a correction",
    "a cotejo",
    "fuera de catálogo",
    "a sin acta undone",
    "… and done again",
    "an image that two people identified",
    "the night goes on",
}


def test_both_verifiers_approve_every_honest_night(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    problems = [
        f"seed {seed}: {problem}"
        for seed in range(200)
        if (problem := compared(tmp_path / str(seed), seed, now=datetime.now(UTC), seen=seen))
    ]
    assert problems == []
    assert seen.keys() >= SHAPES
