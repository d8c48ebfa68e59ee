"""The life of one acta: seven states by their official names, one table of legal moves, and the round of captures.

    Esperada ──acopio──► Acopiada ──digitalización──► Digitalizada ──captura──► Capturada ──captura──► Capturada
    Capturada ──verificación──► Verificada ──publicación──► Publicada ──cotejo──► Cotejada
    Esperada ──registro sin acta──► Verificada
    Capturada | Verificada | Publicada | Cotejada ──recaptura──► Digitalizada
    Acopiada | Digitalizada | Capturada | Verificada | Publicada | Cotejada ──retiro──► Esperada

This file holds rules only: no clock, no database. All code that moves an acta asks `after`. Postgres refuses the same
illegal moves (`store/migrations`), and tests compare `LEGAL`, the table in Postgres and this drawing. No move deletes a
capture: a recapture opens a new round (`ronda`) beside the old one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, assert_never

from prep.domain.entry import Agreed, AnotherPerson, Choose, Values, choose, compare
from prep.errors import Code, Rejected


class Estado(StrEnum):
    ESPERADA = "Esperada"
    """The catalogue has it; no image has arrived."""
    ACOPIADA = "Acopiada"
    """An image of it has arrived and is safe."""
    DIGITALIZADA = "Digitalizada"
    """People can type from its current image; a round is open and has no capture."""
    CAPTURADA = "Capturada"
    """One, two or three people have typed it; no result is agreed yet."""
    VERIFICADA = "Verificada"
    """Agreed by two people, chosen out of three, or registered as sin acta; not yet in a corte."""
    PUBLICADA = "Publicada"
    """A corte contains it."""
    COTEJADA = "Cotejada"
    """Compared with the paper after publication."""


class Move(StrEnum):
    """An event in the life of an acta. Its value is the name in the drawing, in Postgres and in a refusal."""

    ACOPIO = "acopio"
    DIGITALIZACION = "digitalización"
    CAPTURA = "captura"
    VERIFICACION = "verificación"
    """Two captures agree, or a person picked one of three."""
    REGISTRO_SIN_ACTA = "registro sin acta"
    PUBLICACION = "publicación"
    COTEJO = "cotejo"
    RECAPTURA = "recaptura"
    """People type it again: to correct it, from a better copy, because a sin acta arrived late, or because all three
    captures are wrong."""
    RETIRO = "retiro"
    """Two people took away what it rested on: its image is of another acta, or it was no sin acta."""


LEGAL: Final[Mapping[tuple[Estado, Move], Estado]] = MappingProxyType(
    {
        (Estado.ESPERADA, Move.ACOPIO): Estado.ACOPIADA,
        (Estado.ESPERADA, Move.REGISTRO_SIN_ACTA): Estado.VERIFICADA,
        (Estado.ACOPIADA, Move.DIGITALIZACION): Estado.DIGITALIZADA,
        (Estado.DIGITALIZADA, Move.CAPTURA): Estado.CAPTURADA,
        (Estado.CAPTURADA, Move.CAPTURA): Estado.CAPTURADA,
        (Estado.CAPTURADA, Move.VERIFICACION): Estado.VERIFICADA,
        (Estado.CAPTURADA, Move.RECAPTURA): Estado.DIGITALIZADA,
        (Estado.VERIFICADA, Move.PUBLICACION): Estado.PUBLICADA,
        (Estado.VERIFICADA, Move.RECAPTURA): Estado.DIGITALIZADA,
        (Estado.PUBLICADA, Move.COTEJO): Estado.COTEJADA,
        (Estado.PUBLICADA, Move.RECAPTURA): Estado.DIGITALIZADA,
        (Estado.COTEJADA, Move.RECAPTURA): Estado.DIGITALIZADA,
        **{(estado, Move.RETIRO): Estado.ESPERADA for estado in Estado if estado is not Estado.ESPERADA},
    }
)
"""State and move → next state. Every legal move is in this table; Python and Postgres refuse all others."""


class IllegalMove(Rejected):
    """The acta's state does not allow this move."""

    def __init__(self, estado: Estado, move: Move) -> None:
        super().__init__(f"un acta {estado} no admite {move}", code=Code.ILLEGAL_MOVE)


def after(estado: Estado, move: Move) -> Estado:
    """The state after `move`. Raises IllegalMove if `LEGAL` has no such move."""
    # Postgres would refuse it too; this check gives the person a sentence instead of a database error.
    if (estado, move) not in LEGAL:
        raise IllegalMove(estado, move)
    return LEGAL[estado, move]


# The round. Only here the next move depends on more than the acta's state: it depends on the captures too.


@dataclass(frozen=True, slots=True)
class Capture:
    """The values that one person typed in one round, without seeing the other captures."""

    person: int
    site: int
    values: Values


@dataclass(frozen=True, slots=True)
class Round:
    """The captures of one round, oldest first: none if the acta is Digitalizada, one to three if it is Capturada."""

    captures: tuple[Capture, ...] = ()

    @property
    def next(self) -> AnotherPerson | Agreed | Choose:
        return compare([capture.values for capture in self.captures])

    def with_capture(self, capture: Capture) -> "Round":
        """A copy of the round with one more capture.

        Raises Rejected if the same person has typed in this round already, or if the round needs no other capture.
        """
        # Two captures of one person would agree too easily: the rule is two people (rules.md §2).
        if capture.person in {earlier.person for earlier in self.captures}:
            raise Rejected("la misma persona no puede capturar dos veces la misma acta", code=Code.CAPTURED_BEFORE)
        if not isinstance(self.next, AnotherPerson):
            raise Rejected("esta acta no espera otra captura", code=Code.ILLEGAL_MOVE)
        return Round((*self.captures, capture))

    def verified(self, chosen: Values | None = None) -> Values:
        """The values that count: those of two equal captures, or `chosen`, which a person picked out of three.

        Raises Rejected if the captures differ and there is no `chosen`, or if `chosen` is none of the three.
        """
        outcome = self.next
        match outcome:
            case AnotherPerson():
                raise Rejected("falta la captura de otra persona", code=Code.ILLEGAL_MOVE)
            case Agreed(values):
                # The screen of a person may be older than the last capture: refuse the choice instead of ignoring it.
                if chosen is not None and chosen != values:
                    raise Rejected("las capturas coinciden: no hay nada que resolver", code=Code.ILLEGAL_MOVE)
                return values
            case Choose(candidates):
                if chosen is None:
                    raise Rejected(
                        "las tres capturas difieren: una persona debe elegir una de ellas", code=Code.ILLEGAL_MOVE
                    )
                return choose(candidates, chosen)
            case _:
                assert_never(outcome)
