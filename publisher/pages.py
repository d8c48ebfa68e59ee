"""The pages of a corte: plain HTML that a phone reads without JavaScript, down to each acta beside its image.

A page is written again only if its content changed: the page of an acta when a version of it comes out, those of a
place and of a sección when something of theirs moved. Everything comes from the recorded facts of the corte, so the
pages can be made again. A page with figures has a JSON twin, read from the page itself: the two cannot differ.
`views` has the values, `charts` the drawings, `site/` the words.
"""

import base64
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import cache
from html import escape, unescape
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import jinja2

from integrity import durable
from integrity.layout import (
    CARD,
    FEED,
    INDEX,
    LISTS,
    ROOT_PAGES,
    SECTIONS,
    SITE_FILES,
    SITE_PROGRAM,
    changes_path,
    corte_folder,
    section_block,
    section_page,
    twin_of,
)
from prep.domain.catalog import Contest, ContestId, ElectionId
from prep.domain.hours import CENTRAL, offset_name
from prep.domain.night import Night, in_words, logo_name, zone_in_words
from prep.domain.row import territory
from prep.domain.tally import percent
from prep.store import cortes
from prep.store.cortes import Before, Corte, Fuera, Phase, Snapshot, ToldIncident
from publisher import charts, views
from publisher import figures as out
from publisher.data import links
from publisher.figures import Figures, Sum
from publisher.official import CatalogBook
from publisher.schemas import schemas
from publisher.views import Place, thousands

SITE: Final = Path(__file__).parent / "site"
_MONTHS: Final = (
    *("enero", "febrero", "marzo", "abril", "mayo", "junio"),
    *("julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
)
_PHASES: Final[Mapping[Phase, str]] = MappingProxyType(
    {
        Phase.CERO: "La base de datos está en ceros",
        Phase.EN_CURSO: "Resultados preliminares en curso",
        Phase.FINAL: "Resultados preliminares, último corte",
    }
)
_LONG: Final = 12
"""Digits of a cell that is no quantity: the digest of an image may have no letter in it."""
_ON_A_PAGE: Final = 300
"""Actas on one page of a list: about 15 kB compressed."""
_CLOCKS: Final = timedelta(minutes=2)
"""How far the clocks of two machines may differ, and a change may be older than the corte that shows it first."""
_FIGURE: Final = re.compile(r'<data value="([^"<>]*)" data-de="([^"<>]*)">')
_NOTICES: Final = re.compile('(<div class="notices" id="avisos" role="status">).*?(</div>)', re.DOTALL)
_OWN_CORTE: Final = re.compile(r' data-corte="\d+"')
_LINE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "name": "nombre",
        "clave": "acta",
        "path": "archivo",
        "sha256": "sha256",
        "state": "estado",
        "observations": "observaciones",
        "why": "motivo",
        "corte": "corte",
        "gone": "retirada",
    }
)
"""Fields of a line of a list, and their names in its twin."""


def cell_text(cell: str) -> str:
    """A cell of the official file as a page shows it: numbers with commas."""
    return thousands(int(cell)) if cell.isdigit() and len(cell) < _LONG else cell


@jinja2.pass_context
def _moment(context: jinja2.runtime.Context, at: datetime) -> str:
    """6 de junio de 2027, 20:15 h — in the zone of the night."""
    local = at.astimezone(context["zone"])
    return f"{local.day} de {_MONTHS[local.month - 1]} de {local.year}, {local:%H:%M} h"


@jinja2.pass_context
def _hour(context: jinja2.runtime.Context, at: datetime) -> str:
    """20:15 h del 6 de junio — in the zone of the night."""
    local = at.astimezone(context["zone"])
    return f"{local:%H:%M} h del {local.day} de {_MONTHS[local.month - 1]}"


@jinja2.pass_context
def _clock(context: jinja2.runtime.Context, at: datetime) -> str:
    """20:15 — in the zone of the night."""
    return f"{at.astimezone(context['zone']):%H:%M}"


@jinja2.pass_context
def _iso(context: jinja2.runtime.Context, at: datetime) -> str:
    return out.moment(at, context["zone"])


def _page_templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SITE),
        autoescape=True,
        auto_reload=False,  # else each of half a million pages asks the disk if its template has changed
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"miles": thousands, "share": percent, "celda": cell_text}
    environment.filters |= {"fecha": _moment, "hora": _hour, "reloj": _clock, "iso": _iso}
    environment.globals |= {"bar": charts.bar, "swatch": charts.swatch, "stack": charts.stack, "band": charts.band}
    return environment


TEMPLATES: Final = _page_templates()


@dataclass
class SiteWriter:
    """Values that every page of a corte needs, and the place where pages are written."""

    public: Path
    stage: Path
    """The folder in which a page is written before it takes its place."""
    book: CatalogBook
    corte: Corte
    made: set[Path] = field(default_factory=set)
    """Folders that exist."""
    written: set[str] = field(default_factory=set)
    """Pages that this corte changed, told from its facts alone: the same if the corte is made again."""
    removed: set[str] = field(default_factory=set)
    bases: dict[int, dict[str, Any]] = field(default_factory=dict)

    def write(self, name: str, template: str, *, same: bool = False, listed: bool = True, **told: object) -> None:
        """Write one page and its twin. A reader gets the old page or the new one, whole, at any moment.

        `same`: if only the number of the corte differs from the page that is there, leave it as it is. `listed`: the
        page is one of those that the corte tells as its own.
        """
        text = TEMPLATES.get_template(template).render(**self.common(name), **told)
        path = self.public / name
        if same and path.exists():
            old = path.read_text(encoding="utf-8")
            if _OWN_CORTE.sub("", old, count=1) == _OWN_CORTE.sub("", text, count=1):
                # Written by a run of this corte that stopped: it is one of its pages all the same.
                self.written |= {name} if old == text and listed else set()
                return
        if path.parent not in self.made:
            path.parent.mkdir(exist_ok=True)
            self.made.add(path.parent)
        # First the twin: a reader who sees the new page finds its figures.
        if twin := twin_of(name):
            self.put(self.public / twin, self._twin(name, text, told.get("data")))
        self.put(path, text.encode())
        self.written |= {name} if listed else set()

    def remove(self, name: str) -> None:
        for each in (name, twin_of(name)):
            (self.public / each).unlink(missing_ok=True)
        self.removed.add(name)

    def put(self, path: Path, content: bytes) -> None:
        durable.swap(path, content, fresh=self.stage / "pagina")

    def common(self, name: str) -> dict[str, Any]:
        depth = name.count("/")
        if depth not in self.bases:
            night = self.book.night
            self.bases[depth] = {
                "corte": self.corte,
                "siglas": night.siglas,
                "institute": night.institute.nombre,
                "colours": night.institute.colores,
                "logo": logo_name(self.book.logo) if self.book.logo else "",
                "zone": night.tz,
                "root": "../" * depth,
                "folder": corte_folder(self.corte.number),
                "elections": self.book.elections,
            }
        return self.bases[depth] | {"page": name, "twin": twin_of(name)}

    def _twin(self, name: str, text: str, data: object) -> bytes:
        """The figures of the page by their names, and what its words say in a form for programs."""
        cifras = {unescape(told): _integer(unescape(value)) for value, told in _FIGURE.findall(text)}
        content = {"formato": out.FORMAT, "corte": self.corte.number, "pagina": name, "cifras": cifras}
        return out.canonical(content | ({"datos": data} if data is not None else {}))


def _integer(value: str) -> int | str:
    digits = value.removeprefix("-")
    plain = digits.isdigit() and digits.isascii() and len(digits) < _LONG and (digits[0] != "0" or value == "0")
    return int(value) if plain else value


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
) -> None:
    """Write the pages that this corte changes, each in `stage` first. `shown` gives the corte's recorded facts."""
    site = SiteWriter(public, stage, book, corte)
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
    _write_home(site, list(by_election.values()), past, incidents)
    _write_feed(site, past)
    _write_changes(site)


def _by_acta(records: Iterable[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    found: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for record in records:
        found[record["acta"]].append(record)
    return found


def write_waiting(public: Path, night: Night, *, late: bool) -> None:
    """The home page of a night without cortes: when it begins, or that its beginning is late.

    Corte 0 writes its own page in this place.
    """
    starts = None if night.start is None else f"{in_words(night.start, night.tz)}, {zone_in_words(night)}"
    content = TEMPLATES.get_template("espera.html").render(night=night, starts=starts, late=late).encode()
    page = public / "index.html"
    # With a corte, the pages are its own; and a page that is the same is not written again.
    if (public / INDEX).exists() or (page.exists() and page.read_bytes() == content):
        return
    durable.swap(page, content, fresh=public / ".espera")


@cache
def constants() -> dict[str, bytes]:
    """The files that are the same in every night of this release. Each manifest states their digests (INT-07)."""
    made = {"verificar.html": checker()}
    files = {name: made.get(name) or (SITE / name).read_bytes() for name in (*SITE_FILES, SITE_PROGRAM)}
    return {**files, **schemas()}


def site_files(book: CatalogBook) -> Mapping[str, bytes]:
    """The files beside the pages whose digests the manifest states: the constants, and the institute's logo."""
    return constants() | ({logo_name(book.logo): book.logo} if book.logo else {})


def checker() -> bytes:
    """`verificar.html`: one file that needs no other. Its security policy names its own script and style by digest."""
    # One file, so that a reader can save it and use it without the site.
    script, style = ((SITE / f"verificar.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    hashes = {"script_hash": _policy_hash(script), "style_hash": _policy_hash(style)}
    return TEMPLATES.get_template("verificar.html").render(script=script, style=style, **hashes).encode()


def _policy_hash(text: str) -> str:
    """The name of an inline script or style in a Content-Security-Policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


# Pages of the whole night


def _write_home(
    site: SiteWriter,
    elections: Sequence["ElectionPages"],
    past: Sequence[Before],
    incidents: Sequence[ToldIncident],
) -> None:
    zone = site.book.zone
    place = "del centro del país" if zone == CENTRAL else "locales de la elección"
    site.write(
        "index.html",
        "index.html",
        views=[each.summary_view() for each in elections],
        package=_package(site),
        phase_title=_PHASES[site.corte.phase],
        hours=f"Horas {place} ({offset_name(site.corte.at.astimezone(zone))}).",
        before=past[-2] if len(past) > 1 else None,
        incidents=incidents_in_words(incidents, zone),
    )


def incidents_in_words(told: Sequence[ToldIncident], zone: tzinfo) -> str:
    """The line above the page. `sitio.js` makes the same from index.json, on every page."""
    return " · ".join(f"Incidente, {each.at.astimezone(zone):%H:%M} h: {each.text}" for each in told)


def show_incidents(public: Path, stage: Path, told: Sequence[ToldIncident], zone: tzinfo) -> None:
    """Tell the incidents between two cortes: in index.html first, then in index.json.

    `stage` is the licence to publish: without it FileNotFoundError is raised, and both files stay as they are.
    """
    page, index = public / "index.html", public / INDEX
    line = f'<p class="incident" data-kind="incident">{escape(incidents_in_words(told, zone))}</p>' if told else ""
    text = page.read_text(encoding="utf-8")
    if (shown := _NOTICES.sub(lambda found: f"{found[1]}{line}{found[2]}", text, count=1)) != text:
        durable.swap(page, shown.encode(), fresh=stage / "pagina")
    held = json.loads(index.read_bytes())
    said = {name: value for name, value in held.items() if name != "incidentes"} | out.incident_entries(told, zone)
    if said != held:
        durable.replace(index, out.canonical(said), fresh=stage / INDEX)


def tells_incidents(public: Path, told: Sequence[ToldIncident], zone: tzinfo) -> bool:
    """Whether index.json tells these and no others."""
    held = json.loads((public / INDEX).read_bytes())
    return {name: held[name] for name in ("incidentes",) if name in held} == out.incident_entries(told, zone)


def _package(site: SiteWriter) -> str:
    # The name of the ZIP comes from the manifest, so the link can only lead to the verified file.
    manifest = (site.public / corte_folder(site.corte.number) / "manifest.json").read_bytes()
    name: str = json.loads(manifest)["zip"]["archivo"]
    return name


async def _write_words(site: SiteWriter, shown: Snapshot, elections: Iterable["ElectionPages"]) -> None:
    """The pages in words. Most of them change only if the program does."""
    files = [
        {
            "election": each.figures.election,
            "file": site.book.file(each.figures.election),
            "candidates_file": site.book.candidates_file(each.figures.election),
        }
        for each in elections
    ]
    site.write("datos.html", "datos.html", files=files, package=_package(site), clean=links(site.public))
    blocks: defaultdict[int, dict[int, str]] = defaultdict(dict)
    for entidad, seccion in await cortes.seccion_numbers(shown):
        if seccion:
            blocks[entidad][seccion // 100] = section_block(entidad, seccion)
        else:
            blocks[entidad].setdefault(-1, section_page(entidad, 0))
    places = [(entidad, site.book.entidad(entidad), sorted(found.items())) for entidad, found in sorted(blocks.items())]
    site.write("casilla.html", "casilla.html", same=True, places=places)
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
        _write_blocks(site, await cortes.seccion_numbers(shown))
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


def _write_blocks(site: SiteWriter, numbers: Sequence[tuple[int, int]]) -> None:
    """The lists of secciones, a hundred on each page."""
    blocks: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for entidad, seccion in numbers:
        blocks[section_block(entidad, seccion)].append((entidad, seccion))
    for name, own in blocks.items():
        shown = [(seccion, section_page(entidad, seccion).partition("/")[2]) for entidad, seccion in own]
        site.write(name, "secciones.html", same=True, entidad=site.book.entidad(own[0][0]), secciones=shown)


# Pages of one election


class ElectionPages:
    """The pages of one election: its own, those of its contests and places, its lists, those of its actas."""

    def __init__(
        self,
        site: SiteWriter,
        figures: Figures,
        past: Sequence[Before],
        before: Mapping[int, Sequence[Mapping[str, Any]]],
        captures: Mapping[int, Sequence[Mapping[str, Any]]],
    ) -> None:
        self.site = site
        self.figures = figures
        self._code = figures.election.code
        self._contests = {contest.id: (contest, total) for contest, total in figures.contests}
        self._lonely = {  # contests of one place: the page of the place is theirs too
            contest: places[0] for contest, places in figures.places_of.items() if len(places) == 1
        }
        self._contest_at = {place: contest for contest, place in self._lonely.items()}
        self._changed: set[Place] = set()
        self._rules = site.book.rules(figures.election)
        self._history = views.history_view(self._code, past)
        self._actas = views.ActaViews(figures, self._rules, site.book.zone, before=before, captures=captures)
        self._listed: dict[str, int] = {}

    def acta(self, record: Mapping[str, Any]) -> None:
        """The page of one acta, from the version that this corte brings out."""
        place = (record["entidad"], record["territory"])
        self._changed.add(place)
        self.site.written.add(section_page(record["entidad"], record["seccion"]))
        name = f"{self._code}/{record['clave']}.html"
        # Two people took away what it rested on: an acta that is not captured has no page.
        if record["withdrawn"]:
            self.site.remove(name)
            return
        view = self._actas.view(record) | {
            "place_page": self._page_of_place(place),
            "place_name": self._name_of_place(place),
        }
        self.site.write(name, "acta.html", election=self.figures.election, acta=view)

    async def places(self, shown: Snapshot) -> None:
        """Pages of the contests, and of the places in which an acta changed, with the list of their actas."""
        # The heading of every page shows the phase, which changes with corte 0 and with the last one.
        everything = self.site.corte.phase is not Phase.EN_CURSO
        wanted = {
            place
            for place in self.figures.places
            if everything or place in self._changed or not (self.site.public / self._path_of_place(place)).exists()
        }
        if wanted:
            async for place, records in _by_place(cortes.listed(shown, self.figures.election)):
                if place in wanted:
                    self._write_one_place(place, records)
        if len(self._contests) > 1:
            for contest, total in self._contests.values():
                if contest.id not in self._lonely:
                    view = views.contest_view(self.figures, contest, total)
                    self._write_place(
                        f"contienda-{contest.id}.html", view | {"places": self._place_lines(contest.id)}, ""
                    )

    def _write_one_place(self, place: Place, records: Iterable[Mapping[str, Any]]) -> None:
        rows = "\n".join(map(self._acta_line, records))
        # The only place of a contest: its page shows the contest's candidacies too.
        alone = self._contest_at.get(place) if len(self._contests) > 1 else None
        if alone is not None:
            view = views.contest_view(self.figures, *self._contests[alone]) | {"name": self._name_of_place(place)}
        else:
            total = self.figures.places[place]
            election = self.figures.election
            view = {
                "name": self._name_of_place(place),
                "of": self._scope_of_place(place),
                "counts": total.counts,
                "total": total.counts.votos_con_especiales,
                "votes": views.by_option(election, total, range(len(election.options))),
            }
        self._write_place(self._page_of_place(place), view | {"places": []}, rows)

    def _acta_line(self, record: Mapping[str, Any]) -> str:
        """One line of the list of actas.

        It is no template: a corte may write each acta of the night here, which is slow.
        """
        name = escape(views.casilla_name(record))
        if not record["captured"]:
            where = escape(views.at_casilla(record["clave"]))
            return (
                f'<tr><th scope="row"><a href="{where}">{name}</a></th><td>Por capturar</td><td class="n"></td>'
                "<td></td></tr>"
            )
        of, votes = f"{self._code}/acta/{record['clave']}", record["calculado"]
        observed = escape(views.shown_observations(self._rules, record["observations"]))
        said = f'<data value="{observed}" data-de="{of}:OBSERVACIONES">{observed}</data>' if observed else ""
        kind, state = views.acta_state(record)
        return (
            f'<tr><th scope="row"><a href="{escape(record["clave"])}.html">{name}</a></th>'
            f'<td class="{kind}"><data value="{record["contabilizada"]}" data-de="{of}:CONTABILIZADA">{state}</data>'
            f'</td><td class="n"><data value="{votes}" data-de="{of}:TOTAL_VOTOS_CALCULADO">{thousands(votes)}</data>'
            f"</td><td>{said}</td></tr>"
        )

    def _scope_of_place(self, place: Place) -> str:
        """The name of a place for verifiers."""
        return f"{self._code}/lugar/{place[0]}-{place[1]}"

    def _write_place(self, page: str, view: Mapping[str, Any], rows: str) -> None:
        self.site.write(f"{self._code}/{page}", "place.html", election=self.figures.election, view=view, rows=rows)

    def lists(self, records: Sequence[Mapping[str, Any]], fuera: Sequence[Fuera]) -> None:
        """The lists of actas with reasons: as many pages as they need, and none of an earlier corte beyond them."""
        found = views.reasons_lists(records, self._rules)
        found["fuera-de-catalogo"] = [views.fuera_view(each) for each in fuera]
        for name in LISTS:
            lines = found[name]
            self._listed[name] = len(lines)
            pages = max(1, -(-len(lines) // _ON_A_PAGE))
            for page in range(1, pages + 1):
                own = lines[(page - 1) * _ON_A_PAGE : page * _ON_A_PAGE]
                data = [{told: each[key] for key, told in _LINE.items() if each.get(key)} for each in own]
                self.site.write(
                    _list_page(self._code, name, page),
                    "lista.html",
                    same=True,
                    election=self.figures.election,
                    kind=name,
                    lines=own,
                    number=page,
                    pages=pages,
                    data=data,
                )
            beyond = pages + 1
            while (self.site.public / _list_page(self._code, name, beyond)).exists():
                self.site.remove(_list_page(self._code, name, beyond))
                beyond += 1

    def election(self) -> None:
        """The election's own page, and its card."""
        self.site.write(f"{self._code}/{CARD}", "tarjeta.html", view=self.summary_view())
        listed = [] if len(self._contests) > 1 else self._place_lines(next(iter(self._contests)))
        self.site.write(f"{self._code}/index.html", "election.html", view=self.summary_view() | {"places": listed})

    def summary_view(self) -> dict[str, Any]:
        """The values for the election's page, and for its card on the home page."""
        book, election = self.site.book, self.figures.election
        lines = [self._contest_line(contest, total) for contest, total in self._contests.values()]
        kind, _, _ = territory(election)
        return views.election_view(
            self.figures, file=book.file(election), candidates_file=book.candidates_file(election)
        ) | {
            "lines": lines if len(lines) > 1 else [],
            "leads": views.leads(lines) if len(lines) > 1 else [],
            "history": self._history,
            "listed": self._listed,
            "kind": kind.words,
        }

    def _contest_line(self, contest: Contest, total: Sum) -> dict[str, Any]:
        lonely = self._lonely.get(contest.id)
        return {
            "name": contest.name,
            "short": str(contest.territory or contest.id),
            "counts": total.counts,
            "page": self._page_of_place(lonely) if lonely else f"contienda-{contest.id}.html",
            "of": f"{self._code}/contienda/{contest.id}",
            "standing": views.standing(self.figures, contest, total),
        }

    def _place_lines(self, contest: ContestId) -> list[dict[str, Any]]:
        return [
            {
                "page": self._page_of_place(place),
                "name": self._name_of_place(place),
                "of": self._scope_of_place(place),
                "counts": self.figures.places[place].counts,
            }
            for place in self.figures.places_of.get(contest, ())
        ]

    def _page_of_place(self, place: Place) -> str:
        return f"lugar-{place[0]}-{place[1]}.html"

    def _path_of_place(self, place: Place) -> str:
        return f"{self._code}/{self._page_of_place(place)}"

    def _name_of_place(self, place: Place) -> str:
        kind, _, _ = territory(self.figures.election)
        if not place[1]:
            return f"{self.site.book.entidad(place[0])}, sin distrito"
        name = self.site.book.place(self.figures.election, *place)
        title = f"{kind.words.capitalize()} {place[1]}"
        return title if name in {title, f"Distrito {place[1]}"} else f"{title}, {name}"


def _list_page(code: str, name: str, number: int) -> str:
    return f"{code}/{name}.html" if number == 1 else f"{code}/{name}-{number}.html"


async def _by_place(records: AsyncIterator[Any]) -> AsyncIterator[tuple[Place, list[Any]]]:
    """The actas of each place.

    In the official file the actas of a place stand together, except those of casillas without a district; they come
    last.
    """
    place: Place | None = None
    held: list[Any] = []
    nowhere: dict[Place, list[Any]] = {}
    async for record in records:
        here = (record["entidad"], record["territory"])
        if not here[1]:
            nowhere.setdefault(here, []).append(record)
            continue
        if place is not None and here != place:
            yield place, held
            held = []
        place = here
        held.append(record)
    if place is not None:
        yield place, held
    for here, of in nowhere.items():
        yield here, of
