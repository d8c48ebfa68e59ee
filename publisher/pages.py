"""The pages of a corte: plain HTML that a phone reads without JavaScript, down to each acta beside its image.

A page is written again only if its content changed: the page of an acta when a version of it comes out, those of its
place, its contest and its sección with it, and that of a sección when an acta on its way came further. Everything comes
from the recorded facts of the corte, so the pages can be made again.

`press` writes those of which there are thousands, on all cores; `page_work` has their kinds. `page_writer` writes a
page, `election_pages` has those of one election, `start_page` the first one, `finder` those by which a casilla is
found; `views` has the values, `charts` the drawings, `site/` the words.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

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
from prep.domain.corte import Before, Corte, Fuera, Phase, Seccion, ToldIncident
from prep.store import cortes
from prep.store.cortes import Snapshot
from publisher import figures as out
from publisher import finder
from publisher.data import links
from publisher.election_pages import ElectionPages, ListPage
from publisher.figures import Figures
from publisher.official import CatalogBook
from publisher.page_work import Edition, PlaceToWrite, Record
from publisher.page_writer import TEMPLATES, SiteWriter
from publisher.press import Batches, Known, PageDesk, PagePress
from publisher.site_files import site_files
from publisher.start_page import package_of, write_home
from publisher.views import Place

_OF_A_LINE: Final = (
    *("clave", "entidad", "seccion", "tipo", "numero", "ext_contigua"),
    *("calculado", "contabilizada", "observations"),
)
"""What the line of an acta on the page of its place says."""
_BATCH: Final = 100
"""Pages that a process writes before it says so."""


@dataclass
class ChangedPlaces:
    """What the versions that a corte brings out belong to."""

    places: dict[ElectionId, dict[Place, list[Record]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """With the lines of the actas for the list on its page."""
    sections: set[Seccion] = field(default_factory=set)


async def render(
    public: Path,
    shown: Snapshot,
    *,
    stage: Path,
    press: PagePress,
    book: CatalogBook,
    figures: Sequence[Figures],
    corte: Corte,
    fuera: Mapping[ElectionId, Sequence[Fuera]],
    incidents: Sequence[ToldIncident] = (),
    address: str = "",
    late: bool = False,
) -> None:
    """Write the pages that this corte changes, each in `stage` first. `shown` gives the corte's recorded facts.

    `late`: a later corte is out. What its pages say stays.
    """
    site = SiteWriter(public, stage, book, corte, address, late)
    await finder.write_index(site, shown)
    # These files are constants of a release: written only if they differ. Pages need them, so they come first.
    for name, content in site_files(book).items():
        if not (public / name).exists() or (public / name).read_bytes() != content:
            (public / name).parent.mkdir(exist_ok=True)
            site.put(public / name, content)
    past = await cortes.history(shown)
    # Each version has its page, and nearly as many secciones have another acta.
    expected = 2 * await cortes.brought_out(shown)
    desk = PageDesk(press, Edition(public, stage, book, corte, tuple(figures), address, late), expected=expected)
    elections = {each.election.id: ElectionPages(site, each, past) for each in figures}
    # First the actas, because other pages lead to them, and they tell what else changed; then the secciones and the
    # places, the lists and the elections, and the home page.
    changed = ChangedPlaces()
    on_their_way = asyncio.create_task(shown.on_their_way())
    try:
        await desk.write(_actas(shown, changed))
        far = await on_their_way
    finally:
        on_their_way.cancel()
        await asyncio.wait([on_their_way])
    known = press.known(public, corte.number)
    sections = await _changed_sections(site, shown, changed.sections, far=far, known=known)
    await desk.write(_sections_and_places(sections, elections.values(), shown, changed, known=known))
    press.learn(public, corte.number, Known(far, {**known.lines, **desk.lines}))
    for each in elections.values():
        each.contests(changed.places[each.figures.election.id].keys())
        reasoned = await cortes.reasoned(shown, each.figures.election)
        await desk.write(_lists(each, each.lists(reasoned, fuera[each.figures.election.id])))
        each.election()
    site.written |= desk.written
    site.removed |= desk.removed
    await _write_words(site, shown, elections.values())
    write_home(site, [each.summary_view() for each in elections.values()], past, incidents)
    _write_feed(site, past)
    _write_changes(site)
    await desk.rest()


async def _actas(shown: Snapshot, changed: ChangedPlaces) -> Batches:
    """The versions that this corte brings out; `changed` learns what they belong to."""
    async for records in _in_batches(cortes.pages(shown)):
        actas = [record["acta"] for record in records]
        before = _by_acta(await cortes.versions_before(shown, actas))
        captures = _by_acta(await cortes.captures_of(shown, actas))
        for record in records:
            line = {name: record[name] for name in _OF_A_LINE} | {"captured": not record["withdrawn"]}
            changed.places[record["election"]][record["entidad"], record["territory"]].append(line)
            changed.sections.add((record["entidad"], record["seccion"]))
        yield (
            "actas",
            [{**record, "before": before[record["acta"]], "captures": captures[record["acta"]]} for record in records],
        )


async def _in_batches(records: AsyncIterator[Record]) -> AsyncIterator[list[Record]]:
    held: list[Record] = []
    async for record in records:
        held.append(record)
        if len(held) == _BATCH:
            yield held
            held = []
    if held:
        yield held


def _by_acta(records: Iterable[Record]) -> defaultdict[int, list[Record]]:
    found: defaultdict[int, list[Record]] = defaultdict(list)
    for record in records:
        found[record["acta"]].append(record)
    return found


async def _changed_sections(
    site: SiteWriter, shown: Snapshot, changed: set[Seccion], *, far: Mapping[Seccion, str], known: Known
) -> Batches:
    """The secciones in which something moved; all of them with corte 0, or in a tree that has none yet.

    Those whose page exists already are left out of corte 0: so a first rendering that stopped begins at the page it
    lacks. `far` says how far the actas on their way have come.
    """
    folder = site.public / SECTIONS
    first = site.corte.phase is Phase.CERO
    wanted: list[Seccion] | None = None
    written: set[Seccion] = set()
    if first or not folder.exists():
        numbers = await cortes.seccion_numbers(shown)
        await finder.write_blocks(site, shown)
        site.written |= {section_page(*each) for each in numbers} if first else set()
        there = {f"{SECTIONS}/{each.name}" for each in folder.iterdir()}
        whole = {each for each in numbers if {page := section_page(*each), twin_of(page)} <= there}
        # What the run that stopped wrote of an acta on its way may be old.
        written = whole - far.keys() if first else written
    else:
        # A publisher that has just started does not know what the pages say: it compares all that may differ.
        moved = {each for each in far.keys() | known.far.keys() if far.get(each) != known.far.get(each)}
        wanted = sorted(changed | moved)
    return _sections(shown, wanted, written)


async def _sections(shown: Snapshot, wanted: list[Seccion] | None, written: set[Seccion]) -> Batches:
    """The actas of each sección, in batches of secciones; without those whose page is written."""
    batch: list[list[Record]] = []
    last: Seccion | None = None
    if wanted is not None and not wanted:
        return
    async for record in cortes.sections(shown, wanted):
        here = (record["entidad"], record["seccion"])
        if here in written:
            continue
        if here != last:
            if len(batch) >= _BATCH:
                yield "secciones", batch
                batch = []
            last = here
            batch.append([])
        batch[-1].append(record)
    if batch:
        yield "secciones", batch


async def _sections_and_places(
    sections: Batches, elections: Iterable[ElectionPages], shown: Snapshot, changed: ChangedPlaces, *, known: Known
) -> Batches:
    """The secciones, then each place whose page is to be written, one in a batch: with the actas that changed if the
    lines of the others are known, else with all its actas.
    """
    async with aclosing(sections):
        async for batch in sections:
            yield batch
    for pages in elections:
        election = pages.figures.election
        here = changed.places[election.id]
        unknown: list[Place] = []
        for place in pages.places_to_write(here.keys()):
            if kept := known.lines.get((election.id, place)):
                yield "lugares", [PlaceToWrite(election.id, place, here.get(place, ()), kept)]
            else:
                unknown.append(place)
        if unknown:
            async for place, records in _by_place(cortes.listed(shown, election, unknown)):
                yield "lugares", [PlaceToWrite(election.id, place, records)]


async def _by_place(blocks: AsyncIterator[Sequence[Record]]) -> AsyncIterator[tuple[Place, list[Record]]]:
    """The actas of each place.

    In the official file the actas of a place stand together, except those of casillas without a district; they come
    last.
    """
    place: Place | None = None
    held: list[Record] = []
    nowhere: defaultdict[Place, list[Record]] = defaultdict(list)
    async for block in blocks:
        for here, of in groupby(block, itemgetter("entidad", "territory")):
            if not here[1]:
                nowhere[here] += of
                continue
            if place is not None and here != place:
                yield place, held
                held = []
            place = here
            held += of
    if place is not None:
        yield place, held
    for each in nowhere.items():
        yield each


async def _lists(pages: ElectionPages, found: Iterable[ListPage]) -> Batches:
    for page in found:
        yield "listas", [(pages.figures.election.id, page)]


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
    site.write("datos.html", "datos.html", files=files, package=package_of(site), clean=links(site.public))
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
    site.put_newest(site.public / FEED, text.encode())


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
    site.put_newest(path, out.canonical(content))
