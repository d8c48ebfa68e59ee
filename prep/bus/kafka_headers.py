"""The headers of a Kafka record: CloudEvents 1.0 in binary mode, and what records from before carried instead.

The attribute NAME of CloudEvents is the header `ce_NAME`, in UTF-8; `content-type` is that of the value.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from prep.messages import Message, Topic

SPEC_VERSION: Final = "1.0"
"""The version of CloudEvents."""
CONTENT_TYPE: Final = "application/json"
ID_FROM_BEFORE: Final = "id"
"""The one header of records from before CloudEvents. It carries `Message.id`."""


def headers_of(message: Message) -> list[tuple[str, bytes]]:
    """The headers of its record. A message from before types stays as it was: it may have been parked since then."""
    if not message.type:
        return [(ID_FROM_BEFORE, message.id.encode())]
    # `ce_time` may be missing: the specification asks for the other four.
    headers = {
        "ce_specversion": SPEC_VERSION,
        "ce_type": message.type,
        "ce_id": message.id,
        "ce_source": message.source,
        "content-type": CONTENT_TYPE,
    }
    if message.happened_at is not None:
        headers["ce_time"] = message.happened_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return [(name, value.encode()) for name, value in headers.items()]


def message_of(topic: Topic, key: str, body: bytes, headers: Iterable[tuple[str, bytes]], *, place: str) -> Message:
    """The message of a record. A record that another program wrote is a message too: the handler sets it aside.

    `place`: where the record stands in Kafka; it is the id of a record that has none.
    """
    # Bytes that are no UTF-8 are kept as well as they can be: such a record is set aside and must be shown.
    said = {name: value.decode(errors="replace") for name, value in headers}
    type_, version = said.get("ce_type", ""), said.get("ce_specversion", "")
    # The attributes of another version of CloudEvents may mean something else: no handler knows this type.
    if version != SPEC_VERSION and (type_ or version):
        type_ = f"CloudEvents {version or '?'} {type_}".strip()
    id_ = said.get("ce_id") or said.get(ID_FROM_BEFORE) or place
    return Message(topic, key, id_, body, type_, said.get("ce_source", ""), _read_time(said.get("ce_time", "")))


def _read_time(text: str) -> datetime | None:
    """None if it is not RFC 3339 with an offset: no handler decides by it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None
