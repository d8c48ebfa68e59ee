"""The commands of the installation. Each part is a program of its own; this one starts them and does small things."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from prep.arguments import Parser
from prep.bus.kafka_dev import DevKafka, jars
from prep.domain.rules import OWN
from prep.errors import PrepError, Rejected
from prep.files.catalog_files import CatalogErrors, load_catalog
from prep.settings import BusKind, Settings, now, read_settings
from prep.store import catalog as catalog_store
from prep.store import embedded
from prep.store.database import migrate

PARTS: Final = ("capture", "worker", "publish", "sequencer")
"""The commands that `prep serve` keeps running."""
RESTART_SECONDS: Final = 1.0


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of `prep`. Exit status 0, or 2 with one sentence on stderr where the request cannot be met."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in PROGRAMS:
        PROGRAMS[words[0]](words)
        sys.exit(0)
    arguments = _parser().parse_args(words)
    try:
        command: Callable[[argparse.Namespace, Settings], int] = arguments.command
        sys.exit(command(arguments, read_settings()))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)


# Commands that are programs of their own. Each is imported when it is asked for: `prep scan` needs no web server.
# The programs that hold several commands are given the command's name too.


def _capture(words: Sequence[str]) -> None:
    from capture.service import main as capture  # noqa: PLC0415

    capture(words[1:])


def _worker(words: Sequence[str]) -> None:
    from prep.worker import main as worker  # noqa: PLC0415

    worker(words[1:])


def _publish(words: Sequence[str]) -> None:
    from publisher.service import main as publish  # noqa: PLC0415

    publish(words[1:])


def _sequencer(words: Sequence[str]) -> None:
    from publisher.log.sequencer import main as sequencer  # noqa: PLC0415

    sequencer(words[1:])


def _log(words: Sequence[str]) -> None:
    from publisher.log.rotation import main as rotation  # noqa: PLC0415

    rotation(words[1:])


def _verify_database(words: Sequence[str]) -> None:
    from publisher.log.comparison import main as comparison  # noqa: PLC0415

    comparison(words[1:])


def _difusor(words: Sequence[str]) -> None:
    from publisher.mirror.mirror import main as mirror  # noqa: PLC0415

    mirror(words[1:])


def _night(words: Sequence[str]) -> None:
    from prep.rehearsal.night import main as night  # noqa: PLC0415

    sys.exit(night(words))


def _accounts(words: Sequence[str]) -> None:
    from prep.operations.accounts import main as accounts  # noqa: PLC0415

    accounts(words[1:])


def _parked(words: Sequence[str]) -> None:
    from prep.operations.parked import main as parked  # noqa: PLC0415

    parked(words[1:])


def _rules(words: Sequence[str]) -> None:
    from prep.operations.rules import main as rules  # noqa: PLC0415

    sys.exit(rules(words[1:]))


def _ceremonies(words: Sequence[str]) -> None:
    from prep.operations.ceremonies import main as ceremonies  # noqa: PLC0415

    ceremonies(words)


PROGRAMS: Final[Mapping[str, Callable[[Sequence[str]], None]]] = {
    "capture": _capture,
    "worker": _worker,
    "publish": _publish,
    "sequencer": _sequencer,
    "log": _log,
    "verify-database": _verify_database,
    "difusor": _difusor,
    "replay": _night,
    "demo": _night,
    "device": _accounts,
    "user": _accounts,
    "parked": _parked,
    "rules": _rules,
    "software-digests": _ceremonies,
    "zero": _ceremonies,
    "close": _ceremonies,
}


def _parser() -> Parser:
    parser = Parser(prog="prep", description="Un PREP abierto: de la imagen del acta al corte.")
    commands = parser.add_subparsers(required=True, metavar="ORDEN")

    def command(name: str, does: Callable[[argparse.Namespace, Settings], int], text: str) -> Parser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=does)
        return added

    for name, text in (
        ("demo", "una noche sintética completa"),
        ("replay", "una elección real, desde su archivo oficial"),
        ("capture", "la recepción de imágenes y la captura"),
        ("worker", "los trabajadores de digitalización y validación"),
        ("publish", "los cortes"),
        ("sequencer", "la bitácora"),
        ("log", "la bitácora pasa a otra llave"),
        ("verify-database", "compara la base de datos con la bitácora, hoja por hoja"),
        ("software-digests", "las huellas de todo lo instalado, comparadas con la lista del auditor"),
        ("zero", "la puesta en ceros: se comprueba que no hay nada, y sale el corte 0 con su acto"),
        ("close", "el cierre: los conteos, el software y el acto del último corte"),
        ("difusor", "una copia de lo publicado que se comprueba a sí misma"),
        ("device", "inscribe dispositivos"),
        ("user", "agrega personas"),
        ("rules", "los conjuntos de reglas: lista, muestra, revisa, comienza uno"),
        ("parked", "los mensajes apartados: lista, reintenta, descarta"),
    ):
        commands.add_parser(name, help=text, add_help=False)
    command("serve", _serve, "todas las partes en esta máquina, con la base de datos incluida")
    command("migrate", _migrate, "crea o actualiza el esquema de la base de datos")
    scan = command("scan", _scan, "qué lee la cascada de decodificadores en cada imagen")
    scan.add_argument("images", nargs="+", type=Path, metavar="IMAGEN")
    scan.add_argument("--json", action="store_true", help="un objeto JSON por línea")
    bus = command("bus", _bus, "crea los temas del bus, donde los necesita")
    bus.add_argument("action", choices=("init",))
    kafka = command("kafka-dev", _kafka_dev, "un Kafka de desarrollo en esta máquina: lo inicia o lo detiene")
    kafka.add_argument("action", choices=("up", "down", "kill", "start", "fetch"))
    kafka.add_argument("node", nargs="?", type=int, default=1, metavar="NODO", help="con kill y start; 1 si no se dice")
    kafka.add_argument("--nodes", type=int, choices=range(1, 6), metavar="N", help="1 si no se dice")
    catalog = command("catalog", _catalog, "revisa o carga el catálogo de la elección")
    catalog.add_argument("action", choices=("check", "load"))
    catalog.add_argument("folder", type=Path, metavar="CARPETA")
    return parser


def _migrate(_: argparse.Namespace, settings: Settings) -> int:
    async def run() -> list[str]:
        async with embedded.database(settings) as urls:
            return await migrate(urls.owner, app=urls.app)

    applied = asyncio.run(run())
    print("\n".join(applied) or "el esquema ya está al día")
    if settings.database and not settings.database_owner:
        print(
            "prep: sin PREP_DATABASE_OWNER la aplicación es dueña de los hechos y podría reescribirlos", file=sys.stderr
        )
    return 0


def _bus(_: argparse.Namespace, settings: Settings) -> int:
    if settings.bus is BusKind.EMBEDDED:
        print("el bus es el de PostgreSQL: no hay nada que crear")
        return 0
    from prep.bus.kafka import create_topics  # noqa: PLC0415  # only this command needs Kafka
    from prep.bus.opened import cluster  # noqa: PLC0415

    sentences, well = asyncio.run(create_topics(cluster(settings), settings.kafka_replication))
    print("\n".join(sentences))
    return 0 if well else 1


def _kafka_dev(arguments: argparse.Namespace, settings: Settings) -> int:
    folder = settings.data / "kafka"
    laid_out = DevKafka.nodes_in(folder)
    if arguments.action == "down":
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
    nodes = arguments.nodes or laid_out or 1
    bootstrap = DevKafka(folder, nodes).up()
    print(f"Kafka listo ({nodes} {'nodo' if nodes == 1 else 'nodos'}). Para usarlo:")
    print(f"export PREP_BUS=kafka PREP_KAFKA={bootstrap} PREP_KAFKA_REPLICATION={min(3, nodes)}")
    print("prep bus init")
    return 0


def _scan(arguments: argparse.Namespace, _: Settings) -> int:
    from prep.scan.digitize import scan_files  # noqa: PLC0415  # only this command needs the decoders

    for found in scan_files(arguments.images):
        if arguments.json:
            print(json.dumps(found, ensure_ascii=False), flush=True)
        else:
            said = found.get("error") or found["text"] or "sin QR legible"
            print(f"{found['file']}: {said} ({found['decoder'] or '-'}, {found['ms']} ms)")
    return 0


def catalog_files(folder: Path) -> dict[str, bytes]:
    """The files of a catalogue's folder by name: its tables, and the rule sets that the election brings."""
    rules = (path for path in sorted((folder / OWN).glob("*")) if path.suffix in {".json", ".toml"})
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in (*sorted(folder.glob("*.csv")), *rules)}


def _catalog(arguments: argparse.Namespace, settings: Settings) -> int:
    try:
        catalog = load_catalog(catalog_files(arguments.folder))
    except CatalogErrors as errors:
        for finding in errors.findings:
            print(f"{finding.file}:{finding.line}: {finding.column}: {finding.sentence}", file=sys.stderr)
        print(f"prep: {len(errors.findings)} errores; no se cargó nada", file=sys.stderr)
        return 1
    print(
        f"{len(catalog.casillas)} casillas, {len(catalog.elections)} elecciones, {len(catalog.actas)} actas esperadas"
    )
    print(f"huella del catálogo: {catalog.digest}")
    if arguments.action == "load":

        async def run() -> None:
            async with embedded.database(settings) as urls:
                await migrate(urls.owner, app=urls.app)
                await catalog_store.load(urls.owner, catalog, at=now())

        asyncio.run(run())
        print("catálogo cargado")
    return 0


def _serve(_: argparse.Namespace, settings: Settings) -> int:
    return asyncio.run(_serve_all(settings))


async def _serve_all(settings: Settings) -> int:
    """Keep every part running until SIGTERM or SIGINT; a part that ends is started again, Postgres included."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with embedded.database(settings) as urls:
        await migrate(urls.owner, app=urls.app)
        await asyncio.gather(
            *(_keep(name, stop) for name in PARTS),
            *(() if settings.database else (_keep_postgres(settings.data / "postgres", stop),)),
        )
    return 0


async def _keep(name: str, stop: asyncio.Event) -> None:
    while not stop.is_set():
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", __spec__.name, name)
        ended = asyncio.create_task(process.wait())
        asked = asyncio.create_task(stop.wait())
        await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not ended.done():
            process.terminate()
            await ended
        elif not stop.is_set():
            print(f"prep: «{name}» terminó con {process.returncode}; se inicia de nuevo", file=sys.stderr)
            await asyncio.sleep(RESTART_SECONDS)


async def _keep_postgres(folder: Path, stop: asyncio.Event) -> None:
    """The other parts go on without it. However it fails to start, it is tried again; recovery takes what it takes."""
    asked = asyncio.create_task(stop.wait())
    while not asked.done():
        if not embedded.is_running(folder):
            print("prep: PostgreSQL no responde; se inicia de nuevo", file=sys.stderr)
            starting = asyncio.create_task(embedded.start(folder))
            await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
            starting.cancel()
            [said] = await asyncio.gather(starting, return_exceptions=True)
            if isinstance(said, Exception):
                print(f"prep: {said.sentence if isinstance(said, PrepError) else repr(said)}", file=sys.stderr)
        await asyncio.wait({asked}, timeout=RESTART_SECONDS)


if __name__ == "__main__":
    main()
