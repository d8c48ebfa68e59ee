"""RFC 6962: the public vectors give the marked results, and each pair of sizes has proofs of its own."""

import base64
import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity.log.merkle import (
    EMPTY,
    NotProven,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    nodes_of,
    range_hash,
    root_of,
)
from tests.makers.official_files import Official

MOST = 70
PLACEHOLDER = "sizes-are-equal-one-and-proof-is-empty.json"
"""The one vector marked good that we refuse: it has «don't care» in the place of a root of 32 bytes."""

LEAVES = [leaf_hash(bytes([number])) for number in range(MOST)]
NODE = nodes_of(LEAVES)
ROOTS = [root_of(b"".join(LEAVES[:size])) for size in range(MOST + 1)]


def accepted(vector: dict[str, Any]) -> bool:
    def raw(text: str) -> bytes:
        return base64.b64decode(text or "")

    proof = [raw(each) for each in vector["proof"] or []]
    try:
        if "leafIdx" in vector:
            leaf, root = raw(vector["leafHash"]), raw(vector["root"])
            check_inclusion(vector["leafIdx"], vector["treeSize"], leaf, proof, root)
        else:
            old_root, root = raw(vector["root1"]), raw(vector["root2"])
            check_consistency(vector["size1"], vector["size2"], old_root, root, proof)
    except NotProven:
        return False
    return True


def test_the_public_vectors_behave_as_marked(official: Official) -> None:
    vectors = sorted(official("merkle").rglob("*.json"))
    assert len(vectors) == 196
    odd = {
        path.name
        for path in vectors
        for vector in [json.loads(path.read_bytes())]
        if accepted(vector) is vector["wantErr"]
    }
    assert odd == {PLACEHOLDER}


def slow_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\1" + slow_root(leaves[:k]) + slow_root(leaves[k:])).digest()


def test_roots_are_those_of_the_definition() -> None:
    assert [slow_root(LEAVES[:size]) for size in range(MOST + 1)] == ROOTS
    assert [range_hash(0, size, NODE) for size in range(MOST + 1)] == ROOTS
    assert ROOTS[0] == EMPTY


def test_every_leaf_of_every_tree_has_a_proof() -> None:
    for size in range(1, MOST + 1):
        for index in range(size):
            check_inclusion(index, size, LEAVES[index], inclusion_proof(index, size, NODE), ROOTS[size])


def test_every_tree_continues_every_smaller_one() -> None:
    for size in range(1, MOST + 1):
        for old in range(1, size + 1):
            check_consistency(old, size, ROOTS[old], ROOTS[size], consistency_proof(old, size, NODE))


@given(st.data())
def test_a_proof_of_inclusion_proves_one_leaf_only(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, MOST))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, NODE)
    other = data.draw(st.integers(0, MOST - 1).filter(lambda number: number != index))
    with pytest.raises(NotProven):
        check_inclusion(index, size, LEAVES[other], proof, ROOTS[size])
    with pytest.raises(NotProven):
        check_inclusion(other, size, LEAVES[index], proof, ROOTS[size])
    for changed in spoiled(data, proof):
        with pytest.raises(NotProven):
            check_inclusion(index, size, LEAVES[index], changed, ROOTS[size])


@given(st.data())
def test_a_proof_of_consistency_proves_one_pair_only(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, MOST))
    old = data.draw(st.integers(1, size - 1))
    proof = consistency_proof(old, size, NODE)
    other = data.draw(st.integers(1, MOST).filter(lambda number: number != old))
    with pytest.raises(NotProven):
        check_consistency(old, size, ROOTS[other], ROOTS[size], proof)
    with pytest.raises(NotProven):
        check_consistency(old, size, ROOTS[old], ROOTS[old], proof)
    for changed in spoiled(data, proof):
        with pytest.raises(NotProven):
            check_consistency(old, size, ROOTS[old], ROOTS[size], changed)


def spoiled(data: st.DataObject, proof: list[bytes]) -> list[list[bytes]]:
    at = data.draw(st.integers(0, len(proof) - 1))
    bit = data.draw(st.integers(0, 255))
    flipped = (int.from_bytes(proof[at], "big") ^ (1 << bit)).to_bytes(32, "big")
    return [
        [*proof[:at], flipped, *proof[at + 1 :]],
        [*proof[:at], *proof[at + 1 :]],
        [*proof[:at], proof[at], *proof[at:]],
        [*proof, EMPTY],
        [*proof[:at], proof[at][:31], *proof[at + 1 :]],
    ]


def test_sizes_without_a_proof_are_refused() -> None:
    for old, size in [(0, 0), (0, 5), (5, 3), (-1, 5)]:
        with pytest.raises(NotProven):
            check_consistency(old, size, EMPTY, EMPTY, [])
    with pytest.raises(NotProven):
        consistency_proof(5, 3, NODE)
    for index, size in [(0, 0), (5, 5), (-1, 3)]:
        with pytest.raises(NotProven):
            inclusion_proof(index, size, NODE)
        with pytest.raises(NotProven):
            check_inclusion(index, size, EMPTY, [], EMPTY)
