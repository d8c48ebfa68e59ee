"""The life of one acta: seven states by their official names, a table of legal moves, one function that moves.

    Esperada ──acopio──► Acopiada ──digitalización──► Digitalizada ──captura──► Capturada ─┐
       │                                                  ▲                     │ captura   │ verificación
       │ sin acta                                         │                     └──◄──┘     ▼
       └───────────────────────────────────────────────── │ ──────────────────────► Verificada
                                                          │ recaptura                       │ publicación
                                                          ├──────────────── Publicada ◄─────┘
                                                          └──── Cotejada ◄──── cotejo

Pure: no clock, no database. Postgres refuses the same illegal moves (`store/migrations`), and a test compares the two
and this drawing. What was typed is never part of a move's undoing: a recapture
opens a new round (`ronda`) beside the old one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, assert_never

from prep.domain.entry import Agreed, AnotherPerson, Choose, Values, choose, compare
from prep.domain.rules import Observation
from prep.errors import Rejected


class Estado(StrEnum):
    ESPERADA = "Esperada"
    ACOPIADA = "Acopiada"
    DIGITALIZADA = "Digitalizada"
    CAPTURADA = "Capturada"
    VERIFICADA = "Verificada"
    PUBLICADA = "Publicada"
    COTEJADA = "Cotejada"


@dataclass(frozen=True, slots=True)
class Capture:
    """What one person typed in one round, blind."""

    person: int
    site: int
    values: Values


# The states, each with what is known in it.


@dataclass(frozen=True, slots=True)
class Esperada:
    """In the catalogue; nothing has come."""


@dataclass(frozen=True, slots=True)
class Acopiada:
    """An image of it is safe."""

    image: bytes


@dataclass(frozen=True, slots=True)
class Digitalizada:
    """Its current image can be typed from; round `ronda` is open and empty."""

    image: bytes
    ronda: int


@dataclass(frozen=True, slots=True)
class Capturada:
    """One, two or three people have typed it and it is not yet agreed."""

    image: bytes
    ronda: int
    captures: tuple[Capture, ...]

    @property
    def next(self) -> AnotherPerson | Agreed | Choose:
        return compare([capture.values for capture in self.captures])


@dataclass(frozen=True, slots=True)
class Verificada:
    """Agreed by two people, chosen out of three, or registered as sin acta; not yet in a corte."""

    ronda: int
    values: Values | None
    """None where there is no acta to read (sin acta)."""
    sin_acta: Observation | None = None


@dataclass(frozen=True, slots=True)
class Publicada:
    """In a corte."""

    ronda: int


@dataclass(frozen=True, slots=True)
class Cotejada:
    """Compared with the paper after publication."""

    ronda: int


State = Esperada | Acopiada | Digitalizada | Capturada | Verificada | Publicada | Cotejada

ESTADO: Final[Mapping[type[State], Estado]] = MappingProxyType(
    {
        Esperada: Estado.ESPERADA,
        Acopiada: Estado.ACOPIADA,
        Digitalizada: Estado.DIGITALIZADA,
        Capturada: Estado.CAPTURADA,
        Verificada: Estado.VERIFICADA,
        Publicada: Estado.PUBLICADA,
        Cotejada: Estado.COTEJADA,
    }
)

# What can happen to it.


@dataclass(frozen=True, slots=True)
class Acopio:
    image: bytes


@dataclass(frozen=True, slots=True)
class Digitalizacion:
    pass


@dataclass(frozen=True, slots=True)
class Captura:
    capture: Capture


@dataclass(frozen=True, slots=True)
class Verificacion:
    """Two captures agree, or — `chosen` — a person picked one of three."""

    chosen: Values | None = None


@dataclass(frozen=True, slots=True)
class RegistroSinActa:
    kind: Observation


@dataclass(frozen=True, slots=True)
class Publicacion:
    pass


@dataclass(frozen=True, slots=True)
class Cotejo:
    pass


@dataclass(frozen=True, slots=True)
class Recaptura:
    """Type it again: a correction, a better copy, an acta that came after all, three captures that are all wrong."""

    image: bytes


Event = Acopio | Digitalizacion | Captura | Verificacion | RegistroSinActa | Publicacion | Cotejo | Recaptura

LEGAL: Final[Mapping[tuple[Estado, type[Event]], Estado]] = MappingProxyType(
    {
        (Estado.ESPERADA, Acopio): Estado.ACOPIADA,
        (Estado.ESPERADA, RegistroSinActa): Estado.VERIFICADA,
        (Estado.ACOPIADA, Digitalizacion): Estado.DIGITALIZADA,
        (Estado.DIGITALIZADA, Captura): Estado.CAPTURADA,
        (Estado.CAPTURADA, Captura): Estado.CAPTURADA,
        (Estado.CAPTURADA, Verificacion): Estado.VERIFICADA,
        (Estado.CAPTURADA, Recaptura): Estado.DIGITALIZADA,
        (Estado.VERIFICADA, Publicacion): Estado.PUBLICADA,
        (Estado.VERIFICADA, Recaptura): Estado.DIGITALIZADA,
        (Estado.PUBLICADA, Cotejo): Estado.COTEJADA,
        (Estado.PUBLICADA, Recaptura): Estado.DIGITALIZADA,
        (Estado.COTEJADA, Recaptura): Estado.DIGITALIZADA,
    }
)
"""Every legal move; what is not here is refused, in Python and in Postgres."""


class IllegalMove(Rejected):
    """The acta is in a state from which this cannot happen."""

    def __init__(self, estado: Estado, event: Event) -> None:
        super().__init__(f"un acta {estado.value} no admite {type(event).__name__}", status=409)


def move(state: State, event: Event) -> State:
    """The state after `event`.

    Raises IllegalMove where `LEGAL` has no such move, Rejected where the move is legal but this one is not: the same
    person twice in a round, two captures that differ, a resolution that is none of the three.
    """
    estado = ESTADO[type(state)]
    if (estado, type(event)) not in LEGAL:
        raise IllegalMove(estado, event)
    match state, event:
        case Esperada(), Acopio(image):
            return Acopiada(image)
        case Esperada(), RegistroSinActa(kind):
            return Verificada(ronda=0, values=None, sin_acta=kind)
        case Acopiada(image), Digitalizacion():
            return Digitalizada(image, ronda=1)
        case Digitalizada(image, ronda), Captura(capture):
            return Capturada(image, ronda, (capture,))
        case Capturada(), Captura(capture):
            return _capture_again(state, capture)
        case Capturada(), Verificacion(chosen):
            return _verify(state, chosen)
        case Verificada(ronda), Publicacion():
            return Publicada(ronda)
        case Publicada(ronda), Cotejo():
            return Cotejada(ronda)
        case ((Capturada() | Verificada() | Publicada() | Cotejada()), Recaptura(image)):
            return Digitalizada(image, state.ronda + 1)
        case _:
            raise AssertionError(f"legal but not written: {estado} {event}")


def _capture_again(state: Capturada, capture: Capture) -> Capturada:
    if capture.person in {earlier.person for earlier in state.captures}:
        raise Rejected("la misma persona no puede capturar dos veces la misma acta", status=409)
    if not isinstance(state.next, AnotherPerson):
        raise Rejected("esta acta no espera otra captura", status=409)
    return Capturada(state.image, state.ronda, (*state.captures, capture))


def _verify(state: Capturada, chosen: Values | None) -> Verificada:
    outcome = state.next
    match outcome:
        case AnotherPerson():
            raise Rejected("falta la captura de otra persona", status=409)
        case Agreed(values):
            if chosen is not None and chosen != values:
                raise Rejected("las capturas coinciden: no hay nada que resolver", status=409)
            return Verificada(state.ronda, values)
        case Choose(candidates):
            if chosen is None:
                raise Rejected("las tres capturas difieren: una persona debe elegir una de ellas", status=409)
            return Verificada(state.ronda, choose(candidates, chosen))
        case _:
            assert_never(outcome)
