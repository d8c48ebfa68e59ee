"""The pages of the last corte: each of them says what the rows and `totals.json` say (CON-19).

No digest covers a page, because pages change with every corte. So each number on a page stands in an element that says
which figure it is, `<data value="1234" data-de="GOB:contabilizadas">1,234</data>`, and is computed again here:

    ELECCION:FIGURE                       of the whole election
    ELECCION/contienda/N:FIGURE           of one contest
    ELECCION/lugar/ENTIDAD-N:FIGURE       of one district or municipio
    ELECCION/acta/CLAVE:COLUMN            a cell of one row
    ELECCION/corte/N:VALUE                one of the thirteen values, as the manifest of corte N has it
    ELECCION/corte/N:cambio/VALUE         the difference to the corte before
    …:FIGURE%FIGURE                       the first in per cent of the second

A page must hold the numbers that its readers come for, each beside its right name; a number of that form may stand
nowhere else on it; no page may bring a style of its own, nor a program but `sitio.js`, whose digest the manifest
states. The JSON twin of a page holds the same figures and no other. What pages say in words is not checked.
"""

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from integrity.layout import (
    CARD,
    LISTS,
    LOGOS,
    PLACES,
    PLACES_INDEX,
    ROOT_PAGES,
    SITE_FILES,
    SITE_PROGRAM,
    SUMS,
    corte_folder,
    section_block,
    section_page,
    twin_of,
)
from integrity.report import Ledger
from integrity.source import Source, SourceError, Unreadable
from integrity.strict_json import Json, conform, read_json
from integrity.sums import Malformed, in_threads
from integrity.tree.documents import LISTING, Manifest, PublishedElection
from integrity.tree.rows import (
    CON,
    CONTABILIZADAS,
    ESPERADAS,
    FALTA,
    INCONSISTENTES,
    LISTA,
    NO_CONTABILIZADAS,
    SIN,
    SIN_ACTA,
    VOTES,
    Columns,
    Judge,
    PublishedTable,
    Sum,
    VotingPlace,
    add,
    natural,
    split_line,
)
from integrity.tree.totals import distribute, percent, whole, with_especiales
from integrity.tree.tree import PublishedCorte, Seen, blame, malformed

_LIMIT: Final = 64 << 20
_PREAMBLE: Final = 7
_CORTE: Final = re.compile(r'<html lang="es-MX" data-corte="(\d{1,9})">', re.ASCII)
_DATA: Final = re.compile(r'<data value="([^"<>]*)" data-de="([^"<>]*)">([^<>]*)</data>')
_ROW: Final = re.compile(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', re.DOTALL)
_CELL: Final = re.compile(r'<td class="n">(.*?)</td>', re.DOTALL)
_TAG: Final = re.compile(r"<[^<>]*>")
_WIDTH: Final = re.compile(r'style="([^"]*)"')
_IMAGE: Final = re.compile(r"imagenes/([^\"<>]*)")
_NUMBER: Final = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])|\d\.\d{4}(?!\d)", re.ASCII)
_ACTIVE: Final = re.compile(
    r"<(?:script|style|iframe|object|embed|form|base|template|frame|foreignobject|image|use|text|animate\w*|set)\b"
    r"|javascript:|\son\w+\s*=|http-equiv",
    re.IGNORECASE,
)
_SHEET: Final = re.compile(r"<link\b[^<>]*>", re.IGNORECASE)
_SHEETS: Final = re.compile(
    r'<link rel="(?:icon" href="data:,|stylesheet" href="(?:\.\./)*estilo\.css|alternate"'
    r' type="application/(?:json|atom\+xml)" href="(?:\.\./)*[\w./-]+)">',
    re.ASCII,
)
_PROGRAM: Final = re.compile(r'<script src="(?:\.\./)*sitio\.js" defer></script>')
"""The one way in which a page may name the one program of the site."""
_BANNER: Final = '<p class="simulacro" role="note"><strong>Simulacro.</strong>'
_COUNTS: Final = ("esperadas", "capturadas", "contabilizadas", "sin_contar", "sin_acta")
_WORDS: Final = {"no_registradas": "Candidaturas no registradas", "nulos": "Votos nulos"}
_COTEJADA: Final = ("no", "aceptada", "aceptada después de un cambio", "en corrección")
_HEADINGS: Final = {
    "TOTAL_BOLETAS_SOBRANTES": "Boletas sobrantes",
    "TOTAL_PERSONAS_VOTARON": "Personas que votaron",
    "TOTAL_REP_PARTIDO_CI_VOTARON": "Representantes que votaron",
    "TOTAL_VOTOS_SACADOS": "Votos sacados de la urna",
    "TOTAL_VOTOS_ASENTADO": "Total asentado en el acta",
    "TOTAL_VOTOS_CALCULADO": "Total calculado",
}
_OF_AN_IMAGE: Final = (
    *("CODIGO_INTEGRIDAD", "FECHA_HORA_ACOPIO", "FECHA_HORA_CAPTURA", "FECHA_HORA_VERIFICACION"),
    *("ORIGEN", "DIGITALIZACION", "TIPO_DOCUMENTO", "COTEJADA"),
)
_OF_PLACES: Final = re.compile(r"\d\d-[a-z0-9]{2,12}\.json", re.ASCII)
_NOT_NOW: Final = "{} ya se está cambiando por la del corte {}; vuelva a comprobar en unos segundos"


class FigureTold(NamedTuple):
    """What a `<data>` must say: its value, its text, and the names that may stand beside it (none: any)."""

    value: str
    text: str
    names: frozenset[str] = frozenset()


@dataclass
class Page:
    """A page that must be there, and what may and must stand on it."""

    path: str
    look: Callable[[str], FigureTold | None]
    needed: tuple[frozenset[str], ...]
    """The figures that must stand on it: all of one of these sets."""
    shows: Callable[[str], bool] | None = None
    """Whether it may show the image of that digest; None: not looked at."""
    told: dict[str, str] = field(default_factory=dict)
    """Every figure on it, by name: its JSON twin holds the same."""
    wrongs: list[tuple[str, str]] = field(default_factory=list)
    """Expected and found."""

    def wrong(self, expected: str, found: str) -> None:
        self.wrongs.append((expected, found))


def thousands(number: int) -> str:
    return f"{number:,}"


class PageFigures:
    """Every figure of one election, from its rows; from totals.json only who stands for which options."""

    def __init__(
        self,
        manifest: Manifest,
        election: PublishedElection,
        table: PublishedTable,
        told: Json,
        history: Mapping[int, Mapping[str, str]],
    ) -> None:
        self.election, self._table = election, table
        self._history = history
        """By number of a corte: its thirteen values of this election."""
        self._judge = Judge(election)
        self._nothing: Sum = [0] * (VOTES + len(election.options))
        self._especiales = with_especiales(manifest, election)
        self.candidacies: Mapping[int, Sequence[Json]] = {
            each["id"]: each["candidaturas"] for each in told["contiendas"]
        }
        self.contests = {contest.id: key for key, contest in election.contests.items()}
        self._by_code = {option.code: option for option in election.options}
        names = {each["codigo"]: each["nombre"] for each in self._raw(manifest)["opciones"]}
        self.names = {
            option.code: frozenset({option.code, names[option.code], _WORDS.get(option.clase, option.code)})
            for option in election.options
        }

    def _raw(self, manifest: Manifest) -> Json:
        found: Json = next(each for each in manifest.raw["elecciones"] if each["codigo"] == self.election.code)
        return found

    @cached_property
    def state(self) -> Sum:
        return whole(self.election, self._table)

    @cached_property
    def by_contest(self) -> Mapping[tuple[int, int], Sum]:
        sums = {key: [*self._nothing] for key in self.election.contests}
        for place, amounts in self._table.sums.items():
            if self._judge.contest(place) in sums:  # a row of no contest is a fault of its own
                add(sums[self._judge.contest(place)], amounts)
        return sums

    @cached_property
    def shares(self) -> Mapping[int, Mapping[str, int]]:
        """Votes by party of each contest, and of the whole election under 0."""
        found = {ident: distribute(self.by_contest[key][VOTES:], self.election) for ident, key in self.contests.items()}
        total: dict[str, int] = {}
        for shares in found.values():
            for code, votes in shares.items():
                total[code] = total.get(code, 0) + votes
        return {**found, 0: total}

    def places_of(self, contest: tuple[int, int]) -> list[VotingPlace]:
        return [place for place in self._table.sums if self._judge.contest(place) == contest]

    def look(self, scope: str, figure: str) -> FigureTold | None:
        """`scope` is empty, `contienda/N`, `lugar/N-N` or `corte/N`."""
        if scope.startswith("corte/"):
            return self._of_corte(natural(scope.removeprefix("corte/")), figure)
        one, _, other = figure.partition("%")
        value = self._value(scope, one)
        if value is None:
            return None
        names = self._names(scope, one)
        if isinstance(value, str) or not other:
            return FigureTold(str(value), value if isinstance(value, str) else thousands(value), names)
        base = self._value(scope, other)
        if not isinstance(base, int):
            return None
        share = percent(value, base)
        return FigureTold(share, share, names)

    def _of_corte(self, number: int | None, figure: str) -> FigureTold | None:
        """One of the thirteen values of an earlier corte, or its difference to the corte before."""
        name = figure.removeprefix("cambio/")
        value = self._history.get(-1 if number is None else number, {}).get(name)
        if value is None or name == figure:
            return None if value is None else FigureTold(value, thousands(int(value)) if value.isdigit() else value)
        before = self._history.get((number or 0) - 1, {}).get(name)
        if before is None or not (value.isdigit() and before.isdigit()):
            return None
        moved = int(value) - int(before)
        return FigureTold(str(moved), f"{moved:+,}" if moved else "0")

    def _amounts(self, scope: str) -> tuple[Sum, int] | None:
        """The sum of a scope, and its contest: 0 for the whole election, -1 for a place."""
        if not scope:
            return self.state, 0
        kind, _, key = scope.partition("/")
        if kind == "contienda":
            ident = natural(key)
            return None if ident not in self.contests else (self.by_contest[self.contests[ident]], ident)
        one, _, other = key.partition("-")
        entidad, territory = natural(one), natural(other)
        if kind != "lugar" or entidad is None or territory is None:
            return None
        amounts = self._table.sums.get(VotingPlace(entidad, territory))
        return None if amounts is None else (amounts, -1)

    def _value(self, scope: str, figure: str) -> int | str | None:
        found = self._amounts(scope)
        if found is None:
            return None
        amounts, contest = found
        kind, _, key = figure.partition("/")
        match kind:
            case "opcion" if key in self._by_code:
                return amounts[VOTES + self._by_code[key].position]
            case "partido" if contest >= 0:
                return self.shares[contest].get(key)
            case "candidatura" if contest > 0:
                return next(
                    (self._won(each, amounts) for each in self._people(contest) if str(each["id"]) == key), None
                )
            case "primera" | "segunda" | "mayor" | "segundo" | "diferencia" if contest > 0:
                return self._first(contest, amounts, kind)
            case "fuera_de_catalogo" if not contest:
                return self._table.fuera
            case "participacion" if not contest:
                return percent(amounts[CON if self._especiales else SIN], amounts[LISTA])
            case _:
                return self._count(amounts, figure)

    @staticmethod
    def _count(amounts: Sum, figure: str) -> int | None:
        counts = {
            "esperadas": amounts[ESPERADAS],
            "capturadas": amounts[CONTABILIZADAS] + amounts[NO_CONTABILIZADAS],
            "contabilizadas": amounts[CONTABILIZADAS],
            "no_contabilizadas": amounts[NO_CONTABILIZADAS],
            "sin_contar": amounts[NO_CONTABILIZADAS] - amounts[SIN_ACTA],
            "sin_acta": amounts[SIN_ACTA],
            "inconsistentes": amounts[INCONSISTENTES],
            "lista_nominal": amounts[LISTA],
            "por_capturar": amounts[ESPERADAS] - amounts[CONTABILIZADAS] - amounts[NO_CONTABILIZADAS],
            "lista_por_capturar": amounts[FALTA],
            "votos": amounts[CON],
        }
        return counts.get(figure)

    def _people(self, contest: int) -> Sequence[Json]:
        return self.candidacies.get(contest, ())

    def _won(self, candidacy: Json, amounts: Sum) -> int:
        known = [self._by_code[code].position for code in candidacy["opciones"] if code in self._by_code]
        return sum(amounts[VOTES + position] for position in known)

    def _first(self, contest: int, amounts: Sum, kind: str) -> int | None:
        """The number of the candidacy with most votes, or of the second, 0 in a tie; or votes."""
        won = sorted(((self._won(each, amounts), each["id"]) for each in self._people(contest)), reverse=True)
        most = won[0][0] if won else 0
        next_most = won[1][0] if len(won) > 1 else 0
        alone = most > 0 and sum(votes == most for votes, _ in won) == 1
        second = alone and next_most > 0 and sum(votes == next_most for votes, _ in won) == 1
        found = {"mayor": most, "segundo": next_most, "diferencia": most - next_most}
        found |= {"primera": won[0][1] if alone else 0, "segunda": won[1][1] if second else 0}
        return found[kind]

    def _names(self, scope: str, figure: str) -> frozenset[str]:
        kind, _, key = figure.partition("/")
        if kind in {"opcion", "partido"}:
            return self.names.get(key, frozenset())
        if kind == "candidatura":
            people = self._people(natural(scope.partition("/")[2]) or 0)
            return frozenset(each["propietaria"] for each in people if str(each["id"]) == key)
        return frozenset()

    def leading(self, scope: str, figure: str) -> FigureTold | None:
        """The candidacy with most votes of a contest, or the second, by name."""
        contest = natural(scope.partition("/")[2]) or 0
        first, most = self._value(scope, figure), self._value(scope, "mayor" if figure == "primera" else "segundo")
        if not isinstance(first, int) or not isinstance(most, int):
            return None
        named = next((each["propietaria"] for each in self._people(contest) if each["id"] == first), "")
        return FigureTold(str(first), named if first else "Empate" if most else "Sin votos aún")


class Rows:
    """The cells of captured rows as pages show them."""

    def __init__(self, election: PublishedElection, names: Mapping[str, frozenset[str]]) -> None:
        self._election, self._names = election, names
        self._columns = Columns(election)
        self._places = {name: place for place, name in enumerate(self._columns.names)}

    def look(self, cells: Sequence[str], column: str) -> FigureTold | None:
        if column not in self._places:
            return None
        cell = cells[self._places[column]]
        if column == "CONTABILIZADA":
            absent = "Sin acta" in cells[self._columns.votes]
            return FigureTold(cell, "Contabilizada" if cell == "1" else "Sin acta" if absent else "No contabilizada")
        if column == "COTEJADA":
            return FigureTold(cell, _COTEJADA[int(cell)] if cell in {*"0123"} else cell)
        number = natural(cell) if column in _AMOUNTS or column in self._names else None
        names = self._names.get(column) or frozenset({_HEADINGS[column]} if column in _HEADINGS else ())
        return FigureTold(cell, cell if number is None else thousands(number), names)

    def needed(self, cells: Sequence[str]) -> frozenset[str]:
        """The columns that the page of this row must show."""
        needed = {"CONTABILIZADA", "LISTA_NOMINAL", "REPRESENTANTES_PP_CI"}
        votes = cells[self._columns.votes]
        if cells[self._places["OBSERVACIONES"]]:
            needed.add("OBSERVACIONES")
        if "Sin acta" not in votes:
            needed |= {*_HEADINGS}
            needed |= {option.code for option, cell in zip(self._election.options, votes, strict=True) if cell != "-"}
            needed |= {*_OF_AN_IMAGE}
        return frozenset(needed)


_AMOUNTS: Final = frozenset({*_HEADINGS, "LISTA_NOMINAL", "REPRESENTANTES_PP_CI"})


def judge_pages(tree: Source, last: PublishedCorte, seen: Seen, ledger: Ledger) -> None:
    """Every page of the last corte is there (COM-07) and says what the rows say (CON-19)."""
    if last.manifest is None or last.totals is None or len(last.tables) < len(last.manifest.elections):
        ledger.unable(["COM-07", "CON-19"], f"{last.folder}: sus filas no se pudieron leer")
        return
    ledger.did("COM-07")
    ledger.did("CON-19")
    wrong: list[tuple[str, str, str]] = []
    newer = ""
    with_site = has_site(last.manifest)

    def read(page: Page) -> tuple[bytes, bytes | None]:
        twin = twin_of(page.path) if with_site else ""
        return tree.read(page.path, _LIMIT), tree.read(twin, _LIMIT) if twin else None

    outcomes = in_threads(read, _pages(last, last.manifest, seen), tree.threads)
    for page, outcome in outcomes:
        ledger.did("COM-07")
        if isinstance(outcome, SourceError):
            blame(outcome, ["COM-07", "CON-19"] if isinstance(outcome, Unreadable) else ["COM-07"], page.path, ledger)
            continue
        ledger.did("CON-19")
        text = outcome[0].decode("utf-8", "replace")
        judge_page(page, text, last.manifest)
        if outcome[1] is not None:
            _judge_twin(page, outcome[1])
        found = _CORTE.search(text)
        if found is not None and int(found[1]) > last.number:
            newer = newer or page.path
        wrong += [(page.path, expected, was) for expected, was in page.wrongs]
    if not wrong:
        return
    # A corte that comes out while this reads changes its pages first: then nothing can be said of them.
    if newer or _another_is_coming(tree, last.number + 1):
        ledger.unable(["CON-19"], _NOT_NOW.format(newer or wrong[0][0], last.number + 1))
        return
    for path, expected, was in wrong:
        ledger.wrong("CON-19", path, expected=expected, found=was)


def judge_constants(tree: Source, last: PublishedCorte, ledger: Ledger) -> None:
    """The files beside the pages that are constants of a release have the digests that the manifest states (INT-07)."""
    if last.manifest is None:
        ledger.unable(["INT-07"], f"{last.folder}: sin manifiesto no se sabe qué archivos son")
        return
    stated = last.manifest.raw.get("sitio", {})
    if not stated:
        ledger.unable(["INT-07"], f"{last.folder}/manifest.json es de una versión que no dice las huellas del sitio")
    declared = last.manifest.raw.get("declaracion", {}).get("contenido", {}).get("instituto", {}).get("logo")
    for name in LOGOS:
        if name in stated and stated[name] != declared:
            ledger.wrong("INT-07", name, expected=f"{declared}, de la declaración", found=stated[name])
    # Program, logo and schemas are younger than the others: a manifest of an older release does not state them.
    for name in (*SITE_FILES, *sorted(stated.keys() - {*SITE_FILES})) if stated else ("estilo.css",):
        _judge_constant(tree, last, name, stated.get(name), ledger)
    if PLACES_INDEX in stated:
        try:
            listed = read_places(tree)
        except SourceError:
            return  # told above
        except Malformed as problem:
            malformed(problem, "INT-07", PLACES_INDEX, ledger)
            return
        for name, digest in sorted(listed.items()):
            _judge_constant(tree, last, f"{PLACES}/{name}", digest, ledger)


def _judge_constant(tree: Source, last: PublishedCorte, name: str, expected: str | None, ledger: Ledger) -> None:
    try:
        digest = tree.digest(name, _LIMIT)
    except SourceError as error:
        blame(error, ["COM-07", "INT-07"] if isinstance(error, Unreadable) else ["COM-07"], name, ledger)
        return
    if expected is None:
        return
    ledger.did("INT-07")
    # Another release may come with the next corte, and it changes these files before index.json.
    if digest != expected and _another_is_coming(tree, last.number + 1):
        ledger.unable(["INT-07"], _NOT_NOW.format(name, last.number + 1))
    elif digest != expected:
        ledger.wrong("INT-07", name, expected=expected, found=digest)


def read_places(tree: Source) -> Mapping[str, str]:
    """The files of the index of places, beside their list: the name of each, and its SHA-256.

    Raises SourceError; Malformed if the list has not its form.
    """
    told = read_json(tree.read(PLACES_INDEX, _LIMIT))
    conform(told, LISTING)
    listed: Mapping[str, str] = told["archivos"]
    if strange := next((name for name in listed if _OF_PLACES.fullmatch(name) is None), None):
        raise Malformed("nombres como 09-esc.json", strange)
    return listed


def _another_is_coming(tree: Source, number: int) -> bool:
    try:
        return tree.exists(f"{corte_folder(number)}/{SUMS}")
    except SourceError:
        return False


def _pages(last: PublishedCorte, manifest: Manifest, seen: Seen) -> Iterator[Page]:
    """Every page that the last corte must have."""
    assert last.totals is not None
    every = {
        election.code: PageFigures(
            manifest,
            election,
            last.tables[election.code],
            last.totals["elecciones"][election.code],
            _history(seen, election.code),
        )
        for election in manifest.elections
        if election.code in last.totals["elecciones"]
    }

    def look(told: str) -> FigureTold | None:
        scope, _, figure = told.partition(":")
        code, _, within = scope.partition("/")
        if code not in every:
            return None
        if figure in {"primera", "segunda"}:
            return every[code].leading(within, figure)
        return every[code].look(within, figure)

    yield Page("index.html", look, _for_each([_families(figures, "") for figures in every.values()]))
    for code, figures in every.items():
        yield Page(f"{code}/index.html", look, _families(figures, ""))
        for contest, key in figures.contests.items():
            # A contest of one place shares the page of that place.
            if len(figures.contests) > 1 and len(figures.places_of(key)) > 1:
                yield Page(f"{code}/contienda-{contest}.html", look, _families(figures, f"contienda/{contest}"))
        yield from _pages_of_rows(code, figures, last.tables[code], look, seen)
    if has_site(manifest):
        fixed = [*ROOT_PAGES, *(f"{code}/{CARD}" for code in every)]
        fixed += [f"{code}/{name}.html" for code in every for name in LISTS]
        for path in (*fixed, *sorted(pages_of_sections(last.tables.values()))):
            yield Page(path, look, (frozenset(),))


def has_site(manifest: Manifest) -> bool:
    """Whether this release has the program of the site, and so the pages in words, of lists and of secciones."""
    return SITE_PROGRAM in manifest.raw.get("sitio", {})


def pages_of_sections(tables: Iterable[PublishedTable]) -> frozenset[str]:
    """The page of each sección in the rows, and the pages that list them."""
    found: set[str] = set()
    for table in tables:
        with table.file.open("rb") as lines:
            named = {_section_of(line) for line in lines}
        for each in named:
            found |= {section_page(*each), section_block(*each)} if each is not None else set()
    return frozenset(found)


def _section_of(line: bytes) -> tuple[int, int] | None:
    """Entidad and sección in the clave of a row, without the work of reading the whole row."""
    clave = line[1:14].decode("ascii", "replace")
    return (int(clave[:2]), int(clave[2:6])) if line[:1] == b"'" and clave[:6].isdigit() else None


def _history(seen: Seen, code: str) -> dict[int, dict[str, str]]:
    """By corte: the thirteen values of an election, as its manifest tells them."""
    found: dict[int, dict[str, str]] = {}
    for number, shown in seen.cortes.items():
        elections = shown.manifest["elecciones"] if shown.manifest else ()
        found.update((number, each["resumen"]) for each in elections if each["codigo"] == code)
    return found


def _judge_twin(page: Page, content: bytes) -> None:
    """The JSON twin of a page holds its figures, each under its name, and no other."""
    try:
        told = {name: str(value) for name, value in read_json(content)["cifras"].items()}
    except (Malformed, KeyError, TypeError, AttributeError):
        page.wrong("un JSON con las cifras de la página", "otro archivo")
        return
    if told != page.told:
        page.wrong("las cifras de la página, en su JSON", "otras")


def _families(figures: PageFigures, scope: str) -> tuple[frozenset[str], ...]:
    """What a page must show: the counts, and the votes of all parties, or of all candidacies, or of all options."""
    code = figures.election.code
    sets: list[frozenset[str]] = []
    if scope.startswith("lugar/"):
        sets.append(frozenset({*_counts(code, scope), *(f"{code}/{scope}:opcion/{name}" for name in figures.names)}))
    elif not scope:
        parties = [option.code for option in figures.election.options if option.clase != "coalicion"]
        sets.append(frozenset({*_counts(code, ""), *(f"{code}:partido/{name}" for name in parties)}))
    # The page of an election with one contest, and of the one place of a contest, shows the votes of that contest.
    for contest, key in figures.contests.items():
        alone = not scope and len(figures.contests) == 1
        of_place = f"lugar/{key[0]}-{key[1]}" == scope
        if alone or of_place or scope == f"contienda/{contest}":
            counts = _counts(code, "" if alone else f"contienda/{contest}")
            sets += [counts | votes for votes in _votes_of(figures, contest)]
    return tuple(sets)


def _counts(code: str, scope: str) -> frozenset[str]:
    return frozenset(f"{code}/{scope}:{name}" if scope else f"{code}:{name}" for name in _COUNTS)


def _votes_of(figures: PageFigures, contest: int) -> Iterator[frozenset[str]]:
    told = f"{figures.election.code}/contienda/{contest}"
    ballot = figures.election.contests[figures.contests[contest]].ballot
    shown = [each for each in figures.election.options if each.position in ballot and each.clase != "coalicion"]
    yield frozenset(f"{told}:partido/{option.code}" for option in shown)
    if people := figures.candidacies.get(contest):
        yield frozenset(f"{told}:candidatura/{held['id']}" for held in people)


def _for_each(families: Sequence[tuple[frozenset[str], ...]]) -> tuple[frozenset[str], ...]:
    """One set of every election, together: the sets that the home page may have."""
    joined: list[frozenset[str]] = [frozenset()]
    for sets in families:
        joined = [one | other for one in joined for other in sets]
    return tuple(joined)


def _pages_of_rows(
    code: str, figures: PageFigures, table: PublishedTable, look: Callable[[str], FigureTold | None], seen: Seen
) -> Iterator[Page]:
    """The pages of actas in the order of the rows, and the page of each place after its last row."""
    rows = Rows(figures.election, figures.names)
    held: dict[VotingPlace, dict[str, list[str]]] = {}
    width = len(Columns(figures.election).names)
    # The catalogue may list the casillas of a place apart, so a first pass finds the last row of each.
    ends = {place: number for number, place, _ in _catalogue_rows(table, width)}
    for number, place, cells in _catalogue_rows(table, width):
        clave, own = cells[1].strip("'"), held.setdefault(place, {})
        if clave in table.published:
            own[clave] = cells
            yield _acta_page(code, clave, cells, rows, seen)
        if number == ends[place]:
            yield _place_page(place, held.pop(place), figures, rows, look)


def _catalogue_rows(table: PublishedTable, width: int) -> Iterator[tuple[int, VotingPlace, list[str]]]:
    """Number of the line, place and cells of each row that is not fuera de catálogo."""
    with table.file.open("rb") as handle:
        for number, line in enumerate(handle, 1):
            cells = split_line(line) if number > _PREAMBLE else None
            if cells is not None and len(cells) == width and cells[1] != "-":
                yield number, VotingPlace(_int(cells[2]), _int(cells[4])), cells


def _int(cell: str) -> int:
    return int(cell) if cell.isdigit() and cell.isascii() and len(cell) < 10 else 0


def _acta_page(code: str, clave: str, cells: Sequence[str], rows: Rows, seen: Seen) -> Page:
    own = f"{code}/acta/{clave}:"

    def look(told: str) -> FigureTold | None:
        return rows.look(cells, told.removeprefix(own)) if told.startswith(own) else None

    needed = frozenset(own + column for column in rows.needed(cells))
    return Page(f"{code}/{clave}.html", look, (needed,), shows=lambda sha256: clave in seen.claves(sha256))


def _place_page(
    place: VotingPlace,
    actas: Mapping[str, Sequence[str]],
    figures: PageFigures,
    rows: Rows,
    look: Callable[[str], FigureTold | None],
) -> Page:
    code, scope = figures.election.code, f"lugar/{place.entidad}-{place.territory}"

    def look_here(told: str) -> FigureTold | None:
        of, _, column = told.partition(":")
        if not of.startswith(f"{code}/acta/"):
            return look(told)
        cells = actas.get(of.removeprefix(f"{code}/acta/"))
        found = None if cells is None else rows.look(cells, column)
        # In a list of actas the name beside a number is that of the casilla.
        return found and found._replace(names=frozenset())

    columns = ("CONTABILIZADA", "TOTAL_VOTOS_CALCULADO")
    listed = {f"{code}/acta/{clave}:{column}" for clave in actas for column in columns}
    needed = tuple(family | listed for family in _families(figures, scope))
    return Page(f"{code}/{_place_name(place)}", look_here, needed)


def _place_name(place: VotingPlace) -> str:
    return f"lugar-{place.entidad}-{place.territory}.html"


def judge_page(page: Page, text: str, manifest: Manifest) -> None:
    """Compare one page; what differs goes into `page.wrongs`."""
    if _CORTE.search(text) is None:
        page.wrong("una página de este programa, que dice su corte", "otra")
    passive = _PROGRAM.sub("", text) if has_site(manifest) else text
    if _ACTIVE.search(passive) or any(_SHEETS.fullmatch(link) is None for link in _SHEET.findall(text)):
        page.wrong("una página sin programas ni estilos propios", "una que los trae")
    if (_BANNER in text) != manifest.simulacro:
        page.wrong("el aviso de simulacro si lo es, y solo entonces", "lo contrario")
    found: set[str] = set()
    for value, told, shown in _DATA.findall(text):
        name = html.unescape(told)
        right = page.look(name)
        found.add(name)
        page.told[name] = html.unescape(value)
        if right is None:
            page.wrong("una cifra de esta página", f"«{name}»")
        elif (html.unescape(value), html.unescape(shown)) != (right.value, right.text):
            page.wrong(f"{name} = {right.value}", f"«{html.unescape(shown)}» ({html.unescape(value)})")
    if not any(needed <= found for needed in page.needed):
        missing = min((needed - found for needed in page.needed), key=len, default=frozenset())
        page.wrong(", ".join(sorted(missing)[:3]), "nada")
    _judge_names(page, text)
    _judge_rest(page, text)


def may_be_shown(text: str) -> bool:
    """Whether a page may hold these words: no number like a result, no name of an image, nothing that could run."""
    return not any(pattern.search(text) for pattern in (_NUMBER, _ACTIVE, _IMAGE))


def _judge_names(page: Page, text: str) -> None:
    """In a line of a table, each figure of an option or candidacy stands beside its own name."""
    for heading, cells in _ROW.findall(text):
        shown = html.unescape(_TAG.sub("", heading.partition("<span")[0]))
        for _, told, _ in _DATA.findall(cells):
            right = page.look(html.unescape(told))
            if right is not None and right.names and shown not in right.names:
                page.wrong(" o ".join(sorted(right.names)), f"«{shown}» junto a {html.unescape(told)}")


def _judge_rest(page: Page, text: str) -> None:
    """Outside of its figures a page has no number that looks like one, no drawing of other sizes, no other image."""
    plain = _DATA.sub("", text)
    if "<data" in plain or any(cell.strip() not in {"", "%"} for cell in _CELL.findall(plain)):
        page.wrong("cada cifra con su nombre", "una cifra sin él")
    if (number := _NUMBER.search(html.unescape(_TAG.sub("", plain)))) is not None:
        page.wrong("ninguna otra cifra", number[0])
    if any(not style.startswith("width:") for style in _WIDTH.findall(text)):
        page.wrong("ningún estilo propio", "uno")
    if page.shows is not None:
        for path in _IMAGE.findall(text):
            sha256 = path.rpartition("/")[2].partition(".")[0]
            if not page.shows(sha256):
                page.wrong("las imágenes de esa acta", path)
