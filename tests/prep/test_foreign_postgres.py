"""PostgreSQL by URL: another's server, an older one, entered with passwords and certificates."""

import asyncio
import datetime as dt
import ipaddress
import os
import shutil
import ssl
import struct
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey as Key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from prep.errors import Rejected
from prep.settings import Part
from prep.store.database import connect, migrate, open_pool
from tests.makers.cord import copy
from tests.makers.postgres_server import HOST, Server, of_the_system
from tests.makers.waiting import PATIENCE
from tests.prep.test_migrations import FACTS

PASSWORD = "una clave: con/todo@ 'ñ' %"


@pytest.fixture(scope="module", params=["of the wheel", "of the system"])
def foreign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """PostgreSQL 16, and the one that the system has. Clients need a password; it logs all statements."""
    folder = tmp_path_factory.mktemp("ajeno")
    if request.param == "of the wheel":
        server = Server(folder / "pg", version=16)
    elif (programs := of_the_system()) is not None:
        server = Server(folder / "pg", programs=programs)
    else:
        pytest.skip("the system has no PostgreSQL: apt-get install --no-install-recommends postgresql")
    server.init(conf="log_statement = all", hba="host all all 127.0.0.1/32 scram-sha-256")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass(frozen=True)
class House:
    """A database that an administrator made for us, and how its owner and the application would come in."""

    server: Server
    name: str
    owner: str
    app: str

    def prep(self, *words: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
        ours = {"PREP_DATABASE": self.app, "PREP_DATABASE_OWNER": self.owner}
        command = [sys.executable, "-m", "prep.operations", *words]
        return subprocess.run(command, env=clean | ours, capture_output=True, text=True, check=False)


async def house(server: Server, *, owner_may: str = "CREATEROLE") -> House:
    name = f"t_{uuid.uuid4().hex[:12]}"
    await server.execute(
        f"CREATE ROLE {name}_dueno LOGIN {owner_may} PASSWORD 'd'", f"CREATE DATABASE {name} OWNER {name}_dueno"
    )
    owner = server.url(f"{name}_dueno", name, password="d")
    return House(server, name, owner, server.url(f"{name} app", name, password=PASSWORD))


async def test_the_role_of_the_application_is_made_and_can_add_facts_but_never_rewrite_them(foreign: Server) -> None:
    ours = await house(foreign)
    done = ours.prep("migrate")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "0001_catalog" in done.stdout
    assert ours.prep("migrate").stdout == "el esquema ya está al día\n"
    connection = await asyncpg.connect(ours.app)
    await connection.execute("INSERT INTO event (kind, subject, detail, at) VALUES ('prueba', '', '{}', now())")
    assert await connection.fetchval("SELECT count(*) FROM event") == 1
    for table in FACTS:
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}", f"DROP TABLE {table}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("UPDATE event SET kind = ''")
    await connection.close()
    assert "una clave" not in (foreign.folder / "log").read_text()
    with pytest.raises(Rejected, match="no nos admite"):
        async with connect(foreign.url(f"{ours.name} app", ours.name, password="otra")):
            pass


async def test_each_part_gets_a_role_of_its_own_with_the_password_of_its_address(foreign: Server) -> None:
    ours = await house(foreign)
    # The roles of the parts belong to the whole server, and another night of it may have made them: its administrator
    # lets this owner give them too.
    for role in ("prep_app", *Part):
        made = f"DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN END $$"
        await foreign.execute(made, f"GRANT {role} TO {ours.name}_dueno WITH ADMIN OPTION")
    parts = {part: foreign.url(f"{ours.name}_{part}", ours.name, password=f"{PASSWORD} {part}") for part in Part}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREP_")}
    said = {f"PREP_DATABASE_{part.name}": url for part, url in parts.items()} | {"PREP_DATABASE_OWNER": ours.owner}
    command = [sys.executable, "-m", "prep.operations", "migrate"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=clean | said, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    for part, url in parts.items():
        async with connect(url) as connection:
            assert await connection.fetchval("SELECT has_table_privilege('entry', 'INSERT')") is (part is Part.CAPTURE)
    assert "una clave" not in (foreign.folder / "log").read_text()
    async with connect(ours.owner) as connection:
        assert not await connection.fetchval("SELECT has_table_privilege('prep_app', 'acta', 'SELECT')")


async def test_an_owner_without_the_rights_is_told_what_to_ask_for(foreign: Server) -> None:
    await migrate((await house(foreign)).owner)  # there is a prep_app, and it is another's
    ours = await house(foreign, owner_may="NOCREATEROLE")
    done = ours.prep("migrate")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("prep: al usuario de PREP_DATABASE_OWNER le faltan permisos (permission denied")
    await foreign.execute(f"CREATE ROLE \"{ours.name} app\" LOGIN PASSWORD 'd'", f'GRANT prep_app TO "{ours.name} app"')
    assert ours.prep("migrate").returncode == 0


async def test_an_application_that_could_rewrite_facts_is_refused(foreign: Server) -> None:
    ours = await house(foreign)
    with pytest.raises(Rejected, match="«postgres», de PREP_DATABASE, puede reescribir hechos"):
        await migrate(ours.owner, parts={Part.WORKER: foreign.superuser(ours.name)})


async def test_one_address_for_everything_works_and_is_warned_of(foreign: Server) -> None:
    ours = await house(foreign)
    alone = House(ours.server, ours.name, "", ours.owner)
    done = alone.prep("migrate")
    assert done.returncode == 0
    assert "sin PREP_DATABASE_OWNER la aplicación es dueña de los hechos" in done.stderr


# TLS. The PostgreSQL of the wheel is built without it, so a front speaks it, as a pooler or a cloud's gate does.

SSL_REQUEST = 80877103


@dataclass
class Front:
    """Takes clients with TLS and in the clear, and passes them on to a real PostgreSQL. It notes who came how."""

    to: Server
    offer: ssl.SSLContext | None
    port: int = 0
    came: list[str] = field(default_factory=list)
    running: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.running.add(task)
        ends, ways = [writer], []
        try:
            head = await self._greet(reader, writer)
            there, here = await asyncio.open_connection(HOST, self.to.port)
            ends.append(here)
            here.write(head)
            ways = [asyncio.create_task(copy(reader, here)), asyncio.create_task(copy(there, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # they did not like our papers; the test is over
        finally:
            for way in ways:
                way.cancel()
            for end in ends:
                end.transport.abort()
            self.running.discard(task)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        head = await reader.readexactly(8)
        if struct.unpack("!II", head)[1] != SSL_REQUEST:
            self.came.append("plain")
            return head
        self.came.append("asked")
        writer.write(b"N" if self.offer is None else b"S")
        await writer.drain()
        if self.offer is not None:
            await writer.start_tls(self.offer)
            self.came.append(writer.get_extra_info("ssl_object").version())
        return b""

    def url(self, host: str = HOST, **said: str) -> str:
        return f"postgresql://tls:t@{host}:{self.port}/postgres?{urlencode(said)}"


@asynccontextmanager
async def front(to: Server, offer: ssl.SSLContext | None) -> AsyncIterator[Front]:
    await to.execute(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tls') THEN CREATE ROLE tls LOGIN PASSWORD 't'; END IF; END $$"
    )
    made = Front(to, offer)
    async with await asyncio.start_server(made.serve, HOST, 0) as listening:
        made.port = listening.sockets[0].getsockname()[1]
        yield made
        for running in made.running:
            running.cancel()
        if made.running:
            await asyncio.wait(made.running)
    await asyncio.sleep(0)  # the aborted ends close


def certificate(name: str, key: Key, issuer: str, issuer_key: Key, extension: x509.ExtensionType) -> bytes:
    def called(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    today, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    made = x509.CertificateBuilder(called(issuer), called(name), key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(today - day).not_valid_after(today + day)
    made = made.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return made.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """An authority, an authority of nobody, and the first one's certificate for 127.0.0.1 and no other name."""
    folder = tmp_path_factory.mktemp("papeles")
    good, other, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    authority = x509.BasicConstraints(ca=True, path_length=None)
    (folder / "ca.pem").write_bytes(certificate("CA", good, "CA", good, authority))
    (folder / "otra.pem").write_bytes(certificate("CA", other, "CA", other, authority))
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    secret = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.pem").write_bytes(secret + certificate("PostgreSQL", own, "CA", good, here))
    offer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    offer.load_cert_chain(folder / "server.pem")
    return folder, offer


async def test_with_the_right_authority_everything_is_encrypted(
    foreign: Server, papers: tuple[Path, ssl.SSLContext]
) -> None:
    async with front(foreign, papers[1]) as gate:
        url = gate.url(sslmode="verify-full", sslrootcert=str(papers[0] / "ca.pem"))
        async with await open_pool(url) as pool:
            assert await pool.fetchval("SELECT current_user") == "tls"
    assert gate.came == ["asked", "TLSv1.3"]


async def test_the_tls_of_postgresql_itself(papers: tuple[Path, ssl.SSLContext], tmp_path: Path) -> None:
    programs = of_the_system()
    if programs is None:
        pytest.skip("the system has no PostgreSQL: apt-get install --no-install-recommends postgresql")
    server = Server(tmp_path / "pg", programs=programs)
    server.init(hba="host all all 127.0.0.1/32 trust")
    pem = server.own(Path(shutil.copy(papers[0] / "server.pem", server.folder)))
    server.configure(f"ssl = on\nssl_cert_file = '{pem}'\nssl_key_file = '{pem}'")
    server.start()
    try:
        sides = {name: server.url("postgres", "postgres", sslmode="verify-full", sslrootcert=str(papers[0] / name)) for name in ("ca.pem", "otra.pem")}  # fmt: skip
        async with await open_pool(sides["ca.pem"]) as pool:
            row = await pool.fetchrow("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert row is not None
        assert tuple(row) == (True, "TLSv1.3")
        assert "no es de fiar, revise sslrootcert: certificate signature failure" in await refused(sides["otra.pem"])
    finally:
        server.stop()


async def refused(url: str) -> str:
    """By a pool that would wait for a server that does not answer, and by a single connection, in the same words."""
    with pytest.raises(Rejected) as first:
        async with asyncio.timeout(PATIENCE):
            await open_pool(url)
    with pytest.raises(Rejected) as second:
        async with connect(url):
            pass
    assert first.value.sentence == second.value.sentence
    return first.value.sentence


async def test_a_server_that_cannot_prove_who_it_is_gets_nothing_from_us(
    foreign: Server, papers: tuple[Path, ssl.SSLContext]
) -> None:
    """It would let us in without TLS as well: that is never tried."""
    async with front(foreign, papers[1]) as gate:

        def full(authority: str, host: str = HOST) -> str:
            return gate.url(host, sslmode="verify-full", sslrootcert=str(papers[0] / authority))

        assert "no es de fiar, revise sslrootcert: certificate signature failure" in await refused(full("otra.pem"))
        assert "no es de fiar, revise sslrootcert: Hostname mismatch" in await refused(full("ca.pem", "localhost"))
        assert "un archivo que no existe: sslrootcert=" in await refused(full("ninguna.pem"))
        assert set(gate.came) == {"asked"}
        async with connect(gate.url(sslmode="disable")) as connection:
            assert await connection.fetchval("SELECT current_user") == "tls"
        assert gate.came[-1] == "plain"


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_server_without_tls_is_refused_if_the_address_demands_it(
    foreign: Server, papers: tuple[Path, ssl.SSLContext], mode: str
) -> None:
    async with front(foreign, None) as gate:
        url = gate.url(sslmode=mode, sslrootcert=str(papers[0] / "ca.pem"))
        assert await refused(url) == "la base de datos no ofrece TLS y su dirección (sslmode) lo exige"
        assert set(gate.came) == {"asked"}
