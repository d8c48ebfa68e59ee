"""The second story: what happens to an acta between its receipt and the next corte.

    image ─► digitize ─► its acta ─► first capture ─► second capture ─► equal? ─► rules ─► a version that counts
                 │                                        └─ different ─► a third person ─► one of the three
                 └─► nobody's: fuera de catálogo, or two people say whose it is

Read from top to bottom. Every function takes a connection inside a transaction; the facts it adds, the pointers it
moves, the tasks it opens and the mark that the message is done commit together or not at all. Nothing is remembered
between messages: each step is worked out again from the facts, so a message that comes twice, or late, changes nothing.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from prep import observe
from prep.domain import acta as life
from prep.domain import row as official_row
from prep.domain.acta import ESTADO, Capturada, Capture, Estado, Verificada, move
from prep.domain.catalog import ActaId, Identity, read_identity
from prep.domain.entry import Agreed, AnotherPerson, Choose, Ordinal
from prep.domain.rules import (
    Observation,
    assess,
    assess_sin_acta,
    rule_set,
    vote_limit,
)
from prep.errors import Rejected
from prep.messages import ActaTouched, ImageNamed, ImageReceived
from prep.scan import SAME_PHOTO
from prep.store import pipeline as store
from prep.store.database import Connection
from prep.store.pipeline import ActaRow, Reading, Typed, Version

SHUFFLE: Final = 20.0
"""Seconds over which the queue of typists is shuffled: nobody can arrange who gets whose acta."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the pipeline is handed instead of reaching for it: the clock, chance, and the key of the QR digests."""

    now: Callable[[], datetime]
    chance: Callable[[], float]
    """Uniform in [0, 1)."""
    qr_key: bytes | None = None


# 1. An image has been decoded: keep what was read and find the acta it belongs to.


async def digitized(connection: Connection, received: ImageReceived, reading: Reading, given: Given) -> None:
    """Keep the arrival and the reading of an image, and tie it to its acta as far as its QR can.

    The same image again is one more arrival of it. An image without a legible QR is never lost: people look at it.
    """
    image = bytes.fromhex(received.sha256)
    await store.receive(connection, received, reading, given.now())
    row = await store.lock_image(connection, image)
    if row.state != "recibida":
        return
    observe.QR_READ.labels(reading.decoder or "none").inc()
    identity = sticker(reading.text, given.qr_key)
    if identity is not None:
        await store.add_identification(connection, image, "qr", identity.text, given.now())
        acta = await _settle_identity(connection, image, identity, given)
        await _look_alike(connection, image, acta, store.same_photo_named, given)
        if row.acta_hint and row.acta_hint != identity.text:
            detail = {"qr": identity.text, "dispositivo": row.acta_hint}
            await store.add_event(connection, "identidad_difiere", received.sha256, detail, given.now())
        return
    if row.acta_hint:  # kept; whoever sent it is none of the two who must agree
        await store.add_identification(connection, image, "device", row.acta_hint, given.now())
    await store.set_image(connection, image, "por_identificar", None, given.now())
    await _ask_whose(connection, image, given)


def sticker(text: str | None, key: bytes | None) -> Identity | None:
    """The identity on a sticker; None where there is none, or where its keyed digest is not ours.

    The digest is HMAC-SHA256 over the identity, at least 16 hexadecimal digits of it (*check*: institutes differ).
    """
    read = read_identity(text) if text else None
    if read is None:
        return None
    identity, digest = read
    if key is None:
        return identity
    expected = hmac.new(key, identity.text.encode(), hashlib.sha256).hexdigest()
    shown = (digest or "").lower()
    return identity if len(shown) >= 16 and hmac.compare_digest(expected[: len(shown)], shown) else None


# 2. No QR: two people who do not see each other's answer must say the same.


async def named(connection: Connection, message: ImageNamed, given: Given) -> None:
    """A person has said which acta an image is: two equal statements settle it; until then another person is asked."""
    image = bytes.fromhex(message.sha256)
    row = await store.lock_image(connection, image)
    if row.state != "por_identificar":
        return
    statements = [said.identity for said in await store.identifications(connection, image) if said.person is not None]
    agreed = next((said for said in statements if statements.count(said) > 1), None)
    if agreed is None:
        await _ask_whose(connection, image, given)
        return
    read = read_identity(agreed)
    if read is None:  # two people say that it cannot be identified
        await store.set_image(connection, image, "ilegible", None, given.now())
        await store.add_event(connection, "imagen_sin_identidad", message.sha256, {}, given.now())
        return
    acta = await _settle_identity(connection, image, read[0], given)
    await _look_alike(connection, image, acta, store.same_photo, given)


async def _look_alike(
    connection: Connection, image: bytes, acta: ActaId | None, among: store.Alike, given: Given
) -> None:
    """Where people and no QR said whose an image is: has the same photo come as another acta? A reason to look."""
    alike = await among(connection, image, acta, bits=SAME_PHOTO) if acta else []
    if alike:
        await store.add_event(connection, "misma_foto", image.hex(), {"parecidas": alike}, given.now())


async def _ask_whose(connection: Connection, image: bytes, given: Given) -> None:
    statements = await store.identifications(connection, image)
    people = [said.person for said in statements if said.person is not None]
    await store.add_task(
        connection,
        "identificacion",
        acta=None,
        image=image,
        ronda=1,
        ordinal=len(people) + 1,
        queue_at=_shuffled(given),
        at=given.now(),
        not_persons=people,
    )


async def _settle_identity(connection: Connection, image: bytes, identity: Identity, given: Given) -> ActaId | None:
    """The acta that the image now belongs to; None for one that is not in the catalogue."""
    acta = await store.acta_by_qr(connection, identity.text)
    if acta is None:
        row = await store.lock_image(connection, image)
        form = (identity.tipo_acta, identity.candidatura)
        await store.add_fuera(connection, image, row, identity=identity.text, form=form, at=given.now())
        await store.set_image(connection, image, "fuera_de_catalogo", None, given.now())
        return None
    await store.set_image(connection, image, "identificada", acta, given.now())
    await _attach(connection, acta, image, given)
    return acta


# 3. The image has an acta: it becomes the current one, or stands beside it.


async def _attach(connection: Connection, acta: ActaId, image: bytes, given: Given) -> None:
    """Open the acta's first round; or, where it has an image already, put a better one under what nobody has begun.

    A scan replaces a phone's photo while no one has typed from it. An acta registered as sin acta that comes after all
    opens a new round; what was published stays until that round is verified.
    """
    row = await store.lock_acta(connection, acta, given.now())
    match row.estado:
        case Estado.ESPERADA:
            state: life.State = move(life.Esperada(), life.Acopio(image))
            row = await _moved(connection, row, Estado.ACOPIADA, given, image=image)
            state = move(state, life.Digitalizacion())
            await _open_round(connection, row, state, given)
        case Estado.DIGITALIZADA if await _is_better(connection, image, than=row.image):
            if await store.better_image(connection, acta, image):
                await _moved(connection, row, row.estado, given, image=image)
        case Estado.VERIFICADA | Estado.PUBLICADA | Estado.COTEJADA if row.version_image is None:
            await _open_round(connection, row, move(_at_rest(row), life.Recaptura(image)), given)
        case _:
            pass  # kept, not current


async def _is_better(connection: Connection, image: bytes, *, than: bytes | None) -> bool:
    if than is None:
        return True
    new, old = await store.provenance(connection, image), await store.provenance(connection, than)
    same_document = new.tipo_documento == old.tipo_documento
    return same_document and new.digitalizacion == "escaner" and old.digitalizacion == "movil"


async def _open_round(connection: Connection, row: ActaRow, state: life.State, given: Given) -> None:
    assert isinstance(state, life.Digitalizada)
    row = await _moved(connection, row, Estado.DIGITALIZADA, given, ronda=state.ronda, image=state.image)
    await _ask_capture(connection, row, 1, [], given)


# 4. Somebody has typed it: compare, and either ask another person, or ask for a choice, or verify.


async def touched(connection: Connection, message: ActaTouched, given: Given) -> None:
    """Work out what the captures of the acta's current round say together, and do what follows from it."""
    acta = ActaId(message.acta)
    row = await store.lock_acta(connection, acta, given.now())
    if row.ronda != message.ronda or row.estado not in {Estado.DIGITALIZADA, Estado.CAPTURADA}:
        return  # of a round that is over
    typed = await store.entries(connection, acta, row.ronda)
    assert row.image is not None, "a round is opened on an image"
    state: life.State = life.Digitalizada(row.image, row.ronda)
    for each in typed:
        state = move(state, life.Captura(each.capture))
    if not isinstance(state, Capturada):
        return
    if row.estado is Estado.DIGITALIZADA:
        row = await _moved(connection, row, Estado.CAPTURADA, given)
    outcome = state.next
    match outcome:
        case AnotherPerson(ordinal):
            await _ask_capture(connection, row, ordinal, [each.capture for each in typed], given)
        case Agreed(ordinals=(first, second)):
            verified = move(state, life.Verificacion())
            await _verify(
                connection, row, verified, captura=typed[first - 1].at, verificacion=typed[second - 1].at, given=given
            )
        case Choose():
            await _choose(connection, row, state, typed, given)
        case _:
            assert_never(outcome)
    observe.COMPARISONS.labels(_told(outcome, captures=len(typed), touch=message.ordinal)).inc()


def _told(outcome: Agreed | AnotherPerson | Choose, *, captures: int, touch: int) -> str:
    """A comparison as the metrics name it: how often two people differ, and what becomes of it."""
    match outcome:
        case AnotherPerson(ordinal):
            return "una" if ordinal == 2 else "distintas"
        case Agreed():
            return "iguales" if captures == 2 else "desempate"
        case Choose():
            return "elegida" if touch > captures else "tres_distintas"
        case _:
            assert_never(outcome)


async def _ask_capture(
    connection: Connection, row: ActaRow, ordinal: Ordinal, captures: Sequence[Capture], given: Given
) -> None:
    """A capture by somebody who has not typed this acta; the second one at another site, where there are two (§2)."""
    assert row.image is not None
    elsewhere = ordinal == 2 and await store.capture_sites(connection) > 1
    await store.add_task(
        connection,
        "captura",
        acta=row.id,
        image=row.image,
        ronda=row.ronda,
        ordinal=ordinal,
        queue_at=_shuffled(given),
        at=given.now(),
        not_persons=[capture.person for capture in captures],
        not_site=captures[0].site if elsewhere else None,
    )


async def _choose(connection: Connection, row: ActaRow, state: Capturada, typed: Sequence[Typed], given: Given) -> None:
    """Three different captures: the third person typed before seeing; now that person, or a supervisor, picks one."""
    chosen = await store.resolution(connection, row.id, row.ronda)
    if chosen is not None:
        entry, at = chosen
        pick = next(each for each in typed if each.id == entry)
        verified = move(state, life.Verificacion(pick.capture.values))
        await _verify(connection, row, verified, captura=pick.at, verificacion=at, given=given)
        return
    assert row.image is not None
    await store.add_task(
        connection,
        "resolucion",
        acta=row.id,
        image=row.image,
        ronda=row.ronda,
        ordinal=1,
        queue_at=given.now(),
        at=given.now(),
        only_person=typed[2].capture.person,
    )


# 5. Agreed: apply the rules of the election and append the version that counts.


async def _verify(
    connection: Connection, row: ActaRow, state: life.State, *, captura: datetime, verificacion: datetime, given: Given
) -> None:
    assert isinstance(state, Verificada)
    assert state.values is not None
    assert row.image is not None
    came = await store.provenance(connection, row.image)
    limit = vote_limit(row.lista_nominal, row.representantes, row.boletas_maximas, row.votes_per_ballot)
    rules = rule_set(row.rules)
    version = Version(
        acta=row.id,
        ronda=row.ronda,
        reason="captura" if row.version is None else "recaptura",
        person=None,
        image=row.image,
        values=state.values,
        assessment=assess(state.values, limit=limit, rules=rules, proceso_tecnico=came.proceso_tecnico),
        cotejada=2 if row.version_cotejada == IN_CORRECTION else 0,
        provenance=came,
        captura_at=captura,
        verificacion_at=verificacion,
        quantities="",
        tail="",
    )
    await _count(connection, row, version, Estado.VERIFICADA, given.now())


async def register_sin_acta(connection: Connection, *, acta: int, kind: Observation, person: int, at: datetime) -> None:
    """An acta that will not come. Raises Rejected where one has come, or where the election does not use this kind."""
    row = await store.lock_acta(connection, ActaId(acta), at)
    state = move(_at_rest(row), life.RegistroSinActa(kind))
    version = Version(
        acta=row.id,
        ronda=0,
        reason="sin_acta",
        person=person,
        image=None,
        values=None,
        assessment=assess_sin_acta(kind, rule_set(row.rules)),
        cotejada=0,
        provenance=store.NO_PROVENANCE,
        captura_at=None,
        verificacion_at=None,
        quantities="",
        tail="",
    )
    await _count(connection, row, version, ESTADO[type(state)], at)


async def _count(connection: Connection, row: ActaRow, version: Version, estado: Estado, at: datetime) -> None:
    """Append `version` with its cells of the official file, and make it the one that counts."""
    said = version.assessment
    version = replace(
        version,
        quantities=(
            official_row.quantities(version.values, said.calculado)
            if version.values is not None
            else official_row.quantities_sin_acta(row.options)
        ),
        tail=_tail(version, rule_set(row.rules).published(said.observations)),
    )
    await store.count_version(connection, version, estado, at)


def _tail(version: Version, observations: str) -> str:
    came = version.provenance
    return official_row.tail(
        observations=observations,
        contabilizada=version.assessment.contabilizada,
        traslado=came.traslado,
        image=version.image.hex() if version.image else None,
        acopio_at=came.acopio_at,
        captura_at=version.captura_at,
        verificacion_at=version.verificacion_at,
        origen=came.origen,
        digitalizacion=came.digitalizacion,
        tipo_documento=came.tipo_documento,
        cotejada=version.cotejada,
    )


# 6. After publication: cotejo, and typing again. What was published stays until something better is verified.

IN_CORRECTION: Final = 3
COTEJO: Final = {"aceptada": 1, "aceptada tras cambio": 2, "en correccion": IN_CORRECTION}
"""The COTEJADA column (`domain.md` §6)."""


async def cotejar(connection: Connection, *, acta: int, person: int, result: str, given: Given) -> None:
    """The paper has been compared with what was published. In correction, a new round is opened.

    Raises Rejected where the acta is not published or `result` is not one of `COTEJO`.
    """
    if result not in COTEJO:
        raise Rejected(f"el cotejo es uno de: {', '.join(COTEJO)}")
    at = given.now()
    row = await store.lock_acta(connection, ActaId(acta), at)
    state = move(_at_rest(row), life.Cotejo())
    assert row.version is not None
    version = replace(
        await store.version(connection, row.version), reason="cotejo", person=person, cotejada=COTEJO[result]
    )
    await _count(connection, row, version, ESTADO[type(state)], at)
    if COTEJO[result] == IN_CORRECTION:
        await recapture(connection, acta=acta, person=person, reason="cotejo", given=given)


async def recapture(
    connection: Connection, *, acta: int, person: int, reason: str, given: Given, image: bytes | None = None
) -> None:
    """Type an acta again in a new round, from `image` (another of its images, a better copy) or its current one.

    Raises Rejected where it has no such image, or nobody has typed it yet.
    """
    at = given.now()
    row = await store.lock_acta(connection, ActaId(acta), at)
    if image is not None and not await store.has_image(connection, row.id, image):
        raise Rejected("esa imagen no es de esta acta", status=409)
    image = image or row.image
    if image is None:
        raise Rejected("esta acta no tiene imagen que capturar", status=409)
    state = move(_at_rest(row), life.Recaptura(image))
    await store.drop_tasks(connection, row.id)
    detail = {"motivo": reason, "persona": person, "imagen": image.hex()}
    await store.add_event(connection, "recaptura", row.clave, detail, at)
    await _open_round(connection, row, state, given)


def _at_rest(row: ActaRow) -> life.State:
    """The state of an acta that is not being typed, from its row: what the moves above need of it, and no more."""
    match row.estado:
        case Estado.ESPERADA:
            return life.Esperada()
        case Estado.ACOPIADA:
            return life.Acopiada(row.image or b"")
        case Estado.DIGITALIZADA:
            return life.Digitalizada(row.image or b"", row.ronda)
        case Estado.CAPTURADA:
            return Capturada(row.image or b"", row.ronda, ())
        case Estado.VERIFICADA:
            return Verificada(row.ronda, None)
        case Estado.PUBLICADA:
            return life.Publicada(row.ronda)
        case Estado.COTEJADA:
            return life.Cotejada(row.ronda)
        case _:
            assert_never(row.estado)


async def _moved(
    connection: Connection,
    row: ActaRow,
    estado: Estado,
    given: Given,
    *,
    ronda: int | None = None,
    image: bytes | None = None,
) -> ActaRow:
    """Move the pointer and return the row as it now is; what is not given stays."""
    after = replace(
        row,
        estado=estado,
        ronda=row.ronda if ronda is None else ronda,
        image=image or row.image,
    )
    await store.set_acta(connection, row, estado, ronda=after.ronda, image=after.image, at=given.now())
    return after


def _shuffled(given: Given) -> datetime:
    return given.now() + timedelta(seconds=SHUFFLE * given.chance())
