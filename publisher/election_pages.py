"""The pages of one election: its own, those of its contests and places, its lists, those of its actas."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from html import escape
from types import MappingProxyType
from typing import Any, Final

from integrity.layout import CARD, LISTS, PICTURE, section_page
from prep.domain.catalog import Contest, ContestId, TerritoryKind
from prep.domain.corte import Before, Fuera, Phase
from prep.domain.row import territory
from publisher import charts, views
from publisher.figures import Figures, Sum
from publisher.page_writer import Cells, SiteWriter
from publisher.share import picture_of
from publisher.views import Place, thousands

_ON_A_PAGE: Final = 300
"""Actas on one page of a list: about 15 kB compressed."""
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


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list of actas with reasons."""

    kind: str
    number: int
    of: int
    """How many pages the list has."""
    lines: Sequence[Mapping[str, Any]]


class ElectionPages:
    """The pages of one election: its own, those of its contests and places, its lists, those of its actas."""

    def __init__(self, site: SiteWriter, figures: Figures, past: Sequence[Before] = ()) -> None:
        """`past` is for the election's own page."""
        self.site = site
        self.figures = figures
        self._code = figures.election.code
        self._contests = {contest.id: (contest, total) for contest, total in figures.contests}
        self._lonely = {  # contests of one place: the page of the place is theirs too
            contest: places[0] for contest, places in figures.places_of.items() if len(places) == 1
        }
        self._contest_at = {place: contest for contest, place in self._lonely.items()}
        self._rules = site.book.rules(figures.election)
        self._history = views.history_view(self._code, past)
        self._actas = views.ActaViews(figures, self._rules, site.book.zone)
        self._listed: dict[str, int] = {}

    def acta(self, record: Mapping[str, Any]) -> None:
        """The page of one acta, from the version that this corte brings out."""
        place = (record["entidad"], record["territory"])
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
        cell = Cells(view["of"], view["cells"])
        # Tables get their figures ready made: a template that calls takes longer than the call.
        for table in ("votes", "header"):
            view[table] = [(name, cell(column)) for name, column in view[table]]
        self.site.write(name, "acta.html", election=self.figures.election, acta=view, cell=cell)

    def places_to_write(self, changed: AbstractSet[Place]) -> list[Place]:
        """The places in which an acta changed; all with corte 0, and those whose page is lost."""
        everything = self.site.corte.phase is Phase.CERO
        return [
            place
            for place in self.figures.places
            if everything or place in changed or not self._is_there(self._page_of_place(place))
        ]

    def contests(self, changed: AbstractSet[Place]) -> None:
        """Pages of the contests of several places in which an acta changed."""
        everything = self.site.corte.phase is Phase.CERO
        for contest, total in self._contests.values() if len(self._contests) > 1 else ():
            page = f"contienda-{contest.id}.html"
            moved = not changed.isdisjoint(self.figures.places_of.get(contest.id, ()))
            if contest.id not in self._lonely and (everything or moved or not self._is_there(page)):
                view = views.contest_view(self.figures, contest, total)
                self._write_place(page, view | {"places": self._place_lines(contest.id)}, "")

    def _is_there(self, page: str) -> bool:
        return (self.site.public / self._code / page).exists()

    def place(self, place: Place, lines: Iterable[str]) -> None:
        """The page of a place, with the list of its actas; `lines` are those of `acta_line`."""
        rows = "\n".join(lines)
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

    def acta_line(self, record: Mapping[str, Any]) -> str:
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

    def lists(self, records: Sequence[Mapping[str, Any]], fuera: Sequence[Fuera]) -> Iterator[ListPage]:
        """The lists of actas with reasons: as many pages as they need, and none of an earlier corte beyond them."""
        found = views.reasons_lists(records, self._rules)
        found["fuera-de-catalogo"] = [views.fuera_view(each) for each in fuera]
        for name in LISTS:
            lines = found[name]
            self._listed[name] = len(lines)
            pages = max(1, -(-len(lines) // _ON_A_PAGE))
            for page in range(1, pages + 1):
                yield ListPage(name, page, pages, lines[(page - 1) * _ON_A_PAGE : page * _ON_A_PAGE])
            beyond = pages + 1
            while (self.site.public / _list_page(self._code, name, beyond)).exists():
                self.site.remove(_list_page(self._code, name, beyond))
                beyond += 1

    def list_page(self, page: ListPage) -> None:
        """One page of a list; left as it is if it says the same."""
        data = [{told: each[key] for key, told in _LINE.items() if each.get(key)} for each in page.lines]
        self.site.write(
            _list_page(self._code, page.kind, page.number),
            "lista.html",
            same=True,
            election=self.figures.election,
            kind=page.kind,
            lines=page.lines,
            number=page.number,
            pages=page.of,
            data=data,
        )

    def election(self) -> None:
        """The election's own page, its card, and its picture."""
        view = self.summary_view()
        self.site.put_newest(self.site.public / self._code / PICTURE, picture_of(self.site, view))
        self.site.write(f"{self._code}/{CARD}", "tarjeta.html", view=view)
        listed = [] if len(self._contests) > 1 else self._place_lines(next(iter(self._contests)))
        maps = self._maps(view["lines"])
        self.site.write(f"{self._code}/index.html", "election.html", view=view | maps | {"places": listed})

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

    def _maps(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The drawings of the places, if the catalogue brings a map of them; they are links and words of the table."""
        drawn = self.site.book.maps.get(self.figures.election.territory or TerritoryKind.ENTIDAD)
        if drawn is None or len(lines) < 2:
            return {"map": "", "squares": ""}
        places = {line["place"]: views.on_map(line) for line in lines}
        return {"map": charts.territory_map(drawn, places), "squares": charts.square_map(drawn, places)}

    @cached_property
    def _patterns(self) -> Mapping[str, int]:
        return views.patterns(self.figures)

    def _contest_line(self, contest: Contest, total: Sum) -> dict[str, Any]:
        lonely = self._lonely.get(contest.id)
        standing = views.standing(self.figures, contest, total)
        return {
            "place": (contest.entidad, contest.territory or contest.entidad),
            "pattern": self._patterns.get(standing["first"]["options"], 0),
            "name": contest.name,
            "short": str(contest.territory or contest.id),
            "counts": total.counts,
            "page": self._page_of_place(lonely) if lonely else f"contienda-{contest.id}.html",
            "of": f"{self._code}/contienda/{contest.id}",
            "standing": standing,
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

    def _name_of_place(self, place: Place) -> str:
        kind, _, _ = territory(self.figures.election)
        if not place[1]:
            return f"{self.site.book.entidad(place[0])}, sin distrito"
        name = self.site.book.place(self.figures.election, *place)
        title = f"{kind.words.capitalize()} {place[1]}"
        return title if name in {title, f"Distrito {place[1]}"} else f"{title}, {name}"


def _list_page(code: str, name: str, number: int) -> str:
    return f"{code}/{name}.html" if number == 1 else f"{code}/{name}-{number}.html"
