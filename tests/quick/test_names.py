"""One thing has one name: `docs/architecture.md` is the judge, and no two classes share a name."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("prep", "capture", "publisher", "integrity", "load_tests")
GLOSSARY = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
APART = "integrity/minimal_verifier.py"
"""This file shares no code and no names with the others: auditors read it alone."""


def parsed(*places: str) -> Iterator[tuple[Path, ast.Module]]:
    """The code in these folders and files. If a file has become a folder, its files are found too."""
    for place in places:
        path = ROOT / place
        found = [*path.rglob("*.py"), *([path] if path.suffix else [path.with_suffix(".py")])]
        for each in found:
            if each.is_file():
                yield each, tree(each)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def classes() -> dict[str, list[str]]:
    """Class → the files that define it. A name with an underscore at its start belongs to one file and is left out."""
    found = defaultdict(list)
    for path, module in parsed(*ROOMS):
        where = str(path.relative_to(ROOT))
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and where != APART:
                found[node.name].append(where)
    return found


def table(title: str) -> list[list[str]]:
    """The rows of the table under a title, as lists of cells."""
    part = re.split(r"^#+ ", GLOSSARY.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line.strip("| ").split("|") for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", cell)


@cache
def words_of_names(path: Path) -> dict[str, frozenset[str]]:
    """All names in this file → their words in lower case."""
    split = re.compile(r"([a-z])([A-Z])")
    return {name: frozenset(split.sub(r"\1_\2", name).lower().split("_")) for name in names(tree(path))}


def names(module: ast.Module) -> Iterator[str]:
    """All names in this code, without the names of modules from which it imports."""
    for node in ast.walk(module):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(asname=str(name)):
                yield name


def test_no_two_classes_share_a_name() -> None:
    shared = {name: where for name, where in classes().items() if len(where) > 1}
    assert shared == {}


@pytest.mark.parametrize("row", table("Glossary"), ids=lambda row: row[0])
def test_each_name_of_the_glossary_is_defined_in_its_place(row: list[str]) -> None:
    *named, place = quoted(row[3])
    assert named
    assert (ROOT / place).exists()
    defined = {
        name
        for _, module in parsed(place)
        for node in module.body
        for name in (
            [node.name]
            if isinstance(node, ast.ClassDef)
            else [target.id for target in node.targets if isinstance(target, ast.Name)]
            if isinstance(node, ast.Assign)
            else [node.target.id]
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
            else []
        )
    }
    assert set(named) <= defined


@pytest.mark.parametrize("row", table("Words that are not used"), ids=lambda row: row[0])
def test_the_code_does_not_use_the_words_that_are_not_used(row: list[str]) -> None:
    words = set(quoted(row[0]))
    looked_at = list(parsed(*quoted(row[2])))
    assert looked_at
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, _ in looked_at
        for name, held in words_of_names(path).items()
        if words & held
    }
    assert wrong == set()


def test_each_story_and_room_of_the_picture_exists() -> None:
    before = GLOSSARY.split("## Glossary")[0]
    assert [path for path in quoted(before) if "/" in path and not (ROOT / path).exists()] == []
