"""Anyone checks a published tree: every digest, the chain of cortes, and every number recomputed from the rows.

    verify("public")  or  verify("https://prep.example.mx/")

Read `verify_tree` from top to bottom: its steps are the verification. Each check has an id (`report.CHECKS`) that says
which question it answers; a step writes into the ledger what it compared and what differed, and a check that no step
reached is reported as *not checked*. What is published is written by others: nothing is trusted before its step has
passed, nothing is read without a limit, no link is followed.

A tree rewritten as a whole, digests and all, is seen by its log (`evidence`), with the log's key in the reader's own
hand. HTML pages are covered by no digest; the numbers to trust are those of the cortes.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from integrity import evidence
from integrity.evidence import Book, Shown
from integrity.leaves import row_digest
from integrity.published.documents import (
    BESIDE_SUMS,
    Election,
    Json,
    Manifest,
    read_index,
    read_manifest,
    read_totals,
    rules_digest,
)
from integrity.published.parcels import ZIP_LIMIT, judge_zip
from integrity.published.rows import (
    ESPERADAS,
    Judge,
    Sheet,
    Table,
    follow_table,
    judge_changes,
    read_preamble,
    read_table,
)
from integrity.published.totals import judge_summary, judge_totals
from integrity.report import CHECKS, ROW_CHECKS, Ledger, Report
from integrity.source import Fetched, Kind, Missing, Source, SourceError, Unreadable, open_source
from integrity.sums import HEX, Malformed, in_threads, read_sums

if TYPE_CHECKING:
    from integrity.note import Policy

SUMS: Final = "SHA256SUMS"
_SUMS_LIMIT: Final = 1 << 20
_JSON_LIMIT: Final = 64 << 20
_TABLE_LIMIT: Final = 4 << 30
_IMAGE_LIMIT: Final = 256 << 20
_MOST_CORTES: Final = 100_000
_CORTE: Final = re.compile(r"(?!0{5,})\d{4}|[1-9]\d{4,}", re.ASCII)
_EXTENSION: Final = re.compile("jpg|png|webp|tif|pdf")
_IMAGES_HEADER: Final = ["SHA256", "ARCHIVO", "CLAVE_ACTA"]
_PREFIX: Final = re.compile("[0-9a-f]{2}")
_ROOT_FILES: Final = frozenset({"index.json", "index.html", "estilo.css"})
_HTTP: Final = "por HTTP no se puede saber qué otros archivos hay"

Tell = Callable[[str], None]


@dataclass
class Corte:
    """One corte as far as it could be read."""

    number: int
    sums_sha256: str = ""
    sums: Mapping[str, str] = field(default_factory=dict)
    files: dict[str, Fetched] = field(default_factory=dict)
    manifest: Manifest | None = None
    tables: dict[str, Table] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        return f"cortes/{self.number:04}"


@dataclass
class Seen:
    """What the cortes so far have announced."""

    images: dict[str, str] = field(default_factory=dict)
    """By digest: the extension, then the actas it was published for, between spaces. A national night has a million."""
    zips: set[str] = field(default_factory=set)
    cortes: dict[int, Shown] = field(default_factory=dict)
    rows: dict[str, tuple[str, int]] | None = None
    """By `leaves.row_digest`: the clave, and the first corte that showed the row; None where there is no log."""

    def extension(self, sha256: str) -> str:
        return self.images.get(sha256, "").partition(" ")[0]

    def claves(self, sha256: str) -> list[str]:
        return self.images.get(sha256, "").split(" ")[1:]


def verify(source: str, tell: Tell = lambda _: None, *, log: "Policy | None" = None) -> Report:
    """Verify the published tree in a directory or at an http(s) address. `tell` hears what is being done.

    `log` says whose log the tree's must be; without it the key that the tree itself tells is used, which shows less
    (`evidence`).

    Never raises for what the tree holds: every failure is a finding of the report, in Spanish.
    """
    ledger = Ledger()
    try:
        tree = open_source(source)
    except SourceError as error:
        ledger.unable(CHECKS, error.sentence)
        return ledger.report(source, "")
    try:
        return verify_tree(tree, ledger, tell, log)
    finally:
        tree.close()


def verify_tree(tree: Source, ledger: Ledger, tell: Tell, log: "Policy | None" = None) -> Report:
    """The story: what is done, in its order."""
    # 1. What there is: index.json, and the numbers of the cortes.
    if not _is_published(tree, ledger):
        return ledger.report(tree.name, "")
    index = _read_index(tree, ledger)
    numbers = _find_cortes(tree, index, ledger)
    if not numbers:
        ledger.unable(CHECKS, "no se encontró ningún corte publicado")
        return ledger.report(tree.name, "")

    # 2. The log first: what comes out while this reads is not in it yet. Then each corte in turn: its files, its place
    #    in the chain, its rows. Only the corte before stays at hand.
    book = evidence.read_log(tree, log, ledger, tell)
    seen = Seen(rows=None if book is None else {})
    before: Corte | None = None
    for number in numbers:
        tell(f"corte {number} de {numbers[-1]}")
        corte = Corte(number)
        _verify_corte(tree, corte, before, seen, ledger, last=number == numbers[-1])
        if before is not None:
            _drop(tree, before)
        before = corte
    assert before is not None
    last = before

    # 3. index.json, the only file that changes, points at the last corte.
    _judge_index(index, last, ledger)

    # 4. The images: exactly those that the cortes list, each named by the digest of its bytes, and each row's own among
    #    them.
    tell(f"{len(seen.images)} imágenes")
    _judge_codes(last, seen, ledger)
    _judge_image_folders(tree, seen, ledger)
    _judge_images(tree, seen, ledger)

    # 5. All of it against the log.
    if book is not None:
        tell("la bitácora")
        _judge_evidence(book, tree, seen, ledger)

    # 6. Everything else in the tree: pages of the last corte, and nothing that nobody announced.
    tell("páginas y archivos de más")
    _judge_pages(tree, last, ledger)
    _judge_extra(tree, last, seen, ledger)
    _judge_log_files(tree, book, ledger)
    _drop(tree, last)
    return ledger.report(tree.name, _in_words(last))


def _verify_corte(tree: Source, corte: Corte, before: Corte | None, seen: Seen, ledger: Ledger, *, last: bool) -> None:
    # 2.1 SHA256SUMS, the root of everything in the folder, in its exact form.
    _read_sums(tree, corte, ledger)

    # 2.2 Every file it names, with its digest; no other file in the folder.
    _fetch_files(tree, corte, ledger)
    _judge_folder(tree, corte, ledger)

    # 2.3 The manifest, and its place after the corte before.
    _read_manifest(corte, ledger)
    _judge_chain(corte, before, ledger)
    if corte.manifest is None:
        ledger.unable(ROW_CHECKS, f"{corte.folder}: sin manifiesto no se sabe cómo leer sus filas")
        ledger.unable(("INT-05", "INT-06"), f"{corte.folder}: sin manifiesto no se sabe cuál es su ZIP")
    else:
        # 2.4 The rows of every election: each by the rules, then their sums, then what changed since the corte before.
        for election in corte.manifest.elections:
            _verify_election(corte, before, election, seen, ledger, last=last)
        _verify_totals(corte, ledger)

        # 2.5 The ZIP holds the same bytes.
        seen.zips.add(corte.manifest.zip_name)
        _verify_zip(tree, corte, ledger)

    # 2.6 The images that appeared since the corte before.
    seen.cortes[corte.number] = Shown(corte.number, corte.sums_sha256, corte.manifest)
    _read_images(corte, seen, ledger)


# --- 1. what there is -------------------------------------------------------------------------------------------------


def _is_published(tree: Source, ledger: Ledger) -> bool:
    """Whether this is a published tree at all: of a wrong address nothing is said but that."""
    try:
        if tree.exists("index.json") or tree.exists(f"cortes/0000/{SUMS}"):
            return True
    except SourceError as error:
        ledger.unable(CHECKS, error.sentence)
        return False
    ledger.unable(CHECKS, "aquí no hay un PREP publicado: no están index.json ni el corte 0")
    return False


def _read_index(tree: Source, ledger: Ledger) -> Json | None:
    ledger.did("COM-01")
    try:
        fetched = tree.fetch("index.json", _JSON_LIMIT)
    except SourceError as error:
        _blame(error, ["COM-01"], "index.json", ledger)
        return None
    try:
        ledger.did("INT-03")
        return read_index(fetched.local.read_bytes())
    except Malformed as problem:
        _malformed(problem, "INT-03", "index.json", ledger)
        return None
    finally:
        tree.drop(fetched)


def _find_cortes(tree: Source, index: Json | None, ledger: Ledger) -> list[int]:
    """The numbers from 0 to the last. A number that is missing in between is wrong, and is not among them."""
    stated = index["corte"] if index is not None else -1
    try:
        there = _list_cortes(tree, ledger) if tree.listable else _probe_cortes(tree, min(stated, _MOST_CORTES))
    except SourceError as error:
        _blame(error, ["COM-01"], "cortes", ledger)
        return []
    expected = range(max(there, default=-1) + 1)
    for number in sorted({*expected, *([stated] if stated >= 0 else [])} - there)[:_MOST_CORTES]:
        ledger.wrong("COM-01", f"cortes/{number:04}", expected="un corte", found="nada")
    ledger.did("COM-01", len(there))
    return sorted(there)


def _list_cortes(tree: Source, ledger: Ledger) -> set[int]:
    there: set[int] = set()
    for name, kind in tree.entries("cortes").items():
        if kind is Kind.FOLDER and _CORTE.fullmatch(name) and int(name) <= _MOST_CORTES:
            there.add(int(name))
        elif kind in {Kind.LINK, Kind.OTHER}:
            ledger.wrong("COM-02", f"cortes/{name}", expected="una carpeta", found=kind.value)
        else:
            ledger.wrong("COM-08", f"cortes/{name}", expected="nada", found=f"{kind.value} que no es un corte")
    return there


def _probe_cortes(tree: Source, stated: int) -> set[int]:
    """Over HTTP: those that the index promises, and any that it does not speak of yet (an old index put back)."""
    numbers = range(stated + 1)
    there = {number for number in numbers if tree.exists(f"cortes/{number:04}/{SUMS}")}
    following = stated + 1
    while following <= _MOST_CORTES and tree.exists(f"cortes/{following:04}/{SUMS}"):
        there.add(following)
        following += 1
    return there


# --- 2.1 and 2.2 a corte's files --------------------------------------------------------------------------------------


def _read_sums(tree: Source, corte: Corte, ledger: Ledger) -> None:
    path = f"{corte.folder}/{SUMS}"
    try:
        fetched = tree.fetch(path, _SUMS_LIMIT)
    except SourceError as error:
        _blame(error, ["INT-01"], path, ledger)
        ledger.unable(["INT-02", "COM-03"], f"{corte.folder}: sin {SUMS} no hay con qué comparar sus archivos")
        return
    corte.sums_sha256 = fetched.sha256
    ledger.did("INT-01")
    try:
        corte.sums = read_sums(fetched.local.read_bytes())
    except Malformed as problem:
        _malformed(problem, "INT-01", path, ledger)
        ledger.unable(["INT-02", "COM-03"], f"{path} no se puede leer: no hay con qué comparar los archivos del corte")
    finally:
        tree.drop(fetched)


def _fetch_files(tree: Source, corte: Corte, ledger: Ledger) -> None:
    """Every listed file at hand, where its digest is right or not: what is wrong inside is then said as well."""
    paths = [f"{corte.folder}/{name}" for name in corte.sums]
    fetched = in_threads(lambda path: tree.fetch(path, _TABLE_LIMIT), paths, tree.threads)
    for (path, outcome), (name, expected) in zip(fetched, corte.sums.items(), strict=True):
        if isinstance(outcome, Missing):
            ledger.wrong("COM-03", path, expected="este archivo", found="nada")
        elif isinstance(outcome, SourceError):
            _blame(outcome, ["INT-02"], path, ledger)
        else:
            corte.files[name] = outcome
            ledger.did("INT-02")
            if outcome.sha256 != expected:
                ledger.wrong("INT-02", path, expected=expected, found=outcome.sha256)


def _judge_folder(tree: Source, corte: Corte, ledger: Ledger) -> None:
    """What is in the folder and not in its list."""
    ledger.did("COM-03")
    if not tree.listable:
        return
    try:
        entries = tree.entries(corte.folder)
    except SourceError as error:
        _blame(error, ["COM-03"], corte.folder, ledger)
        return
    ledger.did("COM-02", len(entries))
    for name, kind in entries.items():
        path = f"{corte.folder}/{name}"
        if kind in {Kind.LINK, Kind.OTHER}:
            ledger.wrong("COM-02", path, expected="un archivo ordinario", found=kind.value)
        elif kind is not Kind.FILE or (name not in BESIDE_SUMS and corte.sums and name not in corte.sums):
            ledger.wrong("COM-03", path, expected="nada", found=f"{kind.value} que no está en {SUMS}")


# --- 2.3 the manifest and the chain -----------------------------------------------------------------------------------


def _read_manifest(corte: Corte, ledger: Ledger) -> None:
    path = f"{corte.folder}/manifest.json"
    data = _small(corte, "manifest.json", ledger)
    if data is None:
        return
    ledger.did("INT-03")
    try:
        corte.manifest = read_manifest(data)
    except Malformed as problem:
        _malformed(problem, "INT-03", path, ledger)
        return
    ledger.did("COM-03")
    for name in sorted(corte.manifest.files - corte.sums.keys()):
        ledger.wrong("COM-03", f"{corte.folder}/{SUMS}", expected=f"«{name}», que nombra el manifiesto", found="nada")
    for name in sorted(corte.sums.keys() - corte.manifest.files):
        ledger.wrong("COM-03", f"{corte.folder}/{SUMS}", expected="los archivos del manifiesto", found=f"«{name}»")


def _judge_chain(corte: Corte, before: Corte | None, ledger: Ledger) -> None:
    """The corte follows the one before, in number, digest, time, and in everything that a night may not change."""
    chain = ("CON-01", "CON-02", "CON-03", "CON-04", "CON-05")
    ours, path = corte.manifest, f"{corte.folder}/manifest.json"
    if ours is None:
        ledger.unable(chain, f"{corte.folder}: sin manifiesto no se puede comparar con los demás cortes")
        return
    for check in chain:
        ledger.did(check)
    expected = None if before is None or corte.number == 0 else (before.number, before.sums_sha256)
    if ours.anterior != expected:
        ledger.wrong("CON-01", path, expected=_anterior(expected), found=_anterior(ours.anterior), position="anterior")
    if ours.corte != corte.number:
        ledger.wrong("CON-02", path, expected=corte.number, found=ours.corte, position="corte")
    if (ours.fase == "cero") != (corte.number == 0):
        phase = "cero" if corte.number == 0 else "en curso o final"
        ledger.wrong("CON-02", path, expected=phase, found=ours.fase, position="fase")
    if ours.siguiente is not None and ours.siguiente < ours.at:
        ledger.wrong("CON-03", path, expected=f"{ours.at} o después", found=ours.siguiente, position="siguiente")
    for election in ours.raw["elecciones"]:
        rules = ours.raw["reglas"][election["codigo"]]
        if rules_digest(rules["contenido"]) != rules["sha256"]:
            digest = rules_digest(rules["contenido"])
            where = f"reglas.{election['codigo']}.sha256"
            ledger.wrong("CON-05", path, expected=digest, found=rules["sha256"], position=where)
    if before is not None and before.manifest is not None:
        _judge_succession(path, ours, before.manifest, ledger)


def _judge_succession(path: str, ours: Manifest, theirs: Manifest, ledger: Ledger) -> None:
    if ours.at < theirs.at:
        ledger.wrong("CON-03", path, expected=f"{theirs.at} o después", found=ours.at, position="fecha_hora")
    if theirs.fase == "final":
        ledger.wrong("CON-02", path, expected="ningún corte después del final", found=f"el corte {ours.corte}")
    if ours.simulacro != theirs.simulacro:
        said = {True: "un simulacro", False: "una elección"}
        expected = f"{said[theirs.simulacro]}, como el corte anterior"
        ledger.wrong("CON-04", path, expected=expected, found=said[ours.simulacro], position="simulacro")
    if ours.fixed != theirs.fixed:
        expected = "el catálogo, las reglas y las elecciones del corte anterior"
        ledger.wrong("CON-05", path, expected=expected, found="otros")


def _anterior(held: tuple[int, str] | None) -> str:
    return "null" if held is None else f"corte {held[0]}, {held[1]}"


# --- 2.4 rows ---------------------------------------------------------------------------------------------------------


def _verify_election(
    corte: Corte, before: Corte | None, election: Election, seen: Seen, ledger: Ledger, *, last: bool
) -> None:
    assert corte.manifest is not None
    fetched = corte.files.get(election.archivo)
    if fetched is None:
        ledger.unable(ROW_CHECKS, f"falta {corte.folder}/{election.archivo}")
        return
    note = None if seen.rows is None else _noting(seen.rows, election.code, corte.number)
    sheet = Sheet(fetched.local, f"{corte.folder}/{election.archivo}", Judge(election), ledger, note)
    preamble = read_preamble(sheet, election, corte.manifest.at)
    if not preamble.sound:
        ledger.unable(ROW_CHECKS, f"{sheet.name}: con otro encabezado no se pueden leer sus filas")
        return
    earlier = before.tables.get(election.code) if before is not None else None
    table = _read_rows(sheet, election, earlier, corte, last=last)
    corte.tables[election.code] = table
    judge_summary(sheet.name, preamble.summary, manifest=corte.manifest, election=election, table=table, ledger=ledger)
    _judge_contests(sheet, election, table)
    if corte.number == 0 and (
        table.fuera or any(sum(amounts) != amounts[ESPERADAS] for amounts in table.sums.values())
    ):
        ledger.wrong("CON-02", sheet.name, expected="un corte 0 sin ningún acta", found="actas capturadas")


def _noting(rows: dict[str, tuple[str, int]], code: str, corte: int) -> Callable[[str, list[str]], None]:
    return lambda clave, cells: rows.setdefault(row_digest(code, clave, cells), (clave, corte)) and None


def _read_rows(sheet: Sheet, election: Election, earlier: Table | None, corte: Corte, *, last: bool) -> Table:
    """The last corte is read whole, and so is any whose predecessor was wrong; the others by what changed."""
    if earlier is None:
        sheet.ledger.did("CON-15", 0)
        return read_table(sheet, keep=last)
    assert corte.manifest is not None
    corrected = frozenset(clave for code, clave in corte.manifest.corrections if code == election.code)
    judge_changes(sheet, earlier.file, corrected)
    followed = follow_table(sheet, earlier) if earlier.sound and not last else None
    return followed if followed is not None else read_table(sheet, keep=last)


def _judge_contests(sheet: Sheet, election: Election, table: Table) -> None:
    sheet.ledger.did("COM-04")
    voting = {sheet.judge.contest(place) for place, amounts in table.sums.items() if amounts[ESPERADAS]}
    for place, contest in election.contests.items():
        if place not in voting:
            sheet.ledger.wrong("COM-04", sheet.name, expected=f"actas de la contienda {contest.name}", found="ninguna")


def _verify_totals(corte: Corte, ledger: Ledger) -> None:
    assert corte.manifest is not None
    data = _small(corte, "totals.json", ledger)
    if data is None:
        ledger.unable(["CON-14"], f"falta {corte.folder}/totals.json")
        return
    ledger.did("INT-03")
    try:
        judge_totals(read_totals(data), corte.manifest, corte.tables, ledger)
    except Malformed as problem:
        _malformed(problem, "INT-03", f"{corte.folder}/totals.json", ledger)
        ledger.unable(["CON-14"], f"{corte.folder}/totals.json no se puede leer")


# --- 2.5 the ZIP ------------------------------------------------------------------------------------------------------


def _verify_zip(tree: Source, corte: Corte, ledger: Ledger) -> None:
    assert corte.manifest is not None
    path = corte.manifest.zip_name
    try:
        fetched = tree.fetch(path, ZIP_LIMIT)
    except SourceError as error:
        _blame(error, ["INT-05"], path, ledger)
        ledger.unable(["INT-06"], f"no se pudo abrir {path}")
        return
    judge_zip(fetched, corte.manifest, corte.sums, ledger)
    tree.drop(fetched)


# --- 2.6 and 4. images ------------------------------------------------------------------------------------------------


def _read_images(corte: Corte, seen: Seen, ledger: Ledger) -> None:
    """`images.csv` into the listing: sorted, each image at the address that its digest gives it."""
    path = f"{corte.folder}/images.csv"
    fetched = corte.files.get("images.csv")
    if fetched is None:
        ledger.unable(["COM-05", "COM-06", "INT-04"], f"falta {path}")
        return
    ledger.did("COM-05")
    last: list[str] = []
    try:
        with fetched.local.open(encoding="utf-8-sig", newline="") as handle:
            for number, cells in enumerate(csv.reader(handle, strict=True), start=1):
                expected = _judge_image_row(number, cells, last)
                if expected:
                    found = ",".join(cells)
                    ledger.wrong("COM-05", path, expected=expected, found=found, position=f"línea {number}")
                elif number > 1:
                    sha256, address, clave = cells
                    extension = seen.extension(sha256) or address.rpartition(".")[2]
                    seen.images[sha256] = " ".join((extension, *seen.claves(sha256), clave.strip("'")))
                    last = cells
    except (UnicodeDecodeError, csv.Error):
        ledger.wrong("COM-05", path, expected="un CSV en UTF-8", found="otra cosa")
    if corte.number == 0 and last:
        ledger.wrong("CON-02", path, expected="un corte 0 sin imágenes", found="una imagen")


def _judge_image_row(number: int, cells: list[str], last: list[str]) -> str:
    """What a line of images.csv should be instead; empty where it is right."""
    if number == 1:
        return "" if cells == _IMAGES_HEADER else ",".join(_IMAGES_HEADER)
    if len(cells) != len(_IMAGES_HEADER) or HEX.fullmatch(cells[0]) is None:
        return "huella, dirección y clave de una imagen"
    sha256, address, clave = cells
    extension = address.rpartition(".")[2]
    if _EXTENSION.fullmatch(extension) is None or address != _image_path(sha256, extension):
        return _image_path(sha256, "jpg|png|webp|tif|pdf")
    if clave != "-" and not clave.strip("'").isalnum():
        return "la clave de un acta, o «-»"
    return "" if [sha256, clave] > [*last[:1], *last[2:]] else "imágenes en orden y sin repetir"


def _image_path(sha256: str, extension: str) -> str:
    return f"imagenes/{sha256[:2]}/{sha256}.{extension}"


def _judge_codes(last: Corte, seen: Seen, ledger: Ledger) -> None:
    if last.manifest is None or len(last.tables) < len(last.manifest.elections):
        ledger.unable(["COM-06"], f"{last.folder}: sus filas no se pudieron leer")
    for code, table in last.tables.items():
        ledger.did("COM-06", len(table.published))
        for clave, sha256 in table.published.items():
            if sha256 != "-" and clave not in seen.claves(sha256):
                found = f"{sha256}, que images.csv no lista para ella"
                ledger.wrong("COM-06", last.folder, expected=f"la imagen del acta {clave} de {code}", found=found)


def _judge_image_folders(tree: Source, seen: Seen, ledger: Ledger) -> None:
    """Images that are there and that no corte lists, folder by folder. What is missing, `_judge_images` finds."""
    if not tree.listable:
        return
    for prefix, its_kind in _entries(tree, "imagenes", ledger).items():
        path = f"imagenes/{prefix}"
        known = _PREFIX.fullmatch(prefix) is not None
        _judge_entry(path, its_kind, "COM-05", ledger, known=known, wanted=Kind.FOLDER)
        for name, kind in _entries(tree, path, ledger).items() if its_kind is Kind.FOLDER else ():
            sha256, _, extension = name.rpartition(".")
            known = sha256[:2] == prefix and seen.extension(sha256) == extension != ""
            _judge_entry(f"{path}/{name}", kind, "COM-05", ledger, known=known)


def _judge_images(tree: Source, seen: Seen, ledger: Ledger) -> None:
    ledger.did("INT-04", 0)
    paths = (_image_path(sha256, seen.extension(sha256)) for sha256 in sorted(seen.images))
    outcomes = in_threads(lambda path: tree.digest(path, _IMAGE_LIMIT), paths, tree.threads)
    for path, outcome in outcomes:
        if isinstance(outcome, Missing):
            ledger.wrong("COM-05", path, expected="esta imagen", found="nada")
        elif isinstance(outcome, SourceError):
            _blame(outcome, ["INT-04"], path, ledger)
        else:
            ledger.did("INT-04")
            expected = path[len("imagenes/xx/") :].partition(".")[0]
            if outcome != expected:
                ledger.wrong("INT-04", path, expected=expected, found=outcome)


# --- 3. index.json ----------------------------------------------------------------------------------------------------


def _judge_index(index: Json | None, last: Corte, ledger: Ledger) -> None:
    if index is None or last.manifest is None:
        ledger.unable(["CON-06"], "sin index.json, o sin el manifiesto del último corte, no hay qué comparar")
        return
    ledger.did("CON-06")
    raw = last.manifest.raw
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
            ledger.wrong("CON-06", "index.json", expected=value, found=index[name], position=name)
    ours = [(held["codigo"], held["titulo"]) for held in raw["elecciones"]]
    theirs = [(held["codigo"], held["titulo"]) for held in index["elecciones"]]
    pages = [held["pagina"] for held in index["elecciones"]]
    if ours != theirs or any(page not in _pages_of(code) for page, (code, _) in zip(pages, theirs, strict=True)):
        ledger.wrong("CON-06", "index.json", expected=ours, found=[*theirs, *pages], position="elecciones")
    if index["simulacro"] != raw["simulacro"]:
        ledger.wrong("CON-04", "index.json", expected=raw["simulacro"], found=index["simulacro"], position="simulacro")


def _pages_of(code: str) -> frozenset[str]:
    return frozenset({f"{code}/index.html", f"{code}/", code})


# --- 5. the log -------------------------------------------------------------------------------------------------------


def _judge_evidence(book: Book, tree: Source, seen: Seen, ledger: Ledger) -> None:
    evidence.judge(book, tree, seen.cortes, ledger)
    ledger.did("EVI-04", 0)
    complete = seen.cortes.keys() <= book.cortes.keys()
    for sha256 in sorted(seen.images):
        path = _image_path(sha256, seen.extension(sha256))
        evidence.judge_image(book, sha256, path, complete=complete, ledger=ledger)
    ledger.did("EVI-05", 0)
    for digest, (clave, corte) in (seen.rows or {}).items():
        evidence.judge_row(book, digest, clave, corte, ledger)


def _judge_log_files(tree: Source, book: Book | None, ledger: Ledger) -> None:
    """Nothing under bitacora/ but a log; of one that could not be read nothing is said."""
    if book is None or not tree.listable:
        return
    evidence.refresh(book, tree)
    folders = [evidence.FOLDER]
    while folders:
        folder = folders.pop()
        for name, kind in _entries(tree, folder, ledger).items():
            path = f"{folder}/{name}"
            known = evidence.is_known(path, kind, book)
            _judge_entry(path, kind, "COM-08", ledger, known=known, wanted=kind)
            if kind is Kind.FOLDER and known and not name.startswith("."):
                folders.append(path)


# --- 6. everything else -----------------------------------------------------------------------------------------------


def _judge_pages(tree: Source, last: Corte, ledger: Ledger) -> None:
    if last.manifest is None or len(last.tables) < len(last.manifest.elections):
        ledger.unable(["COM-07"], f"{last.folder}: sus filas no se pudieron leer")
        return
    ledger.did("COM-07")
    for path, outcome in in_threads(tree.exists, _pages(last), tree.threads):
        if isinstance(outcome, SourceError):
            _blame(outcome, ["COM-07"], path, ledger)
            continue
        ledger.did("COM-07")
        if not outcome:
            ledger.wrong("COM-07", path, expected="esta página", found="nada")


def _pages(last: Corte) -> Iterator[str]:
    yield from ("index.html", "estilo.css")
    for code, table in last.tables.items():
        yield f"{code}/index.html"
        yield from (f"{code}/{page}" for page in _places(table))
        yield from (f"{code}/{clave}.html" for clave in table.published)


def _places(table: Table) -> frozenset[str]:
    """The page of each territory that the rows name."""
    return frozenset(f"lugar-{place.entidad}-{place.territory}.html" for place in table.sums)


def _judge_extra(tree: Source, last: Corte, seen: Seen, ledger: Ledger) -> None:
    """Files and folders that neither the format nor any corte names; cortes/ and imagenes/ were looked into before."""
    if not tree.listable:
        ledger.not_applicable("COM-02", _HTTP)
        ledger.not_applicable("COM-08", _HTTP)
        return
    if last.manifest is None:
        ledger.unable(["COM-08"], f"{last.folder}: sin manifiesto no se sabe qué archivos debe haber")
        return
    elections = {election.code: election for election in last.manifest.elections}
    folders = {"cortes", "zip", evidence.FOLDER, *elections, *(["imagenes"] if seen.images else [])}
    for name, kind in _entries(tree, "", ledger).items():
        wanted = Kind.FOLDER if name in folders else Kind.FILE
        _judge_entry(name, kind, "COM-08", ledger, known=name in folders | _ROOT_FILES, wanted=wanted)
    for name, kind in _entries(tree, "zip", ledger).items():
        _judge_entry(f"zip/{name}", kind, "COM-08", ledger, known=f"zip/{name}" in seen.zips)
    for election in elections.values():
        _judge_election_folder(tree, election, last.tables.get(election.code), seen, ledger)


def _judge_election_folder(tree: Source, election: Election, table: Table | None, seen: Seen, ledger: Ledger) -> None:
    code = election.code
    if table is None:
        ledger.unable(["COM-08"], f"{code}: sin sus filas no se sabe qué páginas debe haber")
        return
    contests = {f"contienda-{contest.id}.html" for contest in election.contests.values()}
    fixed = {"index.html"} | contests | _places(table)
    for name, kind in _entries(tree, code, ledger).items():
        page = name in fixed or (name.endswith(".html") and name.removesuffix(".html") in table.published)
        wanted = Kind.FOLDER if name == "fuera" else Kind.FILE
        _judge_entry(f"{code}/{name}", kind, "COM-08", ledger, known=page or name == "fuera", wanted=wanted)
        if name == "fuera" and kind is Kind.FOLDER:
            for inner, its_kind in _entries(tree, f"{code}/fuera", ledger).items():
                known = inner.endswith(".html") and "-" in seen.claves(inner.removesuffix(".html"))
                _judge_entry(f"{code}/fuera/{inner}", its_kind, "COM-08", ledger, known=known)
    ledger.did("COM-08")


def _judge_entry(path: str, kind: Kind, check: str, ledger: Ledger, *, known: bool, wanted: Kind = Kind.FILE) -> None:
    """One name in a folder: of the right kind, and announced by somebody."""
    ledger.did("COM-02")
    if kind in {Kind.LINK, Kind.OTHER}:
        ledger.wrong("COM-02", path, expected=wanted.value, found=kind.value)
    elif not known:
        ledger.wrong(check, path, expected="nada", found=kind.value)
    elif kind is not wanted:
        ledger.wrong(check, path, expected=wanted.value, found=kind.value)


def _entries(tree: Source, folder: str, ledger: Ledger) -> Mapping[str, Kind]:
    """What is in a folder; nothing where it is missing, which the check that needs its files says."""
    try:
        return tree.entries(folder)
    except Unreadable as error:
        ledger.unable(["COM-02", "COM-08"], error.sentence)
    except SourceError:
        pass
    return {}


# --- words ------------------------------------------------------------------------------------------------------------


def _blame(error: SourceError, checks: Sequence[str], path: str, ledger: Ledger) -> None:
    """A file that could not be taken: wrong if it is missing or no file may be like that, else not checked."""
    if isinstance(error, Unreadable):
        ledger.unable(checks, error.sentence)
        return
    found = "nada" if isinstance(error, Missing) else error.sentence
    for check in checks:
        ledger.wrong(check, path, expected="este archivo", found=found)


def _malformed(problem: Malformed, check: str, path: str, ledger: Ledger) -> None:
    position = f"línea {problem.line}" if problem.line else ""
    ledger.wrong(check, path, expected=problem.expected, found=problem.found, position=position)


def _small(corte: Corte, name: str, ledger: Ledger) -> bytes | None:
    """A JSON file of the corte; None, with the reason in the ledger, where there is none or it is too large."""
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


def _drop(tree: Source, corte: Corte) -> None:
    for fetched in corte.files.values():
        tree.drop(fetched)


def _in_words(corte: Corte) -> str:
    if corte.manifest is None:
        return f"corte {corte.number}"
    simulacro = ", SIMULACRO" if corte.manifest.simulacro else ""
    return f"corte {corte.number} ({corte.manifest.fase}), {corte.manifest.at:%d/%m/%Y %H:%M} (UTC-6){simulacro}"
