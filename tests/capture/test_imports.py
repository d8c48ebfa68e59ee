"""Actas of which no image can be had: a file is one person's capture, marked, and counts only with another's."""

import asyncio
import base64
import datetime as dt
import hashlib
import io
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from prep import pipeline
from prep.domain.hours import CENTRAL
from prep.files.sheets import letter
from prep.messages import ImageReceived
from prep.operations import catd
from prep.scan.reading import Reading
from prep.store.database import transaction
from prep.upload import Digitalizacion, Origen, TipoDocumento
from tests.conftest import Night
from tests.makers.capture_room import PASSWORD, VALUES, Room, furnished, jpeg, qr
from tests.makers.workbooks import BookPage, Cell, xlsx

EXPECTED = "se espera un número, ILEGIBLE, SIN DATO o «-», y la celda"
NUMBERS = itertools.count(20_000)
NAMED = {"eleccion": "DIP_LOC", "clave": "clave1", "valores": VALUES}
ASKED = {**NAMED, "archivo": "ab" * 32, "renglon": 2}


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
    assert (await room.ask("ana", "/v1/imports/check", ASKED)).json()["qr"] == qr(1)
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
    assert (await room.ask("ana", "/v1/imports/check", ASKED)).json()["codigo"] == "acta_no_lo_admite"


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
    answer = await room.ask(who, "/v1/imports/check", ASKED | other)
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


async def test_the_command_imports_a_file_and_names_the_row_and_column_of_each_problem(
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
    assert "renglón 2: clave1 importada; falta que otra persona la capture" in told
    assert "renglón 3, columna C (BOLETAS_SOBRANTES): se espera un número" in told
    assert "renglón 4, columna B (CLAVE_ACTA): no hay en el catálogo un acta nada de DIP_LOC" in told
    assert told.splitlines()[-1] == "1 importadas, 2 no"
    assert "1 importadas, 2 no" in told
    await room.work()
    assert await state(room, 1) == "Capturada"
    # Once more: the same page under the same number, and no second capture.
    assert await order(*command) == 1
    assert len(await room.pool.fetch("SELECT 1 FROM entry")) == 1
    assert len(await room.pool.fetch("SELECT DISTINCT sequence FROM arrival")) == 1
    sent = await room.pool.fetchval("SELECT encode(image, 'hex') FROM arrival LIMIT 1")
    assert hashlib.sha256(await room.blobs.get(sent)).hexdigest() == sent


async def reads_file(room: Room, who: str, content: bytes) -> httpx.Response:
    """What the server says of a file of captures."""
    await room.ask(who, "/v1/lists/sites", method="GET")  # logs in
    headers = {"Authorization": f"Bearer {room.tokens[who]}"}
    return await room.http.post("/v1/imports/file", content=content, headers=headers)


async def test_a_file_is_read_row_by_row_and_what_it_says_of_a_row_is_what_the_import_says(room: Room) -> None:
    await room.arrive(2)
    rows: list[list[Cell]] = [
        [],
        ["ELECCION", "CLAVE_ACTA", *VALUES, "MC"],
        ["DIP_LOC", "clave1", *VALUES.values(), "-"],
        ["DIP_LOC", "clave2", *VALUES.values(), "-"],
        ["DIP_LOC", "nada", *VALUES.values(), "-"],
        ["DIP_LOC", "clave3", *VALUES.values(), 4],
        ["DIP_LOC", "clave4", *[1000.0] * len(VALUES), "-"],
        ["DIP_LOC", "clave5", "-", *list(VALUES.values())[1:], "-"],
        ["DIP_LOC", "clave6", dt.date(2026, 6, 7), *list(VALUES.values())[1:], "-"],
    ]
    content = xlsx(BookPage("Actas", rows), BookPage("Notas", [["x"]]))
    answer = await reads_file(room, "ana", content)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["hoja"], said["avisos"]) == ("Actas", ["La hoja «Notas» no se lee."])
    first = {
        each["renglon"]: [(p["columna"], p["problema"]) for p in each["problemas"][:1]] for each in said["renglones"]
    }
    last = f"{letter(len(VALUES) + 2)} (MC)"
    assert first == {
        3: [],
        4: [("B (CLAVE_ACTA)", "esta acta ya tiene imagen, o ya está registrada: no se importa")],
        5: [("B (CLAVE_ACTA)", "no hay en el catálogo un acta nada de DIP_LOC")],
        6: [(last, "esta acta no tiene ese campo: escriba «-»")],
        7: [("C (BOLETAS_SOBRANTES)", "BOLETAS_SOBRANTES: 1000 no cabe en las 3 casillas del acta")],
        8: [("C (BOLETAS_SOBRANTES)", "esta acta tiene ese campo: no puede ser «-»")],
        9: [("C (BOLETAS_SOBRANTES)", f"{EXPECTED} dice «2026-06-07»")],
    }
    assert said["renglones"][4]["problemas"][-1]["problema"] == f"y {len(VALUES) - 5} más en este renglón"
    # Each row whose cells can be read is judged alike by the door that takes one acta.
    for each, cells in zip(said["renglones"], rows[2:], strict=True):
        raw = {code: value for code, value in zip(rows[1][2:], cells[2:], strict=True) if isinstance(value, int)}
        asked = {"eleccion": "DIP_LOC", "clave": each["clave"], "valores": raw, "archivo": "ab" * 32, "renglon": 3}
        checked = await room.ask("ana", "/v1/imports/check", asked)
        assert (checked.status_code == 200) == (not each["problemas"]), each


async def test_an_acta_is_imported_once_and_a_corrected_file_says_so(room: Room) -> None:
    head = ",".join(["ELECCION", "CLAVE_ACTA", *VALUES])
    line = ",".join(["DIP_LOC", "clave1", *map(str, VALUES.values())])
    content = f"{head}\n{line}\n".encode()
    asked = ASKED | {"archivo": hashlib.sha256(content).hexdigest()}
    page = base64.b64decode((await room.ask("ana", "/v1/imports/check", asked)).json()["constancia"])
    assert await imports(room, "ana", await arrives(room, 1, page)) == (201, "")
    assert (await reads_file(room, "ana", content)).json()["renglones"][0]["problemas"] == [], (
        "it goes on where it stopped"
    )
    [row] = (await reads_file(room, "ana", content + b"\n")).json()["renglones"]
    assert row["problemas"] == [
        {"columna": "B (CLAVE_ACTA)", "problema": "esta acta ya se importó de otro archivo, o de otro renglón"}
    ]
    other = await room.ask("ana", "/v1/imports/check", asked | {"renglon": 3})
    assert other.json()["codigo"] == "acta_no_lo_admite"


@pytest.mark.parametrize(
    ("who", "content", "status", "code"),
    [
        ("oper", b"ELECCION,CLAVE_ACTA\n", 403, "rol_no_permitido"),
        ("ana", b"", 422, "no_valido"),
        ("ana", b"PK\x03\x04", 422, "no_valido"),
        ("ana", bytes(5_000_001), 413, "cuerpo_demasiado_grande"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused(
    room: Room, who: str, content: bytes, status: int, code: str
) -> None:
    answer = await reads_file(room, who, content)
    assert (answer.status_code, answer.json()["codigo"]) == (status, code)
