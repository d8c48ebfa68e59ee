"""Runs intake and the desk: `prep capture`."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import uvloop
from fastapi import FastAPI

from capture.app import create_app
from prep import observe
from prep.arguments import Parser
from prep.blobs import Blobs
from prep.bus.opened import open_bus
from prep.errors import PrepError, Rejected
from prep.processes import exit_status, listening
from prep.settings import Part, Settings, now, read_settings
from prep.store import embedded
from prep.store.database import open_pool
from prep.web import Server, config

LOOK_SECONDS: Final = 5.0
"""How long a start may take to compare its night with that of the database."""
GRACEFUL_SECONDS: Final = 15
"""How long requests that are being answered may take after the order to stop."""
DISK_THREADS: Final = 16
"""Most of an upload is waiting for fsync; many wait together."""


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Exit status, with one sentence: 2 if the settings do not allow it, 1 if another try may do it.
    """
    Parser(prog="prep capture", description="La recepción de imágenes y la captura.").parse_args(argv)
    observe.start_log("capture")
    try:
        uvloop.run(serve(read_settings()))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(exit_status(error))


async def serve(settings: Settings) -> None:
    """Wire the rooms and answer requests. Does not wait for the database: images come in without it."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(DISK_THREADS))
    async with embedded.database(settings) as urls:
        blobs = Blobs.open(settings.blobs_url, scratch=settings.data / "tmp", s3=settings.s3)
        bus = open_bus(settings, urls.of(Part.CAPTURE))
        pool = await open_pool(urls.of(Part.CAPTURE), wait=False, by_key=True)
        try:
            app = create_app(settings, pool=pool, bus=bus, blobs=blobs, clock=now)
            await _refuse_another_night(app)
            door = listening(settings.host, settings.capture_port)
            served = config(app, proxies=settings.proxies, lifespan=True, graceful_seconds=GRACEFUL_SECONDS)
            server = Server(served, proxies=settings.proxies)
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, server.handle_exit, number, None)
            await server.serve([door])
        finally:
            await bus.close()
            await pool.close()


async def _refuse_another_night(app: FastAPI) -> None:
    """Raises Rejected, with all that differs, if this machine is of a real night and the database is of another one.

    A database that does not answer soon is not waited for; if it comes later with another night, no image is taken.
    """
    tonight = app.state.rooms.intake.tonight
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(tonight.look(), LOOK_SECONDS)
    if tonight.conflict is not None:
        raise Rejected(tonight.conflict)
