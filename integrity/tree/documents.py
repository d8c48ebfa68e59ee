"""The JSON of a published tree, read strictly: canonical bytes, no floats, no duplicate keys, exactly the known fields.

Format 1. `index.json` points at the last corte, `manifest.json` describes a corte, `totals.json` holds its sums.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from integrity.layout import LOGOS, PLACES_INDEX, SCHEMA_NAMES, SITE_FILES, SITE_PARTS, SITE_PROGRAM, schema_path
from integrity.strict_json import DIGEST, Each, Json, Later, Maybe, Text, canonical_json, conform, read_json, refuse
from integrity.sums import Malformed
from integrity.tree.forms import right_name

_NUMBER: Final = int
_TEXT: Final = str
_MOMENT: Final = Text(
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?[+-](?:0\d|1[0-4]):[0-5]\d", re.ASCII),
    "una hora ISO 8601 con su desfase, como -06:00",
)
_ANY_MOMENT: Final = Text(
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?[+-]\d\d:\d\d", re.ASCII), "una hora ISO 8601 con su desfase"
)
_NAME: Final = Text(re.compile(r"[^/\\\x00-\x1f\x7f.][^/\\\x00-\x1f\x7f]{0,200}"), "un nombre de archivo")
_CODE: Final = re.compile(r"[^\W_][\w.&-]{0,60}")
_INTEGER: Final = Text(re.compile(r"\d{1,18}", re.ASCII), "un entero")
_PERCENT: Final = Text(re.compile(r"\d{1,9}\.\d{4}", re.ASCII), "un porcentaje con cuatro decimales")
_ZIP: Final = Text(re.compile(r"zip/[^/\\\x00-\x1f\x7f.][^/\\\x00-\x1f\x7f]{0,200}\.zip"), "zip/<nombre>.zip")
OPTION: Final = re.compile(r"[^\W_][\w.&-]{0,59}")
"""The code of an option, which is the name of a column."""
YEARS: Final = range(1990, 2201)
ENTIDADES: Final = range(100)
TERRITORIES: Final = range(10_000)
"""As many as a catalogue may have (`prep.files.catalog_columns.MAX_TERRITORY`); a test compares them."""
VOTES_PER_BALLOT: Final = range(1, 101)
CRITERIA: Final = frozenset(
    {
        *("excede_lista_nominal", "todos_ilegibles", "todos_vacios", "todos_sin_numero", "ilegible", "sin_dato"),
        *("sin_acta_1", "sin_acta_2", "sin_acta_3", "sin_acta_4", "proceso_tecnico_operativo", "fuera_de_catalogo"),
    }
)
_FASE: Final = re.compile("cero|en curso|final")
_CLASE: Final = re.compile("partido|coalicion|comun|independiente|no_registradas|nulos")
_AMBITO: Final = re.compile("federal|local")
_KIND: Final = r"[a-z][a-z0-9]*(?:_[a-z0-9]+){0,5}"
_NIVEL: Final = re.compile(rf"(?!distrito_(?:federal|local)$)(?!.{{41}}){_KIND}", re.ASCII)
"""The country, an entidad, a distrito, or the kind of territory that elects: the catalogue of the night names it."""
_TERRITORIO: Final = re.compile(rf"(?!(?:pais|distrito)$)(?!.{{41}}){_KIND}", re.ASCII)

# The names and their order are those of the official file (domain.md §6).
SUMMARY_NAMES: Final = (
    "ACTAS_ESPERADAS",
    "ACTAS_REGISTRADAS",
    "ACTAS_FUERA_CATALOGO",
    "ACTAS_CAPTURADAS",
    "PORCENTAJE_ACTAS_CAPTURADAS",
    "ACTAS_CONTABILIZADAS",
    "PORCENTAJE_ACTAS_CONTABILIZADAS",
    "PORCENTAJE_ACTAS_INCONSISTENCIAS",
    "ACTAS_NO_CONTABILIZADAS",
    "LISTA_NOMINAL_ACTAS_CONTABILIZADAS",
    "TOTAL_VOTOS_C_CS",
    "TOTAL_VOTOS_S_CS",
    "PORCENTAJE_PARTICIPACION_CIUDADANA",
)

# The columns of the official file, but for those of the territory and of the votes.
_IDENTIFICATION: Final = ("SECCION", "ID_CASILLA", "TIPO_CASILLA", "EXT_CONTIGUA", "UBICACION_CASILLA", "TIPO_ACTA")
QUANTITIES: Final = (
    "TOTAL_BOLETAS_SOBRANTES",
    "TOTAL_PERSONAS_VOTARON",
    "TOTAL_REP_PARTIDO_CI_VOTARON",
    "TOTAL_VOTOS_SACADOS",
)
TAIL: Final = (
    "TOTAL_VOTOS_ASENTADO",
    "TOTAL_VOTOS_CALCULADO",
    "LISTA_NOMINAL",
    "REPRESENTANTES_PP_CI",
    "OBSERVACIONES",
    "CONTABILIZADA",
    "MECANISMOS_TRASLADO",
    "CODIGO_INTEGRIDAD",
    "FECHA_HORA_ACOPIO",
    "FECHA_HORA_CAPTURA",
    "FECHA_HORA_VERIFICACION",
    "ORIGEN",
    "DIGITALIZACION",
    "TIPO_DOCUMENTO",
    "COTEJADA",
)

_SUMMARY: Final = {name: _PERCENT if name.startswith("PORCENTAJE") else _INTEGER for name in SUMMARY_NAMES}

# The only file that changes: it points at the last corte, and repeats enough of it for a page.
INDEX: Final = {
    "formato": _NUMBER,
    "simulacro": bool,
    "fase": _FASE,
    "corte": _NUMBER,
    "fecha_hora": _MOMENT,
    "siguiente": Maybe(_MOMENT),
    "carpeta": _TEXT,
    "sha256sums": DIGEST,
    "elecciones": [{"codigo": _CODE, "titulo": _TEXT, "pagina": _TEXT}],
    "incidentes": Later([{"numero": _NUMBER, "texto": _TEXT, "fecha_hora": _MOMENT}]),
}

# The declaration of the night, from before it began.
DECLARATION: Final = {
    "formato": _NUMBER,
    "simulacro": bool,
    "ensayo": bool,
    "siglas": _TEXT,
    "instituto": {"nombre": _TEXT, "logo": Maybe(DIGEST), "colores": [_TEXT]},
    "zona": _TEXT,
    "inicio": Maybe(_ANY_MOMENT),
    "fin": Maybe(_ANY_MOMENT),
    "intervalo_ms": _NUMBER,
    "cierra_al_completar": bool,
    "puesta_en_ceros": bool,
    "bitacora": {"origen": _TEXT, "politica": Maybe(DIGEST)},
}

ELECTION: Final[Json] = {
    "codigo": _CODE,
    "titulo": _TEXT,
    "anio": _NUMBER,
    "ambito": _AMBITO,
    "nivel": _NIVEL,
    "archivo": _NAME,
    "candidaturas": _NAME,
    "resumen": _SUMMARY,
    "opciones": [{"posicion": _NUMBER, "codigo": _TEXT, "clase": _CLASE, "partidos": [_NUMBER], "nombre": _TEXT}],
    "contiendas": [
        {
            "id": _NUMBER,
            "entidad": _NUMBER,
            "territorio": _NUMBER,
            "nombre": _TEXT,
            "boleta": [_NUMBER],
            "votos_por_boleta": Later(_NUMBER),
        }
    ],
}

# Everything that a reader needs to judge the rows: rules, options, contests, and the corte before.
MANIFEST: Final = {
    "formato": _NUMBER,
    "corte": _NUMBER,
    "fase": _FASE,
    "fecha_hora": _MOMENT,
    "siguiente": Maybe(_MOMENT),
    "simulacro": bool,
    "anterior": Maybe({"corte": _NUMBER, "sha256sums": DIGEST}),
    "catalogo": DIGEST,
    "declaracion": Later({"sha256": DIGEST, "contenido": DECLARATION}),
    "reglas": Each(
        {
            "nombre": _TEXT,
            "version": _NUMBER,
            "sha256": DIGEST,
            "contenido": {
                "name": _TEXT,
                "version": _NUMBER,
                "mixed_without_number_counts": bool,
                "excede_applies": bool,
                "partial_beside_all": bool,
                "last_corte_with_especiales": bool,
                "excede_alone": Later(bool),
                "sin_acta_not_counted": Later(bool),
                "texts": Each(_TEXT),
            },
        }
    ),
    "elecciones": [ELECTION],
    "correcciones": [{"acta": _TEXT, "eleccion": _CODE, "motivo": _TEXT}],
    "decisiones": Later(
        [
            {
                "numero": _NUMBER,
                "clase": _TEXT,
                "deshace": Maybe(_NUMBER),
                "asunto": _TEXT,
                "motivo": _TEXT,
                "razon": _TEXT,
                "texto": _TEXT,
                "fecha_hora": _MOMENT,
            }
        ]
    ),
    "datos": Later([{"corte": _NUMBER, "sha256sums": DIGEST}]),
    "zip": {"archivo": _ZIP, "sha256": DIGEST, "bytes": _NUMBER},
    "sitio": Later(
        {
            **dict.fromkeys(SITE_FILES, DIGEST),
            **dict.fromkeys(
                (SITE_PROGRAM, *SITE_PARTS, *LOGOS, PLACES_INDEX, *map(schema_path, SCHEMA_NAMES)), Later(DIGEST)
            ),
        }
    ),
}

# lugares/indice.json: the files of the index of places.
LISTING: Final = {"formato": _NUMBER, "archivos": Each(DIGEST)}

# Every number here follows from the rows; `tree.totals` computes each of them again.
TOTALS: Final = {
    "formato": _NUMBER,
    "elecciones": Each(
        {
            "resumen": _SUMMARY,
            "actas": {
                "esperadas": _NUMBER,
                "capturadas": _NUMBER,
                "contabilizadas": _NUMBER,
                "no_contabilizadas": _NUMBER,
                "sin_acta": _NUMBER,
                "fuera_de_catalogo": _NUMBER,
            },
            "votos": Each(_NUMBER),
            "votos_por_partido": Each(_NUMBER),
            "contiendas": [
                {
                    "id": _NUMBER,
                    "entidad": _NUMBER,
                    "territorio": _NUMBER,
                    "nombre": _TEXT,
                    "resumen": _SUMMARY,
                    "votos": Each(_NUMBER),
                    "votos_por_partido": Each(_NUMBER),
                    "candidaturas": [
                        {
                            "id": _NUMBER,
                            "propietaria": _TEXT,
                            "suplente": _TEXT,
                            "opciones": [_TEXT],
                            "votos": _NUMBER,
                            "porcentaje": _PERCENT,
                        }
                    ],
                }
            ],
            "territorios": [
                {
                    "tipo": _TERRITORIO,
                    "entidad": _NUMBER,
                    "id": _NUMBER,
                    "nombre": _TEXT,
                    "resumen": _SUMMARY,
                    "votos": Each(_NUMBER),
                }
            ],
        }
    ),
}


# --- the manifest -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rules:
    """The rule set of an election, as the manifest publishes it (`docs/rules.md` §4-5)."""

    mixed_without_number_counts: bool
    excede_applies: bool
    partial_beside_all: bool
    last_corte_with_especiales: bool
    texts: Mapping[str, str]
    excede_alone: bool = False
    sin_acta_not_counted: bool = True


@dataclass(frozen=True, slots=True)
class PublishedOption:
    """One option of a ballot; `parties` are the positions of a coalition's parties."""

    position: int
    code: str
    clase: str
    parties: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PublishedContest:
    """One contest: the place that elects one office; `ballot` holds positions of options."""

    id: int
    entidad: int
    territorio: int
    name: str
    ballot: frozenset[int]
    votes_per_ballot: int = 1


@dataclass(frozen=True, slots=True)
class PublishedElection:
    """One election of the manifest, with its options, contests and rules."""

    code: str
    title: str
    ambito: str
    nivel: str
    archivo: str
    candidaturas: str
    resumen: Mapping[str, str]
    options: tuple[PublishedOption, ...]
    """By position, from 0 without gaps."""
    contests: Mapping[tuple[int, int], PublishedContest]
    """By entidad and territory."""
    rules: Rules

    @property
    def territory(self) -> str:
        """The kind of territory in the file's own column: distrito_federal, distrito_local, or another that elects."""
        # An office of the whole country or of an entidad has no territory of its own: its file names the distritos.
        return f"distrito_{self.ambito}" if self.nivel in {"pais", "entidad", "distrito"} else self.nivel

    @property
    def identity(self) -> tuple[str, ...]:
        """The names of the first columns of its file, which the catalogue fills."""
        own = (f"ID_{self.territory.upper()}", self.territory.upper())
        return ("CLAVE_CASILLA", "CLAVE_ACTA", "ID_ENTIDAD", "ENTIDAD", *own, *_IDENTIFICATION)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns of its file, in order; the options in the order of the ballot."""
        return (*self.identity, *QUANTITIES, *(option.code for option in self.options), *TAIL)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of a corte; `read_manifest` makes it."""

    corte: int
    fase: str
    at: datetime
    siguiente: datetime | None
    simulacro: bool
    anterior: tuple[int, str] | None
    fixed: bytes
    """Canonical JSON of what no corte may change: catalogue, declaration, rules, elections without their summary."""
    elections: tuple[PublishedElection, ...]
    corrections: frozenset[tuple[str, str]]
    """Election and CLAVE_ACTA."""
    zip_name: str
    zip_sha256: str
    zip_bytes: int
    raw: Json

    @property
    def files(self) -> frozenset[str]:
        """Names in the folder of the corte, without SHA256SUMS."""
        of_elections = [name for election in self.elections for name in (election.archivo, election.candidaturas)]
        return frozenset({"manifest.json", "LEEME.txt", "totals.json", "images.csv", *of_elections})

    @property
    def edo(self) -> str:
        """The abbreviation of the entidad, with which every file name begins."""
        first = self.raw["elecciones"][0]
        return str(first["archivo"]).removesuffix(f"_{first['codigo']}_{first['anio']}.csv")


def read_manifest(data: bytes) -> Manifest:
    """The manifest of a corte. Raises Malformed: not canonical, of another shape, or it names a file that it lacks."""
    raw = read_json(data)
    conform(raw, MANIFEST)
    _expect_format(raw)
    elections = raw["elecciones"]
    codes = [election["codigo"] for election in elections]
    # Two codes that differ in capitals alone would share a folder on some disks.
    if not codes or len({code.casefold() for code in codes}) < len(codes):
        refuse("elecciones", "códigos de elección sin repetir", codes)
    if sorted(raw["reglas"]) != sorted(codes):
        refuse("reglas", f"reglas de {', '.join(codes)}", ", ".join(raw["reglas"]))
    # The summary is the only part of an election that may change from corte to corte.
    fixed = [{key: held for key, held in election.items() if key != "resumen"} for election in elections]
    anterior = raw["anterior"]
    manifest = Manifest(
        corte=raw["corte"],
        fase=raw["fase"],
        at=read_moment(raw["fecha_hora"]),
        siguiente=None if raw["siguiente"] is None else read_moment(raw["siguiente"]),
        simulacro=raw["simulacro"],
        anterior=None if anterior is None else (anterior["corte"], anterior["sha256sums"]),
        fixed=canonical_json([raw["catalogo"], raw.get("declaracion"), raw["reglas"], fixed]),
        elections=tuple(_read_election(election, raw["reglas"][election["codigo"]]) for election in elections),
        corrections=frozenset((held["eleccion"], held["acta"].strip("'")) for held in raw["correcciones"]),
        zip_name=raw["zip"]["archivo"],
        zip_sha256=raw["zip"]["sha256"],
        zip_bytes=raw["zip"]["bytes"],
        raw=raw,
    )
    _judge_names(manifest)
    _judge_corrections(raw, codes)
    return manifest


def read_totals(data: bytes) -> Json:
    """`totals.json`, in its form and not yet compared. Raises Malformed."""
    raw: Json = read_json(data)
    conform(raw, TOTALS)
    _expect_format(raw)
    return raw


def read_index(data: bytes) -> Json:
    """`index.json`, in its form and not yet compared. Raises Malformed."""
    raw: Json = read_json(data)
    conform(raw, INDEX)
    _expect_format(raw)
    return raw


def read_moment(text: str) -> datetime:
    """The time in an ISO 8601 text, in the offset of the night's zone.

    Raises Malformed for a day that does not exist.
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Malformed("una fecha que exista", f"«{text}»") from None


def in_words(moment: datetime) -> str:
    """A local moment as the official file tells it: dd/mm/aaaa HH:MM (UTC-6)."""
    minutes = (moment.utcoffset() or timedelta()) // timedelta(minutes=1)
    hours, rest = divmod(abs(minutes), 60)
    offset = f"UTC{'-' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}"
    return f"{moment:%d/%m/%Y %H:%M} ({offset})"


def rules_digest(content: object) -> str:
    """SHA-256 of the canonical JSON of a rule set, as the manifest states it."""
    return hashlib.sha256(canonical_json(content)).hexdigest()


def _expect_format(raw: Json) -> None:
    if raw["formato"] != 1:
        refuse("formato", "1, el único que este programa conoce", raw["formato"])


def _read_election(raw: Json, rules: Json) -> PublishedElection:
    content = rules["contenido"]
    # Name and version stand twice in the manifest; two answers would leave the reader without one.
    where = f"elecciones.{raw['codigo']}"
    if not right_name(raw["titulo"]) or raw["anio"] not in YEARS:
        refuse(where, "un título en una línea y un año de 1990 a 2200", f"«{raw['titulo']}», {raw['anio']}")
    unknown = content["texts"].keys() - CRITERIA
    if unknown or not all(right_name(text) for text in content["texts"].values() if text):
        refuse(where, "un texto en una línea para cada criterio que hay", ", ".join(sorted(unknown)) or "otro")
    if (rules["nombre"], rules["version"]) != (content["name"], content["version"]):
        refuse(where, "reglas con el nombre y la versión de su contenido", f"{rules['nombre']} {rules['version']}")
    election = PublishedElection(
        code=raw["codigo"],
        title=raw["titulo"],
        ambito=raw["ambito"],
        nivel=raw["nivel"],
        archivo=raw["archivo"],
        candidaturas=raw["candidaturas"],
        resumen=raw["resumen"],
        options=_read_options(raw["opciones"], where),
        contests=_read_contests(raw, where),
        rules=Rules(
            mixed_without_number_counts=content["mixed_without_number_counts"],
            excede_applies=content["excede_applies"],
            partial_beside_all=content["partial_beside_all"],
            last_corte_with_especiales=content["last_corte_with_especiales"],
            texts=content["texts"],
            excede_alone=content.get("excede_alone", False),
            sin_acta_not_counted=content.get("sin_acta_not_counted", True),
        ),
    )
    # Two columns of one name: a reader who looks for it by its name would find one of them.
    if len(set(election.columns)) < len(election.columns):
        refuse(where, "columnas sin repetir: territorio, opciones y las demás", ", ".join(election.columns))
    return election


def _read_options(raw: Sequence[Json], where: str) -> tuple[PublishedOption, ...]:
    options = tuple(
        PublishedOption(held["posicion"], held["codigo"], held["clase"], tuple(held["partidos"]))
        for held in sorted(raw, key=lambda held: held["posicion"])
    )
    # Positions are the columns of the file, from 0 without gaps: `Sum` and `distribute` use them as indices.
    if [option.position for option in options] != [*range(len(options))]:
        refuse(where, "posiciones de opción seguidas desde 0", [option.position for option in options])
    if len({option.code for option in options}) < len(options):
        refuse(where, "códigos de opción sin repetir", [option.code for option in options])
    _judge_clases(raw, where)
    for option in options:
        parties = [options[place] for place in option.parties if place < len(options)]
        coalition = option.clase == "coalicion"
        if option.parties and option.clase not in {"coalicion", "comun"}:
            refuse(where, f"{option.code} sin partidos: no es una combinación", list(option.parties))
        # A combination shares its votes among parties of this ballot: they must exist, and be parties themselves.
        if len(parties) != len(set(option.parties)) or any(party.clase != "partido" for party in parties):
            refuse(where, f"partidos de {option.code} sin repetir y que existan", list(option.parties))
        if coalition and not parties:
            refuse(where, f"los partidos de la coalición {option.code}", "ninguno")
    return options


def _judge_clases(raw: Sequence[Json], where: str) -> None:
    """One column of null votes, at most one of candidacies that nobody registered, and somebody to vote for."""
    clases = [held["clase"] for held in raw]
    if clases.count("nulos") != 1 or clases.count("no_registradas") > 1 or {*clases} <= {"nulos", "no_registradas"}:
        refuse(where, "una opción de votos nulos y alguien por quien votar", ", ".join(clases))
    for held in raw:
        if OPTION.fullmatch(held["codigo"]) is None or not right_name(held["nombre"] or held["codigo"]):
            refuse(where, "el código y el nombre de cada opción", f"«{held['codigo']}», «{held['nombre']}»")


def _read_contests(election: Json, where: str) -> dict[tuple[int, int], PublishedContest]:
    contests: dict[tuple[int, int], PublishedContest] = {}
    ids: set[int] = set()
    raw, options = election["contiendas"], len(election["opciones"])
    of_nulos = {held["posicion"] for held in election["opciones"] if held["clase"] == "nulos"}
    for held in raw:
        _judge_place(election["nivel"], held, where)
        place = (held["entidad"], held["territorio"])
        ballot = frozenset(held["boleta"])
        # Two contests at one place, or under one number: an acta would count in both.
        if place in contests or held["id"] in ids:
            refuse(where, "contiendas sin repetir", f"otra vez {held['nombre']}")
        if len(ballot) < len(held["boleta"]) or not ballot or max(ballot) >= options:
            refuse(where, f"una boleta de {held['nombre']} con opciones que existan", held["boleta"])
        needed = of_nulos.union(
            *(
                one["partidos"]
                for one in election["opciones"]
                if one["clase"] == "coalicion" and one["posicion"] in ballot
            )
        )
        if not needed <= ballot:
            refuse(where, f"los votos nulos y los partidos de cada coalición en {held['nombre']}", held["boleta"])
        ids.add(held["id"])
        contests[place] = PublishedContest(held["id"], *place, held["nombre"], ballot, held.get("votos_por_boleta", 1))
    return contests


def _judge_place(nivel: str, held: Json, where: str) -> None:
    """The office is elected where its level says: in the country, an entidad, or a territory of an entidad."""
    entidad, territory = held["entidad"], held["territorio"]
    here = {"pais": (False, False), "entidad": (True, False)}.get(nivel, (True, True))
    if (entidad > 0, territory > 0) != here or entidad not in ENTIDADES or territory not in TERRITORIES:
        refuse(where, f"el lugar de una contienda de {nivel}", f"{entidad}-{territory}")
    if not right_name(held["nombre"]) or held.get("votos_por_boleta", 1) not in VOTES_PER_BALLOT:
        refuse(where, "el nombre de una contienda y de 1 a 100 votos por boleta", f"{held['nombre']}")


def _judge_corrections(raw: Json, codes: Sequence[str]) -> None:
    """Each correction names an acta of one of the elections, once, and says why."""
    told = [(held["eleccion"], held["acta"].strip("'")) for held in raw["correcciones"]]
    right = all(code in codes and clave.isalnum() for code, clave in told)
    if len({*told}) < len(told) or not right or not all(right_name(held["motivo"]) for held in raw["correcciones"]):
        refuse("correcciones", "actas de estas elecciones, cada una una vez y con su motivo", len(told))


def _judge_names(manifest: Manifest) -> None:
    """File names follow from entidad, election and year: so no name can be that of another file."""
    for raw in manifest.raw["elecciones"]:
        expected = f"{manifest.edo}_{raw['codigo']}_{raw['anio']}.csv"
        if raw["archivo"] != expected or not manifest.edo or manifest.edo.endswith(".csv"):
            refuse(f"elecciones.{raw['codigo']}.archivo", f"<EDO>_{raw['codigo']}_{raw['anio']}.csv", raw["archivo"])
        expected = f"{manifest.edo}_{raw['codigo']}_CANDIDATURAS_{raw['anio']}.csv"
        if raw["candidaturas"] != expected:
            refuse(f"elecciones.{raw['codigo']}.candidaturas", expected, raw["candidaturas"])
