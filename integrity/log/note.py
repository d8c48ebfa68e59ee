"""The texts that a log signs, as C2SP writes them: keys, signed notes, checkpoints, cosignatures, policies, proofs.

Sources, all at c2sp.org: signed-note (the note and its keys), tlog-checkpoint (its body), tlog-cosignature (what a
witness adds), tlog-policy (`politica.txt`: which log, which witnesses, how many), tlog-proof (one entry's place in the
log, in one file). Ed25519 is the algorithm of all of them here; a key of another kind is *unsupported*, which is not
the same as wrong. Every reader takes bytes that others wrote and raises Malformed; none of them does any I/O.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from integrity.log.merkle import EMPTY, HASH
from integrity.sums import Malformed

LONGEST_NOTE: Final = 1 << 20
"""Bytes of a note, a policy or a proof that are looked at; checkpoints with many witnesses have a few thousand."""
MOST_SIGNATURES: Final = 100
MOST_PROOF_HASHES: Final = 63
LARGEST: Final = (1 << 63) - 1
"""The largest size, index and time."""
PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}", re.ASCII)
_KEY_ID_BYTES: Final = 4
_ED25519: Final = 32
_SIGNATURE: Final = 64
_TIME: Final = 8
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Python's mark for a byte that was not UTF-8."""
_PRIVATE: Final = "PRIVATE+KEY+"


class Unsupported(Exception):
    """A key of an algorithm that this program does not know: no signature can be checked with it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class NotSigned(Exception):
    """The note lacks a signature that it needs, or carries a false signature of a known key."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class SignatureKind(IntEnum):
    """The signature type byte of a key: it says over which bytes its signatures are."""

    LOG = 0x01
    """Ed25519 over the note."""
    WITNESS = 0x04
    """Ed25519 over a time and the checkpoint (cosignature/v1)."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name: `name+hash+base64`, the *vkey* of signed-note."""

    name: str
    kind: SignatureKind
    public: bytes

    @property
    def id(self) -> bytes:
        # signed-note: the key id is the first four bytes of SHA-256 over name, newline, type and key.
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{to_base64(bytes([self.kind]) + self.public)}"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` is that key's Ed25519 signature over `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def read_verifier_key(text: str) -> VerifierKey:
    """The key that `text` encodes. Raises Malformed, or Unsupported for a kind other than `SignatureKind`'s."""
    name, key_id, public = _key_parts(text, "nombre+huella+base64")
    return VerifierKey(name, *_checked_key(name, key_id, public))


def _key_parts(text: str, form: str) -> tuple[str, str, bytes]:
    parts = text.split("+", 2)
    if len(parts) != 3 or not _KEY_ID.fullmatch(parts[1].lower()):
        raise Malformed(f"una llave «{form}»", f"«{text}»")
    if not is_key_name(parts[0]):
        raise Malformed("un nombre de llave sin espacios ni «+»", f"«{parts[0]}»")
    return parts[0], parts[1].lower(), from_base64(parts[2])


def _checked_key(name: str, key_id: str, raw: bytes) -> tuple[SignatureKind, bytes]:
    if raw[:1] not in {bytes([kind]) for kind in SignatureKind}:
        raise Unsupported(f"la llave de {name} es de un tipo que este programa no sabe comprobar")
    if len(raw) != 1 + _ED25519:
        raise Malformed(f"{_ED25519} bytes de llave", f"{len(raw) - 1}")
    key = VerifierKey(name, SignatureKind(raw[0]), raw[1:])
    if key.id.hex() != key_id:
        raise Malformed(f"la huella {key.id.hex()} en la llave de {name}", key_id)
    return key.kind, key.public


def is_key_name(name: str) -> bool:
    """Whether a key may have this name: not empty, without spaces, line breaks or «+»."""
    return bool(name) and "+" not in name and not any(char.isspace() or _SURROGATE.match(char) for char in name)


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with its name."""

    key: VerifierKey
    private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls, name: str, kind: SignatureKind) -> "Signer":
        """A new key from the operating system's randomness. Raises Malformed for a name that no key may have."""
        return cls.of(name, kind, Ed25519PrivateKey.generate())

    @classmethod
    def of(cls, name: str, kind: SignatureKind, private: Ed25519PrivateKey) -> "Signer":
        """The signer with this private key. Raises Malformed for a name that no key may have."""
        if not is_key_name(name):
            raise Malformed("un nombre de llave sin espacios ni «+»", f"«{name}»")
        return cls(VerifierKey(name, kind, private.public_key().public_bytes_raw()), private)

    def to_text(self) -> str:
        """`PRIVATE+KEY+name+hash+base64`, as Go's sumdb/note writes it.

        With this text, anybody can sign as this key.
        """
        raw = bytes([self.key.kind]) + self.private.private_bytes_raw()
        return f"{_PRIVATE}{self.key.name}+{self.key.id.hex()}+{to_base64(raw)}"

    def sign(self, text: str) -> str:
        """The signature line of a log over the note's text."""
        assert self.key.kind is SignatureKind.LOG
        return _signature_line(self.key, self.private.sign(text.encode()))

    def cosign(self, text: str, *, at: int) -> str:
        """The signature line of a witness over the checkpoint's text; `at` in seconds since 1970."""
        assert self.key.kind is SignatureKind.WITNESS
        return _signature_line(self.key, at.to_bytes(_TIME, "big") + self.private.sign(_cosigned_bytes(text, at)))


def read_signer(text: str) -> Signer:
    """The key in a file of `integrity log-key`. Raises Malformed, Unsupported; neither shows the key."""
    if not text.startswith(_PRIVATE):
        raise Malformed(f"un archivo de llave que empieza con {_PRIVATE}", "otra cosa")
    try:
        name, key_id, raw = _key_parts(text.removeprefix(_PRIVATE).removesuffix("\n"), "nombre+huella+base64")
    except Malformed:
        raise Malformed("un archivo de llave privada completo", "uno cortado o cambiado") from None
    if raw[:1] not in {bytes([kind]) for kind in SignatureKind}:
        raise Unsupported(f"la llave de {name} es de un tipo que este programa no sabe usar")
    if len(raw) != 1 + _ED25519:
        raise Malformed("un archivo de llave privada completo", "uno cortado o cambiado")
    signer = Signer.of(name, SignatureKind(raw[0]), Ed25519PrivateKey.from_private_bytes(raw[1:]))
    if signer.key.id.hex() != key_id:
        raise Malformed(f"la huella {signer.key.id.hex()} en la llave de {name}", key_id)
    return signer


def _signature_line(key: VerifierKey, signature: bytes) -> str:
    return f"— {key.name} {to_base64(key.id + signature)}\n"


def _cosigned_bytes(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


# --- notes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the key that it claims, and its bytes. Not verified."""

    name: str
    key_id: bytes
    raw: bytes
    line: str
    """With its newline, as it stands in the note."""


@dataclass(frozen=True, slots=True)
class Note:
    """A text with its signatures, none of them verified."""

    text: str
    """With its last newline: exactly the bytes that are signed."""
    signatures: tuple[Signature, ...]

    def of(self, key: VerifierKey) -> list[Signature]:
        """The signatures that claim that key; signatures of other keys are ignored."""
        return [each for each in self.signatures if (each.name, each.key_id) == (key.name, key.id)]

    def signed_by(self, key: VerifierKey) -> bool:
        """Whether that log key signed it. Raises NotSigned if a signature claims the key and is false."""
        # A false signature of a known key is worse than none: somebody changed the text.
        found = self.of(key)
        if any(not key.verifies(each.raw, self.text.encode()) for each in found):
            raise NotSigned(f"la firma de {key.name} no es válida")
        return bool(found)

    def cosigned_by(self, key: VerifierKey) -> int | None:
        """The time of that witness's last cosignature, in seconds since 1970; None without one.

        Raises NotSigned as `signed_by`.
        """
        times: list[int] = []
        for each in self.of(key):
            # cosignature/v1: eight bytes of time, then the signature over time and text.
            at = int.from_bytes(each.raw[:_TIME], "big")
            good = len(each.raw) == _TIME + _SIGNATURE and at <= LARGEST
            if not good or not key.verifies(each.raw[_TIME:], _cosigned_bytes(self.text, at)):
                raise NotSigned(f"la firma del testigo {key.name} no es válida")
            times.append(at)
        return max(times, default=None)


def read_note(data: bytes) -> Note:
    """A signed note. Raises Malformed."""
    text = _text_of(data, "una nota firmada")
    # The last empty line separates text and signatures: the text itself may hold empty lines.
    body, separator, signatures = text.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise Malformed("una nota: texto, línea vacía, firmas", "otra cosa")
    first = body.count("\n") + 3
    return Note(body + "\n", tuple(read_signatures(signatures, first_line=first)))


def read_signatures(text: str, *, first_line: int = 1) -> list[Signature]:
    """Signature lines, each ended by a newline. Raises Malformed."""
    count = text.count("\n")
    if not 1 <= count <= MOST_SIGNATURES or not text.endswith("\n"):
        raise Malformed(f"de 1 a {MOST_SIGNATURES} firmas, una en cada línea", f"{count} líneas")
    return [_read_signature(line, number) for number, line in enumerate(text[:-1].split("\n"), first_line)]


def _read_signature(line: str, number: int) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—" or not is_key_name(parts[1]):
        raise Malformed("«— nombre base64»", f"«{line}»", number)
    raw = from_base64(parts[2], line=number)
    if len(raw) <= _KEY_ID_BYTES:
        raise Malformed("una firma", f"{len(raw)} bytes", number)
    return Signature(parts[1], raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:], line + "\n")


def _text_of(data: bytes, what: str) -> str:
    if len(data) > LONGEST_NOTE:
        raise Malformed(f"{what} de hasta {LONGEST_NOTE} bytes", f"{len(data)}")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Malformed(f"{what} en UTF-8", "otros bytes") from None
    if _CONTROL.search(text):
        raise Malformed(f"{what} sin caracteres de control", "uno de ellos")
    return text


# --- checkpoints ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head, with the note it was read from."""

    origin: str
    size: int
    root: bytes
    note: Note
    extensions: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """The checkpoint as it was read: text, empty line, signatures."""
        return (self.note.text + "\n" + "".join(each.line for each in self.note.signatures)).encode()


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """The text that a log signs for that tree, without the empty line that ends it in a note."""
    return f"{origin}\n{size}\n{to_base64(root)}\n"


def read_checkpoint(data: bytes) -> Checkpoint:
    """A checkpoint, its signatures not verified. Raises Malformed."""
    note = read_note(data)
    lines = note.text.removesuffix("\n").split("\n")
    if len(lines) < 3 or "" in lines:
        raise Malformed("origen, tamaño y raíz, una línea cada uno", f"{len(lines)} líneas")
    size = read_decimal(lines[1], "un tamaño", line=2)
    root = read_hash(lines[2], line=3)
    # Only one tree has no leaves, so only one root is possible.
    if not size and root != EMPTY:
        raise Malformed("la raíz del árbol vacío", f"«{lines[2]}»", 3)
    return Checkpoint(lines[0], size, root, note, tuple(lines[3:]))


def read_decimal(text: str, what: str, *, line: int = 0) -> int:
    """Digits without leading zeros, up to 2^63 - 1. Raises Malformed."""
    if not _DECIMAL.fullmatch(text) or int(text) > LARGEST:
        raise Malformed(f"{what} entre 0 y 2^63 - 1, sin ceros a la izquierda", f"«{text}»", line)
    return int(text)


def read_hash(text: str, *, line: int = 0) -> bytes:
    """A hash of 32 bytes in base64. Raises Malformed."""
    raw = from_base64(text, line=line)
    if len(raw) != HASH:
        raise Malformed(f"un hash de {HASH} bytes", f"{len(raw)} bytes", line)
    return raw


def to_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, *, line: int = 0) -> bytes:
    """Standard base64 in canonical form: another text that decodes to the same bytes is refused. Raises Malformed."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if to_base64(raw) != text or not raw:
        raise Malformed("base64 canónico", f"«{text}»", line)
    return raw


# --- policies ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Log:
    """A log that the policy knows."""

    key: VerifierKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness that the policy knows."""

    key: VerifierKey
    url: str = ""


@dataclass(frozen=True)
class Policy:
    """Which log and which witnesses make a checkpoint good."""

    logs: tuple[Log, ...]
    witnesses: Mapping[str, Witness]
    """By the name that the policy gives them, not the key's."""
    groups: Mapping[str, tuple[int, tuple[str, ...]]]
    """By name: how many of which members. A member is defined before its group."""
    quorum: str
    """A witness, a group, or `none`."""

    @cached_property
    def in_words(self) -> str:
        if self.quorum == "none":
            return "ninguno"
        if self.quorum in self.witnesses:
            return self.quorum
        needed, members = self.groups[self.quorum]
        return f"{needed} de {', '.join(members)}"

    def is_met_by(self, cosigners: Iterable[str]) -> bool:
        """Whether those witnesses, by the policy's names, are a quorum."""
        # Groups are in the order of the file, members before their group: one pass settles nested groups.
        met = {"none", *cosigners}
        for name, (needed, members) in self.groups.items():
            if sum(member in met for member in members) >= needed:
                met.add(name)
        return self.quorum in met


def trust_only(key: VerifierKey) -> Policy:
    """The policy of a reader who has a log's key and asks for no witness."""
    if key.kind is not SignatureKind.LOG:
        raise Malformed("la llave de una bitácora", f"la de un testigo, {key.name}")
    return Policy((Log(key),), {}, {}, "none")


def read_policy(data: bytes) -> Policy:
    """A policy file.

    Raises Malformed with the line, or Unsupported for a key of a kind that is not in `SignatureKind`.
    """
    if len(data) > LONGEST_NOTE:
        raise Malformed(f"una política de hasta {LONGEST_NOTE} bytes", f"{len(data)}")
    reader = _PolicyReader()
    # Names are opaque octets: bytes that are not UTF-8 stay apart from those that are.
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    for number, line in enumerate(lines, 1):
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", line):
            raise Malformed("una línea sin caracteres de control", "uno de ellos", number)
        words = re.split(r"[ \t]+", line.strip(" \t"))
        if words != [""] and not words[0].startswith("#"):
            reader.take(words, number)
    return reader.policy(len(lines))


class _PolicyReader:
    """The definitions of the lines read so far."""

    def __init__(self) -> None:
        self.logs: list[Log] = []
        self.witnesses: dict[str, Witness] = {}
        self.groups: dict[str, tuple[int, tuple[str, ...]]] = {}
        self.members: set[str] = set()
        self.quorum: str | None = None
        self.keys: dict[tuple[str, bytes], VerifierKey] = {}
        self.publics: set[bytes] = set()

    def take(self, words: Sequence[str], number: int) -> None:
        match words:
            case ["log", key, *url] if len(url) <= 1:
                self.logs.append(Log(self._take_key(key, SignatureKind.LOG, number), "".join(url)))
            case ["witness", name, key, *url] if len(url) <= 1:
                self._expect_new_name(name, number)
                self.witnesses[name] = Witness(self._take_key(key, SignatureKind.WITNESS, number), "".join(url))
            case ["group", name, needed, _, *_]:
                self._take_group(name, needed, words[3:], number)
            case ["quorum", name]:
                if self.quorum is not None or (name != "none" and not self._is_defined(name)):
                    raise Malformed("un solo quórum, de un nombre ya definido", f"«{name}»", number)
                self.quorum = name
            case _:
                raise Malformed("log, witness, group o quorum con sus datos", f"«{' '.join(words)}»", number)

    def policy(self, lines: int) -> Policy:
        if self.quorum is None:
            raise Malformed("una línea quorum", "ninguna", lines)
        return Policy(tuple(self.logs), self.witnesses, self.groups, self.quorum)

    def _take_key(self, text: str, kind: SignatureKind, number: int) -> VerifierKey:
        try:
            key = read_verifier_key(text)
        except Malformed as problem:
            raise Malformed(problem.expected, problem.found, number) from None
        # A witness key as a log key (or the reverse) would make signatures over other bytes count.
        if key.kind is not kind:
            raise Malformed(
                f"una llave de {'testigo' if kind is SignatureKind.WITNESS else 'bitácora'}", f"«{text}»", number
            )
        # A witness that stands twice would count twice; the log's own key would let the log witness itself.
        if key.public in self.publics:
            raise Malformed("una llave que no esté ya en la política", f"«{text}»", number)
        # Two keys with one name and one id: a signature could not be given to one of them.
        if (key.name, key.id) in self.keys:
            raise Malformed("una llave que se distinga de las demás", f"«{text}»", number)
        self.publics.add(key.public)
        self.keys[key.name, key.id] = key
        return key

    def _take_group(self, name: str, needed: str, members: Sequence[str], number: int) -> None:
        for member in members:
            if not self._is_defined(member) or member in self.members:
                raise Malformed("miembros definidos antes, cada uno en un solo grupo", f"«{member}»", number)
            # A member of two groups would count twice.
            self.members.add(member)
        self._expect_new_name(name, number)
        words = {"any": 1, "all": len(members)}
        count = words[needed] if needed in words else read_decimal(needed, "cuántos miembros", line=number)
        if not 1 <= count <= len(members):
            raise Malformed(f"entre 1 y {len(members)} miembros", needed, number)
        self.groups[name] = (count, tuple(members))

    def _expect_new_name(self, name: str, number: int) -> None:
        if name == "none" or self._is_defined(name):
            raise Malformed("un nombre nuevo", f"«{name}»", number)

    def _is_defined(self, name: str) -> bool:
        return name in self.witnesses or name in self.groups


# --- proof files ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proof:
    """The place of an entry in the log of a checkpoint. `extra` is a note of the proof's maker, signed by nobody."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Checkpoint
    extra: bytes | None = None

    def to_bytes(self) -> bytes:
        """The tlog-proof file: header, extra, index, hashes, empty line, checkpoint."""
        extra = [] if not self.extra else [f"extra {to_base64(self.extra)}"]
        lines = [PROOF_HEADER, *extra, f"index {self.index}", *map(to_base64, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.checkpoint.to_bytes()


def read_proof(data: bytes) -> Proof:
    """A tlog-proof file; only its form is checked. Raises Malformed."""
    text = _text_of(data, "una prueba")
    head, separator, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != PROOF_HEADER or not separator:
        raise Malformed(f"una prueba que empieza con {PROOF_HEADER}", f"«{lines[0]}»", 1)
    at = 1
    extra: bytes | None = None
    if at < len(lines) and lines[at].startswith("extra "):
        extra = from_base64(lines[at].removeprefix("extra "), line=at + 1)
        at += 1
    if at >= len(lines) or not lines[at].startswith("index "):
        raise Malformed("«index» y un número", f"«{lines[at] if at < len(lines) else ''}»", at + 1)
    index = read_decimal(lines[at].removeprefix("index "), "un índice", line=at + 1)
    hashes = lines[at + 1 :]
    if len(hashes) > MOST_PROOF_HASHES:
        raise Malformed(f"hasta {MOST_PROOF_HASHES} hashes", f"{len(hashes)}")
    read = tuple(read_hash(line, line=number) for number, line in enumerate(hashes, at + 2))
    return Proof(index, read, read_checkpoint(checkpoint.encode()), extra)
