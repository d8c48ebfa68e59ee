"""Makes authorities, certificates and signed messages for tests: good ones, and bad ones that no honest tool makes."""

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from integrity.sealing import cms, der
from integrity.sealing.cms import CmsSigner
from tests.makers.waiting import PATIENCE

AT = datetime(2024, 6, 2, 20, 0, tzinfo=UTC)
"""The hour of every seal; the clock of the machine does not matter."""
SINCE, UNTIL = AT - timedelta(days=30), AT + timedelta(days=335)
SUMS = b"".join(hashlib.sha256(name).hexdigest().encode() + b"  " + name + b"\n" for name in (b"LEEME.txt", b"a.csv"))
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
STAMPING = [ExtendedKeyUsageOID.TIME_STAMPING]


@dataclass(frozen=True, slots=True)
class MemoryKey:
    """A private key in the memory of this test."""

    private: PrivateKey

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self.private.sign(data, ec.ECDSA(hashes.SHA256()))


@dataclass(frozen=True, slots=True)
class Party:
    certificate: x509.Certificate
    key: PrivateKey
    above: tuple[x509.Certificate, ...] = ()

    @property
    def signer(self) -> CmsSigner:
        return CmsSigner(self.certificate, self.above, MemoryKey(self.key))

    def pem(self) -> bytes:
        return b"".join(each.public_bytes(Encoding.PEM) for each in (self.certificate, *self.above))

    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def party(
    issuer: Party | None = None,
    *,
    name: str = "Instituto Electoral de Querétaro",
    key: PrivateKey | None = None,
    ca: bool = False,
    depth: int | None = None,
    uses: Sequence[str] = ("digital_signature", "content_commitment"),
    extended: Sequence[x509.ObjectIdentifier] = (),
    extended_critical: bool = True,
    since: datetime = SINCE,
    until: datetime = UNTIL,
    extra: x509.UnrecognizedExtension | None = None,
    critical: bool = True,
    serial: int | None = None,
    subject: x509.Name | None = None,
) -> Party:
    """A person or server with a certificate by `issuer`; without an issuer, an authority with its own root."""
    own = key or ec.generate_private_key(ec.SECP256R1())
    ca = ca or issuer is None
    subject = subject or x509.Name(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, "MX"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    above = (issuer.certificate, *issuer.above) if issuer is not None else ()
    flags = {"key_cert_sign", "crl_sign"} if ca else set(uses)
    names = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
    ]
    usage = {each: each in flags for each in [*names, "crl_sign", "encipher_only", "decipher_only"]}
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer is not None else subject)
        .public_key(own.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=depth), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
    )
    if flags:
        builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=extended_critical)
    if extra is not None:
        builder = builder.add_extension(extra, critical=critical)
    certificate = builder.sign(issuer.key if issuer is not None else own, hashes.SHA256())
    return Party(certificate, own, tuple(each for each in above if each.subject != each.issuer))


# --- signed messages --------------------------------------------------------------------------------------------------


def attributes(
    content: bytes, signer: CmsSigner, *, at: datetime = AT, content_type: str = cms.DATA
) -> dict[str, bytes]:
    """The four attributes, each under a short name."""
    return {
        "type": _cms_attribute("1.2.840.113549.1.9.3", der.oid(content_type)),
        "digest": _cms_attribute("1.2.840.113549.1.9.4", der.element(der.OCTETS, hashlib.sha256(content).digest())),
        "time": _cms_attribute("1.2.840.113549.1.9.5", der.time(at)),
        "ess": ess(signer.certificate),
    }


def ess(certificate: x509.Certificate) -> bytes:
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    value = der.sequence(der.sequence(der.sequence(der.element(der.OCTETS, digest))))
    return _cms_attribute("1.2.840.113549.1.9.16.2.47", value)


def _cms_attribute(kind: str, value: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.set_of([value]))


def craft(
    signer: CmsSigner,
    signed: Mapping[str, bytes] | None,
    *,
    content: bytes = SUMS,
    digest: str = "2.16.840.1.101.3.4.2.1",
    unsorted: bool = False,
    signers: int = 1,
    certificates: Sequence[x509.Certificate] | None = None,
    signature: bytes | None = None,
    held: bytes = b"",
) -> bytes:
    """A signed message with any attributes: everything in it may be wrong while the signature is right."""
    held_attributes = sorted(signed.values(), reverse=unsorted) if signed is not None else []
    over = der.element(der.SET, *held_attributes) if signed is not None else content
    algorithm = der.sequence(der.oid(digest))
    signing = (
        der.sequence(der.oid("1.2.840.113549.1.1.1"), der.element(der.NULL))
        if signer.is_rsa
        else der.sequence(der.oid("1.2.840.10045.4.3.2"))
    )
    info = der.sequence(
        der.integer(1),
        cms.issuer_and_serial(signer.certificate),
        algorithm,
        *([der.element(der.context(0), *held_attributes)] if signed is not None else []),
        signing,
        der.element(der.OCTETS, signer.key.sign(over) if signature is None else signature),
    )
    others = (signer.certificate, *signer.above) if certificates is None else certificates
    chain = sorted(each.public_bytes(Encoding.DER) for each in others)
    return der.sequence(
        der.oid(cms.SIGNED_DATA),
        der.element(
            der.context(0),
            der.sequence(
                der.integer(1),
                der.set_of([algorithm]),
                der.sequence(der.oid(cms.DATA), held),
                der.element(der.context(0), *chain),
                der.element(der.SET, *[info] * signers),
            ),
        ),
    )


# --- openssl ----------------------------------------------------------------------------------------------------------


def openssl(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["openssl", *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def openssl_accepts_seal(p7s: bytes, sums: bytes, root: x509.Certificate, folder: Path, *, at: datetime = AT) -> bool:
    (folder / "SHA256SUMS").write_bytes(sums)
    (folder / "SHA256SUMS.p7s").write_bytes(p7s)
    (folder / "ca.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    words = "cms -verify -cades -binary -inform DER -in SHA256SUMS.p7s -content SHA256SUMS -CAfile ca.pem"
    moment = str(int(at.timestamp()))
    more = ["-purpose", "smimesign", "-attime", moment, "-out", "/dev/null"]
    return openssl(*words.split(), *more, folder=folder).returncode == 0


def openssl_accepts_stamp(tsr: bytes, sums: bytes, root: x509.Certificate, folder: Path, *, at: datetime = AT) -> bool:
    (folder / "SHA256SUMS").write_bytes(sums)
    (folder / "SHA256SUMS.tsr").write_bytes(tsr)
    (folder / "ca.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    words = "ts -verify -in SHA256SUMS.tsr -data SHA256SUMS -CAfile ca.pem -attime"
    return openssl(*words.split(), str(int(at.timestamp())), folder=folder).returncode == 0
