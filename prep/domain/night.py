"""One night, declared once: what it is, who runs it, when it begins and ends, how often it publishes, and its log.

A `Night` that contradicts itself does not exist: its constructor raises ValueError. `content` is its published form;
the digest of that form stands in every manifest and in the first leaf of the log. `obstacles` are the reasons why a
person may not declare it now; `timetable` says it in words, so that a person can confirm it. Machines have their own
settings (`PREP_*`), and none of them says anything about the night.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from types import MappingProxyType
from typing import Any, Final

from prep.domain.hours import zone_of_night

FORMAT: Final = 1
LONGEST: Final = timedelta(hours=24)
"""A PREP runs at most this long (`docs/rules.md` §8)."""
LONGEST_INTERVAL: Final = timedelta(minutes=20)
"""*Check:* at least three cortes an hour on the real night."""
CENTRO: Final = "America/Mexico_City"
ZONES: Final[Mapping[str, str]] = MappingProxyType(
    {
        CENTRO: "del centro",
        "America/Monterrey": "del centro",
        "America/Merida": "del centro",
        "America/Bahia_Banderas": "del centro",
        "America/Chihuahua": "del centro",
        "America/Matamoros": "de la frontera de Tamaulipas, Nuevo León y Coahuila",
        "America/Ojinaga": "de Ojinaga",
        "America/Ciudad_Juarez": "de Ciudad Juárez",
        "America/Cancun": "del sureste",
        "America/Mazatlan": "del Pacífico",
        "America/Hermosillo": "del Pacífico",
        "America/Tijuana": "del noroeste",
    }
)
"""The time zones of Mexico, and what people call their hour."""
_CENTRAL: Final = frozenset({CENTRO, "America/Monterrey", "America/Merida"})
_OF_ENTIDAD: Final[Mapping[int, frozenset[str]]] = MappingProxyType(
    {
        2: frozenset({"America/Tijuana"}),
        3: frozenset({"America/Mazatlan"}),
        5: _CENTRAL | {"America/Matamoros"},
        8: _CENTRAL | {"America/Chihuahua", "America/Ojinaga", "America/Ciudad_Juarez"},
        18: frozenset({"America/Mazatlan", "America/Bahia_Banderas"}),
        19: _CENTRAL | {"America/Matamoros"},
        23: frozenset({"America/Cancun"}),
        25: frozenset({"America/Mazatlan"}),
        26: frozenset({"America/Hermosillo"}),
        28: _CENTRAL | {"America/Matamoros"},
    }
)
"""Entidad → its zones, if they are not those of the centre."""
_ENTIDADES: Final = range(1, 33)
_LONGEST_NAME: Final = 200
_YEARS: Final = range(2000, 2100)
"""The years that later readers print and read, on every day of the year and in every zone."""
_SIGLAS: Final = re.compile("[A-Z]{2,10}")
_ORIGIN: Final = re.compile(r"[^\s+]{1,200}")
_COLOUR: Final = re.compile("#[0-9A-F]{6}")
_DAYS: Final = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")
_MONTHS: Final = (
    *("enero", "febrero", "marzo", "abril", "mayo", "junio"),
    *("julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
)
_REHEARSAL: Final = "/simulacro"


LARGEST_LOGO: Final = 100_000
"""Bytes: every page shows it, also on a slow telephone."""


def logo_name(content: bytes) -> str:
    """The name under which a logo is published, by its first bytes. Raises ValueError for what pages do not show."""
    if len(content) > LARGEST_LOGO:
        raise ValueError(f"instituto.logo: son {len(content):,} bytes; lo más son {LARGEST_LOGO:,}")
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "logo.png"
    if content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"<svg", b"<?xml")) and b"<svg" in content:
        return "logo.svg"
    raise ValueError("instituto.logo: se espera un archivo SVG o PNG")


@dataclass(frozen=True, slots=True)
class Institute:
    """The institute that runs the night, as its pages show it."""

    nombre: str = ""
    logo: str = ""
    """SHA-256 of its file, hex; "" if there is none."""
    colores: tuple[str, ...] = ()
    """As `#RRGGBB`."""


@dataclass(frozen=True, slots=True)
class Night:
    """The declaration of a night. Every moment has an offset; the constructor raises ValueError if it could not be."""

    siglas: str
    """The state's abbreviation in official file names."""
    start: datetime | None
    """First corte with data; None (only in a test): the moment at which corte 0 was cut."""
    end: datetime | None
    """The last corte is cut at this moment at the latest; None only if `start` is: 24 h after corte 0."""
    simulacro: bool = True
    ensayo: bool = False
    """A night of a test: it may begin in the past, or at any moment, and without a ceremony. Never a real night."""
    interval: timedelta = timedelta(minutes=5)
    """Time between cortes."""
    zone: str = CENTRO
    institute: Institute = Institute()
    close_when_complete: bool = True
    """Cut the last corte once all actas are captured and the queues are empty (*check*, `docs/rules.md` §8)."""
    ceremony: bool = True
    """Corte 0 waits for `prep zero`, which cuts it in front of people; False: the publisher cuts it when it starts."""
    origin: str = "prep.invalid/bitacora"
    """Name of the log: a domain of the institute's and a path. A simulacro's has more behind (`log_name`)."""
    policy: str | None = field(default=None, repr=False)
    """The text of politica.txt (C2SP): the log's key, its witnesses, their quorum; None: no witnesses."""

    def __post_init__(self) -> None:
        if wrong := next(_contradictions(self), None):
            raise ValueError(wrong)

    @property
    def log_name(self) -> str:
        """The origin in the checkpoints of this night's log."""
        return f"{self.origin}{_REHEARSAL}" if self.simulacro else self.origin

    @property
    def tz(self) -> tzinfo:
        return zone_of_night(self.zone)

    @property
    def content(self) -> dict[str, Any]:
        """The published form: integers, texts, booleans and null. The policy stands in it by its digest."""
        return {
            "formato": FORMAT,
            "simulacro": self.simulacro,
            "ensayo": self.ensayo,
            "siglas": self.siglas,
            "instituto": {
                "nombre": self.institute.nombre,
                "logo": self.institute.logo or None,
                "colores": list(self.institute.colores),
            },
            "zona": self.zone,
            "inicio": None if self.start is None else _iso_moment(self.start, self.tz),
            "fin": None if self.end is None else _iso_moment(self.end, self.tz),
            "intervalo_ms": round(self.interval / timedelta(milliseconds=1)),
            "cierra_al_completar": self.close_when_complete,
            "puesta_en_ceros": self.ceremony,
            "bitacora": {
                "origen": self.origin,
                "politica": None if self.policy is None else hashlib.sha256(self.policy.encode()).hexdigest(),
            },
        }

    @property
    def text(self) -> str:
        """`content` as canonical JSON: the bytes that the digest is of."""
        return json.dumps(self.content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 of `text`, hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def hours(self) -> tuple[datetime, datetime] | None:
        """The first and the last moment at which an acta can be taken in: from the start of the day to the end.

        None if the night has no hours of its own, or plays those of another one.
        """
        if self.start is None or self.end is None or self.ensayo:
            return None
        day = datetime.combine(self.start.astimezone(self.tz), time(), self.tz)
        return day.astimezone(UTC), self.end.astimezone(UTC)


def read_night(text: str, policy: str | None) -> Night:
    """The night of a published form, as `Night.text` wrote it, and its policy.

    Raises ValueError for another text.
    """
    try:
        held = json.loads(text)
        night = Night(
            siglas=held["siglas"],
            start=_moment_of(held["inicio"]),
            end=_moment_of(held["fin"]),
            simulacro=held["simulacro"],
            ensayo=held["ensayo"],
            interval=timedelta(milliseconds=held["intervalo_ms"]),
            zone=held["zona"],
            institute=Institute(
                held["instituto"]["nombre"], held["instituto"]["logo"] or "", tuple(held["instituto"]["colores"])
            ),
            close_when_complete=held["cierra_al_completar"],
            ceremony=held["puesta_en_ceros"],
            origin=held["bitacora"]["origen"],
            policy=policy,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no es una declaración: {error}") from error
    if night.text != text:
        raise ValueError("la declaración no es la que dice su texto")
    return night


def differences(ours: Night, theirs: Night) -> list[str]:
    """One phrase for each thing that two declarations say differently."""
    one, other = _flat(ours.content), _flat(theirs.content)
    return [f"{name}: {_said(one[name])}, no {_said(other[name])}" for name in one if one[name] != other[name]]


def obstacles(night: Night, entidades: Collection[int], now: datetime) -> list[str]:
    """The reasons why this night cannot be declared at this moment, one sentence each. `entidades` of its catalogue."""
    return list(_obstacles(night, entidades, now))


def missed(night: Night, now: datetime) -> str | None:
    """The sentence of a night that is over before its corte 0; None if corte 0 can be cut at this moment."""
    if night.ensayo or night.end is None or now < night.end:
        return None
    return f"la noche terminó {in_words(night.end, night.tz)}, y el corte 0 no había salido: ya no se puede publicar"


def is_late(night: Night, now: datetime) -> bool:
    """Whether the start has passed. If there is no corte 0 then, the night is late."""
    return night.start is not None and not night.ensayo and now >= night.start


def in_words(at: datetime, zone: tzinfo) -> str:
    """As in: el domingo 6 de junio de 2027 a las 20:00."""
    local = at.astimezone(zone)
    clock = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
    day = f"{_DAYS[local.weekday()]} {local.day} de {_MONTHS[local.month - 1]} de {local.year}"
    return f"el {day} a {'la' if local.hour == 1 else 'las'} {clock}"


def zone_in_words(night: Night) -> str:
    """As in: hora del centro, hora del Pacífico."""
    return f"hora {ZONES[night.zone]}"


def timetable(night: Night, place: str = "") -> list[str]:
    """The declaration in words, for a person to confirm. `place` is the name of the state; "" if there are several."""
    zone = f"hora de {place}" if place else zone_in_words(night)
    kind = "SIMULACRO: sus números no son de ninguna elección" if night.simulacro else "NOCHE REAL"
    lines = [kind, f"siglas {night.siglas}, bitácora {night.log_name}"]
    lines += [f"instituto: {night.institute.nombre}"] if night.institute.nombre else []
    if night.ensayo:
        lines.append("noche de ensayo: admite horas que ya pasaron")
    if night.start is None or night.end is None:
        lines.append("empieza en cuanto se publica el corte 0, y termina 24 horas después")
    else:
        lines.append(f"empieza {in_words(night.start, night.tz)}, {zone}")
        lines.append(f"termina {in_words(night.end, night.tz)}, {_span(night.end - night.start)} después")
    lines.append(f"un corte cada {_span(night.interval)}")
    if night.interval > LONGEST_INTERVAL:
        lines.append("aviso: son menos de tres cortes por hora")
    lines.append(
        "el corte 0 sale con «prep zero», en la puesta en ceros; hasta entonces no entra ninguna imagen"
        if night.ceremony
        else "el corte 0 sale solo, al arrancar el publicador, sin puesta en ceros"
    )
    if night.close_when_complete:
        lines.append("cierra antes si todas las actas están capturadas")
    return lines


def _contradictions(night: Night) -> Iterator[str]:
    for name, at in (("inicio", night.start), ("fin", night.end)):
        if at is not None and at.utcoffset() is None:
            yield f"{name}: le falta su desfase, como en 2027-06-06T20:00:00-06:00"
            return
        if at is not None and not {at.year - 1, at.year + 1} <= {*_YEARS}:
            yield f"{name}: se espera un año de {_YEARS[1]} a {_YEARS[-2]}"
            return
    if _SIGLAS.fullmatch(night.siglas) is None:
        yield "siglas: se esperan de 2 a 10 letras mayúsculas, como EJ"
    if night.zone not in ZONES:
        yield f"zona: se espera una de {', '.join(ZONES)}"
        return
    try:
        _ = night.tz
    except ValueError as unknown:
        yield f"zona: {unknown}"
    if any(_COLOUR.fullmatch(each) is None for each in night.institute.colores):
        yield "instituto.colores: se esperan colores como #1A7F37"
    nombre = night.institute.nombre
    if len(nombre) > _LONGEST_NAME or not nombre.isprintable() or nombre != nombre.strip():
        yield f"instituto.nombre: se espera un renglón de hasta {_LONGEST_NAME} letras, sin ninguna que no se vea"
    if _ORIGIN.fullmatch(night.origin) is None or not night.origin.isprintable() or night.origin.endswith(_REHEARSAL):
        yield "bitacora.origen: se espera un dominio y una ruta, como prep.ejemplo.mx/bitacora"
    yield from _wrong_hours(night)
    yield from _wrong_kind(night)


def _wrong_hours(night: Night) -> Iterator[str]:
    if (night.start is None) != (night.end is None):
        yield "inicio y fin van juntos"
    if night.start is not None and night.end is not None:
        if night.end <= night.start:
            yield "fin: es anterior al inicio"
        elif night.end - night.start > LONGEST:
            yield "fin: es más de 24 horas después del inicio"
    elif not night.ensayo:
        yield "inicio y fin: faltan; solo una noche de ensayo puede no tenerlos"
    if night.interval <= timedelta() or night.interval % timedelta(milliseconds=1):
        yield "intervalo_segundos: se espera un número mayor que cero, con milésimas a lo más"


def _wrong_kind(night: Night) -> Iterator[str]:
    if not night.simulacro:
        if night.ensayo:
            yield "ensayo: una noche real no puede ser un ensayo"
        if not night.ceremony:
            yield "puesta_en_ceros: una noche real la lleva siempre"
        if night.origin.split("/")[0].endswith(".invalid"):
            yield "bitacora.origen: una noche real lleva un dominio del instituto"
    elif not night.ceremony and not night.ensayo:
        yield "puesta_en_ceros: solo una noche de ensayo puede no llevarla"


def _obstacles(night: Night, entidades: Collection[int], now: datetime) -> Iterator[str]:
    if night.ensayo:
        return
    assert night.start is not None
    assert night.end is not None
    if night.end <= now:
        yield f"fin: {in_words(night.end, night.tz)} ya pasó"
    elif night.start <= now:
        yield f"inicio: {in_words(night.start, night.tz)} ya pasó"
    real = [each for each in entidades if each in _ENTIDADES]
    allowed = frozenset(ZONES) if not real else frozenset({CENTRO}) if len(real) > 1 else _zones_of(real[0])
    if night.zone not in allowed:
        yield f"zona: {night.zone} no es la de esta elección; es una de {', '.join(sorted(allowed))}"
    # A start that was written with the offset of another state is the hour of another state.
    for name, at in (("inicio", night.start), ("fin", night.end)):
        there = at.astimezone(night.tz).utcoffset()
        if at.utcoffset() != there:
            yield f"{name}: su desfase es {_offset(at.utcoffset())}, y en {night.zone} ese día es {_offset(there)}"


def _zones_of(entidad: int) -> frozenset[str]:
    return _OF_ENTIDAD.get(entidad, _CENTRAL)


def _offset(away: timedelta | None) -> str:
    minutes = (away or timedelta()) // timedelta(minutes=1)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _span(length: timedelta) -> str:
    """24 horas, 5 minutos, 90 segundos."""
    for unit, name in ((timedelta(hours=1), "hora"), (timedelta(minutes=1), "minuto")):
        if length >= unit and not length % unit:
            return f"{length // unit} {name}{'' if length == unit else 's'}"
    return f"{length / timedelta(seconds=1):g} segundos"


def _iso_moment(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).isoformat(timespec="milliseconds" if at.microsecond else "seconds")


def _moment_of(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _flat(content: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in content.items():
        flat |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return flat


def _said(value: object) -> str:
    if value is None or value in ("", []):
        return "nada"
    if isinstance(value, bool):
        return "sí" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
