"""`prep device …` and `prep user …`: the commands that let devices and people in, and shut them out."""

import argparse
import asyncio
import base64
import getpass
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from capture.auth import add_user, change_password, enroll
from capture.receipts import signing_key
from prep.arguments import Parser
from prep.errors import PrepError, Rejected, Unavailable
from prep.settings import now, read_settings
from prep.store import embedded
from prep.store.database import GONE, Connection, migrate, open_pool, transaction
from prep.store.people import Role, revoke_device, set_active


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0, or 2 with one sentence on stderr. A command adds all its devices or people, or none."""
    arguments = _accounts_parser().parse_args(argv)
    try:
        print(asyncio.run(_as_owner(arguments.command(arguments))))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)


Work = Callable[[Connection], Awaitable[str]]


def _accounts_parser() -> Parser:
    parser = Parser(prog="prep", description="Quién puede enviar imágenes y quién puede capturar.")
    commands = parser.add_subparsers(required=True, metavar="ORDEN")
    device = commands.add_parser("enroll", help="inscribe dispositivos", prog="prep device enroll")
    device.add_argument("devices", nargs="+", metavar="DISPOSITIVO", help="identificador: letras, números, «-» y «_»")
    device.add_argument("--site", required=True, metavar="SITIO", help="clave del CATD en que están")
    key = device.add_mutually_exclusive_group(required=True)
    key.add_argument(
        "--key", metavar="LLAVE", help="la llave pública Ed25519 del dispositivo: PEM, o 32 bytes en base64"
    )
    key.add_argument("--keys", metavar="CARPETA", type=Path, help="crea ahí la llave privada de cada uno: NOMBRE.pem")
    device.set_defaults(command=_enroll_devices)
    user = commands.add_parser("add", help="agrega personas", prog="prep user add")
    user.add_argument("logins", nargs="+", metavar="USUARIO", help="nombre con el que cada persona entra")
    roles = [role.value for role in Role]
    user.add_argument("--role", required=True, choices=roles, metavar="ROL", help=", ".join(roles))
    user.add_argument("--site", required=True, metavar="SITIO", help="clave del CATD o CCV en que trabajan")
    user.set_defaults(command=_add_people)
    for name, kind, does, words, text in (
        ("revoke", "device", _revoke_device, "DISPOSITIVO", "no admite más imágenes de un dispositivo"),
        ("disable", "user", _disable_user, "USUARIO", "cierra las sesiones de una persona y no la deja entrar"),
        ("enable", "user", _enable_user, "USUARIO", "deja entrar otra vez a una persona"),
        ("password", "user", _change_password, "USUARIO", "cambia la clave de una persona"),
    ):
        each = commands.add_parser(name, help=text, prog=f"prep {kind} {name}")
        each.add_argument("names", nargs="+", metavar=words, help="a quién se aplica; pueden ser varios")
        each.set_defaults(command=_for_each_name, does=does)
    return parser


def _for_each_name(arguments: argparse.Namespace) -> Work:
    async def work(connection: Connection) -> str:
        for name in arguments.names:
            await arguments.does(connection, name)
        return f"hecho: {', '.join(arguments.names)}"

    return work


async def _revoke_device(connection: Connection, device: str) -> None:
    await revoke_device(connection, device, now())


async def _disable_user(connection: Connection, login: str) -> None:
    await set_active(connection, login, active=False)


async def _enable_user(connection: Connection, login: str) -> None:
    await set_active(connection, login, active=True)


async def _change_password(connection: Connection, login: str) -> None:
    await change_password(connection, login=login, password=asked_password(login))


def _enroll_devices(arguments: argparse.Namespace) -> Work:
    # Nobody could tell two devices with the same key from each other.
    if arguments.key is not None and len(arguments.devices) > 1:
        raise Rejected("--key es de un solo dispositivo")

    async def work(connection: Connection) -> str:
        for device in arguments.devices:
            public = _public_key(arguments.key) if arguments.key else _made_key(arguments.keys, device)
            await enroll(connection, device=device, site=arguments.site, public_key=public, at=now())
        return f"inscritos: {', '.join(arguments.devices)}"

    return work


def _made_key(folder: Path, device: str) -> bytes:
    """The public key of a device whose private key is in `folder`; made now if it is not there."""
    # The name of the device becomes a file name. A name with «/» or «..» would write outside the folder.
    if Path(device).name != device:
        raise Rejected(f"con ese identificador no se puede nombrar un archivo: {device}")
    return signing_key(folder / f"{device}.pem").public_key().public_bytes_raw()


def _public_key(text: str) -> bytes:
    """The 32 bytes of a public key, from the name of a PEM file or from base64."""
    if not Path(text).is_file():
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:
            raise Rejected("la llave no es un archivo PEM ni base64") from None
    try:
        key = load_pem_public_key(Path(text).read_bytes())
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise Rejected(f"{text} no es una llave pública Ed25519 en PEM")
    return key.public_bytes_raw()


def _add_people(arguments: argparse.Namespace) -> Work:
    async def work(connection: Connection) -> str:
        for login in arguments.logins:
            password = asked_password(login)
            role = Role(arguments.role)
            await add_user(connection, login=login, password=password, role=role, site=arguments.site)
        return f"agregados: {', '.join(arguments.logins)}"

    return work


def asked_password(login: str) -> str:
    """Ask the person at the terminal, or read one line of stdin.

    A password is never an argument: every user of the machine can read the arguments in the list of processes.
    """
    return getpass.getpass(f"Clave de {login}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


async def _as_owner(work: Work) -> str:
    async with embedded.database(read_settings()) as urls:
        try:
            await migrate(urls.owner, parts=urls.parts)
        except GONE as error:
            raise Unavailable("la base de datos no responde; intente de nuevo") from error
        pool = await open_pool(urls.owner, connections=1)
        try:
            async with transaction(pool) as connection:
                return await work(connection)
        finally:
            await pool.close()
