"""An honest log passes whole, from a folder and over HTTP; each change is found at its place; a proof proves one entry."""

import functools
import gzip
import http.server
import json
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrity.__main__ import main
from integrity.log.audit import CannotProve, audit_log, check_proof, prove
from integrity.log.merkle import leaf_hash, root_of
from integrity.log.note import SignatureKind, checkpoint_text, read_policy, read_signer, read_verifier_key, trust_only
from integrity.log.tiles import write_bundle
from integrity.report import LOG_CHECKS, PROOF_CHECKS, Report, Result
from tests.makers.log_maker import ORIGIN, entries, flip, make_log, signer

SIZE = 600
LOG = signer()
TRUST = trust_only(LOG.key)
W1, W2 = signer("testigo.example/1", SignatureKind.WITNESS, 11), signer("testigo.example/2", SignatureKind.WITNESS, 12)
POLICY = f"log {LOG.key}\nwitness A {W1.key}\nwitness B {W2.key}\ngroup g all A B\nquorum g\n"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 leaves: two full tiles and one of 88, with a tile of 2 above them; signed by two witnesses."""
    folder = make_log(tmp_path_factory.mktemp("log"))
    text = checkpoint_text(ORIGIN, SIZE, root_of(b"".join(leaf_hash(entry) for entry in entries(SIZE))))
    with (folder / "checkpoint").open("a") as checkpoint:
        checkpoint.write(W1.cosign(text, at=1_700_000_000) + W2.cosign(text, at=1_700_000_001))
    return folder


@pytest.fixture
def log(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "bitacora"))


def sign(folder: Path, size: int, root: bytes, origin: str = ORIGIN) -> None:
    text = checkpoint_text(origin, size, root)
    (folder / "checkpoint").write_text(f"{text}\n{LOG.sign(text)}")


def only_wrong(report: Report) -> tuple[str, str, str]:
    """Check, file and position of the only finding."""
    [finding] = [finding for check in report.checks for finding in check.findings]
    assert report.exit_code == 1
    return finding.check, finding.file, finding.position


# --- audit ------------------------------------------------------------------------------------------------------------


def test_an_honest_log_passes_every_check(log: Path) -> None:
    report = audit_log(str(log), read_policy(POLICY.encode()))
    assert report.exit_code == 0
    assert {check.id: check.result for check in report.checks} == dict.fromkeys(LOG_CHECKS, Result.OK)
    assert report.facts["Hojas"] == "600"
    assert report.facts["Testigos"] == "A, B"


def test_without_a_policy_of_witnesses_it_says_that_none_was_asked(log: Path) -> None:
    report = audit_log(str(log), TRUST)
    assert report.exit_code == 0
    assert [check.id for check in report.checks if check.result is Result.NOT_APPLICABLE] == ["BIT-03"]


def test_an_empty_log_passes(tmp_path: Path) -> None:
    report = audit_log(str(make_log(tmp_path, [])), TRUST)
    assert report.exit_code == 0


def rewrite_last_entry(folder: Path) -> None:
    """An able cheat: entry and tile agree again, but the signed root does not."""
    other = [*entries(87, 512), b"otra"]
    (folder / "tile/entries/002.p/88").write_bytes(write_bundle(other))
    (folder / "tile/0/002.p/88").write_bytes(b"".join(leaf_hash(entry) for entry in other))


def rewrite_first_bundle(folder: Path) -> None:
    other = [b"otra", *entries(255, 1)]
    (folder / "tile/entries/000").write_bytes(write_bundle(other))
    (folder / "tile/0/000").write_bytes(b"".join(leaf_hash(entry) for entry in other))


def swap_entries(folder: Path) -> None:
    held = entries(256)
    held[7], held[8] = held[8], held[7]
    (folder / "tile/entries/000").write_bytes(write_bundle(held))


def link_a_tile(folder: Path) -> None:
    (folder / "tile/0/000").rename(folder / "aparte")
    (folder / "tile/0/000").symlink_to(folder / "aparte")


def make_it_a_folder(folder: Path) -> None:
    (folder / "tile/0/000").unlink()
    (folder / "tile/0/000").mkdir()


TAMPERS: dict[str, tuple[Callable[[Path], object], tuple[str, str, str]]] = {
    "an entry of a full bundle": (
        lambda folder: flip(folder / "tile/entries/001", 600),
        ("BIT-05", "tile/entries/001", "entrada 278"),
    ),
    "a hash of a full tile": (lambda folder: flip(folder / "tile/0/001", 100), ("BIT-05", "tile/0/001", "hash 3")),
    "a hash of a partial tile": (
        lambda folder: flip(folder / "tile/0/002.p/88", 100),
        ("BIT-05", "tile/0/002.p/88", "hash 3"),
    ),
    "an entry of a partial bundle": (
        lambda folder: flip(folder / "tile/entries/002.p/88"),
        ("BIT-05", "tile/entries/002.p/88", "entrada 556"),
    ),
    "a hash of an upper tile": (
        lambda folder: flip(folder / "tile/1/000.p/2", 40),
        ("BIT-06", "tile/1/000.p/2", "hash 1"),
    ),
    "two entries in each other's place": (swap_entries, ("BIT-05", "tile/entries/000", "entrada 7")),
    "an entry and its hash": (rewrite_first_bundle, ("BIT-06", "tile/1/000.p/2", "hash 0")),
    "the last entry and its hash": (rewrite_last_entry, ("BIT-07", "checkpoint", "raíz")),
    "a tile that is cut": (lambda folder: os.truncate(folder / "tile/0/000", 8191), ("BIT-04", "tile/0/000", "")),
    "a tile that is too long": (
        lambda folder: os.truncate(folder / "tile/0/000", 8224),
        ("BIT-04", "tile/0/000", ""),
    ),
    "a bundle that is cut": (
        lambda folder: os.truncate(folder / "tile/entries/000", 900),
        ("BIT-04", "tile/entries/000", ""),
    ),
    "a huge bundle": (
        lambda folder: os.truncate(folder / "tile/entries/001", 1 << 40),
        ("BIT-04", "tile/entries/001", ""),
    ),
    "a tile that is missing": (lambda folder: (folder / "tile/0/001").unlink(), ("BIT-04", "tile/0/001", "")),
    "a bundle that is missing": (
        lambda folder: (folder / "tile/entries/001").unlink(),
        ("BIT-04", "tile/entries/001", ""),
    ),
    "a partial tile that is missing": (
        lambda folder: (folder / "tile/0/002.p/88").unlink(),
        ("BIT-04", "tile/0/002.p/88", ""),
    ),
    "a tile that is a link": (link_a_tile, ("BIT-04", "tile/0/000", "")),
    "a tile that is a folder": (
        make_it_a_folder,
        ("BIT-04", "tile/0/000", ""),
    ),
    "another signed root": (lambda folder: sign(folder, SIZE, bytes(32)), ("BIT-07", "checkpoint", "raíz")),
    "a signed size that is larger": (lambda folder: sign(folder, 601, bytes(32)), ("BIT-04", "tile/0/002.p/89", "")),
    "a signed size without end": (
        lambda folder: sign(folder, (1 << 63) - 1, bytes(32)),
        ("BIT-04", "tile/0/002", ""),
    ),
    "another origin": (
        lambda folder: sign(folder, SIZE, root_of(b"".join(map(leaf_hash, entries(SIZE)))), "simulacro.example"),
        ("BIT-01", "checkpoint", ""),
    ),
    "a checkpoint that is none": (
        lambda folder: (folder / "checkpoint").write_text("x\n\n"),
        ("BIT-01", "checkpoint", ""),
    ),
    "a huge checkpoint": (lambda folder: os.truncate(folder / "checkpoint", 1 << 40), ("BIT-01", "checkpoint", "")),
    "no checkpoint": (lambda folder: (folder / "checkpoint").unlink(), ("BIT-01", "checkpoint", "")),
    "a checkpoint of another key": (
        lambda folder: (folder / "checkpoint").write_text(
            "x\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n" + signer("x").sign("x\n")
        ),
        ("BIT-02", "checkpoint", ""),
    ),
    "a changed checkpoint": (
        lambda folder: (folder / "checkpoint").write_text((folder / "checkpoint").read_text().replace("600", "599")),
        ("BIT-02", "checkpoint", ""),
    ),
}


@pytest.mark.parametrize("name", TAMPERS)
def test_each_change_is_found_at_its_place(log: Path, name: str) -> None:
    tamper, expected = TAMPERS[name]
    tamper(log)
    report = audit_log(str(log), TRUST)
    assert only_wrong(report) == expected
    assert Result.OK not in {check.result for check in report.checks if check.id == expected[0]}


def test_the_finding_names_the_expected_and_the_found_value(log: Path) -> None:
    held = entries(256)
    held[9] = b"otra"
    (log / "tile/entries/000").write_bytes(write_bundle(held))
    [finding] = [finding for check in audit_log(str(log), TRUST).checks for finding in check.findings]
    assert finding.expected == f"la huella {leaf_hash(entries(10)[9]).hex()}, que está en tile/0/000"
    assert finding.found == leaf_hash(b"otra").hex()


def test_too_few_witnesses_and_a_false_witness(log: Path) -> None:
    policy = read_policy(POLICY.encode())
    checkpoint = (log / "checkpoint").read_text()
    (log / "checkpoint").write_text(
        "".join(line for line in checkpoint.splitlines(keepends=True) if W2.key.name not in line)
    )
    assert only_wrong(audit_log(str(log), policy))[0] == "BIT-03"
    (log / "checkpoint").write_text(checkpoint + W2.cosign("otra cosa", at=1))
    assert only_wrong(audit_log(str(log), policy))[0] == "BIT-03"
    assert audit_log(str(log), TRUST).exit_code == 0  # a reader who does not know the witness ignores its line


def test_a_log_that_shows_its_entries_in_another_way_is_not_approved(log: Path) -> None:
    shutil.rmtree(log / "tile/entries")
    report = audit_log(str(log), TRUST)
    assert report.exit_code == 2
    assert [check.id for check in report.checks if check.result is Result.UNCHECKED] == ["BIT-05"]
    flip(log / "tile/1/000.p/2", 40)
    assert only_wrong(audit_log(str(log), TRUST))[0] == "BIT-06"


def test_a_log_that_cannot_be_read_is_not_approved(tmp_path: Path) -> None:
    assert audit_log(str(tmp_path / "no-hay"), TRUST).exit_code == 2
    assert audit_log("ftp://example.mx/", TRUST).exit_code == 2


# --- over HTTP --------------------------------------------------------------------------------------------------------


class Quiet(http.server.SimpleHTTPRequestHandler):
    compressed = False

    def log_message(self, *_: object) -> None:
        """Write no access log."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not self.compressed or not path.is_file():
            super().do_GET()
            return
        body = gzip.compress(path.read_bytes())
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Compressing(Quiet):
    """Compressed answers to every request, like some public logs."""

    compressed = True


@pytest.fixture(params=[Quiet, Compressing], ids=["plain", "gzip"])
def url(request: pytest.FixtureRequest, log: Path) -> Iterator[str]:
    handler = functools.partial(request.param, directory=str(log))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_over_http_it_is_the_same(url: str, log: Path) -> None:
    assert audit_log(url, read_policy(POLICY.encode())).exit_code == 0
    proof = prove(url, index=599)
    assert check_proof(proof.to_bytes(), entries(600)[599], TRUST).exit_code == 0
    flip(log / "tile/0/001")
    assert only_wrong(audit_log(url, TRUST))[:2] == ("BIT-05", "tile/0/001")
    (log / "tile/0/001").unlink()
    assert only_wrong(audit_log(url, TRUST))[:2] == ("BIT-04", "tile/0/001")


def test_a_server_that_is_away_is_not_approved(url: str) -> None:
    port = url.rsplit(":", 1)[1].strip("/")
    assert audit_log(f"http://127.0.0.1:{port}/otra-carpeta", TRUST).exit_code == 1
    assert audit_log("http://127.0.0.1:1/", TRUST).exit_code == 2


# --- proofs -----------------------------------------------------------------------------------------------------------


def test_a_proof_shows_one_entry_at_one_place(pristine: Path) -> None:
    for index in (0, 255, 256, 511, 512, 599):
        data = prove(str(pristine), index=index).to_bytes()
        report = check_proof(data, entries(600)[index], TRUST, name="p")
        assert {check.id: check.result for check in report.checks} == {
            **dict.fromkeys(PROOF_CHECKS, Result.OK),
            "PRU-03": Result.NOT_APPLICABLE,
        }
        assert only_wrong(check_proof(data, b"otra", TRUST))[0] == "PRU-04"
        moved = data.replace(f"index {index}".encode(), f"index {index ^ 1}".encode())
        assert only_wrong(check_proof(moved, entries(600)[index], TRUST))[0] == "PRU-04"


def test_an_entry_is_found_by_its_bytes(pristine: Path) -> None:
    assert prove(str(pristine), leaf=entries(600)[513]).index == 513


def test_a_proof_needs_the_signatures_that_the_policy_asks_for(pristine: Path) -> None:
    policy = read_policy(POLICY.encode())
    data, leaf = prove(str(pristine), index=300).to_bytes(), entries(600)[300]
    assert check_proof(data, leaf, policy).exit_code == 0
    bare = b"".join(line for line in data.splitlines(keepends=True) if W1.key.name.encode() not in line)
    assert only_wrong(check_proof(bare, leaf, policy))[0] == "PRU-03"
    assert only_wrong(check_proof(data, leaf, trust_only(signer("otra").key)))[0] == "PRU-02"
    assert only_wrong(check_proof(data.replace(b"\n600\n", b"\n601\n"), leaf, TRUST))[0] == "PRU-02"
    assert only_wrong(check_proof(b"nada", leaf, TRUST))[0] == "PRU-01"
    assert only_wrong(check_proof(data, leaf, TRUST, origin="simulacro.example"))[0] == "PRU-01"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_bytes_in_a_proof_or_a_checkpoint_raise_or_pass(log: Path, data: st.DataObject) -> None:
    """Any bytes at any place of a proof or a checkpoint give a finding."""
    proof = (log / "checkpoint").read_bytes() if data.draw(st.booleans()) else prove(str(log), index=300).to_bytes()
    start = data.draw(st.integers(0, len(proof) - 1))
    end = data.draw(st.integers(start, len(proof)))
    spoiled = proof[:start] + data.draw(st.binary(max_size=40)) + proof[end:]
    if spoiled.rstrip(b"\n") != proof.rstrip(b"\n"):
        policy = read_policy(POLICY.encode())
        assert check_proof(spoiled, entries(600)[300], policy).exit_code == 1
        pristine = (log / "checkpoint").read_bytes()
        (log / "checkpoint").write_bytes(spoiled)
        assert audit_log(str(log), policy).exit_code == 1
        (log / "checkpoint").write_bytes(pristine)


# --- the commands -----------------------------------------------------------------------------------------------------


def test_the_commands_from_the_key_to_the_checked_proof(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leaf, proof = tmp_path / "hoja", tmp_path / "hoja.tlog-proof"
    leaf.write_bytes(entries(600)[43])
    (tmp_path / "politica.txt").write_text(POLICY)
    key, policy = str(LOG.key), str(tmp_path / "politica.txt")
    assert main(["audit-log", str(log), "--key", key]) == 0
    shown = capsys.readouterr().out
    assert "Hojas: 600" in shown
    assert all(f"✓ {check}" in shown for check in LOG_CHECKS if check != "BIT-03")
    assert main(["audit-log", str(log), "--key", key, "--policy", policy, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["datos"]["Testigos"] == "A, B"
    assert main(["prove", str(log), "--leaf", str(leaf), "--out", str(proof)]) == 0
    assert main(["check-proof", str(proof), "--leaf", str(leaf), "--policy", policy]) == 0
    assert "✓ PRU-04" in capsys.readouterr().out
    assert main(["prove", str(log), "--index", "43"]) == 0
    assert capsys.readouterr().out.encode() == proof.read_bytes()
    leaf.write_bytes(b"retocada")
    assert main(["check-proof", str(proof), "--leaf", str(leaf), "--key", key]) == 1
    flip(log / "tile/entries/000")
    assert main(["audit-log", str(log), "--key", key]) == 1
    assert "✗ BIT-05  tile/entries/000, entrada 134: se esperaba" in capsys.readouterr().out


def test_a_key_pair_is_made_once_and_only_its_owner_can_read_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private = tmp_path / "la.llave"
    assert main(["log-key", "prep.example.mx", "--out", str(private)]) == 0
    shown = capsys.readouterr().out
    key = read_verifier_key((tmp_path / "la.llave.pub").read_text().strip())
    assert str(key) in shown
    assert read_signer(private.read_text()).key == key
    assert private.read_text().strip() not in shown
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    before = private.read_bytes()
    assert main(["log-key", "prep.example.mx", "--out", str(private)]) == 2
    assert private.read_bytes() == before
    assert main(["log-key", "dos palabras", "--out", str(tmp_path / "otra")]) == 2
    assert main(["log-key", "x", "--out", str(tmp_path / "no-hay" / "otra")]) == 2
    assert main(["log-key", "x", "--witness", "--out", str(tmp_path / "testigo")]) == 0
    assert read_signer((tmp_path / "testigo").read_text()).key.kind is SignatureKind.WITNESS


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (["audit-log", "{log}"], 2, "Falta decir en quién se confía"),
        (["audit-log", "{log}", "--key", "x"], 2, "No se entiende lo que se dio"),
        (["audit-log", "{log}", "--key", str(W1.key)], 2, "llave de una bitácora"),
        (["audit-log", "{log}", "--policy", "{log}/no-hay"], 2, "No se pudo leer"),
        (["audit-log", "{log}", "--policy", "{log}/checkpoint"], 2, "No se entiende lo que se dio: línea 1"),
        (["audit-log", "{log}", "--key", "k+12345678+AgAA"], 2, "no sabe comprobar"),
        (["audit-log", "{log}/no-hay", "--key", str(LOG.key)], 2, "no hay una carpeta"),
        (["audit-log", "{log}", "--key", str(LOG.key), "--origin", "otro"], 1, "se esperaba el origen «otro»"),
        (["check-proof", "{log}/no-hay", "--leaf", "{log}/checkpoint", "--key", str(LOG.key)], 2, "No se pudo leer"),
        (["check-proof", "{log}/checkpoint", "--leaf", "{log}/checkpoint", "--key", str(LOG.key)], 1, "✗ PRU-01"),
        (["prove", "{log}", "--index", "600"], 1, "no hay hoja 600"),
        (["prove", "{log}", "--index", "-1"], 2, "sin ceros a la izquierda"),
        (["prove", "{log}", "--index", "007"], 2, "sin ceros a la izquierda"),
        (["prove", "{log}", "--leaf", "{log}/checkpoint"], 1, "ninguna hoja de la bitácora es ese archivo"),
        (["prove", "{log}", "--leaf", "{log}/no-hay"], 2, "No se pudo leer"),
        (["prove", "{log}/no-hay", "--index", "0"], 2, "no hay una carpeta"),
    ],
)
def test_a_wrong_order_is_answered_in_a_sentence(
    log: Path, capsys: pytest.CaptureFixture[str], asked: list[str], code: int, said: str
) -> None:
    if asked[-1] == "-1":
        asked = [*asked[:-2], "--index=-1"]
    assert main([word.format(log=log) if "{log}" in word else word for word in asked]) == code
    shown = capsys.readouterr()
    assert said in " ".join((shown.out + shown.err).split())


def test_a_damaged_log_gives_no_proof(log: Path) -> None:
    flip(log / "tile/1/000.p/2", 40)
    with pytest.raises(CannotProve, match="raíz") as refused:
        prove(str(log), index=3)
    assert refused.value.is_wrong
