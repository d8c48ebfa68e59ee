"""The place of each file of a published tree: one table for the programs that write, copy and verify the tree.

    index.json                              the last corte; the one file beside the pages that changes
    cortes/0003/…                           a corte: its files, SHA256SUMS, and beside that list its seals and stamps
    imagenes/ab/ab….jpg                     an image, by its SHA-256
    zip/…                                   a corte as one file
    catalogo/                               the catalogue, from before the first corte: SHA256SUMS, catalogo.json, and
        actas_GOB.csv                       the expected actas of each election
    seccion/28-0749.html                    the casillas of a sección, in every election; its twin is 28-0749.json
    lugares/09-esc.json                     places of casillas with a word that begins so, and indice.json, their list
    cambios/0003.json                       the pages that a corte wrote
    cambios/0003.tar.gz                     these pages, and the files of the corte, in one file
    esquemas/manifest.json                  the JSON Schema of each kind of JSON in the tree
    datos/0003/                             the clean data of a corte: SHA256SUMS and its files (`tree.clean`)
    bitacora/                               the log: its checkpoint and tiles (`log.tiles`), and
        politica.txt                        whose signatures make a checkpoint good
        acuses/ab/ab….tlog-proof            that an image is in the log
        aperturas/0003.jsonl                the statements of people behind the actas that a corte brought out
        rotaciones/0001.tlog-proof          how the log came to another key (`log.rotation`)

`minimal_verifier.py` shares no code with other files: it repeats these paths.
"""

from typing import Final

INDEX: Final = "index.json"
CORTES: Final = "cortes"
IMAGES: Final = "imagenes"
ZIPS: Final = "zip"
LOG: Final = "bitacora"
CATALOGUE: Final = "catalogo"
CATALOGUE_JSON: Final = "catalogo.json"
"""In the folder of the catalogue, beside the expected actas and their SHA256SUMS."""
POLICY: Final = "politica.txt"
"""In the folder of the log."""
ROTATIONS: Final = "rotaciones"

SITE_FILES: Final = ("VERIFICA.txt", "estilo.css", "verificar.html")
"""Beside the pages: the same bytes in every night of a release. The manifest states their digests."""

SITE_PROGRAM: Final = "sitio.js"
"""The one program of the pages. A manifest that states its digest is of a release with the pages named below."""
SITE_PARTS: Final = ("buscar.js", "comprobacion.js", "prueba.js")
"""Parts of that program, which it loads if a reader asks for them. The manifest states them too."""
LOGOS: Final = ("logo.svg", "logo.png")
"""The institute's logo, under one of these names, if the declaration has one. The manifest states it too."""
ROOT_PAGES: Final = (
    *("accesibilidad.html", "casilla.html", "como-verificar.html", "datos.html", "desarrolladores.html"),
    *("glosario.html", "que-es.html"),
)
"""Beside index.html: pages in words."""
HOME_TWIN: Final = "inicio.json"
FEED: Final = "cortes.atom"
LISTS: Final = ("corregidas", "fuera-de-catalogo", "observadas", "sin-acta")
"""Of each election: lists of actas with reasons, `sin-acta.html`, and `sin-acta-2.html` if one page is not enough."""
CARD: Final = "tarjeta.html"
"""Of each election: a small page that other sites may show inside theirs."""
PICTURE: Final = "tarjeta.png"
"""Of each election: the picture that other sites show beside a link. No check reads it."""
SECTIONS: Final = "seccion"
CHANGES: Final = "cambios"
PLACES: Final = "lugares"
PLACES_INDEX: Final = "lugares/indice.json"
"""Every file of that folder with its SHA-256, if the catalogue states places. The manifest states this one."""
DATA: Final = "datos"
DATA_PAGE: Final = "datos.html"
"""The page that links every file, and the clean data as soon as they are there."""
SCHEMAS: Final = "esquemas"
SCHEMA_NAMES: Final = (
    *("apertura", "cambios", "catalogo", "hoja", "index", "indice", "lista", "lugares", "manifest", "pagina"),
    *("seccion", "totals"),
)
"""Kinds of JSON in the tree, each with its JSON Schema. The manifest states the digests of those of its release."""

SUMS: Final = "SHA256SUMS"
CORTE_PROOF: Final = "SHA256SUMS.tlog-proof"
"""The proof of a corte, in its folder. It is not among its SHA256SUMS, and may come some seconds after them."""
SEALS: Final = tuple(f"{SUMS}.{kind}" for kind in ("p7s", "firma.p7s", "sello", "tsr", "2.tsr"))
"""Seals and time stamps of a SHA256SUMS (`authenticity.BESIDE`)."""
BESIDE_SUMS: Final = frozenset({SUMS, CORTE_PROOF, *SEALS})
"""Files of a corte that its SHA256SUMS does not name. All but SHA256SUMS may come after the others: no corte waits for
the log longer than two seconds, and none waits for a key that cannot be used or for an authority that stamps time."""


def corte_folder(number: int) -> str:
    """The folder of a corte: four digits, more from 10 000 on."""
    return f"{CORTES}/{number:04}"


def catalogue_actas(election: str) -> str:
    """In the folder of the catalogue: the expected actas of an election."""
    return f"actas_{election}.csv"


def section_page(entidad: int, seccion: int) -> str:
    """The page of a sección; 0 is for casillas that belong to none."""
    return f"{SECTIONS}/{entidad:02}-{seccion:04}.html"


def section_block(entidad: int, seccion: int) -> str:
    """The page that lists the hundred secciones around this one."""
    return f"{SECTIONS}/{entidad:02}-{seccion // 100:02}xx.html"


def place_words(entidad: int, prefix: str) -> str:
    """The places of an entidad with a word that begins with this prefix."""
    return f"{PLACES}/{entidad:02}-{prefix}.json"


def changes_path(corte: int) -> str:
    """The pages that a corte wrote, and the way to the list of the next corte."""
    return f"{CHANGES}/{corte:04}.json"


def delta_path(corte: int) -> str:
    """The pages that a corte wrote and its files, in one file. It comes after the corte; it may be missing."""
    return f"{CHANGES}/{corte:04}.tar.gz"


def data_folder(corte: int) -> str:
    """The clean data of a corte. They come after it, whole."""
    return f"{DATA}/{corte:04}"


def schema_path(name: str) -> str:
    """The JSON Schema of a kind of JSON."""
    return f"{SCHEMAS}/{name}.json"


def twin_of(page: str) -> str:
    """The JSON twin of a page; "" if the page has no figures and so no twin."""
    if page == "index.html":
        return HOME_TWIN
    return "" if page in ROOT_PAGES else page.removesuffix(".html") + ".json"


def image_path(sha256: str, extension: str) -> str:
    """The path of an image: a folder for each first two digits, so that no folder holds a million files."""
    return f"{IMAGES}/{sha256[:2]}/{sha256}.{extension}"


def proof_path(sha256: str) -> str:
    """The proof of an image. The receipt names this path before the proof exists."""
    return f"{LOG}/acuses/{sha256[:2]}/{sha256}.tlog-proof"


def opening_path(corte: int) -> str:
    """The file in which the captures of the actas of a corte are opened."""
    return f"{LOG}/aperturas/{corte:04}.jsonl"


def rotation_path(number: int) -> str:
    """In the folder of the log: the proof of the rotation with that number, from 1 on."""
    return f"{ROTATIONS}/{number:04}.tlog-proof"
