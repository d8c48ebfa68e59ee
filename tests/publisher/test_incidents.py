"""An incident that the institute tells: on record, in the log, in index.json and on the first page, until it is over."""

import asyncio
import json
import os
import sys
from argparse import Namespace
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from integrity import leaves, minimal_verifier, verify
from prep.errors import Rejected
from prep.settings import Part
from prep.store import cortes, leading
from publisher.incidents import LONGEST, checked_text
from publisher.service import Publisher
from tests.conftest import Night
from tests.makers.logged_night import LoggedNight, logged_night
from tests.makers.small_night import START, STEP
from tests.publisher.test_publisher import ALWAYS, ticking

SAID = "El CATD de Cozumel quedó sin energía; sus actas «llegan» en camino & tarde."


@pytest.fixture
async def tonight(night: Night, tmp_path: Path) -> AsyncIterator[LoggedNight]:
    async with logged_night(night, tmp_path, casillas=12) as made:
        yield made


def index(tonight: LoggedNight) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((tonight.night.office.public / "index.json").read_bytes())
    return told


def home(tonight: LoggedNight) -> str:
    return (tonight.night.office.public / "index.html").read_text(encoding="utf-8")


def wrong(root: Path) -> tuple[set[str], set[str]]:
    brought = dict.fromkeys(("log_key", "trust_on_first_use", "log_policy", "checkpoint", "ca", "tsa_ca"))
    small = minimal_verifier.verify(str(root), minimal_verifier.Trust(Namespace(source=str(root), **brought)))
    return {*verify.verify(str(root)).wrong()}, {check for check, found in small.wrong.items() if found}


async def test_an_incident_is_told_between_cortes_and_stays_until_it_is_over(tonight: LoggedNight) -> None:
    small, public = tonight.night, tonight.night.office.public
    publisher = Publisher(small.office, small.url, ALWAYS, ticking(timedelta()))

    async def look() -> None:
        async with leading.session(small.url) as session:
            await publisher._tell_incidents(session)

    await look()  # there is no page yet
    await small.cut()
    before = index(tonight)
    assert await cortes.tell_incident(small.pool, checked_text(SAID), START) == 1
    await look()
    [told] = index(tonight)["incidentes"]
    assert (told["numero"], told["texto"]) == (1, SAID)
    assert "Incidente, " in home(tonight)
    assert "en camino &amp; tarde." in home(tonight)
    assert [path.name for path in public.iterdir() if path.name.startswith(".corte-")] == []
    # It is in the log, with the digest of its words, and both programs accept the tree that tells it.
    await tonight.log()
    [leaf] = [each for each in tonight.leaves() if each["tipo"] == "incidente"]
    assert (leaf["clase"], leaf["asunto"]) == ("incidente_publicado", "incidente 1")
    assert leaf["detalle"] == leaves.detail_digest({"texto": SAID})
    assert wrong(public) == (set(), set())
    # The next corte keeps it.
    await tonight.count(small.sheets[:4])
    await small.cut()
    assert index(tonight)["incidentes"] == [told]
    assert "en camino &amp; tarde." in home(tonight)
    assert await cortes.tell_incident(small.pool, "Otro.", START + STEP) == 2
    assert await cortes.end_incident(small.pool, 1, START + STEP)
    assert not await cortes.end_incident(small.pool, 1, START + STEP), "it is over"
    assert not await cortes.end_incident(small.pool, 7, START + STEP)
    await look()
    assert "Cozumel" not in home(tonight)
    assert "Otro." in home(tonight)
    await cortes.end_incident(small.pool, 2, START + STEP)
    await look()
    assert "incidentes" not in index(tonight)
    assert index(tonight).keys() == before.keys()
    assert "Incidente, " not in home(tonight)
    await tonight.log()
    assert wrong(public) == (set(), set())


async def test_the_command_publishes_lists_and_ends_with_the_rights_of_the_publisher(
    tonight: LoggedNight, night: Night, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")} | {
        "PREP_DATABASE": night.parts[Part.PUBLISHER],
        "PREP_DATA": str(tmp_path),
    }

    async def incident(*words: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "prep.operations", "incident", *words), env=environment, stdout=-1, stderr=-1
        )
        out, told = await process.communicate()
        return process.returncode, (out + told).decode()

    assert await incident("publish", SAID) == (
        0,
        "incidente 1: lo dirán todas las páginas; cuando termine: prep incident end 1\n",
    )
    status, listed = await incident("list")
    assert (status, listed[:1], listed.strip().endswith(SAID)) == (0, "1", True)
    assert await incident("end", "1") == (0, "incidente 1: terminó\n")
    assert await incident("end", "1") == (2, "prep: no hay un incidente 1 que siga\n")


@pytest.mark.parametrize(
    "text",
    ["", "   ", "x" * (LONGEST + 1), "van 1,234 votos", "lleva 0.5123 de ventaja", "<script>", "a\x00b", "imagenes/ab"],
)
def test_a_text_that_a_page_cannot_show_is_refused(text: str) -> None:
    with pytest.raises(Rejected):
        checked_text(text)


def test_a_text_is_shown_in_one_line() -> None:
    assert checked_text("  Sin luz\nen 3 CATD.  ") == "Sin luz en 3 CATD."
