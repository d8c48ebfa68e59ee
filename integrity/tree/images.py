"""The images of a published tree: exactly those that the cortes list; each is named by the digest of its bytes."""

import csv
import re
from typing import Final

from integrity.layout import IMAGES, image_path
from integrity.leaves import NO_ACTA
from integrity.report import Ledger
from integrity.source import Missing, PathKind, Source, SourceError
from integrity.sums import HEX, in_threads
from integrity.tree.tree import PublishedCorte, Seen, blame, entries, judge_entry

_IMAGE_LIMIT: Final = 256 << 20
_EXTENSION: Final = re.compile("jpg|png|webp|tif|pdf|avif|gif|bmp")
_IMAGES_HEADER: Final = ["SHA256", "ARCHIVO", "CLAVE_ACTA"]
_PREFIX: Final = re.compile("[0-9a-f]{2}")


def read_images(corte: PublishedCorte, seen: Seen, ledger: Ledger) -> None:
    """Read `images.csv` into the list of images: in order, each image at the address that its digest gives."""
    path = f"{corte.folder}/images.csv"
    if corte.manifest is not None:
        told = corte.manifest.raw["correcciones"]
        seen.taken_back |= {held["acta"].strip("'") for held in told if held["motivo"] == "retiro"}
    fetched = corte.files.get("images.csv")
    if fetched is None:
        ledger.unable(["COM-05", "COM-06", "INT-04"], f"falta {path}")
        return
    ledger.did("COM-05")
    last: list[str] = []
    try:
        with fetched.local.open(encoding="utf-8-sig", newline="") as handle:
            for number, cells in enumerate(csv.reader(handle, strict=True), start=1):
                expected = _judge_image_row(number, cells, last)
                if expected:
                    found = ",".join(cells)
                    ledger.wrong("COM-05", path, expected=expected, found=found, position=f"línea {number}")
                elif number > 1:
                    sha256, address, clave = cells
                    extension = seen.extension(sha256) or address.rpartition(".")[2]
                    # One image may belong to several actas; a national night has a million images, so that one string
                    # holds them.
                    seen.images[sha256] = " ".join((extension, *seen.claves(sha256), clave.strip("'")))
                    (seen.skipped.discard if corte.whole else seen.skipped.add)(sha256)
                    if clave == NO_ACTA:
                        seen.fuera.setdefault(sha256, corte.number)
                    last = cells
    except (UnicodeDecodeError, csv.Error):
        ledger.wrong("COM-05", path, expected="un CSV en UTF-8", found="otra cosa")
    # Corte 0 shows that no acta has arrived: the opening ceremony (domain.md §8).
    if corte.number == 0 and last:
        ledger.wrong("CON-02", path, expected="un corte 0 sin imágenes", found="una imagen")


def _judge_image_row(number: int, cells: list[str], last: list[str]) -> str:
    """The text that a line of images.csv should have; empty if the line is right."""
    if number == 1:
        return "" if cells == _IMAGES_HEADER else ",".join(_IMAGES_HEADER)
    if len(cells) != len(_IMAGES_HEADER) or HEX.fullmatch(cells[0]) is None:
        return "huella, dirección y clave de una imagen"
    sha256, address, clave = cells
    extension = address.rpartition(".")[2]
    if _EXTENSION.fullmatch(extension) is None or address != image_path(sha256, extension):
        return image_path(sha256, "jpg|png|webp|tif|pdf|avif|gif|bmp")
    if clave != "-" and not clave.strip("'").isalnum():
        return "la clave de un acta, o «-»"
    return "" if [sha256, clave] > [*last[:1], *last[2:]] else "imágenes en orden y sin repetir"


def judge_codes(last: PublishedCorte, seen: Seen, ledger: Ledger) -> None:
    """Each CODIGO_INTEGRIDAD of the last corte is an image that images.csv lists for that acta (COM-06)."""
    if last.manifest is None or len(last.tables) < len(last.manifest.elections):
        ledger.unable(["COM-06"], f"{last.folder}: sus filas no se pudieron leer")
    else:
        _judge_claves(last, seen, ledger)
    for code, table in last.tables.items():
        ledger.did("COM-06", len(table.published))
        for clave, sha256 in table.published.items():
            # An image of another acta under this row would pass every digest, but not this.
            if sha256 != "-" and clave not in seen.claves(sha256):
                found = f"{sha256}, que images.csv no lista para ella"
                ledger.wrong("COM-06", last.folder, expected=f"la imagen del acta {clave} de {code}", found=found)


def _judge_claves(last: PublishedCorte, seen: Seen, ledger: Ledger) -> None:
    """Each image is of an acta that the rows show as captured, or that two people took back, or of none."""
    tables = [table.published for table in last.tables.values()]
    for sha256 in seen.images:
        for clave in seen.claves(sha256):
            if clave != "-" and clave not in seen.taken_back and not any(clave in each for each in tables):
                ledger.wrong(
                    "COM-06", last.folder, expected=f"una fila que muestre {clave}", found=f"su imagen {sha256}"
                )


def judge_image_folders(tree: Source, seen: Seen, ledger: Ledger) -> None:
    """Images in the folders that no corte lists. Images that are missing are found by `judge_images`."""
    if not tree.listable:
        return
    # Two levels: `ab/ab….jpg`. A name in the wrong folder is as strange as an unknown one.
    for prefix, its_kind in entries(tree, IMAGES, ledger).items():
        path = f"{IMAGES}/{prefix}"
        known = _PREFIX.fullmatch(prefix) is not None
        judge_entry(path, its_kind, "COM-05", ledger, seen, known=known, wanted=PathKind.FOLDER)
        for name, kind in entries(tree, path, ledger).items() if its_kind is PathKind.FOLDER else ():
            sha256, _, extension = name.rpartition(".")
            known = sha256[:2] == prefix and seen.extension(sha256) == extension != ""
            judge_entry(f"{path}/{name}", kind, "COM-05", ledger, seen, known=known)


def judge_images(tree: Source, seen: Seen, ledger: Ledger) -> None:
    """The bytes of each listed image have the digest in its name (INT-04); a missing one is COM-05."""
    ledger.did("INT-04", 0)
    paths = (image_path(sha256, seen.extension(sha256)) for sha256 in sorted(seen.images.keys() - seen.skipped))
    outcomes = in_threads(lambda path: tree.digest(path, _IMAGE_LIMIT), paths, tree.threads)
    for path, outcome in outcomes:
        if isinstance(outcome, Missing):
            ledger.wrong("COM-05", path, expected="esta imagen", found="nada")
        elif isinstance(outcome, SourceError):
            blame(outcome, ["INT-04"], path, ledger)
        else:
            ledger.did("INT-04")
            expected = path[len(f"{IMAGES}/xx/") :].partition(".")[0]
            if outcome != expected:
                ledger.wrong("INT-04", path, expected=expected, found=outcome)
