"""Who is speaking: enrolled devices by their keys, people by their sessions. Nothing a client sends says who it is.

Intake must go on while Postgres is away, so the keys of the devices are held in memory and in a file beside it. People
need Postgres anyway; their sessions are remembered for a few seconds so that not every request asks for them.
"""

import asyncio
import hashlib
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
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from prep.errors import Code, Rejected, Unavailable
from prep.store import people as store
from prep.store.database import Connection, Pool, borrow
from prep.store.people import Derived, Person, Role

log: Final = logging.getLogger(__name__)

# Passwords.


@dataclass(frozen=True, slots=True)
class Cost:
    """Parameters of Argon2id (RFC 9106)."""

    memory_kib: int
    passes: int


COST: Final = Cost(memory_kib=64 * 1024, passes=3)
"""Memory and passes of RFC 9106 §4, the second recommended option. About a quarter of a second here, as scrypt took."""
LANES: Final = 1
"""One, not the four of the RFC. With more, OpenSSL computes in threads of its own, and two derivations at the same time
can wait for each other for ever: then no person can log in any more."""
MIN_PASSWORD: Final = 8
MAX_PASSWORD: Final = 200


def derived(password: str, cost: Cost = COST) -> Derived:
    """The password as it is kept. The form is `$argon2id$v=19$m=…,t=…,p=…$salt`, the usual one without its key."""
    salt = b64encode(secrets.token_bytes(16)).decode().rstrip("=")
    form = f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={LANES}${salt}"
    return Derived(form, key_of(password, form))


_NOBODY: Final = f"$argon2id$v=19$m={COST.memory_kib},t={COST.passes},p={LANES}${'A' * 22}"
"""An unknown login's key is derived in this form, so that the answer takes as long."""
OLD: Final = "scrypt$"
"""How a form begins from before Argon2id: `scrypt$n$r$p$salt`. The next login of its person rewrites it."""


def key_of(password: str, form: str) -> bytes:
    """The 32 bytes that a password derives to, in the form of today or in the one before it."""
    if form.startswith(OLD):
        _, n, r, p, salt = form.split("$")
        return Scrypt(salt=b64decode(salt), length=32, n=int(n), r=int(r), p=int(p)).derive(password.encode())
    _, _, _, costs, salt = form.split("$")
    memory, passes, lanes = (int(each.partition("=")[2]) for each in costs.split(","))
    derivation = Argon2id(
        salt=b64decode(salt + "=" * (-len(salt) % 4)), length=32, iterations=passes, lanes=lanes, memory_cost=memory
    )
    return derivation.derive(password.encode())


# Adding people and devices: done by the owner of the database, from the command line.


async def add_user(
    connection: Connection, *, login: str, password: str, role: Role, site: str, cost: Cost = COST
) -> int:
    """Add a person; returns their id. `site` is its code in the closed list.

    Raises Rejected if there is no such site, the login is taken or malformed, or the password too short.
    """
    stored = await _derived_password(password, cost)
    async with connection.transaction():
        return await store.add_person(connection, login, stored, role, await store.site(connection, site))


async def change_password(connection: Connection, *, login: str, password: str, cost: Cost = COST) -> None:
    """Another password; every session of that person ends. Raises Rejected as `add_user`."""
    await store.set_password(connection, login, await _derived_password(password, cost))


async def confirm(connection: Connection, *, login: str, password: str, roles: frozenset[Role]) -> Person:
    """The person who has this login and password, without a session: for a command that asks two people.

    Raises Rejected (401; 403 if their role may not).
    """
    found = await store.person_by_login(connection, login)
    key = await asyncio.to_thread(key_of, password, _NOBODY if found is None else found[1])
    if found is None or not await store.key_is_right(connection, found[0].id, key):
        raise Rejected(f"usuario o clave incorrectos: {login}", code=Code.CREDENTIALS_WRONG)
    allow(found[0], roles)
    return found[0]


async def _derived_password(password: str, cost: Cost) -> Derived:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Rejected(f"la clave lleva de {MIN_PASSWORD} a {MAX_PASSWORD} caracteres")
    return await asyncio.to_thread(derived, password, cost)


async def enroll(connection: Connection, *, device: str, site: str, public_key: bytes, at: datetime) -> None:
    """Enrol a device under its raw Ed25519 public key (32 bytes); the same again changes nothing.

    Raises Rejected if there is no such site, the id or the key belongs to another device, or the key is none.
    """
    check_public_key(public_key)
    async with connection.transaction():
        await store.add_device(connection, device, public_key, await store.site(connection, site), at)


def check_public_key(public_key: bytes) -> None:
    """Raises Rejected unless these are the 32 bytes of an Ed25519 public key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key)
    except ValueError:
        raise Rejected("la llave pública no es una llave Ed25519 de 32 bytes") from None


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
            self._know_devices({device: bytes.fromhex(key) for device, key in json.loads(file.read_bytes()).items()})

    async def check(self, device: str, signature: bytes, text: bytes) -> None:
        """Raises Rejected (401) unless `signature` is that of `device` over `text`.

        Only a device that is not known is worth asking Postgres for, and not for longer than a second.
        """
        if device not in self._keys:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._refresh_once()), 1)
        key = self._keys.get(device)
        if key is None:
            raise Rejected(f"el dispositivo {device} no está inscrito", code=Code.DEVICE_UNKNOWN)
        try:
            key.verify(signature, text)
        except InvalidSignature:
            sentence = "la firma del dispositivo no corresponde a lo enviado"
            raise Rejected(sentence, code=Code.SIGNATURE_WRONG) from None

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
            self._know_devices(found)
            await asyncio.to_thread(self._save_devices, found)

    def _know_devices(self, found: dict[str, bytes]) -> None:
        self._keys = {device: Ed25519PublicKey.from_public_bytes(key) for device, key in found.items()}
        self._raw = found

    def _save_devices(self, found: dict[str, bytes]) -> None:
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

        Raises Rejected (401), Unavailable (429 after too many tries, 503 if too many people log in at once).
        """
        self._count_try(login)
        async with borrow(self._pool) as connection:
            found = await store.person_by_login(connection, login)
        key = await self._key_of(password, _NOBODY if found is None else found[1])
        token = secrets.token_urlsafe(32)
        expires = self._clock() + self._lasts
        async with borrow(self._pool) as connection:
            # An unknown login asks PostgreSQL too, about a person that is nobody.
            person = 0 if found is None else found[0].id
            opened = await store.open_session(connection, person, key, _token_digest(token), expires=expires)
        if found is None or not opened:
            raise Rejected("usuario o clave incorrectos", code=Code.CREDENTIALS_WRONG)
        if found[1].startswith(OLD):
            await self._rewrite_password(found[0], key, password)
        self._tried.pop(login, None)
        return Session(token, found[0], expires)

    async def who(self, token: str | None) -> Person:
        """The person whose session this is. Raises Rejected (401)."""
        digest, now = _token_digest(token or ""), self._clock()
        seen = self._seen.get(digest)
        if seen is None or seen[2] <= now:
            seen = await self._look_up(digest, now)
        if seen is None or seen[1] <= now:
            raise Rejected("inicie sesión", code=Code.NO_SESSION)
        return seen[0]

    async def logout(self, token: str | None) -> None:
        """End the session; the token opens nothing from now on."""
        digest = _token_digest(token or "")
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

    async def _key_of(self, password: str, form: str) -> bytes:
        if self._queued >= WAITING:
            sentence = "demasiadas personas inician sesión a la vez; intente de nuevo"
            raise Unavailable(sentence, code=Code.TOO_MANY_PEOPLE)
        self._queued += 1
        try:
            async with self._deriving:
                return await asyncio.to_thread(key_of, password, form)
        finally:
            self._queued -= 1

    async def _rewrite_password(self, person: Person, key: bytes, password: str) -> None:
        """Keep an old password in the form of today. If the database is away now, the next login does it."""
        async with self._deriving:
            rewritten = await asyncio.to_thread(derived, password)
        with suppress(Unavailable):
            async with borrow(self._pool) as connection:
                await store.rewrite_password(connection, person.id, key, rewritten)

    def _count_try(self, login: str) -> None:
        now = self._clock()
        tried = self._tried.setdefault(login, deque())
        self._tried.move_to_end(login)
        while tried and tried[0] <= now - WINDOW:
            tried.popleft()
        if len(tried) >= ATTEMPTS:
            sentence = "demasiados intentos; espere un minuto"
            raise Unavailable(sentence, code=Code.TOO_MANY_TRIES, retry_after=60)
        tried.append(now)
        if len(self._tried) > _NAMES:
            self._tried.popitem(last=False)


def allow(person: Person, roles: frozenset[Role]) -> None:
    """Raises Rejected (403) unless the person has one of these roles."""
    if person.role not in roles:
        raise Rejected(f"su rol ({person.role}) no permite esta operación", code=Code.ROLE_MAY_NOT)


def _token_digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
