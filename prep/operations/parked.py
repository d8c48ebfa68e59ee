"""`prep parked`: the messages that wait for a person. The person sends them again, or dismisses them with a reason."""

import argparse
import asyncio
import json
import os
import pwd
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, tzinfo
from typing import Final

from capture.decisions import PROPOSES
from prep import decisions
from prep.arguments import Parser
from prep.decisions import Said
from prep.domain.decision import REASONS, DecisionKind
from prep.domain.hours import CENTRAL
from prep.errors import PrepError
from prep.messages import Message
from prep.operations.decisions import Work, in_transaction, speaker, told, words_beside
from prep.settings import Part, now
from prep.store import deliveries
from prep.store import night as night_store
from prep.store.database import Connection
from prep.store.deliveries import ParkedMessage, ParkedState

STATES: Final = {
    ParkedState.PARKED: "apartado",
    ParkedState.RETRIED: "reintentado",
    ParkedState.DISMISSED: "descartado",
}
DIGITS: Final = 12
"""A person sees this many digits of a digest."""


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0, or 2 with one sentence on stderr. A command settles all its messages, or none."""
    arguments = _parked_parser().parse_args(argv)
    try:
        if said := asyncio.run(in_transaction(arguments.command(arguments), arguments.part)):
            print(said)
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)


def _parked_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="prep parked", description="Los mensajes apartados, que esperan a alguien.")
    parser.add_argument("--json", action="store_true", help="un objeto JSON por línea")
    parser.add_argument("--all", action="store_true", help="también los ya reintentados o descartados")
    parser.set_defaults(part=Part.WORKER, command=_list_parked)
    commands = parser.add_subparsers(metavar="ORDEN")
    retry = commands.add_parser("retry", help="los manda otra vez, con todos sus intentos")
    which = retry.add_mutually_exclusive_group(required=True)
    which.add_argument("ids", nargs="*", type=int, default=[], metavar="NÚMERO", help="los que se mandan otra vez")
    which.add_argument("--all", action="store_true", dest="every", help="todos los que esperan")
    retry.set_defaults(command=_retry_parked, part=Part.WORKER)
    retry.add_argument("--by", default=_process_user(), metavar="QUIÉN", help="quién lo decide (aquí: %(default)s)")
    dismiss = commands.add_parser("dismiss", help="propone que no se atiendan; otra persona lo confirma")
    dismiss.add_argument("ids", nargs="+", type=int, metavar="NÚMERO", help="los que se descartan")
    reasons = REASONS[DecisionKind.MENSAJE_DESCARTADO]
    dismiss.add_argument("--reason", required=True, choices=reasons, metavar="MOTIVO", help=", ".join(reasons))
    dismiss.add_argument("--text", default="", metavar="TEXTO", help="lo que se explica además; se publica")
    dismiss.add_argument("--by", required=True, metavar="USUARIO", help="quién lo propone; su clave se pide")
    dismiss.set_defaults(command=_dismiss_parked, part=Part.CAPTURE)
    return parser


def _process_user() -> str:
    """The name of the account that runs this process. It comes from the system: an environment variable could lie."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _list_parked(arguments: argparse.Namespace) -> Work:
    async def work(connection: Connection) -> str:
        found = await deliveries.list_parked(connection, settled=arguments.all)
        if arguments.json:
            return "\n".join(json.dumps(_parked_json(each), ensure_ascii=False) for each in found)
        if not found:
            return "no hay mensajes apartados"
        night = await night_store.standing(connection)
        return _parked_table(found, night.night.tz if night else CENTRAL, states=arguments.all)

    return work


def _retry_parked(arguments: argparse.Namespace) -> Work:
    async def work(connection: Connection) -> str:
        waiting = await deliveries.list_parked(connection)
        # A number given twice counts once.
        ids = [each.id for each in waiting] if arguments.every else list(dict.fromkeys(arguments.ids))
        for parked in ids:
            await decisions.send_again(connection, parked, by=arguments.by, at=now())
        return f"se mandaron otra vez: {', '.join(map(str, ids))}" if ids else "no hay mensajes apartados"

    return work


def _dismiss_parked(arguments: argparse.Namespace) -> Work:
    async def work(connection: Connection) -> str:
        kind = DecisionKind.MENSAJE_DESCARTADO
        by = await speaker(connection, arguments.by, PROPOSES[kind])
        words, said = words_beside(arguments.text), []
        for parked in dict.fromkeys(arguments.ids):
            found, _ = await decisions.propose(connection, Said(kind, arguments.reason, words, parked=parked), by)
            said.append(told(found))
        return "\n".join(said)

    return work


def _parked_json(parked: ParkedMessage) -> dict[str, object]:
    return {
        "numero": parked.id,
        "que": describe(parked.message),
        "mensaje": parked.message.id,
        "tema": parked.message.topic,
        "grupo": parked.group,
        "desde": parked.at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "intentos": parked.attempts,
        "error": parked.error,
        "estado": STATES[parked.state],
        "razon": parked.reason,
    }


def _parked_table(found: Iterable[ParkedMessage], zone: tzinfo, *, states: bool) -> str:
    """A table with aligned columns; `zone` is that of the night. The sentence of the error may be long: it is last."""
    rows = [("N.º", "QUÉ", "TEMA", "DESDE", "INTENTOS", *(("ESTADO",) if states else ()), "ERROR")]
    for each in found:
        state = STATES[each.state] + (f": {each.reason}" if each.reason else "")
        since = each.at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
        head = (str(each.id), describe(each.message), each.message.topic.value, since, str(each.attempts))
        rows.append((*head, *((state,) if states else ()), " ".join(each.error.split())))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def describe(message: Message) -> str:
    """The subject of a message, for the person who decides. It comes from the `id`: the body may be unreadable."""
    match message.id.split(":"):
        case ["image", device, sequence, sha256]:
            return f"imagen {sha256[:DIGITS]}… de {device} n.º {sequence}"
        case ["entry", acta, ronda, "4"]:
            return f"resolución del acta {acta}, ronda {ronda}"
        case ["entry", acta, ronda, ordinal]:
            return f"captura {ordinal} del acta {acta}, ronda {ronda}"
        case ["named", sha256, ordinal]:
            return f"identificación {ordinal} de la imagen {sha256[:DIGITS]}…"
        case _:
            return message.id
