"""The speed of checking and loading a national catalogue, beside reading the same files with `csv` alone."""

import csv
import io
import re
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from prep.rehearsal.installation import order, place_in
from prep.rehearsal.synthetic import national

CASILLAS: Final = 170_000


def catalog_load() -> list[dict[str, Any]]:
    """Actas a second from the CSV files to committed rows, with the command `prep catalog load`."""
    folder = national(CASILLAS)
    started = time.perf_counter()
    for content in folder.values():
        for _ in csv.reader(io.StringIO(content.decode("utf-8-sig"))):
            pass
    bare = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch) / "catalogo"
        files.mkdir()
        for name, content in folder.items():
            (files / name).write_bytes(content)
        place = place_in(Path(scratch) / "datos", Path(scratch) / "publico", {})
        order(place, "migrate")
        started = time.perf_counter()
        said = order(place, "catalog", "load", str(files), "--accept-warnings")
        seconds = time.perf_counter() - started
    [actas] = [int(found) for found in re.findall(r"(\d+) actas esperadas", said)]
    rate = actas / seconds
    return [
        {
            "name": f"catálogo nacional: {CASILLAS} casillas × 3 elecciones, validado y cargado",
            "value": round(rate),
            "unit": "actas/s",
            "target": ">= 50000",
            "met": rate >= 50_000,
            "limit": f"{seconds:.1f} s con el arranque; leer los mismos CSV sin más, {bare:.1f} s",
        }
    ]
