"""Who may import whom: the lines of pyproject.toml hold, and each wall is broken once here and seen to be red.

`lint-imports` holds the lines. It cannot say three things, which the syntax tree of every file says here: that a package
without a line is nobody's, that nothing is imported by a string, and that no part is started by one. Nor that fsync
stands in one file.
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
"""Package, and the files and folders that may import it."""
ALONE: Final = {
    "prep.domain": set(),
    "prep.files": set(),
    "integrity": {"cryptography", "rfc3161_client", "pkcs11"},
}
"""Rooms that need nothing but Python, and the packages that a line may let in all the same."""
BY_STRING: Final = frozenset(
    {"__import__", "eval", "exec", "exec_module", "import_module", "resolve_name", "run_module", "run_path", "runpy"}
)
"""Names that import or run what a text names."""
START: Final = re.compile(rf"(?:^|\s)-m\s*(?:{'|'.join(ROOMS)})\b")
ENTRY: Final = re.compile(rf"((?:{'|'.join(ROOMS)})(?:\.\w+)*)[.:]\w+")
DURABLE: Final = {"integrity.durable", "load_tests.bench.log"}
"""Where fsync may be called: for everybody, and for the figure of the bare disk."""


def stands_under(module: str, names: list[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def findings(module: str, source: str) -> list[str]:
    """What in a file no wall lets through, each in one sentence."""
    nodes = [*ast.walk(ast.parse(source))]
    return [*_imports(module, nodes), *_by_string(nodes), *_starts(nodes), *_syncs(module, nodes)]


def _imports(module: str, nodes: list[ast.AST]) -> Iterator[str]:
    """Every import, also inside functions: of Python itself, of our own rooms, or of a package that lets this file in."""
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


def _by_string(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        names = {name, *([alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else [])}
        yield from (f"{each} imports or runs what a text names" for each in sorted(names & BY_STRING))


def _starts(nodes: list[ast.AST]) -> Iterator[str]:
    """`python -m` and one of our rooms in a text, or a text `room.module:function`. Docstrings may say it."""
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
    """The word after `-m`: a module's own name, which a tool can follow, or a text that is none of our rooms."""
    if isinstance(word, ast.Constant):
        return not (isinstance(word.value, str) and word.value.partition(".")[0] in ROOMS)
    names = {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(word)}
    return bool(names & {"__name__", "__spec__", "__package__"})


def _is_file(module: str) -> bool:
    place = ROOT / module.replace(".", "/")
    return place.is_dir() or place.with_suffix(".py").is_file()


def _syncs(module: str, nodes: list[ast.AST]) -> Iterator[str]:
    if module not in DURABLE and any(isinstance(node, ast.Attribute) and node.attr == "fsync" for node in nodes):
        yield "what must be on the disk goes through integrity/durable.py"


# --- the tree as it is ------------------------------------------------------------------------------------------------


def test_no_file_goes_through_a_wall() -> None:
    files = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    assert len(files) > 100
    wrong: dict[str, list[str]] = {}
    for path in files:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        wrong |= {module: found} if (found := findings(module, path.read_text("utf-8"))) else {}
    assert not wrong


@pytest.mark.parametrize("room", ALONE)
def test_a_room_that_stands_alone_is_let_into_no_package(room: str) -> None:
    let_in = {
        package
        for package, names in MAY.items()
        if package not in ROOMS and any(stands_under(name, [room]) for name in names)
    }
    assert let_in == ALONE[room]


# --- each wall broken once, in the text of a made-up file ------------------------------------------------------------


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
def test_a_package_is_imported_only_where_a_line_says_so(module: str, source: str) -> None:
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
def test_nothing_is_imported_or_started_by_a_text(source: str) -> None:
    assert findings("prep.rehearsal.nuevo", source)


def test_a_part_may_be_started_by_what_a_tool_can_see() -> None:
    seen = """
        '''Runs as `python -m publisher.gate`.'''
        run([sys.executable, "-m", gate.__name__])
        run([sys.executable, "-m", __spec__.name])
        run([sys.executable, "-m", "zipfile"])
        run([command_line("integrity"), "verify"])
    """
    assert not findings("prep.rehearsal.nuevo", re.sub("(?m)^ {8}", "", seen))


def test_fsync_stands_in_one_file() -> None:
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
"""Files that no line has: that they are there is the breach."""


def lint(folder: Path) -> tuple[int, str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(folder)}
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What lint-imports says of a copy of the tree with every breach in it; before them it was content with it."""
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


def test_lint_imports_names_the_files_that_no_line_has(told: str) -> None:
    assert re.findall(r"not listed as layers:\s+- (\S+)\n", told) == list(NEW)
