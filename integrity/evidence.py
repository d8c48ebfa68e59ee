"""Is everything published in the log, and is the log whole? `verify` asks this of a tree that has one.

The log is read whole and recomputed from its entries, as `audit.audit_log` does; then every corte, image, row and
opened capture that the tree shows is looked up in it. What this shows depends on whose key verified the checkpoint.
With a key that the reader brought, the tree is what that log committed to, when it did. With the key of the tree's own
`politica.txt`, only that tree and log agree: whoever rewrote both would pass.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from integrity.leaves import CORTE_PROOF, opening, opening_path, proof_path, read_leaf, rules_digest, text_digest
from integrity.leaves import link as link_of
from integrity.log.merkle import NotProven, check_inclusion, leaf_hash
from integrity.log.tiles import CHECKPOINT, WIDTH, Differs, Tiles, check_tiles, read_path
from integrity.report import EVIDENCE_CHECKS, KEPT_CHECK, Ledger
from integrity.source import Missing, PathKind, Source, SourceError, Unreadable
from integrity.sums import Malformed, in_threads

if TYPE_CHECKING:
    from integrity.log.note import Checkpoint, Log, Policy
    from integrity.tree.documents import Json, Manifest

FOLDER: Final = "bitacora"
POLICY: Final = "politica.txt"
REHEARSAL: Final = "/simulacro"
"""How the origin of a rehearsal's log ends: no leaf of it can be shown as one of the night."""
_NOTE_LIMIT: Final = 1 << 20
_OPENINGS_LIMIT: Final = 1 << 30
_BEING_WRITTEN: Final = frozenset({".tmp", ".acuses"})
"""Where a sequencer at work makes its files; nothing in them is published."""
_NONE: Final = "ninguna: si quien publica reescribiera el árbol entero, esto no lo vería"
_OWN_KEY: Final = (
    "no se dio --log-key: la llave es la que dice el propio árbol; el árbol y su bitácora concuerdan, "
    "pero quien reescribiera los dos no se vería"
)
_NOT_YET: Final = "{}: todavía no está en la bitácora; vuelva a comprobar en unos segundos"

Tell = Callable[[str], None]


class _Under:
    """A folder of the tree as a source of its own."""

    def __init__(self, tree: Source, folder: str) -> None:
        self._tree = tree
        self._folder = folder
        self.threads = tree.threads

    def read(self, path: str, limit: int) -> bytes:
        return self._tree.read(f"{self._folder}/{path}", limit)


@dataclass
class DeviceLeaves:
    """The leaves of one device."""

    link: str | None = None
    """Of its last leaf."""
    numbers: set[int] = field(default_factory=set)


@dataclass
class LogBook:
    """What the log says, by what is looked up in it."""

    tiles: Tiles
    checkpoint: "Checkpoint"
    policy: "Policy"
    signers: "tuple[Log, ...]" = ()
    """Under whose keys the log's checkpoints have been signed, from the reader's or from the first on."""
    rotated: "tuple[int, Json | None]" = (0, None)
    """The last leaf that hands the log to another key: its index, and what it says."""
    start: "Json" = field(default_factory=dict)
    cortes: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Index of the leaf, and digest of the SHA256SUMS."""
    images: dict[str, int] = field(default_factory=dict)
    derived: dict[str, str] = field(default_factory=dict)
    """What was made of which image."""
    versions: dict[str, int] = field(default_factory=dict)
    captures: dict[int, str] = field(default_factory=dict)
    devices: dict[str, DeviceLeaves] = field(default_factory=dict)
    set_aside: set[tuple[str, int]] = field(default_factory=set)
    """Device and number of images whose handling an incident tells of."""
    closed: bool = False
    heads: dict[bytes, str] = field(default_factory=dict)
    """Checkpoints that proofs rest on, and what is wrong with each."""
    ceremonies: list[tuple[int, "Json"]] = field(default_factory=list)
    """Software, zero, close and their acts: index of the leaf, and what it says."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a corte of the tree shows of itself."""

    number: int
    sums_sha256: str
    manifest: "Manifest | None"


def read_log(
    tree: Source, trusted: "Policy | None", ledger: Ledger, tell: Tell, *, kept: "Checkpoint | None" = None
) -> LogBook | None:
    """The log of the tree, its own checks done; None where there is none, or nothing in it can be relied on.

    `kept` is a checkpoint of this log that the reader has from before: another history, however whole, is seen by it.
    """
    where = f"{FOLDER}/{CHECKPOINT}"
    if not _should_have(tree, where, trusted, ledger) and kept is None:
        return None
    ledger.checks = {**ledger.checks, **EVIDENCE_CHECKS, **(KEPT_CHECK if kept is not None else {})}
    try:
        from integrity.log import note
    except ModuleNotFoundError as missing:
        ledger.unable(EVIDENCE_CHECKS, f"para comprobar la bitácora falta el paquete «{missing.name}»")
        return None
    try:
        checkpoint = note.read_checkpoint(tree.read(where, _NOTE_LIMIT))
        policy = trusted or note.read_policy(tree.read(f"{FOLDER}/{POLICY}", _NOTE_LIMIT))
    except Missing as missing_file:
        ledger.wrong("AUT-11", FOLDER, expected="la bitácora y su política", found=missing_file.sentence)
        return None
    except SourceError as error:
        ledger.unable(EVIDENCE_CHECKS, error.sentence)
        return None
    except Malformed as problem:
        ledger.wrong("AUT-11", FOLDER, expected=problem.expected, found=problem.found)
        return None
    except note.Unsupported as problem:
        ledger.unable(EVIDENCE_CHECKS, problem.sentence)
        return None
    from integrity.log.rotation import NotFollowed, check_in_tree, follow

    under = _Under(tree, FOLDER)
    book = LogBook(Tiles(under, checkpoint.size), checkpoint, policy)  # type: ignore[arg-type]  # reads only
    try:
        book.policy, rotations = follow(under.read, policy)
        if not _judge_checkpoint(checkpoint, where, book.policy, trusted is not None, ledger):
            return None
        book.signers = (*policy.logs, *(note.Log(each.key) for each in rotations))
        if not _recompute(book, ledger, tell):
            return None
        check_in_tree(book.tiles, rotations)
    except NotFollowed as problem:
        expected = "una rotación de la bitácora, firmada por su llave anterior"
        ledger.wrong("AUT-11", f"{FOLDER}/{problem.path}", expected=expected, found=problem.sentence)
        return None
    except SourceError as error:
        ledger.unable(["AUT-11"], error.sentence)
        return None
    readable = _read_leaves(book, ledger)
    if kept is not None:  # maybe under a key that a leaf tells
        _judge_kept(book, kept, ledger)
    return book if readable else None


def _should_have(tree: Source, where: str, trusted: "Policy | None", ledger: Ledger) -> bool:
    """Whether the tree has a log, speaks of one, or is said by the reader to have one."""
    try:
        found = any(tree.exists(path) for path in (where, f"{FOLDER}/{POLICY}", f"cortes/0000/{CORTE_PROOF}"))
    except SourceError as error:
        ledger.checks = {**ledger.checks, **EVIDENCE_CHECKS}
        ledger.unable(EVIDENCE_CHECKS, error.sentence)
        return False
    if not found and trusted is None:
        ledger.facts["Bitácora"] = _NONE
    return found or trusted is not None


def _judge_checkpoint(checkpoint: "Checkpoint", where: str, policy: "Policy", brought: bool, ledger: Ledger) -> bool:  # noqa: FBT001
    from integrity.log.note import NotSigned

    ledger.did("AUT-11")
    try:
        signers = [log.key for log in policy.logs if checkpoint.note.signed_by(log.key)]
        cosigners = [name for name, each in policy.witnesses.items() if checkpoint.note.cosigned_by(each.key)]
    except NotSigned as problem:
        ledger.wrong("AUT-11", where, expected="firmas válidas", found=problem.sentence)
        return False
    if brought:
        ledger.did("AUT-12")
    else:
        ledger.not_applicable("AUT-12", _OWN_KEY)
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


def _recompute(book: LogBook, ledger: Ledger, tell: Tell) -> bool:
    """Every hash from the entries up to the signed root."""
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
        ledger.wrong("EVI-01", FOLDER, expected="todos sus archivos", found=error.sentence)
        return False
    except Differs as differs:
        path = f"{FOLDER}/{differs.path}"
        ledger.wrong("EVI-01", path, expected=differs.expected, found=differs.found, position=differs.position)
        return False
    ledger.did("EVI-01", book.tiles.size)
    if root != book.checkpoint.root:
        ledger.wrong("EVI-01", f"{FOLDER}/{CHECKPOINT}", expected=root.hex(), found=book.checkpoint.root.hex())
        return False
    return True


def _judge_kept(book: LogBook, kept: "Checkpoint", ledger: Ledger) -> None:
    """The tree of the checkpoint that was kept is the beginning of this one."""
    from integrity.log.note import NotSigned

    where = f"{FOLDER}/{CHECKPOINT}"
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
    root = book.tiles.root_at(kept.size) if kept.size else kept.root
    if root != kept.root:
        expected = f"la raíz {kept.root.hex()} en sus primeras {kept.size} hojas"
        ledger.wrong("EVI-11", where, expected=expected, found=root.hex())


# --- leaves -----------------------------------------------------------------------------------------------------------


def _read_leaves(book: LogBook, ledger: Ledger) -> bool:
    """Every leaf in its form and its place; what it says, into the book."""
    ledger.did("EVI-02", book.tiles.size)
    ledger.did("EVI-06", 0)
    for bundle in range(-(-book.tiles.size // WIDTH)):
        for index, entry in enumerate(book.tiles.entries(bundle), bundle * WIDTH):
            where = f"hoja {index}"
            try:
                held = read_leaf(entry)
            except Malformed as problem:
                ledger.wrong("EVI-02", FOLDER, expected=problem.expected, found=problem.found, position=where)
                return False
            if held["numero"] != index:
                ledger.wrong("EVI-02", FOLDER, expected=f"numero {index}", found=held["numero"], position=where)
            if (held["tipo"] == "inicio") != (index == 0):
                ledger.wrong("EVI-02", FOLDER, expected="«inicio», y solo él, en la hoja 0", found=held["tipo"])
            _take(book, index, held, entry, ledger)
    _judge_rotation(book, ledger)
    return True


def _take(book: LogBook, index: int, held: "Json", entry: bytes, ledger: Ledger) -> None:
    match held["tipo"]:
        case "inicio":
            book.start = held
            book.signers += _keys_told(held)
        case "imagen":
            book.images.setdefault(held["sha256"], index)
            _follow(book, index, held, entry, ledger)
        case "derivada":
            book.derived.setdefault(held["sha256"], held["imagen"])
        case "captura":
            book.captures[index] = held["compromiso"]
        case "version":
            book.versions.setdefault(held["contenido"], index)
        case "corte" if held["corte"] in book.cortes:
            ledger.wrong("EVI-03", FOLDER, expected="cada corte una vez", found=f"otra vez el corte {held['corte']}")
        case "corte":
            book.cortes[held["corte"]] = index, held["sha256sums"]
        case "incidente" if held["asunto"].startswith("image:"):
            device, _, rest = held["asunto"].removeprefix("image:").partition(":")
            number = rest.partition(":")[0]
            if number.isdigit() and number.isascii():
                book.set_aside.add((device, int(number)))
        case "rotacion" if held["de"] == "bitacora":
            book.rotated = index, held
            book.signers += _keys_told(held)
        case "cierre":
            book.closed = True
            book.ceremonies.append((index, held))
        case "software" | "cero" | "acto":
            book.ceremonies.append((index, held))


def _keys_told(held: "Json") -> "tuple[Log, ...]":
    """The log's key as its first leaf, or one that changes it, tells: a tree under a later key still vouches for it."""
    from integrity.log.note import Log, Unsupported, read_verifier_key
    from integrity.log.rotation import key_of

    try:
        key = read_verifier_key(held["clave"]) if held["tipo"] == "inicio" else key_of(held)
    except (Malformed, Unsupported):
        return ()
    return (Log(key),) if key is not None else ()


def _judge_rotation(book: LogBook, ledger: Ledger) -> None:
    """The key that the log passed to last has signed the tree that says so."""
    from integrity.log.note import NotSigned
    from integrity.log.rotation import key_of

    index, held = book.rotated
    key = key_of(held) if held else None
    try:
        if key is None or book.checkpoint.note.signed_by(key):
            return
    except NotSigned:
        pass
    ledger.wrong("AUT-11", FOLDER, expected=f"la firma de {key}", found="ninguna", position=f"hoja {index}")


def _follow(book: LogBook, index: int, held: "Json", entry: bytes, ledger: Ledger) -> None:
    device = book.devices.setdefault(held["dispositivo"], DeviceLeaves())
    where = f"hoja {index}, dispositivo {held['dispositivo']}"
    if held["anterior"] != device.link:
        ledger.wrong("EVI-06", FOLDER, expected=device.link, found=held["anterior"], position=where)
    if held["secuencia"] in device.numbers:
        ledger.wrong("EVI-06", FOLDER, expected="otro número", found=held["secuencia"], position=where)
    device.numbers.add(held["secuencia"])
    device.link = link_of(entry)
    ledger.did("EVI-06")


# --- the tree against the log -----------------------------------------------------------------------------------------


def judge(book: LogBook, tree: Source, shown: Mapping[int, Shown], ledger: Ledger) -> None:
    """Cortes, their proofs, the beginning, the devices and what was opened."""
    last = max(shown)
    _judge_start(book, tree, shown[last], ledger)
    _judge_cortes(book, shown, ledger)
    _judge_devices(book, ledger)
    _judge_proofs(book, tree, shown, ledger)
    _judge_openings(book, tree, ledger)
    _judge_ceremonies(book, shown[last], ledger)


def _judge_start(book: LogBook, tree: Source, last: Shown, ledger: Ledger) -> None:
    if last.manifest is None or not book.start:
        ledger.unable(["EVI-09"], "sin manifiesto, o sin hojas, no se sabe de qué es la bitácora")
        return
    raw = last.manifest.raw
    try:
        policy = tree.read(f"{FOLDER}/{POLICY}", _NOTE_LIMIT).decode("utf-8", "replace")
    except SourceError as error:
        ledger.unable(["EVI-09"], error.sentence)
        return
    expected = {
        "origen": book.checkpoint.origin,
        "simulacro": raw["simulacro"],
        "catalogo": raw["catalogo"],
        "reglas": rules_digest({code: rules["sha256"] for code, rules in raw["reglas"].items()}),
        "politica": text_digest(policy),
    }
    ledger.did("EVI-09", len(expected))
    for name, value in expected.items():
        if book.start[name] != value:
            ledger.wrong("EVI-09", FOLDER, expected=value, found=book.start[name], position=f"hoja 0, {name}")
    if book.checkpoint.origin.endswith(REHEARSAL) != raw["simulacro"]:
        expected_origin = f"un origen que termina en {REHEARSAL}" if raw["simulacro"] else "el origen de una elección"
        ledger.wrong("EVI-09", FOLDER, expected=expected_origin, found=f"«{book.checkpoint.origin}»")


def _judge_cortes(book: LogBook, shown: Mapping[int, Shown], ledger: Ledger) -> None:
    last = max(shown)
    for number, corte in shown.items():
        path = f"cortes/{number:04}/SHA256SUMS"
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
        if number > last + 1 or book.closed:
            ledger.wrong("EVI-03", f"cortes/{number:04}", expected="el corte de la bitácora", found="nada")
        else:
            ledger.unable(["EVI-03"], f"el corte {number} está en la bitácora y todavía no en el árbol")


def judge_image(book: LogBook, sha256: str, path: str, *, complete: bool, ledger: Ledger) -> None:
    """A published image, or one that was made from it. `complete`: the log has every corte of the tree."""
    if book.derived.get(sha256, sha256) in book.images:
        ledger.did("EVI-04")
    elif complete:
        ledger.wrong("EVI-04", path, expected="la hoja de su llegada en la bitácora", found="ninguna")
    else:
        ledger.unable(["EVI-04"], _NOT_YET.format(path))


def judge_row(book: LogBook, digest: str, clave: str, corte: int, ledger: Ledger) -> None:
    """A row that `corte` was the first to show: its version was in the log before the corte was."""
    path = f"cortes/{corte:04}"
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


def _judge_devices(book: LogBook, ledger: Ledger) -> None:
    """Numbers without gaps. A gap is an image on its way, one that was set aside — or one that was dropped.

    From the first number that the log has: a device may have counted on from a rehearsal.
    """
    for name, device in sorted(book.devices.items()):
        gaps = [
            number
            for number in range(min(device.numbers), max(device.numbers))
            if number not in device.numbers and (name, number) not in book.set_aside
        ][:3]
        if gaps and book.closed:
            found = "ninguna hoja ni incidente"
            ledger.wrong("EVI-06", FOLDER, expected=f"el envío {gaps[0]} del dispositivo {name}", found=found)
        elif gaps:
            ledger.unable(["EVI-06"], f"falta el envío {gaps[0]} del dispositivo {name}: puede venir en camino")


def _judge_proofs(book: LogBook, tree: Source, shown: Mapping[int, Shown], ledger: Ledger) -> None:
    ledger.did("EVI-07", 0)
    for number in sorted(book.cortes.keys() & shown.keys()):
        path = f"cortes/{number:04}/{CORTE_PROOF}"
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
        wrong = _disproves(book, data, lambda held, corte=corte: _says(held, corte))  # type: ignore[misc]
        if wrong:
            ledger.wrong("EVI-07", path, expected="la prueba de su SHA256SUMS en esta bitácora", found=wrong)


def judge_image_proofs(book: LogBook, tree: Source, images: Iterable[str], ledger: Ledger) -> None:
    """The proof that the receipt of each published image promised, where the log has the image."""
    paths = {proof_path(sha256): sha256 for sha256 in images if sha256 in book.images}
    for path, data in in_threads(lambda path: tree.read(path, _NOTE_LIMIT), paths, tree.threads):
        if isinstance(data, Missing):
            ledger.unable(["EVI-07"], f"falta {path}, que puede venir después de su imagen")
        elif isinstance(data, SourceError):
            ledger.unable(["EVI-07"], data.sentence)
        else:
            ledger.did("EVI-07")
            sha256 = paths[path]
            wrong = _disproves(book, data, lambda held, sha256=sha256: held.get("sha256") == sha256)  # type: ignore[misc]
            if wrong:
                ledger.wrong("EVI-07", path, expected="la prueba de su imagen en esta bitácora", found=wrong)


def _disproves(book: LogBook, data: bytes, is_it: "Callable[[Json], bool]") -> str:
    """What is wrong with a proof; empty where it stands, and its leaf is the one that was looked for."""
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
    if head not in book.heads:  # many proofs rest on each
        book.heads[head] = _is_not_ours(book, checkpoint)
    return book.heads[head] or ("" if is_it(held) else "la hoja de otra cosa")


def _is_not_ours(book: LogBook, checkpoint: "Checkpoint") -> str:
    """Why that is not a head that this log has had; empty where it is, or where this reader does not see so far."""
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


def _says(held: "Json", corte: Shown) -> bool:
    said = (held["tipo"], held.get("corte"), held.get("sha256sums"))
    return said == ("corte", corte.number, corte.sums_sha256)


def _judge_openings(book: LogBook, tree: Source, ledger: Ledger) -> None:
    ledger.did("EVI-08", 0)
    for number in sorted(book.cortes):
        path = opening_path(number)
        try:
            lines = tree.read(path, _OPENINGS_LIMIT).splitlines()
        except Missing:
            continue  # of a corte without captures, or not opened yet
        except SourceError as error:
            ledger.unable(["EVI-08"], error.sentence)
            continue
        for place, line in enumerate(lines, 1):
            try:
                index, given = opening(line)
            except Malformed as problem:
                where = f"línea {place}"
                ledger.wrong("EVI-08", path, expected=problem.expected, found=problem.found, position=where)
                continue
            ledger.did("EVI-08")
            if book.captures.get(index) != given:
                expected = book.captures.get(index, "una hoja de captura")
                ledger.wrong("EVI-08", path, expected=expected, found=given, position=f"línea {place}, hoja {index}")


def _judge_ceremonies(book: LogBook, last: Shown, ledger: Ledger) -> None:
    """Zero before everything, close after everything, each act of its corte, every list of software told before."""
    final = last.manifest is not None and last.manifest.fase == "final"
    if not book.ceremonies and not (final and last.number in book.cortes):
        ledger.not_applicable("EVI-10", "la bitácora no cuenta ninguna ceremonia")
        return
    if final and last.number in book.cortes and not book.closed:
        ledger.wrong("EVI-10", FOLDER, expected=f"una hoja de cierre tras el corte {last.number}", found="ninguna")
    told: dict[str, int] = {}
    for index, held in book.ceremonies:
        ledger.did("EVI-10")
        name = f"{held['tipo']} {held['momento']}" if held["tipo"] == "acto" else held["tipo"]
        wrong = "otra vez" if name in told and name != "software" else _misplaced(book, index, held, told)
        if wrong:
            where = f"hoja {index}, {name}"
            ledger.wrong("EVI-10", FOLDER, expected="cada ceremonia en su lugar", found=wrong, position=where)
        told.setdefault(name, index)
        if held["tipo"] == "software":
            told.setdefault(held["lista"], index)


def _misplaced(book: LogBook, index: int, held: "Json", told: Mapping[str, int]) -> str:
    """What is wrong with the place of a ceremony's leaf, or with what it points at; empty where nothing is."""
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
    """Whether a file or folder under `bitacora/` is one that the format has."""
    inside = path.removeprefix(f"{FOLDER}/")
    head, _, rest = inside.partition("/")
    if kind is PathKind.FOLDER:
        folders = {"tile", "acuses", "aperturas", "rotaciones"} | _BEING_WRITTEN
        return head in folders and (head == "tile" or rest.count("/") == 0)
    match head:
        case "tile":
            place = read_path(inside)
            return place is not None and book.tiles.width(place[0] or 0, place[1]) > 0
        case "acuses":
            sha256 = rest[3:].removesuffix(".tlog-proof")
            return path == proof_path(sha256) and sha256 in book.images
        case "rotaciones":
            return re.fullmatch(r"[0-9]{4}\.tlog-proof", rest, re.ASCII) is not None
        case "aperturas":
            return any(path == opening_path(number) for number in book.cortes)
        case _:
            return inside in {CHECKPOINT, POLICY}


def refresh(book: LogBook, tree: Source) -> None:
    """How far the log has grown meanwhile: its newer files are no strangers."""
    from integrity.log.note import read_checkpoint

    try:
        now = read_checkpoint(tree.read(f"{FOLDER}/{CHECKPOINT}", _NOTE_LIMIT)).size
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
