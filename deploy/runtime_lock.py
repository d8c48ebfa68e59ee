"""Prints the part of requirements.lock that running needs: what the project asks for itself, and what that asks for.

python runtime_lock.py requirements.lock > runtime.lock. The lock says for each package who asked for it (`# via`); what
only the tests and tools ask for stays out of the image. Nothing is resolved anew: versions and hashes are the lock's.
"""

# ruff: noqa: INP001
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PROJECT: Final = "prep-abierto (pyproject.toml)"


def runtime(lock: str) -> str:
    """The blocks of `lock` that lead back to the project, in its order."""
    blocks = {block.split("==", 1)[0]: block for block in re.split(r"(?m)^(?=[a-z0-9])", lock) if "==" in block}
    asked = {name.partition("[")[0]: _via(block) for name, block in blocks.items()}
    kept = _led_back(asked)
    return "".join(block for name, block in blocks.items() if name.partition("[")[0] in kept)


def _via(block: str) -> set[str]:
    """Who asked for it: names of packages, and files."""
    comments = [line.strip().removeprefix("#").strip() for line in block.splitlines() if line.strip().startswith("#")]
    return {line.removeprefix("via").strip() for line in comments} - {""}


def _led_back(asked: Mapping[str, set[str]]) -> set[str]:
    kept = {PROJECT}
    while more := {name for name, by in asked.items() if by & kept} - kept:
        kept |= more
    return kept - {PROJECT}


if __name__ == "__main__":
    sys.stdout.write(runtime(Path(sys.argv[1]).read_text(encoding="utf-8")))
