"""The cost of the pages of a corte, beside the bare writing of the same bytes: no database, one process, one core.

Run by `load_tests.bench`. The facts are invented; pages, twins and drawings are those that a corte writes.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from prep.domain.catalog import Acta, Catalog, ContestId
from prep.domain.night import Night
from prep.files.catalog_files import load_catalog
from prep.rehearsal.installation import rehearsal_night
from prep.rehearsal.synthetic import synthetic
from prep.store.cortes import Corte, Phase
from publisher.figures import Figures
from publisher.official import CatalogBook
from publisher.pages import ElectionPages, SiteWriter, write_section

Figure = dict[str, Any]
ACTAS: Final = 2_000
CHANGED: Final = 6_000
"""Actas that change in the worst corte of a national night (`docs/rules.md` §9)."""
_AT: Final = datetime(2027, 6, 7, 2, tzinfo=UTC)


def site_pages() -> list[Figure]:
    """Pages of actas and of secciones: processor time of each, and against writing the same bytes."""
    files, _ = synthetic(ACTAS, seed=14)
    catalog = load_catalog(files)
    with tempfile.TemporaryDirectory() as folder:
        site = _writer(Path(folder), catalog, rehearsal_night())
        actas = _seconds(lambda: _write_actas(site, catalog))
        sections = _seconds(lambda: _write_sections(site, catalog))
        written = [path for path in Path(folder).rglob("*") if path.is_file()]
        contents = [path.read_bytes() for path in written]
        bare = _seconds(lambda: _write_bare(Path(folder) / "solo", contents))
    count = {"acta": ACTAS, "seccion": len({casilla.seccion for casilla in catalog.casillas})}
    # A corte of 6,000 changed actas writes their pages, at most as many secciones, and the places above them.
    peak = CHANGED * (actas / count["acta"] + sections / count["seccion"])
    size = sum(map(len, contents))
    return [
        _figure("páginas de actas por segundo y núcleo, cada una con su JSON", count["acta"] / actas, "por s", 600),
        _figure("páginas de secciones por segundo y núcleo", count["seccion"] / sections, "por s", 600),
        _figure("páginas de un corte con 6,000 actas cambiadas y sus secciones", peak, "s", 10, most=True),
        _figure("páginas frente a escribir los mismos bytes", (actas + sections) / bare, "veces", 10, most=True)
        | {"limit": {"files": len(contents), "bytes": size, "bare_s": round(bare, 2)}},
    ]


def _figure(name: str, value: float, unit: str, target: float, *, most: bool = False) -> Figure:
    met = value <= target if most else value >= target
    told = f"{'<=' if most else '>='} {target}"
    return {"name": name, "value": round(value, 2), "unit": unit, "target": told, "met": met, "peer": ""}


def _seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _writer(folder: Path, catalog: Catalog, night: Night) -> SiteWriter:
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
    return SiteWriter(folder, folder / ".etapa", book, corte)


def _write_actas(site: SiteWriter, catalog: Catalog) -> None:
    election = catalog.elections[0]
    pages = ElectionPages(site, Figures(election, site.book, (), fuera=0, final=False), (), {}, {})
    for record in _records(catalog, len(election.options)):
        pages.acta(record)


def _write_sections(site: SiteWriter, catalog: Catalog) -> None:
    elections = {each.id: (each, site.book.rules(each)) for each in catalog.elections}
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
                }
            )
    for records in by_section.values():
        write_section(site, records, elections)


def _records(catalog: Catalog, options: int) -> Iterator[Mapping[str, Any]]:
    """What the database says of each acta of the first election."""
    casillas = {casilla.id: casilla for casilla in catalog.casillas}
    first = [acta for acta in catalog.actas if acta.election == catalog.elections[0].id]
    for number, acta in enumerate(first):
        digest = number.to_bytes(32)
        at = _AT - timedelta(minutes=number % 90)
        yield {
            **casillas[acta.casilla]._asdict(),
            **acta._asdict(),
            "acta": acta.id,
            "territory": casillas[acta.casilla].distrito_local,
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
