"""Three small nights under faults. No acknowledged image is lost, and no acta is counted twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from load_tests.chaos.chaos import script
from load_tests.chaos.faults import FaultKind, schedule
from prep.rehearsal.synthetic import synthetic
from tests.makers.waiting import NIGHT

CASILLAS = 24
FAULTS = 5
SEEDS = (1, 44, 79)  # together these three have every kind of fault


def faults(seed: int) -> list[FaultKind]:
    _, sheets = synthetic(CASILLAS, seed=seed)
    _, uploads = script(sheets, seed, FAULTS)
    return [fault.kind for fault in schedule(seed, FAULTS, len(uploads), kafka=True)]


def test_the_three_nights_together_have_every_kind_of_fault() -> None:
    assert {kind for seed in SEEDS for kind in faults(seed)} == set(FaultKind)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_night_under_faults_loses_nothing(kafka_jars: None, tmp_path: Path, seed: int) -> None:
    report = tmp_path / "informe.json"
    words = ["--casillas", CASILLAS, "--faults", FAULTS, "--seed", seed, "--interval", 5]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "load_tests.chaos",
            *map(str, words),
            "--data",
            str(tmp_path / "noche"),
            "--json",
            report,
        ],
        capture_output=True,
        text=True,
        timeout=NIGHT,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    told = json.loads(report.read_text())
    assert [each["fault"]["kind"] for each in told["faults"]] == [kind.name for kind in faults(seed)]
    assert all(each["looked_at"] for each in told["oracle"] if "apartados" not in each["what"])
