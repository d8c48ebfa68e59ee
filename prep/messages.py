"""What travels on the bus: small JSON facts. Images do not travel, their SHA-256 does."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType

from pydantic import BaseModel, ConfigDict, Field

Sha256 = NewType("Sha256", str)
"""64 lower-case hexadecimal digits."""

SHA256_PATTERN: Final = "^[0-9a-f]{64}$"


class Topic(StrEnum):
    IMAGES = "images"
    """Uploads that are safe in the blob store. Keyed by image."""
    ENTRIES = "entries"
    """Something a person did to an acta or an image. Keyed by acta (or by image while it has none)."""


PARTITIONS: Final[Mapping[Topic, int]] = {Topic.IMAGES: 12, Topic.ENTRIES: 12}


@dataclass(frozen=True, slots=True)
class Message:
    """`id` is the same each time the same thing is announced; `key` keeps what belongs together in order."""

    topic: Topic
    key: str
    id: str
    body: bytes


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


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def body(self) -> bytes:
        return self.model_dump_json().encode()


class ImageReceived(_Body):
    """An image is durable in the blob store and its sender holds, or is about to hold, a receipt."""

    sha256: str = Field(pattern=SHA256_PATTERN)
    bytes: int
    format: str
    device: str
    sequence: int
    origen: Origen
    digitalizacion: Digitalizacion
    traslado: str
    tipo_documento: TipoDocumento
    acopio_at: datetime
    acta_hint: str
    received_at: datetime

    def message(self) -> Message:
        return Message(Topic.IMAGES, self.sha256, f"image:{self.device}:{self.sequence}:{self.sha256}", self.body())


class ActaTouched(_Body):
    """A person submitted a capture (or chose one) for this acta: see whether its round is agreed."""

    acta: int
    ronda: int
    ordinal: int
    """1 to 3; 4 for the choice among three."""

    def message(self) -> Message:
        return Message(
            Topic.ENTRIES, f"acta:{self.acta}", f"entry:{self.acta}:{self.ronda}:{self.ordinal}", self.body()
        )


class ImageNamed(_Body):
    """A person said which acta an image is: see whether two agree."""

    sha256: str = Field(pattern=SHA256_PATTERN)
    ordinal: int

    def message(self) -> Message:
        return Message(Topic.ENTRIES, f"image:{self.sha256}", f"named:{self.sha256}:{self.ordinal}", self.body())
