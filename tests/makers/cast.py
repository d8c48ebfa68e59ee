"""The people of a small night, logged in: what a test writes straight into the tables is done by somebody."""

from dataclasses import dataclass

import asyncpg

from prep.store import people
from prep.store.people import Derived, Role

LOGGED_IN = """INSERT INTO session (token_sha256, person, expires_at, seen_at, idle)
    SELECT sha256(login::bytea), id, 'infinity', now(), '100 years' FROM person ON CONFLICT DO NOTHING"""
"""By the owner: everybody has a session that does not end."""


@dataclass(frozen=True)
class Cast:
    """Ids of people; a typist with the id of the site."""

    typists: tuple[tuple[int, int], tuple[int, int]]
    """Of two sites."""
    operador: int
    cotejador: int
    supervisor: int


async def people_logged_in(owner: str) -> Cast:
    """Add them. Their passwords open nothing."""
    connection = await asyncpg.connect(owner)
    try:
        sites = [await people.site(connection, code) for code in ("CCV-1", "CCV-2")]

        async def add(login: str, role: Role, site: int) -> int:
            return await people.add_person(connection, login, Derived("", b""), role, site)

        typists = [(await add(f"tec{n}", Role.CAPTURISTA, site), site) for n, site in enumerate(sites)]
        others = [
            await add(role.value, role, sites[0]) for role in (Role.OPERADOR_CATD, Role.COTEJADOR, Role.SUPERVISOR)
        ]
        await connection.execute(LOGGED_IN)
    finally:
        await connection.close()
    return Cast((typists[0], typists[1]), *others)
