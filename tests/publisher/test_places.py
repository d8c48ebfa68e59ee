"""The index of places: every place is found by each of its words, in files that stay small, and equal places give equal bytes."""

import hashlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from integrity.layout import PLACES_INDEX
from publisher.places import FEW, KnownPlace, as_words, index_files, words_of


def many(number: int) -> list[KnownPlace]:
    trees = ("Ahuehuete", "Jacaranda", "Mezquite", "Oyamel", "Sauce", "Ñandú", "Álamo")
    return [
        KnownPlace(9, at + 1, "Benito Juárez", f"Escuela {trees[at % 7]} {at}", f"Calle {at * 31 % 997}")
        for at in range(number)
    ]


def searched(files: dict[str, bytes], entidad: int, word: str) -> list[dict[str, Any]] | None:
    """What `buscar.js` finds for one word; None if it is in too many places."""
    for letters in range(2, len(word) + 1):
        content = files.get(f"lugares/{entidad:02}-{word[:letters]}.json")
        if content is None:
            return []
        told = json.loads(content)
        if not told["sigue"]:
            return None if told["muchos"] else told["lugares"]
        if letters < len(word) and word[letters] not in told["sigue"]:
            return []
    return told["lugares"] or None


def test_every_place_is_found_by_each_of_its_rare_words_and_no_file_is_large() -> None:
    places = many(2000)
    files = index_files(places)
    assert max(map(len, files.values())) == len(files[PLACES_INDEX])
    assert max(len(content) for path, content in files.items() if path != PLACES_INDEX) < 7_000
    for place in places[37::37]:
        found = [searched(files, 9, word) for word in words_of(f"{place.lugar} {place.direccion}")]
        assert any(place.seccion in [each["seccion"] for each in one] for one in found if one), place
    assert searched(files, 9, "escuela") is None  # each place has it: another word must say which
    assert searched(files, 9, "zapata") == []
    assert searched(files, 10, "escuela") == []


def test_the_list_has_every_file_with_its_digest_and_the_order_of_the_places_does_not_matter() -> None:
    places = many(300)
    files = index_files(places)
    listed = json.loads(files[PLACES_INDEX])["archivos"]
    others = {path.removeprefix("lugares/"): content for path, content in files.items() if path != PLACES_INDEX}
    assert listed == {name: hashlib.sha256(content).hexdigest() for name, content in others.items()}
    assert [*files][-1] == PLACES_INDEX
    assert index_files([*reversed(places), places[0]]) == files
    assert index_files([]) == {}


@settings(max_examples=25)
@given(st.lists(st.text(max_size=20), max_size=45))
def test_any_text_gives_names_that_verifiers_know_and_files_that_are_few_places_long(texts: list[str]) -> None:
    files = index_files(KnownPlace(1, at, "", text, "") for at, text in enumerate(texts))
    for path, content in files.items():
        if path != PLACES_INDEX:
            told = json.loads(content)
            assert path == f"lugares/01-{told['prefijo']}.json"
            assert told["prefijo"].isascii()
            assert told["prefijo"].isalnum()
            assert len(told["lugares"]) <= FEW
            assert all(any(w.startswith(told["prefijo"]) for w in words_of(each["lugar"])) for each in told["lugares"])


def test_an_address_on_a_page_has_no_number_that_looks_like_a_figure() -> None:
    assert as_words("Km 1,200 lote 3.1416, casa 5, 2") == "Km 1 200 lote 3 1416, casa 5, 2"
