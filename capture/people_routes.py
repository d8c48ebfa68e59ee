"""The routes of people: their session, their tasks, the catalogue from which they choose an acta, and imports."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from capture import imports, supervision
from capture.answers import (
    ActasAnswer,
    CaptureAnswer,
    FileToImport,
    ImportedAnswer,
    MunicipiosAnswer,
    NextAnswer,
    ScreenSessionAnswer,
    SeccionesAnswer,
    SessionAnswer,
    TaskAnswer,
    ToImportAnswer,
)
from capture.asking import OF_A_SESSION, SEES, SESSION, Sha, Speaker, address_of, desk_answer, rooms_of
from capture.auth import check_same_origin, token_of
from capture.bodies import (
    LARGEST_TERRITORY,
    CaptureBody,
    Credentials,
    IdentityBody,
    ImportedBody,
    ToImportBody,
    ValuesBody,
    Wanted,
    WithNext,
    body_of,
    whole_body,
)
from capture.description import Operation
from capture.entries import Desk, DeskAnswer
from capture.screens import cookie
from prep.errors import Code, PrepError
from prep.scan.header import MEDIA
from prep.store.desk import CaptureNote
from prep.store.people import Person

FILE_SECONDS: Final = 120.0
"""How long a file of captures may take to come."""
NEXT_SECONDS: Final = 2.0
"""How long an answer that is kept waits for the next task that it is to bring."""

Lease = Annotated[UUID, Path(alias="tarea")]
"""The number of a lease, by which its holder names the task."""


async def login(request: Request, said: Annotated[Credentials, body_of(Credentials)]) -> Response:
    """Open a session."""
    session = await rooms_of(request).people.login(said.usuario, said.clave, address_of(request))
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
    session = await rooms.people.login(said.usuario, said.clave, address_of(request))
    return JSONResponse(
        _on_screen(session.person), 201, headers={"Set-Cookie": cookie(session.token, rooms.people.lasts_seconds)}
    )


async def screen_session(person: Speaker) -> Response:
    """The person whose session this is: what a screen asks when it is opened."""
    return JSONResponse(_on_screen(person))


def _on_screen(person: Person) -> dict[str, str]:
    return {"usuario": person.login, "rol": person.role, "sitio": person.site_code}


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

OPERATIONS: Final[Sequence[Operation]] = (
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
)  # fmt: skip
