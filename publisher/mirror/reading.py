"""Readers of the origin's files: the paths they name, the changes they make. A file that cannot be read diverges."""

import csv
import io
import tarfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from integrity.layout import CATALOGUE, DATA, data_folder
from integrity.leaves import read_leaf
from integrity.log.note import Checkpoint, Policy, Unsupported, read_checkpoint, read_policy, read_proof
from integrity.log.tiles import WIDTH, Differs, Tiles
from integrity.source import SourceError
from integrity.sums import Malformed, read_sums
from integrity.tree.documents import Manifest, PublishedElection, read_manifest
from publisher.mirror.divergence import Divergence
from publisher.mirror.stage import SUMS

_UNPACKED: Final = 4 << 30
_EXTENSIONS: Final = frozenset({"jpg", "png", "webp", "tif", "pdf", "avif", "gif", "bmp"})


def checkpoint_in(told: bytes) -> Checkpoint:
    """The checkpoint in these bytes. Raises Divergence if they are no checkpoint."""
    try:
        return read_checkpoint(told)
    except Malformed as problem:
        raise Divergence(
            f"el punto de control del origen: se esperaba {problem.expected}; hay {problem.found}"
        ) from None


def policy_in(told: bytes) -> Policy:
    """The policy in these bytes. Raises Divergence if they are no policy, or one with unknown keys."""
    try:
        return read_policy(told)
    except Malformed as problem:
        raise Divergence(f"politica.txt del origen: se esperaba {problem.expected}; hay {problem.found}") from None
    except Unsupported as problem:
        raise Divergence(f"politica.txt del origen: {problem.sentence}") from None


def is_witnessed(content: bytes, policy: Policy) -> bool:
    """Whether the proof has lines of the policy's quorum. If the lines are good is judged by `verify`."""
    try:
        # Only names and key ids are compared, because this runs for every image of the night.
        signed = {(each.name, each.key_id) for each in read_proof(content).checkpoint.note.signatures}
    except Malformed:
        return False
    return policy.is_met_by([name for name, each in policy.witnesses.items() if (each.key.name, each.key.id) in signed])


def sums_in(path: Path, name: str) -> dict[str, str]:
    """Digest by name, from a SHA256SUMS at `path`. Raises Divergence; `name` is for its sentence."""
    try:
        return read_sums(path.read_bytes())
    except Malformed as problem:
        raise Divergence(f"{name} del origen: se esperaba {problem.expected}; se encontró {problem.found}") from None


def manifest_in(content: bytes, name: str) -> Manifest:
    """The manifest in these bytes. Raises Divergence."""
    try:
        return read_manifest(content)
    except Malformed as problem:
        raise Divergence(f"{name} del origen: se esperaba {problem.expected}; se encontró {problem.found}") from None


def images_listed(path: Path) -> dict[str, str]:
    """The address of each image that a corte brought out, by digest."""
    found: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for cells in csv.reader(file, strict=True):
                if cells[:1] == ["SHA256"]:
                    continue
                digest, address, _ = cells
                extension = address.rpartition(".")[2]
                if address != f"imagenes/{digest[:2]}/{digest}.{extension}" or extension not in _EXTENSIONS:
                    raise Divergence(f"images.csv del origen nombra una imagen en «{address}»")
                found[digest] = address
    except (ValueError, csv.Error, FileNotFoundError):
        raise Divergence("images.csv del origen no se puede leer") from None
    return found


def immutable_paths(root: Path, number: int) -> list[str]:
    """The paths that a corte brought out, which never change; with the first one, the catalogue."""
    folder = f"cortes/{number:04}"
    # Files of the corte, its ZIP, and the images that it listed first.
    names = sums_in(root / folder / SUMS, folder)
    manifest = read_manifest((root / folder / "manifest.json").read_bytes())
    listed = root / CATALOGUE / SUMS
    expected = sums_in(listed, CATALOGUE) if number == 0 and listed.exists() else {}
    clean = root / data_folder(number) / SUMS
    data = [SUMS, *sums_in(clean, DATA)] if clean.exists() else []
    return [
        *(f"{CATALOGUE}/{name}" for name in ([SUMS, *expected] if expected else ())),
        *(f"{folder}/{name}" for name in names),
        *(f"{data_folder(number)}/{name}" for name in data),
        manifest.zip_name,
        *images_listed(root / folder / "images.csv").values(),
    ]


def pages_in_delta(content: bytes, wanted: Collection[str], limit: int) -> dict[str, bytes]:
    """Those files of a delta (docs/tree.md) that are wanted, each of at most `limit` bytes. Raises Malformed.

    No name of it chooses a place: files that nobody asked for are passed over.
    """
    found: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r|gz") as archive:
            for entry in archive:
                total += entry.size
                if total > _UNPACKED:
                    raise Malformed(f"hasta {_UNPACKED} bytes", "más")
                if entry.isreg() and entry.name in wanted and entry.size <= limit:
                    file = archive.extractfile(entry)
                    found[entry.name] = file.read() if file is not None else b""
    except (tarfile.TarError, OSError, EOFError, zlib.error, UnicodeError, ValueError):
        raise Malformed("un tar.gz", "otra cosa") from None
    return found


def root_at(tiles: Tiles, size: int) -> bytes:
    """The root of the first `size` leaves. Raises Divergence if a tile is missing or wrong."""
    try:
        return tiles.root_at(size)
    except (SourceError, Differs) as problem:
        said = problem.sentence if isinstance(problem, SourceError) else f"{problem.path} no es lo que debe ser"
        raise Divergence(f"la bitácora del origen no está entera: {said}") from None


def images_logged(tiles: Tiles, first: int) -> set[str]:
    """Digests of the images among the leaves from `first` on."""
    found: set[str] = set()
    try:
        for bundle in range(first // WIDTH, -(-tiles.size // WIDTH)):
            for entry in tiles.entries(bundle):
                # Most leaves are captures and versions: the text is searched before the JSON is read.
                leaf = read_leaf(entry) if b'"tipo":"imagen"' in entry else {"tipo": ""}
                if leaf["tipo"] == "imagen":
                    found.add(leaf["sha256"])
    except (SourceError, Differs, Malformed):
        raise Divergence("la bitácora del origen tiene hojas que no se pueden leer") from None
    return found


def rows_of(root: Path, manifest: Manifest, election: PublishedElection) -> dict[str, tuple[int, str]]:
    """By clave: a number for the content of its row, and the page of its place, with «+» in front if it is captured."""
    path = root / f"cortes/{manifest.corte:04}" / election.archivo
    territory = {"municipio": "ID_MUNICIPIO"}.get(election.territory, f"ID_{election.territory.upper()}")
    found: dict[str, tuple[int, str]] = {}
    header: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for cells in csv.reader(file, strict=True):
                if not header:
                    header = cells if cells[:1] == ["CLAVE_CASILLA"] else []
                    continue
                row = dict(zip(header, cells, strict=True))
                if row["CLAVE_ACTA"] != "-":
                    place = f"lugar-{_number_or_zero(row['ID_ENTIDAD'])}-{_number_or_zero(row[territory])}.html"
                    captured = "+" if row["CONTABILIZADA"] != "-" else ""
                    found[row["CLAVE_ACTA"].strip("'")] = (hash(tuple(cells)), captured + place)
    except (ValueError, KeyError, csv.Error):
        raise Divergence(f"{path.name} del corte {manifest.corte} del origen no se puede leer") from None
    return found


def _number_or_zero(cell: str) -> int:
    return int(cell) if cell.isascii() and cell.isdigit() else 0


def pages_changed(
    election: PublishedElection, old: Mapping[str, tuple[int, str]], new: Mapping[str, tuple[int, str]], last: Manifest
) -> Iterator[str]:
    """The pages of an election that differ from one corte to another."""
    code = election.code
    yield f"{code}/index.html"
    whole = last.fase != "en curso"  # at the beginning and at the end, the publisher writes every place again
    # A captured acta has a page of its own; every acta stands on the page of its place.
    for clave, (row, place) in new.items():
        changed = old.get(clave, (None, ""))[0] != row
        if changed or whole:
            yield f"{code}/{place.removeprefix('+')}"
        if changed and place.startswith("+") and clave.isalnum():
            yield f"{code}/{clave}.html"
    if len(election.contests) > 1:
        yield from (f"{code}/contienda-{each.id}.html" for each in election.contests.values() if not each.territorio)
