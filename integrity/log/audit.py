"""Anyone checks a log, ours or another's, and one entry's place in it.

    audit_log("bitacora", policy)  or  audit_log("https://prep.example.mx/bitacora/", policy)

A log in the C2SP tlog-tiles layout is read whole and recomputed from its entries up. The first difference is told, and
the rest is left *not checked*, because every hash above the difference would differ as well. No value of the checkpoint
is used before a key that the reader brought has verified it.
"""

from collections.abc import Callable, Sequence
from typing import Final

from integrity.log.merkle import NotProven, check_inclusion, leaf_hash
from integrity.log.note import (
    LONGEST_NOTE,
    Checkpoint,
    NotSigned,
    Policy,
    Proof,
    VerifierKey,
    read_checkpoint,
    read_proof,
    trust_only,
)
from integrity.log.rotation import NotFollowed, check_in_tree, follow
from integrity.log.tiles import CHECKPOINT, Differs, EntryDiffers, Misshapen, Tiles, check_tiles, tile_path
from integrity.report import LOG_CHECKS, PROOF_CHECKS, Ledger, Report
from integrity.source import Missing, Refused, Source, SourceError, Unreadable, open_source
from integrity.sums import Malformed

Tell = Callable[[str], None]

_TILE_CHECKS: Final = ("BIT-04", "BIT-05", "BIT-06", "BIT-07")


class CannotProve(Exception):
    """No proof could be made. `is_wrong`: True if the log is wrong, False if a part of it could not be read."""

    def __init__(self, sentence: str, *, is_wrong: bool) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.is_wrong = is_wrong


def audit_log(where: str, policy: Policy, *, origin: str | None = None, tell: Tell = lambda _: None) -> Report:
    """Recompute the log in a folder or at an http(s) address; `policy` says whose checkpoint is good.

    `origin` is the first line that the checkpoint must have, if that is not the name of the log's key. A fault of the
    log never raises: every failure is a finding, in Spanish.
    """
    ledger = Ledger(LOG_CHECKS)
    try:
        source = open_source(where)
    except SourceError as error:
        ledger.unable(LOG_CHECKS, error.sentence)
        return ledger.report(where, "")
    try:
        _audit_source(source, policy, origin, ledger, tell)
    finally:
        source.close()
    return ledger.report(where, "")


def _audit_source(source: Source, policy: Policy, origin: str | None, ledger: Ledger, tell: Tell) -> None:
    # 1. The checkpoint, and who signed it. Of a tree that nobody signed, no other finding is worth telling.
    try:
        data = source.read(CHECKPOINT, LONGEST_NOTE)
    except SourceError as error:
        _blame_source_error(error, "BIT-01", CHECKPOINT, ledger)
        return
    try:
        checkpoint = read_checkpoint(data)
    except Malformed as problem:
        _tell_malformed(problem, "BIT-01", CHECKPOINT, ledger)
        return
    try:
        policy, rotations = follow(source.read, policy)
    except NotFollowed as problem:
        _not_followed(problem, ledger)
        return
    except SourceError as error:
        ledger.unable(["BIT-02"], error.sentence)
        return
    if not _judge_signatures(checkpoint, CHECKPOINT, policy, origin, ledger, checks=("BIT-01", "BIT-02", "BIT-03")):
        return

    # 2. Every entry, every tile, from the bottom up.
    tiles = Tiles(source, checkpoint.size)
    has_entries = _has_entries(tiles, ledger)
    try:
        check_tiles(
            tiles,
            entries=has_entries,
            root=checkpoint.root,
            tell=lambda done: tell(f"{done:,} de {checkpoint.size:,} hojas"),
        )
        # 3. The root that they give is the one that was signed, and so are those under which its key changed.
        root = tiles.root()
        check_in_tree(tiles, rotations)
    except NotFollowed as problem:
        _not_followed(problem, ledger)
        return
    except SourceError as error:
        _blame_source_error(error, "BIT-04", "", ledger)
        return
    except Differs as differs:
        # The id tells the kind: form BIT-04, entry BIT-05, hash of a tile BIT-06.
        ledger.wrong(
            _check_of_difference(differs),
            differs.path,
            expected=differs.expected,
            found=differs.found,
            position=differs.position,
        )
        return
    for check in ("BIT-04", "BIT-06", *(["BIT-05"] if has_entries else [])):
        ledger.did(check, checkpoint.size)
    ledger.did("BIT-07")
    if root != checkpoint.root:
        ledger.wrong(
            "BIT-07",
            CHECKPOINT,
            expected=f"{root.hex()}, la que dan las teselas",
            found=checkpoint.root.hex(),
            position="raíz",
        )


def _not_followed(problem: NotFollowed, ledger: Ledger) -> None:
    ledger.wrong("BIT-02", problem.path, expected="una rotación firmada por la llave anterior", found=problem.sentence)


def _check_of_difference(differs: Differs) -> str:
    if isinstance(differs, Misshapen):
        return "BIT-04"
    return "BIT-05" if isinstance(differs, EntryDiffers) else "BIT-06"


def _has_entries(tiles: Tiles, ledger: Ledger) -> bool:
    """Whether the log shows its entries as tlog-tiles has them; some logs show them in a way of their own."""
    if not tiles.size:
        return True
    try:
        tiles.entries(0)
    except Missing:
        ledger.unable(["BIT-05"], f"la bitácora no publica sus entradas en {tile_path(None, 0)}")
        return False
    except (SourceError, Differs):
        return True  # `check_tiles` finds and tells the fault
    return True


def _judge_signatures(
    checkpoint: Checkpoint, file: str, policy: Policy, origin: str | None, ledger: Ledger, *, checks: Sequence[str]
) -> bool:
    """Form, log and witnesses, for the three checks; whether the log's signature stands."""
    form, signed, witnessed = checks
    note = checkpoint.note
    ledger.did(form)
    ledger.did(signed)
    try:
        signers = [log.key for log in policy.logs if note.signed_by(log.key)]
    except NotSigned as problem:
        ledger.wrong(signed, file, expected="una firma válida", found=problem.sentence)
        return False
    if not signers:
        known = ", ".join(f"{log.key.name}+{log.key.id.hex()}" for log in policy.logs)
        ledger.wrong(signed, file, expected=f"una firma de {known}", found=_signers_in_words(checkpoint))
        return False
    # Some logs sign with a key whose name differs from their origin line.
    expected = origin or signers[0].name
    if checkpoint.origin != expected:
        ledger.wrong(form, file, expected=f"el origen «{expected}»", found=f"«{checkpoint.origin}»")
    ledger.facts |= {"Origen": checkpoint.origin, "Hojas": f"{checkpoint.size}", "Raíz": checkpoint.root.hex()}
    _judge_witnesses(checkpoint, file, policy, witnessed, ledger)
    return True


def _judge_witnesses(checkpoint: Checkpoint, file: str, policy: Policy, check: str, ledger: Ledger) -> None:
    # Without witnesses, a log could show other readers another tree; the report says so.
    if policy.quorum == "none":
        ledger.not_applicable(check, "no se pidió ningún testigo: sin testigos, otra persona puede ver otra bitácora")
        return
    ledger.did(check)
    try:
        cosigners = [
            name for name, witness in policy.witnesses.items() if checkpoint.note.cosigned_by(witness.key) is not None
        ]
    except NotSigned as problem:
        ledger.wrong(check, file, expected="firmas válidas", found=problem.sentence)
        return
    ledger.facts["Testigos"] = ", ".join(cosigners) or "ninguno"
    if not policy.is_met_by(cosigners):
        ledger.wrong(check, file, expected=f"las firmas de {policy.in_words}", found=ledger.facts["Testigos"])


def _signers_in_words(checkpoint: Checkpoint) -> str:
    return ", ".join(f"{each.name}+{each.key_id.hex()}" for each in checkpoint.note.signatures)


# --- proofs -----------------------------------------------------------------------------------------------------------


def prove(where: str, *, index: int | None = None, leaf: bytes | None = None) -> Proof:
    """The place of an entry, given its index or its bytes, in the log at `where`. Raises CannotProve.

    The proof is checked before it is handed out, against the log's own root; whose checkpoint it is, is not: that takes
    a key (`check_proof`).
    """
    try:
        source = open_source(where)
    except SourceError as error:
        raise CannotProve(error.sentence, is_wrong=False) from None
    try:
        checkpoint = read_checkpoint(source.read(CHECKPOINT, LONGEST_NOTE))
        tiles = Tiles(source, checkpoint.size)
        if index is None:
            # The leaf is searched in every tile of level 0: only its bytes are known.
            index = tiles.find(leaf_hash(leaf or b""))
        if index is None:
            raise CannotProve("ninguna hoja de la bitácora es ese archivo", is_wrong=True)
        hashes = tiles.inclusion(index)
        check_inclusion(index, checkpoint.size, tiles.node(0, index), hashes, checkpoint.root)
    except (NotProven, Missing, Refused) as problem:
        raise CannotProve(problem.sentence, is_wrong=True) from None
    except Unreadable as error:
        raise CannotProve(error.sentence, is_wrong=False) from None
    except Malformed as problem:
        raise CannotProve(f"{CHECKPOINT}: {in_words(problem)}", is_wrong=True) from None
    except Differs as differs:
        said = f"{differs.path}: se esperaba {differs.expected}; se encontró {differs.found}"
        raise CannotProve(said, is_wrong=True) from None
    finally:
        source.close()
    return Proof(index, tuple(hashes), checkpoint)


def check_proof(data: bytes, leaf: bytes, policy: Policy, *, name: str = "", origin: str | None = None) -> Report:
    """Whether the proof shows that `leaf` is in a log that the policy trusts. `name` is its file's, for findings."""
    ledger = Ledger(PROOF_CHECKS)
    try:
        proof = read_proof(data)
    except Malformed as problem:
        _tell_malformed(problem, "PRU-01", name, ledger)
        return ledger.report(name, "")
    checkpoint = proof.checkpoint
    if _judge_signatures(checkpoint, name, policy, origin, ledger, checks=("PRU-01", "PRU-02", "PRU-03")):
        ledger.facts["Lugar"] = f"{proof.index}"
        ledger.did("PRU-04")
        try:
            check_inclusion(proof.index, checkpoint.size, leaf_hash(leaf), proof.hashes, checkpoint.root)
        except NotProven as problem:
            ledger.wrong("PRU-04", name, expected=f"el archivo en el lugar {proof.index}", found=problem.sentence)
    return ledger.report(name, "")


def combine(key: VerifierKey | None, policy: Policy | None) -> Policy:
    """The policy of a reader who brought a key, a policy file, or both. Raises Malformed if they contradict."""
    if policy is None:
        assert key is not None
        return trust_only(key)
    if key is None:
        if not policy.logs:
            raise Malformed("una política con la llave de la bitácora, o la llave aparte", "ninguna de las dos")
        return policy
    if policy.logs and key not in [log.key for log in policy.logs]:
        raise Malformed("en la política, la llave que se dio", "otras")
    return Policy(trust_only(key).logs, policy.witnesses, policy.groups, policy.quorum)


def in_words(problem: Malformed) -> str:
    """One Spanish sentence about a malformed text, with its line."""
    line = f"línea {problem.line}: " if problem.line else ""
    return f"{line}se esperaba {problem.expected}; se encontró {problem.found}"


def _tell_malformed(problem: Malformed, check: str, file: str, ledger: Ledger) -> None:
    position = f"línea {problem.line}" if problem.line else ""
    ledger.wrong(check, file, expected=problem.expected, found=problem.found, position=position)


def _blame_source_error(error: SourceError, check: str, file: str, ledger: Ledger) -> None:
    if isinstance(error, Unreadable):
        ledger.unable(LOG_CHECKS if check == "BIT-01" else _TILE_CHECKS, error.sentence)
    elif isinstance(error, Missing):
        ledger.wrong(check, file or error.sentence.removeprefix("falta "), expected="este archivo", found="nada")
    else:
        ledger.wrong(check, file, expected="un archivo ordinario", found=error.sentence)
