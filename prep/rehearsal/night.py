"""A whole night against a running installation: real elections replayed, or a synthetic state of any size.

`prep replay OFFICIAL.csv` and `prep demo` are this program. It plays the people: field staff who send drawn actas,
capturistas who type what is written on them (with a share of mistakes), and the operator who registers the actas that
never came. It speaks HTTP and reads published files; everything in between is the installation itself, started with
`prep serve`.

Killed at any moment and started again with the same words, it goes on where it was: each device keeps the receipts it
was given (`acuses.jsonl`) and sends again only what has none, with the same sequence number and the same bytes.
"""

import argparse
import asyncio
import base64
import contextlib
import ctypes
import hashlib
import json
import math
import os
import random
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from prep.arguments import Parser
from prep.domain.catalog import Catalog, Election
from prep.domain.entry import HEADER, TOTAL
from prep.errors import PrepError
from prep.files.catalog_files import load_catalog
from prep.rehearsal import replay
from prep.rehearsal.drawing import CONDITIONS, Form, draw
from prep.rehearsal.replay import Sheet
from prep.rehearsal.replay_source import Source, read_published, read_source
from prep.rehearsal.synthetic import NATIONAL, national_night, synthetic

console: Final = Console(stderr=True)

SITES: Final = ("CATD-01", "CCV-02")
TYPISTS: Final = 12
SENDERS: Final = 6
DEVICES: Final = {"movil": "movil-01", "escaner": "escaner-01", "urna": "urna-01"}
ENGINE: Final = ("PREP_BUS", "PREP_KAFKA", "PREP_BLOBS", "PREP_S3", "PREP_DATABASE")
"""Settings that a night takes from whoever starts it: the engine it is to run on."""
DEMO: Final = 60
"""Casillas of a demo."""
IDLE: Final = 0.5
"""Seconds a capturista waits who was given nothing to do."""
AHEAD: Final = 8
"""Images drawn ahead of the senders."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a night plays: the catalogue as files, the sheets in the order of their acopio, and how."""

    name: str
    folder: Mapping[str, bytes]
    catalog: Catalog
    sheets: Sequence[Sheet]
    expected: int
    """Actas captured or fuera de catálogo when everything has been played."""
    seed: int
    mistakes: float
    speed: float
    """Seconds of the election for each second here; 0: as fast as it goes."""


@dataclass(slots=True)
class Progresses:
    """What has been done so far."""

    present: int = 0
    """Capturistas whose session is open."""
    sent: int = 0
    typed: int = 0
    published: int = 0
    corte: int = -1
    finished: bool = False
    images: dict[str, Sheet] = field(default_factory=dict)
    """By digest: what a person sees when an image without a QR is shown."""
    again: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often a person has typed a sheet: more than once only where it was sent back."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the night keeps what must survive it, and where the installation listens."""

    data: Path
    public: Path
    port: int
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


# The installation: prepared once, started and, if need be, started again.


def place_in(data: Path, public: Path, settings: Mapping[str, str]) -> Place:
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
    return Place(data, public, capture, environment)


def prepare(plan: Plan, data: Path, public: Path, settings: Mapping[str, str]) -> Place:
    """Catalogue, people and devices, with the installation's own commands. A prepared folder is used as it is."""
    place = place_in(data, public, settings)
    if (data / "preparado").exists():
        return place
    folder = data / "catalogo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in plan.folder.items():
        (folder / name).parent.mkdir(exist_ok=True)  # rule sets have a folder of their own
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


def add_people(place: Place, logins: Sequence[str], *, role: str, site: str) -> None:
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


def order(place: Place, *words: str, lines: Sequence[str] = ()) -> str:
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
async def installation(place: Place, part: str = "serve") -> AsyncIterator[None]:
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


async def healthy(place: Place, process: asyncio.subprocess.Process, *, seconds: float = 60) -> None:
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
def stamper(place: Place) -> Iterator[None]:
    """The time stamper at work. It does not outlive this process; cortes wait for it, and never the night."""
    folder = place.data / AUTHORITY
    port = (folder / "puerto").read_text()
    words = [command_line("integrity"), "dev-tsa", str(folder), "--port", port]
    process = start_stamper(words)
    deadline = time.monotonic() + STAMPER_PATIENCE
    while process.poll() is not None and time.monotonic() < deadline:  # that of a killed night still has the port
        time.sleep(IDLE)
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


def how_to_check(place: Place) -> str:
    """The whole verification of what was published, as a command. Whoever checks a real night brings their own."""
    policy = (place.public / "bitacora" / "politica.txt").read_text()
    key = next(line.split()[1] for line in policy.splitlines() if line.startswith("log "))
    ca = place.data / AUTHORITY / "autoridad.pem"
    words = ["integrity", "verify", place.public, "--ca", ca, "--tsa-ca", ca, "--log-key", key, "--simulacro"]
    return shlex.join(map(str, words))


# Field staff: draw, sign, send, keep the receipt.


class Journal:
    """What the devices remember: for each sheet its sequence number, digest and, once given, its receipt."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.digests: dict[str, str] = {}
        self.receipts: set[str] = set()
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(json.JSONDecodeError):  # the last line of a killed run
                    self._take(json.loads(line))
        self.file = path.open("a", encoding="utf-8")

    def add(self, **fields: str) -> None:
        self._take(fields)
        self.file.write(json.dumps(fields) + "\n")
        self.file.flush()

    def _take(self, fields: Mapping[str, str]) -> None:
        if "sha256" in fields:
            self.digests[fields["key"]] = fields["sha256"]
        if "acuse" in fields:
            self.receipts.add(fields["key"])


def picture(plan_seed: int, form: Form, sheet: Sheet) -> bytes:
    """The image of a sheet: always the same bytes for the same sheet and seed."""
    rng = random.Random(f"{plan_seed} {sheet.key}")
    condition = rng.choices(list(CONDITIONS.values()), weights=[weight for _, weight in WEATHER])[0]
    return draw(form, sheet.values or {}, sheet.qr, rng=rng, condition=condition)


WEATHER: Final = (("limpia", 78), ("girada", 10), ("borrosa", 6), ("oscura", 6))
"""Share of each condition among the images of a night, per cent."""


def numbered(sheets: Iterable[Sheet]) -> dict[str, int]:
    """The sequence number of each sheet's image, by key: every device counts its own, and leaves none out."""
    sent: Counter[str] = Counter()
    numbers: dict[str, int] = {}
    for sheet in sheets:
        if sheet.sin_acta is None:
            sent[sheet.kind] += 1
            numbers[sheet.key] = sent[sheet.kind]
    return numbers


async def send_all(plan: Plan, place: Place, progress: Progresses, journal: Journal) -> None:
    """Every sheet, in the order of its acopio, by the device of its kind."""
    keys = {kind: private_key(place.data / f"{device}.pem") for kind, device in DEVICES.items()}
    forms = form_of_contest(plan)
    queue: asyncio.Queue[tuple[int, Sheet, bytes] | None] = asyncio.Queue(AHEAD)
    loop = asyncio.get_running_loop()

    async def artist(pool: ProcessPoolExecutor) -> None:
        started, first = loop.time(), plan.sheets[0].acopio if plan.sheets else None
        numbers = numbered(plan.sheets)
        for sheet in plan.sheets:
            if sheet.sin_acta is not None:
                continue
            number = numbers[sheet.key]
            if sheet.key in journal.receipts:
                progress.sent += 1
                progress.images[journal.digests[sheet.key]] = sheet
                continue
            if plan.speed and first is not None:
                due = started + (sheet.acopio - first).total_seconds() / plan.speed
                await asyncio.sleep(max(0.0, due - loop.time()))
            drawn = await loop.run_in_executor(pool, picture, plan.seed, forms[sheet.key], sheet)
            await queue.put((number, sheet, drawn))
        for _ in range(SENDERS):
            await queue.put(None)

    async def sender(client: aiohttp.ClientSession) -> None:
        while (work := await queue.get()) is not None:
            number, sheet, drawn = work
            digest = hashlib.sha256(drawn).hexdigest()
            progress.images[digest] = sheet
            journal.add(key=sheet.key, sha256=digest)
            receipt = await send(client, sheet, drawn, number=number, key=keys[sheet.kind])
            journal.add(key=sheet.key, acuse=receipt["firma"])
            progress.sent += 1

    with ProcessPoolExecutor(1, initializer=die_with_parent) as pool:
        async with speaker(place, SENDERS) as client:
            await asyncio.gather(artist(pool), *(sender(client) for _ in range(SENDERS)))


async def send(
    client: aiohttp.ClientSession, sheet: Sheet, image: bytes, *, number: int, key: Ed25519PrivateKey
) -> dict[str, Any]:
    """One image until it has its receipt; an installation that is away is waited for."""
    headers = announced(sheet, image, device=DEVICES[sheet.kind], number=number, key=key)
    return (await persistent(client, "POST", "/v1/images", data=image, headers=headers)).json()


def announced(sheet: Sheet, image: bytes, *, device: str, number: int, key: Ed25519PrivateKey) -> dict[str, str]:
    """What a device says of an image it sends, signed: the headers of an upload that `capture/intake.py` reads."""
    named = (
        ("Device", device),
        ("Sequence", str(number)),
        ("SHA256", hashlib.sha256(image).hexdigest()),
        ("Origin", sheet.origen),
        ("Kind", sheet.kind),
        ("Acopio", sheet.acopio.isoformat()),
        ("Acta", ""),
        ("Traslado", sheet.traslado),
        ("Document", sheet.documento),
    )
    signed = "PREP-IMAGE-V1\n" + "\n".join(value for _, value in named)
    headers = {f"X-PREP-{name}": quote(value, safe=" :+|,./-") for name, value in named if value}
    headers["X-PREP-Signature"] = base64.b64encode(key.sign(signed.encode())).decode()
    return headers


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content


def speaker(place: Place, connections: int, *around: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
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
) -> Answer:
    """The answer, after as many tries as it takes an installation to come back.

    Raises PrepError for a refusal, but for those `told` and for what others did first.
    """
    while True:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with client.request(method, path, **request) as response:
                answer = Answer(response.status, await response.read())
            if response.ok or answer.status in {HTTPStatus.CONFLICT, HTTPStatus.GONE} or answer.status in told:
                return answer
            if answer.status not in AGAIN:
                raise PrepError(f"{method} {path}: {answer.status} {answer.body.decode()}")
        await asyncio.sleep(0.25)


AGAIN: Final = frozenset({429, 502, 503, 507})
"""Statuses of an installation that will answer later."""


def private_key(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def form_of_contest(plan: Plan) -> dict[str, Form]:
    """The printed form of each sheet: its election's, with the rows of its contest's ballot."""
    elections = {election.id: election for election in plan.catalog.elections}
    contests = {contest.id: contest for contest in plan.catalog.contests}
    by_qr = {acta.qr: acta for acta in plan.catalog.actas}
    forms: dict[int, Form] = {}
    anywhere = plan.catalog.contests[0]
    found = {}
    for sheet in plan.sheets:
        acta = by_qr.get(sheet.qr)
        contest = contests[acta.contest] if acta else anywhere
        if contest.id not in forms:
            forms[contest.id] = _form(elections[contest.election], contest.name, contest.ballot)
        found[sheet.key] = forms[contest.id]
    return found


def _form(election: Election, contest: str, ballot: Sequence[int]) -> Form:
    rows = tuple(election.options[position].code for position in ballot)
    return Form(title=election.title, contest=contest, header=HEADER, rows=rows, total=TOTAL)


# Capturistas: lease, look, type, submit.


async def type_all(plan: Plan, place: Place, progress: Progresses, *around: aiohttp.ClientMiddlewareType) -> None:
    logins = [login for logins in people().values() for login in logins]
    codes = {election.id: election.code for election in plan.catalog.elections}
    claves = {acta.qr: (codes[acta.election], acta.clave) for acta in plan.catalog.actas}
    shown = {claves[sheet.qr]: sheet for sheet in plan.sheets if sheet.qr in claves}
    async with speaker(place, TYPISTS, *around) as client:
        await asyncio.gather(
            *(
                capturista(plan, place, progress, client, shown, number=number, login=login)
                for number, login in enumerate(logins)
            )
        )


async def log_in(client: aiohttp.ClientSession, place: Place, login: str) -> dict[str, str]:
    """The header of a session."""
    words = {"usuario": login, "clave": (place.data / "clave").read_text()}
    response = await persistent(client, "POST", "/v1/session", json=words)
    return {"Authorization": f"Bearer {response.json()['token']}"}


ANY_STEP: Final = ("resolucion", "identificacion", "captura")
"""What whoever answers is ready to do next."""


async def capturista(
    plan: Plan,
    place: Place,
    progress: Progresses,
    client: aiohttp.ClientSession,
    sheets: Mapping[tuple[str, str], Sheet],
    *,
    number: int,
    login: str,
) -> None:
    """One person at work until the night is over."""
    session = await log_in(client, place, login)
    progress.present += 1
    task: dict[str, Any] | None = None
    while not progress.finished:
        if task is None:
            leased = await persistent(client, "POST", "/v1/tasks/lease", json={}, headers=session)
            if leased.status != HTTPStatus.OK:
                await asyncio.sleep(IDLE)
                continue
            task = leased.json()
        seen = await persistent(client, "GET", task["imagen"], headers=session, told={HTTPStatus.FORBIDDEN})
        if seen.status == HTTPStatus.FORBIDDEN:  # the lease has ended: the clock of the installation may have jumped
            task = None
            continue
        where, answer = say(plan, progress, sheets, task, number=number, login=login, seen=bool(seen.body))
        if answer is None:  # three people, three mistakes: somebody who may must have it typed again
            supervisor = await log_in(client, place, "supervisor")
            words = {"motivo": "ninguna de las tres capturas es lo que dice el acta"}
            await persistent(client, "POST", where, json=words, headers=supervisor)
            task = None
            continue
        told = await persistent(client, "POST", where, json={**answer, "siguiente": ANY_STEP}, headers=session)
        progress.typed += task["tipo"] == "captura"
        task = told.json().get("siguiente")


def say(
    plan: Plan,
    progress: Progresses,
    sheets: Mapping[tuple[str, str], Sheet],
    task: Mapping[str, Any],
    *,
    number: int,
    login: str,
    seen: bool,
) -> tuple[str, dict[str, Any] | None]:
    """Where a person goes with a task, and what they say there; None where none of three captures is right."""
    path = f"/v1/tasks/{task['tarea']}"
    if task["tipo"] == "identificacion":
        shown = progress.images[task["imagen"].rsplit("/", 1)[1]]
        return f"{path}/identity", {"identidad": shown.qr, "proceso_tecnico": False}
    election, clave = task["acta"]["eleccion"], task["acta"]["clave"]
    sheet = sheets[election, clave]
    match task["tipo"]:
        case "captura":
            values = mistaken(sheet, number, plan, again=progress.again[login, sheet.key]) if seen else {}
            progress.again[login, sheet.key] += 1
            return f"{path}/entry", {"valores": values}
        case "resolucion" if sheet.typed() in task["capturas"]:
            return f"{path}/resolution", {"valores": sheet.typed()}
        case "resolucion":
            return f"/v1/actas/{election}/{clave}/recaptura", None
        case kind:
            raise PrepError(f"tarea desconocida: {kind}")


def mistaken(sheet: Sheet, person: int, plan: Plan, *, again: int) -> dict[str, int | str]:
    """What this person types: what is written, but for `mistakes` of the sheets, where one field is wrong.

    Two people never make the same mistake: each has a field of their own on each sheet, as on a real night equal
    mistakes of two people at two sites are what the second capture cannot see.
    """
    values = sheet.typed()
    chance = random.Random(f"{plan.seed} {person} {sheet.key} {again}")
    if chance.random() >= plan.mistakes:
        return values
    codes = list(values)
    code = codes[(person + len(sheet.key)) % len(codes)]
    said = values[code]
    values[code] = (said + 1) % 1000 if isinstance(said, int) else 0
    return values


async def register_sin_acta(plan: Plan, place: Place) -> None:
    """The operator registers every acta that never came. Twice is once."""
    missing = [sheet for sheet in plan.sheets if sheet.sin_acta is not None]
    claves = {acta.qr: (acta.clave, acta.election) for acta in plan.catalog.actas}
    codes = {election.id: election.code for election in plan.catalog.elections}
    async with speaker(place, 1) as client:
        session = await log_in(client, place, "operador")
        for sheet in missing:
            clave, election = claves[sheet.qr]
            path = f"/v1/actas/{codes[election]}/{clave}/sin-acta"
            await persistent(client, "POST", path, json={"motivo": sheet.sin_acta}, headers=session)


# The night, and its last corte.


async def watch(plan: Plan, place: Place, progress: Progresses) -> None:
    """Follow the published cortes until everything played is in one of them."""
    while progress.published < plan.expected:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError, KeyError):
            index = json.loads((place.public / "index.json").read_text())
            if index["corte"] != progress.corte:
                totals = json.loads((place.public / index["carpeta"] / "totals.json").read_text())
                actas = [election["actas"] for election in totals["elecciones"].values()]
                progress.published = sum(each["capturadas"] + each["fuera_de_catalogo"] for each in actas)
                progress.corte = index["corte"]
        await asyncio.sleep(0.2)
    progress.finished = True


def play(plan: Plan, place: Place, *, ceremonies: bool = False) -> None:
    """The whole night, with a progress bar; returns when its last corte is published.

    With `ceremonies`, what is deployed is listed and everything found at zero before it, and it is closed after.
    """
    journal = Journal(place.data / "acuses.jsonl")
    progress = Progresses()
    by_key = {sheet.key: sheet for sheet in plan.sheets}
    progress.images |= {digest: by_key[key] for key, digest in journal.digests.items()}

    async def night() -> None:
        async with installation(place):
            bars = asyncio.create_task(show(plan, progress))
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(send_all(plan, place, progress, journal))
                    group.create_task(register_sin_acta(plan, place))
                    group.create_task(type_all(plan, place, progress))
                    group.create_task(watch(plan, place, progress))
            finally:
                bars.cancel()

    if not (place.data / "terminado").exists():
        zeroed = place.data / "instalacion" / "actos" / "cero"
        for each in ("software-digests", "zero") if ceremonies and not zeroed.exists() else ():
            order(place, each)
        uvloop.run(night())
        order(place, "publish", "--final")
        if ceremonies:
            try:
                order(place, "close")
            except PrepError as error:  # what differs is in the act, and ends no night
                console.print(error.sentence, style="red")
        order(place, "sequencer", "--once")
        (place.data / "terminado").touch()


async def show(plan: Plan, progress: Progresses) -> None:
    images = sum(sheet.sin_acta is None for sheet in plan.sheets)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        sent = bars.add_task("imágenes enviadas", total=images)
        typed = bars.add_task("capturas tecleadas", total=None)
        published = bars.add_task("actas publicadas", total=plan.expected)
        while True:
            bars.update(sent, completed=progress.sent)
            bars.update(typed, completed=progress.typed)
            bars.update(published, completed=progress.published, description=f"actas en el corte {progress.corte}")
            await asyncio.sleep(0.25)


# Commands.


def content(path: Path) -> bytes:
    """The bytes of a file that somebody named. Raises PrepError where there is none to read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise PrepError(f"no se puede leer {path}: {error.strerror}") from None


def replay_plan(arguments: argparse.Namespace) -> tuple[Plan, Source]:
    source = read_source(
        arguments.official,
        rules=arguments.rules,
        candidates=arguments.candidates,
        skip_unknown=arguments.skip_unknown,
        election=arguments.election,
    )
    speed, seed, played = pace(arguments.speed), arguments.seed, source.sheets
    plan = Plan(source.name, source.folder, source.catalog, played, len(played), seed, arguments.mistakes, speed)
    return plan, source


def pace(words: str) -> float:
    """Seconds of the election for each second here; 0 for `max`. Raises PrepError for anything else."""
    if words == "max":
        return 0.0
    with contextlib.suppress(ValueError):
        if (speed := float(words)) > 0 and math.isfinite(speed):
            return speed
    raise PrepError(f"--speed es «max» o cuántas veces más aprisa que la noche real: no «{words}»")


def command_replay(arguments: argparse.Namespace) -> int:
    """Exit status 0 where everything comparable is equal, 1 where anything differs."""
    plan, source = replay_plan(arguments)
    place = begin(plan, arguments)
    play(plan, place)
    ours = read_published(source, published_file(place, plan.catalog.elections[0].code).read_bytes())
    compared = replay.compare(source.official, ours, source.rules, source.caveats)
    draft = place.data / f"{source.rules.name}.toml" if source.proposal else None
    if draft is not None and source.proposal is not None:
        draft.write_text(source.proposal.toml(), encoding="utf-8")
    report(compared, source, draft)
    if arguments.json:
        arguments.json.write_text(as_json(compared, source))
    return 0 if all(each.equal for each in compared) else 1


def command_demo(arguments: argparse.Namespace) -> int:
    made = national_night if arguments.national else synthetic
    casillas = arguments.casillas or (NATIONAL if arguments.national else DEMO)
    folder, sheets = made(casillas, seed=arguments.seed)
    catalog = load_catalog(folder)
    name = "nacional" if arguments.national else "demo"
    plan = Plan(name, folder, catalog, sheets, len(sheets), arguments.seed, 0.05, pace(arguments.speed))
    place = begin(plan, arguments, vouched=True)
    with stamper(place):
        play(plan, place, ceremonies=True)
    index = json.loads((place.public / "index.json").read_text())
    console.print(f"corte {index['corte']} ({index['fase']}) en {place.public}")
    console.print(f"actos y listas en {place.data / 'instalacion' / 'actos'}", soft_wrap=True)
    console.print(f"compruébelo: {how_to_check(place)}", soft_wrap=True, highlight=False)
    if arguments.once:
        return 0
    console.print(
        f"resultados en http://127.0.0.1:{place.environment['PREP_PUBLISHER_METRICS_PORT']}/ — Ctrl-C termina"
    )

    async def keep() -> None:
        async with installation(place):
            await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(keep())
    return 0


def begin(plan: Plan, arguments: argparse.Namespace, *, vouched: bool = False) -> Place:
    """The night's folders: an unfinished night of the same words goes on, a finished one gives way to a new one."""
    words: dict[str, object] = {
        "name": plan.name,
        "catalogo": plan.catalog.digest,
        "seed": plan.seed,
        "mistakes": plan.mistakes,
    }
    data: Path = arguments.data or Path("var") / "noches" / plan.name
    public: Path = (arguments.public or data / "publico").absolute()
    data = data.absolute()
    kept = data / "noche.json"
    if (data / "terminado").exists() or (kept.exists() and json.loads(kept.read_text()) != words):
        shutil.rmtree(data)
        shutil.rmtree(public, ignore_errors=True)
    elif public.exists() and any(public.iterdir()) and not kept.exists():
        raise PrepError(f"la carpeta {public} no está vacía: nombre otra con --public")
    data.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(words))
    settings = {"PREP_INTERVAL_SECONDS": str(arguments.interval), "PREP_SIGLAS": siglas(plan)}
    settings |= vouchers(data) if vouched else {}
    return prepare(plan, data, public, settings)


def siglas(plan: Plan) -> str:
    letters = "".join(letter for letter in plan.name.split("_")[0].upper() if "A" <= letter <= "Z")
    return letters[:10] if len(letters) > 1 else "EDO"


def published_file(place: Place, election: str) -> Path:
    index = json.loads((place.public / "index.json").read_text())
    folder: Path = place.public / index["carpeta"]
    manifest = json.loads((folder / "manifest.json").read_text())
    [name] = [each["archivo"] for each in manifest["elecciones"] if each["codigo"] == election]
    return folder / str(name)


def report(compared: Sequence[replay.Compared], source: Source, draft: Path | None) -> None:
    """Official against ours: the summary in full, then whatever differs, then what the file lost or broke."""
    table = Table("valor", "oficial", "nuestro", "", title="oficial y nuestro")
    for each in compared:
        if " " not in each.what or not each.equal:
            table.add_row(each.what, each.official, each.ours, "igual" if each.equal else "DIFERENTE")
    out = Console()
    out.print(table)
    equal = sum(each.equal for each in compared)
    out.print(f"{equal} de {len(compared)} valores iguales")
    for line in told(source, draft):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def told(source: Source, draft: Path | None) -> Iterator[str]:
    """What a person must know besides the comparison, line by line."""
    caveats, proposal = source.caveats, source.proposal
    yield from source.used
    yield from caveats.notes
    if caveats.unstated:
        yield f"valores del resumen que el archivo no dice, y no se comparan: {', '.join(caveats.unstated)}"
    yield from _named("no reproducible: el archivo ya no lo contiene", caveats.lost)
    yield from _named("el archivo contradice sus propias reglas", caveats.broken)
    yield from _named("impreso de otro modo que como se tecleó", reprinted(caveats))
    yield from _named("el resumen del archivo contradice sus filas", caveats.summary)
    if proposal is not None and draft is not None:
        yield from _named(f"reglas propuestas, escritas en {draft}", proposal.reasons)
        yield from _named("filas que estas reglas no explican", proposal.unexplained)


def reprinted(caveats: replay.Caveats) -> dict[str, str]:
    words = replay.WORDS
    return {
        key: f"impresa con ceros; su observación dice que todo era {words[mark]}"
        for key, mark in caveats.reprinted.items()
    }


def _named(title: str, named: Mapping[str, str]) -> Iterator[str]:
    if named:
        yield f"{title}: {len(named)}"
        yield from (f"  {key}: {reason}" for key, reason in named.items())


def as_json(compared: Sequence[replay.Compared], source: Source) -> str:
    caveats, proposal = source.caveats, source.proposal
    content = {
        "compared": [
            {"value": each.what, "official": each.official, "ours": each.ours, "equal": each.equal} for each in compared
        ],
        "not_replayable": dict(caveats.lost),
        "official_breaks_its_rules": dict(caveats.broken),
        "printed_otherwise": reprinted(caveats),
        "official_summary_contradicts_its_rows": dict(caveats.summary),
        "not_stated": list(caveats.unstated),
        "notes": list(caveats.notes),
        "files": list(source.used),
        "rules": json.loads(source.rules.canonical()),
        "unexplained_by_inferred_rules": dict(proposal.unexplained) if proposal else None,
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def main(words: Sequence[str]) -> int:
    parser = Parser(prog="prep")
    commands = parser.add_subparsers(required=True)
    again = commands.add_parser("replay", help="reproduce una elección real desde su archivo oficial")
    again.set_defaults(command=command_replay)
    again.add_argument("official", type=Path, metavar="OFICIAL", help="el CSV de resultados, o el ZIP como se publicó")
    again.add_argument("--rules", default="ine-2023", metavar="REGLAS", help="un nombre, un archivo, o infer")
    again.add_argument("--candidates", type=Path, metavar="ARCHIVO")
    again.add_argument("--election", default="", metavar="NOMBRE", help="cuál, si el ZIP contiene varias elecciones")
    again.add_argument("--skip-unknown", action="store_true", help="aparta las filas que no se entienden")
    again.add_argument("--mistakes", type=float, default=0.05)
    again.add_argument("--json", type=Path, metavar="ARCHIVO")
    demo = commands.add_parser("demo", help="una noche sintética completa")
    demo.set_defaults(command=command_demo)
    demo.add_argument("--casillas", type=int, metavar="N", help=f"{DEMO}, o {NATIONAL:,} con --national")
    demo.add_argument("--national", action="store_true", help="una noche federal de todo el país")
    demo.add_argument("--once", action="store_true", help="termina al publicar el último corte")
    for each in (again, demo):
        each.add_argument("--seed", type=int, default=1)
        each.add_argument("--speed", default="max", metavar="N|max", help="veces más aprisa que la noche real")
        each.add_argument("--public", type=Path, metavar="CARPETA")
        each.add_argument("--data", type=Path, metavar="CARPETA", help="donde la noche guarda lo suyo")
        each.add_argument("--interval", type=float, default=15, help="segundos entre cortes")
    arguments = parser.parse_args(words)
    try:
        command: int = arguments.command(arguments)
    except PrepError as error:
        console.print(f"prep: {error.sentence}", style="red")
        return 2
    return command
