"""The ZIPs of a corte have the same bytes if blocks are copied from the corte before or made again; and all read them."""

import io
import random
import shutil
import subprocess
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from publisher import parcels
from publisher.kept import PREAMBLE
from publisher.parcels import OldParcel, Parcel, deflate, pack

AT = datetime(2027, 6, 6, 20, 30, 41)  # noqa: DTZ001  # a ZIP holds no zone
INNER = "GOB.zip"


def lines(rng: random.Random, rows: int) -> list[bytes]:
    above = [b"%d\r\n" % rng.randrange(10**6) for _ in range(PREAMBLE)]
    return above + [_row(rng) for _ in range(rows)]


def _row(rng: random.Random) -> bytes:
    return (
        ",".join(str(rng.randrange(400)) for _ in range(30)).encode()
        + b","
        + rng.randbytes(20).hex().encode()
        + b"\r\n"
    )


def changed(rng: random.Random, before: list[bytes], places: int) -> list[bytes]:
    """Another preamble, some other rows, and another number of rows at the end."""
    now = [*before]
    for place in [*range(PREAMBLE), *(rng.randrange(len(now)) for _ in range(places))]:
        now[place] = _row(rng)
    return now[: max(PREAMBLE, len(now) - rng.randrange(3))] + [_row(rng) for _ in range(rng.randrange(3))]


def packed(folder: Path, content: list[bytes], before: OldParcel | None = None) -> Path:
    """The ZIP of a corte whose one official file holds these lines."""
    folder.mkdir()
    (folder / "GOB.csv").write_bytes(b"".join(content))
    (folder / "LEEME.txt").write_bytes(b"Los resultados son preliminares.\r\n" * 9)
    (folder / "año.csv").write_bytes(b"")
    with ThreadPoolExecutor(2) as threads:
        parcel = Parcel(folder / INNER, AT)
        parcel.add_rows(folder / "GOB.csv", before, threads)
        parcel.add(folder / "LEEME.txt")
        parcel.add(folder / "año.csv")
        parcel.close()
    pack(folder / "todo.zip", [folder / INNER], AT)
    return folder / "todo.zip"


@pytest.fixture
def deflated(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The blocks that were compressed."""
    seen: list[bytes] = []

    def watched(block: bytes) -> bytes:
        seen.append(block)
        return deflate(block)

    monkeypatch.setattr(parcels, "deflate", watched)
    return seen


@pytest.mark.parametrize("rows", [0, 1, parcels.ROWS - 1, parcels.ROWS, parcels.ROWS + 1, 1500])
def test_no_reader_can_tell_if_blocks_were_copied(tmp_path: Path, deflated: list[bytes], rows: int) -> None:
    rng = random.Random(rows)
    content, before = lines(rng, rows), None
    for corte in range(4):
        folder, whole = tmp_path / str(corte), tmp_path / f"{corte} entero"
        deflated.clear()
        zipped = packed(folder, content, before)
        made = len(deflated)
        assert zipped.read_bytes() == packed(whole, content).read_bytes()
        if before is not None and rows > 1000:
            assert made < len(deflated) - made  # of the full one, which deflates all
        with zipfile.ZipFile(zipped) as outer, zipfile.ZipFile(io.BytesIO(outer.read(INNER))) as inner:
            assert inner.testzip() is None
            assert inner.read("GOB.csv") == b"".join(content)
            assert inner.read("LEEME.txt") == (folder / "LEEME.txt").read_bytes()
            assert inner.namelist() == ["GOB.csv", "LEEME.txt", "año.csv"]
            assert {each.date_time for each in inner.infolist()} == {(2027, 6, 6, 20, 30, 40)}
        before, content = OldParcel(folder / "GOB.csv", zipped, INNER), changed(rng, content, 3)


@pytest.mark.skipif(shutil.which("unzip") is None, reason="no unzip on this machine")
def test_unzip_reads_it(tmp_path: Path) -> None:
    packed(tmp_path / "uno", lines(random.Random(1), 500))
    subprocess.run(["unzip", "-q", "uno/GOB.zip", "-d", "fuera"], cwd=tmp_path, check=True)
    assert (tmp_path / "fuera" / "GOB.csv").read_bytes() == (tmp_path / "uno" / "GOB.csv").read_bytes()


@pytest.mark.parametrize("harm", ["another file", "another form", "other blocks", "cut", "gone"])
def test_a_zip_of_another_form_is_not_followed(tmp_path: Path, deflated: list[bytes], harm: str) -> None:
    rng = random.Random(7)
    content = lines(rng, 300)
    archive = packed(tmp_path / "antes", content)
    file = tmp_path / "antes" / "GOB.csv"
    match harm:
        case "another file":
            file.write_bytes(b"".join(lines(rng, 301)))
        case "another form":  # as an older release made it
            with zipfile.ZipFile(tmp_path / INNER, "w", zipfile.ZIP_DEFLATED) as inner:
                inner.write(file, "GOB.csv")
            pack(archive, [tmp_path / INNER], AT)
        case "other blocks":
            packed(tmp_path / "otro", lines(rng, 300 + parcels.ROWS))
            archive = tmp_path / "otro" / "todo.zip"
        case "cut":
            archive.write_bytes(archive.read_bytes()[:-300])
        case _:
            archive.unlink()
    deflated.clear()
    zipped = packed(tmp_path / "ahora", content, OldParcel(file, archive, INNER))
    assert len(deflated) >= 1 + -(-300 // parcels.ROWS)
    assert zipped.read_bytes() == packed(tmp_path / "entero", content).read_bytes()


def test_a_block_never_holds_the_mark_of_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """One in a million would; so a shorter mark stands for it here."""
    rng = random.Random(3)
    blocks = [b"".join(_row(rng) for _ in range(parcels.ROWS)) for _ in range(200)]
    at_first = [deflate(block) for block in blocks]
    # The end of a flush are the bytes 0, 0, 255, 255; a half of the mark stands in many blocks.
    monkeypatch.setattr(parcels, "_MARK", b"\xff\xff")
    again = [deflate(block) for block in blocks]
    assert again != at_first
    for block, one in zip(blocks, again, strict=True):
        assert one.count(b"\xff\xff") == 1
        assert zlib.decompressobj(-15).decompress(one) == block
