"""`tests.tamper` falsifies the published tree in every way that it knows. Each time, two verifiers find it."""

import functools
import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integrity import __main__ as integrity
from integrity import minimal_verifier
from integrity.checks import BOTH, TABLE, Who, titles
from integrity.log.note import read_proof
from integrity.report import Ledger
from tests.makers.waiting import PATIENCE
from tests.tamper.cheats import CHEATS, Cheat
from tests.tamper.matrix import (
    DOCUMENT,
    Verdict,
    asked_once,
    document,
    judge,
    outcomes,
    printed,
    read_verdict,
    report,
    results,
)
from tests.tamper.mutations import mutate
from tests.tamper.night import Night

MINIMAL = Path(minimal_verifier.__file__)
NOT_CHECKED = {"the time stamp stripped", "the clean data: those of a named corte removed"}
"""Cheats after which a check cannot be made, but no check is wrong: a missing file may still arrive."""


@pytest.fixture(scope="module", autouse=True)
def each_question_once() -> Iterator[None]:
    """The same question has the same answer in each test here. A command in its own process asks anew."""
    with asked_once():
        yield


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return Night(tmp_path_factory.mktemp("noche")).make()


@pytest.fixture(scope="module")
def matrix(night: Night, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Cheat, Verdict, Verdict]]:
    return [*outcomes(night, tmp_path_factory.mktemp("copia"))]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder with a plain static web server; gives its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def command(where: str, night: Night, *, minimal: bool) -> Verdict:
    """Run the real command in a process of its own.

    The minimal one runs in a Python that cannot import this project.
    """
    program = ["-I", str(MINIMAL)] if minimal else ["-m", "integrity", "verify"]
    words = [sys.executable, *program, where, *night.remembering(2), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert not done.stderr
    return read_verdict(done.stdout, done.returncode)


@pytest.mark.parametrize("minimal", [False, True])
def test_an_unchanged_tree_is_approved(night: Night, minimal: bool) -> None:
    assert judge(night.tree, night.remembering(2), minimal=minimal) == Verdict(0, (), ())
    assert command(str(night.tree), night, minimal=minimal) == Verdict(0, (), ())


def test_there_are_many_ways_to_cheat(matrix: list[tuple[Cheat, Verdict, Verdict]]) -> None:
    assert len({cheat.name for cheat in CHEATS}) == len(CHEATS) == len(matrix) >= 100


def test_both_verifiers_find_every_cheat_with_the_same_checks(matrix: list[tuple[Cheat, Verdict, Verdict]]) -> None:
    """Not only the verdict is equal: the same checks are wrong, and the same checks could not be made."""
    for cheat, ours, minimal in matrix:
        assert ours.exit_code == (2 if cheat.name in NOT_CHECKED else 1), cheat.name
        assert minimal == ours, cheat.name


def test_both_verifiers_agree_on_random_changes(night: Night, tmp_path: Path) -> None:
    seen: dict[int, int] = {}
    for seed in (*range(60), 749):  # seed 749 gives a page of the index without its election
        tree = night.copy(tmp_path / "publico")
        told = mutate(tree, night, seed)
        ours = judge(tree, night.remembering(1), minimal=False)
        assert judge(tree, night.remembering(1), minimal=True) == ours, told
        seen[ours.exit_code] = seen.get(ours.exit_code, 0) + 1
        shutil.rmtree(tree)
    assert seen[1] > 30


def without_log(tree: Path) -> None:
    shutil.rmtree(tree / "bitacora")
    for path in tree.glob("cortes/*/*.tlog-proof"):
        path.unlink()


def without_seals(tree: Path) -> None:
    for path in tree.glob("cortes/*/SHA256SUMS.*"):
        if path.suffix != ".tlog-proof":
            path.unlink()


def test_both_verifiers_print_the_same_list_for_honest_trees(night: Night, tmp_path: Path) -> None:
    """For every set of keys and authorities that a reader may have, with and without a log, with and without seals."""
    key, authority = ["--log-key", str(night.log.key)], ["--ca", str(night.home / "autoridad.pem")]
    readers: list[list[str]] = [
        [],
        key,
        authority,
        [*key, *authority],
        night.reader(),
        night.remembering(0),
        night.remembering(2),
    ]
    strip: dict[str, list[Callable[[Path], None]]] = {
        "whole": [],
        "no log": [without_log],
        "no seals": [without_seals],
        "bare": [without_log, without_seals],
    }
    for name, gone in strip.items():
        tree = night.copy(tmp_path / name)
        for each in gone:
            each(tree)
        for options in readers:
            ours, minimal = (report(tree, options, minimal=minimal) for minimal in (False, True))
            assert (results(minimal[0]), minimal[1]) == (results(ours[0]), ours[1]), (name, options)


@pytest.mark.parametrize("minimal", [False, True])
def test_a_key_that_was_remembered_is_asked_for_the_next_time(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minimal: bool
) -> None:
    """Without any key the tree is *not checked*; once remembered, another key or another history is found by both."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    tree = night.copy(tmp_path / "publico")
    without_seals(tree)
    assert judge(tree, [], minimal=minimal) == Verdict(2, (), ("AUT-12",))
    first = ["--trust-on-first-use"]
    assert judge(tree, first, minimal=minimal) == Verdict(0, (), ())
    remembered = (tmp_path / "config" / "prep" / "llaves.json").read_bytes()
    # Each verifier reads the memory of the other.
    for other in (False, True):
        assert judge(tree, first, minimal=other) == Verdict(0, (), ())
    next(cheat for cheat in CHEATS if cheat.name == "the log signed by another key of its name").act(tree, night)
    for other in (False, True):
        assert judge(tree, first, minimal=other).wrong == ("AUT-12",)
    assert (tmp_path / "config" / "prep" / "llaves.json").read_bytes() == remembered


def test_the_document_agrees_with_the_code(matrix: list[tuple[Cheat, Verdict, Verdict]]) -> None:
    assert DOCUMENT.read_text() == document(matrix), "python -m tests.tamper docs/checks.md"


def test_both_verifiers_have_the_same_table_of_checks() -> None:
    assert titles(*BOTH) == minimal_verifier.CHECKS


def test_every_check_fails_for_some_cheat(matrix: list[tuple[Cheat, Verdict, Verdict]]) -> None:
    assert {check for _, ours, _ in matrix for check in ours.wrong} == titles(*BOTH).keys()


def test_every_check_of_a_log_and_of_a_proof_is_reported(night: Night, tmp_path: Path) -> None:
    policy = ["--policy", str(night.home / "politica.txt"), "--json"]
    audited, code = printed(integrity.main, ["audit-log", str(night.tree / "bitacora"), *policy])
    assert (dict(results(audited)), code) == (dict.fromkeys(titles(Who.AUDIT), "bien"), 0)
    proof, leaf = night.tree / "cortes/0002/SHA256SUMS.tlog-proof", tmp_path / "hoja"
    leaf.write_bytes(read_proof(proof.read_bytes()).extra or b"")
    checked, code = printed(integrity.main, ["check-proof", str(proof), "--leaf", str(leaf), *policy])
    assert dict(results(checked)).keys() == titles(Who.PROOF).keys()
    assert {*titles(Who.AUDIT), *titles(Who.PROOF), *titles(*BOTH)} == TABLE.keys()


@pytest.mark.parametrize("check", ["AUT-1", "AUT-07", "COM-09", ""])
def test_a_check_outside_the_table_cannot_be_reported(check: str) -> None:
    ledger, minimal = Ledger(), minimal_verifier.Report("")
    with pytest.raises(KeyError):
        ledger.did(check)
    with pytest.raises(KeyError):
        ledger.wrong(check, "index.json", expected="", found="")
    with pytest.raises(KeyError):
        ledger.unable([check], "")
    with pytest.raises(KeyError):
        ledger.not_applicable(check, "")
    with pytest.raises(RuntimeError), minimal.step("COM-01"):
        minimal.need(True, check, "")
    with pytest.raises(RuntimeError):
        minimal.unable([check], "")


@pytest.mark.parametrize("minimal", [False, True])
def test_a_plain_web_server_is_enough(night: Night, tmp_path: Path, minimal: bool) -> None:
    """Over HTTP a verifier cannot list folders, so it does not find extra files. It finds all else as in a folder."""
    with served(night.tree) as address:
        assert command(address, night, minimal=minimal) == Verdict(0, (), ())
    found: dict[str, int] = {}
    names = ["a byte of an official CSV", "a byte of an acta's image", "an old corte replayed: index.json put back"]
    for number, cheat in enumerate(each for each in CHEATS if each.name in [*names, "a hash in a tile"]):
        tree = night.copy(tmp_path / str(number))
        cheat.act(tree, night)
        with served(tree) as address:
            found[cheat.name] = judge(address, night.reader(), minimal=minimal).exit_code
    assert found == dict.fromkeys([*names, "a hash in a tile"], 1)


def test_a_tree_on_a_failing_server_counts_as_not_checked(night: Night) -> None:
    with served(night.tree) as address:
        pass
    for minimal in (False, True):
        verdict = judge(address, [], minimal=minimal)
        assert (verdict.exit_code, verdict.wrong) == (2, ())


def test_the_minimal_verifier_never_shows_a_traceback(
    night: Night, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With any kind of object in the place of any file, it prints a sentence and never approves the tree."""
    files = [path.relative_to(night.tree) for path in sorted(night.tree.rglob("*")) if path.is_file()]
    kinds = {
        path.suffix or path.name: path for path in files if "checkpoint" not in path.name and "000.p" not in path.parts
    }
    for number, (path, content) in enumerate(
        (path, content) for path in kinds.values() for content in (b"", b"\xff\x00" * 40, b'{"formato":1}\n')
    ):
        if path.suffix in {".html", ".css"} or (path.suffix == ".jsonl" and not content):
            continue
        tree = night.copy(tmp_path / str(number))
        (tree / path).write_bytes(content)
        assert judge(tree, night.reader(), minimal=True).exit_code in {1, 2}, path
    for words in (["/nowhere"], ["ftp://example.mx/"], [str(tmp_path)], [str(night.tree), "--ca", "/nowhere"]):
        assert minimal_verifier.main(words) == 2
        assert "Traceback" not in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        minimal_verifier.main(["--what"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("No se entiende la orden")


def test_the_minimal_verifier_says_what_it_could_not_check(night: Night) -> None:
    """Without a trusted authority, seals do not count as good. Nobody vouches for the key in the tree."""
    told = json.loads(
        subprocess.run(
            [sys.executable, "-I", MINIMAL, night.tree, "--json"], capture_output=True, text=True, check=False
        ).stdout
    )
    assert told["resultado"] == 2
    assert "LA QUE DICE EL PROPIO ÁRBOL" in " ".join(told["datos"])
    without = {check["id"] for check in told["comprobaciones"] if check["resultado"] == "no se pudo comprobar"}
    assert without == titles(Who.SEALS).keys() | {"AUT-12"}
