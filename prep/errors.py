"""The three ways work can be refused. Anything else is a defect: the process stops and is started again.

A refusal has a sentence, for the person who reads it, and a code, for the program that gets it. The sentence may be
worded better one day; the code of a case never changes. `docs/api.md` shows the table below, and a test compares both.
"""

from enum import StrEnum
from typing import ClassVar, Final, Self


class Code(StrEnum):
    """Every code of a refusal: its value on the wire, its HTTP status, and its meaning."""

    status: int
    meaning: str

    def __new__(cls, value: str, status: int, meaning: str) -> Self:
        member = str.__new__(cls, value)
        member._value_, member.status, member.meaning = value, status, meaning
        return member

    # The request itself.
    PETICION_NO_VALIDA = "peticion_no_valida", 400, "The request is not one that the server can read."
    CUERPO_NO_ES_JSON = "cuerpo_no_es_json", 400, "The body is not JSON in UTF-8."
    ENCABEZADO_FALTANTE = "encabezado_faltante", 400, "A header that must be there is missing; the sentence names it."
    ENCABEZADO_NO_VALIDO = "encabezado_no_valido", 400, "A header has a wrong value; the sentence names it."
    RUTA_DESCONOCIDA = "ruta_desconocida", 404, "No route has this path."
    METODO_NO_ADMITIDO = "metodo_no_admitido", 405, "The path exists, but not for this method."
    LONGITUD_FALTANTE = "longitud_faltante", 411, "An upload needs the header Content-Length."
    CUERPO_DEMASIADO_GRANDE = "cuerpo_demasiado_grande", 413, "The JSON body is larger than the limit."
    CAMPO_NO_VALIDO = "campo_no_valido", 422, "A field of the body or of the path is missing, unknown or wrong."
    CAMPO_REPETIDO = "campo_repetido", 422, "A name stands twice in one JSON object."

    # Who asks.
    DISPOSITIVO_NO_INSCRITO = "dispositivo_no_inscrito", 401, "No enrolled device has this identifier."
    FIRMA_NO_VALIDA = "firma_no_valida", 401, "The signature is not that of the device over these headers."
    CREDENCIALES_INCORRECTAS = "credenciales_incorrectas", 401, "The user or the password is wrong."
    SIN_SESION = "sin_sesion", 401, "The request has no open session; log in."
    ROL_NO_PERMITIDO = "rol_no_permitido", 403, "The role of this person does not allow this."
    DEMASIADOS_INTENTOS = "demasiados_intentos", 429, "Too many logins were tried for this name; wait."
    DEMASIADAS_PETICIONES = "demasiadas_peticiones", 429, "Too many requests came from this address; the proxy says so."
    DEMASIADAS_PERSONAS = "demasiadas_personas", 503, "Too many people log in at once; try again."

    # Images.
    ENVIO_INTERRUMPIDO = "envio_interrumpido", 408, "The body stopped coming; send the image again."
    NUMERO_YA_USADO = "numero_ya_usado", 409, "The device has used this sequence number for another image."
    DEMASIADO_GRANDE = "demasiado_grande", 413, "The image has more bytes or pixels than the limit."
    FORMATO_NO_ADMITIDO = "formato_no_admitido", 415, "The file is not an image of a format that is taken."
    IMAGEN_VACIA = "imagen_vacia", 422, "The body has no bytes."
    SHA256_NO_CORRESPONDE = "sha256_no_corresponde", 422, "The SHA-256 of the body is not the announced one."
    ACUSE_INEXISTENTE = "acuse_inexistente", 404, "No image with this SHA-256 has a receipt."
    IMAGEN_INEXISTENTE = "imagen_inexistente", 404, "No image has this SHA-256."
    IMAGEN_SIN_DIGITALIZAR = "imagen_sin_digitalizar", 404, "The image has no web copy yet; ask again later."
    IMAGEN_AJENA = "imagen_ajena", 403, "The image does not belong to a task that this person holds."
    SIN_ESPACIO = "sin_espacio", 507, "The disk of the images is full; keep the image and try later."

    # Tasks and captures.
    TAREA_AJENA = "tarea_ajena", 403, "Another person holds this task."
    TAREA_DE_OTRO_TIPO = "tarea_de_otro_tipo", 409, "The task is of another kind than this path."
    TAREA_YA_CONTESTADA = "tarea_ya_contestada", 409, "The task was answered before, with other values."
    TAREA_VENCIDA = "tarea_vencida", 410, "The task ran out, or is not this person's any more; ask for another."
    CAPTURA_REPETIDA = "captura_repetida", 409, "This person has typed this acta already."
    IDENTIFICACION_REPETIDA = "identificacion_repetida", 409, "This person has identified this image already."
    ACTA_YA_RESUELTA = "acta_ya_resuelta", 409, "One of the three captures was chosen already."
    VALOR_NO_VALIDO = "valor_no_valido", 422, "A field of the acta holds no such value; the sentence names it."
    CAMPOS_FALTANTES = "campos_faltantes", 422, "Fields of the acta are missing; the sentence names them."
    CAMPOS_SOBRANTES = "campos_sobrantes", 422, "The acta has no such fields; the sentence names them."
    IDENTIDAD_NO_VALIDA = "identidad_no_valida", 422, "The text is not that of the QR of an acta."
    RESOLUCION_NO_VALIDA = "resolucion_no_valida", 422, "The choice is none of the three captures."

    # Actas.
    ACTA_INEXISTENTE = "acta_inexistente", 404, "The catalogue has no such acta of this election."
    ACTA_NO_LO_ADMITE = "acta_no_lo_admite", 409, "The acta is in a state that does not allow this."
    IMAGEN_DE_OTRA_ACTA = "imagen_de_otra_acta", 409, "The image is not one of this acta."
    ACTA_SIN_IMAGEN = "acta_sin_imagen", 409, "The acta has no image to type."
    MOTIVO_NO_ADMITIDO = "motivo_no_admitido", 422, "This election does not use this reason."
    COTEJO_NO_VALIDO = "cotejo_no_valido", 422, "The result of the comparison is none of the possible ones."

    # The server.
    ERROR_INTERNO = "error_interno", 500, "A defect of the server; it is in its log."
    APARTADO = "apartado", 500, "The server set something aside for a person to look at; it is in its log."
    NO_DISPONIBLE = "no_disponible", 503, "A part of the server does not answer; try again."

    # A case that has no code of its own.
    NO_ENCONTRADO = "no_encontrado", 404, "The named thing does not exist."
    CONFLICTO = "conflicto", 409, "The request contradicts something that was done before."
    NO_VALIDO = "no_valido", 422, "The content cannot be taken; the sentence says why."


_OF_STATUS: Final = {
    400: Code.PETICION_NO_VALIDA,
    404: Code.NO_ENCONTRADO,
    409: Code.CONFLICTO,
    413: Code.DEMASIADO_GRANDE,
    415: Code.FORMATO_NO_ADMITIDO,
    422: Code.NO_VALIDO,
}
"""The code of a refusal that names its status alone."""


class PrepError(Exception):
    """A refusal with one sentence for the person who will read it."""

    general: ClassVar[Code] = Code.ERROR_INTERNO
    """The code of a refusal of this kind that names none."""

    def __init__(self, sentence: str, *, code: Code | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code or self.general

    @property
    def status(self) -> int:
        return self.code.status


class Rejected(PrepError):
    """The sender's fault: the same request can never succeed. HTTP 4xx."""

    general = Code.NO_VALIDO

    def __init__(self, sentence: str, *, code: Code | None = None, status: int | None = None) -> None:
        super().__init__(sentence, code=code or (_OF_STATUS[status] if status else None))


class Parked(PrepError):
    """A person must look: the message is set aside where people see it, and the rest goes on."""

    general = Code.APARTADO


class Unavailable(PrepError):
    """The request is good, but cannot be met now: again later. HTTP 503 with Retry-After (`retry_after`, seconds)."""

    general = Code.NO_DISPONIBLE

    def __init__(self, sentence: str, *, code: Code | None = None, retry_after: int = 5) -> None:
        super().__init__(sentence, code=code)
        self.retry_after = retry_after
