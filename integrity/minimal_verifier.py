#!/usr/bin/env python3
"""Comprueba lo que publica un PREP con Python y el programa «openssl», y nada más. Un archivo, para leerse entero.

    python3 minimal_verifier.py CARPETA|URL [--log-key LLAVE] [--log-policy ARCHIVO] [--checkpoint ARCHIVO]
                                            [--ca PEM] [--tsa-ca PEM] [--trust-on-first-use] [--json]

A second opinion: it was written from the description of the format and shares no line with the other verifier. Begin
to read at `verify`: it tells the steps in their order, and each step is one function below. No published value is
trusted before it has been checked. Every read has a limit, and no link is followed. A file that could not be read is
*not checked*, which is not good. Every corte is read whole, row by row; for each acta, this program keeps in memory as
much of two cortes as it needs to compare them.

It does not look at what HTML pages say in words (their numbers are compared), at revocation lists and, over HTTP, at
files that no corte names.
"""

import argparse
import base64
import contextlib
import csv
import errno
import hashlib
import html
import http.client
import io
import itertools
import json
import os
import re
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unicodedata
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import zip_longest
from typing import Any, NamedTuple, NoReturn

CHECKS = {
    "COM-01": "Están index.json y todos los cortes, numerados sin huecos desde 0000",
    "COM-02": "No hay enlaces simbólicos ni archivos especiales",
    "COM-03": "Cada carpeta de corte tiene exactamente sus archivos",
    "COM-04": "Todas las actas esperadas y todas las contiendas están en todos los cortes",
    "COM-05": "Están exactamente las imágenes que los cortes listan",
    "COM-06": "Cada CODIGO_INTEGRIDAD del último corte es una imagen publicada de esa acta",
    "COM-07": "Están las páginas del último corte",
    "COM-08": "No hay ningún archivo de más",
    "INT-01": "Cada SHA256SUMS tiene la forma exacta",
    "INT-02": "Cada archivo de cada corte tiene la huella que dice su SHA256SUMS",
    "INT-03": "Los JSON tienen forma canónica y los campos del formato",
    "INT-04": "El nombre de cada imagen es la huella de sus bytes",
    "INT-05": "Cada ZIP tiene el nombre, el tamaño y la huella que dice su corte",
    "INT-06": "Cada ZIP contiene los mismos archivos que su corte, byte por byte",
    "INT-07": "los archivos del sitio y los esquemas/ son los que dice el manifiesto del último corte",
    "CON-01": "Cada corte lleva la huella del anterior",
    "CON-02": "Números y fases de los cortes; el corte 0 está en ceros",
    "CON-03": "Las horas de los cortes no retroceden",
    "CON-04": "Todos los cortes dicen lo mismo sobre si es un simulacro",
    "CON-05": "El catálogo, la declaración, las elecciones y las reglas son los mismos en todos los cortes",
    "CON-06": "index.json señala el último corte",
    "CON-07": "Forma de los CSV: codificación, título, hora y columnas",
    "CON-08": "Cada fila identifica una sola acta del catálogo",
    "CON-09": "TOTAL_VOTOS_CALCULADO es la suma de los votos de su fila",
    "CON-10": "OBSERVACIONES y CONTABILIZADA siguen las reglas de la elección",
    "CON-11": "Los valores del resumen son los que dan las filas",
    "CON-12": "Los porcentajes están truncados a cuatro decimales",
    "CON-13": "Capturadas = contabilizadas + no contabilizadas",
    "CON-14": "totals.json es lo que dan las filas, con los votos de coalición distribuidos",
    "CON-15": "Toda acta publicada que cambió está entre las correcciones",
    "CON-16": "Cada celda es posible, y ninguna de su fila la contradice",
    "CON-17": "CANDIDATURAS y LEEME.txt dicen lo que el manifiesto y totals.json, y las candidaturas no cambian",
    "CON-19": "Las páginas dicen lo mismo que las filas y totals.json",
    "CON-20": "Cada corte es el del catálogo publicado: sus actas, lugares, listas nominales, boletas y candidaturas",
    "CON-21": "Los datos limpios son los que da su corte, y su lista es la que nombra un corte posterior",
    "AUT-01": "El sello de la institución (.p7s) es sobre este SHA256SUMS y de una autoridad de confianza",
    "AUT-02": "La firma de una persona (.firma.p7s), si la hay, también",
    "AUT-03": "El sello en base64 (.sello) también",
    "AUT-04": "Los sellos de tiempo (.tsr) son de este SHA256SUMS y de autoridades de confianza",
    "AUT-05": "Las horas del corte, del sello y de los sellos de tiempo no retroceden",
    "AUT-06": "Ningún certificado de desarrollo sella lo que no es un simulacro",
    "AUT-11": "El punto de control de la bitácora lleva las firmas que pide su política",
    "AUT-12": "Lo firmó la llave que trae quien comprueba",
    "EVI-01": "Las entradas de la bitácora dan la raíz firmada",
    "EVI-02": "Cada hoja tiene su forma exacta y su lugar",
    "EVI-03": "El SHA256SUMS de cada corte está en la bitácora, y cada corte de la bitácora en el árbol",
    "EVI-04": "Cada imagen publicada está en la bitácora",
    "EVI-05": "Cada fila publicada está en la bitácora antes que el corte que la mostró",
    "EVI-06": "Los envíos de cada dispositivo están encadenados y sin huecos",
    "EVI-07": "Las pruebas de cada corte y de cada imagen son las de su lugar en la bitácora",
    "EVI-08": "Las capturas abiertas son las que se comprometieron",
    "EVI-09": "La bitácora es de esta elección: origen, simulacro, catálogo, declaración, reglas y política",
    "EVI-10": "Las ceremonias están en su lugar: el cero antes del primer corte, el cierre después del último",
    "EVI-12": "Cada fila publicada se apoya en lo que declararon las personas que debían",
    "EVI-13": "Las aperturas están completas: las de cada corte, una sola vez",
    "EVI-11": "La bitácora continúa el punto de control que guardó quien comprueba",
}
"""By id. `integrity verify` has the same ids, for the same faults."""
LOG = ("AUT-11", "AUT-12", *(f"EVI-{number:02}" for number in range(1, 14) if number != 11))
KEPT = "EVI-11"
SEALS = tuple(f"AUT-{number:02}" for number in range(1, 7))
CHAIN = tuple(f"CON-{number:02}" for number in range(1, 6))
ROWS = ("COM-04", *(f"CON-{number:02}" for number in range(7, 17)), "CON-20")
GOOD, WRONG, UNCHECKED, NOT_ASKED = "bien", "mal", "no se pudo comprobar", "no aplica"
KILO, MEGA, GIGA = 1 << 10, 1 << 20, 1 << 30
SILENCE, LONGEST = 30, 900.0
"""Seconds without a byte, and seconds for one whole answer, at most."""
HEX = re.compile("[0-9a-f]{64}", re.ASCII)
NAME = re.compile(r"(?!\.)[^/\\\x00-\x1f\x7f]{1,201}")
OFFSET = r"[+-](0\d|1[0-4]):[0-5]\d"
MOMENT = re.compile(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{{1,6}})?{OFFSET}", re.ASCII)
STAGE = re.compile(r"\.corte-(\d{4,})-[0-9a-f]{8}|\.barrido-[0-9a-f]{32}", re.ASCII)
"""Folders that the publisher works in, at the root of its tree."""
BESIDE = ("tlog-proof", "p7s", "firma.p7s", "sello", "tsr", "2.tsr")
TOLERANCE = timedelta(seconds=60)
COMING_OUT = timedelta(minutes=15)
"""How long a corte may take from its hour until index.json names it."""
SITE = ("VERIFICA.txt", "estilo.css", "verificar.html")
PROGRAM = "sitio.js"
"""The one program of the pages. If a manifest states its digest, the pages named here must be there too."""
PARTS = ("buscar.js", "comprobacion.js", "prueba.js")
"""Parts of it that are loaded if a reader asks for them."""
SCHEMAS = tuple(
    f"esquemas/{name}.json"
    for name in (
        *("apertura", "cambios", "catalogo", "hoja", "index", "indice", "lista", "lugares", "manifest", "pagina"),
        *("seccion", "totals"),
    )
)
PLACES = "lugares/indice.json"
"""The files of the index of places, each with its digest, if the catalogue states places."""
OF_PLACES = re.compile(r"\d\d-[a-z0-9]{2,12}\.json", re.ASCII)
LOGOS = ("logo.svg", "logo.png")
"""The institute's logo, if the declaration of the night has one."""
IN_WORDS = (
    *("accesibilidad.html", "casilla.html", "como-verificar.html", "datos.html", "desarrolladores.html"),
    *("glosario.html", "que-es.html"),
)
LISTS = ("corregidas", "fuera-de-catalogo", "observadas", "sin-acta")
LIST = re.compile(rf"(?:tarjeta|(?:{'|'.join(LISTS)})(?:-(?:[2-9]|[1-9]\d{{1,3}}))?)\.(?:html|json)", re.ASCII)
BOM = b"\xef\xbb\xbf"
FILE, FOLDER, LINK, OTHER = "un archivo", "una carpeta", "un enlace simbólico", "un archivo especial"


Json = dict[str, Any]
Row = dict[str, str]
Sums = Counter[Any]


class Images(dict[str, tuple[str, set[str]]]):
    """By digest: the extension, and the claves of its actas."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: dict[str, int] = {}
        """By digest of an image fuera de catálogo: the first corte that lists it."""


class Shown(NamedTuple):
    """A captured row, and the first corte that showed it."""

    clave: str
    corte: int
    code: str
    typed: bytes
    """Digest of the quantities that people typed; empty for a row sin acta."""
    criteria: frozenset[object]
    """Of a row sin acta: the criteria that its observations may mean."""
    cotejada: str
    image: str
    """CODIGO_INTEGRIDAD; empty for a row sin acta."""


Versions = dict[str, Shown]
"""By digest of a row."""
Key = tuple[str, bytes, bytes]


class Bad(Exception):
    """A file or a value is not as it must be; one Spanish sentence."""


class Unread(Exception):
    """A file could not be read, so it cannot be judged; one Spanish sentence."""


class Absent(Bad):
    """There is no such file."""


class Linked(Bad):
    """A folder on the path to the file is a link."""


class Report:
    """By check: how much was compared, the differences, and the reasons for which it could not be checked."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.facts: list[str] = []
        self.checks = [check for check in CHECKS if check not in {*LOG, KEPT}]
        self.compared: Counter[str] = Counter()
        self.wrong: defaultdict[str, list[str]] = defaultdict(list)
        self.unread: defaultdict[str, list[str]] = defaultdict(list)
        self.not_asked: dict[str, str] = {}
        self.sealed = False
        self.began = datetime.now(UTC)
        self.brings: Callable[[str], bool] = lambda _: False
        """Whether a corte that is coming out brings the file or folder at a path."""

    def is_new(self, moment: str) -> bool:
        """Whether something of that hour may have come out while the tree was read."""
        with contextlib.suppress(Bad):
            return self.began - COMING_OUT <= at(moment) <= datetime.now(UTC) + TOLERANCE
        return False

    def did(self, check: str, count: int = 1) -> None:
        """Count so many comparisons. Zero: there was nothing to compare, and that is good."""
        if check not in CHECKS:
            raise RuntimeError(check)
        self.compared[check] += count

    def need(self, right: object, check: str, sentence: object) -> None:
        """One comparison: if `right` is false, the sentence becomes a finding."""
        self.did(check)
        if not right and len(self.wrong[check]) < 20:
            self.wrong[check].append(printable(sentence))

    def unable(self, checks: Iterable[str], sentence: object) -> None:
        """These checks need something that could not be read."""
        for check in checks:
            self.did(check, 0)
            self.unread[check].append(printable(sentence))

    @contextlib.contextmanager
    def step(self, *checks: str) -> Iterator[None]:
        """A fault inside is a finding of the first check; the others are then not checked, and the program goes on."""
        try:
            yield
        except (Bad, Unread) as problem:
            if isinstance(problem, Bad):
                self.need(None, checks[0], problem)
            self.unable(checks if isinstance(problem, Unread) else checks[1:], problem)
        except UnicodeDecodeError:
            self.need(None, checks[0], "hay bytes que no son UTF-8")
            self.unable(checks[1:], "hay bytes que no son UTF-8")
        except (OSError, ValueError, LookupError, TypeError, MemoryError, RecursionError, AssertionError) as error:
            # An error that we did not expect: the reader sees no traceback, and the checks never pass.
            self.unable(checks, f"no se pudo interpretar lo publicado ({type(error).__name__})")

    def result(self, check: str) -> str:
        # A finding counts before an obstacle. A check that no step reached is not checked.
        if self.wrong[check]:
            return WRONG
        if self.unread[check]:
            return UNCHECKED
        if check in self.compared:
            return GOOD
        return NOT_ASKED if check in self.not_asked else UNCHECKED

    def exit_code(self) -> int:
        results = {self.result(check) for check in self.checks}
        return 1 if WRONG in results else 2 if UNCHECKED in results else 0

    def as_json(self) -> str:
        checks = [
            {"id": check, "titulo": CHECKS[check], "resultado": self.result(check)}
            | {
                "comparaciones": self.compared[check],
                "hallazgos": self.wrong[check],
                "motivos": [*dict.fromkeys(self.unread[check])][:20] or [*self.why(check)],
            }
            for check in self.checks
        ]
        held = {"formato": 1, "origen": printable(self.source), "datos": self.facts, "resultado": self.exit_code()}
        return json.dumps(held | {"comprobaciones": checks}, ensure_ascii=False, indent=2)

    def why(self, check: str) -> Iterator[str]:
        if self.result(check) == NOT_ASKED:
            yield self.not_asked[check]
        elif self.result(check) == UNCHECKED and not self.unread[check]:
            yield "no se llegó a comprobar: falta o está mal lo que se necesita para ello"

    def as_text(self) -> str:
        marks = {GOOD: "✓", WRONG: "✗", UNCHECKED: "?", NOT_ASKED: "–"}
        lines = [f"Verificación mínima de {printable(self.source)}", *self.facts, ""]
        for check in self.checks:
            lines.append(f"{marks[self.result(check)]} {check}  {CHECKS[check]}  [{self.compared[check]:,}]")
            for sentence in dict.fromkeys([*self.wrong[check], *self.unread[check], *self.why(check)]):
                lines.append(f"      {sentence}.")
        last = ("✓ Todo lo que se pidió comprobar está bien.", "✗ Hay algo mal.", "? Algo no se pudo comprobar.")
        return "\n".join([*lines, "", last[self.exit_code()]])


def printable(text: object) -> str:
    """On one line and cut: names come from other people."""
    shown = "".join(char if char.isprintable() else "·" for char in str(text))
    return shown if len(shown) <= 300 else shown[:299] + "…"


# --- the story --------------------------------------------------------------------------------------------------------


def verify(source: str, trust: "Trust") -> Report:
    """Check the tree in a folder or at an http(s) address; `trust` holds what the reader brought."""
    report = Report(source)
    try:
        tree = Tree(source)
        if not (tree.exists("index.json") or tree.exists("cortes/0000/SHA256SUMS")):
            raise Unread("aquí no hay un PREP publicado")
    except (Bad, Unread) as problem:
        report.unable(report.checks, problem)
        return report
    # 1. index.json, and the numbers of the cortes.
    index, data, numbers = None, None, list[int]()
    with report.step("COM-01"):
        data = tree.read("index.json", 64 * MEGA)
    if data is not None:
        with report.step("INT-03"):
            index = read_json(data, INDEX, report, "index.json")
    with report.step("COM-01"):
        numbers = leave_out_coming(tree, index, find_cortes(tree, index, report), report)
    if not numbers:
        report.unable(report.checks, "no se encontró ningún corte publicado")
        return report

    # 2. The log first: leaves that come while this reads are not in it yet. Then the catalogue: what each corte must
    # show.
    log = read_log(tree, trust, report)
    catalogue = None
    with report.step("CON-20"):
        catalogue = read_catalogue(tree, report)
    before: Corte | None = None
    images, clean = Images(), Data()
    rows: Versions = {}
    cortes: list[Corte] = []
    # 3. Each corte: its files, its place in the chain, its rows and sums, its ZIP, images, clean data and seals.
    for number in numbers:
        corte = read_corte(tree, number, report)
        judge_chain(corte, before, report)
        if corte.manifest is None:
            report.unable((*ROWS, "INT-05", "INT-06"), f"{corte.folder}: no se puede leer su manifiesto")
        else:
            for election in corte.manifest["elecciones"]:
                with report.step(*ROWS):
                    judge_election(corte, before, election, rows, report)
            read_totals(corte, before, report)
            if catalogue is not None:
                with report.step("CON-20"):
                    judge_catalogue(catalogue, corte, report)
            with report.step("CON-17"):
                judge_readme(corte, report)
            with report.step("INT-05", "INT-06"):
                judge_zip(tree, corte, report)
        with report.step("COM-05", "COM-06", "INT-04"):
            read_images(corte, images, report)
        with report.step("CON-21"):
            report.did("CON-21", 0)
            judge_data(tree, corte, clean, images, report)
        judge_seals(tree, corte, before, trust, report)
        cortes.append(corte)
        # Only the rows and the files of the corte before are kept.
        if before is not None:
            before.tables, before.totals = {}, None
            for handle, _ in before.files.values():
                handle.close()
        before = corte
    last = cortes[-1]
    report.brings = look_for_coming(tree, last.number, report)
    # 4. Without the reader's authorities, seals prove nothing: they are *not checked*, or do not apply if there is
    # none.
    if not trust.ca:
        if report.sealed:
            report.unable(SEALS, "hay sellos, y sin --ca y --tsa-ca no se sabe si son de quien deben ser")
        report.not_asked |= dict.fromkeys(SEALS, "no hay sellos, y no se dijo en qué autoridad se confía")
    elif not trust.tsa_ca:
        report.not_asked["AUT-04"] = "no hay sellos de tiempo, y no se dijo en qué autoridad se confía"
    # 5. The index, the images, the log, the pages, and files that no corte names.
    judge_index(index, last, report)
    judge_images(tree, cortes, images, report)
    if log is not None:
        judge_log(tree, log, cortes, images, rows, report)
    judge_pages(tree, cortes, images, report)
    judge_constants(tree, last, report)
    for handle, _ in last.files.values():
        handle.close()
    judge_extra(tree, cortes, images, clean, report)
    if catalogue is not None:
        catalogue.close()
    if log is not None and not tree.url:
        judge_log_files(tree, log, report)
    if last.manifest is not None:
        simulacro = " — ES UN SIMULACRO" if last.manifest["simulacro"] else ""
        report.facts.append(f"Corte {last.number} ({last.manifest['fase']}), {last.manifest['fecha_hora']}{simulacro}")
    return report


# --- reading ----------------------------------------------------------------------------------------------------------


class Tree:
    """The published files. Every path that is asked for was checked before, even if a published file names it."""

    def __init__(self, where: str, longest: float = LONGEST) -> None:
        """`longest`: seconds that one answer of a server may take, headers and body together."""
        self.url = ""
        if "://" in where:
            parts = urllib.parse.urlsplit(where)
            if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
                raise Unread("la dirección debe empezar con http:// o https:// y no llevar «?» ni «#»")
            self.url = where.removesuffix("index.html").removesuffix("index.json").rstrip("/") + "/"
            self.opener = urllib.request.build_opener(NoRedirection(), *in_time(longest))
        elif not os.path.isdir(where):
            raise Unread(f"no hay una carpeta en {where}")
        self.root = where

    def take(self, path: str, limit: int, *, keep: bool = True) -> tuple[Any, str, int]:
        """A handle at the file's beginning (None without `keep`), its SHA-256 and its size."""
        hasher, size = hashlib.sha256(), 0
        with contextlib.ExitStack() as stack:
            # A file on disk is its own handle; a file over HTTP is copied, so that it can be read again.
            source = stack.enter_context(self.ask(path) if self.url else open_inside(self.root, path))
            copy = stack.enter_context(tempfile.SpooledTemporaryFile(8 * MEGA)) if keep and self.url else None
            try:
                while block := source.read(256 * KILO):
                    size += len(block)
                    if size > limit:
                        raise Bad(f"{path} tiene más de {limit} bytes")
                    hasher.update(block)
                    if copy is not None:
                        copy.write(block)
                stated = source.headers.get("Content-Length") if self.url else None
            except (OSError, http.client.HTTPException):
                raise Unread(f"no se pudo leer {path}") from None
            # A download that was cut is *not checked*: it is no fault of the publisher.
            if stated is not None and stated != str(size):
                raise Unread(f"se interrumpió la descarga de {path}")
            if not keep:
                return None, hasher.hexdigest(), size
            kept = source if copy is None else copy
            kept.seek(0)
            stack.pop_all()
        if copy is not None:
            source.close()
        return kept, hasher.hexdigest(), size

    def read(self, path: str, limit: int) -> bytes:
        handle, _, size = self.take(path, limit)
        with handle:
            content: bytes = handle.read(size)
        return content

    def exists(self, path: str) -> bool:
        """Whether there is such an ordinary file; a folder above it that is a link is refused."""
        try:
            (self.ask(path, "HEAD") if self.url else open_inside(self.root, path)).close()
        except Linked:
            raise
        except Bad:
            return False
        return True

    def entries(self, folder: str) -> dict[str, str]:
        """Names in a folder, each with its kind: FILE, FOLDER, LINK or OTHER."""
        if self.url:
            raise Unread("por HTTP no se puede saber qué otros archivos hay")
        here = reach(self.root, folder, folder=True)
        try:
            with os.scandir(here) as found:
                return {each.name: kind_of_entry(each) for each in found}
        except OSError:
            raise Unread(f"no se pudo leer {folder}") from None
        finally:
            os.close(here)

    def ask(self, path: str, method: str = "GET") -> Any:
        address = self.url + urllib.parse.quote(path)
        asked = urllib.request.Request(address, method=method, headers={"Accept-Encoding": "identity"})
        try:
            return self.opener.open(asked, timeout=SILENCE)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in {404, 410}:
                raise Absent(f"falta {path}") from None
            raise Unread(f"el servidor respondió {error.code} al pedir {path}") from None
        except (OSError, http.client.HTTPException, ValueError):
            raise Unread(f"no se pudo pedir {path} al servidor") from None


class Timely(io.RawIOBase):
    """The bytes of one answer, until its deadline: a server that drips them must not hold us."""

    def __init__(self, connection: Any, until: float) -> None:
        # The file keeps the connection open until this object is closed.
        self.connection, self.file, self.until = connection, connection.makefile("rb", buffering=0), until

    def readable(self) -> bool:
        return True

    def readinto(self, block: Any) -> int:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(min(left, SILENCE))
        size: int = self.connection.recv_into(block)
        return size

    def close(self) -> None:
        self.file.close()
        super().close()


def in_time(longest: float) -> list[Any]:
    """The handlers for http and https with that deadline."""

    class Answer(http.client.HTTPResponse):
        def __init__(self, connection: Any, *words: Any, **named: Any) -> None:
            super().__init__(connection, *words, **named)
            self.fp.close()
            self.fp = io.BufferedReader(Timely(connection, time.monotonic() + longest))

    class Plain(http.client.HTTPConnection):
        response_class = Answer

    class Secure(http.client.HTTPSConnection):
        response_class = Answer

    class PlainHandler(urllib.request.HTTPHandler):
        def http_open(self, asked: urllib.request.Request) -> Any:
            return self.do_open(Plain, asked)

    class SecureHandler(urllib.request.HTTPSHandler):
        def https_open(self, asked: urllib.request.Request) -> Any:
            return self.do_open(Secure, asked)

    return [PlainHandler(), SecureHandler()]


class NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Refuse redirections: another address is another source. urllib then reports the 30x as an error."""


def open_inside(root: str, path: str) -> Any:
    """An ordinary file inside the folder, reached without any symbolic link."""
    here = reach(root, path, folder=False)
    try:
        if not stat.S_ISREG(os.fstat(here).st_mode):
            raise Bad(f"{path} no es un archivo ordinario")
        return os.fdopen(os.dup(here), "rb")
    finally:
        os.close(here)


def reach(root: str, path: str, *, folder: bool) -> int:
    """A handle to the file or folder at a path; no part of the path may be a link."""
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    parts = [part for part in path.split("/") if part]
    try:
        # Each part is opened from the folder before it (openat). So a link cannot be slipped in between a check and a
        # use.
        for place, part in enumerate(parts, 1):
            above = folder or place < len(parts)
            kind = os.O_DIRECTORY if above else os.O_NONBLOCK
            try:
                inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | kind, dir_fd=here)
            except NotADirectoryError:
                if above and stat.S_ISLNK(os.lstat(part, dir_fd=here).st_mode):
                    raise Linked(f"{path} es o atraviesa un enlace") from None
                raise
            os.close(here)
            here = inner
        return os.dup(here)
    except (FileNotFoundError, NotADirectoryError):
        raise Absent(f"falta {path}") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Bad(f"{path} es un enlace") from None
        raise Unread(f"no se pudo leer {path}") from None
    finally:
        os.close(here)


def kind_of_entry(entry: "os.DirEntry[str]") -> str:
    if entry.is_symlink():
        return LINK
    if entry.is_dir(follow_symlinks=False):
        return FOLDER
    return FILE if entry.is_file(follow_symlinks=False) else OTHER


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def parse(data: bytes, where: str) -> Any:
    """JSON in its only canonical form: sorted keys, each once, no spaces, no floats nor NaN, one newline at the end."""

    def refuse(_: str) -> NoReturn:
        raise Bad(f"{where}: un número que no es entero")

    def whole(digits: str) -> int:
        return int(digits) if len(digits) <= 18 else refuse(digits)

    def once(pairs: list[tuple[str, Any]]) -> Json:
        if len(dict(pairs)) < len(pairs):
            raise Bad(f"{where}: una clave repetida")
        return dict(pairs)

    try:
        # Writing the value again must give the same bytes; this finds every other form.
        text = data.decode()
        value = json.loads(text, object_pairs_hook=once, parse_int=whole, parse_float=refuse, parse_constant=refuse)
        if canonical(value) + b"\n" != data:
            raise Bad(f"{where}: no está en forma canónica")
    except (ValueError, RecursionError):
        raise Bad(f"{where}: no es JSON") from None
    return value


# Fields that are younger than the first published trees. If a field is absent, it has this value. No JSON gives ABSENT.
ABSENT = object()
LATER: Json = {
    "excede_alone": False,
    "sin_acta_not_counted": True,
    "votos_por_boleta": 1,
    "declaracion": ABSENT,
    "decisiones": [],
    "datos": [],
    "incidentes": [],
    "sitio": None,
    "sitio.js": ABSENT,
    **dict.fromkeys((*PARTS, PLACES, *SCHEMAS), ABSENT),
    "logo.svg": ABSENT,
    "logo.png": ABSENT,
}


def fit(value: Any, shape: Any, where: str) -> bool:
    """Check the shape: a type, a pattern, [each], {field: shape}, ("any key", shape); (None, shape) allows null."""
    if value is ABSENT:
        right = True
    elif isinstance(shape, tuple) and shape[0] is None:
        right = value is None or fit(value, shape[1], where)
    elif isinstance(shape, tuple):
        right = type(value) is dict and all(fit(held, shape[1], f"{where}.{key}") for key, held in value.items())
    elif isinstance(shape, dict):
        value = ({key: usual for key, usual in LATER.items() if key in shape} | value) if type(value) is dict else {}
        right = value.keys() == shape.keys()
        right = right and all(fit(value[key], inner, f"{where}.{key}") for key, inner in shape.items())
    elif isinstance(shape, list):
        right = type(value) is list and all(fit(held, shape[0], where) for held in value)
    elif isinstance(shape, re.Pattern):
        right = type(value) is str and shape.fullmatch(value) is not None
    else:
        right = type(value) is shape and (shape is not int or value >= 0)
    if not right:
        raise Bad(f"{where}: no tiene la forma debida")
    return True


def read_json(data: bytes, shape: Json, report: Report, where: str) -> Json:
    value = parse(data, where)
    fit(value, shape, where)
    if value["formato"] != 1:
        raise Bad(f"{where}: es de un formato que este programa no conoce")
    report.did("INT-03")
    held: Json = value
    return held


SUMMARY = (
    *("ACTAS_ESPERADAS", "ACTAS_REGISTRADAS", "ACTAS_FUERA_CATALOGO", "ACTAS_CAPTURADAS"),
    *("PORCENTAJE_ACTAS_CAPTURADAS", "ACTAS_CONTABILIZADAS", "PORCENTAJE_ACTAS_CONTABILIZADAS"),
    *("PORCENTAJE_ACTAS_INCONSISTENCIAS", "ACTAS_NO_CONTABILIZADAS", "LISTA_NOMINAL_ACTAS_CONTABILIZADAS"),
    *("TOTAL_VOTOS_C_CS", "TOTAL_VOTOS_S_CS", "PORCENTAJE_PARTICIPACION_CIUDADANA"),
)
CODE = re.compile(r"[^\W_][\w.&-]{0,60}")
PERCENT = re.compile(r"\d{1,9}\.\d{4}", re.ASCII)
INTEGER = re.compile(r"\d{1,18}", re.ASCII)
RESUMEN = {key: PERCENT if key.startswith("PORCENTAJE") else INTEGER for key in SUMMARY}
CLASS = re.compile("partido|coalicion|comun|independiente|no_registradas|nulos")
MOVING = {
    **{"formato": int, "simulacro": bool, "corte": int, "fase": re.compile("cero|en curso|final")},
    **{"fecha_hora": MOMENT, "siguiente": (None, MOMENT)},
}
INDEX = MOVING | {
    **{"carpeta": str, "sha256sums": HEX},
    "elecciones": [{"codigo": CODE, "titulo": str, "pagina": str}],
    "incidentes": [{"numero": int, "texto": str, "fecha_hora": MOMENT}],
}
RULES = {
    **dict.fromkeys(("mixed_without_number_counts", "excede_applies", "partial_beside_all"), bool),
    **{"last_corte_with_especiales": bool, "name": str, "version": int, "texts": ("any key", str)},
    **{"excede_alone": bool, "sin_acta_not_counted": bool},
}
PLACE = r"(?!.{41})[a-z][a-z0-9]*(_[a-z0-9]+){0,5}"
"""The kind of territory that elects: the catalogue of the night names it, beside the ones that every night has."""
ELECTION: Json = {
    **{"codigo": CODE, "titulo": str, "anio": int, "archivo": NAME, "candidaturas": NAME},
    **{"ambito": re.compile("federal|local"), "nivel": re.compile(rf"(?!distrito_(federal|local)$){PLACE}", re.ASCII)},
    "resumen": RESUMEN,
    "opciones": [{"posicion": int, "codigo": str, "clase": CLASS, "partidos": [int], "nombre": str}],
    "contiendas": [
        {"id": int, "entidad": int, "territorio": int, "nombre": str, "boleta": [int], "votos_por_boleta": int}
    ],
}
ANY_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?[+-]\d\d:\d\d", re.ASCII)
DECLARATION = {
    **{"formato": int, "simulacro": bool, "ensayo": bool, "siglas": str, "zona": str, "intervalo_ms": int},
    **{"inicio": (None, ANY_MOMENT), "fin": (None, ANY_MOMENT), "cierra_al_completar": bool, "puesta_en_ceros": bool},
    "instituto": {"nombre": str, "logo": (None, HEX), "colores": [str]},
    "bitacora": {"origen": str, "politica": (None, HEX)},
}
MANIFEST = MOVING | {
    **{"anterior": (None, {"corte": int, "sha256sums": HEX}), "catalogo": HEX},
    "declaracion": {"sha256": HEX, "contenido": DECLARATION},
    "reglas": ("any key", {"nombre": str, "version": int, "sha256": HEX, "contenido": RULES}),
    "elecciones": [ELECTION],
    "correcciones": [{"acta": str, "eleccion": CODE, "motivo": str}],
    "decisiones": [
        {"numero": int, "clase": str, "deshace": (None, int), "asunto": str, "motivo": str, "razon": str, "texto": str}
        | {"fecha_hora": MOMENT}
    ],
    "sitio": (None, dict.fromkeys((*SITE, PROGRAM, *PARTS, *LOGOS, PLACES, *SCHEMAS), HEX)),
    "datos": [{"corte": int, "sha256sums": HEX}],
    "zip": {"archivo": re.compile(rf"zip/{NAME.pattern}\.zip"), "sha256": HEX, "bytes": int},
}
AMOUNTS = {"resumen": RESUMEN, "votos": ("any key", int)}
NAMED = {"entidad": int, "id": int, "nombre": str}
PEOPLE = {"id": int, "propietaria": str, "suplente": str, "opciones": [str], "votos": int, "porcentaje": PERCENT}
CONTEST = AMOUNTS | NAMED | {"territorio": int, "votos_por_partido": ("any key", int), "candidaturas": [PEOPLE]}
EMPTY: Json = {"votos": {}, "votos_por_partido": {}, "candidaturas": []}
ACTAS = ("esperadas", "capturadas", "contabilizadas", "no_contabilizadas", "sin_acta", "fuera_de_catalogo")
TOTALS = {
    "formato": int,
    "elecciones": (
        "any key",
        AMOUNTS
        | {"actas": dict.fromkeys(ACTAS, int), "votos_por_partido": ("any key", int), "contiendas": [CONTEST]}
        | {"territorios": [AMOUNTS | NAMED | {"tipo": re.compile(rf"(?!(pais|distrito)$){PLACE}", re.ASCII)}]},
    ),
}

WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", re.ASCII)
NUMBERS = re.compile(r"[1-9]\d{0,17}(-[1-9]\d{0,17})?(,[1-9]\d{0,17}(-[1-9]\d{0,17})?)*", re.ASCII)
PHASE, SIDE = re.compile("cero|en curso|final"), re.compile("inicio|cierre")
LEAVES: dict[str, Json] = {
    "inicio": {
        **{"origen": str, "simulacro": bool, "catalogo": HEX, "reglas": HEX, "politica": HEX, "clave": str},
        "declaracion": HEX,
        **{"dispositivos": {"total": int, "sha256": HEX}, "fecha_hora": WHEN},
    },
    "imagen": {
        **{"sha256": HEX, "bytes": int, "dispositivo": str, "secuencia": int},
        **{"anterior": (None, HEX), "recibida": WHEN},
    },
    "derivada": {"imagen": HEX, "sha256": HEX, "acta": (None, str)},
    **{kind: {"compromiso": HEX} for kind in ("captura", "resolucion", "sin_acta", "identidad", "cotejo")},
    "version": {"eleccion": str, "acta": str, "contenido": HEX},
    "corte": {"corte": int, "fase": PHASE, "sha256sums": HEX, "fecha_hora": WHEN},
    "incidente": {"clase": str, "asunto": str, "detalle": HEX, "fecha_hora": WHEN},
    "rotacion": {"de": re.compile("dispositivo|bitacora"), "nombre": str, "clave": str, "fecha_hora": WHEN},
    "cierre": {"corte": int, "sha256sums": HEX},
    "perdida": {"dispositivo": str, "numeros": NUMBERS, "motivo": str, "fecha_hora": WHEN},
    "software": {"momento": SIDE, "lista": HEX, "fecha_hora": WHEN},
    "cero": {"conteos": HEX, "software": (None, HEX), "fecha_hora": WHEN},
    "acto": {"momento": SIDE, "corte": int, "sha256sums": HEX, "documentos": HEX, "fecha_hora": WHEN},
}
"""The fields of each kind of leaf, besides its kind and its number."""
HEX32 = re.compile("[0-9a-f]{32}", re.ASCII)
OPENING: Json = {"numero": int, "eleccion": str, "acta": str, "persona": HEX32, "sal": HEX32}
OPENINGS: dict[str, tuple[Json, str, int]] = {
    "captura": (OPENING | {"ronda": int, "ordinal": int, "numeros": [(None, int)], "marcas": str}, "ordinal", 2),
    "resolucion": (OPENING | {"ronda": int, "elige": int}, "elige", 1),
    "sin_acta": (OPENING | {"criterio": str}, "criterio", 2),
    "identidad": (OPENING | {"imagen": HEX}, "imagen", 2),
    "cotejo": (OPENING | {"ronda": int, "resultado": int}, "resultado", 1),
}
"""By kind of leaf: the line that opens it, its field that says something of a row, and how many people must say it."""
GRACE = 1
"""Cortes after which the openings of a corte must be there."""
COTEJOS: dict[str, frozenset[object]] = {"1": frozenset({1}), "2": frozenset({2, 3}), "3": frozenset({3})}
"""By COTEJADA: the results that lead to it. An acta in correction is accepted after its recapture."""
UNREAD = {"I": "Ilegible", "S": "Sin dato", "X": "-"}


# --- cortes -----------------------------------------------------------------------------------------------------------


class Corte:
    """One corte, as far as it could be read."""

    def __init__(self, number: int) -> None:
        self.number, self.folder = number, f"cortes/{number:04}"
        self.digest, self.content = "", b""
        self.sums: dict[str, str] = {}
        self.files: dict[str, tuple[Any, int]] = {}
        self.manifest: Any = None
        self.fixed: object = None
        self.sealed_at: datetime | None = None
        self.tables: dict[str, Table] = {}
        self.people: Any = None
        self.totals: Any = None

    def read(self, name: str, report: Report) -> bytes | None:
        """A small file of the corte; None, with the finding in the report, if it is missing or too large."""
        if name not in self.files:
            report.need(not self.sums or name in self.sums, "COM-03", f"{self.folder}/SHA256SUMS: no lista {name}")
            return None
        handle, size = self.files[name]
        if size > 64 * MEGA:
            report.need(None, "INT-03", f"{self.folder}/{name} tiene más de {64 * MEGA} bytes")
            return None
        handle.seek(0)
        content: bytes = handle.read(size)
        return content


def find_cortes(tree: Tree, index: Json | None, report: Report) -> list[int]:
    """The numbers of the cortes. Every number below the last must be there, and the one that the index names."""
    stated, there = index["corte"] if index else -1, set[int]()
    if tree.url:
        number = 0
        while number <= 100_000 and (tree.exists(f"cortes/{number:04}/SHA256SUMS") or number <= stated):
            if number > stated or tree.exists(f"cortes/{number:04}/SHA256SUMS"):
                there.add(number)  # an old index that was put back cannot hide a later corte
            number += 1
    else:
        for name, kind in tree.entries("cortes").items():
            numbered = re.fullmatch(r"(?!0{5,})\d{4}|[1-9]\d{4,}", name, re.ASCII) and int(name) <= 100_000
            if kind == FOLDER and numbered:
                there.add(int(name))
            else:
                check = "COM-02" if kind in {LINK, OTHER} else "COM-08"
                report.need(None, check, f"cortes/{name}: {kind}, donde solo hay cortes")
    wanted = {*range(max(there, default=-1) + 1), *([stated] if stated >= 0 else [])}
    for number in sorted(wanted - there)[:100_000]:
        report.need(None, "COM-01", f"falta cortes/{number:04}")
    report.did("COM-01", len(there))
    return sorted(there)


def leave_out_coming(tree: Tree, index: Json | None, numbers: list[int], report: Report) -> list[int]:
    """Without the cortes that come out while this reads: what index.json named when the reading began is judged.

    Only a corte whose own hour is new is left out: an old index.json that was put back is still found.
    """
    stated = index["corte"] if index else -1
    later = [number for number in numbers if number > stated]
    if stated not in numbers or not later or not all(is_coming(tree, f"cortes/{one:04}", report) for one in later):
        return numbers
    report.facts.append(f"Está saliendo el corte {later[-1]}: se comprobó hasta el {stated}, que index.json nombraba")
    return [number for number in numbers if number <= stated]


def is_coming(tree: Tree, folder: str, report: Report) -> bool:
    try:
        where = f"{folder}/manifest.json"
        return report.is_new(read_json(tree.read(where, 64 * MEGA), MANIFEST, Report(""), where)["fecha_hora"])
    except (Bad, Unread):
        return False


def look_for_coming(tree: Tree, last: int, report: Report) -> Callable[[str], bool]:
    """A function that says whether a corte after `last`, at its place or in its stage, brings the file at a path."""
    known: dict[str, set[str]] = {}

    def folders() -> Iterator[tuple[str, int]]:
        # Stages first: one that moves to its place between the two looks is then met there.
        for name in entries(tree, "", Report("")):
            stage = STAGE.fullmatch(name)
            if stage and stage[1] and int(stage[1]) > last:
                yield f"{name}/corte", int(stage[1])
        number = last + 1
        while tree.exists(f"cortes/{number:04}/SHA256SUMS"):
            yield f"cortes/{number:04}", number
            number += 1

    def brings(path: str) -> bool:
        if not any(path in paths for paths in known.values()):
            with contextlib.suppress(Bad, Unread):
                for folder, number in folders():
                    if folder not in known and is_coming(tree, folder, report):
                        known[folder] = announced(tree, folder, number)
        return any(path in paths for paths in known.values())

    return brings


def announced(tree: Tree, folder: str, number: int) -> set[str]:
    """The paths that a coming corte brings. Its faults are told when index.json names it."""
    aside, images = Report(""), Images()
    corte = read_corte(tree, number, aside, folder)
    if corte.manifest is None:
        return set()
    read_images(corte, images, aside)
    paths = {corte.manifest["zip"]["archivo"], *(["imagenes"] if images else []), f"datos/{number:04}"}
    paths |= {f"cambios/{number:04}.{kind}" for kind in ("json", "tar.gz")}
    for digest, (extension, claves) in images.items():
        paths |= {f"imagenes/{digest[:2]}", image_path(digest, extension)}
        paths |= {
            f"{election['codigo']}/fuera/{digest}.html" for election in corte.manifest["elecciones"] if "-" in claves
        }
    for election in corte.manifest["elecciones"]:
        with aside.step(*ROWS):
            judge_election(corte, None, election, Versions(), aside)
        table = corte.tables.get(election["codigo"], Table())
        pages = {*places_of(table), *(f"{clave}.html" for clave in table.published)}
        pages |= {twin_of(page) for page in pages}
        paths |= {f"{election['codigo']}/{page}" for page in pages}
    for handle, _ in corte.files.values():
        handle.close()
    return paths


def read_corte(tree: Tree, number: int, report: Report, folder: str = "") -> Corte:
    # SHA256SUMS, then every file that it names, then every name in the folder, then the manifest.
    corte = Corte(number)
    corte.folder = folder or corte.folder
    with report.step("INT-01", "INT-02", "COM-03"):
        corte.content = tree.read(f"{corte.folder}/SHA256SUMS", MEGA)
        corte.digest = hashlib.sha256(corte.content).hexdigest()
        corte.sums = read_sums(corte.content, corte.folder)
        report.did("INT-01")
    for name, expected in corte.sums.items():
        with report.step("INT-02"):
            try:
                handle, found, size = tree.take(f"{corte.folder}/{name}", 4 * GIGA)
            except Absent as problem:
                report.need(None, "COM-03", problem)
                continue
            corte.files[name] = handle, size
            report.need(found == expected, "INT-02", f"{corte.folder}/{name}: su huella es {found}, no {expected}")
    report.did("COM-03")
    with report.step("COM-03"):
        for name, kind in ({} if tree.url else tree.entries(corte.folder)).items():
            path = f"{corte.folder}/{name}"
            # If SHA256SUMS could not be read, no name in the folder can be called strange.
            announced = (
                name in corte.sums or not corte.sums or name in {"SHA256SUMS", *map("SHA256SUMS.{}".format, BESIDE)}
            )
            report.need(kind in {FILE, FOLDER}, "COM-02", f"{path} es {kind}")
            report.need(
                kind in {LINK, OTHER} or (kind == FILE and announced), "COM-03", f"{path} no está en SHA256SUMS"
            )
    data, where = corte.read("manifest.json", report), f"{corte.folder}/manifest.json"
    if data is not None:
        with report.step("INT-03"):
            manifest = read_json(data, MANIFEST, report, where)
            corte.fixed = fixed(manifest)
            judge_manifest(manifest, where)
            corte.manifest = manifest
            named = [election[key] for election in manifest["elecciones"] for key in ("archivo", "candidaturas")]
            wanted = {*named, "manifest.json", "LEEME.txt", "totals.json", "images.csv"}
            report.need(wanted == {*corte.sums}, "COM-03", f"{where}: SHA256SUMS no lista los archivos que él nombra")
    return corte


def read_sums(content: bytes, folder: str) -> dict[str, str]:
    """Digest by name, from the GNU form: sorted, plain names, no two that a file system may take for one."""
    sums: dict[str, str] = {}
    folded: set[str] = set()
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError:
        raise Bad(f"{folder}/SHA256SUMS no es texto UTF-8") from None
    if lines.pop() != "" or not lines:
        raise Bad(f"{folder}/SHA256SUMS está cortado")
    for line in lines:
        digest, name = line[:64], line[66:]
        alike = unicodedata.normalize("NFC", name).casefold()
        plain = re.fullmatch(r"(?!\.)[^/\\\x00-\x1f\x7f]{1,255}", name) and name != "SHA256SUMS"
        if not HEX.fullmatch(digest) or line[64:66] != "  " or not plain:
            raise Bad(f"{folder}/SHA256SUMS: «{line}» no es «<64 hexadecimales>  <nombre sin ruta>»")
        if alike in folded or (sums and name < [*sums][-1]):
            raise Bad(f"{folder}/SHA256SUMS: «{name}» está repetido o fuera de orden")
        folded.add(alike)
        sums[name] = digest
    return sums


def judge_manifest(manifest: Json, where: str) -> None:
    """Check the references inside the manifest, which its shape does not say: names, options and contests."""
    for moment in (manifest["fecha_hora"], manifest["siguiente"]):
        at(moment or manifest["fecha_hora"])
    codes = [election["codigo"] for election in manifest["elecciones"]]
    if not codes or len({code.casefold() for code in codes}) < len(codes) or {*codes} != {*manifest["reglas"]}:
        raise Bad(f"{where}: elecciones repetidas, o sin sus reglas")
    told = [(held["eleccion"], held["acta"].strip("'")) for held in manifest["correcciones"]]
    sound = all(code in codes and clave.isalnum() for code, clave in told) and len({*told}) == len(told)
    if not sound or not all(is_name(held["motivo"]) for held in manifest["correcciones"]):
        raise Bad(f"{where}: correcciones de otras actas, repetidas o sin motivo")
    for election in manifest["elecciones"]:
        judge_ranges(election, manifest["reglas"][election["codigo"]]["contenido"], where)
        code, year, edo = election["codigo"], election["anio"], edo_of(manifest)
        rules = manifest["reglas"][code]
        if (rules["nombre"], rules["version"]) != (rules["contenido"]["name"], rules["contenido"]["version"]):
            raise Bad(f"{where}: las reglas de {code} no tienen el nombre y la versión de su contenido")
        names = (f"{edo}_{code}_{year}.csv", f"{edo}_{code}_CANDIDATURAS_{year}.csv")
        if not edo or edo.endswith(".csv") or (election["archivo"], election["candidaturas"]) != names:
            raise Bad(f"{where}: nombres de archivo que no son los de {code}")
        options = election["opciones"] = sorted(election["opciones"], key=lambda option: option["posicion"])
        whole = [option["posicion"] for option in options] == [*range(len(options))]
        # Each combination names parties of this ballot, each once; only a coalition must name some.
        parties = all(
            {*option["partidos"]} <= {*range(len(options))}
            and len({*option["partidos"]}) == len(option["partidos"])
            and all(options[party]["clase"] == "partido" for party in option["partidos"])
            and (option["partidos"] or option["clase"] != "coalicion")
            for option in options
        )
        contests = election["contiendas"]
        spots = {(contest["entidad"], contest["territorio"]) for contest in contests}
        ids = {contest["id"] for contest in contests}
        apart = len(spots) == len(ids) == len(contests) and len({o["codigo"] for o in options}) == len(options)
        ballots = all(
            each["boleta"] and len({*each["boleta"]}) == len(each["boleta"]) and max(each["boleta"]) < len(options)
            for each in contests
        )
        # A territory or an option may have the name of no other column.
        columns = columns_of(election)
        apart = apart and len({*columns}) == len(columns)
        if not whole or not parties or not apart or not ballots:
            raise Bad(f"{where}: opciones o contiendas de {code} repetidas o que no existen")


def judge_ranges(election: Json, rules: Json, where: str) -> None:
    """The values of an election that its shape allows and that no catalogue can hold."""
    options, contests = election["opciones"], election["contiendas"]
    kinds = Counter(option["clase"] for option in options)
    named = all(
        re.fullmatch(r"[^\W_][\w.&-]{0,59}", each["codigo"]) and is_name(each["nombre"] or "-") for each in options
    )
    named = named and is_name(election["titulo"]) and all(is_name(contest["nombre"]) for contest in contests)
    texts = {*rules["texts"]} <= {*OBSERVED} and all(is_name(text or "-") for text in rules["texts"].values())
    if not named or not texts or not 1990 <= election["anio"] <= 2200:
        raise Bad(f"{where}: nombres, textos o año de {election['codigo']} que no pueden ser")
    joins = all(each["clase"] in {"coalicion", "comun"} for each in options if each["partidos"])
    somebody = {*kinds} > {"nulos"} and {*kinds} != {"nulos", "no_registradas"}
    if kinds["nulos"] != 1 or kinds["no_registradas"] > 1 or not somebody or not joins:
        raise Bad(f"{where}: la boleta de {election['codigo']} no puede ser")
    nulos = {each["posicion"] for each in options if each["clase"] == "nulos"}
    level = {"pais": (False, False), "entidad": (True, False)}.get(election["nivel"], (True, True))
    for contest in contests:
        ballot, (entidad, territory) = {*contest["boleta"]}, (contest["entidad"], contest["territorio"])
        coalitions = [each for each in options if each["clase"] == "coalicion" and each["posicion"] in ballot]
        whole_ballot = ballot >= nulos.union(*(each["partidos"] for each in coalitions))
        votes = contest.get("votos_por_boleta", 1)
        here = (entidad > 0, territory > 0) == level and entidad < 100 and territory < 10_000
        if not whole_ballot or not here or not 1 <= votes <= 100:
            raise Bad(f"{where}: el lugar o la boleta de la contienda {contest['id']} no puede ser")


def edo_of(manifest: Json) -> str:
    first = manifest["elecciones"][0]
    return str(first["archivo"]).removesuffix(f"_{first['codigo']}_{first['anio']}.csv")


def at(moment: str) -> datetime:
    try:
        return datetime.fromisoformat(moment)
    except ValueError:
        raise Bad(f"«{moment}» no es una fecha que exista") from None


def told_hour(moment: str) -> str:
    """The moment of a manifest as the official file tells it, dd/mm/aaaa HH:MM (UTC-6), in the night's own offset."""
    hours, minutes = moment[-5:-3], moment[-2:]
    # Zero has no sign of its own: +00:00 and -00:00 are one offset.
    sign = "+" if hours + minutes == "0000" else moment[-6]
    return f"{at(moment):%d/%m/%Y %H:%M} (UTC{sign}{int(hours)}{'' if minutes == '00' else ':' + minutes})"


def judge_chain(corte: Corte, before: Corte | None, report: Report) -> None:
    """A corte follows the one before in number, digest and time; it changes no value that a night may not change."""
    ours, where = corte.manifest, f"{corte.folder}/manifest.json"
    if ours is None:
        report.unable(CHAIN, f"{corte.folder}: sin manifiesto no se puede comparar con los demás cortes")
        return

    def need(right: object, check: str, sentence: str) -> None:
        report.need(right, check, f"{where}: {sentence}")

    # The digest of the SHA256SUMS before it: so the last corte fixes all the others.
    expected = None if before is None or not corte.number else {"corte": before.number, "sha256sums": before.digest}
    need(ours["anterior"] == expected, "CON-01", "«anterior» no es la huella del corte anterior")
    need(ours["corte"] == corte.number, "CON-02", f"dice ser el corte {ours['corte']}")
    need((ours["fase"] == "cero") == (corte.number == 0), "CON-02", f"la fase «{ours['fase']}» no es la de ese corte")
    later = not ours["siguiente"] or at(ours["siguiente"]) >= at(ours["fecha_hora"])
    need(later, "CON-03", "el siguiente corte va antes")
    for check in ("CON-04", "CON-05"):
        report.did(check)
    for code, rules in ours["reglas"].items():
        digest = hashlib.sha256(canonical(rules["contenido"])).hexdigest()
        need(rules["sha256"] == digest, "CON-05", f"las reglas de {code} no son las de su huella")
    if declared := ours.get("declaracion"):
        content = declared["contenido"]
        digest = hashlib.sha256(canonical(content)).hexdigest()
        need(declared["sha256"] == digest, "CON-05", "la declaración de la noche no es la de su huella")
        need(content["siglas"] == edo_of(ours), "CON-05", "las siglas de los archivos no son las declaradas")
        need(
            content["simulacro"] == ours["simulacro"], "CON-04", "lo declarado dice otra cosa sobre si es un simulacro"
        )
    if before is None or before.manifest is None:
        return
    theirs = before.manifest
    need(at(ours["fecha_hora"]) >= at(theirs["fecha_hora"]), "CON-03", "su hora es anterior a la del corte anterior")
    need(theirs["fase"] != "final", "CON-02", "viene después del corte final")
    same = ours["simulacro"] == theirs["simulacro"]
    need(same, "CON-04", "no dice lo mismo que el anterior sobre si es un simulacro")
    need(corte.fixed == before.fixed, "CON-05", "cambió el catálogo, la declaración, las reglas o las elecciones")


def fixed(manifest: Json) -> object:
    # The summary is the only part of an election that changes during the night.
    elections = [{**election, "resumen": None} for election in manifest["elecciones"]]
    return canonical([manifest["catalogo"], manifest.get("declaracion"), manifest["reglas"], elections])


def judge_index(index: Json | None, last: Corte, report: Report) -> None:
    if index is None or last.manifest is None:
        report.unable(["CON-06"], "sin index.json, o sin el manifiesto del último corte, no hay qué comparar")
        return
    # index.json repeats the last manifest and its digest.
    expected = {key: last.manifest[key] for key in MOVING} | {"carpeta": last.folder, "sha256sums": last.digest}
    for key, value in (expected | {"corte": last.number}).items():
        report.need(index[key] == value, "CON-06", f"index.json: {key} es {index[key]}, no {value}")
    ours = [(held["codigo"], held["titulo"]) for held in last.manifest["elecciones"]]
    theirs = [(held["codigo"], held["titulo"]) for held in index["elecciones"]]
    pages = all(
        held["pagina"] in {held["codigo"] + end for end in ("/index.html", "/", "")} for held in index["elecciones"]
    )
    report.need(ours == theirs and pages, "CON-06", "index.json: sus elecciones no son las del último corte")
    same = index["simulacro"] == last.manifest["simulacro"]
    report.need(same, "CON-04", "index.json no dice lo mismo que el último corte sobre si es un simulacro")


class Line(NamedTuple):
    """The part of one line of an official file that the comparison with the next corte needs."""

    key: bytes = b""
    """The two claves that begin the line; empty for no line, and for a row fuera de catálogo."""
    digest: bytes = b""
    known: bytes = b""
    """Digest of the fields of the catalogue; empty if the line is no row."""
    counted: bool = False
    clave: str = ""


# --- rows -------------------------------------------------------------------------------------------------------------

IDENTITY = ("SECCION", "ID_CASILLA", "TIPO_CASILLA", "EXT_CONTIGUA", "UBICACION_CASILLA", "TIPO_ACTA")
HEADER = ("TOTAL_BOLETAS_SOBRANTES", "TOTAL_PERSONAS_VOTARON", "TOTAL_REP_PARTIDO_CI_VOTARON", "TOTAL_VOTOS_SACADOS")
TAIL = (
    *("TOTAL_VOTOS_ASENTADO", "TOTAL_VOTOS_CALCULADO", "LISTA_NOMINAL", "REPRESENTANTES_PP_CI", "OBSERVACIONES"),
    *("CONTABILIZADA", "MECANISMOS_TRASLADO", "CODIGO_INTEGRIDAD", "FECHA_HORA_ACOPIO", "FECHA_HORA_CAPTURA"),
    *("FECHA_HORA_VERIFICACION", "ORIGEN", "DIGITALIZACION", "TIPO_DOCUMENTO", "COTEJADA"),
)
MOMENTS = ("FECHA_HORA_ACOPIO", "FECHA_HORA_CAPTURA", "FECHA_HORA_VERIFICACION")
LEGAL = {
    "ORIGEN": {"CASILLA", "CATD", "CCV"},
    "DIGITALIZACION": {"Móvil", "Escáner", "Urna"},
    "TIPO_DOCUMENTO": {
        "Acta PREP",
        "Acta Consejo",
        "Copia RPPCI",
        "Copia PE",
        "Acta Extranjero",
        "Constancia sin imagen",
    },
    "COTEJADA": {"0", "1", "2", "3"},
}
WITH_LISTA, WITHOUT_SECCION = {"B", "C", "E"}, {"M", "P", "V", "A"}
OBSERVED = (
    *("excede_lista_nominal", "todos_ilegibles", "todos_vacios", "todos_sin_numero", "ilegible", "sin_dato"),
    *("sin_acta_1", "sin_acta_2", "sin_acta_3", "sin_acta_4", "proceso_tecnico_operativo", "fuera_de_catalogo"),
)


class Table:
    """The sums of an election's rows, by (entidad, territory); and its lines, for the next corte."""

    def __init__(self) -> None:
        self.sums: defaultdict[tuple[int, int], Sums] = defaultdict(Counter)
        self.contests: dict[tuple[int, int], Json] = {}
        self.fuera = 0
        self.seen: set[str] = set()
        self.lines: list[Line] = []
        self.names: dict[tuple[str, ...], str] = {}
        self.published: dict[str, str] = {}
        """CODIGO_INTEGRIDAD by clave, of the captured actas."""


def judge_election(corte: Corte, before: Corte | None, election: Json, versions: Versions, report: Report) -> None:
    """The official file: its rows judged, added up, and compared with those of the corte before."""
    name = f"{corte.folder}/{election['archivo']}"
    if election["archivo"] not in corte.files:
        report.unable(ROWS, f"falta {name}")
        return
    manifest, code = corte.manifest, election["codigo"]
    handle = corte.files[election["archivo"]][0]
    handle.seek(0)
    columns = columns_of(election)
    lines = enumerate(iter(lambda: handle.readline(64 * KILO), b""), 1)
    # Seven lines above the rows: title, hour, blank, names of the summary, its values, blank, names of the columns.
    head = [next(lines, (0, b""))[1] for _ in range(7)]
    cells = [split(line) for line in (head[0].removeprefix(BOM), *head[1:])]
    hour = told_hour(manifest["fecha_hora"])
    expected = [[election["titulo"]], [hour], [""], [*SUMMARY], cells[4], [""], columns]
    right = [have is not None and have == want for have, want in zip(cells, expected, strict=True)]
    right[0] = right[0] and head[0].startswith(BOM) and not head[0].startswith(BOM * 2)
    right[4] = len(cells[4] or ()) == len(SUMMARY)
    for number, good in enumerate(right, 1):
        report.need(good, "CON-07", f"{name}, línea {number}: no es la que debe ser")
    # With other columns, or without the thirteen values, the rows could not be read rightly.
    if not (right[0] and right[4] and right[6]):
        report.unable(ROWS, f"{name}: con otro encabezado no se pueden leer sus filas")
        return

    table = corte.tables[code] = Table()
    table.contests = {(held["entidad"], held["territorio"]): held for held in election["contiendas"]}
    for check in ("CON-08", "CON-09", "CON-10", "CON-15", "CON-16"):
        report.did(check, 0)  # a file may have no row, and corte 0 has no corte before
    for number, line in lines:
        row = dict(zip(columns, found, strict=True)) if len(found := split(line) or ()) == len(columns) else None
        report.need(row, "CON-07", f"{name}, línea {number}: no es una fila")
        table.lines.append(line_of(line, row))
        if row is not None:
            where = f"{name}, línea {number}"
            if judge_row(row, election, manifest["reglas"][code]["contenido"], table, columns[4], where, report):
                clave = row["CLAVE_ACTA"].strip("'")
                # The log holds this digest of each captured row (a leaf `version`); cells before the thirteenth are
                # identification.
                digest = hashlib.sha256(canonical([code, clave, *[*row.values()][12:]])).hexdigest()
                if digest not in versions:
                    rules = manifest["reglas"][code]["contenido"]
                    options = [option["codigo"] for option in election["opciones"]]
                    versions[digest] = Shown(clave, corte.number, code, *standing_on(row, options, rules))
    earlier = before.tables.get(code) if before is not None else None
    corrected = {held["acta"].strip("'") for held in manifest["correcciones"] if held["eleccion"] == code}
    known = corrected <= table.seen if corte.number else not corrected
    report.need(known, "CON-16", f"{name}: una corrección de un acta que no está, o en el corte 0")
    if earlier is not None:
        judge_changes(table, earlier, corrected, name, report)
    judge_summary(corte, election, dict(zip(SUMMARY, cells[4] or (), strict=True)), report)
    # A contest without any acta: its rows were left out.
    voting = {contest_place(election, place) for place, sums in table.sums.items() if sums["esperadas"]}
    for place, contest in table.contests.items():
        report.need(place in voting, "COM-04", f"{name}: no hay actas de la contienda {contest['nombre']}")
    if corte.number == 0:
        other = table.fuera or any(sums.total() != sums["esperadas"] + sums["falta"] for sums in table.sums.values())
        report.need(not other, "CON-02", f"{name}: el corte 0 no está en ceros")


def standing_on(row: Row, options: list[str], rules: Json) -> tuple[bytes, frozenset[object], str, str]:
    """What must have been said of a row: what people typed, or why it is sin acta; its cotejo; and its image."""
    if any(row[option] == "Sin acta" for option in options):
        texts, said = rules["texts"].items(), row["OBSERVACIONES"]
        return (
            b"",
            frozenset(code for code, text in texts if code.startswith("sin_acta") and text == said),
            row["COTEJADA"],
            "",
        )
    typed = digest_of_cells([row[key] for key in (*HEADER, *options, TAIL[0])])
    return typed, frozenset(), row["COTEJADA"], row["CODIGO_INTEGRIDAD"]


def digest_of_cells(cells: list[str]) -> bytes:
    return hashlib.sha256(canonical(cells)).digest()[:16]


def line_of(line: bytes, row: Row | None) -> Line:
    # Bytes up to the second comma: the two claves. A row fuera de catálogo has `-` in both.
    key = b",".join(line.split(b",", 2)[:2])
    key = b"" if key == b"-,-" else key
    if row is None or not key:
        return Line(key, hashlib.sha256(line).digest())
    known = [*[*row.values()][:12], row["LISTA_NOMINAL"], row["REPRESENTANTES_PP_CI"]]
    counted, clave = row["CONTABILIZADA"] in {"0", "1"}, row["CLAVE_ACTA"].strip("'")
    return Line(key, hashlib.sha256(line).digest(), hashlib.sha256(canonical(known)).digest(), counted, clave)


def judge_changes(table: Table, earlier: Table, corrected: set[str], name: str, report: Report) -> None:
    """Line by line: fields of the catalogue never change, and a published acta only with a published correction."""
    report.did("COM-04")
    report.did("CON-15")
    for number, (old, new) in enumerate(zip_longest(earlier.lines, table.lines, fillvalue=Line()), 8):
        where = f"{name}, línea {number}"
        if old.key != new.key:
            report.need(None, "COM-04", f"{where}: no es la misma acta que en el corte anterior")
            return
        if old.digest != new.digest and old.known and new.known:
            report.need(old.known == new.known, "COM-04", f"{where}: cambió lo que el catálogo dice de {old.clave}")
            legal = not old.counted or old.clave in corrected
            report.need(legal, "CON-15", f"{where}: el acta {old.clave} cambió y no está entre las correcciones")


def split(line: bytes) -> list[str] | None:
    """The cells of one line that ends in CRLF and has no other line end; None for any other bytes."""
    try:
        if not line.endswith(b"\r\n") or line.count(b"\r") != 1 or b"\0" in line:
            return None
        return next(csv.reader([line[:-2].decode()], strict=True), []) or [""]
    except (ValueError, csv.Error):
        return None


def whole(cell: str) -> int | None:
    """The number in a cell; None for anything else."""
    return int(cell) if re.fullmatch(r"0|[1-9]\d{0,6}", cell, re.ASCII) else None


def padded(cell: str, nowhere: Sequence[str] = ()) -> int | None:
    """A number with or without zeros before it; 0 for a text in `nowhere`, which says that it has none."""
    return 0 if cell in nowhere else int(cell) if re.fullmatch(r"\d{1,9}", cell, re.ASCII) else None


def judge_row(row: Row, election: Json, rules: Json, table: Table, own: str, where: str, report: Report) -> bool:
    """Check one row and add it to the sums of its place. True if its acta has been captured."""

    def need(right: object, check: str, sentence: str) -> None:
        report.need(right, check, f"{where}: {sentence}")

    options = [option["codigo"] for option in election["opciones"]]
    filled = (*HEADER, *options, *TAIL)
    printed = row["CONTABILIZADA"]
    # Fuera de catálogo: identification as read, everything else `-`; counted as registered only (domain.md §4).
    if printed == "2":
        shown = {"OBSERVACIONES", "CONTABILIZADA", "ORIGEN", "DIGITALIZACION"}
        empty = all(row[key] == "-" for key in ("CLAVE_CASILLA", "CLAVE_ACTA", *filled) if key not in shown)
        observed = row["OBSERVACIONES"] == text_of(rules, {"fuera_de_catalogo"})
        need(empty and observed and row["UBICACION_CASILLA"] == "3", "CON-10", "no es una fila fuera de catálogo")
        came = all(row[key] in LEGAL[key] for key in ("ORIGEN", "DIGITALIZACION"))
        need(came, "CON-10", "no dice dónde ni con qué se tomó su imagen")
        need(fuera_is_possible(row, own), "CON-16", "su identificación no es como se lee de un acta")
        table.fuera += 1
        return False
    # CLAVE_CASILLA repeats the identification; CLAVE_ACTA begins with it (domain.md §6).
    entidad, ident, ext = (padded(row[key]) for key in ("ID_ENTIDAD", "ID_CASILLA", "EXT_CONTIGUA"))
    territory, seccion = (padded(row[key], ("", "-", "N/A")) for key in (own, "SECCION"))
    place, acta = (entidad or 0, territory or 0), row["CLAVE_ACTA"]
    contest = table.contests.get(contest_place(election, place))
    if None in {entidad, ident, ext, territory, seccion} or row["TIPO_CASILLA"] not in {*"BCESMPVAU"}:
        need(None, "CON-08", "su identificación no tiene números y un tipo de casilla")
    else:
        clave = f"'{entidad:02}{seccion:04}{row['TIPO_CASILLA']}{ident:02}{ext:02}"
        same = row["CLAVE_CASILLA"] == clave + "'" and acta.startswith(clave)
        need(same and acta[-1] == "'" and acta[1:-1].isalnum(), "CON-08", "su clave no es la de su identificación")
        need(row["UBICACION_CASILLA"] in {"1", "2", "-"}, "CON-08", "UBICACION_CASILLA no es 1, 2 ni -")
        need(contest, "CON-08", "no es de ninguna contienda")
        for sentence in impossible_identity(row, own, table.names):
            need(None, "CON-16", sentence)
    lista, people = whole(row["LISTA_NOMINAL"]), whole(row["REPRESENTANTES_PP_CI"])
    need(lista is not None and people is not None, "CON-09", "no dice su lista nominal y sus representantes")
    need(not table.fuera, "CON-08", "después de las actas fuera de catálogo, que van al final")
    need(acta.strip("'") not in table.seen, "CON-08", f"el acta {acta} está dos veces")
    table.seen.add(acta.strip("'"))
    sums = table.sums[place]
    sums["esperadas"] += 1
    # Not captured yet: only the fields of the catalogue are filled.
    if printed == "-":
        known = {"LISTA_NOMINAL", "REPRESENTANTES_PP_CI"}
        need(all(row[key] == "-" for key in filled if key not in known), "CON-10", "no está capturada y trae datos")
        sums["falta"] += lista or 0
        return False
    if acta.strip("'").isalnum():
        table.published[acta.strip("'")] = row["CODIGO_INTEGRIDAD"]
    need(printed in {"0", "1"}, "CON-10", "CONTABILIZADA no es 0, 1, 2 ni -")
    # Sin acta: captured, not counted, and no inconsistency (domain.md §4).
    if "Sin acta" in (row[code] for code in options):
        sums["no_contabilizadas"] += 1
        sums["sin_acta"] += 1
        sums["sin_acta_aparte"] += not rules.get("sin_acta_not_counted", True)
        texts = {text_of(rules, {code}) for code in OBSERVED if code.startswith("sin_acta") and code in rules["texts"]}
        alike = all(row[key] == "Sin acta" for key in (*HEADER, TAIL[0]))
        on = {*range(len(options))} if contest is None else {*contest["boleta"]}
        alike = alike and all(row[code] == ("Sin acta" if at_ in on else "-") for at_, code in enumerate(options))
        need(alike and row["TOTAL_VOTOS_CALCULADO"] == "0", "CON-09", "en un acta que no llegó no hay votos")
        empty = all(row[key] == "-" for key in ("CODIGO_INTEGRIDAD", *MOMENTS))
        right = empty and printed == "0" and row["OBSERVACIONES"] in texts and provenance_is_possible(row, ("-",))
        need(right, "CON-10", "no es una fila sin acta como debe ser")
        return True
    # Captured. Only the options of this contest's ballot may hold votes.
    votes = {code: row[code] for at_, code in enumerate(options) if contest is None or at_ in contest["boleta"]}
    off = all(row[code] == "-" for code in options if code not in votes)
    need(off, "CON-09", "tiene votos de una opción que no está en su boleta")
    most = ((lista or 0) + (people or 0)) * (contest or {}).get("votos_por_boleta", 1)
    for check, sentence in (*judge_votes(row, votes, rules, (lista or 0, most), sums), *impossible_times(row)):
        need(None, check, sentence)
    return True


def judge_votes(row: Row, votes: Row, rules: Json, limits: tuple[int, int], sums: Sums) -> Iterator[tuple[str, str]]:
    """A captured row: its sum, whether it counts, and its observations (domain.md §4 and §5). Yields the faults."""
    numbers = {code: whole(cell) for code, cell in votes.items()}
    read = [number for number in numbers.values() if number is not None]
    ilegible, sin_dato = "Ilegible" in votes.values(), "Sin dato" in votes.values()
    total, (lista, most) = sum(read), limits
    if any(number is None and votes[code] not in {"Ilegible", "Sin dato"} for code, number in numbers.items()):
        yield "CON-09", "un voto no es un número, «Ilegible» ni «Sin dato»"
    if row["TOTAL_VOTOS_CALCULADO"] != str(total):
        yield "CON-09", f"TOTAL_VOTOS_CALCULADO es {row['TOTAL_VOTOS_CALCULADO']}; sus votos suman {total}"
    for key in (*HEADER, TAIL[0]):
        if whole(row[key]) is None and row[key] not in {"Ilegible", "Sin dato", "-"}:
            yield "CON-09", f"{key} no es un número, «Ilegible», «Sin dato» ni «-»"
    if not HEX.fullmatch(row["CODIGO_INTEGRIDAD"]):
        yield "CON-10", "CODIGO_INTEGRIDAD no es una huella"
    if not provenance_is_possible(row):
        yield "CON-10", "su traslado, origen, digitalización, documento o cotejo no es de los que hay"
    # domain.md §5: what fields without a number mean depends on the rule set of the election.
    mixed = ilegible and sin_dato
    observed = ({"ilegible"} if ilegible else set()) | ({"sin_dato"} if sin_dato else set())
    if not read and observed and not (mixed and rules["mixed_without_number_counts"]):
        every = "todos_sin_numero" if mixed else "todos_ilegibles" if ilegible else "todos_vacios"
        beside = rules["partial_beside_all"] or every not in rules["texts"]
        observed = {every} | (observed if beside else set())
    said = row["OBSERVACIONES"]
    limited = lista > 0 or row["TIPO_CASILLA"] in WITH_LISTA
    excede = rules["excede_applies"] and limited and total > most
    others: set[str] = set() if rules.get("excede_alone", False) else observed
    if rules["excede_applies"] and not limited:
        # The limit of an especial casilla is not in the file: its observation is believed, and the rest must agree with
        # it.
        excede = bool(said) and said in texts_of(rules, others | {"excede_lista_nominal"})
    if excede:
        observed = others | {"excede_lista_nominal"}
    if said not in texts_of(rules, observed):
        yield "CON-10", f"OBSERVACIONES es «{said}»; por sus votos sería «{text_of(rules, observed)}»"
    # domain.md §4: counted if a number is read (or mixed blanks, by the rule set) and not over the limit.
    counts = (bool(read) or (mixed and rules["mixed_without_number_counts"])) and not excede
    if row["CONTABILIZADA"] != str(int(counts)):
        yield "CON-10", f"CONTABILIZADA es {row['CONTABILIZADA']}; por sus votos sería {int(counts)}"
    # An inconsistency counts whether the acta counts or not.
    sums["inconsistentes"] += int(excede or ilegible or sin_dato)
    if row["CONTABILIZADA"] != "1":
        sums["no_contabilizadas"] += 1
        return
    sums["contabilizadas"] += 1
    sums["lista"] += lista
    sums["con"] += total
    sums["sin"] += 0 if row["TIPO_CASILLA"] == "S" else total
    for code, number in numbers.items():
        sums["voto", code] += number or 0


def provenance_is_possible(row: Row, others: tuple[str, ...] = ()) -> bool:
    """How the acta came, in the words that there are; `others` are legal without an image."""
    traslado = row["MECANISMOS_TRASLADO"]
    once = re.fullmatch("[DFI]{0,3}", traslado) is not None and len({*traslado}) == len(traslado)
    words = all(row[key] in legal or (row[key] in others and key != "COTEJADA") for key, legal in LEGAL.items())
    return words and (once or traslado in others)


def day_and_hour(cell: str) -> datetime | None:
    """The moment in a cell, from 2000 to 2099; None if there is no such day or hour."""
    if not re.fullmatch(r"\d\d/\d\d/20\d\d \d\d:\d\d:\d\d", cell, re.ASCII):
        return None
    day, month, year, hour, minute, second = (int(part) for part in re.split("[/ :]", cell))
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - compared with each other only
    except ValueError:
        return None


def impossible_times(row: Row) -> Iterator[tuple[str, str]]:
    """An acta with an image has three moments that exist; a verification has its capture before it."""
    moments = [day_and_hour(row[key]) for key in MOMENTS]
    if None in moments:
        yield "CON-10", "una de sus horas no existe"
    _, captured, verified = moments
    if captured and verified and verified < captured:
        # The hour from one to two comes twice if summer time ends, on the first Sunday of November.
        twice = (captured.month, captured.weekday(), captured.hour) == (11, 6, 1) and captured.day < 8
        if not (twice and (verified.date(), verified.hour) == (captured.date(), 1)):
            yield "CON-16", "se verificó antes de capturarse"


def impossible_identity(row: Row, own: str, names: dict[tuple[str, ...], str]) -> Iterator[str]:
    """The cells of an identification that its clave does not repeat."""
    if not re.fullmatch("[A-Z0-9]{1,12}", row["TIPO_ACTA"], re.ASCII):
        yield f"TIPO_ACTA es «{row['TIPO_ACTA']}»"
    nowhere = row["SECCION"] in {"", "-", "N/A"} or int(row["SECCION"]) == 0
    if nowhere and row["TIPO_CASILLA"] not in WITHOUT_SECCION:
        yield "una casilla de su tipo pertenece a una sección"
    # A number of a place has one name in the whole file.
    entidad = row["ID_ENTIDAD"]
    for key, name in (((entidad,), row["ENTIDAD"]), ((entidad, row[own]), row[own.removeprefix("ID_")])):
        if not is_name(name) or names.setdefault(key, name) != name:
            yield f"«{name}» no es el nombre de ese lugar"


def is_name(text: str) -> bool:
    return text == text.strip(" ") and 0 < len(text) <= 500 and not re.search(r"[\x00-\x1f\x7f]", text)


def fuera_is_possible(row: Row, own: str) -> bool:
    """Its identification as somebody read it from a sticker: words and numbers, or none."""
    read = ("ID_ENTIDAD", own, "SECCION", "ID_CASILLA", "TIPO_CASILLA", "EXT_CONTIGUA", "TIPO_ACTA")
    words = all(re.fullmatch(r"-|N/A|[A-Za-z0-9]{1,200}", row[key], re.ASCII) for key in read)
    return words and is_name(row["ENTIDAD"]) and is_name(row[own.removeprefix("ID_")])


def text_of(rules: Json, codes: set[str]) -> str:
    texts = [rules["texts"].get(code, "") for code in OBSERVED if code in codes]
    return ", ".join(dict.fromkeys(text for text in texts if text))


def texts_of(rules: Json, codes: set[str]) -> set[str]:
    """The text with and without *proceso técnico operativo*, which no other cell of the row shows."""
    return {text_of(rules, codes), text_of(rules, codes | {"proceso_tecnico_operativo"})}


# --- sums -------------------------------------------------------------------------------------------------------------


def percent(part: int, total: int) -> str:
    """Per cent with four decimals, truncated, in integers (domain.md §4)."""
    scaled = part * 10**6 // total if total else 0
    return f"{scaled // 10**4}.{scaled % 10**4:04}"


def summary(sums: Sums, fuera: int, final: object) -> dict[str, str]:
    # The thirteen values in the order of the official file. Rows sin acta are captured and not counted; some rule sets
    # leave them out of ACTAS_NO_CONTABILIZADAS.
    expected, counted, out = sums["esperadas"], sums["contabilizadas"], sums["no_contabilizadas"]
    captured = counted + out
    values = [expected, captured + fuera, fuera, captured, percent(captured, expected), counted]
    values += [percent(counted, expected), percent(sums["inconsistentes"], expected)]
    values += [out - sums["sin_acta_aparte"], sums["lista"]]
    values += [sums["con"], sums["sin"], percent(sums["con" if final else "sin"], sums["lista"])]
    return dict(zip(SUMMARY, map(str, values), strict=True))


def added(tables: Iterable[Sums]) -> Sums:
    total: Sums = Counter()
    for sums in tables:
        total.update(sums)
    return total


def with_especiales(manifest: Json, code: str) -> bool:
    """Participation counts the especial casillas in the final corte only, and only if the rules say so."""
    return bool(manifest["fase"] == "final" and manifest["reglas"][code]["contenido"]["last_corte_with_especiales"])


def judge_summary(corte: Corte, election: Json, printed: Row, report: Report) -> None:
    code, table = election["codigo"], corte.tables[election["codigo"]]
    ours = summary(added(table.sums.values()), table.fuera, with_especiales(corte.manifest, code))
    for where, theirs in ((election["archivo"], printed), ("manifest.json", election["resumen"])):
        for key, value in ours.items():
            sentence = f"{corte.folder}/{where}, {code}: {key} es {theirs[key]}; las filas dan {value}"
            report.need(theirs[key] == value, "CON-12" if key.startswith("PORCENTAJE") else "CON-11", sentence)
        # The three printed counts must agree with each other, even if all of them are wrong.
        parts = ("ACTAS_CAPTURADAS", "ACTAS_CONTABILIZADAS", "ACTAS_NO_CONTABILIZADAS")
        told = [int(theirs[key]) if theirs[key].isascii() and theirs[key].isdigit() else -1 for key in parts]
        rules = corte.manifest["reglas"][code]["contenido"]
        agree = told[0] == told[1] + told[2] or not rules.get("sin_acta_not_counted", True)
        report.need(agree, "CON-13", f"{corte.folder}/{where}, {code}: ACTAS_CAPTURADAS")


def read_totals(corte: Corte, before: Corte | None, report: Report) -> None:
    data, where = corte.read("totals.json", report), f"{corte.folder}/totals.json"
    if data is None:
        report.unable(["CON-14", "CON-17"], f"falta {where}")
        return
    with report.step("INT-03", "CON-14", "CON-17"):
        totals = read_json(data, TOTALS, report, where)
        corte.totals = totals
        judge_totals(corte, totals, report)
        for election in corte.manifest["elecciones"]:
            if election["codigo"] in totals["elecciones"]:
                judge_people(corte, election, totals["elecciones"][election["codigo"]]["contiendas"], report)
        corte.people = [
            [code, contest["id"], {**held, "votos": 0, "porcentaje": ""}]
            for code, told in sorted(totals["elecciones"].items())
            for contest in told["contiendas"]
            for held in contest["candidaturas"]
        ]
        same = before is None or before.people is None or before.people == corte.people
        report.need(same, "CON-17", f"{where}: cambiaron las candidaturas")


def small(corte: Corte, name: str) -> bytes | None:
    """A file of the corte that is never large; None if it is missing."""
    if name not in corte.files or corte.files[name][1] > 64 * MEGA:
        return None
    handle, size = corte.files[name]
    handle.seek(0)
    content: bytes = handle.read(size)
    return content


def judge_people(corte: Corte, election: Json, contests: list[Json], report: Report) -> None:
    """CANDIDATURAS has one line for each option of each candidacy in totals.json, in their order."""
    where, by_place = f"{corte.folder}/{election['candidaturas']}", election["nivel"] not in {"pais", "entidad"}
    people = {contest["id"]: contest["candidaturas"] for contest in contests}
    ids = [held["id"] for some in people.values() for held in some]
    named = all(
        is_name(held["propietaria"]) and is_name(held["suplente"] or "-") and held["opciones"]
        for some in people.values()
        for held in some
    )
    report.need(named and len({*ids}) == len(ids), "CON-17", f"{where}: candidaturas sin nombre o con el mismo número")
    content = small(corte, election["candidaturas"])
    if content is None:
        report.unable(["CON-17"], f"falta {where}")
        return
    own = [f"ID_{kind_of(election).upper()}"] if by_place else []
    wanted = [["ID_ENTIDAD", *own, "PARTIDO_CI", "CANDIDATURA_PROPIETARIA", "CANDIDATURA_SUPLENTE"]]
    for contest in election["contiendas"]:
        place = [str(contest["entidad"]), *([str(contest["territorio"])] if by_place else [])]
        for held in people.get(contest["id"], []):
            names = [as_cell(held["propietaria"]), as_cell(held["suplente"])]
            wanted += [[*place, as_cell(option), *names] for option in held["opciones"]]
    lines = content[len(BOM) :].split(b"\r\n")
    found = [split(line + b"\r\n") for line in lines[:-1]]
    whole_file = content.startswith(BOM) and not lines[-1] and found == wanted
    report.need(whole_file, "CON-17", f"{where}: no es lo que dicen las candidaturas de totals.json")


def as_cell(text: str) -> str:
    """A text as a cell holds it: single spaces, and an apostrophe before a formula."""
    text = " ".join(text.split())
    return "'" + text if text != "-" and text[:1] in {"=", "+", "-", "@"} else text


def judge_readme(corte: Corte, report: Report) -> None:
    """LEEME.txt is text; it names the files of every election, and each of their columns and observations."""
    content, where = small(corte, "LEEME.txt"), f"{corte.folder}/LEEME.txt"
    if content is None:
        report.unable(["CON-17"], f"falta {where}")
        return
    text = content.decode("utf-8", "replace")
    plain = text.endswith("\r\n") and "\0" not in text and "\ufffd" not in text
    report.need(plain and not re.search(r"(?<!\r)\n", text), "CON-17", f"{where}: no es un texto con líneas CRLF")
    lines = {line.strip() for line in text.split("\r\n")}
    told = {line[: line.index(": ")] for line in lines if ": " in line}
    for election in corte.manifest["elecciones"]:
        columns = columns_of(election)
        texts = corte.manifest["reglas"][election["codigo"]]["contenido"]["texts"].values()
        wanted = {f"{place}. {name}" for place, name in enumerate(columns, 1)} | {said for said in texts if said}
        report.need(wanted <= told, "CON-17", f"{where}: faltan columnas u observaciones de {election['codigo']}")
        for name in (election["archivo"], election["candidaturas"]):
            there = any(line.startswith(f"{name} — ") for line in lines)
            report.need(there, "CON-17", f"{where}: no dice qué es {name}")


def judge_totals(corte: Corte, theirs: Json, report: Report) -> None:
    where = f"{corte.folder}/totals.json"
    codes = {election["codigo"] for election in corte.manifest["elecciones"]}
    report.need(theirs["elecciones"].keys() == codes, "CON-14", f"{where}: no son las elecciones del corte")
    for election in corte.manifest["elecciones"]:
        code = election["codigo"]
        if code in corte.tables and code in theirs["elecciones"]:
            told = theirs["elecciones"][code]
            known = [held for held in told["territorios"] if held["tipo"] in {"entidad", kind_of(election)}]
            if len(known) < len(told["territorios"]):
                report.unable(["CON-14"], f"{where}: territorios de {code} que sus filas no dicen")
            told = {**told, "territorios": known}
            ours = totals_of(election, corte.tables[code], told, with_especiales(corte.manifest, code))
            # Lists become objects by key, so that a finding names its contest; the counts show a key that stands twice.
            told = told | {
                "contiendas": {str(held["id"]): held for held in told["contiendas"]},
                "territorios": {str([held["tipo"], held["entidad"], held["id"]]): held for held in told["territorios"]},
                "cuantos": [len(told["contiendas"]), len(told["territorios"])],
            }
            report.did("CON-14")
            for path in differences(ours, told, code):
                report.need(None, "CON-14", f"{where}: {path}, no es lo que dan las filas")


def totals_of(election: Json, table: Table, told: Json, final: object) -> Json:
    """The same object, from the rows. From `told` come only names, and the options of each candidacy."""
    contests: Json = {}
    by_party: Counter[str] = Counter()
    for contest in election["contiendas"]:
        held = next((each for each in told["contiendas"] if each["id"] == contest["id"]), EMPTY)
        contests[str(contest["id"])] = contest_of(election, contest, table, held, final, by_party)
    state = added(table.sums.values())
    by_territory: defaultdict[tuple[str, int, int], list[Sums]] = defaultdict(list)
    for (entidad, territory), sums in table.sums.items():
        by_territory["entidad", entidad, entidad].append(sums)
        if territory:
            by_territory[kind_of(election), entidad, territory].append(sums)
    names = {(held["tipo"], held["entidad"], held["id"]): held["nombre"] for held in told["territorios"]}
    # The name that the rows give, if one of their cells does not write the name that is told.
    for number, name in table.names.items():
        if all(part.isdigit() for part in number):
            kind = "entidad" if len(number) == 1 else kind_of(election)
            key = (kind, int(number[0]), int(number[-1]))
            if key in names and as_cell(names[key]) != name:
                names[key] = name
    # A territory in which no casilla votes must be told with zeros.
    for key in names:
        by_territory.setdefault(key, [])
    return {
        "resumen": summary(state, table.fuera, final),
        "actas": {key: state[key] for key in ACTAS}
        | {"capturadas": state["contabilizadas"] + state["no_contabilizadas"], "fuera_de_catalogo": table.fuera},
        "votos": votes_of(state, election),
        "votos_por_partido": dict(by_party),
        "contiendas": contests,
        "territorios": {
            str([*key]): {"tipo": key[0], "entidad": key[1], "id": key[2], "nombre": names.get(key)}
            | {"resumen": summary(added(some), 0, final), "votos": votes_of(added(some), election)}
            for key, some in by_territory.items()
        },
        "cuantos": [len(contests), len(by_territory)],
    }


def contest_of(election: Json, contest: Json, table: Table, told: Json, final: object, by_party: Counter[str]) -> Json:
    """One contest; the votes of its parties are added to `by_party`: a state is the sum of its contests."""
    key = (contest["entidad"], contest["territorio"])
    sums = added(each for place, each in table.sums.items() if contest_place(election, place) == key)
    codes = [option["codigo"] for option in election["opciones"]]
    ballot = {codes[place] for place in contest["boleta"] if place < len(codes)}

    def shown(amounts: dict[str, int], theirs: Json) -> dict[str, int]:
        """An option that is not on the ballot may be shown with zero votes, or left out."""
        return {code: amount for code, amount in amounts.items() if code in ballot or code in theirs or amount}

    shares = shown(distributed(sums, election["opciones"]), told["votos_por_partido"])
    for code, amount in shares.items():
        by_party[code] += amount
    return {
        "id": contest["id"],
        "entidad": key[0],
        "territorio": key[1],
        "nombre": contest["nombre"],
        "resumen": summary(sums, 0, final),
        "votos": shown(votes_of(sums, election), told["votos"]),
        "votos_por_partido": shares,
        "candidaturas": candidacies(told["candidaturas"], ballot, sums),
    }


def votes_of(sums: Sums, election: Json) -> dict[str, int]:
    return {option["codigo"]: sums["voto", option["codigo"]] for option in election["opciones"]}


def contest_place(election: Json, place: tuple[int, int]) -> tuple[int, int]:
    """The contest in which a casilla of that place votes."""
    return {"pais": (0, 0), "entidad": (place[0], 0)}.get(election["nivel"], place)


def columns_of(election: Json) -> list[str]:
    """The columns of domain.md §6. Only those of the territory differ between kinds of election."""
    own = (f"ID_{kind_of(election).upper()}", kind_of(election).upper())
    options = [option["codigo"] for option in election["opciones"]]
    return ["CLAVE_CASILLA", "CLAVE_ACTA", "ID_ENTIDAD", "ENTIDAD", *own, *IDENTITY, *HEADER, *options, *TAIL]


def kind_of(election: Json) -> str:
    """The kind of territory in the file's own column."""
    nivel = str(election["nivel"])
    return f"distrito_{election['ambito']}" if nivel in {"pais", "entidad", "distrito"} else nivel


def distributed(sums: Sums, options: list[Json]) -> dict[str, int]:
    """A contest's votes by option, with each combination shared out (domain.md §4).

    Equal shares; the remainder one by one, to the parties with more votes of their own in this contest first.
    """
    shares = {option["codigo"]: sums["voto", option["codigo"]] for option in options if option["clase"] != "coalicion"}
    for option in options:
        if option["clase"] == "coalicion":
            parties = [options[place]["codigo"] for place in sorted(option["partidos"])]
            even, rest = divmod(sums["voto", option["codigo"]], len(parties))
            for rank, party in enumerate(sorted(parties, key=lambda party: -sums["voto", party])):
                shares[party] += even + (rank < rest)
    return shares


def candidacies(told: list[Json], ballot: set[str], sums: Sums) -> list[Json]:
    """Each candidacy with the votes of its options. Two of them may share all their options, never a part of them."""
    held: list[Json] = []
    used: set[frozenset[str]] = set()
    for each in told:
        options = frozenset(each["opciones"])
        sound = len(options) == len(each["opciones"]) and options <= ballot
        sound = sound and all(options == other or not options & other for other in used)
        used.add(options)
        won = sum(sums["voto", code] for code in options) if sound else -1
        held.append({**each, "votos": won, "porcentaje": percent(won, sums["con"]) if sound else ""})
    return held


def differences(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in {*ours, *theirs}:
            yield from differences(ours.get(key), theirs.get(key), f"{path}.{key}")
    elif ours != theirs:
        yield f"{path}: {printable(theirs)[:60]} en vez de {printable(ours)[:60]}"


# --- images and ZIP ---------------------------------------------------------------------------------------------------


def image_path(digest: str, extension: str) -> str:
    return f"imagenes/{digest[:2]}/{digest}.{extension}"


def read_images(corte: Corte, images: Images, report: Report) -> None:
    """images.csv: SHA256,ARCHIVO,CLAVE_ACTA of the new images, in order. Adds the sound lines to `images`."""
    where = f"{corte.folder}/images.csv"
    if "images.csv" not in corte.files:
        report.unable(["COM-05", "COM-06", "INT-04"], f"falta {where}")
        return
    handle, last = corte.files["images.csv"][0], list[str]()
    handle.seek(0)
    report.did("COM-05")
    text = io.TextIOWrapper(io.BytesIO(handle.read()), "utf-8-sig", newline="")
    try:
        for number, cells in enumerate(csv.reader(text, strict=True), 1):
            if number == 1:
                report.need(cells == ["SHA256", "ARCHIVO", "CLAVE_ACTA"], "COM-05", f"{where}: otro encabezado")
                continue
            digest, path, clave = cells if len(cells) == 3 else ("", "", "")
            extension = path.rpartition(".")[2]
            right = bool(HEX.fullmatch(digest) and re.fullmatch("jpg|png|webp|tif|pdf|avif|gif|bmp", extension))
            right = right and path == image_path(digest, extension) and (clave == "-" or clave.strip("'").isalnum())
            right = right and [digest, clave] > last
            report.need(
                right, "COM-05", f"{where}, línea {number}: no es una imagen en el lugar de su huella, en orden"
            )
            if right:
                images.setdefault(digest, (extension, set()))[1].add(clave.strip("'"))
                last = [digest, clave]
                if clave == "-":
                    images.outside.setdefault(digest, corte.number)
    except (UnicodeDecodeError, csv.Error):
        report.need(None, "COM-05", f"{where}: no es un CSV en UTF-8")
    report.need(corte.number or not last, "CON-02", f"{where}: el corte 0 ya trae imágenes")


def judge_images(tree: Tree, cortes: list[Corte], images: Images, report: Report) -> None:
    """Each row of the last corte has its own image; each image has the bytes of its name; no other image is there."""
    last = cortes[-1]
    readable = last.manifest is not None and len(last.tables) == len(last.manifest["elecciones"])
    if not readable:
        report.unable(["COM-06"], f"{last.folder}: sus filas no se pudieron leer")
    for code, table in last.tables.items():
        report.did("COM-06", 0)
        for clave, digest in table.published.items():
            own = digest == "-" or clave in images.get(digest, ("", set[str]()))[1]
            report.need(own, "COM-06", f"{last.folder}: la imagen de {clave} de {code} no es suya")
    # An acta that two people took back shows no image any more; the corte that did it says so.
    told = [held for corte in cortes if corte.manifest is not None for held in corte.manifest["correcciones"]]
    taken_back = {held["acta"].strip("'") for held in told if held["motivo"] == "retiro"}
    captured = {"-"}.union(taken_back, *(table.published for table in last.tables.values()))
    for digest, (_, claves) in images.items() if readable else ():
        strange = ", ".join(sorted(claves - captured)[:3])
        report.need(not strange, "COM-06", f"la imagen {digest} es de {strange}, que ninguna fila muestra")
    for prefix, kind in entries(tree, "imagenes", report).items():
        judge_entry(f"imagenes/{prefix}", kind, "COM-05", re.fullmatch("[0-9a-f]{2}", prefix), report, wanted=FOLDER)
        for name, inner in (entries(tree, f"imagenes/{prefix}", report) if kind == FOLDER else {}).items():
            digest, _, extension = name.rpartition(".")
            listed = digest[:2] == prefix and digest in images and images[digest][0] == extension
            judge_entry(f"imagenes/{prefix}/{name}", inner, "COM-05", listed, report)
    report.did("INT-04", 0)
    for digest, (extension, _) in sorted(images.items()):
        path = image_path(digest, extension)
        with report.step("INT-04"):
            try:
                found = tree.take(path, 256 * MEGA, keep=False)[1]
            except Absent as problem:
                report.need(None, "COM-05", problem)
                continue
            report.need(found == digest, "INT-04", f"{path}: la huella de sus bytes es {found}")


def judge_zip(tree: Tree, corte: Corte, report: Report) -> None:
    """Name, size and digest of the ZIP; inside one ZIP for each election, with the very files of the corte."""
    manifest, where = corte.manifest, corte.manifest["zip"]["archivo"]
    stamp = f"{at(manifest['fecha_hora']):%Y%m%d_%H%M}_PREP"
    names = {f"zip/{stamp}_{edo_of(manifest)}{tail}.zip" for tail in ("", f"_{corte.manifest['corte']:04}")}
    handle, digest, size = tree.take(where, 4 * GIGA)
    with handle, report.step("INT-06"):
        said = (manifest["zip"]["sha256"], manifest["zip"]["bytes"])
        report.need(where in names and (digest, size) == said, "INT-05", f"{where}: no es el que dice su corte")
        report.did("INT-06")
        inner = {f"{stamp}_{each['codigo']}_{edo_of(manifest)}.zip": each for each in manifest["elecciones"]}
        for name, packed in members(handle, where, {*inner}):
            wanted = {inner[name]["archivo"], inner[name]["candidaturas"], "LEEME.txt"}
            for file, plain in members(packed, f"{where}/{name}", wanted):
                found = hashlib.file_digest(plain, "sha256").hexdigest()
                report.need(found == corte.sums.get(file), "INT-06", f"{where}/{name}/{file}: otros bytes")


def entries(tree: Tree, folder: str, report: Report) -> dict[str, str]:
    """Names in a folder; none if it is missing, which the check that needs its files reports."""
    try:
        return {} if tree.url else tree.entries(folder)
    except Bad:
        return {}
    except Unread as problem:
        report.unable(["COM-02", "COM-08"], problem)
        return {}


def judge_entry(path: str, kind: str, check: str, known: object, report: Report, *, wanted: str = FILE) -> None:
    """One name in a folder: it has the right kind, and a corte or the format announces it."""
    report.need(kind in {FILE, FOLDER}, "COM-02", f"{path} es {kind}")
    if kind in {FILE, FOLDER}:
        report.need(
            (known and kind == wanted) or (not known and report.brings(path)), check, f"{path} no lo anuncia nadie"
        )


def places_of(table: Table) -> set[str]:
    return {f"lugar-{one}-{other}.html" for one, other in table.sums}


def members(handle: Any, where: str, wanted: set[str]) -> Iterator[tuple[str, Any]]:
    """Name and content of each member of a ZIP: exactly `wanted`, one after the other, no byte between them."""
    try:
        with zipfile.ZipFile(handle) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
            if sorted(info.filename for info in infos) != sorted(wanted) or archive.comment:
                raise Bad(f"{where}: no contiene exactamente los archivos debidos")
            # The next member must begin where the last one may end. A data descriptor has one of four lengths.
            ends = {0}
            for info in infos:
                if info.header_offset not in ends or info.flag_bits & 1 or info.orig_filename != info.filename:
                    raise Bad(f"{where}: archivos traslapados, cifrados o con algo escondido entre ellos")
                if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                    raise Bad(f"{where}: {info.filename} no está guardado ni comprimido con deflate")
                if stat.S_ISLNK(info.external_attr >> 16) or info.file_size > 4 * GIGA:
                    raise Bad(f"{where}: {info.filename} no es un archivo ordinario")
                handle.seek(info.header_offset + 26)
                end = info.header_offset + 30 + sum(struct.unpack("<HH", handle.read(4))) + info.compress_size
                ends = {end + more for more in ((12, 16, 20, 24) if info.flag_bits & 8 else (0,))}
            if archive.start_dir not in ends:
                raise Bad(f"{where}: algo escondido antes del directorio")
            for info in infos:
                with tempfile.SpooledTemporaryFile(8 * MEGA) as plain:
                    with archive.open(info) as packed:  # gives at most the bytes that the directory says
                        while block := packed.read(256 * KILO):
                            plain.write(block)
                    plain.seek(0)
                    yield info.filename, plain
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OSError,
    ):
        raise Bad(f"{where}: no es un ZIP que se pueda leer") from None


# --- the clean data ---------------------------------------------------------------------------------------------------

TEXTS = {
    *("ENTIDAD", "TIPO_CASILLA", "TIPO_ACTA", "OBSERVACIONES", "MECANISMOS_TRASLADO", "CODIGO_INTEGRIDAD"),
    *("ORIGEN", "DIGITALIZACION", "TIPO_DOCUMENTO"),
}
GROUP = 16_384
"""Rows that the Parquet file keeps together."""
SHEET_ROWS = 20_000
"""A table of more rows is no sheet of the workbook."""
WORKING = re.compile(r"\.\d{4,}-[0-9a-f]{8}", re.ASCII)
"""In datos/: a folder that is being made."""


class Data:
    """The digests of the lists of clean data by corte, and the cortes whose lists were named by a later one."""

    def __init__(self) -> None:
        self.lists: dict[int, str] = {}
        self.named: set[int] = set()


def judge_data(tree: Tree, corte: Corte, data: Data, images: Images, report: Report) -> None:
    """The lists that the manifest names; then the clean data of this corte, made again from its files."""
    for told in corte.manifest["datos"] if corte.manifest is not None and "datos" in corte.manifest else ():
        number, digest = told["corte"], told["sha256sums"]
        if number < corte.number and number not in data.named and number not in data.lists:
            # A tree that lost them makes them again, after its cortes.
            report.unable(["CON-21"], f"{corte.folder}: faltan los datos limpios del corte {number}, que nombra")
        else:
            right = number < corte.number and number not in data.named and data.lists[number] == digest
            report.need(right, "CON-21", f"{corte.folder}: los datos limpios del corte {number} no son los que nombra")
        data.named.add(number)
    folder = f"datos/{corte.number:04}"
    where = f"{folder}/SHA256SUMS"
    if not tree.exists(where):
        return
    content = tree.read(where, MEGA)
    data.lists[corte.number] = hashlib.sha256(content).hexdigest()
    listed = None
    with report.step("INT-01", "CON-21"):
        listed = read_sums(content, folder)
        report.did("INT-01")
    if listed is None:
        return
    sources = [election["archivo"] for election in corte.manifest["elecciones"]] if corte.manifest else [""]
    if corte.totals is None or not {*sources} <= corte.files.keys():
        report.unable(["CON-21"], f"{corte.folder}: faltan los archivos de los que salen sus datos limpios")
    else:
        try:
            made: dict[str, str] = {}
            for election in corte.manifest["elecciones"]:
                made |= clean_files(corte, election, images)
        except (LookupError, ValueError, csv.Error):
            report.unable(["CON-21"], f"{corte.folder}: no da datos limpios")
        else:
            if not any(name.startswith("libro_") for name in listed):  # older releases made no workbooks
                made = {name: digest for name, digest in made.items() if not name.startswith("libro_")}
            for name in sorted({*made, *listed}):
                report.need(made.get(name) == listed.get(name), "CON-21", f"{folder}/{name}: no es lo que da el corte")
    for name, expected in listed.items():
        with report.step("INT-02"):
            try:
                _, found, _ = tree.take(f"{folder}/{name}", 4 * GIGA, keep=False)
            except Absent as problem:
                report.need(None, "COM-03", problem)
                continue
            report.need(found == expected, "INT-02", f"{folder}/{name}: su huella es {found}, no {expected}")
    with report.step("COM-03"):
        for name, kind in ({} if tree.url else tree.entries(folder)).items():
            report.need(kind in {FILE, FOLDER}, "COM-02", f"{folder}/{name} es {kind}")
            known = kind == FILE and name in {"SHA256SUMS", *listed}
            report.need(kind in {LINK, OTHER} or known, "COM-03", f"{folder}/{name} no está en SHA256SUMS")


def judge_data_folders(tree: Tree, cortes: list[Corte], data: Data, report: Report) -> None:
    """datos/ holds a folder of each corte that has clean data, and no other."""
    for name, kind in entries(tree, "datos", report).items():
        if kind == FOLDER and WORKING.fullmatch(name):
            continue
        number = int(name) if re.fullmatch(r"\d{4,9}", name, re.ASCII) else -1
        known = name == f"{number:04}" and number in data.lists
        if not known and name in {f"{corte.number:04}" for corte in cortes}:
            # They may have come since the folder of their corte was looked at.
            with contextlib.suppress(Bad, Unread):
                known = tree.exists(f"datos/{name}/SHA256SUMS")
        judge_entry(f"datos/{name}", kind, "COM-08", known, report, wanted=FOLDER)


def clean_files(corte: Corte, election: Json, images: Images) -> dict[str, str]:
    """The digests of the five files of an election, by name."""
    code, columns, own = election["codigo"], columns_of(election), kind_of(election)
    kinds = {name: "n" for name in columns if name not in {"CLAVE_CASILLA", "CLAVE_ACTA", "CONTABILIZADA"}}
    kinds |= dict.fromkeys({*TEXTS, own.upper()}, "t") | dict.fromkeys(MOMENTS, "h")
    names = ["ACTA", "ESTADO", *(name for name in columns if name in kinds), "ILEGIBLES", "SIN_DATO"]
    kinds |= dict.fromkeys(("ACTA", "ESTADO", "ILEGIBLES", "SIN_DATO"), "t")
    votes = [option["codigo"] for option in election["opciones"]]
    read = [*HEADER, *votes, "TOTAL_VOTOS_ASENTADO"]
    offset = corte.manifest["fecha_hora"][-6:]
    table, evidence = hashlib.sha256(csv_lines([names], BOM)), hashlib.sha256()
    evidence.update(csv_lines([["ACTA", "UNIDAD", "CODIGO_INTEGRIDAD", "IMAGEN", "PRUEBA"]], BOM))
    parquet = Parquet([(name, kinds[name]) for name in names])
    sheet, count = [sheet_row(names, "t" * len(names))], 0
    handle = corte.files[election["archivo"]][0]
    first = first_values(
        handle, {place: kinds[name] for place, name in enumerate(columns) if kinds.get(name, "t") != "t"}
    )
    others = (cells for number, cells in enumerate(official_rows(handle)) if number not in first)
    with contextlib.closing(others):
        lines = itertools.chain(first.values(), others)
        while group := [*itertools.islice(lines, GROUP)]:
            clean, proved = [], []
            for cells in group:
                row = dict(zip(columns, cells, strict=True))
                if row["TIPO_ACTA"] not in {"-", "N/A"}:
                    row["TIPO_ACTA"] = "tipo_" + row["TIPO_ACTA"]
                clave = row["CLAVE_ACTA"].strip("'")
                counted = row["CONTABILIZADA"]
                status = {"-": "por_capturar", "0": "no_contabilizada", "1": "contabilizada", "2": "fuera_de_catalogo"}
                sin_acta = counted in {"0", "1"} and "Sin acta" in [row[name] for name in votes]
                told = {
                    "ACTA": "" if clave in {"-", "N/A"} else f"{code}/{clave}",
                    "ESTADO": "sin_acta" if sin_acta else status.get(counted, ""),
                    "ILEGIBLES": " ".join(name for name in read if row[name] == "Ilegible"),
                    "SIN_DATO": " ".join(name for name in read if row[name] == "Sin dato"),
                }
                clean.append(
                    [told[name] if name in told else clean_cell(row[name], kinds[name], offset) for name in names]
                )
                digest = row["CODIGO_INTEGRIDAD"]
                if HEX.fullmatch(digest):
                    entidad, place = (int(clean_cell(row[name], "n", "") or 0) for name in ("ID_ENTIDAD", columns[4]))
                    unit = f"u-{own}-{entidad}-{place}" if place else f"u-entidad-{entidad}-{entidad}"
                    image = image_path(digest, images[digest][0]) if digest in images else ""
                    proof = f"bitacora/acuses/{digest[:2]}/{digest}.tlog-proof"
                    proved.append([f"{code}/{clave}", unit, digest, image, proof])
            table.update(csv_lines(clean))
            evidence.update(csv_lines(proved))
            parquet.add(clean)
            count += len(clean)
            sheet += [sheet_row(row, [kinds[name] for name in names]) for row in clean if count <= SHEET_ROWS]
    told = corte.totals["elecciones"][code]
    sums = canonical(nist(corte.manifest, election, told)) + b"\n"
    sheets = {"Sumas": sheet_of_sums(election, told)} | ({"Actas": sheet} if count <= SHEET_ROWS else {})
    return {
        f"actas_{code}.csv": table.hexdigest(),
        f"actas_{code}.parquet": parquet.digest(),
        f"nist_{code}.json": hashlib.sha256(sums).hexdigest(),
        f"evidencia_{code}.csv": evidence.hexdigest(),
        f"libro_{code}.xlsx": hashlib.sha256(workbook(sheets)).hexdigest(),
    }


def official_rows(handle: Any) -> Generator[list[str], None, None]:
    """The rows of an official file, under its seven lines."""
    handle.seek(0)
    with contextlib.closing(io.TextIOWrapper(Unclosed(handle), "utf-8-sig", newline="")) as text:
        yield from itertools.islice(csv.reader(text, strict=True), 7, None)


def first_values(handle: Any, missing: dict[int, str]) -> dict[int, list[str]]:
    """By number, the rows that have the first value of a column of numbers or hours: they come first."""
    found: dict[int, list[str]] = {}
    with contextlib.closing(official_rows(handle)) as rows:
        for number, cells in enumerate(rows):
            given = {place for place, kind in missing.items() if clean_cell(cells[place], kind, "")}
            if given:
                found[number] = cells
                missing = {place: kind for place, kind in missing.items() if place not in given}
            if not missing:
                break
    return found


def sheet_of_sums(election: Json, told: Json) -> list[str]:
    """The rows of the election, its contests and its territories: who they are, their summary, their votes."""
    votes = [option["codigo"] for option in election["opciones"]]
    above = ["TIPO", "NOMBRE", "ID_ENTIDAD", "ID_TERRITORIO", *SUMMARY, *votes]
    rows = [sheet_row(above, "t" * len(above))]
    every = [told | {"tipo": "eleccion", "nombre": election["titulo"], "entidad": "", "id": ""}]
    every += [each | {"tipo": "contienda", "id": each["territorio"]} for each in told["contiendas"]]
    for each in every + told["territorios"]:
        cells = [each[name] for name in ("tipo", "nombre", "entidad", "id")]
        cells += [each["resumen"][name] for name in SUMMARY] + [each["votos"].get(code, "") for code in votes]
        rows.append(sheet_row(cells, "tt".ljust(len(above), "n")))
    return rows


def sheet_row(cells: Iterable[object], kinds: Sequence[str]) -> str:
    """The XML of a row."""
    return f"<row>{''.join(map(sheet_cell, map(str, cells), kinds))}</row>"


@lru_cache(1 << 16)
def sheet_cell(cell: str, kind: str) -> str:
    """A cell of kind n is a number, unless a spreadsheet would round it."""
    if kind == "n" and re.fullmatch(r"[0-9]{1,15}|[0-9]{1,10}\.[0-9]{4}", cell):
        return f"<c><v>{cell}</v></c>"
    # XML holds no control character and no half of a character; readers take _x0041_ for A, and trim texts.
    held = re.sub("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", cell)
    held = html.escape(re.sub("_(?=x[0-9A-Fa-f]{4}_)", "_x005F_", held), quote=False)
    space = ' xml:space="preserve"' if held.strip(" \t\n") != held else ""
    return f'<c t="inlineStr"><is><t{space}>{held}</t></is></c>' if cell else "<c/>"


def workbook(sheets: dict[str, list[str]]) -> bytes:
    """The bytes of a workbook: a ZIP without compression and without hours, of the XML that it must have."""
    home, kind = "http://schemas.openxmlformats.org", "application/vnd.openxmlformats-officedocument.spreadsheetml"
    main, links = f'xmlns="{home}/spreadsheetml/2006/main"', f"{home}/officeDocument/2006/relationships"
    files = {"[Content_Types].xml": "", "_rels/.rels": "", "xl/workbook.xml": "", "xl/_rels/workbook.xml.rels": ""}
    types = {"/xl/workbook.xml": f"{kind}.sheet.main+xml"}
    named, targets = "", []
    for number, (name, rows) in enumerate(sheets.items(), 1):
        named += f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>'
        targets.append(("worksheet", f"worksheets/sheet{number}.xml"))
        types[f"/xl/{targets[-1][1]}"] = f"{kind}.worksheet+xml"
        files[f"xl/{targets[-1][1]}"] = f"<worksheet {main}><sheetData>{''.join(rows)}</sheetData></worksheet>"
    relations = "application/vnd.openxmlformats-package.relationships+xml"
    told = f'<Default Extension="rels" ContentType="{relations}"/>'
    told += '<Default Extension="xml" ContentType="application/xml"/>' + "".join(
        f'<Override PartName="{path}" ContentType="{each}"/>' for path, each in types.items()
    )
    files["[Content_Types].xml"] = f'<Types xmlns="{home}/package/2006/content-types">{told}</Types>'
    files["xl/workbook.xml"] = f'<workbook {main} xmlns:r="{links}"><sheets>{named}</sheets></workbook>'
    linking = {"_rels/.rels": [("officeDocument", "xl/workbook.xml")], "xl/_rels/workbook.xml.rels": targets}
    for path, linked in linking.items():
        every = "".join(
            f'<Relationship Id="rId{number}" Type="{links}/{what}" Target="{target}"/>'
            for number, (what, target) in enumerate(linked, 1)
        )
        files[path] = f'<Relationships xmlns="{home}/package/2006/relationships">{every}</Relationships>'
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as book:
        for path, text in files.items():
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            book.writestr(entry, f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n{text}')
    return packed.getvalue()


class Unclosed(io.BufferedReader):
    """A reader whose end leaves its file open."""

    def close(self) -> None:
        self.detach()


def csv_lines(rows: Iterable[Sequence[str]], above: bytes = b"") -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return above + out.getvalue().encode()


def clean_cell(cell: str, kind: str, offset: str) -> str:
    """An integer without zeros before it, a text, or an ISO hour; empty if the cell holds none."""
    if kind == "t":
        return "" if cell in {"-", "N/A"} else cell
    if kind == "n":
        return str(int(cell)) if re.fullmatch("[0-9]{1,18}", cell) else ""
    moment = day_and_hour(cell)
    return f"{moment.isoformat()}{offset}" if moment else ""


class Parquet:
    """The bytes of the typed table: every column a dictionary and the places in it, no compression, no statistics."""

    def __init__(self, columns: list[tuple[str, str]]) -> None:
        self.columns, self.hash, self.size, self.rows = columns, hashlib.sha256(b"PAR1"), 4, 0
        self.groups: list[bytes] = []

    def put(self, piece: bytes) -> None:
        self.hash.update(piece)
        self.size += len(piece)

    def add(self, rows: list[list[str]]) -> None:
        began, chunks = self.size, []
        for place, (name, kind) in enumerate(self.columns):
            cells = [row[place] for row in rows]
            start = self.size
            values = [*dict.fromkeys(filter(None, cells))]
            held = b"".join(plain_value(value, kind) for value in values)
            self.put(thrift((1, 2), (2, len(held)), (3, len(held)), (7, thrift((1, len(values)), (2, 0)))) + held)
            middle = self.size
            # One bit for each cell: whether it is there. Then, of those that are, the places in the dictionary.
            there = bytearray(-(-len(cells) // 8))
            for number, cell in enumerate(cells):
                there[number // 8] |= (cell != "") << number % 8
            levels = number_of(len(there) * 2 + 1) + there
            width = 1 if len(values) <= 256 else 2
            found = {value: number for number, value in enumerate(values)}
            places = b"".join(found[cell].to_bytes(width, "little") for cell in cells if cell)
            eights = -(-len(places) // (8 * width))
            run = number_of(eights * 2 + 1) + places.ljust(eights * 8 * width, b"\0") if places else b""
            page = struct.pack("<I", len(levels)) + levels + bytes([8 * width]) + run
            about = thrift((1, len(cells)), (2, 8), (3, 3), (4, 3))
            self.put(thrift((1, 0), (2, len(page)), (3, len(page)), (5, about)) + page)
            size = Long(self.size - start)
            told = thrift(
                *((1, 6 if kind == "t" else 2), (2, [0, 3, 8]), (3, [name]), (4, 0), (5, Long(len(cells)))),
                *((6, size), (7, size), (9, Long(middle)), (11, Long(start))),
            )
            chunks.append(thrift((2, Long(start)), (3, told)))
        self.groups.append(thrift((1, chunks), (2, Long(self.size - began)), (3, Long(len(rows)))))
        self.rows += len(rows)

    def digest(self) -> str:
        schema = [thrift((4, "acta"), (5, len(self.columns)))]
        for name, kind in self.columns:
            # A moment also has the logical type TIMESTAMP, in UTC and milliseconds.
            utc = thrift((8, b"\x11" + b"\x1c" + thrift((1, thrift())) + b"\0"))
            meanings: dict[str, list[tuple[int, Any]]] = {"t": [(6, 0)], "h": [(6, 9), (10, utc)], "n": []}
            schema.append(thrift((1, 6 if kind == "t" else 2), (3, 1), (4, name), *meanings[kind]))
        foot = thrift((1, 1), (2, schema), (3, Long(self.rows)), (4, self.groups), (6, "prep-abierto"))
        self.put(foot + struct.pack("<I", len(foot)) + b"PAR1")
        return self.hash.hexdigest()


class Long(int):
    """An integer that Thrift writes as one of 64 bits."""


def plain_value(value: str, kind: str) -> bytes:
    if kind == "t":
        return struct.pack("<I", len(value.encode())) + value.encode()
    number = int(value) if kind == "n" else round(datetime.fromisoformat(value).timestamp()) * 1000
    return struct.pack("<q", number)


def number_of(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    return bytes([value % 128 + 128]) + number_of(value // 128) if value > 127 else bytes([value])


def thrift(*fields: tuple[int, Any]) -> bytes:
    """A struct of the compact protocol; the bytes of an inner struct stand for themselves."""

    def kind_and_bytes(value: Any) -> tuple[int, bytes]:
        if isinstance(value, bytes):
            return 12, value
        if isinstance(value, str):
            return 8, number_of(len(value.encode())) + value.encode()
        if isinstance(value, list):
            items = [kind_and_bytes(item) for item in value]
            inner = items[0][0] if items else 12
            size = bytes([len(items) * 16 + inner]) if len(items) < 15 else bytes([240 + inner]) + number_of(len(items))
            return 9, size + b"".join(item for _, item in items)
        return 6 if isinstance(value, Long) else 5, number_of(value * 2)

    out, before = b"", 0
    for number, value in fields:
        kind, held = kind_and_bytes(value)
        out, before = out + bytes([(number - before) * 16 + kind]) + held, number
    return out + b"\0"


def nist(manifest: Json, election: Json, told: Json) -> Json:
    """The sums of an election in NIST SP 1500-100, version 2."""
    options, contests, territories = election["opciones"], told["contiendas"], told["territorios"]
    clase = {option["codigo"]: option["clase"] for option in options}
    party = {option["codigo"]: f"p-{option['posicion']}" for option in options}
    night = (manifest.get("declaracion") or {"contenido": {}})["contenido"]
    edo = edo_of(manifest)
    units: dict[str, Json] = {}

    def words(text: str) -> Json:
        return {"Text": [{"Content": text, "Language": "es-MX"}]}

    def reported(resumen: Json) -> Json:
        counts = {"SubUnitsReported": "ACTAS_CONTABILIZADAS", "TotalSubUnits": "ACTAS_ESPERADAS"}
        return {name: int(resumen[key]) for name, key in counts.items()}

    def unit(kind: str, entidad: int, number: int, name: str, more: Json) -> str:
        types = {"pais": "country", "entidad": "state", "municipio": "municipality"}
        typed = {"Type": types[kind]} if kind in types else {"Type": "other", "OtherType": kind}
        told = {"@id": f"u-{kind}-{entidad}-{number}", "@type": "ElectionResults.ReportingUnit", "Name": name}
        units.setdefault(told["@id"], told | typed | more)
        return told["@id"]

    for each in territories:
        unit(each["tipo"], each["entidad"], each["id"], each["nombre"], reported(each["resumen"]))
    people: list[Json] = []
    shown = []
    for contest in contests:
        entidad, number = contest["entidad"], contest["territorio"]
        kind, own = ("entidad", entidad) if entidad else ("pais", 0)
        kind, own = (kind_of(election), number) if number else (kind, own)
        mine = unit(kind, entidad, own, contest["nombre"], reported(contest["resumen"]))
        votes = {mine: contest["votos"]}
        for each in territories if len(contests) == 1 else ():
            votes.setdefault(f"u-{each['tipo']}-{each['entidad']}-{each['id']}", each["votos"])
        [entry, *_] = [each for each in election["contiendas"] if each["id"] == contest["id"]]
        several = entry.get("votos_por_boleta", 1)
        choices: list[tuple[str, list[str], Json]] = []
        for each in contest["candidaturas"]:
            parties = [party[code] for code in each["opciones"] if clase[code] == "partido"]
            about: Json = {"CandidateIds": [f"k-{each['id']}"], "EndorsementPartyIds": parties}
            people += [{"@id": f"k-{each['id']}", "BallotName": words(each["propietaria"])}]
            choices += [(f"k{each['id']}", each["opciones"], {"@type": "ElectionResults.CandidateSelection", **about})]
        supported = {code for each in contest["candidaturas"] for code in each["opciones"]}
        for code in (options[place]["codigo"] for place in entry["boleta"]):
            if clase[code] == "no_registradas":
                who = f"k-{contest['id']}-no-registradas"
                people += [{"@id": who, "BallotName": words("Candidaturas no registradas")}]
                written = {"@type": "ElectionResults.CandidateSelection", "CandidateIds": [who], "IsWriteIn": True}
                choices += [("no-registradas", [code], written)]
            elif clase[code] != "nulos" and code not in supported:
                alone = {"@type": "ElectionResults.PartySelection", "PartyIds": [party[code]]}
                choices += [(party[code].replace("-", ""), [code], alone)]
        selections = []
        for order, (name, codes, about) in enumerate(choices, 1):
            counts: list[Json] = []
            for where, amounts in votes.items():
                every = [amounts.get(code, 0) for code in codes]
                counts += [{"GpUnitId": where, "Type": "total", "Count": sum(every)}]
                for code, amount in zip(codes, every, strict=True) if len(codes) > 1 else ():
                    counts += [{"GpUnitId": where, "Type": "other", "OtherType": code, "Count": amount}]
            told_of = {"@id": f"s-{contest['id']}-{name}", "SequenceOrder": order, "VoteCounts": counts}
            selections.append(told_of | about)
        summaries = []
        for where, amounts in votes.items():
            by_class: Counter[str] = Counter()
            for code, amount in amounts.items():
                by_class[clase[code]] += amount
            about = {"BallotsRejected": by_class["nulos"], "WriteIns": by_class["no_registradas"]}
            about |= {"BallotsCast": by_class.total()} if several == 1 else {}
            summaries.append({"GpUnitId": where, "Type": "total"} | about)
        shown.append(
            {"@id": f"c-{contest['id']}", "@type": "ElectionResults.CandidateContest", "Name": contest["nombre"]}
            | {"ElectoralDistrictId": mine, "VotesAllowed": several, "VoteVariation": "plurality"}
            | {"BallotSelection": selections, "SummaryCounts": summaries}
            | reported(contest["resumen"])
        )
    unit("pais", 0, 0, "México", {})
    states = {contest["entidad"] for contest in contests}
    [state] = states if len(states) == 1 else [0]
    day = (night.get("inicio") or manifest["fecha_hora"])[:10]
    whole_count = told["actas"]["capturadas"] == told["actas"]["esperadas"]
    status = "pre-election" if manifest["fase"] == "cero" else f"unofficial-{'complete' if whole_count else 'partial'}"
    joint: list[Json] = []
    for option in options:
        if option["clase"] not in {"nulos", "no_registradas"}:
            joined = [party[options[place]["codigo"]] for place in option["partidos"]]
            about = {"@id": party[option["codigo"]], "Abbreviation": option["codigo"]}
            about |= {"Name": words(option["nombre"] or option["codigo"])}
            about |= {"@type": f"ElectionResults.{'Coalition' if joined else 'Party'}"}
            joint.append(about | ({"PartyIds": joined} if joined else {}))
    held = {"@type": "ElectionResults.Election", "Type": "other", "OtherType": election["ambito"], "Contest": shown}
    held |= {"ElectionScopeId": f"u-entidad-{state}-{state}" if state else "u-pais-0-0", "StartDate": day}
    held |= {"EndDate": day, "Name": words(election["titulo"])}
    held |= {"Candidate": [{"@type": "ElectionResults.Candidate", **each} for each in people]}
    return {
        **{"@type": "ElectionResults.ElectionReport", "Format": "summary-contest", "Status": status},
        **{"GeneratedDate": manifest["fecha_hora"], "IsTest": manifest["simulacro"], "IssuerAbbreviation": edo},
        **{"Issuer": night.get("instituto", {}).get("nombre") or edo, "VendorApplicationId": "prep-abierto"},
        **{"SequenceStart": 1, "SequenceEnd": 1, "GpUnit": [*units.values()], "Party": joint, "Election": [held]},
        "Notes": f"Resultados preliminares, de carácter informativo: corte {manifest['corte']} ({manifest['fase']}).",
    }


# --- files that nobody announced --------------------------------------------------------------------------------------


def judge_extra(tree: Tree, cortes: list[Corte], images: Images, data: Data, report: Report) -> None:
    """Every file is announced; those of the cortes and the images were checked in their own steps."""
    last = cortes[-1]
    if tree.url:
        report.not_asked |= dict.fromkeys(("COM-02", "COM-08"), "por HTTP no se puede saber qué otros archivos hay")
        return
    if last.manifest is None:
        report.unable(["COM-08"], f"{last.folder}: sin manifiesto no se sabe qué archivos debe haber")
        return
    report.did("COM-08")
    codes = {election["codigo"]: election for election in last.manifest["elecciones"]}
    site = has_site(last)
    folders = {"cortes", "zip", "bitacora", "catalogo", "datos", *codes, *(["imagenes"] if images else [])}
    files = {"index.json", "index.html", *SITE}
    files |= {*LOGOS, *PARTS} & (last.manifest.get("sitio") or {}).keys()
    if site:
        folders |= {"seccion", "cambios"}
        files |= {*IN_WORDS, PROGRAM, "inicio.json", "cortes.atom"}
        sections = pages_of_sections(last)
        sections |= {twin_of(page) for page in sections}
        for name, kind in entries(tree, "seccion", report).items():
            judge_entry(f"seccion/{name}", kind, "COM-08", f"seccion/{name}" in sections, report)
        for name, kind in entries(tree, "cambios", report).items():
            known = name in {f"{corte.number:04}.{kind}" for corte in cortes for kind in ("json", "tar.gz")}
            judge_entry(f"cambios/{name}", kind, "COM-08", known, report)
    stated = ((last.manifest.get("sitio")) or {}).keys() & {*SCHEMAS}
    folders |= {"esquemas"} if stated else set()
    judge_data_folders(tree, cortes, data, report)
    for name, kind in (entries(tree, "esquemas", report) if stated else {}).items():
        judge_entry(f"esquemas/{name}", kind, "COM-08", f"esquemas/{name}" in stated, report)
    if PLACES in (last.manifest.get("sitio") or {}):
        folders |= {"lugares"}
        try:
            listed = {*read_places(tree), "indice.json"}
        except (Bad, Unread):  # a list that cannot be read names nothing; INT-07 tells of it
            listed = {"indice.json"}
        for name, kind in entries(tree, "lugares", report).items():
            judge_entry(f"lugares/{name}", kind, "COM-08", name in listed, report)
    for name, kind in entries(tree, "", report).items():
        if kind == FOLDER and STAGE.fullmatch(name):
            continue  # the publisher is at work; the folder is no part of the tree
        judge_entry(name, kind, "COM-08", name in folders | files, report, wanted=FOLDER if name in folders else FILE)
    zips = {corte.manifest["zip"]["archivo"] for corte in cortes if corte.manifest}
    for name, kind in entries(tree, "zip", report).items():
        judge_entry(f"zip/{name}", kind, "COM-08", f"zip/{name}" in zips, report)
    for name, kind in entries(tree, "catalogo", report).items():
        judge_entry(f"catalogo/{name}", kind, "COM-08", name in {"SHA256SUMS", *catalogue_names(codes)}, report)
    for code, election in codes.items():
        table = last.tables.get(code)
        if table is None:
            report.unable(["COM-08"], f"{code}: sin sus filas no se sabe qué páginas debe haber")
            continue
        pages = {"index.html", *(f"contienda-{each['id']}.html" for each in election["contiendas"])}
        pages |= places_of(table) | {f"{clave}.html" for clave in table.published} | {"fuera"}
        pages |= {f"{page.removesuffix('.html')}.json" for page in pages if page != "fuera"} if site else set()
        for name, kind in entries(tree, code, report).items():
            wanted = FOLDER if name == "fuera" else FILE
            known = name in pages or (site and (name == "tarjeta.png" or LIST.fullmatch(name) is not None))
            judge_entry(f"{code}/{name}", kind, "COM-08", known, report, wanted=wanted)
            if name == "fuera" and kind == FOLDER:
                for inner, inside in entries(tree, f"{code}/fuera", report).items():
                    held = images.get(inner.removesuffix(".html"), ("", set[str]()))[1]
                    stray = inner.endswith(".html") and "-" in held
                    judge_entry(f"{code}/fuera/{inner}", inside, "COM-08", stray, report)


# --- the catalogue ----------------------------------------------------------------------------------------------------

SHARED = ("codigo", "titulo", "anio", "ambito", "nivel")
CATALOGUE = {
    **{"formato": int, "fuente": ("any key", HEX)},
    "elecciones": [
        {key: ELECTION[key] for key in (*SHARED, "opciones")}
        | {"reglas": HEX}
        | {
            "contiendas": [
                ELECTION["contiendas"][0]
                | {"candidaturas": [{"id": int, "propietaria": str, "suplente": str, "opciones": [str]}]}
            ]
        }
    ],
}


class Catalogue:
    """Elections by code, and a handle to the expected actas of each, from before the night."""

    def __init__(self, digest: str, elections: dict[str, Json]) -> None:
        self.digest, self.elections = digest, elections
        self.actas: dict[str, Any] = {}
        self.close: Callable[[], None] = lambda: None


def catalogue_names(codes: Iterable[str]) -> set[str]:
    return {"catalogo.json", *(f"actas_{code}.csv" for code in codes)}


def read_catalogue(tree: Tree, report: Report) -> Catalogue | None:
    """The files of catalogo/, under the digest of their list. A tree with a log must bring them."""
    try:
        listed = tree.read("catalogo/SHA256SUMS", MEGA)
    except Linked:
        raise
    except Absent:
        try:
            logged = tree.exists("bitacora/checkpoint")
        except (Bad, Unread):
            logged = True
        if logged:
            raise
        raise Unread("el árbol no trae su catálogo, ni una bitácora que lo nombre") from None
    sums, content = read_sums(listed, "catalogo"), b""
    with contextlib.ExitStack() as opened:
        handles = {}
        for name, digest in sums.items():
            limit = 64 * MEGA if name == "catalogo.json" else 4 * GIGA
            handle, found, size = tree.take(f"catalogo/{name}", limit)
            handles[name] = opened.enter_context(handle)
            report.did("CON-20")
            if found != digest:
                raise Bad(f"catalogo/{name}: su huella es {found}, no {digest}")
            content = handle.read(size) if name == "catalogo.json" else content
        held = parse(content, "catalogo/catalogo.json")
        fit(held, CATALOGUE, "catalogo/catalogo.json")
        catalogue = Catalogue(hashlib.sha256(listed).hexdigest(), {one["codigo"]: one for one in held["elecciones"]})
        if held["formato"] != 1 or len(catalogue.elections) < len(held["elecciones"]):
            raise Bad("catalogo/catalogo.json: otro formato, o elecciones repetidas")
        if {*sums} != catalogue_names(catalogue.elections):
            raise Bad("catalogo/SHA256SUMS no lista los archivos de sus elecciones")
        catalogue.actas = {code: handles[f"actas_{code}.csv"] for code in catalogue.elections}
        catalogue.close = opened.pop_all().close
    return catalogue


def judge_catalogue(catalogue: Catalogue, corte: Corte, report: Report) -> None:
    """The manifest, the candidacies and the rows of a corte are those of the catalogue, in its order."""
    manifest, where = corte.manifest, f"{corte.folder}/manifest.json"
    right = manifest["catalogo"] == catalogue.digest
    report.need(right, "CON-20", f"{where}: el catálogo publicado es {catalogue.digest}, no {manifest['catalogo']}")
    ours, theirs = [one["codigo"] for one in manifest["elecciones"]], [*catalogue.elections]
    report.need(ours == theirs, "CON-20", f"{where}: sus elecciones no son las del catálogo, {theirs}")
    for election in manifest["elecciones"]:
        code = election["codigo"]
        wanted = catalogue.elections.get(code)
        if wanted is None:
            continue
        places = [{key: held for key, held in one.items() if key != "candidaturas"} for one in wanted["contiendas"]]
        alike = [election[key] == wanted[key] for key in SHARED]
        alike += [election["contiendas"] == places, manifest["reglas"][code]["sha256"] == wanted["reglas"]]
        alike.append(in_order(election["opciones"]) == in_order(wanted["opciones"]))
        report.need(all(alike), "CON-20", f"{where}: {code} no es como el catálogo dice")
        people = {one["id"]: one["candidaturas"] for one in wanted["contiendas"]}
        told = (corte.totals or {"elecciones": {}})["elecciones"].get(code, {"contiendas": []})
        for contest in told["contiendas"]:
            found = [
                {key: one[key] for key in ("id", "propietaria", "suplente", "opciones")}
                for one in contest["candidaturas"]
            ]
            same = found == people.get(contest["id"], [])
            report.need(
                same, "CON-20", f"{corte.folder}/totals.json: las candidaturas de {code} no son las del catálogo"
            )
        # If the head of the official file is wrong, its rows were not read.
        if code in corte.tables:
            judge_expected(catalogue, corte, election, report)


def in_order(options: list[Json]) -> list[Json]:
    return sorted(options, key=lambda option: int(option["posicion"]))


def judge_expected(catalogue: Catalogue, corte: Corte, election: Json, report: Report) -> None:
    """Row by row beside the expected actas; the rows fuera de catálogo come after them."""
    columns, code = columns_of(election), election["codigo"]
    own = [*columns[:12], "LISTA_NOMINAL", "REPRESENTANTES_PP_CI", "BOLETAS_MAXIMAS"]
    expected, shown = catalogue.actas[code], corte.files[election["archivo"]][0]
    expected.seek(0)
    shown.seek(0)
    head = expected.readline(64 * KILO)
    if not head.startswith(BOM) or split(head[len(BOM) :]) != own:
        raise Bad(f"catalogo/actas_{code}.csv: no tiene las columnas de las actas esperadas")
    for _ in range(7):
        shown.readline(64 * KILO)
    rules = corte.manifest["reglas"][code]["contenido"]
    for number in itertools.count(8):
        line, wanted = shown.readline(64 * KILO), expected.readline(64 * KILO)
        where = f"{corte.folder}/{election['archivo']}, línea {number}"
        if not line and not wanted:
            return
        report.did("CON-20")
        here = bool(line) and not line.startswith(b"-,-,")
        if here != bool(wanted):
            raise Bad(f"{where}: sobra un acta, o falta una que el catálogo espera")
        found, cells = split(line) or [], split(wanted) or []
        if not wanted or len(found) != len(columns):
            continue  # fuera de catálogo; or no row, which CON-07 tells
        if len(cells) != len(own) or not re.fullmatch(r"(0|[1-9]\d{0,6})?", cells[-1], re.ASCII):
            raise Bad(f"catalogo/actas_{code}.csv: el acta {number - 7} no tiene la forma debida")
        if found[:2] != cells[:2]:
            raise Bad(f"{where}: el catálogo espera ahí el acta {cells[1]}")
        row, acta = dict(zip(columns, found, strict=True)), dict(zip(own, cells, strict=True))
        for key in own[2:-1]:
            report.need(row[key] == acta[key], "CON-20", f"{where}: {key} es {row[key]}; en el catálogo, {acta[key]}")
        judge_ballots(row, acta["BOLETAS_MAXIMAS"], election, rules, where, report)


def judge_ballots(row: Row, most: str, election: Json, rules: Json, where: str, report: Report) -> None:
    """Without a lista nominal, an acta exceeds its limit exactly if it has more votes than its maximum of ballots."""
    text = rules["texts"].get("excede_lista_nominal")
    people, total = whole(row["REPRESENTANTES_PP_CI"]), whole(row["TOTAL_VOTOS_CALCULADO"])
    read = row["CONTABILIZADA"] in {"0", "1"} and all(row[one["codigo"]] != "Sin acta" for one in election["opciones"])
    own = row["LISTA_NOMINAL"] == "0" and row["TIPO_CASILLA"] not in WITH_LISTA
    if not (read and own and text and rules["excede_applies"]) or people is None or total is None:
        return
    place = padded(row["ID_ENTIDAD"]) or 0, padded(row[columns_of(election)[4]], ("", "-", "N/A")) or 0
    key = contest_place(election, place)
    contest: Json = next((one for one in election["contiendas"] if (one["entidad"], one["territorio"]) == key), {})
    over = bool(most) and total > (int(most or 0) + people) * contest.get("votos_por_boleta", 1)
    said = f", {text}, " in f", {row['OBSERVACIONES']}, "
    report.need(said == over, "CON-20", f"{where}: con {most or 'ningún'} máximo de boletas, «{text}» no va así")


# --- pages ------------------------------------------------------------------------------------------------------------

SHOWN = ("esperadas", "capturadas", "contabilizadas", "sin_contar", "sin_acta")
HEADINGS = dict(
    zip(
        (*HEADER, "TOTAL_VOTOS_ASENTADO", "TOTAL_VOTOS_CALCULADO"),
        (
            *("Boletas sobrantes", "Personas que votaron", "Representantes que votaron", "Votos sacados de la urna"),
            *("Total asentado en el acta", "Total calculado"),
        ),
        strict=True,
    )
)
OF_AN_IMAGE = {*MOMENTS, "CODIGO_INTEGRIDAD", "ORIGEN", "DIGITALIZACION", "TIPO_DOCUMENTO", "COTEJADA"}
COTEJO = {"0": "no", "1": "aceptada", "2": "aceptada después de un cambio", "3": "en corrección"}
FIGURE = re.compile(r'<data value="([^"<>]*)" data-de="([^"<>]*)">([^<>]*)</data>')
ACTIVE = re.compile(
    r"<(?:script|style|iframe|object|embed|form|base|template|frame|foreignobject|image|use|text|animate\w*|set)\b"
    r"|javascript:|\son\w+\s*=|http-equiv",
    re.IGNORECASE,
)
SHEET = re.compile(
    r'<link rel="(?:icon" href="data:,|stylesheet" href="(?:\.\./)*estilo\.css|alternate"'
    r' type="application/(?:json|atom\+xml)" href="(?:\.\./)*[\w./-]+)">',
    re.ASCII,
)
SCRIPT = re.compile(r'<script src="(?:\.\./)*sitio\.js" defer></script>')
"""The one way in which a page may name the one program of the site."""
Told = tuple[str, str, set[str]]
"""The value of a figure, its text, and the names that may stand beside it (none: any)."""


class PageNumbers:
    """The figures of one election, from its rows; from totals.json only who stands for which options."""

    def __init__(self, corte: Corte, election: Json, cortes: list[Corte]) -> None:
        self.election, self.code, self.table = election, election["codigo"], corte.tables[election["codigo"]]
        self.history = {
            each.number: of["resumen"]
            for each in cortes
            for of in (each.manifest or {"elecciones": []})["elecciones"]
            if of["codigo"] == self.code
        }
        self.options = {option["codigo"]: option for option in election["opciones"]}
        told = corte.totals["elecciones"][self.code]["contiendas"]
        self.people = {contest["id"]: contest["candidaturas"] for contest in told}
        self.contests = {contest["id"]: contest for contest in election["contiendas"]}
        self.state = added(self.table.sums.values())
        self.final = with_especiales(corte.manifest, self.code)
        self.of_contest: dict[int, Sums] = {}
        for number, contest in self.contests.items():
            key = (contest["entidad"], contest["territorio"])
            of = (sums for place, sums in self.table.sums.items() if contest_place(election, place) == key)
            self.of_contest[number] = added(of)
        self.shares = {n: distributed(sums, election["opciones"]) for n, sums in self.of_contest.items()}
        self.shares[0] = dict(sum((Counter(shares) for shares in self.shares.values()), Counter[str]()))
        for code, option in self.options.items():
            if option["clase"] != "coalicion":
                self.shares[0].setdefault(code, 0)

    def names(self, code: str) -> set[str]:
        kinds = {"no_registradas": "Candidaturas no registradas", "nulos": "Votos nulos"}
        return {code, self.options[code]["nombre"], kinds.get(self.options[code]["clase"], code)}

    def look(self, scope: str, name: str) -> Told | None:
        """What `<data data-de="ELECCION/scope:name">` must say; None if there is no such figure."""
        number, sums = -1, self.state
        if found := re.fullmatch(r"corte/(0|[1-9]\d{0,6})", scope, re.ASCII):
            return self.of_corte(int(found[1]), name)
        if found := re.fullmatch(r"contienda/(0|[1-9]\d{0,6})", scope, re.ASCII):
            number = int(found[1])
            if number not in self.contests:
                return None
            sums = self.of_contest[number]
        elif found := re.fullmatch(r"lugar/(0|[1-9]\d{0,6})-(0|[1-9]\d{0,6})", scope, re.ASCII):
            place = (int(found[1]), int(found[2]))
            if place not in self.table.sums:
                return None
            sums = self.table.sums[place]
        elif scope:
            return None
        else:
            number = 0
        first, _, base = name.partition("%")
        value, beside = self.value(sums, number, first)
        if value is None:
            return None
        if isinstance(value, str):
            return value, value, beside
        if first in {"primera", "segunda"}:
            leader = next((held["propietaria"] for held in self.people[number] if held["id"] == value), "")
            most = self.value(sums, number, "mayor" if first == "primera" else "segundo")[0]
            return str(value), leader if value else "Empate" if most else "Sin votos aún", beside
        if not base:
            return str(value), f"{value:,}", beside
        all_of = self.value(sums, number, base)[0]
        if not isinstance(all_of, int):
            return None
        share = percent(value, all_of)
        return share, share, beside

    def of_corte(self, number: int, name: str) -> Told | None:
        """One of the thirteen values of an earlier corte, or its difference to the corte before."""
        key = name.removeprefix("cambio/")
        value, before = (self.history.get(at, {}).get(key) for at in (number, number - 1))
        if value is None or (key != name and (before is None or not (value.isdigit() and before.isdigit()))):
            return None
        if key == name:
            return value, f"{int(value):,}" if value.isdigit() else value, set()
        moved = int(value) - int(before or 0)
        return str(moved), f"{moved:+,}" if moved else "0", set()

    def value(self, sums: Sums, number: int, name: str) -> tuple[int | str | None, set[str]]:
        """A figure of a sum, and the names for it. `number`: of the contest; 0 for all, -1 for a place."""
        kind, _, key = name.partition("/")
        if kind == "opcion" and key in self.options:
            return sums["voto", key], self.names(key)
        if kind == "partido" and number >= 0 and key in self.shares[number]:
            return self.shares[number][key], self.names(key)
        if number > 0 and kind in {"candidatura", "primera", "segunda", "mayor", "segundo", "diferencia"}:
            people = self.people.get(number, [])
            won = {held["id"]: sum(sums["voto", code] for code in held["opciones"]) for held in people}
            if kind == "candidatura":
                held = [each for each in people if str(each["id"]) == key]
                votes = sum(sums["voto", code] for code in held[0]["opciones"]) if held else None
                return votes, {each["propietaria"] for each in held}
            most, second, *_ = (*sorted(won.values(), reverse=True), 0, 0)
            if kind in {"mayor", "segundo", "diferencia"}:
                return {"mayor": most, "segundo": second, "diferencia": most - second}[kind], set()
            wanted = most if kind == "primera" else second if second < most else 0
            alone = [ident for ident, votes in won.items() if votes == wanted]
            return alone[0] if wanted and len(alone) == 1 else 0, set()
        if not number and name == "fuera_de_catalogo":
            return self.table.fuera, set()
        if not number and name == "participacion":
            return percent(sums["con" if self.final else "sin"], sums["lista"]), set()
        captured = sums["contabilizadas"] + sums["no_contabilizadas"]
        counts = {key: sums[key] for key in ("esperadas", "contabilizadas", "no_contabilizadas", "sin_acta")}
        counts |= {"por_capturar": sums["esperadas"] - captured, "lista_por_capturar": sums["falta"]}
        counts |= {"capturadas": captured, "sin_contar": sums["no_contabilizadas"] - sums["sin_acta"]}
        counts |= {"inconsistentes": sums["inconsistentes"], "lista_nominal": sums["lista"], "votos": sums["con"]}
        return counts.get(name), set()

    def families(self, scope: str) -> list[set[str]]:
        """The sets of figures of which a page shows one: counts, and votes by party, by candidacy or by option."""

        def told(of: str, *names: str) -> set[str]:
            return {f"{self.code}/{of}:{name}" if of else f"{self.code}:{name}" for name in names}

        parties = [code for code, option in self.options.items() if option["clase"] != "coalicion"]
        sets = []
        if scope.startswith("lugar/"):
            sets.append(told(scope, *SHOWN, *(f"opcion/{code}" for code in self.options)))
        if not scope:
            sets.append(told("", *SHOWN, *(f"partido/{code}" for code in parties)))
        for number, contest in self.contests.items():
            alone, own = not scope and len(self.contests) == 1, f"contienda/{number}"
            if alone or scope in {own, f"lugar/{contest['entidad']}-{contest['territorio']}"}:
                counts = told("" if alone else own, *SHOWN)
                shown = [code for code in parties if self.options[code]["posicion"] in contest["boleta"]]
                sets.append(counts | told(own, *(f"partido/{code}" for code in shown)))
                if people := self.people.get(number):
                    sets.append(counts | told(own, *(f"candidatura/{held['id']}" for held in people)))
        return sets

    def cell(self, row: Row, column: str) -> Told | None:
        """What a page must say of one cell of a row."""
        if column not in row:
            return None
        cell, beside = row[column], {HEADINGS[column]} if column in HEADINGS else set[str]()
        if column in self.options:
            beside = self.names(column)
        absent = "Sin acta" in (row[code] for code in self.options)
        if column == "CONTABILIZADA":
            return cell, "Contabilizada" if cell == "1" else "Sin acta" if absent else "No contabilizada", beside
        if column == "COTEJADA":
            return cell, COTEJO.get(cell, cell), beside
        amount = column in {*HEADINGS, *self.options, "LISTA_NOMINAL", "REPRESENTANTES_PP_CI"}
        number = whole(cell) if amount else None
        return cell, cell if number is None else f"{number:,}", beside

    def columns(self, row: Row) -> set[str]:
        """The columns that the page of an acta must show."""
        needed = {
            "CONTABILIZADA",
            "LISTA_NOMINAL",
            "REPRESENTANTES_PP_CI",
            *(["OBSERVACIONES"] if row["OBSERVACIONES"] else []),
        }
        if "Sin acta" not in (row[code] for code in self.options):
            needed |= {*HEADINGS, *OF_AN_IMAGE, *(code for code in self.options if row[code] != "-")}
        return needed


Look = Callable[[str], Told | None]
Own = dict[str, Row]


def judge_pages(tree: Tree, cortes: list[Corte], images: Images, report: Report) -> None:
    """The pages of the last corte are there, and each number on them is what the rows say (docs/tree.md)."""
    last = cortes[-1]
    if last.manifest is None or last.totals is None or len(last.tables) < len(last.manifest["elecciones"]):
        report.unable(["COM-07", "CON-19"], f"{last.folder}: sus filas no se pudieron leer")
        return
    told = last.totals["elecciones"]
    every = {
        each["codigo"]: PageNumbers(last, each, cortes)
        for each in last.manifest["elecciones"]
        if each["codigo"] in told
    }
    wrong: list[str] = []
    newer = False
    report.did("COM-07")
    report.did("CON-19")
    for path, look, families, clave in pages_of(last, every):
        with report.step("COM-07"):
            try:
                text = tree.read(path, 64 * MEGA).decode("utf-8", "replace")
                twin = twin_of(path) if has_site(last) else ""
                told_twin = tree.read(twin, 64 * MEGA) if twin else None
            except Unread as problem:
                report.unable(["CON-19"], problem)
                raise
            report.did("COM-07")
            report.did("CON-19")
            passive = SCRIPT.sub("", text) if has_site(last) else text
            wrong += [
                f"{path}: {sentence}" for sentence in judge_page(passive, look, families, last.manifest["simulacro"])
            ]
            if told_twin is not None and not same_figures(text, told_twin):
                wrong.append(f"{path}: su JSON no dice las mismas cifras")
            said = re.search(r'<html lang="es-MX" data-corte="(\d{1,9})">', text, re.ASCII)
            newer = newer or (said is not None and int(said[1]) > last.number)
            for image in re.findall(r"imagenes/([^\"<>]*)", text) if clave else ():
                digest = image.rpartition("/")[2].partition(".")[0]
                if clave not in images.get(digest, ("", set[str]()))[1]:
                    wrong.append(f"{path}: muestra una imagen que no es de esa acta")
    # A corte that comes out now changes its pages first: then nothing can be said of them.
    if wrong and (newer or another_comes(tree, last)):
        report.unable(["CON-19"], "las páginas ya se están cambiando por las del corte que sigue; vuelva a comprobar")
        return
    for sentence in wrong:
        report.need(None, "CON-19", sentence)


def judge_constants(tree: Tree, last: Corte, report: Report) -> None:
    """The files that are the same in every night of a release have the digests that the manifest states."""
    stated = (last.manifest or {}).get("sitio")
    if not stated:
        report.unable(["INT-07"], f"{last.folder}: su manifiesto no dice las huellas de los archivos del sitio")
    declared = ((last.manifest or {}).get("declaracion") or {}).get("contenido", {}).get("instituto", {}).get("logo")
    logos = {name: digest for name, digest in (stated or {}).items() if name in LOGOS}
    for name, digest in logos.items():
        report.need(digest == declared, "INT-07", f"{name} no es el logo de la declaración")
    names = (*SITE, *sorted(stated.keys() - {*SITE})) if stated else ("estilo.css",) if last.manifest else ()
    judge_digests(tree, last, {name: (stated or {}).get(name) for name in names}, report)
    if PLACES in (stated or {}):
        with report.step("INT-07"), contextlib.suppress(Absent, Linked, Unread):  # those are told above
            listed = read_places(tree)
            judge_digests(tree, last, {f"lugares/{name}": digest for name, digest in sorted(listed.items())}, report)


def judge_digests(tree: Tree, last: Corte, expected: dict[str, str | None], report: Report) -> None:
    for name, stated in expected.items():
        with report.step("COM-07"):
            try:
                digest = tree.take(name, 64 * MEGA, keep=False)[1]
            except Unread as problem:
                report.unable(["INT-07"], problem)
                raise
            if stated and digest != stated and another_comes(tree, last):
                report.unable(["INT-07"], f"{name} ya es el del corte que sigue; vuelva a comprobar")
            elif stated:
                report.need(digest == stated, "INT-07", f"{name} no es el que se dice de él")


def read_places(tree: Tree) -> dict[str, str]:
    """The files of the index of places, and their digests."""
    told = parse(tree.read(PLACES, 64 * MEGA), PLACES)
    if not fit(told, {"formato": int, "archivos": ("any key", HEX)}, PLACES):
        raise Bad(f"{PLACES}: no tiene su forma")
    if not all(OF_PLACES.fullmatch(name) for name in told["archivos"]):
        raise Bad(f"{PLACES}: nombra archivos que no son de ese índice")
    return dict(told["archivos"])


def another_comes(tree: Tree, last: Corte) -> bool:
    with contextlib.suppress(Bad, Unread):
        return tree.exists(f"cortes/{last.number + 1:04}/SHA256SUMS")
    return False


def pages_of(last: Corte, every: dict[str, PageNumbers]) -> Iterator[tuple[str, Look, list[set[str]], str]]:
    """Path, figures, needed figures, and for the page of an acta its clave."""

    def look(told: str) -> Told | None:
        scope, _, name = told.partition(":")
        code, _, within = scope.partition("/")
        return every[code].look(within, name) if code in every else None

    home: list[set[str]] = [set()]
    for shown in every.values():
        home = [one | other for one in home for other in shown.families("")]
    yield "index.html", look, home, ""
    for code, shown in every.items():
        yield f"{code}/index.html", look, shown.families(""), ""
        for number, contest in shown.contests.items():
            key = (contest["entidad"], contest["territorio"])
            places = sum(contest_place(shown.election, place) == key for place in shown.table.sums)
            if len(shown.contests) > 1 and places > 1:
                yield f"{code}/contienda-{number}.html", look, shown.families(f"contienda/{number}"), ""
        yield from pages_of_rows(last, shown, look)
    if has_site(last):
        lists = (f"{code}/{name}.html" for code in every for name in (*LISTS, "tarjeta"))
        for path in (*IN_WORDS, *lists, *sorted(pages_of_sections(last))):
            yield path, look, [set()], ""


def has_site(corte: Corte) -> bool:
    """Whether its release has the program of the site, and so the pages in words, of lists and of secciones."""
    return PROGRAM in ((corte.manifest or {}).get("sitio") or {})


def twin_of(page: str) -> str:
    """The JSON twin of a page; "" if it has none."""
    if page == "index.html":
        return "inicio.json"
    return "" if page in IN_WORDS else page.removesuffix(".html") + ".json"


def same_figures(text: str, twin: bytes) -> bool:
    """Whether the JSON twin of a page holds its figures and no other."""
    try:
        held = parse(twin, "")["cifras"].items()
    except (Bad, KeyError, TypeError, AttributeError):
        return False
    shown = {html.unescape(told): html.unescape(value) for value, told, _ in FIGURE.findall(text)}
    return {name: str(value) for name, value in held} == shown


def pages_of_sections(corte: Corte) -> set[str]:
    """The page of each sección in the catalogue, and the pages that list them."""
    claves = {clave[:6] for table in corte.tables.values() for clave in table.seen if clave[:6].isdigit()}
    return {f"seccion/{key[:2]}-{key[2:]}.html" for key in claves} | {
        f"seccion/{key[:2]}-{key[2:4]}xx.html" for key in claves
    }


def pages_of_rows(last: Corte, shown: PageNumbers, look: Look) -> Iterator[tuple[str, Look, list[set[str]], str]]:
    """The pages of actas, in the order of the rows, and the page of each place after its last row."""
    code, held = shown.code, dict[tuple[int, int], Own]()
    ends = {place: number for number, (place, _) in enumerate(rows_of(last, shown.election))}
    for number, (place, row) in enumerate(rows_of(last, shown.election)):
        clave, own = row["CLAVE_ACTA"].strip("'"), held.setdefault(place, {})
        if clave in shown.table.published:
            own[clave] = row
            needed = {f"{code}/acta/{clave}:{column}" for column in shown.columns(row)}
            yield f"{code}/{clave}.html", look_at(shown, {clave: row}, None), [needed], clave
        if number == ends[place]:
            yield place_page(shown, place, held.pop(place), look)


def rows_of(last: Corte, election: Json) -> Iterator[tuple[tuple[int, int], Row]]:
    """The rows of the catalogue, read once more from the official file."""
    columns = columns_of(election)
    handle = last.files[election["archivo"]][0]
    handle.seek(0)
    for number, line in enumerate(iter(lambda: handle.readline(64 * KILO), b""), 1):
        cells = split(line) if number > 7 else None
        if cells and len(cells) == len(columns) and cells[1] != "-":
            place = (padded(cells[2]) or 0, padded(cells[4]) or 0)
            yield place, dict(zip(columns, cells, strict=True))


def look_at(shown: PageNumbers, rows: Own, otherwise: Look | None) -> Look:
    """The cells of these rows; with `otherwise`, on a list of actas beside other figures."""
    start = f"{shown.code}/acta/"

    def look(told: str) -> Told | None:
        scope, _, column = told.partition(":")
        if not scope.startswith(start):
            return otherwise(told) if otherwise else None
        row = rows.get(scope.removeprefix(start))
        found = shown.cell(row, column) if row else None
        # In a list the name beside a number is that of the casilla.
        return (*found[:2], set()) if found and otherwise else found

    return look


def place_page(
    shown: PageNumbers, place: tuple[int, int], own: Own, look: Look
) -> tuple[str, Look, list[set[str]], str]:
    columns = ("CONTABILIZADA", "TOTAL_VOTOS_CALCULADO")
    listed = {f"{shown.code}/acta/{clave}:{column}" for clave in own for column in columns}
    families = [family | listed for family in shown.families(f"lugar/{place[0]}-{place[1]}")]
    return f"{shown.code}/lugar-{place[0]}-{place[1]}.html", look_at(shown, own, look), families, ""


def judge_page(text: str, look: Look, families: list[set[str]], simulacro: bool) -> Iterator[str]:
    """The faults of one page."""
    if not re.search(r'<html lang="es-MX" data-corte="\d{1,9}">', text, re.ASCII):
        yield "no dice de qué corte es"
    links = re.findall(r"<link\b[^<>]*>", text, re.IGNORECASE)
    if ACTIVE.search(text) or not all(SHEET.fullmatch(link) for link in links):
        yield "trae un programa o un estilo propio"
    if ('<p class="simulacro" role="note"><strong>Simulacro.</strong>' in text) != simulacro:
        yield "no dice lo mismo que su corte sobre si es un simulacro"
    found = set()
    for value, told, shown in FIGURE.findall(text):
        name = html.unescape(told)
        found.add(name)
        right = look(name)
        if right is None or right[:2] != (html.unescape(value), html.unescape(shown)):
            yield f"dice «{shown}» de {name}"
    if not any(family <= found for family in families):
        yield "le faltan cifras"
    # Beside the number of an option or candidacy stands its own name.
    for heading, cells in re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', text, re.DOTALL):
        name = html.unescape(re.sub(r"<[^<>]*>", "", heading.partition("<span")[0]))
        for _, told, _ in FIGURE.findall(cells):
            right = look(html.unescape(told))
            if right is not None and right[2] and name not in right[2]:
                yield f"«{name}» junto a {told}"
    # No other number that looks like a figure, no cell of a table without its name, no style of its own.
    rest = FIGURE.sub("", text)
    plain = html.unescape(re.sub(r"<[^<>]*>", "", rest))
    cells_ = re.findall(r'<td class="n">(.*?)</td>', rest, re.DOTALL)
    if "<data" in rest or any(cell.strip() not in {"", "%"} for cell in cells_):
        yield "una cifra sin nombre"
    if re.search(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])|\d\.\d{4}(?!\d)", plain, re.ASCII):
        yield "un número que no es de sus cifras"
    if not all(style.startswith("width:") for style in re.findall(r'style="([^"]*)"', text)):
        yield "un estilo propio"


# --- the log ----------------------------------------------------------------------------------------------------------


def leaf_hash(entry: bytes) -> bytes:
    # RFC 6962 §2.1: a first byte keeps leaves and inner nodes apart.
    return hashlib.sha256(b"\0" + entry).digest()


def parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


class Log:
    """RFC 6962: `levels[k][i]` is the hash of the complete subtree over the leaves [i·2^k, (i+1)·2^k)."""

    def __init__(self, entries: list[bytes]) -> None:
        self.levels = [[leaf_hash(entry) for entry in entries]]
        while len(self.levels[-1]) > 1:
            below = self.levels[-1]
            self.levels.append([parent(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
        self.size = len(entries)
        self.start: Json = {}
        self.cortes: dict[int, tuple[int, str]] = {}
        self.hours: dict[int, str] = {}
        self.images: dict[str, int] = {}
        self.rows: dict[str, int] = {}
        self.derived: dict[str, str] = {}
        self.stickers: dict[str, str] = {}
        self.committed: dict[int, tuple[str, str]] = {}
        """By leaf: the kind of a statement that is opened later, and its commitment."""
        self.lost: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        """By device: first and last of the numbers that were declared lost."""
        self.devices: dict[str, set[int]] = {}
        self.aside: set[tuple[str, ...]] = set()
        self.signers: list[Key] = []
        """The log's keys: the one that signs now, and those that its leaves name."""
        self.rotated: Key | None = None
        """The key to which the last leaf `rotacion` of the log hands it."""
        self.ceremonies: list[tuple[int, Json]] = []
        self.closed = False
        self.good: dict[bytes, str] = {}
        """Checkpoints on which proofs rest, and the fault of each."""

    def root(self, size: int) -> bytes:
        """The root of the first `size` leaves: complete subtrees, from the largest, joined from the right."""
        start, found = 0, []
        while start < size:
            level = (size - start).bit_length() - 1
            found.append(self.levels[level][start >> level])
            start += 1 << level
        joined = found.pop() if found else hashlib.sha256(b"").digest()
        while found:
            joined = parent(found.pop(), joined)
        return joined


class Note:
    """A signed tree head (c2sp.org/tlog-checkpoint); its signatures are not verified yet."""

    def __init__(self, data: bytes, where: str) -> None:
        if not data.endswith(b"\n") or re.search(rb"[\x00-\x09\x0b-\x1f]", data):
            raise Bad(f"{where}: no es una nota firmada")
        text, separator, signatures = data.decode().rpartition("\n\n")
        self.where, self.text, self.data = where, text + "\n", data
        lines = text.split("\n")
        if not separator or len(lines) < 3 or "" in lines or not decimal(lines[1]) or len(plain64(lines[2])) != 32:
            raise Bad(f"{where}: no es un punto de control")
        self.origin, self.size, self.root = lines[0], int(lines[1]), plain64(lines[2])
        held = [re.fullmatch(r"— ([^\s+]+) (\S+)", line) for line in signatures[:-1].split("\n")]
        self.signatures = [(each[1], plain64(each[2])) for each in held if each]
        if None in held or not 1 <= len(held) <= 100 or any(len(raw) <= 4 for _, raw in self.signatures):
            raise Bad(f"{where}: sin firmas, o con otra cosa entre ellas")
        if not self.size and self.root != hashlib.sha256(b"").digest():
            raise Bad(f"{where}: la raíz de un árbol vacío es otra")

    def signed(self, key: Key, *, witness: bool = False) -> bool:
        """Whether that key signed it. A signature that claims the key and is false raises Bad."""
        mine = [raw[4:] for name, raw in self.signatures if (name, raw[:4]) == key[:2]]
        if not all(verifies(key, each, self.text, witness=witness) for each in mine):
            raise Bad(f"{self.where}: una firma falsa de {key[0]}")
        return bool(mine)


def decimal(text: str) -> bool:
    return bool(re.fullmatch(r"0|[1-9]\d{0,18}", text, re.ASCII)) and int(text) < 1 << 63


def read_log(tree: Tree, trust: "Trust", report: Report) -> Log | None:
    """The log, recomputed from its entries and compared with every tile; None if no part of it can be relied on."""
    brought = bool(trust.key or trust.policy)
    try:
        paths = ("bitacora/checkpoint", "bitacora/politica.txt", "cortes/0000/SHA256SUMS.tlog-proof")
        found, linked = any(tree.exists(path) for path in paths), None
    except (Bad, Unread) as problem:
        found, linked = False, problem
    if linked is None and not found and not brought and not trust.checkpoint:
        report.facts.append("No hay bitácora: si quien publica reescribiera todo, esto no lo vería")
        if trust.alone or trust.first_use:
            report.checks.append("AUT-12")
            report.unable(["AUT-12"], NOBODY)
        return None
    # From here on the tree has a log, or must have one: its checks are in the report.
    report.checks += [*LOG, *([KEPT] if trust.checkpoint else [])]
    if linked is not None:
        report.unable(LOG, linked)
        if not trust.checkpoint:
            return None
    try:
        data = tree.read("bitacora/checkpoint", MEGA)
        told = b"" if brought else tree.read("bitacora/politica.txt", MEGA)
    except Absent as problem:
        report.need(None, "AUT-11", problem)
        return None
    except (Bad, Unread) as problem:
        report.unable(LOG, problem)
        return None
    # The steps: policy, key of today, signatures, every hash, rotations of this tree, leaves, the checkpoint kept
    # before.
    with report.step("AUT-11"):
        head, policy = Note(data, "bitacora/checkpoint"), trust.given or read_policy(told)
        logs, followed = follow(tree, policy["logs"])
        if not judge_head(head, {**policy, "logs": logs}, trust, report):
            return None
        recomputed = None
        with report.step("EVI-01"):
            recomputed = recompute(tree, head, report)
        if recomputed is None:
            return None
        log, entries = recomputed
        for where, key, note in followed:
            if note.size > log.size or log.root(note.size) != note.root:
                raise Bad(f"{where}: la rotación no está en esta bitácora")
            log.signers.append(key)
        log.signers[:0] = policy["logs"]
        whose = "la que trajo quien comprueba" if brought else "LA QUE DICE EL PROPIO ÁRBOL"
        report.facts.append(f"Bitácora de {log.size:,} hojas; su llave es {whose}")
        readable = read_leaves(log, entries, head, report)
        if trust.checkpoint:
            judge_kept(log, Note(trust.checkpoint, "el punto de control guardado"), report)
        return log if readable else None
    return None


NOBODY = (
    "nadie responde por este árbol: falta la llave de su bitácora (--log-key) o el certificado del sello (--ca), "
    "que el instituto publica en su página"
)


def judge_head(head: Note, policy: Json, trust: "Trust", report: Report) -> bool:
    """Whether a log of the policy signed the checkpoint. The quorum of witnesses is judged too."""
    brought = bool(trust.key or trust.policy)
    report.did("AUT-11")
    signers = [key for key in policy["logs"] if head.signed(key)]
    met = {"none", *(name for name, key in policy["witnesses"].items() if head.signed(key, witness=True))}
    if brought:
        report.did("AUT-12")
    elif trust.alone and not trust.first_use:
        report.unable(["AUT-12"], NOBODY)
    elif trust.first_use:
        report.not_asked["AUT-12"] = "es la primera vez: se recuerda la llave que dice el propio árbol"
    else:
        report.not_asked["AUT-12"] = "no se dio --log-key: la llave es la que dice el propio árbol"
    if not signers:
        report.need(None, "AUT-12" if brought else "AUT-11", f"{head.where}: no lo firmó la llave de la bitácora")
        return False
    report.need(head.origin == signers[0][0], "AUT-11", f"{head.where}: es de otro origen, «{head.origin}»")
    # Groups are in the order of the file, members before their group.
    for name, (needed, held) in policy["groups"].items():
        if needed <= sum(each in met for each in held):
            met.add(name)
    quorum = policy["quorum"] in met
    report.need(quorum, "AUT-11", f"{head.where}: no lo firmó el quórum de testigos de la política")
    return True


def recompute(tree: Tree, head: Note, report: Report) -> tuple[Log, list[bytes]] | None:
    """Every hash from the entries to the signed root. Raises Bad if one differs."""
    entries = read_entries(tree, head.size)
    log = Log(entries)
    judge_tiles(tree, log)
    report.did("EVI-01", head.size)
    if log.root(head.size) != head.root:
        raise Bad(f"{head.where}: las entradas no dan la raíz firmada")
    return log, entries


def read_key(text: str, kind: int) -> Key:
    """A public key «name+hash+base64» of signed-note: its name, its four-byte id and its 32 bytes."""
    name, _, rest = text.partition("+")
    ident, _, encoded = rest.partition("+")
    raw = plain64(encoded)
    if raw[0] not in {1, 4}:
        # signed-note: the id is the first four bytes of SHA-256 over name, newline, kind and key.
        raise Unread(f"la llave de {name} es de un tipo que este programa no sabe comprobar")
    right = not re.search(r"\s", name) and name and len(raw) == 33 and raw[0] == kind
    if not right or hashlib.sha256(f"{name}\n".encode() + raw).digest()[:4].hex() != ident.lower():
        raise Bad(f"«{text}» no es una llave Ed25519 «nombre+huella+base64» de las que aquí se necesitan")
    return name, bytes.fromhex(ident), raw[1:]


def plain64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if base64.b64encode(raw).decode() != text or not raw:
        raise Bad("un base64 que no está bien escrito")
    return raw


def read_policy(data: bytes) -> Json:
    """politica.txt (c2sp.org/tlog-policy): lines log, witness, group, quorum; each name is defined before its use."""
    logs: list[Key] = []
    witnesses: dict[str, Key] = {}
    groups: dict[str, tuple[int, list[str]]] = {}
    quorums: list[str] = []
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        words = re.split(r"[ \t]+", line.strip(" \t"))
        defined = {*witnesses, *groups}
        right = not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", line)
        match words:
            case ["log", key, *url] if len(url) < 2:
                logs.append(read_key(key, 1))
            case ["witness", name, key, *url] if len(url) < 2:
                right = right and name not in defined | {"none"}
                witnesses[name] = read_key(key, 4)
            case ["group", name, needed, _, *_]:
                held = words[3:]
                count = {"any": "1", "all": str(len(held))}.get(needed, needed)
                right = right and name not in defined | {"none"} and {*held} <= defined and decimal(count)
                right = right and 0 < int(count) <= len(held)
                groups[name] = int(count) if right else 0, held
            case ["quorum", name]:
                right = right and name in defined | {"none"}
                quorums.append(name)
            case [word, *_]:
                right = right and (not word or word.startswith("#"))
        if not right:
            raise Bad(f"una política con la línea «{line}»")
    # A key that stands twice could count twice; so could a member of two groups.
    keys = [*logs, *witnesses.values()]
    members_ = [each for _, held in groups.values() for each in held]
    if len(quorums) != 1 or len({key[2] for key in keys}) < len(keys) or len({*members_}) < len(members_):
        raise Bad("una política sin quórum, o con una llave o un miembro dos veces")
    return {"logs": logs, "witnesses": witnesses, "groups": groups, "quorum": quorums[0]}


def verifies(key: Key, signature: bytes, text: str, *, witness: bool) -> bool:
    """Ed25519, by openssl. A log signs the note; a witness signs its time and the note (c2sp.org/tlog-cosignature)."""
    if len(signature) != (72 if witness else 64):
        return False
    if witness:
        at_ = int.from_bytes(signature[:8], "big")
        text, signature = f"cosignature/v1\ntime {at_}\n{text}", signature[8:]
    # The fixed beginning of an Ed25519 public key in DER (RFC 8410 §4).
    der = bytes.fromhex("302a300506032b6570032100") + key[2]
    words = "pkeyutl -verify -rawin -pubin -keyform DER -inkey llave -sigfile firma -in texto"
    return openssl(words, llave=der, firma=signature, texto=text.encode())[0] == 0


def tile_paths(level: object, index: int, width: int) -> list[str]:
    """The paths at which a tile may be: the partial one, then the full one that replaces it."""
    groups = f"{index:03}" if index < 1000 else f"x{index // 1000:03}/{index % 1000:03}"
    if index >= 1_000_000:
        groups = f"x{index // 1_000_000:03}/x{index // 1000 % 1000:03}/{index % 1000:03}"
    full = f"bitacora/tile/{level}/{groups}"
    return [*([f"{full}.p/{width}"] if width < 256 else []), full]


def take_tile(tree: Tree, level: object, index: int, width: int) -> tuple[str, bytes]:
    for path in tile_paths(level, index, width):
        with contextlib.suppress(Absent):
            return path, tree.read(path, 256 * 65537 + 1)
    raise Bad(f"falta {tile_paths(level, index, width)[0]}")


def read_entries(tree: Tree, size: int) -> list[bytes]:
    # A bundle holds up to 256 entries, each after its length in two bytes.
    entries = []
    for index in range(-(-size // 256)):
        width = min(256, size - index * 256)
        path, data = take_tile(tree, "entries", index, width)
        there, place = [], 0
        while place < len(data):
            length = int.from_bytes(data[place : place + 2], "big")
            there.append(data[place + 2 : place + 2 + length])
            place += 2 + length
        if place != len(data) or len(there) != (width if path.endswith(f".p/{width}") else 256):
            raise Bad(f"{path}: no son las entradas que debe haber")
        entries += there[:width]
    return entries


def judge_tiles(tree: Tree, log: Log) -> None:
    # Each tile holds the hashes of every eighth level of the tree, 256 in a full one.
    for level in range(0, len(log.levels), 8):
        hashes = log.levels[level]
        for index in range(-(-len(hashes) // 256)):
            mine = b"".join(hashes[index * 256 : index * 256 + 256])
            path, data = take_tile(tree, level // 8, index, len(mine) // 32)
            exact = 8192 if path.endswith(tile_paths(level // 8, index, 256)[0]) else len(mine)
            if data[: len(mine)] != mine or len(data) != exact:
                raise Bad(f"{path}: no son las huellas que dan las entradas")


def read_leaf(entry: bytes, where: str) -> Json:
    leaf = parse(entry + b"\n", where)
    shape = LEAVES.get(str(leaf.get("tipo"))) if isinstance(leaf, dict) else None
    if shape is None:
        raise Bad(f"{where}: no es una hoja de las que hay")
    fit(leaf, {"tipo": str, "numero": int, **shape}, where)
    held: Json = leaf
    return held


def read_leaves(log: Log, entries: list[bytes], head: Note, report: Report) -> bool:
    """Read every leaf into the log's tables, in its form and at its place; check each device's chain of numbers."""
    links: dict[str, str] = {}
    report.did("EVI-02", len(entries))
    report.did("EVI-06", 0)
    for number, entry in enumerate(entries):
        where = f"hoja {number}"
        try:
            leaf = read_leaf(entry, where)
        except Bad as problem:
            report.need(None, "EVI-02", problem)
            return False
        right = leaf["numero"] == number and (leaf["tipo"] == "inicio") == (not number)
        report.need(right, "EVI-02", f"{where}: no es la que va en ese lugar")
        match leaf:
            # Each image leaf names the digest of the device's leaf before it: a dropped image breaks the chain.
            case {"tipo": "imagen", "sha256": digest, "dispositivo": device, "secuencia": sent}:
                log.images.setdefault(digest, number)
                numbers = log.devices.setdefault(device, set())
                chained = leaf["anterior"] == links.get(device) and sent not in numbers
                report.need(chained, "EVI-06", f"{where}: rompe la cadena de envíos de {device}")
                numbers.add(sent)
                links[device] = hashlib.sha256(entry).hexdigest()
            case {"tipo": "derivada", "sha256": web, "imagen": digest, "acta": clave}:
                log.derived.setdefault(web, digest)
                log.stickers.setdefault(digest, clave or "")
            case {"tipo": kind, "compromiso": given}:
                log.committed[number] = kind, given
            case {"tipo": "perdida", "dispositivo": device, "numeros": text}:
                for first, _, last in (each.partition("-") for each in text.split(",")):
                    log.lost[device].append((int(first), int(last or first)))
                report.facts.append(
                    f"Dispositivo {device}: se declararon perdidos los envíos {text} ({leaf['motivo']})"
                )
            case {"tipo": "version", "contenido": digest}:
                log.rows.setdefault(digest, number)
            case {"tipo": "corte", "corte": corte, "sha256sums": digest}:
                report.need(corte not in log.cortes, "EVI-03", f"{where}: otra vez el corte {corte}")
                log.cortes.setdefault(corte, (number, digest))
                log.hours.setdefault(corte, leaf["fecha_hora"])
            case {"tipo": "incidente", "asunto": asunto} if asunto.startswith("image:"):
                log.aside.add(tuple([*asunto.split(":"), ""][1:3]))
            case {"tipo": "inicio", "clave": key}:
                log.start = leaf
                with contextlib.suppress(Bad, Unread):
                    log.signers.append(read_key(key, 1))
            case {"tipo": "rotacion", "de": "bitacora", "nombre": name, "clave": public}:
                log.rotated = key_named(name, bytes.fromhex(public))
                log.signers.append(log.rotated)
            case {"tipo": "cierre" | "software" | "cero" | "acto"}:
                log.closed = log.closed or leaf["tipo"] == "cierre"
                log.ceremonies.append((number, leaf))
    # The key that the log passed to must sign from then on.
    if log.rotated is not None:
        signed = False
        with contextlib.suppress(Bad):
            signed = head.signed(log.rotated)
        report.need(signed, "AUT-11", f"{head.where}: no lo firmó la llave a la que pasó la bitácora")
    return True


def judge_kept(log: Log, kept: Note, report: Report) -> None:
    signed = False
    with contextlib.suppress(Bad):
        signed = any(kept.signed(key) for key in log.signers)
    if not signed:
        report.unable([KEPT], f"{kept.where}: no lo firmó la llave de esta bitácora")
        return
    grown = kept.size <= log.size and log.root(kept.size) == kept.root
    report.need(grown, KEPT, "la bitácora no continúa el punto de control que se guardó: es otra historia")


def judge_log(tree: Tree, log: Log, cortes: list[Corte], images: Images, rows: Versions, report: Report) -> None:
    """Look up in the log everything that the tree shows."""
    last, late = cortes[-1], "{}: todavía no está en la bitácora; vuelva a comprobar en unos segundos"
    judge_start(tree, log, last, report)
    shown = {corte.number: corte for corte in cortes}
    # A corte is published before its leaf, so the last one may be missing for a moment.
    for number, corte in shown.items():
        if number in log.cortes or corte is not last:
            said = log.cortes.get(number, (0, "nada"))[1]
            report.need(said == corte.digest, "EVI-03", f"{corte.folder}: la bitácora dice {said}, no {corte.digest}")
        else:
            report.unable(["EVI-03"], late.format(corte.folder))
    for number in sorted(log.cortes.keys() - shown.keys()):
        if log.hours.get(number) and report.is_new(log.hours[number]):
            continue  # it is on record, and comes out while this reads
        if number > last.number + 1 or log.closed:
            report.need(None, "EVI-03", f"falta el corte {number}, que está en la bitácora")
        else:
            report.unable(["EVI-03"], f"el corte {number} está en la bitácora y todavía no en el árbol")
    judge_gaps(log, last, report)
    for check in ("EVI-04", "EVI-05", "EVI-07"):
        report.did(check, 0)
    for number in sorted(log.cortes.keys() & shown.keys()):
        corte = shown[number]
        wanted = {"tipo": "corte", "corte": number, "sha256sums": corte.digest}
        judge_proof(tree, log, f"{corte.folder}/SHA256SUMS.tlog-proof", wanted, report, may_lack=corte is last)
    judge_ceremonies(log, last, report)
    # An image, or the image that it was made from, has a leaf of its arrival.
    for digest in sorted(images):
        there = log.derived.get(digest, digest) in log.images
        if there or shown.keys() <= log.cortes.keys():
            report.need(there, "EVI-04", f"la imagen {digest} no está en la bitácora")
        else:
            report.unable(["EVI-04"], late.format(f"la imagen {digest}"))
        if digest in log.images:
            where = f"bitacora/acuses/{digest[:2]}/{digest}.tlog-proof"
            judge_proof(tree, log, where, {"sha256": digest}, report, may_lack=False)
    # The version behind a row must be in the log before the corte that showed it first.
    for digest, row in rows.items():
        if row.corte in log.cortes:
            before = log.rows.get(digest, log.size) <= log.cortes[row.corte][0]
            report.need(
                before, "EVI-05", f"cortes/{row.corte:04}: la fila de {row.clave} no estaba antes en la bitácora"
            )
        else:
            report.unable(["EVI-05"], late.format(f"cortes/{row.corte:04}"))
    # An image fuera de catálogo stands as a row of its own, under its digest.
    for digest, number in images.outside.items():
        whole = log.derived.get(digest, digest)
        rows.setdefault(f"- {whole}", Shown(whole, number, "-", b"", frozenset(), "", whole))
    judge_openings(tree, log, last, shown, rows, report)


def judge_gaps(log: Log, last: Corte, report: Report) -> None:
    """The numbers of each device have no gap. During the night a gap is told: its image may be on its way."""
    for device, numbers in sorted(log.devices.items()):
        gap, highest = min(numbers), max(numbers)
        # At most one turn for each number, incident and declaration: the first number that none has ends the search.
        while gap in numbers or (device, str(gap)) in log.aside or any(a <= gap <= b for a, b in log.lost[device]):
            gap = max((b for a, b in log.lost[device] if a <= gap <= b), default=gap) + 1
        if gap < highest:
            sentence = f"falta el envío {gap} del dispositivo {device}"
            if is_over(log, last):
                report.need(None, "EVI-06", f"{sentence}, y nadie declaró que se perdió")
            else:
                report.facts.append(f"{sentence}: puede venir en camino")


def is_over(log: Log, last: Corte) -> bool:
    """Whether the night is closed, in the log and in the tree: nothing more will come."""
    return bool(log.closed and last.manifest is not None and last.manifest["fase"] == "final")


def judge_start(tree: Tree, log: Log, last: Corte, report: Report) -> None:
    """The log is of this election: its first leaf repeats values of the last manifest."""
    if last.manifest is None or not log.start:
        report.unable(["EVI-09"], "sin manifiesto, o sin su primera hoja, no se sabe de qué es la bitácora")
        return
    try:
        policy = tree.read("bitacora/politica.txt", MEGA).decode("utf-8", "replace")
        origin = tree.read("bitacora/checkpoint", MEGA).decode("utf-8", "replace").split("\n")[0]
    except (Bad, Unread) as problem:
        report.unable(["EVI-09"], problem)
        return
    rules = {code: held["sha256"] for code, held in last.manifest["reglas"].items()}
    expected: Json = {
        "origen": origin,
        "simulacro": last.manifest["simulacro"],
        "catalogo": last.manifest["catalogo"],
        "reglas": hashlib.sha256(canonical(rules)).hexdigest(),
        "politica": hashlib.sha256(policy.encode()).hexdigest(),
        "declaracion": (last.manifest.get("declaracion") or {}).get("sha256"),
    }
    for key, value in expected.items():
        found = log.start.get(key)
        report.need(found == value, "EVI-09", f"hoja 0: {key} es {found}; el árbol dice {value}")
    rehearsed = origin.endswith("/simulacro") == last.manifest["simulacro"]
    report.need(rehearsed, "EVI-09", "el origen de la bitácora no dice lo mismo que el árbol sobre el simulacro")


def judge_ceremonies(log: Log, last: Corte, report: Report) -> None:
    """Each ceremony in its place: zero before every corte, close after all, each act with the corte that it names."""
    final = last.manifest is not None and last.manifest["fase"] == "final" and last.number in log.cortes
    if not log.ceremonies and not final:
        report.not_asked["EVI-10"] = "la bitácora no cuenta ninguna ceremonia"
        return
    report.need(log.closed or not final, "EVI-10", "la bitácora no tiene la hoja de cierre del corte final")
    places = [place for place, _ in log.cortes.values()]
    told: set[str] = set()
    for number, leaf in log.ceremonies:
        kind = leaf["tipo"]
        name = f"acto {leaf['momento']}" if kind == "acto" else kind
        right = kind == "software" or name not in told
        if kind == "cero":
            right = right and not any(place < number for place in places)
            right = right and (leaf["software"] is None or leaf["software"] in told)
        elif kind in {"cierre", "acto"}:
            opening = leaf.get("momento") == "inicio"
            right = right and (kind == "acto" or not any(place > number for place in places))
            right = right and (kind == "cierre" or ("cero" if opening else "cierre") in told)
            of = 0 if opening else max(log.cortes, default=-1)
            place, digest = log.cortes.get(of, (-1, ""))
            right = right and (leaf["corte"], leaf["sha256sums"]) == (of, digest) and place <= number
        report.need(right, "EVI-10", f"hoja {number}, {name}: no es lo que va en ese lugar")
        told |= {name, *([leaf["lista"]] if kind == "software" else [])}


def judge_proof(tree: Tree, log: Log, where: str, wanted: Json, report: Report, *, may_lack: bool) -> None:
    """A tlog-proof: its leaf is the wanted one, at its index, under a checkpoint of this log."""
    try:
        data = tree.read(where, MEGA)
    except (Bad, Unread) as problem:
        if not (may_lack and isinstance(problem, Absent)):
            report.unable(["EVI-07"], f"{problem}, que puede venir después")
        return
    with report.step("EVI-07"):
        leaf, note, reached = read_proof(data, where)
        held = read_leaf(leaf, where)
        # Many proofs rest on one checkpoint, so it is judged once. Of a later tree than ours the root is not known.
        if note.data not in log.good:
            ours = any(note.signed(key) for key in log.signers)
            log.good[note.data] = "" if ours and (note.size > log.size or log.root(note.size) == note.root) else "otra"
        right = reached == note.root and not log.good[note.data] and wanted.items() <= held.items()
        report.need(right, "EVI-07", f"{where}: no es la prueba de lo suyo en esta bitácora")


def read_proof(data: bytes, where: str) -> tuple[bytes, Note, bytes]:
    """A tlog-proof: its leaf, its checkpoint, and the root that its hashes give (RFC 9162 §2.1.3.2)."""
    head, _, signed = data.decode().partition("\n\n")
    first, extra, index, *hashes = [*head.split("\n"), "", ""]
    if first != "c2sp.org/tlog-proof@v1" or not extra.startswith("extra ") or not index.startswith("index "):
        raise Bad(f"{where}: no es una prueba")
    leaf, note = plain64(extra.removeprefix("extra ")), Note(signed.encode(), where)
    raws = [plain64(each) for each in hashes[:-2]]
    if not decimal(index[6:]) or int(index[6:]) >= note.size or len(raws) > 63 or any(len(raw) != 32 for raw in raws):
        raise Bad(f"{where}: no es una prueba")
    # Climb from the leaf to the root; the sibling is on the left of a right child and of a last node.
    step, last, found = int(index[6:]), note.size - 1, leaf_hash(leaf)
    for each in raws:
        if not last:
            raise Bad(f"{where}: a la prueba le sobran hashes")
        if step & 1 or step == last:
            found = parent(each, found)
            while not step & 1 and step:
                step, last = step >> 1, last >> 1
        else:
            found = parent(found, each)
        step, last = step >> 1, last >> 1
    if last:
        raise Bad(f"{where}: a la prueba le faltan hashes")
    return leaf, note, found


def follow(tree: Tree, logs: list[Key]) -> tuple[list[Key], list[tuple[str, Key, Note]]]:
    """Follow a log that changed its key, from the reader's key to the last one; old and new key sign each rotation."""
    told = []
    for number in range(1, 1001):
        where = f"bitacora/rotaciones/{number:04}.tlog-proof"
        try:
            data = tree.read(where, MEGA)
        except Absent:
            break
        except Bad as problem:
            raise Unread(str(problem)) from None
        leaf, note, reached = read_proof(data, where)
        held = read_leaf(leaf, where)
        if (held["tipo"], held.get("de")) != ("rotacion", "bitacora"):
            raise Bad(f"{where}: no es una rotación de la bitácora")
        told.append((where, key_named(held["nombre"], bytes.fromhex(held["clave"])), note, reached))
    start = max((place for place, each in enumerate(told, 1) if each[1] in logs), default=0)
    before = logs
    for where, key, note, reached in told[start:]:
        named = [each for each in before if each[0] == key[0]]
        if not any(note.signed(each) for each in named) or not note.signed(key):
            raise Bad(f"{where}: no la firmaron la llave anterior y la nueva")
        if reached != note.root or note.origin != key[0]:
            raise Bad(f"{where}: la rotación no está en la bitácora que la firmó")
        before = [key]
    followed = [(where, key, note) for where, key, note, _ in told[start:]]
    return [*before, *(each for each in logs if each[0] != before[0][0])] if followed else logs, followed


def key_named(name: str, public: bytes) -> Key:
    return name, hashlib.sha256(f"{name}\n\x01".encode() + public).digest()[:4], public


def judge_openings(tree: Tree, log: Log, last: Corte, shown: dict[int, Corte], rows: Versions, report: Report) -> None:
    """The statements that each corte opens are the committed ones, each once, and every row stands on them."""
    for check in ("EVI-08", "EVI-12", "EVI-13"):
        report.did(check, 0)
    firsts: defaultdict[int, dict[tuple[str, str], Shown]] = defaultdict(dict)
    for row in rows.values():
        firsts[row.corte][row.code, row.clave] = row
    stands: defaultdict[tuple[str, str], Stand] = defaultdict(Stand)
    latest: dict[tuple[str, str], Shown] = {}
    opened: set[int] = set()
    for number in sorted(log.cortes.keys() & shown.keys()):
        where, mine = f"bitacora/aperturas/{number:04}.jsonl", firsts[number]
        latest |= mine
        try:
            lines = tree.read(where, GIGA).splitlines()
        except Absent:
            if mine and last.number - number >= GRACE:
                report.need(None, "EVI-13", f"falta {where}")
                report.unable(["EVI-12"], f"falta {where}")
            elif mine and is_over(log, last):
                report.unable(["EVI-12", "EVI-13"], f"falta {where}, que puede venir después de su corte")
            elif mine:
                report.facts.append(f"Todavía no está {where}, que viene después de su corte")
            continue
        except (Bad, Unread) as problem:
            report.unable(["EVI-08", "EVI-12", "EVI-13"], problem)
            continue
        said: defaultdict[tuple[str, str], list[Json]] = defaultdict(list)
        for line in lines:
            with report.step("EVI-08"):
                held = read_opening(line, log, where, report)
                leaf = held["numero"]
                report.need(leaf not in opened, "EVI-13", f"{where}: la hoja {leaf} se abre otra vez")
                early = leaf <= log.cortes[number][0]
                report.need(early, "EVI-12", f"{where}: la hoja {leaf} es posterior a la del corte")
                opened.add(leaf)
                outside = held["acta"] == "-" and held["clase"] == "identidad"
                said[("-", held["imagen"]) if outside else (held["eleccion"], held["acta"])].append(held)
        for acta in {*mine, *said}:
            fault = stands[acta].hear(said.get(acta, []))
            # People may say again what a row shows already: it stays as it is, and stands on both.
            if acta in latest:
                if log.stickers.get(latest[acta].image) == acta[1]:
                    stands[acta].images.add(latest[acta].image)
                fault = fault or stands[acta].fault_of(latest[acta])
                report.need(not fault, "EVI-12", f"{where}: la fila de {acta[1]} de {acta[0]} no se sostiene: {fault}")
            else:
                report.need(None, "EVI-13", f"{where}: abre lo de {acta[1]} de {acta[0]}, que ese corte no mostró")


def read_opening(line: bytes, log: Log, where: str, report: Report) -> Json:
    """One statement, compared with the commitment in its leaf. Adds its kind, and what it says of a row."""
    held = parse(line + b"\n", where)
    number = held.get("numero") if isinstance(held, dict) else None
    kind, given = log.committed.get(number if type(number) is int else -1, ("", ""))
    if not kind:
        raise Bad(f"{where}: la hoja {number} no es de las que se abren")
    shape, name, _ = OPENINGS[kind]
    fit(held, shape, where)
    plain = {key: value for key, value in held.items() if key not in {"numero", "sal"}}
    found = hashlib.sha256(bytes.fromhex(held["sal"]) + canonical(plain)).hexdigest()
    report.need(found == given, "EVI-08", f"{where}: lo de la hoja {number} es otra cosa")
    told: Json = held | {"clase": kind, "dice": held[name]}
    return told


class Stand:
    """What the people who typed an acta have said of it up to a corte."""

    def __init__(self) -> None:
        self.ronda, self.typed = 0, b""
        self.declared: set[object] = set()
        self.images: set[object] = set()
        self.named: set[object] = set()

    def hear(self, said: list[Json]) -> str:
        """Take in the statements that a corte opens about the acta; their fault, or an empty text."""
        for kind, known in (("sin_acta", self.declared), ("cotejo", self.declared), ("identidad", self.images)):
            people: defaultdict[object, set[str]] = defaultdict(set)
            for each in said:
                if each["clase"] == kind:
                    people[each["dice"]].add(each["persona"])
            known |= {word for word, some in people.items() if len(some) >= OPENINGS[kind][2]}
        self.named = {*people}
        alone = not self.named <= self.images or any(len(some) < 2 for some in people.values())
        return self.hear_round(said) or ("una sola persona dijo de qué acta es la imagen" if alone else "")

    def hear_round(self, said: list[Json]) -> str:
        captures = sorted((each for each in said if each["clase"] == "captura"), key=lambda each: each["dice"])
        choices = [each for each in said if each["clase"] == "resolucion"]
        if not captures and not choices:
            return ""
        # A round has its captures 1 to 3, each once, each of another person.
        authors, rondas = {each["persona"] for each in captures}, {each["ronda"] for each in (*captures, *choices)}
        ordinals = [each["dice"] for each in captures]
        if ordinals not in ([1, 2], [1, 2, 3]) or len(authors) < len(captures):
            return "no están las capturas de personas distintas, cada una una vez"
        if len(rondas) > 1 or max(rondas) <= self.ronda:
            return "las capturas no son de una ronda nueva"
        typed = [digest_of_capture(each) for each in captures]
        agreed = b""
        if len(typed) == 2 or typed[0] == typed[1]:
            agreed = typed[0] if len(typed) == 2 and typed[0] == typed[1] and not choices else b""
        elif typed[2] in typed[:2]:
            agreed = typed[2] if not choices else b""
        else:
            # All three differ: somebody who typed none of them chose one.
            chosen, others = {each["dice"] for each in choices}, {each["persona"] for each in choices} - authors
            if len(chosen) == 1 and len(others) >= OPENINGS["resolucion"][2]:
                agreed = dict(zip(ordinals, typed, strict=True)).get(chosen.pop(), b"")
        if not agreed:
            return "sus capturas difieren y nadie más eligió entre ellas"
        self.ronda, self.typed = max(rondas), agreed
        return ""

    def fault_of(self, row: Shown) -> str:
        if self.named - {row.image}:
            return "de otra imagen dijeron que es de esa acta"
        if row.image and row.image not in self.images:
            return "ni su etiqueta ni dos personas dicen que la imagen es de esa acta"
        if not row.typed:
            said = row.image or row.criteria & self.declared
            return "" if said else "no declararon dos personas que esa acta no llega"
        if row.typed != self.typed:
            return "sus cantidades no son las que dos personas capturaron"
        needed = COTEJOS.get(row.cotejada)
        return "nadie declaró su cotejo" if needed is not None and not needed & self.declared else ""


def digest_of_capture(held: Json) -> bytes:
    """What a person typed, as the official file shows it. A number that contradicts its mark gives no legal cell."""
    numbers, marks = held["numeros"], held["marcas"]
    if len(numbers) != len(marks):
        return digest_of_cells([])
    cells = []
    for number, mark in zip(numbers, marks, strict=True):
        legal = (mark == "N") == (number is not None)
        cells.append((str(number) if mark == "N" else UNREAD.get(mark, "")) if legal else "")
    return digest_of_cells(cells)


def judge_log_files(tree: Tree, log: Log, report: Report) -> None:
    """bitacora/ holds the files of a log and no other. Files of leaves that came meanwhile are known too."""
    size, images, cortes = log.size, {*log.images}, {*log.cortes}

    def known(inside: str, kind: str) -> bool:
        head, _, rest = inside.partition("/")
        if kind == FOLDER:
            beside = head in {"acuses", "aperturas", "rotaciones", ".tmp", ".acuses"} and "/" not in rest
            return head == "tile" or beside
        match head:
            case "tile":
                found = re.fullmatch(r"tile/(entries|\d{1,2})/((?:x\d{3}/)*\d{3})(?:\.p/(\d{1,3}))?", inside, re.ASCII)
                if found is None:
                    return False
                level, index, width = found[1], int(re.sub("[x/]", "", found[2])), int(found[3] or 256)
                there = (size >> (8 * (0 if level == "entries" else int(level)))) - index * 256 > 0
                named = level if level == "entries" else int(level)
                return there and width > 0 and f"bitacora/{inside}" in tile_paths(named, index, width)
            case "acuses":
                digest = rest[3:].removesuffix(".tlog-proof")
                return inside == f"acuses/{digest[:2]}/{digest}.tlog-proof" and digest in images
            case "rotaciones":
                return re.fullmatch(r"\d{4}\.tlog-proof", rest, re.ASCII) is not None
            case "aperturas":
                return rest in {f"{number:04}.jsonl" for number in cortes}
        return inside in {"checkpoint", "politica.txt"}

    folders, strange = ["bitacora"], list[tuple[str, str]]()
    while folders:
        folder = folders.pop()
        for name, kind in entries(tree, folder, report).items():
            path = f"{folder}/{name}"
            right = known(path.removeprefix("bitacora/"), kind)
            if right or kind in {LINK, OTHER}:
                judge_entry(path, kind, "COM-08", right, report, wanted=kind)
            else:
                strange.append((path, kind))
            if kind == FOLDER and right and not name.startswith("."):
                folders.append(path)
    # The sequencer may have added leaves, and their files, since the log was read: the strange ones are judged after.
    with contextlib.suppress(Bad, Unread, OSError, ValueError, LookupError, TypeError):
        now = Note(tree.read("bitacora/checkpoint", MEGA), "").size if strange else 0
        for entry in read_entries(tree, now)[size:] if now > size else ():
            leaf = read_leaf(entry, "")
            images |= {leaf["sha256"]} if leaf["tipo"] == "imagen" else set()
            cortes |= {leaf["corte"]} if leaf["tipo"] == "corte" else set()
        size = max(size, now)
    for path, kind in strange:
        judge_entry(path, kind, "COM-08", known(path.removeprefix("bitacora/"), kind), report, wanted=kind)


# --- openssl ----------------------------------------------------------------------------------------------------------


def openssl(words: str, **files: bytes) -> tuple[int, str, bytes]:
    """Run openssl in a folder with those files: exit code, output, and the bytes that it wrote into «salida»."""
    with tempfile.TemporaryDirectory(prefix="verificador-") as folder:
        for name, content in files.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
        try:
            done = subprocess.run(
                ["openssl", *words.split()], cwd=folder, env=environment, capture_output=True, timeout=60, check=False
            )
        except FileNotFoundError:
            raise Unread("falta el programa openssl") from None
        except subprocess.TimeoutExpired:
            raise Unread("openssl tardó demasiado") from None
        written = b""
        with contextlib.suppress(FileNotFoundError), open(os.path.join(folder, "salida"), "rb") as out:
            written = out.read()
        return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace"), written


def judge_seals(tree: Tree, corte: Corte, before: Corte | None, trust: "Trust", report: Report) -> None:
    """Judge the files beside a SHA256SUMS with openssl, each at the hour that it states."""
    beside: dict[str, bytes] = {}
    if trust.ca and (not corte.content or corte.manifest is None):
        report.unable(SEALS, f"{corte.folder}: sin SHA256SUMS o sin manifiesto no hay nada que sellar")
        return
    # Without an authority, only note whether there are seals; with one, read them all.
    for name, check in dict(zip(BESIDE[1:], ("AUT-01", "AUT-02", "AUT-03", "AUT-04", "AUT-04"), strict=True)).items():
        where = f"{corte.folder}/SHA256SUMS.{name}"
        try:
            if not trust.ca:
                report.sealed = report.sealed or tree.exists(where)
            else:
                beside[name] = tree.read(where, MEGA)
        except Absent:
            pass
        except Bad as problem:
            report.need(None, check, problem)
        except Unread as problem:
            report.unable(SEALS if trust.ca else [check], problem)
            if trust.ca:
                return
    if not trust.ca:
        return
    simulacro, stamps = corte.manifest["simulacro"], [name for name in BESIDE[4:] if name in beside]
    if simulacro:
        report.not_asked["AUT-06"] = "es un simulacro"
    # The time stamps first: the earliest is the moment at which the certificates are judged too.
    good: list[tuple[str, datetime, timedelta]] = []
    for name in stamps if trust.tsa_ca else ():
        with report.step("AUT-04"):
            good.append(judge_stamp(beside[name], corte, f"{corte.folder}/SHA256SUMS.{name}", trust, report))
    if stamps and not trust.tsa_ca:
        report.unable(["AUT-04", "AUT-05"], f"{corte.folder}: no se dijo en qué autoridad de tiempo se confía")
    elif trust.tsa_ca and not stamps:
        report.unable(["AUT-04"], f"{corte.folder}: no hay ningún sello de tiempo todavía")
    proved = min((moment for _, moment, _ in good), default=None)
    sealed: list[tuple[str, datetime]] = []
    made, is_rsa = None, False
    report.need("p7s" in beside, "AUT-01", f"falta {corte.folder}/SHA256SUMS.p7s, el sello de la institución")
    if "firma.p7s" not in beside:
        report.not_asked["AUT-02"] = "no hay firma de una persona"
    for name, check in (("p7s", "AUT-01"), ("firma.p7s", "AUT-02")):
        where = f"{corte.folder}/SHA256SUMS.{name}"
        if name in beside:
            with report.step(check):
                moment, said = judge_cms(beside[name], corte, where, trust, proved)
                report.did(check)
                sealed.append((where, moment))
                judge_development(said, where, simulacro, report)
                if name == "p7s":
                    made, is_rsa = moment, "rsaEncryption" in said
    where = f"{corte.folder}/SHA256SUMS.sello"
    if "sello" in beside:
        with report.step("AUT-03"):
            sealed.append((where, judge_sello(beside["sello"], corte, where, trust, proved, report)))
    # An RSA key always makes both forms of the seal: one alone means that the other was taken away.
    elif made is None:
        report.unable(["AUT-03"], f"{where}: sin un sello bueno no se sabe si debía estar")
    elif is_rsa:
        report.need(None, "AUT-03", f"falta {where}, que va con todo sello RSA")
    else:
        report.not_asked["AUT-03"] = "la llave de la institución no es RSA"
    # No hour before one that it must follow: corte, seal, stamp; and the seal of the corte before.
    least, now = at(corte.manifest["fecha_hora"]), datetime.now(UTC) + TOLERANCE
    for where, moment in [*sealed, *((where, moment) for where, moment, _ in good)]:
        report.need(moment <= now, "AUT-05", f"{where}: su hora todavía no llega")
        report.need(moment + TOLERANCE >= least, "AUT-05", f"{where}: su hora es anterior a la del corte")
    for where, moment, slack in good:
        right = made is None or moment + TOLERANCE + slack >= made
        report.need(right, "AUT-05", f"{where}: su hora es anterior a la del sello")
    corte.sealed_at, earlier = made, before.sealed_at if before is not None else None
    if made is not None and earlier is not None:
        right = made + TOLERANCE >= earlier
        report.need(right, "AUT-05", f"{corte.folder}: su sello es anterior al del corte anterior")


def judge_stamp(
    stamp: bytes, corte: Corte, where: str, trust: "Trust", report: Report
) -> tuple[str, datetime, timedelta]:
    """A time stamp of this SHA256SUMS: path, hour, and how far its clock may be off."""
    said = openssl("ts -reply -in sello -text", sello=stamp)[1]
    refuse_tail(stamp, where)
    moment = openssl_hour(re.search(r"Time stamp: ([^\n]*)", said), where)
    exact = re.search(r"Accuracy: (?:0x(\w+)|unspecified) seconds, (?:0x(\w+)|unspecified) millis", said)
    slack = timedelta(seconds=int(exact[1] or "0", 16), milliseconds=int(exact[2] or "0", 16)) if exact else timedelta()
    words = f"ts -verify -in sello -data sumas -CAfile autoridad -attime {int(moment.timestamp())}"
    code, said, _ = openssl(words, sello=stamp, sumas=corte.content, autoridad=trust.tsa_ca)
    if code:
        raise Bad(f"{where}: {reason(said)}")
    report.did("AUT-04")
    token = openssl("ts -reply -in sello -token_out -out salida", sello=stamp)[2]
    said = openssl("pkcs7 -inform DER -in sello -print_certs -noout", sello=token)[1]
    judge_development(said, where, corte.manifest["simulacro"], report)
    return where, moment, slack


def judge_cms(seal: bytes, corte: Corte, where: str, trust: "Trust", proved: datetime | None) -> tuple[datetime, str]:
    """A seal over this SHA256SUMS, good at its own hour and at the one that a stamp proves: hour and certificate."""
    said = openssl("cms -cmsout -print -noout -inform DER -in sello", sello=seal)[1]
    refuse_tail(seal, where)
    moment = openssl_hour(re.search(r"signingTime.*?(?:UTCTIME|GENERALIZEDTIME):([^\n]*)", said, re.DOTALL), where)
    signer = b""
    for hour in (moment, *([proved] if proved else [])):
        words = "cms -verify -cades -binary -inform DER -in sello -content sumas -CAfile autoridad -no-CApath"
        words += f" -no-CAstore -purpose smimesign -attime {int(hour.timestamp())} -signer salida -out nada"
        code, said, signer = openssl(words, sello=seal, sumas=corte.content, autoridad=trust.ca)
        if code:
            raise Bad(f"{where}: {reason(said)}")
    return moment, openssl("x509 -noout -text -in quien", quien=signer)[1]


SELLO = """\
SELLO DIGITAL DE LA LISTA DE HUELLAS (SHA256SUMS) DE UN CORTE

Firma: {name}
Número de certificado: {number}
Fecha y hora: {hour}
Huella SHA-256 de SHA256SUMS: {digest}

Cadena original:
||1.0|SHA256SUMS|{digest}|{hour}|{number}|{name}||

Sello digital (RSA-SHA256, en base64):
{signature}

Certificado de quien firma:
{pem}
Cómo comprobarlo, en la carpeta del corte, con openssl y nada más; «autoridad.pem» es el certificado de
la autoridad, que debe obtenerse de ella y no de aquí:

  sha256sum SHA256SUMS
      debe ser la huella de arriba
  grep '^||1.0|' SHA256SUMS.sello | tr -d '\\n' > cadena.txt
  grep -A1 '^Sello digital (' SHA256SUMS.sello | tail -n 1 | openssl base64 -d -A > sello.bin
  openssl x509 -in SHA256SUMS.sello -noout -pubkey > llave.pem
  openssl dgst -sha256 -verify llave.pem -signature sello.bin cadena.txt
      debe responder «Verified OK»
  openssl verify -purpose smimesign -CAfile autoridad.pem -attime $(date -d '{hour}' +%s) SHA256SUMS.sello
      debe responder «OK»: el certificado es de la autoridad y valía a esa hora
  openssl x509 -in SHA256SUMS.sello -noout -subject -serial -dates
      debe decir quién firma
"""
"""The whole page. Its words tell how to check it, so no word may be changed."""


def judge_sello(
    raw: bytes, corte: Corte, where: str, trust: "Trust", proved: datetime | None, report: Report
) -> datetime:
    """The page of Mexican official documents: its string, signature and certificate, and the words around them."""
    page = raw.decode()
    strings = re.findall(r"^\|\|1\.0\|SHA256SUMS\|(.*?)\|(.*?)\|(.*?)\|(.*?)\|\|$", page, re.MULTILINE)
    signature = re.findall(r"^Sello digital \(RSA-SHA256, en base64\):\n(\S+)$", page, re.MULTILINE)
    certificate = re.findall(r"-----BEGIN CERTIFICATE-----[\w+/=\s]+-----END CERTIFICATE-----\n", page)
    if not len(strings) == len(signature) == len(certificate) == 1:
        raise Bad(f"{where}: no es un sello digital con su cadena, su firma y su certificado")
    digest, hour, number, name = strings[0]
    pem = openssl("x509 -in quien -out salida", quien=certificate[0].encode())[2]
    told = {"name": name, "number": number, "hour": hour, "digest": digest}
    # The page is made again from its string: any other word on it is refused.
    if page != SELLO.format(**told, signature=signature[0], pem=pem.decode()) or digest != corte.digest:
        raise Bad(f"{where}: es de otro SHA256SUMS, o dice otra cosa")
    if not re.fullmatch(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d{OFFSET}", hour, re.ASCII):
        raise Bad(f"{where}: su hora no lleva su desfase")
    moment = at(hour)
    key = openssl("x509 -in quien -noout -pubkey -out salida", quien=pem)[2]
    text = f"||1.0|SHA256SUMS|{digest}|{hour}|{number}|{name}||".encode()
    words = "dgst -sha256 -verify llave -signature firma texto"
    code, said, _ = openssl(words, llave=key, firma=plain64(signature[0]), texto=text)
    for when in (moment, *([proved] if proved else [])) if not code else ():
        words = "verify -CAfile autoridad -no-CApath -no-CAstore -purpose smimesign -attime"
        code, said, _ = openssl(f"{words} {int(when.timestamp())} quien", quien=pem, autoridad=trust.ca)
        if code:
            break
    if code:
        raise Bad(f"{where}: {reason(said)}")
    said = openssl("x509 -noout -text -nameopt utf8 -in quien", quien=pem)[1]
    if f"CN={name}" not in said.replace("CN = ", "CN="):
        raise Bad(f"{where}: no firma quien dice")
    report.did("AUT-03")
    judge_development(said, where, corte.manifest["simulacro"], report)
    return moment


def judge_development(said: str, where: str, simulacro: bool, report: Report) -> None:
    if not simulacro:
        right = "SIN VALIDEZ" not in said
        report.need(
            right, "AUT-06", f"{where}: un certificado de desarrollo, sin validez, en lo que no es un simulacro"
        )


def refuse_tail(der: bytes, where: str) -> None:
    """Refuse bytes after the one value of a DER file, which openssl ignores."""
    long = der[1] & 127 if len(der) > 1 and der[1] > 127 else 0
    length = int.from_bytes(der[2 : 2 + long], "big") if long else der[1] if len(der) > 1 else 0
    if len(der) != 2 + long + length:
        raise Bad(f"{where}: cortado, o con algo detrás")


def openssl_hour(found: re.Match[str] | None, where: str) -> datetime:
    """The hour as openssl prints it: «Jun  2 20:00:00 2024 GMT», with or without a fraction of a second."""
    try:
        text = re.sub(r"\.\d+", "", found[1] if found else "").strip()
        return datetime.strptime(text, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    except (TypeError, ValueError):
        raise Bad(f"{where}: no es una firma de openssl, o no dice su hora") from None


def reason(said: str) -> str:
    """The reason of openssl's refusal, in its own words: there are too many to translate."""
    found = re.findall(r"(?:[Vv]erify error:? ?|error \d+ at \d+ depth lookup: ?|:reason=|::)([^\n]+)", said)
    return f"openssl no lo acepta ({printable(found[0] if found else 'sin decir por qué')[:120]})"


# --- the command ------------------------------------------------------------------------------------------------------


class Trust:
    """The keys and authorities that the reader brought; none of them comes from the tree."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.key, self.first_use = asked.log_key, asked.trust_on_first_use
        self.policy, self.checkpoint = take(asked.log_policy), take(asked.checkpoint)
        # What this reader remembers of the tree stands in for what somebody else would give.
        self.held = recall(asked.source) if self.first_use else None
        if self.held is not None:
            self.policy, self.checkpoint = (self.held[key].encode() for key in ("politica", "punto"))
            self.first_use = False
        self.alone = not (asked.log_key or self.policy or asked.ca or self.checkpoint)
        self.ca, self.tsa_ca = take(asked.ca), take(asked.tsa_ca)
        self.given: Json | None = None
        """The policy that was read. A key without a policy file asks for no witness."""
        try:
            if self.policy:
                self.given = read_policy(self.policy)
            if self.key:
                alone: Json = {"witnesses": {}, "groups": {}, "quorum": "none"}
                self.given = (self.given or alone) | {"logs": [read_key(self.key, 1)]}
            if self.checkpoint:
                Note(self.checkpoint, "el punto de control guardado")
        except (Bad, ValueError) as problem:
            raise Unread(f"no se entiende lo que se dio: {problem}") from None


def memory() -> str:
    """The file in which a user remembers the keys of trees; `integrity verify` has the same."""
    above = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(above, "prep", "llaves.json")


def remembered() -> dict[str, Row]:
    try:
        with open(memory(), "rb") as file:
            trees = json.load(file)["arboles"]
        return {name: {key: str(told[key]) for key in ("politica", "punto")} for name, told in trees.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise Unread(f"no se entiende {memory()}, donde se recuerdan las llaves") from None


def name_of(source: str) -> str:
    if "://" in source:
        return source.removesuffix("index.html").removesuffix("index.json").rstrip("/")
    return os.path.realpath(source)


def recall(source: str) -> Row | None:
    return remembered().get(name_of(source))


def remember(source: str, held: Row | None, report: Report) -> None:
    """Keep the policy of the first time, and the checkpoint of now; of a tree with a fault, nothing."""
    try:
        tree = Tree(source)
        policy = held["politica"] if held else tree.read("bitacora/politica.txt", MEGA).decode()
        told = {"politica": policy, "punto": tree.read("bitacora/checkpoint", MEGA).decode()}
    except (Bad, Unread, UnicodeDecodeError):
        return
    content = canonical({"formato": 1, "arboles": {**remembered(), name_of(source): told}}) + b"\n"
    os.makedirs(os.path.dirname(memory()), exist_ok=True)
    fresh = f"{memory()}.{os.getpid()}"
    with open(fresh, "wb") as file:
        file.write(content)
    os.replace(fresh, memory())
    report.facts.append(f"La llave de este árbol se recuerda en {memory()}")


def take(path: str | None) -> bytes:
    if path is None:
        return b""
    try:
        with open(path, "rb") as file:
            content = file.read(MEGA + 1)
    except OSError:
        raise Unread(f"no se puede leer {path}") from None
    if not 0 < len(content) <= MEGA:
        raise Unread(f"{path} está vacío o tiene más de {MEGA} bytes")
    return content


class Parser(argparse.ArgumentParser):
    def format_help(self) -> str:
        return __doc__.partition("\n\nA second")[0] + "\n"

    def error(self, message: str) -> NoReturn:  # noqa: ARG002 - argparse's own sentence is English
        sys.stderr.write("No se entiende la orden.\n\n" + self.format_help())
        raise SystemExit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # the terminal's own
    parser = Parser()
    parser.add_argument("source")
    for name in ("--log-key", "--log-policy", "--checkpoint", "--ca", "--tsa-ca"):
        parser.add_argument(name)
    parser.add_argument("--trust-on-first-use", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.trust_on_first_use and (asked.log_key or asked.log_policy or asked.checkpoint):
        parser.error("--trust-on-first-use")
    try:
        trust = Trust(asked)
        report = verify(asked.source, trust)
        if asked.trust_on_first_use and report.exit_code() != 1:
            remember(asked.source, trust.held, report)
        print(report.as_json() if asked.json else report.as_text())
        return report.exit_code()
    except Unread as problem:
        print(f"? {printable(problem)}.")
    except KeyboardInterrupt:
        print("? Se interrumpió.")
    except Exception as error:  # noqa: BLE001 - never a traceback, and an unexpected error is never a pass
        print(f"? No se pudo comprobar: error inesperado ({type(error).__name__}).")
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
