"""PostgreSQL is killed in the middle of a night and cannot start for a while. The other parts stay alive and go on."""

import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import httpx
import psutil
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from prep.domain.entry import HEADER, TOTAL
from prep.files.night_file import NAME, night_file
from prep.rehearsal.drawing.acta import draw
from prep.rehearsal.drawing.press import PrintedForm
from prep.rehearsal.installation import rehearsal_night
from prep.rehearsal.replay import Sheet
from prep.rehearsal.synthetic import synthetic
from prep.store import embedded
from tests.makers.capture_room import Device
from tests.makers.waiting import until

FORM = PrintedForm("Gubernatura", "Prueba", HEADER, ("ABETO", "NULOS"), TOTAL)
BROKEN = "shared_buffers = 'muchos'\n"


class Installation:
    """`prep serve` with the embedded parts, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = folder / "datos" / "postgres"
        self.public = folder / "publico"
        ports = [_free_port() for _ in range(3)]
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")} | {
            "PREP_DATA": str(folder / "datos"),
            "PREP_PUBLIC": str(self.public),
            "PREP_CAPTURE_PORT": str(ports[0]),
            "PREP_WORKER_METRICS_PORT": str(ports[1]),
            "PREP_PUBLISHER_METRICS_PORT": str(ports[2]),
            "PREP_SEQUENCER_METRICS_PORT": "0",
            "PREP_DECODERS": "1",
        }

    async def command(self, *words: str) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "prep.operations", *words, env=self.environment
        )
        assert await process.wait() == 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[asyncio.subprocess.Process]:
        with (self.folder / "salida.txt").open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "prep.operations", "serve", env=self.environment, stdout=out, stderr=out
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
            embedded.stop(self.postgres)

    def said(self) -> str:
        return (self.folder / "salida.txt").read_text()

    def corte(self) -> int:
        with suppress(FileNotFoundError):
            number: int = json.loads((self.public / "index.json").read_bytes())["corte"]
            return number
        return -1

    async def identified(self) -> int:
        # It joins the running server and asks it for its address: a long path has its socket in another folder.
        connection = await asyncpg.connect((await embedded.start(self.postgres)).owner())
        try:
            number: int = await connection.fetchval("SELECT count(*) FROM image_current WHERE state = 'identificada'")
            return number
        finally:
            await connection.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def parts(process: asyncio.subprocess.Process) -> dict[int, str]:
    """Process number → program, of the parts that `prep serve` keeps running. Its heir has its own command line."""
    children = psutil.Process(process.pid).children()
    return {child.pid: child.cmdline()[3] for child in children if child.cmdline()[3:4] != ["serve"]}


async def test_if_postgres_is_killed_and_cannot_start_at_once_no_part_ends_and_no_image_is_lost(tmp_path: Path) -> None:
    files, sheets = synthetic(12, seed=5)
    catalogue = tmp_path / "catalogo"
    catalogue.mkdir()
    for name, content in files.items():
        (catalogue / name).write_bytes(content)
    installation = Installation(tmp_path)
    (catalogue / NAME).write_text(night_file(rehearsal_night(interval=2)))
    await installation.command("night", "init", str(catalogue), "--accept-warnings", "--confirmed")
    await installation.command("device", "enroll", "movil-1", "--site", "CATD-1", "--keys", str(tmp_path))
    key = load_pem_private_key((tmp_path / "movil-1.pem").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    device = Device("movil-1", key)
    real = [sheet for sheet in sheets if sheet.clave and sheet.values is not None]
    async with installation.serving() as process, httpx.AsyncClient(base_url=installation.url) as http:
        await until(lambda: installation.corte() >= 0)
        first = parts(process)
        assert sorted(first.values()) == ["capture", "publish", "sequencer", "worker"]
        accepted = await upload(http, device, real[:8])
        assert accepted == 8

        conf = installation.postgres / "postgresql.auto.conf"
        good = conf.read_text()
        conf.write_text(good + BROKEN)
        os.kill(int((installation.postgres / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        await until(lambda: installation.said().count("PostgreSQL no arranca") >= 2)
        assert await upload(http, device, real[8:9], tries=1) == 0
        at = installation.corte()
        conf.write_text(good)

        assert await upload(http, device, real[8:]) == len(real) - 8

        async def all_identified() -> bool:
            return await installation.identified() == len(real)

        await until(all_identified)
        await until(lambda: installation.corte() >= at + 2)
        assert parts(process) == first
        process.terminate()
        assert await process.wait() == 0
    said = installation.said()
    assert "Traceback" not in said, said[said.index("Traceback") :][:3000]


async def upload(http: httpx.AsyncClient, device: Device, sheets: Sequence[Sheet], *, tries: int = 600) -> int:
    """Send images as a device does: again and again, until there is a receipt. Returns the number of receipts."""
    receipts = 0
    for sheet in sheets:
        content = draw(FORM, {"ABETO": 12}, sheet.qr, rng=random.Random(sheet.qr))
        headers = device.headers(content)
        for _ in range(tries):
            with suppress(httpx.TransportError):
                answer = await http.post("/v1/images", content=content, headers=headers)
                if answer.is_success:
                    receipts += 1
                    break
                assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.1)
    return receipts
