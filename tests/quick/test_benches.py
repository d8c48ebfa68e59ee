"""Every bench can be started: what it needs of the project is still there."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

from load_tests.bench import cortes
from tests.makers.programs import ROOT


def test_all_benches_are_there() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "load_tests.bench", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "nacional" in told.stdout


def test_the_night_of_a_bench_may_be_declared_and_no_hour_reaches_it() -> None:
    assert cortes.NEVER.start is not None
    assert cortes.NEVER.start > datetime.now(UTC) + timedelta(days=3650)
