"""How the night stands in the database: actas, images, people's queues, messages. One look is one query."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prep.domain.acta import Estado
from prep.store.database import Connection, sql

SQL: Final = sql("gauges")

IMAGE_STATES: Final = ("recibida", "por_identificar", "identificada", "fuera_de_catalogo", "ilegible")
TASKS: Final = ("identificacion", "captura_1", "captura_2", "captura_3", "resolucion")
"""The tasks that wait for a person, in the order of an acta's way."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queue, and the age in seconds of its oldest; 0 if it is empty."""

    count: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Gauges:
    """Every state and task has its number, 0 included, so that a gauge never keeps an old one."""

    actas: Mapping[str, int]
    images: Mapping[str, int]
    tasks: Mapping[str, Waiting]
    outbox: Waiting
    parked: int


async def look(connection: Connection, at: datetime) -> Gauges:
    # One query tells everything with one snapshot, so the numbers of a look agree with each other.
    seen: dict[str, dict[str, Waiting]] = {}
    for row in await connection.fetch(SQL["look"]):
        # Not below 0: the clocks of two machines may differ by a little.
        oldest = max(0.0, (at - row["since"]).total_seconds()) if row["since"] else 0.0
        seen.setdefault(row["what"], {})[row["label"]] = Waiting(row["waiting"], oldest)

    def count(what: str, label: str = "") -> int:
        return seen.get(what, {}).get(label, NOTHING).count

    # An acta that nobody has touched has no row: those are the expected ones without the others.
    actas = {estado.value: count("acta", estado) for estado in Estado}
    actas[Estado.ESPERADA] = count("expected") - sum(actas.values())
    return Gauges(
        actas=actas,
        images={state: count("image", state) for state in IMAGE_STATES},
        tasks={task: seen.get("task", {}).get(task, NOTHING) for task in TASKS},
        outbox=seen["outbox"][""],
        parked=count("parked"),
    )


NOTHING: Final = Waiting(0, 0.0)
