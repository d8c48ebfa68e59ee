"""A rehearsed night takes up its own folder, deletes one that ended, and refuses at once what cannot go together."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from prep.errors import Rejected
from prep.files.catalog_files import load_catalog
from prep.rehearsal import folders
from prep.rehearsal.folders import FINISHED, RECORD, NightFolders, folders_of, take
from prep.rehearsal.plan import Plan
from prep.rehearsal.synthetic import synthetic


def night(*, casillas: int = 3, seed: int = 1) -> Plan:
    folder, sheets = synthetic(casillas, seed=seed)
    return Plan("demo", folder, load_catalog(folder), sheets, len(sheets), seed, 0.05, 0.0)


PLAN = night()


@pytest.fixture
def places(tmp_path: Path) -> NightFolders:
    return NightFolders(tmp_path / "datos", tmp_path / "publico")


@pytest.fixture(autouse=True)
def _other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call of a test plays another process; the lock has a test of its own."""
    monkeypatch.setattr(folders, "_lock", lambda data: data.mkdir(parents=True, exist_ok=True))


def play(places: NightFolders, plan: Plan = PLAN, *, finished: bool = False, fresh: bool = False) -> str:
    said = take(plan, places, interval=4, fresh=fresh)
    (places.data / "de-la-noche").touch()
    places.public.mkdir(exist_ok=True)
    (places.public / "index.json").touch()
    if finished:
        (places.data / FINISHED).touch()
    return said


def test_a_new_night_says_nothing_and_the_same_unfinished_night_goes_on(places: NightFolders) -> None:
    assert play(places) == ""
    assert take(PLAN, places, interval=4, fresh=False) == f"se sigue la noche a medias que está en {places.data}"
    assert (places.data / "de-la-noche").exists()
    assert (places.public / "index.json").exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_night_that_ended_is_deleted_with_its_own_public_folder(places: NightFolders, fresh: bool) -> None:
    play(places, finished=True)
    assert "terminó" in take(night(seed=2), places, interval=4, fresh=fresh)
    assert sorted(each.name for each in places.data.iterdir()) == [RECORD]
    assert not places.public.exists()


OTHERS: dict[str, tuple[str, Callable[[Path], tuple[Plan, Path]]]] = {
    "seed": ("otra semilla", lambda public: (replace(PLAN, seed=2), public)),
    "catalogue": ("otro catálogo u otras reglas", lambda public: (night(casillas=4), public)),
    "ancho": ("otro ancho de las imágenes", lambda public: (replace(PLAN, width=1_200), public)),
    "mistakes": ("otra parte de equivocaciones", lambda public: (replace(PLAN, mistakes=0.5), public)),
    "election": ("otra elección", lambda public: (replace(PLAN, name="nacional"), public)),
    "public folder": ("otra carpeta pública", lambda public: (PLAN, public.with_name("otra"))),
}


def test_a_night_with_other_seconds_between_cortes_does_not_go_on(places: NightFolders) -> None:
    play(places)
    with pytest.raises(Rejected, match="otros segundos entre cortes"):
        take(PLAN, places, interval=5, fresh=False)


@pytest.mark.parametrize("kind", OTHERS)
def test_another_night_does_not_go_on_in_an_unfinished_one(places: NightFolders, kind: str) -> None:
    play(places)
    why, other = OTHERS[kind]
    plan, public = other(places.public)
    with pytest.raises(Rejected, match=why):
        take(plan, NightFolders(places.data, public), interval=4, fresh=False)
    assert (places.data / "de-la-noche").exists()
    assert (places.public / "index.json").exists()
    assert "se borró" in take(plan, NightFolders(places.data, public), interval=4, fresh=True)
    assert not (places.data / "de-la-noche").exists()


def test_a_night_of_another_version_does_not_go_on(places: NightFolders) -> None:
    play(places)
    words = json.loads((places.data / RECORD).read_text()) | {"version": "0.0.1"}
    (places.data / RECORD).write_text(json.dumps(words))
    with pytest.raises(Rejected, match="otra versión del programa"):
        take(PLAN, places, interval=4, fresh=False)


@pytest.mark.parametrize("whose", ["data", "public"])
@pytest.mark.parametrize("fresh", [False, True])
def test_files_of_others_are_never_deleted_nor_mixed_with(places: NightFolders, whose: str, fresh: bool) -> None:
    mine = getattr(places, whose) / "tesis.odt"
    mine.parent.mkdir()
    mine.touch()
    with pytest.raises(Rejected, match="archivos que no son de esta noche"):
        take(PLAN, places, interval=4, fresh=fresh)
    assert mine.exists()


def test_a_night_that_ended_does_not_open_another_public_folder_with_files(
    places: NightFolders, tmp_path: Path
) -> None:
    play(places, finished=True)
    other = tmp_path / "otra"
    other.mkdir()
    (other / "tesis.odt").touch()
    with pytest.raises(Rejected, match="archivos que no son de esta noche"):
        take(PLAN, NightFolders(places.data, other), interval=4, fresh=False)
    assert (places.public / "index.json").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"seed": 1'])
def test_a_record_that_cannot_be_read_is_refused_in_one_sentence(places: NightFolders, text: str) -> None:
    places.data.mkdir()
    (places.data / RECORD).write_text(text)
    with pytest.raises(Rejected, match="no se entiende"):
        take(PLAN, places, interval=4, fresh=True)


def test_the_folders_of_a_night_are_inside_the_data_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PREP_DATA", str(tmp_path))
    assert folders_of(PLAN, None, None) == NightFolders(
        tmp_path / "noches" / "demo", tmp_path / "noches" / "demo" / "publico"
    )
    monkeypatch.delenv("PREP_DATA")
    assert folders_of(PLAN, None, None).data == Path.cwd() / "var" / "noches" / "demo"


HOLD = """
import sys
from pathlib import Path
from prep.rehearsal.folders import _lock
_lock(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
"""


def test_two_processes_never_play_in_one_folder(places: NightFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    words = [sys.executable, "-c", HOLD, str(places.data)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(Rejected, match="otro proceso juega ya"):
            take(PLAN, places, interval=4, fresh=True)
        other.kill()
    assert take(PLAN, places, interval=4, fresh=False) == ""
