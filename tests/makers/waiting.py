"""Waiting in a test for what must come true, and failing where it does not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

PATIENCE: Final = 60.0
"""Seconds after which a scenario that waits has failed. Nothing is measured by it."""


async def until(condition: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    """Ask again and again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)
