"""Brings the origin's new files into the next tree of a mirror: cortes, log, proofs and pages."""

import asyncio
import re
import shutil
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from integrity.layout import (
    BESIDE_SUMS,
    CATALOGUE,
    CHANGES,
    CORTE_PROOF,
    CORTES,
    DATA,
    DATA_PAGE,
    FEED,
    HOME_TWIN,
    IMAGES,
    LOGOS,
    PICTURE,
    PLACES,
    PLACES_INDEX,
    SCHEMA_NAMES,
    SCHEMAS,
    SECTIONS,
    SITE_PARTS,
    SITE_PROGRAM,
    ZIPS,
    changes_path,
    data_folder,
    delta_path,
    opening_path,
    proof_path,
    rotation_path,
    schema_path,
    twin_of,
)
from integrity.leaves import LONGEST_ENTRY
from integrity.log.note import Policy
from integrity.log.tiles import CHECKPOINT, WIDTH, Tiles, tile_path
from integrity.source import Folder
from integrity.strict_json import Json, conform, read_json
from integrity.sums import Malformed
from integrity.tree.documents import LISTING, Manifest, read_manifest
from prep.errors import Unavailable
from publisher.mirror.divergence import Divergence, DivergenceRecord
from publisher.mirror.origin import SMALL, Gone, Origin
from publisher.mirror.reading import (
    checkpoint_in,
    images_listed,
    images_logged,
    is_witnessed,
    manifest_in,
    pages_changed,
    pages_in_delta,
    policy_in,
    root_at,
    rows_of,
    sums_in,
)
from publisher.mirror.stage import INDEX, LOG, SUMS, Stage, digest_of

_MB: Final = 1 << 20
_JSON: Final = 64 * _MB
_TABLE: Final = 1 << 30
_IMAGE: Final = 64 * _MB
_ZIP: Final = 1 << 30
_PAGE: Final = 16 * _MB
_OPENINGS: Final = 256 * _MB
_DELTA: Final = 256 * _MB
_BUNDLE: Final = WIDTH * (2 + LONGEST_ENTRY)
_LEVELS: Final = 8
_ROOM: Final = 512 * _MB
"""Bytes of the disk that a mirror leaves free."""
_LATE: Final = 5
"""How many of the last cortes are asked again for seals, stamps and openings; at the first look, all are."""
_RESERVED: Final = frozenset({CORTES, IMAGES, ZIPS, LOG, CATALOGUE, DATA, SECTIONS, CHANGES, PLACES, SCHEMAS})
_OF_PLACES: Final = re.compile(r"\d\d-[a-z0-9]{2,12}\.json", re.ASCII)
_LISTED: Final = re.compile(r"(?!\.)[\w&.-]{1,80}(?:/(?!\.)[\w.-]{1,80})?\.html", re.ASCII)
"""A page as a list of changes may name it: it cannot lead out of the tree, nor over another kind of file."""
_AT_ONCE: Final = 6
_T = TypeVar("_T")


class Carrier:
    """Copies from one origin into one stage after another."""

    def __init__(self, origin: Origin, folder: Path, evidence: DivergenceRecord) -> None:
        self._origin = origin
        self._folder = folder
        self._evidence = evidence
        self._late: set[str] = set()
        """Images whose proofs the origin does not have yet."""

    async def bring(
        self, stage: Stage, index: Json, checkpoint: bytes | None, *, told: bytes, everything: bool
    ) -> None:
        """Bring all new files up to `index`; `told` is its bytes.

        With `everything`, files that may come late are asked for from the first corte on, not only for the last few.
        """
        number: int = index["corte"]
        manifests = await self._bring_chain(stage, number, index["sha256sums"])
        for at in sorted(manifests):
            await self._bring_corte(stage, at, manifests[at])
        last = manifests.get(number) or read_manifest((stage.root / f"cortes/{number:04}/manifest.json").read_bytes())
        await self._bring_catalogue(stage, last)
        if checkpoint is not None:
            await self._bring_log(stage, checkpoint, everything=everything)
        first = 0 if everything else max(0, number - _LATE)
        await self._bring_late(stage, range(first, number + 1), logged=checkpoint is not None)
        named = {told["corte"] for manifest in manifests.values() for told in manifest.raw.get("datos", [])}
        data = await self._bring_data(stage, sorted(named | {*range(first, number + 1)}))
        await self._bring_pages(stage, last, fresh=bool(manifests))
        if data and not manifests and SITE_PROGRAM in last.raw.get("sitio", {}):  # the page that links them
            await self._refresh_page(stage, DATA_PAGE)
        if stage.held is None or stage.held.index != told:
            if not manifests:  # the same corte with another incident: the first page tells it too
                await self._refresh_page(stage, "index.html")
            stage.put(INDEX, told)

    async def _bring_chain(self, stage: Stage, number: int, expected: str) -> dict[int, Manifest]:
        """From the last corte back to one that the mirror has: each manifest names the SHA256SUMS before it."""
        manifests: dict[int, Manifest] = {}
        for at in range(number, -1, -1):
            path = f"cortes/{at:04}/{SUMS}"
            if stage.has(path):
                found = await asyncio.to_thread(digest_of, stage.root / path)
                if found != expected:
                    raise Divergence(f"el corte {at + 1} del origen sigue a otro corte {at} que el publicado antes")
                break
            # The list has the digest that the later manifest gave; the manifest has the digest in the list.
            await self._fetch_known(stage, path, expected, SMALL)
            sums = sums_in(stage.root / path, path)
            name = f"cortes/{at:04}/manifest.json"
            if "manifest.json" not in sums:
                raise Divergence(f"{path} del origen no lista su manifiesto")
            await self._fetch_known(stage, name, sums["manifest.json"], _JSON)
            manifests[at] = manifest = manifest_in((stage.root / name).read_bytes(), name)
            if manifest.corte != at or (manifest.anterior is None) != (at == 0):
                raise Divergence(f"{name} del origen no es el del corte {at}")
            if manifest.anterior is not None:
                before, expected = manifest.anterior
                if before != at - 1:
                    raise Divergence(f"{name} del origen no sigue al corte {at - 1}")
        return manifests

    async def _bring_corte(self, stage: Stage, number: int, manifest: Manifest) -> None:
        folder = f"cortes/{number:04}"
        _check_room(self._folder)
        sums = sums_in(stage.root / folder / SUMS, folder)
        await few_at_once(lambda name: self._fetch_known(stage, f"{folder}/{name}", sums[name], _TABLE), sums)
        await self._fetch_known(stage, manifest.zip_name, manifest.zip_sha256, min(_ZIP, manifest.zip_bytes))
        # An image of a corte is named by its digest, so it can be fetched and checked alone.
        images = await asyncio.to_thread(images_listed, stage.root / folder / "images.csv")

        async def image(sha: str) -> None:
            _check_room(self._folder)
            await self._fetch_known(stage, images[sha], sha, _IMAGE)

        await few_at_once(image, images)

    async def _bring_catalogue(self, stage: Stage, last: Manifest) -> None:
        """The catalogue, under the digest that every manifest states; it never changes."""
        path = f"{CATALOGUE}/{SUMS}"
        if not stage.has(path) and await self._origin.read_if_there(path, SMALL) is None:
            return  # an old tree, or a fault that the verification of this one tells
        await self._fetch_known(stage, path, last.raw["catalogo"], SMALL)
        sums = sums_in(stage.root / path, path)
        await few_at_once(lambda name: self._fetch_known(stage, f"{CATALOGUE}/{name}", sums[name], _TABLE), sums)

    async def _bring_log(self, stage: Stage, told: bytes, *, everything: bool) -> None:
        """Tiles and entries up to the signed size, and the proofs of its images."""
        now = checkpoint_in(told)
        before = stage.held.checkpoint if stage.held else None
        shape = Tiles(Folder(stage.root), now.size)
        wanted: list[tuple[str, int]] = []
        # Level None is the bundles of entries. Partial tiles have the width of this checkpoint.
        for level in (None, *range(_LEVELS)):
            rows = now.size >> (8 * (level or 0))
            for index in range(-(-rows // WIDTH)):
                path = f"{LOG}/{tile_path(level, index, shape.width(level or 0, index))}"
                if not stage.has(path):
                    wanted.append((path, _BUNDLE if level is None else WIDTH * 32))
        try:
            await few_at_once(lambda each: self._copy_whole(stage, *each), wanted)
        except Gone as gone:  # a partial tile was filled meanwhile: the next look has a newer checkpoint
            raise Unavailable(gone.sentence) from None
        policy = await self._origin.read(f"{LOG}/politica.txt", SMALL)
        if not stage.has(f"{LOG}/politica.txt") or (stage.root / LOG / "politica.txt").read_bytes() != policy:
            stage.put(f"{LOG}/politica.txt", policy)
        if before is None or before.size < now.size or before.to_bytes() != told:
            stage.put(f"{LOG}/{CHECKPOINT}", told)
        tiles = Tiles(Folder(stage.root / LOG), now.size)
        # The old tree must be the beginning of the new one: another root means that the origin rewrote its log.
        if before is not None and before.size:
            root = await asyncio.to_thread(root_at, tiles, before.size)
            if root != before.root or await asyncio.to_thread(root_at, tiles, now.size) != now.root:
                self._evidence.keep(f"{LOG}/{CHECKPOINT}", told)
                raise Divergence(
                    f"el origen muestra otra historia de la bitácora que la de sus primeras {before.size} hojas"
                )
        self._late |= await asyncio.to_thread(images_logged, tiles, before.size if before and not everything else 0)

        # Receipts promise a proof for each image; the origin may make it a little later.
        published = policy_in(policy)

        async def prove(sha: str) -> None:
            if await self._copy_proof(stage, proof_path(sha), published):
                self._late.discard(sha)

        await few_at_once(prove, sorted(self._late))
        number = 1
        while await self._copy_if_there(stage, f"{LOG}/{rotation_path(number)}", SMALL):
            number += 1

    async def _copy_proof(self, stage: Stage, path: str, policy: Policy) -> bool:
        """Whether the proof is here with the witnesses of the policy; one without them is replaced later."""
        if stage.has(path) and is_witnessed((stage.root / path).read_bytes(), policy):
            return True
        content = await self._origin.read_if_there(path, SMALL)
        if content is not None:
            stage.put_if_new(path, content)
        return content is not None and is_witnessed(content, policy)

    async def _bring_late(self, stage: Stage, numbers: Iterable[int], *, logged: bool) -> None:
        """Files that may come after their corte: seals, stamps, the proof, the openings."""
        paths = {f"cortes/{at:04}/{name}": SMALL for at in numbers for name in BESIDE_SUMS - {SUMS}}
        paths |= {opening_path(at): _OPENINGS for at in numbers} if logged else {}

        async def take(path: str) -> None:
            if logged and path.endswith(CORTE_PROOF):
                await self._copy_proof(stage, path, policy_in((stage.root / LOG / "politica.txt").read_bytes()))
            else:
                await self._copy_if_there(stage, path, paths[path])

        await few_at_once(take, sorted(paths))

    async def _bring_data(self, stage: Stage, numbers: Iterable[int]) -> bool:
        """The clean data of these cortes, if the origin has them; returns whether any came. Each comes whole."""
        came = False
        for number in numbers:
            path = f"{data_folder(number)}/{SUMS}"
            content = None if stage.has(path) else await self._origin.read_if_there(path, SMALL)
            if content is None:
                continue
            _check_room(self._folder)
            stage.put(path, content)
            sums = sums_in(stage.root / path, path)
            folder = data_folder(number)
            await few_at_once(partial(self._fetch_listed, stage, folder, sums), sums)
            came = True
        return came

    async def _fetch_listed(self, stage: Stage, folder: str, sums: Mapping[str, str], name: str) -> None:
        await self._fetch_known(stage, f"{folder}/{name}", sums[name], _TABLE)

    async def _bring_pages(self, stage: Stage, last: Manifest, *, fresh: bool) -> None:
        """The pages that a corte changes. No digest covers them: pages are for reading, cortes are for proof."""
        if not fresh and stage.held is not None:
            return
        before = None
        if stage.held is not None:
            before = read_manifest((stage.held.root / f"cortes/{stage.held.corte:04}/manifest.json").read_bytes())
        pages: set[str] = {"index.html", "estilo.css"}
        for election in last.elections:
            # An election named like a folder of the tree would overwrite it.
            if election.code in _RESERVED or "." in election.code:
                raise Divergence(f"el origen llama «{election.code}» a una elección")
            old = rows_of(stage.held.root, before, election) if stage.held and before else {}
            pages |= set(pages_changed(election, old, rows_of(stage.root, last, election), last))
        # A release with the program of the site tells the pages that each corte changed.
        if SITE_PROGRAM in last.raw.get("sitio", {}):
            written, gone = await self._pages_listed(stage, last)
            pages = {*written} - await self._unpack_deltas(stage, written)
            stage.gone |= {each for page in gone for each in (page, twin_of(page)) if each}
            pages |= {twin for page in pages if (twin := twin_of(page))}
            pages |= {HOME_TWIN, DATA_PAGE}
            pages |= {"index.html", "estilo.css", SITE_PROGRAM, FEED}
            pages |= {f"{election.code}/{PICTURE}" for election in last.elections}
        pages |= {*SITE_PARTS, *LOGOS, *map(schema_path, SCHEMA_NAMES)} & last.raw.get("sitio", {}).keys()
        await few_at_once(lambda path: self._refresh_page(stage, path), sorted(pages))
        if PLACES_INDEX in last.raw.get("sitio", {}):
            await self._bring_places(stage)
        for path in ("verificar.html", "VERIFICA.txt"):
            content = await self._origin.read_if_there(path, _PAGE)
            if content is not None:
                stage.put_if_new(path, content)

    async def _bring_places(self, stage: Stage) -> None:
        """The index of places: its files first, then their list."""
        content = await self._origin.read(PLACES_INDEX, _JSON)
        try:
            told = read_json(content)
            conform(told, LISTING)
        except Malformed:
            raise Divergence(f"{PLACES_INDEX} del origen no se puede leer") from None
        listed: dict[str, str] = told["archivos"]
        if strange := next((name for name in listed if _OF_PLACES.fullmatch(name) is None), None):
            raise Divergence(f"{PLACES_INDEX} del origen nombra «{strange}», que no es de ese índice")
        await few_at_once(
            lambda name: self._fetch_known(stage, f"{PLACES}/{name}", listed[name], _JSON), sorted(listed)
        )
        stage.put_if_new(PLACES_INDEX, content)

    async def _unpack_deltas(self, stage: Stage, written: Mapping[str, int]) -> set[str]:
        """Pages that came in the deltas of the cortes that wrote them last, with their twins.

        The others are asked for one by one: of a corte without a delta, and those that change between two cortes.
        """
        came: set[str] = set()
        for number in sorted({*written.values()}):
            path = delta_path(number)
            content = await self._origin.read_if_there(path, _DELTA)
            if content is None:
                continue
            wanted = {page for page, of in written.items() if of == number}
            twins = {twin: page for page in wanted if (twin := twin_of(page))}
            try:
                found = await asyncio.to_thread(pages_in_delta, content, wanted | twins.keys(), _PAGE)
            except Malformed as problem:
                raise Divergence(f"{path} del origen: se esperaba {problem.expected}; hay {problem.found}") from None
            stage.put_if_new(path, content)
            for name, held in found.items():
                stage.put_if_new(name, held)
            came |= {page for page in wanted if page in found and (not twin_of(page) or twin_of(page) in found)}
        return came

    async def _pages_listed(self, stage: Stage, last: Manifest) -> tuple[dict[str, int], set[str]]:
        """The pages that cortes since the held one wrote and did not take away again, and those that they took away.

        Each page with the corte that wrote it last.
        """
        first = 0 if stage.held is None else stage.held.corte + 1
        written: dict[str, int] = {}
        gone: set[str] = set()
        folders = {"", SECTIONS, *(election.code for election in last.elections)}
        for number in range(first, last.corte + 1):
            path = changes_path(number)
            content = await self._origin.read(path, _JSON)
            try:
                told = read_json(content)
                named, removed = [*told["paginas"]], [*told["quitadas"]]
            except (Malformed, KeyError, TypeError):
                raise Divergence(f"{path} del origen no se puede leer") from None
            for page in (*named, *removed):
                folder = page.rpartition("/")[0] if isinstance(page, str) else None
                if folder not in folders or _LISTED.fullmatch(page) is None or page == "verificar.html":
                    raise Divergence(f"{path} del origen nombra «{page}», que no es una página")
            stage.put_if_new(path, content)
            written |= dict.fromkeys(named, number)
            written = {page: of for page, of in written.items() if page not in removed}
            gone = (gone | {*removed}) - {*named}
        return written, gone

    async def _refresh_page(self, stage: Stage, path: str) -> None:
        # A contest of a single place has no page of its own, and an older release draws no picture.
        optional = "/contienda-" in path or path.endswith(PICTURE)
        content = await (self._origin.read_if_there if optional else self._origin.read)(path, _PAGE)
        if content is not None:
            stage.put_if_new(path, content)

    async def _fetch_known(self, stage: Stage, path: str, digest: str, limit: int) -> None:
        """A file of known digest. A file that is held, or that an earlier look brought, is not asked for again."""
        if stage.has(path):
            return
        target = stage.place(path)
        if not target.exists() or await asyncio.to_thread(digest_of, target) != digest:
            await self._origin.fetch(path, target, sha256=digest, limit=limit)

    async def _copy_whole(self, stage: Stage, path: str, limit: int) -> None:
        stage.put(path, await self._origin.read(path, limit))

    async def _copy_if_there(self, stage: Stage, path: str, limit: int) -> bool:
        if stage.has(path):
            return True
        content = await self._origin.read_if_there(path, limit)
        if content is not None:
            stage.put(path, content)
        return content is not None


def _check_room(folder: Path) -> None:
    if shutil.disk_usage(folder).free < _ROOM:
        raise Unavailable("queda menos de medio gigabyte libre en el disco: no se trae nada más")


async def few_at_once(work: Callable[[_T], Awaitable[None]], items: Iterable[_T]) -> None:
    """Do the work for a few items at once. The first failure ends the others, and is raised."""
    coming = iter(items)

    async def some() -> None:
        for item in coming:
            await work(item)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(some())
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
