"""The seals of a whole tree: the files beside every SHA256SUMS are judged with the rest, and their absence too."""

import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from integrity.__main__ import main
from integrity.authenticity import BESIDE, Trust
from integrity.layout import BESIDE_SUMS, SEALS
from integrity.report import CHECKS, SEAL_CHECKS, Ledger, Report, Result
from integrity.sealing import development
from integrity.sealing.seal import PERSON, SEAL, seal
from integrity.sealing.sello import SELLO, seals
from integrity.sealing.stamp import STAMPS
from integrity.source import Folder, Unreadable
from integrity.tree.documents import rules_digest
from integrity.verify import Asked, verify, verify_tree
from tests.makers.seal_maker import STAMPING, Party, party, rsa_key
from tests.makers.tree_maker import TIMES, make_tree, reseal
from tests.quick.test_integrity_stamp import query
from tests.quick.test_integrity_verify import served

CUT = [datetime.fromisoformat(time) for time in TIMES]
living = partial(party, since=CUT[0] - timedelta(days=9), until=CUT[-1] + timedelta(days=99))
ROOT = living(name="Autoridad")
INSTITUTE = living(ROOT, key=rsa_key())
PERSON_PARTY = living(ROOT, name="Quien da fe")
CLOCK_ROOT = living(name="Autoridad de tiempo")
CLOCK = living(CLOCK_ROOT, uses=["digital_signature"], extended=STAMPING)
TRUST = Trust([ROOT.certificate], [CLOCK_ROOT.certificate])
SECOND = timedelta(seconds=1)


def corte(root: Path, number: int) -> Path:
    return root / "cortes" / f"{number:04}"


def vouch(root: Path, who: Party = INSTITUTE, *, late: timedelta = SECOND) -> Path:
    """Seal and stamp every corte, like its publisher."""
    for number, at in enumerate(CUT):
        sums = (corte(root, number) / "SHA256SUMS").read_bytes()
        for file, held in seals(sums, who.signer, at=at + late).items():
            (corte(root, number) / file).write_bytes(held)
        stamp = development.answer(query(sums), CLOCK.signer, at=at + late + SECOND)
        (corte(root, number) / STAMPS[0]).write_bytes(stamp)
    return root


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("sin-sellos") / "public")


@pytest.fixture(scope="module")
def pristine(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vouch(Path(shutil.copytree(plain, tmp_path_factory.mktemp("sellado") / "public")))


@pytest.fixture
def tree(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "public"))


def results(report: Report) -> dict[str, Result]:
    return {check.id: check.result for check in report.checks if check.id in SEAL_CHECKS}


def test_the_names_in_the_format_are_the_names_that_are_judged() -> None:
    assert set(SEALS) == set(BESIDE)
    assert set(BESIDE) < BESIDE_SUMS


def test_a_sealed_tree_is_good_to_a_reader_with_the_authorities(pristine: Path) -> None:
    report = verify(str(pristine), trust=TRUST, now=CUT[-1] + timedelta(hours=1))
    assert report.exit_code == 0, report.to_json()
    expected = dict.fromkeys(SEAL_CHECKS, Result.OK) | {"AUT-02": Result.NOT_APPLICABLE}
    assert results(report) == expected
    assert [check.compared for check in report.checks if check.id == "AUT-01"] == [3]


def test_the_same_over_http(pristine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with served(pristine) as url:
        assert verify(url, trust=TRUST).exit_code == 0
        assert verify(url).exit_code == 2


def test_a_persons_signature_of_corte_0_counts_though_no_other_corte_has_one(tree: Path) -> None:
    sums = (corte(tree, 0) / "SHA256SUMS").read_bytes()
    (corte(tree, 0) / PERSON).write_bytes(seal(sums, PERSON_PARTY.signer, at=CUT[0] + SECOND))
    report = verify(str(tree), trust=TRUST)
    assert report.exit_code == 0
    assert results(report)["AUT-02"] is Result.OK


def test_seals_without_an_authority_are_no_pass(pristine: Path) -> None:
    report = verify(str(pristine))
    assert report.exit_code == 2
    assert set(results(report).values()) == {Result.UNCHECKED}
    assert "--ca" in report.checks[-1].reasons[0]


def test_one_seal_among_many_cortes_must_be_checked(plain: Path, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(plain, tmp_path / "public"))
    (corte(tree, 1) / STAMPS[1]).write_bytes(b"x")
    assert verify(str(tree)).exit_code == 2


def test_a_tree_without_seals_has_none_to_check_unless_the_reader_expects_them(plain: Path) -> None:
    report = verify(str(plain))
    assert report.exit_code == 0
    assert set(results(report).values()) == {Result.NOT_APPLICABLE}
    report = verify(str(plain), trust=TRUST)
    assert report.wrong() == {"AUT-01"}
    [missing] = [check for check in report.checks if check.id == "AUT-01"]
    assert missing.differences == 3


def test_time_stamps_without_an_authority_are_no_pass(pristine: Path) -> None:
    report = verify(str(pristine), trust=Trust([ROOT.certificate]))
    assert report.exit_code == 2
    assert {check for check, found in results(report).items() if found is Result.UNCHECKED} == {"AUT-04", "AUT-05"}


def test_a_publisher_without_time_stamps_is_judged_by_its_seals(tree: Path) -> None:
    for stamp in tree.rglob("*.tsr"):
        stamp.unlink()
    report = verify(str(tree), trust=Trust([ROOT.certificate]))
    assert report.exit_code == 0
    assert results(report)["AUT-04"] is Result.NOT_APPLICABLE
    assert verify(str(tree), trust=TRUST).exit_code == 2  # a reader with an authority of time waits for its stamps


def _swap_seals(root: Path) -> None:
    one, two = corte(root, 1) / SEAL, corte(root, 2) / SEAL
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)


def _link_seal(root: Path) -> None:
    (corte(root, 1) / SEAL).unlink()
    (corte(root, 1) / SEAL).symlink_to("../0000/" + SEAL)


def _rewrite_corte(root: Path) -> None:
    """The whole tree written again by a cheat without the institution's key."""
    manifest = corte(root, 1) / "manifest.json"
    held = json.loads(manifest.read_text())
    held["fecha_hora"] = held["fecha_hora"].replace("20:00:00", "20:00:01")
    manifest.write_text(json.dumps(held, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n")
    reseal(root)


CHEATS: dict[str, tuple[Callable[[Path], object], str]] = {
    "the seal of one corte taken away": (lambda root: (corte(root, 1) / SEAL).unlink(), "AUT-01"),
    "the seals of two cortes exchanged": (_swap_seals, "AUT-01"),
    "one sello taken away": (lambda root: (corte(root, 2) / SELLO).unlink(), "AUT-03"),
    "sealed by somebody else": (lambda root: vouch(root, living(key=rsa_key(), ca=False)), "AUT-01"),
    "a seal from before its corte": (lambda root: vouch(root, late=timedelta(minutes=-10)), "AUT-05"),
    "a stamp of another corte": (
        lambda root: (corte(root, 1) / STAMPS[0]).write_bytes((corte(root, 0) / STAMPS[0]).read_bytes()),
        "AUT-04",
    ),
    "a seal that is a link": (_link_seal, "AUT-01"),
    "a person's signature that is a link": (
        lambda root: (corte(root, 0) / PERSON).symlink_to(SEAL),
        "AUT-02",
    ),
    "a seal of no end": (lambda root: (corte(root, 1) / SEAL).write_bytes(b"0" * (2 << 20)), "AUT-01"),
    "another file that looks like one": (
        lambda root: (corte(root, 1) / "SHA256SUMS.3.tsr").write_bytes(b"x"),
        "COM-03",
    ),
    "a past corte rewritten, and every digest after it": (_rewrite_corte, "AUT-01"),
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_named(tree: Path, name: str) -> None:
    cheat, check = CHEATS[name]
    cheat(tree)
    assert check in verify(str(tree), trust=TRUST).wrong()


def test_a_seal_that_could_not_be_read_is_neither_missing_nor_good(tree: Path) -> None:
    class Failing(Folder):
        def read(self, path: str, limit: int) -> bytes:
            if path.endswith("0001/SHA256SUMS.p7s"):
                raise Unreadable(f"no se pudo leer {path}")
            return super().read(path, limit)

    report = verify_tree(Failing(tree), Ledger({**CHECKS, **SEAL_CHECKS}), lambda _: None, Asked(trust=TRUST))
    assert report.wrong() == frozenset()
    assert report.exit_code == 2


def test_a_seal_for_development_is_wrong_on_a_real_night(tree: Path, tmp_path: Path) -> None:
    development.make_authority(tmp_path / "ca", now=CUT[0])
    from integrity.sealing.seal import open_signer

    signer = open_signer(tmp_path / "ca" / development.SEAL_CERTIFICATE, str(tmp_path / "ca" / development.SEAL_KEY))
    for number, at in enumerate(CUT):
        sums = (corte(tree, number) / "SHA256SUMS").read_bytes()
        for file, held in seals(sums, signer, at=at + SECOND).items():
            (corte(tree, number) / file).write_bytes(held)
    from integrity.sealing.certificates import load

    trust = Trust([*TRUST.seals, *load((tmp_path / "ca" / development.ROOT).read_bytes())], TRUST.stamps)
    assert verify(str(tree), trust=trust).wrong() == {"AUT-06"}


def test_a_seal_of_a_future_hour_is_wrong_to_a_reader_with_a_clock(pristine: Path) -> None:
    assert verify(str(pristine), trust=TRUST, now=CUT[1]).wrong() == {"AUT-05"}


def test_the_command_reads_the_authorities(pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ca, tsa_ca = tmp_path / "ca.pem", tmp_path / "tsa.pem"
    ca.write_bytes(ROOT.certificate.public_bytes(Encoding.PEM))
    tsa_ca.write_bytes(CLOCK_ROOT.certificate.public_bytes(Encoding.PEM))
    assert main(["verify", str(pristine), "--ca", str(ca), "--tsa-ca", str(tsa_ca)]) == 0
    assert "✓ AUT-04" in capsys.readouterr().out
    assert main(["verify", str(pristine), "--ca", str(tmp_path / "no-hay.pem")]) == 2
    assert "no se puede leer" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["verify", str(pristine), "--tsa-ca", str(tsa_ca)])
    assert stopped.value.code == 2


# --- the reader's expectations, and the first corte to check ----------------------------------------------------------


def _say_simulacro(root: Path) -> None:
    for path in [*(corte(root, number) / "manifest.json" for number in range(3)), root / "index.json"]:
        held = json.loads(path.read_text())
        held["simulacro"] = True
        if declared := held.get("declaracion"):
            declared["contenido"]["simulacro"] = True
            declared["sha256"] = rules_digest(declared["contenido"])
        path.write_text(json.dumps(held, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n")
    reseal(root)


def test_a_simulacro_is_told_loudly_and_a_real_night_is_not_taken_for_one(plain: Path, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(plain, tmp_path / "public"))
    assert verify(str(tree), simulacro=True).wrong() == {"CON-04"}
    _say_simulacro(tree)
    report = verify(str(tree))
    assert report.exit_code == 0
    assert "SIMULACRO" in report.facts["Atención"]
    assert verify(str(tree), simulacro=True).exit_code == 0
    assert verify(str(tree), simulacro=False).wrong() == {"CON-04"}


def test_with_since_earlier_cortes_are_followed_by_digests_and_the_report_says_so(tree: Path) -> None:
    report = verify(str(tree), trust=TRUST, since=2)
    assert report.exit_code == 0
    assert "--since 2" in report.facts["Sin comprobar"]
    assert [check.compared for check in report.checks if check.id == "CON-01"] == [3]
    (corte(tree, 1) / "TAMPS_GOB_2023.csv").write_bytes(b"otra cosa")
    assert verify(str(tree), trust=TRUST, since=2).exit_code == 0
    assert "INT-02" in verify(str(tree), trust=TRUST, since=1).wrong()
    (corte(tree, 1) / "SHA256SUMS").write_bytes(b"otra cosa\n")
    assert {"INT-01", "CON-01"} <= verify(str(tree), trust=TRUST, since=2).wrong()


def test_with_since_the_cortes_own_images_are_checked_and_earlier_ones_are_not_strange(tree: Path) -> None:
    listed = [
        {line.split(",")[1] for line in (corte(tree, number) / "images.csv").read_text().splitlines()[1:]}
        for number in (1, 2)
    ]
    (tree / min(listed[0] - listed[1])).write_bytes(b"otra imagen")
    assert verify(str(tree), trust=TRUST, since=2).exit_code == 0
    (tree / min(listed[1])).write_bytes(b"otra imagen")
    assert verify(str(tree), trust=TRUST, since=2).wrong() == {"INT-04"}


def test_with_since_a_future_corte_is_no_pass(tree: Path) -> None:
    report = verify(str(tree), trust=TRUST, since=9)
    assert report.exit_code == 2
    assert any("todavía no hay un corte 9" in reason for check in report.checks for reason in check.reasons)
