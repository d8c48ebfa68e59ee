"""Any JSON body gets an answer in UTF-8: half a character, in any place of it, is refused with a sentence."""

import asyncio
import json
from functools import cache
from typing import Any

import httpx
import hypothesis.strategies as st
import pytest
from fastapi import FastAPI
from hypothesis import example, given, settings

from capture.app import REFUSALS
from capture.bodies import CaptureBody, Credentials, IdentityBody, JsonBody, RecaptureBody, Wanted, body_of

LONE = "\ud800"
SHAPES = (Credentials, CaptureBody, IdentityBody, RecaptureBody, Wanted)

texts = st.text(st.characters(categories=("Cs", "Lu", "Cc")), max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
names = texts | st.sampled_from([name for shape in SHAPES for name in shape.model_fields])
objects = st.lists(st.tuples(names, values), max_size=4)
"""Names and values in their order: a name may come twice."""


def written(pairs: list[tuple[str, Any]]) -> bytes:
    return ("{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs) + "}").encode("ascii")


@cache
def application(shape: type[JsonBody]) -> FastAPI:
    """One route that reads this shape, with the refusals of `prep capture`."""
    app = FastAPI()

    async def read(said: Any = body_of(shape)) -> dict[str, str]:  # noqa: B008  # as FastAPI wants it
        return {"said": repr(said)}

    app.post("/")(read)
    for kind, refusal in REFUSALS:
        app.add_exception_handler(kind, refusal)

    return app


def answer(shape: type[JsonBody], body: bytes) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application(shape)), base_url="http://here") as http:
            return await http.post("/", content=body)

    return asyncio.run(ask())


@pytest.mark.parametrize("shape", SHAPES)
@settings(deadline=None, max_examples=40)
@given(pairs=objects)
@example(pairs=[(LONE, 1), (LONE, 2)])
@example(pairs=[(LONE, 1)])
@example(pairs=[("usuario", "ana"), ("clave", LONE)])
@example(pairs=[("valores", {"PAN": [LONE]})])
def test_every_body_gets_an_answer_and_half_a_character_is_refused(
    shape: type[JsonBody], pairs: list[tuple[str, Any]]
) -> None:
    body = written(pairs)
    told = answer(shape, body)
    assert told.status_code in {200, 400, 422}
    if told.status_code != 200:
        assert set(told.json()) == {"error", "codigo"}
    if any("\ud800" <= each <= "\udfff" for each in characters_of(pairs)):
        assert told.status_code in {400, 422}


def characters_of(pairs: list[tuple[str, Any]]) -> str:
    """All characters of the object, halves included: two halves in a row are one character of JSON."""
    return json.dumps(json.loads(written(pairs)), ensure_ascii=False) if len(dict(pairs)) == len(pairs) else ""
