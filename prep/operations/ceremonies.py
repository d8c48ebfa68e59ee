"""The ceremonies of a night: the list of the installed software, the database at zero, the close.

    prep software-digests [--out FILE] [--compare FILE] [--no-record]
    prep zero
    prep close [--compare FILE]

    software list ─► everything counted, and empty ─► leaf `cero` ─► corte 0 ─► documents ─► leaf `acto`
    … the night …
    software list again ─► everything counted again ─► documents of the final corte ─► leaf `acto`

If a ceremony stops half-way, start it again: it goes on from the records that it left. The documents of an act are a
folder under PREP_DATA/actos with a SHA256SUMS of its own. People sign this folder as they sign a corte (`integrity seal
export` and `import`). The institute hands the documents over on paper and does not publish them. The log holds their
digest, so a person with the documents can check them. No leaf and no document names a person: people write their names
by hand.

Exit status: 0; 1 if a count is not zero or a file differs from the auditor's list (each difference is printed); 2 if
the ceremony cannot be done.
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
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final

import uvloop

from capture.quality import told_of_night
from integrity import durable
from integrity.layout import SUMS, corte_folder
from integrity.sealing.asking import Unanswered, ask
from integrity.sealing.certificates import NotSealed, load
from integrity.sealing.stamp import Authority
from integrity.strict_json import canonical_json
from integrity.sums import Malformed, read_sums
from prep import observe
from prep.arguments import Parser
from prep.blobs import Blobs
from prep.bus.opened import open_bus
from prep.domain.corte import Corte, Phase
from prep.domain.hours import CENTRAL, hour_words
from prep.domain.night import Night
from prep.domain.quality import NightQuality
from prep.errors import PrepError, Rejected, Unavailable, reason_of
from prep.messages import Topic
from prep.operations import documents as acts
from prep.operations import night as night_orders
from prep.operations import software
from prep.settings import Part, Settings, now, read_settings
from prep.store import catalog, cortes, embedded, quality
from prep.store import ceremony as store
from prep.store import night as night_store
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
"""A group of the bus that never reads. So the number of messages that it has not read is the number of all messages."""
CLOCKS: Final = timedelta(seconds=5)
"""Two clocks may differ by this much."""
SOME: Final = 20
"""This many differences are printed; for the rest, only their number."""
LIST: Final = "software.txt"
COUNTS: Final = "conteos.json"
ACT: Final = "acto.pdf"
QUALITY: Final = "calidad.json"


@dataclass(frozen=True, slots=True)
class Hall:
    """The place of a ceremony: the settings, the database and the folder of its documents."""

    settings: Settings
    connection: Connection
    audit: Connection
    """Reads everything, and writes nothing: the counts come from here."""
    audit_url: str
    folder: Path
    night: Night | None = None

    @property
    def declared(self) -> Night:
        """Raises Rejected if no night is declared."""
        if self.night is None:
            raise night_store.undeclared()
        return self.night


def _print_differences(sentences: Sequence[str], mark: str = "✗") -> None:
    for sentence in sentences[:SOME]:
        print(f"{mark} {sentence}")
    if len(sentences) > SOME:
        print(f"{mark} … y {len(sentences) - SOME} más")


# --- software ---------------------------------------------------------------------------------------------------------


async def software_digests(hall: Hall, *, out: Path | None, compare: Path | None, record: bool) -> int:
    """Print the list of the installed software and compare it with the auditor's. If no file differs, put it on record.

    The record makes the log tell the list. The same list is not recorded twice.
    """
    text = await _software_list(hall)
    out = out or hall.folder / LIST
    await asyncio.to_thread(_write_file, out, text.encode())
    digest = hashlib.sha256(text.encode()).hexdigest()
    print(f"{len(text.splitlines())} renglones en {out}\nhuella de la lista: {digest}")
    wrong = await asyncio.to_thread(software.altered, text)
    if compare is not None:
        wrong += software.differences(text, _auditor_list(compare))
    _print_differences(wrong)
    if wrong:
        print(f"{len(wrong)} diferencias; no se dejó constancia en la bitácora")
        return 1
    if record and await store.find(hall.connection, "software", INICIO) != text:
        await store.add(hall.connection, "software", INICIO, text, now())
    return 0


async def _software_list(hall: Hall) -> str:
    runs = {"PostgreSQL": await store.server(hall.connection)}
    return await asyncio.to_thread(software.listing, runs)


def _auditor_list(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise Rejected(f"no se puede leer la lista {path}") from None


# --- counts -----------------------------------------------------------------------------------------------------------


async def look(hall: Hall, momento: str) -> tuple[dict[str, Any], list[str]]:
    """Count all that the system holds: the document with the counts, and one sentence for each thing that is not zero.

    The caller ignores the sentences at the close. Tables with prepared data (catalogue, people) may hold rows at zero.
    """
    settings, connection = hall.settings, hall.audit
    digest = await catalog.digest(connection)
    if digest is None:
        raise Rejected("no hay catálogo: cárguelo con «prep catalog load»")
    tables = await store.counts(connection)
    kept = await Blobs.open(settings.blobs_url, s3=settings.s3).names()
    waiting = await _bus_counts(hall)
    clocks, apart = await _clock_readings(hall)
    said: dict[str, Any] = {
        "formato": 1,
        "momento": momento,
        "origen": hall.declared.log_name,
        "simulacro": hall.declared.simulacro,
        "declaracion": hall.declared.digest,
        "fecha_hora": _iso_moment(now(), hall.declared.tz),
        "catalogo": digest,
        "tablas": tables,
        "almacen": {"objetos": len(kept), "sha256": hashlib.sha256("\n".join(kept).encode()).hexdigest()},
        "bus": waiting,
        "esquema": await store.schema(connection),
        "migraciones": await store.migrations(connection),
        "postgresql": await store.server(connection),
        "relojes": clocks,
    }
    # All other tables must be empty: a row from before the act would be data that no witness saw arrive.
    full = {name: rows for name, rows in tables.items() if rows and name not in store.PREPARED}
    wrong = [f"la tabla {name} tiene {rows} renglones" for name, rows in full.items()]
    wrong += [f"el almacén de imágenes tiene {len(kept)} objetos; el primero, {kept[0]}"] if kept else []
    wrong += [f"el bus tiene {count} mensajes en «{topic}»" for topic, count in waiting.items() if count]
    return said, wrong + apart


async def _bus_counts(hall: Hall) -> dict[str, int]:
    bus = open_bus(hall.settings, hall.audit_url)
    try:
        return {topic.value: await bus.lag(topic, LOOKING) for topic in Topic}
    finally:
        await bus.close()


async def _clock_readings(hall: Hall) -> tuple[dict[str, Any], list[str]]:
    """The clocks of this machine, of the database and of the time stamp authority (if the settings name one).

    Returns them for the document, and one sentence for each clock that is too far from this machine's.
    """
    before = now()
    there = await store.clock(hall.connection)
    said: dict[str, Any] = {
        "maquina": _iso_moment(before, hall.declared.tz),
        "base_de_datos": _iso_moment(there, hall.declared.tz),
        "autoridad_de_tiempo": None,
    }
    wrong = _clock_difference("la base de datos", there, before, now())
    if hall.settings.tsa and hall.settings.tsa_ca:
        stamped, slack, why = await _ask_authority(hall.settings.tsa.split(",")[0], hall.settings.tsa_ca)
        if stamped is not None:
            said["autoridad_de_tiempo"] = _iso_moment(stamped, hall.declared.tz)
            wrong += _clock_difference("la autoridad de tiempo", stamped, before - slack, now() + slack)
        else:
            said["autoridad_de_tiempo"] = why
    return said, wrong


def _clock_difference(whose: str, theirs: datetime, before: datetime, after: datetime) -> list[str]:
    """One sentence if a clock is too far from ours. `theirs` was read between our times `before` and `after`."""
    distance = abs(observe.apart(before, theirs, after))
    if distance <= CLOCKS:
        return []
    return [f"el reloj de {whose} difiere {distance.total_seconds():.0f} s del de esta máquina"]


async def _ask_authority(url: str, ca: Path) -> tuple[datetime | None, timedelta, str]:
    """The authority's time and its possible error; or None and the reason.

    An authority that does not answer does not stop the ceremony: the document states the reason.
    """
    try:
        trusted = load(await asyncio.to_thread(ca.read_bytes))
        _, stamp = await ask(Authority(url, trusted), b"reloj")
    except (NotSealed, Unanswered) as problem:
        return None, timedelta(), problem.sentence
    except OSError:
        raise Rejected(f"no se puede leer {ca}") from None
    # Stamps may be cut to whole seconds, so one more second is no error.
    return stamp.at, (stamp.accuracy or timedelta()) + timedelta(seconds=1), ""


def _iso_moment(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).isoformat(timespec="milliseconds")


# --- zero -------------------------------------------------------------------------------------------------------------


async def zero(hall: Hall) -> int:
    """Check that everything is at zero. If it is, publish corte 0 and make the documents of the act."""
    if await store.find(hall.connection, "acto", INICIO) is not None:
        print(f"la puesta en ceros ya se hizo; sus documentos están en {hall.folder / FOLDERS[INICIO]}")
        return 0
    if obstacles := await night_orders.check(hall.connection):
        _print_differences(obstacles)
        print("la noche no puede ser así: no se publicó nada")
        return 1
    counted = await store.find(hall.connection, "cero", INICIO)
    if counted is None:
        said, wrong = await look(hall, INICIO)
        if wrong:
            _print_differences(wrong)
            print("no está en ceros: no se publicó nada")
            return 1
        counted = _canonical_text(said)
        await store.add(hall.connection, "cero", INICIO, counted, now())
    # The record «everything was at zero» exists now; the log tells it before corte 0. If we stop here, the next run
    # finds the record and goes on from this line.
    await _publish_zero(hall.settings)
    first = await cortes.corte(hall.connection, 0)
    assert first is not None
    listed = await store.find(hall.connection, "software", INICIO)
    # Corte 0 is published. The documents are made once. If we stop before their record, the next run uses them as they
    # are.
    await _keep_act(
        hall,
        INICIO,
        first,
        {COUNTS: counted, **({LIST: listed} if listed else {})},
        _told_at_zero(first, hall.declared.tz),
    )
    return 0


async def _publish_zero(settings: Settings) -> None:
    """Let the publisher cut corte 0. If a corte was left half-way, the publisher finishes it; it cuts no other."""
    try:
        async with wired(settings) as publisher:
            await by_hand(publisher, final=False, zero=True)
    except GateFailure as failure:
        raise Rejected(f"el corte 0 no salió: la compuerta lo detuvo, {failure.findings[0].check}") from failure
    except PrepError as error:
        raise Rejected(f"el corte 0 no salió: {error.sentence}") from error


def _told_at_zero(first: Corte, zone: tzinfo) -> list[str]:
    return [
        "Antes de recibir la primera acta se contó todo lo que el sistema guarda.",
        "No había imágenes, capturas, versiones de actas, cortes ni mensajes en espera.",
        f"El corte 0, con todos sus valores en cero, se publicó el {_moment_on_paper(first.at, zone)}.",
    ]


def _moment_on_paper(at: datetime, zone: tzinfo) -> str:
    words = "hora del centro" if zone == CENTRAL else hour_words(zone, at)
    return f"{at.astimezone(zone):%d/%m/%Y a las %H:%M:%S} ({words})"


# --- close ------------------------------------------------------------------------------------------------------------


async def close(hall: Hall, *, compare: Path | None) -> int:
    """After the last corte: list the software again, count again, and make the act.

    Differences are printed and stand in the act; they do not stop the close.
    """
    last = await cortes.last(hall.connection)
    if last is None or last.phase is not Phase.FINAL:
        raise Rejected("el cierre va después del último corte, y todavía no ha salido")
    text = await store.find(hall.connection, "software", CIERRE)
    if text is None:
        text = await _software_list(hall)
        await store.add(hall.connection, "software", CIERRE, text, now())
    before = await store.find(hall.connection, "software", INICIO)
    wrong = [] if before is None else [*software.differences(text, before)]
    wrong += software.differences(text, _auditor_list(compare)) if compare else []
    if await store.find(hall.connection, "acto", CIERRE) is not None:
        print(f"el cierre ya se hizo; sus documentos están en {hall.folder / FOLDERS[CIERRE]}")
    else:
        said, _ = await look(hall, CIERRE)
        same = "No hay lista del inicio con que comparar." if before is None else _software_sentence(wrong)
        at = _moment_on_paper(last.at, hall.declared.tz)
        told = [f"El corte {last.number}, el último, se publicó el {at}.", f"Software: {same}"]
        typed = (await quality.tonight(hall.audit)).night
        told.append(quality_sentence(typed))
        # The rates of all people together: no document of an act names a person, or lets one be known.
        rates = {"formato": 1, **told_of_night(typed)}
        documents = {COUNTS: _canonical_text(said), LIST: text, QUALITY: _canonical_text(rates)}
        await _keep_act(hall, CIERRE, last, documents, told)
    _print_differences(wrong)
    return 1 if wrong else 0


def _software_sentence(wrong: Sequence[str]) -> str:
    return f"{len(wrong)} archivos no son los del inicio." if wrong else "todos los archivos son los del inicio."


def quality_sentence(typed: NightQuality) -> str:
    """The night's error of one capture, for people who read the act."""
    share = typed.judged.by_field
    if share is None:
        return "Calidad de la captura: no hay capturas que comparar con lo que finalmente contó."
    low, middle, high = (f"{100 * end:.3f}" for end in (share.low, share.share, share.high))
    return (
        f"Calidad de la captura: campos de primeras y segundas capturas que difirieron de lo que finalmente contó, "
        f"{typed.judged.wrong} de {typed.judged.fields}: {middle} % (intervalo de 95 %: de {low} a {high} %); "
        "es el error de una persona sola, y cada acta la capturaron dos o más que no se vieron."
    )


# --- documents --------------------------------------------------------------------------------------------------------


async def _keep_act(hall: Hall, momento: str, corte: Corte, documents: Mapping[str, str], told: Sequence[str]) -> None:
    """Make the folder of documents, then its record, which makes the log tell its digest."""
    target = hall.folder / FOLDERS[momento]
    sums = await asyncio.to_thread(_make_documents, hall, momento, corte, documents, told)
    await store.add(hall.connection, "acto", momento, sums, now())
    print(f"documentos en {target}\nhuella de su {SUMS}: {hashlib.sha256(sums.encode()).hexdigest()}")
    for folder in (_corte_folder(hall.settings, corte), target):
        print(f"para firmarlo: integrity seal export {folder} --out ARCHIVO")


def _make_documents(hall: Hall, momento: str, corte: Corte, documents: Mapping[str, str], told: Sequence[str]) -> str:
    target = hall.folder / FOLDERS[momento]
    if target.exists():  # a run before this one made it and stopped before the record
        return _checked_sums(target)
    contents = {name: text.encode() for name, text in documents.items()}
    # The act names the digest of every other document, so it is made last.
    contents[ACT] = acts.pdf(_act_content(hall, momento, corte, contents, told))
    sums = "".join(f"{hashlib.sha256(held).hexdigest()}  {name}\n" for name, held in sorted(contents.items()))
    # Write everything beside the target, then rename. If we stop before the rename, the target does not exist and the
    # next run starts again; after the rename it is complete.
    fresh = target.with_name(f".{target.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, held in {**contents, SUMS: sums.encode()}.items():
        _write_file(fresh / name, held)
    fresh.rename(target)
    return sums


def _checked_sums(target: Path) -> str:
    """The SHA256SUMS of a finished folder. Raises Rejected if a file is missing or differs."""
    try:
        content = (target / SUMS).read_bytes()
        for name, digest in read_sums(content).items():
            if hashlib.sha256((target / name).read_bytes()).hexdigest() != digest:
                raise Rejected(f"{target / name} no es el que se hizo: quite la carpeta y repita la ceremonia")
    except (OSError, Malformed):
        raise Rejected(f"{target} no está completa: quítela y repita la ceremonia") from None
    return content.decode()


def _act_content(
    hall: Hall, momento: str, corte: Corte, contents: Mapping[str, bytes], told: Sequence[str]
) -> acts.Act:
    folder = _corte_folder(hall.settings, corte)
    try:
        listed = read_sums((folder / SUMS).read_bytes())
    except (OSError, Malformed):
        raise Unavailable(f"el corte {corte.number} está registrado y {folder} todavía no está completa") from None
    files = {f"{folder.name}/{name}": digest for name, digest in listed.items()}
    files[f"{folder.name}/{SUMS}"] = corte.sums
    files |= {name: hashlib.sha256(held).hexdigest() for name, held in contents.items()}
    counted = _counted_lines(contents[COUNTS])
    return acts.Act(TITLES[momento], hall.declared.simulacro, told, counted, files)


def _counted_lines(document: bytes) -> dict[str, str]:
    """The lines of the document that the act shows. The act also holds the document's digest."""
    said = json.loads(document)
    tables = {f"renglones de {name}": str(rows) for name, rows in said["tablas"].items() if name not in store.PREPARED}
    waiting = {f"mensajes en «{topic}»": str(count) for topic, count in said["bus"].items()}
    clocks = {f"reloj: {name.replace('_', ' ')}": at or "no hay" for name, at in said["relojes"].items()}
    more = {"huella del esquema": said["esquema"], "huella del catálogo": said["catalogo"]}
    return {**tables, "objetos en el almacén de imágenes": str(said["almacen"]["objetos"]), **waiting, **clocks, **more}


def _corte_folder(settings: Settings, corte: Corte) -> Path:
    return settings.public / corte_folder(corte.number)


def _canonical_text(said: Mapping[str, Any]) -> str:
    return canonical_json(said).decode() + "\n"


def _write_file(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(path, content)
    except OSError as error:
        raise Rejected(f"no se puede escribir {path}: {reason_of(error)}") from None


# --- the commands -----------------------------------------------------------------------------------------------------


def _ceremonies_parser() -> Parser:
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
    async with embedded.database(settings) as urls:
        audit_url = urls.of(Part.AUDIT)
        async with connect(urls.of(Part.PUBLISHER)) as connection, connect(audit_url) as audit:
            stands = await night_store.standing(connection)
            night = stands.night if stands else None
            yield Hall(settings, connection, audit, audit_url, settings.data / "actos", night)


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
    """Exit status 0, 1 or 2, as the head of this file says."""
    arguments = _ceremonies_parser().parse_args(argv)
    os.umask(0o022)
    try:
        sys.exit(uvloop.run(run(arguments)))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)
