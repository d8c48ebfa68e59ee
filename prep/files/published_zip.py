"""Open the ZIP that an institute publishes, and the ZIPs in it: the results, the candidates and the LEEME."""

import contextlib
import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prep.errors import Rejected
from prep.files.official_candidates import find_candidates_header
from prep.files.official_text import find_header, read_lines
from prep.files.official_words import fold

_DEEPEST: Final = 4
_LARGEST: Final = 1 << 29
"""The most bytes of all files inside together. A national file holds a tenth of this."""
_MOST_FILES: Final = 500


@dataclass(frozen=True, slots=True)
class Opened:
    """The files that a person gave. A file inside a ZIP has a name like `a.zip/b.csv`."""

    name: str
    results: bytes
    candidates_name: str = ""
    candidates: bytes = b""
    used: tuple[str, ...] = ()
    """The files of a ZIP that were used, and their use; empty if the person gave a plain file."""


def is_zip(data: bytes) -> bool:
    """The bytes begin as those of a ZIP. It may be empty."""
    return data.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def open_published(name: str, data: bytes, *, choose: str = "") -> Opened:
    """The results file: the given file itself or, in a ZIP, the one with `choose` in its name.

    Raises Rejected if the ZIP cannot be opened or has no results, or if `choose` does not fit exactly one of several.
    """
    if not is_zip(data):
        return Opened(name, data)
    files = list(_inside("", data, 1, [_LARGEST, _MOST_FILES]))
    results = [(inner, content) for inner, content in files if _kind(inner, content) == "resultados"]
    names = ", ".join(inner for inner, _ in files) or "nada"
    if not results and any(inner.startswith("xl/") for inner, _ in files):
        raise Rejected(f"{name}: es un libro de Excel; guárdelo como «CSV UTF-8»")
    if not results:
        raise Rejected(f"{name}: no contiene un archivo de resultados del PREP; contiene: {names}")
    chosen = [each for each in results if fold(choose) in fold(each[0])]
    if len(chosen) != 1:
        told = ", ".join(inner for inner, _ in results)
        raise Rejected(f"{name}: contiene los resultados de varias elecciones ({told}); diga cuál con --election")
    [(inner, content)] = chosen
    folder = inner.rpartition("/")[0]
    beside = [each for each in files if each[0].rpartition("/")[0] == folder]
    every = [each for each in files if _kind(*each) == "candidaturas"]
    # The candidates of the only election may stand in a folder of their own.
    people = [each for each in beside if each in every] or (every if len(results) == 1 and len(every) == 1 else [])
    readme = [each for each in beside if "LEEME" in fold(each[0])]
    used = [f"resultados: {inner}"]
    used += [f"candidaturas: {each}" for each, _ in people[:1]] + [f"léeme: {each}" for each, _ in readme]
    return Opened(inner, content, *(people[0] if people else ("", b"")), used=tuple(used))


def _inside(above: str, data: bytes, depth: int, left: list[int]) -> Iterator[tuple[str, bytes]]:
    """Every file of a ZIP and of the zips in it. `left` holds the number of bytes and files that may still come out."""
    where = above or "el ZIP"
    if depth > _DEEPEST:
        raise Rejected(f"{where}: hay archivos ZIP dentro de otros a más de {_DEEPEST} niveles")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                # What macOS knows of a file stands beside it, under the same name with a mark.
                parts = entry.filename.replace("\\", "/").split("/")
                if entry.is_dir() or "__MACOSX" in parts or parts[-1].startswith("._"):
                    continue
                left[1] -= 1
                left[0] -= entry.file_size
                if min(left) < 0:
                    raise Rejected(f"{where}: contiene demasiado; extraiga el archivo de resultados")
                with archive.open(entry) as file:
                    content = file.read(entry.file_size + 1)
                inner = f"{above}/{entry.filename}".lstrip("/")
                if is_zip(content):
                    yield from _inside(inner, content, depth + 1, left)
                else:
                    yield inner, content
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError):
        raise Rejected(f"{where}: no se puede abrir; está dañado, cifrado o comprimido de otro modo") from None


def _kind(name: str, content: bytes) -> str:
    """resultados, candidaturas or "", by the content of a file: each institute names its files in its own way."""
    last = fold(name).rpartition("/")[2]
    if not (last.endswith((".CSV", ".TXT", ".TSV", ".PSV", ".DAT")) or "." not in last) or "LEEME" in last:
        return ""
    for kind, header in (("candidaturas", find_candidates_header), ("resultados", find_header)):
        with contextlib.suppress(Rejected):
            header(read_lines(content))
            return kind
    return ""
