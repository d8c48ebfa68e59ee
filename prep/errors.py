"""The three ways work can be refused. Anything else is a defect: the process stops and is started again.

A refusal has a sentence, for the person who reads it, and a code, for the program that gets it. The sentence may be
worded better one day; the code of a case never changes. `docs/api.md` shows the table below, and a test compares both.
"""

import errno
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final, Self

from prep.printable import printable


class Code(StrEnum):
    """Every code of a refusal: its value on the wire, its HTTP status, and its meaning."""

    status: int
    meaning: str

    def __new__(cls, value: str, status: int, meaning: str) -> Self:
        member = str.__new__(cls, value)
        member._value_, member.status, member.meaning = value, status, meaning
        return member

    # The request itself.
    BAD_REQUEST = "peticion_no_valida", 400, "The request is not one that the server can read."
    NOT_JSON = "cuerpo_no_es_json", 400, "The body is not JSON in UTF-8."
    HEADER_MISSING = "encabezado_faltante", 400, "A header that must be there is missing; the sentence names it."
    HEADER_WRONG = "encabezado_no_valido", 400, "A header has a wrong value; the sentence names it."
    NO_ROUTE = "ruta_desconocida", 404, "No route has this path."
    NO_METHOD = "metodo_no_admitido", 405, "The path exists, but not for this method."
    LENGTH_MISSING = "longitud_faltante", 411, "An upload needs the header Content-Length."
    BODY_TOO_LARGE = "cuerpo_demasiado_grande", 413, "The JSON body is larger than the limit."
    FIELD_WRONG = "campo_no_valido", 422, "A field of the body or of the path is missing, unknown or wrong."
    FIELD_TWICE = "campo_repetido", 422, "A name stands twice in one JSON object."

    # Who asks.
    DEVICE_UNKNOWN = "dispositivo_no_inscrito", 401, "No enrolled device has this identifier."
    SIGNATURE_WRONG = "firma_no_valida", 401, "The signature is not that of the device over these headers."
    CODE_WRONG = "codigo_no_valido", 404, "No invitation has this code, or it ran out, or another device used it."
    CREDENTIALS_WRONG = "credenciales_incorrectas", 401, "The user or the password is wrong."
    NO_SESSION = "sin_sesion", 401, "The request has no open session; log in."
    CROSS_SITE = (
        "peticion_de_otro_sitio",
        403,
        "The session is in a cookie, and no page of this server made the request.",
    )
    ROLE_MAY_NOT = "rol_no_permitido", 403, "The role of this person does not allow this."
    TOO_MANY_TRIES = "demasiados_intentos", 429, "Too many wrong passwords came for this name from this address; wait."
    TOO_MANY_REQUESTS = "demasiadas_peticiones", 429, "Too many requests, or connections, came from this address."
    TOO_MANY_PEOPLE = "demasiadas_personas", 503, "Too many people log in at once; try again."

    # Images.
    UPLOAD_STOPPED = "envio_interrumpido", 408, "The body, or the headers, stopped coming; send them again."
    NUMBER_USED = "numero_ya_usado", 409, "The device has used this sequence number for another image."
    NUMBER_JUMPS = "numero_adelantado", 409, "The number is far above those of the device; the sentence says the next."
    IMAGE_TOO_LARGE = "demasiado_grande", 413, "The image has more bytes or pixels than the limit."
    FORMAT_NOT_TAKEN = "formato_no_admitido", 415, "The file is not an image of a format that is taken."
    IMAGE_EMPTY = "imagen_vacia", 422, "The body has no bytes."
    SHA256_DIFFERS = "sha256_no_corresponde", 422, "The SHA-256 of the body is not the announced one."
    UPLOAD_UNKNOWN = "envio_inexistente", 404, "No upload in pieces has this path, or it ran out; create it again."
    OFFSET_WRONG = "posicion_no_corresponde", 409, "The piece does not begin where the upload stands; ask with HEAD."
    TUS_VERSION = "version_tus_no_admitida", 412, "The header Tus-Resumable does not name a version that is spoken."
    PIECE_TYPE = "tipo_de_trozo_no_admitido", 415, "A piece needs the Content-Type application/offset+octet-stream."
    CHECKSUM_DIFFERS = "trozo_alterado", 460, "The piece is not the one whose checksum was announced; send it again."
    PIECE_SMALL = "trozo_pequeno", 422, "A piece other than the last has at least 4,096 bytes."
    NO_RECEIPT = "acuse_inexistente", 404, "No image with this SHA-256 has a receipt."
    NO_IMAGE = "imagen_inexistente", 404, "No image has this SHA-256."
    IMAGE_NOT_READ = "imagen_sin_digitalizar", 404, "The image has no web copy yet; ask again later."
    IMAGE_NOT_YOURS = "imagen_ajena", 403, "The image does not belong to a task that this person holds."
    NOT_OPEN_YET = "todavia_no_abre", 425, "The night has not begun: corte 0 is not out; keep the image and try later."
    NO_SPACE = "sin_espacio", 507, "The disk of the images is full; keep the image and try later."

    # Tasks and captures.
    TASK_NOT_YOURS = "tarea_ajena", 403, "Another person holds this task."
    TASK_OF_OTHER_KIND = "tarea_de_otro_tipo", 409, "The task is of another kind than this path."
    TASK_ANSWERED = "tarea_ya_contestada", 409, "The task was answered before, with other values."
    TASK_EXPIRED = "tarea_vencida", 410, "The task ran out, or is not this person's any more; ask for another."
    CAPTURED_BEFORE = "captura_repetida", 409, "This person has typed this acta already."
    PERSON_PAUSED = (
        "persona_en_pausa",
        409,
        "A supervisor paused this person, who gets no task until then.",
    )
    SAME_SITE = "captura_del_mismo_sitio", 409, "The second capture must come from another site than the first."
    IDENTIFIED_BEFORE = "identificacion_repetida", 409, "This person has identified this image already."
    RESOLVED_BEFORE = "acta_ya_resuelta", 409, "One of the three captures was chosen already."
    OWN_CHOICE = "eleccion_propia", 409, "This person typed one of the three captures; another person chooses."
    VALUE_WRONG = "valor_no_valido", 422, "A field of the acta holds no such value; the sentence names it."
    VALUES_MISSING = "campos_faltantes", 422, "Fields of the acta are missing; the sentence names them."
    VALUES_UNKNOWN = "campos_sobrantes", 422, "The acta has no such fields; the sentence names them."
    IDENTITY_WRONG = "identidad_no_valida", 422, "The text is not that of the QR of an acta."
    NO_SUCH_CHOICE = "resolucion_no_valida", 422, "The choice is none of the three captures."

    # Actas.
    NO_ACTA = "acta_inexistente", 404, "The catalogue has no such acta of this election."
    ILLEGAL_MOVE = "acta_no_lo_admite", 409, "The acta is in a state that does not allow this."
    IMAGE_OF_OTHER_ACTA = "imagen_de_otra_acta", 409, "The image is not one of this acta."
    ACTA_WITHOUT_IMAGE = "acta_sin_imagen", 409, "The acta has no image to type."
    REASON_NOT_USED = "motivo_no_admitido", 422, "This election does not use this reason."
    NIGHT_CLOSED = "noche_cerrada", 409, "The last corte is out: captures and corrections are not taken any more."
    COTEJO_WRONG = "cotejo_no_valido", 422, "The result of the comparison is none of the possible ones."

    # Decisions of two people.
    NO_DECISION = "decision_inexistente", 404, "No decision has this number."
    DECISION_OPEN = "decision_abierta", 409, "Another decision about the same waits for its second person."
    DECISION_MOVE = "decision_no_lo_admite", 409, "The decision is in a state that does not allow this."
    SAME_PERSON = "misma_persona", 409, "The person who proposed cannot confirm; another person does."
    IMAGE_MOVE = "imagen_no_lo_admite", 409, "The image is in a state that does not allow this."
    NO_PARKED = "mensaje_inexistente", 404, "No message that was set aside has this number."
    NO_DEVICE = "dispositivo_inexistente", 404, "No device has this identifier."
    NUMBER_ARRIVED = "numero_ya_recibido", 409, "The image with this number of the device did arrive."

    # What those in charge do.
    NO_PERSON = "persona_inexistente", 404, "No active person has this login."
    NO_SITE = "sitio_inexistente", 404, "No site of the closed list has this code."
    OWN_CHANGE = "cambio_propio", 409, "Nobody pauses or moves herself; another supervisor does."
    NO_FINDING = "hallazgo_inexistente", 404, "No such finding is open: the image or the acta changed, or it never was."

    # The server.
    DEFECT = "error_interno", 500, "A defect of the server; it is in its log."
    PARKED = "apartado", 500, "The server set something aside for a person to look at; it is in its log."
    UNAVAILABLE = "no_disponible", 503, "A part of the server does not answer; try again."

    # A case that has no code of its own.
    NOT_FOUND = "no_encontrado", 404, "The named thing does not exist."
    CONFLICT = "conflicto", 409, "The request contradicts something that was done before."
    REJECTED = "no_valido", 422, "The content cannot be taken; the sentence says why."


_OF_STATUS: Final = {
    400: Code.BAD_REQUEST,
    404: Code.NOT_FOUND,
    409: Code.CONFLICT,
    413: Code.IMAGE_TOO_LARGE,
    415: Code.FORMAT_NOT_TAKEN,
    422: Code.REJECTED,
}
"""The code of a refusal that names its status alone."""


class PrepError(Exception):
    """A refusal, with one sentence in Spanish for the person who reads it."""

    general: ClassVar[Code] = Code.DEFECT
    """The code of a refusal of this kind that names none."""

    def __init__(self, sentence: str, *, code: Code | None = None) -> None:
        # It may quote what a stranger sent, and goes to answers, logs and screens.
        self.sentence = printable(sentence, kept="\n")
        super().__init__(self.sentence)
        self.code = code or self.general

    @property
    def status(self) -> int:
        return self.code.status


class Rejected(PrepError):
    """The request is wrong and can never succeed; the sender must change it. HTTP 4xx."""

    general = Code.REJECTED

    def __init__(self, sentence: str, *, code: Code | None = None, status: int | None = None) -> None:
        super().__init__(sentence, code=code or (_OF_STATUS[status] if status else None))


class Parked(PrepError):
    """A person must look at this message. It goes to the list of parked messages, and the other messages go on."""

    general = Code.PARKED


class Unavailable(PrepError):
    """The request is right, but cannot be met now.

    Try again later. HTTP 503 with Retry-After (`retry_after`, seconds).
    """

    general = Code.UNAVAILABLE

    def __init__(self, sentence: str, *, code: Code | None = None, retry_after: int = 5) -> None:
        super().__init__(sentence, code=code)
        self.retry_after = retry_after


_REASONS: Final[Mapping[int, str]] = MappingProxyType(
    {
        errno.ENOENT: "no existe",
        errno.EACCES: "no hay permiso",
        errno.EPERM: "no está permitido",
        errno.EISDIR: "es una carpeta",
        errno.ENOTDIR: "una parte de la ruta no es una carpeta",
        errno.EEXIST: "ya existe",
        errno.ENOTEMPTY: "la carpeta no está vacía",
        errno.ENOSPC: "el disco está lleno",
        errno.EDQUOT: "se acabó la cuota del disco",
        errno.EROFS: "el disco es de solo lectura",
        errno.EIO: "el disco falla",
        errno.ENAMETOOLONG: "el nombre es demasiado largo",
        errno.ELOOP: "sus enlaces dan vueltas",
        errno.EBUSY: "está ocupado",
        errno.EMFILE: "hay demasiados archivos abiertos",
        errno.ENFILE: "hay demasiados archivos abiertos",
        errno.EADDRINUSE: "ya lo usa otro proceso",
        errno.EADDRNOTAVAIL: "esta máquina no tiene esa dirección",
    }
)


def reason_of(error: OSError) -> str:
    """Why the system refused, for the end of a sentence: in Spanish if it is one of the usual reasons."""
    return _REASONS.get(error.errno or 0) or error.strerror or str(error)
