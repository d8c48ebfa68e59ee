"""What people decide in twos over HTTP, and the lists of the night: who may, and what the room answers.

The two tables below are shown in docs/roles.md; a test compares them.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from capture.auth import allow
from capture.entries import COMPARES, SEES_ACTAS, SEES_QUALITY, TYPISTS, DeskAnswer
from prep import decisions
from prep.decisions import Said
from prep.domain.decision import DecisionKind, DecisionMove
from prep.errors import Code, Rejected
from prep.pipeline import Given
from prep.store import decisions as store
from prep.store import desk, lists, people
from prep.store.database import Pool, borrow, refused, transaction
from prep.store.decisions import Decision, Speaker
from prep.store.lists import Listing
from prep.store.people import Person, Role
from prep.store.tonight import Tonight
from prep.store.unsettled import unsettled

_SHIFT: Final = frozenset({Role.OPERADOR_CATD, Role.SUPERVISOR})
_MACHINES: Final = frozenset({Role.ADMINISTRADOR, Role.SUPERVISOR})
_LOOKS_AT_IMAGES: Final = frozenset({Role.DIGITALIZADOR, Role.COTEJADOR, Role.SUPERVISOR})
_SUPERVISES: Final = frozenset({Role.SUPERVISOR})

PROPOSES: Final[Mapping[DecisionKind, frozenset[Role]]] = {
    DecisionKind.SIN_ACTA: _SHIFT,
    DecisionKind.IMAGEN_DE_OTRA_ACTA: _LOOKS_AT_IMAGES,
    DecisionKind.FUERA_DE_CATALOGO: _LOOKS_AT_IMAGES,
    DecisionKind.IMAGEN_SIN_IDENTIDAD: _LOOKS_AT_IMAGES,
    DecisionKind.MENSAJE_DESCARTADO: _MACHINES,
    DecisionKind.NUMERO_PERDIDO: _MACHINES,
}
"""Who may propose a decision, and propose to undo it."""
CONFIRMS: Final[Mapping[DecisionKind, frozenset[Role]]] = {
    DecisionKind.SIN_ACTA: _SHIFT,
    DecisionKind.IMAGEN_DE_OTRA_ACTA: _SUPERVISES,
    DecisionKind.FUERA_DE_CATALOGO: _SUPERVISES,
    DecisionKind.IMAGEN_SIN_IDENTIDAD: _SUPERVISES,
    DecisionKind.MENSAJE_DESCARTADO: _MACHINES,
    DecisionKind.NUMERO_PERDIDO: _MACHINES,
}
"""Who may confirm it or refuse it, if another person proposed it."""

RETRIES: Final = _MACHINES
"""Who may send a message again that was set aside: one person, because nothing counts by that."""
SEES_BOARD: Final = _SUPERVISES | {Role.ADMINISTRADOR}
"""Who sees the board; how fast each person types, which is for help and for relief, those of `SEES_QUALITY` alone."""
BOARD_FRESH: Final = timedelta(seconds=4)
BOARD_LOOKS_BACK: Final = timedelta(hours=1)
"""The speed of a person is the median of the last hour: a slow beginning is forgotten, and a tired end shows."""
_CONTROL: Final = frozenset({Role.SUPERVISOR, Role.ADMINISTRADOR, Role.AUDITOR})
_WORKS: Final = SEES_ACTAS | {Role.OPERADOR_CATD, Role.DIGITALIZADOR}
MAY_LIST: Final[Mapping[Listing, frozenset[Role]]] = {
    Listing.PEOPLE: _CONTROL,
    Listing.CHANGES: _CONTROL,
    Listing.DEVICES: _CONTROL,
    Listing.SITES: _CONTROL,
    Listing.MISSING: _WORKS,
    Listing.UNIDENTIFIED: _WORKS,
    Listing.FUERA: _WORKS,
    Listing.DUPLICATES: _LOOKS_AT_IMAGES | _CONTROL,
    Listing.MISMATCHES: _LOOKS_AT_IMAGES | _CONTROL,
    Listing.EXCEDE: SEES_ACTAS,
    Listing.PARKED: _CONTROL,
    Listing.COTEJO: COMPARES | _CONTROL,
    Listing.CORRECTIONS: _WORKS,
    Listing.WAITING: _WORKS - {Role.OBSERVADOR},
    Listing.DECISIONS: _WORKS - {Role.OBSERVADOR},
}
"""Who may read which list."""

_NEEDS: Final[Mapping[DecisionKind, frozenset[str]]] = {
    DecisionKind.SIN_ACTA: frozenset({"eleccion", "clave"}),
    DecisionKind.IMAGEN_DE_OTRA_ACTA: frozenset({"imagen"}),
    DecisionKind.FUERA_DE_CATALOGO: frozenset({"imagen", "identidad"}),
    DecisionKind.IMAGEN_SIN_IDENTIDAD: frozenset({"imagen"}),
    DecisionKind.MENSAJE_DESCARTADO: frozenset({"mensaje"}),
    DecisionKind.NUMERO_PERDIDO: frozenset({"dispositivo", "numero"}),
}
"""The fields of a proposal that name its subject."""
_MAY_HAVE: Final = {DecisionKind.IMAGEN_DE_OTRA_ACTA: frozenset({"identidad"})}


class Decisions:
    """Proposals, their answers, and lists."""

    def __init__(
        self, pool: Pool, tonight: Tonight, *, clock: Callable[[], datetime], chance: Callable[[], float]
    ) -> None:
        self._pool = pool
        self._given = Given(clock, chance, lambda: tonight.night.tz)
        self._reading = asyncio.Lock()
        self._board: tuple[datetime, dict[str, Any]] | None = None

    async def propose(
        self, person: Person, kind: DecisionKind, subject: Mapping[str, Any], *, reason: str, words: str
    ) -> DeskAnswer:
        """Keep what one person proposes. `subject` has the fields that name what it is about, and no others.

        Raises Rejected: 403; 404 if the subject does not exist; 409 if it does not allow this now, or another decision
        about it waits; 422 for fields that this kind does not have, or a reason of no list.
        """
        allow(person, PROPOSES[kind])
        expect_subject(kind, subject)
        async with transaction(self._pool) as connection:
            acta = None
            if kind is DecisionKind.SIN_ACTA:
                acta = await desk.acta_id(connection, subject["eleccion"], subject["clave"])
            said = Said(
                kind,
                reason,
                words,
                acta=acta,
                image=subject.get("imagen", ""),
                identity=subject.get("identidad", ""),
                parked=subject.get("mensaje", 0),
                device=subject.get("dispositivo", ""),
                sequence=subject.get("numero", 0),
            )
            found, new = await decisions.propose(connection, said, self._speaker(person))
        return _told(found, new=new)

    async def propose_undo(self, person: Person, number: int, *, reason: str, words: str) -> DeskAnswer:
        """Keep that a person wants a decision undone. Raises Rejected as `propose`."""
        async with transaction(self._pool) as connection:
            allow(person, PROPOSES[(await store.decision(connection, number)).kind])
            by = self._speaker(person)
            found, new = await decisions.propose_undo(connection, number, reason=reason, words=words, by=by)
        return _told(found, new=new)

    async def answer(self, person: Person, number: int, move: DecisionMove, *, words: str) -> DeskAnswer:
        """Confirm or refuse the proposal that waits. A person may always take her own proposal back.

        Raises Rejected: 403, 404, 409.
        """
        async with transaction(self._pool) as connection:
            found = await store.decision(connection, number)
            own = found.waits is not None and found.waits[1] == person.id
            if not own or move is DecisionMove.CONFIRMA:
                allow(person, CONFIRMS[found.kind])
            by = self._speaker(person)
            found, new = await decisions.answer(connection, number, move, words=words, by=by, given=self._given)
        return _told(found, new=new)

    async def board(self, person: Person) -> dict[str, Any]:
        """The night at a glance. Many screens ask; it is read once in some seconds. Raises Rejected (403)."""
        allow(person, SEES_BOARD)
        async with self._reading:
            now = self._given.now()
            if self._board is None or now - self._board[0] >= BOARD_FRESH:
                async with borrow(self._pool) as connection:
                    told = await desk.board(connection, now, now - BOARD_LOOKS_BACK, sorted(TYPISTS))
                    self._board = now, told | {"pendiente": asdict(await unsettled(connection))}
            return self._board[1] if person.role in SEES_QUALITY else self._board[1] | {"personas": []}

    async def lose_device(self, person: Person, device: str, token: str) -> datetime:
        """From now on the device sends no more; one person is enough, because nothing counts by that.

        Raises Rejected (403, 404).
        """
        allow(person, _MACHINES)
        async with borrow(self._pool) as connection:
            lost = await people.lose_device(connection, token.encode(), device)
        if lost is None:
            raise Rejected(f"no está inscrito el dispositivo {device}", code=Code.NO_DEVICE)
        return lost

    async def send_again(self, person: Person, parked: int) -> None:
        """Send a message again that was set aside. Raises Rejected: 403, 404; 409 if its dismissal is proposed."""
        allow(person, RETRIES)
        async with transaction(self._pool) as connection:
            if await people.is_paused(connection, person.id):
                raise refused("PR012")
            await decisions.send_again(connection, parked, by=person.login, at=self._given.now())

    async def sent_by(self, person: Person, device: str) -> dict[str, Any]:
        """The images of a device, by its numbers. Raises Rejected (403, 404)."""
        allow(person, _CONTROL)
        async with borrow(self._pool) as connection:
            if not await people.device_exists(connection, device):
                raise Rejected(f"no está inscrito el dispositivo {device}", code=Code.NO_DEVICE)
            return {"filas": await people.sent_images(connection, device)}

    async def rows(self, person: Person, what: Listing, after: int) -> dict[str, Any]:
        """A part of a list. Raises Rejected (403)."""
        allow(person, MAY_LIST[what])
        async with borrow(self._pool) as connection:
            found, more = await lists.rows(connection, what, after=after)
        return {"filas": found, "siguiente": more}

    def _speaker(self, person: Person) -> Speaker:
        return Speaker(person.id, person.site, self._given.now())


def expect_subject(kind: DecisionKind, subject: Mapping[str, Any]) -> None:
    """Raises Rejected (422) unless these are the fields that name a subject of this kind."""
    needed, optional = _NEEDS[kind], _MAY_HAVE.get(kind, frozenset[str]())
    if missing := sorted(needed - subject.keys()):
        raise Rejected(f"{missing[0]}: falta", code=Code.FIELD_WRONG)
    if unknown := sorted(subject.keys() - needed - optional):
        raise Rejected(f"{unknown[0]}: no se espera aquí", code=Code.FIELD_WRONG)


def _told(found: Decision, *, new: bool) -> DeskAnswer:
    return DeskAnswer({"decision": found.id, "estado": found.state}, new)
