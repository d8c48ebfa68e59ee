"""Who is speaking: enrolled devices by their keys, people by their sessions. Nothing a client sends says who it is.

Intake must go on while Postgres is away, so the keys of the devices are held in memory and in a file beside it. People
need Postgres anyway; their sessions are remembered for a few seconds so that not every request asks for them.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import secrets
import uuid
from base64 import b64decode, b64encode
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from prep.errors import Rejected, Unavailable
from prep.store import people as store
from prep.store.database import Connection, Pool, borrow
from prep.store.people import Person, Role

log: Final = logging.getLogger(__name__)

# Passwords.


@dataclass(frozen=True, slots=True)
class Cost:
    """Parameters of scrypt (RFC 7914): memory is 128·n·r bytes, work n·r·p."""

    n: int
    r: int
    p: int


COST: Final = Cost(n=2**14, r=8, p=5)
"""16 MB and about a quarter of a second: the OWASP minimum for a machine that must also serve a login rush."""
MIN_PASSWORD: Final = 8
MAX_PASSWORD: Final = 200


def derive(password: str, salt: bytes, cost: Cost) -> bytes:
    memory = 129 * cost.n * cost.r + 2**20
    return hashlib.scrypt(password.encode(), salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=memory, dklen=32)


def hash_password(password: str, cost: Cost = COST) -> str:
    """What is stored: `scrypt$n$r$p$salt$key`, salt and key in base64."""
    salt = secrets.token_bytes(16)
    key = derive(password, salt, cost)
    return f"scrypt${cost.n}${cost.r}${cost.p}${b64encode(salt).decode()}${b64encode(key).decode()}"


_NOBODY: Final = f"scrypt${COST.n}${COST.r}${COST.p}${b64encode(bytes(16)).decode()}${b64encode(bytes(32)).decode()}"
"""Compared with when the login is unknown, so that the answer takes as long; no password derives to zeros."""


def password_matches(password: str, stored: str) -> bool:
    _, n, r, p, salt, key = stored.split("$")
    return hmac.compare_digest(derive(password, b64decode(salt), Cost(int(n), int(r), int(p))), b64decode(key))


# Adding people and devices: done by the owner of the database, from the command line.


async def add_user(
    connection: Connection, *, login: str, password: str, role: Role, site: str, cost: Cost = COST
) -> int:
    """Add a person; returns their id. `site` is its code, added on first use.

    Raises Rejected where the login is taken or malformed, or the password too short.
    """
    stored = await _derived(password, cost)
    async with connection.transaction():
        return await store.add_person(connection, login, stored, role, await store.site(connection, site))


async def change_password(connection: Connection, *, login: str, password: str, cost: Cost = COST) -> None:
    """Another password; every session of that person ends. Raises Rejected as `add_user`."""
    await store.set_password(connection, login, await _derived(password, cost))


async def _derived(password: str, cost: Cost) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Rejected(f"la clave lleva de {MIN_PASSWORD} a {MAX_PASSWORD} caracteres")
    return await asyncio.to_thread(hash_password, password, cost)


async def enroll(connection: Connection, *, device: str, site: str, public_key: bytes, at: datetime) -> None:
    """Enrol a device under its raw Ed25519 public key (32 bytes); the same again changes nothing.

    Raises Rejected where the id or the key is another device's, or is not one.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public_key)
    except ValueError:
        raise Rejected("la llave pública no es una llave Ed25519 de 32 bytes") from None
    async with connection.transaction():
        await store.add_device(connection, device, public_key, await store.site(connection, site), at)


# Devices.

FRESH_SECONDS: Final = 5.0
"""How old the map of devices may be while Postgres answers."""


class Devices:
    """The enrolled devices, as last seen in Postgres; kept in `file`, so that a restart without Postgres knows them."""

    def __init__(self, fetch: Callable[[], Awaitable[dict[str, bytes]]], file: Path) -> None:
        self._fetch = fetch
        self._file = file
        self._raw: dict[str, bytes] = {}
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._refreshing: asyncio.Task[None] | None = None
        with suppress(FileNotFoundError, ValueError):
            self._know({device: bytes.fromhex(key) for device, key in json.loads(file.read_bytes()).items()})

    async def check(self, device: str, signature: bytes, text: bytes) -> None:
        """Raises Rejected (401) unless `signature` is that of `device` over `text`.

        Only a device that is not known is worth asking Postgres for, and not for longer than a second.
        """
        if device not in self._keys:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._refresh_once()), 1)
        key = self._keys.get(device)
        if key is None:
            raise Rejected(f"el dispositivo {device} no está inscrito", status=401)
        try:
            key.verify(signature, text)
        except InvalidSignature:
            raise Rejected("la firma del dispositivo no corresponde a lo enviado", status=401) from None

    async def keep_fresh(self) -> None:
        """Look for newly enrolled devices for ever; runs beside intake."""
        while True:
            await self._refresh_once()
            await asyncio.sleep(FRESH_SECONDS)

    def _refresh_once(self) -> asyncio.Task[None]:
        """One refresh at a time, however many ask."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())
        return self._refreshing

    async def _refresh(self) -> None:
        try:
            found = await self._fetch()
        except Unavailable:
            return  # those we know go on
        except Exception:
            log.exception("devices not refreshed")  # a defect here must not stop images from coming in
            return
        if found != self._raw:
            self._know(found)
            await asyncio.to_thread(self._save, found)

    def _know(self, found: dict[str, bytes]) -> None:
        self._keys = {device: Ed25519PublicKey.from_public_bytes(key) for device, key in found.items()}
        self._raw = found

    def _save(self, found: dict[str, bytes]) -> None:
        temporary = self._file.with_name(f".{self._file.name}.{uuid.uuid4().hex}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({device: key.hex() for device, key in found.items()}), encoding="utf-8")
            temporary.replace(self._file)
        except OSError as error:
            log.warning("devices not saved", extra={"data": {"error": str(error)}})
            temporary.unlink(missing_ok=True)


# People.

REMEMBERED: Final = timedelta(seconds=10)
"""How long a session that ended on another server, or a person who was set inactive, may still be let in."""
ATTEMPTS: Final = 10
"""Logins tried for one name in `WINDOW`, right or wrong."""
WINDOW: Final = timedelta(minutes=1)
DERIVING: Final = 2
"""Passwords derived at a time: a rush of logins waits, and leaves the rest of the machine alone."""
WAITING: Final = 200
_NAMES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    """What a person is given at login; the token is nowhere else."""

    token: str
    person: Person
    expires: datetime


class People:
    """Logins and sessions."""

    def __init__(self, pool: Pool, *, clock: Callable[[], datetime], hours: float) -> None:
        self._pool = pool
        self._clock = clock
        self._lasts = timedelta(hours=hours)
        self._seen: dict[bytes, tuple[Person, datetime, datetime]] = {}
        self._tried: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._deriving = asyncio.Semaphore(DERIVING)
        self._queued = 0

    async def login(self, login: str, password: str) -> Session:
        """Open a session. An unknown login is answered like a wrong password, after as long.

        Raises Rejected (401; 429 after too many tries), Unavailable where too many log in at once.
        """
        self._count_try(login)
        async with borrow(self._pool) as connection:
            found = await store.person_by_login(connection, login)
        if not await self._matches(password, _NOBODY if found is None else found[1]) or found is None:
            raise Rejected("usuario o clave incorrectos", status=401)
        token = secrets.token_urlsafe(32)
        expires = self._clock() + self._lasts
        async with borrow(self._pool) as connection:
            await store.add_session(connection, _digest(token), found[0].id, expires=expires)
        self._tried.pop(login, None)
        return Session(token, found[0], expires)

    async def who(self, token: str | None) -> Person:
        """The person whose session this is. Raises Rejected (401)."""
        digest, now = _digest(token or ""), self._clock()
        seen = self._seen.get(digest)
        if seen is None or seen[2] <= now:
            seen = await self._look_up(digest, now)
        if seen is None or seen[1] <= now:
            raise Rejected("inicie sesión", status=401)
        return seen[0]

    async def logout(self, token: str | None) -> None:
        """End the session; the token opens nothing from now on."""
        digest = _digest(token or "")
        self._seen.pop(digest, None)
        async with borrow(self._pool) as connection:
            await store.drop_session(connection, digest, self._clock())

    async def _look_up(self, digest: bytes, now: datetime) -> tuple[Person, datetime, datetime] | None:
        async with borrow(self._pool) as connection:
            found = await store.session(connection, digest)
        if found is None:
            self._seen.pop(digest, None)
            return None
        if len(self._seen) > _NAMES:
            self._seen.clear()
        self._seen[digest] = seen = (*found, now + REMEMBERED)
        return seen

    async def _matches(self, password: str, stored: str) -> bool:
        if self._queued >= WAITING:
            raise Unavailable("demasiadas personas inician sesión a la vez; intente de nuevo")
        self._queued += 1
        try:
            async with self._deriving:
                return await asyncio.to_thread(password_matches, password, stored)
        finally:
            self._queued -= 1

    def _count_try(self, login: str) -> None:
        now = self._clock()
        tried = self._tried.setdefault(login, deque())
        self._tried.move_to_end(login)
        while tried and tried[0] <= now - WINDOW:
            tried.popleft()
        if len(tried) >= ATTEMPTS:
            raise TooMany("demasiados intentos; espere un minuto", retry_after=60)
        tried.append(now)
        if len(self._tried) > _NAMES:
            self._tried.popitem(last=False)


class TooMany(Unavailable):
    """Asked too often. HTTP 429."""


def allow(person: Person, roles: frozenset[Role]) -> None:
    """Raises Rejected (403) unless the person has one of these roles."""
    if person.role not in roles:
        raise Rejected(f"su rol ({person.role}) no permite esta operación", status=403)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
