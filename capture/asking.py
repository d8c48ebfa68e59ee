"""What every route needs: the rooms that it calls, the person who asks, and the refusals that any person may get."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Path, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer

from capture.auth import People, token_of
from capture.decisions import Decisions
from capture.enrolment import Enrolment
from capture.entries import Desk, DeskAnswer
from capture.findings import Findings
from capture.imports import Imports
from capture.intake import Intake
from capture.quality import QualityRoom
from capture.staffing import Staffing
from capture.uploads import Uploads
from prep.errors import Code
from prep.store.database import Pool
from prep.store.people import Person
from prep.upload import SHA256_PATTERN


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the routes call."""

    intake: Intake
    uploads: Uploads
    enrolment: Enrolment
    people: People
    desk: Desk
    decisions: Decisions
    quality: QualityRoom
    staffing: Staffing
    findings: Findings
    imports: Imports
    pool: Pool


def rooms_of(request: Request) -> Rooms:
    """The rooms of the application that answers."""
    rooms: Rooms = request.app.state.rooms
    return rooms


SESSION: Final = HTTPBearer(scheme_name="sesion", description="The token of POST /v1/session.", auto_error=False)
"""For the description alone: `token_of` reads the headers, and `People.who` decides."""


async def _person(request: Request, _: Annotated[object, Depends(SESSION)]) -> Person:
    """The person whose session this is. Raises Rejected (401, 403)."""
    return await rooms_of(request).people.who(token_of(request.headers))


Speaker = Annotated[Person, Depends(_person)]
Sha = Annotated[str, Path(pattern=SHA256_PATTERN)]


def address_of(request: Request) -> str:
    """The network address that the request came from; empty if the server does not know it."""
    return request.client.host if request.client else ""


def desk_answer(answer: DeskAnswer) -> Response:
    """201 if this request did it, 200 if the same came before."""
    return JSONResponse(answer.content, 201 if answer.new else 200)


OF_A_SESSION: Final = (Code.NO_SESSION, Code.CROSS_SITE, Code.UNAVAILABLE)
"""Refusals of every operation of a person."""
SEES: Final = (*OF_A_SESSION, Code.ROLE_MAY_NOT)
"""Refusals of every operation that a person of a certain role may do."""
OF_AN_ACTA: Final = (*SEES, Code.NO_ACTA)
