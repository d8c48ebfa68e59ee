"""Load for an installation of your own: devices that send signed images, capturistas who type what is on them.

    locust -f load_tests/locustfile.py --headless -u 20 -r 2 -t 10m --keys LLAVES --people PERSONAS --catalog CATALOGO

LLAVES is the folder of `prep device enroll … --keys`, CATALOGO the folder of `prep catalog load`, PERSONAS a file with
a line `usuario clave` for each capturista; or say it by LOAD_KEYS, LOAD_PEOPLE, LOAD_CATALOG. Never against a night
that counts: what is sent here is made up. It asks this machine unless `--host` names another.

Each acta of the catalogue is sent once, under a number that is always its own: to run it again sends the same bytes and
gets the same receipts. Locust brings gevent into its process; nothing of ours runs in it but drawing and typing.
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

from prep.files.catalog_files import load_catalog
from prep.rehearsal.drawing import PrintedForm
from prep.rehearsal.night import ANY_TASK, Plan, announced, form_of_contest, mistaken, picture, private_key
from prep.rehearsal.replay import Sheet
from prep.rehearsal.synthetic import written_on

SETTLED: Final[frozenset[int]] = frozenset({HTTPStatus.CONFLICT, HTTPStatus.GONE})
"""Answers that are no failure: somebody else was first, or the lease ran out."""


@dataclass(slots=True)
class LoadNight:
    """What is left to send, who sends and types, and what the people see."""

    plan: Plan
    forms: dict[str, PrintedForm]
    devices: list[tuple[str, Ed25519PrivateKey]]
    people: deque[tuple[int, str, str]]
    waiting: deque[tuple[int, Sheet]]
    sheets: dict[tuple[str, str], Sheet]
    images: dict[str, Sheet] = field(default_factory=dict)
    """By digest: what a person sees when an image without a QR is shown."""
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
    """Everything drawn and typed follows from the catalogue and the seed."""
    folder = {path.name: path.read_bytes() for path in sorted(said.catalog.glob("*.csv"))}
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
    """Somebody at the installation: this machine's, unless `--host` says another."""

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
        """A request; a refusal among `settled` is part of the work and no failure."""
        with self.client.request(method, path, name=name, catch_response=True, timeout=60, **request) as response:
            yield response
            if response.status_code in settled:
                response.success()


class FieldDevice(_Person):
    """Field staff: one image after the other, until every acta has been sent."""

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
        image = draw(picture, (self.night.plan.seed, self.night.forms[sheet.key], sheet))
        self.night.images[hashlib.sha256(image).hexdigest()] = sheet
        headers = announced(sheet, image, device=device, number=number, key=key)
        with self.asking("POST", "/v1/images", "imagen", data=image, headers=headers) as response:
            if not response.ok or not response.json().get("firma"):
                response.failure(f"{response.status_code}: sin acuse")  # type: ignore[no-untyped-call]  # Locust's
                self.night.waiting.append((number, sheet))


class Capturista(_Person):
    """A person who types what comes. Each account is one person's; who has none goes home."""

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
        if token is None:  # counted as a failure by now
            raise StopUser
        self.client.headers["Authorization"] = f"Bearer {token}"

    @task
    def work(self) -> None:
        held = self.next or self._lease()
        self.next = None
        if held is None:
            time.sleep(0.5)  # gevent's: the others go on
            return
        with self.asking("GET", held["imagen"], "ver imagen"):
            time.sleep(self.said.typing)
        word, said = self._answer(held)
        path, said = f"/v1/tasks/{held['tarea']}/{word}", {**said, "siguiente": ANY_TASK}
        with self.asking("POST", path, word, settled=SETTLED, json=said) as response:
            if response.status_code == HTTPStatus.CREATED:
                self.next = response.json().get("siguiente")

    def _lease(self) -> dict[str, Any] | None:
        with self.asking("POST", "/v1/tasks/lease", "tarea", json={}) as response:
            held: dict[str, Any] | None = response.json() if response.status_code == HTTPStatus.OK else None
            return held

    def _answer(self, held: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Last part of the address, and the body. What this night did not send is given back."""
        if held["tipo"] == "identificacion":
            shown = self.night.images.get(held["imagen"].rsplit("/", 1)[1])
            return ("identity", {"identidad": shown.qr, "proceso_tecnico": False}) if shown else ("release", {})
        sheet = self.night.sheets.get((held["acta"]["eleccion"], held["acta"]["clave"]))
        if sheet is None:
            return "release", {}
        if held["tipo"] == "resolucion":
            right = sheet.capture()
            return ("resolution", {"valores": right}) if right in held["capturas"] else ("release", {})
        before = self.night.again[self.number, sheet.key]
        self.night.again[self.number, sheet.key] += 1
        return "entry", {"valores": mistaken(sheet, self.number, self.night.plan, again=before)}
