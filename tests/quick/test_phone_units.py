"""What the phone signs, believes and packs, in Node: the server's own code reads the same."""

import base64
import json
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from capture.receipts import canonical, key_id, raw_public
from prep.domain.catalog import read_identity
from prep.upload import FIRST_MOMENT, LAST_MOMENT, read_headers
from tests.makers.node_units import answers

TEXTS = ["28|1|D|1|1|B|0|6", "028|01|d|0012|1|b|0|6|abcdef0123456789", "x|1", "", "ñ|1|D|1|1|B|0|6", "28|1|D|1|1|B|0", "28|1|-|1|1|B|0|6", "0|0|D|0|0|B|0|6"]  # fmt: skip
PICTURE = {"sha256": "ab" * 32, "bytes": 123, "taken": "2027-06-06T20:30:05-06:00", "acta": "28|1|D|1|1|B|0|6"}
FILES = [("paquete.json", json.dumps({"formato": 1, "imagenes": [{"archivo": "añ.jpg", "encabezados": {"X-PREP-A": "1"}}]})), ("añ.jpg", "un acta")]  # fmt: skip


def receipt(key: Ed25519PrivateKey, **other: Any) -> str:
    acuse = {"formato": 1, "sha256": "ab" * 32, "bytes": 123, "recibido": "2027-06-07T02:31:00.114+00:00"}
    acuse |= {"servidor": "PREP ÑÁ €", "simulacro": True, "prueba": "bitacora/…", "clave": key_id(key)}
    acuse |= {"observaciones": ['después del cierre "x" \\ \u2028']} | other
    firma = base64.b64encode(key.sign(canonical(acuse))).decode()
    return json.dumps({"acuse": acuse, "firma": firma}, ensure_ascii=False)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("telefono")
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    right = receipt(key)
    receipts = [right, right.replace("cierre", "Cierre"), receipt(key, bytes=124), receipt(key, sha256="cd" * 32)]
    receipts += [receipt(other), receipt(other, clave=key_id(key)), "{}", "no"]
    given = {
        "receipts": receipts, "picture": PICTURE, "key": raw_public(key), "texts": TEXTS, "files": FILES,
        "sets": [TEXTS[:1] * 2, TEXTS[:2], ["x"], []], "numbers": [[[], []], [[1, 2], []], [[1, 3], [2]], [[2], []]],
    }  # fmt: skip
    source = Path(__file__).with_name("phone_units.ts")
    answer = answers(source, folder, given, TZ="America/Chihuahua")
    return answer | {"folder": folder}


def test_only_the_right_receipt_is_believed(told: dict[str, Any]) -> None:
    assert told["believed"] == [True] + [False] * 7


def test_the_door_reads_the_headers_and_their_signature(told: dict[str, Any]) -> None:
    announced = read_headers({name.lower(): value for name, value in told["headers"].items()})
    Ed25519PublicKey.from_public_bytes(base64.b64decode(told["key"])).verify(announced.signature, announced.signed)
    upload = announced.upload
    assert (upload.sequence, upload.origen, upload.digitalizacion, upload.acta_hint) == (
        7, "CASILLA", "movil", PICTURE["acta"],
    )  # fmt: skip
    assert upload.acopio_at == datetime.fromisoformat(str(PICTURE["taken"]))


def test_a_moment_has_the_offset_of_the_phone(told: dict[str, Any]) -> None:
    assert told["moment"] == "2027-06-06T20:30:05-06:00"
    for odd in told["odd"]:  # of a clock that was never set
        assert FIRST_MOMENT <= datetime.fromisoformat(odd) < LAST_MOMENT


def test_the_phone_reads_the_identities_that_the_server_reads(told: dict[str, Any]) -> None:
    expected = [None if (read := read_identity(text)) is None else read[0].text for text in TEXTS]
    assert told["identities"] == expected
    assert told["one"] == [TEXTS[0], None, None, None], "two identities are none"


def test_a_number_is_the_smallest_that_is_free(told: dict[str, Any]) -> None:
    assert told["numbers"] == [1, 3, 4, 1]


def test_a_package_is_a_zip_that_others_open(told: dict[str, Any]) -> None:
    with zipfile.ZipFile(told["folder"] / "packed.zip") as package:
        assert package.testzip() is None
        assert [(name, package.read(name).decode()) for name in package.namelist()] == FILES
    assert told["unpacked"] == [["añ.jpg", "un acta"]]
    assert told["rubbish"] is None
