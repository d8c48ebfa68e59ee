"""The wheel in new environments without this checkout: one for an auditor, one for a night."""

import importlib.metadata
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from packaging.requirements import Requirement

from prep.store import embedded
from tests.makers.programs import ROOT
from tests.makers.tree_maker import make_tree
from tests.makers.waiting import NIGHT
from tests.quick.test_integrity_verify_seals import CLOCK_ROOT, vouch
from tests.quick.test_integrity_verify_seals import ROOT as AUTHORITY

LOCKED = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "-r")


def run(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    ours = ("PREP_", "PYTHON")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        list(map(str, words)), cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=NIGHT
    )


def pip_install(python: Path, *words: str | Path) -> None:
    # Not compiled: a night loads a small part of the packages.
    common: list[str | Path] = ["-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    common += ["--no-compile"]
    done = run(sys.executable, *common, *words, folder=python.parent)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, folder=ROOT)
    assert done.returncode == 0, done.stderr
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def auditor(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel without extras: only the packages that `integrity` needs."""
    folder = tmp_path_factory.mktemp("auditor")
    venv.create(folder)
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    blocks = {block.split("==")[0]: block for block in re.split(r"(?m)^(?=[a-z0-9])", lock) if "==" in block}
    (folder / "lock").write_text("".join(blocks[name] for name in sorted(asked_by("cryptography", "rfc3161-client"))))
    python = folder / "bin" / "python"
    pip_install(python, *LOCKED, folder / "lock")
    pip_install(
        python, "--no-index", wheel
    )  # its dependencies are there already, and pip has no source to fetch others
    return folder / "bin"


def asked_by(*names: str) -> set[str]:
    """The names of these packages and of all their dependencies."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        found.add(name := waiting.pop())
        asked = [Requirement(text) for text in importlib.metadata.requires(name) or ()]
        waiting += [each.name for each in asked if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


def test_an_auditor_verifies_a_tree_with_two_packages(auditor: Path, tmp_path: Path) -> None:
    tree = vouch(make_tree(tmp_path / "public"))
    authorities = {"ca": AUTHORITY, "tsa-ca": CLOCK_ROOT}
    words: list[str | Path] = []
    for option, party in authorities.items():
        (tmp_path / option).write_bytes(party.certificate.public_bytes(Encoding.PEM))
        words += [f"--{option}", tmp_path / option]
    done = run(auditor / "integrity", "verify", tree, *words, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ AUT-01" in done.stdout
    assert "✓ AUT-04" in done.stdout
    next(tree.glob("imagenes/*/*.png")).write_bytes(b"otra imagen")
    done = run(auditor / "integrity", "verify", tree, *words, folder=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr


@pytest.mark.parametrize("words", [("demo",), ("--help",), ("kafka-dev", "up"), ("migrate",)])
def test_without_extras_prep_names_the_missing_extra(auditor: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(auditor / "prep", *words, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "prep: falta el extra «night»: pip install 'prep-abierto[night]'\n"


@pytest.fixture(scope="module")
def institute(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel and the packages of a night, without test tools or this checkout."""
    folder = tmp_path_factory.mktemp("instituto")
    venv.create(folder)
    python = folder / "bin" / "python"
    pip_install(python, *LOCKED, ROOT / "requirements.lock")
    pip_install(python, "--no-index", f"prep-abierto[night,embedded,rehearsal,documents] @ {wheel.as_uri()}")
    return folder / "bin"


def test_a_demo_runs_from_an_installed_wheel(institute: Path, tmp_path: Path) -> None:
    where = run(institute / "python", "-c", "import prep, publisher; print(prep.__file__)", folder=tmp_path)
    assert where.stdout.startswith(str(institute.parent)), where
    try:
        done = run(
            institute / "prep",
            "demo",
            "--once",
            "--casillas",
            "5",
            "--interval",
            "15",
            "--data",
            "datos",
            folder=tmp_path,
        )
    finally:
        embedded.stop(tmp_path / "datos" / "instalacion" / "postgres")
    assert done.returncode == 0, done.stderr[-3000:]


def test_an_installed_wheel_can_fetch_the_development_kafka(institute: Path, kafka_jars: None, tmp_path: Path) -> None:
    """The wheel holds the list of jars. An empty cache is filled from this list."""
    program = "from prep.bus.kafka_dev import POM; print(POM.read_text('utf-8'))"
    done = run(institute / "python", "-c", program, folder=tmp_path)
    assert done.stdout.strip() == (ROOT / "prep" / "bus" / "kafka_pom.xml").read_text("utf-8").strip()
