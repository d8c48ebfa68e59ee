"""People are paused and moved to another site by those who supervise: at once, with a reason, as a fact that stays.

A person who is paused gets no task, and nothing that she types is taken. Her task waits for all again; what she typed
of it stays in her browser. `docs/roles.md` shows who may.
"""

from typing import Final

from capture.auth import People, allow
from capture.entries import SUPERVISES
from prep.store import people as store
from prep.store.database import Pool, borrow
from prep.store.people import Person, PersonChange

CHANGES_PEOPLE: Final = SUPERVISES


class Staffing:
    """What supervisors do about people."""

    def __init__(self, pool: Pool, people: People) -> None:
        self._pool = pool
        self._people = people

    async def change(self, person: Person, token: str, said: PersonChange) -> bool:
        """Do it; False if it was so before. `token` is that of the session: PostgreSQL looks at it again.

        Raises Rejected: 403; 404 for a person or a site of no list; 409 for oneself.
        """
        allow(person, CHANGES_PEOPLE)
        async with borrow(self._pool) as connection:
            done = await store.change_person(connection, token.encode(), said)
        self._people.forget(said.login)
        return done
