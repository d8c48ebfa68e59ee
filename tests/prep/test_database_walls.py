"""What PostgreSQL refuses to every role: a version that nobody typed, people who are not there, the work of other parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from prep import pipeline
from prep.domain.catalog import ActaId
from prep.domain.hours import CENTRAL
from prep.domain.rules import SIN_ACTA
from prep.messages import ActaTouched
from prep.pipeline import Given
from prep.settings import Part
from prep.store.database import Connection
from tests.conftest import Night
from tests.makers.capture_room import EVENING, VALUES, Room, furnished
from tests.makers.two_people import say_sin_acta

ACTA: Final = ActaId(1)
GIVEN: Final = Given(lambda: EVENING, lambda: 0.5, lambda: CENTRAL)


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def refused(connection: Connection, query: str, *values: object, because: str) -> None:
    with pytest.raises(asyncpg.PostgresError) as refusal:
        async with connection.transaction():
            await connection.execute(query, *values)
    assert because in str(refusal.value)


async def two_captures(room: Room, night: Night) -> dict[str, Any]:
    """Two people have typed the acta alike, and the worker has not compared them yet.

    Returns the version that the worker would add.
    """
    await room.arrive(ACTA)
    assert (await room.type("ana", VALUES)).status_code == 201
    task = await room.lease("beto", "captura")
    assert task is not None
    assert (await room.ask("beto", f"/v1/tasks/{task['tarea']}/entry", {"valores": VALUES})).status_code == 201
    async with connected(night.owner) as owner:
        trial = owner.transaction()
        await trial.start()
        await pipeline.touched(owner, ActaTouched(acta=ACTA, ronda=1, ordinal=2), GIVEN)
        [version] = await owner.fetch("SELECT * FROM acta_version")
        await trial.rollback()
        await owner.execute("UPDATE acta_current SET estado = 'Capturada' WHERE estado = 'Digitalizada'")
    return {name: value for name, value in version.items() if name != "id"}


async def insert(connection: Connection, version: dict[str, Any]) -> None:
    marks = ", ".join(f"${n}" for n in range(1, len(version) + 1))
    await connection.execute(f"INSERT INTO acta_version ({', '.join(version)}) VALUES ({marks})", *version.values())


def moved(version: dict[str, Any], votes: int = 200) -> dict[str, Any]:
    """The same version with votes moved from nobody to the first party, and everything else made to agree."""
    numbers = list(version["numbers"])
    numbers[4] += votes
    numbers[-1] += votes
    cells = [str(number) if number is not None else "-" for number in numbers]
    total = version["calculado"] + votes
    return {**version, "numbers": numbers, "calculado": total, "quantities": ",".join([*cells, str(total)])}


# 1. A version follows from its captures.


@pytest.mark.parametrize("role", ["prep_app", Part.WORKER, Part.CAPTURE])
async def test_an_insider_adds_no_version_that_nobody_typed(room: Room, night: Night, role: str) -> None:
    """As shown by an insider: one row with 200 votes moved, in which everything agrees, and the pointer to it."""
    true = await two_captures(room, night)
    async with connected(night.app) as worker:
        await insert(worker, true)
        await worker.execute(
            "UPDATE acta_current SET estado = 'Verificada', version = (SELECT max(id) FROM acta_version) WHERE acta = 1"
        )
        await worker.execute("UPDATE acta_current SET estado = 'Publicada' WHERE acta = 1")
    url = night.app if role == "prep_app" else night.parts[Part(role)]
    async with connected(url) as connection:
        false = moved(true) | {"reason": "recaptura"}
        columns, marks = ", ".join(false), ", ".join(f"${n}" for n in range(1, len(false) + 1))
        query = f"INSERT INTO acta_version ({columns}) VALUES ({marks})"
        why = "role prep_capture adds no version" if role is Part.CAPTURE else "its round is not being compared"
        await refused(connection, query, *false.values(), because=why)
        # The insider opens a round of their own, and says that it was typed.
        for estado in ("Digitalizada", "Capturada"):
            await connection.execute("UPDATE acta_current SET estado = $1, ronda = 2 WHERE acta = 1", estado)
        later = false | {"ronda": 2}
        if role is not Part.CAPTURE:
            await refused(connection, query, *later.values(), because="two people have not typed it")
        await refused(connection, "UPDATE acta_current SET ronda = 1 WHERE acta = 1", because="round 1 is over")


WRONG: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "a mark": ({"marks": "INNNNNNXNNN"}, "its numbers are not those"),
    "the sum": ({"calculado": 401}, "its sum is not that of its votes"),
    "an observation": ({"observations": ["ilegible"], "inconsistent": True}, "its observations are not true"),
    "over the limit": (
        {"observations": ["excede_lista_nominal"], "contabilizada": 0, "inconsistent": True},
        "its observations are not true",
    ),
    "not counted": ({"contabilizada": 0}, "whether it counts"),
    "inconsistent": ({"inconsistent": True}, "whether it counts"),
    "compared with the paper": ({"cotejada": 1}, "its person, its reason, its cotejo"),
    "of a person": ({"person": 1}, "its person, its reason, its cotejo"),
    "a correction": ({"reason": "recaptura"}, "its person, its reason, its cotejo"),
    "an earlier capture": ({"captura_at": EVENING - timedelta(hours=1)}, "its times"),
    "another round": ({"ronda": 2}, "its round is not being compared"),
    "another acta": ({"acta": 2}, "its round is not being compared"),
    "another document": ({"tipo_documento": "Copia PE"}, "how its image came"),
    "another origin": ({"origen": "CASILLA"}, "how its image came"),
    "another moment": ({"acopio_at": EVENING - timedelta(hours=1)}, "how its image came"),
    "without an image": ({"image": None, "numbers": [], "marks": ""}, "its numbers are not those"),
    "cells": ({"quantities": "100,398,2,400,120,150,100,-,0,30,400,400"}, "its cells do not say"),
    "a cotejo": ({"reason": "cotejo"}, "not active, or has none of the roles"),
    "a sin acta": ({"reason": "sin_acta"}, "no two people decided it"),
    "taken back": ({"reason": "retiro"}, "no two people decided it"),
}


async def test_a_version_that_differs_from_its_captures_in_one_column_is_refused(room: Room, night: Night) -> None:
    true = await two_captures(room, night)
    async with connected(night.app) as connection:
        columns, marks = ", ".join(true), ", ".join(f"${n}" for n in range(1, len(true) + 1))
        query = f"INSERT INTO acta_version ({columns}) VALUES ({marks})"
        tails = {
            "a text that no rule says": ({"tail": f"Ilegible{true['tail']}"}, "its cells do not say"),
            "one more cell": ({"tail": f"{true['tail']},1"}, "its cells do not say"),
        }
        for what, (change, because) in (WRONG | tails | {"votes": (moved(true), "its numbers are not those")}).items():
            assert true | change != true, what
            await refused(connection, query, *(true | change).values(), because=because)
        await insert(connection, true)
        await refused(connection, query, *true.values(), because="its round has a version already")


async def test_a_second_capture_by_a_clock_that_is_behind_gives_a_version(room: Room, night: Night) -> None:
    await room.arrive(ACTA)
    assert (await room.type("ana", VALUES)).status_code == 201
    room.clock.advance(minutes=-40)
    assert (await room.type("beto", VALUES)).status_code == 201
    await room.work()
    async with connected(night.owner) as owner:
        row = await owner.fetchrow("SELECT captura_at, verificacion_at FROM acta_version")
    assert row is not None
    assert row["verificacion_at"] - row["captura_at"] == timedelta(minutes=40)


async def test_three_different_captures_need_a_choice_by_somebody_else(room: Room, night: Night) -> None:
    await room.arrive(ACTA)
    for who, votes in (("ana", 150), ("beto", 151), ("caro", 152)):
        assert (await room.type(who, VALUES | {"PAN": votes})).status_code == 201
    await room.lease("dora")
    async with connected(night.owner) as owner:
        choice = """INSERT INTO resolution (acta, ronda, entry, person, lease, resolved_at)
            SELECT 1, 1, e.id, p.id, gen_random_uuid(), $2 FROM entry e, person p WHERE e.ordinal = 3 AND p.login = $1"""
        with pytest.raises(asyncpg.CheckViolationError, match="typed one of the captures of acta 1"):
            await owner.execute(choice, "caro", EVENING)
        await owner.execute(choice, "dora", EVENING)
        async with owner.transaction():
            await pipeline.touched(owner, ActaTouched(acta=ACTA, ronda=1, ordinal=4), GIVEN)
        assert await owner.fetchval("SELECT numbers[5] FROM acta_version") == 152


async def test_only_the_newest_version_of_the_same_acta_becomes_current(room: Room, night: Night) -> None:
    async with connected(night.app) as connection:
        for acta in (4, 5):
            async with connection.transaction():
                await say_sin_acta(connection, acta, SIN_ACTA[0], at=EVENING)
        for version in (
            "(SELECT id FROM acta_version WHERE acta = 5)",
            "NULL",
        ):
            await refused(
                connection, f"UPDATE acta_current SET version = {version} WHERE acta = 4", because="is not its newest"
            )


# 2. No part can switch this off.

SWITCHES: Final = (
    "ALTER TABLE acta_version DISABLE TRIGGER acta_version_follows",
    "ALTER TABLE acta_version DISABLE TRIGGER ALL",
    "DROP TRIGGER acta_version_follows ON acta_version",
    "DROP FUNCTION acta_version_follows CASCADE",
    "SET session_replication_role = replica",
    "CREATE OR REPLACE FUNCTION is_moment(said text, at timestamptz) RETURNS boolean LANGUAGE sql RETURN true",
    "CREATE TABLE public.mine (one int)",
    "CREATE RULE mine AS ON INSERT TO acta_version DO INSTEAD NOTHING",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "UPDATE capture_rule SET other_site = '0'",
    "UPDATE acta_move SET to_estado = 'Verificada'",
    "GRANT prep_worker TO prep_capture",
)


@pytest.mark.parametrize("role", ["prep_app", *Part])
async def test_no_part_can_switch_a_check_off(night: Night, role: str) -> None:
    async with connected(night.app if role == "prep_app" else night.parts[Part(role)]) as connection:
        for switch in SWITCHES:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(switch)


async def test_a_temporary_table_does_not_stand_in_front_of_ours(room: Room, night: Night) -> None:
    true = await two_captures(room, night)
    async with connected(night.parts[Part.WORKER]) as connection:
        await connection.execute(
            "CREATE TEMP TABLE person (id int, login text, role text, site smallint, active boolean)"
        )
        for name in ("entry", "acta_current", "arrival", "image_current"):
            await connection.execute(f"CREATE TEMP TABLE {name} (LIKE public.{name})")
        with suppress(asyncpg.PostgresError):
            await connection.execute("SET search_path = pg_temp, public")
        false = moved(true)
        with pytest.raises(asyncpg.CheckViolationError, match="its numbers are not those"):
            await insert(connection, false)
        await insert(connection, true)


async def test_functions_have_a_fixed_path_and_are_for_those_who_are_named(night: Night) -> None:
    """A function without a path of its own is only called by those that have one."""
    async with connected(night.owner) as owner:
        functions = await owner.fetch(
            """SELECT p.oid::regprocedure::text AS name, p.proconfig, p.prosecdef OR p.prorettype = 'trigger'::regtype OR (
                SELECT count(*) > 1 FROM aclexplode(p.proacl)) AS entered, has_function_privilege('public', p.oid, 'EXECUTE') AS open
            FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace"""
        )
        entered = [each for each in functions if each["entered"]]
        assert len(functions) > len(entered) >= 8
        assert [each["name"] for each in functions if each["open"]] == []
        assert [each["name"] for each in entered if each["proconfig"] != ["search_path=public, pg_temp"]] == []
        await owner.execute("CREATE FUNCTION later() RETURNS int LANGUAGE sql RETURN 1")
        assert not await owner.fetchval("SELECT has_function_privilege('public', 'later()', 'EXECUTE')")


# 3. People.

CAPTURE: Final = """INSERT INTO entry (acta, ronda, ordinal, image, person, site, lease, leased_at, typed_at, numbers, marks)
    SELECT acta, ronda, $1, image, $2, $3, gen_random_uuid(), $4, $4, '{1,1,1,1,1,1,1,NULL,1,1,1}', 'NNNNNNNXNNN'
    FROM acta_current WHERE acta = 1"""


async def test_a_capture_is_by_a_person_who_is_there_and_logged_in_and_at_another_site(
    room: Room, night: Night
) -> None:
    await room.arrive(ACTA)
    for who in ("ana", "caro", "beto", "obse"):
        await room.lease(who) if who != "obse" else await room.ask(who, "/v1/tasks/lease", {})
    async with connected(night.owner) as owner:
        people = {
            row["login"]: (row["id"], row["site"]) for row in await owner.fetch("SELECT id, login, site FROM person")
        }
    async with connected(night.parts[Part.CAPTURE]) as connection:
        await refused(connection, CAPTURE, 1, 9999, 1, EVENING, because="person 9999 is not active")
        await refused(connection, CAPTURE, 1, *people["obse"], EVENING, because="has none of the roles")
        await refused(connection, CAPTURE, 1, *people["dora"], EVENING, because="is not logged in")
        for ended in ("expires_at = now()", "seen_at = now() - idle"):
            async with connected(night.owner) as owner:
                before = await owner.fetchrow(
                    "SELECT expires_at, seen_at FROM session WHERE person = $1", people["ana"][0]
                )
                await owner.execute(f"UPDATE session SET {ended} WHERE person = $1", people["ana"][0])
                await refused(connection, CAPTURE, 1, *people["ana"], EVENING, because="is not logged in")
                again = "UPDATE session SET expires_at = $2, seen_at = $3 WHERE person = $1"
                assert before is not None
                await owner.execute(again, people["ana"][0], *before)
        await refused(connection, CAPTURE, 1, people["ana"][0], people["beto"][1], EVENING, because="is not of site")
        await refused(connection, CAPTURE, 2, *people["ana"], EVENING, because="a capture is missing before number 2")
        await connection.execute(CAPTURE, 1, *people["ana"], EVENING)
        await refused(connection, CAPTURE, 2, *people["ana"], EVENING, because="entry_acta_ronda_person_key")
        await refused(connection, CAPTURE, 2, *people["caro"], EVENING, because="the same site as the first")
        waited = EVENING + timedelta(minutes=30)
        async with connection.transaction():
            await connection.execute(CAPTURE, 2, *people["caro"], waited)
            await refused(connection, CAPTURE, 3, *people["beto"], waited, because="two captures agree")
        assert await connection.fetchval("SELECT count(*) FROM entry") == 2


async def test_the_second_capture_from_the_same_site_is_answered_in_a_sentence(room: Room, night: Night) -> None:
    """Also if the queue is tampered with: the person reads why, and the acta waits for somebody else."""
    await room.arrive(ACTA)
    await room.type("ana", VALUES)
    await room.pool.execute("UPDATE task SET not_site = NULL")
    task = await room.lease("caro", "captura")
    assert task is not None
    answer = await room.ask("caro", f"/v1/tasks/{task['tarea']}/entry", {"valores": VALUES})
    assert (answer.status_code, answer.json()["codigo"]) == (409, "captura_del_mismo_sitio")
    assert (await room.pool.fetchval("SELECT count(*) FROM entry")) == 1


async def test_if_all_people_are_at_one_site_the_second_capture_is_from_there(room: Room, night: Night) -> None:
    async with connected(night.owner) as owner:
        await owner.execute(
            "UPDATE person SET active = false WHERE site = (SELECT site FROM person WHERE login = 'beto')"
        )
    await room.arrive(ACTA)
    for who in ("ana", "caro"):
        assert (await room.type(who, VALUES)).status_code == 201
    assert await room.pool.fetchval("SELECT count(*) FROM acta_version") == 1


async def test_a_person_in_a_table_is_a_person(night: Night) -> None:
    """Every column that names a person refers to one, also a column of a later table."""
    named = """SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
            AND a.attname ~ 'person|persona' AND a.atttypid = 'integer'::regtype
            AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conrelid = c.oid
                AND f.confrelid = 'person'::regclass AND a.attnum = ANY (f.conkey))"""
    async with connected(night.owner) as owner:
        assert [row[0] for row in await owner.fetch(named)] == []
    async with connected(night.app) as connection:
        event = "INSERT INTO event (kind, subject, detail, at) VALUES ('recaptura', 'x', $1, now())"
        await refused(connection, event, '{"persona": 9999}', because='violates foreign key constraint "event_person"')
        await connection.execute(event, "{}")
