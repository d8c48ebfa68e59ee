"""The tree under the log: RFC 6962 hashes, and proofs of inclusion and of consistency, made and checked.

A tree is known here by its *nodes*: `node(level, index)` is the hash of the complete subtree over the leaves
[index·2^level, (index+1)·2^level). From the nodes (a list of leaf hashes, or tiles) one makes roots and proofs of the
tree. To check a proof, one needs the proof alone. All hashes are 32 bytes of SHA-256; any other length is refused.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from struct import Struct
from typing import Final

Node = Callable[[int, int], bytes]
"""Level (0 for leaves) and index within the level → hash. Raises the errors of the source that it reads from."""

HASH: Final = 32
"""Bytes of a hash."""
_PAIRS: Final = Struct(f"{2 * HASH}s").iter_unpack
EMPTY: Final = sha256(b"").digest()
"""The root of the tree without leaves."""


class NotProven(Exception):
    """The proof does not show its claim; `sentence` is Spanish and says at which point it fails."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry as a leaf of the tree (RFC 6962 §2.1)."""
    # RFC 6962 §2.1: the first byte keeps a leaf from being read as two hashes, and two hashes from being read as a
    # leaf.
    return sha256(b"\0" + entry).digest()


def parent_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node from its two children (RFC 6962 §2.1)."""
    return sha256(b"\1" + left + right).digest()


def root_of(hashes: bytes) -> bytes:
    """Root of the tree whose leaf hashes stand one after the other in `hashes`; of a tile, the hash of its subtree."""
    if not hashes:
        return EMPTY
    while len(hashes) > HASH:
        paired = len(hashes) // (2 * HASH) * (2 * HASH)
        # The odd one out rises as it is: so the left subtree is always the largest complete one, as the RFC wants it.
        pairs = _PAIRS(memoryview(hashes)[:paired])
        hashes = b"".join([sha256(b"\1" + pair).digest() for (pair,) in pairs]) + hashes[paired:]
    return hashes


def nodes_of(leaves: Sequence[bytes]) -> Node:
    """Nodes of a tree whose leaf hashes are at hand."""

    def node(level: int, index: int) -> bytes:
        return root_of(b"".join(leaves[index << level : (index + 1) << level]))

    return node


def range_hash(start: int, end: int, node: Node) -> bytes:
    """Hash of the tree over the leaves [start, end), with `start` where RFC 6962 cuts: aligned to what follows."""
    if start == end:
        return EMPTY
    complete: list[bytes] = []
    # RFC 6962 §2.1 splits a tree at the largest power of two. So the range is a row of complete subtrees, from large to
    # small; they are joined from the right.
    while start < end:
        level = (end - start).bit_length() - 1
        complete.append(node(level, start >> level))
        start += 1 << level
    found = complete.pop()
    while complete:
        found = parent_hash(complete.pop(), found)
    return found


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """Hashes from the leaf's sibling up to the child of the root (RFC 6962 §2.1.1)."""
    if not 0 <= index < size:
        raise NotProven(f"no hay hoja {index} en un árbol de {size}")
    # Walk down from the root to the leaf, and note the sibling on each level. A proof lists them from the leaf up.
    start, end = 0, size
    beside: list[tuple[int, int]] = []
    while end - start > 1:
        middle = start + _left_leaves(end - start)
        if index < middle:
            beside.append((middle, end))
            end = middle
        else:
            beside.append((start, middle))
            start = middle
    return [range_hash(*each, node) for each in reversed(beside)]


def consistency_proof(old: int, size: int, node: Node) -> list[bytes]:
    """Hashes that show that the first `old` of `size` leaves are the tree that stood before (RFC 6962 §2.1.2)."""
    if not 0 <= old <= size:
        raise NotProven(f"un árbol de {size} hojas no continúa uno de {old}")
    if old in {0, size}:
        return []
    # Walk down to the right edge of the old tree. `whole`: the walk never turned right, so the old tree is one subtree.
    start, end = 0, size
    whole = True
    beside: list[tuple[int, int]] = []
    while old != end:
        middle = start + _left_leaves(end - start)
        if old <= middle:
            beside.append((middle, end))
            end = middle
        else:
            beside.append((start, middle))
            start, whole = middle, False
    if not whole:  # the checker has the old root itself, so a proof never holds it
        beside.append((start, end))
    return [range_hash(*each, node) for each in reversed(beside)]


def _left_leaves(width: int) -> int:
    """Leaves under the left child: the largest power of two that is smaller than `width`."""
    return 1 << ((width - 1).bit_length() - 1)


def check_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Raises NotProven unless the leaf hash stands at `index` of the tree of that size and root (RFC 9162 §2.1.3.2)."""
    _hashes_only(leaf, root, *proof)
    if not 0 <= index < size:
        raise NotProven(f"no hay hoja {index} en un árbol de {size}")
    # Climb from the leaf. `at` is our index on the level, `last` the index of the level's last node: the sibling is on
    # the left if we are a right child, or if we are the last node and had no sibling on the levels below.
    at, last, found = index, size - 1, leaf
    for each in proof:
        if not last:
            raise NotProven("la prueba tiene hashes de más")
        if at & 1 or at == last:
            found = parent_hash(each, found)
            at, last = _climb_lone_levels(at, last)
        else:
            found = parent_hash(found, each)
        at, last = at >> 1, last >> 1
    if last:
        raise NotProven("a la prueba le faltan hashes")
    if found != root:
        raise NotProven(f"la prueba lleva a la raíz {found.hex()}, no a {root.hex()}")


def check_consistency(old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]) -> None:
    """Raises NotProven unless the second tree continues the first, which must have leaves (RFC 9162 §2.1.4.2).

    Nothing can be shown of an empty first tree: every tree continues it, and the caller has to know that.
    """
    _hashes_only(old_root, root, *proof)
    if not 0 < old <= size:
        raise NotProven(f"un árbol de {size} hojas no continúa uno de {old}")
    if old == size:
        if proof or old_root != root:
            raise NotProven("del mismo tamaño, con otra raíz o con una prueba que no hace falta")
        return
    if not proof:
        raise NotProven("a la prueba le faltan hashes")
    # If the old tree is one complete subtree, its root is the first node of the path; the proof leaves it out.
    path = [old_root, *proof] if old & (old - 1) == 0 else [*proof]
    at, last = old - 1, size - 1
    # The old tree ends at a complete subtree. Begin at its root, not at its last leaf.
    while at & 1:
        at, last = at >> 1, last >> 1
    # Two climbs with one proof: `before` takes only hashes of the old tree, `after` takes all. Both must end at their
    # root.
    before = after = path[0]
    for each in path[1:]:
        if not last:
            raise NotProven("la prueba tiene hashes de más")
        if at & 1 or at == last:
            before, after = parent_hash(each, before), parent_hash(each, after)
            at, last = _climb_lone_levels(at, last)
        else:
            after = parent_hash(after, each)
        at, last = at >> 1, last >> 1
    if last:
        raise NotProven("a la prueba le faltan hashes")
    if before != old_root:
        raise NotProven(f"la prueba lleva a la raíz anterior {before.hex()}, no a {old_root.hex()}")
    if after != root:
        raise NotProven(f"la prueba lleva a la raíz {after.hex()}, no a {root.hex()}")


def _climb_lone_levels(at: int, last: int) -> tuple[int, int]:
    """Past the levels at which the last node has no sibling and rises as it is."""
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _hashes_only(*hashes: bytes) -> None:
    if any(len(each) != HASH for each in hashes):
        raise NotProven(f"un hash que no es de {HASH} bytes")
