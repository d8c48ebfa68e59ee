"""What two people decide together, and what it does: proposed by one, confirmed by another, undone in the same way.

Read from top to bottom: a proposal, its answer, the effect, the way back. Every function takes a connection inside a
transaction: a decision, its effect and its event commit together. A proposal changes nothing else. The rules stand in
`prep/domain/decision.py`; PostgreSQL refuses the same person, a second open decision about one subject, and a decision
after the close.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

from prep import pipeline
from prep.domain.acta import Move
from prep.domain.acta import after as acta_after
from prep.domain.catalog import ActaId, Identity, read_identity
from prep.domain.decision import (
    SIN_ACTA_OF,
    DecisionKind,
    DecisionMove,
    DecisionState,
    after,
    another_person,
    check_reason,
    reason_text,
)
from prep.domain.rules import assess_sin_acta, rule_set
from prep.errors import Code, Rejected
from prep.pipeline import Given
from prep.store import decisions as store
from prep.store import deliveries, people
from prep.store import pipeline as facts
from prep.store.database import Connection
from prep.store.decisions import Decision, ProposedDecision, Speaker
from prep.store.deliveries import ParkedState

_SETTLED: Final = frozenset({"identificada", "fuera_de_catalogo", "ilegible"})
"""States of an image in which nobody is asked about it: two people, or its sticker, have said what it is."""
LONGEST_WORDS: Final = 500
"""Characters of the free text beside a reason; it is published."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a person proposes. Of the fields that name the subject, those of its kind are set."""

    kind: DecisionKind
    reason: str
    words: str = ""
    acta: ActaId | None = None
    image: str = ""
    """SHA-256, hex."""
    identity: str = ""
    """QR text of the acta that the image shows; '' if other people are to say it."""
    parked: int = 0
    device: str = ""
    sequence: int = 0


# What one person may do: it counts no vote, and takes no acta away.


async def send_again(connection: Connection, parked: int, *, by: str, at: datetime) -> None:
    """Send a message again that was set aside, with all its attempts; its event keeps who did it.

    Raises Rejected: 404; 409 if somebody proposed to dismiss it, because two people decide then.
    """
    subject = _of_message(parked)
    await store.lock_subject(connection, subject)
    waiting = await store.open_about(connection, subject)
    if waiting is not None:
        sentence = f"la decisión {waiting.id} sobre el mensaje {parked} espera a otra persona: que la conteste antes"
        raise Rejected(sentence, code=Code.DECISION_OPEN)
    await deliveries.retry(connection, parked, at=at, by=by)


# 1. One person proposes.


async def propose(connection: Connection, said: Said, by: Speaker) -> tuple[Decision, bool]:
    """Keep a proposal; returns its decision, and whether it is new. The same person may say the same again.

    Raises Rejected if the reason is not in the closed list, if the subject does not allow it now, or if another
    decision about it waits.
    """
    check_reason(said.kind, said.reason, said.words, undo=False)
    subject = _subject(said)
    await store.lock_subject(connection, subject)
    proposal = await _checked(connection, said, subject, by)
    waiting = await store.open_about(connection, subject)
    if waiting is not None and waiting.state is DecisionState.PROPUESTA and _says_the_same(waiting, proposal, by):
        return waiting, False
    number = await store.propose(connection, proposal, by)
    return await store.decision(connection, number), True


def _subject(said: Said) -> str:
    match said.kind:
        case DecisionKind.SIN_ACTA:
            return f"acta:{said.acta}"
        case DecisionKind.MENSAJE_DESCARTADO:
            return _of_message(said.parked)
        case DecisionKind.NUMERO_PERDIDO:
            return f"numero:{said.device}:{said.sequence}"
        case DecisionKind.IMAGEN_DE_OTRA_ACTA | DecisionKind.FUERA_DE_CATALOGO | DecisionKind.IMAGEN_SIN_IDENTIDAD:
            return pipeline.image_subject(said.image)
        case _:
            assert_never(said.kind)


def _of_message(parked: int) -> str:
    return f"mensaje:{parked}"


def _says_the_same(waiting: Decision, said: ProposedDecision, by: Speaker) -> bool:
    mine = (said.kind, said.identity, said.reason, said.words, by.person)
    return (waiting.kind, waiting.identity, waiting.reason, waiting.words, waiting.person) == mine


async def _checked(connection: Connection, said: Said, subject: str, by: Speaker) -> ProposedDecision:
    """The proposal, if its subject allows it now. Both people hear a refusal, and not the second one alone."""
    words = said.words.strip()
    match said.kind:
        case DecisionKind.SIN_ACTA:
            assert said.acta is not None
            row = await facts.lock_acta(connection, said.acta, by.at)
            acta_after(row.estado, Move.REGISTRO_SIN_ACTA)
            assess_sin_acta(SIN_ACTA_OF[said.reason], rule_set(row.rules))
            return ProposedDecision(said.kind, subject, said.reason, words, acta=said.acta)
        case DecisionKind.MENSAJE_DESCARTADO:
            if await store.parked_message(connection, said.parked, ParkedState.PARKED) is None:
                raise Rejected(f"no hay un mensaje apartado con el número {said.parked}", code=Code.NO_PARKED)
            return ProposedDecision(said.kind, subject, said.reason, words, parked=said.parked)
        case DecisionKind.NUMERO_PERDIDO:
            arrived = await store.sequence_arrived(connection, said.device, said.sequence)
            if arrived is None:
                raise Rejected(f"no está inscrito el dispositivo {said.device}", code=Code.NO_DEVICE)
            if arrived:
                raise Rejected(f"la imagen {said.sequence} de {said.device} sí llegó", code=Code.NUMBER_ARRIVED)
            return ProposedDecision(said.kind, subject, said.reason, words, device=said.device, sequence=said.sequence)
        case DecisionKind.IMAGEN_DE_OTRA_ACTA | DecisionKind.FUERA_DE_CATALOGO:
            return await _checked_image(connection, said, subject, words)
        case DecisionKind.IMAGEN_SIN_IDENTIDAD:
            raise Rejected("eso lo dicen dos personas al identificar la imagen", code=Code.REASON_NOT_USED)
        case _:
            assert_never(said.kind)


async def _checked_image(connection: Connection, said: Said, subject: str, words: str) -> ProposedDecision:
    image = bytes.fromhex(said.image)
    row = await facts.find_image(connection, image)
    if row is None:
        raise Rejected("no hay tal imagen", code=Code.NO_IMAGE)
    outside = said.kind is DecisionKind.FUERA_DE_CATALOGO
    # An image that waits to be identified is for the two people who identify it, and who see it blind.
    if row.state not in _SETTLED:
        raise Rejected("esa imagen espera a que la lean o la identifiquen", code=Code.IMAGE_MOVE)
    identity = _identity(said.identity)
    to_acta = await facts.acta_by_qr(connection, identity.text) if identity else None
    if outside and (identity is None or to_acta is not None):
        raise Rejected("identidad: la de un acta que el catálogo no tiene", code=Code.IDENTITY_WRONG)
    if outside and row.state == "fuera_de_catalogo" and identity != await facts.fuera_identity(connection, image):
        # It stays outside as it is listed. Under another identity it is identified again: its decision is undone.
        raise Rejected("identidad: la que tiene en la lista de fuera de catálogo", code=Code.IDENTITY_WRONG)
    if not outside and identity is None and row.state == "ilegible":
        raise Rejected("identidad: la del acta que muestra la imagen", code=Code.IDENTITY_WRONG)
    if not outside and identity is not None and (to_acta is None or to_acta == row.acta):
        raise Rejected("identidad: la de otra acta del catálogo, o vacía", code=Code.IDENTITY_WRONG)
    text = identity.text if identity else ""
    return ProposedDecision(
        said.kind, subject, said.reason, words, acta=row.acta, to_acta=to_acta, image=image, identity=text
    )


def _identity(text: str) -> Identity | None:
    if not text:
        return None
    read = read_identity(text)
    if read is None:
        raise Rejected("identidad: no es el texto de un QR de acta", code=Code.IDENTITY_WRONG)
    return read[0]


async def propose_undo(
    connection: Connection, number: int, *, reason: str, words: str, by: Speaker
) -> tuple[Decision, bool]:
    """Keep that a person wants to take a decision back; returns the decision, and whether that is new.

    Raises Rejected if it has no effect to take back, or if a later decision about the same rests on it.
    """
    found = await _locked(connection, number)
    check_reason(found.kind, reason, words, undo=True)
    said = (reason, words.strip(), by.person)
    if found.state is DecisionState.POR_DESHACER and (found.undo_reason, found.undo_words, found.undo_person) == said:
        return found, False
    after(found.state, DecisionMove.PIDE_DESHACER)
    if found.kind is DecisionKind.NUMERO_PERDIDO:
        raise Rejected("que el número se perdió ya está en la bitácora: no se deshace", code=Code.DECISION_MOVE)
    if found.kind is DecisionKind.IMAGEN_DE_OTRA_ACTA and found.to_acta is None:
        assert found.image is not None
        # Two people may be looking at it now: their answer settles it, and can be corrected like any other.
        row = await facts.lock_image(connection, found.image)
        if row.state == "por_identificar":
            raise Rejected("esa imagen espera a que la identifiquen", code=Code.IMAGE_MOVE)
    await store.propose_undo(connection, number, reason=reason, words=words.strip(), by=by)
    return await store.decision(connection, number), True


# 2. Another person answers.


async def answer(
    connection: Connection, number: int, move: DecisionMove, *, words: str, by: Speaker, given: Given
) -> tuple[Decision, bool]:
    """Confirm or refuse the proposal that waits, and do it; returns the decision, and whether the answer is new.

    Raises Rejected: 404; 409 for the person who proposed, for a decision that does not wait, and after the close.
    """
    found = await _locked(connection, number)
    agrees = move is DecisionMove.CONFIRMA
    if found.waits is None and _answered_so(found, by.person, agrees=agrees):
        return found, False
    after(found.state, move)
    assert found.waits is not None
    proposal, proposer = found.waits
    another_person(proposer, by.person, move)
    await store.answer(connection, proposal, agrees=agrees, words=words.strip(), by=by)
    if agrees:
        await (_undo if found.state is DecisionState.POR_DESHACER else _carry_out)(connection, found, proposal, given)
        await _tell(connection, found, given)
    return await store.decision(connection, number), True


def _answered_so(found: Decision, person: int, *, agrees: bool) -> bool:
    """Whether this person gave this very answer last."""
    match found.state:
        case DecisionState.CONFIRMADA if found.undo is None:
            return agrees and found.answered_by == person
        case DecisionState.CONFIRMADA:
            return not agrees and found.undone_by == person
        case DecisionState.RECHAZADA:
            return not agrees and found.answered_by == person
        case DecisionState.DESHECHA:
            return agrees and found.undone_by == person
        case _:
            return False


async def _locked(connection: Connection, number: int) -> Decision:
    found = await store.decision(connection, number)
    await store.lock_subject(connection, found.subject)
    return await store.decision(connection, number)


async def _tell(connection: Connection, found: Decision, given: Given) -> None:
    """The event of a decision, or of its undoing, as it was confirmed. It names no person."""
    undo = found.state is DecisionState.POR_DESHACER
    detail = {
        "clase": found.kind,
        "asunto": found.subject,
        "deshace": undo,
        "motivo": found.undo_reason if undo else found.reason,
        "texto": found.undo_words if undo else found.words,
    }
    await facts.add_event(connection, "decision", f"decision:{found.id}", detail, given.now())


# 3. What a confirmed decision does.


async def _carry_out(connection: Connection, found: Decision, proposal: int, given: Given) -> None:
    match found.kind:
        case DecisionKind.SIN_ACTA:
            assert found.acta is not None
            kind = SIN_ACTA_OF[found.reason]
            await pipeline.register_sin_acta(
                connection, acta=found.acta, kind=kind, person=found.person, decision=proposal, given=given
            )
        case DecisionKind.MENSAJE_DESCARTADO:
            assert found.parked is not None
            reason = f"{found.reason}: {found.words}" if found.words else found.reason
            await deliveries.dismiss(connection, found.parked, reason=reason, at=given.now())
        case DecisionKind.NUMERO_PERDIDO:
            await _declare_lost(connection, found, given)
        case DecisionKind.IMAGEN_DE_OTRA_ACTA | DecisionKind.FUERA_DE_CATALOGO:
            await _move_image(connection, found, given)
        case DecisionKind.IMAGEN_SIN_IDENTIDAD:
            raise AssertionError("the pipeline confirms it itself")
        case _:
            assert_never(found.kind)


async def _declare_lost(connection: Connection, found: Decision, given: Given) -> None:
    """The same fact as `prep device lost` keeps. It becomes a leaf, so that verifiers know why a number is missing."""
    assert found.device is not None
    answered = await store.decision(connection, found.id)
    assert answered.answered_by is not None
    told = reason_text(found.kind, found.reason, undo=False)
    await people.add_device_loss(
        connection,
        found.device,
        numbers=str(found.sequence),
        reason=f"{told}: {found.words}" if found.words else told,
        people=(found.person, answered.answered_by),
        at=given.now(),
    )


async def _move_image(connection: Connection, found: Decision, given: Given) -> None:
    assert found.image is not None
    row = await facts.lock_image(connection, found.image)
    await _lock_both(connection, found, given)
    # The image may have moved between the two people: what both saw is no longer so.
    if row.acta != found.acta or row.state not in _SETTLED:
        raise Rejected("la imagen ya no está donde estaba cuando se propuso", code=Code.IMAGE_MOVE)
    if found.kind is DecisionKind.FUERA_DE_CATALOGO:
        if row.state == "fuera_de_catalogo":
            return  # it stays there, and the decision with its reason is published
        identity = _identity(found.identity)
        assert identity is not None
        await pipeline.set_fuera(connection, found.image, identity, found.id, given)
    else:
        await facts.remove_fuera(connection, found.image, found.id)
        await _send_image(connection, found.image, found.to_acta, given)
    if found.acta is not None:
        await pipeline.take_from_acta(connection, found.acta, image=found.image, decision=found.id, given=given)


async def _lock_both(connection: Connection, found: Decision, given: Given) -> None:
    """Both actas, always in the same order: two decisions that wait for each other would never end."""
    for acta in sorted(each for each in (found.acta, found.to_acta) if each is not None):
        await facts.lock_acta(connection, acta, given.now())


async def _send_image(connection: Connection, image: bytes, acta: ActaId | None, given: Given) -> None:
    """To that acta; or, without one, to two people who identify it."""
    if acta is None:
        await pipeline.identify_again(connection, image, given)
    else:
        await pipeline.tie_image(connection, image, acta, given)


# 4. What the undoing of a decision does: all is as before it, and captures stay on record.


async def _undo(connection: Connection, found: Decision, proposal: int, given: Given) -> None:
    match found.kind:
        case DecisionKind.SIN_ACTA:
            assert found.acta is not None
            await pipeline.expect_again(connection, found.acta, registered=found.id, decision=proposal, given=given)
        case DecisionKind.MENSAJE_DESCARTADO:
            assert found.parked is not None
            await deliveries.undo_dismissal(connection, found.parked, at=given.now())
        case DecisionKind.NUMERO_PERDIDO:
            raise AssertionError("it is in the log, and nobody can propose it")
        case DecisionKind.FUERA_DE_CATALOGO | DecisionKind.IMAGEN_SIN_IDENTIDAD | DecisionKind.IMAGEN_DE_OTRA_ACTA:
            await _move_image_back(connection, found, proposal, given)
        case _:
            assert_never(found.kind)


async def _move_image_back(connection: Connection, found: Decision, proposal: int, given: Given) -> None:
    assert found.image is not None
    row = await facts.lock_image(connection, found.image)
    if row.state == "por_identificar":
        raise Rejected("esa imagen espera a que la identifiquen", code=Code.IMAGE_MOVE)
    if found.kind is DecisionKind.FUERA_DE_CATALOGO and not await facts.made_fuera(connection, found.image, found.id):
        return  # it was outside before: it stays there by the decision before this one
    await facts.remove_fuera(connection, found.image, proposal)
    await _send_image(connection, found.image, found.acta, given)
    if row.acta is not None and row.acta != found.acta:
        await pipeline.take_from_acta(connection, row.acta, image=found.image, decision=proposal, given=given)
