"""Who is speaking: enrolled devices by their keys, people by their sessions. Nothing a client sends says who it is.

Intake must go on while Postgres does not answer, so the keys of the devices are held in memory and in a file. People
need Postgres anyway; their sessions are remembered for a few seconds so that not every request asks for them.
"""

import asyncio
import hashlib
import json
import logging
import math
import secrets
import uuid
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from prep import observe
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

COOKIE: Final = "__Host-prep"
"""The cookie with the token of a screen. Its prefix makes a browser refuse it without Secure, or for a whole domain."""


def token_of(headers: Mapping[str, str]) -> str | None:
    """The token of a request: that of a program (`Authorization: Bearer`), or else that of a screen (its cookie).

    A browser sends a cookie by itself, also if another page made it ask. So a cookie counts only if the browser says
    that the page is of this origin. Raises Rejected (403) if it says another, or nothing.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    for each in headers.get("cookie", "").split(";"):
        name, _, value = each.strip().partition("=")
        if name == COOKIE:
            check_same_origin(headers)
            return value
    return None


def check_same_origin(headers: Mapping[str, str]) -> None:
    """Raises Rejected (403) unless a browser says that a page of this origin made it ask."""
    if headers.get("sec-fetch-site") != "same-origin":
        sentence = "esta petición no viene de una pantalla de este servidor; abra la pantalla y repítala"
        raise Rejected(sentence, code=Code.CROSS_SITE)


REMEMBERED: Final = 10.0
"""Seconds for which a session that ended on another server, or a person who was set inactive, may still be let in."""
DERIVING: Final = 2
"""Passwords derived at a time: a rush of logins waits, and leaves the rest of the machine alone."""
WAITING: Final = 200
_SESSIONS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    """What a person is given at login; the token is nowhere else."""

    token: str
    person: Person
    expires: datetime


FREE_TRIES: Final = 5
"""Wrong passwords after which the next try of the same name from the same address must wait."""
FIRST_WAIT: Final = 5.0
"""Seconds; each further wrong password doubles them."""
LONGEST_WAIT: Final = 900.0
FORGOTTEN: Final = 3600.0
"""Seconds after its last try, or its last wait, that a name and address begin anew."""
KEPT: Final = 100_000


class Tries:
    """Wrong passwords, counted for each name at each address. A stranger somewhere else keeps nobody out.

    It knows nothing of which names exist. Names and addresses are kept as a digest, so that each takes the same room.
    Memory is bounded, and other names push out none that waits: `KEPT` is more than the passwords that a machine can
    derive before an entry is forgotten anyway.
    """

    def __init__(self, ticks: Callable[[], float], *, kept: int = KEPT) -> None:
        self._ticks = ticks
        self._kept = kept
        self._secret = secrets.token_bytes(16)
        self._known: OrderedDict[bytes, tuple[int, float]] = OrderedDict()
        """Number of tries, and until when the next one waits; the last one that was tried is last."""

    def __len__(self) -> int:
        return len(self._known)

    def begin(self, login: str, address: str) -> "Try":
        """A try that counts as wrong until it is taken back. Raises Unavailable (429) if it must wait."""
        now, key = self._ticks(), self._key(login, address)
        before = self._known.get(key)
        if before is not None and now >= before[1] + FORGOTTEN:
            before = None
        tries, until = before or (0, now)
        if now < until:
            wait = math.ceil(until - now)
            sentence = f"demasiados intentos; espere {_wait_in_words(wait)}"
            raise Unavailable(sentence, code=Code.TOO_MANY_TRIES, retry_after=wait)
        self._keep(key, tries + 1, now)
        return Try(self._known, key, before)

    def _keep(self, key: bytes, tries: int, now: float) -> None:
        doubled = tries - FREE_TRIES
        wait = 0.0 if doubled < 0 else min(FIRST_WAIT * 2.0 ** min(doubled, 32), LONGEST_WAIT)
        self._known.pop(key, None)
        while self._known and now >= next(iter(self._known.values()))[1] + FORGOTTEN:
            self._known.popitem(last=False)
        if len(self._known) >= self._kept:
            free = next((each for each, (_, until) in self._known.items() if until <= now), None)
            if free is None:
                return
            del self._known[free]
        self._known[key] = (tries, now + wait)

    def _key(self, login: str, address: str) -> bytes:
        said = f"{login}\0{network_of(address)}".encode(errors="surrogatepass")
        return hashlib.blake2b(said, key=self._secret, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Try:
    """One login on its way."""

    _known: OrderedDict[bytes, tuple[int, float]]
    _key: bytes
    _before: tuple[int, float] | None

    def was_right(self) -> None:
        """The name and address begin anew."""
        self._known.pop(self._key, None)

    def was_not_judged(self) -> None:
        """Nobody looked at the password: it is as if it had not been tried."""
        self.was_right()
        if self._before is not None:
            self._known[self._key] = self._before


def network_of(address: str) -> str:
    """What one sender has: an address of IPv4, or the /64 of IPv6, in which a sender may choose any address."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((int(found) >> 64 << 64, 64)))
    return str(found)


def _wait_in_words(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} segundo{'s' if seconds > 1 else ''}"
    return f"{math.ceil(seconds / 60)} minutos"


class People:
    """Logins and sessions. A person has one session; PostgreSQL measures how long it stays open."""

    def __init__(self, pool: Pool, *, ticks: Callable[[], float], hours: float, idle_minutes: float) -> None:
        """`ticks` counts seconds and never goes back, also if somebody sets the machine's clock."""
        self._pool = pool
        self._ticks = ticks
        self._lasts = timedelta(hours=hours)
        self.lasts_seconds = round(hours * 3600)
        self._idle = timedelta(minutes=idle_minutes)
        self._seen: dict[bytes, tuple[Person, float]] = {}
        self._tries = Tries(ticks)
        self._deriving = asyncio.Semaphore(DERIVING)
        self._queued = 0

    async def login(self, login: str, password: str, address: str) -> Session:
        """Open a session; an earlier one of that person ends. `address` is the client's.

        An unknown login is answered like a wrong password, after as long. Raises Rejected (401), Unavailable (429 after
        too many tries, 503 if too many people log in at once).
        """
        if self._queued >= WAITING:
            sentence = "demasiadas personas inician sesión a la vez; intente de nuevo"
            raise Unavailable(sentence, code=Code.TOO_MANY_PEOPLE)
        try:
            tried = self._tries.begin(login, address)
        except Unavailable:
            observe.LOGINS.labels("slowed").inc()
            raise
        self._queued += 1
        try:
            session = await self._open_session(login, password)
        except Rejected:
            observe.LOGINS.labels("wrong").inc()
            raise
        except BaseException:
            tried.was_not_judged()
            raise
        finally:
            self._queued -= 1
        tried.was_right()
        observe.LOGINS.labels("opened").inc()
        for digest in [each for each, (person, _) in self._seen.items() if person.id == session.person.id]:
            del self._seen[digest]
        return session

    async def _open_session(self, login: str, password: str) -> Session:
        async with borrow(self._pool) as connection:
            found = await store.person_by_login(connection, login)
        async with self._deriving:
            key = await asyncio.to_thread(key_of, password, _NOBODY if found is None else found[1])
        token = secrets.token_urlsafe(32)
        async with borrow(self._pool) as connection:
            # An unknown login asks PostgreSQL too, about a person that is nobody.
            person = 0 if found is None else found[0].id
            expires = await store.open_session(
                connection, person, key, token.encode(), lasts=self._lasts, idle=self._idle
            )
        if found is None or expires is None:
            raise Rejected("usuario o clave incorrectos", code=Code.CREDENTIALS_WRONG)
        if found[1].startswith(OLD):
            await self._rewrite_password(found[0], key, password)
        return Session(token, found[0], expires)

    async def who(self, token: str | None) -> Person:
        """The person whose session this is. Raises Rejected (401)."""
        said = (token or "").encode()
        digest, now = hashlib.sha256(said).digest(), self._ticks()
        seen = self._seen.get(digest)
        if seen is None or seen[1] <= now:
            seen = await self._look_up(said, digest, now)
        if seen is None:
            raise Rejected("inicie sesión", code=Code.NO_SESSION)
        return seen[0]

    async def logout(self, token: str | None) -> None:
        """End the session; the token opens nothing from now on."""
        said = (token or "").encode()
        self._seen.pop(hashlib.sha256(said).digest(), None)
        async with borrow(self._pool) as connection:
            await store.end_session(connection, said)

    def forget(self, login: str) -> None:
        """Ask PostgreSQL again who this is: something about the person changed."""
        for digest in [each for each, (person, _) in self._seen.items() if person.login == login]:
            del self._seen[digest]

    async def _look_up(self, token: bytes, digest: bytes, now: float) -> tuple[Person, float] | None:
        async with borrow(self._pool) as connection:
            found = await store.session(connection, token)
        if found is None:
            self._seen.pop(digest, None)
            return None
        if len(self._seen) > _SESSIONS:
            self._seen.clear()
        person, seconds = found
        self._seen[digest] = seen = (person, now + min(REMEMBERED, seconds))
        return seen

    async def _rewrite_password(self, person: Person, key: bytes, password: str) -> None:
        """Keep an old password in the form of today. If the database does not answer now, the next login does it."""
        async with self._deriving:
            rewritten = await asyncio.to_thread(derived, password)
        with suppress(Unavailable):
            async with borrow(self._pool) as connection:
                await store.rewrite_password(connection, person.id, key, rewritten)


def allow(person: Person, roles: frozenset[Role]) -> None:
    """Raises Rejected (403) unless the person has one of these roles."""
    if person.role not in roles:
        raise Rejected(f"su rol ({person.role}) no permite esta operación", code=Code.ROLE_MAY_NOT)
