"""The declaration in the database: fixed by the first leaf and by corte 0; a rehearsal begins again, a real night never."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from prep import observe
from prep.domain.corte import Phase
from prep.domain.night import Night as DeclaredNight
from prep.errors import Code, Rejected, Unavailable
from prep.store import night as store
from prep.store.database import Connection, Pool, borrow, connect
from prep.store.night import KEPT
from prep.store.tonight import Tonight
from tests.conftest import Night
from tests.makers.declared import REAL, REHEARSAL, TONIGHT, declare, open_night, record_corte
from tests.makers.small_night import small_night

AT = datetime(2027, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
async def owner(night: Night) -> AsyncIterator[Connection]:
    async with connect(night.owner) as connection:
        yield connection


async def test_a_declaration_is_kept_whole_and_may_be_another_until_the_night_begins(
    night: Night, owner: Connection
) -> None:
    assert await store.standing(owner) is None
    with pytest.raises(Rejected, match="prep night init"):
        await store.declared(owner)
    for each in (REHEARSAL, replace(REAL, policy="log x\n"), REAL):
        await declare(night.owner, each, at=AT)
        assert await store.declared(owner) == each
    stands = await store.standing(owner)
    assert stands is not None
    assert (stands.opened_at, stands.closed_at) == (None, None)


BEGINS = {
    "corte 0": "",
    "the log": "INSERT INTO log_start (at, origen, simulacro, catalogo, reglas, politica, clave, keys, declaracion) "
    f"VALUES (now(), 'x', false, 'x', 'x', 'x', 'x', 0, '{REAL.digest}')",
}


@pytest.mark.parametrize("begins", BEGINS)
async def test_once_the_night_begins_the_declaration_stays_and_what_differs_is_said(
    night: Night, owner: Connection, begins: str
) -> None:
    await declare(night.owner, REAL, at=AT)
    await (owner.execute(BEGINS[begins]) if BEGINS[begins] else record_corte(night.owner, 0, REAL, at=AT))
    await declare(night.owner, REAL, at=AT)  # the same again is no change
    with pytest.raises(Rejected, match=r"ya comenzó.*simulacro: no, no sí.*siglas: EJ, no TAM"):
        await declare(night.owner, replace(REHEARSAL, siglas="TAM"), at=AT)
    # Nobody gets around it: the owner of the tables neither.
    for words in (
        "UPDATE night SET digest = 'x', content = 'y'",
        "DELETE FROM night",
        "UPDATE night SET simulacro = true",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await owner.execute(words)
    assert await store.declared(owner) == REAL


@pytest.mark.parametrize("lie", [{"simulacro": True}, {"siglas": "TAM"}])
async def test_a_corte_of_another_declaration_is_never_on_record(night: Night, lie: dict[str, object]) -> None:
    """A restart with other words turned a real night into a rehearsal in mid-course."""
    await open_night(night.owner, REAL, at=AT)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await record_corte(night.owner, 1, replace(REAL, **lie), at=AT + timedelta(minutes=5))  # type: ignore[arg-type]


async def test_without_a_declaration_there_is_no_corte(owner: Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await owner.execute(
            "INSERT INTO corte (number, at, phase, sums, counts, due, simulacro) "
            "VALUES (0, now(), 'cero', repeat('0', 64), '{}', now(), true)"
        )


IMPOSSIBLE = [
    "simulacro = false, ensayo = true",
    "ceremony = false, ensayo = false",
    "starts_at = NULL, ends_at = NULL",
    "ends_at = starts_at",
    "starts_at = NULL",
    "content = content || ' '",
]


@pytest.mark.parametrize("words", IMPOSSIBLE)
async def test_the_table_holds_no_night_that_cannot_be(night: Night, owner: Connection, words: str) -> None:
    await declare(night.owner, REAL, at=AT)
    with pytest.raises(asyncpg.CheckViolationError):
        await owner.execute(f"UPDATE night SET {words}")


async def test_corte_0_waits_for_the_record_of_the_ceremony(night: Night, owner: Connection) -> None:
    await declare(night.owner, REAL, at=AT)
    with pytest.raises(asyncpg.PostgresError) as refused:
        await owner.execute(
            "INSERT INTO corte (number, at, phase, sums, counts, due, simulacro, declaracion) "
            f"VALUES (0, now(), 'cero', repeat('0', 64), '{{}}', now(), false, '{REAL.digest}')"
        )
    assert refused.value.sqlstate == "PR002"
    await record_corte(night.owner, 0, REAL, at=AT)


# After the close.

FACTS = {
    "entry": "INSERT INTO entry (acta, ronda, ordinal, image, person, site, lease, leased_at, typed_at, numbers, marks) "
    "VALUES (1, 9, 1, '', 1, 1, gen_random_uuid(), now(), now(), '{1}', 'N')",
    "resolution": "INSERT INTO resolution (acta, ronda, entry, person, lease, resolved_at) "
    "VALUES (1, 1, 1, 1, gen_random_uuid(), now())",
    "identification": "INSERT INTO identification (image, source, person, identity, said_at) "
    "VALUES ('', 'person', 1, '', now())",
    "acta_version": "INSERT INTO acta_version (acta, ronda, reason, numbers, marks, calculado, observations, inconsistent, "
    "contabilizada, cotejada, tipo_documento, origen, digitalizacion, traslado, quantities, tail) "
    "VALUES (1, 1, 'sin_acta', '{}', '', 0, '{}', false, 0, 0, '', '', '', '', '', '')",
    "acta_current": "UPDATE acta_current SET estado = 'Digitalizada'",
}


async def test_after_the_last_corte_postgres_refuses_every_fact_that_could_change_a_number(
    night: Night, tmp_path: Path
) -> None:
    """249 published votes became 21 in the database after the close."""
    async with small_night(night, tmp_path, casillas=12) as tonight:
        await tonight.cut()
        await tonight.count(tonight.sheets[:2])
        await tonight.cut()
        await tonight.cut(Phase.FINAL)
        async with tonight.pool.acquire() as connection:
            for table, words in FACTS.items():
                with pytest.raises(asyncpg.PostgresError) as refused:
                    await connection.execute(words)
                assert refused.value.sqlstate == "PR001", table
        with pytest.raises(Rejected) as said:
            async with borrow(tonight.pool) as connection:
                await connection.execute(FACTS["acta_version"])
        assert said.value.code is Code.NIGHT_CLOSED


# Begin again.


async def test_a_rehearsal_begins_again_and_people_and_devices_stay(night: Night, tmp_path: Path) -> None:
    async with small_night(night, tmp_path, casillas=12) as tonight:
        await tonight.count(tonight.sheets[:3])
        await tonight.cut()
        async with tonight.pool.acquire() as connection:
            await connection.execute("INSERT INTO outbox (topic, key, id, type, body) VALUES ('a', 'b', 'c', 'd', 'e')")
        with pytest.raises(Rejected, match="detenga antes"):
            await store.reset(night.owner)
    async with connect(night.owner) as owner:
        await _gone(owner)
    await store.reset(night.owner)
    async with connect(night.owner) as owner:
        names = [row["name"] for row in await owner.fetch(store.SQL["emptied"], [])]
        full = {name for name in names if await owner.fetchval(f"SELECT EXISTS (SELECT FROM {name})")}
    assert full == {
        "site",
        "migration",
        "acta_move",
        "capture_rule",
        "catalog_load",
        "decision_move",
        "person",
        "session",
    }
    assert full <= KEPT <= set(names)


async def _gone(owner: Connection) -> None:
    """Wait until the sessions of the closed pool have ended."""
    while await owner.fetchval(store.SQL["others"]):  # noqa: ASYNC110
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("cortes", [0, 1])
async def test_a_real_night_does_not_begin_again(night: Night, owner: Connection, cortes: int) -> None:
    await (open_night if cortes else declare)(night.owner, REAL, at=AT)
    with pytest.raises(Rejected, match="no se repite"):
        await store.reset(night.owner)
    if cortes:
        for words in ("TRUNCATE corte CASCADE", "TRUNCATE night CASCADE", "DELETE FROM corte"):
            with pytest.raises(asyncpg.PostgresError) as refused:
                await owner.execute(words)
            assert refused.value.sqlstate == "PR003"
    assert await store.declared(owner) == REAL


# The night as a process knows it.


async def test_a_process_follows_the_night_and_a_restart_without_the_database_knows_it(
    night: Night, pool: Pool, tmp_path: Path
) -> None:
    kept = tmp_path / "noche.json"
    tonight = Tonight(pool, kept=kept)
    with pytest.raises(Unavailable, match="no hay noche declarada"):
        await tonight.check_open()
    await declare(night.owner, REAL, at=AT)
    with pytest.raises(
        Unavailable, match="todavía no abre: la noche empieza el domingo 6 de junio de 2027 a las 20:00"
    ) as soon:
        await tonight.check_open()
    assert (soon.value.code, soon.value.status, 5 <= soon.value.retry_after <= 300) == (Code.NOT_OPEN_YET, 425, True)
    await record_corte(night.owner, 0, REAL, at=AT)
    assert await tonight.check_open() == REAL
    away = await asyncpg.create_pool("postgresql://nadie@127.0.0.1:1/nada", min_size=0)
    again = Tonight(away, kept=kept)
    await again.look()
    assert await again.check_open() == REAL
    again.check_not_closed()
    await record_corte(night.owner, 1, REAL, at=AT, final=True)
    await tonight.look()
    with pytest.raises(Rejected, match="ya cerró"):
        tonight.check_not_closed()
    with pytest.raises(Rejected, match="ya cerró"):
        Tonight(away, kept=kept).check_not_closed()
    kept.write_text("{")
    with pytest.raises(Unavailable, match="no hay noche declarada"):
        await Tonight(away, kept=kept).check_open()


@pytest.mark.parametrize(("first", "takes"), [(REAL, False), (REHEARSAL, True)])
async def test_a_machine_of_a_real_night_does_not_serve_another_one_and_says_what_differs(
    night: Night, pool: Pool, tmp_path: Path, first: DeclaredNight, takes: bool
) -> None:
    kept = tmp_path / "noche.json"
    await open_night(night.owner, first, at=AT)
    await Tonight(pool, kept=kept).look()
    async with connect(night.owner) as owner:
        await owner.execute("ALTER TABLE corte DISABLE TRIGGER real_night_stays")
        await owner.execute("ALTER TABLE night DISABLE TRIGGER real_night_stays")
        await owner.execute("TRUNCATE corte, night CASCADE")
    await open_night(night.owner, at=AT)
    tonight = Tonight(pool, kept=kept)
    await tonight.look()
    if takes:
        assert await tonight.check_open() == TONIGHT
        return
    with pytest.raises(
        Unavailable, match=r"esta máquina es de una noche real.*simulacro: no, no sí.*siglas: EJ, no EDO"
    ):
        await tonight.check_open()


@pytest.mark.parametrize(("ahead", "alarm"), [(0, False), (50, False), (90, True), (-90, True)])
async def test_a_clock_more_than_a_minute_from_the_databases_is_an_alarm(
    night: Night, pool: Pool, ahead: int, alarm: bool
) -> None:
    await open_night(night.owner, at=AT)
    tonight = Tonight(pool, clock=lambda: datetime.now(UTC) + timedelta(seconds=ahead))
    await tonight.look()
    assert (observe.clock_alarm() is not None) == alarm
    assert await tonight.check_open() == TONIGHT  # no image is refused for it
    await Tonight(pool).look()
    assert observe.clock_alarm() is None
