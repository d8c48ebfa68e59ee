"""Makes the two locks again and prints what changed: `make lock`, once a month.

requirements.lock is what a night needs; requirements-dev.lock is what tests and tools need beyond it. Each package
stands there with its version and the SHA-256 of its files, for Python 3.11 and newer, without addresses. Both are
installed without a resolver, so nothing that is published later changes an installation.
"""

# ruff: noqa: INP001
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
NIGHT: Final = ROOT / "requirements.lock"
TESTS: Final = ROOT / "requirements-dev.lock"
EXTRAS: Final = ("night", "embedded", "rehearsal", "documents", "sheets")
"""What `make demo` uses. The extras of OTHERS are for a few installations only: they are among the tests' packages."""
OTHERS: Final = ("pkcs11", "columns", "maps")


def main(options: list[str]) -> None:
    """`options` go to the resolver: `--upgrade` takes the newest of everything, none keeps the versions."""
    before = _versions()
    night = _compile(_read(NIGHT), "--group", "build", *options)
    others = [word for extra in OTHERS for word in ("--extra", extra)]
    both = _compile(_read(NIGHT) + _read(TESTS), *others, "--group", "build", "--group", "dev", *options, within=night)
    NIGHT.write_text(night, "utf-8")
    TESTS.write_text("".join(block for name, block in _blocks(both).items() if name not in _blocks(night)), "utf-8")
    after = _versions()
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            print(f"{name} {before.get(name, '(none)')} → {after.get(name, '(none)')}")


def _compile(known: str, *words: str, within: str = "") -> str:
    """What the resolver chooses: the versions in `known` if they still fit, and those of `within` in any case."""
    with tempfile.TemporaryDirectory() as scratch:
        lock, limits = Path(scratch, "lock"), Path(scratch, "limits")
        lock.write_text(known, "utf-8")
        limits.write_text(within, "utf-8")
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
        shape = [
            "--generate-hashes",
            "--only-binary",
            ":all:",
            "--no-header",
            "--constraints",
            limits,
            "--output-file",
            lock,
        ]
        extras = [word for extra in EXTRAS for word in ("--extra", extra)]
        subprocess.run([*command, *shape, *extras, *words, "pyproject.toml"], cwd=ROOT, check=True)
        return lock.read_text("utf-8").replace(str(limits), NIGHT.name)


def _blocks(lock: str) -> dict[str, str]:
    """Each package's lines, under its name, version and marker: `name==1.0 ; marker`."""
    found = re.split(r"(?m)^(?=[a-z0-9])", lock)
    return {block.split("\\", 1)[0].strip(): block for block in found if "==" in block}


def _versions() -> dict[str, str]:
    """Package → version; several if other versions of Python get others."""
    said: dict[str, str] = {}
    for line in sorted(_blocks(_read(NIGHT)) | _blocks(_read(TESTS))):
        name, _, version = line.partition(" ;")[0].partition("==")
        said[name] = f"{said[name]}, {version}" if name in said else version
    return said


def _read(lock: Path) -> str:
    return lock.read_text("utf-8") if lock.exists() else ""


if __name__ == "__main__":
    main(sys.argv[1:])
