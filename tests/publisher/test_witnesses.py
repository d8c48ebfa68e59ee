"""The sequencer and real witness daemons: the published log with a quorum, without it, and after it is back."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from proofbundle import verify_tlog_proof

from integrity import layout
from integrity.log.audit import audit_log, check_proof
from integrity.log.note import SignatureKind, Signer, read_policy, read_proof, trust_only
from integrity.log.witness import Panel
from integrity.log.writer import FileState, Sequencer
from prep import observe
from prep.errors import Rejected
from publisher.log.office import LogOffice, asked_at
from publisher.log.sequencer import Health, run
from tests.conftest import Night
from tests.makers.logged_night import LoggedNight, logged_night
from tests.makers.waiting import PATIENCE, until

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("partido", "universidad", "diario")


@dataclass
class Daemon:
    """One `integrity witness` process; its memory stays when it stops."""

    signer: Signer
    home: Path
    log: str
    port: int = 0
    process: "subprocess.Popen[str] | None" = None

    def start(self) -> str:
        """Returns its address, which is the same after a restart."""
        (self.home / "memoria").mkdir(parents=True, exist_ok=True)
        (self.home / "llave").write_text(self.signer.to_text())
        words = ["--private", self.home / "llave", "--log", self.log, "--memory", self.home / "memoria"]
        command = [sys.executable, "-m", "integrity", "witness", *map(str, words), "--port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.process.stdout.readline()
        address = self.process.stdout.readline().split()[-1].rstrip("/")
        self.port = int(address.rpartition(":")[2])
        return address

    def stop(self) -> None:
        if self.process is not None:
            with self.process:
                self.process.kill()
            self.process = None


@dataclass
class Watched:
    """A night whose policy asks for two of three witnesses."""

    tonight: LoggedNight
    daemons: Sequence[Daemon]
    office: LogOffice
    policy: Path
    health: Health = field(default_factory=Health)

    def verifies(self) -> int:
        """`integrity verify --log-policy`, as its user runs it."""
        return self._run_integrity("verify", str(self.office.public), "--log-policy", str(self.policy))

    def audits(self) -> int:
        return self._run_integrity("audit-log", str(self.office.folder), "--policy", str(self.policy))

    def _run_integrity(self, *words: str) -> int:
        done = subprocess.run([sys.executable, "-m", "integrity", *words], cwd=ROOT, capture_output=True, check=False)
        return done.returncode

    def is_witnessed(self, path: Path) -> bool:
        """Whether the proof there has the quorum: by our verifier, and by proofbundle, which other people wrote."""
        data = path.read_bytes()
        leaf = read_proof(data).extra
        assert leaf is not None
        report = check_proof(data, leaf, read_policy(self.policy.read_bytes()))
        keys = [str(daemon.signer.key) for daemon in self.daemons]
        key = str(self.office.signer.key)
        theirs = verify_tlog_proof(
            data.decode(), leaf, key, keys, threshold=2, expected_origin=self.office.signer.key.name
        )
        assert bool(theirs["ok"]) == (report.exit_code == 0)
        return report.exit_code == 0

    def proofs(self) -> list[Path]:
        """Of cortes and images. Other files of the tree come and go while the sequencer works."""
        places = ("cortes/*/*.tlog-proof", "bitacora/acuses/*/*.tlog-proof")
        return sorted(path for place in places for path in self.office.public.glob(place))

    def is_all_witnessed(self) -> bool:
        return bool(self.proofs()) and all(self.is_witnessed(path) for path in self.proofs())


@pytest.fixture
async def watched(night: Night, tmp_path: Path) -> AsyncIterator[Watched]:
    async with logged_night(night, tmp_path, casillas=6) as tonight:
        key = str(tonight.office.signer.key)
        with ExitStack() as stack:
            daemons = []
            for name in NAMES:
                daemon = Daemon(Signer.generate(f"{name}.example/testigo", SignatureKind.WITNESS), tmp_path / name, key)
                stack.callback(daemon.stop)
                daemons.append(daemon)
            urls = [daemon.start() for daemon in daemons]
            lines = [f"witness {n} {d.signer.key} {url}\n" for n, d, url in zip(NAMES, daemons, urls, strict=True)]
            text = f"log {key}\n{''.join(lines)}group testigos 2 {' '.join(NAMES)}\nquorum testigos\n"
            (tmp_path / "politica").write_text(text)
            office = replace(tonight.office, policy=text, patience=PATIENCE)
            yield Watched(replace(tonight, office=office), daemons, office, tmp_path / "politica")


async def test_with_a_quorum_everything_that_is_published_has_it(watched: Watched) -> None:
    await watched.tonight.night.cut()
    await watched.tonight.count(watched.tonight.night.sheets[:8])
    async with watched.tonight.running():
        await watched.tonight.night.cut()
        await until(lambda: len(watched.proofs()) > 2)
    assert watched.is_all_witnessed()
    assert watched.audits() == 0
    assert watched.verifies() == 0


async def test_without_a_quorum_the_log_goes_on_and_gets_it_when_the_witness_is_back(watched: Watched) -> None:
    """Two witnesses away: leaves, proofs and cortes go out with the log's own signature, later with the quorum."""
    tonight = watched.tonight
    await tonight.night.cut()
    await tonight.count(tonight.night.sheets[:4])
    async with tonight.running():
        await until(lambda: bool(watched.proofs()))
        watched.daemons[0].stop()  # two of three remain, which is a quorum
        before = len(watched.proofs())
        await tonight.count(tonight.night.sheets[4:6])
        await until(lambda: len(watched.proofs()) > before)
        await until(watched.is_all_witnessed)
        watched.daemons[1].stop()
        await tonight.count(tonight.night.sheets[6:10])
        await tonight.night.cut()
        await until((tonight.office.public / "cortes" / "0001" / layout.CORTE_PROOF).exists)
        assert not watched.is_all_witnessed()
        assert watched.audits() == 1
        assert audit_log(str(watched.office.folder), trust_only(watched.office.signer.key)).exit_code == 0
        assert observe.LOG_QUORUM._value.get() == 0
        watched.daemons[1].start()
        await until(watched.is_all_witnessed)
        await until(lambda: observe.LOG_QUORUM._value.get() == 1)
    assert watched.audits() == 0
    assert watched.verifies() == 0
    assert (await tonight.compare()).pending == 0


async def test_proofs_without_a_quorum_are_made_again_by_the_next_run(watched: Watched) -> None:
    """No list of proofs without a quorum is kept: the proofs themselves tell."""
    for daemon in watched.daemons:
        daemon.stop()
    await watched.tonight.count(watched.tonight.night.sheets[:6])
    await watched.tonight.log()
    assert watched.proofs()
    assert not any(watched.is_witnessed(path) for path in watched.proofs())
    for daemon in watched.daemons:
        daemon.start()
    async with watched.tonight.running():
        await until(watched.is_all_witnessed)
    assert watched.audits() == 0


async def test_a_witness_that_was_shown_another_log_is_an_alarm_and_an_incident(
    watched: Watched, tmp_path: Path
) -> None:
    """A cheat with the right key showed a witness another history: it signs none of ours any more, and says so."""
    with Sequencer(tmp_path / "otra", watched.office.signer, FileState(tmp_path / "estado")) as other:
        other.append([b"otra"] * 3)
        policy = asked_at(watched.office.policy, {})
        only = replace(policy, witnesses={"diario": policy.witnesses["diario"]}, groups={}, quorum="diario")
        assert Panel(only, patience=PATIENCE).ask(other.checkpoint(), other.tiles())
    await watched.tonight.count(watched.tonight.night.sheets[:6])
    stop = asyncio.Event()
    part = asyncio.create_task(run(watched.office, stop, watched.health))
    try:
        await until(lambda: "testigo diario" in (watched.health.sentence() or ""))
        await until(lambda: bool(incidents(watched)))
        assert observe.LOG_DENIED.labels("diario")._value.get() == 1
        assert observe.LOG_DENIED.labels("partido")._value.get() == 0
        await until(watched.is_all_witnessed)  # two of three still sign
    finally:
        stop.set()
        await part
    await watched.tonight.log()  # the incident of the last moment has its leaf now
    said = incidents(watched)
    assert {leaf["asunto"] for leaf in said} == {"diario"}
    await watched.tonight.log()
    assert len(incidents(watched)) == len(said)
    assert watched.audits() == 0


def incidents(watched: Watched) -> list[dict[str, object]]:
    return [leaf for leaf in watched.tonight.leaves() if leaf.get("clase") == "testigo_niega"]


def test_an_address_of_no_witness_is_refused(tmp_path: Path) -> None:
    log, witness = Signer.generate("bitacora", SignatureKind.LOG), Signer.generate("testigo", SignatureKind.WITNESS)
    policy = f"log {log.key}\nwitness A {witness.key} http://uno.example\nquorum A\n"
    assert asked_at(policy, {"A": "http://dos.example"}).witnesses["A"].url == "http://dos.example"
    with pytest.raises(Rejected, match="«B»"):
        asked_at(policy, {"B": "http://dos.example"})
