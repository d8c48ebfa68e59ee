"""The desk: a person leases a task, looks at the image, and gives a capture, which is kept for ever.

Captures are blind: a lease tells the fields of the form, never the values that anybody typed. The one exception is a
resolution: its person, who typed none of three different captures, sees the image and what differs among them. Each
capture is one transaction: while the lease is still the same, the task ends, the fact is added, and the message that
says so is put in the outbox. The same capture under the same lease is the same capture, however often it comes.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from uuid import UUID, uuid4

from capture.auth import allow
from prep import observe, pipeline
from prep.blobs import Blobs
from prep.domain.catalog import SIN_SECCION, ActaId, Ambito, ContestId, TerritoryKind, read_identity
from prep.domain.entry import HEADER, Field, Mark, Values, no_such_choice, read_field
from prep.domain.layout import FormLayout, FoundMarks
from prep.errors import Code, Rejected
from prep.messages import ActaTouched, ImageNamed
from prep.scan.crops import Strip, find_strips
from prep.scan.header import MEDIA
from prep.scan.oddities import SENTENCES, Oddity
from prep.store import desk as store
from prep.store import people as people_store
from prep.store import pipeline as pipeline_store
from prep.store.database import Connection, Pool, borrow, refused, transaction
from prep.store.desk import (
    NO_NOTE,
    CaptureNote,
    EarlierCapture,
    Form,
    Forms,
    HeldTask,
    OnForm,
    Statement,
    Task,
    TaskActa,
    TaskKind,
)
from prep.store.outbox import enqueue
from prep.store.people import Person, Role
from prep.store.pipeline import KeptCapture
from prep.store.tonight import Tonight

log: Final = logging.getLogger(__name__)

TYPISTS: Final = frozenset({Role.CAPTURISTA, Role.VERIFICADOR, Role.SUPERVISOR, Role.ADMINISTRADOR})
MAY_LEASE: Final[Mapping[TaskKind, frozenset[Role]]] = {
    TaskKind.RESOLUCION: TYPISTS,  # of a person who typed none of the three captures: the task names those three
    TaskKind.IDENTIFICACION: frozenset({Role.DIGITALIZADOR, Role.CAPTURISTA, Role.SUPERVISOR}),
    TaskKind.CAPTURA: TYPISTS,
}
"""Who may hold which task, the most urgent first."""
SUPERVISES: Final = frozenset({Role.SUPERVISOR})
COMPARES: Final = frozenset({Role.COTEJADOR})
SEES_IMAGES: Final = frozenset({Role.SUPERVISOR, Role.COTEJADOR, Role.AUDITOR})
SEES_ACTAS: Final = SEES_IMAGES | {Role.ADMINISTRADOR, Role.OBSERVADOR}

SEES_QUALITY: Final = SUPERVISES
"""Who sees how people type."""

OVERDUE: Final = timedelta(minutes=10)
"""If any capture or choice has waited for longer, nobody is given a hidden known acta: real work comes first."""
LAST: Final = timedelta(minutes=30)
"""Before the end of the night, in which nobody is given one."""

_WORDS: Final[Mapping[Mark, str]] = {Mark.ILEGIBLE: "ilegible", Mark.SIN_DATO: "sin dato"}


@lru_cache(maxsize=1024)
def _strips(marks: FoundMarks | None, layout: FormLayout | None, others: tuple[FormLayout, ...]) -> Mapping[str, Strip]:
    """The strips of an acta: computed for its first person, and told to the second from here."""
    if marks is None or layout is None:
        return {}
    try:
        return find_strips(marks, layout, others)
    except Exception:  # the person must get the task: no strip is an answer too
        log.exception("strips not found")
        return {}


@dataclass(frozen=True, slots=True)
class DeskAnswer:
    """What the person is told, and whether this request is the one that did it."""

    content: dict[str, Any]
    new: bool


class Desk:
    """Everything people do to actas over HTTP."""

    def __init__(
        self,
        pool: Pool,
        blobs: Blobs,
        tonight: Tonight,
        *,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        lease_minutes: float,
        other_site_minutes: float = 30,
        control_percent: float = 0,
    ) -> None:
        self._pool = pool
        self._blobs = blobs
        self._tonight = tonight
        self._clock = clock
        self._given = pipeline.Given(clock, chance, lambda: tonight.night.tz)
        self._lasts = timedelta(minutes=lease_minutes)
        self._other_site = timedelta(minutes=other_site_minutes)
        self._forms = Forms({}, {})
        self._chance = chance
        self._controls = control_percent / 100

    # Leases.

    async def lease(self, person: Person, kinds: Sequence[TaskKind]) -> dict[str, Any] | None:
        """The task this person holds, or the next that waits and this person may do. Raises Rejected (403, 409)."""
        allowed = [kind for kind, roles in MAY_LEASE.items() if kind in kinds and person.role in roles]
        if not allowed:
            raise Rejected(f"su rol ({person.role}) no permite estas tareas", code=Code.ROLE_MAY_NOT)
        self._tonight.check_not_closed()
        now = self._clock()
        async with borrow(self._pool) as connection:
            # A person who may look up how an acta stands could tell a known one.
            if TaskKind.CAPTURA in allowed and person.role not in SEES_ACTAS and self.gives_control(now):
                await store.draw_control(
                    connection,
                    person=person.id,
                    site=person.site,
                    new=uuid4(),
                    now=now,
                    until=now + self._lasts,
                    any_site_before=now - self._other_site,
                    overdue_before=now - OVERDUE,
                )
            held = await store.lease(
                connection,
                person=person.id,
                site=person.site,
                kinds=allowed,
                new=uuid4(),
                now=now,
                until=now + self._lasts,
                any_site_before=now - self._other_site,
            )
            # Looked at after the lease: one that began before the pause must not keep a task from others.
            if await people_store.is_paused(connection, person.id):
                if held is not None:
                    await store.give_back(connection, held.lease, person.id)
                raise refused("PR012")
            return None if held is None else await self._describe_task(connection, held)

    def gives_control(self, now: datetime) -> bool:
        """Whether this request gets a hidden known acta, as chance says; near the end of the night none does."""
        if self._chance() >= self._controls:
            return False
        hours = self._tonight.hours
        return hours is None or now < hours[1] - LAST

    async def release(self, person: Person, lease: UUID) -> None:
        """Give the task back undone."""
        async with borrow(self._pool) as connection:
            await store.give_back(connection, lease, person.id)

    async def _describe_task(self, connection: Connection, held: HeldTask) -> dict[str, Any]:
        address = f"/v1/images/{held.image.hex()}"
        original = f"{address}?original=1"
        told: dict[str, Any] = {
            "tarea": str(held.lease),
            "tipo": held.kind,
            "vence": held.until.isoformat(),
            "imagen": address if held.web else original,  # perhaps the person's browser shows what no decoder could
            "original": original,
            "rarezas": [{"codigo": code, "texto": SENTENCES[Oddity(code)]} for code in held.oddities],
            "acta": None,
            "campos": [],
        }
        if held.acta is not None:
            form = await self.form_of_contest(connection, held.acta.contest)
            told["acta"] = self._acta_of_task(form, held.acta)
            told["campos"] = form.campos(held.acta.digitos, _strips(held.marks, form.layout, self._forms.layouts))
            if held.kind is TaskKind.RESOLUCION:
                choice = await self._choice(connection, form, held.acta.id, held.ronda)
                told["campos"] = [field for field in told["campos"] if field["codigo"] in choice.codes]
                told["capturas"] = choice.shown
        return told

    def _acta_of_task(self, form: Form, acta: TaskActa) -> dict[str, str | int | None]:
        place, name = acta.place, self._forms.name
        federal = form.ambito is Ambito.FEDERAL
        distrito = place.distrito_federal if federal else place.distrito_local
        kind = TerritoryKind.DISTRITO_FEDERAL if federal else TerritoryKind.DISTRITO_LOCAL
        return {
            "clave": acta.clave,
            "eleccion": form.election,
            "titulo": form.title,
            "contienda": form.contest,
            "entidad": name(TerritoryKind.ENTIDAD, place.entidad, place.entidad),
            "distrito": name(kind, place.entidad, distrito),
            "municipio": name(TerritoryKind.MUNICIPIO, place.entidad, place.municipio),
            "seccion": "" if place.tipo in SIN_SECCION and not place.seccion else f"{place.seccion:04}",
            "casilla": store.casilla_name(place.tipo, place.numero, place.ext_contigua),
            "limite": acta.limit,
        }

    # The catalogue, for people who say which acta an image is.

    async def municipios(self) -> dict[str, Any]:
        """Every municipio of the catalogue."""
        async with borrow(self._pool) as connection:
            return {"filas": await store.municipios(connection)}

    async def secciones(self, entidad: int, municipio: int) -> dict[str, Any]:
        """The secciones of a municipio."""
        async with borrow(self._pool) as connection:
            return {"filas": await store.secciones(connection, entidad, municipio)}

    async def actas(self, entidad: int, municipio: int, seccion: int) -> dict[str, Any]:
        """The actas of a sección, each with the text of its QR."""
        async with borrow(self._pool) as connection:
            return {"filas": await store.actas_of_seccion(connection, entidad, municipio, seccion)}

    async def form_of_contest(self, connection: Connection, contest: ContestId) -> Form:
        """The form of that contest; the catalogue is read when a contest is first met, and never changes after."""
        if contest not in self._forms.of:
            self._forms = await store.forms(connection)
        return self._forms.of[contest]

    # What people give.

    async def submit(
        self, person: Person, lease: UUID, raw: Mapping[str, object], note: CaptureNote = NO_NOTE
    ) -> DeskAnswer:
        """Keep a capture. `raw` holds every field of the form once: a number, "ilegible" or "sin dato".

        Returns its id and arithmetic warnings. Raises Rejected: 422 for the values, 403, 409, 410 for the lease.
        """
        async with borrow(self._pool) as connection:
            task = await store.task(connection, lease)
            # While the lease lives, one statement keeps the capture, ends the task and writes the message.
            if task is not None:
                on_form = self._on_form(task, person, TaskKind.CAPTURA)
                values = await self._read_values(connection, on_form, raw)
                if unknown := sorted(set(note.letters) - raw.keys()):
                    raise Rejected(f"letras: el acta no tiene el campo {unknown[0][:40]}", code=Code.VALUES_UNKNOWN)
                message = ActaTouched(acta=on_form.acta, ronda=task.ronda, ordinal=task.ordinal).message()
                capture = await store.add_capture(
                    connection, task, values, site=person.site, at=self._clock(), message=message, note=note
                )
                if capture is not None:
                    if not task.control:
                        observe.CAPTURES.labels(task.ordinal).inc()
                    return DeskAnswer({"captura": capture, "avisos": warnings(values, on_form.limit)}, new=True)
            # The lease is used up or gone. The same person who says the same again gets the same answer.
            before = await store.capture_by_lease(connection, lease)
            before = await self._check_same_answer(connection, person, before, raw)
            return DeskAnswer({"captura": before.id, "avisos": warnings(before.values, before.form.limit)}, new=False)

    async def resolve(self, person: Person, lease: UUID, raw: Mapping[str, object]) -> DeskAnswer:
        """Keep which of three different captures is right. `raw` holds the fields in which they differ.

        Raises Rejected: 422 if `raw` is none of them, 409 if this person typed one of them.
        """
        async with transaction(self._pool) as connection:
            task = await store.task(connection, lease)
            if task is not None:
                on_form = self._on_form(task, person, TaskKind.RESOLUCION)
                choice = await self._choice_on(connection, on_form, task.ronda)
                capture = choice.read(raw, digitos=on_form.digitos)
                if await store.add_resolution(connection, task, capture, self._clock()):
                    await enqueue(connection, [ActaTouched(acta=on_form.acta, ronda=task.ronda, ordinal=4).message()])
                    return DeskAnswer({}, new=True)
            before = await store.resolution_by_lease(connection, lease)
            if before is None or before.person != person.id:
                raise _lease_gone()
            choice = await self._choice_on(connection, before.form, before.ronda)
            if choice.read(raw, digitos=before.form.digitos) != before.id:
                raise _answered_otherwise()
            return DeskAnswer({}, new=False)

    async def identify(self, person: Person, lease: UUID, *, identity: str, proceso_tecnico: bool) -> DeskAnswer:
        """Keep what a person says an image is: QR text, or '' if it cannot be identified."""
        said = Statement(_canonical_identity(identity), proceso_tecnico)
        async with transaction(self._pool) as connection:
            task = await store.task(connection, lease)
            if task is not None:
                self._check_holds(task, person, TaskKind.IDENTIFICACION)
                if await store.add_identification(connection, task, said, site=person.site, at=self._clock()):
                    await enqueue(connection, [ImageNamed(sha256=task.image.hex(), ordinal=task.ordinal).message()])
                    return DeskAnswer({}, new=True)
            before = await store.identification_by_lease(connection, lease)
            if before is None or before[0] != person.id:
                raise _lease_gone()
            if before[1] != said:
                raise _answered_otherwise()
            return DeskAnswer({}, new=False)

    def _on_form(self, task: Task, person: Person, kind: TaskKind) -> OnForm:
        self._check_holds(task, person, kind)
        assert task.form is not None, "a capture is of an acta"
        return task.form

    def _check_holds(self, task: Task, person: Person, kind: TaskKind) -> None:
        """Raises Rejected unless this person may answer this task now, as this kind of task."""
        if task.person != person.id:
            raise Rejected("esta tarea es de otra persona", code=Code.TASK_NOT_YOURS)
        if task.until <= self._clock():
            raise _lease_gone()
        if task.kind is not kind:
            raise Rejected(f"esta tarea es de {task.kind}", code=Code.TASK_OF_OTHER_KIND)

    async def _check_same_answer(
        self, connection: Connection, person: Person, before: EarlierCapture | None, raw: Mapping[str, object]
    ) -> EarlierCapture:
        """The capture under a lease that is used up, if this person says the same again."""
        if before is None or before.person != person.id:
            raise _lease_gone()
        if await self._read_values(connection, before.form, raw) != before.values:
            raise _answered_otherwise()
        return before

    async def _choice(self, connection: Connection, form: Form, acta: ActaId, ronda: int) -> "ChoiceOfThree":
        return ChoiceOfThree.among(form, await pipeline_store.captures(connection, acta, ronda))

    async def _choice_on(self, connection: Connection, on_form: OnForm, ronda: int) -> "ChoiceOfThree":
        form = await self.form_of_contest(connection, on_form.contest)
        return await self._choice(connection, form, on_form.acta, ronda)

    async def _read_values(self, connection: Connection, on_form: OnForm, raw: Mapping[str, object]) -> Values:
        return read_values(await self.form_of_contest(connection, on_form.contest), raw, digitos=on_form.digitos)

    # What supervisors and cotejadores do to an acta.

    async def recapture(self, person: Person, election: str, clave: str, motivo: str, image: bytes | None) -> None:
        """Have an acta typed again in a new round, from another of its images if one is given."""
        allow(person, SUPERVISES)
        async with transaction(self._pool) as connection:
            acta = await store.acta_id(connection, election, clave)
            await pipeline.recapture(
                connection, acta=acta, person=person.id, reason=motivo, given=self._given, image=image
            )

    async def cotejar(self, person: Person, election: str, clave: str, resultado: str) -> None:
        """Keep the result of comparing the published acta with the paper."""
        allow(person, COMPARES)
        async with transaction(self._pool) as connection:
            acta = await store.acta_id(connection, election, clave)
            await pipeline.cotejar(connection, acta=acta, person=person.id, result=resultado, given=self._given)

    async def state(self, person: Person, election: str, clave: str) -> dict[str, Any]:
        """The state of an acta; its captures only when nobody must type it blind any more."""
        allow(person, SEES_ACTAS)
        async with (
            borrow(self._pool) as connection,  # one moment of the acta: a new round must not show between two looks
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            acta = await store.acta_id(connection, election, clave)
            return {"clave": clave, "eleccion": election} | await store.acta_state(connection, acta)

    async def image(self, person: Person, sha256: str, *, original: bool) -> tuple[bytes, str, str]:
        """The bytes, media type and extension of the web copy, or of the original, for a person who works on it."""
        async with borrow(self._pool) as connection:
            found = await store.image_for(connection, bytes.fromhex(sha256), person.id, self._clock())
        if person.role not in SEES_IMAGES and not (found is not None and found.held):
            raise Rejected("esta imagen no es de una tarea suya", code=Code.IMAGE_NOT_YOURS)
        if found is None:
            raise Rejected("no hay tal imagen", code=Code.NO_IMAGE)
        if original:
            return await self._blobs.get(sha256), *MEDIA[found.format]
        if found.web is None:
            raise Rejected("esta imagen aún no se digitaliza", code=Code.IMAGE_NOT_READ)
        return await self._blobs.get(found.web), *MEDIA["jpeg"]


def read_fields(codes: Sequence[str], raw: Mapping[str, object], *, digitos: int) -> list[Field]:
    """The values of exactly these fields. Raises Rejected, naming those that are missing, too many, or wrong."""
    missing = [code for code in codes if code not in raw]
    if missing:
        raise Rejected(f"faltan campos del acta: {', '.join(missing)}", code=Code.VALUES_MISSING)
    if len(raw) > len(codes):
        unknown = sorted(set(raw) - set(codes))
        sentence = f"campos que esta tarea no tiene: {', '.join(unknown)[:200]}"
        raise Rejected(sentence, code=Code.VALUES_UNKNOWN)
    return [read_field(code, raw[code], digits=digitos) for code in codes]


def read_values(form: Form, raw: Mapping[str, object], *, digitos: int) -> Values:
    """What a person typed, in the election's columns; options that this ballot does not hold are marked so.

    Raises Rejected, naming the fields that are missing, too many, or not what a form can hold.
    """
    fields = read_fields(form.codes, raw, digitos=digitos)
    # A row of the election has a column for every option; a ballot holds only some of them.
    votes: list[Field] = [Mark.NO_EN_BOLETA] * form.columns
    for position, field in zip(form.ballot, fields[len(HEADER) : -1], strict=True):
        votes[position] = field
    return Values(header=tuple(fields[: len(HEADER)]), votes=tuple(votes), total=fields[-1])


def as_raw(form: Form, values: Values) -> dict[str, int | str]:
    """The inverse of `read_values`."""
    fields = (*values.header, *(values.votes[position] for position in form.ballot), values.total)
    return {code: _word_of(field) for code, field in zip(form.codes, fields, strict=True)}


@dataclass(frozen=True, slots=True)
class ChoiceOfThree:
    """Three captures that differ, reduced to the fields in which they do: what a person who typed none of them sees."""

    codes: tuple[str, ...]
    """The fields that differ, in the order of the form."""
    of: Mapping[tuple[int | str, ...], int]
    """The values of these fields → the capture that holds them."""

    @staticmethod
    def among(form: Form, captures: Sequence[KeptCapture]) -> "ChoiceOfThree":
        whole = [(as_raw(form, each.capture.values), each.id) for each in captures]
        codes = tuple(code for code in form.codes if len({values[code] for values, _ in whole}) > 1)
        return ChoiceOfThree(codes, {tuple(values[code] for code in codes): capture for values, capture in whole})

    @property
    def shown(self) -> list[dict[str, int | str]]:
        """In the order of their values: the order of the people would tell which capture is whose."""
        ordered = sorted(self.of, key=lambda values: [(isinstance(value, str), value) for value in values])
        return [dict(zip(self.codes, values, strict=True)) for values in ordered]

    def read(self, raw: Mapping[str, object], *, digitos: int) -> int:
        """The capture that was chosen. Raises Rejected (422) if `raw` is none of the three."""
        said = tuple(_word_of(field) for field in read_fields(self.codes, raw, digitos=digitos))
        if said not in self.of:
            raise no_such_choice()
        return self.of[said]


def _word_of(field: Field) -> int | str:
    return _WORDS[field] if isinstance(field, Mark) else field


def warnings(values: Values, limit: int | None) -> list[str]:
    """Arithmetic that does not add up. It warns the typist and decides nothing (`docs/rules.md` §4)."""
    votes = sum(vote for vote in values.votes if not isinstance(vote, Mark))
    _, personas, representantes, sacados = values.header
    said = []
    if not isinstance(values.total, Mark) and values.total != votes:
        said.append(f"los votos suman {votes} y el total asentado dice {values.total}")
    if limit is not None and votes > limit:
        said.append(f"los votos suman {votes} y en esta casilla caben {limit}")
    if not any(isinstance(field, Mark) for field in (personas, representantes, sacados)):
        voted = _number_or_zero(personas) + _number_or_zero(representantes)
        if voted != sacados:
            said.append(f"votaron {voted} personas y representantes y los votos sacados de la urna son {sacados}")
    return said


def _number_or_zero(field: Field) -> int:
    return 0 if isinstance(field, Mark) else field


def _canonical_identity(identity: str) -> str:
    if not identity:
        return ""
    read = read_identity(identity)
    if read is None:
        raise Rejected("identidad: no es el texto de un QR de acta", code=Code.IDENTITY_WRONG)
    return read[0].text


def _lease_gone() -> Rejected:
    return Rejected("esta tarea venció o ya no es suya; pida otra", code=Code.TASK_EXPIRED)


def _answered_otherwise() -> Rejected:
    return Rejected("esta tarea ya se contestó de otra manera", code=Code.TASK_ANSWERED)
