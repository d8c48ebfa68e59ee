"""The facts and pointers of one acta's way, as typed functions over `pipeline.sql`.

Every function runs inside the caller's transaction. `lock_acta` and `lock_image` come first: whoever holds the row
moves the acta, and messages of one acta leave in the order of those transactions.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from asyncpg import BitString

from prep.domain.acta import Capture, Estado
from prep.domain.catalog import ActaId, ElectionId
from prep.domain.entry import Values, from_columns
from prep.domain.rules import Assessment, Contabilizada, Observation
from prep.messages import ImageReceived
from prep.store.database import Connection, sql

SQL: Final = sql("pipeline")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the decoder cascade made of an image; digests are raw SHA-256."""

    text: str | None
    decoder: str | None
    width: int
    height: int
    phash: bytes
    web: bytes
    thumb: bytes


async def arrive(connection: Connection, received: Sequence[ImageReceived]) -> None:
    """Keep the images and these arrivals of them, before anybody has looked into them; what is kept stays as it is."""
    rows = [
        (
            bytes.fromhex(each.sha256),
            each.bytes,
            each.format,
            each.received_at,
            each.message().id,
            each.device,
            each.sequence,
            each.origen,
            each.digitalizacion,
            each.traslado,
            each.tipo_documento,
            each.acopio_at,
            each.acta_hint,
        )
        for each in received
    ]
    if rows:
        await connection.execute(SQL["arrive"], *map(list, zip(*rows, strict=True)))


async def receive(connection: Connection, received: ImageReceived, reading: Reading, at: datetime) -> None:
    """Keep the image, this arrival of it and what was read; what is kept already stays as it is."""
    await connection.execute(
        SQL["receive"],
        bytes.fromhex(received.sha256),
        received.bytes,
        received.format,
        received.received_at,
        received.message().id,
        received.device,
        received.sequence,
        received.origen,
        received.digitalizacion,
        received.traslado,
        received.tipo_documento,
        received.acopio_at,
        received.acta_hint,
        reading.text,
        reading.decoder,
        reading.width,
        reading.height,
        BitString.frombytes(reading.phash),
        reading.web,
        reading.thumb,
        at,
    )


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An image as locked: what it is now, and how it first came."""

    state: str
    acta: ActaId | None
    origen: str
    digitalizacion: str
    acta_hint: str


async def lock_image(connection: Connection, image: bytes) -> ImageRow:
    row = await connection.fetchrow(SQL["lock_image"], image)
    assert row is not None, "an image is added before it is locked"
    return ImageRow(**row)


async def set_image(connection: Connection, image: bytes, state: str, acta: ActaId | None, at: datetime) -> None:
    await connection.execute(SQL["set_image"], image, state, acta, at)


class Alike(Protocol):
    """Images of other actas whose hash is at most `bits` away from that of `image`: keys `clave` and `image` (hex)."""

    async def __call__(
        self, connection: Connection, image: bytes, acta: ActaId, *, bits: int
    ) -> list[Mapping[str, str]]: ...


async def same_photo(connection: Connection, image: bytes, acta: ActaId, *, bits: int) -> list[Mapping[str, str]]:
    """Among all images of its contest."""
    return [dict(row) for row in await connection.fetch(SQL["same_photo"], image, acta, bits)]


async def same_photo_named(connection: Connection, image: bytes, acta: ActaId, *, bits: int) -> list[Mapping[str, str]]:
    """Among the few that people identified."""
    return [dict(row) for row in await connection.fetch(SQL["same_photo_named"], image, acta, bits)]


async def has_image(connection: Connection, acta: ActaId, image: bytes) -> bool:
    """Whether the image is one of the acta's."""
    return await connection.fetchval(SQL["has_image"], acta, image) is not None


async def add_identification(connection: Connection, image: bytes, source: str, identity: str, at: datetime) -> None:
    """What a QR or a sender said; people's statements come from the desk."""
    await connection.execute(SQL["add_identification"], image, source, identity, at)


@dataclass(frozen=True, slots=True)
class Identification:
    source: str
    person: int | None
    site: int | None
    identity: str
    proceso_tecnico: bool


async def identifications(connection: Connection, image: bytes) -> list[Identification]:
    return [Identification(**row) for row in await connection.fetch(SQL["identifications"], image)]


async def acta_by_qr(connection: Connection, qr: str) -> ActaId | None:
    found = await connection.fetchval(SQL["acta_by_qr"], qr)
    return None if found is None else ActaId(found)


async def add_fuera(
    connection: Connection, image: bytes, row: ImageRow, *, identity: str, form: tuple[str, str], at: datetime
) -> None:
    """An image of no approved casilla. `form` is its tipo_acta and candidatura: they tell the election."""
    election: ElectionId | None = await connection.fetchval(SQL["election_of_form"], *form)
    await connection.execute(SQL["add_fuera"], image, identity, election, row.origen, row.digitalizacion, at)


@dataclass(frozen=True, slots=True)
class ActaRow:
    """An acta as locked: where it stands, and what the rules need of the catalogue."""

    id: ActaId
    estado: Estado
    ronda: int
    image: bytes | None
    version: int | None
    version_image: bytes | None
    version_cotejada: int | None
    clave: str
    lista_nominal: int
    representantes: int
    boletas_maximas: int | None
    votes_per_ballot: int
    rules: str
    options: int


async def lock_acta(connection: Connection, acta: ActaId, at: datetime) -> ActaRow:
    """The acta's row, locked until the transaction ends; its first lock creates it as Esperada."""
    row = await connection.fetchrow(SQL["lock_acta"], acta)
    if row is None:
        await connection.execute(SQL["open_acta"], acta, at)
        row = await connection.fetchrow(SQL["lock_acta"], acta)
    assert row is not None
    return ActaRow(**{**row, "estado": Estado(row["estado"])})


async def set_acta(
    connection: Connection,
    row: ActaRow,
    estado: Estado,
    *,
    ronda: int,
    image: bytes | None,
    at: datetime,
) -> None:
    await connection.execute(SQL["set_acta"], row.id, estado, ronda, image, at)


@dataclass(frozen=True, slots=True)
class Typed:
    """One capture with its moment."""

    id: int
    capture: Capture
    at: datetime


async def entries(connection: Connection, acta: ActaId, ronda: int) -> list[Typed]:
    """The captures of a round, in order."""
    return [
        Typed(
            row["id"],
            Capture(row["person"], row["site"], from_columns(row["numbers"], row["marks"])),
            row["typed_at"],
        )
        for row in await connection.fetch(SQL["entries"], acta, ronda)
    ]


async def resolution(connection: Connection, acta: ActaId, ronda: int) -> tuple[int, datetime] | None:
    """The entry that was chosen among three, and when."""
    row = await connection.fetchrow(SQL["resolution"], acta, ronda)
    return None if row is None else (row["entry"], row["resolved_at"])


@dataclass(frozen=True, slots=True)
class Provenance:
    """How the current image came: what the official row says beside the numbers."""

    origen: str
    digitalizacion: str
    traslado: str
    tipo_documento: str
    acopio_at: datetime | None
    proceso_tecnico: bool


NO_PROVENANCE: Final = Provenance("-", "-", "", "-", None, proceso_tecnico=False)
"""Of an acta that never came (sin acta)."""


async def provenance(connection: Connection, image: bytes) -> Provenance:
    row = await connection.fetchrow(SQL["first_arrival"], image)
    assert row is not None, "an acta's image has arrived"
    return Provenance(**row)


@dataclass(frozen=True, slots=True)
class Version:
    """Everything one acta version holds besides its key."""

    acta: ActaId
    ronda: int
    reason: str
    person: int | None
    image: bytes | None
    values: Values | None
    assessment: Assessment
    cotejada: int
    provenance: Provenance
    captura_at: datetime | None
    verificacion_at: datetime | None
    quantities: str
    tail: str


async def count_version(connection: Connection, version: Version, estado: Estado, at: datetime) -> None:
    """Append the version and make it the acta's current one, in that state; nobody has anything to type of it now."""
    came = version.provenance
    await connection.execute(
        SQL["count_version"],
        version.acta,
        version.ronda,
        version.reason,
        version.person,
        version.image,
        version.values.numbers if version.values else [],
        version.values.marks if version.values else "",
        version.assessment.calculado,
        list(version.assessment.observations),
        version.assessment.inconsistent,
        version.assessment.contabilizada,
        version.cotejada,
        came.tipo_documento,
        came.origen,
        came.digitalizacion,
        came.traslado,
        came.acopio_at,
        version.captura_at,
        version.verificacion_at,
        version.quantities,
        version.tail,
        estado,
        at,
    )


async def capture_sites(connection: Connection) -> int:
    """Sites where somebody captures."""
    sites: int = await connection.fetchval(SQL["capture_sites"])
    return sites


async def add_task(
    connection: Connection,
    kind: str,
    *,
    acta: ActaId | None,
    image: bytes,
    ronda: int,
    ordinal: int,
    queue_at: datetime,
    at: datetime,
    not_persons: Sequence[int] = (),
    not_site: int | None = None,
    only_person: int | None = None,
) -> None:
    """One step for a person; the same step twice is one."""
    await connection.execute(
        SQL["add_task"], kind, acta, image, ronda, ordinal, queue_at, at, list(not_persons), not_site, only_person
    )


async def drop_tasks(connection: Connection, acta: ActaId) -> None:
    await connection.execute(SQL["drop_tasks"], acta)


async def better_image(connection: Connection, acta: ActaId, image: bytes) -> bool:
    """Put a better image under a first capture that nobody has begun; False where somebody has."""
    result = await connection.execute(SQL["better_image"], acta, image)
    return result == "UPDATE 1"


async def add_event(
    connection: Connection, kind: str, subject: str, detail: Mapping[str, object], at: datetime
) -> None:
    await connection.execute(SQL["add_event"], kind, subject, json.dumps(detail, ensure_ascii=False), at)


async def version(connection: Connection, version_id: int) -> Version:
    """A version as it was added, to append a changed copy of it."""
    row = await connection.fetchrow(SQL["version"], version_id)
    assert row is not None
    return Version(
        acta=ActaId(row["acta"]),
        ronda=row["ronda"],
        reason=row["reason"],
        person=row["person"],
        image=row["image"],
        values=from_columns(row["numbers"], row["marks"]) if row["numbers"] else None,
        assessment=Assessment(
            row["calculado"],
            tuple(Observation(code) for code in row["observations"]),
            Contabilizada(row["contabilizada"]),
        ),
        cotejada=row["cotejada"],
        provenance=Provenance(
            row["origen"],
            row["digitalizacion"],
            row["traslado"],
            row["tipo_documento"],
            row["acopio_at"],
            proceso_tecnico=Observation.PROCESO_TECNICO in row["observations"],
        ),
        captura_at=row["captura_at"],
        verificacion_at=row["verificacion_at"],
        quantities=row["quantities"],
        tail=row["tail"],
    )
