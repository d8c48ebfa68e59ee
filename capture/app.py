"""The HTTP of capture: routes that read a request, call a room, and say its answer. The rooms decide.

Everything is JSON except images. A refusal is one sentence in Spanish and its code: {"error": …, "codigo": …}. A GET
changes no state. `OPERATIONS` lists every path with its answers and refusals; the OpenAPI description is made from it.
"""

import asyncio
import logging
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from random import SystemRandom
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from capture import imports, screens, supervision
from capture.asking import OF_A_SESSION, SEES, SESSION, Rooms, Sha, Speaker, desk_answer, rooms_of
from capture.auth import Devices, People, Tries, check_same_origin, token_of
from capture.decisions import Decisions
from capture.description import Operation, describe
from capture.enrolment import Enrolment
from capture.entries import Desk, DeskAnswer
from capture.findings import Findings
from capture.imports import Imports
from capture.inspection import Inspection
from capture.intake import Intake
from capture.quality import QualityRoom
from capture.receipts import Receipts, signing_key
from capture.screens import cookie
from capture.shapes import (
    LARGEST_TERRITORY,
    ActasAnswer,
    CaptureAnswer,
    CaptureBody,
    Credentials,
    EnrolmentAnswer,
    EnrolmentBody,
    FileToImport,
    HealthAnswer,
    IdentityBody,
    ImportedAnswer,
    ImportedBody,
    InvitationAnswer,
    InvitationBody,
    MunicipiosAnswer,
    NextAnswer,
    ReceiptAnswer,
    ScreenSessionAnswer,
    SeccionesAnswer,
    SessionAnswer,
    SiteBoard,
    TaskAnswer,
    ToImportAnswer,
    ToImportBody,
    ValuesBody,
    Wanted,
    WithNext,
    body_of,
    first_wrong,
    whole_body,
)
from capture.staffing import Staffing
from capture.uploads import (
    ALGORITHMS,
    DEVICE_PATTERN,
    EXTENSIONS,
    UPLOAD_PATTERN,
    VERSION,
    LineBroke,
    Name,
    UploadProgress,
    Uploads,
)
from prep import observe
from prep.blobs import Blobs
from prep.bus.contract import Bus
from prep.errors import Code, Parked, PrepError, Rejected, Unavailable
from prep.printable import printable
from prep.scan import books
from prep.scan.bounded import Lane
from prep.scan.header import MEDIA
from prep.settings import Settings
from prep.store import people as people_store
from prep.store.database import Pool, borrow
from prep.store.desk import CaptureNote
from prep.store.invitations import Invited
from prep.store.people import Person
from prep.store.tonight import Tonight
from prep.upload import Origen

log: Final = logging.getLogger(__name__)

RANDOM: Final = SystemRandom().random
READY_SECONDS: Final = 5.0
"""How long the store of images and the bus may take before the process says that it is not ready."""
FILE_SECONDS: Final = 120.0
"""How long a file of captures may take to come."""
NEXT_SECONDS: Final = 2.0
"""How long an answer that is kept waits for the next task that it is to bring."""


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


Lease = Annotated[UUID, Path(alias="tarea")]
"""The number of a lease, by which its holder names the task."""


# Devices.


async def receive_image(request: Request) -> Response:
    """Take one image in, and answer with its receipt: 201 if it was made now, 200 if the image had one."""
    try:
        receipt, made = await rooms_of(request).intake.receive(request.headers, request.stream())
    except PrepError as error:
        observe.IMAGES_REFUSED.labels(error.status).inc()
        raise
    return Response(receipt, 201 if made else 200, media_type="application/json")


UPLOADS: Final = "/v1/uploads"


async def tus_options(request: Request) -> Response:
    """How tus is spoken here, the protocol of uploads by pieces: its version, extensions and limits."""
    headers = {
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
        "Tus-Max-Size": str(rooms_of(request).intake.max_bytes),
    }
    return Response(status_code=204, headers={"Tus-Resumable": VERSION, **headers})


async def create_upload(request: Request) -> Response:
    """Open an upload by pieces, announced by the headers of an image; `Location` says its path."""
    name, expires = await rooms_of(request).uploads.create(request.headers)
    said = {"Tus-Resumable": VERSION, "Location": name.path, "Upload-Expires": format_datetime(expires, usegmt=True)}
    return Response(status_code=201, headers=said)


OfDevice = Annotated[str, Path(alias="dispositivo", pattern=DEVICE_PATTERN)]
OfUpload = Annotated[str, Path(alias="envio", pattern=UPLOAD_PATTERN)]


async def upload_progress(request: Request, device: OfDevice, upload: OfUpload) -> Response:
    """How far an upload has come: `Upload-Offset`, and `X-PREP-Receipt` (base64) once it is whole."""
    return _told_by_tus(await rooms_of(request).uploads.progress(Name(device, upload)), 200)


async def add_piece(request: Request, device: OfDevice, upload: OfUpload) -> Response:
    """Take the next piece. The answer to the last one brings the receipt in `X-PREP-Receipt`, in base64."""
    uploads = rooms_of(request).uploads
    try:
        progress = await uploads.add_piece(Name(device, upload), request.headers, _body(request))
    except PrepError as error:
        observe.IMAGES_REFUSED.labels(error.status).inc()
        raise
    return _told_by_tus(progress, 204)


async def receipt_of_upload(request: Request, device: OfDevice, upload: OfUpload) -> Response:
    """The receipt of the image of an upload, once it is whole."""
    receipt = (await rooms_of(request).uploads.progress(Name(device, upload))).receipt
    if receipt is None:
        raise Rejected("el envío todavía no termina", code=Code.NO_RECEIPT)
    return Response(receipt, media_type="application/json")


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise LineBroke from None


def _told_by_tus(progress: UploadProgress, status: int) -> Response:
    said = {"Tus-Resumable": VERSION, "Upload-Offset": str(progress.offset), "Upload-Length": str(progress.length)}
    if progress.expires is not None:
        said["Upload-Expires"] = format_datetime(progress.expires, usegmt=True)
    if progress.receipt is not None:
        said["X-PREP-Receipt"] = b64encode(progress.receipt).decode()
    return Response(status_code=status, headers=said)


async def receipt_of(request: Request, sha256: Sha) -> Response:
    """The receipt of an image, byte for byte as its sender got it."""
    receipt = await rooms_of(request).intake.receipts.find(sha256)
    if receipt is None:
        raise Rejected("no hay acuse de esa imagen", code=Code.NO_RECEIPT)
    return Response(receipt, media_type="application/json")


async def invite(
    request: Request, person: Speaker, said: Annotated[InvitationBody, body_of(InvitationBody)]
) -> Response:
    """A code with which one device enrols itself, once and soon: 201."""
    invited = Invited(said.dispositivo, said.sitio, said.secciones, said.municipios)
    token, origin = token_of(request.headers) or "", str(request.base_url)
    return JSONResponse(await rooms_of(request).enrolment.invite(person, token, invited, origin=origin), 201)


async def enrol(request: Request, said: Annotated[EnrolmentBody, body_of(EnrolmentBody)]) -> Response:
    """Enrol the device of a code under its own key: 201. The same again, while the code holds, is answered again."""
    address = _address(request)
    return JSONResponse(await rooms_of(request).enrolment.enrol(said.codigo, said.llave, address=address), 201)


async def site_board(request: Request, person: Speaker) -> Response:
    """How the actas stand that the devices of this person's site are to bring, and its images without an acta."""
    return JSONResponse(await rooms_of(request).enrolment.board(person))


async def receipts_key(request: Request) -> Response:
    """The public key with which anyone checks a receipt, in PEM."""
    return Response(rooms_of(request).intake.receipts.public_pem(), media_type="application/x-pem-file")


# People.


async def login(request: Request, said: Annotated[Credentials, body_of(Credentials)]) -> Response:
    """Open a session."""
    session = await rooms_of(request).people.login(said.usuario, said.clave, _address(request))
    told = {
        "token": session.token,
        "rol": session.person.role,
        "sitio": session.person.site_code,
        "vence": session.expires.isoformat(),
    }
    return JSONResponse(told, 201)


async def logout(request: Request, _: Annotated[object, Depends(SESSION)]) -> Response:
    """End the session; the task that its person held waits for anybody again."""
    await rooms_of(request).people.logout(token_of(request.headers))
    return Response(status_code=204, headers={"Set-Cookie": cookie("", 0)})


async def screen_login(request: Request, said: Annotated[Credentials, body_of(Credentials)]) -> Response:
    """Open a session whose token goes into a cookie of the browser: for the screens of this server alone."""
    check_same_origin(request.headers)
    rooms = rooms_of(request)
    session = await rooms.people.login(said.usuario, said.clave, _address(request))
    return JSONResponse(
        _on_screen(session.person), 201, headers={"Set-Cookie": cookie(session.token, rooms.people.lasts_seconds)}
    )


async def screen_session(person: Speaker) -> Response:
    """The person whose session this is: what a screen asks when it is opened."""
    return JSONResponse(_on_screen(person))


def _on_screen(person: Person) -> dict[str, str]:
    return {"usuario": person.login, "rol": person.role, "sitio": person.site_code}


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


async def lease(request: Request, person: Speaker, wanted: Annotated[Wanted, body_of(Wanted, empty=b"{}")]) -> Response:
    """The task that this person holds, or the next one that waits for this person; 204 if none waits."""
    task = await rooms_of(request).desk.lease(person, wanted.tipos)
    return Response(status_code=204) if task is None else JSONResponse(task)


async def image(
    request: Request,
    person: Speaker,
    sha256: Sha,
    original: Annotated[str, Query(description="1: the bytes as they came; otherwise the web copy.")] = "",
) -> Response:
    """The image of a task that this person holds; supervisors, cotejadores and auditors see every image."""
    as_sent = original == "1"
    content, media_type, extension = await rooms_of(request).desk.image(person, sha256, original=as_sent)
    # A stranger sent the original: the browser saves it as a file and does not open it.
    shown = f'attachment; filename="{sha256}.{extension}"' if as_sent else "inline"
    return Response(content, media_type=media_type, headers={"Content-Disposition": shown})


async def capture(
    request: Request, person: Speaker, lease: Lease, said: Annotated[CaptureBody, body_of(CaptureBody)]
) -> Response:
    """Keep a capture: 201 if it was kept now, 200 if the same one was kept under this lease before."""
    desk = rooms_of(request).desk
    note = CaptureNote(tuple(said.letras), said.milisegundos, said.teclas)
    return await _and_next(desk, person, said, await desk.submit(person, lease, said.valores, note))


async def identity(
    request: Request, person: Speaker, lease: Lease, said: Annotated[IdentityBody, body_of(IdentityBody)]
) -> Response:
    """Keep the acta that a person says an image is: 201, or 200 if the same came before."""
    desk = rooms_of(request).desk
    answer = await desk.identify(person, lease, identity=said.identidad, proceso_tecnico=said.proceso_tecnico)
    return await _and_next(desk, person, said, answer)


async def resolution(
    request: Request, person: Speaker, lease: Lease, said: Annotated[ValuesBody, body_of(ValuesBody)]
) -> Response:
    """Keep which of three different captures is right: 201, or 200 if the same came before."""
    desk = rooms_of(request).desk
    return await _and_next(desk, person, said, await desk.resolve(person, lease, said.valores))


async def read_import(request: Request, person: Speaker) -> Response:
    """The actas of a file of captures (.xlsx, .ods, .xls, or text in columns), and the problems of each row."""
    content = await whole_body(request, most=imports.LARGEST, seconds=FILE_SECONDS)
    return JSONResponse(await rooms_of(request).imports.read(person, content))


async def check_import(
    request: Request, person: Speaker, said: Annotated[ToImportBody, body_of(ToImportBody)]
) -> Response:
    """Whether these values of an acta without an image could be imported: 200 with its names and its constancia."""
    answer = rooms_of(request).imports.check(
        person, said.eleccion, said.clave, said.valores, source=said.archivo, row=said.renglon
    )
    return JSONResponse(await answer)


async def import_capture(
    request: Request, person: Speaker, said: Annotated[ImportedBody, body_of(ImportedBody)]
) -> Response:
    """Keep the values as the first capture of a constancia: 201, or 200 if the same came before."""
    image = bytes.fromhex(said.imagen)
    answer = await rooms_of(request).imports.capture(person, said.eleccion, said.clave, said.valores, image=image)
    return JSONResponse(answer.content, 201 if answer.new else 200)


async def release(request: Request, person: Speaker, lease: Lease) -> Response:
    """Give the task back undone. A lease that this person does not hold changes nothing."""
    await rooms_of(request).desk.release(person, lease)
    return Response(status_code=204)


async def municipios(request: Request, _: Speaker) -> Response:
    """The municipios of the catalogue, for a person who says which acta an image is."""
    return JSONResponse(await rooms_of(request).desk.municipios())


Territory = Annotated[int, Query(ge=0, le=LARGEST_TERRITORY)]


async def secciones(request: Request, _: Speaker, entidad: Territory, municipio: Territory) -> Response:
    """The secciones of a municipio."""
    return JSONResponse(await rooms_of(request).desk.secciones(entidad, municipio))


async def actas(request: Request, _: Speaker, entidad: Territory, municipio: Territory, seccion: Territory) -> Response:
    """The actas of a sección, each with the text of its QR."""
    return JSONResponse(await rooms_of(request).desk.actas(entidad, municipio, seccion))


async def _and_next(desk: Desk, person: Person, said: WithNext, answer: DeskAnswer) -> Response:
    """The answer tells in any case that the capture is kept; a person who gets no next task asks for one.

    "siguiente" is a task, or null if none waits. It is absent if the request did not ask for it, if it could not be
    had at once, or if the same answer came before: an answer that comes again changes nothing.
    """
    if said.siguiente is None or not answer.new:
        return desk_answer(answer)
    with suppress(PrepError, TimeoutError):
        async with asyncio.timeout(NEXT_SECONDS):
            task = await desk.lease(person, said.siguiente)
        return desk_answer(replace(answer, content={**answer.content, "siguiente": task}))
    return desk_answer(answer)


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


ANSWERS_A_TASK: Final = (
    *OF_A_SESSION,
    Code.TASK_NOT_YOURS,
    Code.TASK_OF_OTHER_KIND,
    Code.TASK_ANSWERED,
    Code.TASK_EXPIRED,
    Code.NIGHT_CLOSED,
    Code.PERSON_PAUSED,
)
OF_VALUES: Final = (Code.VALUES_MISSING, Code.VALUES_UNKNOWN, Code.VALUE_WRONG)
OF_AN_UPLOAD: Final = (
    Code.HEADER_MISSING,
    Code.HEADER_WRONG,
    Code.BAD_REQUEST,
    Code.DEVICE_UNKNOWN,
    Code.SIGNATURE_WRONG,
    Code.NOT_OPEN_YET,
    Code.UPLOAD_STOPPED,
    Code.NUMBER_USED,
    Code.NUMBER_JUMPS,
    Code.LENGTH_MISSING,
    Code.IMAGE_TOO_LARGE,
    Code.FORMAT_NOT_TAKEN,
    Code.IMAGE_EMPTY,
    Code.SHA256_DIFFERS,
    Code.REJECTED,
    Code.UNAVAILABLE,
    Code.NO_SPACE,
)
OF_PROGRESS: Final = (Code.UPLOAD_UNKNOWN, Code.UNAVAILABLE)
OF_A_CREATION: Final = (
    Code.HEADER_MISSING,
    Code.HEADER_WRONG,
    Code.DEVICE_UNKNOWN,
    Code.SIGNATURE_WRONG,
    Code.NOT_OPEN_YET,
    Code.NUMBER_USED,
    Code.NUMBER_JUMPS,
    Code.LENGTH_MISSING,
    Code.TUS_VERSION,
    Code.IMAGE_TOO_LARGE,
    Code.IMAGE_EMPTY,
    Code.UNAVAILABLE,
    Code.NO_SPACE,
)
OF_A_PIECE: Final = (
    *OF_AN_UPLOAD,
    Code.UPLOAD_UNKNOWN,
    Code.OFFSET_WRONG,
    Code.TUS_VERSION,
    Code.PIECE_TYPE,
    Code.PIECE_SMALL,
    Code.CHECKSUM_DIFFERS,
)
TEXT: Final = ("text/plain",)

OPERATIONS: Final[Sequence[Operation]] = (
    Operation(
        "/v1/images", "POST", receive_image, {201: ReceiptAnswer, 200: ReceiptAnswer}, OF_AN_UPLOAD, upload=True
    ),
    Operation(UPLOADS, "OPTIONS", tus_options, {204: None}),
    Operation(UPLOADS, "POST", create_upload, {201: None}, OF_A_CREATION, announces=True),
    Operation(f"{UPLOADS}/{{dispositivo}}/{{envio}}", "HEAD", upload_progress, {200: None}, OF_PROGRESS),
    Operation(f"{UPLOADS}/{{dispositivo}}/{{envio}}", "PATCH", add_piece, {204: None}, OF_A_PIECE, tus_piece=True),
    Operation(
        f"{UPLOADS}/{{dispositivo}}/{{envio}}", "GET", receipt_of_upload, {200: ReceiptAnswer},
        (*OF_PROGRESS, Code.NO_RECEIPT),
    ),
    Operation(
        "/v1/devices/invitations", "POST", invite, {201: InvitationAnswer},
        (*SEES, Code.NOT_FOUND, Code.CONFLICT, Code.REJECTED),
    ),
    Operation(
        "/v1/devices", "POST", enrol, {201: EnrolmentAnswer},
        (Code.CODE_WRONG, Code.TOO_MANY_TRIES, Code.REJECTED, Code.UNAVAILABLE),
    ),
    Operation("/v1/sites/own", "GET", site_board, {200: SiteBoard}, SEES),
    Operation("/v1/receipts/key", "GET", receipts_key, {200: ("application/x-pem-file",)}),
    Operation(
        "/v1/receipts/{sha256}", "GET", receipt_of, {200: ReceiptAnswer}, (Code.NO_RECEIPT, Code.UNAVAILABLE)
    ),
    Operation(
        "/v1/session", "POST", login, {201: SessionAnswer},
        (Code.CREDENTIALS_WRONG, Code.TOO_MANY_TRIES, Code.TOO_MANY_PEOPLE, Code.UNAVAILABLE),
    ),
    Operation("/v1/session", "DELETE", logout, {204: None}, (Code.CROSS_SITE, Code.UNAVAILABLE)),
    Operation(
        "/v1/session/cookie", "POST", screen_login, {201: ScreenSessionAnswer},
        (Code.CROSS_SITE, Code.CREDENTIALS_WRONG, Code.TOO_MANY_TRIES, Code.TOO_MANY_PEOPLE, Code.UNAVAILABLE),
    ),
    Operation("/v1/session/cookie", "GET", screen_session, {200: ScreenSessionAnswer}, OF_A_SESSION),
    Operation(
        "/v1/tasks/lease", "POST", lease, {200: TaskAnswer, 204: None},
        (*SEES, Code.NIGHT_CLOSED, Code.PERSON_PAUSED),
    ),
    Operation(
        "/v1/images/{sha256}", "GET", image, {200: tuple(media_type for media_type, _ in MEDIA.values())},
        (
            *OF_A_SESSION, Code.IMAGE_NOT_YOURS, Code.NO_IMAGE, Code.IMAGE_NOT_READ, Code.PARKED,
        ),
    ),
    Operation(
        "/v1/tasks/{tarea}/entry", "POST", capture, {201: CaptureAnswer, 200: CaptureAnswer},
        (*ANSWERS_A_TASK, *OF_VALUES, Code.CAPTURED_BEFORE, Code.SAME_SITE),
    ),
    Operation(
        "/v1/tasks/{tarea}/identity", "POST", identity, {201: NextAnswer, 200: NextAnswer},
        (*ANSWERS_A_TASK, Code.IDENTITY_WRONG, Code.IDENTIFIED_BEFORE),
    ),
    Operation(
        "/v1/tasks/{tarea}/resolution", "POST", resolution, {201: NextAnswer, 200: NextAnswer},
        (*ANSWERS_A_TASK, *OF_VALUES, Code.NO_SUCH_CHOICE, Code.RESOLVED_BEFORE, Code.OWN_CHOICE),
    ),
    Operation("/v1/tasks/{tarea}/release", "POST", release, {204: None}, OF_A_SESSION),
    Operation("/v1/catalog/municipios", "GET", municipios, {200: MunicipiosAnswer}, OF_A_SESSION),
    Operation("/v1/catalog/secciones", "GET", secciones, {200: SeccionesAnswer}, (*OF_A_SESSION, Code.FIELD_WRONG)),
    Operation("/v1/catalog/actas", "GET", actas, {200: ActasAnswer}, (*OF_A_SESSION, Code.FIELD_WRONG)),
    *supervision.OPERATIONS,
    Operation(
        "/v1/imports/file", "POST", read_import, {200: FileToImport},
        (*SEES, Code.NIGHT_CLOSED, Code.BODY_TOO_LARGE, Code.UPLOAD_STOPPED, Code.REJECTED), file=True,
    ),
    Operation(
        "/v1/imports/check", "POST", check_import, {200: ToImportAnswer},
        (*supervision.MOVES_AN_ACTA, *OF_VALUES, Code.REJECTED),
    ),
    Operation(
        "/v1/imports", "POST", import_capture, {201: ImportedAnswer, 200: ImportedAnswer},
        (*supervision.MOVES_AN_ACTA, *OF_VALUES, Code.TASK_ANSWERED, Code.TASK_EXPIRED, Code.IMAGE_OF_OTHER_ACTA),
    ),
    Operation("/metrics", "GET", metrics, {200: TEXT}),
    Operation("/healthz", "GET", healthz, {200: HealthAnswer, 503: HealthAnswer}),
    Operation("/livez", "GET", livez, {200: TEXT}),
    Operation("/readyz", "GET", readyz, {200: TEXT, 503: TEXT}),
)  # fmt: skip


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
    if request.url.path.startswith(UPLOADS):
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
