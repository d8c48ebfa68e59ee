"""A whole night under faults, and an oracle that says whether anything was lost or counted twice.

`python -m load_tests.chaos [--casillas N] [--faults N] [--seed S] [--bus kafka|embedded] [--json FILE]` plays a
synthetic night on `prep serve`, three nodes of Kafka, the embedded PostgreSQL and a local blob store. Devices send out
of order, twice and thrice, also at once; people submit the same answer again; meanwhile processes die, the network is
cut, the disk fills, the clock jumps. The seed alone decides all of it: what is sent in which order, and which fault
comes when which upload has been acknowledged.

As root it runs in namespaces of its own (network, mounts, processes), so that it cuts and fills nothing but its own.
Exit status 0 where everything holds, 1 where anything does not, 2 where the night could not be played.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path
from typing import Any, Final

import aiohttp
import uvloop
from rich.console import Console
from rich.table import Table

from load_tests.bench.bench import commit, machine
from load_tests.chaos.faults import MIB, NODES, Fault, FaultKind, Hands, means, schedule
from load_tests.chaos.oracle import OracleFinding, Witnessed, judge, look
from prep.arguments import Parser
from prep.errors import PrepError
from prep.files.catalog_files import load_catalog
from prep.rehearsal import night
from prep.rehearsal.night import DEVICES, SENDERS, NightPlace, Plan, Progresses, order
from prep.rehearsal.replay import Sheet
from prep.rehearsal.synthetic import synthetic

MISTAKES: Final = 0.05
LOOK: Final = 0.1
"""Seconds between looks at what goes on."""
RECOVERY: Final = 60.0
"""Seconds after which something that has not come back does not come back."""
STALLED: Final = 180.0
"""Seconds without anything done after which the night is over."""
OF_ITS_OWN: Final = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
LOOPBACK: Final = 'ip link set lo up && "$@"; exit $?'
"""What the first process of those namespaces does; it also reaps whoever is left without a parent."""
DIE: Final = frozenset(
    {
        FaultKind.WORKER,
        FaultKind.PUBLISHER,
        FaultKind.CAPTURE,
        FaultKind.SEQUENCER,
        FaultKind.TWO_SEQUENCERS,
        FaultKind.NODE,
        FaultKind.POSTGRES,
        FaultKind.BACKEND,
    }
)
"""What is to come back by itself: its recovery counts from its death, that of other faults from their healing."""


# What is sent, in which order.


@dataclass(frozen=True, slots=True)
class Sending:
    """One sending of one sheet's image, so many times at once."""

    sheet: Sheet
    together: int


def script(sheets: Sequence[Sheet], seed: int, faults: int) -> tuple[list[Sheet], list[Sending]]:
    """The sheets kept back, one for each fault, to see whether work goes on after it; and every other sending."""
    chance = random.Random(f"uploads {seed}")
    kept = chance.sample([sheet for sheet in sheets if sheet.values is not None], faults)
    keys = {sheet.key for sheet in kept}
    uploads = [
        Sending(sheet, chance.choices((1, 2, 3), (85, 10, 5))[0])
        for sheet in sheets
        if sheet.sin_acta is None and sheet.key not in keys
        for _ in range(chance.choices((1, 2, 3), (75, 17, 8))[0])
    ]
    chance.shuffle(uploads)
    return kept, uploads


# The night.


@dataclass(slots=True)
class Bout:
    """One fault as it was brought, and the seconds until work went on: None where it did not."""

    fault: Fault
    form: str
    acknowledged: int
    arrivals: float | None = None
    captures: float | None = None
    cortes: float | None = None

    @property
    def recovered(self) -> bool:
        return None not in (self.arrivals, self.captures, self.cortes)


class ChaosNight:
    """One night, the faults that come to it, and what is seen of it from outside."""

    def __init__(self, plan: Plan, place: NightPlace, hands: Hands, faults: Sequence[Fault]) -> None:
        self._plan = plan
        self._place = place
        self._hands = hands
        self._faults = faults
        self._begun = [asyncio.Event() for _ in faults]
        self._kept, self._uploads = script(plan.sheets, plan.seed, len(faults))
        self._numbers = night.numbered(plan.sheets)
        self._keys = {kind: night.private_key(place.data / f"{device}.pem") for kind, device in DEVICES.items()}
        self._forms = night.form_of_contest(plan)
        self._drawn = place.data / "imagenes"
        self._drawn.mkdir(exist_ok=True)
        self._twice = random.Random(f"answers {plan.seed}")
        self._progress = Progresses()
        self._acknowledged = 0
        self.seen = Witnessed()
        self.bouts: list[Bout] = []

    async def play(self) -> list[str]:
        """To its end, or until nothing moves any more; what stopped it, in sentences."""
        stopped: list[str] = []
        async with night.installation(self._hands.parts):
            with ProcessPoolExecutor(1, initializer=night.die_with_parent) as self._artist:
                try:
                    async with night.speaker(self._place, 2 * SENDERS) as self._client:
                        self.seen.key = (await night.persistent(self._client, "GET", "/v1/receipts/key")).body
                        await self._work()
                        await self._ask_again()
                except* PrepError as group:
                    stopped = [str(error) for error in _leaves(group)]
        return stopped

    async def _work(self) -> None:
        plan, place, progress = self._plan, self._place, self._progress
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(self._watch_tree()), group.create_task(self._watch_over())]
            async with asyncio.TaskGroup() as people:
                people.create_task(self._send_all())
                people.create_task(self._bring_faults())
                people.create_task(night.register_sin_acta(plan, place))
                people.create_task(night.type_all(plan, place, progress, self._insist))
                people.create_task(night.watch(plan, place, progress))
            for each in watching:
                each.cancel()

    # Devices.

    async def _send_all(self) -> None:
        coming = enumerate(self._uploads)

        async def sender() -> None:
            for position, upload in coming:
                image = await self._image(upload.sheet)
                for fault, begun in zip(self._faults, self._begun, strict=True):
                    if position >= fault.after + SENDERS:  # the others are on their way when it comes
                        await begun.wait()
                await asyncio.gather(*(self._send(upload.sheet, image) for _ in range(upload.together)))
                self._acknowledged += 1

        await asyncio.gather(*(sender() for _ in range(SENDERS)))

    async def _image(self, sheet: Sheet) -> bytes:
        """The image, drawn when it is first sent; the device keeps it."""
        kept = self._drawn / sheet.key.replace(" ", "-")
        if not kept.exists():
            loop = asyncio.get_running_loop()
            drawn = await loop.run_in_executor(
                self._artist, night.picture, self._plan.seed, self._forms[sheet.key], sheet
            )
            kept.write_bytes(drawn)
        return kept.read_bytes()

    async def _send(self, sheet: Sheet, image: bytes) -> None:
        """Until there is an answer; the first receipt is what every other answer must be."""
        digest = hashlib.sha256(image).hexdigest()
        self.seen.digests[sheet.key] = digest
        self._progress.images[digest] = sheet
        device, key = night.DEVICES[sheet.kind], self._keys[sheet.kind]
        headers = night.announced(sheet, image, device=device, number=self._numbers[sheet.key], key=key)
        answer = await night.persistent(self._client, "POST", "/v1/images", data=image, headers=headers)
        first = self.seen.receipts.setdefault(sheet.key, answer.body)
        if first is answer.body:
            return
        self.seen.again += 1
        if first != answer.body:
            self.seen.unequal.append(f"imagen {sheet.key}")

    # People.

    async def _insist(self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Some answers are submitted again as soon as they are taken: the second time nothing happens."""
        first = await send(request)
        answers = request.url.path.endswith(("/entry", "/identity", "/resolution"))
        if not first.ok or not answers or self._twice.random() > 0.3:
            return first
        said = await _kept(first)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            again = await send(request)
            if again.ok:
                self.seen.again += 1
                if await _kept(again) != said:
                    self.seen.unequal.append(f"respuesta {request.url.path}")
        return first

    # Faults.

    async def _bring_faults(self) -> None:
        for fault, begun, kept in zip(self._faults, self._begun, self._kept, strict=True):
            await self._until(lambda fault=fault: self._acknowledged >= fault.after)  # type: ignore[misc]
            bout = Bout(fault, self._hands.form(fault.kind), self._acknowledged)
            self.bouts.append(bout)
            begun.set()
            await asyncio.sleep(fault.moment)
            await self._hands.bring(fault)
            if fault.kind in DIE:
                await asyncio.gather(self._recover(bout, kept), self._heal(fault))
            else:
                await self._heal(fault)
                await self._recover(bout, kept)

    async def _heal(self, fault: Fault) -> None:
        """When its time is over, or the night's: what is cut off could not even be stopped."""
        try:
            await asyncio.sleep(fault.lasts)
        finally:
            await self._hands.heal(fault)

    async def _recover(self, bout: Bout, kept: Sheet) -> None:
        """How long until a new image is taken in, somebody has typed it, and a corte comes out."""
        loop, image = asyncio.get_running_loop(), await self._image(kept)
        self.look_at_tree()
        began, cortes = loop.time(), len(self.seen.shown)

        async def taken(what: Awaitable[None]) -> float | None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(what, RECOVERY)
                return round(loop.time() - began, 2)
            return None

        bout.arrivals, bout.captures, bout.cortes = await asyncio.gather(
            taken(self._send(kept, image)),
            taken(self._until(lambda: any(key == kept.key for _, key in self._progress.again))),
            taken(self._until(lambda: len(self.seen.shown) > cortes)),
        )

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():  # noqa: ASYNC110  # many small facts, each polled by one
            await asyncio.sleep(LOOK)

    # From outside.

    async def _watch_tree(self) -> None:
        """Remember each corte as it was when it appeared, and what index.json said."""
        while True:
            self.look_at_tree()
            await asyncio.sleep(LOOK)

    def look_at_tree(self) -> None:
        """Cortes first: what index.json names must be there."""
        named = None
        with contextlib.suppress(OSError, json.JSONDecodeError):
            named = json.loads((self._place.public / "index.json").read_text())["corte"]
        for folder in self._place.public.glob("cortes/[0-9]*"):
            if folder.name not in self.seen.cortes:
                self.seen.cortes[folder.name] = look(folder)
        if named is not None and self.seen.shown[-1:] != [named]:
            self.seen.shown.append(named)

    async def _watch_over(self) -> None:
        """Raises PrepError where nothing is done any more."""
        loop, progress = asyncio.get_running_loop(), self._progress
        done, since = None, loop.time()
        while loop.time() - since < STALLED:
            now = (self._acknowledged, progress.captures, progress.published, len(self.bouts))
            if now != done:
                done, since = now, loop.time()
            await asyncio.sleep(1)
        raise PrepError(
            f"nada avanza desde hace {STALLED:.0f} s: {self._acknowledged} envíos, {progress.captures} capturas, "
            f"{progress.published} de {self._plan.expected} actas publicadas"
        )

    async def _ask_again(self) -> None:
        """When all is over every device sends every image once more; and what waits for a person is listed."""
        coming = iter([sheet for sheet in self._plan.sheets if sheet.key in self.seen.receipts])

        async def sender() -> None:
            for sheet in coming:
                await self._send(sheet, await self._image(sheet))

        await asyncio.gather(*(sender() for _ in range(SENDERS)))
        listed = await asyncio.to_thread(order, self._place, "parked", "--json")
        self.seen.parked += [json.loads(line) for line in listed.splitlines() if line.startswith("{")]


async def _kept(answer: aiohttp.ClientResponse) -> object:
    """What an answer says of what was kept. The next step comes with the first one only."""
    said = json.loads(await answer.read())
    said.pop("siguiente", None)
    return said


def _leaves(group: BaseExceptionGroup[PrepError]) -> Iterator[PrepError]:
    for error in group.exceptions:
        yield from _leaves(error) if isinstance(error, BaseExceptionGroup) else (error,)


# One run.


def run(arguments: argparse.Namespace) -> tuple[list[Bout], list[OracleFinding]]:
    """Prepare, play, judge. Raises PrepError where the night cannot be played."""
    folder, sheets = synthetic(arguments.casillas, seed=arguments.seed)
    plan = Plan("caos", folder, load_catalog(folder), sheets, len(sheets), arguments.seed, MISTAKES, 0.0)
    data = (arguments.data or Path("var") / "noches" / f"caos-{arguments.seed}").absolute()
    shutil.rmtree(data, ignore_errors=True)
    place = night.place_in(data, data / "publico", settings(arguments))
    kafka = arguments.bus == "kafka"
    try:
        if kafka:
            place = replace(place, environment={**place.environment, **start_kafka(place)})
        place = night.prepare(plan, data, place.public, place.environment)
        faults = schedule(
            arguments.seed, arguments.faults, len(script(sheets, arguments.seed, arguments.faults)[1]), kafka=kafka
        )
        hands = Hands(place, means(namespaces=arguments.inside), room=(64 + 2 * len(sheets)) * MIB)
        return play(plan, place, hands, faults)
    finally:
        if kafka:
            with contextlib.suppress(PrepError):
                order(place, "kafka-dev", "down")


def settings(arguments: argparse.Namespace) -> dict[str, str]:
    """Everything on this machine, whatever engine its environment names."""
    return {
        "PREP_BUS": "embedded",
        "PREP_DATABASE": "",
        "PREP_BLOBS": "",
        "PREP_INTERVAL_SECONDS": str(arguments.interval),
        "PREP_SIGLAS": "EDO",
    }


def start_kafka(place: NightPlace) -> dict[str, str]:
    """Three nodes on the loopback; the settings that lead there."""
    said = order(place, "kafka-dev", "up", "--nodes", str(NODES))
    [line] = [line for line in said.splitlines() if line.startswith("export ")]
    return dict(word.split("=", 1) for word in line.split()[1:])


def play(
    plan: Plan, place: NightPlace, hands: Hands, faults: Sequence[Fault]
) -> tuple[list[Bout], list[OracleFinding]]:
    """The night, its last corte, and the verdict."""

    async def whole() -> tuple[ChaosNight, list[str]]:
        played = ChaosNight(plan, place, hands, faults)
        return played, await played.play()

    played, stopped = uvloop.run(whole())
    try:
        order(place, "publish", "--final")
        order(place, "sequencer", "--once")
    except PrepError as error:
        stopped.append(error.sentence)
    played.look_at_tree()
    late = [f"{bout.fault.kind}: no se recuperó en {RECOVERY:.0f} s" for bout in played.bouts if not bout.recovered]
    findings = [
        OracleFinding("la noche llegó a su fin", 1, stopped),
        OracleFinding("después de cada falla todo siguió", len(played.bouts), late),
    ]
    try:
        findings += judge(plan.catalog, plan.sheets, place.public, played.seen)
        findings.append(compared(place))
    except (OSError, KeyError, ValueError) as error:
        findings.append(OracleFinding("lo publicado se puede leer", 1, [repr(error)]))
    return played.bouts, findings


def compared(place: NightPlace) -> OracleFinding:
    """Whether the database says what the log says, leaf by leaf."""
    said, wrong = "", []
    try:
        said = order(place, "verify-database")
    except PrepError as error:
        wrong.append(error.sentence)
    wrong += [line.strip() for line in said.splitlines() if "todavía no tienen hoja" in line]
    leaves = next((int(word) for word in said.split() if word.isdigit()), 0)
    return OracleFinding("la base de datos dice lo mismo que la bitácora", leaves, wrong)


# The score card.


def card(bouts: Sequence[Bout], findings: Iterable[OracleFinding], *, title: str) -> Iterator[Table]:
    """Two tables: the faults, then the oracle."""
    faults = Table("falla", "forma", "veces", "imagen", "captura", "corte", title=title, caption=CAPTION)
    for kind in FaultKind:
        of = [bout for bout in bouts if bout.fault.kind is kind]
        if of:
            longest = [_longest(each) for each in zip(*((b.arrivals, b.captures, b.cortes) for b in of), strict=True)]
            faults.add_row(kind.value, of[0].form, str(len(of)), *longest)
    yield faults
    oracle = Table("lo que debe ser cierto", "vistos", "", "qué no lo es")
    for finding in findings:
        verdict = "[green]OK[/]" if finding.holds else "[red]FALLA[/]"
        oracle.add_row(finding.what, str(finding.looked_at), verdict, finding.told())
    yield oracle


CAPTION: Final = "segundos, en el peor caso, hasta que una imagen nueva se recibe, alguien la teclea y sale otro corte"


def _longest(seconds: Sequence[float | None]) -> str:
    return "nunca" if None in seconds else f"{max(each for each in seconds if each is not None):.1f}"


def as_json(arguments: argparse.Namespace, bouts: Iterable[Bout], findings: Sequence[OracleFinding]) -> str:
    """Everything about a run, for another program."""
    content: Mapping[str, Any] = {
        "seed": arguments.seed,
        "casillas": arguments.casillas,
        "bus": arguments.bus,
        "interval": arguments.interval,
        "machine": machine(),
        "commit": commit(),
        "faults": [asdict(bout) | {"fault": bout.fault.as_json()} for bout in bouts],
        "oracle": [asdict(finding) | {"holds": finding.holds} for finding in findings],
        "holds": all(finding.holds for finding in findings),
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def enter(words: Sequence[str]) -> None:
    """Go on in namespaces of our own, where that is allowed: this call does not return then."""
    if os.geteuid() != 0 or shutil.which(OF_ITS_OWN[0]) is None:
        return
    inside = [*OF_ITS_OWN, "sh", "-c", LOOPBACK, "caos"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode == 0:
        os.execvp(inside[0], [*inside, sys.executable, "-m", "load_tests.chaos", *words, "--inside"])  # noqa: S606


def main(words: Sequence[str]) -> int:
    parser = Parser(prog="python -m load_tests.chaos", description="Una noche con fallas.")
    parser.add_argument("--casillas", type=int, default=60, metavar="N", help="dos actas por casilla")
    parser.add_argument("--faults", type=int, default=8, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--bus", choices=("kafka", "embedded"), default="kafka")
    parser.add_argument("--interval", type=float, default=3, metavar="SEGUNDOS", help="entre cortes")
    parser.add_argument("--data", type=Path, metavar="CARPETA", help="donde la noche guarda lo suyo; se vacía antes")
    parser.add_argument("--json", type=Path, metavar="ARCHIVO")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if not 1 <= arguments.faults <= arguments.casillas:
        parser.error(f"--faults va de 1 al número de casillas, {arguments.casillas}: no {arguments.faults}")
    if not 0 < arguments.interval < inf:
        parser.error("--interval es un número de segundos mayor que cero")
    try:
        if not arguments.inside:
            if arguments.bus == "kafka":  # from here: inside there is no network to fetch it through
                order(NightPlace(Path(), Path(), 0, os.environ), "kafka-dev", "fetch")
            enter(words)
        bouts, findings = run(arguments)
    except (PrepError, OSError, subprocess.SubprocessError) as error:
        Console(stderr=True).print(f"prep: {error}", style="red")
        return 2
    out = Console()
    for table in card(bouts, findings, title=f"{arguments.casillas} casillas, semilla {arguments.seed}"):
        out.print(table)
    if arguments.json:
        arguments.json.write_text(as_json(arguments, bouts, findings), encoding="utf-8")
    return 0 if all(finding.holds for finding in findings) else 1
