"""The command `prep`. It starts the parts, which are programs of their own, and does the small commands itself."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Final, TextIO, cast

from integrity import VERSION
from prep import operations
from prep.arguments import Parser
from prep.errors import PrepError, Rejected
from prep.printable import Screen
from prep.processes import HOPELESS, Holding, close_to_others, dying_with, holding, send
from prep.settings import BusKind, Settings, read_settings
from prep.store import embedded
from prep.store.database import migrate

PARTS: Final = ("capture", "worker", "publish", "sequencer")
"""The commands that `prep serve` keeps running."""
RESTART_SECONDS: Final = 1.0
DRAWING: Final = frozenset({"demo", "replay"})
"""The commands that draw on a terminal."""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of `prep`. Exit status 0, or 2 with one sentence on stderr if the command cannot be done."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in DRAWING:
        _run(words)
    # Everything else that is printed goes through here, also what a person or a device wrote.
    screens = cast("TextIO", Screen(sys.stdout)), cast("TextIO", Screen(sys.stderr))
    with redirect_stdout(screens[0]), redirect_stderr(screens[1]):
        _run(words)


def _run(words: Sequence[str]) -> None:
    # argparse never sees the words of a part: the part has its own parser and its own exit status.
    if words and words[0] in PROGRAMS:
        PROGRAMS[words[0]](words)
        sys.exit(0)
    arguments = _prep_parser().parse_args(words)
    try:
        command: Callable[[argparse.Namespace, Settings], int] = arguments.command
        sys.exit(command(arguments, read_settings()))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)


# Commands that are programs of their own. Each is imported only when a person asks for it: `prep scan` needs no web
# server, and an installation without that extra still scans. A program with several commands gets the command's name
# too.


def _run_capture(words: Sequence[str]) -> None:
    from capture.service import main as capture  # noqa: PLC0415

    capture(words[1:])


def _run_worker(words: Sequence[str]) -> None:
    from prep.worker import main as worker  # noqa: PLC0415

    worker(words[1:])


def _run_publish(words: Sequence[str]) -> None:
    from publisher.command import main as publish  # noqa: PLC0415

    publish(words[1:])


def _run_sequencer(words: Sequence[str]) -> None:
    from publisher.log.command import main as sequencer  # noqa: PLC0415

    sequencer(words[1:])


def _run_log(words: Sequence[str]) -> None:
    from publisher.log.rotation import main as rotation  # noqa: PLC0415

    rotation(words[1:])


def _run_incident(words: Sequence[str]) -> None:
    from publisher.incidents import main as incident  # noqa: PLC0415

    incident(words[1:])


def _run_verify_database(words: Sequence[str]) -> None:
    from publisher.log.comparison import main as comparison  # noqa: PLC0415

    comparison(words[1:])


def _run_difusor(words: Sequence[str]) -> None:
    from publisher.mirror.command import main as mirror  # noqa: PLC0415

    mirror(words[1:])


def _run_rehearsal(words: Sequence[str]) -> None:
    from prep.rehearsal.commands import main as night  # noqa: PLC0415

    sys.exit(night(words))


def _run_accounts(words: Sequence[str]) -> None:
    from prep.operations.accounts import main as accounts  # noqa: PLC0415

    accounts(words)


def _run_catd(words: Sequence[str]) -> None:
    from prep.operations.catd import main as catd  # noqa: PLC0415

    catd(words[1:])


def _run_parked(words: Sequence[str]) -> None:
    from prep.operations.parked import main as parked  # noqa: PLC0415

    parked(words[1:])


def _run_decisions(words: Sequence[str]) -> None:
    from prep.operations.decisions import main as decisions  # noqa: PLC0415

    decisions(words)


def _run_quality(words: Sequence[str]) -> None:
    from prep.operations.quality import main as quality  # noqa: PLC0415

    quality(words[1:])


def _run_rules(words: Sequence[str]) -> None:
    from prep.operations.rules import main as rules  # noqa: PLC0415

    sys.exit(rules(words[1:]))


def _run_night(words: Sequence[str]) -> None:
    from prep.operations.night import main as night  # noqa: PLC0415

    night(words[1:])


def _run_openapi(words: Sequence[str]) -> None:
    """Print the description of the HTTP of `prep capture`; it needs no settings and no database."""
    from capture.app import described  # noqa: PLC0415
    from capture.description import as_text  # noqa: PLC0415

    Parser(prog="prep openapi", description="La descripción OpenAPI de la captura, en JSON.").parse_args(words[1:])
    print(as_text(described()), end="")


def _run_ceremonies(words: Sequence[str]) -> None:
    from prep.operations.ceremonies import main as ceremonies  # noqa: PLC0415

    ceremonies(words)


PROGRAMS: Final[Mapping[str, Callable[[Sequence[str]], None]]] = {
    "capture": _run_capture,
    "worker": _run_worker,
    "publish": _run_publish,
    "sequencer": _run_sequencer,
    "log": _run_log,
    "incident": _run_incident,
    "verify-database": _run_verify_database,
    "difusor": _run_difusor,
    "night": _run_night,
    "replay": _run_rehearsal,
    "demo": _run_rehearsal,
    "device": _run_accounts,
    "user": _run_accounts,
    "catd": _run_catd,
    "parked": _run_parked,
    "decide": _run_decisions,
    "list": _run_decisions,
    "quality": _run_quality,
    "rules": _run_rules,
    "openapi": _run_openapi,
    "software-digests": _run_ceremonies,
    "zero": _run_ceremonies,
    "close": _run_ceremonies,
}


def _prep_parser() -> Parser:
    parser = Parser(prog="prep", description="Un PREP abierto: de la imagen del acta al corte.")
    commands = parser.add_subparsers(required=True, metavar="ORDEN")

    def command(name: str, does: Callable[[argparse.Namespace, Settings], int], text: str) -> Parser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=does)
        return added

    for name, text in (
        ("demo", "una noche sintética completa"),
        ("replay", "una elección real, desde su archivo oficial"),
        ("night", "la noche, declarada una vez: la declara, la revisa, la muestra, repite un simulacro"),
        ("capture", "la recepción de imágenes y la captura"),
        ("worker", "los trabajadores de digitalización y validación"),
        ("publish", "los cortes"),
        ("sequencer", "la bitácora"),
        ("log", "la bitácora pasa a otra llave"),
        ("incident", "lo que todas las páginas dicen de la noche: publica un incidente, lo termina, los lista"),
        ("verify-database", "compara la base de datos con la bitácora, hoja por hoja"),
        ("software-digests", "las huellas de todo lo instalado, comparadas con la lista del auditor"),
        ("zero", "la puesta en ceros: se comprueba que no hay nada, y sale el corte 0 con su acto"),
        ("close", "el cierre: los conteos, el software y el acto del último corte"),
        ("difusor", "una copia de lo publicado que se comprueba a sí misma"),
        ("device", "inscribe dispositivos"),
        ("catd", "lo que digitaliza un CATD: envía la carpeta de un escáner, o el paquete de un teléfono"),
        ("user", "agrega personas"),
        ("rules", "los conjuntos de reglas: lista, muestra, revisa, comienza uno"),
        ("parked", "los mensajes apartados: lista, reintenta, propone descartar"),
        ("decide", "lo que deciden dos personas: confirma, rechaza, pide deshacer"),
        ("list", "las listas: personas, dispositivos, sitios, qué falta, qué espera y desde cuándo"),
        ("quality", "cómo se captura: coincidencia, tiempo y cansancio de cada persona, y el error de la noche"),
        ("openapi", "la descripción OpenAPI de la captura"),
    ):
        commands.add_parser(name, help=text, add_help=False)
    parser.add_argument("--version", action="version", version=VERSION, help="la versión instalada")
    command("serve", _serve_until_stopped, "todas las partes en esta máquina, con la base de datos incluida")
    command("migrate", _migrate_database, "crea o actualiza el esquema de la base de datos")
    scan = command("scan", _scan_images, "qué lee la cascada de decodificadores en cada imagen")
    scan.add_argument("images", nargs="+", type=Path, metavar="IMAGEN", help="archivos de imagen o PDF")
    scan.add_argument("--json", action="store_true", help="un objeto JSON por línea")
    bus = command("bus", _create_topics, "crea los temas del bus, donde los necesita")
    bus.add_argument("action", choices=("init",), help="init: crea los temas que faltan")
    kafka = command("kafka-dev", _kafka_dev, "un Kafka de desarrollo en esta máquina: lo inicia o lo detiene")
    kafka.add_argument(
        "action",
        choices=("up", "down", "kill", "start", "fetch"),
        help="up: lo inicia; down: lo detiene; kill y start: un solo nodo; fetch: descarga lo que necesita",
    )
    kafka.add_argument("node", nargs="?", type=int, default=1, metavar="NODO", help="con kill y start; 1 si no se dice")
    kafka.add_argument(
        "--nodes", type=int, choices=range(1, 6), metavar="N", help="con up: cuántos nodos; 1 si no se dice"
    )
    catalog = command("catalog", _catalog, "escribe un ejemplo del catálogo de la elección, lo revisa o lo carga")
    catalog.add_argument(
        "action",
        choices=("template", "check", "load", "stickers"),
        help="template: escribe un ejemplo; check: solo lo revisa; load: lo revisa y lo carga; "
        "stickers: las etiquetas con QR de sus actas, en PDF",
    )
    catalog.add_argument(
        "folder", type=Path, metavar="CARPETA", help="la carpeta con los archivos CSV; con template, una nueva"
    )
    catalog.add_argument(
        "--sheet", default="carta-10", metavar="HOJA", help="con stickers: carta-10, carta-6, carta-12 o a4-8"
    )
    catalog.add_argument("--election", default="", metavar="ELECCIÓN", help="con stickers: solo las de esa elección")
    catalog.add_argument(
        "--out", type=Path, default=Path("etiquetas.pdf"), metavar="ARCHIVO", help="con stickers: el PDF"
    )
    catalog.add_argument(
        "--accept-warnings", action="store_true", help="con load: lo carga aunque tenga avisos, y los guarda"
    )
    catalog.add_argument(
        "--replace",
        action="store_true",
        help="con load: sustituye al que está cargado, antes del corte 0; lo confirman dos personas",
    )
    catalog.add_argument("--by", metavar="USUARIO", help="con --replace: quien lo sustituye; su clave se pide")
    catalog.add_argument(
        "--with",
        dest="second",
        metavar="USUARIO",
        help="con --replace: otra persona que está de acuerdo; su clave se pide",
    )
    return parser


def _migrate_database(_: argparse.Namespace, settings: Settings) -> int:
    async def run() -> list[str]:
        async with embedded.database(settings) as urls:
            return await migrate(
                urls.owner, parts=urls.parts, other_site=timedelta(minutes=settings.other_site_minutes)
            )

    applied = asyncio.run(run())
    print("\n".join(applied) or "el esquema ya está al día")
    if settings.own_postgres and not settings.database_owner:
        print(
            "prep: sin PREP_DATABASE_OWNER la aplicación es dueña de los hechos y podría reescribirlos", file=sys.stderr
        )
    return 0


def _create_topics(_: argparse.Namespace, settings: Settings) -> int:
    if settings.bus is BusKind.EMBEDDED:
        print("el bus es el de PostgreSQL: no hay nada que crear")
        return 0
    from prep.bus.kafka_cluster import create_topics  # noqa: PLC0415  # only this command needs Kafka
    from prep.bus.opened import cluster  # noqa: PLC0415

    sentences, well = asyncio.run(create_topics(cluster(settings), settings.kafka_replication))
    print("\n".join(sentences))
    return 0 if well else 1


def _catalog(arguments: argparse.Namespace, settings: Settings) -> int:
    from prep.operations.catalog_commands import catalog_command  # noqa: PLC0415  # no part needs it to start

    return catalog_command(arguments, settings)


def _kafka_dev(arguments: argparse.Namespace, settings: Settings) -> int:
    from prep.bus.kafka_dev import DevKafka, jars  # noqa: PLC0415  # no part needs it to start

    folder = settings.data / "kafka"
    laid_out = DevKafka.nodes_in(folder)
    if arguments.action == "down":
        # Without a cluster in this folder there is no process to stop.
        if laid_out:
            DevKafka(folder, laid_out).stop()
        print(f"Kafka detenido; sus archivos quedan en {folder}" if laid_out else "no hay Kafka en esta carpeta")
        return 0
    if arguments.action == "fetch":
        print(jars())
        return 0
    if arguments.action in {"kill", "start"}:
        if not 1 <= arguments.node <= laid_out:
            raise Rejected(f"no hay un nodo {arguments.node} de Kafka en {folder}")
        kafka = DevKafka(folder, laid_out)
        (kafka.kill if arguments.action == "kill" else kafka.start)(arguments.node)
        return 0
    # A second `up` starts the same nodes again: their data names their number.
    nodes = arguments.nodes or laid_out or 1
    bootstrap = DevKafka(folder, nodes).up()
    print(f"Kafka listo ({nodes} {'nodo' if nodes == 1 else 'nodos'}). Para usarlo:")
    print(f"export PREP_BUS=kafka PREP_KAFKA={bootstrap} PREP_KAFKA_REPLICATION={min(3, nodes)}")
    print("prep bus init")
    return 0


def _scan_images(arguments: argparse.Namespace, _: Settings) -> int:
    from prep.scan.digitize import scan_files  # noqa: PLC0415  # only this command needs the decoders

    for found in scan_files(arguments.images):
        if arguments.json:
            print(json.dumps(found, ensure_ascii=False), flush=True)
        else:
            said = found.get("error") or found["text"] or "sin QR legible"
            print(f"{found['file']}: {said} ({found['decoder'] or '-'}, {found['ms']} ms)")
    return 0


def _serve_until_stopped(_: argparse.Namespace, settings: Settings) -> int:
    def stop_postgres() -> None:
        if not settings.own_postgres:
            embedded.stop(settings.data / "postgres")

    # If this process is killed, its parts end with it, and its heir stops PostgreSQL.
    with holding(settings.data, stop_postgres) as held:
        close_to_others(settings.data, public=settings.public)
        return asyncio.run(_serve_all(settings, held))


async def _serve_all(settings: Settings, held: Holding) -> int:
    """Keep every part running until SIGTERM or SIGINT. A part that ends starts again; so does our own PostgreSQL.

    Returns 2 if a part ended with an error that no restart can heal: all others end with it.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        held.is_ending()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    async with embedded.database(settings) as urls:
        await migrate(urls.owner, parts=urls.parts, other_site=timedelta(minutes=settings.other_site_minutes))
        statuses = await asyncio.gather(
            *(_keep_part_running(name, stop) for name in PARTS),
            *(() if settings.own_postgres else (_keep_postgres(settings.data / "postgres", stop),)),
        )
    return HOPELESS if HOPELESS in statuses else 0


async def _keep_part_running(name: str, stop: asyncio.Event) -> int:
    """Start one part, and start it again each time it ends, until `stop` is set. Then end it with SIGTERM.

    If the part says that no restart can heal it, `stop` is set for all and that status is returned.
    """
    while not stop.is_set():
        # Wait for the end of the part and for the order to stop, at the same time.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", operations.__name__, name, preexec_fn=dying_with(os.getpid())
        )
        ended = asyncio.create_task(process.wait())
        asked = asyncio.create_task(stop.wait())
        await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not ended.done():
            send(process, signal.SIGTERM)
            await ended
        elif process.returncode == HOPELESS and not stop.is_set():
            # The part has said why, in one sentence.
            print(
                f"prep: «{name}» no puede trabajar así, y reiniciarla no lo remedia: se detiene todo", file=sys.stderr
            )
            stop.set()
            return HOPELESS
        # A defect ends a part. The pause keeps a part that fails at every start from using the whole processor.
        elif not stop.is_set():
            print(f"prep: «{name}» terminó con {process.returncode}; se inicia de nuevo", file=sys.stderr)
            await asyncio.sleep(RESTART_SECONDS)
    return 0


async def _keep_postgres(folder: Path, stop: asyncio.Event) -> int:
    """Start our own PostgreSQL again each time it stops. The other parts go on without it and wait.

    Every failed start is printed and tried again. The recovery of a large database takes minutes, so there is no limit.
    """
    asked = asyncio.create_task(stop.wait())
    while not asked.done():
        if not embedded.is_running(folder):
            print("prep: PostgreSQL no responde; se inicia de nuevo", file=sys.stderr)
            starting = asyncio.create_task(embedded.start(folder))
            await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
            starting.cancel()
            # If it was asked to stop, the start is cancelled and ends here.
            [said] = await asyncio.gather(starting, return_exceptions=True)
            if isinstance(said, Exception):
                print(f"prep: {said.sentence if isinstance(said, PrepError) else repr(said)}", file=sys.stderr)
        await asyncio.wait({asked}, timeout=RESTART_SECONDS)
    return 0


if __name__ == "__main__":  # as scripts started it before the package had a `__main__`
    main()
