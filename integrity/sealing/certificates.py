"""X.509 certificates of people and authorities that seal or stamp: their chain, their time of validity, their purpose.

A chain leads from the signer's certificate to one of the authorities that the reader trusts. It is judged at the moment
of the signature, not today: a good seal stays good after its certificate expires. The rules are those of RFC 5280,
without those that no such authority uses: names are compared byte by byte, and an unknown critical extension refuses
the certificate. Revocation is not looked up: there is no network in a verification.

The certificates of `integrity dev-ca` say in three ways that they have no legal value (`is_development`).
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

LONGEST_FILE: Final = 1 << 20
"""Bytes of a file of certificates."""
MOST_CERTIFICATES: Final = 300
SHORTEST_RSA: Final = 2048

DEVELOPMENT_OID: Final = x509.ObjectIdentifier("2.25.168887072469008787765308247885154282809")
"""The extension that certificates for development carry; not critical, so that every tool accepts them."""
DEVELOPMENT_MARK: Final = "DESARROLLO / SIN VALIDEZ"
"""Organization of the subject of every certificate for development."""
DEVELOPMENT_ROOT: Final = "6c5e0b27a086b38a75203183422641d9693951eddf6e47c76394f3244706a7ad"
"""SHA-256 of the subject (DER) of every development root."""

_MOST_PATHS: Final = 16
_LONGEST_PATH: Final = 5
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_HASHES: Final = frozenset({"sha256", "sha384", "sha512"})
_DOCUMENT_SIGNING: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")
_SIGNS_DOCUMENTS: Final = frozenset(
    {ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, _DOCUMENT_SIGNING}
)
_KNOWN: Final = frozenset(
    {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE}
    | {ExtensionOID.CERTIFICATE_POLICIES, ExtensionOID.SUBJECT_ALTERNATIVE_NAME}
)
"""Extensions that may be critical."""
_SERIAL_DIGITS: Final = 20

_T = TypeVar("_T", bound=x509.ExtensionType)


class Problem(StrEnum):
    """The reason why a seal, a signature or a time stamp is not good; the values are for programs."""

    FORM = "forma"
    """The bytes do not have the form."""
    CONTENT = "contenido"
    """The signature is over another content."""
    SIGNATURE = "firma"
    ATTRIBUTES = "atributos"
    """A signed attribute is missing, stands twice, or has another value."""
    ALGORITHM = "algoritmo"
    """Weak, or unknown to this program."""
    CHAIN = "cadena"
    """It is under no authority that the reader trusts."""
    EXPIRED = "vencido"
    NOT_YET = "aún no vigente"
    PURPOSE = "uso"
    """The certificate has another purpose."""
    DEVELOPMENT = "desarrollo"
    """A certificate for development, in a real night."""
    CLOCK = "reloj"
    """A time is before another one that it must follow."""
    NONCE = "número de un solo uso"
    POLICY = "política"
    ACCURACY = "exactitud"
    KEY = "llave"
    """The private key cannot be used, or belongs to another certificate."""
    MISSING = "falta"
    """A required file is missing."""


class NotSealed(Exception):
    """The problem, by name and in one Spanish sentence without its full stop."""

    def __init__(self, problem: Problem, sentence: str) -> None:
        super().__init__(problem, sentence)
        self.problem = problem
        self.sentence = sentence


class Purpose(StrEnum):
    """The purpose that a signer's certificate must have."""

    SEAL = "firmar documentos"
    STAMP = "sellar tiempo"


def load(data: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a file: PEM, one after the other, or a single one in DER. Raises NotSealed."""
    if len(data) > LONGEST_FILE:
        raise NotSealed(Problem.FORM, f"un archivo de certificados tiene hasta {LONGEST_FILE} bytes; este, {len(data)}")
    try:
        pem = b"-----BEGIN" in data
        found = x509.load_pem_x509_certificates(data) if pem else [x509.load_der_x509_certificate(data)]
        found = [load_der(each.public_bytes(Encoding.DER)) for each in found]
    except (ValueError, x509.InvalidVersion, Warning):
        raise NotSealed(Problem.FORM, "no es un archivo de certificados X.509 (PEM o DER)") from None
    if len(found) > MOST_CERTIFICATES:
        raise NotSealed(Problem.FORM, f"hay {len(found)} certificados; se admiten {MOST_CERTIFICATES}")
    return tuple(found)


def load_der(data: bytes) -> x509.Certificate:
    """A certificate from others. Each field that is read later is read here once, as any of them may be malformed.

    Raises NotSealed.
    """
    try:
        certificate = x509.load_der_x509_certificate(data)
        read = (certificate.version, certificate.subject, certificate.issuer, certificate.not_valid_after_utc)
        positive = certificate.serial_number > 0 and certificate.not_valid_before_utc < read[-1]
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm, Warning):
        positive = False
    if not positive:
        raise NotSealed(Problem.FORM, "uno de los certificados que trae no es un certificado X.509")
    return certificate


# --- chains -----------------------------------------------------------------------------------------------------------


def chain(
    signer: x509.Certificate,
    others: Iterable[x509.Certificate],
    trusted: Sequence[x509.Certificate],
    *,
    at: datetime,
    purpose: Purpose,
) -> tuple[x509.Certificate, ...]:
    """The path from `signer` through `others` to a root among `trusted`, good at that moment. Raises NotSealed."""
    first: NotSealed | None = None
    # Several paths may exist (a renewed authority); one good path is enough. The first fault is told if none is good.
    for path in islice(_candidate_paths((signer,), tuple(others), trusted), _MOST_PATHS):
        try:
            _judge_path(path, at)
            judge_purpose(signer, purpose)
        except NotSealed as problem:
            first = first or problem
        else:
            return path
    if first is not None:
        raise first
    issuer = _common_name(signer.issuer)
    sentence = f"{name(signer)}, con certificado emitido por {issuer}, no depende de ninguna autoridad de confianza"
    raise NotSealed(Problem.CHAIN, sentence)


def _candidate_paths(
    path: tuple[x509.Certificate, ...], others: tuple[x509.Certificate, ...], trusted: Sequence[x509.Certificate]
) -> Iterator[tuple[x509.Certificate, ...]]:
    last = path[-1]
    if last in trusted and last.subject == last.issuer:  # like openssl: only a root ends a chain
        yield path
    elif len(path) < _LONGEST_PATH:
        for issuer in (*trusted, *others):
            if issuer not in path and issuer.subject == last.issuer and _is_issued_by(last, issuer):
                yield from _candidate_paths((*path, issuer), others, trusted)


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _judge_path(path: tuple[x509.Certificate, ...], at: datetime) -> None:
    # RFC 5280 §6.1: each certificate in force, of a strong key, without unknown critical extensions; each above the
    # first may issue certificates.
    for above, certificate in enumerate(path):
        judge_validity(certificate, at)
        _judge_strength(certificate, anchor=above == len(path) - 1)
        extensions = _extensions_of(certificate)
        strange = [each.oid for each in extensions if each.critical and each.oid not in _KNOWN]
        if strange:
            sentence = f"lleva una extensión crítica que no se sabe comprobar ({strange[0].dotted_string})"
            raise NotSealed(Problem.PURPOSE, f"el certificado de {name(certificate)} {sentence}")
        if above:
            _judge_authority(certificate, extensions, below=above - 1)


def judge_validity(certificate: x509.Certificate, at: datetime) -> None:
    """Raises NotSealed if the certificate was not in force at that moment."""
    if at < certificate.not_valid_before_utc:
        since = f"empezó a valer el {_moment_in_words(certificate.not_valid_before_utc)}"
        raise NotSealed(
            Problem.NOT_YET, f"el certificado de {name(certificate)} {since}; aquí es el {_moment_in_words(at)}"
        )
    if at > certificate.not_valid_after_utc:
        until = f"venció el {_moment_in_words(certificate.not_valid_after_utc)}"
        raise NotSealed(
            Problem.EXPIRED, f"el certificado de {name(certificate)} {until}; aquí es el {_moment_in_words(at)}"
        )


def _judge_strength(certificate: x509.Certificate, *, anchor: bool) -> None:
    """Key and signature are strong. Of the root only the key counts: the reader trusts it without its signature."""
    try:
        key, hashed = certificate.public_key(), certificate.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        raise NotSealed(Problem.ALGORITHM, f"la llave o la firma de {name(certificate)} es de un tipo ajeno") from None
    strong = (isinstance(key, rsa.RSAPublicKey) and key.key_size >= SHORTEST_RSA) or (
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)
    )
    if not strong:
        kinds = f"RSA de {SHORTEST_RSA} bits o más, o P-256, P-384, P-521"
        raise NotSealed(Problem.ALGORITHM, f"la llave de {name(certificate)} no es {kinds}")
    if not anchor and (hashed is None or hashed.name not in _HASHES):
        raise NotSealed(Problem.ALGORITHM, f"el certificado de {name(certificate)} no está firmado con SHA-2")


def _judge_authority(certificate: x509.Certificate, extensions: x509.Extensions, *, below: int) -> None:
    """The certificate may issue certificates; `below` counts the authorities between it and the signer."""
    basic, usage = _extension_value(extensions, x509.BasicConstraints), _extension_value(extensions, x509.KeyUsage)
    if basic is None or not basic.ca or (usage is not None and not usage.key_cert_sign):
        raise NotSealed(Problem.PURPOSE, f"el certificado de {name(certificate)} no es de una autoridad certificadora")
    if basic.path_length is not None and below > basic.path_length:
        raise NotSealed(Problem.PURPOSE, f"la autoridad {name(certificate)} no puede tener tantas debajo")


def judge_purpose(certificate: x509.Certificate, purpose: Purpose) -> None:
    """Raises NotSealed if the certificate has another purpose."""
    extensions = _extensions_of(certificate)
    basic, usage = _extension_value(extensions, x509.BasicConstraints), _extension_value(extensions, x509.KeyUsage)
    extended = _extension_value(extensions, x509.ExtendedKeyUsage)
    uses = frozenset(extended) if extended is not None else frozenset()
    wrong = f"el certificado de {name(certificate)} no sirve para {purpose.value}:"
    if basic is not None and basic.ca:
        raise NotSealed(Problem.PURPOSE, f"{wrong} es de una autoridad certificadora")
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise NotSealed(Problem.PURPOSE, f"{wrong} su uso de llave no incluye firmar")
    # RFC 3161 §2.3: a time stamper's certificate has this purpose alone, and as a critical extension.
    if purpose is Purpose.STAMP:
        critical = any(each.oid == ExtensionOID.EXTENDED_KEY_USAGE and each.critical for each in extensions)
        if uses != {ExtendedKeyUsageOID.TIME_STAMPING} or not critical:
            raise NotSealed(Problem.PURPOSE, f"{wrong} su único uso, y crítico, debería ser el sellado de tiempo")
        return
    # RFC 5280 lets a certificate say nothing of its use; a seal must not rest on that.
    if usage is None:
        raise NotSealed(Problem.PURPOSE, f"{wrong} no dice para qué se usa su llave")
    if ExtendedKeyUsageOID.TIME_STAMPING in uses:
        raise NotSealed(Problem.PURPOSE, f"{wrong} es de una autoridad de sellado de tiempo")
    if uses and not uses & _SIGNS_DOCUMENTS:
        raise NotSealed(Problem.PURPOSE, f"{wrong} sus usos extendidos son otros")


def _extensions_of(certificate: x509.Certificate) -> x509.Extensions:
    try:
        return certificate.extensions
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        sentence = f"las extensiones del certificado de {name(certificate)} no se pueden leer"
        raise NotSealed(Problem.FORM, sentence) from None


def _extension_value(extensions: x509.Extensions, kind: type[_T]) -> _T | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


# --- certificates for development -------------------------------------------------------------------------------------


def is_development(certificate: x509.Certificate) -> bool:
    """Whether `integrity dev-ca` made it. Any of the three marks is enough: to remove one of them hides nothing."""
    # A certificate that was made from a development root by hand still names it as issuer.
    names = (certificate.subject, certificate.issuer)
    if any(hashlib.sha256(each.public_bytes()).hexdigest() == DEVELOPMENT_ROOT for each in names):
        return True
    if any(each.value == DEVELOPMENT_MARK for whole in names for each in whole):
        return True
    try:
        return any(each.oid == DEVELOPMENT_OID for each in certificate.extensions)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False


def refuse_development(certificates: Iterable[x509.Certificate], *, simulacro: bool) -> None:
    """Refuse certificates for development in a real night: at the start of a publisher and in every verification."""
    found = None if simulacro else next(filter(is_development, certificates), None)
    if found is not None:
        sentence = f"el certificado de {name(found)} es de desarrollo y no tiene validez: solo sirve en un simulacro"
        raise NotSealed(Problem.DEVELOPMENT, sentence)


# --- words ------------------------------------------------------------------------------------------------------------


def name(certificate: x509.Certificate) -> str:
    """The name of its owner, for people."""
    return _common_name(certificate.subject)


def _common_name(whole: x509.Name) -> str:
    for wanted in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for each in whole.get_attributes_for_oid(wanted):
            return " ".join("".join(c if c.isprintable() and c != "|" else " " for c in str(each.value)).split())
    return "alguien sin nombre"


def number(certificate: x509.Certificate) -> str:
    """The certificate number as Mexican documents show it.

    The SAT writes 20 digits into the bytes of the serial number; the serial of any other authority is shown in
    hexadecimal.
    """
    raw = certificate.serial_number.to_bytes((certificate.serial_number.bit_length() + 7) // 8 or 1, "big")
    # The SAT writes the 20 digits as text into the serial number.
    if len(raw) == _SERIAL_DIGITS and raw.isdigit():
        return raw.decode("ascii")
    return raw.hex().upper()


def _moment_in_words(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def read_file(path: Path, limit: int) -> bytes:
    """A file that a person names. Raises NotSealed: missing, or of more than `limit` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError:
        raise NotSealed(Problem.MISSING, f"no se puede leer {path}") from None
    if len(data) > limit:
        raise NotSealed(Problem.FORM, f"{path} tiene más de {limit} bytes")
    return data
