"""Decisions of two people: proposals and their confirmations, as typed functions over `decisions.sql`.

Every function runs inside the caller's transaction. A subject is locked first, so the decisions about it stay as they
were read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from prep.domain.catalog import ActaId
from prep.domain.decision import DecisionKind, DecisionState
from prep.errors import Code, Rejected
from prep.store.database import Connection, sql

SQL: Final = sql("decisions")

_REFUSED: Final[Mapping[str, tuple[str, Code]]] = {
    "another_person": ("lo confirma otra persona, no quien lo propuso", Code.SAME_PERSON),
    "decision_open": ("ya hay una decisión sobre lo mismo que espera a otra persona", Code.DECISION_OPEN),
    "decision_move": ("esa decisión ya no lo admite; vea en qué va", Code.DECISION_MOVE),
    "night_closed": ("la noche ya cerró: salió el último corte, y lo publicado no cambia", Code.NIGHT_CLOSED),
}
"""The refusals of PostgreSQL by the name of the constraint."""


@dataclass(frozen=True, slots=True)
class ProposedDecision:
    """What one person says. Of the columns that name the subject, those of its kind are set."""

    kind: DecisionKind
    subject: str
    reason: str
    words: str
    acta: ActaId | None = None
    to_acta: ActaId | None = None
    image: bytes | None = None
    identity: str = ""
    parked: int | None = None
    device: str | None = None
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision and its state; the fields are the columns of the view `decision`."""

    id: int
    kind: DecisionKind
    subject: str
    acta: ActaId | None
    to_acta: ActaId | None
    image: bytes | None
    identity: str
    parked: int | None
    device: str | None
    sequence: int | None
    reason: str
    words: str
    person: int
    proposed_at: datetime
    answered_by: int | None
    answered_at: datetime | None
    undo: int | None
    """The last proposal to undo it."""
    undo_reason: str | None
    undo_words: str | None
    undo_person: int | None
    undo_at: datetime | None
    undone_by: int | None
    undone_at: datetime | None
    state: DecisionState

    @property
    def waits(self) -> tuple[int, int] | None:
        """The proposal that waits for its second person, and the first person; None if none waits."""
        match self.state:
            case DecisionState.PROPUESTA:
                return self.id, self.person
            case DecisionState.POR_DESHACER:
                assert self.undo is not None
                assert self.undo_person is not None
                return self.undo, self.undo_person
            case _:
                return None


@dataclass(frozen=True, slots=True)
class Speaker:
    """A person who decides, her site, and the moment."""

    person: int
    site: int
    at: datetime


async def lock_subject(connection: Connection, subject: str) -> None:
    await connection.execute(SQL["lock_subject"], subject)


async def propose(connection: Connection, said: ProposedDecision, by: Speaker) -> int:
    """Keep the proposal; returns the number of the decision. Raises Rejected (409) if one about it waits already."""
    subject = (said.kind, said.subject, said.acta, said.to_acta, said.image, said.identity)
    other = (said.parked, said.device, said.sequence, said.reason, said.words)
    try:
        number: int = await connection.fetchval(SQL["propose"], *subject, *other, by.person, by.site, by.at)
    except asyncpg.CheckViolationError as error:
        raise _refusal(error) from error
    return number


async def propose_undo(connection: Connection, decision: int, *, reason: str, words: str, by: Speaker) -> int:
    """Keep the proposal to undo a decision. Raises Rejected (409) if it cannot be undone now."""
    try:
        said = (decision, reason, words, by.person, by.site, by.at)
        number: int = await connection.fetchval(SQL["propose_undo"], *said)
    except asyncpg.CheckViolationError as error:
        raise _refusal(error) from error
    return number


async def answer(connection: Connection, proposal: int, *, agrees: bool, words: str, by: Speaker) -> None:
    """Keep the second person's word. Raises Rejected (409) if it is the first person's, or the proposal is answered."""
    try:
        await connection.execute(SQL["answer"], proposal, agrees, words, by.person, by.site, by.at)
    except asyncpg.CheckViolationError as error:
        raise _refusal(error) from error


def _refusal(error: asyncpg.CheckViolationError) -> Exception:
    """What PostgreSQL refused, in the words for a person; a refusal of another kind stays a defect."""
    if error.constraint_name is None or error.constraint_name not in _REFUSED:
        return error
    sentence, code = _REFUSED[error.constraint_name]
    return Rejected(sentence, code=code)


async def decision(connection: Connection, number: int) -> Decision:
    """Raises Rejected (404) if there is none with this number."""
    row = await connection.fetchrow(SQL["decision"], number)
    if row is None:
        raise Rejected(f"no hay una decisión con el número {number}", code=Code.NO_DECISION)
    return _decision_of(row)


async def open_about(connection: Connection, subject: str) -> Decision | None:
    """The decision about this subject that waits for its second person."""
    row = await connection.fetchrow(SQL["open_about"], subject)
    return None if row is None else _decision_of(row)


def _decision_of(row: asyncpg.Record) -> Decision:
    return Decision(**{**row, "kind": DecisionKind(row["kind"]), "state": DecisionState(row["state"])})


async def night_closed(connection: Connection) -> bool:
    """Whether the last corte is out."""
    closed: bool = await connection.fetchval(SQL["closed"])
    return closed


async def sequence_arrived(connection: Connection, device: str, sequence: int) -> bool | None:
    """Whether an image with this number came from the device; None if no device has this name."""
    if not await connection.fetchval(SQL["device_known"], device):
        return None
    arrived: bool = await connection.fetchval(SQL["sequence_known"], device, sequence)
    return arrived


async def parked_message(connection: Connection, parked: int, state: str) -> str | None:
    """The id of the message that was set aside under this number and is in this state."""
    found: str | None = await connection.fetchval(SQL["parked_message"], parked, state)
    return found
