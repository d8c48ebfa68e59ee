"""`prep sequencer`: keeps the log until it is stopped; with `--once`, it adds the missing leaves and ends."""

import asyncio
import os
import sys
from collections.abc import Sequence

import uvloop

from integrity.log.writer import LogRefused
from prep import observe
from prep.arguments import Parser
from prep.consumer import stop_on_signals
from prep.errors import PrepError
from prep.processes import HOPELESS, exit_status
from prep.settings import Part, Settings, read_settings
from prep.store import embedded, leading
from prep.store import night as night_store
from prep.store.database import check_migrations, open_pool
from prep.store.tonight import Tonight
from publisher.log.office import LogOffice, office_of
from publisher.log.sequencer import LEASE, PAUSE, Health, opened, run


async def once(settings: Settings) -> int:
    """Put every fact into the log, with its proofs, as soon as no other sequencer works; returns the log's size."""
    async with embedded.database(settings) as urls:
        office = await _office(settings, urls.of(Part.SEQUENCER))
        assert office is not None, "it waits for ever"
        async with leading.session(office.url, lease=LEASE, name="prep-sequencer") as leader:
            while not await leader.lead(leading.SEQUENCING):  # noqa: ASYNC110  # until another session gives the lead back
                await asyncio.sleep(PAUSE)
            async with opened(office, leader) as scribe:
                while await scribe.turn():
                    pass
                await scribe.proofs.prove_missing()
                await scribe.proofs.close()
                return scribe.size


async def _office(settings: Settings, url: str, stop: asyncio.Event | None = None) -> LogOffice | None:
    """Wait for the database and for a night that is declared; None if it is stopped meanwhile.

    Raises Rejected if the migrations of the database are not ours.
    """
    async with await open_pool(url, connections=1) as pool:
        await check_migrations(pool)
        night = await night_store.awaited(pool, stop)
        return None if night is None else office_of(settings, url, night)


async def serve(settings: Settings) -> None:
    stop = stop_on_signals()
    health = Health()
    async with embedded.database(settings) as urls:
        port = settings.sequencer_metrics_port
        async with observe.serving_probes(settings.host, port, health=health.sentence, ready=health.ready.sentence):
            office = await _office(settings, urls.of(Part.SEQUENCER), stop)
            if office is None:
                return
            async with await open_pool(urls.of(Part.SEQUENCER), connections=1) as pool:
                watching = asyncio.create_task(Tonight(pool).keep_fresh(stop))
                try:
                    await run(office, stop, health)
                finally:
                    stop.set()
                    await watching


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0 when it was stopped; with one sentence, 2 if it cannot begin, 1 if another try may."""
    description = "Lleva la bitácora: cada hecho, una hoja; cada imagen, su prueba."
    parser = Parser(prog="prep sequencer", description=description)
    parser.add_argument("--once", action="store_true", help="lo que falta, ahora; y termina")
    arguments = parser.parse_args(argv)
    observe.start_log("sequencer")
    os.umask(0o022)  # published files must be readable by every user of the machine
    try:
        if arguments.once:
            print(f"bitácora: {uvloop.run(once(read_settings()))} hojas")
            return
        uvloop.run(serve(read_settings()))
    except (LogRefused, PrepError) as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(HOPELESS if arguments.once else exit_status(error))
