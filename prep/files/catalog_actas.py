"""The expected actas of a catalogue: one for each casilla and election, with the changes of actas.csv."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, count, repeat
from typing import Final

from prep.domain.catalog import Acta, ActaId, CasillaId
from prep.files import csv_tables as cell
from prep.files.catalog_casillas import CasillaColumns, judge_limit
from prep.files.catalog_columns import Tables, maybe_digit_boxes, maybe_people
from prep.files.catalog_contests import Contests
from prep.files.catalog_elections import Drafts, ElectionDraft, expect_election
from prep.files.csv_tables import CsvTable, FileFinding, shown

_CLAVE: Final = re.compile(r"\d{6}[A-Z]\d{4}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ActaChange:
    """A row of actas.csv: the changes of one acta. None and "" mean no change."""

    tipo_acta: str
    sufijo: str
    lista_nominal: int | None
    representantes: int | None
    boletas_maximas: int | None
    digitos: int | None

    def apply(self, acta: Acta, clave_casilla: str) -> Acta:
        sufijo = self.sufijo or self.tipo_acta or acta.clave.removeprefix(clave_casilla)
        fields = acta.qr.split("|")
        fields[2] = without_zeros(self.tipo_acta or acta.tipo_acta)
        return acta._replace(
            tipo_acta=self.tipo_acta or acta.tipo_acta,
            clave=clave_casilla + sufijo,
            qr="|".join(fields),
            lista_nominal=acta.lista_nominal if self.lista_nominal is None else self.lista_nominal,
            representantes=acta.representantes if self.representantes is None else self.representantes,
            boletas_maximas=acta.boletas_maximas if self.boletas_maximas is None else self.boletas_maximas,
            digitos=acta.digitos if self.digitos is None else self.digitos,
        )


ActaChanges = dict[tuple[str, int], ActaChange]
"""Election code and row of casillas.csv → change."""


def read_changes(tables: Tables, drafts: Drafts, casillas: CasillaColumns | None) -> ActaChanges:
    table = tables.get("actas.csv")
    if table is None:
        return {}
    elections = table.read("eleccion", cell.code, "")
    claves = table.read("clave_casilla", _casilla_clave, "")
    changes = list(
        map(
            ActaChange,
            table.read("tipo_acta", cell.maybe_sticker_word, ""),
            table.read("sufijo", cell.maybe_sticker_word, ""),
            table.read("lista_nominal", maybe_people, None),
            table.read("representantes", maybe_people, None),
            table.read("boletas_maximas", maybe_people, None),
            table.read("digitos", maybe_digit_boxes, None),
        )
    )
    expect_election(table, elections, tables, drafts)
    table.expect_once("clave_casilla", "el acta está repetida", elections, claves)
    if casillas is None or not casillas.table.sound:
        return {}
    rows = {clave: row for row, clave in enumerate(casillas.claves)}
    table.expect(
        "clave_casilla", lambda own: "" if own in rows else f"la casilla {own} no está en casillas.csv", claves
    )
    for row, (election, clave, change) in enumerate(zip(elections, claves, changes, strict=True)):
        if row not in table.unsound:
            _judge_change(table, row, (election, rows[clave]), change, casillas)
    return {
        (election, rows[clave]): change
        for election, clave, change in zip(elections, claves, changes, strict=True)
        if clave in rows
    }


def _judge_change(
    table: CsvTable, row: int, acta: tuple[str, int], change: ActaChange, casillas: CasillaColumns
) -> None:
    election, casilla = acta
    codes = casillas.elections[casilla]
    if codes and election not in codes:
        table.blame(row, "clave_casilla", f"esa casilla no vota en {election}")
    lista = casillas.lista_nominal[casilla] if change.lista_nominal is None else change.lista_nominal
    maximum = casillas.boletas_maximas[casilla] if change.boletas_maximas is None else change.boletas_maximas
    wrong = judge_limit(casillas.tipo[casilla], lista, maximum)
    if wrong:
        table.blame(row, "lista_nominal", wrong)


def _casilla_clave(text: str) -> str:
    clave = cell.bare(text).upper()
    if not _CLAVE.fullmatch(clave):
        raise ValueError(f"«{shown(clave)}» no es una clave de casilla: entidad(2) sección(4) tipo(1) id(2) ext(2)")
    return clave


def build_actas(casillas: CasillaColumns, drafts: Drafts, contests: Contests, changes: ActaChanges) -> list[Acta]:
    """One acta for each casilla and election: first by election, then in the order of the official file."""
    claves = casillas.claves
    own = zip(casillas.seccion, casillas.numero, casillas.tipo, casillas.ext_contigua, strict=True)
    tails = [f"|{seccion}|{numero}|{tipo}|{ext}|" for seccion, numero, tipo, ext in own]
    kinds = {code: draft.territory or draft.distrito for code, draft in drafts.items()}
    orders = {kind: casillas.order(kind) for kind in set(kinds.values())}
    actas: list[Acta] = []
    for code, draft in drafts.items():
        votes = casillas.votes(draft)
        order = orders[kinds[code]]
        rows = list(compress(order, map(votes.__getitem__, order)))
        start = len(actas)
        actas.extend(_actas_of(draft, rows, casillas, (claves, tails), contests, first=start + 1))
        if changes:
            # Changes are few; so build all actas fast and replace single ones after it.
            for place, row in enumerate(rows, start=start):
                if (code, row) in changes:
                    actas[place] = changes[code, row].apply(actas[place], claves[row])
    return actas


def _actas_of(
    draft: ElectionDraft,
    rows: Sequence[int],
    casillas: CasillaColumns,
    texts: tuple[Sequence[str], Sequence[str]],
    contests: Contests,
    *,
    first: int,
) -> Iterable[Acta]:
    """The actas of one election for these rows of casillas.csv. `texts` are the claves and the ends of the QR texts.

    These lines decide the speed of the load: 170,000 casillas × 3 elections pass here. So they work with columns and
    make no object for each row but the acta.
    """
    claves, tails = texts
    entidades, owns = casillas.contests(draft)
    contest_ids = {key[1:]: place.contest.id for key, place in contests.items() if key[0] == draft.code}
    tipo, entidad, distrito = casillas.tipo, casillas.entidad, casillas.territory[draft.distrito]
    tipos, sufijos, candidatura = draft.tipos, draft.sufijos, without_zeros(draft.candidatura)
    # Many casillas share the beginning of the QR text, so build each different beginning once.
    heads = {
        held: f"{held[0]}|{held[1]}|{without_zeros(tipos[held[2]])}"
        for held in set(zip(entidad, distrito, tipo, strict=True))
    }
    return map(
        Acta,
        map(ActaId, count(first)),
        repeat(draft.id),
        [contest_ids[entidades[row], owns[row]] for row in rows],
        [CasillaId(row + 1) for row in rows],
        [claves[row] + sufijos[tipo[row]] for row in rows],
        [tipos[tipo[row]] for row in rows],
        [f"{heads[entidad[row], distrito[row], tipo[row]]}{tails[row]}{candidatura}" for row in rows],
        map(casillas.lista_nominal.__getitem__, rows),
        map(casillas.representantes.__getitem__, rows),
        map(casillas.boletas_maximas.__getitem__, rows),
        map(casillas.digitos.__getitem__, rows),
        count(),
    )


def without_zeros(word: str) -> str:
    return str(int(word)) if word.isdigit() else word


def equal_stickers(actas: Sequence[Acta], drafts: Drafts) -> list[FileFinding]:
    """An error for two elections whose actas have the same QR text: an image finds its acta by this text.

    In one election the casilla makes the texts different. In two elections, only `candidatura` and `tipo_acta` do.
    """
    # If every election has its own `candidatura`, all texts differ and there is no need to compare them.
    if len({without_zeros(draft.candidatura) for draft in drafts.values()}) == len(drafts):
        return []
    codes = {draft.id: draft.code for draft in drafts.values()}
    seen: dict[str, Acta] = {}
    pairs: dict[tuple[str, str], list[str]] = {}
    for acta in actas:
        other = seen.setdefault(acta.qr, acta)
        if other is not acta:
            pairs.setdefault((codes[other.election], codes[acta.election]), []).append(acta.clave)
    return [
        FileFinding(
            "elecciones.csv",
            0,
            "candidatura",
            f"{len(claves)} actas de {one} y {two} llevarían el mismo QR (la primera, {claves[0]}): "
            "cambie candidatura o tipo_acta de una de las dos elecciones",
        )
        for (one, two), claves in pairs.items()
    ]
