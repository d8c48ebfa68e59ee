"""The sites of a catalogue: the CATD and CCV where people and devices work (optional)."""

import re
from typing import Final

from prep.domain.catalog import CatalogSite
from prep.files import csv_tables as cell
from prep.files.catalog_columns import Tables

_PARTS: Final = re.compile(r"[^\W\d_]+|\d+")


def read_sites(tables: Tables) -> list[CatalogSite]:
    """Read the sites. Errors: a clave twice, or two claves that a person would take for one, as CATD-1 and CATD 01."""
    table = tables.get("sitios.csv")
    if table is None:
        return []
    claves = table.read("clave", cell.code, "")
    names = table.read("nombre", cell.name, "")
    table.expect_once("clave", "el sitio está repetido", claves)
    known: dict[tuple[str, ...], str] = {}
    for row, clave in enumerate(claves):
        alike = known.setdefault(spoken(clave), clave)
        if alike != clave and row not in table.unsound:
            table.blame(row, "clave", f"se confunde con {alike}: un sitio tiene una sola clave")
    return [CatalogSite(clave, name) for clave, name in zip(claves, names, strict=True) if not table.report]


def spoken(clave: str) -> tuple[str, ...]:
    """The letters and numbers of a clave as people say it: without its signs, and without zeros before a number."""
    return tuple(part.lstrip("0") or "0" if part.isdigit() else part for part in _PARTS.findall(clave.upper()))
