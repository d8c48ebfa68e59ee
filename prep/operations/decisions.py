"""`prep decide` and `prep list`: what two people decide at a machine, and the lists of the night."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import tzinfo
from random import SystemRandom

from capture.auth import allow, confirm
from capture.decisions import CONFIRMS, PROPOSES
from prep import decisions
from prep.arguments import Parser
from prep.decisions import LONGEST_WORDS
from prep.domain.decision import UNDO_REASONS, DecisionMove
from prep.errors import PrepError, Rejected
from prep.operations.accounts import asked_password
from prep.pipeline import Given
from prep.settings import Part, now, read_settings
from prep.store import decisions as store
from prep.store import embedded, lists
from prep.store import night as night_store
from prep.store.database import Connection, open_pool, transaction
from prep.store.decisions import Decision, Speaker
from prep.store.lists import Listing
from prep.store.people import Role

Work = Callable[[Connection], Awaitable[str]]


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0, or 2 with one sentence on stderr."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = (_list_parser() if words[0] == "list" else _decide_parser()).parse_args(words[1:])
    try:
        part = Part.AUDIT if words[0] == "list" else Part.CAPTURE
        if said := asyncio.run(in_transaction(arguments.command(arguments), part)):
            print(said)
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)


async def in_transaction(work: Work, part: Part) -> str:
    """What a command does in the database with the role of that part, in one transaction; returns what it says."""
    async with (
        embedded.database(read_settings()) as urls,
        await open_pool(urls.of(part), connections=1, wait=False) as pool,
        transaction(pool) as connection,
    ):
        return await work(connection)


async def speaker(connection: Connection, login: str, roles: frozenset[Role]) -> Speaker:
    """The person who has this login, whose password is asked for. Raises Rejected (401; 403 if the role may not)."""
    person = await confirm(connection, login=login, password=asked_password(login), roles=roles)
    return Speaker(person.id, person.site, now())


def words_beside(text: str) -> str:
    """The free text of a decision, as the API takes it. Raises Rejected if it is too long or has control characters."""
    if len(text) > LONGEST_WORDS or (text and not text.isprintable()):
        raise Rejected(f"el texto lleva hasta {LONGEST_WORDS} caracteres, sin saltos de línea")
    return text


def _decide_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="prep decide", description="Lo que deciden dos personas: confirma, rechaza o pide deshacer.")
    commands = parser.add_subparsers(metavar="ORDEN", required=True)
    for name, move, text in (
        ("confirm", DecisionMove.CONFIRMA, "confirma lo que otra persona propuso"),
        ("reject", DecisionMove.RECHAZA, "rechaza lo que otra persona propuso, o retira lo propio"),
    ):
        each = commands.add_parser(name, help=text)
        each.add_argument("number", type=int, metavar="NÚMERO", help="el de la decisión")
        each.set_defaults(command=_answer, move=move)
        _add_who(each)
    undo = commands.add_parser("undo", help="pide deshacer una decisión; otra persona lo confirma")
    undo.add_argument("number", type=int, metavar="NÚMERO", help="el de la decisión")
    undo.add_argument("--reason", required=True, choices=UNDO_REASONS, metavar="MOTIVO", help=", ".join(UNDO_REASONS))
    undo.set_defaults(command=_propose_undo)
    _add_who(undo)
    return parser


def _add_who(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", default="", metavar="TEXTO", help="lo que se explica además; se publica")
    parser.add_argument("--by", required=True, metavar="USUARIO", help="quién lo dice; su clave se pide")


def _answer(arguments: argparse.Namespace) -> Work:
    async def work(connection: Connection) -> str:
        found = await store.decision(connection, arguments.number)
        person = await confirm(
            connection, login=arguments.by, password=asked_password(arguments.by), roles=frozenset(Role)
        )
        own = found.waits is not None and found.waits[1] == person.id
        if not own or arguments.move is DecisionMove.CONFIRMA:
            allow(person, CONFIRMS[found.kind])
        stands = await night_store.standing(connection)

        def zone() -> tzinfo:
            if stands is None:
                raise night_store.undeclared()
            return stands.night.tz

        by, given = Speaker(person.id, person.site, now()), Given(now, SystemRandom().random, zone)
        text = words_beside(arguments.text)
        answered, _ = await decisions.answer(connection, found.id, arguments.move, words=text, by=by, given=given)
        return told(answered)

    return work


def _propose_undo(arguments: argparse.Namespace) -> Work:
    async def work(connection: Connection) -> str:
        found = await store.decision(connection, arguments.number)
        by = await speaker(connection, arguments.by, PROPOSES[found.kind])
        text = words_beside(arguments.text)
        asked, _ = await decisions.propose_undo(connection, found.id, reason=arguments.reason, words=text, by=by)
        return told(asked)

    return work


def told(decision: Decision) -> str:
    """What a person reads of a decision, and what it waits for."""
    waits = f"; otra persona: prep decide confirm {decision.id}" if decision.waits else ""
    return f"decisión {decision.id} ({decision.kind}): {decision.state}{waits}"


def _list_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="prep list", description="Las listas de la noche: quiénes, qué falta y qué espera desde cuándo."
    )
    parser.add_argument("what", choices=[each.value for each in Listing], metavar="LISTA", help=", ".join(Listing))
    parser.add_argument("--json", action="store_true", help="un objeto JSON por línea")
    parser.set_defaults(command=_list)
    return parser


def _list(arguments: argparse.Namespace) -> Work:
    what = Listing(arguments.what)

    async def work(connection: Connection) -> str:
        after: int | None = 0
        headed = False
        # A part at a time, printed as it comes: a list may have half a million rows.
        while after is not None:
            rows, after = await lists.rows(connection, what, after=after)
            if arguments.json:
                lines = [json.dumps(row, ensure_ascii=False) for row in rows]
            else:
                lines = [] if headed or not rows else ["\t".join(name.upper() for name in rows[0])]
                lines += ["\t".join(_shown(value) for value in row.values()) for row in rows]
                headed = headed or bool(rows)
            if lines:
                print("\n".join(lines))
        return "" if headed or arguments.json else "no hay nada en esta lista"

    return work


def _shown(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "sí" if value else "no"
        case _:
            return " ".join(str(value).split())
