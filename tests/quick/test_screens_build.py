"""The screens that are committed are those that their source makes, byte for byte, and no larger than they may be."""

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from capture import screens
from tests.makers.programs import ROOT, missing, program

WEB = ROOT / "capture" / "web"
DIST = WEB / "dist"
LARGEST = {"terminal": 24_000, "mesa": 27_000, "catd": 40_000, "casilla": 60_000}
"""Bytes of a screen's script and style sheet after gzip: a slow line of a CATD brings 10,000 a second."""


@pytest.fixture(scope="module")
def node() -> str:
    """Node. If it, or a package of the build, is missing, the test is skipped with the reason; in CI it fails."""
    found = program("node", "nodejs npm")
    if not (WEB / "node_modules").is_dir():
        missing("the packages of the screens' build are not here: make screens")
    return found


def test_the_source_makes_the_committed_files(node: str, tmp_path: Path) -> None:
    typed = WEB / "shared" / "openapi.ts"
    before = typed.read_bytes()
    made = tmp_path / "dist"
    subprocess.run([node, "build.mjs"], cwd=WEB, env={**os.environ, "PREP_WEB_DIST": str(made)}, check=True)
    assert typed.read_bytes() == before, "the types of the API are those of docs/openapi.json"
    assert {each.name: each.read_bytes() for each in made.iterdir()} == {
        each.name: each.read_bytes() for each in DIST.iterdir()
    }, "run make screens, and commit capture/web/dist"


def test_the_types_of_the_screens_hold(node: str) -> None:
    checked = subprocess.run(
        [node, "node_modules/typescript/bin/tsc", "--noEmit"], check=False, cwd=WEB, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", screens.PAGES.values())
def test_a_screen_is_small(name: str) -> None:
    if not (DIST / f"{name}.html").exists():
        pytest.skip(f"{name} is not built yet")
    packed = sum(len(gzip.compress((DIST / f"{name}.{kind}").read_bytes(), 9, mtime=0)) for kind in ("js", "css"))
    assert packed <= LARGEST[name]


def test_the_lock_names_no_address_and_the_pages_no_inline_script() -> None:
    assert "resolved" not in (WEB / "package-lock.json").read_text(encoding="utf-8")
    for page in DIST.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert text.count("<script") == text.count('<script type="module" src="/pantallas/') == 1
        assert " style=" not in text
        assert "<style" not in text
