"""Compares answers with the OpenAPI description, by a validator of other people: every request of a room is checked."""

import json
import re
from functools import cache
from typing import Any

import httpx
from openapi_schema_validator import OAS31Validator

from capture import screens
from capture.app import described

DESCRIPTION = described()


async def answers_as_described(answer: httpx.Response) -> None:
    """Fails if the operation has no such status, media type or shape. A path that is not described gets a refusal."""
    await answer.aread()
    if answer.request.url.path in screens.PAGES or answer.request.url.path.startswith(screens.FOLDER):
        return  # files for a browser, and no part of the API
    operation = _operation(answer.request.method, answer.request.url.path)
    media = answer.headers.get("content-type", "").partition(";")[0]
    if operation is None:
        assert answer.status_code in {404, 405}
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/RefusalAnswer"}}}
    else:
        assert str(answer.status_code) in operation["responses"], f"{answer.status_code} is not described"
        content = operation["responses"][str(answer.status_code)].get("content", {})
    if not content or answer.request.method == "HEAD":
        assert answer.content == b""
        return
    assert media in content
    if media == "application/json":
        _validator(json.dumps(content[media]["schema"])).validate(answer.json())


def _operation(method: str, path: str) -> dict[str, Any] | None:
    """The longest path fits best: `/v1/receipts/key` is no receipt."""
    fitting = [each for each in DESCRIPTION["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each), path)]
    if not fitting:
        return None
    found: dict[str, Any] | None = DESCRIPTION["paths"][min(fitting, key=lambda each: "{" in each)].get(method.lower())
    return found


@cache
def _validator(schema: str) -> OAS31Validator:
    return OAS31Validator({**json.loads(schema), "components": DESCRIPTION["components"]})
