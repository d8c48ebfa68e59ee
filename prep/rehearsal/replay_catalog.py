"""Make the catalogue of a night from its official result file: the CSV folder that an institute would have had.

A replay needs the casillas, contests and ballots before the first acta arrives, and an official file holds them all:
each casilla is a row, and each contest's ballot is what the file uses there (a column that is "-" in every captured
row of a contest is not printed on its ballot). A value that the file does not state is left blank and never guessed:
the maximum of ballots of the especial casillas, the other kind of district, the parties of a candidatura común without
columns.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from prep.domain.catalog import Ambito, Clase, Nivel, TerritoryKind, TipoCasilla
from prep.domain.rules import Observation
from prep.errors import Rejected
from prep.files.catalog_columns import DIGITOS
from prep.files.catalog_files import write_catalog
from prep.files.official import OfficialFile, OfficialRow, Status
from prep.files.official_candidates import CandidateRow
from prep.files.official_words import COALITION_MARKS, canonical_column, combination
from prep.rehearsal.replay import LISTA_TYPES

_Contest = tuple[int, int]
"""Entidad and territory; 0 if the whole country or entidad is the contest."""
_People = tuple[str, str]
"""Propietaria and suplente."""

_INDEPENDENT: Final = re.compile(r"C_I_.|(CAND|CANDIDATO|CANDIDATA|CANDIDATURA)?[-_ ]?(IND|CI)([-_ ]|\d|EPENDIENTE|$)")
_COMMON: Final = re.compile(r"(C|CC|CO|COA|COAL|COMUN|CAND_COMUN)[-_].|.+-.+")
"""A candidatura común by its name, or a combination whose parties have no columns of their own."""
_STICKER_WORD: Final = re.compile(r"[A-Z0-9]{1,12}", re.ASCII)
_LONGEST_NAME: Final = 200
_CODES: Final = (
    (r"PRESIDENCIAS? MUNICIPAL|AYUNTAMIENTO|ALCALDIA|MUNICIP", "AYUN"),
    (r"DIPUTA", "DIP"),
    (r"SENAD", "SEN"),
    (r"GUBERN|GOBERN|JEFATURA", "GOB"),
    (r"PRESIDENCIA", "PRES"),
)
_TITLES: Final = (
    (r"\bJUNTAS?\b|COMUNIDAD|COMISARI|DEMARCACI|REGIDURI", Nivel.DISTRITO),
    (r"PRESIDENCIAS? MUNICIPAL|AYUNTAMIENTO|ALCALDIA|MUNICIP", Nivel.MUNICIPIO),
    (r"DIPUTA", Nivel.DISTRITO),
    (r"GUBERN|GOBERN|JEFATURA", Nivel.ENTIDAD),
    (r"PRESIDENCIA(?!S? (MUNICIPAL|DE COMUNIDAD))", Nivel.PAIS),
)


def catalog_folder(
    file: OfficialFile,
    candidates: Sequence[CandidateRow] = (),
    *,
    rules: str,
    code: str = "",
    candidatura: str = "1",
    nivel: Nivel | None = None,
) -> dict[str, bytes]:
    """The files that `load_catalog` reads, for the one election of `file`.

    `code` is the election's short name (SEN_FED, GOB) and follows from the title unless it is given; `candidatura` is
    the last field of its QR. `nivel` follows from the columns of the candidates file or, without one, from the title,
    unless it is given. Rows fuera de catálogo are left out.
    """
    night = _Night(file, tuple(candidates), nivel or nivel_of(file, candidates))
    code = code or _code(file)
    tipos, sufijos = night.by_group(lambda row: row.tipo_acta.upper()), night.by_group(_sufijo)
    return write_catalog(
        {
            "elecciones.csv": [
                (
                    code,
                    _clean(file.title) or code,
                    _year(file),
                    file.ambito.value,
                    night.nivel,
                    rules,
                    candidatura,
                    *(tipos[group] or tipos[""] or "1" for group in _GROUPS),
                    *(sufijos[group] or sufijos[""] for group in _GROUPS),
                )
            ],
            "territorios.csv": _territories(file),
            "casillas.csv": [night.casilla(row) for row in night.rows],
            "opciones.csv": [
                (code, place, option.code, option.clase.value, " ".join(option.parties), option.code)
                for place, option in enumerate(night.options, start=1)
            ],
            "contiendas.csv": [
                (code, *contest, None, " ".join(option.code for option in ballot), None)
                for contest, ballot in sorted(night.ballots.items())
            ],
            "candidaturas.csv": [(code, *line) for line in night.candidacies()],
            "actas.csv": [(code, *change) for change in _exceptions(night.rows, tipos, sufijos)],
        }
    )


def unused_candidates(file: OfficialFile, candidates: Sequence[CandidateRow], nivel: Nivel) -> tuple[str, ...]:
    """One sentence for each reason for which lines of the candidates file name nobody of this election."""
    night = _Night(file, tuple(candidates), nivel)
    lines: dict[str, list[int]] = defaultdict(list)
    for row in candidates:
        ballot = night.ballots.get(night.contest_of(row))
        if ballot is None:
            lines["su territorio no está en los resultados"].append(row.line)
        elif not row.suma and not _options_of(row, ballot):
            lines["su partido no está en la boleta de su contienda"].append(row.line)
    return tuple(
        f"candidaturas, línea {told[0]}: {why}; no se usa ({'1 fila' if len(told) == 1 else f'{len(told)} filas'} así)"
        for why, told in lines.items()
    )


_GROUPS: Final = ("", TipoCasilla.ESPECIAL.value, TipoCasilla.EXTRANJERO.value)
"""Types of casilla with a TIPO_ACTA of their own; "" for all others."""


@dataclass(frozen=True)
class _Option:
    code: str
    clase: Clase
    parties: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Night:
    """The content of the official file, gathered by contest."""

    file: OfficialFile
    candidates: tuple[CandidateRow, ...]
    nivel: Nivel

    @cached_property
    def rows(self) -> list[OfficialRow]:
        return self.file.catalogued

    @cached_property
    def named(self) -> dict[str, int]:
        """The number of each place in which the office is elected, by its name without the number before it."""
        kind = "municipio" if self.nivel == Nivel.MUNICIPIO else "distrito"
        pairs = {(getattr(row, f"{kind}_nombre"), getattr(row, kind) or 0) for row in self.rows}
        return {_place_name(name): number for name, number in sorted(pairs) if name and number}

    @cached_property
    def options(self) -> list[_Option]:
        parties = [name for name in self.file.vote_columns if _clase(name) is Clase.PARTIDO]
        return [_option(name, parties) for name in self.file.vote_columns]

    @cached_property
    def digitos(self) -> dict[str, int]:
        """Digit boxes for each type of casilla: as many as the longest number written on one of that type."""
        longest: dict[str, int] = {}
        for row in self.rows:
            fields = (*row.header, *row.cells, row.total_asentado)
            most = max((field for field in fields if isinstance(field, int)), default=0)
            longest[row.tipo] = max(longest.get(row.tipo, DIGITOS), len(str(most)))
        return longest

    @cached_property
    def ballots(self) -> dict[_Contest, list[_Option]]:
        """The options that the file uses in each contest; all of them for a contest without any captured acta."""
        used: dict[_Contest, set[str]] = defaultdict(set)
        for row in self.rows:
            names = zip(self.file.vote_columns, row.cells, strict=True)
            used[self.contest(row)].update(name for name, field in names if field is not None)
        return {contest: self._ballot(codes) for contest, codes in used.items()}

    def _ballot(self, codes: set[str]) -> list[_Option]:
        if not codes:
            return self.options
        for option in self.options:
            if option.code in codes or option.clase is Clase.NULOS:
                codes |= {option.code, *(option.parties if option.clase is Clase.COALICION else ())}
        return [option for option in self.options if option.code in codes]

    def contest(self, row: OfficialRow) -> _Contest:
        if self.nivel == Nivel.PAIS:
            return 0, 0
        if self.nivel == Nivel.DISTRITO:
            return row.entidad or 0, row.distrito or 0
        return row.entidad or 0, (row.municipio or 0) if self.nivel == Nivel.MUNICIPIO else 0

    def contest_of(self, row: CandidateRow) -> _Contest:
        """By the number of its place, if the results have it as district or municipality; otherwise by name."""
        # A candidates file of one state may leave the entidad out.
        entidad = row.entidad or next((one.entidad for one in self.rows if one.entidad), 0) or 0
        if self.nivel in {Nivel.PAIS, Nivel.ENTIDAD}:
            return (0, 0) if self.nivel == Nivel.PAIS else (entidad, 0)
        numbers = [row.municipio, row.distrito] if self.nivel == Nivel.MUNICIPIO else [row.distrito, row.municipio]
        named = self.named.get(_place_name(row.lugar))
        for number in (*numbers, named):
            if number is not None and (entidad, number) in self.ballots:
                return entidad, number
        return entidad, numbers[0] or 0

    def casilla(self, row: OfficialRow) -> tuple[object, ...]:
        federal = self.file.ambito is Ambito.FEDERAL
        lista = row.lista_nominal or 0
        return (
            row.entidad,
            row.distrito if federal else None,
            None if federal else row.distrito,
            row.municipio,
            row.seccion,
            row.tipo,
            row.numero or 0,
            row.ext_contigua or 0,
            row.ubicacion if row.ubicacion in {1, 2} else 1,
            lista,
            row.representantes or 0,
            # With a lista nominal of 0 no file states a maximum; in a casilla that should have a lista, the limit is 0.
            0 if lista == 0 and row.tipo in LISTA_TYPES else None,
            self.digitos[row.tipo],
            None,
        )

    def by_group(self, word: Callable[[OfficialRow], str]) -> dict[str, str]:
        """The most frequent word of the rows of each group of types; "" if none fits a sticker."""
        counted: dict[str, Counter[str]] = {group: Counter() for group in _GROUPS}
        for row in self.rows:
            if _STICKER_WORD.fullmatch(word(row)):
                counted[_group(row)][word(row)] += 1
        return {group: max(words, key=lambda one: (words[one], one), default="") for group, words in counted.items()}

    def candidacies(self) -> list[tuple[object, ...]]:
        """For each contest: the people, and every option on its ballot that counts for them."""
        of_contest: dict[_Contest, list[CandidateRow]] = defaultdict(list)
        for row in self.candidates:
            of_contest[self.contest_of(row)].append(row)
        return [
            (*contest, " ".join(codes), *people)
            for contest, ballot in sorted(self.ballots.items())
            for codes, people in _candidacies(of_contest[contest], ballot)
        ]


# --- options and people -----------------------------------------------------------------------------------------------


def settled(file: OfficialFile, nivel: Nivel) -> tuple[OfficialFile, dict[str, str]]:
    """The file with each contest's own ballot; and by key the rows with blanks of unknown meaning.

    A blank has two meanings, and the file says which (`docs/rules.md` §6). An option that is blank in every row of a
    contest is not on its ballot. Another blank is *sin dato* if the row's observation says so, or if the file never
    observes a blank. The ballot is built from rows with a number: a row that is illegible as a whole may print this
    word in columns that its ballot does not have.
    """
    night = _Night(file, (), nivel)
    places = [file.columns.index(name) for name in file.vote_columns]
    captured = [row for row in night.rows if row.status is Status.CAPTURADA and not row.unknown]
    seen: dict[_Contest, set[int]] = defaultdict(set)
    whole: dict[_Contest, set[int]] = defaultdict(set)
    for row in captured:
        told = {at for at, cell in enumerate(row.cells) if cell is not None and row.printed[places[at]].strip()}
        whole[night.contest(row)] |= told
        if any(isinstance(cell, int) for cell in row.cells):
            seen[night.contest(row)] |= told
    observes = any(row.observed & _BLANK for row in captured)
    observes = observes or any(_says_blank(row.printed[place]) for row in captured for place in places)
    kept: dict[str, OfficialRow] = {}
    lost: dict[str, str] = {}
    for row in captured:
        contest = night.contest(row)
        ballot = seen.get(contest) or whole[contest] or set(range(len(places)))
        blank = [at for at in ballot if not row.printed[places[at]].strip()]
        dashes = [at for at in ballot if row.cells[at] is None]
        if blank and observes and row.observed.isdisjoint(_BLANK | _EVERY):
            names = ", ".join(file.printed_vote_columns[at] for at in sorted(blank)[:3])
            lost[row.key] = f"línea {row.line}: {names} en blanco, y ninguna observación dice que sea «Sin dato»"
        elif dashes:
            lost[row.key] = f"línea {row.line}: «-» en {file.printed_vote_columns[dashes[0]]}, que está en su boleta"
        kept[row.key] = replace(row, cells=tuple([cell if at in ballot else None for at, cell in enumerate(row.cells)]))
    return replace(file, rows=[kept.get(row.key, row) for row in file.rows]), lost


_BLANK: Final = frozenset({Observation.SIN_DATO})
_EVERY: Final = frozenset({Observation.TODOS_VACIOS, Observation.TODOS_SIN_NUMERO})


def _says_blank(cell: str) -> bool:
    return "SIN DATO" in _plain(cell)


def _clase(name: str) -> Clase:
    if name in {"NULOS", "NO_REGISTRADAS"}:
        return Clase.NULOS if name == "NULOS" else Clase.NO_REGISTRADAS
    if name.startswith("CC_"):
        return Clase.COMUN
    if _INDEPENDENT.match(name):
        return Clase.INDEPENDIENTE
    return Clase.COMUN if _COMMON.fullmatch(name) else Clase.PARTIDO


def _place_name(name: str) -> str:
    return re.sub(r"^\W*\d+\W+", "", _plain(name)).strip()


def _option(name: str, parties: Sequence[str]) -> _Option:
    joined = combination(name, parties)
    return _Option(name, Clase.COALICION if joined else _clase(name), joined)


def _candidacies(rows: Iterable[CandidateRow], ballot: Sequence[_Option]) -> list[tuple[list[str], _People]]:
    """Parties go together if a SUM- line says so, or if a combination joins parties with the same people.

    Equal names alone are no proof: two people may have the same name.
    """
    people: dict[str, list[_People]] = defaultdict(list)
    sums: list[frozenset[str]] = []
    for row in rows:
        if row.suma:
            sums.append(_resolve(row.code, ballot))
            continue
        for option in _options_of(row, ballot):
            people[option.code].append((_clean(row.propietaria), _clean(row.suplente)))
    named = [code for option in ballot if option.code in people for code in option.parties or (option.code,)]
    together: dict[str, set[str]] = {code: {code} for code in named}
    joined = [frozenset(option.parties) for option in ballot if option.parties and _same_people(option, people)]
    for parties in (*sums, *joined):
        _join(parties & together.keys(), together)
    groups = {min(group): group for group in together.values()}.values()
    return [
        (codes, pair)
        for group in sorted(groups, key=lambda group: [option.code for option in ballot].index(_first(group, ballot)))
        for codes in [[o.code for o in ballot if o.code in group or (o.parties and group.issuperset(o.parties))]]
        for pair in _names(codes, group, people)
    ]


def _options_of(row: CandidateRow, ballot: Sequence[_Option]) -> list[_Option]:
    """The options of the ballot for which these people stand."""
    parties = _resolve(row.code, ballot)
    people = (option for option in ballot if option.clase not in {Clase.NULOS, Clase.NO_REGISTRADAS})
    return [option for option in people if frozenset(option.parties or (option.code,)) == parties]


def _first(group: set[str], ballot: Sequence[_Option]) -> str:
    return next(option.code for option in ballot if option.code in group)


def _same_people(option: _Option, people: Mapping[str, list[_People]]) -> bool:
    told = [people[code] for code in (option.code, *option.parties) if code in people]
    whole = option.code in people or all(party in people for party in option.parties)
    return whole and all(one == told[0] for one in told) and bool(told[0][0][0])


def _join(parties: frozenset[str], together: dict[str, set[str]]) -> None:
    whole: set[str] = set().union(*(together[party] for party in parties if party in together))
    for party in whole:
        together[party] = whole


def _names(codes: Sequence[str], group: set[str], people: Mapping[str, list[_People]]) -> list[_People]:
    """The people of these options: one pair, or one for each formula. Without any name, the names of the parties."""
    pairs = [pair for pair in dict.fromkeys(pair for code in codes for pair in people.get(code, ())) if pair[0]]
    parties = [code for code in codes if code in group]
    return pairs or [(f"Candidatura de {', '.join(parties)}", "")]


def _resolve(code: str, ballot: Sequence[_Option]) -> frozenset[str]:
    """The options that a code of the candidates file means: itself, or the parties of a combination.

    Files spell a party in two ways (MORENA as MOR): a beginning that fits only one party means that party.
    """
    name = canonical_column(code)
    singles = [option.code for option in ballot if not option.parties]
    if name in singles:
        return frozenset({name})
    parties = [option.code for option in ballot if option.clase is Clase.PARTIDO]
    common = {frozenset(combination(code.removeprefix("CC_"), parties)): code for code in singles if code[:3] == "CC_"}
    found = combination(name.removeprefix("CC_"), parties)
    if found and not any(frozenset(option.parties) == frozenset(found) for option in ballot):
        return frozenset({common.get(frozenset(found), "")} - {""}) or frozenset(found)
    if found:
        return frozenset(found)
    words = re.split(r"[-_]", name)
    if words[0] in COALITION_MARKS and words[0] not in parties:
        del words[0]
    meant = [_party(word, parties) for word in words]
    return frozenset(party for party in meant if party) if all(meant) else frozenset()


def _party(word: str, parties: Sequence[str]) -> str:
    if word in parties:
        return word
    alike = [party for party in parties if party.startswith(word) or word.startswith(party)]
    return alike[0] if len(alike) == 1 else ""


# --- casillas, territories, titles ------------------------------------------------------------------------------------


def _group(row: OfficialRow) -> str:
    return row.tipo if row.tipo in _GROUPS else ""


def _clave(row: OfficialRow) -> str:
    seccion, numero, ext = row.seccion or 0, row.numero or 0, row.ext_contigua or 0
    return f"{row.entidad or 0:02}{seccion:04}{row.tipo}{numero:02}{ext:02}"


def _sufijo(row: OfficialRow) -> str:
    """The end of the file's CLAVE_ACTA, behind the key of the casilla; "" if it is built in another way."""
    clave, acta = _clave(row), row.clave_acta.upper()
    return acta.removeprefix(clave) if acta.startswith(clave) else ""


def _exceptions(
    rows: Iterable[OfficialRow], tipos: Mapping[str, str], sufijos: Mapping[str, str]
) -> Iterator[tuple[object, ...]]:
    """Lines of actas.csv for the rows with another TIPO_ACTA or suffix than the usual one of their type."""
    for row in rows:
        tipo, sufijo, group = row.tipo_acta.upper(), _sufijo(row), _group(row)
        words = [word if _STICKER_WORD.fullmatch(word) else "" for word in (tipo, sufijo)]
        usual = [tipos[group] or tipos[""], sufijos[group] or sufijos[""]]
        if any(word and word != known for word, known in zip(words, usual, strict=True)):
            yield _clave(row), *words, None, None, None, None


def _territories(file: OfficialFile) -> list[tuple[object, ...]]:
    """Every territory of the file, with the name that it uses most often."""
    named: dict[tuple[TerritoryKind, int, int], Counter[str]] = defaultdict(Counter)
    federal = file.ambito is Ambito.FEDERAL
    distrito = TerritoryKind.DISTRITO_FEDERAL if federal else TerritoryKind.DISTRITO_LOCAL
    for row in file.catalogued:
        entidad = row.entidad or 0
        named[TerritoryKind.ENTIDAD, entidad, entidad][row.entidad_nombre] += 1
        if row.distrito:
            named[distrito, entidad, row.distrito][row.distrito_nombre] += 1
        if row.municipio:
            named[TerritoryKind.MUNICIPIO, entidad, row.municipio][row.municipio_nombre] += 1
    return [
        (kind, entidad, own, _clean(names.most_common(1)[0][0]) or f"{kind.replace('_', ' ').upper()} {own}")
        for (kind, entidad, own), names in sorted(named.items())
        if entidad
    ]


def nivel_of(file: OfficialFile, candidates: Sequence[CandidateRow]) -> Nivel:
    """The kind of place that elects the office, by the candidates file or by the title. The rows must have such places.

    Juntas, comunidades, comisarías and demarcaciones use the columns of the local district.
    """
    places = {Nivel.PAIS, Nivel.ENTIDAD}
    places |= {Nivel.DISTRITO} if any(row.distrito for row in file.catalogued) else set()
    places |= {Nivel.MUNICIPIO} if any(row.municipio for row in file.catalogued) else set()
    wanted = [
        *([Nivel.DISTRITO] if any(row.distrito is not None for row in candidates) else []),
        *([Nivel.MUNICIPIO] if any(row.municipio is not None for row in candidates) else []),
    ]
    if wanted or any(row.lugar for row in candidates):
        return next((each for each in (*wanted, Nivel.MUNICIPIO, Nivel.DISTRITO) if each in places), Nivel.ENTIDAD)
    told = [nivel for words, nivel in _TITLES if re.search(words, _plain(file.title))]
    told.sort(key=lambda nivel: nivel not in places)
    if candidates and told[:1] != [Nivel.PAIS]:
        return Nivel.ENTIDAD
    return told[0] if told else Nivel.ENTIDAD


def _code(file: OfficialFile) -> str:
    short = next((code for words, code in _CODES if re.search(words, _plain(file.title))), "ELECCION")
    where = "FED" if file.ambito is Ambito.FEDERAL else "LOC"
    return f"{short}_{where}" if short in {"DIP", "SEN"} else short


def _plain(text: str) -> str:
    """Capitals without accents."""
    decomposed = unicodedata.normalize("NFD", text.upper())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _year(file: OfficialFile) -> int:
    if file.at is not None:
        return file.at.year
    found = re.search(r"(?:19|20)\d\d", file.title)
    if found is None:
        raise Rejected("el archivo no dice de qué año es la elección")
    return int(found.group())


def _clean(text: str) -> str:
    """A text in the form of the catalogue: printable, one line, no formula."""
    plain = "".join(letter if letter.isprintable() and letter != "\\" else " " for letter in text)
    return " ".join(plain.split()).lstrip("=+-@ ")[:_LONGEST_NAME].strip()
