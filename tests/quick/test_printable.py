"""Text of strangers reaches no log, answer or screen as it came: each line is one line, and a person sees every character."""

import asyncio
import io
import json
import logging
from pathlib import Path
from typing import Any, TextIO, cast

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from prep import observe
from prep.errors import Rejected
from prep.printable import Screen, printable
from publisher.web import PublishedTree

ODD = ("\x1b[31m", "\r", "\u202e", "\ud800", "\u2028", "\x9b2J", "\U000e0041", "\x00", "\n", '"\n')
"""ANSI escapes, directions, lines, half characters, tags: and a quote, which could end a string."""
TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from("".join(ODD)), max_size=12)
VALUE = st.recursive(
    TEXT | st.floats() | st.binary() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
)


def line_of(event: str, data: object, error: str | None = None) -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    handler = logging.StreamHandler(out)
    handler.setFormatter(observe._OneLine("prueba"))
    raised: tuple[type[BaseException], BaseException, None] | None = None
    if error is not None:
        raised = (ValueError, ValueError(error), None)
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, event, (), raised)
    record.data = data
    handler.handle(record)
    out.seek(0)
    return out.read()


@settings(max_examples=50)
@given(TEXT, st.dictionaries(TEXT, VALUE, max_size=3), TEXT)
@example("".join(ODD), {odd: odd for odd in ODD}, "".join(ODD))
@example("%d", {"b": float("nan")}, "")
def test_each_line_of_the_log_is_one_line_of_json(event: str, data: dict[str, object], error: str) -> None:
    line = line_of(event, data, error)
    assert line.endswith("\n")
    assert printable(line[:-1]) == line[:-1]
    read = json.loads(line, parse_constant=pytest.fail)
    assert read["level"] == "error"
    assert "ValueError" in str(read)


def test_data_that_no_json_holds_is_told_as_text() -> None:
    for data in ({1j: 1}, {"x": float("inf")}, {"x": Silent()}):
        assert json.loads(line_of("x", data))["event"] == "x"


class Silent:
    """Has no words."""

    def __str__(self) -> str:
        raise RuntimeError

    def __repr__(self) -> str:
        return "silent"


@given(TEXT)
def test_a_refusal_can_quote_anything(text: str) -> None:
    sentence = Rejected(f"no hay un «{text}»").sentence
    assert all(line.replace("\xa0", " ") == printable(line).replace("\xa0", " ") for line in sentence.split("\n"))
    sentence.encode()


@given(TEXT)
def test_on_a_screen_only_lines_and_tabs_move_anything(text: str) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    print(text, file=cast("TextIO", Screen(out)), flush=True)
    out.seek(0)
    shown = out.read().replace("\n", "").replace("\t", "")
    assert printable(shown) == shown


def test_what_a_person_reads_stays_as_it_is() -> None:
    for text in ("Año, ñandú «10 %» — 1\u00a0000 €", "", "日本", "𝔸"):
        assert printable(text) == text
    assert printable("a\x1b[0m\ud83d b\u202e\U000e0041") == "a\\u001b[0m\\ud83d b\\u202e\\udb40\\udc41"


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=TEXT)
@example(path="\x00")
@example(path="a" * 300)
@example(path="cortes/" + "".join(ODD))
def test_no_path_of_the_published_tree_is_a_defect(tmp_path: Path, path: str) -> None:
    statuses: list[int] = []

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    # As a server of HTTP hands it over: decoded from UTF-8, with a replacement for other bytes.
    said = path.encode(errors="surrogatepass").decode(errors="replace")
    scope = {"type": "http", "method": "GET", "path": f"/{said}", "root_path": "", "headers": [], "query_string": b""}
    tree = FastAPI(openapi_url=None)
    tree.mount("/", PublishedTree(directory=tmp_path, html=True))
    asyncio.run(tree(scope, receive, send))  # type: ignore[arg-type]
    assert statuses[0] < 500
