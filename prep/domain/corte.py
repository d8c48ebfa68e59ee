"""The records of a corte: the facts that are read for it, and that its files and pages say."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from prep.domain.catalog import ContestId, ElectionId
from prep.domain.tally import Counts

Seccion: TypeAlias = tuple[int, int]
"""Entidad and number; 0 stands for casillas that belong to none."""


class Phase(StrEnum):
    CERO = "cero"
    EN_CURSO = "en curso"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Corte:
    """A corte as recorded: from then on its bytes are settled, and the next publisher brings them out."""

    number: int
    at: datetime
    phase: Phase
    due: datetime | None
    """When the next was promised; None after the last."""
    simulacro: bool
    sums: str
    """SHA-256 of its SHA256SUMS, hex."""


@dataclass(frozen=True, slots=True)
class Group:
    """Sums over the actas of one contest in one territory: the finest the totals are made of."""

    contest: ContestId
    entidad: int
    territory: int
    counts: Counts
    votes: tuple[int, ...]
    """Of counted actas, in the election's column order."""

    @property
    def place(self) -> tuple[int, int, int]:
        return self.contest, self.entidad, self.territory

    def __add__(self, other: "Group") -> "Group":
        """The sum of two groups of the same contest and territory."""
        votes = tuple(one + more for one, more in zip(self.votes, other.votes, strict=True))
        return Group(self.contest, self.entidad, self.territory, self.counts + other.counts, votes)


@dataclass(frozen=True, slots=True)
class Fuera:
    """An image of no approved casilla."""

    id: int
    image: bytes
    identity: str
    election: ElectionId | None
    origen: str
    digitalizacion: str
    format: str


@dataclass(frozen=True, slots=True)
class Fresh:
    """A version that no corte before has shown."""

    election: ElectionId
    clave: str
    version: int
    reason: str
    image: bytes | None
    correction: bool
    """An earlier version of the same acta has been published."""


@dataclass(frozen=True, slots=True)
class ToldDecision:
    """A decision of two people, or the undoing of one, that no corte before has told."""

    number: int
    kind: str
    undoes: int | None
    """Number of the decision that it takes back."""
    election: str | None
    clave: str | None
    image: str | None
    message: str | None
    device: str | None
    sequence: int | None
    reason: str
    words: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PublishedImage:
    image: bytes
    format: str
    web: bytes | None
    """Digest of its derivative for pages."""


@dataclass(frozen=True, slots=True)
class Before:
    """A corte that is out, with the thirteen values of each election."""

    number: int
    at: datetime
    phase: Phase
    counts: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class ToldIncident:
    """What the institute told everybody, and has not said to be over."""

    number: int
    text: str
    at: datetime
