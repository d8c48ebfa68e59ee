"""The whole way of an acta on a real database: in any order of things, however often a message comes."""

import asyncio
import hashlib
import random
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.entries import Desk
from prep import pipeline
from prep.blobs import Blobs
from prep.domain.catalog import Catalog
from prep.domain.entry import HEADER, Mark, Values
from prep.domain.hours import CENTRAL
from prep.domain.rules import SIN_ACTA
from prep.errors import Rejected
from prep.files.catalog_files import load_catalog
from prep.messages import ActaTouched, ImageNamed, ImageReceived, Message, Topic
from prep.pipeline import Given
from prep.rehearsal.replay import Sheet
from prep.rehearsal.synthetic import synthetic
from prep.scan import SAME_PHOTO
from prep.scan.oddities import SENTENCES, Oddity
from prep.scan.reading import Reading, Unread
from prep.store import catalog as catalog_store
from prep.store import deliveries, embedded, people
from prep.store import pipeline as store
from prep.store.database import Pool, open_pool, transaction
from prep.store.desk import TaskKind
from prep.store.night import Declared
from prep.store.people import Person, Role
from prep.store.tonight import Tonight
from prep.upload import Digitalizacion, Origen, TipoDocumento
from tests.conftest import Night, cloned
from tests.makers.cast import LOGGED_IN
from tests.makers.declared import TONIGHT
from tests.makers.two_people import say_sin_acta

START = datetime(2027, 6, 7, 1, 0, tzinfo=UTC)
CASILLAS = 4


@dataclass
class World:
    """A small night in the hands of a test: the clock, the people, the messages that are on their way."""

    pool: Pool
    desk: Desk
    catalog: Catalog
    sheets: list[Sheet]
    persons: list[Person]
    clock: list[datetime]
    operador: int
    cotejador: int
    chance: Callable[[], float] = lambda: 0.0
    on_the_way: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    qr_lost: set[str] = field(default_factory=set)
    photos: dict[str, bytes] = field(default_factory=dict)
    """Perceptual hashes of images; each of the others looks like no other."""
    by_clave: dict[tuple[str, str], Sheet] = field(default_factory=dict)
    by_image: dict[str, Sheet] = field(default_factory=dict)

    @property
    def given(self) -> Given:
        return Given(lambda: self.clock[0], self.chance, lambda: CENTRAL)

    def arrive(
        self,
        sheet: Sheet,
        *,
        number: int = 1,
        copy: int = 0,
        scanner: bool = False,
        paper: TipoDocumento = TipoDocumento.ACTA_PREP,
    ) -> ImageReceived:
        digest = hashlib.sha256(f"{sheet.key} {copy}".encode()).hexdigest()
        self.by_image[digest] = sheet
        received = ImageReceived(
            sha256=digest,
            bytes=10,
            format="jpeg",
            device="d1",
            sequence=number,
            origen=Origen.CATD if scanner else Origen.CASILLA,
            digitalizacion=Digitalizacion.ESCANER if scanner else Digitalizacion.MOVIL,
            traslado="",
            tipo_documento=paper,
            acopio_at=sheet.acopio,
            acta_hint="",
            received_at=self.clock[0],
        )
        message = received.message()
        self.on_the_way[message.key].append(message)
        return received

    async def deliver(self, message: Message) -> None:
        """As the worker does it: effects and the mark in one transaction; a second delivery finds the mark."""
        async with transaction(self.pool) as connection:
            group = "digitize" if message.topic is Topic.IMAGES else "validate"
            if not await deliveries.first_time(connection, group, message.id):
                return
            if message.topic is Topic.IMAGES:
                received = ImageReceived.model_validate_json(message.body)
                text = None if received.sha256 in self.qr_lost else self.by_image[received.sha256].qr
                made = hashlib.sha256(received.sha256.encode()).digest()
                photo = self.photos.get(received.sha256, hashlib.shake_256(made).digest(128))
                reading = Reading(text, "zxing" if text else None, 10, 10, photo, made, made)
                await pipeline.digitized(connection, received, reading, self.given)
            elif message.key.startswith("acta:"):
                await pipeline.touched(connection, ActaTouched.model_validate_json(message.body), self.given)
            else:
                await pipeline.named(connection, ImageNamed.model_validate_json(message.body), self.given)

    async def collect(self) -> None:
        """What the desk put in the outbox is on its way."""
        async with transaction(self.pool) as connection:
            for row in await connection.fetch("DELETE FROM outbox RETURNING seq, id, topic, key, body"):
                self.on_the_way[row["key"]].append(Message(Topic(row["topic"]), row["key"], row["id"], row["body"]))

    async def settle(self) -> None:
        """Deliver everything that is on its way, in order for each key."""
        await self.collect()
        while any(self.on_the_way.values()):
            for key in list(self.on_the_way):
                for message in self.on_the_way.pop(key):
                    await self.deliver(message)
            await self.collect()

    async def work(self, person: Person, *, wrong: int = 0) -> str | None:
        """One task by this person, `wrong` added to one field; its kind, None if none waits."""
        task = await self.desk.lease(person, list(TaskKind))
        if task is None:
            return None
        lease = uuid.UUID(task["tarea"])
        if task["tipo"] == "identificacion":
            sheet = self.by_image[task["imagen"].rsplit("/", 1)[1]]
            await self.desk.identify(person, lease, identity=sheet.qr, proceso_tecnico=False)
            return "identificacion"
        sheet = self.by_clave[task["acta"]["eleccion"], task["acta"]["clave"]]
        right = sheet.capture()
        if task["tipo"] == "resolucion":
            right = {field["codigo"]: right[field["codigo"]] for field in task["campos"]}
            await self.desk.resolve(person, lease, right if right in task["capturas"] else task["capturas"][0])
            return "resolucion"
        said = right["VOTOS_SACADOS"]
        right["VOTOS_SACADOS"] = (said + wrong) % 1000 if isinstance(said, int) else said
        await self.desk.submit(person, lease, right)
        return str(task["tipo"])

    async def current(self) -> dict[str, tuple[list[int | None], str, int]]:
        """What counts, by QR text: numbers, marks, CONTABILIZADA."""
        async with transaction(self.pool) as connection:
            rows = await connection.fetch(
                "SELECT a.qr, v.numbers, v.marks, v.contabilizada FROM acta_current c"
                " JOIN acta a ON a.id = c.acta JOIN acta_version v ON v.id = c.version"
            )
        return {row["qr"]: (row["numbers"], row["marks"], row["contabilizada"]) for row in rows}

    async def estado(self, sheet: Sheet) -> str | None:
        async with transaction(self.pool) as connection:
            found: str | None = await connection.fetchval(
                "SELECT estado FROM acta_current c JOIN acta a ON a.id = c.acta WHERE a.qr = $1", sheet.qr
            )
        return found

    def acta(self, sheet: Sheet) -> int:
        return next(acta.id for acta in self.catalog.actas if acta.qr == sheet.qr)

    def truth(self, sheet: Sheet) -> Values:
        """The values on the sheet, in the election's columns."""
        acta = next(acta for acta in self.catalog.actas if acta.qr == sheet.qr)
        election = next(e for e in self.catalog.elections if e.id == acta.election)
        assert sheet.values is not None
        votes = tuple(sheet.values.get(code, Mark.NO_EN_BOLETA) for code in election.codes)
        return Values(tuple(sheet.values[code] for code in HEADER), votes, sheet.values["TOTAL_ASENTADO"])


@asynccontextmanager
async def world(night: Night, blobs: Path) -> AsyncIterator[World]:
    folder, sheets = synthetic(CASILLAS, seed=3)
    catalog = load_catalog(folder)
    await catalog_store.load(night.owner, catalog, at=START, night=Declared(TONIGHT))
    owner = await asyncpg.connect(night.owner)
    persons = []
    for number in range(5):
        site = await people.site(owner, ("CATD-1", "CCV-1")[number % 2])
        role = Role.SUPERVISOR if number == 4 else Role.CAPTURISTA
        persons.append(
            Person(
                await people.add_person(owner, f"p{number}", people.Derived("", b""), role, site),
                f"p{number}",
                role,
                site,
                ("CATD-1", "CCV-1")[number % 2],
            )
        )
    operador, cotejador = [
        await people.add_person(owner, role.value, people.Derived("", b""), role, site)
        for role in (Role.OPERADOR_CATD, Role.COTEJADOR)
    ]
    await owner.execute(LOGGED_IN)
    await owner.close()
    pool = await open_pool(night.app, connections=4, by_key=True)
    clock = [START]
    tonight = Tonight(pool)
    await tonight.look()
    desk = Desk(pool, Blobs.open(blobs.as_uri()), tonight, clock=lambda: clock[0], chance=lambda: 0.0, lease_minutes=10)
    made = World(pool, desk, catalog, sheets, persons, clock, operador, cotejador)
    codes = {election.id: election.code for election in catalog.elections}
    by_qr = {sheet.qr: sheet for sheet in sheets}
    made.by_clave = {(codes[a.election], a.clave): by_qr[a.qr] for a in catalog.actas if a.qr in by_qr}
    try:
        yield made
    finally:
        await pool.close()


@pytest.fixture
async def small(night: Night, tmp_path: Path) -> AsyncIterator[World]:
    async with world(night, tmp_path) as made:
        yield made


def first(small: World) -> Sheet:
    return next(sheet for sheet in small.sheets if sheet.values is not None and sheet.clave)


async def test_two_equal_captures_by_two_people_count(small: World) -> None:
    sheet = first(small)
    small.arrive(sheet)
    await small.settle()
    assert await small.estado(sheet) == "Digitalizada"
    assert await small.work(small.persons[0]) == "captura"
    await small.settle()
    assert await small.estado(sheet) == "Capturada"
    assert await small.work(small.persons[0]) is None, "never the same person"
    assert await small.work(small.persons[2]) is None, "another site, where there are two"
    assert await small.work(small.persons[1]) == "captura"
    await small.settle()
    assert await small.estado(sheet) == "Verificada"
    truth = small.truth(sheet)
    assert (await small.current())[sheet.qr][:2] == (truth.numbers, truth.marks)


async def test_a_mismatch_goes_to_a_third_person_who_decides_by_typing(small: World) -> None:
    sheet = first(small)
    small.arrive(sheet)
    await small.settle()
    for person, wrong in ((0, 0), (1, 5), (2, 0)):
        assert await small.work(small.persons[person], wrong=wrong) == "captura"
        await small.settle()
    assert (await small.current())[sheet.qr][0] == small.truth(sheet).numbers


async def test_three_different_captures_are_resolved_by_another_and_only_with_one_of_them(small: World) -> None:
    sheet = first(small)
    small.arrive(sheet)
    await small.settle()
    for person in range(3):
        await small.work(small.persons[person], wrong=person)
        await small.settle()
    assert await small.current() == {}
    for typist in small.persons[:3]:
        assert await small.work(typist) is None, "who has typed does not choose"
    task = await small.desk.lease(small.persons[3], list(TaskKind))
    assert task is not None
    with pytest.raises(Rejected, match="una de las tres"):
        await small.desk.resolve(small.persons[3], uuid.UUID(task["tarea"]), {"VOTOS_SACADOS": 9})
    right = {"VOTOS_SACADOS": sheet.capture()["VOTOS_SACADOS"]}
    await small.desk.resolve(small.persons[3], uuid.UUID(task["tarea"]), right)
    await small.settle()
    assert (await small.current())[sheet.qr][0] == small.truth(sheet).numbers


async def digitized(small: World, sheet: Sheet, reading: Reading | Unread) -> str:
    received = small.arrive(sheet)
    small.on_the_way.clear()
    async with transaction(small.pool) as connection:
        await pipeline.digitized(connection, received, reading, small.given)
    return received.sha256


async def test_two_identities_in_one_image_are_decided_by_people_and_both_actas_hear_of_it(small: World) -> None:
    right, other = small.sheets[:2]
    made = bytes(32)
    reading = Reading(other.qr, "zxing", 10, 10, bytes(128), made, made, others=(right.qr, "otro|texto"))
    image = await digitized(small, right, reading)
    assert await small.estado(right) in {None, "Esperada"}
    async with transaction(small.pool) as connection:
        told = await connection.fetch("SELECT subject, detail FROM event WHERE kind = 'dos_identidades' ORDER BY id")
        claves = {await store.clave_of_qr(connection, sheet.qr) for sheet in (right, other)}
        assert await connection.fetchval("SELECT count(*) FROM identification WHERE source = 'qr'") == 0
    assert {row["subject"] for row in told} == claves
    assert all(image in row["detail"] for row in told)
    task = await small.desk.lease(small.persons[0], [TaskKind.IDENTIFICACION])
    assert task is not None
    assert [each["codigo"] for each in task["rarezas"]] == ["dos_identidades"]
    await small.desk.release(small.persons[0], uuid.UUID(task["tarea"]))
    for person in small.persons[:2]:
        assert await small.work(person) == "identificacion"
        await small.settle()
    assert await small.estado(right) == "Digitalizada"
    assert await small.estado(other) in {None, "Esperada"}


@pytest.mark.parametrize(("days", "marks"), [(0, []), (900, ["hora_improbable"])])
async def test_an_acopio_of_another_day_is_taken_and_marked(small: World, days: int, marks: list[str]) -> None:
    """The clocks of phones are wrong by years."""
    sheet, day = small.sheets[0], timedelta(days=1)
    window = (sheet.acopio + days * day - day, sheet.acopio + days * day + day)
    received = small.arrive(sheet)
    small.on_the_way.clear()
    async with transaction(small.pool) as connection:
        await pipeline.digitized(connection, received, Unread(()), replace(small.given, hours=lambda: window))
        found = await connection.fetch("SELECT code FROM image_oddity")
    assert [row["code"] for row in found] == marks


async def test_the_same_sticker_twice_is_one_identity(small: World) -> None:
    sheet = small.sheets[0]
    made = bytes(32)
    twice = Reading(sheet.qr, "zxing", 10, 10, bytes(128), made, made, others=(sheet.qr.lower(), f"{sheet.qr}|00"))
    await digitized(small, sheet, twice)
    assert await small.estado(sheet) == "Digitalizada"


async def test_an_image_that_nobody_could_decode_is_identified_by_people_from_its_original(small: World) -> None:
    sheet = small.sheets[0]
    image = await digitized(small, sheet, Unread((Oddity.SIN_EXAMINAR,)))
    task = await small.desk.lease(small.persons[0], [TaskKind.IDENTIFICACION])
    assert task is not None
    assert task["imagen"] == task["original"] == f"/v1/images/{image}?original=1"
    assert task["rarezas"] == [{"codigo": "sin_examinar", "texto": SENTENCES[Oddity.SIN_EXAMINAR]}]
    for person in small.persons[:2]:
        lease = await small.desk.lease(person, [TaskKind.IDENTIFICACION])
        assert lease is not None
        await small.desk.identify(person, uuid.UUID(lease["tarea"]), identity=sheet.qr, proceso_tecnico=False)
        await small.settle()
    assert await small.estado(sheet) == "Digitalizada"


async def test_an_image_without_a_qr_is_identified_by_two_people(small: World) -> None:
    sheet = first(small)
    small.qr_lost.add(small.arrive(sheet).sha256)
    await small.settle()
    assert await small.estado(sheet) is None
    assert await small.work(small.persons[0]) == "identificacion"
    await small.settle()
    assert await small.work(small.persons[0]) is None
    assert await small.work(small.persons[1]) == "identificacion"
    await small.settle()
    assert await small.estado(sheet) == "Digitalizada"


@pytest.mark.parametrize(("bits", "events"), [(SAME_PHOTO, 1), (SAME_PHOTO + 1, 0)])
async def test_the_photo_of_another_acta_is_a_reason_to_look(small: World, bits: int, events: int) -> None:
    contests = {acta.qr: acta.contest for acta in small.catalog.actas}
    one = first(small)
    other = next(s for s in small.sheets if s != one and contests.get(s.qr) == contests[one.qr] and s.values)
    for number, (sheet, photo) in enumerate(((one, 0), (other, 2**bits - 1)), 1):
        received = small.arrive(sheet, number=number)
        small.photos[received.sha256] = photo.to_bytes(128, "big")
    small.qr_lost.add(received.sha256)
    await small.settle()
    for person in (0, 1):
        assert await small.work(small.persons[person]) == "identificacion"
        await small.settle()
    async with transaction(small.pool) as connection:
        subjects = [row[0] for row in await connection.fetch("SELECT subject FROM event WHERE kind = 'misma_foto'")]
    assert subjects == [received.sha256] * events


async def test_what_people_named_is_looked_at_again_when_the_right_acta_comes(small: World) -> None:
    contests = {acta.qr: acta.contest for acta in small.catalog.actas}
    one = first(small)
    other = next(s for s in small.sheets if s != one and contests.get(s.qr) == contests[one.qr] and s.values)
    named = small.arrive(one).sha256
    small.qr_lost.add(named)
    small.photos[named] = bytes(128)
    await small.settle()
    for person in (0, 1):
        await small.work(small.persons[person])
        await small.settle()
    read = small.arrive(other, number=2).sha256
    small.photos[read] = bytes(128)
    await small.settle()
    async with transaction(small.pool) as connection:
        assert await connection.fetchval("SELECT subject FROM event WHERE kind = 'misma_foto'") == read


async def test_a_better_copy_is_typed_if_a_supervisor_says_so(small: World) -> None:
    sheet, stranger = [s for s in small.sheets if s.values is not None and s.clave][:2]
    small.arrive(sheet)
    await small.settle()
    for person in (0, 1):
        await small.work(small.persons[person])
        await small.settle()
    better = small.arrive(sheet, number=2, copy=1, scanner=True).sha256
    another = small.arrive(stranger, number=3).sha256
    await small.settle()
    words: dict[str, Any] = {
        "acta": small.acta(sheet),
        "person": small.persons[4].id,
        "reason": "más clara",
        "given": small.given,
    }
    async with transaction(small.pool) as connection:
        with pytest.raises(Rejected, match="no es de esta acta"):
            await pipeline.recapture(connection, **words, image=bytes.fromhex(another))
        await pipeline.recapture(connection, **words, image=bytes.fromhex(better))
        assert await connection.fetchval(
            "SELECT image FROM acta_current WHERE acta = $1", words["acta"]
        ) == bytes.fromhex(better)


async def test_a_second_capture_does_not_wait_for_a_lost_site_for_ever(small: World) -> None:
    small.arrive(first(small))
    await small.settle()
    await small.work(small.persons[0])
    await small.settle()
    assert await small.work(small.persons[2]) is None, "of the same site"
    small.clock[0] += timedelta(minutes=31)
    assert await small.work(small.persons[2]) == "captura"


async def test_what_no_catalogue_knows_is_kept_apart(small: World) -> None:
    fuera = next(sheet for sheet in small.sheets if not sheet.clave)
    received = small.arrive(fuera)
    await small.settle()
    for person in small.persons[:2]:
        assert await small.work(person) == "identificacion", "a sticker alone takes no acta out of the count"
        await small.settle()
    async with transaction(small.pool) as connection:
        row = await connection.fetchrow("SELECT identity, election FROM fuera_catalogo")
        state = await connection.fetchval("SELECT state FROM image_current")
    assert row is not None
    assert (row["identity"], state) == (fuera.qr, "fuera_de_catalogo")
    assert row["election"] is not None
    assert received.sha256 in small.by_image


async def test_a_scan_replaces_a_photo_that_nobody_has_typed_from(small: World) -> None:
    sheet = first(small)
    small.arrive(sheet)
    await small.settle()
    scan = small.arrive(sheet, number=2, copy=1, scanner=True)
    await small.settle()
    task = await small.desk.lease(small.persons[0], list(TaskKind))
    assert task is not None
    assert task["imagen"].endswith(scan.sha256)
    small.arrive(sheet, number=3, copy=2, scanner=True)
    await small.settle()
    async with transaction(small.pool) as connection:
        assert await connection.fetchval("SELECT image FROM acta_current") == bytes.fromhex(scan.sha256)
        assert await connection.fetchval("SELECT count(*) FROM image_current WHERE acta IS NOT NULL") == 3


MOMENTS = ("waits", "is held", "is typed", "is compared")
"""How far the first person has come with the acta as another image of it arrives."""
PAIRS = [(earlier, later) for earlier in ("photo", "scan") for later in ("photo", "scan")]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("earlier", "later"), PAIRS)
async def test_of_two_images_a_scan_alone_replaces_a_photo_alone_and_only_while_nobody_has_begun(
    small: World, earlier: str, later: str, moment: str
) -> None:
    sheet = first(small)
    one = small.arrive(sheet, scanner=earlier == "scan").sha256
    await small.settle()
    task = None if moment == "waits" else await small.desk.lease(small.persons[0], list(TaskKind))
    if moment in {"is typed", "is compared"}:
        assert task is not None
        await small.desk.submit(small.persons[0], uuid.UUID(task["tarea"]), sheet.capture())
    if moment == "is compared":
        await small.settle()
    two = small.arrive(sheet, number=2, copy=1, scanner=later == "scan")
    await small.deliver(two.message())
    current = two.sha256 if (earlier, later, moment) == ("photo", "scan", "waits") else one
    assert await shown(small, sheet) == {current}
    await small.settle()
    if moment in {"waits", "is held"}:
        task = await small.desk.lease(small.persons[0], list(TaskKind))
        assert task is not None
        assert task["imagen"].endswith(current), "who holds it types from the image they began with"
        await small.desk.submit(small.persons[0], uuid.UUID(task["tarea"]), sheet.capture())
        await small.settle()
    assert await small.work(small.persons[1]) == "captura"
    await small.settle()
    async with transaction(small.pool) as connection:
        typed_from = {row["image"].hex() for row in await connection.fetch("SELECT image FROM entry")}
        assert await connection.fetchval("SELECT count(*) FROM image_current WHERE acta IS NOT NULL") == 2, (
            "both are kept"
        )
    assert typed_from == {current}
    assert await shown(small, sheet) == {current}


async def shown(small: World, sheet: Sheet) -> set[str]:
    """The current image of that acta, the images that its waiting tasks show, and the one that counts."""
    async with transaction(small.pool) as connection:
        rows = await connection.fetch(
            "SELECT image FROM acta_current WHERE acta = $1 UNION SELECT image FROM task WHERE acta = $1"
            " UNION SELECT image FROM acta_version WHERE acta = $1",
            small.acta(sheet),
        )
    return {row["image"].hex() for row in rows}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (TipoDocumento.ACTA_PREP, TipoDocumento.COPIA_RPPCI),
        (TipoDocumento.COPIA_RPPCI, TipoDocumento.ACTA_PREP),
        (TipoDocumento.COPIA_RPPCI, TipoDocumento.COPIA_RPPCI),
    ],
)
async def test_a_scan_replaces_a_photo_of_the_same_document_alone(
    small: World, earlier: TipoDocumento, later: TipoDocumento
) -> None:
    sheet = first(small)
    photo = small.arrive(sheet, paper=earlier).sha256
    await small.settle()
    scan = small.arrive(sheet, number=2, copy=1, scanner=True, paper=later).sha256
    await small.settle()
    assert await shown(small, sheet) == {scan if earlier is later else photo}


async def test_a_photo_that_was_given_back_unread_is_replaced_by_a_scan(small: World) -> None:
    sheet = first(small)
    small.arrive(sheet)
    await small.settle()
    task = await small.desk.lease(small.persons[0], list(TaskKind))
    assert task is not None
    await small.desk.release(small.persons[0], uuid.UUID(task["tarea"]))
    scan = small.arrive(sheet, number=2, copy=1, scanner=True).sha256
    await small.settle()
    assert await shown(small, sheet) == {scan}


# The queue is shuffled: nobody can arrange who gets whose acta.


async def asked_again_and_again(small: World, who: int) -> list[str]:
    """The actas, or images, that this person is given, in the order in which they come."""
    given_to: list[str] = []
    while True:
        task = await small.desk.lease(small.persons[who], list(TaskKind))
        if task is None:
            return given_to
        sheet = small.by_image[task["imagen"].rsplit("/", 1)[1]]
        given_to.append(sheet.qr)
        if task["tipo"] == "identificacion":
            await small.desk.identify(
                small.persons[who], uuid.UUID(task["tarea"]), identity=sheet.qr, proceso_tecnico=False
            )
        else:
            await small.desk.submit(small.persons[who], uuid.UUID(task["tarea"]), sheet.capture())


def in_turn(*chances: float) -> Callable[[], float]:
    return iter(chances).__next__


CHANCES = (0.9, 0.1, 0.7, 0.3, 0.5)
BY_CHANCE = [1, 3, 4, 2, 0]


@pytest.mark.parametrize("lost", [False, True], ids=["captura", "identificacion"])
async def test_chance_and_not_arrival_orders_the_queue_for_the_first_person_and_for_the_second(
    small: World, lost: bool
) -> None:
    """One second from image to image, and from answer to answer: less than the time over which the queue is shuffled."""
    sheets = [sheet for sheet in small.sheets if sheet.values is not None and sheet.clave][: len(CHANCES)]
    small.chance = in_turn(*CHANCES)
    for number, sheet in enumerate(sheets, 1):
        received = small.arrive(sheet, number=number)
        if lost:
            small.qr_lost.add(received.sha256)
        small.clock[0] += timedelta(seconds=1)
        await small.settle()
    one = await asked_again_and_again(small, 0)
    assert one == [sheets[place].qr for place in BY_CHANCE]
    small.chance = in_turn(*CHANCES)
    await small.collect()
    said = {about(small, message): message for messages in small.on_the_way.values() for message in messages}
    for qr in one:  # the first answered is the first worked on
        small.clock[0] += timedelta(seconds=1)
        await small.deliver(said[qr])
    assert await asked_again_and_again(small, 1) == [one[place] for place in BY_CHANCE]


async def test_chance_orders_new_rounds_as_well(small: World) -> None:
    """Who has actas typed again does not choose who gets which of them."""
    sheets = [sheet for sheet in small.sheets if sheet.values is not None and sheet.clave][: len(CHANCES)]
    for number, sheet in enumerate(sheets, 1):
        small.arrive(sheet, number=number)
    await small.settle()
    for who in (0, 1):
        await asked_again_and_again(small, who)
        await small.settle()
    small.chance = in_turn(*CHANCES)
    for sheet in sheets:
        small.clock[0] += timedelta(seconds=1)
        words: dict[str, Any] = {"acta": small.acta(sheet), "person": small.persons[4].id, "reason": "dedazo"}
        async with transaction(small.pool) as connection:
            await pipeline.recapture(connection, **words, given=small.given)
    assert await asked_again_and_again(small, 0) == [sheets[place].qr for place in BY_CHANCE]


def about(small: World, message: Message) -> str:
    """The QR of the acta, or of the image, of an answer."""
    if message.key.startswith("acta:"):
        acta = ActaTouched.model_validate_json(message.body).acta
        return next(each.qr for each in small.catalog.actas if each.id == acta)
    return small.by_image[ImageNamed.model_validate_json(message.body).sha256].qr


async def test_sin_acta_counts_as_captured_until_an_image_comes_after_all(small: World) -> None:
    sheet = first(small)
    async with transaction(small.pool) as connection:
        await say_sin_acta(connection, small.acta(sheet), SIN_ACTA[2], at=START)
    assert (await small.current())[sheet.qr] == ([], "", 0)
    small.arrive(sheet)
    await small.settle()
    assert (await small.current())[sheet.qr] == ([], "", 0), "what was published stays until something is verified"
    for person in (0, 1):
        await small.work(small.persons[person])
        await small.settle()
    assert (await small.current())[sheet.qr][0] == small.truth(sheet).numbers


async def test_cotejo_in_correction_opens_a_round_and_ends_as_accepted_after_a_change(small: World) -> None:
    sheet = first(small)
    small.arrive(sheet)
    await small.settle()
    for person, wrong in ((0, 3), (1, 3)):  # two people, one mistake: only the paper can tell
        await small.work(small.persons[person], wrong=wrong)
        await small.settle()
    async with transaction(small.pool) as connection:
        await connection.execute("UPDATE acta_current SET estado = 'Publicada'")
        await pipeline.cotejar(
            connection, acta=small.acta(sheet), person=small.cotejador, result="en correccion", given=small.given
        )
    for person in (2, 3):
        await small.work(small.persons[person])
        await small.settle()
    async with transaction(small.pool) as connection:
        rows = await connection.fetch("SELECT reason, cotejada, ronda FROM acta_version ORDER BY id")
    assert [tuple(row) for row in rows] == [("captura", 0, 1), ("cotejo", 3, 1), ("recaptura", 2, 2)]
    assert (await small.current())[sheet.qr][0] == small.truth(sheet).numbers


async def test_sin_acta_of_an_acta_that_has_come_is_refused(small: World) -> None:
    sheet = first(small)
    small.arrive(sheet)
    await small.settle()
    with pytest.raises(Rejected, match="Digitalizada"):
        async with transaction(small.pool) as connection:
            await say_sin_acta(connection, small.acta(sheet), SIN_ACTA[0], at=START)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), mistakes=st.floats(0, 0.5), lost=st.floats(0, 0.6))
def test_in_any_order_and_however_often_a_message_comes_the_truth_counts(
    postgres: embedded.Embedded, tmp_path_factory: pytest.TempPathFactory, seed: int, mistakes: float, lost: float
) -> None:
    """Every message one to three times, keys interleaved at random, people mistaken at random but never alike."""

    async def night() -> None:
        rng = random.Random(seed)
        async with cloned(postgres) as fresh, world(fresh, tmp_path_factory.mktemp("blobs")) as made:
            made.chance = rng.random
            number = 0
            for sheet in made.sheets:
                if sheet.sin_acta is not None:
                    async with transaction(made.pool) as connection:
                        kind = SIN_ACTA[sheet.sin_acta - 1]
                        await say_sin_acta(connection, made.acta(sheet), kind, at=START)
                    continue
                for copy in range(rng.choice((1, 1, 2))):
                    number += 1
                    received = made.arrive(sheet, number=number, copy=copy, scanner=rng.random() < 0.5)
                    if rng.random() < lost:
                        made.qr_lost.add(received.sha256)
            idle = 0
            while idle < 40:
                idle += 1
                made.clock[0] += timedelta(seconds=rng.choice((1, 30)))
                await made.collect()
                waiting = [key for key, messages in made.on_the_way.items() if messages]
                if waiting and rng.random() < 0.6:
                    idle = 0
                    key = rng.choice(waiting)
                    message = made.on_the_way[key][0]
                    await made.deliver(message)
                    if rng.random() < 0.6:  # else it comes again
                        made.on_the_way[key].pop(0)
                    continue
                place = rng.randrange(len(made.persons))
                wrong = place + 1 if rng.random() < mistakes else 0
                if await made.work(made.persons[place], wrong=wrong) is not None:
                    idle = 0
            counted = await made.current()
            for sheet in made.sheets:
                if sheet.values is None:
                    continue
                numbers, marks, _ = counted[sheet.qr]
                truth = made.truth(sheet)
                assert marks == truth.marks
                others = [n for place, n in enumerate(numbers) if place != 3]
                assert others == [n for place, n in enumerate(truth.numbers) if place != 3]
                async with transaction(made.pool) as connection:
                    typed = await connection.fetch(
                        "SELECT numbers FROM entry WHERE acta = $1 ORDER BY ordinal", made.acta(sheet)
                    )
                assert numbers in [row["numbers"] for row in typed]
                if sum(row["numbers"] == truth.numbers for row in typed) >= 1:
                    assert numbers == truth.numbers
                assert len(typed) <= 3

    asyncio.run(night())
