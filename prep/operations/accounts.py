"""`prep device …` and `prep user …`: the commands that let devices and people in, and shut them out."""

import argparse
import asyncio
import base64
import getpass
import re
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from capture.auth import FRESH_SECONDS, add_user, change_password, check_public_key, confirm, enroll
from capture.enrolment import address_of, invite_by_owner
from capture.receipts import signing_key
from integrity.leaves import ranges_of
from integrity.sums import Malformed
from prep.arguments import Parser
from prep.errors import PrepError, Rejected, Unavailable
from prep.scan.labels import modules
from prep.settings import now, read_settings
from prep.store import embedded
from prep.store.database import GONE, Connection, migrate, open_pool, transaction
from prep.store.invitations import Invited
from prep.store.people import (
    DeviceHistory,
    Role,
    add_device_loss,
    device_history,
    revoke_device,
    rotate_device,
    set_active,
)


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0, or 2 with one sentence on stderr. A command adds all its devices or people, or none."""
    arguments = _accounts_parser().parse_args(argv)
    try:
        done = asyncio.run(_as_owner(arguments.command(arguments)))
        # A door remembers the keys of devices this long: when the command ends, no image passes with an old one.
        time.sleep(FRESH_SECONDS if getattr(arguments, "shuts", False) else 0)
        print(done)
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)


Work = Callable[[Connection], Awaitable[str]]
Add = Callable[..., Parser]
"""Adds a command with this name."""
Named = Callable[[Connection, str], Awaitable[None]]


def _accounts_parser() -> Parser:
    parser = Parser(prog="prep")
    kinds = parser.add_subparsers(required=True)
    for kind, text, add in (
        ("device", "Quién puede enviar imágenes.", _add_device_commands),
        ("user", "Quién puede capturar y supervisar.", _add_user_commands),
    ):
        add(
            kinds.add_parser(kind, help=text, description=text)
            .add_subparsers(required=True, metavar="ORDEN")
            .add_parser
        )
    return parser


def _add_device_commands(order: Add) -> None:
    device = order("enroll", help="inscribe dispositivos")
    device.add_argument("devices", nargs="+", metavar="DISPOSITIVO", help="identificador: letras, números, «-» y «_»")
    device.add_argument("--site", required=True, metavar="SITIO", help="clave del CATD en que están")
    key = device.add_mutually_exclusive_group(required=True)
    key.add_argument(
        "--key", metavar="LLAVE", help="la llave pública Ed25519 del dispositivo: PEM, o 32 bytes en base64"
    )
    key.add_argument("--keys", metavar="CARPETA", type=Path, help="crea ahí la llave privada de cada uno: NOMBRE.pem")
    device.set_defaults(command=_enroll_devices)
    invite = order("invite", help="un código con el que un teléfono se inscribe solo, una vez y pronto")
    invite.add_argument("device", metavar="DISPOSITIVO", help="el identificador que tendrá")
    invite.add_argument("--site", required=True, metavar="SITIO", help="clave del CATD en que está")
    invite.add_argument("--sections", default="", metavar="SECCIONES", help="sus casillas, por sección: como 5-9,12")
    invite.add_argument(
        "--municipios", default="", metavar="MUNICIPIOS", help="sus casillas, por municipio: como 5-9,12"
    )
    invite.add_argument(
        "--address", default="", metavar="DIRECCIÓN", help="la de la recepción, como https://…; con ella dice el enlace"
    )
    invite.set_defaults(command=_invite_device)
    rotate = order("rotate", help="cambia la llave de un dispositivo, con el mismo identificador")
    rotate.add_argument("device", metavar="DISPOSITIVO", help="el identificador con que está inscrito")
    new = rotate.add_mutually_exclusive_group(required=True)
    new.add_argument("--key", metavar="LLAVE", help="su nueva llave pública Ed25519: PEM, o 32 bytes en base64")
    new.add_argument("--keys", metavar="CARPETA", type=Path, help="crea ahí su nueva llave privada: NOMBRE.pem")
    rotate.set_defaults(command=_rotate_device, shuts=True)
    show = order("show", help="las llaves de un dispositivo y todo lo que envió")
    show.add_argument("device", metavar="DISPOSITIVO", help="su identificador")
    show.set_defaults(command=_show_device)
    lost = order("lost", help="declara que nunca llegarán unos números de envío; lo dicen dos personas")
    lost.add_argument("device", metavar="DISPOSITIVO", help="su identificador")
    lost.add_argument("--numbers", required=True, metavar="NÚMEROS", help="como 5-9,12")
    lost.add_argument("--reason", required=True, metavar="MOTIVO", help="se publica en la bitácora; no nombra personas")
    lost.add_argument("--by", required=True, metavar="USUARIO", help="quien lo declara; su clave se pide")
    lost.add_argument(
        "--with", dest="second", required=True, metavar="USUARIO", help="otra persona que lo confirma; su clave se pide"
    )
    lost.set_defaults(command=_declare_lost)
    _add_for_each(order, "revoke", _revoke_device, "DISPOSITIVO", "no admite más imágenes de un dispositivo")


def _add_user_commands(order: Add) -> None:
    user = order("add", help="agrega personas")
    user.add_argument("logins", nargs="+", metavar="USUARIO", help="nombre con el que cada persona entra")
    roles = [role.value for role in Role]
    user.add_argument("--role", required=True, choices=roles, metavar="ROL", help=", ".join(roles))
    user.add_argument("--site", required=True, metavar="SITIO", help="clave del CATD o CCV en que trabajan")
    user.set_defaults(command=_add_people)
    for name, does, text in (
        ("disable", _disable_user, "cierra las sesiones de una persona y no la deja entrar"),
        ("enable", _enable_user, "deja entrar otra vez a una persona"),
        ("password", _change_password, "cambia la clave de una persona"),
    ):
        _add_for_each(order, name, does, "USUARIO", text)


def _add_for_each(order: Add, name: str, does: Named, metavar: str, text: str) -> None:
    each = order(name, help=text)
    each.add_argument("names", nargs="+", metavar=metavar, help="a quién se aplica; pueden ser varios")
    each.set_defaults(command=_for_each_name, does=does, shuts=name == "revoke")


def _for_each_name(arguments: argparse.Namespace) -> Work:
    async def work(connection: Connection) -> str:
        for name in arguments.names:
            await arguments.does(connection, name)
        return f"hecho: {', '.join(arguments.names)}"

    return work


async def _revoke_device(connection: Connection, device: str) -> None:
    await revoke_device(connection, device, now())


DECLARE: Final = frozenset({Role.SUPERVISOR, Role.ADMINISTRADOR})
"""Who may say that numbers of a device are lost."""
MOST_LOST: Final = 5_000
"""Numbers in one declaration. The door allows no larger jump either."""


def _declare_lost(arguments: argparse.Namespace) -> Work:
    numbers = plain_numbers(arguments.numbers)
    reason = " ".join(arguments.reason.split())
    if not 1 <= len(reason) <= 200:
        raise Rejected("el motivo lleva de 1 a 200 caracteres")

    async def work(connection: Connection) -> str:
        if arguments.by == arguments.second:
            raise Rejected("quien confirma es otra persona")
        people = [
            await confirm(connection, login=login, password=asked_password(login), roles=DECLARE)
            for login in (arguments.by, arguments.second)
        ]
        history = await device_history(connection, arguments.device)
        here = {row["sequence"] for row in history.sent}
        came = [number for first, last in ranges_of(numbers) for number in range(first, last + 1) if number in here]
        if came:
            raise Rejected(f"de {arguments.device} sí llegó el número {came[0]}: no está perdido")
        pair = (people[0].id, people[1].id)
        await add_device_loss(connection, arguments.device, numbers=numbers, reason=reason, people=pair, at=now())
        return f"declarados perdidos: {arguments.device} {numbers}"

    return work


def plain_numbers(text: str) -> str:
    """The numbers as the log tells them: in order, joined. Raises Rejected."""
    try:
        # A space between two numbers joins nothing: 1 2 is not 12.
        ranges = sorted(ranges_of(re.sub(r" *([,-]) *", r"\1", text.strip())))
    except Malformed:
        raise Rejected("los números se escriben como 5-9,12") from None
    joined: list[tuple[int, int]] = []
    for first, last in ranges:
        if first > last:
            raise Rejected(f"{first}-{last} va de mayor a menor")
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    if sum(last - first + 1 for first, last in joined) > MOST_LOST:
        raise Rejected(f"son más de {MOST_LOST} números")
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in joined)


def _invite_device(arguments: argparse.Namespace) -> Work:
    invited = Invited(arguments.device, arguments.site, _listed(arguments.sections), _listed(arguments.municipios))

    async def work(connection: Connection) -> str:
        code, until = await invite_by_owner(connection, invited)
        minutes = round((until - now()).total_seconds() / 60)
        lines = [f"{code}  inscribe a {arguments.device} una sola vez, en los próximos {minutes} minutos"]
        if arguments.address:
            address = address_of(code, arguments.address)
            lines += ["", *_as_blocks(modules(address)), "", address]
        return "\n".join(lines)

    return work


def _listed(text: str) -> Sequence[int]:
    """The numbers of a text as 5-9,12. Raises Rejected."""
    if not text:
        return ()
    return [number for first, last in ranges_of(plain_numbers(text)) for number in range(first, last + 1)]


def _as_blocks(rows: Sequence[str]) -> list[str]:
    """A QR code for a terminal: two rows in a line, with its margin; light squares are drawn."""
    width = len(rows[0]) + 4
    framed = ["0" * width] * 2 + [f"00{row}00" for row in rows] + ["0" * width] * 3
    lines = zip(framed[::2], framed[1::2], strict=False)
    return [
        "".join({"00": "█", "01": "▀", "10": "▄", "11": " "}[a + b] for a, b in zip(*two, strict=True)) for two in lines
    ]


def _rotate_device(arguments: argparse.Namespace) -> Work:
    path = arguments.keys and arguments.keys / f"{arguments.device}.pem"
    if path and path.exists():
        raise Rejected(f"ya hay una llave en {path}: apártela, para que la nueva sea otra")

    async def work(connection: Connection) -> str:
        device = arguments.device
        public = _public_key(arguments.key) if arguments.key else _made_key(arguments.keys, device)
        check_public_key(public)
        await rotate_device(connection, device, public, now())
        return f"{device} firma con su nueva llave; la anterior ya no abre nada, y sus acuses siguen valiendo"

    return work


def _show_device(arguments: argparse.Namespace) -> Work:
    async def work(connection: Connection) -> str:
        device = arguments.device
        history = await device_history(connection, device)
        lines = [f"{device}, sitio {history.site}, inscrito {history.enrolled_at:%d/%m/%Y %H:%M:%S %Z}"]
        if history.revoked_at is not None:
            lines.append(f"  desde {history.revoked_at:%d/%m/%Y %H:%M:%S %Z} no se le admite nada")
        lines += [f"  llave {key}" for key in history.keys]
        lines += [f"  perdidos {each['numbers']}: {each['reason']}" for each in history.losses]
        lines.append(f"  {len(history.sent)} envíos")
        for row in history.sent:
            where = row["clave"] or row["state"]
            lines.append(f"  {row['sequence']:>6}  {row['received_at']:%H:%M:%S}  {row['image']}  {where}")
        return "\n".join([*lines, *_gaps_in_words(history)])

    return work


def _gaps_in_words(history: DeviceHistory) -> list[str]:
    lost = [pair for each in history.losses for pair in ranges_of(each["numbers"])]
    numbers = [row["sequence"] for row in history.sent]
    gaps = [(before + 1, after - 1) for before, after in pairwise(numbers) if after > before + 1]
    open_gaps = [gap for gap in gaps if not any(first <= gap[0] and gap[1] <= last for first, last in lost)]
    return [f"  faltan {first}-{last}" for first, last in open_gaps]


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
