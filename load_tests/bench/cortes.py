"""The time and the memory of a corte, and the time of the bare work with the same bytes in the same run.

The night is made directly in the database (`cortes.sql`): no device sends and no person types. The publisher is the
real program, in a process of its own, started as an operator starts it by hand.
"""

import asyncio
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from load_tests.bench import kept_publisher, without_pages
from load_tests.psql import run_sql
from prep.domain.catalog import Acta, Casilla, Catalog, TipoCasilla
from prep.files.catalog_published import published_files
from prep.rehearsal.installation import command_line, rehearsal_night
from prep.store import catalog as store
from prep.store import embedded
from prep.store.database import open_pool
from publisher import columns

HERE: Final = Path(__file__).parent
NEVER: Final = rehearsal_night(start=datetime(2098, 1, 1, tzinfo=UTC))
"""A night whose first corte with data does not come by itself."""
IN_PLACE: Final = 950
"""Earlier cortes have published this many of a thousand actas."""
SMALL: Final = 8
"""Bytes of an image, if its content does not matter."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The measurements of one corte."""

    seconds: dict[str, float]
    memory: int
    """The most memory of the publisher process, in bytes."""
    tree_memory: int
    """The same, together with its processes: those of the gate, and those that write pages."""
    cpu: float
    """CPU seconds of the publisher and of its processes; PostgreSQL is not among them."""
    finished: tuple[dict[str, float], ...] = ()
    """Seconds of the cortes that it brought out first, because the tree had lost them."""

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


class Installation:
    """A database that is kept running, and a published tree with corte 0. No publisher runs beside the measured one."""

    def __init__(self, folder: Path) -> None:
        self.public = folder / "publico"
        self.data = folder / "datos"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREP_")},
            "PREP_DATA": str(self.data),
            "PREP_PUBLIC": str(self.public),
            "PREP_PUBLISHER_METRICS_PORT": "0",
        }
        self.keeper: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        keep = [sys.executable, "-m", embedded.__name__, str(self.data / "postgres")]
        self.keeper = subprocess.Popen(keep, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.keeper.stdout is not None
        self.keeper.stdout.readline()  # it is ready
        self.run("migrate")

    def stop(self) -> None:
        if self.keeper is not None:
            self.keeper.communicate()  # the end of its input ends it

    def run(self, *command: str) -> None:
        subprocess.run([command_line(), *command], env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def sql(self, text: str) -> None:
        run_sql(self.data, text)

    def cut(self, *, pages: bool = True) -> Cut:
        """Run `prep publish --once`, or the same without pages, and measure its memory while it runs."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process = subprocess.Popen(
            [command_line(), "publish", "--once"] if pages else [sys.executable, "-m", without_pages.__name__],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        peak, peak_tree = _peak_memory(psutil.Process(process.pid))
        assert process.stderr is not None
        said = process.stderr.read()
        if process.wait():
            raise RuntimeError(said)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        *finished, seconds = _seconds_told(said)
        return Cut(seconds, peak, peak_tree, cpu, tuple(finished))

    @contextmanager
    def publisher(self) -> Iterator["KeptPublisher"]:
        """A publisher that goes on from one corte to the next."""
        told = self.data / "publicador.log"
        with told.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", kept_publisher.__name__],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
            try:
                yield KeptPublisher(process, told)
            finally:
                process.communicate()  # the end of its input ends it

    def capture(self, first: int, last: int, *, image: int = SMALL) -> None:
        """Capture the actas that a hash puts at the places from `first` to before `last`, of a thousand."""
        actas = (HERE / "cortes_actas.sql").read_text(encoding="utf-8")
        self.sql(_filled_in(actas, FROM=first, TO=last, BYTES=image) + _TYPED)
        _make_images(self, image)


@dataclass
class KeptPublisher:
    """A publisher that goes on from one corte to the next, and that cuts when it is told to."""

    process: subprocess.Popen[bytes]
    log: Path
    _read: int = 0

    def cut(self) -> Cut:
        """One corte now, with its memory while it is made."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        own = psutil.Process(self.process.pid)
        before = _cpu_seconds(own)
        with ThreadPoolExecutor(1) as waiting:
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
            done = waiting.submit(self.process.stdout.readline)
            peak, peak_tree = _peak_memory(own, done.done)
        said = self.log.read_text(encoding="utf-8")
        if not done.result():
            raise RuntimeError(said)
        *finished, seconds = _seconds_told(said[self._read :])
        self._read = len(said)
        return Cut(seconds, peak, peak_tree, _cpu_seconds(own) - before, tuple(finished))


def _seconds_told(log: str) -> list[dict[str, float]]:
    """The seconds of each corte that came out, as the publisher's log tells them."""
    return [json.loads(line)["segundos"] for line in log.splitlines() if '"corte published"' in line]


def _cpu_seconds(process: psutil.Process) -> float:
    """Of the process, and of its processes."""
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system + each.children_user + each.children_system for each in times)


_LOOK: Final = 0.2
"""Seconds between two looks at the memory. Each look costs some milliseconds of the cores that are measured."""


def _peak_memory(process: psutil.Process, done: Callable[[], bool] = lambda: False) -> tuple[int, int]:
    """Bytes of memory at most: of the process, and of it with its processes. Pages that they share count once (PSS).

    Looks until the process ends, or until `done`.
    """
    peak = peak_tree = 0
    while not done() and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        try:
            own = process.memory_full_info().pss
            children = sum(child.memory_full_info().pss for child in process.children(recursive=True))
        except psutil.Error:
            continue
        peak, peak_tree = max(peak, own), max(peak_tree, own + children)
        time.sleep(_LOOK)
    return peak, peak_tree


@contextmanager
def night(
    casillas: int, elections: int, *, in_place: int = IN_PLACE, new: int | None = None, image: int = SMALL
) -> Iterator[Installation]:
    """A night after corte 0. `in_place` of a thousand actas are published; `new` more, or all others, just captured.

    `image` is the number of bytes of each image.
    """
    with tempfile.TemporaryDirectory(prefix="cortes-", ignore_cleanup_errors=True) as folder:
        installation = Installation(Path(folder))
        installation.start()
        try:
            catalog = (HERE / "cortes.sql").read_text(encoding="utf-8")
            whole = _filled_in(catalog, CASILLAS=casillas, ELECTIONS=elections)
            installation.sql(f"BEGIN;\n{whole}COMMIT;\nANALYZE;")
            asyncio.run(_write_published_catalogue(installation.data))
            installation.sql(_declared())
            installation.run("publish", "--zero")
            # The actas in place are published by a real corte: the gate compares each row with the file before.
            if in_place:
                installation.capture(0, in_place, image=image)
                installation.cut(pages=False)
            installation.capture(in_place, 1000 if new is None else in_place + new, image=image)
            yield installation
        finally:
            installation.stop()


async def _write_published_catalogue(data: Path) -> None:
    """The files of the catalogue, made from its tables: the load of a catalogue makes them from the same values."""
    pool = await open_pool(f"postgresql://postgres@/prep?host={data / 'postgres'}", connections=1)
    try:
        async with pool.acquire() as connection:
            casillas = await connection.fetch("SELECT * FROM casilla ORDER BY id")
            actas = await connection.fetch("SELECT * FROM acta ORDER BY election, orden")
            catalog = Catalog(
                elections=await store.elections(connection),
                contests=await store.contests(connection),
                territories=await store.territories(connection),
                candidacies=await store.candidacies(connection),
                casillas=[Casilla(**{**row, "tipo": TipoCasilla(row["tipo"].decode())}) for row in casillas],
                actas=[Acta(**row) for row in actas],
                published={},
            )
            catalog = replace(catalog, published=published_files(catalog, {}))
            files = [*catalog.published.items()]
            await connection.copy_records_to_table("catalog_file", columns=("name", "content"), records=files)
            await connection.execute("UPDATE catalog SET digest = $1", catalog.digest)
    finally:
        await pool.close()


def _declared() -> str:
    night = NEVER
    assert night.start is not None
    assert night.end is not None
    columns = "digest, content, simulacro, ensayo, ceremony, starts_at, ends_at, declared_at"
    texts = ", ".join(f"'{each}'" for each in (night.digest, night.text))
    hours = ", ".join(f"'{each.isoformat()}'" for each in (night.start, night.end))
    values = f"{texts}, true, true, false, {hours}, now()"
    return f"INSERT INTO night ({columns}) VALUES ({values});\n"  # noqa: S608  # of our own words


_TYPED: Final = """
INSERT INTO site (code) VALUES ('BANCO') ON CONFLICT DO NOTHING;
INSERT INTO person (login, password_form, key_sha256, role, site)
SELECT 'banco' || n, 'argon2', sha256(''), 'capturista', 1 FROM generate_series(1, 2) AS n ON CONFLICT DO NOTHING;
CREATE TEMP TABLE fresh AS
SELECT v.acta, v.ronda, v.image, v.numbers, v.marks, a.qr
FROM acta_current c JOIN acta_version v ON v.id = c.version JOIN acta a ON a.id = c.acta WHERE c.estado = 'Verificada';
INSERT INTO entry (acta, ronda, ordinal, image, person, site, lease, leased_at, typed_at, numbers, marks)
SELECT acta, ronda, o, image, o, 1, gen_random_uuid(), now(), now(), numbers, marks
FROM fresh, generate_series(1, 2) AS o;
INSERT INTO reading (image, text, width, height, phash, web, thumb, read_at)
SELECT image, qr, 1, 1, repeat('0', 1024)::bit(1024), image, image, now() FROM fresh;
-- A trigger numbers these.
SET session_replication_role = origin;
INSERT INTO identification (image, source, identity, said_at) SELECT image, 'qr', qr, now() FROM fresh;
DROP TABLE fresh;
ANALYZE; CHECKPOINT;
"""


def _filled_in(text: str, **values: int) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def _make_images(installation: Installation, size: int) -> None:
    """The blobs of the actas that the next corte publishes; each holds the acta's id, made longer with «-»."""
    listed = installation.data / "nuevas.txt"
    query = "SELECT acta FROM acta_current WHERE estado = 'Verificada'"
    installation.sql(f"\\copy ({query}) TO '{listed}'\n")
    blobs = installation.data / "blobs" / "sha256"
    for prefix in range(256):
        (blobs / f"{prefix:02x}").mkdir(parents=True, exist_ok=True)
    for name in listed.read_text().split():
        content = name.ljust(size, "-").encode()
        sha256 = hashlib.sha256(content).hexdigest()
        (blobs / sha256[:2] / sha256).write_bytes(content)


def _bare_copy_seconds(installation: Installation) -> float:
    """Seconds of the bare work: COPY, sha256sum and zip of the same lines as in the corte's files, one by one."""
    folder = max((installation.public / "cortes").iterdir())
    seconds = 0.0
    for number, path in enumerate(sorted(folder.glob("*_FED_2030.csv"))):
        raw = "(FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')"
        installation.sql(f"CREATE TABLE bare{number} (line text);\n\\copy bare{number} FROM '{path}' WITH {raw}\n")
        out = installation.data / path.name
        began = time.perf_counter()
        installation.sql(f"\\copy bare{number} TO '{out}' WITH {raw}\n")
        subprocess.run(["sha256sum", out], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([sys.executable, "-m", "zipfile", "-c", f"{out}.zip", out], check=True)
        seconds += time.perf_counter() - began
    return seconds


def corte_50k() -> list[dict[str, Any]]:
    """One election of 50,000 actas, 5 % of them new, as in the worst five minutes of a real night."""
    with night(50_000, 1) as installation:
        done = installation.cut()
        bare = _bare_copy_seconds(installation)
    return [
        _corte_figure(
            "corte de 50,000 actas, todos los archivos",
            round(done.total, 2),
            "s",
            0,
            peer=f"{_seconds_of_steps(done)}; copiar {bare:.2f}; CPU {done.cpu:.2f}",
        ),
        _corte_figure(
            "corte de 50,000 actas con sus páginas / COPY + sha256sum + zip",
            round(done.total / bare, 2),
            "×",
            2.5,
            peer=f"{bare:.2f} s",
        ),
        _corte_figure("memoria del publicador en ese corte", done.memory // 10**6, "MB", 300, peer=_with_gate(done)),
    ]


def corte_nacional() -> list[dict[str, Any]]:
    """170,000 casillas in three elections; 5 % of the actas are new, and 1 % in the next corte."""
    with night(170_000, 3, in_place=940, new=50) as installation:
        done = installation.cut()
        bare, read = _bare_copy_seconds(installation), _bare_column_seconds(installation)
        installation.capture(990, 1000)
        calm = installation.cut()
    seconds, calm_seconds = (each.total - each.seconds["pages"] for each in (done, calm))
    against = f"{bare:.2f} s"
    return [
        _corte_figure(
            "corte nacional, 170,000 casillas × 3, sin páginas",
            round(seconds, 2),
            "s",
            0,
            peer=f"{_seconds_of_steps(done)}; CPU {done.cpu:.2f}",
        ),
        _corte_figure("corte nacional / COPY + sha256sum + zip", round(seconds / bare, 2), "×", 1.5, peer=against),
        _corte_figure(
            "corte nacional con 1 % de actas nuevas / COPY + sha256sum + zip",
            round(calm_seconds / bare, 2),
            "×",
            0.6,
            peer=f"{against}; {_seconds_of_steps(calm)}; CPU {calm.cpu:.2f}",
        ),
        _corte_figure(
            "corte nacional con sus páginas / COPY + sha256sum + zip",
            round(done.total / bare, 2),
            "×",
            2.5,
            peer=against,
        ),
        _corte_figure(
            "compuerta del corte nacional, más allá de leer los CSV como columnas",
            round(done.seconds["gate"] - read, 2),
            "s",
            2,
            peer=f"leerlos {read:.2f} s",
        ),
        _corte_figure(
            "memoria del publicador en el corte nacional", done.tree_memory // 10**6, "MB", 400, peer=_with_gate(done)
        ),
    ]


def _bare_column_seconds(installation: Installation) -> float:
    """Seconds to find every cell of the same files with the gate's columnar engine, and to check nothing."""
    folder = max((installation.public / "cortes").iterdir())
    began = time.perf_counter()
    for path in folder.glob("*_FED_2030.csv"):
        columns.find_cells(path)
    return time.perf_counter() - began


GROWTH: Final = {5_000: (5_000, 1), 50_000: (50_000, 1), 170_000: (170_000, 1), 510_000: (170_000, 3)}
"""Number of actas → number of casillas and of elections."""


def corte_growth() -> list[dict[str, Any]]:
    """The growth of a corte's time with the size of the night. 5 % of the actas are new; the pages are not counted."""
    figures = []
    for actas, (casillas, elections) in GROWTH.items():
        with night(casillas, elections) as installation:
            done = installation.cut()
        seconds = round(done.total - done.seconds["pages"], 2)
        figures.append(
            _corte_figure(f"corte de {actas:,} actas, sin páginas", seconds, "s", 0, peer=_seconds_of_steps(done))
        )
    return figures


def _seconds_of_steps(done: Cut) -> str:
    return ", ".join(f"{step} {took:.2f}" for step, took in done.seconds.items())


def _with_gate(done: Cut) -> str:
    return f"{done.tree_memory // 10**6} MB con los procesos de la compuerta"


def _corte_figure(name: str, value: float, unit: str, most: float, *, peer: str) -> dict[str, Any]:
    """A figure that may be at most `most`; 0: it is information, because machines differ."""
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "target": f"<= {most:g}" if most else ">= 0",
        "met": not most or value <= most,
        "peer": peer,
    }
