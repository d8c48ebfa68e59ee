"""A device enrols itself with a code that a supervisor shows: once, soon, and with a key that only the device has."""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import zxingcpp
from PIL import Image

from capture.auth import FREE_TRIES
from capture.receipts import raw_public
from prep.scan.labels import modules
from prep.settings import Part
from prep.store.invitations import Invited
from tests.conftest import Night
from tests.makers.capture_room import Device, Room, furnished, jpeg, qr

ASKED = {"dispositivo": "movil-7", "sitio": "CATD-1", "secciones": [12, 13]}


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


async def invite(room: Room, **other: Any) -> dict[str, Any]:
    answer = await room.ask("super", "/v1/devices/invitations", ASKED | other)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def enrol(room: Room, code: str, device: Device) -> httpx.Response:
    said = {"codigo": code, "llave": base64.b64encode(device.public_key).decode()}
    return await room.http.post("/v1/devices", json=said)


async def test_a_phone_enrols_with_the_code_and_sends_at_once(room: Room) -> None:
    told, phone = await invite(room), Device("movil-7")
    assert told["direccion"] == f"{room.url}/casilla#inscribir={told['codigo']}"
    # As a person types it: small letters, spaces.
    answer = await enrol(room, told["codigo"].lower().replace("-", " "), phone)
    assert answer.status_code == 201
    said = answer.json()
    assert (said["dispositivo"], said["sitio"], said["servidor"], said["simulacro"]) == (
        "movil-7", "CATD-1", "PREP EDO", True,
    )  # fmt: skip
    assert said["llave_de_acuses"] == raw_public(room.intake.receipts.key)
    assert [(each["seccion"], each["tipo"], each["municipio"]) for each in said["casillas"]] == [
        (12, "B", "Nuevo Laredo"), (13, "B", "Nuevo Laredo"),
    ]  # fmt: skip
    assert said["casillas"][0]["actas"] == [
        {"clave": "clave12", "eleccion": "DIP_LOC", "titulo": "Diputaciones locales", "qr": qr(12)}
    ]
    headers = phone.headers(jpeg(12), Origin="CASILLA", Kind="movil")
    assert (await room.http.post("/v1/images", content=jpeg(12), headers=headers)).status_code == 201


async def test_a_code_is_used_once_and_the_same_phone_is_answered_again(room: Room) -> None:
    told, phone = await invite(room), Device("movil-7")
    first = await enrol(room, told["codigo"], phone)
    again = await enrol(room, told["codigo"], phone)
    assert (first.status_code, again.status_code) == (201, 201), "an answer may be lost"
    assert first.content == again.content
    other = await enrol(room, told["codigo"], Device("movil-7"))
    assert (other.status_code, other.json()["codigo"]) == (404, "codigo_no_valido")
    taken = await room.ask("super", "/v1/devices/invitations", ASKED)
    assert (taken.status_code, taken.json()["codigo"]) == (409, "conflicto")


async def test_of_two_phones_with_one_code_one_enrols(room: Room) -> None:
    told = await invite(room)
    answers = await asyncio.gather(*(enrol(room, told["codigo"], Device("movil-7")) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 404, 404, 404]


async def test_a_code_runs_out(room: Room, night: Night) -> None:
    told = await invite(room)
    connection = await asyncpg.connect(night.owner)
    kept = await connection.fetchrow("SELECT * FROM device_invitation")
    assert kept is not None
    assert told["codigo"].encode() not in bytes(repr(tuple(kept)), "utf-8"), "its digest alone is kept"
    assert (kept["expires_at"] - kept["issued_at"]).total_seconds() == 15 * 60
    await connection.execute(
        "UPDATE device_invitation SET issued_at = issued_at - interval '16 min', expires_at = expires_at - interval '16 min'"
    )
    await connection.close()
    assert (await enrol(room, told["codigo"], Device("movil-7"))).status_code == 404


async def test_wrong_codes_must_wait_like_wrong_passwords(room: Room) -> None:
    told = await invite(room)
    for _ in range(FREE_TRIES):
        assert (await enrol(room, "AAAA-AAAA-AAAA", Device("x"))).status_code == 404
    slowed = await enrol(room, told["codigo"], Device("movil-7"))
    assert (slowed.status_code, slowed.json()["codigo"]) == (429, "demasiados_intentos")
    room.ticks.at += 6
    assert (await enrol(room, told["codigo"], Device("movil-7"))).status_code == 201


@pytest.mark.parametrize("key", ["", "AAAA", "¿?", base64.b64encode(bytes(33)).decode()])
async def test_a_key_that_is_none_is_refused_and_the_code_stays(room: Room, key: str) -> None:
    told = await invite(room)
    answer = await room.http.post("/v1/devices", json={"codigo": told["codigo"], "llave": key})
    assert answer.status_code == 422
    assert (await enrol(room, told["codigo"], Device("movil-7"))).status_code == 201


async def test_a_key_that_another_device_had_enrols_nobody(room: Room) -> None:
    told = await invite(room)
    assert (await enrol(room, told["codigo"], room.device)).status_code == 404


@pytest.mark.parametrize(
    ("who", "other", "status"),
    [
        ("ana", {}, 403),
        ("oper", {}, 403),
        ("super", {"sitio": "CATD-9"}, 404),
        ("super", {"dispositivo": "movil 7"}, 422),
        ("super", {"secciones": [9000]}, 422),
        ("admin", {"secciones": [], "municipios": []}, 201),
        ("super", {"secciones": [], "municipios": [27]}, 201),
    ],
)
async def test_who_may_invite_what(room: Room, who: str, other: dict[str, Any], status: int) -> None:
    assert (await room.ask(who, "/v1/devices/invitations", ASKED | other)).status_code == status


async def test_a_site_sees_how_its_own_actas_stand(room: Room) -> None:
    told = await invite(room, secciones=[12, 13, 14])
    await enrol(room, told["codigo"], Device("movil-7"))
    await room.arrive(12)
    await room.arrive(40, text=None)
    said = {"tipo": "sin_acta", "eleccion": "DIP_LOC", "motivo": "paquete_no_entregado"}
    for acta in (13, 14):
        answer = await room.ask("oper", "/v1/decisions", said | {"clave": f"clave{acta}"})
        assert answer.status_code == 201
    number = answer.json()["decision"]
    assert (await room.ask("super", f"/v1/decisions/{number}/confirm", {})).status_code == 201
    board = (await room.ask("oper", "/v1/sites/own", method="GET")).json()
    assert [(each["seccion"], each["estado"], each["propuesta"] is None) for each in board["actas"]] == [
        (12, "llego", True), (13, "falta", False), (14, "sin_acta", True),
    ]  # fmt: skip
    opened = room.intake.tonight.opened_at
    assert opened is not None
    assert board["actas"][1]["desde"] == opened.isoformat(), "it is missing since the night opened"
    assert all(each["desde"] is not None for each in board["actas"])
    assert [(each["estado"], each["dispositivo"]) for each in board["imagenes"]] == [("por_identificar", "escaner-1")]
    assert (await room.ask("super", "/v1/sites/own", method="GET")).json()["actas"] == [], "another site"
    assert (await room.ask("ana", "/v1/sites/own", method="GET")).status_code == 403


async def test_postgres_takes_no_device_without_a_code_and_no_code_without_a_session(room: Room, night: Night) -> None:
    connection = await asyncpg.connect(night.parts[Part.CAPTURE])
    for statement in (
        "INSERT INTO device (id, public_key, site, enrolled_at) VALUES ('x', sha256('x'), 1, now())",
        "INSERT INTO device_casilla (device, clave) VALUES ('escaner-1', 'x')",
        "INSERT INTO device_invitation (code_sha256, device, site, casillas, expires_at) VALUES (sha256('x'), 'x', 1, '{}', now())",
        "SELECT code_sha256 FROM device_invitation",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    nobody = "SELECT invite_device('no token', 'x', 1::smallint, '{}', sha256('x'), interval '15 min')"
    assert await connection.fetchval(nobody) is None
    assert await connection.fetchval("SELECT redeem_invitation('x', sha256('y'))") is None
    await room.ask("ana", "/v1/session/cookie", method="GET")
    typist = nobody.replace("'no token'", "convert_to($1, 'UTF8')")
    assert await connection.fetchval(typist, room.tokens["ana"]) is None, "her role may not"
    await connection.close()


async def test_the_owner_invites_by_a_command_that_draws_the_code(room: Room, night: Night, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
    environment |= {"PREP_DATA": str(tmp_path), "PREP_DATABASE": night.app, "PREP_DATABASE_OWNER": night.owner}

    async def command(*words: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "prep.operations", "device", "invite", *words),
            env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    words = ("movil-8", "--site", "CATD-1", "--sections", "12-13", "--address", "https://recepcion.example.mx:8443/")
    status, out, err = await command(*words)
    assert (status, err) == (0, ""), err
    first, *drawn, _, address = out.rstrip("\n").split("\n")
    code = first.split()[0]
    assert first == f"{code}  inscribe a movil-8 una sola vez, en los próximos 15 minutos"
    assert address == f"https://recepcion.example.mx:8443/casilla#inscribir={code}"
    # The terminal is dark, and the light squares are drawn: read it as a camera would.
    halves = {"█": (255, 255), "▀": (255, 0), "▄": (0, 255), " ": (0, 0)}
    lines = [line for line in drawn if line]
    picture = Image.new("L", (len(lines[0]), 2 * len(lines)))
    for y, line in enumerate(lines):
        for x, sign in enumerate(line):
            picture.putpixel((x, 2 * y), halves[sign][0])
            picture.putpixel((x, 2 * y + 1), halves[sign][1])
    [read] = zxingcpp.read_barcodes(picture.resize((picture.width * 4, picture.height * 4), Image.Resampling.NEAREST))
    assert read.text == address
    assert len((await enrol(room, code, Device("movil-8"))).json()["casillas"]) == 2
    for wrong, sentence in (
        (("movil-8", "--site", "CATD-1"), "ya está inscrito el dispositivo movil-8"),
        (("movil-9", "--site", "CATD-7"), "no hay un sitio «CATD-7»"),
        (("movil-9", "--site", "CATD-1", "--sections", "x"), "los números se escriben como 5-9,12"),
    ):
        status, _, err = await command(*wrong)
        assert (status, sentence in err, err.count("\n")) == (2, True, 1), err


def test_the_squares_are_a_qr_code_that_others_read() -> None:
    address = "https://recepcion.example.mx/casilla#inscribir=K7QM-2XFD-9PRT"
    rows = modules(address)
    assert len(rows) == len(rows[0])
    side = len(rows)
    picture = Image.new("L", (side + 8, side + 8), 255)
    for y, row in enumerate(rows):
        for x, square in enumerate(row):
            picture.putpixel((x + 4, y + 4), 0 if square == "1" else 255)
    [read] = zxingcpp.read_barcodes(picture.resize((picture.width * 4, picture.height * 4), Image.Resampling.NEAREST))
    assert read.text == address
    assert Invited("x", "y").secciones == ()
