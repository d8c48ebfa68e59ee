"""The store keeps each content once under its digest, and the first record under each name; on a disk and on S3."""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prep.blobs import ABANDONED, SPILL, Blobs
from prep.errors import Parked, Rejected, Unavailable
from prep.object_store import S3Access
from prep.settings import read_settings
from tests.makers.s3_server import BUCKET, URL, S3Server

PLACES = ("folder", "s3")


@dataclass(frozen=True)
class Place:
    """A store, and a way to change its files without the store."""

    open: Callable[[], Blobs]
    damage: Callable[[str, bytes | None], None]
    """Replace a blob by other bytes, or remove it."""


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return _place_in_folder(tmp_path)
    server: S3Server = request.getfixturevalue("s3")
    return _place_in_s3(server, tmp_path)


def _place_in_folder(tmp_path: Path) -> Place:
    def damage(sha256: str, content: bytes | None) -> None:
        path = tmp_path / "blobs" / "sha256" / sha256[:2] / sha256
        path.unlink() if content is None else path.write_bytes(content)

    return Place(lambda: Blobs.open((tmp_path / "blobs").as_uri()), damage)


def _place_in_s3(server: S3Server, tmp_path: Path) -> Place:
    def damage(sha256: str, content: bytes | None) -> None:
        client, where = server.client("s3"), {"Bucket": BUCKET, "Key": f"prep/sha256/{sha256[:2]}/{sha256}"}
        client.delete_object(**where) if content is None else client.put_object(**where, Body=content)

    return Place(lambda: Blobs.open(URL, scratch=tmp_path / "tmp", s3=server.access), damage)


@pytest.fixture
def blobs(place: Place) -> Blobs:
    return place.open()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_a_kept_content_is_found_by_its_digest(blobs: Blobs) -> None:
    sha256 = await blobs.put(b"un acta")
    assert sha256 == digest(b"un acta")
    assert await blobs.put(b"un acta") == sha256
    assert await blobs.get(sha256) == b"un acta"
    assert await blobs.exists(sha256)
    assert not await blobs.exists(digest(b"otra"))


async def test_a_file_is_kept_and_the_original_stays_in_its_place(blobs: Blobs, tmp_path: Path) -> None:
    path = tmp_path / "acta.jpg"
    path.write_bytes(b"una foto")
    for _ in range(2):
        await blobs.put_file(path, digest(b"una foto"))
    path.unlink()
    assert await blobs.get(digest(b"una foto")) == b"una foto"


async def test_a_missing_or_damaged_blob_is_parked_for_a_person(blobs: Blobs, place: Place) -> None:
    sha256 = await blobs.put(b"un acta")
    place.damage(sha256, b"un Acta")
    with pytest.raises(Parked, match=f"está dañada la imagen {sha256}"):
        await blobs.get(sha256)
    assert await blobs.get(sha256, verify=False) == b"un Acta"
    place.damage(sha256, None)
    with pytest.raises(Parked, match=f"falta en el almacén la imagen {sha256}"):
        await blobs.get(sha256)


async def test_all_readers_get_the_first_record_of_a_name(blobs: Blobs) -> None:
    assert await blobs.find("secuencias/a/1") is None
    answers = await asyncio.gather(*(blobs.record("secuencias/a/1", b"%d" % n) for n in range(20)))
    assert sum(ours for _, ours in answers) == 1
    assert len({content for content, _ in answers}) == 1
    assert await blobs.find("secuencias/a/1") == answers[0][0]
    assert await blobs.record("secuencias/a/2", b"x") == (b"x", True)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks=st.lists(st.one_of(st.binary(max_size=40), st.integers(0, 2).map(lambda n: bytes(n * SPILL)))))
async def test_a_body_in_pieces_of_any_size_has_the_right_digest(tmp_path: Path, chunks: list[bytes]) -> None:
    blobs = Blobs.open((tmp_path / "blobs").as_uri())
    async with blobs.arriving() as arriving:
        for chunk in chunks:
            await arriving.write(chunk)
        sha256 = await arriving.end()
        assert arriving.path.read_bytes() == b"".join(chunks)
    assert sha256 == digest(b"".join(chunks))
    assert arriving.size == len(b"".join(chunks))
    assert not arriving.path.exists()


async def test_an_interrupted_body_leaves_no_file(blobs: Blobs) -> None:
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


async def test_the_next_start_deletes_old_files_of_a_killed_process_but_no_file_that_is_arriving(
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


async def test_exactly_one_of_many_writers_in_many_processes_is_first(place: Place) -> None:
    """Each writer has its own store object, as a process has. The names come in random order."""
    writers = [place.open() for _ in range(8)]
    said = {f"secuencias/b/{n}": [b"%d" % writer for writer in range(len(writers))] for n in range(12)}
    answers = await asyncio.gather(
        *(writers[w].record(name, content) for name, contents in said.items() for w, content in enumerate(contents))
    )
    for n, name in enumerate(said):
        mine = answers[n * len(writers) : (n + 1) * len(writers)]
        assert [ours for _, ours in mine].count(True) == 1
        assert {content for content, _ in mine} == {await place.open().find(name)}


async def test_one_process_finds_the_blob_of_another(place: Place) -> None:
    sha256 = await place.open().put(b"un acta")
    assert await place.open().get(sha256) == b"un acta"


async def test_a_missing_folder_means_try_again_later(tmp_path: Path) -> None:
    blobs = Blobs.open((tmp_path / "blobs").as_uri())
    (tmp_path / "blobs" / "sha256").write_bytes(b"a file where a folder should be")
    with pytest.raises(Unavailable):
        await blobs.put(b"un acta")
    with pytest.raises(Unavailable):
        await blobs.record("sha256/x", b"")


def test_a_url_of_no_known_store_is_refused(tmp_path: Path) -> None:
    for url in ("ftp://algo/ahi", "s3://", "nada"):
        with pytest.raises(Rejected, match="dirección de almacén inválida"):
            Blobs.open(url, scratch=tmp_path)


async def test_a_stopped_s3_means_try_again_later_and_works_after_its_start(s3: S3Server, tmp_path: Path) -> None:
    blobs = Blobs.open(URL, scratch=tmp_path, s3=s3.access)
    sha256 = await blobs.put(b"un acta")
    s3.kill()
    try:
        for asked in (blobs.put(b"otra"), blobs.get(sha256), blobs.exists(sha256), blobs.record("a/1", b"")):
            with pytest.raises(Unavailable, match="no responde"):
                await asked
    finally:
        s3.start()
    assert await blobs.put(b"un acta") == sha256
    assert await blobs.get(sha256) == b"un acta"


async def test_wrong_credentials_of_s3_give_one_sentence_and_park_no_message(s3: S3Server, tmp_path: Path) -> None:
    good = s3.demand_credentials()
    try:
        sha256 = await Blobs.open(URL, scratch=tmp_path, s3=good).put(b"un acta")
        for wrong in (replace(good, secret="x" * 40), replace(good, key_id="AKIAXXXXXXXXXXXXXXXX")):
            blobs = Blobs.open(URL, scratch=tmp_path, s3=wrong)
            for asked in (blobs.get(sha256), blobs.put(b"otra"), blobs.record("a/1", b""), blobs.exists(sha256)):
                with pytest.raises(Unavailable, match=r"^el almacén de imágenes no acepta las credenciales: revise"):
                    await asked
    finally:
        s3.demand_nothing()


async def test_a_missing_bucket_is_not_reported_as_a_missing_image(s3: S3Server, tmp_path: Path) -> None:
    blobs = Blobs.open("s3://otra/prep", scratch=tmp_path, s3=s3.access)
    for asked in (blobs.get(digest(b"")), blobs.put(b""), blobs.find("a/1")):
        with pytest.raises(Unavailable, match="no existe: revise PREP_BLOBS"):
            await asked


async def test_variables_of_amazon_fill_the_settings_that_are_empty(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"AWS_ENDPOINT_URL": s3.endpoint, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "llave", "AWS_SECRET_ACCESS_KEY": "secreto"}  # fmt: skip
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    sha256 = await Blobs.open(URL, scratch=tmp_path).put(b"un acta")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for name, value in (("ENDPOINT", s3.endpoint), ("REGION", "us-east-1"), ("KEY_ID", "llave"), ("SECRET", "secreto")):
        monkeypatch.setenv(f"PREP_S3_{name}", value)
    settings = read_settings()
    assert "secreto" not in f"{settings!r} {settings.s3!r}"
    assert await Blobs.open(URL, scratch=tmp_path, s3=settings.s3).get(sha256) == b"un acta"


def test_no_bytes_leave_this_machine_without_tls_unless_a_setting_allows_it(tmp_path: Path) -> None:
    for endpoint in ("http://s3.ejemplo.mx", "http://10.0.0.4:9000", "http://127.0.0.1.ejemplo.mx"):
        with pytest.raises(Rejected, match="no va cifrado"):
            Blobs.open(URL, scratch=tmp_path, s3=S3Access(endpoint))
        Blobs.open(URL, scratch=tmp_path, s3=S3Access(endpoint, plain_http=True))
    for endpoint in ("https://s3.ejemplo.mx", "http://[::1]:9000", "http://localhost:9000", "http://127.0.0.2"):
        Blobs.open(URL, scratch=tmp_path, s3=S3Access(endpoint))
