"""Does the database still agree with the log? Every leaf is made again from the tables, and compared.

    prep verify-database [--no-tree]

Three things must agree: the leaves that the facts give, the leaves in `log_leaf`, and the signed tree of files. An edit
of a row is found by the first. An edit of the row and of its leaf is found by the tree, which cannot be changed: its
checkpoint is signed, and others have it. Each version must also follow from the statements of people (EVI-12). Sites
are in no leaf and are not compared.

Exit status 0 if everything agrees, 1 with the first difference, 2 if it could not be compared.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

import uvloop

from integrity.layout import LOG
from integrity.leaves import link, read_leaf
from integrity.log.merkle import leaf_hash, parent_hash
from integrity.log.note import Checkpoint, NotSigned, VerifierKey, read_checkpoint, read_verifier_key
from integrity.log.tiles import CHECKPOINT, Differs, Tiles
from integrity.source import Folder, SourceError
from integrity.sums import Malformed
from integrity.support import ShownRow, Standing, Stated, advance, fault_of, typed_cells, values_key
from prep.arguments import Parser
from prep.errors import PrepError, Rejected
from prep.settings import Part, read_settings
from prep.store import embedded, pipeline, standing
from prep.store import log as store
from prep.store import night as night_store
from prep.store.database import Connection, connect
from prep.store.log import Leaf

_SOME: Final = 2000
"""Leaves read in one query."""


class Difference(Exception):
    """The first difference; `sentence` is Spanish."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class ComparedLog:
    """How much was compared."""

    leaves: int
    pending: int
    """Facts that have no leaf yet."""
    tree: int | None
    """Leaves of the tree; None without a tree."""


class Root:
    """The root of a tree that grows leaf by leaf: it keeps the full subtrees at the right edge, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        self._edge.append(leaf)
        self.size += 1
        # Two subtrees of one size join into one of twice the size, as in a binary counter.
        at = self.size
        while not at & 1:
            right = self._edge.pop()
            self._edge.append(parent_hash(self._edge.pop(), right))
            at >>= 1

    def value(self) -> bytes:
        """The root over all leaves added so far."""
        found = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            found = parent_hash(left, found)
        return found


async def compare(connection: Connection, folder: Path | None, zone: tzinfo) -> ComparedLog:
    """Compare in one snapshot, taken after the checkpoint was read: leaves are on record before they are signed.

    `folder` is the published log; None: the tree is not compared. `zone` is that of the night. Raises Difference;
    Rejected or SourceError if it cannot be compared.
    """
    # The checkpoint first, then the snapshot: every leaf that was signed is then in the snapshot.
    published = None if folder is None else _published_checkpoint(folder)
    tree = None if folder is None or published is None else Tiles(Folder(folder), published.size)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        head = await store.head(connection)
        if head is None:
            raise Rejected("la base de datos todavía no tiene bitácora")
        root, links, roots = Root(), dict[str, str](), dict[int, bytes]()
        wanted = {head.size, published.size if published else 0}
        async for batch in store.every_leaf(connection, _SOME):
            await _compare_batch(connection, batch, root.size, links, zone)
            for leaf in batch:
                root.add(leaf_hash(leaf.content))
                if root.size in wanted:
                    roots[root.size] = root.value()
            _compare_tree(tree, batch)
        await _compare_standing(connection)
        pending = await store.without_leaf(connection)
        start = await store.start(connection)
        passed_to = await store.handed_over(connection)
    # `log_state` holds the promised head; the leaves must give it.
    if head.size and roots.get(head.size) != head.root:
        raise Difference(f"log_leaf no da la raíz de log_state en {head.size} hojas")
    if published is not None:
        _compare_head(published, roots, _signing_key_at(start, passed_to, published.size))
    return ComparedLog(root.size, pending, published.size if published else None)


async def _compare_batch(
    connection: Connection, batch: Sequence[Leaf], first: int, links: dict[str, str], zone: tzinfo
) -> None:
    by_kind: dict[str, list[int]] = defaultdict(list)
    for leaf in batch:
        by_kind[leaf.kind].append(leaf.reference)
    strange = by_kind.keys() - {*store.KINDS}
    if strange:
        raise Difference(f"log_leaf: hay una hoja de tipo «{min(strange)}», que no existe")
    facts = {kind: await store.again(connection, kind, references) for kind, references in by_kind.items()}
    # A row whose cells were edited after the fact no longer follows from its numbers.
    wrong = await store.cells_that_differ(connection, by_kind["version"], zone) if "version" in by_kind else {}
    for index, leaf in enumerate(batch, first):
        where = f"hoja {index}, {leaf.kind} {leaf.reference}"
        # The rows come in order, so a gap is a deleted leaf.
        if leaf.index != index:
            raise Difference(f"log_leaf: falta la hoja {index}; sigue la {leaf.index}")
        # The fact behind the leaf must still exist, and give the same bytes.
        fact = facts[leaf.kind].get(leaf.reference)
        if fact is None:
            raise Difference(f"{where}: su hecho ya no está en la base de datos")
        if leaf.kind == "version" and leaf.reference in wrong:
            raise Difference(f"{where}: lo que publica ({wrong[leaf.reference]}) no es lo que dan sus números")
        content = fact.leaf(index, links.get(fact.device) if fact.device else None)
        if content != leaf.content:
            raise Difference(f"{where}: {_first_different_field(content, leaf.content)}")
        if fact.device:
            links[fact.device] = link(content)


def _first_different_field(ours: bytes, theirs: bytes) -> str:
    try:
        now, then = read_leaf(ours), read_leaf(theirs)
    except Malformed:
        return "log_leaf no tiene una hoja legible"
    name = next((name for name in now if now[name] != then.get(name)), "tipo")
    return f"«{name}» es ahora {now[name]}; la bitácora dice {then.get(name)}"


# --- what versions stand on -------------------------------------------------------------------------------------------


async def _compare_standing(connection: Connection) -> None:
    """Every version follows from the statements of people, as the published rows must (EVI-12)."""
    async for some in standing.histories(connection, _SOME):
        _compare_histories(some)
    alone = await standing.fuera_alone(connection)
    if alone is not None:
        raise Difference(f"EVI-12: no dijeron dos personas que la imagen {alone} está fuera de catálogo")


def _compare_histories(some: standing.Histories) -> None:
    rounds, decided, identified = _said_in(some)
    stands: defaultdict[int, Standing] = defaultdict(Standing)
    for row in some.versions:
        stand = stands[row["acta"]]
        match row["reason"]:
            case pipeline.RETIRO:  # nothing counts from here on: two people took it back
                stands[row["acta"]] = Standing()
                continue
            case "sin_acta":
                said = decided[row["acta"], row["decision"]]
            case "cotejo":
                said = [Stated("cotejo", str(row["person"]), row["ronda"], row["cotejada"])]
            case _:
                said = rounds[row["acta"], row["ronda"]]
        if (row["acta"], row["image"]) in some.readings:
            stand.images |= {row["image"].hex()}
        fault = advance(stand, [*said, *identified[row["acta"], row["image"]]])
        fault = fault or fault_of(stand, _row_of_version(row))
        if fault:
            raise Difference(f"EVI-12: la versión {row['id']}, de {row['clave']}, no se sostiene: {fault}")


_Said = defaultdict[Any, list[Stated]]


def _said_in(some: standing.Histories) -> tuple[_Said, _Said, _Said]:
    """The statements by acta and round; by decision, of sin acta; and by acta and image, of who says they belong."""
    rounds, decided, identified = _Said(list), _Said(list), _Said(list)
    for row in some.captures:
        values = values_key(typed_cells(row["numbers"], row["marks"]))
        said = Stated("captura", str(row["person"]), row["ronda"], row["ordinal"], values)
        rounds[row["acta"], row["ronda"]].append(said)
    for row in some.resolutions:
        said = Stated("resolucion", str(row["person"]), row["ronda"], row["ordinal"])
        rounds[row["acta"], row["ronda"]].append(said)
    for row in some.statements:
        if row["kind"] == "sin_acta":
            # Of this acta: the decision about another one supports nothing here.
            said = Stated("sin_acta", str(row["person"]), 0, standing.criterion(row["reason"]))
            decided[row["acta"], row["proposal"]].append(said)
        else:
            said = Stated("identidad", str(row["person"]), 0, row["image"].hex())
            identified[row["acta"], row["image"]].append(said)
    return rounds, decided, identified


def _row_of_version(row: standing.Columns) -> ShownRow:
    if not row["numbers"]:
        return ShownRow(b"", frozenset(row["observations"]), str(row["cotejada"]), "")
    values = values_key(typed_cells(row["numbers"], row["marks"]))
    return ShownRow(values, frozenset(), str(row["cotejada"]), row["image"].hex())


# --- the tree ---------------------------------------------------------------------------------------------------------


def _published_checkpoint(folder: Path) -> Checkpoint:
    try:
        return read_checkpoint((folder / CHECKPOINT).read_bytes())
    except OSError:
        raise Rejected(f"no hay una bitácora publicada en {folder}: no se pudo comparar con el árbol") from None


def _compare_tree(tree: Tiles | None, batch: Sequence[Leaf]) -> None:
    """The hash of each leaf must be in its tile. The roots tell that a leaf differs; this tells which one."""
    for leaf in batch:
        if tree is not None and leaf.index < tree.size and tree.node(0, leaf.index) != leaf_hash(leaf.content):
            where = f"hoja {leaf.index}, {leaf.kind} {leaf.reference}"
            raise Difference(f"{where}: log_leaf no tiene la hoja que está en el árbol publicado")


def _signing_key_at(start: store.Start | None, passed_to: Sequence[tuple[bytes, int]], size: int) -> VerifierKey | None:
    """The key that signs a tree of that size: the last one to which the log had passed by then."""
    if start is None:
        return None
    first = read_verifier_key(start.clave)
    reached = [public for public, index in passed_to if index < size]
    return VerifierKey(first.name, first.kind, reached[-1]) if reached else first


def _compare_head(published: Checkpoint, roots: Mapping[int, bytes], key: VerifierKey | None) -> None:
    try:
        if key is not None and not published.note.signed_by(key):
            raise Difference(f"el punto de control publicado no lo firmó {key.name}+{key.id.hex()}")
    except NotSigned as problem:
        raise Difference(f"el punto de control publicado: {problem.sentence}") from None
    if published.size and roots.get(published.size) != published.root:
        raise Difference(f"log_leaf no da la raíz publicada en {published.size} hojas")


# --- the command ------------------------------------------------------------------------------------------------------


async def run(*, with_tree: bool) -> int:
    """Compare, and print the result in Spanish. Returns 0, or 2 without the tree."""
    settings = read_settings()
    folder = settings.public / LOG if with_tree else None
    async with embedded.database(settings) as urls, connect(urls.of(Part.AUDIT)) as connection:
        night = await night_store.declared(connection)
        agreed = await compare(connection, folder, night.tz)
    tree = "" if agreed.tree is None else f", y el árbol publicado, de {agreed.tree}"
    print(f"✓ {agreed.leaves} hojas: la base de datos dice lo mismo que la bitácora{tree}")
    if agreed.pending:
        print(f"  {agreed.pending} hechos todavía no tienen hoja")
    if not with_tree:
        print("? no se comparó con el árbol publicado: quien reescribe las filas y sus hojas no se ve así")
        return 2
    return 0


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0, 1 or 2, as in the module's docstring."""
    description = "Compara la base de datos con la bitácora, hoja por hoja."
    parser = Parser(prog="prep verify-database", description=description)
    parser.add_argument("--no-tree", action="store_true", help="solo con lo que la base de datos guarda de la bitácora")
    arguments = parser.parse_args(argv)
    try:
        sys.exit(uvloop.run(run(with_tree=not arguments.no_tree)))
    except Difference as difference:
        print(f"✗ {difference.sentence}")
        sys.exit(1)
    except Differs as differs:
        print(f"✗ {differs.path}: se esperaba {differs.expected}; se encontró {differs.found}")
        sys.exit(1)
    except Malformed as problem:
        print(f"✗ la bitácora publicada no se entiende: se esperaba {problem.expected}; se encontró {problem.found}")
        sys.exit(1)
    except (PrepError, SourceError) as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)
