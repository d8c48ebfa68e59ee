"""The oracle of chaos nights: its arithmetic agrees with the rules, and it sees each kind of error."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from load_tests.chaos import oracle
from load_tests.chaos.oracle import Witnessed, look, truth
from prep.domain.entry import HEADER, TOTAL, Mark, Values
from prep.domain.rules import assess, rule_set, vote_limit
from prep.files.catalog_files import load_catalog
from prep.files.official import Status
from prep.rehearsal.synthetic import synthetic

KEY = Ed25519PrivateKey.generate()
DIGEST = hashlib.sha256(b"imagen").hexdigest()


def receipt(sha256: str = DIGEST, key: Ed25519PrivateKey = KEY) -> bytes:
    acuse = {"sha256": sha256, "servidor": "é"}
    signed = json.dumps(acuse, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return json.dumps({"acuse": acuse, "firma": base64.b64encode(key.sign(signed)).decode()}).encode()


def seen(**fields: Any) -> Witnessed:
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Witnessed(receipts={"A": receipt()}, digests={"A": DIGEST}, key=pem, **fields)


def test_its_arithmetic_agrees_with_the_rules() -> None:
    folder, sheets = synthetic(400, seed=11)
    catalog = load_catalog(folder)
    actas = {acta.clave: acta for acta in catalog.actas}
    elections = {election.id: election for election in catalog.elections}
    verdicts = set()
    for sheet in sheets:
        if not sheet.clave:
            continue
        acta = actas[sheet.clave]
        ours = truth(sheet, acta)
        verdicts.add((ours.status, ours.contabilizada))
        if sheet.values is None:
            assert (ours.status, ours.calculado, ours.contabilizada) == (Status.SIN_ACTA, 0, "0")
            continue
        votes = tuple(sheet.values.get(code, Mark.NO_EN_BOLETA) for code in elections[acta.election].codes)
        values = Values(tuple(sheet.values[code] for code in HEADER), votes, sheet.values[TOTAL])
        limit = vote_limit(acta.lista_nominal, acta.representantes, acta.boletas_maximas)
        theirs = assess(values, limit=limit, rules=rule_set("ine-2023"))
        assert (ours.calculado, int(ours.contabilizada)) == (theirs.calculado, theirs.contabilizada)
    assert verdicts == {(Status.CAPTURADA, "1"), (Status.CAPTURADA, "0"), (Status.SIN_ACTA, "0")}


def test_a_receipt_with_another_key_or_of_another_image_is_found() -> None:
    assert oracle._check_receipts(seen()).holds
    for forged in (receipt(key=Ed25519PrivateKey.generate()), receipt(sha256="0" * 64)):
        witnessed = seen()
        witnessed.receipts["A"] = forged
        assert oracle._check_receipts(witnessed).wrong == ["A"]


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """Two cortes in a chain. The second one publishes the only image."""
    before = None
    for number in range(2):
        folder = tmp_path / "cortes" / f"{number:04}"
        folder.mkdir(parents=True)
        rows = ["SHA256,ARCHIVO,CLAVE_ACTA", *([f"{DIGEST},imagen.jpg,A"] if number else [])]
        (folder / "images.csv").write_text("".join(f"{row}\n" for row in rows))
        (folder / "manifest.json").write_text(json.dumps({"corte": number, "anterior": before}))
        (folder / "SHA256SUMS").write_text(f"sumas {number}\n")
        before = {"corte": number, "sha256sums": hashlib.sha256(f"sumas {number}\n".encode()).hexdigest()}
    (tmp_path / "imagen.jpg").touch()
    return tmp_path


INDEX = {"fase": "final", "corte": 1}


def test_a_lost_image_is_found_and_a_parked_image_is_not_lost(public: Path) -> None:
    assert oracle._check_images_published(public, seen()).holds
    (public / "imagen.jpg").unlink()
    assert oracle._check_images_published(public, seen()).wrong == ["A"]
    assert oracle._check_images_published(public, seen(parked=[{"mensaje": f"image:movil-01:1:{DIGEST}"}])).holds


def test_an_image_that_is_published_twice_is_found(public: Path) -> None:
    assert oracle._check_counted_once(public, []).holds
    (public / "cortes" / "0000" / "images.csv").write_text(f"SHA256,ARCHIVO,CLAVE_ACTA\n{DIGEST},imagen.jpg,A\n")
    assert not oracle._check_counted_once(public, []).holds


def test_a_missing_corte_a_repeated_corte_and_a_step_back_are_found(public: Path) -> None:
    assert oracle._check_corte_chain(public, INDEX, seen(shown=[0, 1])).holds
    assert not oracle._check_corte_chain(public, INDEX, seen(shown=[0, 1, 0])).holds
    assert not oracle._check_corte_chain(public, INDEX | {"corte": 2}, seen()).holds
    assert not oracle._check_corte_chain(public, INDEX | {"fase": "en curso"}, seen()).holds
    (public / "cortes" / "0000" / "SHA256SUMS").write_text("otras sumas\n")
    assert not oracle._check_corte_chain(public, INDEX, seen()).holds


def test_a_changed_corte_is_found(public: Path) -> None:
    cortes = {folder.name: look(folder) for folder in (public / "cortes").iterdir()}
    assert oracle._check_cortes_unchanged(public, seen(cortes=cortes)).holds
    (public / "cortes" / "0001" / "SHA256SUMS.tlog-proof").write_text("prueba\n")
    assert oracle._check_cortes_unchanged(public, seen(cortes=cortes)).holds
    (public / "cortes" / "0000" / "otro.csv").touch()
    (public / "cortes" / "0001" / "images.csv").write_text("SHA256,ARCHIVO,CLAVE_ACTA\n")
    assert sorted(oracle._check_cortes_unchanged(public, seen(cortes=cortes)).wrong) == [
        "0000/otro.csv",
        "0001/images.csv",
    ]
    (public / "cortes" / "0000" / "images.csv").unlink()
    assert "0000/images.csv" in oracle._check_cortes_unchanged(public, seen(cortes=cortes)).wrong


def test_a_missing_proof_and_a_proof_of_another_image_are_found(tmp_path: Path) -> None:
    said = json.dumps({"acuse": {"prueba": "a.tlog-proof"}}).encode()
    witnessed = Witnessed(receipts={"A": said}, digests={"A": DIGEST})
    assert oracle._check_proofs(tmp_path, witnessed).wrong == ["A"]
    for leaf, holds in ((DIGEST, True), ("0" * 64, False)):
        extra = base64.b64encode(leaf.encode()).decode()
        (tmp_path / "a.tlog-proof").write_text(f"c2sp.org/tlog-proof@v1\nextra {extra}\nindex 0\n")
        assert oracle._check_proofs(tmp_path, witnessed).holds == holds
