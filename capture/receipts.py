"""The receipt: a signed promise that an image is safe here and will be published or listed.

    {"acuse": {"formato": 1, "sha256": …, "bytes": …, "recibido": …, "servidor": …, "simulacro": …, "prueba": …,
               "clave": …},
     "firma": …}

`firma` is base64 of Ed25519 over the acuse as canonical JSON (sorted keys, no spaces, UTF-8); `clave` is the first
eight hexadecimal digits of the SHA-256 of the raw public key; `prueba` is where in the published tree the proof will
be, within seconds, that the log has the image. `observaciones`, if there are any, says that the image came after the
close, or that the server's clock was wrong. The first receipt of an image is its only one: it is kept as a record
and handed out byte for byte to every sender of that image, on any server of the same store, for ever.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from integrity import durable
from integrity.layout import proof_path
from prep.blobs import Blobs
from prep.domain.night import Night
from prep.errors import Rejected

FORMAT: Final = 1
_OTHERS: Final = 0o077


def canonical(acuse: dict[str, Any]) -> bytes:
    """The bytes that are signed."""
    return json.dumps(acuse, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Receipts:
    """The key that signs for this server, and the store of receipts."""

    blobs: Blobs
    key: Ed25519PrivateKey

    async def issue(
        self, sha256: str, *, size: int, at: datetime, night: Night, remarks: Sequence[str] = ()
    ) -> tuple[bytes, bool]:
        """The receipt of an image, and whether it was made now. `size` in bytes, `at` with an offset.

        `remarks` are what its reader must know besides: that it came after the close, that a clock is wrong.
        """
        return await self.blobs.record(_record_name(sha256), self._make_receipt(sha256, size, at, night, remarks))

    async def find(self, sha256: str) -> bytes | None:
        """The receipt of that image, if it has one."""
        return await self.blobs.find(_record_name(sha256))

    def public_pem(self) -> bytes:
        """The key with which anyone checks a receipt."""
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def _make_receipt(self, sha256: str, size: int, at: datetime, night: Night, remarks: Sequence[str]) -> bytes:
        acuse = {
            "formato": FORMAT,
            "sha256": sha256,
            "bytes": size,
            "recibido": at.isoformat(timespec="milliseconds"),
            "servidor": f"PREP {night.siglas}",
            "simulacro": night.simulacro,
            "prueba": proof_path(sha256),
            "clave": key_id(self.key),
            # Left out if there are none, so that receipts of before stay the same.
            **({"observaciones": list(remarks)} if remarks else {}),
        }
        firma = base64.b64encode(self.key.sign(canonical(acuse))).decode()
        return json.dumps({"acuse": acuse, "firma": firma}, ensure_ascii=False, separators=(",", ":")).encode()


def raw_public(key: Ed25519PrivateKey) -> str:
    """The 32 bytes of the public key in base64, as a browser takes them."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def key_id(key: Ed25519PrivateKey) -> str:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:8]


def receipt_is_right(receipt: bytes, sha256: str, size: int, public_key: bytes) -> bool:
    """Whether this is the receipt of that image, signed with that key (32 bytes): the four steps of docs/api.md."""
    try:
        said = json.loads(receipt)
        acuse, firma = said["acuse"], base64.b64decode(said["firma"], validate=True)
        key = hashlib.sha256(public_key).hexdigest()[:8]
        if (acuse["sha256"], acuse["bytes"], acuse["clave"]) != (sha256, size, key):
            return False
        Ed25519PublicKey.from_public_bytes(public_key).verify(firma, canonical(acuse))
    except (ValueError, TypeError, KeyError, InvalidSignature):
        return False
    return True


def signing_key(path: Path) -> Ed25519PrivateKey:
    """The key in `path` (PEM), made there on first use, mode 0600; of several processes that make it one wins.

    Raises Rejected if the file is no Ed25519 key, or if other users of the machine may read it.
    """
    if not path.exists():
        _make_key(path)
    if path.stat().st_mode & _OTHERS:
        raise Rejected(f"la llave {path} la pueden leer otros usuarios; corrija con: chmod 600 {path}")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise Rejected(f"{path} no es una llave Ed25519 en PEM")
    return key


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with suppress(FileExistsError):  # another process was first: its key is the key
        durable.put(path, pem, mode=0o600)


def _record_name(sha256: str) -> str:
    return f"acuses/{sha256[:2]}/{sha256}"
