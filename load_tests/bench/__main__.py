"""Figures of speed. Each stands beside a bare limit or another program in the same run, because machines vary.

`python -m load_tests.bench [NAME …] [--json FILE]` prints and stores a JSON list with one object for each figure. Each
object names the machine, the commit and the speed of an empty Python loop before and after, in million turns a second:
a shared machine is not always equally fast. No test asserts these figures.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from load_tests.bench import catalog, cortes, digitize, forms, kafka, log, site, table, verify
from load_tests.bench.bench import Figure, commit, machine, store, turns

BENCHES: Final[Mapping[str, Callable[[], list[Figure]]]] = {
    "catalog": catalog.catalog_load,
    "digitize": digitize.digitize_cpu_ratio,
    "qr": digitize.qr_rates,
    "forms": forms.forms_per_second,
    "corte": cortes.corte_50k,
    "nacional": cortes.corte_nacional,
    "crecimiento": cortes.corte_growth,
    "sitio": site.site_pages,
    "verify": verify.verify_images,
    "log": log.log_500k,
    "proof": log.receipt_to_proof,
    "corte-log": log.corte_with_log,
    "kafka-intake": kafka.intake,
    "kafka": kafka.end_to_end,
    "kafka-forms": kafka.forms,
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


def main() -> None:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures of this run to this file")
    parser.add_argument("--table", action="store_true", help="measure nothing: write docs/measurements.md again")
    arguments = parser.parse_args()
    if arguments.table:
        table.write()
        return
    unknown = [name for name in arguments.names if name not in BENCHES]
    if unknown:
        parser.error(f"no bench named {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    figures = measure(arguments.names or list(BENCHES))
    store(figures)
    text = json.dumps(figures, ensure_ascii=False, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


main()
