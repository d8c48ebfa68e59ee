"""A mirror that anyone can run: it follows a published tree, verifies the new parts, and shows only verified trees.

    prep difusor https://prep.example.mx/ --into CARPETA        serve the folder CARPETA/publico

`CARPETA/publico` is a link to one of two trees, which share their files (hard links). New files are brought into the
other tree. It is verified there like anyone would (`integrity.verify`); then the link moves to it, in one step. A
reader sees the tree of before or the tree of after, whole, even after a crash at any point. Published bytes are never
removed. If the origin rewrites them, goes back, or shows another history of its log, it diverges: the mirror keeps its
tree and says so.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from integrity.authenticity import Trust
from integrity.log.note import Policy
from integrity.log.tiles import CHECKPOINT
from integrity.report import SEAL_CHECKS, Report, Result
from integrity.strict_json import Json
from integrity.sums import Malformed
from integrity.tree.documents import read_index
from integrity.verify import verify
from prep import observe
from prep.errors import Parked, PrepError, Unavailable, reason_of
from publisher.mirror.carrier import Carrier, few_at_once
from publisher.mirror.divergence import Divergence, DivergenceRecord
from publisher.mirror.origin import SMALL, Gone, Origin, OriginDiffers, Patience
from publisher.mirror.reading import checkpoint_in, immutable_paths
from publisher.mirror.stage import INDEX, LOG, SUMS, HeldTree, Stage, digest_of, held_in, stage_beside, switch

_MAY_COME_LATER: Final = frozenset(
    {"CON-21", "EVI-03", "EVI-04", "EVI-05", "EVI-06", "EVI-07", "EVI-12", "EVI-13", *SEAL_CHECKS}
)
"""Checks that may stay unchecked in a shown tree: they need files that come after a corte, or that are not at hand."""


@dataclass(frozen=True, slots=True)
class MirrorRequest:
    """The wishes of the person who runs the mirror."""

    policy: Policy | None = None
    trust: Trust | None = None
    sample: int = 4
    """Mirrored files that each look compares with the origin's."""
    log_every: float = 0
    """Seconds after which the log is followed even if no corte has come out."""
    patience: Patience = field(default_factory=Patience)


class Mirror:
    """One mirror of one origin. `tell` hears one Spanish sentence for each event."""

    def __init__(
        self, origin: Origin, folder: Path, asked: MirrorRequest, *, tell: Callable[[str], None], rng: random.Random
    ) -> None:
        self._origin = origin
        self._folder = folder
        self._asked = asked
        self._tell = tell
        self._rng = rng
        self._index = b""
        """The origin's index.json at the last reading."""
        self._verified = False
        """Whether this process has verified the whole tree that is shown."""
        self._begun = False
        """Whether this process has asked once for every file that may come late."""
        self._followed = 0.0
        """Time (monotonic) at which the log was last followed."""
        self._looks = 0
        self._evidence = DivergenceRecord(folder / "divergencias")
        self._carrier = Carrier(origin, folder, self._evidence)
        self.current = time.monotonic()
        """Time (monotonic) at which the mirror last had everything of the origin."""
        self.wrong: str | None = "todavía no se ha mirado el origen"
        self.diverges = False

    # --- the story ----------------------------------------------------------------------------------------------------

    async def look(self) -> bool:
        """One look at the origin: bring new files, verify them, show them. Returns whether there were any.

        Raises Divergence; Unavailable if the origin does not answer or has not finished. If it raises, or stops
        anywhere, the tree that is shown stays the same.
        """
        held = held_in(self._folder)
        try:
            # 1. The origin's index and log, compared with what it showed before.
            index = await self._read_index(held)
            await self._compare_again(held)
            checkpoint = await self._origin.read_if_there(f"{LOG}/{CHECKPOINT}", SMALL)
            self._compare_log(checkpoint, held)
            fresh = held is None or held.index != self._index
            new = (fresh or self._is_time()) and await self._bring_and_show(held, index, checkpoint)
        except OriginDiffers as error:
            raise Divergence(error.sentence) from None
        self.current = time.monotonic()
        self.wrong = None
        observe.DIFUSOR_CORTE.set(index["corte"])
        observe.DIFUSOR_BEHIND.set(0)
        return new

    async def _bring_and_show(self, held: HeldTree | None, index: Json, checkpoint: bytes | None) -> bool:
        # 2. Every file that they name, into the tree beside the shown one. If we stop here, the next look continues.
        stage = await asyncio.to_thread(stage_beside, self._folder, held)
        await self._carrier.bring(stage, index, checkpoint, told=self._index, everything=not self._begun)
        new = await asyncio.to_thread(stage.settle)
        # 3. Verified like anyone would, and durable.
        if new:
            unchecked = await self._verify_stage(stage)
            await asyncio.to_thread(stage.make_durable)
            # 4. Shown, in one step. If we stop before it the old tree is shown, after it the new one; both are good.
            await asyncio.to_thread(switch, self._folder, stage)
            self._tell_new_tree(index, unchecked, len(stage.wanted))
            self._verified = True
        self._begun = True
        self._followed = time.monotonic()
        return new

    def _is_time(self) -> bool:
        return not self._begun or time.monotonic() >= self._followed + self._asked.log_every

    # --- 1. the origin's claims
    # -------------------------------------------------------------------------------------------

    async def _read_index(self, held: HeldTree | None) -> Json:
        told = await self._origin.read_if_changed(INDEX, SMALL)
        self._index = told if told is not None else self._index
        try:
            index = read_index(self._index)
        except Malformed as problem:
            raise Divergence(
                f"index.json del origen: se esperaba {problem.expected}; se encontró {problem.found}"
            ) from None
        number: int = index["corte"]
        # The folder follows from the number; any other could lead out of the tree.
        if index["carpeta"] != f"cortes/{number:04}":
            self._evidence.keep(INDEX, self._index)
            raise Divergence(f"index.json del origen manda a la carpeta «{index['carpeta']}»")
        if held is not None:
            observe.DIFUSOR_CORTE.set(held.corte)
            observe.DIFUSOR_BEHIND.set(max(0, number - held.corte))
            # Backwards, or another list under the same number: both are told, and the file is kept as evidence.
            ours = read_index(held.index)
            if number < held.corte:
                self._evidence.keep(INDEX, self._index)
                raise Divergence(f"el origen retrocedió al corte {number}; aquí ya está el {held.corte}")
            if number == held.corte and index["sha256sums"] != ours["sha256sums"]:
                self._evidence.keep(INDEX, self._index)
                raise Divergence(f"el origen reescribió el corte {number}: su SHA256SUMS es otro")
        return index

    async def _compare_again(self, held: HeldTree | None) -> None:
        """Compare some mirrored files of one corte with the origin's; each look takes the next corte."""
        self._looks += 1
        if held is None:
            return
        number = (held.corte - self._looks) % (held.corte + 1)
        folder = f"cortes/{number:04}"
        paths = await asyncio.to_thread(immutable_paths, held.root, number)
        chosen = {f"cortes/{held.corte:04}/{SUMS}", f"{folder}/{SUMS}"}
        chosen |= {*self._rng.sample(paths, min(self._asked.sample, len(paths)))}

        async def compare(path: str) -> None:
            ours = held.root / path
            expected = await asyncio.to_thread(digest_of, ours)
            try:
                found = await self._origin.digest(path, ours.stat().st_size + SMALL)
            except Gone:
                raise Divergence(f"el origen ya no tiene {path}, que había publicado") from None
            if found != expected:
                raise Divergence(f"el origen reescribió {path}: era {expected} y ahora es {found}")

        await few_at_once(compare, sorted(chosen))

    def _compare_log(self, told: bytes | None, held: HeldTree | None) -> None:
        before = held.checkpoint if held is not None else None
        if before is None:
            return
        # A log that disappears would take all proofs with it.
        if told is None:
            raise Divergence("el origen ya no tiene la bitácora que había publicado")
        now = checkpoint_in(told)
        if now.size < before.size or (now.size == before.size and now.root != before.root):
            self._evidence.keep(f"{LOG}/{CHECKPOINT}", told)
        if now.size < before.size:
            raise Divergence(f"la bitácora del origen retrocedió de {before.size} hojas a {now.size}")
        if now.size == before.size and now.root != before.root:
            raise Divergence(f"la bitácora del origen tiene otra raíz con las mismas {now.size} hojas")

    # --- 3 and 4. verified, and shown ---------------------------------------------------------------------------------

    async def _verify_stage(self, stage: Stage) -> list[str]:
        """Verify the stage.

        Raises Divergence for a wrong check; Unavailable if a check that must be made could not be.
        """
        held = stage.held
        report: Report = await asyncio.to_thread(
            verify,
            str(stage.root),
            log=self._asked.policy,
            trust=self._asked.trust,
            # This process verified the older cortes before: from then on, their digests are enough.
            since=held.corte if held and self._verified else 0,
            kept=held.checkpoint if held else None,
        )
        for check in report.checks:
            if check.result is Result.WRONG:
                raise Divergence(f"lo que publica el origen no se comprueba: {check.id}, {check.findings[0].sentence}")
        unchecked = [check for check in report.checks if check.result is Result.UNCHECKED]
        for check in unchecked:
            if check.id not in _MAY_COME_LATER:
                reason = check.reasons[0] if check.reasons else check.title
                raise Unavailable(f"{check.id} no se pudo comprobar: {reason}")
        return [check.id for check in unchecked]

    def _tell_new_tree(self, index: Json, unchecked: Sequence[str], files: int) -> None:
        beside = f"; sin comprobar todavía: {', '.join(unchecked)}" if unchecked else ""
        self._tell(
            f"corte {index['corte']} ({index['fase']}): {files} archivos nuevos, comprobados y a la vista{beside}"
        )

    # --- again and again ----------------------------------------------------------------------------------------------

    async def run(self, interval: float, stop: asyncio.Event) -> None:
        """Look until `stop`. An error is an alarm and another look, after a longer pause each time."""
        failures = 0
        while not stop.is_set():
            failures = 0 if await self.attempt() else failures + 1
            # Random pauses, so that a thousand mirrors do not ask at the same second.
            pause = min(interval * 2 ** min(failures, 4), max(interval, 120.0))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause * self._rng.uniform(0.8, 1.2))

    async def attempt(self) -> bool:
        """One look; its failure is told and counted. Whether it succeeded."""
        try:
            await self.look()
        except (PrepError, OSError) as error:
            diverges = isinstance(error, Parked)
            sentence = (
                error.sentence if isinstance(error, PrepError) else f"el disco no deja escribir: {reason_of(error)}"
            )
            if sentence != self.wrong:
                self._tell(f"{'DIVERGENCIA' if diverges else 'error'}: {sentence}")
            self.wrong = sentence
            observe.DIFUSOR_ERRORS.labels("divergencia" if diverges else "origen").inc()
            self.diverges |= diverges  # until a look succeeds: an origin that is only away has repaired nothing
            observe.DIFUSOR_DIVERGENCE.set(self.diverges)
            return False
        self.diverges = False
        observe.DIFUSOR_DIVERGENCE.set(0)
        return True
