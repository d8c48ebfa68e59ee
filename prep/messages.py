"""What travels on the bus: small JSON facts. Images do not travel, their SHA-256 does."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType, Self

from pydantic import BaseModel, ConfigDict, Field

from prep.upload import SHA256_PATTERN, Upload

Sha256 = NewType("Sha256", str)
"""64 lower-case hexadecimal digits."""


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


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def body(self) -> bytes:
        return self.model_dump_json().encode()


class StoredImage(_Body):
    """An image in the blob store."""

    sha256: str = Field(pattern=SHA256_PATTERN)
    bytes: int
    format: str


class ImageReceived(Upload, StoredImage):
    """An image is durable in the blob store and its sender holds, or is about to hold, a receipt.

    Its JSON has the fields of the image first, then those of the upload, in the order of their definition.
    """

    received_at: datetime

    @classmethod
    def of(cls, upload: Upload, *, size: int, format_: str, at: datetime) -> Self:
        """`size` in bytes."""
        return cls(**dict(upload), bytes=size, format=format_, received_at=at)

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
