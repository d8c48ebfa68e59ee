"""The pages of which a corte has thousands: those of actas, of secciones, of places and of lists, in batches.

A batch can be written by any process that was given the edition: it needs no database and no other batch.
"""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from integrity.layout import section_page
from prep.domain.catalog import ElectionId
from prep.domain.corte import Corte
from publisher import figures as out
from publisher import views
from publisher.election_pages import ElectionPages, ListPage
from publisher.figures import Figures
from publisher.official import CatalogBook
from publisher.page_writer import SiteWriter
from publisher.views import Place

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Edition:
    """What the pages of a corte have in common."""

    public: Path
    stage: Path
    """The folder in which a page is written before it takes its place."""
    book: CatalogBook
    corte: Corte
    figures: Sequence[Figures]
    """Of each election."""
    address: str = ""
    """Where the published tree is on the web; empty if nobody said it."""
    late: bool = False
    """As of `SiteWriter`."""


@dataclass(frozen=True, slots=True)
class KeptLines:
    """The list of actas on the page of a place, packed: a national night has half a million lines of 250 bytes."""

    packed: bytes

    @classmethod
    def of(cls, lines: Mapping[str, str]) -> "KeptLines":
        """`lines`: clave of an acta → its line, in the order of the page."""
        return cls(zlib.compress(json.dumps(lines, ensure_ascii=False).encode(), 1))

    def lines(self) -> dict[str, str]:
        held: dict[str, str] = json.loads(zlib.decompress(self.packed))
        return held


@dataclass(frozen=True, slots=True)
class PlaceToWrite:
    """A place whose page is to be written: with the lines of all its actas, or with those that changed."""

    election: ElectionId
    place: Place
    records: Sequence[Record]
    kept: KeptLines | None = None
    """The lines of the corte before, if `records` are only the actas that changed since."""


@dataclass(frozen=True, slots=True)
class BatchDone:
    """What a batch did, by names of pages (`SiteWriter.written`)."""

    written: set[str]
    removed: set[str]
    lines: Mapping[tuple[ElectionId, Place], KeptLines]
    """The lists of actas of the places whose pages were written."""


class PageWork:
    """Writes batches of pages of one edition."""

    def __init__(self, edition: Edition) -> None:
        self._site = SiteWriter(
            edition.public, edition.stage, edition.book, edition.corte, edition.address, edition.late
        )
        self._pages = {each.election.id: ElectionPages(self._site, each) for each in edition.figures}
        self._elections = {each.id: (each, edition.book.rules(each)) for each in edition.book.elections}
        self._lines: dict[tuple[ElectionId, Place], KeptLines] = {}

    def do(self, kind: str, batch: Sequence[Any]) -> BatchDone:
        """Write the batch; `kind` is a name of `KINDS`."""
        for each in batch:
            KINDS[kind](self, each)
        done = BatchDone(self._site.written, self._site.removed, self._lines)
        self._site.written, self._site.removed, self._lines = set(), set(), {}
        return done

    def _acta(self, record: Record) -> None:
        self._pages[record["election"]].acta(record)

    def _place(self, told: PlaceToWrite) -> None:
        lines = told.kept.lines() if told.kept else {}
        pages = self._pages[told.election]
        lines |= {each["clave"]: pages.acta_line(each) for each in told.records}
        pages.place(told.place, lines.values())
        self._lines[told.election, told.place] = KeptLines.of(lines)

    def _list_page(self, told: tuple[ElectionId, ListPage]) -> None:
        election, page = told
        self._pages[election].list_page(page)

    def _section(self, records: Sequence[Record]) -> None:
        """The page of one sección; `records` are its actas.

        Besides those of its actas, a corte writes pages on which an acta that is not out came further. It does not list
        them: a corte that is made again finds that acta elsewhere on its way.
        """
        view = views.section_view(records, self._elections)
        zone = self._site.book.zone
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
                        "desde": out.moment(acta["since"], zone) if acta["since"] else None,
                    }
                    for acta in each["actas"]
                ],
            }
            for each in view["casillas"]
        ]
        self._site.write_of(
            max((each["corte"] or 0 for each in records), default=0),
            section_page(view["entidad"], view["seccion"]),
            "seccion.html",
            view=view,
            entidad=self._site.book.entidad(view["entidad"]),
            data=data,
        )


KINDS: Final[Mapping[str, Callable[[PageWork, Any], None]]] = MappingProxyType(
    {
        "actas": PageWork._acta,  # noqa: SLF001  # the names of its own work
        "secciones": PageWork._section,  # noqa: SLF001
        "lugares": PageWork._place,  # noqa: SLF001
        "listas": PageWork._list_page,  # noqa: SLF001
    }
)
"""Name of a kind of work → how one thing of a batch is written."""
