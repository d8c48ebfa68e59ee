"""The folder of an installation is for its own user: others see nothing in it but the published tree."""

import os
import stat
from pathlib import Path

import pytest

from prep.blobs import Blobs
from prep.processes import close_to_others


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """As it was made by an earlier version, or by a person: open to everybody."""
    before = os.umask(0o022)
    for name in ("blobs/sha256", "llaves", "tmp", "var/publico/cortes"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "dispositivos.json").write_text("{}")
    os.umask(before)
    return tmp_path


def open_to_others(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if stat.S_IMODE(path.stat().st_mode) & 0o077}


def test_everything_is_closed_but_the_way_to_the_published_tree(data: Path) -> None:
    mask = os.umask(0o022)
    try:
        assert open_to_others(data) == {"blobs", "llaves", "tmp", "var", "dispositivos.json"}
        close_to_others(data, public=data / "var" / "publico")
        assert open_to_others(data) == {"var"}
        assert open_to_others(data / "var") == {"publico"}
        (data / "later").mkdir()
        (data / "later.json").touch()
        assert open_to_others(data) == {"var"}
        close_to_others(data, public=Path("/srv/publico"))
        assert open_to_others(data) == set()
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
    finally:
        os.umask(mask)


def test_a_store_of_images_is_closed_from_the_beginning(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        Blobs.open((tmp_path / "datos" / "blobs").as_uri())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "datos" / "blobs").stat().st_mode) == 0o700
    assert open_to_others(tmp_path / "datos") == set()
