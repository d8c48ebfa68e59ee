"""A whole night under faults, and an oracle that finds lost votes and votes counted twice.

`python -m load_tests.chaos [--casillas N] [--faults N] [--seed S] [--bus kafka|embedded] [--json FILE]` plays a
synthetic night on `prep serve`, three nodes of Kafka, the embedded PostgreSQL and a local blob store. Devices send
images in random order, two or three times, also at the same moment. People submit the same answer again. Meanwhile
processes die, the network is cut, the disk fills, the clock jumps. The seed alone decides the order of the uploads, and
the fault that comes after each number of acknowledged uploads.

As root, the night runs in namespaces of its own (network, mounts, processes): its cuts and full disks do not touch the
rest of the machine. Exit status 0 if all checks hold, 1 if one does not, 2 if the night could not be played.
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
from prep.processes import die_with_parent
from prep.rehearsal.devices import SENDERS, announced, form_of_contest, numbered, picture, private_key
from prep.rehearsal.installation import (
    DEVICES,
    NightPlace,
    installation,
    order,
    persistent,
    place_in,
    prepare,
    rehearsal_night,
    speaker,
)
from prep.rehearsal.night import watch
from prep.rehearsal.plan import Plan, Progresses
from prep.rehearsal.replay import Sheet
from prep.rehearsal.synthetic import synthetic
from prep.rehearsal.typists import register_sin_acta, type_all

MISTAKES: Final = 0.05
LOOK: Final = 0.1
"""Seconds between two looks at the state of the night."""
RECOVERY: Final = 600.0
"""A part that has not recovered after this many seconds counts as lost."""
STALLED: Final = 600.0
"""After this many seconds without any progress the night ends."""
OF_ITS_OWN: Final = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
LOOPBACK: Final = 'ip link set lo up && "$@"; exit $?'
"""The command of the first process in these namespaces. It stays, because it must also reap orphaned processes."""
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
"""Faults from which a part must recover by itself. Their recovery time begins with the fault; that of others, with its
end."""


# The uploads and their order.


@dataclass(frozen=True, slots=True)
class Sending:
    """One upload of one sheet's image, repeated `together` times at the same moment."""

    sheet: Sheet
    together: int


def script(sheets: Sequence[Sheet], seed: int, faults: int) -> tuple[list[Sheet], list[Sending]]:
    """Two lists: the sheets kept back, and all other uploads in random order.

    Each fault has one sheet kept back. It is sent after the fault, to see whether the work goes on.
    """
    chance = random.Random(f"uploads {seed}")
    # A sheet without values is a sin acta: it has no image to send.
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
    """One fault of the night, and the seconds until each kind of work went on (None if it did not)."""

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
    """One night, its faults, and the facts about it that an outsider can see."""

    def __init__(self, plan: Plan, place: NightPlace, hands: Hands, faults: Sequence[Fault]) -> None:
        self._plan = plan
        self._place = place
        self._hands = hands
        self._faults = faults
        self._begun = [asyncio.Event() for _ in faults]
        self._without_next_task, self._uploads = script(plan.sheets, plan.seed, len(faults))
        self._numbers = numbered(plan.sheets)
        self._keys = {kind: private_key(place.data / f"{device}.pem") for kind, device in DEVICES.items()}
        self._forms = form_of_contest(plan)
        self._drawn = place.data / "imagenes"
        self._drawn.mkdir(exist_ok=True)
        self._twice = random.Random(f"answers {plan.seed}")
        self._progress = Progresses()
        self._acknowledged = 0
        self.seen = Witnessed()
        self.bouts: list[Bout] = []

    async def play(self) -> list[str]:
        """Play the night to its end, or until it makes no progress. Returns the reasons why it stopped early."""
        stopped: list[str] = []
        async with installation(self._hands.parts):
            with ProcessPoolExecutor(1, initializer=die_with_parent) as self._artist:
                try:
                    async with speaker(self._place, 2 * SENDERS) as self._client:
                        self.seen.key = (await persistent(self._client, "GET", "/v1/receipts/key")).body
                        await self._play_all()
                        await self._ask_again()
                except* PrepError as group:
                    stopped = [str(error) for error in _single_errors(group)]
        return stopped

    async def _play_all(self) -> None:
        plan, place, progress = self._plan, self._place, self._progress
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(self._watch_tree()), group.create_task(self._watch_over())]
            async with asyncio.TaskGroup() as people:
                people.create_task(self._send_all())
                people.create_task(self._bring_faults())
                people.create_task(register_sin_acta(plan, place))
                people.create_task(type_all(plan, place, progress, self._submit_twice))
                people.create_task(watch(plan, place, progress))
            for each in watching:
                each.cancel()

    # Devices.

    async def _send_all(self) -> None:
        coming = enumerate(self._uploads)

        async def sender() -> None:
            for position, upload in coming:
                image = await self._image_of(upload.sheet)
                for fault, begun in zip(self._faults, self._begun, strict=True):
                    # Wait for the fault, so that no device runs ahead of it: the same seed meets the same fault at the
                    # same upload on a slow and on a fast machine. The last uploads before it are still on their way.
                    if position >= fault.after + SENDERS:
                        await begun.wait()
                await asyncio.gather(*(self._send_image(upload.sheet, image) for _ in range(upload.together)))
                self._acknowledged += 1

        await asyncio.gather(*(sender() for _ in range(SENDERS)))

    async def _image_of(self, sheet: Sheet) -> bytes:
        """The image of a sheet.

        It is drawn at the first upload and kept in a file: later uploads have the same bytes.
        """
        kept = self._drawn / sheet.key.replace(" ", "-")
        if not kept.exists():
            loop = asyncio.get_running_loop()
            drawn = await loop.run_in_executor(self._artist, picture, self._plan.seed, self._forms[sheet.key], sheet)
            kept.write_bytes(drawn)
        return kept.read_bytes()

    async def _send_image(self, sheet: Sheet, image: bytes) -> None:
        """Send an image until an answer arrives. Every later answer must equal the first receipt."""
        digest = hashlib.sha256(image).hexdigest()
        self.seen.digests[sheet.key] = digest
        self._progress.images[digest] = sheet
        device, key = DEVICES[sheet.kind], self._keys[sheet.kind]
        headers = announced(sheet, image, device=device, number=self._numbers[sheet.key], key=key)
        answer = await persistent(self._client, "POST", "/v1/images", data=image, headers=headers)
        first = self.seen.receipts.setdefault(sheet.key, answer.body)
        # This answer is the first one itself.
        if first is answer.body:
            return
        self.seen.again += 1
        if first != answer.body:
            self.seen.unequal.append(f"imagen {sheet.key}")

    # People.

    async def _submit_twice(
        self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Submit some answers of people a second time.

        The second submission must return the same and change nothing.
        """
        first = await send(request)
        answers = request.url.path.endswith(("/entry", "/identity", "/resolution"))
        # About a third of the accepted answers are sent again.
        if not first.ok or not answers or self._twice.random() > 0.3:
            return first
        said = await _without_next_task(first)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            again = await send(request)
            if again.ok:
                self.seen.again += 1
                if await _without_next_task(again) != said:
                    self.seen.unequal.append(f"respuesta {request.url.path}")
        return first

    # Faults.

    async def _bring_faults(self) -> None:
        for fault, begun, kept in zip(self._faults, self._begun, self._without_next_task, strict=True):
            await self._wait_until(lambda fault=fault: self._acknowledged >= fault.after)  # type: ignore[misc]
            bout = Bout(fault, self._hands.form(fault.kind), self._acknowledged)
            self.bouts.append(bout)
            begun.set()
            await asyncio.sleep(fault.moment)
            await self._hands.bring(fault)
            # The part must recover while the fault lasts: `prep serve` starts it again at once.
            if fault.kind in DIE:
                await asyncio.gather(self._measure_recovery(bout, kept), self._heal_later(fault))
            else:
                await self._heal_later(fault)
                await self._measure_recovery(bout, kept)

    async def _heal_later(self, fault: Fault) -> None:
        """End the fault when its time is over.

        Also end it if the night stops: a frozen process could not be stopped.
        """
        try:
            await asyncio.sleep(fault.lasts)
        finally:
            await self._hands.heal(fault)

    async def _measure_recovery(self, bout: Bout, kept: Sheet) -> None:
        """Measure the seconds until a new image is received, a person has typed it, and a new corte is published."""
        loop, image = asyncio.get_running_loop(), await self._image_of(kept)
        self.look_at_tree()
        began, cortes = loop.time(), len(self.seen.shown)

        async def taken(what: Awaitable[None]) -> float | None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(what, RECOVERY)
                return round(loop.time() - began, 2)
            return None

        bout.arrivals, bout.captures, bout.cortes = await asyncio.gather(
            taken(self._send_image(kept, image)),
            taken(self._wait_until(lambda: any(key == kept.key for _, key in self._progress.again))),
            taken(self._wait_until(lambda: len(self.seen.shown) > cortes)),
        )

    async def _wait_until(self, holds: Callable[[], bool]) -> None:
        while not holds():  # noqa: ASYNC110  # an event for each of these many facts would be more code
            await asyncio.sleep(LOOK)

    # From outside.

    async def _watch_tree(self) -> None:
        """Remember each corte as it was when it appeared, and the corte that index.json named."""
        while True:
            self.look_at_tree()
            await asyncio.sleep(LOOK)

    def look_at_tree(self) -> None:
        """Look at index.json first and at the folders after it: a corte that index.json names must exist by then."""
        named = None
        with contextlib.suppress(OSError, json.JSONDecodeError):
            named = json.loads((self._place.public / "index.json").read_text())["corte"]
        # A corte gets this name by a rename when it is complete. Its digests are kept to see later changes.
        for folder in self._place.public.glob("cortes/[0-9]*"):
            if folder.name not in self.seen.cortes:
                self.seen.cortes[folder.name] = look(folder)
        if named is not None and self.seen.shown[-1:] != [named]:
            self.seen.shown.append(named)

    async def _watch_over(self) -> None:
        """Raises PrepError if the night makes no progress for `STALLED` seconds."""
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
        """At the end, every device sends every image once more; then list the messages that wait for a person."""
        coming = iter([sheet for sheet in self._plan.sheets if sheet.key in self.seen.receipts])

        async def sender() -> None:
            for sheet in coming:
                await self._send_image(sheet, await self._image_of(sheet))

        await asyncio.gather(*(sender() for _ in range(SENDERS)))
        listed = await asyncio.to_thread(order, self._place, "parked", "--json")
        self.seen.parked += [json.loads(line) for line in listed.splitlines() if line.startswith("{")]


async def _without_next_task(answer: aiohttp.ClientResponse) -> object:
    """The content of an answer without the next task: only the first of two equal submissions gets a next task."""
    said = json.loads(await answer.read())
    said.pop("siguiente", None)
    return said


def _single_errors(group: BaseExceptionGroup[PrepError]) -> Iterator[PrepError]:
    for error in group.exceptions:
        yield from _single_errors(error) if isinstance(error, BaseExceptionGroup) else (error,)


# One run.


def run(arguments: argparse.Namespace) -> tuple[list[Bout], list[OracleFinding]]:
    """Prepare the night, play it and judge it. Raises PrepError if the night cannot be played."""
    folder, sheets = synthetic(arguments.casillas, seed=arguments.seed)
    plan = Plan("caos", folder, load_catalog(folder), sheets, len(sheets), arguments.seed, MISTAKES, 0.0)
    data = (arguments.data or Path("var") / "noches" / f"caos-{arguments.seed}").absolute()
    shutil.rmtree(data, ignore_errors=True)
    place = place_in(data, data / "publico", settings())
    kafka = arguments.bus == "kafka"
    try:
        if kafka:
            place = replace(place, environment={**place.environment, **start_kafka(place)})
        place = prepare(plan, data, place.public, place.environment, rehearsal_night(interval=arguments.interval))
        faults = schedule(
            arguments.seed, arguments.faults, len(script(sheets, arguments.seed, arguments.faults)[1]), kafka=kafka
        )
        hands = Hands(place, means(namespaces=arguments.inside), room=(64 + 2 * len(sheets)) * MIB)
        return play(plan, place, hands, faults)
    finally:
        if kafka:
            # The verdict of the night is more important than an error at its end.
            with contextlib.suppress(PrepError):
                order(place, "kafka-dev", "down")


def settings() -> dict[str, str]:
    """Settings that keep all parts on this machine, even if the environment names another engine."""
    return {
        "PREP_BUS": "embedded",
        "PREP_DATABASE": "",
        "PREP_BLOBS": "",
    }


def start_kafka(place: NightPlace) -> dict[str, str]:
    """Start three nodes on the loopback; return the settings that lead to them."""
    said = order(place, "kafka-dev", "up", "--nodes", str(NODES))
    [line] = [line for line in said.splitlines() if line.startswith("export ")]
    return dict(word.split("=", 1) for word in line.split()[1:])


def play(
    plan: Plan, place: NightPlace, hands: Hands, faults: Sequence[Fault]
) -> tuple[list[Bout], list[OracleFinding]]:
    """Play the night, publish its last corte, and return the faults and the findings."""

    async def whole() -> tuple[ChaosNight, list[str]]:
        played = ChaosNight(plan, place, hands, faults)
        return played, await played.play()

    played, stopped = uvloop.run(whole())
    try:
        order(place, "publish", "--final", "--confirm")  # the oracle names the missing actas
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
    """Compare the database with the log, leaf by leaf."""
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
            longest = [
                _longest_pause(each) for each in zip(*((b.arrivals, b.captures, b.cortes) for b in of), strict=True)
            ]
            faults.add_row(kind.value, of[0].form, str(len(of)), *longest)
    yield faults
    oracle = Table("lo que debe ser cierto", "vistos", "", "qué no lo es")
    for finding in findings:
        verdict = "[green]OK[/]" if finding.holds else "[red]FALLA[/]"
        oracle.add_row(finding.what, str(finding.looked_at), verdict, finding.told())
    yield oracle


CAPTION: Final = "segundos, en el peor caso, hasta que una imagen nueva se recibe, alguien la teclea y sale otro corte"


def _longest_pause(seconds: Sequence[float | None]) -> str:
    return "nunca" if None in seconds else f"{max(each for each in seconds if each is not None):.1f}"


def as_json(arguments: argparse.Namespace, bouts: Iterable[Bout], findings: Sequence[OracleFinding]) -> str:
    """All facts of a run, for another program."""
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
    """Start this program again in namespaces of its own. If the machine allows it, this call does not return."""
    if os.geteuid() != 0 or shutil.which(OF_ITS_OWN[0]) is None:
        return
    # Try it with `true` first: after execvp there is no way back.
    inside = [*OF_ITS_OWN, "sh", "-c", LOOPBACK, "caos"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode == 0:
        os.execvp(inside[0], [*inside, sys.executable, "-m", str(__package__), *words, "--inside"])  # noqa: S606


def main(words: Sequence[str]) -> int:
    parser = Parser(prog=f"python -m {__package__}", description="Una noche con fallas.")
    parser.add_argument("--casillas", type=int, default=60, metavar="N", help="dos actas por casilla")
    parser.add_argument("--faults", type=int, default=8, metavar="N", help="cuántas fallas; una casilla para cada una")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="el mismo número, la misma noche")
    parser.add_argument("--bus", choices=("kafka", "embedded"), default="kafka", help="el bus de la noche")
    parser.add_argument("--interval", type=float, default=3, metavar="SEGUNDOS", help="entre cortes")
    parser.add_argument("--data", type=Path, metavar="CARPETA", help="donde la noche guarda lo suyo; se vacía antes")
    parser.add_argument("--json", type=Path, metavar="ARCHIVO", help="dónde dejar el resultado para otro programa")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if not 1 <= arguments.faults <= arguments.casillas:
        parser.error(f"--faults va de 1 al número de casillas, {arguments.casillas}: no {arguments.faults}")
    if not 0 < arguments.interval < inf:
        parser.error("--interval es un número de segundos mayor que cero")
    try:
        if not arguments.inside:
            if arguments.bus == "kafka":  # fetch it now: inside the namespaces there is no network
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
