"""The commands of an auditor, a party or a citizen: verify a published tree, one file, or a log; be a witness."""

import argparse
import hashlib
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn

from integrity import VERSION
from integrity.report import Report, Result
from integrity.sums import Malformed, read_code
from integrity.verify import verify

HELP: Final = """\
integrity: comprueba lo que publica un PREP, sin confiar en quien lo publica.

  integrity verify CARPETA|URL [--ca ARCHIVO [--tsa-ca ARCHIVO]] [--log-key LLAVE] [--log-policy ARCHIVO]
                   [--checkpoint ARCHIVO] [--trust-on-first-use] [--simulacro] [--since N] [--json]
      Comprueba todo lo publicado: las huellas SHA-256, la cadena de cortes, que no falte ni sobre
      ningún archivo, y cada suma y porcentaje, recalculados desde las filas de cada acta.
      Con --ca, los sellos de cada corte, y con --tsa-ca sus sellos de tiempo: los ARCHIVOS son los
      certificados (PEM) de las autoridades en las que usted confía, obtenidos de ellas.
      Si el árbol trae su bitácora, también que todo lo publicado esté en ella. LLAVE es la llave pública
      de la bitácora, obtenida por otro camino: sin ella solo se sabe que árbol y bitácora concuerdan.
      Sin llave y sin certificado termina con 2: nadie responde por las llaves del árbol. El instituto los
      publica en su página institucional. Con --trust-on-first-use, la llave que el árbol dice se recuerda en
      ~/.config/prep/llaves.json la primera vez, y después se comprueba que siga siendo esa.
      Con --checkpoint, que la bitácora continúe la de un bitacora/checkpoint guardado de antes.
      Con --simulacro, que sea un simulacro. Con --since, las filas y las imágenes solo desde el corte N;
      de los anteriores, las huellas, los sellos y la cadena. Con --json, el informe para otro programa.

  integrity check ARCHIVO CÓDIGO
      Dice si un archivo (la imagen de un acta, un CSV) es el del código de integridad. El código se
      puede copiar tal cual de un PDF: no importan espacios, saltos de línea, guiones ni mayúsculas.

  integrity audit-log CARPETA|URL --key LLAVE [--policy ARCHIVO] [--origin TEXTO] [--json]
      Lee entera una bitácora (C2SP tlog-tiles), la de un PREP o cualquier otra, la recalcula desde
      sus entradas y dice lo primero que está mal. LLAVE es la llave pública, «nombre+huella+base64»;
      con --policy, además, los testigos que deben haber firmado. Basta uno de los dos. Con --origin,
      que la bitácora tenga ese nombre. Con --json, el informe para otro programa.

  integrity prove CARPETA|URL (--index N | --leaf ARCHIVO) [--out ARCHIVO]
      Escribe la prueba (tlog-proof) de que una entrada está en la bitácora: la de número N, o la que
      guarda --leaf. Con --out, en ese archivo; sin él, en la pantalla.

  integrity check-proof PRUEBA --leaf ARCHIVO (--key LLAVE | --policy ARCHIVO) [--origin TEXTO] [--json]
      Comprueba sin red que el archivo --leaf está en la bitácora, en el lugar que la prueba dice.
      --key, --policy, --origin y --json son los de audit-log.

  integrity log-key NOMBRE [--witness] [--out ARCHIVO]
      Crea una llave de bitácora o, con --witness, de testigo: la privada en --out (si no se
      dice, bitacora.llave o testigo.llave), que solo su dueño puede leer, y la pública en ARCHIVO.pub.

  integrity witness --private ARCHIVO --log LLAVE [--log LLAVE…] --memory CARPETA
                    [--host 127.0.0.1] [--port 8460]
      Sirve de testigo: firma con --private cada punto de control de las bitácoras --log, solo si continúa
      el último que firmó. La CARPETA de --memory guarda lo que firmó; hay que crearla la primera vez y
      no perderla nunca. Escucha en --host y --port.

  integrity seal check CARPETA|SHA256SUMS --ca ARCHIVO [--tsa-ca ARCHIVO] [--simulacro] [--json]
      Comprueba el sello, las firmas y, con --tsa-ca, los sellos de tiempo que hay junto a un SHA256SUMS.
      Los ARCHIVOS son los certificados (PEM) de las autoridades en las que usted confía, obtenidos de
      ellas. Con --simulacro, que sea un simulacro. Con --json, el informe para otro programa.

  integrity seal export CARPETA|SHA256SUMS --out ARCHIVO
      Copia en --out lo que una persona va a firmar en otra máquina, con las instrucciones al lado.

  integrity seal import FIRMA --sums CARPETA|SHA256SUMS --ca ARCHIVO [--as-seal] [--simulacro]
      Comprueba la firma que se trajo y, solo si es buena, la pone junto al SHA256SUMS de --sums; con
      --as-seal, como el sello. --ca y --simulacro son los de «seal check».

  integrity seal sign CARPETA|SHA256SUMS --certificate ARCHIVO --key ARCHIVO|pkcs11:…
                      [--passphrase-file ARCHIVO]
      Sella con el --certificate de la institución y su --key: SHA256SUMS.p7s y SHA256SUMS.sello. El
      archivo de --passphrase-file guarda la contraseña de la llave.

  integrity stamp CARPETA|SHA256SUMS --tsa URL [--tsa URL] --tsa-ca ARCHIVO
      Pide a cada --tsa los sellos de tiempo que faltan y los pone junto al SHA256SUMS, si los firmó una
      autoridad de --tsa-ca.

  integrity dev-ca CARPETA
  integrity dev-tsa CARPETA [--port 8470]
      Una autoridad y un servicio de sellado de tiempo (en el --port de esta máquina) para desarrollo y
      simulacros, SIN VALIDEZ.

  integrity --version
      La versión de este programa.

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
    """argparse with Spanish texts."""

    def format_help(self) -> str:
        return HELP

    def error(self, message: str) -> NoReturn:  # noqa: ARG002 - argparse's own sentence is English
        sys.stderr.write("No se entiende la orden.\n\n" + HELP)
        raise SystemExit(_COULD_NOT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal without ✓ still gets the words
    parser = _Parser(prog="integrity")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(dest="command", required=True)
    tree = commands.add_parser("verify")
    tree.add_argument("source")
    tree.add_argument("--log-key", dest="key")
    tree.add_argument("--log-policy", dest="policy", type=Path)
    tree.add_argument("--ca", type=Path)
    tree.add_argument("--tsa-ca", type=Path)
    tree.add_argument("--checkpoint", type=Path)
    tree.add_argument("--trust-on-first-use", dest="first_use", action="store_true")
    tree.add_argument("--simulacro", action="store_true")
    tree.add_argument("--since", type=_whole_number, default=0)
    tree.add_argument("--json", action="store_true")
    file = commands.add_parser("check")
    file.add_argument("file", type=Path)
    file.add_argument("code", nargs="+")
    _add_log_commands(commands)
    _add_seal_commands(commands)
    asked = parser.parse_args(arguments)
    if asked.command == "check":
        return _check_file(asked.file, " ".join(asked.code))
    # verify without a key or an authority runs with Python alone, without any package.
    if asked.command == "verify":
        # Stamps without an authority for seals would leave the seals unjudged, which no reader wants.
        if asked.tsa_ca and not asked.ca:
            parser.error("--tsa-ca")
        asked.now = datetime.now(UTC)
        # A remembered key replaces one from elsewhere; with both it would not be clear which one counts.
        if asked.first_use and (asked.key or asked.policy or asked.checkpoint):
            parser.error("--trust-on-first-use")
        if not (asked.key or asked.policy or asked.ca or asked.checkpoint or asked.first_use):
            expected = {"since": asked.since, "simulacro": asked.simulacro or None, "now": asked.now, "alone": True}
            return _print_report(verify(asked.source, _show_progress, **expected), as_json=asked.json)
    try:
        # verify and check need no package, so the others are imported only here
        from integrity import log_commands, sealing_commands  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        print(f"? Esta orden necesita el paquete «{missing.name}».")
        return _COULD_NOT
    about_seals = asked.command in {"seal", "stamp", "dev-ca", "dev-tsa"}
    outcome = sealing_commands.run(asked) if about_seals else log_commands.run(asked, _show_progress)
    return outcome if isinstance(outcome, int) else _print_report(outcome, as_json=asked.json)


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(text)
    return int(text)


def _add_log_commands(commands: "argparse._SubParsersAction[_Parser]") -> None:
    audit = commands.add_parser("audit-log")
    audit.add_argument("source")
    prove = commands.add_parser("prove")
    prove.add_argument("source")
    which = prove.add_mutually_exclusive_group(required=True)
    which.add_argument("--index")
    which.add_argument("--leaf", type=Path)
    prove.add_argument("--out", type=Path)
    proof = commands.add_parser("check-proof")
    proof.add_argument("proof", type=Path)
    proof.add_argument("--leaf", type=Path, required=True)
    for trusting in (audit, proof):
        trusting.add_argument("--key")
        trusting.add_argument("--policy", type=Path)
        trusting.add_argument("--origin")
        trusting.add_argument("--json", action="store_true")
    key = commands.add_parser("log-key")
    key.add_argument("name")
    key.add_argument("--witness", action="store_true")
    key.add_argument("--out", type=Path)
    witness = commands.add_parser("witness")
    witness.add_argument("--private", type=Path, required=True)
    witness.add_argument("--log", action="append", required=True)
    witness.add_argument("--memory", type=Path, required=True)
    witness.add_argument("--host", default="127.0.0.1")
    witness.add_argument("--port", type=int, default=8460)


def _add_seal_commands(commands: "argparse._SubParsersAction[_Parser]") -> None:
    actions = commands.add_parser("seal").add_subparsers(dest="action", required=True)
    check, export, sign = actions.add_parser("check"), actions.add_parser("export"), actions.add_parser("sign")
    stamp = commands.add_parser("stamp")
    for about_sums in (check, export, sign, stamp):
        about_sums.add_argument("source", type=Path)
    check.add_argument("--tsa-ca", type=Path)
    check.add_argument("--json", action="store_true")
    export.add_argument("--out", type=Path, required=True)
    sign.add_argument("--certificate", type=Path, required=True)
    sign.add_argument("--key", required=True)
    sign.add_argument("--passphrase-file", type=Path)
    bring = actions.add_parser("import")
    bring.add_argument("p7s", type=Path)
    bring.add_argument("--sums", type=Path, required=True)
    bring.add_argument("--as-seal", action="store_true")
    for trusting in (check, bring):
        trusting.add_argument("--ca", type=Path, required=True)
        trusting.add_argument("--simulacro", action="store_true")
    stamp.add_argument("--tsa", action="append", required=True)
    stamp.add_argument("--tsa-ca", type=Path, required=True)
    commands.add_parser("dev-ca").add_argument("folder", type=Path)
    stamper = commands.add_parser("dev-tsa")
    stamper.add_argument("folder", type=Path)
    stamper.add_argument("--port", type=int, default=8470)


def _print_report(report: Report, *, as_json: bool) -> int:
    print(report.to_json() if as_json else render(report))
    return report.exit_code


def _show_progress(what: str) -> None:
    """Show the current step on one line, which the next step replaces; only if a person watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{what}…\r")


def render(report: Report) -> str:
    """The report for a person: the table of checks, then each finding in a sentence."""
    lines = [f"Verificación de {report.source}", *([f"Último corte: {report.corte}"] if report.corte else [])]
    lines += [f"{name}: {told}" for name, told in report.facts.items()]
    family = ""
    for check in report.checks:
        if check.family != family:
            family = check.family
            lines += ["", family]
        # The number of comparisons shows that a good check was really made.
        count = f"  [{check.compared:,}]" if check.result is Result.OK and check.compared else ""
        lines.append(f"  {_MARKS[check.result]} {check.id}  {check.title}{count}")
    lines += _details_of(report)
    return "\n".join([*lines, "", f"{_MARKS[_overall_result(report)]} {_ENDINGS[report.exit_code]}"])


def _overall_result(report: Report) -> Result:
    return (Result.OK, Result.WRONG, Result.UNCHECKED)[report.exit_code]


def _details_of(report: Report) -> list[str]:
    lines: list[str] = []
    reasons: dict[tuple[Result, str], list[str]] = {}
    for check in report.checks:
        for finding in check.findings:
            lines += _wrapped_lines(f"✗ {check.id}  ", finding.sentence)
        if check.differences > len(check.findings):
            lines.append(f"  ✗ {check.id}  … y {check.differences - len(check.findings):,} diferencias más.")
        for reason in check.reasons:
            kind = Result.NOT_APPLICABLE if check.result is Result.NOT_APPLICABLE else Result.UNCHECKED
            # One missing file stops many checks: its reason is printed once, with all their ids.
            reasons.setdefault((kind, reason), []).append(check.id)
    for (kind, reason), ids in reasons.items():
        word = "no aplica" if kind is Result.NOT_APPLICABLE else "no se pudo comprobar"
        lines += _wrapped_lines(f"{_MARKS[kind]} ", f"{', '.join(ids)}: {word}: {reason}.")
    return ["", "Hallazgos", *lines] if lines else []


def _wrapped_lines(mark: str, sentence: str) -> list[str]:
    return textwrap.wrap(
        sentence,
        _WIDTH,
        initial_indent=f"  {mark}",
        subsequent_indent=" " * (2 + len(mark)),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _check_file(path: Path, text: str) -> int:
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
    # Both codes are shown, so that a person sees at once whether only a character differs.
    if found != expected:
        print(f"✗ {path} NO es el archivo de ese código.\n  se esperaba   {expected}\n  se encontró   {found}")
        return 1
    print(f"✓ {path} es exactamente el archivo de ese código.\n  {found}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
