"""`prep night init|check|show|reset`: the night is declared once, in words that a person confirms.

    init CARPETA    reads noche.toml and the catalogue of the folder, says the timetable, and loads both together
    check [CARPETA] says the timetable and the obstacles to it; without a folder, of the night that is loaded
    show            the night that is loaded, how far it has come, the clocks, and the images from after the close
    reset           a rehearsal begins again: its tables are emptied and its files are put aside. Never a real night

Exit status: 0; 1 if something stands in the way, or a person did not confirm; 2 if the command cannot be done.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from integrity.layout import INDEX
from prep import observe
from prep.arguments import Parser
from prep.domain.catalog import TerritoryKind
from prep.domain.night import Night, in_words, is_late, missed, obstacles, timetable
from prep.errors import PrepError, Rejected, reason_of
from prep.files.night_file import NAME, read_night_file, sample_night_file
from prep.operations.catalog_commands import load_folder, reviewed
from prep.settings import BusKind, Part, Settings, now, read_settings
from prep.store import embedded
from prep.store import night as store
from prep.store.database import Connection, connect
from prep.store.night import Declared, NightStanding
from publisher.log.office import signing_key

LISTED: Final = 20
"""This many late images are printed; for the rest, only their number."""


def night_command(arguments: argparse.Namespace, settings: Settings) -> int:
    match arguments.action:
        case "init":
            return _init(arguments, settings)
        case "check":
            return _check_folder(arguments.folder) if arguments.folder else asyncio.run(_check_loaded(settings))
        case "show":
            return asyncio.run(_show(settings, late=arguments.late))
        case _:
            return _reset(arguments, settings)


# Declare.


def _init(arguments: argparse.Namespace, settings: Settings) -> int:
    folder: Path = arguments.folder
    if arguments.template:
        return _write_template(folder)
    night, logo = read_night_file(folder)
    catalog, warnings = reviewed(folder, accept=arguments.accept_warnings)
    if catalog is None:
        return 1
    states = {each.id: each.name for each in catalog.territories if each.kind == TerritoryKind.ENTIDAD}
    wrong = obstacles(night, states, now())
    print("\n".join([*timetable(night, _place(states)), f"huella de la declaración: {night.digest}"]))
    if wrong:
        return _refuse(wrong)
    if not arguments.confirmed and not _confirmed(night):
        print("prep: no se declaró nada", file=sys.stderr)
        return 1
    load_folder(settings, catalog, warnings, Declared(night, logo))
    print("noche declarada")
    if settings.log_key.exists():
        try:
            signing_key(settings.log_key, night.log_name)
        except Rejected as error:
            print(f"aviso: {error.sentence}; apártela antes de iniciar el secuenciador")
    return 0


def _write_template(folder: Path) -> int:
    path = folder / NAME
    if path.exists():
        raise Rejected(f"{path} ya existe")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(sample_night_file(now()), encoding="utf-8")
    except OSError as error:
        raise Rejected(f"no se puede escribir {path}: {reason_of(error)}") from None
    print(f"{path}: cada línea se explica ahí; para revisarla: prep night check {folder}")
    return 0


def _confirmed(night: Night) -> bool:
    """Whether a person who has read the timetable types the word for this kind of night."""
    word = "simulacro" if night.simulacro else "noche real"
    try:
        return input(f"Lea lo anterior. Si así es, escriba «{word}»: ").strip().strip("«»").lower() == word
    except EOFError:
        return False


def _place(states: dict[int, str]) -> str:
    return next(iter(states.values())) if len(states) == 1 else ""


def _refuse(wrong: Sequence[str]) -> int:
    for sentence in wrong:
        print(f"✗ {sentence}", file=sys.stderr)
    print("prep: la noche no puede ser así", file=sys.stderr)
    return 1


# Check and show.


def _check_folder(folder: Path) -> int:
    night, _ = read_night_file(folder)
    catalog, _ = reviewed(folder, accept=True)
    if catalog is None:
        return 1
    states = {each.id: each.name for each in catalog.territories if each.kind == TerritoryKind.ENTIDAD}
    print("\n".join(timetable(night, _place(states))))
    wrong = obstacles(night, states, now())
    return _refuse(wrong) if wrong else 0


async def _check_loaded(settings: Settings) -> int:
    async with embedded.database(settings) as urls, connect(urls.of(Part.AUDIT)) as connection:
        wrong = await check(connection)
    return _refuse(wrong) if wrong else 0


async def check(connection: Connection) -> list[str]:
    """Print the timetable of the declared night; returns the obstacles to corte 0.

    A start that has passed is none: a night that begins late is better than none, and people see that it is late.
    Raises Rejected if no night is declared.
    """
    night, states = await store.declared(connection), dict(await store.entidades(connection))
    print("\n".join(timetable(night, _place(states))))
    at = now()
    if over := missed(night, at):
        return [over]
    if is_late(night, at) and night.start is not None:
        print("aviso: la hora de inicio ya pasó")
        at = night.start - timedelta(seconds=1)
    return obstacles(night, states, at)


async def _show(settings: Settings, *, late: bool) -> int:
    async with embedded.database(settings) as urls, connect(urls.of(Part.AUDIT)) as connection:
        before = now()
        stands = await store.standing(connection)
        after = now()
        if stands is None:
            raise store.undeclared()
        states = dict(await store.entidades(connection))
        arrived = await store.late(connection)
    night = stands.night
    print("\n".join([*timetable(night, _place(states)), f"huella de la declaración: {night.digest}"]))
    print(_progress(stands))
    apart = observe.apart(before, stands.clock, after)
    seconds = abs(round(apart.total_seconds()))
    print(f"{'✗' if abs(apart) > observe.CLOCKS else '✓'} reloj: difiere {seconds} s del de la base de datos")
    if arrived:
        print(f"después del cierre llegaron {len(arrived)} imágenes; se conservan y no se capturan")
    for each in arrived if late else arrived[:LISTED]:
        hint = f", {each.acta_hint}" if each.acta_hint else ""
        print(f"  {each.image.hex()} {each.device} {each.sequence}, {in_words(each.received_at, night.tz)}{hint}")
    return 1 if abs(apart) > observe.CLOCKS else 0


def _progress(stands: NightStanding) -> str:
    night = stands.night
    if stands.closed_at is not None:
        return f"cerró {in_words(stands.closed_at, night.tz)}"
    if stands.opened_at is not None:
        return f"abrió {in_words(stands.opened_at, night.tz)}"
    return "✗ todavía no abre, y su hora ya pasó" if is_late(night, now()) else "todavía no abre"


# Begin again.


def _reset(arguments: argparse.Namespace, settings: Settings) -> int:
    _must_not_be_real(settings.public)
    if not arguments.confirmed:
        print("Se vacían las tablas del simulacro y su catálogo, y se apartan sus archivos. Las personas, los sitios y")
        print("los dispositivos quedan.")
        try:
            said = input("Escriba «otra vez»: ").strip().strip("«»").lower()
        except EOFError:
            said = ""
        if said != "otra vez":
            print("prep: todo queda como estaba", file=sys.stderr)
            return 1

    async def empty() -> None:
        async with embedded.database(settings) as urls:
            await store.reset(urls.owner)

    asyncio.run(empty())
    # The tables are empty. If we stop here, the publisher refuses the tree that is left, and a second run goes on.
    for path in _put_aside(settings):
        print(f"apartado: {path}")
    for sentence in _elsewhere(settings):
        print(f"aviso: {sentence}")
    print("listo; declare la noche que sigue con «prep night init CARPETA»")
    return 0


def _must_not_be_real(public: Path) -> None:
    """Raises Rejected if the published tree is of a real night, also if the database says another thing."""
    try:
        held = json.loads((public / INDEX).read_bytes())
    except (OSError, ValueError):
        return
    if held.get("simulacro") is not True:
        raise Rejected(f"{public} tiene los cortes de una noche real: no se repite")


def _put_aside(settings: Settings) -> Iterator[Path]:
    """Rename what the rehearsal left on this machine, so that the next night begins with new folders."""
    stamp = f"{now():%Y%m%dT%H%M%SZ}"
    store_url = urlsplit(settings.blobs_url)
    blobs: Collection[Path] = [Path(unquote(store_url.path))] if store_url.scheme == "file" else []
    key = settings.log_key
    left = [settings.public, *blobs, settings.data / "actos", settings.data / "noche.json"]
    for path in [*left, key, key.with_name(f"{key.name}.siguiente")]:
        if path.exists():
            aside = path.with_name(f"{path.name}.hasta-{stamp}")
            path.rename(aside)
            yield aside


def _elsewhere(settings: Settings) -> Iterator[str]:
    if urlsplit(settings.blobs_url).scheme != "file":
        yield f"las imágenes quedan en {settings.blobs_url}: ponga otro prefijo en PREP_BLOBS"
    if settings.bus is BusKind.KAFKA:
        yield "los mensajes quedan en Kafka: ponga otro PREP_KAFKA_PREFIX"
    yield "en las demás máquinas, aparte también su carpeta publicada y la llave de la bitácora"


# The command.


def _night_parser() -> Parser:
    parser = Parser(prog="prep night", description="La noche, declarada una sola vez.")
    actions = parser.add_subparsers(required=True, metavar="ORDEN", dest="action")
    init = actions.add_parser("init", help="declara la noche y carga su catálogo")
    init.add_argument("folder", type=Path, metavar="CARPETA", help=f"la carpeta del catálogo, con {NAME}")
    init.add_argument("--template", action="store_true", help=f"solo escribe un {NAME} con explicaciones")
    init.add_argument(
        "--accept-warnings", action="store_true", help="carga el catálogo aunque tenga avisos, y los guarda"
    )
    checked = actions.add_parser("check", help="dice los horarios en palabras, y lo que no puede ser")
    checked.add_argument("folder", type=Path, nargs="?", metavar="CARPETA", help="si no se dice: la noche ya declarada")
    shown = actions.add_parser("show", help="la noche declarada, hasta dónde va, y lo que llegó después del cierre")
    shown.add_argument("--late", action="store_true", help="todas las imágenes que llegaron después del cierre")
    again = actions.add_parser("reset", help="un simulacro comienza otra vez; una noche real, nunca")
    for each in (init, again):
        each.add_argument("--confirmed", action="store_true", help="no pregunta: una persona ya está de acuerdo")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0, 1 or 2, as the head of this file says."""
    arguments = _night_parser().parse_args(argv)
    try:
        sys.exit(night_command(arguments, read_settings()))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)
