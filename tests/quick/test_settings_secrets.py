"""Containers give secrets as files. An environment variable wins over a file, and an unknown secret stops the start."""

from pathlib import Path

import pytest

from prep.errors import Rejected
from prep.settings import read_settings


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "secretos"
    folder.mkdir()
    monkeypatch.setenv("PREP_SECRETS", str(folder))
    return folder


def test_a_file_gives_the_value_of_the_setting_with_its_name(secrets: Path) -> None:
    (secrets / "prep_database").write_text("postgresql://prep_app:secreta@db/prep\n")
    (secrets / "prep_qr_key").write_text("llave\n")
    (secrets / "tls.key").write_text("de otro programa")
    settings = read_settings()
    assert settings.database == "postgresql://prep_app:secreta@db/prep"
    assert settings.qr_key is not None
    assert settings.qr_key.get_secret_value() == "llave"
    assert "llave" not in repr(settings)


def test_a_variable_wins_over_a_file(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (secrets / "prep_host").write_text("127.0.0.2")
    monkeypatch.setenv("PREP_HOST", "127.0.0.3")
    assert read_settings().host == "127.0.0.3"


def test_an_unknown_secret_stops_the_start(secrets: Path) -> None:
    (secrets / "prep_databse").write_text("x")
    with pytest.raises(Rejected, match=r"secretos desconocidos.*prep_databse"):
        read_settings()


def test_a_wrong_secret_is_named_but_its_value_is_not_shown(secrets: Path) -> None:
    (secrets / "prep_decoders").write_text("muchos")
    with pytest.raises(Rejected, match="PREP_DECODERS") as caught:
        read_settings()
    assert "muchos" not in caught.value.sentence


def test_a_missing_folder_of_secrets_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREP_SECRETS", str(tmp_path / "nada"))
    with pytest.raises(Rejected, match="no es una carpeta"):
        read_settings()
