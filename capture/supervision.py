"""The routes of those in charge: decisions of two people, the board, lists, findings, people and devices, and one acta.

The rooms decide; `docs/roles.md` shows who may.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Final

from fastapi import Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from capture.asking import OF_AN_ACTA, SEES, Sha, Speaker, desk_answer, rooms_of
from capture.auth import token_of
from capture.bodies import (
    LARGEST,
    AnswerBody,
    ChangeReasonBody,
    CotejoBody,
    DecisionBody,
    ReasonBody,
    RecaptureBody,
    ReviewBody,
    ToSiteBody,
    body_of,
)
from capture.description import Operation
from capture.supervision_answers import (
    ActaAnswer,
    AskedAnswer,
    BoardAnswer,
    ChangesList,
    CorrectionsList,
    CotejoList,
    DecisionAnswer,
    DecisionsList,
    DevicesList,
    DoneAnswer,
    DuplicatesList,
    ExcedeList,
    FueraList,
    LostAnswer,
    MismatchesList,
    MissingList,
    ParkedList,
    PeopleList,
    QualityAnswer,
    SentAnswer,
    SitesList,
    UnidentifiedList,
    WaitingList,
)
from prep.domain.decision import DecisionMove
from prep.errors import Code, Rejected
from prep.store.lists import PART, Listing
from prep.store.people import Person, PersonChange

DeviceId = Annotated[str, Path(alias="dispositivo", pattern="^[A-Za-z0-9_-]{1,40}$")]
Number = Annotated[int, Path(alias="decision", ge=1, le=LARGEST)]
ParkedNumber = Annotated[int, Path(alias="mensaje", ge=1, le=LARGEST)]
LISTED: Final[Mapping[Listing, tuple[type[BaseModel], str]]] = {
    Listing.PEOPLE: (PeopleList, "The people, with their role and site."),
    Listing.CHANGES: (ChangesList, "Who was paused, let on or moved to another site, by whom and why."),
    Listing.DEVICES: (DevicesList, "The devices, and when each was last heard of."),
    Listing.SITES: (SitesList, "The closed list of sites."),
    Listing.MISSING: (MissingList, "The actas of which no image came, and that are not sin acta."),
    Listing.UNIDENTIFIED: (UnidentifiedList, "The images without acta."),
    Listing.FUERA: (FueraList, "The images that are fuera de catálogo."),
    Listing.DUPLICATES: (DuplicatesList, "Nearly the same photo under two actas."),
    Listing.MISMATCHES: (MismatchesList, "Images of which sticker and device, or two stickers, name different actas."),
    Listing.EXCEDE: (ExcedeList, "Actas whose votes exceed what fits, with the numbers of the rule."),
    Listing.PARKED: (ParkedList, "The messages that were set aside."),
    Listing.COTEJO: (CotejoList, "The published actas that wait to be compared with the paper."),
    Listing.CORRECTIONS: (CorrectionsList, "What changed, or will change, published actas."),
    Listing.WAITING: (WaitingList, "Everything that waits for a person, the oldest first."),
    Listing.DECISIONS: (DecisionsList, "The decisions of two people, in every state."),
}
"""The lists, each with its answer and its sentence in the description."""


async def propose(request: Request, person: Speaker, said: Annotated[DecisionBody, body_of(DecisionBody)]) -> Response:
    """Propose what another person must confirm: 201, or 200 if this person proposed the same before."""
    subject = said.model_dump(exclude_none=True, exclude={"tipo", "motivo", "texto"})
    answer = rooms_of(request).decisions.propose(person, said.tipo, subject, reason=said.motivo, words=said.texto)
    return desk_answer(await answer)


async def confirm(
    request: Request, person: Speaker, number: Number, said: Annotated[AnswerBody, body_of(AnswerBody, empty=b"{}")]
) -> Response:
    """Confirm what another person proposed, or proposed to undo: 201, or 200 if that was done before."""
    answer = rooms_of(request).decisions.answer(person, number, DecisionMove.CONFIRMA, words=said.texto)
    return desk_answer(await answer)


async def reject(
    request: Request, person: Speaker, number: Number, said: Annotated[AnswerBody, body_of(AnswerBody, empty=b"{}")]
) -> Response:
    """Refuse a proposal that waits, or take one's own proposal back: 201, or 200 if that was done before."""
    answer = rooms_of(request).decisions.answer(person, number, DecisionMove.RECHAZA, words=said.texto)
    return desk_answer(await answer)


async def undo(
    request: Request, person: Speaker, number: Number, said: Annotated[ReasonBody, body_of(ReasonBody)]
) -> Response:
    """Propose to undo a confirmed decision; another person confirms: 201, or 200 if this person proposed it before."""
    answer = rooms_of(request).decisions.propose_undo(person, number, reason=said.motivo, words=said.texto)
    return desk_answer(await answer)


async def send_again(request: Request, person: Speaker, parked: ParkedNumber) -> Response:
    """Send a message again that was set aside, with all its attempts."""
    await rooms_of(request).decisions.send_again(person, parked)
    return JSONResponse({}, 201)


async def board(request: Request, person: Speaker) -> Response:
    """The night at a glance: the work that waits and since when, all open work, and the speed of each person."""
    return JSONResponse(await rooms_of(request).decisions.board(person))


async def lose_device(request: Request, person: Speaker, device: DeviceId) -> Response:
    """Declare a device lost: from now on it sends no more. What it sent stays."""
    token = token_of(request.headers) or ""
    lost = await rooms_of(request).decisions.lose_device(person, device, token)
    return JSONResponse({"dispositivo": device, "revocado": lost.isoformat()})


async def sent_by_device(request: Request, person: Speaker, device: DeviceId) -> Response:
    """What a device sent, by its numbers."""
    return JSONResponse(await rooms_of(request).decisions.sent_by(person, device))


After = Annotated[int, Query(alias="despues", ge=0, le=LARGEST, description="`siguiente` of the part before.")]


def listing(what: Listing) -> Callable[..., Awaitable[Response]]:
    """The route of one list."""

    async def route(request: Request, person: Speaker, after: After = 0) -> Response:
        return JSONResponse(await rooms_of(request).decisions.rows(person, what, after))

    route.__name__ = f"list_{what}"
    route.__doc__ = f"{LISTED[what][1]} A part of at most {PART} rows."
    return route


Login = Annotated[str, Path(alias="usuario", pattern="^[a-z0-9._-]{1,40}$")]


def changing(change: str, sentence: str) -> Callable[..., Awaitable[Response]]:
    """The route by which a person is paused, or goes on."""

    async def route(
        request: Request, person: Speaker, login: Login, said: Annotated[ChangeReasonBody, body_of(ChangeReasonBody)]
    ) -> Response:
        return await _change(request, person, PersonChange(login, change, said.motivo))

    route.__name__ = f"{change}_person"
    route.__doc__ = f"{sentence} 201, or 200 if it was so before."
    return route


async def move_person(
    request: Request, person: Speaker, login: Login, said: Annotated[ToSiteBody, body_of(ToSiteBody)]
) -> Response:
    """From now on the person works at another site, and logs in there again: 201, or 200 if it was so before."""
    return await _change(request, person, PersonChange(login, "sitio", said.motivo, said.sitio))


async def _change(request: Request, person: Person, said: PersonChange) -> Response:
    token = token_of(request.headers) or ""
    return JSONResponse({}, 201 if await rooms_of(request).staffing.change(person, token, said) else 200)


async def ask_image(
    request: Request, person: Speaker, sha256: Sha, said: Annotated[ChangeReasonBody, body_of(ChangeReasonBody)]
) -> Response:
    """Ask the site that sent this image for another one of the same paper; its board shows it."""
    asked = await rooms_of(request).findings.ask_image(person, sha256, said.motivo)
    return JSONResponse({"pedida": asked.isoformat()}, 201)


async def review(request: Request, person: Speaker, said: Annotated[ReviewBody, body_of(ReviewBody)]) -> Response:
    """Keep that a supervisor looked at a finding and that all is right: 201, or 200 if somebody said so before."""
    if (said.evento is None) == (said.version is None):
        raise Rejected("evento: se espera uno de evento y version", code=Code.FIELD_WRONG)
    new = await rooms_of(request).findings.review(person, event=said.evento, version=said.version, words=said.texto)
    return JSONResponse({}, 201 if new else 200)


async def quality(request: Request, person: Speaker) -> Response:
    """How people type: agreement with what counted, speed and fatigue, by site and name; and the rates of the night."""
    return JSONResponse(await rooms_of(request).quality.tell(person))


async def recapture(
    request: Request, person: Speaker, eleccion: str, clave: str, said: Annotated[RecaptureBody, body_of(RecaptureBody)]
) -> Response:
    """Have an acta typed again in a new round."""
    image = bytes.fromhex(said.imagen) if said.imagen else None
    await rooms_of(request).desk.recapture(person, eleccion, clave, said.motivo, image)
    return JSONResponse({}, 201)


async def cotejo(
    request: Request, person: Speaker, eleccion: str, clave: str, said: Annotated[CotejoBody, body_of(CotejoBody)]
) -> Response:
    """Keep the result of comparing the published acta with the paper."""
    await rooms_of(request).desk.cotejar(person, eleccion, clave, said.resultado)
    return JSONResponse({}, 201)


async def acta_state(request: Request, person: Speaker, eleccion: str, clave: str) -> Response:
    """The state of an acta, its images, and its captures once no person must type it blind any more."""
    return JSONResponse(await rooms_of(request).desk.state(person, eleccion, clave))


OF_A_DECISION: Final = (*SEES, Code.DECISION_MOVE, Code.DECISION_OPEN, Code.NIGHT_CLOSED)
OF_A_SUBJECT: Final = (Code.ILLEGAL_MOVE, Code.IMAGE_MOVE, Code.REASON_NOT_USED)
MOVES_AN_ACTA: Final = (*OF_AN_ACTA, Code.ILLEGAL_MOVE, Code.NIGHT_CLOSED)

OPERATIONS: Final[Sequence[Operation]] = (
    Operation(
        "/v1/decisions", "POST", propose, {201: DecisionAnswer, 200: DecisionAnswer},
        (
            *OF_A_DECISION, *OF_A_SUBJECT, Code.NO_ACTA, Code.NO_IMAGE, Code.NO_PARKED, Code.NO_DEVICE,
            Code.NUMBER_ARRIVED, Code.IDENTITY_WRONG,
        ),
    ),
    Operation(
        "/v1/decisions/{decision}/confirm", "POST", confirm, {201: DecisionAnswer, 200: DecisionAnswer},
        (*OF_A_DECISION, *OF_A_SUBJECT, Code.NO_DECISION, Code.NO_PARKED, Code.SAME_PERSON),
    ),
    Operation(
        "/v1/decisions/{decision}/reject", "POST", reject, {201: DecisionAnswer, 200: DecisionAnswer},
        (*OF_A_DECISION, Code.NO_DECISION),
    ),
    Operation(
        "/v1/decisions/{decision}/undo", "POST", undo, {201: DecisionAnswer, 200: DecisionAnswer},
        (*OF_A_DECISION, *OF_A_SUBJECT, Code.NO_DECISION),
    ),
    Operation("/v1/devices/{dispositivo}/lost", "POST", lose_device, {200: LostAnswer}, (*SEES, Code.NO_DEVICE)),
    Operation("/v1/devices/{dispositivo}/images", "GET", sent_by_device, {200: SentAnswer}, (*SEES, Code.NO_DEVICE)),
    Operation(
        "/v1/parked/{mensaje}/retry", "POST", send_again, {201: DoneAnswer},
        (*SEES, Code.NO_PARKED, Code.DECISION_OPEN, Code.PERSON_PAUSED),
    ),
    Operation("/v1/board", "GET", board, {200: BoardAnswer}, SEES),
    *(
        Operation(f"/v1/lists/{what}", "GET", listing(what), {200: answer}, (*SEES, Code.FIELD_WRONG))
        for what, (answer, _) in LISTED.items()
    ),
    *(
        Operation(
            f"/v1/people/{{usuario}}/{path}", "POST", route, {201: DoneAnswer, 200: DoneAnswer},
            (*SEES, Code.NO_PERSON, Code.OWN_CHANGE, *more),
        )
        for path, route, more in (
            ("pause", changing("pausa", "The person gets no task from now on; hers waits for all again."), ()),
            ("resume", changing("reanuda", "The person gets tasks again."), ()),
            ("site", move_person, (Code.NO_SITE,)),
        )
    ),
    Operation(
        "/v1/images/{sha256}/request", "POST", ask_image, {201: AskedAnswer}, (*SEES, Code.NO_IMAGE, Code.PERSON_PAUSED)
    ),
    Operation(
        "/v1/reviews", "POST", review, {201: DoneAnswer, 200: DoneAnswer}, (*SEES, Code.NO_FINDING, Code.PERSON_PAUSED)
    ),
    Operation("/v1/quality", "GET", quality, {200: QualityAnswer}, SEES),
    Operation(
        "/v1/actas/{eleccion}/{clave}/recaptura", "POST", recapture, {201: DoneAnswer},
        (*MOVES_AN_ACTA, Code.IMAGE_OF_OTHER_ACTA, Code.ACTA_WITHOUT_IMAGE),
    ),
    Operation(
        "/v1/actas/{eleccion}/{clave}/cotejo", "POST", cotejo, {201: DoneAnswer},
        (*MOVES_AN_ACTA, Code.COTEJO_WRONG, Code.ACTA_WITHOUT_IMAGE),
    ),
    Operation("/v1/actas/{eleccion}/{clave}", "GET", acta_state, {200: ActaAnswer}, OF_AN_ACTA),
)  # fmt: skip
