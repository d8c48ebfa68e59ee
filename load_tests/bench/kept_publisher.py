"""A publisher that goes on from corte to corte, as on a real night: it cuts one for each line of its input.

`prep publish --once` starts anew each time: it does not know yet which pages it wrote.
"""

import asyncio
import os
import sys

import uvloop

from prep import observe
from prep.settings import read_settings
from publisher.command import by_hand, wired


async def _cut_as_told() -> None:
    async with wired(read_settings()) as publisher:
        while await asyncio.to_thread(sys.stdin.readline):
            await by_hand(publisher, final=False)
            sys.stdout.flush()


if __name__ == "__main__":
    observe.start_log("publish")
    os.umask(0o022)
    uvloop.run(_cut_as_told())
