"""Every metric of every part, with unit and help, and the log. Labels are bounded: never an acta, never a person."""

import json
import logging
import math
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)

from integrity import VERSION
from prep.doors import PROBES, Door, Limits
from prep.printable import printable
from prep.processes import listening
from prep.settings import now

if TYPE_CHECKING:
    from aiohttp import web

log: Final = logging.getLogger(__name__)

Sentence = Callable[[], str | None]
"""None, or one sentence that says the fault."""
Handler = Callable[["web.Request"], Awaitable["web.Response"]]

# Before the first is declared: a `_created` series beside each counter tells nobody anything.
disable_created_metrics()  # type: ignore[no-untyped-call]

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

# Intake
IMAGES_RECEIVED: Final = Counter("prep_images_received_total", "Images acknowledged with a receipt.", ["origen"])
IMAGES_REFUSED: Final = Counter("prep_images_refused_total", "Uploads answered with an error.", ["status"])
INTAKE_SECONDS: Final = Histogram("prep_intake_duration_seconds", "Time from first byte to receipt.", buckets=SECONDS)
IMAGE_BYTES: Final = Counter("prep_image_bytes_total", "Bytes of acknowledged images.")
RECEIPTS: Final = Counter("prep_receipts_total", "Receipts handed out: made now, or the same one again.", ["made"])
BLOBS_FREE: Final = Gauge("prep_blobs_free_bytes", "Bytes free where a local blob store keeps its files.", ["part"])
BLOBS_SIZE: Final = Gauge("prep_blobs_size_bytes", "Bytes of the disk of a local blob store.", ["part"])

# Workers
HANDLED: Final = Counter("prep_messages_handled_total", "Messages handled.", ["topic", "outcome"])
HANDLE_SECONDS: Final = Histogram(
    "prep_handle_duration_seconds", "Time to handle one message.", ["topic"], buckets=SECONDS
)
LAG: Final = Gauge("prep_bus_lag_messages", "Messages not yet acknowledged.", ["topic", "group"])
OLDEST: Final = Gauge(
    "prep_bus_oldest_seconds",
    "Age of the oldest message this process has in hand; 0 if it has none.",
    ["topic", "group"],
)
OUTBOX: Final = Gauge("prep_outbox_messages", "Messages written and not yet handed to the bus.")
OUTBOX_OLDEST: Final = Gauge("prep_outbox_oldest_seconds", "Age of the oldest message not yet handed to the bus.")
PARKED: Final = Gauge("prep_parked_messages", "Messages set aside for a person.")
QR_READ: Final = Counter("prep_qr_read_total", "Images by the decoder that read them.", ["decoder"])
DIGITIZE_SECONDS: Final = Histogram("prep_digitize_duration_seconds", "Time in the decoding process.", buckets=SECONDS)

# The way of the actas, sampled from the database
ACTAS: Final = Gauge("prep_actas", "Actas by state.", ["estado"])
QUEUE: Final = Gauge("prep_queue_tasks", "Tasks that wait for a person.", ["step"])
QUEUE_OLDEST: Final = Gauge("prep_queue_oldest_seconds", "Age of the oldest task that waits for a person.", ["step"])
IMAGES: Final = Gauge("prep_images", "Images by state.", ["state"])
POSTGRES_UP: Final = Gauge("prep_postgres_up", "1 where PostgreSQL answered this process's last look.", ["part"])

# People
CAPTURES: Final = Counter("prep_entries_total", "Captures submitted.", ["ordinal"])
COMPARISONS: Final = Counter("prep_comparisons_total", "Outcomes of comparing captures.", ["outcome"])
REQUESTS: Final = Counter("prep_http_requests_total", "Requests answered.", ["route", "status"])
REQUEST_SECONDS: Final = Histogram(
    "prep_http_request_duration_seconds", "Time from request to the head of its answer.", ["route"], buckets=SECONDS
)

LOGINS: Final = Counter("prep_logins_total", "Logins by outcome: opened, wrong, slowed.", ["outcome"])

# The night
NIGHT_START: Final = Gauge("prep_night_start_timestamp_seconds", "Declared time of the first corte; 0: no fixed hour.")
NIGHT_OPEN: Final = Gauge("prep_night_open", "1 from corte 0 on.")

# Publication
CORTE: Final = Gauge("prep_corte_number", "Number of the last corte published.")
CORTE_AT: Final = Gauge("prep_corte_timestamp_seconds", "Time of the last corte published.")
CORTE_DUE: Final = Gauge("prep_corte_due_timestamp_seconds", "Time the next corte is due; 0 after the last one.")
CORTE_LATE: Final = Gauge("prep_corte_late_seconds", "Seconds after its due time that the last corte was out.")
CORTE_INTERVAL: Final = Gauge("prep_corte_interval_seconds", "Time between cortes, as set.")
CORTE_SECONDS: Final = Histogram("prep_corte_duration_seconds", "Time to cut, by step.", ["step"], buckets=SECONDS)
GATE_FAILURES: Final = Counter("prep_gate_failures_total", "Cortes refused by the gate.", ["check"])
HELD_BACK: Final = Gauge("prep_images_held_back", "Images that cannot be had and keep their actas out of the cortes.")
GATE_CLOSED: Final = Gauge("prep_gate_closed", "1 while the gate holds the next corte back.")
SEALS_MISSING: Final = Gauge("prep_seals_missing", "Published cortes that still lack the institution's seal.")
STAMPS_MISSING: Final = Gauge("prep_stamps_missing", "Time stamps that published cortes still lack.")
CUT_ERRORS: Final = Counter("prep_cut_errors_total", "Cortes that could not be cut, by cause.", ["cause"])
REPLICA_SKIPPED: Final = Counter(
    "prep_replica_skipped_total", "Readings of a corte from the primary because the replica was not fit.", ["cause"]
)

# The log
LOG_SIZE: Final = Gauge("prep_log_leaves", "Leaves of the log.")
LOG_DRAINED: Final = Gauge("prep_log_drained_timestamp_seconds", "When the log last had every fact there was.")
LOG_SECONDS: Final = Histogram("prep_log_duration_seconds", "Time from reading a batch to its proofs.", buckets=SECONDS)
LOG_REFUSED: Final = Gauge("prep_log_refused", "1 while the log is not what it was left as, and nothing is signed.")
LOG_WITNESSED: Final = Gauge("prep_log_witnessed_leaves", "Leaves of the last tree that a witness signed.", ["witness"])
LOG_DENIED: Final = Gauge(
    "prep_log_denied", "1 while a witness says that the log does not continue the one it signed.", ["witness"]
)
LOG_QUORUM: Final = Gauge("prep_log_quorum", "0 while the checkpoint lacks witnesses that the policy asks for.")
LOG_QUORUM.set(1)

# A mirror
DIFUSOR_LAG: Final = Gauge("prep_difusor_lag_seconds", "Since a mirror last held everything that its origin had.")
DIFUSOR_CORTE: Final = Gauge("prep_difusor_corte_number", "Number of the last corte that a mirror shows.")
DIFUSOR_BEHIND: Final = Gauge("prep_difusor_behind_cortes", "Cortes that the origin has and its mirror does not show.")
DIFUSOR_DIVERGENCE: Final = Gauge(
    "prep_difusor_divergence", "1 while an origin contradicts what it published, or publishes what does not verify."
)
DIFUSOR_BYTES: Final = Counter("prep_difusor_bytes_total", "Bytes that a mirror has taken from its origin.")
DIFUSOR_ERRORS: Final = Counter("prep_difusor_errors_total", "Looks of a mirror that failed, by cause.", ["cause"])

LEADER: Final = Gauge("prep_leader", "1 while this process holds the lock of that role.", ["role"])

# Every process; beside them prometheus_client's own: memory, CPU, open files.
BUILD: Final = Info("prep_build", "The version of the program that runs.")
BUILD.info({"version": VERSION})
CLOCK_MOVED: Final = Gauge(
    "prep_clock_moved_seconds", "How far the machine's clock has been set, and not slewed, since this process started."
)
CLOCK_APART: Final = Gauge(
    "prep_clock_apart_seconds",
    "This machine's clock minus that of the database, or of a node of Kafka, as this process last compared them.",
    ["source", "node"],
)
_CLOCKS_APART: Final = now().timestamp() - time.monotonic()
CLOCK_MOVED.set_function(lambda: now().timestamp() - time.monotonic() - _CLOCKS_APART)


class ClockSource(StrEnum):
    """A server with a clock of its own."""

    POSTGRES = "postgres"
    KAFKA = "kafka"


CLOCKS: Final = timedelta(minutes=1)
"""Two clocks that differ by more are an alarm; receipts that are signed meanwhile say so."""
_alarms: dict[tuple[ClockSource, str], str] = {}


def apart(before: datetime, theirs: datetime, after: datetime) -> timedelta:
    """How far our clock is before another one, which was read between our times `before` and `after`.

    The answer took some time, so their clock is right if it is between our two readings.
    """
    return max(before - theirs, timedelta()) + min(after - theirs, timedelta())


def compare_clocks(source: ClockSource, *, before: datetime, theirs: datetime, after: datetime, node: str = "") -> None:
    """Tell how far this machine's clock is from another one; if that is too much, `clock_alarm` says so from now on."""
    distance = apart(before, theirs, after)
    CLOCK_APART.labels(source, node).set(distance.total_seconds())
    alarmed = _alarms.pop((source, node), None)
    if abs(distance) > CLOCKS:
        whose = f"Kafka (nodo {node})" if source is ClockSource.KAFKA else "la base de datos"
        alarm = f"el reloj de esta máquina difiere {abs(round(distance.total_seconds()))} s del de {whose}"
        _alarms[source, node] = alarm
        if alarmed is None:
            log.error("clock apart", extra={"data": {"why": alarm}})


def clock_alarm() -> str | None:
    """None, or one sentence: this machine's clock differs from that of a server. Work goes on."""
    return "; ".join(_alarms[each] for each in sorted(_alarms)) or None


def forget_clocks() -> None:
    """As if no clock had been compared."""
    _alarms.clear()
    CLOCK_APART.clear()


def tell_of_night(start: datetime | None, *, is_open: bool) -> None:
    """What this process knows of the night: when it starts, and whether corte 0 is out."""
    NIGHT_START.set(0 if start is None else start.timestamp())
    NIGHT_OPEN.set(is_open)


def watch_disk(part: str, store: str) -> None:
    """From now on each scrape says how much room the disk of a local blob store has."""
    where = urlsplit(store)
    if where.scheme != "file":
        return

    def told(which: Callable[[str], float]) -> float:
        try:
            return which(unquote(where.path))
        except OSError:
            return math.nan

    BLOBS_FREE.labels(part).set_function(lambda: told(lambda path: shutil.disk_usage(path).free))
    BLOBS_SIZE.labels(part).set_function(lambda: told(lambda path: shutil.disk_usage(path).total))


class _OneLine(logging.Formatter):
    """One JSON object an event: time, level, part, message, and the fields passed as `extra={"data": {...}}`."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self.part = part

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": self.part,
        }
        data = getattr(record, "data", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        try:
            whole = {**line, "event": record.getMessage(), **data}
            return printable(json.dumps(whole, ensure_ascii=False, allow_nan=False, default=str))
        except Exception:  # noqa: BLE001 - a line that cannot be made must still say that something happened
            return printable(json.dumps(line | {"event": str(record.msg), "data": repr((record.args, data))}))


def start_log(part: str) -> None:
    """Send every log line of this process to stderr, one JSON object each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(part))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_the_end


def _log_the_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The error that ends a process is a line like any other: it may quote what a stranger sent."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("ended by a defect", exc_info=(kind, error, trace))


# Probes.

LIVE: Final = "el proceso responde"
READY: Final = "puede trabajar"


class Readiness:
    """Whether the work of a process can go on, as its own loop last saw it."""

    def __init__(self, *, patience: float = 30.0) -> None:
        self._patience = patience
        self._wrong: str | None = "todavía no empieza su trabajo"
        self._seen = time.monotonic()

    def tell(self, wrong: str | None) -> None:
        """The loop has looked: its work can go on (None), or one sentence says why it cannot."""
        self._wrong = wrong
        self._seen = time.monotonic()

    def sentence(self) -> str | None:
        """None, or why the work cannot go on. A loop that has not looked for `patience` seconds is not well."""
        # The loop may hang without an error: then its last good word is old.
        silent = time.monotonic() - self._seen
        return self._wrong or (f"no da señales desde hace {int(silent)} s" if silent > self._patience else None)


def probe_answer(wrong: str | None, well: str) -> tuple[HTTPStatus, str]:
    """The status and the text of a probe."""
    return (HTTPStatus.OK if wrong is None else HTTPStatus.SERVICE_UNAVAILABLE), f"{wrong or well}\n"


@asynccontextmanager
async def serving_probes(
    host: str, port: int, *, health: Sentence, ready: Sentence, limits: Limits = PROBES
) -> AsyncIterator[int]:
    """Serve the probes and /metrics for a process that serves nothing else; yields the port (0 takes a free one).

    /livez     the loop answers. It looks at no other part, because a restart would not heal it.
    /readyz    the work can go on: `ready` returns None, or one sentence (503).
    /healthz   for people: `health` returns None, or one sentence that says the fault (503); so does a wrong clock.
    """
    # A command that serves nothing starts without a web server.
    from aiohttp import web  # noqa: PLC0415

    def answering(say: Callable[[], tuple[HTTPStatus, str]]) -> Handler:
        async def answer(_: web.Request) -> web.Response:
            status, text = say()
            return _last(web.Response(text=text, status=status))

        return answer

    async def metrics(_: web.Request) -> web.Response:
        return _last(web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST}))

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/livez", answering(lambda: probe_answer(None, LIVE)))
    app.router.add_get("/readyz", answering(lambda: probe_answer(ready(), READY)))
    app.router.add_get("/healthz", answering(lambda: probe_answer(health() or clock_alarm(), "ok")))
    # Prometheus asks every few seconds: no line in the log for each.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    assert runner.server is not None
    door = Door(listening(host, port), runner.server, limits=limits)
    try:
        yield door.port
    finally:
        door.close()
        await runner.cleanup()


def _last(response: "web.Response") -> "web.Response":
    """Each connection has one request, so that the door can end a slow one by its age alone."""
    response.force_close()
    return response
