"""How the night stands in the database: actas, images, people's queues, messages. One look, a few index scans."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prep.domain.acta import Estado
from prep.store.database import Connection, sql

SQL: Final = sql("gauges")

IMAGE_STATES: Final = ("recibida", "por_identificar", "identificada", "fuera_de_catalogo", "ilegible")
TASK_KINDS: Final = ("captura", "identificacion", "resolucion")


@dataclass(frozen=True, slots=True)
class Gauges:
    """Every state and kind has its number, 0 included, so that a gauge never keeps an old one."""

    actas: Mapping[str, int]
    images: Mapping[str, int]
    queue: Mapping[str, int]
    oldest: Mapping[str, float]
    """Seconds since the oldest task of each kind was made; 0 where none waits."""
    outbox: int
    parked: int


async def look(connection: Connection, at: datetime) -> Gauges:
    actas = {row["estado"]: row["actas"] for row in await connection.fetch(SQL["actas"])}
    images = {row["state"]: row["images"] for row in await connection.fetch(SQL["images"])}
    tasks = {row["kind"]: (row["tasks"], row["oldest"]) for row in await connection.fetch(SQL["queue"], at)}
    messages = await connection.fetchrow(SQL["messages"])
    assert messages is not None
    actas[Estado.ESPERADA] = await connection.fetchval(SQL["expected"]) - sum(actas.values())
    return Gauges(
        actas={estado.value: actas.get(estado, 0) for estado in Estado},
        images={state: images.get(state, 0) for state in IMAGE_STATES},
        queue={kind: tasks.get(kind, (0, 0.0))[0] for kind in TASK_KINDS},
        oldest={kind: tasks.get(kind, (0, 0.0))[1] for kind in TASK_KINDS},
        outbox=messages["outbox"],
        parked=messages["parked"],
    )
