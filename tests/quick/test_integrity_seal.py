"""Seals: openssl and we accept good ones and refuse changed ones, each fault by its name."""

import base64
import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from integrity.sealing import certificates, cms, der, development, sello
from integrity.sealing.certificates import NotSealed, Problem, is_development, refuse_development
from integrity.sealing.seal import (
    PERSON,
    SEAL,
    FileKey,
    export_text,
    import_signature,
    open_signer,
    place,
    seal,
    verify_seal,
)
from integrity.sealing.sello import SELLO, make_sello, verify_sello
from tests.makers.programs import program
from tests.makers.seal_maker import (
    AT,
    STAMPING,
    SUMS,
    UNTIL,
    Party,
    attributes,
    craft,
    ess,
    openssl,
    openssl_accepts_seal,
    party,
    rsa_key,
)

ROOT = party(name="Autoridad Certificadora")
INSTITUTE = party(ROOT, key=rsa_key())
TRUSTED = (ROOT.certificate,)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A development authority that is valid at `AT`."""
    folder = tmp_path_factory.mktemp("dev")
    development.make_authority(folder, now=AT)
    return folder


def problem_of(work: Callable[[], object]) -> Problem:
    with pytest.raises(NotSealed) as refused:
        work()
    sentence = refused.value.sentence
    assert re.fullmatch(r"[^\n]{10,300}", sentence)
    assert not sentence.endswith(".")
    return refused.value.problem


# --- good seals -------------------------------------------------------------------------------------------------------

INTERMEDIATE = party(ROOT, name="Autoridad intermedia", ca=True, depth=0)
GOOD = {
    "RSA": INSTITUTE,
    "P-256": party(ROOT),
    "P-384": party(ROOT, key=ec.generate_private_key(ec.SECP384R1())),
    "through an intermediate": party(INTERMEDIATE),
    "for mail and documents": party(ROOT, extended=[ExtendedKeyUsageOID.EMAIL_PROTECTION]),
    "non-repudiation alone": party(ROOT, uses=["content_commitment"]),
}


@pytest.mark.usefixtures("openssl")
@pytest.mark.parametrize("who", GOOD)
def test_openssl_and_we_accept_a_good_seal(who: str, tmp_path: Path) -> None:
    made = seal(SUMS, GOOD[who].signer, at=AT)
    found = verify_seal(made, SUMS, TRUSTED, simulacro=False)
    assert (found.certificate, found.at) == (GOOD[who].certificate, AT)
    assert found.above[-1] == ROOT.certificate
    assert openssl_accepts_seal(made, SUMS, ROOT.certificate, tmp_path)


@pytest.mark.usefixtures("openssl")
def test_openssl_shows_the_four_signed_attributes(tmp_path: Path) -> None:
    (tmp_path / SEAL).write_bytes(seal(SUMS, INSTITUTE.signer, at=AT))
    shown = openssl("asn1parse", "-inform", "DER", "-in", SEAL, folder=tmp_path).stdout
    wanted = ["contentType", "signingTime", "messageDigest", "id-smime-aa-signingCertificateV2"]
    assert [each for each in wanted if f":{each}" in shown] == wanted


@pytest.mark.usefixtures("openssl")
@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_we_accept_what_openssl_signs(digest: str, tmp_path: Path) -> None:
    sign_with_openssl(INSTITUTE, tmp_path, digest)
    now = datetime.now(UTC)
    fresh = now.replace(microsecond=0)
    signed = cms.read((tmp_path / PERSON).read_bytes())
    assert cms.verify(signed, SUMS) == INSTITUTE.certificate
    assert abs(cms.signing_time(signed) - fresh) < timedelta(minutes=5)


def sign_with_openssl(who: Party, folder: Path, digest: str = "sha256") -> None:
    """The command from the instructions for a person."""
    (folder / "copia.txt").write_bytes(SUMS)
    (folder / "certificado.pem").write_bytes(who.pem())
    (folder / "llave.pem").write_bytes(who.key_pem())
    command = re.search(r"openssl (cms -sign(?:.|\n)*?)\n\n", export_text(SUMS, "copia.txt"))
    assert command is not None
    words = command[1].replace("\\\n", " ").replace("sha256", digest).split()
    done = openssl(*words, folder=folder)
    assert done.returncode == 0, done.stderr


def test_the_same_seal_twice_has_the_same_bytes() -> None:
    assert seal(SUMS, INSTITUTE.signer, at=AT) == seal(SUMS, INSTITUTE.signer, at=AT)


# --- bad seals --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bad:
    """One way of cheating: the file, and the name of its fault. `openssl`: whether openssl sees it too."""

    problem: Problem
    p7s: bytes
    sums: bytes = SUMS
    root: x509.Certificate = ROOT.certificate
    openssl: bool = True


STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
S = INSTITUTE.signer
A = attributes(SUMS, S)
MADE = seal(SUMS, S, at=AT)
FORGED_ROOT = party(name="Autoridad Certificadora")
INTERMEDIATE_TOO_MANY = party(INTERMEDIATE, name="Una más", ca=True)


def without(name: str) -> dict[str, bytes]:
    return {key: value for key, value in A.items() if key != name}


def by(who: Party, at: datetime = AT) -> bytes:
    """By a tool that does not check the certificate's dates and uses."""
    return cms.sign(SUMS, who.signer, at=at, detached=True)


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


BAD = {
    "other content": Bad(Problem.CONTENT, MADE, sums=SUMS + b"\n"),
    "a digest of other content": Bad(Problem.CONTENT, craft(S, attributes(b"otro", S))),
    "one bit of the signature": Bad(Problem.SIGNATURE, flip(MADE, len(MADE) - 100)),
    "no signature": Bad(Problem.SIGNATURE, craft(S, A, signature=b"")),
    "backdated by hand": Bad(Problem.SIGNATURE, MADE.replace(b"240602200000Z", b"240602190000Z")),
    "no signer": Bad(Problem.FORM, craft(S, A, signers=0)),
    "two signers": Bad(Problem.FORM, craft(S, A, signers=2), openssl=False),
    "no signed attributes": Bad(Problem.ATTRIBUTES, craft(S, None), openssl=False),
    "no content type": Bad(Problem.ATTRIBUTES, craft(S, without("type")), openssl=False),
    "another content type": Bad(
        Problem.ATTRIBUTES, craft(S, attributes(SUMS, S, content_type=cms.TST_INFO)), openssl=False
    ),
    "no digest": Bad(Problem.ATTRIBUTES, craft(S, without("digest"))),
    "no signing time": Bad(Problem.ATTRIBUTES, craft(S, without("time")), openssl=False),
    "no signing certificate": Bad(Problem.ATTRIBUTES, craft(S, without("ess"))),
    "another signing certificate": Bad(Problem.ATTRIBUTES, craft(S, A | {"ess": ess(ROOT.certificate)})),
    "an attribute twice": Bad(Problem.ATTRIBUTES, craft(S, A | {"again": A["time"]}), openssl=False),
    "attributes in another order": Bad(Problem.FORM, craft(S, A, unsorted=True), openssl=False),
    "a SHA-1 digest": Bad(Problem.ALGORITHM, craft(S, A, digest="1.3.14.3.2.26")),
    "the content inside": Bad(
        Problem.FORM,
        craft(S, A, held=der.element(der.context(0), der.element(der.OCTETS, SUMS))),
        openssl=False,
    ),
    "the certificate left out": Bad(Problem.CHAIN, craft(S, A, certificates=[ROOT.certificate])),
    "bytes after the end": Bad(Problem.FORM, MADE + b"\0", openssl=False),
    "cut short": Bad(Problem.FORM, MADE[:-1]),
    "empty": Bad(Problem.FORM, b""),
    "huge": Bad(Problem.FORM, b"0" * (cms.LONGEST + 1)),
    "PEM": Bad(Problem.FORM, b"-----BEGIN CMS-----\n" + base64.encodebytes(MADE) + b"-----END CMS-----\n"),
    "a certificate that is none": Bad(Problem.FORM, MADE.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01", 1)),
    "not a message": Bad(Problem.FORM, INSTITUTE.certificate.public_bytes(Encoding.DER)),
    "expired": Bad(Problem.EXPIRED, by(party(ROOT, until=AT - DAY))),
    "not yet in force": Bad(Problem.NOT_YET, by(party(ROOT, since=AT + DAY))),
    "an authority that expired": Bad(
        Problem.EXPIRED, by(party(old := party(name="Vieja", until=AT - DAY))), root=old.certificate
    ),
    "a time stamper's certificate": Bad(Problem.PURPOSE, by(party(ROOT, extended=STAMPING))),
    "a certificate for documents and time": Bad(
        Problem.PURPOSE,
        by(party(ROOT, extended=[*STAMPING, ExtendedKeyUsageOID.EMAIL_PROTECTION])),
        openssl=False,
    ),
    "a web server's certificate": Bad(Problem.PURPOSE, by(party(ROOT, extended=[ExtendedKeyUsageOID.SERVER_AUTH]))),
    "the authority's own certificate": Bad(Problem.PURPOSE, by(ROOT)),
    "a key that is for encryption": Bad(Problem.PURPOSE, by(party(ROOT, uses=["key_encipherment"]))),
    "a key for nothing in particular": Bad(Problem.PURPOSE, by(party(ROOT, uses=[])), openssl=False),
    "issued by who is no authority": Bad(Problem.PURPOSE, by(party(party(ROOT, name="No es autoridad")))),
    "one authority too many": Bad(Problem.PURPOSE, by(party(INTERMEDIATE_TOO_MANY))),
    "an unknown critical extension": Bad(Problem.PURPOSE, by(party(ROOT, extra=STRANGE))),
    "another authority": Bad(Problem.CHAIN, by(party(party(name="Otra autoridad")))),
    "an authority of the same name": Bad(Problem.CHAIN, by(party(FORGED_ROOT))),
    "the intermediate left out": Bad(Problem.CHAIN, by(replace(party(INTERMEDIATE), above=()))),
    "an authority that is no root": Bad(
        Problem.CHAIN, by(replace(party(INTERMEDIATE), above=())), root=INTERMEDIATE.certificate
    ),
    "a short RSA key": Bad(Problem.ALGORITHM, by(party(ROOT, key=rsa_key(1024))), openssl=False),
    "an odd curve": Bad(Problem.ALGORITHM, by(party(ROOT, key=ec.generate_private_key(ec.SECP256K1()))), openssl=False),
}


@pytest.mark.parametrize("cheat", BAD)
def test_a_bad_seal_is_refused_by_its_name(cheat: str) -> None:
    bad = BAD[cheat]
    assert problem_of(lambda: verify_seal(bad.p7s, bad.sums, [bad.root], simulacro=True)) is bad.problem


@pytest.mark.usefixtures("openssl")
@pytest.mark.parametrize("cheat", [cheat for cheat, bad in BAD.items() if bad.openssl])
def test_openssl_refuses_it_too(cheat: str, tmp_path: Path) -> None:
    bad = BAD[cheat]
    assert not openssl_accepts_seal(bad.p7s, bad.sums, bad.root, tmp_path)


def test_no_byte_can_be_changed() -> None:
    """Not even a byte that no signature covers."""
    for at in range(len(MADE)):
        with pytest.raises(NotSealed):
            verify_seal(flip(MADE, at), SUMS, TRUSTED, simulacro=False)


@given(st.lists(st.tuples(st.integers(0, len(MADE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_any_bytes_end_in_a_named_refusal_or_a_seal(changes: list[tuple[int, int]]) -> None:
    data = bytearray(MADE)
    for at, byte in changes:
        data[at] = byte
    try:
        verify_seal(bytes(data), SUMS, TRUSTED, simulacro=False)
    except NotSealed:
        return
    assert bytes(data) == MADE


def test_a_seal_must_be_good_at_its_own_hour_and_at_the_time_stamp(tmp_path: Path) -> None:
    assert verify_seal(MADE, SUMS, TRUSTED, simulacro=False, at=AT + DAY)
    late = UNTIL + DAY
    assert problem_of(lambda: verify_seal(MADE, SUMS, TRUSTED, simulacro=False, at=late)) is Problem.EXPIRED


@pytest.mark.parametrize(
    ("at", "problem"), [(AT - 60 * DAY, Problem.NOT_YET), (UNTIL + DAY, Problem.EXPIRED)], ids=["before", "after"]
)
def test_no_seal_is_made_outside_the_certificates_time(at: datetime, problem: Problem) -> None:
    """A clock that went back, or a certificate that was not renewed."""
    assert problem_of(lambda: seal(SUMS, INSTITUTE.signer, at=at)) is problem
    assert problem_of(lambda: make_sello(SUMS, INSTITUTE.signer, at=at)) is problem


# --- certificates for development -------------------------------------------------------------------------------------


def dev_seal(dev: Path) -> tuple[bytes, tuple[x509.Certificate, ...]]:
    signer = open_signer(dev / development.SEAL_CERTIFICATE, str(dev / development.SEAL_KEY))
    return seal(SUMS, signer, at=AT), certificates.load((dev / development.ROOT).read_bytes())


@pytest.mark.usefixtures("openssl")
def test_a_development_seal_is_good_in_a_simulacro_and_refused_as_real(dev: Path, tmp_path: Path) -> None:
    made, trusted = dev_seal(dev)
    assert openssl_accepts_seal(made, SUMS, trusted[0], tmp_path)
    assert verify_seal(made, SUMS, trusted, simulacro=True)
    assert problem_of(lambda: verify_seal(made, SUMS, trusted, simulacro=False)) is Problem.DEVELOPMENT
    refuse_development(trusted, simulacro=True)
    assert problem_of(lambda: refuse_development([*TRUSTED, *trusted], simulacro=False)) is Problem.DEVELOPMENT


def test_every_development_certificate_is_recognized_and_no_other(dev: Path) -> None:
    for file in (development.ROOT, development.SEAL_CERTIFICATE, development.STAMP_CERTIFICATE):
        assert all(map(is_development, certificates.load((dev / file).read_bytes())))
    assert not any(is_development(each) for each in (ROOT.certificate, INSTITUTE.certificate))


def test_one_mark_is_enough(dev: Path) -> None:
    root = certificates.load((dev / development.ROOT).read_bytes())[0]
    under_the_root = party(Party(root, FileKey(dev / "autoridad.llave", None)._key))
    assert is_development(under_the_root.certificate)
    mark = x509.UnrecognizedExtension(certificates.DEVELOPMENT_OID, b"\x05\x00")
    assert is_development(party(ROOT, extra=mark, critical=False).certificate)
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, certificates.DEVELOPMENT_MARK)])
    assert is_development(party(ROOT, subject=name).certificate)


def test_the_name_of_the_development_root_does_not_change() -> None:
    subject = development.subject(development.ROOT_KIND)
    assert hashlib.sha256(subject.public_bytes()).hexdigest() == certificates.DEVELOPMENT_ROOT


def test_keys_are_for_their_owner_and_no_folder_is_written_over(dev: Path) -> None:
    assert {path.name for path in dev.glob("*.llave") if path.stat().st_mode & 0o077 == 0} == {
        "autoridad.llave",
        "sello.llave",
        "tiempo.llave",
    }
    assert problem_of(lambda: development.make_authority(dev, now=AT)) is Problem.FORM


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    (tmp_path / "sello.pem").write_bytes(INSTITUTE.pem())
    (tmp_path / "sello.llave").write_bytes(INSTITUTE.key_pem())
    (tmp_path / "sello.llave").chmod(0o600)
    return tmp_path


def test_a_key_behind_a_passphrase(keys: Path) -> None:
    protected = INSTITUTE.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption("ñandú".encode())
    )
    (keys / "sello.llave").write_bytes(protected)
    signer = open_signer(keys / "sello.pem", str(keys / "sello.llave"), "ñandú")
    assert seal(SUMS, signer, at=AT) == MADE
    for wrong in ("nandu", None):
        assert problem_of(lambda: open_signer(keys / "sello.pem", str(keys / "sello.llave"), wrong)) is Problem.KEY  # noqa: B023


def test_a_key_that_others_can_read_is_refused(keys: Path) -> None:
    (keys / "sello.llave").chmod(0o640)
    assert problem_of(lambda: open_signer(keys / "sello.pem", str(keys / "sello.llave"))) is Problem.KEY


@pytest.mark.parametrize(
    "content", [b"", b"no es PEM", party(ROOT).key_pem(), party(ROOT, key=rsa_key(1024)).key_pem()]
)
def test_a_file_without_the_certificates_key_is_refused(keys: Path, content: bytes) -> None:
    (keys / "sello.llave").write_bytes(content)
    assert problem_of(lambda: open_signer(keys / "sello.pem", str(keys / "sello.llave"))) is Problem.KEY


def test_a_certificate_that_does_not_seal_is_refused_at_the_start(keys: Path) -> None:
    (keys / "sello.pem").write_bytes(party(ROOT, key=rsa_key(), extended=STAMPING).pem())
    assert problem_of(lambda: open_signer(keys / "sello.pem", str(keys / "sello.llave"))) is Problem.PURPOSE


MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SoftHSM token with an RSA and a P-256 key; its URI without the name of a key."""
    program("softhsm2-util", "softhsm2")
    module = next((path for path in MODULES if Path(path).exists()), None)
    assert module is not None
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    util = ["softhsm2-util", "--token", "PREP sello", "--pin", "2468"]
    subprocess.run(
        [*util[:1], "--init-token", "--free", "--label", "PREP sello", "--pin", "2468", "--so-pin", "1357"],
        check=True,
        capture_output=True,
    )
    for number, (label, who) in enumerate({"rsa": INSTITUTE, "ec": GOOD["P-256"]}.items(), 1):
        (folder / "llave.pem").write_bytes(who.key_pem())
        command = [*util, "--import", str(folder / "llave.pem"), "--label", label, "--id", f"0{number}"]
        subprocess.run(command, check=True, capture_output=True)
    yield f"pkcs11:token=PREP%20sello;object={{}}?module-path={module}"
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


@pytest.mark.usefixtures("openssl")
@pytest.mark.parametrize(("label", "who"), [("rsa", "RSA"), ("ec", "P-256")])
def test_a_key_in_a_token(token: str, label: str, who: str, tmp_path: Path) -> None:
    (tmp_path / "sello.pem").write_bytes(GOOD[who].pem())
    signer = open_signer(tmp_path / "sello.pem", token.format(label), "2468")
    made = seal(SUMS, signer, at=AT)
    assert verify_seal(made, SUMS, TRUSTED, simulacro=False).certificate == GOOD[who].certificate
    assert openssl_accepts_seal(made, SUMS, ROOT.certificate, tmp_path)


def test_a_token_that_does_not_give_the_key(token: str, tmp_path: Path) -> None:
    (tmp_path / "sello.pem").write_bytes(INSTITUTE.pem())
    good = token.format("rsa")
    cases = [
        (good, "1111"),
        (token.format("otra"), "2468"),
        (token.format("ec"), "2468"),
        (good.replace("sello;", "otro;"), "2468"),
        (good + "no-hay", "2468"),
        (good + "&pin-value=2468", "2468"),
        ("pkcs11:token=PREP", "2468"),
    ]
    for uri, pin in cases:
        assert problem_of(lambda: open_signer(tmp_path / "sello.pem", uri, pin)) is Problem.KEY, uri  # noqa: B023


# --- a person's signature ---------------------------------------------------------------------------------------------


@pytest.fixture
def corte(tmp_path: Path) -> Path:
    folder = tmp_path / "cortes" / "0000"
    folder.mkdir(parents=True)
    (folder / "SHA256SUMS").write_bytes(SUMS)
    return folder


def test_a_good_signature_is_put_beside_once(corte: Path) -> None:
    arguments = {"simulacro": False, "now": AT}
    target, found = import_signature(MADE, corte / "SHA256SUMS", TRUSTED, **arguments)  # type: ignore[arg-type]
    assert (target, found.at) == (corte / PERSON, AT)
    assert target.read_bytes() == MADE
    assert import_signature(MADE, corte / "SHA256SUMS", TRUSTED, **arguments)[0] == target  # type: ignore[arg-type]
    other = by(GOOD["P-256"])
    assert problem_of(lambda: import_signature(other, corte / "SHA256SUMS", TRUSTED, **arguments)) is Problem.FORM  # type: ignore[arg-type]
    assert target.read_bytes() == MADE
    assert import_signature(other, corte / "SHA256SUMS", TRUSTED, **arguments, as_seal=True)[0] == corte / SEAL  # type: ignore[arg-type]
    assert sorted(path.name for path in corte.iterdir()) == ["SHA256SUMS", PERSON, SEAL]


@pytest.mark.parametrize("cheat", ["other content", "expired", "another authority", "one bit of the signature"])
def test_a_bad_signature_is_not_put_beside(corte: Path, cheat: str) -> None:
    bad = BAD[cheat]
    (corte / "SHA256SUMS").write_bytes(bad.sums)
    work = lambda: import_signature(bad.p7s, corte / "SHA256SUMS", TRUSTED, simulacro=False, now=AT)  # noqa: E731
    assert problem_of(work) is bad.problem
    assert [path.name for path in corte.iterdir()] == ["SHA256SUMS"]


def test_a_signature_from_the_future_is_not_put_beside(corte: Path) -> None:
    early = AT - timedelta(hours=1)
    work = lambda: import_signature(MADE, corte / "SHA256SUMS", TRUSTED, simulacro=False, now=early)  # noqa: E731
    assert problem_of(work) is Problem.CLOCK


def test_a_file_is_placed_where_files_without_a_name_cannot_be(corte: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "O_TMPFILE", 0, raising=False)
    place(corte / SEAL, b"sello")
    assert sorted(path.name for path in corte.iterdir()) == ["SHA256SUMS", SEAL]
    assert (corte / SEAL).read_bytes() == b"sello"


def test_a_link_to_the_same_bytes_is_not_the_file(corte: Path) -> None:
    (corte.parent / "lejos").write_bytes(b"sello")
    (corte / SEAL).symlink_to(corte.parent / "lejos")
    assert problem_of(lambda: place(corte / SEAL, b"sello")) is Problem.FORM


# --- the form of official documents -----------------------------------------------------------------------------------

PAGE = make_sello(SUMS, S, at=AT.astimezone(timezone(timedelta(hours=-6))))
assert PAGE is not None
VERSION_1_0 = "8e518a6aadc8081094a646c9734f5ae962ed5101e895f258dcc1a58814dc9f98"
"""Digest of the text of a page of version 1.0, without the certificate."""
SAT_NUMBER = "00001000000504465028"


def swap(old: str, new: str) -> bytes:
    assert PAGE is not None
    assert old.encode() in PAGE
    return PAGE.replace(old.encode(), new.encode())


def resealed(string: str, who: Party = INSTITUTE) -> bytes:
    """A page over another string, with the right key."""
    return sello._sello_page(string, who.signer.key.sign(string.encode()), who.certificate).encode()


STRING = re.search(r"^\|\|.*\|\|$", PAGE.decode(), re.MULTILINE)[0]  # type: ignore[index]
BAD_PAGES = {
    "the hour in the text": (Problem.FORM, swap("Fecha y hora: 2024-06-02T14", "Fecha y hora: 2024-06-02T13")),
    "the hour in the string": (Problem.SIGNATURE, swap("2024-06-02T14:00:00", "2024-06-02T13:00:00")),
    "the signer in the text": (Problem.FORM, swap("Firma: Instituto", "Firma: Tribunal")),
    "the signer everywhere": (Problem.ATTRIBUTES, swap("Instituto", "Tribunal")),
    "a command": (Problem.FORM, swap("sha256sum SHA256SUMS", "echo SHA256SUMS")),
    "another signature": (Problem.SIGNATURE, swap(sello._HEADING + "\n", sello._HEADING + "\nAAAA")),
    "no base64": (Problem.FORM, swap(sello._HEADING + "\n", sello._HEADING + "\n!")),
    "no signature": (Problem.FORM, swap(sello._HEADING, "Sello:")),
    "two strings": (Problem.FORM, PAGE + b"||1.0|x||\n"),
    "two certificates": (Problem.FORM, PAGE + ROOT.pem()),
    "another version": (Problem.FORM, resealed(STRING.replace("||1.0|", "||1.1|"))),
    "a date that is none": (Problem.FORM, resealed(STRING.replace("2024-06-02T14", "2024-06-31T14"))),
    "before the certificate": (Problem.NOT_YET, resealed(STRING.replace("2024-", "2023-"))),
    "after the certificate": (Problem.EXPIRED, resealed(STRING.replace("2024-", "2026-"))),
    "not UTF-8": (Problem.FORM, b"\xff" + PAGE),
    "empty": (Problem.FORM, b""),
    "huge": (Problem.FORM, PAGE + b"\n" * sello.LONGEST),
    "another authority": (Problem.CHAIN, make_sello(SUMS, party(FORGED_ROOT, key=rsa_key()).signer, at=AT)),
    "a time stamper's": (
        Problem.PURPOSE,
        make_sello(SUMS, party(ROOT, key=rsa_key(), extended=STAMPING).signer, at=AT),
    ),
}


def test_a_sello_says_who_when_and_over_what() -> None:
    assert PAGE is not None
    found = verify_sello(PAGE, SUMS, TRUSTED, simulacro=False)
    assert (found.certificate, found.at) == (INSTITUTE.certificate, AT)
    text = PAGE.decode()
    assert "Firma: Instituto Electoral de Querétaro" in text
    assert "Fecha y hora: 2024-06-02T14:00:00-06:00" in text
    assert hashlib.sha256(SUMS).hexdigest() in text


@pytest.mark.parametrize("cheat", BAD_PAGES)
def test_a_bad_sello_is_refused_by_its_name(cheat: str) -> None:
    problem, page = BAD_PAGES[cheat]
    assert page is not None
    assert problem_of(lambda: verify_sello(page, SUMS, TRUSTED, simulacro=True)) is problem


def test_a_sello_of_another_list_is_refused() -> None:
    assert PAGE is not None
    assert problem_of(lambda: verify_sello(PAGE, SUMS + b" ", TRUSTED, simulacro=True)) is Problem.CONTENT


def test_a_key_that_is_not_rsa_makes_no_sello() -> None:
    assert make_sello(SUMS, GOOD["P-256"].signer, at=AT) is None


def test_the_number_of_a_certificate_is_the_tax_offices_or_hexadecimal() -> None:
    serial = int.from_bytes(SAT_NUMBER.encode(), "big")
    assert certificates.number(party(ROOT, serial=serial).certificate) == SAT_NUMBER
    assert certificates.number(party(ROOT, serial=0xABC).certificate) == "0ABC"


def run_own_commands(page: bytes, folder: Path) -> str:
    """Run every command in the page, as a reader would paste them."""
    (folder / "SHA256SUMS").write_bytes(SUMS)
    (folder / SELLO).write_bytes(page)
    (folder / "autoridad.pem").write_bytes(ROOT.pem())
    lines = [line[2:] for line in page.decode().split("\n") if re.match(r"  (sha256sum|grep|openssl) ", line)]
    assert len(lines) == 7
    done = subprocess.run(["sh", "-c", "\n".join(lines)], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.usefixtures("openssl")
def test_the_page_checks_itself_with_its_own_commands(tmp_path: Path) -> None:
    assert PAGE is not None
    shown = run_own_commands(PAGE, tmp_path)
    assert "Verified OK" in shown
    assert f"{SELLO}: OK" in shown
    assert hashlib.sha256(SUMS).hexdigest() in shown


@pytest.mark.usefixtures("openssl")
@pytest.mark.parametrize("cheat", ["the hour in the string", "another signature"])
def test_openssl_refuses_a_changed_page(cheat: str, tmp_path: Path) -> None:
    page = BAD_PAGES[cheat][1]
    assert page is not None
    assert "Verified OK" not in run_own_commands(page, tmp_path)


def test_the_words_of_the_page_belong_to_its_version() -> None:
    """Published pages must stay valid: a change of the words needs a new version beside this one."""
    words = sello._sello_page(STRING, b"firma", INSTITUTE.certificate).replace(INSTITUTE.pem().decode(), "")
    words = words.replace(certificates.number(INSTITUTE.certificate), "número")
    assert hashlib.sha256(words.encode()).hexdigest() == VERSION_1_0
