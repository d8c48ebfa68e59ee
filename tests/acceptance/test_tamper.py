"""What is published is cheated on in every way that `tests.tamper` knows, and two verifiers find it each time."""

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
    document,
    judge,
    openssl_once,
    outcomes,
    printed,
    read_verdict,
    report,
    results,
)
from tests.tamper.mutations import mutate
from tests.tamper.night import Night

MINIMAL = Path(minimal_verifier.__file__)
NOT_CHECKED = {"the time stamp stripped"}
"""What shows only in something that cannot be checked any more: a time stamp may still come."""


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return Night(tmp_path_factory.mktemp("noche")).make()


@pytest.fixture(scope="module")
def matrix(night: Night, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Cheat, Verdict, Verdict]]:
    return [*outcomes(night, tmp_path_factory.mktemp("copia"))]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Its address on a plain static web server."""

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
    """The real command in a process of its own; the minimal one by a Python that sees nothing of this project."""
    program = ["-I", str(MINIMAL)] if minimal else ["-m", "integrity", "verify"]
    words = [sys.executable, *program, where, *night.remembering(2), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert not done.stderr
    return read_verdict(done.stdout, done.returncode)


@pytest.mark.parametrize("minimal", [False, True])
def test_what_nobody_touched_passes_whole(night: Night, minimal: bool) -> None:
    assert judge(night.tree, night.remembering(2), minimal=minimal) == Verdict(0, (), ())
    assert command(str(night.tree), night, minimal=minimal) == Verdict(0, (), ())


def test_there_are_many_ways_to_cheat(matrix: list[tuple[Cheat, Verdict, Verdict]]) -> None:
    assert len({cheat.name for cheat in CHEATS}) == len(CHEATS) == len(matrix) >= 100


def test_both_verifiers_find_every_cheat_by_the_same_checks(matrix: list[tuple[Cheat, Verdict, Verdict]]) -> None:
    """Not the verdict alone: the same checks are wrong, and the same could not be made."""
    for cheat, ours, minimal in matrix:
        assert ours.exit_code == (2 if cheat.name in NOT_CHECKED else 1), cheat.name
        assert minimal == ours, cheat.name


def test_both_verifiers_say_the_same_of_what_changed_at_random(night: Night, tmp_path: Path) -> None:
    seen: dict[int, int] = {}
    with openssl_once():
        for seed in (*range(60), 749):  # the last: a page of the index without its election
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


def test_of_honest_trees_both_verifiers_print_the_same_list(night: Night, tmp_path: Path) -> None:
    """Whatever the reader brought, and whether or not there are a log and seals."""
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


def test_the_document_is_what_the_code_says(matrix: list[tuple[Cheat, Verdict, Verdict]]) -> None:
    assert DOCUMENT.read_text() == document(matrix), "python -m tests.tamper docs/checks.md"


def test_the_minimal_verifier_has_the_table_of_the_other() -> None:
    assert titles(*BOTH) == minimal_verifier.CHECKS


def test_every_check_is_found_wrong_by_some_cheat(matrix: list[tuple[Cheat, Verdict, Verdict]]) -> None:
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
def test_what_is_in_no_table_cannot_be_reported(check: str) -> None:
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
    """Over HTTP nobody can see what other files there are; everything else is found as in a folder."""
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


def test_a_server_that_fails_is_not_checked(night: Night) -> None:
    with served(night.tree) as address:
        pass
    for minimal in (False, True):
        verdict = judge(address, [], minimal=minimal)
        assert (verdict.exit_code, verdict.wrong) == (2, ())


def test_the_minimal_verifier_never_shows_a_traceback(
    night: Night, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever stands in the place of any file: a sentence, and never a pass."""
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
    """With nobody to trust, seals that are there are not good; and a log's own key is said to be its own."""
    told = json.loads(
        subprocess.run(
            [sys.executable, "-I", MINIMAL, night.tree, "--json"], capture_output=True, text=True, check=False
        ).stdout
    )
    assert told["resultado"] == 2
    assert "LA QUE DICE EL PROPIO ÁRBOL" in " ".join(told["datos"])
    without = {check["id"] for check in told["comprobaciones"] if check["resultado"] == "no se pudo comprobar"}
    assert without == titles(Who.SEALS).keys()
