"""A demo prints one command that checks all its results, and this command works."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from prep.store import embedded
from tests.makers.waiting import NIGHT
from tests.quick.test_documents import RARE, described


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
    return subprocess.run(
        [sys.executable, "-m", *words], env=environment, capture_output=True, text=True, check=False, timeout=NIGHT
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of a finished demo, and the words of the command that it printed."""
    data = tmp_path_factory.mktemp("demo") / "datos"
    try:
        done = run("prep.operations.cli", "demo", "--once", "--casillas", "5", "--interval", "4", "--data", str(data))
    finally:
        embedded.stop(data / "instalacion" / "postgres")
    assert done.returncode == 0, done.stderr[-3000:]
    [line] = [line for line in done.stderr.splitlines() if line.startswith("compruébelo: ")]
    return data, shlex.split(line.removeprefix("compruébelo: "))


def test_the_printed_command_checks_all_and_finds_no_error(demo: tuple[Path, list[str]]) -> None:
    _, words = demo
    assert {"--ca", "--tsa-ca", "--log-key", "--simulacro"} <= set(words)
    done = run(*words)
    assert done.returncode == 0, done.stdout
    for check in ("AUT-01", "AUT-03", "AUT-04", "AUT-05", "AUT-12", "EVI-10"):
        assert f"✓ {check}" in done.stdout


def test_without_an_authority_the_verifier_does_not_approve(demo: tuple[Path, list[str]]) -> None:
    _, words = demo
    done = run(*words[: words.index("--ca")])
    assert done.returncode == 2
    assert "? AUT-01" in done.stdout


def test_the_documents_of_both_acts_exist_with_their_digests(demo: tuple[Path, list[str]]) -> None:
    data, _ = demo
    for name in ("cero", "cierre"):
        folder = data / "instalacion" / "actos" / name
        assert sorted(path.name for path in folder.iterdir()) == [
            "SHA256SUMS",
            "acto.pdf",
            "conteos.json",
            "software.txt",
        ]
        subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_each_file_that_a_night_publishes_is_described_and_each_described_file_is_published(
    demo: tuple[Path, list[str]],
) -> None:
    data, _ = demo
    patterns = described()
    tree = data / "publico"
    files = [str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()]
    assert [file for file in files if not any(pattern.fullmatch(file) for pattern in patterns.values())] == []
    absent = {path for path, pattern in patterns.items() if not any(map(pattern.fullmatch, files))}
    assert absent <= RARE.keys() - {"verificar.html"} | {"cortes/NNNN/SHA256SUMS.firma.p7s", "ELECCION/fuera/HASH.html"}
