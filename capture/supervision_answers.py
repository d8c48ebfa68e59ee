"""The answers of `capture/supervision.py` as JSON: actas, decisions, lists, the quality of typing, and the board."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from capture.answers import JsonAnswer, NamedCasilla
from prep.domain.decision import DecisionKind, DecisionState
from prep.store.desk import TaskKind
from prep.store.people import Role
from prep.upload import SHA256_PATTERN


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


# Lists.


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


class ReviewedRow(JsonAnswer):
    revisada: datetime | None
    """When a supervisor looked at it and said that all is right; `reviso` and `texto` tell who, and why."""
    reviso: str | None
    texto: str | None


class FindingRow(ReviewedRow):
    desde: datetime


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


class ExcedeRow(ReviewedRow):
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


class CotejoRow(NamedCasilla):
    eleccion: str
    titulo: str
    clave: str
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


# The quality of typing.


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


# The board.


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
