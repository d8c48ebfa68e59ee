"""A certificate authority and a time stamper for development, demos and rehearsals.

They have no legal value, and say so.

`integrity dev-ca` makes a root, a certificate that seals and one that stamps time. `integrity dev-tsa` uses the last
one to answer RFC 3161 over HTTP on this machine. It writes its answers with the DER encoder of this package, and the
tests compare them with `openssl ts -verify`. A publisher of a real night refuses these certificates
(`refuse_development`).
"""

import http.server
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from integrity.sealing import cms, der
from integrity.sealing.certificates import (
    DEVELOPMENT_MARK,
    DEVELOPMENT_OID,
    NotSealed,
    Problem,
    Purpose,
    judge_purpose,
    load,
)
from integrity.sealing.cms import CmsSigner
from integrity.sealing.seal import FileKey
from integrity.sealing.stamp import LONGEST, read_query
from integrity.sums import Malformed

ROOT: Final = "autoridad.pem"
SEAL_CERTIFICATE: Final = "sello.pem"
SEAL_KEY: Final = "sello.llave"
STAMP_CERTIFICATE: Final = "tiempo.pem"
STAMP_KEY: Final = "tiempo.llave"
_ROOT_KEY: Final = "autoridad.llave"
LIFETIME: Final = timedelta(days=365)
POLICY: Final = f"{DEVELOPMENT_OID.dotted_string}.1"
"""The policy of time stamps for development."""
_RSA_BITS: Final = 3072
_REQUEST_TIMEOUT_S: Final = 10.0
_REPLY: Final = "application/timestamp-reply"
_BAD_REQUEST: Final = 2
"""The bit badDataFormat(5) of PKIFailureInfo, in its one byte."""

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class CertificateKind:
    """The title and the purpose of one of the certificates."""

    title: str
    purpose: Purpose | None
    """None for the root."""


ROOT_KIND: Final = CertificateKind("Autoridad de desarrollo", None)
SEAL_KIND: Final = CertificateKind("Sello de desarrollo", Purpose.SEAL)
STAMP_KIND: Final = CertificateKind("Sellado de tiempo de desarrollo", Purpose.STAMP)


def make_authority(folder: Path, *, now: datetime) -> None:
    """A root, a sealing and a stamping certificate with their keys, in a folder that is new or empty. Raises NotSealed.

    The sealing key is RSA of 3072 bits, as the form of official documents needs; the others are P-256.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise NotSealed(Problem.FORM, f"la carpeta {folder} no está vacía: no se escribe encima de otras llaves")
        root_key: PrivateKey = ec.generate_private_key(ec.SECP256R1())
        # One day back: a machine whose clock is behind must not find a certificate that is not in force yet.
        root = issue(ROOT_KIND, root_key, None, root_key, since=now - timedelta(days=1))
        _write_pair(folder, (ROOT, _ROOT_KEY), root, root_key)
        for kind, names, key in (
            (SEAL_KIND, (SEAL_CERTIFICATE, SEAL_KEY), rsa.generate_private_key(65537, _RSA_BITS)),
            (STAMP_KIND, (STAMP_CERTIFICATE, STAMP_KEY), ec.generate_private_key(ec.SECP256R1())),
        ):
            _write_pair(folder, names, issue(kind, key, root, root_key, since=now - timedelta(days=1)), key)
    except OSError:
        raise NotSealed(Problem.FORM, f"no se pudo escribir en la carpeta {folder}") from None


def subject(kind: CertificateKind) -> x509.Name:
    """The subject of a development certificate: it says three times that it has no legal value."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "MX"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, DEVELOPMENT_MARK),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{kind.title} del PREP, SIN VALIDEZ"),
        ]
    )


def issue(
    kind: CertificateKind, key: PrivateKey, issuer: x509.Certificate | None, issuer_key: PrivateKey, *, since: datetime
) -> x509.Certificate:
    """A certificate for development, with its three marks: subject, extension, and a root of fixed name above."""
    ca, stamps = kind.purpose is None, kind.purpose is Purpose.STAMP
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject(kind))
        .issuer_name(issuer.subject if issuer is not None else subject(kind))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        .add_extension(_key_usage(kind), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(
            x509.UnrecognizedExtension(DEVELOPMENT_OID, der.element(der.UTF8, DEVELOPMENT_MARK.encode())),
            critical=False,
        )
    )
    if stamps:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


def _key_usage(kind: CertificateKind) -> x509.KeyUsage:
    ca, seals = kind.purpose is None, kind.purpose is Purpose.SEAL
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=seals,
        key_cert_sign=ca,
        crl_sign=ca,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_pair(folder: Path, names: tuple[str, str], certificate: x509.Certificate, key: PrivateKey) -> None:
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for name, content, mode in ((names[1], secret, 0o600), (names[0], certificate.public_bytes(pem), 0o644)):
        # O_EXCL and mode from the first byte: no other key is written over, and nobody reads this one meanwhile.
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)


# --- the time stamper -------------------------------------------------------------------------------------------------


def open_stamper(folder: Path) -> CmsSigner:
    """The stamping certificate and key of `make_authority`. Raises NotSealed."""
    try:
        certificate = load((folder / STAMP_CERTIFICATE).read_bytes())[0]
    except OSError:
        raise NotSealed(Problem.KEY, f"en {folder} no está {STAMP_CERTIFICATE}: hágalo con integrity dev-ca") from None
    judge_purpose(certificate, Purpose.STAMP)
    return CmsSigner(certificate, (), FileKey(folder / STAMP_KEY, None))


def answer(query: bytes, signer: CmsSigner, *, at: datetime) -> bytes:
    """A time stamp response (RFC 3161 §2.4.2): the stamp at that moment, or a rejection if the query is malformed."""
    try:
        asked = read_query(query)
    # PKIStatus 2 (rejection) and badDataFormat (RFC 3161 §2.4.2).
    except Malformed:
        return der.sequence(der.sequence(der.integer(2), der.element(0x03, b"\x02\x04")))
    # TSTInfo: version, policy, imprint, serial number, time, accuracy of one second, and the nonce of the query.
    info = der.sequence(
        der.integer(1),
        der.oid(POLICY),
        asked.imprint,
        der.integer(secrets.randbits(127) | 1 << 126),
        der.generalized_time(at),
        der.sequence(der.integer(1)),
        *([der.integer(asked.nonce)] if asked.nonce is not None else []),
    )
    token = cms.sign(info, signer, at=at, content_type=cms.TST_INFO, detached=False, certificates=asked.certificates)
    return der.sequence(der.sequence(der.integer(0)), token)


class StamperServer(http.server.ThreadingHTTPServer):
    """The daemon; `serve_forever` until `shutdown`."""

    daemon_threads = True

    def __init__(self, signer: CmsSigner, port: int, clock: Callable[[], datetime]) -> None:
        """On the loopback only. Raises OSError if the port is taken."""
        self.signer = signer
        self.clock = clock
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: StamperServer
    server_version = "integrity-dev-tsa"
    sys_version = ""
    timeout = _REQUEST_TIMEOUT_S

    def do_POST(self) -> None:
        # A request without a length, or too long, is refused before it is read.
        stated = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", stated, re.ASCII) or int(stated) > LONGEST:
            self._send_reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "text/plain", b"")
            return
        body = self.rfile.read(int(stated))
        self._send_reply(HTTPStatus.OK, _REPLY, answer(body, self.server.signer, at=self.server.clock()))

    def _send_reply(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """No log: the command is for a person at this machine."""
