"""Sums of an election: the thirteen summary values, percentages, and coalition votes given to parties and candidacies.

`domain.md` §4. Every percentage is truncated to four decimals, never rounded. Coalition votes are distributed contest
by contest; a state's figures are the sum of its contests, never a distribution of their sum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from prep.domain.catalog import Candidacy, Clase, Option

SCALE: Final = 10**4


def percent(part: int, whole: int) -> str:
    """`part` of `whole` in per cent with four truncated decimals, as "97.9907"; "0.0000" of nothing."""
    if part < 0 or whole < 0:
        raise ValueError(f"a percentage of {part} in {whole}")
    scaled = part * 100 * SCALE // whole if whole else 0
    return f"{scaled // SCALE}.{scaled % SCALE:04}"


@dataclass(frozen=True, slots=True)
class Counts:
    """The integers behind the summary of some set of actas."""

    esperadas: int = 0
    fuera_catalogo: int = 0
    contabilizadas: int = 0
    no_contabilizadas: int = 0
    inconsistentes: int = 0
    sin_acta: int = 0
    lista_nominal: int = 0
    """Of the counted actas."""
    votos_con_especiales: int = 0
    votos_sin_especiales: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def capturadas(self) -> int:
        return self.contabilizadas + self.no_contabilizadas


SUMMARY_NAMES: Final = (
    "ACTAS_ESPERADAS",
    "ACTAS_REGISTRADAS",
    "ACTAS_FUERA_CATALOGO",
    "ACTAS_CAPTURADAS",
    "PORCENTAJE_ACTAS_CAPTURADAS",
    "ACTAS_CONTABILIZADAS",
    "PORCENTAJE_ACTAS_CONTABILIZADAS",
    "PORCENTAJE_ACTAS_INCONSISTENCIAS",
    "ACTAS_NO_CONTABILIZADAS",
    "LISTA_NOMINAL_ACTAS_CONTABILIZADAS",
    "TOTAL_VOTOS_C_CS",
    "TOTAL_VOTOS_S_CS",
    "PORCENTAJE_PARTICIPACION_CIUDADANA",
)


def summary(counts: Counts, *, with_especiales: bool, sin_acta_not_counted: bool = True) -> dict[str, str]:
    """The thirteen values by their official names, in their order.

    In some elections actas *sin acta* are captured, and yet no part of ACTAS_NO_CONTABILIZADAS.

    `with_especiales` says which votes make the participation: those of all casillas (last corte) or those without the
    especial ones (during the night).
    """
    voted = counts.votos_con_especiales if with_especiales else counts.votos_sin_especiales
    values = (
        counts.esperadas,
        counts.capturadas + counts.fuera_catalogo,
        counts.fuera_catalogo,
        counts.capturadas,
        percent(counts.capturadas, counts.esperadas),
        counts.contabilizadas,
        percent(counts.contabilizadas, counts.esperadas),
        percent(counts.inconsistentes, counts.esperadas),
        counts.no_contabilizadas - (0 if sin_acta_not_counted else counts.sin_acta),
        counts.lista_nominal,
        counts.votos_con_especiales,
        counts.votos_sin_especiales,
        percent(voted, counts.lista_nominal),
    )
    return {name: str(value) for name, value in zip(SUMMARY_NAMES, values, strict=True)}


def distribute(votes: Mapping[int, int], options: Sequence[Option]) -> dict[int, int]:
    """One contest's votes by option position, the combinations divided among their parties.

    Each combination is divided evenly; what remains is handed out one vote at a time to its parties in descending order
    of their own votes in this contest. *Check:* equal own votes are told apart by the order of the ballot.
    Returns votes of every option but the combinations; the sum is unchanged.
    """
    shares = {
        option.position: votes.get(option.position, 0) for option in options if option.clase is not Clase.COALICION
    }
    own = dict(shares)
    for option in options:
        if option.clase is not Clase.COALICION:
            continue
        each, rest = divmod(votes.get(option.position, 0), len(option.parties))
        ranked = sorted(option.parties, key=lambda party: (-own[party], party))
        for rank, party in enumerate(ranked):
            shares[party] += each + (rank < rest)
    return shares


def candidacy_votes(votes: Mapping[int, int], candidacy: Candidacy) -> int:
    """Votes of one candidacy: its parties and all their combinations, undistributed."""
    return sum(votes.get(position, 0) for position in candidacy.options)
