"""What a night plays, and how far it has come."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prep.domain.catalog import Catalog
from prep.rehearsal.replay import Sheet


@dataclass(frozen=True, slots=True)
class Plan:
    """What a night plays: the catalogue as files, the sheets in the order of their acopio, and how."""

    name: str
    folder: Mapping[str, bytes]
    catalog: Catalog
    sheets: Sequence[Sheet]
    expected: int
    """Actas captured or fuera de catálogo when everything has been played."""
    seed: int
    mistakes: float
    speed: float
    """Seconds of the election for each second here; 0: as fast as it goes."""


@dataclass(slots=True)
class Progresses:
    """What has been done so far."""

    present: int = 0
    """Capturistas whose session is open."""
    sent: int = 0
    captures: int = 0
    published: int = 0
    corte: int = -1
    finished: bool = False
    images: dict[str, Sheet] = field(default_factory=dict)
    """By digest: what a person sees when an image without a QR is shown."""
    again: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often a person has typed a sheet: more than once only where it was sent back."""
