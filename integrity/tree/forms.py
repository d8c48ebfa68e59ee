"""The form and the range of every published cell, and the cells of one row that contradict each other.

One definition for the verifier and for the publisher's gate: a cell that one of them refuses, the other refuses too.
`minimal_verifier.py` shares no code, so it has its own writing of the same. `docs/checks.md` prints `FORMS`.

A night has half a million rows and few distinct cells, so each judgement is remembered.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

MOST: Final = 9_999_999
"""The largest lista nominal, number of representatives and typed quantity: a form has seven boxes at most."""
NOTHING: Final = "-"
TIPOS: Final = frozenset("BCESMPVAU")
BY_LISTA: Final = frozenset("BCE")
"""Types of casilla whose voters are all in their lista nominal: it is the limit of their votes, even if it is 0."""
WITHOUT_SECCION: Final = frozenset("MPVA")
_ORIGEN: Final = frozenset({"CASILLA", "CATD", "CCV"})
_DIGITALIZACION: Final = frozenset({"Móvil", "Escáner", "Urna"})
_DOCUMENTO: Final = frozenset(
    {"Acta PREP", "Acta Consejo", "Copia RPPCI", "Copia PE", "Acta Extranjero", "Constancia sin imagen"}
)
_COTEJADA: Final = frozenset("0123")
_TRASLADO: Final = re.compile(r"(?!.*(.).*\1)[DFI]{0,3}")
_MOMENT: Final = re.compile(r"(\d\d)/(\d\d)/(20\d\d) ((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)", re.ASCII)
_WORD: Final = re.compile(r"[A-Z0-9]{1,12}", re.ASCII)
_NAME: Final = re.compile(r"(?! )[^\x00-\x1f\x7f]{1,500}(?<! )")

PROVENANCE: Final = ("MECANISMOS_TRASLADO", "ORIGEN", "DIGITALIZACION", "TIPO_DOCUMENTO", "COTEJADA")
MOMENTS: Final = ("FECHA_HORA_ACOPIO", "FECHA_HORA_CAPTURA", "FECHA_HORA_VERIFICACION")


class CellForm(NamedTuple):
    """One line of the table in `docs/checks.md`."""

    columns: str
    check: str
    form: str
    """The form that the checks ask for, in English."""
    beyond: str
    """What no check can say of it."""


FORMS: Final = (
    CellForm("CLAVE_CASILLA, CLAVE_ACTA", "CON-08", "made of the identification columns; each CLAVE_ACTA once", ""),
    CellForm("ID_ENTIDAD, ENTIDAD", "CON-08, CON-16", "a number; a name, and one name for each number", ""),
    CellForm(
        "ID_DISTRITO_…, ID_MUNICIPIO, or the `ID_…` of another kind of territory, and the name beside it",
        "CON-08, CON-14, CON-16",
        "the territory of a contest, or N/A; one name for each number, that of `totals.json`",
        "",
    ),
    CellForm(
        "SECCION",
        "CON-08, CON-16",
        "a number of at most four digits; none only for casillas of types M, P, V and A",
        "",
    ),
    CellForm("ID_CASILLA, EXT_CONTIGUA, TIPO_CASILLA", "CON-08", "numbers; one of the types B C E S M P V A U", ""),
    CellForm("UBICACION_CASILLA", "CON-08", "1, 2 or `-`; 3 exactly for a row fuera de catálogo", ""),
    CellForm("TIPO_ACTA", "CON-16", "one to twelve capitals and digits", ""),
    CellForm(
        "all of these, and the order and number of the rows",
        "CON-20, COM-04",
        "those of the catalogue in the tree, row by row; but for rows fuera de catálogo",
        "that the catalogue is right: it is fixed before the night, and the paper of the agreements says so",
    ),
    CellForm(
        "the four quantities before the votes, TOTAL_VOTOS_ASENTADO",
        "CON-09",
        "a number of at most seven digits, `Ilegible`, `Sin dato` or `-`",
        "that they agree with the votes: people err on paper, and the paper is published as it is",
    ),
    CellForm(
        "the vote columns",
        "CON-09",
        "a number of at most seven digits, `Ilegible` or `Sin dato`, or `Sin acta` in a row sin acta; `-` exactly for "
        "options off the ballot",
        "that the paper says so: the image is beside it",
    ),
    CellForm("TOTAL_VOTOS_CALCULADO", "CON-09", "the sum of the votes", ""),
    CellForm(
        "LISTA_NOMINAL, REPRESENTANTES_PP_CI",
        "CON-09, CON-10, CON-20",
        "numbers of at most seven digits, those of the catalogue; their sum is the limit of votes for types B, C and "
        "E, and for every other casilla with a lista nominal; without one, the maximum of ballots of the catalogue is",
        "that the catalogue is right",
    ),
    CellForm("OBSERVACIONES, CONTABILIZADA", "CON-10", "what the rules give for the votes of the row", ""),
    CellForm(
        "MECANISMOS_TRASLADO",
        "CON-10",
        "letters of D, F and I, each at most once; empty if nobody said",
        "that it is true",
    ),
    CellForm(
        "CODIGO_INTEGRIDAD",
        "COM-06, CON-10",
        "64 hexadecimal digits; a published image of that acta",
        "that it is true",
    ),
    CellForm(
        "FECHA_HORA_ACOPIO, FECHA_HORA_CAPTURA, FECHA_HORA_VERIFICACION",
        "CON-10, CON-16",
        "a day and an hour that exist, from 2000 to 2099, in the zone of the night; all three with an image, none "
        "without; the verification not before the capture, but for the hour that comes twice in November",
        "the acopio beside the other two: the clock of a device may be wrong, and its image counts",
    ),
    CellForm(
        "ORIGEN, DIGITALIZACION, TIPO_DOCUMENTO",
        "CON-10",
        "one of their words; `-` only without an image",
        "that they are true",
    ),
    CellForm("COTEJADA", "CON-10", "0, 1, 2 or 3", "that somebody compared the paper"),
)
"""Every column of the official file: its checks, and their limits."""


FILES: Final = (
    CellForm("`index.json`", "COM-01, CON-04, CON-06, INT-03", "every field is that of the last manifest", ""),
    CellForm(
        "`manifest.json`: number, phase, hours, chain, simulacro, catalogue, declaration, rules",
        "CON-01 to CON-05, EVI-09, INT-03",
        "each follows the corte before; the first leaf of the log repeats catalogue, declaration, rules and simulacro",
        "that an hour is true: the time stamps say when it existed at the latest",
    ),
    CellForm(
        "`manifest.json`: elections, options, contests",
        "CON-05, CON-20, INT-03",
        "names on one line; years, places and votes of a ballot in their range; one column of null votes, on every "
        "ballot; a coalition with its parties; the place of a contest is of its level; all of it as the "
        "catalogue has it, in all cortes",
        "that the catalogue is right",
    ),
    CellForm(
        "`manifest.json`: corrections",
        "CON-15, CON-16, INT-03",
        "every published acta that changed, each once, with a reason, and no acta that is in no row",
        "that the reason is true",
    ),
    CellForm(
        "`manifest.json`: decisions of two people",
        "INT-03",
        "every field has its form",
        "that two people took them, and their words: the database and its log of acts hold both",
    ),
    CellForm(
        "`manifest.json`: summary; `totals.json`",
        "CON-11 to CON-14, INT-03",
        "computed again from the rows; names of territories are those of the rows",
        "that the names are right: they are those of the catalogue (CON-20), in all cortes (CON-05, CON-17)",
    ),
    CellForm(
        "`catalogo/…`",
        "CON-20, COM-08, EVI-09",
        "the list has the digest that each manifest and the log's first leaf state; each file has its digest there "
        "and its form; no other file; a tree with a log must have it",
        "that the institute's own files say the same: their digests are in it",
    ),
    CellForm(
        "`…_CANDIDATURAS_….csv`",
        "CON-17",
        "line by line from `totals.json`: one for each option of each candidacy",
        "that the person is the registered one",
    ),
    CellForm(
        "`LEEME.txt`",
        "CON-17",
        "names every file, every column in its place, and every text of the rules",
        "its other words",
    ),
    CellForm(
        "`images.csv`, `imagenes/…`",
        "COM-05, COM-06, INT-04, EVI-04",
        "in order; each image once for each acta, under its digest, of an acta that a row shows; no other is there",
        "that a smaller copy shows the same as its original",
    ),
    CellForm("`SHA256SUMS`, `zip/…`", "INT-01, INT-02, INT-05, INT-06, COM-03", "exact form; the same bytes", ""),
    CellForm(
        "`manifest.json`: clean data; `datos/…`",
        "CON-21, INT-01, INT-02, COM-03",
        "made again, byte by byte, from the corte; each list that a manifest names is there, with that digest, and is "
        "named once",
        "why a corte has none yet: they come after it",
    ),
    CellForm("seals and time stamps", "AUT-01 to AUT-06", "by the reader's authorities", "revoked certificates"),
    CellForm(
        "`bitacora/…`",
        "AUT-11, AUT-12, EVI-01 to EVI-13",
        "recomputed whole; all of the tree is in it; each row stands on statements that it opens",
        "that the people of the statements exist: the log knows them by pseudonyms",
    ),
    CellForm(
        "HTML pages and their JSON twins",
        "COM-07, CON-19",
        "each number names its figure and is computed again; needed figures are there, beside their names; no style, "
        "no image of another acta, no program but `sitio.js`; a twin has the figures of its page",
        "other words, and `datos` of the twins; later pages of a long list; `cortes.atom`, `cambios/…` and "
        "`tarjeta.png`",
    ),
    CellForm(
        "`VERIFICA.txt`, `verificar.html`, `estilo.css`, `sitio.js` and its parts, `esquemas/`, `lugares/`",
        "INT-07",
        "the digests in the manifest of the last corte; of `lugares/`, those in its list, whose own digest is there",
        "that they are the release's: the software list has the same digests",
    ),
)
"""Every other file of a published tree."""


@lru_cache(maxsize=4096)
def _day(day: str, month: str, year: str) -> str:
    """The day as YYYYMMDD; empty if there is no such day."""
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return ""
    return year + month + day


def moment(cell: str) -> str:
    """The moment in `dd/mm/aaaa HH:MM:SS` as a text that sorts by time; empty if there is no such moment."""
    found = _MOMENT.fullmatch(cell)
    if found is None:
        return ""
    day = _day(found[1], found[2], found[3])
    return day and day + found[4]


@lru_cache(maxsize=4096)
def wrong_provenance(cells: tuple[str, ...], *, arrived: bool) -> tuple[tuple[str, str], ...]:
    """The cells of `PROVENANCE` that have another form: column, and the form that it must have.

    `arrived`: the acta has an image, so somebody said how it came.
    """
    traslado, origen, digitalizacion, documento, cotejada = cells
    none = frozenset[str]() if arrived else frozenset({NOTHING})
    wrong: list[tuple[str, str]] = []
    # Without an image, old files have `-` here, and others name a way all the same.
    if not (_TRASLADO.fullmatch(traslado) or (not arrived and traslado == NOTHING)):
        wrong.append(("MECANISMOS_TRASLADO", "letras D, F, I sin repetir"))
    for column, cell, legal in (
        ("ORIGEN", origen, _ORIGEN | none),
        ("DIGITALIZACION", digitalizacion, _DIGITALIZACION | none),
        ("TIPO_DOCUMENTO", documento, _DOCUMENTO | none),
        ("COTEJADA", cotejada, _COTEJADA),
    ):
        if cell not in legal:
            wrong.append((column, " o ".join(sorted(legal))))
    return tuple(wrong)


@lru_cache(maxsize=4096)
def right_came(origen: str, digitalizacion: str) -> bool:
    """Of an image fuera de catálogo: where and with what it was taken."""
    return origen in _ORIGEN and digitalizacion in _DIGITALIZACION


def _comes_twice(one: str, other: str) -> bool:
    """Both moments are in the hour that a zone with summer time has twice, on the first Sunday of November.

    Cells have no offset, so nobody can say which of the two was first.
    """
    first_sunday = one[4:6] == "11" and one[6:8] <= "07" and date(int(one[:4]), 11, int(one[6:8])).isoweekday() == 7
    return first_sunday and one[8:10] == "01" and one[:10] == other[:10]


def wrong_moments(acopio: str, captura: str, verificacion: str) -> Iterator[tuple[str, str, str]]:
    """The moments of an acta with an image that cannot be: check, column, and the expected form."""
    captured, verified = moment(captura), moment(verificacion)
    for column, cell, read in zip(
        MOMENTS, (acopio, captura, verificacion), (moment(acopio), captured, verified), strict=True
    ):
        if not read:
            yield "CON-10", column, f"una hora que exista, como 02/06/2024 18:30:00, y no «{cell}»"
    if captured and verified and verified < captured and not _comes_twice(captured, verified):
        yield "CON-16", "FECHA_HORA_VERIFICACION", f"{captura}, la de captura, o después"


@lru_cache(maxsize=4096)
def right_identity(tipo: str, seccion: str, tipo_acta: str) -> bool:
    """The cells of an identification that no number in CLAVE_CASILLA shows, and that may contradict each other."""
    without = seccion in {"N/A", NOTHING, ""} or not seccion.strip("0")
    return bool(_WORD.fullmatch(tipo_acta)) and not (without and tipo in TIPOS - WITHOUT_SECCION)


@lru_cache(maxsize=4096)
def right_name(name: str) -> bool:
    """A name of a place: text on one line, without spaces around it."""
    return _NAME.fullmatch(name) is not None


def right_fuera(cells: Sequence[str]) -> bool:
    """The identification of an image fuera de catálogo, as it was read: words, numbers, or `-`.

    `cells` are ID_ENTIDAD to TIPO_ACTA.
    """
    entidad, name, territory, place, seccion, number, tipo, ext, _, tipo_acta = cells
    read = (entidad, territory, seccion, number, tipo, ext, tipo_acta)
    return all(_as_read(cell) for cell in read) and right_name(name) and right_name(place)


def _as_read(cell: str) -> bool:
    return cell in {NOTHING, "N/A"} or (len(cell) <= 200 and cell.isalnum() and cell.isascii())


class Names:
    """One number of a place has one name in a whole file; names are compared as they come."""

    def __init__(self) -> None:
        self.of: dict[tuple[str, ...], str] = {}

    def right(self, *told: str) -> bool:
        """The last of `told` is the name of the place that the others number, and the same as before."""
        *key, name = told
        return right_name(name) and self.of.setdefault(tuple(key), name) == name
