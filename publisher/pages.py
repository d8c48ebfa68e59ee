"""Pages."""

from collections.abc import Sequence
from pathlib import Path

from prep.store.cortes import Corte, Snapshot
from publisher.figures import Figures
from publisher.official import Book


async def render(public: Path, shown: Snapshot, *, book: Book, figures: Sequence[Figures], corte: Corte) -> None:
    pass
