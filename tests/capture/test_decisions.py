"""Decisions of two people over HTTP: proposed by one, confirmed by another, undone in the same way, until the close."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from prep.domain import decision as rules
from prep.domain.decision import LEGAL, DecisionKind, DecisionMove, DecisionState
from prep.messages import ActaTouched
from prep.store import deliveries
from prep.store.database import transaction
from tests.conftest import Night
from tests.makers.capture_room import VALUES, Room, furnished, qr
from tests.makers.declared import record_corte

SIN_ACTA: dict[str, Any] = {
    "tipo": "sin_acta", "eleccion": "DIP_LOC", "clave": "clave7", "motivo": "casilla_no_instalada"
}  # fmt: skip


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


async def proposes(room: Room, who: str, body: dict[str, Any]) -> int:
    answer = await room.ask(who, "/v1/decisions", body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["estado"] == "propuesta"
    number: int = answer.json()["decision"]
    return number


async def says(room: Room, who: str, what: str, number: int, **body: str) -> tuple[int, str]:
    """The status, and the state of the decision or the code of the refusal."""
    answer = await room.ask(who, f"/v1/decisions/{number}/{what}", body)
    told = answer.json()
    return answer.status_code, told.get("estado") or told["codigo"]


async def decided(room: Room, body: dict[str, Any], *, by: str = "digi") -> int:
    number = await proposes(room, by, body)
    assert await says(room, "super", "confirm", number) == (201, "confirmada")
    await room.work()
    return number


async def undone(room: Room, number: int, *, by: str = "digi") -> None:
    room.clock.advance(seconds=1)
    assert await says(room, by, "undo", number, motivo="error") == (201, "por deshacer")
    assert await says(room, "super", "confirm", number) == (201, "deshecha")
    await room.work()


async def estado(room: Room, acta: int) -> str:
    answer = await room.ask("audi", f"/v1/actas/DIP_LOC/clave{acta}", method="GET")
    state: str = answer.json()["estado"]
    return state


async def image_state(room: Room, sha256: str) -> tuple[str, int | None]:
    row = await room.pool.fetchrow("SELECT state, acta FROM image_current WHERE image = $1", bytes.fromhex(sha256))
    assert row is not None
    return row["state"], row["acta"]


async def typed(room: Room, *acta: int) -> None:
    for who in ("ana", "beto"):
        assert (await room.type(who, VALUES)).status_code == 201


# --- what every decision is -------------------------------------------------------------------------------------------


async def test_nothing_counts_before_another_person_confirms(room: Room) -> None:
    number = await proposes(room, "oper", SIN_ACTA)
    assert await estado(room, 7) == "Esperada"
    assert await says(room, "oper", "confirm", number) == (409, "misma_persona")
    assert await estado(room, 7) == "Esperada"
    assert await says(room, "ana", "confirm", number) == (403, "rol_no_permitido")
    assert await says(room, "super", "confirm", number) == (201, "confirmada")
    assert await says(room, "super", "confirm", number) == (200, "confirmada"), "after a broken line, the same again"
    assert await estado(room, 7) == "Verificada"
    assert await room.pool.fetchval("SELECT observations FROM acta_version") == ["sin_acta_2"]


async def test_postgres_refuses_a_confirmation_by_the_same_person(room: Room) -> None:
    number = await proposes(room, "oper", SIN_ACTA)
    with pytest.raises(asyncpg.CheckViolationError, match="herself"):
        await room.pool.execute(
            "INSERT INTO confirmation SELECT id, true, '', person, site, now() FROM proposal WHERE id = $1", number
        )


async def test_postgres_takes_no_sin_acta_that_two_people_did_not_decide(room: Room) -> None:
    number = await proposes(room, "oper", SIN_ACTA)
    version = """INSERT INTO acta_version (acta, ronda, reason, numbers, marks, calculado, observations, inconsistent,
        contabilizada, cotejada, tipo_documento, origen, digitalizacion, traslado, quantities, tail, decision)
        VALUES ($1, 0, $2, '{}', '', 0, '{}', false, 0, 0, '-', '-', '-', '', '', '', $3)"""
    for reason in ("sin_acta", "retiro"):
        for decision in (None, number):
            with pytest.raises((asyncpg.CheckViolationError, asyncpg.ForeignKeyViolationError)):
                await room.pool.execute(version, 7, reason, decision)
    assert await says(room, "super", "confirm", number) == (201, "confirmada")
    with pytest.raises(asyncpg.CheckViolationError, match="no two people decided it of acta 8"):
        await room.pool.execute(version, 8, "sin_acta", number)


async def test_the_same_proposal_again_is_the_same_and_another_waits_for_its_turn(room: Room) -> None:
    number = await proposes(room, "oper", SIN_ACTA)
    again = await room.ask("oper", "/v1/decisions", SIN_ACTA)
    assert (again.status_code, again.json()["decision"]) == (200, number)
    other = await room.ask("super", "/v1/decisions", SIN_ACTA | {"motivo": "paquete_sin_sobre"})
    assert (other.status_code, other.json()["codigo"]) == (409, "decision_abierta")


async def test_a_proposal_is_refused_or_taken_back_and_then_it_can_be_made_again(room: Room) -> None:
    number = await proposes(room, "oper", SIN_ACTA)
    assert await says(room, "ana", "reject", number) == (403, "rol_no_permitido")
    assert await says(room, "oper", "reject", number) == (201, "rechazada"), "one's own word"
    assert await says(room, "super", "confirm", number) == (409, "decision_no_lo_admite")
    number = await proposes(room, "oper", SIN_ACTA)
    assert await says(room, "super", "reject", number, texto="sí llegó") == (201, "rechazada")
    assert await estado(room, 7) == "Esperada"


WRONG = [
    (SIN_ACTA | {"motivo": "porque_si"}, 422, "motivo_no_admitido"),
    (SIN_ACTA | {"clave": "clave99"}, 404, "acta_inexistente"),
    (SIN_ACTA | {"imagen": "0" * 64}, 422, "campo_no_valido"),
    ({"tipo": "sin_acta", "motivo": "casilla_no_instalada"}, 422, "campo_no_valido"),
    ({"tipo": "otra_cosa", "motivo": "otra"}, 422, "campo_no_valido"),
    ({"tipo": "imagen_de_otra_acta", "imagen": "0" * 64, "motivo": "otra", "texto": "x"}, 404, "imagen_inexistente"),
    ({"tipo": "imagen_de_otra_acta", "imagen": "0" * 64, "motivo": "otra"}, 422, "motivo_no_admitido"),
    ({"tipo": "imagen_sin_identidad", "imagen": "0" * 64, "motivo": "dos_identificaciones"}, 422, "motivo_no_admitido"),
    ({"tipo": "mensaje_descartado", "mensaje": 9, "motivo": "repetido"}, 404, "mensaje_inexistente"),
    ({"tipo": "mensaje_descartado", "mensaje": 2**53, "motivo": "repetido"}, 422, "campo_no_valido"),
    (
        {"tipo": "numero_perdido", "dispositivo": "otro", "numero": 3, "motivo": "imagen_borrada"},
        404,
        "dispositivo_inexistente",
    ),
]


@pytest.mark.parametrize(("body", "status", "code"), WRONG)
async def test_a_proposal_about_nothing_or_without_a_listed_reason_is_refused(
    room: Room, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await room.ask("super", "/v1/decisions", body)
    assert (answer.status_code, answer.json()["codigo"]) == (status, code)
    assert await room.pool.fetchval("SELECT count(*) FROM proposal") == 0


async def test_after_the_close_no_decision_is_taken_or_undone(room: Room, night: Night) -> None:
    done, waits = await decided(room, SIN_ACTA, by="oper"), await proposes(room, "oper", SIN_ACTA | {"clave": "clave8"})
    await record_corte(night.owner, 1, at=datetime(2024, 6, 3, 8, tzinfo=UTC), final=True)
    late = await room.ask("oper", "/v1/decisions", SIN_ACTA | {"clave": "clave9"})
    assert (late.status_code, late.json()["codigo"]) == (409, "noche_cerrada")
    assert await says(room, "super", "confirm", waits) == (409, "noche_cerrada")
    assert await says(room, "oper", "undo", done, motivo="error") == (409, "noche_cerrada")


async def test_the_moves_of_postgres_are_those_of_the_program(night: Night) -> None:
    connection = await asyncpg.connect(night.owner)
    rows = await connection.fetch("SELECT from_state, move, to_state FROM decision_move")
    kinds = await connection.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'proposal_kind_check'"
    )
    await connection.close()
    assert {(DecisionState(a), DecisionMove(m)): DecisionState(b) for a, m, b in rows} == LEGAL
    assert all(f"'{kind}'" in kinds for kind in DecisionKind)
    lines = re.findall(r"^ {4}(.*──.*)$", rules.__doc__ or "", re.MULTILINE)
    drawn = {}
    for way in (way for line in lines for way in re.split(r" {4,}", line)):
        states = re.split(r" ──[^►]*──► ", way)
        for before, move, then in zip(states, re.findall(r"──([^►]*)──►", way), states[1:], strict=False):
            drawn[DecisionState(before), DecisionMove(move)] = DecisionState(then)
    assert drawn == LEGAL


# --- sin acta ---------------------------------------------------------------------------------------------------------


async def test_a_sin_acta_is_undone_by_two_people_and_may_be_decided_again(room: Room) -> None:
    number = await decided(room, SIN_ACTA, by="oper")
    assert await says(room, "oper", "undo", number, motivo="otra") == (422, "motivo_no_admitido"), "which other?"
    assert await says(room, "oper", "undo", number, motivo="error") == (201, "por deshacer")
    assert await says(room, "oper", "confirm", number) == (409, "misma_persona")
    assert await estado(room, 7) == "Verificada"
    assert await says(room, "super", "reject", number) == (201, "confirmada")
    await undone(room, number, by="oper")
    assert await estado(room, 7) == "Esperada"
    counted = (await room.ask("audi", "/v1/actas/DIP_LOC/clave7", method="GET")).json()
    assert (counted["contabilizada"], counted["observaciones"]) == (None, [])
    await decided(room, SIN_ACTA | {"motivo": "paquete_no_entregado"}, by="oper")
    assert await room.pool.fetchval("SELECT array_agg(reason ORDER BY id) FROM acta_version") == [
        "sin_acta", "retiro", "sin_acta",
    ]  # fmt: skip


async def test_an_acta_that_came_is_no_sin_acta(room: Room) -> None:
    await room.arrive(7)
    late = await room.ask("oper", "/v1/decisions", SIN_ACTA)
    assert (late.status_code, late.json()["codigo"]) == (409, "acta_no_lo_admite")


async def test_an_acta_that_comes_between_the_two_people_is_no_sin_acta(room: Room) -> None:
    number = await proposes(room, "oper", SIN_ACTA)
    await room.arrive(7)
    assert await says(room, "super", "confirm", number) == (409, "acta_no_lo_admite")
    assert await says(room, "super", "reject", number) == (201, "rechazada")


# --- images -----------------------------------------------------------------------------------------------------------


def of_another(sha256: str, **other: str) -> dict[str, Any]:
    return {"tipo": "imagen_de_otra_acta", "imagen": sha256, "motivo": "etiqueta_equivocada"} | other


async def test_an_image_of_another_acta_goes_there_and_the_captures_from_it_do_not_count(room: Room) -> None:
    sha256 = await room.arrive(1)
    await typed(room)
    assert (await estado(room, 1), await estado(room, 2)) == ("Verificada", "Esperada")
    number = await proposes(room, "digi", of_another(sha256, identidad=qr(2)))
    assert (await estado(room, 1), await estado(room, 2)) == ("Verificada", "Esperada")
    assert await says(room, "super", "confirm", number) == (201, "confirmada")
    assert (await estado(room, 1), await estado(room, 2)) == ("Esperada", "Digitalizada")
    assert await image_state(room, sha256) == ("identificada", 2)
    await typed(room)
    assert await estado(room, 2) == "Verificada"
    await undone(room, number)
    assert (await estado(room, 1), await estado(room, 2)) == ("Digitalizada", "Esperada")
    assert await image_state(room, sha256) == ("identificada", 1)
    await typed(room)
    assert await estado(room, 1) == "Verificada"


async def test_an_acta_that_loses_its_image_is_typed_from_another_that_it_has(room: Room) -> None:
    wrong = await room.arrive(1)
    right = await room.arrive(11, text=qr(1))
    assert await image_state(room, right) == ("identificada", 1)
    await typed(room)
    await decided(room, of_another(wrong, identidad=qr(2)))
    assert await estado(room, 1) == "Digitalizada"
    assert await room.pool.fetchval("SELECT image FROM acta_current WHERE acta = 1") == bytes.fromhex(right)


async def test_an_image_that_is_not_the_current_one_leaves_and_its_acta_stays(room: Room) -> None:
    await room.arrive(1)
    await typed(room)
    spare = await room.arrive(11, text=qr(1))
    await decided(room, of_another(spare, identidad=qr(2)))
    assert (await estado(room, 1), await estado(room, 2)) == ("Verificada", "Digitalizada")


async def test_an_image_of_another_acta_is_identified_by_two_others_if_nobody_says_which(room: Room) -> None:
    sha256 = await room.arrive(1)
    number = await decided(room, of_another(sha256))
    assert await image_state(room, sha256) == ("por_identificar", None)
    assert await says(room, "digi", "undo", number, motivo="error") == (409, "imagen_no_lo_admite")
    for who in ("digi", "ana"):
        task = await room.lease(who, "identificacion")
        assert task is not None
        await room.ask(who, f"/v1/tasks/{task['tarea']}/identity", {"identidad": qr(3)})
        await room.work()
    assert await image_state(room, sha256) == ("identificada", 3)
    assert await says(room, "digi", "undo", number, motivo="error") == (201, "por deshacer")
    assert await says(room, "super", "confirm", number) == (201, "deshecha")
    assert await image_state(room, sha256) == ("identificada", 1)
    assert (await estado(room, 1), await estado(room, 3)) == ("Digitalizada", "Esperada")


@pytest.mark.parametrize("identity", [qr(1), qr(99)])
async def test_another_acta_is_another_one_of_the_catalogue(room: Room, identity: str) -> None:
    sha256 = await room.arrive(1)
    refused = await room.ask("digi", "/v1/decisions", of_another(sha256, identidad=identity))
    assert (refused.status_code, refused.json()["codigo"]) == (422, "identidad_no_valida")


async def identify(room: Room, identity: str, *people: str) -> None:
    for who in people:
        task = await room.lease(who, "identificacion")
        assert task is not None, who
        answer = await room.ask(who, f"/v1/tasks/{task['tarea']}/identity", {"identidad": identity})
        assert answer.status_code == 201
        await room.work()


OUTSIDE = "28|2|D|1|1|B|0|6"
"""The sticker of acta 1 with a wrong district."""


async def test_a_sticker_of_no_acta_takes_nothing_away_until_two_people_have_looked(room: Room) -> None:
    sha256 = await room.arrive(1, text=OUTSIDE)
    assert await image_state(room, sha256) == ("por_identificar", None)
    task = await room.lease("digi", "identificacion")
    assert task is not None
    assert [each["codigo"] for each in task["rarezas"]] == ["etiqueta_ajena"]
    await identify(room, qr(1), "digi", "ana")
    assert await image_state(room, sha256) == ("identificada", 1), "the paper said so, and not the sticker"


async def test_fuera_de_catalogo_is_a_decision_of_two_and_is_undone_by_two(room: Room) -> None:
    sha256 = await room.arrive(1, text=OUTSIDE)
    await identify(room, OUTSIDE, "digi", "ana")
    assert await image_state(room, sha256) == ("fuera_de_catalogo", None)
    listed = (await room.ask("super", "/v1/lists/fuera", method="GET")).json()["filas"]
    assert [(each["sha256"], each["identidad"]) for each in listed] == [(sha256, OUTSIDE)]
    await undone(room, listed[0]["decision"])
    assert await image_state(room, sha256) == ("por_identificar", None)
    assert (await room.ask("super", "/v1/lists/fuera", method="GET")).json()["filas"] == []
    await identify(room, qr(1), "beto", "dora")
    assert await image_state(room, sha256) == ("identificada", 1), "earlier words do not count"


async def test_an_image_that_was_undone_may_be_fuera_again_with_another_identity(room: Room) -> None:
    sha256 = await room.arrive(1, text=OUTSIDE)
    await identify(room, OUTSIDE, "digi", "ana")
    first = (await room.ask("super", "/v1/lists/fuera", method="GET")).json()["filas"][0]["decision"]
    await undone(room, first)
    await identify(room, qr(99), "beto", "dora")
    listed = (await room.ask("super", "/v1/lists/fuera", method="GET")).json()["filas"]
    assert [(each["sha256"], each["identidad"]) for each in listed] == [(sha256, qr(99))]


async def test_an_image_of_an_acta_is_declared_fuera_and_the_acta_is_expected_again(room: Room) -> None:
    sha256 = await room.arrive(1)
    await typed(room)
    body = {"tipo": "fuera_de_catalogo", "imagen": sha256, "identidad": qr(99), "motivo": "casilla_no_aprobada"}
    inside = await room.ask("digi", "/v1/decisions", body | {"identidad": qr(2)})
    assert (inside.status_code, inside.json()["codigo"]) == (422, "identidad_no_valida")
    number = await decided(room, body)
    assert (await estado(room, 1), await image_state(room, sha256)) == ("Esperada", ("fuera_de_catalogo", None))
    await undone(room, number)
    assert (await estado(room, 1), await image_state(room, sha256)) == ("Digitalizada", ("identificada", 1))


async def test_an_image_that_two_people_cannot_identify_comes_back_if_two_undo_it(room: Room) -> None:
    sha256 = await room.arrive(1, text=None)
    await identify(room, "", "digi", "ana")
    assert await image_state(room, sha256) == ("ilegible", None)
    [listed] = (await room.ask("super", "/v1/lists/decisions", method="GET")).json()["filas"]
    assert (listed["tipo"], listed["estado"], listed["motivo"]) == (
        "imagen_sin_identidad", "confirmada", "dos_identificaciones",
    )  # fmt: skip
    assert (listed["propuso"], listed["contesto"]) == ("digi", "ana")
    await undone(room, listed["decision"])
    await identify(room, qr(1), "beto", "dora")
    assert await image_state(room, sha256) == ("identificada", 1)


async def test_a_late_image_of_a_sin_acta_that_was_anothers_leaves_the_sin_acta(room: Room) -> None:
    registered = await decided(room, SIN_ACTA, by="oper")
    sha256 = await room.arrive(7)
    assert await estado(room, 7) == "Digitalizada"
    await decided(room, of_another(sha256, identidad=qr(2)))
    assert await estado(room, 7) == "Verificada"
    await undone(room, registered, by="oper")
    assert await estado(room, 7) == "Esperada"


# --- machines ---------------------------------------------------------------------------------------------------------


async def test_a_parked_message_is_dismissed_by_two_and_waits_again_if_two_undo_it(room: Room) -> None:
    async with transaction(room.pool) as connection:
        message = ActaTouched(acta=1, ronda=1, ordinal=1).message()
        await deliveries.park(connection, "validate", message, error="x", at=room.clock())
    body = {"tipo": "mensaje_descartado", "mensaje": 1, "motivo": "imagen_de_prueba", "texto": "la del simulacro"}
    number = await proposes(room, "admin", body)
    assert await room.pool.fetchval("SELECT state FROM parked") == "parked"
    assert await says(room, "super", "confirm", number) == (201, "confirmada")
    row = await room.pool.fetchrow("SELECT state, reason FROM parked")
    assert row is not None
    assert tuple(row) == ("dismissed", "imagen_de_prueba: la del simulacro")
    await undone(room, number, by="admin")
    assert await room.pool.fetchval("SELECT state FROM parked") == "parked"


async def test_a_lost_number_is_a_decision_about_one_number_of_one_device(room: Room) -> None:
    await room.arrive(1)
    body = {"tipo": "numero_perdido", "dispositivo": "escaner-1", "motivo": "dispositivo_descompuesto"}
    came = await room.ask("admin", "/v1/decisions", body | {"numero": 10_001})
    assert (came.status_code, came.json()["codigo"]) == (409, "numero_ya_recibido")
    number = await decided(room, body | {"numero": 5}, by="admin")
    event = await room.pool.fetchrow("SELECT subject, detail FROM event WHERE kind = 'decision'")
    assert event is not None
    assert (event["subject"], "escaner-1:5" in event["detail"]) == (f"decision:{number}", True)
    lost = await room.pool.fetchrow("SELECT device, numbers, reason, person <> confirmed AS two FROM device_loss")
    assert lost is not None
    assert tuple(lost) == ("escaner-1", "5", "El dispositivo se descompuso", True), "verifiers read it in the log"
    assert await says(room, "admin", "undo", number, motivo="error") == (409, "decision_no_lo_admite")
