"""A capture room for tests: the real application behind a real server, a small catalogue, devices, and people."""

import asyncio
import base64
import hashlib
import io
import itertools
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from capture.app import RANDOM, create_app
from capture.auth import Cost, add_user, enroll
from capture.intake import Intake
from prep import pipeline
from prep.blobs import Blobs
from prep.bus.contract import Batch, Bus
from prep.bus.table import EmbeddedBus
from prep.domain.hours import CENTRAL
from prep.domain.layout import FoundMarks
from prep.doors import LIMITS, Limits
from prep.messages import ActaTouched, ImageNamed, ImageReceived, Message, Topic
from prep.processes import listening
from prep.scan.reading import Reading
from prep.settings import Part, Settings
from prep.store.database import Pool, open_pool, transaction
from prep.store.people import Role
from prep.upload import Digitalizacion, Origen, TipoDocumento
from prep.web import Server, config
from tests.conftest import Night
from tests.makers.declared import open_night
from tests.makers.description import answers_as_described
from tests.makers.waiting import PATIENCE

EVENING = datetime(2024, 6, 3, 1, 0, tzinfo=UTC)
PASSWORD = "una clave larga"
CHEAP = Cost(memory_kib=8, passes=1)

CATALOGUE = """
INSERT INTO catalog (digest, loaded_at) VALUES (repeat('0', 64), now());
INSERT INTO election VALUES (1, 'DIP_LOC', 'Diputaciones locales', 2024, 'local', 'distrito', 'ine-2023', '6');
INSERT INTO ballot_option VALUES
    (1, 0, 'PAN', 'partido', '{}', 'Partido Acción Nacional'), (1, 1, 'PRI', 'partido', '{}', ''),
    (1, 2, 'PAN-PRI', 'coalicion', '{0,1}', ''), (1, 3, 'CAND_IND_1', 'independiente', '{}', ''),
    (1, 4, 'NO_REGISTRADAS', 'no_registradas', '{}', ''), (1, 5, 'NULOS', 'nulos', '{}', '');
INSERT INTO territory VALUES ('entidad', 28, 28, 'Tamaulipas'), ('distrito_local', 28, 1, 'Nuevo Laredo'),
    ('distrito_local', 28, 2, 'Reynosa'), ('municipio', 28, 27, 'Nuevo Laredo');
INSERT INTO contest VALUES (10, 1, 28, 1, 'Nuevo Laredo', '{0,1,2,4,5}'), (20, 1, 28, 2, 'Reynosa', '{0,1,3,4,5}');
INSERT INTO casilla
    SELECT n, 28, 1, CASE WHEN n <= 20 THEN 1 ELSE 2 END, 27, n, 'B', 1, 0, 1 FROM generate_series(1, 40) n;
INSERT INTO acta
    SELECT n, 1, CASE WHEN n <= 20 THEN 10 ELSE 20 END, n, 'clave' || n, 'D', '28|1|D|' || n || '|1|B|0|6', 500, 10, NULL, 3, n
    FROM generate_series(1, 40) n;
"""

VALUES: dict[str, int | str] = {
    "BOLETAS_SOBRANTES": 100,
    "PERSONAS_VOTARON": 398,
    "REPRESENTANTES_VOTARON": 2,
    "VOTOS_SACADOS": 400,
    "PAN": 150,
    "PRI": 120,
    "PAN-PRI": 100,
    "NO_REGISTRADAS": 0,
    "NULOS": 30,
    "TOTAL_ASENTADO": 400,
}
"""A whole acta of district 1."""


def qr(acta: int) -> str:
    return f"28|1|D|{acta}|1|B|0|6"


def jpeg(seed: int = 0, *, side: int = 64) -> bytes:
    """A small photograph that differs with its seed."""
    image = Image.new("RGB", (side, side))
    image.putdata([((seed * 7919 + x * 31) % 256, (seed + x) % 256, x % 256) for x in range(side * side)])
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


@dataclass
class Clock:
    """A clock that moves only when a test says so."""

    at: datetime = EVENING

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class Ticks:
    """Seconds that pass only when a test says so."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


class Journal:
    """A bus that is a file: it shows that intake needs no other part."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def publish(self, messages: Sequence[Message]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            for each in messages:
                file.write(json.dumps([each.topic, each.key, each.id, each.body.decode()]) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def messages(self) -> list[Message]:
        lines = self._path.read_text("utf-8").splitlines() if self._path.exists() else []
        return [Message(Topic(topic), key, id_, body.encode()) for topic, key, id_, body in map(json.loads, lines)]

    async def consume(self, topic: Topic, group: str) -> AsyncGenerator[Batch, None]:
        async def acknowledge() -> None:
            self._path.unlink()

        yield Batch([each for each in self.messages() if each.topic is topic], acknowledge)

    async def lag(self, topic: Topic, group: str) -> int:
        return sum(each.topic is topic for each in self.messages())

    async def close(self) -> None:
        pass


@dataclass
class Device:
    """An enrolled device: it signs what it sends and counts its numbers."""

    id: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    def headers(self, content: bytes, **other: str | None) -> dict[str, str]:
        """Signed headers for `content`. `other` replaces some of them; None leaves one out."""
        said: dict[str, str | None] = {
            "Device": self.id,
            "Sequence": str(next(self.numbers)) if "Sequence" not in other else None,
            "SHA256": hashlib.sha256(content).hexdigest(),
            "Origin": "CATD",
            "Kind": "escaner",
            "Acopio": "2024-06-02T18:55:00-06:00",
        }
        said |= other
        names = ("Device", "Sequence", "SHA256", "Origin", "Kind", "Acopio", "Acta", "Traslado", "Document")
        text = "\n".join(["PREP-IMAGE-V1", *(said.get(name) or "" for name in names)])
        said.setdefault("Signature", base64.b64encode(self.key.sign(text.encode())).decode())
        return {f"X-PREP-{name}": value for name, value in said.items() if value is not None}


@dataclass
class Room:
    """The running application and its parts."""

    url: str
    http: httpx.AsyncClient
    settings: Settings
    pool: Pool
    blobs: Blobs
    bus: Bus
    clock: Clock
    device: Device
    intake: Intake
    ticks: "Ticks"
    tokens: dict[str, str] = field(default_factory=dict)
    _logging_in: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def send(self, content: bytes, **other: str | None) -> httpx.Response:
        """Upload as the enrolled device."""
        return await self.http.post("/v1/images", content=content, headers=self.device.headers(content, **other))

    async def ask(self, who: str, path: str, body: object = None, *, method: str = "POST") -> httpx.Response:
        """A request as that person, who logs in on first use."""
        async with self._logging_in:
            if who not in self.tokens:
                answer = await self.http.post("/v1/session", json={"usuario": who, "clave": PASSWORD})
                assert answer.status_code == 201, answer.text
                self.tokens[who] = answer.json()["token"]
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        return await self.http.request(method, path, json=body, headers=headers)

    async def lease(self, who: str, *kinds: str) -> dict[str, Any] | None:
        answer = await self.ask(who, "/v1/tasks/lease", {"tipos": list(kinds)} if kinds else {})
        assert answer.status_code in {200, 204}, answer.text
        return answer.json() if answer.status_code == 200 else None

    async def type(self, who: str, values: dict[str, Any]) -> httpx.Response:
        """Lease a capture and submit it, then let the pipeline work."""
        task = await self.lease(who, "captura")
        assert task is not None, f"nothing waits for {who}"
        answer = await self.ask(who, f"/v1/tasks/{task['tarea']}/entry", {"valores": values})
        await self.work()
        return answer

    async def arrive(
        self, acta: int, *, text: str | None = "", picture: bytes | None = None, marks: FoundMarks | None = None
    ) -> str:
        """An image of that acta, received and digitized; returns its digest. `text` is the text of its QR.

        A browser can show `picture`, which is its own web copy.
        """
        content = picture or jpeg(acta)
        sha256, web = await self.blobs.put(content), await self.blobs.put(picture or b"web " + content)
        received = ImageReceived(
            sha256=sha256,
            bytes=len(content),
            format="jpeg",
            device=self.device.id,
            sequence=10_000 + acta,
            origen=Origen.CATD,
            digitalizacion=Digitalizacion.ESCANER,
            traslado="",
            tipo_documento=TipoDocumento.ACTA_PREP,
            acopio_at=self.clock(),
            acta_hint="",
            received_at=self.clock(),
        )
        said = qr(acta) if text == "" else text
        reading = Reading(said, "zxing", 64, 64, bytes(128), bytes.fromhex(web), bytes.fromhex(web), marks=marks)
        async with transaction(self.pool) as connection:
            await pipeline.digitized(connection, received, reading, self._pipeline_given)
        return sha256

    async def work(self) -> None:
        """Give the messages that wait in the outbox to the pipeline."""
        async with transaction(self.pool) as connection:
            for row in await connection.fetch("DELETE FROM outbox RETURNING seq, id, body"):
                if row["id"].startswith("entry:"):
                    await pipeline.touched(
                        connection, ActaTouched.model_validate_json(row["body"]), self._pipeline_given
                    )
                else:
                    await pipeline.named(connection, ImageNamed.model_validate_json(row["body"]), self._pipeline_given)

    @property
    def _pipeline_given(self) -> pipeline.Given:
        return pipeline.Given(now=self.clock, chance=lambda: 0.5, zone=lambda: CENTRAL)


async def furnish(owner: str, device: Device) -> None:
    """Open a night, load the catalogue, enrol a device, and add people of every role; typists at two sites."""
    connection = await asyncpg.connect(owner)
    await connection.execute(CATALOGUE)
    await enroll(connection, device=device.id, site="CATD-1", public_key=device.public_key, at=EVENING)
    people = {
        "ana": (Role.CAPTURISTA, "CCV-1"),
        "beto": (Role.CAPTURISTA, "CCV-2"),
        "caro": (Role.VERIFICADOR, "CCV-1"),
        "dora": (Role.CAPTURISTA, "CCV-1"),
        "super": (Role.SUPERVISOR, "CCV-2"),
        "admin": (Role.ADMINISTRADOR, "CCV-1"),
        "digi": (Role.DIGITALIZADOR, "CATD-1"),
        "oper": (Role.OPERADOR_CATD, "CATD-1"),
        "cotejo": (Role.COTEJADOR, "CATD-1"),
        "audi": (Role.AUDITOR, "CCV-1"),
        "obse": (Role.OBSERVADOR, "CCV-1"),
    }
    for login, (role, site) in people.items():
        await add_user(connection, login=login, password=PASSWORD, role=role, site=site, cost=CHEAP)
    await connection.close()
    await open_night(owner, at=EVENING)


@asynccontextmanager
async def open_room(
    database: str, folder: Path, *, device: Device, bus: Bus | None = None, clock: Clock | None = None, blobs: str = "",
    served_as: str = "", proxies: str = "127.0.0.1", limits: Limits = LIMITS, image_max_bytes: int = 200_000, port: int = 0,
    control_percent: float = 0, chance: Callable[[], float] = RANDOM,
) -> AsyncIterator[Room]:  # fmt: skip
    """Serve the application on a free port of the loopback.

    It enters PostgreSQL with the address `served_as`; the test, and the pipeline, with `database`.
    """
    settings = Settings(
        data=folder,
        capture_port=port,
        image_max_bytes=image_max_bytes,
        image_max_pixels=4_000_000,
        blobs=blobs,
        proxies=proxies,
        control_percent=control_percent,
    )
    pool = await open_pool(database, wait=False, by_key=True)
    its_pool = await open_pool(served_as or database, wait=False, by_key=True)
    its_bus = bus or EmbeddedBus(served_as or database)
    bus = bus or EmbeddedBus(database)
    clock = clock or Clock()
    store = Blobs.open(settings.blobs_url, scratch=folder / "tmp")
    ticks = Ticks()
    app = create_app(settings, pool=its_pool, bus=its_bus, blobs=store, clock=clock, ticks=ticks, chance=chance)
    served = config(app, proxies=proxies, lifespan=True, graceful_seconds=15)
    server = Server(served, limits=limits, proxies=proxies)
    serving = asyncio.create_task(server.serve([listening(settings.host, settings.capture_port)]))
    while not server.started:  # noqa: ASYNC110 - the server has no event to wait for
        await asyncio.sleep(0.01)
    [port] = {door.port for door in server.doors}
    url = f"http://127.0.0.1:{port}"
    at_once, as_described = httpx.Limits(max_connections=60), {"response": [answers_as_described]}
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=at_once, event_hooks=as_described) as http:
        yield Room(url, http, settings, pool, store, bus, clock, device, app.state.rooms.intake, ticks)
    server.should_exit = True
    await serving
    for each in {bus, its_bus}:
        await each.close()
    await its_pool.close()
    await pool.close()


@asynccontextmanager
async def furnished(night: Night, folder: Path, **how: Any) -> AsyncIterator[Room]:
    """A room with its catalogue, its device and its people."""
    device = Device("escaner-1")
    await furnish(night.owner, device)
    async with open_room(night.app, folder, device=device, served_as=night.parts[Part.CAPTURE], **how) as room:
        yield room


def left_behind(folder: Path) -> list[Path]:
    """Temporary files that a test left."""
    return sorted(folder.rglob("*.tmp"))
