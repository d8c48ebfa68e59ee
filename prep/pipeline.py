"""The second story: what happens to an acta between its receipt and the next corte.

    image ─► digitize ─► its acta ─► first capture ─► second capture ─► equal? ─► rules ─► a version that counts
                 │                                        └─ different ─► a third person ─► one of the three
                 └─► no legible QR, or one of no acta of the catalogue: two people say which acta it is
                       └─► an acta outside the catalogue: fuera de catálogo

Read from top to bottom. Every function takes a connection inside a transaction. The facts that it adds, the pointers
that it moves, the tasks that it opens and the mark that the message is done commit together. If the process dies before
the commit, none of them exists, and the bus delivers the message again. No function remembers anything between two
messages: each step starts again from the facts in the database. So a message that arrives twice or late changes
nothing.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Final, assert_never

from prep import observe
from prep.domain import row as official_row
from prep.domain.acta import LEGAL, Capture, Estado, Move, Round, after
from prep.domain.catalog import ActaId, Identity, read_identity
from prep.domain.decision import BY_IDENTIFICATION, DecisionKind
from prep.domain.entry import Agreed, AnotherPerson, Choose, Ordinal, Values
from prep.domain.rules import (
    Assessment,
    Contabilizada,
    Observation,
    assess,
    assess_sin_acta,
    rule_set,
    vote_limit,
)
from prep.errors import Code, Rejected
from prep.messages import ActaTouched, ImageNamed, ImageReceived
from prep.scan import SAME_PHOTO
from prep.scan.oddities import Oddity
from prep.scan.reading import Reading, Unread
from prep.store import decisions
from prep.store import pipeline as store
from prep.store.database import Connection
from prep.store.decisions import ProposedDecision, Speaker
from prep.store.pipeline import ActaRow, Identification, KeptCapture, Version

SHUFFLE: Final = 20.0
"""A new task waits a random time of up to this many seconds. So no person can arrange which acta they get."""

IMPORT_WAITS: Final = timedelta(minutes=15)
"""How long the first capture of an acta without an image waits for the person who imports it; then anybody may ask for
its quantities."""

Hours = Callable[[], tuple[datetime, datetime] | None]


@dataclass(frozen=True, slots=True)
class Given:
    """The inputs that the caller supplies: the clock, chance, and the key of the QR digests. Tests supply their own."""

    now: Callable[[], datetime]
    chance: Callable[[], float]
    """A random number in [0, 1), uniform."""
    zone: Callable[[], tzinfo]
    """The zone of the night, in which the official cells tell hours."""
    qr_key: bytes | None = None
    hours: Hours = lambda: None
    """The first and the last moment at which an acta of this night can be taken in; None if the night has no hours."""


# 1. An image is decoded: keep the reading and find the acta of the image.


async def digitized(connection: Connection, received: ImageReceived, reading: Reading | Unread, given: Given) -> None:
    """Keep the arrival and the reading of an image. If its QR names an acta, tie the image to that acta.

    The same image may arrive many times; each time adds one arrival. An image without a legible QR, or with that of no
    acta of the catalogue, is not lost, nor is one that no decoder could read: people look at it and say which acta it
    is. Two identities in one image count as no identity: people decide, and both actas get an event.
    """
    image = bytes.fromhex(received.sha256)
    await store.arrive(connection, [received])
    if isinstance(reading, Reading):
        await store.add_reading(connection, image, reading, given.now())
    # Two workers with the same image take turns at this lock. The second finds another state and has no more to do.
    row = await store.lock_image(connection, image)
    odd = [*reading.oddities, *_odd_hour(received.acopio_at, given)]
    odd += [Oddity.DESPUES_DEL_CIERRE] if row.closed else []
    await store.add_oddities(connection, image, odd, given.now())
    # After the last corte the image is kept and listed, and nobody types it.
    if row.closed or row.state != "recibida":
        return
    read = stickers(reading, given.qr_key)
    decoder = None if isinstance(reading, Unread) else reading.decoder
    observe.QR_READ.labels(decoder or "none").inc()
    if len(read) == 1:
        [identity] = read
        await store.add_identification(connection, image, "qr", identity.text, given.now())
        # The device and the sticker may disagree. The sticker counts, and the disagreement becomes an event for people.
        if row.acta_hint and row.acta_hint != identity.text:
            detail = {"qr": identity.text, "dispositivo": row.acta_hint}
            await store.add_event(connection, "identidad_difiere", received.sha256, detail, given.now())
        acta = await store.acta_by_qr(connection, identity.text)
        if acta is not None:
            await tie_image(connection, image, acta, given)
            await _report_same_photo(connection, image, acta, store.same_photo_named, given)
            return
        # A sticker with a wrong district would take an acta away from the count, and nobody would have looked.
        await store.add_oddities(connection, image, [Oddity.ETIQUETA_AJENA], given.now())
    if len(read) > 1:
        await _tell_both(connection, image, read, given)
    if row.acta_hint:  # kept as information only: the sender is not one of the two people who must agree
        await store.add_identification(connection, image, "device", row.acta_hint, given.now())
    await store.set_image(connection, image, "por_identificar", None, given.now())
    await _ask_identification(connection, image, given)


def _odd_hour(acopio: datetime, given: Given) -> list[Oddity]:
    """The mark of an acopio outside the night. The clocks of phones are wrong, so the image counts like any other."""
    hours = given.hours()
    if hours is None or hours[0] <= acopio <= hours[1]:
        return []
    return [Oddity.HORA_IMPROBABLE]


def stickers(reading: Reading | Unread, key: bytes | None) -> list[Identity]:
    """The different identities on the stickers of an image that are ours."""
    texts = () if isinstance(reading, Unread) else (reading.text, *reading.others)
    found = (sticker(text, key) for text in texts)
    return list(dict.fromkeys(identity for identity in found if identity is not None))


async def _tell_both(connection: Connection, image: bytes, read: Sequence[Identity], given: Given) -> None:
    """Each acta of which a sticker is in the image, in its own history: the image goes to one of them at most."""
    texts = [identity.text for identity in read]
    await store.add_oddities(connection, image, [Oddity.DOS_IDENTIDADES], given.now())
    for text in texts:
        subject = await store.clave_of_qr(connection, text) or text
        await store.add_event(
            connection, "dos_identidades", subject, {"imagen": image.hex(), "identidades": texts}, given.now()
        )


def sticker(text: str | None, key: bytes | None) -> Identity | None:
    """The identity on a sticker. None if `text` is not that of a sticker, or if the keyed digest does not match `key`.

    The digest is HMAC-SHA256 over the identity, shortened to 16 or more hexadecimal digits (*check*: institutes
    differ).
    """
    read = read_identity(text) if text else None
    if read is None:
        return None
    identity, digest = read
    if key is None:  # this institute has no key, so its stickers carry no proof
        return identity
    expected = hmac.new(key, identity.text.encode(), hashlib.sha256).hexdigest()
    shown = (digest or "").lower()
    return identity if len(shown) >= 16 and hmac.compare_digest(expected[: len(shown)], shown) else None


# 2. No legible QR: two people, who do not see each other's statement, must name the same acta.


async def named(connection: Connection, message: ImageNamed, given: Given) -> None:
    """A person has said which acta an image is. If two statements are equal, they count; if not, ask another person."""
    image = bytes.fromhex(message.sha256)
    # The subject first, as every decision does: two that lock in another order would wait for each other.
    await decisions.lock_subject(connection, image_subject(message.sha256))
    row = await store.lock_image(connection, image)
    if row.closed or row.state != "por_identificar":
        return  # the statements are kept
    statements = [said for said in await store.identifications(connection, image) if said.open]
    texts = [said.identity for said in statements]
    agreed = next((said for said in texts if texts.count(said) > 1), None)
    if agreed is None:
        await _ask_identification(connection, image, given)
        return
    both = [said for said in statements if said.identity == agreed][:2]
    read = read_identity(agreed)
    acta = await store.acta_by_qr(connection, read[0].text) if read else None
    if acta is not None:
        await tie_image(connection, image, acta, given)
        await _report_same_photo(connection, image, acta, store.same_photo, given)
    # After the close no decision is taken any more: the image is kept, and told as such.
    elif await decisions.night_closed(connection):
        return
    elif read is not None:
        number = await _decide_both(connection, DecisionKind.FUERA_DE_CATALOGO, message.sha256, both)
        await set_fuera(connection, image, read[0], number, given)
    else:  # two people say that they cannot tell which acta it is
        await _decide_both(connection, DecisionKind.IMAGEN_SIN_IDENTIDAD, message.sha256, both)
        await store.set_image(connection, image, "ilegible", None, given.now())
        await store.add_event(connection, "imagen_sin_identidad", message.sha256, {}, given.now())


def image_subject(sha256: str) -> str:
    """What every decision about this image is about: one waits at a time."""
    return f"imagen:{sha256}"


async def _decide_both(connection: Connection, kind: DecisionKind, sha256: str, both: Sequence[Identification]) -> int:
    """Keep what two people said of an image, apart from each other, as a decision of both; returns its number.

    So it is listed, published and undone like a decision that one person proposed.
    """
    first, second = (Speaker(said.person, said.site, said.at) for said in both if said.person and said.site)
    said = ProposedDecision(
        kind, image_subject(sha256), BY_IDENTIFICATION, "", image=bytes.fromhex(sha256), identity=both[0].identity
    )
    number = await decisions.propose(connection, said, first)
    await decisions.answer(connection, number, agrees=True, words="", by=second)
    return number


async def _report_same_photo(
    connection: Connection, image: bytes, acta: ActaId | None, among: store.Alike, given: Given
) -> None:
    """Add an event for people if nearly the same photo is already tied to another acta.

    People can name a wrong acta, by mistake or on purpose. One photo under two actas shows it. `among` is the query
    that says which images are compared.
    """
    # A perceptual hash finds the same photo even if its bytes differ; bits says how many bits may differ.
    alike = await among(connection, image, acta, bits=SAME_PHOTO) if acta else []
    if alike:
        await store.add_event(connection, "misma_foto", image.hex(), {"parecidas": alike}, given.now())


async def _ask_identification(connection: Connection, image: bytes, given: Given) -> None:
    """Open the task in which a person says which acta the image is.

    A person who has said so already does not get it.
    """
    statements = await store.identifications(connection, image)
    # Also those whose word was settled before: a person says it once of an image, for ever.
    people = [said.person for said in statements if said.person is not None]
    await store.add_task(
        connection,
        "identificacion",
        acta=None,
        image=image,
        ronda=1,
        ordinal=len(people) + 1,
        queue_at=_random_queue_time(given),
        at=given.now(),
        not_persons=people,
    )


async def tie_image(connection: Connection, image: bytes, acta: ActaId, given: Given) -> None:
    """The image is of this acta, as a sticker or two people say."""
    await store.tie_image(connection, image, acta, given.now())
    await _attach_to_acta(connection, acta, image, given)


async def set_fuera(connection: Connection, image: bytes, identity: Identity, decision: int, given: Given) -> None:
    """Two people say that the image is of an acta that the catalogue does not have."""
    row = await store.lock_image(connection, image)
    form = (identity.tipo_acta, identity.candidatura)
    await store.add_fuera(connection, image, row, identity=identity.text, form=form, decision=decision, at=given.now())
    await store.set_image(connection, image, "fuera_de_catalogo", None, given.now())


async def identify_again(connection: Connection, image: bytes, given: Given) -> None:
    """The identity of the image was taken back: two people say which acta it is, and earlier words do not count."""
    await store.settle_statements(connection, image)
    await store.set_image(connection, image, "por_identificar", None, given.now())
    await _ask_identification(connection, image, given)


# 3. The image has an acta: it becomes the current image of the acta, or one more that is kept.


async def _attach_to_acta(connection: Connection, acta: ActaId, image: bytes, given: Given) -> None:
    """Decide whether the image becomes the current one of its acta, and open a round if it is needed.

    - The acta has no image yet: this is the current one, and the first round opens.
    - The acta has an image and no person has begun to type: a scan replaces the photo of a phone.
    - A person has begun to type: the new image is kept and changes nothing.
    - The acta is registered as sin acta and arrives after all: a new round opens. The published version counts until
      that round is verified.
    - People typed what others told them of an acta without an image, and now there is one: a new round too.
    """
    row = await store.lock_acta(connection, acta, given.now())
    match row.estado:
        case Estado.ESPERADA:
            row = await _move_acta(connection, row, Move.ACOPIO, given.now(), image=image)
            await _open_round(connection, row, Move.DIGITALIZACION, image, given)
        # `better_image` changes only a capture task that no person has taken: both captures must be from one image.
        case Estado.DIGITALIZADA if await _is_first_image(connection, image, than=row.image):
            await store.drop_tasks(connection, acta)
            await store.replace_image(connection, acta, image, given.now())
            await _ask_capture(connection, replace(row, image=image), 1, [], given)
        case Estado.DIGITALIZADA if await _is_better(connection, image, than=row.image):
            if await store.better_image(connection, acta, image):
                await store.replace_image(connection, acta, image, given.now())
        # The version has no image, so it is a sin acta whose acta has arrived after all.
        case Estado.VERIFICADA | Estado.PUBLICADA | Estado.COTEJADA if row.version_image is None:
            await _open_round(connection, row, Move.RECAPTURA, image, given)
        case Estado.CAPTURADA | Estado.VERIFICADA | Estado.PUBLICADA | Estado.COTEJADA if await _is_first_image(
            connection, image, than=row.image
        ):
            await store.drop_tasks(connection, row.id)
            detail = {"motivo": "llegó su imagen", "imagen": image.hex()}
            await store.add_event(connection, "recaptura", row.clave, detail, given.now())
            await _open_round(connection, row, Move.RECAPTURA, image, given)
        case _:
            pass  # kept, but not the current one


async def _is_first_image(connection: Connection, image: bytes, *, than: bytes | None) -> bool:
    """Whether `than` says that there is no image of the acta, and `image` is one."""
    if than is None:
        return False
    return await store.says_no_image(connection, than) and not await store.says_no_image(connection, image)


async def _is_better(connection: Connection, image: bytes, *, than: bytes | None) -> bool:
    """Whether `image` is a scan and `than` a photo of the same kind of document, or None."""
    if than is None:
        return True
    new, old = await store.provenance(connection, image), await store.provenance(connection, than)
    same_document = new.tipo_documento == old.tipo_documento
    return same_document and new.digitalizacion == "escaner" and old.digitalizacion == "movil"


async def _open_round(connection: Connection, row: ActaRow, move: Move, image: bytes, given: Given) -> None:
    """Move the acta into a new round over `image`, and ask for its first capture. Earlier rounds stay as they are."""
    row = await _move_acta(connection, row, move, given.now(), ronda=row.ronda + 1, image=image)
    await _ask_capture(connection, row, 1, [], given)


# 4. A person has typed the acta: compare the captures. Then ask another person, or ask for a choice, or verify.


async def touched(connection: Connection, message: ActaTouched, given: Given) -> None:
    """Compare the captures of the acta's current round, and take the next step (`docs/rules.md` §2)."""
    acta = ActaId(message.acta)
    row = await store.lock_acta(connection, acta, given.now())
    if row.closed:
        return  # the captures are kept, and no version comes of them
    # A message may be late: a recapture opened another round, or another message verified the acta.
    if row.ronda != message.ronda or (row.estado, Move.CAPTURA) not in LEGAL:
        return  # the message is about a round that is over
    captures = await store.captures(connection, acta, row.ronda)
    if not captures:
        return
    # Build the round again from the stored captures: `with_capture` refuses two captures of one person here too.
    so_far = Round()
    for each in captures:
        so_far = so_far.with_capture(each.capture)
    if row.estado is not after(row.estado, Move.CAPTURA):
        row = await _move_acta(connection, row, Move.CAPTURA, given.now())
    outcome = so_far.next
    match outcome:
        case AnotherPerson(ordinal):
            await _ask_capture(connection, row, ordinal, so_far.captures, given)
        case Agreed(ordinals=(first, second)):
            # The official file shows the time of the first of the two equal captures as captura and of the second as
            # verificación.
            captura, verificacion = captures[first - 1].at, captures[second - 1].at
            await _verify_values(connection, row, so_far.verified(), given, captura=captura, verificacion=verificacion)
        case Choose():
            await _resolve_three(connection, row, so_far, captures, given)
        case _:
            assert_never(outcome)
    observe.COMPARISONS.labels(_comparison_label(outcome, captures=len(captures), touch=message.ordinal)).inc()


def _comparison_label(outcome: Agreed | AnotherPerson | Choose, *, captures: int, touch: int) -> str:
    """The result of a comparison as the metrics name it. The metrics show how often people differ."""
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
    """Open the task of the next capture, for a person who has not typed this acta in this round.

    If there are two or more sites, the second capture is at another site than the first (`docs/rules.md` §2).
    """
    assert row.image is not None
    queue_at = _random_queue_time(given)
    if ordinal == 1 and await store.says_no_image(connection, row.image):
        queue_at += IMPORT_WAITS  # the person who imports it captures it first
    await store.add_task(
        connection,
        "captura",
        acta=row.id,
        image=row.image,
        ronda=row.ronda,
        ordinal=ordinal,
        queue_at=queue_at,
        at=given.now(),
        not_persons=[capture.person for capture in captures],
        # Two people at two sites can hardly agree on a false value.
        not_site=captures[0].site if ordinal == 2 else None,
    )


async def _resolve_three(
    connection: Connection, row: ActaRow, so_far: Round, captures: Sequence[KeptCapture], given: Given
) -> None:
    """Three captures differ. If a person has chosen one, verify it; if not, open the task of choosing.

    A person who typed none of the three chooses: each of the three would choose their own.
    """
    chosen = await store.resolution(connection, row.id, row.ronda)
    if chosen is not None:
        capture, at = chosen
        pick = next(each for each in captures if each.id == capture)
        verified = so_far.verified(pick.capture.values)
        await _verify_values(connection, row, verified, given, captura=pick.at, verificacion=at)
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
        not_persons=[each.capture.person for each in captures],
    )


# 5. The values are agreed: apply the rules of the election and append the version that counts.


async def _verify_values(
    connection: Connection, row: ActaRow, values: Values, given: Given, *, captura: datetime, verificacion: datetime
) -> None:
    """Assess the agreed values by the election's rule set (`docs/rules.md` §4-5); make them the version that counts."""
    after(row.estado, Move.VERIFICACION)  # raises IllegalMove before any write
    assert row.image is not None
    came = await store.provenance(connection, row.image)
    # The clocks of two machines may differ: the earlier hour is that of the capture, the later one confirmed it.
    captura, verificacion = sorted((captura, verificacion))
    limit = vote_limit(row.lista_nominal, row.representantes, row.boletas_maximas, row.votes_per_ballot)
    rules = rule_set(row.rules)
    version = Version(
        acta=row.id,
        ronda=row.ronda,
        reason="captura" if row.version is None else "recaptura",
        person=None,
        image=row.image,
        values=values,
        assessment=assess(values, limit=limit, rules=rules, proceso_tecnico=came.proceso_tecnico),
        # A recapture after «en correccion» ends the cotejo: the published value is 2, accepted after a change.
        cotejada=2 if row.version_cotejada == IN_CORRECTION else 0,
        provenance=came,
        captura_at=captura,
        verificacion_at=verificacion,
        quantities="",
        tail="",
    )
    await _append_version(connection, row, version, Move.VERIFICACION, given)


async def register_sin_acta(
    connection: Connection, *, acta: int, kind: Observation, person: int, decision: int, given: Given
) -> None:
    """Register that an acta will not arrive, as two people decided. `kind` is the reason.

    Raises Rejected if an image of the acta has arrived, or if the election's rule set does not have this kind.
    """
    row = await store.lock_acta(connection, ActaId(acta), given.now())
    after(row.estado, Move.REGISTRO_SIN_ACTA)
    version = _version_without_image(row, "sin_acta", assess_sin_acta(kind, rule_set(row.rules)), person, decision)
    await _append_version(connection, row, version, Move.REGISTRO_SIN_ACTA, given)


def _version_without_image(row: ActaRow, reason: str, said: Assessment, person: int | None, decision: int) -> Version:
    return Version(
        acta=row.id,
        ronda=0,
        reason=reason,
        person=person,
        image=None,
        values=None,
        assessment=said,
        cotejada=0,
        provenance=store.NO_PROVENANCE,
        captura_at=None,
        verificacion_at=None,
        quantities="",
        tail="",
        decision=decision,
    )


# What two people take away from an acta: it is expected again, and begins anew with the images that it still has.


async def expect_again(connection: Connection, acta: ActaId, *, registered: int, decision: int, given: Given) -> None:
    """Take back that the acta is sin acta, as decision `registered` said; nothing if another version counts now."""
    row = await store.lock_acta(connection, acta, given.now())
    if row.version_decision == registered:
        await _withdraw(connection, row, decision, given, version=True)


async def take_from_acta(connection: Connection, acta: ActaId, *, image: bytes, decision: int, given: Given) -> None:
    """The image is no longer the acta's. The captures from it do not count, also if it was published."""
    row = await store.lock_acta(connection, acta, given.now())
    if image in {row.image, row.version_image}:
        await _withdraw(connection, row, decision, given, version=row.version_image == image)


async def _withdraw(connection: Connection, row: ActaRow, decision: int, given: Given, *, version: bool) -> None:
    """Move the acta back to Esperada, and begin again with its images. `version`: what counts is taken back too."""
    at = given.now()
    if version:
        said = Assessment(0, (), Contabilizada.NO)
        taken = _version_without_image(row, store.RETIRO, said, None, decision)
        await _append_version(connection, row, taken, Move.RETIRO, given)
        await store.replace_image(connection, row.id, None, at)
    else:
        await store.drop_tasks(connection, row.id)
        await store.move_acta(connection, row.id, Move.RETIRO, ronda=row.ronda, image=None, at=at)
    images = await store.images_of(connection, row.id)
    # Registered as sin acta, and its late image was another's: that it will not come counts as before.
    if not images and not version and row.version is not None:
        again = await store.version(connection, row.version)
        await _append_version(connection, row, again, Move.REGISTRO_SIN_ACTA, given)
    # The image of the version that still counts comes first: people type from it again.
    for image in sorted(images, key=lambda each: each != row.version_image):
        await _attach_to_acta(connection, row.id, image, given)


async def _append_version(connection: Connection, row: ActaRow, version: Version, move: Move, given: Given) -> None:
    """Write the official cells of `version`, append it, and make it the version that counts.

    The cells are written only here. A corte publishes them as they are.
    """
    said = version.assessment
    if version.reason == store.RETIRO:  # the row of an acta that is not captured
        quantities, tail = official_row.quantities_pending(row.options), official_row.tail_pending()
    else:
        quantities = (
            official_row.quantities(version.values, said.calculado)
            if version.values is not None
            else official_row.quantities_sin_acta(row.options, row.ballot)
        )
        tail = _tail_cells(version, rule_set(row.rules).published(said.observations), given.zone())
    version = replace(version, quantities=quantities, tail=tail)
    await store.count_version(connection, version, move, given.now())


def _tail_cells(version: Version, observations: str, zone: tzinfo) -> str:
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
        zone=zone,
    )


# 6. After publication: cotejo, and recapture. The published version counts until a newer one is verified.

IN_CORRECTION: Final = 3
COTEJO: Final = {"aceptada": 1, "aceptada tras cambio": 2, "en correccion": IN_CORRECTION}
"""Result of a cotejo → number in the COTEJADA column of the official file (`docs/rules.md` §6)."""


async def cotejar(connection: Connection, *, acta: int, person: int, result: str, given: Given) -> None:
    """Record that a person compared the paper with the published values. If the acta needs correction, recapture it.

    Raises Rejected if the acta is not published, or if `result` is not one of `COTEJO`.
    """
    if result not in COTEJO:
        raise Rejected(f"el cotejo es uno de: {', '.join(COTEJO)}", code=Code.COTEJO_WRONG)
    at = given.now()
    row = await store.lock_acta(connection, ActaId(acta), at)
    after(row.estado, Move.COTEJO)
    assert row.version is not None
    version = replace(
        await store.version(connection, row.version), reason="cotejo", person=person, cotejada=COTEJO[result]
    )
    await _append_version(connection, row, version, Move.COTEJO, given)
    if COTEJO[result] == IN_CORRECTION:
        await recapture(connection, acta=acta, person=person, reason="cotejo", given=given)


async def recapture(
    connection: Connection, *, acta: int, person: int, reason: str, given: Given, image: bytes | None = None
) -> None:
    """Open a new round, in which people type the acta again. They type from `image`, or from the current image.

    If a round is open and nobody has begun to type, it goes on from `image`. Raises Rejected if `image` is not one of
    this acta, or if there is nothing to type again.
    """
    at = given.now()
    row = await store.lock_acta(connection, ActaId(acta), at)
    # Without this check a supervisor could make people type from the image of another acta.
    if image is not None and not await store.has_image(connection, row.id, image):
        raise Rejected("esa imagen no es de esta acta", code=Code.IMAGE_OF_OTHER_ACTA)
    chosen, image = image, image or row.image
    if image is None:
        raise Rejected("esta acta no tiene imagen que capturar", code=Code.ACTA_WITHOUT_IMAGE)
    detail = {"motivo": reason, "persona": person, "imagen": image.hex()}
    if row.estado is Estado.DIGITALIZADA and chosen not in {None, row.image}:
        # A new scan of the same paper: if nobody has begun to type, the open round goes on from it.
        if not await store.better_image(connection, row.id, image):
            raise Rejected("alguien la está capturando; espere a que termine", code=Code.ILLEGAL_MOVE)
        await store.replace_image(connection, row.id, image, at)
        await store.add_event(connection, "recaptura", row.clave, detail, at)
        return
    after(row.estado, Move.RECAPTURA)
    # Tasks of the old round would ask people for captures that no longer count.
    await store.drop_tasks(connection, row.id)
    await store.add_event(connection, "recaptura", row.clave, detail, at)
    await _open_round(connection, row, Move.RECAPTURA, image, given)


async def _move_acta(
    connection: Connection,
    row: ActaRow,
    move: Move,
    at: datetime,
    *,
    ronda: int | None = None,
    image: bytes | None = None,
) -> ActaRow:
    """Move the acta and return its new row. Without `ronda` or `image`, the row keeps its own. Raises IllegalMove."""
    moved = replace(
        row,
        estado=after(row.estado, move),
        ronda=row.ronda if ronda is None else ronda,
        image=image or row.image,
    )
    await store.move_acta(connection, row.id, move, ronda=moved.ronda, image=moved.image, at=at)
    return moved


def _random_queue_time(given: Given) -> datetime:
    return given.now() + timedelta(seconds=SHUFFLE * given.chance())
