"""The HTTP of capture: routes that read a request, call a room, and say its answer. Nothing is decided here.

Everything is JSON except images. Whatever is refused is one sentence in Spanish: {"error": …}. A GET changes nothing.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from random import SystemRandom
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

from fastapi import FastAPI, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from capture.auth import Devices, People, TooMany
from capture.entries import MAY_LEASE, Desk, DeskAnswer
from capture.inspection import Inspection
from capture.intake import Intake
from capture.receipts import Receipts, signing_key
from prep import observe
from prep.blobs import Blobs, Full
from prep.bus.contract import Bus
from prep.errors import Parked, PrepError, Rejected, Unavailable
from prep.settings import Settings
from prep.store import people as people_store
from prep.store.database import Pool, borrow
from prep.store.desk import TaskKind
from prep.store.people import Person
from prep.upload import SHA256_PATTERN, Origen

log: Final = logging.getLogger(__name__)

JSON_LIMIT: Final = 64 * 1024
NEXT_SECONDS: Final = 2.0
"""How long an answer that is kept waits for the next task that it is to bring."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the routes call."""

    intake: Intake
    people: People
    desk: Desk
    pool: Pool


def create_app(settings: Settings, *, pool: Pool, bus: Bus, blobs: Blobs, clock: Callable[[], datetime]) -> FastAPI:
    """The application. `pool`, `bus` and `blobs` stay the caller's to close.

    `pool` may be one that has not connected yet (`open_pool(…, wait=False)`): intake does not need it.
    """
    for origen in Origen:  # from the start on, so that the first image of a night is seen as one more than none
        observe.IMAGES_RECEIVED.labels(origen)
    observe.watch_disk("capture", settings.blobs_url)
    receipts = Receipts(
        blobs,
        signing_key(settings.receipts_key),
        server=f"PREP {settings.siglas}",
        simulacro=settings.simulacro,
    )

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
        max_bytes=settings.image_max_bytes,
    )
    people = People(pool, clock=clock, hours=settings.session_hours)
    desk = Desk(
        pool,
        blobs,
        clock=clock,
        chance=SystemRandom().random,
        lease_minutes=settings.lease_minutes,
        other_site_minutes=settings.other_site_minutes,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        fresh = asyncio.create_task(devices.keep_fresh())
        yield
        fresh.cancel()
        with suppress(asyncio.CancelledError):
            await fresh
        inspection.close()

    app = FastAPI(title="PREP", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.rooms = Rooms(intake, people, desk, pool)
    for path, method, route in ROUTES:
        app.add_api_route(path, route, methods=[method], response_model=None)
    for kind, answer in REFUSALS:
        app.add_exception_handler(kind, answer)
    app.add_middleware(Edge)
    return app


def _rooms(request: Request) -> Rooms:
    rooms: Rooms = request.app.state.rooms
    return rooms


# Devices.

Sha = Annotated[str, Path(pattern=SHA256_PATTERN)]
Lease = Annotated[UUID, Path(alias="tarea")]
"""The number of a lease, by which its holder names the task."""


async def receive_image(request: Request) -> Response:
    try:
        receipt, made = await _rooms(request).intake.receive(request.headers, request.stream())
    except PrepError as error:
        observe.IMAGES_REFUSED.labels(_status(error)).inc()
        raise
    return Response(receipt, 201 if made else 200, media_type="application/json")


async def receipt_of(request: Request, sha256: Sha) -> Response:
    receipt = await _rooms(request).intake.receipts.find(sha256)
    if receipt is None:
        raise Rejected("no hay acuse de esa imagen", status=404)
    return Response(receipt, media_type="application/json")


async def receipts_key(request: Request) -> Response:
    return Response(_rooms(request).intake.receipts.public_pem(), media_type="application/x-pem-file")


# People.


PRINTABLE: Final = r"^[^\x00-\x1f\x7f]*$"
"""Text without control characters, which no keyboard types and PostgreSQL does not hold."""


class _JsonBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Credentials(_JsonBody):
    usuario: str = Field(max_length=40, pattern=PRINTABLE)
    clave: str = Field(max_length=200)


Kinds = list[Annotated[TaskKind, Field(strict=False)]]


class Wanted(_JsonBody):
    tipos: Kinds = Field(default_factory=lambda: list(MAY_LEASE))


class _WithNext(_JsonBody):
    siguiente: Kinds | None = None
    """Kinds of task of which the answer is to bring the next: on a slow line, one wait for each acta less."""


class CaptureBody(_WithNext):
    valores: dict[str, Any]


class IdentityBody(_WithNext):
    identidad: str = Field(max_length=200, pattern=PRINTABLE)
    proceso_tecnico: bool = False


class SinActaBody(_JsonBody):
    motivo: Literal[1, 2, 3, 4]


class RecaptureBody(_JsonBody):
    motivo: str = Field(min_length=1, max_length=500, pattern=PRINTABLE)
    imagen: str | None = Field(default=None, pattern=SHA256_PATTERN)


class CotejoBody(_JsonBody):
    resultado: str = Field(max_length=40, pattern=PRINTABLE)


async def login(request: Request) -> Response:
    said = await _body(request, Credentials)
    session = await _rooms(request).people.login(said.usuario, said.clave)
    told = {
        "token": session.token,
        "rol": session.person.role,
        "sitio": session.person.site_code,
        "vence": session.expires.isoformat(),
    }
    return JSONResponse(told, 201)


async def logout(request: Request) -> Response:
    await _rooms(request).people.logout(_token(request))
    return Response(status_code=204)


async def lease(request: Request) -> Response:
    person = await _person(request)
    wanted = await _body(request, Wanted, empty=b"{}")
    task = await _rooms(request).desk.lease(person, wanted.tipos)
    return Response(status_code=204) if task is None else JSONResponse(task)


async def image(request: Request, sha256: Sha) -> Response:
    person = await _person(request)
    original = request.query_params.get("original") == "1"
    content, media_type, extension = await _rooms(request).desk.image(person, sha256, original=original)
    # An original is what a stranger sent: to be kept as a file, and for no browser to open.
    shown = f'attachment; filename="{sha256}.{extension}"' if original else "inline"
    return Response(content, media_type=media_type, headers={"Content-Disposition": shown})


async def capture(request: Request, lease: Lease) -> Response:
    person = await _person(request)
    said = await _body(request, CaptureBody)
    desk = _rooms(request).desk
    return await _and_next(desk, person, said, await desk.submit(person, lease, said.valores))


async def identity(request: Request, lease: Lease) -> Response:
    person = await _person(request)
    said = await _body(request, IdentityBody)
    desk = _rooms(request).desk
    answer = await desk.identify(person, lease, identity=said.identidad, proceso_tecnico=said.proceso_tecnico)
    return await _and_next(desk, person, said, answer)


async def resolution(request: Request, lease: Lease) -> Response:
    person = await _person(request)
    said = await _body(request, CaptureBody)
    desk = _rooms(request).desk
    return await _and_next(desk, person, said, await desk.resolve(person, lease, said.valores))


async def release(request: Request, lease: Lease) -> Response:
    await _rooms(request).desk.release(await _person(request), lease)
    return Response(status_code=204)


async def sin_acta(request: Request, eleccion: str, clave: str) -> Response:
    person = await _person(request)
    said = await _body(request, SinActaBody)
    return _told(await _rooms(request).desk.sin_acta(person, eleccion, clave, said.motivo))


async def recapture(request: Request, eleccion: str, clave: str) -> Response:
    person = await _person(request)
    said = await _body(request, RecaptureBody)
    image = bytes.fromhex(said.imagen) if said.imagen else None
    await _rooms(request).desk.recapture(person, eleccion, clave, said.motivo, image)
    return JSONResponse({}, 201)


async def cotejo(request: Request, eleccion: str, clave: str) -> Response:
    person = await _person(request)
    said = await _body(request, CotejoBody)
    await _rooms(request).desk.cotejar(person, eleccion, clave, said.resultado)
    return JSONResponse({}, 201)


async def acta_state(request: Request, eleccion: str, clave: str) -> Response:
    return JSONResponse(await _rooms(request).desk.state(await _person(request), eleccion, clave))


async def _and_next(desk: Desk, person: Person, said: _WithNext, answer: DeskAnswer) -> Response:
    """What is kept is told in any case; who gets no next task with it asks for one as for the first.

    "siguiente" is a task, null where none waits, and absent where it was not asked for, could not be seen to at once,
    or where the answer had been kept before: an answer that comes again changes nothing.
    """
    if said.siguiente is None or not answer.new:
        return _told(answer)
    with suppress(PrepError, TimeoutError):
        async with asyncio.timeout(NEXT_SECONDS):
            task = await desk.lease(person, said.siguiente)
        return _told(replace(answer, content={**answer.content, "siguiente": task}))
    return _told(answer)


def _told(answer: DeskAnswer) -> Response:
    return JSONResponse(answer.content, 201 if answer.new else 200)


async def _person(request: Request) -> Person:
    return await _rooms(request).people.who(_token(request))


def _token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


# The machine.


async def metrics(_: Request) -> Response:
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def healthz(request: Request) -> Response:
    """200 while everything answers; 503 with what does not. Intake may well go on without the database."""
    rooms = _rooms(request)
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
    if away:
        return JSONResponse({"ok": False, "fuera": away}, 503)
    return JSONResponse({"ok": True})


Route = Callable[..., Awaitable[Response]]
ROUTES: Final[Sequence[tuple[str, str, Route]]] = (
    ("/v1/images", "POST", receive_image),
    ("/v1/receipts/key", "GET", receipts_key),
    ("/v1/receipts/{sha256}", "GET", receipt_of),
    ("/v1/session", "POST", login),
    ("/v1/session", "DELETE", logout),
    ("/v1/tasks/lease", "POST", lease),
    ("/v1/images/{sha256}", "GET", image),
    ("/v1/tasks/{tarea}/entry", "POST", capture),
    ("/v1/tasks/{tarea}/identity", "POST", identity),
    ("/v1/tasks/{tarea}/resolution", "POST", resolution),
    ("/v1/tasks/{tarea}/release", "POST", release),
    ("/v1/actas/{eleccion}/{clave}/sin-acta", "POST", sin_acta),
    ("/v1/actas/{eleccion}/{clave}/recaptura", "POST", recapture),
    ("/v1/actas/{eleccion}/{clave}/cotejo", "POST", cotejo),
    ("/v1/actas/{eleccion}/{clave}", "GET", acta_state),
    ("/metrics", "GET", metrics),
    ("/healthz", "GET", healthz),
)


# Reading a body.

Said = TypeVar("Said", bound=_JsonBody)


async def _body(request: Request, shape: type[Said], *, empty: bytes = b"") -> Said:
    """The JSON body as `shape`. Raises Rejected: 413; 400 where it is no JSON; 422 naming the first wrong field."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > JSON_LIMIT:
            raise Rejected(f"el cuerpo pasa del límite de {JSON_LIMIT} bytes", status=413)
    try:
        read = json.loads(content or empty, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Rejected("el cuerpo no es JSON válido en UTF-8", status=400) from None
    try:
        return shape.model_validate(read)
    except ValidationError as error:
        raise Rejected(_first_wrong(error.errors())) from None


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a name that stands in it twice would silently lose one of its values."""
    read = dict(pairs)
    if len(read) != len(pairs):
        names = [name for name, _ in pairs]
        raise Rejected(f"campo repetido: {next(name for name in names if names.count(name) > 1)[:40]}")
    return read


def _no_constant(name: str) -> None:
    raise ValueError(name)


_EXPECTED: Final = {
    "missing": "falta",
    "extra_forbidden": "no se espera aquí",
    "string_type": "se espera un texto",
    "string_too_long": "es demasiado largo",
    "string_too_short": "está vacío",
    "string_pattern_mismatch": "no tiene la forma esperada",
    "bool_type": "se espera true o false",
    "dict_type": "se espera un objeto",
    "list_type": "se espera una lista",
    "enum": "no es uno de los valores posibles",
    "literal_error": "no es uno de los valores posibles",
    "uuid_parsing": "no es el identificador de una tarea",
    "model_type": "se espera un objeto",
    "model_attributes_type": "se espera un objeto",
}


def _first_wrong(errors: Sequence[Any]) -> str:
    wrong = errors[0]
    name = ".".join(str(part) for part in wrong["loc"] if part != "path") or "cuerpo"
    return f"{name[:60]}: {_EXPECTED.get(wrong['type'], 'no es válido')}"


# Refusals.


def _status(error: PrepError) -> int:
    match error:
        case Rejected():
            return error.status
        case Full():
            return 507
        case TooMany():
            return 429
        case Unavailable():
            return 503
        case _:
            return 500


def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, PrepError)
    if isinstance(error, Parked):
        log.error("parked while answering", extra={"data": {"error": error.sentence}})
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Unavailable) else None
    return JSONResponse({"error": error.sentence}, _status(error), headers)


def _refuse_path(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"error": _first_wrong(error.errors())}, 422)


_NO_ROUTE: Final = {404: "aquí no hay nada", 405: "esta dirección no admite ese método"}


def _refuse_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = _NO_ROUTE.get(error.status_code, "la petición no es válida")
    return JSONResponse({"error": sentence}, error.status_code, error.headers)


def _hung_up(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it: the sender left in the middle of the body


def _defect(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "error interno; quedó registrado"}, 500)  # the server logs it with its trace


REFUSALS: Final = (
    (PrepError, _refuse),
    (RequestValidationError, _refuse_path),
    (HTTPException, _refuse_route),
    (ClientDisconnect, _hung_up),
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

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *SECURITY]
                route = getattr(scope.get("route"), "path", "otra")
                observe.REQUESTS.labels(route, message["status"]).inc()
                observe.REQUEST_SECONDS.labels(route).observe(time.perf_counter() - begun)
            await send(message)

        await self._app(scope, receive, sending)
