"""A cheat who rewrites published files is seen by the log in the tree, even if all digests agree."""

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from integrity import layout, leaves
from integrity.log.note import Policy, SignatureKind, Signer, trust_only
from integrity.log.writer import FileState, Sequencer
from integrity.report import EVIDENCE_CHECKS, Report, Result
from integrity.verify import verify
from prep.domain.corte import Phase
from prep.store import embedded
from publisher.log.office import policy_text
from tests.conftest import cloned
from tests.makers.logged_night import LoggedNight, logged_night


@pytest.fixture(scope="module")
def finished(postgres: embedded.Embedded, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Signer]:
    """A finished night: three cortes, two devices, every proof in its place."""
    tmp_path = tmp_path_factory.mktemp("noche")

    async def cut() -> Signer:
        async with cloned(postgres) as night, logged_night(night, tmp_path, casillas=12) as tonight:
            sheets = tonight.night.sheets
            await tonight.night.cut()
            await tonight.count(sheets[:8], "catd-01")
            await tonight.log()
            await tonight.night.cut()
            await tonight.count(sheets[8:], "catd-02")
            await tonight.log()
            await tonight.night.cut(Phase.FINAL)
            await finish(tonight)
            return tonight.office.signer

    signer = asyncio.run(cut())
    return tmp_path / "publico", signer


@pytest.fixture
def published(finished: tuple[Path, Signer], tmp_path: Path) -> tuple[Path, Policy, Signer]:
    """A copy of its tree, and the log's key."""
    public, signer = finished
    shutil.copytree(public, tmp_path / "publico")
    return tmp_path / "publico", trust_only(signer.key), signer


async def finish(tonight: LoggedNight) -> None:
    await tonight.log()
    async with tonight.scribe() as scribe:
        await scribe.turn()


def wrong(report: Report) -> set[str]:
    return {check.id for check in report.checks if check.result is Result.WRONG}


def test_the_tree_of_a_night_is_all_in_its_log(published: tuple[Path, Policy, Signer]) -> None:
    public, policy, _ = published
    report = verify(str(public), log=policy)
    assert report.exit_code == 0, report.to_json()
    results = {check.id: check for check in report.checks}
    assert all(results[check].result is Result.OK for check in EVIDENCE_CHECKS)
    assert all(results[f"EVI-{number:02}"].compared for number in range(1, 10))


def test_without_a_key_of_ones_own_the_report_says_that_the_trust_is_the_trees(
    published: tuple[Path, Policy, Signer],
) -> None:
    report = verify(str(published[0]))
    assert report.exit_code == 0
    [own] = [check for check in report.checks if check.id == "AUT-12"]
    assert own.result is Result.NOT_APPLICABLE
    assert "--log-key" in own.reasons[0]


def leaves_of(public: Path) -> list[dict[str, object]]:
    night = LoggedNight.__new__(LoggedNight)
    night.office = type("Office", (), {"folder": public / "bitacora"})()
    return night.leaves()


def write_log(public: Path, signer: Signer, said: list[dict[str, object]]) -> None:
    """Write the log again, like a cheat who has its key."""
    folder = public / "bitacora"
    shutil.rmtree(folder / "tile")
    (folder / "checkpoint").unlink()
    entries = []
    for number, leaf in enumerate(said):
        fields = {name: value for name, value in leaf.items() if name not in {"tipo", "numero"}}
        entries.append(leaves.leaf(str(leaf["tipo"]), number, fields))
    state = public.parent / "estado"
    state.unlink(missing_ok=True)
    with Sequencer(folder, signer, FileState(state)) as log:
        log.append(entries)


def drop(kind: str, which: int = -1) -> Callable[[list[dict[str, object]]], None]:
    def act(said: list[dict[str, object]]) -> None:
        at = [number for number, leaf in enumerate(said) if leaf["tipo"] == kind][which]
        del said[at]

    return act


def change(kind: str, **fields: object) -> Callable[[list[dict[str, object]]], None]:
    def act(said: list[dict[str, object]]) -> None:
        next(leaf for leaf in reversed(said) if leaf["tipo"] == kind).update(fields)

    return act


def late(said: list[dict[str, object]]) -> None:
    """A version whose leaf comes only after the corte that showed it."""
    at = next(number for number, leaf in enumerate(said) if leaf["tipo"] == "version")
    said.append(said.pop(at))


def reorder_devices(said: list[dict[str, object]]) -> None:
    images = [number for number, leaf in enumerate(said) if leaf["tipo"] == "imagen"]
    said[images[0]], said[images[1]] = said[images[1]], said[images[0]]


FORGERIES: dict[str, tuple[Callable[[list[dict[str, object]]], None], str]] = {
    "an image dropped": (drop("imagen", 1), "EVI-04"),
    "its device's chain": (drop("imagen", 1), "EVI-06"),
    "an image at the end of its device": (drop("imagen"), "EVI-04"),
    "a version dropped": (drop("version"), "EVI-05"),
    "a version changed": (change("version", contenido="0" * 64), "EVI-05"),
    "a version told late": (late, "EVI-05"),
    "a corte dropped": (drop("corte", 1), "EVI-03"),
    "a corte changed": (change("corte", sha256sums="0" * 64), "EVI-03"),
    "two images in another order": (reorder_devices, "EVI-06"),
    "a capture changed": (change("captura", compromiso="0" * 64), "EVI-08"),
    "a simulacro shown as real": (change("inicio", simulacro=False), "EVI-09"),
    "another catalogue": (change("inicio", catalogo="0" * 64), "EVI-09"),
    "the beginning dropped": (drop("inicio"), "EVI-02"),
}


def test_a_log_told_again_with_the_right_key_does_not_agree_with_the_tree(
    published: tuple[Path, Policy, Signer],
) -> None:
    public, policy, signer = published
    told = leaves_of(public)
    for name, (forge, check) in FORGERIES.items():
        said = [dict(leaf) for leaf in told]
        forge(said)
        write_log(public, signer, said)
        assert check in wrong(verify(str(public), log=policy)), name


def test_the_cheats_that_the_log_and_its_files_show(published: tuple[Path, Policy, Signer], tmp_path: Path) -> None:
    public, policy, signer = published
    other = Signer.generate(signer.key.name, SignatureKind.LOG)

    def rewrite_corte(tree: Path) -> None:
        """A past SHA256SUMS and everything after it; all digests agree, and only the log shows it."""
        path = tree / "cortes" / "0002" / "SHA256SUMS"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(lines) + "\n")
        totals = tree / "cortes" / "0002" / "LEEME.txt"
        totals.write_text(totals.read_text() + "x")
        digest = hashlib.sha256(totals.read_bytes()).hexdigest()
        text = "".join(f"{digest}  LEEME.txt\n" if line.endswith("  LEEME.txt") else f"{line}\n" for line in lines)
        path.write_text(text)
        index = json.loads((tree / "index.json").read_bytes())
        index["sha256sums"] = hashlib.sha256(text.encode()).hexdigest()
        (tree / "index.json").write_text(
            json.dumps(index, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n"
        )

    def strange_proof(tree: Path) -> None:
        (tree / "bitacora" / "acuses" / "00").mkdir(exist_ok=True)
        (tree / "bitacora" / "acuses" / "00" / "x.tlog-proof").touch()

    def first_tile(tree: Path) -> Path:
        return tree / "bitacora" / "tile" / "entries" / "000.p" / str(len(leaves_of(public)))

    cheats: dict[str, tuple[Callable[[Path], object], str]] = {
        "rewritten corte": (rewrite_corte, "EVI-03"),
        "no log": (lambda tree: shutil.rmtree(tree / "bitacora"), "AUT-11"),
        "no policy and no checkpoint": (lambda tree: (tree / "bitacora" / "checkpoint").unlink(), "AUT-11"),
        "signed by another": (lambda tree: write_log(tree, other, leaves_of(tree)), "AUT-11"),
        "an entry changed": (lambda tree: first_tile(tree).write_bytes(first_tile(tree).read_bytes().replace(b"corte", b"cortE", 1)), "EVI-01"),
        "a strange file": (lambda tree: (tree / "bitacora" / "nota.txt").touch(), "COM-08"),
        "a strange proof": (strange_proof, "COM-08"),
        "the proof of another corte": (lambda tree: shutil.copy(tree / "cortes/0001" / layout.CORTE_PROOF, tree / "cortes/0002" / layout.CORTE_PROOF), "EVI-07"),
        "an opening changed": (lambda tree: (tree / layout.opening_path(1)).write_bytes((tree / layout.opening_path(1)).read_bytes().replace(b'"ronda":1', b'"ronda":2', 1)), "EVI-08"),
        "another policy": (lambda tree: (tree / "bitacora" / "politica.txt").write_text(policy_text(other, None)), "EVI-09"),
    }  # fmt: skip
    for number, (name, (cheat, check)) in enumerate(cheats.items()):
        tree = tmp_path / f"copia-{number}" / "publico"
        shutil.copytree(public, tree)
        cheat(tree)
        found = wrong(verify(str(tree), log=policy)) | wrong(verify(str(tree)))
        assert check in found, name
        assert verify(str(tree), log=policy).exit_code == 1, name


def test_a_log_under_another_key_is_not_the_readers(published: tuple[Path, Policy, Signer]) -> None:
    other = trust_only(Signer.generate("otra.example.mx/bitacora", SignatureKind.LOG).key)
    assert wrong(verify(str(published[0]), log=other)) == {"AUT-12"}
