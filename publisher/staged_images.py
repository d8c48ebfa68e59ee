"""The images that a corte brings out, put into its stage under their published names.

From a store on this disk they are copied; one far away is asked for a few at once. An image that the store lacks
withholds the corte: the caller makes it again without the actas that need that image.
"""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from integrity import durable
from integrity.layout import IMAGES, image_path
from prep.blobs import Blobs
from prep.domain.corte import Fresh, PublishedImage
from prep.errors import Parked
from publisher import figures as out

FETCHES: Final = 16
"""Images fetched from a remote store at the same time."""
_MANY_COPIES: Final = 500
"""Images from which on one sync of the whole file system takes less time than one of each file."""


class Withheld(Parked):
    """Some images are missing or damaged: this corte goes out without the actas that need them."""

    def __init__(self, why: str, images: Sequence[bytes]) -> None:
        super().__init__(f"imagen {images[0].hex()}: {why}")
        self.why = why
        self.images = images


async def stage_images(
    blobs: Blobs, images: Sequence[PublishedImage], fresh: Iterable[Fresh], stage: Path
) -> list[tuple[str, str, str]]:
    """Put originals and derivatives into the stage, under their published names; returns the rows of images.csv.

    They are copies, of new images only: a writer to the published tree must not reach the one original. The gate
    compares bytes with names. Raises Withheld.
    """
    # Images fuera de catálogo belong to no acta: their clave is `-`.
    claves = {each.image: each.clave for each in fresh}
    wanted: dict[str, tuple[str, str]] = {}
    for image in images:
        clave = claves.get(image.image, "-")
        if image.web is not None:
            wanted[image.web.hex()] = ("jpg", clave)
        wanted[image.image.hex()] = (out.extension(image.format), clave)
    paths = {sha256: stage / image_path(sha256, extension) for sha256, (extension, _) in wanted.items()}
    (stage / IMAGES).mkdir()  # not its parents: a stage that was removed must not come back
    for folder in {path.parent for path in paths.values()}:
        folder.mkdir()
    local = {sha256: source for sha256 in paths if (source := blobs.local_path(sha256)) is not None}
    lost = await _copy_all([(source, paths[sha256]) for sha256, source in local.items()], stage)
    lost |= await _fetch_all(blobs, [(sha256, path) for sha256, path in paths.items() if sha256 not in local])
    if lost:
        gone = [each.image for each in images if lost & {each.image.hex(), each.web.hex() if each.web else ""}]
        raise Withheld("falta en el almacén, o está dañada", gone)
    return [(sha256, image_path(sha256, extension), clave) for sha256, (extension, clave) in sorted(wanted.items())]


async def _fetch_all(blobs: Blobs, wanted: Sequence[tuple[str, Path]]) -> set[str]:
    """Fetch a few at once: the store is far, and a corte's images do not fit in memory.

    Returns the digests it lacks.
    """
    coming, lost = iter(wanted), set()

    async def fetch() -> None:
        for sha256, path in coming:
            try:
                content = await blobs.get(sha256)
            except Parked:
                lost.add(sha256)
            else:
                await asyncio.to_thread(durable.write, path, content)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(FETCHES, len(wanted))):
                tasks.create_task(fetch())
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    return lost


async def _copy_all(pairs: Sequence[tuple[Path, Path]], stage: Path) -> set[str]:
    """Copy each pair, a few at once; durable on return. Returns the digests of sources that do not exist."""
    # Most of the time is waiting for the disk, and a disk takes many at once.
    shares = [pairs[n::FETCHES] for n in range(min(FETCHES, len(pairs)))]
    many = len(pairs) > _MANY_COPIES
    found = await asyncio.gather(*(asyncio.to_thread(_copy_share, share, synced=not many) for share in shares))
    lost = set[str]().union(*found)
    # One wait for all of them.
    if many and not await asyncio.to_thread(durable.sync_file_system, stage):
        for _, target in pairs:
            if target.stem not in lost:
                await asyncio.to_thread(durable.sync, target)
    return lost


def _copy_share(pairs: Sequence[tuple[Path, Path]], *, synced: bool) -> set[str]:
    lost = set()
    for source, target in pairs:
        try:
            durable.copy(source, target, synced=synced)
        except FileNotFoundError:
            if source.exists():  # then the stage is missing: another publisher took over
                raise
            lost.add(target.stem)
    return lost
