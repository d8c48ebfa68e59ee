"""A night that is killed ten times at random, and started again, has the same totals as a night without kills."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from prep.store import embedded
from tests.makers.waiting import NIGHT

CASILLAS = 110
KILLS = 10


def demo(folder: Path) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
    words = ["demo", "--once", "--casillas", str(CASILLAS), "--seed", "7", "--interval", "5"]
    places = ["--data", str(folder / "datos"), "--public", str(folder / "publico")]
    with (folder / "salida.txt").open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "prep.operations.cli", *words, *places], env=environment, stdout=out, stderr=out
        )


def trusting(data: Path) -> list[str]:
    """The options that make a verifier trust the authority of a demo."""
    ca = str(data / "autoridad" / "autoridad.pem")
    return ["--ca", ca, "--tsa-ca", ca, "--simulacro"]


def totals(folder: Path) -> bytes:
    public = folder / "publico"
    index = json.loads((public / "index.json").read_text())
    assert index["fase"] == "final"
    return Path(public, index["carpeta"], "totals.json").read_bytes()


def kill(process: subprocess.Popen[bytes], folder: Path, *, postgres: bool) -> None:
    """Send SIGKILL to the night and to every part that it started; with `postgres`, also to PostgreSQL."""
    parts = psutil.Process(process.pid).children(recursive=True)
    for part in [psutil.Process(process.pid), *parts]:
        with contextlib.suppress(psutil.NoSuchProcess):
            part.kill()
    process.wait()
    pid = folder / "datos" / "instalacion" / "postgres" / "postmaster.pid"
    if postgres and pid.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid.read_text().split()[0]), signal.SIGKILL)


def test_ten_kills_change_no_total(tmp_path: Path) -> None:
    alone, struck = tmp_path / "sola", tmp_path / "golpeada"
    alone.mkdir()
    struck.mkdir()
    chance = random.Random(20)
    kills = 0
    try:
        while True:
            night = demo(struck)
            if kills < KILLS:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    night.wait(chance.uniform(2, 9))
                if night.poll() is None:
                    kill(night, struck, postgres=chance.random() < 0.3)
                    kills += 1
                    time.sleep(0.2)  # the kernel ends the children of the killed process
                    continue
            assert night.wait(NIGHT) == 0, (struck / "salida.txt").read_text()[-3000:]
            break
        undisturbed = demo(alone)
        assert undisturbed.wait(NIGHT) == 0, (alone / "salida.txt").read_text()[-3000:]
    finally:
        for folder in (alone, struck):
            embedded.stop(folder / "datos" / "instalacion" / "postgres")
    assert kills >= KILLS // 2, "the night was over before it could be disturbed"
    assert totals(struck) == totals(alone)
    for folder in (alone, struck):
        done = subprocess.run(
            [sys.executable, "-m", "integrity", "verify", str(folder / "publico"), *trusting(folder / "datos")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        bitacora = folder / "publico" / "bitacora"
        audited = subprocess.run(
            [sys.executable, "-m", "integrity", "audit-log", str(bitacora), "--policy", str(bitacora / "politica.txt")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert audited.returncode == 0, audited.stdout[-3000:]
