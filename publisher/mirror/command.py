"""`prep difusor URL --into CARPETA`: one mirror in one folder, until it is stopped; with `--once`, one look."""

import argparse
import asyncio
import fcntl
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from integrity.authenticity import Trust, read_trust
from integrity.log.audit import combine
from integrity.log.note import LONGEST_NOTE, Policy, Unsupported, read_policy, read_verifier_key
from integrity.sealing.certificates import NotSealed
from integrity.sums import Malformed
from prep import observe
from prep.arguments import Parser
from prep.errors import PrepError, Rejected, reason_of
from publisher.mirror.mirror import Mirror, MirrorRequest
from publisher.mirror.origin import Origin, base_of

DESCRIPTION: Final = (
    "Sigue lo que se publica en URL, lo comprueba y lo deja en CARPETA/publico, que cualquier servidor web puede "
    "servir. Nunca muestra lo que no se comprueba: si el origen reescribe algo, retrocede o muestra otra bitácora, se "
    "queda con lo último que estaba bien y lo dice. Con --once termina con 0 al día, 1 si el origen diverge, 2 si no "
    "se pudo."
)
_PARTS: Final = ".partes"
_LONGEST_INTERVAL: Final = 86_400
_HIGHEST_PORT: Final = 65_535
LOG_EVERY: Final = 60.0
"""Seconds after which the log is followed even if no corte has come out."""


@asynccontextmanager
async def mirroring(
    url: str, folder: Path, asked: MirrorRequest, *, tell: Callable[[str], None], rng: random.Random
) -> AsyncIterator[Mirror]:
    """A mirror of `url` in `folder`. A lock keeps other mirrors out of the folder. Raises Rejected."""
    base_of(url)
    try:
        # `arboles` holds the two trees, `.partes` the interrupted downloads.
        for each in (folder / "arboles", folder / _PARTS):
            each.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".candado", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Rejected(f"no se puede escribir en {folder}: {reason_of(error)}") from None
    try:
        try:
            # The system gives the lock back when the process ends, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Rejected(f"otro difusor usa la carpeta {folder}") from None
        origin = Origin(url, folder / _PARTS, patience=asked.patience, heard=observe.DIFUSOR_BYTES.inc)
        try:
            yield Mirror(origin, folder, asked, tell=tell, rng=rng)
        finally:
            await origin.close()
    finally:
        os.close(lock)


async def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command."""
    asked = MirrorRequest(_read_policy(arguments), _read_trust(arguments), log_every=0 if arguments.once else LOG_EVERY)
    async with mirroring(
        arguments.url, arguments.into, asked, tell=_print_with_time, rng=random.SystemRandom()
    ) as mirror:
        if arguments.once:
            # Scripts need three answers: up to date, diverges, could not look.
            if await mirror.attempt():
                return 0
            return 1 if mirror.diverges else 2
        observe.DIFUSOR_LAG.set_function(lambda: time.monotonic() - mirror.current)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with AsyncExitStack() as serving:
            if arguments.port is not None:
                probes = observe.serving_probes(
                    arguments.host, arguments.port, health=lambda: mirror.wrong, ready=lambda: mirror.wrong
                )
                await serving.enter_async_context(probes)
            await mirror.run(arguments.interval, stop)
        return 0


def _read_policy(arguments: argparse.Namespace) -> Policy | None:
    try:
        key = read_verifier_key(arguments.log_key) if arguments.log_key else None
        policy = read_policy(_read_given_file(arguments.log_policy)) if arguments.log_policy else None
    except Malformed as problem:
        raise Rejected(f"la llave o la política: se esperaba {problem.expected}; se encontró {problem.found}") from None
    except Unsupported as problem:
        raise Rejected(problem.sentence) from None
    return combine(key, policy) if key or policy else None


def _read_trust(arguments: argparse.Namespace) -> Trust | None:
    if not arguments.ca:
        # Stamps prove the hour of a seal; without seals they say little.
        if arguments.tsa_ca:
            raise Rejected("--tsa-ca necesita también --ca")
        return None
    try:
        return read_trust(arguments.ca, arguments.tsa_ca)
    except NotSealed as problem:
        raise Rejected(problem.sentence) from None


def _read_given_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_NOTE + 1)
    except OSError:
        raise Rejected(f"no se pudo leer el archivo {path}") from None


def _print_with_time(sentence: str) -> None:
    # A mirror knows no night: its lines tell the hour of its own machine, with its offset.
    print(f"{datetime.now(UTC).astimezone():%d/%m/%Y %H:%M:%S %z} {sentence}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0; with --once, 1 if the origin diverges; 2, with one sentence, if it cannot be done."""
    parser = Parser(prog="prep difusor", description=DESCRIPTION)
    parser.add_argument("url", metavar="URL", help="el sitio del PREP que se copia")
    parser.add_argument("--into", type=Path, required=True, metavar="CARPETA", help="dónde; se crea si no está")
    parser.add_argument("--interval", type=float, default=15, metavar="S", help="segundos entre miradas (15)")
    parser.add_argument("--once", action="store_true", help="una sola vez, y termina")
    parser.add_argument("--log-key", metavar="LLAVE", help="de la bitácora, obtenida por otro camino")
    parser.add_argument("--log-policy", type=Path, metavar="ARCHIVO", help="la política, con sus testigos")
    parser.add_argument("--ca", type=Path, metavar="PEM", help="autoridades en las que se confía para los sellos")
    parser.add_argument("--tsa-ca", type=Path, metavar="PEM", help="y para los sellos de tiempo")
    parser.add_argument("--port", type=int, metavar="N", help="/metrics, /livez, /readyz y /healthz en ese puerto")
    parser.add_argument("--host", default="127.0.0.1", metavar="DIRECCIÓN", help="en la que están (127.0.0.1)")
    arguments = parser.parse_args(argv)
    if not 1 <= arguments.interval <= _LONGEST_INTERVAL:
        parser.error(f"--interval va de 1 a {_LONGEST_INTERVAL} segundos")
    if not 0 <= (arguments.port or 0) <= _HIGHEST_PORT:
        parser.error(f"--port va de 0 a {_HIGHEST_PORT}")
    os.umask(0o022)  # mirrored files must be readable by every user of the machine
    try:
        sys.exit(asyncio.run(run(arguments)))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)
