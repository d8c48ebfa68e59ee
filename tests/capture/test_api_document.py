"""docs/api.md says what the code does: its tables and its worked example are compared with it."""

import base64
import hashlib
import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from capture.auth import FREE_TRIES
from capture.bodies import JSON_LIMIT
from capture.description import RETRIED
from capture.intake import MAX_JUMP
from prep.doors import LIMITS
from prep.errors import Code
from prep.settings import Settings
from prep.upload import FIRST_MOMENT, LAST_MOMENT, MAX_SEQUENCE, Upload, headers_of, read_headers
from tests.makers.description import DESCRIPTION

DOCUMENT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    """The one example of that kind."""
    [found] = re.findall(rf"```{kind}\n(.*?)\n```", DOCUMENT, re.DOTALL)
    return str(found)


def rows(title: str) -> list[list[str]]:
    """The cells of the first table under a title, without the head."""
    part = re.split(r"^#+ ", DOCUMENT.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line.strip("| ").split("|") for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip(" `") for cell in line] for line in lines[2:]]


def test_the_table_of_codes_is_the_code() -> None:
    assert rows("9. Codes") == [[code, str(code.status), code.meaning] for code in Code]
    [told] = re.findall(r"`Retry-After` \(seconds\) comes with (.*)\.", DOCUMENT)
    assert set(re.findall(r"`(\w+)`", told)) == RETRIED


def test_the_table_of_headers_is_the_code() -> None:
    defined = [
        [str(header.line), f"X-PREP-{header.name}", "yes" if header.absent is None else "no"]
        for header in headers_of(Upload).values()
    ]
    assert [row[:3] for row in rows("3. Send an image")][:-1] == defined
    told = {row[1]: row[3] for row in rows("3. Send an image")[:-1]}
    assert f"at most {MAX_SEQUENCE:,}" in told["X-PREP-Sequence"]
    assert f"from {FIRST_MOMENT.year} to {LAST_MOMENT.year}" in told["X-PREP-Acopio"]


def test_the_worked_example_is_signed_as_the_server_reads_it() -> None:
    headers = dict(line.split(": ", 1) for line in block("headers").splitlines())
    announced = read_headers({name.lower(): value for name, value in headers.items()} | {"x-prep-signature": "AAAA"})
    signed = block("signed").encode()
    assert announced.signed == signed
    assert f"The signed text has {len(signed)} bytes" in DOCUMENT
    assert announced.upload.sha256 == hashlib.sha256(b"acta").hexdigest()
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(block("key")))
    assert block("signature") == base64.b64encode(key.sign(signed)).decode()


def test_every_path_and_limit_is_told() -> None:
    assert {path for path in DESCRIPTION["paths"] if path not in DOCUMENT} == set()
    limits = {row[0]: row[1] for row in rows("10. Limits")}
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert limits["bytes of an image"] == f"{defaults['image_max_bytes']:,}"
    assert limits["pixels of an image"] == f"{defaults['image_max_pixels']:,}"
    assert limits["bytes of a JSON body"] == f"{JSON_LIMIT:,}"
    assert limits["bytes of the first line and the headers"] == f"{LIMITS.head_bytes:,}"
    assert limits["time in which they come"] == f"{LIMITS.head_seconds} s"
    many = f"{LIMITS.connections:,} and {LIMITS.per_address}"
    assert limits["open connections, and those of one address"] == many
    assert limits["number of an image of one device"] == f"{MAX_SEQUENCE:,}"
    assert limits["step from the highest number of a device to the next"] == f"{MAX_JUMP:,}"
    assert limits["time of a task"] == f"{defaults['lease_minutes']} minutes"
    assert limits["time of a session"] == f"{defaults['session_hours']} hours"
    assert limits["time of a session without a request"] == f"{defaults['session_idle_minutes']} minutes"
    assert limits["wrong passwords of one name from one address, before it must wait"] == str(FREE_TRIES)
