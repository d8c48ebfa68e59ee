"""noche.toml: the declaration of the night, as a person writes it in the folder of the catalogue.

`read_night_file` reads it and says all that is wrong at once; `night_file` writes it, with an explanation of each line.
"""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from prep.domain.night import CENTRO, LONGEST, ZONES, Institute, Night, logo_name
from prep.domain.rules import read_toml
from prep.errors import Rejected, reason_of

NAME: Final = "noche.toml"
_TOP: Final = frozenset(
    {"simulacro", "ensayo", "siglas", "zona", "inicio", "fin", "intervalo_segundos", "cierra_al_completar"}
    | {"puesta_en_ceros", "instituto", "bitacora"}
)
_REQUIRED: Final = ("simulacro", "siglas")
_INSTITUTE: Final = frozenset({"nombre", "logo", "colores"})
_LOG: Final = frozenset({"origen", "politica"})


def read_night_file(folder: Path) -> tuple[Night, bytes | None]:
    """The night that `folder`/noche.toml declares, and the bytes of its logo. Raises Rejected, one sentence."""
    path = folder / NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise Rejected(f"no hay {path}: «prep night init {folder} --template» escribe uno con explicaciones") from None
    except OSError:
        raise Rejected(f"no se puede leer {path}") from None
    try:
        return _night_of(read_toml(data), folder)
    except ValueError as error:
        raise Rejected(f"{path}: {error}") from None


def _night_of(held: dict[str, Any], folder: Path) -> tuple[Night, bytes | None]:
    institute, log = held.get("instituto", {}), held.get("bitacora", {})
    for name, part, known in (("", held, _TOP), ("instituto.", institute, _INSTITUTE), ("bitacora.", log, _LOG)):
        if not isinstance(part, dict):
            raise ValueError(f"{name.rstrip('.')}: se espera una tabla, [{name.rstrip('.')}]")  # noqa: TRY004  # of a file
        # A misspelled line would leave its usual value in force, and nobody would see it.
        if unknown := sorted(part.keys() - known):
            raise ValueError(f"{name}{unknown[0][:40]}: no es de esta declaración; son: {', '.join(sorted(known))}")
    if missing := [name for name in _REQUIRED if name not in held]:
        raise ValueError(f"{missing[0]}: falta")
    logo = _beside(folder, _typed(institute, "logo", str, "instituto.", ""))
    if logo is not None:
        logo_name(logo)
    policy = _beside(folder, _typed(log, "politica", str, "bitacora.", ""))
    night = Night(
        siglas=_typed(held, "siglas", str),
        start=_moment(held, "inicio"),
        end=_moment(held, "fin"),
        simulacro=_typed(held, "simulacro", bool),
        ensayo=_typed(held, "ensayo", bool, otherwise=False),
        interval=_seconds(held.get("intervalo_segundos", 300)),
        zone=_typed(held, "zona", str, otherwise=CENTRO),
        institute=Institute(
            _typed(institute, "nombre", str, "instituto.", ""),
            hashlib.sha256(logo).hexdigest() if logo else "",
            tuple(str(each).upper() for each in _typed(institute, "colores", list, "instituto.", [])),
        ),
        close_when_complete=_typed(held, "cierra_al_completar", bool, otherwise=True),
        ceremony=_typed(held, "puesta_en_ceros", bool, otherwise=True),
        origin=_typed(log, "origen", str, "bitacora.", "prep.invalid/bitacora"),
        policy=_policy_text(policy) if policy else None,
    )
    return night, logo


def _policy_text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("bitacora.politica: el archivo no está en UTF-8") from None


def _typed(held: Mapping[str, Any], name: str, kind: type, before: str = "", otherwise: object = None) -> Any:  # noqa: ANN401  # it is what `kind` says
    value = held.get(name, otherwise)
    if type(value) is not kind:
        raise ValueError(f"{before}{name}: se espera {_WORDS[kind]}")
    return value


_WORDS: Final = {str: "un texto entre comillas", bool: "true o false", list: "una lista"}


def _moment(held: Mapping[str, Any], name: str) -> datetime | None:
    value = held.get(name)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = date.min
    if value is not None and not isinstance(value, datetime):
        raise ValueError(f"{name}: se espera una fecha con hora y desfase, como 2027-06-06T20:00:00-06:00")
    return value


def _seconds(value: object) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST.total_seconds():
        raise ValueError("intervalo_segundos: se espera un número mayor que cero")
    return timedelta(milliseconds=round(value * 1000))


def _beside(folder: Path, name: str) -> bytes | None:
    """The bytes of a file that lies beside noche.toml; None without a name."""
    if not name:
        return None
    if Path(name).name != name or not name.isprintable():
        raise ValueError(f"{name}: se espera el nombre de un archivo de la misma carpeta")
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise ValueError(f"no se puede leer {folder / name}: {reason_of(error)}") from None


def sample_night_file(now: datetime) -> str:
    """A sample of noche.toml with explanations, for the first Sunday of June that is a month ahead of `now`."""
    ahead = (now + timedelta(days=30)).date()
    for year in (ahead.year, ahead.year + 1):
        first = next(date(year, 6, day) for day in range(1, 8) if date(year, 6, day).weekday() == _SUNDAY)
        if first >= ahead:
            break
    return _SAMPLE.replace("{inicio}", f"{first}T20:00:00-06:00").replace(
        "{fin}", f"{first + timedelta(days=1)}T20:00:00-06:00"
    )


def night_file(night: Night) -> str:
    """The text of noche.toml that declares `night`, without its institute and its policy."""
    lines = [
        f"simulacro = {_toml(night.simulacro)}",
        f"ensayo = {_toml(night.ensayo)}",
        f'siglas = "{night.siglas}"',
        f'zona = "{night.zone}"',
        *([f"inicio = {night.start.isoformat()}"] if night.start else []),
        *([f"fin = {night.end.isoformat()}"] if night.end else []),
        f"intervalo_segundos = {night.interval.total_seconds():g}",
        f"cierra_al_completar = {_toml(night.close_when_complete)}",
        f"puesta_en_ceros = {_toml(night.ceremony)}",
        "[bitacora]",
        f'origen = "{night.origin}"',
    ]
    return "\n".join(lines) + "\n"


def _toml(value: bool) -> str:  # noqa: FBT001
    return "true" if value else "false"


_SUNDAY: Final = 6
_SAMPLE: Final = f"""\
# La noche, declarada una vez. «prep night check CARPETA» la dice en palabras; «prep night init CARPETA» la carga con
# el catálogo. Su huella va en cada manifiesto y en la primera hoja de la bitácora: desde entonces ya no cambia.

# true: un simulacro, que se puede repetir con «prep night reset». false: la noche real, que no se puede repetir.
simulacro = true

# Las siglas de la entidad, en los nombres de los archivos: de 2 a 10 letras mayúsculas.
siglas = "EJ"

# La zona horaria de la entidad. Se admiten: {", ".join(ZONES)}.
zona = "{CENTRO}"

# El primer corte con datos y el último, siempre con su desfase, que es el de la zona en ese día.
inicio = {{inicio}}
fin = {{fin}}

# Cada cuánto sale un corte. *Verifique su norma*: al menos tres por hora.
intervalo_segundos = 300

# El último corte sale antes del fin si todas las actas están capturadas.
cierra_al_completar = true

# El corte 0 sale en la puesta en ceros («prep zero»), ante quien da fe. Hasta entonces no entra ninguna imagen.
puesta_en_ceros = true

# Solo un simulacro puede ser de ensayo: admite horas que ya pasaron, o ninguna, y no llevar puesta en ceros.
ensayo = false

[instituto]
nombre = "Instituto Electoral de Ejemplo"
# El logo es un archivo de esta misma carpeta, SVG o PNG, de hasta 100 kB; los colores, como #1A7F37. Pueden faltar.
# logo = "logo.svg"
colores = ["#1A7F37"]

[bitacora]
# El nombre de la bitácora: un dominio del instituto y una ruta. La de un simulacro lleva /simulacro detrás.
origen = "prep.ejemplo.mx/bitacora"
# La política C2SP con los testigos: un archivo de esta misma carpeta. Si falta, la bitácora no tiene testigos.
# politica = "politica.txt"
"""
