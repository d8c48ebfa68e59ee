"""Seals and time stamps of real cortes: openssl accepts them, and neither a key nor an authority stops a night."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from integrity.authenticity import Trust
from integrity.report import SEAL_CHECKS, Result
from integrity.sealing import development
from integrity.sealing.certificates import load
from integrity.sealing.seal import SEAL, open_signer
from integrity.sealing.sello import SELLO
from integrity.sealing.stamp import STAMPS, Authority
from integrity.verify import verify
from prep.domain.corte import Phase
from prep.domain.hours import CENTRAL
from prep.errors import Rejected
from prep.settings import Settings
from publisher.cut import CorteOffice
from publisher.notary import Notary, notary_of
from tests.conftest import Night
from tests.makers.declared import REAL, TONIGHT
from tests.makers.seal_maker import openssl
from tests.makers.small_night import START, STEP, SmallNight, small_night
from tests.publisher.test_cut import Killed, _last_recorded, failing, folder, tree, until

AROUND = ("sums", "seal", "fsync", "record", "rename")


class Clock:
    """Moves only when the test says so."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


class Town:
    """An authority whose key can be taken away, and a time stamper that can be closed."""

    def __init__(self, ca: Path) -> None:
        self.ca = ca
        self.clock = Clock()
        development.make_authority(ca, now=START)
        self.root = load((ca / development.ROOT).read_bytes())
        self.trust = Trust(self.root, self.root)
        self.port = 0
        self.open()

    def open(self) -> None:
        self.server = development.StamperServer(development.open_stamper(self.ca), self.port, self.clock)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def notary(self) -> Notary:
        url = f"http://127.0.0.1:{self.port}/"
        certificate, key = self.ca / development.SEAL_CERTIFICATE, self.ca / development.SEAL_KEY
        return Notary(
            lambda: open_signer(certificate, str(key)), [Authority(url, self.root)], zone=CENTRAL, clock=self.clock
        )

    def take_key(self) -> None:
        (self.ca / development.SEAL_KEY).rename(self.ca / "fuera")

    def bring_key(self) -> None:
        (self.ca / "fuera").rename(self.ca / development.SEAL_KEY)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ca") / "autoridad"


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Town(tmp_path / "ca")
    yield made
    made.close()


@pytest.fixture
async def tonight(night: Night, tmp_path: Path, town: Town) -> AsyncIterator[SmallNight]:
    async with small_night(night, tmp_path, casillas=12) as made:
        made.office = replace(made.office, notary=town.notary())
        yield made


async def cut(tonight: SmallNight, town: Town, phase: Phase | None = None, *, office: CorteOffice | None = None) -> int:
    """A corte, some seconds after its hour."""
    town.clock.at = START + STEP * tonight.cut_so_far + timedelta(seconds=3)
    return (await tonight.cut(phase, office=office)).number


def notary(tonight: SmallNight) -> Notary:
    assert tonight.office.notary is not None
    return tonight.office.notary


def metric(name: str) -> float | None:
    return REGISTRY.get_sample_value(name)


async def events(tonight: SmallNight) -> list[str]:
    async with tonight.pool.acquire() as connection:
        rows = await connection.fetch("SELECT subject FROM event WHERE kind = 'corte_sin_sello' ORDER BY id")
        return [row["subject"] for row in rows]


async def test_a_sealed_and_stamped_night_is_good_to_us_and_to_openssl(tonight: SmallNight, town: Town) -> None:
    await cut(tonight, town)
    await tonight.count(tonight.sheets)
    await cut(tonight, town, Phase.FINAL)
    assert not any((folder(tonight.office.public, 1) / file).exists() for file in STAMPS)  # no corte waits for them
    assert await notary(tonight).complete(tonight.office.public) == await notary(tonight).complete(
        tonight.office.public
    )
    report = verify(str(tonight.office.public), trust=town.trust)
    assert report.exit_code == 0, report.to_json()
    assert {check.id: check.result for check in report.checks if check.id in SEAL_CHECKS} == dict.fromkeys(
        SEAL_CHECKS, Result.OK
    ) | {"AUT-02": Result.NOT_APPLICABLE, "AUT-06": Result.NOT_APPLICABLE}
    corte, ca, moment = (
        folder(tonight.office.public, 1),
        town.ca / development.ROOT,
        str(int(town.clock.at.timestamp())),
    )
    words = "cms -verify -cades -binary -inform DER -in SHA256SUMS.p7s -content SHA256SUMS -purpose smimesign"
    checked = openssl(*words.split(), "-CAfile", ca, "-attime", moment, "-out", "/dev/null", folder=corte)
    assert checked.returncode == 0, checked.stderr
    words = "ts -verify -in SHA256SUMS.tsr -data SHA256SUMS"
    checked = openssl(*words.split(), "-CAfile", ca, "-attime", moment, folder=corte)
    assert checked.returncode == 0, checked.stderr
    assert "Cadena original" in (corte / SELLO).read_text()


async def test_a_key_that_is_away_stops_no_corte_and_seals_them_in_their_order_when_it_returns(
    tonight: SmallNight, town: Town
) -> None:
    await cut(tonight, town)
    town.take_key()
    tonight.office = replace(tonight.office, notary=town.notary())  # a publisher that starts without its key
    public = tonight.office.public
    await tonight.count(tonight.sheets[:5])
    assert await cut(tonight, town) == 1
    town.bring_key()
    assert await cut(tonight, town) == 2
    assert not (folder(public, 2) / SEAL).exists()  # its turn comes after that of corte 1
    assert json.loads((public / "index.json").read_bytes())["corte"] == 2
    assert await events(tonight) == ["corte 1", "corte 2"]
    assert verify(str(public), trust=town.trust).wrong() == {"AUT-01"}

    town.take_key()
    lacking = await notary(tonight).complete(public)
    assert (lacking.seals, metric("prep_seals_missing")) == (2, 2)
    assert "no se puede leer la llave privada" in lacking.why
    town.bring_key()
    assert (await notary(tonight).complete(public)).seals == 0
    assert metric("prep_seals_missing") == 0
    assert verify(str(public), trust=town.trust).exit_code == 0
    assert await cut(tonight, town) == 3
    assert (folder(public, 3) / SEAL).exists()


async def test_a_time_authority_that_is_away_is_asked_again_until_it_answers(tonight: SmallNight, town: Town) -> None:
    town.close()
    for _ in range(3):
        await cut(tonight, town)
    public = tonight.office.public
    lacking = await notary(tonight).complete(public)
    assert (lacking.stamps, metric("prep_stamps_missing")) == (3, 3)
    assert "autoridad de tiempo" in lacking.why
    report = verify(str(public), trust=town.trust)
    assert report.exit_code == 2, report.to_json()
    town.open()
    stop = asyncio.Event()
    part = asyncio.create_task(notary(tonight).serve(public, stop))
    while metric("prep_stamps_missing"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    stop.set()
    await part
    assert verify(str(public), trust=town.trust).exit_code == 0


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_at_every_step_in_turn_the_digests_are_the_same_and_every_corte_is_sealed(
    tonight: SmallNight, tmp_path: Path, town: Town, after: bool
) -> None:
    public = tonight.office.public
    await cut(tonight, town)
    for ordinal, step in enumerate(AROUND):
        await tonight.count(tonight.sheets[2 * ordinal : 2 * ordinal + 2])
        town.clock.at += STEP
        tonight.cut_so_far = await _last_recorded(tonight)
        with pytest.raises(Killed):
            await tonight.cut(office=failing(tonight.office, step, after=after))
    town.clock.at += STEP * 2
    await until(tonight, 2)
    assert (await notary(tonight).complete(public)).why == ""
    assert verify(str(public), trust=town.trust).exit_code == 0
    clean = replace(tonight.at(tmp_path / "limpio"), notary=None)
    await until(tonight, 2, office=clean)
    beside = {"SHA256SUMS.p7s", "SHA256SUMS.sello", "SHA256SUMS.tsr"}
    assert {path: held for path, held in tree(public).items() if Path(path).name not in beside} == tree(clean.public)


async def test_an_existing_seal_is_never_made_again(tonight: SmallNight, town: Town, tmp_path: Path) -> None:
    await cut(tonight, town)
    public = tonight.office.public
    await notary(tonight).complete(public)
    before = tree(public)
    town.clock.at += STEP
    assert (await town.notary().complete(public)).why == ""  # another process, without memory of the first
    assert tree(public) == before
    again = tonight.at(
        tmp_path / "otro"
    )  # a tree that is made again gets its own seal, of its own hour, over the same bytes
    await tonight.cut(office=again)
    ours, theirs = folder(public, 0), folder(again.public, 0)
    assert (ours / "SHA256SUMS").read_bytes() == (theirs / "SHA256SUMS").read_bytes()
    assert (ours / SEAL).read_bytes() != (theirs / SEAL).read_bytes()


async def test_killed_between_the_two_files_of_a_seal_the_sello_is_kept(tonight: SmallNight, town: Town) -> None:
    await cut(tonight, town)
    public = tonight.office.public
    corte = folder(public, 0)
    (corte / SEAL).unlink()
    kept = (corte / SELLO).read_bytes()
    town.clock.at += timedelta(seconds=30)
    assert (await town.notary().complete(public)).seals == 0
    assert (corte / SELLO).read_bytes() == kept
    assert verify(str(public), trust=town.trust).exit_code == 0


async def test_a_key_that_hangs_holds_up_a_corte_no_longer_than_its_patience(
    tonight: SmallNight, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher.notary.PATIENCE", 0.05)
    hang = threading.Event()

    def opened() -> None:
        hang.wait()
        raise AssertionError

    try:
        stuck = replace(tonight.office, notary=Notary(opened, zone=CENTRAL))  # type: ignore[arg-type]
        assert await cut(tonight, town, office=stuck) == 0
        assert await events(tonight) == ["corte 0"]
    finally:
        hang.set()


def test_a_real_night_refuses_to_start_with_keys_for_development(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def settings(**more: object) -> Settings:
        return Settings(seal_certificate=town.ca / development.SEAL_CERTIFICATE, seal_key="x", **more)  # type: ignore[arg-type]

    assert notary_of(settings(), TONIGHT) is not None
    with pytest.raises(Rejected, match="es de desarrollo y no tiene validez"):
        notary_of(settings(), REAL)
    stamping = {"tsa": "http://127.0.0.1:1/", "tsa_ca": town.ca / development.ROOT}
    with pytest.raises(Rejected, match="es de desarrollo y no tiene validez"):
        notary_of(Settings(**stamping), REAL)  # type: ignore[arg-type]
    with pytest.raises(Rejected, match="van juntas"):
        notary_of(Settings(tsa="http://127.0.0.1:1/"), TONIGHT)
    assert notary_of(Settings(), TONIGHT) is None
