"""An image comes in by pieces: tus 1.0, spoken by a client that we did not write; nothing that was told is lost."""

import asyncio
import base64
import hashlib
import io
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx
import pytest
from PIL import Image
from tusclient import client as tus
from tusclient.exceptions import TusCommunicationError

from capture import uploads
from prep.bus.kafka_dev import free_ports
from prep.messages import ImageReceived, Topic
from prep.store.people import revoke_device
from tests.conftest import Night
from tests.makers.capture_room import EVENING, Device, Room, furnish, furnished, left_behind, open_room
from tests.makers.s3_server import URL, S3Server
from tests.makers.waiting import PATIENCE, until

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = 8192


def photo(seed: int = 1) -> bytes:
    """A photograph of several pieces."""
    noise = Image.frombytes("RGB", (220, 220), random.Random(seed).randbytes(220 * 220 * 3))
    out = io.BytesIO()
    noise.save(out, "JPEG", quality=92)
    assert len(out.getvalue()) > 4 * PIECE
    return out.getvalue()


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


async def create(room: Room, content: bytes, headers: Mapping[str, str]) -> httpx.Response:
    return await room.http.post("/v1/uploads", headers={**TUS, **headers, "Upload-Length": str(len(content))})


async def piece(room: Room, path: str, at: int, content: bytes, **other: str) -> httpx.Response:
    headers = {**TUS, "Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream"}
    named = {name.replace("_", "-"): value for name, value in other.items()}
    return await room.http.patch(path, content=content, headers=headers | named)


async def stands(room: Room, path: str) -> int:
    answer = await room.http.head(path, headers=TUS)
    assert answer.status_code == 200, answer.headers
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


async def send_rest(room: Room, path: str, content: bytes) -> httpx.Response:
    at = await stands(room, path)
    while True:
        answer = await piece(room, path, at, content[at : at + PIECE])
        assert answer.status_code == 204, answer.text
        at = int(answer.headers["upload-offset"])
        if at == len(content):
            return answer


async def announced(room: Room) -> list[ImageReceived]:
    rows = await room.pool.fetch("SELECT body FROM bus_message WHERE topic = $1 ORDER BY seq", Topic.IMAGES)
    return [ImageReceived.model_validate_json(row["body"]) for row in rows]


def kept_pieces(room: Room) -> list[str]:
    return sorted(path.name for path in (room.settings.data / "blobs" / "envios").rglob("*") if path.is_file())


async def test_an_image_by_pieces_gets_the_receipt_of_any_other_image(room: Room) -> None:
    content = photo()
    created = await create(room, content, room.device.headers(content))
    assert created.status_code == 201
    path = created.headers["location"]
    last = await send_rest(room, path, content)
    receipt = base64.b64decode(last.headers["x-prep-receipt"])
    sha256 = hashlib.sha256(content).hexdigest()
    assert (await room.http.get(f"/v1/receipts/{sha256}")).content == receipt
    assert (await room.http.get(path)).content == receipt
    head = await room.http.head(path, headers=TUS)
    assert head.headers["upload-offset"] == head.headers["upload-length"] == str(len(content))
    assert base64.b64decode(head.headers["x-prep-receipt"]) == receipt
    assert await room.blobs.get(sha256) == content
    assert [each.sha256 for each in await announced(room)] == [sha256]
    assert kept_pieces(room) == [], "the pieces are gone"
    assert left_behind(room.settings.data) == []
    # The same by one request: the same receipt, byte for byte.
    assert (await room.send(content, Sequence="1")).content == receipt


async def test_the_server_tells_how_it_speaks_tus(room: Room) -> None:
    told = (await room.http.options("/v1/uploads")).headers
    assert (told["tus-version"], told["tus-extension"]) == ("1.0.0", "creation,checksum,expiration")
    assert told["tus-max-size"] == str(room.settings.image_max_bytes)
    content = photo()
    headers = room.device.headers(content) | {"Upload-Length": str(len(content))}
    old = await room.http.post("/v1/uploads", headers=headers | {"Tus-Resumable": "0.2.2"})
    assert (old.status_code, old.headers["tus-version"]) == (412, "1.0.0")


@pytest.mark.parametrize("checked", [False, True], ids=["plain", "with checksums"])
async def test_the_client_of_other_people_sends_an_image(room: Room, *, checked: bool) -> None:
    content = photo(3)

    def send() -> str:
        uploader = tus.TusClient(f"{room.url}/v1/uploads", headers=room.device.headers(content)).uploader(
            file_stream=io.BytesIO(content), chunk_size=PIECE, upload_checksum=checked
        )
        # It goes away after two pieces; another process of the same device asks how far it came.
        uploader.upload(stop_at=2 * PIECE)
        again = tus.TusClient(f"{room.url}/v1/uploads").uploader(
            file_stream=io.BytesIO(content), chunk_size=PIECE, url=uploader.url, upload_checksum=checked
        )
        assert again.get_offset() == 2 * PIECE
        again.upload()
        return str(uploader.url)

    url = await asyncio.to_thread(send)
    receipt = (await room.http.get(url)).json()
    assert receipt["acuse"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert len(await announced(room)) == 1


async def test_two_servers_of_one_store_take_turns(night: Night, tmp_path: Path) -> None:
    device, content = Device("escaner-1"), photo()
    await furnish(night.owner, device)
    store = (tmp_path / "blobs").as_uri()
    async with (
        open_room(night.app, tmp_path / "a", device=device, blobs=store) as one,
        open_room(night.app, tmp_path / "b", device=device, blobs=store) as other,
    ):
        path = (await create(one, content, device.headers(content))).headers["location"]
        at, servers = 0, [other, one]
        while at < len(content):
            servers.reverse()
            answer = await piece(servers[0], path, at, content[at : at + PIECE])
            assert answer.status_code == 204, answer.text
            at = int(answer.headers["upload-offset"])
        assert (await one.http.get(path)).content == (await other.http.get(path)).content


async def test_pieces_live_in_an_object_store_too(
    night: Night, tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {
        "ENDPOINT_URL": s3.endpoint,
        "REGION": "us-east-1",
        "ACCESS_KEY_ID": "llave",
        "SECRET_ACCESS_KEY": "secreto",
    }
    for name, value in said.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    device, content = Device("escaner-1"), photo()
    await furnish(night.owner, device)
    async with open_room(night.app, tmp_path, device=device, blobs=URL) as room:
        path = (await create(room, content, device.headers(content))).headers["location"]
        last = await send_rest(room, path, content)
        assert "x-prep-receipt" in last.headers
        assert [name for name in await room.blobs.names() if name.startswith("envios/")] == []


async def test_the_same_announcement_again_is_the_same_upload(room: Room) -> None:
    content, headers = photo(), room.device.headers(photo())
    path = (await create(room, content, headers)).headers["location"]
    assert (await piece(room, path, 0, content[:PIECE])).status_code == 204
    again = await create(room, content, headers)
    assert (again.status_code, again.headers["location"]) == (201, path)
    assert await stands(room, path) == PIECE
    await send_rest(room, path, content)
    # Replayed after its end: it changes nothing, and the receipt is there.
    assert (await create(room, content, headers)).headers["location"] == path
    assert await stands(room, path) == len(content)
    repeated = await piece(room, path, 0, content[:PIECE])
    assert (repeated.status_code, repeated.json()["codigo"]) == (409, "posicion_no_corresponde")
    assert len(await announced(room)) == 1
    other_length = await create(room, content + b"x", room.device.headers(content, Sequence="1"))
    assert other_length.status_code == 201, "its end is known; the length of a replay says nothing"


async def test_a_forged_signature_a_stranger_and_a_used_number_are_refused_before_any_byte(room: Room) -> None:
    content, other = photo(), photo(2)
    forged = room.device.headers(content) | {"X-PREP-Sequence": "7"}
    answer = await create(room, content, forged)
    assert (answer.status_code, answer.json()["codigo"]) == (401, "firma_no_valida")
    answer = await create(room, content, Device("nadie").headers(content))
    assert (answer.status_code, answer.json()["codigo"]) == (401, "dispositivo_no_inscrito")
    assert (await room.send(content, Sequence="9")).status_code == 201
    answer = await create(room, other, room.device.headers(other, Sequence="9"))
    assert (answer.status_code, answer.json()["codigo"]) == (409, "numero_ya_usado")
    assert kept_pieces(room) == []


@pytest.mark.parametrize(
    ("length", "status", "code"),
    [
        (None, 411, "longitud_faltante"),
        ("0", 422, "imagen_vacia"),
        ("-1", 400, "encabezado_no_valido"),
        ("200001", 413, "demasiado_grande"),
        ("9" * 5000, 413, "demasiado_grande"),
    ],
)
async def test_a_length_that_cannot_be_is_refused(room: Room, length: str | None, status: int, code: str) -> None:
    headers = {**TUS, **room.device.headers(b"x")} | ({} if length is None else {"Upload-Length": length})
    answer = await room.http.post("/v1/uploads", headers=headers)
    assert (answer.status_code, answer.json()["codigo"]) == (status, code)


async def test_a_phone_that_is_revoked_in_the_middle_gets_no_further_and_keeps_its_receipts(
    room: Room, night: Night
) -> None:
    done, content = photo(1), photo(2)
    path_done = (await create(room, done, room.device.headers(done))).headers["location"]
    await send_rest(room, path_done, done)
    path = (await create(room, content, room.device.headers(content))).headers["location"]
    assert (await piece(room, path, 0, content[:PIECE])).status_code == 204
    await revoke(room, night.owner)
    refused = await piece(room, path, PIECE, content[PIECE : 2 * PIECE])
    assert (refused.status_code, refused.json()["codigo"]) == (401, "dispositivo_no_inscrito")
    assert [each.sha256 for each in await announced(room)] == [hashlib.sha256(done).hexdigest()]
    assert (await room.http.get(path_done)).json()["acuse"]["sha256"] == hashlib.sha256(done).hexdigest()
    assert (await room.http.get(path)).json()["codigo"] == "acuse_inexistente"


async def revoke(room: Room, owner: str) -> None:
    """As the owner does it; the door looks again at once."""
    connection = await asyncpg.connect(owner)
    await revoke_device(connection, room.device.id, EVENING)
    await connection.close()
    await room.intake.devices._refresh_once()


async def test_a_damaged_piece_is_sent_again(room: Room) -> None:
    content = photo()
    path = (await create(room, content, room.device.headers(content))).headers["location"]
    right = f"sha256 {base64.b64encode(hashlib.sha256(content[:PIECE]).digest()).decode()}"
    damaged = await piece(room, path, 0, b"?" + content[1:PIECE], Upload_Checksum=right)
    assert (damaged.status_code, damaged.json()["codigo"]) == (460, "trozo_alterado")
    assert await stands(room, path) == 0
    assert (await piece(room, path, 0, content[:PIECE], Upload_Checksum=right)).status_code == 204
    for wrong in ("md5 AAAA", "sha256 ?", "sha256"):
        refused = await piece(room, path, PIECE, content[PIECE : 2 * PIECE], Upload_Checksum=wrong)
        assert refused.status_code in {400, 460}, wrong
    await send_rest(room, path, content)


@pytest.mark.parametrize(
    ("at", "size", "headers", "status", "code"),
    [
        (4096, PIECE, {}, 409, "posicion_no_corresponde"),
        (0, 100, {}, 422, "trozo_pequeno"),
        (0, PIECE, {"Content-Type": "image/jpeg"}, 415, "tipo_de_trozo_no_admitido"),
        (0, PIECE, {"Upload-Offset": "cero"}, 400, "encabezado_no_valido"),
        (0, PIECE, {"Tus-Resumable": "2"}, 412, "version_tus_no_admitida"),
        (0, 150_000, {}, 413, "demasiado_grande"),
    ],
)
async def test_a_piece_that_does_not_fit_is_refused_and_changes_nothing(
    room: Room, at: int, size: int, headers: dict[str, str], status: int, code: str
) -> None:
    content = photo()
    path = (await create(room, content, room.device.headers(content))).headers["location"]
    answer = await piece(room, path, at, (content * 8)[at : at + size], **headers)
    assert (answer.status_code, answer.json()["codigo"]) == (status, code)
    assert await stands(room, path) == 0


async def test_no_upload_has_a_path_that_was_made_up(room: Room) -> None:
    path = f"/v1/uploads/{room.device.id}/{'0' * 32}"
    assert (await room.http.get(path)).json()["codigo"] == "envio_inexistente"
    assert (await piece(room, path, 0, bytes(PIECE))).json()["codigo"] == "envio_inexistente"
    for wrong in ("..%2f..%2fsha256", "x" * 32, "0" * 31):
        assert (await room.http.get(f"/v1/uploads/escaner-1/{wrong}")).status_code in {404, 422}


async def test_a_file_that_is_no_image_is_refused_at_its_end_and_its_number_stays_free(room: Room) -> None:
    rubbish = b"esto no es una imagen " * 1000
    path = (await create(room, rubbish, room.device.headers(rubbish, Sequence="4"))).headers["location"]
    at = 0
    while at < len(rubbish):
        answer = await piece(room, path, at, rubbish[at : at + PIECE])
        at += PIECE
    assert (answer.status_code, answer.json()["codigo"]) == (415, "formato_no_admitido")
    assert kept_pieces(room) == []
    content = photo()
    path = (await create(room, content, room.device.headers(content, Sequence="4"))).headers["location"]
    await send_rest(room, path, content)


async def test_bytes_that_are_not_the_announced_ones_are_refused_whole(room: Room) -> None:
    content, other = photo(), photo(2)
    path = (await create(room, content, room.device.headers(content))).headers["location"]
    mixed = content[:PIECE] + b"\0" * PIECE + content[2 * PIECE :]
    at = 0
    while at < len(mixed):
        answer = await piece(room, path, at, mixed[at : at + PIECE])
        at += PIECE
    assert (answer.status_code, answer.json()["codigo"]) == (422, "sha256_no_corresponde")
    assert kept_pieces(room) == []
    assert other != content
    assert await announced(room) == []


async def test_a_line_that_breaks_in_a_piece_keeps_the_bytes_before(room: Room) -> None:
    content = photo()
    path = (await create(room, content, room.device.headers(content))).headers["location"]

    async def broken() -> AsyncIterator[bytes]:
        yield content[:12_000]
        yield content[12_000:20_000]
        raise uploads.LineBroke

    by_pieces = uploads.Uploads(room.intake, room.blobs, room.clock)
    headers = {name.lower(): value for name, value in moves(0).items()}
    name = uploads.Name(room.device.id, path.rsplit("/", 1)[1])
    with pytest.raises(uploads.LineBroke):
        await by_pieces.add_piece(name, headers, broken())
    assert await stands(room, path) == 20_000
    # With a checksum it is another matter: half of a piece cannot be told from a damaged one.
    digest = base64.b64encode(hashlib.sha256(content[20_000:]).digest()).decode()
    headers |= {"upload-offset": "20000", "upload-checksum": f"sha256 {digest}"}
    with pytest.raises(uploads.LineBroke):
        await by_pieces.add_piece(name, headers, broken())
    assert await stands(room, path) == 20_000
    await send_rest(room, path, content)


async def test_an_upload_runs_out_and_a_device_has_only_so_many(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "OPEN_AT_ONCE", 2)
    paths = []
    for seed in range(3):
        content = photo(seed)
        answer = await create(room, content, room.device.headers(content))
        paths.append(answer.headers["location"])
        assert (await piece(room, paths[-1], 0, content[:PIECE])).status_code == 204
        room.clock.advance(minutes=1)
    assert (await room.http.head(paths[0], headers=TUS)).status_code == 404, "the oldest made room"
    assert len(kept_pieces(room)) == 4
    expires = datetime.strptime(answer.headers["upload-expires"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert expires == EVENING.replace(minute=2) + uploads.LASTS
    room.clock.at = expires
    assert (await room.http.head(paths[2], headers=TUS)).status_code == 404
    # A piece without an announcement is what a crash in the middle of a removal leaves.
    stray = room.settings.data / "blobs" / "envios" / "escaner-1" / f"{'0' * 32}.000000000"
    stray.write_bytes(bytes(PIECE))
    await uploads.Uploads(room.intake, room.blobs, room.clock).sweep()
    assert kept_pieces(room) == []


async def test_a_full_disk_is_said_and_the_upload_goes_on_later(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    from prep.blobs import Blobs, Full

    content = photo()
    path = (await create(room, content, room.device.headers(content))).headers["location"]

    async def full(*_: object) -> bool:
        raise Full("no queda espacio para guardar la imagen; intente más tarde", retry_after=60)

    with monkeypatch.context() as patched:
        patched.setattr(Blobs, "record_file", full)
        answer = await piece(room, path, 0, content[:PIECE])
    assert (answer.status_code, answer.headers["retry-after"]) == (507, "60")
    await send_rest(room, path, content)


async def test_the_foreign_client_is_told_of_a_refusal(room: Room) -> None:
    headers = room.device.headers(photo()) | {"X-PREP-Sequence": "7"}

    def send() -> None:
        client = tus.TusClient(f"{room.url}/v1/uploads", headers=headers)
        client.uploader(file_stream=io.BytesIO(photo()), chunk_size=PIECE).upload()

    with pytest.raises(TusCommunicationError) as refused:
        await asyncio.to_thread(send)
    assert refused.value.status_code == 401


async def test_a_process_that_is_killed_between_two_pieces_loses_none(night: Night, tmp_path: Path) -> None:
    device, content, port = Device("escaner-1"), photo(), free_ports(1)[0]
    await furnish(night.owner, device)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
    environment |= {"PREP_DATA": str(tmp_path / "var"), "PREP_DATABASE": night.app, "PREP_CAPTURE_PORT": str(port)}
    url, headers = f"http://127.0.0.1:{port}", device.headers(content) | TUS | {"Upload-Length": str(len(content))}
    path, at, kills = "", 0, 0
    while at < len(content):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "prep.operations", "capture", env=environment
        )
        try:
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http:
                await until_up(http, process)
                # The device forgets the path at each kill: it knows its signed headers alone.
                path = (await http.post("/v1/uploads", headers=headers)).headers["location"]
                told = int((await http.head(path, headers=TUS)).headers["upload-offset"])
                assert told == at, "what was told is there"
                # One piece in the first life, one and a half in the second, the rest in the third.
                for _ in range((1, 1, 99)[kills]):
                    sent = await http.patch(path, content=content[at : at + PIECE], headers=moves(at))
                    assert sent.status_code == 204, sent.text
                    at = int(sent.headers["upload-offset"])
                    if at == len(content):
                        break
                if kills == 1:
                    cut = asyncio.create_task(http.patch(path, content=_half(content, at), headers=moves(at)))
                    await asyncio.sleep(0)
                    process.send_signal(signal.SIGKILL)
                    with suppress(httpx.TransportError):
                        await cut
        finally:
            with suppress(ProcessLookupError):  # it was killed above
                process.kill()
            await process.wait()
        kills += 1
    assert kills == 3
    receipt = json.loads(base64.b64decode(sent.headers["x-prep-receipt"]))
    assert receipt["acuse"]["sha256"] == hashlib.sha256(content).hexdigest()


def moves(at: int) -> dict[str, str]:
    return TUS | {"Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream"}


async def _half(content: bytes, at: int) -> AsyncIterator[bytes]:
    yield content[at : at + PIECE // 2]


async def until_up(http: httpx.AsyncClient, process: asyncio.subprocess.Process) -> None:
    async def up() -> bool:
        assert process.returncode is None
        with suppress(httpx.TransportError):
            return (await http.get("/healthz")).is_success
        return False

    await until(up)
