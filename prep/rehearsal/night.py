"""A whole night against a running installation: a real election played again, or a synthetic state of any size.

This program plays the people: field staff who send drawn actas, capturistas who type the values on them (with some
mistakes), and the operator who registers the actas that never arrived. It speaks HTTP and reads published files. All
the rest is the real installation.

If it is killed and started again with the same arguments, it goes on from the same point. Each device keeps its
receipts (`acuses.jsonl`). It sends again only the images without receipt, with the same sequence numbers and the same
bytes.
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
from prep.rehearsal.folders import FINISHED
from prep.rehearsal.installation import NightPlace, installation, order, postgres_kept
from prep.rehearsal.plan import Plan, Progresses
from prep.rehearsal.typists import register_sin_acta, type_all

console: Final = Console(stderr=True)


async def watch(plan: Plan, place: NightPlace, progress: Progresses) -> None:
    """Follow the published cortes until one of them contains all actas of the night."""
    while progress.published < plan.expected:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError, KeyError):
            index = json.loads((place.public / "index.json").read_text())
            # Read the totals only once for each corte.
            if index["corte"] != progress.corte:
                totals = json.loads((place.public / index["carpeta"] / "totals.json").read_text())
                actas = [election["actas"] for election in totals["elecciones"].values()]
                progress.published = sum(each["capturadas"] + each["fuera_de_catalogo"] for each in actas)
                progress.corte = index["corte"]
        await asyncio.sleep(0.2)
    progress.finished = True


def play(plan: Plan, place: NightPlace, *, ceremonies: bool = False) -> None:
    """Play the whole night, with a progress bar; return when its last corte is published.

    With `ceremonies`, the software list and the zero come before the night, and the close after it.
    """
    with contextlib.closing(Journal(place.data / "acuses.jsonl")) as journal:
        _play_with(journal, plan, place, ceremonies=ceremonies)


def _play_with(journal: Journal, plan: Plan, place: NightPlace, *, ceremonies: bool) -> None:
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

    if not (place.data / FINISHED).exists():
        # A night that goes on after a kill has done this ceremony already.
        zeroed = place.data / "instalacion" / "actos" / "cero"
        with postgres_kept(place):
            for each in ("software-digests", "zero") if ceremonies and not zeroed.exists() else ():
                order(place, each)
            uvloop.run(night())  # at its end the installation stops the server
        with postgres_kept(place):
            order(place, "publish", "--final", "--confirm")  # nobody sits here to be asked
            if ceremonies:
                try:
                    order(place, "close")
                except PrepError as error:  # the act states the differences; they must not end the night
                    console.print(error.sentence, style="red")
            order(place, "sequencer", "--once")
        (place.data / FINISHED).touch()


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
