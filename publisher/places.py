"""«Encuentra tu casilla» by the words of its place or address: an index in small files, which a page reads by itself.

    lugares/09-esc.json    the places of entidad 09 with a word that begins with «esc», if they are few. If they are
                           many: the letters that may follow, and the places with the very word «esc»
    lugares/indice.json    every such file with its SHA-256. The manifest states the digest of this one, so that nobody
                           can send a reader to another casilla unseen

A catalogue that states no places has no index. Equal places give equal bytes.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from integrity.layout import PLACES_INDEX, place_words
from publisher import figures as out

FEW: Final = 40
"""Places in one file: about 5 kB. Fewer characters of a word never give more."""
FIRST: Final = 2
"""Letters of the shortest prefix."""
LONGEST: Final = 12
"""Letters of a word that count. `buscar.js` has the same three rules."""
_PARTS: Final = re.compile(r"[^a-z0-9]+")
_LIKE_A_FIGURE: Final = re.compile(r"(?<=\d)[,.](?=\d)")


class KnownPlace(NamedTuple):
    """Where casillas of one sección stand, as the catalogue states it."""

    entidad: int
    seccion: int
    municipio: str
    lugar: str
    direccion: str


def words_of(text: str) -> set[str]:
    """The words that are searched: small letters without accents, and digits."""
    bare = "".join(each for each in unicodedata.normalize("NFKD", text) if unicodedata.category(each) != "Mn")
    return {word[:LONGEST] for word in _PARTS.split(bare.lower()) if len(word) >= FIRST}


def as_words(text: str) -> str:
    """An address as a page may show it: no number in it looks like a figure, which verifiers would take it for."""
    return _LIKE_A_FIGURE.sub(" ", text)


def index_files(places: Iterable[KnownPlace]) -> dict[str, bytes]:
    """Every file of the index by its path, the list of them last; empty if no place is known."""
    made: dict[str, bytes] = {}
    for entidad, group in groupby(sorted({*places}), key=lambda place: place.entidad):
        made.update(_of_entidad(entidad, list(group)))
    if made:
        digests = {path.rpartition("/")[2]: hashlib.sha256(content).hexdigest() for path, content in made.items()}
        made[PLACES_INDEX] = out.canonical({"formato": out.FORMAT, "archivos": digests})
    return made


def _of_entidad(entidad: int, places: Sequence[KnownPlace]) -> Iterator[tuple[str, bytes]]:
    with_word: defaultdict[str, list[int]] = defaultdict(list)
    for number, place in enumerate(places):
        for word in words_of(f"{place.lugar} {place.direccion}"):
            with_word[word].append(number)
    for prefix, words in _by_prefix(with_word, FIRST):
        yield from _files(entidad, prefix, words, with_word, places)


def _by_prefix(words: Iterable[str], letters: int) -> Iterator[tuple[str, list[str]]]:
    for prefix, group in groupby(sorted(words), key=lambda word: word[:letters]):
        yield prefix, list(group)


def _files(
    entidad: int, prefix: str, words: Sequence[str], with_word: Mapping[str, list[int]], places: Sequence[KnownPlace]
) -> Iterator[tuple[str, bytes]]:
    """The file of a prefix, and those of longer ones if too many places have a word that begins with it."""
    found: Collection[int] = {number for word in words for number in with_word[word]}
    longer: list[tuple[str, list[str]]] = []
    if len(found) > FEW:
        longer = list(_by_prefix((word for word in words if word != prefix), len(prefix) + 1))
        found = with_word.get(prefix, ())
    told: dict[str, Any] = {
        "formato": out.FORMAT,
        "entidad": entidad,
        "prefijo": prefix,
        # A word of too many places leads to none of them: another word must say which.
        "lugares": [_told(places[number]) for number in sorted(found)] if len(found) <= FEW else [],
        "sigue": "".join(each[-1] for each, _ in longer),
        "muchos": len(found) > FEW,
    }
    yield place_words(entidad, prefix), out.canonical(told)
    for each, own in longer:
        yield from _files(entidad, each, own, with_word, places)


def _told(place: KnownPlace) -> dict[str, Any]:
    return {
        "seccion": place.seccion,
        "municipio": place.municipio,
        "lugar": place.lugar,
        "direccion": place.direccion,
    }
