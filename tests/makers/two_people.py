"""Decisions of two people for tests that need one on the way to something else."""

from datetime import UTC, datetime

from prep import decisions, pipeline
from prep.decisions import Said
from prep.domain.catalog import ActaId
from prep.domain.decision import BY_IDENTIFICATION, SIN_ACTA_OF, DecisionKind, DecisionMove
from prep.domain.hours import CENTRAL
from prep.domain.rules import Observation
from prep.store import decisions as store
from prep.store.database import Connection, Pool, transaction
from prep.store.decisions import ProposedDecision, Speaker

AT = datetime(2027, 6, 7, 2, 0, tzinfo=UTC)


async def two_people(connection: Connection, at: datetime = AT) -> tuple[Speaker, Speaker]:
    """Two people of this database; added (by its owner) if it has fewer."""
    query = "SELECT id, site FROM person ORDER BY id LIMIT 2"
    found = await connection.fetch(query)
    if len(found) < 2:
        await connection.execute(
            "INSERT INTO person (login, password_form, key_sha256, role, site)"
            " SELECT login, '', sha256(''), 'supervisor', (SELECT min(id) FROM site)"
            " FROM unnest('{decide.una,decide.otra}'::text[]) AS p (login)"
        )
        found = await connection.fetch(query)
    first, second = (Speaker(row["id"], row["site"], at) for row in found)
    return first, second


async def say_sin_acta(connection: Connection, acta: int, kind: Observation, *, at: datetime = AT) -> int:
    """One person proposes that the acta will not come, another confirms; returns the number of the decision."""
    first, second = await two_people(connection, at)
    reason = next(reason for reason, gives in SIN_ACTA_OF.items() if gives is kind)
    said = Said(DecisionKind.SIN_ACTA, reason, acta=ActaId(acta))
    proposed, _ = await decisions.propose(connection, said, first)
    given = pipeline.Given(lambda: at, lambda: 0.5, lambda: CENTRAL)
    await decisions.answer(connection, proposed.id, DecisionMove.CONFIRMA, words="", by=second, given=given)
    return proposed.id


async def record_sin_acta(connection: Connection, acta: int, kind: Observation) -> int:
    """The facts of such a decision alone, for a test that writes the version itself; returns its number."""
    reason = next(reason for reason, gives in SIN_ACTA_OF.items() if gives is kind)
    return await _record(
        connection, ProposedDecision(DecisionKind.SIN_ACTA, f"acta:{acta}", reason, "", acta=ActaId(acta))
    )


async def record_fuera(connection: Connection, image: bytes, identity: str) -> int:
    """The facts of a decision that an image is of no acta of the catalogue; returns its number."""
    subject = pipeline.image_subject(image.hex())
    kind = DecisionKind.FUERA_DE_CATALOGO
    return await _record(
        connection, ProposedDecision(kind, subject, BY_IDENTIFICATION, "", image=image, identity=identity)
    )


async def _record(connection: Connection, said: ProposedDecision) -> int:
    first, second = await two_people(connection)
    number = await store.propose(connection, said, first)
    await store.answer(connection, number, agrees=True, words="", by=second)
    return number


async def undo_decision(pool: Pool, number: int, *, at: datetime = AT) -> None:
    """Two people take a decision back."""
    async with transaction(pool) as connection:
        first, second = await two_people(connection, at)
        given = pipeline.Given(lambda: at, lambda: 0.5, lambda: CENTRAL)
        await decisions.propose_undo(connection, number, reason="otra", words="se leyó mal", by=first)
        await decisions.answer(connection, number, DecisionMove.CONFIRMA, words="", by=second, given=given)
