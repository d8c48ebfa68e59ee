"""`prep night` as its user runs it: the words that a person confirms, the refusals, and a rehearsal begun again."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prep.files.catalog_template import sample_catalog
from prep.files.night_file import NAME, night_file, sample_night_file
from prep.operations import ceremonies
from prep.operations import night as orders
from prep.rehearsal.installation import rehearsal_night
from prep.settings import now
from prep.store import night as store
from prep.store.database import connect
from tests.conftest import Night
from tests.makers.declared import REAL, declare, record_corte


@pytest.fixture
def folder(night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue's folder, and an environment with the addresses of the database."""
    for name, value in {
        "PREP_DATABASE": night.app,
        "PREP_DATABASE_OWNER": night.owner,
        "PREP_DATA": str(tmp_path / "datos"),
        "PREP_PUBLIC": str(tmp_path / "publico"),
    }.items():
        monkeypatch.setenv(name, value)
    made = tmp_path / "eleccion"
    made.mkdir()
    for name, content in sample_catalog().items():
        (made / name).write_bytes(content)
    (made / NAME).write_text(sample_night_file(now()))
    return made


@pytest.fixture
def prep(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(*words: str, types: str = "") -> tuple[int, str]:
        monkeypatch.setattr("builtins.input", lambda _: types)
        with pytest.raises(SystemExit) as end:
            orders.main(words)
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out + said.err

    return run


async def loaded(night: Night) -> store.NightStanding | None:
    async with connect(night.owner) as connection:
        return await store.standing(connection)


def test_a_night_is_declared_once_a_person_has_confirmed_it_in_words(night: Night, folder: Path, prep: Any) -> None:
    status, said = prep("check", str(folder))
    assert status == 0
    assert "empieza el domingo" in said
    assert "a las 20:00, hora de Ejemplo" in said
    assert prep("show") == (2, "prep: no hay noche declarada: declárela con «prep night init CARPETA»\n")
    status, said = prep("init", str(folder), types="sí")
    assert (status, said.splitlines()[-1]) == (1, "prep: no se declaró nada")
    assert asyncio.run(loaded(night)) is None
    status, said = prep("init", str(folder), types="Simulacro")
    assert (status, said.splitlines()[-1]) == (0, "noche declarada")
    stands = asyncio.run(loaded(night))
    assert stands is not None
    assert stands.night.siglas == "EJ"
    status, said = prep("show")
    assert status == 0
    assert "todavía no abre" in said
    assert "✓ reloj" in said
    assert prep("check")[0] == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("inicio = 20", "inicio = 2018-07-01T20:00:00-05:00 # ", "más de 24 horas"),
        ("-06:00\nfin", "\nfin", "le falta su desfase"),
        ("-06:00\nfin", "-07:00\nfin", "su desfase es -07:00"),
    ],
)
def test_a_night_that_cannot_be_is_refused_and_not_loaded(
    folder: Path, prep: Any, old: str, new: str, said: str
) -> None:
    path = folder / NAME
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    for words in (("check", str(folder)), ("init", str(folder), "--confirmed")):
        status, told = prep(*words)
        assert status in {1, 2}
        assert said in told
    assert "no hay noche declarada" in prep("show")[1]


def test_a_start_of_last_year_closes_no_night_in_a_second(folder: Path, prep: Any) -> None:
    """PREP_START of last year closed the night in 0.9 s with an empty final corte."""
    assert REAL.start is not None
    assert REAL.end is not None
    past = night_file(REAL).replace("2027-06-0", "2020-06-0")
    (folder / NAME).write_text(past)
    status, said = prep("init", str(folder), "--confirmed")
    assert status == 1
    assert "ya pasó" in said
    # A test may, and says so; a real night cannot say that it is a test.
    (folder / NAME).write_text(past.replace("ensayo = false", "ensayo = true"))
    assert "una noche real no puede ser un ensayo" in prep("init", str(folder), "--confirmed")[1]
    trial = past.replace("ensayo = false", "ensayo = true").replace("simulacro = false", "simulacro = true")
    (folder / NAME).write_text(trial)
    status, said = prep("init", str(folder), "--confirmed")
    assert (status, "noche de ensayo" in said) == (0, True)


async def test_a_night_that_is_over_before_corte_0_is_not_opened_any_more(
    night: Night, folder: Path, prep: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert REAL.start is not None
    assert REAL.end is not None
    past = replace(REAL, start=REAL.start.replace(year=2020), end=REAL.end.replace(year=2020))
    await declare(night.owner, past, at=now())
    status, said = await asyncio.to_thread(prep, "check")
    assert status == 1
    assert "ya no se puede publicar" in said

    def zero() -> int:
        with pytest.raises(SystemExit) as end:
            ceremonies.main(["zero"])
        return int(end.value.code or 0)

    assert await asyncio.to_thread(zero) == 1
    assert "no se publicó nada" in capsys.readouterr().out
    async with connect(night.owner) as owner:
        assert await owner.fetchval("SELECT count(*) FROM corte") == 0


async def test_a_rehearsal_begins_again_and_its_files_are_put_aside(
    night: Night, folder: Path, tmp_path: Path, prep: Any
) -> None:
    declared = rehearsal_night("EJ")
    (folder / NAME).write_text(night_file(declared))
    run = asyncio.to_thread
    assert (await run(prep, "init", str(folder), "--confirmed"))[0] == 0
    await record_corte(night.owner, 0, declared, at=now())
    public, data = tmp_path / "publico", tmp_path / "datos"
    for path in (public / "cortes", data / "blobs", data / "actos", data / "llaves"):
        path.mkdir(parents=True)
    for name in ("bitacora.llave", "acuses.pem"):
        (data / "llaves" / name).write_text("x")
    (public / "index.json").write_text(json.dumps({"simulacro": False}))
    assert (await run(prep, "reset", "--confirmed"))[0] == 2  # the published tree says that it was real
    (public / "index.json").write_text(json.dumps({"simulacro": True}))
    assert (await run(prep, "reset", types="no"))[0] == 1
    status, said = await run(prep, "reset", types="otra vez")
    assert (status, said.count("apartado: ")) == (0, 4)
    assert await loaded(night) is None
    assert not public.exists()
    assert not (data / "blobs").exists()
    assert sorted(path.name.split(".hasta-")[0] for path in (data / "llaves").iterdir()) == [
        "acuses.pem",
        "bitacora.llave",
    ]
    assert (data / "llaves" / "acuses.pem").exists()
    assert (await run(prep, "init", str(folder), "--confirmed"))[0] == 0


async def test_images_after_the_close_are_listed(night: Night, folder: Path, prep: Any) -> None:
    declared = rehearsal_night("EJ")
    (folder / NAME).write_text(night_file(declared))
    assert (await asyncio.to_thread(prep, "init", str(folder), "--confirmed"))[0] == 0
    await record_corte(night.owner, 0, declared, at=now())
    await record_corte(night.owner, 1, declared, at=now(), final=True)
    async with connect(night.owner) as owner:
        await owner.execute("INSERT INTO image VALUES (sha256('x'), 1, 'jpeg', now())")
        await owner.execute(
            "INSERT INTO arrival (id, image, device, sequence, origen, digitalizacion, traslado, tipo_documento, acopio_at, "
            "acta_hint, received_at) VALUES ('x', sha256('x'), 'movil-1', 7, 'CATD', 'movil', '', 'Acta PREP', now(), '', "
            "now() + interval '1 minute')"
        )
    status, said = await asyncio.to_thread(prep, "show")
    assert status == 0
    assert "cerró el " in said
    assert "después del cierre llegaron 1 imágenes" in said
    assert "movil-1 7, el " in said
