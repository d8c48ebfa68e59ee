"""Actas of which no image can be had: a file is one person's capture, marked, and counts only with another's."""

import asyncio
import hashlib
import io
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from prep import pipeline
from prep.domain.hours import CENTRAL
from prep.messages import ImageReceived
from prep.operations import catd
from prep.store.database import transaction
from prep.store.pipeline import Reading
from prep.upload import Digitalizacion, Origen, TipoDocumento
from tests.conftest import Night
from tests.makers.capture_room import PASSWORD, VALUES, Room, furnished, jpeg, qr

NUMBERS = itertools.count(20_000)
NAMED = {"eleccion": "DIP_LOC", "clave": "clave1", "valores": VALUES}


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


async def arrives(room: Room, acta: int, content: bytes, document: TipoDocumento = TipoDocumento.SIN_IMAGEN) -> str:
    """What a worker makes of that image; returns its digest."""
    sha256 = await room.blobs.put(content)
    received = ImageReceived(
        sha256=sha256, bytes=len(content), format="jpeg", device=room.device.id, sequence=next(NUMBERS),
        origen=Origen.CATD, digitalizacion=Digitalizacion.ESCANER, traslado="", tipo_documento=document,
        acopio_at=room.clock(), acta_hint="", received_at=room.clock(),
    )  # fmt: skip
    given = pipeline.Given(now=room.clock, chance=lambda: 0.5, zone=lambda: CENTRAL)
    web = bytes.fromhex(sha256)
    async with transaction(room.pool) as connection:
        await pipeline.digitized(connection, received, Reading(qr(acta), "zxing", 64, 64, bytes(128), web, web), given)
    return sha256


async def state(room: Room, acta: int) -> str:
    return str((await room.ask("audi", f"/v1/actas/DIP_LOC/clave{acta}", method="GET")).json()["estado"])


async def imports(room: Room, who: str, image: str, **other: Any) -> tuple[int, str]:
    answer = await room.ask(who, "/v1/imports", NAMED | {"imagen": image} | other)
    await room.work()
    return answer.status_code, answer.json().get("codigo", "")


async def test_an_import_is_one_capture_and_counts_with_that_of_another_person_alone(room: Room) -> None:
    assert (await room.ask("ana", "/v1/imports/check", NAMED)).json()["qr"] == qr(1)
    page = await arrives(room, 1, jpeg(1))
    assert await room.lease("beto") is None, "nobody else captures it first"
    assert await imports(room, "ana", page) == (201, "")
    assert await imports(room, "ana", page) == (200, ""), "the same again changes nothing"
    assert await imports(room, "ana", page, valores=VALUES | {"PAN": 151}) == (409, "tarea_ya_contestada")
    assert await state(room, 1) == "Capturada"
    assert await room.lease("ana") is None
    assert await imports(room, "beto", page) == (409, "acta_no_lo_admite"), "a second person does not import it"
    assert (await room.type("beto", VALUES)).status_code == 201
    assert await state(room, 1) == "Verificada"
    [said] = await room.pool.fetch("SELECT tipo_documento, contabilizada FROM acta_version")
    assert (said["tipo_documento"], said["contabilizada"]) == ("Constancia sin imagen", 1)


async def test_an_image_that_comes_later_is_typed_anew_and_the_import_counts_until_then(room: Room) -> None:
    page = await arrives(room, 1, jpeg(1))
    await imports(room, "ana", page)
    await room.type("beto", VALUES)
    await arrives(room, 1, jpeg(2), TipoDocumento.ACTA_PREP)
    assert await state(room, 1) == "Digitalizada"
    assert len(await room.pool.fetch("SELECT 1 FROM acta_current WHERE version IS NOT NULL")) == 1
    for who in ("ana", "beto"):
        assert (await room.type(who, VALUES | {"PAN": 149, "TOTAL_ASENTADO": 399})).status_code == 201
    [said] = await room.pool.fetch("SELECT v.* FROM acta_current c JOIN acta_version v ON v.id = c.version")
    assert (said["tipo_documento"], said["ronda"]) == ("Acta PREP", 2)
    assert (await room.ask("ana", "/v1/imports/check", NAMED)).json()["codigo"] == "acta_no_lo_admite"


@pytest.mark.parametrize("captured", [False, True])
async def test_an_image_that_comes_before_the_second_capture_takes_the_place_of_the_constancia(
    room: Room, *, captured: bool
) -> None:
    page = await arrives(room, 1, jpeg(1))
    if captured:
        await imports(room, "ana", page)
    image = await arrives(room, 1, jpeg(2), TipoDocumento.ACTA_PREP)
    if not captured:
        assert await imports(room, "ana", page) == (409, "acta_no_lo_admite")
    task = await room.lease("ana")
    assert task is not None
    assert task["imagen"] == f"/v1/images/{image}"
    # A constancia that comes after an image changes nothing.
    await arrives(room, 1, jpeg(3))
    [current] = await room.pool.fetch("SELECT image FROM acta_current")
    assert current["image"].hex() == image


async def test_a_constancia_that_nobody_imports_is_offered_to_all_after_a_while(room: Room) -> None:
    await arrives(room, 1, jpeg(1))
    room.clock.advance(minutes=16)
    assert await room.lease("beto") is not None


@pytest.mark.parametrize(
    ("who", "other", "status", "code"),
    [
        ("oper", {}, 403, "rol_no_permitido"),
        ("ana", {"clave": "otra"}, 404, "acta_inexistente"),
        ("ana", {"valores": {**VALUES, "PAN": 1000}}, 422, "valor_no_valido"),
        ("ana", {"valores": {"PAN": 1}}, 422, "campos_faltantes"),
        ("ana", {"valores": {**VALUES, "MC": 1}}, 422, "campos_sobrantes"),
        ("ana", {"clave": "clave2"}, 409, "acta_no_lo_admite"),
    ],
)
async def test_what_cannot_be_imported_is_said_before_anything_is_sent(
    room: Room, who: str, other: dict[str, Any], status: int, code: str
) -> None:
    await room.arrive(2)
    answer = await room.ask(who, "/v1/imports/check", NAMED | other)
    assert (answer.status_code, answer.json()["codigo"]) == (status, code)


async def test_a_picture_that_is_no_constancia_is_imported_by_nobody(room: Room) -> None:
    assert await imports(room, "ana", "ab" * 32) == (503, "no_disponible"), "no worker has read it"
    picture = await arrives(room, 1, jpeg(1), TipoDocumento.ACTA_PREP)
    assert await imports(room, "ana", picture) == (409, "imagen_de_otra_acta")
    other = await arrives(room, 2, jpeg(2))
    assert await imports(room, "ana", other) == (409, "imagen_de_otra_acta")
    # A refused value gives the task back.
    page = await arrives(room, 3, jpeg(3))
    assert (await imports(room, "ana", page, clave="clave3", valores=VALUES | {"PAN": 1000}))[0] == 422
    assert await imports(room, "ana", page, clave="clave3") == (201, "")


async def test_the_command_imports_a_file_and_names_the_line_of_each_error(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file = tmp_path / "escaner", tmp_path / "actas.csv"
    folder.mkdir()
    said = {"dispositivo": "escaner-7", "sitio": "CATD-1", "secciones": [1]}
    code = (await room.ask("super", "/v1/devices/invitations", said)).json()["codigo"]

    async def order(*words: str) -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
        arguments = catd._catd_parser().parse_args(words)
        return int(await arguments.command(arguments))

    await order("enroll", str(folder), "--server", room.url, "--code", code)
    lines: list[list[object]] = [
        ["ELECCION", "CLAVE_ACTA", *VALUES],
        ["DIP_LOC", "clave1", *VALUES.values()],
        ["DIP_LOC", "clave2", *[""] * len(VALUES)],
        ["DIP_LOC", "nada", *VALUES.values()],
    ]
    content = "\n".join(",".join([str(cell) for cell in each]) for each in lines).encode()
    file.write_bytes(content)

    async def reads() -> None:
        """The worker: it reads the constancia that came."""
        while not (told := await room.pool.fetch("SELECT body FROM bus_message WHERE topic = 'images'")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        received = ImageReceived.model_validate_json(told[0]["body"])
        assert (received.tipo_documento, received.acta_hint) == ("Constancia sin imagen", qr(1))
        web = bytes.fromhex(received.sha256)
        given = pipeline.Given(now=room.clock, chance=lambda: 0.5, zone=lambda: CENTRAL)
        async with transaction(room.pool) as connection:
            reading = Reading(qr(1), "zxing", 64, 64, bytes(128), web, web)
            await pipeline.digitized(connection, received, reading, given)

    command = ("import", str(file), "--folder", str(folder), "--user", "ana")
    status, _ = await asyncio.gather(order(*command), reads())
    told = capsys.readouterr().out
    assert status == 1
    assert "línea 2: clave1 importada; falta que otra persona la capture" in told
    assert "línea 3: columna BOLETAS_SOBRANTES: se espera un número" in told
    assert "línea 4: no hay en el catálogo un acta nada de DIP_LOC" in told
    assert "1 importadas, 2 no" in told
    await room.work()
    assert await state(room, 1) == "Capturada"
    # Once more: the same page under the same number, and no second capture.
    assert await order(*command) == 1
    assert len(await room.pool.fetch("SELECT 1 FROM entry")) == 1
    assert len(await room.pool.fetch("SELECT DISTINCT sequence FROM arrival")) == 1
    sent = await room.pool.fetchval("SELECT encode(image, 'hex') FROM arrival LIMIT 1")
    assert hashlib.sha256(await room.blobs.get(sent)).hexdigest() == sent
