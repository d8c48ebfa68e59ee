"""The log in the database: which facts have no leaf yet, the leaves in their order, and the head of the tree."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

import asyncpg

from integrity import leaves
from integrity.log.writer import Head
from prep.domain import row as official_row
from prep.domain.decision import SIN_ACTA_OF
from prep.domain.entry import from_columns
from prep.domain.rules import Observation, rule_set
from prep.store.database import Connection, sql
from prep.store.leading import Leader
from prep.store.night import NightChanged
from prep.store.pipeline import RETIRO

SQL: Final = sql("log")
KINDS: Final = (
    *("inicio", "rotacion", "software", "cero", "imagen", "derivada", "captura", "resolucion", "sin_acta"),
    *("identidad", "cotejo", "version", "incidente", "perdida", "corte", "cierre", "acto"),
)
"""In the order in which the facts of one batch become leaves."""
LAST: Final = frozenset({"corte", "cierre", "acto"})
"""Kinds that wait until the log has everything that was committed before: the facts of a corte stand before it."""
_FRESH: Final = """
WHERE f.reference > $1 AND NOT EXISTS (
    SELECT FROM log_leaf l WHERE l.kind = '{kind}' AND l.reference = f.reference AND l.reference > $1
)
ORDER BY f.reference
LIMIT $2"""
_AGAIN: Final = "\nWHERE f.reference = ANY ($1::bigint[])"
_LONG: Final = 300.0
"""Seconds that the first look of a sequencer at a whole night may take."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One row that is to become a leaf: the leaf's fields, and of an image its device."""

    kind: str
    reference: int
    fields: Mapping[str, Any]
    device: str | None = None

    def leaf(self, number: int, before: str | None) -> bytes:
        """`before` is the link to the device's leaf before; None for its first, and for facts of no device."""
        return leaves.leaf(self.kind, number, {**self.fields, **({"anterior": before} if self.device else {})})


@dataclass(frozen=True, slots=True)
class Leaf:
    index: int
    kind: str
    reference: int
    content: bytes


async def fresh(connection: Connection, kind: str, after: int, limit: int) -> list[Fact]:
    """Facts of that kind without a leaf, those with a reference above `after`, lowest first."""
    query = f"SELECT f.* FROM ({SQL[kind]}\n) AS f{_FRESH.format(kind=kind)}"  # noqa: S608  # our own blocks
    return [_fact_of(kind, row) for row in await connection.fetch(query, after, limit, timeout=_LONG)]


async def again(connection: Connection, kind: str, references: Sequence[int]) -> dict[int, Fact]:
    """The facts of those references, as they are now; those that are gone are missing."""
    return {row["reference"]: _fact_of(kind, row) for row in await _rows_again(connection, kind, references)}


async def _rows_again(connection: Connection, kind: str, references: Sequence[int]) -> list[asyncpg.Record]:
    query = f"SELECT f.* FROM ({SQL[kind]}\n) AS f{_AGAIN}"  # noqa: S608
    return list(await connection.fetch(query, references, timeout=_LONG))


async def writers(connection: Connection) -> frozenset[str]:
    """The transactions that may have taken a number of a fact and not committed it."""
    return frozenset(row["writer"] for row in await connection.fetch(SQL["writers"]))


async def marks(connection: Connection) -> dict[str, int]:
    """The highest reference of each kind that has a leaf."""
    return {row["kind"]: row["reference"] for row in await connection.fetch(SQL["marks"], timeout=_LONG)}


def _timestamp_text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _fact_of(kind: str, row: asyncpg.Record) -> Fact:
    return Fact(kind, row["reference"], _FIELDS[kind](row), row["device"] if kind == "imagen" else None)


def _start_fields(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "origen": row["origen"],
        "simulacro": row["simulacro"],
        "catalogo": row["catalogo"],
        "reglas": row["reglas"],
        "politica": leaves.text_digest(row["politica"]),
        "clave": row["clave"],
        **({"declaracion": row["declaracion"]} if row["declaracion"] else {}),
        "dispositivos": leaves.keys_digest(zip(row["nombres"] or [], row["claves"] or [], strict=True)),
        "fecha_hora": _timestamp_text(row["at"]),
    }


def _image_fields(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "sha256": row["image"].hex(),
        "bytes": row["bytes"],
        "dispositivo": row["device"],
        "secuencia": row["sequence"],
        "recibida": _timestamp_text(row["received_at"]),
    }


# What each kind of statement says of its acta, from the columns of its query (`leaves.OPENINGS`).
_SAID: Final[Mapping[str, Callable[[asyncpg.Record], dict[str, Any]]]] = {
    "captura": lambda row: {
        "ronda": row["ronda"],
        "ordinal": row["ordinal"],
        "numeros": row["numbers"],
        "marcas": row["marks"],
    },
    "resolucion": lambda row: {"ronda": row["ronda"], "elige": row["ordinal"]},
    "sin_acta": lambda row: {"criterio": SIN_ACTA_OF[row["reason"]].value},
    "identidad": lambda row: {"imagen": row["image"].hex()},
    "cotejo": lambda row: {"ronda": row["ronda"], "resultado": row["cotejada"]},
}


def _statement(kind: str, row: asyncpg.Record) -> dict[str, Any]:
    said = _SAID[kind](row)
    if row["clave"] is None:  # an image of no acta of the catalogue: the pseudonym is of this image alone
        persona = leaves.pseudonym(row["secret"], leaves.NO_ACTA, said["imagen"], row["person"])
        return {"eleccion": leaves.NO_ACTA, "acta": leaves.NO_ACTA, "persona": persona, **said}
    persona = leaves.pseudonym(row["secret"], row["code"], row["clave"], row["person"])
    return {"eleccion": row["code"], "acta": row["clave"], "persona": persona, **said}


def _commitment_fields(kind: str) -> Callable[[asyncpg.Record], dict[str, Any]]:
    # A commitment and no values: nobody can read a statement from the log before it is opened.
    return lambda row: {"compromiso": leaves.commitment(row["salt"], **_statement(kind, row))}


def _version_fields(row: asyncpg.Record) -> dict[str, Any]:
    # The two cells of the limits, joined as they stand in a line of the official file.
    limit = f"{row['lista_nominal']},{row['representantes']}"
    shown = leaves.cells(row["quantities"], limit, row["tail"])
    digest = leaves.row_digest(row["code"], row["clave"], shown)
    return {"eleccion": row["code"], "acta": row["clave"], "contenido": digest}


# The contents of a leaf by its kind, from the columns of its query. `integrity.leaves` says how it is written.
_FIELDS: Final[Mapping[str, Callable[[asyncpg.Record], dict[str, Any]]]] = {
    "inicio": _start_fields,
    "rotacion": lambda row: {
        "de": row["de"],
        "nombre": row["nombre"],
        "clave": row["public_key"].hex(),
        "fecha_hora": _timestamp_text(row["at"]),
    },
    "imagen": _image_fields,
    "derivada": lambda row: {"imagen": row["image"].hex(), "sha256": row["web"].hex(), "acta": row["clave"]},
    **{kind: _commitment_fields(kind) for kind in leaves.OPENINGS},
    "perdida": lambda row: {
        "dispositivo": row["device"],
        "numeros": row["numbers"],
        "motivo": row["reason"],
        "fecha_hora": _timestamp_text(row["at"]),
    },
    "version": _version_fields,
    "incidente": lambda row: {
        "clase": row["kind"],
        "asunto": row["subject"],
        "detalle": leaves.detail_digest(json.loads(row["detail"])),
        "fecha_hora": _timestamp_text(row["at"]),
    },
    "corte": lambda row: {
        "corte": row["reference"],
        "fase": row["phase"],
        "sha256sums": row["sums"],
        "fecha_hora": _timestamp_text(row["at"]),
    },
    "software": lambda row: {
        "momento": row["momento"],
        "lista": leaves.text_digest(row["content"]),
        "fecha_hora": _timestamp_text(row["at"]),
    },
    "cero": lambda row: {
        "conteos": leaves.text_digest(row["content"]),
        "software": None if row["software"] is None else leaves.text_digest(row["software"]),
        "fecha_hora": _timestamp_text(row["at"]),
    },
    "acto": lambda row: {
        "momento": row["momento"],
        "corte": row["number"],
        "sha256sums": row["sums"],
        "documentos": leaves.text_digest(row["content"]),
        "fecha_hora": _timestamp_text(row["at"]),
    },
    "cierre": lambda row: {"corte": row["reference"], "sha256sums": row["sums"]},
}


# --- the beginning ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """What the log begins with."""

    at: datetime
    origen: str
    simulacro: bool
    catalogo: str
    reglas: str
    politica: str
    clave: str
    declaracion: str | None
    """Digest of the night's declaration; None in a log that is older than declarations."""


async def start(connection: Connection) -> Start | None:
    row = await connection.fetchrow(SQL["start"])
    return None if row is None else Start(**row)


async def anything(connection: Connection) -> bool:
    """Whether the night has any fact at all."""
    # The first leaf waits for it: until then the timetable and the catalogue may still change.
    found: bool = await connection.fetchval(SQL["anything"])
    return found


async def begin(connection: Connection, new: Start) -> None:
    """Put the beginning on record, once. Raises NightChanged if another night is declared than `new` names."""
    # The table holds one row: a second beginning, of a sequencer that lost the lead, is refused.
    said = (new.at, new.origen, new.simulacro, new.catalogo, new.reglas, new.politica, new.clave, new.declaracion)
    try:
        await connection.execute(SQL["begin"], *said)
    except asyncpg.ForeignKeyViolationError as error:
        raise NightChanged from error


async def learn_devices(connection: Connection) -> None:
    """Keep the key of every device enrolled since."""
    # A device's own row may change later; the log tells the key that was there first.
    await connection.execute(SQL["learn_devices"])


async def hand_over(connection: Connection, name: str, public: bytes, at: datetime) -> None:
    """Put on record, once, that the log passes to that key."""
    await connection.execute(SQL["hand_over"], name, public, at)


async def handed_over(connection: Connection) -> list[tuple[bytes, int]]:
    """The keys that the log has passed to, in order, each with the index of its leaf."""
    return [(row["public_key"], row["index"]) for row in await connection.fetch(SQL["handed_over"])]


# --- leaves -----------------------------------------------------------------------------------------------------------


async def length(connection: Connection) -> int:
    found: int = await connection.fetchval(SQL["length"])
    return found


async def add(connection: Connection, new: Sequence[tuple[Leaf, str | None]]) -> None:
    """Put leaves on record, each with its device if it has one."""
    await connection.execute(
        SQL["add"],
        # The primary key is the index: two sequencers cannot put different leaves in one place.
        [leaf.index for leaf, _ in new],
        [leaf.kind for leaf, _ in new],
        [leaf.reference for leaf, _ in new],
        [device for _, device in new],
        [leaf.content for leaf, _ in new],
        timeout=_LONG,
    )


async def stored(connection: Connection, first: int, limit: int) -> list[Leaf]:
    """Leaves from that index on."""
    return [Leaf(**row) for row in await connection.fetch(SQL["leaves"], first, limit)]


async def last_of_devices(connection: Connection, devices: Sequence[str]) -> dict[str, str]:
    """The link to the last leaf of each of them that has one."""
    return {
        row["device"]: leaves.link(row["content"])
        for row in await connection.fetch(SQL["last_of_devices"], list(devices))
    }


async def cortes(connection: Connection) -> dict[int, int]:
    """The index of each corte's leaf."""
    return {row["number"]: row["index"] for row in await connection.fetch(SQL["cortes"])}


_OPENED: Final = {
    "captura": "openings_captura",
    "resolucion": "openings_resolucion",
    "sin_acta": "openings_sin_acta",
    "identidad": "openings_identidad",
    "cotejo": "openings_cotejo",
}
"""The query that finds the leaves of each kind of statement that a corte opens."""


async def openings(connection: Connection, corte: int) -> list[dict[str, Any]]:
    """What the commitments of the actas that this corte brought out were to (`leaves.OPENINGS`), in the log's order."""
    lines = []
    for kind, block in _OPENED.items():
        places = {row["reference"]: row["index"] for row in await connection.fetch(SQL[block], corte, timeout=_LONG)}
        for row in await _rows_again(connection, kind, list(places)):
            line = {"numero": places[row["reference"]], **_statement(kind, row), "sal": row["salt"].hex()}
            lines.append(line)
    return sorted(lines, key=lambda line: int(line["numero"]))


# --- the head ---------------------------------------------------------------------------------------------------------


class LedState:
    """`integrity.log.State` on the session that leads: a session that has lost the lead swaps nothing.

    Its methods are called from a thread, and their statements run on the loop.
    """

    def __init__(self, leader: Leader, loop: asyncio.AbstractEventLoop) -> None:
        self._leader = leader
        self._loop = loop

    def read(self) -> Head | None:
        # Called from the thread that writes files; the session belongs to the loop.
        return asyncio.run_coroutine_threadsafe(self._read_head(), self._loop).result()

    def swap(self, expected: Head | None, new: Head) -> bool:
        return asyncio.run_coroutine_threadsafe(self._swap_head(expected, new), self._loop).result()

    async def _read_head(self) -> Head | None:
        async with self._leader.using() as connection:
            return await head(connection)

    async def _swap_head(self, expected: Head | None, new: Head) -> bool:
        async with self._leader.using() as connection:
            # Compared and swapped in one statement: a head that is not the expected one stays, and the caller hears it.
            if expected is None:
                swapped = await connection.fetchval(SQL["first_state"], new.size, new.root)
            else:
                pair = (expected.size, expected.root, new.size, new.root)
                swapped = await connection.fetchval(SQL["swap_state"], *pair)
        return bool(swapped)


async def head(connection: Connection) -> Head | None:
    row = await connection.fetchrow(SQL["read_state"])
    return None if row is None else Head(row["size"], row["root"])


# If we stop before it, the next run signs the same head again.
async def sign(connection: Connection, size: int, checkpoint: bytes) -> None:
    """Keep the signed checkpoint of the head, if it is still the head."""
    await connection.execute(SQL["sign_state"], size, checkpoint)


async def tell_of_witness(connection: Connection, name: str, sentence: str, at: datetime) -> bool:
    """Keep that a witness says no, once; whether this is the first time."""
    # As an event it becomes a leaf: the doubt stands in the log that was doubted.
    said = json.dumps({"dice": sentence}, ensure_ascii=False)
    return bool(await connection.fetchval(SQL["tell_of_witness"], name, said, at))


# --- looking back -----------------------------------------------------------------------------------------------------


async def every_leaf(connection: Connection, some: int) -> AsyncIterator[list[Leaf]]:
    """All leaves in their order, `some` at a time."""
    first = 0
    # By index and not by a cursor: an audit of hours must not hold a transaction open.
    while batch := await stored(connection, first, some):
        yield batch
        first = batch[-1].index + 1


async def cells_that_differ(connection: Connection, versions: Sequence[int], zone: tzinfo) -> dict[int, str]:
    """Of those acta versions, which hold text that their own numbers do not give; the name of the fragment.

    `zone` is that of the night.
    """
    return {
        row["reference"]: found
        for row in await connection.fetch(SQL["versions"], versions, timeout=_LONG)
        # Only the versions that differ: an honest night gives an empty answer.
        if (found := _differing_fragment(row, zone))
    }


def _differing_fragment(row: asyncpg.Record, zone: tzinfo) -> str:
    # The text that was published is made again from the facts, and compared with the text on record.
    rules = rule_set(row["rules"])
    try:
        if row["reason"] == RETIRO:
            pending = (official_row.quantities_pending(row["options"]), official_row.tail_pending())
            return "" if (row["quantities"], row["tail"]) == pending else "quantities"
        values = from_columns(row["numbers"], row["marks"]) if row["numbers"] else None
        observations = tuple(Observation(code) for code in row["observations"])
    except ValueError:
        return "numbers"
    quantities = (
        official_row.quantities_sin_acta(row["options"], row["ballot"])
        if values is None
        else official_row.quantities(values, row["calculado"])
    )
    tail = official_row.tail(
        observations=rules.published(observations),
        contabilizada=row["contabilizada"],
        traslado=row["traslado"],
        image=row["image"].hex() if row["image"] else None,
        acopio_at=row["acopio_at"],
        captura_at=row["captura_at"],
        verificacion_at=row["verificacion_at"],
        origen=row["origen"],
        digitalizacion=row["digitalizacion"],
        tipo_documento=row["tipo_documento"],
        cotejada=row["cotejada"],
        zone=zone,
    )
    return "quantities" if quantities != row["quantities"] else "tail" if tail != row["tail"] else ""


async def without_leaf(connection: Connection) -> int:
    """Facts that are not in the log yet."""
    # Zero says that a corte may close the night: every fact is a leaf.
    found: int = await connection.fetchval(SQL["without_leaf"], timeout=_LONG)
    return found
