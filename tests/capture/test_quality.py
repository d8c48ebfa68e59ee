"""How people type, as a supervisor sees it; and hidden known actas, of which nothing counts and nobody can tell."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import asyncpg
import httpx
import pytest

from capture.entries import LAST, SEES_QUALITY, Desk
from capture.quality import told
from prep.domain.quality import BothWrong, Judged, NightQuality, wilson
from prep.operations.ceremonies import quality_sentence
from prep.operations.quality import as_lines
from prep.settings import Part
from prep.store import quality as store
from prep.store.people import Role
from tests.conftest import Night
from tests.makers.capture_room import VALUES, Clock, Room, furnished

PEOPLE = {
    Role.CAPTURISTA: "ana", Role.VERIFICADOR: "caro", Role.SUPERVISOR: "super", Role.ADMINISTRADOR: "admin",
    Role.DIGITALIZADOR: "digi", Role.OPERADOR_CATD: "oper", Role.COTEJADOR: "cotejo", Role.AUDITOR: "audi",
    Role.OBSERVADOR: "obse",
}  # fmt: skip


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


@asynccontextmanager
async def with_controls(night: Night, folder: Path) -> AsyncIterator[Room]:
    """A room in which chance wants a hidden known acta each time."""
    async with furnished(night, folder, control_percent=1, chance=lambda: 0.0) as opened:
        yield opened


def different(**values: int | str) -> dict[str, int | str]:
    return VALUES | values


async def count(room: Room, query: str, *arguments: object) -> int:
    found: int = await room.pool.fetchval(query, *arguments)
    return found


async def quality(room: Room, who: str = "super") -> dict[str, Any]:
    answer = await room.ask(who, "/v1/quality", method="GET")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def typed(room: Room, who: str, values: dict[str, Any], *, seconds: float = 40, **more: object) -> None:
    task = await room.lease(who, "captura")
    assert task is not None, f"nothing waits for {who}"
    room.clock.advance(seconds=seconds)
    answer = await room.ask(who, f"/v1/tasks/{task['tarea']}/entry", {"valores": values, **more})
    assert answer.status_code == 201, answer.text
    await room.work()


# --- what supervisors see ---------------------------------------------------------------------------------------------


async def test_only_supervisors_see_how_people_type(room: Room) -> None:
    for role, who in PEOPLE.items():
        answer = await room.ask(who, "/v1/quality", method="GET")
        assert answer.status_code == (200 if role in SEES_QUALITY else 403), role
    assert frozenset({Role.SUPERVISOR}) == SEES_QUALITY


async def test_a_person_is_compared_with_what_finally_counted_field_by_field(room: Room) -> None:
    await room.arrive(1)
    await typed(room, "ana", different(PAN=151, NULOS="ilegible"), seconds=30)
    await typed(room, "beto", VALUES, seconds=50, teclas=35)
    before = await quality(room)
    assert before["noche"]["campos"] == 0, "while the acta is open nobody is told who was wrong"
    assert before["personas"][0]["coincidencia"] is None
    room.clock.advance(minutes=1)
    await typed(room, "dora", VALUES, seconds=70)
    room.clock.advance(minutes=1)
    found = await quality(room)
    ana, beto, dora = (
        next(each for each in found["personas"] if each["usuario"] == who) for who in ("ana", "beto", "dora")
    )
    assert (ana["total"], ana["capturas"], ana["campos"], ana["campos_distintos"]) == (1, 1, 10, 2)
    assert ana["coincidencia"]["porcentaje"] == "80.0000"
    assert ana["segundos"] == {"cuartil_1": 30, "mediana": 30, "cuartil_3": 30}
    assert ana["teclas"] is None
    assert (beto["campos_distintos"], beto["teclas"]["mediana"]) == (0, 35)
    # A third capture is of a hard acta: it is counted and timed, and not compared.
    assert (dora["total"], dora["capturas"], dora["segundos"]["mediana"]) == (1, 0, 70)
    assert (found["noche"]["capturas"], found["noche"]["campos"], found["noche"]["campos_distintos"]) == (2, 20, 2)
    by_capture = wilson(1, 2)
    assert found["noche"]["error_por_captura"] == {
        "porcentaje": "50.0000", "de": f"{100 * by_capture.low:.4f}", "a": f"{100 * by_capture.high:.4f}",
    }  # fmt: skip


async def test_people_stand_by_site_and_name_and_never_by_merit(room: Room) -> None:
    for acta in range(1, 4):
        await room.arrive(acta)
    await typed(room, "dora", VALUES)
    await typed(room, "beto", different(PAN=1))
    await typed(room, "ana", different(PRI=1))
    found = await quality(room)
    assert [(each["sitio"], each["usuario"]) for each in found["personas"]] == [
        ("CCV-1", "ana"), ("CCV-1", "dora"), ("CCV-2", "beto"),
    ]  # fmt: skip


async def test_two_who_agreed_on_a_wrong_value_are_seen_once_a_recapture_counts(room: Room) -> None:
    await room.arrive(1)
    for who in ("ana", "beto"):
        await typed(room, who, different(PAN=105, TOTAL_ASENTADO=355))
    answer = await room.ask("super", "/v1/actas/DIP_LOC/clave1/recaptura", {"motivo": "se leyó mal"})
    assert answer.status_code == 201, answer.text
    for who in ("dora", "super"):
        await typed(room, who, VALUES)
    async with room.pool.acquire() as connection:
        found = await store.tonight(connection)
    assert (found.night.both.fields, found.night.both.alike) == (2, 2)
    assert (found.night.judged.captures, found.night.judged.wrong) == (4, 4)


async def test_the_table_of_the_machine_is_read_by_the_auditors_role_and_names_no_value(
    room: Room, night: Night
) -> None:
    await room.arrive(1)
    for who in ("ana", "beto"):
        await typed(room, who, VALUES)
    audit = await asyncpg.connect(night.parts[Part.AUDIT])
    found = await store.tonight(audit)
    await audit.close()
    lines = as_lines(told(found))
    assert [line.split("\t")[:5] for line in lines[1:3]] == [
        ["CCV-1", "ana", "capturista", "1", "1"], ["CCV-2", "beto", "capturista", "1", "1"],
    ]  # fmt: skip
    assert lines[3] == "error de una captura, por campos: 0.0000 % (95 %: 0.0000 a 16.1125)"
    assert "es una estimación" in lines[5]


def test_the_act_of_the_close_tells_the_error_with_its_interval() -> None:
    night = NightQuality(Judged.of([(10, 1), *[(10, 0)] * 99]), Judged(), BothWrong())
    assert quality_sentence(night).startswith(
        "Calidad de la captura: campos de primeras y segundas capturas que difirieron de lo que finalmente contó, "
        "1 de 1000: 0.100 % (intervalo de 95 %: de 0.018 a 0.565 %);"
    )
    assert quality_sentence(NightQuality(Judged(), Judged(), BothWrong())).endswith(
        "no hay capturas que comparar con lo que finalmente contó."
    )


# --- hidden known actas -----------------------------------------------------------------------------------------------


async def known(room: Room) -> dict[str, Any]:
    """Acta 1 is verified by ana and beto, and acta 2 waits; returns the task of acta 1 as ana had it."""
    await room.arrive(1)
    task = await room.lease("ana", "captura")
    assert task is not None
    await typed(room, "ana", VALUES, seconds=0)
    await typed(room, "beto", VALUES, seconds=0)
    await room.arrive(2)
    return task


async def test_a_hidden_known_acta_looks_like_any_other_and_nothing_of_it_counts(night: Night, tmp_path: Path) -> None:
    async with with_controls(night, tmp_path) as room:
        first = await known(room)
        hidden = await room.lease("caro")
        assert hidden is not None
        assert await room.lease("caro") == hidden
        assert hidden | {"tarea": first["tarea"]} == first
        assert list(hidden) == list(first)
        assert (await room.ask("caro", hidden["imagen"], method="GET")).status_code == 200
        assert (await room.ask("dora", hidden["imagen"], method="GET")).status_code == 403
        waits = (await room.ask("super", "/v1/lists/waiting", method="GET")).json()["filas"]
        assert [row["asunto"] for row in waits] == ["DIP_LOC clave2"]
        board = (await room.ask("super", "/v1/board", method="GET")).json()
        assert [(each["que"], each["ordinal"], each["cuantas"]) for each in board["esperan"]] == [("captura", 1, 1)]
        before = await everything_that_counts(room)

        path, said = f"/v1/tasks/{hidden['tarea']}/entry", {"valores": different(PAN=151)}
        kept = await room.ask("caro", path, {**said, "letras": ["PAN"], "milisegundos": 41_000, "teclas": 30})
        # The number goes on from those of ana and beto, as that of any capture.
        assert (kept.status_code, kept.json()["captura"]) == (201, 3)
        assert kept.json()["avisos"] == ["los votos suman 401 y el total asentado dice 400"]
        again = await room.ask("caro", path, said)
        assert (again.status_code, again.content) == (200, kept.content)
        assert (await room.ask("caro", path, {"valores": VALUES})).json()["codigo"] == "tarea_ya_contestada"
        assert (await room.ask("beto", path, said)).status_code == 410

        assert await everything_that_counts(room) == before
        [note] = await room.pool.fetch("SELECT letters, milliseconds, keys FROM control_capture")
        assert tuple(note) == (["PAN"], 41_000, 30)
        found = await quality(room)
        assert (found["noche"]["capturas"], found["noche"]["campos_distintos"]) == (2, 0)
        assert (found["noche"]["controles"]["campos"], found["noche"]["controles"]["campos_distintos"]) == (10, 1)
        real = await room.lease("caro")
        assert real is not None
        assert real["acta"]["clave"] == "clave2", "each person has an acta once"


async def test_a_hidden_known_acta_takes_and_refuses_what_a_capture_does(night: Night, tmp_path: Path) -> None:
    async with with_controls(night, tmp_path) as room:
        await known(room)
        tasks = {who: await room.lease(who) for who in ("caro", "ana")}
        claves = {who: task and task["acta"]["clave"] for who, task in tasks.items()}
        assert claves == {"caro": "clave1", "ana": "clave2"}, "only the one of caro is a known acta"

        async def both(more: dict[str, Any]) -> tuple[httpx.Response, httpx.Response]:
            hidden, real = [
                await room.ask(who, f"/v1/tasks/{task['tarea']}/entry", {"valores": VALUES, **more})
                for who, task in tasks.items()
                if task is not None
            ]
            return hidden, real

        for wrong in ({"letras": ["MORENA"]}, {"letras": "PAN"}, {"milisegundos": -1}, {"teclas": -1}, {"teclas": [3]},
                      {"teclas": 100_001}, {"pulsaciones": 3}):  # fmt: skip
            hidden, real = await both(wrong)
            assert hidden.status_code == 422, wrong
            assert (hidden.status_code, hidden.content) == (real.status_code, real.content)
        hidden, real = await both({"letras": ["PAN", "PAN"], "milisegundos": 86_400_000, "teclas": 100_000})
        assert (hidden.status_code, real.status_code) == (201, 201)
        assert hidden.json() | {"captura": 4} == real.json()
        notes = "SELECT letters, milliseconds, keys FROM"
        assert await room.pool.fetch(f"{notes} control_capture") == await room.pool.fetch(f"{notes} capture_note")


async def test_a_person_who_may_look_up_how_an_acta_stands_is_given_none(night: Night, tmp_path: Path) -> None:
    async with with_controls(night, tmp_path) as room:
        await known(room)
        for who in ("super", "admin"):
            task = await room.lease(who, "captura")
            assert task is not None
            assert task["acta"]["clave"] == "clave2"
            await room.ask(who, f"/v1/tasks/{task['tarea']}/release")


async def everything_that_counts(room: Room) -> list[Any]:
    """The facts, pointers, messages and waiting tasks, apart from a hidden known acta itself."""
    tables = ("entry", "acta_version", "acta_current", "outbox", "event", "capture_note", "resolution")
    found = [await room.pool.fetch(f"SELECT * FROM {table} ORDER BY 1") for table in tables]
    return [*found, await room.pool.fetch("SELECT * FROM task WHERE kind <> 'control'")]


async def test_a_person_is_given_no_known_acta_that_this_person_typed_or_another_holds(
    night: Night, tmp_path: Path
) -> None:
    async with with_controls(night, tmp_path) as room:
        await known(room)
        for who in ("ana", "caro", "dora"):
            task = await room.lease(who)
            told_clave = task and task["acta"]["clave"]
            assert told_clave == {"ana": "clave2", "caro": None, "dora": None}[who]


@pytest.mark.parametrize("how", ["release", "logout", "expiry"])
async def test_a_known_acta_that_is_given_back_waits_for_nobody(night: Night, tmp_path: Path, how: str) -> None:
    async with with_controls(night, tmp_path) as room:
        await known(room)
        hidden = await room.lease("caro")
        assert hidden is not None
        assert hidden["acta"]["clave"] == "clave1"
        match how:
            case "release":
                await room.ask("caro", f"/v1/tasks/{hidden['tarea']}/release")
            case "logout":
                await room.ask("caro", "/v1/session", method="DELETE")
                del room.tokens["caro"]
            case _:
                room.clock.advance(minutes=11)
        said = await room.ask("caro", f"/v1/tasks/{hidden['tarea']}/entry", {"valores": VALUES})
        assert said.json()["codigo"] == "tarea_vencida"
        again = await room.lease("caro")
        assert again is not None
        assert again["tarea"] != hidden["tarea"]
        assert await count(room, "SELECT count(*) FROM task WHERE lease = $1", UUID(hidden["tarea"])) == 0
        assert await count(room, "SELECT count(*) FROM task WHERE kind = 'control' AND lease IS NULL") == 0


@pytest.mark.parametrize("why", ["overdue", "nothing waits", "the corte is out"])
async def test_real_work_comes_first(night: Night, tmp_path: Path, why: str) -> None:
    async with with_controls(night, tmp_path) as room:
        await known(room)
        match why:
            case "overdue":
                room.clock.advance(minutes=11)
            case "nothing waits":
                await room.pool.execute("DELETE FROM task")
            case _:  # its values can be looked up
                await room.pool.execute("UPDATE acta_current SET estado = 'Publicada' WHERE acta = 1")
        task = await room.lease("caro")
        assert (task and task["acta"]["clave"]) == (None if why == "nothing waits" else "clave2")
        assert await count(room, "SELECT count(*) FROM task WHERE kind = 'control'") == 0


def test_near_the_end_of_the_night_nobody_is_given_one() -> None:
    clock = Clock()
    tonight = SimpleNamespace(hours=(clock(), clock() + LAST))
    desk = Desk(
        *(cast("Any", None), cast("Any", None), cast("Any", tonight)),
        clock=clock, chance=lambda: 0.0, lease_minutes=10, control_percent=1,
    )  # fmt: skip
    assert not desk.gives_control(clock())
    assert desk.gives_control(clock() - timedelta(seconds=1))


async def test_postgresql_takes_no_known_acta_of_a_person_who_typed_it_or_is_not_there(
    room: Room, night: Night
) -> None:
    await known(room)
    await room.ask("caro", "/v1/session", method="GET")
    inside = await asyncpg.connect(night.parts[Part.CAPTURE])
    add = """INSERT INTO control_capture (id, acta, image, person, site, lease, leased_at, typed_at, numbers, marks, letters)
        SELECT 1, e.acta, e.image, p.id, p.site, gen_random_uuid(), e.leased_at, e.typed_at, e.numbers, e.marks, '{}'
        FROM entry e, person p WHERE e.ordinal = 1 AND p.login = $1 RETURNING id"""
    with pytest.raises(asyncpg.CheckViolationError, match="has typed it"):
        await inside.execute(add, "ana")
    with pytest.raises(asyncpg.PostgresError, match="is not logged in"):
        await inside.execute(add, "dora")
    # Its number is not for a part to choose: it could be that of a capture.
    assert await inside.fetchval(add, "caro") == 3
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await inside.execute("DELETE FROM control_capture")
    await inside.close()
