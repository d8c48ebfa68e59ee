"""Tells who leads in each place, from the site alone: `python3 who_leads.py https://prep.example.mx ELECCION`.

Reads index.json and totals.json (docs/tree.md) with Python's standard library. A folder works too.
"""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen


def read(site: str, name: str) -> Any:  # noqa: ANN401 - JSON
    where = f"{site.rstrip('/')}/{name}"
    return json.loads(urlopen(where).read() if site.startswith("http") else Path(where).read_bytes())  # noqa: S310


site, election = sys.argv[1:3]
index = read(site, "index.json")
print(f"Corte {index['corte']}, {index['fecha_hora']}{' (SIMULACRO)' if index['simulacro'] else ''}")
for place in read(site, f"{index['carpeta']}/totals.json")["elecciones"][election]["contiendas"]:
    first, second = (*sorted(place["candidaturas"], key=lambda each: -each["votos"]), None, None)[:2]
    told = {name: int(place["resumen"][f"ACTAS_{name}"]) for name in ("ESPERADAS", "CAPTURADAS")}
    lead = first["votos"] - (second["votos"] if second else 0) if first else 0
    name = first["propietaria"] if lead else "empate, o sin votos aún"
    print(f"{place['nombre']}: {name}, por {lead} votos; faltan {told['ESPERADAS'] - told['CAPTURADAS']} actas")
