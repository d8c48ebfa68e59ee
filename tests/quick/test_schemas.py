"""The JSON Schemas are right schemas, tell every field in words, and refuse documents of another form."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from integrity import layout, minimal_verifier
from publisher import schemas
from tests.makers.tree_maker import make_tree

NAMES = layout.SCHEMA_NAMES


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("arbol") / "publico")


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_schema_with_its_identity_and_version(name: str) -> None:
    held = json.loads(schemas.schemas()[layout.schema_path(name)])
    jsonschema.Draft202012Validator.check_schema(held)
    assert (held["$id"], held["version"]) == (f"urn:prep-abierto:esquema:{name}:1.1", "1.1")
    assert held["title"]
    assert all(re.search(r"\.$", said) for said in described(held))


def described(value: object) -> list[str]:
    """The description of every field, at any depth."""
    if isinstance(value, list):
        return [said for each in value for said in described(each)]
    if not isinstance(value, dict):
        return []
    own = [field["description"] for field in value.get("properties", {}).values()]
    return own + [said for each in value.values() for said in described(each)]


def test_no_description_is_left_over() -> None:
    told = {said for name in NAMES for said in described(schemas.schema(name))}
    assert {name for name in schemas.FIELDS if schemas.FIELDS[name] not in told} == set()


def test_verifiers_know_the_same_schemas() -> None:
    assert {*minimal_verifier.SCHEMAS} == {*schemas.schemas()}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"corte": "1"}, "is not of type 'integer'"),
        ({"corte": -1}, "is less than the minimum of 0"),
        ({"fase": "otra"}, "is not one of"),
        ({"sha256sums": "A" * 64}, "does not match"),
        ({"fecha_hora": "2027-06-06T20:00:00"}, "does not match"),
        ({"formato": 2}, "1 was expected"),
    ],
)
def test_another_form_is_refused_and_a_later_field_is_not(tree: Path, edit: dict[str, object], said: str) -> None:
    index = json.loads((tree / "index.json").read_bytes())
    jsonschema.validate(index | {"algo_nuevo": 1}, schemas.schema("index"))
    with pytest.raises(jsonschema.ValidationError, match=said):
        jsonschema.validate(index | edit, schemas.schema("index"))


PROMISED = json.loads((Path(__file__).parent / "schemas_1_0.json").read_bytes())
"""Every field of version 1.0: its form, and whether it is always there."""


def fields_of(value: object, path: str = "") -> dict[str, list[object]]:
    """Each field by its place, with its own form and whether it is required."""
    if not isinstance(value, dict):
        return {}
    inside = {"description", "properties", "items", "anyOf", "additionalProperties", "required"}
    found: dict[str, list[object]] = {}
    for name, field in value.get("properties", {}).items():
        form = {key: held for key, held in field.items() if key not in inside}
        found[f"{path}/{name}"] = [form, name in value.get("required", ())]
        found |= fields_of(field, f"{path}/{name}")
    for key in ("items", "additionalProperties"):
        found |= fields_of(value.get(key), f"{path}/*")
    for number, each in enumerate(value.get("anyOf", [])):
        found |= fields_of(each, f"{path}|{each.get('title', number)}")
    return found


@pytest.mark.parametrize("name", PROMISED)
def test_a_release_of_a_season_only_adds(name: str) -> None:
    now = fields_of(schemas.schema(name))
    assert {place: now.get(place) for place in PROMISED[name]} == PROMISED[name]
    # A new field may be absent: the files of older cortes stay valid.
    assert {place for place in now.keys() - PROMISED[name].keys() if now[place][1] and "/" not in place[1:]} == set()
