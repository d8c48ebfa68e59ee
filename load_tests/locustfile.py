"""Load for an installation of your own: devices that send signed images, and capturistas who type the values on them.

    locust -f load_tests/locustfile.py --headless -u 20 -r 2 -t 10m --keys LLAVES --people PERSONAS --catalog CATALOGO

LLAVES is the folder of `prep device enroll … --keys`. CATALOGO is the folder of `prep catalog load`. PERSONAS is a file
with a line `usuario clave` for each capturista. The variables LOAD_KEYS, LOAD_PEOPLE and LOAD_CATALOG do the same.
Never use it on a real night: the actas are invented. It sends to this machine, or to the one that `--host` names.

Each acta of the catalogue is sent once, and always with the same sequence number. So a second run sends the same bytes
and gets the same receipts. Locust uses gevent in its process; of our code, only drawing and typing run there.
"""

import hashlib
import time
from argparse import Namespace
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from gevent import get_hub
from locust import HttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment
from locust.exception import StopUser

from prep.files.catalog_files import files_in, load_catalog
from prep.rehearsal.devices import announced, form_of_contest, picture, private_key
from prep.rehearsal.drawing.press import PrintedForm
from prep.rehearsal.plan import Plan
from prep.rehearsal.replay import Sheet
from prep.rehearsal.synthetic import written_on
from prep.rehearsal.typists import ANY_TASK, mistaken

SETTLED: Final[frozenset[int]] = frozenset({HTTPStatus.CONFLICT, HTTPStatus.GONE})
"""Statuses that are no failure: another person was first, or the lease ended."""


@dataclass(slots=True)
class LoadNight:
    """The state of the load: sheets that wait to be sent, devices and people, and the images that people see."""

    plan: Plan
    forms: dict[str, PrintedForm]
    devices: list[tuple[str, Ed25519PrivateKey]]
    people: deque[tuple[int, str, str]]
    waiting: deque[tuple[int, Sheet]]
    sheets: dict[tuple[str, str], Sheet]
    images: dict[str, Sheet] = field(default_factory=dict)
    """Digest of an image → its sheet. So a person «sees» the acta on an image without a QR."""
    again: Counter[tuple[int, str]] = field(default_factory=Counter)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]  # Locust's
def add_arguments(parser: LocustArgumentParser) -> None:
    group = parser.add_argument_group("PREP")
    group.add_argument("--keys", type=Path, required=True, env_var="LOAD_KEYS", help="folder of device keys, ID.pem")
    group.add_argument("--people", type=Path, required=True, env_var="LOAD_PEOPLE", help="file of «usuario clave»")
    group.add_argument("--catalog", type=Path, required=True, env_var="LOAD_CATALOG", help="folder of the catalogue")
    group.add_argument("--seed", type=int, default=1, env_var="LOAD_SEED", help="other seeds write other numbers")
    group.add_argument("--mistakes", type=float, default=0.05, env_var="LOAD_MISTAKES", help="share of captures")
    group.add_argument("--pace", type=float, default=1.0, env_var="LOAD_PACE", help="seconds between a device's images")
    group.add_argument("--typing", type=float, default=5.0, env_var="LOAD_TYPING", help="seconds to type an acta")


@events.init.add_listener  # type: ignore[untyped-decorator]  # Locust's
def read_the_night(environment: Environment, **_: object) -> None:
    said = environment.parsed_options
    assert said is not None
    environment.prep_night = prepared(said)  # type: ignore[attr-defined]


def prepared(said: Namespace) -> LoadNight:
    """The load. The catalogue and the seed alone decide all values that are drawn and typed."""
    folder = files_in(said.catalog)
    catalog = load_catalog(folder)
    sheets = written_on(catalog, seed=said.seed)
    plan = Plan("locust", folder, catalog, sheets, len(sheets), said.seed, said.mistakes, 0.0)
    codes = {election.id: election.code for election in catalog.elections}
    claves = {acta.qr: (codes[acta.election], acta.clave) for acta in catalog.actas}
    people = [line.split(maxsplit=1) for line in said.people.read_text(encoding="utf-8").splitlines() if line.strip()]
    return LoadNight(
        plan=plan,
        forms=form_of_contest(plan),
        devices=[(path.stem, private_key(path)) for path in sorted(said.keys.glob("*.pem"))],
        people=deque((number, login, password) for number, (login, password) in enumerate(people)),
        waiting=deque((n, sheet) for n, sheet in enumerate(sheets, 1) if sheet.sin_acta is None),
        sheets={claves[sheet.qr]: sheet for sheet in sheets if sheet.qr in claves},
    )


class _Person(HttpUser):
    """A device or a person who sends requests to the installation."""

    abstract = True
    host = "http://127.0.0.1:8700"

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)  # type: ignore[no-untyped-call]  # Locust's
        self.night: LoadNight = environment.prep_night  # type: ignore[attr-defined]
        self.said: Namespace = environment.parsed_options  # type: ignore[assignment]

    @contextmanager
    def asking(
        self,
        method: str,
        path: str,
        name: str,
        *,
        settled: frozenset[int] = frozenset(),
        **request: Any,  # noqa: ANN401
    ) -> Iterator[ResponseContextManager]:
        """Send a request. A status in `settled` is part of the work and does not count as a failure."""
        with self.client.request(method, path, name=name, catch_response=True, timeout=60, **request) as response:
            yield response
            if response.status_code in settled:
                response.success()


class FieldDevice(_Person):
    """Field staff: send one image after the other, until all actas are sent."""

    weight = 1

    def wait_time(self) -> float:
        seconds: float = self.said.pace
        return seconds

    @task
    def send(self) -> None:
        if not self.night.waiting:
            raise StopUser
        number, sheet = self.night.waiting.popleft()
        device, key = self.night.devices[number % len(self.night.devices)]
        draw: Callable[..., bytes] = get_hub().threadpool.apply
        # Draw in a thread: gevent would stop all other people while the image is drawn.
        image = draw(picture, (self.night.plan.seed, self.night.forms[sheet.key], sheet))
        self.night.images[hashlib.sha256(image).hexdigest()] = sheet
        headers = announced(sheet, image, device=device, number=number, key=key)
        with self.asking("POST", "/v1/images", "imagen", data=image, headers=headers) as response:
            # A sheet without receipt goes back to the queue: a real device tries again too.
            if not response.ok or not response.json().get("firma"):
                response.failure(f"{response.status_code}: sin acuse")  # type: ignore[no-untyped-call]  # Locust's
                self.night.waiting.append((number, sheet))


class Capturista(_Person):
    """A person who works on any task. Each person needs an account of their own; without a free account, they stop."""

    weight = 2

    def wait_time(self) -> float:
        return 0.0

    def on_start(self) -> None:
        if not self.night.people:
            raise StopUser
        self.next: dict[str, Any] | None = None
        self.number, login, password = self.night.people.popleft()
        with self.asking("POST", "/v1/session", "sesión", json={"usuario": login, "clave": password}) as response:
            token = response.json().get("token")
        if token is None:  # Locust has counted the failure
            raise StopUser
        self.client.headers["Authorization"] = f"Bearer {token}"

    @task
    def work(self) -> None:
        held = self.next or self._lease_task()
        self.next = None
        if held is None:
            time.sleep(0.5)  # this is gevent's sleep: the other people go on
            return
        with self.asking("GET", held["imagen"], "ver imagen"):
            time.sleep(self.said.typing)
        word, said = self._answer_to(held)
        path, said = f"/v1/tasks/{held['tarea']}/{word}", {**said, "siguiente": ANY_TASK}
        with self.asking("POST", path, word, settled=SETTLED, json=said) as response:
            if response.status_code == HTTPStatus.CREATED:
                self.next = response.json().get("siguiente")

    def _lease_task(self) -> dict[str, Any] | None:
        with self.asking("POST", "/v1/tasks/lease", "tarea", json={}) as response:
            held: dict[str, Any] | None = response.json() if response.status_code == HTTPStatus.OK else None
            return held

    def _answer_to(self, held: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The last part of the address, and the body. A task about an image that this load did not send is released."""
        if held["tipo"] == "identificacion":
            shown = self.night.images.get(held["imagen"].rsplit("/", 1)[1])
            return ("identity", {"identidad": shown.qr, "proceso_tecnico": False}) if shown else ("release", {})
        sheet = self.night.sheets.get((held["acta"]["eleccion"], held["acta"]["clave"]))
        if sheet is None:
            return "release", {}
        if held["tipo"] == "resolucion":
            whole = sheet.capture()
            right = {field["codigo"]: whole[field["codigo"]] for field in held["campos"]}
            return ("resolution", {"valores": right}) if right in held["capturas"] else ("release", {})
        before = self.night.again[self.number, sheet.key]
        self.night.again[self.number, sheet.key] += 1
        return "entry", {"valores": mistaken(sheet, self.number, self.night.plan, again=before)}
