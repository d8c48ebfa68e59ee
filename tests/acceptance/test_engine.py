"""The same night gives the same totals on Kafka, an external PostgreSQL and S3 as on the embedded parts."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.acceptance.test_killed import trusting
from tests.makers import engine

NIGHT = ("demo", "--once", "--casillas", "25", "--seed", "3", "--interval", "4")


def totals(folder: Path, settings: dict[str, str]) -> bytes:
    """The totals of the last corte, after `integrity verify` has approved the tree."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")} | settings
    public = folder / "publico"
    words = [*NIGHT, "--data", str(folder / "datos"), "--public", str(public)]
    for command in (["prep.operations.cli", *words], ["integrity", "verify", str(public), *trusting(folder / "datos")]):
        done = subprocess.run(
            [sys.executable, "-m", *command], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    index = json.loads((public / "index.json").read_text())
    assert index["fase"] == "final"
    return Path(public, index["carpeta"], "totals.json").read_bytes()


def test_the_distributed_engine_gives_the_same_totals(kafka_jars: None, tmp_path: Path) -> None:
    with engine.running(tmp_path / "motor") as settings:
        far = totals(tmp_path / "lejos", settings)
    assert far == totals(tmp_path / "cerca", {})
