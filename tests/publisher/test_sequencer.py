"""Every fact becomes a leaf once, even if the sequencer is killed, raced or lied to; and anybody can check the log."""

import asyncio
import shutil
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from integrity import layout, leaves
from integrity.log.audit import check_proof
from integrity.log.note import read_proof, trust_only
from integrity.log.writer import STEPS, FolderRolledBack, StateRolledBack
from prep.domain.hours import CENTRAL
from prep.errors import Rejected
from prep.store import log as store
from publisher.log.comparison import Difference, _compare_batch
from publisher.log.office import policy_text, signing_key
from publisher.log.sequencer import Health, run
from tests.conftest import Night
from tests.makers.logged_night import LoggedNight, logged_night
from tests.makers.waiting import until


@pytest.fixture
async def tonight(night: Night, tmp_path: Path) -> AsyncIterator[LoggedNight]:
    async with logged_night(night, tmp_path) as made:
        yield made


async def facts(tonight: LoggedNight) -> Counter[str]:
    counts = {
        "imagen": "arrival",
        "derivada": "reading",
        "captura": "entry",
        "version": "acta_version",
        "corte": "corte",
        "incidente": "event",
    }
    async with tonight.night.pool.acquire() as connection:
        return Counter({kind: await connection.fetchval(f"SELECT count(*) FROM {counts[kind]}") for kind in counts})


def told(tonight: LoggedNight) -> Counter[str]:
    return Counter(str(leaf["tipo"]) for leaf in tonight.leaves())


async def test_without_a_fact_the_log_does_not_begin(tonight: LoggedNight) -> None:
    assert await tonight.log() == 0
    assert tonight.leaves() == []


async def test_every_fact_is_one_leaf_and_the_first_describes_the_night(tonight: LoggedNight) -> None:
    await tonight.night.cut()
    await tonight.count(tonight.night.sheets[:40])
    await tonight.happen("recaptura", "090001B0100")
    await tonight.night.cut()
    await tonight.log()
    assert await tonight.log() == 0
    said = tonight.leaves()
    assert [leaf["numero"] for leaf in said] == [*range(len(said))]
    assert said[0]["tipo"] == "inicio"
    assert (said[0]["origen"], said[0]["simulacro"]) == (tonight.office.signer.key.name, True)
    assert told(tonight) == await facts(tonight) + Counter(inicio=1)
    assert tonight.audit() == 0
    assert (await tonight.compare()).pending == 0


async def test_no_leaf_names_a_person(tonight: LoggedNight) -> None:
    await tonight.happen("recaptura", "090001B0100")
    await tonight.log()
    [incident] = [leaf for leaf in tonight.leaves() if leaf["tipo"] == "incidente"]
    assert incident["detalle"] == leaves.detail_digest({"motivo": "x"})


async def test_small_batches_give_the_same_log_and_a_corte_comes_after_its_versions(tonight: LoggedNight) -> None:
    await tonight.night.cut()
    await tonight.count(tonight.night.sheets[:30])
    await tonight.night.cut()
    await tonight.log(tonight.with_batch(7))
    said = tonight.leaves()
    assert told(tonight) == await facts(tonight) + Counter(inicio=1)
    assert {leaf["tipo"] for leaf in said[-2:]} == {"corte"}
    assert tonight.audit() == 0


async def test_a_lower_number_that_commits_late_is_not_skipped(tonight: LoggedNight) -> None:
    """The transaction with the lower number may commit last; meanwhile the log goes on."""
    insert = "INSERT INTO event (kind, subject, detail, at) VALUES ('recaptura', $1, '{}', now()) RETURNING id"
    slow = await asyncpg.connect(tonight.office.url)
    quick = await asyncpg.connect(tonight.office.url)
    try:
        async with tonight.scribe() as scribe:
            late = slow.transaction()
            await late.start()
            low = await slow.fetchval(insert, "lenta")
            for number in range(12):
                assert low < await quick.fetchval(insert, f"rápida {number}")
                await scribe.turn()
            cursor = scribe._facts.cursors["incidente"]
            assert cursor.low < low < cursor.high
            await late.commit()
            assert await scribe.turn() == 1
            for _ in range(3):
                await scribe.turn()
            assert cursor.low == cursor.high
            assert await scribe.turn() == 0
        subjects = [leaf["asunto"] for leaf in tonight.leaves() if leaf["tipo"] == "incidente"]
        assert subjects == [*(f"rápida {number}" for number in range(12)), "lenta"]
    finally:
        await slow.close()
        await quick.close()


async def test_an_image_has_its_proof_at_the_address_in_its_receipt(tonight: LoggedNight) -> None:
    await tonight.count(tonight.night.sheets[:10])
    await tonight.log()
    images = [leaf for leaf in tonight.leaves() if leaf["tipo"] == "imagen"]
    assert images
    for leaf in images:
        path = tonight.office.public / layout.proof_path(str(leaf["sha256"]))
        proof = read_proof(path.read_bytes())
        assert proof.extra is not None
        assert leaves.read_leaf(proof.extra) == leaf
        report = check_proof(path.read_bytes(), proof.extra, trust_only(tonight.office.signer.key))
        assert report.exit_code == 0
        assert check_proof(path.read_bytes(), proof.extra + b" ", trust_only(tonight.office.signer.key)).exit_code == 1


async def test_proofs_that_are_lost_are_made_again_at_the_next_start(tonight: LoggedNight) -> None:
    await tonight.count(tonight.night.sheets[:10])
    await tonight.log()
    proofs = sorted((tonight.folder / "acuses").rglob("*.tlog-proof"))
    proofs[0].unlink()
    shutil.rmtree(proofs[-1].parent)
    await tonight.log()
    assert sorted((tonight.folder / "acuses").rglob("*.tlog-proof")) == proofs


async def test_a_dropped_image_shows_in_its_devices_chain(tonight: LoggedNight) -> None:
    await tonight.count(tonight.night.sheets[:6], "catd-01")
    await tonight.count(tonight.night.sheets[6:12], "catd-02")
    await tonight.log()
    last: dict[object, str] = {}
    for leaf in tonight.leaves():
        if leaf["tipo"] == "imagen":
            assert leaf["anterior"] == last.get(leaf["dispositivo"])
            last[leaf["dispositivo"]] = leaves.link(leaves.leaf("imagen", int(str(leaf["numero"])), without(leaf)))
    assert set(last) == {"catd-01", "catd-02"}


def without(leaf: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in leaf.items() if name not in {"tipo", "numero"}}


# Killed.

CHILD = """
import asyncio, os, signal, sys
from contextlib import contextmanager
from pathlib import Path
import asyncpg
from integrity.log.writer import STEPS
from integrity.log.note import read_signer
from publisher.log.office import LogOffice
from publisher.log.sequencer import opened
from prep.store import leading
from tests.makers.declared import TONIGHT
from tests.makers.logged_night import AT, arrive

url, public, key, policy = sys.argv[1:]

async def run(step, number):
    connection = await asyncpg.connect(url)
    await arrive(connection, "catd-09", number)
    await connection.close()
    office = LogOffice(url, Path(public), read_signer(key), TONIGHT, policy, lambda: AT, step, 10)
    async with leading.session(url) as leader:
        while not await leader.lead(leading.SEQUENCING):
            await asyncio.sleep(0.01)
        async with opened(office, leader) as scribe:
            while await scribe.turn():
                pass

def die(number, where, when):
    @contextmanager
    def step(name):
        if (name, when) == (where, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        yield
        if (name, when) == (where, "after"):
            os.kill(os.getpid(), signal.SIGKILL)
    asyncio.run(run(step, number))

for number, (where, when) in enumerate([(w, n) for w in ("leaves", *STEPS, "proofs") for n in ("before", "after")], 1):
    child = os.fork()
    if not child:
        die(number, where, when)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status != signal.SIGKILL:
        sys.exit(f"{where} {when}: {status}")
"""


async def test_killed_at_any_step_the_next_run_continues_the_same_log(tonight: LoggedNight) -> None:
    """Fourteen sequencers, each killed before or after another step, with a new image to log."""
    office = tonight.office
    words = (office.url, str(office.public), office.signer.to_text(), office.policy)
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, *words)
    assert await child.wait() == 0
    await tonight.log()
    assert told(tonight) == Counter(inicio=1, imagen=2 * (len(STEPS) + 2))
    assert tonight.audit() == 0
    assert (await tonight.compare()).pending == 0
    assert len(list((tonight.folder / "acuses").rglob("*.tlog-proof"))) == told(tonight)["imagen"]


async def test_of_two_sequencers_one_leads_and_the_other_takes_over(tonight: LoggedNight) -> None:
    other = replace(tonight.office)

    async def logged() -> bool:
        try:
            return told(tonight) == await facts(tonight) + Counter(inicio=1)
        except FileNotFoundError:
            return False

    async with tonight.running(other):
        async with tonight.running():
            await tonight.count(tonight.night.sheets[:10])
            await until(logged)
        await tonight.count(tonight.night.sheets[10:20])
        await until(logged)
    assert tonight.audit() == 0
    assert (await tonight.compare()).pending == 0


# Lied to.


async def test_a_folder_put_back_from_a_copy_is_refused_with_an_alarm(tonight: LoggedNight) -> None:
    await tonight.happen("recaptura", "a")
    await tonight.log()
    shutil.copytree(tonight.folder, tonight.folder.with_name("copia"))
    await tonight.count(tonight.night.sheets[:10])
    await tonight.log()
    shutil.rmtree(tonight.folder)
    tonight.folder.with_name("copia").rename(tonight.folder)
    with pytest.raises(FolderRolledBack):
        await tonight.log()
    signed = (tonight.folder / "checkpoint").read_bytes()
    health, stop = Health(), asyncio.Event()
    part = asyncio.create_task(run(tonight.office, stop, health))
    await until(lambda: "falta" in (health.sentence() or ""))
    assert health.ready.sentence() == health.sentence(), "nothing is signed until people have looked"
    stop.set()
    await part
    assert (tonight.folder / "checkpoint").read_bytes() == signed


async def test_a_database_put_back_from_a_copy_is_refused(tonight: LoggedNight) -> None:
    await tonight.happen("recaptura", "a")
    await tonight.log()
    await tonight.by_owner("DELETE FROM log_leaf WHERE index = (SELECT max(index) FROM log_leaf)")
    with pytest.raises(StateRolledBack):
        await tonight.log()


async def test_a_log_of_another_name_is_not_continued(tonight: LoggedNight, tmp_path: Path) -> None:
    await tonight.happen("recaptura", "a")
    await tonight.log()
    signer = signing_key(tmp_path / "llaves" / "otra.llave", "prep.example.mx/bitacora")
    shutil.rmtree(tonight.folder)
    await tonight.by_owner("TRUNCATE log_state")
    with pytest.raises(Rejected, match="bitácora"):
        await tonight.log(replace(tonight.office, signer=signer, policy=policy_text(signer, None)))


async def test_an_edited_row_is_found_by_the_leaf_that_it_no_longer_gives(tonight: LoggedNight) -> None:
    await tonight.night.cut()
    await tonight.count(tonight.night.sheets[:10])
    await tonight.log()
    await tonight.compare()
    edits = {
        "hoja [0-9]+, version .*(quantities)": "UPDATE acta_version SET numbers[6] = numbers[6] + 1 WHERE id = (SELECT min(id) FROM acta_version WHERE cardinality(numbers) > 6)",
        "«compromiso»": "UPDATE entry SET numbers[6] = numbers[6] + 1 WHERE id = (SELECT max(id) FROM entry)",
        "«bytes»": "UPDATE image SET bytes = bytes + 1 WHERE sha256 = (SELECT max(image) FROM arrival)",
        "«sha256sums»": "UPDATE corte SET sums = repeat('0', 64)",
    }
    for said, edit in edits.items():
        connection = await asyncpg.connect(tonight.night.owner)
        undo = connection.transaction()
        await undo.start()
        await connection.execute(edit)
        [batch] = [batch async for batch in store.every_leaf(connection, 1000)]
        with pytest.raises(Difference, match=said):
            await _compare_batch(connection, batch, 0, {}, CENTRAL)
        await undo.rollback()
        await connection.close()
    await tonight.by_owner(edits["«compromiso»"])
    with pytest.raises(Difference, match="«compromiso»"):
        await tonight.compare()


async def test_a_cheat_who_rewrites_the_row_and_its_leaf_is_stopped_by_the_tree(tonight: LoggedNight) -> None:
    await tonight.count(tonight.night.sheets[:10])
    await tonight.log()
    await tonight.by_owner("UPDATE entry SET numbers[6] = numbers[6] + 1 WHERE id = (SELECT max(id) FROM entry)")
    async with tonight.night.pool.acquire() as connection:
        reference = await connection.fetchval("SELECT max(id) FROM entry")
        index = await connection.fetchval(
            "SELECT index FROM log_leaf WHERE kind = 'captura' AND reference = $1", reference
        )
        fact = (await store.again(connection, "captura", [reference]))[reference]
    await tonight.by_owner("UPDATE log_leaf SET content = $2 WHERE index = $1", index, fact.leaf(index, None))
    with pytest.raises(Difference, match=f"hoja {index}, .*árbol publicado"):
        await tonight.compare()


async def test_a_removed_fact_and_a_removed_leaf_are_named(tonight: LoggedNight) -> None:
    await tonight.happen("recaptura", "a")
    await tonight.happen("recaptura", "b")
    await tonight.log()
    await tonight.by_owner("DELETE FROM event WHERE subject = 'b'")
    with pytest.raises(Difference, match="ya no está"):
        await tonight.compare()
    await tonight.by_owner("DELETE FROM log_leaf WHERE index = 1")
    with pytest.raises(Difference, match="falta la hoja 1"):
        await tonight.compare()


async def test_the_applications_role_cannot_rewrite_the_log(tonight: LoggedNight) -> None:
    await tonight.happen("recaptura", "a")
    await tonight.log()
    connection = await asyncpg.connect(tonight.office.url)
    for statement in (
        "UPDATE log_leaf SET content = ''",
        "DELETE FROM log_leaf",
        "DELETE FROM log_start",
        "UPDATE log_key SET nombre = ''",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


# Cortes.


async def test_beside_a_corte_stands_its_proof_and_its_captures_are_opened(tonight: LoggedNight) -> None:
    await tonight.night.cut()
    await tonight.count(tonight.night.sheets[:10])
    async with tonight.running():
        await tonight.night.cut()
        proofs = [tonight.office.public / "cortes" / f"{number:04}" / layout.CORTE_PROOF for number in (0, 1)]
        await until(lambda: all(path.exists() for path in proofs))
        await until((tonight.office.public / layout.opening_path(1)).exists)
    for number, path in enumerate(proofs):
        proof = read_proof(path.read_bytes())
        assert proof.extra is not None
        leaf = leaves.read_leaf(proof.extra)
        assert (leaf["tipo"], leaf["corte"]) == ("corte", number)
        assert check_proof(path.read_bytes(), proof.extra, trust_only(tonight.office.signer.key)).exit_code == 0
    committed = {leaf["numero"]: leaf for leaf in tonight.leaves() if leaf["tipo"] in leaves.OPENINGS}
    kinds = {number: str(leaf["tipo"]) for number, leaf in committed.items()}
    lines = (tonight.office.public / layout.opening_path(1)).read_bytes().splitlines()
    opened = {index: given for index, given, _ in (leaves.opening(line, kinds) for line in lines)}  # type: ignore[arg-type]
    assert opened == {number: leaf["compromiso"] for number, leaf in committed.items()}


def test_a_key_is_made_once_and_belongs_to_one_log(tmp_path: Path) -> None:
    path = tmp_path / "llaves" / "bitacora.llave"
    signer = signing_key(path, "prep.example.mx/bitacora")
    assert path.stat().st_mode & 0o777 == 0o600
    assert signing_key(path, "prep.example.mx/bitacora") == signer or str(signer.key) == str(
        signing_key(path, "prep.example.mx/bitacora").key
    )
    with pytest.raises(Rejected, match="es de la bitácora"):
        signing_key(path, "prep.example.mx/bitacora/simulacro")
    path.chmod(0o644)
    with pytest.raises(Rejected, match="chmod 600"):
        signing_key(path, "prep.example.mx/bitacora")


async def test_a_corte_does_not_wait_for_a_sequencer_that_is_not_there(
    tonight: LoggedNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher.cut.PROOF_PATIENCE", 0.05)
    await tonight.happen("recaptura", "a")
    await tonight.log()
    corte = await tonight.night.cut()
    proof = tonight.office.public / "cortes" / "0000" / layout.CORTE_PROOF
    assert corte.number == 0
    assert not proof.exists()
    await tonight.log()
    await tonight.log()
    assert proof.exists()


def test_the_incidents_of_the_database_are_those_of_the_log() -> None:
    assert all(f"'{kind}'" in store.SQL["incidente"] for kind in leaves.INCIDENTS)
    assert store.SQL["incidente"].count("'") == 2 * len(leaves.INCIDENTS)
