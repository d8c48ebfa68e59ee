"""`prep incident`: what the institute tells everybody about the night, on every page, until it says that it is over.

An incident and its end are events, so both are leaves of the log: nobody can tell one and deny it later. The publisher
tells them within seconds, also while no corte comes out (`start_page.show_incidents`). `index.json` has those that
stand.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Final

from integrity.tree.shown import may_be_shown
from prep.arguments import Parser
from prep.errors import PrepError, Rejected
from prep.settings import Part, Settings, now, read_settings
from prep.store import cortes, embedded
from prep.store import night as night_store
from prep.store.database import borrow, open_pool

LONGEST: Final = 280
"""Letters of an incident: what a telephone shows without hiding the page."""


def checked_text(text: str) -> str:
    """The text as pages show it. Raises Rejected for one that a page cannot show."""
    said = " ".join(text.split())
    if not 1 <= len(said) <= LONGEST or not said.isprintable():
        raise Rejected(f"un incidente lleva de 1 a {LONGEST} letras")
    if not may_be_shown(said):
        raise Rejected(
            "un incidente no lleva cifras como las de los resultados (1,234 o 0.1234), imágenes ni programas"
        )
    return said


async def run(arguments: argparse.Namespace, settings: Settings) -> None:
    """Publish, end or list. Raises Rejected; Unavailable if the database does not answer."""
    async with embedded.database(settings) as urls, await open_pool(urls.of(Part.PUBLISHER)) as pool:
        async with borrow(pool) as connection:
            night = await night_store.declared(connection)
            told = await cortes.incidents(connection)
        match arguments.action:
            case "publish":
                number = await cortes.tell_incident(pool, checked_text(arguments.text), now())
                print(f"incidente {number}: lo dirán todas las páginas; cuando termine: prep incident end {number}")
            case "end":
                if not await cortes.end_incident(pool, arguments.number, now()):
                    raise Rejected(f"no hay un incidente {arguments.number} que siga", status=409)
                print(f"incidente {arguments.number}: terminó")
            case _:
                for each in told:
                    print(f"{each.number}  {each.at.astimezone(night.tz):%H:%M}  {each.text}")


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0; 2, with one sentence, if it cannot be done."""
    parser = Parser(prog="prep incident", description="Lo que el instituto dice de la noche en todas las páginas.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ORDEN")
    publish = actions.add_parser("publish", help="publica un incidente", description="Publica un incidente.")
    publish.add_argument("text", metavar="TEXTO", help="una o dos frases, para todos")
    end = actions.add_parser("end", help="dice que terminó", description="Dice que un incidente terminó.")
    end.add_argument("number", metavar="NÚMERO", type=int, help="el que dijo «publish», o «list»")
    actions.add_parser("list", help="los que siguen", description="Los incidentes que siguen.")
    arguments = parser.parse_args(argv)
    try:
        asyncio.run(run(arguments, read_settings()))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)
