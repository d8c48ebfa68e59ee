"""Three hundred dialects of two real files: each reads as the file that it was made from, or is refused at its line."""

from datetime import datetime

import pytest

from prep.domain.rules import rule_set
from prep.errors import Rejected
from prep.files.official import OfficialFile, OfficialRow, Status, read_official
from prep.rehearsal.replay import recomputed
from prep.rehearsal.replay_catalog import nivel_of, settled
from tests.makers.dialects import Dialect, dialect, sample
from tests.makers.official_files import Official

ELECTIONS = {
    "ine-2023": "tamaulipas-2023/TAMPS_SEN_FED_ext_2023.csv",
    "qroo-2019": "quintana-roo-2019/QROO_DIP_LOC_2019.csv",
}
MANY = 150
"""Dialects of each file."""


def values(file: OfficialFile) -> list[tuple[object, ...]]:
    """Everything that a row says, in no dialect."""
    file, _ = settled(file, nivel_of(file, ()))
    return sorted(_values(file, row) for row in file.rows)


def _values(file: OfficialFile, row: OfficialRow) -> tuple[object, ...]:
    outside = row.status is Status.FUERA_DE_CATALOGO
    return (
        row.clave,
        row.status,
        "" if row.status is Status.FUERA_DE_CATALOGO else row.contabilizada,
        tuple((name, str(cell)) for name, cell in zip(file.vote_columns, row.cells, strict=True) if cell is not None),
        tuple(map(str, row.header)),
        str(row.total_asentado),
        row.total_calculado or 0,
        row.lista_nominal or 0,
        row.representantes or 0,
        tuple(sorted("/".join(sorted(codes)) for codes in row.meanings)),
        None if outside else (row.distrito or 0),
        tuple(_printed(moment) for moment in (row.acopio, row.captura, row.verificacion)),
    )


def _printed(moment: datetime | None) -> str:
    return f"{moment:%d/%m/%Y %H:%M:%S}" if moment else ""


def judged(made: Dialect, file: OfficialFile, right: list[tuple[object, ...]], rules: str) -> str:
    """The error in the reading of a dialect; "" if there is none."""
    where = f"línea {made.refused}" if made.refused else "nada"
    try:
        read = read_official(made.data)
    except Rejected as error:
        return "" if error.sentence.startswith(f"{where}, ") else f"rechazado: {error.sentence}; se esperaba {where}"
    if made.refused:
        return f"leído, y la línea {made.refused} no se entiende"
    if values(read) != right:
        return "otros valores: " + str(sorted(set(values(read)) ^ set(right))[:2])
    told = "".join(made.offset.replace("GMT", "UTC").split())
    if read.at is None or read.offset.replace("GMT", "UTC") != told or f"{read.at:%z}"[:3] != f"-0{told[-1]}":
        return f"hora {read.at} {read.offset}, se esperaba {made.offset}"
    stated = {name: value for name, value in read.summary.items() if value}
    ours = recomputed(read, rule_set(rules))
    return "" if stated.items() <= ours.items() else f"resumen {stated} y {ours}"


@pytest.mark.parametrize("rules", ELECTIONS)
def test_every_dialect_reads_equal_or_is_refused_at_its_line(official: Official, rules: str) -> None:
    file = sample(read_official(official(ELECTIONS[rules]).read_bytes()))
    right = values(file)
    made = [dialect(file, rule_set(rules), seed) for seed in range(MANY)]
    wrong = {each.seed: (said, each.told) for each in made if (said := judged(each, file, right, rules))}
    assert wrong == {}
    refused = sum(each.refused is not None for each in made)
    assert MANY / 10 < refused < MANY / 3, "some of them hold a fault, most do not"
