"""The official file of a corte from the one of the corte before: rows that did not change are copied, never made again.

The rows of a file stand in the order of the catalogue, so an acta has the same line in every corte. Only actas with a
version that no corte before has shown can have another row. The file before is trusted only if its bytes are those on
record: `SHA256SUMS` has the digest that the database holds, and the file has the digest in that list. It is read once,
and hashed on the way; if anything is not as it must be, the answer is «no», and the caller makes the whole file.
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from integrity.layout import SUMS, corte_folder
from integrity.sums import Malformed, read_sums
from prep.domain.corte import Corte

PREAMBLE: Final = 7
"""Lines above the rows: `official.head` writes them anew."""
_BLOCK: Final = 1 << 20
_LONGEST_LINE: Final = 1 << 16
_FUERA: Final = b"-,-,"
"""The beginning of a row fuera de catálogo: they stand at the end, and are written anew."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The file of the corte before, and the SHA-256 that it must have."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row that this corte shows for the first time."""

    place: int
    """In the order of the catalogue, from 0."""
    line: bytes
    """Without an end of line."""


def file_before(public: Path, before: Corte | None, name: str) -> Kept | None:
    """The file with that name in the corte before, as the record of that corte vouches for it; None without one."""
    if before is None:
        return None
    folder = public / corte_folder(before.number)
    try:
        sums = (folder / SUMS).read_bytes()
        digest = read_sums(sums).get(name) if hashlib.sha256(sums).hexdigest() == before.sums else None
    except (OSError, Malformed):
        return None
    return None if digest is None else Kept(folder / name, digest)


def follow(kept: Kept, target: Path, above: bytes, changed: Sequence[ChangedRow], below: bytes, *, rows: int) -> bool:
    """Write `target`: `above`, the `rows` rows of the catalogue with `changed` in their places, and `below`.

    False if the file before is lost or is not the one on record, or if it has another acta in the place of a changed
    row: then `target` holds anything.
    """
    try:
        with kept.path.open("rb") as old, target.open("wb") as new:
            hashed = hashlib.sha256()
            for _ in range(PREAMBLE):
                hashed.update(old.readline(_LONGEST_LINE))
            new.write(above)
            done = _copy_rows(_whole_lines(old, hashed), new, changed, rows)
            new.write(below)
    except FileNotFoundError:
        if target.parent.exists():  # else another publisher has taken the stage away
            return False
        raise
    return done and hashed.hexdigest() == kept.sha256


def _whole_lines(old: IO[bytes], hashed: "hashlib._Hash") -> Iterator[bytes]:
    """The rest of the file in pieces of whole lines; a last piece without an end, if there is one."""
    rest = b""
    while block := old.read(_BLOCK):
        hashed.update(block)
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end]
            rest = b""
        rest += block[end:]
    if rest:
        yield rest


def _copy_rows(pieces: Iterator[bytes], new: IO[bytes], changed: Sequence[ChangedRow], rows: int) -> bool:
    waiting = deque(changed)
    place = 0
    for piece in pieces:
        count = piece.count(b"\n")
        end = min(place + count, rows)
        # Most pieces are copied as they are on a calm night, and none in the peak hour.
        if end < place + count or (waiting and waiting[0].place < end):
            lines = piece.split(b"\n")
            # The rows fuera de catálogo stand behind those of the catalogue.
            if not all(line.startswith(_FUERA) for line in lines[end - place : -1]):
                return False
            lines = lines[: end - place]
            while waiting and waiting[0].place < end:
                row = waiting.popleft()
                if _keys(lines[row.place - place]) != _keys(row.line):
                    return False
                lines[row.place - place] = row.line + b"\r"
            piece = b"".join([line + b"\n" for line in lines])  # noqa: PLW2901  # the piece as it goes out
        if piece[piece.rfind(b"\n", 0, -1) + 1 :].startswith(_FUERA):
            return False
        new.write(piece)
        place = end
    return place == rows and not waiting


def _keys(line: bytes) -> list[bytes]:
    """CLAVE_CASILLA and CLAVE_ACTA."""
    return line.split(b",", 2)[:2]
