"""A small night under one fault of each kind. No acknowledged image is lost, and no acta is counted twice."""

import json
import subprocess
import sys
from pathlib import Path

from load_tests.chaos.chaos import script
from load_tests.chaos.faults import FaultKind, schedule
from prep.rehearsal.synthetic import synthetic
from tests.makers.waiting import NIGHT

CASILLAS = 30
FAULTS = len(FaultKind)
SEED = 44
INTERVAL = 6
"""Seconds between cortes: on a small machine cortes must not take the time that the faults need."""


def faults() -> list[FaultKind]:
    _, sheets = synthetic(CASILLAS, seed=SEED)
    _, uploads = script(sheets, SEED, FAULTS)
    return [fault.kind for fault in schedule(SEED, FAULTS, len(uploads), kafka=True)]


def test_the_night_has_every_kind_of_fault() -> None:
    assert set(faults()) == set(FaultKind)


def test_a_night_under_faults_loses_nothing(kafka_jars: None, tmp_path: Path) -> None:
    report = tmp_path / "informe.json"
    words = ["--casillas", CASILLAS, "--faults", FAULTS, "--seed", SEED, "--interval", INTERVAL]
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
    assert [each["fault"]["kind"] for each in told["faults"]] == [kind.name for kind in faults()]
    assert all(each["looked_at"] for each in told["oracle"] if "apartados" not in each["what"])
