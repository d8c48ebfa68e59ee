"""Which move of an acta is legal is asked of one table: PostgreSQL, the pipeline and the corte give its answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from prep import pipeline
from prep.domain.acta import LEGAL, Estado, IllegalMove, Move, after
from prep.domain.catalog import ActaId
from prep.domain.corte import Corte, Phase
from prep.domain.hours import CENTRAL
from prep.domain.rules import SIN_ACTA
from prep.store import cortes
from prep.store import pipeline as store
from prep.store.cortes import Release
from prep.store.database import Connection
from prep.store.people import Role
from tests.conftest import Night
from tests.makers.declared import TONIGHT
from tests.makers.small_night import small_night
from tests.makers.two_people import say_sin_acta

AT = datetime(2027, 6, 7, 2, 0, tzinfo=UTC)
GIVEN = pipeline.Given(lambda: AT, lambda: 0.5, lambda: CENTRAL)


@asynccontextmanager
async def some_actas(night: Night, folder: Path, count: int) -> AsyncIterator[tuple[Connection, list[ActaId]]]:
    """The owner's connection to a night of its own, and its first actas."""
    async with small_night(night, folder) as made:
        connection = await asyncpg.connect(night.owner)
        try:
            yield connection, [acta.id for acta in made.catalog.actas[:count]]
        finally:
            await connection.close()


async def put(connection: Connection, acta: ActaId, estado: Estado) -> None:
    """Into any state, past the trigger that guards the way there."""
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("UPDATE acta_current SET estado = $2 WHERE acta = $1", acta, estado)


async def estado_of(connection: Connection, acta: ActaId) -> Estado:
    return (await store.lock_acta(connection, acta, AT)).estado


async def accepts(connection: Connection, change: Coroutine[Any, Any, object]) -> bool:
    """Whether PostgreSQL lets the change through; one that is refused leaves no trace."""
    try:
        async with connection.transaction():
            await change
    except asyncpg.CheckViolationError:
        return False
    return True


async def ask(connection: Connection, acta: ActaId, move: Move) -> None:
    """What a person may ask for at the desk."""

    async def somebody(role: Role) -> int:
        found: int = await connection.fetchval("SELECT id FROM person WHERE role = $1", role)
        return found

    match move:
        case Move.REGISTRO_SIN_ACTA:
            await say_sin_acta(connection, acta, SIN_ACTA[0])
        case Move.COTEJO:
            person = await somebody(Role.COTEJADOR)
            await pipeline.cotejar(connection, acta=acta, person=person, result="aceptada", given=GIVEN)
        case Move.RECAPTURA:
            person = await somebody(Role.SUPERVISOR)
            await pipeline.recapture(connection, acta=acta, person=person, reason="corrección", given=GIVEN)
        case _:
            raise AssertionError(move)


async def test_the_moves_of_postgres_are_those_of_the_program(night: Night) -> None:
    connection = await asyncpg.connect(night.owner)
    rows = await connection.fetch("SELECT from_estado, move, to_estado FROM acta_move")
    await connection.close()
    assert {(Estado(before), Move(move)): Estado(then) for before, move, then in rows} == LEGAL
    assert len(rows) == len(LEGAL)


@pytest.mark.parametrize("before", Estado)
async def test_a_state_written_by_hand_is_refused_if_no_move_leads_to_it(
    night: Night, tmp_path: Path, before: Estado
) -> None:
    async with some_actas(night, tmp_path, 1) as (connection, [acta]):
        await store.lock_acta(connection, acta, AT)
        for then in set(Estado) - {before}:
            await put(connection, acta, before)
            written = connection.execute("UPDATE acta_current SET estado = $2 WHERE acta = $1", acta, then)
            assert await accepts(connection, written) is (then in {LEGAL.get((before, move)) for move in Move}), then


@pytest.mark.parametrize("happens", [Move.REGISTRO_SIN_ACTA, Move.COTEJO, Move.RECAPTURA])
async def test_what_a_person_asks_for_is_done_in_the_states_that_allow_it_alone(
    night: Night, tmp_path: Path, happens: Move
) -> None:
    async with some_actas(night, tmp_path, len(Estado)) as (connection, actas):
        image = bytes(32)
        await connection.execute("INSERT INTO image VALUES ($1, 1, 'jpeg', $2)", image, AT)
        for acta, estado in zip(actas, Estado, strict=True):
            await ask(connection, acta, Move.REGISTRO_SIN_ACTA)
            await connection.execute("UPDATE acta_current SET image = $2 WHERE acta = $1", acta, image)
            await put(connection, acta, estado)
            if (estado, happens) in LEGAL:
                await ask(connection, acta, happens)
            else:
                with pytest.raises(IllegalMove, match=f"{estado.value} no admite {happens.value}"):
                    await ask(connection, acta, happens)
            assert await estado_of(connection, acta) is LEGAL.get((estado, happens), estado)


async def test_a_corte_publishes_the_actas_that_may_be_and_leaves_the_others_in_their_state(
    night: Night, tmp_path: Path
) -> None:
    """A version may come out while its acta is typed again, or after the paper was looked at: that goes on."""
    async with some_actas(night, tmp_path, len(Estado)) as (connection, actas):
        for acta, estado in zip(actas, Estado, strict=True):
            await ask(connection, acta, Move.REGISTRO_SIN_ACTA)
            await put(connection, acta, estado)
        versions = [row["version"] for row in await connection.fetch("SELECT version FROM acta_current")]
        corte = Corte(0, AT, Phase.CERO, AT, simulacro=True, sums="0" * 64)
        await cortes.record(connection, corte, Release(versions, [], {}), declaration=TONIGHT.digest)
        for acta, estado in zip(actas, Estado, strict=True):
            assert await estado_of(connection, acta) is LEGAL.get((estado, Move.PUBLICACION), estado)


def test_the_program_and_postgres_accept_and_refuse_the_same_moves(night: Night, tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        opened = some_actas(night, tmp_path, 1)
        made, [first] = runner.run(opened.__aenter__())

        class Here(BothLives):
            connection, acta, run = made, first, staticmethod(runner.run)

        try:
            run_state_machine_as_test(Here, settings=settings(max_examples=25, stateful_step_count=30, deadline=None))
        finally:
            runner.run(opened.__aexit__(None, None, None))


class BothLives(RuleBasedStateMachine):
    """One acta in the program and in PostgreSQL; each example is a transaction that is rolled back."""

    connection: Connection
    acta: ActaId
    run: Callable[[Coroutine[Any, Any, Any]], Any]

    def __init__(self) -> None:
        super().__init__()
        self.example = self.connection.transaction()
        self.run(self.example.start())
        self.estado = self.run(estado_of(self.connection, self.acta))

    def teardown(self) -> None:
        self.run(self.example.rollback())

    @rule(move=st.sampled_from(Move))
    def anything(self, move: Move) -> None:
        try:
            then = after(self.estado, move)
        except IllegalMove:
            then = None
        moved = store.move_acta(self.connection, self.acta, move, ronda=1, image=None, at=AT)
        assert self.run(accepts(self.connection, moved)) is (then is not None)
        self.estado = then or self.estado

    @rule(data=st.data())
    def something_legal(self, data: st.DataObject) -> None:
        """So that an acta gets as far as it can: of eight moves one or two are legal at a time."""
        self.anything(data.draw(st.sampled_from([move for estado, move in LEGAL if estado is self.estado])))

    @invariant()
    def both_are_in_the_same_state(self) -> None:
        assert self.run(estado_of(self.connection, self.acta)) is self.estado
