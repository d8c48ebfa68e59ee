"""What a corte reads from the database, in one snapshot, and the record that makes it a fact."""

import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass, field, fields
from datetime import datetime
from typing import Any, Final

import asyncpg

from prep.domain.acta import LEGAL, Move
from prep.domain.catalog import ContestId, Election, ElectionId
from prep.domain.corte import (
    Before,
    Corte,
    Fresh,
    Fuera,
    Group,
    Phase,
    PublishedImage,
    Seccion,
    ToldDecision,
    ToldIncident,
)
from prep.domain.row import territory
from prep.domain.tally import Counts
from prep.errors import Rejected, Unavailable
from prep.store.database import GONE, Connection, Pool, refusal_of, sql, transaction
from prep.store.night import NightChanged

SQL: Final = sql("cortes")
_NOTHING_SHOWN: Final = "/*shown*/ SELECT acta, version FROM acta_current WHERE $1::int IS NULL"
_ALL_SUMMED: Final = (
    "/*summed*/ SELECT a.id AS acta, s.version, 1 AS sign FROM acta a LEFT JOIN shown s ON s.acta = a.id"
    " WHERE a.election = $2::smallint"
)
_LOST: Final = (
    *(each for each in GONE if not issubclass(OSError, each) and each is not TimeoutError),
    asyncpg.SerializationError,  # a replica that must replay the removal of rows this reading still sees
)
_LONG: Final = 600.0
"""Seconds that one reading of a national night may take."""
_BLOCK: Final = 2000
"""Rows of a long reading that are held at a time."""
_PUBLISHABLE: Final = [estado for estado, move in LEGAL if move is Move.PUBLICACION]


class Snapshot:
    """The night at one moment. Everything read through it agrees with itself, however long the reading takes.

    `then` shows the rows that corte `number` has recorded instead of the current ones: the same rows, for ever.
    """

    def __init__(self, pool: Pool, connection: Connection, name: str, number: int, *, then: bool) -> None:
        self._pool = pool
        self._connection = connection
        self._name = name
        self.number = number
        self._then = then
        self._shown = SQL["shown_then" if then else "shown_now"]

    async def groups(self, election: Election) -> list[Group]:
        """The sums over all actas of the election."""
        return await self._summed(SQL["groups"], election)

    async def groups_moved(self, election: Election, versions: Sequence[int]) -> list[Group]:
        """What the sums gain over those of the corte before, if this corte is the first to show these versions."""
        return await self._summed(SQL["groups"].replace(_ALL_SUMMED, SQL["groups_moved"]), election, versions)

    async def _summed(self, block: str, election: Election, *versions: Sequence[int]) -> list[Group]:
        # The votes stand behind the four quantities of the header; PostgreSQL counts from 1.
        first = len(("boletas_sobrantes", "personas", "representantes", "sacados")) + 1
        sums = ", ".join(f"coalesce(sum(n[{first + place}] * sign), 0)" for place in range(len(election.options)))
        query = block.replace(_NOTHING_SHOWN, self._shown).replace("/*votes*/", sums)
        kind, _, _ = territory(election)
        async with self._beside() as connection:
            rows = await connection.fetch(query, self.number, election.id, kind, *versions, timeout=_LONG)
        return [_group_of(row) for row in rows]

    async def groups_before(self) -> Mapping[ElectionId, Sequence[Group]] | None:
        """The sums that the corte before has on record; None if it has none."""
        kept = await self._connection.fetchval(SQL["by_place"], self.number - 1)
        return None if kept is None else _read_groups(kept)

    async def rows(
        self,
        election: Election,
        cells: Mapping[tuple[int, int], str],
        *,
        pending: tuple[str, str],
        sink: Callable[[bytes], Coroutine[Any, Any, None]],
    ) -> None:
        """Every row of the election's file, ends of line LF, to `sink` in pieces that may cut a row.

        `cells` holds the four territory cells of each place; `pending` the quantities and the tail of an acta that is
        not captured yet. The fragments hold no control characters, so COPY has nothing to quote.
        """
        kind, _, _ = territory(election)
        entidades, territories = [key[0] for key in cells], [key[1] for key in cells]
        async with self._beside() as connection:
            # COPY streams: a national file is never whole in this process's memory.
            await connection.copy_from_query(
                _block_showing("rows", self._shown),
                self.number,
                election.id,
                str(kind),
                entidades,
                territories,
                list(cells.values()),
                *pending,
                output=sink,
                format="csv",
                delimiter="\x01",
                quote="\x02",
                timeout=_LONG,
            )

    async def rows_of(
        self,
        election: Election,
        versions: Sequence[int],
        cells: Mapping[tuple[int, int], str],
        *,
        pending: tuple[str, str],
    ) -> list[tuple[int, bytes]]:
        """The rows of those versions among the election's, in the order of its file: place from 0, and line.

        `cells` and `pending` are as in `rows`.
        """
        kind, _, _ = territory(election)
        places = ([key[0] for key in cells], [key[1] for key in cells], [*cells.values()])
        async with self._beside() as connection:
            found = await connection.fetch(
                SQL["rows_of"], election.id, str(kind), *places, *pending, list(versions), timeout=_LONG
            )
        return [(row["orden"], row["line"].encode()) for row in found]

    async def expected(self) -> dict[ElectionId, int]:
        """Actas in the catalogue, by election."""
        return {row["election"]: row["rows"] for row in await self._connection.fetch(SQL["expected"])}

    async def fuera(self) -> list[Fuera]:
        # Two blocks for two questions: the rows of now, and the rows that a corte has on record.
        block = "fuera_then" if self._then else "fuera_now"
        return [Fuera(**row) for row in await self._connection.fetch(SQL[block], self.number)]

    async def fresh(self) -> list[Fresh]:
        block = "fresh_then" if self._then else "fresh_now"
        return [Fresh(**row) for row in await self._connection.fetch(SQL[block], self.number, timeout=_LONG)]

    async def decisions(self) -> list[ToldDecision]:
        block = "decisions_then" if self._then else "decisions_now"
        return [ToldDecision(**row) for row in await self._connection.fetch(SQL[block], self.number)]

    async def data(self, found: Callable[[frozenset[int]], Mapping[int, str]]) -> dict[int, str]:
        """The lists of clean data that the manifest of this corte names: digest by corte, in their order.

        `found` gives those that are in the tree, without the cortes that earlier manifests name.
        """
        if self._then:
            rows = await self._connection.fetch(SQL["data_then"], self.number)
            return {row["data_of"]: row["sums"] for row in rows}
        named = frozenset(row["data_of"] for row in await self._connection.fetch(SQL["data_named"]))
        return dict(sorted(found(named).items()))

    async def images(self, wanted: Mapping[bytes, int | None]) -> list[PublishedImage]:
        """Those among `wanted` (image → version) that no corte before has brought out, or not for this acta."""
        # An image goes out once: later cortes point to the same file. If two people moved it to another acta, the list
        # of images names it once more, for that acta.
        rows = await self._connection.fetch(SQL["images"], list(wanted), self.number, list(wanted.values()))
        return [PublishedImage(**row) for row in rows]

    async def on_their_way(self) -> dict[Seccion, str]:
        """The secciones with an acta that has come and is not out, each with a digest of how far and since when.

        It has a connection of its own: a caller may read something else meanwhile.
        """
        async with self._beside() as connection:
            query = _block_showing("on_their_way", SQL["shown_then"])
            rows = await connection.fetch(query, self.number, timeout=_LONG)
        return {(row["entidad"], row["seccion"]): row["far"] for row in rows}

    async def corte(self, number: int) -> Corte | None:
        return await corte(self._connection, number)

    @property
    def connection(self) -> Connection:
        """For the catalogue's own readers."""
        return self._connection

    @asynccontextmanager
    async def _beside(self) -> AsyncIterator[Connection]:
        """Another connection with the same snapshot: elections are read side by side."""
        async with _read_transaction(self._pool) as connection:
            await connection.execute(f"SET TRANSACTION SNAPSHOT '{self._name}'")
            yield connection


def _block_showing(block: str, shown: str) -> str:
    """A block with the table of what it shows in its place; as it stands, the block shows nothing."""
    return SQL[block].replace(_NOTHING_SHOWN, shown)


def _group_of(row: asyncpg.Record) -> Group:
    # The place is three columns of the row; all others are the counts, by their names.
    fields = dict(row)
    place = (ContestId(fields.pop("contest")), fields.pop("entidad"), fields.pop("territory"))
    votes = tuple(fields.pop("votes"))
    return Group(*place, Counts(**fields), votes)


def _write_groups(groups: Mapping[ElectionId, Sequence[Group]]) -> str:
    """By election, one list for each group: its place, its counts, its votes."""
    return json.dumps(
        {
            election: [[*each.place, *astuple(each.counts), *each.votes] for each in of]
            for election, of in groups.items()
        }
    )


def _read_groups(text: str) -> dict[ElectionId, list[Group]]:
    counts = 3 + len(fields(Counts))
    return {
        ElectionId(int(election)): [
            Group(ContestId(each[0]), each[1], each[2], Counts(*each[3:counts]), tuple(each[counts:])) for each in of
        ]
        for election, of in json.loads(text).items()
    }


def _corte_of(row: asyncpg.Record) -> Corte:
    return Corte(**{**row, "phase": Phase(row["phase"])})


@asynccontextmanager
async def _read_transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A read-only transaction. The body also writes files: an OSError of its own says nothing about the database."""
    try:
        # Only these two statements can find the database away: the body's own errors pass through as they are.
        connection = await pool.acquire()
    except GONE as error:
        raise Unavailable("la base de datos no responde; se intentará de nuevo") from error
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection
    except _LOST as error:
        raise Unavailable("se perdió la conexión con la base de datos; se intentará de nuevo") from error
    finally:
        await pool.release(connection)


@asynccontextmanager
async def snapshot(pool: Pool, number: int, *, then: bool) -> AsyncIterator[Snapshot]:
    """One REPEATABLE READ transaction for as long as this lasts."""
    async with _read_transaction(pool) as connection:
        # Exported, so that several connections read at this very moment of the night.
        name = await connection.fetchval("SELECT pg_export_snapshot()")
        yield Snapshot(pool, connection, name, number, then=then)


async def last(connection: Connection) -> Corte | None:
    """The last corte recorded."""
    row = await connection.fetchrow(SQL["last"])
    return None if row is None else _corte_of(row)


async def corte(connection: Connection, number: int) -> Corte | None:
    row = await connection.fetchrow(SQL["corte"], number)
    return None if row is None else _corte_of(row)


@dataclass(frozen=True, slots=True)
class Release:
    """What a corte puts on record besides itself."""

    versions: Sequence[int]
    images: Sequence[bytes]
    counts: Mapping[str, Mapping[str, str]]
    """The thirteen values of each election."""
    groups: Mapping[ElectionId, Sequence[Group]] = field(default_factory=dict)
    """What all its sums are made of: the next corte goes on from them."""
    fuera: Sequence[int] = ()
    """All rows fuera de catálogo that it shows."""
    decisions: Sequence[int] = ()
    data: Mapping[int, str] = field(default_factory=dict)
    """The lists of clean data that its manifest names: digest by corte."""


_DECLARED: Final = "corte_declaracion_simulacro_fkey"
"""The key of a corte to the night that it was made under."""


async def held_back(connection: Connection) -> list[bytes]:
    """Images that a corte could not have."""
    return [row["image"] for row in await connection.fetch(SQL["held_back"])]


async def hold_back(connection: Connection, images: Sequence[bytes], why: str, at: datetime) -> None:
    """What rests on these images and was not published stays as it was, until `let_go`."""
    async with connection.transaction():
        # The row and its events commit together: nobody sees an image held back without the reason.
        await connection.execute(SQL["hold_back"], images, at, why)
        # One event an image: each becomes a leaf of the log, and people see which ones lack.
        for image in images:
            await connection.execute(SQL["add_event"], "imagen_retenida", image.hex(), json.dumps({"causa": why}), at)


async def let_go(connection: Connection, image: bytes) -> None:
    """The image can be had again."""
    await connection.execute(SQL["let_go"], image)


async def record(connection: Connection, new: Corte, release: Release, *, declaration: str) -> None:
    """Make `new` a fact, and with it what it shows: all in one transaction, and only after the corte before it.

    `declaration` is the digest of the night that it was made under. Raises Rejected if another publisher has recorded
    this number meanwhile, if the night is another one now, or if corte 0 must wait for its ceremony.
    """
    # The key to the corte before keeps the order: two publishers cannot both follow the same one.
    previous = new.number - 1 if new.number else None
    counts = json.dumps(release.counts, ensure_ascii=False)
    try:
        async with connection.transaction():
            # The corte and everything it shows commit together: a corte on record can always be made again.
            # If we stop before the commit there is no corte, and the next look cuts it anew.
            head = (new.number, new.at, new.phase, previous, new.sums)
            by_place = _write_groups(release.groups)
            await connection.execute(SQL["record"], *head, counts, new.due, new.simulacro, declaration, by_place)
            await connection.execute(SQL["publish_versions"], release.versions, new.number, timeout=_LONG)
            await connection.execute(SQL["publish_images"], release.images, new.number, timeout=_LONG)
            await connection.execute(SQL["publish_fuera"], release.fuera, new.number)
            await connection.execute(SQL["publish_decisions"], release.decisions, new.number)
            await connection.execute(SQL["publish_data"], [*release.data], [*release.data.values()], new.number)
            await connection.execute(
                SQL["move"], release.versions, new.at, _PUBLISHABLE, Move.PUBLICACION, timeout=_LONG
            )
    # The number is taken, or the corte before is missing: another publisher led meanwhile.
    except (asyncpg.UniqueViolationError, asyncpg.ForeignKeyViolationError) as error:
        if error.constraint_name == _DECLARED:
            raise NightChanged from error
        raise Rejected(f"otro proceso ya publicó el corte {new.number}", status=409) from error
    except asyncpg.PostgresError as error:
        if not isinstance(error, GONE):
            raise refusal_of(error) or error from error
        raise Unavailable("la base de datos no responde; el corte queda para el siguiente intento") from error
    except GONE as error:
        raise Unavailable("la base de datos no responde; el corte queda para el siguiente intento") from error


async def add_event(pool: Pool, kind: str, subject: str, detail: Mapping[str, Any], at: datetime) -> None:
    async with transaction(pool) as connection:
        await connection.execute(SQL["add_event"], kind, subject, json.dumps(detail, ensure_ascii=False), at)


async def incidents(connection: Connection) -> list[ToldIncident]:
    """The incidents that stand, in the order in which they were told."""
    return [
        ToldIncident(int(row["subject"].removeprefix(_INCIDENT)), row["text"], row["at"])
        for row in await connection.fetch(SQL["incidents"])
    ]


async def tell_incident(pool: Pool, text: str, at: datetime) -> int:
    """Put an incident on record; returns its number, from 1 on."""
    async with transaction(pool) as connection:
        await connection.execute(SQL["number_incidents"])
        number: int = 1 + await connection.fetchval(SQL["last_incident"])
        said = json.dumps({"texto": text}, ensure_ascii=False)
        await connection.execute(SQL["add_event"], "incidente_publicado", f"{_INCIDENT}{number}", said, at)
    return number


async def end_incident(pool: Pool, number: int, at: datetime) -> bool:
    """Put on record that it is over; False if no such incident stands."""
    async with transaction(pool) as connection:
        await connection.execute(SQL["number_incidents"])
        if number not in {each.number for each in await incidents(connection)}:
            return False
        await connection.execute(SQL["add_event"], "incidente_terminado", f"{_INCIDENT}{number}", "{}", at)
    return True


_INCIDENT: Final = "incidente "
"""Begins the subject of both events; its number follows."""


async def listed(
    shown: Snapshot, election: Election, places: Sequence[tuple[int, int]]
) -> AsyncIterator[list[dict[str, Any]]]:
    """Every acta of those places (entidad, territory) in the order of the election's file, in blocks."""
    kind, _, _ = territory(election)
    # A cursor: pages are written as rows come, and never held all at once.
    query = _block_showing("listed", SQL["shown_then"])
    entidades, numbers = [each[0] for each in places], [each[1] for each in places]
    cursor = await shown.connection.cursor(query, shown.number, election.id, str(kind), entidades, numbers)
    while rows := await cursor.fetch(_BLOCK):
        yield [*map(dict, rows)]


async def brought_out(shown: Snapshot) -> int:
    """How many versions this corte brings out."""
    number: int = await shown.connection.fetchval(SQL["brought_out"], shown.number)
    return number


async def pages(shown: Snapshot) -> AsyncIterator[dict[str, Any]]:
    """Everything about each version that this corte brings out."""
    async for row in shown.connection.cursor(SQL["pages"], shown.number, prefetch=500):
        yield dict(row)


async def history(shown: Snapshot) -> list[Before]:
    """Every corte up to the one that is shown, in order."""
    rows = await shown.connection.fetch(SQL["history"], shown.number)
    return [Before(row["number"], row["at"], Phase(row["phase"]), json.loads(row["counts"])) for row in rows]


async def versions_before(shown: Snapshot, actas: Sequence[int]) -> list[dict[str, Any]]:
    """Versions of those actas that earlier cortes published, the oldest first."""
    rows = await shown.connection.fetch(SQL["versions_before"], shown.number, actas, timeout=_LONG)
    return [dict(row) for row in rows]


async def captures_of(shown: Snapshot, actas: Sequence[int]) -> list[dict[str, Any]]:
    """The captures on which this corte's versions of those actas stand, and whether each agrees with it."""
    return [dict(row) for row in await shown.connection.fetch(SQL["captures_of"], shown.number, actas, timeout=_LONG)]


async def sections(shown: Snapshot, wanted: Sequence[Seccion] | None) -> AsyncIterator[dict[str, Any]]:
    """Every acta of those secciones, sección by sección; None: of all secciones."""
    query = _block_showing("sections", SQL["shown_then"])
    keys = (None, None) if wanted is None else ([each[0] for each in wanted], [each[1] for each in wanted])
    async for row in shown.connection.cursor(query, shown.number, *keys, prefetch=1000):
        yield dict(row)


async def seccion_numbers(shown: Snapshot) -> list[Seccion]:
    """Every sección."""
    return [(row["entidad"], row["seccion"]) for row in await shown.connection.fetch(SQL["seccion_numbers"])]


async def known_places(shown: Snapshot) -> list[tuple[int, int, str, str, str]]:
    """Entidad, sección, municipio, name and address of the places of casillas, as far as the catalogue states them."""
    return [tuple(row) for row in await shown.connection.fetch(SQL["known_places"])]


async def municipio_blocks(shown: Snapshot) -> list[tuple[int, str, int]]:
    """Entidad, municipio and hundred of secciones, for each hundred in which a municipio has a casilla."""
    return [tuple(row) for row in await shown.connection.fetch(SQL["municipio_blocks"])]


async def reasoned(shown: Snapshot, election: Election) -> list[dict[str, Any]]:
    """The actas that the lists of the pages name, in the order of the official file."""
    query = _block_showing("reasoned", SQL["shown_then"])
    return [dict(row) for row in await shown.connection.fetch(query, shown.number, election.id, timeout=_LONG)]
