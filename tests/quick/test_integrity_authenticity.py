"""Seals and stamps judged together, and the commands as their users run them."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integrity.__main__ import main
from integrity.authenticity import BESIDE, Evidence, Trust, judge
from integrity.report import SEAL_CHECKS, Ledger, Report, Result
from integrity.sealing import development
from integrity.sealing.certificates import load
from integrity.sealing.seal import PERSON, SEAL, open_signer, seal
from integrity.sealing.sello import SELLO, make_sello
from integrity.sealing.stamp import STAMPS
from tests.makers.seal_maker import AT, STAMPING, SUMS, Party, party, rsa_key
from tests.quick.test_integrity_seal import flip, sign_with_openssl
from tests.quick.test_integrity_stamp import stamped

ROOT = party(name="Autoridad Certificadora")
INSTITUTE = party(ROOT, key=rsa_key())
PERSON_SIGNER = party(ROOT, name="Secretaría Ejecutiva")
TIME_ROOT = party(name="Autoridad de tiempo")
STAMPER = party(TIME_ROOT, name="Sellador de tiempo", extended=STAMPING)
TRUST = Trust([ROOT.certificate], [TIME_ROOT.certificate])
HOUR = timedelta(hours=1)


def sealed(who: Party = INSTITUTE, *, at: datetime = AT, stamp_at: datetime | None = None) -> dict[str, bytes]:
    page = make_sello(SUMS, who.signer, at=at)
    stamps = {file: stamped(STAMPER, stamp_at or at) for file in STAMPS}
    return {SEAL: seal(SUMS, who.signer, at=at), **({SELLO: page} if page else {}), **stamps}


def judged(
    beside: Mapping[str, bytes],
    trust: Trust = TRUST,
    *,
    simulacro: bool = False,
    sums: bytes = SUMS,
    corte_at: datetime | None = AT,
    before: Evidence | None = None,
    now: datetime | None = AT + HOUR,
) -> tuple[Report, Evidence]:
    ledger = Ledger(SEAL_CHECKS)
    evidence = judge(
        sums, beside, trust, ledger, where="cortes/0001", simulacro=simulacro, corte_at=corte_at, before=before, now=now
    )
    return ledger.report("x", ""), evidence


def results(report: Report) -> dict[str, Result]:
    return {check.id: check.result for check in report.checks}


def test_a_sealed_and_stamped_corte_is_good() -> None:
    report, evidence = judged(sealed() | {PERSON: seal(SUMS, PERSON_SIGNER.signer, at=AT)})
    assert results(report) == dict.fromkeys(SEAL_CHECKS, Result.OK)
    assert evidence.seal is not None
    assert evidence.seal.certificate == INSTITUTE.certificate
    assert set(evidence.stamps) == set(STAMPS)


MADE = sealed()


def drop(*files: str) -> dict[str, bytes]:
    return {file: content for file, content in MADE.items() if file not in files}


CHEATS: dict[str, tuple[dict[str, bytes], set[str]]] = {
    "the seal taken away": (drop(SEAL), {"AUT-01"}),
    "the sello taken away": (drop(SELLO), {"AUT-03"}),
    "the seal changed": (MADE | {SEAL: flip(MADE[SEAL], len(MADE[SEAL]) - 9)}, {"AUT-01"}),
    "the sello changed": (MADE | {SELLO: MADE[SELLO].replace(b"Instituto", b"Tribunal")}, {"AUT-03"}),
    "a stamp changed": (MADE | {STAMPS[1]: flip(MADE[STAMPS[1]], len(MADE[STAMPS[1]]) - 9)}, {"AUT-04"}),
    "a seal as a stamp": (MADE | {STAMPS[0]: MADE[SEAL]}, {"AUT-04"}),
    "a person's signature over nothing": (MADE | {PERSON: b""}, {"AUT-02"}),
    "sealed before the corte": (sealed(at=AT - HOUR), {"AUT-05"}),
    "stamped before the seal": (sealed(at=AT + HOUR, stamp_at=AT), {"AUT-05"}),
    "sealed in the future": (sealed(at=AT + 2 * HOUR), {"AUT-05"}),
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_is_found_by_its_check(cheat: str) -> None:
    beside, wrong = CHEATS[cheat]
    assert judged(beside)[0].wrong() == wrong


def test_another_list_under_good_seals_is_found_by_all() -> None:
    assert judged(MADE, sums=SUMS + b"\n")[0].wrong() == {"AUT-01", "AUT-03", "AUT-04"}


def test_a_seal_from_before_that_of_the_corte_before() -> None:
    _, before = judged(sealed(at=AT + HOUR))
    assert judged(MADE, before=before)[0].wrong() == {"AUT-05"}
    assert judged(sealed(at=AT + HOUR), before=before)[0].exit_code == 0


def test_without_an_authority_no_seal_is_good() -> None:
    assert set(results(judged(MADE, Trust())[0]).values()) == {Result.UNCHECKED}
    no_time = results(judged(MADE, Trust(TRUST.seals))[0])
    assert [check for check, result in no_time.items() if result is Result.UNCHECKED] == ["AUT-04", "AUT-05"]
    late = results(judged(drop(*STAMPS))[0])
    assert [check for check, result in late.items() if result is Result.UNCHECKED] == ["AUT-04"]


def test_one_of_two_stamps_is_enough() -> None:
    assert judged(drop(STAMPS[0]))[0].exit_code == 0


def test_a_key_that_is_not_rsa_owes_no_sello() -> None:
    report, _ = judged(sealed(party(ROOT)))
    assert results(report)["AUT-03"] is Result.NOT_APPLICABLE
    assert report.exit_code == 0


def test_a_simulacro_shown_as_real(tmp_path: Path) -> None:
    development.make_authority(tmp_path, now=AT)
    trusted = load((tmp_path / development.ROOT).read_bytes())
    signer = open_signer(tmp_path / development.SEAL_CERTIFICATE, str(tmp_path / development.SEAL_KEY))
    page = make_sello(SUMS, signer, at=AT)
    assert page is not None
    stamps = {STAMPS[0]: development.answer(_stamp_query(), development.open_stamper(tmp_path), at=AT)}
    beside = {SEAL: seal(SUMS, signer, at=AT), SELLO: page, **stamps}
    trust = Trust(trusted, trusted)
    assert judged(beside, trust, simulacro=True)[0].exit_code == 0
    report, _ = judged(beside, trust, simulacro=False)
    assert report.wrong() == {"AUT-06"}
    assert report.checks[-1].differences == 3


def _stamp_query() -> bytes:
    from tests.quick.test_integrity_stamp import query

    return query()


# --- the commands -----------------------------------------------------------------------------------------------------

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def one(*words: object) -> tuple[int, str]:
        code = main([str(word) for word in words])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.out + shown.err
        return code, shown.out

    return one


@pytest.fixture
def corte(tmp_path: Path) -> Path:
    folder = tmp_path / "0000"
    folder.mkdir()
    (folder / "LEEME.txt").write_bytes(b"LEEME.txt")
    (folder / "a.csv").write_bytes(b"a.csv")
    (folder / "SHA256SUMS").write_bytes(SUMS)
    return folder


def test_from_a_development_authority_to_a_checked_seal(run: Run, corte: Path, tmp_path: Path) -> None:
    """Every command, with the time stamper as a process of its own."""
    dev = tmp_path / "dev"
    assert run("dev-ca", dev)[0] == 0
    ca, sello_key = dev / development.ROOT, dev / development.SEAL_KEY
    code, shown = run("seal", "sign", corte, "--certificate", dev / development.SEAL_CERTIFICATE, "--key", sello_key)
    assert (code, shown.count("✓")) == (0, 2)
    server = subprocess.Popen(
        [sys.executable, "-m", "integrity", "dev-tsa", dev, "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = re.search(r"http://\S+", server.stdout.readline())
        assert url is not None
        assert run("stamp", corte, "--tsa", url[0], "--tsa", url[0], "--tsa-ca", ca)[0] == 0
        assert run("stamp", corte, "--tsa", url[0], "--tsa-ca", ca)[0] == 0
    finally:
        server.terminate()
        server.communicate()
    assert sorted(path.name for path in corte.iterdir() if path.name in BESIDE) == sorted([SEAL, SELLO, *STAMPS])
    code, shown = run("seal", "check", corte, "--ca", ca, "--tsa-ca", ca, "--simulacro", "--json")
    assert code == 0, shown
    assert {each["id"] for each in json.loads(shown)["comprobaciones"]} == set(SEAL_CHECKS)
    code, shown = run("seal", "check", corte, "--ca", ca, "--tsa-ca", ca)
    assert code == 1
    assert "✗ AUT-06" in shown
    code, shown = run("seal", "check", corte, "--ca", ca, "--simulacro")
    assert code == 2
    assert "no se dijo en qué autoridad de tiempo se confía" in " ".join(shown.split())


@pytest.mark.usefixtures("openssl")
def test_a_person_signs_on_another_machine(run: Run, corte: Path, tmp_path: Path) -> None:
    now = {"since": datetime.now(UTC) - HOUR, "until": datetime.now(UTC) + HOUR}
    root = party(name="Autoridad de las personas", **now)  # type: ignore[arg-type]
    (tmp_path / "ca.pem").write_bytes(root.pem())
    code, shown = run("seal", "export", corte, "--out", tmp_path / "por-firmar")
    assert code == 0
    assert "openssl cms -sign" in shown
    assert (tmp_path / "por-firmar").read_bytes() == SUMS
    assert "openssl cms -sign" in (tmp_path / "por-firmar.instrucciones.txt").read_text()
    away = tmp_path / "lejos"
    away.mkdir()
    sign_with_openssl(party(root, name="Secretaría Ejecutiva", **now), away)  # type: ignore[arg-type]
    words = ["seal", "import", away / PERSON, "--sums", corte, "--ca"]
    (tmp_path / "otra.pem").write_bytes(ROOT.pem())
    code, shown = run(*words, tmp_path / "otra.pem")
    assert code == 1
    assert "no depende de ninguna autoridad de confianza" in shown
    assert not (corte / PERSON).exists()
    code, shown = run(*words, tmp_path / "ca.pem")
    assert code == 0
    assert "firma de Secretaría Ejecutiva" in shown
    assert (corte / PERSON).exists()


def test_a_list_that_does_not_agree_is_not_exported_for_signing(run: Run, corte: Path, tmp_path: Path) -> None:
    (corte / "a.csv").write_bytes(b"otro")
    code, shown = run("seal", "export", corte, "--out", tmp_path / "por-firmar")
    assert code == 1
    assert "a.csv no tiene la huella" in shown
    assert not (tmp_path / "por-firmar").exists()
    (corte / "SHA256SUMS").write_bytes(b"no es una lista\n")
    assert run("seal", "export", corte, "--out", tmp_path / "por-firmar")[0] == 1


def test_a_missing_file_gets_one_sentence(run: Run, corte: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nada"
    for words in (
        ("seal", "check", nothing, "--ca", nothing),
        ("seal", "check", corte, "--ca", nothing),
        ("seal", "import", nothing, "--sums", corte, "--ca", nothing),
        ("seal", "sign", corte, "--certificate", nothing, "--key", nothing),
        ("seal", "export", nothing, "--out", nothing),
        ("stamp", corte, "--tsa", "http://127.0.0.1:1/", "--tsa-ca", nothing),
        ("dev-tsa", nothing),
    ):
        code, shown = run(*words)
        assert code in {1, 2}
        assert shown.count("\n") == 1
        assert shown[0] in "✗?"
    (tmp_path / "ca.pem").write_bytes(ROOT.pem())
    code, shown = run("stamp", corte, "--tsa", "http://127.0.0.1:1/", "--tsa-ca", tmp_path / "ca.pem")
    assert (code, shown) == (2, f"? {STAMPS[0]}: no se pudo preguntar a la autoridad de tiempo\n")
