"""A whole night against a running installation: real elections replayed, or a synthetic state of any size.

It plays the people: field staff who send drawn actas, capturistas who type what is written on them (with a share of
mistakes), and the operator who registers the actas that never came. It speaks HTTP and reads published files;
everything in between is the installation itself.

Killed at any moment and started again with the same words, it goes on where it was: each device keeps the receipts it
was given (`acuses.jsonl`) and sends again only what has none, with the same sequence number and the same bytes.
"""

import asyncio
import contextlib
import json
from typing import Final

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from prep.errors import PrepError
from prep.rehearsal.devices import Journal, send_all
from prep.rehearsal.installation import NightPlace, installation, order
from prep.rehearsal.plan import Plan, Progresses
from prep.rehearsal.typists import register_sin_acta, type_all

console: Final = Console(stderr=True)


async def watch(plan: Plan, place: NightPlace, progress: Progresses) -> None:
    """Follow the published cortes until everything played is in one of them."""
    while progress.published < plan.expected:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError, KeyError):
            index = json.loads((place.public / "index.json").read_text())
            if index["corte"] != progress.corte:
                totals = json.loads((place.public / index["carpeta"] / "totals.json").read_text())
                actas = [election["actas"] for election in totals["elecciones"].values()]
                progress.published = sum(each["capturadas"] + each["fuera_de_catalogo"] for each in actas)
                progress.corte = index["corte"]
        await asyncio.sleep(0.2)
    progress.finished = True


def play(plan: Plan, place: NightPlace, *, ceremonies: bool = False) -> None:
    """The whole night, with a progress bar; returns when its last corte is published.

    With `ceremonies`, what is deployed is listed and everything found at zero before it, and it is closed after.
    """
    journal = Journal(place.data / "acuses.jsonl")
    progress = Progresses()
    by_key = {sheet.key: sheet for sheet in plan.sheets}
    progress.images |= {digest: by_key[key] for key, digest in journal.digests.items()}

    async def night() -> None:
        async with installation(place):
            bars = asyncio.create_task(show(plan, progress))
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(send_all(plan, place, progress, journal))
                    group.create_task(register_sin_acta(plan, place))
                    group.create_task(type_all(plan, place, progress))
                    group.create_task(watch(plan, place, progress))
            finally:
                bars.cancel()

    if not (place.data / "terminado").exists():
        zeroed = place.data / "instalacion" / "actos" / "cero"
        for each in ("software-digests", "zero") if ceremonies and not zeroed.exists() else ():
            order(place, each)
        uvloop.run(night())
        order(place, "publish", "--final")
        if ceremonies:
            try:
                order(place, "close")
            except PrepError as error:  # what differs is in the act, and ends no night
                console.print(error.sentence, style="red")
        order(place, "sequencer", "--once")
        (place.data / "terminado").touch()


async def show(plan: Plan, progress: Progresses) -> None:
    images = sum(sheet.sin_acta is None for sheet in plan.sheets)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        sent = bars.add_task("imágenes enviadas", total=images)
        captures = bars.add_task("capturas tecleadas", total=None)
        published = bars.add_task("actas publicadas", total=plan.expected)
        while True:
            bars.update(sent, completed=progress.sent)
            bars.update(captures, completed=progress.captures)
            bars.update(published, completed=progress.published, description=f"actas en el corte {progress.corte}")
            await asyncio.sleep(0.25)
