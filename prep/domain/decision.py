"""A decision that needs two people: its kinds, its states, one table of legal moves, and the closed list of reasons.

    propuesta ──confirma──► confirmada ──pide deshacer──► por deshacer ──confirma──► deshecha
    propuesta ──rechaza──► rechazada          por deshacer ──rechaza──► confirmada

One person proposes and another confirms; before that it counts for nothing. It is undone in the same way, until the
night closes. This file holds rules only: no clock, no database. All code that moves a decision asks `after`. Postgres
refuses the same illegal moves and the same person (`store/migrations`), and tests compare `LEGAL`, the table in
Postgres and this drawing.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from prep.domain.rules import SIN_ACTA, Observation
from prep.errors import Code, Rejected


class DecisionKind(StrEnum):
    """What two people may decide. The values are on the wire, in Postgres and in the published manifest."""

    SIN_ACTA = "sin_acta"
    """The acta will not come; the reason says why."""
    IMAGEN_DE_OTRA_ACTA = "imagen_de_otra_acta"
    """An image that is tied to an acta shows another one."""
    FUERA_DE_CATALOGO = "fuera_de_catalogo"
    """An image shows an acta of no approved casilla."""
    IMAGEN_SIN_IDENTIDAD = "imagen_sin_identidad"
    """Nobody can tell which acta an image shows."""
    MENSAJE_DESCARTADO = "mensaje_descartado"
    """A message that was set aside, often an image, will not be handled."""
    NUMERO_PERDIDO = "numero_perdido"
    """A device used a number for an image that it lost."""


class DecisionState(StrEnum):
    PROPUESTA = "propuesta"
    """One person said it. It counts for nothing yet."""
    CONFIRMADA = "confirmada"
    """Another person agreed: it has its effect."""
    RECHAZADA = "rechazada"
    """Another person disagreed, or the first one withdrew it."""
    POR_DESHACER = "por deshacer"
    """It has its effect, and one person asked to undo it."""
    DESHECHA = "deshecha"
    """Another person agreed to undo it: its effect is taken back."""


class DecisionMove(StrEnum):
    CONFIRMA = "confirma"
    RECHAZA = "rechaza"
    PIDE_DESHACER = "pide deshacer"


LEGAL: Final[Mapping[tuple[DecisionState, DecisionMove], DecisionState]] = MappingProxyType(
    {
        (DecisionState.PROPUESTA, DecisionMove.CONFIRMA): DecisionState.CONFIRMADA,
        (DecisionState.PROPUESTA, DecisionMove.RECHAZA): DecisionState.RECHAZADA,
        (DecisionState.CONFIRMADA, DecisionMove.PIDE_DESHACER): DecisionState.POR_DESHACER,
        (DecisionState.POR_DESHACER, DecisionMove.CONFIRMA): DecisionState.DESHECHA,
        (DecisionState.POR_DESHACER, DecisionMove.RECHAZA): DecisionState.CONFIRMADA,
    }
)
"""State and move → next state. Every legal move is in this table; Python and Postgres refuse all others."""

OPEN: Final = frozenset({DecisionState.PROPUESTA, DecisionState.POR_DESHACER})
"""States in which a second person is waited for. A subject has one such decision at a time."""


def after(state: DecisionState, move: DecisionMove) -> DecisionState:
    """The state after `move`. Raises Rejected (409) if `LEGAL` has no such move."""
    if (state, move) not in LEGAL:
        raise Rejected(f"una decisión {state} no admite: {move}", code=Code.DECISION_MOVE)
    return LEGAL[state, move]


def another_person(proposer: int, answerer: int, move: DecisionMove) -> None:
    """Raises Rejected (409) if the person who proposed would confirm her own word. She may withdraw it."""
    if move is DecisionMove.CONFIRMA and proposer == answerer:
        raise Rejected("lo confirma otra persona, no quien lo propuso", code=Code.SAME_PERSON)


# Reasons. The code of each is published beside its sentence, and a free text may follow.

OTHER: Final = "otra"
"""The reason that a free text must explain."""
_OTHER: Final = {OTHER: "Otra razón, que se explica en el texto"}
BY_IDENTIFICATION: Final = "dos_identificaciones"
"""Of a decision that follows from two people who identified an image, without seeing each other's word."""
_BY_IDENTIFICATION: Final = {BY_IDENTIFICATION: "Dos personas dijeron lo mismo al identificar la imagen, por separado"}

SIN_ACTA_OF: Final[Mapping[str, Observation]] = MappingProxyType(
    dict(
        zip(
            ("paquete_no_entregado", "casilla_no_instalada", "paquete_sin_sobre", "contingencia_de_la_urna"),
            SIN_ACTA,
            strict=True,
        )
    )
)
"""The reasons of *sin acta*, and the observation that each of them gives."""

REASONS: Final[Mapping[DecisionKind, Mapping[str, str]]] = MappingProxyType(
    {
        DecisionKind.SIN_ACTA: {
            "paquete_no_entregado": "El paquete electoral no se entregó",
            "casilla_no_instalada": "La casilla no se instaló",
            "paquete_sin_sobre": "El paquete se entregó sin el sobre PREP",
            "contingencia_de_la_urna": "Contingencia de la urna electrónica",
        },
        DecisionKind.IMAGEN_DE_OTRA_ACTA: {
            "etiqueta_equivocada": "El acta trae la etiqueta de otra acta",
            "identificada_por_error": "La imagen se identificó por error",
            "identificada_despues": "La imagen se pudo identificar después",
            **_OTHER,
        },
        DecisionKind.FUERA_DE_CATALOGO: {
            **_BY_IDENTIFICATION,
            "casilla_no_aprobada": "La casilla del acta no está entre las aprobadas",
            **_OTHER,
        },
        DecisionKind.IMAGEN_SIN_IDENTIDAD: _BY_IDENTIFICATION,
        DecisionKind.MENSAJE_DESCARTADO: {
            "imagen_de_prueba": "Es una imagen de prueba",
            "repetido": "Lo mismo ya llegó por otro camino",
            "no_es_un_acta": "La imagen no es de un acta",
            **_OTHER,
        },
        DecisionKind.NUMERO_PERDIDO: {
            "dispositivo_descompuesto": "El dispositivo se descompuso",
            "dispositivo_perdido": "El dispositivo se perdió o fue robado",
            "imagen_borrada": "La imagen se borró antes de enviarse",
            **_OTHER,
        },
    }
)
"""The closed list of reasons of each kind: code → the sentence that is published."""

UNDO_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "error": "La decisión fue un error",
        "nueva_evidencia": "Apareció el acta, la imagen u otra prueba",
        **_OTHER,
    }
)
"""The reasons to undo, of every kind."""


def reason_text(kind: DecisionKind, reason: str, *, undo: bool) -> str:
    """The sentence of a reason. Raises Rejected (422) if it is not in the closed list."""
    listed = UNDO_REASONS if undo else REASONS[kind]
    if reason not in listed:
        raise Rejected(f"el motivo es uno de: {', '.join(listed)}", code=Code.REASON_NOT_USED)
    return listed[reason]


def check_reason(kind: DecisionKind, reason: str, words: str, *, undo: bool) -> None:
    """Raises Rejected (422) for a reason of no list, one that only the pipeline gives, or «otra» without a text."""
    reason_text(kind, reason, undo=undo)
    if not undo and reason == BY_IDENTIFICATION:
        raise Rejected("eso lo dicen dos personas al identificar la imagen", code=Code.REASON_NOT_USED)
    if reason == OTHER and not words.strip():
        raise Rejected("con el motivo «otra» hay que decir cuál en el texto", code=Code.REASON_NOT_USED)
