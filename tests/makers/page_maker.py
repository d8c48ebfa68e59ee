"""The pages of the small tree, from docs/tree.md alone; it shares no code with the publisher."""

import csv
import io
import json
import re
from html import escape
from pathlib import Path
from typing import Any

from tests.makers import tree_maker

Json = dict[str, Any]
Row = dict[str, str]
QUANTITIES = {
    "TOTAL_BOLETAS_SOBRANTES": "Boletas sobrantes",
    "TOTAL_PERSONAS_VOTARON": "Personas que votaron",
    "TOTAL_REP_PARTIDO_CI_VOTARON": "Representantes que votaron",
    "TOTAL_VOTOS_SACADOS": "Votos sacados de la urna",
    "TOTAL_VOTOS_ASENTADO": "Total asentado en el acta",
    "TOTAL_VOTOS_CALCULADO": "Total calculado",
}
OTHERS = ("CODIGO_INTEGRIDAD", "FECHA_HORA_ACOPIO", "FECHA_HORA_CAPTURA", "FECHA_HORA_VERIFICACION", "ORIGEN")
BANNER = '<p class="simulacro" role="note"><strong>Simulacro.</strong> Datos de prueba.</p>\n'
WORDS = {"NO_REGISTRADAS": "Candidaturas no registradas", "NULOS": "Votos nulos"}


def figure(value: object, told: str, text: str | None = None) -> str:
    shown = f"{value:,}" if isinstance(value, int) and text is None else str(text if text is not None else value)
    return f'<data value="{escape(str(value))}" data-de="{escape(told)}">{escape(shown)}</data>'


def page(body: str, depth: int, corte: int) -> str:
    root = "../" * depth
    return (
        f'<!doctype html>\n<html lang="es-MX" data-corte="{corte}">\n<head><title>PREP</title>'
        f'<link rel="stylesheet" href="{root}estilo.css"></head>\n<body>\n{body}\n</body>\n</html>\n'
    )


def line(name: str, *cells: str) -> str:
    return (
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"""<td class="n">{cell}</td>""" for cell in cells)}</tr>\n'
    )


def counts(rows: list[Row], scope: str) -> str:
    seen = [row for row in rows if row["CONTABILIZADA"] in {"0", "1"}]
    absent = [row for row in seen if absent_acta(row)]
    counted = [row for row in seen if row["CONTABILIZADA"] == "1"]
    told = {"esperadas": len(rows), "capturadas": len(seen), "contabilizadas": len(counted)}
    told |= {"sin_contar": len(seen) - len(counted) - len(absent), "sin_acta": len(absent)}
    share = tree_maker.truncated(len(counted), len(rows))
    shown = "".join(f"<p>{name}: {figure(value, f'{scope}:{name}')}</p>\n" for name, value in told.items())
    return f"{shown}<p>{figure(share, f'{scope}:contabilizadas%esperadas')} %</p>\n"


def absent_acta(row: Row) -> bool:
    return any(row[code] == "Sin acta" for code, _, _ in tree_maker.OPTIONS)


def added(rows: list[Row]) -> dict[str, int]:
    counted = [row for row in rows if row["CONTABILIZADA"] == "1"]
    return {code: sum(number(row[code]) for row in counted) for code, _, _ in tree_maker.OPTIONS}


def number(cell: str) -> int:
    return int(cell) if cell.isdigit() and cell.isascii() and len(cell) < 8 else 0


def votes(amounts: dict[str, int], scope: str, kind: str) -> str:
    lines = (line(WORDS.get(code, code), figure(n, f"{scope}:{kind}/{code}")) for code, n in amounts.items())
    return f"<table>\n{''.join(lines)}</table>\n"


def candidacies(contest: Json, won: dict[str, int], scope: str) -> str:
    people = [
        (held["propietaria"], sum(won.get(code, 0) for code in held["opciones"]), f"{scope}:candidatura/{held['id']}")
        for held in contest["candidaturas"]
    ]
    return f"<table>\n{''.join(line(name, figure(votes, told)) for name, votes, told in people)}</table>\n"


def acta(cells: Row, scope: str) -> str:
    absent = absent_acta(cells)
    state = "Contabilizada" if cells["CONTABILIZADA"] == "1" else "Sin acta" if absent else "No contabilizada"
    shown = f"<p>{figure(cells['CONTABILIZADA'], f'{scope}:CONTABILIZADA', state)}</p>\n"
    if cells["OBSERVACIONES"]:
        shown += f"<p>{figure(cells['OBSERVACIONES'], f'{scope}:OBSERVACIONES')}</p>\n"
    columns = {} if absent else QUANTITIES | {code: WORDS.get(code, code) for code, _, _ in tree_maker.OPTIONS}
    for column, name in columns.items():
        if cells[column] != "-":
            shown += line(name, cell(cells[column], f"{scope}:{column}"))
    others = ("LISTA_NOMINAL", "REPRESENTANTES_PP_CI")
    for column in others if absent else (*others, *OTHERS, "DIGITALIZACION", "TIPO_DOCUMENTO"):
        shown += f"<p>{figure(cells[column], f'{scope}:{column}')}</p>\n"
    if not absent:
        digest = cells["CODIGO_INTEGRIDAD"]
        words = ("no", "aceptada", "aceptada después de un cambio", "en corrección")
        said = words[int(cells["COTEJADA"])] if cells["COTEJADA"] in {*"0123"} else cells["COTEJADA"]
        shown += f"<p>{figure(cells['COTEJADA'], f'{scope}:COTEJADA', said)}</p>\n"
        shown += f'<a href="../imagenes/{digest[:2]}/{digest}.png">imagen</a>\n'
    return shown


def cell(text: str, told: str) -> str:
    """A quantity: numbers have commas, words stay."""
    plain = text == "0" or (number(text) and not text.startswith("0"))
    return figure(text, told, f"{int(text):,}" if plain else text)


def read_rows(path: Path) -> list[Row]:
    """The rows of the catalogue; none if the file cannot be read."""
    if not path.exists():
        return []
    text = path.read_bytes().decode("utf-8-sig", "replace")
    lines = [
        cells for cells in list(csv.reader(io.StringIO(text, newline="")))[7:] if len(cells) == len(tree_maker.HEADER)
    ]
    rows = [dict(zip(tree_maker.HEADER, cells, strict=True)) for cells in lines]
    return [row for row in rows if row["CONTABILIZADA"] != "2"]


def write_pages(root: Path, folder: Path | None = None) -> None:
    """The pages of a corte (None: the last), from its files: home page, one for each election, place, captured acta."""
    folder = folder or max((root / "cortes").iterdir())
    corte = int(folder.name)
    totals = json.loads((folder / "totals.json").read_bytes())["elecciones"]
    manifest = json.loads((folder / "manifest.json").read_bytes())
    banner = BANNER if manifest["simulacro"] else ""
    home = ""
    for code, told in totals.items():
        rows = read_rows(folder / f"{tree_maker.EDO}_{code}_{tree_maker.YEAR}.csv")
        parties: dict[str, int] = {}
        contests = ""
        for contest in told["contiendas"]:
            own = [row for row in rows if contest["territorio"] in {0, number(row["ID_DISTRITO_LOCAL"].lstrip("0"))}]
            for name, amount in tree_maker.distributed(added(own)).items():
                parties[name] = parties.get(name, 0) + amount
            contests += candidacies(contest, added(own), f"{code}/contienda/{contest['id']}")
        whole = counts(rows, code) + votes(parties, code, "partido")
        home += whole
        _write(root / code / "index.html", page(banner + whole + contests, 1, corte))
        by_place: dict[str, list[Row]] = {}
        for row in rows:
            by_place.setdefault(row["ID_DISTRITO_LOCAL"].lstrip("0"), []).append(row)
        for place, some in by_place.items():
            _write_place(root, code, place, some, banner, corte=corte)
    _write(root / "index.html", page(banner + home, 0, corte))


def _write_place(root: Path, code: str, place: str, rows: list[Row], banner: str, *, corte: int) -> None:
    listed = ""
    for row in rows:
        clave = row["CLAVE_ACTA"].strip("'")
        if row["CONTABILIZADA"] in {"0", "1"} and clave.isalnum():
            scope = f"{code}/acta/{clave}"
            shown = acta(row, scope)
            _write(root / code / f"{clave}.html", page(banner + shown, 1, corte))
            state = re.findall(r"<p>(.*:CONTABILIZADA.*)</p>", shown)[0]
            sums = cell(row["TOTAL_VOTOS_CALCULADO"], f"{scope}:TOTAL_VOTOS_CALCULADO")
            listed += f'<tr><th scope="row">{clave}</th><td>{state}</td><td class="n">{sums}</td></tr>\n'
    scope = f"{code}/lugar/28-{place}"
    own = counts(rows, scope) + votes(added(rows), scope, "opcion")
    _write(root / code / f"lugar-28-{place}.html", page(f"{banner}{own}<table>\n{listed}</table>\n", 1, corte))


def _write(path: Path, text: str) -> None:
    if path.parent.is_symlink() or (path.exists() and not path.is_file()):
        return
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
