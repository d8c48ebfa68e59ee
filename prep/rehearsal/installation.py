"""The installation of a rehearsal: it is prepared once, started with `prep serve`, and answers over HTTP.

This file also makes the authority and the time stamper of a rehearsal. Both are on this machine and have no validity.
"""

import asyncio
import contextlib
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
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp

from prep.domain.night import LONGEST, Night
from prep.errors import PrepError
from prep.files.night_file import NAME, night_file
from prep.processes import die_with_parent, send
from prep.rehearsal.plan import Plan
from prep.store import embedded

SITES: Final = ("CATD-1", "CCV-2")
"""Of the list that a database has if its catalogue states no sites."""
TYPISTS: Final = 12
"""Capturistas of a large night, half of them at each site."""
FEW: Final = 4
"""The same of a small one: a password takes long to check on purpose, and each idle person asks for work again."""
SMALL: Final = 400
"""Sheets of a small night, at most."""
DEVICES: Final = {"movil": "movil-01", "escaner": "escaner-01", "urna": "urna-01"}
ENGINE: Final = ("PREP_BUS", "PREP_KAFKA", "PREP_BLOBS", "PREP_S3", "PREP_DATABASE")
"""Settings that a night takes from its environment: bus, image store and database."""


@dataclass(frozen=True, slots=True)
class NightPlace:
    """The place of a night: its folders, the port of the installation and the environment of its processes."""

    data: Path
    public: Path
    port: int
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


# Prepare the installation once, start it, and start it again if it ends.


def place_in(data: Path, public: Path, settings: Mapping[str, str]) -> NightPlace:
    """The settings of an installation in the folder `data`.

    It keeps its ports in a file, so a restart uses the same.
    """
    data.mkdir(parents=True, exist_ok=True)
    ports = data / "puertos.json"
    if not ports.exists():
        ports.write_text(json.dumps(free_ports(4)))
    capture, worker, publisher, sequencer = json.loads(ports.read_text())
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("PREP_") or name.startswith(ENGINE)
    }
    # The name comes from the folder and the port: a restart finds its own topics again.
    if {**kept, **settings}.get("PREP_BUS") == "kafka":  # each night has topics of its own on the shared cluster
        kept["PREP_KAFKA_PREFIX"] = f"prep.{hashlib.sha256(f'{data} {capture}'.encode()).hexdigest()[:12]}."
    environment = {
        **kept,
        "PREP_DATA": str(data / "instalacion"),
        "PREP_PUBLIC": str(public),
        "PREP_CAPTURE_PORT": str(capture),
        "PREP_WORKER_METRICS_PORT": str(worker),
        "PREP_PUBLISHER_METRICS_PORT": str(publisher),
        "PREP_SEQUENCER_METRICS_PORT": str(sequencer),
        **settings,
    }
    return NightPlace(data, public, capture, environment)


def rehearsal_night(
    siglas: str = "EDO", *, interval: float = 300, start: datetime | None = None, ceremony: bool = False
) -> Night:
    """The declaration of a night that a machine plays: it has no hours of its own, and does not close early.

    `interval` is the number of seconds between cortes. `start` may be any moment, also one that has passed.
    """
    return Night(
        siglas=siglas,
        start=start,
        end=None if start is None else start + LONGEST,
        ensayo=True,
        interval=timedelta(milliseconds=round(interval * 1000)),
        close_when_complete=False,
        ceremony=ceremony,
    )


def prepare(
    plan: Plan, data: Path, public: Path, settings: Mapping[str, str], night: Night | None = None
) -> NightPlace:
    """Declare the night, add people and devices, with the commands of `prep`. A prepared folder stays as it is.

    If the process dies half-way, `preparado` is missing and the next run does all steps again. Each step may run twice.
    """
    place = place_in(data, public, settings)
    # The mark is the last step of an earlier run, so all others are done.
    if (data / "preparado").exists():
        return place
    folder = data / "catalogo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in plan.folder.items():
        (folder / name).parent.mkdir(exist_ok=True)  # rule sets have a folder of their own
        (folder / name).write_bytes(content)
    (folder / NAME).write_text(night_file(night or rehearsal_night()), encoding="utf-8")
    # The password is written beside its place and renamed: a killed run never leaves half a password.
    words = data / "clave"
    if not words.exists():
        words.with_suffix(".nueva").write_text(secrets.token_urlsafe(12))
        words.with_suffix(".nueva").replace(words)
    # Two sites, so that the rule of the second capture at another site is at work.
    everybody = [("capturista", site, logins) for site, logins in people(plan).items()]
    everybody += [("operador_catd", SITES[0], ["operador"]), ("supervisor", SITES[0], ["supervisor"])]
    with postgres_kept(place):
        if place.environment.get("PREP_BUS") == "kafka":
            order(place, "bus", "init")
        order(place, "night", "init", str(folder), "--accept-warnings", "--confirmed")
        # Each command waits for its own imports, for the derivation of passwords, for the disk: they do it together.
        with ThreadPoolExecutor() as pool:
            devices = ("device", "enroll", *DEVICES.values(), "--site", SITES[0], "--keys", str(data))
            tasks: list[Future[Any]] = [pool.submit(order, place, *devices)]
            tasks += [pool.submit(add_people, place, logins, role=role, site=site) for role, site, logins in everybody]
        for task in tasks:
            task.result()
    (data / "preparado").touch()
    return place


@contextlib.contextmanager
def postgres_kept(place: NightPlace) -> Iterator[None]:
    """Keep the embedded PostgreSQL running inside the `with` block, so that no command starts and stops one.

    A child keeps it: it stops the server when its input ends, also if this process is killed. If the server does not
    start, the first command says why. An institute's own server needs no keeper.
    """
    if any(value for name, value in place.environment.items() if name.startswith("PREP_DATABASE")):
        yield
        return
    words = [sys.executable, "-m", embedded.__name__, str(Path(place.environment["PREP_DATA"], "postgres"))]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as keeper:
        assert keeper.stdout is not None
        keeper.stdout.readline()
        yield  # `with` closes its input and waits for its end, also after an error


def add_people(place: NightPlace, logins: Sequence[str], *, role: str, site: str) -> None:
    """Add these people. If a killed run has added them already, do nothing."""
    password = (place.data / "clave").read_text()
    try:
        order(place, "user", "add", *logins, "--role", role, "--site", site, lines=[password] * len(logins))
    except PrepError as error:
        if "ya hay un usuario" not in error.sentence.replace("\n", " "):
            raise


def people(plan: Plan) -> dict[str, list[str]]:
    """Site → logins of its capturistas."""
    each = (FEW if len(plan.sheets) <= SMALL else TYPISTS) // len(SITES)
    return {site: [f"capturista{place}{number}" for number in range(each)] for place, site in enumerate(SITES)}


def command_line(name: str = "prep") -> str:
    """The path of an installed command of this package: beside this Python or, if it is not there, on the PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise PrepError(
            f"no está instalada la orden «{name}»: instale este paquete (en el código fuente, `make setup`)"
        )
    return found


def order(place: NightPlace, *words: str, lines: Sequence[str] = ()) -> str:
    """Run one `prep` command to its end and return its output. If it fails, raises PrepError with its message."""
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
    """Keep `prep serve` running inside the `with` block. It ends when this process ends, even if this one is killed."""
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
            if part == "serve":
                await opened(place, process)
            yield
        finally:
            send(process, signal.SIGTERM)
            await process.wait()


async def healthy(place: NightPlace, process: asyncio.subprocess.Process, *, seconds: float = 600) -> None:
    """Wait until capture can take images. If it cannot, raises PrepError that names the log."""
    deadline = time.monotonic() + seconds
    async with speaker(place, 1) as client:
        while time.monotonic() < deadline and process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with client.get("/readyz") as response:
                    if response.ok:
                        return
            await asyncio.sleep(0.1)
    ended = "no respondió" if process.returncode is None else f"terminó con {process.returncode} antes de responder"
    raise PrepError(f"la instalación {ended}; vea {place.data / 'registro.jsonl'}")


async def opened(place: NightPlace, process: asyncio.subprocess.Process, *, seconds: float = 120) -> None:
    """Wait until corte 0 is out: before it, no image comes in. If it does not come, raises PrepError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.returncode is None:
        if (place.public / "index.json").exists():
            return
        await asyncio.sleep(0.1)
    raise PrepError(f"el corte 0 no salió; vea {place.data / 'registro.jsonl'}")


def free_ports(count: int) -> list[int]:
    """Free ports of this machine. All sockets are open at the same time, so the ports differ from each other."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


# Speak to the installation.


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content


def speaker(place: NightPlace, connections: int, *around: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
    """An HTTP client of the installation, with the patience of a person. `around` sees each request and its answer."""
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
    """Send a request until the installation answers, and return the answer.

    Raises PrepError for a refusal. No refusal for the caller: a status in `told`, and 409 or 410, which mean that
    another request did the same before.
    """
    while True:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with client.request(method, path, **request) as response:
                answer = HttpAnswer(response.status, await response.read())
            if response.ok or answer.status in {HTTPStatus.CONFLICT, HTTPStatus.GONE} or answer.status in told:
                return answer
            # Any other status is an error of this program: trying again would hide it.
            if answer.status not in AGAIN:
                raise PrepError(f"{method} {path}: {answer.status} {answer.body.decode()}")
        await asyncio.sleep(0.25)


AGAIN: Final = frozenset({425, 429, 502, 503, 507})
"""With one of these statuses the installation asks for another try."""


# The authority and the time stamper of a rehearsal, without validity.

AUTHORITY: Final = "autoridad"
STAMPER_PATIENCE: Final = 10.0
"""A time stamper may need this many seconds to get its port."""


def vouchers(data: Path) -> dict[str, str]:
    """The settings with which an installation seals and stamps its cortes. The keys stay in the folder `data`."""
    folder = data / AUTHORITY
    if not folder.exists():
        fresh = data / f".{AUTHORITY}"
        shutil.rmtree(fresh, ignore_errors=True)  # a killed run may have left it incomplete
        subprocess.run([command_line("integrity"), "dev-ca", fresh], check=True, capture_output=True)
        (fresh / "puerto").write_text(str(free_ports(1)[0]))
        # Only a complete authority gets the name under which it is looked for.
        fresh.rename(folder)
    return {
        "PREP_SEAL_CERTIFICATE": str(folder / "sello.pem"),
        "PREP_SEAL_KEY": str(folder / "sello.llave"),
        "PREP_TSA": f"http://127.0.0.1:{(folder / 'puerto').read_text()}/",
        "PREP_TSA_CA": str(folder / "autoridad.pem"),
    }


@contextlib.contextmanager
def stamper(place: NightPlace) -> Iterator[None]:
    """Keep the time stamper running inside the `with` block. It ends with this process.

    A corte without stamp gets it later; the night does not wait for the stamper.
    """
    folder = place.data / AUTHORITY
    port = (folder / "puerto").read_text()
    words = [command_line("integrity"), "dev-tsa", str(folder), "--port", port]
    process = start_stamper(words)
    deadline = time.monotonic() + STAMPER_PATIENCE
    while process.poll() is not None and time.monotonic() < deadline:  # the stamper of a killed night has the port yet
        time.sleep(0.5)
        process = start_stamper(words)
    try:
        yield
    finally:
        process.terminate()
        process.communicate()


def start_stamper(words: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start the stamper and wait until it listens, or until it has ended because it cannot."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, preexec_fn=die_with_parent)  # noqa: PLW1509  # our own command; one thread
    assert process.stdout is not None
    if not process.stdout.readline().startswith(b"Sellado de tiempo"):
        process.wait()
    return process


def log_key_of(public: Path) -> str:
    """The key of a rehearsal's log, as its own tree says it. On a real night, a reader has it from the institute."""
    policy = (public / "bitacora" / "politica.txt").read_text(encoding="utf-8")
    return next(line.split()[1] for line in policy.splitlines() if line.startswith("log "))


def how_to_check(place: NightPlace) -> str:
    """The command that verifies all that the night published. On a real night, auditors bring their own authorities."""
    key = log_key_of(place.public)
    ca = place.data / AUTHORITY / "autoridad.pem"
    words = ["integrity", "verify", place.public, "--ca", ca, "--tsa-ca", ca, "--log-key", key, "--simulacro"]
    return shlex.join(map(str, words))
