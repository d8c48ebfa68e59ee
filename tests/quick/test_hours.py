"""Every hour that people read is in the zone that the night declares: files, pages, seals and both verifiers."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integrity.minimal_verifier import impossible_times
from integrity.tree.documents import in_words
from integrity.tree.forms import wrong_moments
from prep.domain import row
from prep.domain.hours import CENTRAL, hour_words, offset_name, zone_of_night
from publisher import official
from publisher.figures import moment
from tests.makers import tree_maker
from tests.tamper.matrix import SOUND, judge

JUNE = datetime(2027, 6, 7, 1, 30, 5, tzinfo=UTC)
DECEMBER = datetime(2027, 12, 6, 1, 30, 5, tzinfo=UTC)
SONORA, QUINTANA_ROO, TIJUANA, JUAREZ = (
    "America/Hermosillo",
    "America/Cancun",
    "America/Tijuana",
    "America/Ciudad_Juarez",
)


@pytest.mark.parametrize(
    ("name", "at", "local", "offset"),
    [
        ("America/Mexico_City", JUNE, "2027-06-06T19:30:05-06:00", "UTC-6"),
        (SONORA, JUNE, "2027-06-06T18:30:05-07:00", "UTC-7"),
        (SONORA, DECEMBER, "2027-12-05T18:30:05-07:00", "UTC-7"),
        (QUINTANA_ROO, JUNE, "2027-06-06T20:30:05-05:00", "UTC-5"),
        (TIJUANA, DECEMBER, "2027-12-05T17:30:05-08:00", "UTC-8"),
        (TIJUANA, JUNE, "2027-06-06T18:30:05-07:00", "UTC-7"),
        (JUAREZ, JUNE, "2027-06-06T19:30:05-06:00", "UTC-6"),
        (JUAREZ, DECEMBER, "2027-12-05T18:30:05-07:00", "UTC-7"),
    ],
)
def test_every_writer_tells_the_hour_of_the_night(name: str, at: datetime, local: str, offset: str) -> None:
    zone = zone_of_night(name)
    assert moment(at, zone) == local
    here = datetime.fromisoformat(local)
    assert row.moment(at, zone) == f"{here:%d/%m/%Y %H:%M:%S}"
    assert offset_name(at.astimezone(zone)) == offset
    assert in_words(here) == f"{here:%d/%m/%Y %H:%M} ({offset})"
    assert official.stamp(at, zone) == f"{here:%Y%m%d_%H%M}"
    assert hour_words(zone, at) == f"hora {'del centro' if zone == CENTRAL else 'local'} ({offset})"


def test_offsets_that_are_no_whole_hours_have_their_minutes() -> None:
    names = ["Asia/Kolkata", "UTC", "America/St_Johns"]
    told = [JUNE.astimezone(zone_of_night(name)) for name in names]
    assert [offset_name(at) for at in told] == ["UTC+5:30", "UTC+0", "UTC-2:30"]
    assert [in_words(at).partition(" (")[2] for at in told] == ["UTC+5:30)", "UTC+0)", "UTC-2:30)"]


def test_an_hour_that_comes_twice_gives_two_names_of_zip() -> None:
    """In Tijuana 01:30 of 7 November 2027 is twice: first UTC-7, then UTC-8."""
    zone = zone_of_night(TIJUANA)
    first = datetime(2027, 11, 7, 8, 30, tzinfo=UTC)
    again = first + timedelta(hours=1)
    assert official.stamp(first, zone) == official.stamp(again, zone)
    assert [at.astimezone(zone).fold for at in (first, again)] == [0, 1]
    assert moment(first, zone) != moment(again, zone)


@pytest.mark.parametrize("name", ["America/Hermosilo", "", "UTC-7", "../etc/passwd", "/etc/localtime", "America", "\0"])
def test_an_unknown_zone_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(ValueError, match="no es una zona horaria que esta máquina conozca"):
        zone_of_night(name)


@pytest.mark.parametrize(
    ("captured", "verified", "possible"),
    [
        ("07/11/2027 01:50:00", "07/11/2027 01:05:00", True),
        ("07/11/2027 02:05:00", "07/11/2027 01:05:00", False),
        ("14/11/2027 01:50:00", "14/11/2027 01:05:00", False),
        ("06/06/2027 01:50:00", "06/06/2027 01:05:00", False),
        ("06/06/2027 01:05:00", "06/06/2027 01:50:00", True),
    ],
)
def test_a_verification_may_look_earlier_only_in_the_hour_that_comes_twice(
    captured: str, verified: str, possible: bool
) -> None:
    row = {"FECHA_HORA_ACOPIO": captured, "FECHA_HORA_CAPTURA": captured, "FECHA_HORA_VERIFICACION": verified}
    ours = [check for check, _, _ in wrong_moments(captured, captured, verified)]
    minimal = [check for check, _ in impossible_times(row)]
    assert ours == minimal == ([] if possible else ["CON-16"])


# --- the published tree -----------------------------------------------------------------------------------------------


def in_zone(tree: Path, *names: str) -> Path:
    """The tree as a night of these zones would have published it: one for each corte, or one for all."""
    for number, folder in enumerate(sorted((tree / "cortes").iterdir())):
        zone = zone_of_night(names[min(number, len(names) - 1)])
        manifest = json.loads((folder / "manifest.json").read_bytes())
        before = datetime.fromisoformat(manifest["fecha_hora"])
        at = before.astimezone(zone)
        manifest["fecha_hora"] = at.isoformat()
        if manifest["siguiente"]:
            manifest["siguiente"] = datetime.fromisoformat(manifest["siguiente"]).astimezone(zone).isoformat()
        (folder / "manifest.json").write_bytes(tree_maker.canonical(manifest))
        for election in manifest["elecciones"]:
            path = folder / election["archivo"]
            path.write_bytes(path.read_bytes().replace(in_words(before).encode(), in_words(at).encode(), 1))
    tree_maker.reseal(tree)
    return tree


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree_maker.make_tree(tmp_path_factory.mktemp("pristine") / "public")


@pytest.mark.parametrize("names", [(SONORA,), (QUINTANA_ROO,), (TIJUANA,), ("Asia/Kolkata", "UTC"), (TIJUANA, SONORA)])
def test_both_verifiers_accept_the_hours_of_any_zone(pristine: Path, tmp_path: Path, names: tuple[str, ...]) -> None:
    tree = in_zone(Path(shutil.copytree(pristine, tmp_path / "public")), *names)
    verdicts = [judge(tree, [], minimal=minimal) for minimal in (False, True)]
    assert verdicts == [SOUND, SOUND]


@pytest.mark.parametrize(
    ("said", "check"),
    [
        ("2023-02-19T20:20:00-07:00", "CON-07"),
        ("2023-02-19T20:20:00+15:00", "INT-03"),
        ("2023-02-19T20:20:00-06:60", "INT-03"),
        ("2023-02-19T20:20:00", "INT-03"),
        ("2023-02-19T20:20:00Z", "INT-03"),
        ("2023-02-19T20:20:00-0600", "INT-03"),
    ],
)
def test_both_verifiers_refuse_an_hour_without_its_offset_or_with_another(
    pristine: Path, tmp_path: Path, said: str, check: str
) -> None:
    tree = Path(shutil.copytree(pristine, tmp_path / "public"))
    path = tree / "cortes" / "0002" / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["fecha_hora"] = said
    path.write_bytes(tree_maker.canonical(manifest))
    if check == "CON-07":
        tree_maker.reseal(tree)
    verdicts = [judge(tree, [], minimal=minimal) for minimal in (False, True)]
    assert verdicts[0].wrong == verdicts[1].wrong
    assert check in verdicts[0].wrong
