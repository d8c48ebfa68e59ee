"""The meanings of the words of official files: texts of observations, words in cells, names of columns.

Each institute has its own spelling. So a meaning is found by the words that carry it, at any place in the text: codes
or numbers may stand before them and brackets behind them (`docs/rules.md` §6). A text without any such word has no
meaning here, and the caller refuses it: an unknown text never becomes a counted acta.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from prep.domain.entry import Field, Mark
from prep.domain.rules import SIN_ACTA, Observation
from prep.files.csv_tables import DASHES, NOTHING, bare, whole

HEADER_COLUMNS: Final = (
    "TOTAL_BOLETAS_SOBRANTES",
    "TOTAL_PERSONAS_VOTARON",
    "TOTAL_REP_PARTIDO_CI_VOTARON",
    "TOTAL_VOTOS_SACADOS",
)
"""In the order of `entry.HEADER`."""

SYNONYMS: Final[Mapping[str, tuple[str, ...]]] = {
    "CLAVE_CASILLA": ("CVE_CASILLA",),
    "CLAVE_ACTA": ("CVE_ACTA",),
    "ID_ENTIDAD": ("ID_ESTADO", "CLAVE_ENTIDAD"),
    "ENTIDAD": ("ESTADO", "NOMBRE_ESTADO", "NOMBRE_ENTIDAD"),
    "ID_DISTRITO_FEDERAL": (),
    "DISTRITO_FEDERAL": ("NOMBRE_DISTRITO_FEDERAL", "CABECERA_DISTRITAL_FEDERAL"),
    "ID_DISTRITO_LOCAL": ("ID_DISTRITO", "CVE_DISTRITO", "NUM_DISTRITO"),
    "DISTRITO_LOCAL": ("DISTRITO", "NOMBRE_DISTRITO", "NOMBRE_DISTRITO_LOCAL", "CABECERA_DISTRITAL_LOCAL"),
    "ID_MUNICIPIO": ("ID_ALCALDIA", "ID_AYUNTAMIENTO", "CVE_MUNICIPIO", "NUM_MUNICIPIO"),
    "MUNICIPIO": ("NOMBRE_MUNICIPIO", "ALCALDIA", "AYUNTAMIENTO"),
    "SECCION": ("ID_SECCION", "SECC", "NUM_SECCION", "SECCION_ELECTORAL"),
    "ID_CASILLA": ("NUM_CASILLA", "NUMERO_CASILLA"),
    "TIPO_CASILLA": ("TIPO_DE_CASILLA",),
    "EXT_CONTIGUA": (),
    "UBICACION_CASILLA": ("UBICACION",),
    "TIPO_ACTA": ("NUM_ACTA_IMPRESO",),
    "TOTAL_BOLETAS_SOBRANTES": ("NUM_BOLETAS_SOBRANTES", "BOLETAS_SOBRANTES"),
    "TOTAL_PERSONAS_VOTARON": ("TOTAL_CIUDADANOS_VOTARON", "NUM_CIUDADANOS_VOTARON", "PERSONAS_VOTARON"),
    "TOTAL_REP_PARTIDO_CI_VOTARON": ("NUM_REP_PARTIDO_CI_VOTARON", "TOTAL_REPRESENTANTES_VOTARON"),
    "TOTAL_VOTOS_SACADOS": ("NUM_BOLETAS_EXTRAIDAS", "BOLETAS_EXTRAIDAS", "TOTAL_BOLETAS_EXTRAIDAS", "VOTOS_SACADOS"),
    "NO_REGISTRADAS": (
        "NO_REGISTRADOS",
        "CNR",
        "CANDIDATURAS_NO_REGISTRADAS",
        "CANDIDATOS_NO_REGISTRADOS",
        "CANDIDATO_NO_REGISTRADO",
        "CANDIDATO/A_NO_REGISTRADO/A",
        "NUM_VOTOS_CAN_NREG",
    ),
    "NULOS": ("VOTOS_NULOS", "VN", "NUM_VOTOS_NULOS"),
    "TOTAL_VOTOS_ASENTADO": ("TOTAL_VOTOS_ASENTADOS", "TOTAL_ASENTADO"),
    "TOTAL_VOTOS_CALCULADO": ("TOTAL_VOTOS_CALCULADOS", "TOTAL_VOTOS", "TOTAL_CALCULADO"),
    "LISTA_NOMINAL": ("LISTA_NOMINAL_CASILLA", "LN"),
    "REPRESENTANTES_PP_CI": ("REPRESENTANTES",),
    "OBSERVACIONES": ("OBSERVACION",),
    "CONTABILIZADA": ("CONTABILIZADO", "ACTA_CONTABILIZADA"),
    "MECANISMOS_TRASLADO": ("MECANISMO_TRASLADO",),
    "CODIGO_INTEGRIDAD": ("SHA", "SHA256", "SHA-256", "SHA_256", "HASH"),
    "FECHA_HORA_ACOPIO": ("HORA_ACOPIO",),
    "FECHA_HORA_CAPTURA": ("HORA_CAPTURA",),
    "FECHA_HORA_VERIFICACION": ("HORA_VERIFICACION", "HORA_REGISTRO", "FECHA_HORA_REGISTRO"),
    "ORIGEN": (),
    "DIGITALIZACION": (),
    "TIPO_DOCUMENTO": (),
    "COTEJADA": ("COTEJO",),
}
_CANONICAL: Final = {other: name for name, others in SYNONYMS.items() for other in (name, *others)}
OFFICES: Final = "JUNTA|JUNTA_MUNICIPAL|COMUNIDAD|PRESIDENCIA_DE_COMUNIDAD|COMISARIA|DEMARCACION|REGIDURIA|TERRITORIO"
_NOT_REGISTERED: Final = re.compile(r"((VOTOS|TOTAL|NUM|CAN\w*)_)*(NO_REG\w*|CNR)")
_NULL_VOTES: Final = re.compile(r"((VOTOS|TOTAL|NUM)_)*NULOS?")
"""The two columns that stand on each ballot and are no party, by the word that carries the meaning."""
_OFFICE: Final = re.compile(rf"(?P<id>ID_|NUM_|CLAVE_)?(NOMBRE_)?({OFFICES})(_MUNICIPAL|_ELECTORAL)?")
"""Territories that elect and are neither state, district nor municipality (`docs/rules.md` §1)."""

_SIN_ACTA: Final = re.compile(r"\bSIN ACTAS?\b|\bNO (SE )?(ENTREG|INSTAL|RECIB)\w*|\bPAQUETE (ENTREGADO )?SIN\b")
_REASONS: Final[Mapping[Observation, re.Pattern[str]]] = {
    Observation.SIN_ACTA_1: re.compile(r"\bNO (SE )?(ENTREG|RECIB)\w*"),
    Observation.SIN_ACTA_2: re.compile(r"\bNO (SE )?INSTAL\w*"),
    Observation.SIN_ACTA_3: re.compile(r"\bSIN (EL |LA |SU )?(SOBRE|BOLSA)\b|\bENTREGADO SIN\b"),
    Observation.SIN_ACTA_4: re.compile(r"\bURNA\b"),
}
"""The words of the four kinds of *sin acta*. They are compared before the numbers that stand beside them."""
_NUMBERED: Final = re.compile(r"SIN ACTAS?( PREP| DE ESCRUTINIO( Y COMPUTO)?)?\W*([1-4])?\W*")
_CODE_BEFORE: Final = re.compile(r"\W*(?:\w{1,4}\W+)?")

_TODOS: Final = re.compile(r"\bTOD[OA]S?\b|\b(TOTAL|COMPLETA)MENTE\b")
_ILEGIBLE: Final = re.compile(r"\bILEGIBLES?\b|\bNO (ES |SON )?LEGIBLES?\b|\bNINGUN \w+ LEGIBLE\b")
_SIN_DATO: Final = re.compile(r"\bSIN DATOS?\b|\bVACI[OA]S?\b|\bEN BLANCO\b")
_DENIED: Final = re.compile(
    r"\b(NO|NI|SIN) (ILEGIBLES?|VACI[OA]S?|EXCED\w+)\b|\bNINGUN[OA]?( \w+)? (ILEGIBLES?|VACI[OA]S?|EXCED\w+)\b"
)
_EXCEDE: Final = re.compile(
    r"\b((EXCED|REBAS|SUPER)\w*|MAYOR(ES)? (A|AL|QUE)|MAS VOTOS QUE)\b.*\b(LISTA|NOMINAL|L ?N|LIMITE|BOLETAS)\b"
)
_OF_CONTAINER: Final = re.compile(r"\b(SOBRE|PAQUETE|BOLSA|URNA)S?\b.*\b(VACI[OA]S?|EN BLANCO)\b")
"""An envelope or a parcel without content says nothing about the fields of an acta."""
_FUERA: Final = re.compile(r"\b(FUERA|NO|SIN)\b.*\bCATALOG\w*")
_PROCESO: Final = re.compile(r"\bIDENTIFICA\w* .*\b(FORZADA|PROCESO|PROCEDIMIENTO|TECNIC[OA])\b")
_NONE: Final = re.compile(
    r"((ACTA )?(NINGUNA|SIN) ?(OBSERVACI\w+|INCIDENCIA\w*)?|NO APLICA|NULL|NONE|NAN|N/?D|#N/?A|\[\]|\{\})\W*"
)
"""The words of people and of programs for "no observation"."""

_DIGITS: Final = re.compile(r"\d{1,18}", re.ASCII)

COALITION_MARKS: Final = frozenset({"C", "CO", "COA", "COAL", "COALICION"})
"""The marks before the parties in the name of a combination: C_PAN_PRD. CC_ is a candidatura común."""


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """Upper case, no accents, one form of dashes, single spaces: texts are compared in this form."""
    decomposed = unicodedata.normalize("NFKD", " ".join(text.translate(DASHES).split()).upper())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def nothing(text: str) -> bool:
    """The cell is one of the words for "no value"."""
    return fold(text) in NOTHING


# --- columns ----------------------------------------------------------------------------------------------------------


def column_name(cell: str) -> str:
    """A name of a header in capitals without accents, its words joined by underscores."""
    return re.sub(r"\s+", "_", fold(cell.strip().strip("\"'")))


def canonical_column(name: str) -> str:
    """The name that INE 2023 gives to the column that another file calls `name`; other names in capitals."""
    folded = column_name(name)
    if folded in _CANONICAL:
        return _CANONICAL[folded]
    if _NOT_REGISTERED.fullmatch(folded):
        return "NO_REGISTRADAS"
    if _NULL_VOTES.fullmatch(folded):
        return "NULOS"
    # PAN/PRI, PAN + PRI and PAN - PRI are a combination, as PAN-PRI.
    return re.sub(r"_*[-/+]_*", "-", folded)


def office_column(folded: str) -> str:
    """The column of the local district, for a column of the territory of another office; "" for any other."""
    found = _OFFICE.fullmatch(folded)
    return "" if found is None else "ID_DISTRITO_LOCAL" if found["id"] else "DISTRITO_LOCAL"


def nearly(folded: str) -> str:
    """The known column that differs from this name only in the plural of its words; "" if none or two do."""
    plain = re.sub(r"S(?=_|$)", "", folded)
    alike = {name for other, name in _CANONICAL.items() if re.sub(r"S(?=_|$)", "", other) == plain}
    return alike.pop() if len(alike) == 1 else ""


def combination(name: str, parties: Sequence[str]) -> tuple[str, ...]:
    """The parties that a column like C_PAN_PRD, PAN-PRD or PAN_PRD joins, in its order; () for any other column.

    Parties may have separators in their own names (NUEVA_ALIANZA): the longest match is tried first.
    """
    words = re.split(r"[-_]", name)
    known = frozenset(parties)
    whole = _split_words(words, known)
    if not whole and words[0] in COALITION_MARKS:
        whole = _split_words(words[1:], known)
    return whole if len(set(whole)) > 1 else ()


def _split_words(words: Sequence[str], parties: frozenset[str]) -> tuple[str, ...]:
    for size in range(len(words), 0, -1):
        for glue in ("_", "-"):
            first = glue.join(words[:size])
            if first not in parties:
                continue
            if size == len(words):
                return (first,)
            rest = _split_words(words[size:], parties)
            if rest:
                return (first, *rest)
    return ()


def party(word: str, parties: Sequence[str]) -> str:
    """The party that a word means: itself, or the only one that begins like it (M for MORENA). "" if none fits."""
    if word in parties:
        return word
    alike = [each for each in parties if each.startswith(word) or word.startswith(each)]
    return alike[0] if len(alike) == 1 else ""


# --- texts ------------------------------------------------------------------------------------------------------------

Texts = Mapping[str, frozenset[Observation]]
"""Texts of a rule set by their folded words, and the criteria that each may mean."""
NO_TEXTS: Final[Texts] = MappingProxyType({})


def texts_of(rules_texts: Mapping[Observation, str]) -> Texts:
    """The texts of a rule set, which are compared before any word is looked for."""
    texts: dict[str, frozenset[Observation]] = {}
    for code, text in rules_texts.items():
        if text:
            texts[fold(text)] = texts.get(fold(text), frozenset()) | {code}
    return texts


def understand(text: str, texts: Texts = NO_TEXTS) -> frozenset[Observation]:
    """The criteria that a published observation may mean: some files use one text for several.

    Empty if the text is not known.
    """
    folded = fold(text)
    return texts.get(folded) or _by_words(folded)


@lru_cache(maxsize=4096)
def _by_words(folded: str) -> frozenset[Observation]:
    plain = " ".join(re.sub(r"[^A-Z0-9]+", " ", folded).split())
    if _FUERA.search(plain):
        return frozenset({Observation.FUERA_DE_CATALOGO})
    if _SIN_ACTA.search(plain):
        return _reasons(plain)
    if _PROCESO.search(plain):
        return frozenset({Observation.PROCESO_TECNICO})
    found: set[Observation] = set()
    if _OF_CONTAINER.search(plain):
        return frozenset()
    if _DENIED.search(plain) and not re.search(r"\bNINGUN \w+ LEGIBLE\b", plain):
        return frozenset()
    if _EXCEDE.search(plain):
        found.add(Observation.EXCEDE)
    ilegible, sin_dato = bool(_ILEGIBLE.search(plain)), bool(_SIN_DATO.search(plain))
    if _TODOS.search(plain) or re.search(r"\bNINGUN \w+ LEGIBLE\b", plain):
        if ilegible and sin_dato:
            found |= {Observation.TODOS_ILEGIBLES, Observation.TODOS_VACIOS, Observation.TODOS_SIN_NUMERO}
        elif ilegible or sin_dato:
            found.add(Observation.TODOS_ILEGIBLES if ilegible else Observation.TODOS_VACIOS)
    else:
        found |= {Observation.ILEGIBLE} if ilegible else set()
        found |= {Observation.SIN_DATO} if sin_dato else set()
    return frozenset(found)


def _reasons(plain: str) -> frozenset[Observation]:
    """The reasons for *sin acta*. A text without a reason may mean any; a text with an unknown reason means none."""
    told = [code for code, sign in _REASONS.items() if sign.search(plain)]
    if told:
        return frozenset(told[:1])
    before, mark, behind = plain.partition("SIN ACTA")
    if not mark or not _CODE_BEFORE.fullmatch(before):
        return frozenset()
    numbered = _NUMBERED.fullmatch(mark + behind)
    if numbered is None:
        return frozenset()
    return frozenset(SIN_ACTA if numbered[3] is None else {SIN_ACTA[int(numbered[3]) - 1]})


_QUOTED: Final = re.compile(r"""'([^']*)'|"([^"]*)\"""")


def observations(text: str, texts: Texts = NO_TEXTS) -> tuple[str, ...]:
    """The texts of a cell, written as ['A', 'B'] or as A, B; () if there is none.

    A comma inside a known text does not divide it.
    """
    text = " ".join(text.split())
    if text.startswith("[") and text.endswith("]"):
        found = [one or other for one, other in _QUOTED.findall(text)]
    elif fold(text) in texts:
        found = [text]
    else:
        found = re.split(r"[,;]", text)
        whole = understand(text, texts)
        known = all(nothing(part) or understand(part, texts) for part in found)
        if whole and (not known or whole <= frozenset(SIN_ACTA)):
            found = [text]
    parts = (" ".join(part.split()) for part in found)
    return tuple(part for part in parts if fold(part) in texts or not (nothing(part) or _NONE.fullmatch(fold(part))))


# --- cells ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=65536)
def read_cell(cell: str) -> Field | None:
    """One vote field: a number, a mark, or None if nothing could be read. A blank is *sin dato* until the whole
    file says otherwise. Raises ValueError with the sentence for the reader.
    """
    text = whole(bare(cell))
    if _DIGITS.fullmatch(text):
        return int(text)
    word = re.sub(r"[^A-Z0-9/ -]", "", fold(text)).strip()
    if word in {"", "SD", "S/D", "VACIO", "BLANCO", "EN BLANCO"} or re.search(r"\bSIN DATOS?\b", word):
        if not text or word:
            return Mark.SIN_DATO
    elif _ILEGIBLE.search(word):
        return Mark.ILEGIBLE
    elif word in NOTHING or word == "NO APLICA" or re.search(r"\bSIN ACTA\b", word):
        return None
    raise ValueError(f"«{text}» no es un número, «Sin dato», «Ilegible», «Sin acta» ni «-»")


def says_sin_acta(cell: str) -> bool:
    """The cell says in words that there is no acta."""
    return "SIN ACTA" in fold(cell)


_TIPOS: Final[Mapping[str, str]] = {
    "BASICA": "B",
    "CONTIGUA": "C",
    "EXTRAORDINARIA": "E",
    "ESPECIAL": "S",
    "EXTRANJERO": "M",
    "MEC": "M",
    "VMRE": "M",
    "URNA ELECTRONICA": "U",
    "VOTO ANTICIPADO": "A",
    "VA": "A",
    "PRISION PREVENTIVA": "V",
    "VOTO EN PRISION PREVENTIVA": "V",
    "VPP": "V",
    "PPP": "P",
}
_TIPO: Final = re.compile(r"(?P<tipo>[A-Z][A-Z ]*?) *0*(?P<numero>\d{0,2}) *(C(ONTIGUA)? *0*(?P<ext>\d{1,2}))?")


@dataclass(frozen=True, slots=True)
class CasillaType:
    """What the column of the type says; some files put the number and the contigua of an extraordinaria there."""

    tipo: str
    """Its letter; other texts as printed, in capitals."""
    numero: int | None = None
    ext_contigua: int | None = None


@lru_cache(maxsize=1024)
def casilla_type(cell: str) -> CasillaType:
    """B, Básica, C01, CONTIGUA 1, E1C1, MEC, VPP: the type, and its numbers if the text has any."""
    word = fold(cell)
    found = _TIPO.fullmatch(word)
    if found is None or not (found["numero"] or found["ext"]):
        return CasillaType(_TIPOS.get(word, word))
    tipo = _TIPOS.get(found["tipo"], found["tipo"])
    ext = int(found["ext"]) if found["ext"] else None
    # Only an extraordinaria has contiguas of its own.
    if len(tipo) > 1 or (ext is not None and tipo != "E"):
        return CasillaType(word)
    return CasillaType(tipo, int(found["numero"]) if found["numero"] else None, ext)


CONTABILIZADA: Final[Mapping[str, str]] = {
    "0": "0",
    "1": "1",
    "2": "2",
    "SI": "1",
    "S": "1",
    "NO": "0",
    "N": "0",
    "TRUE": "1",
    "VERDADERO": "1",
    "FALSE": "0",
    "FALSO": "0",
    "CONTABILIZADA": "1",
    "NO CONTABILIZADA": "0",
    "FUERA DE CATALOGO": "2",
}
UBICACION: Final[Mapping[str, int]] = {
    "URBANA": 1,
    "U": 1,
    "R": 2,
    "NO URBANA": 2,
    "RURAL": 2,
    "FUERA DE CATALOGO": 3,
}
