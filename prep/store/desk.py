"""Tasks that wait for people, their answers, and what the screens show of an acta, as typed functions over `desk.sql`.

Whoever answers locks the task first, by its lease; the answer, the end of the task and the message that says so commit
together. A lease is a random number that only its holder knows; after `until` the task is anybody's again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import asyncpg

from prep.domain.acta import Estado
from prep.domain.catalog import ActaId, Ambito, ContestId, TerritoryKind
from prep.domain.entry import HEADER, TOTAL, Values, from_columns
from prep.domain.rules import Observation, vote_limit
from prep.errors import Rejected
from prep.messages import Message
from prep.store.database import Connection, sql

SQL: Final = sql("desk")

HEADER_NAMES: Final = (
    "Boletas sobrantes",
    "Personas que votaron",
    "Representantes que votaron",
    "Votos sacados de la urna",
)
TOTAL_NAME: Final = "Total de votos asentado"


class Kind(StrEnum):
    """The steps that wait for a person."""

    CAPTURA = "captura"
    IDENTIFICACION = "identificacion"
    RESOLUCION = "resolucion"


# What never changes during a night: read once.


@dataclass(frozen=True, slots=True)
class Form:
    """What stands on the actas of one contest."""

    election: str
    title: str
    ambito: Ambito
    contest: str
    ballot: tuple[int, ...]
    """Columns of the election that are on this ballot, in the order of the form."""
    columns: int
    """Options of the whole election."""
    codes: tuple[str, ...]
    """Of every field in form order: header, ballot, total."""
    names: tuple[str, ...]

    def campos(self, digitos: int) -> list[dict[str, str | int]]:
        return [
            {"codigo": code, "nombre": name, "digitos": digitos}
            for code, name in zip(self.codes, self.names, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Forms:
    """Every contest's form, and the names of the territories by kind, entidad and number."""

    of: dict[ContestId, Form]
    territory: dict[tuple[str, int, int], str]

    def name(self, kind: TerritoryKind, entidad: int, number: int) -> str:
        """The territory's name; '' where the casilla belongs to none."""
        return self.territory.get((kind, entidad, number), "")


async def forms(connection: Connection) -> Forms:
    """All forms of the catalogue."""
    elections = {row["id"]: row for row in await connection.fetch(SQL["elections"])}
    options: dict[int, list[tuple[str, str]]] = {election: [] for election in elections}
    for row in await connection.fetch(SQL["options"]):
        options[row["election"]].append((row["code"], row["name"] or row["code"]))
    made = {}
    for row in await connection.fetch(SQL["contests"]):
        election, all_options = elections[row["election"]], options[row["election"]]
        ballot = [all_options[position] for position in row["ballot"]]
        made[ContestId(row["id"])] = Form(
            election=election["code"],
            title=election["title"],
            ambito=Ambito(election["ambito"]),
            contest=row["name"],
            ballot=tuple(row["ballot"]),
            columns=len(all_options),
            codes=(*HEADER, *(code for code, _ in ballot), TOTAL),
            names=(*HEADER_NAMES, *(name for _, name in ballot), TOTAL_NAME),
        )
    territories = await connection.fetch(SQL["territories"])
    return Forms(made, {(row["kind"], row["entidad"], row["id"]): row["name"] for row in territories})


# A lease.


@dataclass(frozen=True, slots=True)
class Place:
    """Where an acta is from, as the catalogue's numbers."""

    entidad: int
    distrito_federal: int
    distrito_local: int
    municipio: int
    seccion: int
    tipo: str
    numero: int
    ext_contigua: int


@dataclass(frozen=True, slots=True)
class LeasedActa:
    id: ActaId
    clave: str
    contest: ContestId
    digitos: int
    place: Place


@dataclass(frozen=True, slots=True)
class Leased:
    """A step that somebody holds until `until`."""

    lease: UUID
    kind: Kind
    image: bytes
    ronda: int
    until: datetime
    acta: LeasedActa | None


async def lease(
    connection: Connection,
    *,
    person: int,
    site: int,
    kinds: Sequence[Kind],
    supervisor: bool,
    new: UUID,
    now: datetime,
    until: datetime,
    any_site_before: datetime,
) -> Leased | None:
    """The step this person holds already, or else one that waits and this person may do; None where none does.

    One statement: of many who ask at once each gets another. Somebody's expired lease is given back first. A step for
    another site that was opened before `any_site_before` is anybody's: that site may be lost.
    """
    while True:
        try:
            row = await connection.fetchrow(
                SQL["lease"], person, site, kinds, now, until, new, supervisor, any_site_before
            )
        except asyncpg.UniqueViolationError:
            continue  # the same person asked twice at once, and the other request has just been given one
        if row is None or row["lease_until"] > now:
            return None if row is None else _leased(row)
        await connection.execute(SQL["give_back_expired"], person, now)


def _leased(row: asyncpg.Record) -> Leased:
    acta = None
    if row["acta"] is not None:
        place = Place(**{name: row[name] for name in Place.__dataclass_fields__})
        acta = LeasedActa(ActaId(row["acta"]), row["clave"], ContestId(row["contest"]), row["digitos"], place)
    return Leased(row["lease"], Kind(row["kind"]), row["image"], row["ronda"], row["lease_until"], acta)


async def give_back(connection: Connection, lease: UUID, person: int) -> None:
    """The step waits for anybody again."""
    await connection.execute(SQL["give_back"], lease, person)


# An answer.


@dataclass(frozen=True, slots=True)
class OnForm:
    """What is needed to read what was typed from an acta, and to warn about it."""

    acta: ActaId
    contest: ContestId
    digitos: int
    limit: int | None
    """The most votes it can hold; None where there is no limit."""


@dataclass(frozen=True, slots=True)
class Task:
    """A leased step as it was when it was read: an answer ends it only while its lease is still this one."""

    id: int
    lease: UUID
    kind: Kind
    image: bytes
    ronda: int
    ordinal: int
    person: int
    until: datetime
    form: OnForm | None
    """None while the image has no acta."""


async def task(connection: Connection, lease: UUID) -> Task | None:
    """The step under that lease; None where it is answered, dropped, or was given to another."""
    row = await connection.fetchrow(SQL["task"], lease)
    if row is None:
        return None
    return Task(
        id=row["id"],
        lease=row["lease"],
        kind=Kind(row["kind"]),
        image=row["image"],
        ronda=row["ronda"],
        ordinal=row["ordinal"],
        person=row["lease_person"],
        until=row["lease_until"],
        form=None if row["acta"] is None else _on_form(row),
    )


def _on_form(row: asyncpg.Record) -> OnForm:
    limit = vote_limit(row["lista_nominal"], row["representantes"], row["boletas_maximas"], row["votes_per_ballot"])
    return OnForm(ActaId(row["acta"]), ContestId(row["contest"]), row["digitos"], limit)


@dataclass(frozen=True, slots=True)
class Answered:
    """A capture that was submitted, or chosen, before; `person` is who did that."""

    id: int
    person: int
    values: Values
    form: OnForm


async def add_entry(
    connection: Connection, task: Task, values: Values, *, site: int, at: datetime, message: Message
) -> int | None:
    """Keep what was typed for ever, end the step and send `message`; returns the capture's id.

    None where the lease has ended meanwhile. Raises Rejected where this person has typed this acta in this round
    before, whatever led here.
    """
    typed = (values.numbers, values.marks)
    told = (message.id, message.topic.value, message.key, message.body)
    try:
        added: int | None = await connection.fetchval(SQL["add_entry"], task.id, task.lease, site, at, *typed, *told)
    except asyncpg.UniqueViolationError:
        raise Rejected("usted ya capturó esta acta; le toca a otra persona", status=409) from None
    return added


async def entry_by_lease(connection: Connection, lease: UUID) -> Answered | None:
    return _answered(await connection.fetchrow(SQL["entry_by_lease"], lease))


async def resolution_by_lease(connection: Connection, lease: UUID) -> Answered | None:
    return _answered(await connection.fetchrow(SQL["resolution_by_lease"], lease))


def _answered(row: asyncpg.Record | None) -> Answered | None:
    if row is None:
        return None
    return Answered(row["id"], row["person"], from_columns(row["numbers"], row["marks"]), _on_form(row))


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person said an image is."""

    identity: str
    """Canonical QR text; '' where it cannot be identified."""
    proceso_tecnico: bool


async def add_identification(connection: Connection, task: Task, said: Statement, *, site: int, at: datetime) -> bool:
    """Keep the statement and end the step; False where the lease has ended meanwhile.

    Raises Rejected where this person has said so before.
    """
    words = (said.identity, said.proceso_tecnico)
    try:
        return bool(await connection.fetchval(SQL["add_identification"], task.id, task.lease, site, *words, at))
    except asyncpg.UniqueViolationError:
        raise Rejected("usted ya identificó esta imagen; le toca a otra persona", status=409) from None


async def identification_by_lease(connection: Connection, lease: UUID) -> tuple[int, Statement] | None:
    """Who said what under that lease."""
    row = await connection.fetchrow(SQL["identification_by_lease"], lease)
    return None if row is None else (row["person"], Statement(row["identity"], row["proceso_tecnico"]))


async def add_resolution(connection: Connection, task: Task, entry: int, at: datetime) -> bool:
    """Keep which of three captures was chosen, and end the step; False where the lease has ended meanwhile."""
    try:
        return bool(await connection.fetchval(SQL["add_resolution"], task.id, task.lease, entry, at))
    except asyncpg.UniqueViolationError:
        raise Rejected("esta acta ya está resuelta", status=409) from None


# What the screens show.


@dataclass(frozen=True, slots=True)
class ImageAccess:
    format: str
    web: str | None
    """Digest of the derivative; None where it is not made yet."""
    held: bool
    """This person holds a lease on it."""


async def image_for(connection: Connection, image: bytes, person: int, now: datetime) -> ImageAccess | None:
    row = await connection.fetchrow(SQL["image_for"], image, person, now)
    if row is None:
        return None
    return ImageAccess(row["format"], row["web"].hex() if row["web"] else None, row["held"])


async def acta_id(connection: Connection, election: str, clave: str) -> ActaId:
    """Raises Rejected (404) where the catalogue has no such acta."""
    named = (election + clave).isprintable()
    found: int | None = await connection.fetchval(SQL["acta_id"], election, clave) if named else None
    if found is None:
        raise Rejected(f"no hay en el catálogo un acta {clave} de {election}", status=404)
    return ActaId(found)


async def sin_acta_now(connection: Connection, acta: ActaId) -> Observation | None:
    """The kind of sin acta that counts for it now, if one does."""
    observed: list[str] | None = await connection.fetchval(SQL["sin_acta_now"], acta)
    return Observation(observed[0]) if observed else None


VERIFIED: Final = frozenset({Estado.VERIFICADA, Estado.PUBLICADA, Estado.COTEJADA})


async def acta_state(connection: Connection, acta: ActaId) -> dict[str, Any]:
    """The acta as supervisors and auditors see it: captures only once nobody is left who must type it blind."""
    row = await connection.fetchrow(SQL["acta_state"], acta)
    assert row is not None
    images = await connection.fetch(SQL["acta_images"], acta)
    shown = await connection.fetch(SQL["acta_entries"], acta) if row["estado"] in VERIFIED else []
    return {
        "estado": row["estado"],
        "ronda": row["ronda"],
        "contabilizada": row["contabilizada"],
        "cotejada": row["cotejada"],
        "observaciones": row["observations"] or [],
        "imagenes": [
            {
                "sha256": image["sha256"].hex(),
                "formato": image["format"],
                "bytes": image["bytes"],
                "recibida": image["received_at"].isoformat(),
                "vigente": image["sha256"] == row["image"],
            }
            for image in images
        ],
        "capturas": [
            {
                "ronda": entry["ronda"],
                "ordinal": entry["ordinal"],
                "hora": entry["typed_at"].isoformat(),
                "numeros": entry["numbers"],
                "marcas": entry["marks"],
            }
            for entry in shown
        ],
    }
