"""What a verification says: checks with an id, each good, wrong, not checked or not applicable, and every difference.

A check is good only if something was compared and nothing differed. Silence is never a pass: a check that nothing
reached is *not checked*, and the exit code says so.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from integrity.checks import TABLE, Who, family, titles


class Result(StrEnum):
    """The values stand in the JSON report."""

    OK = "bien"
    WRONG = "mal"
    UNCHECKED = "no se pudo comprobar"
    NOT_APPLICABLE = "no aplica"


CHECKS: Final = titles(Who.TREE)
EVIDENCE_CHECKS: Final = titles(Who.LOG)
"""The checks that `verify` adds for a tree that has a log, or should have one."""
KEPT_CHECK: Final = titles(Who.KEPT)
"""The check that `verify` adds for a reader who remembers."""
LOG_CHECKS: Final = titles(Who.AUDIT)
"""The checks of `integrity audit-log`, in their order."""
PROOF_CHECKS: Final = titles(Who.PROOF)
"""The checks of `integrity check-proof`, in their order."""
SEAL_CHECKS: Final = titles(Who.SEALS)
"""The checks of `integrity seal check`, in their order; `verify` adds them, for every corte."""

ROW_CHECKS: Final = (
    "COM-04",
    *("CON-07", "CON-08", "CON-09", "CON-10", "CON-11", "CON-12", "CON-13", "CON-14", "CON-15"),
)
"""The checks that need the rows of a corte."""

SHOWN: Final = 20
"""Findings kept for each check; the rest are counted."""
LONGEST: Final = 160

NOT_REACHED: Final = "no se llegó a comprobar: falta o está mal lo que se necesita para ello"


def printable(text: object) -> str:
    """`text` on one line, cut, without characters that could act on a terminal: file names are written by others."""
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in str(text)[: LONGEST + 1])
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference."""

    check: str
    file: str
    """Path from the root of the tree."""
    expected: str
    found: str
    position: str = ""
    """Where in the file, as "línea 12, PAN"; empty for the whole file."""

    @property
    def sentence(self) -> str:
        where = f"{self.file}, {self.position}" if self.position else self.file
        return f"{where}: se esperaba {self.expected}; se encontró {self.found}."


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check."""

    id: str
    result: Result
    compared: int
    """How many things were compared; what kind of thing depends on the check."""
    findings: tuple[Finding, ...] = ()
    """The first `SHOWN` of them."""
    differences: int = 0
    reasons: tuple[str, ...] = ()
    """Why something could not be checked, or does not apply."""

    @property
    def title(self) -> str:
        return TABLE[self.id].title

    @property
    def family(self) -> str:
        return family(self.id).value


@dataclass(frozen=True, slots=True)
class Report:
    """What was verified and how every check came out."""

    source: str
    corte: str
    """The last corte, in words; empty where none could be read."""
    checks: tuple[Check, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else a reader wants to know of what was checked, by its name."""

    @property
    def exit_code(self) -> int:
        """0 all good, 1 something is wrong, 2 something could not be checked (and nothing was found wrong)."""
        results = {check.result for check in self.checks}
        if Result.WRONG in results:
            return 1
        return 2 if Result.UNCHECKED in results else 0

    def wrong(self) -> frozenset[str]:
        """Ids of the checks that found a difference."""
        return frozenset(check.id for check in self.checks if check.result is Result.WRONG)

    def to_json(self) -> str:
        checks = [
            {
                "id": check.id,
                "familia": check.family,
                "titulo": check.title,
                "resultado": check.result.value,
                "comparaciones": check.compared,
                "diferencias": check.differences,
                "hallazgos": [
                    {
                        "archivo": finding.file,
                        "posicion": finding.position,
                        "esperado": finding.expected,
                        "encontrado": finding.found,
                    }
                    for finding in check.findings
                ],
                "motivos": [*check.reasons],
            }
            for check in self.checks
        ]
        held = {
            "formato": 1,
            "origen": self.source,
            "corte": self.corte,
            "resultado": self.exit_code,
            **({"datos": dict(self.facts)} if self.facts else {}),
            "comprobaciones": checks,
        }
        return json.dumps(held, ensure_ascii=False, indent=2)


@dataclass
class Ledger:
    """Where the steps of a verification write what they compared and what differed."""

    checks: Mapping[str, str] = field(default_factory=lambda: CHECKS)
    """Which checks the verification has; those that it does not reach are not checked."""
    facts: dict[str, str] = field(default_factory=dict)
    compared: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    findings: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    differences: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    obstacles: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    inapplicable: dict[str, str] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)

    def did(self, check: str, count: int = 1) -> None:
        """`count` things were compared for `check`; zero says that there was nothing to compare, and that is good."""
        self._reach(check)
        self.compared[check] += count

    def wrong(self, check: str, file: str, *, expected: object, found: object, position: str = "") -> None:
        self._reach(check)
        self.differences[check] += 1
        if len(self.findings[check]) < SHOWN:
            finding = Finding(check, printable(file), printable(expected), printable(found), printable(position))
            self.findings[check].append(finding)

    def unable(self, checks: Iterable[str], sentence: str) -> None:
        """Something that these checks need could not be read."""
        for check in checks:
            _expect_known(check)
            if len(self.obstacles[check]) < SHOWN and sentence not in self.obstacles[check]:
                self.obstacles[check].append(printable(sentence))

    def not_applicable(self, check: str, reason: str) -> None:
        """Unless something else is compared for it."""
        _expect_known(check)
        self.inapplicable[check] = reason

    def _reach(self, check: str) -> None:
        _expect_known(check)
        self.reached.add(check)

    def report(self, source: str, corte: str) -> Report:
        facts = {name: printable(told) for name, told in self.facts.items()}
        return Report(printable(source), printable(corte), tuple(self._check(check) for check in self.checks), facts)

    def _check(self, check: str) -> Check:
        obstacles = tuple(self.obstacles[check])
        if self.differences[check]:
            findings = tuple(self.findings[check])
            return Check(
                check, Result.WRONG, self.compared[check], findings, self.differences[check], reasons=obstacles
            )
        if obstacles:
            return Check(check, Result.UNCHECKED, self.compared[check], reasons=obstacles)
        if check in self.inapplicable and check not in self.reached:
            return Check(check, Result.NOT_APPLICABLE, 0, reasons=(self.inapplicable[check],))
        if check not in self.reached:
            return Check(check, Result.UNCHECKED, 0, reasons=(NOT_REACHED,))
        return Check(check, Result.OK, self.compared[check])


def _expect_known(check: str) -> None:
    """An id that stands in no table would be a finding that no report shows."""
    if check not in TABLE:
        raise KeyError(check)
