"""The log passes from key to key: a reader with the first key follows; a key that the old one did not sign is refused."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from integrity import leaves
from integrity.layout import LOG, rotation_path
from integrity.log.audit import audit_log, prove
from integrity.log.note import SignatureKind, Signer, trust_only
from integrity.log.writer import FileState, LogRefused, Sequencer
from integrity.verify import verify
from prep.store import log as store
from tests.conftest import Night
from tests.makers.logged_night import AT, NAME, LoggedNight, logged_night

NEXT = [Signer.generate(NAME, SignatureKind.LOG) for _ in range(2)]


@pytest.fixture
async def tonight(night: Night, tmp_path: Path) -> AsyncIterator[LoggedNight]:
    async with logged_night(night, tmp_path, casillas=6) as made:
        await made.night.cut()
        await made.count(made.night.sheets[:4])
        await made.log()
        yield made


async def rotate(tonight: LoggedNight, old: Signer, new: Signer) -> None:
    """Like `prep log rotate`; both keys are there."""
    async with tonight.night.pool.acquire() as connection:
        await store.hand_over(connection, NAME, new.key.public, AT)
    tonight.office = replace(tonight.office, signer=old, keys=lambda: [new])
    await tonight.log()


async def end(tonight: LoggedNight, new: Signer) -> None:
    """Like `prep log rotate --end`; the old key is gone."""
    tonight.office = replace(tonight.office, signer=new, keys=tuple)
    await tonight.count(tonight.night.sheets[4:6])
    await tonight.night.cut()
    await tonight.log()


def results(tonight: LoggedNight, key: Signer) -> tuple[int, int]:
    """The exit codes of `audit-log` and `verify` with that key."""
    policy = trust_only(key.key)
    return audit_log(str(tonight.folder), policy).exit_code, verify(str(tonight.office.public), log=policy).exit_code


async def test_a_reader_with_the_first_key_follows_to_the_last(tonight: LoggedNight) -> None:
    first = tonight.office.signer
    await rotate(tonight, first, NEXT[0])
    assert [results(tonight, key) for key in (first, NEXT[0])] == [(0, 0)] * 2
    assert (tonight.folder / "checkpoint").read_text().count("— ") == 2
    await end(tonight, NEXT[0])
    assert (tonight.folder / "checkpoint").read_text().count("— ") == 1
    assert [results(tonight, key) for key in (first, NEXT[0])] == [(0, 0)] * 2
    await rotate(tonight, NEXT[0], NEXT[1])
    await end(tonight, NEXT[1])
    assert [results(tonight, key) for key in (first, *NEXT)] == [(0, 0)] * 3
    assert verify(str(tonight.office.public)).exit_code == 0
    assert results(tonight, Signer.generate(NAME, SignatureKind.LOG)) == (1, 1)
    assert (await tonight.compare()).pending == 0


async def test_without_the_key_that_it_passed_to_the_log_signs_no_head(tonight: LoggedNight) -> None:
    async with tonight.night.pool.acquire() as connection:
        await store.hand_over(connection, NAME, NEXT[0].key.public, AT)
    signed = (tonight.folder / "checkpoint").read_bytes()
    with pytest.raises(LogRefused, match="no está en esta máquina"):
        await tonight.log()
    with pytest.raises(LogRefused, match="no está en esta máquina"):
        await tonight.log()
    assert (tonight.folder / "checkpoint").read_bytes() == signed
    tonight.office = replace(tonight.office, keys=lambda: [NEXT[0]])
    await tonight.log()
    assert results(tonight, NEXT[0]) == (0, 0)


async def test_a_rotation_that_the_old_key_did_not_sign_is_refused(tonight: LoggedNight, tmp_path: Path) -> None:
    """A cheat writes the log again under a key of their own, with a leaf and a proof that hand the log to it."""
    first, thief = tonight.office.signer, NEXT[1]
    await rotate(tonight, first, NEXT[0])
    honest = tmp_path / "copia"
    shutil.copytree(tonight.office.public, honest)
    said = [dict(leaf) for leaf in tonight.leaves()]
    next(leaf for leaf in said if leaf["tipo"] == "rotacion")["clave"] = thief.key.public.hex()
    entries = [leaves.leaf(str(leaf.pop("tipo")), int(str(leaf.pop("numero"))), leaf) for leaf in said]
    shutil.rmtree(tonight.folder / "tile")
    (tonight.folder / "checkpoint").unlink()
    proof = tonight.folder / rotation_path(1)
    with Sequencer(tonight.folder, thief, FileState(tmp_path / "estado")) as log:
        log.append(entries)
        at = next(n for n, entry in enumerate(entries) if b'"rotacion"' in entry)
        proof.write_bytes(replace(prove(str(tonight.folder), index=at), extra=entries[at]).to_bytes())
    assert results(tonight, first) == (1, 1)
    assert verify(str(tonight.office.public)).exit_code == 1
    # The same without the proof, and with the proof of another tree.
    proof.unlink()
    assert results(tonight, first) == (1, 1)
    shutil.copy(honest / LOG / rotation_path(1), proof)
    with Sequencer(tonight.folder, thief, FileState(tmp_path / "estado")) as log:
        log.append([entries[-1]])
    assert results(tonight, first) == (1, 1)


async def test_the_new_key_must_sign_the_tree_that_names_it(tonight: LoggedNight, tmp_path: Path) -> None:
    """The old key goes on alone, over a leaf that ends it."""
    first = tonight.office.signer
    await rotate(tonight, first, NEXT[0])
    text = (tonight.folder / "checkpoint").read_text().split("— ")
    (tonight.folder / "checkpoint").write_text(text[0] + f"— {text[2]}")
    assert results(tonight, first) == (1, 1)
    shutil.rmtree(tonight.folder / "rotaciones")
    assert verify(str(tonight.office.public), log=trust_only(first.key)).exit_code == 1
