"""Both verifiers on one honest night."""

import json
import shutil
from collections import Counter
from datetime import datetime
from pathlib import Path

from tests.honest.nights import PAGES_FIRST, make
from tests.tamper.matrix import report, results


def compared(home: Path, seed: int, *, now: datetime, seen: Counter[str]) -> str:
    """`seen` counts the shapes of the nights. Empty if both verifiers approve the night of that seed with the same answers; else the difference, in words."""
    home.mkdir()
    night = make(home, seed, now=now)
    seen.update(night.told_of)
    options = ["--log-key", str(night.log.key)]
    ours, minimal = (report(night.tree, options, minimal=each) for each in (False, True))
    shutil.rmtree(home)
    if results(ours[0]) != results(minimal[0]):
        differ = [pair for pair in zip(results(ours[0]), results(minimal[0]), strict=False) if pair[0] != pair[1]]
        return f"{night.told_of}: the answers differ: {differ}"
    unchecked = [check for check, result in results(ours[0]) if result == "no se pudo comprobar"]
    if PAGES_FIRST in night.told_of and unchecked in ([], ["CON-19"]) and ours[1] == minimal[1] != 1:
        return ""
    if (ours[1], minimal[1]) != (0, 0):
        found = [
            check
            for check in json.loads(minimal[0])["comprobaciones"]
            if check["resultado"] not in {"bien", "no aplica"}
        ]
        return f"{night.told_of}: not approved: {found}"
    return ""
