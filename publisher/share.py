"""The picture that other sites show beside a link to an election: what `prep.scan.share_card` draws, from its figures.

Its texts are those of the card: who leads, by how much, how many actas are in and how many are missing. No verifier
reads a picture, so it says less than a page and never more; `docs/checks.md` tells that limit.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from prep.domain.tally import percent
from prep.scan.share_card import MOST_LINES, CardLine, ShareCard, draw_card
from publisher.page_writer import SiteWriter, hour_in_words
from publisher.views import VoteLine, thousands

_WHOLE: Final = 10_000


def picture_of(site: SiteWriter, view: Mapping[str, Any]) -> bytes:
    """The picture of an election, as a PNG. `view` is that of its page."""
    return draw_card(card_of(site, view))


def card_of(site: SiteWriter, view: Mapping[str, Any]) -> ShareCard:
    night, counts = site.book.night, view["counts"]
    institute = f" · {night.institute.nombre}" if night.institute.nombre else ""
    captured = f"{percent(counts.capturadas, counts.esperadas)} % de las actas capturadas."
    missing = (
        f" Faltan {thousands(counts.por_capturar)}: no es un resultado."
        if counts.por_capturar
        else " El resultado definitivo es el de los cómputos."
    )
    lead, lines = _leading(view)
    at: datetime = site.corte.at
    return ShareCard(
        brand=f"PREP {night.siglas}{institute}",
        title=view["election"].title,
        lead=lead,
        progress=captured + missing,
        hour=f"Corte {site.corte.number}, {hour_in_words(at, night.tz)}",
        lines=lines,
        simulacro=site.corte.simulacro,
    )


def _leading(view: Mapping[str, Any]) -> tuple[str, list[CardLine]]:
    """Who is ahead, in words, and the bars: candidacies of the one contest, or forces by the places where they lead."""
    if view["single"] is None:
        lead = f"En cuántos lugares, de {view['contests']}, lleva la delantera cada fuerza"
        told = [each for each in view["leads"] if each["colour"]]
        return lead, [
            CardLine(each["name"], f"{each['places']}", each["places"] * _WHOLE // view["contests"], each["colour"])
            for each in told[:MOST_LINES]
        ]
    single = view["single"]
    first, most, difference = (single["standing"][name] for name in ("first", "most", "difference"))
    if first["id"]:
        lead = f"{first['name']} lleva la delantera por {_votes(difference)}"
    else:
        lead = "Hay empate en el primer lugar" if most else "Todavía no hay votos que mostrar"
    votes = single["candidacies"] or single["parties"]
    return lead, [_bar(each, single["total"]) for each in votes[:MOST_LINES]]


def _bar(line: VoteLine, total: int) -> CardLine:
    said = f"{_votes(line.votes)} · {percent(line.votes, total)} %"
    return CardLine(line.name, said, line.votes * _WHOLE // total if total else 0, line.colour)


def _votes(number: int) -> str:
    return f"{thousands(number)} {'voto' if number == 1 else 'votos'}"
