"""Anyone can check a receipt. It never changes, and only its owner can read its private key."""

import asyncio
import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from capture.receipts import Receipts, canonical, signing_key
from prep.blobs import Blobs
from prep.errors import Rejected
from tests.makers.declared import REAL

SHA = "ab" * 32
AT = datetime(2024, 6, 3, 1, 2, 3, 456789, tzinfo=UTC)


def receipts(folder: Path) -> Receipts:
    key = signing_key(folder / "llaves" / "acuses.pem")
    return Receipts(Blobs.open((folder / "blobs").as_uri()), key)


async def test_a_receipt_is_signed_over_its_canonical_acuse(tmp_path: Path) -> None:
    room = receipts(tmp_path)
    content, made = await room.issue(SHA, size=123, at=AT, night=REAL)
    assert made
    receipt = json.loads(content)
    assert receipt["acuse"] == {
        "formato": 1,
        "sha256": SHA,
        "bytes": 123,
        "recibido": "2024-06-03T01:02:03.456+00:00",
        "servidor": "PREP EJ",
        "simulacro": False,
        "prueba": f"bitacora/acuses/ab/{SHA}.tlog-proof",
        "clave": receipt["acuse"]["clave"],
    }
    key = load_pem_public_key(room.public_pem())
    assert isinstance(key, Ed25519PublicKey)
    signature = base64.b64decode(receipt["firma"])
    key.verify(signature, json.dumps(receipt["acuse"], sort_keys=True, separators=(",", ":")).encode())
    with pytest.raises(InvalidSignature):
        key.verify(signature, canonical(receipt["acuse"] | {"bytes": 124}))


async def test_an_image_keeps_its_first_receipt_for_ever(tmp_path: Path) -> None:
    first, _ = await receipts(tmp_path).issue(SHA, size=123, at=AT, night=REAL)
    later = receipts(tmp_path)  # as another process at another hour
    assert await later.issue(SHA, size=123, at=AT + timedelta(hours=3), night=REAL) == (first, False)
    assert await later.find(SHA) == first
    assert await later.find("cd" * 32) is None


async def test_many_requests_at_once_get_the_same_receipt(tmp_path: Path) -> None:
    rooms = [receipts(tmp_path) for _ in range(5)]
    issued = await asyncio.gather(
        *(room.issue(SHA, size=123, at=AT + timedelta(seconds=n), night=REAL) for n in range(10) for room in rooms)
    )
    assert len({content for content, _ in issued}) == 1
    assert sum(made for _, made in issued) == 1


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "llaves" / "acuses.pem"
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: signing_key(path), range(16)))
    assert len({key.private_bytes_raw() for key in keys}) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["acuses.pem"]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "acuses.pem"
    signing_key(path)
    path.chmod(0o640)
    with pytest.raises(Rejected, match="la pueden leer otros usuarios"):
        signing_key(path)


@pytest.mark.parametrize("content", [b"", b"no es una llave", None])
def test_a_file_without_an_ed25519_key_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "acuses.pem"
    other = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.touch(mode=0o600)
    path.write_bytes(other if content is None else content)
    with pytest.raises(Rejected, match="no es una llave Ed25519 en PEM"):
        signing_key(path)


def test_keys_differ_between_installations(tmp_path: Path) -> None:
    one, two = signing_key(tmp_path / "a.pem"), signing_key(tmp_path / "b.pem")
    assert isinstance(one, Ed25519PrivateKey)
    assert one.private_bytes_raw() != two.private_bytes_raw()
