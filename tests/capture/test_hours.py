"""Before the night opens, images wait with their devices; after it closes, they are kept and nothing changes."""

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from capture.auth import enroll
from capture.service import serve
from prep.errors import Rejected
from prep.settings import Settings, now
from prep.store.database import connect
from tests.conftest import Night
from tests.makers.capture_room import EVENING, VALUES, Device, Journal, Room, furnished, jpeg, open_room
from tests.makers.declared import REAL, declare, open_night, record_corte


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


LATE_SIN_ACTA = {"tipo": "sin_acta", "eleccion": "DIP_LOC", "clave": "clave30", "motivo": "paquete_sin_sobre"}


async def close(night: Night, room: Room) -> None:
    """Put the last corte on record, and let capture see it."""
    await record_corte(night.owner, 1, at=EVENING + timedelta(hours=5), final=True)
    tonight = room.intake.tonight
    await tonight.look()
    assert tonight.closed_at is not None


async def test_an_image_before_corte_0_waits_with_its_device_and_comes_in_after_it(
    night: Night, tmp_path: Path
) -> None:
    device, bus = Device("escaner-1"), Journal(tmp_path / "bus.jsonl")
    async with connect(night.owner) as owner:
        await enroll(owner, device=device.id, site="CATD-1", public_key=device.public_key, at=EVENING)
    async with open_room(night.app, tmp_path, device=device, bus=bus) as room:
        undeclared = await room.send(jpeg(1), Sequence="1")
        assert (undeclared.status_code, undeclared.json()["codigo"]) == (503, "no_disponible")
        assert (await room.http.get("/readyz")).status_code == 503
        await declare(night.owner, REAL, at=EVENING)
        early = await room.send(jpeg(1), Sequence="1")
        assert (early.status_code, early.json()["codigo"]) == (425, "todavia_no_abre")
        assert "domingo 6 de junio de 2027 a las 20:00, hora del centro" in early.json()["error"]
        assert 0 < int(early.headers["Retry-After"]) <= 300
        assert bus.messages() == []
        assert await room.blobs.names() == []
        await record_corte(night.owner, 0, REAL, at=EVENING)
        taken = await room.send(jpeg(1), Sequence="1")
        assert taken.status_code == 201
        acuse = taken.json()["acuse"]
        assert (acuse["servidor"], acuse["simulacro"]) == ("PREP EJ", False)
        assert "observaciones" not in acuse
        assert (await room.http.get("/readyz")).status_code == 200


async def test_an_image_after_the_close_gets_a_receipt_that_says_so_and_is_not_typed(room: Room, night: Night) -> None:
    before = (await room.send(jpeg(1), Sequence="1")).json()
    await close(night, room)
    late = await room.send(jpeg(2), Sequence="2")
    assert late.status_code == 201
    assert late.json()["acuse"]["observaciones"] == ["después del cierre"]
    assert (await room.send(jpeg(1), Sequence="1")).json() == before  # its first receipt is its only one
    image = await room.arrive(3)
    async with room.pool.acquire() as connection:
        assert (
            await connection.fetchval("SELECT state FROM image_current WHERE image = $1", bytes.fromhex(image))
            == "recibida"
        )
        marks = await connection.fetch("SELECT code FROM image_oddity WHERE image = $1", bytes.fromhex(image))
        assert [row["code"] for row in marks] == ["despues_del_cierre"]
        assert await connection.fetchval("SELECT count(*) FROM task") == 0
        assert await connection.fetchval("SELECT count(*) FROM arrival WHERE image = $1", bytes.fromhex(image)) == 1


async def test_after_the_close_no_capture_and_no_correction_is_taken_and_the_reason_is_said(
    room: Room, night: Night
) -> None:
    """249 published votes became 21 in the database after the close."""
    await room.arrive(1)
    assert (await room.type("ana", VALUES)).status_code == 201
    assert (await room.type("beto", VALUES)).status_code == 201
    await room.arrive(2)
    room.clock.advance(minutes=1)
    kept = await room.ask("ana", "/v1/tasks/lease", {"tipos": ["captura"]})
    task = kept.json()["tarea"]
    typed = await room.ask("ana", f"/v1/tasks/{task}/entry", {"valores": VALUES})
    assert typed.status_code == 201
    await room.arrive(3)
    room.clock.advance(minutes=1)
    held = (await room.ask("beto", "/v1/tasks/lease", {"tipos": ["captura"]})).json()
    async with room.pool.acquire() as connection:
        clave = await connection.fetchval(
            "SELECT clave FROM acta a JOIN acta_current c ON c.acta = a.id WHERE c.estado = 'Verificada'"
        )
        await connection.execute("UPDATE acta_current SET estado = 'Publicada' WHERE estado = 'Verificada'")
    where = f"/v1/actas/DIP_LOC/{clave}"
    await close(night, room)
    refused = [
        await room.ask("caro", "/v1/tasks/lease", {}),
        await room.ask("super", f"{where}/recaptura", {"motivo": "x"}),
        await room.ask("cotejo", f"{where}/cotejo", {"resultado": "aceptada"}),
        await room.ask("oper", "/v1/decisions", LATE_SIN_ACTA),
        await room.ask("beto", f"/v1/tasks/{held['tarea']}/entry", {"valores": VALUES}),
    ]
    for answer in refused:
        assert (answer.status_code, answer.json()["codigo"]) == (409, "noche_cerrada"), answer.text
        assert "último corte" in answer.json()["error"]
    # An answer that was kept before the close is the same answer when it comes again.
    again = await room.ask("ana", f"/v1/tasks/{task}/entry", {"valores": VALUES})
    assert (again.status_code, again.json()["captura"]) == (200, typed.json()["captura"])
    # Messages that waited in the bus at the close make no version any more.
    async with room.pool.acquire() as connection:
        versions = await connection.fetchval("SELECT count(*) FROM acta_version")
        await room.work()
        assert await connection.fetchval("SELECT count(*) FROM acta_version") == versions


async def test_a_machine_of_a_real_night_refuses_to_start_with_the_database_of_another_one(
    night: Night, tmp_path: Path
) -> None:
    await open_night(night.owner, at=EVENING)
    kept = {"declaracion": REAL.text, "politica": None, "abrio": EVENING.isoformat(), "cerro": None}
    (tmp_path / "noche.json").write_text(json.dumps(kept))
    settings = Settings(data=tmp_path, database=night.app, capture_port=0)
    with pytest.raises(Rejected, match=r"noche real.*simulacro: no, no sí.*siglas: EJ, no EDO"):
        await serve(settings)


async def test_a_receipt_that_is_signed_by_a_wrong_clock_says_so(room: Room) -> None:
    room.intake.tonight._clock = lambda: now() - timedelta(seconds=75)
    await room.intake.tonight.look()
    acuse = (await room.send(jpeg(5), Sequence="5")).json()["acuse"]
    [said] = acuse["observaciones"]
    assert re.fullmatch("el reloj de esta máquina difiere 7[0-9] s del de la base de datos", said)
    health = await room.http.get("/healthz")
    assert (health.status_code, [each[:16] for each in health.json()["fuera"]]) == (503, [said[:16]])
