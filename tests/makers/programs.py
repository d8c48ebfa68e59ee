"""Programs of the operations kit for tests: found, or the test is skipped with the reason; started, and stopped."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from load_tests.browser import CHROMIUM, chromium
from tests.makers.waiting import until

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def program(name: str, package: str) -> str:
    """The path of that program. If it is missing, the test is skipped with the reason; in CI it fails."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        missing(f"{name} is not here: apt-get install --no-install-recommends {package}")
    return found


def browser_program() -> str:
    """The path of Chromium. If it is missing, the test is skipped with the reason; in CI it fails."""
    return chromium() or program(CHROMIUM, CHROMIUM)


def missing(reason: str) -> NoReturn:
    """The test is skipped with the reason; in CI it fails."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@asynccontextmanager
async def running(command: Sequence[str], log: Path, ready: Callable[[], Awaitable[bool]]) -> AsyncIterator[None]:
    """Run the program inside this context; `log` gets its output."""
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out)
    try:

        async def up() -> bool:
            assert process.returncode is None, await asyncio.to_thread(log.read_text)
            return await ready()

        await until(up)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
