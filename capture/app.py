"""The HTTP of capture: the application, its screens and probes, its refusals, and the headers of every answer.

A route reads a request, calls a room, and says its answer; the room decides. The routes stand in `device_routes.py`,
`people_routes.py` and `supervision.py`, the JSON in `bodies.py`, `answers.py` and `supervision_answers.py`.

Everything is JSON except images. A refusal is one sentence in Spanish and its code: {"error": …, "codigo": …}. A GET
changes no state. `OPERATIONS` lists every path with its answers and refusals; the OpenAPI description is made from it.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from random import SystemRandom
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from capture import device_routes, imports, people_routes, screens, supervision
from capture.answers import HealthAnswer
from capture.asking import Rooms, rooms_of
from capture.auth import Devices, People, Tries
from capture.bodies import first_wrong
from capture.decisions import Decisions
from capture.description import Operation, describe
from capture.enrolment import Enrolment
from capture.entries import Desk
from capture.findings import Findings
from capture.imports import Imports
from capture.inspection import Inspection
from capture.intake import Intake
from capture.quality import QualityRoom
from capture.receipts import Receipts, signing_key
from capture.staffing import Staffing
from capture.uploads import VERSION, LineBroke, Uploads
from prep import observe
from prep.blobs import Blobs
from prep.bus.contract import Bus
from prep.errors import Code, Parked, PrepError, Unavailable
from prep.printable import printable
from prep.scan import books
from prep.scan.bounded import Lane
from prep.settings import Settings
from prep.store import people as people_store
from prep.store.database import Pool, borrow
from prep.store.tonight import Tonight
from prep.upload import Origen

log: Final = logging.getLogger(__name__)

RANDOM: Final = SystemRandom().random
READY_SECONDS: Final = 5.0
"""How long the store of images and the bus may take before the process says that it is not ready."""


def create_app(
    settings: Settings,
    *,
    pool: Pool,
    bus: Bus,
    blobs: Blobs,
    clock: Callable[[], datetime],
    ticks: Callable[[], float] = time.monotonic,
    chance: Callable[[], float] = RANDOM,
) -> FastAPI:
    """The application. `pool`, `bus` and `blobs` stay the caller's to close.

    `pool` may be one that has not connected yet (`open_pool(…, wait=False)`): intake does not need it.
    """
    for origen in Origen:  # from the start on, so that the first image of a night is seen as one more than none
        observe.IMAGES_RECEIVED.labels(origen)
    observe.watch_disk("capture", settings.blobs_url)
    receipts = Receipts(blobs, signing_key(settings.receipts_key))
    tonight = Tonight(pool, kept=settings.data / "noche.json")

    async def enrolled() -> dict[str, bytes]:
        async with borrow(pool) as connection:
            return await people_store.devices(connection)

    devices = Devices(enrolled, settings.data / "dispositivos.json")
    inspection = Inspection(settings.image_max_pixels)
    intake = Intake(
        devices=devices,
        blobs=blobs,
        receipts=receipts,
        bus=bus,
        clock=clock,
        inspection=inspection,
        tonight=tonight,
        max_bytes=settings.image_max_bytes,
    )
    uploads = Uploads(intake, blobs, clock)
    people = People(pool, ticks=ticks, hours=settings.session_hours, idle_minutes=settings.session_idle_minutes)
    desk = Desk(
        pool,
        blobs,
        tonight,
        clock=clock,
        chance=chance,
        lease_minutes=settings.lease_minutes,
        other_site_minutes=settings.other_site_minutes,
        control_percent=settings.control_percent,
    )
    reading = Lane(1, imports.READING, books.prepare)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        fresh = [asyncio.create_task(each.keep_fresh()) for each in (devices, tonight)]
        fresh.append(asyncio.create_task(uploads.keep_swept()))
        yield
        for each in fresh:
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each
        inspection.close()
        reading.close()

    app = FastAPI(title="PREP", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.rooms = Rooms(
        intake,
        uploads,
        Enrolment(pool, receipts, tonight, Tries(ticks)),
        people,
        desk,
        Decisions(pool, tonight, clock=clock, chance=chance),
        QualityRoom(pool, clock=clock),
        Staffing(pool, people),
        Findings(pool, clock=clock),
        Imports(pool, desk, tonight, clock, reading),
        pool,
    )
    for operation in OPERATIONS:
        operation.add_to(app)
    for path in screens.PAGES:
        app.add_api_route(path, screen, methods=["GET"], include_in_schema=False)
    app.add_api_route(f"{screens.FOLDER}/{{name}}", screen_file, methods=["GET"], include_in_schema=False)
    for kind, answer in REFUSALS:
        app.add_exception_handler(kind, answer)
    app.add_middleware(Edge)
    return app


# The screens.


async def screen(request: Request) -> Response:
    """The page of a screen."""
    return _file(request, f"{screens.PAGES[request.url.path]}.html")


async def screen_file(request: Request, name: str) -> Response:
    """A script, a style sheet, or another file of the screens."""
    return _file(request, name)


def _file(request: Request, name: str) -> Response:
    found = screens.find_file(name)
    if request.headers.get("if-none-match") == found.headers["ETag"]:
        return Response(status_code=304, headers=found.headers)
    return Response(found.content, headers=found.headers)


# The machine.


async def metrics(_: Request) -> Response:
    """The metrics of this process, for Prometheus."""
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def healthz(request: Request) -> Response:
    """For people: 200 while everything answers; 503 with the parts that do not. Intake may go on without them."""
    rooms = rooms_of(request)
    away = []
    try:
        async with asyncio.timeout(2), borrow(rooms.pool) as connection:
            await connection.fetchval("SELECT 1")
    except (Unavailable, TimeoutError):
        away.append("base de datos")
    try:
        await rooms.intake.blobs.find("salud")
    except Unavailable:
        away.append("almacén de imágenes")
    if alarm := observe.clock_alarm():
        away.append(alarm)
    if away:
        return JSONResponse({"ok": False, "fuera": away}, 503)
    return JSONResponse({"ok": True})


async def livez(_: Request) -> Response:
    """The process answers. If this fails, start it again."""
    return PlainTextResponse("el proceso responde\n")


async def readyz(request: Request) -> Response:
    """Images can come in: 200, or 503 with the part that is missing. PostgreSQL is needed only if it is the bus."""
    intake = rooms_of(request).intake
    try:
        async with asyncio.timeout(READY_SECONDS):
            await intake.ready()
    except (Unavailable, TimeoutError) as error:
        sentence = error.sentence if isinstance(error, Unavailable) else "el almacén o el bus tardan demasiado"
        return PlainTextResponse(f"{sentence}\n", 503)
    return PlainTextResponse("puede recibir imágenes\n")


TEXT: Final = ("text/plain",)

OPERATIONS: Final[Sequence[Operation]] = (
    *device_routes.OPERATIONS,
    *people_routes.OPERATIONS,
    *supervision.OPERATIONS,
    Operation("/metrics", "GET", metrics, {200: TEXT}),
    Operation("/healthz", "GET", healthz, {200: HealthAnswer, 503: HealthAnswer}),
    Operation("/livez", "GET", livez, {200: TEXT}),
    Operation("/readyz", "GET", readyz, {200: TEXT, 503: TEXT}),
)


def described() -> dict[str, Any]:
    """The OpenAPI description of all operations; it needs neither settings nor a database."""
    app = FastAPI()
    for operation in OPERATIONS:
        operation.add_to(app)
    return describe(app, OPERATIONS)


# Refusals.


def _refusal(
    sentence: str, code: Code, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    return JSONResponse({"error": printable(sentence), "codigo": code}, status or code.status, headers)


def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, PrepError)
    if isinstance(error, Parked):
        log.error("parked while answering", extra={"data": {"error": error.sentence}})
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Unavailable) else {}
    if request.url.path.startswith(device_routes.UPLOADS):
        headers |= {"Tus-Resumable": VERSION, "Tus-Version": VERSION}
    return _refusal(error.sentence, error.code, headers=headers)


def _refuse_path(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _refusal(first_wrong(error.errors()), Code.FIELD_WRONG)


_NO_ROUTE: Final = {
    404: ("aquí no hay nada", Code.NO_ROUTE),
    405: ("esta dirección no admite ese método", Code.NO_METHOD),
}


def _refuse_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    unread = ("la petición no es válida", Code.BAD_REQUEST)
    sentence, code = _NO_ROUTE.get(error.status_code, unread)
    return _refusal(sentence, code, status=error.status_code, headers=error.headers)


def _hung_up(_: Request, __: Exception) -> Response:
    """The sender left in the middle of the body, and does not read this."""
    return _refusal("la petición se cortó", Code.BAD_REQUEST)


def _defect(_: Request, __: Exception) -> Response:
    """A defect; the server logs it with its trace."""
    return _refusal("error interno; quedó registrado", Code.DEFECT)


REFUSALS: Final = (
    (PrepError, _refuse),
    (RequestValidationError, _refuse_path),
    (HTTPException, _refuse_route),
    (ClientDisconnect, _hung_up),
    (LineBroke, _hung_up),
    (Exception, _defect),
)


# What every answer carries.

SECURITY: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class Edge:
    """Security headers on each answer, and a count of it by route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        begun = time.perf_counter()

        # The label is the path of the route and never the address itself, which names an acta.
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in SECURITY if each[0] not in said)]
                route = getattr(scope.get("route"), "path", "otra")
                observe.REQUESTS.labels(route, message["status"]).inc()
                observe.REQUEST_SECONDS.labels(route).observe(time.perf_counter() - begun)
            await send(message)

        await self._app(scope, receive, sending)
