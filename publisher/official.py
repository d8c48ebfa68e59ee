"""The files of Anexo 18.5, as they are really published: results, candidaturas and LEEME, and their ZIPs.

UTF-8 with BOM, comma, CRLF, RFC 4180 (`docs/rules.md`). The same snapshot gives the same bytes: no function here reads
a clock, and every entry of a ZIP has the time of the corte.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prep.domain import row
from prep.domain.catalog import (
    DISTRITOS,
    Candidacy,
    Clase,
    Contest,
    ContestId,
    Election,
    TerritoryKind,
    read_identity,
)
from prep.domain.corte import Fuera
from prep.domain.hours import hour_words, offset_name
from prep.domain.night import Night
from prep.domain.rules import Observation, RuleSet, rule_set
from prep.domain.tally import SUMMARY_NAMES
from prep.domain.territory_map import TerritoryMap
from publisher.kept import ChangedRow, Kept, follow

if TYPE_CHECKING:
    from prep.store.cortes import Snapshot
    from publisher.figures import Figures

log: Final = logging.getLogger(__name__)
BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class CatalogBook:
    """The part of the catalogue that a corte needs in memory: everything except the casillas."""

    elections: tuple[Election, ...]
    contests: Mapping[ContestId, Contest]
    candidacies: Mapping[ContestId, Sequence[tuple[int, Candidacy]]]
    """By contest, each with a number that tells people of one name apart."""
    names: Mapping[tuple[TerritoryKind, int, int], str]
    digest: str
    night: Night
    logo: bytes = b""
    """The file of the institute's logo; empty if there is none."""
    maps: Mapping[TerritoryKind, TerritoryMap] = field(default_factory=dict)
    """The maps that the catalogue brings, by kind of territory."""
    places: bytes = b""
    """The list of the files of the index of places (`publisher.places`); empty if the catalogue states no places."""

    @property
    def siglas(self) -> str:
        return self.night.siglas

    @property
    def zone(self) -> tzinfo:
        """The zone of the night."""
        return self.night.tz

    def contests_of(self, election: Election) -> list[Contest]:
        """The contests of an election, in the order of the catalogue."""
        return [contest for contest in self.contests.values() if contest.election == election.id]

    def rules(self, election: Election) -> RuleSet:
        """The rule set that the election names."""
        return rule_set(election.rules)

    def file(self, election: Election) -> str:
        """The name of the official file, `<EDO>_<ELECCION>_<AÑO>.csv` (domain.md §6)."""
        return f"{self.siglas}_{election.code}_{election.year}.csv"

    def candidates_file(self, election: Election) -> str:
        """The name of the file with the candidacies."""
        return f"{self.siglas}_{election.code}_CANDIDATURAS_{election.year}.csv"

    def entidad(self, number: int) -> str:
        """The name of an entidad; `-` if the catalogue has none."""
        return self.names.get((TerritoryKind.ENTIDAD, number, number), row.NOTHING)

    def place(self, election: Election, entidad: int, number: int) -> str:
        """The name of a territory in the rows of this election; N/A for a casilla that belongs to none."""
        return self.names.get((row.territory(election)[0], entidad, number), row.NOTHING) if number else row.NOWHERE


# Results


def head(election: Election, at: datetime, summary: Mapping[str, str], *, zone: tzinfo) -> bytes:
    """Everything above the rows: title, moment, the thirteen values, and the names of the columns."""
    local = at.astimezone(zone)
    lines = (
        row.line([election.title]),
        f"{local:%d/%m/%Y %H:%M} ({offset_name(local)})",
        "",
        row.line(SUMMARY_NAMES),
        row.line(summary[name] for name in SUMMARY_NAMES),
        "",
        row.header(election),
    )
    return BOM + _crlf_lines(lines)


@dataclass(frozen=True, slots=True)
class Following:
    """A way to write a file from the one of the corte before."""

    kept: Kept
    versions: Sequence[int]
    """All that no corte before has shown."""
    rows: int
    """Actas in the catalogue of the election."""


async def write_results(
    path: Path,
    above: bytes,
    *,
    figures: "Figures",
    book: CatalogBook,
    snapshot: "Snapshot",
    fuera: Sequence[Fuera],
    following: Following | None = None,
) -> bool:
    """Write the whole catalogue in its order, then the rows fuera de catálogo; streamed, never held in memory.

    With `following`, rows that did not change are copied. The bytes are the same either way. Returns whether they were.
    """
    # The cells of a territory are the same in thousands of rows, so they are made once.
    election = figures.election
    places = {(entidad, number): _place_cells(election, book, entidad, number) for entidad, number in figures.places}
    pending = (row.quantities_pending(len(election.options)), row.tail_pending())
    below = _crlf_lines(_fuera_line(election, book, each) for each in fuera)
    if following is not None:
        fresh = await snapshot.rows_of(election, following.versions, places, pending=pending)
        changed = [ChangedRow(*each) for each in fresh]
        if await asyncio.to_thread(follow, following.kept, path, above, changed, below, rows=following.rows):
            return True
        log.warning("official file made anew", extra={"data": {"file": path.name, "before": str(following.kept.path)}})
    with path.open("wb") as file:

        async def sink(piece: bytes) -> None:
            await asyncio.to_thread(file.write, piece.replace(b"\n", b"\r\n"))

        file.write(above)
        await snapshot.rows(election, places, pending=pending, sink=sink)
        file.write(below)
    return False


def _place_cells(election: Election, book: CatalogBook, entidad: int, territory: int) -> str:
    return row.place(entidad, book.entidad(entidad), territory, book.place(election, entidad, territory))


def _fuera_line(election: Election, book: CatalogBook, fuera: Fuera) -> str:
    # A row fuera de catálogo shows its identification as read, even if that names no known casilla (domain.md §5).
    read = read_identity(fuera.identity)
    identity = read[0] if read else None
    entidad = int(identity.entidad) if identity else 0
    distrito = identity.distrito if identity else ""
    known = distrito.isdigit() and row.territory(election)[0] in DISTRITOS
    return row.fuera(
        election,
        identity,
        entidad=book.entidad(entidad),
        territorio=book.place(election, entidad, int(distrito)) if known else row.NOTHING,
        observations=book.rules(election).published((Observation.FUERA_DE_CATALOGO,)),
        origen=fuera.origen,
        digitalizacion=fuera.digitalizacion,
    )


def _crlf_lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


# Candidaturas


def candidates(election: Election, book: CatalogBook) -> bytes:
    """One line for each option that counts for a candidacy, as INE publishes them."""
    _, number, _ = row.territory(election)
    # An office of the whole state has no column for the territory.
    by_contest = election.territory is not None
    columns = ("ID_ENTIDAD", *((number,) if by_contest else ()), "PARTIDO_CI", "CANDIDATURA_PROPIETARIA")
    lines = [row.line((*columns, "CANDIDATURA_SUPLENTE"))]
    for contest in book.contests_of(election):
        where = (contest.entidad, *((contest.territory,) if by_contest else ()))
        for _, candidacy in book.candidacies.get(contest.id, ()):
            lines.extend(
                row.line((*where, election.options[option].code, candidacy.propietario, candidacy.suplente))
                for option in candidacy.options
            )
    return BOM + _crlf_lines(lines)


# LEEME

ABOUT: Final[Mapping[str, str]] = {
    "ACTAS_ESPERADAS": "Actas de todas las casillas aprobadas: el catálogo de actas esperadas de esta elección.",
    "ACTAS_REGISTRADAS": "Actas capturadas más actas fuera de catálogo.",
    "ACTAS_FUERA_CATALOGO": "Actas que no se pueden asociar a una casilla aprobada.",
    "ACTAS_CAPTURADAS": "Actas del catálogo ya asentadas, contabilizadas o no. Incluye los registros «sin acta».",
    "PORCENTAJE_ACTAS_CAPTURADAS": "Actas capturadas respecto de las esperadas.",
    "ACTAS_CONTABILIZADAS": "Actas capturadas cuyos votos se suman en los resultados (CONTABILIZADA = 1).",
    "PORCENTAJE_ACTAS_CONTABILIZADAS": "Actas contabilizadas respecto de las esperadas.",
    "PORCENTAJE_ACTAS_INCONSISTENCIAS": (
        "Actas con lista nominal excedida o con votos ilegibles o sin dato, respecto de las esperadas. "
        "Cada acta cuenta una sola vez."
    ),
    "ACTAS_NO_CONTABILIZADAS": "Actas capturadas cuyos votos no se suman (CONTABILIZADA = 0), «sin acta» incluidas.",
    "LISTA_NOMINAL_ACTAS_CONTABILIZADAS": "Suma de la lista nominal de las actas contabilizadas.",
    "TOTAL_VOTOS_C_CS": "Votos calculados de las actas contabilizadas, con casillas especiales.",
    "TOTAL_VOTOS_S_CS": "Votos calculados de las actas contabilizadas, sin casillas especiales.",
    "CLAVE_CASILLA": "Entidad (2), sección (4), tipo (1), id (2) y ext_contigua (2), entre apóstrofos.",
    "CLAVE_ACTA": "CLAVE_CASILLA seguida del tipo de acta, entre apóstrofos. Identifica el acta.",
    "ID_ENTIDAD": "Número de la entidad federativa.",
    "ENTIDAD": "Nombre de la entidad federativa.",
    "ID_DISTRITO_FEDERAL": "Número del distrito electoral federal; N/A donde no aplica.",
    "DISTRITO_FEDERAL": "Nombre del distrito electoral federal; N/A donde no aplica.",
    "ID_DISTRITO_LOCAL": "Número del distrito electoral local; N/A donde no aplica.",
    "DISTRITO_LOCAL": "Nombre del distrito electoral local; N/A donde no aplica.",
    "ID_MUNICIPIO": "Número del municipio; N/A donde no aplica.",
    "MUNICIPIO": "Nombre del municipio; N/A donde no aplica.",
    "SECCION": "Sección electoral; N/A donde el acta no pertenece a ninguna.",
    "ID_CASILLA": "Número de la casilla.",
    "TIPO_CASILLA": (
        "B básica, C contigua, E extraordinaria, S especial, M voto desde el extranjero, V o P prisión preventiva, "
        "A voto anticipado, U urna electrónica."
    ),
    "EXT_CONTIGUA": "Número de la contigua de una extraordinaria.",
    "UBICACION_CASILLA": "1 urbana, 2 no urbana, 3 fuera de catálogo.",
    "TIPO_ACTA": "Tipo de acta, como está impreso en ella.",
    "TOTAL_BOLETAS_SOBRANTES": "Boletas sobrantes anotadas en el acta.",
    "TOTAL_PERSONAS_VOTARON": "Personas que votaron, según el acta.",
    "TOTAL_REP_PARTIDO_CI_VOTARON": "Representantes de partidos y candidaturas independientes que votaron.",
    "TOTAL_VOTOS_SACADOS": "Votos sacados de la urna, según el acta.",
    "TOTAL_VOTOS_ASENTADO": "Total de votos escrito en el acta. Puede diferir de la suma: se publican los dos.",
    "TOTAL_VOTOS_CALCULADO": "Suma de los votos del acta hecha por el sistema; ilegible y sin dato suman 0.",
    "LISTA_NOMINAL": "Lista nominal de la casilla; 0 en las especiales.",
    "REPRESENTANTES_PP_CI": "Representantes acreditados que pueden votar en la casilla.",
    "OBSERVACIONES": "Criterios que se cumplen en el acta, separados por coma. Los textos posibles están abajo.",
    "CONTABILIZADA": "1 contabilizada, 0 no contabilizada, 2 fuera de catálogo, - aún no capturada.",
    "MECANISMOS_TRASLADO": "D, F, I o una combinación; vacío donde no consta.",
    "CODIGO_INTEGRIDAD": (
        "SHA-256 de la imagen original del acta, en hexadecimal. La imagen está en imagenes/ con ese nombre."
    ),
    "FECHA_HORA_ACOPIO": "Llegada del acta, {hours}.",
    "FECHA_HORA_CAPTURA": "Primera captura, {hours}.",
    "FECHA_HORA_VERIFICACION": "Captura que la confirmó, {hours}.",
    "ORIGEN": "CASILLA o CATD: dónde se tomó la imagen.",
    "DIGITALIZACION": "Móvil, Escáner o Urna: con qué se tomó la imagen.",
    "TIPO_DOCUMENTO": "Acta PREP, la copia que la sustituye, o la constancia de que no hay imagen del acta.",
    "COTEJADA": "0 no cotejada, 1 aceptada, 2 aceptada después de un cambio, 3 en corrección.",
}

_CELLS: Final = """\
CÓMO LEER LAS CELDAS
  Número     la cantidad capturada por dos personas que coincidieron, o elegida entre tres capturas.
  Ilegible   la cantidad está escrita y no se puede leer. Suma 0.
  Sin dato   el espacio está en blanco. Suma 0; no es lo mismo que un cero.
  Sin acta   no hay acta que leer; el motivo está en OBSERVACIONES.
  -          aún no capturada, no aplica, o la opción no está en la boleta de ese lugar.
  Las actas fuera de catálogo están al final: su identificación es la que se leyó, y sus imágenes se publican aparte
  (images.csv).
"""


def readme(book: CatalogBook, at: datetime, *, phase_final: bool) -> bytes:
    """LEEME.txt: the files of this corte, column by column, and the rules by which the columns are derived."""
    offset = offset_name(at.astimezone(book.zone))
    parts = [
        "PROGRAMA DE RESULTADOS ELECTORALES PRELIMINARES",
        "Los resultados son preliminares y de carácter informativo.",
        "",
        "Los archivos .csv están en UTF-8 con BOM, separados por comas, con fin de línea CRLF y comillas de RFC 4180.",
        f"Arriba de los renglones: título de la elección, fecha y hora del corte ({offset}), trece valores de resumen.",
        "Hay un renglón por acta esperada, también de las que faltan, y al final las actas fuera de catálogo.",
        "Las actas esperadas, con su lista nominal, se publicaron antes del corte 0 en la carpeta catalogo/ del sitio.",
        "Los porcentajes llevan cuatro decimales TRUNCADOS, nunca redondeados.",
        "",
        _CELLS,
    ]
    for election in book.elections:
        parts += [*_about_election(election, book, at, phase_final=phase_final), ""]
    return _crlf_lines("\n".join(parts).splitlines())


def _about_election(election: Election, book: CatalogBook, at: datetime, *, phase_final: bool) -> Iterable[str]:
    rules = book.rules(election)
    yield f"{book.file(election)} — {election.title}"
    yield f"{book.candidates_file(election)} — quién cuenta con los votos de cada opción, por contienda"
    yield ""
    yield "  RESUMEN"
    for name in SUMMARY_NAMES[:-1]:
        yield f"  {name}: {ABOUT[name]}"
    yield f"  {SUMMARY_NAMES[-1]}: {_about_participation(rules, phase_final=phase_final)}"
    yield ""
    yield "  COLUMNAS"
    options = {option.code: option for option in election.options}
    for place, column in enumerate(row.columns(election), 1):
        about = (
            _about_option(election, column)
            if column in options
            else ABOUT.get(column) or _about_territory(election, column)
        )
        yield f"  {place}. {column}: {about}".replace("{hours}", hour_words(book.zone, at))
    yield ""
    yield f"  CRITERIOS: conjunto de reglas {rules.name}, versión {rules.version}"
    for code, text in rules.texts.items():
        yield f"  {text}: {_CRITERIA[code]}"
    if rules.excede_applies:
        yield "  Un acta que excede la lista nominal no se contabiliza."
    yield ""


def _about_territory(election: Election, column: str) -> str:
    kind, number, _ = row.territory(election)
    return f"{'Número' if column == number else 'Nombre'} de {kind.words} en que se elige el cargo."


def _about_participation(rules: RuleSet, *, phase_final: bool) -> str:
    with_especiales = phase_final and rules.last_corte_with_especiales
    which = "TOTAL_VOTOS_C_CS" if with_especiales else "TOTAL_VOTOS_S_CS"
    # domain.md §4: the last corte counts the especial casillas in the participation, if the rules say so.
    also = "; en el último corte, TOTAL_VOTOS_C_CS" if rules.last_corte_with_especiales and not phase_final else ""
    return f"{which} respecto de LISTA_NOMINAL_ACTAS_CONTABILIZADAS{also}."


def _about_option(election: Election, code: str) -> str:
    option = next(option for option in election.options if option.code == code)
    name = f" ({option.name})" if option.name and option.name != code else ""
    match option.clase:
        case Clase.NO_REGISTRADAS:
            return "Votos para candidaturas no registradas."
        case Clase.NULOS:
            return "Votos nulos."
        case Clase.COALICION:
            parties = ", ".join(election.options[party].code for party in option.parties)
            return f"Votos en que se marcó la combinación de {parties}{name}."
        case Clase.COMUN:
            return f"Votos de la candidatura común{name}."
        case Clase.INDEPENDIENTE:
            return f"Votos de la candidatura independiente{name}."
        case _:
            return f"Votos del partido{name}."


_CRITERIA: Final[Mapping[Observation, str]] = {
    Observation.EXCEDE: "los votos exceden la lista nominal (o las boletas, si no hay lista) más representantes",
    Observation.TODOS_ILEGIBLES: "todos los campos de votos son ilegibles; no se contabiliza",
    Observation.TODOS_VACIOS: "todos los campos de votos están en blanco; no se contabiliza",
    Observation.TODOS_SIN_NUMERO: "ningún campo de votos tiene número; no se contabiliza",
    Observation.ILEGIBLE: "uno o más campos de votos son ilegibles",
    Observation.SIN_DATO: "uno o más campos de votos están en blanco",
    Observation.SIN_ACTA_1: "paquete no entregado; no se contabiliza",
    Observation.SIN_ACTA_2: "casilla no instalada; no se contabiliza",
    Observation.SIN_ACTA_3: "paquete entregado sin sobre PREP; no se contabiliza",
    Observation.SIN_ACTA_4: "contingencia de la urna electrónica; no se contabiliza",
    Observation.PROCESO_TECNICO: "identificada por otro procedimiento válido",
    Observation.FUERA_DE_CATALOGO: "no se puede asociar a una casilla aprobada; no se contabiliza",
}


# Names of ZIPs


def stamp(at: datetime, zone: tzinfo) -> str:
    """AAAAMMDD_HHMM in the zone of the night: the beginning of every ZIP's name."""
    return f"{at.astimezone(zone):%Y%m%d_%H%M}"


def inner_zip_name(at: datetime, election: Election, siglas: str, zone: tzinfo) -> str:
    """The name of the ZIP of one election."""
    return f"{stamp(at, zone)}_PREP_{election.code}_{siglas}.zip"


def zip_name(at: datetime, siglas: str, zone: tzinfo, *, again: int | None) -> str:
    """The name of the transport file. `again` is the corte's number, if a corte before may have the same minute."""
    return f"{stamp(at, zone)}_PREP_{siglas}{'' if again is None else f'_{again:04}'}.zip"
