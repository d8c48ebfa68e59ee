"""The result of a verification: checks with an id, each good, wrong, not checked or not applicable, and its findings.

A check is good only if something was compared and no difference was found. A check that no step reached is *not
checked*, and the exit code tells it: a step that was skipped can never look like a pass.
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
    *("CON-07", "CON-08", "CON-09", "CON-10", "CON-11", "CON-12", "CON-13", "CON-14", "CON-15", "CON-16"),
    "CON-20",
)
"""The checks that need the rows of a corte."""

SHOWN: Final = 20
"""Findings kept for each check; the others are counted."""
LONGEST: Final = 160

NOT_REACHED: Final = "no se llegó a comprobar: falta o está mal lo que se necesita para ello"


def printable(text: object) -> str:
    """`text` on one line, cut, without characters that control a terminal: file names come from other people."""
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in str(text)[: LONGEST + 1])
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between the expected and the found value."""

    check: str
    file: str
    """Path from the root of the tree."""
    expected: str
    found: str
    position: str = ""
    """The place in the file, as "línea 12, PAN"; empty for the whole file."""

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
    """How many things were compared. Each check counts its own kind: files, rows, leaves."""
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
    """The outcome of every check of one verification."""

    source: str
    corte: str
    """The last corte, in words; empty if none could be read."""
    checks: tuple[Check, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    """Other values for the reader, by name: the log's origin, a warning that this is a simulacro."""

    @property
    def exit_code(self) -> int:
        """0: all good. 1: a check is wrong. 2: no check is wrong, but one could not be checked."""
        # One finding outweighs every obstacle: a wrong number stays wrong even if another file could not be read.
        results = {check.result for check in self.checks}
        if Result.WRONG in results:
            return 1
        return 2 if Result.UNCHECKED in results else 0

    def wrong(self) -> frozenset[str]:
        """Ids of the checks that found a difference."""
        return frozenset(check.id for check in self.checks if check.result is Result.WRONG)

    def to_json(self) -> str:
        """The report for another program: format 1, in Spanish, the checks in their order."""
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
        # Format 1 of the JSON report. Other programs read these names, so they stay.
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
    """The steps of a verification write here how much they compared and every difference that they found."""

    checks: Mapping[str, str] = field(default_factory=lambda: CHECKS)
    """The checks that this verification has; one that no step reaches is not checked."""
    facts: dict[str, str] = field(default_factory=dict)
    compared: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    findings: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    differences: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    obstacles: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    inapplicable: dict[str, str] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)

    def did(self, check: str, count: int = 1) -> None:
        """`count` things were compared for `check`. Zero: the step found no such thing to compare, and that is good."""
        self._mark_reached(check)
        self.compared[check] += count

    def wrong(self, check: str, file: str, *, expected: object, found: object, position: str = "") -> None:
        """A difference was found for `check`: it counts, and the first `SHOWN` are kept as findings."""
        self._mark_reached(check)
        # A tree that is wrong everywhere would give a report without end: the first findings are kept, all are counted.
        self.differences[check] += 1
        if len(self.findings[check]) < SHOWN:
            finding = Finding(check, printable(file), printable(expected), printable(found), printable(position))
            self.findings[check].append(finding)

    def unable(self, checks: Iterable[str], sentence: str) -> None:
        """These checks need something that could not be read, for the reason in `sentence`."""
        for check in checks:
            _expect_known(check)
            # One obstacle may stop a thousand comparisons; its reason is told once.
            if len(self.obstacles[check]) < SHOWN and sentence not in self.obstacles[check]:
                self.obstacles[check].append(printable(sentence))

    def not_applicable(self, check: str, reason: str) -> None:
        """The check does not apply, unless another step compares something for it."""
        _expect_known(check)
        # It counts only if no step compares anything for this check.
        self.inapplicable[check] = reason

    def _mark_reached(self, check: str) -> None:
        _expect_known(check)
        self.reached.add(check)

    def report(self, source: str, corte: str) -> Report:
        """The report of everything that was written; call it once, at the end."""
        facts = {name: printable(told) for name, told in self.facts.items()}
        return Report(
            printable(source), printable(corte), tuple(self._outcome_of(check) for check in self.checks), facts
        )

    def _outcome_of(self, check: str) -> Check:
        # A finding counts before an obstacle, an obstacle before a pass. A check is good only if a step reached it.
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
    """Refuse an id that is not in the table: its finding would be in no report."""
    if check not in TABLE:
        raise KeyError(check)
