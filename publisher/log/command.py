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
from prep.store.database import check_migrations, open_pool
from publisher.log.office import office_of
from publisher.log.sequencer import LEASE, PAUSE, Health, opened, run


async def once(settings: Settings) -> int:
    """Put every fact into the log, with its proofs, as soon as no other sequencer works; returns the log's size."""
    async with embedded.database(settings) as urls:
        await _check(urls.of(Part.SEQUENCER))
        office = office_of(settings, urls.of(Part.SEQUENCER))
        async with leading.session(office.url, lease=LEASE, name="prep-sequencer") as leader:
            while not await leader.lead(leading.SEQUENCING):  # noqa: ASYNC110  # until another session gives the lead back
                await asyncio.sleep(PAUSE)
            async with opened(office, leader) as scribe:
                while await scribe.turn():
                    pass
                await scribe.proofs.prove_missing()
                await scribe.proofs.close()
                return scribe.size


async def _check(url: str) -> None:
    """Wait for the database, and raise Rejected if its migrations are not those of this program."""
    async with await open_pool(url, connections=1) as pool:
        await check_migrations(pool)


async def serve(settings: Settings) -> None:
    stop = stop_on_signals()
    health = Health()
    async with embedded.database(settings) as urls:
        office = office_of(settings, urls.of(Part.SEQUENCER))
        port = settings.sequencer_metrics_port
        async with observe.serving_probes(settings.host, port, health=health.sentence, ready=health.ready.sentence):
            await _check(urls.of(Part.SEQUENCER))
            await run(office, stop, health)


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
