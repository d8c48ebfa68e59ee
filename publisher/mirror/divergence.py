"""The origin contradicts its own publication: the mirror stays as it is, and keeps the origin's files as evidence."""

from hashlib import sha256
from pathlib import Path
from typing import Final

from prep.errors import Parked

_MOST_FILES: Final = 200


class Divergence(Parked):
    """The origin contradicts its own publication, or its new files do not verify."""


class DivergenceRecord:
    """The origin's contradicting files, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: set[bytes] = set()

    def keep(self, path: str, content: bytes) -> None:
        """Keep one file of the origin, for the person who looks for the cause. At most `_MOST_FILES` are kept."""
        digest = sha256(content).digest()
        if digest not in self._kept and len(self._kept) < _MOST_FILES:
            self._kept.add(digest)
            self._folder.mkdir(exist_ok=True)
            (self._folder / f"{path.replace('/', '_')}.{digest.hex()}").write_bytes(content)
