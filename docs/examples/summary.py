"""Computes the thirteen summary values of a published corte again, from its rows: `python3 summary.py TREE [NNNN]`.

Written from docs/tree.md alone, with nothing but Python's standard library. Exit status 1 if a value differs.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any


def percent(part: int, whole: int) -> str:
    scaled = part * 10**6 // whole if whole else 0
    return f"{scaled // 10**4}.{scaled % 10**4:04}"


def computed(rows: list[dict[str, str]], options: list[str], rules: dict[str, Any], *, final: bool) -> list[str]:
    excede = rules["texts"].get("excede_lista_nominal")
    captured = [row for row in rows if row["CONTABILIZADA"] in {"0", "1"}]
    counted = [row for row in captured if row["CONTABILIZADA"] == "1"]
    fuera = sum(row["CONTABILIZADA"] == "2" for row in rows)
    expected = len(rows) - fuera
    odd = [
        row
        for row in captured
        if any(row[option] in {"Ilegible", "Sin dato"} for option in options)
        or (rules["excede_applies"] and excede in row["OBSERVACIONES"].split(", "))
    ]
    lista = sum(int(row["LISTA_NOMINAL"]) for row in counted)
    everywhere = sum(int(row["TOTAL_VOTOS_CALCULADO"]) for row in counted)
    usual = sum(int(row["TOTAL_VOTOS_CALCULADO"]) for row in counted if row["TIPO_CASILLA"] != "S")
    voted = everywhere if final and rules["last_corte_with_especiales"] else usual
    numbers = (expected, len(captured) + fuera, fuera, len(captured), percent(len(captured), expected), len(counted))
    shares = (percent(len(counted), expected), percent(len(odd), expected))
    # Some rule sets leave the actas sin acta out of this number.
    absent = 0 if rules.get("sin_acta_not_counted", True) else sum("Sin acta" in row.values() for row in captured)
    rest = (len(captured) - len(counted) - absent, lista, everywhere, usual, percent(voted, lista))
    return [str(value) for value in (*numbers, *shares, *rest)]


def main(tree: Path, number: str | None = None) -> int:
    folder = tree / (f"cortes/{number}" if number else json.loads((tree / "index.json").read_bytes())["carpeta"])
    manifest = json.loads((folder / "manifest.json").read_bytes())
    wrong = 0
    for election in manifest["elecciones"]:
        with (folder / election["archivo"]).open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
        rows = [dict(zip(lines[6], cells, strict=True)) for cells in lines[7:]]
        options = [option["codigo"] for option in election["opciones"]]
        rules = manifest["reglas"][election["codigo"]]["contenido"]
        ours = computed(rows, options, rules, final=manifest["fase"] == "final")
        for name, published, value in zip(lines[3], lines[4], ours, strict=True):
            print(f"{election['codigo']} {name}: {published} {'=' if published == value else '≠ ' + value}")
            wrong += published != value or election["resumen"][name] != value
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:3]))
