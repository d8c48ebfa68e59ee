"""Run every command of VERIFICA.txt on a published tree; each answers as the text says."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from integrity import minimal_verifier
from publisher.verification import VERIFICA
from tests.makers.programs import program
from tests.makers.tree_maker import SUMMARY
from tests.makers.waiting import PATIENCE
from tests.quick.test_integrity_verify import flip
from tests.tamper.night import Night

COMMANDS = 11
"""Number of blocks: four about digests, one for each of two elections, three about seals, two with the verifiers."""


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    made = Night(tmp_path_factory.mktemp("noche")).make()
    shutil.copy(minimal_verifier.__file__, made.home)
    return made


def commands(tree: Path) -> list[str]:
    """The commands of the text: its blocks of indented lines."""
    blocks: list[list[str]] = [[]]
    for line in (tree / VERIFICA).read_text().splitlines():
        if line.startswith("    "):
            blocks[-1].append(line.removeprefix("    "))
        elif blocks[-1]:
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]


def give(command: str, tree: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a shell, in the folder that the text names. Our own commands are on the PATH."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    words = ["bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(
        words, cwd=tree, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def answers(tree: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    program("sqlite3", "sqlite3")
    return {command: give(command, tree) for command in commands(tree)}


def test_every_command_answers_as_the_text_says(night: Night) -> None:
    found = answers(night.tree)
    assert len(found) == COMMANDS
    for command, done in found.items():
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    said = {command: done.stdout + done.stderr for command, done in found.items()}

    def of(word: str) -> str:
        [answer] = [answer for command, answer in said.items() if word in command]
        return answer

    assert of("sha256sum -c") == of("find imagenes") == ""
    chain = of("cortes/*/SHA256SUMS\ngrep")
    digests = [line.split()[0] for line in chain.splitlines()[:3]]
    assert all(chain.count(digest) >= 2 for digest in digests)
    zips = of("zip/*.zip")
    assert json.loads((night.tree / "cortes/0002/manifest.json").read_bytes())["zip"]["sha256"] in zips.splitlines()[-1]
    assert "verification successful" in of("openssl cms").lower()
    assert {"Verified OK", "SHA256SUMS.sello: OK"} <= {*of("openssl dgst").splitlines()}
    assert of("openssl ts").startswith("Using configuration") or "Verification: OK" in of("openssl ts")
    assert "Time stamp: Feb 20 02:20:10 2023 GMT" in of("openssl ts")
    for answer in (answer for command, answer in said.items() if "../minimal_verifier.py" in command):
        assert "está bien" in answer


def test_the_sums_are_those_of_the_official_file(night: Night) -> None:
    for election in ("DIP", "GOB"):
        [done] = [
            done for command, done in answers(night.tree).items() if f"_{election}_" in command and "sqlite3" in command
        ]
        told = dict(line.split("|") for line in done.stdout.splitlines()[2:])
        values = dict(zip(SUMMARY, done.stdout.splitlines()[1].strip().split(","), strict=True))
        totals = json.loads((night.tree / "cortes/0002/totals.json").read_bytes())["elecciones"][election]
        votes = {code: str(votes) for code, votes in totals["votos"].items()}
        assert told == {name: values[name] for name in told if name in values} | votes | {"ACTAS MAL SUMADAS": "0"}
        assert len(told) == 9 + len(votes)


def test_the_commands_report_a_changed_tree(night: Night, tmp_path: Path) -> None:
    home = tmp_path / "noche"
    shutil.copytree(night.home, home)
    tree = home / "publico"
    flip(tree / "cortes/0002/TAMPS_GOB_2023.csv")
    flip(next(tree.glob("imagenes/*/*.png")))
    flip(tree / "cortes/0002/SHA256SUMS")
    said = {command: done.stdout + done.stderr for command, done in answers(tree).items()}
    assert any("MAL: cortes/0002/" in answer for answer in said.values())
    assert any("MAL: imagenes/" in answer for answer in said.values())
    assert any("Verification failure" in answer or "verification failure" in answer.lower() for answer in said.values())
    assert any("Hay algo mal" in answer for answer in said.values())
