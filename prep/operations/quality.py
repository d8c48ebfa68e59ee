"""`prep quality`: how people type, for a supervisor at the machine. By site and name, and never in another order."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from capture.quality import told
from prep.arguments import Parser
from prep.errors import PrepError
from prep.operations.decisions import in_transaction
from prep.settings import Part
from prep.store import quality as store
from prep.store.database import Connection

HEADS: Final = (
    "SITIO", "USUARIO", "ROL", "CAPTURAS", "COMPARADAS", "CAMPOS", "DISTINTOS", "COINCIDENCIA_%", "INTERVALO_95_%",
    "SEGUNDOS", "TECLAS", "TENDENCIA_POR_HORA", "CONTROLES", "CONTROLES_DISTINTOS",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0, or 2 with one sentence on stderr."""
    parser = Parser(
        prog="prep quality",
        description="Cómo se captura: coincidencia, tiempo y cansancio de cada persona, y el error de la noche.",
    )
    parser.add_argument("--json", action="store_true", help="todo, hora por hora, en JSON")
    arguments = parser.parse_args(argv)

    async def work(connection: Connection) -> str:
        found = told(await store.tonight(connection))
        return json.dumps(found, ensure_ascii=False, indent=1) if arguments.json else "\n".join(as_lines(found))

    try:
        print(asyncio.run(in_transaction(work, Part.AUDIT)))
    except PrepError as error:
        print(f"prep: {error.sentence}", file=sys.stderr)
        sys.exit(2)


def as_lines(found: Mapping[str, Any]) -> list[str]:
    """The answer as lines for a terminal: a table of people, and three sentences about the night."""
    if not found["personas"]:
        return ["todavía no hay capturas"]
    lines = ["\t".join(HEADS), *("\t".join(map(str, _cells(person))) for person in found["personas"])]
    night = found["noche"]
    for name, words in (("error_por_campo", "campos"), ("error_por_captura", "capturas")):
        if (share := night[name]) is not None:
            lines.append(
                f"error de una captura, por {words}: {share['porcentaje']} % (95 %: {share['de']} a {share['a']})"
            )
    if (chance := night["error_sin_detectar"]) is not None:
        lines.append(
            f"dos personas coinciden en un error: {chance['estimado']} % de las actas, hasta {chance['hasta']} %; "
            "es una estimación, y supone que cada quien se equivoca por su lado"
        )
    return lines


def _cells(person: Mapping[str, Any]) -> tuple[object, ...]:
    agrees, trend, controls = person["coincidencia"], person["tendencia"], person["controles"]
    return (
        person["sitio"],
        person["usuario"],
        person["rol"],
        person["total"],
        person["capturas"],
        person["campos"],
        person["campos_distintos"],
        "-" if agrees is None else agrees["porcentaje"],
        "-" if agrees is None else f"{agrees['de']}-{agrees['a']}",
        _three(person["segundos"]),
        _three(person["teclas"]),
        "-" if trend is None else f"{trend['por_hora']} ({trend['de']} a {trend['a']})",
        controls["capturas"],
        controls["campos_distintos"],
    )


def _three(of: Mapping[str, int] | None) -> str:
    return "-" if of is None else f"{of['mediana']} ({of['cuartil_1']}-{of['cuartil_3']})"
