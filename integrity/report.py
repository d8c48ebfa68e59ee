"""What a verification says: checks with an id, each good, wrong, not checked or not applicable, and every difference.

A check is good only if something was compared and nothing differed. Silence is never a pass: a check that nothing
reached is *not checked*, and the exit code says so.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Result(StrEnum):
    """The values stand in the JSON report."""

    OK = "bien"
    WRONG = "mal"
    UNCHECKED = "no se pudo comprobar"
    NOT_APPLICABLE = "no aplica"


FAMILIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AUT": "Autenticidad",
        "COM": "Completitud",
        "INT": "Integridad",
        "CON": "Consistencia",
        "EVI": "Evidencia",
        "BIT": "Bitácora",
        "PRU": "Prueba",
    }
)
"""A check's family is what stands before the hyphen of its id."""

CHECKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "COM-01": "Están index.json y todos los cortes, numerados sin huecos desde 0000",
        "COM-02": "No hay enlaces simbólicos ni archivos especiales",
        "COM-03": "Cada carpeta de corte tiene exactamente sus archivos",
        "COM-04": "Todas las actas esperadas y todas las contiendas están en todos los cortes",
        "COM-05": "Están exactamente las imágenes que los cortes listan",
        "COM-06": "Cada CODIGO_INTEGRIDAD del último corte es una imagen publicada de esa acta",
        "COM-07": "Están las páginas del último corte",
        "COM-08": "No hay ningún archivo de más",
        "INT-01": "Cada SHA256SUMS tiene la forma exacta",
        "INT-02": "Cada archivo de cada corte tiene la huella que dice su SHA256SUMS",
        "INT-03": "Los JSON tienen forma canónica y los campos del formato",
        "INT-04": "El nombre de cada imagen es la huella de sus bytes",
        "INT-05": "Cada ZIP tiene el nombre, el tamaño y la huella que dice su corte",
        "INT-06": "Cada ZIP contiene los mismos archivos que su corte, byte por byte",
        "CON-01": "Cada corte lleva la huella del anterior",
        "CON-02": "Números y fases de los cortes; el corte 0 está en ceros",
        "CON-03": "Las horas de los cortes no retroceden",
        "CON-04": "Todos los cortes dicen lo mismo sobre si es un simulacro",
        "CON-05": "El catálogo, las elecciones y las reglas son los mismos en todos los cortes",
        "CON-06": "index.json señala el último corte",
        "CON-07": "Forma de los CSV: codificación, título, hora y columnas",
        "CON-08": "Cada fila identifica una sola acta del catálogo",
        "CON-09": "TOTAL_VOTOS_CALCULADO es la suma de los votos de su fila",
        "CON-10": "OBSERVACIONES y CONTABILIZADA siguen las reglas de la elección",
        "CON-11": "Los valores del resumen son los que dan las filas",
        "CON-12": "Los porcentajes están truncados a cuatro decimales",
        "CON-13": "Capturadas = contabilizadas + no contabilizadas",
        "CON-14": "totals.json es lo que dan las filas, con los votos de coalición distribuidos",
        "CON-15": "Toda acta publicada que cambió está entre las correcciones",
    }
)
"""Every check by its stable id. Ids are never reused: other programs and the tamper matrix name them."""

EVIDENCE_CHECKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AUT-11": "El punto de control de la bitácora lleva las firmas que pide su política",
        "AUT-12": "Lo firmó la llave que trae quien comprueba",
        "EVI-01": "Las entradas de la bitácora dan la raíz firmada",
        "EVI-02": "Cada hoja tiene su forma exacta y su lugar",
        "EVI-03": "El SHA256SUMS de cada corte está en la bitácora, y cada corte de la bitácora en el árbol",
        "EVI-04": "Cada imagen publicada está en la bitácora",
        "EVI-05": "Cada fila publicada está en la bitácora antes que el corte que la mostró",
        "EVI-06": "Los envíos de cada dispositivo están encadenados y sin huecos",
        "EVI-07": "Las pruebas de cada corte y de cada imagen son las de su lugar en la bitácora",
        "EVI-08": "Las capturas abiertas son las que se comprometieron",
        "EVI-09": "La bitácora es de esta elección: origen, simulacro, catálogo, reglas y política",
        "EVI-10": "Las ceremonias están en su lugar: el cero antes del primer corte, el cierre después del último",
    }
)
"""The checks that `verify` adds for a tree that has a log, or should have one."""

KEPT_CHECK: Final[Mapping[str, str]] = MappingProxyType(
    {"EVI-11": "La bitácora continúa el punto de control que guardó quien comprueba"}
)
"""The check that `verify` adds for a reader who remembers."""

LOG_CHECKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "BIT-01": "El punto de control tiene la forma exacta y es de esta bitácora",
        "BIT-02": "La bitácora lo firmó",
        "BIT-03": "Lo firmaron los testigos que pide la política",
        "BIT-04": "Están todas las teselas y todos los paquetes de entradas, con su forma exacta",
        "BIT-05": "Cada entrada da la huella que está en su tesela",
        "BIT-06": "Cada tesela da la huella que está en la de arriba",
        "BIT-07": "Las teselas dan la raíz firmada",
    }
)
"""The checks of `integrity audit-log`, in their order."""

PROOF_CHECKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PRU-01": "La prueba tiene la forma exacta y es de esta bitácora",
        "PRU-02": "La bitácora firmó su punto de control",
        "PRU-03": "Lo firmaron los testigos que pide la política",
        "PRU-04": "El archivo está en el lugar de la bitácora que la prueba dice",
    }
)
"""The checks of `integrity check-proof`, in their order."""

SEAL_CHECKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AUT-01": "El sello de la institución (.p7s) es sobre este SHA256SUMS y de una autoridad de confianza",
        "AUT-02": "La firma de una persona (.firma.p7s), si la hay, también",
        "AUT-03": "El sello en base64 (.sello) también",
        "AUT-04": "Los sellos de tiempo (.tsr) son de este SHA256SUMS y de autoridades de confianza",
        "AUT-05": "Las horas del corte, del sello y de los sellos de tiempo no retroceden",
        "AUT-06": "Ningún certificado de desarrollo sella lo que no es un simulacro",
    }
)
"""The checks of `integrity seal check`, in their order; `verify` adds them, for every corte."""

_TITLES: Final = {**CHECKS, **EVIDENCE_CHECKS, **KEPT_CHECK, **LOG_CHECKS, **PROOF_CHECKS, **SEAL_CHECKS}

ROW_CHECKS: Final = (
    "COM-04",
    *("CON-07", "CON-08", "CON-09", "CON-10", "CON-11", "CON-12", "CON-13", "CON-14", "CON-15"),
)
"""The checks that need the rows of a corte."""

SHOWN: Final = 20
"""Findings kept for each check; the rest are counted."""
LONGEST: Final = 160

NOT_REACHED: Final = "no se llegó a comprobar: falta o está mal lo que se necesita para ello"


def printable(text: object) -> str:
    """`text` on one line, cut, without characters that could act on a terminal: file names are written by others."""
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in str(text)[: LONGEST + 1])
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference."""

    check: str
    file: str
    """Path from the root of the tree."""
    expected: str
    found: str
    position: str = ""
    """Where in the file, as "línea 12, PAN"; empty for the whole file."""

    @property
    def sentence(self) -> str:
        where = f"{self.file}, {self.position}" if self.position else self.file
        return f"{where}: se esperaba {self.expected}; se encontró {self.found}."


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check."""

    id: str
    result: Result
    compared: int
    """How many things were compared; what kind of thing depends on the check."""
    findings: tuple[Finding, ...] = ()
    """The first `SHOWN` of them."""
    differences: int = 0
    reasons: tuple[str, ...] = ()
    """Why something could not be checked, or does not apply."""

    @property
    def title(self) -> str:
        return _TITLES[self.id]

    @property
    def family(self) -> str:
        return FAMILIES[self.id.split("-")[0]]


@dataclass(frozen=True, slots=True)
class Report:
    """What was verified and how every check came out."""

    source: str
    corte: str
    """The last corte, in words; empty where none could be read."""
    checks: tuple[Check, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else a reader wants to know of what was checked, by its name."""

    @property
    def exit_code(self) -> int:
        """0 all good, 1 something is wrong, 2 something could not be checked (and nothing was found wrong)."""
        results = {check.result for check in self.checks}
        if Result.WRONG in results:
            return 1
        return 2 if Result.UNCHECKED in results else 0

    def wrong(self) -> frozenset[str]:
        """Ids of the checks that found a difference."""
        return frozenset(check.id for check in self.checks if check.result is Result.WRONG)

    def to_json(self) -> str:
        checks = [
            {
                "id": check.id,
                "familia": check.family,
                "titulo": check.title,
                "resultado": check.result.value,
                "comparaciones": check.compared,
                "diferencias": check.differences,
                "hallazgos": [
                    {
                        "archivo": finding.file,
                        "posicion": finding.position,
                        "esperado": finding.expected,
                        "encontrado": finding.found,
                    }
                    for finding in check.findings
                ],
                "motivos": [*check.reasons],
            }
            for check in self.checks
        ]
        held = {
            "formato": 1,
            "origen": self.source,
            "corte": self.corte,
            "resultado": self.exit_code,
            **({"datos": dict(self.facts)} if self.facts else {}),
            "comprobaciones": checks,
        }
        return json.dumps(held, ensure_ascii=False, indent=2)


@dataclass
class Ledger:
    """Where the steps of a verification write what they compared and what differed."""

    checks: Mapping[str, str] = field(default_factory=lambda: CHECKS)
    """Which checks the verification has; those that it does not reach are not checked."""
    facts: dict[str, str] = field(default_factory=dict)
    compared: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    findings: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    differences: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    obstacles: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    inapplicable: dict[str, str] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)

    def did(self, check: str, count: int = 1) -> None:
        """`count` things were compared for `check`; zero says that there was nothing to compare, and that is good."""
        self.reached.add(check)
        self.compared[check] += count

    def wrong(self, check: str, file: str, *, expected: object, found: object, position: str = "") -> None:
        self.reached.add(check)
        self.differences[check] += 1
        if len(self.findings[check]) < SHOWN:
            finding = Finding(check, printable(file), printable(expected), printable(found), printable(position))
            self.findings[check].append(finding)

    def unable(self, checks: Iterable[str], sentence: str) -> None:
        """Something that these checks need could not be read."""
        for check in checks:
            if len(self.obstacles[check]) < SHOWN and sentence not in self.obstacles[check]:
                self.obstacles[check].append(printable(sentence))

    def not_applicable(self, check: str, reason: str) -> None:
        """Unless something else is compared for it."""
        self.inapplicable[check] = reason

    def report(self, source: str, corte: str) -> Report:
        facts = {name: printable(told) for name, told in self.facts.items()}
        return Report(printable(source), printable(corte), tuple(self._check(check) for check in self.checks), facts)

    def _check(self, check: str) -> Check:
        obstacles = tuple(self.obstacles[check])
        if self.differences[check]:
            findings = tuple(self.findings[check])
            return Check(
                check, Result.WRONG, self.compared[check], findings, self.differences[check], reasons=obstacles
            )
        if obstacles:
            return Check(check, Result.UNCHECKED, self.compared[check], reasons=obstacles)
        if check in self.inapplicable and check not in self.reached:
            return Check(check, Result.NOT_APPLICABLE, 0, reasons=(self.inapplicable[check],))
        if check not in self.reached:
            return Check(check, Result.UNCHECKED, 0, reasons=(NOT_REACHED,))
        return Check(check, Result.OK, self.compared[check])
