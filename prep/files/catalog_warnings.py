"""Warnings about a valid catalogue: data that is possible but improbable, so that a person looks at it once more.

Each kind of warning has a code that stays the same in all versions. A warning is told once for each cause.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Final

from prep.domain.catalog import (
    DISTRITOS,
    SIN_SECCION,
    Catalog,
    Clase,
    Contest,
    Nivel,
    Option,
    TerritoryKind,
    TipoCasilla,
)
from prep.files import csv_tables as cell
from prep.files.catalog_actas import ActaChanges
from prep.files.catalog_casillas import CasillaColumns
from prep.files.catalog_columns import Tables, maybe_entidad, maybe_territory
from prep.files.catalog_contests import ContestKey, Contests
from prep.files.catalog_elections import FOR_SOMEBODY, Drafts, ElectionDraft
from prep.files.csv_tables import CsvTable, FileFinding, one_for_each_cause

WARNINGS: Final[Mapping[str, str]] = {
    "W201": "lista nominal de más de 750 personas en una casilla (LGIPE, artículo 253)",
    "W202": "lista nominal 0 en una casilla básica",
    "W203": "más representantes que dos por cada partido o independiente de sus boletas",
    "W204": "una sección en dos municipios",
    "W205": "una casilla sin la anterior: contigua 2 sin contigua 1, contigua 1 sin básica",
    "W206": "una coalición sin alguna de las combinaciones de sus partidos",
    "W207": "un partido, una combinación o una contienda sin candidatura",
    "W208": "un municipio o distrito sin casillas",
    "W209": "la misma boleta en todos los municipios",
    "W210": "un mapa que no se dibuja porque falta el extra «maps»; quedan los cuadros de cada lugar",
    "W211": "un mapa en el que las orillas de dos vecinos no son la misma línea",
    "W212": "un mapa que no se dibuja porque tiene demasiados territorios; quedan los cuadros de cada lugar",
}
"""Code → the meaning of the warning, as `docs/catalogue.md` tells it."""

LEGAL_SIZE: Final = 750
"""The most people in the lista nominal of a casilla (LGIPE 253). The rules for votes from abroad have other limits."""
_FOR_EACH_PARTY: Final = 2
_SHOWN: Final = 6


@dataclass(frozen=True)
class CatalogReading:
    """The files of a valid catalogue as they were read. They know the line of each value; `Catalog` does not."""

    tables: Tables
    drafts: Drafts
    contests: Contests
    casillas: CasillaColumns
    changes: ActaChanges
    maps: Sequence[FileFinding]
    """The warnings about the maps."""


def find_warnings(catalog: Catalog, reading: CatalogReading) -> list[FileFinding]:
    """All warnings, in order of file and line; of several with the same cause only the first."""
    lines = _Lines(reading.tables)
    found = [
        *_judge_people(reading),
        *_judge_secciones(reading.casillas),
        *_judge_numbers(reading.casillas),
        *_judge_combinations(reading, lines),
        *_judge_candidacies(catalog, reading, lines),
        *_judge_territories(reading),
        *_judge_equal_ballots(reading, lines),
        *reading.maps,
    ]
    return one_for_each_cause(found)


def _warn(code: str, table: CsvTable, row: int, column: str, sentence: str) -> FileFinding:
    return FileFinding(table.name, table.lines[row], column, sentence, code)


class _Lines:
    """The rows of elections, options and contests in their files."""

    def __init__(self, tables: Tables) -> None:
        self.elections = tables["elecciones.csv"]
        self.options = tables["opciones.csv"]
        self.contests = tables.get("contiendas.csv")
        codes = self.elections.read("codigo", cell.code, "")
        self.election = {code: row for row, code in enumerate(codes)}
        ballots = zip(*(self.options.read(column, cell.code, "") for column in ("eleccion", "codigo")), strict=True)
        self.option = {key: row for row, key in enumerate(ballots)}
        self.contest: dict[ContestKey, int] = {}
        if self.contests is not None:
            held = zip(
                self.contests.read("eleccion", cell.code, ""),
                self.contests.read("entidad", maybe_entidad, 0),
                self.contests.read("territorio", maybe_territory, 0),
                strict=True,
            )
            self.contest = {key: row for row, key in enumerate(held)}

    def at_option(self, code: str, election: str, option: Option, sentence: str) -> FileFinding:
        return _warn(code, self.options, self.option[election, option.code], "codigo", sentence)

    def at_contest(self, code: str, key: ContestKey, column: str, sentence: str) -> FileFinding:
        """A warning about a contest: in contiendas.csv if it states the contest, else at its election."""
        if self.contests is not None and key in self.contest:
            return _warn(code, self.contests, self.contest[key], column, sentence)
        return self.at_election(code, key[0], "nivel", sentence)

    def at_election(self, code: str, election: str, column: str, sentence: str) -> FileFinding:
        return _warn(code, self.elections, self.election[election], column, sentence)


# --- casillas ---------------------------------------------------------------------------------------------------------


def _judge_people(reading: CatalogReading) -> Iterator[FileFinding]:
    casillas, table = reading.casillas, reading.casillas.table
    limits = _limits_of_representatives(reading)
    everyone = zip(casillas.tipo, casillas.lista_nominal, casillas.representantes, limits, strict=True)
    for row, (tipo, lista, people, limit) in enumerate(everyone):
        if lista > LEGAL_SIZE or lista == 0:
            yield from _judge_lista(table, row, tipo, lista)
        if people > limit:
            yield _too_many(table, row, people, limit)
    # actas.csv states other people for single actas, one for each row.
    if changed := reading.tables.get("actas.csv"):
        for row, ((_, casilla), change) in enumerate(reading.changes.items()):
            if change.lista_nominal is not None:
                yield from _judge_lista(changed, row, casillas.tipo[casilla], change.lista_nominal)
            if change.representantes is not None and change.representantes > limits[casilla]:
                yield _too_many(changed, row, change.representantes, limits[casilla])


def _judge_lista(table: CsvTable, row: int, tipo: TipoCasilla, lista: int) -> Iterator[FileFinding]:
    if lista > LEGAL_SIZE and tipo not in SIN_SECCION:
        yield _warn("W201", table, row, "lista_nominal", f"{lista} personas; una casilla tiene a lo más {LEGAL_SIZE}")
    if lista == 0 and tipo is TipoCasilla.BASICA:
        yield _warn("W202", table, row, "lista_nominal", "una casilla básica con lista nominal 0")


def _too_many(table: CsvTable, row: int, people: int, limit: int) -> FileFinding:
    sentence = f"{people} representantes; los partidos e independientes de sus boletas acreditan a lo más {limit}"
    return _warn("W203", table, row, "representantes", sentence)


def _limits_of_representatives(reading: CatalogReading) -> Sequence[int]:
    """For each casilla: two for each party and independent candidate on any of its ballots."""
    casillas = reading.casillas
    columns: list[list[ContestKey | None]] = []
    for code, draft in reading.drafts.items():
        own = zip(casillas.votes(draft), *casillas.contests(draft), strict=True)
        columns.append([(code, entidad, territory) if votes else None for votes, entidad, territory in own])
    parties = {
        key: {draft.options[place].code for place in held.contest.ballot if draft.options[place].clase in _OF_ONE}
        for key, held in reading.contests.items()
        if (draft := reading.drafts[key[0]])
    }
    # Many casillas have the same ballots, so count each different set of ballots once.
    known: dict[tuple[ContestKey | None, ...], int] = {}
    for keys in set(zip(*columns, strict=True)):
        every = set().union(*(parties[key] for key in keys if key is not None))
        known[keys] = _FOR_EACH_PARTY * len(every)
    return [known[keys] for keys in zip(*columns, strict=True)]


_OF_ONE: Final = frozenset({Clase.PARTIDO, Clase.INDEPENDIENTE})


def _judge_secciones(casillas: CasillaColumns) -> Iterator[FileFinding]:
    first: dict[tuple[int, int], tuple[int, int]] = {}
    told: set[tuple[int, int, int]] = set()
    for row, held in enumerate(
        zip(casillas.entidad, casillas.seccion, casillas.territory[TerritoryKind.MUNICIPIO], strict=True)
    ):
        entidad, seccion, municipio = held
        if not seccion or not municipio:
            continue
        earlier, line = first.setdefault((entidad, seccion), (municipio, casillas.table.lines[row]))
        if earlier != municipio and held not in told:
            told.add(held)
            sentence = f"la sección {seccion} está en el municipio {earlier} (línea {line}) y en el {municipio}"
            yield _warn("W204", casillas.table, row, "municipio", sentence)


def _judge_numbers(casillas: CasillaColumns) -> Iterator[FileFinding]:
    """Contigua n and extraordinaria n without n - 1, and the contigua of an extraordinaria likewise."""
    there = set(
        zip(casillas.entidad, casillas.seccion, casillas.tipo, casillas.numero, casillas.ext_contigua, strict=True)
    )
    basica, contigua, extra = TipoCasilla.BASICA, TipoCasilla.CONTIGUA, TipoCasilla.EXTRAORDINARIA
    for row, tipo in enumerate(casillas.tipo):
        if tipo is not contigua and tipo is not extra:
            continue
        entidad, seccion = casillas.entidad[row], casillas.seccion[row]
        numero, ext = casillas.numero[row], casillas.ext_contigua[row]
        what = "contigua" if tipo is contigua else "extraordinaria"
        column, sentence = "numero", ""
        if tipo is extra and ext and (entidad, seccion, extra, numero, ext - 1) not in there:
            before = f"su contigua {ext - 1}" if ext > 1 else "ella misma"
            column, sentence = "ext_contigua", f"extraordinaria {numero}: contigua {ext} sin {before}"
        elif tipo is contigua and numero == 1 and (entidad, seccion, basica, 1, 0) not in there:
            sentence = "contigua 1 sin básica"
        elif numero > 1 and (entidad, seccion, tipo, numero - 1, 0) not in there:
            sentence = f"{what} {numero} sin {what} {numero - 1}"
        if sentence:
            yield _warn("W205", casillas.table, row, column, f"{sentence} en la sección {seccion}")


def _judge_territories(reading: CatalogReading) -> Iterator[FileFinding]:
    table, casillas = reading.tables["territorios.csv"], reading.casillas
    used = {
        (kind, *place)
        for kind, owns in casillas.territory.items()
        for place in set(zip(casillas.entidad, owns, strict=True))
    }
    kinds = table.read("tipo", cell.bare, "")
    entidades, ids = table.read("entidad", maybe_entidad, 0), table.read("id", maybe_territory, 0)
    names = table.read("nombre", cell.name, "")
    for row, (*place, name) in enumerate(zip(kinds, entidades, ids, names, strict=True)):
        if place[0] in casillas.territory and tuple(place) not in used:
            where = f"{str(place[0]).replace('_', ' ')} {place[2]} ({name})"
            yield _warn("W208", table, row, "id", f"ninguna casilla está en el {where}")


# --- ballots ----------------------------------------------------------------------------------------------------------


def _judge_combinations(reading: CatalogReading, lines: _Lines) -> Iterator[FileFinding]:
    for code, draft in reading.drafts.items():
        everywhere = tuple(range(len(draft.options)))
        for option, missing in _missing_combinations(draft, everywhere):
            yield lines.at_option("W206", code, option, f"faltan en la boleta de {code}: {missing}")
        absent = {option.code for option, _ in _missing_combinations(draft, everywhere)}
        for key, place in reading.contests.items():
            if key[0] != code or place.contest.ballot == everywhere:
                continue
            for option, missing in _missing_combinations(draft, place.contest.ballot):
                # If the whole election lacks them, this is told once, above.
                if option.code not in absent:
                    sentence = f"la boleta incluye {option.code} y no: {missing}"
                    yield lines.at_contest("W206", key, "opciones", sentence)


def _missing_combinations(draft: ElectionDraft, ballot: Sequence[int]) -> Iterator[tuple[Option, str]]:
    """Each largest coalition of a ballot that lacks combinations of its parties, and the first of these."""
    joined = {frozenset(option.parties): option for option in _options(draft, ballot, Clase.COALICION)}
    for parties, option in joined.items():
        if any(parties < larger for larger in joined):
            continue
        missing = (
            "-".join(draft.options[party].code for party in some)
            for size in range(2, len(parties))
            for some in combinations(option.parties, size)
            if frozenset(some) not in joined
        )
        told = list(islice(missing, _SHOWN + 1))
        if told:
            yield option, ", ".join(told[:_SHOWN]) + (" y más" if len(told) > _SHOWN else "")


def _options(draft: ElectionDraft, ballot: Iterable[int], *clases: Clase) -> list[Option]:
    return [option for place in ballot if (option := draft.options[place]).clase in clases]


def _judge_candidacies(catalog: Catalog, reading: CatalogReading, lines: _Lines) -> Iterator[FileFinding]:
    """Options and contests without a candidacy. A catalogue without any candidacy has them left out on purpose."""
    if not catalog.candidacies:
        return
    backed: dict[int, set[int]] = {}
    for candidacy in catalog.candidacies:
        backed.setdefault(candidacy.contest, set()).update(candidacy.options)
    for code, draft in reading.drafts.items():
        own = {key: place.contest for key, place in reading.contests.items() if key[0] == code}
        if not any(contest.id in backed for contest in own.values()):
            yield lines.at_election("W207", code, "codigo", f"{code} no tiene ninguna candidatura")
            continue
        for key, contest in own.items():
            if contest.id not in backed:
                sentence = f"{contest.name} no tiene ninguna candidatura de {code}"
                yield lines.at_contest("W207", key, "territorio", sentence)
        yield from _judge_unbacked(draft, [one for one in own.values() if one.id in backed], backed, lines)


def _judge_unbacked(
    draft: ElectionDraft, contests: Sequence[Contest], backed: Mapping[int, set[int]], lines: _Lines
) -> Iterator[FileFinding]:
    for option in _options(draft, range(len(draft.options)), *FOR_SOMEBODY):
        where = [
            contest.name
            for contest in contests
            if option.position in contest.ballot and option.position not in backed[contest.id]
        ]
        if where:
            told = ", ".join(where[:_SHOWN]) + (f" y {len(where) - _SHOWN} más" if where[_SHOWN:] else "")
            sentence = f"los votos de {option.code} no cuentan para ninguna candidatura en {told}"
            yield lines.at_option("W207", draft.code, option, sentence)


def _judge_equal_ballots(reading: CatalogReading, lines: _Lines) -> Iterator[FileFinding]:
    for code, draft in reading.drafts.items():
        own = {key: place.contest.ballot for key, place in reading.contests.items() if key[0] == code}
        if draft.territory not in {None, *DISTRITOS} and len(own) > 1 and len(set(own.values())) == 1:
            places = "municipios" if draft.nivel == Nivel.MUNICIPIO else "territorios"
            sentence = f"los {len(own)} {places} de {code} tienen la misma boleta"
            yield lines.at_contest("W209", next(iter(own)), "opciones", sentence)
