"""How a page is written: from its template, with its twin, whole, in the place of the one before.

A page with figures has a JSON twin, read from the page itself: the two cannot differ.
"""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from functools import cache
from html import escape, unescape
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from integrity import durable
from integrity.layout import corte_folder, twin_of
from prep.domain.corte import Corte
from prep.domain.night import logo_name
from prep.domain.tally import percent
from publisher import charts
from publisher import figures as out
from publisher.official import CatalogBook
from publisher.views import thousands

SITE: Final = Path(__file__).parent / "site"
_MONTHS: Final = (
    *("enero", "febrero", "marzo", "abril", "mayo", "junio"),
    *("julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
)
_LONG: Final = 12
"""Digits of a cell that is no quantity: the digest of an image may have no letter in it."""
_FIGURE: Final = re.compile(r'<data value="([^"<>]*)" data-de="([^"<>]*)">')
_OWN_CORTE: Final = re.compile(r' data-corte="(\d+)"')


class Cells:
    """The cells of one row of the official file, each as the figure that a verifier reads: `cell(column)`."""

    def __init__(self, of: str, cells: Mapping[str, str]) -> None:
        self._of, self._cells = escape(of), cells

    def __call__(self, column: str) -> Markup:
        # It is no macro of the template: an acta has thirty cells, and a night half a million actas.
        text = self._cells[column]
        if text.isdigit() and len(text) < _LONG:
            value, shown = text, thousands(int(text))
        else:
            value = shown = escape(text)
        told = f"{self._of}:{_escaped_once(column)}"
        return Markup(f'<data value="{value}" data-de="{told}">{shown}</data>')  # noqa: S704  # escaped above


_escaped_once: Final = cache(escape)
"""For the names of columns, which are the same on every page."""


def _at(local: datetime) -> str:
    """20:15; in a fifth of the time of `strftime`, which asks the system for its words."""
    return f"{local.hour:02}:{local.minute:02}"


@jinja2.pass_context
def _moment(context: jinja2.runtime.Context, at: datetime) -> str:
    """6 de junio de 2027, 20:15 h — in the zone of the night."""
    local = at.astimezone(context["zone"])
    return f"{local.day} de {_MONTHS[local.month - 1]} de {local.year}, {_at(local)} h"


def hour_in_words(at: datetime, zone: tzinfo) -> str:
    """20:15 h del 6 de junio."""
    local = at.astimezone(zone)
    return f"{_at(local)} h del {local.day} de {_MONTHS[local.month - 1]}"


@jinja2.pass_context
def _hour(context: jinja2.runtime.Context, at: datetime) -> str:
    """The same, in the zone of the night."""
    return hour_in_words(at, context["zone"])


@jinja2.pass_context
def _clock(context: jinja2.runtime.Context, at: datetime) -> str:
    """20:15 — in the zone of the night."""
    return _at(at.astimezone(context["zone"]))


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
    environment.filters |= {"miles": thousands, "share": percent}
    environment.filters |= {"fecha": _moment, "hora": _hour, "reloj": _clock, "iso": _iso}
    environment.globals |= {
        "bar": charts.bar,
        "swatch": charts.swatch,
        "sample": charts.sample,
        "stack": charts.stack,
        "band": charts.band,
    }
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
    address: str = ""
    """Address of the site on the web, without a slash at its end; empty if it was not said."""
    late: bool = False
    """A later corte is out, and this one is made again after a loss: pages of later cortes stay as they are."""
    made: set[Path] = field(default_factory=set)
    """Folders that exist."""
    written: set[str] = field(default_factory=set)
    """Pages that this corte changed, told from its facts alone: the same if the corte is made again."""
    removed: set[str] = field(default_factory=set)
    bases: dict[int | str, dict[str, Any]] = field(default_factory=dict)
    _fresh: Path | None = None
    """The folder in which this writer makes its files."""
    _puts: int = 0

    def write(self, name: str, template: str, *, same: bool = False, **told: object) -> None:
        """Write one page and its twin. A reader gets the old page or the new one, whole, at any moment.

        `same`: if only the number of the corte differs from the page that is there, leave it as it is.
        """
        text = TEMPLATES.get_template(template).render(**self.common(name), **told)
        old = self._page_that_is_there(name) if same else None
        if old is not None and _OWN_CORTE.sub("", old, count=1) == _OWN_CORTE.sub("", text, count=1):
            # Written by a run of this corte that stopped: it is one of its pages all the same.
            self.written |= {name} if old == text else set()
            return
        self._put_page(name, text, self.corte.number, told.get("data"))
        self.written.add(name)

    def write_of(self, number: int, name: str, template: str, **told: object) -> None:
        """Write a page that names the corte `number`, from which its facts are, unless it is there already.

        Its bytes follow from what it says, and not from the corte that writes it.
        """
        common = self.common(name) | {"corte": replace(self.corte, number=number)}
        text = TEMPLATES.get_template(template).render(**common, **told)
        if self._page_that_is_there(name) != text:
            self._put_page(name, text, number, told.get("data"))

    def _page_that_is_there(self, name: str) -> str | None:
        try:
            return (self.public / name).read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeError):
            return None

    def _is_of_a_later_corte(self, name: str) -> bool:
        named = _OWN_CORTE.search(self._page_that_is_there(name) or "") if self.late else None
        return named is not None and int(named[1]) > self.corte.number

    def _put_page(self, name: str, text: str, number: int, data: object) -> None:
        if self._is_of_a_later_corte(name):
            return
        path = self.public / name
        if path.parent not in self.made:
            path.parent.mkdir(exist_ok=True)
            self.made.add(path.parent)
        # First the twin: a reader who sees the new page finds its figures.
        if twin := twin_of(name):
            self.put(self.public / twin, _twin_bytes(name, text, number, data))
        self.put(path, text.encode())

    def remove(self, name: str) -> None:
        if self._is_of_a_later_corte(name):
            return
        for each in (name, twin_of(name)):
            (self.public / each).unlink(missing_ok=True)
        self.removed.add(name)

    def put_newest(self, path: Path, content: bytes) -> None:
        """Write a file beside the pages that names no corte, unless one of a later corte is there."""
        if not (self.late and path.exists()):
            self.put(path, content)

    def put(self, path: Path, content: bytes) -> None:
        # The old pages go with the stage. A folder of its own: writers of one folder wait for each other.
        if self._fresh is None:
            self._fresh = Path(tempfile.mkdtemp(prefix="paginas-", dir=self.stage))
        self._puts += 1
        durable.swap(path, content, fresh=self._fresh / str(self._puts), keep_old=True)

    def common(self, name: str) -> dict[str, Any]:
        depth = name.count("/")
        # The pages of the root are marked in the navigation, each in its own.
        kind = depth or name
        if kind not in self.bases:
            night = self.book.night
            base = {
                "corte": self.corte,
                "siglas": night.siglas,
                "institute": night.institute.nombre,
                "colours": night.institute.colores,
                "logo": logo_name(self.book.logo) if self.book.logo else "",
                "zone": night.tz,
                "root": "../" * depth,
                "page": name,
                "folder": corte_folder(self.corte.number),
                "elections": self.book.elections,
                "address": self.address,
            }
            # The top is the same on half a million pages.
            top = Markup(TEMPLATES.get_template("top.html").render(base))  # noqa: S704  # escaped in the template
            self.bases[kind] = base | {"top": top}
        return self.bases[kind] | {"page": name, "twin": twin_of(name)}


def _twin_bytes(name: str, text: str, number: int, data: object) -> bytes:
    """The figures of the page by their names, and what its words say in a form for programs."""
    cifras = {unescape(told): _integer(unescape(value)) for value, told in _FIGURE.findall(text)}
    content = {"formato": out.FORMAT, "corte": number, "pagina": name, "cifras": cifras}
    return out.canonical(content | ({"datos": data} if data is not None else {}))


def _integer(value: str) -> int | str:
    digits = value.removeprefix("-")
    plain = digits.isdigit() and digits.isascii() and len(digits) < _LONG and (digits[0] != "0" or value == "0")
    return int(value) if plain else value
