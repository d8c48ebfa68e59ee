"""`prep log rotate`: every step can be repeated, and the old key is put aside only after both keys have signed."""

import os
from pathlib import Path

import pytest

from integrity.log.audit import audit_log
from integrity.log.note import trust_only
from prep.errors import Rejected
from prep.settings import Settings, read_settings
from publisher.log.command import once
from publisher.log.office import following_key, office_of, signing_key
from publisher.log.rotation import end, main, rotate
from tests.conftest import Night
from tests.makers.declared import TONIGHT
from tests.makers.logged_night import LoggedNight, logged_night


@pytest.fixture
def settings(night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith("PREP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREP_DATABASE", night.app)
    monkeypatch.setenv("PREP_DATA", str(tmp_path / "datos"))
    monkeypatch.setenv("PREP_PUBLIC", str(tmp_path / "publico"))
    return read_settings()


async def happened(tonight: LoggedNight, subject: str, settings: Settings) -> None:
    await tonight.happen("recaptura", subject)
    await once(settings)


async def test_from_one_key_to_the_next(night: Night, tmp_path: Path, settings: Settings) -> None:
    async with logged_night(night, tmp_path, casillas=6) as tonight:
        with pytest.raises(Rejected, match="todavía no empieza"):
            await rotate(settings)
        await happened(tonight, "a", settings)
        first = signing_key(settings.log_key, TONIGHT.log_name)
        with pytest.raises(Rejected, match="no hay una rotación"):
            await end(settings)
        new = await rotate(settings)
        assert await rotate(settings) == new != first.key
        with pytest.raises(Rejected, match="todavía no publica"):
            await end(settings)
        await happened(tonight, "b", settings)
        aside = await end(settings)
        assert aside.stat().st_mode & 0o777 == 0o600
        assert signing_key(settings.log_key, TONIGHT.log_name).key == new
        assert not following_key(settings.log_key).exists()
        await happened(tonight, "c", settings)
        assert office_of(settings, night.app, TONIGHT).signer.key == new
    folder = settings.public / "bitacora"
    assert (folder / "checkpoint").read_text().count("— ") == 1
    assert audit_log(str(folder), trust_only(first.key)).exit_code == 0
    assert [path.name for path in (folder / "rotaciones").iterdir()] == ["0001.tlog-proof"]


async def test_a_key_made_on_another_machine_than_the_sequencers_is_never_handed_over(
    night: Night, tmp_path: Path, settings: Settings
) -> None:
    elsewhere = settings.model_copy(update={"data": tmp_path / "otra"})
    async with logged_night(night, tmp_path, casillas=6) as tonight:
        await happened(tonight, "a", settings)
        for _ in range(2):
            with pytest.raises(Rejected, match="donde el secuenciador"):
                await rotate(elsewhere)
            signing_key(elsewhere.log_key, TONIGHT.log_name)  # not even on a machine with another key
        await rotate(settings)
        with pytest.raises(Rejected, match="donde el secuenciador"):
            await rotate(elsewhere)
        await happened(tonight, "b", settings)
        await end(settings)
        await rotate(settings)
    assert not following_key(elsewhere.log_key).exists()


def test_stopped_between_the_two_names_no_third_key_is_made(settings: Settings) -> None:
    signing_key(settings.log_key, TONIGHT.log_name)
    new = signing_key(following_key(settings.log_key), TONIGHT.log_name)
    settings.log_key.rename(settings.log_key.with_name("retirada"))
    assert signing_key(settings.log_key, TONIGHT.log_name).key == new.key


def test_as_a_command(night: Night, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["rotate"])
    assert stopped.value.code == 2
    assert "todavía no empieza" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["otra"])
    assert "No se entiende la orden" in capsys.readouterr().err
