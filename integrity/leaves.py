"""The leaves of a night's log, by kind: written by the sequencer, read by every reader who checks the log.

A leaf is canonical JSON (`strict_json.canonical_json`): `tipo`, `numero` (its own index in the log) and the fields
that `SHAPES` names for its kind. It names devices, actas and digests, never a person.

    inicio     what the night began with, and the digest of its declaration; the first leaf
    software   the list of every file that is deployed, before the night and at its close
    cero       the database, the store and the bus counted and found empty, before the first corte
    imagen     one acknowledged upload, with the device's own number and the digest of that device's leaf before. It
               follows the acknowledgement at once, and never waits until the image has been read
    derivada   a reading of an image: the digests of it and of its smaller copy, which is published; and the acta whose
               sticker the machine read in it, null if it read none of the catalogue
    captura, resolucion, sin_acta, identidad, cotejo
               a salted commitment to the statement of one person, opened after the acta is published (`OPENINGS`)
    version    what counts for an acta: the digest of its cells of the official file
    corte      the digest of its SHA256SUMS
    incidente  an event that observers should know of
    rotacion   the key of a device enrolled later, or of the log
    cierre     the last corte
    perdida    numbers of a device under which no image will ever come, and the reason; two people said so
    acto       the folder of documents that people sign, of the zero and of the close, and the corte that they are of
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

from integrity.strict_json import DIGEST, Json, Later, Maybe, canonical_json, conform, read_json
from integrity.sums import Malformed

LONGEST_ENTRY: Final = 0xFFFF
"""Bytes: the log writes the length of an entry in two bytes."""
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", re.ASCII)
_PHASE: Final = re.compile("cero|en curso|final")
_WHEN: Final = re.compile("inicio|cierre")
_WHOSE: Final = re.compile("dispositivo|bitacora")
_KEYS: Final = {"total": int, "sha256": DIGEST}
NUMBERS: Final = re.compile(r"[1-9]\d{0,17}(-[1-9]\d{0,17})?(,[1-9]\d{0,17}(-[1-9]\d{0,17})?)*", re.ASCII)
"""Numbers of a device, as `5-9,12`."""

SHAPES: Final[Mapping[str, Json]] = MappingProxyType(
    {
        "inicio": {
            "origen": str,
            "simulacro": bool,
            "catalogo": DIGEST,
            "reglas": DIGEST,
            "politica": DIGEST,
            "clave": str,
            "declaracion": Later(DIGEST),
            "dispositivos": _KEYS,
            "fecha_hora": _MOMENT,
        },
        "imagen": {
            "sha256": DIGEST,
            "bytes": int,
            "dispositivo": str,
            "secuencia": int,
            "anterior": Maybe(DIGEST),
            "recibida": _MOMENT,
        },
        "derivada": {"imagen": DIGEST, "sha256": DIGEST, "acta": Maybe(str)},
        "captura": {"compromiso": DIGEST},
        "resolucion": {"compromiso": DIGEST},
        "sin_acta": {"compromiso": DIGEST},
        "identidad": {"compromiso": DIGEST},
        "cotejo": {"compromiso": DIGEST},
        "version": {"eleccion": str, "acta": str, "contenido": DIGEST},
        "corte": {"corte": int, "fase": _PHASE, "sha256sums": DIGEST, "fecha_hora": _MOMENT},
        "incidente": {"clase": str, "asunto": str, "detalle": DIGEST, "fecha_hora": _MOMENT},
        "rotacion": {"de": _WHOSE, "nombre": str, "clave": str, "fecha_hora": _MOMENT},
        "cierre": {"corte": int, "sha256sums": DIGEST},
        "perdida": {"dispositivo": str, "numeros": NUMBERS, "motivo": str, "fecha_hora": _MOMENT},
        "software": {"momento": _WHEN, "lista": DIGEST, "fecha_hora": _MOMENT},
        "cero": {"conteos": DIGEST, "software": Maybe(DIGEST), "fecha_hora": _MOMENT},
        "acto": {"momento": _WHEN, "corte": int, "sha256sums": DIGEST, "documentos": DIGEST, "fecha_hora": _MOMENT},
    }
)
"""The fields of each kind besides `tipo` and `numero`."""

INCIDENTS: Final = (
    "compuerta",
    "corte_sin_sello",
    "decision",
    "identidad_difiere",
    "imagen_sin_identidad",
    "incidente_publicado",
    "incidente_terminado",
    "mensaje_apartado",
    "mensaje_descartado",
    "mensaje_reintentado",
    "misma_foto",
    "recaptura",
    "testigo_niega",
)
"""Events that become leaves. The subject of each is an acta, an image, a message, a corte, a witness, a decision
or a published incident."""
_ABOUT_PEOPLE: Final = frozenset({"persona", "por"})

NO_ACTA: Final = "-"
"""Instead of election and acta, in the statement that an image is of no acta of the catalogue."""
_ABOUT_ACTA: Final = {
    "numero": int,
    "eleccion": str,
    "acta": str,
    "persona": re.compile("[0-9a-f]{32}"),
    "sal": re.compile("[0-9a-f]{32}"),
}
OPENINGS: Final[Mapping[str, Json]] = MappingProxyType(
    {
        "captura": {**_ABOUT_ACTA, "ronda": int, "ordinal": int, "numeros": [Maybe(int)], "marcas": str},
        "resolucion": {**_ABOUT_ACTA, "ronda": int, "elige": int},
        "sin_acta": {**_ABOUT_ACTA, "criterio": str},
        "identidad": {**_ABOUT_ACTA, "imagen": DIGEST},
        "cotejo": {**_ABOUT_ACTA, "ronda": int, "resultado": int},
    }
)
"""By kind of leaf: a line of `bitacora/aperturas/<NNNN>.jsonl`, the statement behind the leaf `numero`, once corte NNNN
shows its acta. `persona` is the same for all that a person says about one acta, and tells no more (`pseudonym`)."""


def leaf(tipo: str, numero: int, fields: Mapping[str, Any]) -> bytes:
    """The leaf at index `numero`. Raises Malformed if the fields are not those of its kind, or if it is too long."""
    # The leaf holds its own index: it cannot be shown at another place.
    value = {"tipo": tipo, "numero": numero, **fields}
    conform(value, {"tipo": str, "numero": int, **SHAPES[tipo]})
    content = canonical_json(value)
    if len(content) > LONGEST_ENTRY:
        raise Malformed(f"una hoja de hasta {LONGEST_ENTRY} bytes", f"una de {len(content)}")
    return content


def read_leaf(content: bytes) -> Json:
    """The fields of a leaf. Raises Malformed for bytes that `leaf` cannot make."""
    value = read_json(content + b"\n")
    tipo = value.get("tipo") if isinstance(value, dict) else None
    # An unknown kind is refused: an old verifier must not pass what it cannot judge.
    shape = SHAPES.get(tipo) if isinstance(tipo, str) else None
    if shape is None:
        raise Malformed(f"una hoja de tipo {', '.join(SHAPES)}", f"«{tipo}»")
    conform(value, {"tipo": str, "numero": int, **shape})
    held: Json = value
    return held


def commitment(salt: bytes, **said: Any) -> str:  # noqa: ANN401 - the fields of an opening
    """SHA-256 of the salt followed by a statement, as canonical JSON: its opening without `numero` and `sal`."""
    return sha256(salt + canonical_json(said)).hexdigest()


def pseudonym(secret: bytes, eleccion: str, acta: str, person: int | None) -> str:
    """The name of a person in the statements about one acta. Nobody without the night's secret can tell who it is."""
    return sha256(secret + canonical_json([eleccion, acta, person])).hexdigest()[:32]


def opening(line: bytes, kinds: Mapping[int, str]) -> tuple[int, str, Json]:
    """The index of the leaf that a line of openings names, the commitment of its statement, and its fields.

    `kinds` has the kind of the leaf at each index that holds a commitment. Raises Malformed.
    """
    value = read_json(line + b"\n")
    numero = value.get("numero") if isinstance(value, dict) else None
    kind = kinds.get(numero) if type(numero) is int else None
    if kind is None:
        raise Malformed("el número de una hoja que se abre", f"«{numero}»")
    conform(value, OPENINGS[kind])
    said = {name: held for name, held in value.items() if name not in {"numero", "sal"}}
    # The same function made the commitment in the leaf, so equal statements and salt give an equal digest.
    return int(value["numero"]), commitment(bytes.fromhex(value["sal"]), **said), said


def ranges_of(numbers: str) -> list[tuple[int, int]]:
    """First and last of each range of numbers, as `5-9,12`. Raises Malformed."""
    if NUMBERS.fullmatch(numbers) is None:
        raise Malformed("números de envío como 5-9,12", f"«{numbers}»")
    pairs = [(first, last or first) for first, _, last in (each.partition("-") for each in numbers.split(","))]
    return [(int(first), int(last)) for first, last in pairs]


def row_digest(eleccion: str, acta: str, cells: Sequence[str]) -> str:
    """Digest of election, acta and the acta's cells in the official file, TOTAL_BOLETAS_SOBRANTES to COTEJADA."""
    return sha256(canonical_json([eleccion, acta, *cells])).hexdigest()


def cells(*fragments: str) -> list[str]:
    """The cells of several parts of one CSV line, one after the other."""
    return [cell for fragment in fragments for cell in next(csv.reader([fragment], strict=True), [])]


def detail_digest(detail: Mapping[str, Any]) -> str:
    """Digest of the details of an event, without the people who took part."""
    # The log is public, so no person may be found in it.
    kept = {name: value for name, value in detail.items() if name not in _ABOUT_PEOPLE}
    return sha256(canonical_json(kept)).hexdigest()


def keys_digest(keys: Iterable[tuple[str, bytes]]) -> Json:
    """Number of devices, and SHA-256 of their names and public keys in order: `[["id","hex"],…]`."""
    # The digest is enough to show later which devices were enrolled at the beginning of the night.
    listed = [[name, public.hex()] for name, public in sorted(keys)]
    return {"total": len(listed), "sha256": sha256(canonical_json(listed)).hexdigest()}


def rules_digest(digests: Mapping[str, str]) -> str:
    """Digest of the rules of all elections: of the object of their own digests, by election."""
    return sha256(canonical_json({**digests})).hexdigest()


def text_digest(text: str) -> str:
    """SHA-256 of a text in UTF-8, as 64 hexadecimal digits."""
    return sha256(text.encode()).hexdigest()


def link(content: bytes) -> str:
    """The digest by which the next leaf of the same device names this one, in `anterior`."""
    return sha256(content).hexdigest()
