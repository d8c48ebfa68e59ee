"""A corte goes out whole or not at all, once, and with the same bytes however often the publisher was killed."""

import asyncio
import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from integrity import verify
from prep.blobs import Blobs
from prep.domain.corte import Phase
from prep.domain.entry import TOTAL
from prep.domain.tally import SUMMARY_NAMES
from prep.errors import Parked, Rejected, Unavailable
from prep.files.official import Status, read_official
from prep.files.official_candidates import read_candidates
from prep.rehearsal.replay import Sheet
from prep.store import leading
from prep.store.database import open_pool
from prep.store.leading import Leader
from prep.store.unsettled import unsettled
from publisher.charts import share
from publisher.cut import CorteOffice, cut
from publisher.gate import GateFailure
from tests.conftest import Night
from tests.makers.s3_server import URL, S3Server
from tests.makers.small_night import SmallNight, small_night

STEPS = ("render", "gate", "sums", "fsync", "record", "images", "zip", "catalogue", "rename", "pages", "index")


@pytest.fixture
async def tonight(night: Night, tmp_path: Path) -> AsyncIterator[SmallNight]:
    async with small_night(night, tmp_path) as made:
        yield made


def tree(public: Path) -> dict[str, str]:
    """Every published file, with its digest."""
    return {
        str(path.relative_to(public)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(public.rglob("*"))
        if path.is_file()
    }


def folder(public: Path, number: int) -> Path:
    return public / "cortes" / f"{number:04}"


def totals(public: Path, number: int) -> dict[str, dict[str, object]]:
    elections: dict[str, dict[str, object]] = json.loads((folder(public, number) / "totals.json").read_bytes())[
        "elecciones"
    ]
    return elections


async def test_corte_0_is_all_zeros_even_when_actas_have_been_counted(tonight: SmallNight) -> None:
    await tonight.count(tonight.sheets[:20])
    corte = await tonight.cut()
    assert (corte.number, corte.phase) == (0, Phase.CERO)
    public = tonight.office.public
    for election in totals(public, 0).values():
        resumen = election["resumen"]
        assert isinstance(resumen, dict)
        assert all(float(value) == 0 for name, value in resumen.items() if name != "ACTAS_ESPERADAS")
        assert not any(election["votos"].values())  # type: ignore[attr-defined]
    assert json.loads((public / "index.json").read_bytes())["corte"] == 0
    official = read_official((folder(public, 0) / "EDO_GOB_2027.csv").read_bytes())
    assert {row.status for row in official.rows} == {Status.ESPERADA}


async def test_the_margin_of_each_place_is_drawn_beside_its_number(tonight: SmallNight) -> None:
    await tonight.cut()
    await tonight.count(tonight.sheets[:60])
    await tonight.cut()
    public = tonight.office.public
    contests = totals(public, 1)["DIP_LOC"]["contiendas"]
    assert isinstance(contests, list)
    whole = {str(each["id"]): int(each["resumen"]["TOTAL_VOTOS_C_CS"]) for each in contests}
    page = (public / "DIP_LOC" / "index.html").read_text(encoding="utf-8")
    lines = re.findall(r'<tr><th scope="row"><a href=.*?</tr>', page)
    drawn = [re.findall(r'<svg class="bar"[^>]*><rect width="([^"]*)"', line) for line in lines]
    told = [re.findall(r'<data value="(\d+)" data-de="DIP_LOC/contienda/(\d+):diferencia">', line) for line in lines]
    assert len(lines) == len(whole) == 2
    assert drawn == [[str(share(int(votes), whole[contest])) for votes, contest in each] for each in told]
    assert any(float(width) > 0 for [width] in drawn)
    assert not verify.verify(str(public)).wrong()


async def test_the_catalogue_goes_out_before_the_first_corte_and_again_if_the_tree_has_lost_it(
    tonight: SmallNight,
) -> None:
    published = tonight.office.public / "catalogo"
    expected = {**tonight.catalog.published}
    await tonight.cut()
    assert {path.name: path.read_bytes() for path in published.iterdir()} == expected
    manifest = json.loads((folder(tonight.office.public, 0) / "manifest.json").read_bytes())
    assert manifest["catalogo"] == hashlib.sha256((published / "SHA256SUMS").read_bytes()).hexdigest()
    shutil.rmtree(published)
    await tonight.cut()
    assert {path.name: path.read_bytes() for path in published.iterdir()} == expected
    # Bytes that are there are not written again; the gate finds other ones.
    path = published / "actas_GOB.csv"
    path.write_bytes(path.read_bytes().replace(b",B,", b",C,", 1))
    with pytest.raises(GateFailure) as failed:
        await tonight.cut()
    assert [finding.check for finding in failed.value.findings] == ["CON-20"]


async def test_a_lista_nominal_that_the_owner_of_the_database_changes_stops_the_next_corte(tonight: SmallNight) -> None:
    """Every sum of that corte is right, also in corte 0: only the catalogue of the load says otherwise."""
    owner = await asyncpg.connect(tonight.owner)
    await owner.execute("UPDATE acta SET lista_nominal = lista_nominal + 100 WHERE id = 3")
    await owner.close()
    with pytest.raises(GateFailure) as failed:
        await tonight.cut()
    assert {finding.check for finding in failed.value.findings} == {"CON-20"}


async def test_a_catalogue_without_published_files_is_loaded_again(tonight: SmallNight) -> None:
    owner = await asyncpg.connect(tonight.owner)
    await owner.execute("DELETE FROM catalog_file")
    await owner.close()
    with pytest.raises(Rejected, match="cárguelo otra vez"):
        await tonight.cut()


def cut_off(part: int, whole: int) -> str:
    """A percentage with four decimals, truncated."""
    return f"{part * 10**6 // whole // 10**4}.{part * 10**6 // whole % 10**4:04}"


async def test_the_official_file_read_by_another_reader_gives_the_thirteen_values(tonight: SmallNight) -> None:
    await tonight.cut()
    await tonight.count(tonight.sheets)
    await tonight.cut(Phase.FINAL)
    for election in tonight.catalog.elections:
        data = (folder(tonight.office.public, 1) / f"EDO_{election.code}_2027.csv").read_bytes()
        assert data.startswith(b"\xef\xbb\xbf")
        assert data.count(b"\n") == data.count(b"\r\n")
        official = read_official(data)
        captured = [row for row in official.rows if row.contabilizada in {"0", "1"}]
        counted = [row for row in captured if row.contabilizada == "1"]
        fuera = [row for row in official.rows if row.status is Status.FUERA_DE_CATALOGO]
        expected = len(official.catalogued)
        nominal = sum(row.lista_nominal or 0 for row in counted)
        votes = sum(row.total_calculado or 0 for row in counted)
        plain = sum(row.total_calculado or 0 for row in counted if row.tipo != "S")
        odd = sum(
            row.status is Status.CAPTURADA and any(text in {"Ilegible", "Sin dato", "Excede Lista Nominal"} or text.startswith("Todos") for text in row.observations)
            for row in official.rows
        )  # fmt: skip
        mine = (
            expected, len(captured) + len(fuera), len(fuera), len(captured), cut_off(len(captured), expected),
            len(counted), cut_off(len(counted), expected), cut_off(odd, expected), len(captured) - len(counted),
            nominal, votes, plain, cut_off(votes, nominal),
        )  # fmt: skip
        assert official.summary == dict(zip(SUMMARY_NAMES, map(str, mine), strict=True))
        assert [row.clave_acta for row in official.catalogued] == [
            acta.clave for acta in tonight.catalog.actas if acta.election == election.id
        ]


async def test_each_row_says_what_its_sheet_says(tonight: SmallNight) -> None:
    await tonight.cut()
    await tonight.count(tonight.sheets)
    await tonight.cut()
    sheets = {sheet.qr: sheet for sheet in tonight.sheets}
    for election in tonight.catalog.elections:
        official = read_official((folder(tonight.office.public, 1) / f"EDO_{election.code}_2027.csv").read_bytes())
        by_clave = {row.clave_acta: row for row in official.catalogued}
        for acta in (acta for acta in tonight.catalog.actas if acta.election == election.id):
            sheet, row = sheets[acta.qr], by_clave[acta.clave]
            assert (row.seccion, row.lista_nominal, row.representantes) == (
                int(acta.clave[2:6]), acta.lista_nominal, acta.representantes,
            )  # fmt: skip
            if sheet.values is None:
                assert row.status is Status.SIN_ACTA
                continue
            assert list(row.cells) == [sheet.values.get(code) for code in election.codes]
            assert row.total_asentado == sheet.values[TOTAL]


async def test_the_tools_of_a_stranger_agree(tonight: SmallNight) -> None:
    await tonight.cut()
    await tonight.count(tonight.sheets[:50])
    await tonight.cut()
    public = tonight.office.public
    for number in (0, 1):
        await asyncio.to_thread(
            subprocess.run,
            ["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"],
            cwd=folder(public, number),
            check=True,
        )
        named = {line.split("  ")[1] for line in (folder(public, number) / "SHA256SUMS").read_text().splitlines()}
        assert named | {"SHA256SUMS"} == {path.name for path in folder(public, number).iterdir()}
    manifest = json.loads((folder(public, 1) / "manifest.json").read_bytes())
    sums = (folder(public, 0) / "SHA256SUMS").read_bytes()
    assert manifest["anterior"] == {"corte": 0, "sha256sums": hashlib.sha256(sums).hexdigest()}
    package = (public / manifest["zip"]["archivo"]).read_bytes()
    assert (len(package), hashlib.sha256(package).hexdigest()) == (manifest["zip"]["bytes"], manifest["zip"]["sha256"])
    candidates = read_candidates((folder(public, 1) / "EDO_GOB_CANDIDATURAS_2027.csv").read_bytes())
    assert len({row.code for row in candidates}) == len(candidates)


async def test_every_image_is_published_under_its_digest_and_listed_once(tonight: SmallNight) -> None:
    await tonight.cut()
    await tonight.count(tonight.sheets[:40])
    await tonight.cut()
    await tonight.count(tonight.sheets[40:])
    await tonight.cut()
    public = tonight.office.public
    listed = [
        line.split(",")
        for number in range(3)
        for line in (folder(public, number) / "images.csv").read_text().splitlines()[1:]
    ]
    assert len({sha256 for sha256, _, _ in listed}) == len(listed)
    for sha256, path, _ in listed:
        assert hashlib.sha256((public / path).read_bytes()).hexdigest() == sha256
    assert {path for _, path, _ in listed} == {
        str(path.relative_to(public)) for path in (public / "imagenes").rglob("*.*")
    }
    fuera = sum(clave == "-" for _, _, clave in listed)
    assert fuera == 2  # the image of the acta that is fuera de catálogo, and its derivative


async def test_the_same_snapshot_gives_the_same_bytes(tonight: SmallNight, tmp_path: Path) -> None:
    """A corte that is made again from the database alone, on an empty disk, has the published bytes."""
    await tonight.cut()
    await tonight.count(tonight.sheets[:60])
    await tonight.cut()
    await tonight.count(tonight.sheets[60:])
    await tonight.cut()
    first = tree(tonight.office.public)
    again = tonight.at(tmp_path / "otro")
    for number in range(3):
        assert (await tonight.cut(office=again)).number == number
    assert tree(again.public) == first


async def test_a_tree_that_cannot_be_made_again_equal_is_an_alarm_not_a_corte(
    tonight: SmallNight, tmp_path: Path
) -> None:
    await tonight.cut()
    other = tonight.at(tmp_path / "otro")
    owner = await asyncpg.connect(tonight.owner)
    await owner.execute("ALTER TABLE corte DISABLE TRIGGER ALL")
    await owner.execute("UPDATE corte SET due = due + interval '1 second'")
    await owner.close()
    with pytest.raises(Parked, match="no se pudo rehacer igual"):
        await tonight.cut(office=other)
    assert not folder(other.public, 0).exists()


class Killed(BaseException):
    """The process ends here."""


def failing(office: CorteOffice, step: str, *, after: bool) -> CorteOffice:
    """An office whose process dies just before, or just after, a step takes effect."""

    @contextmanager
    def die(name: str) -> Iterator[None]:
        if name == step and not after:
            raise Killed
        yield
        if name == step:
            raise Killed

    return replace(office, step=die)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_at_every_step_in_turn_it_ends_with_the_same_tree(
    tonight: SmallNight, tmp_path: Path, after: bool
) -> None:
    """Each run begins with the remains of all runs before it, and dies one step later than the last one."""
    public = tonight.office.public
    await tonight.cut()
    for ordinal, step in enumerate(STEPS):
        await tonight.count(tonight.sheets[4 * ordinal : 4 * ordinal + 4])  # actas go on coming
        tonight.cut_so_far = await _last_recorded(tonight)
        with pytest.raises(Killed):
            await tonight.cut(office=failing(tonight.office, step, after=after))
        shown = json.loads((public / "index.json").read_bytes())
        assert shown["corte"] == (1 if (step, after) == ("index", True) else 0)
        assert folder(public, shown["corte"]).exists()
    await until(tonight, 2)
    clean = tonight.at(tmp_path / "limpio")
    await until(tonight, 2, office=clean)
    assert tree(public) == tree(clean.public)
    await _each_version_once(tonight)


async def until(tonight: SmallNight, number: int, *, office: CorteOffice | None = None) -> None:
    """Run the publisher, like its loop, until that corte is out."""
    office = office or tonight.office
    last = None
    while last is None or last < number:
        tonight.cut_so_far = await _last_recorded(tonight)
        last = (await tonight.cut(office=office)).number


async def _last_recorded(tonight: SmallNight) -> int:
    async with tonight.pool.acquire() as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM corte")
        return count


async def _each_version_once(tonight: SmallNight) -> None:
    async with tonight.pool.acquire() as connection:
        unpublished = await connection.fetchval(
            "SELECT count(*) FROM acta_current c WHERE c.estado = 'Verificada' OR NOT EXISTS (SELECT FROM publication p WHERE p.version = c.version)"
        )
        assert unpublished == 0
        chain = await connection.fetch("SELECT number, previous FROM corte ORDER BY number")
        assert [tuple(row) for row in chain] == [(0, None), *((number, number - 1) for number in range(1, len(chain)))]


async def test_of_two_publishers_one_leads_and_the_other_waits(tonight: SmallNight) -> None:
    async with leading.cutting(tonight.url) as leader:
        with pytest.raises(Unavailable, match="otro publicador"):
            async with leading.cutting(tonight.url):
                pass
        await cut(tonight.office, leader, tonight.order())
    tonight.cut_so_far = 1
    async with leading.cutting(tonight.url, patience=5) as successor:
        corte = await cut(tonight.office, successor, tonight.order())
        assert corte is not None
        assert corte.number == 1
        assert await cut(tonight.office, successor, None) is None


def files(public: Path) -> dict[str, tuple[int, int]]:
    """By name, every file that is written once: its inode, and the time of its last write."""
    found = (path for place in ("imagenes", "cortes", "zip") for path in (public / place).rglob("*"))
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found if path.is_file()}


async def test_a_writer_to_the_published_tree_does_not_reach_the_originals(tonight: SmallNight) -> None:
    await tonight.cut()
    await tonight.count(tonight.sheets[:5])
    await tonight.cut()
    published = [path for path in (tonight.office.public / "imagenes").rglob("*") if path.is_file()]
    assert len(published) > 4
    for path in published:
        with path.open("r+b") as file:
            file.write(b"otra cosa")
        assert await tonight.office.blobs.get(path.stem), "its digest is still the one in its name"


@pytest.mark.parametrize("lost", ["nothing", "the rename", "a corte"])
async def test_published_bytes_are_written_once_and_no_later_run_touches_them(
    tonight: SmallNight, tmp_path: Path, lost: str
) -> None:
    """Later cortes, a restart that finishes a corte, a corte made again: none of them takes a published file away.

    A file that is removed and written again gets another inode. A later acta has an image with exactly the bytes of the web copy of an earlier
    one.
    """
    draw = tonight.draw
    earlier, later = (next(s for s in tonight.sheets[first:] if s.sin_acta is None) for first in (0, 30))
    await tonight.cut()
    await tonight.count(tonight.sheets[:30])
    if lost == "the rename":
        with pytest.raises(Killed):
            await tonight.cut(office=failing(tonight.office, "rename", after=False))
    else:
        await tonight.cut()
    public = tonight.office.public
    shutil.copytree(public, tmp_path / "copia")
    shutil.rmtree(public)
    shutil.move(tmp_path / "copia", public)
    if lost == "a corte":
        shutil.rmtree(folder(public, 1))
    before = files(public)
    assert any("/imagenes/" in name for name in before)
    assert any("/zip/" in name for name in before)
    await until(tonight, 1)
    tonight.draw = lambda sheet: draw(earlier) + b"\n" if sheet is later else draw(sheet)
    await tonight.count(tonight.sheets[30:60])
    await until(tonight, 2)
    after = files(public)
    assert len(after) > len(before)
    assert {name: after.get(name) for name in before} == before


async def test_who_has_lost_the_lock_records_nothing(tonight: SmallNight) -> None:
    """The record uses the connection that holds the lock: both are lost together."""

    @contextmanager
    def cut_off(step: str) -> Iterator[None]:
        if step == "record":
            leader.terminate()
        yield

    leader = await asyncpg.connect(tonight.url)
    with pytest.raises(Unavailable):
        await cut(replace(tonight.office, step=cut_off), Leader(leader), tonight.order())
    assert await _last_recorded(tonight) == 0


MOMENTS = {
    "until it is recorded": [("render", False), ("gate", False), ("sums", False), ("fsync", False), ("record", False)],
    "until it is there": [("record", True), ("images", False), ("zip", False), ("rename", False)],
    "until people see it": [("rename", True), ("pages", False), ("pages", True), ("index", False)],
}


@pytest.mark.parametrize("moments", MOMENTS.values(), ids=MOMENTS)
async def test_a_publisher_that_stood_still_while_another_took_over_changes_nothing_more(
    tonight: SmallNight, tmp_path: Path, moments: list[tuple[str, bool]]
) -> None:
    """Stop it at a step, end its session, let another cut a corte and a half, and let it go on; at each step in turn."""
    await tonight.cut()
    stood = 0

    @contextmanager
    def stand_still(name: str) -> Iterator[None]:
        if (name, False) == moments[stood]:
            stop()
        yield
        if (name, True) == moments[stood]:
            stop()

    def stop() -> None:
        """This whole loop stands still until the other publisher is done."""
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(asyncio.run, overtake(tonight, stood)).result()

    for stood in range(len(moments)):
        await tonight.count(_tens(tonight, 2 * stood))
        tonight.cut_so_far = await _last_recorded(tonight)
        async with leading.cutting(tonight.url, patience=5) as leader:
            with pytest.raises(Unavailable):
                await cut(replace(tonight.office, step=stand_still), leader, tonight.order())
        assert json.loads((tonight.office.public / "index.json").read_bytes())["corte"] == 2 * (stood + 1)
    clean = tonight.at(tmp_path / "limpio")
    await until(tonight, 2 * len(moments), office=clean)
    assert tree(tonight.office.public) == tree(clean.public)
    await _each_version_once(tonight)


def _tens(tonight: SmallNight, ordinal: int) -> list[Sheet]:
    return tonight.sheets[10 * ordinal : 10 * ordinal + 10]


async def overtake(tonight: SmallNight, stood: int) -> None:
    """End the session of the publisher that cuts; correct an acta, count others, and cut until two more cortes are out."""
    owner = await asyncpg.connect(tonight.owner)
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'prep-publisher' AND datname = current_database()"
    )
    await owner.close()
    async with await open_pool(tonight.url, connections=4) as pool:
        there = replace(tonight, office=replace(tonight.office, pool=pool))
        corrected = next(sheet for sheet in _tens(tonight, 2 * stood) if _sheet_counts(sheet))
        assert corrected.values is not None
        await there.count(
            [replace(corrected, values={**corrected.values, "NULOS": _votes_on_sheet(corrected, "NULOS") + 1})]
        )
        await there.count(_tens(tonight, 2 * stood + 1))
        await until(there, 2 * (stood + 1))


async def test_publishers_without_the_lock_still_cannot_publish_a_corte_twice(
    tonight: SmallNight, tmp_path: Path
) -> None:
    """The chain itself refuses: the number is taken, and the loser leaves no file that counts."""
    await tonight.cut()
    await tonight.count(tonight.sheets[:10])
    one, two = await asyncpg.connect(tonight.url), await asyncpg.connect(tonight.url)
    await cut(tonight.at(tmp_path / "dos"), Leader(two), tonight.order())  # its tree is behind by corte 0
    results = await asyncio.gather(
        cut(tonight.office, Leader(one), tonight.order()), cut(tonight.at(tmp_path / "dos"), Leader(two), tonight.order()),
        return_exceptions=True,
    )  # fmt: skip
    assert sum(isinstance(result, Rejected) for result in results) == 1
    assert await _last_recorded(tonight) == 2
    await one.close()
    await two.close()


async def test_a_correction_is_recorded_and_lets_a_total_shrink(tonight: SmallNight) -> None:
    await tonight.cut()
    await tonight.count(tonight.sheets)
    await tonight.cut()
    corrected = next(sheet for sheet in tonight.sheets if _sheet_counts(sheet))
    assert corrected.values is not None
    largest = max(
        (code for code in corrected.values if code.isupper() and "_" not in code),
        key=lambda code: _votes_on_sheet(corrected, code),
    )
    await tonight.count([replace(corrected, values={**corrected.values, largest: 0})])
    await tonight.cut()
    manifest = json.loads((folder(tonight.office.public, 2) / "manifest.json").read_bytes())
    assert [each["acta"] for each in manifest["correcciones"]] == [corrected.clave]
    async with tonight.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM acta_current WHERE estado = 'Verificada'") == 0


def _votes_on_sheet(sheet: Sheet, code: str) -> int:
    assert sheet.values is not None
    said = sheet.values[code]
    return said if isinstance(said, int) else 0


def _sheet_counts(sheet: Sheet) -> bool:
    return (
        sheet.values is not None and all(isinstance(said, int) for said in sheet.values.values()) and bool(sheet.clave)
    )


async def test_the_gate_stops_a_corte_whose_rows_do_not_give_its_totals(tonight: SmallNight) -> None:
    """The printed cells of a version differ from its numbers: one vote more in the row than in the sums."""
    await tonight.cut()
    await tonight.count(tonight.sheets[:30])
    connection = await asyncpg.connect(tonight.owner)
    await connection.execute(
        "UPDATE acta_version SET numbers[5] = numbers[5] + 1, calculado = calculado + 1 WHERE id = (SELECT min(id) FROM acta_version WHERE contabilizada = 1 AND numbers[5] IS NOT NULL)"
    )
    await connection.close()
    with pytest.raises(GateFailure) as failed:
        await tonight.cut()
    assert {finding.check for finding in failed.value.findings} >= {"trece_valores", "votos"}
    assert json.loads((tonight.office.public / "index.json").read_bytes())["corte"] == 0
    assert await _last_recorded(tonight) == 1


async def test_the_gate_stops_a_corte_that_lists_an_image_twice(tonight: SmallNight) -> None:
    """All images are there and whole, so none may be held back: the corte must stop."""
    await tonight.cut()
    await tonight.count(tonight.sheets[:30])

    @contextmanager
    def list_twice(step: str) -> Iterator[None]:
        if step == "gate":
            [listed] = tonight.office.public.glob(".corte-*/corte/images.csv")
            listed.write_bytes(listed.read_bytes() + listed.read_bytes().splitlines(keepends=True)[-1])
        yield

    with pytest.raises(GateFailure) as failed:
        await tonight.cut(office=replace(tonight.office, step=list_twice))
    told = [(finding.check, finding.expected) for finding in failed.value.findings]
    assert told == [("imagen", "una vez"), ("COM-05", "imágenes en orden y sin repetir")]
    assert json.loads((tonight.office.public / "index.json").read_bytes())["corte"] == 0
    assert await _last_recorded(tonight) == 1
    async with tonight.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM held_back") == 0


async def test_a_lost_image_keeps_its_acta_back_and_no_other(tonight: SmallNight) -> None:
    """Damaged, then missing, then back: the tree of each corte is whole, and no acta is lost."""
    await tonight.cut()
    await tonight.count(tonight.sheets[:5])
    async with tonight.pool.acquire() as connection:
        image = (await connection.fetchval("SELECT image FROM acta_version WHERE image IS NOT NULL LIMIT 1")).hex()
    path = tonight.office.blobs.local_path(image)
    assert path is not None
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(b"otra cosa")

    def shown() -> tuple[int, bool]:
        folder = tonight.office.public / json.loads((tonight.office.public / "index.json").read_text())["carpeta"]
        totals = json.loads((folder / "totals.json").read_text())
        captured = sum(each["actas"]["capturadas"] for each in totals["elecciones"].values())
        return captured, any(image in csv.read_text() for csv in folder.glob("*.csv"))

    await tonight.cut()
    before = shown()
    assert not before[1]
    path.unlink()
    await tonight.cut()
    assert shown() == before
    async with tonight.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM held_back") == 1
        assert await connection.fetchval("SELECT subject FROM event WHERE kind = 'imagen_retenida'") == image
        assert (await unsettled(connection)).retenidas == 1
    path.write_bytes(good)
    assert (await tonight.cut()).number == 3
    assert shown() == (before[0] + 1, True)
    async with tonight.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM held_back") == 0


async def test_a_correction_whose_image_is_gone_leaves_the_published_row(tonight: SmallNight) -> None:
    await tonight.cut()
    await tonight.count(tonight.sheets[:3])
    await tonight.cut()
    tonight.draw = lambda sheet: f"otra foto de {sheet.key}".encode()
    await tonight.count(tonight.sheets[:1])
    async with tonight.pool.acquire() as connection:
        image = (await connection.fetchval("SELECT image FROM acta_version ORDER BY id DESC LIMIT 1")).hex()
    path = tonight.office.blobs.local_path(image)
    assert path is not None
    path.unlink()
    one = await tonight.cut()
    files = [
        tonight.office.public / "cortes" / f"{number:04}" / "totals.json" for number in (one.number - 1, one.number)
    ]
    assert files[0].read_bytes() == files[1].read_bytes()


async def test_images_that_are_in_an_s3_give_the_same_corte(tonight: SmallNight, s3: S3Server, tmp_path: Path) -> None:
    await tonight.cut()
    await tonight.count(tonight.sheets)
    await tonight.cut()
    far = replace(tonight.at(tmp_path / "lejos"), blobs=Blobs.open(URL, s3=s3.access))
    kept = [path.read_bytes() for path in sorted((tmp_path / "blobs" / "sha256").glob("*/*"))]
    for content in kept[1:]:
        await far.blobs.put(content)
    await tonight.cut(office=far)
    with pytest.raises(Parked, match="falta en el almac"):
        await tonight.cut(office=far)
    await far.blobs.put(kept[0])
    await tonight.cut(office=far)
    assert tree(far.public) == tree(tonight.office.public)


async def test_no_corte_follows_the_last_one_and_none_comes_before_the_first(tonight: SmallNight) -> None:
    with pytest.raises(Rejected, match="ceros"):
        await tonight.cut(Phase.EN_CURSO)
    await tonight.cut()
    with pytest.raises(Rejected, match="ceros"):
        await tonight.cut(Phase.CERO)
    await tonight.count(tonight.sheets)
    await tonight.cut(Phase.FINAL)
    assert json.loads((tonight.office.public / "index.json").read_bytes())["siguiente"] is None
    with pytest.raises(Rejected, match="fue el último"):
        await tonight.cut(Phase.EN_CURSO)


async def test_totals_are_a_pure_function_of_the_facts(tonight: SmallNight) -> None:
    """The same actas, cut at other times and in other portions, give the same bytes at the end."""
    await tonight.cut()
    await tonight.count(tonight.sheets)
    await tonight.cut()
    tonight.cut_so_far = 9
    await tonight.cut()
    same = [(folder(tonight.office.public, number) / "totals.json").read_bytes() for number in (1, 2)]
    assert same[0] == same[1]


async def test_pages_change_only_if_their_content_changed(tonight: SmallNight) -> None:
    await tonight.cut()
    await tonight.count(tonight.sheets[:20])
    await tonight.cut()
    public = tonight.office.public
    before = tree(public)
    await tonight.count(tonight.sheets[20:22])
    await tonight.cut()
    after = tree(public)
    changed = {name for name in after if name.endswith(".html") and before.get(name) != after[name]}
    actas = {
        name
        for name in changed
        if any(sheet.clave and name.endswith(f"{sheet.clave}.html") for sheet in tonight.sheets)
    }
    assert len(actas) == 2
    assert {"index.html", "GOB/index.html", "DIP_LOC/index.html"} <= changed
    page = (public / min(actas)).read_text(encoding="utf-8")
    assert re.findall("<script.*", page) == ['<script src="../sitio.js" defer></script>']
    assert 'lang="es-MX"' in page
    told = json.loads((public / "cambios" / "0002.json").read_bytes())
    assert {*told["paginas"]} == changed
    assert len([name for name in told["paginas"] if name.startswith("seccion/")]) in {1, 2}
    assert "glosario.html" not in told["paginas"]


async def test_a_corrected_acta_keeps_its_earlier_values_and_stands_on_the_list(tonight: SmallNight) -> None:
    await tonight.cut()
    await tonight.count(tonight.sheets[:10])
    await tonight.cut()
    old = next(sheet for sheet in tonight.sheets[:10] if _sheet_counts(sheet))
    assert old.values is not None
    votes = _votes_on_sheet(old, "NULOS")
    await tonight.count([replace(old, values={**old.values, "NULOS": votes + 3})])
    await tonight.cut()
    public = tonight.office.public
    acta = next(acta for acta in tonight.catalog.actas if acta.qr == old.qr)
    code = next(each.code for each in tonight.catalog.elections if each.id == acta.election)
    page = (public / code / f"{acta.clave}.html").read_text(encoding="utf-8")
    assert "Lo que se publicó antes" in page
    row = f'<tr><th scope="row">Votos nulos</th><td>{votes}</td><td>{votes + 3}</td></tr>'
    assert row in page
    assert f'href="{acta.clave}.html"' in (public / code / "corregidas.html").read_text(encoding="utf-8")
    others = [each.code for each in tonight.catalog.elections if each.code != code]
    assert all("No hay ninguna." in (public / each / "corregidas.html").read_text("utf-8") for each in others)
    told = json.loads((public / f"seccion/{acta.clave[:2]}-{acta.clave[2:6]}.json").read_bytes())
    states = {each["acta"]: each for casilla in told["datos"] for each in casilla["actas"]}
    assert states[acta.clave]["pagina"] == f"{code}/{acta.clave}.html"
    waiting = [each for each in states.values() if each["pagina"] is None]
    assert {each["estado"] for each in waiting} <= {"Todavía no llega"}


async def test_a_corte_that_is_made_again_late_leaves_the_pages_of_later_ones(tonight: SmallNight) -> None:
    """Also the page of an acta that a later corte corrected, the start page and the feed."""
    await tonight.cut()
    await tonight.count(tonight.sheets[:10])
    await tonight.cut()
    old = next(sheet for sheet in tonight.sheets[:10] if _sheet_counts(sheet))
    assert old.values is not None
    await tonight.count([replace(old, values={**old.values, "NULOS": _votes_on_sheet(old, "NULOS") + 3})])
    await tonight.count(tonight.sheets[10:14])
    await tonight.cut()
    public = tonight.office.public
    before = tree(public)
    shutil.rmtree(folder(public, 1))
    clave = next(sheet.clave for sheet in tonight.sheets[:10] if sheet.clave and sheet.clave != old.clave)
    for page in public.glob(f"*/{clave}.*"):  # a page of the corte that is lost with it comes back
        page.unlink()
    assert (await tonight.cut()).number == 1
    assert tree(public) == before


def active_names(files: dict[str, bytes]) -> dict[str, bytes]:
    """Every territory, contest and candidate of the catalogue has the name of a program."""
    changed = dict(files)
    for name, column in (("territorios.csv", "nombre"), ("candidaturas.csv", "propietaria")):
        rows = list(csv.DictReader(io.StringIO(files[name].decode("utf-8-sig"), newline="")))
        for number, row in enumerate(rows):
            row[column] = f'<script>alert("{number}")</script>'
        out = io.StringIO()
        writer = csv.DictWriter(out, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
        changed[name] = out.getvalue().encode()
    return changed


async def test_a_name_in_the_catalogue_is_text_on_every_page(night: Night, tmp_path: Path) -> None:
    async with small_night(night, tmp_path, changed=active_names) as tonight:
        await tonight.cut()
        await tonight.count(tonight.sheets[:10])
        await tonight.cut()
        public = tonight.office.public
    pages = {path.name: path.read_text(encoding="utf-8") for path in public.rglob("*.html")}
    assert any("&lt;script&gt;" in page for page in pages.values())
    scripts = {name: re.findall("<script[^>]*>", page) for name, page in pages.items()}
    assert {name for name, found in scripts.items() if "<script>" in found} == {"verificar.html"}
    assert all(len(found) == 1 for found in scripts.values())
    assert "alert" not in pages["verificar.html"]
