"""The commands as people run them: their output, and the one sentence that they print if they cannot do their work."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

from prep.domain.entry import HEADER, TOTAL
from prep.rehearsal.drawing.acta import draw
from prep.rehearsal.drawing.press import PrintedForm
from prep.rehearsal.synthetic import synthetic

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
    return subprocess.run(
        [sys.executable, "-m", *words], env=clean | environment, capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_an_unknown_setting_stops_the_start() -> None:
    done = run("prep.operations", "migrate", PREP_DATABSE="x")
    assert done.returncode == 2
    assert done.stderr == "prep: variables de entorno desconocidas: PREP_DATABSE\n"


def test_a_wrong_setting_is_named() -> None:
    done = run("prep.operations", "migrate", PREP_DECODERS="muchos")
    assert (done.returncode, "PREP_DECODERS" in done.stderr) == (2, True)


def test_a_catalogue_is_checked_without_being_loaded(tmp_path: Path) -> None:
    folder, _ = synthetic(6, seed=1)
    for name, content in folder.items():
        (tmp_path / name).write_bytes(content)
    good = run("prep.operations", "catalog", "check", str(tmp_path))
    assert (good.returncode, good.stderr) == (0, "")
    assert "6 casillas, 2 elecciones, 12 actas esperadas" in good.stdout
    rows = (tmp_path / "casillas.csv").read_text()
    (tmp_path / "casillas.csv").write_text(rows.replace(",B,1,", ",B,uno,", 1))
    bad = run("prep.operations", "catalog", "check", str(tmp_path))
    assert bad.returncode == 1
    assert re.search(r"casillas\.csv:2: numero: .+\n", bad.stderr)


def test_scan_prints_one_object_an_image(tmp_path: Path) -> None:
    form = PrintedForm("Gubernatura", "Prueba", HEADER, ("ABETO", "NULOS"), TOTAL)
    good, bad = tmp_path / "acta.jpg", tmp_path / "nada.jpg"
    good.write_bytes(draw(form, {"ABETO": 12}, "33|1|1|7|1|B|0|1", rng=random.Random(1)))
    bad.write_bytes(b"no es una imagen")
    done = run("prep.operations", "scan", "--json", str(good), str(bad))
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["file"], first["text"]) == (str(good), "33|1|1|7|1|B|0|1")
    assert first["decoder"].startswith("zxing")
    assert (second["file"], second["text"]) == (str(bad), None)


def test_a_replay_refuses_a_file_that_is_not_official(tmp_path: Path) -> None:
    path = tmp_path / "otra.csv"
    path.write_text("a,b\n1,2\n")
    done = run("prep.operations", "replay", str(path))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) <= 3
    assert "Traceback" not in done.stderr


def test_a_replay_of_a_missing_file_says_so(tmp_path: Path) -> None:
    done = run("prep.operations", "replay", str(tmp_path / "nada.csv"))
    assert done.returncode == 2
    assert "no se puede leer" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_bus_of_kafka_is_made_ready_on_a_broker_of_this_machine(kafka_jars: None, tmp_path: Path) -> None:
    """Start the broker, make the bus ready twice, stop it; each command says what it did.

    Then the bus without Kafka.
    """
    data = {"PREP_DATA": str(tmp_path)}
    assert run("prep.operations", "bus", "init", **data).stdout == "el bus es el de PostgreSQL: no hay nada que crear\n"
    try:
        up = run("prep.operations", "kafka-dev", "up", **data)
        assert (up.returncode, up.stderr) == (0, "")
        kafka = dict(re.findall(r"(PREP_\w+)=(\S+)", up.stdout)) | data
        assert kafka["PREP_KAFKA_REPLICATION"] == "1"
        first, again = (
            run("prep.operations", "bus", "init", **kafka),
            run("prep.operations", "bus", "init", **kafka),
        )
        assert (first.returncode, again.returncode) == (0, 0)
        assert "prep.images: creado con 12 particiones y 1 copias" in first.stdout
        assert "prep.images: ya existía y es como debe" in again.stdout
        other = run("prep.operations", "bus", "init", **kafka | {"PREP_KAFKA_REPLICATION": "3"})
        assert (other.returncode, "se piden 3" in other.stdout) == (1, True)
        assert run("prep.operations", "kafka-dev", "up", "--nodes", "3", **data).returncode == 2
    finally:
        down = run("prep.operations", "kafka-dev", "down", **data)
    assert (down.returncode, "Kafka detenido" in down.stdout) == (0, True)
    away = run("prep.operations", "bus", "init", **kafka)
    assert (away.returncode, away.stderr.count("\n")) == (2, 1)
    assert away.stderr.startswith(f"prep: Kafka no responde en {kafka['PREP_KAFKA']}")
