"""Time stamps (RFC 3161) of a corte: an independent authority says that SHA256SUMS existed at that moment.

    openssl ts -verify -in SHA256SUMS.tsr -data SHA256SUMS -CAfile autoridad-de-tiempo.pem

Up to two authorities: `SHA256SUMS.tsr` is of the first, `SHA256SUMS.2.tsr` of the second. No corte waits for them: it
is published, then `add_missing` asks, and asks again later for stamps that did not come. So a stamp is one of the few
files that may appear in a corte's folder after it was published (with `SHA256SUMS.firma.p7s` and the log's proof). Each
is written once and never replaced. A stamp is verified here before it is placed, and again by every reader.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from rfc3161_client import VerificationError, decode_timestamp_response
from rfc3161_client.tsp import PKIStatus, TimeStampTokenInfo
from rfc3161_client.verify import VerifierBuilder

from integrity.sealing import cms, der
from integrity.sealing.certificates import NotSealed, Problem, Purpose, chain, name
from integrity.sealing.seal import CLOCK_TOLERANCE
from integrity.sums import Malformed

STAMPS: Final = ("SHA256SUMS.tsr", "SHA256SUMS.2.tsr")
"""Of the first authority and of the second."""
LONGEST: Final = 64 << 10
"""Bytes of an answer; a usual one has 1 to 6 thousand."""
LEAST_ACCURATE: Final = timedelta(seconds=60)
"""An authority whose clock may be further off than this is refused."""
_SHA256: Final = "2.16.840.1.101.3.4.2.1"


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time stamp that was verified."""

    at: datetime
    accuracy: timedelta | None
    """How far the authority's clock may be off, if it says so."""
    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...]
    policy: str


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority that stamps time: its address, and the authorities that its certificate must be under."""

    url: str
    trusted: Sequence[x509.Certificate]
    policies: Collection[str] = ()
    """Object identifiers of the accepted policies; empty: any."""


# --- verifying --------------------------------------------------------------------------------------------------------


def verify_stamp(
    tsr: bytes,
    sums: bytes,
    trusted: Sequence[x509.Certificate],
    *,
    nonce: int | None = None,
    policies: Collection[str] = (),
) -> Stamp:
    """The stamp over exactly these bytes, by an authority under `trusted`. Raises NotSealed, which names the fault.

    The program that asked knows its `nonce`; a reader years later has none. Revocation is not looked up.
    """
    # 1. The form, by two readers; the authority granted it.
    if not 0 < len(tsr) <= LONGEST:
        raise NotSealed(Problem.FORM, f"un sello de tiempo tiene de 1 a {LONGEST} bytes; este, {len(tsr)}")
    try:
        # First reader: rfc3161-client. Second reader: `cms.read`, which accepts one encoding only.
        response = decode_timestamp_response(tsr)
        status = PKIStatus(response.status)
        if status is not PKIStatus.GRANTED:
            raise NotSealed(Problem.FORM, f"la autoridad de tiempo no lo concedió (estado {status.value})")
        token, info = response.time_stamp_token(), response.tst_info
        imprint, stamped_at, policy = info.message_imprint, info.gen_time, info.policy.dotted_string
        kind, stated_nonce, accuracy = imprint.hash_algorithm.dotted_string, info.nonce, _stated_accuracy(info)
    except ValueError:
        raise NotSealed(Problem.FORM, "no es una respuesta de sellado de tiempo (RFC 3161)") from None
    signed = cms.read(token)
    content = signed.content or b""

    # 2. It is over the digest of these bytes, and answers this request.
    if kind != _SHA256:
        raise NotSealed(Problem.ALGORITHM, "el sello de tiempo no es sobre una huella SHA-256")
    if imprint.message != hashlib.sha256(sums).digest():
        raise NotSealed(Problem.CONTENT, "el sello de tiempo es de otro SHA256SUMS")
    if nonce is not None and stated_nonce != nonce:
        raise NotSealed(Problem.NONCE, "el sello de tiempo responde a otra petición (otro número de un solo uso)")
    if policies and policy not in policies:
        raise NotSealed(Problem.POLICY, f"el sello de tiempo se dio bajo la política {policy}, que no se acepta")
    if accuracy is not None and accuracy > LEAST_ACCURATE:
        seconds = accuracy.total_seconds()
        raise NotSealed(Problem.ACCURACY, f"la autoridad de tiempo dice poder errar {seconds:g} segundos")

    # 3. Who signed it: a time stamper under a trusted authority, in force at that moment.
    certificate = cms.verify(signed, content, content_type=cms.TST_INFO)
    others = cms.authorities(signed, certificate)
    path = chain(certificate, others, trusted, at=stamped_at, purpose=Purpose.STAMP)

    # 4. The same by another implementation, which hands the token to OpenSSL.
    verifier = VerifierBuilder(roots=list(trusted), tsa_certificate=None, nonce=nonce).build()
    try:
        verifier.verify(response, hashlib.sha256(sums).digest())
    except (VerificationError, ValueError):
        raise NotSealed(Problem.SIGNATURE, "OpenSSL no acepta la firma del sello de tiempo") from None
    return Stamp(stamped_at, accuracy, certificate, path[1:], policy)


def _stated_accuracy(info: TimeStampTokenInfo) -> timedelta | None:
    stated = info.accuracy
    if stated is None:
        return None
    parts = (stated.seconds, stated.millis, stated.micros)
    seconds, millis, micros = (part or 0 for part in parts)
    return timedelta(seconds=min(seconds, 10**6), milliseconds=millis, microseconds=micros)


def judge_after(stamp: Stamp, sealed_at: datetime | None) -> None:
    """Raises NotSealed if the stamp is older than the seal by more than two honest clocks may differ."""
    # The authority states its own possible error, and adds to ours.
    slack = CLOCK_TOLERANCE + (stamp.accuracy or timedelta())
    if sealed_at is not None and stamp.at + slack < sealed_at:
        early = int((sealed_at - stamp.at).total_seconds())
        sentence = f"el sello de tiempo de {name(stamp.certificate)} es {early} segundos anterior a la hora del sello"
        raise NotSealed(Problem.CLOCK, sentence)


# --- the requests that a time stamper reads ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Query:
    """The request to a time stamper (RFC 3161 §2.4.1)."""

    imprint: bytes
    """DER of the algorithm and the digest, which is SHA-256."""
    nonce: int | None
    certificates: bool


def read_query(data: bytes) -> Query:
    """The parts of a request. Raises Malformed."""
    what = "una petición de sello de tiempo"
    if len(data) > LONGEST:
        raise Malformed(f"{what} de hasta {LONGEST} bytes", f"{len(data)}")
    fields = der.Fields(der.read(data, what), what)
    if der.read_integer(fields.take(der.INTEGER)) != 1:
        raise Malformed(f"{what} de la versión 1", "otra")
    imprint = fields.take(der.SEQUENCE)
    inner = der.Fields(imprint, what)
    algorithm = der.Fields(inner.take(der.SEQUENCE), what)
    if (
        der.read_oid(algorithm.take(der.OID)) != _SHA256
        or len(inner.take(der.OCTETS).content) != hashlib.sha256().digest_size
    ):
        raise Malformed("una huella SHA-256", "otra")
    inner.end()
    fields.maybe(der.OID)
    nonce = fields.maybe(der.INTEGER)
    certificates = fields.maybe(der.BOOLEAN)
    fields.end()
    asked = certificates is not None and certificates.content == b"\xff"
    return Query(imprint.raw, der.read_integer(nonce) if nonce is not None else None, asked)
