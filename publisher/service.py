"""Runs the publisher: `prep publish`.

Driven by the clock: a corte goes out when it is due, whatever went wrong with the one before. An error is an alarm and
the next try, never the end of the loop. Several publishers may run, on one published tree or each on its own: one
leads, and the others keep their trees equal to what is on record, until they can take the lead (prep.store.leading).

`--once` and `--final` are the manual way: they need the database and nothing else, and wait for their turn where a
publisher is running.
"""

import argparse
import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import uvicorn
import uvloop
from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from prep import observe
from prep.arguments import Parser
from prep.blobs import Blobs
from prep.errors import PrepError, Rejected, Unavailable
from prep.settings import Settings, now, read_settings
from prep.store import cortes, embedded, leading
from prep.store.cortes import Corte, Phase
from prep.store.database import open_pool
from prep.store.leading import Leader, Replica
from publisher.cut import Office, Order, cut
from publisher.gate import GateFailure
from publisher.notary import notary_of
from publisher.schedule import Schedule

log: Final = logging.getLogger(__name__)
LOOK: Final = 2.0
"""Seconds between looks at the database, at most."""
SHORTEST_PAUSE: Final = 0.05
SHORTEST_LEASE: Final = 5.0
"""Seconds that a leader may be silent even where cortes are closer together: it may be busy."""
ROLE: Final = "publisher"
PATIENCE: Final = 120.0
"""Seconds that a manual corte waits for a publisher that is cutting."""
LONGEST_PAUSE: Final = 15.0
"""Seconds between tries after an error, at most."""
FINDINGS: Final = 5
"""Of a gate that failed, in the log."""

Choose = Callable[[datetime, Corte | None, datetime | None, bool], Order | None]
"""Now, the last corte, when corte 0 was cut, and whether nothing more is awaited, to what is to be cut."""


class Publisher:
    """What one process knows of its own doing."""

    def __init__(
        self,
        office: Office,
        url: str,
        schedule: Schedule,
        clock: Callable[[], datetime] = now,
        *,
        zero_ceremony: bool = False,
    ) -> None:
        self.office = replace(office, step=self._step)
        self._around = office.step
        self.seconds: dict[str, float] = {}
        self.url = url
        self.schedule = schedule
        self.clock = clock
        self._zero_ceremony = zero_ceremony
        self.last: Corte | None = None
        self._since = 0.0
        """When (monotonic) this process first knew of `last`."""
        self.wrong: str | None = "todavía no hay ningún corte"
        observe.CORTE_INTERVAL.set(schedule.interval.total_seconds())

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        with self._around(name):
            yield
        self.seconds[name] = round(time.perf_counter() - began, 3)

    async def run(self, stop: asyncio.Event) -> None:
        """Cut what is due until `stop`, while this process leads; a corte that has begun is finished first.

        Seals and time stamps that are missing are made meanwhile, and hold up nothing.
        """
        notary = self.office.notary
        async with asyncio.TaskGroup() as tasks:
            if notary is not None:
                tasks.create_task(notary.serve(self.office.public, stop))
            await self._cut(stop)

    async def _cut(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            try:
                async with leading.session(self.url, lease=self._lease()) as session:
                    while not stop.is_set():
                        await self._look(session)
                        failures, self.wrong = 0, None
                        observe.GATE_CLOSED.set(0)
                        await _pause(stop, self._until_due())
            except Exception as error:  # noqa: BLE001  # an alarm and the next try, never the end of publishing
                failures += 1  # who cannot cut gives up the lead: perhaps another can
                await self._alarm(error)
            observe.LEADER.labels(ROLE).set(0)
            if failures:
                await _pause(stop, min(LONGEST_PAUSE, SHORTEST_PAUSE * 2.0**failures))

    async def _look(self, session: Leader) -> None:
        """One look at the clock for whoever leads; for a standby, at what is on record."""
        leads = await session.lead()
        observe.LEADER.labels(ROLE).set(leads)
        if not leads and not await self._news(session):
            return
        with contextlib.suppress(leading.Busy):  # next look
            async with session.cutting(patience=LOOK if leads else 0):
                await self._turn(session, self._due if leads else _nothing)

    def _lease(self) -> float:
        """Seconds after which a silent leader has lost the lead: another takes it within an interval."""
        return min(leading.LEASE, max(SHORTEST_LEASE, self.schedule.interval.total_seconds() / 3))

    def _until_due(self) -> float:
        """Seconds to sleep: not past the next corte, and never so long that the last one is missed."""
        if self.last is None or self.last.due is None:
            return LOOK
        return min(LOOK, max(SHORTEST_PAUSE, (self.last.due - self._now()).total_seconds()))

    def _now(self) -> datetime:
        """The clock; where it was set back behind the last corte, what has passed since: cortes go on, in order."""
        now = self.clock()
        if self.last is None or now > self.last.at:
            return now
        return self.last.at + timedelta(seconds=time.monotonic() - self._since)

    def _due(self, at: datetime, last: Corte | None, first: datetime | None, complete: bool) -> Order | None:  # noqa: FBT001
        if last is None and self._zero_ceremony:
            return None  # `prep zero` cuts it
        return self.schedule.due(at, last, first=first, complete=complete)

    async def turn(self, choose: Choose, *, patience: float = 0.0) -> Corte | None:
        """Cut what `choose` says, whoever leads, as soon as nobody else is cutting; finish first what is unfinished."""
        async with leading.cutting(self.url, patience=patience) as leader:
            return await self._turn(leader, choose)

    async def _turn(self, leader: Leader, choose: Choose) -> Corte | None:
        corte = await cut(self.office, leader, None) if await self._news(leader) else None
        while corte is not None:
            self._tell(corte)
            corte = await cut(self.office, leader, None)
        order = await self._order(leader, choose)
        if order is not None:
            corte = await cut(self.office, leader, order)
            assert corte is not None
            self._tell(corte)
        return corte

    async def _news(self, leader: Leader) -> bool:
        """Whether this process does not know that everything on record is out."""
        async with leader.using() as connection:
            last = await cortes.last(connection)
        return last is not None and last != self.last

    async def _order(self, leader: Leader, choose: Choose) -> Order | None:
        async with leader.using() as connection:
            last = await cortes.last(connection)
            first = await cortes.corte(connection, 0)
            progress = await cortes.progress(connection)
        if last is not None:
            self._tell(last, new=False)
        return choose(self._now(), last, first.at if first else None, progress.complete)

    def _tell(self, corte: Corte, *, new: bool = True) -> None:
        if new and self.last is not None and self.last.due is not None and corte.number == self.last.number + 1:
            late = (corte.at - self.last.due).total_seconds() + sum(self.seconds.values())
            observe.CORTE_LATE.set(max(0.0, late))  # the last corte may come before its hour
        if self.last is None or self.last.number != corte.number:
            self._since = time.monotonic()
        self.last = corte
        observe.CORTE.set(corte.number)
        observe.CORTE_AT.set(corte.at.timestamp())
        observe.CORTE_DUE.set(0 if corte.due is None else corte.due.timestamp())
        if new:
            told = {"corte": corte.number, "fase": corte.phase, "sha256sums": corte.sums, "siguiente": corte.due}
            log.info("corte published", extra={"data": {**told, "segundos": self.seconds}})
            self.seconds = {}

    async def _alarm(self, error: Exception) -> None:
        """Say loudly what stopped a corte. The one before stays where it is."""
        cause = type(error).__name__
        self.wrong = error.sentence if isinstance(error, PrepError) else f"{cause}: {error}"
        if isinstance(error, leading.Busy):
            self.wrong = None  # the other one is at work
            return
        observe.CUT_ERRORS.labels(cause).inc()
        observe.GATE_CLOSED.set(isinstance(error, GateFailure))
        if not isinstance(error, GateFailure):
            said = None if isinstance(error, PrepError) else error  # a sentence needs no traceback
            log.error("corte not published", exc_info=said, extra={"data": {"cause": cause, "why": self.wrong}})
            return
        told = {"hallazgos": [_plain(finding) for finding in error.findings[:FINDINGS]]}
        log.critical("the gate stopped a corte", extra={"data": told})
        with contextlib.suppress(Unavailable):
            number = 0 if self.last is None else self.last.number + 1
            await cortes.add_event(self.office.pool, "compuerta", f"corte {number}", told, self.clock())

    def health(self) -> str | None:
        """None, or one sentence that says what is wrong."""
        if self.last is not None and self.last.due is not None:
            late = self._now() - self.last.due
            if late > self.schedule.interval:
                return (
                    f"el corte {self.last.number + 1} está retrasado {int(late.total_seconds())} s; {self.wrong or ''}"
                )
        return self.wrong


def _nothing(*_: object) -> None:
    """What a standby chooses to cut."""


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def _plain(finding: object) -> dict[str, str]:
    return {name: getattr(finding, name) for name in ("check", "file", "expected", "found")}


# HTTP: metrics, and the published tree for demos and for whoever has no other web server.


class Tree(StaticFiles):
    """The published tree. What is written once may be kept; pages and index.json are asked for again."""

    async def get_response(self, path: str, scope: MutableMapping[str, Any]) -> Response:
        if any(part.startswith(".") for part in Path(path).parts if part != "."):
            return Response(status_code=404)  # stages and half-written pages are nobody's business
        response = await super().get_response(path, scope)
        once = path.startswith(("cortes/", "imagenes/", "zip/", "bitacora/tile/", "bitacora/acuses/"))
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if once else "no-cache"
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["X-Content-Type-Options"] = "nosniff"
        if Path(path).name in {"SHA256SUMS", "SHA256SUMS.sello", "LEEME.txt"}:
            response.headers["Content-Type"] = "text/plain; charset=utf-8"
        if path.startswith("imagenes/"):
            response.headers.update(_as_sent(Path(path).suffix[1:]))
        return response


SHOWN: Final = {form: f"image/{form}" for form in ("png", "webp", "avif", "gif", "bmp")} | {"jpg": "image/jpeg"}
"""Media types of the images that browsers show."""


def _as_sent(extension: str) -> dict[str, str]:
    """Bytes as strangers sent them: whatever else they are, no browser runs them. As deploy/nginx/published.conf."""
    return {
        "Content-Type": SHOWN.get(extension, "image/tiff" if extension == "tif" else "application/octet-stream"),
        "Content-Disposition": "inline" if extension in SHOWN else "attachment",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'",
    }


def create_app(publisher: Publisher) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    @app.get("/healthz")
    def healthz() -> Response:
        wrong = publisher.health()
        return Response(f"{wrong or 'ok'}\n", status_code=503 if wrong else 200, media_type="text/plain")

    @app.get("/index.json")
    def index(request: Request) -> Response:
        """With an ETag of its content: a page that asks often costs nothing while nothing changed."""
        try:
            content = (publisher.office.public / "index.json").read_bytes()
        except FileNotFoundError:
            return Response(status_code=404)
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
            "Cache-Control": "no-cache",
            "Access-Control-Allow-Origin": "*",
        }
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type="application/json", headers=headers)

    app.mount("/", Tree(directory=publisher.office.public, html=True))
    return app


class Server(uvicorn.Server):
    """Leaves the signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        yield


async def serve(publisher: Publisher, settings: Settings) -> None:
    """Publish until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = Server(
        uvicorn.Config(
            create_app(publisher),
            host=settings.host,
            port=settings.publisher_metrics_port,
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
        )
    )
    serving = asyncio.create_task(server.serve())
    try:
        await publisher.run(stop)
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def wired(settings: Settings) -> AsyncIterator[Publisher]:
    async with embedded.database(settings) as urls:
        settings.public.mkdir(parents=True, exist_ok=True)
        blobs = Blobs.open(settings.blobs_url, scratch=settings.data / "tmp", s3=settings.s3)
        async with contextlib.AsyncExitStack() as opened:
            pool = await opened.enter_async_context(await open_pool(urls.app))
            replica = None
            if settings.database_replica:
                reading = await opened.enter_async_context(await open_pool(settings.database_replica, wait=False))
                replica = Replica(reading, patience=settings.replica_wait_seconds)
            public = settings.public.absolute()
            notary = notary_of(settings)
            office = Office(pool, blobs, public, settings.siglas, settings.simulacro, replica=replica, notary=notary)
            yield Publisher(office, urls.app, Schedule.of(settings), zero_ceremony=settings.zero_ceremony)


async def by_hand(publisher: Publisher, *, final: bool, zero: bool = False) -> int:
    """Corte 0 where there is none, then one corte, or the last one; what came out is printed. Exit status 0 or 1.

    With `zero` nothing but corte 0, which may be out already.
    """

    def choose(at: datetime, last: Corte | None, first: datetime | None, complete: bool) -> Order | None:  # noqa: ARG001, FBT001
        if last is not None and (zero or last.phase is Phase.FINAL):
            return None
        schedule = publisher.schedule
        return schedule.final(at) if final and last is not None else schedule.now(at, last, first=first)

    corte = await publisher.turn(choose, patience=PATIENCE)
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
    """Exit status 0; 1 where the gate stopped a corte; 2, with one sentence, where it cannot be done."""
    parser = Parser(prog="prep publish", description="Publica los cortes a su hora.")
    parser.add_argument("--once", "--from-db", action="store_true", help="un corte ahora, solo desde la base de datos")
    parser.add_argument("--final", action="store_true", help="el último corte, ahora")
    parser.add_argument("--zero", action="store_true", help="el corte 0, si no ha salido, y ninguno más")
    arguments = parser.parse_args(argv)
    observe.start_log("publish")
    os.umask(0o022)  # what is published is for everybody to read
    try:
        sys.exit(uvloop.run(run(arguments, read_settings())))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)
