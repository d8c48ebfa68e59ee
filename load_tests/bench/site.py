"""The cost of the pages of a corte, beside the bare writing of the same bytes: no database, one process, one core.

Run by `load_tests.bench`. The facts are invented; pages, twins and drawings are those that a corte writes.
"""

import contextlib
import gzip
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from integrity.layout import twin_of
from load_tests.bench import cortes
from prep.domain.catalog import Acta, Casilla, Catalog, ContestId
from prep.domain.corte import Corte, Phase
from prep.domain.night import Night
from prep.files.catalog_files import load_catalog
from prep.rehearsal.installation import rehearsal_night
from prep.rehearsal.synthetic import synthetic
from publisher.figures import Figures
from publisher.official import CatalogBook
from publisher.page_work import Edition, PageWork

Figure = dict[str, Any]
ACTAS: Final = 2_000
REQUESTS: Final = 2_000
DEPLOYED: Final = Path(__file__).parents[2] / "deploy" / "nginx" / "published.conf"
CHANGED: Final = 6_000
"""Actas that change in the worst corte of a national night (`docs/rules.md` §9)."""
_AT: Final = datetime(2027, 6, 7, 2, tzinfo=UTC)


def site_pages() -> list[Figure]:
    """Pages of actas and of secciones: processor time of each, and against writing the same bytes."""
    files, _ = synthetic(ACTAS, seed=14)
    catalog = load_catalog(files)
    with tempfile.TemporaryDirectory() as folder:
        work = PageWork(_edition(Path(folder), catalog, rehearsal_night()))
        records, secciones = _records(catalog), _secciones(catalog)
        actas = _seconds(lambda: work.do("actas", records))
        sections = _seconds(lambda: work.do("secciones", secciones))
        written = [path for path in Path(folder).rglob("*") if path.is_file()]
        contents = [path.read_bytes() for path in written]
        served = _served_by_nginx(Path(folder), [path for path in written if path.suffix == ".html"])
        bare = _seconds(lambda: _write_bare(Path(folder) / "solo", contents))
    count = {"acta": len(records), "seccion": len(secciones)}
    # A corte of 6,000 changed actas writes their pages, at most as many secciones, and the places above them.
    peak = CHANGED * (actas / count["acta"] + sections / count["seccion"])
    size = sum(map(len, contents))
    return [
        _figure("páginas de actas por segundo y núcleo, cada una con su JSON", count["acta"] / actas, "por s", 0),
        _figure("páginas de secciones por segundo y núcleo", count["seccion"] / sections, "por s", 0),
        _figure("páginas de un corte con 6,000 actas cambiadas y sus secciones", peak, "s", 0),
        _figure("páginas frente a escribir los mismos bytes", (actas + sections) / bare, "veces", 10, most=True)
        | {"limit": {"files": len(contents), "bytes": size, "bare_s": round(bare, 2)}},
        *served,
    ]


NATIONAL: Final = (170_000, 3)
"""Casillas and elections."""
_NOT_SITE: Final = frozenset({"cortes", "imagenes", "zip", "catalogo", "esquemas", "bitacora"})


def national_site() -> list[Figure]:
    """The whole site of a national night from nothing, and then the pages of a corte with 6,000 changed actas.

    The real publisher, with its database: it has lost its tree, so it makes the pages of corte 0 and cuts an empty one.
    """
    casillas, elections = NATIONAL
    with cortes.night(casillas, elections, in_place=0, new=0) as made:
        # Not removed: a file system is slow for minutes after it lost a hundred thousand files. No night removes any.
        for each in made.public.iterdir():
            each.rename(made.data / f"antes-{each.name}")
        with made.publisher() as publisher:
            first = publisher.cut()
            made.capture(0, 1000 * CHANGED // (casillas * elections) + 1)
            done = publisher.cut()
        told = json.loads((made.public / "cambios" / "0002.json").read_bytes())["paginas"]
        names = [*told, *(twin for page in told if (twin := twin_of(page)))]
        contents = [(made.public / name).read_bytes() for name in names]
        began = time.perf_counter()
        _write_bare(made.data / "solo", contents)
        bare = time.perf_counter() - began
        changed = {Path(name).name for name in told}
        site = [path for path in _site_files(made.public) if path.name not in changed]
        sizes = [path.stat() for path in site]
    full, peak = first.finished[0]["pages"], done.seconds["pages"]
    actas = sum(name.partition("/")[2][:1].isdigit() and not name.startswith("seccion/") for name in told)
    weight = f"{len(sizes):,} archivos, {sum(each.st_size for each in sizes) / 1e6:.0f} MB"
    on_disk = f"{sum(each.st_blocks for each in sizes) * 512 / 1e6:.0f} MB en disco"
    return [
        _figure("sitio nacional desde cero, 170,000 casillas × 3", full, "s", 0) | {"peer": f"{weight}, {on_disk}"},
        _figure("páginas de un corte nacional con 6,000 actas cambiadas", peak, "s", 10, most=True)
        | {"peer": f"{actas:,} actas, {len(contents):,} archivos, {sum(map(len, contents)) / 1e6:.0f} MB"},
        _figure("ese corte: páginas frente a escribir los mismos bytes", peak / bare, "veces", 10, most=True)
        | {"peer": f"{bare:.2f} s"},
        _figure("memoria del publicador y sus procesos en ese corte", done.tree_memory // 10**6, "MB", 400, most=True)
        | {"peer": f"{done.memory // 10**6} MB el publicador"},
    ]


def _site_files(public: Path) -> list[Path]:
    """Pages and their twins."""
    folders = [each for each in public.iterdir() if each.is_dir() and each.name not in _NOT_SITE]
    return [path for folder in [public, *folders] for path in folder.iterdir() if path.is_file()]


def _served_by_nginx(folder: Path, pages: Sequence[Path]) -> list[Figure]:
    """Requests for pages that nginx answers with a second of one core, as deploy/nginx sets it; without nginx, none.

    Counted in its own processor time, so that a busy machine changes little. Beside it: the same pages compressed
    beforehand, and one file of their mean size that is not compressed.
    """
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if nginx is None:
        return []
    asked = [str(path.relative_to(folder)) for path in pages[:REQUESTS]]
    bare = folder / "solo.bin"
    bare.write_bytes(bytes(sum(path.stat().st_size for path in pages) // len(pages)))
    live = _requests_a_second(nginx, folder, asked)
    alone = _requests_a_second(nginx, folder, ["solo.bin"] * 8 * len(asked))
    began = time.process_time()
    for name in asked:
        path = folder / name
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 6))
    packing = (time.process_time() - began) / len(asked)
    static = _requests_a_second(nginx, folder, [*asked] * 5, "gzip_static on;")
    return [
        _figure("páginas servidas por nginx por segundo y núcleo, comprimidas al pedirlas", live, "por s", 0)
        | {
            "limit": {
                "gzip_static": round(static),
                "bare_file": round(alone),
                "gzip_ms_a_page": round(packing * 1000, 2),
            }
        },
        _figure(
            "páginas servidas por nginx frente a un archivo de los mismos bytes", alone / live, "veces", 10, most=True
        ),
    ]


def _requests_a_second(nginx: str, folder: Path, asked: Sequence[str], more: str = "") -> float:
    with nginx_serving(nginx, folder, more) as (port, pid):
        return _ask(port, asked, pid)


@contextlib.contextmanager
def nginx_serving(nginx: str, folder: Path, more: str = "", *, limited: bool = False) -> Iterator[tuple[int, int]]:
    """The tree as deploy/nginx serves it, without TLS and in one process: its port, and the id of the process.

    `limited`: with the limits of one reader. `more` stands in the `server` block.
    """
    with tempfile.TemporaryDirectory() as own, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        left_out = ("ssl_", "listen 8443", "worker_processes", "access_log", *(() if limited else ("limit_",)))
        deployed = DEPLOYED.read_text(encoding="utf-8").splitlines()
        text = "\n".join(line for line in deployed if not line.strip().startswith(left_out))
        text = text.replace("/tmp/", f"{own}/").replace("/srv/publico", str(folder))  # noqa: S108
        text = text.replace("listen 8080;", f"listen 127.0.0.1:{port}; {more}")
        text = text.replace("http {", f"http {{ access_log {own}/log; keepalive_requests 1000000;", 1)
        conf = Path(own) / "nginx.conf"
        conf.write_text(f"daemon off; master_process off; user root;\n{text}\n")
        with subprocess.Popen([nginx, "-c", conf, "-e", f"{own}/error"], cwd=own) as process:
            try:
                _wait_for(port)
                yield port, process.pid
            finally:
                process.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if time.monotonic() > deadline:
            raise RuntimeError("nginx did not start")
        time.sleep(0.02)


def _ask(port: int, asked: Sequence[str], pid: int) -> float:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    before = _cpu_of(pid)
    for name in asked:
        client.request("GET", f"/{name}", headers={"Accept-Encoding": "gzip"})
        answer = client.getresponse()
        assert answer.status == 200, (name, answer.status)
        assert answer.read()
    client.close()
    return len(asked) / (_cpu_of(pid) - before)


def _cpu_of(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _figure(name: str, value: float, unit: str, target: float, *, most: bool = False) -> Figure:
    """Target 0: it is information, because machines differ."""
    met = value <= target if most else value >= target
    told = f"{'<=' if most else '>='} {target}"
    return {"name": name, "value": round(value, 2), "unit": unit, "target": told, "met": met, "peer": ""}


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _edition(folder: Path, catalog: Catalog, night: Night) -> Edition:
    (folder / ".etapa").mkdir()
    candidacies: dict[ContestId, list[Any]] = {}
    for number, candidacy in enumerate(catalog.candidacies, 1):
        candidacies.setdefault(candidacy.contest, []).append((number, candidacy))
    book = CatalogBook(
        elections=catalog.elections,
        contests={contest.id: contest for contest in catalog.contests},
        candidacies=candidacies,
        names={(each.kind, each.entidad, each.id): each.name for each in catalog.territories},
        digest=catalog.digest,
        night=night,
    )
    corte = Corte(9, _AT, Phase.EN_CURSO, _AT + timedelta(minutes=5), simulacro=True, sums="0" * 64)
    figures = [Figures(each, book, (), fuera=0, final=False) for each in catalog.elections]
    return Edition(folder, folder / ".etapa", book, corte, figures)


def _secciones(catalog: Catalog) -> list[list[Mapping[str, Any]]]:
    """What the database says of the actas of each sección."""
    by_section: dict[int, list[Mapping[str, Any]]] = {}
    own: dict[int, list[Acta]] = {}
    for acta in catalog.actas:
        own.setdefault(acta.casilla, []).append(acta)
    for casilla in catalog.casillas:
        for acta in own[casilla.id]:
            by_section.setdefault(casilla.seccion, []).append(
                {
                    **casilla._asdict(),
                    "clave": acta.clave,
                    "election": acta.election,
                    "captured": acta.id % 2 == 0,
                    "contabilizada": 1 if acta.id % 2 == 0 else None,
                    "observations": [],
                    "estado": "Digitalizada",
                    "changed_at": _AT,
                    "corte": 9,
                }
            )
    return [*by_section.values()]


def _records(catalog: Catalog) -> list[Mapping[str, Any]]:
    """What the database says of each acta of the first election."""
    options = len(catalog.elections[0].options)
    casillas = {casilla.id: casilla for casilla in catalog.casillas}
    first = [acta for acta in catalog.actas if acta.election == catalog.elections[0].id]
    return [_record(number, acta, casillas[acta.casilla], first, options) for number, acta in enumerate(first)]


def _record(number: int, acta: Acta, casilla: Casilla, first: Sequence[Acta], options: int) -> Mapping[str, Any]:
    digest = number.to_bytes(32)
    at = _AT - timedelta(minutes=number % 90)
    return {
        "before": (),
        "captures": [{"ordinal": each, "typed_at": at, "agrees": True} for each in (1, 2)],
        **casilla._asdict(),
        **acta._asdict(),
        "acta": acta.id,
        "territory": casilla.distrito_local,
        "withdrawn": False,
        "reason": "captura",
        "previous": first[number - 1].clave,
        "next": first[(number + 1) % len(first)].clave,
        "numbers": [100 + number % 300] * (options + 5),
        "marks": "N" * (options + 5),
        "calculado": 300,
        "observations": ["ilegible"] if number % 10 == 0 else [],
        "contabilizada": 1,
        "cotejada": 0,
        "tipo_documento": "Acta PREP",
        "origen": "CATD",
        "digitalizacion": "escaner",
        "acopio_at": at,
        "captura_at": at + timedelta(minutes=37),
        "verificacion_at": at + timedelta(minutes=38),
        "image": digest,
        "format": "jpeg",
        "web": digest,
        "width": 2394,
        "height": 1562,
    }


def _write_bare(folder: Path, contents: list[bytes]) -> None:
    folder.mkdir()
    for number, content in enumerate(contents):
        (folder / str(number)).write_bytes(content)
