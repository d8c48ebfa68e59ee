"""`prep rules`: list the known rule sets, show one, check a file, and write the draft of a new one.

An election brings its own as `reglas/NAME.toml` (or `.json`) in the folder of its catalogue, and names it in
elecciones.csv.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from prep.arguments import Parser
from prep.domain.rules import FOLDER, OWN, RULE_SETS, RuleErrors, description, read_rules
from prep.errors import PrepError, Rejected, reason_of
from prep.files.official_words import understand

DRAFT = """# Un conjunto de reglas: con qué criterios se observa y se contabiliza un acta, y con qué palabras.
# Guárdelo como {own}{name}.toml en la carpeta del catálogo y póngalo en la columna «reglas» de elecciones.csv.
# Revíselo con: prep rules check ARCHIVO

name = "{name}"
version = 1
# Una oración para las personas.
description = "Describa aquí de qué elección es y de qué acuerdo sale."

# Ningún campo de votos tiene número, unos ilegibles y otros en blanco: ¿se contabiliza, con ceros?
mixed_without_number_counts = true
# Un acta con más votos que la lista nominal más los representantes: ¿deja de contabilizarse?
excede_applies = true
# «Ilegible» o «Sin dato», ¿se imprimen también al lado de «Todos los campos …»?
partial_beside_all = false
# La participación del último corte, ¿suma los votos de las casillas especiales?
last_corte_with_especiales = true
# «Excede lista nominal», ¿se imprime solo, sin las otras observaciones del acta?
excede_alone = false
# ACTAS_NO_CONTABILIZADAS, ¿incluye las actas «sin acta»?
sin_acta_not_counted = true

# El texto que se publica con cada criterio. Sin texto, el criterio no se usa en esta elección.
# Pueden compartir texto: ilegible y sin_dato; los tres todos_…; los cuatro sin_acta_….
[texts]
"""


def main(words: Sequence[str]) -> int:
    """Exit status 0; 1 if the checked file has errors; 2 if the request cannot be met."""
    parser = Parser(prog="prep rules")
    orders = parser.add_subparsers(required=True, metavar="ORDEN")

    def order(name: str, does: Callable[[argparse.Namespace], int], text: str) -> Parser:
        added = orders.add_parser(name, help=text, description=text)
        added.set_defaults(order=does)
        return added

    order("list", _list, "los conjuntos conocidos, con una oración cada uno")
    order("show", _show, "lo que dice un conjunto").add_argument(
        "name", metavar="NOMBRE|ARCHIVO", help="un conjunto conocido, o un archivo .toml o .json"
    )
    order("check", _check, "todos los errores de un archivo").add_argument(
        "file", type=Path, metavar="ARCHIVO", help="un archivo .toml o .json"
    )
    new = order("new", _new, "escribe un borrador con explicaciones")
    new.add_argument("name", metavar="NOMBRE", help="minúsculas, números, guiones y puntos")
    new.add_argument("--file", type=Path, metavar="ARCHIVO", help="NOMBRE.toml si no se dice")
    arguments = parser.parse_args(words)
    try:
        result: int = arguments.order(arguments)
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        return 2
    return result


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Rejected(f"no se puede leer {path}: {reason_of(error)}") from None


def _list(_: argparse.Namespace) -> int:
    for name, rules in RULE_SETS.items():
        file = FOLDER / f"{name}.toml"
        print(f"{name} (versión {rules.version}): {description(file.name, file.read_bytes())}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    known = arguments.name in RULE_SETS
    path = FOLDER / f"{arguments.name}.toml" if known else Path(arguments.name)
    if not known and not path.exists():
        raise Rejected(f"no hay un conjunto ni un archivo «{arguments.name}»; hay: {', '.join(RULE_SETS)}")
    data = _content(path)
    rules = read_rules(path.name, data)
    print(data.decode().rstrip())
    print(f"\n# huella: {rules.digest}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    try:
        rules = read_rules(arguments.file.name, _content(arguments.file))
    except RuleErrors as errors:
        print("\n".join(errors.errors), file=sys.stderr)
        print(f"prep: {len(errors.errors)} errores en {arguments.file}", file=sys.stderr)
        return 1
    for code, text in rules.texts.items():
        if code not in understand(text):
            print(f"aviso: las palabras de texts.{code} no dicen ese criterio: «{text}»", file=sys.stderr)
    print(f"{rules.name}, versión {rules.version}: correcto")
    print(f"huella: {rules.digest}")
    return 0


def _new(arguments: argparse.Namespace) -> int:
    path = arguments.file or Path(f"{arguments.name}.toml")
    known = RULE_SETS["ine-2023"]
    texts = "".join(f'{code} = "{text}"\n' for code, text in known.texts.items())
    written = DRAFT.format(name=arguments.name, own=OWN) + texts
    read_rules("borrador.toml", written.encode())  # refuses a name that no rule set may have
    try:
        # The folder `reglas` of a catalogue that is only begun is not there yet.
        path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(written)
    except FileExistsError:
        raise Rejected(f"{path} ya existe") from None
    except OSError as error:
        raise Rejected(f"no se puede escribir {path}: {reason_of(error)}") from None
    print(f"{path}: un borrador con los textos de {known.name}; cámbielo y revíselo con «prep rules check {path}»")
    return 0
