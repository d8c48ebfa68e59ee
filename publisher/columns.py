"""The gate's second engine: it reads the rows of an official file as columns, many thousand at a time (numpy).

It certifies rows: those of which the plain engine (`publisher.gate_rows`) has nothing to say. A row is certified if it
is not captured and shows nothing; or if all its votes are numbers, it has no observation, and its total, its limit and
CONTABILIZADA follow from them. Rows that are not certified are read by the plain engine, one by one. If that finds
anything, or the file as a whole is not plain (another end of line, an acta twice, an image that is missing), the answer
is «no», and the plain engine reads all of it and tells. So both engines give the same verdict, in the same words; this
one only passes what it has recomputed.

numpy is an extra package (`columns`). Without it the plain engine reads all rows.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from integrity.tree.forms import BY_LISTA

if TYPE_CHECKING:
    from publisher.gate_rows import GateRows

_PREAMBLE: Final = 7
_BLOCK: Final = 2 << 20
"""Bytes that are columns at the same time: larger ones take more memory, and are no faster."""
_LONGEST_LINE: Final = 1 << 16
_FIRST_VOTE: Final = 16
_MOST_DIGITS: Final = 7
_TOTAL_DIGITS: Final = 9
_PLACES: Final = 10**6
"""Above every number of a territory."""
_SHA256: Final = 64
_HEX: Final = frozenset(b"0123456789abcdef")
_COMMA, _DASH, _ZERO, _ONE, _TWO = b",-012"
_N_A: Final = b"N/A"

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


class _NotPlainError(Exception):
    """The plain engine has to read this file: it will find something, or it can read what this engine cannot."""


@dataclass(slots=True)
class _Seen:
    """What must hold over all rows, and not row by row."""

    claves: set[bytes] = field(default_factory=set)
    images: list[npt.NDArray[np.bytes_]] = field(default_factory=list)
    fuera: bool = False
    """A row fuera de catálogo was read: from there on only such rows may come."""


def read(rows: "GateRows", path: Path, *, corrected: frozenset[str]) -> list[list[str]] | None:
    """Fill `rows` with the sums of the file; returns the lines above the rows.

    None, and `rows` is spoiled, if the plain engine must read the file.
    """
    try:
        with path.open("rb") as file:
            above = _read_above(file)
            if above[-1] != rows.columns:
                return None
            seen = _Seen()
            for block in _blocks(file):
                _read_block(rows, block, seen, corrected)
                if rows.findings:
                    return None
        _close(rows, seen)
    except (_NotPlainError, ValueError, csv.Error, IndexError):
        return None
    return None if rows.findings else above


def find_cells(path: Path) -> int:
    """Find every cell of an official file, and check nothing; returns how many there are. A measure for the rest."""
    with path.open("rb") as file:
        width = len(_read_above(file)[-1])
        return sum(_Cells(block, width).length.size for block in _blocks(file))


def _read_above(file: IO[bytes]) -> list[list[str]]:
    lines = [file.readline(_LONGEST_LINE) for _ in range(_PREAMBLE)]
    if not all(line.endswith(b"\r\n") and line.count(b"\r") == 1 and b"\0" not in line for line in lines):
        raise _NotPlainError
    above = [*csv.reader(b"".join(lines).decode("utf-8-sig").splitlines(keepends=True), strict=True)]
    if len(above) != _PREAMBLE:
        raise _NotPlainError
    return above


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The rest of the file in blocks of whole lines."""
    rest = b""
    while block := file.read(_BLOCK):
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end]
            rest = b""
        rest += block[end:]
        if len(rest) > _BLOCK:
            raise _NotPlainError
    if rest:
        raise _NotPlainError


class _Cells:
    """Where each cell of some lines stands in their bytes. All lines have the same number of cells."""

    def __init__(self, data: bytes, width: int) -> None:
        self.bytes: Bytes = np.frombuffer(data, np.uint8)
        separators = np.flatnonzero((self.bytes == _COMMA) | (self.bytes == 10))
        if separators.size % width:
            raise _NotPlainError
        self.stops = separators.reshape(-1, width)
        self.starts = np.empty_like(self.stops)
        self.starts[:, 1:] = self.stops[:, :-1] + 1
        self.starts[1:, 0] = self.stops[:-1, -1] + 1
        self.starts[:1, 0] = 0
        # Each line has all its cells if every last separator ends a line, and no other one does: they are counted.
        if (self.bytes[self.stops[:, -1]] != 10).any() or data.count(b"\n") != len(self.stops):
            raise _NotPlainError
        self.stops[:, -1] -= 1  # the CR of CRLF
        if (self.bytes[self.stops[:, -1]] != 13).any() or data.count(b"\r") != len(self.stops):
            raise _NotPlainError
        self.length = self.stops - self.starts
        self.first: Bytes = self.bytes[self.starts]
        self.nothing: Flags = self.holds(slice(None), _DASH)

    def __len__(self) -> int:
        return len(self.stops)

    def holds(self, columns: slice | int, character: int) -> Flags:
        """Whether a cell is that one character."""
        held: Flags = (self.length[:, columns] == 1) & (self.first[:, columns] == character)
        return held

    def numbers(self, columns: slice | int, digits: int, *, padded: bool = False) -> tuple[Numbers, Flags]:
        """Numbers of at most that many digits, without zeros before them unless `padded`; which cells hold one."""
        length, stops = self.length[:, columns], self.stops[:, columns]
        right: Flags = (length >= 1) & (length <= digits)
        if not padded:
            right &= (length == 1) | (self.first[:, columns] != _ZERO)
        value = np.zeros(length.shape, np.int64)
        for place in range(min(digits, int(length.max(initial=0)))):
            inside = length > place
            digit = np.where(inside, self.bytes[stops - 1 - place] - _ZERO, 0)  # a byte below «0» is a large number
            right &= digit <= 9
            value += digit.astype(np.int64) * 10**place
        value[~right] = 0
        return value, right

    def texts(self, rows: npt.NDArray[np.intp], column: int, width: int) -> npt.NDArray[np.bytes_]:
        """Cells of that many bytes."""
        at = self.starts[rows, column][:, None] + np.arange(width)
        return np.ascontiguousarray(self.bytes[at]).view(f"S{width}").ravel()


def _read_block(rows: "GateRows", data: bytes, seen: _Seen, corrected: frozenset[str]) -> None:
    if b"\0" in data:
        raise _NotPlainError
    data.decode()  # a file that is not UTF-8 raises ValueError
    data, quoted = _without_quotes(data, len(rows.columns))
    cells = _Cells(data, len(rows.columns))
    places, place_of = _places_of(cells)
    sure = _certified(rows, cells, places, place_of)
    _add_certified(rows, cells, sure, places, place_of)
    last = _FIRST_VOTE + len(rows.codes)
    seen.images.append(cells.texts(np.flatnonzero(sure.captured), last + 7, _SHA256))

    fuera = cells.holds(last + 5, _TWO)
    inside = np.flatnonzero(~fuera)
    starts, stops = cells.starts[inside, 1].tolist(), cells.stops[inside, 1].tolist()
    claves = [data[start:stop] for start, stop in zip(starts, stops, strict=True)]
    begins, ends = cells.starts[:, 0].tolist(), cells.stops[:, -1].tolist()
    if corrected:
        for at, clave in zip(inside.tolist(), claves, strict=True):
            if (name := clave.decode().strip("'")) in corrected:
                rows.place_of_clave[name] = rows.place_in(data[begins[at] : ends[at]].decode().split(","))
    _add_claves(seen, claves)

    for at in np.flatnonzero(~sure.rows).tolist():
        _read_one(rows, data[begins[at] : ends[at]].decode().split(","))
    outside = fuera.tolist()
    for at, found in quoted.items():  # from the first to the last, so that each finds its place among the others
        place = _read_one(rows, found)
        outside.insert(at, place is None)
        if place is not None:
            _add_claves(seen, [found[1].encode()])
            if (name := found[1].strip("'")) in corrected:
                rows.place_of_clave[name] = place
    # Behind the first row fuera de catálogo only such rows may stand.
    if outside != sorted(outside) or (seen.fuera and not all(outside)):
        raise _NotPlainError
    seen.fuera = seen.fuera or any(outside)
    rows.rows += len(outside)


def _without_quotes(data: bytes, width: int) -> tuple[bytes, dict[int, list[str]]]:
    """The lines without a quotation mark; and the cells of each line with one, by its number among all lines."""
    if b'"' not in data:
        return data, {}
    lines = data.split(b"\n")[:-1]
    quoted: dict[int, list[str]] = {}
    for at, line in enumerate(lines):
        if b'"' in line:
            if not line.endswith(b"\r") or line.count(b"\r") != 1:
                raise _NotPlainError
            quoted[at] = next(csv.reader([line.decode() + "\n"], strict=True))
            if len(quoted[at]) != width:
                raise _NotPlainError
    return b"".join([line + b"\n" for at, line in enumerate(lines) if at not in quoted]), quoted


def _add_claves(seen: _Seen, claves: Sequence[bytes]) -> None:
    before = len(seen.claves)
    seen.claves.update(claves)
    if len(seen.claves) != before + len(claves):
        raise _NotPlainError


def _places_of(cells: _Cells) -> tuple[list[tuple[int, int]], npt.NDArray[np.intp]]:
    """The places (entidad, territory) of these rows, and of each row its index among them; -1 for no readable place."""
    entidad, one = cells.numbers(2, 6, padded=True)
    territory, other = cells.numbers(4, 6, padded=True)
    nowhere = (cells.length[:, 4] == len(_N_A)) & (cells.first[:, 4] == _N_A[0])
    if nowhere.any():
        named = np.flatnonzero(nowhere)
        other[named] = cells.texts(named, 4, len(_N_A)) == _N_A
    keys, place_of = np.unique(entidad * _PLACES + territory, return_inverse=True)
    place_of[~(one & other)] = -1
    places = [divmod(key, _PLACES) for key in keys.tolist()]
    return places, place_of


@dataclass(slots=True)
class _Certified:
    """Of some lines: which rows are certified, and which of them count; the votes and the lista nominal of all."""

    rows: Flags
    captured: Flags
    votes: Numbers
    nominal: Numbers


def _certified(
    rows: "GateRows", cells: _Cells, places: Sequence[tuple[int, int]], place_of: npt.NDArray[np.intp]
) -> _Certified:
    last = _FIRST_VOTE + len(rows.codes)
    off = np.zeros((len(places) + 1, len(rows.codes)), np.bool_)  # the last one is of the rows without a place
    ballots = np.ones(len(places) + 1, np.int64)
    known = np.zeros(len(places) + 1, np.bool_)
    for at, place in enumerate(places):
        key = rows.contest_at(place)
        if key in rows.off_ballot:
            known[at] = True
            off[at, [*rows.off_ballot[key]]] = True
            ballots[at] = rows.ballots.get(key, 1)
    nominal, one = cells.numbers(last + 2, _MOST_DIGITS)
    representatives, other = cells.numbers(last + 3, _MOST_DIGITS)
    sound = known[place_of] & one & other

    pending: Flags = sound & cells.nothing[:, 12 : last + 2].all(axis=1) & cells.nothing[:, last + 4 :].all(axis=1)

    votes, numeric = cells.numbers(slice(_FIRST_VOTE, last), _MOST_DIGITS)
    here = off[place_of]
    votes[here] = 0
    read = np.where(here, cells.nothing[:, _FIRST_VOTE:last], numeric).all(axis=1)
    added = votes.sum(axis=1)
    total, written = cells.numbers(last + 1, _TOTAL_DIGITS)
    tipo = cells.first[:, 8]
    listed = (cells.length[:, 8] == 1) & np.isin(tipo, [ord(each) for each in BY_LISTA])
    over = ((nominal > 0) | listed) & (added > (nominal + representatives) * ballots[place_of])
    captured: Flags = sound & read & written & (total == added) & ~over
    captured &= cells.holds(last + 5, _ONE) & (cells.length[:, last + 4] == 0) & (cells.length[:, last + 7] == _SHA256)
    return _Certified(pending | captured, captured, votes, nominal)


def _add_certified(
    rows: "GateRows",
    cells: _Cells,
    sure: _Certified,
    places: Sequence[tuple[int, int]],
    place_of: npt.NDArray[np.intp],
) -> None:
    def by_place(which: Flags, amounts: Numbers | None = None) -> list[int]:
        weights = None if amounts is None else amounts[which]
        # The sums of doubles are exact up to 2^53, and a file has far fewer votes.
        found: list[int] = np.bincount(place_of[which], weights, len(places)).astype(np.int64).tolist()
        return found

    added = sure.votes.sum(axis=1)
    counts = [
        by_place(sure.rows),
        by_place(sure.captured),
        by_place(sure.captured, sure.nominal),
        by_place(sure.captured, added),
        by_place(sure.captured & ~cells.holds(8, ord("S")), added),
        by_place(sure.rows & ~sure.captured, sure.nominal),
    ]
    columns = [by_place(sure.captured, sure.votes[:, option]) for option in range(len(rows.codes))]
    for at, place in enumerate(places):
        if not counts[0][at]:
            continue
        part, sums = rows.sums_at(place)
        part.expected += counts[0][at]
        part.counted += counts[1][at]
        part.nominal += counts[2][at]
        part.all_votes += counts[3][at]
        part.plain_votes += counts[4][at]
        part.missing_nominal += counts[5][at]
        for option, column in enumerate(columns):
            sums[option] += column[at]


def _read_one(rows: "GateRows", cells: Sequence[str]) -> tuple[int, int] | None:
    """A row that was not certified, by the plain engine; returns its place."""
    last = _FIRST_VOTE + len(rows.codes)
    if cells[last + 5] == "2":
        rows.check_fuera(cells)
        return None
    place = rows.place_in(cells)
    part, sums = rows.sums_at(place)
    votes = rows.check_row(cells, cells[_FIRST_VOTE:last], rows.ballot_of(place, cells[1]), part)
    for option, count in enumerate(votes or ()):
        sums[option] += count
    return place


def _close(rows: "GateRows", seen: _Seen) -> None:
    """The sums of the whole, and the images: every CODIGO_INTEGRIDAD has its own."""
    for part, sums in rows.by_contest_place.values():
        rows.whole.add(part)
        rows.votes = [one + more for one, more in zip(rows.votes, sums, strict=True)]
    digests = np.sort(np.concatenate([np.zeros(0, f"S{_SHA256}"), *seen.images]))
    prefixes, first = np.unique(digests.astype("S2"), return_index=True)
    bounds = [*first.tolist(), len(digests)]
    for prefix, (start, end) in zip(prefixes.tolist(), pairwise(bounds), strict=True):
        if len(prefix) != 2 or not _HEX.issuperset(prefix):
            raise _NotPlainError
        if rows.missing_images(prefix.decode(), [*map(bytes.decode, digests[start:end].tolist())]):
            raise _NotPlainError
    rows.check_images()
