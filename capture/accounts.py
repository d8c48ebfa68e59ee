"""`prep user` and `prep device`: who may speak to capture. Done by the owner of the database, from the command line."""

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from capture.auth import add_user, enroll
from prep.errors import PrepError, Rejected
from prep.settings import Settings, now, read_settings
from prep.store import embedded
from prep.store.database import connect
from prep.store.people import Role


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="prep")
    commands = parser.add_subparsers(required=True)
    user = commands.add_parser(
        "user", help="agrega personas; pide la clave de cada una, o la lee de la entrada estándar"
    )
    user.add_argument("action", choices=("add",))
    user.add_argument("login", nargs="+", metavar="USUARIO")
    user.add_argument("--role", required=True, choices=list(Role), metavar="ROL", help=", ".join(Role))
    user.set_defaults(command=add_users)
    device = commands.add_parser("device", help="inscribe dispositivos y deja la llave privada de cada uno")
    device.add_argument("action", choices=("enroll",))
    device.add_argument("id", nargs="+", metavar="DISPOSITIVO")
    device.add_argument("--keys", type=Path, default=Path(), metavar="CARPETA", help="dónde dejar DISPOSITIVO.pem")
    device.set_defaults(command=enroll_devices)
    for each in (user, device):
        each.add_argument("--site", required=True, metavar="SITIO")
    arguments = parser.parse_args(words)
    try:
        asyncio.run(arguments.command(arguments, read_settings()))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        return 2
    return 0


async def add_users(arguments: argparse.Namespace, settings: Settings) -> None:
    passwords = [_password(login) for login in arguments.login]
    async with embedded.database(settings) as urls, connect(urls.owner) as connection:
        for login, password in zip(arguments.login, passwords, strict=True):
            await add_user(connection, login=login, password=password, role=Role(arguments.role), site=arguments.site)
            print(f"{login}: {arguments.role} en {arguments.site}")


def _password(login: str) -> str:
    """Never an argument: those are seen by everybody on the machine."""
    if sys.stdin.isatty():
        return getpass.getpass(f"clave de {login}: ")
    line = sys.stdin.readline()
    if not line:
        raise Rejected(f"falta la clave de {login} en la entrada estándar")
    return line.rstrip("\n")


async def enroll_devices(arguments: argparse.Namespace, settings: Settings) -> None:
    async with embedded.database(settings) as urls, connect(urls.owner) as connection:
        for device in arguments.id:
            path: Path = arguments.keys / f"{device}.pem"
            key = Ed25519PrivateKey.generate()
            public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            await enroll(connection, device=device, site=arguments.site, public_key=public, at=now())
            _write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            print(f"{device}: inscrito; su llave privada está en {path}")


def _write_secret(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


if __name__ == "__main__":
    sys.exit(main([sys.argv[0].split()[-1], *sys.argv[1:]]))
