"""The start page: before the first corte, with each corte, and with an incident between two cortes."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from integrity import durable
from integrity.layout import INDEX, corte_folder
from prep.domain.corte import Before, Phase, ToldIncident
from prep.domain.hours import CENTRAL, offset_name
from prep.domain.night import Night, in_words, zone_in_words
from publisher import figures as out
from publisher.page_writer import TEMPLATES, SiteWriter

_PHASES: Final[Mapping[Phase, str]] = MappingProxyType(
    {
        Phase.CERO: "La base de datos está en ceros",
        Phase.EN_CURSO: "Resultados preliminares en curso",
        Phase.FINAL: "Resultados preliminares, último corte",
    }
)
_NOTICES: Final = re.compile('(<div class="notices" id="avisos" role="status">).*?(</div>)', re.DOTALL)


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


def write_home(
    site: SiteWriter,
    views: Sequence[Mapping[str, Any]],
    past: Sequence[Before],
    incidents: Sequence[ToldIncident],
) -> None:
    zone = site.book.zone
    place = "del centro del país" if zone == CENTRAL else "locales de la elección"
    site.write(
        "index.html",
        "index.html",
        views=views,
        package=package_of(site),
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


def package_of(site: SiteWriter) -> str:
    # The name of the ZIP comes from the manifest, so the link can only lead to the verified file.
    manifest = (site.public / corte_folder(site.corte.number) / "manifest.json").read_bytes()
    name: str = json.loads(manifest)["zip"]["archivo"]
    return name
