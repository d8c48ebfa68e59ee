"""A log as static files, the C2SP tlog-tiles layout: where each hash and each entry stands, and whether they agree.

    checkpoint                    the signed tree head
    tile/<L>/<N>[.p/<W>]          256 hashes (or W, while the tile is not full) of subtrees of 256^L leaves
    tile/entries/<N>[.p/<W>]      the same number of entries, each after its length in two bytes, big-endian

N is written in groups of three digits, all but the last after an x: 1234067 is x001/x234/067. A partial tile may be
removed once the full one is there; a reader that does not find it reads the beginning of the full one.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Final

from integrity.leaves import LONGEST_ENTRY
from integrity.log.merkle import HASH, consistency_proof, inclusion_proof, range_hash, root_of
from integrity.source import Missing, Refused, Source
from integrity.sums import in_threads

WIDTH: Final = 256
"""Hashes in a full tile, entries in a full bundle."""
CHECKPOINT: Final = "checkpoint"
_PATH: Final = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([0-9]{1,3}))?", re.ASCII)
_BITS: Final = 8
"""Levels of the tree in a tile."""
_THOUSAND: Final = 1000
_KEPT: Final = 64
"""Tiles kept at hand: more than a proof of any log needs."""


class Differs(Exception):
    """A file of the log contradicts the rest: its path, the place in it, the value expected and the value found."""

    def __init__(self, path: str, expected: object, found: object, position: str = "") -> None:
        super().__init__(path, expected, found, position)
        self.path = path
        self.expected = expected
        self.found = found
        self.position = position


class Misshapen(Differs):
    """The file is missing, or does not have the form or the length that it must have."""


class EntryDiffers(Differs):
    """An entry and its hash in the tile do not agree."""


def tile_path(level: int | None, index: int, width: int = WIDTH) -> str:
    """Path of a tile, or with level None of a bundle of entries; `width` below 256 for a partial one."""
    groups = [f"{index % _THOUSAND:03}"]
    while index >= _THOUSAND:
        index //= _THOUSAND
        groups.insert(0, f"x{index % _THOUSAND:03}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{'entries' if level is None else level}/{'/'.join(groups)}{partial}"


def read_path(path: str) -> tuple[int | None, int, int] | None:
    """Level, index and width of the tile or bundle at `path`; None if the layout has no such path."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    level = None if found[1] == "entries" else int(found[1])
    # Writing the place again must give the same path: so 000/x000 or a width with leading zeros is no path.
    place = level, int(re.sub("[x/]", "", found[2])), int(found[3] or WIDTH)
    return place if place[2] and tile_path(*place) == path else None


def write_bundle(entries: Sequence[bytes]) -> bytes:
    """Each entry after its length in two bytes, big-endian."""
    return b"".join([len(entry).to_bytes(2, "big") + entry for entry in entries])


def read_bundle(data: bytes, width: int | None = None, path: str = "") -> list[bytes]:
    """The `width` entries of a bundle. Raises Misshapen if there are more, fewer, or a cut one."""
    entries: list[bytes] = []
    at, end = 0, len(data)
    while at + 1 < end:
        start = at + 2
        at = start + (data[at] << 8 | data[at + 1])
        entries.append(data[start:at])
    if at != end or (width is not None and len(entries) != width):
        cut = "" if at == end else ", la última cortada"
        raise Misshapen(path, f"{width} entradas completas", f"{len(entries)} en {len(data)} bytes{cut}")
    return entries


class Tiles:
    """The tree of the first `size` leaves of the log in `source`. Reading raises SourceError and Misshapen."""

    def __init__(self, source: Source, size: int) -> None:
        self.source = source
        self.size = size
        self._kept: dict[tuple[int, int], bytes] = {}

    def width(self, level: int, index: int) -> int:
        """Hashes in that tile of this tree; 0 or less if the tree has no such tile."""
        return min(WIDTH, (self.size >> (_BITS * level)) - index * WIDTH)

    def tile(self, level: int, index: int) -> bytes:
        """The hashes of a tile, one after the other, as many as this tree has in it."""
        width = self.width(level, index)
        path, data = self._read_partial_or_full(
            tile_path(level, index, width), tile_path(level, index), width, WIDTH * HASH
        )
        whole = width * HASH if path == tile_path(level, index, width) else WIDTH * HASH
        if len(data) != whole:
            raise Misshapen(path, f"{whole} bytes", f"{len(data)}")
        return data[: width * HASH]

    def entries(self, index: int) -> list[bytes]:
        """The entries of a bundle, as many as this tree has in it."""
        width = self.width(0, index)
        asked = tile_path(None, index, width)
        path, data = self._read_partial_or_full(asked, tile_path(None, index), width, WIDTH * (2 + LONGEST_ENTRY))
        return read_bundle(data, width if path == asked else WIDTH, path)[:width]

    def _read_partial_or_full(self, path: str, full: str, width: int, limit: int) -> tuple[str, bytes]:
        """Path and bytes of the file at `path`; of the one at `full` if the partial one was removed meanwhile."""
        try:
            return path, self.source.read(path, limit)
        except Refused as refused:
            raise Misshapen(path, f"un archivo ordinario de hasta {limit} bytes", refused.sentence) from None
        except Missing:
            if width == WIDTH:
                raise
        try:
            return full, self.source.read(full, limit)
        except Refused as refused:
            raise Misshapen(full, f"un archivo ordinario de hasta {limit} bytes", refused.sentence) from None
        except Missing:
            raise Missing(f"falta {path}") from None

    def node(self, level: int, index: int) -> bytes:
        """Hash of the complete subtree over the leaves [index·2^level, (index+1)·2^level)."""
        # A tile holds eight levels of the tree: its own hashes are the lowest, and the seven above are computed from
        # them.
        rows, within = divmod(level, _BITS)
        at, first = divmod(index << within, WIDTH)
        hashes = self._kept.get((rows, at))
        if hashes is None:
            hashes = self.tile(rows, at)
            # A national log has thousands of tiles; a walk uses each of the kept ones again and again, then needs
            # others.
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[rows, at] = hashes
        return root_of(hashes[first * HASH : (first + (1 << within)) * HASH])

    def root(self) -> bytes:
        """The root that the tiles at the right edge give."""
        return range_hash(0, self.size, self.node)

    def root_at(self, size: int) -> bytes:
        """The root when the log had `size` leaves, from the tiles of now: the partial ones of then may be gone."""
        return range_hash(0, size, self.node)

    def inclusion(self, index: int) -> list[bytes]:
        """The hashes that prove a leaf (RFC 6962 §2.1.1). Raises NotProven if there is no leaf at `index`."""
        return inclusion_proof(index, self.size, self.node)

    def consistency(self, old: int) -> list[bytes]:
        """The hashes that prove that this tree continues the one of `old` leaves. Raises NotProven if it is smaller."""
        return consistency_proof(old, self.size, self.node)

    def find(self, leaf: bytes) -> int | None:
        """Index of the first leaf with that hash; None if the log has none."""
        for index, hashes in enumerate(self._level_0()):
            at = hashes.find(leaf)
            # A match that does not begin at a hash is two neighbours that happen to share bytes.
            while at >= 0 and at % HASH:
                at = hashes.find(leaf, at + 1)
            if at >= 0:
                return index * WIDTH + at // HASH
        return None

    def _level_0(self) -> Iterator[bytes]:
        for index in range(-(-self.size // WIDTH)):
            yield self.tile(0, index)


def check_tiles(
    tiles: Tiles,
    first: int = 0,
    *,
    entries: bool = True,
    root: bytes | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> None:
    """Recompute every hash of the tree above the leaves from `first` on, beginning with the entries.

    Raises the first difference: Misshapen, EntryDiffers or Differs; SourceError for a file that could not be read.
    Without `entries`, the tiles of level 0 are taken as they are. If an entry and its hash differ, `root`, if known,
    tells which of the two is wrong. `tell` hears how many leaves are done. The caller compares the root itself
    (`Tiles.root`).
    """
    bundles = range(first // WIDTH, -(-tiles.size // WIDTH))
    roots: list[bytes] = []

    def work(index: int) -> bytes | Differs:
        try:
            return _check_leaves(tiles, index, root) if entries else tiles.tile(0, index)
        except Differs as differs:
            return differs

    # Full bundles give one hash each to the level above. The last, partial one gives none: only `Tiles.root` reaches
    # it.
    for index, found in in_threads(work, bundles, tiles.source.threads):
        if isinstance(found, Exception):
            raise found
        if len(found) == WIDTH * HASH:
            roots.append(root_of(found))
        tell(min(tiles.size, (index + 1) * WIDTH))
    level, start = 1, bundles.start
    while roots:
        roots = _check_level(tiles, level, start, roots)
        level, start = level + 1, start // WIDTH


def _check_leaves(tiles: Tiles, index: int, root: bytes | None) -> bytes:
    """The tile of level 0, if it agrees with its entries. Raises EntryDiffers for the first entry that does not."""
    stored = tiles.tile(0, index)
    entries = tiles.entries(index)
    computed = b"".join([sha256(b"\0" + entry).digest() for entry in entries])
    if computed == stored:
        return stored
    at = next(at for at in range(0, len(stored), HASH) if stored[at : at + HASH] != computed[at : at + HASH])
    ours, theirs = computed[at : at + HASH].hex(), stored[at : at + HASH].hex()
    number, width = index * WIDTH + at // HASH, len(entries)
    path = tile_path(0, index, width)
    # Entry and hash contradict each other. The tile above was made from one of them: if our hashes fit it, the tile
    # lies.
    if _is_signed(tiles, index, computed, root):
        raise EntryDiffers(path, f"{ours}, la huella de la entrada {number}", theirs, f"hash {at // HASH}")
    bundle = tile_path(None, index, width)
    raise EntryDiffers(bundle, f"la huella {theirs}, que está en {path}", ours, f"entrada {number}")


def _is_signed(tiles: Tiles, index: int, hashes: bytes, root: bytes | None) -> bool:
    """Whether `hashes` fit the rest of the tree: the tile above or, for a partial tile, the root."""

    def node(level: int, at: int) -> bytes:
        inside = level < _BITS and (at << level) // WIDTH == index
        first = (at << level) % WIDTH
        return root_of(hashes[first * HASH : (first + (1 << level)) * HASH]) if inside else tiles.node(level, at)

    if len(hashes) == WIDTH * HASH:
        return tiles.node(_BITS, index) == root_of(hashes)
    return range_hash(0, tiles.size, node) == root


def _check_level(tiles: Tiles, level: int, start: int, below: Sequence[bytes]) -> list[bytes]:
    """Compare the hashes of a level, from the `start`-th on, with the roots of the full tiles `below`.

    Returns the roots of this level's own full tiles. Raises Differs.
    """
    roots: list[bytes] = []
    end = start + len(below)
    for index in range(start // WIDTH, -(-end // WIDTH)):
        stored = tiles.tile(level, index)
        for at in range(max(start, index * WIDTH), min(end, (index + 1) * WIDTH)):
            hash_at = (at - index * WIDTH) * HASH
            found = stored[hash_at : hash_at + HASH]
            if found != below[at - start]:
                path = tile_path(level, index, tiles.width(level, index))
                under = f"{below[at - start].hex()}, la huella de {tile_path(level - 1, at)}"
                raise Differs(path, under, found.hex(), f"hash {at - index * WIDTH}")
        if len(stored) == WIDTH * HASH:
            roots.append(root_of(stored))
    return roots
