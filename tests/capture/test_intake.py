"""An image comes in over HTTP and is safe, or is refused in one sentence and leaves nothing behind."""

import asyncio
import hashlib
import io
import os
import struct
import subprocess
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from PIL import Image

from capture import intake
from prep.bus.kafka_dev import free_ports
from prep.messages import ImageReceived, Topic
from prep.scan import pictures
from prep.store import embedded
from prep.store.database import migrate
from prep.store.people import revoke_device
from prep.upload import Digitalizacion, Origen, TipoDocumento
from tests.conftest import Night
from tests.makers.capture_room import (
    EVENING,
    Device,
    Journal,
    Room,
    furnish,
    furnished,
    jpeg,
    left_behind,
    open_room,
    qr,
)
from tests.makers.waiting import PATIENCE


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


async def announced(room: Room) -> list[ImageReceived]:
    rows = await room.pool.fetch("SELECT body FROM bus_message WHERE topic = $1 ORDER BY seq", Topic.IMAGES)
    return [ImageReceived.model_validate_json(row["body"]) for row in rows]


async def nothing_came_in(room: Room, sha256: str) -> None:
    """Not announced, no receipt, no half-written file."""
    assert await announced(room) == []
    assert (await room.http.get(f"/v1/receipts/{sha256}")).status_code == 404
    assert left_behind(room.settings.data) == []


async def test_an_image_is_stored_announced_and_answered_with_a_receipt_anyone_can_check(room: Room) -> None:
    content = jpeg(1)
    sha256 = hashlib.sha256(content).hexdigest()
    said = {"Acta": f"{qr(1).lower()}%20|0011223344556677", "Traslado": "FD", "Document": "Copia%20RPPCI"}
    answer = await room.http.post("/v1/images", content=content, headers=signed(room.device, content, said))
    assert answer.status_code == 201
    receipt = answer.json()
    assert receipt["acuse"] == {
        "formato": 1,
        "sha256": sha256,
        "bytes": len(content),
        "recibido": "2024-06-03T01:00:00.000+00:00",
        "servidor": "PREP EDO",
        "simulacro": True,
        "prueba": f"bitacora/acuses/{sha256[:2]}/{sha256}.tlog-proof",
        "clave": receipt["acuse"]["clave"],
    }
    assert await room.blobs.get(sha256) == content
    [message] = await announced(room)
    assert message == ImageReceived(
        sha256=sha256,
        bytes=len(content),
        format="jpeg",
        device="escaner-1",
        sequence=1,
        origen=Origen.CATD,
        digitalizacion=Digitalizacion.ESCANER,
        traslado="FD",
        tipo_documento=TipoDocumento.COPIA_RPPCI,
        acopio_at=EVENING - timedelta(minutes=5),
        acta_hint=qr(1),
        received_at=EVENING,
    )
    pem = (await room.http.get("/v1/receipts/key")).content
    assert load_pem_public_key(pem) is not None
    assert (await room.http.get(f"/v1/receipts/{sha256}")).content == answer.content
    assert left_behind(room.settings.data) == []


def signed(device: Device, content: bytes, said: dict[str, str]) -> dict[str, str]:
    """Headers signed over their decoded values, and sent percent-encoded."""
    from urllib.parse import unquote

    headers = device.headers(content, **{name: unquote(value) for name, value in said.items()})
    return headers | {f"X-PREP-{name}": value for name, value in said.items()}


async def test_the_same_image_is_one_image_and_one_receipt_for_every_sender(room: Room, night: Night) -> None:
    content = jpeg(1)
    first = await room.send(content)
    room.clock.advance(minutes=5)
    again = await room.send(content, Sequence="1")
    assert (first.status_code, again.status_code) == (201, 200)
    other = await room.send(content, Sequence="2", Origin="CASILLA", Kind="movil")
    assert first.content == again.content == other.content
    assert [(each.device, each.sequence) for each in await announced(room)] == [("escaner-1", 1)] * 2 + [
        ("escaner-1", 2)
    ]


async def test_thirty_at_once_with_one_image_get_one_receipt(room: Room) -> None:
    content = jpeg(2, side=200)
    answers = await asyncio.gather(*(room.send(content) for _ in range(30)))
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.content for answer in answers}) == 1
    assert len(list((room.settings.data / "blobs" / "sha256").rglob("*"))) == 2, "one folder, one file"


async def test_the_receipt_outlives_the_process(night: Night, tmp_path: Path) -> None:
    device, content = Device("escaner-1"), jpeg(3)
    await furnish(night.owner, device)
    receipts: list[bytes] = []
    for _ in range(2):
        async with open_room(night.app, tmp_path, device=device) as room:
            room.clock.advance(hours=len(receipts))
            receipts.append((await room.send(content, Sequence="7")).content)
    assert receipts[0] == receipts[1]


async def test_a_number_used_for_another_image_is_refused_and_stays_with_the_first(room: Room) -> None:
    assert (await room.send(jpeg(1), Sequence="5")).status_code == 201
    refused = await room.send(jpeg(2), Sequence="5")
    assert refused.status_code == 409
    assert refused.json()["error"] == "el dispositivo escaner-1 ya usó el número 5 para otra imagen"
    assert (await room.send(jpeg(1), Sequence="5")).status_code == 200
    assert (await room.send(jpeg(2), Sequence="6")).status_code == 201
    assert {each.sequence for each in await announced(room)} == {5, 6}


async def test_of_two_images_at_once_under_one_number_one_comes_in(room: Room) -> None:
    answers = await asyncio.gather(*(room.send(jpeg(seed), Sequence="9") for seed in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert len(await announced(room)) == 1


async def test_a_counter_that_jumps_is_told_the_next_number(room: Room) -> None:
    """The first number may be any: a device counts on from a rehearsal, and intake may have a store of its own."""
    assert (await room.send(jpeg(1), Sequence="20000")).status_code == 201
    for number in ("25001", "999999"):
        refused = await room.send(jpeg(2), Sequence=number)
        assert (refused.status_code, refused.json()) == (
            409,
            {
                "error": f"el dispositivo escaner-1 va en el número 20000: se espera el 20001, no el {number}",
                "codigo": "numero_adelantado",
            },
        )
    assert len(await announced(room)) == 1
    for seed, number in enumerate(("25000", "30000", "1", "30000"), 3):
        expected = 201 if seed < 6 else 409
        assert (await room.send(jpeg(seed), Sequence=number)).status_code == expected, number
    assert (await room.send(jpeg(1), Sequence="20000")).status_code == 200, "a number that was taken stays taken"


async def test_a_process_that_starts_knows_the_numbers_of_the_one_before(night: Night, tmp_path: Path) -> None:
    """And one that runs beside it: both look into the same store."""
    device = Device("escaner-1")
    await furnish(night.owner, device)
    async with open_room(night.app, tmp_path, device=device) as first:
        assert (await first.send(jpeg(1), Sequence="3")).status_code == 201
        async with open_room(night.app, tmp_path, device=device) as second:
            refused = await second.send(jpeg(2), Sequence="5004")
            assert refused.json()["codigo"] == "numero_adelantado"
            assert (await second.send(jpeg(2), Sequence="5003")).status_code == 201
        assert (await first.send(jpeg(3), Sequence="9000")).status_code == 201


DOCUMENTS = "Acta PREP, Acta Consejo, Copia RPPCI, Copia PE, Acta Extranjero, Constancia sin imagen"
ISO_8601 = "se espera fecha y hora ISO 8601 con su desfase, como 2024-06-02T18:30:00-06:00"
HEADERS: list[tuple[str, str | None, str]] = [
    ("Device", None, "falta el encabezado X-PREP-Device"),
    ("Sequence", None, "falta el encabezado X-PREP-Sequence"),
    ("SHA256", None, "falta el encabezado X-PREP-SHA256"),
    ("Origin", None, "falta el encabezado X-PREP-Origin"),
    ("Kind", None, "falta el encabezado X-PREP-Kind"),
    ("Acopio", None, "falta el encabezado X-PREP-Acopio"),
    ("Signature", "", "falta el encabezado X-PREP-Signature"),
    ("Device", "../../etc", "se esperan de 1 a 40 letras, números, «-» o «_»"),
    *(
        ("Sequence", wrong, "se espera un entero de 1 a 999999: cuántas imágenes lleva el dispositivo, no una hora")
        for wrong in ("0", "1.5", "1000000", "1717372800000", "9" * 20, "9" * 5000)
    ),
    ("SHA256", "abc", "se esperan 64 dígitos hexadecimales"),
    ("Origin", "casa", "se espera uno de: CASILLA, CATD"),
    ("Kind", "fax", "se espera uno de: movil, escaner, urna"),
    ("Traslado", "DD", "se esperan letras D, F, I"),
    ("Acta", "hola", "no es el texto de un QR de acta"),
    ("Acta", "28%0A1", "se esperan caracteres imprimibles, codificados con % los que no son ASCII"),
    ("Document", "Fax", f"se espera uno de: {DOCUMENTS}"),
    ("Document", "%ff", "se espera UTF-8 codificado con %"),
    *(
        ("Acopio", wrong, f"{ISO_8601}, de 2000 a 2099")
        for wrong in (
            *("ayer", "2024-06-02T18:30:00", "2024-13-02T18:30:00Z", "0001-01-01T00:00:00+14:00"),
            *("0001-01-01T00:00:00-06:00", "1999-12-31T17:59:59-06:00", "9999-12-31T23:59:59-14:00"),
            *("2100-01-01T00:00:00Z", "2099-12-31T18:00:00-06:00"),
        )
    ),
]


@pytest.mark.parametrize(("name", "value", "sentence"), HEADERS)
async def test_headers_that_are_missing_or_wrong_are_named(
    room: Room, name: str, value: str | None, sentence: str
) -> None:
    content = jpeg(1)
    refused = await room.send(content, **{name: value})
    expected = sentence if sentence.startswith("falta") else f"encabezado X-PREP-{name}: {sentence}"
    assert (refused.status_code, refused.json()["error"]) == (400, expected)
    await nothing_came_in(room, hashlib.sha256(content).hexdigest())


STRANGERS = [
    ("Device", "nadie", "el dispositivo nadie no está inscrito"),
    ("Signature", "AAAA", "la firma del dispositivo no corresponde a lo enviado"),
    ("Signature", "no es base64", "la firma del dispositivo no corresponde a lo enviado"),
    ("Signature", "%C3%B1", "la firma del dispositivo no corresponde a lo enviado"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), STRANGERS)
async def test_a_stranger_is_refused_before_any_byte_is_kept(room: Room, name: str, value: str, sentence: str) -> None:
    content = jpeg(1)
    refused = await room.send(content, **{name: value})
    assert (refused.status_code, refused.json()["error"]) == (401, sentence)
    await nothing_came_in(room, hashlib.sha256(content).hexdigest())


async def test_a_signature_is_over_everything_that_is_said(room: Room) -> None:
    """Changing any header after signing is caught."""
    content = jpeg(1)
    genuine = room.device.headers(content)
    for name, value in {
        "X-PREP-Sequence": "99",
        "X-PREP-SHA256": "0" * 64,
        "X-PREP-Origin": "CASILLA",
        "X-PREP-Kind": "movil",
        "X-PREP-Acopio": "2024-06-02T19:55:00-06:00",
        "X-PREP-Acta": qr(2),
        "X-PREP-Traslado": "D",
        "X-PREP-Document": "Copia PE",
    }.items():
        refused = await room.http.post("/v1/images", content=content, headers=genuine | {name: value})
        assert refused.status_code == 401, name
    assert (await room.http.post("/v1/images", content=content, headers=genuine)).status_code == 201


def png(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A PNG by hand, so that its header may say anything."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (32, 32), color) for color in ("red", "green", "blue")]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


def in_format(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(out, kind)
    return out.getvalue()


CONTENTS: list[tuple[str, bytes, int]] = [
    ("empty", b"", 422),
    ("text", b"hola, soy un acta", 415),
    ("html", b"<!doctype html><script>alert(1)</script>" * 10, 415),
    ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
    ("animated GIF", animated("GIF"), 422),
    ("60,000 x 60,000", png(60_000, 60_000), 413),
    ("decompression bomb", png(20_000, 20_000, bytes(20_001 * 2_000)), 413),
    ("animated WebP", animated("WEBP"), 422),
    ("animated PNG", animated("PNG"), 422),
]


@pytest.mark.parametrize(("content", "status"), [pytest.param(c, s, id=name) for name, c, s in CONTENTS])
async def test_a_file_that_is_not_one_whole_image_is_refused_and_leaves_nothing(
    room: Room, content: bytes, status: int
) -> None:
    refused = await room.send(content)
    assert refused.status_code == status, refused.text
    assert set(refused.json()) == {"error", "codigo"}
    await nothing_came_in(room, hashlib.sha256(content).hexdigest())
    assert (await room.send(jpeg(9), Sequence="1")).status_code == 201, "the number is still free"


ODD: dict[str, bytes] = {
    "truncated JPEG": jpeg(1)[:-200],
    "truncated PNG": png(64, 64, bytes(65 * 64))[:-30],
    "JPEG and ZIP at once": jpeg(1) + b"PK\x03\x04" + bytes(200),
    "JPEG and HTML at once": jpeg(1) + b"<script>alert(1)</script>",
}


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_image_is_taken_with_every_byte(room: Room, name: str) -> None:
    answer = await room.send(ODD[name])
    assert answer.status_code == 201, answer.text
    assert await room.blobs.get(hashlib.sha256(ODD[name]).hexdigest()) == ODD[name]


async def test_an_image_that_kills_the_process_that_looks_is_taken_as_it_announces_itself(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same if the look takes too long. The next image is looked at again."""
    monkeypatch.setattr(pictures, "examine", dying)
    assert (await room.send(jpeg(1))).status_code == 201
    monkeypatch.setattr(pictures, "examine", spinning)
    assert (await room.send(jpeg(2))).status_code == 201
    monkeypatch.undo()
    assert (await room.send(png(60_000, 60_000))).status_code == 413
    assert [message.format for message in await announced(room)] == ["jpeg", "jpeg"]


def dying(path: Path, max_pixels: int) -> str:
    os.kill(os.getpid(), 9)
    return ""


def spinning(path: Path, max_pixels: int) -> str:
    while True:
        pass


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "PDF", "GIF", "BMP", "AVIF"])
async def test_every_accepted_format_comes_in(room: Room, kind: str) -> None:
    answer = await room.send(in_format(kind))
    assert answer.status_code == 201, answer.text
    [message] = await announced(room)
    assert message.format == kind.lower()


async def test_a_wrong_digest_is_told_with_the_right_one(room: Room) -> None:
    content = jpeg(1)
    said = hashlib.sha256(b"otra cosa").hexdigest()
    refused = await room.send(content, SHA256=said)
    was = hashlib.sha256(content).hexdigest()
    assert (refused.status_code, refused.json()) == (
        422,
        {"error": f"lo recibido no es lo anunciado: su SHA-256 es {was}", "codigo": "sha256_no_corresponde"},
    )
    await nothing_came_in(room, said)


async def test_a_body_without_length_is_refused(room: Room) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield jpeg(1)

    headers = room.device.headers(jpeg(1))
    refused = await room.http.post("/v1/images", content=chunks(), headers=headers)
    assert (refused.status_code, refused.json()["codigo"]) == (411, "longitud_faltante")


async def half_a_body(
    room: Room, content: bytes, *, length: int | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send all headers and half of the content, and stop there. `length` is what Content-Length says."""
    host, port = room.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"{name}: {value}" for name, value in room.device.headers(content, Sequence="1").items()]
    head = "\r\n".join(
        ["POST /v1/images HTTP/1.1", "Host: x", f"Content-Length: {length or len(content)}", *lines, "", ""]
    )
    writer.write(head.encode() + content[: len(content) // 2])
    await writer.drain()
    return reader, writer


async def test_an_upload_over_the_limit_is_refused_from_its_header(room: Room) -> None:
    reader, writer = await half_a_body(room, jpeg(1), length=200_001)
    answer = await asyncio.wait_for(reader.readuntil(b"}"), 10)
    assert b" 413 " in answer.splitlines()[0]
    assert "la imagen pasa del límite de 200000 bytes".encode() in answer
    writer.close()
    await nothing_came_in(room, hashlib.sha256(jpeg(1)).hexdigest())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what another process's socket does is no event of ours
            await asyncio.sleep(0.01)


async def test_a_sender_who_hangs_up_in_the_middle_leaves_nothing_and_may_come_back(room: Room) -> None:
    content = os.urandom(190_000)
    _, writer = await half_a_body(room, content)
    writer.close()
    await writer.wait_closed()
    await until(lambda: left_behind(room.settings.data) == [])
    await nothing_came_in(room, hashlib.sha256(content).hexdigest())
    assert (await room.send(jpeg(1), Sequence="1")).status_code == 201


async def test_a_sender_who_falls_silent_is_told_to_begin_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "SILENCE_SECONDS", 0.05)
    reader, writer = await half_a_body(room, jpeg(1))
    answer = await reader.readuntil(b"}")
    assert b" 408 " in answer.splitlines()[0]
    assert "la imagen dejó de llegar; envíela de nuevo".encode() in answer
    writer.close()
    assert left_behind(room.settings.data) == []


def noise() -> bytes:
    """A photograph of some 70 KB."""
    out = io.BytesIO()
    Image.effect_noise((256, 256), 100).save(out, "JPEG", quality=95)
    return out.getvalue()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 300 KB."""
    folder = tmp_path / "disco"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_full_disk_is_said_and_nothing_stays_half_written(
    night: Night, tmp_path: Path, small_disk: Path
) -> None:
    journal = Journal(tmp_path / "journal")
    async with furnished(night, tmp_path, bus=journal, blobs=small_disk.as_uri()) as room:
        filler = small_disk / "filler"
        filler.write_bytes(bytes(280 * 1024))
        content = noise()
        full = await room.send(content, Sequence="1")
        assert full.status_code == 507, full.text
        assert full.json()["error"] == "no queda espacio para guardar la imagen; intente más tarde"
        assert full.headers["retry-after"] == "60"
        assert journal.messages() == []
        assert left_behind(small_disk) == []
        filler.unlink()
        assert (await room.send(content, Sequence="1")).status_code == 201
        assert len(journal.messages()) == 1


@pytest.fixture
async def own_postgres(tmp_path: Path) -> AsyncIterator[Path]:
    """A server of this test's own, to stop and start."""
    folder = tmp_path / "postgres"
    yield folder
    embedded.stop(folder)


async def test_images_come_in_while_postgres_is_away_if_the_bus_is_not_in_it(
    tmp_path: Path, own_postgres: Path
) -> None:
    """Also in a process that was started while it did not answer: it remembers the devices."""
    server = await embedded.start(own_postgres)
    await migrate(server.owner())
    device, journal = Device("escaner-1"), Journal(tmp_path / "journal")
    await furnish(server.owner(), device)
    async with open_room(server.app(), tmp_path, device=device, bus=journal) as room:
        assert (await room.send(jpeg(1))).status_code == 201
        embedded.stop(own_postgres)
        assert (await room.send(jpeg(2))).status_code == 201
        ready = await room.http.get("/readyz")
        assert (ready.status_code, ready.text) == (200, "puede recibir imágenes\n")
        health = await room.http.get("/healthz")
        assert (health.status_code, health.json()) == (503, {"ok": False, "fuera": ["base de datos"]})
        away = await room.http.post("/v1/session", json={"usuario": "ana", "clave": "una clave larga"})
        assert (away.status_code, away.json()["error"]) == (503, "la base de datos no responde; intente de nuevo")
        assert int(away.headers["retry-after"]) > 0
    async with open_room(server.app(), tmp_path, device=device, bus=journal) as room:
        assert (await room.send(jpeg(3))).status_code == 201
        stranger = Device("otro")
        refused = await room.http.post("/v1/images", content=jpeg(4), headers=stranger.headers(jpeg(4)))
        assert refused.status_code == 401
        await embedded.start(own_postgres)
        assert (await room.http.get("/healthz")).json() == {"ok": True}
        assert await room.lease("ana") is None
    assert [message.key for message in journal.messages()] == [
        hashlib.sha256(jpeg(seed)).hexdigest() for seed in (1, 2, 3)
    ]


async def test_with_the_bus_away_the_sender_is_told_to_come_back_and_gets_no_promise(
    tmp_path: Path, own_postgres: Path
) -> None:
    server = await embedded.start(own_postgres)
    await migrate(server.owner())
    device = Device("escaner-1")
    await furnish(server.owner(), device)
    async with open_room(server.app(), tmp_path, device=device) as room:
        assert (await room.send(jpeg(1))).status_code == 201
        embedded.stop(own_postgres)
        content = jpeg(2)
        away = await room.send(content, Sequence="2")
        assert (away.status_code, away.json()["error"]) == (503, "el bus no responde; intente de nuevo")
        assert int(away.headers["retry-after"]) > 0
        ready, alive = await room.http.get("/readyz"), await room.http.get("/livez")
        assert (ready.status_code, ready.text) == (503, "el bus no responde; intente de nuevo\n")
        assert (alive.status_code, alive.text) == (200, "el proceso responde\n")
        assert (await room.http.get(f"/v1/receipts/{hashlib.sha256(content).hexdigest()}")).status_code == 404
        await embedded.start(own_postgres)
        assert (await room.send(content, Sequence="2")).status_code == 201
        assert [each.sequence for each in await announced(room)] == [1, 2]


async def test_the_application_is_healthy_and_says_so(room: Room) -> None:
    answer = await room.http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert [(await room.http.get(path)).status_code for path in ("/livez", "/readyz")] == [200, 200]


async def test_a_process_whose_images_cannot_be_kept_is_alive_and_not_ready(night: Night, tmp_path: Path) -> None:
    """An S3 that does not answer: nobody listens on its port."""
    [port] = free_ports(1)
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        async with furnished(night, tmp_path, blobs="s3://nada/x") as room:
            await room.intake.tonight.look()
            ready = await room.http.get("/readyz")
            assert ready.status_code == 503
            assert "almacén" in ready.text
            assert (await room.http.get("/livez")).status_code == 200


async def test_a_device_that_is_revoked_while_its_image_comes_in_gets_no_receipt(room: Room, night: Night) -> None:
    content = jpeg(1)
    begun, refused = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield content[:100]
        begun.set()
        await refused.wait()
        yield content[100:]

    headers = room.device.headers(content) | {"Content-Length": str(len(content))}
    sending = asyncio.create_task(room.http.post("/v1/images", content=slowly(), headers=headers))
    await begun.wait()
    owner = await asyncpg.connect(night.owner)
    await revoke_device(owner, room.device.id, EVENING)
    await owner.close()
    # The door knows it within seconds; the slow image ends only then.
    while (await room.send(jpeg(2))).status_code != 401:  # noqa: ASYNC110  # the door has no event for it
        await asyncio.sleep(0.1)
    refused.set()
    assert (await sending).status_code == 401
    assert (await room.http.get(f"/v1/receipts/{hashlib.sha256(content).hexdigest()}")).status_code == 404
