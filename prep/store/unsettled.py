"""What a night still has open: told on the board, and asked before a person orders the last corte.

That no task waits does not mean that all is settled: an acta may never have come, and a capture may not be compared
yet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from prep.store.database import Connection, sql

SQL: Final = sql("unsettled")


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Counts at one moment. `UnsettledPart` in `capture/supervision_answers.py` says what each counts."""

    esperadas: int
    capturadas: int
    sin_imagen: int
    en_captura: int
    sin_comparar: int
    por_identificar: int
    sin_leer: int
    propuestas: int
    apartados: int
    retenidas: int
    en_camino: int

    @property
    def complete(self) -> bool:
        """Whether nothing may still change a number: captured is not enough while anything waits."""
        open_ = (self.en_captura, self.por_identificar, self.sin_leer, self.propuestas, self.apartados, self.retenidas)
        return self.capturadas == self.esperadas and not any(open_) and not self.en_camino

    def in_words(self) -> list[str]:
        """The open work, each kind in one Spanish phrase; empty if all is settled."""
        return [say(count) for name, say in _PHRASES.items() if (count := getattr(self, name))]


def _phrase(one: str, many: str) -> Callable[[int], str]:
    return lambda count: one if count == 1 else many.format(count)


_PHRASES: Final[Mapping[str, Callable[[int], str]]] = MappingProxyType(
    {
        "sin_imagen": _phrase("de 1 acta no llegó imagen", "de {} actas no llegó imagen"),
        "en_captura": _phrase("1 acta se está capturando", "{} actas se están capturando"),
        "sin_comparar": _phrase(
            "la captura de 1 acta no se compara aún", "las capturas de {} actas no se comparan aún"
        ),
        "por_identificar": _phrase("1 imagen está por identificar", "{} imágenes están por identificar"),
        "sin_leer": _phrase("1 imagen no se ha leído", "{} imágenes no se han leído"),
        "propuestas": _phrase("1 propuesta espera a otra persona", "{} propuestas esperan a otra persona"),
        "apartados": _phrase("1 mensaje está apartado", "{} mensajes están apartados"),
        "retenidas": _phrase("1 imagen está retenida", "{} imágenes están retenidas"),
        "en_camino": _phrase("1 aviso va en camino", "{} avisos van en camino"),
    }
)


async def unsettled(connection: Connection) -> Unsettled:
    row = await connection.fetchrow(SQL["unsettled"])
    assert row is not None
    return Unsettled(**row)
