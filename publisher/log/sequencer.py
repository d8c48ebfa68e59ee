"""The log's part: every fact becomes a leaf, once, within about a second, and every image gets its proof.

    facts ─► log_leaf (one transaction) ─► tiles ─► state ─► checkpoint (integrity.log) ─► proofs, policy, openings

`prep sequencer`; several may run and one leads. It only reads facts: capture and intake do not know of it and never
wait for it. Leaves that are in `log_leaf` and not in the tree are appended by the next run.

The policy's witnesses are asked for each new head before readers see it. Their signatures are in its checkpoint and in
every proof made from it. A head waits for them at most `integrity.log.witness.PATIENCE` seconds, and not at all for a
witness that gave no signature the last time. Without the policy's quorum the log goes on: its checkpoint and its proofs
are published with the signatures that came, always with the log's own; a reader who asks for the quorum finds that it
is missing. Witnesses that come back are shown all that they missed. Then the checkpoint gets their signatures, and
proofs without a quorum are replaced by new ones. If a witness says that the log is not the one that it signed, this is
an alarm, an incident and so a leaf; the log goes on.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from integrity.leaves import rules_digest
from integrity.log.tiles import WIDTH
from integrity.log.witness import NotContinued, Panel
from integrity.log.writer import Changed, FolderBusy, LogRefused, Sequencer, StateRolledBack
from prep import observe
from prep.domain.rules import rule_set
from prep.errors import PrepError, Rejected
from prep.store import catalog, leading
from prep.store import log as store
from prep.store.database import Connection
from prep.store.leading import Leader
from prep.store.log import Leaf
from prep.store.night import NightChanged
from publisher.log.facts import NewFacts
from publisher.log.office import POLICY, LogOffice, asked_at, signing_now
from publisher.log.proofs import Proofs, clear_scratch

log: Final = logging.getLogger(__name__)
PAUSE: Final = 0.5
"""Seconds between two looks at the facts."""
HURRY: Final = 0.05
"""The same, after a corte was recorded and before its proof is in the tree."""
HURRY_FOR: Final = 5.0
LEASE: Final = 15.0
"""Seconds after which a silent leader has lost the lead."""
LONGEST_PAUSE: Final = 15.0
STALLED: Final = 30.0
"""Seconds without a finished look after which this process counts as ill."""
ROLE: Final = "sequencer"


@dataclass
class Health:
    """The state of this process, for its health page."""

    wrong: str | None = "todavía no se abre la bitácora"
    looked: float = field(default_factory=time.monotonic)
    ready: observe.Readiness = field(default_factory=lambda: observe.Readiness(patience=STALLED))
    """Whether the log can go on. A witness that denies it is wrong, and the log goes on."""

    def look(self, wrong: str | None) -> None:
        """A look ended well; `wrong` says what it saw."""
        self.wrong, self.looked = wrong, time.monotonic()
        self.ready.tell(None)

    def sentence(self) -> str | None:
        """None, or one Spanish sentence about the fault."""
        silent = time.monotonic() - self.looked
        return self.wrong or (f"la bitácora no avanza desde hace {int(silent)} s" if silent > STALLED else None)


class Scribe:
    """The sequencer that leads, with the log open."""

    def __init__(self, office: LogOffice, leader: Leader, tree: Sequencer, panel: Panel) -> None:
        self._office = office
        self._leader = leader
        self._tree = tree
        self._panel = panel
        self._facts = NewFacts(batch=office.batch, clock=office.clock)
        self.proofs = Proofs(office, leader, tree, panel.policy)
        self._begun = False
        self.hurried = 0.0
        """Time (monotonic) until which this process looks more often."""

    @classmethod
    async def take_up(cls, office: LogOffice, leader: Leader, tree: Sequencer, panel: Panel) -> "Scribe":
        """Append the leaves that an earlier run recorded and did not append. Raises LogRefused."""
        scribe = cls(office, leader, tree, panel)
        async with leader.using() as connection:
            length = await store.length(connection)
            for kind, high in (await store.marks(connection)).items():
                scribe._facts.cursors[kind].high = high
            scribe.proofs.cortes = await store.cortes(connection)
            await scribe._resume_recorded_log(connection)
        await scribe._compare_last_leaves(length)
        while tree.head.size < length:
            async with leader.using() as connection:
                missing = await store.stored(connection, tree.head.size, office.batch)
            await scribe._append_and_prove(missing)
        return scribe

    async def _resume_recorded_log(self, connection: Connection) -> None:
        # The database must be of this log: of another one, its leaves would join the wrong tree.
        start = await store.start(connection)
        if start is None:
            return
        key = self._office.signer.key
        if (start.origen, start.simulacro) != (key.name, self._office.night.simulacro):
            raise Rejected(f"esta base de datos es de la bitácora {start.origen}, no de {key.name}")
        self.proofs.put(self._office.folder / POLICY, start.politica.encode())
        self._begun = True

    async def _compare_last_leaves(self, length: int) -> None:
        """The last leaves of the tree must be those on record. A database from an old backup is refused here."""
        size = self._tree.head.size
        if length < size:
            raise StateRolledBack(f"la base de datos tiene {length} hojas y la bitácora ya tiene {size}: es una copia")
        if not size:
            return
        index = (size - 1) // WIDTH
        entries = await asyncio.to_thread(self._tree.tiles().entries, index)
        async with self._leader.using() as connection:
            kept = await store.stored(connection, index * WIDTH, len(entries))
        if [leaf.content for leaf in kept] != entries:
            raise Changed("las últimas hojas de la base de datos no son las de la bitácora")

    @property
    def size(self) -> int:
        """Leaves in the tree now."""
        return self._tree.head.size

    async def turn(self) -> int:
        """One look: every new fact becomes a leaf, and proofs follow. Returns the number of leaves."""
        began = time.perf_counter()
        new = await self._record_new_leaves()
        if new:
            # A new key signs from the checkpoint that has its own leaf, so the keys change before the append.
            if any(leaf.kind == "rotacion" for leaf, _ in new):
                await self._change_keys()
            await self._append_and_prove([leaf for leaf, _ in new])
            observe.LOG_SECONDS.observe(time.perf_counter() - began)
        await self._hear_witnesses()
        await self.proofs.prove_rotations()
        await self.proofs.serve_cortes()
        self.proofs.refill()
        return len(new)

    async def _record_new_leaves(self) -> list[tuple[Leaf, str | None]]:
        """New facts into log_leaf, in one transaction: if we stop in it, no leaf is on record."""
        async with self._leader.using() as connection:
            # Transactions that are still open may commit facts with lower numbers; `NewFacts` waits for them.
            writing = await store.writers(connection)
            self._facts.see(writing)
            async with connection.transaction(isolation="repeatable_read"):
                if not self._begun and not await self._begin_log(connection):
                    return []
                await store.learn_devices(connection)
                new = await self._facts.leaves(connection, await self._facts.fresh(connection))
                if new:
                    with self._office.step("leaves"):
                        await store.add(connection, new)
        # The leaves are on record, in their order for ever. If we stop here, the next run appends them to the tree.
        if not self._begun:
            self._begun = True
            self.proofs.put(self._office.folder / POLICY, self._office.policy.encode())
        return new

    async def _begin_log(self, connection: Connection) -> bool:
        """The first leaf describes the night. It waits for a catalogue and for the first fact."""
        digest = await catalog.digest(connection)
        if digest is None or not await store.anything(connection):
            return False
        key = self._office.signer.key
        if [each.key for each in self._panel.policy.logs] != [key]:
            raise Rejected(f"la política no es de la bitácora {key}")
        rules = {each.code: rule_set(each.rules).digest for each in await catalog.elections(connection)}
        await store.learn_devices(connection)
        await store.begin(
            connection,
            store.Start(
                at=self._office.clock(),
                origen=key.name,
                simulacro=self._office.night.simulacro,
                catalogo=digest,
                reglas=rules_digest(rules),
                politica=self._office.policy,
                clave=str(key),
                declaracion=self._office.night.digest,
            ),
        )
        return True

    async def _append_and_prove(self, new: Sequence[Leaf]) -> None:
        """Append to the tree, then make the proofs.

        If we stop inside the append, `integrity.log.writer` says how it goes on.
        """
        places = await asyncio.to_thread(self._tree.append, [leaf.content for leaf in new])
        if places.start != new[0].index:
            raise Changed(f"la bitácora puso en el lugar {places.start} la hoja {new[0].index}")
        # Readers see the leaves. If we stop anywhere below, the next run makes the missing proofs.
        checkpoint = self._tree.checkpoint()
        async with self._leader.using() as connection:
            await store.sign(connection, self._tree.head.size, checkpoint)
        observe.LOG_SIZE.set(self._tree.head.size)
        cortes = {leaf.reference: leaf.index for leaf in new if leaf.kind == "corte"}
        if cortes:
            self.proofs.cortes |= cortes
            self.hurried = time.monotonic() + HURRY_FOR
        images = [leaf for leaf in new if leaf.kind == "imagen"]
        if images:
            with self._office.step("proofs"):
                await asyncio.to_thread(self.proofs.prove_images, ((leaf.index, leaf.content) for leaf in images))

    # --- keys ---------------------------------------------------------------------------------------------------------

    async def _change_keys(self) -> None:
        """The leaf with a new key is on record: from the checkpoint that has it on, both keys sign."""
        async with self._leader.using() as connection:
            self._tree.sign_with(*signing_now(self._office, await store.handed_over(connection)))
        self.proofs.changed = True

    # --- witnesses ----------------------------------------------------------------------------------------------------

    async def _hear_witnesses(self) -> None:
        """Add signatures that came after the checkpoint, ask again, and report witnesses that deny the log."""
        if not self._panel.policy.witnesses:
            return
        checkpoint = self._tree.checkpoint()
        if set(self._panel.seats) - set(self.proofs.cosigners(checkpoint)):
            lines = await asyncio.to_thread(self._panel.ask, checkpoint, self._tree.tiles(), patience=0)
            keys = [seat.witness.key for seat in self._panel.seats.values()]
            # If we stop here the checkpoint is as it was, and the witnesses sign it again.
            await asyncio.to_thread(self._tree.add_cosignatures, lines, keys)
        observe.LOG_QUORUM.set(self.proofs.is_met(self._tree.checkpoint()))
        for name, seat in self._panel.seats.items():
            observe.LOG_WITNESSED.labels(name).set(seat.known)
            denied = isinstance(seat.problem, NotContinued)
            observe.LOG_DENIED.labels(name).set(denied)
            if denied and seat.problem:
                await self._tell_of(name, seat.problem.sentence)

    async def _tell_of(self, name: str, sentence: str) -> None:
        """Report it once, even over restarts: each report becomes a leaf, and the witness is asked about each head."""
        async with self._leader.using() as connection:
            if await store.tell_of_witness(connection, name, sentence, self._office.clock()):
                log.critical("witness denies the log", extra={"data": {"witness": name, "why": sentence}})

    def wrong(self) -> str | None:
        """None, or the objection of a witness to this log."""
        for name, seat in self._panel.seats.items():
            if isinstance(seat.problem, NotContinued):
                return f"testigo {name}: {seat.problem.sentence}"
        return None


async def run(office: LogOffice, stop: asyncio.Event, health: Health | None = None) -> None:
    """Lead, or stand by, until `stop`. An error is an alarm and another try; no head is signed meanwhile.

    Raises NightChanged if another night is declared than the one of the office.
    """
    health = health or Health()
    failures = 0
    while not stop.is_set():
        try:
            async with leading.session(office.url, lease=LEASE, name="prep-sequencer") as leader:
                failures = 0 if await _lead_until(office, leader, stop, health) else failures
        except NightChanged:
            raise  # this process has the name of another log
        except Exception as error:  # noqa: BLE001  # an alarm and the next try, never the end of the log
            failures += 1
            _alarm_log(error, health)
        observe.LEADER.labels(ROLE).set(0)
        observe.LOG_QUORUM.set(1)  # only the leader reports on its witnesses
        observe.LOG_DENIED.clear()
        if failures:
            await _pause_unless_stopped(stop, min(LONGEST_PAUSE, PAUSE * 2.0**failures))


async def _lead_until(office: LogOffice, leader: Leader, stop: asyncio.Event, health: Health) -> bool:
    """Wait for the lead, then keep the log until `stop`. Whether the log was open."""
    while not await leader.lead(leading.SEQUENCING):
        health.look(None)  # a standby is well
        await _pause_unless_stopped(stop, PAUSE)
        if stop.is_set():
            return False
    async with opened(office, leader) as scribe:
        observe.LEADER.labels(ROLE).set(1)
        observe.LOG_REFUSED.set(0)
        scribe.proofs.fill()
        try:
            while not stop.is_set():
                taken = await scribe.turn()
                health.look(scribe.wrong())
                if taken < office.batch:
                    await _pause_unless_stopped(stop, HURRY if time.monotonic() < scribe.hurried else PAUSE)
            await scribe.turn()  # the last corte must be in the log even if everything stops right after it
        finally:
            await scribe.proofs.close()
    return True


@asynccontextmanager
async def opened(office: LogOffice, leader: Leader) -> AsyncIterator[Scribe]:
    """The log, recomputed from its files and brought up to the leaves on record. Raises LogRefused."""
    state = store.LedState(leader, asyncio.get_running_loop())
    office.public.mkdir(parents=True, exist_ok=True)
    async with leader.using() as connection:
        start = await store.start(connection)
        signer, also = signing_now(office, await store.handed_over(connection))
    panel = Panel(asked_at(start.politica if start else office.policy, office.addresses), patience=office.patience)
    tree = await asyncio.to_thread(
        Sequencer, office.folder, signer, state, also=also, cosign=panel.ask, step=office.step
    )
    try:
        clear_scratch(office.folder)
        observe.LOG_SIZE.set(tree.head.size)
        yield await Scribe.take_up(office, leader, tree, panel)
    finally:
        await asyncio.to_thread(tree.close)


def _alarm_log(error: Exception, health: Health) -> None:
    if isinstance(error, FolderBusy):
        log.warning("log busy", extra={"data": {"why": error.sentence}})
        return
    health.wrong = error.sentence if isinstance(error, LogRefused | PrepError) else f"{type(error).__name__}: {error}"
    health.ready.tell(health.wrong)
    refused = isinstance(error, LogRefused)
    observe.LOG_REFUSED.set(refused)
    told = {"data": {"cause": type(error).__name__, "why": health.wrong}}
    said = None if isinstance(error, LogRefused | PrepError) else error  # a sentence needs no traceback
    log.log(logging.CRITICAL if refused else logging.ERROR, "log not continued", exc_info=said, extra=told)


async def _pause_unless_stopped(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
