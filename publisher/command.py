"""`prep publish`: builds a publisher and runs it. `--once`, `--final` and `--zero` are the manual way.

The manual way needs only the database. While a publisher is cutting, it waits for its turn.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import uvloop

from prep import observe
from prep.arguments import Parser
from prep.blobs import Blobs
from prep.errors import PrepError, Rejected
from prep.processes import HOPELESS, exit_status
from prep.settings import Settings, read_settings
from prep.store import embedded
from prep.store.cortes import Corte, Phase
from prep.store.database import check_migrations, open_pool
from prep.store.leading import Replica
from publisher.cut import CorteOffice, Order
from publisher.gate import GateFailure
from publisher.notary import notary_of
from publisher.schedule import Schedule
from publisher.service import Publisher
from publisher.web import serve

PATIENCE: Final = 120.0
"""Seconds that a manual corte waits for a publisher that is cutting."""


@asynccontextmanager
async def wired(settings: Settings) -> AsyncIterator[Publisher]:
    """A publisher with its pools, its store, its notary and its schedule; they close at the end."""
    # The one place in which the publisher's parts are put together.
    async with embedded.database(settings) as urls:
        settings.public.mkdir(parents=True, exist_ok=True)
        blobs = Blobs.open(settings.blobs_url, scratch=settings.data / "tmp", s3=settings.s3)
        async with contextlib.AsyncExitStack() as opened:
            pool = await opened.enter_async_context(await open_pool(urls.app))
            await check_migrations(pool)
            replica = None
            if settings.database_replica:
                reading = await opened.enter_async_context(await open_pool(settings.database_replica, wait=False))
                replica = Replica(reading, patience=settings.replica_wait_seconds)
            public = settings.public.absolute()
            notary = notary_of(settings)
            office = CorteOffice(
                pool,
                blobs,
                public,
                settings.siglas,
                settings.simulacro,
                settings.night_zone,
                replica=replica,
                notary=notary,
            )
            yield Publisher(office, urls.app, Schedule.of(settings), zero_ceremony=settings.zero_ceremony)


async def by_hand(publisher: Publisher, *, final: bool, zero: bool = False) -> int:
    """One corte by hand: corte 0 if there is none, then one more, or the last one. Prints it. Exit status 0 or 1.

    With `zero`, only corte 0, which may be out already.
    """

    def choose(at: datetime, last: Corte | None, first: datetime | None, complete: bool) -> Order | None:  # noqa: ARG001, FBT001
        if last is not None and (zero or last.phase is Phase.FINAL):
            return None
        schedule = publisher.schedule
        return schedule.final(at) if final and last is not None else schedule.now(at, last, first=first)

    corte = await publisher.turn(choose, patience=PATIENCE)
    # A night without any corte: corte 0 went out first, so the last one is cut now.
    if final and corte is not None and corte.phase is Phase.CERO:
        corte = await publisher.turn(choose, patience=PATIENCE)
    if corte is None and not final and not zero:
        raise Rejected("el último corte ya se publicó; ya no se corta", status=409)
    assert publisher.last is not None
    if publisher.office.notary is not None:
        lacking = await publisher.office.notary.complete(publisher.office.public)
        if lacking.why:
            print(f"prep: faltan {lacking.seals} sellos y {lacking.stamps} de tiempo: {lacking.why}", file=sys.stderr)
    print(f"corte {publisher.last.number} ({publisher.last.phase}) {publisher.last.sums}")
    return 0


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run by hand or as a service; returns the exit status."""
    async with wired(settings) as publisher:
        if arguments.once or arguments.final or arguments.zero:
            try:
                return await by_hand(publisher, final=arguments.final, zero=arguments.zero)
            except GateFailure as failure:
                for finding in failure.findings:
                    print(f"{finding.file}: {finding.check}: se esperaba {finding.expected}, hay {finding.found}")
                print("prep: la compuerta detuvo el corte; el anterior sigue publicado", file=sys.stderr)
                return 1
        await serve(publisher, settings)
        return 0


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0; 1 if the gate stopped a corte; 2, with one sentence, if it cannot be done.

    A publisher that serves ends with 1 if another try may do it.
    """
    parser = Parser(prog="prep publish", description="Publica los cortes a su hora.")
    parser.add_argument("--once", "--from-db", action="store_true", help="un corte ahora, solo desde la base de datos")
    parser.add_argument("--final", action="store_true", help="el último corte, ahora")
    parser.add_argument("--zero", action="store_true", help="el corte 0, si no ha salido, y ninguno más")
    arguments = parser.parse_args(argv)
    observe.start_log("publish")
    os.umask(0o022)  # published files must be readable by every user of the machine
    try:
        sys.exit(uvloop.run(run(arguments, read_settings())))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        by_hand_only = arguments.once or arguments.final or arguments.zero
        sys.exit(HOPELESS if by_hand_only else exit_status(error))
