"""`SHA256SUMS.sello`: the seal in the form of Mexican official documents, a page of text that openssl alone checks.

Such a document shows its *cadena original* (its data between bars), the *sello digital* (base64 of the RSA-SHA256
signature over that string), the signer, the number of their certificate and the date. Here the data are the digest of
SHA256SUMS, so that the seal covers every file of the corte. The certificate follows, and then the commands. Every other
word of the page is copied from the string or the certificate: another text is refused.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from integrity.sealing import cms
from integrity.sealing.certificates import (
    NotSealed,
    Problem,
    Purpose,
    chain,
    judge_validity,
    load,
    name,
    number,
    refuse_development,
)
from integrity.sealing.cms import CmsSigner
from integrity.sealing.seal import SEAL, Seal, seal

SELLO: Final = "SHA256SUMS.sello"
LONGEST: Final = 64 << 10
_STRING: Final = re.compile(
    r"\|\|1\.0\|SHA256SUMS\|([0-9a-f]{64})\|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-](?:0\d|1[0-4]):[0-5]\d)\|([0-9A-F]{1,80})\|([^|\n]{1,200})\|\|",
    re.ASCII,
)
_HEADING: Final = "Sello digital (RSA-SHA256, en base64):"
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n", re.ASCII)


def seals(sums: bytes, signer: CmsSigner, *, at: datetime) -> dict[str, bytes]:
    """The files that a publisher puts beside SHA256SUMS, by name: the seal and, if the key is RSA, the sello.

    Raises NotSealed if the certificate is not in force at that moment, or the key fails.
    """
    page = make_sello(sums, signer, at=at)
    return {SEAL: seal(sums, signer, at=at), **({SELLO: page} if page is not None else {})}


def make_sello(sums: bytes, signer: CmsSigner, *, at: datetime) -> bytes | None:
    """The page; None if the institution's key is not RSA, as this form has no other. Raises NotSealed.

    It tells `at` in the offset that `at` has: that of the night.
    """
    # Mexican documents sign with RSA-SHA256; with another key there is only the .p7s.
    if not signer.is_rsa:
        return None
    judge_validity(signer.certificate, at)
    certificate = signer.certificate
    moment = at.replace(microsecond=0).isoformat()
    digest = hashlib.sha256(sums).hexdigest()
    string = f"||1.0|SHA256SUMS|{digest}|{moment}|{number(certificate)}|{name(certificate)}||"
    return _sello_page(string, signer.key.sign(string.encode()), certificate).encode()


def _sello_page(string: str, signature: bytes, certificate: x509.Certificate) -> str:
    """The text of the page. Its words belong to version 1.0 of the string: published pages must stay valid."""
    _, digest, moment, certificate_number, signer = string.strip("|").removeprefix("1.0|").split("|", 4)
    return f"""\
SELLO DIGITAL DE LA LISTA DE HUELLAS (SHA256SUMS) DE UN CORTE

Firma: {signer}
Número de certificado: {certificate_number}
Fecha y hora: {moment}
Huella SHA-256 de SHA256SUMS: {digest}

Cadena original:
{string}

{_HEADING}
{base64.b64encode(signature).decode()}

Certificado de quien firma:
{certificate.public_bytes(Encoding.PEM).decode()}
Cómo comprobarlo, en la carpeta del corte, con openssl y nada más; «autoridad.pem» es el certificado de
la autoridad, que debe obtenerse de ella y no de aquí:

  sha256sum SHA256SUMS
      debe ser la huella de arriba
  grep '^||1.0|' {SELLO} | tr -d '\\n' > cadena.txt
  grep -A1 '^Sello digital (' {SELLO} | tail -n 1 | openssl base64 -d -A > sello.bin
  openssl x509 -in {SELLO} -noout -pubkey > llave.pem
  openssl dgst -sha256 -verify llave.pem -signature sello.bin cadena.txt
      debe responder «Verified OK»
  openssl verify -purpose smimesign -CAfile autoridad.pem -attime $(date -d '{moment}' +%s) {SELLO}
      debe responder «OK»: el certificado es de la autoridad y valía a esa hora
  openssl x509 -in {SELLO} -noout -subject -serial -dates
      debe decir quién firma
"""


def verify_sello(
    page: bytes, sums: bytes, trusted: Sequence[x509.Certificate], *, simulacro: bool, at: datetime | None = None
) -> Seal:
    """The sello over exactly these bytes, by a signer under `trusted`. Raises NotSealed, which names the fault.

    The page holds the signer's certificate alone, so the authorities above it must be among `trusted`. `at` is the
    moment that a time stamp proves.
    """
    string, signature, certificate = _read_sello_page(page)
    match = _STRING.fullmatch(string)
    if match is None:
        raise NotSealed(Problem.FORM, "la cadena original no es ||1.0|SHA256SUMS|huella|fecha|certificado|firma||")
    digest, moment, certificate_number, signer = match.groups()
    # Content first: a page of another corte is told as such, even if its signature is good.
    if digest != hashlib.sha256(sums).hexdigest():
        raise NotSealed(Problem.CONTENT, "el sello digital es de otro SHA256SUMS")
    # The name and number that people read must be those of the certificate that signed.
    if (certificate_number, signer) != (number(certificate), name(certificate)):
        raise NotSealed(Problem.ATTRIBUTES, "el nombre o el número de certificado no son los del certificado que trae")
    if not cms.verify_rsa_sha256(certificate, signature, string.encode()):
        raise NotSealed(Problem.SIGNATURE, "el sello digital no es de la llave de ese certificado, o fue alterado")
    # The page is made again from the string and compared: no word of it may say anything else.
    if _sello_page(string, signature, certificate).encode() != page:
        raise NotSealed(Problem.FORM, "el texto del sello no dice lo que dice su cadena original, o fue alterado")
    try:
        sealed_at = datetime.fromisoformat(moment)
    except ValueError:
        raise NotSealed(Problem.FORM, "la fecha de la cadena original no existe") from None
    # The certificate must be good at the hour that the sello states and, if a time stamp proves one, at that hour too.
    path = chain(certificate, (), trusted, at=sealed_at, purpose=Purpose.SEAL)
    if at is not None:
        path = chain(certificate, (), trusted, at=at, purpose=Purpose.SEAL)
    refuse_development(path, simulacro=simulacro)
    return Seal(certificate, path[1:], sealed_at)


def _read_sello_page(page: bytes) -> tuple[str, bytes, x509.Certificate]:
    """The string, the signature and the certificate, taken from the lines in which openssl's commands find them."""
    try:
        text = page.decode() if len(page) <= LONGEST else ""
    except UnicodeDecodeError:
        text = ""
    # With two strings or certificates, openssl could read one and this program the other.
    strings = [line for line in text.split("\n") if line.startswith("||")]
    blocks = _PEM.findall(text)
    after = text.partition(f"\n{_HEADING}\n")[2].split("\n")[0]
    if len(strings) != 1 or len(blocks) != 1 or not after or text.count("-----BEGIN") != 1:
        raise NotSealed(Problem.FORM, "no es un sello: una cadena original, un sello digital y un certificado")
    try:
        signature = base64.b64decode(after, validate=True)
    except (binascii.Error, ValueError):
        raise NotSealed(Problem.FORM, "el sello digital no está en base64") from None
    return strings[0], signature, load(blocks[0].encode())[0]
