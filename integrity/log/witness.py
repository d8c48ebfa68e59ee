"""A witness: it signs a log's tree head only if it continues the last that it signed, and it remembers.

A party, a university or a newspaper runs one (`integrity witness`). The log asks it over HTTP, as C2SP tlog-witness has
it: `POST /add-checkpoint` with the size that the witness signed last, a consistency proof and the new checkpoint; the
answer is a signature line with the time. A log that shows one tree to some readers and another to others, or that takes
leaves back, gets no signature of an honest witness. This is why a reader's policy asks for witnesses.

A head is durable in the witness's memory before the answer leaves. A witness without its memory must not sign again.
"""

import hashlib
import http.client
import http.server
import re
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple

from integrity.log.merkle import EMPTY, NotProven, check_consistency
from integrity.log.note import (
    MOST_PROOF_HASHES,
    Checkpoint,
    Note,
    NotSigned,
    Policy,
    Signer,
    VerifierKey,
    Witness,
    read_checkpoint,
    read_decimal,
    read_hash,
    read_signatures,
    to_base64,
)
from integrity.log.tiles import Tiles
from integrity.log.writer import FileState, Head, LogRefused
from integrity.sums import Malformed

LONGEST_REQUEST: Final = 128 << 10
_LONGEST_SIZE: Final = 32
_LONGEST_ANSWER: Final = 64 << 10
_SIZE_TYPE: Final = "text/x.tlog.size"
_TEXT: Final = "text/plain; charset=utf-8"
_REQUEST_TIMEOUT_S: Final = 10.0
_ANSWER_TIMEOUT_S: Final = 5.0
PATIENCE: Final = 1.0
"""Seconds that a new checkpoint waits for its witnesses, at most."""
GRACE: Final = 0.1
"""Seconds that it waits for the others once there is a quorum."""
LONGEST_PAUSE: Final = 15.0
"""Seconds after which a witness that gave no signature is asked again, at most."""
_AT_ONCE: Final = 32
"""Requests answered at the same time; the others wait to be accepted."""


class WitnessAnswer(NamedTuple):
    """The answer of the witness to one request."""

    status: HTTPStatus
    body: str
    content_type: str = _TEXT


class Request(NamedTuple):
    """The body of add-checkpoint: the size signed last, the hashes of the proof, and the new checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: Checkpoint


def read_request(data: bytes) -> Request:
    """The parts of a request, in the form of C2SP tlog-witness. No signature is verified yet. Raises Malformed."""
    head, separator, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise Malformed("«old», un tamaño y hashes", "otros bytes") from None
    if not separator or not lines[0].startswith("old "):
        raise Malformed("«old» y un tamaño, hashes, una línea vacía y un punto de control", f"«{lines[0]}»", 1)
    if len(lines) - 1 > MOST_PROOF_HASHES:
        raise Malformed(f"hasta {MOST_PROOF_HASHES} hashes", f"{len(lines) - 1}")
    old = read_decimal(lines[0].removeprefix("old "), "un tamaño", line=1)
    proof = tuple(read_hash(line, line=number) for number, line in enumerate(lines[1:], 2))
    return Request(old, proof, read_checkpoint(note))


def write_request(old: int, proof: Sequence[bytes], checkpoint: bytes) -> bytes:
    """The body of add-checkpoint for these parts; `read_request` reads it."""
    return "\n".join([f"old {old}", *map(to_base64, proof), "", ""]).encode() + checkpoint


class Memory:
    """The head that the witness signed last, for each log; one file each, in a folder."""

    def __init__(self, folder: Path) -> None:
        """The folder must exist: a witness that starts without its memory would sign a second history.

        Raises LogRefused.
        """
        if not folder.is_dir():
            raise LogRefused(f"no está la memoria del testigo, {folder.name}: sin ella no debe firmar con esta llave")
        self._folder = folder

    def of(self, origin: str) -> FileState:
        """The memory of one log, by its origin; its head is None if this witness never signed that log."""
        # An origin may hold any character; its digest is a safe file name.
        return FileState(self._folder / hashlib.sha256(origin.encode()).hexdigest())


class Cosigner:
    """The witness itself, without its HTTP."""

    def __init__(self, signer: Signer, logs: Sequence[VerifierKey], memory: Memory, clock: Callable[[], float]) -> None:
        """`logs` are the keys of the logs it knows; a key's name is its log's origin."""
        self._signer = signer
        self._logs: Mapping[str, list[VerifierKey]] = {
            key.name: [each for each in logs if each.name == key.name] for key in logs
        }
        self._memory = memory
        self._clock = clock
        self._one_at_a_time = threading.Lock()

    def add_checkpoint(self, data: bytes) -> WitnessAnswer:
        """Sign the checkpoint, or refuse with the status that tlog-witness names for the case.

        A head that is signed is durable before this returns. Raises LogRefused or OSError if the memory fails.
        """
        try:
            request = read_request(data)
        except Malformed as problem:
            return _refusal_answer(HTTPStatus.BAD_REQUEST, f"se esperaba {problem.expected}")
        checkpoint = request.checkpoint
        keys = self._logs.get(checkpoint.origin)
        if keys is None:
            # The order of these answers is that of tlog-witness: unknown log 404, bad signature 403, sizes 400, other
            # size 409, bad proof 422.
            return _refusal_answer(HTTPStatus.NOT_FOUND, "este testigo no conoce esa bitácora")
        try:
            # Without the log's own signature, anybody could move the memory to a tree of theirs.
            if not any(checkpoint.note.signed_by(key) for key in keys):
                return _refusal_answer(HTTPStatus.FORBIDDEN, "el punto de control no lo firmó esa bitácora")
        except NotSigned:
            return _refusal_answer(HTTPStatus.FORBIDDEN, "la firma del punto de control no es válida")
        if request.old > checkpoint.size:
            return _refusal_answer(HTTPStatus.BAD_REQUEST, "el tamaño anterior es mayor que el del punto de control")
        with self._one_at_a_time:  # between the comparison and the swap no other request may sign
            return self._sign_if_continued(request)

    def _sign_if_continued(self, request: Request) -> WitnessAnswer:
        checkpoint = request.checkpoint
        state = self._memory.of(checkpoint.origin)
        last = state.read()
        signed = last or Head(0, EMPTY)
        if request.old != signed.size:
            return WitnessAnswer(HTTPStatus.CONFLICT, f"{signed.size}\n", _SIZE_TYPE)
        if signed.size == checkpoint.size and signed.root != checkpoint.root:
            # Two trees of one size, both signed by the log: the proof that it forked is in the request.
            return WitnessAnswer(HTTPStatus.CONFLICT, f"{signed.size}\n", _SIZE_TYPE)
        try:
            if signed.size:
                check_consistency(signed.size, checkpoint.size, signed.root, checkpoint.root, request.proof)
            elif request.proof:
                return _refusal_answer(HTTPStatus.UNPROCESSABLE_ENTITY, "desde 0 la prueba debe estar vacía")
        except NotProven as problem:
            return _refusal_answer(HTTPStatus.UNPROCESSABLE_ENTITY, problem.sentence)
        # If we stop before the swap, we have signed no head; if we stop after it, the log asks again with the new size.
        if not state.swap(last, Head(checkpoint.size, checkpoint.root)):
            return _refusal_answer(HTTPStatus.SERVICE_UNAVAILABLE, "otro proceso usa la memoria de este testigo")
        return WitnessAnswer(HTTPStatus.OK, self._signer.cosign(checkpoint.note.text, at=int(self._clock())))


def _refusal_answer(status: HTTPStatus, sentence: str) -> WitnessAnswer:
    return WitnessAnswer(status, sentence + "\n")


# --- the daemon -------------------------------------------------------------------------------------------------------


class WitnessServer(http.server.ThreadingHTTPServer):
    """The daemon; `serve_forever` until `shutdown`."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], cosigner: Cosigner, tell: Callable[[str], None]) -> None:
        self.cosigner = cosigner
        self.tell = tell
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(  # the thread that answers gives its place back
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: tuple[str, int]
    ) -> None:
        # At most `_AT_ONCE` threads: a client that sends slowly holds one place, and the others wait in the kernel's
        # queue.
        self._places.acquire()
        super().process_request(request, client_address)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: tuple[str, int]
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: tuple[str, int]
    ) -> None:
        """A client that went away is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: WitnessServer
    protocol_version = "HTTP/1.1"
    server_version = "integrity-witness"
    sys_version = ""
    timeout = _REQUEST_TIMEOUT_S

    def do_POST(self) -> None:
        if self.path != "/add-checkpoint":
            self._send_answer(_refusal_answer(HTTPStatus.NOT_FOUND, "aquí solo está /add-checkpoint"), end=True)
            return
        stated = self.headers.get("Content-Length", "")
        # Without its length the body could not be limited, nor the next request found on the same connection.
        if not re.fullmatch("[0-9]{1,9}", stated, re.ASCII):
            self._send_answer(_refusal_answer(HTTPStatus.LENGTH_REQUIRED, "falta el largo de la solicitud"), end=True)
            return
        if int(stated) > LONGEST_REQUEST:
            self._send_answer(
                _refusal_answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"se admiten {LONGEST_REQUEST} bytes"), end=True
            )
            return
        body = self.rfile.read(int(stated))
        if len(body) != int(stated):
            self.close_connection = True
            return
        try:
            answer = self.server.cosigner.add_checkpoint(body)
        except (LogRefused, OSError) as error:
            sentence = error.sentence if isinstance(error, LogRefused) else "no se pudo guardar lo que se firma"
            answer = _refusal_answer(HTTPStatus.INTERNAL_SERVER_ERROR, sentence)
        # One line for the operator: the status and the Spanish sentence, or the signature.
        self.server.tell(f"{answer.status.value} {answer.body.strip()}")
        self._send_answer(answer)

    def do_GET(self) -> None:
        self._send_answer(_refusal_answer(HTTPStatus.NOT_FOUND, "aquí solo está POST /add-checkpoint"))

    def _send_answer(self, answer: WitnessAnswer, *, end: bool = False) -> None:
        body = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        if end:  # the rest of this request, still unread, would be taken for the next one
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """The server's `tell` speaks for it."""


def serve(
    signer: Signer, logs: Sequence[VerifierKey], memory: Memory, *, host: str, port: int, tell: Callable[[str], None]
) -> WitnessServer:
    """A bound server that does not serve yet. Raises OSError if the address is taken."""
    return WitnessServer((host, port), Cosigner(signer, logs, memory, time.time), tell)


# --- the log's side ---------------------------------------------------------------------------------------------------


class Refusal(Exception):
    """The witness gave no signature; `sentence` is Spanish."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class NotContinued(Refusal):
    """The witness signed a head that this tree does not continue: another log was, or is, shown to somebody."""


@dataclass
class Seat:
    """One witness of a panel: the text that it signed last, and the text that it is asked to sign now."""

    witness: Witness
    known: int = 0
    """Leaves of the last tree that it signed, as far as we know; to be wrong costs one more request."""
    problem: Refusal | None = None
    """Why its last answer was no signature."""
    failures: int = 0
    """Answers without a signature since its last one."""
    due: float = 0.0
    """When to ask it again."""
    line: tuple[str, str] = ("", "")
    """The last text that it signed, and its signature."""
    asking: "Future[str] | None" = None
    text: str = ""
    """The text of the checkpoint that it is asked to sign."""


class Panel:
    """The witnesses of a policy that have an address, all asked at once for each new checkpoint.

    A corte must not wait for a slow witness. So a new checkpoint waits at most `patience` seconds; once the policy's
    quorum has signed it waits `GRACE` more; for a witness that gave no signature the last time it does not wait. That
    witness is asked again, after longer and longer pauses, and its checkpoint is always the newest; once it has
    answered, it is waited for again. A witness that sends its answer byte by byte holds up nobody but itself.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        patience: float = PATIENCE,
        timeout: float = _ANSWER_TIMEOUT_S,
        longest_pause: float = LONGEST_PAUSE,
    ) -> None:
        """All in seconds; `timeout` is of each wait inside a request."""
        self.policy = policy
        self._patience = patience
        self._timeout = timeout
        self._longest_pause = longest_pause
        self.seats = {name: Seat(each) for name, each in policy.witnesses.items() if each.url}

    def ask(self, checkpoint: bytes, tiles: Tiles, *, patience: float | None = None) -> str:
        """The signature lines for that checkpoint that arrive in time. Call it from one thread at a time."""
        text = read_checkpoint(checkpoint).note.text
        now = time.monotonic()
        deadline = now + (self._patience if patience is None else patience)
        awaited = {
            seat.asking for seat in self.seats.values() if self._begin_asking(seat, checkpoint, text, tiles, now)
        }
        pending: set[Future[str]] = {each for each in awaited if each is not None}
        hurried = False
        while pending and (left := deadline - time.monotonic()) > 0:
            _, pending = wait(pending, left, FIRST_COMPLETED)
            # As soon as the quorum is complete, the deadline moves forward: the others have `GRACE` seconds more.
            if not hurried and self.policy.is_met_by(self._seats_that_signed(text)):
                hurried, deadline = True, min(deadline, time.monotonic() + GRACE)
        return "".join(self.seats[name].line[1] for name in self._seats_that_signed(text))

    def _begin_asking(self, seat: Seat, checkpoint: bytes, text: str, tiles: Tiles, now: float) -> bool:
        """Ask a witness that is free and has not signed this text; returns whether to wait for its answer."""
        self._take_settled_answer(seat)
        if seat.asking is None and seat.line[0] != text and now >= seat.due:
            seat.asking, seat.text = Future(), text
            old = min(seat.known, tiles.size)
            asking = partial(_ask_witness, seat.witness, checkpoint, tiles, old=old, timeout=self._timeout)
            # A daemon thread: the process may end while it waits. The next checkpoint asks this witness again.
            threading.Thread(target=_resolve_future, args=(seat.asking, asking), daemon=True).start()
        return seat.asking is not None and seat.text == text and not seat.failures

    def _take_settled_answer(self, seat: Seat) -> None:
        """Take the answer of a witness, if it has come: its signature, or its refusal and the time to ask again."""
        if seat.asking is None or not seat.asking.done():
            return
        problem = seat.asking.exception()
        if problem is None:
            seat.line = seat.text, seat.asking.result()
            # The size that it signed last. The next proof begins there.
            seat.known = read_checkpoint(f"{seat.text}\n{seat.line[1]}".encode()).size
            seat.problem, seat.failures, seat.due = None, 0, 0.0
        else:
            seat.problem = problem if isinstance(problem, Refusal) else Refusal("no se pudo preguntar al testigo")
            seat.failures += 1
            # The pause doubles with each failure: half a second at first, `longest_pause` at most.
            seat.due = time.monotonic() + min(self._longest_pause, 2.0 ** min(seat.failures, 10) / 4)
        seat.asking = None

    def _seats_that_signed(self, text: str) -> list[str]:
        for seat in self.seats.values():
            self._take_settled_answer(seat)
        return [name for name, seat in self.seats.items() if seat.line[0] == text]


def _resolve_future(future: "Future[str]", asking: Callable[[], str]) -> None:
    try:
        future.set_result(asking())
    except Exception as error:  # noqa: BLE001  # the panel takes it from the future, as a refusal
        future.set_exception(error)


def _ask_witness(witness: Witness, checkpoint: bytes, tiles: Tiles, *, old: int, timeout: float) -> str:
    """The signature line of one witness, after at most two requests. Raises Refusal or NotContinued.

    The first request begins at `old`, the size that we think it signed last. If it answers with another size (409), the
    second begins there.
    """
    status, answer = _post_checkpoint(witness.url, write_request(old, tiles.consistency(old), checkpoint), timeout)
    if status == HTTPStatus.CONFLICT:
        theirs = _read_size_signed(answer)
        if theirs == old:
            raise NotContinued(f"el testigo firmó otra bitácora de {theirs} hojas")
        if theirs > tiles.size:
            raise NotContinued(f"el testigo ya firmó {theirs} hojas, más de las que hay")
        status, answer = _post_checkpoint(
            witness.url, write_request(theirs, tiles.consistency(theirs), checkpoint), timeout
        )
    # 422: the witness computed our proof and it does not lead from its head to ours.
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        raise NotContinued("el testigo no acepta que esta bitácora continúe la que firmó")
    if status != HTTPStatus.OK:
        raise Refusal(f"el testigo respondió {status}")
    note = read_checkpoint(checkpoint).note
    try:
        # A witness may answer with lines of several keys. Only a good signature of the key in the policy counts.
        for each in read_signatures(answer.decode()):
            if Note(note.text, (each,)).cosigned_by(witness.key) is not None:
                return each.line
    except (Malformed, NotSigned, UnicodeDecodeError):
        pass
    raise Refusal("la respuesta del testigo no trae una firma suya válida")


def _read_size_signed(answer: bytes) -> int:
    try:
        return read_decimal(answer.decode("ascii").removesuffix("\n"), "un tamaño")
    except (Malformed, UnicodeDecodeError):
        raise Refusal("el testigo no dice qué tamaño firmó") from None


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """Refuse redirections: a witness answers at the address that the policy names."""

    def redirect_request(self, *_: object) -> None:
        return None


def _post_checkpoint(url: str, body: bytes, timeout: float) -> tuple[int, bytes]:
    if urllib.parse.urlsplit(url).scheme not in {"http", "https"}:
        raise Refusal("la dirección del testigo debe empezar con http:// o https://")
    opener = urllib.request.build_opener(_NoRedirection())
    asked = urllib.request.Request(f"{url.rstrip('/')}/add-checkpoint", data=body, method="POST")  # noqa: S310
    asked.add_header("Content-Type", "application/octet-stream")
    try:
        try:
            with opener.open(asked, timeout=timeout) as answer:
                return answer.status, _read_in_time(answer, timeout)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(_LONGEST_SIZE)
    except (OSError, http.client.HTTPException, ValueError):
        raise Refusal("no se pudo preguntar al testigo") from None


def _read_in_time(answer: http.client.HTTPResponse, timeout: float) -> bytes:
    """The body, as far as it arrives in time. A line that is cut is no good signature, so it needs no other check."""
    taken = b""
    started = time.monotonic()
    while len(taken) < _LONGEST_ANSWER and time.monotonic() - started < timeout and (block := answer.read1()):
        taken += block
    return taken
