"""`prep replay OFICIAL` and `prep demo`: their arguments, the folders of their night, and their reports."""

import argparse
import asyncio
import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from prep.arguments import Parser
from prep.domain.rules import RULE_SETS
from prep.errors import PrepError, reason_of
from prep.files.catalog_files import load_catalog
from prep.rehearsal import replay
from prep.rehearsal.devices import Journal, send_all
from prep.rehearsal.drawing.press import WIDTH
from prep.rehearsal.folders import folders_of, take
from prep.rehearsal.installation import (
    NightPlace,
    how_to_check,
    installation,
    prepare,
    rehearsal_night,
    speaker,
    stamper,
    vouchers,
)
from prep.rehearsal.layouts import with_layouts
from prep.rehearsal.night import console, play
from prep.rehearsal.plan import Plan, Progresses
from prep.rehearsal.replay_source import ReplaySource, read_published, read_source
from prep.rehearsal.synthetic import NATIONAL, national_night, synthetic

DEMO: Final = 60
"""Number of casillas of a demo."""
WIDTHS: Final = range(1_000, 6_801)
"""Of an image, in pixels. On a narrower one the sticker cannot be read."""


def content(path: Path) -> bytes:
    """The bytes of a file that the user named. Raises PrepError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise PrepError(f"no se puede leer {path}: {reason_of(error)}") from None


def replay_plan(arguments: argparse.Namespace) -> tuple[Plan, ReplaySource]:
    """The night that plays an official file again, and the source with the defects of the file (`docs/rules.md` §5)."""
    source = read_source(
        arguments.official,
        rules=arguments.rules,
        candidates=arguments.candidates,
        skip_unknown=arguments.skip_unknown,
        election=arguments.election,
    )
    speed, seed, sheets = pace(arguments.speed), arguments.seed, source.sheets
    plan = Plan(source.name, source.folder, source.catalog, sheets, len(sheets), seed, arguments.mistakes, speed)
    return replace(plan, width=image_width(arguments.image_width)), source


def pace(words: str) -> float:
    """The number of seconds of the election that pass in one second here; 0 for `max`. Raises PrepError otherwise."""
    if words == "max":
        return 0.0
    with contextlib.suppress(ValueError):
        if (speed := float(words)) > 0 and math.isfinite(speed):
            return speed
    raise PrepError(f"--speed es «max» o cuántas veces más aprisa que la noche real: no «{words}»")


def image_width(pixels: int) -> int:
    """Raises PrepError if no image is drawn so wide."""
    if pixels not in WIDTHS:
        raise PrepError(f"--image-width es un número de píxeles de {WIDTHS[0]:,} a {WIDTHS[-1]:,}: no {pixels}")
    return pixels


def command_replay(arguments: argparse.Namespace) -> int:
    """Play the night and compare. Exit status 0 if all values that can be compared are equal, 1 if one differs."""
    plan, source = replay_plan(arguments)
    place = begin(plan, arguments)
    play(plan, place)
    ours = read_published(source, published_file(place, plan.catalog.elections[0].code).read_bytes())
    compared = replay.compare(source.official, ours, source.rules, source.caveats)
    draft = place.data / f"{source.rules.name}.toml" if source.proposal else None
    if draft is not None and source.proposal is not None:
        draft.write_text(source.proposal.toml(), encoding="utf-8")
    report(compared, source, draft)
    if arguments.json:
        arguments.json.write_text(as_json(compared, source))
    return 0 if all(each.equal for each in compared) else 1


def command_demo(arguments: argparse.Namespace) -> int:
    """Play a synthetic night with its ceremonies, then serve its results until Ctrl-C (with --once, end at once)."""
    made = national_night if arguments.national else synthetic
    casillas = arguments.casillas if arguments.casillas is not None else NATIONAL if arguments.national else DEMO
    if casillas < 1:
        raise PrepError(f"--casillas es un número desde 1: no {casillas}")
    folder, sheets = made(casillas, seed=arguments.seed)
    catalog = load_catalog(folder)
    name = "nacional" if arguments.national else "demo"
    plan = Plan(name, folder, catalog, sheets, len(sheets), arguments.seed, 0.05, pace(arguments.speed))
    plan = replace(plan, width=image_width(arguments.image_width))
    plan = plan if arguments.national else with_layouts(plan)
    place = begin(plan, arguments, vouched=True)
    with stamper(place):
        play(plan, place, ceremonies=True)
    index = json.loads((place.public / "index.json").read_text())
    console.print(f"corte {index['corte']} ({index['fase']}) en {place.public}")
    console.print(f"actos y listas en {place.data / 'instalacion' / 'actos'}", soft_wrap=True)
    console.print(f"compruébelo: {how_to_check(place)}", soft_wrap=True, highlight=False)
    if arguments.once:
        return 0
    console.print(
        f"resultados en http://127.0.0.1:{place.environment['PREP_PUBLISHER_METRICS_PORT']}/ — Ctrl-C termina"
    )

    room = practice_room(place, seed=arguments.seed)

    async def keep() -> None:
        async with installation(place), installation(room.place):
            await open_practice(*room)
            for line in await seats(room.place):
                console.print(line, soft_wrap=True, highlight=False)
            await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(keep())
    return 0


class Practice(NamedTuple):
    """A small night that does not end, so that a person can sit down at its screens."""

    plan: Plan
    place: NightPlace


PRACTICE: Final = 12
"""Casillas whose images wait for a person."""


def practice_room(night: NightPlace, *, seed: int) -> Practice:
    """The night that was shown is closed, and nobody types in it any more: this one waits for people."""
    folder, sheets = synthetic(PRACTICE, seed=seed + 1)
    catalog = load_catalog(folder)
    plan = with_layouts(Plan("practica", folder, catalog, sheets, len(sheets), seed, 0.0, 0.0))
    data = night.data / "practica"
    return Practice(plan, prepare(plan, data, data / "publico", {}, rehearsal_night("PRACTICA", interval=60)))


async def open_practice(plan: Plan, place: NightPlace) -> None:
    """Every image of the practice comes in, and nobody types it."""
    with contextlib.closing(Journal(place.data / "acuses.jsonl")) as journal:
        await send_all(plan, place, Progresses(), journal)


SCREENS: Final = (
    ("/terminal", "capturar", "capturista00"),
    ("/terminal", "capturar, la segunda persona, en una ventana privada", "capturista10"),
    ("/mesa", "supervisar", "supervisor"),
    ("/catd", "un CATD", "operador"),
    ("/casilla", "el teléfono de una casilla", ""),
)
"""The screens: address, what for, and a login for it."""


async def seats(place: NightPlace) -> list[str]:
    """The addresses of the screens with one login for each, as a person reads them."""
    password = (place.data / "clave").read_text()
    lines = ["", f"siéntese a una pantalla: una noche de práctica con actas que esperan (clave de todos: {password})"]
    async with speaker(place, 1) as client:
        for path, purpose, login in SCREENS:
            async with client.get(path) as response:
                if response.ok:
                    user = f"  usuario {login}" if login else ""
                    lines.append(f"  http://localhost:{place.port}{path}{user}  ({purpose})")
    return lines


def begin(plan: Plan, arguments: argparse.Namespace, *, vouched: bool = False) -> NightPlace:
    """Prepare the night's folders. An unfinished night with the same arguments goes on.

    Raises Rejected at once if the folders hold something that cannot go together with this night.
    """
    folders = folders_of(plan, arguments.data, arguments.public)
    if said := take(plan, folders, interval=arguments.interval, fresh=arguments.fresh):
        console.print(said, soft_wrap=True, highlight=False)
    # A night that is vouched for has its ceremonies too.
    night = rehearsal_night(siglas(plan), interval=arguments.interval, ceremony=vouched)
    return prepare(plan, folders.data, folders.public, vouchers(folders.data) if vouched else {}, night)


def siglas(plan: Plan) -> str:
    """The letters of the institute for the names of published files: those of the plan's name, or EDO if too few."""
    letters = "".join(letter for letter in plan.name.split("_")[0].upper() if "A" <= letter <= "Z")
    return letters[:10] if len(letters) > 1 else "EDO"


def published_file(place: NightPlace, election: str) -> Path:
    index = json.loads((place.public / "index.json").read_text())
    folder: Path = place.public / index["carpeta"]
    manifest = json.loads((folder / "manifest.json").read_text())
    [name] = [each["archivo"] for each in manifest["elecciones"] if each["codigo"] == election]
    return folder / str(name)


def report(compared: Sequence[replay.Compared], source: ReplaySource, draft: Path | None) -> None:
    """Print official against ours: the whole summary, the other values that differ, and the defects of the file."""
    table = Table("valor", "oficial", "nuestro", "", title="oficial y nuestro")
    for each in compared:
        # A name without a space is a summary value; the name of a value of one acta holds the acta's clave and a space.
        if " " not in each.what or not each.equal:
            table.add_row(each.what, each.official, each.ours, "igual" if each.equal else "DIFERENTE")
    out = Console()
    out.print(table)
    equal = sum(each.equal for each in compared)
    out.print(f"{equal} de {len(compared)} valores iguales")
    for line in told(source, draft):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def told(source: ReplaySource, draft: Path | None) -> Iterator[str]:
    """The lines that a person must read besides the comparison. `draft` is the file of the proposed rules."""
    caveats, proposal = source.caveats, source.proposal
    yield from source.used
    yield from caveats.notes
    if caveats.unstated:
        yield f"valores del resumen que el archivo no dice, y no se comparan: {', '.join(caveats.unstated)}"
    yield from _titled_list("no reproducible: el archivo ya no lo contiene", caveats.lost)
    yield from _titled_list("el archivo contradice sus propias reglas", caveats.broken)
    yield from _titled_list("impreso de otro modo que como se tecleó", reprinted(caveats))
    yield from _titled_list("el resumen del archivo contradice sus filas", caveats.summary)
    if proposal is not None and draft is not None:
        yield from _titled_list(f"reglas propuestas, escritas en {draft}", proposal.reasons)
        yield from _titled_list("filas que estas reglas no explican", proposal.unexplained)


def reprinted(caveats: replay.Caveats) -> dict[str, str]:
    """Key of a row that the file prints with zeros → the sentence that says so."""
    words = replay.WORDS
    return {
        key: f"impresa con ceros; su observación dice que todo era {words[mark]}"
        for key, mark in caveats.reprinted.items()
    }


def _titled_list(title: str, named: Mapping[str, str]) -> Iterator[str]:
    if named:
        yield f"{title}: {len(named)}"
        yield from (f"  {key}: {reason}" for key, reason in named.items())


def as_json(compared: Sequence[replay.Compared], source: ReplaySource) -> str:
    caveats, proposal = source.caveats, source.proposal
    content = {
        "compared": [
            {"value": each.what, "official": each.official, "ours": each.ours, "equal": each.equal} for each in compared
        ],
        "not_replayable": dict(caveats.lost),
        "official_breaks_its_rules": dict(caveats.broken),
        "printed_otherwise": reprinted(caveats),
        "official_summary_contradicts_its_rows": dict(caveats.summary),
        "not_stated": list(caveats.unstated),
        "notes": list(caveats.notes),
        "files": list(source.used),
        "rules": json.loads(source.rules.canonical()),
        "unexplained_by_inferred_rules": dict(proposal.unexplained) if proposal else None,
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def main(words: Sequence[str]) -> int:
    parser = Parser(prog="prep")
    commands = parser.add_subparsers(required=True)
    again = commands.add_parser("replay", help="reproduce una elección real desde su archivo oficial")
    again.set_defaults(command=command_replay)
    again.add_argument(
        "official", type=Path, metavar="OFICIAL", help="el CSV de resultados, o el ZIP como lo publicó el instituto"
    )
    again.add_argument(
        "--rules",
        default="ine-2023",
        metavar="REGLAS",
        help=f"criterios y textos: {', '.join(RULE_SETS)}, un archivo, o infer: las propone (%(default)s)",
    )
    again.add_argument(
        "--candidates",
        type=Path,
        metavar="ARCHIVO",
        help="el archivo de candidaturas; si no se dice, el que está en la misma carpeta",
    )
    again.add_argument(
        "--election", default="", metavar="NOMBRE", help="cuál, si el ZIP contiene los resultados de varias elecciones"
    )
    again.add_argument("--skip-unknown", action="store_true", help="aparta las filas que no se entienden")
    again.add_argument(
        "--mistakes",
        type=float,
        default=0.05,
        metavar="PARTE",
        help="en qué parte de las capturas se equivoca una persona, de 0 a 1 (%(default)s)",
    )
    again.add_argument("--json", type=Path, metavar="ARCHIVO", help="dónde dejar la comparación para otro programa")
    demo = commands.add_parser("demo", help="una noche sintética completa")
    demo.set_defaults(command=command_demo)
    demo.add_argument("--casillas", type=int, metavar="N", help=f"{DEMO}, o {NATIONAL:,} con --national")
    demo.add_argument("--national", action="store_true", help="una noche federal de todo el país")
    demo.add_argument("--once", action="store_true", help="termina al publicar el último corte")
    for each in (again, demo):
        each.add_argument(
            "--seed", type=int, default=1, metavar="N", help="el azar de la noche: el mismo número, la misma noche (1)"
        )
        each.add_argument("--speed", default="max", metavar="N|max", help="veces más aprisa que la noche real")
        each.add_argument(
            "--public", type=Path, metavar="CARPETA", help="donde se publican los cortes; si no se dice, en --data"
        )
        each.add_argument("--data", type=Path, metavar="CARPETA", help="donde la noche guarda lo suyo")
        each.add_argument("--fresh", action="store_true", help="borra la noche a medias que haya en --data")
        each.add_argument("--interval", type=float, default=15, metavar="S", help="segundos entre cortes (15)")
        each.add_argument(
            "--image-width",
            type=int,
            default=WIDTH,
            metavar="PX",
            help="ancho de las imágenes que se dibujan, en píxeles (%(default)s); menos es más aprisa",
        )
    arguments = parser.parse_args(words)
    try:
        command: int = arguments.command(arguments)
    except PrepError as error:
        console.print(f"prep: {error.sentence}", style="red")
        return 2
    return command
