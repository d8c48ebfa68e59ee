"""The OpenAPI description of what the application answers: `prep openapi` prints it, `docs/openapi.json` keeps it.

An operation says its handler, its answers and its refusals. Its body and its parameters are read from the handler, the
headers of an upload from `prep/upload.py`: the description has no second list of them.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from capture.answers import RefusalAnswer
from capture.bodies import BodyReader
from prep.errors import Code
from prep.upload import SIGNATURE, Upload, headers_of

Route = Callable[..., Awaitable[Response]]
Content = type[BaseModel] | tuple[str, ...] | None
"""What an answer holds: JSON of a shape, bytes of one of these media types, or no byte at all."""

ABOUT: Final = (
    "Takes in the images of the actas, and gives work to the people who type them. docs/api.md tells in words how to "
    "enrol a device, what it signs, and how a receipt is checked."
)
_BODY: Final = (
    Code.NOT_JSON,
    Code.UPLOAD_STOPPED,
    Code.BODY_TOO_LARGE,
    Code.FIELD_WRONG,
    Code.FIELD_TWICE,
)
_PATH: Final = (Code.FIELD_WRONG, Code.NO_ROUTE)
"""A value with a slash in it is another path."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    path: str
    method: str
    route: Route
    answers: Mapping[int, Content]
    refusals: Sequence[Code] = ()
    """Those of this operation; the refusals of every body and of every path are added."""
    upload: bool = False
    """The body is an image, which signed headers announce."""
    announces: bool = False
    """Signed headers announce an image that comes by pieces."""
    tus_piece: bool = False
    """The body is a piece of an image."""
    file: bool = False
    """The body is a file, as it is."""

    def add_to(self, app: FastAPI) -> None:
        app.add_api_route(
            self.path,
            self.route,
            methods=[self.method],
            response_model=None,
            response_class=Response,
            status_code=next(iter(self.answers)),
            operation_id=self.route.__name__,
            responses={status: _answer(content) for status, content in self.answers.items()},
            openapi_extra=self._extra(),
        )

    def _extra(self) -> dict[str, Any] | None:
        if self.upload:
            return _upload()
        if self.file:
            return {"requestBody": _BYTES}
        if self.announces:
            return {"parameters": [*_signed_headers(), _tus("Upload-Length", "The bytes of the image."), _TUS_VERSION]}
        if self.tus_piece:
            content = {"application/offset+octet-stream": {"schema": {"type": "string", "format": "binary"}}}
            checksum = _tus("Upload-Checksum", "`sha256` or `sha1`, a space, and the digest of the piece in base64.")
            return {
                "parameters": [_tus("Upload-Offset", "Where the piece begins."), _TUS_VERSION, checksum | _OPTIONAL],
                "requestBody": {"content": content, "required": True},
            }
        return None


def describe(app: FastAPI, operations: Sequence[Operation]) -> dict[str, Any]:
    """The description of these operations, which were added to `app`."""
    described = get_openapi(title="PREP", version="1", description=ABOUT, routes=app.routes)
    shapes: list[tuple[type[BaseModel], Literal["validation"]]] = [(RefusalAnswer, "validation")]
    routes = {(route.path, *(route.methods or ())): route for route in app.routes if isinstance(route, APIRoute)}
    for operation in operations:
        told = described["paths"][operation.path][operation.method.lower()]
        readers = list(_readers(routes[operation.path, operation.method]))
        for reader in readers:
            shapes.append((reader.shape, "validation"))
            schema = {"$ref": f"#/components/schemas/{reader.shape.__name__}"}
            told["requestBody"] = {"content": {"application/json": {"schema": schema}}, "required": not reader.empty}
        codes = {*operation.refusals, Code.DEFECT}
        codes |= {*_BODY} if readers else set()
        codes |= {*_PATH} if "{" in operation.path else set()
        for status in sorted({code.status for code in codes}):
            _add_refusals(told["responses"], status, [code for code in Code if code in codes and code.status == status])
    _, defined = models_json_schema(shapes, ref_template="#/components/schemas/{model}")
    described["components"]["schemas"] |= defined["$defs"]
    return described


def as_text(description: Mapping[str, Any]) -> str:
    """The same text for the same description: its order does not matter."""
    return json.dumps(description, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _readers(route: APIRoute) -> Iterator[BodyReader]:
    for dependency in route.dependant.dependencies:
        if isinstance(dependency.call, BodyReader):
            yield dependency.call


def _answer(content: Content) -> dict[str, Any]:
    match content:
        case None:
            return {}
        case tuple():
            text = {"type": "string"}
            return {"content": {media: {"schema": text if media.startswith("text/") else {}} for media in content}}
        case _:
            return {"model": content}


def _add_refusals(responses: dict[str, Any], status: int, codes: Sequence[Code]) -> None:
    """Say of a status which codes come with it. A status may be an answer and a refusal at once (503 of /healthz)."""
    told = responses.setdefault(str(status), {})
    told["description"] = "\n".join(f"- `{code}`: {code.meaning}" for code in codes)
    told.setdefault("content", {})["application/json"] = {
        "schema": {
            "allOf": [{"$ref": "#/components/schemas/RefusalAnswer"}],
            "properties": {"codigo": {"enum": [str(code) for code in codes]}},
        }
    }
    if any(code in RETRIED for code in codes):
        told["headers"] = {
            "Retry-After": {"description": "Seconds to wait before the same request.", "schema": {"type": "integer"}}
        }


RETRIED: Final = frozenset(
    {Code.TOO_MANY_TRIES, Code.TOO_MANY_PEOPLE, Code.UNAVAILABLE, Code.NO_SPACE, Code.NOT_OPEN_YET}
)
"""Refusals that carry Retry-After: the same request may succeed later."""


_OPTIONAL: Final = {"required": False}
_BYTES: Final = {
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    "required": True,
}


def _tus(name: str, description: str, **schema: str) -> dict[str, Any]:
    """A header of tus 1.0."""
    told = {"type": "string", **schema}
    return {"name": name, "in": "header", "required": True, "description": description, "schema": told}


_TUS_VERSION: Final = _tus("Tus-Resumable", "The version of tus.", const="1.0.0")


def _upload() -> dict[str, Any]:
    """The headers and the body of an upload."""
    return {"parameters": _signed_headers(), "requestBody": _BYTES}


def _signed_headers() -> list[dict[str, Any]]:
    fields = Upload.model_json_schema(ref_template="{model}")
    parameters = []
    for name, header in headers_of(Upload).items():
        schema = fields["properties"][name]
        if "$ref" in schema:
            schema = fields["$defs"][schema["$ref"]]
        parameters.append(
            {
                "name": f"X-PREP-{header.name}",
                "in": "header",
                "required": header.absent is None,
                "description": f"Line {header.line} of the signed values. {header.expected}",
                "schema": {key: value for key, value in schema.items() if key not in {"title", "description"}},
            }
        )
    parameters.append(
        {
            "name": f"X-PREP-{SIGNATURE}",
            "in": "header",
            "required": True,
            "description": "Base64 of the device's Ed25519 signature over the title and the signed values.",
            "schema": {"type": "string"},
        }
    )
    return parameters
