"""The pages of a corte: plain HTML that a phone reads without JavaScript, down to each acta beside its image.

A page is written again only if its content changed: the page of an acta when a version of it comes out, the page of a
place when one of its actas changes. Everything comes from the recorded facts of the corte, so the pages can be made
again.
"""

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import cache
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import jinja2

from integrity import durable
from integrity.layout import INDEX, SITE_FILES, corte_folder, image_path
from prep.domain import row as official_row
from prep.domain.catalog import (
    Clase,
    Contest,
    ContestId,
    Election,
    ElectionId,
    TipoCasilla,
    read_identity,
)
from prep.domain.entry import NUMBER, Mark
from prep.domain.hours import CENTRAL, offset_name
from prep.domain.night import Night, in_words, zone_in_words
from prep.domain.row import WORDS, territory
from prep.domain.rules import SIN_ACTA, Observation
from prep.domain.tally import percent
from prep.store import cortes
from prep.store.cortes import Corte, Fuera, Phase, Snapshot
from publisher import figures as out
from publisher.figures import Figures, Sum
from publisher.official import CatalogBook

SITE: Final = Path(__file__).parent / "site"
_MONTHS: Final = (
    *("enero", "febrero", "marzo", "abril", "mayo", "junio"),
    *("julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
)
_CASILLAS: Final[Mapping[str, str]] = MappingProxyType(
    {
        TipoCasilla.BASICA: "básica",
        TipoCasilla.CONTIGUA: "contigua",
        TipoCasilla.EXTRAORDINARIA: "extraordinaria",
        TipoCasilla.ESPECIAL: "especial",
        TipoCasilla.EXTRANJERO: "voto en el extranjero",
        TipoCasilla.PRISION_PREVENTIVA: "prisión preventiva",
        TipoCasilla.PRISION_VOTO: "prisión preventiva",
        TipoCasilla.VOTO_ANTICIPADO: "voto anticipado",
        TipoCasilla.URNA_ELECTRONICA: "urna electrónica",
    }
)
_HEADER: Final = ("Boletas sobrantes", "Personas que votaron", "Representantes que votaron", "Votos sacados de la urna")
_PHASES: Final[Mapping[Phase, str]] = MappingProxyType(
    {
        Phase.CERO: "La base de datos está en ceros",
        Phase.EN_CURSO: "Resultados preliminares en curso",
        Phase.FINAL: "Resultados preliminares, último corte",
    }
)
_WORDS: Final = MappingProxyType({Clase.NO_REGISTRADAS: "Candidaturas no registradas", Clase.NULOS: "Votos nulos"})
_HEADER_COLUMNS: Final = official_row.HEADER
_COTEJADA: Final = ("no", "aceptada", "aceptada después de un cambio", "en corrección")
SIN_ACTA_CODES: Final = frozenset(code.value for code in SIN_ACTA)
Place = tuple[int, int]


def thousands(number: int) -> str:
    """The number with commas, as Mexican readers write it."""
    return f"{number:,}"


def cell_text(cell: str) -> str:
    """A cell of the official file as a page shows it: numbers with commas."""
    return thousands(int(cell)) if cell.isdigit() and len(cell) < _LONG else cell


_LONG: Final = 12
"""Digits of a cell that is no quantity: the digest of an image may have no letter in it."""


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
    environment.filters |= {"fecha": _moment, "hora": _hour, "iso": _iso}
    return environment


TEMPLATES: Final = _page_templates()


@dataclass(frozen=True)
class _Site:
    """Values that every page of a corte needs."""

    public: Path
    stage: Path
    """The folder in which a page is written before it takes its place."""
    book: CatalogBook
    corte: Corte
    made: set[Path] = field(default_factory=set)
    """Folders that exist."""

    def write(self, name: str, template: str, **told: object) -> None:
        """Write one page. A reader gets the old page or the new one, whole, at any moment."""
        path = self.public / name
        if path.parent not in self.made:
            path.parent.mkdir(exist_ok=True)
            self.made.add(path.parent)
        depth = "../" * name.count("/")
        night = self.book.night
        common = {
            "corte": self.corte,
            "siglas": night.siglas,
            "institute": night.institute.nombre,
            "zone": night.tz,
            "root": depth,
        }
        text = TEMPLATES.get_template(template).render(**common, folder=corte_folder(self.corte.number), **told)
        self.put(path, text.encode())

    def put(self, path: Path, content: bytes) -> None:
        durable.swap(path, content, fresh=self.stage / "pagina")


async def render(
    public: Path,
    shown: Snapshot,
    *,
    stage: Path,
    book: CatalogBook,
    figures: Sequence[Figures],
    corte: Corte,
    fuera: Mapping[ElectionId, Sequence[Fuera]],
) -> None:
    """Write the pages that this corte changes, each in `stage` first. `shown` gives the corte's recorded facts."""
    site = _Site(public, stage, book, corte)
    # First the actas, because they tell which places changed; then the places, the elections, and the home page.
    by_election = {each.election.id: _Pages(site, each) for each in figures}
    async for record in cortes.pages(shown):
        by_election[record["election"]].acta(record)
    for each in by_election.values():
        await each.places(shown)
        each.election(fuera[each.figures.election.id])
    _write_home(site, figures)
    # These files are constants of a release: written only if they differ.
    for name, content in constants().items():
        if not (public / name).exists() or (public / name).read_bytes() != content:
            site.put(public / name, content)


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
def constants() -> Mapping[str, bytes]:
    """The files that are the same in every night of this release. Each manifest states their digests (INT-07)."""
    made = {"verificar.html": checker()}
    return {name: made.get(name) or (SITE / name).read_bytes() for name in SITE_FILES}


def checker() -> bytes:
    """`verificar.html`: one file that needs no other. Its security policy names its own script and style by digest."""
    # One file, so that a reader can save it and use it without the site.
    script, style = ((SITE / f"verificar.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    hashes = {"script_hash": _policy_hash(script), "style_hash": _policy_hash(style)}
    return TEMPLATES.get_template("verificar.html").render(script=script, style=style, **hashes).encode()


def _policy_hash(text: str) -> str:
    """The name of an inline script or style in a Content-Security-Policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _write_home(site: _Site, figures: Sequence[Figures]) -> None:
    folder = site.public / corte_folder(site.corte.number)
    # The name of the ZIP comes from the manifest, so the link can only lead to the verified file.
    package = json.loads((folder / "manifest.json").read_bytes())["zip"]["archivo"]
    views = [_election_view(each, site.book) for each in figures]
    zone = site.book.zone
    place = "del centro del país" if zone == CENTRAL else "locales de la elección"
    hours = f"Horas {place} ({offset_name(site.corte.at.astimezone(zone))})."
    phase_title = _PHASES[site.corte.phase]
    site.write("index.html", "index.html", views=views, package=package, phase_title=phase_title, hours=hours)


def _election_view(figures: Figures, book: CatalogBook) -> dict[str, Any]:
    """The values for the page of a whole election."""
    election = figures.election
    # An election with one contest shows it on its own page.
    single = len(figures.contests) == 1
    # Votes by party of the whole election: the sum over its contests (domain.md §4).
    shares: dict[str, int] = {}
    for contest, total in figures.contests:
        for code, votes in figures.distributed(contest, total.votes).items():
            shares[code] = shares.get(code, 0) + votes
    return {
        "election": election,
        "counts": figures.whole.counts,
        "summary": figures.summary(),
        "total": figures.whole.counts.votos_con_especiales,
        "parties": _party_votes(election, shares),
        "single": _contest_view(figures, *figures.contests[0]) if single else None,
        "contests": figures.contests,
        "file": book.file(election),
        "candidates_file": book.candidates_file(election),
    }


def _contest_view(figures: Figures, contest: Contest, total: Sum) -> dict[str, Any]:
    """Votes of one contest, by candidacy and by party."""
    codes = figures.election.codes
    return {
        "name": contest.name,
        "of": f"{figures.election.code}/contienda/{contest.id}",
        "counts": total.counts,
        "total": total.counts.votos_con_especiales,
        "candidacies": [
            (
                candidacy.propietario,
                " · ".join(codes[option] for option in candidacy.options),
                votes,
                f"candidatura/{number}",
            )
            for number, candidacy, votes in figures.candidacies(contest, total.votes)
        ],
        "parties": _party_votes(figures.election, figures.distributed(contest, total.votes)),
    }


def _party_votes(election: Election, shares: Mapping[str, int]) -> list[tuple[str, str, int, str]]:
    """Name, detail, votes, and the name of the figure for verifiers."""
    return [
        (
            _WORDS.get(option.clase, option.code),
            "" if option.name == option.code else option.name,
            shares[option.code],
            f"partido/{option.code}",
        )
        for option in election.options
        if option.code in shares
    ]


class _Pages:
    """The pages of one election: its own, those of its contests and places, those of its actas."""

    def __init__(self, site: _Site, figures: Figures) -> None:
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
        self._votes = [_WORDS.get(option.clase, option.name or option.code) for option in figures.election.options]

    def acta(self, record: Mapping[str, Any]) -> None:
        """The page of one acta, from the version that this corte brings out."""
        place = (record["entidad"], record["territory"])
        self._changed.add(place)
        name = f"{self._code}/{record['clave']}.html"
        # Two people took away what it rested on: an acta that is not captured has no page.
        if record["withdrawn"]:
            (self.site.public / name).unlink(missing_ok=True)
            return
        self.site.write(name, "acta.html", election=self.figures.election, acta=self._acta_view(record, place))

    def _acta_view(self, record: Mapping[str, Any], place: Place) -> dict[str, Any]:
        fields = [
            str(number) if letter == NUMBER else WORDS[Mark(letter)]
            for number, letter in zip(record["numbers"], record["marks"], strict=True)
        ]
        codes = self.figures.election.codes
        columns = (*_HEADER_COLUMNS, *codes, official_row.TOTALS[0])
        # Options that are not on this ballot are left out of the page.
        on_ballot = [letter != Mark.NO_EN_BOLETA for letter in record["marks"][4:-1]]
        image = record["image"]
        kind, state = _acta_state(record)
        return {
            "name": _casilla_name(record),
            "clave": record["clave"],
            "of": f"{self._code}/acta/{record['clave']}",
            "cells": dict(zip(columns, fields, strict=False)) | _shown_cells(record, self.site.book.zone),
            "kind": kind,
            "state": state,
            "observations": self._published_observations(record),
            "place_page": self._page_of_place(place),
            "place_name": self._name_of_place(place),
            "votes": [
                pair for pair, there in zip(zip(self._votes, codes, strict=True), on_ballot, strict=True) if there
            ]
            if fields
            else [],
            "header": list(zip(_HEADER, _HEADER_COLUMNS, strict=True)) if fields else [],
            "sha256": image.hex() if image else "",
            "original": image_path(image.hex(), out.extension(record["format"])) if image else "",
            "image": image_path(record["web"].hex(), "jpg") if record["web"] else "",
            "facts": list(_acta_facts(record, self.site.book.zone)),
        }

    def _published_observations(self, record: Mapping[str, Any]) -> str:
        codes = record["observations"]
        return self._rules.published(tuple(map(Observation, codes))) if codes else ""

    async def places(self, shown: Snapshot) -> None:
        """Pages of the contests, and of the places in which an acta changed, with the list of their actas."""
        # At the beginning and at the end every page is written: its heading shows the phase.
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
                    view = _contest_view(self.figures, contest, total)
                    self._write_place(
                        f"contienda-{contest.id}.html", view | {"places": self._place_links(contest.id)}, ""
                    )

    def _write_one_place(self, place: Place, records: Iterable[Mapping[str, Any]]) -> None:
        rows = "\n".join(map(self._acta_line, records))
        # The only place of a contest: its page shows the contest's candidacies too.
        alone = self._contest_at.get(place) if len(self._contests) > 1 else None
        if alone is not None:
            view = _contest_view(self.figures, *self._contests[alone]) | {"name": self._name_of_place(place)}
        else:
            total = self.figures.places[place]
            codes = self.figures.election.codes
            votes = [(name, "", total.votes[at], f"opcion/{codes[at]}") for at, name in enumerate(self._votes)]
            counts = total.counts
            view = {
                "name": self._name_of_place(place),
                "of": self._scope_of_place(place),
                "counts": counts,
                "total": counts.votos_con_especiales,
                "votes": votes,
            }
        self._write_place(self._page_of_place(place), view | {"places": []}, rows)

    def _acta_line(self, record: Mapping[str, Any]) -> str:
        """One line of the list of actas.

        It is no template: a corte may write each acta of the night here, which is slow.
        """
        name = escape(_casilla_name(record))
        if not record["captured"]:
            return f'<tr><th scope="row">{name}</th><td>Por capturar</td><td></td><td></td></tr>'
        of, votes = f"{self._code}/acta/{record['clave']}", record["calculado"]
        observed = escape(self._published_observations(record))
        said = f'<data value="{observed}" data-de="{of}:OBSERVACIONES">{observed}</data>' if observed else ""
        return (
            f'<tr><th scope="row"><a href="{escape(record["clave"])}.html">{name}</a></th>'
            f'<td><data value="{record["contabilizada"]}" data-de="{of}:CONTABILIZADA">{_acta_state(record)[1]}</data>'
            f'</td><td class="n"><data value="{votes}" data-de="{of}:TOTAL_VOTOS_CALCULADO">{thousands(votes)}</data>'
            f"</td><td>{said}</td></tr>"
        )

    def _scope_of_place(self, place: Place) -> str:
        """The name of a place for verifiers."""
        return f"{self._code}/lugar/{place[0]}-{place[1]}"

    def _write_place(self, page: str, view: Mapping[str, Any], rows: str) -> None:
        self.site.write(f"{self._code}/{page}", "place.html", election=self.figures.election, view=view, rows=rows)

    def election(self, fuera: Sequence[Fuera]) -> None:
        """The election's own page."""
        contests = [self._contest_line(contest, total) for contest, total in self._contests.values()]
        view = _election_view(self.figures, self.site.book) | {"contests": contests}
        listed = [] if len(self._contests) > 1 else self._place_links(next(iter(self._contests)))
        self.site.write(
            f"{self._code}/index.html",
            "election.html",
            view=view | {"places": listed},
            fuera=[_fuera_view(each) for each in fuera],
        )

    def _contest_line(self, contest: Contest, total: Sum) -> dict[str, Any]:
        lonely = self._lonely.get(contest.id)
        ranked = sorted(self.figures.candidacies(contest, total.votes), key=lambda each: -each[2])
        # Without votes nobody leads; with equal votes the page says so, and names nobody.
        first = ranked[0] if ranked and ranked[0][2] else None
        tied = first is not None and len(ranked) > 1 and ranked[1][2] == first[2]
        return {
            "name": contest.name,
            "counts": total.counts,
            "page": self._page_of_place(lonely) if lonely else f"contienda-{contest.id}.html",
            "of": f"{self._code}/contienda/{contest.id}",
            "leading": (0, "Empate", first[2]) if first and tied else _leading_candidacy(first),
        }

    def _place_links(self, contest: ContestId) -> list[dict[str, Any]]:
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
        return f"{kind.words.capitalize()} {place[1]}, {self.site.book.place(self.figures.election, *place)}"


def _leading_candidacy(first: tuple[int, Any, int] | None) -> tuple[int, str, int]:
    """The number of the candidacy that leads, its name, its votes; 0 if none does."""
    return (first[0], first[1].propietario, first[2]) if first else (0, "Sin votos aún", 0)


def _shown_cells(record: Mapping[str, Any], zone: tzinfo) -> dict[str, str]:
    """The cells of a row that its page shows, besides the quantities."""
    image = record["image"]
    return {
        "CONTABILIZADA": str(record["contabilizada"]),
        "TOTAL_VOTOS_CALCULADO": str(record["calculado"]),
        "LISTA_NOMINAL": str(record["lista_nominal"]),
        "REPRESENTANTES_PP_CI": str(record["representantes"]),
        "CODIGO_INTEGRIDAD": image.hex() if image else official_row.NOTHING,
        "FECHA_HORA_ACOPIO": official_row.moment(record["acopio_at"], zone),
        "FECHA_HORA_CAPTURA": official_row.moment(record["captura_at"], zone),
        "FECHA_HORA_VERIFICACION": official_row.moment(record["verificacion_at"], zone),
        "ORIGEN": record["origen"],
        "DIGITALIZACION": official_row.DIGITALIZACION.get(record["digitalizacion"], record["digitalizacion"]),
        "TIPO_DOCUMENTO": record["tipo_documento"],
        "COTEJADA": str(record["cotejada"]),
    }


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


def _casilla_name(record: Mapping[str, Any]) -> str:
    kind = _CASILLAS[record["tipo"]]
    name = f"casilla {kind} {record['numero']}"
    if record["ext_contigua"]:
        name += f" contigua {record['ext_contigua']}"
    return f"Sección {record['seccion']:04}, {name}" if record["seccion"] else name.capitalize()


def _acta_state(record: Mapping[str, Any]) -> tuple[str, str]:
    """A class of the style sheet, and the words for it."""
    if record["contabilizada"] is None:
        return "missing", "Por capturar"
    if record["contabilizada"]:
        return "counted", "Contabilizada"
    # Sin acta is a kind of its own: captured, not counted, and no paper to read (domain.md §10, Michoacán 2024).
    codes = set(record["observations"])
    return (
        ("absent", "Sin acta")
        if any(code.startswith("sin_acta") for code in codes)
        else ("refused", "No contabilizada")
    )


_FACTS: Final = (
    ("Acopio", "FECHA_HORA_ACOPIO"),
    ("Captura", "FECHA_HORA_CAPTURA"),
    ("Verificación", "FECHA_HORA_VERIFICACION"),
    ("Origen", "ORIGEN"),
    ("Digitalización", "DIGITALIZACION"),
    ("Documento", "TIPO_DOCUMENTO"),
)


def _acta_facts(record: Mapping[str, Any], zone: tzinfo) -> Iterable[tuple[str, str, str]]:
    """The name of each fact, its column, its text."""
    # Without an image the acta did not arrive, so it has no times.
    if record["image"] is None:
        return
    cells = _shown_cells(record, zone)
    for name, column in _FACTS:
        yield name, column, cells[column]
    yield "Cotejo", "COTEJADA", _COTEJADA[record["cotejada"]]


def _fuera_view(fuera: Fuera) -> dict[str, str]:
    read = read_identity(fuera.identity)
    identity = read[0] if read else None
    name = f"Sección {identity.seccion}, casilla {identity.tipo} {identity.numero}" if identity else "Sin identificar"
    return {"identity": name, "path": image_path(fuera.image.hex(), out.extension(fuera.format))}
