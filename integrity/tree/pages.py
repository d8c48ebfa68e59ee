"""Everything else in a published tree: the pages of its last corte, and nothing that nobody announced."""

from collections.abc import Iterator
from typing import Final

from integrity import evidence
from integrity.evidence import LogBook
from integrity.report import Ledger
from integrity.source import PathKind, Source, SourceError
from integrity.sums import in_threads
from integrity.tree.documents import PublishedElection
from integrity.tree.rows import PublishedTable
from integrity.tree.tree import HTTP, PublishedCorte, Seen, blame, entries, judge_entry

_ROOT_FILES: Final = frozenset({"index.json", "index.html", "estilo.css", "VERIFICA.txt", "verificar.html"})


def judge_pages(tree: Source, last: PublishedCorte, ledger: Ledger) -> None:
    if last.manifest is None or len(last.tables) < len(last.manifest.elections):
        ledger.unable(["COM-07"], f"{last.folder}: sus filas no se pudieron leer")
        return
    ledger.did("COM-07")
    for path, outcome in in_threads(tree.exists, _pages(last), tree.threads):
        if isinstance(outcome, SourceError):
            blame(outcome, ["COM-07"], path, ledger)
            continue
        ledger.did("COM-07")
        if not outcome:
            ledger.wrong("COM-07", path, expected="esta página", found="nada")


def _pages(last: PublishedCorte) -> Iterator[str]:
    yield from ("index.html", "estilo.css")
    for code, table in last.tables.items():
        yield f"{code}/index.html"
        yield from (f"{code}/{page}" for page in _places(table))
        yield from (f"{code}/{clave}.html" for clave in table.published)


def _places(table: PublishedTable) -> frozenset[str]:
    """The page of each territory that the rows name."""
    return frozenset(f"lugar-{place.entidad}-{place.territory}.html" for place in table.sums)


def judge_extra(tree: Source, last: PublishedCorte, seen: Seen, ledger: Ledger) -> None:
    """Files and folders that neither the format nor any corte names; cortes/ and imagenes/ were looked into before."""
    if not tree.listable:
        ledger.not_applicable("COM-02", HTTP)
        ledger.not_applicable("COM-08", HTTP)
        return
    if last.manifest is None:
        ledger.unable(["COM-08"], f"{last.folder}: sin manifiesto no se sabe qué archivos debe haber")
        return
    elections = {election.code: election for election in last.manifest.elections}
    folders = {"cortes", "zip", evidence.FOLDER, *elections, *(["imagenes"] if seen.images else [])}
    for name, kind in entries(tree, "", ledger).items():
        wanted = PathKind.FOLDER if name in folders else PathKind.FILE
        judge_entry(name, kind, "COM-08", ledger, known=name in folders | _ROOT_FILES, wanted=wanted)
    for name, kind in entries(tree, "zip", ledger).items():
        judge_entry(f"zip/{name}", kind, "COM-08", ledger, known=f"zip/{name}" in seen.zips)
    for election in elections.values():
        _judge_election_folder(tree, election, last.tables.get(election.code), seen, ledger)


def _judge_election_folder(
    tree: Source, election: PublishedElection, table: PublishedTable | None, seen: Seen, ledger: Ledger
) -> None:
    code = election.code
    if table is None:
        ledger.unable(["COM-08"], f"{code}: sin sus filas no se sabe qué páginas debe haber")
        return
    contests = {f"contienda-{contest.id}.html" for contest in election.contests.values()}
    fixed = {"index.html"} | contests | _places(table)
    for name, kind in entries(tree, code, ledger).items():
        page = name in fixed or (name.endswith(".html") and name.removesuffix(".html") in table.published)
        wanted = PathKind.FOLDER if name == "fuera" else PathKind.FILE
        judge_entry(f"{code}/{name}", kind, "COM-08", ledger, known=page or name == "fuera", wanted=wanted)
        if name == "fuera" and kind is PathKind.FOLDER:
            for inner, its_kind in entries(tree, f"{code}/fuera", ledger).items():
                known = inner.endswith(".html") and "-" in seen.claves(inner.removesuffix(".html"))
                judge_entry(f"{code}/fuera/{inner}", its_kind, "COM-08", ledger, known=known)
    ledger.did("COM-08")


def judge_log_files(tree: Source, book: LogBook | None, ledger: Ledger) -> None:
    """Nothing under bitacora/ but a log; of one that could not be read nothing is said."""
    if book is None or not tree.listable:
        return
    evidence.refresh(book, tree)
    folders = [evidence.FOLDER]
    while folders:
        folder = folders.pop()
        for name, kind in entries(tree, folder, ledger).items():
            path = f"{folder}/{name}"
            known = evidence.is_known(path, kind, book)
            judge_entry(path, kind, "COM-08", ledger, known=known, wanted=kind)
            if kind is PathKind.FOLDER and known and not name.startswith("."):
                folders.append(path)
