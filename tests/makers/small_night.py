"""A small night whose actas are counted straight in the database, as the pipeline leaves it for a publisher."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from prep.blobs import Blobs
from prep.domain import row
from prep.domain.catalog import Acta, Catalog
from prep.domain.corte import Corte, Phase
from prep.domain.entry import HEADER, TOTAL, Mark, Values
from prep.domain.night import Night as DeclaredNight
from prep.domain.rules import SIN_ACTA, assess, assess_sin_acta, rule_set, vote_limit
from prep.files.catalog_files import load_catalog
from prep.rehearsal.replay import Sheet
from prep.rehearsal.synthetic import synthetic
from prep.store import catalog as catalog_store
from prep.store import leading
from prep.store.database import Connection, Pool, open_pool
from prep.store.night import Declared
from publisher import data
from publisher.cut import CorteOffice, Order, cut
from tests.conftest import Night
from tests.makers.cast import Cast, people_logged_in
from tests.makers.declared import TONIGHT
from tests.makers.two_people import record_fuera, record_sin_acta, two_people

START = datetime(2027, 6, 7, 1, 30, tzinfo=UTC)
STEP = timedelta(minutes=5)


@dataclass
class SmallNight:
    """A catalogue, the sheets of its actas, and an office that publishes them."""

    url: str
    owner: str
    catalog: Catalog
    sheets: list[Sheet]
    office: CorteOffice
    cast: Cast
    draw: Callable[[Sheet], bytes] = lambda sheet: f"imagen de {sheet.qr}".encode()
    without_sticker: set[str] = field(default_factory=set)
    """QR texts that no machine reads: two people say which acta these images are of."""
    cut_so_far: int = 0
    _versions: dict[str, int] = field(default_factory=dict)

    @property
    def pool(self) -> Pool:
        return self.office.pool

    async def count(self, sheets: Iterable[Sheet], *, device: str = "catd-01") -> None:
        """Each sheet becomes the version that counts for its acta; a sheet without a casilla becomes fuera de catálogo.

        Its image comes from `device`, and two people type it.
        """
        async with self.pool.acquire() as connection:
            for sheet in sheets:
                async with connection.transaction():
                    await self._count_sheet(connection, sheet, device)

    async def _count_sheet(self, connection: Connection, sheet: Sheet, device: str) -> None:
        acta = next((acta for acta in self.catalog.actas if acta.qr == sheet.qr), None)
        image = await self._store_image(connection, sheet, device) if sheet.sin_acta is None else None
        if acta is None:
            assert image is not None
            decision = await record_fuera(connection, image, sheet.qr)
            await connection.execute(
                "INSERT INTO fuera_catalogo (image, identity, election, origen, digitalizacion, found_at, decision) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                *(image, sheet.qr, self.catalog.elections[0].id, sheet.origen, sheet.kind, sheet.acopio, decision),
            )
            return
        await connection.execute(
            "INSERT INTO acta_current (acta, estado, changed_at) VALUES ($1, 'Esperada', $2) ON CONFLICT DO NOTHING",
            *(acta.id, sheet.acopio),
        )
        ronda = await self._open_round(connection, acta, image, sheet) if image else 0
        version = await self.judge_and_add_version(connection, acta, sheet, image, ronda)
        await connection.execute(
            "UPDATE acta_current SET estado = 'Verificada', version = $2, image = $3 WHERE acta = $1",
            *(acta.id, version, image),
        )

    async def _store_image(self, connection: Connection, sheet: Sheet, device: str) -> bytes:
        content = self.draw(sheet)
        sha256 = bytes.fromhex(await self.office.blobs.put(content))
        web = bytes.fromhex(await self.office.blobs.put(content + b"\n"))
        await connection.execute(
            "INSERT INTO image (sha256, bytes, format, received_at) VALUES ($1, $2, 'jpeg', $3) ON CONFLICT DO NOTHING",
            *(sha256, len(content), sheet.acopio),
        )
        await connection.execute(
            """INSERT INTO arrival (id, image, device, sequence, origen, digitalizacion, traslado, tipo_documento,
                acopio_at, acta_hint, received_at)
            SELECT 'image:' || $1 || ':' || n || ':' || encode($2, 'hex'), $2, $1, n, $3, $4, $5, $6, $7, '', $7
            FROM (SELECT count(*) + 1 AS n FROM arrival WHERE device = $1) AS counted
            WHERE NOT EXISTS (SELECT FROM arrival WHERE image = $2)""",
            *(device, sha256, sheet.origen, sheet.kind, sheet.traslado, sheet.documento, sheet.acopio),
        )
        await connection.execute(
            "INSERT INTO reading (image, text, width, height, phash, web, thumb, read_at) VALUES ($1, $2, 1, 1, repeat('0', 1024)::bit(1024), $3, $3, $4) ON CONFLICT DO NOTHING",
            *(sha256, sheet.qr, web, sheet.acopio),
        )
        people: Sequence[tuple[int | None, int | None]] = [(None, None)]
        if sheet.qr in self.without_sticker:
            people = self.cast.typists
        for person, site in people:
            await connection.execute(
                """INSERT INTO identification (image, source, person, site, identity, said_at)
                VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING""",
                *(sha256, "qr" if person is None else "person", person, site, sheet.qr, sheet.acopio),
            )
        return sha256

    async def _open_round(self, connection: Connection, acta: Acta, image: bytes, sheet: Sheet) -> int:
        """The acta is ready to be compared: two people have typed the image. Returns the number of the round."""
        await connection.execute(
            "INSERT INTO image_current VALUES ($1, 'identificada', $2, $3) ON CONFLICT DO NOTHING",
            *(image, acta.id, sheet.acopio),
        )
        before = await connection.fetchval("SELECT estado FROM acta_current WHERE acta = $1", acta.id)
        if before == "Esperada":
            await connection.execute("UPDATE acta_current SET estado = 'Acopiada' WHERE acta = $1", acta.id)
        ronda: int = await connection.fetchval(
            "UPDATE acta_current SET estado = 'Digitalizada', ronda = ronda + 1, image = $2 WHERE acta = $1 RETURNING ronda",
            *(acta.id, image),
        )
        values = self._values_on(acta, sheet)
        for ordinal, (person, site) in enumerate(self.cast.typists, 1):
            await connection.execute(
                """INSERT INTO entry (acta, ronda, ordinal, image, person, site, lease, leased_at, typed_at, numbers, marks)
                VALUES ($1, $2, $3, $4, $5, $6, gen_random_uuid(), $7, $7, $8, $9)""",
                *(acta.id, ronda, ordinal, image, person, site, sheet.acopio, values.numbers, values.marks),
            )
        await connection.execute("UPDATE acta_current SET estado = 'Capturada' WHERE acta = $1", acta.id)
        return ronda

    def _values_on(self, acta: Acta, sheet: Sheet) -> Values:
        election = next(each for each in self.catalog.elections if each.id == acta.election)
        assert sheet.values is not None
        return Values(
            header=tuple(sheet.values[code] for code in HEADER),
            votes=tuple(sheet.values.get(code, Mark.NO_EN_BOLETA) for code in election.codes),
            total=sheet.values[TOTAL],
        )

    async def judge_and_add_version(
        self, connection: Connection, acta: Acta, sheet: Sheet, image: bytes | None, ronda: int
    ) -> int:
        election = next(each for each in self.catalog.elections if each.id == acta.election)
        rules = rule_set(election.rules)
        values = None
        if sheet.values is None:
            assert sheet.sin_acta is not None
            said = assess_sin_acta(SIN_ACTA[sheet.sin_acta - 1], rules)
        else:
            values = self._values_on(acta, sheet)
            limit = vote_limit(acta.lista_nominal, acta.representantes, acta.boletas_maximas)
            said = assess(values, limit=limit, rules=rules)
        text = rules.published(said.observations)
        came = (sheet.documento, sheet.origen, sheet.kind, sheet.traslado) if image else ("-", "-", "-", "")
        documento, origen, digitalizacion, traslado = came
        at = sheet.acopio if image else None
        ballot = next(each.ballot for each in self.catalog.contests if each.id == acta.contest)
        tail = row.tail(
            observations=text, contabilizada=said.contabilizada, traslado=traslado,
            image=image.hex() if image else None, acopio_at=at, captura_at=at, verificacion_at=at,
            origen=origen, digitalizacion=digitalizacion, tipo_documento=documento, cotejada=0, zone=self.office.night.tz,
        )  # fmt: skip
        quantities = (
            row.quantities(values, said.calculado) if values else row.quantities_sin_acta(len(election.options), ballot)
        )
        version: int = await connection.fetchval(
            """INSERT INTO acta_version (acta, ronda, reason, person, image, numbers, marks, calculado, observations,
                inconsistent, contabilizada, cotejada, tipo_documento, origen, digitalizacion, traslado, acopio_at,
                captura_at, verificacion_at, quantities, tail, decision)
            SELECT $1, $2, CASE WHEN $3::bytea IS NULL THEN 'sin_acta' WHEN c.version IS NULL THEN 'captura' ELSE 'recaptura' END,
                NULL, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $12, $13, $14, $15, $15, $16, $17, $18
            FROM acta_current c WHERE c.acta = $1
            RETURNING id""",
            *(acta.id, ronda, image),
            *(values.numbers if values else [], values.marks if values else ""),
            *(said.calculado, [code.value for code in said.observations], said.inconsistent, said.contabilizada),
            *(*came, at, at, quantities, tail),
            None if image else await record_sin_acta(connection, acta.id, said.observations[0]),
        )
        return version

    def order(self, phase: Phase | None = None) -> Order:
        """The next corte of the schedule, five minutes after the one before."""
        at = START + STEP * self.cut_so_far
        phase = phase or (Phase.EN_CURSO if self.cut_so_far else Phase.CERO)
        return Order(phase, at, None if phase is Phase.FINAL else at + STEP)

    async def cut(self, phase: Phase | None = None, *, office: CorteOffice | None = None) -> Corte:
        async with leading.cutting(self.url, patience=5) as leader:
            corte = await cut(office or self.office, leader, self.order(phase))
        assert corte is not None
        self.cut_so_far = corte.number + 1
        return corte

    def at(self, public: Path) -> CorteOffice:
        """The same office with another published tree."""
        public.mkdir(exist_ok=True)
        return replace(self.office, public=public)


@asynccontextmanager
async def small_night(
    night: Night,
    folder: Path,
    *,
    casillas: int = 70,
    seed: int = 3,
    declared: DeclaredNight = TONIGHT,
    logo: bytes | None = None,
    changed: Callable[[dict[str, bytes]], dict[str, bytes]] = dict,
) -> AsyncIterator[SmallNight]:
    """Two elections of an invented state, one of them in two districts; no acta is counted yet.

    `changed` may change the files of the catalogue before they are loaded.
    """
    files, sheets = synthetic(casillas, seed=seed)
    catalog = load_catalog(changed(files))
    await catalog_store.load(night.owner, catalog, at=START, night=Declared(declared, logo))
    owner = await asyncpg.connect(night.owner)
    await two_people(owner)
    await owner.close()
    pool = await open_pool(night.app, connections=4, by_key=True)
    public = folder / "publico"
    public.mkdir()
    blobs = Blobs.open((folder / "blobs").as_uri())
    try:
        yield SmallNight(
            night.app,
            night.owner,
            catalog,
            sheets,
            CorteOffice(pool, blobs, public, declared),
            await people_logged_in(night.owner),
        )
    finally:
        await pool.close()


def make_clean_data(public: Path) -> None:
    """Everything that the publisher makes beside its cortes, in this process: clean data, deltas, and their links."""
    for number in data.lacking(public):
        data.make(public, number)
        data.make_delta(public, number)
    stage = public / ".corte-0000-00000000"
    stage.mkdir()
    data.show_data(public, stage)
    stage.rmdir()
