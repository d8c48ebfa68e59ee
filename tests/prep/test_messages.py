"""Messages are CloudEvents: what travels beside a body, who reads it, and the documents that say so."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from prep.bus.kafka_headers import headers_of, message_of
from prep.errors import Parked
from prep.messages import BODIES, PARTITIONS, ActaTouched, ImageNamed, ImageReceived, Message, Topic, read_body
from prep.scan.header import MEDIA
from prep.upload import Digitalizacion, Origen, TipoDocumento
from tests.makers.message_schemas import SCHEMAS, schema_files
from tests.makers.programs import ROOT

AT = datetime(2024, 6, 3, 1, 2, 3, 456789, tzinfo=UTC)
RECEIVED = ImageReceived(
    sha256="a" * 64, bytes=9, format="jpeg", device="catd-01", sequence=7, origen=Origen.CATD,
    digitalizacion=Digitalizacion.ESCANER, traslado="D", tipo_documento=TipoDocumento.ACTA_PREP, acopio_at=AT,
    acta_hint="", received_at=AT,
)  # fmt: skip
TOUCHED = ActaTouched(acta=3, ronda=1, ordinal=2)
NAMED = ImageNamed(sha256="b" * 64, ordinal=1)
EVERY = [RECEIVED, TOUCHED, NAMED]
ASYNCAPI: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text(encoding="utf-8"))
MESSAGES_MD = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")


def test_the_documents_name_every_format_of_an_image() -> None:
    [row] = [line for line in MESSAGES_MD.splitlines() if line.startswith("| `format` |")]
    assert set(re.findall(r"`([a-z]+)`", row)) - {"format"} == set(MEDIA)
    described = ImageReceived.model_json_schema()["properties"]["format"]["description"]
    assert set(re.findall(r"[a-z]+", described.partition(":")[2])) - {"or"} == set(MEDIA)


# On Kafka.


def test_a_record_carries_the_attributes_of_cloudevents() -> None:
    assert dict(headers_of(RECEIVED.message())) == {
        "ce_specversion": b"1.0",
        "ce_type": b"mx.prep.image.received.v1",
        "ce_id": f"image:catd-01:7:{'a' * 64}".encode(),
        "ce_source": b"/prep/capture",
        "ce_time": b"2024-06-03T01:02:03.456789Z",
        "content-type": b"application/json",
    }


@pytest.mark.parametrize("body", EVERY, ids=lambda body: body.TYPE)
def test_a_message_is_the_same_after_its_way_through_a_record(body: ImageReceived | ActaTouched | ImageNamed) -> None:
    sent = body.message()
    came = message_of(sent.topic, sent.key, sent.body, headers_of(sent), place="t:0:0")
    assert came == sent
    assert came.happened_at == sent.happened_at
    assert read_body(came, ImageReceived, ActaTouched, ImageNamed) == body


def test_a_time_with_an_offset_is_the_same_moment() -> None:
    there = AT.astimezone(timezone(timedelta(hours=-6)))
    headers = headers_of(Message(Topic.IMAGES, "k", "i", b"{}", "t", "/s", there))
    assert dict(headers)["ce_time"].endswith(b"Z")
    assert message_of(Topic.IMAGES, "k", b"", headers, place="p").happened_at == AT


@pytest.mark.parametrize("time", [b"", b"ayer", b"2024-06-03T01:02:03", b"\xff"])
def test_a_time_that_is_none_is_no_time(time: bytes) -> None:
    assert message_of(Topic.IMAGES, "k", b"", [("ce_time", time)], place="p").happened_at is None


# Who reads what.


@pytest.mark.parametrize("body", EVERY, ids=lambda body: body.TYPE)
def test_a_message_from_before_types_is_still_read(body: ImageReceived | ActaTouched | ImageNamed) -> None:
    now = body.message()
    old = message_of(now.topic, now.key, now.body, [("id", now.id.encode())], place="t:0:0")
    assert (old.id, old.type) == (now.id, "")
    assert read_body(old, ImageReceived, ActaTouched, ImageNamed) == body
    assert headers_of(old) == [("id", now.id.encode())], "it may be sent again after it was parked"


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"ce_specversion": b"1.0", "ce_type": b"mx.prep.image.received.v2"}, "mx.prep.image.received.v2"),
        ({"ce_specversion": b"1.0", "ce_type": b"mx.prep.acta.touched.v1"}, "mx.prep.acta.touched.v1"),
        ({"ce_specversion": b"2.0", "ce_type": b"mx.prep.image.received.v1"}, "CloudEvents 2.0"),
        ({"ce_type": b"mx.prep.image.received.v1"}, r"CloudEvents \?"),
        ({"ce_specversion": b"1.0"}, None),
    ],
)
def test_an_unknown_type_or_version_is_for_a_person(headers: dict[str, bytes], named: str | None) -> None:
    message = message_of(Topic.IMAGES, "k", RECEIVED.message().body, headers.items(), place="t:0:0")
    if named is None:  # without a type it is a message from before
        assert read_body(message, ImageReceived) == RECEIVED
        return
    with pytest.raises(Parked, match=named):
        read_body(message, ImageReceived)


def test_a_body_that_is_not_what_its_type_says_is_an_error() -> None:
    with pytest.raises(ValidationError):
        read_body(Message(Topic.ENTRIES, "acta:1", "i", b"{}", ActaTouched.TYPE), ActaTouched)


# What the documents say.


def test_the_schemas_in_docs_are_those_of_the_models() -> None:
    """To write them anew: python -m tests.makers.message_schemas."""
    assert {path: path.read_text(encoding="utf-8") for path in SCHEMAS.iterdir()} == schema_files()


@pytest.mark.parametrize("body", EVERY, ids=lambda body: body.TYPE)
def test_a_body_is_valid_by_its_schema(body: ImageReceived | ActaTouched | ImageNamed) -> None:
    schema = json.loads((SCHEMAS / f"{body.TYPE}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    told = json.loads(body.message().body)
    assert list(validator.iter_errors(told)) == []
    for name in told:
        lacking = {key: value for key, value in told.items() if key != name}
        assert list(validator.iter_errors(lacking)), f"{name} may lack"
    assert list(validator.iter_errors({**told, "otro": 1}))


def test_asyncapi_has_each_topic_and_each_message_as_the_code_has_it() -> None:
    channels = ASYNCAPI["channels"]
    assert {name: each["address"] for name, each in channels.items()} == {
        topic.value: f"prep.{topic}" for topic in Topic
    }
    for topic, bodies in BODIES.items():
        channel = channels[topic.value]
        assert channel["bindings"]["kafka"]["partitions"] == PARTITIONS[topic]
        assert set(channel["messages"]) == {body.__name__ for body in bodies}
    messages = ASYNCAPI["components"]["messages"]
    assert set(messages) == {body.__name__ for bodies in BODIES.values() for body in bodies}
    for body in (each for bodies in BODIES.values() for each in bodies):
        said = messages[body.__name__]
        assert said["name"] == body.TYPE
        assert said["payload"] == {"$ref": f"schemas/{body.TYPE}.json"}
        assert said["headers"]["allOf"][1]["properties"]["ce_type"]["const"] == body.TYPE


@pytest.mark.parametrize("body", EVERY, ids=lambda body: body.TYPE)
def test_the_headers_that_asyncapi_describes_are_those_of_a_record(
    body: ImageReceived | ActaTouched | ImageNamed,
) -> None:
    [common, own] = ASYNCAPI["components"]["messages"][type(body).__name__]["headers"]["allOf"]
    assert common == {"$ref": "#/components/schemas/CloudEventHeaders"}
    sent = Message(*_parts(body.message()), AT)  # the outbox says when, if the message does not
    told = {name: value.decode() for name, value in headers_of(sent)}
    described = ASYNCAPI["components"]["schemas"]["CloudEventHeaders"]
    assert set(described["properties"]) == set(described["required"]) == set(told)
    for schema in (described, own):
        assert list(jsonschema.Draft202012Validator(schema).iter_errors(told)) == []


def _parts(message: Message) -> tuple[Topic, str, str, bytes, str, str]:
    return message.topic, message.key, message.id, message.body, message.type, message.source


def test_each_message_has_its_section_in_the_document() -> None:
    for body in (each for bodies in BODIES.values() for each in bodies):
        _, found, section = MESSAGES_MD.partition(f"## {body.__name__}: `{body.TYPE}`\n")
        assert found, body.TYPE
        section = section.partition("\n## ")[0]
        for word in ("Sent by", "Read by", "Key", "Id", "Order", "Again", "Parked"):
            assert f"| {word} |" in section, f"{body.TYPE} does not say: {word}"
        for name in body.model_fields:
            assert f"| `{name}` |" in section, f"{body.TYPE} does not describe {name}"
