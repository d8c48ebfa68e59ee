"""Field staff with their devices: draw an acta, sign the upload, send it until a receipt arrives, keep the receipt."""

import asyncio
import base64
import contextlib
import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from prep.domain.catalog import Election
from prep.domain.entry import HEADER, TOTAL
from prep.processes import die_with_parent
from prep.rehearsal.drawing.acta import draw
from prep.rehearsal.drawing.camera import CONDITIONS
from prep.rehearsal.drawing.press import HEIGHT, WIDTH, PrintedForm
from prep.rehearsal.installation import DEVICES, NightPlace, persistent, speaker
from prep.rehearsal.plan import Plan, Progresses
from prep.rehearsal.replay import Sheet

SENDERS: Final = 6
AHEAD: Final = 8
"""Images drawn ahead of the senders."""


class Journal:
    """The memory of the devices on disk: the digest of each sheet's image, and whether it has a receipt.

    It has one JSON object on each line. If the process is killed, the next run reads it and sends only the rest.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.digests: dict[str, str] = {}
        self.receipts: set[str] = set()
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(json.JSONDecodeError):  # a killed run may leave half a line at the end
                    self._remember_line(json.loads(line))
        self.file = path.open("a", encoding="utf-8")

    def close(self) -> None:
        self.file.close()

    def add(self, **fields: str) -> None:
        self._remember_line(fields)
        self.file.write(json.dumps(fields) + "\n")
        self.file.flush()

    def _remember_line(self, fields: Mapping[str, str]) -> None:
        if "sha256" in fields:
            self.digests[fields["key"]] = fields["sha256"]
        if "acuse" in fields:
            self.receipts.add(fields["key"])


def picture(plan_seed: int, form: PrintedForm, sheet: Sheet, width: int = WIDTH) -> bytes:
    """The image of a sheet, `width` pixels wide: always the same bytes for the same sheet, seed and width."""
    # Each sheet has a generator of its own, so its bytes do not depend on the order of drawing.
    rng = random.Random(f"{plan_seed} {sheet.key}")
    condition = rng.choices(list(CONDITIONS.values()), weights=[weight for _, weight in WEATHER])[0]
    size = (width, round(HEIGHT * width / WIDTH))
    return draw(form, sheet.values or {}, sheet.qr, rng=rng, condition=condition, size=size)


WEATHER: Final = (("limpia", 78), ("girada", 10), ("borrosa", 6), ("oscura", 6))
"""Condition and its share of a night's images, in per cent."""


def numbered(sheets: Iterable[Sheet]) -> dict[str, int]:
    """Key of a sheet → sequence number of its image. Every device counts its own images, from 1, without gaps."""
    sent: Counter[str] = Counter()
    numbers: dict[str, int] = {}
    for sheet in sheets:
        if sheet.sin_acta is None:
            sent[sheet.kind] += 1
            numbers[sheet.key] = sent[sheet.kind]
    return numbers


async def send_all(plan: Plan, place: NightPlace, progress: Progresses, journal: Journal) -> None:
    """Send all sheets in the order of their acopio. Each sheet goes from the device of its kind.

    One task draws and several send. The queue between them is short, so few images wait in memory.
    """
    keys = {kind: private_key(place.data / f"{device}.pem") for kind, device in DEVICES.items()}
    forms = form_of_contest(plan)
    queue: asyncio.Queue[tuple[int, Sheet, bytes] | None] = asyncio.Queue(AHEAD)
    loop = asyncio.get_running_loop()

    async def artist(pool: ProcessPoolExecutor) -> None:
        started, first = loop.time(), plan.sheets[0].acopio
        numbers = numbered(plan.sheets)
        for sheet in plan.sheets:
            if sheet.sin_acta is not None:
                continue
            number = numbers[sheet.key]
            # An earlier run has sent it. People may still have to identify its image, so remember the sheet.
            if sheet.key in journal.receipts:
                progress.sent += 1
                progress.images[journal.digests[sheet.key]] = sheet
                continue
            if plan.speed:
                due = started + (sheet.acopio - first).total_seconds() / plan.speed
                await asyncio.sleep(max(0.0, due - loop.time()))
            # Drawing takes much processor time. In another process it does not hold up the senders.
            drawn = await loop.run_in_executor(pool, picture, plan.seed, forms[sheet.key], sheet, plan.width)
            await queue.put((number, sheet, drawn))
        for _ in range(SENDERS):
            await queue.put(None)

    async def sender(client: aiohttp.ClientSession) -> None:
        while (work := await queue.get()) is not None:
            number, sheet, drawn = work
            digest = hashlib.sha256(drawn).hexdigest()
            progress.images[digest] = sheet
            # If the process dies after this line, the next run sends the same bytes again and gets the same receipt.
            journal.add(key=sheet.key, sha256=digest)
            receipt = await send(client, sheet, drawn, number=number, key=keys[sheet.kind])
            journal.add(key=sheet.key, acuse=receipt["firma"])
            progress.sent += 1

    with ProcessPoolExecutor(1, initializer=die_with_parent) as pool:
        async with speaker(place, SENDERS) as client:
            await asyncio.gather(artist(pool), *(sender(client) for _ in range(SENDERS)))


async def send(
    client: aiohttp.ClientSession, sheet: Sheet, image: bytes, *, number: int, key: Ed25519PrivateKey
) -> dict[str, Any]:
    """Send one image until it has its receipt. If the installation does not answer, wait and try again."""
    headers = announced(sheet, image, device=DEVICES[sheet.kind], number=number, key=key)
    return (await persistent(client, "POST", "/v1/images", data=image, headers=headers)).json()


def announced(sheet: Sheet, image: bytes, *, device: str, number: int, key: Ed25519PrivateKey) -> dict[str, str]:
    """The signed headers of an upload, as `capture/intake.py` reads them.

    This code does not use `prep/upload.py`, on purpose: a device in the field is another program.
    """
    named = (
        ("Device", device),
        ("Sequence", str(number)),
        ("SHA256", hashlib.sha256(image).hexdigest()),
        ("Origin", sheet.origen),
        ("Kind", sheet.kind),
        ("Acopio", sheet.acopio.isoformat()),
        ("Acta", ""),
        ("Traslado", sheet.traslado),
        ("Document", sheet.documento),
    )
    # The receiver builds the same text: the title and all values, also the empty ones, in this order.
    signed = "PREP-IMAGE-V1\n" + "\n".join(value for _, value in named)
    headers = {f"X-PREP-{name}": quote(value, safe=" :+|,./-") for name, value in named if value}
    headers["X-PREP-Signature"] = base64.b64encode(key.sign(signed.encode())).decode()
    return headers


def private_key(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def form_of_contest(plan: Plan) -> dict[str, PrintedForm]:
    """Key of a sheet → its printed form, with the title of its election and the ballot of its contest."""
    elections = {election.id: election for election in plan.catalog.elections}
    contests = {contest.id: contest for contest in plan.catalog.contests}
    by_qr = {acta.qr: acta for acta in plan.catalog.actas}
    forms: dict[int, PrintedForm] = {}
    anywhere = plan.catalog.contests[0]
    found = {}
    for sheet in plan.sheets:
        acta = by_qr.get(sheet.qr)
        contest = contests[acta.contest] if acta else anywhere  # an acta that is fuera has no contest; any form will do
        if contest.id not in forms:
            forms[contest.id] = _printed_form(elections[contest.election], contest.name, contest.ballot)
        found[sheet.key] = forms[contest.id]
    return found


def _printed_form(election: Election, contest: str, ballot: Sequence[int]) -> PrintedForm:
    rows = tuple(election.options[position].code for position in ballot)
    return PrintedForm(title=election.title, contest=contest, header=HEADER, rows=rows, total=TOTAL)
