"""The walls: pyproject.toml says which module may import which. These tests break each wall once and see it fail.

`lint-imports` checks the lines of pyproject.toml. Four rules have no such line; these tests check them in the syntax
tree of every file: no file imports a package without a line, no text names a module to import, no text starts a part,
and only one file calls fsync.
"""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
CONTRACTS: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
ROOMS: Final = ("capture", "integrity", "load_tests", "prep", "publisher")
MAY: Final[Mapping[str, list[str]]] = {
    package: contract["allowed_importers"]
    for contract in CONTRACTS
    if contract["type"] == "protected"
    for package in contract["protected_modules"]
}
"""Package → the files and folders that may import it."""
ALONE: Final = {
    "prep.domain": set(),
    "prep.files": {"shapely"},
    "integrity": {"cryptography", "rfc3161_client", "pkcs11"},
}
"""Rooms that need only Python, and the packages that a line may still allow them."""
BY_STRING: Final = frozenset(
    {"__import__", "eval", "exec", "exec_module", "import_module", "resolve_name", "run_module", "run_path", "runpy"}
)
"""Functions that import or run a module whose name is a text."""
START: Final = re.compile(rf"(?:^|\s)-m\s*(?:{'|'.join(ROOMS)})\b")
ENTRY: Final = re.compile(rf"((?:{'|'.join(ROOMS)})(?:\.\w+)*)[.:]\w+")
DURABLE: Final = {"integrity.durable", "load_tests.bench.log"}
"""The files that may call fsync: one for all rooms, and the benchmark of the bare disk."""


def stands_under(module: str, names: list[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def findings(module: str, source: str) -> list[str]:
    """One sentence for each place in a file that breaks a wall."""
    nodes = [*ast.walk(ast.parse(source))]
    return [
        *_wrong_imports(module, nodes),
        *_texts_that_import(nodes),
        *_texts_that_start(nodes),
        *_calls_of_fsync(module, nodes),
    ]


def _wrong_imports(module: str, nodes: list[ast.AST]) -> Iterator[str]:
    """Check every import, also inside functions.

    Allowed: Python itself, our own rooms, packages that allow this file.
    """
    for node in nodes:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""] if not node.level else ["."]
        for name in names:
            package = name.partition(".")[0]
            if name == ".":
                yield "an import without the name of its room"
            elif package in sys.stdlib_module_names or package in ROOMS:
                continue
            elif package not in MAY:
                yield f"{package} has no line in pyproject.toml"
            elif not stands_under(module, MAY[package]):
                yield f"{package} may be imported by {', '.join(MAY[package])} alone"


def _texts_that_import(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        names = {name, *([alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else [])}
        yield from (f"{each} imports or runs what a text names" for each in sorted(names & BY_STRING))


def _texts_that_start(nodes: list[ast.AST]) -> Iterator[str]:
    """Find texts that start a room: `python -m` with a room, or `room.module:function`.

    Docstrings may hold such texts.
    """
    told = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    texts = [
        node
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told
    ]
    for text in texts:
        value = str(text.value)
        if START.search(value) or ((entry := ENTRY.fullmatch(value)) and _is_file(entry[1])):
            yield f"a part is started by the text «{value}»"
    for node in nodes:
        words = node.elts if isinstance(node, ast.List | ast.Tuple) else node.args if isinstance(node, ast.Call) else []
        for before, word in pairwise(words):
            if isinstance(before, ast.Constant) and before.value == "-m" and not _is_seen(word):
                yield f"a part is started by the text «{ast.unparse(word)}»"


def _is_seen(word: ast.expr) -> bool:
    """Whether the word after `-m` is allowed: a module's own name, which a tool can follow, or a text of another project."""
    if isinstance(word, ast.Constant):
        return not (isinstance(word.value, str) and word.value.partition(".")[0] in ROOMS)
    names = {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(word)}
    return bool(names & {"__name__", "__spec__", "__package__"})


def _is_file(module: str) -> bool:
    place = ROOT / module.replace(".", "/")
    return place.is_dir() or place.with_suffix(".py").is_file()


def _calls_of_fsync(module: str, nodes: list[ast.AST]) -> Iterator[str]:
    if module not in DURABLE and any(isinstance(node, ast.Attribute) and node.attr == "fsync" for node in nodes):
        yield "what must be on the disk goes through integrity/durable.py"


# --- the tree as it is ------------------------------------------------------------------------------------------------


def test_no_file_breaks_a_wall() -> None:
    files = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    assert len(files) > 100
    wrong: dict[str, list[str]] = {}
    for path in files:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        wrong |= {module: found} if (found := findings(module, path.read_text("utf-8"))) else {}
    assert not wrong


@pytest.mark.parametrize("room", ALONE)
def test_a_room_that_stands_alone_may_import_no_package(room: str) -> None:
    let_in = {
        package
        for package, names in MAY.items()
        if package not in ROOMS and any(stands_under(name, [room]) for name in names)
    }
    assert let_in == ALONE[room]


# --- each wall broken once, in the text of an invented file ----------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("publisher.log.sequencer", "import asyncpg"),
        ("prep.operations.ceremonies", "import asyncpg"),
        ("prep.operations.ceremonies", "import PIL"),
        ("prep.operations.ceremonies", "from PIL import Image"),
        ("integrity.verify", "import aiohttp"),
        ("prep.domain.rules", "import aiohttp"),
        *(
            (f"prep.{room}nuevo", f"import {package}")
            for room in ("", "domain.", "bus.", "files.")
            for package in MAY
            if package not in ROOMS
        ),
        ("integrity.nuevo", "import cryptography"),
        ("integrity.verify", "def late():\n    import aiohttp"),
        ("integrity.verify", "if TYPE_CHECKING:\n    from aiohttp import web"),
        ("prep.store.nuevo", "import psycopg"),
        ("prep.worker", "from . import pipeline"),
    ],
)
def test_only_the_files_of_its_line_may_import_a_package(module: str, source: str) -> None:
    assert findings(module, source)


@pytest.mark.parametrize(
    "source",
    [
        "import runpy",
        "from runpy import run_module",
        "import importlib\nimportlib.import_module('capture.app')",
        "from importlib import import_module as found\nfound(name)",
        "__import__(name)",
        "exec(text)",
        "run([sys.executable, '-m', 'publisher'])",
        "run([sys.executable, '-m', 'publisher.gate', folder])",
        "run(sys.executable, '-m', 'prep.operations.cli', name)",
        "run((sys.executable, '-m', f'prep.{part}'))",
        "run([sys.executable, '-m', 'prep.' + part])",
        "run([sys.executable, '-m', PART])",
        "run('python -m integrity verify', shell=True)",
        "run([sys.executable, '-mintegrity'])",
        "serve('capture.app:create_app')",
        "PARTS = {'worker': 'prep.worker.main'}",
    ],
)
def test_no_text_imports_or_starts_a_module(source: str) -> None:
    assert findings("prep.rehearsal.nuevo", source)


def test_a_part_may_be_started_by_a_module_name_that_a_tool_can_follow() -> None:
    seen = """
        '''Runs as `python -m publisher.gate`.'''
        run([sys.executable, "-m", gate.__name__])
        run([sys.executable, "-m", __spec__.name])
        run([sys.executable, "-m", "zipfile"])
        run([command_line("integrity"), "verify"])
    """
    assert not findings("prep.rehearsal.nuevo", re.sub("(?m)^ {8}", "", seen))


def test_only_one_file_calls_fsync() -> None:
    assert findings("publisher.nuevo", "os.fsync(handle)")


# --- each wall broken once, in a copy of the tree, and seen by lint-imports -----------------------------------------


BREACHES: Final[Mapping[str, tuple[str, str]]] = {
    "the sequencer speaks to Postgres": ("publisher/log/sequencer.py", "import asyncpg"),
    "the ceremonies speak to Postgres": ("prep/operations/ceremonies.py", "import asyncpg"),
    "the ceremonies open images": ("prep/operations/ceremonies.py", "import PIL"),
    "the verifier asks by HTTP": ("integrity/verify.py", "import aiohttp"),
    "the rules ask by HTTP": ("prep/domain/rules.py", "import aiohttp"),
    "a new file speaks to Postgres": ("prep/nuevo.py", "import asyncpg"),
    "a new file speaks to Kafka": ("prep/nuevo.py", "import aiokafka"),
    "a new file opens images": ("prep/nuevo.py", "import PIL"),
    "a new file asks by HTTP": ("prep/nuevo.py", "import aiohttp"),
    "the pipeline calls the door": ("prep/pipeline.py", "import capture.intake"),
    "the door calls the command": ("capture/intake.py", "import prep.operations.parked"),
    "the publisher calls the door": ("publisher/cut.py", "import capture.auth"),
    "the verifier calls the house": ("integrity/verify.py", "import prep.errors"),
    "the rehearsal calls the publisher": ("prep/rehearsal/night.py", "import publisher.cut"),
    "the command calls the faults": ("prep/operations/cli.py", "import load_tests.psql"),
    "the rules read a file of others": ("prep/domain/rules.py", "import prep.files.official"),
    "the rules read settings": ("prep/domain/rules.py", "import prep.settings"),
    "the rules write to the disk": ("prep/domain/rules.py", "import integrity.durable"),
    "a reader of files asks the store": ("prep/files/official.py", "import prep.store.catalog"),
    "the log reads the tree": ("integrity/log/rotation.py", "import integrity.tree.documents"),
    "the log calls the seals": ("integrity/log/writer.py", "import integrity.sealing.seal"),
    "the evidence reads the tree": ("integrity/evidence.py", "import integrity.tree.documents"),
    "the small verifier leans on another": ("integrity/minimal_verifier.py", "import integrity.sums"),
    "the verifier leans on the small one": ("integrity/verify.py", "import integrity.minimal_verifier"),
}


NEW: Final = ("prep.nuevo", "integrity.nuevo")
"""Files that no line names. Their existence alone breaks the wall."""


def lint(folder: Path) -> tuple[int, str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(folder)}
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of lint-imports for a copy of the tree with every breach.

    Without the breaches, it approves the copy.
    """
    copy = tmp_path_factory.mktemp("copia")
    for room in ROOMS:
        shutil.copytree(
            ROOT / room,
            copy / room,
            ignore=lambda _, names: [name for name in names if "." in name and not name.endswith(".py")],
        )
    shutil.copy(ROOT / "pyproject.toml", copy)
    content, said = lint(copy)
    assert content == 0, said
    for module in NEW:
        (copy / module.replace(".", "/")).with_suffix(".py").touch()
    for file, source in BREACHES.values():
        with (copy / file).open("a") as opened:
            opened.write(f"\n{source}\n")
    broken, said = lint(copy)
    assert broken == 1, said
    return said


@pytest.mark.parametrize("breach", BREACHES)
def test_lint_imports_names_the_breach(told: str, breach: str) -> None:
    file, source = BREACHES[breach]
    importer, imported = file.removesuffix(".py").replace("/", "."), source.removeprefix("import ")
    assert re.search(rf"{re.escape(importer)} ->\s+{re.escape(imported)} \(l\.", told)


def test_lint_imports_names_the_files_without_a_line(told: str) -> None:
    assert re.findall(r"not listed as layers:\s+- (\S+)\n", told) == list(NEW)
