"""A corte copies the rows that did not change, and no reader can tell: its bytes are those of a corte made in full."""

import asyncio
import hashlib
import json
import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import asyncpg
import pytest

from prep.domain.catalog import ElectionId
from prep.domain.corte import Group
from prep.domain.entry import TOTAL, Mark
from prep.rehearsal.replay import Sheet
from prep.store import cortes
from publisher import kept, official, parcels
from publisher.kept import ChangedRow, Kept, follow
from tests.conftest import Night
from tests.makers.small_night import SmallNight, small_night
from tests.publisher.test_cut import STEPS, Killed, failing, folder, tree, until

ABOVE = b"1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\n"


@pytest.fixture
async def tonight(night: Night, tmp_path: Path) -> AsyncIterator[SmallNight]:
    async with small_night(night, tmp_path) as made:
        yield made


@pytest.fixture
def made_anew(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files of which the file before could not be followed."""
    seen: list[str] = []
    follow_really = kept.follow

    def watched(*given: object, **named: object) -> bool:
        done = follow_really(*given, **named)  # type: ignore[arg-type]
        seen.extend([] if done else [Path(str(given[1])).name])
        return done

    monkeypatch.setattr(official, "follow", watched)
    return seen


def typed_again(rng: random.Random, sheet: Sheet) -> Sheet:
    """The same acta as other people read it: with other votes, or with a field that nobody can read."""
    assert sheet.values is not None
    codes = [code for code, value in sheet.values.items() if code != TOTAL and isinstance(value, int)]
    read: list[int | Mark] = [rng.randrange(40), Mark.ILEGIBLE, Mark.SIN_DATO]
    changed = {code: rng.choice(read) for code in rng.sample(codes, 2)}
    return replace(sheet, values={**sheet.values, **changed})


@pytest.mark.parametrize("seed", [3, 5])
async def test_every_corte_of_a_random_night_is_the_one_that_is_made_in_full(
    tonight: SmallNight, tmp_path: Path, made_anew: list[str], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """A publisher that is killed at any step is followed by one that goes on; actas are typed again meanwhile."""
    rng = random.Random(seed)
    copied = _watch_blocks(monkeypatch)
    waiting = rng.sample(tonight.sheets, len(tonight.sheets))
    known = {acta.qr for acta in tonight.catalog.actas}
    counted: list[Sheet] = []
    await tonight.cut()
    for number in range(1, 5):
        some = [waiting.pop() for _ in range(min(len(waiting), rng.choice([0, 1, 7, 60])))]
        again = [each for each in counted if each.values is not None and each.qr in known]
        await tonight.count([*some, *(typed_again(rng, each) for each in rng.sample(again, min(len(again), 3)))])
        counted += some
        with pytest.raises(Killed):
            await tonight.cut(office=failing(tonight.office, rng.choice(STEPS), after=rng.random() < 0.5))
        await until(tonight, number)
    assert not made_anew
    assert copied
    copied.clear()
    whole = replace(tonight.at(tmp_path / "entero"), full=True)
    await until(tonight, number, office=whole)
    assert not copied
    assert tree(whole.public) == tree(tonight.office.public)
    assert await _sums_on_record(tonight) == await _sums_of_all_actas(tonight)


def _watch_blocks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The blocks of ZIPs that are copied from the corte before."""
    copied: list[bytes] = []
    deflate_really = parcels._deflate_group

    def watched(group: Sequence[tuple[bytes, bytes | None]]) -> bytes:
        copied.extend(kept for _, kept in group if kept is not None)
        return deflate_really(group)

    monkeypatch.setattr(parcels, "_deflate_group", watched)
    return copied


async def _sums_on_record(tonight: SmallNight) -> dict[ElectionId, list[Group]]:
    async with cortes.snapshot(tonight.pool, tonight.cut_so_far, then=True) as shown:
        kept = await shown.groups_before()
    assert kept is not None
    return {election: sorted(groups, key=attrgetter("place")) for election, groups in kept.items()}


async def _sums_of_all_actas(tonight: SmallNight) -> dict[ElectionId, list[Group]]:
    async with cortes.snapshot(tonight.pool, tonight.cut_so_far - 1, then=True) as shown:
        return {
            each.id: sorted(await shown.groups(each), key=attrgetter("place")) for each in tonight.catalog.elections
        }


async def test_wrong_sums_that_a_corte_left_are_found_and_do_not_stop_the_next(
    tonight: SmallNight, caplog: pytest.LogCaptureFixture
) -> None:
    """The gate adds up every row, so it sees them; the corte is then made from all actas, and leaves the right sums."""
    await tonight.cut()
    await tonight.count(tonight.sheets[:40])
    await tonight.cut()
    owner = await asyncpg.connect(tonight.owner)
    sums = json.loads(await owner.fetchval("SELECT by_place::text FROM corte WHERE number = 1"))
    next(iter(sums.values()))[0][-1] += 100
    await owner.execute("UPDATE corte SET by_place = $1 WHERE number = 1", json.dumps(sums))
    await owner.close()
    await tonight.count(tonight.sheets[40:50])
    await tonight.cut()
    assert [each.message for each in caplog.records].count("corte made anew in full") == 1
    await tonight.count(tonight.sheets[50:60])
    await tonight.cut()
    assert [each.message for each in caplog.records].count("corte made anew in full") == 1
    assert await _sums_on_record(tonight) == await _sums_of_all_actas(tonight)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


HARMS: tuple[Callable[[Path], None], ...] = (
    Path.unlink,
    flip,
    lambda path: os.truncate(path, path.stat().st_size - 20),
    lambda path: os.truncate(path, 0),
)


async def test_a_file_before_that_is_not_the_one_on_record_is_not_followed(
    tonight: SmallNight, made_anew: list[str]
) -> None:
    await tonight.cut()
    await tonight.count(tonight.sheets[:30])
    await tonight.cut()
    await tonight.count(tonight.sheets[30:60])
    right = await _rendered(tonight, full=True)
    assert await _rendered(tonight, full=False) == right
    assert not made_anew
    for harm in HARMS:
        for name in ("EDO_GOB_2027.csv", "SHA256SUMS"):
            path = folder(tonight.office.public, 1) / name
            content = path.read_bytes()
            harm(path)
            assert await _rendered(tonight, full=False) == right
            path.write_bytes(content)
    # A list that is not on record vouches for no file; only a file that is read is found to be another one.
    assert made_anew == ["EDO_GOB_2027.csv"] * len(HARMS)


async def _rendered(tonight: SmallNight, *, full: bool) -> dict[str, bytes]:
    """The CSV files of the next corte, of a publisher that dies before the gate looks at them."""
    with pytest.raises(Killed):
        await tonight.cut(office=failing(replace(tonight.office, full=full), "gate", after=False))
    (stage,) = tonight.office.public.glob(".corte-*")
    return {path.name: await asyncio.to_thread(path.read_bytes) for path in stage.rglob("*.csv")}


def row(place: int, cells: str = "-") -> bytes:
    return f"'{place:05}','{place:05}P',{cells}".encode()


def before(folder: Path, rows: int, fuera: int = 2) -> Kept:
    lines = [row(place) for place in range(rows)] + [b"-,-,x"] * fuera
    content = ABOVE + b"".join(line + b"\r\n" for line in lines)
    (folder / "before").write_bytes(content)
    return Kept(folder / "before", hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("block", [7, 64, 1 << 20])
def test_changed_rows_take_their_places_at_all_ends_of_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(kept, "_BLOCK", block)
    rng = random.Random(block)
    for rows in (1, 2, 3, 50):
        places = sorted(rng.sample(range(rows), min(rows, 5)))
        changed = [ChangedRow(place, row(place, "1,2,3" * rng.randrange(9))) for place in places]
        lines = [row(place) for place in range(rows)]
        for each in changed:
            lines[each.place] = each.line
        target = tmp_path / "now"
        assert follow(before(tmp_path, rows), target, b"above", changed, b"below", rows=rows)
        assert target.read_bytes() == b"above" + b"".join(line + b"\r\n" for line in lines) + b"below"


@pytest.mark.parametrize(
    ("changed", "rows"),
    [
        ([ChangedRow(3, row(4))], 9),  # another acta in its place
        ([ChangedRow(9, row(9))], 9),  # beyond the catalogue
        ([], 8),  # more rows than the catalogue has
        ([], 10),
    ],
)
def test_a_file_with_other_actas_is_not_followed(tmp_path: Path, changed: list[ChangedRow], rows: int) -> None:
    assert not follow(before(tmp_path, 9), tmp_path / "now", b"", changed, b"", rows=rows)
    assert follow(before(tmp_path, 9), tmp_path / "now", b"", [], b"", rows=9)


def test_a_stage_that_is_gone_is_no_lost_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        follow(before(tmp_path, 3), tmp_path / "gone" / "now", b"", [], b"", rows=3)
