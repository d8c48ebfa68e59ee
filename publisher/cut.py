"""The third story: a corte goes out, or does not.

    snapshot ─► render ─► gate ─► SHA256SUMS ─► seal ─► fsync ─► record in Postgres ─► images ─► zip ─► catalogue
    ─► rename ─► pages ─► index

Everything is made beside the published tree, in a hidden folder. With its record in Postgres, the corte is a fact. If
the process stops before the record, only that folder is left, and the next run removes it. If it stops after the
record, the next run finishes the corte: from the folder or, if the folder is lost, from the database. What a corte
shows is on record, so its very bytes can be made again. Published bytes are written once. Seals and proofs stand beside
a corte's SHA256SUMS and are no part of it: a key that cannot be used holds up no corte (publisher.notary).
"""

import asyncio
import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, cast

from integrity import durable
from integrity.layout import (
    CATALOGUE,
    CORTE_PROOF,
    IMAGES,
    INDEX,
    LOG,
    PLACES_INDEX,
    SUMS,
    ZIPS,
    corte_folder,
)
from integrity.log.tiles import CHECKPOINT
from prep import observe
from prep.blobs import Blobs
from prep.domain.catalog import Candidacy, ContestId, Election, ElectionId
from prep.domain.corte import Corte, Fuera, Group, Phase, ToldIncident
from prep.domain.night import Night
from prep.errors import Parked, Rejected, Unavailable
from prep.store import catalog, cortes
from prep.store import night as night_store
from prep.store.cortes import Release, Snapshot
from prep.store.database import Connection, Pool
from prep.store.leading import Leader, Replica
from prep.store.standing import behind
from publisher import figures as out
from publisher import official, pages, parcels, standing
from publisher.data import data_lists
from publisher.figures import Figures
from publisher.gate import Expected, GateFailure
from publisher.gatekeepers import Gatekeepers, gatekeepers
from publisher.kept import file_before
from publisher.notary import Notary
from publisher.official import CatalogBook
from publisher.places import KnownPlace, index_files
from publisher.press import PagePress
from publisher.site_files import site_files
from publisher.staged_images import Withheld, stage_images

log: Final = logging.getLogger(__name__)
First = TypeVar("First")
Other = TypeVar("Other")
PROOF_PATIENCE: Final = 2.0
"""Seconds that a corte waits, at most, for the proof of its place in the log."""
_LOOK: Final = 0.02
_BESIDE_CORTES: Final = {IMAGES: "images", ZIPS: "zip", CATALOGUE: "catalogue"}
"""The folders into which files of a corte go before its own folder does, each with the name of its step."""


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Measures how long each step of a corte takes."""
    began = time.perf_counter()
    yield
    observe.CORTE_SECONDS.labels(step).observe(time.perf_counter() - began)


@dataclass(frozen=True, slots=True)
class CorteOffice:
    """Everything that a publisher is given."""

    pool: Pool
    blobs: Blobs
    public: Path
    night: Night
    step: Callable[[str], AbstractContextManager[None]] = timed
    """Entered before each step takes effect and left after it."""
    replica: Replica | None = None
    """Cortes are read from here while it keeps up; they are recorded in the database of `pool`."""
    notary: Notary | None = None
    """Seals cortes and has them time-stamped; None: this institute does not."""
    press: PagePress = field(default_factory=PagePress)
    """Writes pages."""
    indexes: dict[str, bytes] = field(default_factory=dict)
    """By digest of the catalogue: the list of its index of places, made once in the life of a publisher."""
    address: str = ""
    """Where the published tree is on the web, for the pictures beside links; empty if nobody said it."""
    full: bool = False
    """Make every row anew, also if the file of the corte before is there. The bytes are the same."""


@dataclass(frozen=True, slots=True)
class Order:
    """A corte that the schedule asks for."""

    phase: Phase
    at: datetime
    due: datetime | None


@dataclass(frozen=True, slots=True)
class Rendered:
    """The contents of the files in the stage, for the gate and for the record."""

    release: Release
    expected: Mapping[str, Expected]
    figures: Sequence[Figures]
    originals: Mapping[str, bytes]
    """By digest of each staged image: the original that it is, or that it was made from."""


async def cut(office: CorteOffice, leader: Leader, order: Order | None) -> Corte | None:
    """Bring out the corte that `order` asks for; but if a recorded corte is not out yet, finish that one instead.

    Without an order, only finish. Returns the corte that is out, or None if there was nothing to do. `leader` holds the
    publishers' lock. Raises GateFailure if the files contradict each other; Rejected if `order` cannot follow the
    published cortes; Unavailable or Parked if something that it needs does not answer or is missing.

    The stage is also the licence to publish. Every change to the tree is made in the stage and then renamed or linked
    from it, and a publisher that gets the lock first removes the stages of others. So a publisher that stood still
    while another one took over finds its stage gone, between any two steps, and stops.
    """
    async with leader.using() as connection:
        last, unfinished = await _where_the_night_is(office, connection)
    if unfinished is None and order is None:
        return None
    corte = unfinished or _next_corte(office, last, order)
    stage = office.public / f".corte-{corte.number:04}-{uuid.uuid4().hex[:8]}"
    staged = await asyncio.to_thread(_claim_stage, office, unfinished, stage)
    rendered, unsealed = None, None

    with _while_licensed(stage):
        # The stage exists now. If the lock is still ours, the next owner of the lock will remove this stage.
        await leader.check()
        if not staged and not _folder_of(office, corte).exists():
            # No file of this corte exists. If we stop before the record, the next run removes the stage.
            if unfinished is None:
                rendered = await _made_without_what_is_lost(office, leader, corte, stage)
            else:
                rendered = await _render_and_gate(office, leader, corte, stage, then=True)
            with office.step("sums"):
                sums = await asyncio.to_thread(_write_sums, stage / "corte")
            # Its digests are settled. If the key cannot be used, the seal comes later, and no other byte changes.
            with office.step("seal"):
                unsealed = await _seal_in_stage(office, corte, stage / "corte")
            with office.step("fsync"):
                await asyncio.to_thread(_fsync_stage, stage)
            # The stage is complete, checked and durable. No reader and no table knows of it yet.
            if unfinished is None:
                corte = replace(corte, sums=sums)
                with office.step("record"):
                    async with leader.using() as connection:
                        await cortes.record(connection, corte, rendered.release, declaration=office.night.digest)
                await _tell_unsealed(office, corte, unsealed)
            # Remade after a loss: published digests must stay, so another byte stops here.
            elif sums != corte.sums:
                raise Parked(f"el corte {corte.number} no se pudo rehacer igual: {sums} no es {corte.sums}")

        # The corte is a fact. If we stop anywhere below, the next run comes back to it before it cuts another.
        if not _folder_of(office, corte).exists():
            await leader.check()
            for folder, step in _BESIDE_CORTES.items():
                with office.step(step):
                    await asyncio.to_thread(_bring_out, stage / folder, office.public / folder)
            # Images, the transport file and the catalogue are in their places; no file points at them yet.
            with office.step("rename"):
                await asyncio.to_thread(_move_into_tree, stage / "corte", _folder_of(office, corte))
        # The corte is in the tree, whole; index.json and the pages still show the one before.
        await leader.check()
        await asyncio.to_thread(_empty_stage, stage)
        async with leader.using() as connection:
            incidents = await cortes.incidents(connection)
        with office.step("pages"):
            async with _snapshot_to_read(office, leader, corte.number, then=True) as shown:
                book = await _read_book(office, shown)
                late = last is not None and corte.number < last.number
                await _write_pages(
                    *(office, shown, corte),
                    book=book,
                    stage=stage,
                    rendered=rendered,
                    incidents=incidents,
                    late=late,
                )
        # The pages show this corte; index.json still names the one before. If we stop here, the pages are written
        # again.
        await _wait_for_proof(office, corte)
        # Its proof is beside it, or comes later: the sequencer makes it, and no corte waits longer for it.
        # A corte that was finished late must not move index.json back; its pages did not either.
        if last is None or corte.number >= last.number:
            await leader.check()
            with office.step("index"):
                await asyncio.to_thread(
                    durable.replace,
                    office.public / INDEX,
                    out.index(corte, book, incidents),
                    fresh=stage / INDEX,
                )
    # The corte is out, and the stage holds nothing more that is needed.
    await asyncio.to_thread(_remove_path, stage)
    return corte


async def _seal_in_stage(office: CorteOffice, corte: Corte, folder: Path) -> str | None:
    """None, or the reason why this corte goes out without its seal."""
    if office.notary is None:
        return None
    before = office.public / corte_folder(corte.number - 1) if corte.number else None
    return await office.notary.seal(folder, corte.at, before)


async def _tell_unsealed(office: CorteOffice, corte: Corte, why: str | None) -> None:
    if why is None:
        return
    log.error("corte without seal", extra={"data": {"corte": corte.number, "why": why}})
    with suppress(Unavailable):  # a corte does not stop because its alarm could not be stored
        await cortes.add_event(office.pool, "corte_sin_sello", f"corte {corte.number}", {"motivo": why}, corte.at)


async def _made_without_what_is_lost(office: CorteOffice, leader: Leader, corte: Corte, stage: Path) -> Rendered:
    """A corte without the images that are lost: one lost image must not stop the publication of a whole country."""
    await _let_go(office, leader)
    while True:
        try:
            return await _render_and_gate(office, leader, corte, stage, then=corte.phase is Phase.CERO)
        except Withheld as error:  # each turn has fewer images, so this ends
            await _hold_back(leader, error, corte.at)
            await asyncio.to_thread(_empty_stage, stage)


async def _render_and_gate(office: CorteOffice, leader: Leader, corte: Corte, stage: Path, *, then: bool) -> Rendered:
    """Every file of the corte in the stage, and through the gate. Raises Withheld for images that are lost."""
    try:
        return await _render_and_gate_once(office, leader, corte, stage, then=then)
    except GateFailure as failure:
        if office.full:
            raise
        log.warning("corte made anew in full", extra={"data": {"corte": corte.number, "error": str(failure)}})
    # A fault in what an earlier corte left must not stop this one: it is made once more, from the facts alone.
    await asyncio.to_thread(_empty_stage, stage)
    return await _render_and_gate_once(replace(office, full=True), leader, corte, stage, then=then)


async def _render_and_gate_once(
    office: CorteOffice, leader: Leader, corte: Corte, stage: Path, *, then: bool
) -> Rendered:
    (stage / "corte").mkdir()
    async with AsyncExitStack() as running:
        # Corte 0 shows the empty night on record.
        async with _snapshot_to_read(office, leader, corte.number, then=then) as shown:
            with office.step("render"):
                sizes = await shown.expected()
                keepers = await running.enter_async_context(gatekeepers(stage, office.public, [*sizes.values()]))
                rendered = await _render_files(office, shown, corte, stage, sizes)
        with office.step("gate"):
            await _pass_gate(keepers, rendered)
    return rendered


async def _pass_gate(keepers: Gatekeepers, rendered: Rendered) -> None:
    try:
        await _run_gate(keepers, rendered.expected)
    except GateFailure as failure:
        # If the gate finds only damaged images, hold them back and cut again; any other finding stops the corte.
        damaged = {rendered.originals.get(each.expected) for each in failure.findings if each.check == "imagen"}
        if None in damaged or any(each.check != "imagen" for each in failure.findings):
            raise
        raise Withheld("dañada en el almacén", [each for each in damaged if each]) from failure


async def _hold_back(leader: Leader, withheld: Withheld, at: datetime) -> None:
    log.error("images held back", extra={"data": {"error": withheld.sentence, "count": len(withheld.images)}})
    async with leader.using() as connection:
        await cortes.hold_back(connection, withheld.images, withheld.why, at)
        observe.HELD_BACK.set(len(await cortes.held_back(connection)))


async def _let_go(office: CorteOffice, leader: Leader) -> None:
    """Images that were held back and are in the store again go out with this corte."""
    async with leader.using() as connection:
        held = await cortes.held_back(connection)
    for image in held:
        with suppress(Parked):
            await office.blobs.get(image.hex())
            async with leader.using() as connection:
                await cortes.let_go(connection, image)
                observe.HELD_BACK.set(len(await cortes.held_back(connection)))


async def _wait_for_proof(office: CorteOffice, corte: Corte) -> None:
    """Wait at most `PROOF_PATIENCE` seconds for the sequencer, which knows of the corte since its record."""
    if not (office.public / LOG / CHECKPOINT).exists():  # this tree has no log
        return
    proof = _folder_of(office, corte) / CORTE_PROOF
    with office.step("proof"), suppress(TimeoutError):
        async with asyncio.timeout(PROOF_PATIENCE):
            while not await asyncio.to_thread(proof.exists):  # noqa: ASYNC110  # another process writes it
                await asyncio.sleep(_LOOK)


@asynccontextmanager
async def _snapshot_to_read(office: CorteOffice, leader: Leader, number: int, *, then: bool) -> AsyncIterator[Snapshot]:
    """A snapshot with the facts of corte `number`: from the replica, if it has everything that the primary has now."""
    replica = office.replica
    # A replica that lags would show fewer actas than the corte before.
    if replica is not None and (unfit := await replica.unfit(leader)) is not None:
        observe.REPLICA_SKIPPED.labels(unfit).inc()
        log.warning("corte read from the primary", extra={"data": {"corte": number, "replica": unfit}})
        replica = None
    if replica is None:
        async with cortes.snapshot(office.pool, number, then=then) as shown:
            yield shown
        return
    try:
        async with cortes.snapshot(replica.pool, number, then=then) as shown:
            yield shown
    except Unavailable:
        replica.failed()  # the next try reads from the primary
        raise


OF_ANOTHER_NIGHT: Final = "{} es de otra noche: la noche nueva lleva su propia carpeta (PREP_PUBLIC)"


async def _where_the_night_is(office: CorteOffice, connection: Connection) -> tuple[Corte | None, Corte | None]:
    """The last corte, and the first that is not out yet. Raises NightChanged if the office is of another night."""
    if await night_store.declared(connection) != office.night:
        raise night_store.NightChanged
    last = await cortes.last(connection)
    return last, await _first_unfinished(office, connection, last)


def _next_corte(office: CorteOffice, last: Corte | None, order: Order | None) -> Corte:
    """The corte that follows `last`, still without its sums. Raises Rejected if none may follow, or not this one."""
    assert order is not None
    # domain.md §8: corte 0 shows an empty database before a notary, once and first.
    if (last is None) != (order.phase is Phase.CERO):
        raise Rejected("el corte 0, con ceros, va primero y una sola vez", status=409)
    if last is not None and last.phase is Phase.FINAL:
        raise Rejected(f"el corte {last.number} fue el último; ya no se corta", status=409)
    if last is not None and order.at <= last.at:
        raise Rejected("un corte no puede ser anterior al que ya está publicado; revise el reloj", status=409)
    simulacro = office.night.simulacro
    corte = Corte(0 if last is None else last.number + 1, order.at, order.phase, order.due, simulacro, "")
    # A corte is on record before it gets its place: this one would come out and never be in the log.
    if _folder_of(office, corte).exists():
        raise Rejected(OF_ANOTHER_NIGHT.format(_folder_of(office, corte)), status=409)
    return corte


# What an earlier run left.


async def _first_unfinished(office: CorteOffice, connection: Connection, last: Corte | None) -> Corte | None:
    """The first recorded corte that is not completely out; None if all are."""
    if last is None:
        return None
    # A tree that lost an older corte gets that one back before it gets a new one.
    for number in range(last.number):
        if not (office.public / corte_folder(number)).exists():
            return await cortes.corte(connection, number)
    return None if _folder_of(office, last).exists() and _number_in_index(office) == last.number else last


def _number_in_index(office: CorteOffice) -> int | None:
    """The number in index.json; None without that file."""
    try:
        number: int = json.loads((office.public / INDEX).read_bytes())["corte"]
    except FileNotFoundError:
        return None
    return number


def _whole_stage_of(office: CorteOffice, corte: Corte | None) -> Path | None:
    """The stage of a recorded corte, if it exists and every byte of it is as recorded."""
    for stage in office.public.glob(f".corte-{corte.number:04}-*") if corte else ():
        sums = stage / "corte" / SUMS
        if corte and sums.exists() and _sha256_of(sums) == corte.sums and _sums_agree(sums):
            return stage
    return None


def _sums_agree(sums: Path) -> bool:
    lines = [line.split("  ", 1) for line in sums.read_text(encoding="utf-8").splitlines()]
    return all((sums.parent / name).exists() and _sha256_of(sums.parent / name) == digest for digest, name in lines)


def _claim_stage(office: CorteOffice, unfinished: Corte | None, stage: Path) -> bool:
    """Make `stage`, from a whole stage of an earlier run if there is one; returns whether there was. Remove all others.

    Only the publisher that holds the lock gets here.
    """
    staged = _whole_stage_of(office, unfinished)
    if staged is not None:
        staged.rename(stage)  # its old owner may still run; under the old name it will not find it
    else:
        stage.mkdir()
    for other in office.public.glob(".corte-*"):
        if other != stage:
            _sweep_stage(other)
    for swept in office.public.glob(".barrido-*"):  # left by a publisher that stopped while it removed them
        shutil.rmtree(swept, ignore_errors=True)
    return staged is not None


@contextmanager
def _while_licensed(stage: Path) -> Iterator[None]:
    # Errors without a stage mean that another publisher took over: its corte counts, and ours ends here.
    try:
        yield
    except (FileNotFoundError, GateFailure) as error:
        if stage.exists():
            raise
        raise Unavailable("otro publicador tomó el relevo; este corte es suyo") from error


@contextmanager
def licensed(public: Path) -> Iterator[Path]:
    """A stage for a change between two cortes, inside `Leader.cutting`. Another publisher that cuts removes it."""
    last = json.loads((public / INDEX).read_bytes())["corte"]
    stage = public / f".corte-{last:04}-{uuid.uuid4().hex[:8]}"
    stage.mkdir()
    try:
        with _while_licensed(stage):
            yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _empty_stage(stage: Path) -> None:
    """Remove the contents, keep the folder: it is the licence. Raises FileNotFoundError if another publisher has it."""
    for each in stage.iterdir():
        _remove_path(each)


def _sweep_stage(stage: Path) -> None:
    """Take the licence away in one step: a publisher that still works in it finds all of it gone, or none."""
    swept = stage.with_name(f".barrido-{uuid.uuid4().hex}")
    stage.rename(swept)
    shutil.rmtree(swept)


def _remove_path(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _folder_of(office: CorteOffice, corte: Corte) -> Path:
    return office.public / corte_folder(corte.number)


# Render: every file of the corte, in the stage.


async def _render_files(
    office: CorteOffice, shown: Snapshot, corte: Corte, stage: Path, sizes: Mapping[ElectionId, int]
) -> Rendered:
    folder = stage / "corte"
    book = await _read_book(office, shown)
    await _stage_catalogue(office, shown, stage)
    before = await shown.corte(corte.number - 1)
    fresh, all_fuera, decided = await shown.fresh(), await shown.fuera(), await shown.decisions()
    data = await shown.data(lambda named: data_lists(office.public, named, below=corte.number))
    fuera = {election.id: _fuera_of(election, book, all_fuera) for election in book.elections}
    wanted: dict[bytes, int | None] = {each.image: None for each in all_fuera}
    images = await shown.images(wanted | {each.image: each.version for each in fresh if each.image})
    versions, outside = [each.version for each in fresh], [each.id for each in all_fuera]
    await standing.write_statements(stage, behind(shown.connection, versions, corte.number, outside))
    (folder / "LEEME.txt").write_bytes(official.readme(book, corte.at, phase_final=corte.phase is Phase.FINAL))

    def following(election: Election) -> official.Following | None:
        kept = None if office.full else file_before(office.public, before, book.file(election))
        return None if kept is None else official.Following(kept, versions, sizes.get(election.id, 0))

    sums_before = None if office.full else await shown.groups_before()

    async def results(election: Election) -> Figures:
        mine = fuera[election.id]
        groups = await _sum_up(shown, election, None if sums_before is None else sums_before.get(election.id), versions)
        counted = Figures(election, book, groups, fuera=len(mine), final=corte.phase is Phase.FINAL)
        above = official.head(election, corte.at, counted.summary(), zone=book.zone)
        path = folder / book.file(election)
        people = folder / book.candidates_file(election)
        people.write_bytes(official.candidates(election, book))
        followed = await official.write_results(
            path, above, figures=counted, book=book, snapshot=shown, fuera=mine, following=following(election)
        )
        await asyncio.to_thread(pack, election, [path, people, folder / "LEEME.txt"], followed=followed)
        return counted

    archive = None if office.full else await asyncio.to_thread(parcels.archive_before, office.public, before)

    def pack(election: Election, files: Sequence[Path], *, followed: bool) -> None:
        name, old = partial(official.inner_zip_name, election=election, siglas=book.siglas, zone=book.zone), None
        if followed and archive is not None and before is not None:
            old = parcels.OldParcel(
                office.public / corte_folder(before.number) / files[0].name, archive, name(before.at)
            )
        parcel = parcels.Parcel(stage / name(corte.at), corte.at.astimezone(book.zone))
        parcel.add_rows(files[0], old, threads)
        for path in files[1:]:
            parcel.add(path)
        parcel.close()

    # Images wait for the disk; meanwhile the elections are read, written and compressed side by side.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        listed, *counted = await _all_of(
            stage_images(office.blobs, images, fresh, stage), *(results(election) for election in book.elections)
        )
    (folder / "images.csv").write_bytes(out.images_csv(listed))
    packed = await asyncio.to_thread(_pack_zip, stage, book, corte, before)
    (folder / "totals.json").write_bytes(out.totals(counted))
    (folder / "manifest.json").write_bytes(
        out.manifest(
            corte,
            book=book,
            figures=counted,
            before=before,
            fresh=fresh,
            decided=decided,
            data=data,
            packed=packed,
            site=site_files(book),
        )
    )
    return Rendered(
        Release(
            versions=[each.version for each in fresh],
            images=[each.image for each in images],
            counts={each.election.code: each.summary() for each in counted},
            groups={each.election.id: each.groups for each in counted},
            fuera=[each.id for each in all_fuera],
            decisions=[each.number for each in decided],
            data=data,
        ),
        {
            election.code: Expected(
                sizes.get(election.id, 0),
                len(fuera[election.id]),
                [contest.id for contest in book.contests_of(election)],
            )
            for election in book.elections
        },
        counted,
        {digest.hex(): each.image for each in images for digest in (each.image, each.web) if digest},
    )


async def _all_of(first: Awaitable[First], *others: Awaitable[Other]) -> tuple[First, *tuple[Other, ...]]:
    """What they return. If one raises, this does too, but only after the others end: no thread still uses the stage."""
    done = await asyncio.gather(first, *others, return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return cast("tuple[First, *tuple[Other, ...]]", tuple(done))


async def _stage_catalogue(office: CorteOffice, shown: Snapshot, stage: Path) -> None:
    """The catalogue goes out with the first corte, and again if the tree has lost it. Raises Rejected without one."""
    if await asyncio.to_thread(_has_catalogue, office.public / CATALOGUE):
        return
    files = await catalog.published(shown.connection)
    if not files:
        raise Rejected("este catálogo lo cargó una versión anterior: cárguelo otra vez, con --replace", status=409)
    (stage / CATALOGUE).mkdir()
    for name, content in files.items():
        await asyncio.to_thread((stage / CATALOGUE / name).write_bytes, content)


def _has_catalogue(folder: Path) -> bool:
    """Whether every file of the list is there. The gate says if their bytes are right."""
    listed = folder / SUMS
    if not listed.exists():
        return False
    return all((folder / line.partition("  ")[2]).exists() for line in listed.read_text().splitlines())


async def _read_book(office: CorteOffice, shown: Snapshot) -> CatalogBook:
    connection = shown.connection
    # Candidacies are numbered over all contests, so that two people of one name stay apart.
    people = enumerate(await catalog.candidacies(connection), 1)
    by_contest: dict[ContestId, list[tuple[int, Candidacy]]] = {}
    for number, candidacy in people:
        by_contest.setdefault(candidacy.contest, []).append((number, candidacy))
    digest = await catalog.digest(connection)
    if digest is None:
        raise Rejected("no hay catálogo: cárguelo con «prep catalog load»", status=409)
    return CatalogBook(
        elections=await catalog.elections(connection),
        contests={contest.id: contest for contest in await catalog.contests(connection)},
        candidacies=by_contest,
        names={(each.kind, each.entidad, each.id): each.name for each in await catalog.territories(connection)},
        digest=digest,
        night=office.night,
        logo=await night_store.logo(connection),
        maps=await catalog.maps(connection),
        places=await _list_of_places(office, shown, digest),
    )


async def _list_of_places(office: CorteOffice, shown: Snapshot, digest: str) -> bytes:
    """The list of the index of places; empty if the catalogue states no places."""
    if digest not in office.indexes:  # it names the institute's own files, and so the places in them
        known = [KnownPlace(*each) for each in await cortes.known_places(shown)]
        office.indexes[digest] = (await asyncio.to_thread(index_files, known)).get(PLACES_INDEX, b"")
    return office.indexes[digest]


async def _write_pages(
    office: CorteOffice,
    shown: Snapshot,
    corte: Corte,
    *,
    book: CatalogBook,
    stage: Path,
    rendered: Rendered | None,
    incidents: Sequence[ToldIncident],
    late: bool,
) -> None:
    all_fuera = await shown.fuera()
    fuera = {election.id: _fuera_of(election, book, all_fuera) for election in book.elections}
    counted = rendered.figures if rendered else await _count_all(shown, book, corte, fuera)
    await pages.render(
        office.public,
        shown,
        stage=stage,
        press=office.press,
        book=book,
        figures=counted,
        corte=corte,
        fuera=fuera,
        incidents=incidents,
        address=office.address,
        late=late,
    )


async def _count_all(
    shown: Snapshot, book: CatalogBook, corte: Corte, fuera: Mapping[ElectionId, Sequence[Fuera]]
) -> list[Figures]:
    final = corte.phase is Phase.FINAL
    return [
        Figures(each, book, await shown.groups(each), fuera=len(fuera[each.id]), final=final) for each in book.elections
    ]


async def _sum_up(
    shown: Snapshot, election: Election, before: Sequence[Group] | None, versions: Sequence[int]
) -> list[Group]:
    """The sums of the corte before, and what the `versions` that this one is the first to show add to them.

    All actas are in corte 0 already, so a place that has moved has a sum before; without one everything is added up.
    """
    if before is not None:
        sums = {each.place: each for each in before}
        moved = await shown.groups_moved(election, versions)
        if all(each.place in sums for each in moved):
            sums.update({each.place: sums[each.place] + each for each in moved})
            return [*sums.values()]
    return await shown.groups(election)


def _fuera_of(election: Election, book: CatalogBook, all_fuera: Sequence[Fuera]) -> list[Fuera]:
    """The fuera of this election; if there is one election only, all of them."""
    alone = len(book.elections) == 1
    return [each for each in all_fuera if alone or each.election == election.id]


def _pack_zip(stage: Path, book: CatalogBook, corte: Corte, before: Corte | None) -> dict[str, object]:
    inner = sorted(stage.glob("*.zip"))
    # Two cortes in one minute would have the same name; so would two in an hour that comes twice, as summer time ends.
    local = corte.at.astimezone(book.zone)
    same = before is not None and official.stamp(before.at, book.zone) == official.stamp(corte.at, book.zone)
    name = official.zip_name(corte.at, book.siglas, book.zone, again=corte.number if same or local.fold else None)
    target = stage / "zip" / name
    target.parent.mkdir()
    parcels.pack(target, inner, local)
    for path in inner:
        path.unlink()
    return {"archivo": f"{ZIPS}/{name}", "sha256": _sha256_of(target), "bytes": target.stat().st_size}


async def _run_gate(keepers: Gatekeepers, expected: Mapping[str, Expected]) -> None:
    findings = await keepers.findings(expected)
    if findings:
        for check in {finding.check for finding in findings}:
            observe.GATE_FAILURES.labels(check).inc()
        raise GateFailure(findings)


# Files.


def _write_sums(folder: Path) -> str:
    """SHA256SUMS over every file of the folder, in GNU form; returns the digest of the list itself."""
    lines = [f"{_sha256_of(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    content = "".join(lines).encode()
    (folder / SUMS).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync_stage(stage: Path) -> None:
    """Sync every file written here. Staged images were synced when they were copied."""
    beside = [stage / each for each in (CATALOGUE, standing.STATEMENTS) if (stage / each).exists()]
    for folder in (stage / "corte", stage / "zip", *beside):
        for path in folder.iterdir():
            durable.sync(path)
        durable.sync(folder)
    for folder in ((stage / IMAGES), *(stage / IMAGES).iterdir()):
        durable.sync(folder)
    durable.sync(stage)
    durable.sync(stage.parent)


def _bring_out(staged: Path, target: Path) -> None:
    """Link every staged file to its place; a file that is there already is never touched."""
    if not staged.exists() or not any(staged.iterdir()):
        return
    target.mkdir(exist_ok=True)
    touched = {target}
    for at, _, names in os.walk(staged):
        place = target / Path(at).relative_to(staged)
        if names:
            place.mkdir(parents=True, exist_ok=True)
            touched |= {place, place.parent}
        for name in names:
            with suppress(FileExistsError):
                os.link(f"{at}/{name}", f"{place}/{name}")
    for folder in touched:
        durable.sync(folder)
    durable.sync(target.parent)


def _move_into_tree(staged: Path, place: Path) -> None:
    place.parent.mkdir(exist_ok=True)
    staged.rename(place)
    durable.sync(place.parent)
    durable.sync(place.parent.parent)
