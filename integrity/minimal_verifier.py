#!/usr/bin/env python3
"""Comprueba lo que publica un PREP con Python y el programa «openssl», y nada más. Un archivo, para leerse entero.

    python3 minimal_verifier.py CARPETA|URL [--log-key LLAVE] [--log-policy ARCHIVO] [--checkpoint ARCHIVO]
                                            [--ca PEM] [--tsa-ca PEM] [--json]

A second opinion: written from the description of the format, sharing no line with the other verifier. Start reading at
`verify`: it tells what is done, in its order, and each step is one function below. Nothing that is published is trusted
before it has been checked; every read has a limit, no link is followed, and what could not be read is *not checked*,
which is not good. Every corte is read whole, row by row; what two cortes say of each acta is kept in memory.

What it does not look at: what HTML pages say (no digest covers them), the cells that no figure depends on (times,
origin), revocation lists, and, over HTTP, whether there are files that nobody announced.
"""

import argparse
import base64
import contextlib
import csv
import hashlib
import http.client
import json
import os
import re
import stat
import struct
import subprocess
import sys
import tempfile
import unicodedata
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

CHECKS = {
    "AUT-1": "El punto de control de la bitácora lleva la firma de su llave y las de los testigos que pide su política",
    "AUT-2": "Cada SHA256SUMS lleva el sello de la institución, y la firma de una persona si la hay (openssl cms)",
    "AUT-3": "El sello en base64 de cada corte es de su SHA256SUMS (openssl dgst)",
    "AUT-4": "Los sellos de tiempo son de su SHA256SUMS (openssl ts)",
    "AUT-5": "Las horas de los sellos siguen a las de los cortes; nada real lleva certificados de desarrollo",
    "COM-1": "Están index.json y todos los cortes, numerados sin huecos desde 0000",
    "COM-2": "Están exactamente los archivos que alguien anuncia: ni uno más, ni enlaces",
    "COM-3": "Cada imagen está listada una vez para su acta, y cada fila enlaza una de las suyas",
    "COM-4": "Las mismas actas en todos los cortes",
    "INT-1": "Cada SHA256SUMS tiene la forma exacta",
    "INT-2": "Cada archivo de cada corte tiene su huella",
    "INT-3": "Los JSON son canónicos y tienen los campos del formato",
    "INT-4": "El nombre de cada imagen es la huella de sus bytes",
    "INT-5": "Cada ZIP contiene los mismos archivos que su corte",
    "CON-1": "Cada corte lleva la huella del anterior",
    "CON-2": "Fases, horas, simulacro, catálogo y reglas se siguen de un corte a otro",
    "CON-3": "index.json señala el último corte",
    "CON-4": "Cada fila tiene su forma, y lo derivado sale de sus votos",
    "CON-5": "Los trece valores del resumen son los que dan las filas",
    "CON-6": "totals.json es lo que dan las filas, por contienda y territorio, con coaliciones distribuidas",
    "CON-7": "Nada publicado cambió ni bajó sin estar entre las correcciones",
    "EVI-1": "Las entradas de la bitácora dan todas sus teselas y la raíz firmada",
    "EVI-2": "Cada hoja es JSON canónico con su número; la primera es de esta elección",
    "EVI-3": "Los cortes de la bitácora son los del árbol",
    "EVI-4": "Cada imagen publicada está en la bitácora, y los envíos de cada dispositivo encadenados",
    "EVI-5": "Cada fila publicada está en la bitácora antes que su corte",
    "EVI-6": "Las pruebas publicadas, de cortes y de imágenes, llevan a la bitácora",
    "EVI-7": "Las capturas abiertas son las que se comprometieron",
    "EVI-8": "La bitácora continúa el punto de control que guardaba quien comprueba",
}
LOG = ("AUT-1", "EVI-1", "EVI-2", "EVI-3", "EVI-4", "EVI-5", "EVI-6", "EVI-7", "EVI-8")
SEALS = ("AUT-2", "AUT-3", "AUT-4", "AUT-5")
ROWS = ("CON-4", "CON-5", "CON-6", "CON-7", "COM-4")
GOOD, WRONG, UNCHECKED, NOT_ASKED = "bien", "mal", "no se pudo comprobar", "no aplica"
KILO, MEGA, GIGA = 1 << 10, 1 << 20, 1 << 30
HEX = re.compile("[0-9a-f]{64}", re.ASCII)
NAME = re.compile(r"(?!\.)[^/\\\x00-\x1f\x7f]{1,200}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?-06:00", re.ASCII)
BESIDE = ("tlog-proof", "p7s", "firma.p7s", "sello", "tsr", "2.tsr")
TOLERANCE = timedelta(seconds=60)


Json = dict[str, Any]
Row = dict[str, str]
Sums = Counter[Any]
Images = defaultdict[str, set[str]]
"""By digest: the claves of its actas, and its extension after a dot."""
Versions = dict[str, tuple[str, int]]
"""By digest of a row: its clave, and the first corte that showed it."""
Key = tuple[str, bytes, bytes]


class Bad(Exception):
    """What is there is not what it must be; one Spanish sentence."""


class Unread(Exception):
    """It could not be read, so that nothing can be said of it; one Spanish sentence."""


class Absent(Bad):
    """There is no such file."""


class Report:
    """What each check compared, what differed, and what could not be checked."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.facts: list[str] = []
        self.compared: Counter[str] = Counter()
        self.wrong: defaultdict[str, list[str]] = defaultdict(list)
        self.unread: defaultdict[str, list[str]] = defaultdict(list)
        self.not_asked: dict[str, str] = {}

    def need(self, right: object, check: str, sentence: object) -> None:
        """One comparison."""
        self.compared[check] += 1
        if not right and len(self.wrong[check]) < 20:
            self.wrong[check].append(printable(sentence))

    @contextlib.contextmanager
    def step(self, *checks: str) -> Iterator[None]:
        """What is wrong inside belongs to the first check; the others then could not be made, and the rest goes on."""
        try:
            yield
        except (Bad, Unread) as problem:
            if isinstance(problem, Bad):
                self.need(None, checks[0], problem)
            for check in checks if isinstance(problem, Unread) else checks[1:]:
                self.unread[check].append(printable(problem))
        except (OSError, ValueError, LookupError, TypeError, MemoryError, RecursionError, AssertionError) as error:
            for check in checks:  # bytes that nobody foresaw: no traceback, and never a pass
                self.unread[check].append(f"no se pudo interpretar lo publicado ({type(error).__name__})")

    def result(self, check: str) -> str:
        if self.wrong[check]:
            return WRONG
        if self.unread[check]:
            return UNCHECKED
        if check in self.not_asked:
            return NOT_ASKED
        return GOOD if self.compared[check] else UNCHECKED

    def exit_code(self) -> int:
        results = {self.result(check) for check in CHECKS}
        return 1 if WRONG in results else 2 if UNCHECKED in results else 0

    def as_json(self) -> str:
        checks = [
            {"id": check, "titulo": title, "resultado": self.result(check), "comparaciones": self.compared[check]}
            | {
                "hallazgos": self.wrong[check],
                "motivos": [*dict.fromkeys(self.unread[check])][:20] or [*self.why(check)],
            }
            for check, title in CHECKS.items()
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
        for check, title in CHECKS.items():
            lines.append(f"{marks[self.result(check)]} {check}  {title}  [{self.compared[check]:,}]")
            for sentence in dict.fromkeys([*self.wrong[check], *self.unread[check], *self.why(check)]):
                lines.append(f"      {sentence}.")
        last = ("✓ Todo lo que se pidió comprobar está bien.", "✗ Hay algo mal.", "? Algo no se pudo comprobar.")
        return "\n".join([*lines, "", last[self.exit_code()]])


def printable(text: object) -> str:
    """On one line and cut: names are written by others."""
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
    except Unread as problem:
        for check in CHECKS:
            report.unread[check].append(printable(problem))
        return report
    index, last = None, -1
    data = b""
    with report.step("COM-1"):
        data = tree.read("index.json", MEGA)
    with report.step("INT-3", "CON-3"):
        index = read_json(data, INDEX, report, "index.json")
    with report.step("COM-1"):
        last = count_cortes(tree, index, report)

    # The log first: what comes out while this reads is not in it yet.
    log = read_log(tree, trust, report)
    before: Corte | None = None
    images: Images = defaultdict(set)
    rows: Versions = {}
    cortes: list[Corte] = []
    for number in range(last + 1):
        corte = read_corte(tree, number, report)
        with report.step("COM-3"):
            read_images(corte, images, report)
        if corte.manifest is not None:
            judge_chain(corte, before, report)
            for election in corte.manifest["elecciones"]:
                with report.step(*ROWS, "COM-3"):
                    judge_election(corte, before, election, images, rows if log else None, report)
            with report.step("INT-3", "CON-6"):
                totals = read_json(corte.read("totals.json", 64 * MEGA), TOTALS, report, f"{corte.folder}/totals.json")
                judge_totals(corte, totals, report)
            with report.step("INT-5"):
                judge_zip(tree, corte, report)
        judge_seals(tree, corte, before, trust, report)
        for handle, _ in corte.files.values():
            handle.close()
        cortes.append(corte)
        if before is not None:
            before.tables = {}
        before = corte
    if before is None:
        return report
    judge_index(index, before, report)
    judge_images(tree, images, report)
    if log is not None:
        judge_log(tree, log, cortes, images, rows, report)
    judge_extra(tree, cortes, images, log, report)
    if before.manifest is not None:
        simulacro = " — ES UN SIMULACRO" if before.manifest["simulacro"] else ""
        report.facts.append(f"Corte {last} ({before.manifest['fase']}), {before.manifest['fecha_hora']}{simulacro}")
    return report


# --- reading ----------------------------------------------------------------------------------------------------------


class Tree:
    """The published files. No path that is asked for comes from what is published without having been checked."""

    def __init__(self, where: str) -> None:
        self.url = ""
        if "://" in where:
            parts = urllib.parse.urlsplit(where)
            if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
                raise Unread("la dirección debe empezar con http:// o https:// y no llevar «?» ni «#»")
            self.url = where.removesuffix("index.html").removesuffix("index.json").rstrip("/") + "/"
            self.opener = urllib.request.build_opener(NoRedirection())
        elif not os.path.isdir(where):
            raise Unread(f"no hay una carpeta en {where}")
        self.root = where

    def take(self, path: str, limit: int, *, keep: bool = True) -> tuple[Any, str, int]:
        """A handle at the file's beginning (None without `keep`), its SHA-256 and its size."""
        hasher, size = hashlib.sha256(), 0
        with contextlib.ExitStack() as stack:
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
        try:
            (self.ask(path, "HEAD") if self.url else open_inside(self.root, path)).close()
        except Bad:
            return False
        return True

    def ask(self, path: str, method: str = "GET") -> Any:
        address = self.url + urllib.parse.quote(path)
        asked = urllib.request.Request(address, method=method, headers={"Accept-Encoding": "identity"})
        try:
            return self.opener.open(asked, timeout=30)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in {404, 410}:
                raise Absent(f"falta {path}") from None
            raise Unread(f"el servidor respondió {error.code} al pedir {path}") from None
        except (OSError, http.client.HTTPException, ValueError):
            raise Unread(f"no se pudo pedir {path} al servidor") from None


class NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Another address is another source; urllib then reports the 30x as it is."""


def open_inside(root: str, path: str) -> Any:
    """An ordinary file of the folder, reached through no symbolic link."""
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    parts = path.split("/")
    try:
        for part in parts:
            kind = os.O_NONBLOCK if part is parts[-1] else os.O_DIRECTORY
            inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | kind, dir_fd=here)
            os.close(here)
            here = inner
        if not stat.S_ISREG(os.fstat(here).st_mode):
            raise Bad(f"{path} no es un archivo ordinario")
        return os.fdopen(os.dup(here), "rb")
    except FileNotFoundError:
        raise Absent(f"falta {path}") from None
    except PermissionError:
        raise Unread(f"no se pudo leer {path}") from None
    except OSError:
        raise Bad(f"{path} es un enlace, o no es un archivo") from None
    finally:
        os.close(here)


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
        text = data.decode()
        value = json.loads(text, object_pairs_hook=once, parse_int=whole, parse_float=refuse, parse_constant=refuse)
        if canonical(value) + b"\n" != data:
            raise Bad(f"{where}: no está en forma canónica")
    except (ValueError, RecursionError):
        raise Bad(f"{where}: no es JSON") from None
    return value


# Fields that came after the first published trees, by name: where one is absent, it says this.
LATER: Json = {
    "excede_alone": False,
    "sin_acta_not_counted": True,
    "votos_por_boleta": 1,
}


def fit(value: Any, shape: Any, where: str) -> bool:
    """Whether a value has a shape: a type, a pattern, [each], {field: shape}, ("any key", shape), or (None, shape)."""
    if isinstance(shape, tuple) and shape[0] is None:
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
    report.compared["INT-3"] += 1
    held: Json = value
    return held


SUMMARY = (
    *("ACTAS_ESPERADAS", "ACTAS_REGISTRADAS", "ACTAS_FUERA_CATALOGO", "ACTAS_CAPTURADAS"),
    *("PORCENTAJE_ACTAS_CAPTURADAS", "ACTAS_CONTABILIZADAS", "PORCENTAJE_ACTAS_CONTABILIZADAS"),
    *("PORCENTAJE_ACTAS_INCONSISTENCIAS", "ACTAS_NO_CONTABILIZADAS", "LISTA_NOMINAL_ACTAS_CONTABILIZADAS"),
    *("TOTAL_VOTOS_C_CS", "TOTAL_VOTOS_S_CS", "PORCENTAJE_PARTICIPACION_CIUDADANA"),
)
CODE = re.compile(r"[^\W_][\w.&-]{0,60}")
MOVING = {
    **{"formato": int, "simulacro": bool, "corte": int, "fase": re.compile("cero|en curso|final")},
    **{"fecha_hora": MOMENT, "siguiente": (None, MOMENT)},
}
INDEX = MOVING | {
    **{"carpeta": str, "sha256sums": HEX},
    "elecciones": [{"codigo": CODE, "titulo": str, "pagina": str}],
}
RULES = {
    **dict.fromkeys(("mixed_without_number_counts", "excede_applies", "partial_beside_all"), bool),
    **{"last_corte_with_especiales": bool, "name": str, "version": int, "texts": ("any key", str)},
    **{"excede_alone": bool, "sin_acta_not_counted": bool},
}
ELECTION = {
    **{"codigo": CODE, "titulo": str, "anio": int, "archivo": NAME, "candidaturas": NAME},
    **{"ambito": re.compile("federal|local"), "nivel": re.compile("pais|entidad|distrito|municipio")},
    "resumen": dict.fromkeys(SUMMARY, str),
    "opciones": [{"posicion": int, "codigo": str, "clase": str, "partidos": [int], "nombre": str}],
    "contiendas": [
        {"id": int, "entidad": int, "territorio": int, "nombre": str, "boleta": [int], "votos_por_boleta": int}
    ],
}
MANIFEST = MOVING | {
    **{"anterior": (None, {"corte": int, "sha256sums": HEX}), "catalogo": HEX},
    "reglas": ("any key", {"nombre": str, "version": int, "sha256": HEX, "contenido": RULES}),
    "elecciones": [ELECTION],
    "correcciones": [{"acta": str, "eleccion": str, "motivo": str}],
    "zip": {"archivo": re.compile(rf"zip/{NAME.pattern}"), "sha256": HEX, "bytes": int},
}
AMOUNTS = {"resumen": dict.fromkeys(SUMMARY, str), "votos": ("any key", int)}
NAMED = {"entidad": int, "id": int, "nombre": str}
PEOPLE = {"id": int, "propietaria": str, "suplente": str, "opciones": [str], "votos": int, "porcentaje": str}
CONTEST = AMOUNTS | NAMED | {"territorio": int, "votos_por_partido": ("any key", int), "candidaturas": [PEOPLE]}
EMPTY: Json = {"votos": {}, "votos_por_partido": {}, "candidaturas": []}
ACTAS = ("esperadas", "capturadas", "contabilizadas", "no_contabilizadas", "sin_acta", "fuera_de_catalogo")
TOTALS = {
    "formato": int,
    "elecciones": (
        "any key",
        AMOUNTS
        | {"actas": dict.fromkeys(ACTAS, int), "votos_por_partido": ("any key", int), "contiendas": [CONTEST]}
        | {"territorios": [AMOUNTS | NAMED | {"tipo": str}]},
    ),
}


# --- cortes -----------------------------------------------------------------------------------------------------------


class Corte:
    """One corte as far as it could be read."""

    def __init__(self, number: int) -> None:
        self.number, self.folder = number, f"cortes/{number:04}"
        self.digest, self.content = "", b""
        self.sums: dict[str, str] = {}
        self.files: dict[str, tuple[Any, int]] = {}
        self.manifest: Any = None
        self.sealed_at: datetime | None = None
        self.tables: dict[str, Table] = {}
        self.captured: defaultdict[str, set[str]] = defaultdict(set)

    def read(self, name: str, limit: int) -> bytes:
        if name not in self.files:
            raise Bad(f"falta {self.folder}/{name}")
        handle, size = self.files[name]
        if size > limit:
            raise Bad(f"{self.folder}/{name} tiene más de {limit} bytes")
        handle.seek(0)
        content: bytes = handle.read(size)
        return content


def count_cortes(tree: Tree, index: Json | None, report: Report) -> int:
    """The number of the last corte there is; all below it must be there."""
    last = -1
    if tree.url:
        stated = index["corte"] if index else -1
        while last < 99_999 and (last < stated or tree.exists(f"cortes/{last + 1:04}/SHA256SUMS")):
            last += 1  # an index that was put back hides no later corte
    else:
        names = os.listdir(os.path.join(tree.root, "cortes"))
        last = max((int(name) for name in names if re.fullmatch(r"\d{4,5}", name, re.ASCII)), default=-1)
    report.need(last >= 0, "COM-1", "no hay ningún corte")
    return last


def read_corte(tree: Tree, number: int, report: Report) -> Corte:
    corte = Corte(number)
    with report.step("COM-1", "INT-1", "INT-2"):
        if not tree.exists(f"{corte.folder}/SHA256SUMS"):
            raise Bad(f"falta {corte.folder}/SHA256SUMS")
        report.compared["COM-1"] += 1
    with report.step("INT-1", "INT-2", "COM-2"):
        corte.content = tree.read(f"{corte.folder}/SHA256SUMS", MEGA)
        corte.digest = hashlib.sha256(corte.content).hexdigest()
        corte.sums = read_sums(corte.content, corte.folder)
        report.compared["INT-1"] += 1
    for name, expected in corte.sums.items():
        with report.step("INT-2"):
            handle, found, size = tree.take(f"{corte.folder}/{name}", 4 * GIGA)
            corte.files[name] = handle, size
            report.need(found == expected, "INT-2", f"{corte.folder}/{name}: su huella es {found}, no {expected}")
    with report.step("INT-3", "CON-1", "CON-2", "INT-5", *ROWS):
        where = f"{corte.folder}/manifest.json"
        manifest = read_json(corte.read("manifest.json", 64 * MEGA), MANIFEST, report, where)
        judge_manifest(manifest, where)
        named = [election[key] for election in manifest["elecciones"] for key in ("archivo", "candidaturas")]
        wanted = {*named, "manifest.json", "LEEME.txt", "totals.json", "images.csv"}
        report.need(wanted == {*corte.sums}, "COM-2", f"{where}: SHA256SUMS no lista los archivos que él nombra")
        corte.manifest = manifest
    return corte


def read_sums(content: bytes, folder: str) -> dict[str, str]:
    """Digest by name: GNU form, sorted, plain names, no two that some file system takes for one."""
    sums: dict[str, str] = {}
    folded: set[str] = set()
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError:
        raise Bad(f"{folder}/SHA256SUMS no es texto UTF-8") from None
    if lines.pop() != "":
        raise Bad(f"{folder}/SHA256SUMS está cortado")
    for line in lines:
        digest, name = line[:64], line[66:]
        alike = unicodedata.normalize("NFC", name).casefold()
        plain = NAME.fullmatch(name) and not name.startswith("SHA256SUMS")
        if not HEX.fullmatch(digest) or line[64:66] != "  " or not plain:
            raise Bad(f"{folder}/SHA256SUMS: «{line}» no es «<64 hexadecimales>  <nombre sin ruta>»")
        if alike in folded or (sums and name < [*sums][-1]):
            raise Bad(f"{folder}/SHA256SUMS: «{name}» está repetido o fuera de orden")
        folded.add(alike)
        sums[name] = digest
    return sums


def judge_manifest(manifest: Json, where: str) -> None:
    """What its shape does not say: that names, options and contests refer to each other without doubt."""
    codes = [election["codigo"] for election in manifest["elecciones"]]
    if not codes or len({code.casefold() for code in codes}) < len(codes) or {*codes} != {*manifest["reglas"]}:
        raise Bad(f"{where}: elecciones repetidas, o sin sus reglas")
    for election in manifest["elecciones"]:
        tail = f"{election['codigo']}_{election['anio']}.csv"
        edo = election["archivo"].removesuffix(f"_{tail}")
        code, year = election["codigo"], election["anio"]
        names = (f"{edo}_{tail}", f"{edo}_{code}_CANDIDATURAS_{year}.csv")
        if not edo or edo != edo_of(manifest) or (election["archivo"], election["candidaturas"]) != names:
            raise Bad(f"{where}: nombres de archivo que no son los de {election['codigo']}")
        options = election["opciones"] = sorted(election["opciones"], key=lambda option: option["posicion"])
        whole = [option["posicion"] for option in options] == [*range(len(options))]
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
        if not whole or not parties or not apart:
            raise Bad(f"{where}: opciones o contiendas de {election['codigo']} repetidas o que no existen")


def edo_of(manifest: Json) -> str:
    first = manifest["elecciones"][0]
    return str(first["archivo"]).removesuffix(f"_{first['codigo']}_{first['anio']}.csv")


def at(moment: str) -> datetime:
    try:
        return datetime.fromisoformat(moment)
    except ValueError:
        raise Bad(f"«{moment}» no es una fecha que exista") from None


def judge_chain(corte: Corte, before: Corte | None, report: Report) -> None:
    """A corte follows the one before in number, digest and time, and changes nothing that a night may not change."""
    ours, where = corte.manifest, f"{corte.folder}/manifest.json"
    expected = None if before is None else {"corte": before.number, "sha256sums": before.digest}
    report.need(ours["anterior"] == expected, "CON-1", f"{where}: «anterior» no es la huella del corte anterior")
    with report.step("CON-2"):

        def need(right: object, sentence: str) -> None:
            report.need(right, "CON-2", f"{where}: {sentence}")

        need(ours["corte"] == corte.number, f"dice ser el corte {ours['corte']}")
        need((ours["fase"] == "cero") == (corte.number == 0), f"la fase «{ours['fase']}» no es la de ese corte")
        need(not ours["siguiente"] or at(ours["siguiente"]) >= at(ours["fecha_hora"]), "el siguiente corte va antes")
        for code, rules in ours["reglas"].items():
            digest = hashlib.sha256(canonical(rules["contenido"])).hexdigest()
            said = (rules["sha256"], rules["nombre"], rules["version"])
            named = (digest, rules["contenido"]["name"], rules["contenido"]["version"])
            need(said == named, f"las reglas de {code} no son las de su huella, nombre y versión")
        if before is None or before.manifest is None:
            return
        theirs = before.manifest
        need(at(ours["fecha_hora"]) >= at(theirs["fecha_hora"]), "su hora es anterior a la del corte anterior")
        need(theirs["fase"] != "final", "viene después del corte final")
        need(ours["simulacro"] == theirs["simulacro"], "no dice lo mismo que el anterior sobre si es un simulacro")
        need(fixed(ours) == fixed(theirs), "cambió el catálogo, las reglas o las elecciones")


def fixed(manifest: Json) -> object:
    elections = [{**election, "resumen": None} for election in manifest["elecciones"]]
    return manifest["catalogo"], manifest["reglas"], elections


def judge_index(index: Json | None, last: Corte, report: Report) -> None:
    if index is None or last.manifest is None:
        return
    expected = {key: last.manifest[key] for key in MOVING} | {"carpeta": last.folder, "sha256sums": last.digest}
    for key, value in expected.items():
        report.need(index[key] == value, "CON-3", f"index.json: {key} es {index[key]}, no {value}")
    ours = [(held["codigo"], held["titulo"], f"{held['codigo']}/index.html") for held in last.manifest["elecciones"]]
    theirs = [(held["codigo"], held["titulo"], held["pagina"]) for held in index["elecciones"]]
    report.need(ours == theirs, "CON-3", "index.json: sus elecciones no son las del último corte")


# --- rows -------------------------------------------------------------------------------------------------------------

IDENTITY = ("SECCION", "ID_CASILLA", "TIPO_CASILLA", "EXT_CONTIGUA", "UBICACION_CASILLA", "TIPO_ACTA")
HEADER = ("TOTAL_BOLETAS_SOBRANTES", "TOTAL_PERSONAS_VOTARON", "TOTAL_REP_PARTIDO_CI_VOTARON", "TOTAL_VOTOS_SACADOS")
TAIL = (
    *("TOTAL_VOTOS_ASENTADO", "TOTAL_VOTOS_CALCULADO", "LISTA_NOMINAL", "REPRESENTANTES_PP_CI", "OBSERVACIONES"),
    *("CONTABILIZADA", "MECANISMOS_TRASLADO", "CODIGO_INTEGRIDAD", "FECHA_HORA_ACOPIO", "FECHA_HORA_CAPTURA"),
    *("FECHA_HORA_VERIFICACION", "ORIGEN", "DIGITALIZACION", "TIPO_DOCUMENTO", "COTEJADA"),
)
OBSERVED = (
    *("excede_lista_nominal", "todos_ilegibles", "todos_vacios", "todos_sin_numero", "ilegible", "sin_dato"),
    *("sin_acta_1", "sin_acta_2", "sin_acta_3", "sin_acta_4", "proceso_tecnico_operativo", "fuera_de_catalogo"),
)


class Table:
    """What the rows of an election add up to, by (entidad, territory); and each row's digests, for the next corte."""

    def __init__(self) -> None:
        self.sums: defaultdict[tuple[int, int], Sums] = defaultdict(Counter)
        self.contests: dict[tuple[int, int], Json] = {}
        self.fuera = 0
        self.actas: dict[str, tuple[bytes, str]] = {}


def judge_election(
    corte: Corte, before: Corte | None, election: Json, images: Images, versions: Versions | None, report: Report
) -> None:
    """The official file: its rows judged, added up, and compared with those of the corte before."""
    name = f"{corte.folder}/{election['archivo']}"
    if election["archivo"] not in corte.files:
        raise Bad(f"falta {name}")
    manifest, code = corte.manifest, election["codigo"]
    handle = corte.files[election["archivo"]][0]
    handle.seek(0)
    options = [option["codigo"] for option in election["opciones"]]
    own = (f"ID_{kind_of(election).upper()}", kind_of(election).upper())
    columns = ["CLAVE_CASILLA", "CLAVE_ACTA", "ID_ENTIDAD", "ENTIDAD", *own, *IDENTITY, *HEADER, *options, *TAIL]
    lines = enumerate(iter(lambda: handle.readline(64 * KILO), b""), 1)
    head = [split(line, name, number) for number, line in (next(lines, (0, b"")) for _ in range(7))]
    hour = f"{at(manifest['fecha_hora']):%d/%m/%Y %H:%M} (UTC-6)"
    expected = [["\ufeff" + election["titulo"]], [hour], [], [*SUMMARY], head[4], [], columns]
    if head != expected or len(head[4]) != len(SUMMARY):
        raise Bad(f"{name}: el título, la hora, el resumen o las columnas no son los debidos")

    table = corte.tables[code] = Table()
    table.contests = {(held["entidad"], held["territorio"]): held for held in election["contiendas"]}
    report.compared.update(("COM-3", "CON-7"))  # there may be nothing published yet, and nothing before
    earlier = before.tables.get(code) if before is not None else None
    corrected = {held["acta"].strip("'") for held in manifest["correcciones"] if held["eleccion"] == code}
    for number, line in lines:
        cells = split(line, name, number)
        if len(cells) != len(columns):
            raise Bad(f"{name}, línea {number}: {len(cells)} columnas")
        row = dict(zip(columns, cells, strict=True))
        if row["CONTABILIZADA"] == "2":
            shown = {"UBICACION_CASILLA": "3", "CLAVE_CASILLA": "-", "CLAVE_ACTA": "-", "CODIGO_INTEGRIDAD": "-"}
            votes = dict.fromkeys([*options, "TOTAL_VOTOS_CALCULADO"], "-")
            right = all(row[key] == value for key, value in (shown | votes).items())
            observed = row["OBSERVACIONES"] == text_of(manifest["reglas"][code]["contenido"], {"fuera_de_catalogo"})
            report.need(right and observed, "CON-4", f"{name}, línea {number}: no es una fila fuera de catálogo")
            table.fuera += 1
            continue
        problem = judge_row(row, election, manifest["reglas"][code]["contenido"], table, own[0])
        report.need(not problem, "CON-4", f"{name}, línea {number}: {problem}")
        clave = row["CLAVE_ACTA"].strip("'")
        report.need(clave not in table.actas, "COM-4", f"{name}, línea {number}: el acta {clave} está dos veces")
        known = hashlib.sha256(canonical([*cells[:12], row["LISTA_NOMINAL"], row["REPRESENTANTES_PP_CI"]])).digest()
        captured = row["CONTABILIZADA"] != "-"
        digest = hashlib.sha256(canonical([code, clave, *cells[12:]])).hexdigest() if captured else ""
        table.actas[clave] = known, digest
        if captured:
            corte.captured[code].add(clave)
            image = row["CODIGO_INTEGRIDAD"]
            report.need(image == "-" or clave in images[image], "COM-3", f"{name}: la imagen de {clave} no es suya")
            if versions is not None:
                versions.setdefault(digest, (clave, corte.number))
        if earlier is not None and clave in earlier.actas:
            was = earlier.actas[clave]
            report.need(was[0] == known, "COM-4", f"{name}: cambió lo que el catálogo dice del acta {clave}")
            legal = not was[1] or was[1] == digest or clave in corrected
            report.need(legal, "CON-7", f"{name}: el acta {clave} cambió y no está entre las correcciones")
    if earlier is not None:
        same = earlier.actas.keys() == table.actas.keys()
        report.need(same, "COM-4", f"{name}: no están las mismas actas que en el corte anterior")
    judge_summary(corte, before, election, dict(zip(SUMMARY, head[4], strict=True)), corrected, report)


def split(line: bytes, name: str, number: int) -> list[str]:
    """The cells of one line, which ends in CRLF and nowhere else."""
    try:
        if not line.endswith(b"\r\n") or line.count(b"\r") != 1 or b"\0" in line:
            raise ValueError
        return next(csv.reader([line[:-2].decode()], strict=True), [])
    except (ValueError, csv.Error):
        raise Bad(f"{name}, línea {number}: no es una línea de CSV en UTF-8 terminada en CRLF") from None


def whole(cell: str) -> int | None:
    """The number in a cell; None where there is none."""
    return int(cell) if re.fullmatch(r"0|[1-9]\d{0,8}", cell, re.ASCII) else None


def judge_row(row: Row, election: Json, rules: Json, table: Table, own: str) -> str:
    """Adds a row of the catalogue to its place; returns what is wrong with it, or nothing."""
    entidad, territory = whole(row["ID_ENTIDAD"].lstrip("0") or "0"), whole(row[own].lstrip("0") or "0")
    if row[own] in {"", "-", "N/A"}:
        territory = 0
    numbers = [row[key] for key in ("SECCION", "ID_CASILLA", "EXT_CONTIGUA")]
    numbers[0] = "0" if numbers[0] in {"", "-", "N/A"} else numbers[0]
    if None in {entidad, territory} or not all(re.fullmatch(r"\d{1,9}", each, re.ASCII) for each in numbers):
        return "su identificación no tiene números"
    seccion, ident, ext = map(int, numbers)
    clave = f"'{entidad:02}{seccion:04}{row['TIPO_CASILLA']}{ident:02}{ext:02}"
    acta = row["CLAVE_ACTA"]
    if row["CLAVE_CASILLA"] != clave + "'" or not re.fullmatch(re.escape(clave) + r"\w+'", acta, re.ASCII):
        return "su clave no es la de su identificación"
    place = contest_place(election, (entidad or 0, territory or 0))
    contest = table.contests.get(place)
    lista, people = whole(row["LISTA_NOMINAL"]), whole(row["REPRESENTANTES_PP_CI"])
    if contest is None or lista is None or people is None:
        return "no es de ninguna contienda, o no dice su lista nominal"
    sums = table.sums[entidad or 0, territory or 0]
    sums["esperadas"] += 1
    options = [option["codigo"] for option in election["opciones"]]
    votes = {code: row[code] for place, code in enumerate(options) if place in contest["boleta"]}
    if any(row[code] != "-" for code in options if code not in votes):
        return "tiene votos de una opción que no está en su boleta"
    if row["CONTABILIZADA"] == "-":
        empty = all(row[key] == "-" for key in (*HEADER, *votes, *TAIL) if key not in TAIL[2:4])
        return "" if empty else "no está capturada y trae datos"
    if row["CONTABILIZADA"] not in {"0", "1"}:
        return "CONTABILIZADA no es 0, 1, 2 ni -"
    if "Sin acta" in votes.values():
        sums["no_contabilizadas"] += 1
        sums["sin_acta"] += 1
        sums["callados"] += not rules.get("sin_acta_not_counted", True)
        texts = {text_of(rules, {code}) for code in OBSERVED if code.startswith("sin_acta") and code in rules["texts"]}
        said = [row[key] for key in ("CONTABILIZADA", "TOTAL_VOTOS_CALCULADO", "CODIGO_INTEGRIDAD")]
        alike = {*votes.values(), *(row[key] for key in (*HEADER, TAIL[0]))} == {"Sin acta"}
        good = alike and said == ["0", "0", "-"] and row["OBSERVACIONES"] in texts
        return "" if good else "no es una fila sin acta como debe ser"
    return judge_votes(row, votes, rules, lista, (lista + people) * contest.get("votos_por_boleta", 1), sums)


def judge_votes(row: Row, votes: Row, rules: Json, lista: int, most: int, sums: Sums) -> str:
    """A captured row: its sum, whether it counts, what is observed of it (domain §4-5)."""
    numbers = {code: whole(cell) for code, cell in votes.items()}
    read = [number for number in numbers.values() if number is not None]
    ilegible, sin_dato = "Ilegible" in votes.values(), "Sin dato" in votes.values()
    total = sum(read)
    if any(number is None and votes[code] not in {"Ilegible", "Sin dato"} for code, number in numbers.items()):
        return "un voto no es un número, «Ilegible» ni «Sin dato»"
    if row["TOTAL_VOTOS_CALCULADO"] != str(total):
        return f"TOTAL_VOTOS_CALCULADO es {row['TOTAL_VOTOS_CALCULADO']}; sus votos suman {total}"
    if not HEX.fullmatch(row["CODIGO_INTEGRIDAD"]):
        return "CODIGO_INTEGRIDAD no es una huella"
    mixed = ilegible and sin_dato
    observed = ({"ilegible"} if ilegible else set()) | ({"sin_dato"} if sin_dato else set())
    if not read and not (mixed and rules["mixed_without_number_counts"]):
        every = "todos_sin_numero" if mixed else "todos_ilegibles" if ilegible else "todos_vacios"
        beside = rules["partial_beside_all"] or every not in rules["texts"]
        observed = {every} | (observed if beside else set())
    said = row["OBSERVACIONES"]
    excede = rules["excede_applies"] and lista > 0 and total > most
    other: set[str] = set() if rules.get("excede_alone", False) else observed
    if rules["excede_applies"] and lista == 0 and said:
        # The limit of an especial casilla is not in the file: what the row says is believed, and must fit the rest.
        excede = said in texts_of(rules, other | {"excede_lista_nominal"})
    if excede:
        observed = other | {"excede_lista_nominal"}
    if said not in texts_of(rules, observed):
        return f"OBSERVACIONES es «{said}»; por sus votos sería «{text_of(rules, observed)}»"
    counts = (bool(read) or (mixed and rules["mixed_without_number_counts"])) and not excede
    if row["CONTABILIZADA"] != str(int(counts)):
        return f"CONTABILIZADA es {row['CONTABILIZADA']}; por sus votos sería {int(counts)}"
    sums["inconsistentes"] += int(excede or ilegible or sin_dato)
    sums["contabilizadas" if counts else "no_contabilizadas"] += 1
    if counts:
        sums["lista"] += lista
        sums["con"] += total
        sums["sin"] += 0 if row["TIPO_CASILLA"] == "S" else total
        for code, number in numbers.items():
            sums["voto", code] += number or 0
    return ""


def text_of(rules: Json, codes: set[str]) -> str:
    texts = [rules["texts"].get(code, "") for code in OBSERVED if code in codes]
    return ", ".join(dict.fromkeys(text for text in texts if text))


def texts_of(rules: Json, codes: set[str]) -> set[str]:
    """With or without the one text that nothing else in the row shows."""
    return {text_of(rules, codes), text_of(rules, codes | {"proceso_tecnico_operativo"})}


# --- sums -------------------------------------------------------------------------------------------------------------


def percent(part: int, total: int) -> str:
    """Four decimals, truncated, in integers."""
    scaled = part * 10**6 // total if total else 0
    return f"{scaled // 10**4}.{scaled % 10**4:04}"


def summary(sums: Sums, fuera: int, final: object) -> dict[str, str]:
    expected, counted, out = sums["esperadas"], sums["contabilizadas"], sums["no_contabilizadas"]
    captured = counted + out
    values = [expected, captured + fuera, fuera, captured, percent(captured, expected), counted]
    values += [percent(counted, expected), percent(sums["inconsistentes"], expected)]
    values += [out - sums["callados"], sums["lista"]]
    values += [sums["con"], sums["sin"], percent(sums["con" if final else "sin"], sums["lista"])]
    return dict(zip(SUMMARY, map(str, values), strict=True))


def added(tables: Iterable[Sums]) -> Sums:
    total: Sums = Counter()
    for sums in tables:
        total.update(sums)
    return total


def with_especiales(manifest: Json, code: str) -> bool:
    """Participation takes the especial casillas in at the end of the night only, and where the rules say so."""
    return bool(manifest["fase"] == "final" and manifest["reglas"][code]["contenido"]["last_corte_with_especiales"])


def judge_summary(
    corte: Corte, before: Corte | None, election: Json, printed: Row, corrected: set[str], report: Report
) -> None:
    code, table = election["codigo"], corte.tables[election["codigo"]]
    ours = summary(added(table.sums.values()), table.fuera, with_especiales(corte.manifest, code))
    for where, theirs in ((election["archivo"], printed), ("manifest.json", election["resumen"])):
        for key, value in ours.items():
            sentence = f"{corte.folder}/{where}, {code}: {key} es {theirs[key]}; las filas dan {value}"
            report.need(theirs[key] == value, "CON-5", sentence)
    if corte.number == 0:
        report.need(ours["ACTAS_REGISTRADAS"] == "0", "CON-2", f"{corte.folder}: el corte 0 de {code} no está en ceros")
    earlier = before.manifest if before is not None else None
    for held in earlier["elecciones"] if earlier and not corrected else ():
        if held["codigo"] == code:
            for key in ("ACTAS_CAPTURADAS", "TOTAL_VOTOS_C_CS"):
                grown = (whole(held["resumen"][key]) or 0) <= int(ours[key])
                report.need(grown, "CON-7", f"{corte.folder}: {key} de {code} bajó sin correcciones")


def judge_totals(corte: Corte, theirs: Json, report: Report) -> None:
    where = f"{corte.folder}/totals.json"
    codes = {election["codigo"] for election in corte.manifest["elecciones"]}
    report.need(theirs["elecciones"].keys() == codes, "CON-6", f"{where}: no son las elecciones del corte")
    for election in corte.manifest["elecciones"]:
        code = election["codigo"]
        if code in corte.tables and code in theirs["elecciones"]:
            told = theirs["elecciones"][code]
            known = [held for held in told["territorios"] if held["tipo"] in {"entidad", kind_of(election)}]
            if len(known) < len(told["territorios"]):
                report.unread["CON-6"].append(f"{where}: territorios de {code} que sus filas no dicen")
            told = {**told, "territorios": known}
            ours = totals_of(election, corte.tables[code], told, with_especiales(corte.manifest, code))
            told = told | {
                "contiendas": {str(held["id"]): held for held in told["contiendas"]},
                "territorios": {str([held["tipo"], held["entidad"], held["id"]]): held for held in told["territorios"]},
                "cuantos": [len(told["contiendas"]), len(told["territorios"])],
            }
            report.compared["CON-6"] += 1
            for path in differences(ours, told, code):
                report.need(None, "CON-6", f"{where}: {path}, no es lo que dan las filas")


def totals_of(election: Json, table: Table, told: Json, final: object) -> Json:
    """The same object, from the rows. Only names, and which options a candidacy has, are taken from `told`."""
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
    """One contest; what its parties get is added to `by_party`."""
    key = (contest["entidad"], contest["territorio"])
    sums = added(each for place, each in table.sums.items() if contest_place(election, place) == key)
    shares = distributed(sums, election["opciones"])
    by_party.update(shares)
    codes = [option["codigo"] for option in election["opciones"]]
    ballot = {codes[place] for place in contest["boleta"] if place < len(codes)}

    def shown(amounts: dict[str, int], theirs: Json) -> dict[str, int]:
        """An option that is not on the ballot may be there with zero votes, or not at all."""
        return {code: amount for code, amount in amounts.items() if code in ballot or code in theirs or amount}

    return {
        "id": contest["id"],
        "entidad": key[0],
        "territorio": key[1],
        "nombre": contest["nombre"],
        "resumen": summary(sums, 0, final),
        "votos": shown(votes_of(sums, election), told["votos"]),
        "votos_por_partido": shown(shares, told["votos_por_partido"]),
        "candidaturas": candidacies(told["candidaturas"], ballot, sums),
    }


def votes_of(sums: Sums, election: Json) -> dict[str, int]:
    return {option["codigo"]: sums["voto", option["codigo"]] for option in election["opciones"]}


def contest_place(election: Json, place: tuple[int, int]) -> tuple[int, int]:
    """Of the contest in which a casilla there votes."""
    return {"pais": (0, 0), "entidad": (place[0], 0)}.get(election["nivel"], place)


def kind_of(election: Json) -> str:
    """The kind of territory that the file's own column names."""
    return "municipio" if election["nivel"] == "municipio" else f"distrito_{election['ambito']}"


def distributed(sums: Sums, options: list[Json]) -> dict[str, int]:
    """A contest's votes with those of combinations shared out: evenly, the rest one by one to who has more votes."""
    shares = {option["codigo"]: sums["voto", option["codigo"]] for option in options if option["clase"] != "coalicion"}
    for option in options:
        if option["clase"] == "coalicion":
            parties = [options[place]["codigo"] for place in sorted(option["partidos"])]
            even, rest = divmod(sums["voto", option["codigo"]], len(parties))
            for rank, party in enumerate(sorted(parties, key=lambda party: -sums["voto", party])):
                shares[party] += even + (rank < rest)
    return shares


def candidacies(told: list[Json], ballot: set[str], sums: Sums) -> list[Json]:
    """Each with the votes of its options. Lists may share all their options, never some of them."""
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
    """images.csv: SHA256,ARCHIVO,CLAVE_ACTA of those that are new, in order. Into `images`: claves by digest."""
    where = f"{corte.folder}/images.csv"
    lines = corte.read("images.csv", GIGA).decode("utf-8-sig", "replace").splitlines()
    if not lines or lines[0] != "SHA256,ARCHIVO,CLAVE_ACTA" or (corte.number == 0 and len(lines) > 1):
        raise Bad(f"{where}: no tiene su encabezado, o el corte 0 trae imágenes")
    last = ("", "")
    for line in lines[1:]:
        digest, path, clave, *more = [*line.split(","), "", "", ""][:4]
        extension = path.rpartition(".")[2]
        right = HEX.fullmatch(digest) and not more[0] and re.fullmatch("jpg|png|webp|tif|pdf", extension)
        if not right or path != image_path(digest, extension) or not re.fullmatch(r"-|'?\w+'?", clave, re.ASCII):
            raise Bad(f"{where}: «{line}» no es una imagen en el lugar de su huella")
        if (digest, clave) <= last:
            raise Bad(f"{where}: «{line}» está repetida o fuera de orden")
        last = digest, clave
        images[digest].add(clave.strip("'"))
        images[digest].add("." + extension)  # a clave never begins so
        report.need(len([each for each in images[digest] if each[0] == "."]) == 1, "COM-3", f"{where}: dos extensiones")


def paths_of(images: Images) -> Iterator[tuple[str, str]]:
    for digest, held in sorted(images.items()):
        for each in held:
            if each.startswith("."):
                yield digest, image_path(digest, each[1:])


def judge_images(tree: Tree, images: Images, report: Report) -> None:
    report.compared["INT-4"] += 1  # there may be none
    for digest, path in paths_of(images):
        with report.step("INT-4"):
            found = tree.take(path, 256 * MEGA, keep=False)[1]
            report.need(found == digest, "INT-4", f"{path}: la huella de sus bytes es {found}")


def judge_zip(tree: Tree, corte: Corte, report: Report) -> None:
    """Its name, size and digest; one ZIP per election inside, each with the very files of the corte."""
    manifest, where = corte.manifest, corte.manifest["zip"]["archivo"]
    stamp = f"{at(manifest['fecha_hora']):%Y%m%d_%H%M}_PREP"
    names = {f"zip/{stamp}_{edo_of(manifest)}{tail}.zip" for tail in ("", f"_{corte.number:04}")}
    handle, digest, size = tree.take(where, 4 * GIGA)
    with handle:
        said = (manifest["zip"]["sha256"], manifest["zip"]["bytes"])
        report.need(where in names and (digest, size) == said, "INT-5", f"{where}: no es el que dice su corte")
        inner = {f"{stamp}_{each['codigo']}_{edo_of(manifest)}.zip": each for each in manifest["elecciones"]}
        for name, packed in members(handle, where, {*inner}):
            wanted = {inner[name]["archivo"], inner[name]["candidaturas"], "LEEME.txt"}
            for file, plain in members(packed, f"{where}/{name}", wanted):
                found = hashlib.file_digest(plain, "sha256").hexdigest()
                report.need(found == corte.sums.get(file), "INT-5", f"{where}/{name}/{file}: otros bytes")


def members(handle: Any, where: str, wanted: set[str]) -> Iterator[tuple[str, Any]]:
    """Name and content of what a ZIP holds: exactly `wanted`, each once, one after the other, nothing between."""
    try:
        with zipfile.ZipFile(handle) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
            if sorted(info.filename for info in infos) != sorted(wanted) or archive.comment:
                raise Bad(f"{where}: no contiene exactamente los archivos debidos")
            ends = {0}
            for info in infos:
                if info.header_offset not in ends or info.flag_bits & 1 or info.orig_filename != info.filename:
                    raise Bad(f"{where}: archivos traslapados, cifrados o con algo escondido entre ellos")
                if stat.S_ISLNK(info.external_attr >> 16) or info.file_size > 4 * GIGA:
                    raise Bad(f"{where}: {info.filename} no es un archivo ordinario")
                handle.seek(info.header_offset + 26)
                end = info.header_offset + 30 + sum(struct.unpack("<HH", handle.read(4))) + info.compress_size
                ends = {end + more for more in ((12, 16, 20, 24) if info.flag_bits & 8 else (0,))}
            if archive.start_dir not in ends:
                raise Bad(f"{where}: algo escondido antes del directorio")
            for info in infos:
                with tempfile.SpooledTemporaryFile(8 * MEGA) as plain:
                    with archive.open(info) as packed:  # never gives more bytes than the directory says
                        while block := packed.read(256 * KILO):
                            plain.write(block)
                    plain.seek(0)
                    yield info.filename, plain
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError):
        raise Bad(f"{where}: no es un ZIP que se pueda leer") from None


def judge_extra(tree: Tree, cortes: list[Corte], images: Images, log: "Log | None", report: Report) -> None:
    """Every file of the folder has been announced by somebody, and every page that must be there is."""
    if tree.url:
        report.not_asked.setdefault("COM-2", "por HTTP no se puede saber qué otros archivos hay")
        return
    known = {"index.json", "index.html", "estilo.css", "VERIFICA.txt", "verificar.html"}
    known |= {path for _, path in paths_of(images)}
    optional = [re.compile(r"VERIFICA\.txt|verificar\.html")]
    if log is not None:
        known |= {"bitacora/checkpoint", "bitacora/politica.txt"}
        optional.append(re.compile(r"bitacora/tile/(entries|[0-7])/(x\d{3}/)*\d{3}(\.p/\d{1,3})?"))
        optional.append(
            re.compile(r"bitacora/((acuses/..|rotaciones)/[0-9a-f]{4,64}\.tlog-proof|aperturas/\d{4,5}\.jsonl)")
        )
        optional.append(re.compile(r"bitacora/\.(tmp|acuses)/.*"))
    for corte in cortes:
        known |= {f"{corte.folder}/{name}" for name in ("SHA256SUMS", *corte.sums)}
        optional.append(re.compile(rf"{corte.folder}/SHA256SUMS\.({'|'.join(map(re.escape, BESIDE))})"))
        known |= {corte.manifest["zip"]["archivo"]} if corte.manifest else set()
    last = cortes[-1]
    for election in last.manifest["elecciones"] if last.manifest else ():
        code = election["codigo"]
        pages = {f"{code}/{clave}.html" for clave in last.captured[code]}
        places = {f"{code}/lugar-{one}-{other}.html" for one, other in last.tables.get(code, Table()).sums}
        known |= pages | places | {f"{code}/index.html"}
        optional += [re.compile(rf"{re.escape(code)}/contienda-{each['id']}\.html") for each in election["contiendas"]]
        strays = [digest for digest, held in images.items() if "-" in held]
        optional += [re.compile(rf"{re.escape(code)}/fuera/{digest}\.html") for digest in strays]
    found = set()
    for folder, folders, files in os.walk(tree.root):
        inside = os.path.relpath(folder, tree.root)
        prefix = "" if inside == "." else inside.replace(os.sep, "/") + "/"
        for name in files + [each for each in folders if os.path.islink(os.path.join(folder, each))]:
            path = prefix + name
            found.add(path)
            ordinary = stat.S_ISREG(os.lstat(os.path.join(folder, name)).st_mode)
            report.need(ordinary, "COM-2", f"{path} es un enlace o un archivo especial")
            legal = path in known or any(each.fullmatch(path) for each in optional)
            report.need(legal, "COM-2", f"{path} no lo anuncia nadie")
        empty = not files and not folders and not re.fullmatch(r"bitacora/\.\w+/|imagenes/.*|\w+/fuera/", prefix)
        report.need(not empty, "COM-2", f"{prefix} es una carpeta de más")
    for path in sorted(known - found - {"VERIFICA.txt", "verificar.html"}):
        report.need(None, "COM-2", f"falta {path}")


# --- the log ----------------------------------------------------------------------------------------------------------


def leaf_hash(entry: bytes) -> bytes:
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
        self.leaves: list[Json] = []
        self.cortes: dict[int, tuple[int, str]] = {}
        self.images: dict[str, int] = {}
        self.rows: dict[str, int] = {}
        self.derived: dict[str, str] = {}
        self.captures: dict[int, str] = {}
        self.policy: Json = {}
        self.signers: list[Key] = []
        """The log's keys: the one that signs now, and those that its leaves tell."""
        self.checkpoint, self.closed = b"", False
        self.good: dict[str, tuple[int, bytes]] = {}

    def root(self, size: int) -> bytes:
        """Of the first `size` leaves: complete subtrees, from the largest, joined from the right."""
        start, found = 0, []
        while start < size:
            level = (size - start).bit_length() - 1
            found.append(self.levels[level][start >> level])
            start += 1 << level
        joined = found.pop() if found else hashlib.sha256(b"").digest()
        while found:
            joined = parent(found.pop(), joined)
        return joined


def read_log(tree: Tree, trust: "Trust", report: Report) -> Log | None:
    """The log, recomputed from its entries and compared with every tile; None where nothing of it can be relied on."""
    log = None
    with report.step(*LOG):
        hints = ("bitacora/checkpoint", "bitacora/politica.txt", "cortes/0000/SHA256SUMS.tlog-proof")
        if not trust.key and not trust.policy and not trust.checkpoint and not any(map(tree.exists, hints)):
            for check in LOG:
                report.not_asked[check] = "no hay bitácora: si quien publica reescribiera todo, esto no lo vería"
            return None
        note = tree.read("bitacora/checkpoint", MEGA)
        policy = read_policy(trust.policy or tree.read("bitacora/politica.txt", MEGA))
        if trust.key:
            policy["logs"] = [read_key(trust.key, 1)]
        follow(tree, policy, report)
        size, root = judge_note(note, policy, report, "bitacora/checkpoint", quorum=True)
        entries = read_entries(tree, size)
        log = Log(entries)
        log.policy, log.checkpoint, log.signers = policy, note, [*policy["logs"]]
        judge_tiles(tree, log, size, report)
        report.need(log.root(size) == root, "EVI-1", "bitacora/checkpoint: las entradas no dan la raíz firmada")
        brought = "la que trajo quien comprueba" if trust.key or trust.policy else "LA QUE DICE EL PROPIO ÁRBOL"
        report.facts.append(f"Bitácora de {size:,} hojas; su llave es {brought}")
        read_leaves(log, entries, report)
        if trust.checkpoint:
            signers = {**policy, "logs": log.signers}
            old, old_root = judge_note(trust.checkpoint, signers, report, "el punto de control guardado", quorum=False)
            grown = old <= size and log.root(old) == old_root
            report.need(grown, "EVI-8", "la bitácora no continúa el punto de control que se guardó: es otra historia")
        else:
            report.not_asked["EVI-8"] = "no se dio --checkpoint: un punto de control guardado de antes"
    return log


def read_key(text: str, kind: int) -> Key:
    """A public key «name+hash+base64» of signed-note: its name, its four-byte id and its 32 bytes."""
    name, _, rest = text.partition("+")
    ident, _, encoded = rest.partition("+")
    raw = plain64(encoded)
    if (
        not name
        or len(raw) != 33
        or raw[0] != kind
        or hashlib.sha256(f"{name}\n".encode() + raw).digest()[:4].hex() != ident
    ):
        raise Bad(f"«{text}» no es una llave Ed25519 «nombre+huella+base64» de las que aquí se necesitan")
    return name, bytes.fromhex(ident), raw[1:]


def plain64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if base64.b64encode(raw).decode() != text:
        raise Bad("un base64 que no está bien escrito")
    return raw


def read_policy(data: bytes) -> Json:
    """politica.txt: log, witness, group and quorum lines (c2sp.org/tlog-policy)."""
    policy: Json = {"logs": [], "witnesses": {}, "groups": {}, "quorum": None}
    for line in data.decode("utf-8", "replace").split("\n"):
        match line.split():
            case ["log", key, *_]:
                policy["logs"].append(read_key(key, 1))
            case ["witness", name, key, *_]:
                policy["witnesses"][name] = read_key(key, 4)
            case ["group", name, needed, *held]:
                policy["groups"][name] = {"any": "1", "all": str(len(held))}.get(needed, needed), held
            case ["quorum", name]:
                policy["quorum"] = name
            case [word, *_] if not word.startswith("#"):
                raise Bad(f"una política con la línea «{line}»")
    publics = [key[2] for key in [*policy["logs"], *policy["witnesses"].values()]]
    members = [each for _, held in policy["groups"].values() for each in held]
    if not policy["quorum"] or len({*publics}) < len(publics) or len({*members}) < len(members):
        raise Bad("una política sin quórum, o con una llave o un miembro dos veces")
    return policy


def judge_note(data: bytes, policy: Json, report: Report, where: str, *, quorum: bool) -> tuple[int, bytes]:
    """Size and root of a checkpoint that a log of the policy signed, and its quorum of witnesses where it is asked."""
    text, _, signatures = data.decode().rpartition("\n\n")
    text += "\n"
    lines = text.split("\n")[:-1]
    if len(lines) < 3 or not re.fullmatch(r"0|[1-9]\d{0,17}", lines[1], re.ASCII) or len(plain64(lines[2])) != 32:
        raise Bad(f"{where}: no es un punto de control")
    held = [re.fullmatch(r"— (\S+) (\S+)", line) for line in signatures.removesuffix("\n").split("\n")]
    if None in held or not 1 <= len(held) <= 100:
        raise Bad(f"{where}: sin firmas, o con otra cosa entre ellas")
    raw = [(each[1], plain64(each[2])) for each in held if each]

    def signed(key: Key) -> bool:
        mine = [each[4:] for name, each in raw if (name, each[:4]) == key[:2]]
        if not all(verifies(key, each, text) for each in mine):
            raise Bad(f"{where}: una firma falsa de {key[0]}")
        return bool(mine)

    logs = [key for key in policy["logs"] if signed(key) and key[0] == lines[0]]
    if not logs:
        raise Bad(f"{where}: no lo firmó la llave de la bitácora")
    met = {"none", *(name for name, key in policy["witnesses"].items() if quorum and signed(key))}
    for name, (needed, members_) in policy["groups"].items():
        if needed.isdecimal() and 0 < int(needed) <= sum(each in met for each in members_):
            met.add(name)
    if quorum:
        report.need(policy["quorum"] in met, "AUT-1", f"{where}: no lo firmó el quórum de testigos de la política")
    return int(lines[1]), plain64(lines[2])


def verifies(key: Key, signature: bytes, text: str) -> bool:
    """Ed25519 by openssl: a log's over the note; a witness' over its hour and the note (c2sp.org/tlog-cosignature)."""
    if len(signature) == 72:
        at_ = int.from_bytes(signature[:8], "big")
        text, signature = f"cosignature/v1\ntime {at_}\n{text}", signature[8:]
    der = bytes.fromhex("302a300506032b6570032100") + key[2]
    words = "pkeyutl -verify -rawin -pubin -keyform DER -inkey llave -sigfile firma -in texto"
    return openssl(words, llave=der, firma=signature, texto=text.encode())[0] == 0


def tile_paths(level: object, index: int, width: int) -> list[str]:
    """Where a tile stands: as a partial one, and the full one that took its place."""
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


def judge_tiles(tree: Tree, log: Log, size: int, report: Report) -> None:
    for level in range(0, len(log.levels), 8):
        hashes = log.levels[level]
        for index in range(-(-len(hashes) // 256)):
            mine = b"".join(hashes[index * 256 : index * 256 + 256])
            path, data = take_tile(tree, level // 8, index, len(mine) // 32)
            right = data[: len(mine)] == mine and (len(data) == len(mine) or len(data) == 8192)
            report.need(right, "EVI-1", f"{path}: no son las huellas que dan las entradas")
    report.compared["EVI-1"] += size


def read_leaves(log: Log, entries: list[bytes], report: Report) -> None:
    """What the log says, by what is looked up in it; and each device's own numbering, chained from leaf to leaf."""
    devices: defaultdict[str, tuple[str | None, set[int]]] = defaultdict(lambda: (None, set()))
    aside: set[tuple[str, ...]] = set()
    report.compared["EVI-4"] += 1
    for number, entry in enumerate(entries):
        leaf = parse(entry + b"\n", f"hoja {number}")
        right = (
            isinstance(leaf, dict) and leaf.get("numero") == number and (leaf.get("tipo") == "inicio") == (not number)
        )
        report.need(right, "EVI-2", f"hoja {number}: no es la que va en ese lugar")
        log.leaves.append(leaf if isinstance(leaf, dict) else {})
    for number, leaf in enumerate(log.leaves):
        match leaf:
            case {"tipo": "imagen", "sha256": digest, "dispositivo": device, "secuencia": int(sent)}:
                log.images.setdefault(digest, number)
                link, numbers = devices[device]
                chained = leaf.get("anterior") == link and sent not in numbers
                report.need(chained, "EVI-4", f"hoja {number}: rompe la cadena de envíos de {device}")
                numbers.add(sent)
                devices[device] = hashlib.sha256(entries[number]).hexdigest(), numbers
            case {"tipo": "derivada", "sha256": web, "imagen": digest}:
                log.derived.setdefault(web, digest)
            case {"tipo": "captura", "compromiso": given}:
                log.captures[number] = given
            case {"tipo": "version", "contenido": digest}:
                log.rows.setdefault(digest, number)
            case {"tipo": "corte", "corte": int(corte), "sha256sums": digest}:
                report.need(corte not in log.cortes, "EVI-3", f"hoja {number}: otra vez el corte {corte}")
                log.cortes[corte] = number, digest
            case {"tipo": "incidente", "asunto": str(asunto)} if asunto.startswith("image:"):
                aside.add(tuple(asunto.split(":")[1:3]))
            case {"tipo": "inicio", "clave": str(key)}:
                log.signers.append(read_key(key, 1))
            case {"tipo": "rotacion", "de": "bitacora", "nombre": str(name), "clave": str(public)}:
                log.signers.append(key_named(name, bytes.fromhex(public)))
            case {"tipo": "cero"}:
                report.need(not log.cortes, "EVI-3", f"hoja {number}: la puesta en ceros, después del primer corte")
            case {"tipo": "cierre", "corte": int(corte), "sha256sums": digest}:
                log.closed = True
                right = log.cortes and corte == max(log.cortes) and log.cortes[corte][1] == digest
                report.need(right, "EVI-3", f"hoja {number}: el cierre no es del último corte")
    for device, (_, numbers) in devices.items():
        gaps = [each for each in range(min(numbers), max(numbers)) if each not in numbers]
        for each in gaps[:3]:
            if (device, str(each)) not in aside:
                sentence = f"falta el envío {each} del dispositivo {device}"
                report.need(not log.closed, "EVI-4", sentence)
                report.unread["EVI-4"] += [] if log.closed else [f"{sentence}: puede venir en camino"]


def judge_log(tree: Tree, log: Log, cortes: list[Corte], images: Images, rows: Versions, report: Report) -> None:
    """Everything that the tree shows, looked up in the log."""
    last = cortes[-1]
    with report.step("EVI-2"):
        start, manifest = log.leaves[0] if log.leaves else {}, last.manifest
        if manifest is not None:
            rules = {code: held["sha256"] for code, held in manifest["reglas"].items()}
            expected = {
                "origen": log.checkpoint.decode().split("\n")[0],
                "simulacro": manifest["simulacro"],
                "catalogo": manifest["catalogo"],
                "reglas": hashlib.sha256(canonical(rules)).hexdigest(),
                "politica": hashlib.sha256(tree.read("bitacora/politica.txt", MEGA)).hexdigest(),
            }
            for key, value in expected.items():
                report.need(
                    start.get(key) == value, "EVI-2", f"hoja 0: {key} es {start.get(key)}; el árbol dice {value}"
                )
            rehearsed = expected["origen"].endswith("/simulacro") == manifest["simulacro"]
            report.need(rehearsed, "EVI-2", "el origen de la bitácora no dice lo mismo que el árbol sobre el simulacro")
    late = "{}: todavía no está en la bitácora; vuelva a comprobar en unos segundos"
    for corte in cortes:
        if corte.number in log.cortes or corte is not last:
            said = log.cortes.get(corte.number, (0, "nada"))[1]
            report.need(said == corte.digest, "EVI-3", f"{corte.folder}: la bitácora dice {said}, no {corte.digest}")
        else:
            report.unread["EVI-3"].append(late.format(corte.folder))
    final = last.manifest is not None and last.manifest["fase"] == "final" and last.number in log.cortes
    report.need(log.closed or not final, "EVI-3", "la bitácora no tiene la hoja de cierre del corte final")
    for number in log.cortes.keys() - {corte.number for corte in cortes}:
        report.need(
            number == len(cortes) and not log.closed, "EVI-3", f"falta el corte {number}, que está en la bitácora"
        )
        report.unread["EVI-3"].append(f"el corte {number} está en la bitácora y todavía no en el árbol")
    for digest in images:
        there = log.derived.get(digest, digest) in log.images
        if there or last.number in log.cortes:
            report.need(there, "EVI-4", f"la imagen {digest} no está en la bitácora")
        else:
            report.unread["EVI-4"].append(late.format(f"la imagen {digest}"))
    report.compared["EVI-5"] += 1
    for digest, (clave, number) in rows.items():
        if number in log.cortes:
            before = log.rows.get(digest, len(log.leaves)) < log.cortes[number][0]
            report.need(before, "EVI-5", f"cortes/{number:04}: la fila de {clave} no estaba antes en la bitácora")
    report.compared["EVI-6"] += 1
    report.compared["EVI-7"] += 1
    for corte in cortes:
        wanted = {"tipo": "corte", "corte": corte.number, "sha256sums": corte.digest}
        judge_proof(tree, log, f"{corte.folder}/SHA256SUMS.tlog-proof", wanted, report, late=corte is last)
        judge_openings(tree, log, f"bitacora/aperturas/{corte.number:04}.jsonl", report)
    for digest in images.keys() & log.images.keys():
        wanted = {"tipo": "imagen", "sha256": digest}
        judge_proof(tree, log, f"bitacora/acuses/{digest[:2]}/{digest}.tlog-proof", wanted, report, late=False)


def judge_proof(tree: Tree, log: Log, where: str, wanted: Json, report: Report, *, late: bool) -> None:
    """A tlog-proof: the leaf it carries is at its index, under a checkpoint of this log (RFC 9162 §2.1.3.2)."""
    with report.step("EVI-6"):
        try:
            data = tree.read(where, MEGA)
        except Absent:
            if not late:
                report.unread["EVI-6"].append(f"falta {where}, que puede venir después")
            return
        leaf, _, note, reached = read_proof(data, where)
        if note not in log.good:
            signers = {**log.policy, "logs": log.signers}
            log.good[note] = judge_note(note.encode(), signers, report, where, quorum=False)
        size, root = log.good[note]
        held = parse(leaf + b"\n", where)
        ours = size > len(log.leaves) or log.root(size) == root
        right = reached == root and ours and isinstance(held, dict) and wanted.items() <= held.items()
        report.need(right, "EVI-6", f"{where}: no es la prueba de lo suyo en esta bitácora")


def read_proof(data: bytes, where: str) -> tuple[bytes, int, str, bytes]:
    """A tlog-proof: its leaf, where it says to be, its checkpoint, and the root that its hashes lead to (RFC 9162)."""
    head, _, note = data.decode().partition("\n\n")
    first, extra, index, *hashes = [*head.split("\n"), "", ""]
    leaf, size = plain64(extra.removeprefix("extra ")), note.split("\n")[1:2]
    place, found = whole(index.removeprefix("index ")), leaf_hash(leaf)
    last = (whole("".join(size)) or 0) - 1
    if first != "c2sp.org/tlog-proof@v1" or place is None or place > last:
        raise Bad(f"{where}: no es una prueba")
    step = place
    for each in map(plain64, hashes[:-2]):
        if step & 1 or step == last:
            found = parent(each, found)
            while not step & 1 and step:
                step, last = step >> 1, last >> 1
        else:
            found = parent(found, each)
        step, last = step >> 1, last >> 1
    if last:
        raise Bad(f"{where}: a la prueba le faltan o le sobran hashes")
    return leaf, place, note, found


def follow(tree: Tree, policy: Json, report: Report) -> None:
    """A log that changed its key: from the reader's key to the last, by what each signed beside the one it named."""
    told = []
    for number in range(1, 1000):
        where = f"bitacora/rotaciones/{number:04}.tlog-proof"
        try:
            leaf, _, note, reached = read_proof(tree.read(where, MEGA), where)
        except Absent:
            break
        held = parse(leaf + b"\n", where)
        if not isinstance(held, dict) or (held.get("tipo"), held.get("de")) != ("rotacion", "bitacora"):
            raise Bad(f"{where}: no es una rotación de la bitácora")
        told.append((where, note.encode(), reached, key_named(str(held.get("nombre")), bytes.fromhex(held["clave"]))))
    start = max((place for place, each in enumerate(told, 1) if each[3] in policy["logs"]), default=0)
    for where, data, reached, key in told[start:]:
        for logs in (policy["logs"], [key]):
            _, root = judge_note(data, {**policy, "logs": logs}, report, where, quorum=False)
        if root != reached:
            raise Bad(f"{where}: la rotación no está en la bitácora que la firmó")
        policy["logs"] = [key]


def key_named(name: str, public: bytes) -> Key:
    return name, hashlib.sha256(f"{name}\n\x01".encode() + public).digest()[:4], public


def judge_openings(tree: Tree, log: Log, where: str, report: Report) -> None:
    """Each line gives what somebody typed and its salt: together they are the commitment in its leaf."""
    with report.step("EVI-7"), contextlib.suppress(Absent):
        for line in tree.read(where, GIGA).splitlines():
            held = parse(line + b"\n", where)
            salt, number = bytes.fromhex(held.pop("sal")), held.pop("numero")
            given = hashlib.sha256(salt + canonical(held)).hexdigest()
            report.need(log.captures.get(number) == given, "EVI-7", f"{where}: lo de la hoja {number} es otra cosa")


# --- openssl ----------------------------------------------------------------------------------------------------------


def openssl(words: str, **files: bytes) -> tuple[int, str, bytes]:
    """Run openssl in a folder with those files: its exit code, all it says, and what it wrote into «salida»."""
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
    """The files beside a SHA256SUMS, each judged by openssl at the hour that it says of itself."""
    beside = [name for name in BESIDE[1:] if tree.exists(f"{corte.folder}/SHA256SUMS.{name}")]
    stamped = any(name.endswith("tsr") for name in beside)
    for check in SEALS:
        wanted = check == "AUT-4" and trust.ca and not trust.tsa_ca
        if stamped if wanted else beside and not trust.ca:
            report.unread[check].append("hay sellos, y sin --ca y --tsa-ca no se sabe si son de quien deben ser")
        elif wanted or not trust.ca:
            report.not_asked[check] = "no hay sellos, y no se dijo en qué autoridad se confía"
    if not trust.ca or not corte.content:
        return
    simulacro = bool(corte.manifest and corte.manifest["simulacro"])
    hours, stamps, is_rsa = [], [], False
    for name, must in (("p7s", True), ("firma.p7s", False)):
        where = f"{corte.folder}/SHA256SUMS.{name}"
        with report.step("AUT-2", *SEALS[1::2]):
            try:
                seal = tree.read(where, MEGA)
            except Absent:
                report.need(not must, "AUT-2", f"falta {where}, el sello de la institución")
                continue
            said = openssl("cms -cmsout -print -noout -inform DER -in sello", sello=seal)[1]
            moment = openssl_hour(
                re.search(r"signingTime.*?(?:UTCTIME|GENERALIZEDTIME):([^\n]*)", said, re.DOTALL), where
            )
            words = "cms -verify -cades -binary -inform DER -in sello -content sumas -CAfile autoridad -no-CApath"
            words += f" -no-CAstore -purpose smimesign -attime {int(moment.timestamp())} -signer salida -out nada"
            code, said, signer = openssl(words, sello=seal, sumas=corte.content, autoridad=trust.ca)
            report.need(code == 0, "AUT-2", f"{where}: {reason(said)}")
            said = openssl("x509 -noout -text -in quien", quien=signer)[1] if code == 0 else ""
            is_rsa = is_rsa or (must and "rsaEncryption" in said)
            judge_development(said, where, simulacro, report)
            hours.append((where, moment))
    where = f"{corte.folder}/SHA256SUMS.sello"
    with report.step("AUT-3"):
        try:
            hours.append(
                (where, judge_sello(tree.read(where, 64 * KILO).decode(), corte, where, trust, simulacro, report))
            )
        except Absent:
            report.need(not is_rsa, "AUT-3", f"falta {where}, que va con todo sello RSA")
    for name in ("tsr", "2.tsr") if trust.tsa_ca else ():
        where = f"{corte.folder}/SHA256SUMS.{name}"
        with report.step("AUT-4"), contextlib.suppress(Absent):
            stamp = tree.read(where, 64 * KILO)
            said = openssl("ts -reply -in sello -text", sello=stamp)[1]
            moment = openssl_hour(re.search(r"Time stamp: ([^\n]*)", said), where)
            words = f"ts -verify -in sello -data sumas -CAfile autoridad -attime {int(moment.timestamp())}"
            code, said, _ = openssl(words, sello=stamp, sumas=corte.content, autoridad=trust.tsa_ca)
            report.need(code == 0, "AUT-4", f"{where}: {reason(said)}")
            token = openssl("ts -reply -in sello -token_out -out salida", sello=stamp)[2]
            said = openssl("pkcs7 -inform DER -in sello -print_certs -noout", sello=token)[1]
            judge_development(said, where, simulacro, report)
            stamps.append((where, moment))
    if trust.tsa_ca and not stamps:
        report.unread["AUT-4"].append(f"{corte.folder}: no hay ningún sello de tiempo todavía")
    with report.step("AUT-5"):
        least = at(corte.manifest["fecha_hora"]) if corte.manifest else None
        now = datetime.now(UTC) + TOLERANCE
        for where, moment in [*hours, *stamps]:
            report.need(moment <= now, "AUT-5", f"{where}: su hora todavía no llega")
            report.need(
                not least or moment + TOLERANCE >= least, "AUT-5", f"{where}: su hora es anterior a la del corte"
            )
        for where, moment in stamps:
            right = not hours or moment + TOLERANCE >= hours[0][1]
            report.need(right, "AUT-5", f"{where}: su hora es anterior a la del sello")
        corte.sealed_at = hours[0][1] if hours else None
        earlier = before.sealed_at if before is not None else None
        right = not hours or not earlier or hours[0][1] + TOLERANCE >= earlier
        report.need(right, "AUT-5", f"{corte.folder}: su sello es anterior al del corte anterior")


def judge_sello(page: str, corte: Corte, where: str, trust: "Trust", simulacro: bool, report: Report) -> datetime:
    """The page of Mexican official documents: the string, its signature, the certificate, and what is said of them."""
    strings = re.findall(r"^\|\|1\.0\|SHA256SUMS\|(.*?)\|(.*?)\|(.*?)\|(.*?)\|\|$", page, re.MULTILINE)
    signature = re.findall(r"^Sello digital \(RSA-SHA256, en base64\):\n(\S+)$", page, re.MULTILINE)
    certificate = re.findall(r"-----BEGIN CERTIFICATE-----[\w+/=\s]+-----END CERTIFICATE-----\n", page)
    if not len(strings) == len(signature) == len(certificate) == 1 or page.count("||1.0|") != 2:
        raise Bad(f"{where}: no es un sello digital con su cadena, su firma y su certificado")
    digest, hour, number, name = strings[0]
    told = f"\nFirma: {name}\nNúmero de certificado: {number}\nFecha y hora: {hour}\n"
    told += f"Huella SHA-256 de SHA256SUMS: {digest}\n"
    report.need(told in page and digest == corte.digest, "AUT-3", f"{where}: es de otro SHA256SUMS, o dice dos cosas")
    moment, pem = at(hour), certificate[0].encode()
    key = openssl("x509 -in quien -noout -pubkey -out salida", quien=pem)[2]
    text = f"||1.0|SHA256SUMS|{digest}|{hour}|{number}|{name}||".encode()
    words = "dgst -sha256 -verify llave -signature firma texto"
    code, said, _ = openssl(words, llave=key, firma=plain64(signature[0]), texto=text)
    report.need(code == 0, "AUT-3", f"{where}: {reason(said)}")
    words = "verify -CAfile autoridad -no-CApath -no-CAstore -purpose smimesign -attime"
    code, said, _ = openssl(f"{words} {int(moment.timestamp())} quien", quien=pem, autoridad=trust.ca)
    report.need(code == 0, "AUT-3", f"{where}: {reason(said)}")
    said = openssl("x509 -noout -text -nameopt utf8 -in quien", quien=pem)[1]
    report.need(f"CN={name}" in said.replace("CN = ", "CN="), "AUT-3", f"{where}: no firma quien dice")
    judge_development(said, where, simulacro, report)
    return moment


def judge_development(said: str, where: str, simulacro: bool, report: Report) -> None:
    right = simulacro or "SIN VALIDEZ" not in said
    report.need(right, "AUT-5", f"{where}: un certificado de desarrollo, sin validez, en lo que no es un simulacro")


def openssl_hour(found: re.Match[str] | None, where: str) -> datetime:
    """As openssl prints it: «Jun  2 20:00:00 2024 GMT», with a fraction of a second or without."""
    try:
        text = re.sub(r"\.\d+", "", found[1] if found else "").strip()
        return datetime.strptime(text, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    except (TypeError, ValueError):
        raise Bad(f"{where}: no es una firma de openssl, o no dice su hora") from None


def reason(said: str) -> str:
    """Why openssl refused, in its own words: there are too many of them to translate."""
    found = re.findall(r"(?:[Vv]erify error:? ?|error \d+ at \d+ depth lookup: ?|:reason=|::)([^\n]+)", said)
    return f"openssl no lo acepta ({printable(found[0] if found else 'sin decir por qué')[:120]})"


# --- the command ------------------------------------------------------------------------------------------------------


class Trust:
    """What the reader brought, none of it from the tree."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.key = asked.log_key
        self.policy, self.checkpoint = take(asked.log_policy), take(asked.checkpoint)
        self.ca, self.tsa_ca = take(asked.ca), take(asked.tsa_ca)


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

    def error(self, message: str) -> NoReturn:  # noqa: ARG002 - argparse words it in English
        sys.stderr.write("No se entiende la orden.\n\n" + self.format_help())
        raise SystemExit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # the terminal's own
    parser = Parser()
    parser.add_argument("source")
    for name in ("--log-key", "--log-policy", "--checkpoint", "--ca", "--tsa-ca"):
        parser.add_argument(name)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    try:
        report = verify(asked.source, Trust(asked))
        print(report.as_json() if asked.json else report.as_text())
        return report.exit_code()
    except Unread as problem:
        print(f"? {printable(problem)}.")
    except KeyboardInterrupt:
        print("? Se interrumpió.")
    except Exception as error:  # noqa: BLE001 - never a traceback, and what nobody foresaw is never a pass
        print(f"? No se pudo comprobar: error inesperado ({type(error).__name__}).")
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
