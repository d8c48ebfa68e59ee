"""The openings beside the cortes: each statement is the one that was committed to, and each row stands on its own.

The sequencer opens the statements of a corte in `bitacora/aperturas/NNNN.jsonl`, once, after the corte is out. What a
row needs is told by `support`. An image fuera de catálogo counts as a row here, under its own digest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from integrity.evidence import LogBook, Shown, is_final
from integrity.layout import opening_path
from integrity.leaves import NO_ACTA, opening
from integrity.report import Ledger
from integrity.source import Missing, Source, SourceError
from integrity.sums import Malformed
from integrity.support import GRACE, ShownRow, Standing, Stated, advance, fault_of, shown_fuera, stated

_OPENINGS_LIMIT: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class FirstShown:
    """A captured row, or an image fuera de catálogo, and the corte that was the first to show it."""

    eleccion: str
    clave: str
    corte: int
    row: ShownRow


_Acta = tuple[str, str]


def judge_support(
    book: LogBook,
    tree: Source,
    rows: Iterable[FirstShown],
    shown: Mapping[int, Shown],
    *,
    since: int,
    ledger: Ledger,
) -> None:
    """Open the statements of each corte (EVI-08), once each (EVI-13); every row must stand on them (EVI-12).

    `since` is the first corte whose rows were read.
    """
    for check in ("EVI-08", "EVI-12", "EVI-13"):
        ledger.did(check, 0)
    by_corte: dict[int, dict[_Acta, ShownRow]] = {}
    for each in rows:
        by_corte.setdefault(each.corte, {})[each.eleccion, each.clave] = each.row
    standings: dict[_Acta, Standing] = {}
    latest: dict[_Acta, ShownRow] = {}
    opened: set[int] = set()
    for number in sorted(book.cortes.keys() & shown.keys()):
        mine = by_corte.get(number, {})
        latest |= mine
        path = opening_path(number)
        try:
            lines = tree.read(path, _OPENINGS_LIMIT).splitlines()
        except Missing:
            if mine:
                _miss_openings(book, number, shown, ledger)
            continue
        except SourceError as error:
            ledger.unable(["EVI-08", "EVI-12", "EVI-13"], error.sentence)
            continue
        said = _open_lines(book, number, lines, opened, ledger)
        for acta in mine.keys() | said.keys():
            standing = standings.setdefault(acta, Standing())
            fault = advance(standing, said.get(acta, ()))
            # People may say again what a row shows already: it stays as it is, and stands on both.
            if acta in latest:
                if book.read.get(latest[acta].image) == acta[1]:
                    standing.images |= {latest[acta].image}
                ledger.did("EVI-12")
                fault = fault or fault_of(standing, latest[acta])
            elif number >= since:
                found = f"las de {acta[1]} de {acta[0]}, que ese corte no mostró"
                ledger.wrong("EVI-13", path, expected="las declaraciones de las actas de su corte", found=found)
                continue
            if fault:
                ledger.wrong("EVI-12", path, expected=f"lo que sostiene la fila de {acta[1]} de {acta[0]}", found=fault)


def _miss_openings(book: LogBook, number: int, shown: Mapping[int, Shown], ledger: Ledger) -> None:
    path, last = opening_path(number), max(shown)
    if last - number >= GRACE:
        ledger.wrong("EVI-13", path, expected="las declaraciones de las actas de su corte", found="nada")
        ledger.unable(["EVI-12"], f"falta {path}: no se sabe en qué se apoyan las filas del corte {number}")
    elif is_final(book, shown):
        ledger.unable(["EVI-12", "EVI-13"], f"falta {path}, que puede venir después de su corte")
    else:
        ledger.facts["Aperturas"] = f"faltan todavía las del corte {number}: vienen después de su corte"


def _open_lines(
    book: LogBook, number: int, lines: Sequence[bytes], opened: set[int], ledger: Ledger
) -> dict[_Acta, list[Stated]]:
    """The statements that a corte opens, by acta."""
    path, place = opening_path(number), book.cortes[number][0]
    said: dict[_Acta, list[Stated]] = {}
    for at, line in enumerate(lines, 1):
        try:
            index, given, held = opening(line, book.kinds)
        except Malformed as problem:
            ledger.wrong("EVI-08", path, expected=problem.expected, found=problem.found, position=f"línea {at}")
            continue
        where = f"línea {at}, hoja {index}"
        ledger.did("EVI-08")
        ledger.did("EVI-13")
        if book.commitments[index] != given:
            ledger.wrong("EVI-08", path, expected=book.commitments[index], found=given, position=where)
        if index in opened:
            ledger.wrong("EVI-13", path, expected="cada declaración una vez", found="otra vez la misma", position=where)
        if index > place:
            ledger.wrong("EVI-12", path, expected=f"una hoja anterior a la {place}, del corte", found=where)
        opened.add(index)
        acta = (held["eleccion"], held["acta"])
        if held["acta"] == NO_ACTA and "imagen" in held:
            acta = (NO_ACTA, held["imagen"])
        said.setdefault(acta, []).append(stated(book.kinds[index], held))
    return said


def fuera_shown(book: LogBook, images: Mapping[str, int]) -> Iterable[FirstShown]:
    """Images fuera de catálogo; `images` has each digest, also of a smaller copy, and the first corte that lists it."""
    first: dict[str, int] = {}
    for sha256, corte in images.items():
        first.setdefault(book.derived.get(sha256, sha256), corte)
    return (FirstShown(NO_ACTA, image, corte, shown_fuera(image)) for image, corte in first.items())
