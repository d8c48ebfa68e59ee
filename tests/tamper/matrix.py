"""Runs both verifiers over every cheat, and writes the table of what finds what."""

import contextlib
import io
import json
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integrity import __main__ as integrity
from integrity import minimal_verifier
from tests.tamper.cheats import CHEATS, Cheat, Hands
from tests.tamper.night import Night

MARK = "<!-- tamper matrix -->"
README = Path(__file__).parents[2] / "README.md"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one verifier said of one tree."""

    exit_code: int
    wrong: tuple[str, ...]
    unchecked: tuple[str, ...]

    @property
    def in_words(self) -> str:
        if self.exit_code == 1:
            return " ".join(self.wrong)
        return f"not checked: {' '.join(self.unchecked)}" if self.exit_code else "—"


def judge(tree: Path | str, options: Sequence[str], *, minimal: bool) -> Verdict:
    """One verifier's whole command, in this process."""
    run = minimal_verifier.main if minimal else integrity.main
    words = [str(tree), *options, "--json"]
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")) as out:
        code = run(words if minimal else ["verify", *words])
        out.seek(0)
        return read_verdict(out.read(), code)


def read_verdict(report: str, code: int) -> Verdict:
    held: Mapping[str, Any] = json.loads(report)

    def those(result: str) -> tuple[str, ...]:
        return tuple(check["id"] for check in held["comprobaciones"] if check["resultado"] == result)

    return Verdict(code, those("mal"), those("no se pudo comprobar"))


@contextlib.contextmanager
def openssl_once() -> Iterator[None]:
    """The same question about the same bytes is put to openssl once: most of them are about what no cheat changed."""
    asks, answers = minimal_verifier.openssl, dict[object, Any]()

    def ask(words: str, **files: bytes) -> Any:
        question = (words, tuple(files.items()))
        if question not in answers:
            answers[question] = asks(words, **files)
        return answers[question]

    minimal_verifier.openssl = ask
    try:
        yield
    finally:
        minimal_verifier.openssl = asks


def outcomes(night: Night, scratch: Path) -> Iterator[tuple[Cheat, Verdict, Verdict]]:
    """Each cheat on a tree of its own, judged by both."""
    with openssl_once():
        yield from _outcomes(night, scratch)


def _outcomes(night: Night, scratch: Path) -> Iterator[tuple[Cheat, Verdict, Verdict]]:
    for cheat in CHEATS:
        tree = night.copy(scratch / "publico")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a ZIP with a name twice
            cheat.act(tree, night)
        options = night.reader() if cheat.remembers is None else night.remembering(cheat.remembers)
        yield cheat, judge(tree, options, minimal=False), judge(tree, options, minimal=True)
        shutil.rmtree(tree)
        for each in scratch.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()


def table(found: Sequence[tuple[Cheat, Verdict, Verdict]]) -> str:
    """Markdown, between its markers."""
    lines = ["| cheat | `integrity verify` | `minimal_verifier.py` |", "|---|---|---|"]
    hands: Hands | None = None
    for cheat, ours, minimal in found:
        if cheat.hands is not hands:
            hands = cheat.hands
            lines.append(f"| {hands.value} | | |")
        lines.append(f"| {cheat.name} | {ours.in_words} | {minimal.in_words} |")
    return "\n".join([MARK, *lines, MARK])


def in_readme() -> str:
    """The table that stands there."""
    text = README.read_text()
    first, last = text.index(MARK), text.rindex(MARK)
    return text[first : last + len(MARK)]
