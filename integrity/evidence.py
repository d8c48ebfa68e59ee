"""Is everything published in the log, and is the log whole? `verify` asks this of a tree that has a log.

The log is read whole and recomputed from its entries, as `audit.audit_log` does. Then every corte, image, row and
opened capture of the tree is looked up in it. The result depends on the key that verified the checkpoint. With a key
that the reader brought, the tree is the one that this log committed to, at that time. With the key of the tree's own
`politica.txt`, only that tree and log agree: a cheat who rewrote both would pass.
"""

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from integrity import layout
from integrity.layout import CORTE_PROOF, LOG, POLICY, SUMS, corte_folder, opening_path, proof_path
from integrity.leaves import OPENINGS, ranges_of, read_leaf, rules_digest, text_digest
from integrity.leaves import link as link_of
from integrity.log.merkle import NotProven, check_inclusion, leaf_hash
from integrity.log.tiles import CHECKPOINT, WIDTH, Differs, Tiles, check_tiles, read_path
from integrity.report import EVIDENCE_CHECKS, KEPT_CHECK, Ledger
from integrity.source import Missing, PathKind, Source, SourceError, Unreadable
from integrity.sums import Malformed, in_threads

if TYPE_CHECKING:
    from integrity.log.note import Checkpoint, Log, Policy
    from integrity.strict_json import Json

REHEARSAL: Final = "/simulacro"
"""The end of the origin of a rehearsal's log: so no leaf of a rehearsal can be shown as one of the night."""
_NOTE_LIMIT: Final = 1 << 20
_BEING_WRITTEN: Final = frozenset({".tmp", ".acuses"})
"""Folders in which a sequencer at work prepares its files; these files are not published."""
_NONE: Final = "ninguna: si quien publica reescribiera el árbol entero, esto no lo vería"
_OWN_KEY: Final = (
    "no se dio --log-key: la llave es la que dice el propio árbol; el árbol y su bitácora concuerdan, "
    "pero quien reescribiera los dos no se vería"
)
_NOBODY: Final = (
    "nadie responde por este árbol: falta la llave de su bitácora (--log-key) o el certificado del sello (--ca), "
    "que el instituto publica en su página"
)
_FIRST: Final = "es la primera vez que se comprueba este árbol: se recuerda la llave que él mismo dice"
_NOT_YET: Final = "{}: todavía no está en la bitácora; vuelva a comprobar en unos segundos"

Tell = Callable[[str], None]


class _Under:
    """The folder of the log as a source of its own, with only the methods that `Tiles` and `follow` call."""

    def __init__(self, tree: Source, folder: str) -> None:
        self._tree = tree
        self._folder = folder
        self.threads = tree.threads

    def read(self, path: str, limit: int) -> bytes:
        return self._tree.read(f"{self._folder}/{path}", limit)


@dataclass
class DeviceLeaves:
    """The images of one device, as the log has them."""

    link: str | None = None
    """Digest of its last leaf, which the device's next leaf repeats."""
    numbers: set[int] = field(default_factory=set)


@dataclass
class LogBook:
    """The content of the log, arranged for the questions of `verify`."""

    tiles: Tiles
    checkpoint: "Checkpoint"
    policy: "Policy"
    signers: "tuple[Log, ...]" = ()
    """The keys that signed the log's checkpoints, from the reader's key, or the first one, to the last."""
    rotated: "tuple[int, Json | None]" = (0, None)
    """The last leaf that hands the log to another key: its index and its fields."""
    start: "Json" = field(default_factory=dict)
    cortes: dict[int, tuple[int, str]] = field(default_factory=dict)
    """By number: index of the leaf, and digest of the SHA256SUMS."""
    hours: dict[int, datetime] = field(default_factory=dict)
    """The hour of each corte in the log."""
    images: dict[str, int] = field(default_factory=dict)
    derived: dict[str, str] = field(default_factory=dict)
    """By digest of a derived copy: the image that it was made of."""
    read: dict[str, str] = field(default_factory=dict)
    """By digest of an image: the acta whose sticker the machine read in it; empty if it read none."""
    versions: dict[str, int] = field(default_factory=dict)
    commitments: dict[int, str] = field(default_factory=dict)
    """By index of its leaf: the commitment to a statement, which is opened later."""
    kinds: dict[int, str] = field(default_factory=dict)
    """The kind of each of these leaves."""
    devices: dict[str, DeviceLeaves] = field(default_factory=dict)
    set_aside: set[tuple[str, str]] = field(default_factory=set)
    """Device and number, as the incident writes it, of images that an incident tells of: such a number is no gap."""
    lost: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """By device: first and last of the numbers that two people declared lost."""
    reasons: list[tuple[str, str]] = field(default_factory=list)
    """Device and words of each such declaration."""
    closed: bool = False
    heads: dict[bytes, str] = field(default_factory=dict)
    """Checkpoints on which proofs rest, and the fault of each; empty text for a good one."""
    ceremonies: list[tuple[int, "Json"]] = field(default_factory=list)
    """Leaves of software, zero, close and acts: index and fields."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One corte of the tree, as far as the log repeats it."""

    number: int
    sums_sha256: str
    manifest: "Json | None"


def read_log(
    tree: Source,
    trusted: "Policy | None",
    ledger: Ledger,
    tell: Tell,
    *,
    kept: "Checkpoint | None" = None,
    alone: bool = False,
    first: bool = False,
) -> LogBook | None:
    """The log of the tree, after its own checks. None if the tree has no log, or no part of its log can be relied on.

    `kept` is a checkpoint of this log that the reader kept from before. It shows a second history, even a whole one.
    `alone`: a person brought no key and no authority, so nobody vouches for the tree; `first`: that person remembers
    the tree's own key from now on.
    """
    where = f"{LOG}/{CHECKPOINT}"
    if not _should_have(tree, where, trusted, ledger) and kept is None:
        _tell_alone(alone or first, ledger)
        return None
    ledger.checks = {**ledger.checks, **EVIDENCE_CHECKS, **(KEPT_CHECK if kept is not None else {})}
    try:
        from integrity.log import note
    except ModuleNotFoundError as missing:
        ledger.unable(EVIDENCE_CHECKS, f"para comprobar la bitácora falta el paquete «{missing.name}»")
        return None
    # 1. The checkpoint and the policy: the reader's, or the tree's own, which proves less (AUT-12).
    try:
        checkpoint = note.read_checkpoint(tree.read(where, _NOTE_LIMIT))
        policy = trusted or note.read_policy(tree.read(f"{LOG}/{POLICY}", _NOTE_LIMIT))
    except Missing as missing_file:
        ledger.wrong("AUT-11", LOG, expected="la bitácora y su política", found=missing_file.sentence)
        return None
    except SourceError as error:
        ledger.unable(EVIDENCE_CHECKS, error.sentence)
        return None
    except Malformed as problem:
        ledger.wrong("AUT-11", LOG, expected=problem.expected, found=problem.found)
        return None
    except note.Unsupported as problem:
        ledger.unable(EVIDENCE_CHECKS, problem.sentence)
        return None
    from integrity.log.rotation import NotFollowed, check_in_tree, follow

    under = _Under(tree, LOG)
    book = LogBook(Tiles(under, checkpoint.size), checkpoint, policy)  # type: ignore[arg-type]  # reads only
    # 2. The keys: from the policy's key through each rotation to the key of today; then who signed the checkpoint.
    try:
        book.policy, rotations = follow(under.read, policy)
        if not _judge_checkpoint(
            checkpoint, where, book.policy, _Vouched.of(trusted, alone=alone, first=first), ledger
        ):
            return None
        book.signers = (*policy.logs, *(note.Log(each.key) for each in rotations))
        # 3. Every hash, from the entries to the signed root; then the rotations must be of this same tree.
        if not _recompute_log(book, ledger, tell):
            return None
        check_in_tree(book.tiles, rotations)
    except NotFollowed as problem:
        expected = "una rotación de la bitácora, firmada por su llave anterior"
        ledger.wrong("AUT-11", f"{LOG}/{problem.path}", expected=expected, found=problem.sentence)
        return None
    except SourceError as error:
        ledger.unable(["AUT-11"], error.sentence)
        return None
    # 4. The leaves, into the book.
    readable = _read_leaves(book, ledger)
    if kept is not None:  # after the leaves: one of them may tell the key that signed it
        _judge_kept(book, kept, ledger)
    return book if readable else None


def _should_have(tree: Source, where: str, trusted: "Policy | None", ledger: Ledger) -> bool:
    """Whether the log can and must be judged: the tree has files of a log, or the reader brought a policy.

    False, with a note in the ledger, if the tree cannot be read.
    """
    try:
        found = any(tree.exists(path) for path in (where, f"{LOG}/{POLICY}", f"{corte_folder(0)}/{CORTE_PROOF}"))
    except SourceError as error:
        ledger.checks = {**ledger.checks, **EVIDENCE_CHECKS}
        ledger.unable(EVIDENCE_CHECKS, error.sentence)
        return False
    if not found and trusted is None:
        ledger.facts["Bitácora"] = _NONE
    return found or trusted is not None


def _tell_alone(alone: bool, ledger: Ledger) -> None:  # noqa: FBT001
    """A tree without a log, and a person without an authority: nothing vouches for it."""
    if alone:
        ledger.checks = {**ledger.checks, "AUT-12": EVIDENCE_CHECKS["AUT-12"]}
        ledger.unable(["AUT-12"], _NOBODY)


class _Vouched(Enum):
    """Who vouches for the key of the log."""

    BY_READER = 1
    BY_NOBODY = 2
    FROM_NOW_ON = 3
    BY_TREE = 4

    @classmethod
    def of(cls, trusted: "Policy | None", *, alone: bool, first: bool) -> "_Vouched":
        if trusted is not None:
            return cls.BY_READER
        return cls.BY_NOBODY if alone else cls.FROM_NOW_ON if first else cls.BY_TREE


def _judge_checkpoint(checkpoint: "Checkpoint", where: str, policy: "Policy", by: _Vouched, ledger: Ledger) -> bool:
    """Judge the signatures of log and witnesses. False if no known key of the log signed: then no leaf can be trusted.

    `by`: whose the policy is, the reader's own or the one in the tree.
    """
    from integrity.log.note import NotSigned

    ledger.did("AUT-11")
    try:
        signers = [log.key for log in policy.logs if checkpoint.note.signed_by(log.key)]
        cosigners = [name for name, each in policy.witnesses.items() if checkpoint.note.cosigned_by(each.key)]
    except NotSigned as problem:
        ledger.wrong("AUT-11", where, expected="firmas válidas", found=problem.sentence)
        return False
    brought = by is _Vouched.BY_READER
    match by:
        case _Vouched.BY_READER:
            ledger.did("AUT-12")
        case _Vouched.BY_NOBODY:
            ledger.unable(["AUT-12"], _NOBODY)
        case _:
            ledger.not_applicable("AUT-12", _FIRST if by is _Vouched.FROM_NOW_ON else _OWN_KEY)
    if not signers:
        known = ", ".join(f"{log.key.name}+{log.key.id.hex()}" for log in policy.logs) or "una llave conocida"
        ledger.wrong("AUT-12" if brought else "AUT-11", where, expected=f"la firma de {known}", found="otras")
        return False
    if checkpoint.origin != signers[0].name:
        ledger.wrong("AUT-11", where, expected=f"el origen «{signers[0].name}»", found=f"«{checkpoint.origin}»")
    if not policy.is_met_by(cosigners):
        found = ", ".join(cosigners) or "ninguno"
        ledger.wrong("AUT-11", where, expected=f"los testigos {policy.in_words}", found=found)
    ledger.facts["Bitácora"] = f"{checkpoint.origin}, {checkpoint.size} hojas, llave {signers[0]}"
    return True


def _recompute_log(book: LogBook, ledger: Ledger, tell: Tell) -> bool:
    """Recompute every hash, from the entries up to the signed root. False, with a finding, if one differs."""
    try:
        total = f"{book.tiles.size:,}"
        check_tiles(
            book.tiles, root=book.checkpoint.root, tell=lambda done: tell(f"bitácora: {done:,} de {total} hojas")
        )
        root = book.tiles.root()
    except Unreadable as error:
        ledger.unable(["EVI-01"], error.sentence)
        return False
    except SourceError as error:
        ledger.wrong("EVI-01", LOG, expected="todos sus archivos", found=error.sentence)
        return False
    except Differs as differs:
        path = f"{LOG}/{differs.path}"
        ledger.wrong("EVI-01", path, expected=differs.expected, found=differs.found, position=differs.position)
        return False
    ledger.did("EVI-01", book.tiles.size)
    if root != book.checkpoint.root:
        ledger.wrong("EVI-01", f"{LOG}/{CHECKPOINT}", expected=root.hex(), found=book.checkpoint.root.hex())
        return False
    return True


def _judge_kept(book: LogBook, kept: "Checkpoint", ledger: Ledger) -> None:
    """The tree of the kept checkpoint must be the beginning of this tree."""
    from integrity.log.note import NotSigned

    where = f"{LOG}/{CHECKPOINT}"
    try:
        signed = any(kept.note.signed_by(log.key) for log in book.signers or book.policy.logs)
    except NotSigned:
        signed = False
    if not signed:
        ledger.unable(KEPT_CHECK, "el punto de control guardado no lo firmó la llave de esta bitácora")
        return
    ledger.did("EVI-11")
    if kept.size > book.tiles.size:
        ledger.wrong("EVI-11", where, expected=f"{kept.size} hojas o más, las que ya tenía", found=book.tiles.size)
        return
    # The root at that size is computed from today's tiles: no proof by the publisher is needed.
    root = book.tiles.root_at(kept.size) if kept.size else kept.root
    if root != kept.root:
        expected = f"la raíz {kept.root.hex()} en sus primeras {kept.size} hojas"
        ledger.wrong("EVI-11", where, expected=expected, found=root.hex())


# --- leaves -----------------------------------------------------------------------------------------------------------


def _read_leaves(book: LogBook, ledger: Ledger) -> bool:
    """Read every leaf, check its form and its place, and note it in the book. False if a leaf has another form."""
    ledger.did("EVI-02", book.tiles.size)
    ledger.did("EVI-06", 0)
    for bundle in range(-(-book.tiles.size // WIDTH)):
        for index, entry in enumerate(book.tiles.entries(bundle), bundle * WIDTH):
            where = f"hoja {index}"
            try:
                held = read_leaf(entry)
            except Malformed as problem:
                ledger.wrong("EVI-02", LOG, expected=problem.expected, found=problem.found, position=where)
                return False
            # Each leaf holds its own index, so that no leaf can be shown at another place of another log.
            if held["numero"] != index:
                ledger.wrong("EVI-02", LOG, expected=f"numero {index}", found=held["numero"], position=where)
            if (held["tipo"] == "inicio") != (index == 0):
                ledger.wrong("EVI-02", LOG, expected="«inicio», y solo él, en la hoja 0", found=held["tipo"])
            _note_leaf(book, index, held, entry, ledger)
    _judge_rotation(book, ledger)
    return True


def _note_leaf(book: LogBook, index: int, held: "Json", entry: bytes, ledger: Ledger) -> None:
    match held["tipo"]:
        case "inicio":
            book.start = held
            book.signers += _keys_told(held)
        case "imagen":
            book.images.setdefault(held["sha256"], index)
            _follow_device(book, index, held, entry, ledger)
        case "derivada":
            book.derived.setdefault(held["sha256"], held["imagen"])
            book.read.setdefault(held["imagen"], held["acta"] or "")
        case kind if kind in OPENINGS:
            book.commitments[index] = held["compromiso"]
            book.kinds[index] = kind
        case "version":
            book.versions.setdefault(held["contenido"], index)
        case "corte" if held["corte"] in book.cortes:
            ledger.wrong("EVI-03", LOG, expected="cada corte una vez", found=f"otra vez el corte {held['corte']}")
        case "corte":
            book.cortes[held["corte"]] = index, held["sha256sums"]
            with suppress(ValueError):  # a moment that no calendar has
                book.hours[held["corte"]] = datetime.fromisoformat(held["fecha_hora"])
        case "incidente" if held["asunto"].startswith("image:"):
            device, _, rest = held["asunto"].removeprefix("image:").partition(":")
            book.set_aside.add((device, rest.partition(":")[0]))
        case "perdida":
            book.lost.setdefault(held["dispositivo"], []).extend(ranges_of(held["numeros"]))
            words = f"se declararon perdidos los envíos {held['numeros']} ({held['motivo']})"
            book.reasons.append((held["dispositivo"], words))
        case "rotacion" if held["de"] == "bitacora":
            book.rotated = index, held
            book.signers += _keys_told(held)
        case "cierre":
            book.closed = True
            book.ceremonies.append((index, held))
        case "software" | "cero" | "acto":
            book.ceremonies.append((index, held))


def _keys_told(held: "Json") -> "tuple[Log, ...]":
    """The key that the first leaf, or a leaf of rotation, tells; empty if it tells none that can be read.

    A checkpoint from before a rotation is still signed by one of these keys, so old proofs stay good.
    """
    from integrity.log.note import Log, Unsupported, read_verifier_key
    from integrity.log.rotation import key_of

    try:
        key = read_verifier_key(held["clave"]) if held["tipo"] == "inicio" else key_of(held)
    except (Malformed, Unsupported):
        return ()
    return (Log(key),) if key is not None else ()


def _judge_rotation(book: LogBook, ledger: Ledger) -> None:
    """The last key that the log passed to must have signed the tree that tells so."""
    from integrity.log.note import NotSigned
    from integrity.log.rotation import key_of

    index, held = book.rotated
    key = key_of(held) if held else None
    try:
        if key is None or book.checkpoint.note.signed_by(key):
            return
    except NotSigned:
        pass
    ledger.wrong("AUT-11", LOG, expected=f"la firma de {key}", found="ninguna", position=f"hoja {index}")


def _follow_device(book: LogBook, index: int, held: "Json", entry: bytes, ledger: Ledger) -> None:
    device = book.devices.setdefault(held["dispositivo"], DeviceLeaves())
    where = f"hoja {index}, dispositivo {held['dispositivo']}"
    # Each image leaf names the digest of the device's leaf before: a dropped image breaks the chain of its device.
    if held["anterior"] != device.link:
        ledger.wrong("EVI-06", LOG, expected=device.link, found=held["anterior"], position=where)
    if held["secuencia"] in device.numbers:
        ledger.wrong("EVI-06", LOG, expected="otro número", found=held["secuencia"], position=where)
    device.numbers.add(held["secuencia"])
    device.link = link_of(entry)
    ledger.did("EVI-06")


# --- the tree against the log -----------------------------------------------------------------------------------------


def judge(
    book: LogBook, tree: Source, shown: Mapping[int, Shown], is_new: Callable[[datetime], bool], ledger: Ledger
) -> None:
    """Compare the tree with the log: its beginning, cortes, devices, proofs, openings and ceremonies.

    `is_new` says of an hour whether a corte of that hour may be coming out while this reads.
    """
    last = max(shown)
    _judge_start(book, tree, shown[last], ledger)
    _judge_cortes(book, shown, is_new, ledger)
    _judge_devices(book, shown, ledger)
    _judge_proofs(book, tree, shown, ledger)
    _judge_ceremonies(book, shown[last], ledger)


def _judge_start(book: LogBook, tree: Source, last: Shown, ledger: Ledger) -> None:
    if last.manifest is None or not book.start:
        ledger.unable(["EVI-09"], "sin manifiesto, o sin hojas, no se sabe de qué es la bitácora")
        return
    raw = last.manifest
    try:
        policy = tree.read(f"{LOG}/{POLICY}", _NOTE_LIMIT).decode("utf-8", "replace")
    except SourceError as error:
        ledger.unable(["EVI-09"], error.sentence)
        return
    # The first leaf is older than every corte: its catalogue, rules and policy cannot change without a new log.
    expected = {
        "origen": book.checkpoint.origin,
        "simulacro": raw["simulacro"],
        "catalogo": raw["catalogo"],
        "reglas": rules_digest({code: rules["sha256"] for code, rules in raw["reglas"].items()}),
        "politica": text_digest(policy),
        # Absent in both: the night is older than declarations.
        "declaracion": raw["declaracion"]["sha256"] if "declaracion" in raw else None,
    }
    ledger.did("EVI-09", len(expected))
    for name, value in expected.items():
        if book.start.get(name) != value:
            ledger.wrong("EVI-09", LOG, expected=value, found=book.start.get(name), position=f"hoja 0, {name}")
    if book.checkpoint.origin.endswith(REHEARSAL) != raw["simulacro"]:
        expected_origin = f"un origen que termina en {REHEARSAL}" if raw["simulacro"] else "el origen de una elección"
        ledger.wrong("EVI-09", LOG, expected=expected_origin, found=f"«{book.checkpoint.origin}»")


def _judge_cortes(
    book: LogBook, shown: Mapping[int, Shown], is_new: Callable[[datetime], bool], ledger: Ledger
) -> None:
    last = max(shown)
    for number, corte in shown.items():
        path = f"{corte_folder(number)}/{SUMS}"
        # A corte is published before its leaf (a corte never waits for the log): the last one may lack it for a moment.
        if number not in book.cortes and number == last:
            ledger.unable(["EVI-03"], _NOT_YET.format(path))
        elif number not in book.cortes:
            ledger.wrong("EVI-03", path, expected="su huella en la bitácora", found="ninguna hoja de ese corte")
        else:
            ledger.did("EVI-03")
            index, sums = book.cortes[number]
            if sums != corte.sums_sha256:
                found = corte.sums_sha256
                ledger.wrong("EVI-03", path, expected=f"{sums}, de la hoja {index}", found=found)
    ledger.did("EVI-03", 0)
    for number in sorted(book.cortes.keys() - shown.keys()):
        if number in book.hours and is_new(book.hours[number]):
            continue  # it is on record, and comes out while this reads
        # A leaf for a corte beyond the next, or after the close, means that a corte was taken out of the tree.
        if number > last + 1 or book.closed:
            ledger.wrong("EVI-03", corte_folder(number), expected="el corte de la bitácora", found="nada")
        else:
            ledger.unable(["EVI-03"], f"el corte {number} está en la bitácora y todavía no en el árbol")


def judge_image(book: LogBook, sha256: str, path: str, *, complete: bool, ledger: Ledger) -> None:
    """A published image, or the image that it was made from, has a leaf. `complete`: the log has every corte."""
    if book.derived.get(sha256, sha256) in book.images:
        ledger.did("EVI-04")
    elif complete:
        ledger.wrong("EVI-04", path, expected="la hoja de su llegada en la bitácora", found="ninguna")
    else:
        ledger.unable(["EVI-04"], _NOT_YET.format(path))


def judge_row(book: LogBook, digest: str, clave: str, corte: int, ledger: Ledger) -> None:
    """A row that `corte` was the first to show: its version must be in the log before the corte (EVI-05)."""
    path = corte_folder(corte)
    index = book.versions.get(digest)
    if corte not in book.cortes:
        ledger.unable(["EVI-05"], _NOT_YET.format(path))
    elif index is None:
        ledger.wrong("EVI-05", path, expected=f"la versión de {clave} en la bitácora", found="ninguna igual")
    elif index > book.cortes[corte][0]:
        expected = f"la versión de {clave} antes de la hoja {book.cortes[corte][0]}, del corte"
        ledger.wrong("EVI-05", path, expected=expected, found=f"en la hoja {index}")
    else:
        ledger.did("EVI-05")


def _judge_devices(book: LogBook, shown: Mapping[int, Shown], ledger: Ledger) -> None:
    """The numbers of a device have no gap. A gap is an image on its way, one that an incident tells of, or a lost one.

    Two people may declare that the image of a number will never come: the number is then told, and is no gap. During
    the night a gap is only told. Numbers begin at the first that the log has: a device may have counted on from a
    rehearsal (domain.md §11).
    """
    over, told = is_final(book, shown), list[str]()
    for name, device in sorted(book.devices.items()):
        lost = sorted(book.lost.get(name, ()))
        # The work grows with the numbers that are there, and not with the distance between them.
        gaps = (_first_missing(name, pair, book.set_aside, lost) for pair in pairwise(sorted(device.numbers)))
        gap = next((number for number in gaps if number is not None), None)
        if gap is not None and over:
            found = "ninguna hoja, ni incidente, ni declaración de que se perdió"
            ledger.wrong("EVI-06", LOG, expected=f"el envío {gap} del dispositivo {name}", found=found)
        elif gap is not None:
            told.append(f"falta el envío {gap} del dispositivo {name}: puede venir en camino")
    for name, reason in book.reasons:
        told.append(f"dispositivo {name}: {reason}")
    if told:
        ledger.facts["Envíos"] = "; ".join(told)


def _first_missing(
    device: str, between: tuple[int, int], set_aside: Container[tuple[str, str]], lost: Sequence[tuple[int, int]]
) -> int | None:
    """The first number between two numbers of a device that nobody tells of; None if there is none."""
    number = between[0] + 1
    while number < between[1]:
        end = next((last for first, last in lost if first <= number <= last), None)
        if end is not None:
            number = end + 1
        elif (device, str(number)) in set_aside:
            number += 1
        else:
            return number
    return None


def _judge_proofs(book: LogBook, tree: Source, shown: Mapping[int, Shown], ledger: Ledger) -> None:
    ledger.did("EVI-07", 0)
    for number in sorted(book.cortes.keys() & shown.keys()):
        path = f"{corte_folder(number)}/{CORTE_PROOF}"
        try:
            data = tree.read(path, _NOTE_LIMIT)
        except Missing:
            if number != max(shown):
                ledger.unable(["EVI-07"], f"falta {path}, que puede venir después de su corte")
            continue
        except SourceError as error:
            ledger.unable(["EVI-07"], error.sentence)
            continue
        ledger.did("EVI-07")
        corte = shown[number]
        wrong = _fault_of_proof(book, data, lambda held, corte=corte: _is_leaf_of_corte(held, corte))  # type: ignore[misc]
        if wrong:
            ledger.wrong("EVI-07", path, expected="la prueba de su SHA256SUMS en esta bitácora", found=wrong)


def judge_image_proofs(book: LogBook, tree: Source, images: Iterable[str], ledger: Ledger) -> None:
    """The proof that the receipt of each published image promised, if the log has the image."""
    paths = {proof_path(sha256): sha256 for sha256 in images if sha256 in book.images}
    for path, data in in_threads(lambda path: tree.read(path, _NOTE_LIMIT), paths, tree.threads):
        if isinstance(data, Missing):
            ledger.unable(["EVI-07"], f"falta {path}, que puede venir después de su imagen")
        elif isinstance(data, SourceError):
            ledger.unable(["EVI-07"], data.sentence)
        else:
            ledger.did("EVI-07")
            sha256 = paths[path]
            wrong = _fault_of_proof(book, data, lambda held, sha256=sha256: held.get("sha256") == sha256)  # type: ignore[misc]
            if wrong:
                ledger.wrong("EVI-07", path, expected="la prueba de su imagen en esta bitácora", found=wrong)


def _fault_of_proof(book: LogBook, data: bytes, is_right_leaf: "Callable[[Json], bool]") -> str:
    """The fault of a proof; empty if the proof is good and its leaf is the one that `is_right_leaf` accepts."""
    from integrity.log.note import read_proof

    try:
        proof = read_proof(data)
        held = read_leaf(proof.extra or b"")
        checkpoint = proof.checkpoint
        check_inclusion(proof.index, checkpoint.size, leaf_hash(proof.extra or b""), proof.hashes, checkpoint.root)
    except Malformed as problem:
        return f"{problem.found} donde va {problem.expected}"
    except NotProven as problem:
        return problem.sentence
    head = checkpoint.to_bytes()
    if head not in book.heads:  # many proofs rest on one checkpoint: judge it once
        book.heads[head] = _fault_of_checkpoint(book, checkpoint)
    return book.heads[head] or ("" if is_right_leaf(held) else "la hoja de otra cosa")


def _fault_of_checkpoint(book: LogBook, checkpoint: "Checkpoint") -> str:
    """The reason why a checkpoint does not belong to this log; empty if it belongs to it.

    Empty also if the checkpoint is later than the log that was read: its root cannot be computed from here.
    """
    from integrity.log.note import NotSigned

    try:
        if not any(checkpoint.note.signed_by(log.key) for log in book.signers):
            return "un punto de control que la bitácora no firmó"
        if checkpoint.size > book.tiles.size or book.tiles.root_at(checkpoint.size) == checkpoint.root:
            return ""
    except (NotSigned, SourceError) as problem:
        return problem.sentence
    except Differs as differs:
        return f"{differs.path} no es lo que era"
    return "un punto de control de otro árbol"


def _is_leaf_of_corte(held: "Json", corte: Shown) -> bool:
    said = (held["tipo"], held.get("corte"), held.get("sha256sums"))
    return said == ("corte", corte.number, corte.sums_sha256)


def is_final(book: LogBook, shown: Mapping[int, Shown]) -> bool:
    """Whether the night is closed, in the log and in the tree: nothing more will come."""
    last = shown[max(shown)].manifest
    return book.closed and last is not None and last["fase"] == "final"


def _judge_ceremonies(book: LogBook, last: Shown, ledger: Ledger) -> None:
    """Each ceremony in its place: zero before every corte, close after all, each act with the corte that it names."""
    final = last.manifest is not None and last.manifest["fase"] == "final"
    if not book.ceremonies and not (final and last.number in book.cortes):
        ledger.not_applicable("EVI-10", "la bitácora no cuenta ninguna ceremonia")
        return
    if final and last.number in book.cortes and not book.closed:
        ledger.wrong("EVI-10", LOG, expected=f"una hoja de cierre tras el corte {last.number}", found="ninguna")
    told: dict[str, int] = {}
    for index, held in book.ceremonies:
        ledger.did("EVI-10")
        name = f"{held['tipo']} {held['momento']}" if held["tipo"] == "acto" else held["tipo"]
        # A list of software may be published several times; every other ceremony happens once.
        wrong = "otra vez" if name in told and name != "software" else _fault_of_ceremony(book, index, held, told)
        if wrong:
            where = f"hoja {index}, {name}"
            ledger.wrong("EVI-10", LOG, expected="cada ceremonia en su lugar", found=wrong, position=where)
        told.setdefault(name, index)
        if held["tipo"] == "software":
            told.setdefault(held["lista"], index)


def _fault_of_ceremony(book: LogBook, index: int, held: "Json", told: Mapping[str, int]) -> str:
    """The fault in the place of a ceremony's leaf, or in the corte that it names; empty if there is no fault."""
    places = [place for place, _ in book.cortes.values()]
    match held["tipo"]:
        case "cero" if places and min(places) < index:
            return f"después del primer corte, que es la hoja {min(places)}"
        case "cero" if held["software"] is not None and held["software"] not in told:
            return "una lista de software que ninguna hoja anterior cuenta"
        case "cierre" if places and max(places) > index:
            return f"antes del último corte, que es la hoja {max(places)}"
        case "acto" if held["momento"] == "cierre" and "cierre" not in told:
            return "antes del cierre"
        case "acto" if held["momento"] == "inicio" and "cero" not in told:
            return "sin la puesta en ceros"
        case "cierre" | "acto":
            of = 0 if held.get("momento") == "inicio" else max(book.cortes, default=-1)
            place, sums = book.cortes.get(of, (-1, ""))
            if (held["corte"], held["sha256sums"]) != (of, sums) or place > index:
                return f"el corte {held['corte']} con la huella {held['sha256sums']}"
    return ""


# --- its files --------------------------------------------------------------------------------------------------------


def is_known(path: str, kind: PathKind, book: LogBook) -> bool:
    """Whether the format has such a file or folder under `bitacora/`."""
    inside = path.removeprefix(f"{LOG}/")
    head, _, rest = inside.partition("/")
    if kind is PathKind.FOLDER:
        folders = {"tile", "acuses", "aperturas", layout.ROTATIONS} | _BEING_WRITTEN
        return head in folders and (head == "tile" or rest.count("/") == 0)
    match head:
        case "tile":
            place = read_path(inside)
            return place is not None and book.tiles.width(place[0] or 0, place[1]) > 0
        case "acuses":
            sha256 = rest[3:].removesuffix(".tlog-proof")
            return path == proof_path(sha256) and sha256 in book.images
        case layout.ROTATIONS:
            return re.fullmatch(r"[0-9]{4}\.tlog-proof", rest, re.ASCII) is not None
        case "aperturas":
            return any(path == opening_path(number) for number in book.cortes)
        case _:
            return inside in {CHECKPOINT, POLICY}


def refresh(book: LogBook, tree: Source) -> None:
    """Note the images and cortes that the log got meanwhile, so that its newer files do not look strange."""
    from integrity.log.note import read_checkpoint

    try:
        now = read_checkpoint(tree.read(f"{LOG}/{CHECKPOINT}", _NOTE_LIMIT)).size
    except (SourceError, Malformed):
        return
    if now <= book.tiles.size:
        return
    grown = Tiles(book.tiles.source, now)
    try:
        for bundle in range(book.tiles.size // WIDTH, -(-now // WIDTH)):
            for index, entry in enumerate(grown.entries(bundle), bundle * WIDTH):
                held = read_leaf(entry)
                if held["tipo"] == "imagen":
                    book.images.setdefault(held["sha256"], index)
                elif held["tipo"] == "corte":
                    book.cortes.setdefault(held["corte"], (index, held["sha256sums"]))
    except (SourceError, Differs, Malformed):
        return
    book.tiles = grown
