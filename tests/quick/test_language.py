"""The project's sentences are for readers whose second language is English: no form that must be read twice is in them.

Looked at are comments, docstrings and names of tests in Python, comments in SQL, shell, YAML and TypeScript, and documents
in English. `python tests/quick/test_language.py FILES…` prints the findings in some files and counts them.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BE = (
    "(is|was|are|were|has|had|comes|came|goes|went|stands|stood|holds|held|waits|waited|remains|remained|lacks|belongs)"
)
FORMS = {
    "«what is …» as a noun: name the thing": rf"\bwhat {BE}\b",
    "«nothing is …»: say what the subject does not do": rf"\bnothing {BE}\b",
    "«whoever», «whatever», «whichever», «wherever»: name the person or the thing": r"\b(who|what|which|wher)ever\b",
    "«nobody's», «somebody's», «whose it is»": r"\b(nobody's|somebody's|anybody's|everybody's|whose it is)\b",
    "«where» for «if»": (
        r"\bwhere (there|it|they|he|she|no|none|nothing|nobody|somebody|some|one|an?|the|this|that|these|two|both|all|any|each)"
        r"( \w+)? (is|are|was|were|has|have|had|does|do|did|can|cannot|may|must|needs?|differs?|holds?|fails?|says?)\b"
        r"|\b(raises?|none|false|true|null|refused?|refuses|fails?|exit status \d|ends with \d)\b[^.;:()]{0,70}\bwhere\b"
    ),
    "«what there is» as a noun: name the thing": r"\bwhat there (is|was|are)\b",
}
PATTERNS = {name: re.compile(form, re.IGNORECASE) for name, form in FORMS.items()}
PAIRS = [
    ("«what is …»", "It keeps what is odd about an image.", "It keeps the oddities of an image."),
    ("«what is …»", "Wait for what\n    comes next.", "Wait for the next\n    message."),
    ("«nothing is …»", "After a crash nothing is lost.", "A crash loses no image."),
    ("«whoever»", "Whoever digitizes it looks again.", "The worker looks again."),
    ("«whoever»", "It is kept whatever the bytes say.", "It is kept with any bytes."),
    ("«nobody's»", "A lease that is nobody's is given back.", "A lease without a holder is given back."),
    ("«where» for «if»", "None where the file has no column.", "None if the file has no column."),
    ("«where» for «if»", "Where there is no log, it ends.", "If there is no log, it ends."),
    ("«where» for «if»", "Raises Rejected where the door would.", "Raises Rejected if the door would."),
    (
        "«where» for «if»",
        "Where the tree stands is a place.\nWhere it is empty, stop.",
        "The folder where the tree stands.",
    ),
    ("«what there is»", "It asks for what there is.", "It asks for all memory."),
]
"""The form, a bad sentence that has it, and a good sentence that says the same."""
KINDS = (".py", ".md", ".sql", ".sh", ".yml", ".yaml", ".toml", ".ts", ".tsx", "Makefile", "Containerfile")
SPANISH = ("LEEME.md",)
FOREIGN = "tests/official/"
EXAMPLES = Path(__file__).name


def sentences(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Line and text of each paragraph or comment that is written for a reader, without code in backticks."""
    match path.suffix:
        case ".py":
            yield from comments(text)
            yield from docstrings_and_test_names(text)
        case ".md":
            # Blocks of code become empty lines, so that the line numbers stay right.
            prose = re.sub(r"```.*?```", lambda code: "\n" * code[0].count("\n"), text, flags=re.DOTALL)
            for found in re.finditer(r"(?:.+\n?)+", prose):
                yield prose.count("\n", 0, found.start()) + 1, without_code(found[0])
        case ".sql":
            for number, line in enumerate(text.splitlines(), 1):
                if "--" in line:
                    yield number, line.partition("--")[2]
        case ".ts" | ".tsx" | ".js":
            for found in re.finditer(r"/\*.*?\*/|(?<!:)//[^\n]*", text, re.DOTALL):
                yield text.count("\n", 0, found.start()) + 1, found[0]
        case _:
            for number, line in enumerate(text.splitlines(), 1):
                if line.lstrip().startswith("#"):
                    yield number, line


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Comments in Python. Comments in lines that follow each other are one text, because a sentence may go over lines."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        if block and token.start[0] != last + 1:
            yield first, " ".join(block)
            block = []
        first = first if block else token.start[0]
        last = token.start[0]
        block.append(token.string.lstrip("# "))
    if block:
        yield first, " ".join(block)


def docstrings_and_test_names(text: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(written))):
                yield node.lineno, without_code(written)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name.startswith("test_"):
                yield node.lineno, name.replace("_", " ")
            case _:
                pass


def without_code(text: str) -> str:
    return re.sub(r"`[^`]*`", "`", text)


def findings(path: Path, text: str) -> Iterator[str]:
    for line, sentence in sentences(path, text):
        folded = " ".join(sentence.split())
        for name, pattern in PATTERNS.items():
            for at in pattern.finditer(folded):
                yield f"{path}:{line}: {name}: …{folded[max(0, at.start() - 30) : at.end() + 40]}…"


def findings_in(paths: Sequence[Path]) -> list[str]:
    return [found for path in paths for found in findings(path, path.read_text(encoding="utf-8"))]


def written_here() -> list[Path]:
    """Every file of the project with sentences in English. This file holds the bad examples and is left out."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    left_out = (*SPANISH, EXAMPLES)
    names = [name for name in listed if name.endswith(KINDS) and Path(name).name not in left_out]
    return [ROOT / name for name in names if not name.startswith(FOREIGN) and (ROOT / name).exists()]


def test_no_sentence_must_be_read_twice() -> None:
    assert findings_in(written_here()) == []


WRAPPED = {
    "a.py": ['"""{}"""', "x = 1  # {}", "def f():\n    # {}\n    pass"],
    "a.md": ["# Title\n\n{}\n"],
    "a.sql": ["SELECT 1;\n-- {}\n"],
    "a.ts": ["const a = 1;\n/* {} */", "// {}"],
    "a.sh": ["true\n# {}\n"],
}
"""The places of a sentence in each kind of file."""


@pytest.mark.parametrize(("form", "bad", "good"), PAIRS)
def test_every_form_is_found_in_a_bad_sentence_and_its_good_twin_passes(form: str, bad: str, good: str) -> None:
    path = Path("a.md")
    assert any(form[:-1] in each for each in findings(path, bad)), bad
    assert not list(findings(path, good)), good


def test_every_form_has_a_bad_sentence() -> None:
    assert {name for name in FORMS for form, _, _ in PAIRS if name.startswith(form[:-1])} == set(FORMS)


@pytest.mark.parametrize("name", WRAPPED)
def test_a_bad_sentence_is_found_in_each_kind_of_file(name: str) -> None:
    for place in WRAPPED[name]:
        assert list(findings(Path(name), place.format("It keeps what is odd."))), place
        assert not list(findings(Path(name), place.format("It keeps the oddities."))), place


def test_code_is_no_sentence_and_a_sentence_may_go_over_two_lines() -> None:
    assert not list(findings(Path("a.md"), "Call `what is` here.\n```\nwhat is\n```\n"))
    assert not list(findings(Path("a.py"), "text = 'what is odd'\n"))
    assert list(findings(Path("a.py"), "# It keeps what\n# is odd.\n"))


def test_the_name_of_a_test_is_a_sentence() -> None:
    assert list(findings(Path("a.py"), "def test_what_is_odd_is_kept(): pass\n"))
    assert not list(findings(Path("a.py"), "def test_an_odd_image_is_kept(): pass\n"))


if __name__ == "__main__":
    wrong = findings_in([Path(word) for word in sys.argv[1:]])
    print(*wrong, len(wrong), sep="\n")
