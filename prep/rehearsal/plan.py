"""The plan of a night, and its progress."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prep.domain.catalog import Catalog
from prep.rehearsal.drawing.press import WIDTH
from prep.rehearsal.replay import Sheet


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a night: the catalogue as files, the sheets in the order of their acopio, speed and mistakes."""

    name: str
    folder: Mapping[str, bytes]
    catalog: Catalog
    sheets: Sequence[Sheet]
    expected: int
    """Number of actas that are captured or fuera de catálogo at the end of the night."""
    seed: int
    mistakes: float
    speed: float
    """Number of seconds of the election that pass in one second here; 0: as fast as possible."""
    width: int = WIDTH
    """Of each image, in pixels."""


@dataclass(slots=True)
class Progresses:
    """The progress of the night. All tasks of the night change it."""

    present: int = 0
    """Number of capturistas with an open session."""
    sent: int = 0
    captures: int = 0
    published: int = 0
    corte: int = -1
    finished: bool = False
    images: dict[str, Sheet] = field(default_factory=dict)
    """Digest of an image → its sheet. So a person «sees» the acta on an image without a QR."""
    again: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Login and sheet → number of times that the person has typed the sheet. It is above 1 only after a recapture."""
