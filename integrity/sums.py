"""SHA-256 lists and codes: the strict reading of SHA256SUMS, of a code copied by a person, and hashing with threads."""

import re
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Final, TypeVar

from integrity.source import SourceError

SHA256_LENGTH: Final = 64
HEX: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LINE: Final = re.compile(r"([0-9a-f]{64})  ([^/\\\x00-\x1f\x7f]{1,255})", re.ASCII)
_BATCH: Final = 16

_LABEL: Final = re.compile(r"^\W*(?:c[oó]digo[\s_]*(?:de\s*)?integridad)?\W*(?:sha[\s_-]*256(?=\W))?\W*", re.IGNORECASE)
_DROPPED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Pd", "Pi", "Pf", "Mn"})
_DROPPED: Final = frozenset("'\"`´¨.,;:−_")

_T = TypeVar("_T")
_R = TypeVar("_R")


class Malformed(Exception):
    """The text does not have its form: the form that was expected, the text that was found, its line (1 on; 0: all)."""

    def __init__(self, expected: str, found: str, line: int = 0) -> None:
        super().__init__(expected, found, line)
        self.expected = expected
        self.found = found
        self.line = line


def read_sums(data: bytes) -> dict[str, str]:
    """Digest by file name, from a GNU list of one folder: `<64 lower hex>  <name>`, sorted by name, no two alike.

    Stricter than `sha256sum -c`: no path separators, no hidden names, none of GNU's escapes or `*` marks, and no two
    names that some file systems take for one. Raises Malformed.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Malformed("texto UTF-8", "otros bytes") from None
    if not text.endswith("\n"):
        raise Malformed("un salto de línea al final", "el archivo vacío o cortado")
    sums: dict[str, str] = {}
    folded: set[str] = set()
    last = ""
    # Two names that a file system may take for one (capitals, composed accents) would be one file on some reader's
    # disk.
    for number, line in enumerate(text[:-1].split("\n"), start=1):
        match = _LINE.fullmatch(line)
        if match is None or match[2].startswith(".") or match[2] == "SHA256SUMS":
            # One name in this loop, one digest: the order makes the list canonical, so that a corte has one SHA256SUMS
            # and no other.
            raise Malformed("«<64 hexadecimales en minúsculas>  <nombre sin ruta>»", f"«{line}»", number)
        name = match[2]
        if name in sums or unicodedata.normalize("NFC", name).casefold() in folded:
            raise Malformed("nombres sin repetir", f"otra vez «{name}»", number)
        if name < last:
            raise Malformed("nombres en orden", f"«{name}» después de «{last}»", number)
        sums[name] = match[1]
        folded.add(unicodedata.normalize("NFC", name).casefold())
        last = name
    return sums


def read_code(text: str) -> str:
    """The SHA-256 in what a person copied from a PDF or a page, as 64 lower-case hexadecimal digits.

    Spaces, line breaks, hyphens of any kind, invisible characters, quotes, capitals and a `sha256:` before it do not
    matter. Raises Malformed, which names a wrong length or a character that no code has.
    """
    # A person copies from a PDF: the text may hold the label "Código de integridad", typographic quotes, soft hyphens
    # and line breaks. All of them go; a letter that remains and is no hexadecimal digit is told to the person.
    told = unicodedata.normalize("NFKC", "".join(char for char in text if char not in _DROPPED or char in ":._"))
    told = _LABEL.sub("", told, count=1)
    code = "".join(
        char for char in told if unicodedata.category(char) not in _DROPPED_CATEGORIES and char not in _DROPPED
    ).lower()
    strange = next((char for char in code if char not in "0123456789abcdef"), None)
    if strange is not None:
        raise Malformed("solo los caracteres 0-9 y a-f", f"«{strange}»")
    # A cut copy is the most common mistake, so its length is told.
    if len(code) != SHA256_LENGTH:
        raise Malformed(f"{SHA256_LENGTH} caracteres", f"{len(code)}")
    return code


def in_threads(work: Callable[[_T], _R], items: Iterable[_T], threads: int) -> Iterator[tuple[_T, _R | SourceError]]:
    """`work` of every item, in their order, by a few threads; a SourceError comes back in place of the result.

    With one thread it is the caller's own.

    Items are taken in small batches and only as fast as results are used: memory does not grow with their number.
    """

    def batch(some: list[_T]) -> list[tuple[_T, _R | SourceError]]:
        return [(item, _result_or_error(work, item)) for item in some]

    if threads == 1:
        yield from ((item, _result_or_error(work, item)) for item in items)
        return
    # At most four batches for each thread wait at once: a national night has a million images.
    waiting: deque[Future[list[tuple[_T, _R | SourceError]]]] = deque()
    remaining = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        while some := list(islice(remaining, _BATCH)):
            waiting.append(pool.submit(batch, some))
            if len(waiting) >= threads * 4:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _result_or_error(work: Callable[[_T], _R], item: _T) -> _R | SourceError:
    try:
        return work(item)
    except SourceError as error:
        return error
