"""The log's part: every fact becomes a leaf, once, within about a second, and every image gets its proof.

    facts ─► log_leaf (one transaction) ─► tiles ─► state ─► checkpoint (integrity.log) ─► proofs, policy, openings

`prep sequencer`; several may run and one leads. It only reads facts: capture and intake know nothing of it and never
wait for it. What `log_leaf` has and the tree has not is appended by the next run. What is under `bitacora/` beside the
tree itself (proofs, openings), and the proofs beside the cortes, can be made again from the tree and the database. It
is written whole, once, and not synced to the disk; what a crash of the machine takes is made again at the next start.

The policy's witnesses are asked for each new head before the world sees it, and what they sign is in its checkpoint and
in every proof made from it. A head waits for them `integrity.log.witness.PATIENCE` at most, and for none that gave no
signature the last time. While the policy's quorum is not met the log goes on: its checkpoint and its proofs are
published with what there is, the log's own signature always, and a reader who asks for the quorum finds it missing.
Witnesses that come back are shown what they missed; then the checkpoint gets their signatures, and proofs that lack a
quorum are replaced by others made from it. A witness that says that the log is not the one it signed is an alarm and an
incident, and so a leaf; the log goes on.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import uvloop

from integrity.leaves import CORTE_PROOF, link, opening_path, proof_path, read_leaf, rules_digest
from integrity.log.note import (
    Policy,
    Proof,
    SignatureKind,
    Signer,
    Unsupported,
    read_checkpoint,
    read_policy,
    read_proof,
    read_signer,
)
from integrity.log.rotation import rotation_path
from integrity.log.tiles import WIDTH, Tiles
from integrity.log.witness import PATIENCE, NotContinued, Panel
from integrity.log.writer import Changed, FolderBusy, Head, LogRefused, Sequencer, StateRolledBack, Step
from integrity.source import Folder
from integrity.sums import Malformed
from integrity.tree.documents import canonical_json
from prep import observe
from prep.arguments import Parser
from prep.consumer import stop_on_signals
from prep.domain.rules import rule_set
from prep.errors import PrepError, Rejected
from prep.settings import Settings, now, read_settings
from prep.store import catalog, embedded, leading
from prep.store import log as store
from prep.store.database import Connection
from prep.store.leading import Leader
from prep.store.log import Fact, Leaf

log: Final = logging.getLogger(__name__)
PAUSE: Final = 0.5
"""Seconds between looks at the facts."""
HURRY: Final = 0.05
"""The same while a corte that has just been recorded is on its way to the tree."""
HURRY_FOR: Final = 5.0
BATCH: Final = 1000
"""Facts of each kind in one batch, at most."""
LEASE: Final = 15.0
"""Seconds after which a leader that is silent has lost the lead."""
LONGEST_PAUSE: Final = 15.0
STALLED: Final = 30.0
"""Seconds without a finished look after which this part is not well."""
ROLE: Final = "sequencer"
FOLDER: Final = "bitacora"
POLICY: Final = "politica.txt"
_SCRATCH: Final = ".acuses"
"""Where files are made before they are given their names."""
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class LogOffice:
    """What a sequencer works with."""

    url: str
    public: Path
    signer: Signer
    simulacro: bool
    policy: str
    """The text of `politica.txt`."""
    clock: Callable[[], datetime] = now
    step: Step = lambda _: nullcontext()
    """Entered before each step takes effect and left after it: `leaves`, those of `integrity.log`, `proofs`."""
    batch: int = BATCH
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Where witnesses of the policy answer, by their names in it, where that is not what the policy says."""
    patience: float = PATIENCE
    """Seconds that a head waits for its witnesses."""
    keys: Callable[[], Sequence[Signer]] = tuple
    """The keys that are here beside `signer`, looked for when the log passes from one to another."""

    @property
    def folder(self) -> Path:
        return self.public / FOLDER


@dataclass
class Health:
    """What the process tells of itself."""

    wrong: str | None = "todavía no se abre la bitácora"
    looked: float = field(default_factory=time.monotonic)

    def sentence(self) -> str | None:
        """None, or what is wrong."""
        silent = time.monotonic() - self.looked
        return self.wrong or (f"la bitácora no avanza desde hace {int(silent)} s" if silent > STALLED else None)


# --- which facts ------------------------------------------------------------------------------------------------------


@dataclass
class Cursor:
    """Up to where every fact of a kind has its leaf, so that a look reads what is new and not the night.

    Numbers are given before transactions commit, so a lower one may appear after a higher one: `low` moves up to a
    number only when everybody who was writing once it had been seen has ended, and a look has been taken since.
    """

    low: int = 0
    high: int = 0
    """The highest that has a leaf."""
    mark: int = -1
    """Where `low` moves next; -1 where nothing is waited for."""
    waiting: frozenset[str] = frozenset()
    passed: bool = False
    """Those who were writing have ended."""

    def see(self, writing: frozenset[str]) -> None:
        """Before a look: who is writing now."""
        if self.mark < 0:
            self.mark, self.waiting = self.high, writing
        self.passed = self.waiting.isdisjoint(writing)

    def took(self, facts: Sequence[Fact], *, drained: bool) -> None:
        """After a look from `low` on: what it found, and whether that was all."""
        last = facts[-1].reference if facts else self.low
        self.high = max(self.high, last)
        if self.passed:
            self.low = max(self.low, self.mark if drained else min(self.mark, last))
            self.mark, self.passed = -1, False


# --- one who leads ----------------------------------------------------------------------------------------------------


class Scribe:
    """The sequencer that leads, with the log open."""

    def __init__(self, office: LogOffice, leader: Leader, tree: Sequencer, panel: Panel) -> None:
        self._office = office
        self._leader = leader
        self._tree = tree
        self._panel = panel
        self._files = Folder(office.folder)
        self._cursors = {kind: Cursor() for kind in store.KINDS}
        self._links: dict[str, str] = {}
        """The link to the last leaf of each device seen so far."""
        self._cortes: dict[int, int] = {}
        """Cortes in the log that still lack a proof or their openings, with the index of their leaf."""
        self._begun = False
        self._owed: int | None = None
        """The lowest leaf whose proof was made without the policy's quorum, and is to be made again."""
        self._owing = threading.Lock()
        self._filling: asyncio.Task[None] | None = None
        self._changed = True
        """Whether a change of key may lack its proof."""
        self.hurried = 0.0
        """Until when to look more often."""
        self.closing = False

    @classmethod
    async def take_up(cls, office: LogOffice, leader: Leader, tree: Sequencer, panel: Panel) -> "Scribe":
        """Finish what an earlier run left: leaves on record that the tree has not. Raises LogRefused."""
        scribe = cls(office, leader, tree, panel)
        async with leader.using() as connection:
            length = await store.length(connection)
            for kind, high in (await store.marks(connection)).items():
                scribe._cursors[kind].high = high
            scribe._cortes = await store.cortes(connection)
            await scribe._resume(connection)
        await scribe._compare(length)
        while tree.head.size < length:
            async with leader.using() as connection:
                missing = await store.stored(connection, tree.head.size, office.batch)
            await scribe._append(missing)
        return scribe

    async def _resume(self, connection: Connection) -> None:
        start = await store.start(connection)
        if start is None:
            return
        key = self._office.signer.key
        if (start.origen, start.simulacro) != (key.name, self._office.simulacro):
            raise Rejected(f"esta base de datos es de la bitácora {start.origen}, no de {key.name}")
        self._put(self._office.folder / POLICY, start.politica.encode())
        self._begun = True

    async def _compare(self, length: int) -> None:
        """The last leaves of the tree are those on record."""
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
        return self._tree.head.size

    async def turn(self) -> int:
        """One look: every new fact becomes a leaf, and proofs follow. How many leaves."""
        began = time.perf_counter()
        new = await self._record()
        if new:
            if any(leaf.kind == "rotacion" for leaf, _ in new):
                await self._change_keys()
            await self._append([leaf for leaf, _ in new])
            observe.LOG_SECONDS.observe(time.perf_counter() - began)
        await self._hear_witnesses()
        await self._prove_rotations()
        await self._serve_cortes()
        self._refill()
        return len(new)

    async def _record(self) -> list[tuple[Leaf, str | None]]:
        """Facts into log_leaf, all in one transaction. If we stop in it, nothing happened."""
        async with self._leader.using() as connection:
            writing = await store.writers(connection)
            for cursor in self._cursors.values():
                cursor.see(writing)
            async with connection.transaction(isolation="repeatable_read"):
                if not self._begun and not await self._begin(connection):
                    return []
                await store.learn_devices(connection)
                new = await self._leaves(connection, await self._facts(connection))
                if new:
                    with self._office.step("leaves"):
                        await store.add(connection, new)
        # The leaves are on record, in their order for ever. If we stop here, the next run appends them to the tree.
        if not self._begun:
            self._begun = True
            self._put(self._office.folder / POLICY, self._office.policy.encode())
        return new

    async def _begin(self, connection: Connection) -> bool:
        """The first leaf says what the log is of; it waits for a catalogue and for the first fact."""
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
                simulacro=self._office.simulacro,
                catalogo=digest,
                reglas=rules_digest(rules),
                politica=self._office.policy,
                clave=str(key),
            ),
        )
        return True

    async def _facts(self, connection: Connection) -> list[Fact]:
        found: list[Fact] = []
        full = False
        for kind in store.KINDS:
            if full and kind in store.LAST:
                continue  # everything that a corte shows goes before it
            cursor = self._cursors[kind]
            # The beginning is reference 0, and so is corte 0.
            facts = await store.fresh(connection, kind, cursor.low - 1, self._office.batch)
            drained = len(facts) < self._office.batch
            cursor.took(facts, drained=drained)
            full = full or not drained
            found += facts
        if not full:
            observe.LOG_DRAINED.set(self._office.clock().timestamp())
        return found

    async def _leaves(self, connection: Connection, facts: Sequence[Fact]) -> list[tuple[Leaf, str | None]]:
        number = await store.length(connection) if facts else 0
        unknown = {fact.device for fact in facts if fact.device} - self._links.keys()
        self._links |= await store.last_of_devices(connection, [each for each in unknown if each]) if unknown else {}
        new: list[tuple[Leaf, str | None]] = []
        for index, fact in enumerate(facts, number):
            content = fact.leaf(index, self._links.get(fact.device) if fact.device else None)
            if fact.device:
                self._links[fact.device] = link(content)
            new.append((Leaf(index, fact.kind, fact.reference, content), fact.device))
        return new

    async def _append(self, new: Sequence[Leaf]) -> None:
        """Into the tree, and what follows from it. Each step of it is `integrity.log`'s."""
        places = await asyncio.to_thread(self._tree.append, [leaf.content for leaf in new])
        if places.start != new[0].index:
            raise Changed(f"la bitácora puso en el lugar {places.start} la hoja {new[0].index}")
        # The world sees them. If we stop anywhere below, the next run makes what is missing.
        checkpoint = self._tree.checkpoint()
        async with self._leader.using() as connection:
            await store.sign(connection, self._tree.head.size, checkpoint)
        observe.LOG_SIZE.set(self._tree.head.size)
        cortes = {leaf.reference: leaf.index for leaf in new if leaf.kind == "corte"}
        if cortes:
            self._cortes |= cortes
            self.hurried = time.monotonic() + HURRY_FOR
        images = [leaf for leaf in new if leaf.kind == "imagen"]
        if images:
            with self._office.step("proofs"):
                await asyncio.to_thread(self._prove_images, ((leaf.index, leaf.content) for leaf in images))

    # --- keys ---------------------------------------------------------------------------------------------------------

    async def _change_keys(self) -> None:
        """The leaf that names a key is on record: the checkpoint that has it is signed by that key, and the old one."""
        async with self._leader.using() as connection:
            self._tree.sign_with(*_signing(self._office, await store.handed_over(connection)))
        self._changed = True

    async def _prove_rotations(self) -> None:
        """At `rotaciones/`: each change of key, in a checkpoint that both keys signed."""
        if not self._changed:
            return
        async with self._leader.using() as connection:
            for number, (_, index) in enumerate(await store.handed_over(connection), 1):
                path = self._office.folder / rotation_path(number)
                if not path.exists():
                    [leaf] = await store.stored(connection, index, 1)
                    with self._office.step("proofs"):
                        await asyncio.to_thread(self._prove, path, leaf)
        self._changed = False

    # --- witnesses ----------------------------------------------------------------------------------------------------

    async def _hear_witnesses(self) -> None:
        """Put in what came after the checkpoint was out, ask again who is missing, and tell of who says no."""
        if not self._panel.policy.witnesses:
            return
        checkpoint = self._tree.checkpoint()
        if set(self._panel.seats) - set(self._cosigners(checkpoint)):
            lines = await asyncio.to_thread(self._panel.ask, checkpoint, self._tree.tiles(), patience=0)
            keys = [seat.witness.key for seat in self._panel.seats.values()]
            # If we stop here the checkpoint is as it was, and the witnesses sign it again.
            await asyncio.to_thread(self._tree.add_cosignatures, lines, keys)
        observe.LOG_QUORUM.set(self._is_met(self._tree.checkpoint()))
        for name, seat in self._panel.seats.items():
            observe.LOG_WITNESSED.labels(name).set(seat.known)
            denied = isinstance(seat.problem, NotContinued)
            observe.LOG_DENIED.labels(name).set(denied)
            if denied and seat.problem:
                await self._tell_of(name, seat.problem.sentence)

    async def _tell_of(self, name: str, sentence: str) -> None:
        """Once, over restarts: what is told becomes a leaf, and that a head that the witness is asked about."""
        async with self._leader.using() as connection:
            if await store.tell_of_witness(connection, name, sentence, self._office.clock()):
                log.critical("witness denies the log", extra={"data": {"witness": name, "why": sentence}})

    def wrong(self) -> str | None:
        """None, or what a witness has against this log."""
        for name, seat in self._panel.seats.items():
            if isinstance(seat.problem, NotContinued):
                return f"testigo {name}: {seat.problem.sentence}"
        return None

    def _cosigners(self, checkpoint: bytes) -> list[str]:
        """Whose lines a checkpoint of ours has; they were verified when they were put in."""
        signed = {(each.name, each.key_id) for each in read_checkpoint(checkpoint).note.signatures}
        witnesses = self._panel.policy.witnesses.items()
        return [name for name, each in witnesses if (each.key.name, each.key.id) in signed]

    def _is_met(self, checkpoint: bytes) -> bool:
        return self._panel.policy.is_met_by(self._cosigners(checkpoint))

    # --- proofs -------------------------------------------------------------------------------------------------------

    def fill(self, first: int = 0) -> None:
        """Begin to make, beside what comes, the proofs that are missing or lack a quorum, from that leaf on."""
        self._filling = asyncio.create_task(self.prove_missing(first))

    def _refill(self) -> None:
        if self._filling is not None and self._filling.done():
            self._filling.result()
            self._filling = None
        if self._owed is not None and self._filling is None and self._is_met(self._tree.checkpoint()):
            with self._owing:
                first, self._owed = self._owed, None
            self.fill(first)

    async def close(self) -> None:
        self.closing = True
        if self._filling is not None:
            await asyncio.wait({self._filling})

    async def prove_missing(self, first: int = 0) -> None:
        """The proofs that an earlier run did not come to write, or a crash of the machine took, or without a quorum."""
        await asyncio.to_thread(self._prove_missing, self._tree.head, first)

    def _prove_missing(self, head: Head, first: int) -> None:
        tiles = Tiles(self._files, head.size)
        for bundle in range(first // WIDTH, -(-head.size // WIDTH)):
            if self.closing:
                return
            entries = enumerate(tiles.entries(bundle), bundle * WIDTH)
            self._prove_images((index, entry) for index, entry in entries if b'"tipo":"imagen"' in entry)

    def _prove_images(self, images: Iterable[tuple[int, bytes]]) -> None:
        """At an address that the receipt has given: `acuses/<2 hex>/<sha256>.tlog-proof`, of the first that comes."""
        prove, is_met = self._prover()
        for index, content in images:
            path = self._office.public / proof_path(read_leaf(content)["sha256"])
            if not self._stands(path, is_met=is_met):
                self._put(path, prove(index, content))
            if not is_met:
                with self._owing:
                    self._owed = index if self._owed is None else min(self._owed, index)

    def _stands(self, path: Path, *, is_met: bool) -> bool:
        """Whether there is a proof that another made now would not be better than."""
        if not path.exists():
            return False
        if not is_met or self._panel.policy.quorum == "none":
            return True
        try:
            return self._is_met(read_proof(path.read_bytes()).checkpoint.to_bytes())
        except (OSError, Malformed):
            return False

    def _prover(self) -> tuple[Callable[[int, bytes], bytes], bool]:
        """Makes proofs for the checkpoint that is out now, and whether that has the policy's quorum.

        Each proof carries its leaf: whoever has it needs nothing else.
        """
        checkpoint = read_checkpoint(self._tree.checkpoint())
        tiles = Tiles(self._files, checkpoint.size)

        def prove(index: int, content: bytes) -> bytes:
            return Proof(index, tuple(tiles.inclusion(index)), checkpoint, content).to_bytes()

        return prove, self._is_met(checkpoint.to_bytes())

    async def _serve_cortes(self) -> None:
        """Beside each corte that is in the tree: its proof; and what the commitments to its actas were."""
        is_met = bool(self._cortes) and self._is_met(self._tree.checkpoint())
        for number, index in list(self._cortes.items()):
            folder = self._office.public / "cortes" / f"{number:04}"
            if not await asyncio.to_thread(self._is_due, folder, is_met=is_met):
                continue
            opened = self._office.public / opening_path(number)
            async with self._leader.using() as connection:
                leaf = (await store.stored(connection, index, 1))[0]
                lines = None if opened.exists() else await store.openings(connection, number)
            with self._office.step("proofs"):
                await asyncio.to_thread(self._prove, folder / CORTE_PROOF, leaf)
                if lines:
                    self._put(opened, b"".join(canonical_json(line) + b"\n" for line in lines))
            if is_met:
                del self._cortes[number]

    def _is_due(self, folder: Path, *, is_met: bool) -> bool:
        """Whether the corte is in the tree, and something can be put beside it that is not there."""
        return folder.is_dir() and (is_met or not (folder / CORTE_PROOF).exists())

    def _prove(self, path: Path, leaf: Leaf) -> None:
        prove, is_met = self._prover()
        if not self._stands(path, is_met=is_met):
            self._put(path, prove(leaf.index, leaf.content))

    def _put(self, path: Path, content: bytes) -> None:
        """All of it or nothing under its name, whoever looks and whenever we stop."""
        scratch = self._office.folder / _SCRATCH
        scratch.mkdir(exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = scratch / uuid.uuid4().hex
        temporary.write_bytes(content)
        temporary.replace(path)


# --- the part ---------------------------------------------------------------------------------------------------------


async def run(office: LogOffice, stop: asyncio.Event, health: Health | None = None) -> None:
    """Lead, or stand by, until `stop`. What goes wrong is an alarm and the next try; nothing is signed meanwhile."""
    health = health or Health()
    failures = 0
    while not stop.is_set():
        try:
            async with leading.session(office.url, lease=LEASE, name="prep-sequencer") as leader:
                failures = 0 if await _lead(office, leader, stop, health) else failures
        except Exception as error:  # noqa: BLE001  # an alarm and the next try, never the end of the log
            failures += 1
            _alarm(error, health)
        observe.LEADER.labels(ROLE).set(0)
        observe.LOG_QUORUM.set(1)  # what witnesses say is for whoever leads to tell
        observe.LOG_DENIED.clear()
        if failures:
            await _pause(stop, min(LONGEST_PAUSE, PAUSE * 2.0**failures))


async def _lead(office: LogOffice, leader: Leader, stop: asyncio.Event, health: Health) -> bool:
    """Whether the log was open."""
    while not await leader.lead(leading.SEQUENCING):
        health.wrong, health.looked = None, time.monotonic()  # a standby is well
        await _pause(stop, PAUSE)
        if stop.is_set():
            return False
    async with opened(office, leader) as scribe:
        observe.LEADER.labels(ROLE).set(1)
        observe.LOG_REFUSED.set(0)
        scribe.fill()
        try:
            while not stop.is_set():
                taken = await scribe.turn()
                health.wrong, health.looked = scribe.wrong(), time.monotonic()
                if taken < office.batch:
                    await _pause(stop, HURRY if time.monotonic() < scribe.hurried else PAUSE)
            await scribe.turn()  # whoever stops everything after the last corte finds it in the log
        finally:
            await scribe.close()
    return True


@asynccontextmanager
async def opened(office: LogOffice, leader: Leader) -> AsyncIterator[Scribe]:
    """The log, recomputed from its files and brought up to what is on record. Raises LogRefused."""
    state = store.LedState(leader, asyncio.get_running_loop())
    office.public.mkdir(parents=True, exist_ok=True)
    async with leader.using() as connection:
        start = await store.start(connection)
        signer, also = _signing(office, await store.handed_over(connection))
    panel = Panel(asked_at(start.politica if start else office.policy, office.addresses), patience=office.patience)
    tree = await asyncio.to_thread(
        Sequencer, office.folder, signer, state, also=also, cosign=panel.ask, step=office.step
    )
    try:
        shutil.rmtree(office.folder / _SCRATCH, ignore_errors=True)
        observe.LOG_SIZE.set(tree.head.size)
        yield await Scribe.take_up(office, leader, tree, panel)
    finally:
        await asyncio.to_thread(tree.close)


def _alarm(error: Exception, health: Health) -> None:
    if isinstance(error, FolderBusy):
        log.warning("log busy", extra={"data": {"why": error.sentence}})
        return
    health.wrong = error.sentence if isinstance(error, LogRefused | PrepError) else f"{type(error).__name__}: {error}"
    refused = isinstance(error, LogRefused)
    observe.LOG_REFUSED.set(refused)
    told = {"data": {"cause": type(error).__name__, "why": health.wrong}}
    said = None if isinstance(error, LogRefused | PrepError) else error  # a sentence needs no traceback
    log.log(logging.CRITICAL if refused else logging.ERROR, "log not continued", exc_info=said, extra=told)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


# --- keys and policy --------------------------------------------------------------------------------------------------


def signing_key(path: Path, name: str) -> Signer:
    """The log's key, made at first use, mode 0600; of several processes that make it one wins.

    Raises Rejected where the file is no such key, is another log's, or where others on the machine may read it.
    """
    if not path.exists():
        if following_key(path).exists():  # stopped between the two renames of «prep log rotate --end»
            following_key(path).rename(path)
        else:
            _make_key(path, name)
    if path.stat().st_mode & _OTHERS:
        raise Rejected(f"la llave {path} la pueden leer otros usuarios; corrija con: chmod 600 {path}")
    try:
        signer = read_signer(path.read_text("utf-8"))
    except (Malformed, Unsupported, UnicodeDecodeError):
        raise Rejected(f"{path} no es una llave de bitácora") from None
    if signer.key.name != name or signer.key.kind is not SignatureKind.LOG:
        raise Rejected(f"la llave {path} es de la bitácora {signer.key.name}; esta es {name}")
    return signer


def _make_key(path: Path, name: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{Signer.generate(name, SignatureKind.LOG).to_text()}\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: its key is the key
            os.link(temporary, path)
    finally:
        temporary.unlink()
    with _folder(path.parent) as folder:
        os.fsync(folder)


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def policy_text(signer: Signer, file: Path | None) -> str:
    """The policy to publish: the file's, which must know this log, or one that asks for no witness."""
    if file is None:
        return f"log {signer.key}\nquorum none\n"
    try:
        text = file.read_text("utf-8")
        known = [each.key for each in read_policy(text.encode()).logs]
    except (OSError, UnicodeDecodeError):
        raise Rejected(f"no se puede leer la política {file}") from None
    except (Malformed, Unsupported) as problem:
        raise Rejected(f"la política {file} no se entiende: {problem}") from None
    if [key.name for key in known] != [signer.key.name]:
        raise Rejected(f"la política {file} no es de la bitácora {signer.key}")
    return text


def asked_at(policy: str, addresses: Mapping[str, str]) -> Policy:
    """The policy, with other addresses for those witnesses. Raises Rejected for one that it does not have."""
    read = read_policy(policy.encode())
    unknown = sorted(addresses.keys() - read.witnesses.keys())
    if unknown:
        raise Rejected(f"PREP_LOG_WITNESSES: la política no tiene ningún testigo «{unknown[0]}»")
    witnesses = {name: replace(each, url=addresses.get(name, each.url)) for name, each in read.witnesses.items()}
    return replace(read, witnesses=witnesses)


def office_of(settings: Settings, url: str) -> LogOffice:
    signer = signing_key(settings.log_key, settings.log_name)
    policy = policy_text(signer, settings.log_policy)
    addresses = dict(each.split("=", 1) for each in settings.log_witnesses.split(",") if each)
    asked_at(policy, addresses)
    following = following_key(settings.log_key)

    def keys() -> Sequence[Signer]:
        return [signing_key(following, settings.log_name)] if following.exists() else []

    public = settings.public.absolute()
    return LogOffice(url, public, signer, settings.simulacro, policy, addresses=addresses, keys=keys)


def following_key(path: Path) -> Path:
    """Where the key that follows the one at `path` is while the two overlap (`prep log rotate`)."""
    return path.with_name(f"{path.name}.siguiente")


def _signing(office: LogOffice, passed_to: Sequence[tuple[bytes, int]]) -> tuple[Signer, list[Signer]]:
    """The key that signs, and those before it that still do. Raises LogRefused where the one that must is not here."""
    if not passed_to:
        return office.signer, []
    here = {each.key.public: each for each in (*office.keys(), office.signer)}
    signer = here.get(passed_to[-1][0])
    if signer is None:
        raise LogRefused("la bitácora pasó a otra llave, que no está en esta máquina")
    return signer, [each for each in (office.signer,) if each.key != signer.key]


async def once(settings: Settings) -> int:
    """Everything there is into the log, with its proofs, as soon as no other sequencer is at work; its size."""
    async with embedded.database(settings) as urls:
        office = office_of(settings, urls.app)
        async with leading.session(office.url, lease=LEASE, name="prep-sequencer") as leader:
            while not await leader.lead(leading.SEQUENCING):  # noqa: ASYNC110  # another session lets go of it
                await asyncio.sleep(PAUSE)
            async with opened(office, leader) as scribe:
                while await scribe.turn():
                    pass
                await scribe.prove_missing()
                await scribe.close()
                return scribe.size


async def serve(settings: Settings) -> None:
    stop = stop_on_signals()
    health = Health()
    async with embedded.database(settings) as urls:
        office = office_of(settings, urls.app)
        server = await observe.serve_metrics(settings.host, settings.sequencer_metrics_port, health.sentence)
        async with server:
            await run(office, stop, health)


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0 when it was asked to stop; 2, with one sentence, where it cannot begin."""
    description = "Lleva la bitácora: cada hecho, una hoja; cada imagen, su prueba."
    parser = Parser(prog="prep sequencer", description=description)
    parser.add_argument("--once", action="store_true", help="lo que falta, ahora; y termina")
    arguments = parser.parse_args(argv)
    observe.start_log("sequencer")
    os.umask(0o022)  # what is published is for everybody to read
    try:
        if arguments.once:
            print(f"bitácora: {uvloop.run(once(read_settings()))} hojas")
            return
        uvloop.run(serve(read_settings()))
    except (LogRefused, PrepError) as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)
