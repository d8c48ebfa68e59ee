"""Write one official file in many dialects, with the delimiters, encodings, names, words and keys of institutes.

`python -m tests.makers.dialects OFFICIAL.csv FOLDER` writes 300 of them to look at. Each is made from a seed, so that
one that reads wrongly can be made again. Every dialect says what a reader must make of it: the same values, or the
line that is refused.
"""

import csv
import io
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prep.domain.rules import RuleSet, rule_set
from prep.domain.tally import SUMMARY_NAMES
from prep.files.csv_tables import bare
from prep.files.official import OfficialFile, Status, read_official
from prep.files.official_words import SYNONYMS
from prep.rehearsal.replay import recomputed

EACH: Final = 12
"""Rows of each state that a dialect holds."""
_OFFSETS: Final = ("UTC-5", "UTC-6", "UTC-7", "UTC-8", "UTC -6", "GMT-6")
_WORDS: Final = {
    "Sin dato": ("Sin dato", "SIN DATO", "sin dato", "(Sin dato)", "S/D"),
    "Ilegible": ("Ilegible", "ILEGIBLE", "ilegible", "[Ilegible]"),
    "Sin acta": ("Sin acta", "SIN ACTA", "Sin Acta", "-", "0", ""),
}
_TEXTS: Final = {
    "Excede Lista Nominal": ("EXCEDE LISTA NOMINAL", "EL: Excede la lista nominal", "Excede Lista Nominal (EL)"),
    "Ilegible": ("ILEGIBLE", "Campo ilegible", "02 - Ilegible", "Ilegible (uno o más campos)"),
    "Sin dato": ("SIN DATO", "Campo sin dato", "03.- Sin dato", "Sin datos"),
    "Todos los campos ilegibles": ("TODOS ILEGIBLES", "TI: Todos los campos ilegibles", "Todo ilegible"),
    "Todos los campos vacíos": ("TODOS LOS CAMPOS VACIOS", "Todos en blanco", "Todos sin dato"),
    "Sin acta(3)": ("Sin acta (3)", "SIN ACTA POR PAQUETE ENTREGADO SIN BOLSA", "PS: Sin acta, paquete sin sobre"),
    "Fuera de Catálogo": (
        "FUERA DE CATALOGO",
        "FC - Fuera del catálogo",
        "No está en catálogo",
        "(2) Fuera de catálogo",
    ),
    "ALGUN DATO ILEGIBLE O SIN DATO": ("ALGÚN CAMPO ILEGIBLE O SIN DATO", "4: Algun dato ilegible o sin dato"),
    "TODOS ILEGIBLES O SIN DATO": ("TODO ILEGIBLE O SIN DATO", "Todos los campos ilegibles o vacíos"),
    "SIN ACTA POR PAQUETE ENTREGADO SIN SOBRE": ("Sin acta por paquete entregado sin bolsa", "3. SIN ACTA: SIN SOBRE"),
    "SIN ACTA POR PAQUETE NO ENTREGADO": ("NP: SIN ACTA POR PAQUETE NO ENTREGADO", "Sin acta (paquete no entregado)"),
}
_UNKNOWN: Final = ("Acta mojada", "En revisión por el consejo", "Sin acta por lluvia", "Pendiente de validar")
_KEYS: Final[tuple[Callable[[str], str], ...]] = (
    lambda key: f"'{key}'",
    lambda key: f"'{key}",
    lambda key: f'="{key}"',
    lambda key: key,
)


@dataclass(frozen=True)
class Dialect:
    """One file, and the result that a reader must have."""

    seed: int
    data: bytes
    offset: str
    refused: int | None
    """The line that must be refused; None if it must read as the file that it was made from."""
    told: tuple[str, ...] = field(default=())
    """The changes that were made to it, for a person who looks for the reason."""


def sample(file: OfficialFile) -> OfficialFile:
    """A few rows of each state, of each district: small enough for 300 of them."""
    taken: dict[tuple[object, ...], int] = {}
    rows = []
    for row in file.rows:
        kind = (row.status, row.observations, row.contabilizada)
        taken[kind] = taken.get(kind, 0) + 1
        if taken[kind] <= EACH:
            rows.append(row)
    return read_official(_write(file, [dict(zip(file.columns, row.printed, strict=True)) for row in rows], {}))


def _write(file: OfficialFile, rows: Sequence[Mapping[str, str]], summary: Mapping[str, str]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(
        [
            [file.title],
            [f"{file.at:%d/%m/%Y %H:%M} ({file.offset})"],
            SUMMARY_NAMES,
            [summary.get(name, file.summary[name]) for name in SUMMARY_NAMES],
            file.columns,
            *([row[name] for name in file.columns] for row in rows),
        ]
    )
    return out.getvalue().encode()


def dialect(file: OfficialFile, rules: RuleSet, seed: int) -> Dialect:  # noqa: PLR0912  # one line for each habit
    """`file` (a `sample`) as some institute might print it."""
    chance = random.Random(seed)
    told: list[str] = []

    def some(share: float, what: str) -> bool:
        if chance.random() < share:
            told.append(what)
            return True
        return False

    columns = [*file.columns]
    rows = [dict(zip(columns, row.printed, strict=True)) for row in file.rows]
    votes = [*file.vote_columns]
    _observe(rows, chance)
    _words(rows, file, columns, chance)
    forms = chance.choice(_KEYS)
    for row in rows:
        for name in ("CLAVE_CASILLA", "CLAVE_ACTA"):
            key = bare(row[name])
            row[name] = forms(key) if key not in {"", "-"} else row[name]
    if some(0.3, "fuera de catálogo sin clave ni distrito"):
        _fuera(rows, file, chance)
    if some(0.3, "el número de casilla es de una base de datos"):
        _database(rows, file)
    if some(0.25, "sin ID_ENTIDAD"):
        columns.remove("ID_ENTIDAD")
    if some(0.4, "una suma entre los votos"):
        _sum(rows, columns, votes, chance)
    if some(0.4, "una candidatura común sin usar"):
        columns.insert(columns.index(votes[0]), "CC_" + "_".join(votes[:2]))
        for row in rows:
            row[columns[columns.index(votes[0]) - 1]] = "-"
    if some(0.3, "una columna desconocida al final"):
        columns.append("FOLIO_INTERNO")
        for number, row in enumerate(rows):
            row["FOLIO_INTERNO"] = str(number)
    if some(0.3, "lo que no está en la boleta, en blanco"):
        for row, official in zip(rows, file.rows, strict=True):
            if official.status is Status.CAPTURADA:
                row.update({name: "" for name in votes if row[name] == "-"})
    offset = chance.choice(_OFFSETS)
    wrong = chance.random() < 0.2
    at = chance.randrange(len(rows))
    if wrong:
        _spoil(rows[at], file, at, chance)
        told.append(f"una falta en la fila {at}")
    data, first = _print(file, rules, columns, rows, chance, offset)
    return Dialect(seed, data, offset, first + at if wrong else None, tuple(told))


def _observe(rows: list[dict[str, str]], chance: random.Random) -> None:
    """Every text in one of its spellings, the same all through the file."""
    spelt = {text: chance.choice((text, *others)) for text, others in _TEXTS.items()}
    listed = chance.random() < 0.5
    for row in rows:
        texts = [text for text in spelt if text in _parts(row["OBSERVACIONES"])]
        if texts:
            said = [spelt[text] for text in texts]
            apart = not any("," in text for text in said)
            row["OBSERVACIONES"] = str(said) if listed else ("; " if not apart else ", ").join(said)
            if not listed and not apart and len(said) > 1:
                row["OBSERVACIONES"] = str(said)
        elif not row["OBSERVACIONES"].strip("-[] "):
            row["OBSERVACIONES"] = chance.choice(("", "-", "N/A", "[]", "Ninguna"))


def _parts(text: str) -> list[str]:
    return [part.strip(" '\"") for part in text.strip("[]").split(",")]


def _words(rows: list[dict[str, str]], file: OfficialFile, columns: Sequence[str], chance: random.Random) -> None:
    spelt = {word: chance.choice(others) for word, others in _WORDS.items()}
    fields = [name for name in columns if name in {*file.vote_columns} or name.startswith("TOTAL_")]
    for row in rows:
        for name in fields:
            word = row[name].strip().capitalize()
            if word in spelt:
                row[name] = spelt[word]


def _fuera(rows: list[dict[str, str]], file: OfficialFile, chance: random.Random) -> None:
    for row, official in zip(rows, file.rows, strict=True):
        if official.status is Status.FUERA_DE_CATALOGO:
            row["CLAVE_CASILLA"] = row["CLAVE_ACTA"] = chance.choice(("", "-", "N/A"))
            row["CONTABILIZADA"] = chance.choice(("2", "-", ""))
            row.update({name: chance.choice(("", "-")) for name in row if "DISTRITO" in name})


def _database(rows: list[dict[str, str]], file: OfficialFile) -> None:
    for number, (row, official) in enumerate(zip(rows, file.rows, strict=True)):
        if official.status is not Status.FUERA_DE_CATALOGO and official.numero:
            row["ID_CASILLA"] = str(48_000 + number)


def _sum(rows: list[dict[str, str]], columns: list[str], votes: Sequence[str], chance: random.Random) -> None:
    one, other = chance.sample([*votes[:4]], 2)
    columns.insert(columns.index(votes[0]) + chance.randrange(1, 4), "SUBTOTAL_XYZ")
    for row in rows:
        cells = [row[name].replace(",", "") for name in (one, other)]
        row["SUBTOTAL_XYZ"] = str(sum(int(cell) for cell in cells if cell.isdigit()))
        if not any(cell.isdigit() for cell in cells):
            row["SUBTOTAL_XYZ"] = row[one]


def _spoil(row: dict[str, str], file: OfficialFile, at: int, chance: random.Random) -> None:
    kind = chance.randrange(3)
    if kind == 0:
        row["OBSERVACIONES"] = chance.choice(_UNKNOWN)
    elif kind == 1:
        row[file.vote_columns[0]] = chance.choice(("doce", "1.5", "-3", "Extraviado"))
    else:
        row["CONTABILIZADA"] = chance.choice(("7", "tal vez", "X"))


def _print(
    file: OfficialFile,
    rules: RuleSet,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, str]],
    chance: random.Random,
    offset: str,
) -> tuple[bytes, int]:
    """The bytes, and the line of the first row."""
    delimiter = chance.choice(",,|;\t")
    stated = chance.random() < 0.3
    summary = {name: _summary(name, value, chance) for name, value in recomputed(file, rules).items()}
    names = [chance.choice((name, *SYNONYMS.get(name, ()))) for name in columns]
    if "ID_DISTRITO_FEDERAL" in columns:
        names = [name if "DISTRITO" not in column else column for name, column in zip(names, columns, strict=True)]
    names = [
        _joined(name, chance) if column in file.vote_columns else name
        for name, column in zip(names, columns, strict=True)
    ]
    blank: list[list[str]] = [[]] * chance.randrange(3)
    head = [
        [file.title],
        [f"{file.at:%d/%m/%Y %H:%M} ({offset})"],
        *blank,
        [*SUMMARY_NAMES],
        [summary[name] for name in SUMMARY_NAMES],
        *([[]] * chance.randrange(2)),
        names,
    ]
    out = io.StringIO()
    writer = csv.writer(
        out, delimiter=delimiter, lineterminator="\n", quoting=chance.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    )
    writer.writerows([*head, *([row[name] for name in columns] for row in rows)])
    text = (f"sep={delimiter}\n" if stated else "") + out.getvalue()
    end = chance.choice(("\n", "\r\n", "\r")).encode()
    mixed = chance.choice((("utf-8",), ("cp1252",), ("utf-8", "cp1252")))
    data = end.join(line.encode(chance.choice(mixed)) for line in text.split("\n"))
    marked = b"\xef\xbb\xbf" if mixed == ("utf-8",) and chance.random() < 0.5 else b""
    return marked + data, len(head) + stated + 1


def _joined(name: str, chance: random.Random) -> str:
    if "-" not in name:
        return name
    return chance.choice((name, name.replace("-", "_"), "C_" + name.replace("-", "_"), "COA_" + name.replace("-", "_")))


def _summary(name: str, value: str, chance: random.Random) -> str:
    if chance.random() < 0.1:
        return ""
    if name.startswith("PORCENTAJE"):
        return chance.choice((value, f"{value}%", f"'{value}'"))
    return chance.choice((value, f"'{value}", f"{int(value):,}"))


def main() -> None:
    """OFFICIAL.csv RULES FOLDER."""
    official, rules, folder = Path(sys.argv[1]), rule_set(sys.argv[2]), Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    file = sample(read_official(official.read_bytes()))
    for seed in range(300):
        made = dialect(file, rules, seed)
        (folder / f"{seed:03}.csv").write_bytes(made.data)
        print(seed, f"línea {made.refused}" if made.refused else "igual", *made.told, sep=", ")


if __name__ == "__main__":
    main()
