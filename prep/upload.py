"""The upload: the data that a device sends with an image. Each field is defined here once, from header to column.

A field of `Upload` names its header, the sentence that answers a wrong value, and the function that reads its text. The
message of the bus inherits the field, and the store keeps it in the column of `arrival` with the same name. So a new
field needs two edits: its definition here, and its column in a migration. Give it a default value and an `absent`
value, because old messages and old devices do not have the field.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, NoReturn
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from prep.domain.catalog import read_identity
from prep.errors import Code, Rejected

SHA256_PATTERN: Final = "^[0-9a-f]{64}$"
MAX_SEQUENCE: Final = 999_999
"""The largest number of an image of one device. No device sends so many in a night; a clock counts beyond it."""
FIRST_MOMENT: Final = datetime(2000, 1, 2, tzinfo=UTC)
LAST_MOMENT: Final = datetime(2099, 12, 31, tzinfo=UTC)
"""A time that a device says is from the first on and before the last: in every time zone its year is from 2000 to 2099,
as the readers of the published files demand."""


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
    SIN_IMAGEN = "Constancia sin imagen"
    """A page that says that there is no image of the acta, in its place (`prep catd import`)."""


# Functions that read the text of a header. Each raises ValueError if the text is wrong.


def _text_matching(pattern: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        # The empty text passes only if the pattern allows it; an absent optional header never comes here.
        if re.fullmatch(pattern, text) is None:
            raise ValueError(text)
        return text

    return read


def _sha256_text(text: str) -> str:
    return _text_matching(SHA256_PATTERN)(text.lower())


def _sequence_number(text: str) -> int:
    number = int(_text_matching(rf"[0-9]{{1,{len(str(MAX_SEQUENCE))}}}")(text))
    if not 1 <= number <= MAX_SEQUENCE:
        raise ValueError(text)
    return number


def _printable_moment(moment: datetime) -> datetime:
    # A time without offset could mean four different hours in Mexico.
    # The clock of a phone may be wrong by years, so only a time that later readers cannot print is refused.
    if moment.tzinfo is None or not FIRST_MOMENT <= moment < LAST_MOMENT:
        raise ValueError(moment)
    return moment


def _moment_with_offset(text: str) -> datetime:
    return _printable_moment(datetime.fromisoformat(text)).astimezone(UTC)


def _acta_hint(text: str) -> str:
    read = read_identity(text)
    if read is None:
        raise ValueError(text)
    return read[0].text


def _expected_choices(names: type[StrEnum]) -> str:
    return f"se espera uno de: {', '.join(names)}"


# The fields.


@dataclass(frozen=True, slots=True)
class Header:
    """The header X-PREP-`name` of a field. `line` is its line, counted from 1, in the text that the device signs."""

    name: str
    line: int
    expected: str
    """The sentence that answers a wrong value."""
    read: Callable[[str], object]
    absent: object = None
    """The value of the field if the header is absent. None: the header is required."""


class Upload(BaseModel):
    """The data that a device sends with an image. The form of each field is checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Annotated[str, Header("SHA256", 3, "se esperan 64 dígitos hexadecimales", _sha256_text)] = Field(
        pattern=SHA256_PATTERN
    )
    device: Annotated[
        str,
        Header("Device", 1, "se esperan de 1 a 40 letras, números, «-» o «_»", _text_matching("[A-Za-z0-9_-]{1,40}")),
    ]
    sequence: Annotated[
        int,
        Header(
            "Sequence",
            2,
            f"se espera un entero de 1 a {MAX_SEQUENCE}: cuántas imágenes lleva el dispositivo, no una hora",
            _sequence_number,
        ),
    ] = Field(ge=1, le=MAX_SEQUENCE)
    origen: Annotated[Origen, Header("Origin", 4, _expected_choices(Origen), Origen)]
    digitalizacion: Annotated[Digitalizacion, Header("Kind", 5, _expected_choices(Digitalizacion), Digitalizacion)]
    traslado: Annotated[
        str, Header("Traslado", 8, "se esperan letras D, F, I", _text_matching(r"(?!.*(.).*\1)[DFI]{0,3}"), absent="")
    ]
    tipo_documento: Annotated[
        TipoDocumento,
        Header("Document", 9, _expected_choices(TipoDocumento), TipoDocumento, absent=TipoDocumento.ACTA_PREP),
    ]
    acopio_at: Annotated[
        datetime,
        Header(
            "Acopio",
            6,
            "se espera fecha y hora ISO 8601 con su desfase, como 2024-06-02T18:30:00-06:00, "
            f"de {FIRST_MOMENT.year} a {LAST_MOMENT.year}",
            _moment_with_offset,
        ),
        AfterValidator(_printable_moment),
    ]
    acta_hint: Annotated[str, Header("Acta", 7, "no es el texto de un QR de acta", _acta_hint, absent="")]
    """Canonical QR text; '' if the device does not know the acta."""


def headers_of(shape: type[Upload]) -> dict[str, Header]:
    """The header of each field that has one, in the order in which the device signs them."""
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
    """An upload as its headers announce it. The caller must still check `signature` with the device's key."""

    upload: Upload
    signature: bytes
    signed: bytes
    """The text that the device signed: a title line, then one line with the value of each field."""


def read_headers(headers: Mapping[str, str], shape: type[Upload] = Upload) -> Announced:
    """Read the X-PREP-* headers (names in any case). If one is missing or wrong, raises Rejected (400) and names it."""
    fields = headers_of(shape)
    said = {
        name: _header_value(headers, header.name, required=header.absent is None) for name, header in fields.items()
    }
    # `said` holds the decoded texts in the order in which the device signed them.
    signature = _signature_bytes(_header_value(headers, SIGNATURE, required=True))
    read: dict[str, Any] = {}
    for name, header in fields.items():
        if not said[name] and header.absent is not None:
            read[name] = header.absent
            continue
        try:
            read[name] = header.read(said[name])
        except (ValueError, OverflowError):
            _refuse_header(header.name, header.expected)
    signed = "\n".join((SIGNED_TITLE, *said.values()))
    return Announced(shape(**read), signature, signed.encode())


def _header_value(headers: Mapping[str, str], name: str, *, required: bool) -> str:
    """The value of X-PREP-`name`, percent-decoded; '' if an optional header is absent."""
    raw = headers.get(f"x-prep-{name.lower()}", "")
    if required and not raw:
        raise Rejected(f"falta el encabezado X-PREP-{name}", code=Code.HEADER_MISSING)
    try:
        value = unquote(raw, errors="strict")
    except UnicodeDecodeError:
        _refuse_header(name, "se espera UTF-8 codificado con %")
    # A control character could add a line to the signed text and so move a value to another field.
    if not raw.isascii() or not (value.isprintable() or not value):
        _refuse_header(name, "se esperan caracteres imprimibles, codificados con % los que no son ASCII")
    return value


def _signature_bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""  # a wrong signature like any other: the answer is 401, after the device is looked up


def _refuse_header(name: str, expected: str) -> NoReturn:
    raise Rejected(f"encabezado X-PREP-{name}: {expected}", code=Code.HEADER_WRONG)
