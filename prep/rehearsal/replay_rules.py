"""Propose the rule set of an election from its official file: the criteria that explain its rows, and the other rows.

A proposal invents nothing. Each switch says how many rows are for it and against it. Each text is one that the file
prints. A criterion that no row shows keeps its usual value, and the proposal says so.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from prep.domain.entry import HEADER, Mark, Values
from prep.domain.rules import RULE_SETS, SIN_ACTA, Observation, RuleSet, assess, clashes, fit_text
from prep.files.official import OfficialFile, OfficialRow, Status
from prep.rehearsal.replay import TODOS, limit, recomputed

_USUAL: Final = RULE_SETS["ine-2023"]
_PARTIAL: Final = frozenset({Observation.ILEGIBLE, Observation.SIN_DATO})


@dataclass(frozen=True)
class Proposal:
    """A rule set, the reasons for it, and the rows that it does not explain."""

    rules: RuleSet
    reasons: Mapping[str, str]
    """By criterion, the number of rows for it."""
    unexplained: Mapping[str, str]
    """By key, the words of the row and the words that the rules would give."""

    def without(self, keys: AbstractSet[str]) -> "Proposal":
        """The proposal without these rows: if the file has lost the capture of a row, the row is no evidence."""
        return replace(self, unexplained={key: said for key, said in self.unexplained.items() if key not in keys})

    def toml(self) -> str:
        """The draft as a file that `prep rules check` accepts."""
        rules = self.rules
        lines = [
            f'name = "{rules.name}"',
            f"version = {rules.version}",
            'description = "Inferido de un archivo oficial."',
        ]
        for switch, value in _switches(rules).items():
            lines += [f"# {self.reasons.get(switch, '')}", f"{switch} = {str(value).lower()}"]
        lines += ["", "[texts]"]
        for code, text in rules.texts.items():
            lines += [f"# {self.reasons[code]}"] if code in self.reasons else []
            lines.append(f'{code} = "{text}"')
        return "\n".join(lines) + "\n"


def _switches(rules: RuleSet) -> dict[str, bool]:
    return {
        "mixed_without_number_counts": rules.mixed_without_number_counts,
        "excede_applies": rules.excede_applies,
        "partial_beside_all": rules.partial_beside_all,
        "last_corte_with_especiales": rules.last_corte_with_especiales,
        "excede_alone": rules.excede_alone,
        "sin_acta_not_counted": rules.sin_acta_not_counted,
    }


def propose(official: OfficialFile, name: str) -> Proposal:
    """The rules that explain the rows of this file. `official` has passed `settled`, so each contest has its ballot."""
    captured = [row for row in official.rows if row.status is Status.CAPTURADA and not row.unknown]
    reasons: dict[str, str] = {}
    texts = _texts(official, reasons)
    over = [row for row in captured if (most := limit(row)) is not None and _votes(row) > most]
    stopped = sum(row.contabilizada == "0" for row in over) + sum(
        Observation.EXCEDE in row.observed for row in captured if row not in over
    )
    counted = sum(row.contabilizada == "1" for row in over)
    excede = stopped > counted if stopped or counted else Observation.EXCEDE in texts
    reasons["excede_applies"] = _told(stopped, counted, "actas sobre su límite", "no contabilizadas", "contabilizadas")
    mixed = [row for row in captured if _marks(row) == {Mark.ILEGIBLE, Mark.SIN_DATO} and not _numbers(row)]
    counts = Counter(row.contabilizada for row in mixed)
    reasons["mixed_without_number_counts"] = _told(
        counts["1"], counts["0"], "actas sin número, ilegible y en blanco", "contabilizadas", "no contabilizadas"
    )
    every = [row for row in captured if any(codes <= TODOS for codes in row.meanings)]
    beside = sum(any(codes <= _PARTIAL for codes in row.meanings) for row in every)
    reasons["partial_beside_all"] = _told(
        beside, len(every) - beside, "actas con «Todos los campos …»", "con otra observación al lado", "sin ella"
    )
    if not excede:
        texts.pop(Observation.EXCEDE, None)
    marked = [row for row in captured if Observation.EXCEDE in row.observed and _marks(row)]
    alone = sum(row.observed == {Observation.EXCEDE} for row in marked)
    reasons["excede_alone"] = _told(
        alone, len(marked) - alone, "actas que exceden y tienen campos sin número", "con Excede solo", "con ambas"
    )
    rules = RuleSet(
        name=name,
        version=1,
        mixed_without_number_counts=counts["1"] > counts["0"] or (not mixed and _USUAL.mixed_without_number_counts),
        excede_applies=excede,
        partial_beside_all=beside * 2 > len(every),
        last_corte_with_especiales=True,
        excede_alone=alone * 2 > len(marked),
        sin_acta_not_counted=True,
        texts=MappingProxyType({code: texts[code] for code in Observation if code in texts}),
    )
    rules = _by_summary(official, rules, reasons)
    return Proposal(rules, reasons, dict(_unexplained(captured, rules)))


def _texts(official: OfficialFile, reasons: dict[str, str]) -> dict[Observation, str]:
    """For each criterion, the text that the file prints most often. If it prints none but needs one, the usual text."""
    printed: dict[Observation, Counter[str]] = {code: Counter() for code in Observation}
    for row in official.rows:
        for text, codes in zip(row.observations, row.meanings, strict=True):
            for code in codes:
                printed[code][text] += 1
    texts = {code: max(told, key=lambda text: (told[text], text)) for code, told in printed.items() if told}
    for code, text in texts.items():
        reasons[code] = f"{printed[code][text]} filas"
    shared = texts.get(Observation.TODOS_ILEGIBLES, texts.get(Observation.TODOS_VACIOS))
    if texts.get(Observation.TODOS_ILEGIBLES) == texts.get(Observation.TODOS_VACIOS) and shared:
        texts[Observation.TODOS_SIN_NUMERO] = shared
    needed = [Observation.FUERA_DE_CATALOGO, Observation.EXCEDE, Observation.PROCESO_TECNICO]
    needed += [] if any(code in texts for code in SIN_ACTA) else [*SIN_ACTA]
    if not official.rows or all(row.status is Status.ESPERADA for row in official.rows):
        needed = [*_USUAL.texts]
    for code in needed:
        if code not in texts:
            texts[code] = _USUAL.texts[code]
            reasons[code] = "el archivo no lo muestra: el texto usual"
    usual = {code: _USUAL.texts.get(code, code) for code in Observation}
    texts = {code: fit_text(text) or usual[code] for code, text in texts.items()}
    # A text that tells two criteria at once can be the text of one of them.
    for _, code in clashes(texts):
        texts[code] = usual[code]
    return texts


def _told(speak: int, against: int, who: str, one: str, other: str) -> str:
    if not speak and not against:
        return f"ninguna fila lo muestra ({who}): lo usual"
    return f"{who}: {speak} {one}, {against} {other}"


def _by_summary(official: OfficialFile, rules: RuleSet, reasons: dict[str, str]) -> RuleSet:
    """Set the two switches that only the summary shows."""
    for switch, name in (
        ("last_corte_with_especiales", "PORCENTAJE_PARTICIPACION_CIUDADANA"),
        ("sin_acta_not_counted", "ACTAS_NO_CONTABILIZADAS"),
    ):
        said = official.summary.get(name, "")
        other = replace(rules, **{switch: False})  # type: ignore[arg-type]  # the name of a switch
        usual, without = (recomputed(official, each)[name] for each in (rules, other))
        if said == without and said != usual:
            rules = other
        reasons[switch] = f"{name} dice {said or 'nada'}; con true serían {usual}, con false {without}"
    return rules


def _votes(row: OfficialRow) -> int:
    return sum(cell for cell in row.cells if isinstance(cell, int))


def _numbers(row: OfficialRow) -> bool:
    return any(isinstance(cell, int) for cell in row.cells)


def _marks(row: OfficialRow) -> set[Mark]:
    return {cell for cell in row.cells if isinstance(cell, Mark)}


def _unexplained(captured: list[OfficialRow], rules: RuleSet) -> Iterator[tuple[str, str]]:
    """Rows for which the rules would give another verdict or another text."""
    for row in captured:
        votes = tuple(Mark.NO_EN_BOLETA if cell is None else cell for cell in row.cells)
        values = Values((Mark.SIN_DATO,) * len(HEADER), votes, Mark.SIN_DATO)
        process = Observation.PROCESO_TECNICO in row.observed
        made = assess(values, limit=limit(row), rules=rules, proceso_tecnico=process)
        said = {rules.texts[code] for code in made.observations if code in rules.texts}
        theirs = [codes for codes in row.meanings if codes]
        bare = {code for code in made.observations if code in rules.texts}
        alike = all(codes & bare for codes in theirs) and bare <= row.observed
        if not alike or str(int(made.contabilizada)) != row.contabilizada:
            ours = ", ".join(sorted(said)) or "ninguna observación"
            yield (
                row.key,
                (
                    f"línea {row.line}: dice «{', '.join(row.observations)}» y {row.contabilizada}; "
                    f"las reglas dirían «{ours}» y {int(made.contabilizada)}"
                ),
            )
