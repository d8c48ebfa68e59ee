"""`prep publish`: builds a publisher and runs it. `--once`, `--final` and `--zero` are the manual way.

The manual way needs only the database. While a publisher is cutting, it waits for its turn.
"""

import argparse
import asyncio
import contextlib
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import uvloop

from integrity.layout import LOG, SUMS, corte_folder
from integrity.log.tiles import CHECKPOINT
from prep import observe
from prep.arguments import Parser
from prep.blobs import Blobs
from prep.domain.corte import Corte, Phase
from prep.errors import PrepError, Rejected
from prep.processes import HOPELESS, exit_status
from prep.settings import Part, Settings, read_settings
from prep.store import cortes, embedded
from prep.store import night as night_store
from prep.store.database import Connection, Pool, borrow, check_migrations, open_pool
from prep.store.leading import Replica
from prep.store.unsettled import unsettled
from publisher import data
from publisher.cut import OF_ANOTHER_NIGHT, CorteOffice, Order
from publisher.gate import GateFailure
from publisher.notary import notary_of
from publisher.schedule import Schedule
from publisher.service import Publisher

PATIENCE: Final = 120.0
"""Seconds that a manual corte waits for a publisher that is cutting."""


@asynccontextmanager
async def wired(settings: Settings, *, wait: bool = False, full: bool = False) -> AsyncIterator[Publisher]:
    """A publisher with its pools, its store, its notary and its schedule; they close at the end.

    With `wait`, it waits until a night is declared. With `full`, no row is copied from the corte before. Raises
    Rejected if no night is declared, or if the tree is of another one.
    """
    # The one place in which the publisher's parts are put together.
    async with embedded.database(settings) as urls:
        settings.public.mkdir(parents=True, exist_ok=True)
        blobs = Blobs.open(settings.blobs_url, scratch=settings.data / "tmp", s3=settings.s3)
        async with contextlib.AsyncExitStack() as opened:
            pool = await opened.enter_async_context(await open_pool(urls.of(Part.PUBLISHER)))
            await check_migrations(pool)
            replica = None
            if settings.database_replica:
                reading = await opened.enter_async_context(await open_pool(settings.database_replica, wait=False))
                replica = Replica(reading, patience=settings.replica_wait_seconds)
            public = settings.public.absolute()
            if wait:
                await _until_declared(settings, pool)
            async with borrow(pool) as connection:
                night = await night_store.declared(connection)
            notary = notary_of(settings, night)
            office = CorteOffice(
                pool,
                blobs,
                public,
                night,
                replica=replica,
                notary=notary,
                address=settings.site_url.rstrip("/"),
                full=full,
            )
            opened.callback(office.press.close)
            async with borrow(pool) as connection:
                await check_tree(office, connection)
            yield Publisher(office, urls.of(Part.PUBLISHER), Schedule.of(night))


async def check_tree(office: CorteOffice, connection: Connection) -> None:
    """Raises Rejected if the published tree is of another night than the database: its corte 0, or its log.

    Otherwise the cortes of this night would stand among those of the other one, and never in a log.
    """
    first = await cortes.corte(connection, 0)
    sums, checkpoint = office.public / corte_folder(0) / SUMS, office.public / LOG / CHECKPOINT
    with contextlib.suppress(FileNotFoundError):
        found = hashlib.sha256(await asyncio.to_thread(sums.read_bytes)).hexdigest()
        if first is None or found != first.sums:
            raise Rejected(OF_ANOTHER_NIGHT.format(sums.parent), status=409)
    with contextlib.suppress(FileNotFoundError):
        origin, _, _ = (await asyncio.to_thread(checkpoint.read_bytes)).partition(b"\n")
        if origin.decode(errors="replace") != office.night.log_name:
            raise Rejected(OF_ANOTHER_NIGHT.format(checkpoint.parent), status=409)


async def _until_declared(settings: Settings, pool: Pool) -> None:
    """Wait until a person declares the night; meanwhile the probes say so."""
    if await night_store.declared_now(pool) is not None:
        return

    def waits() -> str:
        return night_store.undeclared().sentence

    port = settings.publisher_metrics_port
    async with observe.serving_probes(settings.host, port, health=waits, ready=waits):
        await night_store.awaited(pool)


async def by_hand(publisher: Publisher, *, final: bool, zero: bool = False, confirmed: bool = False) -> int:
    """One corte by hand: corte 0 if there is none, then one more, or the last one. Prints it. Exit status 0 or 1.

    With `zero`, only corte 0, which may be out already. Raises Rejected for a last corte that would leave something
    open, unless it is `confirmed`: after it nothing of the night changes.
    """
    if final and not confirmed:
        await _check_settled(publisher)

    def choose(at: datetime, last: Corte | None, first: datetime | None, complete: bool) -> Order | None:  # noqa: ARG001, FBT001
        if last is not None and (zero or last.phase is Phase.FINAL):
            return None
        schedule = publisher.schedule
        return schedule.final(at) if final and last is not None else schedule.now(at, last, first=first)

    corte = await publisher.turn(choose, patience=PATIENCE)
    # A night without any corte: corte 0 went out first, so the last one is cut now.
    if final and corte is not None and corte.phase is Phase.CERO:
        if not confirmed:
            await _check_settled(publisher)
        corte = await publisher.turn(choose, patience=PATIENCE)
    if corte is None and not final and not zero:
        raise Rejected("el último corte ya se publicó; ya no se corta", status=409)
    assert publisher.last is not None
    if publisher.office.notary is not None:
        lacking = await publisher.office.notary.complete(publisher.office.public)
        if lacking.why:
            print(f"prep: faltan {lacking.seals} sellos y {lacking.stamps} de tiempo: {lacking.why}", file=sys.stderr)
    if why := await data.complete(publisher.office.public):
        print(f"prep: {why}", file=sys.stderr)
    await publisher.link_data(patience=PATIENCE)
    print(f"corte {publisher.last.number} ({publisher.last.phase}) {publisher.last.sums}")
    return 0


async def _check_settled(publisher: Publisher) -> None:
    """Raises Rejected if the last corte would leave something open. Before corte 0, and after the last, nobody asks."""
    async with borrow(publisher.office.pool) as connection:
        last = await cortes.last(connection)
        found = await unsettled(connection)
    if last is None or last.phase is Phase.FINAL or not (open_ := found.in_words()):
        return
    print("prep: el último corte cierra la noche, y todavía:", *open_, sep="\n  - ", file=sys.stderr)
    raise Rejected("no se cerró; para cerrar así, repita la orden con --confirm", status=409)


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run by hand or as a service; returns the exit status."""
    manual = arguments.once or arguments.final or arguments.zero
    async with wired(settings, wait=not manual, full=arguments.full) as publisher:
        if manual:
            try:
                confirmed = arguments.confirm
                return await by_hand(publisher, final=arguments.final, zero=arguments.zero, confirmed=confirmed)
            except GateFailure as failure:
                for finding in failure.findings:
                    print(f"{finding.file}: {finding.check}: se esperaba {finding.expected}, hay {finding.found}")
                print("prep: la compuerta detuvo el corte; el anterior sigue publicado", file=sys.stderr)
                return 1
        from publisher.web import serve  # noqa: PLC0415  # a corte by hand needs no web server

        await serve(publisher, settings)
        return 0


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0; 1 if the gate stopped a corte; 2, with one sentence, if it cannot be done.

    A publisher that serves ends with 1 if another try may do it.
    """
    parser = Parser(prog="prep publish", description="Publica los cortes a su hora.")
    parser.add_argument("--once", "--from-db", action="store_true", help="un corte ahora, solo desde la base de datos")
    parser.add_argument("--final", action="store_true", help="el último corte, ahora")
    parser.add_argument("--confirm", action="store_true", help="con --final: cierra aunque algo falte por resolver")
    parser.add_argument("--zero", action="store_true", help="el corte 0, si no ha salido, y ninguno más")
    parser.add_argument(
        "--full", action="store_true", help="escribe otra vez todos los renglones, sin copiar los del corte anterior"
    )
    arguments = parser.parse_args(argv)
    observe.start_log("publish")
    os.umask(0o022)  # published files must be readable by every user of the machine
    try:
        sys.exit(uvloop.run(run(arguments, read_settings())))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        by_hand_only = arguments.once or arguments.final or arguments.zero
        sys.exit(HOPELESS if by_hand_only else exit_status(error))
