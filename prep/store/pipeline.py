"""The facts of one acta, and the rows that point at the current ones, as typed functions over `pipeline.sql`.

Every function runs inside the caller's transaction. `lock_acta` and `lock_image` come first. Only the holder of the
lock moves the acta, so messages of one acta leave in the order of those transactions.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from asyncpg import BitString

from prep.domain.acta import Capture, Estado, Move
from prep.domain.catalog import ActaId, ElectionId, Identity, read_identity
from prep.domain.entry import Values, from_columns
from prep.domain.rules import Assessment, Contabilizada, Observation
from prep.messages import ImageReceived
from prep.scan.reading import Reading
from prep.store.database import Connection, sql

SQL: Final = sql("pipeline")


async def arrive(connection: Connection, received: Sequence[ImageReceived]) -> None:
    """Keep the images and their arrivals, before any decoder looks into them. Rows that exist stay as they are."""
    if received:
        await connection.execute(SQL["arrive"], json.dumps([_arrival_row(each) for each in received]))


def _arrival_row(received: ImageReceived) -> dict[str, object]:
    """The values by column of `image` and `arrival`: the fields of the message by their names, digests as bytea."""
    image = rf"\x{received.sha256}"
    # The columns of `arrival` have the names of the fields, so a new field needs no line here.
    return {**received.model_dump(mode="json"), "sha256": image, "image": image, "id": received.message().id}


async def add_reading(connection: Connection, image: bytes, reading: Reading, at: datetime) -> None:
    """Keep the reading of an image that has arrived. A reading that exists stays as it is."""
    await connection.execute(
        SQL["add_reading"],
        image,
        reading.text,
        reading.decoder,
        reading.width,
        reading.height,
        BitString.frombytes(reading.phash),
        reading.web,
        reading.thumb,
        at,
        None if reading.marks is None else json.dumps(reading.marks.as_json()),
    )


async def add_oddities(connection: Connection, image: bytes, codes: Sequence[str], at: datetime) -> None:
    """Keep the codes of the image's oddities, each once."""
    if codes:
        await connection.execute(SQL["add_oddities"], image, list(codes), at)


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An image as locked: its state and acta now, and the facts of its first arrival."""

    state: str
    acta: ActaId | None
    origen: str
    digitalizacion: str
    acta_hint: str
    closed: bool
    """The last corte is out."""


async def find_image(connection: Connection, image: bytes) -> ImageRow | None:
    """The image as locked; None if there is none."""
    row = await connection.fetchrow(SQL["lock_image"], image)
    return None if row is None else ImageRow(**row)


async def lock_image(connection: Connection, image: bytes) -> ImageRow:
    row = await find_image(connection, image)
    assert row is not None, "an image is added before it is locked"
    return row


async def tie_image(connection: Connection, image: bytes, acta: ActaId, at: datetime) -> None:
    """The image is of this acta, whose row is there from now on."""
    await connection.execute(SQL["tie_image"], image, acta, at)


async def set_image(connection: Connection, image: bytes, state: str, acta: ActaId | None, at: datetime) -> None:
    await connection.execute(SQL["set_image"], image, state, acta, at)


class Alike(Protocol):
    """Images of other actas whose hash is at most `bits` away from that of `image`: keys `clave` and `image` (hex)."""

    async def __call__(
        self, connection: Connection, image: bytes, acta: ActaId, *, bits: int
    ) -> list[Mapping[str, str]]: ...


async def same_photo(connection: Connection, image: bytes, acta: ActaId, *, bits: int) -> list[Mapping[str, str]]:
    """Images alike (`Alike`), among all images of the contest."""
    # Both compare hashes in PostgreSQL: the images themselves are not read.
    return [dict(row) for row in await connection.fetch(SQL["same_photo"], image, acta, bits)]


async def same_photo_named(connection: Connection, image: bytes, acta: ActaId, *, bits: int) -> list[Mapping[str, str]]:
    """Images alike (`Alike`), among the few that people identified."""
    return [dict(row) for row in await connection.fetch(SQL["same_photo_named"], image, acta, bits)]


async def images_of(connection: Connection, acta: ActaId) -> list[bytes]:
    """The images of the acta, in the order of their arrival."""
    return [row["image"] for row in await connection.fetch(SQL["images_of"], acta)]


async def settle_statements(connection: Connection, image: bytes) -> None:
    """What people have said of the image so far does not count any more; it stays on record."""
    await connection.execute(SQL["settle_statements"], image)


async def has_image(connection: Connection, acta: ActaId, image: bytes) -> bool:
    """Whether the image is one of the acta's."""
    return await connection.fetchval(SQL["has_image"], acta, image) is not None


async def add_identification(connection: Connection, image: bytes, source: str, identity: str, at: datetime) -> None:
    """Keep the identity that a QR or a sender told. Statements of people are kept by `desk.add_identification`."""
    await connection.execute(SQL["add_identification"], image, source, identity, at)


@dataclass(frozen=True, slots=True)
# People's statements are facts too: they are added, and never changed.
class Identification:
    source: str
    person: int | None
    site: int | None
    identity: str
    proceso_tecnico: bool
    at: datetime
    open: bool
    """It is a person's, and the image has not been settled since."""


async def identifications(connection: Connection, image: bytes) -> list[Identification]:
    return [Identification(**row) for row in await connection.fetch(SQL["identifications"], image)]


async def acta_by_qr(connection: Connection, qr: str) -> ActaId | None:
    found = await connection.fetchval(SQL["acta_by_qr"], qr)
    return None if found is None else ActaId(found)


async def clave_of_qr(connection: Connection, qr: str) -> str | None:
    """The clave of the acta with this QR text; None if the catalogue has none."""
    found: str | None = await connection.fetchval(SQL["clave_of_qr"], qr)
    return found


async def add_fuera(
    connection: Connection,
    image: bytes,
    row: ImageRow,
    *,
    identity: str,
    form: tuple[str, str],
    decision: int,
    at: datetime,
) -> None:
    """Keep an image of no approved casilla. `form` is its tipo_acta and candidatura: they tell the election."""
    # Its form may be of no election here: the image is kept all the same.
    election: ElectionId | None = await connection.fetchval(SQL["election_of_form"], *form)
    await connection.execute(SQL["add_fuera"], image, identity, election, row.origen, row.digitalizacion, at, decision)


async def fuera_identity(connection: Connection, image: bytes) -> Identity | None:
    """The identity under which the image is listed as fuera de catálogo."""
    said = await connection.fetchval(SQL["fuera_identity"], image)
    read = read_identity(said) if said else None
    return read[0] if read else None


async def made_fuera(connection: Connection, image: bytes, decision: int) -> bool:
    """Whether it was this decision that made the image fuera de catálogo, and not one before it."""
    return bool(await connection.fetchval(SQL["made_fuera"], image, decision))


async def remove_fuera(connection: Connection, image: bytes, decision: int) -> None:
    """The image is no longer fuera de catálogo, as two people decided; nothing if it was not."""
    await connection.execute(SQL["remove_fuera"], image, decision)


@dataclass(frozen=True, slots=True)
class ActaRow:
    """An acta as locked: its state, and the facts of the catalogue that the rules need."""

    id: ActaId
    estado: Estado
    ronda: int
    image: bytes | None
    version: int | None
    version_image: bytes | None
    version_cotejada: int | None
    version_decision: int | None
    clave: str
    lista_nominal: int
    representantes: int
    boletas_maximas: int | None
    votes_per_ballot: int
    rules: str
    options: int
    ballot: Sequence[int]
    """Positions of the options that are on its ballot."""
    closed: bool
    """The last corte is out."""


async def lock_acta(connection: Connection, acta: ActaId, at: datetime) -> ActaRow:
    """The acta's row, locked until the transaction ends; its first lock creates it as Esperada."""
    row = await connection.fetchrow(SQL["lock_acta"], acta)
    if row is None:
        # Most actas are never asked for before their image comes: their row is made by its first lock.
        await connection.execute(SQL["open_acta"], acta, at)
        row = await connection.fetchrow(SQL["lock_acta"], acta)
    assert row is not None
    return ActaRow(**{**row, "estado": Estado(row["estado"])})


async def move_acta(
    connection: Connection, acta: ActaId, move: Move, *, ronda: int, image: bytes | None, at: datetime
) -> None:
    """Move the acta. PostgreSQL finds the new state in its own table of legal moves, and refuses any other move."""
    # The program checked the move already; this is the second lock on the same door.
    await connection.execute(SQL["move_acta"], acta, move, ronda, image, at)


async def replace_image(connection: Connection, acta: ActaId, image: bytes | None, at: datetime) -> None:
    """Make another image of the same acta the current one, or none. The state of the acta stays."""
    await connection.execute(SQL["replace_image"], acta, image, at)


@dataclass(frozen=True, slots=True)
# Captures stay for ever, also those that did not count: an auditor can follow every round.
class KeptCapture:
    """One capture with its moment."""

    id: int
    capture: Capture
    at: datetime


async def captures(connection: Connection, acta: ActaId, ronda: int) -> list[KeptCapture]:
    """The captures of a round, in order."""
    return [
        KeptCapture(
            row["id"],
            Capture(row["person"], row["site"], from_columns(row["numbers"], row["marks"])),
            row["typed_at"],
        )
        for row in await connection.fetch(SQL["captures"], acta, ronda)
    ]


async def resolution(connection: Connection, acta: ActaId, ronda: int) -> tuple[int, datetime] | None:
    """The capture that was chosen among three, and when."""
    row = await connection.fetchrow(SQL["resolution"], acta, ronda)
    # None while the choice is open, or if no choice was needed.
    return None if row is None else (row["entry"], row["resolved_at"])


@dataclass(frozen=True, slots=True)
class Provenance:
    """How the current image came: the columns of the official row beside the numbers."""

    origen: str
    digitalizacion: str
    traslado: str
    tipo_documento: str
    acopio_at: datetime | None
    proceso_tecnico: bool


# The dashes are those of the official file.
NO_PROVENANCE: Final = Provenance("-", "-", "", "-", None, proceso_tecnico=False)
"""Of an acta that never came (sin acta)."""


async def says_no_image(connection: Connection, image: bytes) -> bool:
    """Whether it is a page in the place of an image, that says that there is none (`TipoDocumento.SIN_IMAGEN`)."""
    return bool(await connection.fetchval(SQL["says_no_image"], image))


async def provenance(connection: Connection, image: bytes) -> Provenance:
    row = await connection.fetchrow(SQL["first_arrival"], image)
    # The first arrival counts: later copies of the same image change no column of the official row.
    assert row is not None, "an acta's image has arrived"
    return Provenance(**row)


@dataclass(frozen=True, slots=True)
class Version:
    """All values of one version of an acta, except its key."""

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
    # Ready for the official file: a corte of half a million rows only copies them.
    quantities: str
    tail: str
    decision: int | None = None
    """The proposal by which two people said that the acta will not come, or is expected again."""


RETIRO: Final = "retiro"
"""The reason of a version that says nothing: the acta is expected again."""


async def count_version(connection: Connection, version: Version, move: Move, at: datetime) -> None:
    """Append the version, make it the current one and move the acta. Its tasks end: no person must type it now."""
    # One statement: the version, the pointer to it, the state and the end of its tasks. Readers see all or none.
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
        move,
        at,
        version.decision,
    )


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
) -> None:
    """Add a task for a person. If it exists already, it stays one task.

    `not_site` counts only if people of two or more sites capture.
    """
    await connection.execute(
        # A second delivery adds the same task: the unique key of the table makes one of both.
        SQL["add_task"],
        kind,
        acta,
        image,
        ronda,
        ordinal,
        queue_at,
        at,
        list(not_persons),
        not_site,
    )


async def drop_tasks(connection: Connection, acta: ActaId) -> None:
    # Also a task that somebody holds: its lease then leads to no task, and the screen says so.
    await connection.execute(SQL["drop_tasks"], acta)


async def better_image(connection: Connection, acta: ActaId, image: bytes) -> bool:
    """Give the first capture a better image, if no person has begun it; False if a person has."""
    # A task that somebody holds keeps its image: the person goes on with the one on the screen.
    result = await connection.execute(SQL["better_image"], acta, image)
    return result == "UPDATE 1"


async def add_event(
    # Every event becomes a leaf of the log (*incidente*).
    connection: Connection,
    kind: str,
    subject: str,
    detail: Mapping[str, object],
    at: datetime,
) -> None:
    await connection.execute(SQL["add_event"], kind, subject, json.dumps(detail, ensure_ascii=False), at)


async def version(connection: Connection, version_id: int) -> Version:
    """A version as it was added. The caller changes a copy of it and appends the copy."""
    # Read back whole, so that a correction repeats everything that it does not change.
    row = await connection.fetchrow(SQL["version"], version_id)
    assert row is not None
    return Version(
        acta=ActaId(row["acta"]),
        ronda=row["ronda"],
        reason=row["reason"],
        person=row["person"],
        image=row["image"],
        # No numbers: the version says that the acta will not come (sin acta).
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
        decision=row["decision"],
    )
