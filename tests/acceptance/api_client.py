"""A client written from docs/api.md alone: it imports Python, httpx and cryptography, and nothing of this project.

`python -I api_client.py URL PREP FOLDER`: FOLDER holds acta.jpg and what the two people read on it, valores.json. PREP is
the installed command. It prints the checked receipt.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

LINES = ("Device", "Sequence", "SHA256", "Origin", "Kind", "Acopio", "Acta", "Traslado", "Document")
AGAIN = {408, 429, 503, 507}
PEOPLE = {"ana": "CCV-1", "beto": "CCV-2"}
PASSWORD = "una clave larga"


def raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def enrol(prep: str, device: str) -> Ed25519PrivateKey:
    """Section 2."""
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(raw(key.public_key())).decode()
    subprocess.run([prep, "device", "enroll", device, "--site", "CATD-1", "--key", public], check=True)
    return key


def announced(key: Ed25519PrivateKey, said: dict[str, str]) -> dict[str, str]:
    """Section 3: the signed headers."""
    text = "\n".join(["PREP-IMAGE-V1", *(said.get(name, "") for name in LINES)])
    headers = {f"X-PREP-{name}": quote(value, safe=" :+|,./-_") for name, value in said.items()}
    return headers | {"X-PREP-Signature": base64.b64encode(key.sign(text.encode())).decode()}


def send(http: httpx.Client, image: bytes, headers: dict[str, str]) -> httpx.Response:
    """Section 3: the same request until there is an answer that is none of «later»."""
    while True:
        answer = http.post("/v1/images", content=image, headers=headers)
        if answer.status_code not in AGAIN:
            return answer
        time.sleep(int(answer.headers.get("Retry-After", "5")))


def check(receipt: dict[str, Any], image: bytes, pem: bytes) -> None:
    """Section 4: the four steps."""
    acuse = receipt["acuse"]
    key = load_pem_public_key(pem)
    assert isinstance(key, Ed25519PublicKey)
    assert (acuse["sha256"], acuse["bytes"]) == (hashlib.sha256(image).hexdigest(), len(image))
    assert acuse["clave"] == hashlib.sha256(raw(key)).hexdigest()[:8]
    signed = json.dumps(acuse, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    key.verify(base64.b64decode(receipt["firma"]), signed)


def log_in(http: httpx.Client, login: str) -> dict[str, str]:
    """Section 5."""
    answer = http.post("/v1/session", json={"usuario": login, "clave": PASSWORD})
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def type_acta(http: httpx.Client, session: dict[str, str], values: dict[str, int | str]) -> dict[str, Any]:
    """Section 6: wait for a capture, look at its image, and type it. Returns the acta of the task."""
    while (leased := http.post("/v1/tasks/lease", json={"tipos": ["captura"]}, headers=session)).status_code == 204:
        time.sleep(0.5)
    assert leased.status_code == 200, leased.text
    task: dict[str, Any] = leased.json()
    assert http.get(task["imagen"], headers=session).headers["Content-Type"] == "image/jpeg"
    typed = {"valores": {field["codigo"]: values[field["codigo"]] for field in task["campos"]}}
    path = f"/v1/tasks/{task['tarea']}/entry"
    kept, again = (http.post(path, json=typed, headers=session) for _ in range(2))
    assert (kept.status_code, again.status_code) == (201, 200)
    assert kept.json() == again.json()
    return dict(task["acta"])


def main(url: str, prep: str, folder: Path) -> None:
    image, values = (folder / "acta.jpg").read_bytes(), json.loads((folder / "valores.json").read_text("utf-8"))
    people = [*PEOPLE.items(), ("super", "CCV-2")]
    for login, site in people:
        role = "supervisor" if login == "super" else "capturista"
        command = [prep, "user", "add", login, "--role", role, "--site", site]
        subprocess.run(command, check=True, input=f"{PASSWORD}\n", text=True)
    key = enrol(prep, "movil-1")
    with httpx.Client(base_url=url, timeout=120) as http:
        said = {
            "Device": "movil-1",
            "Sequence": "1",
            "SHA256": hashlib.sha256(image).hexdigest(),
            "Origin": "CATD",
            "Kind": "movil",
            "Acopio": "2024-06-02T18:30:00-06:00",
            "Document": "Copia RPPCI",
        }
        forged = http.post("/v1/images", content=image, headers=announced(Ed25519PrivateKey.generate(), said))
        assert (forged.status_code, forged.json()["codigo"]) == (401, "firma_no_valida")
        first, again = (send(http, image, announced(key, said)) for _ in range(2))
        assert (first.status_code, again.status_code) == (201, 200), first.text
        assert first.content == again.content
        pem = http.get("/v1/receipts/key").content
        check(first.json(), image, pem)
        assert http.get(f"/v1/receipts/{said['SHA256']}").content == first.content
        for login in PEOPLE:
            acta = type_acta(http, log_in(http, login), values)
        supervisor = log_in(http, "super")
        path = f"/v1/actas/{acta['eleccion']}/{acta['clave']}"
        while (state := http.get(path, headers=supervisor).json())["estado"] != "Verificada":
            time.sleep(0.5)
        assert len(state["capturas"]) == 2
        assert http.delete("/v1/session", headers=supervisor).status_code == 204
        assert http.get(path, headers=supervisor).json()["codigo"] == "sin_sesion"
    print(json.dumps(first.json()["acuse"]))


if __name__ == "__main__":
    assert not {"prep", "capture"} & set(sys.modules)
    os.umask(0o077)
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
