"""The result of the decoders for one image."""

from dataclasses import dataclass

from prep.domain.layout import FoundMarks


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of the decoder cascade for an image. Digests are raw SHA-256."""

    text: str | None
    decoder: str | None
    width: int
    height: int
    phash: bytes
    web: bytes
    thumb: bytes
    others: tuple[str, ...] = ()
    """Texts of further stickers that were read beside `text`."""
    oddities: tuple[str, ...] = ()
    marks: FoundMarks | None = None
    """The marks of its form, if somebody looked for them and they are sure."""


@dataclass(frozen=True, slots=True)
class Unread:
    """An image that no decoder could read within its bounds: its bytes are kept, and people look at them."""

    oddities: tuple[str, ...]
