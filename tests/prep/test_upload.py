"""A field of an upload is defined once: its header, its place in the message and its column follow from that."""

import json
from datetime import UTC, datetime
from typing import Annotated

import asyncpg

from prep.messages import ImageReceived, StoredImage
from prep.store import pipeline as store
from prep.store.database import Pool, transaction
from prep.upload import Header, Upload, headers_of, read_headers
from tests.conftest import Night
from tests.makers.capture_room import Device

AT = datetime(2024, 6, 3, 1, 0, tzinfo=UTC)
GIVEN_BY_THE_STORE = {"id", "image", "number", "received_at"}
"""Columns of `arrival` that no device speaks of."""
SAID = {"Acta": "28|1|d|7|1|B|0|6|0011223344556677", "Traslado": "FD", "Document": "Copia PE"}


async def columns(pool: Pool, table: str) -> set[str]:
    found = await pool.fetch("SELECT column_name FROM information_schema.columns WHERE table_name = $1", table)
    return {row["column_name"] for row in found}


async def test_headers_message_and_columns_are_the_fields_of_one_definition(pool: Pool) -> None:
    fields = set(Upload.model_fields)
    assert set(headers_of(Upload)) == fields
    assert set(ImageReceived.model_fields) == fields | set(StoredImage.model_fields) | {"received_at"}
    assert await columns(pool, "arrival") == fields - {"sha256"} | GIVEN_BY_THE_STORE
    assert await columns(pool, "image") == set(StoredImage.model_fields) | {"received_at"}


def test_each_header_has_its_own_line_in_the_text_that_is_signed() -> None:
    lines = [header.line for header in headers_of(Upload).values()]
    assert lines == list(range(1, len(lines) + 1))


def test_the_text_that_is_signed_and_the_message_are_these_bytes() -> None:
    headers = {name.lower(): value for name, value in Device("escaner-1").headers(b"x", **SAID).items()}
    announced = read_headers(headers)
    sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert announced.signed.decode().split("\n") == [
        *("PREP-IMAGE-V1", "escaner-1", "1", sha256, "CATD", "escaner", "2024-06-02T18:55:00-06:00"),
        *("28|1|d|7|1|B|0|6|0011223344556677", "FD", "Copia PE"),
    ]
    message = ImageReceived.of(announced.upload, size=1, format_="jpeg", at=AT).message()
    assert (message.topic, message.key, message.id) == ("images", sha256, f"image:escaner-1:1:{sha256}")
    assert message.body.decode() == (
        f'{{"sha256":"{sha256}","bytes":1,"format":"jpeg","device":"escaner-1","sequence":1,"origen":"CATD",'
        '"digitalizacion":"escaner","traslado":"FD","tipo_documento":"Copia PE","acopio_at":"2024-06-03T00:55:00Z",'
        '"acta_hint":"28|1|D|7|1|B|0|6","received_at":"2024-06-03T01:00:00Z"}'
    )


def _upper(text: str) -> str:
    return text.upper()


class WithLote(Upload):
    """A made-up field: its one definition."""

    lote: Annotated[str, Header("Lote", 10, "se espera un lote", _upper, absent="")] = ""


class WithLoteReceived(ImageReceived, WithLote):
    pass


async def test_a_new_field_is_its_definition_and_its_column(night: Night, pool: Pool) -> None:
    owner = await asyncpg.connect(night.owner)
    await owner.execute("ALTER TABLE arrival ADD COLUMN lote text NOT NULL DEFAULT ''")
    await owner.close()
    headers = {name.lower(): value for name, value in Device("escaner-1").headers(b"x", Lote="b7").items()}

    announced = read_headers(headers, WithLote)
    assert announced.signed.endswith(b"\nb7")
    body = WithLoteReceived.of(announced.upload, size=1, format_="jpeg", at=AT).message().body
    assert json.loads(body)["lote"] == "B7"
    async with transaction(pool) as connection:
        await store.arrive(connection, [WithLoteReceived.model_validate_json(body)])

    assert await pool.fetchval("SELECT lote FROM arrival") == "B7"
    assert await pool.fetchval("SELECT acopio_at FROM arrival") == datetime(2024, 6, 3, 0, 55, tzinfo=UTC)
