"""Tasks that wait for people, the values that people give, the data of the screens: typed functions over `desk.sql`.

A capture locks the task first, by its lease. The capture, the end of the task and its message commit together. A lease
is a random number that only its holder knows. After `until` every person may take the task again.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg

from prep.domain.acta import Estado
from prep.domain.catalog import ActaId, Ambito, ContestId, TerritoryKind
from prep.domain.entry import HEADER, TOTAL, Values, from_columns
from prep.domain.layout import FormLayout, FoundMarks
from prep.domain.rules import vote_limit
from prep.errors import Code, Rejected
from prep.messages import Message
from prep.store.database import OF_ANOTHER_SITE, Connection, sql

SQL: Final = sql("desk")
T = TypeVar("T")

HEADER_NAMES: Final = (
    "Boletas sobrantes",
    "Personas que votaron",
    "Representantes que votaron",
    "Votos sacados de la urna",
)
TOTAL_NAME: Final = "Total de votos asentado"


class TaskKind(StrEnum):
    """The tasks that wait for a person."""

    CAPTURA = "captura"
    IDENTIFICACION = "identificacion"
    RESOLUCION = "resolucion"


CONTROL: Final = "control"
"""The kind of a hidden known acta in the table of tasks. Everybody is told that it is a capture."""
LOOKS: Final = 20
"""How often a request looks for a task, while others hold those that wait for as long as their own request takes."""
LOOK: Final = 0.02
"""Seconds between two of these looks."""


def _kind_told(kind: str) -> TaskKind:
    return TaskKind.CAPTURA if kind == CONTROL else TaskKind(kind)


# These facts never change during a night: they are read once.


@dataclass(frozen=True, slots=True)
class Form:
    """The fields that stand on the actas of one contest."""

    election: str
    title: str
    ambito: Ambito
    contest: str
    ballot: tuple[int, ...]
    """Columns of the election that are on this ballot, in the order of the form."""
    columns: int
    """Options of the whole election."""
    # The screen, the official row and the comparison all follow this one order.
    codes: tuple[str, ...]
    """Of every field in form order: header, ballot, total."""
    names: tuple[str, ...]
    layout: FormLayout | None
    """Where the fields stand on the paper, if the catalogue says so."""

    def campos(self, digitos: int, recortes: Mapping[str, list[list[int]]]) -> list[dict[str, Any]]:
        """The fields as a task tells them. `recortes` are the strips by code; a field that has none tells null."""
        return [
            {"codigo": code, "nombre": name, "digitos": digitos, "recorte": recortes.get(code)}
            for code, name in zip(self.codes, self.names, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Forms:
    """Every contest's form, and the names of the territories by kind, entidad and number."""

    of: dict[ContestId, Form]
    territory: dict[tuple[str, int, int], str]
    layouts: tuple[FormLayout, ...] = ()
    """The layouts of all forms, those with the same marks once."""

    def name(self, kind: TerritoryKind, entidad: int, number: int) -> str:
        """The territory's name; '' if the casilla belongs to none."""
        return self.territory.get((kind, entidad, number), "")


async def forms(connection: Connection) -> Forms:
    """All forms of the catalogue."""
    elections = {row["id"]: row for row in await connection.fetch(SQL["elections"])}
    # Three small tables are read once and joined here, so that a screen costs no query for its form.
    options: dict[int, list[tuple[str, str]]] = {election: [] for election in elections}
    for row in await connection.fetch(SQL["options"]):
        options[row["election"]].append((row["code"], row["name"] or row["code"]))
    layouts = {
        row["contest"]: _read(FormLayout.from_json, row["layout"]) for row in await connection.fetch(SQL["layouts"])
    }
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
            layout=layouts.get(row["id"]),
        )
    territories = await connection.fetch(SQL["territories"])
    return Forms(
        made,
        {(row["kind"], row["entidad"], row["id"]): row["name"] for row in territories},
        (*{layout.marks: layout for layout in layouts.values()}.values(),),
    )


def _read(read: Callable[[Mapping[str, Any]], T], told: str) -> T:
    return read(json.loads(told))


# The catalogue as a person reads it, who says which acta an image is.


async def municipios(connection: Connection) -> list[dict[str, Any]]:
    """Every municipio that has a casilla, with its name and that of its entidad."""
    return [dict(row) for row in await connection.fetch(SQL["municipios"])]


async def secciones(connection: Connection, entidad: int, municipio: int) -> list[int]:
    return [row["seccion"] for row in await connection.fetch(SQL["secciones"], entidad, municipio)]


async def actas_of_seccion(connection: Connection, entidad: int, municipio: int, seccion: int) -> list[dict[str, str]]:
    """The actas of one sección: the casilla as it is written, the election, and the text of the QR."""
    return [
        {
            "casilla": casilla_name(row["tipo"], row["numero"], row["ext_contigua"]),
            "eleccion": row["eleccion"],
            "clave": row["clave"],
            "titulo": row["titulo"],
            "identidad": row["identidad"],
        }
        for row in await connection.fetch(SQL["actas_of_seccion"], entidad, municipio, seccion)
    ]


def casilla_name(tipo: str, numero: int, ext_contigua: int) -> str:
    """As people write it: B01, C02, E01C01."""
    return f"{tipo}{numero:02}" + (f"C{ext_contigua:02}" if ext_contigua else "")


# A lease.


@dataclass(frozen=True, slots=True)
class CasillaPlace:
    """The casilla of an acta, as the catalogue's numbers."""

    entidad: int
    distrito_federal: int
    distrito_local: int
    municipio: int
    seccion: int
    tipo: str
    numero: int
    ext_contigua: int


@dataclass(frozen=True, slots=True)
class TaskActa:
    id: ActaId
    clave: str
    contest: ContestId
    digitos: int
    limit: int | None
    """The most votes it can hold; None if there is no limit."""
    place: CasillaPlace


@dataclass(frozen=True, slots=True)
class HeldTask:
    """A task that somebody holds until `until`."""

    lease: UUID
    kind: TaskKind
    image: bytes
    ronda: int
    until: datetime
    web: bool
    """Whether there is a web copy of the image."""
    oddities: Sequence[str]
    """Codes of the oddities of the image."""
    marks: FoundMarks | None
    """The marks that were found in the image."""
    acta: TaskActa | None


async def lease(
    connection: Connection,
    *,
    person: int,
    site: int,
    kinds: Sequence[TaskKind],
    new: UUID,
    now: datetime,
    until: datetime,
    any_site_before: datetime,
) -> HeldTask | None:
    """The task that this person holds already, or else a waiting task that this person may do; None if there is none.

    It is one statement, so people who ask at the same time get different tasks. An expired lease is given back first.
    A task of another site is open to all if it was opened before `any_site_before`: that site may be lost.
    """
    looks = LOOKS
    while True:
        try:
            row = await connection.fetchrow(SQL["lease"], person, site, kinds, now, until, new, any_site_before)
        except asyncpg.UniqueViolationError:
            continue  # the same person asked twice at once, and the other request has just been given one
        if row is None:
            looks -= 1
            if not looks or not await connection.fetchval(
                SQL["lease_again"], person, site, kinds, now, any_site_before
            ):
                return None
            await asyncio.sleep(LOOK)
        # The row may be the person's own task from before, whose time is over: that one is given back first.
        elif row["lease_until"] > now:
            return _held_task(row)
        else:
            await connection.execute(SQL["give_back_expired"], person, now)


async def draw_control(
    connection: Connection,
    *,
    person: int,
    site: int,
    new: UUID,
    now: datetime,
    until: datetime,
    any_site_before: datetime,
    overdue_before: datetime,
) -> None:
    """Give this person a hidden known acta, which `lease` then tells like any capture; nothing if none may be given.

    None is given if the person holds a task, if no capture waits for this person, if a capture or a choice of anybody
    has waited since before `overdue_before`, or if every acta that was verified since the last corte is one that this
    person has had.
    """
    # Two requests at once, or two people with the same acta: the second gets none, and then a task like any other.
    moments = (now, until, new, any_site_before, overdue_before)
    await connection.execute(SQL["draw_control"], person, site, *moments)


def _held_task(row: asyncpg.Record) -> HeldTask:
    acta = None
    if row["acta"] is not None:
        # The names of the columns are those of the fields.
        place = CasillaPlace(**{name: row[name] for name in CasillaPlace.__dataclass_fields__})
        on_form = _on_form(row)
        acta = TaskActa(on_form.acta, row["clave"], on_form.contest, on_form.digitos, on_form.limit, place)
    return HeldTask(
        row["lease"],
        _kind_told(row["kind"]),
        row["image"],
        row["ronda"],
        row["lease_until"],
        row["web"],
        row["oddities"],
        None if row["marks"] is None else _read(FoundMarks.from_json, row["marks"]),
        acta,
    )


# A person who stops in the middle need not wait for the end of the lease.
async def give_back(connection: Connection, lease: UUID, person: int) -> None:
    """End the lease: the task waits for all people again."""
    await connection.execute(SQL["give_back"], lease, person)


# The values that a person gives.


@dataclass(frozen=True, slots=True)
class OnForm:
    """The facts of an acta that are needed to read its capture, and to warn about it."""

    acta: ActaId
    contest: ContestId
    digitos: int
    limit: int | None
    """The most votes it can hold; None if there is no limit."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task as read under its lease. A capture ends the task only if the lease is still the same."""

    id: int
    lease: UUID
    kind: TaskKind
    image: bytes
    ronda: int
    ordinal: int
    person: int
    until: datetime
    form: OnForm | None
    """None while the image has no acta."""
    control: bool
    """A hidden known acta: nothing of it counts."""


async def task(connection: Connection, lease: UUID) -> Task | None:
    """The task under that lease; None if it is done, dropped, or was given to another."""
    row = await connection.fetchrow(SQL["task"], lease)
    if row is None:
        return None
    return Task(
        id=row["id"],
        lease=row["lease"],
        kind=_kind_told(row["kind"]),
        image=row["image"],
        ronda=row["ronda"],
        ordinal=row["ordinal"],
        person=row["lease_person"],
        until=row["lease_until"],
        form=None if row["acta"] is None else _on_form(row),
        control=row["kind"] == CONTROL,
    )


def _on_form(row: asyncpg.Record) -> OnForm:
    # The rule stands in prep/domain/rules.py; here are only its four numbers.
    limit = vote_limit(row["lista_nominal"], row["representantes"], row["boletas_maximas"], row["votes_per_ballot"])
    return OnForm(ActaId(row["acta"]), ContestId(row["contest"]), row["digitos"], limit)


@dataclass(frozen=True, slots=True)
# A client that lost the answer sends again: by its lease the earlier capture is found, and compared.
class EarlierCapture:
    """A capture that was submitted, or chosen, before; `person` is who did that."""

    id: int
    person: int
    values: Values
    form: OnForm
    ronda: int


@dataclass(frozen=True, slots=True)
class CaptureNote:
    """What a screen tells beside the values; it decides nothing."""

    letters: Sequence[str] = ()
    """Codes of the fields whose letters and figures contradict each other."""
    milliseconds: int | None = None
    """From the image to the answer."""
    keys: int | None = None


NO_NOTE: Final = CaptureNote()


async def add_capture(
    connection: Connection,
    task: Task,
    values: Values,
    *,
    site: int,
    at: datetime,
    message: Message,
    note: CaptureNote = NO_NOTE,
) -> int | None:
    """Keep the capture for ever, end the task and send `message`; returns the capture's id.

    None if the lease has ended meanwhile. Raises Rejected if this person has captured this acta in this
    round before. A hidden known acta is kept apart, and no message is sent.
    """
    # One statement does all three: the fact, the end of the task and the message. Half of it cannot happen.
    columns = (values.numbers, values.marks)
    told = (message.id, message.topic.value, message.key, message.body, message.type, message.source)
    noted = (note.letters, note.milliseconds, note.keys)
    query, more = ("add_control_capture", noted) if task.control else ("add_capture", (*told, *noted, note != NO_NOTE))
    try:
        added: int | None = await connection.fetchval(SQL[query], task.id, task.lease, site, at, *columns, *more)
    except asyncpg.PostgresError as error:
        twice = isinstance(error, asyncpg.UniqueViolationError)
        if twice or error.sqlstate == OF_ANOTHER_SITE:
            # This person may not do it: another one gets it now, and not when the lease ends.
            await give_back(connection, task.lease, task.person)
        if twice:
            raise Rejected("usted ya capturó esta acta; le toca a otra persona", code=Code.CAPTURED_BEFORE) from None
        raise
    return added


async def capture_by_lease(connection: Connection, lease: UUID) -> EarlierCapture | None:
    return _earlier_capture(await connection.fetchrow(SQL["capture_by_lease"], lease))


async def resolution_by_lease(connection: Connection, lease: UUID) -> EarlierCapture | None:
    return _earlier_capture(await connection.fetchrow(SQL["resolution_by_lease"], lease))


def _earlier_capture(row: asyncpg.Record | None) -> EarlierCapture | None:
    if row is None:
        return None
    values = from_columns(row["numbers"], row["marks"])
    return EarlierCapture(row["id"], row["person"], values, _on_form(row), row["ronda"])


@dataclass(frozen=True, slots=True)
class Statement:
    """The identity that a person gave to an image."""

    identity: str
    """Canonical QR text; '' if it cannot be identified."""
    proceso_tecnico: bool


async def add_identification(connection: Connection, task: Task, said: Statement, *, site: int, at: datetime) -> bool:
    """Keep the statement and end the task; False if the lease has ended meanwhile.

    Raises Rejected if this person has said so before.
    """
    # The unique key of the facts speaks below: a person says it once for an image, also under another lease.
    words = (said.identity, said.proceso_tecnico)
    try:
        return bool(await connection.fetchval(SQL["add_identification"], task.id, task.lease, site, *words, at))
    except asyncpg.UniqueViolationError:
        raise Rejected("usted ya identificó esta imagen; le toca a otra persona", code=Code.IDENTIFIED_BEFORE) from None


async def identification_by_lease(connection: Connection, lease: UUID) -> tuple[int, Statement] | None:
    """Who said what under that lease."""
    row = await connection.fetchrow(SQL["identification_by_lease"], lease)
    return None if row is None else (row["person"], Statement(row["identity"], row["proceso_tecnico"]))


async def add_resolution(connection: Connection, task: Task, capture: int, at: datetime) -> bool:
    """Keep which of three captures was chosen, and end the task; False if the lease has ended meanwhile.

    Raises Rejected if the acta has been resolved, or if this person typed one of the three.
    """
    try:
        # The choice and the end of its task commit together; the message follows in the same transaction.
        return bool(await connection.fetchval(SQL["add_resolution"], task.id, task.lease, capture, at))
    except asyncpg.UniqueViolationError:
        raise Rejected("esta acta ya está resuelta", code=Code.RESOLVED_BEFORE) from None
    # Each of the three would choose her own capture: the task is not theirs, and PostgreSQL refuses them too.
    except asyncpg.CheckViolationError:
        raise Rejected(
            "usted capturó esta acta: entre las tres capturas elige quien no tecleó ninguna", code=Code.OWN_CHOICE
        ) from None


# The data of the screens.


@dataclass(frozen=True, slots=True)
class ImageAccess:
    format: str
    web: str | None
    """Digest of the derivative; None if it is not made yet."""
    held: bool
    """This person holds a lease on it."""


async def image_for(connection: Connection, image: bytes, person: int, now: datetime) -> ImageAccess | None:
    # One query answers both: may this person see it, and which file is shown.
    row = await connection.fetchrow(SQL["image_for"], image, person, now)
    if row is None:
        return None
    return ImageAccess(row["format"], row["web"].hex() if row["web"] else None, row["held"])


async def acta_id(connection: Connection, election: str, clave: str) -> ActaId:
    """Raises Rejected (404) if the catalogue has no such acta."""
    # PostgreSQL has no text with a zero byte: such a name is in no catalogue.
    named = (election + clave).isprintable()
    found: int | None = await connection.fetchval(SQL["acta_id"], election, clave) if named else None
    if found is None:
        raise Rejected(f"no hay en el catálogo un acta {clave} de {election}", code=Code.NO_ACTA)
    return ActaId(found)


VERIFIED: Final = frozenset({Estado.VERIFICADA, Estado.PUBLICADA, Estado.COTEJADA})


async def acta_state(connection: Connection, acta: ActaId) -> dict[str, Any]:
    """The acta as supervisors and auditors see it: captures only once nobody is left who must type it blind."""
    row = await connection.fetchrow(SQL["acta_state"], acta)
    assert row is not None
    # All of them, also those that a better copy replaced: an auditor sees the whole way.
    images = await connection.fetch(SQL["acta_images"], acta)
    # Blind means blind: before two people agree, nobody sees a number that another typed.
    shown = await connection.fetch(SQL["acta_captures"], acta) if row["estado"] in VERIFIED else []
    return {
        "qr": row["qr"],
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
                "ronda": capture["ronda"],
                "ordinal": capture["ordinal"],
                "hora": capture["typed_at"].isoformat(),
                "numeros": capture["numbers"],
                "marcas": capture["marks"],
                "letras": capture["letters"],
            }
            for capture in shown
        ],
    }


async def board(connection: Connection, now: datetime, since: datetime, typists: Sequence[str]) -> dict[str, Any]:
    """The whole night at a glance: the work that waits, the states of the actas, and the speed of people since then."""
    waiting = await connection.fetch(SQL["board_waiting"], now)
    actas = await connection.fetch(SQL["board_actas"])
    people = await connection.fetch(SQL["board_people"], now, since, typists)
    return {
        "hora": now.isoformat(),
        "desde": since.isoformat(),
        "esperan": [_told(row) for row in waiting],
        "actas": [_told(row) for row in actas],
        "personas": [_told(row) for row in people],
    }


def _told(row: asyncpg.Record) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
