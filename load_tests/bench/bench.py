"""Figures of speed, each beside a bare limit or a peer of the same run: machines are noisy, ratios less so.

`python -m load_tests.bench [NAME …] [--json FILE]` prints and stores a JSON list, one object a figure, with the
machine, the commit and the speed of an empty Python loop before and after, in million turns a second: machines
that are shared are not always equally fast. Nothing here is asserted by the tests.
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

Figure = dict[str, Any]

BENCHES: Final[Mapping[str, str]] = {
    "catalog": "load_tests.bench.catalog:catalog_load",
    "digitize": "load_tests.bench.digitize:digitize_cpu_ratio",
    "qr": "load_tests.bench.digitize:qr_rates",
    "forms": "load_tests.bench.forms:forms_per_second",
    "corte": "load_tests.bench.cortes:corte_50k",
    "nacional": "load_tests.bench.cortes:corte_nacional",
    "crecimiento": "load_tests.bench.cortes:corte_growth",
    "verify": "load_tests.bench.verify:verify_images",
    "log": "load_tests.bench.log:log_500k",
    "proof": "load_tests.bench.log:receipt_to_proof",
    "corte-log": "load_tests.bench.log:corte_with_log",
    "kafka-intake": "load_tests.bench.kafka:intake",
    "kafka": "load_tests.bench.kafka:end_to_end",
    "kafka-forms": "load_tests.bench.kafka:forms",
    "kafka-workers": "load_tests.bench.kafka:workers",
    "kafka-recovery": "load_tests.bench.kafka:recovery",
    "kafka-memory": "load_tests.bench.kafka:memory",
}
"""Name and the function that measures it; each returns figures with name, value, unit, target, met and limit."""

TURNS: Final = 10_000_000

RESULTS: Final = Path(__file__).parent / "resultados.json"


def machine() -> str:
    model = next(
        (line.split(":")[1].strip() for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    return f"{os.cpu_count()} × {model}, {memory} GiB, Python {platform.python_version()}"


def turns() -> float:
    """Million turns a second of an empty loop: how fast this machine happens to be just now."""
    began = time.perf_counter()
    for _ in range(TURNS):
        pass
    return round(TURNS / (time.perf_counter() - began) / 1e6, 1)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def commit() -> str:
    said = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "?"


def measure(names: Sequence[str]) -> list[Figure]:
    stamp = {"machine": machine(), "commit": commit()}
    figures: list[Figure] = []
    for name in names:
        module, function = BENCHES[name].split(":")
        run: Callable[[], list[Figure]] = getattr(importlib.import_module(module), function)
        before = turns()
        for figure in run():
            figures.append({"bench": name, **figure, **stamp, "turns": [before, turns()]})
            met = "cumple" if figure["met"] else "NO CUMPLE"
            print(f"{figure['name']}: {figure['value']} {figure['unit']} ({figure['target']}: {met})", file=sys.stderr)
    return figures


def store(figures: Sequence[Figure]) -> None:
    """Keep the newest figures of each bench; those of benches not run stay."""
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    ran = {figure["bench"] for figure in figures}
    merged = [figure for figure in kept if figure["bench"] not in ran] + list(figures)
    RESULTS.write_text(json.dumps(merged, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m load_tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in BENCHES]
    if unknown:
        parser.error(f"no bench named {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    figures = measure(arguments.names or list(BENCHES))
    store(figures)
    text = json.dumps(figures, ensure_ascii=False, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")
