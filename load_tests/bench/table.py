"""The stored figures as the tables of docs/measurements.md: `python -m load_tests.bench --table` writes them there."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from load_tests.bench.bench import RESULTS, Figure

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "measurements.md"
BEGIN: Final = "<!-- written by load_tests/bench/table.py -->\n"
END: Final = "<!-- to here -->"
_GROWTH: Final = "crecimiento"
_FORM: Final = "actas por segundo en plena noche, de la recepción a la cuenta (dos capturas, reglas, HTTP)"
_PAPERS: Final = {"actas dibujadas": "drawn actas", "formato oficial de 2024": "the official form of 2024"}

ENGLISH: Final[Mapping[str, str]] = {
    "catálogo nacional: 170000 casillas × 3 elecciones, validado y cargado": (
        "national catalogue, 170,000 casillas × 3, checked and loaded"
    ),
    "digitize: CPU por imagen frente a decodificar + QR + SHA-256": (
        "digitize, CPU for an image against bare decoding + QR + SHA-256 of the same images"
    ),
    **{f"QR leídos, nivel {level}": f"QR read, drawn photographs of level {level}" for level in
       ("leve", "medio", "fuerte", "extremo")},
    **{f"QR, veces más rápido que pyzbar (mediana), nivel {level}": f"the same against pyzbar, median time, {level}"
       for level in ("leve", "medio", "fuerte", "extremo")},
    "corte de 50,000 actas, todos los archivos": "corte of 50,000 actas (5 % new), all files and pages",
    "corte de 50,000 actas con sus páginas / COPY + sha256sum + zip": "the same against plain COPY + sha256sum + zip",
    "memoria del publicador en ese corte": "memory of the publisher in that corte",
    "corte nacional, 170,000 casillas × 3, sin páginas": "national corte, 170,000 casillas × 3, without pages",
    "corte nacional / COPY + sha256sum + zip": "the same against plain COPY + sha256sum + zip",
    "corte nacional con 1 % de actas nuevas / COPY + sha256sum + zip": "the next one, with 1 % new, against the same",
    "corte nacional con sus páginas / COPY + sha256sum + zip": "the first one with its pages, against the same",
    "compuerta del corte nacional, más allá de leer los CSV como columnas": (
        "its gate, beyond reading the same CSV as columns"
    ),
    "memoria del publicador en el corte nacional": "memory of the publisher in the national corte",
    _FORM: "actas from upload to count over HTTP, two captures each, in the middle of a night: embedded",
    f"{_FORM}, Kafka de 1": "the same on one Kafka node",
    f"{_FORM}, Kafka de 3": "the same on three Kafka nodes",
    "CPU de un acta, todo menos el cliente, frente a decodificar + QR + SHA-256 de su imagen": (
        "processor time of a whole acta against bare decoding + QR + SHA-256 of its image, embedded"
    ),
    "CPU de un acta, Kafka de 3 frente a todo incluido": "the same time on three Kafka nodes against embedded",
    "teclas por acta además de los dígitos": (
        "terminal: keys per acta besides its digits, one for each field and one to send"
    ),
    "peticiones por acta": "terminal: requests per acta, its image included",
    "de Enter al campo siguiente, percentil 95": (
        "terminal: from an Enter to the next field on the screen, 95th percentile"
    ),
    "imágenes digitalizadas de extremo a extremo por segundo (Kafka)": (
        "images from upload to their acta, three Kafka nodes"
    ),
    "imágenes recibidas por segundo, con acuse (Kafka)": "images received with their receipt, three Kafka nodes",
    "espera del acuse, percentil 99 (Kafka)": "wait for that receipt, 99th percentile",
    "pausa tras matar un broker de tres": "longest pause after a Kafka node of three is killed",
    "pausa tras matar PostgreSQL": "longest pause after PostgreSQL is killed",
    **{f"memoria tras 100,000 mensajes: {part}": f"memory after 100,000 messages against after 10,000: {told}"
       for part, told in (("captura", "capture"), ("trabajador", "worker"), ("publicador", "publisher"))},
    "imágenes por segundo, decodificadores: 1": "images of 3300×2151 pixels with one decoding process",
    "imágenes por segundo, decodificadores: 2": "the same with two",
    "bitácora: 500,000 hojas de 300 bytes, en lotes de 1,000, a disco y firmadas": (
        "log: 500,000 leaves appended, on disk and signed"
    ),
    "bitácora: agregar las hojas / sus huellas": "the same against hashing the leaves and their parents",
    "bitácora: auditoría completa de 500,000 hojas, sin red": "log: the same 500,000 leaves audited",
    "bitácora: auditarlas / sus huellas": "the same against hashing the leaves and their parents",
    "bitácora: del acuse a la prueba de inclusión, percentil 99, 40 imágenes/s de 400 KB": (
        "from receipt to inclusion proof, 40 images of 400 KB a second, 99th percentile"
    ),
    "corte de 20,000 actas con bitácora, más que sin ella": "corte of 20,000 actas with its log, more than without",
    "páginas de actas por segundo y núcleo, cada una con su JSON": "pages of actas with their JSON twins, on one core",
    "páginas de secciones por segundo y núcleo": "pages of secciones on one core",
    "páginas de un corte con 6,000 actas cambiadas y sus secciones": (
        "processor time of the pages of 6,000 changed actas and their secciones"
    ),
    "páginas frente a escribir los mismos bytes": "pages against writing the same bytes",
    "sitio nacional desde cero, 170,000 casillas × 3": "the whole site of a national night from nothing, with corte 0",
    "páginas de un corte nacional con 6,000 actas cambiadas": "pages of a national corte with 6,000 changed actas",
    "ese corte: páginas frente a escribir los mismos bytes": "the same against writing the same bytes",
    "memoria del publicador y sus procesos en ese corte": "memory of the publisher and of its processes in both",
    "páginas servidas por nginx por segundo y núcleo, comprimidas al pedirlas": (
        "pages from nginx by one core, compressed as they are asked for"
    ),
    "páginas servidas por nginx frente a un archivo de los mismos bytes": (
        "the same against one file of the same bytes, not compressed"
    ),
    "espera del acuse con una avalancha en el sitio, mediana": (
        "wait for a receipt while a crowd asks the site for pages, against the same without it, median"
    ),
    "espera del acuse con una avalancha en el sitio, percentil 99": "the same, 99th percentile",
    "corpus hostil, tipos de archivo": "hostile pictures sent to a whole installation, an honest one between five",
    "corpus hostil, la respuesta más lenta de /healthz": "slowest answer of /healthz meanwhile",
    "corpus hostil, de acuse a lectura, la imagen honesta más lenta": "from receipt to reading, slowest honest image",
    "corpus hostil, memoria: captura": "most memory of capture meanwhile",
    "corpus hostil, memoria: trabajador": "most memory of the worker",
    "corpus hostil, memoria: un proceso que mira imágenes": "most memory of one process that looks into bytes",
    **{f"recortes con sus recuadros, {paper}, nivel {level}": f"fields shown with their strip, {told}, level {level}"
       for paper, told in _PAPERS.items()
       for level in ("buena", "media", "mala", "pésima")},
    **{f"recortes equivocados, {paper}, los cuatro niveles": f"fields shown with a wrong strip, {told}, all levels"
       for paper, told in _PAPERS.items()},
    **{f"CPU por acta para sus recortes, {paper}": f"CPU for the strips of an acta, {told}"
       for paper, told in _PAPERS.items()},
    "verificar 10,000 imágenes de 400 KB, frente a sus huellas con dos hilos": (
        "10,000 images of 400 KB verified, against hashing them with two threads"
    ),
}  # fmt: skip
"""The stored name of a figure, and what the table says. A figure that is not here stops the command."""

_UNITS: Final[Mapping[str, str]] = {"veces": "×", "tipos": "kinds", "imágenes/s": "images/s", "por s": "/s"}
_TARGETS: Final = {"<=": "≤", ">=": "≥", "<": "<"}


def stored() -> list[Figure]:
    figures: list[Figure] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return figures


def tables(figures: list[Figure]) -> str:
    """One row for each figure in the order of `ENGLISH`, then how a corte grows. Raises KeyError for an unknown one."""
    place = {name: at for at, name in enumerate(ENGLISH)}
    plain = sorted((each for each in figures if each["bench"] != _GROWTH), key=lambda each: place[each["name"]])
    lines = [
        "| what | measured | target | commit | turns of an empty loop before / after, million/s |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {ENGLISH[each['name']]} | {_measured(each)} | {_target(each)} | {each['commit']} "
        f"| {each['turns'][0]} / {each['turns'][1]} |"
        for each in plain
    ]
    grown = [each for each in figures if each["bench"] == _GROWTH]
    sizes = [re.findall(r"[\d,]+", each["name"])[0] for each in grown]
    steps = [dict(re.findall(r"(\w+) ([\d.]+)", each["peer"])) for each in grown]
    rows = [
        ["actas of the night", *sizes],
        ["---"] * (len(grown) + 1),
        ["seconds of a corte, without pages", *(f"{each['value']:g}" for each in grown)],
        ["of which rendering (`COPY`)", *(step["render"] for step in steps)],
        ["of which the gate", *(step["gate"] for step in steps)],
    ]
    machines = sorted({each["machine"] for each in figures})
    return "\n".join(
        [*lines, "", *(f"| {' | '.join(row)} |" for row in rows), "", f"Machine: {'; '.join(machines)}.", ""]
    )


def _measured(figure: Figure) -> str:
    unit = _UNITS.get(figure["unit"], figure["unit"])
    return f"{figure['value']:,} {unit}"


def _target(figure: Figure) -> str:
    sign, _, limit = figure["target"].partition(" ")
    if limit == "0":
        return "–"
    return f"{_TARGETS[sign]} {float(limit):,g}" + ("" if figure["met"] else " (not met)")


def written(document: str, figures: list[Figure]) -> str:
    """The document with these figures between its two marks."""
    before, _, rest = document.partition(BEGIN)
    return f"{before}{BEGIN}{tables(figures)}{END}{rest.partition(END)[2]}"


def write() -> None:
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8"), stored()), encoding="utf-8")
