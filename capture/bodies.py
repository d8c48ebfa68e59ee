"""The bodies that people's programs send as JSON, and their strict reading.

A body is refused if it says anything twice, or anything that its shape does not name: a value must not get lost.
`capture/answers.py` and `capture/supervision_answers.py` have the answers.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from capture.entries import MAY_LEASE
from prep.domain.decision import DecisionKind
from prep.errors import Code, Rejected
from prep.store.desk import TaskKind
from prep.upload import SHA256_PATTERN

JSON_LIMIT: Final = 64 * 1024
"""Bytes of a JSON body."""
JSON_SECONDS: Final = 30.0
"""How long a JSON body may take to come."""
PRINTABLE: Final = r"^[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]*$"
"""Text without control characters, which no keyboard types and PostgreSQL does not hold."""


# The shapes.


class JsonBody(BaseModel):
    """A body: it holds the named fields and no other, each in its own type of JSON."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class Credentials(JsonBody):
    usuario: str = Field(max_length=40, pattern=PRINTABLE)
    clave: str = Field(max_length=200)


Kinds = list[Annotated[TaskKind, Field(strict=False)]]


class Wanted(JsonBody):
    tipos: Kinds = Field(default_factory=lambda: list(MAY_LEASE))
    """Kinds of task that the person wants; all kinds if absent."""


class WithNext(JsonBody):
    siguiente: Kinds | None = None
    """Kinds of task of which the answer is to bring the next: on a slow line, one wait for each acta less."""


NUMBER_OR_WORD: Final[dict[str, Any]] = {
    "additionalProperties": {
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "enum": ["ilegible", "sin dato"]}]
    }
}
"""How a value of the form is described. `prep.domain.entry.read_field` reads it and names the field that is wrong."""


class ValuesBody(WithNext):
    valores: dict[str, Any] = Field(json_schema_extra=NUMBER_OR_WORD)
    """Every field of the task once, by its `codigo`: a number, "ilegible" or "sin dato"."""


class CaptureBody(ValuesBody):
    """All but the values may be left out; none of it decides anything."""

    letras: list[Annotated[str, Field(max_length=100, pattern=PRINTABLE)]] = Field(default=[], max_length=300)
    """The `codigo` of each field whose letters and figures contradict each other on the paper."""
    milisegundos: int | None = Field(default=None, ge=0, le=86_400_000)
    """How long the person had the image before her; it is kept without the values."""
    teclas: int | None = Field(default=None, ge=0, le=100_000)
    """How many keys the acta took; it is kept without the values."""


class IdentityBody(WithNext):
    identidad: str = Field(max_length=200, pattern=PRINTABLE)
    """The text of the QR of an acta; empty if the image cannot be identified."""
    proceso_tecnico: bool = False
    """The acta was identified by the proceso técnico operativo; the published row says so."""


REASON: Final = r"^[a-z_]{1,40}$"
WORDS: Final = 500
"""Characters of the free text beside a reason."""
LARGEST_TERRITORY: Final = 32_767
"""No number of an entidad, a municipio or a sección is larger."""
LARGEST: Final = 2**53 - 1
"""The largest whole number that every program reads as it was sent."""


class ReasonBody(JsonBody):
    motivo: str = Field(pattern=REASON)
    """Of the closed list of its kind (docs/api.md)."""
    texto: str = Field(default="", max_length=WORDS, pattern=PRINTABLE)
    """Free text beside the reason; it is published. The reason `otra` needs it."""


class DecisionBody(ReasonBody):
    """What one person proposes. Of the fields that name the subject, give those of its kind."""

    tipo: DecisionKind = Field(strict=False)
    eleccion: str | None = Field(default=None, max_length=40, pattern=PRINTABLE)
    clave: str | None = Field(default=None, max_length=40, pattern=PRINTABLE)
    imagen: str | None = Field(default=None, pattern=SHA256_PATTERN)
    identidad: str | None = Field(default=None, max_length=200, pattern=PRINTABLE)
    """The text of the QR of the acta that the image shows; absent if other people are to say it."""
    mensaje: int | None = Field(default=None, ge=1, le=LARGEST)
    """Number of a message that was set aside (`prep parked`)."""
    dispositivo: str | None = Field(default=None, max_length=40, pattern=PRINTABLE)
    numero: int | None = Field(default=None, ge=1, le=LARGEST)
    """The number that the device gave to the image that it lost."""


class InvitationBody(JsonBody):
    """The device that will enrol, and the casillas whose actas it brings."""

    dispositivo: str = Field(pattern="^[A-Za-z0-9_-]{1,40}$")
    sitio: str = Field(max_length=40, pattern=PRINTABLE)
    secciones: list[Annotated[int, Field(ge=0, le=9999)]] = Field(default=[], max_length=1000)
    municipios: list[Annotated[int, Field(ge=0, le=9999)]] = Field(default=[], max_length=100)


class EnrolmentBody(JsonBody):
    codigo: str = Field(max_length=40, pattern=PRINTABLE)
    llave: str = Field(max_length=64, pattern=PRINTABLE)
    """The device's public key: base64 of the 32 bytes of Ed25519."""


class AnswerBody(JsonBody):
    texto: str = Field(default="", max_length=WORDS, pattern=PRINTABLE)


class RecaptureBody(JsonBody):
    motivo: str = Field(min_length=1, max_length=500, pattern=PRINTABLE)
    imagen: str | None = Field(default=None, pattern=SHA256_PATTERN)
    """Another image of the same acta, by its SHA-256; the current one if absent."""


class ChangeReasonBody(JsonBody):
    motivo: str = Field(min_length=1, max_length=WORDS, pattern=PRINTABLE)
    """Why; it is kept with who said it and when, and is not published."""


class ToSiteBody(ChangeReasonBody):
    sitio: str = Field(max_length=40, pattern=PRINTABLE)
    """Of the closed list."""


class ReviewBody(JsonBody):
    """One of the two: the `evento` of a list of findings, or the `version` of an acta that exceeds."""

    evento: int | None = Field(default=None, ge=1, le=LARGEST)
    version: int | None = Field(default=None, ge=1, le=LARGEST)
    texto: str = Field(min_length=1, max_length=WORDS, pattern=PRINTABLE)
    """What the person saw; it is kept, and is not published."""


class ImportBody(JsonBody):
    """The values of an acta of which no image can be had, from a file."""

    eleccion: str = Field(max_length=40, pattern=PRINTABLE)
    clave: str = Field(max_length=40, pattern=PRINTABLE)
    valores: dict[str, Any] = Field(json_schema_extra=NUMBER_OR_WORD)
    """Every field of the acta once, by its `codigo`: a number, "ilegible" or "sin dato"."""


class ToImportBody(ImportBody):
    archivo: str = Field(pattern=SHA256_PATTERN)
    """The SHA-256 of the file; the constancia shows it."""
    renglon: int = Field(ge=1, le=LARGEST)
    """The row of the acta in the file; the constancia shows it."""


class ImportedBody(ImportBody):
    imagen: str = Field(pattern=SHA256_PATTERN)
    """The constancia in the place of the image, which has its receipt."""


class CotejoBody(JsonBody):
    resultado: str = Field(max_length=40, pattern=PRINTABLE)


# Reading a body.


async def whole_body(request: Request, *, most: int, seconds: float) -> bytes:
    """The bytes of the body. Raises Rejected: 408, 413."""
    content = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                content += chunk
                if len(content) > most:
                    sentence = f"el cuerpo pasa del límite de {most} bytes"
                    raise Rejected(sentence, code=Code.BODY_TOO_LARGE)
    except TimeoutError:
        raise Rejected("el cuerpo tarda demasiado en llegar", code=Code.UPLOAD_STOPPED) from None
    return bytes(content)


@dataclass(frozen=True, slots=True)
class BodyReader:
    """Reads the body of a request as `shape`; an empty body is read as `empty`."""

    shape: type[JsonBody]
    empty: bytes = b""

    async def __call__(self, request: Request) -> JsonBody:
        """The body. Raises Rejected: 408, 413; 400 if it is no JSON; 422 that names the first wrong field."""
        content = await whole_body(request, most=JSON_LIMIT, seconds=JSON_SECONDS)
        try:
            read = json.loads(content or self.empty, object_pairs_hook=_object_of_pairs, parse_constant=_no_constant)
            # An escape such as \\ud800 alone is no character: neither an answer nor the database can hold it.
            json.dumps(read, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise Rejected("el cuerpo no es JSON válido en UTF-8", code=Code.NOT_JSON) from None
        try:
            return self.shape.model_validate(read)
        except ValidationError as error:
            raise Rejected(first_wrong(error.errors()), code=Code.FIELD_WRONG) from None


def body_of(shape: type[JsonBody], *, empty: bytes = b"") -> Any:  # noqa: ANN401 - FastAPI's own mark
    """The mark of the parameter of a handler that is the body of its request."""
    return Depends(BodyReader(shape, empty))


def _object_of_pairs(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a name that stands in it twice would silently lose one of its values."""
    read = dict(pairs)
    if len(read) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        repeated.encode()  # a ValueError if it cannot stand in the answer
        raise Rejected(f"campo repetido: {repeated[:40]}", code=Code.FIELD_TWICE)
    return read


def _no_constant(name: str) -> None:
    """NaN and Infinity are words of JavaScript, not of JSON."""
    raise ValueError(name)


_EXPECTED: Final[Mapping[str, str]] = {
    "missing": "falta",
    "extra_forbidden": "no se espera aquí",
    "string_type": "se espera un texto",
    "string_too_long": "es demasiado largo",
    "string_too_short": "está vacío",
    "string_pattern_mismatch": "no tiene la forma esperada",
    "bool_type": "se espera true o false",
    "dict_type": "se espera un objeto",
    "list_type": "se espera una lista",
    "enum": "no es uno de los valores posibles",
    "literal_error": "no es uno de los valores posibles",
    "greater_than_equal": "es demasiado pequeño",
    "less_than_equal": "es demasiado grande",
    "int_type": "se espera un número entero",
    "int_parsing": "se espera un número entero",
    "uuid_parsing": "no es el identificador de una tarea",
    "model_type": "se espera un objeto",
    "model_attributes_type": "se espera un objeto",
}


def first_wrong(errors: Sequence[Any]) -> str:
    """The first of pydantic's errors as one Spanish sentence that names the field."""
    wrong = errors[0]
    name = ".".join(str(part) for part in wrong["loc"] if part != "path") or "cuerpo"
    return f"{name[:60]}: {_EXPECTED.get(wrong['type'], 'no es válido')}"
