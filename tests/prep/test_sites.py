"""Sites are a closed list: a typo is no other site, and the catalogue says which ones there are."""

from pathlib import Path

import asyncpg
import pytest

from capture.auth import add_user, enroll
from prep.errors import Rejected
from prep.files.catalog_files import CatalogErrors, load_catalog
from prep.files.catalog_template import sample_catalog
from prep.store import catalog as store
from prep.store.people import Role
from tests.conftest import Night
from tests.makers.capture_room import CHEAP, EVENING, PASSWORD, Device


async def sites(night: Night) -> list[tuple[str, str]]:
    connection = await asyncpg.connect(night.owner)
    rows = await connection.fetch("SELECT code, name FROM site ORDER BY code")
    await connection.close()
    return [(row["code"], row["name"]) for row in rows]


async def add(night: Night, login: str, site: str) -> None:
    connection = await asyncpg.connect(night.owner)
    try:
        await add_user(connection, login=login, password=PASSWORD, role=Role.CAPTURISTA, site=site, cost=CHEAP)
    finally:
        await connection.close()


def of_the_sample(*without: str, **files: bytes) -> dict[str, bytes]:
    named = {f"{name}.csv": content for name, content in files.items()}
    return {name: content for name, content in (sample_catalog() | named).items() if name not in without}


async def load(night: Night, files: dict[str, bytes]) -> None:
    await store.load(night.owner, load_catalog(files), at=EVENING)


@pytest.mark.parametrize("wrong", ["CATD 1", "CATD-01", "catd-1", "CATD1", "CATD-11"])
async def test_a_person_or_a_device_is_at_no_site_but_those_of_the_list_and_hears_the_nearest(
    night: Night, wrong: str
) -> None:
    await load(night, of_the_sample())
    with pytest.raises(Rejected, match=f"no hay un sitio «{wrong}» en la lista; el más parecido es CATD-1"):
        await add(night, "ana", wrong)
    connection = await asyncpg.connect(night.owner)
    with pytest.raises(Rejected, match="el más parecido es CATD-1"):
        await enroll(connection, device="d1", site=wrong, public_key=Device("d1").public_key, at=EVENING)
    await connection.close()
    assert [code for code, _ in await sites(night)] == ["CATD-1", "CATD-2", "CCV-1"]


async def test_a_catalogue_without_sites_leaves_the_list_of_a_new_database(night: Night) -> None:
    await load(night, of_the_sample("sitios.csv"))
    assert await sites(night) == [("CATD-1", ""), ("CATD-2", ""), ("CCV-1", ""), ("CCV-2", "")]
    await add(night, "ana", "CCV-2")


async def test_a_catalogue_does_not_take_a_site_away_from_its_people(night: Night) -> None:
    await add(night, "ana", "CCV-2")
    with pytest.raises(Rejected, match=r"en sitios que no están en sitios\.csv: CCV-2"):
        await load(night, of_the_sample())
    await load(night, of_the_sample(sitios=b"clave,nombre\r\nCCV-2,Captura\r\nCATD-9,\r\n"))
    assert await sites(night) == [("CATD-9", ""), ("CCV-2", "Captura")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"clave\r\nCATD-1\r\nCATD-1\r\n", "el sitio está repetido"),
        (b"clave\r\nCATD-1\r\nCATD-01\r\n", "se confunde con CATD-1"),
        (b"clave\r\nCATD-1\r\ncatd_1\r\n", "se confunde con CATD-1"),
        (b"clave,nombre\r\n,Centro\r\n", "clave"),
    ],
)
def test_two_claves_that_sound_alike_are_one_site(content: bytes, said: str) -> None:
    with pytest.raises(CatalogErrors, match=said):
        load_catalog(of_the_sample(sitios=content))


def test_sites_of_other_numbers_are_other_sites() -> None:
    content = b"clave\r\nCATD-1\r\nCATD-11\r\nCCV-1\r\nCATD-1-B\r\n"
    assert [site.code for site in load_catalog(of_the_sample(sitios=content)).sites] == [
        "CATD-1", "CATD-11", "CCV-1", "CATD-1-B",
    ]  # fmt: skip


async def test_a_database_that_is_in_use_keeps_its_sites(night: Night) -> None:
    """The list of a new database is put in by the migration only if there was no site."""
    migration = (Path(store.__file__).parent / "migrations" / "0023_two_people.sql").read_text(encoding="utf-8")
    statement = migration[migration.index("INSERT INTO site") :].partition(";")[0]
    connection = await asyncpg.connect(night.owner)
    await connection.execute("DELETE FROM site; INSERT INTO site (code) VALUES ('CATD 7')")
    await connection.execute(statement)
    await connection.close()
    assert await sites(night) == [("CATD 7", "")]
