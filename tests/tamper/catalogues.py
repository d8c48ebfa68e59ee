"""Ways of cheating with the expected actas: the catalogue in the tree, and nights that are not those of their catalogue.

Against somebody who has every key, the digest in the log's first leaf helps: it is older than every corte.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.makers import tree_maker
from tests.makers.tree_maker import (
    Casilla,
    Json,
    canonical,
    csv_bytes,
    list_catalogue,
    make_tree,
    name_catalogue,
    people_of,
    seal,
)
from tests.quick.test_integrity_verify import edit, replace

Does = Callable[[Path, Any], object]
ACTAS = "catalogo/actas_GOB.csv"


@contextmanager
def _another_night(**other: Any) -> Iterator[None]:
    before = {name: getattr(tree_maker, name) for name in other}
    for name, value in other.items():
        setattr(tree_maker, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(tree_maker, name, value)


def _night(**other: Any) -> Does:
    """The whole night told in another way, under the catalogue that the first leaf names."""

    def act(root: Path, _: Any) -> None:
        kept = {path.name: path.read_bytes() for path in (root / "catalogo").iterdir()}
        for path in root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        with _another_night(**other):
            make_tree(root)
        for name, content in kept.items():
            (root / "catalogo" / name).write_bytes(content)
        name_catalogue(root)

    return act


def _casillas(change: Callable[[list[Casilla]], object]) -> Does:
    casillas = list(tree_maker.CASILLAS)
    change(casillas)
    return _night(CASILLAS=casillas)


def _with(number: int, place: int, value: Any) -> Callable[[list[Casilla]], object]:
    """Another value of one casilla; its places are those of `tree_maker.CASILLAS`."""

    def change(casillas: list[Casilla]) -> None:
        held = list(casillas[number])
        held[place] = value
        casillas[number] = tuple(held)

    return change


def _exchange(casillas: list[Casilla]) -> None:
    casillas[0], casillas[1] = casillas[1], casillas[0]


def _in_every(name: str, change: Callable[[Json], object]) -> Does:
    def act(root: Path, _: Any) -> None:
        for path in root.glob(f"cortes/*/{name}"):
            edit(path, change)

    return act


def _gob(held: Json) -> Json:
    return next(each for each in held["elecciones"] if each["codigo"] == "GOB")


def _another_person(root: Path, _: Any) -> None:
    for folder in root.glob("cortes/*"):
        edit(folder / "totals.json", _other_name)
        lines = [[cell.replace("Una persona", "Un extraño") for cell in line] for line in people_of("GOB")]
        (folder / "TAMPS_GOB_CANDIDATURAS_2023.csv").write_bytes(csv_bytes(lines))


def _other_name(held: Json) -> None:
    held["elecciones"]["GOB"]["contiendas"][0]["candidaturas"][0]["propietaria"] = "Un extraño"


def _rename_contest(root: Path, _: Any) -> None:
    for folder in root.glob("cortes/*"):
        edit(folder / "manifest.json", lambda held: _gob(held)["contiendas"][0].update(nombre="Tamaulipas norte"))
        edit(
            folder / "totals.json",
            lambda held: held["elecciones"]["GOB"]["contiendas"][0].update(nombre="Tamaulipas norte"),
        )


def _other_title(root: Path, _: Any) -> None:
    for folder in root.glob("cortes/*"):
        edit(folder / "manifest.json", lambda held: _gob(held).update(titulo="Gobierno"))
        for name in ("TAMPS_GOB_2023.csv", "LEEME.txt"):
            replace(folder / name, "Gubernatura", "Gobierno")


def _rename_territory(root: Path, _: Any) -> None:
    for path in root.glob("cortes/*/*.csv"):
        path.write_bytes(path.read_bytes().replace(b"Distrito 1,", b"Distrito norte,"))
    for path in root.glob("cortes/*/totals.json"):
        path.write_bytes(
            path.read_bytes().replace(b'"id":1,"nombre":"Distrito 1"', b'"id":1,"nombre":"Distrito norte"')
        )


def _move_limit(root: Path, _: Any) -> None:
    """Another lista nominal in the catalogue, which its list and every manifest name."""
    replace(root / ACTAS, ",500,10,", ",900,10,")
    list_catalogue(root)


def _list_again(change: Callable[[Path], object]) -> Does:
    """The catalogue changed, with its list, and not the manifests."""

    def act(root: Path, _: Any) -> None:
        change(root / "catalogo")
        seal(root / "catalogo")

    return act


def link(root: Path, night: Any) -> None:
    """The folder of the catalogue somewhere else, and a link in its place."""
    elsewhere = shutil.copytree(root / "catalogo", night.home / "catalogo", dirs_exist_ok=True)
    shutil.rmtree(root / "catalogo")
    (root / "catalogo").symlink_to(elsewhere)


def _as_json(root: Path, change: Callable[[Json], object]) -> None:
    path = root / "catalogo.json"
    held = json.loads(path.read_bytes())
    change(held)
    path.write_bytes(canonical(held))


FILES: dict[str, Does] = {
    "a lista nominal in the catalogue": lambda root, _: replace(root / ACTAS, ",500,10,", ",900,10,"),
    "a lista nominal in the catalogue, and its list": _list_again(
        lambda folder: replace(folder / "actas_GOB.csv", ",500,10,", ",900,10,")
    ),
    "an acta taken out of the catalogue, and its list": _list_again(
        lambda folder: replace(folder / "actas_GOB.csv", (folder / "actas_GOB.csv").read_text().splitlines()[3], "")
    ),
    "an election taken out of the catalogue, and its list": _list_again(
        lambda folder: _as_json(folder, lambda held: held["elecciones"].pop())
    ),
    "a field more in catalogo.json, and its list": _list_again(
        lambda folder: _as_json(folder, lambda held: held.update(nota="x"))
    ),
    "the catalogue dropped": lambda root, _: shutil.rmtree(root / "catalogo"),
    "the list of the catalogue dropped": lambda root, _: (root / "catalogo" / "SHA256SUMS").unlink(),
    "the expected actas of an election dropped": lambda root, _: (root / ACTAS).unlink(),
    "a file added to the catalogue": lambda root, _: (root / "catalogo" / "sitios.csv").write_text("clave,nombre\r\n"),
    "a file added to the catalogue, and its list": _list_again(
        lambda folder: (folder / "sitios.csv").write_text("clave,nombre\r\n")
    ),
    "a folder added to the catalogue": lambda root, _: (root / "catalogo" / "reglas").mkdir(),
}
"""By somebody who can write to the server."""

KEYS: dict[str, Does] = {
    "another lista nominal of an acta, in every corte": _casillas(_with(1, 4, 900)),
    "a casilla básica with lista nominal 0, in every corte": _casillas(_with(8, 4, 0)),
    "a casilla left out of every corte": _casillas(lambda casillas: casillas.pop()),
    "a casilla more in every corte": _casillas(
        lambda casillas: casillas.append((2, 904, "B", 1, 700, 1, [90, 9, 9, 9, 0, 9], "", 1))
    ),
    "two casillas in another order, in every corte": _casillas(_exchange),
    "a casilla of another type, in every corte": _casillas(_with(6, 2, "C")),
    "a casilla in another district, in every corte": _casillas(_with(6, 0, 1)),
    "an especial casilla with more votes than ballots": _casillas(_with(5, 6, [2030, 10, 2, 1, 0, 1])),
    "a party taken off a ballot, in every corte": _night(OFF_BALLOT={("DIP", 1): {2}, ("DIP", 2): {2}}),
    "another name of a party, in every corte": _in_every(
        "manifest.json", lambda held: _gob(held)["opciones"][0].update(nombre="Partido nuevo")
    ),
    "another title of an election, in every corte": _other_title,
    "another name of a contest, in every corte": _rename_contest,
    "another name of a district, in every corte": _rename_territory,
    "another candidate, in every corte": _another_person,
}
"""By somebody who has every key, under the catalogue of the first leaf."""

DIGESTS: dict[str, Does] = {"a lista nominal in the catalogue, and in every manifest its digest": _move_limit}
"""By somebody who can make every digest agree, and has no key of the log."""
