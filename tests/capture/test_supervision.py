"""What those in charge do over HTTP about people, images and findings, and the open work that the board tells."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from capture.decisions import RETRIES
from capture.findings import ASKS_IMAGES, REVIEWS
from capture.staffing import CHANGES_PEOPLE
from prep.messages import ActaTouched
from prep.settings import Part
from prep.store import deliveries
from prep.store.database import transaction
from prep.store.pipeline import add_event
from tests.capture.test_decisions import OUTSIDE, decided, estado, identify, image_state, proposes, says, undone
from tests.capture.test_lists import ONE_OF_EACH
from tests.conftest import Night
from tests.makers.capture_room import VALUES, Room, furnished, qr
from tests.makers.declared import record_corte


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


async def rows(room: Room, what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await room.ask("super", f"/v1/lists/{what}", method="GET")).json()["filas"]
    return found


async def open_now(room: Room, who: str = "super") -> dict[str, int]:
    room.clock.advance(seconds=5)
    board = (await room.ask(who, "/v1/board", method="GET")).json()
    return {name: count for name, count in board["pendiente"].items() if count}


# --- parked messages ---------------------------------------------------------------------------------------------------


async def set_aside(room: Room) -> int:
    """Both captures of acta 1 came, and the message of the second was set aside; returns its number."""
    await room.arrive(1)
    await room.type("ana", VALUES)
    task = await room.lease("beto", "captura")
    assert task is not None
    assert (await room.ask("beto", f"/v1/tasks/{task['tarea']}/entry", {"valores": VALUES})).status_code == 201
    async with transaction(room.pool) as connection:
        message = ActaTouched(acta=1, ronda=1, ordinal=2).message()
        assert [row["id"] for row in await connection.fetch("DELETE FROM outbox RETURNING id")] == [message.id]
        await deliveries.park(connection, "validate", message, error="no se pudo", at=room.clock())
    [row] = await rows(room, "parked")
    return int(row["mensaje"])


async def test_a_message_is_sent_again_by_one_person_and_counts_as_any_other(room: Room) -> None:
    number = await set_aside(room)
    assert await estado(room, 1) == "Capturada"
    again = await room.ask("super", f"/v1/parked/{number}/retry", {})
    assert again.status_code == 201, again.text
    assert await rows(room, "parked") == []
    assert await room.pool.fetch("SELECT FROM done") == [], "the worker that gets it does it"
    await room.work()
    assert await estado(room, 1) == "Verificada"
    told = await room.pool.fetch("SELECT detail ->> 'por' AS who FROM event WHERE kind = 'mensaje_reintentado'")
    assert [row["who"] for row in told] == ["super"]
    twice = await room.ask("admin", f"/v1/parked/{number}/retry", {})
    assert (twice.status_code, twice.json()["codigo"]) == (404, "mensaje_inexistente")


async def test_a_message_that_somebody_wants_to_dismiss_is_not_sent_again_until_another_person_answers(
    room: Room,
) -> None:
    number = await set_aside(room)
    said = {"tipo": "mensaje_descartado", "mensaje": number, "motivo": "repetido"}
    decision = (await room.ask("super", "/v1/decisions", said)).json()["decision"]
    waits = await room.ask("admin", f"/v1/parked/{number}/retry", {})
    assert (waits.status_code, waits.json()["codigo"]) == (409, "decision_abierta")
    assert f"la decisión {decision} sobre el mensaje {number} espera" in waits.json()["error"]
    await room.ask("admin", f"/v1/decisions/{decision}/reject", {})
    assert (await room.ask("admin", f"/v1/parked/{number}/retry", {})).status_code == 201


async def test_capture_takes_no_mark_of_a_message_that_was_not_set_aside(room: Room, night: Night) -> None:
    number = await set_aside(room)
    async with transaction(room.pool) as connection:
        assert await deliveries.first_time(connection, "validate", "otro")
    capture = await asyncpg.connect(night.parts[Part.CAPTURE])
    await capture.execute("SELECT unmark_retried($1)", number)
    assert len(await room.pool.fetch("SELECT FROM done")) == 2, "it waits for a person: nobody has sent it again"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await capture.execute("DELETE FROM done")
    await capture.close()


# --- people -----------------------------------------------------------------------------------------------------------

WHY = {"motivo": "lleva nueve horas"}


async def test_a_person_who_is_paused_gets_no_task_and_postgres_takes_no_capture(room: Room) -> None:
    await room.arrive(1)
    task = await room.lease("ana")
    assert task is not None
    assert await room.lease("beto") is None
    assert (await room.ask("super", "/v1/people/ana/pause", WHY)).status_code == 201
    assert (await room.ask("super", "/v1/people/ana/pause", WHY)).status_code == 200, "the same again is no new fact"
    late = await room.ask("ana", f"/v1/tasks/{task['tarea']}/entry", {"valores": VALUES})
    assert (late.status_code, late.json()["codigo"]) == (410, "tarea_vencida")
    none = await room.ask("ana", "/v1/tasks/lease", {})
    assert (none.status_code, none.json()["codigo"]) == (409, "persona_en_pausa")
    # Also a part that gives her a task, and sends her capture.
    await room.pool.execute(
        "UPDATE task SET lease = gen_random_uuid(), leased_at = $1, lease_until = $1::timestamptz + interval '9 minutes',"
        " lease_person = (SELECT id FROM person WHERE login = 'ana')",
        room.clock(),
    )
    given = await room.pool.fetchval("SELECT lease FROM task")
    refused = await room.ask("ana", f"/v1/tasks/{given}/entry", {"valores": VALUES})
    assert (refused.status_code, refused.json()["codigo"]) == (409, "persona_en_pausa")
    assert await room.pool.fetchval("SELECT count(*) FROM entry") == 0
    await room.pool.execute("UPDATE task SET lease = NULL, lease_person = NULL, leased_at = NULL, lease_until = NULL")
    assert (await room.ask("super", "/v1/people/ana/resume", WHY)).status_code == 201
    again = await room.lease("ana")
    assert again is not None
    assert again["imagen"] == task["imagen"], "the same image: her draft of it is taken up"


async def test_a_person_who_moves_types_at_the_new_site_and_the_fact_says_who_and_why(room: Room) -> None:
    await room.arrive(1)
    assert (await room.type("ana", VALUES)).status_code == 201
    assert await room.lease("dora", "captura") is None, "the second capture belongs to another site"
    moved = await room.ask("super", "/v1/people/dora/site", {"motivo": "falta gente allá", "sitio": "CCV-2"})
    assert moved.status_code == 201
    assert (await room.ask("dora", "/v1/tasks/lease", {})).status_code == 401, "she logs in again, at the new site"
    room.tokens.pop("dora")
    assert (await room.type("dora", VALUES)).status_code == 201
    assert await estado(room, 1) == "Verificada"
    [change] = await rows(room, "changes")
    assert (change["usuario"], change["cambio"], change["sitio"], change["motivo"], change["quien"]) == (
        "dora", "sitio", "CCV-2", "falta gente allá", "super",
    )  # fmt: skip
    [dora] = [each for each in await rows(room, "people") if each["usuario"] == "dora"]
    assert (dora["sitio"], dora["en_pausa"], dora["ultimo_cambio"]) == ("CCV-2", False, change["hora"])


REFUSED = [
    ("/v1/people/nadie/pause", WHY, 404, "persona_inexistente"),
    ("/v1/people/super/pause", WHY, 409, "cambio_propio"),
    ("/v1/people/ana/site", WHY | {"sitio": "CCV 2"}, 404, "sitio_inexistente"),
    ("/v1/people/ana/pause", {"motivo": ""}, 422, "campo_no_valido"),
    (f"/v1/images/{'0' * 64}/request", WHY, 404, "imagen_inexistente"),
    ("/v1/reviews", {"evento": 9, "texto": "bien"}, 404, "hallazgo_inexistente"),
    ("/v1/reviews", {"version": 9, "texto": "bien"}, 404, "hallazgo_inexistente"),
    ("/v1/reviews", {"texto": "bien"}, 422, "campo_no_valido"),
    ("/v1/reviews", {"evento": 9, "version": 9, "texto": "bien"}, 422, "campo_no_valido"),
]


@pytest.mark.parametrize(("path", "body", "status", "code"), REFUSED)
async def test_what_cannot_be_is_refused_in_a_sentence(
    room: Room, path: str, body: dict[str, str], status: int, code: str
) -> None:
    answer = await room.ask("super", path, body)
    assert (answer.status_code, answer.json()["codigo"]) == (status, code)


async def test_each_of_these_doors_opens_for_the_roles_of_its_line_alone(room: Room, night: Night) -> None:
    sha256 = await room.arrive(1, text=None)
    for role, who in ONE_OF_EACH.items():
        for path, body, may in (
            ("/v1/people/beto/pause", WHY, CHANGES_PEOPLE),
            ("/v1/people/beto/resume", WHY, CHANGES_PEOPLE),
            (f"/v1/images/{sha256}/request", WHY, ASKS_IMAGES),
            ("/v1/reviews", {"evento": 9, "texto": "bien"}, REVIEWS),
            ("/v1/parked/9/retry", {}, RETRIES),
        ):
            answer = await room.ask(who, path, body)
            assert (answer.status_code != 403) == (role in may), (role, path)
    # PostgreSQL refuses the same: it looks at the session and the role itself.
    capture = await asyncpg.connect(night.parts[Part.CAPTURE])
    for token in (room.tokens["admin"], room.tokens["ana"], "de nadie"):
        said = await capture.fetchval("SELECT change_person($1, 'beto', 'pausa', NULL, 'x')", token.encode())
        assert said == "nadie"
    for statement in (
        """INSERT INTO image_request (image, reason, person, site, at) SELECT sha256, 'x', p.id, p.site, now()
            FROM image, person p WHERE p.login = 'ana'""",
        "INSERT INTO review (event, words, person, site, at) SELECT 1, 'x', p.id, p.site, now() FROM person p WHERE p.login = 'audi'",
    ):
        with pytest.raises(asyncpg.PostgresError) as refused:
            await capture.execute(statement)
        assert refused.value.sqlstate == "PR010"
    for statement in ("UPDATE person SET paused = true", "DELETE FROM person_change", "UPDATE review SET words = ''"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await capture.execute(statement)
    await capture.close()


# --- images -----------------------------------------------------------------------------------------------------------


async def test_an_image_that_nobody_could_identify_is_assigned_by_two_and_taken_back_by_two(room: Room) -> None:
    sha256 = await room.arrive(1, text=None)
    await identify(room, "", "digi", "ana")
    [row] = await rows(room, "unidentified")
    assert (row["estado"], row["propuesta"]) == ("ilegible", None)
    body = {"tipo": "imagen_de_otra_acta", "imagen": sha256, "motivo": "identificada_despues"}
    nobody = await room.ask("digi", "/v1/decisions", body)
    assert (nobody.status_code, nobody.json()["codigo"]) == (422, "identidad_no_valida"), "which acta?"
    number = await proposes(room, "digi", body | {"identidad": qr(3)})
    assert (await rows(room, "unidentified"))[0]["propuesta"] == number
    assert await image_state(room, sha256) == ("ilegible", None)
    assert await says(room, "super", "confirm", number) == (201, "confirmada")
    assert (await image_state(room, sha256), await estado(room, 3)) == (("identificada", 3), "Digitalizada")
    await undone(room, number)
    assert (await image_state(room, sha256), await estado(room, 3)) == (("por_identificar", None), "Esperada")


async def test_two_people_say_that_an_image_stays_outside_and_why_and_two_take_it_back(room: Room) -> None:
    sha256 = await room.arrive(1, text=OUTSIDE)
    await identify(room, OUTSIDE, "digi", "ana")
    [before] = await rows(room, "fuera")
    assert (before["motivo"], before["queda"]) == ("dos_identificaciones", None)
    body = {
        "tipo": "fuera_de_catalogo",
        "imagen": sha256,
        "motivo": "casilla_no_aprobada",
        "texto": "la vi en el papel",
    }
    other = await room.ask("digi", "/v1/decisions", body | {"identidad": qr(99)})
    assert (other.status_code, other.json()["codigo"]) == (422, "identidad_no_valida")
    number = await decided(room, body | {"identidad": OUTSIDE})
    [now] = await rows(room, "fuera")
    assert (now["decision"], now["queda"]) == (before["decision"], number), (
        "it is listed as before, by the same decision"
    )
    assert await room.pool.fetchval("SELECT count(*) FROM fuera_catalogo") == 1
    refused = await says(room, "digi", "undo", before["decision"], motivo="error")
    assert refused == (409, "decision_no_lo_admite"), "the later decision rests on it"
    await undone(room, number)
    [after] = await rows(room, "fuera")
    assert (after["queda"], await image_state(room, sha256)) == (None, ("fuera_de_catalogo", None))
    await undone(room, before["decision"])
    assert await image_state(room, sha256) == ("por_identificar", None)


async def test_another_image_is_asked_of_the_site_that_sent_it(room: Room) -> None:
    sha256 = await room.arrive(1, text=None)
    assert (await room.ask("digi", f"/v1/images/{sha256}/request", {"motivo": "está cortada"})).status_code == 201
    [row] = await rows(room, "unidentified")
    assert (row["sitio"], row["pedida"]) == ("CATD-1", room.clock().isoformat())
    site = (await room.ask("oper", "/v1/sites/own", method="GET")).json()
    assert [each["pedida"] is not None for each in site["imagenes"]] == [True]


# --- findings ---------------------------------------------------------------------------------------------------------


async def test_photos_alike_are_told_as_a_pair_until_one_of_them_moves_or_a_person_looked(room: Room) -> None:
    one, other = await room.arrive(1), await room.arrive(2)
    async with transaction(room.pool) as connection:
        detail = {"parecidas": [{"clave": "clave2", "image": other}]}
        await add_event(connection, "misma_foto", one, detail, room.clock())
    [pair] = await rows(room, "duplicates")
    assert (pair["imagen"], pair["clave"], pair["otra_imagen"], pair["otra_clave"]) == (one, "clave1", other, "clave2")
    said = {"evento": pair["evento"], "texto": "son dos papeles"}
    assert (await room.ask("super", "/v1/reviews", said)).status_code == 201
    assert (await room.ask("super", "/v1/reviews", said)).status_code == 200
    [seen] = await rows(room, "duplicates")
    assert (seen["reviso"], seen["texto"]) == ("super", "son dos papeles")
    await decided(
        room, {"tipo": "imagen_de_otra_acta", "imagen": other, "motivo": "identificada_por_error", "identidad": qr(3)}
    )
    [moved] = await rows(room, "duplicates")
    assert moved["otra_clave"] == "clave3"


async def test_a_sticker_and_a_device_that_disagree_are_listed_with_both_words(room: Room) -> None:
    sha256 = await room.arrive(1)
    async with transaction(room.pool) as connection:
        await add_event(connection, "identidad_difiere", sha256, {"qr": qr(1), "dispositivo": qr(9)}, room.clock())
        for acta in (1, 2):
            detail = {"imagen": sha256, "identidades": [qr(1), qr(2)]}
            await add_event(connection, "dos_identidades", f"clave{acta}", detail, room.clock())
    first, second = await rows(room, "mismatches")
    assert (first["etiqueta"], first["dispositivo"], first["clave"]) == (qr(1), qr(9), "clave1")
    assert (second["clase"], second["etiqueta"], second["dispositivo"]) == (
        "dos_identidades",
        f"{qr(1)} / {qr(2)}",
        None,
    )


async def test_an_acta_that_exceeds_is_told_with_the_numbers_of_the_rule_and_not_while_it_is_typed(room: Room) -> None:
    await room.arrive(1)
    over = VALUES | {"PAN": 290}
    for who in ("ana", "beto"):
        assert await rows(room, "excede") == [], "nobody sees a number before both have typed it"
        await room.type(who, over)
    [row] = await rows(room, "excede")
    numbers = ("calculado", "lista_nominal", "representantes", "boletas_maximas", "votos_por_boleta", "limite")
    assert [row[name] for name in numbers] == [540, 500, 10, None, 1, 510]
    assert (await room.ask("super", "/v1/reviews", {"version": row["version"], "texto": "así dice"})).status_code == 201
    assert (await rows(room, "excede"))[0]["reviso"] == "super"
    again = await room.ask("super", "/v1/actas/DIP_LOC/clave1/recaptura", {"motivo": "revisar"})
    assert again.status_code == 201
    assert await rows(room, "excede") == []


# --- a new scan of the same paper -------------------------------------------------------------------------------------


async def test_a_new_scan_takes_the_place_of_the_image_both_are_kept_and_the_cotejo_ends(
    room: Room, night: Night
) -> None:
    old = await room.arrive(1)
    for who in ("ana", "beto"):
        await room.type(who, VALUES)
    await record_corte(night.owner, 1, at=room.clock())
    await room.pool.execute("INSERT INTO publication SELECT id, 1 FROM acta_version")
    await room.pool.execute("UPDATE acta_current SET estado = acta_after(estado, 'publicación')")
    path = "/v1/actas/DIP_LOC/clave1"
    assert (await room.ask("cotejo", f"{path}/cotejo", {"resultado": "en correccion"})).status_code == 201
    state = (await room.ask("audi", path, method="GET")).json()
    assert (state["estado"], state["cotejada"], state["qr"]) == ("Digitalizada", 3, qr(1))
    new = await room.arrive(11, text=qr(1))
    held = await room.lease("caro", "captura")
    assert held is not None
    busy = await room.ask("super", f"{path}/recaptura", {"motivo": "mejor imagen", "imagen": new})
    assert (busy.status_code, busy.json()["codigo"]) == (409, "acta_no_lo_admite")
    await room.ask("caro", f"/v1/tasks/{held['tarea']}/release")
    done = await room.ask("super", f"{path}/recaptura", {"motivo": "mejor imagen", "imagen": new})
    assert done.status_code == 201
    for who in ("caro", "beto"):
        task = await room.lease(who, "captura")
        assert task is not None
        assert new in task["imagen"]
        await room.ask(who, f"/v1/tasks/{task['tarea']}/entry", {"valores": VALUES | {"PAN": 151}})
        await room.work()
    state = (await room.ask("audi", path, method="GET")).json()
    assert (state["estado"], state["cotejada"]) == ("Verificada", 2)
    assert {each["sha256"]: each["vigente"] for each in state["imagenes"]} == {old: False, new: True}
    version = await room.pool.fetchrow("SELECT image, reason, tail FROM acta_version ORDER BY id DESC LIMIT 1")
    assert version is not None
    assert (version["image"].hex(), version["reason"], version["tail"][-2:]) == (new, "recaptura", ",2")
    event = await room.pool.fetchval("SELECT detail FROM event WHERE kind = 'recaptura' ORDER BY id DESC LIMIT 1")
    assert json.loads(event)["imagen"] == new


# --- the board --------------------------------------------------------------------------------------------------------


async def test_the_board_tells_open_work_though_no_task_waits(room: Room) -> None:
    assert await open_now(room) == {"esperadas": 40, "sin_imagen": 40}
    await room.arrive(1)
    task = await room.lease("ana")
    assert task is not None
    await room.ask("ana", f"/v1/tasks/{task['tarea']}/entry", {"valores": VALUES})
    # Kept and not compared: no task waits, and the acta is not settled.
    assert await room.pool.fetchval("SELECT count(*) FROM task") == 0
    assert await open_now(room) == {
        "esperadas": 40, "sin_imagen": 39, "en_captura": 1, "sin_comparar": 1, "en_camino": 1,
    }  # fmt: skip
    await room.work()
    assert await open_now(room) == {"esperadas": 40, "sin_imagen": 39, "en_captura": 1}
    await room.type("beto", VALUES)
    await room.arrive(2, text=None)
    sin_acta = {"tipo": "sin_acta", "eleccion": "DIP_LOC", "clave": "clave7", "motivo": "paquete_sin_sobre"}
    await proposes(room, "oper", sin_acta)
    assert await open_now(room) == {
        "esperadas": 40, "capturadas": 1, "sin_imagen": 39, "por_identificar": 1, "propuestas": 1,
    }  # fmt: skip


async def test_how_fast_people_type_is_for_supervisors_alone(room: Room) -> None:
    await room.arrive(1)
    await room.type("ana", VALUES)
    for who, people in (("super", True), ("admin", False)):
        board = (await room.ask(who, "/v1/board", method="GET")).json()
        assert bool(board["personas"]) is people
        assert board["esperan"]
