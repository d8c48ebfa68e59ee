"""Does every row that is new in a corte stand on the statements of people? The gate asks it of the files in the stage.

The publisher writes the statements behind the new versions into the stage, beside the corte and no part of it. This
file reads them, and the rows that differ from the corte before, and asks `integrity.support`, as everybody can ask once
the sequencer has opened the same statements. A row without support is the finding EVI-12, and the corte does not go
out.
"""

import csv
import json
import os
from collections import defaultdict
from collections.abc import AsyncIterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TextIO

from integrity.leaves import NO_ACTA
from integrity.support import (
    ACTS,
    ShownRow,
    Standing,
    Stated,
    advance,
    fault_of,
    shown_fuera,
    typed_cells,
    values_key,
)
from integrity.tree.rows import changes, split_line

CHECK: Final = "EVI-12"
LECTURA: Final = "lectura"
"""The word of a reading, among the statements; no person says it. It names the image whose sticker is that of the acta;
or the image fuera de catálogo of which `acta` is the smaller copy."""
STATEMENTS: Final = "declaraciones"
"""A folder in the stage, beside that of the corte: one file for each election, as each is checked by itself."""
_IDENTITY: Final = 12
_TAIL: Final = 15
"""Columns before the quantities, and from TOTAL_VOTOS_ASENTADO on."""


async def write_statements(stage: Path, statements: AsyncIterable[Mapping[str, Any]]) -> None:
    """One JSON object a line (`prep.store.standing.behind`)."""
    (stage / STATEMENTS).mkdir()
    with ExitStack() as opened:
        files: dict[str, TextIO] = {}
        async for each in statements:
            code = each["eleccion"]
            if code not in files:
                files[code] = opened.enter_context(_file_of(stage, code).open("w", encoding="utf-8"))
            files[code].write(json.dumps(each, ensure_ascii=False) + "\n")


def _file_of(stage: Path, code: str) -> Path:
    return stage / STATEMENTS / f"{code}.jsonl"


def unsupported_rows(
    folder: Path, before: Path | None, election: Mapping[str, Any], texts: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """CLAVE_ACTA and fault of each new row of one election without support.

    `folder` is the corte's, in the stage; `before` is the file of the corte before.
    """
    statements, read = _statements_of(folder.parent, election["codigo"])
    for old_cells, cells in _changed_rows(before, folder / election["archivo"]):
        if cells[-10] not in {"0", "1"}:
            continue
        acta = cells[1].strip("'")
        standing = _standing_of(old_cells)
        standing.images |= read[acta]
        fault = advance(standing, statements.get(acta, [])) or fault_of(standing, _shown(cells, texts))
        if fault:
            yield acta, fault


def unsupported_fuera(folder: Path) -> Iterator[tuple[str, str]]:
    """Digest and fault of each image that the corte is the first to list as fuera de catálogo, without support."""
    statements, read = _statements_of(folder.parent, NO_ACTA)
    with (folder / "images.csv").open(encoding="utf-8-sig", newline="") as file:
        for digest in [cells[0] for cells in csv.reader(file) if cells[-1] == NO_ACTA]:
            image = next(iter(read[digest]), digest)
            standing = Standing()
            fault = advance(standing, statements.get(image, [])) or fault_of(standing, shown_fuera(image))
            if fault:
                yield image, fault


def _statements_of(stage: Path, code: str) -> tuple[dict[str, list[Stated]], Mapping[str, frozenset[str]]]:
    """By acta of that election: what people said, and the images in which the machine read its sticker."""
    found: defaultdict[str, list[Stated]] = defaultdict(list)
    read: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    if not _file_of(stage, code).exists():  # nobody said anything
        return found, read
    with _file_of(stage, code).open(encoding="utf-8") as lines:
        for each in map(json.loads, lines):
            if each["clase"] == LECTURA:
                read[each["acta"]] |= {each["dice"]}
            else:
                said = each["dice"] if each["clase"] in {"sin_acta", "identidad"} else int(each["dice"])
                values = values_key(typed_cells(each["numeros"], each["marcas"])) if each["clase"] == "captura" else b""
                assert each["clase"] in ACTS
                found[each["acta"]].append(Stated(each["clase"], str(each["persona"]), each["ronda"], said, values))
    return found, read


def _changed_rows(before: Path | None, new: Path) -> Iterator[tuple[list[str], list[str]]]:
    """The cells of each row before (empty if it was not there) and now, of rows that differ."""
    for change in changes(before or Path(os.devnull), new):
        if change.new is not None:
            cells = split_line(change.new)
            if cells is None:  # the gate asks only about a file whose rows have passed
                raise ValueError(f"no row: {change.new[:80]!r}")
            yield split_line(change.old or b"") or [], cells


def _standing_of(cells: Sequence[str]) -> Standing:
    """What the row of the corte before stood on: that corte was checked before it went out."""
    if not cells or cells[-10] not in {"0", "1"} or _is_sin_acta(cells):
        return Standing()
    cotejo = frozenset[object]({int(cells[-1])}) if cells[-1].isdigit() else frozenset[object]()
    return Standing(0, values_key(cells[_IDENTITY : 1 - _TAIL]), cotejo, frozenset({cells[-8]}))


def _shown(cells: Sequence[str], texts: Mapping[str, str]) -> ShownRow:
    if _is_sin_acta(cells):
        said = cells[-11]
        codes = frozenset[object](code for code, text in texts.items() if code.startswith("sin_acta") and text == said)
        return ShownRow(b"", codes, cells[-1], "")
    return ShownRow(values_key(cells[_IDENTITY : 1 - _TAIL]), frozenset(), cells[-1], cells[-8])


def _is_sin_acta(cells: Sequence[str]) -> bool:
    return "Sin acta" in cells[_IDENTITY + 4 : -_TAIL]
