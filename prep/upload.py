"""What a device says of the image it sends: each field is defined here once, from its header to its column.

A field of `Upload` names its header, the sentence that a wrong one is answered with, and how its text is read. The
message of the bus inherits the field, and the store keeps it in the column of `arrival` that has its name. So a new
field is two edits: its definition here, and its column in a migration. Give it a default and a value for absence,
because messages and devices from before do not have it.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, NoReturn
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field

from prep.domain.catalog import read_identity
from prep.errors import Code, Rejected

SHA256_PATTERN: Final = "^[0-9a-f]{64}$"
MAX_SEQUENCE: Final = 2**63 - 1


class Origen(StrEnum):
    CASILLA = "CASILLA"
    CATD = "CATD"


class Digitalizacion(StrEnum):
    MOVIL = "movil"
    ESCANER = "escaner"
    URNA = "urna"


class TipoDocumento(StrEnum):
    ACTA_PREP = "Acta PREP"
    ACTA_CONSEJO = "Acta Consejo"
    COPIA_RPPCI = "Copia RPPCI"
    COPIA_PE = "Copia PE"
    ACTA_EXTRANJERO = "Acta Extranjero"


# How the text of a header is read. Each raises ValueError for what it does not take.


def _matching(pattern: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(text)
        return text

    return read


def _digest(text: str) -> str:
    return _matching(SHA256_PATTERN)(text.lower())


def _sequence(text: str) -> int:
    number = int(_matching(rf"[0-9]{{1,{len(str(MAX_SEQUENCE))}}}")(text))
    if not 1 <= number <= MAX_SEQUENCE:
        raise ValueError(text)
    return number


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)


def _hint(text: str) -> str:
    read = read_identity(text)
    if read is None:
        raise ValueError(text)
    return read[0].text


def _choices(names: type[StrEnum]) -> str:
    return f"se espera uno de: {', '.join(names)}"


# The fields.


@dataclass(frozen=True, slots=True)
class Header:
    """The header X-PREP-`name` of a field; `line` is its place in the text that the device signs, from 1 on."""

    name: str
    line: int
    expected: str
    """What a wrong one is answered with."""
    read: Callable[[str], object]
    absent: object = None
    """The value where the header is not there; None: it must be."""


class Upload(BaseModel):
    """What a device says of an image it sends, checked for form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Annotated[str, Header("SHA256", 3, "se esperan 64 dígitos hexadecimales", _digest)] = Field(
        pattern=SHA256_PATTERN
    )
    device: Annotated[
        str,
        Header("Device", 1, "se esperan de 1 a 40 letras, números, «-» o «_»", _matching("[A-Za-z0-9_-]{1,40}")),
    ]
    sequence: Annotated[int, Header("Sequence", 2, "se espera un entero desde 1", _sequence)]
    origen: Annotated[Origen, Header("Origin", 4, _choices(Origen), Origen)]
    digitalizacion: Annotated[Digitalizacion, Header("Kind", 5, _choices(Digitalizacion), Digitalizacion)]
    traslado: Annotated[
        str, Header("Traslado", 8, "se esperan letras D, F, I", _matching(r"(?!.*(.).*\1)[DFI]{0,3}"), absent="")
    ]
    tipo_documento: Annotated[
        TipoDocumento,
        Header("Document", 9, _choices(TipoDocumento), TipoDocumento, absent=TipoDocumento.ACTA_PREP),
    ]
    acopio_at: Annotated[
        datetime,
        Header("Acopio", 6, "se espera fecha y hora ISO 8601 con su desfase, como 2024-06-02T18:30:00-06:00", _moment),
    ]
    acta_hint: Annotated[str, Header("Acta", 7, "no es el texto de un QR de acta", _hint, absent="")]
    """Canonical QR text; '' where the device does not know."""


def headers_of(shape: type[Upload]) -> dict[str, Header]:
    """The header of each field that is said in one, in the order in which they are signed."""
    said = {
        name: each for name, field in shape.model_fields.items() for each in field.metadata if isinstance(each, Header)
    }
    return dict(sorted(said.items(), key=lambda item: item[1].line))


# From headers to an upload.

SIGNED_TITLE: Final = "PREP-IMAGE-V1"
SIGNATURE: Final = "Signature"
"""The header X-PREP-Signature, which is no field: it is made over all of them."""


@dataclass(frozen=True, slots=True)
class Announced:
    """An upload as its headers announce it; `signature` is still to be checked against the device's key."""

    upload: Upload
    signature: bytes
    signed: bytes
    """The text that was signed: a title, and the values of all fields, a line each."""


def read_headers(headers: Mapping[str, str], shape: type[Upload] = Upload) -> Announced:
    """The X-PREP-* headers (names in any case). Raises Rejected (400) that names the one that is missing or wrong."""
    fields = headers_of(shape)
    said = {name: _said(headers, header.name, required=header.absent is None) for name, header in fields.items()}
    signature = _signature(_said(headers, SIGNATURE, required=True))
    read: dict[str, Any] = {}
    for name, header in fields.items():
        if not said[name] and header.absent is not None:
            read[name] = header.absent
            continue
        try:
            read[name] = header.read(said[name])
        except (ValueError, OverflowError):
            _bad(header.name, header.expected)
    signed = "\n".join((SIGNED_TITLE, *said.values()))
    return Announced(shape(**read), signature, signed.encode())


def _said(headers: Mapping[str, str], name: str, *, required: bool) -> str:
    """The value of X-PREP-`name`, percent-decoded; '' where it is absent and may be."""
    raw = headers.get(f"x-prep-{name.lower()}", "")
    if required and not raw:
        raise Rejected(f"falta el encabezado X-PREP-{name}", code=Code.HEADER_MISSING)
    try:
        value = unquote(raw, errors="strict")
    except UnicodeDecodeError:
        _bad(name, "se espera UTF-8 codificado con %")
    if not raw.isascii() or not (value.isprintable() or not value):
        _bad(name, "se esperan caracteres imprimibles, codificados con % los que no son ASCII")
    return value


def _signature(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""  # as wrong as any other: 401 after the device is looked up


def _bad(name: str, expected: str) -> NoReturn:
    raise Rejected(f"encabezado X-PREP-{name}: {expected}", code=Code.HEADER_WRONG)
