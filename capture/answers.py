"""The answers to devices, and to the people who log in, type and import, as JSON.

The rooms make answers as plain objects. `capture/description.py` makes the OpenAPI description from these shapes, and
tests compare every answer with it. `capture/supervision_answers.py` has the answers to those in charge.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from capture.bodies import NUMBER_OR_WORD
from prep.store.desk import TaskKind
from prep.store.people import Role
from prep.upload import SHA256_PATTERN


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


class NamedCasilla(JsonAnswer):
    """What people call a casilla by."""

    seccion: int
    tipo: str
    numero: int
    ext_contigua: int


class CasillaOfDevice(NamedCasilla):
    clave: str
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


class ToImportAnswer(NamedCasilla):
    """The acta whose values can be imported."""

    eleccion: str
    clave: str
    titulo: str
    qr: str
    """The text of its sticker, which the constancia shows."""
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


class ActaOfSite(NamedCasilla):
    eleccion: str
    titulo: str
    clave: str
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


class HealthAnswer(JsonAnswer):
    ok: bool
    fuera: list[str] = []
    """The parts that do not answer."""
