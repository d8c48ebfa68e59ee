"""The shapes of everything that people's programs send and get as JSON, and the strict reading of a body.

`capture/app.py` reads and answers with these shapes; `capture/description.py` makes the OpenAPI description from them.
A body is refused if it says anything twice, or anything that its shape does not name: a value must not get lost.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from capture.entries import MAY_LEASE
from prep.domain.decision import DecisionKind, DecisionState
from prep.errors import Code, Rejected
from prep.store.desk import TaskKind
from prep.store.people import Role
from prep.upload import SHA256_PATTERN

JSON_LIMIT: Final = 64 * 1024
"""Bytes of a JSON body."""
JSON_SECONDS: Final = 30.0
"""How long a JSON body may take to come."""
PRINTABLE: Final = r"^[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]*$"
"""Text without control characters, which no keyboard types and PostgreSQL does not hold."""


# Bodies.


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


# Answers. The rooms make them as plain objects; tests compare every answer with the description of its shape.


class JsonAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class RefusalAnswer(JsonAnswer):
    """Every refusal: a sentence for the person who reads it, and a code for the program that gets it."""

    error: str
    codigo: str


class Acuse(JsonAnswer):
    formato: Literal[1]
    sha256: str = Field(pattern=SHA256_PATTERN)
    bytes: int
    recibido: datetime
    servidor: str
    simulacro: bool
    prueba: str
    """Path in the published tree at which the proof will be that the log has the image."""
    clave: str = Field(pattern="^[0-9a-f]{8}$")
    """First eight hexadecimal digits of the SHA-256 of the raw public key that checks `firma`."""
    observaciones: list[str] = []
    """Absent if there are none: the image came after the close, or the clock of the server was wrong."""


class ReceiptAnswer(JsonAnswer):
    acuse: Acuse
    firma: str
    """Base64 of Ed25519 over `acuse` as canonical JSON: sorted keys, no spaces, UTF-8."""


class InvitationAnswer(JsonAnswer):
    codigo: str
    """To read aloud or to type."""
    vence: datetime
    direccion: str
    """What the QR code says: it opens the phone's screen, which enrols the phone."""
    cuadros: list[str]
    """The QR code itself: each row as a text of 0 and 1, without its margin."""


class ActaOfCasilla(JsonAnswer):
    clave: str
    eleccion: str
    titulo: str
    qr: str
    """The text of its sticker, without the digest."""


class CasillaOfDevice(JsonAnswer):
    clave: str
    seccion: int
    tipo: str
    numero: int
    ext_contigua: int
    lugar: str
    direccion: str
    municipio: str
    actas: list[ActaOfCasilla]


class EnrolmentAnswer(JsonAnswer):
    dispositivo: str
    sitio: str
    servidor: str
    simulacro: bool
    llave_de_acuses: str
    """The public key that checks receipts: base64 of 32 bytes."""
    casillas: list[CasillaOfDevice]
    """Those whose actas the device is to bring; it may bring others too."""


class ImportedAnswer(JsonAnswer):
    captura: int
    avisos: list[str]
    """Sums that do not add up. They warn and decide nothing."""


class ToImportAnswer(JsonAnswer):
    """The acta whose values can be imported."""

    eleccion: str
    clave: str
    titulo: str
    qr: str
    """The text of its sticker, which the constancia shows."""
    seccion: int
    tipo: str
    numero: int
    ext_contigua: int
    constancia: str
    """The page in the place of the image: a PDF, in base64. The same question always gets the same bytes."""


class ImportProblem(JsonAnswer):
    columna: str
    """The letter and the name of the column, as in `D (PAN)`; empty if the whole row is meant."""
    problema: str


class RowToImport(JsonAnswer):
    renglon: int
    eleccion: str
    clave: str
    valores: dict[str, Any] = Field(json_schema_extra=NUMBER_OR_WORD)
    """As /v1/imports/check takes them; empty if the row has a problem."""
    problemas: list[ImportProblem]


class FileToImport(JsonAnswer):
    """What an import of the file would do."""

    hoja: str
    """The sheet of the book that was read; empty if the file is text."""
    avisos: list[str]
    """Sentences about parts of the file that were not read."""
    renglones: list[RowToImport]


class ActaOfSite(JsonAnswer):
    eleccion: str
    titulo: str
    clave: str
    seccion: int
    tipo: str
    numero: int
    ext_contigua: int
    lugar: str
    estado: Literal["llego", "falta", "sin_acta"]
    desde: datetime | None
    """When its first image came, or when it was registered as sin acta. If it is missing: when the night opened, null
    before."""
    propuesta: int | None
    """The number of a sin acta that one person has proposed, and that waits for another."""
    pedida: datetime | None
    """When those in charge asked for another image of it; null if none was asked for, or one came since."""


class ImageOfSite(JsonAnswer):
    sha256: str = Field(pattern=SHA256_PATTERN)
    estado: Literal["por_identificar", "ilegible", "fuera"]
    dispositivo: str
    desde: datetime
    pedida: datetime | None
    """When those in charge asked for another image of the same paper."""


class SiteBoard(JsonAnswer):
    sitio: str
    actas: list[ActaOfSite]
    """Those of the casillas of the site's devices."""
    imagenes: list[ImageOfSite]
    """Images of the site's devices that belong to no acta."""


class SessionAnswer(JsonAnswer):
    token: str
    rol: Role
    sitio: str
    vence: datetime


class ScreenSessionAnswer(JsonAnswer):
    """The session of a screen. Its token is in a cookie, and no script reads it."""

    usuario: str
    rol: Role
    sitio: str


class ActaOfTask(JsonAnswer):
    clave: str
    eleccion: str
    titulo: str
    contienda: str
    entidad: str
    distrito: str
    municipio: str
    seccion: str
    casilla: str
    limite: int | None
    """The most votes that the acta can hold; null if there is no limit."""


CropCorner = Annotated[list[int], Field(min_length=2, max_length=2)]


class FieldOfForm(JsonAnswer):
    codigo: str
    nombre: str
    digitos: int
    """How many digits the form has room for."""
    recorte: Annotated[list[CropCorner], Field(min_length=4, max_length=4)] | None = None
    """The place of the quantity on the image as a browser shows it: the four corners of its strip, clockwise from the
    upper left one as printed. Each is [x, y] in ten-thousandths of the image's width and height. Null if the place is
    not known: then show the whole image."""


class OddityOfImage(JsonAnswer):
    codigo: str
    texto: str
    """One Spanish sentence that names the oddity."""


class TaskAnswer(JsonAnswer):
    lease: UUID = Field(alias="tarea")
    tipo: TaskKind
    vence: datetime
    imagen: str
    """Path of the image to look at: its web copy, or the original if no decoder could make a copy."""
    original: str
    """Path of the bytes as the device sent them."""
    rarezas: list[OddityOfImage]
    """Everything that is odd about the image; often empty."""
    acta: ActaOfTask | None
    """Null while the image is not identified."""
    campos: list[FieldOfForm]
    """The fields to type, in the order of the form; of a resolution, those in which the captures differ."""
    capturas: list[dict[str, int | str]] = []
    """The three captures to choose from, each as its fields that differ; in a resolution alone."""


class NextAnswer(JsonAnswer):
    siguiente: TaskAnswer | None = None
    """The next task; null if none waits; absent if it was not asked for, or if the same answer came again."""


class CaptureAnswer(NextAnswer):
    captura: int
    avisos: list[str]
    """Sums that do not add up. They warn and decide nothing."""


class MunicipioRow(JsonAnswer):
    entidad: int
    nombre_entidad: str | None
    municipio: int
    nombre: str | None


class MunicipiosAnswer(JsonAnswer):
    filas: list[MunicipioRow]


class SeccionesAnswer(JsonAnswer):
    filas: list[int]


class ActaOfSeccion(JsonAnswer):
    casilla: str
    eleccion: str
    clave: str
    titulo: str
    identidad: str
    """The text of its QR: what an *identificación* sends."""


class ActasAnswer(JsonAnswer):
    filas: list[ActaOfSeccion]


class LostAnswer(JsonAnswer):
    dispositivo: str
    revocado: datetime
    """From when on it sends no more."""


class SentImage(JsonAnswer):
    numero: int
    sha256: str = Field(pattern=SHA256_PATTERN)
    recibida: datetime
    estado: str
    clave: str | None
    """The acta that it is an image of; null if it has none."""


class SentAnswer(JsonAnswer):
    filas: list[SentImage]


class AskedAnswer(JsonAnswer):
    pedida: datetime


class DoneAnswer(JsonAnswer):
    """An empty object: it is done."""


class ImageOfActa(JsonAnswer):
    sha256: str = Field(pattern=SHA256_PATTERN)
    formato: str
    bytes: int
    recibida: datetime
    vigente: bool


class CaptureOfActa(JsonAnswer):
    ronda: int
    ordinal: int
    hora: datetime
    numeros: list[int | None]
    marcas: str
    letras: list[str]
    """The fields whose letters and figures contradict each other, as this person saw them."""


class ActaAnswer(JsonAnswer):
    clave: str
    eleccion: str
    qr: str
    """The text of its sticker, without the digest."""
    estado: str
    ronda: int
    contabilizada: int | str | None
    cotejada: int | None
    observaciones: list[str]
    imagenes: list[ImageOfActa]
    capturas: list[CaptureOfActa]
    """Empty until no person is left who must type the acta blind."""


class DecisionAnswer(JsonAnswer):
    decision: int
    """Its number."""
    estado: DecisionState


class ListPart(JsonAnswer):
    siguiente: int | None
    """Send it as `despues` to read on; null at the end of the list."""


class PersonRow(JsonAnswer):
    usuario: str
    rol: Role
    sitio: str
    activa: bool
    en_pausa: bool
    ultimo_cambio: datetime | None
    """When she was last paused, let on or moved."""


class PeopleList(ListPart):
    filas: list[PersonRow]


class ChangeRow(JsonAnswer):
    usuario: str
    cambio: Literal["pausa", "reanuda", "sitio"]
    sitio: str | None
    """Where she works from then on; null if that did not change."""
    motivo: str
    quien: str
    hora: datetime


class ChangesList(ListPart):
    filas: list[ChangeRow]


class DeviceRow(JsonAnswer):
    dispositivo: str
    sitio: str
    inscrito: datetime
    revocado: datetime | None
    envios: int
    ultimo: int | None
    """The highest number that it gave to an image."""
    ultimo_envio: datetime | None


class DevicesList(ListPart):
    filas: list[DeviceRow]


class SiteRow(JsonAnswer):
    sitio: str
    nombre: str
    personas: int
    dispositivos: int


class SitesList(ListPart):
    filas: list[SiteRow]


class MissingRow(JsonAnswer):
    eleccion: str
    clave: str
    entidad: int
    municipio: int
    seccion: int
    propuesta: int | None
    """The decision about it that waits for its second person."""


class MissingList(ListPart):
    filas: list[MissingRow]


class UnidentifiedRow(JsonAnswer):
    sha256: str = Field(pattern=SHA256_PATTERN)
    estado: str
    dispositivo: str
    sitio: str | None
    """That of its device."""
    desde: datetime
    dichos: int
    """How many people have said which acta it is, and did not agree yet."""
    decision: int | None
    """The decision of two people that it cannot be identified."""
    propuesta: int | None
    """The decision about it that waits for its second person."""
    pedida: datetime | None
    """When its site was last asked for another image."""


class UnidentifiedList(ListPart):
    filas: list[UnidentifiedRow]


class FueraRow(JsonAnswer):
    sha256: str = Field(pattern=SHA256_PATTERN)
    identidad: str
    eleccion: str | None
    desde: datetime
    decision: int | None
    """The decision by which it is so."""
    motivo: str | None
    texto: str | None
    """The reason of that decision, and its text."""
    queda: int | None
    """The decision of two people, who saw what the other one said, that it is outside."""
    propuesta: int | None
    """The decision about it that waits for its second person."""


class FueraList(ListPart):
    filas: list[FueraRow]


class FindingRow(JsonAnswer):
    desde: datetime
    revisada: datetime | None
    """When a supervisor looked at it and said that all is right; `reviso` and `texto` tell who, and why."""
    reviso: str | None
    texto: str | None


class DuplicateRow(FindingRow):
    """Nearly the same photo under two actas."""

    evento: int
    imagen: str
    eleccion: str
    clave: str
    otra_imagen: str
    otra_eleccion: str
    otra_clave: str


class DuplicatesList(ListPart):
    filas: list[DuplicateRow]


class MismatchRow(FindingRow):
    evento: int
    clase: Literal["identidad_difiere", "dos_identidades"]
    imagen: str
    estado: str
    eleccion: str | None
    clave: str | None
    """The acta that the image is tied to now; null if to none."""
    etiqueta: str
    """What its sticker says; both texts if it shows two."""
    dispositivo: str | None
    """What its sender said."""


class MismatchesList(ListPart):
    filas: list[MismatchRow]


class ExcedeRow(JsonAnswer):
    """`calculado` is more than `limite`: the votes of a ballot, times the sum of lista nominal and representatives. The
    maximum of ballots takes the place of a lista nominal of 0.
    """

    version: int
    eleccion: str
    clave: str
    estado: str
    imagen: str
    calculado: int
    lista_nominal: int
    representantes: int
    boletas_maximas: int | None
    votos_por_boleta: int
    limite: int | None
    revisada: datetime | None
    reviso: str | None
    texto: str | None


class ExcedeList(ListPart):
    filas: list[ExcedeRow]


class ParkedRow(JsonAnswer):
    mensaje: int
    que: str
    """The identifier of the message."""
    error: str
    intentos: int
    desde: datetime
    propuesta: int | None
    """The decision about it that waits for its second person."""


class ParkedList(ListPart):
    filas: list[ParkedRow]


class CotejoRow(JsonAnswer):
    eleccion: str
    titulo: str
    clave: str
    seccion: int
    tipo: str
    numero: int
    ext_contigua: int
    sitio: str | None
    """Of the device that sent the image: the paper should be there."""
    corte: int
    """The first corte with these numbers."""
    desde: datetime
    cotejada: int
    """As COTEJADA says it now: 0, or 2 after a correction that nobody has compared."""


class CotejoList(ListPart):
    filas: list[CotejoRow]


class CorrectionRow(JsonAnswer):
    eleccion: str
    clave: str
    motivo: str
    decision: int | None
    corte: int | None
    """The corte that brought it out; null if it has not been published."""


class CorrectionsList(ListPart):
    filas: list[CorrectionRow]


class WaitingRow(JsonAnswer):
    que: str
    asunto: str
    desde: datetime


class WaitingList(ListPart):
    filas: list[WaitingRow]


class DecisionRow(JsonAnswer):
    decision: int
    tipo: DecisionKind
    estado: DecisionState
    eleccion: str | None
    clave: str | None
    imagen: str | None
    identidad: str
    mensaje: int | None
    dispositivo: str | None
    numero: int | None
    motivo: str
    texto: str
    propuso: str
    propuesta: datetime
    contesto: str | None
    contestada: datetime | None
    motivo_deshacer: str | None
    texto_deshacer: str | None
    pidio_deshacer: str | None
    deshacer_pedido: datetime | None


class DecisionsList(ListPart):
    filas: list[DecisionRow]


class ShareAnswer(JsonAnswer):
    """A percentage and the two ends of its interval of 95 %, as text with four decimals."""

    porcentaje: str
    de: str
    a: str


class QuartilesAnswer(JsonAnswer):
    cuartil_1: int
    mediana: int
    cuartil_3: int


class JudgedAnswer(JsonAnswer):
    """What can be compared: the acta has values that count, from the same image, and no round of it is open."""

    capturas: int
    campos: int
    campos_distintos: int
    """Fields that differ from what counted."""


class ControlsAnswer(JudgedAnswer):
    """The hidden known actas."""

    coincidencia: ShareAnswer | None


class UndetectedAnswer(JsonAnswer):
    """An estimate, in percent of the actas: the first two people agree and have a field wrong (docs/rules.md §9)."""

    estimado: str
    hasta: str


class NightQualityAnswer(JudgedAnswer):
    """First and second captures of all people together."""

    error_por_campo: ShareAnswer | None
    error_por_captura: ShareAnswer | None
    error_sin_detectar: UndetectedAnswer | None
    controles: ControlsAnswer


class TrendAnswer(JsonAnswer):
    """By how many percentage points the share of different fields changes each hour, and the ends of its interval."""

    por_hora: str
    de: str
    a: str


class HourAnswer(JudgedAnswer):
    hora: int
    """Of the shift; 1 begins with the person's first capture."""
    total: int
    """All captures, also those that cannot be compared."""
    coincidencia: ShareAnswer | None
    segundos: QuartilesAnswer | None


class TypistAnswer(JudgedAnswer):
    """One person. The captures that are compared are first and second ones."""

    usuario: str
    rol: Role
    sitio: str
    total: int
    """All captures, also third ones, hidden known actas, and those that cannot be compared."""
    coincidencia: ShareAnswer | None
    """Share of the fields that are equal to what counted; null if there is none to compare."""
    segundos: QuartilesAnswer | None
    """From handing out the task to the answer."""
    teclas: QuartilesAnswer | None
    """Keys of a capture; null if the screen did not count them."""
    tendencia: TrendAnswer | None
    """Null if there is too little to say."""
    horas: list[HourAnswer]
    controles: ControlsAnswer


class QualityAnswer(JsonAnswer):
    noche: NightQualityAnswer
    personas: list[TypistAnswer]
    """By site and name."""


class WaitingPart(JsonAnswer):
    que: TaskKind
    ordinal: int
    """Which capture, or which person who identifies: 1, 2 or 3."""
    no_sitio: str | None
    """A site whose people may not do it: one of them did the first."""
    cuantas: int
    en_manos: int
    """How many of them a person holds now."""
    desde: datetime
    """Since when the oldest waits."""


class ActasPart(JsonAnswer):
    estado: str
    cuantas: int


class PersonPart(JsonAnswer):
    usuario: str
    rol: Role
    sitio: str
    capturas: int
    """Since the night began."""
    recientes: int
    """Since `desde`."""
    mediana_segundos: float | None
    """Of the recent ones, from the image to the answer; null if there are none."""
    ultima: datetime | None
    ocupada_desde: datetime | None
    """Since when the person holds a task; null if none."""


class UnsettledPart(JsonAnswer):
    """What a night still has open. Without any of it, and with all actas captured, it is settled."""

    esperadas: int
    """Actas of the catalogue."""
    capturadas: int
    """Actas that have values that count, or that are sin acta."""
    sin_imagen: int
    """Actas of which no image came, and that are not sin acta."""
    en_captura: int
    """Actas that people are typing, those of `sin_comparar` included."""
    sin_comparar: int
    """Actas whose last capture was not compared yet."""
    por_identificar: int
    sin_leer: int
    """Images that no worker has read yet."""
    propuestas: int
    """Decisions that wait for their second person."""
    apartados: int
    """Messages that were set aside."""
    retenidas: int
    """Images that a corte could not have."""
    en_camino: int
    """Messages that have not reached the bus."""


class BoardAnswer(JsonAnswer):
    """The night at a glance, for those in charge."""

    hora: datetime
    desde: datetime
    """Since when the speed of people is measured."""
    esperan: list[WaitingPart]
    actas: list[ActasPart]
    pendiente: UnsettledPart
    personas: list[PersonPart]
    """How fast each types: for supervisors alone, and empty for others."""


class HealthAnswer(JsonAnswer):
    ok: bool
    fuera: list[str] = []
    """The parts that do not answer."""


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
