"""The clean data of the cortes: each is what its corte gives, and its list is the one that a later manifest names."""

from typing import Final

from integrity.layout import SUMS, data_folder
from integrity.report import Ledger
from integrity.source import Missing, PathKind, Source, SourceError
from integrity.sums import Malformed, in_threads, read_sums
from integrity.tree.clean import BOOK, make_data
from integrity.tree.tree import PublishedCorte, Seen, blame, malformed

_SUMS_LIMIT: Final = 1 << 20
_LIMIT: Final = 4 << 30


def judge_named(corte: PublishedCorte, seen: Seen, ledger: Ledger) -> None:
    """Each list that the manifest names is of an earlier corte, there with that digest, and was not named before."""
    ledger.did("CON-21", 0)
    if corte.manifest is None:
        return
    path = f"{corte.folder}/manifest.json"
    for told in corte.manifest.raw.get("datos", []):
        number = told["corte"]
        ledger.did("CON-21")
        if number >= corte.number or number in seen.named:
            expected = "un corte anterior, una sola vez"
            ledger.wrong("CON-21", path, expected=expected, found=f"el corte {number}", position="datos")
        elif number not in seen.data:  # a tree that lost them, or another publisher's tree, makes them after its cortes
            ledger.unable(["CON-21"], f"{data_folder(number)}: faltan los datos limpios que nombra {path}")
        elif seen.data[number] != told["sha256sums"]:
            path_of = f"{data_folder(number)}/{SUMS}"
            ledger.wrong("CON-21", path_of, expected=told["sha256sums"], found=seen.data[number])
        seen.named.add(number)


def judge_data(tree: Source, corte: PublishedCorte, seen: Seen, ledger: Ledger) -> None:
    """The clean data of a corte, if they are there: their list, their bytes, and that the corte gives the same."""
    folder = data_folder(corte.number)
    path = f"{folder}/{SUMS}"
    try:
        if not tree.exists(path):
            return  # they come after the corte; a folder without its list is strange (COM-08)
        fetched = tree.fetch(path, _SUMS_LIMIT)
    except SourceError as error:
        blame(error, ["CON-21"], path, ledger)
        return
    seen.data[corte.number] = fetched.sha256
    content = fetched.local.read_bytes()
    tree.drop(fetched)
    if not corte.whole:
        return
    ledger.did("INT-01")
    try:
        listed = read_sums(content)
    except Malformed as problem:
        malformed(problem, "INT-01", path, ledger)
        ledger.unable(["CON-21"], f"{path} no se puede leer")
        return
    _judge_content(corte, listed, seen, ledger)
    paths = {f"{folder}/{name}": digest for name, digest in listed.items()}
    for each, found in in_threads(lambda path: tree.digest(path, _LIMIT), paths, tree.threads):
        if isinstance(found, Missing):
            ledger.wrong("COM-03", each, expected="este archivo", found="nada")
        elif isinstance(found, SourceError):
            blame(found, ["INT-02"], each, ledger)
        else:
            ledger.did("INT-02")
            if found != paths[each]:
                ledger.wrong("INT-02", each, expected=paths[each], found=found)
    if tree.listable:
        _judge_names(tree, folder, {SUMS, *listed}, ledger)


def _judge_content(corte: PublishedCorte, listed: dict[str, str], seen: Seen, ledger: Ledger) -> None:
    folder, manifest = data_folder(corte.number), corte.manifest
    if manifest is None or corte.totals is None or any(each.archivo not in corte.files for each in manifest.elections):
        ledger.unable(["CON-21"], f"{corte.folder}: faltan los archivos de los que salen sus datos limpios")
        return
    files = {election.code: corte.files[election.archivo].local for election in manifest.elections}
    try:
        made = make_data(manifest, corte.totals, files, seen.extension)
    except Malformed as problem:
        ledger.unable(["CON-21"], f"{corte.folder}: no da datos limpios ({problem.found})")
        return
    if not any(name.startswith(BOOK) for name in listed):  # as older releases made them
        made = {name: digest for name, digest in made.items() if not name.startswith(BOOK)}
    for name in sorted(made.keys() | listed.keys()):
        ledger.did("CON-21")
        if made.get(name) != listed.get(name):
            expected, found = made.get(name, "nada"), listed.get(name, "nada")
            ledger.wrong("CON-21", f"{folder}/{name}", expected=expected, found=found)


def _judge_names(tree: Source, folder: str, known: set[str], ledger: Ledger) -> None:
    try:
        names = tree.entries(folder)
    except SourceError as error:
        blame(error, ["COM-03"], folder, ledger)
        return
    for name, kind in names.items():
        if kind in {PathKind.LINK, PathKind.OTHER}:
            ledger.wrong("COM-02", f"{folder}/{name}", expected="un archivo ordinario", found=kind.value)
        elif kind is not PathKind.FILE or name not in known:
            ledger.wrong("COM-03", f"{folder}/{name}", expected="nada", found=f"{kind.value} que no está en {SUMS}")
