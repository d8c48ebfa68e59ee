"""What is expected of a night: elections, contests, ballots, casillas, and one acta for each casilla and election.

Pure values; reading them from an institute's CSV files is `prep/files/catalog_files.py`. `domain.md` §1, §6, §7.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final, NamedTuple, NewType

ElectionId = NewType("ElectionId", int)
ContestId = NewType("ContestId", int)
CasillaId = NewType("CasillaId", int)
ActaId = NewType("ActaId", int)


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
"""Types whose actas may belong to no sección."""


class Ambito(StrEnum):
    FEDERAL = "federal"
    LOCAL = "local"


class Nivel(StrEnum):
    """Where the office is elected: one contest for each territory of this kind."""

    PAIS = "pais"
    ENTIDAD = "entidad"
    DISTRITO = "distrito"
    MUNICIPIO = "municipio"


class TerritoryKind(StrEnum):
    ENTIDAD = "entidad"
    DISTRITO_FEDERAL = "distrito_federal"
    DISTRITO_LOCAL = "distrito_local"
    MUNICIPIO = "municipio"


class Clase(StrEnum):
    """What a row of the ballot is."""

    PARTIDO = "partido"
    COALICION = "coalicion"
    COMUN = "comun"
    INDEPENDIENTE = "independiente"
    NO_REGISTRADAS = "no_registradas"
    NULOS = "nulos"


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the ballot and one column of the official file. `position` tells it from others of the same name."""

    position: int
    code: str
    """The column's name in the official file, as PAN or PAN-PRI-PRD."""
    clase: Clase
    parties: tuple[int, ...] = ()
    """For a coalition combination: the positions of its parties, in ballot order."""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Candidacy:
    """People on the ballot together with every option that counts for them; told from namesakes by its place here."""

    contest: ContestId
    options: tuple[int, ...]
    propietario: str
    suplente: str = ""


@dataclass(frozen=True)
class Election:
    """One office voted on this night, in one or many contests."""

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
    """Where one office is elected. `territory` is 0 where the entidad (or the country, entidad 0) is the contest."""

    id: ContestId
    election: ElectionId
    entidad: int
    territory: int
    name: str
    ballot: tuple[int, ...]
    """Positions of the options printed on this contest's ballot, in order."""
    votes_per_ballot: int = 1
    """How many votes one ballot holds: several in a judicial election (`domain.md` §11)."""


class Casilla(NamedTuple):
    """One polling station. A tuple, as `Acta`: a national catalogue holds 680,000 of the two."""

    id: CasillaId
    entidad: int
    distrito_federal: int
    """0 where the casilla belongs to none (foreign vote)."""
    distrito_local: int
    municipio: int
    seccion: int
    """0 where the casilla belongs to no sección."""
    tipo: TipoCasilla
    numero: int
    ext_contigua: int
    ubicacion: int

    @property
    def clave(self) -> str:
        """CLAVE_CASILLA without its apostrophes: entidad(2) sección(4) tipo(1) id(2) ext_contigua(2)."""
        return f"{self.entidad:02}{self.seccion:04}{self.tipo}{self.numero:02}{self.ext_contigua:02}"

    def distrito(self, ambito: Ambito) -> int:
        return self.distrito_federal if ambito is Ambito.FEDERAL else self.distrito_local


class Acta(NamedTuple):
    """One expected tally sheet: one casilla, one election."""

    id: ActaId
    election: ElectionId
    contest: ContestId
    casilla: CasillaId
    clave: str
    tipo_acta: str
    qr: str
    """The text of its QR sticker without any digest: the natural key by which an image is tied to its acta."""
    lista_nominal: int
    representantes: int
    boletas_maximas: int | None
    """The limit where `lista_nominal` is 0; None where the catalogue states none."""
    digitos: int
    """Digit boxes per quantity on this form."""
    orden: int
    """Its row in the official file of its election, from 0."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a QR sticker, or two people, say an acta is (`domain.md` §7). Text as read; nothing here is trusted."""

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
        """The canonical QR text, comparable with `Acta.qr`."""
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
    """The identity in a QR text, and the keyed digest behind it where there is one.

    None where the text is no acta sticker. Numbers are compared unpadded, letters in upper case.
    """
    parts = text.strip().split("|")
    if len(parts) not in {QR_FIELDS, QR_FIELDS + 1} or not text.isascii() or len(text) > QR_LONGEST:
        return None
    fields = [part.strip().upper() for part in parts[:QR_FIELDS]]
    fields = [str(int(field)) if field.isdigit() else field for field in fields]
    if not fields[0].isdigit() or not all(field.isalnum() for field in fields):
        return None
    digest = parts[QR_FIELDS].strip() if len(parts) > QR_FIELDS else None
    return Identity(*fields), digest


@dataclass(frozen=True)
class Catalog:
    """The validated whole. `digest` is the SHA-256 over its source files and goes into every manifest."""

    elections: tuple[Election, ...]
    contests: tuple[Contest, ...]
    territories: tuple[Territory, ...]
    candidacies: tuple[Candidacy, ...]
    casillas: Sequence[Casilla]
    actas: Sequence[Acta]
    digest: str
