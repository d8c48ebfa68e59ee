"""What a published row stands on: the statements of the people who made it, opened beside its corte.

A row stands on two equal captures of two people; or on three captures and, if all differ, the choice of somebody who
typed none of them. Sin acta and cotejo are statements of their own. The sticker says that an image is of its acta (the
leaf `derivada` of the image names it), or two people say it. Only two people can say that an image is of no acta.

`ACTS` is the table of all kinds: a new kind is a line there and, if it supports rows in another way, a step of
`advance` and `fault_of`.

The sequencer opens the statements of a corte in one file, and the log holds a commitment to each since it was made. So
a version that somebody writes straight into the database has nothing to stand on (EVI-12).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, NamedTuple

GRACE: Final = 1
"""Cortes after which the openings of a corte must be there; a constant of the format (EVI-13)."""
MOST_CAPTURES: Final = 3

_WORDS: Final[Mapping[str, str]] = MappingProxyType({"I": "Ilegible", "S": "Sin dato", "X": "-"})


class StatementKind(NamedTuple):
    """A kind of statement: its field that is compared with the row, and how many people must say it."""

    said: str
    people: int


ACTS: Final[Mapping[str, StatementKind]] = MappingProxyType(
    {
        "captura": StatementKind("ordinal", 2),
        "resolucion": StatementKind("elige", 1),
        "sin_acta": StatementKind("criterio", 2),
        "identidad": StatementKind("imagen", 2),
        "cotejo": StatementKind("resultado", 1),
    }
)
"""By the kind of the leaf."""
_COTEJO: Final[Mapping[str, frozenset[object]]] = MappingProxyType(
    {"1": frozenset[object]({1}), "2": frozenset[object]({2, 3}), "3": frozenset[object]({3})}
)
"""By COTEJADA: the results of a cotejo that lead to it. An acta in correction is accepted after its recapture."""


class Stated(NamedTuple):
    """One opened statement about an acta."""

    kind: str
    persona: str
    ronda: int
    said: object
    values: bytes = b""
    """Of a capture: `values_key` of its fields."""


class ShownRow(NamedTuple):
    """The part of a captured row, or of an image fuera de catálogo, that must stand on something."""

    values: bytes
    """`values_key` of its cells; empty for a row sin acta, and for an image fuera de catálogo."""
    criteria: frozenset[object]
    """Of a row sin acta: the criteria whose text is in its OBSERVACIONES."""
    cotejada: str
    image: str
    """CODIGO_INTEGRIDAD, or the digest of the image; empty for a row sin acta."""


def shown_fuera(image: str) -> ShownRow:
    """An image that is of no acta of the catalogue: it stands on who says so alone."""
    return ShownRow(b"", frozenset(), "", image)


@dataclass(slots=True)
class Standing:
    """How far the statements of one acta have come: its last round, and the values that people agreed on."""

    ronda: int = 0
    values: bytes = b""
    declared: frozenset[object] = frozenset()
    """The criteria of sin acta, and the results of a cotejo, that enough people declared."""
    images: frozenset[object] = frozenset()
    """The images that are of this acta, as their stickers or enough people say."""
    named: frozenset[object] = frozenset()
    """The images that people named in the last corte alone."""


def values_key(cells: Iterable[str]) -> bytes:
    """A digest of the cells TOTAL_BOLETAS_SOBRANTES to TOTAL_VOTOS_ASENTADO, short enough to keep for every acta."""
    return sha256("\n".join(cells).encode()).digest()[:16]


def typed_cells(numbers: Sequence[int | None], marks: str) -> list[str]:
    """The cells that the official file shows for these fields; one that contradicts its mark gives no legal cell."""
    if len(numbers) != len(marks):
        return []
    return [
        str(number) if mark == "N" and number is not None else _WORDS.get(mark, "") if number is None else ""
        for number, mark in zip(numbers, marks, strict=True)
    ]


def stated(kind: str, held: Mapping[str, Any]) -> Stated:
    """A statement from the fields of its opening (`leaves.OPENINGS`)."""
    values = values_key(typed_cells(held["numeros"], held["marcas"])) if kind == "captura" else b""
    return Stated(kind, held["persona"], held.get("ronda", 0), held[ACTS[kind].said], values)


def advance(standing: Standing, now: Sequence[Stated]) -> str:
    """Move `standing` by the statements that a corte opens about its acta; their fault, or an empty text."""
    fault = _follow_round(standing, now)
    standing.named = frozenset(each.said for each in now if each.kind == "identidad")
    for kind, said in {(each.kind, each.said) for each in now}:
        people = {each.persona for each in now if (each.kind, each.said) == (kind, said)}
        enough = len(people) >= ACTS[kind].people
        if kind in {"sin_acta", "cotejo"} and enough:
            standing.declared |= {said}
        elif kind == "identidad" and enough:
            standing.images |= {said}
        elif kind == "identidad":
            fault = fault or "una sola persona dijo de qué acta es la imagen"
    return fault


def fault_of(standing: Standing, row: ShownRow) -> str:
    """Why a row does not stand on the statements so far; an empty text if it does."""
    if standing.named - {row.image}:
        return "de otra imagen dijeron que es de esa acta"
    if row.image and row.image not in standing.images:
        return "ni su etiqueta ni dos personas dicen que la imagen es de esa acta"
    if not row.values:
        declared = row.image or row.criteria & standing.declared
        return "" if declared else "no declararon dos personas que esa acta no llega"
    if row.values != standing.values:
        return "sus cantidades no son las que dos personas capturaron" if standing.values else "no se abrió su captura"
    needed = _COTEJO.get(row.cotejada)
    return "nadie declaró su cotejo" if needed is not None and not needed & standing.declared else ""


def _follow_round(standing: Standing, now: Sequence[Stated]) -> str:
    captures = sorted((each for each in now if each.kind == "captura"), key=lambda each: int(str(each.said)))
    choices = [each for each in now if each.kind == "resolucion"]
    if not captures:
        return "una resolución sin capturas" if choices else ""
    ronda = captures[0].ronda
    # Each capture of the round stands there once: with one of them dropped, the others could look like an agreement.
    if [each.said for each in captures] != [*range(1, len(captures) + 1)] or len(captures) > MOST_CAPTURES:
        return "no están las capturas de su ronda, cada una una vez"
    if {each.ronda for each in (*captures, *choices)} != {ronda} or ronda <= standing.ronda:
        return "las capturas no son de una ronda nueva"
    people = {each.persona for each in captures}
    if len(people) < len(captures) or len(people) < ACTS["captura"].people:
        return "una persona capturó dos veces"
    agreed = _agreed(captures, choices, people)
    if not agreed:
        return "sus capturas difieren y nadie más eligió entre ellas"
    standing.ronda, standing.values = ronda, agreed
    return ""


def _agreed(captures: Sequence[Stated], choices: Sequence[Stated], people: set[str]) -> bytes:
    """The values that the captures of a round give; empty if they give none."""
    first, second = captures[0].values, captures[1].values
    if len(captures) < MOST_CAPTURES or first == second:
        # A third person is asked only if two differ.
        return first if first == second and len(captures) < MOST_CAPTURES and not choices else b""
    third = captures[2].values
    if third in {first, second}:
        return b"" if choices else third
    chosen = {each.said for each in choices}
    others = {each.persona for each in choices} - people
    if len(chosen) != 1 or len(others) < ACTS["resolucion"].people:
        return b""
    return next((each.values for each in captures if each.said in chosen), b"")
