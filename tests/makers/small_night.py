"""A small night whose actas are counted straight in the database, as the pipeline leaves it for a publisher."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from prep.blobs import Blobs
from prep.domain import row
from prep.domain.catalog import Acta, Catalog
from prep.domain.entry import HEADER, TOTAL, Mark, Values
from prep.domain.rules import SIN_ACTA, Assessment, assess, assess_sin_acta, rule_set, vote_limit
from prep.files.catalog_files import load_catalog
from prep.rehearsal.replay import Sheet
from prep.rehearsal.synthetic import synthetic
from prep.store import catalog as catalog_store
from prep.store import leading
from prep.store.cortes import Corte, Phase
from prep.store.database import Connection, Pool, open_pool
from publisher.cut import CorteOffice, Order, cut
from tests.conftest import Night

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
    draw: Callable[[Sheet], bytes] = lambda sheet: f"imagen de {sheet.qr}".encode()
    cut_so_far: int = 0
    _versions: dict[str, int] = field(default_factory=dict)

    @property
    def pool(self) -> Pool:
        return self.office.pool

    async def count(self, sheets: Iterable[Sheet]) -> None:
        """Each sheet becomes the version that counts for its acta; a sheet without a casilla becomes fuera de catálogo."""
        async with self.pool.acquire() as connection:
            for sheet in sheets:
                async with connection.transaction():
                    await self._count_sheet(connection, sheet)

    async def _count_sheet(self, connection: Connection, sheet: Sheet) -> None:
        acta = next((acta for acta in self.catalog.actas if acta.qr == sheet.qr), None)
        image = await self._store_image(connection, sheet) if sheet.sin_acta is None else None
        if acta is None:
            assert image is not None
            await connection.execute(
                "INSERT INTO fuera_catalogo (image, identity, election, origen, digitalizacion, found_at) VALUES ($1, $2, $3, $4, $5, $6)",
                *(image, sheet.qr, self.catalog.elections[0].id, sheet.origen, sheet.kind, sheet.acopio),
            )
            return
        ronda = await connection.fetchval("SELECT count(*) + 1 FROM acta_version WHERE acta = $1", acta.id)
        version = await self.judge_and_add_version(connection, acta, sheet, image, ronda)
        # Two people typed the same.
        await connection.execute(
            """INSERT INTO entry (acta, ronda, ordinal, image, person, site, lease, leased_at, typed_at, numbers, marks)
            SELECT v.acta, v.ronda, o, v.image, o, 1, gen_random_uuid(), $2, $2, v.numbers, v.marks
            FROM acta_version v, generate_series(1, 2) AS o WHERE v.id = $1 AND v.image IS NOT NULL""",
            *(version, sheet.acopio),
        )
        await connection.execute(
            "INSERT INTO acta_current (acta, estado, changed_at) VALUES ($1, 'Esperada', $2) ON CONFLICT DO NOTHING",
            *(acta.id, sheet.acopio),
        )
        before = await connection.fetchval("SELECT estado FROM acta_current WHERE acta = $1", acta.id)
        for estado in ("Digitalizada", "Capturada") if before == "Publicada" else ():
            await connection.execute("UPDATE acta_current SET estado = $2 WHERE acta = $1", acta.id, estado)
        await connection.execute(
            "UPDATE acta_current SET estado = 'Verificada', version = $2, image = $3 WHERE acta = $1",
            *(acta.id, version, image),
        )

    async def _store_image(self, connection: Connection, sheet: Sheet) -> bytes:
        content = self.draw(sheet)
        sha256 = bytes.fromhex(await self.office.blobs.put(content))
        web = bytes.fromhex(await self.office.blobs.put(content + b"\n"))
        await connection.execute(
            "INSERT INTO image (sha256, bytes, format, received_at) VALUES ($1, $2, 'jpeg', $3) ON CONFLICT DO NOTHING",
            *(sha256, len(content), sheet.acopio),
        )
        await connection.execute(
            "INSERT INTO reading (image, text, width, height, phash, web, thumb, read_at) VALUES ($1, $2, 1, 1, repeat('0', 1024)::bit(1024), $3, $3, $4) ON CONFLICT DO NOTHING",
            *(sha256, sheet.qr, web, sheet.acopio),
        )
        return sha256

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
            values = Values(
                header=tuple(sheet.values[code] for code in HEADER),
                votes=tuple(sheet.values.get(code, Mark.NO_EN_BOLETA) for code in election.codes),
                total=sheet.values[TOTAL],
            )
            limit = vote_limit(acta.lista_nominal, acta.representantes, acta.boletas_maximas)
            said = assess(values, limit=limit, rules=rules)
        return await self._insert_version(
            connection,
            acta,
            sheet,
            image,
            values,
            said,
            rules.published(said.observations),
            len(election.options),
            ronda,
        )

    async def _insert_version(
        self, connection: Connection, acta: Acta, sheet: Sheet, image: bytes | None, values: Values | None,
        said: Assessment, text: str, options: int, ronda: int,
    ) -> int:  # fmt: skip
        at = sheet.acopio if image else None
        ballot = next(each.ballot for each in self.catalog.contests if each.id == acta.contest)
        tail = row.tail(
            observations=text, contabilizada=said.contabilizada, traslado=sheet.traslado if image else "",
            image=image.hex() if image else None, acopio_at=at, captura_at=at, verificacion_at=at,
            origen=sheet.origen if image else "-", digitalizacion=sheet.kind if image else "-",
            tipo_documento=sheet.documento if image else "-", cotejada=0,
        )  # fmt: skip
        quantities = row.quantities(values, said.calculado) if values else row.quantities_sin_acta(options, ballot)
        version: int = await connection.fetchval(
            """INSERT INTO acta_version (acta, ronda, reason, person, image, numbers, marks, calculado, observations,
                inconsistent, contabilizada, cotejada, tipo_documento, origen, digitalizacion, traslado, acopio_at,
                captura_at, verificacion_at, quantities, tail)
            VALUES ($1, $17, $2, NULL, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $12, $13, $14, $14, $14, $15, $16)
            RETURNING id""",
            *(acta.id, "captura" if image else "sin_acta", image),
            *(values.numbers if values else [], values.marks if values else ""),
            *(said.calculado, [code.value for code in said.observations], said.inconsistent, said.contabilizada),
            *(sheet.documento, sheet.origen, sheet.kind, sheet.traslado, at, quantities, tail, ronda),
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
async def small_night(night: Night, folder: Path, *, casillas: int = 70, seed: int = 3) -> AsyncIterator[SmallNight]:
    """Two elections of an invented state, one of them in two districts; no acta is counted yet."""
    files, sheets = synthetic(casillas, seed=seed)
    catalog = load_catalog(files)
    await catalog_store.load(night.owner, catalog, at=START)
    pool = await open_pool(night.app, connections=4, by_key=True)
    public = folder / "publico"
    public.mkdir()
    blobs = Blobs.open((folder / "blobs").as_uri())
    try:
        yield SmallNight(
            night.app, night.owner, catalog, sheets, CorteOffice(pool, blobs, public, "EDO", simulacro=True)
        )
    finally:
        await pool.close()


async def published_versions(url: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch("SELECT corte, version FROM publication ORDER BY version")
    finally:
        await connection.close()
