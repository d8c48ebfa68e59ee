"""The description of the HTTP is what the code says, is valid, and no request gets an answer that it does not name."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import validate
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from capture.app import OPERATIONS
from prep.errors import Code
from prep.upload import Upload, headers_of
from tests.conftest import Night
from tests.makers.capture_room import VALUES, Device, Room, furnished, jpeg, qr
from tests.makers.description import DESCRIPTION

ROOT = Path(__file__).parents[2]
PEOPLE = (None, "oper", "digi", "ana", "caro", "super", "cotejo", "admin", "audi", "obse")
"""Anonymous, and one person of each role."""
BOUNDED = settings(
    max_examples=6,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""Six requests to each operation, the same in every run; each is sent as each of the people."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


# A piece of an image is bytes under the name that tus gives them.
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


def test_the_command_prints_the_description_that_the_documents_hold() -> None:
    command = [sys.executable, "-m", "prep.operations", "openapi"]
    printed = [subprocess.run(command, capture_output=True, check=True, text=True).stdout for _ in range(2)]
    assert printed[0] == printed[1] == (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")


def test_the_description_is_valid_openapi() -> None:
    validate(DESCRIPTION)


def test_the_headers_of_an_upload_are_those_of_their_one_definition() -> None:
    parameters = DESCRIPTION["paths"]["/v1/images"]["post"]["parameters"]
    told = [(each["name"], each["required"]) for each in parameters]
    defined = [(f"X-PREP-{each.name}", each.absent is None) for each in headers_of(Upload).values()]
    assert told == [*defined, ("X-PREP-Signature", True)]


def test_every_code_that_a_request_can_get_is_described_somewhere() -> None:
    """The others are said of no operation: by the proxy, of a path that is none, or at the command line."""
    described = {code for operation in OPERATIONS for code in operation.refusals}
    text = str(DESCRIPTION)
    assert {code for code in described if f"'{code}'" not in text} == set()
    assert {str(code) for code in Code if f"'{code}'" not in text} == {
        "metodo_no_admitido",
        "demasiadas_peticiones",
    }


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


async def work_that_waits(room: Room) -> dict[str, list[str]]:
    """Real values for the paths: an image, actas in several states, and a task that each person holds."""
    images = [await room.arrive(acta) for acta in range(1, 12)]
    for acta in range(12, 15):
        await room.arrive(acta, text=None)
    for who in ("ana", "beto"):
        assert (await room.type(who, VALUES)).status_code == 201
    decisions = [(await room.ask("oper", "/v1/decisions", sin_acta(acta))).json()["decision"] for acta in range(30, 33)]
    assert (await room.ask("super", f"/v1/decisions/{decisions[0]}/confirm", {})).status_code == 201
    tasks = [await room.lease(who) for who in ("digi", "ana", "caro", "super", "admin")]
    headers = room.device.headers(jpeg(50)) | {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(jpeg(50)))}
    upload = (await room.http.post("/v1/uploads", headers=headers)).headers["location"]
    return {
        "dispositivo": [room.device.id],
        "envio": [upload.rsplit("/", 1)[1]],
        "sha256": images,
        "tarea": [task["tarea"] for task in tasks if task],
        "decision": decisions,
        "mensaje": [1],
        "usuario": ["dora"],
        "eleccion": ["DIP_LOC"],
        "clave": [f"clave{acta}" for acta in range(1, 16)],
    }


def sin_acta(acta: int) -> dict[str, object]:
    return {"tipo": "sin_acta", "eleccion": "DIP_LOC", "clave": f"clave{acta}", "motivo": "casilla_no_instalada"}


def proposals(real: dict[str, list[str]]) -> list[dict[str, object]]:
    """Proposals about things that there are, one of each kind that a person may propose."""
    image: dict[str, object] = {"imagen": real["sha256"][0]}
    return [
        sin_acta(33),
        image | {"tipo": "imagen_de_otra_acta", "motivo": "etiqueta_equivocada", "identidad": qr(34)},
        image | {"tipo": "fuera_de_catalogo", "motivo": "casilla_no_aprobada", "identidad": qr(99)},
        {"tipo": "mensaje_descartado", "mensaje": 1, "motivo": "repetido"},
        {"tipo": "numero_perdido", "dispositivo": "escaner-1", "numero": 7, "motivo": "imagen_borrada"},
    ]


async def test_no_request_gets_an_answer_that_is_not_described(room: Room) -> None:
    """Each request as everybody: bodies, paths and headers as the description allows, and half of them name real things."""
    real = await work_that_waits(room)
    sessions = {who: await opened(room, who) if who else {} for who in PEOPLE}
    schema = schemathesis.openapi.from_dict(DESCRIPTION)
    seen: set[tuple[str | None, str, int]] = set()

    def ask_everything() -> None:
        for result in schema.get_all_operations():
            assert isinstance(result, Ok)
            ask(result.ok())

    def ask(operation: Any) -> None:
        @BOUNDED
        @given(case=operation.as_strategy(), exists=st.booleans(), data=st.data())
        def asked(case: Any, exists: bool, data: st.DataObject) -> None:
            if exists:
                name_real_things(case, data)
            # An operation that asks for no session answers everybody alike. Nor may one that ends it get a real one.
            as_everybody = "security" in operation.definition.raw and operation.method != "delete"
            for who, session in sessions.items() if as_everybody else [(None, {})]:
                answer = case.call(base_url=room.url, headers=session)
                seen.add((who, operation.path, answer.status_code))
                case.validate_response(answer, checks=CHECKS)

        asked()

    def name_real_things(case: Any, data: st.DataObject) -> None:
        for name in case.path_parameters or {}:
            case.path_parameters[name] = data.draw(st.sampled_from(real[name]))
        match case.operation.path.rpartition("/")[2]:
            case "entry" | "resolution":
                case.body = {"valores": VALUES}
            case "identity":
                case.body = {"identidad": qr(13)}
            case "decisions":
                case.body = data.draw(st.sampled_from(proposals(real)))
            case "undo":
                case.body = {"motivo": "error"}
            case "uploads" if case.operation.method == "post":
                content = data.draw(st.sampled_from([jpeg(1), jpeg(2)]))
                tus = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(content))}
                case.headers = signed(room.device, case.headers, content) | tus
            case "{envio}" if case.operation.method == "patch":
                case.body = data.draw(st.sampled_from([jpeg(50), b"x"]))
                case.headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"}
            case "images":
                case.body = data.draw(st.sampled_from([jpeg(1), jpeg(2), b"x"]))
                case.headers = signed(room.device, case.headers, case.body)

    await asyncio.to_thread(ask_everything)
    assert {200, 201, 204, 400, 401, 403, 404, 409, 422} <= {status for _, _, status in seen}
    strangers = {who for who, path, status in seen if path.startswith("/v1/tasks") and status == 401}
    assert strangers == {None}, "each of the others was let in as somebody"


async def opened(room: Room, who: str) -> dict[str, str]:
    await room.ask(who, "/v1/actas/DIP_LOC/clave1", method="GET")
    return {"Authorization": f"Bearer {room.tokens[who]}"}


def signed(device: Device, generated: Any, body: bytes) -> dict[str, str]:
    """The generated headers under the device's own name, number and signature."""
    kept = ("Origin", "Kind", "Traslado", "Document")
    said = {name: value for name in kept if (value := (generated or {}).get(f"X-PREP-{name}")) is not None}
    return device.headers(body, **{name: value for name, value in said.items() if re.fullmatch("[ -~]*", str(value))})
