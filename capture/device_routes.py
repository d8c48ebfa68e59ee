"""The routes of devices: an image at once or in pieces, its receipt, and how a device enrols itself."""

from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from email.utils import format_datetime
from typing import Annotated, Final

from fastapi import Path, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from capture.answers import EnrolmentAnswer, InvitationAnswer, ReceiptAnswer, SiteBoard
from capture.asking import SEES, Sha, Speaker, address_of, rooms_of
from capture.auth import token_of
from capture.bodies import EnrolmentBody, InvitationBody, body_of
from capture.description import Operation
from capture.uploads import (
    ALGORITHMS,
    DEVICE_PATTERN,
    EXTENSIONS,
    UPLOAD_PATTERN,
    VERSION,
    LineBroke,
    Name,
    UploadProgress,
)
from prep import observe
from prep.errors import Code, PrepError, Rejected
from prep.store.invitations import Invited


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
    address = address_of(request)
    return JSONResponse(await rooms_of(request).enrolment.enrol(said.codigo, said.llave, address=address), 201)


async def site_board(request: Request, person: Speaker) -> Response:
    """How the actas stand that the devices of this person's site are to bring, and its images without an acta."""
    return JSONResponse(await rooms_of(request).enrolment.board(person))


async def receipts_key(request: Request) -> Response:
    """The public key with which anyone checks a receipt, in PEM."""
    return Response(rooms_of(request).intake.receipts.public_pem(), media_type="application/x-pem-file")


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
)  # fmt: skip
