"""Signed messages (CMS, RFC 5652) with one signer and signed attributes: written, read strictly, verified.

    ContentInfo ─ SignedData ─┬─ digest algorithm, content type, content (absent where detached)
                              ├─ certificates of the signer and of those above
                              └─ SignerInfo ─┬─ issuer and serial number of the signer's certificate
                                             ├─ signed attributes: content-type, message-digest, signing-time,
                                             │    signing-certificate-v2 (ESS, RFC 5035): what makes it CAdES-BES
                                             └─ signature over those attributes

Seals and time stamps are both such messages. `cryptography` does not write signing-certificate-v2. Without it, a
certificate could be exchanged for another one with the same key; so the few bytes are written here.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from integrity.sealing import der
from integrity.sealing.certificates import NotSealed, Problem, load_der
from integrity.sums import Malformed

LONGEST: Final = 256 << 10
"""Bytes of a signed message that are looked at; one has 2 to 8 thousand."""
MOST_CERTIFICATES: Final = 10
_MOST_ATTRIBUTES: Final = 32

DATA: Final = "1.2.840.113549.1.7.1"
SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
_SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
_RSA: Final = "1.2.840.113549.1.1.1"
_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_ECDSA_SHA256: Final = "1.2.840.10045.4.3.2"

_HASHES: Final[Mapping[str, Callable[[], hashes.HashAlgorithm]]] = {
    _SHA256: hashes.SHA256,
    "2.16.840.1.101.3.4.2.2": hashes.SHA384,
    "2.16.840.1.101.3.4.2.3": hashes.SHA512,
}
_RSA_WITH: Final = {
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
}
_ECDSA_WITH: Final = {
    _ECDSA_SHA256: "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
}


class Key(Protocol):
    """A private key, in a file or in a token."""

    def sign(self, data: bytes) -> bytes:
        """Sign the SHA-256 of `data`: PKCS #1 v1.5, or ECDSA in DER. Raises NotSealed if the key cannot be used."""


@dataclass(frozen=True, slots=True)
class CmsSigner:
    """A certificate with its key."""

    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...]
    """The authorities above it, which are sent along for readers who have the root alone."""
    key: Key = field(repr=False)

    @property
    def is_rsa(self) -> bool:
        return isinstance(self.certificate.public_key(), rsa.RSAPublicKey)


# --- writing ----------------------------------------------------------------------------------------------------------


def sign(
    content: bytes,
    signer: CmsSigner,
    *,
    at: datetime,
    content_type: str = DATA,
    detached: bool,
    certificates: bool = True,
) -> bytes:
    """The signed message over `content`. `at`, its signing time, is written with whole seconds."""
    # signing-certificate-v2 names the certificate by its digest, inside the signed part.
    ess = der.sequence(der.sequence(der.sequence(_ess_id(signer.certificate))))
    attributes = [
        _signed_attribute(_CONTENT_TYPE, der.oid(content_type)),
        _signed_attribute(_MESSAGE_DIGEST, der.element(der.OCTETS, hashlib.sha256(content).digest())),
        _signed_attribute(_SIGNING_TIME, der.time(at)),
        _signed_attribute(_SIGNING_CERTIFICATE_V2, ess),
    ]
    signed = der.set_of(attributes)
    digest = der.sequence(der.oid(_SHA256))
    # RSA is written as rsaEncryption with NULL parameters, which every verifier accepts (RFC 3370 §3.2).
    rsa_algorithm, ecdsa = der.sequence(der.oid(_RSA), der.element(der.NULL)), der.sequence(der.oid(_ECDSA_SHA256))
    signer_info = der.sequence(
        der.integer(1),
        issuer_and_serial(signer.certificate),
        digest,
        der.element(der.context(0), *sorted(attributes)),  # signed as a SET, written as [0] (RFC 5652 §5.4)
        rsa_algorithm if signer.is_rsa else ecdsa,
        der.element(der.OCTETS, signer.key.sign(signed)),
    )
    held = [] if detached else [der.element(der.context(0), der.element(der.OCTETS, content))]
    chain = [each.public_bytes(Encoding.DER) for each in (signer.certificate, *signer.above)] if certificates else []
    return der.sequence(
        der.oid(SIGNED_DATA),
        der.element(
            der.context(0),
            der.sequence(
                der.integer(1 if content_type == DATA else 3),
                der.set_of([digest]),
                der.sequence(der.oid(content_type), *held),
                *([der.element(der.context(0), *sorted(chain))] if chain else []),
                der.set_of([signer_info]),
            ),
        ),
    )


def _signed_attribute(kind: str, value: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.set_of([value]))


def _ess_id(certificate: x509.Certificate) -> bytes:
    """ESSCertIDv2 (RFC 5035 §4).

    No algorithm is written, which means SHA-256: the digest, the issuer and the serial.
    """
    issuer, serial = _issuer_serial(certificate)
    general_names = der.sequence(der.element(der.context(4), issuer))
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    return der.element(der.OCTETS, digest) + der.sequence(general_names, serial)


def issuer_and_serial(certificate: x509.Certificate) -> bytes:
    """IssuerAndSerialNumber in DER: how a signed message names its signer's certificate."""
    return der.sequence(*_issuer_serial(certificate))


def _issuer_serial(certificate: x509.Certificate) -> tuple[bytes, bytes]:
    """Issuer and serial number with the bytes of the certificate itself: other programs compare them byte by byte."""
    fields = der.Fields(der.read(certificate.tbs_certificate_bytes, "un certificado"), "un certificado")
    fields.maybe(der.context(0))
    serial = fields.take(der.INTEGER)
    fields.take(der.SEQUENCE)
    return fields.take(der.SEQUENCE).raw, serial.raw


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignedData:
    """The parts of a signed message, none of them verified."""

    content_type: str
    content: bytes | None
    certificates: tuple[x509.Certificate, ...]
    issuer_and_serial: bytes
    digest_algorithm: str
    attributes: Mapping[str, der.Element]
    """By kind: each signed attribute has one value."""
    signed_attributes: bytes
    """The bytes that the signature is over (RFC 5652 §5.4: as a SET)."""
    signature_algorithm: str
    signature: bytes


def read(data: bytes) -> SignedData:
    """A signed message with one signer. Raises NotSealed."""
    try:
        return _read_signed_data(data)
    except Malformed as problem:
        sentence = f"se esperaba {problem.expected}; se encontró {problem.found}"
        raise NotSealed(Problem.FORM, sentence) from None


def _read_signed_data(data: bytes) -> SignedData:
    what = "un mensaje firmado (CMS)"
    if len(data) > LONGEST:
        raise Malformed(f"{what} de hasta {LONGEST} bytes", f"{len(data)}")
    if data.startswith(b"-----BEGIN"):
        raise Malformed(f"{what} en DER (con openssl: -outform DER)", "PEM")
    # A detached signature is an outer ContentInfo with a SignedData in it (RFC 5652 §3 and §5.1).
    outer = der.Fields(der.read(data, what), what)
    if der.read_oid(outer.take(der.OID)) != SIGNED_DATA:
        raise Malformed("un mensaje firmado (SignedData)", "otra clase de mensaje")
    explicit = outer.take(der.context(0))
    outer.end()
    fields = der.Fields(der.read(explicit.content, what), what)
    version = der.read_integer(fields.take(der.INTEGER))
    hints = [_read_algorithm(each) for each in der.parts(fields.take(der.SET), what)]
    content_type, content = _read_content(fields.take(der.SEQUENCE))
    certificates = _read_certificates(fields.maybe(der.context(0)))
    fields.maybe(der.context(1))  # revocation lists
    signers = der.parts(fields.take(der.SET), what)
    fields.end()
    # With two signers, two programs could report different ones.
    if len(signers) != 1:
        raise Malformed("una firma", f"{len(signers)}")
    signed = _read_signer(signers[0], content_type, content, certificates)
    # No signature covers these two. So only one value is accepted: no byte may be changed without being seen.
    if version != (1 if content_type == DATA else 3) or hints != [signed.digest_algorithm]:
        raise Malformed(f"{what} con la versión y la huella que corresponden a su firma", "otras")
    return signed


def _read_content(held: der.Element) -> tuple[str, bytes | None]:
    fields = der.Fields(held, "el contenido firmado")
    kind = der.read_oid(fields.take(der.OID))
    explicit = fields.maybe(der.context(0))
    fields.end()
    if explicit is None:
        return kind, None
    octets = der.read(explicit.content, "el contenido firmado")
    if octets.tag != der.OCTETS:
        raise Malformed("el contenido firmado como una sola cadena de bytes", "otra cosa")
    return kind, octets.content


def _read_certificates(held: der.Element | None) -> tuple[x509.Certificate, ...]:
    found = der.parts(held, "los certificados") if held is not None else []
    if len(found) > MOST_CERTIFICATES:
        raise Malformed(f"hasta {MOST_CERTIFICATES} certificados", f"{len(found)}")
    return tuple(load_der(each.raw) for each in found)


def _read_signer(
    held: der.Element, content_type: str, content: bytes | None, certificates: tuple[x509.Certificate, ...]
) -> SignedData:
    fields = der.Fields(held, "la firma")
    if der.read_integer(fields.take(der.INTEGER)) != 1:
        raise Malformed("una firma que nombre su certificado por emisor y número de serie", "otra forma de nombrarlo")
    signer = fields.take(der.SEQUENCE)
    digest_algorithm = _read_algorithm(fields.take(der.SEQUENCE))
    signed = fields.maybe(der.context(0))
    if signed is None:
        raise NotSealed(Problem.ATTRIBUTES, "a la firma le faltan los atributos firmados")
    signature_algorithm = _read_algorithm(fields.take(der.SEQUENCE))
    signature = fields.take(der.OCTETS).content
    fields.maybe(der.context(1))  # unsigned attributes prove nothing, so they are not read
    fields.end()
    return SignedData(
        content_type=content_type,
        content=content,
        certificates=certificates,
        issuer_and_serial=signer.raw,
        digest_algorithm=digest_algorithm,
        attributes=_read_attributes(signed),
        signed_attributes=der.element(der.SET, signed.content),
        signature_algorithm=signature_algorithm,
        signature=signature,
    )


def _read_algorithm(held: der.Element) -> str:
    fields = der.Fields(held, "un algoritmo")
    kind = der.read_oid(fields.take(der.OID))
    parameters = fields.maybe(der.NULL)
    fields.end()
    if parameters is not None and parameters.content:
        raise Malformed("un algoritmo sin parámetros", "otra cosa")
    return kind


def _read_attributes(signed: der.Element) -> dict[str, der.Element]:
    attributes: dict[str, der.Element] = {}
    held = der.parts(signed, "los atributos firmados")
    # In DER a set has one order; another order would be another text under the same signature.
    if len(held) > _MOST_ATTRIBUTES or [each.raw for each in held] != sorted(each.raw for each in held):
        raise Malformed(f"hasta {_MOST_ATTRIBUTES} atributos firmados, en el orden de DER", "más, o en otro orden")
    for each in held:
        fields = der.Fields(each, "un atributo firmado")
        kind = der.read_oid(fields.take(der.OID))
        values = der.parts(fields.take(der.SET), "un atributo firmado")
        fields.end()
        if kind in attributes or len(values) != 1:
            raise NotSealed(Problem.ATTRIBUTES, f"el atributo firmado {kind} está más de una vez, o vacío")
        attributes[kind] = values[0]
    return attributes


# --- verifying --------------------------------------------------------------------------------------------------------


def verify(signed: SignedData, content: bytes, *, content_type: str = DATA) -> x509.Certificate:
    """The certificate whose signature over `content` this is; the certificate itself is not judged. Raises NotSealed.

    1. The message has that type, and the digest of `content`.
    2. The signer's certificate is in the message, and the signature names that very certificate (ESS).
    3. The signature over the attributes is by its key.
    """
    # 1. Type and digest.
    digest = _hash_of_algorithm(signed.digest_algorithm)
    kind = _attribute_of(signed, _CONTENT_TYPE, "el tipo de contenido")
    if signed.content_type != content_type or _oid_of(kind) != content_type:
        raise NotSealed(Problem.ATTRIBUTES, "la firma es sobre otro tipo de contenido")
    stated = _attribute_of(signed, _MESSAGE_DIGEST, "la huella del contenido")
    if stated.tag != der.OCTETS or stated.content != _digest_with(digest, content):
        raise NotSealed(Problem.CONTENT, "la firma es sobre otro contenido")

    # 2. The certificate.
    certificate = _certificate_of(signed)
    _judge_ess(signed, certificate)

    # 3. The signature.
    try:
        _verify_signature(certificate, signed)
    except (InvalidSignature, ValueError):
        raise NotSealed(Problem.SIGNATURE, "la firma no es de la llave de ese certificado, o fue alterada") from None
    except (UnsupportedAlgorithm, TypeError):
        raise NotSealed(Problem.ALGORITHM, "la firma usa un algoritmo que no se sabe comprobar") from None
    return certificate


def signing_time(signed: SignedData) -> datetime:
    """The time at which the signer says that it signed. Raises NotSealed."""
    stated = _attribute_of(signed, _SIGNING_TIME, "la hora de la firma")
    try:
        return der.read_time(stated)
    except Malformed as problem:
        raise NotSealed(Problem.ATTRIBUTES, f"la hora de la firma no es {problem.expected}") from None


def _hash_of_algorithm(algorithm: str) -> hashes.HashAlgorithm:
    if algorithm not in _HASHES:
        raise NotSealed(Problem.ALGORITHM, "la huella que se firmó no es SHA-256, SHA-384 ni SHA-512")
    return _HASHES[algorithm]()


def _digest_with(algorithm: hashes.HashAlgorithm, content: bytes) -> bytes:
    return hashlib.new(algorithm.name, content).digest()


def _attribute_of(signed: SignedData, kind: str, what: str) -> der.Element:
    if kind not in signed.attributes:
        raise NotSealed(Problem.ATTRIBUTES, f"entre los atributos firmados falta {what}")
    return signed.attributes[kind]


def _oid_of(held: der.Element) -> str:
    try:
        return der.read_oid(held)
    except Malformed:
        return ""


def _certificate_of(signed: SignedData) -> x509.Certificate:
    for certificate in signed.certificates:
        if issuer_and_serial(certificate) == signed.issuer_and_serial:
            return certificate
    raise NotSealed(Problem.CHAIN, "el certificado de quien firma no viene con la firma")


def _judge_ess(signed: SignedData, certificate: x509.Certificate) -> None:
    """The signed attribute must name this certificate. Authorities that stamp time may still name it by SHA-1."""
    v1 = signed.attributes.get(_SIGNING_CERTIFICATE) if signed.content_type == TST_INFO else None
    if v1 is None:
        _attribute_of(signed, _SIGNING_CERTIFICATE_V2, "el certificado de quien firma")
    try:
        stated, hashed = _ess_hash(v1 or signed.attributes[_SIGNING_CERTIFICATE_V2], "sha1" if v1 else "sha256")
    except Malformed:
        raise NotSealed(
            Problem.ATTRIBUTES, "el atributo que nombra el certificado de quien firma es ilegible"
        ) from None
    if hashlib.new(hashed, certificate.public_bytes(Encoding.DER), usedforsecurity=False).digest() != stated:
        raise NotSealed(Problem.ATTRIBUTES, "la firma nombra otro certificado que el que trae")


def _ess_hash(held: der.Element, default: str) -> tuple[bytes, str]:
    """The digest in the first certificate that is named, and its algorithm."""
    what = "un certificado nombrado"
    first = der.parts(der.Fields(held, what).take(der.SEQUENCE), what)
    if not first:
        raise Malformed(what, "ninguno")
    fields = der.Fields(first[0], what)
    algorithm = fields.maybe(der.SEQUENCE)
    hashed = default if algorithm is None else _hash_of_algorithm(_read_algorithm(algorithm)).name
    return fields.take(der.OCTETS).content, hashed


def _verify_signature(certificate: x509.Certificate, signed: SignedData) -> None:
    verify_with(
        certificate,
        signed.signature,
        signed.signed_attributes,
        algorithm=signed.signature_algorithm,
        digest=_hash_of_algorithm(signed.digest_algorithm),
    )


def verify_with(
    certificate: x509.Certificate, signature: bytes, data: bytes, *, algorithm: str, digest: hashes.HashAlgorithm
) -> None:
    """Verify one signature.

    Raises InvalidSignature; UnsupportedAlgorithm if the algorithm fits not this key or digest.
    """
    key = certificate.public_key()
    # Only an algorithm of this key type, with this digest: otherwise one signature could be read in two ways.
    if isinstance(key, rsa.RSAPublicKey) and (algorithm == _RSA or _RSA_WITH.get(algorithm) == digest.name):
        key.verify(signature, data, padding.PKCS1v15(), digest)
    elif isinstance(key, ec.EllipticCurvePublicKey) and _ECDSA_WITH.get(algorithm) == digest.name:
        key.verify(signature, data, ec.ECDSA(digest))
    else:
        raise UnsupportedAlgorithm("")


def verify_rsa_sha256(certificate: x509.Certificate, signature: bytes, data: bytes) -> bool:
    """Whether it is the RSA-SHA256 signature (PKCS #1 v1.5) of the certificate's key."""
    try:
        verify_with(certificate, signature, data, algorithm=_RSA, digest=hashes.SHA256())
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


def authorities(signed: SignedData, signer: x509.Certificate) -> Sequence[x509.Certificate]:
    """The other certificates in the message."""
    return [each for each in signed.certificates if each != signer]
