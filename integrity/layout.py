"""Where each file of a published tree is: one place for those who write the tree, copy it and verify it.

    index.json                              the last corte; the one file beside the pages that changes
    cortes/0003/…                           a corte: its files, SHA256SUMS, and beside that list who vouches for it
    imagenes/ab/ab….jpg                     an image, by its SHA-256
    zip/…                                   a corte as one file
    bitacora/                               the log: its checkpoint and tiles (`log.tiles`), and
        politica.txt                        whose signatures make a checkpoint good
        acuses/ab/ab….tlog-proof            that an image is in the log
        aperturas/0003.jsonl                what was typed for the actas that a corte brought out
        rotaciones/0001.tlog-proof          how the log came to another key (`log.rotation`)

`minimal_verifier.py` shares no code with anybody: it has these paths once more.
"""

from typing import Final

INDEX: Final = "index.json"
CORTES: Final = "cortes"
IMAGES: Final = "imagenes"
ZIPS: Final = "zip"
LOG: Final = "bitacora"
POLICY: Final = "politica.txt"
"""In the folder of the log."""
ROTATIONS: Final = "rotaciones"

SUMS: Final = "SHA256SUMS"
CORTE_PROOF: Final = "SHA256SUMS.tlog-proof"
"""The proof of a corte, in its folder. It is not among its SHA256SUMS, and may come some seconds after them."""
SEALS: Final = tuple(f"{SUMS}.{kind}" for kind in ("p7s", "firma.p7s", "sello", "tsr", "2.tsr"))
"""Who vouches for a SHA256SUMS, and since when (`authenticity.BESIDE`)."""
BESIDE_SUMS: Final = frozenset({SUMS, CORTE_PROOF, *SEALS})
"""Files of a corte that its SHA256SUMS does not name. All but SHA256SUMS may come after the others: no corte waits for
the log longer than two seconds, nor for a key that is away, nor for an authority that stamps time."""


def corte_folder(number: int) -> str:
    return f"{CORTES}/{number:04}"


def image_path(sha256: str, extension: str) -> str:
    return f"{IMAGES}/{sha256[:2]}/{sha256}.{extension}"


def proof_path(sha256: str) -> str:
    """The proof of an image: the receipt says so before there is one."""
    return f"{LOG}/acuses/{sha256[:2]}/{sha256}.tlog-proof"


def opening_path(corte: int) -> str:
    """Where the captures of the actas that a corte brought out are opened."""
    return f"{LOG}/aperturas/{corte:04}.jsonl"


def rotation_path(number: int) -> str:
    """In the folder of the log: the proof of the rotation of that number, from 1 on."""
    return f"{ROTATIONS}/{number:04}.tlog-proof"
