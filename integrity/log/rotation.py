"""A log that goes on under another key: a reader with the old key reaches the new one by what the old one signed.

    bitacora/rotaciones/0001.tlog-proof    the leaf of the first rotation, in a checkpoint that both keys signed

A leaf `rotacion` of «bitacora» names the key that follows. From the first checkpoint whose tree has it the new key
signs, and beside it the old one for as long as the two overlap; the proof of that leaf in such a checkpoint stays at a
known name for ever. A reader begins with the key in hand and goes from proof to proof: each must be signed by the key
reached so far, and by the one that it names; then only the last key's signature makes a checkpoint good.

What this does not do. A key that was stolen before its rotation can sign another rotation in another history. Only
witnesses, and readers who kept an old checkpoint, see that. After a theft, hand out the new key on paper, as the first
one was. One proof file, away from its tree, does not lead from key to key: check it with the key that signed it.
Witnesses know the log by its keys: they must be started with the new one before the overlap ends. Verifiers that do not
read this folder know the log by the old key until the overlap ends, and then by the new one alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from integrity.layout import rotation_path
from integrity.leaves import read_leaf
from integrity.log.merkle import NotProven, check_inclusion, leaf_hash
from integrity.log.note import (
    LONGEST_NOTE,
    Checkpoint,
    Log,
    NotSigned,
    Policy,
    Proof,
    SignatureKind,
    VerifierKey,
    read_proof,
)
from integrity.log.tiles import Tiles
from integrity.source import Missing
from integrity.strict_json import Json
from integrity.sums import Malformed

MOST: Final = 1000
"""Rotations of one log that are followed."""

Read = Callable[[str, int], bytes]
"""A file of the log by its path, up to so many bytes; raises SourceError."""


class NotFollowed(Exception):
    """A rotation is not signed by the key before it. `path` is the file of its proof; `sentence` is Spanish."""

    def __init__(self, path: str, sentence: str) -> None:
        super().__init__(path, sentence)
        self.path = path
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Rotation:
    """One change of key, as its proof file tells it."""

    path: str
    key: VerifierKey
    proof: Proof


def key_of(held: Json) -> VerifierKey | None:
    """The key that a leaf `rotacion` of «bitacora» hands the log to; None for any other leaf."""
    if (held["tipo"], held.get("de")) != ("rotacion", "bitacora"):
        return None
    return VerifierKey(held["nombre"], SignatureKind.LOG, bytes.fromhex(held["clave"]))


def follow(read: Read, policy: Policy) -> tuple[Policy, list[Rotation]]:
    """The policy with the last key of its log, and the rotations that lead there, oldest first.

    `read` gives a file of the log. Raises NotFollowed if a rotation is not signed by the key before it; SourceError.
    """
    told = _read_rotations(read)
    in_hand = {log.key for log in policy.logs}
    # The reader's key may be newer than the first rotations: begin after the last one that hands the log to a key in
    # hand.
    begin = max((number for number, each in enumerate(told, 1) if each.key in in_hand), default=0)
    followed: list[Rotation] = []
    for each in told[begin:]:
        # The first step may start from any key of the policy; each later step starts from the one key reached before.
        _check_rotation(each, [followed[-1].key] if followed else sorted(in_hand, key=str))
        followed.append(each)
    if not followed:
        return policy, []
    others = tuple(log for log in policy.logs if log.key.name != followed[-1].key.name)
    return replace(policy, logs=(Log(followed[-1].key), *others)), followed


def _read_rotations(read: Read) -> list[Rotation]:
    told: list[Rotation] = []
    while len(told) < MOST:
        # Rotations are numbered without gaps. The first missing number is the end of the list.
        path = rotation_path(len(told) + 1)
        try:
            proof = read_proof(read(path, LONGEST_NOTE))
            key = key_of(read_leaf(proof.extra or b""))
        except Missing:
            break
        except Malformed as problem:
            raise NotFollowed(path, f"{problem.found} donde va {problem.expected}") from None
        if key is None:
            raise NotFollowed(path, "no es la hoja de una rotación de la bitácora")
        told.append(Rotation(path, key, proof))
    return told


def _check_rotation(rotation: Rotation, before: Sequence[VerifierKey]) -> None:
    proof, key = rotation.proof, rotation.key
    checkpoint = proof.checkpoint
    same = [each for each in before if each.name == key.name]
    # Both must have signed: the old key shows that the log agreed to the change, the new one that somebody holds it.
    try:
        check_inclusion(proof.index, checkpoint.size, leaf_hash(proof.extra or b""), proof.hashes, checkpoint.root)
        if not any(checkpoint.note.signed_by(each) for each in same):
            raise NotFollowed(rotation.path, "no la firmó la llave anterior de la bitácora")
        if not checkpoint.note.signed_by(key):
            raise NotFollowed(rotation.path, "no la firmó la llave nueva")
    except (NotProven, NotSigned) as problem:
        raise NotFollowed(rotation.path, problem.sentence) from None
    if checkpoint.origin != key.name:
        raise NotFollowed(rotation.path, f"es de otra bitácora, «{checkpoint.origin}»")


def check_in_tree(tiles: Tiles, followed: Sequence[Rotation]) -> None:
    """The rotations that were followed belong to this very tree, which was recomputed before.

    Otherwise two histories, each with good rotations, could be mixed. Raises NotFollowed, SourceError, Differs.
    """
    for each in followed:
        then: Checkpoint = each.proof.checkpoint
        if then.size > tiles.size:
            raise NotFollowed(each.path, f"es de un árbol de {then.size} hojas, y este tiene {tiles.size}")
        if Tiles(tiles.source, then.size).root() != then.root:
            raise NotFollowed(each.path, "es de otro árbol")
