"""The messages of the bus: small JSON facts. Images do not travel; their SHA-256 does.

Each message is a CloudEvent 1.0 in binary mode: its body is the JSON alone, and its attributes (type, id, source, time)
travel beside it. The type ends with its version. A new field with a default keeps it; any other change is a
new version. `docs/messages.md` describes each of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from prep.errors import Parked
from prep.upload import SHA256_PATTERN, Upload


class Topic(StrEnum):
    IMAGES = "images"
    """Uploads that are safe in the blob store. Keyed by image."""
    ENTRIES = "entries"
    """Something a person did to an acta or an image. Keyed by acta (or by image while it has none)."""


# More workers of a group than partitions have no work. A change here needs new topics: keys would move.
PARTITIONS: Final[Mapping[Topic, int]] = {Topic.IMAGES: 12, Topic.ENTRIES: 12}


@dataclass(frozen=True, slots=True)
class Message:
    """`id` is the same each time the same thing is announced; messages of one `key` stay in order."""

    topic: Topic
    key: str
    id: str
    body: bytes
    type: str = ""
    """Of CloudEvents, with its version. Empty: a message from before messages carried a type."""
    source: str = ""
    """Of CloudEvents: the part that made the message, as a relative URI."""
    happened_at: datetime | None = field(default=None, compare=False)
    """The `time` of CloudEvents. None: the moment at which the message was added to the outbox."""


# A field that is not known is refused: it may change what the others mean.
class MessageBody(BaseModel):
    """The JSON of one type of message. The docstrings of its fields are the descriptions in its schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    TYPE: ClassVar[str]
    SOURCE: ClassVar[str] = "/prep/capture"

    # The one place that makes a message of a body, so that none goes out without its type.
    def _message(self, topic: Topic, key: str, id_: str, at: datetime | None = None) -> Message:
        return Message(topic, key, id_, self.model_dump_json().encode(), self.TYPE, self.SOURCE, at)


class StoredImage(MessageBody):
    """An image in the blob store."""

    sha256: str = Field(pattern=SHA256_PATTERN)
    bytes: int
    """The size of the image."""
    format: str
    """The format that its first bytes say: jpeg, png, webp, tiff, pdf, avif, gif or bmp."""


class ImageReceived(Upload, StoredImage):
    """An image is durable in the blob store and its sender holds, or is about to hold, a receipt.

    Its JSON has the fields of the image first, then those of the upload, in the order of their definition.
    """

    TYPE: ClassVar[str] = "mx.prep.image.received.v1"

    received_at: datetime
    """The moment of the receipt, in UTC."""

    @classmethod
    def of(cls, upload: Upload, *, size: int, format_: str, at: datetime) -> Self:
        """`size` in bytes."""
        return cls(**dict(upload), bytes=size, format=format_, received_at=at)

    def message(self) -> Message:
        # The device's own number is in the id: a repeated upload is the same message.
        id_ = f"image:{self.device}:{self.sequence}:{self.sha256}"
        return self._message(Topic.IMAGES, self.sha256, id_, self.received_at)


class ActaTouched(MessageBody):
    """A person submitted a capture (or chose one) for this acta: see whether its round is agreed."""

    TYPE: ClassVar[str] = "mx.prep.acta.touched.v1"

    # Numbers and not names: a message is small, and a name that a person corrects would not follow it.
    acta: int
    """The number of the acta in the database."""
    ronda: int
    """From 1 on: the captures of one image of the acta, and the choice among them."""
    ordinal: int
    """1 to 3; 4 for the choice among three."""

    def message(self) -> Message:
        return self._message(Topic.ENTRIES, f"acta:{self.acta}", f"entry:{self.acta}:{self.ronda}:{self.ordinal}")


class ImageNamed(MessageBody):
    """A person said which acta an image is: see whether two agree."""

    TYPE: ClassVar[str] = "mx.prep.image.named.v1"

    sha256: str = Field(pattern=SHA256_PATTERN)
    ordinal: int
    """1 for the first person who said it, 2 for the second, and so on."""

    def message(self) -> Message:
        return self._message(Topic.ENTRIES, f"image:{self.sha256}", f"named:{self.sha256}:{self.ordinal}")


# A handler names the bodies that it reads; this table is for the documents and their test.
BODIES: Final[Mapping[Topic, tuple[type[MessageBody], ...]]] = {
    Topic.IMAGES: (ImageReceived,),
    Topic.ENTRIES: (ActaTouched, ImageNamed),
}
"""Every type of message that travels on a topic."""

A = TypeVar("A", bound=MessageBody)
B = TypeVar("B", bound=MessageBody)


def read_body(message: Message, first: type[A], *others: type[B]) -> A | B:
    """The body, read as the type of the message says.

    Raises Parked if the type, or its version, is none of these: a person must look, and the message is kept.
    Raises ValidationError of pydantic if the body is not what its type says.
    """
    # The type decides, and not the key: a key says only what must stay in order.
    type_ = message.type or _type_from_before(message)
    if type_ == first.TYPE:
        return first.model_validate_json(message.body)
    for other in others:
        if type_ == other.TYPE:
            return other.model_validate_json(message.body)
    raise Parked(f"mensaje de una clase desconocida: {type_ or message.key}")


def _type_from_before(message: Message) -> str:
    """The type of a message that carries none. Before there were types, the topic and the key told them apart."""
    # Such messages exist in topics that are kept, and among those that were parked before an update.
    match message.topic, message.key.partition(":")[0]:
        case Topic.IMAGES, _:
            return ImageReceived.TYPE
        case Topic.ENTRIES, "acta":
            return ActaTouched.TYPE
        case Topic.ENTRIES, "image":
            return ImageNamed.TYPE
        case _:
            return ""


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema (2020-12) of each body, by type. `docs/schemas/` holds them."""
    # Named, so that a reader in ten years knows which rules of JSON Schema hold.
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {body.TYPE: dialect | body.model_json_schema() for bodies in BODIES.values() for body in bodies}
