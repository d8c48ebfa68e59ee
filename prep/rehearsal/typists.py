"""The people at the installation's screens: capturistas who type, with their mistakes, and the operator."""

import asyncio
import random
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from prep.domain.decision import SIN_ACTA_OF, DecisionKind
from prep.errors import PrepError
from prep.rehearsal.installation import HttpAnswer, NightPlace, people, persistent, speaker
from prep.rehearsal.plan import Plan, Progresses
from prep.rehearsal.replay import Sheet

IDLE: Final = 0.5
"""A capturista without a task waits this many seconds before asking again."""


async def type_all(plan: Plan, place: NightPlace, progress: Progresses, *around: aiohttp.ClientMiddlewareType) -> None:
    logins = [login for logins in people(plan).values() for login in logins]
    codes = {election.id: election.code for election in plan.catalog.elections}
    claves = {acta.qr: (codes[acta.election], acta.clave) for acta in plan.catalog.actas}
    # A task names its acta by election and clave; so a person finds the sheet by these two.
    shown = {claves[sheet.qr]: sheet for sheet in plan.sheets if sheet.qr in claves}
    async with speaker(place, len(logins), *around) as client:  # `around` sees each request; load tests measure with it
        await asyncio.gather(
            *(
                capturista(plan, place, progress, client, shown, number=number, login=login)
                for number, login in enumerate(logins)
            )
        )


async def log_in(client: aiohttp.ClientSession, place: NightPlace, login: str) -> dict[str, str]:
    """Log in and return the header that each request of the session carries."""
    words = {"usuario": login, "clave": (place.data / "clave").read_text()}
    response = await persistent(client, "POST", "/v1/session", json=words)
    return {"Authorization": f"Bearer {response.json()['token']}"}


class LoggedIn:
    """A person at the desk, who logs in again if the session has ended: it was idle, or the person opened another."""

    def __init__(self, client: aiohttp.ClientSession, place: NightPlace, login: str) -> None:
        self._client = client
        self._place = place
        self._login = login
        self._session: dict[str, str] | None = None

    async def ask(self, method: str, path: str, *, told: Collection[int] = (), json: object = None) -> HttpAnswer:
        """`persistent`, as this person."""
        while True:
            if self._session is None:
                self._session = await log_in(self._client, self._place, self._login)
            ended = {HTTPStatus.UNAUTHORIZED, *told}
            answer = await persistent(self._client, method, path, told=ended, json=json, headers=self._session)
            if answer.status != HTTPStatus.UNAUTHORIZED:
                return answer
            self._session = None


ANY_TASK: Final = ("resolucion", "identificacion", "captura")
"""A capturista takes tasks of any of these types."""


async def capturista(
    plan: Plan,
    place: NightPlace,
    progress: Progresses,
    client: aiohttp.ClientSession,
    sheets: Mapping[tuple[str, str], Sheet],
    *,
    number: int,
    login: str,
) -> None:
    """One person who works until the night is over: take a task, look at the image, answer, take the next task."""
    person = LoggedIn(client, place, login)
    supervisor = LoggedIn(client, place, "supervisor")
    progress.present += 1
    task: dict[str, Any] | None = None
    while not progress.finished:
        if task is None:
            held = await person.ask("POST", "/v1/tasks/lease", json={})
            # There is no task for this person now.
            if held.status != HTTPStatus.OK:
                await asyncio.sleep(IDLE)
                continue
            task = held.json()
        seen = await person.ask("GET", task["imagen"], told={HTTPStatus.FORBIDDEN})
        if seen.status == HTTPStatus.FORBIDDEN:  # the lease has ended: the clock of the installation may have jumped
            task = None
            continue
        where, answer = say(plan, progress, sheets, task, number=number, login=login, seen=bool(seen.body))
        if answer is None:  # three people made three mistakes: a supervisor must ask for a recapture
            words = {"motivo": "ninguna de las tres capturas es lo que dice el acta"}
            await supervisor.ask("POST", where, json=words)
            task = None
            continue
        told = await person.ask("POST", where, json={**answer, "siguiente": ANY_TASK})
        progress.captures += task["tipo"] == "captura"
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
    """The path and the body of a person's answer to a task. The body is None if none of three captures is right."""
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
        case "resolucion" if (right := _differing_fields(sheet, task)) in task["capturas"]:
            return f"{path}/resolution", {"valores": right}
        case "resolucion":
            return f"/v1/actas/{election}/{clave}/recaptura", None
        case kind:
            raise PrepError(f"tarea desconocida: {kind}")


def _differing_fields(sheet: Sheet, task: Mapping[str, Any]) -> dict[str, int | str]:
    """What the sheet says in the fields in which three captures differ."""
    right = sheet.capture()
    return {field["codigo"]: right[field["codigo"]] for field in task["campos"]}


def mistaken(sheet: Sheet, person: int, plan: Plan, *, again: int) -> dict[str, int | str]:
    """The values that this person types: those on the sheet, but on a share of `mistakes` sheets one field is wrong.

    On each sheet, each person's mistake is in a different field, so two people never make the same one. The second
    capture cannot see two equal mistakes, on a real night either; the night would then end with wrong values.
    """
    values = sheet.capture()
    # `again` makes a person type better or worse the second time; if not, a recapture would repeat the same mistake for
    # ever.
    chance = random.Random(f"{plan.seed} {person} {sheet.key} {again}")
    if chance.random() >= plan.mistakes:
        return values
    codes = list(values)
    code = codes[(person + len(sheet.key)) % len(codes)]
    said = values[code]
    values[code] = (said + 1) % 1000 if isinstance(said, int) else 0
    return values


async def register_sin_acta(plan: Plan, place: NightPlace) -> None:
    """The operator proposes every acta that never arrived, and the supervisor confirms; again it changes nothing."""
    missing = [sheet for sheet in plan.sheets if sheet.sin_acta is not None]
    claves = {acta.qr: (acta.clave, acta.election) for acta in plan.catalog.actas}
    codes = {election.id: election.code for election in plan.catalog.elections}
    async with speaker(place, 1) as client:
        operator, supervisor = (LoggedIn(client, place, login) for login in ("operador", "supervisor"))
        reasons = list(SIN_ACTA_OF)
        for sheet in missing:
            assert sheet.sin_acta is not None
            clave, election = claves[sheet.qr]
            said = {
                "tipo": DecisionKind.SIN_ACTA,
                "eleccion": codes[election],
                "clave": clave,
                "motivo": reasons[sheet.sin_acta - 1],
            }
            proposed = await operator.ask("POST", "/v1/decisions", json=said)
            # A night that goes on after it was killed finds actas that were registered before: they allow it no more.
            if proposed.status != HTTPStatus.CONFLICT:
                path = f"/v1/decisions/{proposed.json()['decision']}/confirm"
                await supervisor.ask("POST", path, json={})
