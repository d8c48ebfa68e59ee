"""The pages of a corte: plain HTML that a phone reads without JavaScript, down to each acta beside its image.

A page is written again only if its content changed: the page of an acta when a version of it comes out, those of a
place and of a sección when something of theirs moved. Everything comes from the recorded facts of the corte, so the
pages can be made again. `page_writer` writes a page, `election_pages` has those of one election, `start_page` the
first one, `finder` those by which a casilla is found; `views` has the values, `charts` the drawings, `site/` the words.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from integrity.layout import (
    FEED,
    ROOT_PAGES,
    SECTIONS,
    changes_path,
    corte_folder,
    section_page,
    twin_of,
)
from prep.domain.catalog import ElectionId
from prep.store import cortes
from prep.store.cortes import Before, Corte, Fuera, Phase, Snapshot, ToldIncident
from publisher import figures as out
from publisher import finder, views
from publisher.election_pages import ElectionPages
from publisher.figures import Figures
from publisher.official import CatalogBook
from publisher.page_writer import TEMPLATES, SiteWriter
from publisher.site_files import site_files
from publisher.start_page import package_of, write_home

_CLOCKS: Final = timedelta(minutes=2)
"""How far the clocks of two machines may differ, and a change may be older than the corte that shows it first."""


async def render(
    public: Path,
    shown: Snapshot,
    *,
    stage: Path,
    book: CatalogBook,
    figures: Sequence[Figures],
    corte: Corte,
    fuera: Mapping[ElectionId, Sequence[Fuera]],
    incidents: Sequence[ToldIncident] = (),
    address: str = "",
) -> None:
    """Write the pages that this corte changes, each in `stage` first. `shown` gives the corte's recorded facts."""
    site = SiteWriter(public, stage, book, corte, address)
    await finder.write_index(site, shown)
    # These files are constants of a release: written only if they differ. Pages need them, so they come first.
    for name, content in site_files(book).items():
        if not (public / name).exists() or (public / name).read_bytes() != content:
            (public / name).parent.mkdir(exist_ok=True)
            site.put(public / name, content)
    past = await cortes.history(shown)
    before = _by_acta(await cortes.versions_before(shown))
    captures = _by_acta(await cortes.captures_of(shown))
    # First the actas, because they tell which places changed; then the places, the elections, and the home page.
    by_election = {each.election.id: ElectionPages(site, each, past, before, captures) for each in figures}
    async for record in cortes.pages(shown):
        by_election[record["election"]].acta(record)
    await _write_sections(site, shown, past)
    for each in by_election.values():
        await each.places(shown)
        each.lists(await cortes.reasoned(shown, each.figures.election), fuera[each.figures.election.id])
        each.election()
    await _write_words(site, shown, by_election.values())
    write_home(site, [each.summary_view() for each in by_election.values()], past, incidents)
    _write_feed(site, past)
    _write_changes(site)


def _by_acta(records: Iterable[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    found: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for record in records:
        found[record["acta"]].append(record)
    return found


async def _write_words(site: SiteWriter, shown: Snapshot, elections: Iterable[ElectionPages]) -> None:
    """The pages in words. Most of them change only if the program does."""
    files = [
        {
            "election": each.figures.election,
            "file": site.book.file(each.figures.election),
            "candidates_file": site.book.candidates_file(each.figures.election),
        }
        for each in elections
    ]
    site.write("datos.html", "datos.html", files=files, package=package_of(site))
    await finder.write_finder(site, shown)
    for name in {*ROOT_PAGES} - {"datos.html", "casilla.html"}:
        site.write(name, name, same=True, night=site.book.night)


def _write_feed(site: SiteWriter, past: Sequence[Before]) -> None:
    """The last cortes as an Atom feed, the newest first."""
    entries = []
    for each in past[-1:-31:-1]:
        said = "; ".join(
            f"{election.title}: {each.counts[election.code]['ACTAS_CAPTURADAS']} de "
            f"{each.counts[election.code]['ACTAS_ESPERADAS']} actas capturadas"
            for election in site.book.elections
            if election.code in each.counts
        )
        entries.append({"number": each.number, "at": each.at, "said": said, "folder": corte_folder(each.number)})
    text = TEMPLATES.get_template("cortes.atom").render(
        **site.common(FEED), entries=entries, origin=site.book.night.log_name
    )
    site.put(site.public / FEED, text.encode())


def _write_changes(site: SiteWriter) -> None:
    """Which pages this corte wrote, so that a mirror or a program fetches them and no others."""
    path = site.public / changes_path(site.corte.number)
    path.parent.mkdir(exist_ok=True)
    pages = sorted(site.written)
    content = {
        "formato": out.FORMAT,
        "corte": site.corte.number,
        "paginas": pages,
        "quitadas": sorted(site.removed),
        "siguiente": changes_path(site.corte.number + 1) if site.corte.phase is not Phase.FINAL else None,
    }
    site.put(path, out.canonical(content))


async def _write_sections(site: SiteWriter, shown: Snapshot, past: Sequence[Before]) -> None:
    """Pages of the secciones in which something moved; all of them with corte 0, or in a tree that has none yet.

    Those that exist already are left out of corte 0: so a first rendering that stopped begins at the page it lacks.
    """
    everything = site.corte.phase is Phase.CERO or len(past) < 2 or not (site.public / SECTIONS).exists()
    since = None if everything else past[-2].at - _CLOCKS
    elections = {each.id: (each, site.book.rules(each)) for each in site.book.elections}
    if everything:
        await finder.write_blocks(site, shown)
    held: list[Mapping[str, Any]] = []
    async for record in cortes.sections(shown, since):
        if held and (held[0]["entidad"], held[0]["seccion"]) != (record["entidad"], record["seccion"]):
            write_section(site, held, elections)
            held = []
        held.append(record)
    if held:
        write_section(site, held, elections)


def write_section(site: SiteWriter, records: Sequence[Mapping[str, Any]], elections: Mapping[ElectionId, Any]) -> None:
    """The page of one sección; `records` are its actas, `elections` their elections with their rules."""
    name = section_page(records[0]["entidad"], records[0]["seccion"])
    # Besides those of its actas, a corte writes pages on which an unpublished acta came further; it does not list them,
    # because a corte that is made again finds that acta elsewhere on its way.
    site.written |= {name} if site.corte.phase is Phase.CERO else set()
    if site.corte.phase is Phase.CERO and (site.public / name).exists() and (site.public / twin_of(name)).exists():
        return
    view = views.section_view(records, elections)
    data = [
        {
            "casilla": each["clave"],
            "nombre": each["name"],
            **each["where"],
            "actas": [
                {
                    "eleccion": acta["election"].code,
                    "acta": acta["clave"],
                    "estado": acta["state"],
                    "observaciones": acta["why"] if acta["page"] else "",
                    "pagina": acta["page"] or None,
                    "desde": out.moment(acta["since"], site.book.zone) if acta["since"] else None,
                }
                for acta in each["actas"]
            ],
        }
        for each in view["casillas"]
    ]
    site.write(
        name, "seccion.html", same=True, listed=False, view=view, entidad=site.book.entidad(view["entidad"]), data=data
    )
