"""The criteria of an election as data: what is observed of an acta, whether it counts, and the words that say so.

`docs/rules.md` §4-5. Institutes and years differ, so every switch and every text belongs to a named `RuleSet`;
the election names one, and the digest of the set goes into every manifest. Observations are computed, never typed.
They look at vote fields only: a blank *boletas sobrantes* is no observation, and a written total that differs from the
sum is none either.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

from prep.domain.entry import Field, Mark, Values
from prep.errors import Code, Rejected


class Observation(StrEnum):
    """Stable codes of the criteria; the text that is published belongs to the rule set."""

    EXCEDE = "excede_lista_nominal"
    TODOS_ILEGIBLES = "todos_ilegibles"
    TODOS_VACIOS = "todos_vacios"
    TODOS_SIN_NUMERO = "todos_sin_numero"
    """No field holds a number, illegible and blank mixed."""
    ILEGIBLE = "ilegible"
    SIN_DATO = "sin_dato"
    SIN_ACTA_1 = "sin_acta_1"
    """Paquete no entregado."""
    SIN_ACTA_2 = "sin_acta_2"
    """Casilla no instalada."""
    SIN_ACTA_3 = "sin_acta_3"
    """Paquete entregado sin sobre PREP."""
    SIN_ACTA_4 = "sin_acta_4"
    """Contingency of the electronic urn."""
    PROCESO_TECNICO = "proceso_tecnico_operativo"
    FUERA_DE_CATALOGO = "fuera_de_catalogo"


SIN_ACTA: Final = (
    Observation.SIN_ACTA_1,
    Observation.SIN_ACTA_2,
    Observation.SIN_ACTA_3,
    Observation.SIN_ACTA_4,
)

INCONSISTENT: Final = frozenset(
    {
        Observation.EXCEDE,
        Observation.TODOS_ILEGIBLES,
        Observation.TODOS_VACIOS,
        Observation.TODOS_SIN_NUMERO,
        Observation.ILEGIBLE,
        Observation.SIN_DATO,
    }
)
"""Criteria that make an acta one of PORCENTAJE_ACTAS_INCONSISTENCIAS (§4); neither sin acta nor fuera de catálogo."""


class Contabilizada(IntEnum):
    """The CONTABILIZADA column."""

    NO = 0
    SI = 1
    FUERA_DE_CATALOGO = 2


@dataclass(frozen=True)
class RuleSet:
    """One institute's criteria. Every field is published with each corte, so that anyone can apply it again."""

    name: str
    version: int
    mixed_without_number_counts: bool
    """All fields illegible or blank, some of each: counted with zeros (INE 2023) or not counted (INE 2019)."""
    excede_applies: bool
    partial_beside_all: bool
    """*Ilegible* or *Sin dato* is also printed beside *Todos los campos …* (INE 2019)."""
    last_corte_with_especiales: bool
    """Participation of the last corte takes the especial casillas in (C_CS / LN); otherwise S_CS / LN to the end."""
    texts: Mapping[Observation, str]
    """What is published for each criterion. A criterion without a text is not used; equal texts are printed once."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.canonical()).hexdigest()

    def canonical(self) -> bytes:
        """The rule set as sorted JSON: what is hashed and what the manifest holds."""
        content: dict[str, object] = {field.name: getattr(self, field.name) for field in fields(self)}
        content["texts"] = {code.value: text for code, text in self.texts.items()}
        return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    def published(self, observations: tuple[Observation, ...]) -> str:
        """The OBSERVACIONES column: the texts in the order of `Observation`, joined by comma and space."""
        texts = [self.texts[code] for code in Observation if code in observations and self.texts.get(code)]
        return ", ".join(dict.fromkeys(texts))


_INE_2023: Final = {
    Observation.EXCEDE: "Excede Lista Nominal",
    Observation.TODOS_ILEGIBLES: "Todos los campos ilegibles",
    Observation.TODOS_VACIOS: "Todos los campos vacíos",
    Observation.ILEGIBLE: "Ilegible",
    Observation.SIN_DATO: "Sin dato",
    Observation.SIN_ACTA_1: "Sin acta(1)",
    Observation.SIN_ACTA_2: "Sin acta(2)",
    Observation.SIN_ACTA_3: "Sin acta(3)",
    Observation.SIN_ACTA_4: "Sin acta(4)",
    Observation.PROCESO_TECNICO: "Identificación por proceso técnico operativo",
    Observation.FUERA_DE_CATALOGO: "Fuera de Catálogo",
}
_ILEGIBLE_O_SIN_DATO: Final = "ALGUN DATO ILEGIBLE O SIN DATO"
_TODOS_ILEGIBLES_O_SIN_DATO: Final = "TODOS ILEGIBLES O SIN DATO"

RULE_SETS: Final[Mapping[str, RuleSet]] = MappingProxyType(
    {
        rules.name: rules
        for rules in (
            RuleSet(
                name="ine-2023",
                version=1,
                mixed_without_number_counts=True,
                excede_applies=True,
                partial_beside_all=False,
                last_corte_with_especiales=True,
                texts=MappingProxyType(_INE_2023),
            ),
            RuleSet(
                name="ine-2019",
                version=1,
                mixed_without_number_counts=False,
                excede_applies=True,
                partial_beside_all=True,
                last_corte_with_especiales=True,
                texts=MappingProxyType(_INE_2023 | {Observation.PROCESO_TECNICO: "Identificación forzada"}),
            ),
            RuleSet(
                name="qroo-2019",
                version=1,
                mixed_without_number_counts=False,
                excede_applies=False,
                partial_beside_all=False,
                last_corte_with_especiales=True,
                texts=MappingProxyType(
                    {
                        Observation.ILEGIBLE: _ILEGIBLE_O_SIN_DATO,
                        Observation.SIN_DATO: _ILEGIBLE_O_SIN_DATO,
                        Observation.TODOS_ILEGIBLES: _TODOS_ILEGIBLES_O_SIN_DATO,
                        Observation.TODOS_VACIOS: _TODOS_ILEGIBLES_O_SIN_DATO,
                        Observation.TODOS_SIN_NUMERO: _TODOS_ILEGIBLES_O_SIN_DATO,
                        Observation.SIN_ACTA_1: "SIN ACTA POR PAQUETE NO ENTREGADO",
                        Observation.SIN_ACTA_3: "SIN ACTA POR PAQUETE ENTREGADO SIN SOBRE",
                        Observation.PROCESO_TECNICO: "IDENTIFICACIÓN POR PROCESO TÉCNICO OPERATIVO",
                        Observation.FUERA_DE_CATALOGO: "FUERA DE CATÁLOGO",
                    }
                ),
            ),
            RuleSet(
                name="pue-2018",
                version=1,
                mixed_without_number_counts=False,
                excede_applies=True,
                partial_beside_all=False,
                last_corte_with_especiales=False,
                texts=MappingProxyType(
                    {
                        Observation.EXCEDE: "Excede Lista Nominal",
                        Observation.TODOS_ILEGIBLES: "Todos los campos ilegibles",
                        Observation.TODOS_VACIOS: "Todos los campos vacio",
                        **dict.fromkeys(SIN_ACTA, "Sin Acta"),
                        Observation.PROCESO_TECNICO: "Identificación por proceso técnico operativo",
                        Observation.FUERA_DE_CATALOGO: "Fuera de Catálogo",
                    }
                ),
            ),
        )
    }
)
"""The rule sets known from real files (`docs/rules.md` §5). A new election adds one here; nothing else changes."""


def rule_set(name: str) -> RuleSet:
    """The rule set of that name. Raises Rejected, naming those there are."""
    try:
        return RULE_SETS[name]
    except KeyError:
        raise Rejected(f"no hay un conjunto de reglas «{name}»; hay: {', '.join(RULE_SETS)}") from None


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the rules say of one acta."""

    calculado: int
    """TOTAL_VOTOS_CALCULADO: the sum of all vote fields; illegible and blank sum as 0."""
    observations: tuple[Observation, ...]
    contabilizada: Contabilizada

    @property
    def inconsistent(self) -> bool:
        return not INCONSISTENT.isdisjoint(self.observations)


def vote_limit(lista_nominal: int, representantes: int, boletas_maximas: int | None) -> int | None:
    """The most votes an acta can hold; None where there is no limit (§4 *Excede lista nominal*)."""
    if lista_nominal > 0:
        return lista_nominal + representantes
    return None if boletas_maximas is None else boletas_maximas + representantes


def assess(values: Values, *, limit: int | None, rules: RuleSet, proceso_tecnico: bool = False) -> Assessment:
    """Apply the rules to what was captured. `limit` comes from `vote_limit`."""
    votes = [field for field in values.votes if field is not Mark.NO_EN_BOLETA]
    calculado = sum(field for field in votes if not isinstance(field, Mark))
    excede = rules.excede_applies and limit is not None and calculado > limit
    unread = _unread(votes, rules)
    observations = (
        *((Observation.EXCEDE,) if excede else ()),
        *unread,
        *((Observation.PROCESO_TECNICO,) if proceso_tecnico else ()),
    )
    counts = not excede and _holds_enough(votes, rules)
    return Assessment(calculado, observations, Contabilizada.SI if counts else Contabilizada.NO)


def assess_sin_acta(kind: Observation, rules: RuleSet) -> Assessment:
    """An acta that will not come, registered by a person. Raises Rejected where the election does not use `kind`."""
    if kind not in SIN_ACTA or kind not in rules.texts:
        raise Rejected("esta elección no usa ese motivo de «sin acta»", code=Code.REASON_NOT_USED)
    return Assessment(0, (kind,), Contabilizada.NO)


def _unread(votes: Sequence[Field], rules: RuleSet) -> tuple[Observation, ...]:
    ilegible = Mark.ILEGIBLE in votes
    sin_dato = Mark.SIN_DATO in votes
    partial = (*((Observation.ILEGIBLE,) if ilegible else ()), *((Observation.SIN_DATO,) if sin_dato else ()))
    if any(not isinstance(field, Mark) for field in votes) or not partial:
        return partial
    if ilegible and sin_dato and rules.mixed_without_number_counts:
        return partial
    every = (
        Observation.TODOS_SIN_NUMERO
        if ilegible and sin_dato
        else Observation.TODOS_ILEGIBLES
        if ilegible
        else Observation.TODOS_VACIOS
    )
    return (every, *partial) if rules.partial_beside_all or every not in rules.texts else (every,)


def _holds_enough(votes: Sequence[Field], rules: RuleSet) -> bool:
    """At least one number — or, in some elections, at least not all of one kind of silence."""
    if any(not isinstance(field, Mark) for field in votes):
        return True
    return rules.mixed_without_number_counts and len(set(votes)) > 1
