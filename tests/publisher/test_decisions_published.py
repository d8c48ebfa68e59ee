"""What two people took away is published with its reason, and both verifiers accept the tree that follows."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prep import decisions, pipeline
from prep.decisions import Said
from prep.domain.catalog import Acta
from prep.domain.decision import DecisionKind, DecisionMove
from prep.domain.hours import CENTRAL
from prep.rehearsal.replay import Sheet
from prep.store import log
from prep.store.database import transaction
from tests.conftest import Night
from tests.makers.small_night import START, SmallNight, small_night
from tests.makers.two_people import two_people, undo_decision
from tests.tamper.matrix import judge


@pytest.fixture
async def tonight(night: Night, tmp_path: Path) -> AsyncIterator[SmallNight]:
    async with small_night(night, tmp_path) as made:
        yield made


GIVEN = pipeline.Given(lambda: START, lambda: 0.5, lambda: CENTRAL)


async def images_known(tonight: SmallNight) -> None:
    """What the pipeline keeps of each image and `SmallNight` of some: its acta."""
    async with tonight.pool.acquire() as connection:
        await connection.execute(
            """INSERT INTO image_current (image, state, acta, changed_at)
            SELECT i.sha256, CASE WHEN c.acta IS NULL THEN 'fuera_de_catalogo' ELSE 'identificada' END, c.acta, $1
            FROM image i LEFT JOIN acta_current c ON c.image = i.sha256 ON CONFLICT DO NOTHING""",
            START,
        )


async def decide(tonight: SmallNight, said: Said) -> int:
    async with transaction(tonight.pool) as connection:
        first, second = await two_people(connection, START)
        found, _ = await decisions.propose(connection, said, first)
        await decisions.answer(connection, found.id, DecisionMove.CONFIRMA, words="", by=second, given=GIVEN)
    return found.id


def manifest(tonight: SmallNight, number: int) -> dict[str, Any]:
    path = tonight.office.public / "cortes" / f"{number:04}" / "manifest.json"
    read: dict[str, Any] = json.loads(path.read_bytes())
    return read


def verdicts(tree: Path) -> list[tuple[str, ...]]:
    return [judge(tree, [], minimal=minimal).wrong for minimal in (False, True)]


def acta_of(tonight: SmallNight, sheet: Sheet) -> Acta:
    return next(acta for acta in tonight.catalog.actas if acta.qr == sheet.qr)


async def test_what_two_people_took_away_and_why_is_published_and_verified(tonight: SmallNight) -> None:
    public = tonight.office.public
    with_image = [sheet for sheet in tonight.sheets if sheet.values is not None and sheet.clave]
    one = with_image[0]
    other = next(
        sheet for sheet in with_image[1:] if acta_of(tonight, sheet).election == acta_of(tonight, one).election
    )
    absent = next(sheet for sheet in tonight.sheets if sheet.sin_acta is not None)
    await tonight.cut()
    await tonight.count([sheet for sheet in tonight.sheets if sheet is not other])
    await images_known(tonight)
    await tonight.cut()
    assert "decisiones" in manifest(tonight, 1), "the sin acta of this night"
    [registered] = [
        each["numero"]
        for each in manifest(tonight, 1)["decisiones"]
        if each["asunto"].endswith(acta_of(tonight, absent).clave)
    ]
    assert verdicts(public) == [(), ()]
    page = public / next(e.code for e in tonight.catalog.elections if e.id == acta_of(tonight, one).election)
    page /= f"{acta_of(tonight, one).clave}.html"
    assert page.exists()

    # The image of one acta is of the other, which it then counts for; a sin acta was none.
    image = (
        await tonight.pool.fetchval("SELECT image FROM acta_current WHERE acta = $1", acta_of(tonight, one).id)
    ).hex()
    words = "las dos casillas comparten escuela"
    moved = await decide(
        tonight,
        Said(DecisionKind.IMAGEN_DE_OTRA_ACTA, "etiqueta_equivocada", words, image=image, identity=other.qr),
    )
    await undo_decision(tonight.pool, registered)
    await tonight.cut()
    told = manifest(tonight, 2)
    assert [(each["numero"], each["clase"], each["motivo"]) for each in told["decisiones"]] == [
        (moved, "imagen_de_otra_acta", "etiqueta_equivocada"),
        (moved + 1, "sin_acta", "otra"),
    ]
    assert told["decisiones"][0]["razon"] == "El acta trae la etiqueta de otra acta"
    assert (told["decisiones"][0]["texto"], told["decisiones"][0]["asunto"]) == (words, image)
    assert (told["decisiones"][1]["deshace"], told["decisiones"][1]["texto"]) == (registered, "se leyó mal")
    taken = {acta_of(tonight, one).clave, acta_of(tonight, absent).clave}
    assert {each["acta"] for each in told["correcciones"]} == taken
    assert {each["motivo"] for each in told["correcciones"]} == {"retiro"}
    assert not page.exists(), "an acta that is not captured has no page"
    async with tonight.pool.acquire() as connection:
        versions = [row["id"] for row in await connection.fetch("SELECT id FROM acta_version WHERE reason = 'retiro'")]
        assert len(versions) == 2
        assert await log.cells_that_differ(connection, versions, CENTRAL) == {}, (
            "the facts give the cells that are on record"
        )
    assert verdicts(public) == [(), ()]

    # The same picture comes out for the acta that it is of: the list of images names it once more.
    async with tonight.pool.acquire() as connection:  # typed and verified
        await connection.execute("DELETE FROM task")
        acta, picture = acta_of(tonight, other), bytes.fromhex(image)
        # It came as the image of the other acta did.
        came = {name: getattr(one, name) for name in ("documento", "origen", "kind", "traslado", "acopio")}
        as_it_came = replace(other, **came)
        ronda = await tonight._open_round(connection, acta, picture, as_it_came)
        version = await tonight.judge_and_add_version(connection, acta, as_it_came, picture, ronda)
        await connection.execute(
            "UPDATE acta_current SET estado = 'Verificada', version = $2 WHERE acta = $1", acta.id, version
        )
    await tonight.cut()
    listed = (public / "cortes" / "0003" / "images.csv").read_text().splitlines()
    assert [line.split(",")[2] for line in listed if line.startswith(image)] == [acta_of(tonight, other).clave]
    assert verdicts(public) == [(), ()]


async def test_a_removed_row_fuera_de_catalogo_is_told_and_a_corte_from_before_is_made_again_with_it(
    tonight: SmallNight,
) -> None:
    public = tonight.office.public
    fuera = next(sheet for sheet in tonight.sheets if not sheet.clave)
    await tonight.cut()
    await tonight.count(tonight.sheets)
    await images_known(tonight)
    await tonight.cut()
    row = await tonight.pool.fetchrow("SELECT image, identity FROM fuera_catalogo")
    assert row is not None
    assert row["identity"] == fuera.qr
    said = Said(DecisionKind.IMAGEN_DE_OTRA_ACTA, "identificada_por_error", image=row["image"].hex())
    await decide(tonight, said)
    await tonight.cut()
    counts = [
        json.loads((public / "cortes" / f"{number:04}" / "totals.json").read_bytes())["elecciones"] for number in (1, 2)
    ]
    found = [sum(each["actas"]["fuera_de_catalogo"] for each in of.values()) for of in counts]
    assert found == [1, 0]
    assert [each["asunto"] for each in manifest(tonight, 2)["decisiones"]] == [row["image"].hex()]
    assert verdicts(public) == [(), ()]
    before = {path.name: path.read_bytes() for path in (public / "cortes" / "0001").iterdir()}
    for path in (public / "cortes").rglob("0001/*"):
        path.unlink()
    (public / "cortes" / "0001").rmdir()
    await tonight.cut()
    assert {path.name: path.read_bytes() for path in (public / "cortes" / "0001").iterdir()} == before


async def test_that_an_image_stays_outside_is_told_with_its_reason_and_changes_no_row(tonight: SmallNight) -> None:
    public = tonight.office.public
    await tonight.cut()
    await tonight.count(tonight.sheets)
    await images_known(tonight)
    await tonight.cut()
    row = await tonight.pool.fetchrow("SELECT image, identity FROM fuera_catalogo")
    assert row is not None
    image, identity = row["image"].hex(), row["identity"]
    said = Said(DecisionKind.FUERA_DE_CATALOGO, "casilla_no_aprobada", "", image=image, identity=identity)
    number = await decide(tonight, said)
    await tonight.cut()
    [told] = manifest(tonight, 2)["decisiones"]
    assert (told["numero"], told["clase"], told["motivo"], told["asunto"]) == (
        number, "fuera_de_catalogo", "casilla_no_aprobada", image,
    )  # fmt: skip
    await undo_decision(tonight.pool, number)
    await tonight.cut()
    assert manifest(tonight, 3)["decisiones"][0]["deshace"] == number
    for election in tonight.catalog.elections:
        rows = [
            next((public / "cortes" / f"{corte:04}").glob(f"*_{election.code}_????.csv"))
            .read_text("utf-8-sig")
            .splitlines()[7:]
            for corte in (1, 2, 3)
        ]
        assert rows[0] == rows[1] == rows[2]
    assert verdicts(public) == [(), ()]
