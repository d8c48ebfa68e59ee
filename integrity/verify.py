"""Anyone checks a published tree: every digest, the chain of cortes, and every number recomputed from the rows.

    verify("public")  or  verify("https://prep.example.mx/")

The steps, in their order. `verify_tree` and `_verify_corte` carry the same numbers.

1.   The tree: index.json, and the cortes, numbered from 0 without gaps (COM-01). A corte that comes out while this
     reads is left out: what index.json named first is judged (`tree.coming`).
2.   The log, if the tree has one: read whole and recomputed up to the signed root (`evidence.read_log`). It is read
     first: leaves that come later than this reading need not be in it. Then the catalogue (CON-20), with which each
     corte is compared; then each corte, from 0 to the last:
2.1  SHA256SUMS has its exact form (INT-01). It is the root of everything in the folder.
2.2  Every file that it names has its digest (INT-02); the folder holds no other file (COM-02, COM-03).
2.3  The manifest has its form (INT-03) and follows the manifest of the corte before (CON-01 to CON-05).
2.4  Every row of every election follows from its own votes by the rules (CON-07 to CON-10); the rows give the thirteen
     summary values and totals.json (CON-11 to CON-14); every change since the corte before is allowed (COM-04, CON-15).
2.5  The ZIP holds the same bytes (INT-05, INT-06).
2.6  The images of the corte join the list of images.
2.7  The clean data beside the corte, if they came already: made again, byte by byte (CON-21). A manifest names the
     lists of earlier cortes that came since the manifest before.
2.8  The seals and time stamps beside SHA256SUMS are of the authorities that the reader trusts (AUT-01 to AUT-06).
3.   index.json, the only file that changes, points at the last corte (CON-06); a rehearsal says so (CON-04).
4.   The images are exactly those that the cortes list (COM-05, COM-06); the bytes of each have its name (INT-04).
5.   Cortes, images, rows and openings are in the log (EVI-03 to EVI-10, EVI-12, EVI-13).
6.   The pages of the last corte are there (COM-07), and no file that no corte names (COM-08).

Each step writes into the ledger how much it compared and what differed; the report calls a check that no step reached
*not checked*. The tree was written by other people. So no value is used before its step has passed, every read has a
limit, and no link is followed.

A tree may be rewritten as a whole, with new digests. Its log (`evidence`) and its seals (`tree.seals`) show this, if
the reader brings the log's key and the authorities.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Final

from integrity import evidence
from integrity.evidence import LogBook, Shown
from integrity.layout import (
    BESIDE_SUMS,
    CORTES,
    INDEX,
    SUMS,
    changes_path,
    corte_folder,
    data_folder,
    delta_path,
    image_path,
    twin_of,
)
from integrity.leaves import row_digest
from integrity.openings import FirstShown, fuera_shown, judge_support
from integrity.report import CHECKS, ROW_CHECKS, SEAL_CHECKS, Ledger, Report
from integrity.source import Missing, PathKind, Source, SourceError, open_source
from integrity.strict_json import Json
from integrity.sums import Malformed, in_threads, read_sums
from integrity.tree import seals
from integrity.tree.catalogue import judge_candidacies, judge_manifest, judge_rows, read_catalogue
from integrity.tree.chain import judge_itself, judge_succession
from integrity.tree.coming import Coming, Watch, hour_of, paths_of_images, places_of
from integrity.tree.companions import judge_people, judge_readme, people_of
from integrity.tree.data import judge_data, judge_named
from integrity.tree.documents import PublishedElection, in_words, read_index, read_manifest, read_totals
from integrity.tree.images import judge_codes, judge_image_folders, judge_images, read_images
from integrity.tree.pages import judge_extra, judge_log_files
from integrity.tree.parcels import ZIP_LIMIT, judge_zip
from integrity.tree.rows import (
    ESPERADAS,
    FALTA,
    FileInCorte,
    Judge,
    PublishedTable,
    follow_table,
    judge_changes,
    judge_corrected,
    read_preamble,
    read_table,
    shown_row,
)
from integrity.tree.shown import judge_constants, judge_pages
from integrity.tree.totals import judge_summary, judge_totals
from integrity.tree.tree import PublishedCorte, Seen, blame, malformed

if TYPE_CHECKING:
    from integrity.authenticity import Trust
    from integrity.log.note import Checkpoint, Policy

_SUMS_LIMIT: Final = 1 << 20
_JSON_LIMIT: Final = 64 << 20
_TABLE_LIMIT: Final = 4 << 30
_MOST_CORTES: Final = 100_000
_CORTE: Final = re.compile(r"(?!0{5,})\d{4}|[1-9]\d{4,}", re.ASCII)

_ALL_CHECKS: Final = {**CHECKS, **SEAL_CHECKS}
_CHAIN_FILES: Final = frozenset({"manifest.json", "images.csv"})
"""The files that are read of a corte before `since`, of which only the chain is checked."""
_SIMULACRO: Final = "ESTO ES UN SIMULACRO: sus números no son de una elección"
_BEFORE: Final = (
    "hasta el corte {} solo se comprobaron SHA256SUMS, el manifiesto, la lista de imágenes, los sellos y la bitácora "
    "(--since {}); sus filas, totales, ZIP e imágenes, no"
)

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """The keys, authorities and expectations that the reader brings."""

    log: "Policy | None" = None
    trust: "Trust | None" = None
    since: int = 0
    simulacro: bool | None = None
    now: datetime | None = None
    kept: "Checkpoint | None" = None
    alone: bool = False
    first: bool = False


NOTHING: Final = Asked()


def verify(
    source: str,
    tell: Tell = lambda _: None,
    *,
    log: "Policy | None" = None,
    trust: "Trust | None" = None,
    since: int = 0,
    simulacro: bool | None = None,
    now: datetime | None = None,
    kept: "Checkpoint | None" = None,
    alone: bool = False,
    first: bool = False,
) -> Report:
    """Verify the published tree in a directory or at an http(s) address. `tell` hears each step in words.

    `log` is the policy of the log that the tree must have. Without it the key in the tree itself is used, which shows
    less (`evidence`). `trust` holds the authorities for seals and time stamps; without it, those of a tree that has any
    are *not checked*. `since` is the first corte whose rows, totals, ZIP and images are checked; of earlier cortes only
    the digests are, and the report says so. `simulacro` is the kind that the reader expects; None: either, and the
    report says which. `now` is the reader's clock: no seal may be from the future; None: this is not checked. `kept` is
    a checkpoint of the log that the reader kept from before. `alone`: a person who brought no key and no authority
    asks, so that the report names the missing key (AUT-12); `first`: this person remembers the tree's key from now on.

    Never raises for what the tree holds: every failure is a finding of the report, in Spanish.
    """
    ledger = Ledger(_ALL_CHECKS)
    try:
        tree = open_source(source)
    except SourceError as error:
        ledger.unable(_ALL_CHECKS, error.sentence)
        return ledger.report(source, "")
    try:
        return verify_tree(tree, ledger, tell, Asked(log, trust, since, simulacro, now, kept, alone, first))
    finally:
        tree.close()


def verify_tree(tree: Source, ledger: Ledger, tell: Tell, asked: Asked = NOTHING) -> Report:
    """Take the steps of the module's docstring, in their order."""
    # 1. The tree: index.json, and the numbers of the cortes.
    if not _is_published(tree, ledger):
        return ledger.report(tree.name, "")
    index = _read_index(tree, ledger)
    numbers = _find_cortes(tree, index, ledger)
    if not numbers:
        ledger.unable(_ALL_CHECKS, "no se encontró ningún corte publicado")
        return ledger.report(tree.name, "")
    _judge_since(asked.since, numbers, ledger)
    watch = Watch(asked.now)
    numbers = _leave_out_coming(tree, index, numbers, watch, ledger)

    # 2. The log first: leaves that come while this reads are not in it yet. Then the catalogue, and each corte in turn
    #    (2.1 to 2.8). Only the corte before stays on the disk.
    book = evidence.read_log(tree, asked.log, ledger, tell, kept=asked.kept, alone=asked.alone, first=asked.first)
    seen = Seen(rows=None if book is None else {}, catalogue=read_catalogue(tree, ledger))
    before: PublishedCorte | None = None
    for number in numbers:
        tell(f"corte {number} de {numbers[-1]}")
        corte = PublishedCorte(number, whole=number >= asked.since)
        _verify_corte(tree, corte, before, seen, ledger, last=number == numbers[-1])
        seals.judge_corte(tree, corte, before, seen, ledger, trust=asked.trust, now=asked.now)
        if before is not None:
            _drop_files(tree, before)
            before.totals = None
        before = corte
    assert before is not None
    last = before
    seen.coming = Coming(tree, last.number, watch, lambda folder, number: _announced(tree, folder, number))
    seals.conclude(seen, ledger, trust=asked.trust)

    # 3. index.json, the only file that changes, points at the last corte.
    _judge_index(index, last, ledger)
    _judge_simulacro(last, asked.simulacro, ledger)

    # 4. The images: exactly those that the cortes list, each named by the digest of its bytes, and each row's own among
    #    them.
    tell(f"{len(seen.images)} imágenes")
    judge_codes(last, seen, ledger)
    judge_image_folders(tree, seen, ledger)
    judge_images(tree, seen, ledger)

    # 5. All of it compared with the log.
    if book is not None:
        tell("la bitácora")
        _judge_evidence(book, tree, seen, watch, asked, ledger=ledger)

    # 6. The rest of the tree: the pages of the last corte, and no file that no corte names.
    tell("páginas y archivos de más")
    judge_pages(tree, last, seen, ledger)
    judge_constants(tree, last, ledger)
    judge_extra(tree, last, seen, ledger)
    judge_log_files(tree, book, seen, ledger)
    _drop_files(tree, last)
    return ledger.report(tree.name, _in_words(last))


def _verify_corte(
    tree: Source, corte: PublishedCorte, before: PublishedCorte | None, seen: Seen, ledger: Ledger, *, last: bool
) -> None:
    # 2.1 SHA256SUMS, the root of everything in the folder, in its exact form.
    _read_sums(tree, corte, ledger)

    # 2.2 Every file it names, with its digest; no other file in the folder.
    _fetch_files(tree, corte, ledger)
    _judge_folder(tree, corte, ledger)

    # 2.3 The manifest has its form, and follows the corte before.
    _read_manifest(corte, ledger)
    _judge_chain(corte, before, ledger)
    if corte.manifest is None:
        ledger.unable(ROW_CHECKS, f"{corte.folder}: sin manifiesto no se sabe cómo leer sus filas")
        ledger.unable(("INT-05", "INT-06"), f"{corte.folder}: sin manifiesto no se sabe cuál es su ZIP")
    else:
        if seen.catalogue is not None:
            judge_manifest(seen.catalogue, f"{corte.folder}/manifest.json", corte.manifest, ledger)
        # 2.4 The rows of every election: each by the rules, then their sums, then what changed since the corte before.
        for election in corte.manifest.elections if corte.whole else ():
            _verify_election(corte, before, election, seen, ledger, last=last)
        if corte.whole:
            _verify_totals(corte, before, seen, ledger)
            judge_readme(corte.manifest, _small_file(corte, "LEEME.txt"), corte.folder, ledger)

        # 2.5 The ZIP holds the same bytes.
        seen.zips.add(corte.manifest.zip_name)
        if corte.whole:
            _verify_zip(tree, corte, ledger)

    # 2.6 The images that appeared since the corte before.
    # The log is compared after the last corte; this much of each corte is kept for it.
    seen.cortes[corte.number] = Shown(corte.number, corte.sums_sha256, corte.manifest.raw if corte.manifest else None)
    read_images(corte, seen, ledger)

    # 2.7 The clean data: those of earlier cortes that its manifest names, and its own.
    judge_named(corte, seen, ledger)
    judge_data(tree, corte, seen, ledger)


# --- 1. the tree ------------------------------------------------------------------------------------------------------


def _is_published(tree: Source, ledger: Ledger) -> bool:
    """Whether this is a published tree at all. Of a wrong address, this is the only thing worth saying."""
    try:
        if tree.exists(INDEX) or tree.exists(f"{corte_folder(0)}/{SUMS}"):
            return True
    except SourceError as error:
        ledger.unable(CHECKS, error.sentence)
        return False
    ledger.unable(CHECKS, "aquí no hay un PREP publicado: no están index.json ni el corte 0")
    return False


def _read_index(tree: Source, ledger: Ledger) -> Json | None:
    ledger.did("COM-01")
    try:
        fetched = tree.fetch(INDEX, _JSON_LIMIT)
    except SourceError as error:
        blame(error, ["COM-01"], INDEX, ledger)
        return None
    try:
        ledger.did("INT-03")
        return read_index(fetched.local.read_bytes())
    except Malformed as problem:
        malformed(problem, "INT-03", INDEX, ledger)
        return None
    finally:
        tree.drop(fetched)


def _find_cortes(tree: Source, index: Json | None, ledger: Ledger) -> list[int]:
    """The numbers of the cortes that are there. A number that is missing before the last is a finding (COM-01)."""
    stated = index["corte"] if index is not None else -1
    try:
        there = _list_cortes(tree, ledger) if tree.listable else _probe_cortes(tree, min(stated, _MOST_CORTES))
    except SourceError as error:
        blame(error, ["COM-01"], CORTES, ledger)
        return []
    expected = range(max(there, default=-1) + 1)
    for number in sorted({*expected, *([stated] if stated >= 0 else [])} - there)[:_MOST_CORTES]:
        ledger.wrong("COM-01", corte_folder(number), expected="un corte", found="nada")
    ledger.did("COM-01", len(there))
    return sorted(there)


def _list_cortes(tree: Source, ledger: Ledger) -> set[int]:
    there: set[int] = set()
    for name, kind in tree.entries(CORTES).items():
        if kind is PathKind.FOLDER and _CORTE.fullmatch(name) and int(name) <= _MOST_CORTES:
            there.add(int(name))
        elif kind in {PathKind.LINK, PathKind.OTHER}:
            ledger.wrong("COM-02", f"{CORTES}/{name}", expected="una carpeta", found=kind.value)
        else:
            ledger.wrong("COM-08", f"{CORTES}/{name}", expected="nada", found=f"{kind.value} que no es un corte")
    return there


def _probe_cortes(tree: Source, stated: int) -> set[int]:
    """Over HTTP, folders cannot be listed: try the cortes that the index promises, then the next numbers.

    The next ones are tried because an old index may have been put back over a newer tree.
    """
    numbers = range(stated + 1)
    there = {number for number in numbers if tree.exists(f"{corte_folder(number)}/{SUMS}")}
    following = stated + 1
    while following <= _MOST_CORTES and tree.exists(f"{corte_folder(following)}/{SUMS}"):
        there.add(following)
        following += 1
    return there


def _leave_out_coming(tree: Source, index: Json | None, numbers: list[int], watch: Watch, ledger: Ledger) -> list[int]:
    """Without the cortes that come out while this reads: index.json did not name them when the reading began."""
    stated = index["corte"] if index is not None else -1
    later = [number for number in numbers if number > stated]
    hours = [hour_of(tree, corte_folder(number)) for number in later] if stated in numbers else []
    if not hours or not all(hour is not None and watch.is_new(hour) for hour in hours):
        return numbers
    ledger.facts["Está saliendo"] = f"el corte {later[-1]}: se comprobó hasta el {stated}, que index.json nombraba"
    return [number for number in numbers if number <= stated]


def _announced(tree: Source, folder: str, number: int) -> frozenset[str]:
    """The paths that a corte which is coming out brings into the tree. Its faults are told when index.json names it."""
    corte, seen, aside = PublishedCorte(number, stage=folder), Seen(), Ledger(_ALL_CHECKS)
    _read_sums(tree, corte, aside)
    _fetch_files(tree, corte, aside)
    _read_manifest(corte, aside)
    paths: set[str] = set()
    if corte.manifest is not None:
        paths.update({corte.manifest.zip_name, changes_path(number), delta_path(number), data_folder(number)})
        for election in corte.manifest.elections:
            _verify_election(corte, None, election, seen, aside, last=True)
        read_images(corte, seen, aside)
        paths.update(paths_of_images(seen.images))
        for code, table in corte.tables.items():
            pages = {f"{code}/{page}" for page in places_of(table)} | {
                f"{code}/{clave}.html" for clave in table.published
            }
            paths.update(pages, map(twin_of, pages))
            paths.update(f"{code}/fuera/{sha256}.html" for sha256 in seen.images if "-" in seen.claves(sha256))
    _drop_files(tree, corte)
    return frozenset(paths)


# --- 2.1 and 2.2 a corte's files --------------------------------------------------------------------------------------


def _read_sums(tree: Source, corte: PublishedCorte, ledger: Ledger) -> None:
    path = f"{corte.folder}/{SUMS}"
    try:
        fetched = tree.fetch(path, _SUMS_LIMIT)
    except SourceError as error:
        blame(error, ["INT-01"], path, ledger)
        ledger.unable(["INT-02", "COM-03"], f"{corte.folder}: sin {SUMS} no hay con qué comparar sus archivos")
        return
    corte.sums_sha256 = fetched.sha256
    ledger.did("INT-01")
    try:
        corte.content = fetched.local.read_bytes()
        corte.sums = read_sums(corte.content)
    except Malformed as problem:
        malformed(problem, "INT-01", path, ledger)
        ledger.unable(["INT-02", "COM-03"], f"{path} no se puede leer: no hay con qué comparar los archivos del corte")
    finally:
        tree.drop(fetched)


def _fetch_files(tree: Source, corte: PublishedCorte, ledger: Ledger) -> None:
    """Fetch every listed file. A file with a wrong digest is kept: the later steps report its contents as well."""
    wanted = {name: digest for name, digest in corte.sums.items() if corte.whole or name in _CHAIN_FILES}
    paths = [f"{corte.folder}/{name}" for name in wanted]
    fetched = in_threads(lambda path: tree.fetch(path, _TABLE_LIMIT), paths, tree.threads)
    for (path, outcome), (name, expected) in zip(fetched, wanted.items(), strict=True):
        if isinstance(outcome, Missing):
            ledger.wrong("COM-03", path, expected="este archivo", found="nada")
        elif isinstance(outcome, SourceError):
            blame(outcome, ["INT-02"], path, ledger)
        else:
            corte.files[name] = outcome
            ledger.did("INT-02")
            if outcome.sha256 != expected:
                ledger.wrong("INT-02", path, expected=expected, found=outcome.sha256)


def _judge_folder(tree: Source, corte: PublishedCorte, ledger: Ledger) -> None:
    """Every name in the folder is in SHA256SUMS, or may stand beside it. Over HTTP this cannot be seen."""
    ledger.did("COM-03")
    if not tree.listable:
        return
    try:
        entries = tree.entries(corte.folder)
    except SourceError as error:
        blame(error, ["COM-03"], corte.folder, ledger)
        return
    ledger.did("COM-02", len(entries))
    for name, kind in entries.items():
        path = f"{corte.folder}/{name}"
        if kind in {PathKind.LINK, PathKind.OTHER}:
            ledger.wrong("COM-02", path, expected="un archivo ordinario", found=kind.value)
        elif kind is not PathKind.FILE or (name not in BESIDE_SUMS and corte.sums and name not in corte.sums):
            ledger.wrong("COM-03", path, expected="nada", found=f"{kind.value} que no está en {SUMS}")


# --- 2.3 the manifest and the chain -----------------------------------------------------------------------------------


def _read_manifest(corte: PublishedCorte, ledger: Ledger) -> None:
    path = f"{corte.folder}/manifest.json"
    data = _read_small_json(corte, "manifest.json", ledger)
    if data is None:
        return
    ledger.did("INT-03")
    try:
        corte.manifest = read_manifest(data)
    except Malformed as problem:
        malformed(problem, "INT-03", path, ledger)
        return
    # Both lists must be the same: a file in one alone would be covered by a digest and have no meaning, or the reverse.
    ledger.did("COM-03")
    for name in sorted(corte.manifest.files - corte.sums.keys()):
        ledger.wrong("COM-03", f"{corte.folder}/{SUMS}", expected=f"«{name}», que nombra el manifiesto", found="nada")
    for name in sorted(corte.sums.keys() - corte.manifest.files):
        ledger.wrong("COM-03", f"{corte.folder}/{SUMS}", expected="los archivos del manifiesto", found=f"«{name}»")


def _judge_chain(corte: PublishedCorte, before: PublishedCorte | None, ledger: Ledger) -> None:
    """The corte follows the one before: number, digest, time, and everything that a night may not change."""
    chain = ("CON-01", "CON-02", "CON-03", "CON-04", "CON-05")
    ours, path = corte.manifest, f"{corte.folder}/manifest.json"
    if ours is None:
        ledger.unable(chain, f"{corte.folder}: sin manifiesto no se puede comparar con los demás cortes")
        return
    for check in chain:
        ledger.did(check)
    # Each manifest holds the digest of the SHA256SUMS before it. So the last corte fixes all cortes (domain.md §10).
    expected = None if before is None or corte.number == 0 else (before.number, before.sums_sha256)
    if ours.anterior != expected:
        ledger.wrong(
            "CON-01",
            path,
            expected=_anterior_in_words(expected),
            found=_anterior_in_words(ours.anterior),
            position="anterior",
        )
    if ours.corte != corte.number:
        ledger.wrong("CON-02", path, expected=corte.number, found=ours.corte, position="corte")
    judge_itself(path, ours, ledger)
    if before is not None and before.manifest is not None:
        judge_succession(path, ours, before.manifest, ledger)


def _anterior_in_words(held: tuple[int, str] | None) -> str:
    return "null" if held is None else f"corte {held[0]}, {held[1]}"


# --- 2.4 rows ---------------------------------------------------------------------------------------------------------


def _verify_election(
    corte: PublishedCorte,
    before: PublishedCorte | None,
    election: PublishedElection,
    seen: Seen,
    ledger: Ledger,
    *,
    last: bool,
) -> None:
    assert corte.manifest is not None
    fetched = corte.files.get(election.archivo)
    if fetched is None:
        ledger.unable(ROW_CHECKS, f"falta {corte.folder}/{election.archivo}")
        return
    note = None if seen.rows is None else _row_recorder(seen.rows, election, corte.number)
    sheet = FileInCorte(fetched.local, f"{corte.folder}/{election.archivo}", Judge(election), ledger, note)
    preamble = read_preamble(sheet, election, corte.manifest.at)
    if not preamble.sound:
        ledger.unable(ROW_CHECKS, f"{sheet.name}: con otro encabezado no se pueden leer sus filas")
        return
    earlier = before.tables.get(election.code) if before is not None else None
    table = _read_rows(sheet, election, earlier, corte, last=last)
    corte.tables[election.code] = table
    if seen.catalogue is not None:
        judge_rows(seen.catalogue, sheet, earlier.file if earlier is not None else None)
    judge_summary(sheet.name, preamble.summary, manifest=corte.manifest, election=election, table=table, ledger=ledger)
    _judge_contests(sheet, election, table)
    if corte.number == 0 and (
        table.fuera or any(sum(amounts) != amounts[ESPERADAS] + amounts[FALTA] for amounts in table.sums.values())
    ):
        ledger.wrong("CON-02", sheet.name, expected="un corte 0 sin ningún acta", found="actas capturadas")


def _row_recorder(
    rows: dict[str, FirstShown], election: PublishedElection, corte: int
) -> Callable[[str, list[str]], None]:
    """Notes each captured row under its digest, once: the first corte that shows it."""

    def record(clave: str, cells: list[str]) -> None:
        digest = row_digest(election.code, clave, cells)
        if digest not in rows:
            rows[digest] = FirstShown(election.code, clave, corte, shown_row(election, cells))

    return record


def _read_rows(
    sheet: FileInCorte,
    election: PublishedElection,
    earlier: PublishedTable | None,
    corte: PublishedCorte,
    *,
    last: bool,
) -> PublishedTable:
    """Read the last corte whole, and a corte after one with wrong rows; of the others only the lines that changed."""
    assert corte.manifest is not None
    corrected = frozenset(clave for code, clave in corte.manifest.corrections if code == election.code)
    judge_corrected(sheet, corrected, corte.number)
    if earlier is None:
        sheet.ledger.did("CON-15", 0)
        return read_table(sheet, keep=last)
    judge_changes(sheet, earlier.file, corrected)
    followed = follow_table(sheet, earlier) if earlier.sound and not last else None
    return followed if followed is not None else read_table(sheet, keep=last)


def _judge_contests(sheet: FileInCorte, election: PublishedElection, table: PublishedTable) -> None:
    sheet.ledger.did("COM-04")
    # A contest of the manifest that no acta votes in means that rows are missing; rows of an unknown one fail CON-08.
    voting = {sheet.judge.contest(place) for place, amounts in table.sums.items() if amounts[ESPERADAS]}
    for place, contest in election.contests.items():
        if place not in voting:
            sheet.ledger.wrong("COM-04", sheet.name, expected=f"actas de la contienda {contest.name}", found="ninguna")


def _verify_totals(corte: PublishedCorte, before: PublishedCorte | None, seen: Seen, ledger: Ledger) -> None:
    assert corte.manifest is not None
    where = f"{corte.folder}/totals.json"
    data = _read_small_json(corte, "totals.json", ledger)
    if data is None:
        ledger.unable(["CON-14", "CON-17"], f"falta {where}")
        return
    ledger.did("INT-03")
    try:
        totals = read_totals(data)
    except Malformed as problem:
        malformed(problem, "INT-03", where, ledger)
        ledger.unable(["CON-14", "CON-17"], f"{where} no se puede leer")
        return
    corte.totals = totals
    judge_totals(totals, corte.manifest, corte.tables, ledger)
    for election in corte.manifest.elections:
        if election.code in totals["elecciones"]:
            file = _small_file(corte, election.candidaturas)
            judge_people(election, totals["elecciones"][election.code], file, corte.folder, ledger)
    if seen.catalogue is not None:
        judge_candidacies(seen.catalogue, where, totals, ledger)
    corte.people = people_of(totals)
    if before is not None and before.people and before.people != corte.people:
        ledger.wrong("CON-17", where, expected="las candidaturas del corte anterior", found="otras")


# --- 2.5 the ZIP ------------------------------------------------------------------------------------------------------


def _verify_zip(tree: Source, corte: PublishedCorte, ledger: Ledger) -> None:
    assert corte.manifest is not None
    path = corte.manifest.zip_name
    try:
        fetched = tree.fetch(path, ZIP_LIMIT)
    except SourceError as error:
        blame(error, ["INT-05"], path, ledger)
        ledger.unable(["INT-06"], f"no se pudo abrir {path}")
        return
    judge_zip(fetched, corte.manifest, corte.sums, ledger)
    tree.drop(fetched)


# --- 3. index.json ----------------------------------------------------------------------------------------------------


def _judge_index(index: Json | None, last: PublishedCorte, ledger: Ledger) -> None:
    if index is None or last.manifest is None:
        ledger.unable(["CON-06"], "sin index.json, o sin el manifiesto del último corte, no hay qué comparar")
        return
    ledger.did("CON-06")
    raw = last.manifest.raw
    # index.json repeats fields of the last manifest for the pages; each must be equal.
    expected = {
        "simulacro": raw["simulacro"],
        "fase": raw["fase"],
        "corte": last.number,
        "fecha_hora": raw["fecha_hora"],
        "siguiente": raw["siguiente"],
        "carpeta": last.folder,
        "sha256sums": last.sums_sha256,
    }
    for name, value in expected.items():
        if index[name] != value:
            ledger.wrong("CON-06", INDEX, expected=value, found=index[name], position=name)
    ours = [(held["codigo"], held["titulo"]) for held in raw["elecciones"]]
    theirs = [(held["codigo"], held["titulo"]) for held in index["elecciones"]]
    pages = [held["pagina"] for held in index["elecciones"]]
    if ours != theirs or any(page not in _pages_of(code) for page, (code, _) in zip(pages, theirs, strict=True)):
        ledger.wrong("CON-06", INDEX, expected=ours, found=[*theirs, *pages], position="elecciones")
    if index["simulacro"] != raw["simulacro"]:
        ledger.wrong("CON-04", INDEX, expected=raw["simulacro"], found=index["simulacro"], position="simulacro")


def _pages_of(code: str) -> frozenset[str]:
    return frozenset({f"{code}/index.html", f"{code}/", code})


def _judge_since(since: int, numbers: Sequence[int], ledger: Ledger) -> None:
    if since > numbers[-1]:
        ledger.unable(ROW_CHECKS, f"todavía no hay un corte {since}: el último es el {numbers[-1]}")
    if since > numbers[0]:
        ledger.facts["Sin comprobar"] = _BEFORE.format(min(since - 1, numbers[-1]), since)


def _judge_simulacro(last: PublishedCorte, expected: bool | None, ledger: Ledger) -> None:  # noqa: FBT001 - an expectation
    """Tell loudly that the tree is a rehearsal. It is wrong if the reader came for the other kind."""
    if last.manifest is None:
        return
    said = {True: "un simulacro", False: "una elección"}
    if last.manifest.simulacro:
        ledger.facts["Atención"] = _SIMULACRO
    if expected is not None and expected != last.manifest.simulacro:
        path = f"{last.folder}/manifest.json"
        found = said[last.manifest.simulacro]
        ledger.wrong("CON-04", path, expected=f"{said[expected]}, como dijo quien comprueba", found=found)


# --- 5. the log -------------------------------------------------------------------------------------------------------


def _judge_evidence(book: LogBook, tree: Source, seen: Seen, watch: Watch, asked: Asked, *, ledger: Ledger) -> None:
    evidence.judge(book, tree, seen.cortes, watch.is_new, ledger)
    ledger.did("EVI-04", 0)
    # Until the log has every corte of the tree, an image without a leaf may be one that is on its way.
    complete = seen.cortes.keys() <= book.cortes.keys()
    for sha256 in sorted(seen.images):
        path = image_path(sha256, seen.extension(sha256))
        evidence.judge_image(book, sha256, path, complete=complete, ledger=ledger)
    evidence.judge_image_proofs(book, tree, sorted(seen.images), ledger)
    ledger.did("EVI-05", 0)
    for digest, first in (seen.rows or {}).items():
        evidence.judge_row(book, digest, first.clave, first.corte, ledger)
    rows = chain((seen.rows or {}).values(), fuera_shown(book, seen.fuera))
    judge_support(book, tree, rows, seen.cortes, since=asked.since, ledger=ledger)


# --- words ------------------------------------------------------------------------------------------------------------


def _read_small_json(corte: PublishedCorte, name: str, ledger: Ledger) -> bytes | None:
    """A small JSON file of the corte; None, with the reason in the ledger, if it is missing or too large."""
    path = f"{corte.folder}/{name}"
    fetched = corte.files.get(name)
    if fetched is None:
        if corte.sums and name not in corte.sums:
            ledger.wrong("COM-03", f"{corte.folder}/{SUMS}", expected=f"«{name}»", found="nada")
        return None
    if fetched.size > _JSON_LIMIT:
        ledger.wrong("INT-03", path, expected=f"hasta {_JSON_LIMIT} bytes", found=fetched.size)
        return None
    return fetched.local.read_bytes()


def _small_file(corte: PublishedCorte, name: str) -> bytes | None:
    """The bytes of a file of the corte; None if it is missing, or larger than any such file."""
    fetched = corte.files.get(name)
    return fetched.local.read_bytes() if fetched is not None and fetched.size <= _JSON_LIMIT else None


def _drop_files(tree: Source, corte: PublishedCorte) -> None:
    for fetched in corte.files.values():
        tree.drop(fetched)


def _in_words(corte: PublishedCorte) -> str:
    if corte.manifest is None:
        return f"corte {corte.number}"
    simulacro = ", SIMULACRO" if corte.manifest.simulacro else ""
    return f"corte {corte.number} ({corte.manifest.fase}), {in_words(corte.manifest.at)}{simulacro}"
