"""Time stamps: openssl and we accept good ones and refuse bad ones, and no authority can hold up a corte."""

import asyncio
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from integrity.layout import SUMS as SUMS_FILE
from integrity.sealing import asking, certificates, cms, der, development, stamp
from integrity.sealing.asking import Unanswered, add_missing, ask
from integrity.sealing.certificates import NotSealed, Problem
from integrity.sealing.stamp import STAMPS, Authority, Stamp, judge_after, verify_stamp
from tests.makers.seal_maker import AT, STAMPING, SUMS, UNTIL, Party, openssl, openssl_accepts_stamp, party, rsa_key
from tests.makers.waiting import PATIENCE
from tests.quick.test_integrity_seal import flip, problem_of

ROOT = party(name="Autoridad de tiempo")
STAMPER = party(ROOT, name="Sellador de tiempo", key=rsa_key(), uses=["digital_signature"], extended=STAMPING)
TRUSTED = (ROOT.certificate,)
DAY = timedelta(days=1)


def query(sums: bytes = SUMS, hashed: HashAlgorithm = HashAlgorithm.SHA256, *, certificates: bool = True) -> bytes:
    return TimestampRequestBuilder(sums, hashed, nonce=True, cert_req=certificates).build().as_bytes()


def stamped(who: Party = STAMPER, at: datetime = AT, sums: bytes = SUMS) -> bytes:
    return development.answer(query(sums), who.signer, at=at)


def response(content: bytes, who: Party = STAMPER, content_type: str = cms.TST_INFO) -> bytes:
    """Any content, signed like a stamp."""
    token = cms.sign(content, who.signer, at=AT, content_type=content_type, detached=False)
    return der.sequence(der.sequence(der.integer(0)), token)


def info(*, accuracy: int = 1, imprint: bytes = stamp.read_query(query()).imprint) -> bytes:
    return der.sequence(
        der.integer(1),
        der.oid("1.2.3.4"),
        imprint,
        der.integer(7),
        der.generalized_time(AT),
        der.sequence(der.integer(accuracy)),
    )


# --- good stamps ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("openssl")
@pytest.mark.parametrize(
    "who", [STAMPER, party(ROOT, uses=["digital_signature"], extended=STAMPING)], ids=["RSA", "EC"]
)
def test_openssl_and_we_accept_our_stamps(who: Party, tmp_path: Path) -> None:
    made = stamped(who)
    found = verify_stamp(made, SUMS, TRUSTED)
    assert (found.at, found.accuracy, found.policy) == (AT, timedelta(seconds=1), development.POLICY)
    assert (found.certificate, found.above) == (who.certificate, TRUSTED)
    assert openssl_accepts_stamp(made, SUMS, ROOT.certificate, tmp_path)


@pytest.mark.usefixtures("openssl")
@pytest.mark.parametrize("digest", ["sha1", "sha256"])
def test_we_accept_the_stamps_of_openssl(digest: str, tmp_path: Path) -> None:
    """They name their certificate by SHA-1, as many authorities still do, or by SHA-256."""
    tsr = stamped_by_openssl(tmp_path, digest)
    found = verify_stamp(tsr, SUMS, TRUSTED_FOR_EVER)
    assert found.policy == "1.2.3.4.1"
    assert found.accuracy == timedelta(seconds=2, milliseconds=500, microseconds=100)


EVER = {"since": AT, "until": AT + 36_500 * DAY}
ROOT_FOR_EVER = party(name="Autoridad de tiempo", **EVER)  # type: ignore[arg-type]
TRUSTED_FOR_EVER = (ROOT_FOR_EVER.certificate,)
CONFIG = """\
[tsa_config]
serial = serial
digests = sha256
signer_digest = sha256
default_policy = 1.2.3.4.1
accuracy = secs:2, millisecs:500, microsecs:100
ess_cert_id_alg = {digest}
"""


def stamped_by_openssl(folder: Path, digest: str) -> bytes:
    """openssl stamps by the clock of the machine."""
    who = party(ROOT_FOR_EVER, uses=["digital_signature"], extended=STAMPING, **EVER)  # type: ignore[arg-type]
    (folder / "tsa.pem").write_bytes(who.pem())
    (folder / "tsa.llave").write_bytes(who.key_pem())
    (folder / "tsa.cnf").write_text(CONFIG.format(digest=digest))
    (folder / "serial").write_text("01\n")
    (folder / "peticion").write_bytes(query())
    words = (
        "ts -reply -config tsa.cnf -section tsa_config -queryfile peticion -inkey tsa.llave -signer tsa.pem -out tsr"
    )
    done = openssl(*words.split(), folder=folder)
    assert done.returncode == 0, done.stderr
    return (folder / "tsr").read_bytes()


def test_a_stamp_of_a_certificate_that_expired_later_is_good() -> None:
    """Stamps are read years later: today's clock plays no part."""
    assert datetime.now(UNTIL.tzinfo) > UNTIL
    assert verify_stamp(stamped(), SUMS, TRUSTED)


# --- bad stamps -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bad:
    problem: Problem
    tsr: bytes
    sums: bytes = SUMS
    root: x509.Certificate = ROOT.certificate
    openssl: bool = True


MADE = stamped()
OLD = party(name="Vieja", until=AT - DAY)
BAD = {
    "other content": Bad(Problem.CONTENT, MADE, sums=SUMS + b"\n"),
    "one bit of the signature": Bad(Problem.SIGNATURE, flip(MADE, len(MADE) - 100)),
    "backdated by hand": Bad(Problem.CONTENT, MADE.replace(b"20240602200000Z", b"20240602190000Z")),
    "a rejection": Bad(Problem.FORM, development.answer(b"nada", STAMPER.signer, at=AT)),
    "granted with changes": Bad(
        Problem.FORM, MADE.replace(b"0\x03\x02\x01\x00", b"0\x03\x02\x01\x01", 1), openssl=False
    ),
    "no stamp inside": Bad(Problem.FORM, der.sequence(der.sequence(der.integer(0)))),
    "a seal inside": Bad(Problem.FORM, response(SUMS, content_type=cms.DATA)),
    "a SHA-512 imprint": Bad(
        Problem.ALGORITHM,
        response(
            info(
                imprint=der.sequence(
                    der.sequence(der.oid("2.16.840.1.101.3.4.2.3")), der.element(der.OCTETS, b"\0" * 64)
                )
            )
        ),
    ),
    "a clock that errs by hours": Bad(Problem.ACCURACY, response(info(accuracy=7200)), openssl=False),
    "the certificate left out": Bad(
        Problem.CHAIN, development.answer(query(certificates=False), STAMPER.signer, at=AT)
    ),
    "another authority": Bad(Problem.CHAIN, stamped(party(party(name="Otra"), extended=STAMPING))),
    "an authority of the same name": Bad(
        Problem.CHAIN, stamped(party(party(name="Autoridad de tiempo"), extended=STAMPING))
    ),
    "expired": Bad(Problem.EXPIRED, stamped(party(ROOT, extended=STAMPING, until=AT - DAY))),
    "not yet in force": Bad(Problem.NOT_YET, stamped(party(ROOT, extended=STAMPING, since=AT + DAY))),
    "an authority that expired": Bad(Problem.EXPIRED, stamped(party(OLD, extended=STAMPING)), root=OLD.certificate),
    "a certificate that seals": Bad(Problem.PURPOSE, stamped(party(ROOT))),
    "a certificate for more than time": Bad(
        Problem.PURPOSE, stamped(party(ROOT, extended=[*STAMPING, ExtendedKeyUsageOID.EMAIL_PROTECTION]))
    ),
    "a use that is not critical": Bad(
        Problem.PURPOSE, stamped(party(ROOT, extended=STAMPING, extended_critical=False))
    ),
    "cut short": Bad(Problem.FORM, MADE[:-1]),
    "bytes after the end": Bad(Problem.FORM, MADE + b"\0", openssl=False),
    "empty": Bad(Problem.FORM, b""),
    "huge": Bad(Problem.FORM, MADE + b"\0" * stamp.LONGEST, openssl=False),
    "a page": Bad(Problem.FORM, b"<html>503</html>"),
}


@pytest.mark.parametrize("cheat", BAD)
def test_a_bad_stamp_is_refused_by_its_name(cheat: str) -> None:
    bad = BAD[cheat]
    assert problem_of(lambda: verify_stamp(bad.tsr, bad.sums, [bad.root])) is bad.problem


@pytest.mark.usefixtures("openssl")
@pytest.mark.parametrize("cheat", [cheat for cheat, bad in BAD.items() if bad.openssl])
def test_openssl_refuses_it_too(cheat: str, tmp_path: Path) -> None:
    bad = BAD[cheat]
    assert not openssl_accepts_stamp(bad.tsr, bad.sums, bad.root, tmp_path)


def test_openssl_is_a_second_reader_of_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if our own check accepted any signature, the stamp would be refused."""
    monkeypatch.setattr(cms, "verify", lambda *_, **__: STAMPER.certificate)
    assert verify_stamp(MADE, SUMS, TRUSTED)
    assert problem_of(lambda: verify_stamp(BAD["one bit of the signature"].tsr, SUMS, TRUSTED)) is Problem.SIGNATURE


def test_a_stamp_of_another_request_or_policy_is_refused() -> None:
    nonce = stamp.read_query(query()).nonce
    assert problem_of(lambda: verify_stamp(MADE, SUMS, TRUSTED, nonce=nonce)) is Problem.NONCE
    assert problem_of(lambda: verify_stamp(MADE, SUMS, TRUSTED, policies=["1.2.3"])) is Problem.POLICY
    assert verify_stamp(MADE, SUMS, TRUSTED, policies=["1.2.3", development.POLICY])


def test_a_stamp_from_before_the_seal_is_a_clock_that_went_back() -> None:
    found = verify_stamp(MADE, SUMS, TRUSTED)
    judge_after(found, AT + timedelta(seconds=61))  # two honest clocks, and the accuracy that the authority states
    assert problem_of(lambda: judge_after(found, AT + timedelta(seconds=62))) is Problem.CLOCK


def test_no_byte_can_be_changed() -> None:
    for at in range(len(MADE)):
        with pytest.raises(NotSealed):
            verify_stamp(flip(MADE, at), SUMS, TRUSTED)


@given(st.lists(st.tuples(st.integers(0, len(MADE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_any_bytes_end_in_a_named_refusal_or_the_stamp(changes: list[tuple[int, int]]) -> None:
    data = bytearray(MADE)
    for at, byte in changes:
        data[at] = byte
    try:
        verify_stamp(bytes(data), SUMS, TRUSTED)
    except NotSealed:
        return
    assert bytes(data) == MADE


@given(st.binary(max_size=80))
def test_any_request_is_answered(data: bytes) -> None:
    refused = development.answer(data, STAMPER.signer, at=AT)
    assert problem_of(lambda: verify_stamp(refused, SUMS, TRUSTED)) is Problem.FORM


# --- asking -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def corte(tmp_path: Path) -> Path:
    (tmp_path / SUMS_FILE).write_bytes(SUMS)
    return tmp_path


@contextmanager
def serving(server: http.server.HTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def stamper() -> Iterator[str]:
    with serving(development.StamperServer(STAMPER.signer, 0, lambda: AT)) as url:
        yield url


def answering(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> http.server.HTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.mark.usefixtures("openssl")
async def test_a_stamp_is_asked_for_over_http_verified_and_put_beside_once(stamper: str, corte: Path) -> None:
    authority = Authority(stamper, TRUSTED)
    assert await add_missing(corte, [authority, authority], after=AT) == {}
    assert names(corte) == sorted([SUMS_FILE, *STAMPS])
    first, second = ((corte / file).read_bytes() for file in STAMPS)
    assert first != second  # each answers its own request
    assert verify_stamp(first, SUMS, TRUSTED).at == AT
    assert openssl_accepts_stamp(second, SUMS, ROOT.certificate, corte)
    assert await add_missing(corte, [authority, authority], post=never_asked) == {}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def never_asked(*_: object) -> bytes:
    raise AssertionError


async def test_a_missing_stamp_is_reported_and_asked_for_again(stamper: str, corte: Path) -> None:
    def away(url: str, body: bytes, timeout: float) -> bytes:
        if url == "http://segunda/":
            raise Unanswered("no se pudo preguntar a la autoridad de tiempo")
        return asking.post_query(url, body, timeout)

    both = [Authority(stamper, TRUSTED), Authority("http://segunda/", TRUSTED)]
    missing = await add_missing(corte, both, post=away)
    assert missing == {STAMPS[1]: "no se pudo preguntar a la autoridad de tiempo"}
    first = (corte / STAMPS[0]).read_bytes()
    assert await add_missing(corte, [both[0], both[0]]) == {}
    assert (corte / STAMPS[0]).read_bytes() == first


async def test_a_bad_answer_is_never_put_beside(corte: Path) -> None:
    """A stamp of another request, as in a replay: the nonce shows it."""
    missing = await add_missing(corte, [Authority("http://a/", TRUSTED)], post=lambda *_: MADE)
    assert "otra petición" in missing[STAMPS[0]]
    late = await add_missing(
        corte,
        [Authority("http://a/", TRUSTED)],
        after=AT + DAY,
        post=lambda _, body, __: development.answer(body, STAMPER.signer, at=AT),
    )
    assert "anterior a la hora del sello" in late[STAMPS[0]]
    assert names(corte) == [SUMS_FILE]


async def test_two_publishers_that_ask_leave_one_stamp(stamper: str, corte: Path) -> None:
    authority = [Authority(stamper, TRUSTED)]
    results = await asyncio.gather(*(add_missing(corte, authority) for _ in range(4)))
    assert results == [{}] * 4
    assert verify_stamp((corte / STAMPS[0]).read_bytes(), SUMS, TRUSTED)


async def test_a_missing_corte_is_reported(tmp_path: Path) -> None:
    missing = await add_missing(tmp_path / "no", [Authority("http://a/", TRUSTED)], post=never_asked)
    assert "no se puede leer" in missing[STAMPS[0]]


async def test_an_authority_that_does_not_answer_in_time_is_let_go(
    corte: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "TIMEOUT_S", 0.05)
    gate = threading.Event()

    def silent(*_: object) -> bytes:
        gate.wait(PATIENCE)
        return b""

    try:
        missing = await add_missing(corte, [Authority("http://a/", TRUSTED)], post=silent)
    finally:
        gate.set()
    assert missing == {STAMPS[0]: "la autoridad de tiempo no respondió a tiempo"}


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (lambda: answering(b"x" * (stamp.LONGEST + 1)), "más de"),
        (lambda: answering(b"", 503), "respondió 503"),
        (lambda: answering(b"", 307, {"Location": "http://127.0.0.1:9/"}), "respondió 307"),
        (lambda: answering(b"<html>"), "no es una respuesta"),
    ],
    ids=["endless", "503", "elsewhere", "a page"],
)
async def test_an_invalid_answer(server: Callable[[], http.server.HTTPServer], said: str, corte: Path) -> None:
    with serving(server()) as url:
        missing = await add_missing(corte, [Authority(url, TRUSTED)])
    assert said in missing[STAMPS[0]]


@pytest.mark.parametrize("url", ["ftp://a/", "file:///etc/hostname", "http://127.0.0.1:1/", "http://[/"])
async def test_an_address_without_a_server(url: str) -> None:
    with pytest.raises((Unanswered, NotSealed)):
        await ask(Authority(url, TRUSTED), SUMS)


def test_the_stamper_refuses_a_request_without_an_end(stamper: str) -> None:
    with pytest.raises(Unanswered, match="413"):
        asking.post_query(stamper, b"0" * (stamp.LONGEST + 1), 5)


def test_a_stamp_for_development_is_recognized(tmp_path: Path) -> None:
    development.make_authority(tmp_path, now=AT)
    trusted = certificates.load((tmp_path / development.ROOT).read_bytes())
    made = development.answer(query(), development.open_stamper(tmp_path), at=AT)
    found: Stamp = verify_stamp(made, SUMS, trusted)
    assert certificates.is_development(found.certificate)
