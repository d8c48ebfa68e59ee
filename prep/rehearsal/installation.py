"""The installation that a night is played against: prepared once, started with `prep serve`, spoken to over HTTP.

Also who vouches for a rehearsal: an authority of its own, worth nothing, and a time stamper on this machine.
"""

import asyncio
import contextlib
import ctypes
import hashlib
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Container, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp

from prep.errors import PrepError
from prep.rehearsal.plan import Plan

SITES: Final = ("CATD-01", "CCV-02")
TYPISTS: Final = 12
DEVICES: Final = {"movil": "movil-01", "escaner": "escaner-01", "urna": "urna-01"}
ENGINE: Final = ("PREP_BUS", "PREP_KAFKA", "PREP_BLOBS", "PREP_S3", "PREP_DATABASE")
"""Settings that a night takes from whoever starts it: the engine it is to run on."""


@dataclass(frozen=True, slots=True)
class NightPlace:
    """Where the night keeps what must survive it, and where the installation listens."""

    data: Path
    public: Path
    port: int
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


# Prepared once, started and, if need be, started again.


def place_in(data: Path, public: Path, settings: Mapping[str, str]) -> NightPlace:
    """An installation's settings in that folder, on ports of its own that it keeps."""
    data.mkdir(parents=True, exist_ok=True)
    ports = data / "puertos.json"
    if not ports.exists():
        ports.write_text(json.dumps(free_ports(4)))
    capture, worker, publisher, sequencer = json.loads(ports.read_text())
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("PREP_") or name.startswith(ENGINE)
    }
    if {**kept, **settings}.get("PREP_BUS") == "kafka":  # topics of this night alone
        kept["PREP_KAFKA_PREFIX"] = f"prep.{hashlib.sha256(f'{data} {capture}'.encode()).hexdigest()[:12]}."
    environment = {
        **kept,
        "PREP_DATA": str(data / "instalacion"),
        "PREP_PUBLIC": str(public),
        "PREP_CAPTURE_PORT": str(capture),
        "PREP_WORKER_METRICS_PORT": str(worker),
        "PREP_PUBLISHER_METRICS_PORT": str(publisher),
        "PREP_SEQUENCER_METRICS_PORT": str(sequencer),
        "PREP_CLOSE_WHEN_COMPLETE": "false",
        **settings,
    }
    return NightPlace(data, public, capture, environment)


def prepare(plan: Plan, data: Path, public: Path, settings: Mapping[str, str]) -> NightPlace:
    """Catalogue, people and devices, with the installation's own commands. A prepared folder is used as it is."""
    place = place_in(data, public, settings)
    if (data / "preparado").exists():
        return place
    folder = data / "catalogo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in plan.folder.items():
        (folder / name).write_bytes(content)
    order(place, "bus", "init")
    order(place, "catalog", "load", str(folder))
    words = data / "clave"
    if not words.exists():
        words.with_suffix(".nueva").write_text(secrets.token_urlsafe(12))
        words.with_suffix(".nueva").replace(words)
    for site, logins in people().items():
        add_people(place, logins, role="capturista", site=site)
    add_people(place, ["operador"], role="operador_catd", site=SITES[0])
    add_people(place, ["supervisor"], role="supervisor", site=SITES[0])
    order(place, "device", "enroll", *DEVICES.values(), "--site", SITES[0], "--keys", str(data))
    (data / "preparado").touch()
    return place


def add_people(place: NightPlace, logins: Sequence[str], *, role: str, site: str) -> None:
    """Add them, unless an earlier run that was killed has done so."""
    password = (place.data / "clave").read_text()
    try:
        order(place, "user", "add", *logins, "--role", role, "--site", site, lines=[password] * len(logins))
    except PrepError as error:
        if "ya hay un usuario" not in error.sentence.replace("\n", " "):
            raise


def people() -> dict[str, list[str]]:
    """Logins of the capturistas of each site."""
    return {site: [f"capturista{place}{n}" for n in range(TYPISTS // len(SITES))] for place, site in enumerate(SITES)}


def command_line(name: str = "prep") -> str:
    """An installed command of this package: the one beside this Python, else the one on the PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise PrepError(
            f"no está instalada la orden «{name}»: instale este paquete (en el código fuente, `make setup`)"
        )
    return found


def order(place: NightPlace, *words: str, lines: Sequence[str] = ()) -> str:
    """Run one `prep` command to its end; what it printed. Raises PrepError with what it said where it fails."""
    done = subprocess.run(
        [command_line(), *words],
        env=place.environment,
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PrepError(f"«prep {' '.join(words)}» falló: {(done.stderr or done.stdout).strip()}")
    return done.stdout


@asynccontextmanager
async def installation(place: NightPlace, part: str = "serve") -> AsyncIterator[None]:
    """`prep serve` for the length of the night; it does not outlive this process, however that ends."""
    with (place.data / "registro.jsonl").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            command_line(),
            part,
            env=place.environment,
            stderr=log,
            preexec_fn=die_with_parent,
        )
        try:
            await healthy(place, process)
            yield
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


async def healthy(place: NightPlace, process: asyncio.subprocess.Process, *, seconds: float = 60) -> None:
    """Wait until capture answers. Raises PrepError, naming the log, where it does not."""
    deadline = time.monotonic() + seconds
    async with speaker(place, 1) as client:
        while time.monotonic() < deadline and process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with client.get("/healthz") as response:
                    if response.ok:
                        return
            await asyncio.sleep(0.1)
    raise PrepError(f"la instalación no respondió; vea {place.data / 'registro.jsonl'}")


def die_with_parent() -> None:
    """Linux: the kernel ends the child with its parent, even when that one is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


# Spoken to.


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content


def speaker(place: NightPlace, connections: int, *around: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
    """A client of the installation that waits as long as a person would. `around` sees each request and its answer."""
    return aiohttp.ClientSession(
        place.url,
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(60),
        skip_auto_headers=("User-Agent",),
        middlewares=around,
    )


async def persistent(
    client: aiohttp.ClientSession,
    method: str,
    path: str,
    *,
    told: Container[int] = (),
    **request: Any,  # noqa: ANN401
) -> HttpAnswer:
    """The answer, after as many tries as it takes an installation to come back.

    Raises PrepError for a refusal, but for those `told` and for what others did first.
    """
    while True:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with client.request(method, path, **request) as response:
                answer = HttpAnswer(response.status, await response.read())
            if response.ok or answer.status in {HTTPStatus.CONFLICT, HTTPStatus.GONE} or answer.status in told:
                return answer
            if answer.status not in AGAIN:
                raise PrepError(f"{method} {path}: {answer.status} {answer.body.decode()}")
        await asyncio.sleep(0.25)


AGAIN: Final = frozenset({429, 502, 503, 507})
"""Statuses of an installation that will answer later."""


# Who vouches for a rehearsal: an authority of its own, worth nothing, and a time stamper on this machine.

AUTHORITY: Final = "autoridad"
STAMPER_PATIENCE: Final = 10.0
"""Seconds that a time stamper may take to get its port."""


def vouchers(data: Path) -> dict[str, str]:
    """Settings of an installation that seals and stamps its cortes, with keys that this folder keeps."""
    folder = data / AUTHORITY
    if not folder.exists():
        fresh = data / f".{AUTHORITY}"
        shutil.rmtree(fresh, ignore_errors=True)  # of a run that was killed
        subprocess.run([command_line("integrity"), "dev-ca", fresh], check=True, capture_output=True)
        (fresh / "puerto").write_text(str(free_ports(1)[0]))
        fresh.rename(folder)
    return {
        "PREP_SEAL_CERTIFICATE": str(folder / "sello.pem"),
        "PREP_SEAL_KEY": str(folder / "sello.llave"),
        "PREP_TSA": f"http://127.0.0.1:{(folder / 'puerto').read_text()}/",
        "PREP_TSA_CA": str(folder / "autoridad.pem"),
    }


@contextlib.contextmanager
def stamper(place: NightPlace) -> Iterator[None]:
    """The time stamper at work. It does not outlive this process; cortes wait for it, and never the night."""
    folder = place.data / AUTHORITY
    port = (folder / "puerto").read_text()
    words = [command_line("integrity"), "dev-tsa", str(folder), "--port", port]
    process = start_stamper(words)
    deadline = time.monotonic() + STAMPER_PATIENCE
    while process.poll() is not None and time.monotonic() < deadline:  # that of a killed night still has the port
        time.sleep(0.5)
        process = start_stamper(words)
    try:
        yield
    finally:
        process.terminate()
        process.communicate()


def start_stamper(words: Sequence[str]) -> subprocess.Popen[bytes]:
    """Its process, once it has said that it listens, or has ended because it cannot."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, preexec_fn=die_with_parent)  # noqa: PLW1509  # our own command; one thread
    assert process.stdout is not None
    if not process.stdout.readline().startswith(b"Sellado de tiempo"):
        process.wait()
    return process


def how_to_check(place: NightPlace) -> str:
    """The whole verification of what was published, as a command. Whoever checks a real night brings their own."""
    policy = (place.public / "bitacora" / "politica.txt").read_text()
    key = next(line.split()[1] for line in policy.splitlines() if line.startswith("log "))
    ca = place.data / AUTHORITY / "autoridad.pem"
    words = ["integrity", "verify", place.public, "--ca", ca, "--tsa-ca", ca, "--log-key", key, "--simulacro"]
    return shlex.join(map(str, words))
