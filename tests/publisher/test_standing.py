"""The owner of the database inserts what nobody typed: gate, both verifiers and verify-database each say so."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from integrity.layout import opening_path
from prep.decisions import Said
from prep.domain.corte import Phase
from prep.domain.decision import DecisionKind
from prep.rehearsal.replay import Sheet
from publisher import cut as story
from publisher.gate import GateFailure
from publisher.log.comparison import Difference
from tests.conftest import Night
from tests.makers.logged_night import AT, LoggedNight, arrive, logged_night
from tests.makers.two_people import undo_decision
from tests.publisher.test_decisions_published import acta_of, decide, images_known
from tests.tamper.matrix import judge, report


def verdicts(tonight: LoggedNight) -> list[tuple[int, tuple[str, ...]]]:
    """Exit code and wrong checks of both verifiers, for a reader with the log's key."""
    key = ["--log-key", str(tonight.office.signer.key)]
    found = [judge(tonight.office.public, key, minimal=minimal) for minimal in (False, True)]
    return [(each.exit_code, each.wrong) for each in found]


async def insert_version(tonight: LoggedNight, sheet: Sheet, ronda: int) -> None:
    """As the owner of the database: a version with 200 votes more, its cells as the program writes them."""
    acta = next(acta for acta in tonight.night.catalog.actas if acta.qr == sheet.qr)
    election = next(each for each in tonight.night.catalog.elections if each.id == acta.election)
    assert sheet.values is not None
    code = next(code for code in election.codes if isinstance(sheet.values.get(code), int))
    moved = replace(sheet, values={**sheet.values, code: int(str(sheet.values[code])) + 200})
    owner = await asyncpg.connect(tonight.night.owner)
    try:
        image = await owner.fetchval("SELECT image FROM acta_current WHERE acta = $1", acta.id)
        # PostgreSQL refuses the row. Its owner can switch that off.
        await owner.execute("ALTER TABLE acta_version DISABLE TRIGGER acta_version_follows")
        version = await tonight.night.judge_and_add_version(owner, acta, moved, image, ronda)
        await owner.execute("ALTER TABLE acta_version ENABLE TRIGGER acta_version_follows")
        await owner.execute("UPDATE acta_current SET version = $2 WHERE acta = $1", acta.id, version)
    finally:
        await owner.close()


async def test_an_inserted_version_is_seen_by_all(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with logged_night(night, tmp_path, casillas=6) as tonight:
        await tonight.night.cut()
        plain = [sheet for sheet in tonight.night.sheets if sheet.values is not None][:4]
        await tonight.count(plain[:3])
        await tonight.log()
        await tonight.night.cut()
        await tonight.log()
        assert verdicts(tonight) == [(0, ())] * 2
        assert (await tonight.compare()).pending == 0
        await insert_version(tonight, plain[0], 1)
        with pytest.raises(Difference, match=r"^EVI-12: la versión \d+, de \w+, no se sostiene"):
            await tonight.compare()
        with pytest.raises(GateFailure) as stopped:
            await tonight.night.cut()
        assert {finding.check for finding in stopped.value.findings} == {"EVI-12"}

        # The same insider takes the gate away.
        async def no_gate(*_: object) -> None: ...

        monkeypatch.setattr(story, "_run_gate", no_gate)
        await tonight.night.cut()
        await tonight.log()
        assert verdicts(tonight) == [(1, ("EVI-12", "EVI-13"))] * 2
        # A version that names a round that nobody typed: no line opens it, and the next corte makes that a fault.
        await insert_version(tonight, plain[1], 7)
        await tonight.night.cut()
        await tonight.count(plain[3:])
        await tonight.night.cut()
        await tonight.log()
        public = tonight.office.public
        found = json.loads(report(public, [], minimal=True)[0])["comprobaciones"]
        assert "falta bitacora/aperturas/0003.jsonl" in next(str(each) for each in found if each["id"] == "EVI-13")
        assert verdicts(tonight) == [(1, ("EVI-12", "EVI-13"))] * 2


async def one_alone(tonight: LoggedNight, kind: str, sheet: Sheet) -> None:
    """As the owner of the database: what two people must say, on the word of one, and of nobody for an image."""
    acta = next((acta for acta in tonight.night.catalog.actas if acta.qr == sheet.qr), None)
    owner = await asyncpg.connect(tonight.night.owner)
    try:
        if kind == "sin_acta":
            # The facts as two people make them, and then both by the one who proposed.
            await tonight.count([sheet])
            await owner.execute("ALTER TABLE confirmation DISABLE TRIGGER ALL")
            await owner.execute(
                "UPDATE confirmation c SET person = p.person FROM proposal p WHERE p.id = c.proposal AND p.acta = $1",
                acta and acta.id,
            )
            await owner.execute("ALTER TABLE confirmation ENABLE TRIGGER ALL")
        elif kind == "imagen":
            tonight.night.without_sticker.add(sheet.qr)
            await tonight.count([sheet])
            await owner.execute(
                "DELETE FROM identification WHERE identity = $1 AND person = (SELECT max(person) FROM identification)",
                sheet.qr,
            )
        else:
            await tonight.count([sheet])
            await owner.execute("UPDATE fuera_catalogo SET decision = NULL")
    finally:
        await owner.close()


@pytest.mark.parametrize("kind", ["sin_acta", "imagen", "fuera"])
async def test_the_word_of_one_is_seen_by_all_if_two_must_speak(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """`verify-database`, the gate, and both verifiers after the same insider took the gate away."""
    async with logged_night(night, tmp_path, casillas=40) as tonight:
        sheets = tonight.night.sheets
        sheet = next(
            each
            for each in sheets
            if (kind == "sin_acta") == (each.sin_acta is not None) and (kind == "fuera") == (not each.clave)
        )
        await tonight.night.cut()
        await one_alone(tonight, kind, sheet)
        await tonight.log()
        with pytest.raises(Difference, match=r"^EVI-12"):
            await tonight.compare()
        with pytest.raises(GateFailure) as stopped:
            await tonight.night.cut()
        assert {finding.check for finding in stopped.value.findings} == {"EVI-12"}

        async def no_gate(*_: object) -> None: ...

        monkeypatch.setattr(story, "_run_gate", no_gate)
        await tonight.night.cut()
        await tonight.night.cut()
        await tonight.log()
        wrong = [set(found) for _, found in verdicts(tonight)]
        assert wrong[0] == wrong[1]
        assert wrong[0] & {"EVI-12", "EVI-13"}


async def test_what_two_people_said_of_an_image_is_opened_with_its_row(night: Night, tmp_path: Path) -> None:
    """Two identified an image without a sticker; two moved another image to its acta, and took that back."""
    async with logged_night(night, tmp_path, casillas=40) as tonight:
        sheets = [sheet for sheet in tonight.night.sheets if sheet.values is not None and sheet.clave]
        first = acta_of(tonight.night, sheets[0])
        plain = [sheet for sheet in sheets if acta_of(tonight.night, sheet).contest == first.contest]
        tonight.night.without_sticker.add(plain[0].qr)
        await tonight.night.cut()
        fuera = [sheet for sheet in tonight.night.sheets if not sheet.clave]
        await tonight.count([*plain[:2], *fuera])
        await images_known(tonight.night)
        await tonight.log()
        await tonight.night.cut()
        await tonight.log()
        opened = opened_kinds(tonight, 1)
        assert opened.count("identidad") == 2 + 2 * len(fuera)
        assert verdicts(tonight) == [(0, ())] * 2

        # The image of the second acta is of a third one.
        image = await tonight.night.pool.fetchval(
            "SELECT image FROM acta_current WHERE acta = $1", acta_of(tonight.night, plain[1]).id
        )
        said = Said(DecisionKind.IMAGEN_DE_OTRA_ACTA, "etiqueta_equivocada", image=image.hex(), identity=plain[2].qr)
        moved = await decide(tonight.night, said)
        await typed_from(tonight, plain[2], plain[1], image)
        await tonight.log()
        await tonight.night.cut()
        await tonight.log()
        assert opened_kinds(tonight, 2).count("identidad") == 2
        assert verdicts(tonight) == [(0, ())] * 2

        # And it was not: it is of the second acta again, on the word of two more people.
        await undo_decision(tonight.night.pool, moved)
        await typed_from(tonight, plain[1], plain[1], image)
        await tonight.log()
        await tonight.night.cut()
        await tonight.log()
        assert opened_kinds(tonight, 3).count("identidad") == 2
        assert verdicts(tonight) == [(0, ())] * 2
        assert (await tonight.compare()).pending == 0


async def typed_from(tonight: LoggedNight, sheet: Sheet, came: Sheet, image: bytes) -> None:
    """Two people type the acta of `sheet` from an image that came as `came` did."""
    acta = acta_of(tonight.night, sheet)
    names = ("documento", "origen", "kind", "traslado", "acopio")
    as_it_came = replace(sheet, **{name: getattr(came, name) for name in names})
    async with tonight.night.pool.acquire() as connection:
        await connection.execute("DELETE FROM task")
        ronda = await tonight.night._open_round(connection, acta, image, as_it_came)
        version = await tonight.night.judge_and_add_version(connection, acta, as_it_came, image, ronda)
        await connection.execute(
            "UPDATE acta_current SET estado = 'Verificada', version = $2 WHERE acta = $1", acta.id, version
        )


def opened_kinds(tonight: LoggedNight, corte: int) -> list[str]:
    """The kinds of the leaves that the corte opens."""
    kinds = {int(str(leaf["numero"])): str(leaf["tipo"]) for leaf in tonight.leaves()}
    lines = (tonight.office.public / opening_path(corte)).read_bytes().splitlines()
    return [kinds[json.loads(line)["numero"]] for line in lines]


async def test_what_two_people_took_back_stands_too(night: Night, tmp_path: Path) -> None:
    """An acta that was sin acta is expected again: its row shows nothing, and needs no statement."""
    async with logged_night(night, tmp_path, casillas=40) as tonight:
        absent = next(sheet for sheet in tonight.night.sheets if sheet.sin_acta is not None)
        await tonight.night.cut()
        await tonight.count([absent, *[sheet for sheet in tonight.night.sheets if sheet.values is not None][:2]])
        await tonight.log()
        await tonight.night.cut()
        await tonight.log()
        assert verdicts(tonight) == [(0, ())] * 2
        [registered] = await tonight.night.pool.fetch("SELECT proposal FROM confirmation")
        await undo_decision(tonight.night.pool, registered["proposal"])
        await tonight.log()
        await tonight.night.cut()
        await tonight.log()
        assert verdicts(tonight) == [(0, ())] * 2
        # And it is sin acta after all: the same row again, and two more statements.
        await tonight.count([absent])
        await tonight.log()
        await tonight.night.cut()
        await tonight.log()
        assert [opened_kinds(tonight, corte).count("sin_acta") for corte in (1, 3)] == [2, 2]
        assert verdicts(tonight) == [(0, ())] * 2
        assert (await tonight.compare()).pending == 0


async def test_a_gap_is_told_in_the_night_and_wrong_after_it_until_two_people_declare_it(
    night: Night, tmp_path: Path
) -> None:
    async with logged_night(night, tmp_path, casillas=6) as tonight:
        await tonight.night.cut()
        async with tonight.night.pool.acquire() as connection:
            for number in (3, 4, 9):
                await arrive(connection, "movil-9", number)
        await tonight.log()
        assert verdicts(tonight) == [(0, ())] * 2
        for minimal in (False, True):
            told = json.loads(report(tonight.office.public, [], minimal=minimal)[0])["datos"]
            assert "falta el envío 5 del dispositivo movil-9" in str(told)
        await tonight.night.cut(Phase.FINAL)
        await tonight.log()
        assert verdicts(tonight) == [(1, ("EVI-06",))] * 2
        await tonight.by_owner("INSERT INTO site (code) VALUES ('CATD-9')")
        await tonight.by_owner(
            "INSERT INTO device (id, public_key, site, enrolled_at) SELECT 'movil-9', $1, min(id), $2 FROM site",
            bytes(32),
            AT,
        )
        for login in ("uno", "otra"):
            await tonight.by_owner(
                "INSERT INTO person (login, password_form, key_sha256, role, site)"
                " SELECT $1, '', sha256(''), 'supervisor', min(id) FROM site",
                login,
            )
        await tonight.by_owner(
            "INSERT INTO device_loss (device, numbers, reason, person, confirmed, at)"
            " SELECT 'movil-9', '5-8', 'robado', min(id), max(id), $1 FROM person",
            AT,
        )
        await asyncio.wait_for(tonight.log(), 60)
        assert verdicts(tonight) == [(0, ())] * 2
        assert (await tonight.compare()).pending == 0
