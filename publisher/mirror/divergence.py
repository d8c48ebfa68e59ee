"""The origin contradicts what it published: the mirror stays as it is, and keeps what the origin said."""

from hashlib import sha256
from pathlib import Path
from typing import Final

from prep.errors import Parked

_MOST_FILES: Final = 200


class Divergence(Parked):
    """The origin contradicts what it published, or what it publishes now does not verify."""


class DivergenceRecord:
    """What the origin said where it diverged, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: set[bytes] = set()

    def keep(self, path: str, content: bytes) -> None:
        """What the origin said, for whoever has to find out why."""
        digest = sha256(content).digest()
        if digest not in self._kept and len(self._kept) < _MOST_FILES:
            self._kept.add(digest)
            self._folder.mkdir(exist_ok=True)
            (self._folder / f"{path.replace('/', '_')}.{digest.hex()}").write_bytes(content)
