"""The sums of an election: the thirteen summary values, percentages, and the votes of parties and candidacies.

The rules are in `docs/rules.md` §4. A percentage is cut after four decimals and never rounded. The votes of a coalition
are divided among its parties in each contest. The figures of a state are the sum of its contests. Dividing the state's
total in one step would give other figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from prep.domain.catalog import Candidacy, Clase, Option

SCALE: Final = 10**4


def percent(part: int, whole: int) -> str:
    """`part` of `whole` in per cent, cut after four decimals, for example "97.9907". If `whole` is 0, "0.0000"."""
    if part < 0 or whole < 0:
        raise ValueError(f"a percentage of {part} in {whole}")
    # Integers only: a float would round, and the official files cut (proved on 98 cortes, rules.md §4).
    scaled = part * 100 * SCALE // whole if whole else 0
    return f"{scaled // SCALE}.{scaled % SCALE:04}"


@dataclass(frozen=True, slots=True)
class Counts:
    """The integers from which the summary of a set of actas is computed."""

    esperadas: int = 0
    fuera_catalogo: int = 0
    contabilizadas: int = 0
    no_contabilizadas: int = 0
    inconsistentes: int = 0
    sin_acta: int = 0
    lista_nominal: int = 0
    """Of the counted actas only."""
    votos_con_especiales: int = 0
    votos_sin_especiales: int = 0
    lista_por_capturar: int = 0
    """Lista nominal of the actas that are not captured yet."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def capturadas(self) -> int:
        return self.contabilizadas + self.no_contabilizadas

    @property
    def por_capturar(self) -> int:
        return self.esperadas - self.capturadas


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
    """The thirteen summary values by official name, in official order.

    `with_especiales` says which votes count for the participation: those of all casillas (in the last corte), or those
    without the especial casillas (during the night).

    `sin_acta_not_counted` says whether ACTAS_NO_CONTABILIZADAS includes the actas *sin acta*. In every election they
    are captured.
    """
    # People vote in an especial casilla without being in its lista nominal, so their votes would raise the
    # participation.
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
    """Divide the votes of one contest's combinations among their parties. `votes` is by option position.

    Each party of a combination gets the same number of votes. The remaining votes go one by one to the parties with
    the most votes of their own in this contest. *Check:* if two have the same, the order of the ballot decides.
    Returns the votes of every option that is not a combination. The sum of all votes does not change.
    """
    shares = {
        option.position: votes.get(option.position, 0) for option in options if option.clase is not Clase.COALICION
    }
    # The order is by the parties' own votes, before any combination gave them more; so keep a copy.
    own = dict(shares)
    for option in options:
        if option.clase is not Clase.COALICION:
            continue
        each, rest = divmod(votes.get(option.position, 0), len(option.parties))
        # Most own votes first. With equal votes, the lower position on the ballot first (*check*).
        ranked = sorted(option.parties, key=lambda party: (-own[party], party))
        for rank, party in enumerate(ranked):
            shares[party] += each + (rank < rest)
    return shares


def candidacy_votes(votes: Mapping[int, int], candidacy: Candidacy) -> int:
    """The votes of one candidacy: those of its parties and of all their combinations, which are not divided here."""
    return sum(votes.get(position, 0) for position in candidacy.options)
