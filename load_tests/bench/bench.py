"""The facts beside every figure of speed: the machine, the commit, and the speed of the machine at this moment."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

Figure = dict[str, Any]

TURNS: Final = 10_000_000

RESULTS: Final = Path(__file__).parent / "resultados.json"


def machine() -> str:
    model = next(
        (
            line.split(":")[1].strip()
            for line in _text_of_file("/proc/cpuinfo").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    return f"{os.cpu_count()} × {model}, {memory} GiB, Python {platform.python_version()}"


def turns() -> float:
    """The speed of this machine at this moment: million turns a second of an empty loop."""
    began = time.perf_counter()
    for _ in range(TURNS):
        pass
    return round(TURNS / (time.perf_counter() - began) / 1e6, 1)


def _text_of_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def commit() -> str:
    said = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "?"


def store(figures: Sequence[Figure]) -> None:
    """Store the figures in place of older ones of the same benchmarks. Figures of other benchmarks stay."""
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    ran = {figure["bench"] for figure in figures}
    merged = [figure for figure in kept if figure["bench"] not in ran] + list(figures)
    RESULTS.write_text(json.dumps(merged, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
