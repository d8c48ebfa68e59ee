"""The clean data come after their corte, are the same whenever they are made, and are named by the next manifest."""

import asyncio
import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from integrity import minimal_verifier
from integrity.layout import DATA
from integrity.report import Result
from integrity.verify import verify
from prep.domain.corte import Phase
from prep.store import leading
from publisher import data
from publisher.cut import cut
from publisher.schedule import Schedule
from publisher.service import Publisher
from tests.conftest import Night
from tests.makers.small_night import SmallNight, make_clean_data, small_night


@pytest.fixture
async def tonight(night: Night, tmp_path: Path) -> AsyncIterator[SmallNight]:
    async with small_night(night, tmp_path) as made:
        yield made


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def named(public: Path, number: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((public / f"cortes/{number:04}/manifest.json").read_bytes()).get(
        "datos", []
    )
    return found


def both_approve(public: Path) -> None:
    wrong = {
        check.id: check.findings[0].sentence for check in verify(str(public)).checks if check.result is Result.WRONG
    }
    assert not wrong
    assert minimal_verifier.main([str(public), "--json"]) == 2  # the reader brings no key, and no check is wrong


async def test_the_next_manifest_names_the_lists_that_came_since_the_one_before(tonight: SmallNight) -> None:
    public = tonight.office.public
    await tonight.cut()
    assert data.lacking(public) == [0]
    await tonight.count(tonight.sheets[:40])
    await tonight.cut()
    assert named(public, 1) == []
    assert await data.complete(public) == ""
    assert data.lacking(public) == []
    await tonight.count(tonight.sheets[40:80])
    await tonight.cut()
    lists = [
        {
            "corte": number,
            "sha256sums": hashlib.sha256((public / f"datos/{number:04}/SHA256SUMS").read_bytes()).hexdigest(),
        }
        for number in (0, 1)
    ]
    assert named(public, 2) == lists
    both_approve(public)
    # Each is named once, and the last corte has its own when it is asked for.
    await tonight.cut(Phase.FINAL)
    assert named(public, 3) == []
    make_clean_data(public)
    assert sorted(path.name for path in (public / "datos").iterdir()) == ["0000", "0001", "0002", "0003"]
    both_approve(public)


async def test_a_lost_tree_is_made_again_with_the_same_data(tonight: SmallNight, tmp_path: Path) -> None:
    public = tonight.office.public
    await tonight.cut()
    await tonight.count(tonight.sheets[:40])
    make_clean_data(public)
    await tonight.cut()
    make_clean_data(public)
    whole = digests(public)
    shutil.rmtree(public / "datos")
    shutil.rmtree(public / "cortes")
    (public / "index.json").unlink()
    # From the database alone, without any clean data to look at, the manifest names the same list.
    async with leading.cutting(tonight.url, patience=5) as leader:
        while await cut(tonight.office, leader, None):
            pass
    assert len(named(public, 1)) == 1
    make_clean_data(public)
    assert digests(public) == whole


_DYING = """
import os, sys
from pathlib import Path
from publisher import data
left = int(sys.argv[3])
def watch(event, arguments):
    global left
    if event in {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"} and sys.argv[1] in str(arguments[0]):
        left -= 1
        if left < 0:
            os._exit(9)
sys.addaudithook(watch)
data.make(Path(sys.argv[1]), int(sys.argv[2]))
"""
"""Ends, as if it were killed, before it opens, makes, renames or removes the file of that number."""


async def test_killed_at_any_file_it_leaves_nothing_and_the_next_look_makes_the_same(tonight: SmallNight) -> None:
    public = tonight.office.public
    await tonight.cut()
    await tonight.count(tonight.sheets[:30])
    await tonight.cut()
    sums = data.make(public, 1)
    whole = digests(public / "datos")
    died = 0
    for left in range(0, 200, 3):
        shutil.rmtree(public / "datos")
        words = [sys.executable, "-c", _DYING, str(public), "1", str(left)]
        done = await asyncio.to_thread(subprocess.run, words, check=False)
        if done.returncode == 0:
            break
        died += 1
        # Readers find a corte without clean data, or all of them; never a part.
        both_approve(public)
        assert data.data_lists(public, below=2) in ({}, {1: sums})
        if data.lacking(public)[:1] == [1]:
            assert data.make(public, 1) == sums
        assert digests(public / "datos") == whole
    assert died > 8


async def test_each_row_says_in_numbers_what_the_official_file_says(tonight: SmallNight) -> None:
    public = tonight.office.public
    await tonight.cut()
    await tonight.count(tonight.sheets[:90])
    await tonight.cut()
    data.make(public, 1)
    for election in json.loads((public / "cortes/0001/manifest.json").read_bytes())["elecciones"]:
        code = election["codigo"]
        text = (public / f"cortes/0001/{election['archivo']}").read_bytes().decode("utf-8-sig")
        official = [*csv.DictReader(io.StringIO("\r\n".join(text.split("\r\n")[6:]), newline=""))]
        clean = [
            *csv.DictReader(io.StringIO((public / f"datos/0001/actas_{code}.csv").read_text("utf-8-sig"), newline=""))
        ]
        assert len(clean) == len(official) > 60
        counted = {option["codigo"]: 0 for option in election["opciones"]}
        for row, told in zip(clean, official, strict=True):
            for code_of in counted:
                assert row[code_of] == (told[code_of] if told[code_of].isdigit() else "")
                assert (code_of in row["ILEGIBLES"].split()) == (told[code_of] == "Ilegible")
                assert (code_of in row["SIN_DATO"].split()) == (told[code_of] == "Sin dato")
                counted[code_of] += int(row[code_of] or 0) if row["ESTADO"] == "contabilizada" else 0
        totals = json.loads((public / "cortes/0001/totals.json").read_bytes())["elecciones"][code]
        assert counted == totals["votos"]
        states = [row["ESTADO"] for row in clean]
        assert states.count("contabilizada") == totals["actas"]["contabilizadas"]
        assert states.count("sin_acta") == totals["actas"]["sin_acta"]
        assert states.count("por_capturar") == totals["actas"]["esperadas"] - totals["actas"]["capturadas"]


async def test_a_corte_that_was_changed_after_it_was_out_gives_no_clean_data(tonight: SmallNight) -> None:
    public = tonight.office.public
    await tonight.cut()
    path = public / "cortes/0000/LEEME.txt"
    kept = path.read_bytes()
    path.write_bytes(kept + b" ")
    assert "LEEME.txt con la huella" in await data.complete(public)
    assert data.lacking(public) == [0]
    assert [*(public / "datos").iterdir()] == []
    path.write_bytes(kept)
    make_clean_data(public)


def test_a_corte_that_is_not_there_is_one_sentence_in_spanish(tmp_path: Path) -> None:
    words = [sys.executable, "-m", data.__name__, str(tmp_path), "0001"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    missing = tmp_path / "cortes" / "0001" / "SHA256SUMS"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"los datos limpios no se pudieron hacer: no existe: {missing}\n"


async def test_the_delta_holds_the_corte_and_its_pages_and_no_page_of_the_next(tonight: SmallNight) -> None:
    public = tonight.office.public
    await tonight.cut()
    await tonight.count(tonight.sheets[:20])
    await tonight.cut()
    assert data.make_delta(public, 1)
    path = public / "cambios/0001.tar.gz"
    with tarfile.open(path) as archive:
        held = {each.name: archive.extractfile(each) for each in archive}
        content = {name: file.read() for name, file in held.items() if file is not None}
    pages = json.loads((public / "cambios/0001.json").read_bytes())["paginas"]
    assert {name for name in content if name.endswith(".html")} == {*pages}
    assert {"cortes/0001/SHA256SUMS", "cortes/0001/manifest.json", "inicio.json", "cambios/0001.json"} <= content.keys()
    assert all((public / name).read_bytes() == bytes_of for name, bytes_of in content.items())
    # The same pages give the same bytes; pages that a later corte has written give none.
    kept = path.read_bytes()
    path.unlink()
    assert data.make_delta(public, 1)
    assert path.read_bytes() == kept
    path.unlink()
    await tonight.cut()
    assert not data.make_delta(public, 1)
    assert not path.exists()
    both_approve(public)


async def test_the_page_of_files_links_the_newest_clean_data(tonight: SmallNight) -> None:
    public = tonight.office.public
    await tonight.cut()
    page = public / "datos.html"
    assert "Salen unos segundos después de cada corte." in page.read_text(encoding="utf-8")
    assert data.tells_data(public)
    data.make(public, 0)
    assert not data.tells_data(public)
    publisher = Publisher(tonight.office, tonight.url, Schedule.of(tonight.office.night))
    await publisher.link_data(patience=5)
    told = page.read_text(encoding="utf-8")
    links = re.findall(r'href="(datos/0000/[^"]+)"', told)
    assert len(links) == 10
    assert all((public / link).exists() for link in links)
    assert data.tells_data(public)
    both_approve(public)
    # The page of the next corte tells them by itself, until it has its own.
    await tonight.cut()
    assert {*links} <= {*re.findall(r'href="([^"]+)"', page.read_text(encoding="utf-8"))}


async def test_a_stop_ends_the_work_at_once_but_after_the_last_corte_its_data_are_made(tonight: SmallNight) -> None:
    public = tonight.office.public
    stop = asyncio.Event()
    stop.set()
    await tonight.cut()
    await data.serve(public, stop)
    # Also one that comes while a process works: it is ended, and the next look is free.
    assert await data.complete(public, stop) == ""
    assert data.lacking(public) == [0]
    both_approve(public)
    await tonight.cut(Phase.FINAL)
    await data.serve(public, stop)
    assert data.lacking(public) == [0]
    assert (public / "cambios/0001.tar.gz").exists()


async def test_a_process_that_ends_between_the_look_and_the_stop_is_no_error(
    tonight: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = tonight.office.public
    stop = asyncio.Event()
    stop.set()
    await tonight.cut()
    look, asked = data._is_over, threading.Event()

    def at_work() -> bool:
        for child in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):  # it has ended: a zombie has no command line
                if data.__name__ in child.cmdline():
                    return True
        return False

    def look_slowly(public: Path) -> bool:
        """The process, which is at work when this is asked, ends before the answer."""
        while data.lacking(public) or at_work():
            time.sleep(0.01)
        time.sleep(0.2)  # the loop hears of its end
        asked.set()
        return look(public)

    monkeypatch.setattr(data, "_is_over", look_slowly)
    assert await data.complete(public, stop) == ""
    assert asked.is_set()
    assert data.lacking(public) == []


async def test_what_a_killed_process_left_is_removed_and_what_another_is_making_stays(tonight: SmallNight) -> None:
    public = tonight.office.public
    await tonight.cut()
    left = public / DATA / ".0000-deadbeef"
    left.mkdir(parents=True)
    (left / "delta").write_bytes(b"half")
    with data._work_folder(public, 0) as work:
        assert not left.exists()
        (work / "delta").write_bytes(b"half")
        data.sweep(public)
        assert (work / "delta").exists()
        assert data.make_delta(public, 0), "another process of the same corte"
        assert (work / "delta").exists()
    assert [*(public / DATA).glob(".*")] == []
