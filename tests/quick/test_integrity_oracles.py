"""Our log, and tampered copies of it, before verifiers that other people wrote.

tlog-scales (Python, reads tlog-tiles), proofbundle (Python, reads tlog-proof files and cosignatures), pymerkle (Python,
its own tree) and golang.org/x/mod/sumdb (Go, the packages of the Go checksum database). They are used in these tests
only. Each must accept an honest log and refuse every change that it can see.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from proofbundle import verify_tlog_proof
from proofbundle.merkle import verify_consistency
from pymerkle import InmemoryTree
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tlog import InclusionProof

from integrity.log.audit import prove
from integrity.log.merkle import leaf_hash, root_of
from integrity.log.note import SignatureKind, checkpoint_text, read_checkpoint
from integrity.log.tiles import Tiles, read_bundle, tile_path, write_bundle
from integrity.source import Folder
from tests.makers.log_maker import ORIGIN, entries, flip, make_log, signer
from tests.makers.programs import missing

SIZE = 600
LOG = signer()
KEY = str(LOG.key)
WITNESS = signer("testigo.example/1", SignatureKind.WITNESS, 11)
GO = Path(__file__).parents[1] / "oracles" / "go"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_log(tmp_path_factory.mktemp("log"))
    text = read_checkpoint((folder / "checkpoint").read_bytes()).note.text
    with (folder / "checkpoint").open("a") as checkpoint:
        checkpoint.write(WITNESS.cosign(text, at=1_700_000_000))
    return folder


@pytest.fixture
def log(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "bitacora"))


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built. Without Go the test is skipped; with Go, a failed build is a failure in CI."""
    if shutil.which("go") is None:
        pytest.skip("go is not on PATH")
    built = tmp_path_factory.mktemp("go") / "oracle"
    done = subprocess.run(["go", "build", "-o", built, "."], cwd=GO, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"the Go oracle cannot be built: {done.stderr}")
    return built


# --- the answer of each verifier --------------------------------------------------------------------------------------


def scales(folder: Path) -> bool:
    """tlog-scales: signature, root of the tiles, each entry in its place."""
    try:
        reader = TilesReader(LocalBackend(folder))
        checkpoint = reader.get_checkpoint()
        checkpoint.verify(Vkey.from_string(KEY))
        if reader.calculate_root_hash() != checkpoint.root_hash:
            return False
        for index in range(checkpoint.size):
            path = reader.get_inclusion_proof(index, checkpoint.size).node_hashes
            InclusionProof(index, checkpoint.size, path).check(leaf_hash(reader.get_entry(index)), checkpoint.root_hash)
    except Exception:  # noqa: BLE001 - it refuses in several ways
        return False
    return True


def pymerkle_root(folder: Path) -> bool:
    """pymerkle: the tree of the entries has the checkpoint's root; it does not see tiles or signatures."""
    checkpoint = read_checkpoint((folder / "checkpoint").read_bytes())
    tree = InmemoryTree(algorithm="sha256")
    for index in range(-(-checkpoint.size // 256)):
        width = min(256, checkpoint.size - index * 256)
        for entry in read_bundle((folder / tile_path(None, index, width)).read_bytes(), width):
            tree.append_entry(entry)
    return bool(tree.get_root() == checkpoint.root)


def sumdb(oracle: Path, *words: object) -> bool:
    done = subprocess.run([oracle, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("accepted" if done.returncode == 0 else "refused"), done.stderr
    return done.returncode == 0


def sign(folder: Path, size: int, root: bytes, by: str = KEY) -> None:
    text = checkpoint_text(ORIGIN, size, root)
    line = LOG.sign(text) if by == KEY else signer(ORIGIN, seed=9).sign(text)
    (folder / "checkpoint").write_text(f"{text}\n{line}")


def swap_entries(folder: Path) -> None:
    held = entries(256)
    held[8], held[9] = held[9], held[8]
    (folder / "tile/entries/000").write_bytes(write_bundle(held))


def rewrite(folder: Path) -> None:
    """The last entry and its hash, without the levels above."""
    other = [*entries(87, 512), b"otra"]
    (folder / "tile/entries/002.p/88").write_bytes(write_bundle(other))
    (folder / "tile/0/002.p/88").write_bytes(b"".join(map(leaf_hash, other)))


IN_ENTRIES: dict[str, Callable[[Path], object]] = {
    "an entry": lambda folder: flip(folder / "tile/entries/001", 600),
    "two entries swapped": swap_entries,
    "the last entry and its hash": rewrite,
    "another root under our key": lambda folder: sign(folder, SIZE, bytes(32)),
}
"""Changes that a verifier with the entries and the root must see."""

IN_FILES: dict[str, Callable[[Path], object]] = {
    "a hash": lambda folder: flip(folder / "tile/0/001", 100),
    "a hash at the edge": lambda folder: flip(folder / "tile/0/002.p/88"),
    "an upper hash": lambda folder: flip(folder / "tile/1/000.p/2", 40),
    "a tile that is missing": lambda folder: (folder / "tile/0/000").unlink(),
    "a bundle that is cut": lambda folder: os.truncate(folder / "tile/entries/000", 900),
    "the same tree under another key": lambda folder: sign(
        folder, SIZE, root_of(b"".join(map(leaf_hash, entries(SIZE)))), "otra"
    ),
    "a changed checkpoint": lambda folder: flip(folder / "checkpoint", 60),
}
"""Changes that a verifier of the files must see too."""


def test_all_of_them_accept_our_log(pristine: Path) -> None:
    assert scales(pristine)
    assert pymerkle_root(pristine)


def test_go_accepts_our_log(pristine: Path, go: Path) -> None:
    assert sumdb(go, "log", pristine, KEY)


@pytest.mark.parametrize("name", [*IN_ENTRIES, *IN_FILES])
def test_tlog_scales_refuses_a_tampered_copy(log: Path, name: str) -> None:
    (IN_ENTRIES | IN_FILES)[name](log)
    assert not scales(log)


@pytest.mark.parametrize("name", IN_ENTRIES)
def test_pymerkle_refuses_other_entries(log: Path, name: str) -> None:
    IN_ENTRIES[name](log)
    assert not pymerkle_root(log)


@pytest.mark.parametrize("name", [*IN_ENTRIES, *IN_FILES])
def test_go_refuses_a_tampered_copy(log: Path, go: Path, name: str) -> None:
    (IN_ENTRIES | IN_FILES)[name](log)
    assert not sumdb(go, "log", log, KEY)


# --- proof files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 255, 256, 511, 512, 599])
def test_proof_files_show_their_entry_to_others(pristine: Path, tmp_path: Path, go: Path, index: int) -> None:
    data = prove(str(pristine), index=index).to_bytes()
    leaf = entries(SIZE)[index]
    (tmp_path / "p").write_bytes(data)
    (tmp_path / "hoja").write_bytes(leaf)
    witnesses = [str(WITNESS.key)]
    assert verify_tlog_proof(data.decode(), leaf, KEY, witnesses, threshold=1, expected_origin=ORIGIN)["ok"]
    assert sumdb(go, "proof", tmp_path / "p", tmp_path / "hoja", KEY)
    for changed in (
        data.replace(f"index {index}\n".encode(), f"index {index ^ 1}\n".encode()),
        data.replace(b"\n600\n", b"\n601\n"),
        b"\n".join(line for number, line in enumerate(data.split(b"\n")) if number != 2),
    ):
        assert changed != data
        assert not verify_tlog_proof(changed.decode(), leaf, KEY)["ok"]
        (tmp_path / "p").write_bytes(changed)
        assert not sumdb(go, "proof", tmp_path / "p", tmp_path / "hoja", KEY)
    assert not verify_tlog_proof(data.decode(), leaf + b"x", KEY)["ok"]
    other = str(signer("testigo.example/1", SignatureKind.WITNESS, 12).key)
    assert not verify_tlog_proof(data.decode(), leaf, KEY, [other], threshold=1)["ok"]


def test_proofs_of_consistency_show_growth_to_others(pristine: Path) -> None:
    tiles = Tiles(Folder(pristine), SIZE)
    hashes = [leaf_hash(entry) for entry in entries(SIZE)]
    root = root_of(b"".join(hashes))
    for old in (1, 2, 255, 256, 257, 300, 512, 599, 600):
        before = root_of(b"".join(hashes[:old]))
        proof = tiles.consistency(old)
        assert verify_consistency(old, SIZE, proof, before, root)
        assert not verify_consistency(old, SIZE, proof, bytes(32), root)
        if proof:
            assert not verify_consistency(old, SIZE, [*proof[:-1], bytes(32)], before, root)
