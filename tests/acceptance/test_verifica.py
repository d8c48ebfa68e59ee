"""VERIFICA.txt is typed into a shell from top to bottom, beside a published tree on a plain static web server."""

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integrity import minimal_verifier
from tests.makers.programs import program
from tests.makers.tree_maker import SUMMARY
from tests.makers.waiting import PATIENCE
from tests.quick.test_integrity_verify import flip
from tests.tamper.night import Night

COMMANDS = 12
"""Number of blocks: the copy; five about digests; the sums; three about seals; two with the verifiers."""
MARK = "=== {} terminó con"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    made = Night(tmp_path_factory.mktemp("noche")).make()
    shutil.copy(minimal_verifier.__file__, made.home)
    return made


def commands(tree: Path) -> list[str]:
    """The commands of the text: its blocks of indented lines, in their order."""
    blocks: list[list[str]] = [[]]
    for line in (tree / "VERIFICA.txt").read_text().splitlines():
        if line.startswith("    "):
            blocks[-1].append(line.removeprefix("    "))
        elif line.strip() and blocks[-1]:
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def typed(tree: Path, home: Path) -> list[tuple[int, str]]:
    """Type every command into one shell, as a person does; the exit code and the answer of each.

    `home` holds what the text asks for, and nothing of the site.
    """
    program("sqlite3", "sqlite3")
    program("curl", "curl")
    blocks = commands(tree)
    lines = [f'{block}\necho "{MARK.format(number)} $?"' for number, block in enumerate(blocks)]
    with served(tree) as address:
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "SITIO": address}
        environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-s"], input="\n".join(lines), cwd=home, env=environment, text=True, timeout=PATIENCE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    answers: list[tuple[int, str]] = []
    rest = done.stdout
    for number in range(len(blocks)):
        answer, mark, rest = rest.partition(MARK.format(number))
        assert mark, done.stdout
        code, _, rest = rest.lstrip().partition("\n")
        answers.append((int(code), answer))
    return answers


@pytest.fixture(scope="module")
def answers(night: Night) -> list[tuple[int, str]]:
    return typed(night.tree, night.home)


def test_every_command_answers_as_the_text_says(night: Night, answers: list[tuple[int, str]]) -> None:
    blocks = commands(night.tree)
    assert len(answers) == len(blocks) == COMMANDS
    for block, (code, answer) in zip(blocks, answers, strict=True):
        assert code == 0, f"{block}\n{answer}"
    said = dict(zip(blocks, (answer for _, answer in answers), strict=True))

    def of(word: str) -> str:
        [answer] = [answer for command, answer in said.items() if word in command]
        return answer

    assert of("mkdir copia") == of('cd "$uno"') == of("find imagenes") == ""
    chain = of("cortes/*/SHA256SUMS\ngrep")
    digests = [line.split()[0] for line in chain.splitlines()[:3]]
    assert all(chain.count(digest) >= 2 for digest in digests)
    same = of("zip/*.zip")
    manifest = json.loads((night.tree / "cortes/0002/manifest.json").read_bytes())
    for digest in (manifest["zip"]["sha256"], *manifest["sitio"].values()):
        assert same.count(digest) == 2
    catalogue = of("sha256sum catalogo")
    assert catalogue.count(manifest["catalogo"]) == 2
    assert "MAL" not in catalogue
    assert "verification successful" in of("openssl cms").lower()
    assert {"Verified OK", "cortes/0002/SHA256SUMS.sello: OK"} <= {*of("openssl dgst").splitlines()}
    assert "Verification: OK" in of("openssl ts")
    assert "Time stamp: Feb 20 02:20:10 2023 GMT" in of("openssl ts")
    for answer in (answer for command, answer in said.items() if "../minimal_verifier.py" in command):
        assert "está bien" in answer


def test_the_sums_are_those_of_the_official_files(night: Night, answers: list[tuple[int, str]]) -> None:
    [answer] = [answer for block, (_, answer) in zip(commands(night.tree), answers, strict=True) if "sqlite3" in block]
    parts = answer.split(",".join(SUMMARY))[1:]
    totals = json.loads((night.tree / "cortes/0002/totals.json").read_bytes())["elecciones"]
    assert len(parts) == len(totals)
    for election, part in zip(sorted(totals), parts, strict=True):
        lines = part.strip().splitlines()
        values = dict(zip(SUMMARY, lines[0].strip().split(","), strict=True))
        told = dict(line.split("|") for line in lines[1:])
        votes = {code: str(votes) for code, votes in totals[election]["votos"].items()}
        assert told == {name: values[name] for name in told if name in values} | votes | {"ACTAS MAL SUMADAS": "0"}
        assert len(told) == 9 + len(votes)


def test_the_commands_report_a_changed_tree(night: Night, tmp_path: Path) -> None:
    home = tmp_path / "noche"
    shutil.copytree(night.home, home, ignore=shutil.ignore_patterns("copia"))
    tree = home / "publico"
    flip(tree / "cortes/0002/TAMPS_GOB_2023.csv")
    flip(next(tree.glob("imagenes/*/*.png")))
    flip(next(tree.glob("catalogo/*.csv")))
    said = "".join(answer for _, answer in typed(tree, home))
    assert "MAL: cortes/0002/" in said
    assert "MAL: imagenes/" in said
    assert "MAL: catalogo" in said
    assert "Hay algo mal" in said
