"""A corte that comes out while the tree is read: it is not judged, and its files are not strange.

The reader judges what `index.json` named when the reading began. The publisher puts images, ZIP, folder and pages of
the next corte into the tree before index.json names it (docs/tree.md, Order). So a later corte may be there, whole or
in part. It is left out only if its own hour is new by the reader's clock: an old index.json that was put back over a
newer tree is still found (CON-06).
"""

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from integrity.layout import IMAGES, SUMS, corte_folder, image_path
from integrity.source import PathKind, Source, SourceError
from integrity.sums import Malformed
from integrity.tree.documents import read_manifest
from integrity.tree.rows import PublishedTable

COMING_OUT: Final = timedelta(minutes=15)
"""How long a corte may take from its hour until index.json names it; a constant of the format."""
_AHEAD: Final = timedelta(seconds=60)
"""How far two clocks may differ."""
_STAGE: Final = re.compile(r"\.corte-(\d{4,})-[0-9a-f]{8}", re.ASCII)
_SWEPT: Final = re.compile(r"\.barrido-[0-9a-f]{32}", re.ASCII)
_MANIFEST_LIMIT: Final = 64 << 20

Announced = Callable[[str, int], frozenset[str]]
"""The paths that a corte in this folder, with this number, brings into the tree."""


class Watch:
    """The reader's clock. A reader without one takes every corte for an old one."""

    def __init__(self, began: datetime | None) -> None:
        self._began = began
        self._since = time.monotonic()

    def is_new(self, at: datetime) -> bool:
        """Whether something of that hour may have come out while the tree was read."""
        if self._began is None:
            return False
        now = self._began + timedelta(seconds=time.monotonic() - self._since)
        return self._began - COMING_OUT <= at <= now + _AHEAD


def is_stage(name: str) -> bool:
    """Whether the publisher gives this name, at the root of its tree, to a folder that it works in."""
    return (_STAGE.fullmatch(name) or _SWEPT.fullmatch(name)) is not None


def hour_of(tree: Source, folder: str) -> datetime | None:
    """The hour of the corte in a folder; None if it cannot be read."""
    try:
        return read_manifest(tree.read(f"{folder}/manifest.json", _MANIFEST_LIMIT)).at
    except (SourceError, Malformed):
        return None


class Coming:
    """The cortes after `last` that are coming out. They are looked for again whenever a strange name is met."""

    def __init__(self, tree: Source, last: int, watch: Watch, announced: Announced) -> None:
        self._tree = tree
        self._last = last
        self._watch = watch
        self._announced = announced
        self._known: dict[str, frozenset[str]] = {}

    def brings(self, path: str) -> bool:
        """Whether a corte that is coming out brings that file or folder."""
        if any(path in paths for paths in self._known.values()):
            return True
        # The corte may have begun, or moved from its stage to its place, after the last look.
        for folder, number in [*self._folders()]:
            hour = hour_of(self._tree, folder) if folder not in self._known else None
            if hour is not None and self._watch.is_new(hour):
                self._known[folder] = self._announced(folder, number)
        return any(path in paths for paths in self._known.values())

    def _folders(self) -> Iterator[tuple[str, int]]:
        # Stages first: one that moves to its place between the two looks is then met there.
        try:
            names = self._tree.entries("") if self._tree.listable else {}
            for name, kind in names.items():
                stage = _STAGE.fullmatch(name)
                if stage and kind is PathKind.FOLDER and int(stage[1]) > self._last:
                    yield f"{name}/corte", int(stage[1])
            number = self._last + 1
            while self._tree.exists(f"{corte_folder(number)}/{SUMS}"):
                yield corte_folder(number), number
                number += 1
        except SourceError:
            return


def places_of(table: PublishedTable) -> frozenset[str]:
    """The page of each territory in the rows."""
    return frozenset(f"lugar-{place.entidad}-{place.territory}.html" for place in table.sums)


def paths_of_images(images: dict[str, str]) -> Iterator[str]:
    """Every image, as `Seen.images` holds it, with the folders above it."""
    yield IMAGES
    for sha256, told in images.items():
        yield f"{IMAGES}/{sha256[:2]}"
        yield image_path(sha256, told.partition(" ")[0])
