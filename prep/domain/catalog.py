"""The catalogue of a night: elections, contests, ballots, casillas; one expected acta for each casilla and election.

Values only. `prep/files/catalog_files.py` reads them from an institute's CSV files. Rules: `docs/rules.md` §1, §6, §7.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import ClassVar, Final, NamedTuple, NewType, Self

from prep.domain.layout import FormLayout
from prep.domain.territory_map import TerritoryMap

ElectionId = NewType("ElectionId", int)
ContestId = NewType("ContestId", int)
CasillaId = NewType("CasillaId", int)
ActaId = NewType("ActaId", int)

_KIND: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+){0,5}", re.ASCII)
_LONGEST_KIND: Final = 40
_ENDING: Final = re.compile(r"o(?=n$)(?<=[cgs]io)")
_ACCENTS: Final = {"comisaria": "comisaría", "alcaldia": "alcaldía", "sindico": "síndico", "indigena": "indígena"}


class TipoCasilla(StrEnum):
    BASICA = "B"
    CONTIGUA = "C"
    EXTRAORDINARIA = "E"
    ESPECIAL = "S"
    EXTRANJERO = "M"
    PRISION_PREVENTIVA = "P"
    PRISION_VOTO = "V"
    VOTO_ANTICIPADO = "A"
    URNA_ELECTRONICA = "U"


SIN_SECCION: Final = frozenset(
    {TipoCasilla.EXTRANJERO, TipoCasilla.PRISION_PREVENTIVA, TipoCasilla.PRISION_VOTO, TipoCasilla.VOTO_ANTICIPADO}
)
"""Casillas of these types may have no sección."""


class Ambito(StrEnum):
    FEDERAL = "federal"
    LOCAL = "local"


class _Word(str):
    """A word that names a kind of place: small letters, digits and underscores. Raises ValueError for another text."""

    __slots__ = ()

    def __new__(cls, word: str) -> Self:
        if len(word) > _LONGEST_KIND or not _KIND.fullmatch(word):
            raise ValueError(
                f"«{word[:40]}» no es un tipo de territorio: letras minúsculas sin acento, cifras y guiones bajos"
            )
        return super().__new__(cls, word)


class TerritoryKind(_Word):
    """A kind of territory. The catalogue may state others than these four: junta_municipal, comunidad, demarcacion."""

    __slots__ = ()
    # Declared here, made below: a class cannot make members of itself.
    ENTIDAD: ClassVar["TerritoryKind"]
    DISTRITO_FEDERAL: ClassVar["TerritoryKind"]
    DISTRITO_LOCAL: ClassVar["TerritoryKind"]
    MUNICIPIO: ClassVar["TerritoryKind"]

    def __new__(cls, word: str) -> Self:
        if word in {"pais", "distrito"}:
            raise ValueError(f"«{word}» es un nivel y no un tipo de territorio")
        return super().__new__(cls, word)

    @property
    def words(self) -> str:
        """As people read it: «junta municipal», «demarcación»."""
        return " ".join(_ACCENTS.get(word) or _ENDING.sub("ó", word) for word in self.split("_"))


TerritoryKind.ENTIDAD = TerritoryKind("entidad")
TerritoryKind.DISTRITO_FEDERAL = TerritoryKind("distrito_federal")
TerritoryKind.DISTRITO_LOCAL = TerritoryKind("distrito_local")
TerritoryKind.MUNICIPIO = TerritoryKind("municipio")

DISTRITOS: Final = frozenset({TerritoryKind.DISTRITO_FEDERAL, TerritoryKind.DISTRITO_LOCAL})


class Nivel(_Word):
    """The place that elects an office: the country, an entidad, a distrito, or each territory of the kind so named.

    The distritos are those of the election's ámbito, so the name of one of their two kinds is no nivel.
    """

    __slots__ = ()
    PAIS: ClassVar["Nivel"]
    ENTIDAD: ClassVar["Nivel"]
    DISTRITO: ClassVar["Nivel"]
    MUNICIPIO: ClassVar["Nivel"]

    def __new__(cls, word: str) -> Self:
        if word in DISTRITOS:
            raise ValueError(f"«{word}» no es un nivel: el de los distritos es distrito")
        return super().__new__(cls, word)


Nivel.PAIS, Nivel.ENTIDAD = Nivel("pais"), Nivel("entidad")
Nivel.DISTRITO, Nivel.MUNICIPIO = Nivel("distrito"), Nivel("municipio")


def district_kind(ambito: Ambito) -> TerritoryKind:
    """The distritos of an election: federal or local ones."""
    return TerritoryKind.DISTRITO_FEDERAL if ambito is Ambito.FEDERAL else TerritoryKind.DISTRITO_LOCAL


def electing_kind(nivel: Nivel, ambito: Ambito) -> TerritoryKind | None:
    """The kind of territory of a contest; None if a contest is a whole entidad or the country."""
    if nivel in {Nivel.PAIS, Nivel.ENTIDAD}:
        return None
    return district_kind(ambito) if nivel == Nivel.DISTRITO else TerritoryKind(nivel)


class Clase(StrEnum):
    """The kind of a row of the ballot."""

    PARTIDO = "partido"
    COALICION = "coalicion"
    COMUN = "comun"
    INDEPENDIENTE = "independiente"
    NO_REGISTRADAS = "no_registradas"
    NULOS = "nulos"


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the ballot, which is also one column of the official file. `position` is unique; names may repeat."""

    position: int
    code: str
    """The column's name in the official file, for example PAN or PAN-PRI-PRD."""
    clase: Clase
    parties: tuple[int, ...] = ()
    """For a coalition combination: the positions of its parties, in ballot order."""
    name: str = ""
    colour: str = ""
    """As #RRGGBB; blank if the catalogue states none."""
    emblem: str = ""
    """Name of the emblem's file."""


@dataclass(frozen=True, slots=True)
class Candidacy:
    """A candidate (and the substitute) and all options whose votes count for them.

    Two candidacies may have the same names. Their place in `Catalog.candidacies` tells them apart.
    """

    contest: ContestId
    options: tuple[int, ...]
    propietario: str
    suplente: str = ""


@dataclass(frozen=True)
class Election:
    """One office that people vote for on this night, in one contest or in many."""

    id: ElectionId
    code: str
    """Short name in file names and addresses: SEN_FED, DIP_LOC, GOB."""
    title: str
    year: int
    ambito: Ambito
    nivel: Nivel
    rules: str
    """The rule set as `rules.rule_set` takes it: the name of a known one, or the JSON of the election's own."""
    candidatura: str
    """The `tipo_candidatura` field of the QR."""
    options: tuple[Option, ...]

    @property
    def territory(self) -> TerritoryKind | None:
        """The kind of territory of its contests; None if a contest is a whole entidad or the country."""
        return electing_kind(self.nivel, self.ambito)

    @cached_property
    def codes(self) -> tuple[str, ...]:
        return tuple(option.code for option in self.options)


@dataclass(frozen=True, slots=True)
class Territory:
    kind: TerritoryKind
    entidad: int
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Contest:
    """One place that elects one office.

    If the place is a whole entidad, or the country (entidad 0), `territory` is 0.
    """

    id: ContestId
    election: ElectionId
    entidad: int
    territory: int
    name: str
    ballot: tuple[int, ...]
    """Positions of the options on this contest's ballot, in the printed order."""
    votes_per_ballot: int = 1
    """Number of votes on one ballot: several in a judicial election (`docs/rules.md` §4)."""


@dataclass(frozen=True, slots=True)
class CatalogSite:
    """A place where people or devices work: a CATD or a CCV."""

    code: str
    name: str = ""


class Casilla(NamedTuple):
    """One polling station. A tuple, like `Acta`, to save memory: a national catalogue holds 680,000 of the two."""

    id: CasillaId
    entidad: int
    distrito_federal: int
    """0 if the casilla belongs to no distrito (foreign vote)."""
    distrito_local: int
    municipio: int
    seccion: int
    """0 if the casilla belongs to no sección."""
    tipo: TipoCasilla
    numero: int
    ext_contigua: int
    ubicacion: int
    lugar: str = ""
    """Name of the place, for example a school. Blank if the catalogue states none, like the address."""
    direccion: str = ""

    @property
    def clave(self) -> str:
        """CLAVE_CASILLA without its apostrophes: entidad(2) sección(4) tipo(1) id(2) ext_contigua(2)."""
        return f"{self.entidad:02}{self.seccion:04}{self.tipo}{self.numero:02}{self.ext_contigua:02}"

    def distrito(self, ambito: Ambito) -> int:
        return self.distrito_federal if ambito is Ambito.FEDERAL else self.distrito_local


class Acta(NamedTuple):
    """One expected tally sheet, of one casilla and one election."""

    id: ActaId
    election: ElectionId
    contest: ContestId
    casilla: CasillaId
    clave: str
    tipo_acta: str
    qr: str
    """The text of its QR sticker, without the digest. An image finds its acta by this text."""
    lista_nominal: int
    representantes: int
    boletas_maximas: int | None
    """The limit of votes if `lista_nominal` is 0. None: the catalogue states no limit."""
    digitos: int
    """Number of digit boxes for each quantity on this form."""
    orden: int
    """Its row in the official file of its election, from 0."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The acta that an image shows, according to a QR sticker or to two people (`docs/rules.md` §7).

    The texts are as they were read. The catalogue may not contain such an acta.
    """

    entidad: str
    distrito: str
    tipo_acta: str
    seccion: str
    numero: str
    tipo: str
    ext_contigua: str
    candidatura: str

    @property
    def text(self) -> str:
        """The canonical QR text. If it equals an `Acta.qr`, this is that acta."""
        return "|".join(
            (
                self.entidad,
                self.distrito,
                self.tipo_acta,
                self.seccion,
                self.numero,
                self.tipo,
                self.ext_contigua,
                self.candidatura,
            )
        )


QR_FIELDS: Final = 8
QR_LONGEST: Final = 200


def read_identity(text: str) -> tuple[Identity, str | None] | None:
    """The identity in a QR text, and the keyed digest after it (None if the sticker has none).

    Returns None if the text is not that of an acta sticker. Numbers lose their leading zeros and letters become upper
    case, so that two writings of one identity are equal.
    """
    # The text comes from an image that anybody may have made: check its length and characters before any use.
    parts = text.strip().split("|")
    if len(parts) not in {QR_FIELDS, QR_FIELDS + 1} or not text.isascii() or len(text) > QR_LONGEST:
        return None
    fields = [part.strip().upper() for part in parts[:QR_FIELDS]]
    fields = [str(int(field)) if field.isdigit() else field for field in fields]
    # Only letters and numbers: the identity goes into files and pages as it was read.
    if not fields[0].isdigit() or not all(field.isalnum() for field in fields):
        return None
    digest = parts[QR_FIELDS].strip() if len(parts) > QR_FIELDS else None
    return Identity(*fields), digest


PUBLISHED_LIST: Final = "SHA256SUMS"
"""Name of the list among the published files of a catalogue."""


@dataclass(frozen=True)
class Catalog:
    """The whole catalogue, checked. Every manifest and the log's first leaf state its `digest`."""

    elections: tuple[Election, ...]
    contests: tuple[Contest, ...]
    territories: tuple[Territory, ...]
    candidacies: tuple[Candidacy, ...]
    casillas: Sequence[Casilla]
    actas: Sequence[Acta]
    published: Mapping[str, bytes]
    """The files, by name, that the published tree brings (`prep/files/catalog_published.py`)."""
    sites: tuple[CatalogSite, ...] = ()
    """The closed list of sites; empty if the catalogue states none, and the list stays as it is."""
    layouts: Mapping[ContestId, FormLayout] = field(default_factory=dict)
    """The layout of the printed form of each contest that the catalogue describes."""
    maps: Mapping[TerritoryKind, TerritoryMap] = field(default_factory=dict)
    """The maps that the catalogue brings, drawn."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the list of the published files, which holds the digest of each."""
        return sha256(self.published[PUBLISHED_LIST]).hexdigest()
