"""The capture process as an operator runs it: commands for people and devices, a kill in the middle of a night, a stop."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from prep.settings import now
from tests.conftest import Night
from tests.makers.capture_room import PASSWORD, Device, jpeg
from tests.makers.declared import open_night
from tests.makers.waiting import PATIENCE

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(night: Night, tmp_path: Path) -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return os.environ | {
        "PREP_DATA": str(tmp_path / "var"),
        "PREP_DATABASE": night.app,
        "PREP_DATABASE_OWNER": night.owner,
        "PREP_CAPTURE_PORT": str(port),
    }


@pytest.fixture
def prep(environment: dict[str, str]) -> Command:
    def run(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "prep.operations", *words]
        return subprocess.run(command, env=environment, input=typed, capture_output=True, text=True, check=False)

    return run


def the_key(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def test_commands_let_people_and_devices_in_or_refuse_in_one_sentence(prep: Command, tmp_path: Path) -> None:
    added = prep(
        "user", "add", "ana", "beto", "--role", "capturista", "--site", "CCV-1", typed=f"{PASSWORD}\n{PASSWORD}\n"
    )
    assert (added.returncode, added.stdout) == (0, "agregados: ana, beto\n")
    short = prep("user", "add", "caro", "dora", "--role", "capturista", "--site", "CCV-1", typed=f"{PASSWORD}\ncorta\n")
    assert (short.returncode, short.stderr) == (2, "prep: la clave lleva de 8 a 200 caracteres\n")
    again = prep("user", "add", "caro", "--role", "capturista", "--site", "CCV-1", typed=f"{PASSWORD}\n")
    assert again.returncode == 0, "nobody was added by the command that failed"

    made = prep("device", "enroll", "movil-1", "movil-2", "--site", "CATD-1", "--keys", str(tmp_path))
    assert (made.returncode, made.stdout) == (0, "inscritos: movil-1, movil-2\n")
    public = the_key(tmp_path / "movil-1.pem").public_key()
    (tmp_path / "public.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    same = prep("device", "enroll", "movil-1", "--site", "CATD-1", "--key", str(tmp_path / "public.pem"))
    assert same.returncode == 0
    for words, sentence in (
        (("movil-3", "--key", str(tmp_path / "public.pem")), "ya está inscrito otro dispositivo"),
        (("movil-3", "--key", str(tmp_path / "movil-1.pem")), "no es una llave pública Ed25519"),
        (("movil-3", "--key", "¿?"), "la llave no es un archivo PEM ni base64"),
        (("movil-3", "movil-4", "--key", "AAAA"), "--key es de un solo dispositivo"),
        (("../movil", "--keys", str(tmp_path)), "no se puede nombrar un archivo"),
    ):
        refused = prep("device", "enroll", *words, "--site", "CATD-1")
        assert refused.returncode == 2
        assert sentence in refused.stderr
        assert refused.stderr.count("\n") == 1


def client(environment: dict[str, str]) -> httpx.AsyncClient:
    """A client with four connections only, so that most uploads have not begun when the process is killed."""
    url = f"http://127.0.0.1:{environment['PREP_CAPTURE_PORT']}"
    return httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_connections=4))


async def serve(environment: dict[str, str], http: httpx.AsyncClient) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "prep.operations", "capture", env=environment)
    async with asyncio.timeout(PATIENCE):
        while True:
            assert process.returncode is None
            with suppress(httpx.TransportError):
                if (await http.get("/healthz")).is_success:
                    return process
            await asyncio.sleep(0.05)


async def test_a_killed_process_gives_the_same_receipts_after_its_start_and_a_stopped_process_ends_well(
    night: Night, prep: Command, environment: dict[str, str], tmp_path: Path
) -> None:
    await open_night(night.owner, at=now())
    assert prep("device", "enroll", "movil-1", "--site", "CATD-1", "--keys", str(tmp_path)).returncode == 0
    device = Device("movil-1", the_key(tmp_path / "movil-1.pem"))
    sent = [(jpeg(n), device.headers(jpeg(n))) for n in range(40)]
    kept: dict[int, bytes] = {}

    async def upload(http: httpx.AsyncClient, number: int) -> None:
        content, headers = sent[number]
        answer = await http.post("/v1/images", content=content, headers=headers)
        assert answer.is_success, answer.text
        kept[number] = answer.content

    async with client(environment) as http:
        process = await serve(environment, http)

        async def upload_until_killed(number: int) -> None:
            await upload(http, number)
            if len(kept) == 10:
                process.send_signal(signal.SIGKILL)

        await asyncio.gather(*(upload_until_killed(number) for number in range(40)), return_exceptions=True)
        assert await process.wait() == -signal.SIGKILL
    before = dict(kept)
    assert 10 <= len(before) < 40

    async with client(environment) as http:
        process = await serve(environment, http)
        await asyncio.gather(*(upload(http, number) for number in range(40)))
        assert before.items() <= kept.items(), "a promise once given is given again in the same words"
        process.terminate()
        assert await process.wait() == 0
