"""A mirror that anyone can run: it follows a published tree, verifies what is new, and shows nothing else.

    prep difusor https://prep.example.mx/ --into CARPETA        what to serve is CARPETA/publico

`CARPETA/publico` is a link to one of two trees that share their files (hard links). What is new is brought into the
other one; it is verified there as anyone would (`integrity.verify`); then the link moves, in one step. Whoever reads
sees the tree of before or the tree of after, whole; so does whoever looks after a crash at any point. Published bytes
are never removed: an origin that rewrites them, goes back, or shows another history of its log diverges, and the
mirror stays with what it has and says so.
"""

import argparse
import asyncio
import contextlib
import csv
import fcntl
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Final, TypeVar

from integrity.authenticity import Trust
from integrity.leaves import CORTE_PROOF, opening_path, proof_path, read_leaf
from integrity.log.audit import combine
from integrity.log.note import (
    LONGEST_NOTE,
    Checkpoint,
    Policy,
    Unsupported,
    read_checkpoint,
    read_policy,
    read_proof,
    read_verifier_key,
)
from integrity.log.rotation import rotation_path
from integrity.log.tiles import CHECKPOINT, LONGEST_ENTRY, WIDTH, Tiles, tile_path
from integrity.log.tiles import Differs as TileDiffers
from integrity.report import SEAL_CHECKS, Report, Result
from integrity.sealing.certificates import NotSealed
from integrity.sealing.commands import read_trust
from integrity.source import Folder, SourceError
from integrity.sums import Malformed, read_sums
from integrity.tree.documents import BESIDE_SUMS, Election, Json, Manifest, read_index, read_manifest
from integrity.verify import verify
from prep import observe
from prep.arguments import Parser
from prep.errors import Parked, PrepError, Rejected, Unavailable
from prep.settings import CENTRAL
from publisher.mirror.origin import Differs, Gone, Origin, Patience, base_of

DESCRIPTION: Final = (
    "Sigue lo que se publica en URL, lo comprueba y lo deja en CARPETA/publico, que cualquier servidor web puede "
    "servir. Nunca muestra lo que no se comprueba: si el origen reescribe algo, retrocede o muestra otra bitácora, se "
    "queda con lo último que estaba bien y lo dice. Con --once termina con 0 al día, 1 si el origen diverge, 2 si no "
    "se pudo."
)

LIVE: Final = "publico"
_TREES: Final = ("a", "b")
_PARTS: Final = ".partes"
_EVIDENCE: Final = "divergencias"
_LOG: Final = "bitacora"
_SUMS: Final = "SHA256SUMS"
_INDEX: Final = "index.json"
_MB: Final = 1 << 20
_SMALL: Final = _MB
_JSON: Final = 64 * _MB
_TABLE: Final = 1 << 30
_IMAGE: Final = 64 * _MB
_ZIP: Final = 1 << 30
_PAGE: Final = 16 * _MB
_OPENINGS: Final = 256 * _MB
_BUNDLE: Final = WIDTH * (2 + LONGEST_ENTRY)
_LEVELS: Final = 8
_ROOM: Final = 512 * _MB
"""Bytes of the disk that a mirror leaves free."""
_LATE: Final = 5
"""Cortes back from the last whose seals, stamps and openings are asked for again; all of them at the first look."""
_RESERVED: Final = frozenset({"cortes", "imagenes", "zip", _LOG})
_MAY_COME_LATER: Final = frozenset({"EVI-03", "EVI-04", "EVI-05", "EVI-06", "EVI-07", *SEAL_CHECKS})
"""Checks that may stay unchecked in a tree that is shown: what they need may come after a corte, or is not at hand."""
_EVIDENCE_FILES: Final = 200
_AT_ONCE: Final = 6
_LONGEST_INTERVAL: Final = 86_400
_HIGHEST_PORT: Final = 65_535
LOG_EVERY: Final = 60.0
"""Seconds after which the log is followed though no corte has come out."""
_T = TypeVar("_T")


class Divergence(Parked):
    """The origin contradicts what it published, or what it publishes now does not verify."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What whoever runs the mirror said."""

    policy: Policy | None = None
    trust: Trust | None = None
    sample: int = 4
    """Files already mirrored that each look compares with the origin's."""
    log_every: float = 0
    """Seconds after which the log is followed though no corte has come out."""
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class Held:
    """The tree that is shown."""

    root: Path
    index: bytes
    corte: int
    checkpoint: Checkpoint | None


@dataclass
class Stage:
    """The tree that comes to be: what belongs in it, beside what the held tree has."""

    root: Path
    held: Held | None
    wanted: set[str] = field(default_factory=set)
    """Paths that are new, or written again."""
    folders: set[Path] = field(default_factory=set)
    """Whose names are not durable yet."""

    def has(self, path: str) -> bool:
        """Whether the tree that is shown has it: then it was verified, and this tree has the very same."""
        return self.held is not None and (self.held.root / path).exists()

    def place(self, path: str) -> Path:
        """Where a file of this tree goes, its folder made."""
        self.wanted.add(path)
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self.folders.add(target.parent)
        return target

    def put(self, path: str, content: bytes) -> None:
        """Under a new name first: the old one may be a link to the file of the tree that is shown."""
        target = self.place(path)
        fresh = self.root / f".{sha256(path.encode()).hexdigest()}"
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)


class Mirror:
    """One mirror of one origin. `tell` hears one Spanish sentence for each thing that happens."""

    def __init__(
        self, origin: Origin, folder: Path, asked: Asked, *, tell: Callable[[str], None], rng: random.Random
    ) -> None:
        self._origin = origin
        self._folder = folder
        self._asked = asked
        self._tell = tell
        self._rng = rng
        self._index = b""
        """The origin's, as it was last read."""
        self._verified = False
        """Whether this process has verified the whole tree that is shown."""
        self._late: set[str] = set()
        """Images whose proofs the origin has not had yet."""
        self._begun = False
        """Whether this process has asked for everything that may come late."""
        self._followed = 0.0
        """When the log was last followed."""
        self._looks = 0
        self._evidence: set[bytes] = set()
        self.current = time.monotonic()
        """When the mirror last held everything that the origin had."""
        self.wrong: str | None = "todavía no se ha mirado el origen"
        self.diverges = False

    # --- the story ----------------------------------------------------------------------------------------------------

    async def look(self) -> bool:
        """One look at the origin: bring what is new, verify it, show it. Whether there was anything.

        Raises Divergence, and Unavailable where the origin is away or not finished yet. Whatever it raises, and
        wherever it stops, the tree that is shown is the one that was.
        """
        held = self._held()
        try:
            # 1. What the origin says now, against what it said before.
            index = await self._read_index(held)
            await self._compare_again(held)
            checkpoint = await self._origin.read_if_there(f"{_LOG}/{CHECKPOINT}", _SMALL)
            self._compare_log(checkpoint, held)
            fresh = held is None or held.index != self._index
            new = (fresh or self._is_time()) and await self._follow(held, index, checkpoint)
        except Differs as error:
            raise Divergence(error.sentence) from None
        self.current = time.monotonic()
        self.wrong = None
        observe.DIFUSOR_CORTE.set(index["corte"])
        observe.DIFUSOR_BEHIND.set(0)
        return new

    async def _follow(self, held: Held | None, index: Json, checkpoint: bytes | None) -> bool:
        # 2. Everything that it points at, beside the tree that is shown. If we stop here, the next look goes on.
        stage = await self._stage(held)
        await self._bring(stage, index, checkpoint)
        new = await asyncio.to_thread(_settle, stage)
        # 3. As anyone would verify it, and durable.
        if new:
            unchecked = await self._verify(stage)
            await asyncio.to_thread(_make_durable, stage)
            # 4. In one step. If we stop before it the old tree is shown, after it the new one, and both are good.
            await asyncio.to_thread(self._switch, stage)
            self._say(index, unchecked, len(stage.wanted))
            self._verified = True
        self._begun = True
        self._followed = time.monotonic()
        return new

    def _is_time(self) -> bool:
        return not self._begun or time.monotonic() >= self._followed + self._asked.log_every

    def _held(self) -> Held | None:
        link = self._folder / LIVE
        if not link.is_symlink():
            return None
        root = link.resolve()
        index = (root / _INDEX).read_bytes()
        path = root / _LOG / CHECKPOINT
        checkpoint = read_checkpoint(path.read_bytes()) if path.exists() else None
        return Held(root, index, read_index(index)["corte"], checkpoint)

    # --- 1. what the origin says --------------------------------------------------------------------------------------

    async def _read_index(self, held: Held | None) -> Json:
        told = await self._origin.read_if_changed(_INDEX, _SMALL)
        self._index = told if told is not None else self._index
        try:
            index = read_index(self._index)
        except Malformed as problem:
            raise Divergence(
                f"index.json del origen: se esperaba {problem.expected}; se encontró {problem.found}"
            ) from None
        number: int = index["corte"]
        if index["carpeta"] != f"cortes/{number:04}":
            self._keep(_INDEX, self._index)
            raise Divergence(f"index.json del origen manda a la carpeta «{index['carpeta']}»")
        if held is not None:
            observe.DIFUSOR_CORTE.set(held.corte)
            observe.DIFUSOR_BEHIND.set(max(0, number - held.corte))
            ours = read_index(held.index)
            if number < held.corte:
                self._keep(_INDEX, self._index)
                raise Divergence(f"el origen retrocedió al corte {number}; aquí ya está el {held.corte}")
            if number == held.corte and index["sha256sums"] != ours["sha256sums"]:
                self._keep(_INDEX, self._index)
                raise Divergence(f"el origen reescribió el corte {number}: su SHA256SUMS es otro")
        return index

    async def _compare_again(self, held: Held | None) -> None:
        """Some of what was mirrored already, of one corte each time: all of it in turn."""
        self._looks += 1
        if held is None:
            return
        number = (held.corte - self._looks) % (held.corte + 1)
        folder = f"cortes/{number:04}"
        paths = await asyncio.to_thread(_immutable, held.root, number)
        chosen = {f"cortes/{held.corte:04}/{_SUMS}", f"{folder}/{_SUMS}"}
        chosen |= {*self._rng.sample(paths, min(self._asked.sample, len(paths)))}

        async def compare(path: str) -> None:
            ours = held.root / path
            expected = await asyncio.to_thread(_digest, ours)
            try:
                found = await self._origin.digest(path, ours.stat().st_size + _MB)
            except Gone:
                raise Divergence(f"el origen ya no tiene {path}, que había publicado") from None
            if found != expected:
                raise Divergence(f"el origen reescribió {path}: era {expected} y ahora es {found}")

        await _all(compare, sorted(chosen))

    def _compare_log(self, told: bytes | None, held: Held | None) -> None:
        before = held.checkpoint if held is not None else None
        if before is None:
            return
        if told is None:
            raise Divergence("el origen ya no tiene la bitácora que había publicado")
        now = _checkpoint(told)
        if now.size < before.size or (now.size == before.size and now.root != before.root):
            self._keep(f"{_LOG}/{CHECKPOINT}", told)
        if now.size < before.size:
            raise Divergence(f"la bitácora del origen retrocedió de {before.size} hojas a {now.size}")
        if now.size == before.size and now.root != before.root:
            raise Divergence(f"la bitácora del origen tiene otra raíz con las mismas {now.size} hojas")

    # --- 2. what is new -----------------------------------------------------------------------------------------------

    async def _stage(self, held: Held | None) -> Stage:
        trees = self._folder / "arboles"
        name = next(each for each in _TREES if held is None or held.root.name != each)
        stage = Stage(trees / name, held)
        await asyncio.to_thread(_link_tree, held.root if held else None, stage.root)
        return stage

    async def _bring(self, stage: Stage, index: Json, checkpoint: bytes | None) -> None:
        number: int = index["corte"]
        manifests = await self._bring_chain(stage, number, index["sha256sums"])
        for at in sorted(manifests):
            await self._bring_corte(stage, at, manifests[at])
        last = manifests.get(number) or read_manifest((stage.root / f"cortes/{number:04}/manifest.json").read_bytes())
        if checkpoint is not None:
            await self._bring_log(stage, checkpoint)
        first = max(0, number - _LATE) if self._begun else 0
        await self._bring_late(stage, range(first, number + 1), logged=checkpoint is not None)
        await self._bring_pages(stage, last, fresh=bool(manifests))
        if stage.held is None or stage.held.index != self._index:
            stage.put(_INDEX, self._index)

    async def _bring_chain(self, stage: Stage, number: int, expected: str) -> dict[int, Manifest]:
        """From the last corte back to one that is held: each is named by the digest that the next one has of it."""
        manifests: dict[int, Manifest] = {}
        for at in range(number, -1, -1):
            path = f"cortes/{at:04}/{_SUMS}"
            if stage.has(path):
                found = await asyncio.to_thread(_digest, stage.root / path)
                if found != expected:
                    raise Divergence(f"el corte {at + 1} del origen sigue a otro corte {at} que el publicado antes")
                break
            await self._fetch(stage, path, expected, _SMALL)
            sums = _sums(stage.root / path, path)
            name = f"cortes/{at:04}/manifest.json"
            if "manifest.json" not in sums:
                raise Divergence(f"{path} del origen no lista su manifiesto")
            await self._fetch(stage, name, sums["manifest.json"], _JSON)
            manifests[at] = manifest = _manifest((stage.root / name).read_bytes(), name)
            if manifest.corte != at or (manifest.anterior is None) != (at == 0):
                raise Divergence(f"{name} del origen no es el del corte {at}")
            if manifest.anterior is not None:
                before, expected = manifest.anterior
                if before != at - 1:
                    raise Divergence(f"{name} del origen no sigue al corte {at - 1}")
        return manifests

    async def _bring_corte(self, stage: Stage, number: int, manifest: Manifest) -> None:
        folder = f"cortes/{number:04}"
        _check_room(self._folder)
        sums = _sums(stage.root / folder / _SUMS, folder)
        await _all(lambda name: self._fetch(stage, f"{folder}/{name}", sums[name], _TABLE), sums)
        await self._fetch(stage, manifest.zip_name, manifest.zip_sha256, min(_ZIP, manifest.zip_bytes))
        images = await asyncio.to_thread(_listed, stage.root / folder / "images.csv")

        async def image(sha: str) -> None:
            _check_room(self._folder)
            await self._fetch(stage, images[sha], sha, _IMAGE)

        await _all(image, images)

    async def _bring_log(self, stage: Stage, told: bytes) -> None:
        """Tiles and entries of the signed size, and the proofs of the images that it has."""
        now = _checkpoint(told)
        before = stage.held.checkpoint if stage.held else None
        shape = Tiles(Folder(stage.root), now.size)
        wanted: list[tuple[str, int]] = []
        for level in (None, *range(_LEVELS)):
            rows = now.size >> (8 * (level or 0))
            for index in range(-(-rows // WIDTH)):
                path = f"{_LOG}/{tile_path(level, index, shape.width(level or 0, index))}"
                if not stage.has(path):
                    wanted.append((path, _BUNDLE if level is None else WIDTH * 32))
        try:
            await _all(lambda each: self._copy(stage, *each), wanted)
        except Gone as gone:  # a partial tile that was filled meanwhile: the next look has a newer checkpoint
            raise Unavailable(gone.sentence) from None
        policy = await self._origin.read(f"{_LOG}/politica.txt", _SMALL)
        if not stage.has(f"{_LOG}/politica.txt") or (stage.root / _LOG / "politica.txt").read_bytes() != policy:
            stage.put(f"{_LOG}/politica.txt", policy)
        if before is None or before.size < now.size or before.to_bytes() != told:
            stage.put(f"{_LOG}/{CHECKPOINT}", told)
        tiles = Tiles(Folder(stage.root / _LOG), now.size)
        if before is not None and before.size:
            root = await asyncio.to_thread(_root_at, tiles, before.size)
            if root != before.root or await asyncio.to_thread(_root_at, tiles, now.size) != now.root:
                self._keep(f"{_LOG}/{CHECKPOINT}", told)
                raise Divergence(
                    f"el origen muestra otra historia de la bitácora que la de sus primeras {before.size} hojas"
                )
        self._late |= await asyncio.to_thread(_images_of, tiles, before.size if before and self._begun else 0)

        asked = _policy(policy)

        async def prove(sha: str) -> None:
            if await self._copy_proof(stage, proof_path(sha), asked):
                self._late.discard(sha)

        await _all(prove, sorted(self._late))
        number = 1
        while await self._copy_if_there(stage, f"{_LOG}/{rotation_path(number)}", _SMALL):
            number += 1

    async def _copy_proof(self, stage: Stage, path: str, policy: Policy) -> bool:
        """Whether it is there with the witnesses that the policy asks for; one that lacks them is replaced later."""
        if stage.has(path) and _is_witnessed((stage.root / path).read_bytes(), policy):
            return True
        content = await self._origin.read_if_there(path, _SMALL)
        if content is not None:
            self._write_if_new(stage, path, content)
        return content is not None and _is_witnessed(content, policy)

    async def _bring_late(self, stage: Stage, numbers: Iterable[int], *, logged: bool) -> None:
        """What may come after its corte: seals, stamps, the proof, what was typed."""
        paths = {f"cortes/{at:04}/{name}": _SMALL for at in numbers for name in BESIDE_SUMS - {_SUMS}}
        paths |= {opening_path(at): _OPENINGS for at in numbers} if logged else {}

        async def take(path: str) -> None:
            if logged and path.endswith(CORTE_PROOF):
                await self._copy_proof(stage, path, _policy((stage.root / _LOG / "politica.txt").read_bytes()))
            else:
                await self._copy_if_there(stage, path, paths[path])

        await _all(take, sorted(paths))

    async def _bring_pages(self, stage: Stage, last: Manifest, *, fresh: bool) -> None:
        """The pages that a corte changes. No digest covers them: they are for reading, the cortes for believing."""
        if not fresh and stage.held is not None:
            return
        before = None
        if stage.held is not None:
            before = read_manifest((stage.held.root / f"cortes/{stage.held.corte:04}/manifest.json").read_bytes())
        pages: set[str] = {"index.html", "estilo.css"}
        for election in last.elections:
            if election.code in _RESERVED or "." in election.code:
                raise Divergence(f"el origen llama «{election.code}» a una elección")
            old = _rows(stage.held.root, before, election) if stage.held and before else {}
            pages |= set(_pages(election, old, _rows(stage.root, last, election), last))
        await _all(lambda path: self._refresh(stage, path), sorted(pages))
        for path in ("verificar.html", "VERIFICA.txt"):
            content = await self._origin.read_if_there(path, _PAGE)
            if content is not None:
                self._write_if_new(stage, path, content)

    async def _refresh(self, stage: Stage, path: str) -> None:
        optional = "/contienda-" in path  # of one that has one place only there is none
        content = await (self._origin.read_if_there if optional else self._origin.read)(path, _PAGE)
        if content is not None:
            self._write_if_new(stage, path, content)

    def _write_if_new(self, stage: Stage, path: str, content: bytes) -> None:
        if not stage.has(path) or (stage.root / path).read_bytes() != content:
            stage.put(path, content)

    async def _fetch(self, stage: Stage, path: str, digest: str, limit: int) -> None:
        """A file of known digest; one that is held, or that an earlier look brought, is not asked for again."""
        if stage.has(path):
            return
        target = stage.place(path)
        if not target.exists() or await asyncio.to_thread(_digest, target) != digest:
            await self._origin.fetch(path, target, sha256=digest, limit=limit)

    async def _copy(self, stage: Stage, path: str, limit: int) -> None:
        stage.put(path, await self._origin.read(path, limit))

    async def _copy_if_there(self, stage: Stage, path: str, limit: int) -> bool:
        if stage.has(path):
            return True
        content = await self._origin.read_if_there(path, limit)
        if content is not None:
            stage.put(path, content)
        return content is not None

    # --- 3 and 4. verified, and shown ---------------------------------------------------------------------------------

    async def _verify(self, stage: Stage) -> list[str]:
        """Raises Divergence where anything is wrong, Unavailable where something that must be could not be checked."""
        held = stage.held
        report: Report = await asyncio.to_thread(
            verify,
            str(stage.root),
            log=self._asked.policy,
            trust=self._asked.trust,
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

    def _switch(self, stage: Stage) -> None:
        fresh = self._folder / f".{LIVE}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("arboles") / stage.root.name)
        fresh.replace(self._folder / LIVE)
        _fsync(self._folder)

    def _say(self, index: Json, unchecked: Sequence[str], files: int) -> None:
        beside = f"; sin comprobar todavía: {', '.join(unchecked)}" if unchecked else ""
        self._tell(
            f"corte {index['corte']} ({index['fase']}): {files} archivos nuevos, comprobados y a la vista{beside}"
        )

    def _keep(self, path: str, content: bytes) -> None:
        """What the origin said, for whoever has to find out why."""
        digest = sha256(content).digest()
        if digest not in self._evidence and len(self._evidence) < _EVIDENCE_FILES:
            self._evidence.add(digest)
            folder = self._folder / _EVIDENCE
            folder.mkdir(exist_ok=True)
            (folder / f"{path.replace('/', '_')}.{digest.hex()}").write_bytes(content)

    # --- again and again ----------------------------------------------------------------------------------------------

    async def run(self, interval: float, stop: asyncio.Event) -> None:
        """Look until `stop`. An error is an alarm and another look, later each time, never the end."""
        failures = 0
        while not stop.is_set():
            failures = 0 if await self.attempt() else failures + 1
            pause = min(interval * 2 ** min(failures, 4), max(interval, 120.0))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause * self._rng.uniform(0.8, 1.2))

    async def attempt(self) -> bool:
        """One look whose failure is told and counted; whether it came to its end."""
        try:
            await self.look()
        except (PrepError, OSError) as error:
            diverges = isinstance(error, Parked)
            sentence = (
                error.sentence if isinstance(error, PrepError) else f"el disco no deja escribir: {error.strerror}"
            )
            if sentence != self.wrong:
                self._tell(f"{'DIVERGENCIA' if diverges else 'error'}: {sentence}")
            self.wrong = sentence
            observe.DIFUSOR_ERRORS.labels("divergencia" if diverges else "origen").inc()
            self.diverges |= (
                diverges  # until a look that finds all well: an origin that is away has not mended anything
            )
            observe.DIFUSOR_DIVERGENCE.set(self.diverges)
            return False
        self.diverges = False
        observe.DIFUSOR_DIVERGENCE.set(0)
        return True


# --- reading what was brought -----------------------------------------------------------------------------------------


def _checkpoint(told: bytes) -> Checkpoint:
    try:
        return read_checkpoint(told)
    except Malformed as problem:
        raise Divergence(
            f"el punto de control del origen: se esperaba {problem.expected}; hay {problem.found}"
        ) from None


def _policy(told: bytes) -> Policy:
    try:
        return read_policy(told)
    except Malformed as problem:
        raise Divergence(f"politica.txt del origen: se esperaba {problem.expected}; hay {problem.found}") from None
    except Unsupported as problem:
        raise Divergence(f"politica.txt del origen: {problem.sentence}") from None


def _is_witnessed(content: bytes, policy: Policy) -> bool:
    """Whose lines it has, not whether they are good: that is for `verify`."""
    try:
        signed = {(each.name, each.key_id) for each in read_proof(content).checkpoint.note.signatures}
    except Malformed:
        return False
    return policy.is_met_by([name for name, each in policy.witnesses.items() if (each.key.name, each.key.id) in signed])


def _sums(path: Path, name: str) -> dict[str, str]:
    try:
        return read_sums(path.read_bytes())
    except Malformed as problem:
        raise Divergence(f"{name} del origen: se esperaba {problem.expected}; se encontró {problem.found}") from None


def _manifest(content: bytes, name: str) -> Manifest:
    try:
        return read_manifest(content)
    except Malformed as problem:
        raise Divergence(f"{name} del origen: se esperaba {problem.expected}; se encontró {problem.found}") from None


def _listed(path: Path) -> dict[str, str]:
    """The address of each image that a corte brought out, by digest."""
    found: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for cells in csv.reader(file, strict=True):
                if cells[:1] == ["SHA256"]:
                    continue
                digest, address, _ = cells
                extension = address.rpartition(".")[2]
                if address != f"imagenes/{digest[:2]}/{digest}.{extension}" or extension not in _EXTENSIONS:
                    raise Divergence(f"images.csv del origen nombra una imagen en «{address}»")
                found[digest] = address
    except (ValueError, csv.Error, FileNotFoundError):
        raise Divergence("images.csv del origen no se puede leer") from None
    return found


_EXTENSIONS: Final = frozenset({"jpg", "png", "webp", "tif", "pdf", "avif", "gif", "bmp"})


def _immutable(root: Path, number: int) -> list[str]:
    """What a corte brought out, for ever."""
    folder = f"cortes/{number:04}"
    names = _sums(root / folder / _SUMS, folder)
    manifest = read_manifest((root / folder / "manifest.json").read_bytes())
    return [*(f"{folder}/{name}" for name in names), manifest.zip_name, *_listed(root / folder / "images.csv").values()]


def _root_at(tiles: Tiles, size: int) -> bytes:
    try:
        return tiles.root_at(size)
    except (SourceError, TileDiffers) as problem:
        said = problem.sentence if isinstance(problem, SourceError) else f"{problem.path} no es lo que debe ser"
        raise Divergence(f"la bitácora del origen no está entera: {said}") from None


def _images_of(tiles: Tiles, first: int) -> set[str]:
    """Digests of the images among the leaves from `first` on."""
    found: set[str] = set()
    try:
        for bundle in range(first // WIDTH, -(-tiles.size // WIDTH)):
            for entry in tiles.entries(bundle):
                leaf = read_leaf(entry) if b'"tipo":"imagen"' in entry else {"tipo": ""}
                if leaf["tipo"] == "imagen":
                    found.add(leaf["sha256"])
    except (SourceError, TileDiffers, Malformed):
        raise Divergence("la bitácora del origen tiene hojas que no se pueden leer") from None
    return found


def _rows(root: Path, manifest: Manifest, election: Election) -> dict[str, tuple[int, str]]:
    """By clave: what its row says, as a number, and the page of its place, after a «+» once it is captured."""
    path = root / f"cortes/{manifest.corte:04}" / election.archivo
    territory = {"municipio": "ID_MUNICIPIO"}.get(election.territory, f"ID_{election.territory.upper()}")
    found: dict[str, tuple[int, str]] = {}
    header: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for cells in csv.reader(file, strict=True):
                if not header:
                    header = cells if cells[:1] == ["CLAVE_CASILLA"] else []
                    continue
                row = dict(zip(header, cells, strict=True))
                if row["CLAVE_ACTA"] != "-":
                    place = f"lugar-{_number(row['ID_ENTIDAD'])}-{_number(row[territory])}.html"
                    captured = "+" if row["CONTABILIZADA"] != "-" else ""
                    found[row["CLAVE_ACTA"].strip("'")] = (hash(tuple(cells)), captured + place)
    except (ValueError, KeyError, csv.Error):
        raise Divergence(f"{path.name} del corte {manifest.corte} del origen no se puede leer") from None
    return found


def _number(cell: str) -> int:
    return int(cell) if cell.isascii() and cell.isdigit() else 0


def _pages(
    election: Election, old: Mapping[str, tuple[int, str]], new: Mapping[str, tuple[int, str]], last: Manifest
) -> Iterator[str]:
    """The pages of an election that changed from one corte to another."""
    code = election.code
    yield f"{code}/index.html"
    whole = last.fase != "en curso"  # the publisher writes every place again at the beginning and at the end
    for clave, (row, place) in new.items():
        changed = old.get(clave, (None, ""))[0] != row
        if changed or whole:
            yield f"{code}/{place.removeprefix('+')}"
        if changed and place.startswith("+") and clave.isalnum():
            yield f"{code}/{clave}.html"
    if len(election.contests) > 1:
        yield from (f"{code}/contienda-{each.id}.html" for each in election.contests.values() if not each.territorio)


# --- the disk ---------------------------------------------------------------------------------------------------------


def _link_tree(source: Path | None, target: Path) -> None:
    """Every file of the tree that is shown, in the other one too: the same file, or a link to it put in its place."""
    target.mkdir(parents=True, exist_ok=True)
    for path in _files(source) if source is not None else ():
        assert source is not None
        theirs, ours = source / path, target / path
        if ours.exists() and ours.samefile(theirs):
            continue
        ours.parent.mkdir(parents=True, exist_ok=True)
        fresh = target / ".enlace"
        fresh.unlink(missing_ok=True)
        os.link(theirs, fresh)
        fresh.replace(ours)
        fresh.unlink(missing_ok=True)


def _files(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        inside = os.path.relpath(folder, root)
        for name in names:
            yield name if inside == "." else f"{inside}/{name}"


def _settle(stage: Stage) -> bool:
    """Away with what an earlier look left and nothing names now; whether this tree is another than the one shown."""
    held = set(_files(stage.held.root)) if stage.held else set()
    keep = held | stage.wanted
    filled = {path.partition(".p/")[0] for path in keep if ".p/" in path} & keep
    for path in list(_files(stage.root)):
        if path not in keep or (".p/" in path and path.partition(".p/")[0] in filled):
            (stage.root / path).unlink()
            stage.folders.add((stage.root / path).parent)
    for folder, _, _ in list(os.walk(stage.root, topdown=False)):
        with contextlib.suppress(OSError):  # it is not empty
            Path(folder).rmdir() if Path(folder) != stage.root else None
    return bool(stage.wanted)


def _make_durable(stage: Stage) -> None:
    folders = {
        each for folder in stage.folders for each in (folder, *folder.parents) if each.is_relative_to(stage.root)
    }
    for folder in sorted(each for each in folders if each.is_dir()):
        _fsync(folder)
    _fsync(stage.root.parent)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _check_room(folder: Path) -> None:
    if shutil.disk_usage(folder).free < _ROOM:
        raise Unavailable("queda menos de medio gigabyte libre en el disco: no se trae nada más")


async def _all(work: Callable[[_T], Awaitable[None]], items: Iterable[_T]) -> None:
    """A few at a time. The first that fails ends the others, and is what is raised."""
    coming = iter(items)

    async def some() -> None:
        for item in coming:
            await work(item)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(some())
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


# --- the command ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def mirroring(
    url: str, folder: Path, asked: Asked, *, tell: Callable[[str], None], rng: random.Random
) -> AsyncIterator[Mirror]:
    """A mirror of `url` in `folder`, which nobody else has meanwhile. Raises Rejected."""
    base_of(url)
    try:
        for each in (folder / "arboles", folder / _PARTS):
            each.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".candado", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Rejected(f"no se puede escribir en {folder}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Rejected(f"otro difusor usa la carpeta {folder}") from None
        origin = Origin(url, folder / _PARTS, patience=asked.patience, heard=observe.DIFUSOR_BYTES.inc)
        try:
            yield Mirror(origin, folder, asked, tell=tell, rng=rng)
        finally:
            await origin.close()
    finally:
        os.close(lock)


async def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command."""
    asked = Asked(_read_policy(arguments), _read_trust(arguments), log_every=0 if arguments.once else LOG_EVERY)
    async with mirroring(arguments.url, arguments.into, asked, tell=_tell, rng=random.SystemRandom()) as mirror:
        if arguments.once:
            if await mirror.attempt():
                return 0
            return 1 if mirror.diverges else 2
        observe.DIFUSOR_LAG.set_function(lambda: time.monotonic() - mirror.current)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        server = None
        if arguments.port is not None:
            server = await observe.serve_metrics(arguments.host, arguments.port, lambda: mirror.wrong)
        await mirror.run(arguments.interval, stop)
        if server is not None:
            server.close()
        return 0


def _read_policy(arguments: argparse.Namespace) -> Policy | None:
    try:
        key = read_verifier_key(arguments.log_key) if arguments.log_key else None
        policy = read_policy(_read(arguments.log_policy)) if arguments.log_policy else None
    except Malformed as problem:
        raise Rejected(f"la llave o la política: se esperaba {problem.expected}; se encontró {problem.found}") from None
    except Unsupported as problem:
        raise Rejected(problem.sentence) from None
    return combine(key, policy) if key or policy else None


def _read_trust(arguments: argparse.Namespace) -> Trust | None:
    if not arguments.ca:
        if arguments.tsa_ca:
            raise Rejected("--tsa-ca necesita también --ca")
        return None
    try:
        return read_trust(arguments.ca, arguments.tsa_ca)
    except NotSealed as problem:
        raise Rejected(problem.sentence) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_NOTE + 1)
    except OSError:
        raise Rejected(f"no se pudo leer el archivo {path}") from None


def _tell(sentence: str) -> None:
    print(f"{datetime.now(CENTRAL):%d/%m/%Y %H:%M:%S} {sentence}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0; with --once 1 where the origin diverges; 2, with one sentence, where it cannot be done."""
    parser = Parser(prog="prep difusor", description=DESCRIPTION)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--into", type=Path, required=True, metavar="CARPETA", help="dónde; se crea si no está")
    parser.add_argument("--interval", type=float, default=15, metavar="S", help="segundos entre miradas (15)")
    parser.add_argument("--once", action="store_true", help="una sola vez, y termina")
    parser.add_argument("--log-key", metavar="LLAVE", help="de la bitácora, obtenida por otro camino")
    parser.add_argument("--log-policy", type=Path, metavar="ARCHIVO", help="la política, con sus testigos")
    parser.add_argument("--ca", type=Path, metavar="PEM", help="autoridades en las que se confía para los sellos")
    parser.add_argument("--tsa-ca", type=Path, metavar="PEM", help="y para los sellos de tiempo")
    parser.add_argument("--port", type=int, metavar="N", help="/metrics y /healthz en ese puerto")
    parser.add_argument("--host", default="127.0.0.1", metavar="DIRECCIÓN", help="en la que están (127.0.0.1)")
    arguments = parser.parse_args(argv)
    if not 1 <= arguments.interval <= _LONGEST_INTERVAL:
        parser.error(f"--interval va de 1 a {_LONGEST_INTERVAL} segundos")
    if not 0 <= (arguments.port or 0) <= _HIGHEST_PORT:
        parser.error(f"--port va de 0 a {_HIGHEST_PORT}")
    os.umask(0o022)  # what is mirrored is for everybody to read
    try:
        sys.exit(asyncio.run(run(arguments)))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)
