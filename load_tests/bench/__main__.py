"""Figures of speed. Each stands beside a bare limit or another program in the same run, because machines vary.

`python -m load_tests.bench [NAME …] [--json FILE]` prints and stores a JSON list with one object for each figure. Each
object names the machine, the commit and the speed of an empty Python loop before and after, in million turns a second:
a shared machine is not always equally fast. So targets are ratios to a bare limit of the same run; seconds are
information. `--compare COMMIT` measures another commit and this one in turn. No test asserts these figures.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from load_tests.bench import catalog, cortes, digitize, flood, forms, kafka, log, screens, site, table, verify
from load_tests.bench.bench import RESULTS, Figure, commit, machine, store, turns

BENCHES: Final[Mapping[str, Callable[[], list[Figure]]]] = {
    "catalog": catalog.catalog_load,
    "digitize": digitize.digitize_cpu_ratio,
    "qr": digitize.qr_rates,
    "forms": forms.forms_per_second,
    "acta": forms.cpu_of_an_acta,
    "terminal": screens.terminal,
    "corte": cortes.corte_50k,
    "nacional": cortes.corte_nacional,
    "crecimiento": cortes.corte_growth,
    "sitio": site.site_pages,
    "avalancha": flood.flood,
    "sitio-nacional": site.national_site,
    "verify": verify.verify_images,
    "log": log.log_500k,
    "proof": log.receipt_to_proof,
    "corte-log": log.corte_with_log,
    "kafka-intake": kafka.intake,
    "kafka": kafka.end_to_end,
    "kafka-forms": kafka.forms,
    "kafka-acta": kafka.cpu_of_an_acta,
    "kafka-workers": kafka.workers,
    "kafka-recovery": kafka.recovery,
    "kafka-memory": kafka.memory,
}
"""Name → the function that measures. Each figure has a name, value, unit, target, met and limit."""


def measure(names: Sequence[str]) -> list[Figure]:
    stamp = {"machine": machine(), "commit": commit()}
    figures: list[Figure] = []
    for name in names:
        before = turns()
        for figure in BENCHES[name]():
            figures.append({"bench": name, **figure, **stamp, "turns": [before, turns()]})
            met = "cumple" if figure["met"] else "NO CUMPLE"
            print(f"{figure['name']}: {figure['value']} {figure['unit']} ({figure['target']}: {met})", file=sys.stderr)
    return figures


def compare(names: Sequence[str], other: str, turns_of_each: int = 2) -> list[str]:
    """Measure the commit `other` and this working tree in turn; returns one line for each figure, in their order."""
    here, found = Path(__file__).parents[2], defaultdict[tuple[str, str], list[list[Figure]]](lambda: [[], []])
    with tempfile.TemporaryDirectory(prefix="otro-") as scratch:
        there = Path(scratch, "arbol")
        subprocess.run(["git", "-C", here, "worktree", "add", "--detach", there, other], check=True)
        try:
            for _ in range(turns_of_each):
                for side, tree in enumerate((there, here)):
                    for figure in _measured_in(tree, names, Path(scratch, "cifras.json")):
                        found[figure["name"], figure["unit"]][side].append(figure)
        finally:
            subprocess.run(["git", "-C", here, "worktree", "remove", "--force", there], check=True)
    return [
        f"{name} ({unit}): {other} {_in_words(theirs)}; ahora {_in_words(ours)}"
        for (name, unit), (theirs, ours) in found.items()
    ]


def _measured_in(tree: Path, names: Sequence[str], target: Path) -> list[Figure]:
    """The figures of these benches by the code of that tree, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tree), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", __package__ or "", *names, "--json", str(target)]
    kept = RESULTS.read_bytes()
    try:
        subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.DEVNULL, check=True)
    finally:
        RESULTS.write_bytes(kept)  # a comparison stores no figure
    figures: list[Figure] = json.loads(target.read_text(encoding="utf-8"))
    return figures


def _in_words(figures: Sequence[Figure]) -> str:
    """Each value with its peer. The peer of a corte tells its steps, and so what differs between two commits."""
    return " y ".join(f"{each['value']:g} ({each['peer']})" for each in figures) or "no la mide"


def main() -> None:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures of this run to this file")
    parser.add_argument("--table", action="store_true", help="measure nothing: write docs/measurements.md again")
    parser.add_argument(
        "--compare", metavar="COMMIT", help="measure that commit and this one in turn, and store nothing"
    )
    arguments = parser.parse_args()
    if arguments.table:
        table.write()
        return
    unknown = [name for name in arguments.names if name not in BENCHES]
    if unknown:
        parser.error(f"no bench named {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    if arguments.compare:
        print("\n".join(compare(arguments.names or list(BENCHES), arguments.compare)))
        return
    figures = measure(arguments.names or list(BENCHES))
    store(figures)
    text = json.dumps(figures, ensure_ascii=False, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


main()
