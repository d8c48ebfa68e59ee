"""`prep replay OFICIAL.csv` and `prep demo`: what they are told, the folders of their night, and what they report."""

import argparse
import asyncio
import contextlib
import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from prep.arguments import Parser
from prep.domain.rules import rule_set
from prep.errors import PrepError
from prep.files.catalog_files import load_catalog
from prep.files.official import read_candidates, read_official
from prep.rehearsal import replay
from prep.rehearsal.installation import (
    NightPlace,
    how_to_check,
    installation,
    prepare,
    stamper,
    vouchers,
)
from prep.rehearsal.night import console, play
from prep.rehearsal.plan import Plan
from prep.rehearsal.replay_catalog import catalog_folder
from prep.rehearsal.synthetic import NATIONAL, national_night, synthetic

DEMO: Final = 60
"""Casillas of a demo."""


def content(path: Path) -> bytes:
    """The bytes of a file that somebody named. Raises PrepError where there is none to read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise PrepError(f"no se puede leer {path}: {error.strerror}") from None


def replay_plan(arguments: argparse.Namespace) -> tuple[Plan, replay.Caveats]:
    official = read_official(content(arguments.official))
    rules = rule_set(arguments.rules)
    beside = arguments.candidates or next(iter(sorted(arguments.official.parent.glob("*CANDIDATURAS*"))), None)
    beside = beside or next(iter(sorted(arguments.official.parent.glob("*Candidaturas*"))), None)
    candidates = read_candidates(content(beside)) if beside else []
    folder = catalog_folder(official, candidates, rules=rules.name)
    catalog = load_catalog(folder)
    caveats = replay.examine(official, rules)
    sheets = replay.sheets(official, rules, caveats, candidatura=catalog.elections[0].candidatura)
    speed, seed = pace(arguments.speed), arguments.seed
    plan = Plan(arguments.official.stem, folder, catalog, sheets, len(sheets), seed, arguments.mistakes, speed)
    return plan, caveats


def pace(words: str) -> float:
    """Seconds of the election for each second here; 0 for `max`. Raises PrepError for anything else."""
    if words == "max":
        return 0.0
    with contextlib.suppress(ValueError):
        if (speed := float(words)) > 0 and math.isfinite(speed):
            return speed
    raise PrepError(f"--speed es «max» o cuántas veces más aprisa que la noche real: no «{words}»")


def command_replay(arguments: argparse.Namespace) -> int:
    """Exit status 0 where everything comparable is equal, 1 where anything differs."""
    plan, caveats = replay_plan(arguments)
    place = begin(plan, arguments)
    play(plan, place)
    rules = rule_set(arguments.rules)
    official = read_official(arguments.official.read_bytes())
    ours = read_official(published_file(place, plan.catalog.elections[0].code).read_bytes())
    compared = replay.compare(official, ours, rules, caveats)
    report(compared, caveats)
    if arguments.json:
        arguments.json.write_text(as_json(compared, caveats))
    return 0 if all(each.equal for each in compared) else 1


def command_demo(arguments: argparse.Namespace) -> int:
    made = national_night if arguments.national else synthetic
    casillas = arguments.casillas or (NATIONAL if arguments.national else DEMO)
    folder, sheets = made(casillas, seed=arguments.seed)
    catalog = load_catalog(folder)
    name = "nacional" if arguments.national else "demo"
    plan = Plan(name, folder, catalog, sheets, len(sheets), arguments.seed, 0.05, pace(arguments.speed))
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

    async def keep() -> None:
        async with installation(place):
            await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(keep())
    return 0


def begin(plan: Plan, arguments: argparse.Namespace, *, vouched: bool = False) -> NightPlace:
    """The night's folders: an unfinished night of the same words goes on, a finished one gives way to a new one."""
    words: dict[str, object] = {
        "name": plan.name,
        "catalogo": plan.catalog.digest,
        "seed": plan.seed,
        "mistakes": plan.mistakes,
    }
    data: Path = arguments.data or Path("var") / "noches" / plan.name
    public: Path = (arguments.public or data / "publico").absolute()
    data = data.absolute()
    kept = data / "noche.json"
    if (data / "terminado").exists() or (kept.exists() and json.loads(kept.read_text()) != words):
        shutil.rmtree(data)
        shutil.rmtree(public, ignore_errors=True)
    elif public.exists() and any(public.iterdir()) and not kept.exists():
        raise PrepError(f"la carpeta {public} no está vacía: nombre otra con --public")
    data.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(words))
    settings = {"PREP_INTERVAL_SECONDS": str(arguments.interval), "PREP_SIGLAS": siglas(plan)}
    settings |= vouchers(data) if vouched else {}
    return prepare(plan, data, public, settings)


def siglas(plan: Plan) -> str:
    letters = "".join(letter for letter in plan.name.split("_")[0].upper() if "A" <= letter <= "Z")
    return letters[:10] if len(letters) > 1 else "EDO"


def published_file(place: NightPlace, election: str) -> Path:
    index = json.loads((place.public / "index.json").read_text())
    folder: Path = place.public / index["carpeta"]
    manifest = json.loads((folder / "manifest.json").read_text())
    [name] = [each["archivo"] for each in manifest["elecciones"] if each["codigo"] == election]
    return folder / str(name)


def report(compared: Sequence[replay.Compared], caveats: replay.Caveats) -> None:
    """Official against ours: the summary in full, then whatever differs, then what the file lost or broke."""
    table = Table("valor", "oficial", "nuestro", "", title="oficial y nuestro")
    for each in compared:
        if " " not in each.what or not each.equal:
            table.add_row(each.what, each.official, each.ours, "igual" if each.equal else "DIFERENTE")
    out = Console()
    out.print(table)
    equal = sum(each.equal for each in compared)
    out.print(f"{equal} de {len(compared)} valores iguales")
    for title, named in (
        ("no reproducible: el archivo ya no lo contiene", caveats.lost),
        ("el archivo contradice sus propias reglas", caveats.broken),
        ("impreso de otro modo que como se tecleó", caveats.reprinted),
        ("el resumen del archivo contradice sus filas", caveats.summary),
    ):
        for line in _named(title, named):
            out.print(line)


def _named(title: str, named: Mapping[str, str]) -> Iterator[str]:
    if named:
        yield f"{title}: {len(named)}"
        yield from (f"  {key}: {reason}" for key, reason in named.items())


def as_json(compared: Sequence[replay.Compared], caveats: replay.Caveats) -> str:
    content = {
        "compared": [
            {"value": each.what, "official": each.official, "ours": each.ours, "equal": each.equal} for each in compared
        ],
        "not_replayable": dict(caveats.lost),
        "official_breaks_its_rules": dict(caveats.broken),
        "printed_otherwise": dict(caveats.reprinted),
        "official_summary_contradicts_its_rows": dict(caveats.summary),
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def main(words: Sequence[str]) -> int:
    parser = Parser(prog="prep")
    commands = parser.add_subparsers(required=True)
    again = commands.add_parser("replay", help="reproduce una elección real desde su archivo oficial")
    again.set_defaults(command=command_replay)
    again.add_argument("official", type=Path, metavar="OFICIAL.csv", help="el archivo de resultados, como se publicó")
    again.add_argument("--rules", default="ine-2023", metavar="REGLAS", help="el conjunto de reglas (ine-2023)")
    again.add_argument("--candidates", type=Path, metavar="ARCHIVO", help="candidaturas; si no, las que haya al lado")
    again.add_argument(
        "--mistakes", type=float, default=0.05, metavar="PARTE", help="de las capturas, cuántas se equivocan"
    )
    again.add_argument("--json", type=Path, metavar="ARCHIVO", help="deja ahí cada valor comparado")
    demo = commands.add_parser("demo", help="una noche sintética completa")
    demo.set_defaults(command=command_demo)
    demo.add_argument("--casillas", type=int, metavar="N", help=f"{DEMO}, o {NATIONAL:,} con --national")
    demo.add_argument("--national", action="store_true", help="una noche federal de todo el país")
    demo.add_argument("--once", action="store_true", help="termina al publicar el último corte")
    for each in (again, demo):
        each.add_argument("--seed", type=int, default=1, metavar="N", help="decide todo lo que es azar (1)")
        each.add_argument("--speed", default="max", metavar="N|max", help="veces más aprisa que la noche real")
        each.add_argument("--public", type=Path, metavar="CARPETA", help="donde se publica")
        each.add_argument("--data", type=Path, metavar="CARPETA", help="donde la noche guarda lo suyo")
        each.add_argument("--interval", type=float, default=15, metavar="S", help="segundos entre cortes (15)")
    arguments = parser.parse_args(words)
    try:
        command: int = arguments.command(arguments)
    except PrepError as error:
        console.print(f"prep: {error.sentence}", style="red")
        return 2
    return command
