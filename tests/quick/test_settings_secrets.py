"""Settings of the environment, and secrets as files: a variable wins over a file, and a wrong one stops the start."""

from pathlib import Path

import pytest

from prep.errors import Rejected
from prep.settings import Settings, read_settings


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


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DECODERS", "muchos", "se espera un número entero"),
        ("DECODERS", "2.5", "se espera un número entero"),
        ("DECODERS", "", "se espera un número entero"),
        ("DECODERS", "0", "se espera un número de 1 en adelante"),
        ("DECODERS", "65", "se espera un número de 64 a lo más"),
        ("CAPTURE_PORT", "70000", "se espera un número de 65535 a lo más"),
        ("CAPTURE_PORT", "-1", "se espera un número de 0 en adelante"),
        ("LEASE_MINUTES", "nan", "se espera un número de 10080 a lo más"),
        ("LEASE_MINUTES", "inf", "se espera un número de 10080 a lo más"),
        ("SESSION_HOURS", "1e300", "se espera un número de 168 a lo más"),
        ("SESSION_IDLE_MINUTES", "media hora", "se espera un número"),
        ("REPLICA_WAIT_SECONDS", "0", "se espera un número mayor que 0"),
        ("IMAGE_MAX_BYTES", "9" * 5000, "se espera un número entero"),
        ("KAFKA_TLS", "quizá", "se espera true o false"),
        ("BUS", "Kafka!", "se espera uno de: embedded, kafka"),
        ("KAFKA_MECHANISM", "GSSAPI", "se espera uno de: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
        ("KAFKA", "nodo", "se espera nodo:puerto, separados por comas"),
        ("SITE_URL", "prep.example.mx", "se espera una dirección que comience con http:// o https://"),
        ("TSA", "ftp://sello", "se espera una o dos direcciones que comiencen con http:// o https://"),
        ("PROXIES", "aquí", "se espera direcciones IP o redes"),
        ("PROXIES", "10.0.0.1/8", "se espera direcciones IP o redes"),
    ],
)
def test_each_wrong_setting_is_told_in_one_spanish_sentence(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"PREP_{name}", value)
    with pytest.raises(Rejected) as caught:
        read_settings()
    assert caught.value.sentence.startswith(f"configuración inválida: PREP_{name}: {expected}")


def test_every_setting_that_has_a_form_of_its_own_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new setting with a pattern, a limit or a kind needs its words: none may be told in the library's English."""
    for name in Settings.model_fields:
        for value in ("\u00bf?", "-1e400", "=", " , "):
            monkeypatch.setenv(f"PREP_{name.upper()}", value)
            try:
                read_settings()
            except Rejected as refused:
                sentence = refused.sentence
                assert sentence.startswith((f"configuración inválida: PREP_{name.upper()}: se espera ", "PREP_SECRETS"))
                assert "se espera un texto" not in sentence
            monkeypatch.delenv(f"PREP_{name.upper()}")


def test_a_misspelt_variable_in_small_letters_stops_the_start_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("prep_databse", "x")
    with pytest.raises(Rejected, match="variables de entorno desconocidas: prep_databse"):
        read_settings()


def test_a_secret_that_is_no_text_is_told(secrets: Path) -> None:
    (secrets / "prep_qr_key").write_bytes(b"\xff\xfe")
    with pytest.raises(Rejected, match="el secreto prep_qr_key: no es un texto en UTF-8"):
        read_settings()


def test_a_secret_that_cannot_be_read_is_told(secrets: Path) -> None:
    (secrets / "prep_host").symlink_to("prep_host")
    with pytest.raises(Rejected, match="no se puede leer el secreto prep_host"):
        read_settings()
