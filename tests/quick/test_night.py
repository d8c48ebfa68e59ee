"""A night is declared once: what cannot be a night does not exist, and a person reads it in words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prep.domain.night import (
    LARGEST_LOGO,
    ZONES,
    Night,
    differences,
    in_words,
    missed,
    obstacles,
    read_night,
    timetable,
)
from prep.errors import Rejected
from prep.files.night_file import NAME, night_file, read_night_file, sample_night_file
from prep.rehearsal.installation import rehearsal_night
from prep.settings import OF_THE_NIGHT, read_settings
from tests.makers.declared import REAL, REHEARSAL

assert REAL.start is not None
assert REAL.end is not None
BEFORE = REAL.start - timedelta(days=30)
NAIVE = datetime(2027, 6, 6, 20)  # noqa: DTZ001  # the fault that is tried
COLIMA, SONORA, NOWHERE = 6, 26, 33


def declared(folder: Path, text: str) -> Night:
    (folder / NAME).write_text(text, encoding="utf-8")
    return read_night_file(folder)[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start": NAIVE}, "inicio: le falta su desfase"),
        ({"end": NAIVE}, "fin: le falta su desfase"),
        ({"end": REAL.start}, "fin: es anterior al inicio"),
        ({"end": REAL.start + timedelta(hours=25)}, "más de 24 horas"),
        ({"start": None}, "inicio y fin van juntos"),
        ({"start": None, "end": None}, "inicio y fin: faltan"),
        ({"ensayo": True}, "una noche real no puede ser un ensayo"),
        ({"ceremony": False}, "una noche real la lleva siempre"),
        ({"simulacro": True, "ceremony": False}, "solo una noche de ensayo"),
        ({"siglas": "Edo"}, "siglas"),
        ({"zone": "Europe/Madrid"}, "zona"),
        ({"interval": timedelta()}, "intervalo_segundos"),
        ({"origin": "prep.invalid/bitacora"}, "dominio del instituto"),
        ({"origin": "prep.example.mx/simulacro"}, "bitacora.origen"),
    ],
)
def test_a_night_that_contradicts_itself_does_not_exist(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(REAL, **changes)


@pytest.mark.parametrize(
    ("night", "entidades", "now", "said"),
    [
        (REAL, [COLIMA], REAL.start + timedelta(seconds=1), ["inicio: el domingo 6 de junio de 2027 a las 20:00 ya pasó"]),
        (REAL, [COLIMA], REAL.start + timedelta(days=365), ["fin: el lunes 7 de junio de 2027 a las 20:00 ya pasó"]),
        (REAL, [SONORA], BEFORE, ["zona: America/Mexico_City no es la de esta elección; es una de America/Hermosillo"]),
        (REAL, [COLIMA, SONORA], BEFORE, []),
        (REAL, [NOWHERE], BEFORE, []),
        (
            replace(REAL, zone="America/Hermosillo"),
            [SONORA],
            BEFORE,
            [f"{each}: su desfase es -06:00, y en America/Hermosillo ese día es -07:00" for each in ("inicio", "fin")],
        ),
        (rehearsal_night(start=datetime(2018, 7, 2, 1, tzinfo=UTC)), [SONORA], BEFORE, []),
    ],
)  # fmt: skip
def test_each_obstacle_to_a_night_is_said(night: Night, entidades: list[int], now: datetime, said: list[str]) -> None:
    assert obstacles(night, entidades, now) == said


def test_a_night_that_is_over_before_corte_0_is_missed_and_one_that_is_late_is_not() -> None:
    assert REAL.start is not None
    assert REAL.end is not None
    assert missed(REAL, REAL.end - timedelta(seconds=1)) is None
    assert "ya no se puede publicar" in (missed(REAL, REAL.end) or "")
    assert missed(rehearsal_night(start=datetime(2018, 7, 2, 1, tzinfo=UTC)), REAL.end) is None


def test_an_acta_can_be_taken_in_from_the_morning_of_the_day_to_the_end() -> None:
    assert REAL.hours == (datetime(2027, 6, 6, 6, tzinfo=UTC), datetime(2027, 6, 8, 2, tzinfo=UTC))
    assert replace(REAL, zone="America/Hermosillo").hours == (datetime(2027, 6, 6, 7, tzinfo=UTC), REAL.end)
    assert rehearsal_night(start=REAL.start).hours is None


def test_the_timetable_is_said_in_words() -> None:
    assert timetable(replace(REAL, zone="America/Monterrey"), "Colima")[2:5] == [
        "empieza el domingo 6 de junio de 2027 a las 20:00, hora de Colima",
        "termina el lunes 7 de junio de 2027 a las 20:00, 24 horas después",
        "un corte cada 5 minutos",
    ]
    assert timetable(REAL)[0] == "NOCHE REAL"
    assert timetable(REHEARSAL)[0].startswith("SIMULACRO")
    assert "hora del centro" in timetable(REAL)[2]
    assert in_words(datetime(2027, 6, 6, 7, 5, tzinfo=UTC), REAL.tz) == "el domingo 6 de junio de 2027 a la 01:05"
    slow = timetable(replace(REAL, interval=timedelta(minutes=30)))
    assert "aviso: son menos de tres cortes por hora" in slow


@given(
    st.builds(
        rehearsal_night,
        st.from_regex("[A-Z]{2,10}", fullmatch=True),
        interval=st.integers(1, 86_400_000).map(lambda ms: ms / 1000),
        start=st.none() | st.datetimes(NAIVE, NAIVE.replace(year=2090)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC)),
        ceremony=st.booleans(),
    ),
    st.sampled_from(sorted(ZONES)),
    st.none() | st.text(max_size=20),
)  # fmt: skip
def test_a_night_is_read_back_from_its_published_form(night: Night, zone: str, policy: str | None) -> None:
    night = replace(night, zone=zone, policy=policy)
    assert read_night(night.text, policy) == night
    with pytest.raises(ValueError, match="no es"):
        read_night(night.text, f"{policy or ''}x")


@pytest.mark.parametrize("wrong", ["{}", "[]", REAL.text.replace('"EJ"', '"e"'), REAL.text.replace(" ", "") + " "])
def test_another_text_is_no_declaration(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_night(wrong, None)


def test_what_differs_is_named() -> None:
    assert differences(REAL, REHEARSAL) == ["simulacro: no, no sí"]
    assert [each.split(":")[0] for each in differences(REAL, replace(REAL, siglas="TAM", policy="x"))] == [
        "siglas",
        "bitacora.politica",
    ]


def test_the_sample_declares_a_night_ahead_of_it(tmp_path: Path) -> None:
    for now in (BEFORE, REAL.start, datetime(2031, 12, 31, 23, tzinfo=UTC)):
        assert now is not None
        night = declared(tmp_path, sample_night_file(now))
        assert obstacles(night, [NOWHERE], now) == []
        assert night.simulacro
        assert night.ceremony


def test_a_declaration_is_read_as_it_was_written(tmp_path: Path) -> None:
    for night in (REAL, REHEARSAL, rehearsal_night("TAM", interval=0.25), rehearsal_night(ceremony=True)):
        assert declared(tmp_path, night_file(night)) == night


def test_the_logo_and_the_policy_lie_beside_the_declaration(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_bytes(b"<svg/>")
    (tmp_path / "politica.txt").write_text("log x\n")
    text = sample_night_file(BEFORE).replace("# logo", "logo").replace("# politica", "politica")
    (tmp_path / NAME).write_text(text)
    night, logo = read_night_file(tmp_path)
    assert (night.policy, logo) == ("log x\n", b"<svg/>")
    assert night.content["instituto"]["logo"] == night.institute.logo
    (tmp_path / "logo.svg").unlink()
    with pytest.raises(Rejected, match=r"logo\.svg"):
        read_night_file(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0 a JPEG", b"<html></html>", b"<svg>" + b" " * LARGEST_LOGO])
def test_a_logo_that_pages_cannot_show_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "logo.svg").write_bytes(content)
    (tmp_path / NAME).write_text(sample_night_file(BEFORE).replace("# logo", "logo"))
    with pytest.raises(Rejected, match=r"instituto\.logo"):
        read_night_file(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("-06:00\nfin", "\nfin", "inicio: le falta su desfase"),
        ("siglas =", "sigla =", "sigla: no es de esta declaración"),
        ("simulacro = true", "", "simulacro: falta"),
        ("simulacro = true", 'simulacro = "no"', "simulacro: se espera true o false"),
        ("intervalo_segundos = 300", "intervalo_segundos = true", "intervalo_segundos"),
        ("intervalo_segundos = 300", "intervalo_segundos = nan", "intervalo_segundos"),
        ("inicio = ", "inicio = 'mañana' # ", "inicio: se espera una fecha con hora"),
        ("inicio = ", "inicio = 2027-06-06 # ", "inicio: se espera una fecha con hora"),
        ("[bitacora]", "[[bitacora]]", "bitacora: se espera una tabla"),
        ('# politica = "politica.txt"', 'politica = "../x"', "la misma carpeta"),
        ("siglas =", "siglas", "línea 8: no es TOML"),
        ('nombre = "', 'nombre = "a\\u202e', "instituto.nombre: se espera un renglón"),
        ('nombre = "', 'nombre = "\\u0000', "instituto.nombre: se espera un renglón"),
        ('nombre = "', 'nombre = "' + "a" * 201, "instituto.nombre: se espera un renglón"),
        ('# logo = "', 'logo = "\\u0000', "la misma carpeta"),
        ('origen = "', 'origen = "\\u200b', "bitacora.origen: se espera un dominio"),
        ("inicio = ", "inicio = 0001-01-01T00:00:00+14:00 # ", "inicio: se espera un año"),
        ("inicio = ", "inicio = 9999-12-31T23:00:00-06:00 # ", "inicio: se espera un año"),
        ("intervalo_segundos = 300", "intervalo_segundos = " + "9" * 5000, "no se puede leer: "),
        ("intervalo_segundos = 300", "intervalo_segundos = " + "[" * 5000, "no se puede leer: "),
        ("siglas =", "simulacro = true\nsiglas =", "línea \\d+: está dos veces"),
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_refused_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = sample_night_file(BEFORE)
    assert old in text
    with pytest.raises(Rejected, match=said):
        declared(tmp_path, text.replace(old, new))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_editor_that_wrote_the_declaration_does_not_matter(tmp_path: Path, end: str) -> None:
    text = sample_night_file(BEFORE)
    (tmp_path / NAME).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", end).encode())
    assert read_night_file(tmp_path)[0] == declared(tmp_path, text)


def test_a_policy_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "politica.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(Rejected, match=r"bitacora\.politica: el archivo no está en UTF-8"):
        declared(tmp_path, sample_night_file(BEFORE).replace("# politica", "politica"))


def test_an_environment_says_nothing_of_the_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart without PREP_SIMULACRO=false made a real night a rehearsal; another PREP_SIGLAS renamed its files."""
    for name in OF_THE_NIGHT:
        with monkeypatch.context() as patched:
            patched.setenv(name, "x")
            with pytest.raises(Rejected, match=f"prep night.*{name}"):
                read_settings()
    (tmp_path / "prep_simulacro").write_text("false")
    monkeypatch.setenv("PREP_SECRETS", str(tmp_path))
    with pytest.raises(Rejected, match="prep night"):
        read_settings()
