"""The ceremonies of a night: what is deployed, the database at zero, the close.

    prep software-digests [--out FILE] [--compare FILE] [--no-record]
    prep zero
    prep close

    software list ─► everything counted, and empty ─► leaf `cero` ─► corte 0 ─► documents ─► leaf `acto`
    … the night …
    software list again ─► everything counted again ─► documents of the final corte ─► leaf `acto`

Each may be started again wherever it stopped, and goes on with what is on record. The documents of an act are a folder
under PREP_DATA/actos with a SHA256SUMS of its own, so that people sign it as they sign a corte (`integrity seal export`
and `import`). They are handed over on paper and are not in the published tree: the log has their digest, which whoever
holds them can compare. No leaf names a person, and neither does a document: names are written by hand.

Exit status 0; 1 where something is not at zero or is not what the auditor's list says, each difference named; 2 where
it cannot be done.
"""

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import uvloop

from integrity import durable
from integrity.layout import SUMS, corte_folder
from integrity.sealing.certificates import NotSealed, load
from integrity.sealing.stamp import Authority, Unanswered, ask
from integrity.strict_json import canonical_json
from integrity.sums import Malformed, read_sums
from prep.arguments import Parser
from prep.blobs import Blobs
from prep.bus.opened import open_bus
from prep.errors import PrepError, Rejected, Unavailable
from prep.messages import Topic
from prep.operations import documents as acts
from prep.operations import software
from prep.settings import CENTRAL, Settings, now, read_settings
from prep.store import catalog, cortes, embedded
from prep.store import ceremony as store
from prep.store.cortes import Corte, Phase
from prep.store.database import Connection, connect
from publisher.command import by_hand, wired
from publisher.gate import GateFailure

INICIO: Final = "inicio"
CIERRE: Final = "cierre"
FOLDERS: Final[Mapping[str, str]] = {INICIO: "cero", CIERRE: "cierre"}
TITLES: Final[Mapping[str, str]] = {
    INICIO: "Acto de puesta en ceros de la base de datos",
    CIERRE: "Acto de cierre",
}
LOOKING: Final = "prep-ceremonia"
"""Group of the bus that has read nothing: what it lacks is all that there is."""
CLOCKS: Final = timedelta(seconds=5)
"""How far clocks may be apart."""
SOME: Final = 20
"""Differences that are printed; the rest are counted."""
LIST: Final = "software.txt"
COUNTS: Final = "conteos.json"
ACT: Final = "acto.pdf"


@dataclass(frozen=True, slots=True)
class Hall:
    """Where a ceremony takes place."""

    settings: Settings
    connection: Connection
    url: str
    folder: Path


def _say(sentences: Sequence[str], mark: str = "✗") -> None:
    for sentence in sentences[:SOME]:
        print(f"{mark} {sentence}")
    if len(sentences) > SOME:
        print(f"{mark} … y {len(sentences) - SOME} más")


# --- software ---------------------------------------------------------------------------------------------------------


async def software_digests(hall: Hall, *, out: Path | None, compare: Path | None, record: bool) -> int:
    """The list of what is deployed, compared with the auditor's and put on record where nothing differs."""
    text = await _list(hall)
    out = out or hall.folder / LIST
    await asyncio.to_thread(_write, out, text.encode())
    digest = hashlib.sha256(text.encode()).hexdigest()
    print(f"{len(text.splitlines())} renglones en {out}\nhuella de la lista: {digest}")
    wrong = await asyncio.to_thread(software.altered, text)
    if compare is not None:
        wrong += software.differences(text, _read(compare))
    _say(wrong)
    if wrong:
        print(f"{len(wrong)} diferencias; no se dejó constancia en la bitácora")
        return 1
    if record and await store.find(hall.connection, "software", INICIO) != text:
        await store.add(hall.connection, "software", INICIO, text, now())
    return 0


async def _list(hall: Hall) -> str:
    runs = {"PostgreSQL": await store.server(hall.connection)}
    return await asyncio.to_thread(software.listing, runs)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise Rejected(f"no se puede leer la lista {path}") from None


# --- what there is ----------------------------------------------------------------------------------------------------


async def look(hall: Hall, momento: str) -> tuple[dict[str, Any], list[str]]:
    """Everything counted, as the document says it; and, at the zero, what is not as it must be."""
    settings, connection = hall.settings, hall.connection
    digest = await catalog.digest(connection)
    if digest is None:
        raise Rejected("no hay catálogo: cárguelo con «prep catalog load»")
    tables = await store.counts(connection)
    kept = await Blobs.open(settings.blobs_url, s3=settings.s3).names()
    waiting = await _bus(hall)
    clocks, apart = await _clocks(hall)
    said: dict[str, Any] = {
        "formato": 1,
        "momento": momento,
        "origen": settings.log_name,
        "simulacro": settings.simulacro,
        "fecha_hora": _moment(now()),
        "catalogo": digest,
        "tablas": tables,
        "almacen": {"objetos": len(kept), "sha256": hashlib.sha256("\n".join(kept).encode()).hexdigest()},
        "bus": waiting,
        "esquema": await store.schema(connection),
        "migraciones": await store.migrations(connection),
        "postgresql": await store.server(connection),
        "relojes": clocks,
    }
    full = {name: rows for name, rows in tables.items() if rows and name not in store.PREPARED}
    wrong = [f"la tabla {name} tiene {rows} renglones" for name, rows in full.items()]
    wrong += [f"el almacén de imágenes tiene {len(kept)} objetos; el primero, {kept[0]}"] if kept else []
    wrong += [f"el bus tiene {count} mensajes en «{topic}»" for topic, count in waiting.items() if count]
    return said, wrong + apart


async def _bus(hall: Hall) -> dict[str, int]:
    bus = open_bus(hall.settings, hall.url)
    try:
        return {topic.value: await bus.lag(topic, LOOKING) for topic in Topic}
    finally:
        await bus.close()


async def _clocks(hall: Hall) -> tuple[dict[str, Any], list[str]]:
    """The clock of this machine, the database's and, where one is set, a time stamp authority's."""
    before = now()
    there = await store.clock(hall.connection)
    said: dict[str, Any] = {"maquina": _moment(before), "base_de_datos": _moment(there), "autoridad_de_tiempo": None}
    wrong = _apart("la base de datos", there, before, now())
    if hall.settings.tsa and hall.settings.tsa_ca:
        stamped, slack, why = await _ask_authority(hall.settings.tsa.split(",")[0], hall.settings.tsa_ca)
        if stamped is not None:
            said["autoridad_de_tiempo"] = _moment(stamped)
            wrong += _apart("la autoridad de tiempo", stamped, before - slack, now() + slack)
        else:
            said["autoridad_de_tiempo"] = why
    return said, wrong


def _apart(whose: str, theirs: datetime, before: datetime, after: datetime) -> list[str]:
    """`theirs` was read between `before` and `after`."""
    distance = max(before - theirs, theirs - after, timedelta())
    if distance <= CLOCKS:
        return []
    return [f"el reloj de {whose} difiere {distance.total_seconds():.0f} s del de esta máquina"]


async def _ask_authority(url: str, ca: Path) -> tuple[datetime | None, timedelta, str]:
    """Its hour, how far that may be off, or why there is none: an authority that is away stops no ceremony."""
    try:
        trusted = load(await asyncio.to_thread(ca.read_bytes))
        _, stamp = await ask(Authority(url, trusted), b"reloj")
    except (NotSealed, Unanswered) as problem:
        return None, timedelta(), problem.sentence
    except OSError:
        raise Rejected(f"no se puede leer {ca}") from None
    return stamp.at, (stamp.accuracy or timedelta()) + timedelta(seconds=1), ""


def _moment(at: datetime) -> str:
    return at.astimezone(CENTRAL).isoformat(timespec="milliseconds")


# --- zero -------------------------------------------------------------------------------------------------------------


async def zero(hall: Hall) -> int:
    """Refuse unless everything is at zero; then corte 0, and its act."""
    if await store.find(hall.connection, "acto", INICIO) is not None:
        print(f"la puesta en ceros ya se hizo; sus documentos están en {hall.folder / FOLDERS[INICIO]}")
        return 0
    counted = await store.find(hall.connection, "cero", INICIO)
    if counted is None:
        said, wrong = await look(hall, INICIO)
        if wrong:
            _say(wrong)
            print("no está en ceros: no se publicó nada")
            return 1
        counted = _text(said)
        await store.add(hall.connection, "cero", INICIO, counted, now())
    # That everything was at zero is a fact, and the log tells it before corte 0. If we stop here, the next run goes on.
    await _publish_zero(hall.settings)
    first = await cortes.corte(hall.connection, 0)
    assert first is not None
    listed = await store.find(hall.connection, "software", INICIO)
    # Corte 0 is out. The documents are made once; if we stop before their record, the next run takes them as they are.
    await _act(hall, INICIO, first, {COUNTS: counted, **({LIST: listed} if listed else {})}, _told_at_zero(first))
    return 0


async def _publish_zero(settings: Settings) -> None:
    """By the publisher itself: it finishes what it finds and cuts nothing else."""
    try:
        async with wired(settings) as publisher:
            await by_hand(publisher, final=False, zero=True)
    except GateFailure as failure:
        raise Rejected(f"el corte 0 no salió: la compuerta lo detuvo, {failure.findings[0].check}") from failure
    except PrepError as error:
        raise Rejected(f"el corte 0 no salió: {error.sentence}") from error


def _told_at_zero(first: Corte) -> list[str]:
    return [
        "Antes de recibir la primera acta se contó todo lo que el sistema guarda.",
        "No había imágenes, capturas, versiones de actas, cortes ni mensajes en espera.",
        f"El corte 0, con todos sus valores en cero, se publicó el {_paper(first.at)}.",
    ]


def _paper(at: datetime) -> str:
    return f"{at.astimezone(CENTRAL):%d/%m/%Y a las %H:%M:%S} (hora del centro)"


# --- close ------------------------------------------------------------------------------------------------------------


async def close(hall: Hall, *, compare: Path | None) -> int:
    """After the last corte: the software and the counts again, and the act. What differs is named, and in the act."""
    last = await cortes.last(hall.connection)
    if last is None or last.phase is not Phase.FINAL:
        raise Rejected("el cierre va después del último corte, y todavía no ha salido")
    text = await store.find(hall.connection, "software", CIERRE)
    if text is None:
        text = await _list(hall)
        await store.add(hall.connection, "software", CIERRE, text, now())
    before = await store.find(hall.connection, "software", INICIO)
    wrong = [] if before is None else [*software.differences(text, before)]
    wrong += software.differences(text, _read(compare)) if compare else []
    if await store.find(hall.connection, "acto", CIERRE) is not None:
        print(f"el cierre ya se hizo; sus documentos están en {hall.folder / FOLDERS[CIERRE]}")
    else:
        said, _ = await look(hall, CIERRE)
        same = "No hay lista del inicio con que comparar." if before is None else _same(wrong)
        told = [f"El corte {last.number}, el último, se publicó el {_paper(last.at)}.", f"Software: {same}"]
        await _act(hall, CIERRE, last, {COUNTS: _text(said), LIST: text}, told)
    _say(wrong)
    return 1 if wrong else 0


def _same(wrong: Sequence[str]) -> str:
    return f"{len(wrong)} archivos no son los del inicio." if wrong else "todos los archivos son los del inicio."


# --- documents --------------------------------------------------------------------------------------------------------


async def _act(hall: Hall, momento: str, corte: Corte, documents: Mapping[str, str], told: Sequence[str]) -> None:
    """The folder of documents, whole or not at all; then its record, from which the log tells it."""
    target = hall.folder / FOLDERS[momento]
    sums = await asyncio.to_thread(_make, hall, momento, corte, documents, told)
    await store.add(hall.connection, "acto", momento, sums, now())
    print(f"documentos en {target}\nhuella de su {SUMS}: {hashlib.sha256(sums.encode()).hexdigest()}")
    for folder in (_published(hall.settings, corte), target):
        print(f"para firmarlo: integrity seal export {folder} --out ARCHIVO")


def _make(hall: Hall, momento: str, corte: Corte, documents: Mapping[str, str], told: Sequence[str]) -> str:
    target = hall.folder / FOLDERS[momento]
    if target.exists():  # by a run that stopped before the record
        return _whole(target)
    contents = {name: text.encode() for name, text in documents.items()}
    contents[ACT] = acts.pdf(_written(hall.settings, momento, corte, contents, told))
    sums = "".join(f"{hashlib.sha256(held).hexdigest()}  {name}\n" for name, held in sorted(contents.items()))
    fresh = target.with_name(f".{target.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, held in {**contents, SUMS: sums.encode()}.items():
        _write(fresh / name, held)
    fresh.rename(target)
    return sums


def _whole(target: Path) -> str:
    try:
        content = (target / SUMS).read_bytes()
        for name, digest in read_sums(content).items():
            if hashlib.sha256((target / name).read_bytes()).hexdigest() != digest:
                raise Rejected(f"{target / name} no es el que se hizo: quite la carpeta y repita la ceremonia")
    except (OSError, Malformed):
        raise Rejected(f"{target} no está completa: quítela y repita la ceremonia") from None
    return content.decode()


def _written(
    settings: Settings, momento: str, corte: Corte, contents: Mapping[str, bytes], told: Sequence[str]
) -> acts.Act:
    folder = _published(settings, corte)
    try:
        listed = read_sums((folder / SUMS).read_bytes())
    except (OSError, Malformed):
        raise Unavailable(f"el corte {corte.number} está registrado y {folder} todavía no está completa") from None
    files = {f"{folder.name}/{name}": digest for name, digest in listed.items()}
    files[f"{folder.name}/{SUMS}"] = corte.sums
    files |= {name: hashlib.sha256(held).hexdigest() for name, held in contents.items()}
    counted = _counts(contents[COUNTS])
    return acts.Act(TITLES[momento], settings.simulacro, told, counted, files)


def _counts(document: bytes) -> dict[str, str]:
    """What the act shows of the document, whose digest it also has."""
    said = json.loads(document)
    tables = {f"renglones de {name}": str(rows) for name, rows in said["tablas"].items() if name not in store.PREPARED}
    waiting = {f"mensajes en «{topic}»": str(count) for topic, count in said["bus"].items()}
    clocks = {f"reloj: {name.replace('_', ' ')}": at or "no hay" for name, at in said["relojes"].items()}
    more = {"huella del esquema": said["esquema"], "huella del catálogo": said["catalogo"]}
    return {**tables, "objetos en el almacén de imágenes": str(said["almacen"]["objetos"]), **waiting, **clocks, **more}


def _published(settings: Settings, corte: Corte) -> Path:
    return settings.public / corte_folder(corte.number)


def _text(said: Mapping[str, Any]) -> str:
    return canonical_json(said).decode() + "\n"


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(path, content)
    except OSError as error:
        raise Rejected(f"no se puede escribir {path}: {error.strerror}") from None


# --- the commands -----------------------------------------------------------------------------------------------------


def _parser() -> Parser:
    parser = Parser(prog="prep", description="Las ceremonias de la noche.")
    commands = parser.add_subparsers(required=True, metavar="ORDEN", dest="ceremony")
    digests = commands.add_parser("software-digests", help="las huellas de todo lo instalado")
    digests.add_argument("--out", type=Path, metavar="ARCHIVO", help="dónde dejar la lista")
    digests.add_argument("--no-record", action="store_true", help="no dejar constancia en la bitácora")
    commands.add_parser("zero", help="la puesta en ceros")
    ending = commands.add_parser("close", help="el cierre")
    for each in (digests, ending):
        each.add_argument("--compare", type=Path, metavar="LISTA", help="la lista del auditor, con la que se compara")
    return parser


@asynccontextmanager
async def hall(settings: Settings) -> AsyncIterator[Hall]:
    async with embedded.database(settings) as urls, connect(urls.app) as connection:
        yield Hall(settings, connection, urls.app, settings.data / "actos")


async def run(arguments: argparse.Namespace) -> int:
    async with hall(read_settings()) as opened:
        match arguments.ceremony:
            case "zero":
                return await zero(opened)
            case "close":
                return await close(opened, compare=arguments.compare)
            case _:
                words = {"out": arguments.out, "compare": arguments.compare, "record": not arguments.no_record}
                return await software_digests(opened, **words)


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0, 1 or 2, as above."""
    arguments = _parser().parse_args(argv)
    os.umask(0o022)
    try:
        sys.exit(uvloop.run(run(arguments)))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)
