"""A witness signs only what continues what it signed, and remembers it; the log collects what witnesses sign."""

import http.client
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integrity.__main__ import main
from integrity.audit import audit_log
from integrity.log import FileState, LogRefused, Sequencer
from integrity.merkle import consistency_proof as prove_consistency
from integrity.merkle import leaf_hash, nodes_of, root_of
from integrity.note import (
    Kind,
    Signer,
    Witness,
    checkpoint_text,
    read_checkpoint,
    read_policy,
    to_base64,
)
from integrity.source import Folder
from integrity.sums import Malformed
from integrity.tiles import Tiles
from integrity.witness import LONGEST_REQUEST, Answer, Cosigner, Memory, collect, read_request, serve, write_request
from tests.unit.log_maker import ORIGIN, entries, make_log, open_log, signer

LOG = signer()
WITNESS = signer("testigo.example/1", Kind.WITNESS, 11)
LEAVES = [leaf_hash(entry) for entry in entries(40)]
NOW = 1_700_000_000


def root(size: int) -> bytes:
    return root_of(b"".join(LEAVES[:size]))


def checkpoint(size: int, of: bytes | None = None, *, by: Signer = LOG, origin: str = ORIGIN) -> bytes:
    text = checkpoint_text(origin, size, root(size) if of is None else of)
    return f"{text}\n{by.sign(text)}".encode()


def ask(old: int, size: int) -> bytes:
    return write_request(old, prove_consistency(old, size, nodes_of(LEAVES)), checkpoint(size))


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    (tmp_path / "memoria").mkdir()
    return tmp_path / "memoria"


def cosigner(memory: Path) -> Cosigner:
    return Cosigner(WITNESS, [LOG.key], Memory(memory), lambda: NOW)


def is_signed(answer: Answer, size: int) -> bool:
    note = read_checkpoint(checkpoint(size) + answer.body.encode()).note
    return answer.status == 200 and note.cosigned_by(WITNESS.key) == NOW


def test_it_signs_what_continues_what_it_signed_and_after_a_restart_too(memory: Path) -> None:
    witness = cosigner(memory)
    assert is_signed(witness.add_checkpoint(ask(0, 5)), 5)
    assert is_signed(witness.add_checkpoint(ask(5, 5)), 5)
    assert is_signed(cosigner(memory).add_checkpoint(ask(5, 33)), 33)
    assert is_signed(witness.add_checkpoint(ask(33, 40)), 40)


def test_it_says_what_it_signed_last_to_who_does_not_know(memory: Path) -> None:
    witness = cosigner(memory)
    witness.add_checkpoint(ask(0, 33))
    for old, size in [(0, 40), (5, 40), (34, 40), (0, 5)]:
        assert witness.add_checkpoint(ask(old, size)) == (409, "33\n", "text/x.tlog.size")
    assert is_signed(witness.add_checkpoint(ask(33, 40)), 40)


def test_it_does_not_sign_another_history(memory: Path) -> None:
    witness = cosigner(memory)
    witness.add_checkpoint(ask(0, 33))
    other = bytes(32)
    assert witness.add_checkpoint(write_request(33, [], checkpoint(33, other))).status == 409
    proof = prove_consistency(33, 40, nodes_of(LEAVES))
    assert witness.add_checkpoint(write_request(33, proof, checkpoint(40, other))).status == 422
    assert witness.add_checkpoint(write_request(33, proof[:-1], checkpoint(40))).status == 422
    assert witness.add_checkpoint(write_request(33, [], checkpoint(40))).status == 422
    assert witness.add_checkpoint(write_request(33, [other], checkpoint(33))).status == 422
    assert is_signed(witness.add_checkpoint(ask(33, 40)), 40)


def test_it_says_who_it_does_not_know(memory: Path) -> None:
    witness = cosigner(memory)
    stranger = signer(ORIGIN, seed=9)
    assert witness.add_checkpoint(write_request(0, [], checkpoint(5, origin="otra.example"))).status == 404
    assert witness.add_checkpoint(write_request(0, [], checkpoint(5, by=stranger))).status == 403
    assert witness.add_checkpoint(write_request(0, [], checkpoint(5) + stranger.sign("x").encode())).status == 200
    spoiled = checkpoint(5).replace(b"\n5\n", b"\n6\n")
    assert witness.add_checkpoint(write_request(0, [], spoiled)).status == 403
    assert list(memory.glob("*")) != []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"old 0\n",
        b"old 00\n\n" + checkpoint(5),
        b"old -1\n\n" + checkpoint(5),
        b"old 9223372036854775808\n\n" + checkpoint(5),
        b"new 0\n\n" + checkpoint(5),
        b"old 0\nAAAA\n\n" + checkpoint(5),
        b"old 0\n\xff\n\n" + checkpoint(5),
        b"old 0\n" + f"{to_base64(bytes(32))}\n".encode() * 64 + b"\n" + checkpoint(5),
        b"old 0\n\n" + checkpoint(5)[:-1],
        b"old 0\n\nx",
        b"old 6\n\n" + checkpoint(5),
        b"old 0\n" + f"{to_base64(bytes(32))}\n".encode() + b"\n" + checkpoint(5).replace(b"=\n", b"\n"),
    ],
)
def test_what_is_no_request(memory: Path, data: bytes) -> None:
    assert cosigner(memory).add_checkpoint(data).status == 400
    assert list(memory.glob("*")) == []


def test_a_first_request_has_no_proof(memory: Path) -> None:
    assert cosigner(memory).add_checkpoint(write_request(0, [bytes(32)], checkpoint(5))).status == 422


def test_a_request_comes_back_as_it_was() -> None:
    request = read_request(write_request(5, [bytes(32)], checkpoint(33)))
    assert (request.old, request.proof, request.checkpoint.size) == (5, (bytes(32),), 33)
    with pytest.raises(Malformed):
        read_request(b"old 5")


def test_without_its_memory_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(LogRefused):
        Memory(tmp_path / "no-hay")


def test_what_it_signed_is_on_disk_before_the_answer(memory: Path) -> None:
    class Killed(BaseException):
        """The process ends here."""

    def die() -> float:
        raise Killed

    cosigner(memory).add_checkpoint(ask(0, 5))
    with pytest.raises(Killed):  # it looks at the clock to sign
        Cosigner(WITNESS, [LOG.key], Memory(memory), die).add_checkpoint(ask(5, 33))
    assert cosigner(memory).add_checkpoint(ask(5, 33)) == (409, "33\n", "text/x.tlog.size")


# --- over HTTP --------------------------------------------------------------------------------------------------------


@contextmanager
def running(memory: Path, who: Signer = WITNESS) -> Iterator[str]:
    with serve(who, [LOG.key], Memory(memory), host="127.0.0.1", port=0, tell=lambda _: None) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_log_collects_and_publishes_what_witnesses_sign(tmp_path: Path) -> None:
    second = signer("testigo.example/2", Kind.WITNESS, 12)
    folders = [tmp_path / "uno", tmp_path / "dos"]
    for folder in folders:
        folder.mkdir()
    known: dict[str, int] = {}
    with running(folders[0]) as one, running(folders[1], second) as two, open_log(tmp_path) as log:
        policy = read_policy(
            f"log {LOG.key}\nwitness A {WITNESS.key} {one}\nwitness B {second.key} {two}/\n"
            f"witness C {signer('c', Kind.WITNESS, 3).key} http://127.0.0.1:1\ngroup g 2 A B C\nquorum g\n".encode()
        )
        for count in (300, 10):
            log.append(entries(count, log.head.size))
            collected = collect(log.checkpoint(), log.tiles(), policy.witnesses, known)
            assert collected.failures == {"C": "no se pudo preguntar al testigo"}
            kept = log.add_cosignatures(collected.lines, [witness.key for witness in policy.witnesses.values()])
            assert kept == [WITNESS.key.name, second.key.name]
            assert audit_log(str(tmp_path / "bitacora"), policy).exit_code == 0
        assert known == {"A": 310, "B": 310}
        known.clear()  # a log that was restarted asks what they signed last
        log.append(entries(5, 310))
        assert not log.add_cosignatures(collected.lines, [WITNESS.key])  # they are of the checkpoint before
        assert collect(log.checkpoint(), log.tiles(), policy.witnesses, known).lines.count("\n") == 2


def test_a_log_that_went_back_is_told_so_and_gets_no_signature(tmp_path: Path, memory: Path) -> None:
    """Folder and state put back together: nothing on the machine shows it. The witness does."""
    make_log(tmp_path, [10])
    for name in ("bitacora", "estado"):
        shutil.copytree(tmp_path / name, tmp_path / "copia" / name)
    with running(memory) as url:
        witnesses = {"A": Witness(WITNESS.key, url)}
        with open_log(tmp_path) as log:
            log.append(entries(10, 10))
            assert not collect(log.checkpoint(), log.tiles(), witnesses, {}).failures
        with open_log(tmp_path / "copia") as log:
            log.append([b"otra"] * 5)
            said = collect(log.checkpoint(), log.tiles(), witnesses, {}).failures
            assert said == {"A": "el testigo ya firmó 20 hojas, más de las que hay"}
            log.append([b"otra"] * 5)
            assert "otra bitácora de 20" in collect(log.checkpoint(), log.tiles(), witnesses, {"A": 20}).failures["A"]
            log.append([b"otra"])
            assert collect(log.checkpoint(), log.tiles(), witnesses, {}).failures == {"A": "el testigo respondió 422"}


def test_a_witness_of_another_key_is_not_believed(tmp_path: Path, memory: Path) -> None:
    folder = make_log(tmp_path, [10])
    tiles = Tiles(Folder(folder), 10)
    note = (folder / "checkpoint").read_bytes()
    with running(memory) as url:
        other = Witness(signer("testigo.example/1", Kind.WITNESS, 99).key, url)
        said = collect(note, tiles, {"A": other}, {})
    assert said.failures == {"A": "la respuesta del testigo no trae una firma suya válida"}
    ftp = collect(note, tiles, {"A": Witness(WITNESS.key, "ftp://x")}, {})
    assert "debe empezar con http" in ftp.failures["A"]


def test_requests_that_are_none_get_an_answer_and_the_witness_goes_on(memory: Path) -> None:
    with running(memory) as url:

        def said(method: str, path: str, body: bytes | None = None, **headers: str) -> int:
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
            connection.putrequest(method, path)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders(body)
            try:
                return connection.getresponse().status
            finally:
                connection.close()

        assert said("GET", "/") == 404
        assert said("POST", "/otra", b"", Content_Length="0") == 404
        assert said("POST", "/add-checkpoint") == 411
        assert said("POST", "/add-checkpoint", Content_Length="-1") == 411
        assert said("POST", "/add-checkpoint", Content_Length=str(LONGEST_REQUEST + 1)) == 413
        assert said("POST", "/add-checkpoint", b"x", Content_Length="1") == 400
        assert said("PUT", "/add-checkpoint") == 501
        body = ask(0, 5)
        assert said("POST", "/add-checkpoint", body, Content_Length=str(len(body))) == 200


def test_several_requests_at_once_are_signed_in_one_order(memory: Path) -> None:
    witness = cosigner(memory)
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda size=size: answers.append(witness.add_checkpoint(ask(0, size))))
        for size in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7


def test_the_daemon_as_its_user_runs_it(tmp_path: Path, memory: Path) -> None:
    assert main(["log-key", "testigo.example/1", "--witness", "--out", str(tmp_path / "t")]) == 0
    command = [sys.executable, "-m", "integrity", "witness", "--private", str(tmp_path / "t")]
    command += ["--log", str(LOG.key), "--memory", str(memory), "--port", "0"]
    with subprocess.Popen(
        command, cwd=Path(__file__).resolve().parents[2], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert (tmp_path / "t.pub").read_text().strip() in process.stdout.readline()
            address = process.stdout.readline().split("http://")[1].strip().strip("/")
            connection = http.client.HTTPConnection(address, timeout=10)
            for old, size in [(0, 5), (5, 33)]:  # over one connection
                connection.request("POST", "/add-checkpoint", ask(old, size))
                answer = connection.getresponse()
                assert answer.status == 200
                assert answer.read().startswith("— testigo.example/1 ".encode())
            connection.close()
        finally:
            process.terminate()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--private": "{home}/no-hay"}, "No se pudo leer"),
        ({"--private": "{home}/log"}, "es de bitácora"),
        ({"--private": "{home}/basura"}, "llave"),
        ({"--log": str(WITNESS.key)}, "pública de una bitácora"),
        ({"--log": "x"}, "No se entiende"),
        ({"--memory": "{home}/no-hay"}, "no está la memoria"),
        ({"--port": "70000"}, "El puerto"),
        ({"--host": "203.0.113.1"}, "No se pudo abrir"),
    ],
)
def test_a_daemon_that_cannot_start_says_why(
    tmp_path: Path, memory: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], said: str
) -> None:
    (tmp_path / "t").write_text(WITNESS.to_text())
    (tmp_path / "log").write_text(LOG.to_text())
    (tmp_path / "basura").write_bytes(b"\xff\x00")
    options = {"--private": "{home}/t", "--log": str(LOG.key), "--memory": "{home}/memoria", "--port": "0"} | change
    words = [word.replace("{home}", str(tmp_path)) for option in options.items() for word in option]
    assert main(["witness", *words]) == 2
    assert said in capsys.readouterr().out


def test_cosignatures_of_nobody_known_are_left_out(tmp_path: Path) -> None:
    with Sequencer(tmp_path / "bitacora", LOG, FileState(tmp_path / "cabeza")) as log:
        log.append(entries(40))
        text = checkpoint_text(ORIGIN, 40, log.head.root)
        assert log.add_cosignatures("", [WITNESS.key]) == []
        assert log.add_cosignatures(WITNESS.cosign(text, at=NOW), []) == []
        assert log.add_cosignatures(WITNESS.cosign(text, at=NOW), [WITNESS.key]) == [WITNESS.key.name]
        assert log.add_cosignatures(WITNESS.cosign(text, at=NOW + 9), [WITNESS.key]) == [WITNESS.key.name]
        note = read_checkpoint(log.checkpoint()).note
        assert note.cosigned_by(WITNESS.key) == NOW + 9
        assert len(note.signatures) == 2
