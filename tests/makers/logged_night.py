"""A small night with a log: facts written straight into the database, and the office of its sequencer."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from integrity import leaves
from integrity.log.audit import audit_log
from integrity.log.note import SignatureKind, Signer, read_checkpoint, trust_only
from integrity.log.tiles import Tiles
from integrity.source import Folder
from prep.domain.hours import CENTRAL
from prep.domain.night import Night as DeclaredNight
from prep.rehearsal.replay import Sheet
from prep.store import leading
from prep.store.database import Connection
from publisher.log.comparison import ComparedLog, compare
from publisher.log.office import LogOffice, policy_text
from publisher.log.sequencer import Scribe, opened, run
from tests.conftest import Night
from tests.makers.declared import TONIGHT
from tests.makers.small_night import SmallNight, small_night

NAME = TONIGHT.log_name
AT = datetime(2027, 6, 7, 1, 0, tzinfo=UTC)


@dataclass
class LoggedNight:
    night: SmallNight
    office: LogOffice

    @property
    def folder(self) -> Path:
        return self.office.folder

    async def count(self, sheets: Iterable[Sheet], device: str = "catd-01") -> None:
        """Count sheets like `SmallNight`; their images come from `device`."""
        await self.night.count(sheets, device=device)

    async def happen(self, kind: str, subject: str) -> None:
        async with self.night.pool.acquire() as connection:
            said = (kind, subject, json.dumps({"persona": self.night.cast.supervisor, "motivo": "x"}), AT)
            await connection.execute("INSERT INTO event (kind, subject, detail, at) VALUES ($1, $2, $3, $4)", *said)

    @asynccontextmanager
    async def scribe(self, office: LogOffice | None = None) -> AsyncIterator[Scribe]:
        """The sequencer that leads, inside this context."""
        office = office or self.office
        async with leading.session(office.url) as leader:
            while not await leader.lead(leading.SEQUENCING):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            async with opened(office, leader) as scribe:
                yield scribe

    async def log(self, office: LogOffice | None = None) -> int:
        """Put every fact into the log; returns the number of leaves."""
        async with self.scribe(office) as scribe:
            await scribe.proofs.prove_missing()
            total = 0
            while taken := await scribe.turn():
                total += taken
        return total

    @asynccontextmanager
    async def running(self, office: LogOffice | None = None) -> AsyncIterator[None]:
        """The running sequencer, inside this context."""
        stop = asyncio.Event()
        part = asyncio.create_task(run(office or self.office, stop))
        try:
            yield
        finally:
            stop.set()
            await part

    def leaves(self) -> list[dict[str, object]]:
        """The leaves of the published log, from its files."""
        size = read_checkpoint((self.folder / "checkpoint").read_bytes()).size
        tiles = Tiles(Folder(self.folder), size)
        return [leaves.read_leaf(entry) for n in range(-(-size // 256)) for entry in tiles.entries(n)]

    def audit(self) -> int:
        return audit_log(str(self.folder), trust_only(self.office.signer.key)).exit_code

    async def compare(self) -> ComparedLog:
        connection = await asyncpg.connect(self.office.url)
        try:
            return await compare(connection, self.folder, CENTRAL)
        finally:
            await connection.close()

    async def by_owner(self, statement: str, *values: object) -> str:
        connection = await asyncpg.connect(self.night.owner)
        with suppress(OSError):
            try:
                return await connection.execute(statement, *values)
            finally:
                await connection.close()
        raise AssertionError

    def with_batch(self, batch: int) -> LogOffice:
        return replace(self.office, batch=batch)


@asynccontextmanager
async def logged_night(
    night: Night,
    folder: Path,
    *,
    casillas: int = 30,
    declared: DeclaredNight = TONIGHT,
    logo: bytes | None = None,
    changed: Callable[[dict[str, bytes]], dict[str, bytes]] = dict,
) -> AsyncIterator[LoggedNight]:
    signer = Signer.generate(NAME, SignatureKind.LOG)
    async with small_night(night, folder, casillas=casillas, declared=declared, logo=logo, changed=changed) as made:
        public = made.office.public
        office = LogOffice(
            night.app, public, signer, made.office.night, policy=policy_text(signer, None), clock=lambda: AT
        )
        yield LoggedNight(made, office)


async def arrive(connection: Connection, device: str, sequence: int) -> None:
    """One more image of that device."""
    sha256 = hashlib.sha256(f"{device} {sequence}".encode()).digest()
    await connection.execute(
        "INSERT INTO image (sha256, bytes, format, received_at) VALUES ($1, 9, 'jpeg', $2)", sha256, AT
    )
    await connection.execute(
        """INSERT INTO arrival (id, image, device, sequence, origen, digitalizacion, traslado, tipo_documento, acopio_at,
            acta_hint, received_at)
        VALUES ($1, $2, $3, $4, 'CATD', 'escaner', '', 'Acta PREP', $5, '', $5)""",
        *(f"image:{device}:{sequence}", sha256, device, sequence, AT),
    )
