"""The columns of the official file, and the text of the cells of one acta.

The format is Anexo 18.5 as INE published it in 2023 (`docs/rules.md` §6): UTF-8, comma, RFC 4180 quoting. The row of an
acta has three parts: the cells from the catalogue, the quantities that people read (`quantities`), and the provenance
with its consequences (`tail`). The second and the third are written once, when a version is made, and kept with it. A
corte only joins the parts. In a cell, a blank is *Sin dato*, an illegible field is *Ilegible*, and `-` means no data.
"""

import csv
import io
from collections.abc import Container, Iterable, Mapping
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Final

from prep.domain.catalog import DISTRITOS, Election, Identity, TerritoryKind, district_kind
from prep.domain.entry import Field, Mark, Values

NOTHING: Final = "-"
NOWHERE: Final = "N/A"
"""As INE prints it."""

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
"""CONTABILIZADA of an acta that belongs to no approved casilla."""
_NOT_URBAN_NOR_RURAL: Final = 3
"""UBICACION_CASILLA of an acta that belongs to no approved casilla."""

DIGITALIZACION: Final[Mapping[str, str]] = MappingProxyType({"movil": "Móvil", "escaner": "Escáner", "urna": "Urna"})
_FORMULA: Final = ("=", "+", "-", "@")


def territory(election: Election) -> tuple[TerritoryKind, str, str]:
    """The kind of territory that this election's rows name after the entidad, and the names of its two columns."""
    kind = election.territory or district_kind(election.ambito)
    return kind, f"ID_{kind.upper()}", kind.upper()


def columns(election: Election) -> tuple[str, ...]:
    """The names of all columns of this election's file, in order."""
    return (*identity_columns(election), *HEADER, *election.codes, *TOTALS, *LIMIT, *TAIL)


def identity_columns(election: Election) -> tuple[str, ...]:
    """The names of the columns that the catalogue fills, before those that people read."""
    _, number, name = territory(election)
    return (*CASILLA, number, name, *IDENTITY)


def place(entidad: int, name: str, number: int, territory_name: str) -> str:
    """The cells ID_ENTIDAD to the name of the territory. Foreign vote and prisons belong to no district: N/A."""
    return line((entidad, name, f"{number:03}" if number else NOWHERE, territory_name if number else NOWHERE))


def header(election: Election) -> str:
    """The line that names the columns."""
    return line(columns(election))


def line(cells: Iterable[object]) -> str:
    """One line of CSV, without a line end.

    No cell holds a line break, and no spreadsheet takes a cell for a formula.
    """
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([cell(each) for each in cells])
    return out.getvalue()


def cell(value: object) -> str:
    """The text of one cell.

    A text that a spreadsheet would compute gets an apostrophe before it; a single `-` does not.
    """
    # A line break inside a cell would look like a new row to simple readers.
    text = " ".join(str(value).split()) if isinstance(value, str) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) and text != NOTHING else text


def _field_text(field: Field) -> str:
    return WORDS[field] if isinstance(field, Mark) else str(field)


def quantities(values: Values, calculado: int) -> str:
    """The cells TOTAL_BOLETAS_SOBRANTES to TOTAL_VOTOS_CALCULADO of a captured acta."""
    return line([*(_field_text(field) for field in values.fields), calculado])


def quantities_sin_acta(options: int, ballot: Container[int]) -> str:
    """The same cells of an acta that will not arrive.

    `options` is the number of vote columns of the election; `ballot` has the positions of those on the acta's ballot.
    """
    votes = [SIN_ACTA if position in ballot else NOTHING for position in range(options)]
    return line([*[SIN_ACTA] * len(HEADER), *votes, SIN_ACTA, 0])


def quantities_pending(options: int) -> str:
    """The same cells of an acta that has no version yet."""
    return line([NOTHING] * (len(HEADER) + options + len(TOTALS)))


def moment(at: datetime | None, zone: tzinfo) -> str:
    """dd/mm/aaaa HH:MM:SS, in the zone of the night."""
    if at is None:
        return NOTHING
    # In a fifth of the time of `strftime`, which asks the system for its words.
    local = at.astimezone(zone)
    return f"{local.day:02}/{local.month:02}/{local.year} {local.hour:02}:{local.minute:02}:{local.second:02}"


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
    zone: tzinfo,
) -> str:
    """The cells OBSERVACIONES to COTEJADA.

    `image` is the SHA-256 of the original image, or None for a sin acta. `zone` is that of the night.
    """
    return line(
        (
            observations,
            int(contabilizada),
            traslado,
            image or NOTHING,
            moment(acopio_at, zone),
            moment(captura_at, zone),
            moment(verificacion_at, zone),
            origen,
            DIGITALIZACION.get(digitalizacion, digitalizacion),
            tipo_documento,
            int(cotejada),
        )
    )


def tail_pending() -> str:
    """The cells OBSERVACIONES to COTEJADA of an acta that has no version yet."""
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
    """The whole row of an acta that belongs to no approved casilla: its identity as read, and `-` in the other cells.

    `entidad` and `territorio` are the names that belong to the numbers on the sticker, or `-`. A sticker names a
    district. So in an election of another kind of territory the number of the territory is unknown.
    """
    read = identity or Identity(*[NOTHING] * 8)
    # CLAVE_CASILLA and CLAVE_ACTA stay `-`: only the catalogue gives them, and it does not have this acta.
    place = read.distrito if territory(election)[0] in DISTRITOS else NOTHING
    where = (NOTHING, NOTHING, read.entidad, entidad, place, territorio)
    casilla = (read.seccion, read.numero, read.tipo, read.ext_contigua, _NOT_URBAN_NOR_RURAL, read.tipo_acta)
    unknown = [NOTHING] * (len(HEADER) + len(election.options) + len(TOTALS) + len(LIMIT))
    came = (origen, DIGITALIZACION.get(digitalizacion, digitalizacion), NOTHING, NOTHING)
    return line((*where, *casilla, *unknown, observations, FUERA_DE_CATALOGO, *[NOTHING] * 5, *came))
