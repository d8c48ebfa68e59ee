"""A publisher that goes on from corte to corte, as on a real night: it cuts one for each line of its input.

`prep publish --once` starts anew each time: it does not know yet which pages it wrote.
"""

import asyncio
import os
import sys


async def _cut_as_told() -> None:
    # The processes that it spawns import this file again: they must not load a whole publisher.
    from prep.settings import read_settings  # noqa: PLC0415
    from publisher.command import by_hand, wired  # noqa: PLC0415

    async with wired(read_settings()) as publisher:
        while await asyncio.to_thread(sys.stdin.readline):
            await by_hand(publisher, final=False)
            sys.stdout.flush()


def _main() -> None:
    import uvloop  # noqa: PLC0415

    from prep import observe  # noqa: PLC0415

    observe.start_log("publish")
    os.umask(0o022)
    uvloop.run(_cut_as_told())


if __name__ == "__main__":
    _main()
