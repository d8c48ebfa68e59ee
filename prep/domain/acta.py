"""The life of one acta: seven states by their official names, one table of legal moves, and the round of captures.

    Esperada ──acopio──► Acopiada ──digitalización──► Digitalizada ──captura──► Capturada ──captura──► Capturada
    Capturada ──verificación──► Verificada ──publicación──► Publicada ──cotejo──► Cotejada
    Esperada ──registro sin acta──► Verificada
    Capturada | Verificada | Publicada | Cotejada ──recaptura──► Digitalizada

Pure: no clock, no database. Everything that moves an acta asks `after`. Postgres refuses the same illegal moves
(`store/migrations`), and tests compare `LEGAL`, its table and this drawing. What was typed is never part of a move's
undoing: a recapture opens a new round (`ronda`) beside the old one.
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
    """In the catalogue; nothing has come."""
    ACOPIADA = "Acopiada"
    """An image of it is safe."""
    DIGITALIZADA = "Digitalizada"
    """Its current image can be typed from; a round is open and empty."""
    CAPTURADA = "Capturada"
    """One, two or three people have typed it and it is not yet agreed."""
    VERIFICADA = "Verificada"
    """Agreed by two people, chosen out of three, or registered as sin acta; not yet in a corte."""
    PUBLICADA = "Publicada"
    """In a corte."""
    COTEJADA = "Cotejada"
    """Compared with the paper after publication."""


class Move(StrEnum):
    """What can happen to an acta, by the name that the drawing, Postgres and a refusal give it."""

    ACOPIO = "acopio"
    DIGITALIZACION = "digitalización"
    CAPTURA = "captura"
    VERIFICACION = "verificación"
    """Two captures agree, or a person picked one of three."""
    REGISTRO_SIN_ACTA = "registro sin acta"
    PUBLICACION = "publicación"
    COTEJO = "cotejo"
    RECAPTURA = "recaptura"
    """Type it again: a correction, a better copy, an acta that came after all, three captures that are all wrong."""


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
    }
)
"""Every legal move; all others are refused, in Python and in Postgres."""


class IllegalMove(Rejected):
    """The acta is in a state from which this cannot happen."""

    def __init__(self, estado: Estado, move: Move) -> None:
        super().__init__(f"un acta {estado} no admite {move}", code=Code.ILLEGAL_MOVE)


def after(estado: Estado, move: Move) -> Estado:
    """The state after `move`. Raises IllegalMove if `LEGAL` has no such move."""
    if (estado, move) not in LEGAL:
        raise IllegalMove(estado, move)
    return LEGAL[estado, move]


# The round: the one part of an acta's life in which the moves depend on more than its state.


@dataclass(frozen=True, slots=True)
class Capture:
    """What one person typed in one round, blind."""

    person: int
    site: int
    values: Values


@dataclass(frozen=True, slots=True)
class Round:
    """The captures of one round, in the order they were typed: none of a Digitalizada, up to three of a Capturada."""

    captures: tuple[Capture, ...] = ()

    @property
    def next(self) -> AnotherPerson | Agreed | Choose:
        return compare([capture.values for capture in self.captures])

    def with_capture(self, capture: Capture) -> "Round":
        """Raises Rejected if that person has typed in this round, or if it waits for no other capture."""
        if capture.person in {earlier.person for earlier in self.captures}:
            raise Rejected("la misma persona no puede capturar dos veces la misma acta", code=Code.CAPTURED_BEFORE)
        if not isinstance(self.next, AnotherPerson):
            raise Rejected("esta acta no espera otra captura", code=Code.ILLEGAL_MOVE)
        return Round((*self.captures, capture))

    def verified(self, chosen: Values | None = None) -> Values:
        """The values that count: two captures agree, or a person picked `chosen` out of three.

        Raises Rejected if the captures differ and nothing is chosen, or if `chosen` is none of the three.
        """
        outcome = self.next
        match outcome:
            case AnotherPerson():
                raise Rejected("falta la captura de otra persona", code=Code.ILLEGAL_MOVE)
            case Agreed(values):
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
