"""`prep catd …`: a folder of a scanner, packages of telephones without network, and files of actas without an image.

`watch` does this with each file, from top to bottom; a comment says how things stand if the machine stops there.

1. Wait until the file is complete.
2. Move it into the spool under its digest, so that the scanner cannot write over it.
3. Read its QR code, give it a number, sign it: once, and kept.
4. Send it until the server answers with a receipt or a refusal. A receipt counts only if its signature is right.
5. Put the file into `enviadas` with its receipt beside it; or into `apartadas` or `repetidas` with a sentence.

No file is ever deleted. Everything that the machine must remember is in one SQLite file in the folder `.prep-catd`.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import sys
import time
import zipfile
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from capture.imports import LARGEST as LARGEST_FILE
from capture.receipts import receipt_is_right, signing_key
from integrity import durable
from prep.arguments import Parser
from prep.domain.catalog import read_identity
from prep.errors import Code, PrepError, Rejected, reason_of
from prep.operations.accounts import asked_password
from prep.scan.bounded import MIB, Bounds, Lane, OutOfBounds
from prep.scan.digitize import scan_files
from prep.scan.header import START, format_of
from prep.scan.pictures import prepare
from prep.upload import FIRST_MOMENT, LAST_MOMENT, TipoDocumento, Upload, headers_of

OURS: Final = ".prep-catd"
SENT: Final = "enviadas"
ASIDE: Final = "apartadas"
REPEATED: Final = "repetidas"
LOOK_SECONDS: Final = 1.0
STILL_SECONDS: Final = 2.0
"""A file whose size and time did not change for so long, and that ends as its format ends, is complete."""
GIVE_UP_SECONDS: Final = 60.0
"""A file that did not change for so long is taken as it is: the server says why it is no image."""
LONGEST_WAIT: Final = 30.0
READING: Final = Bounds(memory=512 * MIB, cpu=10, seconds=30)
UNFINISHED: Final = (".tmp", ".part", ".partial", ".crdownload", ".download", ".filepart")
NOT_SCANS: Final = frozenset({"thumbs.db", "desktop.ini"})
ENDS: Final[Mapping[str, bytes]] = {"jpeg": b"\xff\xd9", "png": b"IEND", "pdf": b"%%EOF"}
"""The bytes near the end of a whole file of the format."""
LARGEST: Final = 60_000_000
"""Bytes of a file that is read at all. The server's own limit is lower."""
AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 507})
NUMBER_TAKEN: Final = frozenset({Code.NUMBER_USED, Code.NUMBER_JUMPS})
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS image (
    sha256 TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    acopio TEXT NOT NULL,
    number INTEGER UNIQUE,
    headers TEXT,
    receipt BLOB,
    refused TEXT
);
CREATE TABLE IF NOT EXISTS spent (number INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS page (sha256 TEXT PRIMARY KEY, headers TEXT NOT NULL);
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0; 1 if images of a package were refused; 2 with one sentence if the command cannot be done."""
    arguments = _catd_parser().parse_args(argv)
    try:
        sys.exit(asyncio.run(arguments.command(arguments)))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)


def _catd_parser() -> Parser:
    parser = Parser(
        prog="prep catd", description="Lo que digitaliza un CATD: una carpeta, o el paquete de un teléfono."
    )
    commands = parser.add_subparsers(required=True, metavar="ORDEN")
    enroll = commands.add_parser("enroll", help="inscribe esta carpeta como un dispositivo", prog="prep catd enroll")
    enroll.add_argument("folder", metavar="CARPETA", type=Path, help="donde el escáner guarda sus archivos")
    enroll.add_argument("--server", required=True, metavar="DIRECCIÓN", help="la de la recepción, como https://…")
    enroll.add_argument("--code", metavar="CÓDIGO", help="el que muestra un supervisor; vale una vez")
    enroll.add_argument(
        "--device", metavar="DISPOSITIVO", help="o bien: el identificador de un dispositivo ya inscrito"
    )
    enroll.add_argument("--key", metavar="LLAVE", type=Path, help="con --device: su llave privada, en PEM")
    enroll.set_defaults(command=_enroll)
    watch = commands.add_parser("watch", help="envía lo que aparezca en la carpeta", prog="prep catd watch")
    watch.add_argument("folder", metavar="CARPETA", type=Path, help="una carpeta ya inscrita")
    watch.add_argument("--once", action="store_true", help="termina cuando no queda nada por enviar")
    watch.set_defaults(command=_watch)
    importing = commands.add_parser(
        "import",
        help="envía el paquete que compartió un teléfono sin red, o un archivo con actas de las que no hay imagen",
        prog="prep catd import",
    )
    importing.add_argument(
        "package",
        metavar="ARCHIVO",
        type=Path,
        help="el ZIP del teléfono; o un libro (.xlsx, .ods, .xls) o texto en columnas",
    )
    importing.add_argument("--server", metavar="DIRECCIÓN", help="de un paquete: la de la recepción, como https://…")
    importing.add_argument(
        "--folder", metavar="CARPETA", type=Path, help="de actas sin imagen: una carpeta ya inscrita"
    )
    importing.add_argument(
        "--user", metavar="USUARIO", help="de actas sin imagen: de quién es esa captura; se pide su clave"
    )
    importing.set_defaults(command=_import)
    return parser


# Enrolment.


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that is enrolled: as which device, with which key, at which server."""

    folder: Path
    server: str
    device: str
    key: Ed25519PrivateKey
    key_of_server: bytes
    """The 32 bytes with which receipts are checked."""

    @classmethod
    def open(cls, folder: Path) -> "Place":
        """Raises Rejected if the folder is not enrolled."""
        try:
            said = json.loads((folder / OURS / "inscripcion.json").read_bytes())
        except FileNotFoundError:
            raise Rejected(f"la carpeta {folder} no está inscrita: comience con «prep catd enroll»") from None
        key = signing_key(folder / OURS / "llave.pem")
        return cls(folder, said["servidor"], said["dispositivo"], key, b64decode(said["llave_de_acuses"]))


async def _enroll(arguments: argparse.Namespace) -> int:
    folder, server = arguments.folder, arguments.server.rstrip("/")
    ours = folder / OURS
    if (ours / "inscripcion.json").exists():
        raise Rejected(f"la carpeta {folder} ya está inscrita")
    if bool(arguments.code) == bool(arguments.device) or bool(arguments.device) != bool(arguments.key):
        raise Rejected("dé --code, o bien --device y --key")
    ours.mkdir(parents=True, exist_ok=True, mode=0o700)
    if arguments.key and not (ours / "llave.pem").exists():
        signing_key(arguments.key)  # it is a key, and nobody else reads it
        durable.put(ours / "llave.pem", arguments.key.read_bytes(), mode=0o600)
    # Made before the code is spent. If we stop behind the answer, the same code with the same key is answered again.
    key = signing_key(ours / "llave.pem")
    async with aiohttp.ClientSession(server, timeout=aiohttp.ClientTimeout(30)) as client:
        if arguments.code:
            told = b64encode(key.public_key().public_bytes_raw()).decode()
            answer = await _asked(client, "POST", "/v1/devices", json={"codigo": arguments.code, "llave": told})
            said = json.loads(answer)
            device, key_of_server = said["dispositivo"], said["llave_de_acuses"]
        else:
            public = load_pem_public_key(await _asked(client, "GET", "/v1/receipts/key"))
            device = arguments.device
            key_of_server = b64encode(public.public_bytes_raw()).decode()  # type: ignore[union-attr]
    kept = {"servidor": server, "dispositivo": device, "llave_de_acuses": key_of_server}
    durable.put(ours / "inscripcion.json", json.dumps(kept).encode(), mode=0o600)
    print(f"{folder} envía como {device}; para comenzar: prep catd watch {folder}")
    return 0


async def _asked(client: aiohttp.ClientSession, method: str, path: str, **given: Any) -> bytes:  # noqa: ANN401
    """One request of a person who waits. Raises Rejected with the server's sentence."""
    try:
        async with client.request(method, path, **given) as answer:
            body = await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Rejected(f"la recepción no responde: {error or type(error).__name__}") from None
    if not answer.ok:
        raise Rejected(_sentence(body))
    return body


# The folder.


class SpoolJournal:
    """What this machine remembers of every image, in one file that survives a power cut."""

    def __init__(self, path: Path) -> None:
        self._kept = sqlite3.connect(path, isolation_level=None)
        self._kept.row_factory = sqlite3.Row
        self._kept.execute("PRAGMA journal_mode = WAL")
        self._kept.execute("PRAGMA synchronous = FULL")
        self._kept.executescript(_TABLES)

    def close(self) -> None:
        self._kept.close()

    def find(self, sha256: str) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._kept.execute("SELECT * FROM image WHERE sha256 = ?", (sha256,)).fetchone()
        return found

    def add(self, sha256: str, name: str, acopio: str) -> None:
        self._kept.execute(
            "INSERT OR IGNORE INTO image (sha256, name, acopio) VALUES (?, ?, ?)", (sha256, name, acopio)
        )

    def waiting(self) -> list[sqlite3.Row]:
        """In the order in which they came; those with a number first."""
        asked = "SELECT * FROM image WHERE receipt IS NULL AND refused IS NULL ORDER BY number IS NULL, number, rowid"
        return self._kept.execute(asked).fetchall()

    def next_number(self) -> int:
        """The smallest number that no image of this device has."""
        asked = """SELECT min(n) FROM (SELECT 1 AS n UNION ALL SELECT number + 1 FROM image WHERE number IS NOT NULL
            UNION ALL SELECT number + 1 FROM spent)
            WHERE n NOT IN (SELECT number FROM image WHERE number IS NOT NULL UNION ALL SELECT number FROM spent)"""
        return int(self._kept.execute(asked).fetchone()[0])

    def announce(self, sha256: str, number: int, headers: Mapping[str, str]) -> None:
        said = json.dumps(dict(headers))
        self._kept.execute("UPDATE image SET number = ?, headers = ? WHERE sha256 = ?", (number, said, sha256))

    def forget_number(self, sha256: str, *, taken: int | None = None) -> None:
        if taken is not None:
            self._kept.execute("INSERT OR IGNORE INTO spent VALUES (?)", (taken,))
        self._kept.execute("UPDATE image SET number = NULL, headers = NULL WHERE sha256 = ?", (sha256,))

    def announce_page(self, sha256: str, sign: Callable[[int], Mapping[str, str]]) -> dict[str, str]:
        """The headers of a constancia: signed once, with a number that no image of this device gets."""
        self._kept.execute("BEGIN IMMEDIATE")
        kept = self._kept.execute("SELECT headers FROM page WHERE sha256 = ?", (sha256,)).fetchone()
        if kept is None:
            number = self.next_number()
            said = json.dumps(dict(sign(number)))
            self._kept.execute("INSERT INTO spent VALUES (?)", (number,))
            self._kept.execute("INSERT INTO page VALUES (?, ?)", (sha256, said))
        self._kept.execute("COMMIT")
        headers: dict[str, str] = json.loads(said if kept is None else kept["headers"])
        return headers

    def forget_page(self, sha256: str) -> None:
        """Its number is another image's; it stays spent."""
        self._kept.execute("DELETE FROM page WHERE sha256 = ?", (sha256,))

    def keep_receipt(self, sha256: str, receipt: bytes) -> None:
        self._kept.execute("UPDATE image SET receipt = ? WHERE sha256 = ?", (receipt, sha256))

    def refuse(self, sha256: str, sentence: str) -> None:
        self._kept.execute("UPDATE image SET refused = ? WHERE sha256 = ?", (sentence, sha256))
        self.forget_number(sha256)


async def _watch(arguments: argparse.Namespace) -> int:
    place = Place.open(arguments.folder)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    reading = Lane(1, READING, prepare)
    journal = SpoolJournal(place.folder / OURS / "envios.sqlite")
    try:
        async with aiohttp.ClientSession(place.server, timeout=aiohttp.ClientTimeout(120)) as client:
            await ScanFolder(place, journal, client, reading, stop).run(once=arguments.once)
    finally:
        reading.close()
        journal.close()
    return 0


class ScanFolder:
    """A folder on its way to the server."""

    def __init__(
        self, place: Place, journal: SpoolJournal, client: aiohttp.ClientSession, reading: Lane, stop: asyncio.Event
    ) -> None:
        self._place = place
        self._journal = journal
        self._client = client
        self._reading = reading
        self._stop = stop
        self._seen: dict[Path, tuple[int, int, float]] = {}
        """Size, time and since when both are so, of each file that is not complete yet."""
        self._said = ""

    async def run(self, *, once: bool) -> None:
        """Until `stop`; with `once` until the folder is empty and no image waits."""
        spool = self._place.folder / OURS / "cola"
        spool.mkdir(exist_ok=True)
        self._finish_begun(spool)
        while not self._stop.is_set():
            for path in self._complete_files():
                self._take_in(path)
            waits = 0.0
            for row in self._journal.waiting():
                if self._stop.is_set() or (waits := await self._send(row)):
                    break
            if once and not waits and not self._seen and not self._journal.waiting():
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), max(LOOK_SECONDS, waits))

    def _finish_begun(self, spool: Path) -> None:
        """What an earlier run had decided, and not carried out any more."""
        for path in sorted(spool.iterdir()):
            row = self._journal.find(path.name)
            if row is None:  # the journal was lost: the image is not
                self._journal.add(path.name, f"{path.name}.recuperada", _local_time(path.stat().st_mtime))
            elif row["receipt"] is not None:
                self._put(path, SENT, row["name"], receipt=row["receipt"])
            elif row["refused"] is not None:
                self._put(path, ASIDE, row["name"], row["refused"])

    def _complete_files(self) -> Iterator[Path]:
        """The files that have come whole. The others are looked at again."""
        found = {}
        for path in sorted(_scans_in(self._place.folder)):
            try:
                status = path.stat()
            except OSError:  # the scanner renamed it
                continue
            before = self._seen.get(path)
            same = before is not None and before[:2] == (status.st_size, status.st_mtime_ns)
            since = before[2] if before is not None and same else time.monotonic()
            still = time.monotonic() - since
            old = still >= GIVE_UP_SECONDS or time.time() - status.st_mtime >= GIVE_UP_SECONDS
            if still >= STILL_SECONDS and (old or _ends_whole(path)):
                yield path
            else:
                found[path] = (status.st_size, status.st_mtime_ns, since)
        self._seen = found

    def _take_in(self, path: Path) -> None:
        """Into the spool, or aside with a sentence."""
        name = str(path.relative_to(self._place.folder))
        try:
            status = path.stat()
            if status.st_size > LARGEST:
                return self._put(path, ASIDE, name, f"el archivo pasa de {LARGEST} bytes")
            content = path.read_bytes()
        except OSError as error:
            return self._say(f"{name}: no se puede leer ({reason_of(error)}); se intenta de nuevo")
        sha256 = hashlib.sha256(content).hexdigest()
        known = self._journal.find(sha256)
        if known is not None and (known["receipt"] is not None or self._spooled(sha256).exists()):
            return self._put(path, REPEATED, name, f"es la misma imagen que {known['name']}, byte por byte")
        if not content:
            return self._put(path, ASIDE, name, "el archivo está vacío")
        try:
            format_of(content[:START])
        except Rejected as refusal:
            return self._put(path, ASIDE, name, refusal.sentence)

        # The file is where the scanner put it. If we stop here, the next look finds it and this row.
        self._journal.add(sha256, name, _local_time(status.st_mtime))
        durable.sync(path)
        path.rename(self._spooled(sha256))
        durable.sync(self._spooled(sha256).parent)
        return None

    async def _send(self, row: sqlite3.Row) -> float:
        """One try with one image; how many seconds to wait before the next one, 0 if it came to its end."""
        sha256, name = row["sha256"], row["name"]
        spooled = self._spooled(sha256)
        if not spooled.exists():
            self._journal.refuse(sha256, "alguien la quitó de la cola")
            self._say(f"{name}: alguien la quitó de la cola")
            return 0.0
        content = spooled.read_bytes()
        number, headers = row["number"], row["headers"] and json.loads(row["headers"])
        if headers is None:
            number = self._journal.next_number()
            headers = signed_headers(self._place, sha256, number, row["acopio"], await self._identity(spooled))
            # Signed once: if we stop here, the same image goes out under the same number.
            self._journal.announce(sha256, number, headers)
        try:
            async with self._client.post("/v1/images", data=content, headers=headers) as answer:
                status, body, after = answer.status, await answer.read(), answer.headers.get("Retry-After", "5")
        except (aiohttp.ClientError, TimeoutError, OSError):
            self._say("sin conexión con la recepción; se sigue intentando")
            return 5.0
        if status in {200, 201}:
            if not receipt_is_right(body, sha256, len(content), self._place.key_of_server):
                self._say(f"{name}: el acuse no es de esta imagen, o no lo firmó el servidor; avise a su supervisor")
                return LONGEST_WAIT
            self._journal.keep_receipt(sha256, body)
            self._put(spooled, SENT, name, receipt=body)
            hint = headers.get("X-PREP-Acta", "")
            self._say(f"{name}: acuse del número {number}{f', {hint}' if hint else ', sin QR legible'}")
            return 0.0
        sentence, code = _sentence(body), _code(body)
        if status in AGAIN or status == Code.SIGNATURE_WRONG.status:
            self._say(f"{name}: {sentence}; se sigue intentando")
            return min(float(after) if after.isdigit() else 5.0, LONGEST_WAIT)
        if code in NUMBER_TAKEN:
            self._journal.forget_number(sha256, taken=number)
            return LOOK_SECONDS
        self._journal.refuse(sha256, sentence)
        self._put(spooled, ASIDE, name, sentence)
        return 0.0

    async def _identity(self, spooled: Path) -> str:
        """The text of its QR code, for the receipt's line and as a hint; "" if none can be read in time."""
        with contextlib.suppress(OutOfBounds, TimeoutError, PrepError):
            read = read_identity(await self._reading.do(qr_of, spooled))
            if read is not None:
                return read[0].text
        return ""

    def _spooled(self, sha256: str) -> Path:
        return self._place.folder / OURS / "cola" / sha256

    def _put(self, path: Path, where: str, name: str, sentence: str = "", *, receipt: bytes | None = None) -> None:
        """The file under its own name in one of our folders, with a receipt or a sentence beside it."""
        final = self._place.folder / where / name
        final.parent.mkdir(parents=True, exist_ok=True)
        for n in range(2, 1_000_000):
            if not final.exists():
                break
            final = final.with_name(f"{Path(name).stem}-{n}{Path(name).suffix}")
        # The sentence comes first: a file without it would be a riddle. If we stop here, it is said again.
        beside = final.with_name(f"{final.name}.{'acuse.json' if receipt is not None else 'motivo.txt'}")
        durable.write(beside, receipt if receipt is not None else f"{sentence}\n".encode())
        path.rename(final)
        durable.sync(final.parent)
        if sentence:
            self._say(f"{name}: {sentence}; queda en {where}")

    def _say(self, line: str) -> None:
        # A server that does not answer is told once, and not every five seconds of a night.
        if line != self._said:
            print(line, flush=True)
        self._said = line


def qr_of(path: Path) -> str:
    """The text of the QR code of a file, "" if none is read; for a process that may die."""
    [found] = scan_files([path])
    return found["text"] or ""


def signed_headers(
    place: Place, sha256: str, number: int, acopio: str, acta: str, *, document: str = ""
) -> dict[str, str]:
    """The headers of an image of this folder, signed as docs/api.md says."""
    said = {
        "device": place.device, "sequence": str(number), "sha256": sha256, "origen": "CATD",
        "digitalizacion": "escaner", "acopio_at": acopio, "acta_hint": acta,
        "tipo_documento": document,
    }  # fmt: skip
    named = [(header.name, said.get(field, "")) for field, header in headers_of(Upload).items()]
    text = "\n".join(["PREP-IMAGE-V1", *(value for _, value in named)])
    headers = {f"X-PREP-{name}": quote(value, safe=" :+|,./-") for name, value in named if value}
    return headers | {"X-PREP-Signature": b64encode(place.key.sign(text.encode())).decode()}


def _scans_in(folder: Path) -> Iterator[Path]:
    """Files of the folder and below, without ours and those that a program has not finished."""
    for path, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".")]
        if Path(path) == folder:
            folders[:] = [each for each in folders if each not in {SENT, ASIDE, REPEATED}]
        for name in files:
            plain = name.lower()
            if not plain.startswith((".", "~")) and not plain.endswith(UNFINISHED) and plain not in NOT_SCANS:
                yield Path(path) / name


def _ends_whole(path: Path) -> bool:
    """Whether the file ends as its format ends. One of another format, or of none, counts as whole."""
    try:
        with path.open("rb") as file:
            start = file.read(START)
            file.seek(max(0, path.stat().st_size - 2048))
            tail = file.read()
        mark = ENDS.get(format_of(start))
    except Rejected:
        return bool(start)
    except OSError:
        return False
    return mark is None or mark in tail


def _local_time(seconds: float) -> str:
    """The time of a file, with the offset of this machine; now, if the scanner's clock is wrong by decades."""
    at = datetime.fromtimestamp(seconds).astimezone()
    if not FIRST_MOMENT <= at < LAST_MOMENT:
        at = datetime.now().astimezone()
    return at.isoformat(timespec="seconds")


def _sentence(body: bytes) -> str:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return str(json.loads(body)["error"])
    return "la recepción contestó algo que no se entiende"


def _code(body: bytes) -> str:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return str(json.loads(body)["codigo"])
    return ""


# Packages.

LIST: Final = "paquete.json"
FORMAT: Final = 1
_LIST_BYTES: Final = 10_000_000
_WHICH: Final = "de un paquete: --server; de actas sin imagen: --folder y --user"


async def _import(arguments: argparse.Namespace) -> int:
    if arguments.folder is not None or arguments.user is not None:
        if arguments.folder is None or not arguments.user or arguments.server is not None:
            raise Rejected(_WHICH)
        return await _import_table(arguments.package, Place.open(arguments.folder), arguments.user)
    if arguments.server is None:
        raise Rejected(_WHICH)
    return await _import_package(arguments)


async def _import_package(arguments: argparse.Namespace) -> int:
    """Send every image of a package as its telephone signed it; the receipts stand beside the package."""
    path: Path = arguments.package
    receipts: dict[str, Any] = {}
    refused = 0
    timeout = aiohttp.ClientTimeout(120)
    with _opened(path) as package:
        listed = _listed(package)
        async with aiohttp.ClientSession(arguments.server.rstrip("/"), timeout=timeout) as client:
            for name, headers in listed:
                try:
                    receipt = await _send_packed(client, package, name, headers)
                except Rejected as refusal:
                    refused += 1
                    print(f"{name}: {refusal.sentence}")
                else:
                    receipts[name] = json.loads(receipt)
                    print(f"{name}: acuse")
    told = path.with_name(f"{path.name}.acuses.json")
    durable.replace(told, json.dumps(receipts, indent=1).encode(), fresh=told.with_name(f".{told.name}"))
    print(f"{len(receipts)} con acuse, {refused} sin él; los acuses quedan en {told}")
    return 1 if refused else 0


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as package:
            yield package
    except FileNotFoundError:
        raise Rejected(f"no hay un archivo {path}") from None
    except (zipfile.BadZipFile, NotImplementedError, OSError):
        raise Rejected(f"{path} no es un paquete de PREP Casilla, o llegó incompleto") from None


def _listed(package: zipfile.ZipFile) -> list[tuple[str, dict[str, str]]]:
    """The file of each image of the package, and the headers that its telephone signed. Raises Rejected."""
    wrong = Rejected("el archivo no es un paquete de PREP Casilla")
    try:
        said = json.loads(_entry(package, LIST, _LIST_BYTES))
        listed = [
            (str(each["archivo"]), {str(name): str(value) for name, value in each["encabezados"].items()})
            for each in said["imagenes"]
        ]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise wrong from None
    if said.get("formato") != FORMAT:
        raise Rejected(f"el paquete es de otra versión ({said.get('formato')}); actualice este programa")
    if not all(
        name.startswith("X-PREP-") and value.isprintable() for each in listed for name, value in each[1].items()
    ):
        raise wrong
    return listed


def _entry(package: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The bytes of one file of the package; never more than `most`, even if the ZIP says less. Raises Rejected."""
    try:
        with package.open(name) as file:
            content = file.read(most + 1)
    except (KeyError, RuntimeError, zipfile.BadZipFile, EOFError):
        raise Rejected(f"falta en el paquete {name}, o está dañado") from None
    if len(content) > most:
        raise Rejected(f"{name} pasa de {most} bytes")
    return content


async def _send_packed(
    client: aiohttp.ClientSession, package: zipfile.ZipFile, name: str, headers: Mapping[str, str]
) -> bytes:
    content = _entry(package, name, LARGEST)
    said = next((value.lower() for key, value in headers.items() if key.lower() == "x-prep-sha256"), "")
    if hashlib.sha256(content).hexdigest() != said:
        raise Rejected("no es la imagen que firmó el teléfono: su SHA-256 es otro")
    while True:
        try:
            async with client.post("/v1/images", data=content, headers=headers) as answer:
                body, after = await answer.read(), answer.headers.get("Retry-After", "5")
        except (aiohttp.ClientError, TimeoutError, OSError):
            print("sin conexión con la recepción; se sigue intentando", flush=True)
            await asyncio.sleep(5)
            continue
        if answer.status in AGAIN:
            print(f"{name}: {_sentence(body)}; se sigue intentando", flush=True)
            await asyncio.sleep(min(float(after) if after.isdigit() else 5.0, LONGEST_WAIT))
            continue
        if not answer.ok:
            raise Rejected(_sentence(body))
        return body


# Actas of which there is no image, from a file of columns.


async def _import_table(path: Path, place: Place, user: str) -> int:
    """Import each row as the first capture of that person; another person captures each acta again, blind."""
    content = await asyncio.to_thread(_content_of, path)
    source = hashlib.sha256(content).hexdigest()
    journal = SpoolJournal(place.folder / OURS / "envios.sqlite")
    try:
        async with aiohttp.ClientSession(place.server, timeout=aiohttp.ClientTimeout(120)) as client:
            said = json.loads(
                await _asked(client, "POST", "/v1/session", json={"usuario": user, "clave": asked_password(user)})
            )
            client.headers["Authorization"] = f"Bearer {said['token']}"
            read = json.loads(await _asked(client, "POST", "/v1/imports/file", data=content))
            for note in read["avisos"]:
                print(note)
            refused = 0
            for each in read["renglones"]:
                try:
                    await _import_row(client, place, journal, each, source=source)
                except Rejected as refusal:
                    refused += 1
                    print(refusal.sentence, flush=True)
                else:
                    told = f"renglón {each['renglon']}: {each['clave']} importada; falta que otra persona la capture"
                    print(told, flush=True)
            await _asked(client, "DELETE", "/v1/session")
    finally:
        journal.close()
    print(f"{len(read['renglones']) - refused} importadas, {refused} no")
    return 1 if refused else 0


async def _import_row(
    client: aiohttp.ClientSession, place: Place, journal: SpoolJournal, row: Mapping[str, Any], *, source: str
) -> None:
    """One acta: its constancia is safe first, and then its values. Run again, it goes on where it stopped.

    Raises Rejected with a sentence that names the row, and the column if one is meant.
    """
    if row["problemas"]:
        raise Rejected("\n".join(_problem_told(row["renglon"], each) for each in row["problemas"]))
    try:
        await _import_acta(client, place, journal, row, source=source)
    except Rejected as refusal:
        raise Rejected(f"renglón {row['renglon']}: {refusal.sentence}", code=refusal.code) from None


def _problem_told(row: int, problem: Mapping[str, str]) -> str:
    column = f", columna {problem['columna']}" if problem["columna"] else ""
    return f"renglón {row}{column}: {problem['problema']}"


async def _import_acta(
    client: aiohttp.ClientSession, place: Place, journal: SpoolJournal, row: Mapping[str, Any], *, source: str
) -> None:
    named = {name: row[name] for name in ("eleccion", "clave", "valores")}
    asked = {**named, "archivo": source, "renglon": row["renglon"]}
    acta = json.loads(await _asked(client, "POST", "/v1/imports/check", json=asked))
    page = b64decode(acta["constancia"])
    sha256 = hashlib.sha256(page).hexdigest()

    # Nothing of it is at the server yet. The number is the page's before it goes out.
    while True:
        headers = journal.announce_page(
            sha256,
            lambda number: signed_headers(place, sha256, number, _now(), acta["qr"], document=TipoDocumento.SIN_IMAGEN),
        )
        async with client.post("/v1/images", data=page, headers=headers, allow_redirects=False) as answer:
            body = await answer.read()
        if _code(body) not in NUMBER_TAKEN:
            break
        journal.forget_page(sha256)
    if not answer.ok:
        raise Rejected(_sentence(body))
    if not receipt_is_right(body, sha256, len(page), place.key_of_server):
        raise Rejected("el acuse de la constancia no es de ella, o no lo firmó el servidor; avise a su supervisor")

    # The page is safe. Its values follow as soon as a worker has read its sticker.
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while True:
        async with client.post("/v1/imports", json={**named, "imagen": sha256}) as answer:
            body = await answer.read()
        if answer.ok:
            return
        if answer.status not in AGAIN or time.monotonic() > deadline:
            raise Rejected(_sentence(body))
        await asyncio.sleep(LOOK_SECONDS)


def _content_of(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise Rejected(f"{path} pasa de {LARGEST_FILE} bytes")
        return path.read_bytes()
    except OSError as error:
        raise Rejected(f"no se puede leer {path}: {reason_of(error)}") from None


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
