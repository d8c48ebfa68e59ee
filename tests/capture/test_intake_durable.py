"""Bytes of an image, and of its receipt, are on the disk before its sender is answered: the power may fail at once."""

import hashlib
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

import httpx

from tests.conftest import Night
from tests.makers.capture_room import Device, furnish, jpeg
from tests.makers.disk import traced
from tests.makers.waiting import until


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def promised(data: Path, sha256: str, sequence: int) -> list[Path]:
    """What a receipt promises: the image, the receipt itself, and that its number is this image's for ever."""
    blobs = data / "blobs"
    prefix = sha256[:2]
    return [
        blobs / "sha256" / prefix / sha256,
        blobs / "acuses" / prefix / sha256,
        blobs / "secuencias" / "escaner-1" / str(sequence),
    ]


async def test_image_number_and_receipt_are_fsynced_file_and_folder_before_the_sender_is_answered(
    night: Night, tmp_path: Path
) -> None:
    """The real process; the third upload is the first image again, under a number of its own: it is promised as much."""
    device, data, port = Device("escaner-1"), tmp_path / "var", free_port()
    await furnish(night.owner, device)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
    environment |= {"PREP_DATA": str(data), "PREP_DATABASE": night.app, "PREP_CAPTURE_PORT": str(port)}
    command = (sys.executable, "-m", "prep.operations", "capture")
    sent = [jpeg(1), jpeg(2, side=300), jpeg(1)]
    async with (
        traced(command, tmp_path / "trace", environment) as running,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http,
    ):

        async def up() -> bool:
            assert running.process.returncode is None
            with suppress(httpx.TransportError):
                return (await http.get("/healthz")).is_success
            return False

        await until(up)
        for content in sent:
            answer = await http.post("/v1/images", content=content, headers=device.headers(content))
            assert answer.is_success, answer.text
    lost: list[list[str]] = []
    for disk in running.at(r"{\"acuse\":"):  # the body of an answer, as strace writes it
        sha256 = hashlib.sha256(sent[len(lost)]).hexdigest()
        lost.append(
            [each for path in promised(data, sha256, len(lost) + 1) for each in disk.lost(path, below=tmp_path)]
        )
    assert lost == [[], [], []]


async def test_a_piece_is_fsynced_file_and_folder_before_its_end_is_told(night: Night, tmp_path: Path) -> None:
    device, data, port, content = Device("escaner-1"), tmp_path / "var", free_port(), os.urandom(20_000)
    await furnish(night.owner, device)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
    environment |= {"PREP_DATA": str(data), "PREP_DATABASE": night.app, "PREP_CAPTURE_PORT": str(port)}
    command = (sys.executable, "-m", "prep.operations", "capture")
    tus = {"Tus-Resumable": "1.0.0"}
    async with (
        traced(command, tmp_path / "trace", environment) as running,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http,
    ):

        async def up() -> bool:
            assert running.process.returncode is None
            with suppress(httpx.TransportError):
                return (await http.get("/healthz")).is_success
            return False

        await until(up)
        headers = device.headers(content) | tus | {"Upload-Length": str(len(content))}
        path = (await http.post("/v1/uploads", headers=headers)).headers["location"]
        for at in (0, 8192):
            moves = tus | {"Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream"}
            answer = await http.patch(path, content=content[at : at + 8192], headers=moves)
            assert answer.headers["upload-offset"] == str(at + 8192)
    upload = data / "blobs" / "envios" / "escaner-1" / path.rsplit("/", 1)[1]
    promised_so_far = [upload.with_name(f"{upload.name}.envio")]
    lost: list[list[str]] = []
    for at, disk in zip((0, 8192), running.at("upload-offset: "), strict=True):
        promised_so_far.append(upload.with_name(f"{upload.name}.{at:09}"))
        lost.append([each for path in promised_so_far for each in disk.lost(path, below=tmp_path)])
    assert lost == [[], []]
