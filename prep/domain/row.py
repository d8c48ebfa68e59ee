"""The columns of the official file and the cells of one acta in it, as text written once and published as it is.

Anexo 18.5 as INE published it in 2023 (`domain.md` §6): UTF-8, comma, RFC 4180 quoting. An acta's row is three
fragments: what the catalogue says of it, what was read from it (`quantities`), and how it came and what follows from it
(`tail`). The second and third are kept with the version they describe, so a corte only puts fragments together.
A number is a number, a blank is *Sin dato*, an illegible field is *Ilegible*; `-` means that there is nothing to say.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Final

from prep.domain.catalog import Ambito, Election, Identity, Nivel, TerritoryKind
from prep.domain.entry import Field, Mark, Values

CENTRAL: Final = timezone(timedelta(hours=-6))
NOTHING: Final = "-"

CASILLA: Final = ("CLAVE_CASILLA", "CLAVE_ACTA", "ID_ENTIDAD", "ENTIDAD")
IDENTITY: Final = ("SECCION", "ID_CASILLA", "TIPO_CASILLA", "EXT_CONTIGUA", "UBICACION_CASILLA", "TIPO_ACTA")
HEADER: Final = (
    "TOTAL_BOLETAS_SOBRANTES",
    "TOTAL_PERSONAS_VOTARON",
    "TOTAL_REP_PARTIDO_CI_VOTARON",
    "TOTAL_VOTOS_SACADOS",
)
"""In the order of `entry.HEADER`."""
TOTALS: Final = ("TOTAL_VOTOS_ASENTADO", "TOTAL_VOTOS_CALCULADO")
LIMIT: Final = ("LISTA_NOMINAL", "REPRESENTANTES_PP_CI")
TAIL: Final = (
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

WORDS: Final[Mapping[Mark, str]] = MappingProxyType(
    {Mark.ILEGIBLE: "Ilegible", Mark.SIN_DATO: "Sin dato", Mark.NO_EN_BOLETA: NOTHING}
)
SIN_ACTA: Final = "Sin acta"
FUERA_DE_CATALOGO: Final = 2
"""CONTABILIZADA of an acta of no approved casilla."""
_NOT_URBAN_NOR_RURAL: Final = 3
"""UBICACION_CASILLA of the same."""

DIGITALIZACION: Final[Mapping[str, str]] = MappingProxyType({"movil": "Móvil", "escaner": "Escáner", "urna": "Urna"})
_FORMULA: Final = ("=", "+", "-", "@")


def territory(election: Election) -> tuple[TerritoryKind, str, str]:
    """The territory that this election's rows name beside the entidad, and the names of its two columns."""
    if election.nivel is Nivel.MUNICIPIO:
        return TerritoryKind.MUNICIPIO, "ID_MUNICIPIO", "MUNICIPIO"
    if election.ambito is Ambito.FEDERAL:
        return TerritoryKind.DISTRITO_FEDERAL, "ID_DISTRITO_FEDERAL", "DISTRITO_FEDERAL"
    return TerritoryKind.DISTRITO_LOCAL, "ID_DISTRITO_LOCAL", "DISTRITO_LOCAL"


def columns(election: Election) -> tuple[str, ...]:
    """Every column of this election's file, in order."""
    _, number, name = territory(election)
    return (*CASILLA, number, name, *IDENTITY, *HEADER, *election.codes, *TOTALS, *LIMIT, *TAIL)


def header(election: Election) -> str:
    """The line that names the columns."""
    return line(columns(election))


def line(cells: Iterable[object]) -> str:
    """One line of CSV without its end. A cell is one line of text, and never a formula to a spreadsheet."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([cell(each) for each in cells])
    return out.getvalue()


def cell(value: object) -> str:
    """The text of one cell. `-` stays what it is; other text that a spreadsheet would compute gets an apostrophe."""
    text = " ".join(str(value).split()) if isinstance(value, str) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) and text != NOTHING else text


def _read(field: Field) -> str:
    return WORDS[field] if isinstance(field, Mark) else str(field)


def quantities(values: Values, calculado: int) -> str:
    """TOTAL_BOLETAS_SOBRANTES to TOTAL_VOTOS_CALCULADO of an acta that was captured."""
    return line([*(_read(field) for field in values.fields), calculado])


def quantities_sin_acta(options: int) -> str:
    """The same cells of an acta that will not come, in an election with that many vote columns."""
    return line([*[SIN_ACTA] * (len(HEADER) + options + 1), 0])


def quantities_pending(options: int) -> str:
    """The same cells of an acta that is not captured yet."""
    return line([NOTHING] * (len(HEADER) + options + len(TOTALS)))


def moment(at: datetime | None) -> str:
    """dd/mm/aaaa HH:MM:SS, Central time."""
    return NOTHING if at is None else at.astimezone(CENTRAL).strftime("%d/%m/%Y %H:%M:%S")


def tail(
    *,
    observations: str,
    contabilizada: int,
    traslado: str,
    image: str | None,
    acopio_at: datetime | None,
    captura_at: datetime | None,
    verificacion_at: datetime | None,
    origen: str,
    digitalizacion: str,
    tipo_documento: str,
    cotejada: int,
) -> str:
    """OBSERVACIONES to COTEJADA. `image` is the SHA-256 of the original, None where there is no acta."""
    return line(
        (
            observations,
            int(contabilizada),
            traslado,
            image or NOTHING,
            moment(acopio_at),
            moment(captura_at),
            moment(verificacion_at),
            origen,
            DIGITALIZACION.get(digitalizacion, digitalizacion),
            tipo_documento,
            int(cotejada),
        )
    )


def tail_pending() -> str:
    """OBSERVACIONES to COTEJADA of an acta that is not captured yet."""
    return line([NOTHING] * len(TAIL))


def fuera(
    election: Election,
    identity: Identity | None,
    *,
    entidad: str,
    territorio: str,
    observations: str,
    origen: str,
    digitalizacion: str,
) -> str:
    """The whole row of an acta of no approved casilla: its identity as read, everything else `-` (§5).

    `entidad` and `territorio` are the names that belong to what was read, or `-`. A sticker names a district, not a
    municipality: in municipal elections the number of the municipality is not known.
    """
    read = identity or Identity(*[NOTHING] * 8)
    place = NOTHING if election.nivel is Nivel.MUNICIPIO else read.distrito
    where = (NOTHING, NOTHING, read.entidad, entidad, place, territorio)
    casilla = (read.seccion, read.numero, read.tipo, read.ext_contigua, _NOT_URBAN_NOR_RURAL, read.tipo_acta)
    unknown = [NOTHING] * (len(HEADER) + len(election.options) + len(TOTALS) + len(LIMIT))
    came = (origen, DIGITALIZACION.get(digitalizacion, digitalizacion), NOTHING, NOTHING)
    return line((*where, *casilla, *unknown, observations, FUERA_DE_CATALOGO, *[NOTHING] * 5, *came))
