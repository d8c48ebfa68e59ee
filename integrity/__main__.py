"""The commands of an auditor, a party or a citizen: verify a published tree, check one file against its code."""

import argparse
import hashlib
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from integrity.report import Report, Result
from integrity.sums import Malformed, read_code
from integrity.verify import verify

HELP: Final = """\
integrity: comprueba lo que publica un PREP, sin confiar en quien lo publica.

  integrity verify CARPETA|URL [--json]
      Comprueba todo lo publicado: las huellas SHA-256, la cadena de cortes, que no falte ni sobre
      ningún archivo, y cada suma y porcentaje, recalculados desde las filas de cada acta.
      Con --json, el informe completo para otro programa.

  integrity check ARCHIVO CÓDIGO
      Dice si un archivo (la imagen de un acta, un CSV) es el del código de integridad. El código se
      puede copiar tal cual de un PDF: no importan espacios, saltos de línea, guiones ni mayúsculas.

Termina con 0 si todo está bien, 1 si algo está mal y 2 si algo no se pudo comprobar.
"""

_MARKS: Final = {Result.OK: "✓", Result.WRONG: "✗", Result.UNCHECKED: "?", Result.NOT_APPLICABLE: "–"}
_WIDTH: Final = 100
_COULD_NOT: Final = 2
_ENDINGS: Final = (
    "Todo lo que se comprobó está bien.",
    "Algo está mal: vea los hallazgos.",
    "No se pudo comprobar todo: esto no es una aprobación.",
)


class _Parser(argparse.ArgumentParser):
    """argparse, speaking Spanish."""

    def format_help(self) -> str:
        return HELP

    def error(self, message: str) -> NoReturn:  # noqa: ARG002 - argparse words it in English
        sys.stderr.write("No se entiende la orden.\n\n" + HELP)
        raise SystemExit(_COULD_NOT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that cannot show ✓ still gets the words
    parser = _Parser(prog="integrity")
    commands = parser.add_subparsers(dest="command", required=True)
    tree = commands.add_parser("verify")
    tree.add_argument("source")
    tree.add_argument("--json", action="store_true")
    file = commands.add_parser("check")
    file.add_argument("file", type=Path)
    file.add_argument("code", nargs="+")
    asked = parser.parse_args(arguments)
    if asked.command == "check":
        return _check(asked.file, " ".join(asked.code))
    report = verify(asked.source, _tell)
    print(report.to_json() if asked.json else render(report))
    return report.exit_code


def _tell(what: str) -> None:
    """What is being done, on one line that the next replaces; only for a person who watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{what}…\r")


def render(report: Report) -> str:
    """The report for a person: the table of checks, then each finding in a sentence."""
    lines = [f"Verificación de {report.source}", *([f"Último corte: {report.corte}"] if report.corte else [])]
    family = ""
    for check in report.checks:
        if check.family != family:
            family = check.family
            lines += ["", family]
        count = f"  [{check.compared:,}]" if check.result is Result.OK and check.compared else ""
        lines.append(f"  {_MARKS[check.result]} {check.id}  {check.title}{count}")
    lines += _details(report)
    return "\n".join([*lines, "", f"{_MARKS[_overall(report)]} {_ENDINGS[report.exit_code]}"])


def _overall(report: Report) -> Result:
    return (Result.OK, Result.WRONG, Result.UNCHECKED)[report.exit_code]


def _details(report: Report) -> list[str]:
    lines: list[str] = []
    reasons: dict[tuple[Result, str], list[str]] = {}
    for check in report.checks:
        for finding in check.findings:
            lines += _wrapped(f"✗ {check.id}  ", finding.sentence)
        if check.differences > len(check.findings):
            lines.append(f"  ✗ {check.id}  … y {check.differences - len(check.findings):,} diferencias más.")
        for reason in check.reasons:
            kind = Result.NOT_APPLICABLE if check.result is Result.NOT_APPLICABLE else Result.UNCHECKED
            reasons.setdefault((kind, reason), []).append(check.id)
    for (kind, reason), ids in reasons.items():
        word = "no aplica" if kind is Result.NOT_APPLICABLE else "no se pudo comprobar"
        lines += _wrapped(f"{_MARKS[kind]} ", f"{', '.join(ids)}: {word}: {reason}.")
    return ["", "Hallazgos", *lines] if lines else []


def _wrapped(mark: str, sentence: str) -> list[str]:
    return textwrap.wrap(
        sentence,
        _WIDTH,
        initial_indent=f"  {mark}",
        subsequent_indent=" " * (2 + len(mark)),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _check(path: Path, text: str) -> int:
    try:
        expected = read_code(text)
    except Malformed as problem:
        print(f"? El código no se puede leer: se esperaba {problem.expected}; se encontró {problem.found}.")
        return _COULD_NOT
    try:
        with path.open("rb") as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError:
        print(f"? No se pudo leer el archivo {path}.")
        return _COULD_NOT
    if found != expected:
        print(f"✗ {path} NO es el archivo de ese código.\n  se esperaba   {expected}\n  se encontró   {found}")
        return 1
    print(f"✓ {path} es exactamente el archivo de ese código.\n  {found}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
