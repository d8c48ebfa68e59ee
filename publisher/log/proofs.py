"""Files beside the tree of the log: proofs of images, cortes and changes of key, and the openings.

All of them can be made again from the tree and the database. Each is written whole, once, and not synced to the disk:
if a crash of the machine takes one, the next start makes it again.
"""

import asyncio
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from integrity.layout import CORTE_PROOF, opening_path, proof_path, rotation_path
from integrity.leaves import read_leaf
from integrity.log.note import Policy, Proof, read_checkpoint, read_proof
from integrity.log.tiles import WIDTH, Tiles
from integrity.log.writer import Head, Sequencer
from integrity.source import Folder
from integrity.strict_json import canonical_json
from integrity.sums import Malformed
from prep.store import log as store
from prep.store.leading import Leader
from prep.store.log import Leaf
from publisher.log.office import LogOffice

_SCRATCH: Final = ".acuses"
"""The folder in which files are made before they get their names."""


class Proofs:
    """Makes proofs from a log's published checkpoint; a proof without the policy's quorum is replaced later."""

    def __init__(self, office: LogOffice, leader: Leader, tree: Sequencer, policy: Policy) -> None:
        self._office = office
        self._leader = leader
        self._tree = tree
        self._policy = policy
        self._files = Folder(office.folder)
        self.cortes: dict[int, int] = {}
        """Cortes in the log that lack a proof or their openings, with the index of their leaf."""
        self.changed = True
        """Whether a change of key may lack its proof."""
        self._owed: int | None = None
        """The lowest leaf whose proof was made without the policy's quorum, and must be made again."""
        self._owing = threading.Lock()
        self._filling: asyncio.Task[None] | None = None
        self._closing = False

    def prove_images(self, images: Iterable[tuple[int, bytes]]) -> None:
        """At the address that the receipt names: `acuses/<2 hex>/<sha256>.tlog-proof`, of the image's first leaf."""
        prove, is_met = self._current_prover()
        for index, content in images:
            # An image that arrives again keeps its first proof: the receipt names one address.
            path = self._office.public / proof_path(read_leaf(content)["sha256"])
            if not self._is_good_enough(path, is_met=is_met):
                self.put(path, prove(index, content))
            if not is_met:
                with self._owing:
                    self._owed = index if self._owed is None else min(self._owed, index)

    async def serve_cortes(self) -> None:
        """Beside each corte in the tree: its proof, and the openings of the captures of its actas."""
        is_met = bool(self.cortes) and self.is_met(self._tree.checkpoint())
        # The tree may lag behind the log: a corte is in the log as soon as it is recorded.
        for number, index in list(self.cortes.items()):
            folder = self._office.public / "cortes" / f"{number:04}"
            if not await asyncio.to_thread(self._is_due, folder, is_met=is_met):
                continue
            opened = self._office.public / opening_path(number)
            async with self._leader.using() as connection:
                leaf = (await store.stored(connection, index, 1))[0]
                # Openings are published only after their corte: before it, they would show captures of an unpublished
                # acta.
                lines = None if opened.exists() else await store.openings(connection, number)
            with self._office.step("proofs"):
                await asyncio.to_thread(self._prove_leaf, folder / CORTE_PROOF, leaf)
                if lines:
                    self.put(opened, b"".join(canonical_json(line) + b"\n" for line in lines))
            if is_met:
                del self.cortes[number]

    def _is_due(self, folder: Path, *, is_met: bool) -> bool:
        """Whether the corte is in the tree, and a better proof can be put beside it now."""
        return folder.is_dir() and (is_met or not (folder / CORTE_PROOF).exists())

    async def prove_rotations(self) -> None:
        """In `rotaciones/`: each change of key, in a checkpoint that both keys signed."""
        if not self.changed:
            return
        async with self._leader.using() as connection:
            for number, (_, index) in enumerate(await store.handed_over(connection), 1):
                path = self._office.folder / rotation_path(number)
                if not path.exists():
                    [leaf] = await store.stored(connection, index, 1)
                    with self._office.step("proofs"):
                        await asyncio.to_thread(self._prove_leaf, path, leaf)
        self.changed = False

    def fill(self, first: int = 0) -> None:
        """Start a task that makes missing proofs, and proofs without a quorum, from that leaf on; the log goes on."""
        self._filling = asyncio.create_task(self.prove_missing(first))

    def refill(self) -> None:
        """Once the quorum is back, start to replace the proofs that were made without it."""
        if self._filling is not None and self._filling.done():
            self._filling.result()
            self._filling = None
        if self._owed is not None and self._filling is None and self.is_met(self._tree.checkpoint()):
            with self._owing:
                first, self._owed = self._owed, None
            self.fill(first)

    async def close(self) -> None:
        """Stop between two bundles, and wait for the task that makes missing proofs."""
        self._closing = True
        if self._filling is not None:
            await asyncio.wait({self._filling})

    async def prove_missing(self, first: int = 0) -> None:
        """The proofs that an earlier run did not write, that a crash of the machine took, or that lack the quorum."""
        await asyncio.to_thread(self._prove_missing, self._tree.head, first)

    def _prove_missing(self, head: Head, first: int) -> None:
        tiles = Tiles(self._files, head.size)
        for bundle in range(first // WIDTH, -(-head.size // WIDTH)):
            # The next start makes the rest.
            if self._closing:
                return
            entries = enumerate(tiles.entries(bundle), bundle * WIDTH)
            self.prove_images((index, entry) for index, entry in entries if b'"tipo":"imagen"' in entry)

    def _prove_leaf(self, path: Path, leaf: Leaf) -> None:
        prove, is_met = self._current_prover()
        if not self._is_good_enough(path, is_met=is_met):
            self.put(path, prove(leaf.index, leaf.content))

    def _is_good_enough(self, path: Path, *, is_met: bool) -> bool:
        """Whether a proof is there, and a new one would not be better."""
        if not path.exists():
            return False
        if not is_met or self._policy.quorum == "none":
            return True
        try:
            return self.is_met(read_proof(path.read_bytes()).checkpoint.to_bytes())
        except (OSError, Malformed):
            return False

    def _current_prover(self) -> tuple[Callable[[int, bytes], bytes], bool]:
        """A function that makes proofs for the published checkpoint, and whether that has the policy's quorum.

        Each proof carries its leaf, so that its owner needs no other file.
        """
        checkpoint = read_checkpoint(self._tree.checkpoint())
        tiles = Tiles(self._files, checkpoint.size)

        def prove(index: int, content: bytes) -> bytes:
            return Proof(index, tuple(tiles.inclusion(index)), checkpoint, content).to_bytes()

        return prove, self.is_met(checkpoint.to_bytes())

    def put(self, path: Path, content: bytes) -> None:
        """Write the file whole or not at all under its name, for every reader and if we stop at any point."""
        scratch = self._office.folder / _SCRATCH
        scratch.mkdir(exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = scratch / uuid.uuid4().hex
        temporary.write_bytes(content)
        temporary.replace(path)

    def cosigners(self, checkpoint: bytes) -> list[str]:
        """The witnesses whose lines a checkpoint of ours has. The lines were verified when they were added."""
        signed = {(each.name, each.key_id) for each in read_checkpoint(checkpoint).note.signatures}
        witnesses = self._policy.witnesses.items()
        return [name for name, each in witnesses if (each.key.name, each.key.id) in signed]

    def is_met(self, checkpoint: bytes) -> bool:
        """Whether that checkpoint of ours has the policy's quorum."""
        return self._policy.is_met_by(self.cosigners(checkpoint))


def clear_scratch(folder: Path) -> None:
    """Remove files that an earlier run had not named yet."""
    shutil.rmtree(folder / _SCRATCH, ignore_errors=True)
