"""The elections of a catalogue and their ballots."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from prep.domain.catalog import (
    DISTRITOS,
    Ambito,
    Clase,
    Election,
    ElectionId,
    Nivel,
    Option,
    TerritoryKind,
    TipoCasilla,
    district_kind,
    electing_kind,
)
from prep.domain.rules import OWN, RULE_SETS, RuleSet
from prep.files import csv_tables as cell
from prep.files.catalog_columns import Tables, all_sound, casilla_kinds, own_columns
from prep.files.csv_tables import CsvTable, shown
from prep.files.official import COLUMNS as OFFICIAL_COLUMNS

FOR_SOMEBODY: Final = frozenset({Clase.PARTIDO, Clase.COALICION, Clase.COMUN, Clase.INDEPENDIENTE})
FOLDERS: Final = frozenset({"bitacora", "cambios", "catalogo", "cortes", "esquemas", "imagenes", "seccion", "zip"})
"""Folders of a published tree (`integrity.layout`). An election has one of its own, with its code as the name."""
_JOINED: Final = frozenset({Clase.COALICION, Clase.COMUN})

_ambito: Final = cell.one_of(Ambito, Ambito)
_clase: Final = cell.one_of(Clase, Clase)


@dataclass
class ElectionDraft:
    """An election while the program still reads its files."""

    id: ElectionId
    code: str
    title: str
    year: int
    ambito: Ambito
    nivel: Nivel
    rules: str
    candidatura: str
    tipos: Mapping[TipoCasilla, str]
    sufijos: Mapping[TipoCasilla, str]
    options: list[Option] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    """Code of an option → its position."""

    @property
    def distrito(self) -> TerritoryKind:
        return district_kind(self.ambito)

    @property
    def territory(self) -> TerritoryKind | None:
        """The kind of territory of a contest; None if a contest is a whole entidad or the country."""
        return electing_kind(self.nivel, self.ambito)

    def election(self) -> Election:
        return Election(
            id=self.id,
            code=self.code,
            title=self.title,
            year=self.year,
            ambito=self.ambito,
            nivel=self.nivel,
            rules=self.rules,
            candidatura=self.candidatura,
            options=tuple(self.options),
        )


Drafts = dict[str, ElectionDraft]


def read_elections(tables: Tables, own: Mapping[str, RuleSet]) -> Drafts:
    """The elections by code. `own` holds the rule sets that the catalogue brings, by name."""
    table = tables.get("elecciones.csv")
    if table is None:
        return {}
    if not len(table):
        table.blame_whole("", "no hay ninguna elección")
    codes = table.read("codigo", cell.code, "")
    titles = table.read("titulo", cell.needed_name, "")
    years = table.read("anio", cell.integer(1990, 2200), 0)
    ambitos = table.read("ambito", _ambito, Ambito.LOCAL)
    niveles = table.read("nivel", partial(_known_nivel, casilla_kinds(tables)), Nivel.ENTIDAD)
    rules = table.read("reglas", str.strip, "")
    candidaturas = table.read("candidatura", cell.sticker_word, "")
    tipos = _by_type(table, "tipo_acta", needed=True)
    sufijos = _by_type(table, "sufijo", needed=False)
    table.expect("reglas", lambda name: _judge_rules(name, own), rules)
    table.expect("codigo", _judge_code, codes)
    table.expect_once("codigo", "la elección está repetida", [code.casefold() for code in codes])
    drafts: Drafts = {}
    # A repeated code is already reported. Keep the first one, so that later checks still find an election.
    for row, code in enumerate(codes):
        sufijo = {tipo: sufijos[row][tipo] or tipos[row][tipo] for tipo in TipoCasilla}
        draft = ElectionDraft(
            ElectionId(row + 1),
            code,
            titles[row],
            years[row],
            ambitos[row],
            niveles[row],
            own[rules[row]].canonical().decode() if rules[row] in own else rules[row],
            candidaturas[row],
            tipos[row],
            sufijo,
        )
        drafts.setdefault(code, draft)
    _read_options(tables, drafts)
    return drafts


def _known_nivel(known: Sequence[TerritoryKind], text: str) -> Nivel:
    try:
        nivel = Nivel(cell.bare(text))
    except ValueError:
        nivel = None
    kinds = [kind for kind in known if kind not in DISTRITOS]
    levels = (Nivel.PAIS, Nivel.ENTIDAD, Nivel.DISTRITO, *kinds)
    if nivel is None or nivel not in levels:
        raise ValueError(
            f"«{shown(cell.bare(text))}» no es ninguno de: {', '.join(levels)}. "
            "Otro tipo de territorio necesita sus renglones en territorios.csv y su columna en casillas.csv"
        )
    return nivel


def _judge_code(code: str) -> str:
    if code.casefold() in FOLDERS:
        return f"«{shown(code)}» es una carpeta de lo publicado; la elección necesita otro código"
    return f"«{shown(code)}»: el código de una elección no lleva puntos" if "." in code else ""


def _judge_rules(name: str, own: Mapping[str, RuleSet]) -> str:
    if name in RULE_SETS or name in own:
        return ""
    known = ", ".join([*RULE_SETS, *own])
    return f"«{shown(name)}» no es un conjunto de reglas; hay: {known}; uno propio va en {OWN}NOMBRE.json"


def _by_type(table: CsvTable, column: str, *, needed: bool) -> list[dict[TipoCasilla, str]]:
    """For each election: type of casilla → word of `column`. Types S and M may have words of their own."""
    usual = table.read(column, cell.sticker_word if needed else cell.maybe_sticker_word, "")
    especial = table.read(f"{column}_especial", cell.maybe_sticker_word, "")
    extranjero = table.read(f"{column}_extranjero", cell.maybe_sticker_word, "")
    return [
        dict.fromkeys(TipoCasilla, u) | {TipoCasilla.ESPECIAL: s or u, TipoCasilla.EXTRANJERO: m or u}
        for u, s, m in zip(usual, especial, extranjero, strict=True)
    ]


def expect_election(table: CsvTable, codes: Sequence[str], tables: Tables, drafts: Drafts) -> None:
    # A wrong line of elecciones.csv is one error; the lines that name that election are not wrong because of it.
    if all_sound(tables, "elecciones.csv"):
        table.expect("eleccion", lambda code: judge_election(code, drafts), codes)


def judge_election(code: str, drafts: Drafts) -> str:
    return "" if code in drafts else f"la elección «{code}» no está en elecciones.csv"


def _read_options(tables: Tables, drafts: Drafts) -> None:
    """Read the ballots into the drafts. The positions of the options follow the column `orden`."""
    table = tables.get("opciones.csv")
    if table is None:
        return
    none: tuple[str, ...] = ()
    elections = table.read("eleccion", cell.code, "")
    ordenes = table.read("orden", cell.integer(0, 9999), 0)
    codes = table.read("codigo", cell.code, "")
    clases = table.read("clase", _clase, Clase.PARTIDO)
    parties = table.read("partidos", cell.codes, none)
    names = table.read("nombre", cell.name, "")
    colours = table.read("color", cell.colour, "")
    emblems = table.read("emblema", cell.file_name, "")
    expect_election(table, elections, tables, drafts)
    places = {code: own_columns(draft.territory or draft.distrito) for code, draft in drafts.items()}
    table.expect("codigo", partial(_judge_option_code, places), elections, codes, clases)
    table.expect("partidos", _judge_parties, clases, parties)
    table.expect_once("orden", "el orden está repetido", elections, ordenes)
    table.expect_once("codigo", "la opción está repetida", elections, [code.casefold() for code in codes])
    # If the line of a party is wrong, the combinations that name it are not wrong because of it.
    parties_known = table.sound
    # A combination names its parties by code; the catalogue keeps their positions, in ballot order.
    for election, draft in drafts.items():
        rows = [row for row, code in enumerate(elections) if code == election]
        # `orden` may have gaps; positions have none.
        rows.sort(key=ordenes.__getitem__)
        of_party = {codes[row]: place for place, row in enumerate(rows) if clases[row] is Clase.PARTIDO}
        for place, row in enumerate(rows):
            unknown = [party for party in parties[row] if party not in of_party]
            if unknown and parties_known:
                table.blame(row, "partidos", f"«{unknown[0]}» no es un partido de {election}")
            joined = tuple(sorted(of_party[party] for party in parties[row] if party in of_party))
            draft.options.append(
                Option(place, codes[row], clases[row], joined, names[row] or codes[row], colours[row], emblems[row])
            )
        draft.places = {option.code: option.position for option in draft.options}
        # The options of a wrong election are not missing: they name its right code.
        if all_sound(tables, "elecciones.csv"):
            _judge_ballot(table, draft, rows)


def _judge_option_code(places: Mapping[str, tuple[str, str]], election: str, code: str, clase: Clase) -> str:
    own = clase.value.upper() if clase in {Clase.NULOS, Clase.NO_REGISTRADAS} else ""
    taken = code.upper() in OFFICIAL_COLUMNS or code.upper() in places.get(election, ())
    if not taken or code.upper() == own:
        return ""
    return f"«{code}» es el nombre de otra columna del archivo oficial"


def _judge_parties(clase: Clase, parties: tuple[str, ...]) -> str:
    if clase not in _JOINED:
        return f"una opción de clase {clase} no lleva partidos" if parties else ""
    if len(set(parties)) < len(parties):
        return "un partido está repetido en la combinación"
    if len(parties) == 1 or (clase is Clase.COALICION and not parties):
        return "una combinación une al menos dos partidos"
    return ""


def _judge_ballot(table: CsvTable, draft: ElectionDraft, rows: Sequence[int]) -> None:
    """Check the options of an election together: exactly one row of nulos, and at least one option to vote for."""
    if not table.sound:
        return
    times = Counter(option.clase for option in draft.options)
    if times[Clase.NULOS] != 1:
        table.blame_whole("clase", f"{draft.code} tiene {times[Clase.NULOS]} opciones de clase nulos; debe tener una")
    if times[Clase.NO_REGISTRADAS] > 1:
        sentence = f"{draft.code} tiene {times[Clase.NO_REGISTRADAS]} opciones de clase no_registradas; a lo más una"
        table.blame_whole("clase", sentence)
    if FOR_SOMEBODY.isdisjoint(times):
        table.blame_whole("clase", f"{draft.code} no tiene ninguna opción por la que se pueda votar")
    seen: dict[tuple[Clase, tuple[int, ...]], Option] = {}
    for option in draft.options:
        earlier = seen.setdefault((option.clase, option.parties), option)
        if option.parties and earlier is not option:
            table.blame(rows[option.position], "partidos", f"es la misma combinación que {earlier.code}")
