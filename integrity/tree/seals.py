"""Who vouches for the cortes of a published tree: the files beside each SHA256SUMS, judged by the reader's authorities.

A tree without seals has nothing to check. But if the reader came with an authority, then each corte lacks its seal. A
tree with seals and a reader without an authority is *not checked*: a seal of an unknown authority proves nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from integrity.layout import SEALS
from integrity.report import SEAL_CHECKS, Ledger
from integrity.source import Missing, Source, SourceError, Unreadable
from integrity.sums import in_threads
from integrity.tree.tree import PublishedCorte, Seen, blame

if TYPE_CHECKING:
    from integrity.authenticity import Trust

_CHECKS: Final[Mapping[str, str]] = dict(zip(SEALS, ("AUT-01", "AUT-02", "AUT-03", "AUT-04", "AUT-04"), strict=True))
_LIMIT: Final = 1 << 20
"""More than any seal may have; the reader of each kind has its own, smaller limit."""
_NO_SEALS: Final = "el árbol no trae sellos y no se dio --ca"
_NO_AUTHORITY: Final = "el árbol trae sellos, y sin --ca no se sabe si son de quien deben ser"
_NO_STAMPS: Final = "el árbol no trae sellos de tiempo y no se dio --tsa-ca"


def judge_corte(
    tree: Source,
    corte: PublishedCorte,
    before: PublishedCorte | None,
    seen: Seen,
    ledger: Ledger,
    *,
    trust: "Trust | None",
    now: datetime | None,
) -> None:
    """Judge all files beside one SHA256SUMS. Without `trust`, only note whether there is any."""
    if trust is None:
        _note_any_seal(tree, corte, seen, ledger)
        return
    # A seal is judged at the hour of its corte, over the bytes of its list: both are needed.
    if not corte.content or corte.manifest is None:
        missing = "manifiesto no se sabe su hora" if corte.content else "SHA256SUMS no hay nada que sellar"
        ledger.unable(SEAL_CHECKS, f"{corte.folder}: sin {missing}")
        return
    try:
        from integrity.authenticity import judge  # noqa: PLC0415 - everything else needs nothing but Python
    except ModuleNotFoundError as missing:
        ledger.unable(SEAL_CHECKS, f"para comprobar los sellos falta el paquete «{missing.name}»")
        return
    beside = _read_beside_sums(tree, corte, ledger)
    if beside is None:
        return
    # From here on the tree has seals, so a missing one in another corte counts.
    seen.sealed |= beside.keys()
    corte.vouched = judge(
        corte.content,
        beside,
        trust,
        ledger,
        where=corte.folder,
        simulacro=corte.manifest.simulacro,
        corte_at=corte.manifest.at,
        before=None if before is None else before.vouched,
        now=now,
        stamped=bool(trust.stamps) or any(file in beside for file, check in _CHECKS.items() if check == "AUT-04"),
    )


def conclude(seen: Seen, ledger: Ledger, *, trust: "Trust | None") -> None:
    """After the last corte: a check without any seal, and without an authority to ask for one, does not apply."""
    # Seals that the reader cannot judge are no proof: the checks are not made, and not passed.
    if trust is None and seen.sealed:
        ledger.unable(SEAL_CHECKS, _NO_AUTHORITY)
    for check in SEAL_CHECKS if trust is None else ():
        ledger.not_applicable(check, _NO_SEALS)
    if trust is not None and not trust.stamps:
        ledger.not_applicable("AUT-04", _NO_STAMPS)


def _note_any_seal(tree: Source, corte: PublishedCorte, seen: Seen, ledger: Ledger) -> None:
    if seen.sealed:
        return
    paths = {f"{corte.folder}/{file}": file for file in SEALS}
    for path, found in in_threads(tree.exists, paths, tree.threads):
        if isinstance(found, SourceError):
            blame(found, [_CHECKS[paths[path]]], path, ledger)
        elif found:
            seen.sealed.add(paths[path])


def _read_beside_sums(tree: Source, corte: PublishedCorte, ledger: Ledger) -> dict[str, bytes] | None:
    """The files beside SHA256SUMS. None if one could not be read: then no judgement about its absence is possible."""
    beside: dict[str, bytes] = {}
    paths = {f"{corte.folder}/{file}": file for file in SEALS}
    for path, found in in_threads(lambda path: tree.read(path, _LIMIT), paths, tree.threads):
        if isinstance(found, bytes):
            beside[paths[path]] = found
        # It may be there. To report it as missing would accuse the publisher of our network's fault.
        elif isinstance(found, Unreadable):
            ledger.unable(SEAL_CHECKS, found.sentence)
            return None
        elif not isinstance(found, Missing):
            blame(found, [_CHECKS[paths[path]]], path, ledger)
    return beside
