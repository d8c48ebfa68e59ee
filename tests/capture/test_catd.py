"""A folder of a CATD: everything that a scanner saves gets its receipt, or a sentence; no file is deleted or lost."""

import asyncio
import base64
import hashlib
import json
import os
import signal
import sys
import zipfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from capture.receipts import receipt_is_right
from prep.bus.kafka_dev import free_ports
from prep.operations import catd
from prep.upload import read_headers
from tests.conftest import Night
from tests.makers.capture_room import VALUES, Device, Room, furnish, furnished, jpeg, open_room, qr
from tests.makers.screen_room import drawn
from tests.makers.waiting import until

COMMAND = (sys.executable, "-m", "prep.operations", "catd")


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path / "var", image_max_bytes=2_000_000) as opened:
        yield opened


async def catd_command(*words: str | Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *map(str, words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def enrolled(room: Room, folder: Path) -> None:
    asked = {"dispositivo": "escaner-7", "sitio": "CATD-1"}
    code = (await room.ask("super", "/v1/devices/invitations", asked)).json()["codigo"]
    status, out, err = await catd_command("enroll", folder, "--server", room.url, "--code", code)
    assert (status, err) == (0, ""), err
    assert "envía como escaner-7" in out


async def sent(room: Room) -> list[tuple[int, str, str]]:
    rows = await room.pool.fetch("SELECT body FROM bus_message WHERE topic = 'images' ORDER BY seq")
    said = [json.loads(row["body"]) for row in rows]
    return list(dict.fromkeys((each["sequence"], each["sha256"], each["acta_hint"]) for each in said))


def contents(folder: Path) -> Mapping[str, str]:
    """The files of a folder below its own, without the receipts and sentences beside them."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith((".acuse.json", ".motivo.txt"))
    }


async def test_a_folder_of_scans_duplicates_and_rubbish(room: Room, tmp_path: Path) -> None:
    folder = tmp_path / "escaner"
    folder.mkdir()
    scans = {f"scan{n:04}.jpg": jpeg(n) for n in range(20)}
    scans |= {"lote 2/acta ñ.jpg": drawn(VALUES, 5)}
    rubbish = {
        "notas.txt": b"llamar a casa",
        "vacio.jpg": b"",
        "pagina.html": b"<html><script>alert(1)</script>" * 9,
        "grande.bin": b"\0" * 5000,
    }
    repeated = {"copia de scan0003.jpg": jpeg(3), "lote 2/otra vez.jpg": jpeg(4)}
    await enrolled(room, folder)
    (folder / "lote 2").mkdir()
    for name, content in (scans | rubbish | repeated).items():
        (folder / name).write_bytes(content)
    os.utime(folder / "vacio.jpg", (0, 0))  # nobody waits a minute more for its first byte
    os.utime(folder / "scan0001.jpg", (0, 0))  # by a scanner whose clock was never set
    (folder / "sin terminar.jpg.part").write_bytes(b"x")
    status, out, err = await catd_command("watch", folder, "--once")
    assert (status, err) == (0, "")
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in scans.items()}
    images = contents(folder / catd.SENT)
    assert sorted(images.values()) == sorted(digests.values())
    assert [number for number, _, _ in await sent(room)] == list(range(1, len(scans) + 1)), "no number is wasted"
    assert [hint for _, sha256, hint in await sent(room) if sha256 == digests["lote 2/acta ñ.jpg"]] == [qr(5)]
    key = base64.b64decode(json.loads((folder / catd.OURS / "inscripcion.json").read_bytes())["llave_de_acuses"])
    for name, sha256 in images.items():
        receipt = (folder / catd.SENT / f"{name}.acuse.json").read_bytes()
        size = (folder / catd.SENT / name).stat().st_size
        assert receipt_is_right(receipt, sha256, size, key)
        assert not receipt_is_right(receipt.replace(b'"bytes":', b'"bytes": 1'), sha256, size, key)
    assert set(contents(folder / catd.ASIDE)) == set(rubbish)
    for name in rubbish:
        reason = (folder / catd.ASIDE / f"{name}.motivo.txt").read_text(encoding="utf-8")
        assert reason.count("\n") == 1
        assert f"{name}: {reason.strip()}; queda en apartadas" in out
    assert sorted(contents(folder / catd.REPEATED).values()) == sorted(
        hashlib.sha256(content).hexdigest() for content in repeated.values()
    )
    assert (folder / "sin terminar.jpg.part").exists()
    # The spool is empty, and the same again does nothing.
    assert list((folder / catd.OURS / "cola").iterdir()) == []
    assert await catd_command("watch", folder, "--once") == (0, "", "")


async def test_a_killed_watch_and_a_server_that_is_away_lose_nothing(night: Night, tmp_path: Path) -> None:
    folder, device = tmp_path / "escaner", Device("escaner-7")
    folder.mkdir()
    await furnish(night.owner, device)
    key = tmp_path / "escaner-7.pem"
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key.write_bytes(device.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(0o600)
    port = free_ports(1)[0]
    async with open_room(night.app, tmp_path / "var", device=device, port=port) as room:
        words = ("--server", room.url, "--device", "escaner-7", "--key", key)
        assert (await catd_command("enroll", folder, *words))[0] == 0
    contents_by_name = {f"{n}.jpg": jpeg(n) for n in range(8)}
    for name, content in contents_by_name.items():
        (folder / name).write_bytes(content)

    # The server does not answer: everything is in the spool, signed, when the process is killed.
    watch = await asyncio.create_subprocess_exec(*COMMAND, "watch", str(folder), stdout=asyncio.subprocess.PIPE)
    assert watch.stdout is not None
    said = (await watch.stdout.readline()).decode()
    assert said == "sin conexión con la recepción; se sigue intentando\n"
    watch.send_signal(signal.SIGKILL)
    await watch.wait()
    assert len(list((folder / catd.OURS / "cola").iterdir())) == 8
    async with open_room(night.app, tmp_path / "var", device=device, port=port) as room:
        watch = await asyncio.create_subprocess_exec(*COMMAND, "watch", str(folder), stdout=asyncio.subprocess.PIPE)

        def some_are_sent() -> bool:
            return len(list((folder / catd.SENT).glob("*.json"))) >= 3

        await until(some_are_sent)
        watch.send_signal(signal.SIGKILL)
        await watch.wait()
        assert (await catd_command("watch", folder, "--once"))[0] == 0
        assert sorted(number for number, _, _ in await sent(room)) == list(range(1, 9))
    digests = sorted(hashlib.sha256(content).hexdigest() for content in contents_by_name.values())
    assert sorted(contents(folder / catd.SENT).values()) == digests
    assert len(list((folder / catd.SENT).glob("*.acuse.json"))) == 8


def test_a_decision_that_was_not_carried_out_is_carried_out_at_the_next_start(tmp_path: Path) -> None:
    journal = catd.SpoolJournal(tmp_path / "envios.sqlite")
    journal.add("a" * 64, "uno.jpg", "2024-06-02T18:30:00-06:00")
    assert journal.next_number() == 1
    journal.announce("a" * 64, 1, {})
    journal.add("b" * 64, "dos.jpg", "2024-06-02T18:30:00-06:00")
    assert journal.next_number() == 2
    journal.forget_number("a" * 64, taken=1)
    assert journal.next_number() == 2, "1 is another image's"
    journal.announce("b" * 64, 2, {})
    journal.refuse("b" * 64, "no es una imagen")
    assert journal.next_number() == 2, "a refusal spends no number"
    journal.close()


def packed(tmp_path: Path, device: Device, *contents_of: bytes, **other: Any) -> Path:
    package = tmp_path / "prep-movil.zip"
    listed = []
    with zipfile.ZipFile(package, "w") as opened:
        for number, content in enumerate(contents_of, 1):
            headers = device.headers(content, Origin="CASILLA", Kind="movil", Sequence=str(number))
            opened.writestr(f"{number}.jpg", content)
            listed.append({"archivo": f"{number}.jpg", "encabezados": headers})
        said = {"formato": 1, "dispositivo": device.id, "hecho": "2024-06-02T18:55:00-06:00", "imagenes": listed}
        opened.writestr("paquete.json", json.dumps(said | other))
    return package


async def test_a_package_of_a_phone_is_sent_as_the_phone_signed_it(room: Room, tmp_path: Path) -> None:
    package = packed(tmp_path, room.device, jpeg(1), jpeg(2))
    for _ in range(2):  # carried twice: the same receipts
        status, out, err = await catd_command("import", package, "--server", room.url)
        assert (status, err) == (0, ""), err
        assert "2 con acuse, 0 sin él" in out
    receipts = json.loads((tmp_path / "prep-movil.zip.acuses.json").read_bytes())
    assert receipts["1.jpg"]["acuse"]["sha256"] == hashlib.sha256(jpeg(1)).hexdigest()
    assert [number for number, _, _ in await sent(room)] == [1, 2]


async def test_an_image_of_a_package_that_was_changed_on_its_way_is_refused_and_the_rest_goes(
    room: Room, tmp_path: Path
) -> None:
    package = packed(tmp_path, room.device, jpeg(1), jpeg(2), b"no es imagen")
    with zipfile.ZipFile(package) as opened:
        entries = {name: opened.read(name) for name in opened.namelist()}
    entries["1.jpg"] = jpeg(7)
    with zipfile.ZipFile(package, "w") as opened:
        for name, content in entries.items():
            opened.writestr(name, content)
    status, out, _ = await catd_command("import", package, "--server", room.url)
    assert status == 1
    assert "1.jpg: no es la imagen que firmó el teléfono: su SHA-256 es otro" in out
    assert "2.jpg: acuse" in out
    assert "3.jpg: " in out
    assert "1 con acuse, 2 sin él" in out


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no es un zip", "no es un paquete de PREP Casilla"),
        (None, "no hay un archivo"),
        ({"formato": 2}, "el paquete es de otra versión (2)"),
        ({"imagenes": [{"archivo": "1.jpg", "encabezados": {"Cookie": "x"}}]}, "no es un paquete de PREP Casilla"),
        ({"imagenes": 5}, "no es un paquete de PREP Casilla"),
        ({"imagenes": [{"archivo": "../1.jpg", "encabezados": {}}]}, "falta en el paquete ../1.jpg"),
    ],
)
def test_a_file_that_is_no_package_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: Any, sentence: str
) -> None:
    package = tmp_path / "paquete.zip"
    if isinstance(content, dict):
        package = packed(tmp_path, Device("movil-1"), jpeg(1), **content)
    elif content is not None:
        package.write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        catd.main(["import", str(package), "--server", "http://127.0.0.1:9"])
    told = capsys.readouterr()
    assert ended.value.code in {1, 2}
    assert sentence in (told.err or told.out)
    assert (told.err or told.out).count("\n") <= 2


async def test_a_folder_is_enrolled_once_and_with_one_of_both_ways(room: Room, tmp_path: Path) -> None:
    folder = tmp_path / "escaner"
    status, _, err = await catd_command("watch", folder, "--once")
    assert (status, "no está inscrita" in err) == (2, True)
    status, _, err = await catd_command("enroll", folder, "--server", room.url)
    assert (status, err) == (2, "prep: dé --code, o bien --device y --key\n")
    status, _, err = await catd_command("enroll", folder, "--server", room.url, "--code", "AAAA-AAAA-AAAA")
    assert (status, "el código no vale" in err) == (2, True)
    await enrolled(room, folder)
    assert oct((folder / catd.OURS / "llave.pem").stat().st_mode & 0o777) == "0o600"
    status, _, err = await catd_command("enroll", folder, "--server", room.url, "--code", "AAAA-AAAA-AAAA")
    assert (status, "ya está inscrita" in err) == (2, True)


def test_the_headers_of_a_folder_are_those_that_the_door_reads(tmp_path: Path) -> None:
    device = Device("escaner-7")
    place = catd.Place(tmp_path, "http://x", device.id, device.key, b"")
    said = catd.signed_headers(place, "0" * 64, 3, "2024-06-02T18:30:00-06:00", qr(1))
    read = read_headers({name.lower(): value for name, value in said.items()})
    device.key.public_key().verify(read.signature, read.signed)
    assert (read.upload.sequence, read.upload.acta_hint, read.upload.origen) == (3, qr(1), "CATD")
    assert os.fspath(place.folder)
