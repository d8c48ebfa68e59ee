"""The criteria of an election as data: the observations of an acta, whether it counts, and the words that say so.

`docs/rules.md` §4-5. Institutes and years differ, so every switch and every text belongs to a named `RuleSet`. Each
set is a TOML or JSON file. The election names one, and its digest goes into every manifest. Observations are computed,
never typed.
They look at vote fields only: a blank *boletas sobrantes* is no observation, and a written total that differs from the
sum is none either.
"""

import hashlib
import json
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum, StrEnum
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

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
    """Participation of the last corte includes especial casillas (C_CS / LN); if false, it is S_CS / LN to the end."""
    excede_alone: bool
    """*Excede Lista Nominal* is printed alone, even if other criteria fit the acta (Sonora 2021)."""
    sin_acta_not_counted: bool
    """ACTAS_NO_CONTABILIZADAS includes the actas *sin acta*. If false, they are in ACTAS_CAPTURADAS alone."""
    texts: Mapping[Observation, str]
    """The published text of each criterion. A criterion without a text is not used; equal texts are printed once."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.canonical()).hexdigest()

    def canonical(self) -> bytes:
        """The rule set as sorted JSON. These bytes are hashed, and the manifest holds them.

        A switch that is younger than the first rule sets is left out if it has its usual value. So the digests that
        were published before it stay the same.
        """
        content: dict[str, object] = {field.name: getattr(self, field.name) for field in fields(self)}
        for switch, usual in _SWITCHES.items():
            if usual is not None and content[switch] is usual:
                del content[switch]
        content["texts"] = {code.value: text for code, text in self.texts.items()}
        return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    def published(self, observations: tuple[Observation, ...]) -> str:
        """The OBSERVACIONES column: the texts in the order of `Observation`, joined by comma and space."""
        texts = [self.texts[code] for code in Observation if code in observations and self.texts.get(code)]
        return ", ".join(dict.fromkeys(texts))


FOLDER: Final = Path(__file__).with_name("rule_sets")
"""The rule sets known from real files (`docs/rules.md` §5), one TOML file each."""
OWN: Final = "reglas/"
"""The folder, inside that of a catalogue, of the rule sets that the election brings: `reglas/NAME.json` or `.toml`."""

_SWITCHES: Final[Mapping[str, bool | None]] = MappingProxyType(
    {
        "mixed_without_number_counts": None,
        "excede_applies": None,
        "partial_beside_all": None,
        "last_corte_with_especiales": None,
        "excede_alone": False,
        "sin_acta_not_counted": True,
    }
)
"""Every switch, and its value if a file leaves it out; None if a file must state it."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,59}", re.ASCII)
_LONGEST_TEXT: Final = 200
_FORBIDDEN: Final = ',;"\\'
"""Letters that separate the texts in a cell that holds several."""
_FIRST: Final = "=+-@'["
"""Letters with which no text begins: a spreadsheet, or a list, would take it for something else."""
_TODOS: Final = (Observation.TODOS_ILEGIBLES, Observation.TODOS_VACIOS, Observation.TODOS_SIN_NUMERO)
_ALIKE: Final = ((Observation.ILEGIBLE, Observation.SIN_DATO), _TODOS, SIN_ACTA)
"""Criteria that may share a text. A reader could not distinguish any others."""


class RuleErrors(Rejected):
    """All errors of a rule set's file, one sentence each."""

    def __init__(self, name: str, errors: Sequence[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(f"{name}: {error}" for error in errors))


def read_rules(name: str, data: bytes) -> RuleSet:
    """The rule set in a file: TOML if its `name` ends so, else JSON. Raises RuleErrors with every error at once."""
    try:
        content = read_toml(data) if name.endswith(".toml") else _json(data)
    except ValueError as error:
        raise RuleErrors(name, [str(error)]) from None
    if not isinstance(content, dict):
        raise RuleErrors(name, ["no es un conjunto de reglas: se espera un objeto con nombre, criterios y textos"])
    errors = _errors(content)
    if errors:
        raise RuleErrors(name, errors)
    switches = {key: bool(content.get(key, default)) for key, default in _SWITCHES.items()}
    texts = {Observation(code): text for code, text in content["texts"].items() if text}
    return RuleSet(name=content["name"], version=content["version"], texts=MappingProxyType(texts), **switches)


def description(name: str, data: bytes) -> str:
    """The sentence for people in a rule set's file. It is not hashed."""
    content = read_toml(data) if name.endswith(".toml") else _json(data)
    return str(content.get("description", "")) if isinstance(content, dict) else ""


def read_toml(data: bytes) -> dict[str, Any]:
    """What a person wrote as TOML, with or without the mark of an editor. Raises ValueError, one Spanish sentence."""
    try:
        return tomllib.loads(data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n"))
    except UnicodeDecodeError:
        raise ValueError("no está en UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"line (\d+)", str(error))
        why = "está dos veces" if "overwrite" in str(error) or "twice" in str(error) else _NO_TOML
        raise ValueError(f"{f'línea {where[1]}: ' if where else 'al final: '}{why}") from None
    except (ValueError, RecursionError):
        # The library itself gives up: too many digits, or too many brackets.
        raise ValueError(_UNREADABLE) from None


_NO_TOML: Final = "no es TOML: un texto va entre comillas rectas; una fecha, true y false van sin ellas"
_UNREADABLE: Final = "no se puede leer: tiene un número o una lista que ninguna declaración necesita"


def _json(data: bytes) -> object:
    twice = "una clave está dos veces"

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        held = dict(pairs)
        if len(held) < len(pairs):
            raise KeyError(twice)
        return held

    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=once)
    except KeyError:
        raise ValueError(twice) from None
    except UnicodeDecodeError:
        raise ValueError("no está en UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"línea {error.lineno}: no es JSON") from None
    except (ValueError, RecursionError):
        raise ValueError(_UNREADABLE) from None


def _errors(content: Mapping[str, object]) -> list[str]:
    known = {"name", "version", "description", "texts", *_SWITCHES}
    errors = [f"«{key}» no se conoce; se conocen: {', '.join(sorted(known))}" for key in content if key not in known]
    name, version, texts = content.get("name"), content.get("version"), content.get("texts")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        errors.append("name: falta, o no son minúsculas, números, guiones y puntos (hasta 60)")
    if type(version) is not int or not 1 <= version <= 10**6:
        errors.append("version: falta, o no es un entero de 1 en adelante")
    for key, default in _SWITCHES.items():
        if type(content.get(key, default)) is not bool:
            errors.append(f"{key}: {'no es true o false' if key in content else 'falta (true o false)'}")
    if not isinstance(texts, dict):
        return [*errors, "texts: falta el texto de cada criterio"]
    return [*errors, *_text_errors(texts, excede=content.get("excede_applies") is True)]


def _text_errors(texts: Mapping[str, object], *, excede: bool) -> Iterator[str]:
    codes = [code.value for code in Observation]
    for code, text in texts.items():
        if code not in codes:
            yield f"texts.{code}: no es un criterio; son: {', '.join(codes)}"
        elif not isinstance(text, str):
            yield f"texts.{code}: no es un texto"
        elif len(text) > _LONGEST_TEXT or not text.isprintable() or text != " ".join(text.split()):
            yield f"texts.{code}: es demasiado largo, o tiene espacios de más o caracteres que no se imprimen"
        elif text.startswith((*_FIRST,)) or any(letter in text for letter in _FORBIDDEN):
            yield f"texts.{code}: no puede llevar , ; comillas ni \\, ni comenzar con = + - @ ' ["
    said = {code: text for code, text in texts.items() if isinstance(text, str) and text and code in codes}
    needed = [Observation.FUERA_DE_CATALOGO, *([Observation.EXCEDE] if excede else [])]
    yield from (f"texts.{code}: falta su texto" for code in needed if code not in said)
    if not any(code in said for code in SIN_ACTA):
        yield "texts.sin_acta_1: falta el texto de al menos un motivo de «sin acta» (sin_acta_1 a sin_acta_4)"
    for one, other in clashes(said):
        yield f"texts.{other}: es el mismo texto que {one}; no se podrían distinguir"


_Code = TypeVar("_Code", bound=str)


def clashes(texts: Mapping[_Code, str]) -> list[tuple[_Code, _Code]]:
    """The pairs of criteria whose texts nobody could distinguish, and that may not share one."""
    return [
        (one, other)
        for one, other in combinations(texts, 2)
        if _alike(texts[one]) == _alike(texts[other]) and not any({one, other} <= {*group} for group in _ALIKE)
    ]


def fit_text(text: str) -> str:
    """The text as a rule set can hold it; "" if no character of it stays."""
    plain = "".join(letter if letter.isprintable() and letter not in _FORBIDDEN else " " for letter in text)
    return " ".join(plain.split()).lstrip(f"{_FIRST} ")[:_LONGEST_TEXT].strip()


def _alike(text: str) -> str:
    """The text as a person hears it: neither capitals nor accents distinguish two criteria."""
    return "".join(
        letter for letter in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(letter)
    )


RULE_SETS: Final[Mapping[str, RuleSet]] = MappingProxyType(
    {path.stem: read_rules(path.name, path.read_bytes()) for path in sorted(FOLDER.glob("*.toml"))}
)
"""The known rule sets by name. A new election needs no change of the program: it brings a file (`OWN`)."""


@lru_cache(maxsize=64)
def rule_set(stated: str) -> RuleSet:
    """The rule set that an election states: the name of a known one, or its own one, complete, as JSON.

    Raises Rejected, with the names of the known ones.
    """
    if stated.startswith("{"):
        return read_rules("reglas", stated.encode())
    try:
        return RULE_SETS[stated]
    except KeyError:
        raise Rejected(f"no hay un conjunto de reglas «{stated}»; hay: {', '.join(RULE_SETS)}") from None


def own_rules(files: Mapping[str, bytes]) -> tuple[dict[str, RuleSet], list[tuple[str, str]]]:
    """The rule sets among the files of a catalogue, by name; and their errors, each as file and sentence."""
    found: dict[str, RuleSet] = {}
    wrong: list[tuple[str, str]] = []
    for file, data in sorted(files.items()):
        if not file.startswith(OWN):
            continue
        try:
            rules = read_rules(file, data)
        except RuleErrors as errors:
            wrong += [(file, error) for error in errors.errors]
            continue
        if file.removeprefix(OWN).rpartition(".")[0] != rules.name:
            wrong.append((file, f"el conjunto se llama «{rules.name}»; el archivo debe llamarse igual"))
        if rules.name in found or (rules.name in RULE_SETS and rules.digest != RULE_SETS[rules.name].digest):
            wrong.append((file, f"«{rules.name}» ya es el nombre de otro conjunto de reglas"))
        found[rules.name] = rules
    return found, wrong


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict of the rules on one acta."""

    calculado: int
    """TOTAL_VOTOS_CALCULADO: the sum of all vote fields; illegible and blank sum as 0."""
    observations: tuple[Observation, ...]
    contabilizada: Contabilizada

    @property
    def inconsistent(self) -> bool:
        return not INCONSISTENT.isdisjoint(self.observations)


def vote_limit(
    lista_nominal: int, representantes: int, boletas_maximas: int | None, votes_per_ballot: int = 1
) -> int | None:
    """The most votes that an acta can hold; None if it has no limit (§4 *Excede lista nominal*).

    A ballot holds one vote. In a judicial election it holds several; then the limit is multiplied by that number (§4).
    """
    if lista_nominal > 0:
        return (lista_nominal + representantes) * votes_per_ballot
    return None if boletas_maximas is None else (boletas_maximas + representantes) * votes_per_ballot


def assess(values: Values, *, limit: int | None, rules: RuleSet, proceso_tecnico: bool = False) -> Assessment:
    """Apply the rules to a capture. `limit` comes from `vote_limit`."""
    votes = [field for field in values.votes if field is not Mark.NO_EN_BOLETA]
    calculado = sum(field for field in votes if not isinstance(field, Mark))
    excede = rules.excede_applies and limit is not None and calculado > limit
    unread = _unread(votes, rules)
    observations = (
        *((Observation.EXCEDE,) if excede else ()),
        *(() if excede and rules.excede_alone else unread),
        *((Observation.PROCESO_TECNICO,) if proceso_tecnico else ()),
    )
    counts = not excede and _holds_enough(votes, rules)
    return Assessment(calculado, observations, Contabilizada.SI if counts else Contabilizada.NO)


def assess_sin_acta(kind: Observation, rules: RuleSet) -> Assessment:
    """An acta that will not come, registered by a person. Raises Rejected if the election does not use `kind`."""
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
