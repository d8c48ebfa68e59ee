"""Waiting in a test for what must come true, and failing where it does not.

Limits are for what hangs, not for slow machines: each is more than ten times what is usual on two cores. pyproject.toml
has the limit of a whole test, which is longer than any here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

PATIENCE: Final = 600.0
"""Seconds after which a scenario that waits has failed: usually it waits a few. Nothing is measured by it."""
NIGHT: Final = 2400.0
"""Seconds after which a program that plays a whole night has failed: usually it takes one to two hundred."""


async def until(condition: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    """Ask again and again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)
