"""The oddities of pictures that were taken all the same: a code that never changes, and a sentence for the person."""

from enum import StrEnum
from typing import Final


class Oddity(StrEnum):
    """Kept with the picture and shown to everybody who types or identifies it."""

    BYTES_DESPUES = "bytes_despues"
    INCOMPLETA = "incompleta"
    VARIAS_IMAGENES = "varias_imagenes"
    DOS_IDENTIDADES = "dos_identidades"
    OTRO_FORMATO = "otro_formato"
    SIN_EXAMINAR = "sin_examinar"
    SIN_DECODIFICAR = "sin_decodificar"
    NO_ADMITIDA = "no_admitida"
    HORA_IMPROBABLE = "hora_improbable"
    DESPUES_DEL_CIERRE = "despues_del_cierre"
    ETIQUETA_AJENA = "etiqueta_ajena"


SENTENCES: Final[dict[Oddity, str]] = {
    Oddity.BYTES_DESPUES: "el archivo trae otros datos después de la imagen; se conservan y no se muestran",
    Oddity.INCOMPLETA: "el archivo no trae el final de la imagen o está dañado; puede faltar una parte",
    Oddity.VARIAS_IMAGENES: "el archivo trae varias imágenes; se muestra la más grande",
    Oddity.DOS_IDENTIDADES: "en la imagen se leen los códigos de dos actas distintas; decida de cuál es",
    Oddity.OTRO_FORMATO: "el archivo puede abrirse también como ZIP, PDF o página web; no abra el original",
    Oddity.SIN_EXAMINAR: "no se pudo examinar: pasó del límite de memoria o de tiempo; vea el original",
    Oddity.SIN_DECODIFICAR: "no se pudo decodificar la imagen; vea el original",
    Oddity.NO_ADMITIDA: "al examinarla de nuevo no cumple lo que se pide a una imagen; vea el original con cuidado",
    Oddity.HORA_IMPROBABLE: "la hora de acopio no es de esta jornada: el reloj del dispositivo puede estar mal",
    Oddity.DESPUES_DEL_CIERRE: "se examinó después del último corte: se conserva y ya no se captura",
    Oddity.ETIQUETA_AJENA: "la etiqueta no es de un acta del catálogo; lea en el acta de qué casilla es",
}
