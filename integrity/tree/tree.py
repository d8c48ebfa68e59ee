"""A published tree while it is verified: its cortes as far as they were read, and everything that they announced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from integrity.evidence import Shown
from integrity.layout import corte_folder
from integrity.openings import FirstShown
from integrity.report import Ledger
from integrity.source import Fetched, Missing, PathKind, Source, SourceError, Unreadable
from integrity.strict_json import Json
from integrity.sums import Malformed
from integrity.tree.documents import Manifest
from integrity.tree.rows import PublishedTable

if TYPE_CHECKING:
    from integrity.authenticity import Evidence
    from integrity.tree.catalogue import PublishedCatalogue

HTTP: Final = "por HTTP no se puede saber qué otros archivos hay"


class Brings(Protocol):
    """A corte that is coming out (`tree.coming`): whether it brings the file or folder at a path."""

    def brings(self, path: str) -> bool: ...


@dataclass
class PublishedCorte:
    """One corte as a verifier read it."""

    number: int
    whole: bool = True
    """Whether its rows, totals, ZIP and images are checked; else only its place in the chain."""
    content: bytes = b""
    """The bytes of its SHA256SUMS."""
    sums_sha256: str = ""
    sums: Mapping[str, str] = field(default_factory=dict)
    files: dict[str, Fetched] = field(default_factory=dict)
    manifest: Manifest | None = None
    tables: dict[str, PublishedTable] = field(default_factory=dict)
    totals: Json | None = None
    """Its totals.json; only of the corte that is read now."""
    people: bytes = b""
    """Its candidacies (`companions.people_of`); empty if they were not read."""
    vouched: "Evidence | None" = None
    """Its seal and time stamps, if they were judged."""
    stage: str = ""
    """Its folder, if it is not at its place yet."""

    @property
    def folder(self) -> str:
        return self.stage or corte_folder(self.number)


@dataclass
class Seen:
    """Everything that the cortes so far have announced."""

    images: dict[str, str] = field(default_factory=dict)
    """By digest: the extension, then the actas it was published for, between spaces. A national night has a million."""
    zips: set[str] = field(default_factory=set)
    sealed: set[str] = field(default_factory=set)
    """Names of the seals and stamps that stand beside any SHA256SUMS."""
    skipped: set[str] = field(default_factory=set)
    """Images that only cortes before `since` list: their bytes are not read."""
    cortes: dict[int, Shown] = field(default_factory=dict)
    taken_back: set[str] = field(default_factory=set)
    """The claves of actas that two people took back in some corte: their images stay, and no row may show them."""
    fuera: dict[str, int] = field(default_factory=dict)
    """By digest of an image fuera de catálogo: the first corte that lists it."""
    rows: dict[str, FirstShown] | None = None
    """By `leaves.row_digest`: each captured row, and the first corte that showed it; None if the tree has no log."""
    data: dict[int, str] = field(default_factory=dict)
    """By corte: the digest of the list of its clean data, if they are there."""
    named: set[int] = field(default_factory=set)
    """The cortes whose clean data a later manifest names."""
    catalogue: "PublishedCatalogue | None" = None
    """What the night expects; None if the tree brings no catalogue that can be read."""
    coming: Brings | None = None
    """The corte that is coming out; None before the last corte is known."""

    def brings(self, path: str) -> bool:
        """Whether a corte that is coming out brings that file or folder."""
        return self.coming is not None and self.coming.brings(path)

    def extension(self, sha256: str) -> str:
        """The extension under which an image was published; empty if no corte listed it."""
        return self.images.get(sha256, "").partition(" ")[0]

    def claves(self, sha256: str) -> list[str]:
        """The claves of the actas for which an image was published; `-` for fuera de catálogo."""
        return self.images.get(sha256, "").split(" ")[1:]


def blame(error: SourceError, checks: Sequence[str], path: str, ledger: Ledger) -> None:
    """Report a file that could not be taken: wrong if it is missing or is no ordinary file, else not checked."""
    # Unreadable may be our network; Missing and Refused are the publisher's fault.
    if isinstance(error, Unreadable):
        ledger.unable(checks, error.sentence)
        return
    found = "nada" if isinstance(error, Missing) else error.sentence
    for check in checks:
        ledger.wrong(check, path, expected="este archivo", found=found)


def malformed(problem: Malformed, check: str, path: str, ledger: Ledger) -> None:
    """Report a text that could be read and does not have its form."""
    position = f"línea {problem.line}" if problem.line else ""
    ledger.wrong(check, path, expected=problem.expected, found=problem.found, position=position)


def judge_entry(
    path: str, kind: PathKind, check: str, ledger: Ledger, seen: Seen, *, known: bool, wanted: PathKind = PathKind.FILE
) -> None:
    """One name in a folder: it has the right kind, and a corte or the format announces it."""
    ledger.did("COM-02")
    # A link or a special file is wrong under every name, so its kind is judged before its name.
    if kind in {PathKind.LINK, PathKind.OTHER}:
        ledger.wrong("COM-02", path, expected=wanted.value, found=kind.value)
    elif not known:
        if not seen.brings(path):
            ledger.wrong(check, path, expected="nada", found=kind.value)
    elif kind is not wanted:
        ledger.wrong(check, path, expected=wanted.value, found=kind.value)


def entries(tree: Source, folder: str, ledger: Ledger) -> Mapping[str, PathKind]:
    """Names in a folder, by kind; none if it is missing, which the check that needs its files reports."""
    try:
        return tree.entries(folder)
    except Unreadable as error:
        ledger.unable(["COM-02", "COM-08"], error.sentence)
    except SourceError:
        pass
    return {}
