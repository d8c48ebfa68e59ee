"""Wait in a test for a condition, and fail if it does not come true.

The limits are for a program that hangs, not for a slow machine: each is more than ten times the usual time on two
cores. pyproject.toml has the limit of a whole test, which is longer than any here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

PATIENCE: Final = 600.0
"""Seconds after which a waiting scenario has failed; usually it waits a few. No test measures time by it."""
NIGHT: Final = 2400.0
"""Seconds after which a program that plays a whole night has failed; usually it takes 100 to 200."""


async def until(condition: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    """Ask again and again, until the condition is true."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)
