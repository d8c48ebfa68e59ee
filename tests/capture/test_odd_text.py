"""Odd text at every door: no answer is a defect, each can be read, and each line of the log is one line."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from capture.app import OPERATIONS
from prep import observe
from prep.printable import printable
from tests.conftest import Night
from tests.makers.capture_room import PASSWORD, Room, furnished
from tests.makers.waiting import PATIENCE

ODD = '\x1b\x9b\r\n\x00\u202e\u2028\u2066\ufeff\ud800\udc00\U000e0041\x7f"\\/%ñ'
TEXT = st.text(st.sampled_from(ODD) | st.characters(exclude_categories=()), max_size=12)
VALUE = st.recursive(TEXT | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3), max_leaves=4)
BOUNDED = settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
async def room(night: Night, tmp_path: Path) -> AsyncIterator[Room]:
    async with furnished(night, tmp_path) as opened:
        yield opened


def as_json(pairs: list[tuple[str, Any]]) -> bytes:
    """An object in which a name may stand twice; half characters are escapes."""
    return ("{" + ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in pairs) + "}").encode()


@pytest.mark.parametrize("name", ["\ud800", "a\udfff", "\x1b[31m", "\u202e"])
async def test_any_name_that_stands_twice_is_refused(room: Room, name: str) -> None:
    answer = await room.http.post("/v1/session", content=as_json([(name, 1), (name, 2)]))
    assert answer.status_code in {400, 422}
    assert printable(answer.json()["error"]) == answer.json()["error"]


async def test_odd_text_at_every_door(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await room.lease("super")
    session = {"Authorization": f"Bearer {room.tokens['super']}"}
    refused = 0

    @BOUNDED
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        nonlocal refused
        with httpx.Client(base_url=room.url, timeout=PATIENCE) as http:
            for operation in OPERATIONS:
                path = operation.path
                while "{" in path:
                    before, _, rest = path.partition("{")
                    odd = data.draw(TEXT).encode(errors="surrogatepass")
                    path = before + (quote(odd, safe="") or "x") + rest.partition("}")[2]
                if data.draw(st.booleans()):
                    path += "?despues=" + quote(data.draw(TEXT).encode(errors="surrogatepass"), safe="")
                names = st.sampled_from(["usuario", "clave", "texto", "motivo", "tipo", "valores", "identidad"]) | TEXT
                body = as_json(data.draw(st.lists(st.tuples(names, VALUE), max_size=4)))
                raw = data.draw(st.lists(st.binary(max_size=9), min_size=3, max_size=3))
                header = [each.translate(None, b"\r\n\x00").strip(b" \t\x0b\x0c") for each in raw]
                signed = room.device.headers(body, Device=None, Acta=None, Signature="AA==")
                headers: list[tuple[bytes, bytes]] = [
                    (name.encode(), value.encode()) for name, value in (session | signed).items()
                ]
                headers += [(b"X-PREP-Device", header[0]), (b"X-PREP-Acta", header[1]), (b"X-Forwarded-For", header[2])]
                try:
                    answer = http.request(operation.method, path, content=body, headers=headers)
                except httpx.LocalProtocolError:
                    continue  # the client itself does not say it
                assert answer.status_code < 500 or path.startswith("/healthz"), answer.text
                refused += answer.status_code >= 400
                if operation.method != "HEAD" and answer.headers.get("content-type") == "application/json":
                    answer.content.decode()
                    said = answer.json().get("error", "")
                    assert printable(said) == said

    await asyncio.to_thread(ask)
    assert refused > 50
    answer = await room.http.post("/v1/session", json={"usuario": "ana", "clave": PASSWORD})
    assert answer.status_code == 201, "and it goes on"
    formatter = observe._OneLine("capture")
    for record in caplog.records:
        line = formatter.format(record)
        assert printable(line) == line
        json.loads(line)
    assert not [record for record in caplog.records if record.exc_info], "no defect"
