"""Runs both verifiers over every cheat, and writes `docs/checks.md`: the checks, and the check that finds each cheat."""

import contextlib
import io
import json
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from integrity import __main__ as integrity
from integrity import minimal_verifier
from integrity.checks import BOTH, TABLE, Family
from integrity.tree import data
from integrity.tree.documents import Manifest
from integrity.tree.forms import FILES, FORMS
from publisher.public_checks import LATER, OF_THE_GATE, STAGED
from tests.tamper.cheats import CHEATS, Cheat, Hands
from tests.tamper.night import Night

DOCUMENT = Path(__file__).parents[2] / "docs" / "checks.md"
_HEAD = """\
# Checks

This file is written by `python -m tests.tamper docs/checks.md`; a test compares it with the code.

Two verifiers share no code: `integrity verify`, and `integrity/minimal_verifier.py`, one file that needs Python's standard
library and `openssl` and was written from the description of the format. They give the same answer with the same ids on every
tree, honest or not. An id keeps its meaning for ever. A check is *bien*, *mal*, *no se pudo comprobar* or *no aplica*: it is
*bien* only if something was compared, or if there was nothing to compare.

No check of either verifier covers these: what HTML pages say in words (their numbers are compared); a certificate that was
revoked; constants of a site that another release, with its own digests in every manifest, would replace (compare them with
the software list of the release); a whole night that every key and every witness tells differently to a reader who kept no
checkpoint.
"""
_REMAINS = """
## Cheats that remain possible

The table above lists the cheats that both verifiers find. This one lists those that they miss, for each kind of insider, and where else
they show.

| who | both verifiers still approve | it shows in |
|---|---|---|
| somebody who can write to the server | the words of HTML pages, but not their numbers; openings, proofs and stamps of the last corte held back: they are then *not checked*, and after the next corte its openings are *mal* (EVI-13) | `integrity verify` over the files; another mirror |
| … who can also make every digest agree | nothing more, if the reader brings the log's key: the log holds each SHA256SUMS and each row | AUT-12, EVI-03, EVI-05 |
| the owner of the database, without the log's keys | to add captures and a choice of people who do not exist, **before** the sequencer has told the version: PostgreSQL does not know people, and the log knows them by pseudonyms only | the image beside the row; the list of people and the sessions of the night; `prep verify-database` if a fact is changed after its leaf |
| one cotejador | a cotejo. It changes no number | its statement; the paper |
| two people who agree | what the rules leave to them: sin acta, an image given to another acta or put aside as fuera de catálogo, numbers of a device declared lost. Each has two statements, or its leaf with its reason | the image and its sticker; `decisiones` in the manifest; the party's own copy of the acta; `prep device show` |
| somebody with every key | a leaf that says that the machine read the sticker of another acta in an image, told when the image came; an acta taken back (`retiro`): it has no statements in the log, only its correction and its decision in the manifest; a row *sin acta* that was taken back, shown again as it was, on its old statements | anyone who reads the sticker in the image; `correcciones`, `decisiones` and the row that goes; `prep verify-database` |
| two capturistas who agree to type the same false values | a row with these values | the image beside the row; COTEJADA |
| a person with a device's key | false pictures under the numbers that come next; a held-back picture, if two people then declare its number lost | the numbers and their chain in the log; the declaration and its reason |
| somebody with every key, the database and the witnesses' keys | another whole night that agrees with itself, for a reader who kept no checkpoint. Its captures, choices and declarations are invented, and keep every rule | EVI-11 for a reader who kept one; receipts, prints of cortes, mirrors, witnesses who are asked |
| the same, during the night | to hide the newest corte for up to 15 minutes: a corte that is not yet in index.json counts as coming out | the hour of the corte; the next corte |

To invent a row one needs three facts that agree with it and with each other, told to the log before the corte. To change one
that is out, one also needs a published correction.
"""
_CHEATS = """
## Ways of cheating, and the checks that find each

`tests/tamper` cheats on a complete night: two elections, three cortes, a correction, a log with three witnesses of whom two are
needed, seals, time stamps. Both readers have the policy of the log and the authorities' certificates; if they have more, the
row says so. The table holds the checks that came out *mal*; beside it, a test changes the same night at random, and both verifiers must agree
on each of those trees too.
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of one verifier about one tree."""

    exit_code: int
    wrong: tuple[str, ...]
    unchecked: tuple[str, ...]

    @property
    def in_words(self) -> str:
        if self.exit_code == 1:
            return " ".join(self.wrong)
        return f"not checked: {' '.join(self.unchecked)}" if self.exit_code else "—"


SOUND: Final = Verdict(2, (), ("AUT-12",))
"""Of a tree without a fault, if the reader brings no key and no authority."""


def judge(tree: Path | str, options: Sequence[str], *, minimal: bool) -> Verdict:
    """Run one verifier's whole command in this process."""
    return read_verdict(*report(tree, options, minimal=minimal))


def report(tree: Path | str, options: Sequence[str], *, minimal: bool) -> tuple[str, int]:
    """The JSON that the command prints, and its exit code."""
    words = [str(tree), *options, "--json"]
    return printed(minimal_verifier.main, words) if minimal else printed(integrity.main, ["verify", *words])


def printed(run: Callable[[Sequence[str]], int], words: Sequence[str]) -> tuple[str, int]:
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")) as out:
        code = run(words)
        out.seek(0)
        return out.read(), code


def results(report: str) -> list[tuple[str, str]]:
    """Every check of a report with its result, in the order of the report."""
    return [(check["id"], check["resultado"]) for check in json.loads(report)["comprobaciones"]]


def read_verdict(report: str, code: int) -> Verdict:
    def those(wanted: str) -> tuple[str, ...]:
        return tuple(check for check, result in results(report) if result == wanted)

    return Verdict(code, those("mal"), those("no se pudo comprobar"))


@contextlib.contextmanager
def asked_once() -> Iterator[None]:
    """Answer each question once if no cheat changed what it is about: those to openssl, and the clean data of a corte.

    An answer is kept under everything that it follows from. Half of the time of a verifier goes there.
    """
    with contextlib.ExitStack() as stack:
        for place, name, about in (
            (minimal_verifier, "openssl", _about_openssl),
            (minimal_verifier, "clean_files", _about_clean_files),
            (data, "make_data", _about_make_data),
        ):
            asks = getattr(place, name)
            stack.callback(setattr, place, name, asks)
            setattr(place, name, _once(asks, about))
        yield


def _once(asks: Callable[..., Any], about: Callable[..., object]) -> Callable[..., Any]:
    answers = dict[object, Any]()

    def ask(*given: Any, **named: Any) -> Any:
        question = about(*given, **named)
        if question not in answers:
            answers[question] = asks(*given, **named)
        return answers[question]

    return ask


def _about_openssl(words: str, **files: bytes) -> object:
    return words, tuple(files.items())


def _about_clean_files(corte: Any, election: Any, images: Any) -> object:
    handle = corte.files[election["archivo"]][0]
    handle.seek(0)
    known = tuple((digest, ending) for digest, (ending, _) in images.items())
    return json.dumps([corte.manifest, election, corte.totals]), handle.read(), known


def _about_make_data(
    manifest: Manifest, totals: Any, files: dict[str, Path], extension: Callable[[str], str]
) -> object:
    read = tuple(path.read_bytes() for path in files.values())
    digests = {digest for text in read for digest in re.findall(rb"[0-9a-f]{64}", text)}
    known = tuple((digest, extension(digest.decode())) for digest in sorted(digests))
    return json.dumps([manifest.raw, totals]), tuple(files), read, known


def outcomes(night: Night, scratch: Path) -> Iterator[tuple[Cheat, Verdict, Verdict]]:
    """Each cheat on a tree of its own, judged by both verifiers."""
    with asked_once():
        yield from _judge_each_cheat(night, scratch)


def _judge_each_cheat(night: Night, scratch: Path) -> Iterator[tuple[Cheat, Verdict, Verdict]]:
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


def document(found: Sequence[tuple[Cheat, Verdict, Verdict]]) -> str:
    """The whole text of `docs/checks.md`."""
    head = [_HEAD, *_checks_table(), *_forms_table(), *_gate_table()]
    return "\n".join([*head, _CHEATS, *_cheats_table(found), _REMAINS])


def _checks_table() -> Iterator[str]:
    for family in Family:
        yield f"## {family.name}: {family.value}\n"
        yield "| id | what it says | as the report prints it | made by |"
        yield "|---|---|---|---|"
        for check, row in TABLE.items():
            if check.startswith(family.name):
                both = "; `minimal_verifier.py`" if row.who in BOTH else ""
                yield f"| {check} | {row.meaning} | {row.title} | {row.who.value}{both} |"
        yield ""


def _forms_table() -> Iterator[str]:
    yield "## Every cell and every file: the checks, and their limits\n"
    yield "The forms of cells stand in `integrity/tree/forms.py`, for the verifier and for the publisher's gate.\n"
    for title, forms in (("column of the official file", FORMS), ("field or file", FILES)):
        yield f"| {title} | checks | form | beyond any check |"
        yield "|---|---|---|---|"
        yield from (f"| {each.columns} | {each.check} | {each.form} | {each.beyond or '—'} |" for each in forms)
        yield ""


def _gate_table() -> Iterator[str]:
    yield "## Before a corte goes out\n"
    yield "The publisher's gate makes these checks over the staged corte, with the definitions of the public verifier:"
    yield f"{', '.join(sorted(STAGED))}; and {', '.join(OF_THE_GATE)} in a way of its own. The others cannot be made yet:\n"
    yield "| checks | why they come later |"
    yield "|---|---|"
    for reason in dict.fromkeys(LATER.values()):
        yield f"| {', '.join(check for check, why in LATER.items() if why == reason)} | {reason} |"


def _cheats_table(found: Sequence[tuple[Cheat, Verdict, Verdict]]) -> Iterator[str]:
    yield "| cheat | `integrity verify` | `minimal_verifier.py` |"
    yield "|---|---|---|"
    hands: Hands | None = None
    for cheat, ours, minimal in found:
        if cheat.hands is not hands:
            hands = cheat.hands
            yield f"| {hands.value} | | |"
        yield f"| {cheat.name} | {ours.in_words} | {'the same' if minimal == ours else minimal.in_words} |"
