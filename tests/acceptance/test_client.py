"""docs/api.md is enough: a client written from it alone enrols, sends an image, types an acta and checks its receipt."""

import ast
import asyncio
import hashlib
import json
import os
import random
import shutil
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import asyncpg
import httpx

from prep.bus.kafka_dev import free_ports
from prep.domain.entry import HEADER, TOTAL
from prep.rehearsal.drawing.acta import draw
from prep.rehearsal.drawing.press import PrintedForm
from prep.settings import now
from tests.conftest import Night
from tests.makers.capture_room import CATALOGUE, VALUES, qr
from tests.makers.declared import open_night
from tests.makers.programs import running
from tests.makers.waiting import PATIENCE

CLIENT = Path(__file__).with_name("api_client.py")
MAY = {
    "base64",
    "hashlib",
    "json",
    "os",
    "subprocess",
    "sys",
    "time",
    "pathlib",
    "typing",
    "urllib",
    "httpx",
    "cryptography",
}


def test_the_client_imports_nothing_of_ours() -> None:
    nodes = [*ast.walk(ast.parse(CLIENT.read_text(encoding="utf-8")))]
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named |= {node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in named} <= MAY


async def test_a_client_written_from_the_document_alone_gets_an_acta_verified(night: Night, tmp_path: Path) -> None:
    owner = await asyncpg.connect(night.owner)
    await owner.execute(CATALOGUE)
    await owner.close()
    await open_night(night.owner, at=now())
    form = PrintedForm("Diputaciones locales", "Nuevo Laredo", HEADER, tuple(VALUES)[len(HEADER) : -1], TOTAL)
    written = {code: value for code, value in VALUES.items() if isinstance(value, int)}
    image = draw(form, written, qr(1), rng=random.Random(1))
    (tmp_path / "acta.jpg").write_bytes(image)
    (tmp_path / "valores.json").write_text(json.dumps(VALUES), encoding="utf-8")
    capture, worker = free_ports(2)
    settings = {
        "PREP_DATA": str(tmp_path / "var"),
        "PREP_DATABASE": night.app,
        "PREP_DATABASE_OWNER": night.owner,
        "PREP_CAPTURE_PORT": str(capture),
        "PREP_WORKER_METRICS_PORT": str(worker),
        "PREP_DECODERS": "1",
    }
    prep = shutil.which("prep", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert prep, "the installed command"

    async def ready(port: int, path: str) -> bool:
        with suppress(httpx.TransportError):
            return (await http.get(f"http://127.0.0.1:{port}{path}")).is_success
        return False

    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")} | settings
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient())
        for part, port, path in (("capture", capture, "/readyz"), ("worker", worker, "/healthz")):
            await stack.enter_async_context(
                running(
                    ["env", *(f"{name}={value}" for name, value in settings.items()), prep, part],
                    tmp_path / f"{part}.log",
                    lambda port=port, path=path: ready(port, path),  # type: ignore[misc]
                )
            )
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-I", str(CLIENT), f"http://127.0.0.1:{capture}", prep, str(tmp_path),
            env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE):
            said, wrong = await client.communicate()
    assert client.returncode == 0, wrong.decode()
    acuse = json.loads(said.splitlines()[-1])
    assert acuse["sha256"] == hashlib.sha256(image).hexdigest()
