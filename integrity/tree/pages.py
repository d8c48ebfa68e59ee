"""The rest of a published tree: no file that neither the format nor a corte names."""

import re
from typing import Final

from integrity import evidence
from integrity.evidence import LogBook
from integrity.layout import (
    CATALOGUE,
    CHANGES,
    CORTES,
    DATA,
    FEED,
    HOME_TWIN,
    IMAGES,
    INDEX,
    LISTS,
    LOG,
    LOGOS,
    PICTURE,
    PLACES,
    PLACES_INDEX,
    ROOT_PAGES,
    SCHEMAS,
    SECTIONS,
    SITE_FILES,
    SITE_PARTS,
    SITE_PROGRAM,
    SUMS,
    ZIPS,
    changes_path,
    data_folder,
    delta_path,
    twin_of,
)
from integrity.report import Ledger
from integrity.source import PathKind, Source, SourceError
from integrity.sums import Malformed
from integrity.tree.catalogue import file_names
from integrity.tree.coming import is_stage, places_of
from integrity.tree.documents import PublishedElection
from integrity.tree.rows import PublishedTable
from integrity.tree.shown import has_site, pages_of_sections, read_places
from integrity.tree.tree import HTTP, PublishedCorte, Seen, entries, judge_entry

_ROOT_FILES: Final = frozenset({INDEX, "index.html", *SITE_FILES})
_SITE: Final = frozenset({*ROOT_PAGES, SITE_PROGRAM, HOME_TWIN, FEED})
_LIST: Final = re.compile(rf"(?:tarjeta|(?:{'|'.join(LISTS)})(?:-(?:[2-9]|[1-9]\d{{1,3}}))?)\.(?:html|json)", re.ASCII)
"""The card of an election, and the pages of its lists."""
_IN_WORK: Final = re.compile(r"\.\d{4,}-[0-9a-f]{8}", re.ASCII)
"""The folder in which the publisher makes clean data; it is no part of the tree."""


def judge_extra(tree: Source, last: PublishedCorte, seen: Seen, ledger: Ledger) -> None:
    """Files and folders that neither the format nor a corte names; cortes/ and imagenes/ have steps of their own."""
    if not tree.listable:
        ledger.not_applicable("COM-02", HTTP)
        ledger.not_applicable("COM-08", HTTP)
        return
    if last.manifest is None:
        ledger.unable(["COM-08"], f"{last.folder}: sin manifiesto no se sabe qué archivos debe haber")
        return
    elections = {election.code: election for election in last.manifest.elections}
    site = has_site(last.manifest)
    folders = {CORTES, ZIPS, LOG, CATALOGUE, DATA, *elections, *([IMAGES] if seen.images else [])}
    folders |= {SECTIONS, CHANGES} if site else set()
    schemas = {name for name in last.manifest.raw.get("sitio", {}) if name.startswith(f"{SCHEMAS}/")}
    folders |= {SCHEMAS} if schemas else set()
    with_places = PLACES_INDEX in last.manifest.raw.get("sitio", {})
    folders |= {PLACES} if with_places else set()
    files = _ROOT_FILES | _SITE if site else _ROOT_FILES
    files |= {*LOGOS, *SITE_PARTS} & last.manifest.raw.get("sitio", {}).keys()
    # The tree's own folders, then those of each election. A file in the wrong place is as strange as an unknown one.
    for name, kind in entries(tree, "", ledger).items():
        if kind is PathKind.FOLDER and is_stage(name):
            continue  # the publisher is at work; the folder is no part of the tree
        wanted = PathKind.FOLDER if name in folders else PathKind.FILE
        judge_entry(name, kind, "COM-08", ledger, seen, known=name in folders | files, wanted=wanted)
    for name, kind in entries(tree, ZIPS, ledger).items():
        judge_entry(f"{ZIPS}/{name}", kind, "COM-08", ledger, seen, known=f"{ZIPS}/{name}" in seen.zips)
    # A schema that the manifest does not state is of no release that a reader could name.
    for name, kind in (entries(tree, SCHEMAS, ledger) if schemas else {}).items():
        judge_entry(f"{SCHEMAS}/{name}", kind, "COM-08", ledger, seen, known=f"{SCHEMAS}/{name}" in schemas)
    if with_places:
        _judge_places(tree, seen, ledger)
    _judge_data_folders(tree, seen, ledger)
    of_catalogue = file_names(elections)
    for name, kind in entries(tree, CATALOGUE, ledger).items():
        judge_entry(f"{CATALOGUE}/{name}", kind, "COM-08", ledger, seen, known=name in of_catalogue)
    for election in elections.values():
        _judge_election_folder(tree, election, last.tables.get(election.code), seen, ledger, site=site)
    if site:
        _judge_site_folders(tree, last, seen, ledger)


def _judge_places(tree: Source, seen: Seen, ledger: Ledger) -> None:
    """lugares/ has its list and what that names. A list that cannot be read names nothing; INT-07 tells of it."""
    try:
        listed = {f"{PLACES}/{name}" for name in read_places(tree)}
    except (SourceError, Malformed):
        listed = set()
    for name, kind in entries(tree, PLACES, ledger).items():
        known = f"{PLACES}/{name}" in listed | {PLACES_INDEX}
        judge_entry(f"{PLACES}/{name}", kind, "COM-08", ledger, seen, known=known)


def _judge_data_folders(tree: Source, seen: Seen, ledger: Ledger) -> None:
    """datos/ has a folder of each corte that has clean data, and no other."""
    known = {data_folder(number) for number in seen.data}
    strange = {}
    for name, kind in entries(tree, DATA, ledger).items():
        if not (kind is PathKind.FOLDER and _IN_WORK.fullmatch(name)):
            strange[f"{DATA}/{name}"] = kind
    # Those of the last corte may have come since its folder was looked at.
    for number in seen.cortes.keys() - seen.data.keys():
        if data_folder(number) in strange and _has_list(tree, number):
            known.add(data_folder(number))
    for path, kind in strange.items():
        judge_entry(path, kind, "COM-08", ledger, seen, known=path in known, wanted=PathKind.FOLDER)


def _has_list(tree: Source, number: int) -> bool:
    try:
        return tree.exists(f"{data_folder(number)}/{SUMS}")
    except SourceError:
        return False


def _judge_site_folders(tree: Source, last: PublishedCorte, seen: Seen, ledger: Ledger) -> None:
    """seccion/ has the pages of the secciones in the rows; cambios/ a list and a delta of each corte."""
    sections = pages_of_sections(last.tables.values())
    sections |= {twin_of(page) for page in sections}
    for name, kind in entries(tree, SECTIONS, ledger).items():
        judge_entry(f"{SECTIONS}/{name}", kind, "COM-08", ledger, seen, known=f"{SECTIONS}/{name}" in sections)
    changes = {path(number) for number in seen.cortes for path in (changes_path, delta_path)}
    for name, kind in entries(tree, CHANGES, ledger).items():
        judge_entry(f"{CHANGES}/{name}", kind, "COM-08", ledger, seen, known=f"{CHANGES}/{name}" in changes)


def _judge_election_folder(
    tree: Source,
    election: PublishedElection,
    table: PublishedTable | None,
    seen: Seen,
    ledger: Ledger,
    *,
    site: bool,
) -> None:
    code = election.code
    if table is None:
        ledger.unable(["COM-08"], f"{code}: sin sus filas no se sabe qué páginas debe haber")
        return
    contests = {f"contienda-{contest.id}.html" for contest in election.contests.values()}
    fixed = {"index.html"} | contests | places_of(table)
    for name, kind in entries(tree, code, ledger).items():
        # A page of an acta has the name of its clave; an acta that is not captured has no page.
        stem, _, ending = name.rpartition(".")
        page = f"{stem}.html" in fixed or stem in table.published
        page = page and (ending == "html" or (site and ending == "json"))
        page = page or (site and (name == PICTURE or _LIST.fullmatch(name) is not None))
        wanted = PathKind.FOLDER if name == "fuera" else PathKind.FILE
        judge_entry(f"{code}/{name}", kind, "COM-08", ledger, seen, known=page or name == "fuera", wanted=wanted)
        # Pages of images fuera de catálogo are named by digest, as they have no clave.
        if name == "fuera" and kind is PathKind.FOLDER:
            for inner, its_kind in entries(tree, f"{code}/fuera", ledger).items():
                known = inner.endswith(".html") and "-" in seen.claves(inner.removesuffix(".html"))
                judge_entry(f"{code}/fuera/{inner}", its_kind, "COM-08", ledger, seen, known=known)
    ledger.did("COM-08")


def judge_log_files(tree: Source, book: LogBook | None, seen: Seen, ledger: Ledger) -> None:
    """bitacora/ holds a log's files and no other. If the log could not be read, its files are not judged."""
    if book is None or not tree.listable:
        return
    folders, strange = [LOG], list[tuple[str, PathKind]]()
    while folders:
        folder = folders.pop()
        for name, kind in entries(tree, folder, ledger).items():
            path = f"{folder}/{name}"
            known = evidence.is_known(path, kind, book)
            if known or kind in {PathKind.LINK, PathKind.OTHER}:
                judge_entry(path, kind, "COM-08", ledger, seen, known=known, wanted=kind)
            else:
                strange.append((path, kind))
            if kind is PathKind.FOLDER and known and not name.startswith("."):
                folders.append(path)
    # The sequencer may have added leaves, and their files, since the log was read: the strange ones are judged after.
    if strange:
        evidence.refresh(book, tree)
    for path, kind in strange:
        known = evidence.is_known(path, kind, book)
        judge_entry(path, kind, "COM-08", ledger, seen, known=known, wanted=kind)
