"""The lists over HTTP: their rows, a part at a time, and who may read which."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from capture.decisions import MAY_LIST
from prep.store import lists
from prep.store.lists import Listing
from prep.store.people import Role
from tests.conftest import Night
from tests.makers.capture_room import VALUES, Room, furnished
from tests.makers.declared import record_corte

ONE_OF_EACH = {
    Role.OPERADOR_CATD: "oper", Role.DIGITALIZADOR: "digi", Role.CAPTURISTA: "ana", Role.VERIFICADOR: "caro",
    Role.SUPERVISOR: "super", Role.COTEJADOR: "cotejo", Role.ADMINISTRADOR: "admin", Role.AUDITOR: "audi",
    Role.OBSERVADOR: "obse",
}  # fmt: skip


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


async def rows(room: Room, what: Listing) -> list[dict[str, Any]]:
    answer = await room.ask("super", f"/v1/lists/{what}", method="GET")
    assert (answer.status_code, answer.json()["siguiente"]) == (200, None)
    found: list[dict[str, Any]] = answer.json()["filas"]
    return found


async def test_each_list_is_read_by_the_roles_of_its_line_alone(room: Room) -> None:
    for role, who in ONE_OF_EACH.items():
        for what in Listing:
            answer = await room.ask(who, f"/v1/lists/{what}", method="GET")
            assert answer.status_code == (200 if role in MAY_LIST[what] else 403), (role, what)
    assert (await room.http.get("/v1/lists/people")).status_code == 401


async def test_the_lists_tell_people_actas_images_and_the_work_that_waits(room: Room, night: Night) -> None:
    began = room.clock().isoformat()
    typed = await room.arrive(1)
    for who in ("ana", "beto"):
        await room.type(who, VALUES)
    unread = await room.arrive(2, text=None)
    said = {"tipo": "sin_acta", "eleccion": "DIP_LOC", "clave": "clave7", "motivo": "paquete_sin_sobre"}
    await room.ask("oper", "/v1/decisions", said)

    missing = await rows(room, Listing.MISSING)
    assert [row["clave"] for row in missing] == [f"clave{acta}" for acta in range(2, 41)]
    assert [(row["sha256"], row["estado"], row["dichos"]) for row in await rows(room, Listing.UNIDENTIFIED)] == [
        (unread, "por_identificar", 0)
    ]
    assert [(row["que"], row["asunto"], row["desde"]) for row in await rows(room, Listing.WAITING)] == [
        ("decision", "1 sin_acta", began),
        ("identificacion", unread, began),
    ]
    [device] = await rows(room, Listing.DEVICES)
    assert (device["dispositivo"], device["sitio"], device["envios"], device["ultimo"]) == (
        "escaner-1", "CATD-1", 2, 10_002,
    )  # fmt: skip
    assert [(row["sitio"], row["personas"]) for row in await rows(room, Listing.SITES)] == [
        ("CATD-1", 3), ("CATD-2", 0), ("CCV-1", 6), ("CCV-2", 2),
    ]  # fmt: skip
    assert {row["usuario"]: row["rol"] for row in await rows(room, Listing.PEOPLE)}["caro"] == "verificador"
    [decision] = await rows(room, Listing.DECISIONS)
    assert (decision["clave"], decision["propuso"], decision["contesto"]) == ("clave7", "oper", None)

    assert await rows(room, Listing.CORRECTIONS) == []
    await record_corte(night.owner, 1, at=room.clock())
    await room.pool.execute("INSERT INTO publication SELECT id, 1 FROM acta_version")
    number = (await room.ask("digi", "/v1/decisions", {
        "tipo": "imagen_de_otra_acta", "imagen": typed, "motivo": "identificada_por_error",
    })).json()["decision"]  # fmt: skip
    await room.ask("super", f"/v1/decisions/{number}/confirm", {})
    assert await rows(room, Listing.CORRECTIONS) == [
        {"eleccion": "DIP_LOC", "clave": "clave1", "motivo": "retiro", "decision": number, "corte": None}
    ]


async def test_a_long_list_is_read_in_parts_and_each_row_once(room: Room) -> None:
    seen, after, parts = [], 0, 0
    async with room.pool.acquire() as connection:
        while True:
            found, more = await lists.rows(connection, Listing.MISSING, after=after, limit=15)
            seen += [row["clave"] for row in found]
            parts += 1
            if more is None:
                break
            after = more
    assert (parts, seen) == (3, [f"clave{acta}" for acta in range(1, 41)])
    rest = await room.ask("super", "/v1/lists/missing?despues=38", method="GET")
    assert [row["clave"] for row in rest.json()["filas"]] == ["clave39", "clave40"]
    wrong = await room.ask("super", "/v1/lists/missing?despues=-1", method="GET")
    assert (wrong.status_code, wrong.json()["codigo"]) == (422, "campo_no_valido")


async def test_the_cotejador_sees_the_published_actas_that_nobody_has_compared(room: Room, night: Night) -> None:
    for acta in (3, 1):
        await room.arrive(acta)
        for who in ("ana", "beto"):
            await room.type(who, VALUES)
    await room.arrive(2)
    assert await rows(room, Listing.COTEJO) == [], "what no corte holds is compared with nothing"
    await record_corte(night.owner, 1, at=room.clock())
    await room.pool.execute("INSERT INTO publication SELECT id, 1 FROM acta_version")
    await room.pool.execute("UPDATE acta_current SET estado = 'Publicada' WHERE estado = 'Verificada'")
    assert [
        (row["clave"], row["seccion"], row["tipo"], row["sitio"], row["corte"], row["desde"], row["cotejada"])
        for row in await rows(room, Listing.COTEJO)
    ] == [(f"clave{acta}", acta, "B", "CATD-1", 1, room.clock().isoformat(), 0) for acta in (3, 1)]
    await room.ask("cotejo", "/v1/actas/DIP_LOC/clave3/cotejo", {"resultado": "aceptada"})
    assert [row["clave"] for row in await rows(room, Listing.COTEJO)] == ["clave1"]
    # One that differs is typed again: it waits for the next corte first, and then for another look.
    await room.ask("cotejo", "/v1/actas/DIP_LOC/clave1/cotejo", {"resultado": "en correccion"})
    assert await rows(room, Listing.COTEJO) == []
