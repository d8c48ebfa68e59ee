"""The list of the installed software names every file, and a comparison names every difference."""

import hashlib
import sysconfig
from pathlib import Path

import pytest

from prep.errors import Rejected
from prep.operations import software


@pytest.fixture(scope="module")
def here() -> str:
    return software.listing({"PostgreSQL": "16.2"})


def test_every_file_of_our_packages_and_of_installed_packages_is_listed_with_its_digest(here: str) -> None:
    found = software.read_listing(here)
    ours = Path(software.__file__)
    assert found["prep/operations/software.py"] == hashlib.sha256(ours.read_bytes()).hexdigest()
    assert {"prep/store/log.sql", "publisher/service.py", "dependencias/asyncpg/__init__.py"} <= found.keys()
    assert found["PostgreSQL"] == "16.2"
    assert found["Python"].startswith("CPython 3.")
    assert not any("__pycache__" in name or name.endswith("/RECORD") for name in found)
    assert str(ours.parents[1]) not in here


def test_the_same_machine_gives_the_same_list(here: str) -> None:
    assert software.listing({"PostgreSQL": "16.2"}) == here


def test_the_list_has_files_that_no_package_names(here: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("puerta = 1\n")
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"purelib": str(tmp_path), "platlib": str(tmp_path)})
    assert software.read_listing(software.listing({})).keys() - software.read_listing(here).keys() == {
        "dependencias/sitecustomize.py"
    }


def test_an_installed_file_that_differs_from_its_package_is_named(here: str) -> None:
    digest = software.read_listing(here)["dependencias/asyncpg/__init__.py"]
    changed = here.replace(
        f"{digest}  dependencias/asyncpg/__init__.py", f"{'0' * 64}  dependencias/asyncpg/__init__.py"
    )
    assert software.altered(changed) == ["dependencias/asyncpg/__init__.py: no es el que su paquete dice, o falta"]
    gone = here.replace(f"{digest}  dependencias/asyncpg/__init__.py\n", "")
    assert software.altered(gone) == software.altered(changed)


def test_differences_are_named_in_both_directions() -> None:
    one, other = "a" * 64, "b" * 64
    ours = f"# Python CPython 3.11.7\n{one}  prep/a.py\n{one}  prep/b.py\n"
    theirs = f"# Python CPython 3.12.1\n{other}  prep/a.py\n{one}  prep/c.py\n"
    assert software.differences(ours, ours) == []
    assert software.differences(ours, theirs) == [
        "Python: aquí es CPython 3.11.7; en la lista, CPython 3.12.1",
        f"prep/a.py: aquí es {one}; en la lista, {other}",
        "prep/b.py: está aquí y no en la lista",
        "prep/c.py: está en la lista y no aquí",
    ]


@pytest.mark.parametrize("text", ["hola\n", "abc  a.py\n", f"{'a' * 64}  a.py\n{'a' * 64}  a.py\n", f"{'a' * 64}  \n"])
def test_a_text_that_is_not_a_list_is_refused(text: str) -> None:
    with pytest.raises(Rejected, match="la lista de software"):
        software.read_listing(text)
