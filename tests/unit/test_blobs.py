"""The store keeps every byte once under its digest, and the first word under each name, on a disk and in an object store."""

import asyncio
import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from prep.blobs import ABANDONED, SPILL, Blobs
from prep.errors import Parked, Rejected, Unavailable


@pytest.fixture(params=["folder", "object store"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """A local folder, and an object store behind the same protocol as S3."""
    if request.param == "folder":
        return Blobs.open((tmp_path / "blobs").as_uri())
    return Blobs(MemoryStore(), folder=None, scratch=tmp_path)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_what_is_put_is_got_by_its_digest(blobs: Blobs) -> None:
    sha256 = await blobs.put(b"un acta")
    assert sha256 == digest(b"un acta")
    assert await blobs.put(b"un acta") == sha256
    assert await blobs.get(sha256) == b"un acta"
    assert await blobs.exists(sha256)
    assert not await blobs.exists(digest(b"otra"))


async def test_a_file_is_kept_and_stays_its_owners(blobs: Blobs, tmp_path: Path) -> None:
    path = tmp_path / "acta.jpg"
    path.write_bytes(b"una foto")
    for _ in range(2):
        await blobs.put_file(path, digest(b"una foto"))
    path.unlink()
    assert await blobs.get(digest(b"una foto")) == b"una foto"


async def test_a_blob_that_is_missing_or_damaged_is_for_a_person_to_look_at(tmp_path: Path) -> None:
    blobs = Blobs.open((tmp_path / "blobs").as_uri())
    sha256 = await blobs.put(b"un acta")
    path = blobs.local_path(sha256)
    assert path is not None
    path.write_bytes(b"un Acta")
    with pytest.raises(Parked, match=f"está dañada la imagen {sha256}"):
        await blobs.get(sha256)
    assert await blobs.get(sha256, verify=False) == b"un Acta"
    path.unlink()
    with pytest.raises(Parked, match=f"falta en el almacén la imagen {sha256}"):
        await blobs.get(sha256)


async def test_the_first_record_of_a_name_is_what_everybody_reads(blobs: Blobs) -> None:
    assert await blobs.find("secuencias/a/1") is None
    answers = await asyncio.gather(*(blobs.record("secuencias/a/1", b"%d" % n) for n in range(20)))
    assert sum(ours for _, ours in answers) == 1
    assert len({content for content, _ in answers}) == 1
    assert await blobs.find("secuencias/a/1") == answers[0][0]
    assert await blobs.record("secuencias/a/2", b"x") == (b"x", True)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks=st.lists(st.one_of(st.binary(max_size=40), st.integers(0, 2).map(lambda n: bytes(n * SPILL)))))
async def test_a_body_is_hashed_as_it_arrives_however_it_is_cut(tmp_path: Path, chunks: list[bytes]) -> None:
    blobs = Blobs.open((tmp_path / "blobs").as_uri())
    async with blobs.arriving() as arriving:
        for chunk in chunks:
            await arriving.write(chunk)
        sha256 = await arriving.end()
        assert arriving.path.read_bytes() == b"".join(chunks)
    assert sha256 == digest(b"".join(chunks))
    assert arriving.size == len(b"".join(chunks))
    assert not arriving.path.exists()


async def test_a_body_that_fails_on_its_way_leaves_no_file(blobs: Blobs) -> None:
    seen = []

    async def fail() -> None:
        async with blobs.arriving() as arriving:
            await arriving.write(bytes(SPILL))
            seen.append((arriving.path, arriving.path.exists()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    [(path, existed)] = seen
    assert existed
    assert not path.exists()


async def test_what_a_killed_process_left_is_swept_at_the_next_start_and_what_is_arriving_is_not(
    tmp_path: Path,
) -> None:
    url = (tmp_path / "blobs").as_uri()
    blobs = Blobs.open(url)
    async with blobs.arriving() as old, blobs.arriving() as young:
        for arriving in (old, young):
            await arriving.write(bytes(SPILL))
        past = time.time() - ABANDONED - 1
        os.utime(old.path, (past, past))
        Blobs.open(url)
        assert not old.path.exists()
        assert young.path.exists()


async def test_a_store_that_is_away_is_waited_for(tmp_path: Path) -> None:
    blobs = Blobs.open((tmp_path / "blobs").as_uri())
    (tmp_path / "blobs" / "sha256").write_bytes(b"a file where a folder should be")
    with pytest.raises(Unavailable):
        await blobs.put(b"un acta")
    with pytest.raises(Unavailable):
        await blobs.record("sha256/x", b"")


def test_a_url_that_names_no_store_is_refused(tmp_path: Path) -> None:
    for url in ("ftp://algo/ahi", "s3://", "nada"):
        with pytest.raises(Rejected, match="dirección de almacén inválida"):
            Blobs.open(url, scratch=tmp_path)
