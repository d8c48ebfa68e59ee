"""The seal of a corte: `SHA256SUMS.p7s`, a detached signature (CMS, CAdES-BES) by the institution's certificate.

    openssl cms -verify -binary -inform DER -in SHA256SUMS.p7s -content SHA256SUMS -CAfile autoridad.pem -out /dev/null

A person signs too, on a machine of their own, at the beginning and the end of the night: `export_text` is the text that
they get, `import_signature` takes the signature that they bring back. That signature is `SHA256SUMS.firma.p7s`; it
stands beside the institution's seal and says the same of the same file.

A seal does not prove that its certificate was not revoked, as nobody is asked; nor that its hour is true, for which a
time stamp is needed (`stamp.py`).
"""

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, cast
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from integrity import durable
from integrity.sealing import cms
from integrity.sealing.certificates import (
    LONGEST_FILE,
    NotSealed,
    Problem,
    Purpose,
    chain,
    judge_purpose,
    judge_validity,
    load,
    refuse_development,
)
from integrity.sealing.cms import CmsSigner, Key

SEAL: Final = "SHA256SUMS.p7s"
"""The institution's seal, made with the corte."""
PERSON: Final = "SHA256SUMS.firma.p7s"
"""A person's signature, which may come later."""
LONGEST_SUMS: Final = 1 << 20
CLOCK_TOLERANCE: Final = timedelta(seconds=60)
"""How much two honest clocks may differ."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_PKCS11: Final = "pkcs11:"


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal that was verified."""

    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...]
    """Its authorities, up to the trusted one."""
    at: datetime
    """The time at which the signer says that it signed."""


# --- sealing ----------------------------------------------------------------------------------------------------------


def open_signer(certificates: Path, key: str, passphrase: str | None = None) -> CmsSigner:
    """The institution's signer: a PEM file with its certificate and those above it; and its key.

    `key` is a PEM file that only its owner can read, or a `pkcs11:` URI (RFC 7512) with `module-path`, `token` and
    `object`. `passphrase` is that of the file, or the PIN. Raises NotSealed, which shows neither of them.
    """
    held = load(_read_file(certificates, "el certificado"))
    certificate, above = held[0], held[1:]
    judge_purpose(certificate, Purpose.SEAL)
    public = certificate.public_key()
    opened: Key = TokenKey(key, passphrase, public) if key.startswith(_PKCS11) else FileKey(Path(key), passphrase)
    signer = CmsSigner(certificate, above, opened)
    # Sign once and verify: a key of another certificate must stop the start, not the first corte.
    probe = cms.sign(b"", signer, at=certificate.not_valid_before_utc, detached=True)
    try:
        cms.verify(cms.read(probe), b"")
    except NotSealed:
        sentence = f"la llave privada no es la del certificado de {certificates.name}"
        raise NotSealed(Problem.KEY, sentence) from None
    return signer


def seal(sums: bytes, signer: CmsSigner, *, at: datetime) -> bytes:
    """`SHA256SUMS.p7s`. Raises NotSealed if the certificate is not in force at that moment, or the key fails."""
    judge_validity(signer.certificate, at)
    return cms.sign(sums, signer, at=at, detached=True)


class FileKey:
    """A key in a PEM file."""

    def __init__(self, path: Path, passphrase: str | None) -> None:
        data = _read_file(path, "la llave privada", private=True)
        secret = passphrase.encode() if passphrase else None
        try:
            key = serialization.load_pem_private_key(data, secret)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            sentence = f"la llave privada {path.name} no se puede abrir: no es PEM, o la contraseña es otra"
            raise NotSealed(Problem.KEY, sentence) from None
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise NotSealed(Problem.ALGORITHM, f"la llave privada {path.name} no es RSA ni de curva elíptica")
        self._key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = key

    def sign(self, data: bytes) -> bytes:
        """Sign the SHA-256 of `data` with the key of the file."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))


def _read_file(path: Path, what: str, *, private: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            # Looked at on the open file, so that the file cannot be exchanged between the look and the reading.
            if private and os.fstat(file.fileno()).st_mode & _OTHERS:
                sentence = f"{what} {path.name} la pueden leer otros: deje el archivo con permisos 0600"
                raise NotSealed(Problem.KEY, sentence)
            return file.read(LONGEST_FILE + 1)
    except OSError:
        raise NotSealed(Problem.KEY if private else Problem.FORM, f"no se puede leer {what} {path.name}") from None


class TokenKey:
    """A key that never leaves its cryptographic token (PKCS #11). Needs the extra pkcs11."""

    def __init__(self, uri: str, pin: str | None, public: object) -> None:
        """`public` is the certificate's key: its kind decides how to sign.

        The token is first asked at the first signature.
        """
        self._where = _read_uri(uri)
        self._pin = pin
        self._is_rsa = isinstance(public, rsa.RSAPublicKey)

    def sign(self, data: bytes) -> bytes:
        """Sign inside the token. Raises NotSealed if the token or its library does not answer."""
        try:
            import pkcs11  # noqa: PLC0415 - an extra: most installations have no token
        except ModuleNotFoundError:
            sentence = "falta el extra «pkcs11»: pip install 'prep-abierto[pkcs11]'"
            raise NotSealed(Problem.KEY, sentence) from None
        where = self._where
        try:
            # A session for each signature: there is one in several minutes, and the token may be taken out in between.
            token = pkcs11.lib(where["module-path"]).get_token(token_label=where["token"])
            with token.open(user_pin=self._pin) as session:
                found = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=where["object"])
                key = cast("pkcs11.SignMixin", found)
                if self._is_rsa:
                    return bytes(key.sign(data, mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS))
                raw = bytes(key.sign(hashlib.sha256(data).digest(), mechanism=pkcs11.Mechanism.ECDSA))
        except (RuntimeError, OSError, ValueError, TypeError):  # PKCS11Error is a RuntimeError
            sentence = "el dispositivo criptográfico no firmó: revise module-path, token, object y el PIN"
            raise NotSealed(Problem.KEY, sentence) from None
        # PKCS #11 gives r and s side by side; CMS wants them in DER.
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


def _read_uri(uri: str) -> Mapping[str, str]:
    path, _, query = uri.removeprefix(_PKCS11).partition("?")
    pairs = [part.partition("=") for part in [*path.split(";"), *query.split("&")] if part]
    where = {key: unquote(value) for key, _, value in pairs}
    # A URI appears in process lists and logs, so the PIN may not be in it.
    if any(key.startswith("pin-") for key in where):
        raise NotSealed(Problem.KEY, "el PIN no va en la dirección pkcs11: (se vería en registros y procesos)")
    if missing := {"module-path", "token", "object"} - where.keys():
        sentence = f"en la dirección pkcs11:token=…;object=…?module-path=… falta {min(missing)}"
        raise NotSealed(Problem.KEY, sentence)
    return where


# --- verifying --------------------------------------------------------------------------------------------------------


def verify_seal(
    p7s: bytes, sums: bytes, trusted: Sequence[x509.Certificate], *, simulacro: bool, at: datetime | None = None
) -> Seal:
    """The seal over exactly these bytes, by a signer under `trusted`. Raises NotSealed, which names the fault.

    1. The form: one signer, detached, strict DER.
    2. The signature: over these bytes, by the certificate that it names.
    3. The certificate: under a trusted authority; in force when it signed, and at `at`, the moment that a time stamp
       proves; for signing, and neither an authority's nor a time stamper's; for development only in a simulacro.
    """
    # 1. The form.
    signed = cms.read(p7s)
    if signed.content is not None:
        raise NotSealed(Problem.FORM, "la firma trae dentro su propio contenido; debe ir separada (detached)")

    # 2. The signature.
    certificate = cms.verify(signed, sums)
    signed_at = cms.signing_time(signed)

    # 3. The certificate.
    others = cms.authorities(signed, certificate)
    path = chain(certificate, others, trusted, at=signed_at, purpose=Purpose.SEAL)
    if at is not None:
        path = chain(certificate, others, trusted, at=at, purpose=Purpose.SEAL)
    refuse_development(path, simulacro=simulacro)
    return Seal(certificate, path[1:], signed_at)


# --- a person's signature ---------------------------------------------------------------------------------------------


def export_text(sums: bytes, name: str) -> str:
    """The instructions for a person who signs on another machine, in Spanish; `name` is the name of the copy."""
    return f"""\
Para firmar en otra máquina, con la firma de una persona

El archivo {name} es copia exacta de SHA256SUMS: la lista de huellas de los archivos de un corte.
Antes de firmar, compruebe que su huella SHA-256 sea la que se leyó en voz alta:

  {_grouped_digits(hashlib.sha256(sums).hexdigest())}

  sha256sum {name}

1. El certificado y la llave, en PEM. Si son de la e.firma (.cer y .key):

  openssl x509 -inform DER -in certificado.cer -out certificado.pem
  openssl pkcs8 -inform DER -in llave.key -out llave.pem

2. Firmar (pide la contraseña de la llave si la tiene):

  openssl cms -sign -binary -cades -md sha256 -in {name} -signer certificado.pem -inkey llave.pem \\
    -outform DER -out {PERSON}

3. Borrar llave.pem, y traer de vuelta solo {PERSON}. Aquí se comprueba y se publica con:

  integrity seal import {PERSON} --sums SHA256SUMS --ca autoridad.pem
"""


def _grouped_digits(digest: str) -> str:
    return " ".join(digest[place : place + 8] for place in range(0, len(digest), 8))


def import_signature(
    p7s: bytes,
    sums: Path,
    trusted: Sequence[x509.Certificate],
    *,
    simulacro: bool,
    now: datetime,
    as_seal: bool = False,
) -> tuple[Path, Seal]:
    """Verify a signature made elsewhere over the file `sums`, and only then put it beside. Raises NotSealed.

    `as_seal`: it is the institution's seal, if its key is on no machine of the night. The file is written once: to
    bring the same bytes again is no error, to bring others is.
    """
    found = verify_seal(p7s, read_sums_file(sums), trusted, simulacro=simulacro)
    # A signature from the future would later look older than it is.
    if found.at > now + CLOCK_TOLERANCE:
        raise NotSealed(Problem.CLOCK, "la firma dice ser de una hora que todavía no llega")
    target = sums.with_name(SEAL if as_seal else PERSON)
    place(target, p7s)
    return target, found


def read_sums_file(path: Path) -> bytes:
    """The bytes of a SHA256SUMS. Raises NotSealed if it cannot be read, is empty or too long."""
    try:
        with path.open("rb") as file:
            sums = file.read(LONGEST_SUMS + 1)
    except OSError:
        raise NotSealed(Problem.MISSING, f"no se puede leer {path}") from None
    if not sums or len(sums) > LONGEST_SUMS:
        raise NotSealed(Problem.FORM, f"{path.name} debe tener de 1 a {LONGEST_SUMS} bytes; tiene {len(sums)} o más")
    return sums


def place(target: Path, content: bytes) -> None:
    """Put a file into a published folder, whole or not at all, and once. Raises NotSealed if another file is there."""
    try:
        durable.put(target, content)
    except FileExistsError:
        if target.is_symlink() or target.read_bytes() != content:
            raise NotSealed(Problem.FORM, f"ya hay un {target.name}, y es otro: no se escribió encima") from None
    except OSError:
        raise NotSealed(Problem.FORM, f"no se pudo escribir {target}") from None
