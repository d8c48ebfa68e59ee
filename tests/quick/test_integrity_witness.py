"""A witness signs only a log that continues the one it signed, and remembers it; the log collects its signatures."""

import http.client
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from pathlib import Path

import pytest

from integrity.__main__ import main
from integrity.log.audit import audit_log
from integrity.log.merkle import consistency_proof as prove_consistency
from integrity.log.merkle import leaf_hash, nodes_of, root_of
from integrity.log.note import (
    Policy,
    SignatureKind,
    Signer,
    Witness,
    checkpoint_text,
    read_checkpoint,
    read_policy,
    to_base64,
    trust_only,
)
from integrity.log.tiles import Tiles
from integrity.log.witness import (
    LONGEST_REQUEST,
    Cosigner,
    Memory,
    NotContinued,
    Panel,
    WitnessAnswer,
    read_request,
    serve,
    write_request,
)
from integrity.log.writer import FileState, LogRefused, Sequencer
from integrity.source import Folder
from integrity.sums import Malformed
from tests.makers.log_maker import ORIGIN, entries, make_log, open_log, signer
from tests.makers.waiting import PATIENCE

LOG = signer()
WITNESS = signer("testigo.example/1", SignatureKind.WITNESS, 11)
SECOND = signer("testigo.example/2", SignatureKind.WITNESS, 12)
THIRD = signer("testigo.example/3", SignatureKind.WITNESS, 13)
AWAY = "http://127.0.0.1:1"
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


def is_signed(answer: WitnessAnswer, size: int) -> bool:
    note = read_checkpoint(checkpoint(size) + answer.body.encode()).note
    return answer.status == 200 and note.cosigned_by(WITNESS.key) == NOW


def test_it_signs_a_continued_log_also_after_a_restart(memory: Path) -> None:
    witness = cosigner(memory)
    assert is_signed(witness.add_checkpoint(ask(0, 5)), 5)
    assert is_signed(witness.add_checkpoint(ask(5, 5)), 5)
    assert is_signed(cosigner(memory).add_checkpoint(ask(5, 33)), 33)
    assert is_signed(witness.add_checkpoint(ask(33, 40)), 40)


def test_it_tells_its_last_size_to_a_log_that_does_not_know_it(memory: Path) -> None:
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


def test_it_refuses_unknown_logs_and_keys(memory: Path) -> None:
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
def test_bytes_that_are_no_request(memory: Path, data: bytes) -> None:
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


def test_its_signature_is_on_disk_before_the_answer(memory: Path) -> None:
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
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def policy_of(**witnesses: str) -> Policy:
    """All of them, at those addresses: A has the key of WITNESS, the others have keys of their own."""
    keys = {"A": WITNESS, "B": SECOND, "C": THIRD}
    lines = [f"witness {name} {keys[name].key} {url}\n" for name, url in witnesses.items()]
    group = f"group g {max(1, len(lines) - 1)} {' '.join(witnesses)}\nquorum g\n"
    return read_policy(f"log {LOG.key}\n{''.join(lines)}{group}".encode())


def problems(panel: Panel) -> dict[str, str]:
    return {name: seat.problem.sentence for name, seat in panel.seats.items() if seat.problem}


def test_the_log_publishes_the_signatures_of_witnesses(tmp_path: Path) -> None:
    folders = [tmp_path / "uno", tmp_path / "dos"]
    for folder in folders:
        folder.mkdir()
    with running(folders[0]) as one, running(folders[1], SECOND) as two:
        policy = policy_of(A=one, B=f"{two}/", C=AWAY)
        panel = Panel(policy, patience=PATIENCE, longest_pause=0.0)
        with open_log(tmp_path, cosign=panel.ask) as log:
            for count in (300, 10):
                log.append(entries(count, log.head.size))
                names = [each.name for each in read_checkpoint(log.checkpoint()).note.signatures]
                assert names == [LOG.key.name, WITNESS.key.name, SECOND.key.name]
                assert audit_log(str(tmp_path / "bitacora"), policy).exit_code == 0
            assert problems(panel) == {"C": "no se pudo preguntar al testigo"}
            assert [panel.seats[name].known for name in "ABC"] == [310, 310, 0]
            old = panel.seats["A"].line[1]
        panel = Panel(policy, patience=PATIENCE)  # a restarted log asks each witness for the size that it signed last
        with open_log(tmp_path, cosign=panel.ask) as log:
            log.append(entries(5, 310))
            assert not log.add_cosignatures(old, [WITNESS.key])  # these are of the checkpoint before
            assert read_checkpoint(log.checkpoint()).note.text == panel.seats["A"].line[0]
            assert audit_log(str(tmp_path / "bitacora"), policy).exit_code == 0


def test_a_witness_that_was_away_is_not_waited_for_and_then_catches_up(tmp_path: Path, memory: Path) -> None:
    """Without the quorum the checkpoint has the log's own signature; the witness's is added later."""
    policy = policy_of(A=AWAY)
    panel = Panel(policy, patience=PATIENCE, longest_pause=0.0)
    with open_log(tmp_path, cosign=panel.ask) as log:
        log.append(entries(10))
        log.append(entries(10, 10))
        assert audit_log(str(tmp_path / "bitacora"), policy).exit_code == 1
        assert audit_log(str(tmp_path / "bitacora"), trust_only(LOG.key)).exit_code == 0
        with running(memory) as url:
            panel.seats["A"].witness = Witness(WITNESS.key, url)
            while not (lines := panel.ask(log.checkpoint(), log.tiles(), patience=0)):
                if asking := panel.seats["A"].asking:  # None: it answered just now
                    wait([asking], timeout=PATIENCE)
            assert log.add_cosignatures(lines, [WITNESS.key]) == [WITNESS.key.name]
            assert audit_log(str(tmp_path / "bitacora"), policy).exit_code == 0
            log.append(entries(10, 20))  # from now on the log waits for it again
            assert audit_log(str(tmp_path / "bitacora"), policy).exit_code == 0


def test_a_witness_that_never_answers_is_waited_for_once(tmp_path: Path) -> None:
    """It accepts the connection and is silent: the first checkpoint waits `patience` seconds, the next does not wait."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        panel = Panel(policy_of(A=f"http://127.0.0.1:{silent.getsockname()[1]}"), patience=0.05, timeout=PATIENCE)
        with open_log(tmp_path, cosign=panel.ask) as log:
            log.append(entries(10))
            first = panel.seats["A"].asking
            log.append(entries(10, 10))
            assert panel.seats["A"].asking is first  # only one question at a time
            assert log.head.size == 20
            panel = Panel(panel.policy, patience=2 * PATIENCE, timeout=PATIENCE)
            panel.seats["A"].failures = 1
            assert panel.ask(log.checkpoint(), log.tiles()) == ""
            assert panel.seats["A"].asking is not None  # it was asked again, and the log did not wait


def test_killed_between_the_witnesses_and_the_checkpoint_the_same_head_is_signed(tmp_path: Path, memory: Path) -> None:
    """Witnesses may have signed a head that is not published.

    The next run shows them, and everybody, this same head.
    """

    class Killed(BaseException):
        """The process ends here."""

    make_log(tmp_path, [10])
    with running(memory) as url:
        policy = policy_of(A=url)
        panel = Panel(policy, patience=PATIENCE)

        def dies(checkpoint: bytes, tiles: Tiles) -> str:
            assert panel.ask(checkpoint, tiles)
            raise Killed

        with pytest.raises(Killed), open_log(tmp_path, cosign=dies) as log:
            log.append(entries(10, 10))
        assert read_checkpoint((tmp_path / "bitacora" / "checkpoint").read_bytes()).size == 10
        panel = Panel(policy, patience=PATIENCE)
        with open_log(tmp_path, cosign=panel.ask) as log:
            assert log.head.size == 20
            assert audit_log(str(tmp_path / "bitacora"), policy).exit_code == 0


def test_a_log_that_went_back_gets_no_signature_and_hears_why(tmp_path: Path, memory: Path) -> None:
    """Folder and state are put back together: no file on the machine shows it, but the witness does."""
    make_log(tmp_path, [10])
    for name in ("bitacora", "estado"):
        shutil.copytree(tmp_path / name, tmp_path / "copia" / name)
    with running(memory) as url:

        def said(log: Sequencer, *, known: int = 0) -> str:
            panel = Panel(policy_of(A=url), patience=PATIENCE)
            panel.seats["A"].known = known
            assert not panel.ask(log.checkpoint(), log.tiles())
            problem = panel.seats["A"].problem
            assert isinstance(problem, NotContinued)
            return problem.sentence

        with open_log(tmp_path) as log:
            log.append(entries(10, 10))
            assert Panel(policy_of(A=url), patience=PATIENCE).ask(log.checkpoint(), log.tiles())
        with open_log(tmp_path / "copia") as log:
            log.append([b"otra"] * 5)
            assert said(log) == "el testigo ya firmó 20 hojas, más de las que hay"
            log.append([b"otra"] * 5)
            assert "otra bitácora de 20" in said(log, known=20)
            log.append([b"otra"])
            assert "no acepta que esta bitácora continúe" in said(log)


def test_a_witness_with_another_key_is_not_believed(tmp_path: Path, memory: Path) -> None:
    folder = make_log(tmp_path, [10])
    tiles = Tiles(Folder(folder), 10)
    note = (folder / "checkpoint").read_bytes()
    with running(memory) as url:
        panel = Panel(policy_of(B=url), patience=PATIENCE)
        assert panel.ask(note, tiles) == ""
        assert problems(panel) == {"B": "la respuesta del testigo no trae una firma suya válida"}
    panel = Panel(policy_of(A="ftp://x"), patience=PATIENCE)
    assert panel.ask(note, tiles) == ""
    assert "debe empezar con http" in problems(panel)["A"]


def test_bad_requests_get_an_answer_and_the_witness_goes_on(memory: Path) -> None:
    with running(memory) as url:

        def said(method: str, path: str, body: bytes | None = None, **headers: str) -> int:
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE)
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
    answers: list[WitnessAnswer] = []
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
            connection = http.client.HTTPConnection(address, timeout=PATIENCE)
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


def test_cosignatures_of_unknown_keys_are_left_out(tmp_path: Path) -> None:
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
