"""Makes small logs with fixed keys for the tests: the same entries give the same bytes, signatures included."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from integrity.log.note import SignatureKind, Signer
from integrity.log.writer import FileState, Sequencer

ORIGIN = "prep.example.mx/bitacora"


def signer(name: str = ORIGIN, kind: SignatureKind = SignatureKind.LOG, seed: int = 1) -> Signer:
    return Signer.of(name, kind, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def entries(count: int, start: int = 0) -> list[bytes]:
    """Entries of several lengths, one of them empty."""
    return [f"hoja {number}".encode() * (number % 7) for number in range(start, start + count)]


def open_log(home: Path, **given: Any) -> Sequencer:
    return Sequencer(home / "bitacora", signer(), FileState(home / "estado" / "cabeza"), **given)


def make_log(home: Path, batches: Sequence[int] = (300, 299, 1)) -> Path:
    """A log of those batches under `home`; returns its folder. The state is beside it."""
    home.mkdir(parents=True, exist_ok=True)
    with open_log(home) as log:
        for count in batches:
            log.append(entries(count, log.head.size))
    return home / "bitacora"


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def flip(path: Path, at: int | None = None) -> None:
    """Flip one bit: at `at`, or in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 1
    path.write_bytes(data)
