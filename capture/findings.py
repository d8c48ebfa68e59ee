"""What people say of images and of findings of the machine without changing an acta: one person is enough.

`docs/roles.md` shows who may.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from capture.auth import allow
from capture.entries import SUPERVISES
from prep.store import findings as store
from prep.store.database import Pool, borrow
from prep.store.decisions import Speaker
from prep.store.people import Person, Role

ASKS_IMAGES: Final = frozenset({Role.DIGITALIZADOR, Role.COTEJADOR, Role.SUPERVISOR})
REVIEWS: Final = SUPERVISES


class Findings:
    """Requests for another image, and reviews."""

    def __init__(self, pool: Pool, *, clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._clock = clock

    async def ask_image(self, person: Person, sha256: str, reason: str) -> datetime:
        """Ask the site of this image for another one; its board shows it. Raises Rejected (403, 404)."""
        allow(person, ASKS_IMAGES)
        async with borrow(self._pool) as connection:
            return await store.ask_image(connection, bytes.fromhex(sha256), reason, self._speaker(person))

    async def review(self, person: Person, *, event: int | None, version: int | None, words: str) -> bool:
        """Keep that all is right with a finding; False if somebody said so before. Raises Rejected (403, 404)."""
        allow(person, REVIEWS)
        by = self._speaker(person)
        async with borrow(self._pool) as connection:
            return await store.review(connection, event=event, version=version, words=words, by=by)

    def _speaker(self, person: Person) -> Speaker:
        return Speaker(person.id, person.site, self._clock())
