"""Connections, named SQL and migrations."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import logging
import os
import ssl
import unicodedata
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from prep.errors import Code, Rejected, Unavailable
from prep.settings import Part

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

log: Final = logging.getLogger(__name__)
HERE: Final = Path(__file__).parent
MIGRATIONS: Final = HERE / "migrations"
_MIGRATING: Final = 0x50524550
"""Advisory lock: one migration at a time."""

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

GONE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server ended the session between two statements
    OSError,
    TimeoutError,
)
"""What a database that does not answer looks like: never the fault of the work, so the work is done again later."""
ATTEMPT: Final = (*GONE, asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
"""What an attempt to connect may meet."""
UNPREPARED: Final = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError)
"""What a statement meets in a database to which the migrations of this version were not applied."""
OLDEST: Final = (15, 0)
"""PostgreSQL that knows UNIQUE NULLS NOT DISTINCT."""


@cache
def sql(name: str) -> Mapping[str, str]:
    """The named blocks of `name`.sql."""
    # A block reaches to the next name. Lines before the first name are for readers of the file.
    blocks: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in (HERE / f"{name}.sql").read_text(encoding="utf-8").splitlines():
        if line.startswith("-- name:"):
            block = line.removeprefix("-- name:").strip()
            if block in blocks:
                raise ValueError(f"{name}.sql has two blocks named {block}")
            current = blocks.setdefault(block, [])
        elif current is not None:
            current.append(line)
    return MappingProxyType({block: "\n".join(lines).strip() for block, lines in blocks.items()})


SQL: Final = sql("database")


BY_KEY: Final = {"plan_cache_mode": "force_generic_plan"}
"""Settings of a session that mostly follows keys to rows: one plan of each statement serves every value.

Otherwise PostgreSQL plans the joins among them anew each time, for longer than they take. An economy and no need: a
PgBouncer in between may leave it out (`ignore_startup_parameters`).
"""


async def open_pool(url: str, *, connections: int = 8, wait: bool = True, by_key: bool = False) -> Pool:
    """A pool on that database; each connection refuses statements over a minute.

    A connection that comes back is rolled back and stops listening, without a statement that undoes everything else
    (asyncpg's habit, a round trip each time): a caller that takes a session's lock or changes a setting undoes it.

    `by_key`: its statements mostly follow keys to rows (see `BY_KEY`).

    Waits until the database answers; without `wait` it connects when it is used. Raises Rejected if no
    waiting will help: a certificate, a password or a name is wrong.
    """
    _check_files(url)
    pool = asyncpg.create_pool(
        url,
        min_size=0,  # asyncpg tells of each failure to keep more than none, in forty lines
        max_size=connections,
        timeout=5,
        command_timeout=60,
        reset=_as_it_is,
        server_settings={"application_name": "prep", **(BY_KEY if by_key else {})},
    )
    await pool
    while wait:
        try:
            async with pool.acquire():
                break
        except ATTEMPT as error:
            # A wrong password stays wrong; a server that does not answer comes back.
            if (refused := _lasting_refusal(error)) is not None:
                await pool.close()
                raise refused from error
            log.warning("database away, waiting", extra={"data": {"error": str(error) or type(error).__name__}})
            # Not shorter: fifty processes that wait for one server must not hold it up when it comes back.
            await asyncio.sleep(1)
    return pool


async def _as_it_is(_: object) -> None:
    """What asyncpg does by itself before this is all that is needed."""


@asynccontextmanager
async def borrow(pool: Pool) -> AsyncIterator[Connection]:
    """A connection for statements that each stand alone. A database that does not answer is `Unavailable`."""
    try:
        async with pool.acquire() as connection:
            yield connection
    except (*ATTEMPT, *UNPREPARED) as error:
        # Also what stays wrong until somebody mends the database: a client comes again, its picture was not wrong.
        lasting = _lasting_refusal(error)
        raise Unavailable(lasting.sentence if lasting else "la base de datos no responde; intente de nuevo") from error
    except asyncpg.PostgresError as error:
        raise refusal_of(error) or error from error


OF_ANOTHER_SITE: Final = "PR011"
"""The second capture of an acta is from the site of the first, too soon."""
REFUSALS: Final[Mapping[str, tuple[str, Code]]] = MappingProxyType(
    {
        "PR001": ("la noche ya cerró: salió el último corte, y lo publicado no cambia", Code.NIGHT_CLOSED),
        "PR002": ("el corte 0 sale con «prep zero», en la puesta en ceros, y todavía no se hace", Code.CONFLICT),
        "PR003": ("esta noche es real: no se repite", Code.CONFLICT),
        "PR010": ("inicie sesión", Code.NO_SESSION),
        "PR012": ("está en pausa: quien supervisa dice cuándo sigue; lo tecleado queda aquí", Code.PERSON_PAUSED),
        OF_ANOTHER_SITE: ("la segunda captura es de otro sitio: le toca a otra persona", Code.SAME_SITE),
    }
)
"""SQLSTATE of a refusal by the tables (0021_night.sql, 0024_parts.sql, 0039_desk.sql) → its sentence and its code."""


def refusal_of(error: asyncpg.PostgresError) -> Rejected | None:
    """The refusal that an error of the tables means, if a person can cause it."""
    return refused(error.sqlstate) if error.sqlstate in REFUSALS else None


def refused(state: str) -> Rejected:
    """The refusal of the tables with this SQLSTATE, for a program that looks before it asks them."""
    sentence, code = REFUSALS[state]
    return Rejected(sentence, code=code)


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """One transaction on one connection. A database that does not answer is `Unavailable`, and no part was kept."""
    async with borrow(pool) as connection, connection.transaction():
        yield connection


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Connection]:
    """One connection, for a command.

    Raises Unavailable if the database does not answer; Rejected as `open_pool`, and if migrations are missing.
    """
    _check_files(url)
    try:
        connection = await asyncpg.connect(url)
    except ATTEMPT as error:
        raise _lasting_refusal(error) or Unavailable("la base de datos no responde; intente de nuevo") from error
    try:
        yield connection
    except UNPREPARED as error:
        raise _lasting_refusal(error) or error from error
    finally:
        await connection.close()


def _check_files(url: str) -> None:
    """A file that the address names and is not there would look like a server that does not answer."""
    for name, (path, *_) in parse_qs(urlsplit(url).query).items():
        if name in {"sslrootcert", "sslcert", "sslkey", "sslcrl"} and not Path(path).is_file():
            raise Rejected(f"la dirección de la base de datos nombra un archivo que no existe: {name}={path}")


NOT_PREPARED: Final = "la base de datos no está preparada: ejecute «prep migrate»"


def _lasting_refusal(error: Exception) -> Rejected | None:
    """The sentence for what stays wrong however long one waits; None for a database that does not answer."""
    match error:
        case ssl.SSLCertVerificationError():
            return Rejected(
                f"el certificado de la base de datos no es de fiar, revise sslrootcert: {error.verify_message}"
            )
        case asyncpg.ClientConfigurationError():
            return Rejected(f"dirección de base de datos inválida: {_first_line(error)}")
        # The roles of the parts are made by the migrations too: a fresh database has none of them.
        case asyncpg.InvalidAuthorizationSpecificationError() if 'role "prep_' in str(error):
            return Rejected(NOT_PREPARED)
        case asyncpg.UndefinedTableError() | asyncpg.UndefinedColumnError() | asyncpg.UndefinedFunctionError():
            return Rejected(NOT_PREPARED)
        case asyncpg.InvalidAuthorizationSpecificationError() | asyncpg.InvalidCatalogNameError():
            return Rejected(f"la base de datos no nos admite: {_first_line(error)}")
        case ConnectionError() if "rejected SSL upgrade" in str(error):
            return Rejected("la base de datos no ofrece TLS y su dirección (sslmode) lo exige")
        case _:
            return None


def _first_line(error: Exception) -> str:
    """Without PostgreSQL's details and hints: a refusal is one sentence."""
    return str(error).partition("\n")[0]


async def migrate(
    url: str, *, parts: Mapping[Part, str] = MappingProxyType({}), other_site: timedelta | None = None
) -> list[str]:
    """Bring the schema of `url` (the owner's) up to date, each migration in a transaction; returns their names.

    `parts` are the addresses with which the parts connect. The role of each is made if it is missing, with the password
    of the address, and let in: it does the work of its part and cannot rewrite a fact. If one address serves several
    parts, its role has the rights of all of them, as a member of prep_app; if none does, prep_app has no rights here.
    `other_site` is how long a second capture waits for another site.

    Raises Rejected if the owner has not the rights for it, if a role has too many, or if the file of a migration has
    changed since it was applied.
    """
    async with connect(url) as connection:
        if connection.get_server_version() < OLDEST:
            raise Rejected(f"hace falta PostgreSQL {OLDEST[0]} o más nuevo")
        try:
            # Two commands at once: the second waits, and finds everything done. The lock ends with the session.
            await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATING)
            roles = _roles_of(parts)
            # Before the migrations: those make the roles that are still missing, and know no password.
            for role, (address, _) in roles.items():
                await _make_role(connection, role, address)
            applied = await _apply_missing(connection)
            for role, (_, of) in roles.items():
                await _admit_role(connection, role, of)
            whole = WHOLE in {of for _, of in roles.values()}
            # Only if it changes something: each right that is given makes PostgreSQL plan everything anew.
            stale = applied or whole is not await connection.fetchval(SQL["has_whole_rights"])
            if stale and (whole or (parts and all(parts.values()))):
                await _share_out(connection, whole=whole)
            if other_site is not None:
                await connection.execute(SQL["keep_other_site"], other_site)
        except asyncpg.InsufficientPrivilegeError as error:
            raise Rejected(
                f"al usuario de PREP_DATABASE_OWNER le faltan permisos ({_first_line(error)}): "
                "dele CREATEROLE y el esquema public, o cree antes los usuarios que dice docs/night.md"
            ) from error
    return applied


async def _apply_missing(connection: Connection) -> list[str]:
    applied = []
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
    )
    have = await _applied_unchanged(connection)
    files = {path.stem: path.read_bytes() for path in sorted(MIGRATIONS.glob("*.sql"))}
    for name, content in files.items():
        if name in have:
            continue
        async with connection.transaction():
            # The schema and the note of it commit together: a migration is applied whole, or not at all.
            await connection.execute(content.decode())
            await connection.execute("INSERT INTO migration (name) VALUES ($1)", name)
        applied.append(name)
    # The schema is up to date. If we stop here, the next run keeps the digests of the same files.
    digests = [hashlib.sha256(content).digest() for content in files.values()]
    await connection.execute(SQL["keep_digests"], list(files), digests)
    return applied


async def _applied_unchanged(connection: Connection) -> frozenset[str]:
    """The migrations that this database has. Raises Rejected if the file of one is not as it was applied."""
    kept: dict[str, bytes | None] = {row["name"]: row["sha256"] for row in await connection.fetch(SQL["migrations"])}
    for name, digest in sorted(kept.items()):
        path = MIGRATIONS / f"{name}.sql"
        # A file that is not here is of a newer program, which has updated this database: nothing of ours has changed.
        if digest is None or not path.is_file():
            continue
        if hashlib.sha256(path.read_bytes()).digest() != digest:
            raise Rejected(f"la migración {name}.sql cambió después de aplicarse: devuelva el archivo a como estaba")
    return frozenset(kept)


async def check_migrations(pool: Pool) -> None:
    """Raises Rejected if the file of a migration is not as it was applied to this database.

    For a process that needs its database from the start. Intake does not wait for PostgreSQL, and so does not look.
    """
    async with borrow(pool) as connection:
        with contextlib.suppress(asyncpg.UndefinedTableError):  # no migration was applied yet
            await _applied_unchanged(connection)


WHOLE: Final = "prep_app"
"""The role with the rights of all parts together, for an installation that gives several parts one address."""


def _roles_of(parts: Mapping[Part, str]) -> dict[str, tuple[str, str]]:
    """The role that each address enters with → an address of it, and the role whose rights it needs.

    Raises Rejected if an address names no role.
    """
    roles: dict[str, tuple[str, str]] = {}
    for part, address in parts.items():
        if not address:  # a machine that runs some parts only
            continue
        # The role may stand before the @ or behind the ?: both are addresses that PostgreSQL's own tools take.
        split = urlsplit(address)
        role = unquote(split.username or parse_qs(split.query).get("user", [""])[0])
        if not role:
            raise Rejected(f"la dirección de la base de datos de {part} no dice con qué usuario se entra")
        # One role for two parts has the rights of all.
        roles[role] = (address, WHOLE if role in roles or role == WHOLE else part)
    return roles


async def _make_role(connection: Connection, role: str, address: str) -> None:
    """Make the role if it is missing, with the password of its address."""
    known = await connection.fetchrow(SQL["role"], role)
    assert known is not None
    if not known["owner"] and not known["there"]:
        # Only the verifier is sent: the password stays on this machine.
        password = urlsplit(address).password
        verifier = _scram_verifier(unquote(password)) if password else None
        await connection.execute(await connection.fetchval(SQL["create_role"], role, verifier))


async def _admit_role(connection: Connection, role: str, of: str) -> None:
    """Let the role do what `of` may, a role of ours, and no more."""
    known = await connection.fetchrow(SQL["role"], role)
    assert known is not None
    # One address for everything: the owner needs no leave of itself.
    if known["owner"]:
        return
    rights = await connection.fetchrow(SQL["rights"], role, of)
    assert rights is not None
    if not rights["member"]:
        await connection.execute(await connection.fetchval(SQL["grant_role"], role, of))
    if not rights["connects"]:
        await connection.execute(await connection.fetchval(SQL["grant_connect"], of))
    if rights["rewrites"]:
        raise Rejected(f"«{role}», de PREP_DATABASE, puede reescribir hechos: es superusuario, o suyas son las tablas")


async def _share_out(connection: Connection, *, whole: bool) -> None:
    """Give prep_app the rights of all parts, or none, in this database."""
    # Both are for this database alone: another night on the same server may need prep_app.
    async with connection.transaction():
        for row in await connection.fetch(SQL["whole_rights"], whole):
            await connection.execute(row["statement"])


def _scram_verifier(password: str) -> str:
    """What PostgreSQL keeps of a password (RFC 5803), made here: the password itself is in no server's log."""
    # The steps of RFC 5802, section 3, as PostgreSQL does them for a password that it is given.
    salt, rounds = os.urandom(16), 4096
    salted = hashlib.pbkdf2_hmac("sha256", unicodedata.normalize("NFKC", password).encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    in_base64 = [base64.b64encode(each).decode() for each in (salt, stored, server)]
    return f"SCRAM-SHA-256${rounds}:{in_base64[0]}${in_base64[1]}:{in_base64[2]}"
